//! A limit on the number of requests in a time, for each client, by the generic cell rate algorithm (ITU-T I.371, annex
//! A).
//!
//! The state of a client is one number: the time at which the client has its whole limit again. Each request moves that
//! time on by the interval of one request. A request that would move the time farther into the future than the limit's
//! burst is refused. Example: with 10 requests in 10 seconds and a burst of 4, a client may send 4 requests at once,
//! and then one each second. A client whose time has passed needs no state. There are no fixed windows, at whose edges
//! a client could send twice its limit.
//!
//! The number of states is bounded. When a group is full, a new client takes the place of the client that has used the
//! least of its limit. So made-up clients displace one another, because each of them has used little. A client is never
//! refused because all places are taken. Test: `made_up_clients_are_bounded_and_displace_no_other_client`.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    ClientHash,
    limit_store::{StoredLimit, StoredStanding},
};
use cursorgate_config::settings::QuotaSettings;

/// The number of groups into which clients are divided by their hashes. Each group has a lock of its own.
const GROUPS: usize = 1_024;

/// The largest number of clients in a group. In a full group, a new client displaces the client that has used the least
/// of its limit.
const MOST_IN_GROUP: usize = 64;

/// A microsecond, in nanoseconds.
const MICROSECOND: u64 = 1_000;

/// The largest number of clients whose states a limit keeps, as the documentation states it.
const MOST_CLIENTS: usize = GROUPS * MOST_IN_GROUP;

/// The memory of a limit with the states of [`MOST_CLIENTS`] clients, which anybody can invent.
pub const MOST_BYTES: usize = GROUPS * size_of::<Mutex<Vec<ClientState>>>() + MOST_CLIENTS * size_of::<ClientState>();

/// A limit with the state of each client.
#[derive(Debug)]
pub struct RateLimit {
    quota: QuotaSettings,
    /// The time after which one more request is allowed, in nanoseconds. It is a whole number of microseconds, the unit
    /// of the store, so this process and the store count alike.
    interval: u64,
    /// The sum of the intervals of a whole burst, in nanoseconds.
    burst: u64,
    /// The time from which the nanoseconds in client states are counted.
    began: Instant,
    groups: Box<[Mutex<Vec<ClientState>>]>,
}

#[derive(Clone, Copy, Debug)]
struct ClientState {
    client: ClientHash,
    /// The time at which the client has its whole limit again, in nanoseconds since `RateLimit::began`.
    whole_at: u64,
    /// The time until which the shared store has refused the client, in nanoseconds since `RateLimit::began`; 0 if the
    /// store hasn't refused the client.
    refused_until: u64,
}

/// The state of a client relative to now, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct UsedTime {
    /// The time after which the client has its whole limit again.
    used: u64,
    /// The time for which the shared store still refuses the client; 0 if it doesn't.
    refused: u64,
}

/// The decision of a limit on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateDecision {
    /// True if the request may be served. Only then has it been counted.
    pub allowed: bool,
    /// The number of requests that the client may still send at once.
    pub remaining: u32,
    /// The time after which the client has its whole limit again.
    pub reset_after: Duration,
    /// The time after which the same request is allowed; zero if it is allowed now.
    pub retry_after: Duration,
}

impl RateLimit {
    /// Creates a limit that no client has used.
    #[must_use]
    pub fn new(quota: QuotaSettings, now: Instant) -> Self {
        // The interval is rounded down to the unit of the store. Test:
        // `a_limit_counts_the_same_in_the_store_and_in_memory`.
        let interval = (nanoseconds(quota.per) / MICROSECOND / u64::from(quota.requests.max(1))).max(1) * MICROSECOND;
        let groups = (0..GROUPS).map(|_| Mutex::default()).collect();
        Self { quota, interval, burst: interval.saturating_mul(quota.burst.into()), began: now, groups }
    }

    /// Returns the quota that the limit was made from.
    #[must_use]
    pub fn quota(&self) -> QuotaSettings {
        self.quota
    }

    /// Decides on a request that counts as `cost` requests, and counts it if it is allowed. A request that costs more
    /// than a burst is allowed if the client has its whole limit, because it could never be served otherwise.
    pub fn check(&self, client: ClientHash, cost: u32, now: Instant) -> RateDecision {
        let cost = self.interval.saturating_mul(cost.into());
        self.change(client, now, |state| {
            // A request that costs more than a burst counts as a whole burst here, because it could never be allowed
            // otherwise. Test: `a_charge_above_the_burst_is_allowed_at_a_full_limit`.
            let over = state.used.saturating_add(cost.min(self.burst)).saturating_sub(self.burst);
            if over == 0 {
                state.used = state.used.saturating_add(cost);
            }
            over
        })
    }

