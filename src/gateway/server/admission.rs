//! Who may be connected: so many in all, so many from one address. A new client takes the place of a connection on which
//! no request is in hand, where there is one, so that connections that ask nothing shut nobody out.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::handshakes::Handshakes;
use crate::gateway::runtime::clock;

/// By how much longer an idle connection may have been quiet than one that is in the middle of a head before it is given up
/// first: heads come at once, unless somebody means them not to.
const IDLE_GRACE: Duration = Duration::from_secs(60);

/// The same for a connection that has sent nothing yet. A client needs a round trip to send its head, and a thousand others
/// can connect in that time; one that has sent part of a head has had its round trip.
const FIRST_BYTE_GRACE: Duration = Duration::from_secs(5);

/// How often the log says that there are too many connections.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How long a new client waits at most until the connection is closed whose place it takes.
const CLOSING: Duration = Duration::from_secs(1);

/// How many bits of an address of IPv6 tell clients apart: whoever has one address has all that begin like it.
const IPV6_PREFIX: u32 = 64;

/// Why connections end that were not served to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// All places are taken, by requests in hand.
    Full,
    /// The same, of those for one address.
    FullForAddress,
    /// A new client took the place of a connection without a request.
    Displaced,
    /// TLS was not agreed on.
    HandshakeFailed,
    /// TLS was not agreed on in time.
    HandshakeTimeout,
    /// A head did not come in time.
    HeadTimeout,
    /// The client closed, or broke off, in the middle of a head.
    HeadCut,
}

impl Dropped {
    /// Every reason, in the order of the metric.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::FullForAddress,
        Self::Displaced,
        Self::HandshakeFailed,
        Self::HandshakeTimeout,
        Self::HeadTimeout,
        Self::HeadCut,
    ];

    /// The reason as the metric has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullForAddress => "full_for_address",
            Self::Displaced => "displaced",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::HeadCut => "head_cut",
        }
    }
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub most: usize,
    /// From one address.
    pub per_address: usize,
}

/// The connections of one server, and what was counted of them.
#[derive(Debug)]
pub struct Admission {
    places: ConnectionLimits,
    table: Mutex<Table>,
    epoch: Instant,
    accepted: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    handshakes: Handshakes,
    /// When the log was last told, in milliseconds since the epoch.
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
    /// When it became quiet, in milliseconds since the epoch, later by a grace unless it is in the middle of a head; or one
    /// of the two below.
    state: AtomicU64,
    /// Told when another client has its place.
    gone: Notify,
    /// Told when it is closed.
    closed: Notify,
}

/// A request is in hand.
const BUSY: u64 = u64::MAX;
/// Another client has its place.
const GONE: u64 = u64::MAX - 1;

/// The place of one connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct AdmittedConnection {
    id: u64,
    entry: Arc<ConnectionEntry>,
    admission: Arc<Admission>,
}

impl Admission {
    /// Nobody is connected.
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

    /// How many are connected.
    #[must_use]
    pub fn open(&self) -> usize {
        self.table().open.len()
    }

    /// How many may be.
    #[must_use]
    pub fn most(&self) -> usize {
        self.places.most
    }

    /// How many were taken in.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The TLS handshakes that failed.
    #[must_use]
    pub fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// How many ended for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// Counts a connection that ends for this reason.
    pub(crate) fn count(&self, reason: Dropped) {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A place for a new client. Where it takes another's, it waits until that one is closed. A proxy speaks for many, so no
    /// number is set for its address.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        is_proxy: bool,
    ) -> Result<AdmittedConnection, Dropped> {
        let entered = self.try_enter(address, is_proxy).inspect_err(|reason| {
            self.count(*reason);
            self.tell();
        });
        let (place, displaced) = entered?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        if let Some(displaced) = displaced {
            self.tell();
            // One that does not close in time has no descriptor to give yet; the reserve bears it.
            let _ = tokio::time::timeout(CLOSING, displaced.closed.notified()).await;
        }
        Ok(place)
    }

