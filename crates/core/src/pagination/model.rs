//! A small list for tests, with an endpoint that can filter it, flip it, sort it by its ids, count it and return single
//! items.
//!
//! The list is sorted by stored values. The values that it shows may be coarser.

use std::{cmp::Ordering, collections::HashSet, sync::Arc};

use super::{
    answer::{Answer, Standing, Total},
    decimal::{compare_decimals, moved_decimal},
    fetch::{Fetch, Listing},
    filter::{Comparison, Comparisons, Filter, Filters},
    instant::Instant,
    key::{KeyValue, TEXT_KEPT},
    mark::{Mark, Marker},
    order::{Direction, Kind, Nulls, Order, SortKey, Ties},
    page::Page,
    paging::{EndEvidence, Family, Paging, Sizes, UpstreamProfile},
    position::{Hint, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, Step, resolve},
    window::Slice,
};
use crate::json::Span;

/// A stored value, or `None` for null.
pub(super) type Stored = Option<Value>;

/// A stored value that isn't null; the endpoint sorts by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Decimal(String),
    Instant(String),
    Text(String),
    Boolean(bool),
}

impl Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Decimal(left), Self::Decimal(right)) => compare_decimals(left.as_bytes(), right.as_bytes()).unwrap(),
            (Self::Instant(left), Self::Instant(right)) => {
                Instant::parse(left.as_bytes()).unwrap().cmp(&Instant::parse(right.as_bytes()).unwrap())
            }
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            _ => panic!("{self:?} with {other:?}"),
        }
    }

    /// Converts a filter's value into a value of the same kind as `self`.
    fn like(&self, asked: &KeyValue) -> Self {
        let text = |asked: &KeyValue| match asked {
            KeyValue::Number(digits) => digits.clone(),
            KeyValue::Text(text) => String::from_utf8(text.clone()).expect("filters are whole characters"),
            other => panic!("{other:?}"),
        };
        match self {
            Self::Decimal(_) => Self::Decimal(text(asked)),
            Self::Instant(_) => Self::Instant(text(asked)),
            Self::Text(_) => Self::Text(text(asked)),
            Self::Boolean(_) => Self::Boolean(*asked == KeyValue::Boolean(true)),
        }
    }
}

impl Value {
    /// Adds `by` to a whole number. Other values stay unchanged.
    fn shifted(self, by: i64) -> Self {
        match self {
            Self::Decimal(digits) if by != 0 => Self::Decimal((digits.parse::<i64>().unwrap() + by).to_string()),
            other => other,
        }
    }
}

/// A row of the list. Each cell is a stored value with the raw JSON that shows it: the strong keys, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) cells: Vec<(Stored, String)>,
}

impl Row {
    pub(super) fn id(&self) -> &str {
        &self.cells[self.cells.len() - 1].1
    }
}

/// The list, the abilities of its endpoint, and the requests that the endpoint received for the last page.
#[derive(Debug)]
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    pub(super) order: Order,
    pub(super) filters: Option<Filters>,
    pub(super) flips: bool,
    pub(super) paging: Paging,
    pub(super) cap: u32,
    /// True if answers state a total: the number of items that pass the filter.
    pub(super) totals: bool,
    /// The ids of the rows that the endpoint leaves out after the limit is applied.
    pub(super) left_out: HashSet<String>,
    /// The number of rows that an answer has room for, from the place of its first row in the whole list.
    pub(super) room: fn(usize) -> usize,
    /// The flag of more items, from whether more rows follow.
    pub(super) more: fn(bool) -> Option<bool>,
    /// True if the endpoint ignores filters.
    pub(super) ignores: bool,
    /// The number that the endpoint adds to a whole number in a filter before it compares. It simulates filters by
    /// times that work in another zone.
    pub(super) shift: i64,
    pub(super) profile: UpstreamProfile,
    pub(super) asked: Vec<Fetch>,
    /// The change that is made to the list after each answer; `None` if the list doesn't change. The number is
    /// pseudo-random.
    pub(super) change: Option<fn(&mut Self, u64)>,
    /// The ids of the rows that `change` has changed or removed.
    pub(super) touched: HashSet<String>,
    /// The number of queries so far. Unordered ties come in another sequence with each query.
    pub(super) queries: u64,
}

/// Returns a key that is never null and has no grain.
pub(super) fn key(name: &str, kind: Kind, direction: Direction) -> SortKey {
    SortKey { name: name.into(), direction, kind, nulls: Nulls::None, grain: None }
}

/// Every comparison.
pub(super) const ALL: Comparisons =
    Comparisons { less: true, less_or_equal: true, greater: true, greater_or_equal: true, equal: true, nulls: true };

