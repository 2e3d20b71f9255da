//! A model of an upstream that leaves out rows after it has applied the size, and of its statements about the end.

use std::sync::Arc;

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total as Count},
        fetch::{Fetch, Listing},
        filter::{Comparison, Filter},
        key::KeyValue,
        window::Slice,
    },
};

use crate::{
    dice::mix,
    ends::{
        facts::{Flag, Past, Total},
        kinds::{Given, Met},
        scenario::{CAP, Change, Cuts, FIXED, Mode, Place, Scenario},
    },
};

/// A row of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) visible: bool,
    /// True if the row was in the list when the walk began.
    pub(crate) first: bool,
}

/// The statements and items of one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) ids: Vec<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) more: Option<bool>,
    /// The filter whose rows the total counts; `None` if it counts all rows.
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) flipped: bool,
}

impl Said {
    /// Returns how many of these items the total counts.
    pub(crate) fn counted(&self, ids: &[u64]) -> u64 {
        let passes = |id: &&u64| self.filter.as_ref().is_none_or(|filter| passes(filter, **id));
        ids.iter().filter(passes).count() as u64
    }
}

pub(crate) struct Upstream<'a> {
    scenario: &'a Scenario,
    pub(crate) rows: Vec<Row>,
    pub(crate) queries: usize,
    pub(crate) changes: u64,
    /// The answers since the last page began.
    pub(crate) said: Vec<Said>,
    pub(crate) met: Met,
    /// True if a request failed that the page needs.
    pub(crate) fails: bool,
    /// The story; `None` if it isn't told.
    pub(crate) story: Option<Vec<String>>,
}

/// The distance of the ids of neighbouring rows, so rows can come between them.
const APART: u64 = 1 << 20;

/// The id of the first row, before which rows can come.
const FIRST: u64 = 1 << 40;

impl<'a> Upstream<'a> {
    pub(crate) fn new(scenario: &'a Scenario, telling: bool) -> Self {
        let row = |(place, visible): (u64, &bool)| Row { id: FIRST + place * APART, visible: *visible, first: true };
        let rows = (0..).zip(&scenario.rows).map(row).collect();
        let story = telling.then(Vec::new);
        Self { scenario, rows, queries: 0, changes: 0, said: Vec::new(), met: Met::default(), fails: false, story }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// Makes the change that is due before the next answer.
    fn change(&mut self) {
        let Some(change) = self.scenario.plan.get(self.queries).copied().flatten() else { return };
        self.changes += 1;
        let count = self.rows.len();
        match change {
            Change::Insert(place) => {
                let at = match place {
                    Place::Head => 0,
                    Place::Middle(number) => number as usize % (count + 1),
                    Place::Tail => count,
                };
                let after = self.rows.get(at).map(|row| row.id);
                let before = at.checked_sub(1).map(|place| self.rows[place].id);
                let low = before.unwrap_or_else(|| after.map_or(FIRST, |after| after - 2 * APART));
                let high = after.unwrap_or(low + 2 * APART);
                let id = u64::midpoint(low, high);
                // After twenty insertions at one place there is no id left between its neighbours.
                if id > low {
                    self.rows.insert(at, Row { id, visible: true, first: false });
                }
            }
            Change::Delete(_) if count == 0 => {}
            Change::Delete(place) => {
                self.rows.remove(match place {
                    Place::Head => 0,
                    Place::Middle(number) => number as usize % count,
                    Place::Tail => count - 1,
                });
            }
        }
    }

    pub(crate) fn answer(&mut self, fetch: &Fetch) -> Answer {
        self.change();
        let lapsed = self.scenario.lapse.is_some_and(|lapse| lapse as usize == self.queries);
        self.queries += 1;
        let Fetch::Slice(slice, listing) = fetch else { panic!("{fetch:?}") };
        let filters = self.scenario.mode.filters();
        assert!(
            filters || (!listing.flipped && listing.filter.is_none()),
            "the route can't flip or filter: {listing:?}"
        );
        let asked = slice.size().0;
        let size = u64::from(if self.scenario.mode == Mode::Fixed { FIXED } else { asked.min(CAP) });
        let start = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(size),
        };
        let rows = self.listed(listing);
        let shown = self.cut(&rows, start, size, lapsed);
        let mut answer = match &shown {
            Some(shown) => listed(&shown.ids),
            None => Answer::without_items(Standing::PastEnd),
        };
        self.fails |= shown.is_none() && self.scenario.facts.past == Past::Undeclared && !listing.is_probe;
        let ids = shown.as_ref().map(|shown| shown.ids.clone()).unwrap_or_default();
        if let Some(Shown { fitting, .. }) = shown {
            let reached = start.saturating_add(fitting).min(rows.len() as u64) as usize;
            answer.total = self.total(&rows, start, ids.len(), lapsed).map(|value| Count { value, exact: true });
            answer.more = self.more(&rows[reached..], ids.len() as u64 == size, lapsed);
        }
        let given = shown.map(|shown| self.given(&rows, &shown, size));
        // The total of the whole list counts more than the filtered rows.
        let of_all = self.scenario.facts.total == Some(Total::List);
        let filter = listing.filter.clone().filter(|_| !of_all);
        let (total, more) = (answer.total.map(|total| total.value), answer.more);
        let said = Said { ids, total, more, filter, flipped: listing.flipped };
        self.met.pages_by_filter |= listing.filter.is_some();
        self.met.flipped |= listing.flipped;
        if let Some(given) = given {
            self.met.add(self.scenario.cuts, listing.filter.is_some(), given);
        }
        self.tell(|| told(start, size, listing, &answer.standing, &said));
        self.said.push(said);
        answer
    }

