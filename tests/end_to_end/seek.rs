//! Tests of cursors that contain only an id. The keys of the item are remembered, or looked up with the client's own
//! credentials, and are used only if they are the keys that were served.

use std::thread;

use crate::harness::{
    gateway::{Gateway, Keys},
    http::{Connection, Response},
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
    upstream::{Gate, Upstream},
};

const BY_IDS: &str = "mode = \"seek\"\nparameters = { after_id = \"starting_after\", before_id = \"ending_before\" }";

fn serve(rows: &Rows) -> Upstream {
    let served = rows.clone();
    Upstream::start(move |exchange| served.answer(exchange))
}

fn seek(upstream: &Upstream) -> Gateway {
    Gateway::start(&configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\n{BY_IDS}")))
}

/// Returns the number of requests for single items, which are look-ups of keys.
fn look_ups(upstream: &Upstream) -> usize {
    let is_item = |path: &str| path.rsplit('/').next().is_some_and(|last| last.parse::<u64>().is_ok());
    upstream.requests().iter().filter(|request| is_item(request.path())).count()
}

fn next(page: &Response) -> String {
    page.link("next").unwrap_or_else(|| panic!("no next page: {page:?}"))
}

/// Sends a GET request without waiting for the answer.
fn ask(client: &mut Connection, target: &str) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
    client.send(request.as_bytes()).expect("the gateway reads");
}

fn update(rows: &Rows, id: u64, score: u64) {
    rows.change(|rows| {
        for row in rows.iter_mut().filter(|row| row.id == id) {
            row.score = score;
        }
    });
}

/// While a process remembers the items that it served, pages take no look-up, even if the item that the cursor names
/// was changed or removed.
#[test]
fn remembered_keys_take_no_look_up() {
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let gateway = seek(&upstream);
    assert_eq!(gateway.get("/users?limit=40").outcome(), "200");
    let before = upstream.count();
    let pages = walk(&gateway, "/users?limit=8", "next", &[], |number, page| {
        let last = *ids(page).last().expect("no page is empty");
        if number % 2 == 0 {
            rows.change(|rows| rows.retain(|row| row.id != last));
        } else {
            update(&rows, last, 9_999);
        }
    });
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=40).rev().collect::<Vec<_>>());
    // A removed item is searched for in the whole list, because the filter does not show where it was.
    assert!(upstream.count() - before <= 4 * pages.len());
    assert_eq!(look_ups(&upstream), 0);
    for page in &pages {
        assert!(matches!(page.header("cursorgate-level"), Some("exact" | "checked")), "{page:?}");
    }
}

/// A process that has not served the cursor's item looks it up once. It uses the found keys if they are the keys that
/// were served.
#[test]
fn a_process_that_does_not_remember_an_item_looks_it_up_once() {
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let first = seek(&upstream).get("/users?limit=10");
    let gateway = seek(&upstream);
    let target = next(&first);
    let page = gateway.get(&target);
    assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{page:?}");
    assert_eq!(page.header("cursorgate-level"), Some("exact"));
    assert_eq!(look_ups(&upstream), 1);
    assert_eq!(ids(&gateway.get(&target)), ids(&page));
    assert_eq!(look_ups(&upstream), 1, "it is remembered from then on");
    let log = crate::harness::eventually("both lines", || Some(gateway.access_log()).filter(|log| log.len() == 2));
    assert_eq!((log[0]["pivot"].as_str(), log[1]["pivot"].as_str()), (Some("upstream"), Some("cache")), "{log:#?}");
    assert_eq!((log[0]["upstream_requests"].as_u64(), log[1]["upstream_requests"].as_u64()), (Some(2), Some(1)));
}

/// Of the headers of a looked-up item, only the cache headers apply to the page.
#[test]
fn only_cache_headers_of_a_looked_up_item_apply_to_the_page() {
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let target = next(&seek(&upstream).get("/users?limit=10"));
    let served = rows.clone();
    upstream.answer(move |exchange| match exchange.request.path() {
        "/users/31" => exchange.reply(
            "200 OK",
            &[("Cache-Control", "max-age=5, must-revalidate"), ("Set-Cookie", "seen=31"), ("X-Of-Item", "31")],
            Row::new(31, 310).json().as_bytes(),
        ),
        _ => served.answer(exchange),
    });
    let page = seek(&upstream).get(&target);
    assert_eq!(ids(&page).len(), 10, "{page:?}");
    assert_eq!((page.header("set-cookie"), page.header("x-of-item")), (None, None));
    let caching = page.header("cache-control").expect("a page always has one");
    assert!(caching.contains("no-store") && caching.contains("must-revalidate"), "{caching}");
}

