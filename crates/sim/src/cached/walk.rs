//! The walks of several clients through a list whose pages a cache keeps.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use super::{
    cache::{Cache, Entry, Found, Request, Settings, Use},
    kinds::Met,
    promises::{Given, Journey, check_given},
    scenario::{Event, Scenario, Walker},
};
use crate::{
    case::newest_panic,
    dice::mix,
    keyed::{
        self,
        aim::Aim,
        promises::Violation,
        row::Place,
        scenario::Scenario as List,
        tally::cause,
        walk::{Made, Served, Stop},
    },
};

/// The result of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) met: Met,
    pub(crate) changes: u64,
    /// The causes of the refused requests, in the order of the requests.
    pub(crate) refused: Vec<&'static str>,
    pub(crate) story: Vec<String>,
}

/// The state of a client.
struct Client {
    plan: Walker,
    journey: Journey,
    /// The position of the client's next page; `None` at the end of the walk.
    onward: Option<Aim>,
    /// The position of the page before the page that the client read last; `None` if there is no such page.
    back: Option<Aim>,
    /// The page that the client read last in this walk; `None` before the first page. `before_last` is the page before
    /// it.
    last: Option<Given>,
    before_last: Option<Given>,
}

struct Session<'a> {
    scenario: &'a Scenario,
    /// The walk through the list of each filter.
    views: Vec<keyed::walk::Walk<'a>>,
    cache: Cache,
    /// The number of the moment that began with the last write, by filter and process.
    written: Vec<Vec<usize>>,
    /// The number of each list's moments for which `note_writes` has decided whether they are writes.
    looked: Vec<usize>,
    requests: u64,
    clients: Vec<Client>,
    /// The positions that pages linked to, by filter.
    cursors: Vec<Vec<Aim>>,
    outcome: Outcome,
}

/// Walks as the scenario says. If `telling` is true, the outcome contains the story. A panic of the core is a
/// violation.
pub(crate) fn walk(scenario: &Scenario, telling: bool) -> Outcome {
    let views = scenario.views();
    let mut session = Session::new(scenario, &views, telling);
    let ended = catch_unwind(AssertUnwindSafe(|| session.go()))
        .unwrap_or_else(|_| Err(Violation { promise: "panic", what: newest_panic() }));
    let mut outcome = session.outcome;
    for view in &mut session.views {
        outcome.changes += view.upstream.world.mutations;
        outcome.story.append(view.upstream.story.as_mut().unwrap_or(&mut Vec::new()));
    }
    if let Err(violation) = ended {
        if telling {
            outcome.story.push(format!("VIOLATED {}: {}", violation.promise, violation.what));
        }
        outcome.violation = Some(violation);
    }
    outcome
}

impl<'a> Session<'a> {
    fn new(scenario: &'a Scenario, views: &'a [List], telling: bool) -> Self {
        let views: Vec<_> = views.iter().map(|list| keyed::walk::Walk::new(list, telling)).collect();
        let clients = scenario.walkers.iter().map(|walker| Client::begin(*walker, 0)).collect();
        let processes = scenario.settings.processes.max(1) as usize;
        Self {
            scenario,
            cache: Cache::default(),
            written: vec![vec![0; processes]; views.len()],
            looked: vec![1; views.len()],
            requests: 0,
            clients,
            cursors: vec![vec![Aim::start()]; views.len()],
            views,
            outcome: Outcome::default(),
        }
    }

