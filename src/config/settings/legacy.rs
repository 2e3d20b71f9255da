//! What becomes of old clients, who page by number or offset, and how they are counted.

use crate::config::{diagnostic::Location, key::words, keys::LEGACY, secret::Secret};

/// `legacy` of a route.
#[derive(Debug, Clone)]
pub struct LegacySettings {
    /// What becomes of requests with a paging parameter of the dialect; none set: 400.
    pub policy: Option<LegacyPolicy>,
    /// Where the policy stands.
    pub policy_at: Option<Location>,
    /// What a request with no paging parameter at all is.
    pub unmarked: Unmarked,
    /// Since when this is deprecated: seconds since 1970 (RFC 9745).
    pub deprecation: Option<i64>,
    /// Until when it works: seconds since 1970 (RFC 8594).
    pub sunset: Option<i64>,
    /// What changes from then on.
    pub after_sunset: AfterSunset,
    /// Where the change is explained.
    pub documentation: Option<String>,
    /// How clients are told from each other; not at all where it is not said.
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
            after_sunset: LEGACY.after_sunset.default(),
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
    /// The policy after the sunset.
    pub enum AfterSunset {
        /// The same: nothing changes on that day by itself.
        Same = "same",
        /// 410.
        Reject = "reject",
    }
}

/// `legacy.client`: how the clients that send legacy requests are told from each other, to be counted.
#[derive(Debug, Clone)]
pub struct LegacyClient {
    /// What a client is known by.
    pub known_by: KnownBy,
    /// Whether that itself is shown; else a keyed hash of it.
    pub shows_value: bool,
    /// Names for some of them: what each of these is known by.
    pub names: Vec<(String, Secret)>,
    /// How many are counted apart; the others together.
    pub max: usize,
}

/// What a client is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownBy {
    /// The value of a header.
    Header(http::HeaderName),
    /// The value of a query parameter, by its decoded name.
    Parameter(String),
}
