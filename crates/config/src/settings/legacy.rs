//! The settings for old clients, whose requests are legacy requests, and for new clients, which page by cursor.

use crate::{key::words, secret::Secret};

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
