//! The loop: ask, look, ask again, serve or refuse.
//!
//! [`resolve`] begins a page, [`Pending::resume`] goes on with the answers. A `Pending` is consumed by its answers, so
//! the contract with whoever fetches is checked by the compiler; dropping it is cancelling. Every turn spends budget, so
//! the loop ends.

use std::{fmt, sync::Arc};

use super::{
    anchored,
    answer::Answer,
    fetch::Fetch,
    filter::Filters,
    key::KeyValue,
    keyset, lowered,
    mark::Marker,
    order::Order,
    page::Page,
    paging::{Family, Learnt, Paging},
    position::{Position, Target},
    refusal::Refusal,
    seek, token, totals,
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

    /// What made the marks and fingerprints that the target carries.
    #[must_use]
    pub fn marker_of_target(&self) -> &Marker {
        self.target_marker.as_ref().unwrap_or(&self.marker)
    }
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Fetch these, at once if you can, and give the answers in the same order to [`Pending::resume`].
    Fetch(Vec<Fetch>, Pending),
    /// Serve this page.
    Serve(Box<Page>),
    /// No page can be served.
    Refuse(Refusal),
}

/// A page under way.
#[derive(Debug)]
pub struct Pending(pub(super) Box<dyn Machine>);

/// Something that waits for answers: a strategy, or one that wraps another.
pub(super) trait Machine: fmt::Debug + Send {
    /// Goes on with the answers, one for each fetch, in their order.
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step;
}

/// Begins a page.
#[must_use]
pub fn resolve(request: PageRequest) -> Step {
    totals::tell(request, read)
}

/// Begins a page by the strategy that its list and its target ask for.
fn read(mut request: PageRequest) -> Step {
    let paging = &request.paging;
    let places = request.order.places_items();
    if request.verify == Verify::Never && (paging.hidden || (paging.repeats_last_page && !places)) {
        // A place by offset alone would come again for ever: offsets count what is hidden, and the end is not one.
        request.verify = Verify::Always;
    }
    if request.paging.family == Family::Token {
        return token::resolve(request);
    }
    if !places {
        return anchored::resolve(request);
    }
    lowered::resolve(request, |request| match request.target.position {
        Position::AfterPivot(_) | Position::BeforePivot(_) => seek::resolve(request),
        _ => keyset::resolve(request),
    })
}

impl Pending {
    /// Goes on with the answers to the fetches that this came with, one for each, in their order.
    #[must_use]
    pub fn resume(self, answers: Vec<Answer>) -> Step {
        self.0.resume(answers)
    }
}
