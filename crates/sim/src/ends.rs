//! Lists whose end is hard to tell: the upstream leaves out rows after it has applied the size, and its totals, flags
//! and statuses may be right, wrong or missing.
//!
//! The judge of a walk knows only the list itself. Each row that was there and visible throughout must be delivered
//! exactly once, in order; a walk that ends before such a row has a *false end*. Upstreams exist that give the same
//! answers whether a list goes on or not, so some false ends can't be avoided. They may then be marked
//! (`PageFacts::doubted_end`) or not, and `bounds` records how many there may be.
//!
//! `facts` are the statements of answers, `scenario` is a walk as data, `upstream` the list and the API in front of it,
//! and `walk` the client, which walks to the end and back. `judge` compares the walk with the list, and `table` prints
//! the figures of each kind of world.

mod facts;
mod judge;
mod scenario;
pub(crate) mod table;
mod tally;
mod upstream;
mod walk;
