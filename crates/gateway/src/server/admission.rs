//! Admission of connections: a limit for all clients and one for each address. At a limit, a new client takes the place
//! of a connection without a request in progress, so idle connections can't shut clients out.
//!
//! Connections in the middle of a head are closed first, and those that have sent nothing for longer than a client needs
//! to send a head; then those that wait for another request, the one that has waited longest first. Only if there are
//! none of these, the oldest of the new connections is closed, after a refusal with 503. A crowd of silent connections
//! would else shut out all others for as long as these have time to send their heads.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::handshakes::Handshakes;
use crate::{runtime::clock, shared::clients::whose};

/// The time for which a connection that has sent nothing yet counts as new. A client needs a round trip to send its head,
/// and a thousand other clients can connect in that time. A connection in the middle of a head isn't new, because a head
/// arrives at once unless a client delays it on purpose.
const FIRST_BYTE_GRACE: Duration = Duration::from_secs(5);

/// The shortest time between two log lines about too many connections.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The longest time that a new client waits for the connection that it displaces to close. Afterwards the client is
/// served even if that connection is still open.
const CLOSING: Duration = Duration::from_secs(1);

/// The reason that a connection ends early or isn't admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The server is at its limit, and all of its connections have requests in progress.
    Full,
    /// The client's address is at its limit, and all of its connections have requests in progress.
    FullForAddress,
    /// A new client took the place of a connection without a request.
    Displaced,
    /// The listener expects a head of the PROXY protocol, and the client's address isn't in the list of proxies that
    /// may connect.
    ProxyUntrusted,
    /// The head of the PROXY protocol was missing, invalid or late.
    ProxyHeadInvalid,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// The head of a request took too long to arrive.
    HeadTimeout,
    /// The client closed in the middle of a head, or didn't begin an HTTP/2 connection correctly.
    HeadCut,
    /// The client sent too many HTTP/2 frames other than requests, such as pings and resets, or too many malformed
    /// requests.
    Flood,
}

impl Dropped {
    /// All reasons, in the order in which the metric lists them.
    pub const ALL: [Self; 10] = [
        Self::Full,
        Self::FullForAddress,
        Self::Displaced,
        Self::ProxyUntrusted,
        Self::ProxyHeadInvalid,
        Self::HandshakeFailed,
        Self::HandshakeTimeout,
        Self::HeadTimeout,
        Self::HeadCut,
        Self::Flood,
    ];

    /// Returns the label of the reason in metrics, such as `head_timeout`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullForAddress => "full_for_address",
            Self::Displaced => "displaced",
            Self::ProxyUntrusted => "proxy_untrusted",
            Self::ProxyHeadInvalid => "proxy_head_invalid",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::HeadCut => "head_cut",
            Self::Flood => "flood",
        }
    }
}

/// The limits of connections: in total, and for each address (IPv6: for each /64 prefix).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub most: usize,
    pub per_address: usize,
}

/// The connections of one server and their counters.
#[derive(Debug)]
pub struct Admission {
    places: ConnectionLimits,
    table: Mutex<Table>,
    epoch: Instant,
    accepted: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    handshakes: Handshakes,
    /// The time of the last log line about too many connections, in milliseconds since `epoch`; 0 before the first
    /// line.
    told: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Arc<ConnectionEntry>>,
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct ConnectionEntry {
    address: IpAddr,
    /// A [`QuietConnection`] as a number, [`BUSY`] or [`GONE`].
    state: AtomicU64,
    /// True if the place was taken before the client had time to send its head.
    was_new: AtomicBool,
    /// Notified when another client has taken the place.
    gone: Notify,
    /// Notified when the connection is closed.
    closed: Notify,
}

/// A connection without a request in progress. Times are in milliseconds since `Admission::epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuietConnection {
    /// It waits for its next request since this time.
    Idle(u64),
    /// Its first head should have arrived at this time, or its next head has begun to arrive.
    HeadDue(u64),
}

impl QuietConnection {
    fn to_state(self) -> u64 {
        match self {
            Self::Idle(since) => since << 1,
            Self::HeadDue(at) => at << 1 | 1,
        }
    }

