//! The settings of rate limits and brownouts.

use std::time::Duration;

use http::HeaderName;

use crate::diagnostic::Located;

/// A rate limit: at most `requests` in the time `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaSettings {
    /// The number of requests; at least one.
    pub requests: u32,
    pub per: Duration,
    /// The largest number of requests at once; at least one, and at most `requests`.
    pub burst: u32,
}

/// The settings of `rate_limit` of a route.
#[derive(Debug, Clone)]
pub struct RateLimitSettings {
    pub requests: Option<QuotaSettings>,
    pub upstream_requests: Option<Located<QuotaSettings>>,
    /// The headers whose values identify clients. A request without any of them is identified by its IP address.
    pub clients: Vec<HeaderName>,
    /// True if a client that `identity` of the route names is identified by that.
    pub by_identity: bool,
}

/// The settings of an element of `legacy.brownouts` of a route. Times are in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrownoutSettings {
    pub from: u64,
    /// The end, which is later than `from`.
    pub until: u64,
    pub effect: BrownoutEffect,
}

/// The treatment of legacy requests during a brownout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrownoutEffect {
    /// All legacy requests are answered with 429.
    Pause,
    /// Requests of a client beyond this limit are answered with 429.
    Slow(QuotaSettings),
    /// All legacy requests are answered with 410.
    Reject,
}

impl BrownoutSettings {
    /// Returns whether the brownout is on at `now`, in seconds since 1970.
    #[must_use]
    pub fn is_on(&self, now: u64) -> bool {
        (self.from..self.until).contains(&now)
    }
}
