//! The promises of each page, by the place of the cursor that it was asked with.
//!
//! The promise is about rows that stood still: rows that were in every state shown since the cursor was made, and were
//! never moved. It holds as long as, of the rows that the cursor marks and that are still there, more stood still than
//! were moved.

use std::collections::HashSet;

use cursorgate_core::pagination::{
    mark::Mark,
    page::{ItemPlace, Level, Page},
    paging::{EndEvidence, Sizes},
    position::{Marks, Position, Target},
};

use super::{
    scenario::Scenario,
    upstream::{Says, Showing},
    world::{Row, State, marked},
};

/// The true place of a cursor: in this state, right before the row at this index, with these rows on its page already.
/// `None` at the start or the end.
pub(crate) type Place = Option<(State, usize, Vec<u32>)>;

/// A cursor, and its true place.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) target: Target,
    pub(crate) place: Place,
}

/// The judgement of a page.
#[derive(Debug)]
pub(crate) enum Judgement {
    Kept,
    /// No promise held for the page.
    NotPromised,
    /// No promise held for the page, because two places claim its cursor.
    Torn,
    Broken(String),
}

/// Returns the number of the answer that a page's item is from, with which the answer's body begins.
fn serial(page: &Page, place: ItemPlace) -> usize {
    let body = page.answers[place.answer as usize].body();
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// Returns the rows of a page.
pub(crate) fn rows(page: &Page, shown: &[Showing]) -> Vec<Row> {
    page.items.iter().map(|place| shown[serial(page, *place)].rows[place.item as usize]).collect()
}

/// Returns the state that an item of a page was shown in, and its index there.
fn stands<'a>(page: &Page, shown: &'a [Showing], index: usize) -> (&'a State, usize) {
    let place = page.items[index];
    let showing = &shown[serial(page, place)];
    let row = showing.rows[place.item as usize];
    let at = showing.state.iter().position(|other| other.number == row.number).unwrap();
    (&showing.state, at)
}

/// Returns a page in the words of a story.
pub(crate) fn told(page: &Page, shown: &[Showing]) -> String {
    let numbers: Vec<u32> = rows(page, shown).iter().map(|row| row.number).collect();
    let (next, previous) = (told_target(page.next.as_ref()), told_target(page.previous.as_ref()));
    format!("page {numbers:?}, drift {:?}, next {next}, previous {previous}", page.notes.drift)
}

/// Returns a target in the words of a story.
pub(crate) fn told_target(target: Option<&Target>) -> String {
    let Some(Target { position, hint }) = target else { return "none".to_owned() };
    let numbers = |marks: &[Mark]| marks.iter().map(|mark| marked(*mark)).collect::<Vec<_>>();
    let at = hint.offset.0;
    match position {
        Position::AfterMarks(Marks { before, after }) => {
            format!("after {:?}|{:?} at {at}", numbers(before), numbers(after))
        }
        Position::BeforeMarks(Marks { before, after }) => {
            format!("before {:?}|{:?} at {at}", numbers(before), numbers(after))
        }
        other => format!("{other:?} at {at}"),
    }
}

/// Returns the true place of the cursor after, or before, a page.
pub(crate) fn place(page: &Page, shown: &[Showing], after: bool) -> Place {
    let last = page.items.len().checked_sub(1)?;
    let (state, at) = stands(page, shown, if after { last } else { 0 });
    let own = rows(page, shown).iter().map(|row| row.number).collect();
    Some((State::clone(state), at + usize::from(after), own))
}

impl Cursor {
    /// Returns whether its marks are not the rows around its place in the state that the page showed last: a row moved
    /// while the page was read, or nothing was promised of the page. Two places claim such a cursor.
    fn is_torn(&self, hides: u32) -> bool {
        let (Position::AfterMarks(marks) | Position::BeforeMarks(marks)) = &self.target.position else { return false };
        let Some((state, at, _)) = &self.place else { return false };
        let numbers = |rows: &[Row]| -> Vec<u32> {
            rows.iter().filter(|row| !row.is_hidden(hides)).map(|row| row.number).collect()
        };
        let marked = |marks: &[Mark]| -> Vec<u32> { marks.iter().map(|mark| marked(*mark)).collect() };
        let (before, after) = state.split_at(*at);
        !numbers(before).ends_with(&marked(&marks.before)) || !numbers(after).starts_with(&marked(&marks.after))
    }
}

