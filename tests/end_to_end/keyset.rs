//! Tests of pages that are found by range filters, with one request for each page, while rows are added and removed
//! during the walk.

use std::cmp::Reverse;

use crate::harness::{
    eventually,
    gateway::Gateway,
    http::{self, Response},
    metric,
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
    upstream::Upstream,
};

fn keyset(rows: &Rows) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, BY_SCORE));
    (upstream, gateway)
}

/// Rows that stay are returned exactly once, in order. Each page is requested by keys and without an offset, unless the
/// cursor's item was removed.
#[test]
fn rows_that_stay_are_neither_skipped_nor_repeated() {
    let rows = Rows::count(60);
    let (upstream, gateway) = keyset(&rows);
    let warm = gateway.get("/users?limit=50");
    assert_eq!(warm.outcome(), "200", "{}", warm.text());
    let asked_before = upstream.count();
    let mut expected: Vec<u64> = (1..=60).rev().collect();
    let pages = walk(&gateway, "/users?limit=7", "next", &[], |number, page| {
        let last = *ids(page).last().expect("no page is empty");
        rows.change(|rows| {
            // After each second page, the cursor's item is removed. Some served and some unserved items are removed
            // too, and ten are added at the head.
            rows.retain(|row| (row.id != last || number % 2 == 1) && row.id % 13 != 0);
            rows.extend((0..10).map(|index| Row::new(1_000 + number as u64 * 10 + index, 5_000)));
        });
        expected.retain(|id| *id >= last || id % 13 != 0);
    });
    let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
    assert_eq!(delivered, expected);
    for (index, page) in pages.iter().enumerate() {
        // If the item was removed, the filtered answer doesn't prove that the filter begins at the item's old place. An
        // answer of the whole list does. The total alone shows the end.
        let gone = index % 2 == 1;
        let level = if index + 1 < pages.len() { "exact" } else { "checked" };
        assert_eq!(page.header("cursorgate-level"), Some(level), "page {index}");
        assert!(gone || page.header("cursorgate-drift").is_none(), "page {index}: a filter has no drift");
    }
    let requests = &upstream.requests()[asked_before..];
    let filtered = requests.iter().filter(|request| request.query().contains("score__lte=")).count();
    assert_eq!(filtered, pages.len() - 1, "{requests:#?}");
    assert!(requests.len() <= 4 * pages.len(), "{requests:#?}");
}

#[test]
fn a_walk_back_gives_the_same_pages() {
    let rows = Rows::count(40);
    let (_upstream, gateway) = keyset(&rows);
    let forward = walk(&gateway, "/users?limit=8", "next", &[], |_, _| {});
    let last = forward[0].link("last").expect("a last page");
    let backward = walk(&gateway, &last, "prev", &[], |_, _| {});
    let mut reversed: Vec<_> = backward.iter().map(ids).collect();
    reversed.reverse();
    assert_eq!(reversed, forward.iter().map(ids).collect::<Vec<_>>());
    assert_eq!(forward[4].link("next"), None);
    assert_eq!(backward[4].link("prev"), None);
}

/// A client's own filter stays in force, even on a field by which pages are found.
#[test]
fn the_clients_own_filters_stay_in_force() {
    let rows = Rows::count(60);
    let (_upstream, gateway) = keyset(&rows);
    for (filter, expected) in [
        ("parity=0", (1..=60).filter(|id| id % 2 == 0).rev().collect::<Vec<u64>>()),
        ("score__lte=300", (1..=30).rev().collect()),
        ("score__gte=250&parity=1", (25..=60).filter(|id| id % 2 == 1).rev().collect()),
    ] {
        let pages = walk(&gateway, &format!("/users?limit=7&{filter}"), "next", &[], |_, _| {});
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{filter}");
    }
}

