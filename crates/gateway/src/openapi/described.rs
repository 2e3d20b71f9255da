//! A route and its list, in the form from which operations are described.

use crate::routes::list::List;
use cursorgate_config::settings::{EnvelopeSettings, ListSettings, Role, RouteSettings, ServerSettings};
use cursorgate_core::pagination::order::Direction;
use cursorgate_translate::downstream::Parameters;

/// All parameters that a convention can have, in the order in which they are described.
pub(super) const ROLES: [Role; 8] = [
    Role::Limit,
    Role::LimitBackward,
    Role::Cursor,
    Role::After,
    Role::Before,
    Role::AfterId,
    Role::BeforeId,
    Role::Sort,
];

/// The HTTP methods by which clients read a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// GET and HEAD.
    Get,
    Post,
}

/// The beginning of a route's links, as far as the settings determine it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkStart {
    /// The links begin with a scheme and a host.
    Host,
    /// The links begin with a path.
    Path,
    /// The links may begin in either way: trusted proxies decide.
    Unknown,
}

impl LinkStart {
    /// Returns how the links of a route begin.
    pub(super) fn of(route: &RouteSettings, server: &ServerSettings) -> Self {
        match () {
            // A route with hosts answers only requests for these hosts, so its links begin with one of them.
            () if route.public_url.is_some() || server.public_url.is_some() || !route.hosts.is_empty() => Self::Host,
            () if server.trusted_proxies.is_empty() => Self::Path,
            () => Self::Unknown,
        }
    }
}

/// A route and its list, with the settings from which they were compiled.
pub(super) struct DescribedRoute<'a> {
    pub(super) settings: &'a RouteSettings,
    pub(super) list_settings: &'a ListSettings,
    pub(super) list: &'a List,
    pub(super) links: LinkStart,
    /// `true` if the route has rate limits. Its answers then have `RateLimit`.
    pub(super) is_limited: bool,
    /// The prefix for the names of the route's components.
    pub(super) stem: &'a str,
}

impl DescribedRoute<'_> {
    /// Returns whether clients can choose another envelope, whose first cursor is another parameter.
    pub(super) fn offers_envelopes(&self) -> bool {
        self.conventions().nth(1).is_some()
    }

    /// Returns the conventions of the list, beginning with the route's own. Each has its settings and its compiled
    /// parameters.
    pub(super) fn conventions(&self) -> impl Iterator<Item = (&EnvelopeSettings, &Parameters)> {
        let written = std::iter::once(&self.list_settings.envelope).chain(&self.list_settings.envelopes);
        written.zip(self.list.conventions.all().map(|convention| &convention.parameters))
    }

    /// Returns whether legacy clients can be redirected. For this, a convention must take its cursor in the URL.
    pub(super) fn redirects(&self) -> bool {
        self.list.conventions.all().any(|convention| !convention.parameters.takes_cursors_in_body())
    }
}

/// Returns a sort term, with `-` for descending: `created_at` or `-created_at`.
pub(super) fn term(field: &str, direction: Direction) -> String {
    match direction {
        Direction::Ascending => field.to_owned(),
        Direction::Descending => format!("-{field}"),
    }
}
