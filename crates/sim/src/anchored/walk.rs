//! The walk of a client: drives the core for each page and checks the page against its promises.

use std::sync::Arc;

use cursorgate_core::pagination::{
    answer::Answer,
    fetch::Fetch,
    order::{Direction, Kind, Nulls, Order, SortKey},
    page::Page,
    paging::UpstreamProfile,
    position::{Hint, Item, MarkedItem, Marks, Position, Target},
    refusal::Refusal,
    resolver::{Budget, Limit, PageRequest, Step, resolve},
    window::Offset,
};

use super::{
    promises::{self, Cursor, Exchange, Judgement},
    scenario::{Click, Scenario, Style, Turn},
    upstream::Upstream,
    world::{World, marker},
};
use crate::{
    dice::mix,
    founded::{FOUNDED, Record},
};

/// The result of a walk.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) pages: u64,
    pub(crate) requests: u64,
    pub(crate) changes: u64,
    /// The number of pages for which only the promises of every page apply (`Judgement::NotPromised` and `Torn`).
    pub(crate) unpromised: u64,
    /// The number of unpromised pages that were requested by torn cursors.
    pub(crate) torn: u64,
    /// The number of marks that the core ignored because the order of the other marks contradicted them.
    pub(crate) stragglers: u64,
    pub(crate) refusal: Option<Refusal>,
    /// True if the refusal had no need (`Exchange::is_promised`).
    pub(crate) unneeded: bool,
    pub(crate) violation: Option<String>,
    pub(crate) story: Vec<String>,
}

/// Walks as the scenario says. If `tells` is true, the outcome contains the story.
pub(crate) fn walk(scenario: &Scenario, tells: bool) -> Outcome {
    let mut walker = Walker::new(scenario, tells);
    walker.walk();
    walker.outcome.changes = walker.upstream.changes;
    walker.outcome.story = walker.upstream.story.take().unwrap_or_default();
    walker.outcome
}

/// Returns a gateway's upstream profile after a page: the newest cap, the longest run, and the newest drift. Unlike
/// `gateway::shared::learning`, this function never shortens the run.
fn merged(known: UpstreamProfile, profile: UpstreamProfile) -> UpstreamProfile {
    UpstreamProfile { run: known.run.max(profile.run), drift: profile.drift.or(known.drift), ..profile }
}

struct Walker<'a> {
    scenario: &'a Scenario,
    upstream: Upstream,
    order: Arc<Order>,
    /// The upstream profile, which all clients of the gateway share.
    profile: UpstreamProfile,
    outcome: Outcome,
    /// The cursors that earlier pages offered to a client that wanders.
    kept: Vec<Cursor>,
}

impl<'a> Walker<'a> {
    fn new(scenario: &'a Scenario, tells: bool) -> Self {
        let world = World::new(scenario.rows, scenario.look);
        let id = SortKey {
            name: "id".into(),
            direction: Direction::Ascending,
            kind: Kind::Inferred,
            nulls: Nulls::None,
            grain: None,
        };
        let mut upstream = Upstream::new(scenario.traits.clone(), world, scenario.salt, tells);
        upstream.tell(|| format!("{scenario:?}"));
        Self {
            scenario,
            upstream,
            order: Arc::new(Order::undeclared(id)),
            profile: UpstreamProfile::default(),
            outcome: Outcome::default(),
            kept: Vec::new(),
        }
    }

    fn walk(&mut self) {
        let start = match self.scenario.style {
            Style::Backward => Position::End,
            _ => Position::Start,
        };
        let total = (start == Position::End).then_some(u64::from(self.scenario.rows));
        let hint = Hint { total, ..Hint::default() };
        let mut cursor = Cursor { target: Target { position: start, hint }, place: None };
        let longest = self.scenario.most_pages();
        for number in 0..longest {
            let turn = self.scenario.turns.get(number).unwrap_or(const { &Turn::CALM });
            turn.before.iter().for_each(|&change| self.upstream.happen(change));
            self.upstream.during.clone_from(&turn.during);
            let limit = self.scenario.limits[number % self.scenario.limits.len()];
            if let Some(limit) = turn.other {
                self.other_client(limit);
            }
            let Some(page) = self.page(&cursor, limit) else { return };
            let Some(next) = self.choose(&page, number, turn.click) else { return };
            // If a worker deletes all that it has read, only the marks ahead of the cursor's place are left.
            if let Style::Worker(percent) = self.scenario.style
                && number < self.scenario.turns.len()
            {
                let salt = self.scenario.salt;
                let is_done = |number: &u32| mix(salt, u64::from(*number)) % 100 < u64::from(percent);
                let rows = promises::rows(&page, &self.upstream.shown);
                let done: Vec<u32> = rows.iter().map(|row| row.number).filter(is_done).collect();
                self.upstream.tell(|| format!("deletes {done:?}"));
                self.upstream.world.delete(&done);
            }
            // The anchor's row moves. A core that used only the nearest mark would continue at the row's new place.
            // Regression: `without-marks-are-chained`.
            if let Some(far) = turn.moves_anchor
                && let Some(last) = promises::rows(&page, &self.upstream.shown).last()
            {
                self.upstream.tell(|| format!("moves {} by {far}", last.number));
                self.upstream.world.move_row(last.number, far);
            }
            cursor = next;
        }
        // G4: the list doesn't change after the last event, so every walk must end.
        self.outcome.violation = Some(format!("it moves: not at the end after {longest} pages"));
    }

