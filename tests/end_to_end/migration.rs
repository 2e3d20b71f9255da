//! Tests of the migration from `page=` to `cursor=`: redirects, the sunset, walks that begin at a page number, and the
//! report on clients that still send page numbers.

use serde_json::{Value, json};

use crate::{
    harness::{
        gateway::{Gateway, Keys},
        http,
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
        upstream::Upstream,
    },
    third_party::{Kind, ThirdParty},
};

const BY_OFFSETS: &str = "mode = \"offset\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]";
const SEEKING: &str = "mode = \"seek\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\n\
                       filterable = [\"score\", \"id\"]";

/// Returns the ids of 203 rows in the order of the list: three rows share each score, the highest first.
fn in_order() -> Vec<u64> {
    let mut ids: Vec<u64> = (1..=203).collect();
    ids.sort_by_key(|id| (std::cmp::Reverse(id.div_ceil(3)), *id));
    ids
}

/// Starts an upstream that pages by `page` and `limit`.
fn upstream() -> Upstream {
    let rows = Rows::new((1..=203).map(|id| Row::new(id, id.div_ceil(3))));
    Upstream::start(move |exchange| {
        exchange.request.target = exchange.request.target.replace("limit=", "per_page=");
        rows.answer(exchange)
    })
}

fn text(upstream: &Upstream, route: &str) -> String {
    configuration(upstream.address, BY_OFFSET, route).replace("offset={offset}&limit", "page={page}&limit")
}

fn started(route: &str) -> (Upstream, Gateway) {
    let upstream = upstream();
    let gateway = Gateway::start(&text(&upstream, route));
    (upstream, gateway)
}

/// From a page by number, such as `page=3&limit=20`, the links `next` and `prev` reach each item after and before the
/// page exactly once.
#[test]
fn from_a_page_by_number_every_item_is_reached_once() {
    let all = in_order();
    for mode in [BY_OFFSETS, BY_SCORE, SEEKING] {
        for policy in ["translate", "redirect"] {
            let route = format!("{mode}\nold_clients = \"{policy}\"");
            let (_upstream, gateway) = started(&route);
            for (query, from) in [("page=3&limit=20", 40), ("page=1&limit=7", 0), ("limit=20&page=11", 200)] {
                let mut first = format!("/users?{query}");
                if policy == "redirect" {
                    let redirect = gateway.get(&first);
                    assert_eq!(redirect.status, 307, "{query}: {redirect:?}");
                    first = redirect.header("location").expect("a location").to_owned();
                }
                let onward = walk(&gateway, &first, "next", &[], |_, _| {});
                let back = walk(&gateway, &first, "prev", &[], |_, _| {});
                let after: Vec<u64> = onward.iter().flat_map(ids).collect();
                assert_eq!(after, all[from..], "{mode} {policy} {query}: onward");
                let mut before: Vec<Vec<u64>> = back[1..].iter().map(ids).collect();
                before.reverse();
                assert_eq!(before.concat(), all[..from], "{mode} {policy} {query}: back");
            }
        }
    }
}

/// From a page by number, each item of a real server's list is reached once, with the page parameters of that server.
#[test]
fn real_servers_are_walked_from_a_page_by_number() {
    for (kind, query) in [(Kind::Django, "page=3&page_size=20"), (Kind::JsonServer, "_page=3&_limit=20")] {
        let server = ThirdParty::start(kind);
        for policy in ["translate", "redirect"] {
            let old_clients = format!("old_clients = \"{policy}\"");
            let gateway = Gateway::start(&server.configuration().replace("old_clients = \"none\"", &old_clients));
            let all: Vec<u64> = walk(&gateway, "/v2/users?cursor=start&limit=90", "next", &[], |_, _| {})
                .iter()
                .flat_map(ids)
                .collect();
            assert!(all.len() > 1_000, "{kind:?}: {}", all.len());
            let mut first = format!("/v2/users?{query}");
            if policy == "redirect" {
                first = gateway.get(&first).header("location").expect("a location").to_owned();
            }
            let onward = walk(&gateway, &first, "next", &[], |_, _| {});
            assert_eq!(onward.iter().flat_map(ids).collect::<Vec<_>>(), all[40..], "{kind:?} {policy}: onward");
            let mut before: Vec<Vec<u64>> =
                walk(&gateway, &first, "prev", &[], |_, _| {})[1..].iter().map(ids).collect();
            before.reverse();
            assert_eq!(before.concat(), all[..40], "{kind:?} {policy}: back");
        }
    }
}

