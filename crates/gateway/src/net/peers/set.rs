//! All peers of an upstream and the choice among them. Unhealthy peers are skipped, for pages and forwarded requests
//! alike. If all peers are unhealthy, all of them are used, because one of them may be back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pingora::{protocols::l4::socket::SocketAddr as PingoraAddress, upstreams::peer::HttpPeer};
use twox_hash::XxHash3_128;

use super::{
    health::{HealthChange, Readiness},
    name::{Clock, PeerName},
    peer::{Peer, PeerRequest},
    retry::RetryBudget,
};
use crate::{
    net::error::FetchError,
    shared::slots::{UpstreamSlots, limiter::LatencyKind},
    tls::{PeerCredentials, Renewable},
};
use cursorgate_config::settings::{Balance, HealthCheckSettings, RetrySettings, TlsVersion};

/// The peers of an upstream: every address of every name.
#[derive(Debug)]
pub struct Peers {
    names: Vec<Arc<PeerName>>,
    /// The connection settings that all peers share. Each peer adds its address.
    template: HttpPeer,
    tls: Option<PeerTls>,
    /// `true` if certificates are checked against the peer's host, because no server name is configured.
    host_is_server_name: bool,
    policy: PeerPolicy,
    /// The number of choices so far, which decides the next peer in turn.
    turn: AtomicUsize,
    /// The number of failed attempts to connect.
    failures: AtomicU64,
}

/// The settings by which peers are chosen and their health is judged.
#[derive(Debug)]
pub struct PeerPolicy {
    /// The name of the upstream, for the log.
    pub upstream: String,
    /// The rule by which a peer is chosen.
    pub balance: Balance,
    /// The weight of each name: the share of requests that its peers get, relative to the others.
    pub weights: Vec<u32>,
    /// The number of names at the end that are used only while no peer of the others is healthy.
    pub backups: usize,
    /// The time in which the weight of a peer that is healthy again grows to its whole; zero for at once.
    pub slow_start: Duration,
    /// The settings of health checks; `None` if the upstream has no health checks.
    pub check: Option<HealthCheckSettings>,
    /// The number of failed answers in a row after which a peer rests; 0 means never.
    pub eject_after: u32,
    /// The settings of retries: their number, their share of all requests, and their pauses.
    pub retries: RetrySettings,
    /// The budget of retries, shared with the next snapshot.
    pub budget: Arc<RetryBudget>,
    /// The slots of the upstream, whose limit adapts itself to the times of answers; `None` without slots.
    pub slots: Option<Arc<UpstreamSlots>>,
    /// The source of the current time.
    pub clock: Clock,
}

/// The TLS settings of an upstream.
#[derive(Debug)]
pub struct PeerTls {
    /// The certificates in use, which are replaced when their files change.
    pub credentials: Arc<Renewable<PeerCredentials>>,
    /// The oldest TLS version that may be used. Pingora has no such setting, so the version is checked after the
    /// handshake.
    pub min_version: TlsVersion,
}

/// The criteria by which the peer of a request is chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedPeer<'a> {
    /// The key by which [`Balance::Hash`] chooses.
    pub(super) key: u128,
    /// `true` if the request can be repeated at another peer.
    pub(super) can_repeat: bool,
    /// `true` if the answer is read as a page, so an unusable one is noticed.
    pub(super) judges: bool,
    /// The peer of the visit's earlier requests, which is chosen again if it is healthy; `None` without one.
    pub(super) known: Option<SocketAddr>,
    /// The peers that failed this client request. They are chosen only if there is no other peer.
    pub(super) failed: &'a [SocketAddr],
}

/// A peer for one request.
pub struct ChosenPeer {
    /// The peer as Pingora connects to it.
    pub http: Box<HttpPeer>,
    /// The peer, whose count of requests in flight includes this request.
    pub request: PeerRequest,
}

impl Peers {
    /// Creates the peers of these names, with the connection settings of `template`. If `template` has no server name,
    /// a peer's certificate must be for the peer's host.
    #[must_use]
    pub fn new(names: Vec<Arc<PeerName>>, template: HttpPeer, tls: Option<PeerTls>, policy: PeerPolicy) -> Self {
        // Without a configured server name, a certificate must be for the host by which the configuration names the
        // peer. Test: `the_host_is_the_name_of_the_certificate_unless_another_is_said`.
        let host_is_server_name = template.is_tls() && template.sni.is_empty();
        let (turn, failures) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { names, template, tls, host_is_server_name, policy, turn, failures }
    }

