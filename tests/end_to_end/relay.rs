//! Tests of envelopes whose clients name items, by the items' own cursors or by ids.

use serde_json::Value;

use crate::harness::{
    gateway::Gateway,
    http::{Response, encode},
    rows::{BY_OFFSET, BY_SCORE, BY_TOKEN, Reading, Row, Rows, configuration},
    upstream::Upstream,
};

const RELAY: &str = r#"
[envelopes.relay]
parameters = { limit = "first", after = "after", before = "before", limit_backward = "last" }

[envelopes.relay.body]
edges = [{ cursor = "{item.cursor}", node = "{item}" }]
pageInfo = { hasNextPage = "{has_next}", hasPreviousPage = "{has_prev}", startCursor = "{start.cursor|null}", endCursor = "{end.cursor|null}" }
"#;

const BY_IDS: &str = r#"
[envelopes.stripe]
parameters = { limit = "limit", after_id = "starting_after", before_id = "ending_before" }
body = { has_more = "{has_more}", data = ["{item}"] }
"#;

fn start(rows: &Rows, reading: Reading, route: &str, envelopes: &str) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&format!("{}\n{envelopes}", configuration(upstream.address, reading, route)));
    (upstream, gateway)
}

fn nodes(page: &Response) -> Vec<u64> {
    assert_eq!(page.outcome(), "200", "{page:?}");
    let body = page.json();
    body["edges"].as_array().expect("edges").iter().map(|edge| edge["node"]["id"].as_u64().expect("an id")).collect()
}

fn info(page: &Response, member: &str) -> Value {
    page.json()["pageInfo"][member].clone()
}

fn cursor(page: &Response, member: &str) -> String {
    encode(info(page, member).as_str().unwrap_or_else(|| panic!("no {member}: {page:?}")).as_bytes())
}

/// A connection is read forwards by `first` and `after`, backwards by `last` and `before`, and from an item in the
/// middle. The list is read once by offset, where an item's cursor has no place, and once by filters.
#[test]
fn relay_connections_are_read_forward_and_backward() {
    for route in [
        "order = [\"score\", \"id\"]",
        "order = [\"score\", \"id\"]\nsortable = [\"score\", \"id\"]\nfilterable = [\"score\", \"id\"]",
    ] {
        let rows = Rows::count(400);
        let (upstream, gateway) = start(&rows, BY_OFFSET, &format!("envelope = \"relay\"\n{route}"), RELAY);
        let first = gateway.get("/users?first=10");
        assert_eq!(nodes(&first), (1..=10).collect::<Vec<_>>());
        assert_eq!((info(&first, "hasNextPage"), info(&first, "hasPreviousPage")), (true.into(), false.into()));

        let mut page = first.clone();
        let before = upstream.count();
        let mut count = 0;
        while info(&page, "hasNextPage") == true {
            page = gateway.get(&format!("/users?first=10&after={}", cursor(&page, "endCursor")));
            count += 1;
            assert_eq!(nodes(&page), (count * 10 + 1..=count * 10 + 10).collect::<Vec<_>>());
        }
        assert_eq!(count, 39);
        let requests = upstream.count() - before;
        assert!(requests <= 40, "each edge is remembered, and the end is confirmed: {requests} requests, {route}");

        let last = gateway.get("/users?last=10");
        assert_eq!(nodes(&last), (391..=400).collect::<Vec<_>>());
        let back = gateway.get(&format!("/users?last=10&before={}", cursor(&last, "startCursor")));
        assert_eq!(nodes(&back), (381..=390).collect::<Vec<_>>());
        // The edge is in the middle of a page, so the gateway does not remember its keys.
        let amid = first.json()["edges"][4]["cursor"].as_str().expect("a cursor").to_owned();
        assert_eq!(nodes(&gateway.get(&format!("/users?first=3&after={}", encode(amid.as_bytes())))), [6, 7, 8]);
        // An item has the same cursor on every page.
        rows.change(|rows| rows.insert(0, Row::new(999, 0)));
        let again = gateway.get("/users?first=6");
        assert_eq!(again.json()["edges"][5]["cursor"], amid.as_str());

        for (query, outcome) in [
            ("first=1&last=1", "400 parameter_conflict"),
            ("last=1&after=x", "400 range_unsupported"),
            ("first=1&before=x", "400 range_unsupported"),
        ] {
            assert_eq!(gateway.get(&format!("/users?{query}")).outcome(), outcome, "{query}");
        }
        // The `Link` line has the parameters of the client's own convention.
        let next = again.link("next").expect("a next page");
        assert!(next.contains("first=6&after="), "{next}");
        assert_eq!(nodes(&gateway.get(&next)).len(), 6);
        let prev = page.link("prev").expect("a previous page");
        assert!(prev.contains("last=10&before="), "{prev}");
        assert_eq!(nodes(&gateway.get(&prev)), (381..=390).collect::<Vec<_>>());
    }
}

