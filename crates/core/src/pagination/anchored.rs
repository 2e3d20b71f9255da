//! Lists without a declared order: a place is found again by the marks of the items around it.
//!
//! A cursor contains the marks of the last three items that were served and of the next two that were seen. In an
//! answer, the marks that kept their order decide where the page begins (`place`), and items that are marked as served
//! aren't served again. Each later answer of the page follows the same rule, with the marks of the items that were read
//! last. If the marks are not at their expected places, they are searched for in growing windows (`search`).
//!
//! Items that never moved are neither skipped nor repeated, on one condition: of the marked items that still exist and
//! are within reach, more kept their place than moved. No stronger guarantee is possible for a list whose order isn't
//! declared.
//!
//! The length of a walk has no bound and needs none. A page continues where the majority of its neighbours is, so only
//! items that were inserted or moved ahead of the reader make a walk longer. A list that grows ahead of its reader
//! faster than it is read has no end in any order. A bound by the number of served items would be wrong: a reader might
//! delete the items that it reads while the list is refilled.

mod asking;
mod assembly;
mod ends;
mod line;
mod mark_seam;
mod passed;
mod place;
mod search;
mod search_steps;
mod sightings;
mod tail;
mod view;

use self::{
    ends::{MarkEnd, SeenFacts},
    line::MarkLine,
    mark_seam::MarkSeam,
    passed::{PassedItems, Recognised},
    search::MarkSearch,
    sightings::{Decision, Found, Sightings},
    tail::Tail,
    view::View,
};
use super::{
    answer::{Answer, Total},
    direction::Way,
    judge::end::Witness,
    key,
    mark::Mark,
    page::{Page, Unproven},
    paging::UpstreamProfile,
    position::{Anchor, Hint, Marks, Pivot, Position, WalkFacts},
    refusal::Refusal,
    request::PageRequest,
    rows,
    slices::{self, AnswerUse, AskedSlice, Asker, KnownSizes, Look},
    upstream::{Stop, UpstreamPort},
    window::{Offset, Slice},
};

/// The landmark that an answer must show before any of its items are taken.
#[derive(Debug)]
enum Landmark {
    /// The start of the list.
    Start,
    /// This offset, whatever item is there.
    At(u64),
    /// The end of the list.
    Tail(Tail),
    /// The boundary that these marks surround.
    Marks(Sightings),
}

/// The reason why no item of an answer is taken.
#[derive(Debug)]
enum MarkObstacle {
    /// The answer doesn't show the boundary, which is the start, an offset or the end of the list.
    Missed(Box<View>),
    /// The marks that were seen don't decide the place yet.
    Unsettled,
}

/// The outcome of reading an answer.
#[derive(Debug)]
enum MarkProgress {
    /// The answer was used. The number is the items that the reader passed in it.
    Used(usize),
    /// The answer doesn't show the boundary, which is the start, an offset or the end of the list.
    Missed(Box<View>),
    /// The marks that were seen don't decide the place yet.
    Unsettled,
}

type MarkTurn = slices::Turn<(Slice, Answer), Box<MarkSeam>>;
type MarkHalt = slices::Halt<MarkTurn>;
type MarkNext = Result<MarkTurn, MarkHalt>;

/// A page that is being read by marks.
#[derive(Debug)]
struct MarkReader<'p> {
    asker: Asker<'p>,
    request: Box<PageRequest>,
    hint: Hint,
    boundary: Landmark,
    stand: ExpectedPlace,
    page: PassedItems,
    /// The marks of items that were served, by earlier pages or by this page, and might now be ahead of the reader.
    served: Vec<Mark>,
    /// The marks of served items that no answer of the page may show, because the place was decided as if these items
    /// were gone.
    unseen: Vec<Mark>,
    search: Option<MarkSearch>,
    caps: Caps,
    effort: Effort,
    counts: Counts,
    facts: SeenFacts,
    claimed: MarkEnd,
    findings: Findings,
}

/// The place at which the page is believed to be.
#[derive(Clone, Copy, Debug, Default)]
struct ExpectedPlace {
    /// The believed offset of the boundary.
    offset: u64,
    /// The believed offset of the boundary when the last window was requested.
    aimed: u64,
    /// The offset at which the page begins if it can be served only by offset.
    nearest: u64,
}

