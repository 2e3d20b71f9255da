//! The limits on the number of a route's requests in a time (`rate_limit`, `legacy.rate_limit` and `legacy.brownouts`),
//! and their application to one request.
//!
//! A request is charged when its head has been read ([`LimitedRequest::admit`]) and settled when its outcome is known
//! ([`LimitedRequest::settle`]). If there is a shared store, the store decides. If the store doesn't answer, the
//! process decides by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName};

use super::{
    ClientHash, ClientHashes, LimitedClient,
    limit_store::{LimitStore, StoredStanding},
    rate_limit::{RateDecision, RateLimit},
};
use crate::runtime::clock;
use cursorgate_config::settings::{BrownoutEffect, BrownoutSettings, LegacySettings, QuotaSettings, RateLimitSettings};
use cursorgate_translate::downstream::response::rate_limit::{self, LimitStanding};

/// The limits of a route, with the state of each client.
#[derive(Debug)]
pub struct RouteLimits {
    clients: ClientHashes,
    requests: Option<Arc<RateLimit>>,
    upstream_requests: Option<Arc<RateLimit>>,
    legacy: Option<Arc<RateLimit>>,
    /// The brownouts, each with its limit if it slows clients down.
    brownouts: Vec<(BrownoutSettings, Option<Arc<RateLimit>>)>,
}

/// The setting that a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitPolicy {
    /// `rate_limit.requests`.
    Requests,
    /// `rate_limit.upstream_requests`.
    UpstreamRequests,
    /// `legacy.rate_limit`.
    Legacy,
    /// An element of `legacy.brownouts`.
    Brownout,
}

impl LimitPolicy {
    /// The words for the policies, in the order of the variants. They are the labels of metrics.
    pub const WORDS: [&'static str; 4] = ["requests", "upstream-requests", "legacy", "brownout"];

    /// Returns the word for a policy in the log, in metrics and in the `RateLimit` header.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// The refusal of a request that is beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRefusal {
    pub policy: LimitPolicy,
    pub quota: QuotaSettings,
    /// The number of seconds after which the same request is allowed, at least 1.
    pub retry_after: u64,
    /// The end of the brownout that refuses the request, in seconds since 1970; `None` if another limit refuses the
    /// request.
    pub until: Option<u64>,
}

/// A request with the limits of its route, and the charges to them so far.
#[derive(Debug)]
pub struct LimitedRequest {
    limits: Arc<RouteLimits>,
    client: ClientHash,
    /// The client in the shared store; `None` without a shared store, or while the store is down.
    stored: Option<StoredClient>,
    /// The number of upstream requests that have been charged so far.
    charged: u32,
    /// The limits that were applied, with their decisions, in the order of their application.
    applied: Vec<AppliedLimit>,
}

/// A client in the shared store.
#[derive(Debug)]
struct StoredClient {
    store: Arc<dyn LimitStore>,
    /// The name of the client's value in the store: a keyed hash, which does not reveal the client.
    name: String,
    /// True if the store has failed to answer for this request. The store isn't asked again, so a request waits for a
    /// silent store only once.
    is_silent: bool,
}

#[derive(Debug)]
struct AppliedLimit {
    policy: LimitPolicy,
    quota: QuotaSettings,
    /// The limit; `None` in a brownout with the effect `pause`, which refuses every request.
    limit: Option<Arc<RateLimit>>,
    /// The number of seconds until the request is allowed; `None` if it wasn't refused.
    refused: Option<u64>,
}

impl RouteLimits {
    /// Returns the number of limits that keep the states of clients.
    #[must_use]
    pub fn count(&self) -> usize {
        let of_route = [&self.requests, &self.upstream_requests, &self.legacy];
        of_route.into_iter().chain(self.brownouts.iter().map(|(_, limit)| limit)).flatten().count()
    }

    /// Returns the headers by which the limits identify clients.
    #[must_use]
    pub fn named_by(&self) -> &[HeaderName] {
        self.clients.named_by()
    }