#[test]
fn a_legacy_page_far_past_the_end_has_a_previous_page() {
    let all = in_order();
    for mode in [BY_OFFSETS, BY_SCORE] {
        for policy in ["translate", "redirect"] {
            let (_upstream, gateway) = started(&format!("{mode}\nold_clients = \"{policy}\""));
            let mut target = "/users?page=999&limit=20".to_owned();
            if policy == "redirect" {
                target = gateway.get(&target).header("location").expect("a location").to_owned();
            }
            let far = gateway.get(&target);
            assert_eq!(far.outcome(), "200", "{mode} {policy}: {far:?}");
            assert!(ids(&far).is_empty() && far.link("next").is_none(), "{mode} {policy}: {far:?}");
            let last = gateway.get(&far.link("prev").expect("the last page"));
            assert_eq!(ids(&last), all[183..], "{mode} {policy}: {last:?}");
            assert_eq!(last.link("next"), None, "{mode} {policy}: {last:?}");
        }
    }
}

#[test]
fn a_redirect_keeps_the_filters_and_is_marked_as_legacy() {
    let route = format!(
        "{BY_OFFSETS}\nparameters = {{ private = [\"key\"] }}\n\
         old_clients = \"redirect\"\nlegacy = {{ deprecation = 2026-01-15, sunset = 2036-12-31, \
         documentation = \"https://docs.example.com/cursors\" }}"
    );
    let (upstream, gateway) = started(&route);
    let redirect = gateway.get("/users?parity=0&page=3&limit=20&sort=desc(id)&q=a,b");
    assert_eq!(redirect.status, 307, "{redirect:?}");
    assert!(redirect.body.is_empty() && redirect.header("content-length") == Some("0"), "{redirect:?}");
    assert_eq!(upstream.count(), 0, "nobody is asked for it");
    let location = redirect.header("location").expect("a location");
    assert!(location.starts_with("/users?parity=0&q=a%2Cb&sort=desc%28id%29&limit=20&cursor="), "{location}");
    assert_eq!(redirect.header("deprecation"), Some("@1768435200"));
    assert_eq!(redirect.header("sunset"), Some("Wed, 31 Dec 2036 00:00:00 GMT"));
    assert_eq!(redirect.header("cache-control"), Some("no-store"));
    assert_eq!(redirect.link("deprecation").as_deref(), Some("https://docs.example.com/cursors"));
    let successor = redirect.link("successor-version").expect("a successor");
    assert_eq!(successor, "/users?parity=0&q=a%2Cb&sort=desc%28id%29&limit=20&cursor=start");
    let page = gateway.get(location);
    assert_eq!(ids(&page)[..3], [122, 120, 118], "{page:?}");
    assert_eq!(page.header("deprecation"), None, "a request by cursor is not deprecated: {page:?}");

    // A request without parameters is redirected to the first page, which is not redirected again.
    let unmarked = gateway.get("/users");
    let location = unmarked.header("location").expect("a location").to_owned();
    assert_eq!((unmarked.status, gateway.get(&location).outcome()), (307, "200".to_owned()), "{location}");
    let head = gateway.send("HEAD", "/users?page=2", &[], b"");
    assert_eq!((head.status, head.header("location").is_some()), (307, true), "{head:?}");

    for (query, outcome) in [
        ("page=0", "400 page_invalid"),
        ("page=x", "400 page_invalid"),
        ("page=2&page=3", "400 parameter_conflict"),
        ("page=2&cursor=abc", "400 parameter_conflict"),
        ("page=2&sort=nothing", "400 sort_invalid"),
        ("page=2&limit=abc", "400 limit_invalid"),
    ] {
        assert_eq!(gateway.get(&format!("/users?{query}")).outcome(), outcome, "{query}");
    }
}

