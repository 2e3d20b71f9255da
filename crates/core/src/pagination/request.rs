//! The request of one page: its place, its limit, its list, and the terms of its route.

use std::{num::NonZeroU32, sync::Arc};

use super::{
    filter::Filters,
    key::KeyValue,
    limits::{PAGE_REQUESTS, SEARCH_ITEMS, SEARCH_REQUESTS},
    mark::Marker,
    order::Order,
    paging::{Paging, UpstreamProfile},
    position::{Position, Target},
    window::Offset,
};

/// The treatment of a page that can't be proven. The table in the documentation of `policy` lists the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnproven {
    /// The page is refused.
    Refuse,
    /// The page is served at the offset of its hint, and flagged.
    Flag,
}

/// The treatment of a page that is not full when its budget ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortPages {
    /// The page is refused.
    Refuse,
    /// The page is served with the items read so far, if there is at least one.
    Serve,
}

/// The proof that a route demands of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Every page is proven in full.
    Always,
    /// Proofs that need more requests are left out. A page without such a proof is served flagged.
    WhenCheap,
    /// Pages are served by their offsets, without any proof.
    Never,
}

/// The source of a page's total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Totals {
    /// The answers that list the whole collection, if they state a total.
    Upstream,
    /// No source: pages have no total.
    Omit,
    /// A separate request for the count, if no answer has an exact total.
    Count,
    /// The first page of the walk, whose total all later pages repeat.
    FirstPage,
}

/// The largest number of items of a page; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(NonZeroU32);

impl Limit {
    /// A limit of one item.
    pub const ONE: Self = Self(NonZeroU32::MIN);

    /// Returns a limit of this many items; `None` for 0.
    #[must_use]
    pub fn new(items: u32) -> Option<Self> {
        NonZeroU32::new(items).map(Self)
    }

    /// Returns a limit of this many items, or of one item for 0.
    #[must_use]
    pub fn at_least_one(items: u32) -> Self {
        Self::new(items).unwrap_or(Self::ONE)
    }

    /// Returns the number of items.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// The largest numbers of upstream requests for one page. No page causes more than `search` requests, including
/// look-ups and the count. The strategies pass on the rest (`Budget::after`), which bounds every loop over requests
/// (`slices::Asker::left`, `token::TokenPage::is_spent`). The network layer may send each request a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub(super) page: u32,
    /// The largest number of requests of a page whose place must be searched for; at least `page`.
    pub(super) search: u32,
}

impl Budget {
    /// Allows `page` requests for a page that is where its hint says, and `search` requests for a page whose place must
    /// be searched for. A smaller `search` is raised to `page`.
    #[must_use]
    pub fn new(page: u32, search: u32) -> Self {
        Self { page, search: search.max(page) }
    }

    /// Returns the rest of the budget after `requests` requests; 0 if more were made than allowed.
    pub(super) fn after(self, requests: u32) -> Self {
        Self { page: self.page.saturating_sub(requests), search: self.search.saturating_sub(requests) }
    }

    /// Returns the rest of the budget after `requests` requests, but at least one request.
    pub(super) fn after_or_one(self, requests: u32) -> Self {
        let Self { page, search } = self.after(requests);
        Self { page: page.max(1), search: search.max(1) }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(PAGE_REQUESTS, SEARCH_REQUESTS)
    }
}

/// The terms on which a route serves its pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct RouteTerms {
    pub(super) verify: Verify,
    pub(super) unproven: WhenUnproven,
    pub(super) short_pages: ShortPages,
    pub(super) totals: Totals,
    pub(super) search_items: u32,
}

/// The abilities of an upstream and its route, other than paging. The setters of [`PageRequest`] describe them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    pub(super) flips: bool,
    pub(super) counts: bool,
    pub(super) tells_total: bool,
    pub(super) may_project: bool,
}

/// The request of one page.
///
/// [`PageRequest::new`] makes a request with defaults. Each other property has a method that changes it:
///
/// ```
/// use std::sync::Arc;
/// use cursorgate_core::pagination::{
///     mark::{Mark, Marker},
///     order::{Order, SortKey, Ties},
///     paging::{Family, Paging, Sizes},
///     position::{Hint, Position, Target},
///     resolver::{Budget, Limit, PageRequest, Totals},
/// };
///
/// let order = Arc::new(Order::declared(Vec::new(), SortKey::ascending("id"), Ties::Ordered));
/// let paging = Arc::new(Paging::new(Family::Page, Sizes::Listed(vec![10, 25, 100])));
/// let start = Target { position: Position::Start, hint: Hint::default() };
/// let marker = Marker::new(|_| Mark::of(0)); // for lists without an order, and for cursors that carry an id alone
/// let request = PageRequest::new(start, Limit::at_least_one(20), order, paging, marker)
///     .budget(Budget::new(4, 16))
///     .totals(Totals::Omit);
/// ```
#[derive(Clone, Debug)]
pub struct PageRequest {
    pub(super) target: Target,
    /// The largest number of items; at least 1, because it comes from a [`Limit`].
    pub(super) limit: u32,
    pub(super) order: Arc<Order>,
    pub(super) paging: Arc<Paging>,
    pub(super) abilities: Abilities,
    pub(super) filters: Option<Arc<Filters>>,
    pub(super) pivot: Option<Vec<KeyValue>>,
    pub(super) marker: Marker,
    pub(super) target_marker: Option<Marker>,
    pub(super) profile: UpstreamProfile,
    pub(super) budget: Budget,
    pub(super) terms: RouteTerms,
}

