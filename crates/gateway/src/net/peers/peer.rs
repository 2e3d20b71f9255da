//! A peer: an address of an upstream, with its health and its requests in flight.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::health::{Health, HealthReport};

/// An address of an upstream.
#[derive(Debug)]
pub struct Peer {
    /// The address and port to which connections are made.
    pub address: SocketAddr,
    /// The health, kept as long as the peer's name has the address.
    pub health: Health,
    in_flight: AtomicUsize,
    /// The time of the next health check; `None` while a check is being made.
    next_check: Mutex<Option<Instant>>,
}

/// A request in flight to a peer. Dropping the value removes the request from the peer's count.
#[derive(Debug)]
pub struct PeerRequest(Arc<Peer>);

/// A health check that is being made. Dropping the value lets the next check begin.
#[derive(Debug)]
pub struct PendingCheck {
    pub peer: Arc<Peer>,
    /// The time at which the next check is due.
    next: Instant,
}

impl Peer {
    /// Creates a healthy peer.
    #[must_use]
    pub fn new(address: SocketAddr, now: Instant) -> Arc<Self> {
        let (health, next_check) = (Health::new(now), Mutex::new(Some(now)));
        Arc::new(Self { address, health, in_flight: AtomicUsize::new(0), next_check })
    }

    /// Returns the number of requests in flight to this address.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the health as it is shown to operators.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        self.health.report()
    }

    /// Forgets the results of health checks, because a new configuration has other checks.
    pub fn forget_checks(&self, now: Instant) {
        self.health.forget_checks(now);
    }

    /// Counts a request in flight, until the returned value is dropped.
    pub fn request(self: &Arc<Self>) -> PeerRequest {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        PeerRequest(Arc::clone(self))
    }

    /// Begins a health check; returns `None` if no check is due or one is already being made. The following check is
    /// due at `next`.
    pub fn begin_check(self: &Arc<Self>, now: Instant, next: Instant) -> Option<PendingCheck> {
        self.next_check.lock().unwrap_or_else(PoisonError::into_inner).take_if(|due| *due <= now)?;
        Some(PendingCheck { peer: Arc::clone(self), next })
    }
}

impl std::ops::Deref for PeerRequest {
    type Target = Arc<Peer>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for PeerRequest {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for PendingCheck {
    fn drop(&mut self) {
        *self.peer.next_check.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.next);
    }
}
