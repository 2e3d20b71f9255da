//! The core: facts in, decisions out. It never awaits, reads a clock, draws a random number or touches a socket.
//!
//! What it promises of every page that it serves unflagged:
//!
//! - **none skipped**: every item that is there in every state that the upstream showed is delivered;
//! - **none repeated**: nothing comes twice with the same keys, and no id twice in one page;
//! - **in order**: each page goes on in the declared order, ties by id;
//! - **it moves**: each page moves strictly on, ends the walk, or is refused;
//! - **verbatim**: an item's bytes are the upstream's bytes;
//! - **honest**: a page is as sure as it says.
//!
//! One rule keeps them. For a page after an item *A*, an answer is used only if it *begins at or before* *A* (its first
//! item does not come after *A*, or it was asked from the very start) and *reaches beyond* it (an item comes after *A*, or
//! the answer ends the collection). The items after *A* are taken; if they are too few, the last one taken becomes the
//! anchor, and the next answer is held to the same rule. Before *A*: the mirror image. Only keys decide; offsets, totals
//! and links are beliefs that aim. An answer ends the collection only by evidence of the statement that made it:
//! `end` has that.
//!
//! Callers say what they want by a [`resolver::PageRequest`] and get [`resolver::Step`]s: fetch these, serve this page,
//! or refuse. The modules, from facts to decisions: [`order`] and [`key`] (what a list is sorted by, and how values
//! compare), [`window`] and [`paging`] (what can be asked), [`answer`] (what came), `rows`, `end` and `proof` (what it
//! proves), `plan` (what to ask), `collector` (what a page has so far), [`resolver`] (the loop), [`page`] and [`refusal`]
//! (how it ends; [`unsorted`] why items can't be compared).
//!
//! The strategies: `windows` (slices of a list whose order is declared), `keyset` (what filters and the flipped order,
//! which `mirror` reads, show of it at once; `attempt` goes back to the whole list), `seek` (keys that are looked up),
//! `anchored` (no declared order; `lowered` turns to it where an order is of no use), `token` (what the upstream hands out). Around each of them `totals` says how long the
//! list is, as the route wants it said.
//!
//! [`observed`] holds answers that others asked for against the same declarations, before a route serves them.

mod anchored;
pub mod answer;
pub mod cost;
mod decimal;
mod direction;
pub mod fetch;
pub mod filter;
pub mod fingerprint;
mod halt;
mod instant;
mod judge;
pub mod key;
mod keyset;
mod lowered;
pub mod mark;
mod mirror;
pub mod observed;
pub mod order;
pub mod paging;
mod parts;
mod plan;
mod policy;
mod port;
pub mod position;
mod read;
pub mod refusal;
mod request;
pub mod resolver;
mod rows;
pub mod rules;
mod seek;
mod token;
mod totals;
pub mod unsorted;
mod upstream;
pub mod window;
mod windows;

pub use judge::page;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
