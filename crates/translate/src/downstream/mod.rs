//! The side of the clients: requests are read, and pages and problems are rendered, without I/O.
//!
//! [`request`] reads the query, body, sort and preferences of a request. [`envelope`] renders pages by skeletons that
//! [`render`] has compiled. [`response`] adds headers for caches, browsers and legacy clients. All refusals are
//! [`problem::Problem`]s.

pub mod envelope;
#[cfg(test)]
pub mod fixture;
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
pub use render::{content::Content, output::ROOM_AFTER_ITEMS};
pub use request::{
    body::RequestBody,
    params::{
        DialectNames, LegacyQuery, LegacySort, LinkTo, ListRequest, Parameters, RequestFilters, RequestKind,
        RequestedPosition,
    },
    preference::{PREFERENCE_APPLIED, Preferences},
    public_address::{PublicAddress, RequestAddress},
};
pub use response::{Response, cors::CorsPolicy, legacy::LegacyDecision};