/// Only `<=` and `>=`.
pub(super) const INCLUSIVE: Comparisons = Comparisons {
    less: false,
    less_or_equal: true,
    greater: false,
    greater_or_equal: true,
    equal: false,
    nulls: false,
};

/// Only `<` and `>`.
pub(super) const EXCLUSIVE: Comparisons = Comparisons {
    less: true,
    less_or_equal: false,
    greater: true,
    greater_or_equal: false,
    equal: false,
    nulls: false,
};

impl List {
    /// Returns a list with these strong keys. Its ids are numbers from 100 on, not in the sequence of the rows.
    pub(super) fn new(strong: Vec<SortKey>, rows: impl IntoIterator<Item = Vec<(Stored, String)>>) -> Self {
        let rows = rows.into_iter().enumerate().map(|(number, mut cells)| {
            let id = (100 + (number * 7) % 1_009).to_string();
            cells.push((Some(Value::Decimal(id.clone())), id));
            Row { cells }
        });
        let columns = strong.len() + 1;
        Self {
            rows: rows.collect(),
            order: Order {
                strong,
                id: key("id", Kind::Number, Direction::Ascending),
                ties: Ties::Unordered,
                declared: true,
            },
            filters: Some(Filters { columns: vec![INCLUSIVE; columns], ..Filters::default() }),
            flips: true,
            paging: Paging {
                end: EndEvidence::ShortPage,
                ..Paging::new(Family::Offset, Sizes::Free { least: 1, most: Some(100) })
            },
            cap: 100,
            totals: true,
            left_out: HashSet::new(),
            room: |_| usize::MAX,
            more: |_| None,
            ignores: false,
            shift: 0,
            profile: UpstreamProfile::default(),
            asked: Vec::new(),
            change: None,
            touched: HashSet::new(),
            queries: 0,
        }
    }