    /// Counts requests that have already been made, even beyond the limit of the client. A negative number gives
    /// requests back.
    pub fn charge(&self, client: ClientHash, requests: i64, now: Instant) -> RateDecision {
        let time = self.interval.saturating_mul(requests.unsigned_abs());
        self.change(client, now, |state| {
            if requests < 0 {
                state.used = state.used.saturating_sub(time);
                // Each unit that is given back shortens the store's refusal. Test:
                // `a_refusal_by_the_store_holds_until_its_time`.
                state.refused = state.refused.saturating_sub(time);
            } else {
                // These requests are counted even beyond the burst, because they have already been made. Test:
                // `a_charge_beyond_the_limit_is_waited_for`.
                state.used = state.used.saturating_add(time);
            }
            0
        })
    }

    /// Returns the limit, and the units to take, in the form that the store reads. Negative units are given back.
    pub fn stored(&self, policy: &'static str, units: i64) -> StoredLimit {
        StoredLimit { policy, unit: Duration::from_nanos(self.interval), most: self.quota.burst.max(1), units }
    }

    /// Replaces the state of a client with the standing that the store has just returned, and returns the decision.
    pub fn hear(&self, client: ClientHash, said: StoredStanding, now: Instant) -> RateDecision {
        let StoredStanding { retry_after, reset_after } = said;
        let [refused, used] = [retry_after, reset_after].map(nanoseconds);
        self.change(client, now, |state| {
            // While the store doesn't answer, the process continues to count from this state. Test:
            // `a_process_goes_on_from_the_last_answer_of_the_store`.
            *state = UsedTime { used, refused };
            refused
        })
    }

    /// Returns the refusal if the store has refused the client until a time after `now`. Returns `None` otherwise, even
    /// if the client has no units left.
    pub fn refused(&self, client: ClientHash, now: Instant) -> Option<RateDecision> {
        // If the client merely has no units left, the store is asked again, because another process may have given a
        // unit back. Test: `a_client_that_was_admitted_is_not_refused_from_memory`.
        let decision = self.change(client, now, |state| state.refused);
        (!decision.allowed).then_some(decision)
    }

    /// Changes the state of a client, and returns the decision. `change` returns the nanoseconds after which the client
    /// may try again; 0 if the request is allowed.
    fn change(&self, client: ClientHash, now: Instant, change: impl FnOnce(&mut UsedTime) -> u64) -> RateDecision {
        let now = nanoseconds(now.saturating_duration_since(self.began));
        let mut group = self.group(client);
        let place = group.iter().position(|state| state.client == client);
        let mut time = place.map_or_else(UsedTime::default, |place| {
            let ClientState { whole_at, refused_until, .. } = group[place];
            UsedTime { used: whole_at.saturating_sub(now), refused: refused_until.saturating_sub(now) }
        });
        let retry_after = change(&mut time);
        let UsedTime { used, refused } = time;
        let whole_at = now.saturating_add(used);
        // The value is 0 and not `now`, because requests don't arrive here in the order in which they read the clock.
        // The `now` of one request would refuse another request that read the clock earlier. Test:
        // `a_request_with_an_earlier_time_is_not_refused_by_a_later_reply`.
        let refused_until = if refused == 0 { 0 } else { now.saturating_add(refused) };
        match place {
            Some(place) => group[place] = ClientState { client, whole_at, refused_until },
            None if used > 0 => insert(&mut group, ClientState { client, whole_at, refused_until }, now),
            None => {}
        }
        drop(group);
        RateDecision {
            allowed: retry_after == 0,
            // Rounded down, because a part of a request can't be sent. Test:
            // `a_client_that_keeps_to_the_decisions_is_never_refused`.
            remaining: u32::try_from(self.burst.saturating_sub(used) / self.interval).unwrap_or(u32::MAX),
            reset_after: Duration::from_nanos(used),
            retry_after: Duration::from_nanos(retry_after),
        }
    }

