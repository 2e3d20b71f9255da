//! The interface of the core: a page sends fetches, gets answers, sends more fetches, and is served or refused.
//!
//! [`resolve`] begins a page, and [`Pending::resume`] continues it with the answers. `resume` consumes the `Pending`,
//! so a step can't be answered twice. Dropping a `Pending` cancels its page. Requests spend budget, so a page always
//! ends.

use std::{collections::HashSet, sync::Arc};

use super::{
    answer::Answer,
    fetch::Fetch,
    page::{ItemPlace, Level, Page},
    port::{Task, TaskState},
    position::Position,
    refusal::Refusal,
    totals,
    upstream::{Stop, UpstreamPort},
    window::Offset,
};

pub use super::request::{Budget, Limit, PageRequest, ShortPages, Totals, Verify, WhenUnproven};

/// The next step of a page.
#[derive(Debug)]
pub enum Step {
    /// The caller makes these fetches, at the same time if possible, and passes their answers to [`Pending::resume`] in
    /// the same order.
    Fetch(Vec<Fetch>, Pending),
    /// The page is complete.
    Serve(Box<Page>),
    /// No page can be served.
    Refuse(Refusal),
}

/// A page that waits for answers.
#[derive(Debug)]
pub struct Pending(Task);

/// Begins a page and returns its first step. The page needs an answer to each fetch, so the caller must retry failed
/// requests. If a [`Fetch::Count`] fails, its answer may be [`Answer::counted`] without a total.
#[must_use]
pub fn resolve(request: PageRequest) -> Step {
    debug_assert!(
        request.limit > 0 && request.budget.page <= request.budget.search,
        "limits and budgets are checked types"
    );
    debug_assert!(request.order.declared || request.order.strong.is_empty(), "an undeclared order has no strong keys");
    // If a token works only once, a page takes all items of the upstream page in which it ends, even beyond its limit.
    let most = if request.paging.tokens.single_use { usize::MAX } else { request.limit as usize };
    let order = Arc::clone(&request.order);
    let has_hint = !request.begins_the_list() && request.target.position != Position::End;
    let request = Box::new(request);
    step(Task::begin(move |port| async move {
        let mut up = UpstreamPort::new(port);
        let mut page = totals::tell(&mut up, request).await.map_err(Stop::into_refusal)?;
        let drift = page.notes.drift.unwrap_or(0).unsigned_abs();
        page.notes.profile.drift = has_hint.then(|| u32::try_from(drift).unwrap_or(u32::MAX));
        if !page.is_held_to(&order) {
            debug_assert!(false, "a strategy changes the list only for its parts");
            return Err(Refusal::PositionLost { nearest: Offset(page.offset) });
        }
        assert_whole(&page, most);
        Ok(page)
    }))
}

/// Asserts, in debug builds, the invariants of every page, whatever its level.
fn assert_whole(page: &Page, most: usize) {
    let stands = |place: &ItemPlace| {
        let answer = page.answers.get(place.answer as usize);
        answer.is_some_and(|answer| (place.item as usize) < answer.items.len())
    };
    debug_assert!(page.items.iter().all(stands), "an item of the page is in one of its answers");
    debug_assert!(page.items.len() <= most, "{} items are more than the limit of {most}", page.items.len());
    debug_assert!(
        page.items.iter().map(|place| (place.answer, place.item)).collect::<HashSet<_>>().len() == page.items.len(),
        "no item of an answer is on a page twice"
    );
    debug_assert!(page.unproven.is_none() || page.level() <= Level::Anchored, "a flagged page claims no proof");
    debug_assert!(page.notes.requests > 0, "a page takes at least one request");
    debug_assert!(
        page.answers
            .iter()
            .all(|answer| answer.item_tokens.is_empty() || answer.item_tokens.len() == answer.items.len()),
        "each item has a token, or none has"
    );
}

impl Pending {
    /// Continues the page with the answers to the fetches of this step: one answer for each fetch, in the same order.
    #[must_use]
    pub fn resume(self, answers: Vec<Answer>) -> Step {
        step(self.0.resume(answers))
    }
}

fn step(turn: TaskState) -> Step {
    match turn {
        TaskState::Ask(fetches, task) => Step::Fetch(fetches, Pending(task)),
        TaskState::End(Ok(page)) => Step::Serve(page),
        TaskState::End(Err(refusal)) => Step::Refuse(refusal),
    }
}