/// If the upstream pages by token, items have no cursors, and clients continue with the cursors of the page.
#[test]
fn connections_of_an_upstream_by_token_continue_by_page_cursors() {
    let rows = Rows::count(30);
    let route = "envelope = \"relay\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nupstream_path = \"{path}/tokens\"";
    let (_upstream, gateway) = start(&rows, BY_TOKEN, route, RELAY);
    let mut page = gateway.get("/users?first=7");
    let mut seen = nodes(&page);
    while info(&page, "hasNextPage") == true {
        page = gateway.get(&format!("/users?first=7&after={}", cursor(&page, "endCursor")));
        seen.extend(nodes(&page));
    }
    assert_eq!(seen, (1..=30).rev().collect::<Vec<_>>());
}

/// An item of a list without an order is found by its neighbours.
#[test]
fn items_of_a_connection_without_an_order_are_found_by_neighbours() {
    let rows = Rows::new((1..=40).map(|id| Row::new(id, id * 7_919 % 41)));
    let (_upstream, gateway) = start(&rows, BY_OFFSET, "envelope = \"relay\"", RELAY);
    let first = gateway.get("/users?first=7");
    let amid = first.json()["edges"][3]["cursor"].as_str().expect("a cursor").to_owned();
    rows.change(|rows| drop(rows.drain(0..2)));
    assert_eq!(nodes(&gateway.get(&format!("/users?first=3&after={}", encode(amid.as_bytes())))), [5, 6, 7]);
    assert_eq!(nodes(&gateway.get(&format!("/users?last=1&before={}", encode(amid.as_bytes())))), [3]);
    let mut page = first;
    let mut seen = nodes(&page);
    while info(&page, "hasNextPage") == true {
        page = gateway.get(&format!("/users?first=7&after={}", cursor(&page, "endCursor")));
        seen.extend(nodes(&page));
    }
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
}

/// An item deep in a long list without an order is found at its position. As long as the list does not change, each
/// page needs one request to the upstream, in either direction and from any item, even through another gateway, which
/// has no cache.
#[test]
fn deep_items_of_a_connection_without_an_order_take_one_request() {
    let rows = Rows::new((1..=1_500).map(|id| Row::new(id, id * 7_919 % 1_511)));
    let route = "envelope = \"relay\"";
    let (upstream, gateway) = start(&rows, BY_OFFSET, route, RELAY);
    let mut page = gateway.get("/users?first=20");
    let (mut seen, mut amid, before) = (nodes(&page), String::new(), upstream.count());
    while info(&page, "hasNextPage") == true {
        page = gateway.get(&format!("/users?first=20&after={}", cursor(&page, "endCursor")));
        seen.extend(nodes(&page));
        if seen.len() == 1_200 {
            amid = encode(page.json()["edges"][9]["cursor"].as_str().expect("a cursor").as_bytes());
        }
    }
    assert_eq!(seen, (1..=1_500).collect::<Vec<_>>());
    // Nothing states where the list ends, so the rows after the end are looked at.
    assert_eq!(upstream.count() - before, 78, "one request a page, and four more at the end");

    let before = upstream.count();
    let mut first = 1_481;
    while info(&page, "hasPreviousPage") == true {
        page = gateway.get(&format!("/users?last=20&before={}", cursor(&page, "startCursor")));
        first -= 20;
        assert_eq!(nodes(&page), (first..first + 20).collect::<Vec<_>>());
    }
    assert_eq!((first, upstream.count() - before), (1, 74), "one request a page");

    let other = Gateway::start(&format!("{}\n{RELAY}", configuration(upstream.address, BY_OFFSET, route)));
    for gateway in [&gateway, &other] {
        let before = upstream.count();
        assert_eq!(nodes(&gateway.get(&format!("/users?first=3&after={amid}"))), [1_191, 1_192, 1_193]);
        assert_eq!(nodes(&gateway.get(&format!("/users?last=2&before={amid}"))), [1_188, 1_189]);
        assert_eq!(upstream.count() - before, 2);
    }
    // An item that has moved is searched for around its old position.
    rows.change(|rows| drop(rows.drain(..700)));
    assert_eq!(nodes(&other.get(&format!("/users?first=3&after={amid}"))), [1_191, 1_192, 1_193]);
}

/// Clients that send ids instead of cursors walk a list in both directions.
#[test]
fn lists_are_walked_by_ids_alone() {
    let rows = Rows::count(25);
    let route = format!("{BY_SCORE}\nmode = \"seek\"\nenvelope = \"stripe\"");
    let (_upstream, gateway) = start(&rows, BY_OFFSET, &route, BY_IDS);
    let ids = |page: &Response| -> Vec<u64> {
        let body = page.json();
        body["data"].as_array().expect("data").iter().map(|item| item["id"].as_u64().expect("an id")).collect()
    };
    let mut page = gateway.get("/users?limit=10");
    let mut seen = ids(&page);
    while page.json()["has_more"] == true {
        let last = seen.last().expect("items");
        let own = format!("/users?limit=10&starting_after={last}");
        assert_eq!(page.link("next").as_deref(), Some(own.as_str()));
        page = gateway.get(&own);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    assert_eq!(page.link("prev").as_deref(), Some("/users?limit=10&ending_before=5"));
    let back = gateway.get("/users?limit=10&ending_before=5");
    assert_eq!(ids(&back), (6..=15).rev().collect::<Vec<_>>());
    assert_eq!(back.json()["has_more"], true);
}