/// A filter that no item passes (for example because the upstream compares numbers as strings) is reported, given up
/// for a time, and tried again.
#[test]
fn a_filter_that_never_helps_is_reported_and_given_up() {
    let rows = Rows::count(60);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.query().contains("score__lte=") {
            return exchange.reply("200 OK", &[("Content-Type", "application/json")], br#"{"items":[],"total":0}"#);
        }
        served.answer(exchange)
    });
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, BY_SCORE));
    let pages = walk(&gateway, "/users?limit=7", "next", &[], |_, _| {});
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=60).rev().collect::<Vec<u64>>());
    let filtered = upstream.requests().iter().filter(|request| request.query().contains("score__lte=")).count();
    let targets: Vec<String> = upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!((pages.len(), filtered), (9, 3), "{targets:#?}");
    for (outcome, count) in [("in_vain", 2), ("given_up", 1), ("spared", 5)] {
        let sample = format!("cursorgate_futile_filters_total{{route=\"users\",outcome=\"{outcome}\"}}");
        // A request is counted once its answer is written, so the test waits for the count.
        eventually(outcome, || (metric(&gateway, &sample) == count).then_some(()));
    }
    let told = || gateway.log().iter().filter(|line| line.contains("the range filter did not help")).count();
    eventually("it is told once", || (told() == 1).then_some(()));
    assert!(gateway.log().iter().any(|line| line.contains("\"futile_filter\":\"in_vain\"")));
}

/// A walk is complete although forty rows share each score, and the upstream returns these rows in another order each
/// time.
#[test]
fn a_walk_over_shuffled_ties_is_complete() {
    let rows = Rows::new((1..=120).map(|id| Row::new(id, id.div_ceil(40))));
    let (_upstream, gateway) = keyset(&rows);
    let mut turn = 0;
    let pages = walk(&gateway, "/users?limit=9", "next", &[], |_, _| {
        turn += 1;
        rows.change(|rows| rows.rotate_left(turn * 7 % 120));
    });
    let expected: Vec<u64> = (81..=120).chain(41..=80).chain(1..=40).collect();
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected);
}

/// The number of rows of the upstreams in the tests below, whose filters misread times.
const TIMES: u64 = 1_200;
/// The seconds between two neighbouring times of these rows.
const TICK: u64 = 600;

/// Returns the time with this number, as the upstream serves it.
fn time(number: u64) -> String {
    format!("2024-03-{:02}T{:02}:{:02}:00Z", 1 + number / 144, number / 6 % 24, number % 6 * 10)
}

/// Returns the seconds from the time with the number 0 to the given time.
fn seconds(time: &str) -> u64 {
    let time = time.replace("%3A", ":");
    let part = |range| time.get(range).and_then(|digits: &str| digits.parse::<u64>().ok());
    let part = |range| part(range).unwrap_or_else(|| panic!("no time: {time}"));
    ((part(8..10) - 1) * 24 + part(11..13)) * 3_600 + part(14..16) * 60 + part(17..19)
}

