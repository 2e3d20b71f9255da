//! The walk of a client: drives the core for each page, checks the page's promises, and returns the first broken one.

use std::{collections::BTreeMap, sync::Arc};

use cursorgate_core::pagination::{
    fetch::Fetch,
    mark::{Mark, Marker},
    order::Order,
    page::{Level, Page},
    paging::Paging,
    position::{Hint, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, Step, resolve},
};

use super::{
    promises::{Leg, Visit, check, check_back, check_refusal},
    scenario::{Click, Scenario, Style},
    upstream::{Place, Shown, Upstream},
    world::{Seen, Shape, World},
};
use crate::{
    dice::mix,
    founded::{FOUNDED, Record},
};

/// The number of pages after which a walk counts as endless.
const MOST_PAGES: usize = 300;

/// The result of a walk.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) story: Vec<String>,
    pub(crate) pages: u64,
    /// The number of pages of level `checked`.
    pub(crate) checked: u64,
    pub(crate) requests: u64,
    pub(crate) changes: u64,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// True if a page was refused although the upstream's tokens led to it.
    pub(crate) unneeded: bool,
}

/// A place that a client can go to, with the truth about it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) target: Target,
    pub(crate) backward: bool,
    /// The last item before the place in the direction of reading; `None` at the start.
    pub(crate) anchor: Option<Seen>,
    /// Up to three items before the place in the direction of reading, the nearest one last, of the page that handed
    /// out the place and the pages before. `ahead` has up to two items after the place.
    pub(crate) trail: Vec<Seen>,
    pub(crate) ahead: Vec<Seen>,
    /// The items that answers showed beyond the place.
    pub(crate) pending: Vec<Seen>,
    /// The number of items before the place, if a client that has never turned back has counted them.
    pub(crate) passed: Option<u64>,
    /// The number of empty answers in a row before the place.
    pub(crate) empty: u32,
    /// The limit of the page that handed out the place.
    pub(crate) limit: u32,
    /// The number of changes before the page that handed out the place; `u64::MAX` for the start. `by` is that page's
    /// number in the walk, and `when` the time of its first answer.
    pub(crate) changes: u64,
    pub(crate) by: u64,
    pub(crate) when: u64,
    /// The page that led to this place; `None` if the way back to it isn't checked. `back_to` is the page that is
    /// expected here, because the client has turned back to it.
    left: Option<Left>,
    back_to: Option<Left>,
}

/// A full page from which a client continued.
#[derive(Clone, Debug)]
struct Left {
    items: Vec<Seen>,
    limit: u32,
    /// The number of changes before the page was requested.
    changes: u64,
}

/// A page with the true content of its answers.
pub(crate) struct Visited {
    pub(crate) page: Box<Page>,
    pub(crate) items: Vec<Seen>,
    pub(crate) shown: Vec<Shown>,
    /// The time of the page's first answer.
    pub(crate) since: u64,
    /// The number of changes before the page's first answer. `losses` is the number of losses before it.
    pub(crate) changes: u64,
    pub(crate) losses: u64,
}

struct Client<'a> {
    scenario: &'a Scenario,
    world: World,
    upstream: Upstream<'a>,
    order: Arc<Order>,
    paging: Arc<Paging>,
    leg: Leg,
    outcome: Outcome,
    /// The reason that the last page's claim does not follow from its answers; `None` if it does.
    unfounded: Option<String>,
    tells: bool,
}

/// Walks as the scenario says. If `tells` is true, the outcome contains the story.
pub(crate) fn walk(scenario: &Scenario, tells: bool) -> Outcome {
    let mut world = World::new(scenario.shape, &scenario.rows);
    world.drop_run(scenario.traits.gap);
    let mut client = Client {
        world,
        upstream: Upstream::new(&scenario.traits, scenario.shape, scenario.descending),
        order: scenario.shape.order(scenario.descending),
        paging: Arc::new(scenario.paging()),
        leg: Leg::default(),
        outcome: Outcome::default(),
        unfounded: None,
        tells,
        scenario,
    };
    let result = match &scenario.style {
        Style::Wander(clicks) => client.wander(clicks),
        _ => client.go(),
    };
    client.outcome.violation = result.err();
    client.outcome.changes = client.world.changes;
    client.outcome
}

