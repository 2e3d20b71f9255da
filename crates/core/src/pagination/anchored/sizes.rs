//! What answers teach of the sizes that an upstream honours, whatever becomes of them.

use super::super::{
    answer::Answer,
    judge::end::Honoured,
    paging::{Paging, UpstreamProfile},
    window::Slice,
};

/// What is believed of sizes in the course of one page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// What was learnt so far.
    pub(super) profile: UpstreamProfile,
    /// The sizes that this walk has seen honoured.
    pub(super) honoured: Honoured,
    /// The largest size that was honoured before this page.
    pub(super) honoured_before: u32,
    /// The cap that is believed in.
    pub(super) cap: Option<u32>,
    /// A short answer of a search was taken for capped.
    pub(super) guessed_cap: bool,
    /// How many items a short answer had, until more come from behind it: then that number is a silent cap.
    suspected: Option<u32>,
}

impl Sizes {
    /// What was learnt before; the cap is forgotten where the page is the first, which is asked for in full every time.
    pub(super) fn new(profile: UpstreamProfile, honoured_before: u32, first_page: bool) -> Self {
        let cap = profile.cap.filter(|_| !first_page);
        Self {
            profile,
            honoured: Honoured::before(honoured_before),
            honoured_before,
            cap,
            guessed_cap: false,
            suspected: None,
        }
    }

    /// Takes in an answer.
    pub(super) fn learn(&mut self, fetch: Slice, answer: &Answer, paging: &Paging) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = fetch.size().0;
        self.honoured.learn(answer, fetch, paging);
        if self.profile.cap.is_some_and(|cap| cap < count) {
            self.profile.cap = None;
        }
        if let Some(size) = answer.size
            && (1..asked).contains(&size)
        {
            self.cap = Some(size);
            self.profile.cap = Some(size);
        }
    }

    /// A short answer may have been capped.
    pub(super) fn suspect(&mut self, count: Option<u32>) {
        self.suspected = count;
    }

    /// How many items the short answer had that may have been capped.
    pub(super) fn suspected(&self) -> Option<u32> {
        self.suspected
    }

    /// More came from behind the answer that was suspected: its number is a cap.
    pub(super) fn confirm(&mut self) {
        if let Some(cap) = self.suspected.take() {
            self.cap = Some(cap.max(2));
        }
    }

    /// What is known of the upstream at the end of a page: a cap is a size that answers then fill.
    pub(super) fn known(&self) -> UpstreamProfile {
        let cap = if self.cap == Some(self.honoured.by_walk()) { self.cap } else { self.profile.cap };
        UpstreamProfile { cap, ..self.profile }
    }
}
