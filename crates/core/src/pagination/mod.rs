//! The core: it makes pages from an upstream's answers, without an executor, a clock, random numbers or a socket.
//!
//! Each page that is served unflagged has these guarantees:
//!
//! - **none skipped**: an item that exists in every state of the list that the upstream showed is delivered;
//! - **none repeated**: no item comes twice with the same keys, and no id twice in one page;
//! - **in order**: each page continues in the declared order, with ties sorted by the id;
//! - **progress**: each page advances in the list, ends the walk, or is refused;
//! - **verbatim**: the bytes of an item are the upstream's bytes;
//! - **honest**: a page claims no stronger proof than it has.
//!
//! A single rule, which `judge` enforces, gives these guarantees. For a page after an item *A*, an answer is used only
//! if it *begins at or before* *A* (its first item doesn't come after *A*, or the request began at the start of the
//! list) and *reaches beyond* *A* (one of its items comes after *A*, or the answer ends the collection). The items
//! after *A* are taken. If they are too few, the last item taken becomes the anchor, and the next answer must follow
//! the same rule. A page before *A* is the mirror image. Only keys decide; offsets, totals and links are estimates that
//! help to aim. An answer ends the collection only by evidence of its own slice (`judge::end`). [`proof`] explains why
//! this suffices, and what it means for ties, seams, caps, filters, marks, tokens and caches.
//!
//! Callers describe a page by a [`resolver::PageRequest`] and get [`resolver::Step`]s: requests to make, a page to
//! serve, or a refusal. A page is read by straight-line `async` functions that await only answers (`port`). Each bound
//! is written at the loop that it bounds. The modules, from facts to decisions:
//!
//! - values: [`order`], [`key`], `grain` (values that are shown more coarsely than they are stored), [`window`],
//!   [`paging`], [`filter`], [`position`], [`mark`];
//! - requests and answers: [`fetch`], [`answer`], `plan` (the slices that cover a window), `parts` (the filters that
//!   show a part of the list);
//! - conclusions from answers: `rows` (comparison), `judge` (evidence, ends, and the pages that these prove);
//! - `upstream`: the access to the upstream, which sends and counts all requests of a page;
//! - `slices`: the procedure of every page that is read from slices (locate the place, take, confirm the end, search),
//!   with its requests, its budget and its knowledge of sizes;
//! - strategies: `windows` (slices of a list with a declared order, by keys), `keyset` (filters and the flipped list,
//!   and the whole list if these prove nothing), `seek` (keys that are looked up), `anchored` (slices of a list without
//!   a declared order, by marks), `lowered` (by keys, or by `anchored` if the order can't be used), `token`
//!   (continuations of the upstream). `read` chooses the strategy; `policy` defines the meaning of a route's `verify`,
//!   `unproven` and `short_pages` for all strategies; `totals` finds the length of the list;
//! - results: [`resolver`] (the steps of a page), [`page`], [`refusal`], and [`unsorted`] (the reason why items can't
//!   be compared).
//!
//! [`observed`] compares the answers to legacy requests with the declarations of their list, before a route serves that
//! list in pages.

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
pub mod proof;
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
