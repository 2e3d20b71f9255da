//! A page that is read from one part of the list after the other. Each part must be proven to its end before the next
//! one counts.

use std::{collections::VecDeque, num::NonZeroU32, sync::Arc};

use super::filtered_place;
use crate::pagination::{
    direction::Side,
    judge::{
        draft::Ground,
        parts_page::{PartQuestion, PartsPage},
    },
    order::{Order, Ties},
    page::Page,
    parts::{legs, range::Part},
    plan,
    position::{Hint, Position, Target},
    refusal::Refusal,
    request::{Abilities, Budget, PageRequest, RouteTerms, WhenUnproven},
    upstream::{self, Beyond, PageEnd, PartOf, RunWatch, Stop, UpstreamPort},
    window::Offset,
    windows,
};

/// A page that is being read from parts.
#[derive(Debug)]
struct Reading {
    request: Box<PageRequest>,
    /// The number of upstream requests made before this reading.
    before: u32,
    /// True if the page was to be read from the whole list, not by filters.
    is_of_the_whole: bool,
    /// True if the reading fell back to the whole list. It then doesn't read runs separately.
    gave_up: bool,
    /// The part being read; `rest` has the parts after it.
    part: Part,
    rest: VecDeque<Part>,
    /// The number of items to read of this part before a run that is too long for an answer; `None` if no such run
    /// follows.
    before_run: Option<NonZeroU32>,
    /// True if a run that is too long for an answer was found, or looked for.
    looked: bool,
    /// The number of answers that consisted of a single run, of at least `TELLING_RUN` items or as many as an answer
    /// can have.
    one_runs: u32,
    /// The largest size that the walk has seen honoured in filtered lists. Sizes of the whole list don't count, because
    /// an upstream may have different caps for the two. Test:
    /// `a_size_honoured_in_the_whole_list_does_not_end_a_filtered_list`.
    honoured: u32,
    gathered: Gathered,
}

/// The page made of the parts read so far, and its expected offsets.
#[derive(Debug)]
struct Gathered {
    page: PartsPage,
    /// The expected place of the page's first boundary.
    boundary: Hint,
    /// The number of items of the current part that are expected before the end of the page.
    reached: u32,
    /// True if the page is full and an answer showed an item after it.
    goes_on: bool,
    /// Two flags, for the page's first and last item: true if the item came from a run that was read separately.
    ends_in_run: (bool, bool),
}

impl Gathered {
    fn nothing(request: &PageRequest) -> Self {
        Self {
            page: PartsPage::new(Arc::clone(&request.order), &request.target.position, request.limit),
            boundary: request.target.hint,
            reached: 0,
            goes_on: false,
            ends_in_run: (false, false),
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.page.count()).unwrap_or(u32::MAX)
    }
}

/// The result of reading a part: the finished page, or `None` if another part must be read.
type PartResult = Result<Option<Box<Page>>, Stop>;

/// Reads a page from parts of the list, the first of which contains the boundary. If `parts` is empty, the whole list
/// is read.
///
/// # Errors
///
/// [`Stop`] if no page can be served from these parts.
pub(super) async fn read(
    up: &mut UpstreamPort,
    request: Box<PageRequest>,
    parts: Vec<Part>,
) -> Result<Box<Page>, Stop> {
    let mut rest = VecDeque::from(parts);
    let part = rest.pop_front().unwrap_or_else(|| Part::whole(request.target.position.clone()));
    let mut reading = Reading {
        before: up.requests,
        is_of_the_whole: part.filter.is_none(),
        gave_up: false,
        part,
        rest,
        before_run: None,
        looked: false,
        one_runs: 0,
        honoured: request.target.hint.honoured,
        gathered: Gathered::nothing(&request),
        request,
    };
    let outcome = loop {
        let next = match reading.read_part(up).await {
            Ok(page) => reading.take(up, page),
            Err(Stop::Run(beyond)) => {
                reading.read_run(*beyond);
                Ok(None)
            }
            Err(Stop::Refused(refusal @ Refusal::TieRun { .. })) => reading.too_long(up, refusal).await,
            Err(Stop::Refused(refusal)) => reading.refused(up, refusal),
            Err(stop) => Err(stop),
        };
        match next {
            Ok(None) => {}
            Ok(Some(page)) => break Ok(page),
            Err(stop) => break Err(stop),
        }
    };
    up.part = None;
    outcome
}

