//! The side of the legacy API: requests to upstreams, and their answers.
//!
//! A [`Dialect`] is compiled from its settings once, when a configuration is loaded. For each fetch of the core it
//! writes an [`UpstreamRequest`], and it reads status, headers and body of the response as an
//! [`Answer`](cursorgate_core::pagination::answer::Answer).

pub mod contract;
pub mod dialect;
pub mod order;
pub mod place;
pub mod request;
pub mod response;
pub mod template;
#[cfg(test)]
mod testing;

pub use contract::{HeldContract, hold};
pub use dialect::{
    Dialect,
    cost::{Costs, PageCosts},
    legacy::{LegacyFault, LegacyWindow},
    observed::ObservedRequest,
};
pub use order::{
    guarantee::Guarantee,
    sort::{CompiledOrder, Unsortable},
};
pub use request::headers::{ClientOrigin, HeaderRefusal, request_headers};
pub use response::{
    error::ReadingError,
    reading::witnesses::{EndClaim, EndWitnesses},
};
pub use template::{
    ask::{Unaskable, UpstreamRequest},
    places::Places,
};