/// The counts of a page's attempts that made no progress.
#[derive(Clone, Copy, Debug, Default)]
struct Effort {
    /// The number of requests after the search that read the items around the deciding marks again; 0 before that.
    closer: u32,
    /// The number of times that the page began again because the place that it had reached couldn't be found.
    restarts: u32,
    /// The number of answers in a row that repeat the items of the answer before, although their slices begin
    /// elsewhere.
    alike: u32,
    /// The number of answers since the last progress that didn't help.
    misses: u32,
}

/// The silent caps that short answers suggest.
#[derive(Clone, Copy, Debug, Default)]
struct Caps {
    /// True if a search took a short answer for a capped one.
    guessed: bool,
    /// The number of items of a short answer; `None` if no answer was short. If more items follow that answer, the
    /// number is a silent cap.
    suspected: Option<u32>,
}

impl Caps {
    /// Records the suspected number, but at least 2, as a cap, because more items followed the short answer. Does
    /// nothing if no cap is suspected.
    fn confirm(&mut self, sizes: &mut KnownSizes) {
        if let Some(cap) = self.suspected.take() {
            sizes.assumed_cap = Some(cap.max(2));
        }
    }
}

/// The counts that answers state or show.
#[derive(Clone, Copy, Debug)]
struct Counts {
    total: Option<Total>,
    /// The lowest offset at which the confirmation of an end found no items; `u64::MAX` before that.
    nothing_from: u64,
}

/// The findings that the page reports in addition to its items.
#[derive(Clone, Copy, Debug, Default)]
struct Findings {
    /// The offset at which the cursor's place was found, minus the offset of its hint; `None` before it is found.
    drift: Option<i64>,
    stragglers: u32,
    /// True if the page is verified and the client itself requests it by an offset greater than 0.
    by_offset: bool,
    /// The reason why the page is served only by its offset; `None` if it isn't.
    flagged: Option<Unproven>,
}

/// Reads a page by marks.
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    read_from(up, request, Vec::new()).await
}

/// Reads a page by marks, and begins with slices of the list whose answers were already received (`pairs`).
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read_from(
    up: &mut UpstreamPort,
    request: Box<PageRequest>,
    pairs: Vec<(Slice, Answer)>,
) -> Result<Box<Page>, Stop> {
    let mut reader = MarkReader::new(up, request)?;
    reader.count_left_out_rows();
    reader.set_out();
    let first = if pairs.is_empty() {
        MarkTurn::Window
    } else {
        reader.stand.aimed = reader.stand.offset;
        reader.asker.adopt(&pairs, &reader.request.paging)?;
        pairs.iter().for_each(|(slice, answer)| reader.facts.note(*slice, answer));
        MarkTurn::Look(Look { answers: pairs, witness: Witness::None })
    };
    slices::read(&mut reader, first).await
}