    fn group(&self, client: ClientHash) -> MutexGuard<'_, Vec<ClientState>> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let group = client.0 as usize % GROUPS;
        self.groups[group].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the state of a client to its group. If the group is full, or if a client in it has its whole limit by `now`,
/// replaces the state with the earliest `whole_at`. Otherwise the group grows.
fn insert(group: &mut Vec<ClientState>, state: ClientState, now: u64) {
    let is_full = group.len() >= MOST_IN_GROUP;
    match group.iter_mut().min_by_key(|state| state.whole_at) {
        // A client that has its whole limit needs no state, so its place is used. Test:
        // `clients_whose_limit_is_whole_leave_their_places`.
        Some(least) if is_full || least.whole_at <= now => *least = state,
        _ => group.push(state),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientHash = ClientHash(1);
    const B: ClientHash = ClientHash(2);

    fn limit(requests: u32, seconds: u64, burst: u32) -> (RateLimit, Instant) {
        let began = crate::runtime::clock::instant();
        (RateLimit::new(QuotaSettings { requests, per: Duration::from_secs(seconds), burst }, began), began)
    }

    fn after(began: Instant, milliseconds: u64) -> Instant {
        began + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_limit_gives_a_burst_and_then_its_rate() {
        // With ten requests in ten seconds, one request comes back each second. Four may be sent at once.
        let (limit, began) = limit(10, 10, 4);
        // Columns: milliseconds since the beginning, allowed, remaining, reset after, retry after.
        for (at, allowed, remaining, reset, retry) in [
            (0, true, 3, 1_000, 0),
            (0, true, 2, 2_000, 0),
            (0, true, 1, 3_000, 0),
            (0, true, 0, 4_000, 0),
            (0, false, 0, 4_000, 1_000),
            (400, false, 0, 3_600, 600),
            (999, false, 0, 3_001, 1),
            (1_000, true, 0, 4_000, 0),
            (1_999, false, 0, 3_001, 1),
            (4_500, true, 2, 1_500, 0),
            (60_000, true, 3, 1_000, 0),
        ] {
            let [reset_after, retry_after] = [reset, retry].map(Duration::from_millis);
            let decision = RateDecision { allowed, remaining, reset_after, retry_after };
            assert_eq!(limit.check(A, 1, after(began, at)), decision, "{at}");
        }
    }

    #[test]
    fn one_clients_burst_costs_no_other_client() {
        let (limit, now) = limit(5, 60, 5);
        assert_eq!((0..100).filter(|_| limit.check(A, 1, now).allowed).count(), 5);
        assert_eq!((0..100).filter(|_| limit.check(B, 1, now).allowed).count(), 5);
    }

    /// A client that waits for `reset_after` when no request remains is never refused. This is promised to clients.
    #[test]
    fn a_client_that_keeps_to_the_decisions_is_never_refused() {
        for (requests, seconds, burst) in
            [(1, 1, 1), (7, 3, 2), (100, 60, 100), (1_000_000, 1, 999_999), (3, 86_400, 3)]
        {
            let (limit, mut now) = limit(requests, seconds, burst);
            for _ in 0..1_000 {
                let decision = limit.check(A, 1, now);
                assert!(decision.allowed, "{requests} in {seconds}: {decision:?}");
                if decision.remaining == 0 {
                    now += decision.reset_after;
                }
            }
        }
    }

    #[test]
    fn a_charge_beyond_the_limit_is_waited_for() {
        let (limit, now) = limit(10, 10, 10);
        assert!(limit.check(A, 1, now).allowed);
        // The page took 13 requests. One has been charged, so 12 are left to charge.
        let charged = limit.charge(A, 12, now);
        assert_eq!((charged.remaining, charged.reset_after), (0, Duration::from_secs(13)));
        let refused = limit.check(A, 1, now);
        assert_eq!((refused.allowed, refused.retry_after), (false, Duration::from_secs(4)));
        assert!(limit.check(A, 1, now + refused.retry_after).allowed);
        // A request that took no upstream requests gives its charge back. A client never has more than its whole limit.
        let (given, whole) = (limit.charge(B, -1, now), limit.check(B, 1, now));
        assert_eq!((given.remaining, whole.remaining), (10, 9));
        assert_eq!(limit.charge(B, -5, now).remaining, 10);
    }

    #[test]
    fn a_charge_above_the_burst_is_allowed_at_a_full_limit() {
        let (limit, now) = limit(10, 10, 10);
        assert!(limit.check(A, 25, now).allowed);
        let refused = limit.check(A, 25, after(now, 1_000));
        assert_eq!((refused.allowed, refused.retry_after), (false, Duration::from_secs(24)));
        assert!(limit.check(A, 25, after(now, 25_000)).allowed);
    }

    /// Made-up clients take a bounded number of places, and shut out neither a known client nor a new client.
    #[test]
    fn made_up_clients_are_bounded_and_displace_no_other_client() {
        let (limit, now) = limit(100, 3_600, 100);
        let hash = |number: u64| ClientHash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29));
        let known = hash(u64::MAX);
        assert_eq!(limit.charge(known, 40, now).remaining, 60);
        for number in 0..1_000_000 {
            assert!(limit.check(hash(number), 1, now).allowed, "{number}");
        }
        let kept: usize = limit.groups.iter().map(|group| group.lock().unwrap().len()).sum();
        let most = limit.groups.iter().map(|group| group.lock().unwrap().capacity()).max();
        assert_eq!((kept, most), (MOST_CLIENTS, Some(MOST_IN_GROUP)));
        assert_eq!(limit.check(known, 1, now).remaining, 59, "its state was kept");
        assert_eq!(limit.check(hash(1_000_000), 1, now).remaining, 99, "a new client has its limit");
    }

    /// Returns a standing with these two times in milliseconds.
    fn said(retry: u64, reset: u64) -> StoredStanding {
        let [retry_after, reset_after] = [retry, reset].map(Duration::from_millis);
        StoredStanding { retry_after, reset_after }
    }

    /// A client that the store has refused is refused until the time that the store named. Other clients are not
    /// refused.
    #[test]
    fn a_refusal_by_the_store_holds_until_its_time() {
        let (limit, began) = limit(10, 10, 4);
        assert_eq!(limit.refused(A, began), None);
        let heard = limit.hear(A, said(0, 4_000), began);
        assert_eq!((heard.allowed, heard.remaining, heard.reset_after), (true, 0, Duration::from_secs(4)));
        assert_eq!(limit.refused(A, began), None, "the store may know of units that have been given back");
        let heard = limit.hear(A, said(1_000, 4_000), began);
        assert_eq!((heard.allowed, heard.retry_after), (false, Duration::from_secs(1)));
        assert_eq!(limit.refused(B, began), None);
        let refused = limit.refused(A, after(began, 400)).unwrap();
        assert_eq!((refused.retry_after, refused.remaining), (Duration::from_millis(600), 0));
        assert_eq!(limit.refused(A, after(began, 1_000)), None);
        limit.hear(A, said(1_000, 4_000), began);
        limit.charge(A, -1, began);
        assert_eq!(limit.refused(A, began), None, "a unit has been given back");
    }

    /// Without the store, a process continues to count from the store's last answer.
    #[test]
    fn a_process_goes_on_from_the_last_answer_of_the_store() {
        let (limit, began) = limit(10, 10, 10);
        assert!(limit.check(A, 1, began).allowed);
        assert_eq!(limit.hear(A, said(0, 7_000), began).remaining, 3);
        assert_eq!((0..10).filter(|_| limit.check(A, 1, began).allowed).count(), 3);
        assert_eq!(limit.hear(A, said(0, 1_000), began).remaining, 9, "other processes count again");
    }

    /// The store and the memory count the same number of units in the same time, whatever the quota.
    #[test]
    fn a_limit_counts_the_same_in_the_store_and_in_memory() {
        for (requests, seconds, burst) in
            [(3, 1, 3), (7, 3, 2), (700_000, 1, 699_999), (1_000_000, 1, 1), (1, 86_400, 1)]
        {
            let (limit, began) = limit(requests, seconds, burst);
            let StoredLimit { unit, most, .. } = limit.stored("requests", 1);
            for used in [0, 1, burst / 2, burst] {
                let reset_after = unit * used;
                let standing = StoredStanding { retry_after: Duration::ZERO, reset_after };
                assert_eq!(limit.hear(A, standing, began).remaining, most - used, "{requests} in {seconds}: {used}");
            }
        }
    }

    #[test]
    fn clients_whose_limit_is_whole_leave_their_places() {
        let (limit, began) = limit(1, 1, 1);
        for second in 0..1_000 {
            for client in 0..8 {
                // All clients are in one group.
                let client = ClientHash((second * 8 + client) * GROUPS as u64);
                assert!(limit.check(client, 1, began + Duration::from_secs(second)).allowed);
            }
        }
        assert_eq!(limit.groups[0].lock().unwrap().len(), 8);
    }

    #[test]
    fn a_request_with_an_earlier_time_is_not_refused_by_a_later_reply() {
        let (limit, began) = limit(10, 10, 10);
        let [earlier, later] = [1, 2].map(|seconds| began + Duration::from_secs(seconds));
        let said = StoredStanding { retry_after: Duration::ZERO, reset_after: Duration::from_secs(5) };
        assert!(limit.hear(A, said, later).allowed);
        assert_eq!(limit.refused(A, earlier), None);
        let said = StoredStanding { retry_after: Duration::from_secs(3), ..said };
        assert!(!limit.hear(A, said, later).allowed);
        assert!(limit.refused(A, earlier).is_some());
    }
}