/// The changes of a row since a cursor was made.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// The number of states that hold the row.
    seen: u32,
    moves: u32,
    moved: bool,
}

/// A page with its cursor, the answers that the upstream gave for it, and the changes of the rows since.
pub(crate) struct Exchange<'a> {
    cursor: &'a Cursor,
    limit: u32,
    scenario: &'a Scenario,
    shown: &'a [Showing],
    at_first: State,
    /// By the rows' numbers.
    fates: Vec<Fate>,
    states: u32,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        cursor: &'a Cursor,
        limit: u32,
        at_first: State,
        shown: &'a [Showing],
        scenario: &'a Scenario,
    ) -> Self {
        let mut exchange = Self { cursor, limit, scenario, shown, at_first, fates: Vec::new(), states: 0 };
        if let Some((made, ..)) = &cursor.place {
            exchange.look(made);
        }
        for (index, showing) in shown.iter().enumerate() {
            if index == 0 || !State::ptr_eq(&showing.state, &shown[index - 1].state) {
                exchange.look(&showing.state);
            }
        }
        exchange
    }

    fn look(&mut self, state: &State) {
        for row in state.iter() {
            let number = row.number as usize;
            if number >= self.fates.len() {
                self.fates.resize(number + 64, Fate::default());
            }
            let fate = &mut self.fates[number];
            fate.moved |= fate.seen > 0 && fate.moves != row.moves;
            fate.moves = row.moves;
            fate.seen += 1;
        }
        self.states += 1;
    }

    fn fate(&self, number: u32) -> Fate {
        self.fates.get(number as usize).copied().unwrap_or_default()
    }

    /// Returns whether a row was there all the time and was never moved.
    fn stood(&self, row: &Row) -> bool {
        let fate = self.fate(row.number);
        fate.seen == self.states && !fate.moved && !row.is_hidden(self.scenario.traits.hides)
    }

    fn forward(&self) -> bool {
        !self.cursor.target.position.is_backward()
    }

    /// Returns the rows that the cursor marks.
    pub(crate) fn marks(&self) -> Vec<u32> {
        match &self.cursor.target.position {
            Position::AfterMarks(Marks { before, after }) | Position::BeforeMarks(Marks { before, after }) => {
                before.iter().chain(after).map(|mark| marked(*mark)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the number of marked rows that stood still, and of those that were moved.
    fn standing(&self) -> (usize, usize) {
        let marks = self.marks();
        let count = |judge: &dyn Fn(Fate) -> bool| marks.iter().filter(|number| judge(self.fate(**number))).count();
        let stood = count(&|fate| fate.seen == self.states && !fate.moved);
        (stood, count(&|fate| fate.moved))
    }

    /// Returns whether the page could have been found: the rows that mark its place are within reach, and stood still,
    /// or a single row of at least four was moved. Two moved rows may leave two ways to read the rest.
    pub(crate) fn is_promised(&self) -> bool {
        let (stood, moved) = self.standing();
        let clear = (stood > 0 && moved == 0) || (stood >= 3 && moved == 1) || self.cursor.place.is_none();
        clear && self.is_near()
    }

    /// Returns whether the rows that mark the place are within reach.
    fn is_near(&self) -> bool {
        let hint = self.cursor.target.hint.offset.0;
        let reach = u64::from(self.scenario.reach());
        let marks = self.marks();
        let near = |state: &State| {
            let places = (0_u64..).zip(state.iter()).filter(|(_, row)| marks.contains(&row.number));
            places.map(|(at, _)| at).all(|at| at.abs_diff(hint) + 30 < reach)
        };
        near(&self.at_first) && self.shown.iter().all(|showing| near(&showing.state))
    }

    /// Returns whether two of the marked rows were moved so that they are side by side again, as they were, and no more
    /// than two of those that stood still were shown: two against two, and the pair looks like the rest after the others
    /// were deleted. A client that reads a page, deletes its items and asks for the next leaves just that, page after
    /// page, so such a place is not searched further.
    fn looks_left_over(&self) -> bool {
        let marks = self.marks();
        let moved = |row: &Row| self.fate(row.number).moved;
        let are_neighbours = |pair: &[Row]| {
            let at = marks.iter().position(|mark| *mark == pair[0].number);
            at.is_some_and(|at| marks.get(at + 1) == Some(&pair[1].number))
        };
        let is_pair = |pair: &[Row]| pair.iter().all(moved) && are_neighbours(pair);
        let rows = || self.shown.iter().flat_map(|showing| &showing.rows);
        let still: HashSet<u32> =
            rows().filter(|row| marks.contains(&row.number) && self.stood(row)).map(|row| row.number).collect();
        still.len() <= 2 && self.shown.iter().any(|showing| showing.rows.windows(2).any(is_pair))
    }

    /// Returns whether a total of another moment than the rows beside it may have ended the list: it tells just the rows
    /// that came.
    fn may_be_miscounted(&self, page: &Page) -> bool {
        let changed = self.shown.windows(2).any(|pair| !State::ptr_eq(&pair[0].state, &pair[1].state));
        self.scenario.traits.says == Says::RacedTotal && changed && page.next.is_none()
    }

    /// Judges a page.
    pub(crate) fn judge(&self, page: &Page) -> Judgement {
        let rows = rows(page, self.shown);
        let broken = self
            .broken_wholeness(page, &rows)
            .or_else(|| if self.is_still() { self.undisturbed(page, &rows) } else { None });
        if let Some(what) = broken {
            return Judgement::Broken(what);
        }
        let (stood, moved) = self.standing();
        if self.cursor.is_torn(self.scenario.traits.hides) {
            return Judgement::Torn;
        }
        let unfindable = stood <= moved || !self.is_near() || self.looks_left_over();
        if (self.cursor.place.is_some() && unfindable) || self.may_be_miscounted(page) {
            return Judgement::NotPromised;
        }
        // The marks of a page at an edge of the list are its own items.
        let at_edge = self.cursor.place.is_none() && !rows.is_empty();
        if at_edge && rows.iter().all(|row| self.fate(row.number).moved) {
            return Judgement::NotPromised;
        }
        self.broken_promise(page, &rows).map_or(Judgement::Kept, Judgement::Broken)
    }

    fn is_still(&self) -> bool {
        self.scenario.is_still() && !self.scenario.traits.lags
    }

    /// Returns the broken promise that holds for any page.
    fn broken_wholeness(&self, page: &Page, rows: &[Row]) -> Option<String> {
        let mut body = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            body.clear();
            row.write(self.scenario.look, &mut body);
            if page.item(index) != body {
                return Some(format!("G5 verbatim: row {} is not as it was sent", row.number));
            }
        }
        let mut numbers = HashSet::new();
        if let Some(row) = rows.iter().find(|row| !numbers.insert(row.number)) {
            return Some(format!("G2 none repeated: row {} stands twice on a page", row.number));
        }
        let onward = if self.forward() { &page.next } else { &page.previous };
        if rows.len() > self.limit as usize || (onward.is_some() && rows.len() < self.limit as usize) {
            return Some(format!("full: {} rows of {}, and there is more", rows.len(), self.limit));
        }
        if page.level() != Level::Anchored || page.unproven.is_some() || page.short {
            return Some(format!("G6 honest: level {:?}, {:?}", page.level(), page.unproven));
        }
        None
    }

    /// Returns the broken promise about rows that stood still, which are neither skipped nor repeated, and in order.
    fn broken_promise(&self, page: &Page, rows: &[Row]) -> Option<String> {
        let forward = self.forward();
        // The rows that were served, those that were to come, and those of the cursor's page.
        let (served, ahead, own): (&[Row], &[Row], &[u32]) = match &self.cursor.place {
            Some((state, at, own)) if forward => (&state[..*at], &state[*at..], own),
            Some((state, at, own)) => (&state[*at..], &state[..*at], own),
            None => (&[], &self.shown.first()?.state, &[]),
        };
        let got: HashSet<u32> = rows.iter().map(|row| row.number).collect();
        if let Some(row) = served.iter().find(|row| self.stood(row) && got.contains(&row.number)) {
            return Some(format!("G2 none repeated: row {}", row.number));
        }
        let (onward, back) = if forward { (&page.next, &page.previous) } else { (&page.previous, &page.next) };
        let last = rows.len().checked_sub(1);
        let passed: HashSet<u32> = match last {
            Some(last) => {
                let (state, at) = stands(page, self.shown, if forward { last } else { 0 });
                if forward { &state[..=at] } else { &state[at..] }.iter().map(|row| row.number).collect()
            }
            None => HashSet::new(),
        };
        // A row that moved while a page was read may be on the page, and be ahead of it.
        let is_due = |row: &Row| !own.contains(&row.number) && (onward.is_none() || passed.contains(&row.number));
        if let Some(row) = ahead.iter().find(|row| self.stood(row) && !got.contains(&row.number) && is_due(row)) {
            return Some(format!("G1 none skipped: row {}", row.number));
        }
        let in_list: Vec<u32> =
            ahead.iter().filter(|row| self.stood(row) && got.contains(&row.number)).map(|row| row.number).collect();
        let in_page = rows.iter().filter(|row| self.stood(row)).map(|row| row.number);
        if !in_page.eq(in_list.iter().copied()) {
            return Some("G3 in order".to_owned());
        }
        // The rows on the side away from the direction of reading.
        let beside = |row: &&Row| match last {
            Some(last) => {
                let (state, at) = stands(page, self.shown, if forward { 0 } else { last });
                let mut range = if forward { &state[..at] } else { &state[at..] }.iter();
                range.any(|other| other.number == row.number)
            }
            None => true,
        };
        let left = back.is_none().then(|| served.iter().filter(|row| self.stood(row)).find(beside)).flatten();
        left.map(|row| format!("ends: row {} lies on the other side, and there is no way back", row.number))
    }

    /// Returns the broken promise that holds where the list never changes.
    fn undisturbed(&self, page: &Page, rows: &[Row]) -> Option<String> {
        let traits = &self.scenario.traits;
        let visible: Vec<&Row> = self.at_first.iter().filter(|row| !row.is_hidden(traits.hides)).collect();
        let at = rows.first().map_or(0, |first| visible.iter().position(|row| *row == first).unwrap_or(0));
        if !visible.iter().skip(at).take(rows.len()).copied().eq(rows) {
            return Some("G3 in order: not what stands there".to_owned());
        }
        // After a spent budget it is open what follows.
        let spent = traits.hides > 0 && page.notes.requests >= 8;
        let ends = (page.previous.is_none(), page.next.is_none());
        if !rows.is_empty() && !spent && ends != (at == 0, at + rows.len() == visible.len()) {
            return Some(format!("ends: at the start and at the end: {ends:?}"));
        }
        if page.notes.stragglers > 0 {
            return Some("G6 honest: stragglers where nothing moves".to_owned());
        }
        // One request is enough where an answer can be wide enough, and shows whether the list ends there.
        let wide = matches!(traits.sizes, Sizes::Free { most: Some(cap), .. } if cap >= (self.limit + 2) * 3);
        let known = traits.says == Says::Total || traits.end != EndEvidence::Unvouched;
        let amid = ends == (false, false) && traits.hides == 0 && !self.marks().is_empty();
        (wide && known && amid && page.notes.requests > 1).then(|| format!("cost: {} requests", page.notes.requests))
    }
}
