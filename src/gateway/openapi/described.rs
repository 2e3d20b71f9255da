//! A route and its list, as an operation describes them.

use crate::{
    config::settings::{EnvelopeSettings, ListSettings, Role, RouteSettings},
    downstream::Parameters,
    gateway::routes::list::List,
    pagination::order::Direction,
};

/// What clients can say.
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

/// By which of its methods a list is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST, with a body.
    Post,
}

/// A route and its list, as written and as compiled.
pub(super) struct DescribedRoute<'a> {
    pub(super) settings: &'a RouteSettings,
    pub(super) list_settings: &'a ListSettings,
    pub(super) list: &'a List,
    /// What names of its parts begin with.
    pub(super) stem: &'a str,
}

impl DescribedRoute<'_> {
    /// What clients can speak: each convention as written, and what its queries mean; the route's own first.
    pub(super) fn conventions(&self) -> impl Iterator<Item = (&EnvelopeSettings, &Parameters)> {
        let written = std::iter::once(&self.list_settings.envelope).chain(&self.list_settings.envelopes);
        written.zip(self.list.conventions.all().map(|convention| &convention.parameters))
    }

    /// Whether old clients can be sent on: to a URL that says the cursor.
    pub(super) fn redirects(&self) -> bool {
        self.list.conventions.all().any(|convention| !convention.parameters.takes_cursors_in_body())
    }
}

/// `-created_at`
pub(super) fn term(field: &str, direction: Direction) -> String {
    match direction {
        Direction::Ascending => field.to_owned(),
        Direction::Descending => format!("-{field}"),
    }
}
