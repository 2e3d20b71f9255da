//! One page that is wanted: where, how many items, of which list, and what a route wants of it.

use std::sync::Arc;

use super::{
    filter::Filters,
    key::KeyValue,
    mark::Marker,
    order::Order,
    paging::{Learnt, Paging},
    position::{Position, Target},
    window::Offset,
};

/// What a route wants done where a page can't be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnproven {
    /// Refuse it.
    Refuse,
    /// Serve it by its hint, flagged.
    Flag,
}

/// What a route wants done where the budget ends before the page is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortPages {
    /// Refuse it.
    Refuse,
    /// Serve what there is, at least one item.
    Serve,
}

/// How much a route wants proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Everything.
    Always,
    /// What takes no further request: the rest is served flagged.
    WhenCheap,
    /// Nothing: pages are served by their offsets.
    Never,
}

/// What a route wants to be said about the size of its collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Totals {
    /// What an answer says that lists the whole collection.
    Upstream,
    /// Nothing.
    Omit,
    /// What a request of its own says, where no answer does.
    Count,
    /// What was said on the first page of the walk.
    FirstPage,
}

/// One page wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Where, and what helps to aim.
    pub target: Target,
    /// How many items, at least 1.
    pub limit: u32,
    /// The order of the list.
    pub order: Arc<Order>,
    /// What the upstream can be asked.
    pub paging: Arc<Paging>,
    /// The list can be asked for in the flipped order, all of whose strong keys the upstream sorts by.
    pub flips: bool,
    /// What the endpoint can filter by, where pages are to be found by their keys.
    pub filters: Option<Arc<Filters>>,
    /// The keys of the target's pivot, where a cache has them; they count only if their mark is the pivot's fingerprint.
    pub pivot: Option<Vec<KeyValue>>,
    /// Makes marks of ids and fingerprints of keys.
    pub marker: Marker,
    /// Makes the marks and fingerprints that the target carries, where its cursor was made with another key.
    pub target_marker: Option<Marker>,
    /// What was learnt of the upstream so far.
    pub learnt: Learnt,
    /// At most so many upstream requests for a page that is where it is believed to be.
    pub budget: u32,
    /// At most so many where its place must be searched for; at least `budget`.
    pub search_budget: u32,
    /// Without a declared order a place is searched for among so many items each way.
    pub search_items: u32,
    /// How much is to be proven.
    pub verify: Verify,
    /// What to do where the page can't be proven.
    pub unproven: WhenUnproven,
    /// What to do where the page can't be filled.
    pub short_pages: ShortPages,
    /// What is to be said about the size of the collection.
    pub totals: Totals,
    /// The upstream can be asked for a count, also where the route does not insist on one.
    pub counts: bool,
    /// What the upstream answers to the whole list says how many items it has.
    pub tells_total: bool,
    /// Parameters of the client's own go to the upstream, and may leave keys out of the items: a page without them is read
    /// by marks. Else items without keys are a fault of the route's.
    pub may_project: bool,
}

impl PageRequest {
    /// A page of a list with this order at an upstream of which nothing else is known, all of it to be proven within 8
    /// requests, and 40 where its place must be searched for.
    #[must_use]
    pub fn new(target: Target, limit: u32, order: Arc<Order>, paging: Arc<Paging>, marker: Marker) -> Self {
        Self {
            target,
            limit,
            order,
            paging,
            flips: false,
            filters: None,
            pivot: None,
            marker,
            target_marker: None,
            learnt: Learnt::default(),
            budget: 8,
            search_budget: 40,
            search_items: 1_000,
            verify: Verify::Always,
            unproven: WhenUnproven::Refuse,
            short_pages: ShortPages::Refuse,
            totals: Totals::Upstream,
            counts: false,
            tells_total: true,
            may_project: false,
        }
    }

    /// Where the page is believed to begin, in the whole list.
    pub(super) fn nearest(&self) -> Offset {
        let hint = self.target.hint.counted_from_start(self.target.hint.total);
        let boundary = match &self.target.position {
            Position::Start => 0,
            Position::End => hint.total.unwrap_or(0),
            Position::At(offset) => offset.0,
            _ if hint.from_end => 0,
            _ => hint.offset.0,
        };
        let back = if self.target.position.is_backward() { u64::from(self.limit) } else { 0 };
        Offset(boundary.saturating_sub(back)).believed()
    }

    /// What made the marks and fingerprints that the target carries.
    #[must_use]
    pub fn marker_of_target(&self) -> &Marker {
        self.target_marker.as_ref().unwrap_or(&self.marker)
    }
}