    /// Creates the limits of a route; returns `None` if the route has no limits. `known` are the limits of the previous
    /// snapshot. Limits that stay the same keep their state.
    pub fn compile(
        settings: &RateLimitSettings,
        legacy: Option<&LegacySettings>,
        known: Option<&Self>,
        now: Instant,
    ) -> Option<Arc<Self>> {
        // States are kept under hashes of the clients' headers. If other headers identify clients now, no state could
        // be found again, so all states are dropped.
        let known = known.filter(|known| known.clients.are_by(&settings.clients, settings.by_identity));
        let limit = |quota: QuotaSettings, known: Option<&Arc<RateLimit>>| {
            let known = known.filter(|known| known.quota() == quota);
            known.map_or_else(|| Arc::new(RateLimit::new(quota, now)), Arc::clone)
        };
        let brownout = |brownout: &BrownoutSettings| {
            let same = known.and_then(|known| known.brownouts.iter().find(|(known, _)| known == brownout));
            match brownout.effect {
                BrownoutEffect::Slow(quota) => Some(limit(quota, same.and_then(|(_, limit)| limit.as_ref()))),
                BrownoutEffect::Pause | BrownoutEffect::Reject => None,
            }
        };
        let upstream_requests = settings.upstream_requests.as_ref().map(|limit| limit.value);
        let brownouts = legacy.map_or(&[][..], |legacy| &legacy.brownouts);
        let limits = Self {
            clients: known.map_or_else(
                || ClientHashes::by(settings.clients.clone(), settings.by_identity),
                |known| known.clients.clone(),
            ),
            requests: settings.requests.map(|quota| limit(quota, known.and_then(|known| known.requests.as_ref()))),
            upstream_requests: upstream_requests
                .map(|quota| limit(quota, known.and_then(|known| known.upstream_requests.as_ref()))),
            legacy: legacy
                .and_then(|legacy| legacy.rate_limit)
                .map(|quota| limit(quota, known.and_then(|known| known.legacy.as_ref()))),
            brownouts: brownouts.iter().map(|settings| (*settings, brownout(settings))).collect(),
        };
        let is_limited = limits.requests.is_some()
            || limits.upstream_requests.is_some()
            || limits.legacy.is_some()
            || !limits.brownouts.is_empty();
        is_limited.then(|| Arc::new(limits))
    }
}

impl LimitedRequest {
    /// Begins a request, and finds its client. `shared` is the store in which processes count together, with the name
    /// of the route; `None` if the process counts by itself.
    #[must_use]
    pub fn begin(
        limits: &Arc<RouteLimits>,
        client: LimitedClient<'_>,
        shared: Option<(Arc<dyn LimitStore>, &str)>,
    ) -> Self {
        let found = limits.clients.find(client);
        let stored = shared.and_then(|(store, route)| {
            let name = store.name(&limits.clients.written(route, client))?;
            Some(StoredClient { store, name, is_silent: false })
        });
        Self { limits: Arc::clone(limits), client: found, stored, charged: 0, applied: Vec::with_capacity(2) }
    }

    /// Counts the request apart from those for pages, with the same numbers. `begin` then needs another name of the route
    /// for the shared store.
    pub fn apart(mut self) -> Self {
        self.client = ClientHash(self.client.0.rotate_left(32) ^ u64::MAX);
        self
    }

    /// Charges one request and one upstream request. [`Self::settle`] later replaces this one upstream request with the
    /// real number.
    ///
    /// # Errors
    ///
    /// Returns the refusal by the limit that the client has used up.
    pub async fn admit(&mut self) -> Result<(), RateRefusal> {
        let limits = Arc::clone(&self.limits);
        // The limit of upstream requests comes first: if the limit of requests then refuses, the request is settled
        // with no upstream request, which gives the charged one back.
        let upstream_requests = limits.upstream_requests.as_ref().map(|limit| (LimitPolicy::UpstreamRequests, limit));
        let requests = limits.requests.as_ref().map(|limit| (LimitPolicy::Requests, limit));
        let limits: Vec<_> = upstream_requests.into_iter().chain(requests).collect();
        self.take(&limits).await
    }

