//! Towards the client: what a request asks for, and what the answer looks like. Pure: facts in, bytes out.
//!
//! A request goes through [`cors`] (what browsers ask beforehand), [`params`] (its query, as pairs by [`query`], and its
//! [`mod@body`]) and [`legacy`] (what becomes of requests by page or offset). A page comes back through [`links`],
//! [`envelope`] (compiled from a configured
//! JSON skeleton) and [`response`] (headers); everything that goes wrong on the way is a [`problem::Problem`].
//! [`schema`] says what all of it looks like.

pub mod envelope;
#[cfg(test)]
pub(crate) mod fixture;
pub mod problem;
pub mod render;
pub mod request;
pub mod response;

pub use envelope::{
    EnvelopeTemplate, Needs,
    convention::{Convention, Conventions, NegotiatedConvention},
    links::{LinkBase, LinkSet},
    page_facts::{Facts, ItemCursors},
};
pub use problem::{Code, Problem};
pub use render::content::Content;
pub use request::{
    body::RequestBody,
    params::{
        LegacyQuery, LegacySort, LinkTo, ListRequest, Parameters, RequestFilters, RequestKind, RequestedPosition,
    },
    preference::{PREFERENCE_APPLIED, Preferences},
};
pub use response::{Response, cors::CorsPolicy, legacy::LegacyDecision};
