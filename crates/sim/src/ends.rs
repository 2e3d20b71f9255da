//! Lists whose end is hard to tell: the upstream leaves out rows after it has applied the size, or cuts its answers by
//! bytes or by a cap that changes within the list, and its totals, flags and statuses may be right, wrong or missing.
//!
//! The judge of a walk knows only the list itself. Each row that was there and visible throughout must be delivered
//! exactly once, in order; a walk that ends before such a row has a *false end*. Upstreams exist that give the same
//! answers whether a list goes on or not, so some false ends can't be avoided. They may then be marked
//! (`PageFacts::doubted_end`) or not, and `bounds` records how many there may be.
//!
//! `facts` are the statements of answers, `scenario` is a walk as data, `upstream` the list and the API in front of it,
//! and `walk` the client, which walks to the end and back. `judge` compares the walk with the list, `kinds` counts the
//! walks that meet answers of each kind, and `table` prints the figures of each kind of world.

mod bounds;
mod facts;
mod judge;
mod kinds;
mod scenario;
mod shrink;
pub(crate) mod table;
mod tally;
mod text;
mod upstream;
mod walk;

pub(crate) use scenario::Scenario;
pub(crate) use shrink::smaller;
pub(crate) use tally::Tally;
pub(crate) use walk::{Outcome, walk};

/// Returns the fault of a walk that loses or repeats items without saying so, as `promise: what`; `None` without such a
/// fault.
pub(crate) fn silent_fault(outcome: &Outcome) -> Option<String> {
    let Outcome { forward, back, against, .. } = outcome;
    let wrong = bounds::Wrong::silent(outcome)?;
    Some(format!("{}: forward {forward:?}, back {back:?}, against the end {against:?}", wrong.name()))
}
