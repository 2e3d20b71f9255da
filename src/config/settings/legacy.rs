//! The settings for legacy requests, which page by number or offset.

use super::rate_limit::{BrownoutSettings, QuotaSettings};
use crate::config::{diagnostic::Location, key::words, keys::LEGACY, secret::Secret};

/// The settings of `legacy` of a route.
#[derive(Debug, Clone)]
pub struct LegacySettings {
    /// The answer to legacy requests; `None` if they are refused with 400.
    pub policy: Option<LegacyPolicy>,
    /// The location of `policy`; `None` if the route has none.
    pub policy_at: Option<Location>,
    pub unmarked: Unmarked,
    /// The beginning of the day of the deprecation, in seconds since 1970; `None` if no deprecation is announced.
    pub deprecation: Option<i64>,
    /// The beginning of the day of the sunset, in seconds since 1970; `None` if no sunset is announced.
    pub sunset: Option<i64>,
    pub sunset_at: Option<Location>,
    pub after_sunset: AfterSunset,
    /// The limit of each client's legacy requests; `None` if they have no limit of their own.
    pub rate_limit: Option<QuotaSettings>,
    /// The brownouts, sorted by their beginnings. No two overlap.
    pub brownouts: Vec<BrownoutSettings>,
    pub documentation: Option<String>,
    /// The identification of clients; `None` if they aren't distinguished.
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
        /// The upstream's answer, byte for byte, except links that are rewritten (`links`).
        Passthrough = "passthrough",
        /// The requested page in the envelope, with cursors that continue from it.
        Translate = "translate",
        /// 307 to the same page by cursor.
        Redirect = "redirect",
        /// 410, with a link to the list by cursor.
        Reject = "reject",
    }
}

words! {
    /// The requests that count as old clients'.
    pub enum Unmarked {
        /// Those with the dialect's paging parameters. A request without any is for the first page by cursor.
        New = "new",
        /// All that don't say by a value that they are new clients', whatever parameters they have. New clients send
        /// `start` as their first cursor, then the cursor of each page. Names mark no request, because a service can
        /// have parameters of its own named `limit` or `cursor`. Nor do `Accept` and `Prefer`.
        Legacy = "legacy",
    }
}

words! {
    /// The treatment of links in answers that are passed on.
    pub enum LegacyLinks {
        /// Links to the upstream are changed to lead to the gateway: to its public address, or without one to the
        /// `Host` of the client's request. No other byte of a body changes. If the dialect names links in bodies, these
        /// bodies are requested without compression, and the gateway compresses them as `server.compression` says.
        Rewrite = "rewrite",
        /// Links are passed on as the upstream wrote them.
        Keep = "keep",
    }
}

words! {
    /// The policy after the sunset.
    pub enum AfterSunset {
        /// The same policy: nothing changes on that day by itself.
        Same = "same",
        /// 410, as with the policy `reject`.
        Reject = "reject",
    }
}

/// The identification of clients that send legacy requests (`legacy.client`).
#[derive(Debug, Clone)]
pub struct LegacyClient {
    pub known_by: KnownBy,
    /// True if reports show the value of `known_by` itself, and false if they show a keyed hash.
    pub shows_value: bool,
    /// The names of clients, each with the value of `known_by` that identifies the client.
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