impl Reading {
    /// Reads the current part.
    async fn read_part(&mut self, up: &mut UpstreamPort) -> Result<Box<Page>, Stop> {
        let may_look = !self.looked && self.can_give_runs();
        let part = self.part_request(up.requests - self.before, may_look);
        let ground = if self.part.filter.is_none() { Ground::Whole } else { Ground::Filtered };
        up.part = Some(PartOf { filter: self.part.filter.clone(), by_id: self.part.run.is_some() });
        up.runs = may_look.then(|| self.run_watch()).flatten();
        let last = self.gathered.page.last().filter(|_| self.gathered.page.is_full());
        up.beyond = last.cloned().map(|last| PageEnd { last, order: Arc::clone(&self.request.order), was_seen: false });
        let mut outcome = Box::pin(windows::read(up, part, ground)).await;
        if let Ok(page) = &mut outcome {
            if ground == Ground::Filtered {
                self.honoured = page.notes.honoured;
            }
            page.notes.honoured = self.honoured;
        }
        if let Some(watch) = up.runs.take() {
            (self.looked, self.one_runs) = (watch.looked, watch.one_runs);
        }
        self.gathered.goes_on |= up.beyond.take().is_some_and(|beyond| beyond.was_seen);
        outcome
    }

    /// Returns the request for the current part, after `spent` requests. If the page `may_look` at runs, a run that is
    /// too long refuses the part, and is then read separately.
    fn part_request(&self, spent: u32, may_look: bool) -> Box<PageRequest> {
        let request = &self.request;
        // A run that is too long is first read separately, if possible, so the part's page is refused rather than
        // flagged.
        let is_whole = self.part.filter.is_none();
        let unproven = if is_whole && !may_look { request.terms.unproven } else { WhenUnproven::Refuse };
        let limit =
            self.before_run.map_or(u32::MAX, NonZeroU32::get).min(request.limit.saturating_sub(self.gathered.count()));
        let page = self.gathered.page.page();
        // An upstream may have a lower cap for the whole list than for a filtered one, so no size counts as honoured
        // there. Test: `a_size_honoured_in_a_filtered_list_does_not_end_the_whole_list`.
        let honoured = if is_whole { 0 } else { self.honoured };
        let by_id = self.part.run.is_some();
        // Only a run that is read separately is requested in the order of the ids. Test:
        // `a_filter_for_nulls_that_is_ignored_adds_nothing`.
        let ties = if by_id { Ties::Ordered } else { request.order.ties };
        let order = if ties == request.order.ties {
            Arc::clone(&request.order)
        } else {
            Arc::new(Order { ties, ..Order::clone(&request.order) })
        };
        let left = request.budget.after(spent);
        Box::new(PageRequest {
            target: Target {
                position: self.part.position.clone(),
                hint: Hint { honoured, walk: request.target.hint.walk, ..self.part_hint() },
            },
            // After a full page, one item of the next part suffices to show that more items follow.
            limit: limit.max(1),
            order,
            abilities: Abilities { flips: request.abilities.flips && !by_id, ..request.abilities },
            filters: None,
            terms: RouteTerms { unproven, ..request.terms },
            // A page next to a run that is too long has the budget of a search, and so has a page that goes on after
            // the end of a part, because that end was judged like the end of a list.
            budget: Budget { page: if self.looked || page.is_some() { left.search } else { left.page }, ..left },
            profile: page.map_or(request.profile, |page| page.notes.profile),
            ..PageRequest::clone(request)
        })
    }

    /// Returns the expected place of the boundary in the current part.
    fn part_hint(&self) -> Hint {
        let request = &self.request;
        let first = self.gathered.page.page().is_none();
        let is_whole = self.part.filter.is_none();
        match &self.part.position {
            // The total of a filtered list isn't known. If one answer can contain the list up to the page's end, the
            // list is requested from its start, where no run can be cut.
            Position::After(_) if !is_whole => {
                let most = plan::most(&request.paging, request.profile.cap);
                let run = if self.part.before.saturating_add(u64::from(request.limit) + 2) <= most {
                    u32::try_from(self.part.before).unwrap_or(u32::MAX)
                } else if first && self.part.run.is_none() {
                    request.target.hint.run
                } else {
                    0
                };
                Hint { offset: Offset(self.part.before), run, ..Hint::default() }
            }
            _ if is_whole && first => request.target.hint,
            _ => Hint { offset: Offset(self.part.before), ..Hint::default() },
        }
    }

    /// Continues with the whole list, without reading runs separately, if the page was to be read from the whole list
    /// and couldn't be read in parts. Otherwise the page is refused, or, if the budget is spent and the route serves
    /// short pages, served with the items of earlier parts.
    fn refused(&mut self, up: &UpstreamPort, refusal: Refusal) -> PartResult {
        // The reader of a part doesn't have the items of earlier parts, so it can't serve a short page itself. Test:
        // `a_budget_that_ends_between_two_parts_leaves_a_short_page`.
        if refusal == Refusal::BudgetExceeded && self.request.serves_short(self.gathered.page.count()) {
            let is_full = self.gathered.page.is_full();
            let page = self.finish(up)?;
            return Ok(page.map(|page| if is_full { page } else { Box::new(page.cut_short()) }));
        }
        let flags = self.request.flags();
        let in_parts = self.part.filter.is_some() || (self.looked && flags);
        debug_assert!(up.requests >= self.before, "requests are only added");
        let spent = up.requests - self.before;
        let hopeless = spent >= self.request.budget.search || refusal == Refusal::BudgetExceeded;
        if !self.is_of_the_whole || !in_parts || self.gave_up || hopeless {
            return Err(refusal.into());
        }
        (self.gave_up, self.looked, self.before_run) = (true, true, None);
        self.rest.clear();
        self.part = Part::whole(self.request.target.position.clone());
        self.gathered = Gathered { ends_in_run: self.gathered.ends_in_run, ..Gathered::nothing(&self.request) };
        Ok(None)
    }

