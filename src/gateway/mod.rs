//! The shell: Pingora in front, upstreams behind, and one function in between that serves a page.
//!
//! ```text
//! answer      request_filter: front (is the head sound?), route (who covers it?)
//!   │           ├─ no list, or another method, or a legacy request that passes ──► forward: relay, passing, pace
//!   ▼
//! serve       downstream::Parameters   query → ListRequest
//!   │         tokens                   token → position
//!   │         exchange                 pagination::resolve ◄─► upstream::Dialect, upstream::fetch
//!   │         tokens, downstream       page → cursors, links, envelope → Response
//!   ▼
//! respond     cross_origin: who may read it from other origins; written with its exact length; access_log: one line
//! observe     beside forward: what passed is read afterwards, as serve would have, and counted
//! ```
//!
//! A request keeps the [`Snapshot`] that was in force when it began. Pages are never made in Pingora's body filters:
//! those run after the headers are gone, can't wait, and see no empty body.

pub(crate) mod forward;
pub(crate) mod lifecycle;
pub(crate) mod openapi;
pub(crate) mod outcome;
pub(crate) mod page;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod runtime;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod shared;

pub use pingora::server::Server;

pub use self::{
    lifecycle::{live::Live, snapshot::Snapshot},
    routes::{list::List, route::Route},
    server::listen::{Listening, Unready, certificate, companion, server},
    session::context::{Gateway, RequestIds},
};
