//! The settings of rate limits and brownouts.

use std::time::Duration;

use http::HeaderName;

use crate::config::diagnostic::Located;

/// A rate limit: `requests` in the time `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaSettings {
    /// At least one.
    pub requests: u32,
    pub per: Duration,
    /// At least one, and at most `requests`.
    pub burst: u32,
}

/// `rate_limit` of a route.
#[derive(Debug, Clone)]
pub struct RateLimitSettings {
    pub requests: Option<QuotaSettings>,
    pub upstream_requests: Option<Located<QuotaSettings>>,
    /// The headers whose values tell clients apart. A request without any of them counts for its IP address.
    pub clients: Vec<HeaderName>,
}

/// An element of `legacy.brownouts` of a route. Its times are in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrownoutSettings {
    pub from: u64,
    /// After `from`.
    pub until: u64,
    pub effect: BrownoutEffect,
}

/// The treatment of legacy requests in a brownout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrownoutEffect {
    /// 429 for every legacy request.
    Pause,
    /// 429 for the requests of a client above this limit.
    Slow(QuotaSettings),
    /// 410 for every legacy request.
    Reject,
}

impl BrownoutSettings {
    /// Returns whether the brownout is on at a time in seconds since 1970.
    #[must_use]
    pub fn is_on(&self, now: u64) -> bool {
        (self.from..self.until).contains(&now)
    }
}
