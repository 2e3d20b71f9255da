//! The walk itself: pages are asked for, their neighbours followed, and each page held to what is promised.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
};

use cursorgate::pagination::{
    order::Order,
    page::{Level, Page},
    paging::{Learnt, Paging},
    position::Position,
    refusal::Refusal,
    resolver::{PageRequest, ShortPages, Step, resolve},
    window::Offset,
};

use crate::{
    aim::{Aim, Bound},
    client::Style,
    dice::mix,
    leg::Leg,
    promises::{Exchange, Violation, rows_of},
    scenario::Scenario,
    upstream::Upstream,
    world::{Place, Row, World},
};

/// What came of a walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) pages: u64,
    pub(crate) answers: u64,
    pub(crate) mutations: u64,
    pub(crate) flagged: u64,
    /// Pages that are less than exact without being flagged.
    pub(crate) checked: u64,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) story: Vec<String>,
}

/// Why a walk stops before its end.
enum Stop {
    Refused(Refusal),
    Unproven,
    Violated(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violated(violation)
    }
}

/// A page that was served and kept its promises.
struct Served {
    page: Page,
    rows: Vec<Rc<Row>>,
    next: Option<Aim>,
    previous: Option<Aim>,
    limit: u32,
}

struct Walk<'a> {
    scenario: &'a Scenario,
    upstream: Upstream,
    order: Arc<Order>,
    paging: Arc<Paging>,
    learnt: Learnt,
    /// How many rows there were when the walk began.
    first_rows: u64,
    outcome: Outcome,
}

/// Walks as the scenario says. `telling`: the outcome holds the whole story.
pub(crate) fn walk(scenario: &Scenario, telling: bool) -> Outcome {
    let world = World::new(&scenario.shape, &scenario.rows);
    let mut upstream = Upstream::new(&scenario.traits, world, &scenario.plan);
    if telling {
        upstream.story = Some(scenario.describe(&upstream.world.state));
    }
    let mut walk = Walk {
        scenario,
        order: scenario.shape.order(),
        paging: Arc::new(scenario.traits.paging()),
        learnt: Learnt::default(),
        first_rows: upstream.world.state.len() as u64,
        upstream,
        outcome: Outcome::default(),
    };
    let stop = catch_unwind(AssertUnwindSafe(|| walk.go())).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        Err(Stop::Violated(Violation { promise: "panic", what }))
    });
    let mut outcome = walk.outcome;
    match stop {
        Ok(()) | Err(Stop::Unproven) => {}
        Err(Stop::Refused(refusal)) => outcome.refusal = Some(refusal),
        Err(Stop::Violated(violation)) => {
            walk.upstream.tell(|| format!("VIOLATED {}: {}", violation.promise, violation.what));
            outcome.violation = Some(violation);
        }
    }
    outcome.mutations = walk.upstream.world.mutations;
    outcome.story = walk.upstream.story.unwrap_or_default();
    outcome
}

fn start() -> Aim {
    Aim::bare(Position::Start, Bound::Start, Offset(0))
}

fn end() -> Aim {
    Aim::bare(Position::End, Bound::End, Offset(0))
}

