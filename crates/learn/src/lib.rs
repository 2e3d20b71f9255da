//! Learning an upstream: sends a bounded number of read-only requests to a live list, and derives the configuration of
//! its route from the answers.
//!
//! The module does no I/O: a [`Prober`] returns the next request and is resumed with its answer, like the resolver of
//! pages. A live server, recorded exchanges and the simulated upstreams of the tests are therefore all probed in the
//! same way. The steps, in their order:
//!
//! 1. `shape`: the items of one answer, their ids and fields, and the facts in addition to the items.
//! 2. `size`, `place`, `token`: the parameters that request a page, each found by its effect.
//! 3. `ends`: the cap, the total, the last page and the answer after it.
//! 4. `order`: the keys by which the items are sorted, and the comparison that their values follow.
//! 5. `sorting`, `ranges`: the parameters that sort and filter, each found by its effect.
//! 6. `surroundings`: the items' own resources, credentials, and links to other hosts.
//! 7. `types`: the types of the items in all answers.
//!
//! [`openapi`] reads the description of the list in an OpenAPI document, which only decides what the steps try first.
//! [`recording`] answers from recorded exchanges, and sends nothing. [`live`] checks a configured list with requests of
//! its own, [`traffic`] checks it with the requests of clients. [`findings`] contains the types of the result: each
//! finding with its evidence and its certainty. [`configuration`] writes the result as a configuration,
//! [`report`](mod@report) as text for people.

pub mod findings;
mod host;
pub mod live;
pub mod openapi;
mod order;
mod paging;
mod prober;
pub mod recording;
mod shape;
mod surroundings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod traffic;
mod types;
pub mod unchanged;
mod write;

pub use findings::{Certainty, Learnt, ListFinding};
pub use paging::token::{after_scheme, query_of};
pub use prober::{
    LearntOutcome, ProbeLimits, ProbeTarget, Prober, ProberStep, begin,
    port::{ProbeAnswer, ProbeFault, ProbeOutcome, ProbeRequest},
    session::ProbeSlot,
};
pub use shape::ListShape;
pub use surroundings::is_harmless;
pub use types::{SeenItems, types_document, types_operation};
pub use write::{WrittenUpstream, admin_port, configuration, first_body, gateway_port, report, route_name};
