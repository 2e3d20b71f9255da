//! Checks of the promises of each page, by the true place of its cursor.
//!
//! A row *stood still* if every state shown since the cursor was made has the row, and it was never moved. The core
//! doesn't know the list's order, so it finds a place by the rows around it. The promises:
//!
//! - of each page: G5, its items have the bytes that were sent; G2, no row is twice on it; it is full, or ends the
//!   list; and G6, its level is `anchored` (`broken_wholeness`);
//! - of each page of a list that never changes: its rows are the list's rows at the place, and it ends where the list
//!   ends (`undisturbed`);
//! - of each page whose place can be found: rows that stood still are not skipped (G1) nor repeated (G2), and come in
//!   order (G3) (`broken_promise`).
//!
//! A place can be found if more of the marked rows that still exist stood still than moved, and all of them are within
//! reach of the search. Other pages are judged `NotPromised` or `Torn`. Both are counted, and the number of torn
//! cursors has a bound (`TORN_OF_MILLION`).

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

/// The true place of a cursor: a state, the index in that state of the row right after the place, and the numbers of
/// the rows on the page that handed the cursor out. `None` at the start or the end of the list, and for the cursors of
/// an empty page.
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
    /// Only the promises of every page apply, and the page keeps them.
    NotPromised,
    /// Only the promises of every page apply, because the cursor's marks name another place than its true one.
    Torn,
    Broken(String),
}

/// Returns the number of the answer that contains an item of a page. The body of each answer begins with its number.
fn serial(page: &Page, place: ItemPlace) -> usize {
    let body = page.answers[place.answer as usize].body();
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// Returns the model's rows that are the items of a page.
pub(crate) fn rows(page: &Page, shown: &[Showing]) -> Vec<Row> {
    page.items.iter().map(|place| shown[serial(page, *place)].rows[place.item as usize]).collect()
}

/// Returns the state of the list that the answer with an item shows, and the index of the item's row in that state.
fn stands<'a>(page: &Page, shown: &'a [Showing], index: usize) -> (&'a State, usize) {
    let place = page.items[index];
    let showing = &shown[serial(page, place)];
    let row = showing.rows[place.item as usize];
    let at = showing.state.iter().position(|other| other.number == row.number).unwrap();
    (&showing.state, at)
}

/// Returns a page as a line of the story.
pub(crate) fn told(page: &Page, shown: &[Showing]) -> String {
    let numbers: Vec<u32> = rows(page, shown).iter().map(|row| row.number).collect();
    let (next, previous) = (told_target(page.next.as_ref()), told_target(page.previous.as_ref()));
    format!("page {numbers:?}, drift {:?}, next {next}, previous {previous}", page.notes.drift)
}

/// Returns a target as words of the story.
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

/// Returns the true place of the cursor after a page, or of the cursor before it if `after` is false. `None` if the
/// page is empty.
pub(crate) fn place(page: &Page, shown: &[Showing], after: bool) -> Place {
    let last = page.items.len().checked_sub(1)?;
    let (state, at) = stands(page, shown, if after { last } else { 0 });
    let own = rows(page, shown).iter().map(|row| row.number).collect();
    Some((State::clone(state), at + usize::from(after), own))
}

impl Cursor {
    /// Returns whether the cursor's marks differ from the rows around its true place. The cause is a row that moved
    /// while the cursor's page was read, or a page whose own place was not promised. The marks then name one place and
    /// the page's last row another, so the next page can't be checked against either.
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

/// The history of a row since a cursor was made.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// The number of shown states that have the row.
    seen: u32,
    /// The number of the row's moves in the newest state that has it.
    moves: u32,
    /// True if the row moved between two shown states.
    moved: bool,
}

