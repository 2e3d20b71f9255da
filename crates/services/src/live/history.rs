//! The state of a live page: the current page, and the latest steps that led to it.
//!
//! Subscribers have no queues. Each subscriber stores the id of the page that it has, and gets the steps from that page
//! on. If these steps are no longer kept, it gets the whole page. The oldest steps are dropped while there are more
//! than [`MOST_STEPS`], and while all steps together are longer than the page, because then the page is the shorter
//! message.

use std::{collections::VecDeque, sync::Arc};

use super::{
    message::{Farewell, LiveMessage, LivePageFault},
    page::LivePage,
    patch,
};
use crate::answer::InnerAnswer;
use cursorgate_gateway::net::memory::{Memory, MemoryExhausted, MemoryShare};

/// The largest number of steps that are kept for one page. Older steps are dropped.
const MOST_STEPS: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct LiveState {
    /// The current page; `None` before the first answer.
    pub(super) shown: Option<ShownPage>,
    /// The error of the first request that failed since the last success, if a later request might succeed; `None` if
    /// the last request succeeded.
    pub(super) trouble: Option<Arc<LiveMessage>>,
    /// The reason that the page is no longer polled; `None` while it is polled.
    pub(super) end: Option<LivePageEnd>,
}

/// The current page, the latest steps that led to it, and the messages for subscribers.
#[derive(Clone, Debug)]
pub(super) struct ShownPage {
    pub(super) page: Arc<LivePage>,
    /// The message with the whole page.
    pub(super) whole: Arc<LiveMessage>,
    /// The message that requests succeed again, while the page hasn't changed.
    pub(super) recovery: Arc<LiveMessage>,
    /// The ids of earlier pages, the oldest first, each with the patch from that page to the next page.
    steps: VecDeque<(String, Arc<LiveMessage>)>,
    /// The memory of the page and the messages, counted in `server.memory`.
    _held: Arc<MemoryShare>,
}

/// The reason that a page is no longer polled.
#[derive(Clone, Debug)]
pub(super) enum LivePageEnd {
    Refused(Arc<PageRefusal>),
    Closing(Farewell),
}

#[derive(Debug)]
pub(super) struct PageRefusal {
    pub(super) fault: LivePageFault,
    /// The list's own answer; `None` if there was no answer.
    pub(super) answer: Option<InnerAnswer>,
    pub(super) message: Arc<LiveMessage>,
}

impl PageRefusal {
    /// Creates a refusal, with the final error message for subscribers.
    pub(super) fn new(fault: LivePageFault, answer: Option<InnerAnswer>) -> Self {
        let message = Arc::new(LiveMessage::of_fault(&fault, true));
        Self { fault, answer, message }
    }
}

impl ShownPage {
    /// Returns the state with the first page, which has no steps.
    ///
    /// # Errors
    ///
    /// Returns an error if the page doesn't fit into `server.memory`.
    pub(super) fn first(page: LivePage, memory: &Arc<Memory>) -> Result<Self, MemoryExhausted> {
        Self::with_steps(page, VecDeque::new(), memory)
    }

    /// Returns the state with the next page and the step that leads to it. Returns `None` if the page hasn't changed.
    ///
    /// # Errors
    ///
    /// Returns an error if the page doesn't fit into `server.memory`. Subscribers keep the earlier page then.
    pub(super) fn next(&self, page: LivePage, memory: &Arc<Memory>) -> Result<Option<Self>, MemoryExhausted> {
        if page.id == self.page.id {
            return Ok(None);
        }
        let found = patch::difference(&self.page.body, &page.body, &page.places, page.body.len());
        let mut steps = VecDeque::new();
        match found {
            // The page is equal but written differently: with other whitespace, or another order of members.
            // Test: `a_page_that_returns_is_known_by_its_content`.
            Some(patch) if patch == b"[]" && self.page.headers == page.headers => return Ok(None),
            Some(patch) => {
                let step = Arc::new(LiveMessage::of_patch(&self.page, &page, &patch));
                steps.clone_from(&self.steps);
                steps.push_back((self.page.id.clone(), step));
                let mut size: usize = steps.iter().map(|(_, step)| step.event.len()).sum();
                // The last step always stays, because its patch isn't longer than the page.
                while steps.len() > 1 && (size > page.body.len() || steps.len() > MOST_STEPS) {
                    size -= steps.pop_front().map_or(0, |(_, step)| step.event.len());
                }
            }
            // The patch would be longer than the page, so subscribers with any earlier page get the whole page.
            None => {}
        }
        Self::with_steps(page, steps, memory).map(Some)
    }