    fn compare(key: &SortKey, left: &Stored, right: &Stored) -> Ordering {
        let descending = key.direction == Direction::Descending;
        let null_first = match key.nulls {
            Nulls::First => true,
            Nulls::Smallest => !descending,
            Nulls::Largest => descending,
            Nulls::Last | Nulls::None | Nulls::Unsaid => false,
        };
        match (left, right) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => {
                if null_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Some(_), None) => {
                if null_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Some(left), Some(right)) => {
                let ascending = left.cmp(right);
                if descending { ascending.reverse() } else { ascending }
            }
        }
    }

    /// Returns the rows in the list's order, or sorted only by the id if `by_id` is true. The sequence of unordered
    /// ties depends on `turn`.
    fn sorted(&self, by_id: bool, turn: u64) -> Vec<Row> {
        let mut rows = self.rows.clone();
        let keys: Vec<&SortKey> = self.order.strong.iter().chain([&self.order.id]).collect();
        rows.sort_by(|left, right| {
            let compared = |column: usize| Self::compare(keys[column], &left.cells[column].0, &right.cells[column].0);
            let strong = (0..keys.len() - 1).map(compared).find(|ordering| ordering.is_ne());
            let id = compared(keys.len() - 1);
            match strong {
                Some(ordering) if !by_id => ordering,
                _ if by_id || self.order.ties == Ties::Ordered || self.order.strong.is_empty() => id,
                _ => {
                    let shuffled = |row: &Row| mixed(row.id().parse::<u64>().unwrap_or(0) ^ (turn << 20));
                    shuffled(left).cmp(&shuffled(right)).then(id)
                }
            }
        });
        rows
    }

    fn passes(&self, filter: &Filter, row: &Row) -> bool {
        match filter {
            Filter::And(all) => all.iter().all(|filter| self.passes(filter, row)),
            Filter::Or(any) => any.iter().any(|filter| self.passes(filter, row)),
            Filter::Compare { column, comparison, value } => {
                let stored = &row.cells[*column].0;
                let ordering = match (stored, value) {
                    (Some(stored), Some(value)) => Some(stored.cmp(&stored.like(value).shifted(self.shift))),
                    _ => None,
                };
                match comparison {
                    Comparison::Less => ordering == Some(Ordering::Less),
                    Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
                    Comparison::Greater => ordering == Some(Ordering::Greater),
                    Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
                    Comparison::Equal => ordering == Some(Ordering::Equal),
                    Comparison::Null => stored.is_none(),
                    Comparison::NotNull => stored.is_some(),
                }
            }
        }
    }

    /// Asserts that a filter contains only comparisons and combinations that the endpoint offers.
    fn check(&self, filter: &Filter) {
        let filters = self.filters.as_ref().expect("there are filters");
        match filter {
            Filter::And(all) => {
                assert!(filters.both, "{filter:?}");
                all.iter().for_each(|filter| self.check(filter));
            }
            Filter::Or(any) => {
                assert!(filters.either, "{filter:?}");
                any.iter().for_each(|filter| self.check(filter));
            }
            Filter::Compare { column, comparison, .. } => {
                let can = filters.columns[*column];
                assert!(
                    match comparison {
                        Comparison::Less => can.less,
                        Comparison::LessOrEqual => can.less_or_equal,
                        Comparison::Greater => can.greater,
                        Comparison::GreaterOrEqual => can.greater_or_equal,
                        Comparison::Equal => can.equal,
                        Comparison::Null | Comparison::NotNull => can.nulls,
                    },
                    "{filter:?}"
                );
            }
        }
    }

    fn slice(&mut self, slice: Slice, listing: &Listing) -> Answer {
        self.queries += 1;
        if let Some(filter) = &listing.filter {
            self.check(filter);
        }
        assert!(self.flips || !listing.flipped, "the list can't be flipped");
        assert!(!listing.by_id || self.filters.as_ref().is_some_and(|filters| filters.sorts_by_id));
        let mut rows = self.sorted(listing.by_id, self.queries);
        if listing.flipped {
            rows.reverse();
        }
        if let Some(filter) = listing.filter.as_ref().filter(|_| !self.ignores) {
            rows.retain(|row| self.passes(filter, row));
        }
        let size = slice.size().0.min(self.cap);
        let begins = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(u64::from(size)),
        };
        let total = self.totals.then_some(Total { value: rows.len() as u64, exact: true });
        let first = rows.get(usize::try_from(begins).unwrap());
        let place = first.and_then(|first| self.rows.iter().position(|row| row.id() == first.id()));
        let size = (size as usize).min(place.map_or(usize::MAX, self.room));
        let wanted = rows.iter().skip(usize::try_from(begins).unwrap()).take(size);
        let more = (self.more)(begins.saturating_add(size as u64) < rows.len() as u64);
        Answer { total, more, ..answer(wanted.filter(|row| !self.left_out.contains(row.id()))) }
    }

    pub(super) fn answer(&mut self, fetch: &Fetch) -> Answer {
        match fetch {
            Fetch::Slice(slice, listing) => self.slice(*slice, listing),
            Fetch::Item(id) => {
                // The id is written as in a path, where a number and a string look the same.
                let written = match id {
                    KeyValue::Number(id) => id.as_bytes(),
                    KeyValue::Text(id) => id,
                    KeyValue::Null | KeyValue::Boolean(_) => b"",
                };
                let is_asked = |row: &&Row| row.id().trim_matches('"').as_bytes().eq_ignore_ascii_case(written);
                match self.rows.iter().find(is_asked) {
                    Some(row) => answer([row]),
                    None => Answer { standing: Standing::Gone, ..Answer::default() },
                }
            }
            Fetch::Count => {
                Answer { total: Some(Total { value: self.rows.len() as u64, exact: true }), ..Answer::default() }
            }
            Fetch::Token(_) => panic!("{fetch:?} of a list by offset"),
        }
    }

    pub(super) fn request(&self, target: Target, limit: u32) -> PageRequest {
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |hash, byte| mixed(hash ^ u64::from(*byte)))));
        let (order, paging) = (Arc::new(self.order.clone()), Arc::new(self.paging.clone()));
        PageRequest::new(target, Limit::at_least_one(limit), order, paging, marker)
            .flips(self.flips)
            .filters(self.filters.clone().map(Arc::new))
            .profile(self.profile)
    }

    /// Reads a page. Afterwards `asked` contains the requests of the page.
    pub(super) fn resolve(&mut self, request: PageRequest) -> Result<Page, Refusal> {
        self.asked.clear();
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let answers = fetches.iter().map(|fetch| {
                        let answer = self.answer(fetch);
                        if let Some(change) = self.change {
                            change(self, mixed(self.queries));
                        }
                        answer
                    });
                    let answers = answers.collect();
                    self.asked.extend(fetches);
                    assert!(self.asked.len() < 100, "{:?}", self.asked);
                    pending.resume(answers)
                }
                Step::Serve(page) => {
                    self.profile = page.notes.profile;
                    assert_eq!(page.notes.requests as usize, self.asked.len(), "{:?}", self.asked);
                    return Ok(*page);
                }
                Step::Refuse(refusal) => return Err(refusal),
            };
        }
    }

    pub(super) fn page(&mut self, target: Target, limit: u32) -> Result<Page, Refusal> {
        self.resolve(self.request(target, limit))
    }

    /// Returns the filter of each slice that was requested for the last page; `None` for a slice of the whole list.
    pub(super) fn filters_asked(&self) -> Vec<Option<Filter>> {
        let filter = |fetch: &Fetch| match fetch {
            Fetch::Slice(_, listing) => Some(listing.filter.as_deref().cloned()),
            _ => None,
        };
        self.asked.iter().filter_map(filter).collect()
    }

    /// Reads every page from `from` on, in the direction of its position.
    pub(super) fn walk(&mut self, from: Target, limit: u32) -> Vec<Page> {
        let backward = from.position.is_backward();
        let mut pages: Vec<Page> = Vec::new();
        let mut target = Some(from);
        while let Some(at) = target {
            let said = format!("{at:?}");
            let page = self.page(at, limit).unwrap_or_else(|refusal| panic!("{refusal:?} at {said}: {:?}", self.asked));
            target = if backward { page.previous.clone() } else { page.next.clone() };
            pages.push(page);
            assert!(pages.len() <= self.rows.len() + 3, "the walk has no end");
        }
        pages
    }

    /// Returns the ids of all rows in the sequence that clients should get: sorted by the shown keys, then by the id.
    pub(super) fn expected(&self) -> Vec<String> {
        let mut rows = self.sorted(false, 0);
        // Rows with equal shown keys are a run of ties, which clients get sorted by the id.
        let kept = |shown: &str| shown.bytes().take(1 + TEXT_KEPT).collect::<Vec<_>>();
        let keys = |row: &Row| row.cells[..row.cells.len() - 1].iter().map(|cell| kept(&cell.1)).collect::<Vec<_>>();
        let column = self.order.strong.len();
        for run in rows.chunk_by_mut(|left, right| keys(left) == keys(right)) {
            run.sort_by(|left, right| Self::compare(&self.order.id, &left.cells[column].0, &right.cells[column].0));
        }
        rows.iter().map(|row| row.id().to_owned()).collect()
    }
}

