//! A page read from one part of the list after the other, each proven to its end before the next one counts.

use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

use super::{
    gather::{after, append, boundary_of, last_of, shows},
    legs,
    range::Part,
    within::{self, Side},
};
use crate::pagination::{
    answer::Answer,
    fetch::Fetch,
    order::{Order, Ties},
    page::{Level, Page},
    position::{Anchor, Hint, Item, Position, Target},
    refusal::Refusal,
    resolver::{Machine, PageRequest, Pending, Step, WhenUnproven},
    rows,
    rules::{self, Rule},
    window::{Offset, Slice},
    windows::{self, Ground},
};

/// A page under way.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) request: PageRequest,
    /// The order within a run that is sorted by the id.
    run_order: Arc<Order>,
    /// The part that is read, and those behind it.
    pub(super) part: Part,
    pub(super) rest: VecDeque<Part>,
    /// What the parts read so far gave, and where its first boundary is believed to be.
    pub(super) page: Option<Page>,
    boundary: Hint,
    /// Of the part that is read only so many items are wanted, the last of which is this one: right behind it stands a
    /// run that is too long for an answer.
    pub(super) before_run: Option<(u32, Anchor)>,
    /// The page begins in the whole list, where it is seen whether anything comes before.
    shows_before: bool,
    /// How many items of the part that is read are believed to stand before the page's end.
    reached: u32,
    /// The page is full, and an answer showed an item that comes after it.
    pub(super) goes_on: bool,
    /// The first item, and the last one, came out of a run that was read by itself.
    ends_in_run: (bool, bool),
    /// The slice that was asked for last, of several the first.
    pub(super) asked: Option<Slice>,
    /// The page was to be read from the whole list.
    is_of_the_whole: bool,
    /// It is read from that without regard for runs.
    pub(super) gave_up: bool,
    /// A run was met, or looked for.
    pub(super) looked: bool,
    /// How many answers were one run each, and not few items.
    pub(super) one_runs: u32,
    pub(super) requests: u32,
}

/// A part is being read.
#[derive(Debug)]
struct Waiting(Box<Reading>, Pending);

impl Machine for Waiting {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        let Self(mut reading, inner) = *self;
        reading.goes_on |= reading.is_full() && answers.iter().any(|answer| reading.shows_more(answer));
        match reading.run_among(&answers) {
            Some(run) => reading.turn_to(run, inner, answers),
            None => reading.follow(inner.resume(answers)),
        }
    }
}

impl Reading {
    /// A page from some parts of the list, the first of which holds the boundary; never none.
    pub(super) fn of(request: PageRequest, parts: Vec<Part>) -> Box<Self> {
        let mut rest = VecDeque::from(parts);
        let part = rest.pop_front().unwrap_or_else(|| Part::whole(request.target.position.clone()));
        let is_of_the_whole = part.filter.is_none();
        Box::new(Self {
            run_order: Arc::new(Order { ties: Ties::Ordered, ..Order::clone(&request.order) }),
            boundary: request.target.hint,
            request,
            part,
            rest,
            page: None,
            before_run: None,
            shows_before: true,
            reached: 0,
            goes_on: false,
            ends_in_run: (false, false),
            asked: None,
            is_of_the_whole,
            gave_up: false,
            looked: false,
            one_runs: 0,
            requests: 0,
        })
    }