    fn lost(&mut self, up: &UpstreamPort) -> PartResult {
        let nearest = self.request.target.hint.offset;
        self.refused(up, Refusal::PositionLost { nearest })
    }

    /// Returns the page of a part as the finished page if that page is flagged, or if only the whole list was read.
    /// Otherwise appends the page. Returns `None` if the next part must be read.
    fn take(&mut self, up: &UpstreamPort, page: Box<Page>) -> PartResult {
        let is_whole = self.part.filter.is_none();
        if page.unproven.is_some() || (is_whole && self.gathered.page.page().is_none() && self.rest.is_empty()) {
            return Ok(Some(self.aimed(page)));
        }
        self.gather(up, page)
    }

    /// Appends the page of a part. Returns the finished page, or `None` if the next part must be read.
    fn gather(&mut self, up: &UpstreamPort, part: Box<Page>) -> PartResult {
        let (is_whole, in_run) = (self.part.filter.is_none(), self.part.run.is_some());
        let (part_next, was_full) = (part.next.clone(), self.gathered.page.is_full());
        let gathered = &mut self.gathered;
        if !part.items.is_empty() && !was_full {
            let first = if gathered.count() == 0 { in_run } else { gathered.ends_in_run.0 };
            gathered.ends_in_run = (first, in_run);
            // An offset in the whole list isn't an offset in a filtered one.
            let reached = part_next.as_ref().filter(|_| !is_whole).map_or(0, |next| next.hint.offset.0);
            let reached = reached.saturating_add(self.part.left_out);
            gathered.reached = u32::try_from(reached).unwrap_or(Hint::LONG_RUN - 1);
        }
        if gathered.page.page().is_none() && is_whole {
            gathered.boundary = boundary_of(&part);
        }
        let (is_empty, is_short) = (part.items.is_empty(), part.short);
        let question =
            PartQuestion { filter: self.part.filter.as_deref(), by_id: in_run, position: &self.part.position };
        if gathered.page.take(question, part).is_err() {
            return self.lost(up);
        }
        // A full page is finished once it is known whether an item follows it.
        if is_short || (gathered.page.is_full() && (part_next.is_some() || (was_full && !is_empty))) {
            return self.finish(up);
        }
        if self.before_run.take().is_some() {
            // If the part has no next page, an item was inserted before the run meanwhile, and this page doesn't extend
            // to the run. The parts after it are then dropped. Test:
            // `an_item_that_comes_before_a_run_meanwhile_hides_none`.
            if part_next.is_none() {
                self.rest.clear();
            }
            return self.next_part(up);
        }
        // The part has more items. An item that moved from one part to the next counts once, so the page may still lack
        // items.
        let Some(Target { position, hint }) = part_next else { return self.next_part(up) };
        (self.part.position, self.part.before) = (position, hint.offset.0);
        Ok(None)
    }

    fn next_part(&mut self, up: &UpstreamPort) -> PartResult {
        // The parts follow one another in the list's order, so the page ends after the last part. Test:
        // `long_runs_of_composite_orders_are_read_with_their_nulls`.
        let Some(next) = self.rest.pop_front() else { return self.finish(up) };
        self.part = next;
        Ok(None)
    }

    /// Makes the page of the parts, with offsets of the whole list in its hints.
    fn finish(&mut self, up: &UpstreamPort) -> PartResult {
        let nothing = Gathered::nothing(&self.request).page;
        let Some(mut page) = std::mem::replace(&mut self.gathered.page, nothing).into_page() else {
            return self.lost(up);
        };
        let (boundary, count) = (self.gathered.boundary, page.items.len());
        // Offsets of a filtered list don't apply to the whole list, from which a later page may be read. Test:
        // `a_page_without_its_filter_is_aimed_at_by_its_hint`.
        let own = |(position, hint): (&Position, &mut Hint), boundary: Hint| {
            *hint = match position {
                Position::After(_) | Position::Before(_) => {
                    Hint { offset: boundary.offset, from_end: boundary.from_end, total: boundary.total, ..*hint }
                }
                _ => Hint { total: boundary.total, ..Hint::default() },
            };
        };
        if let Some(previous) = page.aim_previous() {
            own(previous, boundary);
        }
        if let Some(next) = page.aim_next() {
            own(next, boundary.moved_on(count));
        }
        page.expect_at(if boundary.from_end { 0 } else { boundary.offset.0 });
        Ok(Some(self.aimed(page)))
    }

