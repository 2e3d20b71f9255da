//! Exact pages over APIs that page by offset, without input and output.
//!
//! An API that pages by `page=` or `offset=` repeats and skips items when its list changes between two pages. This
//! crate reads such a list page by page, each page after the last item of the one before, and proves from the answers
//! that no item is missing. It sends nothing: it returns the requests to make, and decides what their answers prove.
//!
//! [`resolve`](pagination::resolver::resolve) begins a page and returns a [`Step`](pagination::resolver::Step):
//! requests to make, a page to serve, or the reason why no page can be served.
//!
//! ```
//! use std::sync::Arc;
//! use cursorgate_core::{json::Span, pagination::{
//!     answer::Answer, fetch::Fetch, mark::{Mark, Marker}, order::{Order, SortKey, Ties},
//!     paging::{Family, Paging, Sizes}, position::{Hint, Position, Target},
//!     resolver::{Limit, PageRequest, Step, resolve},
//! }};
//!
//! /// Returns the answer of an API: the items that the request asks for, each a JSON number that is its own id.
//! fn answer(list: &[u32], fetch: &Fetch) -> Answer {
//!     let Fetch::Slice(slice, _) = fetch else { panic!("only slices are asked for") };
//!     let (mut body, mut items) = (Vec::new(), Vec::new());
//!     for id in list.iter().skip(slice.begins().0 as usize).take(slice.size().0 as usize) {
//!         let start = body.len() as u32;
//!         body.extend_from_slice(format!("{id},").as_bytes());
//!         items.push(Span { start, end: body.len() as u32 - 1 });
//!     }
//!     Answer::listed(body, items.clone(), items)
//! }
//!
//! let mut list: Vec<u32> = (1..=7).collect();
//! let order = Arc::new(Order::declared(Vec::new(), SortKey::ascending("id"), Ties::Ordered));
//! let paging = Arc::new(Paging::new(Family::Offset, Sizes::Free { least: 1, most: Some(100) }));
//! let limit = Limit::new(3).expect("3 is not 0");
//! let mut next = Some(Target { position: Position::Start, hint: Hint::default() });
//! let mut ids = Vec::new();
//! while let Some(target) = next {
//!     let marker = Marker::new(|_| Mark::of(0)); // for lists without an order, and for cursors that carry an id alone
//!     let mut step = resolve(PageRequest::new(target, limit, Arc::clone(&order), Arc::clone(&paging), marker));
//!     let page = loop {
//!         step = match step {
//!             Step::Fetch(fetches, pending) => {
//!                 pending.resume(fetches.iter().map(|fetch| answer(&list, fetch)).collect())
//!             }
//!             Step::Serve(page) => break page,
//!             Step::Refuse(refusal) => panic!("{refusal:?}"),
//!         };
//!     };
//!     ids.extend((0..page.items.len()).map(|index| String::from_utf8_lossy(page.item(index)).into_owned()));
//!     list.retain(|id| *id != 2); // the list changes: by offset, the next page would skip 4
//!     next = page.next.clone();
//! }
//! assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7"]);
//! ```
//!
//! - [`json`] finds the items, keys and facts of a page as byte ranges of its body.
//! - [`pagination`] decides where a page begins, which requests to send, and what the answers prove.

#![warn(missing_docs)]

pub mod json;
pub mod pagination;
