//! Queries of legacy clients on routes that observe: paging parameters, sort and filters.

use super::{Parameters, RequestKind, SortTerm};
use cursorgate_core::pagination::order::Direction;

/// A legacy request that passes to the upstream, as observation reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyQuery {
    /// The dialect's paging parameters, decoded, in order, under the dialect's names; empty for an unmarked request.
    pub pairs: Vec<(String, String)>,
    /// The order of the request.
    pub sort: LegacySort,
    /// The filters in the query, in the form that is sent to the upstream.
    pub filters: String,
}

/// The order of a legacy request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacySort {
    /// The request has no sort, so the list has its declared order.
    Declared,
    /// The order of the request's sort: its strong keys, and the direction of the id.
    Chosen(Vec<SortTerm>, Direction),
    /// The sort can't be read, so the order is unknown.
    Unread,
}

impl Parameters {
    /// Reads the query of a request that passes to the upstream. Returns `None` for a query with a mark, which is a new
    /// client's, and for one whose page is unknown: a paging parameter has a spelling that the upstream may not read.
    #[must_use]
    pub fn legacy_query(&self, query: Option<&str>) -> Option<LegacyQuery> {
        if self.is_marked(query, None) {
            return None;
        }
        let sifted = self.sift_old(query.unwrap_or_default());
        if sifted.is_misspelt {
            return None;
        }
        let sort = match self.sort(&sifted) {
            // The upstream may sort by a parameter of another API, in an order that the gateway can't read, so the
            // order is unknown. Test: `the_order_of_an_observed_request_with_a_sort_of_another_api_is_unknown`.
            _ if self.sorts_elsewhere(&sifted) => LegacySort::Unread,
            Ok(None) => LegacySort::Declared,
            Ok(Some((_, sort))) => LegacySort::Chosen(sort.strong, sort.id_direction),
            Err(_) => LegacySort::Unread,
        };
        let filters = self.write_filters(&sifted).forwarded;
        Some(LegacyQuery { pairs: sifted.paging, sort, filters })
    }

    /// Returns [`RequestKind::Legacy`] for a query that pages by the dialect's own parameters and
    /// [`RequestKind::Unmarked`] for one that does not page; `None` for a query with a mark.
    #[must_use]
    pub fn legacy_kind(&self, query: Option<&str>) -> Option<RequestKind> {
        (!self.is_marked(query, None)).then(|| self.old_kind(query.unwrap_or_default()))
    }
}
