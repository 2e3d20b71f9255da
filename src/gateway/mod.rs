//! The gateway on Pingora: it accepts requests, serves pages through the core, and forwards other requests to
//! upstreams.
//!
//! ```text
//! server      connection: one head, checked before Pingora parses it
//!   │         dispatch: target, route, guard ── no list, or a legacy request that passes ──► forward
//!   ▼
//! page        serve: open, resolve, render
//!   │           context    query → ListRequest, order         cursors  token → position
//!   │           exchange   pagination::resolver ◄─► upstream::Dialect, upstream::net
//!   │           render     page → cursors, links, envelope → Response
//!   ▼
//! session     respond: written at the client's pace; observe: forwarded answers, read afterwards
//! outcome     one line in the access log, one count in each metric
//! ```
//!
//! A request keeps the [`Snapshot`] that was in force when it began. Pages aren't made in Pingora's body filters,
//! because these filters run after the headers are sent, can't wait, and don't see empty bodies.

pub(crate) mod cache;
pub(crate) mod explain;
pub(crate) mod forward;
pub(crate) mod identity;
pub(crate) mod lifecycle;
pub(crate) mod openapi;
pub(crate) mod outcome;
pub(crate) mod page;
pub(crate) mod probe;
pub(crate) mod replay;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod runtime;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod store;

pub use pingora::server::Server;

pub(crate) use self::lifecycle::process::PulseState;
pub use self::{
    lifecycle::{live::Live, snapshot::Snapshot},
    routes::{list::List, route::Route},
    server::listen::{Listening, Unready, companion, server},
    session::{
        compress::compress,
        context::{Gateway, RequestIds},
    },
};