    /// Returns the rows of a listing, in its order.
    fn listed(&self, listing: &Listing) -> Vec<Row> {
        let passes = |row: &&Row| listing.filter.as_ref().is_none_or(|filter| passes(filter, row.id));
        let mut rows: Vec<Row> = self.rows.iter().filter(passes).copied().collect();
        if listing.flipped {
            rows.reverse();
        }
        rows
    }

    /// Returns what an answer shows; `None` for a status instead of a list.
    fn cut(&self, rows: &[Row], start: u64, size: u64, lapsed: bool) -> Option<Shown> {
        let count = rows.len() as u64;
        let past = self.scenario.facts.past;
        if lapsed {
            return Some(Shown { from: 0, fitting: size, rows: 0, ids: Vec::new() });
        }
        if matches!(past, Past::Status | Past::Undeclared) && start >= count && start > 0 {
            return None;
        }
        let repeats = matches!(past, Past::Repeat | Past::DeclaredRepeat) && start >= count && count > 0;
        let from = match past {
            Past::First if start >= count => 0,
            _ if repeats => (count - 1) / size * size,
            _ => start,
        };
        let fitting = self.fitting(rows.get(from as usize..).unwrap_or_default(), size);
        let end = from.saturating_add(fitting).min(count).min(self.scenario.window.map_or(u64::MAX, u64::from));
        let cut = rows.get(from as usize..end as usize).unwrap_or_default();
        let ids = cut.iter().filter(|row| row.visible).map(|row| row.id).collect();
        Some(Shown { from: from as usize, fitting, rows: cut.len(), ids })
    }

    /// Returns how many of these rows, at most `size`, an answer has room for.
    fn fitting(&self, rows: &[Row], size: u64) -> u64 {
        match self.scenario.cuts {
            Cuts::Never => size,
            Cuts::Rows { from, to, most } => {
                let is_there = |row: &Row| (row_at(from)..row_at(to)).contains(&row.id);
                if rows.first().is_some_and(is_there) { size.min(u64::from(most)) } else { size }
            }
            Cuts::Bytes(most) => {
                let mut bytes = 0;
                // A row that is left out takes no room.
                let fits = |row: &&Row| {
                    bytes += if row.visible { bytes_of(row.id) } else { 0 };
                    bytes <= most
                };
                let fitting = rows.iter().take(size as usize).take_while(fits).count() as u64;
                // Behind the last row, the answer has room for more.
                if fitting == rows.len() as u64 { size } else { fitting.max(1) }
            }
        }
    }

    fn given(&self, rows: &[Row], shown: &Shown, asked: u64) -> Given {
        let after = shown.from.saturating_add(shown.rows);
        let is_behind = |to: u32| rows.get(shown.from).is_some_and(|row| row.id >= row_at(to));
        Given {
            asked,
            rows: shown.rows,
            items: shown.ids.len(),
            goes_on: rows.get(after..).unwrap_or_default().iter().any(|row| row.visible),
            is_behind_the_fall: matches!(self.scenario.cuts, Cuts::Rows { to, .. } if is_behind(to)),
        }
    }