    /// A place, and the connection that has to close for it.
    fn try_enter(
        self: &Arc<Self>,
        address: IpAddr,
        is_proxy: bool,
    ) -> Result<(AdmittedConnection, Option<Arc<ConnectionEntry>>), Dropped> {
        let address = whose(address);
        let mut table = self.table();
        let from_there = table.by_address.get(&address).copied().unwrap_or(0);
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
        let state = AtomicU64::new(self.now().saturating_add(millis(FIRST_BYTE_GRACE)));
        let entry = Arc::new(ConnectionEntry { address, state, gone: Notify::new(), closed: Notify::new() });
        table.open.insert(id, Arc::clone(&entry));
        Ok((AdmittedConnection { id, entry, admission: Arc::clone(self) }, displaced))
    }

    /// Gives up the connection that has been quiet for the longest time, of one address or of all. One look at each.
    fn displace(&self, table: &Table, address: Option<IpAddr>) -> Option<Arc<ConnectionEntry>> {
        let candidates = table.open.values().filter(|entry| address.is_none_or(|address| entry.address == address));
        let mut quiet: Vec<(u64, &Arc<ConnectionEntry>)> = candidates
            .map(|entry| (entry.state.load(Ordering::Acquire), entry))
            .filter(|(state, _)| *state < GONE)
            .collect();
        // A request may come in hand meanwhile: then the next one goes.
        while let Some(place) = (0..quiet.len()).min_by_key(|place| quiet[*place].0) {
            let (state, entry) = quiet.swap_remove(place);
            if entry.state.compare_exchange(state, GONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                entry.gone.notify_one();
                self.count(Dropped::Displaced);
                return Some(Arc::clone(entry));
            }
        }
        None
    }

    /// Tells the operator, now and then.
    fn tell(&self) {
        let now = self.now();
        let told = self.told.load(Ordering::Relaxed);
        let interval = u64::try_from(TOLD_EVERY.as_millis()).unwrap_or(u64::MAX);
        let is_due = told == 0 || now.saturating_sub(told) >= interval;
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

    /// Milliseconds since the epoch.
    fn now(&self) -> u64 {
        millis(clock::instant().saturating_duration_since(self.epoch))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held; the table is whole either way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdmittedConnection {
    /// A request is in hand; false where another client has this place already.
    pub(crate) fn begin(&self) -> bool {
        let state = &self.entry.state;
        let taken = state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| (state != GONE).then_some(BUSY));
        taken.is_ok()
    }

    /// No request is in hand, and none has begun to come.
    pub(crate) fn rest(&self) {
        self.quiet(self.admission.now().saturating_add(millis(IDLE_GRACE)));
    }

    /// A head has begun to come.
    pub(crate) fn awaits_head(&self) {
        self.quiet(self.admission.now());
    }

    fn quiet(&self, since: u64) {
        let update = |state| (state != GONE).then_some(since);
        // Who is gone stays so, and is told by `displaced`.
        let _ = self.entry.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, update);
    }

    /// Returns when another client has this place.
    pub(crate) async fn displaced(&self) {
        self.entry.gone.notified().await;
    }

    /// The connections that it is one of.
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        let mut table = self.admission.table();
        table.open.remove(&self.id);
        if let Some(count) = table.by_address.get_mut(&self.entry.address) {
            *count -= 1;
            if *count == 0 {
                table.by_address.remove(&self.entry.address);
            }
        }
        self.entry.closed.notify_one();
    }
}

/// What tells clients apart by their addresses.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX)))),
        address @ IpAddr::V4(_) => address,
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
        // The third has not asked yet, so it goes before the idle one, though it came later.
        let third = places.pop().unwrap();
        let leaving = async {
            third.displaced().await;
            assert!(!third.begin(), "its place is another's");
            drop(third);
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
    async fn a_head_that_drips_makes_room_before_a_client_that_just_came() {
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
        // Of a trusted proxy no number is kept, and the end of a network is no other client.
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
