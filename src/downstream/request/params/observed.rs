//! A query as a client of before cursors sends it: which of its parameters page, how it wants the list sorted.

use super::{Parameters, Role, SortTerm};
use crate::pagination::order::Direction;

/// What a request says that the upstream is to answer by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyQuery {
    /// The parameters that the dialect pages with, decoded, in order, under the dialect's names; none of an unmarked one.
    pub pairs: Vec<(String, String)>,
    /// The order that is asked for: the strong keys, and which way the id runs.
    pub sort: LegacySort,
    /// Everything else, as it came.
    pub filters: String,
}

/// The order that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacySort {
    /// None: the list comes as it is declared.
    Declared,
    /// This one.
    Chosen(Vec<SortTerm>, Direction),
    /// One that can't be read here, so that nothing is known of the answer's order.
    Unread,
}

impl Parameters {
    /// Reads a query as one of before cursors: with the dialect's own paging parameters, or with none at all. Nothing for
    /// one that pages as the envelope says, and for what names a place or a size as only new clients do.
    #[must_use]
    pub fn legacy_query(&self, query: Option<&str>) -> Option<LegacyQuery> {
        let sifted = self.sift(query.unwrap_or_default());
        // What new clients alone send has a name that the dialect does not page with; no cursor of ours is out yet.
        let is_the_upstreams = |role: Role, name: &[u8]| role == Role::Sort || self.paging.find(name).is_some();
        if !sifted.own.iter().all(|(role, pair)| is_the_upstreams(*role, &pair.name())) {
            return None;
        }
        let sort = match self.sort(&sifted) {
            Ok(None) => LegacySort::Declared,
            Ok(Some((_, sort))) => LegacySort::Chosen(sort.strong, sort.id_direction),
            Err(_) => LegacySort::Unread,
        };
        let filters = self.write_filters(&sifted).forwarded;
        Some(LegacyQuery { pairs: sifted.paging, sort, filters })
    }
}
