//! The limits of a route's requests in a time, and those that apply to one request.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;

use super::{
    ClientHash, ClientHashes,
    limit_store::{LimitStore, StoredStanding},
    rate_limit::{RateDecision, RateLimit},
};
use crate::{
    config::settings::{BrownoutEffect, BrownoutSettings, LegacySettings, QuotaSettings, RateLimitSettings},
    downstream::response::rate_limit::{self, LimitStanding},
    gateway::runtime::clock,
};

/// The limits of a route.
#[derive(Debug)]
pub(crate) struct RouteLimits {
    clients: ClientHashes,
    requests: Option<Arc<RateLimit>>,
    upstream_requests: Option<Arc<RateLimit>>,
    legacy: Option<Arc<RateLimit>>,
    brownouts: Vec<(BrownoutSettings, Option<Arc<RateLimit>>)>,
}

/// The limit that a request is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitPolicy {
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
    /// The policies, as the label of the metrics has them.
    pub(crate) const WORDS: [&'static str; 4] = ["requests", "upstream-requests", "legacy", "brownout"];

    /// Returns the policy as the log and `RateLimit` have it.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// A refusal for the sake of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateRefusal {
    pub policy: LimitPolicy,
    pub quota: QuotaSettings,
    /// The number of seconds after which the request is allowed, at least one.
    pub retry_after: u64,
    /// The end of the brownout, in seconds since 1970.
    pub until: Option<u64>,
}

/// A request with its limits. It is charged with requests to the upstream as it makes them.
#[derive(Debug)]
pub(crate) struct LimitedRequest {
    limits: Arc<RouteLimits>,
    client: ClientHash,
    /// The client in the store that processes share; none without a store, and while it is down.
    stored: Option<StoredClient>,
    /// The charge for requests to the upstream so far.
    charged: u32,
    /// The limits that apply, with what they answered.
    applied: Vec<AppliedLimit>,
}

/// A client in the store that processes share.
#[derive(Debug)]
struct StoredClient {
    store: Arc<dyn LimitStore>,
    /// The name of the client in this route, from which it can't be told.
    name: String,
    /// The store has not answered: it is asked no more in this request, so that the request waits for it once.
    is_silent: bool,
}

#[derive(Debug)]
struct AppliedLimit {
    policy: LimitPolicy,
    quota: QuotaSettings,
    /// None in a brownout without a request.
    limit: Option<Arc<RateLimit>>,
    /// The number of seconds that a refusal names.
    refused: Option<u64>,
}

impl RouteLimits {
    /// Creates the limits of a route; none if it has none. Limits that stay the same keep their state.
    pub(crate) fn compile(
        settings: &RateLimitSettings,
        legacy: Option<&LegacySettings>,
        known: Option<&Self>,
        now: Instant,
    ) -> Option<Arc<Self>> {
        let known = known.filter(|known| known.clients.are_by(&settings.clients));
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
            clients: known.map_or_else(|| ClientHashes::by(settings.clients.clone()), |known| known.clients.clone()),
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
    /// Finds the client of a request. `shared` is the store in which the processes count the requests of this route.
    #[must_use]
    pub(crate) fn begin(
        limits: &Arc<RouteLimits>,
        (headers, address): (&HeaderMap, IpAddr),
        shared: Option<(Arc<dyn LimitStore>, &str)>,
    ) -> Self {
        let client = limits.clients.find(headers, address);
        let stored = shared.and_then(|(store, route)| {
            let name = store.name(&limits.clients.written(route, headers, address))?;
            Some(StoredClient { store, name, is_silent: false })
        });
        Self { limits: Arc::clone(limits), client, stored, charged: 0, applied: Vec::with_capacity(2) }
    }

    /// Charges the request, and one request to the upstream, which [`Self::settle`] replaces by their real number.
    ///
    /// # Errors
    ///
    /// Returns the limit that the client has used up.
    pub(crate) async fn admit(&mut self) -> Result<(), RateRefusal> {
        let limits = Arc::clone(&self.limits);
        // First, because a refusal by the other one gives this charge back.
        let upstream_requests = limits.upstream_requests.as_ref().map(|limit| (LimitPolicy::UpstreamRequests, limit));
        let requests = limits.requests.as_ref().map(|limit| (LimitPolicy::Requests, limit));
        let limits: Vec<_> = upstream_requests.into_iter().chain(requests).collect();
        self.take(&limits).await
    }

    /// Charges a legacy request; `unix_seconds` is the time of day.
    ///
    /// # Errors
    ///
    /// Returns the limit that the client has used up, or the brownout that lets no request pass.
    pub(crate) async fn admit_legacy(&mut self, unix_seconds: u64) -> Result<(), RateRefusal> {
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
            // The policy of legacy requests has rejected the request already.
            _ => Ok(()),
        }
    }