/// A request for a page: its cursor, the true content of the answers, and the histories of the rows since the cursor
/// was made.
pub(crate) struct Exchange<'a> {
    cursor: &'a Cursor,
    limit: u32,
    scenario: &'a Scenario,
    shown: &'a [Showing],
    /// The state when the page was requested.
    at_first: State,
    /// The history of each row, by its number.
    fates: Vec<Fate>,
    /// The number of states in the histories.
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

    /// Counts a shown state in the histories of its rows.
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

    /// Returns whether a row stood still, and is not hidden.
    fn stood(&self, row: &Row) -> bool {
        let fate = self.fate(row.number);
        fate.seen == self.states && !fate.moved && !row.is_hidden(self.scenario.traits.hides)
    }

    fn forward(&self) -> bool {
        !self.cursor.target.position.is_backward()
    }

    /// Returns the numbers of the rows that the cursor marks.
    pub(crate) fn marks(&self) -> Vec<u32> {
        match &self.cursor.target.position {
            Position::AfterMarks(Marks { before, after }) | Position::BeforeMarks(Marks { before, after }) => {
                before.iter().chain(after).map(|mark| marked(*mark)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the number of marked rows that stood still, and the number of marked rows that moved.
    fn standing(&self) -> (usize, usize) {
        let marks = self.marks();
        let count = |judge: &dyn Fn(Fate) -> bool| marks.iter().filter(|number| judge(self.fate(**number))).count();
        let stood = count(&|fate| fate.seen == self.states && !fate.moved);
        (stood, count(&|fate| fate.moved))
    }

    /// Returns whether a refusal of the page would be without need. The marked rows must be within reach. Also, all of
    /// them that still exist stood still, or at least three stood still and exactly one moved, or the cursor is at the
    /// start or the end of the list. If two marked rows moved, the rest may have two readings, so a refusal is
    /// justified.
    pub(crate) fn is_promised(&self) -> bool {
        let (stood, moved) = self.standing();
        let clear = (stood > 0 && moved == 0) || (stood >= 3 && moved == 1) || self.cursor.place.is_none();
        clear && self.is_near()
    }

    /// Returns whether the marked rows were within reach of the search in every state shown, with 30 rows to spare.
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

    /// Returns whether two neighbouring marked rows moved together, and at most two marked rows that stood still were
    /// shown. The moved pair then looks like the only marked rows left after the others were deleted. The core takes
    /// the pair for these and doesn't search further, because a client that deletes each page before it requests the
    /// next one leaves exactly such a pair.
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

    /// Returns whether a total that was counted at another moment than its rows may have ended the list too early. Such
    /// a total can equal the number of rows read so far although more rows follow.
    fn may_be_miscounted(&self, page: &Page) -> bool {
        let changed = self.shown.windows(2).any(|pair| !State::ptr_eq(&pair[0].state, &pair[1].state));
        self.scenario.traits.says == Says::RacedTotal && changed && page.next.is_none()
    }

    /// Checks the promises that apply to a page.
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
        // A page at the start or the end of the list has no marks: its own rows take their part. If all of its rows
        // moved while the page was read, its place can't be determined.
        let at_edge = self.cursor.place.is_none() && !rows.is_empty();
        if at_edge && rows.iter().all(|row| self.fate(row.number).moved) {
            return Judgement::NotPromised;
        }
        self.broken_promise(page, &rows).map_or(Judgement::Kept, Judgement::Broken)
    }

    fn is_still(&self) -> bool {
        self.scenario.is_still() && !self.scenario.traits.lags
    }

    /// Checks the promises of every page, and returns the first broken one.
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
            return Some(format!("G2 none repeated: row {} is repeated on a page", row.number));
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

    /// Checks the promises about rows that stood still, and returns the first broken one. No such row is skipped or
    /// repeated, these rows come in order, and a page links back if one of them lies on the side that the walk came
    /// from.
    fn broken_promise(&self, page: &Page, rows: &[Row]) -> Option<String> {
        let forward = self.forward();
        // In the state in which the cursor was made: the rows that the walk had passed, the rows ahead of it, and the
        // rows of the cursor's page.
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
        // A row that moved while the cursor's page was read may be both on that page and ahead of the place. The page
        // has served such a row, so it isn't due. The other rows ahead are due up to the page's last row; on the last
        // page all of them are.
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
        // Returns whether a row lies on the side of the page that the walk came from.
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

    /// Checks the promises about a list that never changes, and returns the first broken one.
    fn undisturbed(&self, page: &Page, rows: &[Row]) -> Option<String> {
        let traits = &self.scenario.traits;
        let visible: Vec<&Row> = self.at_first.iter().filter(|row| !row.is_hidden(traits.hides)).collect();
        let at = rows.first().map_or(0, |first| visible.iter().position(|row| *row == first).unwrap_or(0));
        if !visible.iter().skip(at).take(rows.len()).copied().eq(rows) {
            return Some("G3 in order: not the rows at that place".to_owned());
        }
        // If rows are hidden, the budget may be spent on answers without items. The core then can't know whether more
        // rows follow.
        let spent = traits.hides > 0 && page.notes.requests >= 8;
        let ends = (page.previous.is_none(), page.next.is_none());
        if !rows.is_empty() && !spent && ends != (at == 0, at + rows.len() == visible.len()) {
            return Some(format!("ends: at the start and at the end: {ends:?}"));
        }
        if page.notes.stragglers > 0 {
            return Some("G6 honest: stragglers where nothing moves".to_owned());
        }
        // One request is enough if an answer can hold three pages and shows whether the list ends there.
        let wide = matches!(traits.sizes, Sizes::Free { most: Some(cap), .. } if cap >= (self.limit + 2) * 3);
        let known = traits.says == Says::Total || traits.end != EndEvidence::Unvouched;
        let amid = ends == (false, false) && traits.hides == 0 && !self.marks().is_empty();
        (wide && known && amid && page.notes.requests > 1).then(|| format!("cost: {} requests", page.notes.requests))
    }
}