impl slices::SliceReader for MarkReader<'_> {
    type Answer = (Slice, Answer);
    type Progress = usize;
    type Obstacle = MarkObstacle;
    type Seam = Box<MarkSeam>;

    fn request(&self) -> &PageRequest {
        &self.request
    }

    fn count(&self) -> usize {
        self.page.count()
    }

    fn is_full_and_said_to_go_on(&self) -> bool {
        let said = match (self.page.way(), self.page.views.last()) {
            (Way::Backward, _) => self.stand.offset > 0,
            (Way::Forward, Some(view)) => {
                let counted = view.answer.total.is_some_and(|total| total.value > view.reaches());
                view.answer.more == Some(true) || counted
            }
            (Way::Forward, None) => false,
        };
        said && self.page.need() == 0
    }

    fn locate(&mut self) -> MarkNext {
        self.next_window()
    }

    async fn ask(&mut self, asked: Vec<AskedSlice>) -> MarkNext {
        let pairs = self.send(asked.into_iter().map(|asked| asked.slice).collect()).await?;
        Ok(MarkTurn::Look(Look { answers: pairs, witness: Witness::None }))
    }

    fn take(&mut self, answer: Self::Answer, _: bool, witness: Witness) -> AnswerUse<usize, MarkObstacle> {
        let (slice, answer) = answer;
        let view = self.view(slice, answer, witness);
        match self.read(view) {
            MarkProgress::Used(_) if self.page.is_done() => AnswerUse::All,
            MarkProgress::Used(items) => AnswerUse::Some(items),
            MarkProgress::Missed(view) => AnswerUse::None(MarkObstacle::Missed(view)),
            MarkProgress::Unsettled => AnswerUse::None(MarkObstacle::Unsettled),
        }
    }

    async fn search(&mut self, untaken: MarkObstacle, confirming: bool) -> MarkNext {
        match untaken {
            MarkObstacle::Missed(view) => self.missed(*view, confirming).await,
            MarkObstacle::Unsettled => self.unsettled().await,
        }
    }

    async fn go_on(&mut self, passed: Option<usize>, confirming: bool) -> MarkNext {
        match passed {
            Some(items) => self.read_on(items, confirming).await,
            None => Err(self.lost()),
        }
    }

    async fn seam(&mut self, seam: Box<MarkSeam>) -> MarkNext {
        self.read_seam(*seam).await
    }

    async fn instead(&mut self, refusal: Refusal) -> MarkNext {
        Err(refusal.into())
    }

    async fn end(&mut self) -> MarkNext {
        self.judge_end().await
    }

    fn serve(&mut self, cut_off: bool) -> Result<Box<Page>, MarkHalt> {
        if self.shows_unseen() {
            return Err(self.lost());
        }
        if let Some(place) = self.page.twice.filter(|_| !self.request.is_unverified()) {
            return Err(Refusal::Unsorted(rows::twice(place)).into());
        }
        if self.must_judge_end() && !cut_off {
            return Err(MarkHalt::Instead(MarkTurn::End));
        }
        self.finish(cut_off).map(Box::new)
    }
}

impl<'p> MarkReader<'p> {
    fn new(up: &'p mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Self, Refusal> {
        request.limit = request.limit.max(1);
        request.filters = None;
        let believed = |offset: u64| Offset(offset).believed().0;
        let total = request.target.hint.total.map(believed);
        let mut hint = Hint { total, ..request.target.hint.counted_from_start(total) };
        hint.offset = hint.offset.believed();
        let backward = request.target.position.is_backward();
        let unchecked = request.is_unverified();
        if !unchecked {
            request.target.position = by_marks(&request);
        }
        let by_offset = match &request.target.position {
            Position::Start | Position::End | Position::At(_) => None,
            Position::AfterMarks(_) | Position::BeforeMarks(_) if !unchecked => None,
            // Without verification, a page begins at the offset of its hint, whatever the cursor names.
            _ if unchecked && backward => Some(hint.offset.0.saturating_sub(u64::from(request.limit))),
            _ if unchecked => Some(hint.offset.0),
            // A token names no place in a list that is read by marks.
            _ => return Err(Refusal::Unsupported),
        };
        if let Some(offset) = by_offset {
            if backward {
                // A page that ends at an offset can't have more items than precede that offset.
                request.limit = u32::try_from(hint.offset.0).unwrap_or(u32::MAX).clamp(1, request.limit);
            }
            request.target.position = Position::At(Offset(offset));
        }
        let begins_the_list = request.begins_the_list();
        let walk = WalkFacts { passed: hint.walk.passed.or_else(|| begins_the_list.then_some(0)), ..hint.walk };
        let at_start = matches!(request.target.position, Position::Start | Position::At(Offset(0)));
        let by_client = !unchecked && matches!(request.target.position, Position::At(Offset(1..)));
        Ok(Self {
            asker: Asker::new(up, &request, at_start),
            page: PassedItems::new(Way::Forward, request.limit),
            hint,
            boundary: Landmark::Start,
            stand: ExpectedPlace::default(),
            served: Vec::new(),
            unseen: Vec::new(),
            search: None,
            caps: Caps::default(),
            effort: Effort::default(),
            counts: Counts { total: None, nothing_from: u64::MAX },
            facts: SeenFacts::new(walk, total),
            claimed: MarkEnd::default(),
            findings: Findings {
                by_offset: by_client,
                flagged: by_client.then_some(Unproven::Position),
                ..Findings::default()
            },
            request,
        })
    }
}

