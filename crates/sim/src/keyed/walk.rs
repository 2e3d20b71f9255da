//! The walk: drives the core for each page that a client requests, checks the promises of the page, and checks the
//! cause of a refusal against the world.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
};

use cursorgate_core::pagination::{
    order::Order,
    page::{Level, Page},
    paging::{Paging, UpstreamProfile},
    position::{Position, Target},
    refusal::Refusal,
    resolver::{Budget, Limit, PageRequest, Step, WhenUnproven, resolve},
};

use crate::{
    case::newest_panic,
    dice::mix,
    founded::{FOUNDED, Record, Verdict},
    keyed::{
        aim::{Aim, Bound},
        gateway::Gateways,
        leg::Leg,
        met::Met,
        need::Need,
        promises::{Exchange, Violation, rows_of},
        row::{Place, Row, Shape},
        scenario::{Mode, Scenario},
        traits::{Counts as CountTime, Echoes, Lag, Past, Says},
        upstream::{Showing, Upstream},
        world::{State, World},
    },
};

/// The result of a walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) pages: u64,
    pub(crate) answers: u64,
    pub(crate) mutations: u64,
    /// The number of ticks that passed.
    pub(crate) ticks: usize,
    pub(crate) flagged: u64,
    pub(crate) exact: u64,
    /// The number of pages of level `checked`.
    pub(crate) checked: u64,
    /// The number of `checked` pages that are wrong because the list changed during their requests.
    pub(crate) mistaken: u64,
    /// The number of `checked` pages of an upstream that deceives (`Traits::deceives`). `deceived` counts those that
    /// are wrong.
    pub(crate) checked_among_deceits: u64,
    pub(crate) deceived: u64,
    /// The number of pages for whose claims the checker finds no argument.
    pub(crate) unclear: u64,
    /// The number of wrong pages of level `exact` that are excused (`Exchange::is_deceived_at_exact`): 0 or 1.
    pub(crate) deceived_at_exact: u64,
    /// The number of requests of each page.
    pub(crate) costs: Vec<u32>,
    pub(crate) rows_read: u64,
    pub(crate) rows_served: u64,
    pub(crate) refusal: Option<Refusal>,
    /// The need of the refusal; `None` if the world gave no reason.
    pub(crate) need: Option<Need>,
    /// The features that the walk met.
    pub(crate) met: Met,
    pub(crate) story: Vec<String>,
}

impl Outcome {
    /// Counts a page by its level.
    fn count(&mut self, level: Level, mistaken: bool, deceives: bool) {
        self.exact += u64::from(level == Level::Exact);
        self.checked += u64::from(level == Level::Checked);
        *(if deceives { &mut self.deceived } else { &mut self.mistaken }) += u64::from(mistaken);
        self.checked_among_deceits += u64::from(level == Level::Checked && deceives);
        self.flagged += u64::from(level == Level::Positional);
    }
}

/// The reason that a walk stops before its end.
pub(crate) enum Stop {
    Refused(Refusal, Option<Need>),
    /// The walk came to a page after which no promise holds: the page is flagged, read by marks, or excused.
    Unproven,
    Violated(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violated(violation)
    }
}

/// A page as it was made, with everything that its promises are checked against. A cache may serve it again later.
pub(crate) struct Made {
    pub(crate) page: Page,
    /// The number of answers that the page took.
    answers: u32,
    /// The gateway's upstream profile before the page was made.
    before: UpstreamProfile,
    pub(crate) shown: Vec<Showing>,
    passed: Vec<State>,
    /// The place of the item that was looked up for the page; `None` if no item was.
    looked_up: Option<Place>,
    /// True if the checker derives the page's claim from its answers.
    founded: bool,
    /// True if the list had not changed since the walk began, and the hint was reliable.
    undisturbed: bool,
}

/// A page that was served and kept its promises.
pub(crate) struct Served {
    pub(crate) made: Rc<Made>,
    pub(crate) rows: Vec<Rc<Row>>,
    pub(crate) next: Option<Aim>,
    pub(crate) previous: Option<Aim>,
    pub(crate) last: Option<Aim>,
    /// True if all claims of the page are checked (`Exchange::is_certain`).
    pub(crate) certain: bool,
    pub(crate) limit: u32,
}

