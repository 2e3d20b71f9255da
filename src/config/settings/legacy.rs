//! What becomes of old clients, who page by number or offset, and how they are counted.

use crate::config::secret::Secret;

/// `legacy` of a route.
#[derive(Debug, Clone, Default)]
pub struct LegacySettings {
    /// What becomes of requests with a paging parameter of the dialect; none set: 400.
    pub policy: Option<LegacyPolicy>,
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

/// `legacy.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyPolicy {
    /// The upstream's answer, byte for byte.
    Passthrough,
    /// The page in the envelope.
    Translate,
    /// 307 to the same page by cursor.
    Redirect,
    /// 410.
    Reject,
}

/// `legacy.unmarked`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unmarked {
    /// Served by cursor.
    #[default]
    New,
    /// Treated as the policy says.
    Legacy,
}

/// `legacy.after_sunset`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AfterSunset {
    /// Nothing changes.
    #[default]
    Same,
    /// As with [`LegacyPolicy::Reject`].
    Reject,
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