impl Walk<'_> {
    fn go(&mut self) -> Result<(), Stop> {
        match self.scenario.client.style.clone() {
            Style::Forward { looks_back } => self.straight(start(), u32::MAX, looks_back, 0).map(|_| ()),
            Style::Worker { share } => self.straight(start(), u32::MAX, false, share).map(|_| ()),
            Style::Backward => self.straight(end(), u32::MAX, false, 0).map(|_| ()),
            Style::ThereAndBack { turn } => {
                let back = self.straight(start(), turn, false, 0)?;
                back.map_or(Ok(()), |aim| self.straight(aim, u32::MAX, false, 0).map(|_| ()))
            }
            Style::Wander { choices } => self.wander(&choices),
        }
    }

    /// Goes on in one direction to the end, or for so many pages. Gives the way back from the last page.
    fn straight(&mut self, from: Aim, most: u32, looks_back: bool, share: u32) -> Result<Option<Aim>, Stop> {
        let forward = from.bound.is_forward();
        let mut leg = Leg::new(from.bound, self.upstream.world.arrivals);
        let mut aim = from;
        let mut before: Option<Served> = None;
        for _ in 0..most {
            let served = self.page(&aim, Some(&mut leg))?;
            if let Some(before) =
                before.as_ref().filter(|before| looks_back && before.rows.len() == before.limit as usize)
            {
                self.look_back(before, &served)?;
            }
            self.delete(&served.rows, share);
            let (ahead, behind) =
                if forward { (&served.next, &served.previous) } else { (&served.previous, &served.next) };
            let Some(next) = ahead.clone() else {
                let back = behind.clone();
                return leg.finish().map(|()| back).map_err(Stop::from);
            };
            if self.outcome.pages > self.scenario.most_pages() {
                let what = format!("{} pages and no end", self.outcome.pages);
                return Err(Violation { promise: "G4 ends", what }.into());
            }
            aim = next;
            before = Some(served);
        }
        Ok(before.and_then(|served| if forward { served.previous } else { served.next }))
    }

    /// The previous page of the next of a full page is that page, while nothing changes.
    fn look_back(&mut self, page: &Served, next: &Served) -> Result<(), Stop> {
        let Some(aim) = next.previous.clone() else {
            return Ok(());
        };
        let again = self.limited_page(&aim, None, page.limit)?;
        let places = |rows: &[Rc<Row>]| rows.iter().map(|row| row.place).collect::<Vec<Place>>();
        if self.is_undisturbed() && places(&again.rows) != places(&page.rows) {
            let what = format!("prev of next is {:?}, not {:?}", places(&again.rows), places(&page.rows));
            return Err(Violation { promise: "G3 mirror", what }.into());
        }
        Ok(())
    }

    fn delete(&mut self, rows: &[Rc<Row>], share: u32) {
        for row in rows {
            if mix(self.scenario.traits.salt, u64::from(row.serial)) % 100 < u64::from(share) {
                self.upstream.tell(|| format!("  the client deletes {row}"));
                self.upstream.world.delete(row.place);
            }
        }
    }

    fn wander(&mut self, choices: &[u32]) -> Result<(), Stop> {
        let mut seen = vec![start()];
        let (mut next, mut previous, mut last): (Option<Aim>, Option<Aim>, Option<Aim>) = (None, None, None);
        for &choice in choices {
            let detail = choice >> 8;
            let aim = match choice % 16 {
                0..=5 => next.clone(),
                6..=10 => previous.clone(),
                11 | 12 => Some(seen[detail as usize % seen.len()].clone()),
                13 => last.clone().or_else(|| Some(end())),
                14 => {
                    let offset = u64::from(detail) % (self.first_rows + 4);
                    Some(Aim::bare(Position::At(Offset(offset)), Bound::At(offset), Offset(offset)))
                }
                _ => Some(start()),
            };
            let served = self.page(&aim.unwrap_or_else(start), None)?;
            last = served.page.last.map(|target| Aim { target, bound: Bound::End });
            (next, previous) = (served.next, served.previous);
            seen.extend(next.iter().chain(&previous).cloned());
        }
        Ok(())
    }

    fn page(&mut self, aim: &Aim, leg: Option<&mut Leg>) -> Result<Served, Stop> {
        let limits = &self.scenario.client.limits;
        let limit = limits[self.outcome.pages as usize % limits.len()];
        self.limited_page(aim, leg, limit)
    }

    fn is_undisturbed(&self) -> bool {
        self.upstream.world.mutations == 0
    }

    fn limited_page(&mut self, aim: &Aim, leg: Option<&mut Leg>, limit: u32) -> Result<Served, Stop> {
        let client = &self.scenario.client;
        self.upstream.tick();
        if client.forgets > 0
            && mix(self.scenario.traits.salt, self.outcome.pages).is_multiple_of(u64::from(client.forgets))
        {
            self.learnt = Learnt::default();
        }
        let (before, budget) = (self.learnt, client.budget);
        self.upstream.begin_record();
        let page_number = self.outcome.pages;
        self.upstream.tell(|| {
            format!("  page {page_number}: {} of {:?}, hint {:?}, {before:?}", limit, aim.bound, aim.target.hint)
        });
        let request = PageRequest {
            target: aim.target.clone(),
            limit,
            order: Arc::clone(&self.order),
            paging: Arc::clone(&self.paging),
            learnt: before,
            budget,
            unproven: client.unproven,
            short_pages: ShortPages::Refuse,
        };
        let (page, answers) = self.drive(request)?;
        self.outcome.pages += 1;
        self.learnt = page.learnt;
        let rows = rows_of(&page, &self.upstream.world.registry)?;
        let undisturbed = self.upstream.world.mutations == 0 && self.upstream.passed.len() == 1;
        let exchange = Exchange {
            aim,
            limit,
            budget,
            before,
            page: &page,
            rows: &rows,
            shown: &self.upstream.shown,
            passed: &self.upstream.passed,
            answers,
            undisturbed,
            traits: &self.scenario.traits,
            shape: &self.scenario.shape,
        };
        exchange.keeps_promises()?;
        if page.unproven.is_some() {
            self.outcome.flagged += 1;
            return Err(Stop::Unproven);
        }
        self.outcome.checked += u64::from(page.level == Level::Checked);
        if let Some(leg) = leg {
            leg.take(&exchange, self.upstream.world.arrivals)?;
        }
        let next = page.next.as_ref().map(|target| exchange.aim_at(target)).transpose()?;
        let previous = page.previous.as_ref().map(|target| exchange.aim_at(target)).transpose()?;
        self.upstream.tell(|| {
            let serials: Vec<u32> = rows.iter().map(|row| row.serial).collect();
            format!("  served versions {serials:?}, next {}, previous {}", next.is_some(), previous.is_some())
        });
        Ok(Served { page, rows, next, previous, limit })
    }

    /// The loop between the core and whoever fetches.
    fn drive(&mut self, request: PageRequest) -> Result<(Page, u32), Stop> {
        let budget = request.budget;
        let mut answered = 0;
        let mut step = resolve(request);
        loop {
            match step {
                Step::Serve(page) => return Ok((*page, answered)),
                Step::Refuse(refusal) => {
                    self.upstream.tell(|| format!("  refused: {refusal:?}"));
                    return Err(self.judge(refusal));
                }
                Step::Fetch(fetches, pending) => {
                    answered += fetches.len() as u32;
                    self.outcome.answers += fetches.len() as u64;
                    if fetches.is_empty() || answered > budget {
                        let what = format!("{answered} requests of {budget}, {} of them now", fetches.len());
                        return Err(Violation { promise: "requests", what }.into());
                    }
                    let answers = self.upstream.answer(&fetches);
                    if let Some(what) = self.upstream.fault.take() {
                        return Err(Violation { promise: "dialect", what }.into());
                    }
                    step = pending.resume(answers);
                }
            }
        }
    }

    /// Refusals are honest: some can have no cause in this world.
    fn judge(&self, refusal: Refusal) -> Stop {
        let traits = &self.scenario.traits;
        let truthful = traits.lie.is_none();
        let still = self.upstream.passed.len() == 1;
        let deep = traits.outages > 0 || traits.ceiling.is_some();
        let (unfounded, promise) = match refusal {
            Refusal::Unsorted(_) => (truthful, "refused as unsorted"),
            Refusal::NoList => (truthful && !deep, "refused as no list"),
            Refusal::TieRun { .. } => (truthful && self.scenario.shape.is_orderly(), "refused as tie run"),
            Refusal::TooDeep => (truthful && !deep && still, "refused as too deep"),
            Refusal::Stuck => (truthful && still, "refused as stuck"),
            Refusal::PositionLost { .. } | Refusal::BudgetExceeded => (false, "refused"),
        };
        if unfounded {
            let what = format!("{refusal:?}, where there is no cause");
            return Stop::Violated(Violation { promise, what });
        }
        Stop::Refused(refusal)
    }
}
