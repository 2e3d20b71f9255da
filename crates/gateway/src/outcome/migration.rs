//! Counts of legacy requests for each route and client. With them, a team knows which clients to contact before the
//! sunset. The table has a fixed size, needs no lock, and contains no secrets of clients.

pub mod board;
mod hours;

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::{identity::KnownClient, shared::clients::credential};
use cursorgate_config::settings::{KnownBy, LegacyClient};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_translate::downstream::request::query;
pub use hours::HourlyCounts;
use hours::Hours;

/// The largest number of characters of a client's displayed name. A longer name is truncated.
const NAME_LENGTH: usize = 64;

/// The legacy requests of one route.
#[derive(Debug)]
pub struct Usage {
    who: Option<Who>,
    /// A hash table with open addressing, which is at most half full.
    slots: Box<[ClientSlot]>,
    /// The number of slots taken by clients without a configured name, at most `Who::max`.
    taken: AtomicUsize,
    /// The requests of clients that have no slot.
    other: Tally,
    /// The requests that don't identify their client.
    unidentified: Tally,
    all: Tally,
    /// All requests for the list, by paging, in the order of [`PAGINGS`].
    paging: [Hours; PAGINGS.len()],
    /// The time at which counting started, in seconds since 1970.
    since: u64,
}

/// The configured identification of clients.
#[derive(Debug, PartialEq, Eq)]
struct Who {
    known_by: KnownBy,
    shows_value: bool,
    /// The hashes of the clients with a configured name, with these names.
    names: Vec<(u64, String)>,
    /// The largest number of clients without a configured name that get a slot.
    max: usize,
    /// The keyed hash of the empty string. It differs if the signing key has changed.
    key: u64,
}

/// The parts of a request by which its client is counted.
#[derive(Clone, Copy, Debug)]
pub struct CountedClient<'r> {
    pub headers: &'r HeaderMap,
    pub query: &'r str,
    /// The client that `identity` has found.
    pub known: Option<&'r KnownClient>,
}

#[derive(Debug, Default)]
struct ClientSlot {
    /// The keyed hash of the client's identification; 0 if the slot is free.
    mark: AtomicU64,
    name: OnceLock<String>,
    tally: Tally,
}

/// The kinds of paging of list requests, as label values in metrics.
pub const PAGINGS: [&str; 3] = ["cursor", "legacy", "unmarked"];

#[derive(Debug, Default)]
struct Tally {
    /// The number of requests with paging parameters of the upstream.
    marked: AtomicU64,
    /// The number of requests without any paging parameter.
    unmarked: AtomicU64,
    last: AtomicU64,
    /// The hourly counts, allocated with the first request, because most slots of a large table stay empty.
    hours: OnceLock<Box<Hours>>,
}

/// The number of legacy requests, with their times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The number of all legacy requests.
    pub requests: u64,
    /// The number of requests without any paging parameter, which are legacy requests if the list has old clients.
    pub unmarked: u64,
    /// The number of requests in each of the last hours, the current hour last.
    pub hours: HourlyCounts,
    /// The time of the last request, in seconds since 1970; 0 if there was none.
    pub last_seen: u64,
}

/// The legacy clients of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// The clients in the table by name, most frequent first.
    pub named: Vec<(String, Count)>,
    /// The requests of all other clients.
    pub other: Count,
    /// The requests that don't identify their client.
    pub unidentified: Count,
}

impl Usage {
    /// Creates an empty table; `now` is in seconds since 1970.
    #[must_use]
    pub fn new(client: Option<&LegacyClient>, keys: &KeyRing, now: u64) -> Self {
        let who = client.map(|client| Who::new(client, keys));
        Self {
            slots: who.as_ref().map_or_else(Box::default, Who::slots),
            who,
            taken: AtomicUsize::new(0),
            other: Tally::default(),
            unidentified: Tally::default(),
            all: Tally::default(),
            paging: Default::default(),
            since: now,
        }
    }

    /// Returns whether a route with these settings would count clients in the same way. If so, a reload keeps the
    /// counts.
    #[must_use]
    pub fn counts_like(&self, client: Option<&LegacyClient>, keys: &KeyRing) -> bool {
        self.who == client.map(|client| Who::new(client, keys))
    }

    /// Counts a request for the list at `now`, in seconds since 1970. `paging` is an element of [`PAGINGS`].
    pub fn count_paging(&self, paging: &str, now: u64) {
        if let Some(place) = PAGINGS.iter().position(|known| *known == paging) {
            self.paging[place].add(now);
        }
    }