    /// Sets the hints of the next and the previous page: their expected places in the lists that are filtered by the
    /// first key of the page's last and first item.
    fn aimed(&self, mut page: Box<Page>) -> Box<Page> {
        let (order, gathered) = (&self.request.order, &self.gathered);
        let count = |place, side| filtered_place::count(&page.answers, order, place, side);
        let before = page.items.first().map(|first| match gathered.ends_in_run.0 {
            true => Some((1, Hint::LONG_RUN)),
            false => self.request.abilities.flips.then(|| (0, count(*first, Side::After).0)),
        });
        let after = page.items.last().map(|last| match gathered.ends_in_run.1 {
            true => (gathered.reached.max(1), Hint::LONG_RUN),
            false => {
                let (count, all) = count(*last, Side::Before);
                (0, if all { count } else { count.max(gathered.reached) })
            }
        });
        // A run of 0 keeps the number that the judge has counted.
        let aim = |hint: &mut Hint, (run, within): (u32, u32)| {
            hint.within = within;
            hint.run = if run > 0 { run } else { hint.run };
        };
        if let (Some(Some(before)), Some((Position::Before(_), hint))) = (before, page.aim_previous()) {
            aim(hint, before);
        }
        if let (Some(after), Some((Position::After(_), hint))) = (after, page.aim_next()) {
            aim(hint, after);
        }
        page
    }

    /// Looks for the beginning of a run that is too long for an answer, if the upstream can return the run separately.
    async fn too_long(&mut self, up: &mut UpstreamPort, refusal: Refusal) -> PartResult {
        if self.gathered.page.is_full() {
            // The page is full, and the part was only to show whether an item follows. A filter that is ignored shows
            // items that were already read. Test: `a_run_that_a_filter_for_nulls_repeats_is_not_a_next_page`.
            return if self.gathered.goes_on { self.finish(up) } else { self.lost(up) };
        }
        // A run in the order of its ids can be read in several answers. If the upstream can't return the run in that
        // order, the page is refused or read from the whole list. Test:
        // `runs_longer_than_an_answer_are_read_by_their_ids`.
        let Some(watch) = self.run_watch().filter(|_| self.can_give_runs()) else {
            return self.refused(up, refusal);
        };
        self.looked = true;
        let can_ask = watch.can_look(up);
        up.runs = Some(watch);
        let seen = upstream::look(up).await;
        up.runs = None;
        match seen? {
            Some(beyond) => {
                self.read_run(beyond);
                Ok(None)
            }
            None if can_ask => {
                let nearest = self.request.target.hint.offset;
                self.refused(up, Refusal::TieRun { nearest })
            }
            None => self.refused(up, refusal),
        }
    }

    /// Makes the reading continue with the items before a run, and then with the run and the items after it.
    fn read_run(&mut self, beyond: Beyond) {
        self.looked = true;
        self.rest = beyond.parts.into();
        self.before_run = beyond.before;
        self.gathered.page.show(beyond.shown);
        if self.before_run.is_none()
            && let Some(run) = self.rest.pop_front()
        {
            self.part = run;
        }
    }

    /// Returns whether runs of the current part can be read separately.
    fn can_give_runs(&self) -> bool {
        let filters = self.request.filters.as_ref();
        self.part.run.is_none()
            && !self.gave_up
            && matches!(self.part.position, Position::Start | Position::At(Offset(0)) | Position::After(_))
            && filters.is_some_and(|filters| legs::can_give_runs(&self.request.order, filters))
    }

    fn run_watch(&self) -> Option<RunWatch> {
        let request = &self.request;
        let (anchor, before) = match &self.part.position {
            Position::After(anchor) if self.part.filter.is_none() => {
                (Some(anchor.clone()), request.target.hint.offset.0)
            }
            Position::After(anchor) => (Some(anchor.clone()), self.part.before),
            _ => (None, 0),
        };
        Some(RunWatch {
            order: Arc::clone(&request.order),
            filters: Arc::clone(request.filters.as_ref()?),
            paging: Arc::clone(&request.paging),
            profile: request.profile,
            anchor,
            before,
            tied: request.target.hint.run,
            one_runs: self.one_runs,
            last_request: self.before.saturating_add(request.budget.search),
            looked: false,
        })
    }
}

/// Returns the expected place at which a page of the whole list begins.
fn boundary_of(page: &Page) -> Hint {
    let total = page.total.filter(|total| total.exact).map(|total| total.value);
    Hint { offset: Offset(page.offset), total, ..Hint::default() }
}