    /// Reads a page and checks its promises. Returns `None` if the page is refused or breaks a promise, and records
    /// that in the outcome.
    fn page(&mut self, cursor: &Cursor, limit: u32) -> Option<Page> {
        self.upstream.shown.clear();
        let at_first = self.upstream.world.state.clone();
        self.upstream.tell(|| format!("limit {limit} from {}", promises::told_target(Some(&cursor.target))));
        let request = self.request(&cursor.target, limit);
        let mut record = Record::begin(&request);
        let mut step = resolve(request);
        let page = loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let answers = self.answers(&fetches);
                    record.take(&fetches, &answers);
                    pending.resume(answers)
                }
                Step::Serve(page) => break Some(page),
                Step::Refuse(refusal) => {
                    self.upstream.tell(|| format!("refused: {refusal:?}"));
                    self.outcome.refusal = Some(refusal);
                    break None;
                }
            };
        };
        let shown = std::mem::take(&mut self.upstream.shown);
        let exchange = Exchange::new(cursor, limit, at_first, &shown, self.scenario);
        let Some(page) = page else {
            // A refusal breaks no promise. A refusal without need is counted, and `REFUSED_OF_THOUSAND` bounds the
            // count.
            self.outcome.unneeded = exchange.is_promised();
            return None;
        };
        if let Some(what) = record.unfounded(&page) {
            self.outcome.violation = Some(format!("{FOUNDED}: {what}"));
            return None;
        }
        self.profile = merged(self.profile, page.notes.profile);
        self.outcome.pages += 1;
        self.outcome.requests += u64::from(page.notes.requests);
        self.outcome.stragglers += u64::from(page.notes.stragglers);
        let judgement = exchange.judge(&page);
        self.upstream.tell(|| format!("  {}", promises::told(&page, &shown)));
        self.upstream.shown = shown;
        match judgement {
            Judgement::Kept => {}
            Judgement::NotPromised => self.outcome.unpromised += 1,
            Judgement::Torn => {
                self.outcome.unpromised += 1;
                self.outcome.torn += 1;
            }
            Judgement::Broken(violation) => {
                self.upstream.tell(|| format!("  {violation}"));
                self.outcome.violation = Some(violation);
                return None;
            }
        }
        Some(*page)
    }

    /// Lets another client read the first page with its own limit. The upstream profile of this page is kept for the
    /// walk; the page isn't checked.
    fn other_client(&mut self, limit: u32) {
        let target = Target { position: Position::Start, hint: Hint::default() };
        self.upstream.tell(|| format!("another client asks for the first {limit}"));
        let mut step = resolve(self.request(&target, limit));
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => pending.resume(self.answers(&fetches)),
                Step::Serve(page) => {
                    self.profile = merged(self.profile, page.notes.profile);
                    return;
                }
                Step::Refuse(_) => return,
            };
        }
    }

    fn request(&self, target: &Target, limit: u32) -> PageRequest {
        let (order, paging) = (Arc::clone(&self.order), Arc::new(self.scenario.traits.paging()));
        PageRequest::new(target.clone(), Limit::at_least_one(limit), order, paging, marker())
            .profile(if self.scenario.forgets { UpstreamProfile::default() } else { self.profile })
            .search_items(self.scenario.search_items)
            .budget(Budget::new(8, self.scenario.search_budget))
    }

    fn answers(&mut self, fetches: &[Fetch]) -> Vec<Answer> {
        let answer = |fetch: &Fetch| match fetch {
            Fetch::Slice(slice, _) => self.upstream.answer(*slice),
            other => panic!("{other:?} of a list by offset"),
        };
        fetches.iter().map(answer).collect()
    }

    /// Returns the cursor that the client uses next; `None` at the end of its walk.
    fn choose(&mut self, page: &Page, number: usize, click: Click) -> Option<Cursor> {
        let shown = &self.upstream.shown;
        let onward = |forward: bool| {
            let target = if forward { page.next.clone() } else { page.previous.clone() }?;
            Some(Cursor { place: promises::place(page, shown, forward), target })
        };
        match self.scenario.style {
            Style::Forward | Style::Worker(_) => onward(true),
            Style::Backward => onward(false),
            Style::Wander => {
                // The walk of a client that wanders has no natural end, so it stops here.
                if number > 12 {
                    return None;
                }
                self.kept.extend([onward(true), onward(false)].into_iter().flatten());
                let by_item = |after: bool| {
                    let (first, last) = page.edges.as_ref()?;
                    let Item::Marked(item) = (if after { last } else { first }) else { return None };
                    let MarkedItem { item, around: Marks { mut before, after: mut ahead }, offset } = item.clone();
                    let offset = Offset(offset.0 + u64::from(after));
                    let hint = Hint { offset, ..Hint::default() };
                    if after {
                        before.push(item);
                    } else {
                        ahead.insert(0, item);
                    }
                    let marks = Marks { before, after: ahead };
                    let position = if after { Position::AfterMarks(marks) } else { Position::BeforeMarks(marks) };
                    Some(Cursor { place: promises::place(page, shown, after), target: Target { position, hint } })
                };
                let (choice, earlier) = match click {
                    Click::Next => (onward(true), 0),
                    Click::Previous => (onward(false), 0),
                    Click::AfterLast => (by_item(true), 0),
                    Click::BeforeFirst => (by_item(false), 0),
                    Click::Earlier(choice) => (None, choice as usize),
                };
                choice.or_else(|| (!self.kept.is_empty()).then(|| self.kept.swap_remove(earlier % self.kept.len())))
            }
        }
    }
}