/// Under each policy, a request with both a page number and a cursor is refused, because it names two places.
#[test]
fn a_page_and_a_cursor_contradict_each_other() {
    for policy in ["pass", "translate", "redirect", "reject"] {
        let (upstream, gateway) = started(&format!("{BY_OFFSETS}\nold_clients = \"{policy}\""));
        let response = gateway.get("/users?page=2&cursor=~abc");
        assert_eq!(response.outcome(), "400 parameter_conflict", "{policy}: {response:?}");
        assert_eq!((response.json()["parameter"].as_str(), upstream.count()), (Some("page"), 0), "{policy}");
    }
}

#[test]
fn requests_after_the_sunset_are_rejected_where_the_route_says_so() {
    for policy in ["pass", "translate", "redirect"] {
        let legacy = |rest: &str| format!("{BY_OFFSETS}\nold_clients = \"{policy}\"\nlegacy = {{ {rest} }}");
        let (upstream, gateway) = started(&legacy("sunset = 2020-06-30, after_sunset = \"reject\""));
        for target in ["/users?page=2&parity=0", "/users"] {
            let gone = gateway.get(target);
            assert_eq!(gone.outcome(), "410 legacy_rejected", "{policy} {target}: {gone:?}");
            assert_eq!(gone.header("sunset"), Some("Tue, 30 Jun 2020 00:00:00 GMT"));
            let restart = gone.json()["restart"].as_str().expect("a way to start over").to_owned();
            assert_eq!(gateway.get(&restart).outcome(), "200", "{policy} {restart}");
        }
        // A later sunset, or one that rejects no request, is in force after a reload.
        for rest in ["sunset = 2036-06-30, after_sunset = \"reject\"", "sunset = 2020-06-30"] {
            gateway.rewrite(Keys::One, &text(&upstream, &legacy(rest)));
            gateway.signal("HUP");
            crate::harness::eventually("the new file is in force", || {
                (gateway.get("/users?page=2").status != 410).then_some(())
            });
        }
    }
}

fn board(gateway: &Gateway) -> Value {
    let board = http::get(gateway.admin, "/migration");
    assert_eq!((board.status, board.header("content-type")), (200, Some("application/json")), "{board:?}");
    board.json()["routes"][0].clone()
}

fn requests(of: &Value) -> Vec<(String, u64)> {
    let clients = of["clients"].as_array().expect("clients");
    clients
        .iter()
        .map(|one| (one["client"].as_str().unwrap_or_default().to_owned(), one["requests"].as_u64().unwrap_or(0)))
        .collect()
}