    /// Returns the certificates in use, for their renewal; `None` without TLS.
    pub fn credentials(&self) -> Option<&Arc<Renewable<PeerCredentials>>> {
        self.tls.as_ref().map(|tls| &tls.credentials)
    }

    /// Returns whether a TLS version may be used. `version` is OpenSSL's name, such as `TLSv1.3`.
    #[must_use]
    pub fn speaks(&self, version: &str) -> bool {
        // Versions before 1.2 fail in the handshake: their signatures are below OpenSSL's level of security.
        self.tls.as_ref().is_none_or(|tls| tls.min_version == TlsVersion::Tls12 || version == "TLSv1.3")
    }

    /// Returns the names of the peers, which the next snapshot shares.
    #[must_use]
    pub fn names(&self) -> &[Arc<PeerName>] {
        &self.names
    }

    /// Returns the current time by the clock of the policy.
    #[must_use]
    pub fn now(&self) -> Instant {
        (self.policy.clock)()
    }

    /// Returns the settings of retries: their number, their share of all requests, and their pauses.
    #[must_use]
    pub fn retries(&self) -> &RetrySettings {
        &self.policy.retries
    }

    /// Returns the budget of retries.
    #[must_use]
    pub fn budget(&self) -> &Arc<RetryBudget> {
        &self.policy.budget
    }

    /// Returns the settings of health checks; `None` if the upstream has no health checks.
    #[must_use]
    pub fn check(&self) -> Option<&HealthCheckSettings> {
        self.policy.check.as_ref()
    }

