//! The cost of pages at the upstream, as the real binary causes it: requests, their repetition, and rows.

use std::collections::HashMap;

use crate::harness::{
    gateway::Gateway,
    rows::{BY_OFFSET, BY_PAGE, BY_TEN, Reading, Row, Rows, SLICES, SLICES_BY_PAGE, configuration, ids, walk},
    upstream::{Request, Upstream},
};

fn start(rows: &Rows, reading: Reading, route: &str) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, reading, route));
    (upstream, gateway)
}

/// Returns the targets that came more than once.
fn repeated(requests: &[Request]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    requests.iter().for_each(|request| *counts.entry(request.target.as_str()).or_default() += 1);
    let often = counts.into_iter().filter(|(_, count)| *count > 1);
    often.map(|(target, count)| format!("{count} times {target}")).collect()
}

/// The routes by which the lists of these tests are read, with equal keys sorted by id, in any order, and sorted by
/// what the upstream is asked for.
const ROUTES: [&str; 3] = [
    "order = [\"score\", \"id\"]\nties = \"ordered\"",
    "order = [\"score\", \"id\"]",
    "mode = \"offset\"\norder = [\"score\", \"id\"]\nsortable = [\"score\", \"id\"]",
];

/// A list at rest answers the same question in the same way. So no request is made twice for one page, unless the page
/// is `checked`: its proof is that a second reading agrees with the first. All pages are looked at, the first, those
/// between and the last, on the way on and back.
///
/// Row: A20
#[test]
fn no_page_of_a_list_at_rest_makes_a_request_twice() {
    const COUNT: u64 = 83;
    let (mut faults, mut shown_at_once) = (Vec::new(), 0);
    for reading in [BY_OFFSET, BY_PAGE, SLICES, SLICES_BY_PAGE, BY_TEN] {
        for (run, route) in ROUTES.into_iter().flat_map(|route| [(1, route), (5, route)]) {
            let rows = Rows::new((1..=COUNT).map(|id| Row::new(id, id / run)));
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
                assert_eq!(forward.iter().flat_map(ids).collect::<Vec<_>>(), (1..=COUNT).collect::<Vec<_>>());
                let back = forward.last().and_then(|page| page.link("prev")).expect("it leads back");
                let last = forward[0].link("last");
                for first in [Some(back), last].into_iter().flatten() {
                    pages_of(&first, "prev");
                }
            }
        }
    }
    assert!(shown_at_once > 5_000, "only {shown_at_once} pages are not checked");
    assert!(faults.is_empty(), "{} pages ask twice:\n{}", faults.len(), faults.join("\n"));
}

/// An answer has to reach past the whole run of equal keys that come in any order; how far is learnt of the list. So a
/// bounded number of rows is read for each one that is served, also where no two keys are equal. Aligned pages reach
/// further than they have to.
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

/// The difference of two totals says by how many rows a list has moved: a page after many of them takes as few requests
/// as after a few.
///
/// Row: A20
#[test]
fn pages_of_a_fixed_size_follow_the_totals() {
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