pub(crate) struct Walk<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) shape: Rc<Shape>,
    pub(crate) upstream: Upstream<'a>,
    order: Arc<Order>,
    paging: Arc<Paging>,
    gateways: Gateways,
    requests: u64,
    /// The number of rows when the walk began.
    pub(crate) first_rows: u64,
    /// The positions of the next pages of the other principals, each of which has its own walk.
    others: Vec<Aim>,
    /// True if the checker derives the claim of the last page.
    founded: bool,
    /// The state when the last page was requested.
    last_state: Option<State>,
    pub(crate) outcome: Outcome,
}

/// A page, the number of answers that it took, and the upstream profile before it.
type Resolved = (Page, u32, UpstreamProfile);

/// Walks as the scenario says. If `telling` is true, the outcome contains the story. A panic of the core is a
/// violation.
pub(crate) fn walk(scenario: &Scenario, telling: bool) -> Outcome {
    let mut walk = Walk::new(scenario, telling);
    let stop = catch_unwind(AssertUnwindSafe(|| walk.go()))
        .unwrap_or_else(|_| Err(Stop::Violated(Violation { promise: "panic", what: newest_panic() })));
    let mut outcome = walk.outcome;
    match stop {
        Ok(()) | Err(Stop::Unproven) => {}
        Err(Stop::Refused(refusal, need)) => (outcome.refusal, outcome.need) = (Some(refusal), need),
        Err(Stop::Violated(violation)) => {
            walk.upstream.tell(|| format!("VIOLATED {}: {}", violation.promise, violation.what));
            outcome.violation = Some(violation);
        }
    }
    (outcome.mutations, outcome.ticks) = (walk.upstream.world.mutations, walk.upstream.ticks);
    outcome.story = walk.upstream.story.unwrap_or_default();
    let mut met = outcome.met;
    met.walk(scenario, &outcome);
    outcome.met = met;
    outcome
}

impl<'a> Walk<'a> {
    /// Returns a walk that has not begun. If `telling` is true, it writes a story.
    pub(crate) fn new(scenario: &'a Scenario, telling: bool) -> Self {
        let shape = Rc::new(scenario.shape.clone());
        let world = World::new(&shape, &scenario.rows, scenario.traits.hidden);
        let mut upstream = Upstream::new(&scenario.traits, Rc::clone(&shape), world, &scenario.plan);
        if telling {
            upstream.story = Some(scenario.describe(&upstream.world.state));
        }
        Walk {
            scenario,
            order: scenario.shape.order(),
            paging: Arc::new(scenario.traits.paging()),
            gateways: Gateways::new(&scenario.client),
            requests: 0,
            first_rows: upstream.world.state.raw().len() as u64,
            shape,
            upstream,
            others: scenario.traits.other_caps.iter().map(|_| Aim::start()).collect(),
            founded: false,
            last_state: None,
            outcome: Outcome::default(),
        }
    }

    /// Requests a page with the next limit of the client, after pages of the other principals.
    pub(crate) fn page(&mut self, aim: &Aim, leg: Option<&mut Leg>) -> Result<Served, Stop> {
        let limits = &self.scenario.client.limits;
        let limit = limits[self.outcome.pages as usize % limits.len()];
        for other in 0..self.others.len() {
            if mix(self.scenario.traits.salt ^ other as u64, self.requests).is_multiple_of(2) {
                self.page_of_another(other, limit)?;
            }
        }
        self.limited_page(aim, leg, limit)
    }

    /// Lets another principal request the next page of its own walk through the same gateways. The page must keep the
    /// same promises. After a refusal, the principal begins a new walk.
    fn page_of_another(&mut self, other: usize, limit: u32) -> Result<(), Stop> {
        self.upstream.principal = other + 1;
        let aim = std::mem::replace(&mut self.others[other], Aim::start());
        let served = self.limited_page(&aim, None, limit);
        self.upstream.principal = 0;
        match served {
            Ok(served) => self.others[other] = served.next.unwrap_or_else(Aim::start),
            Err(Stop::Refused(..) | Stop::Unproven) => {}
            Err(violated) => return Err(violated),
        }
        Ok(())
    }

    /// Returns the slot of learnt caps of the principal that sends the current request.
    fn view(&self) -> usize {
        if self.scenario.client.crowded { 0 } else { self.upstream.principal }
    }

    /// Returns whether the list has not changed since the walk began.
    pub(crate) fn is_undisturbed(&self) -> bool {
        // Two replicas show two lists, even while neither changes.
        self.upstream.world.mutations == 0 && !matches!(self.scenario.traits.lag, Lag::Replica(_))
    }