    /// Counts a legacy request. `is_unmarked` is `true` if the request has no paging parameter. `now` is in seconds
    /// since 1970.
    pub fn count(&self, client: CountedClient<'_>, keys: &KeyRing, is_unmarked: bool, now: u64) {
        self.all.add(is_unmarked, now);
        let Some(who) = &self.who else { return };
        match who.is_known_by(client) {
            Some(value) => self.tally(who, &value, keys.client_mark(&value)).add(is_unmarked, now),
            None => self.unidentified.add(is_unmarked, now),
        }
    }

    /// Returns the hourly counts of list requests for each kind of paging, the current hour last. `now` is in seconds
    /// since 1970.
    pub fn paging(&self, now: u64) -> impl Iterator<Item = (&'static str, HourlyCounts)> {
        PAGINGS.into_iter().zip(&self.paging).map(move |(word, hours)| (word, hours.read(now)))
    }

    /// Returns the count of all legacy requests. `now` is in seconds since 1970.
    #[must_use]
    pub fn total(&self, now: u64) -> Count {
        self.all.read(now)
    }

    /// Returns the time at which counting started, in seconds since 1970.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Returns the legacy clients; `None` if the route doesn't identify its clients. `now` is in seconds since 1970.
    #[must_use]
    pub fn clients(&self, now: u64) -> Option<Clients> {
        self.who.as_ref()?;
        // Two clients may have the same shortened name, so their counts are added. Test:
        // `clients_are_counted_by_the_value_of_a_parameter`.
        let mut named: BTreeMap<String, Count> = BTreeMap::new();
        for slot in &self.slots {
            let (count, mark) = (slot.tally.read(now), slot.mark.load(Ordering::Relaxed));
            if count.requests == 0 {
                continue;
            }
            let hash = || format!("{mark:016x}");
            let sum = named.entry(slot.name.get().cloned().unwrap_or_else(hash)).or_default();
            sum.add(&count);
        }
        let named = Clients::in_order(named);
        Some(Clients { named, other: self.other.read(now), unidentified: self.unidentified.read(now) })
    }

    /// Returns the counter of a client, or the shared counter `other` if the table is full.
    fn tally(&self, who: &Who, value: &[u8], mark: u64) -> &Tally {
        // A mark of 0 means a free slot, so a client with this hash gets the mark 1.
        let mark = mark.max(1);
        let mut reserved = false;
        // Slots are never freed and half of them stay free, so the search ends.
        for slot in sequence(&self.slots, mark) {
            let mut found = slot.mark.load(Ordering::Relaxed);
            if found == 0 {
                // A place is reserved before a slot is taken, so concurrent threads never take more than `max` slots.
                // Test: `no_request_is_lost_between_threads`.
                let reserve = |taken: usize| (taken < who.max).then_some(taken + 1);
                if !reserved && self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_err() {
                    return &self.other;
                }
                reserved = true;
                found = match slot.mark.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        let _ = slot.name.set(who.name(value, mark));
                        return &slot.tally;
                    }
                    Err(other) => other,
                };
            }
            if found == mark {
                if reserved {
                    // Another thread has given this slot to the same client in the meantime, so the reserved place is
                    // returned.
                    self.taken.fetch_sub(1, Ordering::Relaxed);
                }
                return &slot.tally;
            }
        }
        &self.other
    }
}

/// Returns the slots in the order in which a hash probes them.
fn sequence(slots: &[ClientSlot], mark: u64) -> impl Iterator<Item = &ClientSlot> {
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    let start = mark as usize % slots.len().max(1);
    slots[start..].iter().chain(&slots[..start])
}

impl Who {
    /// Creates the slots. Clients with configured names get their slots at once, so invented clients can't take these
    /// slots.
    fn slots(&self) -> Box<[ClientSlot]> {
        let count = 2 * (self.max + self.names.len());
        let slots: Box<[ClientSlot]> = (0..count).map(|_| ClientSlot::default()).collect();
        for (mark, name) in &self.names {
            let place = |slot: &&ClientSlot| slot.is(0) || slot.is(*mark);
            if let Some(slot) = sequence(&slots, *mark).find(place) {
                slot.mark.store(*mark, Ordering::Relaxed);
                slot.name.get_or_init(|| name.clone());
            }
        }
        slots
    }