    /// Takes one unit of each of these limits, in all processes together where their store answers.
    async fn take(&mut self, limits: &[(LimitPolicy, &Arc<RateLimit>)]) -> Result<(), RateRefusal> {
        if limits.is_empty() {
            return Ok(());
        }
        let now = clock::instant();
        let is_shared = self.stored.as_ref().is_some_and(|stored| !stored.is_silent);
        let known = limits.iter().filter(|_| is_shared);
        let refused = known.filter_map(|(policy, limit)| Some((*policy, *limit, limit.refused(self.client, now)?)));
        if let Some((policy, limit, decision)) = refused.max_by_key(|(_, _, decision)| decision.retry_after) {
            return self.apply(policy, limit, decision);
        }
        let Some(said) = self.ask(limits).await else { return self.take_alone(limits) };
        let now = clock::instant();
        let heard = limits.iter().zip(said);
        let mut heard: Vec<_> = heard
            .map(|((policy, limit), standing)| (*policy, *limit, limit.hear(self.client, standing, now)))
            .collect();
        // The last one decides: the refusal that lasts longest.
        heard.sort_by_key(|(_, _, decision)| decision.retry_after);
        let mut admitted = Ok(());
        for (policy, limit, decision) in heard {
            admitted = self.apply(policy, limit, decision);
        }
        // The store takes units of all limits or of none.
        if admitted.is_ok() && limits.iter().any(|(policy, _)| *policy == LimitPolicy::UpstreamRequests) {
            self.charged = 1;
        }
        admitted
    }

    /// Takes one unit of each of these limits in this process, up to one that has none.
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

    /// Asks the store for one unit of each of these limits. Returns nothing if the process limits alone.
    async fn ask(&mut self, limits: &[(LimitPolicy, &Arc<RateLimit>)]) -> Option<Vec<StoredStanding>> {
        let stored = self.stored.as_mut().filter(|stored| !stored.is_silent)?;
        let units: Vec<_> = limits.iter().map(|(policy, limit)| limit.stored(policy.word(), 1)).collect();
        let said = stored.store.take(&stored.name, &units).await;
        stored.is_silent = said.is_none();
        said
    }

    /// Notes the decision of a limit.
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

    /// Charges the requests to the upstream that the request has taken by now. Nobody waits for the store.
    pub(crate) fn settle(&mut self, taken: u32, now: Instant) {
        let Some(limit) = self.limits.upstream_requests.as_ref().filter(|_| taken != self.charged) else { return };
        let units = i64::from(taken) - i64::from(self.charged);
        limit.charge(self.client, units, now);
        // A store that has not answered may not have taken what would be given back.
        if let Some(stored) = self.stored.as_ref().filter(|stored| units > 0 || !stored.is_silent) {
            stored.store.charge(&stored.name, limit.stored(LimitPolicy::UpstreamRequests.word(), units));
        }
        self.charged = taken;
    }

    /// Returns whether any limit applies.
    #[must_use]
    pub(crate) fn is_told(&self) -> bool {
        !self.applied.is_empty()
    }

    /// Writes the state of the limits into the headers of the answer, the most specific limit first.
    pub(crate) fn write(&self, headers: &mut HeaderMap, now: Instant) {
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
            // `RateLimit` names the same time as `Retry-After` (section 5 of the draft).
            Some(retry_after) => {
                LimitStanding { policy: policy.word(), unit, quota: *quota, remaining: 0, reset: *retry_after }
            }
            None => LimitStanding { policy: policy.word(), unit, quota: *quota, remaining, reset },
        }
    }
}

/// Rounds up to whole seconds.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
