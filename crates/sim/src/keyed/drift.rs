//! The number of requests that find a place again after a list has changed. The lists have millions of items, which are
//! computed and never held in memory.

use std::{fmt::Write as _, sync::Arc};

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Total},
        fetch::Fetch,
        key::KeyValue,
        mark::{Mark, Marker},
        order::{Direction, Kind, Nulls, Order, SortKey, Ties},
        page::{Level, Page},
        paging::{Family, Paging, Sizes},
        position::{Anchor, Hint, Position, Target},
        resolver::{Budget, Limit, PageRequest, Step, resolve},
        window::{Offset, Slice},
    },
};

use crate::keyed::cost::further;

/// The number of items when the cursor was made. The cursor's item [`ANCHOR`] is in the middle of them.
const ROWS: u64 = 2_400_000;
const ANCHOR: i64 = 1_200_000;
const CAP: u32 = 100;
const LIMIT: u32 = 20;
const DRIFTS: [u64; 5] = [1, 10, 100, 10_000, 1_000_000];

/// The change of the list since the cursor was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Items were inserted before all others.
    Inserts,
    /// The first items were deleted.
    Deletes,
    /// Items were inserted before all others, and as many were deleted after the place, so the total is unchanged.
    Both,
}

/// A list of consecutive numbers, from `first` on.
#[derive(Clone, Copy, Debug)]
struct List {
    first: i64,
    length: u64,
    family: Family,
    tells_total: bool,
}

impl List {
    fn after(change: Change, drift: u64, family: Family, tells_total: bool) -> Self {
        let by = drift as i64;
        let (first, length) = match change {
            Change::Inserts => (-by, ROWS + drift),
            Change::Deletes => (by, ROWS - drift),
            Change::Both => (-by, ROWS),
        };
        Self { first, length, family, tells_total }
    }

    fn paging(&self) -> Arc<Paging> {
        Arc::new(Paging::new(self.family, Sizes::Free { least: 1, most: Some(CAP) }))
    }

    fn answer(&self, fetch: &Fetch) -> Answer {
        let Fetch::Slice(slice, _) = fetch else { panic!("{fetch:?}") };
        let size = u64::from(slice.size().0);
        assert!(size <= u64::from(CAP) && matches!(slice, Slice::Page { .. }) == (self.family == Family::Page));
        let from = slice.begins().0.min(self.length);
        let to = (from + size).min(self.length);
        let (mut text, mut items, mut keys) = (String::from("["), Vec::new(), Vec::new());
        for offset in from..to {
            let number = self.first + offset as i64;
            let start = text.len() as u32;
            let _ = write!(text, "{number}");
            let span = Span { start, end: text.len() as u32 };
            items.push(span);
            keys.extend([span, span]);
            text.push(',');
        }
        let total = self.tells_total.then_some(Total { value: self.length, exact: true });
        let mut answer = Answer::listed(text.into_bytes(), items, keys);
        answer.total = total;
        answer
    }
}

fn order() -> Arc<Order> {
    let key = |name: &str| SortKey {
        name: name.to_owned(),
        direction: Direction::Ascending,
        kind: Kind::Number,
        nulls: Nulls::None,
        grain: None,
    };
    Arc::new(Order::declared(vec![key("rank")], key("id"), Ties::Ordered))
}

/// Returns the page after the anchor, or before it if `forward` is false, and the number of requests that the page
/// took.
fn page(list: &List, forward: bool) -> Result<(Page, u64), String> {
    let number = KeyValue::Number(ANCHOR.to_string());
    let anchor = Anchor { keys: vec![number.clone()], id: number };
    let (position, offset) = match forward {
        true => (Position::After(anchor), ANCHOR as u64 + 1),
        false => (Position::Before(anchor), ANCHOR as u64),
    };
    let total = list.tells_total.then_some(ROWS);
    let target = Target { position, hint: Hint { offset: Offset(offset), total, honoured: CAP, ..Hint::default() } };
    let marker = Marker::new(|_| Mark::of(0));
    let request = PageRequest::new(target, Limit::at_least_one(LIMIT), order(), list.paging(), marker)
        .budget(Budget::new(8, 64))
        .tells_total(list.tells_total);
    let (mut step, mut requests) = (resolve(request), 0);
    loop {
        match step {
            Step::Fetch(fetches, pending) => {
                requests += fetches.len() as u64;
                step = pending.resume(fetches.iter().map(|fetch| list.answer(fetch)).collect());
            }
            Step::Serve(page) => return Ok((*page, requests)),
            Step::Refuse(refusal) => return Err(format!("{refusal:?} after {requests} requests")),
        }
    }
}

/// Returns the number of requests for the page after the anchor, and for the page before it. Asserts that both pages
/// have the right items and are `exact`.
fn measured(list: &List) -> [Result<u64, String>; 2] {
    [true, false].map(|forward| {
        let (page, requests) = page(list, forward)?;
        let numbers: Vec<String> =
            (0..page.items.len()).map(|index| String::from_utf8_lossy(page.item(index)).into_owned()).collect();
        let first = if forward { ANCHOR + 1 } else { ANCHOR - i64::from(LIMIT) };
        let expected: Vec<String> = (first..first + i64::from(LIMIT)).map(|number| number.to_string()).collect();
        assert_eq!((numbers, page.level()), (expected, Level::Exact), "{list:?}, forward {forward}");
        Ok(requests)
    })
}

#[test]
fn a_place_is_found_again_within_the_bound() {
    println!("requests for a page after a drift of d, forward and back; cap {CAP}, limit {LIMIT}, {ROWS} rows");
    println!(
        "{:>9}  {:8}  {:>13}  {:>13}  {:>13}  {:>13}  {:>5}",
        "d", "change", "offset, total", "offset", "page, total", "page", "bound"
    );
    let mut beyond = Vec::new();
    for drift in DRIFTS {
        for change in [Change::Inserts, Change::Deletes, Change::Both] {
            let bound = 1 + further(drift, CAP);
            let mut cells = Vec::new();
            for (family, tells_total) in
                [(Family::Offset, true), (Family::Offset, false), (Family::Page, true), (Family::Page, false)]
            {
                let requests = measured(&List::after(change, drift, family, tells_total));
                // If all changes were before the place, the difference of the totals is the drift. Two requests then
                // find the place, or three if the upstream pages by number.
                let one_sided = tells_total && change != Change::Both;
                let most = if one_sided { bound.min(2 + u64::from(family == Family::Page)) } else { bound };
                if requests.iter().any(|requests| requests.as_ref().map_or(true, |&requests| requests > most)) {
                    beyond
                        .push(format!("{change:?} of {drift}, {family:?}, total {tells_total}: {requests:?} > {most}"));
                }
                let [forward, back] =
                    requests.map(|requests| requests.map_or_else(|_| "-".to_owned(), |count| count.to_string()));
                cells.push(format!("{forward:>9} {back:>3}"));
            }
            println!("{drift:>9}  {:8}  {}  {bound:>5}", format!("{change:?}").to_lowercase(), cells.join("  "));
        }
    }
    assert!(beyond.is_empty(), "more requests than promised: {beyond:#?}");
}