    fn new(client: &LegacyClient, keys: &KeyRing) -> Self {
        let mark = |secret: &[u8]| keys.client_mark(secret).max(1);
        Self {
            known_by: client.known_by.clone(),
            shows_value: client.shows_value,
            names: client.names.iter().map(|(name, secret)| (mark(secret.reveal()), name.clone())).collect(),
            max: client.max,
            key: mark(b""),
        }
    }

    /// Returns the value that identifies the client of a request; `None` if the request has no such value. The scheme
    /// of `Authorization` isn't part of the value.
    fn is_known_by(&self, CountedClient { headers, query, known }: CountedClient<'_>) -> Option<Vec<u8>> {
        let value = match &self.known_by {
            KnownBy::Identity => known?.name.to_vec(),
            KnownBy::Header(name) => credential(name, headers.get(name)?).to_vec(),
            KnownBy::Parameter(name) => {
                query::pairs(query).find(|pair| &*pair.name() == name.as_bytes())?.value().into_owned()
            }
        };
        // An empty value doesn't identify a client. Test: `a_secret_is_a_hash_unless_it_has_a_name`.
        (!value.is_empty()).then_some(value)
    }

    /// Returns the name of a client without a configured name: its value if values may be shown, truncated to
    /// [`NAME_LENGTH`] characters, and otherwise its hash.
    fn name(&self, value: &[u8], mark: u64) -> String {
        if !self.shows_value {
            return format!("{mark:016x}");
        }
        let visible = |letter: char| if letter.is_control() { '_' } else { letter };
        String::from_utf8_lossy(value).chars().take(NAME_LENGTH).map(visible).collect()
    }
}

impl ClientSlot {
    fn is(&self, mark: u64) -> bool {
        self.mark.load(Ordering::Relaxed) == mark
    }
}

impl Tally {
    fn add(&self, is_unmarked: bool, now: u64) {
        let count = if is_unmarked { &self.unmarked } else { &self.marked };
        count.fetch_add(1, Ordering::Relaxed);
        // Requests may arrive here in another order than they read the clock, so the latest time is kept. Test:
        // `a_secret_is_a_hash_unless_it_has_a_name`.
        self.last.fetch_max(now, Ordering::Relaxed);
        self.hours.get_or_init(Box::default).add(now);
    }

    fn read(&self, now: u64) -> Count {
        let unmarked = self.unmarked.load(Ordering::Relaxed);
        Count {
            requests: self.marked.load(Ordering::Relaxed) + unmarked,
            unmarked,
            hours: self.hours.get().map(|hours| hours.read(now)).unwrap_or_default(),
            last_seen: self.last.load(Ordering::Relaxed),
        }
    }
}

impl Clients {
    /// Sorts clients by their number of requests, most frequent first.
    fn in_order(named: BTreeMap<String, Count>) -> Vec<(String, Count)> {
        let mut named: Vec<(String, Count)> = named.into_iter().collect();
        named.sort_by_key(|(_, count)| std::cmp::Reverse(count.requests));
        named
    }
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.unmarked = self.unmarked.saturating_add(other.unmarked);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.hours.iter_mut().zip(other.hours).for_each(|(sum, count)| *sum = sum.saturating_add(count));
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::{hours::HOURS, *};
    use cursorgate_config::secret::Secret;

    fn keys(byte: u8) -> KeyRing {
        KeyRing::new(1, &[(1, &[byte; 32])]).unwrap()
    }

    fn client(known_by: KnownBy) -> LegacyClient {
        LegacyClient { known_by, shows_value: false, names: Vec::new(), max: 100 }
    }

    fn header(name: &'static str) -> KnownBy {
        KnownBy::Header(HeaderName::from_static(name))
    }

