//! The core: it makes pages of an upstream's answers, without an executor, a clock, random numbers or a socket.
//!
//! The guarantees of each page that is served unflagged:
//!
//! - **none skipped**: every item that exists in every state that the upstream showed is delivered;
//! - **none repeated**: no item comes twice with the same keys, and no id twice in one page;
//! - **in order**: each page continues in the declared order, ties by id;
//! - **progress**: each page moves strictly on, ends the walk, or is refused;
//! - **verbatim**: the bytes of an item are the upstream's bytes;
//! - **honest**: a page claims no stronger proof than it has.
//!
//! A single rule keeps them, and `judge` holds it. For a page after an item *A*, an answer is used only if it *begins
//! at or before* *A* (its first item does not come after *A*, or it was asked from the very start) and *reaches beyond*
//! it (an item comes after *A*, or the answer ends the collection). The items after *A* are taken; if they are too few,
//! the last one taken becomes the anchor, and the next answer is held to the same rule. Before *A*: the mirror image.
//! Only keys decide; offsets, totals and links are estimates that help to aim. An answer ends the collection only by
//! evidence of its own slice (`judge::end`).
//!
//! Callers describe a page by a [`resolver::PageRequest`] and get [`resolver::Step`]s: requests to make, a page to
//! serve, or a refusal. A page is read by straight-line `async` functions that await nothing but answers (`port`), so
//! that the place in the procedure is a line of code, and each bound stands at its loop. Modules, from facts to
//! decisions:
//!
//! - values: [`order`], [`key`], `grain` (values that are shown more coarsely than they are stored), [`window`],
//!   [`paging`], [`filter`], [`position`], [`mark`];
//! - questions and answers: [`fetch`], [`answer`], `plan` (the slices that cover a window), `parts` (the filters that
//!   show a part of the list);
//! - what follows from answers: `rows` (comparison), `judge` (evidence, ends, and the pages that rest on them);
//! - `upstream`: the access to the upstream, which all requests of a page go through and are counted by;
//! - `slices`: the procedure of every page that is read from slices (locate the place, take, confirm the end, search),
//!   its requests and budget, and what they teach of sizes;
//! - strategies: `windows` (slices of a list whose order is declared, by keys), `keyset` (filters and the flipped list,
//!   and the whole list where these prove nothing), `seek` (keys that are looked up), `anchored` (slices of a list
//!   without a declared order, by marks; `lowered` turns to it where an order is of no use), `token` (continuations of
//!   the upstream). `read` chooses one; `policy` defines the meaning of a route's `verify`, `unproven` and
//!   `short_pages` for all of them; `totals` finds the length of the list;
//! - [`resolver`] (the loop), [`page`] and [`refusal`] (how it ends; [`unsorted`]: why items can't be compared).
//!
//! [`observed`] compares the answers to legacy requests with the declarations of their list, before a route serves it
//! in pages.

mod anchored;
pub mod answer;
pub mod checker;
pub mod cost;
mod decimal;
mod direction;
pub mod fetch;
pub mod filter;
pub mod fingerprint;
mod grain;
mod instant;
mod judge;
pub mod key;
mod keyset;
mod limits;
mod lowered;
pub mod mark;
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
mod slices;
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
