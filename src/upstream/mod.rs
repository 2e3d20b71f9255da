//! Towards the legacy API: how an upstream is asked, and how its answers are read.
//!
//! A [`Dialect`] is compiled from its settings once, when a configuration is loaded. For each request of the core it
//! writes a path, a query and headers ([`UpstreamRequest`]), and turns status, headers and body into an
//! [`Answer`](crate::pagination::answer::Answer). Everything here but [`connection`], [`fetch`] and
//! [`resolve`] is free of I/O.

pub mod dialect;
pub mod net;
pub mod order;
pub mod place;
pub mod request;
pub mod response;
pub mod template;
#[cfg(test)]
mod testing;

pub use dialect::{
    Dialect,
    cost::{Costs, PageCosts},
    legacy::{LegacyFault, LegacyWindow},
};
pub use order::{
    guarantee::Guarantee,
    sort::{CompiledOrder, Unsortable},
};
pub use request::headers::{ClientOrigin, HeaderRefusal, request_headers};
pub use response::error::ReadingError;
pub use template::ask::{Unaskable, UpstreamRequest};