fn start() -> Node {
    let target = Target { position: Position::Start, hint: Hint::default() };
    let (trail, ahead, pending) = (Vec::new(), Vec::new(), Vec::new());
    Node {
        target,
        backward: false,
        anchor: None,
        trail,
        ahead,
        pending,
        passed: Some(0),
        empty: 0,
        limit: 0,
        changes: u64::MAX,
        by: 0,
        when: u64::MAX,
        left: None,
        back_to: None,
    }
}

impl Client<'_> {
    /// Walks to the end and, if the style says so, back to the start. Checks G4: the walk ends.
    fn go(&mut self) -> Result<(), String> {
        let (mut at, mut back) = (start(), false);
        let (mut pages, mut least) = (0, u64::MAX);
        for number in 0..MOST_PAGES {
            let limit = self.limit(number);
            let Some((visited, next, previous)) = self.visit(&at, limit)? else { return Ok(()) };
            if self.scenario.style == Style::Worker {
                self.world.delete(&visited);
            }
            (pages, least) = (pages + 1, least.min(visited.len() as u64));
            at = match (if back { &previous } else { &next }, previous.clone()) {
                (Some(onward), _) => onward.clone(),
                // On the way back the same tokens are used again, which isn't a circle. Regression:
                // `without-loops-begin-anew`.
                (None, Some(previous)) if !back && self.scenario.style == Style::ThereAndBack => {
                    (back, pages, least) = (true, 0, u64::MAX);
                    previous
                }
                _ => return Ok(()),
            };
        }
        // A list that grows ahead of its reader as fast as it is read has no end, which G4 permits.
        let grown = pages <= self.world.arrivals.div_ceil(least.max(1)) + 1;
        // Without a declared order, a circle is detected when a whole page is repeated. A client with changing limits
        // might not meet such a page for a long time.
        let limits = &self.scenario.limits;
        let may_meet = self.scenario.shape.is_declared() || limits.iter().all(|limit| *limit == limits[0]);
        match self.scenario.traits.circle {
            Some(_) if !grown && may_meet => Err("G4: goes round for ever".to_owned()),
            _ => Ok(()),
        }
    }

    /// Returns the limit of a page, by its index in the walk.
    fn limit(&self, number: usize) -> u32 {
        self.scenario.limits[number % self.scenario.limits.len()]
    }

    /// Follows one link for each click, and goes to an earlier place after a refusal.
    fn wander(&mut self, clicks: &[Click]) -> Result<(), String> {
        let (mut at, mut places) = (start(), vec![start()]);
        for (number, click) in clicks.iter().enumerate() {
            let Some((_, next, previous)) = self.visit(&at, self.limit(number))? else {
                at = places[number % places.len()].clone();
                continue;
            };
            places.extend(next.iter().chain(&previous).cloned());
            let (choice, earlier) = match click {
                Click::Next => (next.or(previous), 0),
                Click::Previous => (previous.or(next), 0),
                Click::Earlier(choice) => (None, *choice as usize),
            };
            at = choice.unwrap_or_else(|| places[earlier % places.len()].clone());
        }
        Ok(())
    }

    /// Requests a page and checks it. Returns its items, the next place and the previous place; `None` if it is
    /// refused.
    #[expect(clippy::type_complexity, reason = "items, next and previous")]
    fn visit(&mut self, at: &Node, limit: u32) -> Result<Option<(Vec<Seen>, Option<Node>, Option<Node>)>, String> {
        self.tell(|| format!("asks for {limit} at {:?}, hint {}", at.target.position, at.target.hint.offset.0));
        let (since, mut shown) = (self.world.now + 1, Vec::new());
        let (changes, losses) = (self.world.changes, self.world.losses);
        let page = match self.fetch(at, limit, &mut shown) {
            Ok(page) => page,
            Err(refusal) => {
                self.tell(|| format!("refused: {refusal:?}"));
                let (cause, unneeded) = check_refusal(self.scenario, at, &refusal, &shown, limit, self.world.changes)?;
                *self.outcome.refused.entry(cause).or_default() += 1;
                self.outcome.unneeded |= unneeded;
                return Ok(None);
            }
        };
        self.outcome.pages += 1;
        self.outcome.checked += u64::from(page.level() == Level::Checked);
        let items = (0..page.items.len()).map(|index| self.read(page.item(index))).collect();
        let visited = Visited { items, shown, since, changes, losses, page };
        self.tell(|| {
            let ids: Vec<String> = visited.items.iter().map(|item| format!("{}/{}", item.key, item.id)).collect();
            let (next, previous, level) = (&visited.page.next, &visited.page.previous, visited.page.level());
            format!("gets {ids:?}, {level:?}, next {}, previous {}", next.is_some(), previous.is_some())
        });
        let visit = Visit {
            scenario: self.scenario,
            world: &self.world,
            at,
            limit,
            number: self.outcome.pages,
            visited: &visited,
        };
        check(&visit, &mut self.leg)?;
        if let Some(what) = self.unfounded.take() {
            return Err(format!("{FOUNDED}: {what}"));
        }
        if let Some(left) = &at.back_to
            && left.changes == self.world.changes
            && left.limit == limit
            && self.scenario.traits.circle.is_none()
            && !self.scenario.traits.is_faulty()
            && !(self.scenario.traits.single_use && self.scenario.traits.hidden > 0)
            // If tokens work only once, whole upstream pages are served, and the way back has other upstream pages.
            && !(self.scenario.traits.single_use && visited.items.len() != limit as usize)
            && (self.scenario.traits.place != Place::Snapshot || left.changes == 0)
        {
            check_back(&left.items, &visited)?;
        }
        // Without an order that places every item, a page at an earlier place may lie among items that came since.
        let placed = matches!(self.scenario.shape, Shape::Ids | Shape::Ordered);
        let fresh = placed || at.changes == changes || at.changes == u64::MAX;
        let whole = visited.items.len() == limit as usize && !self.passed_over(at, &visited);
        let left = (fresh && whole).then(|| {
            let items = visited.items.clone();
            Left { items, limit, changes }
        });
        let next = self.node(&visit, left.as_ref(), false);
        let previous = self.node(&visit, left.as_ref(), true);
        Ok(Some((visited.items, next, previous)))
    }

    fn fetch(&mut self, at: &Node, limit: u32, shown: &mut Vec<Shown>) -> Result<Box<Page>, Refusal> {
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |hash, byte| mix(hash, u64::from(*byte)))));
        let (limit, order, paging) = (Limit::at_least_one(limit), Arc::clone(&self.order), Arc::clone(&self.paging));
        let request = PageRequest::new(at.target.clone(), limit, order, paging, marker);
        let request = request.short_pages(self.scenario.short_pages);
        let mut record = Record::begin(&request);
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let (mut answers, asked) = (Vec::new(), fetches.clone());
                    for fetch in fetches {
                        let Fetch::Token(fetch) = fetch else { panic!("{fetch:?} of a list by token") };
                        // Without a declared order, the list rests between the answers of a page, because short answers
                        // have too few marks to show such changes.
                        let during = self.scenario.shape.is_declared() || shown.is_empty();
                        let due = self.scenario.plan.get(self.world.now as usize).filter(|_| during);
                        self.world.tick(due.map_or(&[], Vec::as_slice));
                        self.outcome.requests += 1;
                        let (answer, what) = self.upstream.answer(&self.world, &fetch);
                        self.tell(|| {
                            let ids: Vec<String> =
                                what.items.iter().map(|it| format!("{}/{}", it.key, it.id)).collect();
                            let way = if fetch.backward { "back" } else { "on" };
                            let token = fetch.token.map_or_else(|| "none".into(), |token| token.0);
                            let standing = &answer.standing;
                            format!(
                                "    {way} by {token}, {}: {standing:?} {ids:?}, next {:?}",
                                fetch.size.0, answer.next
                            )
                        });
                        shown.push(what);
                        answers.push(answer);
                    }
                    pending.resume({
                        record.take(&asked, &answers);
                        answers
                    })
                }
                Step::Serve(page) => {
                    self.unfounded = record.unfounded(&page);
                    return Ok(page);
                }
                Step::Refuse(refusal) => return Err(refusal),
            }
        }
    }

    /// Returns whether a page was read past an item that was served earlier and has moved since. A walk back meets the
    /// item at its new place, so G3 mirror is not checked.
    fn passed_over(&self, at: &Node, visited: &Visited) -> bool {
        let mut shown = visited.shown.iter().flat_map(|shown| &shown.items);
        let last = shown.rfind(|item| at.trail.contains(item));
        !self.scenario.shape.is_declared() && last.is_some_and(|item| at.trail.last() != Some(item))
    }

    /// Returns the place before a page (`backward`) or after it; `None` if the page has no link in that direction.
    fn node(&self, visit: &Visit<'_>, left: Option<&Left>, backward: bool) -> Option<Node> {
        let Visit { at, limit, visited, .. } = *visit;
        let page = &visited.page;
        let target = if backward { page.previous.clone() } else { page.next.clone() }?;
        let way = |items: &[Seen]| -> Vec<Seen> {
            if backward { items.iter().rev().copied().collect() } else { items.to_vec() }
        };
        let gone_by = way(&visited.items);
        // If the page is not full, the core read on past moved items that the page already has. The place is after
        // them. In a declared order, the place is before them unless no token leads there again.
        let may_pass = self.scenario.traits.single_use || !self.scenario.shape.is_declared();
        let is_read_on = may_pass && at.backward == backward && gone_by.len() < limit as usize;
        let passed = gone_by.last().filter(|_| is_read_on).and_then(|last| {
            let beyond = visited.shown.iter().map(|shown| way(&shown.items)).find_map(|items| {
                let place = items.iter().position(|item| item == last)?;
                Some(items[place + 1..].to_vec())
            })?;
            beyond.into_iter().take_while(|item| gone_by.iter().any(|own| own.id == item.id)).last()
        });
        let anchor =
            passed.or_else(|| gone_by.last().copied()).or_else(|| at.anchor.filter(|_| at.backward == backward));
        let mut trail = if at.backward == backward { at.trail.clone() } else { Vec::new() };
        trail.extend(gone_by);
        trail.drain(..trail.len().saturating_sub(3));
        let upstream_page = visited.shown.iter().map(|shown| way(&shown.items)).find_map(|items| {
            let place = items.iter().position(|item| Some(*item) == anchor)?;
            Some(items[place + 1..].iter().take(2).copied().collect())
        });
        let back_to = at.left.clone().filter(|_| at.backward != backward && !self.passed_over(at, visited));
        let left = left.cloned().filter(|_| at.backward == backward);
        let (changes, by, ahead) = (visited.changes, self.outcome.pages, upstream_page.unwrap_or_default());
        let (pending, when) = (visit.pending(backward), visited.since);
        let passed = at.passed.filter(|_| !backward && !at.backward).map(|passed| passed + visited.items.len() as u64);
        let empty = if at.backward == backward { visit.empty_answers() } else { 0 };
        Some(Node {
            target,
            backward,
            anchor,
            trail,
            ahead,
            pending,
            passed,
            empty,
            limit,
            changes,
            by,
            when,
            left,
            back_to,
        })
    }

    /// Returns the item that these bytes show.
    fn read(&self, bytes: &[u8]) -> Seen {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut numbers = text.split(['{', '}', ':', ',', '"']).filter_map(|part| part.parse::<u32>().ok());
        let down = self.scenario.descending && self.scenario.shape.is_declared();
        let mut next = || numbers.next().map(|number| if down { 1_000_000 - number } else { number }).unwrap();
        Seen { key: next(), id: next() }
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.tells {
            self.outcome.story.push(line());
        }
    }
}