    /// Returns the rank of the connection: the smallest one is displaced first.
    fn rank(state: u64, now: u64) -> (DisplacedGroup, u64) {
        let (is_idle, time) = (state & 1 == 0, state >> 1);
        let group = match is_idle {
            true => DisplacedGroup::Idle,
            false if time <= now => DisplacedGroup::Overdue,
            false => DisplacedGroup::New,
        };
        (group, time)
    }
}

/// The groups of connections without a request in progress, in the order in which they are displaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DisplacedGroup {
    Overdue,
    Idle,
    New,
}

/// The state of a connection with a request in progress.
const BUSY: u64 = u64::MAX;
/// The state of a connection whose place another client has taken.
const GONE: u64 = u64::MAX - 1;

/// The place of one connection. Dropping it frees the place.
#[derive(Debug)]
pub struct AdmittedConnection {
    id: u64,
    is_proxy: bool,
    entry: Arc<ConnectionEntry>,
    admission: Arc<Admission>,
}

impl Admission {
    /// Creates an admission without connections.
    #[must_use]
    pub fn new(places: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            places,
            table: Mutex::default(),
            epoch: clock::instant(),
            accepted: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            handshakes: Handshakes::default(),
            told: AtomicU64::new(0),
        })
    }

    /// Returns the number of open connections. A connection of HTTP/2 with several open streams counts once for each
    /// stream.
    #[must_use]
    pub fn open(&self) -> usize {
        self.table().open.len()
    }

    /// Returns the maximum number of open connections of all clients.
    #[must_use]
    pub fn most(&self) -> usize {
        self.places.most
    }

    /// Returns the number of connections that have been admitted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Returns the counters of failed TLS handshakes.
    #[must_use]
    pub fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// Returns the number of connections that ended, or weren't admitted, for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// Counts a connection that ends, or isn't admitted, for this reason.
    pub fn count(&self, reason: Dropped) {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Admits a client. If the client takes the place of another connection, waits until that connection is closed, at
    /// most for [`CLOSING`]. A proxy connects for many clients, so its address has no limit.
    ///
    /// # Errors
    ///
    /// Returns the limit that refuses the client.
    pub async fn enter(self: &Arc<Self>, address: IpAddr, is_proxy: bool) -> Result<AdmittedConnection, Dropped> {
        let entered = self.try_enter(address, is_proxy).inspect_err(|reason| {
            self.count(*reason);
            self.tell();
        });
        let (place, displaced) = entered?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        if let Some(displaced) = displaced {
            self.tell();
            // A connection that does not close in time still holds its descriptor, which the reserve of descriptors
            // covers.
            let _ = tokio::time::timeout(CLOSING, displaced.closed.notified()).await;
        }
        Ok(place)
    }

    /// Takes a place without waiting. Returns the place, and the connection that has to close for it; `None` if a place
    /// was free.
    fn try_enter(
        self: &Arc<Self>,
        address: IpAddr,
        is_proxy: bool,
    ) -> Result<(AdmittedConnection, Option<Arc<ConnectionEntry>>), Dropped> {
        let address = whose(address);
        let mut table = self.table();
        let from_there = table.by_address.get(&address).copied().unwrap_or(0);
        // The limit of the address is checked first, because a client at its own limit must not displace other clients.
        let displaced = if !is_proxy && from_there >= self.places.per_address {
            Some(self.displace(&table, Some(address)).ok_or(Dropped::FullForAddress)?)
        } else if table.open.len() >= self.places.most {
            Some(self.displace(&table, None).ok_or(Dropped::Full)?)
        } else {
            None
        };
        let id = table.next;
        table.next += 1;
        *table.by_address.entry(address).or_default() += 1;
        let due = QuietConnection::HeadDue(self.now().saturating_add(millis(FIRST_BYTE_GRACE)));
        let state = AtomicU64::new(due.to_state());
        let was_new = AtomicBool::new(false);
        let entry = Arc::new(ConnectionEntry { address, state, was_new, gone: Notify::new(), closed: Notify::new() });
        table.open.insert(id, Arc::clone(&entry));
        Ok((AdmittedConnection { id, is_proxy, entry, admission: Arc::clone(self) }, displaced))
    }

    /// Displaces the connection with the smallest rank, among those of `address` or, if `None`, among all. Returns the
    /// connection, or `None` if all are busy. Examines each connection once.
    fn displace<'t>(&self, table: &'t Table, address: Option<IpAddr>) -> Option<Arc<ConnectionEntry>> {
        let (candidates, now) = (table.open.values(), self.now());
        let candidates = candidates.filter(|entry| address.is_none_or(|address| entry.address == address));
        let ranked = |entry: &'t Arc<ConnectionEntry>| {
            let state = entry.state.load(Ordering::Acquire);
            // Only connections that are neither busy nor already displaced have a state below `GONE`. Test:
            // `a_thousand_slow_connections_shut_no_client_out`.
            (state < GONE).then(|| (QuietConnection::rank(state, now), state, entry))
        };
        let mut quiet: Vec<_> = candidates.filter_map(ranked).collect();
        // A connection that has become busy in the meantime keeps its place, and the next connection is displaced.
        // Test: `busy_connections_are_never_closed_for_new_connections`.
        while let Some(place) = (0..quiet.len()).min_by_key(|place| quiet[*place].0) {
            let ((group, _), state, entry) = quiet.swap_remove(place);
            if entry.state.compare_exchange(state, GONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                entry.was_new.store(group == DisplacedGroup::New, Ordering::Release);
                // `Notify` keeps the notice for a connection that isn't waiting at this moment, so the notice isn't
                // lost.
                entry.gone.notify_one();
                self.count(Dropped::Displaced);
                return Some(Arc::clone(entry));
            }
        }
        None
    }

    /// Logs that there are too many connections, at most once per [`TOLD_EVERY`].
    fn tell(&self) {
        let now = self.now();
        let told = self.told.load(Ordering::Relaxed);
        let interval = u64::try_from(TOLD_EVERY.as_millis()).unwrap_or(u64::MAX);
        let is_due = told == 0 || now.saturating_sub(told) >= interval;
        // The value 0 means that no line has been logged, so a line within the first millisecond gets the time 1.
        if is_due && self.told.compare_exchange(told, now.max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                connections = self.places.most,
                connections_per_address = self.places.per_address,
                displaced = self.dropped(Dropped::Displaced),
                refused = self.dropped(Dropped::Full) + self.dropped(Dropped::FullForAddress),
                "too many connections: quiet ones are closed for new clients, and clients are refused where all are busy; \
                 the counts are since the start"
            );
        }
    }

    /// Returns the time in milliseconds since `epoch`.
    fn now(&self) -> u64 {
        millis(clock::instant().saturating_duration_since(self.epoch))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No code panics while holding the lock, and the table would be consistent even then, so poisoning is ignored.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdmittedConnection {
    /// Marks the connection as busy; returns false if another client has taken its place.
    pub fn begin(&self) -> bool {
        let state = &self.entry.state;
        // This is one atomic step, so either this change or a concurrent displacement takes effect. Test:
        // `quiet_connections_make_room_and_busy_ones_do_not`.
        let taken = state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| (state != GONE).then_some(BUSY));
        taken.is_ok()
    }

    /// Takes a place for one more concurrent request on this connection, which is a stream of HTTP/2. The place stays
    /// busy until it is dropped.
    ///
    /// # Errors
    ///
    /// Returns the limit that refuses the request.
    pub fn further(&self) -> Result<Self, Dropped> {
        let entered = self.admission.try_enter(self.entry.address, self.is_proxy);
        // A stream doesn't wait for the displaced connection to close, because it needs no descriptor of its own.
        let (place, _) = entered.inspect_err(|reason| {
            self.admission.count(*reason);
            self.admission.tell();
        })?;
        place.begin();
        Ok(place)
    }

    /// Marks the connection as idle.
    pub fn rest(&self) {
        self.quiet(QuietConnection::Idle(self.admission.now()));
    }

    /// Marks the connection as in the middle of a head.
    pub fn awaits_head(&self) {
        self.quiet(QuietConnection::HeadDue(self.admission.now()));
    }

    fn quiet(&self, quiet: QuietConnection) {
        let update = |state| (state != GONE).then_some(quiet.to_state());
        // A displaced connection keeps the state `GONE`. Its task ends because `displaced` returns.
        let _ = self.entry.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, update);
    }

    /// Waits until another client has taken the place. Returns whether this client had no time to send its head, and has
    /// to be told.
    pub async fn displaced(&self) -> bool {
        self.entry.gone.notified().await;
        self.entry.was_new.load(Ordering::Acquire)
    }

    /// Returns the address of the client; for IPv6, only its 64-bit prefix.
    pub fn address(&self) -> IpAddr {
        self.entry.address
    }

    /// Returns the admission that the place belongs to.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        let mut table = self.admission.table();
        table.open.remove(&self.id);
        if let Some(count) = table.by_address.get_mut(&self.entry.address) {
            *count -= 1;
            // Addresses without connections must not take memory. Test:
            // `quiet_connections_make_room_and_busy_ones_do_not`.
            if *count == 0 {
                table.by_address.remove(&self.entry.address);
            }
        }
        self.entry.closed.notify_one();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn quiet_connections_make_room_and_busy_ones_do_not() {
        let admission = Admission::new(ConnectionLimits { most: 3, per_address: 3 });
        let mut places = Vec::new();
        for last in 0..3 {
            places.push(admission.enter(address(last), false).await.unwrap());
        }
        assert!(places[0].begin());
        places[1].rest();
        // The third connection is new, so the idle one is displaced.
        let idle = places.remove(1);
        let leaving = async {
            idle.displaced().await;
            assert!(!idle.begin(), "its place is another's");
            drop(idle);
        };
        let (fourth, ()) = tokio::join!(admission.enter(address(9), false), leaving);
        let fourth = fourth.unwrap();
        assert!(fourth.begin() && places[1].begin());
        assert_eq!(admission.enter(address(9), false).await.err(), Some(Dropped::Full));
        assert_eq!((admission.open(), admission.dropped(Dropped::Displaced)), (3, 1));
        drop((fourth, places));
        assert_eq!(admission.open(), 0);
        assert!(admission.table().by_address.is_empty());
    }

    #[tokio::test]
    async fn a_connection_with_a_slow_head_is_displaced_before_a_new_connection() {
        let admission = Admission::new(ConnectionLimits { most: 2, per_address: 2 });
        let new = admission.enter(address(1), false).await.unwrap();
        let dripping = admission.enter(address(2), false).await.unwrap();
        dripping.awaits_head();
        let leaving = async {
            dripping.displaced().await;
            drop(dripping);
        };
        let (third, ()) = tokio::join!(admission.enter(address(3), false), leaving);
        assert!(new.begin() && third.unwrap().begin());
    }

    #[tokio::test]
    async fn overdue_heads_are_displaced_first_and_new_connections_last() {
        let rank = |quiet: QuietConnection| QuietConnection::rank(quiet.to_state(), 100);
        let order = [
            QuietConnection::HeadDue(98),
            QuietConnection::HeadDue(99),
            QuietConnection::Idle(1),
            QuietConnection::Idle(2),
            QuietConnection::HeadDue(101),
        ];
        assert!(order.map(rank).is_sorted());
        let admission = Admission::new(ConnectionLimits { most: 1, per_address: 1 });
        let first = admission.enter(address(1), false).await.unwrap();
        let leaving = async {
            assert!(first.displaced().await, "it is told");
            drop(first);
        };
        let (second, ()) = tokio::join!(admission.enter(address(2), false), leaving);
        second.unwrap().rest();
    }

    #[tokio::test]
    async fn one_address_takes_no_more_than_its_share() {
        let admission = Admission::new(ConnectionLimits { most: 8, per_address: 2 });
        let mut places = Vec::new();
        for _ in 0..2 {
            let place = admission.enter(address(1), false).await.unwrap();
            assert!(place.begin());
            places.push(place);
        }
        assert_eq!(admission.enter(address(1), false).await.err(), Some(Dropped::FullForAddress));
        places.push(admission.enter(address(2), false).await.unwrap());
        // A proxy has no limit. Two addresses with the same IPv6 prefix count as the same client.
        places.push(admission.enter(address(1), true).await.unwrap());
        let near: [IpAddr; 3] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        for one in &near[..2] {
            let place = admission.enter(*one, false).await.unwrap();
            assert!(place.begin());
            places.push(place);
        }
        assert_eq!(admission.enter(near[0], false).await.err(), Some(Dropped::FullForAddress));
        assert!(admission.enter(near[2], false).await.is_ok());
    }
}