    fn settings(&self) -> &'a Settings {
        &self.scenario.settings
    }

    fn view_of(&self, client: usize) -> usize {
        usize::from(self.clients[client].plan.filtered)
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        // The lines that the lists have told so far come before this line.
        for view in &mut self.views {
            let Some(story) = &mut view.upstream.story else { return };
            self.outcome.story.append(story);
        }
        self.outcome.story.push(line());
    }

    fn go(&mut self) -> Result<(), Violation> {
        if self.clients.is_empty() {
            return Ok(());
        }
        for event in &self.scenario.events {
            self.tell(|| format!("{event:?}"));
            self.pass(1);
            self.happen(*event)?;
        }
        // After the events, each client continues to the end of its walk, because G1 is checked there. A client that is
        // refused stops.
        let mut going: Vec<usize> = (0..self.clients.len()).collect();
        while !going.is_empty() {
            let mut still = Vec::new();
            for client in going {
                self.pass(1);
                if self.clients[client].onward.is_some() && self.onward(client)? {
                    still.push(client);
                }
            }
            going = still;
        }
        Ok(())
    }

    /// Lets this number of ticks pass for all lists.
    fn pass(&mut self, ticks: u32) {
        for view in 0..self.views.len() {
            (0..ticks).for_each(|_| self.views[view].upstream.tick());
            self.note_writes(view);
        }
    }

    /// Decides which of a list's new moments are writes through a process, and records them in `written`.
    fn note_writes(&mut self, view: usize) {
        let (settings, salt) = (self.settings(), self.views[view].scenario.traits.salt);
        let moments = self.views[view].upstream.world.beginnings.len();
        for moment in self.looked[view]..moments {
            let roll = mix(salt ^ 0x3717, moment as u64);
            if settings.writes > 0 && roll.is_multiple_of(u64::from(settings.writes)) {
                let process = (roll >> 32) as usize % self.written[view].len();
                self.written[view][process] = moment;
            }
        }
        self.looked[view] = moments;
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        let count = self.clients.len();
        let chosen = |walker: u32| walker as usize % count;
        match event {
            Event::Onward(walker) => {
                let client = chosen(walker);
                if self.clients[client].onward.is_none() {
                    self.begin(client, None);
                }
                self.onward(client).map(|_| ())
            }
            Event::Turn(walker) => self.turn(chosen(walker)),
            Event::Begin(walker) => {
                self.begin(chosen(walker), None);
                self.onward(chosen(walker)).map(|_| ())
            }
            Event::Earlier(walker, choice) => {
                let client = chosen(walker);
                let cursors = &self.cursors[self.view_of(client)];
                let aim = cursors[choice as usize % cursors.len()].clone();
                self.begin(client, Some(aim));
                self.onward(client).map(|_| ())
            }
            Event::Delete(walker, choice) => {
                self.delete(chosen(walker), choice);
                Ok(())
            }
            Event::Rest(ticks) => {
                self.pass(ticks);
                Ok(())
            }
        }
    }

    /// Lets a client begin a walk from a position, by default from the start or the end of the list.
    fn begin(&mut self, client: usize, from: Option<Aim>) {
        let now = self.views[self.view_of(client)].upstream.ticks;
        let plan = self.clients[client].plan;
        let mut begun = Client::begin(plan, now);
        if let Some(aim) = from {
            begun.journey = Journey::new(aim.bound, now);
            begun.onward = Some(aim);
        }
        self.clients[client] = begun;
    }

    /// Lets a client request the page on the other side of the page that it read last, and checks G3 mirror.
    fn turn(&mut self, client: usize) -> Result<(), Violation> {
        let Some(back) = self.clients[client].back.clone() else { return Ok(()) };
        // The pages are taken before `begin`, because `begin` drops the pages of the walk so far.
        let (last, before) = (self.clients[client].last.take(), self.clients[client].before_last.take());
        self.begin(client, Some(back));
        self.onward(client)?;
        match (before, last, &self.clients[client].last) {
            (Some(first), Some(second), Some(third)) => {
                self.outcome.met.mirrored += u64::from(Given::mirror(&first, &second, third)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lets a client delete a row of its last page, through one of the processes.
    fn delete(&mut self, client: usize, choice: u32) {
        let view = self.view_of(client);
        let places: Vec<Place> = self.clients[client].last.iter().flat_map(Given::places).collect();
        let Some(place) = (!places.is_empty()).then(|| places[choice as usize % places.len()]) else { return };
        let process = self.process();
        let world = &mut self.views[view].upstream.world;
        let before = world.beginnings.len();
        world.delete(std::iter::once(place));
        let after = world.beginnings.len();
        // The process of this write is known, so `note_writes` must not draw another one.
        self.looked[view] = after;
        if after > before {
            self.written[view][process as usize] = after - 1;
            self.tell(|| format!("  deletes {place:?} through process {process}"));
        }
    }

    /// Returns the process that a balancer chooses for the next request.
    fn process(&self) -> u32 {
        let salt = self.scenario.list.traits.salt;
        (mix(salt ^ 0xba1a, self.requests) % u64::from(self.settings().processes.max(1))) as u32
    }

    /// Lets a client request its next page. Returns whether the client's walk continues.
    fn onward(&mut self, number: usize) -> Result<bool, Violation> {
        let Some(aim) = self.clients[number].onward.clone() else { return Ok(false) };
        let mut journey = std::mem::replace(&mut self.clients[number].journey, Journey::new(aim.bound, 0));
        let given = match self.ask(number, &aim, &mut journey) {
            Ok(given) => given,
            Err(Stop::Violated(violation)) => return Err(violation),
            Err(Stop::Unproven) => {
                self.begin(number, None);
                return Ok(false);
            }
            Err(Stop::Refused(refusal, _)) => {
                self.outcome.refused.push(cause(&refusal));
                self.begin(number, None);
                return Ok(false);
            }
        };
        let Some(given) = given else {
            // The upstream failed, so the client will send the request again.
            self.clients[number].journey = journey;
            return Ok(true);
        };
        let view = self.view_of(number);
        let served = &given.served;
        self.cursors[view].extend(served.next.iter().chain(&served.previous).cloned());
        let (ahead, back) = match aim.bound.is_forward() {
            true => (&served.next, &served.previous),
            false => (&served.previous, &served.next),
        };
        let client = &mut self.clients[number];
        (client.onward, client.back) = (ahead.clone(), back.clone());
        client.before_last = client.last.replace(given);
        if client.onward.is_some() {
            let list = self.views[view].scenario;
            if journey.is_endless(list.most_pages(), list)? {
                self.begin(number, None);
                return Ok(false);
            }
            self.clients[number].journey = journey;
            return Ok(true);
        }
        journey.finish(&mut self.outcome.met)?;
        Ok(false)
    }

    /// Answers one request of a client. Returns `None` if the upstream fails and no kept page may be served instead.
    fn ask(&mut self, client: usize, aim: &Aim, journey: &mut Journey) -> Result<Option<Given>, Stop> {
        let (view, limit) = (self.view_of(client), self.clients[client].plan.limit);
        let process = self.process();
        let walk = &mut self.views[view];
        let number = walk.begin_request();
        let by_item = self.clients[client].plan.by_items || walk.loses_hint(number);
        let aim = if by_item { aim.clone().without_hint() } else { aim.clone() };
        let request = Request { process, view, limit, target: walk.carried(&aim.target) };
        let (now, settings) = (walk.upstream.ticks, self.settings());
        // Only writes before the request count: a write while the page is made concerns later requests.
        let written = self.written[view][process as usize];
        let entry = self.entry(client, &aim, &request, number)?;
        let Some((entry, used)) = entry else { return Ok(None) };
        let walk = &mut self.views[view];
        // The page is checked against this client's cursor and limit, even if it was made for another client.
        let served = walk.serve(&aim, limit, Rc::clone(&entry.made), Some(&mut journey.leg))?;
        let given = Given { served, entry, used, bound: aim.bound, now, client };
        check_given(&given, walk, settings, written)?;
        journey.take(&given, walk, &mut self.outcome.met);
        if used == Some(Use::Stale) {
            self.renew(client, &aim, &request)?;
        }
        self.prefetch(client, &given.served, &request)?;
        Ok(Some(given))
    }

    /// Finds the page of a request in the cache, or makes it. Returns `None` if the upstream fails and no old page may
    /// be used.
    fn entry(
        &mut self,
        client: usize,
        aim: &Aim,
        request: &Request,
        number: u64,
    ) -> Result<Option<(Entry, Option<Use>)>, Stop> {
        let (settings, view) = (self.settings(), request.view);
        self.requests += 1;
        let roll = mix(self.scenario.list.traits.salt ^ 0xcac4e, self.requests);
        self.note_neighbours(request);
        if settings.loses > 0 && roll.is_multiple_of(u64::from(settings.loses)) {
            self.outcome.met.lost += u64::from(self.cache.lose(request, settings));
        }
        let now = self.views[view].upstream.ticks;
        let written = self.written[view][request.process as usize];
        let old = match self.cache.find(request, now, written, settings) {
            Found::Entry(entry, used @ (Use::Fresh | Use::Stale)) => {
                self.tell(|| format!("client {client}: {used:?}, of tick {}, now {now}", entry.began));
                return Ok(Some((entry, Some(used))));
            }
            Found::Entry(entry, Use::OnError) => Some(entry),
            Found::Dropped => {
                self.outcome.met.dropped += 1;
                None
            }
            Found::Nothing => None,
        };
        if settings.fails > 0 && (roll >> 32).is_multiple_of(u64::from(settings.fails)) {
            self.tell(|| format!("client {client}: the upstream fails, old page: {}", old.is_some()));
            return Ok(old.map(|entry| (entry, Some(Use::OnError))));
        }
        self.tell(|| format!("client {client}: a new page"));
        let entry = self.make(aim, request, number, client, false)?;
        Ok(Some((entry, None)))
    }

    /// Makes a page, and keeps it if the cache may keep it.
    fn make(&mut self, aim: &Aim, request: &Request, number: u64, by: usize, ahead: bool) -> Result<Entry, Stop> {
        let view = request.view;
        let walk = &mut self.views[view];
        let (began, stamp) = (walk.upstream.ticks, walk.upstream.world.beginnings.len() - 1);
        let made: Made = walk.make(aim, request.limit, number)?;
        let entry = Entry::new(Rc::new(made), began, stamp, by, ahead);
        // Writes that passed while the page was made must be known before the page is kept (`Fault::KeptAmidAWrite`).
        self.note_writes(view);
        let written = self.written[view][request.process as usize];
        let is_kept = self.cache.keep(request, entry.clone(), written, self.settings());
        self.outcome.met.amid_a_write += u64::from(!is_kept && stamp < written);
        Ok(entry)
    }

    /// Makes a new page after an old page was served.
    fn renew(&mut self, client: usize, aim: &Aim, request: &Request) -> Result<(), Stop> {
        self.tell(|| "  makes a new page for an old one".to_owned());
        self.in_background(client, aim, request)
    }

    /// Makes the page after a served page in advance, unless a fresh one is kept.
    fn prefetch(&mut self, client: usize, served: &Served, request: &Request) -> Result<(), Stop> {
        let Some(aim) = served.next.clone().filter(|_| self.settings().prefetch) else { return Ok(()) };
        // The page is kept under the cursor that the client will send. An item's cursor has no hint.
        let aim = if self.clients[client].plan.by_items { aim.without_hint() } else { aim };
        let walk = &self.views[request.view];
        let next = Request { target: walk.carried(&aim.target), ..request.clone() };
        if self.cache.is_kept(&next, walk.upstream.ticks, self.settings()) {
            return Ok(());
        }
        self.tell(|| "  makes the next page ahead".to_owned());
        self.in_background(client, &aim, &next)
    }

    /// Makes a page that no client waits for. A refusal of it is therefore ignored.
    fn in_background(&mut self, client: usize, aim: &Aim, request: &Request) -> Result<(), Stop> {
        let number = self.views[request.view].begin_request();
        match self.make(aim, request, number, client, true) {
            Err(Stop::Violated(violation)) => Err(violation.into()),
            Ok(_) | Err(Stop::Refused(..) | Stop::Unproven) => Ok(()),
        }
    }

    /// Counts the kept pages of other requests that a cache would serve for this one if its key lacked the filter or
    /// the limit. The simulator can notice these faults only if such pages occur.
    fn note_neighbours(&mut self, request: &Request) {
        let (settings, met) = (&Settings { fault: None, ..*self.settings() }, &mut self.outcome.met);
        let other_view = 1 - request.view;
        met.beside_by_filter += u64::from(self.cache.has_beside(request, settings, |it| it.view = other_view));
        let limits = self.scenario.walkers.iter().map(|walker| walker.limit).filter(|limit| *limit != request.limit);
        let mut limits = limits.into_iter();
        met.beside_by_limit +=
            u64::from(limits.any(|limit| self.cache.has_beside(request, settings, |it| it.limit = limit)));
    }
}

impl Client {
    /// Returns a client at the beginning of a walk.
    fn begin(plan: Walker, now: usize) -> Self {
        let aim = if plan.backward { Aim::end() } else { Aim::start() };
        Self {
            plan,
            journey: Journey::new(aim.bound, now),
            onward: Some(aim),
            back: None,
            last: None,
            before_last: None,
        }
    }
}