    /// Requests a page with a limit, makes it and serves it.
    pub(crate) fn limited_page(&mut self, aim: &Aim, leg: Option<&mut Leg>, limit: u32) -> Result<Served, Stop> {
        let number = self.begin_request();
        let lost = self.loses_hint(number).then(|| aim.clone().without_hint());
        let aim = lost.as_ref().unwrap_or(aim);
        let made = Rc::new(self.make(aim, limit, number)?);
        self.serve(aim, limit, made, leg)
    }

    /// Counts a request of a client, and returns its number, from 0 on.
    pub(crate) fn begin_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests - 1
    }

    /// Makes the page of a request, without checking its promises.
    pub(crate) fn make(&mut self, aim: &Aim, limit: u32, number: u64) -> Result<Made, Stop> {
        let (page, answers, before) = self.resolved_or_nearest(aim, limit, number)?;
        self.outcome.pages += 1;
        self.outcome.costs.push(answers);
        self.outcome.rows_read += self.upstream.shown.iter().map(|showing| u64::from(showing.items)).sum::<u64>();
        self.outcome.rows_served += page.items.len() as u64;
        let still = self.upstream.passed.len() == 1;
        Ok(Made {
            page,
            answers,
            before,
            shown: std::mem::take(&mut self.upstream.shown),
            passed: std::mem::take(&mut self.upstream.passed),
            looked_up: self.upstream.looked_up,
            founded: self.founded,
            undisturbed: self.is_undisturbed() && still && aim.hinted,
        })
    }

    /// Checks the promises of a page to a client that requested it by `aim` and `limit`, and serves the page. The page
    /// may have been made for an earlier request (`cached`).
    pub(crate) fn serve(
        &mut self,
        aim: &Aim,
        limit: u32,
        made: Rc<Made>,
        leg: Option<&mut Leg>,
    ) -> Result<Served, Stop> {
        let page = &made.page;
        let rows = rows_of(page, &self.upstream.world.registry)?;
        let exchange = Exchange {
            aim,
            bound: bound_of(aim, made.looked_up),
            limit,
            client: &self.scenario.client,
            before: made.before,
            page,
            rows: &rows,
            shown: &made.shown,
            passed: &made.passed,
            answers: made.answers,
            still: made.passed.len() == 1,
            undisturbed: made.undisturbed && aim.hinted,
            founded: made.founded,
            traits: &self.scenario.traits,
            shape: &self.shape,
        };
        if self.upstream.principal == 0 {
            self.outcome.met.page(&exchange, self.last_state.as_ref());
            self.last_state = Some(Rc::clone(&made.passed[0]));
        }
        self.upstream.tell(|| told(page, &rows));
        exchange.keeps_promises()?;
        // A page whose claim the checker can't derive may be right: it is counted, and `Bounds::unclear` bounds the
        // number.
        self.outcome.unclear += u64::from(!made.founded);
        // A wrong page leads to a wrong place, so no promise holds for the pages after it.
        if exchange.is_deceived_at_exact() {
            self.outcome.deceived_at_exact += 1;
            return Err(Stop::Unproven);
        }
        let mistaken = page.level() == Level::Checked && exchange.is_mistaken();
        self.outcome.count(page.level(), mistaken, self.scenario.traits.deceives());
        let positional = page.level() == Level::Positional;
        if (positional && !self.scenario.is_unverified()) || page.level() == Level::Anchored {
            return Err(Stop::Unproven);
        }
        match leg {
            Some(leg) if positional => leg.give_up(),
            Some(leg) => leg.take(&exchange, self.upstream.world.arrivals)?,
            None => {}
        }
        let next = page.next.as_ref().map(|target| exchange.aim_at(target)).transpose()?;
        let previous = page.previous.as_ref().map(|target| exchange.aim_at(target)).transpose()?;
        let certain = exchange.is_certain();
        let first_total = aim.first_total.or(page.total);
        let last = page.last.clone().map(|target| Aim { target, first_total, ..Aim::end() });
        Ok(Served { made, rows, next, previous, last, certain, limit })
    }

    /// Returns a target as the client's cursor contains it.
    pub(crate) fn carried(&self, target: &Target) -> Target {
        if self.scenario.client.seeks { self.gateways.stripped(target) } else { target.clone() }
    }

    /// Returns whether the client uses an item's cursor for this request. Such a cursor has no hint.
    pub(crate) fn loses_hint(&self, number: u64) -> bool {
        let one_in = u64::from(self.scenario.client.loses_hints);
        one_in > 0 && mix(self.scenario.traits.salt, number).is_multiple_of(one_in)
    }

    /// Resolves one request to its page. After a refusal, also requests a page at the nearest place that the refusal
    /// names.
    fn resolved_or_nearest(&mut self, aim: &Aim, limit: u32, number: u64) -> Result<Resolved, Stop> {
        let served = self.resolved(aim, limit, self.scenario.client.unproven, number);
        // A refusal of an offset that the client chose names that offset.
        if let Err(Stop::Refused(refusal, _)) = &served
            && !matches!(aim.bound, Bound::At(_))
        {
            self.ask_nearest(refusal, limit)?;
        }
        served
    }

    /// Resolves one request to its page, or stops with its refusal.
    fn resolved(&mut self, aim: &Aim, limit: u32, unproven: WhenUnproven, number: u64) -> Result<Resolved, Stop> {
        let client = &self.scenario.client;
        // The anchor is noted before the tick, because `MoveAnchor` moves the row that this cursor names in that tick.
        // Regression: `without-keys-decide`.
        self.upstream.world.anchor = aim.bound.place();
        self.upstream.tick();
        let target = self.carried(&aim.target);
        let gateway = self.gateways.choose(client, self.scenario.traits.salt, number);
        let pivot = gateway.pivot(&target);
        let view = self.view();
        let profile = self.gateways.now().profile(view);
        // The record begins after the tick: a change before the request isn't a change during it.
        self.upstream.begin_record();
        self.upstream.tell(|| format!("  page {number}: {limit} of {target:?}, {profile:?}, pivot {pivot:?}"));
        let traits = &self.scenario.traits;
        let (order, paging) = (Arc::clone(&self.order), Arc::clone(&self.paging));
        let marker = self.gateways.marker.clone();
        let request = PageRequest::new(target, Limit::at_least_one(limit), order, paging, marker)
            .profile(profile)
            .pivot(pivot)
            .budget(Budget::new(client.budget, client.search_budget))
            .unproven(unproven)
            .verify(client.verify)
            .short_pages(client.short_pages)
            .totals(client.totals)
            .flips(traits.flips)
            .filters(traits.filtering.as_ref().map(|filtering| Arc::clone(&filtering.filters)))
            .tells_total(traits.total == Says::Exactly);
        let (page, answers) = self.drive(request, aim, limit)?;
        self.gateways.now().remember(&page, view, client.seeks);
        Ok((page, answers, profile))
    }

    /// Drives the core: answers its fetches until it serves or refuses the page. Checks the budget, the dialect, and
    /// that the checker finds no false claim.
    fn drive(&mut self, request: PageRequest, aim: &Aim, limit: u32) -> Result<(Page, u32), Stop> {
        let most = self.scenario.client.search_budget.max(self.scenario.client.budget);
        let mut answered = 0;
        let mut record = Record::begin(&request);
        let mut step = resolve(request);
        loop {
            match step {
                Step::Serve(page) => {
                    self.founded = match record.verdict(&page) {
                        Verdict::Founded => true,
                        Verdict::Unclear(said) => {
                            self.upstream.tell(|| format!("  unclear: {said}"));
                            false
                        }
                        Verdict::Unfounded(what) => return Err(Violation { promise: FOUNDED, what }.into()),
                    };
                    return Ok((*page, answered));
                }
                Step::Refuse(refusal) => {
                    let need = self.need(&refusal, aim, limit, answered)?;
                    self.upstream.tell(|| format!("  refused: {refusal:?}, needed: {need:?}"));
                    return Err(Stop::Refused(refusal, need));
                }
                Step::Fetch(fetches, pending) => {
                    answered += fetches.len() as u32;
                    self.outcome.answers += fetches.len() as u64;
                    // The budget bounds every loop of the core; a step without a fetch would never end.
                    if fetches.is_empty() || answered > most {
                        let what = format!("{answered} requests of {most}, {} of them now", fetches.len());
                        return Err(Violation { promise: "requests", what }.into());
                    }
                    let answers = self.upstream.answer(&fetches);
                    record.take(&fetches, &answers);
                    if let Some(what) = self.upstream.fault.take() {
                        return Err(Violation { promise: "dialect", what }.into());
                    }
                    step = pending.resume(answers);
                }
            }
        }
    }

    /// Checks the nearest place that a refusal names, at which a client may continue without a guarantee. The place
    /// must lie within the list. A flagged page there must not be empty, unless the list is empty, or the place is the
    /// end and the page links back.
    ///
    /// Offsets only aim and prove nothing, so the place is checked only in worlds in which offsets can be known. The
    /// conditions below exclude the other worlds.
    fn ask_nearest(&mut self, refusal: &Refusal, limit: u32) -> Result<(), Stop> {
        let (Refusal::PositionLost { nearest } | Refusal::TieRun { nearest } | Refusal::PivotGone { nearest }) =
            refusal
        else {
            return Ok(());
        };
        let traits = &self.scenario.traits;
        // If answers have other sizes than they state, or leave rows out, an offset names the right row only by chance.
        let steady = traits.has_one_cap() && traits.surplus == 0 && traits.hidden == 0 && !traits.deceives();
        let steady = steady && traits.echoes != Echoes::Nonsense;
        // If the last page is repeated past the end and there is no total, it seems to be at whatever offset was
        // requested.
        let steady = steady && (traits.past != Past::Repeat || traits.total == Says::Exactly);
        // A lower bound of another moment than the items may contradict an answer that ends before it.
        let steady = steady && (traits.total != Says::AtLeast || traits.counts == CountTime::Together);
        // Filtered answers don't show offsets of the whole list, so the place is that of the cursor's hint.
        let steady = steady && !matches!(self.scenario.mode(), Mode::Keyset | Mode::Seek);
        if !steady || traits.misleads() || traits.lie.is_some() || traits.lags() || !self.scenario.rows_are_sound() {
            return Ok(());
        }
        let most = self.upstream.passed.iter().map(|state| state.raw().len() as u64).max().unwrap_or(0);
        // If no answer showed an item, the offset may lie after the end of the list.
        let seen = self.upstream.shown.iter().any(|showing| showing.items > 0);
        // Under a silent cap, pages by number are at smaller offsets than the requested ones. Without a total or an
        // echo, all offsets seem too large, so the nearest place may be after the end. A request there must still serve
        // a page that links back, which is checked below.
        let counted = !traits.caps_pages_in_silence() || traits.echoes == Echoes::Used || traits.total == Says::Exactly;
        // A client that continues at a place after the end finds no item. Regression:
        // `the-nearest-place-after-a-contradiction`.
        if nearest.0 > most && seen && counted {
            let what = format!("{refusal:?}, in a list of {most}");
            return Err(Violation { promise: "nearest", what }.into());
        }
        let number = self.requests;
        self.requests += 1;
        let aim = Aim::at(nearest.0);
        let state_before = Rc::clone(&self.upstream.world.state);
        match self.resolved(&aim, limit, WhenUnproven::Flag, number) {
            Ok((page, ..)) => {
                let still = self.upstream.passed.len() == 1 && Rc::ptr_eq(&state_before, &self.upstream.world.state);
                let state = &self.upstream.world.state;
                // At the end of the list an empty page is right if it links back. It may seem to be anywhere where all offsets
                // seem too large.
                let at_end = (nearest.0 >= state.raw().len() as u64 || !counted) && page.previous.is_some();
                let empty = page.items.is_empty() && !state.rows().is_empty();
                if still && empty && !at_end {
                    let what = format!("nothing at {nearest:?}, where a refusal sent the client");
                    return Err(Violation { promise: "nearest", what }.into());
                }
                Ok(())
            }
            Err(Stop::Violated(violation)) => Err(Stop::Violated(violation)),
            Err(_) => Ok(()),
        }
    }
}

/// Returns the true bound of a request. An id without a fingerprint means its item with the present keys, whose place
/// the look-up has shown.
fn bound_of(aim: &Aim, looked_up: Option<Place>) -> Bound {
    match (looked_up.filter(|_| is_bare(&aim.target.position)), aim.bound) {
        (Some(place), Bound::After(_)) => Bound::After(place),
        (Some(place), Bound::Before(_)) => Bound::Before(place),
        (_, bound) => bound,
    }
}

/// Returns whether a position names its item only by id, without a fingerprint of its keys.
fn is_bare(position: &Position) -> bool {
    matches!(position, Position::AfterPivot(pivot) | Position::BeforePivot(pivot) if pivot.fingerprint.is_none())
}

/// Returns a page as a line of the story.
fn told(page: &Page, rows: &[Rc<Row>]) -> String {
    let serials: Vec<u32> = rows.iter().map(|row| row.serial).collect();
    let (next, previous, level) = (&page.next, &page.previous, page.level());
    format!("  served {level:?} versions {serials:?}, next {}, previous {}", next.is_some(), previous.is_some())
}
