//! The walk of a client: forward to the end, and from there back to the start.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::{Comparisons, Filters},
    mark::{Mark, Marker},
    order::{Kind, Order, SortKey, Ties},
    page::{Level, Page},
    paging::{Family, Paging, Sizes, UpstreamProfile},
    position::{Hint, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, Step, resolve},
};

use crate::{
    dice::mix,
    ends::{
        facts::{Flag, Past},
        judge::{Claim, Ended, Evidence, judge_back, judge_forward},
        kinds::Met,
        scenario::{CAP, Declared, FIXED, Mode, Scenario},
        upstream::{Upstream, number, range},
    },
};

/// The result of a walk.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) forward: Ended,
    /// The result of the walk back; `None` if the walk forward came to no end.
    pub(crate) back: Option<Ended>,
    /// The statements of the last page's answers against the end that it claims.
    pub(crate) against: Evidence,
    pub(crate) pages: u64,
    /// The number of requests of the walk forward.
    pub(crate) requests: u64,
    /// The number of requests of its last page.
    pub(crate) last_requests: u64,
    pub(crate) changes: u64,
    pub(crate) at_rest: bool,
    pub(crate) met: Met,
    pub(crate) story: Vec<String>,
}

impl Outcome {
    /// Returns the cause of the refusal of the walk forward or back; `None` if neither was refused.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let cause = |ended| if let Ended::Refused(cause) = ended { Some(cause) } else { None };
        cause(self.forward).or_else(|| self.back.and_then(cause))
    }
}

/// A page as a client gets it.
struct Got {
    ids: Vec<u64>,
    claim: Claim,
    next: Option<Target>,
    previous: Option<Target>,
}

struct Walk<'a> {
    scenario: &'a Scenario,
    upstream: Upstream<'a>,
    order: Arc<Order>,
    paging: Arc<Paging>,
    profile: UpstreamProfile,
}

/// The items that a walk delivered, page by page, and the reason why it stopped.
struct Delivered {
    pages: Vec<Vec<u64>>,
    stop: Stop,
}

enum Stop {
    /// The last page has no link in the direction of the walk.
    AtEnd(Box<Got>),
    Refused(Refusal),
    Endless,
}

/// Walks as the scenario says. If `telling` is true, the outcome contains the story.
pub(crate) fn walk(scenario: &Scenario, telling: bool) -> Outcome {
    let mut walk = Walk {
        scenario,
        upstream: Upstream::new(scenario, telling),
        order: Arc::new(order()),
        paging: Arc::new(paging(scenario)),
        profile: UpstreamProfile::default(),
    };
    let start = Target { position: Position::Start, hint: Hint::default() };
    let Delivered { pages, stop } = walk.follow(start, false);
    let requests = walk.upstream.queries as u64;
    let last_requests = walk.upstream.said.len() as u64;
    let ids = pages.concat();
    let mut against = Evidence::of(&walk.upstream.said, &ids);
    // "The answer is full" says nothing about the rows after it: these worlds are judged as those without any fact.
    against.flag &= scenario.facts.flag != Some(Flag::Full);
    let (forward, back) = match stop {
        Stop::AtEnd(last) => {
            let forward = judge_forward(&walk.upstream.rows, &ids, last.claim);
            let may_turn = matches!(forward, Ended::Right(_) | Ended::FalseEnd(_)) && !ids.is_empty();
            let is_false_end = matches!(forward, Ended::FalseEnd(_));
            (forward, may_turn.then(|| walk.back(&ids, *last, is_false_end)))
        }
        Stop::Refused(refusal) => (judge_forward_refused(&walk, &ids, &refusal), None),
        Stop::Endless => (Ended::Endless, None),
    };
    walk.upstream.tell(|| format!("forward: {forward:?}, against the end: {against:?}, back: {back:?}"));
    Outcome {
        forward,
        back,
        against,
        pages: pages.len() as u64,
        requests,
        last_requests,
        changes: walk.upstream.changes,
        at_rest: scenario.is_at_rest(),
        met: walk.upstream.met,
        story: walk.upstream.story.unwrap_or_default(),
    }
}

/// Returns the result of a refused walk: items that were lost before the refusal count more than the refusal.
fn judge_forward_refused(walk: &Walk<'_>, ids: &[u64], refusal: &Refusal) -> Ended {
    match judge_forward(&walk.upstream.rows, ids, Claim::Marked) {
        lost @ (Ended::Skipped | Ended::Repeated) => lost,
        _ => Ended::Refused(crate::keyed::tally::cause(refusal)),
    }
}

