//! A model of an upstream that leaves out rows after it has applied the size, and of its statements about the end.

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total as Count},
        fetch::Fetch,
        window::Slice,
    },
};

use crate::ends::{
    facts::{Flag, Past, Total},
    scenario::{CAP, Change, FIXED, Mode, Place, Scenario},
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
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) ids: Vec<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) more: Option<bool>,
}

pub(crate) struct Upstream<'a> {
    scenario: &'a Scenario,
    pub(crate) rows: Vec<Row>,
    pub(crate) queries: usize,
    pub(crate) changes: u64,
    /// The answers since the last page began.
    pub(crate) said: Vec<Said>,
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
        Self { scenario, rows, queries: 0, changes: 0, said: Vec::new(), story }
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
        assert!(!listing.flipped && listing.filter.is_none(), "the route can't flip or filter: {listing:?}");
        let asked = slice.size().0;
        let size = u64::from(if self.scenario.mode == Mode::Fixed { FIXED } else { asked.min(CAP) });
        let start = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(size),
        };
        let cut = self.cut(start, size, lapsed);
        let mut answer = match cut {
            Some(ids) => listed(&ids),
            None => Answer::without_items(Standing::PastEnd),
        };
        let ids: Vec<u64> = (0..answer.items().len()).map(|index| number(answer.item(index))).collect();
        if answer.standing == Standing::Listed {
            answer.total = self.total(start, ids.len(), lapsed).map(|value| Count { value, exact: true });
            answer.more = self.more(start, size, ids.len(), lapsed);
        }
        let said = Said { ids, total: answer.total.map(|total| total.value), more: answer.more };
        self.tell(|| told(start, size, &answer.standing, &said));
        self.said.push(said);
        answer
    }

    /// Returns the ids that an answer shows; `None` for a status instead of a list.
    fn cut(&self, start: u64, size: u64, lapsed: bool) -> Option<Vec<u64>> {
        let count = self.rows.len() as u64;
        let past = self.scenario.facts.past;
        if lapsed {
            return Some(Vec::new());
        }
        if past == Past::Status && start >= count && start > 0 {
            return None;
        }
        let repeats = matches!(past, Past::Repeat | Past::DeclaredRepeat) && start >= count && count > 0;
        let start = match past {
            Past::First if start >= count => 0,
            _ if repeats => (count - 1) / size * size,
            _ => start,
        };
        let end = start.saturating_add(size).min(count).min(self.scenario.window.map_or(u64::MAX, u64::from));
        let rows = self.rows.get(start as usize..end as usize).unwrap_or_default();
        Some(rows.iter().filter(|row| row.visible).map(|row| row.id).collect())
    }

    fn total(&self, start: u64, items: usize, lapsed: bool) -> Option<u64> {
        let total = self.scenario.facts.total?;
        let rows = self.rows.len() as u64;
        let visible = self.rows.iter().filter(|row| row.visible).count() as u64;
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
        })
    }

    fn more(&self, start: u64, size: u64, items: usize, lapsed: bool) -> Option<bool> {
        let flag = self.scenario.facts.flag?;
        let reached = start.saturating_add(size).min(self.rows.len() as u64) as usize;
        Some(match flag {
            _ if lapsed => false,
            Flag::Right => self.rows[reached..].iter().any(|row| row.visible),
            Flag::Rows => reached < self.rows.len(),
            Flag::Always => true,
            Flag::Never => false,
            Flag::Full => items as u64 == size,
        })
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

fn told(start: u64, size: u64, standing: &Standing, said: &Said) -> String {
    let Said { ids, total, more } = said;
    let total = total.map_or_else(String::new, |total| format!(", total {total}"));
    let more = more.map_or_else(String::new, |more| format!(", more {more}"));
    let status = if *standing == Standing::PastEnd { " past the end" } else { "" };
    format!("    rows {start}+{size}:{status} {}{total}{more}", range(ids))
}

/// Returns the places of the first and the last item in the list when the walk began, and their number.
pub(crate) fn range(ids: &[u64]) -> String {
    let place = |id: u64| (id as f64 - FIRST as f64) / APART as f64;
    match ids {
        [] => "no items".to_owned(),
        [id] => format!("1 item, {}", place(*id)),
        [first, .., last] => format!("{} items, {} to {}", ids.len(), place(*first), place(*last)),
    }
}