    /// Returns the rule by which peers are chosen.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.policy.balance
    }

    /// Returns the weight of the peers of a name, by its index in [`Self::names`].
    #[must_use]
    pub fn weight(&self, name: usize) -> u32 {
        self.policy.weights.get(name).copied().unwrap_or(1)
    }

    /// Returns whether the peers of a name are backups.
    #[must_use]
    pub fn is_backup(&self, name: usize) -> bool {
        name >= self.names.len().saturating_sub(self.policy.backups)
    }

    /// Returns the number of addresses that can be tried; if no name has been resolved yet, the number of names.
    #[must_use]
    pub fn count(&self) -> usize {
        let count = self.fold(0, |count, _, _| count + 1);
        if count == 0 { self.names.len() } else { count }
    }

    /// Returns the number of unhealthy peers.
    #[must_use]
    pub fn resting(&self) -> usize {
        self.fold(0, |count, _, peer| count + usize::from(peer.health.is_unhealthy()))
    }

    /// Returns the number of failed attempts to connect.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Folds over the addresses of healthy peers.
    pub fn fold_healthy<T>(&self, start: T, mut step: impl FnMut(T, SocketAddr) -> T) -> T {
        self.fold(start, |all, _, peer| if peer.health.is_unhealthy() { all } else { step(all, peer.address) })
    }

    /// Returns the peers of all names that have been resolved.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.fold(Vec::new(), |mut all, _, peer| {
            all.push(Arc::clone(peer));
            all
        })
    }

    /// Returns the peer at an address; `None` if the address no longer belongs to a name.
    pub(super) fn at(&self, address: SocketAddr) -> Option<Arc<Peer>> {
        self.find(|peer| peer.address == address).map(|(_, peer)| peer)
    }

    /// Returns whether one of the peers that `is_included` accepts is healthy.
    pub(super) fn has_ready(&self, is_included: impl Fn(&Peer) -> bool) -> bool {
        self.fold(false, |found, _, peer| found || (!peer.health.is_unhealthy() && is_included(peer)))
    }

    /// Chooses the peer for an attempt. If no name has been resolved yet, waits up to `patience` for the addresses of
    /// one name.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] or [`FetchError::Timeout`] if there is no address and no name can be
    /// resolved in time.
    pub(super) async fn next(
        &self,
        wanted: WantedPeer<'_>,
        now: Instant,
        patience: Duration,
    ) -> Result<ChosenPeer, FetchError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = match self.choose(wanted, turn, now) {
            Some(chosen) => Some(chosen),
            None => {
                let Some(name) = self.names.get(turn % self.names.len().max(1)) else {
                    return Err(FetchError::Unavailable("the upstream has no peer".to_owned()));
                };
                name.first(patience).await?;
                self.choose(wanted, turn, now)
            }
        };
        let Some((name, peer, is_trial)) = chosen else {
            return Err(FetchError::Unavailable("the upstream has no address".to_owned()));
        };
        Ok(self.chosen(name, &peer, is_trial.then_some(turn), now))
    }

    /// Returns a peer as Pingora connects to it. For a trial, `trial` is the number of the choice, and the peer gets a
    /// new connection.
    pub fn chosen(&self, name: usize, peer: &Arc<Peer>, trial: Option<usize>, now: Instant) -> ChosenPeer {
        let mut http = Box::new(self.template.clone());
        if let Some(tls) = &self.tls {
            let credentials = tls.credentials.current();
            http.options.ca.clone_from(&credentials.authorities);
            http.options.upstream_tls_handshake_complete_hook = Some(peer.handshake_hook());
            http.client_cert_key.clone_from(&credentials.identity);
            // The group key selects the pool. It depends on the certificates and the TLS version so that no connection
            // with others is reused.
            http.group_key ^= credentials.hash.rotate_left(u32::from(tls.min_version == TlsVersion::Tls13));
        }
        http._address = PingoraAddress::Inet(peer.address);
        if let Some(name) = self.names.get(name).filter(|_| self.host_is_server_name) {
            name.host().clone_into(&mut http.sni);
        }
        if let Some(turn) = trial {
            // Another group key selects another pool, so the trial makes a new connection: a pooled connection wouldn't
            // test whether the peer can be reached. Test: `a_peer_that_failed_is_passed_over_and_comes_back`. Each
            // trial has its own pool, so no later trial gets its connection. Nor does a request for a new connection,
            // which flips the last bit. Test: `each_trial_has_a_pool_of_its_own`.
            http.group_key ^= (turn as u64).wrapping_add(1) << 1;
        }
        http.group_key ^= peer.pool() << 40;
        ChosenPeer { http, request: peer.request(now) }
    }

    /// Records that a peer couldn't be reached, for the reason `said`, and logs a change of the peer's health.
    pub fn unreached(&self, peer: &Peer, said: &str, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        peer.note_failure(said, now);
        self.log(peer, peer.health.unreached(said, now));
    }

    /// Records a new connection to a peer, and logs a change of the peer's health.
    pub fn reached(&self, peer: &Peer, now: Instant) {
        self.log(peer, peer.health.reached(now));
    }

    /// Records that a kept connection to a peer was lost: nothing acknowledged what was sent on it. Its other kept
    /// connections are used no more.
    pub fn lost(&self, peer: &Peer, now: Instant) {
        // All connections are lost at once, so one line says it.
        if peer.abandon_pool(now) {
            let (upstream, peer) = (&self.policy.upstream, peer.address);
            tracing::warn!(
                upstream, %peer,
                "kept connections to the peer were lost: requests that only read waited about 2 s and were sent again"
            );
        }
    }

    /// Records that bytes followed the end of an answer of a peer, and logs it the first, second, fourth … time.
    pub(in crate::net) fn surplus(&self, peer: &Peer) {
        peer.remark("bytes followed the end of an answer", self.now());
        let count = peer.note_surplus();
        if count.is_power_of_two() {
            let (upstream, peer) = (&self.policy.upstream, peer.address);
            tracing::warn!(
                upstream, %peer, count,
                "bytes followed the end of an answer; its connection was closed, and no client got them"
            );
        }
    }

    /// Records the time of an answer to a request of this kind, from its request until `now`.
    pub(super) fn timed(&self, kind: LatencyKind, request: &PeerRequest, now: Instant) {
        let began = request.note_answer(now);
        if let Some(slots) = &self.policy.slots {
            slots.answered(kind, began, now);
        }
    }

    /// Records a good answer of a peer, and logs a change of the peer's health.
    pub fn answered(&self, peer: &Peer, now: Instant) {
        self.log(peer, peer.health.answered(now));
    }

    /// Records a failed answer of a peer, for the reason `said`, and logs a change of the peer's health.
    pub fn failed(&self, peer: &Peer, said: &str, now: Instant) {
        peer.note_failure(said, now);
        self.log(peer, peer.health.failed(said, self.policy.eject_after, || self.may_rest(), now));
    }

    /// Records a page that was made from the answers of a peer, and logs a change of the peer's health.
    pub(super) fn gave_page(&self, peer: &Peer) {
        if !peer.health.is_proven() {
            self.log(peer, peer.health.gave_page(self.now()));
        }
    }

    /// Records that another peer gave a page in place of this one, for the reason `said`, and logs a change of the peer's
    /// health.
    pub(super) fn missed_page(&self, peer: &Peer, said: &str) {
        let now = self.now();
        peer.note_failure(said, now);
        self.log(peer, peer.health.missed_page(said, self.policy.eject_after, || self.may_rest(), now));
    }

    /// Returns whether another peer may rest for its answers. At most half of the peers do: the others get all
    /// requests, and might fail for the same reason. Test: `at_most_half_of_the_peers_rest_for_failed_answers`.
    fn may_rest(&self) -> bool {
        (self.resting() + 1) * 2 <= self.count()
    }

    /// Records the result of a health check of a peer, and logs a change of the peer's health.
    pub fn checked(&self, peer: &Peer, result: Result<(), String>, now: Instant) {
        let Some(check) = self.check() else { return };
        self.log(peer, peer.health.checked(result, check.unhealthy_after, check.healthy_after, now));
    }

    fn log(&self, peer: &Peer, change: Option<HealthChange>) {
        let (upstream, peer) = (&self.policy.upstream, peer.address);
        match change {
            None => {}
            Some(HealthChange::OtherReason(reason)) => {
                tracing::warn!(upstream, %peer, reason, "peer is still unhealthy, for another reason than before");
            }
            Some(HealthChange::Healthy) => tracing::info!(upstream, %peer, "peer is healthy again"),
            Some(HealthChange::Unhealthy(reason)) => {
                tracing::warn!(upstream, %peer, reason, "peer is unhealthy: other peers are used until it is back");
            }
        }
    }

    /// Chooses a peer. Returns the index of its name, the peer, and whether this is a trial; `None` if no name has been
    /// resolved. The first request that may try a peer after its rest gets that peer, whichever peer is next in turn.
    fn choose(&self, wanted: WantedPeer<'_>, turn: usize, now: Instant) -> Option<(usize, Arc<Peer>, bool)> {
        let has_failed = |peer: &Peer| wanted.failed.contains(&peer.address);
        // Replicas of different age contradict each other, so a page stays at its peer (see `Visit`). Test:
        // `a_visit_stays_at_its_peer_until_that_fails_it`.
        if let Some(known) = wanted.known
            && let Some((name, peer)) = self.find(|peer| peer.address == known && !peer.health.is_unhealthy())
            && !has_failed(&peer)
        {
            return Some((name, peer, false));
        }
        let is_trial = |peer: &Peer| {
            // `readiness` is last, because a trial has to be made once it has been granted.
            peer.health.is_unhealthy()
                && !has_failed(peer)
                && peer.health.readiness(wanted.can_repeat, wanted.judges, now) == Readiness::Trial
        };
        if let Some((name, peer)) = self.find(is_trial) {
            return Some((name, peer, true));
        }
        // Healthy peers come first; among peers of equal health, those that have not failed this request, and among these
        // those that aren't backups. Test: `a_backup_is_used_while_no_other_peer_is_healthy`.
        let rank = |name: usize, peer: &Peer| {
            4 * u8::from(peer.health.is_unhealthy()) + 2 * u8::from(has_failed(peer)) + u8::from(self.is_backup(name))
        };
        let (_, candidates) = self.fold((u8::MAX, Vec::new()), |(least, mut candidates), name, peer| {
            let rank = rank(name, peer);
            if rank < least {
                candidates.clear();
            }
            if rank <= least {
                candidates.push((name, Arc::clone(peer)));
            }
            (least.min(rank), candidates)
        });
        // If no peer is healthy, all are candidates: a fault of the health check must not cut off peers that work.
        // Test: `all_peers_are_used_in_turn_while_all_rest`.
        self.pick(&candidates, wanted.key, turn, now).map(|(name, peer)| (*name, Arc::clone(peer), false))
    }

    fn find(&self, mut is_wanted: impl FnMut(&Peer) -> bool) -> Option<(usize, Arc<Peer>)> {
        self.fold(None, |found, name, peer| found.or_else(|| is_wanted(peer).then(|| (name, Arc::clone(peer)))))
    }

    /// Picks a candidate by the configured balance; returns `None` if there are no candidates.
    fn pick<'c>(
        &self,
        candidates: &'c [(usize, Arc<Peer>)],
        key: u128,
        turn: usize,
        now: Instant,
    ) -> Option<&'c (usize, Arc<Peer>)> {
        if let Some(weights) = self.unequal_weights(candidates, now) {
            return weighted(candidates, &weights, self.policy.balance, key, turn);
        }
        // Turns are taken only among the candidates. In turns among all peers, the peer after a skipped one would also
        // get the skipped peer's requests. Test: `a_peer_that_failed_is_passed_over_and_comes_back`.
        let in_turn = |index: usize| candidates.get((turn + index) % candidates.len().max(1));
        match self.policy.balance {
            Balance::RoundRobin => in_turn(0),
            // Of several peers with the fewest requests, the next in turn is picked.
            Balance::LeastRequests => {
                (0..candidates.len()).filter_map(in_turn).min_by_key(|(_, peer)| peer.in_flight())
            }
            // Rendezvous hashing: if a peer is skipped, only its keys move to other peers, and they return when it
            // does.
            Balance::Hash => candidates.iter().max_by_key(|(_, peer)| key_score(key, peer.address)),
        }
    }

    /// Returns the weights of candidates, in thousandths; `None` if all are equal, as they usually are.
    fn unequal_weights(&self, candidates: &[(usize, Arc<Peer>)], now: Instant) -> Option<Vec<u64>> {
        let slow_start = self.policy.slow_start;
        let weight = |candidate: &(usize, Arc<Peer>)| {
            let whole = 1_000 * u64::from(self.weight(candidate.0));
            if slow_start.is_zero() {
                return whole;
            }
            let healthy = now.saturating_duration_since(candidate.1.health.since()).min(slow_start);
            let grown = whole.saturating_mul(millis(healthy)) / millis(slow_start).max(1);
            grown.max(whole / 10)
        };
        let weights: Vec<u64> = candidates.iter().map(weight).collect();
        weights.windows(2).any(|pair| pair[0] != pair[1]).then_some(weights)
    }

    /// Folds over all peers with the indices of their names.
    fn fold<T>(&self, start: T, mut step: impl FnMut(T, usize, &Arc<Peer>) -> T) -> T {
        let mut all = start;
        for (index, name) in self.names.iter().enumerate() {
            if let Some(resolved) = &*name.resolved() {
                for peer in &resolved.peers {
                    all = step(all, index, peer);
                }
            }
        }
        all
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A candidate with its weight, in thousandths.
#[derive(Clone, Copy)]
struct WeighedPeer<'c> {
    peer: &'c (usize, Arc<Peer>),
    weight: u64,
}

