//! The wishes of a client, and the demands of its route on the gateway, as plain data.

use cursorgate_core::pagination::resolver::{ShortPages, Totals, Verify, WhenUnproven};

/// The moves of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// From the start to the end; `looks_back`: each page is asked for again from the next one.
    Forward { looks_back: bool },
    /// From the end to the start.
    Backward,
    /// So many pages forward, then back to the start.
    ThereAndBack { turn: u32 },
    /// Reads a page, deletes so many of a hundred of its rows, asks for the next.
    Worker { share: u32 },
    /// Each step chooses among next, previous, targets seen earlier, items, both ends, and bare offsets.
    Wander { choices: Vec<u32> },
}

/// The wishes of a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Client {
    pub(crate) style: Style,
    /// The limits of its pages, in turn, for ever.
    pub(crate) limits: Vec<u32>,
    pub(crate) budget: u32,
    pub(crate) search_budget: u32,
    pub(crate) unproven: WhenUnproven,
    pub(crate) verify: Verify,
    pub(crate) short_pages: ShortPages,
    pub(crate) totals: Totals,
    /// Every so many pages, a page begins with nothing learnt and nothing cached, as after a restart; 0: never.
    pub(crate) forgets: u32,
    /// So many gateways answer, each with caches of its own.
    pub(crate) replicas: u32,
    /// All principals share one place among the caps that were learnt, as where two views fall on the same.
    pub(crate) crowded: bool,
    /// Cursors carry ids and fingerprints in place of keys.
    pub(crate) seeks: bool,
    /// Every so many cursors, a cursor is an item's, which carries no hint; 0: never.
    pub(crate) loses_hints: u32,
}

impl Client {
    /// Returns a client that walks forward, and a route with all defaults.
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
