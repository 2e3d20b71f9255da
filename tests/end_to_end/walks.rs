//! Tests of whole lists that simple clients walk through the gateway, forward to the end and back to the start. The
//! walks are compared with the upstream's own listing. Other tests count the upstream requests for each page.

use std::process::Command;

use crate::{
    harness::{gateway::Gateway, is_at_length},
    third_party::{Kind, ThirdParty, python},
};

const LIMITS: [&str; 5] = ["1", "7", "20", "100", "250"];

/// Walks the users of a server with `walkers/walk.py`, in one style of following links.
fn walk(kind: Kind, style: &str) {
    let upstream = ThirdParty::start(kind);
    let gateway = Gateway::start(&upstream.configuration());
    // Pages of one item are most of the time of these tests.
    let limits = &LIMITS[usize::from(!is_at_length())..];
    walk_list(kind, style, &upstream.url(kind.users()), &gateway.url("/v2/users"), limits);
}

fn walk_list(kind: Kind, style: &str, upstream: &str, gateway: &str, limits: &[&str]) {
    let mut walker = Command::new(python());
    walker.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/walkers/walk.py")).args([
        "--kind",
        kind.name(),
        "--style",
        style,
        "--upstream",
        upstream,
        "--gateway",
        gateway,
    ]);
    for limit in limits {
        walker.args(["--limit", limit]);
    }
    let output = walker.output().expect("python runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(lines, limits.len(), "one line a limit: {}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn json_server_is_walked_by_links() {
    walk(Kind::JsonServer, "links");
}

#[test]
fn json_server_is_walked_by_its_next_cursor() {
    walk(Kind::JsonServer, "cursor");
}

#[test]
fn django_is_walked_by_links() {
    walk(Kind::Django, "links");
}

#[test]
fn django_is_walked_by_its_next_cursor() {
    walk(Kind::Django, "cursor");
}

/// Follows a relation of `Link` from a page to the end. Returns the targets that were requested.
fn follow(gateway: &Gateway, first: &str, relation: &str) -> Vec<String> {
    let mut connection = gateway.connect();
    let mut targets = vec![first.to_owned()];
    loop {
        let target = targets.last().expect("there is a first");
        let page = connection.request("GET", target, &[], b"").expect("a response");
        assert_eq!(page.outcome(), "200", "{target}: {}", page.text());
        match page.link(relation) {
            Some(next) => targets.push(next),
            None => return targets,
        }
        assert!(targets.len() < 3_000, "the walk doesn't end");
    }
}

/// Asserts that each page is one upstream request, forward and back. Before requests are counted, the gateway reads
/// the first page. The largest answer so far makes an end check unnecessary.
fn one_request_a_page(kind: Kind, limits: &[usize]) {
    let upstream = ThirdParty::start(kind);
    let gateway = Gateway::start(&upstream.configuration());
    for limit in limits.iter().filter(|limit| **limit > 1 || is_at_length()) {
        let first = format!("/v2/users?limit={limit}");
        let warm = gateway.get(&first);
        assert_eq!(warm.outcome(), "200", "{}", warm.text());

        for relation in ["next", "prev"] {
            let start = if relation == "next" {
                first.clone()
            } else {
                follow(&gateway, &first, "next").pop().expect("a last page")
            };
            let before = upstream.count();
            let pages = follow(&gateway, &start, relation).len();
            let asked = upstream.count() - before;
            assert_eq!(asked, pages as u64, "{} by {relation}, limit {limit}: upstream requests, pages", kind.name());
        }
    }
}

#[test]
fn json_server_is_asked_once_a_page() {
    one_request_a_page(Kind::JsonServer, &[250, 100, 20, 7, 1]);
}

#[test]
fn django_is_asked_once_a_page() {
    // The upstream returns at most 100 items, in aligned pages, so 40 is the largest limit with one request for each
    // page.
    one_request_a_page(Kind::Django, &[40, 20, 7, 1]);
}

/// A new process, which has learnt nothing about its upstream, sends at most two requests more than there are pages.
#[test]
fn a_fresh_process_asks_little_more_than_once_a_page() {
    let upstream = ThirdParty::start(Kind::JsonServer);
    let gateway = Gateway::start(&upstream.configuration());
    let before = upstream.count();
    let pages = follow(&gateway, "/v2/users?limit=100", "next").len() as u64;
    let asked = upstream.count() - before;
    assert!(asked <= pages + 2, "{asked} upstream requests for {pages} pages");
}

/// Tests a collection within another: the orders of each user are a separate list, and a user without orders has an
/// empty list.
fn nested(kind: Kind) {
    let upstream = ThirdParty::start(kind);
    let gateway = Gateway::start(&upstream.configuration());
    for (user, expected) in [(7, 57), (8, 20), (9, 0)] {
        let mut connection = gateway.connect();
        let mut items = Vec::new();
        let mut target = Some(format!("/v2/users/{user}/orders?limit=20"));
        while let Some(asked) = target {
            let page = connection.request("GET", &asked, &[], b"").expect("a response");
            assert_eq!(page.outcome(), "200", "{asked}: {}", page.text());
            let body = page.json();
            let owners = body["data"].as_array().expect("items");
            items.extend(
                owners
                    .iter()
                    .map(|order| (order["id"].clone(), order.get("user").or_else(|| order.get("userId")).cloned())),
            );
            target = page.link("next");
        }
        assert_eq!(items.len(), expected, "orders of user {user} at {}", kind.name());
        assert!(items.iter().all(|(_, owner)| owner.as_ref().is_some_and(|owner| owner == user)), "{items:?}");
        let direct = crate::harness::http::get(upstream.address, &kind.orders(user));
        assert_eq!(direct.status, 200);
    }

    let page = gateway.get("/v2/users/7/orders?limit=20");
    let cursor = page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned();
    let moved = gateway.get(&format!("/v2/users/8/orders?limit=20&cursor={cursor}"));
    assert_eq!(moved.outcome(), "400 cursor_mismatch", "{}", moved.text());
}

#[test]
fn a_nested_collection_of_json_server_is_walked() {
    nested(Kind::JsonServer);
}

#[test]
fn a_nested_collection_of_django_is_walked() {
    nested(Kind::Django);
}

/// A client's filter stays in force from page to page, and another filter is another list.
#[test]
fn filters_stay_in_force_along_the_walk() {
    for kind in [Kind::JsonServer, Kind::Django] {
        let upstream = ThirdParty::start(kind);
        let gateway = Gateway::start(&upstream.configuration());
        let mut connection = gateway.connect();
        let mut teams = Vec::new();
        let mut target = Some("/v2/users?limit=40&team=green".to_owned());
        while let Some(asked) = target {
            assert!(asked.contains("team=green"), "{asked}");
            let page = connection.request("GET", &asked, &[], b"").expect("a response");
            assert_eq!(page.outcome(), "200", "{asked}: {}", page.text());
            teams.extend(page.json()["data"].as_array().expect("items").iter().map(|user| user["team"].clone()));
            target = page.link("next");
        }
        assert_eq!(teams.len(), 335, "a third of 1,003, at {}", kind.name());
        assert!(teams.iter().all(|team| team == "green"));
    }
}
