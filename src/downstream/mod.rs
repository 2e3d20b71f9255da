//! Towards the client: what a request asks for, and what the answer looks like. Pure: facts in, bytes out.
//!
//! A request goes through [`params`] (its query, as pairs by [`query`]) and [`legacy`] (what becomes of requests by page
//! or offset). A page comes back through [`links`], [`envelope`] (compiled from a configured
//! JSON skeleton) and [`response`] (headers); everything that goes wrong on the way is a [`problem::Problem`].

pub mod caching;
mod code;
pub mod envelope;
pub mod etag;
mod facts;
mod filters;
#[cfg(test)]
mod fixture;
pub mod legacy;
pub mod links;
mod members;
pub mod params;
mod placeholder;
pub mod problem;
pub mod query;
pub mod response;
mod skeleton;
mod sort;

pub use envelope::{EnvelopeTemplate, Facts, Needs};
pub use legacy::LegacyDecision;
pub use links::{LinkBase, LinkSet};
pub use params::{Filters, LinkTo, ListRequest, Parameters, Place, RequestKind};
pub use problem::{Code, Problem};
pub use response::Response;
