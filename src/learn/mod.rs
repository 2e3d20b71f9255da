//! Learning an upstream: a live list gets a bounded number of requests that only read, and its route is derived from
//! the answers.
//!
//! The module decides and does no I/O: a [`Prober`] returns the next request and is resumed with its answer, as the
//! resolver of pages is. So a live server, recorded exchanges and the simulated upstreams of the tests are all probed
//! in the same way. The steps, each in a file of its own, the most important first:
//!
//! 1. `shape`: the items, their ids and fields, and the facts beside them, of one answer.
//! 2. `size`, `place`, `token`: the parameters that request a page, each found by its effect.
//! 3. `ends`: the cap, the total, the last page and the answer after it.
//! 4. `order`: the keys by which the items are sorted, and the comparison that their values follow.
//! 5. `sorting`, `ranges`: the parameters that sort and filter, each found by its effect.
//! 6. `surroundings`: the items' own resources, credentials, and links to other hosts.
//!
//! [`openapi`] reads the description of the list in a document, which aims the steps. [`recording`] answers from
//! exchanges that were recorded, and sends nothing. [`live`] asks the same questions of a list that is configured,
//! [`traffic`] answers them from requests of others. [`findings`] has the result: each finding with its evidence and
//! its certainty. [`configuration`] turns it into a configuration, [`report`](mod@report) into text for people.

pub mod findings;
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
mod write;

pub use findings::{Certainty, Learnt, ListFinding};
pub use paging::token::{after_scheme, query_of};
pub use prober::{
    LearntOutcome, ProbeLimits, ProbeTarget, Prober, ProberStep, begin,
    port::{ProbeAnswer, ProbeFault, ProbeOutcome, ProbeRequest},
    session::ProbeSlot,
};
pub use shape::ListShape;
pub use write::{WrittenUpstream, configuration, gateway_port, report, route_name};