/// Starts an upstream with rows in descending order of their times, `run` rows at each time. Its filters apply `read`
/// to the seconds of the time in a request.
fn timed(run: u64, read: fn(u64) -> u64) -> (Upstream, Gateway, Rows) {
    let rows = Rows::new((0..TIMES).map(|row| Row::new(row, row / run)));
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        let request = &exchange.request;
        let number = |name| request.parameter(name).and_then(|text| text.parse().ok());
        let bound = |name| request.parameter(name).map(|time| read(seconds(time)));
        let (least, most) = (bound("at__gte"), bound("at__lte"));
        let mut rows = served.all();
        rows.retain(|row| most.is_none_or(|most| row.score * TICK <= most));
        rows.retain(|row| least.is_none_or(|least| row.score * TICK >= least));
        rows.sort_by_key(|row| (Reverse(row.score), row.id));
        if request.parameter("sort").is_some_and(|sort| sort.starts_with("at")) {
            rows.reverse();
        }
        let page = rows.iter().skip(number("offset").unwrap_or(0)).take(number("limit").unwrap_or(10));
        let page: Vec<String> = page.map(|row| format!(r#"{{"id":{},"at":"{}"}}"#, row.id, time(row.score))).collect();
        let body = format!(r#"{{"total":{},"items":[{}]}}"#, rows.len(), page.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let route = "order = [\"-at\", \"id\"]\nsortable = [\"at\", \"id\"]\nfilterable = [\"at\"]";
    let settings = configuration(upstream.address, BY_OFFSET, route);
    let settings = settings.replace("score = { type = \"number\"", "at = { type = \"datetime\"");
    let gateway = Gateway::start(&settings);
    (upstream, gateway, rows)
}

/// No page skips a row if the upstream reads only the date of a filter, or reads the time in another zone. The answer
/// to such a filter lacks the cursor's row and rows after it, so it proves no page, even if the cursor's row was
/// removed.
#[test]
fn a_filter_that_is_read_by_date_or_in_another_zone_skips_no_row() {
    let by_date: fn(u64) -> u64 = |seconds| seconds - seconds % 86_400;
    let in_another_zone: fn(u64) -> u64 = |seconds| seconds.saturating_sub(7_200);
    for (how, read) in [("by date", by_date), ("in another zone", in_another_zone)] {
        for (run, limit, deletes) in [(1, 7, false), (1, 20, false), (4, 7, false), (1, 7, true), (4, 20, true)] {
            let (upstream, gateway, rows) = timed(run, read);
            let what = format!("{how}, {run} to a time, limit {limit}, deletes: {deletes}");
            let in_order = || {
                let mut rows = rows.all();
                rows.sort_by_key(|row| (Reverse(row.score), row.id));
                rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
            };
            let mut due = in_order();
            let pages = walk(&gateway, &format!("/users?limit={limit}"), "next", &[], |number, page| {
                let (served, level) = (ids(page), page.header("cursorgate-level"));
                assert_eq!(served, due[..served.len()], "{what}: page {number} is {level:?}");
                due.drain(..served.len());
                if deletes {
                    rows.change(|rows| rows.retain(|row| Some(&row.id) != served.last()));
                }
            });
            assert_eq!(due, [0; 0], "{what}: the end after {} pages", pages.len());
            let filtered = upstream.requests().iter().filter(|request| request.query().contains("at__lte=")).count();
            assert!(filtered > 2, "{what}: the filter was tried {filtered} times");
        }
    }
}

/// Starts an upstream whose list falls by score and can't be sorted. Its only filter is `until`, a largest score.
/// Answers have at most twelve rows.
fn until(rows: &Rows) -> Upstream {
    let served = rows.clone();
    Upstream::start(move |exchange| {
        let request = &exchange.request;
        let number = |name| request.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let most = request.parameter("until").and_then(|text| text.parse::<u64>().ok());
        let mut rows = served.all();
        rows.retain(|row| most.is_none_or(|most| row.score <= most));
        rows.sort_by_key(|row| (Reverse(row.score), row.id));
        let from = rows.len().min(number("offset").unwrap_or(0));
        let end = rows.len().min(from + number("limit").unwrap_or(10).min(12));
        let page: Vec<String> = rows[from..end].iter().map(Row::json).collect();
        let body = format!(r#"{{"more":{},"items":[{}]}}"#, end < rows.len(), page.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    })
}

/// Returns the configuration of a route on [`until`] with this query.
fn until_route(upstream: &Upstream, query: &str) -> String {
    format!(
        "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"until\"\nmode = \"keyset\"\norder = [\"-score\", \"id\"]\nfilterable = [\"score\"]\n\
         envelopes = [\"relay\"]\npage_size = {{ default = 5, max = 8 }}\n\
         fields = {{ id = {{ type = \"number\" }}, score = {{ type = \"number\", nulls = \"none\" }} }}\n\
         [dialects.until]\nrequest = {{ query = \"{query}\" }}\nsize = {{ max = 12 }}\n\
         response = {{ items = \"/items\", has_more = \"/more\", end = \"flag\" }}\n\
         filter = {{ lte = \"until={{value}}\" }}\n",
        upstream.address
    )
}

/// Walks forward while rows are added at the head, and others are removed. The rows that stay are each returned once,
/// and each page is requested by the filter.
fn walk_until(gateway: &Gateway, rows: &Rows, upstream: &Upstream) -> Vec<Response> {
    let before = upstream.count();
    let mut expected: Vec<u64> = (1..=60).rev().collect();
    let pages = walk(gateway, "/users?limit=7", "next", &[], |number, page| {
        let last = *ids(page).last().expect("no page is empty");
        assert_eq!(page.header("cursorgate-level"), Some("exact"), "page {number}");
        rows.change(|rows| {
            rows.retain(|row| row.id == last || row.id % 13 != 0);
            rows.extend(
                (0..10).map(|index| Row::new(1_000 + number as u64 * 10 + index, 5_000 + number as u64 * 10 + index)),
            );
        });
        expected.retain(|id| *id >= last || id % 13 != 0);
    });
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected);
    let asked: Vec<String> = upstream.requests()[before..].iter().map(|request| request.query().to_owned()).collect();
    let filtered = asked.iter().filter(|query| query.contains("until=")).count();
    assert_eq!(filtered, pages.len() - 1, "{asked:?}");
    pages
}

/// If a filter exists only in the direction of the list, pages forward are requested by it, and pages backward by
/// offset.
#[test]
fn a_filter_in_one_direction_leads_forward_and_offsets_lead_back() {
    let rows = Rows::count(60);
    let upstream = until(&rows);
    let settings = until_route(&upstream, "offset={offset}&limit={size}");
    let told = crate::command_line::accepted_by_check(&settings);
    assert!(told.contains("keyset: by range filters on score, backward and else by offset"), "{told}");
    let gateway = Gateway::start(&settings);
    walk_until(&gateway, &rows, &upstream);
    let forward = walk(&gateway, "/users?limit=7", "next", &[], |_, _| {});
    let back = forward.last().and_then(|last| last.link("prev")).expect("a page before the last one");
    let mut seen = ids(forward.last().expect("a last page"));
    for page in walk(&gateway, &back, "prev", &[], |_, _| {}) {
        seen.splice(0..0, ids(&page));
    }
    assert_eq!(seen, forward.iter().flat_map(ids).collect::<Vec<_>>());
    assert_eq!(described(&gateway), ["limit", "cursor", "first", "last", "after", "before"]);
}

/// Without offsets nothing leads back, so pages have no previous and no last page, and a request for one is refused
/// before the upstream is asked.
#[test]
fn a_filter_in_one_direction_without_offsets_leads_only_forward() {
    let rows = Rows::count(60);
    let upstream = until(&rows);
    let settings = until_route(&upstream, "limit={size}");
    let told = crate::command_line::accepted_by_check(&settings);
    assert!(told.contains("; no pages backward, since the order can't be asked for from its end"), "{told}");
    let gateway = Gateway::start(&settings);
    for page in walk_until(&gateway, &rows, &upstream) {
        let pagination = &page.json()["pagination"];
        assert!(pagination["prevCursor"].is_null() && page.link("prev").is_none(), "{page:?}");
        assert_eq!(page.link("last"), None, "{page:?}");
    }
    let relay = |query: &str| gateway.send("GET", &format!("/users?{query}"), &[("Prefer", "envelope=relay")], b"");
    let second = relay("first=3&after=start");
    let cursor = second.json()["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned();
    let after = relay(&format!("first=3&after={cursor}")).json();
    assert!(after["edges"].as_array().is_some_and(|edges| edges.len() == 3), "{after}");
    assert_eq!(after["pageInfo"]["hasPreviousPage"], false, "{after}");
    let before = upstream.count();
    for query in [format!("last=3&before={cursor}"), "last=3&before=end".to_owned()] {
        let refused = relay(&query);
        assert_eq!(refused.outcome(), "400 range_unsupported", "{query}: {refused:?}");
    }
    assert_eq!(upstream.count(), before, "nothing is asked for");
    assert_eq!(described(&gateway), ["limit", "cursor", "first", "after"]);
}

/// Returns the parameters for positions and limits in the description of the list.
fn described(gateway: &Gateway) -> Vec<String> {
    let document = http::get(gateway.admin, "/openapi.json").json();
    let parameters = document["paths"]["/users"]["get"]["parameters"].as_array().expect("parameters");
    let names = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned);
    names.filter(|name| ["first", "last", "after", "before", "limit", "cursor"].contains(&&**name)).collect()
}

/// If more items share a score than an answer has, no range shows those after the answer. The page is refused, and the
/// list doesn't end there.
#[test]
fn equal_items_beyond_an_answer_without_offsets_do_not_end_the_list() {
    let score = |id| if (21..=50).contains(&id) { 500 } else { id * 10 };
    let rows = Rows::new((1..=60).map(|id| Row::new(id, score(id))));
    let upstream = until(&rows);
    let gateway = Gateway::start(&until_route(&upstream, "limit={size}"));
    let (mut target, mut seen) = ("/users?limit=5".to_owned(), Vec::new());
    let refused = loop {
        let page = gateway.get(&target);
        if page.status != 200 {
            break page;
        }
        seen.extend(ids(&page));
        target = page.link("next").unwrap_or_else(|| panic!("no end comes after {seen:?}: {page:?}"));
    };
    assert_eq!(refused.outcome(), "400 too_deep", "{refused:?}");
    assert_eq!(seen, (51..=60).rev().collect::<Vec<u64>>(), "the rows before the equal ones");
    let told = || gateway.log().iter().any(|line| line.contains("requests name only ranges")).then_some(());
    eventually("the operator is told", told);
}
