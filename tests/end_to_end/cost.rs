//! Tests of the cost of pages at the upstream: the number of requests, repeated requests, and rows.

use std::collections::HashMap;

use crate::harness::{
    gateway::Gateway,
    is_at_length,
    rows::{BY_OFFSET, BY_PAGE, BY_TEN, Reading, Row, Rows, SLICES, SLICES_BY_PAGE, configuration, ids, walk},
    upstream::{Request, Upstream},
};

fn start(rows: &Rows, reading: Reading, route: &str) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, reading, route));
    (upstream, gateway)
}

/// Returns the targets that were requested more than once.
fn repeated(requests: &[Request]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    requests.iter().for_each(|request| *counts.entry(request.target.as_str()).or_default() += 1);
    let often = counts.into_iter().filter(|(_, count)| *count > 1);
    often.map(|(target, count)| format!("{count} times {target}")).collect()
}

/// The routes of these tests. Equal keys are sorted by id in the first route, and come in any order in the second. The
/// third route requests its order from the upstream.
const ROUTES: [&str; 3] = [
    "order = [\"score\", \"id\"]\nties = \"ordered\"",
    "order = [\"score\", \"id\"]",
    "mode = \"offset\"\norder = [\"score\", \"id\"]\nsortable = [\"score\", \"id\"]",
];

/// An unchanged list answers the same request in the same way, so no request is made twice for a page. The exception is
/// a `checked` page, whose proof is a second reading that agrees with the first. The test reads all pages, forward and
/// backward.
///
/// Row: A20
#[test]
fn no_page_of_a_list_at_rest_makes_a_request_twice() {
    let count = if is_at_length() { 83 } else { 47 };
    let (mut faults, mut shown_at_once) = (Vec::new(), 0);
    for reading in [BY_OFFSET, BY_PAGE, SLICES, SLICES_BY_PAGE, BY_TEN] {
        for (run, route) in ROUTES.into_iter().flat_map(|route| [(1, route), (5, route)]) {
            let rows = Rows::new((1..=count).map(|id| Row::new(id, id / run)));
            let route = format!("{route}\npage_size = {{ default = 10, max = 20 }}");
            let (upstream, gateway) = start(&rows, reading, &route);
            for limit in [1, 7, 10, 20] {
                let mut before = upstream.count();
                let mut pages_of = |first: &str, relation: &str| {
                    walk(&gateway, first, relation, &[], |number, page| {
                        let (often, level) =
                            (repeated(&upstream.requests()[before..]), page.header("cursorgate-level"));
                        before = upstream.count();
                        shown_at_once += usize::from(level != Some("checked"));
                        if level != Some("checked") && !often.is_empty() {
                            let what = format!("{reading:?}, {run} to a key, {route}, limit {limit}");
                            faults.push(format!("{what}: page {number} by {relation}, {level:?}: {often:?}"));
                        }
                    })
                };
                let forward = pages_of(&format!("/users?limit={limit}"), "next");
                assert_eq!(forward.iter().flat_map(ids).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
                let back = forward.last().and_then(|page| page.link("prev")).expect("it leads back");
                let last = forward[0].link("last");
                for first in [Some(back), last].into_iter().flatten() {
                    pages_of(&first, "prev");
                }
            }
        }
    }
    assert!(shown_at_once > 2_500, "only {shown_at_once} pages are not checked");
    assert!(faults.is_empty(), "{} pages ask twice:\n{}", faults.len(), faults.join("\n"));
}

/// An answer must extend beyond the whole tie run if equal keys come in any order. The gateway learns the length of the
/// runs. It therefore reads a bounded number of rows for each row that it serves, even if no keys are equal. Aligned
/// pages read more rows than necessary.
///
/// Row: A20
#[test]
fn unordered_ties_cost_few_rows() {
    const COUNT: u64 = 1_003;
    for (reading, run, most) in [(BY_OFFSET, 1, 5), (BY_OFFSET, 5, 5), (BY_PAGE, 1, 5), (BY_PAGE, 5, 6)] {
        let rows = Rows::new((1..=COUNT).map(|id| Row::new(id, id / run)));
        let route = "order = [\"score\", \"id\"]\nties = \"unordered\"";
        let (upstream, gateway) = start(&rows, reading, route);
        let pages = walk(&gateway, "/users?limit=10", "next", &[], |_, _| {});
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=COUNT).collect::<Vec<_>>());
        let number = |request: &Request, name| request.parameter(name).and_then(|text| text.parse::<u64>().ok());
        let read = |request: &Request| {
            let size = number(request, "limit").or_else(|| number(request, "per_page")).expect("a size");
            let page = number(request, "page").map(|page| (page - 1) * size);
            size.min(COUNT.saturating_sub(page.or_else(|| number(request, "offset")).unwrap_or(0)))
        };
        let read: u64 = upstream.requests().iter().map(read).sum();
        assert!(read <= most * COUNT, "{reading:?}, {run} to a key: {read} rows read for {COUNT}");
    }
}

/// The difference between two totals shows by how many rows a list has shifted. A page after many new rows therefore
/// takes no more requests than a page after a few.
///
/// Row: A20
#[test]
fn pages_of_a_fixed_size_are_aimed_by_the_totals() {
    for route in [ROUTES[0], ROUTES[2]] {
        for drift in [1, 10, 100, 1_000, 10_000] {
            let rows = Rows::new((1..=2_003).map(|id| Row::new(id, 1_000_000 + id * 10)));
            let route = format!("{route}\npage_size = {{ default = 10, max = 20 }}");
            let (upstream, gateway) = start(&rows, BY_TEN, &route);
            let (mut target, mut delivered, mut new) = ("/users?limit=10".to_owned(), Vec::new(), 100_000);
            for number in 0..5 {
                let before = upstream.count();
                let page = gateway.get(&target);
                let asked = upstream.count() - before;
                assert_eq!(page.outcome(), "200", "{route}, drift {drift}, page {number}: {page:?}");
                assert!(asked <= 6, "{route}, drift {drift}, page {number}: {asked} requests");
                delivered.extend(ids(&page));
                target = page.link("next").expect("a next page");
                rows.change(|rows| {
                    rows.extend((new..new + drift).map(|id| Row::new(id, 900_000 - id)));
                    rows.sort_by_key(|row| row.score);
                });
                new += drift;
            }
            assert_eq!(delivered, (1..=50).collect::<Vec<_>>(), "{route}, drift {drift}");
        }
    }
}
