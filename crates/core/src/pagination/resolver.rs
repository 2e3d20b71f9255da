//! The loop: ask, look, ask again, serve or refuse.
//!
//! [`resolve`] begins a page, [`Pending::resume`] goes on with the answers. A `Pending` is consumed by its answers, so
//! the contract with whoever fetches is checked by the compiler; dropping it is cancelling. Every turn spends budget, so
//! the loop ends.

use super::{
    answer::Answer,
    fetch::Fetch,
    page::Page,
    port::{Task, Turn},
    refusal::Refusal,
    totals,
    upstream::{Stop, UpstreamPort},
};

pub use super::request::{Budget, Limit, PageRequest, ShortPages, Totals, Verify, WhenUnproven};

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Fetch these, at once if you can, and give the answers in the same order to [`Pending::resume`].
    Fetch(Vec<Fetch>, Pending),
    /// Serve this page.
    Serve(Box<Page>),
    /// No page can be served.
    Refuse(Refusal),
}

/// A page under way.
#[derive(Debug)]
pub struct Pending(Task);

/// Begins a page.
#[must_use]
pub fn resolve(request: PageRequest) -> Step {
    step(Task::begin(|port| async move {
        let mut up = UpstreamPort::new(port);
        totals::tell(&mut up, request).await.map(Box::new).map_err(Stop::into_refusal)
    }))
}

impl Pending {
    /// Goes on with the answers to the fetches that this came with, one for each, in their order.
    #[must_use]
    pub fn resume(self, answers: Vec<Answer>) -> Step {
        step(self.0.resume(answers))
    }
}

fn step(turn: Turn) -> Step {
    match turn {
        Turn::Ask(fetches, task) => Step::Fetch(fetches, Pending(task)),
        Turn::End(Ok(page)) => Step::Serve(page),
        Turn::End(Err(refusal)) => Step::Refuse(refusal),
    }
}
