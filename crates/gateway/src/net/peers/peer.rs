//! A peer: an address of an upstream, with its health and its requests in flight.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pingora::protocols::tls::HandshakeCompleteHook;

use super::health::{Health, HealthReport};
use crate::tls::report;

/// An address of an upstream.
#[derive(Debug)]
pub struct Peer {
    /// The address and port to which connections are made.
    pub address: SocketAddr,
    /// The health, kept as long as the peer's name has the address.
    pub health: Health,
    in_flight: AtomicUsize,
    certificate: ShownCertificate,
    figures: PeerFigures,
    /// The time of the last failure or unreadable answer, and what it was; `None` before the first one.
    remark: Mutex<Option<(Instant, String)>>,
    /// The number of answers after whose end bytes followed.
    surplus: AtomicU64,
    /// The number of times that the pool of connections to the peer was abandoned.
    abandoned: AtomicU64,
    /// The time of the last one; `None` before the first one.
    last_abandoned: Mutex<Option<Instant>>,
    /// The time of the next health check; `None` while a check is being made.
    next_check: Mutex<Option<Instant>>,
}

/// The certificate that a peer has shown last.
struct ShownCertificate {
    /// Its end in seconds since 1970; 0 if the peer has shown none.
    end: Arc<AtomicI64>,
    /// Notes the end after a handshake.
    hook: HandshakeCompleteHook,
}

impl ShownCertificate {
    fn none() -> Self {
        let end = Arc::new(AtomicI64::new(0));
        let noted = Arc::clone(&end);
        let hook: HandshakeCompleteHook = Arc::new(move |ssl| {
            if let Some(certificate) = ssl.peer_certificate() {
                noted.store(report::not_after(&certificate), Ordering::Relaxed);
            }
            None
        });
        Self { end, hook }
    }
}

impl std::fmt::Debug for ShownCertificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ShownCertificate").field("end", &self.end).finish_non_exhaustive()
    }
}

/// The counts of a peer since its address is known.
#[derive(Debug, Default)]
struct PeerFigures {
    requests: AtomicU64,
    failures: AtomicU64,
    answers: AtomicU64,
    /// The sum of the times of all answers, in microseconds.
    micros: AtomicU64,
}

/// The counts of a peer at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCounts {
    /// The requests that were sent or tried to be sent, among them retries.
    pub requests: u64,
    /// The requests that the peer failed: it couldn't be reached, was late, its answer was a failure, or another peer had
    /// to give the page.
    pub failures: u64,
    /// The answers whose time was measured.
    pub answers: u64,
    /// The sum of their times.
    pub took: Duration,
}

/// A request in flight to a peer. Dropping the value removes the request from the peer's count.
#[derive(Debug)]
pub struct PeerRequest {
    peer: Arc<Peer>,
    began: Instant,
}

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
        let (in_flight, abandoned, surplus) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (figures, remark, last_abandoned) = (PeerFigures::default(), Mutex::default(), Mutex::default());
        let certificate = ShownCertificate::none();
        Arc::new(Self {
            address,
            health,
            in_flight,
            certificate,
            figures,
            remark,
            surplus,
            abandoned,
            last_abandoned,
            next_check,
        })
    }

    /// Returns the end of the certificate that the peer has shown last, in seconds since 1970; `None` if it has shown none.
    #[must_use]
    pub fn certificate_end(&self) -> Option<i64> {
        Some(self.certificate.end.load(Ordering::Relaxed)).filter(|end| *end != 0)
    }

    /// Returns the hook that notes the peer's certificate after a handshake.
    pub(super) fn handshake_hook(&self) -> HandshakeCompleteHook {
        Arc::clone(&self.certificate.hook)
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

    /// Counts a request that begins at `now`. It is in flight until the returned value is dropped.
    pub fn request(self: &Arc<Self>, now: Instant) -> PeerRequest {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.figures.requests.fetch_add(1, Ordering::Relaxed);
        PeerRequest { peer: Arc::clone(self), began: now }
    }

    /// Counts a failed request, and notes what its failure was.
    pub(super) fn note_failure(&self, said: &str, now: Instant) {
        self.figures.failures.fetch_add(1, Ordering::Relaxed);
        self.remark(said, now);
    }

    /// Notes what was wrong with an answer, whether or not it counts as a failure.
    pub(super) fn remark(&self, said: &str, now: Instant) {
        *self.remark.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, said.to_owned()));
    }

    /// Counts an answer with bytes after its end. Returns the number of such answers.
    pub(super) fn note_surplus(&self) -> u64 {
        self.surplus.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns the time of the last failure or unreadable answer, and what it was; `None` before the first one.
    #[must_use]
    pub fn last_remark(&self) -> Option<(Instant, String)> {
        self.remark.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the counts of the peer.
    #[must_use]
    pub fn counts(&self) -> PeerCounts {
        let PeerFigures { requests, failures, answers, micros } = &self.figures;
        let [requests, failures, answers, micros] =
            [requests, failures, answers, micros].map(|count| count.load(Ordering::Relaxed));
        PeerCounts { requests, failures, answers, took: Duration::from_micros(micros) }
    }

    /// Abandons the pool of connections to the peer: later requests use a new pool. Returns `false` if that has been done
    /// within the last second.
    pub(super) fn abandon_pool(&self, now: Instant) -> bool {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        let last = self.last_abandoned.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) > Duration::from_secs(1))
    }

    /// Returns the number of requests for which the pool was abandoned.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Returns the number of the pool that requests use.
    pub(super) fn pool(&self) -> u64 {
        self.lost()
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
        &self.peer
    }
}

impl PeerRequest {
    /// Counts an answer at `now`, with its time since the request began. Returns the time at which it began.
    pub(super) fn note_answer(&self, now: Instant) -> Instant {
        let took = now.saturating_duration_since(self.began).as_micros();
        self.peer.figures.answers.fetch_add(1, Ordering::Relaxed);
        self.peer.figures.micros.fetch_add(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.began
    }
}

impl Drop for PeerRequest {
    fn drop(&mut self) {
        self.peer.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for PendingCheck {
    fn drop(&mut self) {
        *self.peer.next_check.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.next);
    }
}
