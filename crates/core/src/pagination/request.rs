//! The request of one page: its place, its number of items, the list, and the terms of its route.

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

/// The treatment of a page that can't be proven. The table in `policy` lists the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnproven {
    /// The page is refused.
    Refuse,
    /// The page is served by its hint, flagged.
    Flag,
}

/// The treatment of a page that is not full when its budget ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortPages {
    /// The page is refused.
    Refuse,
    /// The page is served with the items that there are, at least one.
    Serve,
}

/// The proof that a route demands of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Every page is proven in full.
    Always,
    /// Only proofs that need no further request are made; a page that lacks one is served flagged.
    WhenCheap,
    /// No proof is made: pages are served by their offsets.
    Never,
}

/// The source of a page's total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Totals {
    /// The answers that list the whole collection.
    Upstream,
    /// None: pages have no total.
    Omit,
    /// A request of its own, if no answer has an exact total.
    Count,
    /// The first page of the walk.
    FirstPage,
}

/// The number of items of a page, at least 1.
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

/// The largest numbers of upstream requests for one page. No page causes more than `search`, look-ups and the count
/// included. The strategies pass on the rest (`Budget::after`), and the loops over requests end with it
/// (`slices::Asker::left`, `token::TokenPage::is_spent`). The network may send each request a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub(super) page: u32,
    /// The requests of a page whose place is searched for; at least `page`.
    pub(super) search: u32,
}

impl Budget {
    /// Allows `page` requests for a page that is where its hint says, and `search` for a page whose place must be
    /// searched for: at least `page`.
    #[must_use]
    pub fn new(page: u32, search: u32) -> Self {
        Self { page, search: search.max(page) }
    }

    /// Returns the rest after so many requests.
    pub(super) fn after(self, requests: u32) -> Self {
        Self { page: self.page.saturating_sub(requests), search: self.search.saturating_sub(requests) }
    }

    /// Returns the rest after so many requests, but at least one request.
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

/// The abilities of an upstream and its route beside paging; the setters of [`PageRequest`] describe them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    pub(super) flips: bool,
    pub(super) counts: bool,
    pub(super) tells_total: bool,
    pub(super) may_project: bool,
}

/// The request of a page.
///
/// [`PageRequest::new`] makes a request with defaults, and a method for each further property changes one:
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
    /// At least 1, as a [`Limit`] is.
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

/// Writes a method for each property, which takes the value and returns the request with it.
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
    /// Requests a page of a list with this order, from an upstream of which nothing else is known: everything is
    /// proven, within the usual budget ([`Budget`]). `marker` makes the marks of ids and the fingerprints of keys.
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
        /// True if the list can be requested in the flipped order, and the upstream sorts by all of its strong keys.
        flips: bool => abilities.flips;
        /// The filters of the endpoint, if pages are to be found by their keys.
        filters: Option<Arc<Filters>> => filters;
        /// The cached keys of the target's pivot. They count only if their mark is the pivot's fingerprint.
        pivot: Option<Vec<KeyValue>> => pivot;
        /// The maker of the marks and fingerprints in the target, if the target's cursor was made with another key.
        target_marker: Option<Marker> => target_marker;
        /// The limits of the upstream that earlier pages showed.
        profile: UpstreamProfile => profile;
        /// The number of items each way among which a place is searched for where no order is declared.
        search_items: u32 => terms.search_items;
        /// The proof that is demanded.
        verify: Verify => terms.verify;
        /// The treatment of a page that can't be proven.
        unproven: WhenUnproven => terms.unproven;
        /// The treatment of a page that is not full when its budget ends.
        short_pages: ShortPages => terms.short_pages;
        /// The source of the total.
        totals: Totals => terms.totals;
        /// True if the upstream can be asked for a count, also where the route does not insist on one.
        counts: bool => abilities.counts;
        /// True if answers that list the whole collection contain its total.
        tells_total: bool => abilities.tells_total;
        /// True if the client's own parameters go to the upstream and may leave keys out of the items: a page without
        /// them is read by marks. Otherwise items without keys are a fault of the route.
        may_project: bool => abilities.may_project;
    }

    /// Sets the largest numbers of upstream requests for the page.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Returns the place of the page.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the keys of the pivot, if they are known.
    #[must_use]
    pub fn known_pivot(&self) -> Option<&[KeyValue]> {
        self.pivot.as_deref()
    }

    /// Returns the offset in the whole list at which the page is expected to begin.
    pub(super) fn nearest(&self) -> Offset {
        let hint = self.target.hint.counted_from_start(self.target.hint.total);
        let boundary = match &self.target.position {
            Position::Start => 0,
            Position::End => hint.total.unwrap_or(0),
            Position::At(offset) => offset.0,
            // An offset from the end of a list of unknown length is no offset from its start.
            _ if hint.from_end => 0,
            _ => hint.offset.0,
        };
        let back = if self.target.position.is_backward() { u64::from(self.limit) } else { 0 };
        Offset(boundary.saturating_sub(back)).believed()
    }

    /// Returns the maker of the marks and fingerprints that the target carries.
    pub(super) fn marker_of_target(&self) -> &Marker {
        self.target_marker.as_ref().unwrap_or(&self.marker)
    }
}