    fn total(&self, listed: &[Row], start: u64, items: usize, lapsed: bool) -> Option<u64> {
        let total = self.scenario.facts.total?;
        let count = |rows: &[Row]| rows.iter().filter(|row| row.visible).count() as u64;
        let (rows, visible) = (listed.len() as u64, count(listed));
        Some(match total {
            _ if lapsed => 0,
            Total::Visible => visible,
            Total::Rows => rows,
            Total::High => visible + 5,
            Total::Huge => 1_000_000,
            Total::Low => visible.saturating_sub(5),
            Total::Page => items as u64,
            Total::RowsOrZero | Total::VisibleOrZero if start >= rows => 0,
            Total::RowsOrZero => rows,
            Total::VisibleOrZero => visible,
            Total::List => count(&self.rows),
        })
    }

    /// Returns the flag of an answer that these rows follow.
    fn more(&self, after: &[Row], is_full: bool, lapsed: bool) -> Option<bool> {
        let flag = self.scenario.facts.flag?;
        Some(match flag {
            _ if lapsed => false,
            Flag::Right => after.iter().any(|row| row.visible),
            Flag::Rows => !after.is_empty(),
            Flag::Always => true,
            Flag::Never => false,
            Flag::Full => is_full,
        })
    }
}

/// What an answer shows.
struct Shown {
    /// The place of its first row in the listing.
    from: usize,
    /// The number of rows that it has room for.
    fitting: u64,
    /// The number of its rows, with those that are left out.
    rows: usize,
    ids: Vec<u64>,
}

/// Returns the id of the row at a place when the walk began.
fn row_at(place: u32) -> u64 {
    FIRST + u64::from(place) * APART
}

/// Returns the length of a row. Neighbouring rows are of about one length, as rows of one kind are.
fn bytes_of(id: u64) -> u32 {
    [40, 150, 600, 1_500][(mix(id / (16 * APART), 0) % 4) as usize]
}

/// Returns whether a row passes a filter, which the core makes of the comparisons that the route offers.
fn passes(filter: &Filter, id: u64) -> bool {
    let Filter::Compare { comparison, value: Some(KeyValue::Number(value)), .. } = filter else { panic!("{filter:?}") };
    let value: u64 = value.parse().unwrap();
    match comparison {
        Comparison::Less => id < value,
        Comparison::LessOrEqual => id <= value,
        Comparison::Greater => id > value,
        Comparison::GreaterOrEqual => id >= value,
        Comparison::Equal | Comparison::Null | Comparison::NotNull => panic!("{filter:?}"),
    }
}

/// Returns an answer with these items, each a JSON number that is its own id.
fn listed(ids: &[u64]) -> Answer {
    let (mut body, mut items) = (Vec::new(), Vec::new());
    for id in ids {
        let start = body.len() as u32;
        body.extend_from_slice(format!("{id},").as_bytes());
        items.push(Span { start, end: body.len() as u32 - 1 });
    }
    Answer::listed(body, items.clone(), items)
}

/// Returns the id of an item.
pub(crate) fn number(item: &[u8]) -> u64 {
    std::str::from_utf8(item).unwrap().parse().unwrap()
}

fn told(start: u64, size: u64, listing: &Listing, standing: &Standing, said: &Said) -> String {
    let Said { ids, total, more, .. } = said;
    let flipped = if listing.flipped { " flipped" } else { "" };
    let filtered = listing.filter.as_ref().map_or_else(String::new, |filter| said_filter(filter));
    let total = total.map_or_else(String::new, |total| format!(", total {total}"));
    let more = more.map_or_else(String::new, |more| format!(", more {more}"));
    let status = if *standing == Standing::PastEnd { " past the end" } else { "" };
    format!("    rows {start}+{size}{flipped}{filtered}:{status} {}{total}{more}", range(ids))
}

/// Returns a filter as words, with the place of its row when the walk began.
fn said_filter(filter: &Filter) -> String {
    match filter {
        Filter::Compare { comparison, value: Some(KeyValue::Number(value)), .. } => {
            format!(" {comparison:?} {}", place(value.parse().unwrap()))
        }
        _ => format!(" {filter:?}"),
    }
}

/// Returns the place of a row when the walk began, between two places if the row came later.
fn place(id: u64) -> f64 {
    (id as f64 - FIRST as f64) / APART as f64
}

/// Returns the places of the first and the last item in the list when the walk began, and their number.
pub(crate) fn range(ids: &[u64]) -> String {
    match ids {
        [] => "no items".to_owned(),
        [id] => format!("1 item, {}", place(*id)),
        [first, .., last] => format!("{} items, {} to {}", ids.len(), place(*first), place(*last)),
    }
}