/// A process that does not remember the old keys of an item refuses the cursor of a changed or deleted item. A changed
/// item is at another place than the cursor's.
#[test]
fn changed_and_deleted_items_are_gone_at_a_process_that_does_not_remember_them() {
    for change in ["changed", "deleted"] {
        let rows = Rows::count(40);
        let upstream = serve(&rows);
        let first = seek(&upstream).get("/users?limit=10");
        match change {
            "changed" => update(&rows, 31, 5),
            _ => rows.change(|rows| rows.retain(|row| row.id != 31)),
        }
        let gateway = seek(&upstream);
        let page = gateway.get(&next(&first));
        assert_eq!(page.outcome(), "410 cursor_gone", "{change}: {page:?}");
        let problem = page.json();
        assert_eq!(problem["restart"], "/users?limit=10", "{problem}");
        let nearest = gateway.get(problem["nearest"].as_str().expect("a place to go on at"));
        assert_eq!(nearest.outcome(), "200", "{nearest:?}");
        assert_eq!(nearest.header("cursorgate-level"), Some("positional"));
        assert_eq!(ids(&gateway.get("/users?limit=10"))[0], 40);
    }
}

/// Fingerprints of an older signing key are recognised. The fingerprint in a cursor is made with the key that signs the
/// cursor, and another key may have replaced that key since.
#[test]
fn marks_of_an_older_key_are_recognised() {
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let target = next(&seek(&upstream).get("/users?limit=10"));
    let settings = configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\n{BY_IDS}"));
    let gateway = Gateway::start_with(Keys::Both, &settings);
    for look_ups_so_far in [1, 1] {
        let page = gateway.get(&target);
        assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{page:?}");
        assert_eq!(look_ups(&upstream), look_ups_so_far);
        assert_eq!(ids(&gateway.get(&next(&page))), (11..=20).rev().collect::<Vec<_>>());
    }
    assert_eq!(Gateway::start_with(Keys::Two, &settings).get(&target).outcome(), "400 cursor_invalid");
}

#[test]
fn clients_name_items_by_their_ids() {
    let rows = Rows::count(40);
    rows.change_of("Bearer other", |rows| rows.push(Row::new(7_000, 70)));
    let upstream = serve(&rows);
    let gateway = seek(&upstream);
    let page = gateway.get("/users?limit=3&starting_after=20");
    assert_eq!(ids(&page), [19, 18, 17], "{page:?}");
    assert_eq!(page.header("cursorgate-level"), Some("exact"));
    assert_eq!(ids(&gateway.get("/users?limit=3&ending_before=20")), [23, 22, 21]);
    // The page begins at the item's present place, not at the place where it was served.
    update(&rows, 20, 35);
    assert_eq!(ids(&gateway.get("/users?limit=3&starting_after=20")), [3, 2, 1]);
    for (query, outcome) in [
        ("starting_after=41", "410 cursor_gone"),
        ("starting_after=7000", "410 cursor_gone"),
        ("starting_after=..", "400 parameter_invalid"),
        ("starting_after=%2e", "400 parameter_invalid"),
        ("starting_after=", "400 parameter_invalid"),
        ("starting_after=1&ending_before=2", "400 range_unsupported"),
        ("starting_after=1&cursor=x", "400 parameter_conflict"),
    ] {
        let answer = gateway.get(&format!("/users?limit=3&{query}"));
        assert_eq!(answer.outcome(), outcome, "{query}: {answer:?}");
    }
    assert!(upstream.requests().iter().all(|request| !request.path().contains("..")));
    let other = gateway.send("GET", "/users?starting_after=7000", &[("Authorization", "Bearer other")], b"");
    assert_eq!(other.outcome(), "200", "{other:?}");
}

/// A parameter that names an item by its id is refused in modes other than `seek`.
#[test]
fn ids_are_accepted_in_seek_mode_alone() {
    let rows = Rows::count(10);
    let upstream = serve(&rows);
    let route = format!("{BY_SCORE}\nparameters = {{ after_id = \"starting_after\" }}");
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route));
    assert_eq!(gateway.get("/users?starting_after=5").outcome(), "400 parameter_invalid");
    assert_eq!(upstream.count(), 0);
}