/// Defines a setter for each property: it takes the value and returns the changed request.
macro_rules! properties {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty => $($field:ident).+;)+) => {
        $(
            $(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$($field).+ = $name;
                self
            }
        )+
    };
}

impl PageRequest {
    /// Requests a page of a list with this order. By default every page is proven in full, within the default
    /// [`Budget`], and the upstream can only page and state totals. `marker` makes the marks of items and the
    /// fingerprints of keys.
    #[must_use]
    pub fn new(target: Target, limit: Limit, order: Arc<Order>, paging: Arc<Paging>, marker: Marker) -> Self {
        Self {
            target,
            limit: limit.get(),
            order,
            paging,
            abilities: Abilities { flips: false, counts: false, tells_total: true, may_project: false },
            filters: None,
            pivot: None,
            marker,
            target_marker: None,
            profile: UpstreamProfile::default(),
            budget: Budget::default(),
            terms: RouteTerms {
                verify: Verify::Always,
                unproven: WhenUnproven::Refuse,
                short_pages: ShortPages::Refuse,
                totals: Totals::Upstream,
                search_items: SEARCH_ITEMS,
            },
        }
    }

    properties! {
        /// Sets whether the upstream can flip the list, and sorts the flipped list by all strong keys.
        flips: bool => abilities.flips;
        /// Sets the filters of the endpoint by which pages can be found; `None` if they must not be used.
        filters: Option<Arc<Filters>> => filters;
        /// Sets the cached keys of the target's pivot. They are used only if their mark is the pivot's fingerprint.
        pivot: Option<Vec<KeyValue>> => pivot;
        /// Sets the marker that made the target's marks and fingerprints, if the cursor was made with another secret
        /// key.
        target_marker: Option<Marker> => target_marker;
        /// Sets the limits of the upstream that earlier pages have shown.
        profile: UpstreamProfile => profile;
        /// Sets the number of items, on each side of the hint, among which a place is searched for if no order is
        /// declared.
        search_items: u32 => terms.search_items;
        /// Sets the proof that the page needs.
        verify: Verify => terms.verify;
        /// Sets the treatment of the page if it can't be proven.
        unproven: WhenUnproven => terms.unproven;
        /// Sets the treatment of the page if it isn't full when its budget ends.
        short_pages: ShortPages => terms.short_pages;
        /// Sets the source of the page's total.
        totals: Totals => terms.totals;
        /// Sets whether the upstream can be asked for a count, even if the route doesn't require one.
        counts: bool => abilities.counts;
        /// Sets whether answers that list the whole collection contain its total.
        tells_total: bool => abilities.tells_total;
        /// Sets whether the client's own parameters are sent to the upstream and may leave keys out of the items. If
        /// so, a page without keys is read by marks. Otherwise items without keys are a fault of the route.
        may_project: bool => abilities.may_project;
    }

    /// Sets the largest numbers of upstream requests for the page.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Returns the position of the page and its hint.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the cached keys of the pivot; `None` if they aren't known.
    #[must_use]
    pub fn known_pivot(&self) -> Option<&[KeyValue]> {
        self.pivot.as_deref()
    }

    /// Returns the offset in the whole list at which the page is expected to begin; 0 if it isn't known.
    pub(super) fn nearest(&self) -> Offset {
        let hint = self.target.hint.counted_from_start(self.target.hint.total);
        let boundary = match &self.target.position {
            Position::Start => 0,
            Position::End => hint.total.unwrap_or(0),
            Position::At(offset) => offset.0,
            // Without a total, an offset from the end gives no offset from the start.
            _ if hint.from_end => 0,
            _ => hint.offset.0,
        };
        let back = if self.target.position.is_backward() { u64::from(self.limit) } else { 0 };
        Offset(boundary.saturating_sub(back)).believed()
    }

    /// Returns whether the page begins with the first item of the list.
    pub(super) fn begins_the_list(&self) -> bool {
        matches!(self.target.position, Position::Start | Position::At(Offset(0)))
    }

    /// Returns the marker that made the marks and fingerprints of the target.
    pub(super) fn marker_of_target(&self) -> &Marker {
        self.target_marker.as_ref().unwrap_or(&self.marker)
    }
}
