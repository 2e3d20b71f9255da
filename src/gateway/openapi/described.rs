//! A route and its list, as an operation describes them.

use crate::{
    config::settings::{EnvelopeSettings, ListSettings, Role, RouteSettings, ServerSettings},
    downstream::Parameters,
    gateway::routes::list::List,
    pagination::order::Direction,
};

/// The parameters that a convention can have.
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

/// The HTTP methods of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// GET and HEAD.
    Get,
    Post,
}

/// The beginning of the links of a route, as far as its settings determine it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkStart {
    /// A scheme and a host.
    Host,
    /// A path.
    Path,
    /// Either: trusted proxies decide.
    Unknown,
}

impl LinkStart {
    /// Returns the beginning of the links of a route.
    pub(super) fn of(route: &RouteSettings, server: &ServerSettings) -> Self {
        match () {
            // A route with hosts answers requests for these alone.
            () if route.public_url.is_some() || server.public_url.is_some() || !route.hosts.is_empty() => Self::Host,
            () if server.trusted_proxies.is_empty() => Self::Path,
            () => Self::Unknown,
        }
    }
}

/// A route and its list, with the settings that they were compiled from.
pub(super) struct DescribedRoute<'a> {
    pub(super) settings: &'a RouteSettings,
    pub(super) list_settings: &'a ListSettings,
    pub(super) list: &'a List,
    pub(super) links: LinkStart,
    /// True if the route has rate limits, so that its answers have `RateLimit`.
    pub(super) is_limited: bool,
    /// The prefix of the names of its components.
    pub(super) stem: &'a str,
}

impl DescribedRoute<'_> {
    /// Returns the conventions of the list, the route's own first: settings and compiled parameters.
    pub(super) fn conventions(&self) -> impl Iterator<Item = (&EnvelopeSettings, &Parameters)> {
        let written = std::iter::once(&self.list_settings.envelope).chain(&self.list_settings.envelopes);
        written.zip(self.list.conventions.all().map(|convention| &convention.parameters))
    }

    /// Returns whether legacy clients can be redirected: a convention must take its cursor in the URL.
    pub(super) fn redirects(&self) -> bool {
        self.list.conventions.all().any(|convention| !convention.parameters.takes_cursors_in_body())
    }
}

/// Writes a sort term, as `-created_at`.
pub(super) fn term(field: &str, direction: Direction) -> String {
    match direction {
        Direction::Ascending => field.to_owned(),
        Direction::Descending => format!("-{field}"),
    }
}