    fn with_steps(
        page: LivePage,
        steps: VecDeque<(String, Arc<LiveMessage>)>,
        memory: &Arc<Memory>,
    ) -> Result<Self, MemoryExhausted> {
        let whole = LiveMessage::of_page(&page.id, &page.headers, &page.body);
        let recovery = LiveMessage::of_recovery(&page);
        let held = memory.share();
        let of_steps: usize = steps.iter().map(|(_, step)| step.event.len()).sum();
        held.take(page.body.len() + whole.event.len() + recovery.event.len() + of_steps)?;
        Ok(Self {
            page: Arc::new(page),
            whole: Arc::new(whole),
            recovery: Arc::new(recovery),
            steps,
            _held: Arc::new(held),
        })
    }

    /// Returns the messages for a subscriber that has the page with this id: the steps from that page on, or the whole
    /// page if these steps are not kept. With `None`, returns the whole page.
    pub(super) fn since(&self, id: Option<&str>) -> Vec<Arc<LiveMessage>> {
        let Some(id) = id else { return vec![Arc::clone(&self.whole)] };
        if id == self.page.id {
            return Vec::new();
        }
        // A list can return to an earlier page. The last step from that page is then the one to continue with.
        // Test: `a_page_that_returns_is_known_by_its_content`.
        match self.steps.iter().rposition(|(from, _)| from == id) {
            Some(place) => self.steps.range(place..).map(|(_, step)| Arc::clone(step)).collect(),
            None => vec![Arc::clone(&self.whole)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{page::PageVaries, patch::ItemPlaces};

    fn page(id: &str, body: String) -> LivePage {
        LivePage {
            id: id.to_owned(),
            body: body.into(),
            headers: "{}".to_owned(),
            places: ItemPlaces { items: Some(String::new()), id: None },
            tag: None,
            varies: PageVaries::By(Vec::new()),
        }
    }

    /// Returns a page of 200 numbers, which begins with `first`.
    fn numbers(first: u32) -> LivePage {
        let numbers: Vec<String> = (first..first + 200).map(|number| number.to_string()).collect();
        page(&format!("p{first}"), format!("[{}]", numbers.join(",")))
    }

    fn kinds(shown: &ShownPage, id: Option<&str>) -> String {
        let messages = shown.since(id);
        messages.iter().map(|message| if Arc::ptr_eq(message, &shown.whole) { 'W' } else { 'p' }).collect()
    }

    #[test]
    fn a_subscriber_gets_what_it_missed_or_the_page() {
        let memory = Memory::new(1 << 20);
        let mut shown = ShownPage::first(numbers(1), &memory).unwrap();
        assert_eq!(kinds(&shown, None), "W");
        assert_eq!(kinds(&shown, Some("p1")), "", "nothing is missed");
        for first in 2..4 {
            shown = shown.next(numbers(first), &memory).unwrap().unwrap();
        }
        assert_eq!(kinds(&shown, Some("p1")), "pp");
        assert_eq!(kinds(&shown, Some("p2")), "p");
        assert_eq!(kinds(&shown, Some("other")), "W", "a page that is no longer known");
        // All steps together are never longer than the page.
        for first in 4..60 {
            shown = shown.next(numbers(first), &memory).unwrap().unwrap();
            let size: usize = shown.steps.iter().map(|(_, step)| step.event.len()).sum();
            assert!(size <= shown.page.body.len(), "{size}");
        }
        assert_eq!(kinds(&shown, Some("p1")), "W");
        assert_eq!(kinds(&shown, Some("p58")), "p");
        let far = shown.next(numbers(5_000), &memory).unwrap().unwrap();
        assert_eq!(kinds(&far, Some("p59")), "W", "the patch would be longer than the page");
        assert_eq!(kinds(&far, Some("p58")), "W");
        drop((shown, far));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_page_that_returns_is_known_by_its_content() {
        let memory = Memory::new(1 << 20);
        let mut shown = ShownPage::first(numbers(1), &memory).unwrap();
        for first in [2, 1, 3] {
            shown = shown.next(numbers(first), &memory).unwrap().unwrap();
        }
        assert_eq!(kinds(&shown, Some("p1")), "p", "the last time counts");
        assert!(shown.next(numbers(3), &memory).unwrap().is_none());
        let spelt = page("other", String::from_utf8(numbers(3).body.to_vec()).unwrap().replace(',', ", "));
        assert!(shown.next(spelt, &memory).unwrap().is_none(), "blanks are not a change");
    }

    #[test]
    fn without_memory_a_page_stays() {
        let memory = Memory::new(96 << 10);
        let shown = ShownPage::first(numbers(1), &memory).unwrap();
        let other = memory.share();
        other.take(64 << 10).unwrap();
        assert!(shown.next(numbers(2), &memory).is_err());
        drop(other);
        assert!(shown.next(numbers(2), &memory).unwrap().is_some());
    }
}