    /// Reads the part whose turn it is.
    pub(super) fn begin(self: Box<Self>) -> Step {
        let request = &self.request;
        let first = self.page.is_none();
        let is_whole = self.part.filter.is_none();
        let hint = match &self.part.position {
            // Of a filtered list no total is known. Where one answer can hold all of it up to the page's end, it is asked
            // for from its start: nothing can be cut there.
            Position::After(_) if !is_whole => {
                let most = u64::from(legs::longest_answer(&request.paging, request.learnt));
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
        };
        // One request is kept for a look at a run.
        let may_look = !self.looked && self.can_give_runs();
        let spend = |budget: u32| match budget.saturating_sub(self.requests) {
            left if may_look && left > 1 => left - 1,
            left => left,
        };
        // A run that is too long is first read by itself, where that can be done.
        let unproven = if is_whole && !may_look { request.unproven } else { WhenUnproven::Refuse };
        let before_run = self.before_run.as_ref().map_or(u32::MAX, |(count, _)| *count);
        let limit = before_run.min(request.limit.saturating_sub(self.count()));
        let honoured = self.page.as_ref().map_or(request.target.hint.honoured, |page| page.honoured);
        let part = PageRequest {
            target: Target { position: self.part.position.clone(), hint: Hint { honoured, ..hint } },
            // At the end of a full page one item tells whether there is more.
            limit: limit.max(1),
            order: Arc::clone(if self.part.run.is_some() { &self.run_order } else { &request.order }),
            flips: request.flips && self.part.run.is_none(),
            filters: None,
            unproven,
            // Beside a run that is too long the page is searched for.
            budget: spend(if self.looked { request.search_budget } else { request.budget }),
            search_budget: spend(request.search_budget),
            learnt: self.page.as_ref().map_or(request.learnt, |page| page.learnt),
            ..request.clone()
        };
        let ground = if is_whole { Ground::Whole } else { Ground::Filtered };
        self.follow(windows::resolve(part, ground))
    }

    pub(super) fn follow(mut self: Box<Self>, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => {
                self.asked = match fetches.first() {
                    Some(Fetch::Slice(slice, _)) => Some(*slice),
                    _ => None,
                };
                let fetches: Vec<Fetch> = fetches.into_iter().map(|fetch| self.narrowed(fetch)).collect();
                self.requests = self.requests.saturating_add(u32::try_from(fetches.len()).unwrap_or(u32::MAX));
                Step::Fetch(fetches, Pending(Box::new(Waiting(self, inner))))
            }
            Step::Serve(page) => self.take(*page),
            Step::Refuse(refusal @ Refusal::TieRun { .. }) => self.too_long(refusal),
            Step::Refuse(refusal) => self.refused(refusal),
        }
    }

    /// What can't be read in parts is read from the whole list after all, where it was to be read from that, whatever runs
    /// there are.
    pub(super) fn refused(mut self: Box<Self>, refusal: Refusal) -> Step {
        let flags = self.request.unproven == WhenUnproven::Flag;
        let in_parts = self.part.filter.is_some() || (self.looked && flags);
        let hopeless = self.requests >= self.request.search_budget || refusal == Refusal::BudgetExceeded;
        if !self.is_of_the_whole || !in_parts || self.gave_up || hopeless {
            return Step::Refuse(refusal);
        }
        (self.page, self.before_run, self.gave_up, self.looked) = (None, None, true, true);
        self.goes_on = false;
        self.rest.clear();
        self.part = Part::whole(self.request.target.position.clone());
        self.begin()
    }