#[test]
fn the_migration_board_names_the_clients_that_still_send_pages() {
    let route = format!(
        "{BY_OFFSETS}\nold_clients = \"translate\"\n[routes.users.legacy]\nsunset = 2020-12-31\n\
         client = {{ header = \"X-Api-Key\", names = {{ mobile = \"env:CURSORGATE_KEY_2\" }}, max = 1 }}"
    );
    let (upstream, gateway) = started(&route);
    let mobile = crate::harness::gateway::OTHER_KEY;
    for (target, key) in [
        ("/users?page=2", mobile),
        ("/users?page=3", mobile),
        ("/users?page=4", mobile),
        ("/users?page=2", "canary-one"),
        ("/users?page=3", "canary-one"),
        ("/users?page=2", "canary-two"),
        ("/users?page=x", "canary-three"),
        ("/users?page=2", ""),
        ("/users?limit=3", mobile),
        ("/users", "canary-one"),
        ("/users?page=2&cursor=x", "canary-one"),
    ] {
        let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("X-Api-Key", key)] };
        gateway.send("GET", target, headers, b"");
    }
    // A request is counted when it ends, shortly after its client has the answer, so the test waits for the counts.
    let all = json!({ "cursor": 0, "legacy": 8, "unmarked": 2 });
    let row =
        crate::harness::eventually("all are counted", || Some(board(&gateway)).filter(|row| row["requests"] == all));
    assert_eq!(row["route"], "users");
    assert_eq!((row["sunset_passed"].as_bool(), row["days_left"].as_u64()), (Some(true), Some(0)), "{row}");
    assert_eq!((row["old_clients"].as_str(), row["sunset"].as_str()), (Some("translate"), Some("2020-12-31")), "{row}");
    assert_eq!(row["legacy"]["requests"], 10, "{row}");
    let clients = requests(&row);
    assert_eq!(clients.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 3], "{row}");
    assert_eq!(clients[0].0, "mobile", "{row}");
    assert_eq!(
        (row["other_clients"]["requests"].as_u64(), row["unidentified"]["requests"].as_u64()),
        (Some(2), Some(1))
    );
    assert!(row["clients"][0]["last_seen"].as_str().is_some_and(|seen| seen.ends_with('Z')), "{row}");

    let metrics = gateway.metrics().text().to_owned();
    for line in [
        "cursorgate_legacy_requests_total{route=\"users\",client=\"mobile\",paging=\"legacy\"} 3".to_owned(),
        format!("cursorgate_legacy_requests_total{{route=\"users\",client=\"{}\",paging=\"legacy\"}} 2", clients[1].0),
        "cursorgate_legacy_requests_total{route=\"users\",client=\"other\",paging=\"legacy\"} 2".to_owned(),
        "cursorgate_legacy_requests_total{route=\"users\",client=\"unidentified\",paging=\"legacy\"} 1".to_owned(),
        "cursorgate_legacy_sunset_passed{route=\"users\"} 1".to_owned(),
        "cursorgate_list_requests_total{route=\"users\",paging=\"legacy\"} 8".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    for told in [metrics, row.to_string(), gateway.log().join("\n")] {
        assert!(!told.contains("canary") && !told.contains(mobile), "a secret: {told}");
    }

    // The counts continue after a reload that identifies clients in the same way.
    gateway.rewrite(Keys::One, &text(&upstream, &route.replace("2020-12-31", "2036-12-31")));
    gateway.signal("HUP");
    let row = crate::harness::eventually("the new file is in force", || {
        Some(board(&gateway)).filter(|row| row["sunset_passed"] == false)
    });
    assert_eq!(requests(&row), clients, "{row}");
    assert!(row["days_left"].as_u64().is_some_and(|days| days > 3_000), "{row}");
}

#[test]
fn clients_are_shown_by_the_value_of_a_parameter_that_is_no_secret() {
    let route = format!(
        "{BY_OFFSETS}\nold_clients = \"pass\"\n[routes.users.legacy]\n\
         client = {{ parameter = \"app\", shown = \"value\" }}"
    );
    let (_upstream, gateway) = started(&route);
    for target in ["/users?app=shop&page=2", "/users?app=shop", "/users?%61pp=ba%22ck&page=3", "/users?page=9"] {
        assert_eq!(gateway.get(target).status, 200, "{target}");
    }
    let row = board(&gateway);
    assert_eq!(requests(&row), [("shop".to_owned(), 2), ("ba\"ck".to_owned(), 1)], "{row}");
    assert_eq!(row["unidentified"]["requests"], 1, "{row}");
    assert_eq!(row["legacy"]["requests"], 4, "unmarked ones are old ones here: {row}");
}
