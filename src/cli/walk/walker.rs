//! The requests of a walk, which are sent one after the other, with pauses and retries.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use http::StatusCode;

use super::output::WalkState;
use cursorgate_gateway::{probe::ProbeSender, runtime::clock};
use cursorgate_learn::{ProbeAnswer, ProbeRequest};
use cursorgate_tools::walk::{Pager, WalkPlace, WalkedPage, comparison::WalkCost, refusal};
use cursorgate_translate::{downstream::Code, upstream::request::headers::retry_after_seconds};

/// The longest `Retry-After` for which a walk waits, in seconds. A longer time ends the walk.
const LONGEST_WAIT: u64 = 300;

/// The pause before the first retry. Each further retry doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The largest number of times that the pause is doubled. Later pauses have the same length.
const DOUBLINGS: u32 = 6;

/// The largest number of pages without items in a row. Upstreams that filter after the limit have a few of these pages.
/// With more of them, the walk fails.
const MOST_EMPTY: u32 = 1_000;

/// The pace of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkPace {
    /// The pause between two requests.
    pub(super) delay: Duration,
    /// The largest number of retries of a request.
    pub(super) retries: u32,
}

/// A walk under way.
pub(super) struct Walker<'d> {
    sender: ProbeSender,
    pub(super) pager: Pager<'d>,
    pace: WalkPace,
    /// The place of the next page; `None` after the end.
    pub(super) place: Option<WalkPlace>,
    pub(super) cost: WalkCost,
    /// The hashes of the places so far. A place that occurs again shows that the links are circular.
    seen: HashSet<u64>,
    /// The number of pages without items since the last page with items.
    empty: u32,
}

impl<'d> Walker<'d> {
    pub(super) fn new(sender: ProbeSender, pager: Pager<'d>, pace: WalkPace) -> Self {
        let place = Some(pager.start());
        Self { sender, pager, pace, place, cost: WalkCost::default(), seen: HashSet::new(), empty: 0 }
    }

    /// Resumes an interrupted walk at the place in its state.
    pub(super) fn go_on(&mut self, state: &WalkState) {
        // A state without a place belongs to a complete walk, or to a walk that has read no page yet and starts at the
        // beginning. Test: `a_walk_that_was_killed_after_its_last_page_is_complete`.
        if state.pages > 0 {
            self.place.clone_from(&state.place);
            self.cost = state.cost();
        }
    }

    /// Reads the next page; `None` after the last one.
    ///
    /// # Errors
    ///
    /// Returns the reason that the walk can't continue.
    pub(super) fn next_page(&mut self) -> Result<Option<WalkedPage>, String> {
        let Some(place) = self.place.take() else { return Ok(None) };
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        // Links may be circular, so a repeated place is an error. Test: `walks_without_an_end_are_ended`.
        if !self.seen.insert(hasher.finish()) && self.pager.visits_places_once() {
            return Err("the next page is one that was read before: the list leads round in a circle".to_owned());
        }
        let page = match self.ask(self.pager.request(&place)?) {
            Ok(answer) => self.pager.read(&place, answer)?,
            Err(fault) => self.pager.without_answer().ok_or(fault)?,
        };
        self.empty = if page.answer.items().is_empty() { self.empty + 1 } else { 0 };
        if self.empty > MOST_EMPTY {
            return Err(format!("{MOST_EMPTY} pages in a row have no item, and say that more follows"));
        }
        self.place.clone_from(&page.next);
        Ok(Some(page))
    }

    /// Sends a request, and retries it after temporary failures. The pauses increase, unless an answer has a
    /// `Retry-After`.
    fn ask(&mut self, mut request: ProbeRequest) -> Result<ProbeAnswer, String> {
        if self.cost.requests > 0 {
            request.pause = self.pace.delay;
        }
        let mut pause = FIRST_PAUSE;
        for left in (0..=self.pace.retries).rev() {
            let outcome = self.sender.send(&request);
            self.cost.requests += 1;
            if let Ok(answer) = &outcome {
                self.cost.bytes += answer.body.len() as u64;
                self.cost.elapsed += answer.elapsed;
            }
            let (why, wait) = match outcome {
                Err(fault) => (fault, None),
                Ok(answer) if !is_passing(&answer) => return Ok(answer),
                Ok(answer) => {
                    let wait = retry_after_seconds(&answer.headers, clock::unix_seconds());
                    (refusal(answer.status, &answer.body), wait)
                }
            };
            // An earlier retry would be refused again, so a long wait ends the walk. Test:
            // `several_lists_are_walked_with_secrets_from_elsewhere_and_at_the_upstreams_pace`.
            if let Some(seconds) = wait.filter(|seconds| *seconds > LONGEST_WAIT) {
                return Err(format!("{why}, with Retry-After {seconds} s: come back later"));
            }
            if left == 0 {
                return Err(format!("{why}, after {} retries", self.pace.retries));
            }
            // The pause before a retry is at least as long as the pause before any other request.
            request.pause = wait.map_or(pause, Duration::from_secs).max(self.pace.delay);
            pause = (pause * 2).min(FIRST_PAUSE * 2_u32.pow(DOUBLINGS));
        }
        Err("no attempt was made".to_owned())
    }
}

/// Returns whether a retry may succeed. A 502 for a list that isn't in the order of its route is permanent.
fn is_passing(answer: &ProbeAnswer) -> bool {
    let passing = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let is_unsorted = || refusal(answer.status, &answer.body).contains(Code::UpstreamUnsorted.as_str());
    passing.iter().any(|known| known.as_u16() == answer.status) && !is_unsorted()
}
