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
//! respond     crossing: who may read it from other origins; written with its exact length; access_log: one line
//! observe     beside forward: what passed is read afterwards, as serve would have, and counted
//! ```
//!
//! A request keeps the [`Snapshot`] that was in force when it began. Pages are never made in Pingora's body filters:
//! those run after the headers are gone, can't wait, and see no empty body.

pub mod access_log;
pub mod admission;
mod answer;
mod asked;
mod body;
mod caller;
pub mod clock;
pub mod connection;
mod crossing;
pub mod descriptors;
mod exchange;
mod failure;
mod flights;
mod forward;
mod front;
mod gate;
mod guard;
pub mod handshakes;
mod head;
mod item;
mod join;
mod learning;
pub mod lifecycle;
pub mod list;
mod listen;
pub mod live;
pub mod log_queue;
mod machine;
pub mod metrics;
pub mod migration;
pub mod observe;
pub mod openapi;
mod pace;
mod passing;
mod path;
mod patience;
pub mod pivots;
mod proxy;
mod relay;
pub mod reload;
mod respond;
pub mod route;
mod serve;
pub mod slots;
pub mod snapshot;
mod tokens;
pub mod upstream;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use access_log::Outcome;
use crossing::Crossing;
use front::Target;
use gate::Surplus;
use lifecycle::{InFlight, Vitals};
pub use listen::{Listening, Unready, certificate, companion, server};
use live::Live;
pub use pingora::server::Server;
use route::Found;
pub use snapshot::Snapshot;

use crate::upstream::{fetch::Fetcher, memory::Held};

/// The gateway: what is in force, and the connections to upstreams.
#[derive(Debug)]
pub struct Gateway {
    live: Arc<Live>,
    fetcher: Fetcher,
    readers: observe::Readers,
    vitals: Vitals,
    ids: Arc<RequestIds>,
}

impl Gateway {
    /// A gateway over what is in force.
    #[must_use]
    pub fn new(live: Arc<Live>, vitals: Vitals, ids: Arc<RequestIds>) -> Self {
        Self { live, fetcher: Fetcher::default(), readers: observe::Readers::default(), vitals, ids }
    }
}

/// What is kept for one request: the snapshot it began with, the route that covers it, who may read the answer, and what
/// becomes of it.
#[derive(Debug)]
pub struct Context {
    snapshot: Arc<Snapshot>,
    /// The answer that passes, where it is read too.
    observation: Option<Box<observe::Observation>>,
    crossing: Option<Crossing>,
    outcome: Outcome,
    /// Its share of memory.
    held: Held,
    /// Its slot at the upstream, where the request is forwarded.
    slot: Option<slots::Slot>,
    /// Whether the client sent on before it was answered: then this is the last answer on its connection.
    surplus: Surplus,
    _in_flight: InFlight,
}

/// A request that the upstream answers itself.
#[derive(Debug)]
struct Forwarded {
    found: Found,
    target: Target,
    client: asked::Client,
    /// The first page of the same list by cursor, where the request is a legacy one for a list.
    successor: Option<String>,
}

/// Ids of requests: random for each process, counted within it. Those that clients send are not trusted.
#[derive(Debug)]
pub struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    /// The first one of a process is 1.
    ///
    /// # Errors
    ///
    /// Where the system gives no random bytes.
    pub fn new() -> Result<Arc<Self>, getrandom::Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Arc::new(Self { process: format!("{:016x}", u64::from_be_bytes(bytes)), next: AtomicU64::new(1) }))
    }

    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.process.len() + 1 + 16);
        id.push_str(&self.process);
        id.push('-');
        let _ = write!(id, "{number:x}");
        id
    }
}