    fn count(usage: &Usage, headers: &[(&'static str, &str)], query: &str, now: u64) {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        let client = CountedClient { headers: &pairs.collect(), query, known: None };
        usage.count(client, &keys(7), query.is_empty(), now);
    }

    /// Returns `name requests last_seen` for each client with requests, then for the others and for unidentified
    /// clients.
    fn told(usage: &Usage) -> Vec<String> {
        let clients = usage.clients(100).unwrap();
        let all = clients
            .named
            .into_iter()
            .chain([("other".to_owned(), clients.other), ("unidentified".to_owned(), clients.unidentified)]);
        all.filter(|(_, count)| count.requests > 0)
            .map(|(name, count)| format!("{name} {} {}", count.requests, count.last_seen))
            .collect()
    }

    #[test]
    fn a_secret_is_a_hash_unless_it_has_a_name() {
        let mut settings = client(header("authorization"));
        settings.names = vec![("mobile".to_owned(), Secret::new(b"canary-1".to_vec()))];
        let usage = Usage::new(Some(&settings), &keys(7), 5);
        count(&usage, &[("authorization", "Bearer canary-1")], "", 10);
        count(&usage, &[("authorization", "Bearer canary-1")], "", 12);
        count(&usage, &[("authorization", "Bearer canary-2")], "", 11);
        count(&usage, &[("authorization", "Bearer canary-2")], "", 9);
        count(&usage, &[("authorization", "canary-1")], "", 13);
        count(&usage, &[("authorization", "Bearer ")], "", 14);
        count(&usage, &[], "", 15);
        let hash = format!("{:016x} 2 11", keys(7).client_mark(b"canary-2"));
        assert_eq!(told(&usage), ["mobile 3 13".to_owned(), hash, "unidentified 2 15".to_owned()]);
        assert!(!format!("{usage:?}").contains("canary"), "{usage:?}");
        let total = usage.total(100);
        assert_eq!((total.requests, total.unmarked, total.last_seen, total.hours[HOURS - 1]), (7, 7, 15, 7));
        assert_ne!(keys(7).client_mark(b"canary-2"), keys(8).client_mark(b"canary-2"), "nobody can guess and compare");
    }

    #[test]
    fn clients_are_counted_by_the_value_of_a_parameter() {
        let mut settings = client(KnownBy::Parameter("app".to_owned()));
        settings.shows_value = true;
        let usage = Usage::new(Some(&settings), &keys(7), 0);
        for query in ["app=shop&page=2", "page=3&%61pp=sh%6Fp", "app=a%0Ab", "page=2", "app=", "App=shop"] {
            count(&usage, &[], query, 1);
        }
        assert_eq!(told(&usage), ["shop 2 1", "a_b 1 1", "unidentified 3 1"]);
        let long = format!("app={}", "x".repeat(1_000));
        count(&usage, &[], &long, 1);
        count(&usage, &[], &format!("{long}y"), 1);
        let named = usage.clients(100).unwrap().named;
        let cut = named.iter().find(|(name, _)| name.starts_with('x')).unwrap();
        assert_eq!((cut.0.chars().count(), cut.1.requests), (NAME_LENGTH, 2), "two that look alike are one line");
    }

    /// Row: A37
    #[test]
    fn clients_are_bounded_in_number() {
        let late = vec![("late".to_owned(), Secret::new(b"999".to_vec()))];
        let settings = LegacyClient { max: 5, names: late, ..client(header("x-client")) };
        let usage = Usage::new(Some(&settings), &keys(7), 0);
        for round in 0..3 {
            for number in 0..1_000 {
                count(&usage, &[("x-client", &number.to_string())], "", round);
            }
        }
        let clients = usage.clients(100).unwrap();
        assert_eq!(clients.named.len(), 6, "a client with a name has a place");
        assert!(clients.named.iter().any(|(name, _)| name == "late"), "{clients:?}");
        assert!(clients.named.iter().all(|(_, count)| count.requests == 3), "{clients:?}");
        assert_eq!(clients.other.requests, 3 * 994);
    }

    #[test]
    fn no_request_is_lost_between_threads() {
        let settings = LegacyClient { max: 8, ..client(header("x-client")) };
        let usage = Usage::new(Some(&settings), &keys(7), 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..400).for_each(|number| count(&usage, &[("x-client", &(number % 16).to_string())], "", 1));
                });
            }
        });
        let clients = usage.clients(100).unwrap();
        let named: u64 = clients.named.iter().map(|(_, count)| count.requests).sum();
        assert_eq!((clients.named.len(), named + clients.other.requests), (8, 1_600));
    }

    #[test]
    fn counts_are_kept_as_long_as_clients_are_identified_alike() {
        let settings = client(header("x-client"));
        let usage = Usage::new(Some(&settings), &keys(7), 0);
        assert!(usage.counts_like(Some(&settings), &keys(7)));
        assert!(!usage.counts_like(Some(&settings), &keys(8)));
        assert!(!usage.counts_like(None, &keys(7)));
        assert!(!usage.counts_like(Some(&LegacyClient { max: 7, ..settings.clone() }), &keys(7)));
        assert_eq!(Usage::new(None, &keys(7), 0).clients(0), None);
    }
}
