//! A page of a list with a declared order, from slices of it: ask for the window around the boundary, look, ask again.
//!
//! A boundary that is where it is believed to be costs one request. Where it is not, `search` finds it; where no slice
//! shows both sides of it, `across` reads the flipped list, or `seam` reads two slices and one of them again.

mod across;
mod asking;
mod confirm;
mod hidden;
mod look;
mod miss;
mod outcome;
mod seam;
mod search;
mod witness;

use std::sync::Arc;

use confirm::Confirm;
use hidden::Edge;
use seam::Seam;
use search::Search;
use witness::Witnesses;

use super::{
    answer::Answer,
    collector::{Collector, Cut, Side},
    end::Honoured,
    machine::{Machine, PageRequest, Step, Verify},
    page::Unproven,
    paging::Learnt,
    position::{Anchor, Position},
    proof::View,
    window::Slice,
};

/// From what slices are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// The whole list: what is asked from the very start begins at its start.
    Whole,
    /// What passes a filter that should let the anchor through: its start is the boundary's only where the first item
    /// does not come after the anchor; where it does, the filter is trusted, and the page `checked`. Nothing at all proves
    /// nothing: the position is lost, and whoever chose the filter goes back to the whole list.
    Filtered,
}

/// A slice that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    slice: Slice,
    /// It is one of the flipped list, which is believed to have so many items.
    flipped: Option<u64>,
    /// The boundary is taken to be at this edge of the answer, though nothing shows that.
    assumed: Option<Side>,
}

impl From<Slice> for Asked {
    fn from(slice: Slice) -> Self {
        Self { slice, flipped: None, assumed: None }
    }
}

/// Why requests were made, and so how their answers are looked at.
#[derive(Debug)]
enum Purpose {
    /// To cover the window: a chain of answers, each proven against the last item of the one before.
    Window,
    /// To learn whether a short answer was the end.
    Confirm(Box<Confirm>),
    /// To see a seam that no single slice shows.
    Seam(Box<Seam>),
    /// To learn whether an end of the list is the boundary's place.
    Witness(Box<witness::Edge>),
    /// To learn whether the list changes, or is sorted otherwise than its keys compare.
    Contradiction(Box<witness::Contradicted>),
    /// To learn whether items that came from two places are what the upstream always gives.
    Start(Missed),
}

/// An answer with fewer items than were asked for, and nothing that says why.
#[derive(Clone, Copy, Debug)]
struct Short {
    slice: Slice,
    count: usize,
    /// The offset of its last item.
    last: u64,
}

/// Whether a short answer is the end was asked.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    short: Short,
    /// How often, for this page.
    times: u32,
}

/// An answer that lies before the boundary.
#[derive(Debug)]
struct Missed {
    slice: Slice,
    view: Box<View>,
    /// What was believed without it.
    search: Search,
}

#[derive(Debug)]
struct State {
    request: PageRequest,
    ground: Ground,
    collector: Collector,
    asked: Vec<Asked>,
    purpose: Purpose,
    requests: u32,
    learnt: Learnt,
    /// The sizes that this walk has seen honoured.
    honoured: Honoured,
    /// The cap believed in this request.
    cap: Option<u32>,
    /// The last answer with fewer items than were asked for: where it began, and how many it had.
    last_short: Option<(u64, u32)>,
    /// A cap that was only suspected made a run of ties seem too long, and was doubted.
    uncapped: bool,
    /// Where the boundary was looked for in vain since the last progress.
    search: Search,
    /// What its answers say of the order between them.
    witnesses: Witnesses,
    /// The boundary had to be searched for: the page may take as many requests as a search.
    searching: bool,
    /// The difference of totals was aimed by.
    shifted: bool,
    /// A run of ties that the last answer cut.
    cut: Option<Cut>,
    /// What the page took items from last.
    taken_from: Option<Slice>,
    /// What was found last to lie before the boundary.
    last_missed: Option<Missed>,
    /// Where items are hidden: what was found to lie before the boundary, and how far nothing more was found.
    edge: Option<Edge>,
    /// Past the end the last page comes again, as its dialect says or as was seen.
    repeats: bool,
    /// The short answer that was doubted last: where more came from behind it, its size is a silent cap.
    doubted: Option<Doubt>,
    /// An item that came from beyond what seemed to be the end: no two answers end the list before it.
    beyond: Option<Anchor>,
    /// How often a past-the-end status came from before the end that a count tells.
    ceilings: u32,
    /// How often the flipped list, or two slices, were read in vain since the last progress.
    flips: u32,
    torn: u32,
    /// How often an answer told nothing of the boundary, since the last progress.
    apart: u32,
    /// What was asked for last to be taken without a proof of where it stands.
    assumed: Option<Slice>,
    /// Only pages of one size are joined: those of different sizes did not fit.
    one_size: bool,
    /// Where the list ended, as the last answer that was short of what was asked for made believe.
    end_seen: Option<u64>,
    /// As far as items were seen.
    seen_to: u64,
    /// The exact total that was told last, and whether that was another than the one before.
    total: Option<u64>,
    recounted: bool,
    /// Why the page is served by offset alone.
    flagged: Option<Unproven>,
}

/// Reads a page.
pub(super) async fn read(
    up: &mut super::upstream::Upstream,
    request: PageRequest,
    ground: Ground,
) -> Result<super::page::Page, super::upstream::Stop> {
    super::machine::drive(up, resolve(request, ground)).await
}

/// Begins a page.
pub(super) fn resolve(request: PageRequest, ground: Ground) -> Step {
    let unverified = request.verify == Verify::Never;
    let limit = request.limit.max(1);
    let collector = Collector::new(Arc::clone(&request.order), &request.target, limit, ground, unverified);
    let state = State {
        // The first page is asked for in full every time: a cap that was misread, or has been lifted, is forgotten.
        cap: request.learnt.cap.filter(|_| !collector.is_at_start()),
        last_short: None,
        ground,
        collector,
        asked: Vec::new(),
        purpose: Purpose::Window,
        requests: 0,
        learnt: Learnt { run: 0, ..request.learnt },
        honoured: Honoured::before(request.target.hint.honoured),
        uncapped: false,
        search: Search::default(),
        witnesses: Witnesses::default(),
        searching: false,
        shifted: false,
        cut: None,
        taken_from: None,
        last_missed: None,
        edge: None,
        repeats: request.paging.repeats_last_page,
        doubted: None,
        beyond: None,
        ceilings: 0,
        flips: 0,
        torn: 0,
        apart: 0,
        assumed: None,
        one_size: false,
        end_seen: None,
        seen_to: 0,
        total: None,
        recounted: false,
        flagged: (asks_by_offset(&request) && !unverified).then_some(Unproven::Position),
        request,
    };
    Box::new(state).ask_window()
}

impl Machine for State {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        self.look(answers)
    }
}

impl State {
    /// The page has come on: what was looked for is found.
    fn progressed(&mut self) {
        (self.search, self.cut, self.last_missed, self.edge) = (Search::default(), None, None, None);
        (self.shifted, self.flips, self.torn, self.apart) = (true, 0, 0, 0);
    }
}

/// Whether the client itself asks by offset, other than the start.
fn asks_by_offset(request: &PageRequest) -> bool {
    matches!(request.target.position, Position::At(offset) if offset.0 > 0)
}