    /// Charges a legacy request; `unix_seconds` is the time now, in seconds since 1970, which decides on brownouts.
    ///
    /// # Errors
    ///
    /// Returns the refusal by the limit that the client has used up, or by a brownout that admits no request.
    pub async fn admit_legacy(&mut self, unix_seconds: u64) -> Result<(), RateRefusal> {
        let limits = Arc::clone(&self.limits);
        if let Some(limit) = &limits.legacy {
            self.take(&[(LimitPolicy::Legacy, limit)]).await?;
        }
        let Some((brownout, limit)) = limits.brownouts.iter().find(|(brownout, _)| brownout.is_on(unix_seconds)) else {
            return Ok(());
        };
        match (brownout.effect, limit) {
            (BrownoutEffect::Pause, _) => {
                let per = Duration::from_secs(brownout.until - brownout.from);
                let quota = QuotaSettings { requests: 0, per, burst: 0 };
                let retry_after = (brownout.until - unix_seconds).max(1);
                let policy = LimitPolicy::Brownout;
                self.applied.push(AppliedLimit { policy, quota, limit: None, refused: Some(retry_after) });
                Err(RateRefusal { policy, quota, retry_after, until: Some(brownout.until) })
            }
            (BrownoutEffect::Slow(_), Some(limit)) => self
                .take(&[(LimitPolicy::Brownout, limit)])
                .await
                .map_err(|refusal| RateRefusal { until: Some(brownout.until), ..refusal }),
            // A brownout that rejects has been applied by the policy of legacy requests (`legacy::decide`).
            _ => Ok(()),
        }
    }

    /// Takes one unit of each of these limits: in the store if it answers in time, and otherwise only in this process.
    async fn take(&mut self, limits: &[(LimitPolicy, &Arc<RateLimit>)]) -> Result<(), RateRefusal> {
        if limits.is_empty() {
            return Ok(());
        }
        let now = clock::instant();
        let is_shared = self.stored.as_ref().is_some_and(|stored| !stored.is_silent);
        // If the store has refused the client until a later time, the client is refused without asking the store again.
        // Test: `a_refusal_is_remembered_and_takes_nothing`.
        let known = limits.iter().filter(|_| is_shared);
        let refused = known.filter_map(|(policy, limit)| Some((*policy, *limit, limit.refused(self.client, now)?)));
        if let Some((policy, limit, decision)) = refused.max_by_key(|(_, _, decision)| decision.retry_after) {
            return self.apply(policy, limit, decision);
        }
        // If the store fails, clients are neither refused nor freed from their limits. Test:
        // `a_store_that_fails_leaves_each_process_with_its_own_limit`.
        let Some(said) = self.ask(limits).await else { return self.take_alone(limits) };
        // The clock is read again, because the question took time and the times in the reply count from now.
        let now = clock::instant();
        let heard = limits.iter().zip(said);
        let mut heard: Vec<_> = heard
            .map(|((policy, limit), standing)| (*policy, *limit, limit.hear(self.client, standing, now)))
            .collect();
        // The last decision is returned, so the client waits for the limit that refuses it for the longest time. Test:
        // `the_refusal_that_lasts_longest_decides`.
        heard.sort_by_key(|(_, _, decision)| decision.retry_after);
        let mut admitted = Ok(());
        for (policy, limit, decision) in heard {
            admitted = self.apply(policy, limit, decision);
        }
        // The store takes units of all limits or of none, so a refusal by one of them has charged nothing.
        // Test: `a_refusal_charges_no_other_limit`.
        if admitted.is_ok() && limits.iter().any(|(policy, _)| *policy == LimitPolicy::UpstreamRequests) {
            self.charged = 1;
        }
        admitted
    }