/// Returns the position of the request, in which an item that is named by its keys or its id is replaced by the item's
/// mark. The mark finds the item wherever it is in the list. Test:
/// `a_keyed_position_is_found_by_the_id_of_its_item_despite_a_wrong_hint`.
fn by_marks(request: &PageRequest) -> Position {
    let mark = |id| {
        let id = key::identity_of(&request.order.id, id)?;
        Some(vec![request.marker_of_target().mark(&id)])
    };
    let after = |before| Position::AfterMarks(Marks { before, after: Vec::new() });
    let before = |after| Position::BeforeMarks(Marks { before: Vec::new(), after });
    let position = &request.target.position;
    let marked = match position {
        Position::After(Anchor { id, .. }) | Position::AfterPivot(Pivot { id, .. }) => mark(id).map(after),
        Position::Before(Anchor { id, .. }) | Position::BeforePivot(Pivot { id, .. }) => mark(id).map(before),
        _ => None,
    };
    marked.unwrap_or_else(|| position.clone())
}

impl MarkReader<'_> {
    /// Returns the profile of the upstream after a page. A learnt cap counts only if an answer filled it, because
    /// hidden items make answers short too.
    fn profile(&self) -> UpstreamProfile {
        let KnownSizes { profile, assumed_cap: cap, .. } = self.asker.sizes;
        let cap = if cap == Some(self.asker.ledger.honoured().by_walk()) { cap } else { profile.cap };
        UpstreamProfile { cap, ..profile }
    }

    /// Moves the reader to the place where the page begins, before any item is read.
    fn set_out(&mut self) {
        let position = &self.request.target.position;
        let backward = position.is_backward();
        let way = if backward { Way::Backward } else { Way::Forward };
        let hint = self.hint.offset.0;
        self.served.clear();
        self.unseen.clear();
        (self.boundary, self.stand.offset) = match position {
            Position::Start | Position::At(Offset(0)) => (Landmark::Start, 0),
            Position::AfterMarks(marks) | Position::BeforeMarks(marks) => {
                let line = MarkLine::new(marks, way);
                // A served item might be ahead of the place by now. It isn't served again. Test:
                // `a_straggler_is_counted_and_not_served_again`.
                self.served = line.served().to_vec();
                let sightings = Sightings::new(line, way, hint, false);
                // A page that begins anew may have been misled by two marks that moved together. Regression:
                // `crates/sim/regressions/two-marks-that-move-together.txt`.
                let sightings = if self.effort.restarts > 0 { sightings.without_pairs() } else { sightings };
                (Landmark::Marks(sightings), hint)
            }
            Position::At(offset) => (Landmark::At(offset.believed().0), offset.believed().0),
            _ => {
                let end = self.hint.total.unwrap_or(hint);
                (Landmark::Tail(Tail::new(end)), end)
            }
        };
        let back = if backward { u64::from(self.request.limit) } else { 0 };
        self.stand.nearest = self.stand.offset.saturating_sub(back);
        self.page = PassedItems::new(way, self.request.limit);
        (self.search, self.effort.closer, self.effort.misses) = (None, 0, 0);
    }

    /// Returns whether the page has passed an item that it takes for gone.
    fn shows_unseen(&self) -> bool {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        !self.unseen.is_empty() && self.page.has_skipped(&self.unseen, order, marker)
    }

    fn view(&self, slice: Slice, answer: Answer, witness: Witness) -> View {
        let belief = self.asker.ledger.belief(witness);
        View::new(answer, slice, &self.request.paging, self.asker.sizes.assumed_cap, belief)
    }

    /// Takes the items of an answer if it shows the boundary.
    fn read(&mut self, view: View) -> MarkProgress {
        let cut = match &mut self.boundary {
            // An empty answer at the start shows that the list is empty. The page ends there, wherever it was to begin.
            // Test: `a_boundary_that_is_gone_is_an_end_only_in_an_empty_list`.
            _ if view.is_empty() && view.from_start && view.ends => 0,
            Landmark::Start if view.from_start && (!view.is_empty() || self.request.paging.hidden) => 0,
            Landmark::At(offset) => {
                let is_past = *offset >= view.reaches();
                let counted_out = view.answer.total.is_some_and(|total| total.exact && *offset >= total.value);
                if is_past && !view.ends && !counted_out && !view.is_empty() {
                    return MarkProgress::Missed(Box::new(view));
                }
                let cut = view.place_at(*offset);
                let passed = self.take(view, cut, Recognised::default());
                // A page at an offset after the end has no next page. Test:
                // `a_page_by_offset_is_positional_and_the_next_page_anchored_by_marks`.
                if is_past {
                    self.page.end();
                }
                return MarkProgress::Used(passed);
            }
            Landmark::Tail(_) if view.ends && !view.is_empty() => view.len(),
            Landmark::Start | Landmark::Tail(_) => return MarkProgress::Missed(Box::new(view)),
            Landmark::Marks(sightings) => {
                let (order, marker) = (&self.request.order, self.request.marker_of_target());
                return match sightings.look(view, order, marker) {
                    Some(decision) => MarkProgress::Used(self.find(&decision)),
                    None => MarkProgress::Unsettled,
                };
            }
        };
        MarkProgress::Used(self.take(view, cut, Recognised::default()))
    }

    /// Takes items from the answer in which the marks decided the place. Returns the number of items that the reader
    /// passed.
    fn find(&mut self, decision: &Decision) -> usize {
        let Landmark::Marks(sightings) = &mut self.boundary else { return 0 };
        let marked = sightings.line().served().to_vec();
        let from_cursor = !sightings.is_fresh();
        let none = Sightings::new(MarkLine::default(), self.page.way(), 0, true);
        let Found { view, cut, stragglers, recognised, unseen } = std::mem::replace(sightings, none).find(decision);
        if from_cursor {
            let signed = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
            self.findings.drift = Some(signed(view.offset_of(cut)) - signed(self.hint.offset.0));
        }
        for mark in marked {
            if !self.served.contains(&mark) {
                self.served.push(mark);
            }
        }
        self.findings.stragglers = self.findings.stragglers.max(stragglers);
        (self.search, self.effort.closer) = (None, 0);
        if from_cursor {
            self.unseen = unseen;
        }
        self.take(view, cut, recognised)
    }

    /// Takes the items of an answer beyond the boundary, which is directly before the answer's item `cut`. Afterwards
    /// the boundary is the place that the reader has reached. Returns the number of items that the reader passed.
    fn take(&mut self, view: View, cut: usize, recognised: Recognised) -> usize {
        let Recognised { served, line } = recognised;
        let Self { request, page, served: known, .. } = self;
        let (order, marker) = (&request.order, request.marker_of_target());
        let way = page.way();
        let is_passed = |place: usize| (place < cut) == (way == Way::Forward);
        // A served item that the reader has passed isn't ahead of it, so the item's mark is dropped.
        known.retain(|mark| !served.iter().any(|(sighted, place)| sighted == mark && is_passed(*place)));
        let at_cut = view.offset_of(cut);
        let seen = view.begins.saturating_add(view.len() as u64);
        if let Some(total) = view.answer.total.or(self.counts.total) {
            // An exact total below the offset that the answer reaches was counted at another time, so it is dropped.
            self.counts.total = (total.value >= seen || !total.exact).then_some(total);
        }
        // No item precedes an answer at the edge of the list where the reading begins, so older marks aren't put before
        // the answer's marks.
        let is_edge = if way == Way::Forward { view.from_start } else { view.ends };
        let left_out = page.see(view, cut, order, marker);
        // An item that leaves the page is read again at its present place, so it no longer counts as served.
        known.retain(|mark| !left_out.contains(mark));
        // Items without ids may look the same. Of several identical items, only the item that was recognised as a mark
        // was served.
        let is_known = |view: &View, place: usize| {
            let marks = view.marks(order, marker);
            let alike = || marks.iter().filter(|mark| **mark == marks[place]).count() > 1;
            known.contains(&marks[place])
                && (view.id(order, place).is_some() || !alike() || served.iter().any(|(_, sighted)| *sighted == place))
        };
        let passed = page.take(order, |view, place| !known.is_empty() && is_known(view, place));
        self.stand.offset = page.reached().filter(|_| passed > 0).unwrap_or(at_cut);
        if request.is_unverified() {
            self.boundary = Landmark::At(self.stand.offset);
        } else if !page.is_empty() || matches!(self.boundary, Landmark::Marks(_)) {
            let read = page.line(order, marker);
            let line = match page.is_empty() {
                true => read.or(line),
                false if is_edge => read,
                false => read.led_by(&line),
            };
            self.boundary = Landmark::Marks(Sightings::new(line, way, self.stand.offset, true));
        }
        if passed > 0 {
            self.effort.misses = 0;
        }
        passed
    }
}

#[cfg(test)]
mod tests;
