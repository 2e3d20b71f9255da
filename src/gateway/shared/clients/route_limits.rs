//! The limits of a route's requests in a time, and those that apply to one request.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;

use super::{
    ClientHash, ClientHashes,
    rate_limit::{RateDecision, RateLimit},
};
use crate::{
    config::settings::{BrownoutEffect, BrownoutSettings, LegacySettings, QuotaSettings, RateLimitSettings},
    downstream::response::rate_limit::{self, LimitStanding},
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
    /// The charge for requests to the upstream so far.
    charged: u32,
    /// The limits that apply, with what they answered.
    applied: Vec<AppliedLimit>,
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
    /// Finds the client of a request.
    #[must_use]
    pub(crate) fn begin(limits: &Arc<RouteLimits>, headers: &HeaderMap, address: IpAddr) -> Self {
        let client = limits.clients.find(headers, address);
        Self { limits: Arc::clone(limits), client, charged: 0, applied: Vec::with_capacity(2) }
    }

    /// Charges the request, and one request to the upstream, which [`Self::settle`] replaces by their real number.
    ///
    /// # Errors
    ///
    /// Returns the limit that the client has used up.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), RateRefusal> {
        let limits = Arc::clone(&self.limits);
        // First, because a refusal by the other one gives this charge back.
        if let Some(limit) = &limits.upstream_requests {
            self.check(LimitPolicy::UpstreamRequests, limit, now)?;
            self.charged = 1;
        }
        match &limits.requests {
            Some(limit) => self.check(LimitPolicy::Requests, limit, now),
            None => Ok(()),
        }
    }

    /// Charges a legacy request; `unix_seconds` is the time of day.
    ///
    /// # Errors
    ///
    /// Returns the limit that the client has used up, or the brownout that lets no request pass.
    pub(crate) fn admit_legacy(&mut self, now: Instant, unix_seconds: u64) -> Result<(), RateRefusal> {
        let limits = Arc::clone(&self.limits);
        if let Some(limit) = &limits.legacy {
            self.check(LimitPolicy::Legacy, limit, now)?;
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
                .check(LimitPolicy::Brownout, limit, now)
                .map_err(|refusal| RateRefusal { until: Some(brownout.until), ..refusal }),
            // The policy of legacy requests has rejected the request already.
            _ => Ok(()),
        }
    }

    fn check(&mut self, policy: LimitPolicy, limit: &Arc<RateLimit>, now: Instant) -> Result<(), RateRefusal> {
        let decision = limit.check(self.client, 1, now);
        let retry_after = seconds(decision.retry_after).max(1);
        let (quota, limit) = (limit.quota(), Some(Arc::clone(limit)));
        self.applied.push(AppliedLimit { policy, quota, limit, refused: (!decision.allowed).then_some(retry_after) });
        if decision.allowed { Ok(()) } else { Err(RateRefusal { policy, quota, retry_after, until: None }) }
    }

    /// Charges the requests to the upstream that the request has taken by now.
    pub(crate) fn settle(&mut self, taken: u32, now: Instant) {
        let Some(limit) = self.limits.upstream_requests.as_ref().filter(|_| taken != self.charged) else { return };
        limit.charge(self.client, i64::from(taken) - i64::from(self.charged), now);
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