    /// Takes one unit of each of these limits in this process, one after the other, until one limit refuses.
    fn take_alone(&mut self, limits: &[(LimitPolicy, &Arc<RateLimit>)]) -> Result<(), RateRefusal> {
        let now = clock::instant();
        for (policy, limit) in limits {
            let decision = limit.check(self.client, 1, now);
            if decision.allowed && *policy == LimitPolicy::UpstreamRequests {
                self.charged = 1;
            }
            self.apply(*policy, limit, decision)?;
        }
        Ok(())
    }

    /// Asks the store for one unit of each of these limits. Returns `None` if the store doesn't answer or isn't used.
    async fn ask(&mut self, limits: &[(LimitPolicy, &Arc<RateLimit>)]) -> Option<Vec<StoredStanding>> {
        let stored = self.stored.as_mut().filter(|stored| !stored.is_silent)?;
        let units: Vec<_> = limits.iter().map(|(policy, limit)| limit.stored(policy.word(), 1)).collect();
        let said = stored.store.take(&stored.name, &units).await;
        stored.is_silent = said.is_none();
        said
    }

    /// Records the decision of a limit, and returns it as a result.
    fn apply(
        &mut self,
        policy: LimitPolicy,
        limit: &Arc<RateLimit>,
        decision: RateDecision,
    ) -> Result<(), RateRefusal> {
        let retry_after = seconds(decision.retry_after).max(1);
        let (quota, limit) = (limit.quota(), Some(Arc::clone(limit)));
        self.applied.push(AppliedLimit { policy, quota, limit, refused: (!decision.allowed).then_some(retry_after) });
        if decision.allowed { Ok(()) } else { Err(RateRefusal { policy, quota, retry_after, until: None }) }
    }

    /// Charges the upstream requests that the request has `taken` by now, except for those that were charged before. If
    /// too many were charged, gives the rest back. No request waits for the store's answer.
    pub fn settle(&mut self, taken: u32, now: Instant) {
        let Some(limit) = self.limits.upstream_requests.as_ref().filter(|_| taken != self.charged) else { return };
        let units = i64::from(taken) - i64::from(self.charged);
        limit.charge(self.client, units, now);
        // A store that hasn't answered might not have taken the unit, so the unit isn't given back there. Test:
        // `a_store_that_does_not_answer_is_queried_once_for_each_request`.
        if let Some(stored) = self.stored.as_ref().filter(|stored| units > 0 || !stored.is_silent) {
            stored.store.charge(&stored.name, limit.stored(LimitPolicy::UpstreamRequests.word(), units));
        }
        self.charged = taken;
    }

    /// Returns whether a limit was applied. If so, the response gets `RateLimit` headers.
    #[must_use]
    pub fn is_told(&self) -> bool {
        !self.applied.is_empty()
    }

    /// Writes the standing of the applied limits into the headers of the response, the most specific limit first.
    pub fn write(&self, headers: &mut HeaderMap, now: Instant) {
        let standings: Vec<LimitStanding> =
            self.applied.iter().rev().map(|applied| self.standing(applied, now)).collect();
        rate_limit::write(headers, &standings);
    }

    fn standing(&self, applied: &AppliedLimit, now: Instant) -> LimitStanding {
        let AppliedLimit { policy, quota, limit, refused } = applied;
        let unit = (*policy == LimitPolicy::UpstreamRequests).then_some(policy.word());
        let said = limit.as_ref().map(|limit| limit.charge(self.client, 0, now));
        let remaining = said.map_or(0, |said| said.remaining);
        let reset = said.map_or(0, |said: RateDecision| seconds(said.reset_after));
        match refused {
            // A refusal has the same time in `RateLimit` as in `Retry-After`
            // (draft-ietf-httpapi-ratelimit-headers-11, section 5).
            Some(retry_after) => {
                LimitStanding { policy: policy.word(), unit, quota: *quota, remaining: 0, reset: *retry_after }
            }
            None => LimitStanding { policy: policy.word(), unit, quota: *quota, remaining, reset },
        }
    }
}

/// Returns a time in whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
