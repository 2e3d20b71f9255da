//! The settings for legacy requests, which page by number or offset.

use super::rate_limit::{BrownoutSettings, QuotaSettings};
use crate::config::{diagnostic::Location, key::words, keys::LEGACY, secret::Secret};

/// `legacy` of a route.
#[derive(Debug, Clone)]
pub struct LegacySettings {
    /// `None` if legacy requests are refused with 400.
    pub policy: Option<LegacyPolicy>,
    /// The location of the policy.
    pub policy_at: Option<Location>,
    pub unmarked: Unmarked,
    /// In seconds since 1970.
    pub deprecation: Option<i64>,
    /// In seconds since 1970.
    pub sunset: Option<i64>,
    pub sunset_at: Option<Location>,
    pub after_sunset: AfterSunset,
    /// The limit of legacy requests of each client.
    pub rate_limit: Option<QuotaSettings>,
    /// Sorted by their starts.
    pub brownouts: Vec<BrownoutSettings>,
    pub documentation: Option<String>,
    /// `None` if clients are not told apart.
    pub client: Option<LegacyClient>,
}

impl Default for LegacySettings {
    fn default() -> Self {
        Self {
            policy: None,
            policy_at: None,
            unmarked: LEGACY.unmarked.default(),
            deprecation: None,
            sunset: None,
            sunset_at: None,
            after_sunset: LEGACY.after_sunset.default(),
            rate_limit: None,
            brownouts: Vec::new(),
            documentation: None,
            client: None,
        }
    }
}

words! {
    /// The answer to a request by page or offset.
    pub enum LegacyPolicy {
        /// The upstream's answer, byte for byte.
        Passthrough = "passthrough",
        /// The page that is asked for, in the envelope, with cursors.
        Translate = "translate",
        /// 307 to the same page by cursor.
        Redirect = "redirect",
        /// 410.
        Reject = "reject",
    }
}

words! {
    /// The meaning of a request without any paging parameter.
    pub enum Unmarked {
        /// A request for the first page by cursor.
        New = "new",
        /// A legacy request, as the policy says.
        Legacy = "legacy",
    }
}

words! {
    /// The links in answers that pass through.
    pub enum LegacyLinks {
        /// Links to the upstream lead to the gateway: to the public address, or else to the `Host` that the client
        /// asked. No other byte of a body changes. Where the dialect names links in bodies, these are asked for without
        /// compression and compressed by the gateway, as `server.compression` says.
        Rewrite = "rewrite",
        /// They stay as the upstream wrote them.
        Keep = "keep",
    }
}

words! {
    /// The policy after the sunset.
    pub enum AfterSunset {
        /// The same: nothing changes on that day by itself.
        Same = "same",
        /// 410.
        Reject = "reject",
    }
}

/// `legacy.client`: the way in which clients of legacy requests are identified.
#[derive(Debug, Clone)]
pub struct LegacyClient {
    pub known_by: KnownBy,
    /// True if reports show the value of `known_by` itself, and not a keyed hash.
    pub shows_value: bool,
    /// The names of clients, each with the value of `known_by` that identifies it.
    pub names: Vec<(String, Secret)>,
    pub max: usize,
}

/// The part of a request that identifies a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownBy {
    /// The value of a header.
    Header(http::HeaderName),
    /// The value of a query parameter, by its decoded name.
    Parameter(String),
}
