//! Tests of the levels of pages. Clients get them in headers, and operators in the log and in metrics.

use crate::harness::{
    gateway::Gateway,
    http,
    rows::{BY_OFFSET, BY_SCORE, BY_TEN, Reading, Row, Rows, configuration, ids, walk},
    upstream::Upstream,
};

fn start(rows: &Rows, reading: Reading, route: &str) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, reading, route));
    (upstream, gateway)
}

const BELIEVED: &str = "order = [\"score\", \"id\"]";

#[test]
fn drift_is_reported() {
    let rows = Rows::count(500);
    let (_upstream, gateway) = start(&rows, BY_OFFSET, BELIEVED);
    let first = gateway.get("/users?limit=10");
    for (drift, removed, inserted) in [(3, 0, 900..903), (-2, 5, 0..0), (198, 0, 1_000..1_200)] {
        rows.change(|rows| drop(rows.splice(0..removed, inserted.map(|id| Row::new(id, 0)))));
        let page = gateway.get(&first.link("next").expect("a next page"));
        assert_eq!(ids(&page), (11..=20).collect::<Vec<_>>(), "{page:?}");
        assert_eq!(page.header("cursorgate-drift"), Some(drift.to_string().as_str()), "{page:?}");
        assert_eq!(page.header("cursorgate-level"), Some("exact"));
    }
    let log = crate::harness::eventually("all lines", || Some(gateway.access_log()).filter(|log| log.len() == 4));
    assert_eq!(log.last().expect("a line")["drift"], 198);
}

/// Seams between pages of a fixed size are exact or checked. Upstream pages of ten items never contain both sides of a
/// seam. In the flipped list they do, if the list's length isn't a multiple of ten. In an order that can't be reversed,
/// the pages are read again.
#[test]
fn seams_between_pages_of_a_fixed_size_are_exact_or_checked() {
    for (route, level) in [(BY_SCORE, "exact"), (BELIEVED, "checked")] {
        let rows = Rows::count(53);
        let (_upstream, gateway) =
            start(&rows, BY_TEN, &format!("{route}\nmode = \"offset\"\npage_size = {{ default = 10, max = 20 }}"));
        let pages = walk(&gateway, "/users?limit=10", "next", &[], |_, _| {});
        let mut delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
        if route == BY_SCORE {
            delivered.reverse();
        }
        assert_eq!(delivered, (1..=53).collect::<Vec<_>>(), "{route}");
        for page in &pages[1..4] {
            assert_eq!(page.header("cursorgate-level"), Some(level), "{route}: {page:?}");
        }
    }
}

/// A worker that deletes the items of each page except the last one gets each item of a list without an order. With
/// offsets, it would skip almost every other page.
#[test]
fn a_worker_that_deletes_the_items_it_has_read_gets_every_item() {
    let rows = Rows::new((1..=60).map(|id| Row::new(id, id * 7_919 % 61)));
    let order: Vec<u64> = (1..=60).collect();
    let (_upstream, gateway) = start(&rows, BY_OFFSET, "");
    let pages = walk(&gateway, "/users?limit=7", "next", &[], |_, page| {
        let served = ids(page);
        rows.change(|rows| rows.retain(|row| !served[..served.len() - 1].contains(&row.id)));
    });
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), order);
    for page in &pages[1..] {
        assert_eq!(page.header("cursorgate-level"), Some("anchored"), "{page:?}");
    }
}

#[test]
fn pages_are_positional_where_the_route_never_verifies() {
    let rows = Rows::count(50);
    let (_upstream, gateway) = start(&rows, BY_OFFSET, &format!("{BELIEVED}\nverify = \"never\""));
    let first = gateway.get("/users?limit=10");
    rows.change(|rows| rows.insert(0, Row::new(99, 0)));
    let page = gateway.get(&first.link("next").expect("a next page"));
    assert_eq!(ids(&page), (10..=19).collect::<Vec<_>>(), "{page:?}");
    assert_eq!(page.header("cursorgate-level"), Some("positional"));
}

/// The total of a page, and the requests that count it, follow the route's policy `total`, although pages are read by
/// filters.
#[test]
fn totals_follow_the_policy_of_the_route() {
    let rows = Rows::count(50);
    for (policy, first, later, counts) in [
        ("upstream", Some(50), None, 0),
        ("omit", None, None, 0),
        ("count", Some(50), Some(49), 4),
        ("first-page", Some(50), Some(50), 0),
    ] {
        rows.change(|rows| *rows = (1..=50).map(|id| Row::new(id, id * 10)).collect());
        let route = format!("{BY_SCORE}\ntotal = \"{policy}\"");
        let served = rows.clone();
        let upstream = Upstream::start(move |exchange| served.answer(exchange));
        let settings = configuration(upstream.address, BY_OFFSET, &route);
        let gateway = Gateway::start(&format!(
            "{settings}\n[dialects.rows.count]\npath = \"{{path}}/count\"\ntotal = \"/count\"\n"
        ));
        let pages = walk(&gateway, "/users?limit=10", "next", &[], |number, _| {
            if number == 0 {
                rows.change(|rows| rows.retain(|row| row.id != 50));
            }
        });
        let total = |page: &http::Response| page.json()["pagination"]["total"].as_u64();
        assert_eq!(pages.iter().flat_map(ids).count(), 50, "{policy}");
        assert_eq!(total(&pages[0]), first, "{policy}: {:?}", pages[0]);
        for page in &pages[1..] {
            assert_eq!(total(page), later, "{policy}: {page:?}");
        }
        let counted = upstream.requests().iter().filter(|request| request.path().ends_with("/count")).count();
        assert_eq!(counted, counts, "{policy}");
    }
}