/// Returns the ids of a page's items.
pub(super) fn ids(page: &Page) -> Vec<String> {
    let id = |item: &[u8]| String::from_utf8(item.to_vec()).unwrap().rsplit('|').next().unwrap().to_owned();
    (0..page.items.len()).map(|at| id(page.item(at))).collect()
}

pub(super) fn start() -> Target {
    Target { position: Position::Start, hint: Hint::default() }
}

pub(super) fn end() -> Target {
    Target { position: Position::End, hint: Hint::default() }
}

/// Returns the cell of a whole number that is shown as it is stored.
pub(super) fn whole(number: i64) -> (Stored, String) {
    (Some(Value::Decimal(number.to_string())), number.to_string())
}

/// Returns the cell of a string that is shown as it is stored.
pub(super) fn text(text: &str) -> (Stored, String) {
    (Some(Value::Text(text.to_owned())), format!("\"{text}\""))
}

pub(super) fn null() -> (Stored, String) {
    (None, "null".to_owned())
}

/// Returns the cell of a number of millionths. It is shown with only `digits` digits after the point; the others are
/// rounded if `rounded` is true, and otherwise cut off.
pub(super) fn coarse(millionths: i64, digits: u32, rounded: bool) -> (Stored, String) {
    let one = 10_i64.pow(6 - digits);
    let shown = if rounded { (millionths + one / 2).div_euclid(one) } else { millionths / one };
    let spelt = |number: i64, digits: u32| {
        let exponent = format!("{number}e-{digits}");
        // A step up and a step down in the last digit give the same number, spelt without an exponent.
        let up = moved_decimal(exponent.as_bytes(), u8::try_from(digits).unwrap(), true).unwrap();
        moved_decimal(up.as_bytes(), u8::try_from(digits).unwrap(), false).unwrap()
    };
    (Some(Value::Decimal(spelt(millionths, 6))), spelt(shown, digits))
}

/// Returns the cell of an instant that is `micros` microseconds after 10 o'clock. It is shown in milliseconds, rounded
/// if `rounded` is true and otherwise cut off.
pub(super) fn instant(micros: i64, rounded: bool) -> (Stored, String) {
    let time = |micros: i64| format!("{:02}:{:02}", micros / 60_000_000, micros / 1_000_000 % 60);
    let shown = if rounded { micros + 500 } else { micros } / 1_000 * 1_000;
    let stored = format!("2026-01-15T10:{}.{:06}Z", time(micros), micros % 1_000_000);
    (Some(Value::Instant(stored)), format!("\"2026-01-15T10:{}.{:03}Z\"", time(shown), shown % 1_000_000 / 1_000))
}

fn answer<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Answer {
    let (mut body, mut items, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let begin = u32::try_from(body.len()).unwrap();
        for (_, shown) in &row.cells {
            body.push(b'|');
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice(shown.as_bytes());
            keys.push(Span { start, end: u32::try_from(body.len()).unwrap() });
        }
        items.push(Span { start: begin, end: u32::try_from(body.len()).unwrap() });
    }
    Answer { body, items, keys, ..Answer::default() }
}

/// Returns a pseudo-random number for a seed (SplitMix64).
pub(super) fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
