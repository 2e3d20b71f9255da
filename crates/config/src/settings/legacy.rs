//! The settings for old clients, whose requests are legacy requests, and for new clients, which page by cursor.

use super::rate_limit::{BrownoutSettings, QuotaSettings};
use crate::{
    diagnostic::{Located, Location},
    key::words,
    keys::{LEGACY, NEW_CLIENTS},
    secret::Secret,
    spanned::Spanned,
};

/// The settings of `legacy` of a route.
#[derive(Debug, Clone)]
pub struct LegacySettings {
    /// The clients that used the list before, and what they get.
    pub old_clients: OldClients,
    /// The location of `old_clients`; `None` if it isn't written.
    pub old_clients_at: Option<Location>,
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
            old_clients: OldClients::None,
            old_clients_at: None,
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
    /// The clients that used the list before the gateway paged it, and what their requests get.
    pub enum OldClients {
        /// They get the upstream's answer, byte for byte, except links that are rewritten (`legacy.links`).
        Pass = "pass",
        /// They get the requested page in the envelope, with cursors that continue from it.
        Translate = "translate",
        /// They get 307 to the same page by cursor.
        Redirect = "redirect",
        /// They get 410, with a link to the list by cursor.
        Reject = "reject",
        /// There are none: every request is a new client's. Those with the dialect's paging parameters are refused with
        /// 400.
        None = "none",
    }
}

/// The requests that are new clients' without the value of a cursor (`new_clients`).
#[derive(Debug, Clone)]
pub struct NewClients {
    /// The first cursor.
    pub start: String,
    /// The second path of the list, on which every request is a new client's; `None` if there is none.
    pub path: Option<Located<String>>,
    /// The names of parameters that mark a request.
    pub by: Vec<Located<String>>,
    /// The location of "prefer" in `by`: the preference for an envelope (`Prefer: envelope=NAME`) marks a request. `None`
    /// if it doesn't.
    pub by_preference: Option<Location>,
}

impl NewClients {
    /// Reads the table `new_clients`. A key that isn't written has its default.
    pub(crate) fn read(table: &Spanned) -> Self {
        let (preference, by) =
            NEW_CLIENTS.by.read(table).into_iter().partition::<Vec<_>, _>(|name| name.value == "prefer");
        let by_preference = preference.first().map(|word| word.at);
        Self { start: NEW_CLIENTS.start.read(table), path: NEW_CLIENTS.path.located(table), by, by_preference }
    }
}

impl Default for NewClients {
    fn default() -> Self {
        Self::read(&Spanned::empty(Location { source: 0, start: 0, end: 0 }))
    }
}

words! {
    /// The treatment of links in answers that are passed on.
    pub enum LegacyLinks {
        /// Links to the upstream are changed to lead to the gateway: to its public address, or without one to the
        /// `Host` of the client's request. No other byte of a body changes. The upstream may compress bodies with such
        /// links only by gzip: clients that accept only other codings get them uncompressed. A strong `ETag` becomes a
        /// weak one.
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
    /// The name that `identity` of the route gives.
    Identity,
}