/// A request for the count has the client's filters, with the same names as in requests for the list. `check` names
/// these filters, because an endpoint that ignores them would count the whole list.
#[test]
fn counts_have_the_filters_of_the_list() {
    let rows = Rows::count(50);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let settings = configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\ntotal = \"count\""));
    let gateway =
        Gateway::start(&format!("{settings}\n[dialects.rows.count]\npath = \"{{path}}/count\"\ntotal = \"/count\"\n"));
    let first = gateway.get("/users?limit=10&team=7&name%5Blike%5D=a%20b");
    assert_eq!(gateway.get(&first.link("next").expect("a next page")).outcome(), "200");
    let asked = upstream.requests();
    let (counts, slices): (Vec<_>, Vec<_>) = asked.iter().partition(|request| request.path().ends_with("/count"));
    assert!(!counts.is_empty() && !slices.is_empty(), "{asked:?}");
    for request in &asked {
        assert_eq!(request.parameter("team"), Some("7"), "{request:?}");
        assert_eq!(request.parameter("name%5Blike%5D"), Some("a%20b"), "{request:?}");
    }
}

/// A page is served without a total if the count fails.
#[test]
fn a_failing_count_fails_no_page() {
    let rows = Rows::count(50);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.path().ends_with("/count") {
            return exchange.reply("500 Internal Server Error", &[], b"");
        }
        served.answer(exchange)
    });
    let settings = configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\ntotal = \"count\""));
    let gateway =
        Gateway::start(&format!("{settings}\n[dialects.rows.count]\npath = \"{{path}}/count\"\ntotal = \"/count\"\n"));
    let first = gateway.get("/users?limit=10");
    let page = gateway.get(&first.link("next").expect("a next page"));
    assert_eq!((page.outcome().as_str(), ids(&page).len()), ("200", 10), "{page:?}");
    assert_eq!(page.json()["pagination"]["total"], serde_json::Value::Null);
    let log = crate::harness::eventually("both lines", || Some(gateway.access_log()).filter(|log| log.len() == 2));
    let detail = log.last().expect("a line")["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("no count"), "{log:#?}");
}

#[test]
fn metrics_count_requests_pages_and_drift() {
    let rows = Rows::count(60);
    let (_upstream, gateway) = start(&rows, BY_OFFSET, BELIEVED);
    let first = gateway.get("/users?limit=10");
    rows.change(|rows| drop(rows.splice(0..0, (900..903).map(|id| Row::new(id, 0)))));
    assert_eq!(gateway.get(&first.link("next").expect("a next page")).outcome(), "200");
    assert_eq!(gateway.get("/users?limit=x").outcome(), "400 limit_invalid");
    assert_eq!(gateway.get("/nowhere").outcome(), "404 route_not_found");
    for method in ["PUT", "BREW", "X-1"] {
        gateway.send(method, "/users", &[], b"");
    }
    // A request is counted when its log line is written, so the test waits for the lines.
    crate::harness::eventually("the log", || (gateway.access_log().len() == 7).then_some(()));
    let metrics = gateway.metrics();
    assert_eq!(metrics.status, 200);
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = metrics.text();
    for line in [
        "cursorgate_requests_total{route=\"users\",outcome=\"page\",status=\"2xx\"} 2",
        "cursorgate_requests_total{route=\"users\",outcome=\"forwarded\",status=\"2xx\"} 3",
        "cursorgate_requests_total{route=\"users\",outcome=\"limit_invalid\",status=\"4xx\"} 1",
        "cursorgate_requests_total{route=\"\",outcome=\"route_not_found\",status=\"4xx\"} 1",
        "cursorgate_pages_total{route=\"users\",level=\"exact\"} 2",
        "cursorgate_drifted_pages_total{route=\"users\"} 1",
        "cursorgate_drift_items_total{route=\"users\"} 3",
        "# TYPE cursorgate_upstream_requests_total counter",
        "# TYPE cursorgate_pivot_cache_bytes gauge",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    assert!(!text.contains("BREW") && !text.contains("nowhere"), "{text}");

    // Counters continue after a reload.
    gateway.signal("HUP");
    crate::harness::eventually("the reload", || {
        gateway.log().iter().any(|line| line.contains("configuration reloaded")).then_some(())
    });
    let text = gateway.metrics();
    assert!(text.text().contains("cursorgate_pages_total{route=\"users\",level=\"exact\"} 2\n"), "{text:?}");
}
