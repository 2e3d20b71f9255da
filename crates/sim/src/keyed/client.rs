//! A client and the settings of its route, as plain data.

use cursorgate_core::pagination::resolver::{ShortPages, Totals, Verify, WhenUnproven};

/// The way of a client through the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// From the start to the end. With `looks_back`, the client also goes back from each next page to its previous
    /// page, which must be the page that the client came from.
    Forward { looks_back: bool },
    /// From the end to the start.
    Backward,
    /// `turn` pages forward, then back to the start.
    ThereAndBack { turn: u32 },
    /// The client reads a page, deletes `share` percent of its rows, and requests the next page.
    Worker { share: u32 },
    /// Each step follows the next or previous link, a link of an earlier page, an item's cursor, a link to an end, or a
    /// bare offset. Each choice is a number that decides one step.
    Wander { choices: Vec<u32> },
}

/// A client with its route: the requests that it makes, and the settings that decide its pages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Client {
    pub(crate) style: Style,
    /// The limits of the client's pages, in turn. After the last limit the first one is used again.
    pub(crate) limits: Vec<u32>,
    pub(crate) budget: u32,
    pub(crate) search_budget: u32,
    pub(crate) unproven: WhenUnproven,
    pub(crate) verify: Verify,
    pub(crate) short_pages: ShortPages,
    pub(crate) totals: Totals,
    /// The share of requests that reach a gateway that has just started, with an empty memory: one request in this
    /// many; 0 for no request.
    pub(crate) forgets: u32,
    /// The number of gateways, each with its own memory. A balancer chooses one for each request.
    pub(crate) replicas: u32,
    /// True if all principals share one slot for learnt caps, like two scopes whose hashes collide.
    pub(crate) crowded: bool,
    /// True if cursors contain ids and fingerprints in place of keys.
    pub(crate) seeks: bool,
    /// The share of cursors that are cursors of items, which have no hint: one cursor in this many; 0 for no cursor.
    pub(crate) loses_hints: u32,
}

impl Client {
    /// Returns a client that walks forward, on a route with default settings.
    pub(crate) fn plain(limit: u32) -> Self {
        Self {
            style: Style::Forward { looks_back: false },
            limits: vec![limit],
            budget: 8,
            search_budget: 40,
            unproven: WhenUnproven::Refuse,
            verify: Verify::Always,
            short_pages: ShortPages::Refuse,
            totals: Totals::Upstream,
            forgets: 0,
            replicas: 1,
            crowded: false,
            seeks: false,
            loses_hints: 0,
        }
    }

    pub(crate) fn greatest_limit(&self) -> u32 {
        self.limits.iter().max().copied().unwrap_or(1)
    }
}