impl Walk<'_> {
    /// Walks back from the last page, whose items end with the last of `ids`.
    fn back(&mut self, ids: &[u64], last: Got, is_false_end: bool) -> Ended {
        // The page before an empty last page ends with the item that the walk delivered last.
        let bound = last.ids.first().map_or_else(|| ids[ids.len() - 1] + 1, |first| *first);
        self.upstream.tell(|| "back".to_owned());
        let (pages, stop) = match last.previous {
            None => (Vec::new(), None),
            Some(previous) => {
                let Delivered { mut pages, stop } = self.follow(previous, true);
                // The way back from a false end shows the items after it, which were not delivered before.
                if last.ids.is_empty() && is_false_end {
                    pages.iter_mut().for_each(|page| page.retain(|id| *id < bound));
                }
                (pages, Some(stop))
            }
        };
        match (judge_back(&self.upstream.rows, &pages, bound), stop) {
            (lost @ (Ended::Skipped | Ended::Repeated), _) => lost,
            (_, Some(Stop::Refused(refusal))) => Ended::Refused(crate::keyed::tally::cause(&refusal)),
            (_, Some(Stop::Endless)) => Ended::Endless,
            (ended, _) => ended,
        }
    }

    /// Requests pages until one has no link ahead.
    fn follow(&mut self, target: Target, backward: bool) -> Delivered {
        let most = 200 + 2 * self.scenario.rows.len() / self.scenario.limit as usize;
        let (mut pages, mut target) = (Vec::new(), target);
        loop {
            let page = match self.page(&target) {
                Ok(page) => page,
                Err(refusal) => return Delivered { pages, stop: Stop::Refused(refusal) },
            };
            pages.push(page.ids.clone());
            let ahead = if backward { page.previous.clone() } else { page.next.clone() };
            match ahead {
                None => return Delivered { pages, stop: Stop::AtEnd(Box::new(page)) },
                Some(_) if pages.len() > most => return Delivered { pages, stop: Stop::Endless },
                Some(ahead) => target = ahead,
            }
        }
    }

    /// Drives the core for one page, on the terms of a route by default.
    fn page(&mut self, target: &Target) -> Result<Got, Refusal> {
        self.upstream.said.clear();
        let limit = Limit::at_least_one(self.scenario.limit);
        let (order, paging) = (Arc::clone(&self.order), Arc::clone(&self.paging));
        let mode = self.scenario.mode;
        let request = PageRequest::new(target.clone(), limit, order, paging, marker())
            .flips(mode.filters())
            .filters(filters(mode).map(Arc::new))
            .tells_total(self.scenario.facts.total.is_some())
            .profile(self.profile);
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let answers = fetches.iter().map(|fetch| self.upstream.answer(fetch)).collect();
                    if std::mem::take(&mut self.upstream.fails) {
                        return Err(Refusal::NoList);
                    }
                    pending.resume(answers)
                }
                Step::Serve(page) => {
                    self.profile = page.notes.profile;
                    let got = Got::of(&page);
                    self.upstream.tell(|| told(&page, &got));
                    return Ok(got);
                }
                Step::Refuse(refusal) => {
                    self.upstream.tell(|| format!("  refused: {refusal:?}"));
                    return Err(refusal);
                }
            };
        }
    }
}

impl Got {
    fn of(page: &Page) -> Self {
        let claim = match page.level() {
            _ if page.doubted_end.is_some() => Claim::Marked,
            Level::Exact => Claim::Exact,
            Level::Checked => Claim::Checked,
            Level::Anchored | Level::Positional => Claim::Marked,
        };
        let ids = (0..page.items.len()).map(|index| number(page.item(index))).collect();
        Self { ids, claim, next: page.next.clone(), previous: page.previous.clone() }
    }
}

fn told(page: &Page, got: &Got) -> String {
    let links = match (&page.previous, &page.next) {
        (Some(_), Some(_)) => "",
        (None, Some(_)) => ", the first page",
        (Some(_), None) => ", the last page",
        (None, None) => ", the only page",
    };
    let doubted = page.doubted_end.map_or_else(String::new, |doubt| format!(", {doubt:?}"));
    format!("  page of {}, {:?}{links}{doubted}", range(&got.ids), page.level())
}

fn order() -> Order {
    Order::declared(Vec::new(), SortKey { kind: Kind::Number, ..SortKey::ascending("id") }, Ties::Ordered)
}

fn paging(scenario: &Scenario) -> Paging {
    let free = Sizes::Free { least: 1, most: Some(CAP) };
    let mut paging = match scenario.mode {
        Mode::Offset | Mode::Keyset | Mode::Exclusive => Paging::new(Family::Offset, free),
        Mode::Page => Paging::new(Family::Page, free),
        Mode::Fixed => Paging::new(Family::Page, Sizes::Fixed(FIXED)),
    };
    paging.repeats_last_page = scenario.facts.past == Past::DeclaredRepeat;
    paging.hidden = scenario.declared == Declared::Hidden;
    paging.complete = scenario.declared == Declared::Complete;
    paging
}

/// Returns the filters on the id, the only column of the order, that the upstream offers.
fn filters(mode: Mode) -> Option<Filters> {
    let known = match mode {
        Mode::Keyset => Comparisons { less_or_equal: true, greater_or_equal: true, ..Comparisons::default() },
        Mode::Exclusive => Comparisons { less: true, greater: true, ..Comparisons::default() },
        Mode::Offset | Mode::Page | Mode::Fixed => return None,
    };
    Some(Filters { columns: vec![known], ..Filters::default() })
}

fn marker() -> Marker {
    Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |sum, byte| mix(sum, u64::from(*byte)))))
}
