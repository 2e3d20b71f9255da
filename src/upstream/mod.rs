//! Towards the legacy API: how an upstream is asked, and how its answers are read.
//!
//! A [`Dialect`] is compiled from its settings once, when a configuration is loaded. For each request of the core it
//! writes a path, a query and headers ([`Ask`]), and turns status, headers and body into an
//! [`Answer`](crate::pagination::answer::Answer). Everything here but [`connection`], [`fetch`] and
//! [`resolve`] is free of I/O.

mod ask;
mod body;
pub mod connection;
mod content_range;
pub mod cost;
pub mod dialect;
mod document;
mod doubts;
mod failed;
pub mod fetch;
mod fields;
mod filter;
mod header;
pub mod headers;
mod health;
pub mod legacy;
mod link;
pub mod link_header;
mod matching;
pub mod memory;
mod mode;
pub mod observed;
mod orders;
mod paging;
mod pairs;
mod place;
pub mod promise;
mod query;
pub mod reading;
pub mod resolve;
mod resource;
pub mod sort;
mod template;
#[cfg(test)]
mod testing;
mod token;

pub use ask::{Ask, Unaskable};
pub use cost::{Costs, PageCosts};
pub use dialect::Dialect;
pub use headers::{ClientOrigin, HeaderRefusal, request_headers};
pub use legacy::{LegacyFault, LegacyWindow};
pub use paging::Places;
pub use promise::Promise;
pub use reading::ReadingError;
pub use sort::{Sorted, Unsortable};
