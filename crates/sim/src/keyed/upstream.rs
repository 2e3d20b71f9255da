//! A model of a legacy API: it answers the fetches of the core as its traits say, changes the list meanwhile, and
//! records the true content of each answer.

use std::rc::Rc;

use cursorgate_core::pagination::{
    answer::{Answer, Standing, Total},
    fetch::{Fetch, Listing},
    key::KeyValue,
    window::Slice as Asked,
};

use crate::{
    dice::mix,
    keyed::{
        broken::Lie,
        filtering::{self, Wanted},
        listing::{render, told},
        row::{Place, Row, Shape},
        traits::{Beyond, Counts, Cuts, Echoes, Lag, More, Outage, Past, Says, Sticky, Traits},
        world::{Mutation, State, World, is_hidden},
    },
};

/// The true content of an answer.
#[derive(Debug)]
pub(crate) struct Showing {
    /// The state that the slice was cut from.
    pub(crate) state: State,
    pub(crate) items: u32,
    /// The least and the greatest place among the answer's items; `None` without items.
    pub(crate) places: Option<(Place, Place)>,
    /// True if the answer shows the start of the whole list: no item of its state, filtered out or not, comes before
    /// it.
    pub(crate) from_start: bool,
    /// True if the answer shows the end of the whole list: no item of its state, filtered out or not, comes after it.
    pub(crate) to_end: bool,
    /// Two flags: the answer shows the run of its least place from the run's beginning, and the run of its greatest
    /// place to the run's end, because its filter lets all rows with these first keys through.
    pub(crate) whole_runs: (bool, bool),
    /// True if the answer is a slice of the whole list in its own order, neither filtered nor flipped.
    pub(crate) plain: bool,
    /// True if the answer falsely stated "past the end", or left out items at the end without a sign.
    pub(crate) hoax: bool,
}

/// Returns whether answers show different states of the list.
pub(crate) fn differ(shown: &[Showing]) -> bool {
    shown.iter().any(|showing| !Rc::ptr_eq(&showing.state, &shown[0].state))
}

/// The slice that an answer gives: the offset at which it begins, the size that was used, the offset that it reaches,
/// and the length of the listing by the slice and by the count.
struct Cut {
    from: usize,
    size: usize,
    reached: usize,
    length: usize,
    counted: usize,
}