    /// A fetch of the part that is read.
    pub(super) fn narrowed(&self, fetch: Fetch) -> Fetch {
        match fetch {
            Fetch::Slice(slice, mut listing) => {
                listing.filter.clone_from(&self.part.filter);
                listing.by_id = self.part.run.is_some();
                Fetch::Slice(slice, listing)
            }
            other => other,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.page.as_ref().map_or(0, |page| u32::try_from(page.items.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn is_full(&self) -> bool {
        self.count() >= self.request.limit
    }

    /// Whether an answer holds an item that comes after the last one of the page.
    fn shows_more(&self, answer: &Answer) -> bool {
        self.page.as_ref().and_then(last_of).is_some_and(|last| {
            (0..answer.items.len()).any(|item| {
                rows::relate(answer, &self.request.order, item, last)
                    .is_some_and(|relation| relation.whole == Ordering::Greater)
            })
        })
    }

    /// Takes what a part gave.
    fn take(self: Box<Self>, mut page: Page) -> Step {
        let is_whole = self.part.filter.is_none();
        if page.unproven.is_some() || (is_whole && self.page.is_none() && self.rest.is_empty()) {
            return self.serve(page);
        }
        if !is_whole {
            let shows = match &self.part.position {
                Position::After(anchor) => {
                    shows(&page, &self.request.order, self.part.inclusive && self.part.run.is_none(), anchor)
                }
                _ => Some(false),
            };
            let Some(shows) = shows else { return self.lost() };
            if !shows {
                let is_after = matches!(self.part.position, Position::After(_));
                // Neither the anchor nor anything after it: the end of the list, or a filter that lets nothing through.
                let shows_nothing = page.items.is_empty() && is_after;
                // A filter that lets the anchor's own value through, and shows neither the anchor nor an item with that
                // value, may compare otherwise than the list is sorted: by the date alone, or in another time zone. Only
                // the whole list tells that from an anchor that was deleted.
                let may_compare_otherwise =
                    self.part.inclusive && is_after && self.part.run.is_none() && rules::holds(Rule::FiltersAreProven);
                if shows_nothing || may_compare_otherwise {
                    return self.lost();
                }
                page.level = page.level.min(Level::Checked);
            }
            if !self.is_behind_the_last(&page) || !self.is_all_run(&page) {
                return self.lost();
            }
            (page.total, page.last, page.drift) = (None, None, None);
        }
        self.gather(page)
    }

    /// Puts what a part gave behind what there is, and goes on where that is not all.
    fn gather(mut self: Box<Self>, part: Page) -> Step {
        let has_more = part.next.is_some();
        let part_next = part.next.clone();
        let room = self.request.limit.saturating_sub(self.count());
        if !part.items.is_empty() && room > 0 {
            let first = if self.count() == 0 { self.part.run.is_some() } else { self.ends_in_run.0 };
            self.ends_in_run = (first, self.part.run.is_some());
            // Of the whole list that says nothing of where the place is in a filtered one.
            let reached =
                part.next.as_ref().filter(|_| self.part.filter.is_some()).map_or(0, |next| next.hint.offset.0);
            let reached = reached.saturating_add(self.part.left_out);
            self.reached = u32::try_from(reached).unwrap_or(Hint::LONG_RUN - 1);
        }
        match &mut self.page {
            None => {
                self.boundary = if self.part.filter.is_none() { boundary_of(&part) } else { self.request.target.hint };
                self.shows_before = self.part.filter.is_none();
                self.page = Some(part);
            }
            Some(page) if room == 0 => {
                if part.items.is_empty() && !has_more {
                    return self.next_part(part.level);
                }
                page.next = last_of(page).map(after);
                page.level = page.level.min(part.level);
                return self.finish();
            }
            Some(page) => append(page, part, &self.request.order),
        }
        let Some(page) = &mut self.page else { return self.lost() };
        let is_full = page.items.len() >= self.request.limit as usize;
        if page.short || (has_more && is_full) {
            return self.finish();
        }
        let level = page.level;
        if let Some((_, last)) = self.before_run.take() {
            if !has_more {
                self.rest.clear();
            } else if last_of(page) != Some(&last) {
                // Something came between: what stands behind the last item is not known any more.
                return self.lost();
            }
            return self.next_part(level);
        }
        if !has_more {
            return self.next_part(level);
        }
        // An item that was moved between two parts came twice, and counts once.
        let Some(Target { position, hint }) = part_next else { return self.lost() };
        (self.part.position, self.part.before) = (position, hint.offset.0);
        self.begin()
    }

    fn next_part(mut self: Box<Self>, level: Level) -> Step {
        if let Some(page) = &mut self.page {
            page.level = page.level.min(level);
        }
        match self.rest.pop_front() {
            Some(part) => {
                self.part = part;
                self.begin()
            }
            None => {
                if let Some(page) = &mut self.page {
                    page.next = None;
                    if self.part.run.is_some() {
                        // That nothing comes after a run is known of its keys alone, not seen.
                        page.level = page.level.min(Level::Checked);
                    }
                }
                self.finish()
            }
        }
    }

    /// Where the page before this one ends: a filter hides what comes before, and that was one item at least.
    fn previous(&self, page: &Page) -> Option<Target> {
        if matches!(self.request.target.position, Position::Start | Position::At(Offset(0))) {
            return None;
        }
        match (&page.previous, &page.edges) {
            (Some(previous @ Target { position: Position::Before(_), .. }), _) => Some(previous.clone()),
            (_, Some((Item::Keyed(first), _))) => {
                Some(Target { position: Position::Before(first.clone()), hint: Hint { run: 1, ..Hint::default() } })
            }
            _ => Some(Target { position: Position::End, hint: Hint::default() }),
        }
    }

    /// Whether a part that is read from its own start comes after what was read before it, as its filter says.
    fn is_behind_the_last(&self, page: &Page) -> bool {
        let asked = match &self.request.target.position {
            Position::After(anchor) => Some(anchor),
            _ => None,
        };
        let last = self.page.as_ref().and_then(last_of).or(asked).filter(|_| self.part.position == Position::Start);
        last.is_none_or(|last| {
            page.answers.iter().filter(|answer| !answer.items.is_empty()).all(|answer| {
                rows::relate(answer, &self.request.order, 0, last)
                    .is_some_and(|relation| relation.whole == Ordering::Greater)
            })
        })
    }

    /// Whether all that a part gave are of the run that was asked for, if it was one.
    fn is_all_run(&self, page: &Page) -> bool {
        let Some(keys) = &self.part.run else { return true };
        let is_of_it = |answer, item| rows::has_keys(answer, &self.request.order, item, keys);
        page.answers.iter().all(|answer| (0..answer.items.len()).all(|item| is_of_it(answer, item)))
    }

    /// The page that was gathered, in terms of the whole list.
    pub(super) fn finish(mut self: Box<Self>) -> Step {
        let Some(mut page) = self.page.take() else { return self.lost() };
        if !self.shows_before {
            page.previous = self.previous(&page);
        }
        let hint = self.boundary;
        let count = page.items.len();
        let own = |target: &mut Target, boundary: Hint| {
            if matches!(target.position, Position::After(_) | Position::Before(_)) {
                target.hint =
                    Hint { offset: boundary.offset, from_end: boundary.from_end, total: boundary.total, ..target.hint };
            } else {
                target.hint = Hint { total: boundary.total, ..Hint::default() };
            }
        };
        if let Some(previous) = &mut page.previous {
            own(previous, hint);
        }
        if let Some(next) = &mut page.next {
            own(next, hint.moved_on(count));
        }
        page.offset = if hint.from_end { 0 } else { hint.offset.0 };
        self.serve(page)
    }

    /// Says where the page's neighbours are in lists that are filtered by their keys.
    fn serve(self: Box<Self>, mut page: Page) -> Step {
        let order = &self.request.order;
        let (first, last) = (page.items.first().copied(), page.items.last().copied());
        if let (Some(place), Some(Target { position: Position::Before(_), hint })) = (first, &mut page.previous) {
            if self.ends_in_run.0 {
                (hint.run, hint.within) = (1, Hint::LONG_RUN);
            } else if self.request.flips {
                hint.within = within::count(&page.answers, order, place, Side::Behind).0;
            }
        }
        if let (Some(place), Some(Target { position: Position::After(_), hint })) = (last, &mut page.next) {
            if self.ends_in_run.1 {
                (hint.run, hint.within) = (self.reached.max(1), Hint::LONG_RUN);
            } else {
                let (count, all) = within::count(&page.answers, order, place, Side::Before);
                hint.within = if all { count } else { count.max(self.reached) };
            }
        }
        page.requests = self.requests;
        Step::Serve(Box::new(page))
    }

    pub(super) fn lost(self: Box<Self>) -> Step {
        let nearest = self.request.target.hint.offset;
        self.refused(Refusal::PositionLost { nearest })
    }
}