/// Picks a candidate by its weight.
#[expect(clippy::cast_precision_loss, reason = "a share of keys needs no more than 53 bits")]
fn weighted<'c>(
    candidates: &'c [(usize, Arc<Peer>)],
    weights: &[u64],
    balance: Balance,
    key: u128,
    turn: usize,
) -> Option<&'c (usize, Arc<Peer>)> {
    let weighed = || candidates.iter().zip(weights).map(|(peer, weight)| WeighedPeer { peer, weight: *weight });
    let picked = match balance {
        Balance::RoundRobin => in_weighted_turn(weighed(), turn),
        // The peers with the fewest requests for their weight have turns by weight. Otherwise the heaviest peer would get
        // all requests that come one after the other.
        Balance::LeastRequests => {
            let load = |candidate: &WeighedPeer<'c>| {
                (candidate.peer.1.in_flight() as u64).saturating_mul(1_000_000) / candidate.weight.max(1)
            };
            let loads: Vec<u64> = weighed().map(|candidate| load(&candidate)).collect();
            let least = loads.iter().min().copied();
            in_weighted_turn(
                weighed().zip(loads).filter(|weighed| Some(weighed.1) == least).map(|weighed| weighed.0),
                turn,
            )
        }
        // Weighted rendezvous hashing: a peer's share of the keys is its share of the weights.
        Balance::Hash => {
            let score = |candidate: &WeighedPeer<'c>| {
                let uniform = ((key_score(key, candidate.peer.1.address) >> 75) as f64 + 0.5) / (1_u64 << 53) as f64;
                candidate.weight as f64 / -uniform.ln()
            };
            weighed().max_by(|one, other| score(one).total_cmp(&score(other)))
        }
    };
    picked.map(|candidate| candidate.peer)
}

/// Returns the candidate whose turn it is by the weights. Multiples of the golden ratio are spread evenly, so a heavy peer
/// doesn't get all its turns in a row.
fn in_weighted_turn<'c>(
    mut candidates: impl Iterator<Item = WeighedPeer<'c>> + Clone,
    turn: usize,
) -> Option<WeighedPeer<'c>> {
    let spread = u128::from((turn as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let all: u64 = candidates.clone().map(|candidate| candidate.weight).sum();
    let mut left = u64::try_from((spread * u128::from(all)) >> 64).unwrap_or(0);
    candidates.find(|candidate| {
        let is_here = left < candidate.weight;
        left = left.saturating_sub(candidate.weight);
        is_here
    })
}

/// Returns the score of a peer for a key, by which hashing chooses. It is the same in every process.
fn key_score(key: u128, address: SocketAddr) -> u128 {
    let mut bytes = [0; 34];
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..18].copy_from_slice(&address.port().to_be_bytes());
    bytes[18..].copy_from_slice(&key.to_be_bytes());
    XxHash3_128::oneshot(&bytes)
}

#[cfg(test)]
mod tests;
