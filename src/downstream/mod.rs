//! Towards the client: what a request asks for, and what the answer looks like. Pure: facts in, bytes out.
//!
//! A request goes through [`cors`] (what browsers ask beforehand), [`params`] (its query, as pairs by [`query`], and its
//! [`mod@body`]) and [`legacy`] (what becomes of requests by page or offset). A page comes back through [`links`],
//! [`envelope`] (compiled from a configured
//! JSON skeleton) and [`response`] (headers); everything that goes wrong on the way is a [`problem::Problem`].
//! [`schema`] says what all of it looks like.

pub mod body;
pub mod caching;
mod code;
mod content;
mod convention;
pub mod cors;
pub mod envelope;
mod error_form;
pub mod etag;
mod facts;
mod filters;
#[cfg(test)]
pub(crate) mod fixture;
pub mod legacy;
pub mod links;
mod members;
pub mod output;
mod page_source;
pub mod params;
mod placeholder;
mod preference;
pub mod problem;
pub mod query;
pub mod response;
pub mod schema;
mod skeleton;
mod sort;

pub use body::RequestBody;
pub use content::Content;
pub use convention::{Chosen, Convention, Conventions};
pub use cors::CorsPolicy;
pub use envelope::{EnvelopeTemplate, Facts, ItemCursors, Needs};
pub use legacy::LegacyDecision;
pub use links::{LinkBase, LinkSet};
pub use params::{Filters, LegacyQuery, LegacySort, LinkTo, ListRequest, Parameters, Place, RequestKind};
pub use preference::{PREFERENCE_APPLIED, Preferences};
pub use problem::{Code, Problem};
pub use response::Response;