/// An upstream, with a record of the answers and states since a client request began.
pub(crate) struct Upstream<'a> {
    pub(crate) traits: &'a Traits,
    pub(crate) shape: Rc<Shape>,
    pub(crate) world: World,
    /// The changes at each tick.
    plan: &'a [Vec<Mutation>],
    pub(crate) ticks: usize,
    pub(crate) queries: u64,
    /// The principal of the current request: 0 is the client that walks.
    pub(crate) principal: usize,
    /// Earlier states, for answers that lag.
    earlier: Vec<State>,
    /// The last count, if the upstream caches counts: the query, the count, and its state.
    cached: Option<(u64, usize, State)>,
    /// The content of the answers since the record was begun.
    pub(crate) shown: Vec<Showing>,
    /// All states since the record was begun, the first state first, and the older states that answers showed.
    pub(crate) passed: Vec<State>,
    /// The place of the item that was looked up by its id since the record was begun; `None` if no item was.
    pub(crate) looked_up: Option<Place>,
    /// The largest number of changes at one tick since the record was begun.
    pub(crate) burst: u64,
    /// The first fault of a request that the dialect does not allow; `None` if all requests were allowed.
    pub(crate) fault: Option<String>,
    /// The lines of the story; `None` if no story is wanted.
    pub(crate) story: Option<Vec<String>>,
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(traits: &'a Traits, shape: Rc<Shape>, world: World, plan: &'a [Vec<Mutation>]) -> Self {
        // A replica lags from the first request on, so it needs states from before the walk.
        let earlier = match traits.lag {
            Lag::Replica(states) => (0..states).rev().map(|newest| world.without_newest(newest + 1)).collect(),
            Lag::Never | Lag::AnyState => Vec::new(),
        };
        Self {
            traits,
            shape,
            world,
            plan,
            ticks: 0,
            queries: 0,
            principal: 0,
            earlier,
            cached: None,
            shown: Vec::new(),
            passed: Vec::new(),
            looked_up: None,
            burst: 0,
            fault: None,
            story: None,
        }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// Begins the record of the answers and states of one client request.
    pub(crate) fn begin_record(&mut self) {
        self.shown.clear();
        self.passed.clear();
        self.passed.push(State::clone(&self.world.state));
        (self.looked_up, self.burst) = (None, 0);
    }

    /// Lets one tick pass, with the changes that are planned for it.
    pub(crate) fn tick(&mut self) {
        let plan = self.plan;
        let now = self.ticks;
        self.ticks += 1;
        self.world.now = self.ticks;
        let Some(due) = plan.get(now).filter(|due| !due.is_empty()) else { return };
        let before = self.world.mutations;
        self.world.said = self.story.is_some().then(Vec::new);
        self.world.change(due);
        for said in self.world.said.take().unwrap_or_default() {
            self.tell(|| format!("      (tick {now}) somebody {said}"));
        }
        self.burst = self.burst.max(self.world.mutations - before);
        self.passed.push(State::clone(&self.world.state));
    }

    /// Answers the fetches of one step, in their sequence or in reverse.
    pub(crate) fn answer(&mut self, fetches: &[Fetch]) -> Vec<Answer> {
        let backwards = self.traits.reorders && mix(self.traits.salt, self.queries) % 2 == 1;
        let mut answers: Vec<Answer> = fetches.iter().map(|_| Answer::default()).collect();
        for turn in 0..fetches.len() {
            let index = if backwards { fetches.len() - 1 - turn } else { turn };
            self.queries += 1;
            answers[index] = match &fetches[index] {
                Fetch::Slice(slice, listing) => self.list(*slice, listing),
                Fetch::Item(id) => self.look_up(id),
                Fetch::Count => self.count(),
                Fetch::Token(_) => {
                    self.fault = Some("asked for a token".to_owned());
                    Answer::default()
                }
            };
        }
        answers
    }

    /// Returns the number of all rows: the present number, or the last count if the upstream caches counts.
    fn counted(&mut self) -> usize {
        let now = self.world.state.raw().len();
        let Counts::Cached(lasts) = self.traits.counts else { return now };
        match &self.cached {
            Some((since, counted, state)) if self.queries < since + u64::from(lasts) => {
                // The count belongs to an earlier state, of which a page's total may then be true (`Exchange::totals`).
                if !self.passed.iter().any(|passed| Rc::ptr_eq(passed, state)) {
                    self.passed.push(State::clone(state));
                }
                *counted
            }
            _ => {
                self.cached = Some((self.queries, now, State::clone(&self.world.state)));
                now
            }
        }
    }

    fn list(&mut self, asked: Asked, listing: &Listing) -> Answer {
        if self.fault.is_none() {
            let fault = self.traits.forbids(asked);
            self.fault = fault.or_else(|| filtering::forbids(listing, self.traits, &self.shape));
        }
        let wanted = listing.filter.as_deref().and_then(|filter| self.read(filter));
        let roll = mix(self.traits.salt, self.queries);
        match self.traits.counts {
            Counts::Before => {
                // The list may change between the count and the slice.
                let counted = self.count_of(wanted.as_ref(), None);
                self.tick();
                self.slice(asked, listing, wanted.as_ref(), Some(counted), roll)
            }
            Counts::Together | Counts::After => self.slice(asked, listing, wanted.as_ref(), None, roll),
            Counts::Cached(_) => {
                let counted = match wanted.as_ref() {
                    // The cache has only the count of the whole list.
                    Some(_) => self.count_of(wanted.as_ref(), None),
                    None => self.counted(),
                };
                self.slice(asked, listing, wanted.as_ref(), Some(counted), roll)
            }
        }
    }

    /// Answers with a slice. If `counted` gives no count of an earlier moment, the rows are counted with the slice or
    /// after it.
    fn slice(
        &mut self,
        asked: Asked,
        listing: &Listing,
        wanted: Option<&Wanted>,
        counted: Option<usize>,
        roll: u64,
    ) -> Answer {
        let state = self.state_shown(roll);
        let sequence = self.sequence(&state, listing, wanted);
        let length = sequence.as_ref().map_or_else(|| state.raw().len(), Vec::len);
        let size = self.honoured(asked.size().0, listing.filter.is_some()) as usize;
        // The rows on top are left out of the sequence that places count.
        let on_top = match self.traits.sticky {
            Sticky::OnTop(count) if wanted.is_none() => length.min(count as usize),
            _ => 0,
        };
        let (from, past_end) = self.begins(asked, size, length - on_top);
        let out = self.is_out(roll);
        let (deepest, too_deep) = self.depth(asked);
        let status = out || too_deep || past_end;
        let row = |index: usize| &state.raw()[sequence.as_ref().map_or(index, |order| order[index] as usize)];
        let first = from.saturating_add(on_top);
        let at_the_start = from == 0 && *listing == Listing::default();
        let lengths = (first..length.min(first.saturating_add(size))).map(|index| row(index).bytes.len());
        let fitting = self.fitting(size, at_the_start, lengths, roll);
        let end = first.saturating_add(fitting).min(length).min(deepest);
        // If the depth cuts off rows of a slice that would reach the end of the list, the answer looks like one whose
        // count is a little older than its slice.
        let truncated = end == deepest && length > end && length <= first.saturating_add(size);
        let range = if status { 0..0 } else { first.min(end)..end };
        let reached = first.saturating_add(range.len());
        let (answer_begins, answer_ends) = (from == 0 && !status, reached >= length && !status);
        let hidden = if self.traits.lie == Some(Lie::HidesRows) { 5 } else { self.traits.hidden };
        let is_shown = |row: &&Rc<Row>| !is_hidden(row, hidden);
        // Rows are hidden after the limit has been applied, so an answer may be short in the middle of the list.
        let (top, rows) = ((0..on_top).map(row).filter(is_shown), range.clone().map(row).filter(is_shown));
        let pinned = match (status, at_the_start) {
            (true, _) => Vec::new(),
            (false, true) if on_top == 0 => self.pinned(&state),
            (false, _) if from == 0 || !range.is_empty() => top.cloned().collect(),
            (false, _) => Vec::new(),
        };
        let mut answer = render(pinned.iter().chain(rows.clone()), range.len(), roll);
        // Ties come in any order, so the first and the last row need not be the least and the greatest.
        // Rows on top are next to the others only at the start of the list.
        let shown = || pinned.iter().filter(|_| from == 0 && on_top > 0).chain(rows.clone()).map(|row| row.place);
        let places = shown().min().zip(shown().max());
        // All rows of the answer are hidden, and no total shows that more rows follow.
        let unseen = answer.items().is_empty() && !range.is_empty() && self.traits.total != Says::Exactly;
        let serials: Option<Vec<u32>> =
            self.story.is_some().then(|| pinned.iter().chain(rows).map(|row| row.serial).collect());
        let (from_start, to_end) = self.ends(listing, wanted, answer_begins, answer_ends, places);
        let is_cut_between = wanted.is_some_and(|wanted| self.is_cut_between_runs(&state, wanted, places));
        let (first_whole, last_whole) = (answer_begins && is_cut_between, answer_ends && is_cut_between);
        self.shown.push(Showing {
            state: State::clone(&state),
            items: answer.items().len() as u32,
            places,
            from_start,
            to_end,
            // A flipped answer begins with its greatest place. Regression: `a-whole-run-of-a-flipped-filtered-list`.
            whole_runs: if listing.flipped { (last_whole, first_whole) } else { (first_whole, last_whole) },
            plain: *listing == Listing::default(),
            hoax: (status && (out || too_deep)) || truncated || unseen,
        });
        let counted = counted.unwrap_or_else(|| self.count_later(length, wanted));
        if status && self.traits.lie == Some(Lie::StatusIsEnd) {
            // The lie: the status is read as an empty answer whose flag ends the list.
            answer.more = Some(false);
        } else if status {
            answer.standing = Standing::PastEnd;
        } else {
            self.annotate(&mut answer, asked, &Cut { from, size, reached, length, counted }, roll);
        }
        self.tell(|| told(asked, listing, &answer, &range, length, &serials.unwrap_or_default()));
        self.tick();
        answer
    }

    fn pinned(&self, state: &State) -> Vec<Rc<Row>> {
        match self.traits.sticky {
            Sticky::Pinned(count) => pinned(state, count as usize),
            _ => Vec::new(),
        }
    }

    /// Returns the count that accompanies a slice of a listing of this length: of the same moment, or of a tick later.
    fn count_later(&mut self, length: usize, wanted: Option<&Wanted>) -> usize {
        if self.traits.counts == Counts::Together {
            return length;
        }
        self.tick();
        self.count_of(wanted, None)
    }

    /// Returns the offset at which a slice begins, and whether the answer has the past-the-end status. Page numbers
    /// count pages of the size that the upstream uses.
    fn begins(&self, asked: Asked, size: usize, length: usize) -> (usize, bool) {
        let from = match asked {
            Asked::Offset { from, .. } => usize::try_from(from.0).unwrap_or(usize::MAX),
            Asked::Page { number, .. } => usize::try_from(number.0).unwrap_or(usize::MAX).saturating_mul(size),
        };
        if from < length || from == 0 {
            return (from, false);
        }
        match (self.traits.past, asked) {
            (Past::Repeat, Asked::Page { .. }) if length > 0 => ((length - 1) / size * size, false),
            (Past::Repeat, Asked::Offset { .. }) if length > 0 => (length.saturating_sub(size), false),
            (Past::Empty | Past::Repeat, _) => (from, false),
            (Past::Status, _) => (from, true),
        }
    }

    /// Returns the number of rows of an answer, before a depth or the end of the list cuts it. `lengths` has the
    /// lengths of the rows in bytes.
    fn fitting(&self, size: usize, at_the_start: bool, lengths: impl Iterator<Item = usize>, roll: u64) -> usize {
        let more = match self.traits.sticky {
            Sticky::More(count) if at_the_start => self.traits.surplus + count,
            _ => self.traits.surplus,
        };
        match self.traits.cuts {
            Cuts::Never => size.saturating_add(more as usize),
            Cuts::Half(one_in) if (roll >> 8).is_multiple_of(u64::from(one_in)) => (size / 2).max(1),
            Cuts::Half(_) => size,
            Cuts::Bytes(most) => {
                let through = lengths.scan(0, |sum, bytes| {
                    *sum += bytes;
                    Some(*sum)
                });
                through.take_while(|sum| *sum <= most as usize).count().max(1)
            }
        }
    }

    /// Answers with the resource of an item.
    fn look_up(&mut self, id: &KeyValue) -> Answer {
        self.tick();
        let state = self.state_shown(mix(self.traits.salt, self.queries));
        let id = self.shape.id.read(id);
        let column = self.shape.strong.len();
        let mut found = state.rows().iter().position(|row| id.as_ref() == Some(&row.stored(&self.shape)[column]));
        if self.traits.mistakes_items {
            found = found.map(|index| (index + 1) % state.rows().len());
        }
        let answer = match found.map(|index| &state.rows()[index]).filter(|_| self.traits.has_items) {
            Some(row) => {
                self.looked_up = Some(row.place);
                render(std::iter::once(row), 1, 0)
            }
            None => Answer::without_items(Standing::Gone),
        };
        self.tell(|| format!("    looks up {id:?}: {}", String::from_utf8_lossy(answer.body())));
        answer
    }

    fn count(&mut self) -> Answer {
        self.tick();
        let value = (self.world.state.rows().len() as u64).saturating_add_signed(self.traits.off);
        self.tell(|| format!("    counts: {value}"));
        Answer::counted(Some(Total { value, exact: true }))
    }

    /// Returns the state that an answer shows: the current state, or an earlier one if the upstream lags.
    fn state_shown(&mut self, roll: u64) -> State {
        let now = State::clone(&self.world.state);
        let before = match self.traits.lag {
            Lag::Never => return now,
            Lag::AnyState => {
                self.earlier.push(State::clone(&now));
                Some(roll as usize / 4 % self.earlier.len()).filter(|_| roll % 4 == 1)
            }
            Lag::Replica(states) => {
                // A replica is late by a number of states, not of requests: a list at rest adds no state.
                if self.earlier.last().is_none_or(|last| !Rc::ptr_eq(last, &now)) {
                    self.earlier.push(State::clone(&now));
                }
                let shown = self.earlier.len().saturating_sub(1 + states as usize);
                Some(shown).filter(|_| self.queries % 2 == 1)
            }
        };
        let Some(before) = before.map(|index| State::clone(&self.earlier[index])) else { return now };
        self.passed.push(State::clone(&before));
        before
    }

    /// Returns the offset at which answers are truncated, and whether this request is refused as too deep.
    fn depth(&self, asked: Asked) -> (usize, bool) {
        let Some(ceiling) = self.traits.ceiling else { return (usize::MAX, false) };
        let begins = asked.begins().0;
        match ceiling.beyond {
            Beyond::Status => (usize::MAX, begins.saturating_add(u64::from(asked.size().0)) > ceiling.at),
            Beyond::Truncates => (ceiling.at as usize, begins > ceiling.at),
        }
    }

    /// Returns whether an answer falsely has the past-the-end status.
    fn is_out(&self, roll: u64) -> bool {
        match self.traits.outage {
            Outage::Never => false,
            Outage::Often(one_in) => (roll >> 20).is_multiple_of(u64::from(one_in)),
            Outage::While(from, lasts) => (from..from + lasts).contains(&self.queries),
        }
    }

    /// Writes the facts that an answer states: the total, the flag, and the slice.
    fn annotate(&self, answer: &mut Answer, asked: Asked, cut: &Cut, roll: u64) {
        let &Cut { from, size, reached, length, counted } = cut;
        let counted = counted.saturating_add_signed(self.traits.off as isize);
        answer.more = match self.traits.more {
            More::Nothing => None,
            More::Slice => Some(reached < length),
            More::Count => Some(reached < counted),
        };
        answer.total = match self.traits.total {
            Says::Nothing => None,
            Says::Exactly => Some(Total { value: counted as u64, exact: true }),
            Says::AtLeast => {
                let exact = counted <= reached || self.traits.lie == Some(Lie::BoundIsTotal);
                Some(Total { value: counted.min(reached + 1) as u64, exact })
            }
        };
        let nonsense = |salt: u64| mix(roll, salt) % 9;
        match (self.traits.echoes, asked) {
            (Echoes::Nothing, _) => {}
            (Echoes::Nonsense, _) => {
                answer.size = (nonsense(1) > 2).then_some(nonsense(2) as u32 * 3 + 1);
                answer.offset = (nonsense(3) > 5).then_some(nonsense(4) * 7);
                answer.page = (nonsense(5) > 5).then_some(nonsense(6));
            }
            (Echoes::Used, Asked::Offset { .. }) => {
                (answer.size, answer.offset) = (Some(size as u32), Some(from as u64));
            }
            (Echoes::Used, Asked::Page { .. }) => {
                (answer.size, answer.page) = (Some(size as u32), Some((from / size) as u64));
            }
            (Echoes::Asked, Asked::Offset { from, size }) => {
                (answer.size, answer.offset) = (Some(size.0), Some(from.0));
            }
            (Echoes::Asked, Asked::Page { number, size }) => {
                (answer.size, answer.page) = (Some(size.0), Some(number.0));
            }
        }
    }

    /// Returns the size that the upstream uses for a requested size.
    fn honoured(&self, asked: u32, filtered: bool) -> u32 {
        let cap = match self.traits.lie {
            // The first answers fill a size that later answers don't fill.
            Some(Lie::CapShrinks) if self.queries > 2 => (self.traits.caps[0] / 2).max(2),
            _ => self.traits.cap_at(self.queries, self.principal, filtered),
        };
        asked.min(cap).max(1)
    }
}

/// Returns the rows that are pinned to the top: always the same ones while they exist.
fn pinned(state: &State, count: usize) -> Vec<Rc<Row>> {
    let mut rows: Vec<Rc<Row>> = state.rows().to_vec();
    rows.sort_by_key(|row| mix(u64::from(row.plan.id), 5));
    rows.truncate(count);
    rows
}