/// Items of one tenant never determine pages of another, although their rows have the same ids. A cursor of one tenant
/// doesn't give another tenant the keys of its item.
///
/// Row: A22
#[test]
fn pivots_of_one_principal_are_never_used_for_another() {
    let rows = Rows::default();
    rows.change_of("Bearer a", |rows| rows.extend((1..=40).map(|id| Row::new(id, id * 10))));
    rows.change_of("Bearer b", |rows| rows.extend((1..=40).map(|id| Row::new(id, 1_000 - id * 10))));
    let upstream = serve(&rows);
    let gateway = seek(&upstream);
    let [a, b] = ["Bearer a", "Bearer b"].map(|whose| [("Authorization", whose)]);
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let (mut at_a, mut at_b) = (Some("/users?limit=7".to_owned()), Some("/users?limit=7".to_owned()));
    while let (Some(target_a), Some(target_b)) = (at_a, at_b) {
        let page = gateway.send("GET", &target_a, &a, b"");
        of_a.extend(ids(&page));
        at_a = page.link("next");
        let page = gateway.send("GET", &target_b, &b, b"");
        of_b.extend(ids(&page));
        at_b = page.link("next");
    }
    assert_eq!(of_a, (1..=40).rev().collect::<Vec<u64>>());
    assert_eq!(of_b, (1..=40).collect::<Vec<u64>>());
    assert_eq!(look_ups(&upstream), 0);

    // The first page of one client is remembered; the other client's own item with that id has other keys.
    let stolen = next(&gateway.send("GET", "/users?limit=7", &a, b""));
    let refused = gateway.send("GET", &stolen, &b, b"");
    assert_eq!(refused.outcome(), "410 cursor_gone", "{refused:?}");
    let asked = upstream.requests();
    let look_up = asked.iter().find(|request| request.path() == "/users/34").expect("it was looked up");
    assert_eq!(look_up.header("authorization"), Some("Bearer b"));
    let nobody = gateway.get(&stolen);
    assert_eq!(nobody.outcome(), "410 cursor_gone", "{nobody:?}");
    assert_eq!(gateway.send("GET", &stolen, &a, b"").outcome(), "200");
}

/// If a process does not remember the item of a cursor, twenty clients with that cursor cause one look-up.
///
/// Row: A21
#[test]
fn one_look_up_serves_all_waiting_requests() {
    const CLIENTS: usize = 20;
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let target = next(&seek(&upstream).get("/users?limit=10"));
    let gateway = seek(&upstream);
    let gate = Gate::default();
    let (opened, served) = (gate.clone(), rows.clone());
    upstream.answer(move |exchange| {
        if exchange.request.path() == "/users/31" {
            opened.wait();
        }
        served.answer(exchange)
    });
    let mut clients: Vec<Connection> = (0..CLIENTS).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        ask(client, &target);
    }
    // A request between the end of the look-up and the storing of its result would correctly look up again, so the
    // test waits until all requests are in flight.
    let waiting = format!("cursorgate_requests_in_flight {CLIENTS}\n");
    let all_wait = || crate::harness::http::get(gateway.admin, "/metrics").text().contains(&waiting).then_some(());
    crate::harness::eventually("all clients", all_wait);
    crate::harness::eventually("the look-up", || (look_ups(&upstream) > 0).then_some(()));
    gate.open();
    let pages: Vec<Response> = thread::scope(|scope| {
        let reading = clients.iter_mut().map(|client| scope.spawn(|| client.response("GET").expect("a page")));
        reading.collect::<Vec<_>>().into_iter().map(|page| page.join().expect("it is read")).collect()
    });
    for page in &pages {
        assert_eq!(ids(page), (21..=30).rev().collect::<Vec<_>>(), "{page:?}");
    }
    assert_eq!(look_ups(&upstream), 1);
}

/// If a client whose look-up other requests wait for closes its connection, one of the waiting requests looks the item
/// up.
///
/// Row: A21, F59
#[test]
fn a_waiting_request_takes_over_the_look_up_of_a_client_that_leaves() {
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let target = next(&seek(&upstream).get("/users?limit=10"));
    let gateway = seek(&upstream);
    let gate = Gate::default();
    let (opened, served) = (gate.clone(), rows.clone());
    upstream.answer(move |exchange| {
        if exchange.request.path() == "/users/31" {
            opened.wait();
        }
        served.answer(exchange)
    });
    let mut first = gateway.connect();
    ask(&mut first, &target);
    crate::harness::eventually("the look-up", || (look_ups(&upstream) == 1).then_some(()));
    let mut second = gateway.connect();
    ask(&mut second, &target);
    drop(first);
    crate::harness::eventually("another look-up", || (look_ups(&upstream) == 2).then_some(()));
    gate.open();
    let page = second.response("GET").expect("a page");
    assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{page:?}");
}
