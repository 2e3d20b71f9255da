//! What one request carries through the shell: the gateway that answers it, and what is kept for it.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{client_request, observe};
use crate::{
    gateway::{
        lifecycle::{
            live::Live,
            process::{InFlight, Vitals},
            snapshot::Snapshot,
        },
        outcome::access_log::Outcome,
        request::target::RequestTarget,
        routes::{cross_origin::CrossOrigin, table::RouteMatch},
        shared::slots,
    },
    upstream::net::{fetch::Fetcher, memory::MemoryShare},
};

/// The gateway: what is in force, and the connections to upstreams.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) live: Arc<Live>,
    pub(crate) fetcher: Fetcher,
    pub(crate) readers: observe::Readers,
    pub(crate) vitals: Vitals,
    pub(crate) ids: Arc<RequestIds>,
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
pub struct RequestContext {
    pub(crate) snapshot: Arc<Snapshot>,
    /// The answer that passes, where it is read too.
    pub(crate) observation: Option<Box<observe::Observation>>,
    pub(crate) cross_origin: Option<CrossOrigin>,
    pub(crate) outcome: Outcome,
    /// Its share of memory.
    pub(crate) held: MemoryShare,
    /// Its slot at the upstream, where the request is forwarded.
    pub(crate) slot: Option<slots::UpstreamSlot>,
    /// Whether the client sent on before it was answered: then this is the last answer on its connection.
    pub(crate) surplus: Surplus,
    pub(crate) _in_flight: InFlight,
}

/// A request that the upstream answers itself.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) found: RouteMatch,
    pub(crate) target: RequestTarget,
    pub(crate) client: client_request::Client,
    /// The first page of the same list by cursor, where the request is a legacy one for a list.
    pub(crate) successor: Option<String>,
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

    pub(crate) fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.process.len() + 1 + 16);
        id.push_str(&self.process);
        id.push('-');
        let _ = write!(id, "{number:x}");
        id
    }
}

/// Whether a client sent on after the end of its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surplus(Arc<AtomicBool>);

impl Surplus {
    /// Remembers that it did.
    pub(crate) fn notice(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it did.
    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Panics where a test wants it, by the path of a request; there is no such thing in the program.
#[cfg(test)]
pub(crate) fn seam(outcome: &Outcome, place: &str) {
    assert!(outcome.path != format!("/panic/{place}"), "in {place}, by a test");
}

#[cfg(not(test))]
pub(crate) const fn seam(_outcome: &Outcome, _place: &str) {}
