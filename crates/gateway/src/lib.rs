//! The gateway on Pingora: it accepts requests, serves pages through the core, and forwards other requests to
//! upstreams.
//!
//! ```text
//! server      connection: one head, checked before Pingora parses it
//!   │         dispatch: target, route, guard ── no list, or a legacy request that passes ──► forward
//!   ▼
//! page        serve: open, resolve, render
//!   │           context    query → ListRequest, order         cursors  token → position
//!   │           exchange   pagination::resolver ◄─► upstream::Dialect, net
//!   │           render     page → cursors, links, envelope → Response
//!   ▼
//! session     respond: written at the client's pace; observe: forwarded answers, read afterwards
//! outcome     one line in the access log, one count in each metric
//! ```
//!
//! A request keeps the [`Snapshot`] that was in force when it began. Pages aren't made in Pingora's body filters,
//! because these filters run after the headers are sent, can't wait, and don't see empty bodies.

pub mod admin;
pub mod cache;
pub mod explain;
pub mod forward;
pub mod identity;
pub mod lifecycle;
pub mod net;
pub mod openapi;
pub mod outcome;
pub mod page;
pub mod probe;
pub mod replay;
pub mod request;
pub mod routes;
pub mod runtime;
pub mod server;
pub mod session;
pub mod shared;
pub mod store;
pub mod tls;

pub use pingora::server::Server;

pub use self::lifecycle::process::PulseState;
pub use self::{
    lifecycle::{live::Live, snapshot::Snapshot},
    routes::{list::List, route::Route},
    server::listen::{Listening, Unready, companion, server},
    session::{
        compress::compress,
        context::{Gateway, RequestIds},
    },
};
