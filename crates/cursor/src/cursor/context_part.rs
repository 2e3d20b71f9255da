//! The parts of the context to which a cursor is bound.

/// A part of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextPart {
    /// The name of the route.
    Route,
    /// The host of the request.
    Host,
    /// The path with its parameters.
    Path,
    /// The filters of the request.
    Filters,
    /// The order of the page.
    Order,
    /// The request headers to which the configuration binds cursors.
    Headers,
}

impl ContextPart {
    /// All parts, in the order of their fingerprints in a cursor.
    pub const ALL: [Self; 6] = [Self::Route, Self::Host, Self::Path, Self::Filters, Self::Order, Self::Headers];

    /// Returns the name of the part in refusals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Host => "host",
            Self::Path => "path",
            Self::Filters => "filters",
            Self::Order => "order",
            Self::Headers => "headers",
        }
    }
}

impl std::fmt::Display for ContextPart {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
