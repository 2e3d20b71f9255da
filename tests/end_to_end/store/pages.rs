//! Tests of pages that processes share. Pages are made once for all processes, kept apart as in memory, dropped
//! everywhere by a purge, and served even if the store fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    Flavour, StoreServer, at, questions, server,
    servers::{at_cluster, start_cluster},
    status, wait_until_up,
};
use crate::{
    harness::{
        Directory, eventually,
        gateway::{Gateway, Keys},
        http::Response,
        list::{PLAIN, Setup},
        metric,
        upstream::{Exchange, Gate, Upstream},
    },
    page_cache::{is_hit, purge, status as cache_status, with_token},
};

const KEPT: &str = "page_cache = { ttl = \"1h\", private = true }";

/// The headers that may differ between a page and its copy.
const OF_CACHE: [&str; 4] = ["age", "cache-status", "x-request-id", "date"];

/// Starts an upstream whose item contains the number of the answer, and the language and the credentials of the
/// request. No two answers are therefore the same. Writes succeed.
fn counting() -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(move |exchange: &mut Exchange| {
        if exchange.request.method != "GET" {
            exchange.body()?;
            return exchange.reply("200 OK", &[], b"{}");
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        answer(exchange, number)
    })
}

fn answer(exchange: &mut Exchange, number: usize) -> std::io::Result<crate::harness::upstream::After> {
    let said = |name| exchange.request.header(name).unwrap_or("none").to_owned();
    let (language, who) = (said("accept-language"), said("authorization"));
    let body = format!(
        r#"{{"total":1,"items":[{{"id":1,"answer":{number},"language":"{language}","who":"{who}","note":"canary-item"}}]}}"#
    );
    let headers = [("Vary", "Accept-Language"), ("Surrogate-Key", "red"), ("Age", "7")];
    exchange.reply("200 OK", &headers, body.as_bytes())
}

fn start_with(keys: Keys, upstream: &Upstream, shared: &str, route: &'static str) -> Gateway {
    let more = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"";
    let setup = Setup { route, more, ..PLAIN };
    let text = format!("[caches.shared]\n{shared}\n{}", setup.configuration(upstream.address));
    let gateway = Gateway::start_with(keys, &text);
    wait_until_up(&gateway);
    wait_until_shared(&gateway);
    gateway
}

fn start(upstream: &Upstream, shared: &str) -> Gateway {
    start_with(Keys::One, upstream, shared, KEPT)
}

fn wait_until_shared(gateway: &Gateway) {
    eventually("pages are shared", || {
        let pages = &status(gateway)["pages"];
        (pages["shared"] == true && pages["unwritten_purges"] == 0).then_some(())
    });
}

/// Returns the number of look-ups of pages in the store that had this result, such as `hit`.
fn pages(gateway: &Gateway, answer: &str) -> u64 {
    metric(gateway, &format!("cursorgate_shared_store_pages_total{{answer=\"{answer}\"}}"))
}

/// Makes a page by one process, and waits until the store contains the page's two entries: the names of the headers by
/// which pages differ, and the page itself.
fn make(gateway: &Gateway, nodes: &[&StoreServer], target: &str, headers: &[(&str, &str)]) -> Response {
    let entries = || nodes.iter().map(|node| node.keys_of("page1").len()).sum::<usize>();
    let before = entries();
    let page = gateway.send("GET", target, headers, b"");
    assert_eq!(cache_status(&page), "cursorgate; fwd=miss; stored", "{page:?}");
    eventually("the store has it", || (entries() > before + 1).then_some(()));
    page
}

/// Makes pages by the first process until the second one finds a page in the store. Each page has another size, from
/// `from` on. After the loss of numbers of purges, a process notices within a second that it must begin anew. Returns
/// the target of the found page and the number of its answer.
fn make_again([first, second]: [&Gateway; 2], from: usize) -> (String, u64) {
    let mut limit = from;
    let mut made: Option<(String, u64)> = None;
    eventually("they share again", || {
        let last = made.take().filter(|(target, _)| is_hit(&second.get(target)));
        limit += 1;
        let target = format!("/users?limit={}", 1 + limit % 200);
        made = Some((target.clone(), number(&first.get(&target))));
        last
    })
}

fn number(page: &Response) -> u64 {
    assert_eq!(page.status, 200, "{page:?}");
    page.json()["data"][0]["answer"].as_u64().unwrap_or_else(|| panic!("{page:?}"))
}

fn without_age(page: &Response) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let stays = |(name, _): &&(String, String)| !OF_CACHE.contains(&name.to_ascii_lowercase().as_str());
    let mut headers: Vec<_> = page.headers.iter().filter(stays).cloned().collect();
    headers.sort();
    (page.status, headers, page.body.clone())
}

/// Asserts that a page is made once for two processes, and that both serve it with the same bytes, level, validator,
/// links and age.
fn share(shared: &str, nodes: &[&StoreServer]) {
    let upstream = counting();
    let [first, second] = [(); 2].map(|()| start(&upstream, shared));
    for (index, limit) in (10..30).enumerate() {
        let target = format!("/users?limit={limit}");
        let made = make(&first, nodes, &target, &[]);
        let asked = upstream.count();
        let headers: &[(&str, &str)] = if index % 2 == 0 { &[] } else { &[("Cache-Control", "only-if-cached")] };
        let found = second.send("GET", &target, headers, b"");
        assert!(is_hit(&found), "{shared}: {found:?}");
        assert_eq!(without_age(&found), without_age(&made));
        let age = found.header("age").and_then(|age| age.parse::<u64>().ok());
        assert!(age.is_some_and(|age| (7..100).contains(&age)) && found.header("cursorgate-level").is_some());
        let tag = found.header("etag").expect("a tag").to_owned();
        assert_eq!(second.send("GET", &target, &[("If-None-Match", &tag)], b"").status, 304);
        assert_eq!((upstream.count(), pages(&second, "hit")), (asked, index as u64 + 1), "then it is in memory");
    }
    let log = eventually("the lines", || Some(second.access_log()).filter(|log| log.len() >= 40));
    let is_line_of_hit = |line: &serde_json::Value| line["cache"] == "hit" && line["upstream_requests"] == 0;
    assert!(log.iter().all(|line| is_line_of_hit(line) && line["page_level"] == log[0]["page_level"]), "{log:#?}");
}

#[test]
fn a_page_that_one_process_made_is_a_hit_in_another() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let server = StoreServer::start(flavour);
        share(&at(&server), &[&server]);
    }
}

#[test]
fn the_nodes_of_a_cluster_share_the_pages() {
    let nodes = start_cluster();
    share(&at_cluster(&nodes), &nodes.each_ref());
    assert!(nodes.iter().all(|node| !node.keys_of("page1").is_empty()), "they are spread");
}

/// A user of the store with only the rights of the documentation suffices.
#[test]
fn the_page_cache_needs_only_the_documented_rights_of_the_store() {
    let server = StoreServer::start_with(Flavour::Redis, |_, _| {
        format!("user default on nopass ~* +@all\n{}\n", server::documented_rights().replace(">PASSWORD", ">hunter2"))
    });
    let folder = Directory::new();
    std::fs::write(folder.file("password"), "hunter2").expect("a file");
    let password = format!("username = \"cursorgate\"\npassword = \"file:{}\"", folder.file("password").display());
    let shared = format!("{}\n{password}", at(&server));
    let upstream = counting();
    let [first, second] = [(); 2].map(|()| start(&upstream, &shared));
    let made = make(&first, &[&server], "/users", &[]);
    assert!(is_hit(&second.get("/users")));
    assert_eq!(first.send("POST", "/users", &[], b"{}").status, 200);
    assert_eq!(status(&first)["pages"]["unwritten_purges"], 0);
    eventually("the other process learns of it", || (number(&second.get("/users")) > number(&made)).then_some(()));
}

/// A hundred simultaneous requests for one page cause at most two look-ups in the store, and no upstream request.
#[test]
fn simultaneous_misses_make_one_request_to_the_store() {
    let (upstream, server) = (counting(), StoreServer::start(Flavour::Redis));
    let [first, second] = [(); 2].map(|()| start(&upstream, &at(&server)));
    make(&first, &[&server], "/users", &[]);
    let asked = upstream.count();
    let mut connections: Vec<_> = (0..100).map(|_| second.connect()).collect();
    for connection in &mut connections {
        connection.send(b"GET /users HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is open");
    }
    for connection in &mut connections {
        let page = connection.response("GET").expect("a response");
        // A request that arrived when the page was just stored shares it.
        assert!(is_hit(&page) || cache_status(&page) == "cursorgate; fwd=miss; collapsed", "{page:?}");
    }
    assert_eq!((upstream.count(), pages(&second, "miss")), (asked, 0));
    // A second look-up is possible, because the headers by which pages differ are in memory shortly before the first
    // page.
    assert!((1..=2).contains(&pages(&second, "hit")), "{}", pages(&second, "hit"));
}

/// Pages in the store are kept apart by client and by the headers in `Vary`, as in memory.
///
/// Row: A22
#[test]
fn pages_in_the_store_are_separated_by_client_and_vary() {
    let (upstream, server) = (counting(), StoreServer::start(Flavour::Redis));
    let [first, second] = [(); 2].map(|()| start(&upstream, &at(&server)));
    let (de, en) = (("Accept-Language", "de"), ("Accept-Language", "en"));
    let (one, other) = (("Authorization", "Bearer canary-one"), ("Authorization", "Bearer other"));
    for headers in [&[de][..], &[de, one]] {
        make(&first, &[&server], "/users", headers);
    }
    for (headers, hits) in [
        (&[en][..], false),
        (&[de, other], false),
        (&[en, one], false),
        (&[de], true),
        (&[de, one], true),
        (&[one], false),
        (&[("Authorization", "Bearer"), ("Accept-Language", "de")], false),
    ] {
        let page = second.send("GET", "/users", headers, b"");
        assert_eq!(is_hit(&page), hits, "{headers:?}: {page:?}");
        let sent = |name| headers.iter().find(|(known, _)| *known == name).map_or("none", |(_, value)| *value);
        let item = &page.json()["data"][0];
        assert_eq!((&item["language"], &item["who"]), (&sent("Accept-Language").into(), &sent("Authorization").into()));
    }
    // A process with other keys finds no page, and the values that the store's operator sees contain no secret.
    let third = start_with(Keys::Two, &upstream, &at(&server), KEPT);
    assert!(!is_hit(&third.send("GET", "/users", &[de, one], b"")));
    assert_eq!(questions(&third, "forged"), 0);
    for key in server.keys_of("page1") {
        let value: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut server.client()).expect("a value");
        for secret in [&b"canary"[..], b"Bearer", b"users", b"language"] {
            assert!(!value.windows(secret.len()).any(|part| part == secret) && !key.contains("canary"), "{key}");
        }
    }
}

/// A purge by one process applies to the store at once, and soon to the memory of other processes.
#[test]
fn purges_hold_for_all_processes() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let (upstream, server) = (counting(), StoreServer::start(flavour));
        let [first, second, third] = [(); 3].map(|()| start(&upstream, &at(&server)));
        with_token(&first);
        let acts: [(&str, &dyn Fn()); 5] = [
            ("a write", &|| drop(first.send("PATCH", "/users/5", &[], b"{}"))),
            ("another spelling", &|| drop(first.send("DELETE", "/Users//5", &[], b""))),
            ("a route", &|| drop(purge(&first, "{\"route\":\"users\"}"))),
            ("a tag", &|| drop(purge(&first, "{\"tag\":\"red\"}"))),
            ("the name of the route", &|| drop(purge(&first, "{\"tag\":\"users\"}"))),
        ];
        for (limit, (name, act)) in acts.into_iter().enumerate() {
            let target = format!("/users?limit={}", limit + 1);
            let made = number(&make(&first, &[&server], &target, &[]));
            assert_eq!(number(&second.get(&target)), made, "{name}");
            act();
            // This process has no such page in memory.
            let page = third.get(&target);
            assert!(!is_hit(&page) && number(&page) > made, "{flavour:?} {name}: {page:?}");
            assert!(number(&first.get(&target)) > made, "{name}");
            eventually("the other process learns of it", || (number(&second.get(&target)) > made).then_some(()));
        }
        assert_eq!(pages(&third, "purged"), 5, "{flavour:?}");
        let made = number(&make(&first, &[&server], "/users?limit=99", &[]));
        drop(purge(&first, "{\"tag\":\"blue\"}"));
        drop(first.send("PATCH", "/others/5", &[], b"{}"));
        assert_eq!(number(&third.get("/users?limit=99")), made, "nothing of it was purged");
    }
}

/// During a change of keys, a purge applies to all processes, although each process finds only pages of its own signing
/// key.
#[test]
fn purges_cross_a_change_of_keys() {
    let (upstream, server) = (counting(), StoreServer::start(Flavour::Redis));
    let [old, older, new] =
        [Keys::BothBefore, Keys::BothBefore, Keys::Both].map(|keys| start_with(keys, &upstream, &at(&server), KEPT));
    let made = number(&make(&old, &[&server], "/users", &[]));
    assert_eq!(new.send("POST", "/users", &[], b"{}").status, 200);
    assert!(number(&older.get("/users")) > made, "the store");
    eventually("the memory", || (number(&old.get("/users")) > made).then_some(()));
}

/// A purge is not lost if the store is paused or full at the time of the write. Afterwards, no process finds an earlier
/// page in the store.
///
/// Row: F50
#[test]
fn a_purge_that_the_store_could_not_take_is_not_lost() {
    let (upstream, server) = (counting(), StoreServer::start(Flavour::Redis));
    let shared = at(&server).replace(super::PATIENT, "timeout = \"100ms\"");
    let [first, second, third] = [(); 3].map(|()| start(&upstream, &shared));
    let made = number(&make(&first, &[&server], "/users", &[]));
    server.signal("STOP");
    assert_eq!(first.send("POST", "/users", &[], b"{}").status, 200);
    assert!(number(&first.get("/users")) > made);
    let unwritten = status(&first)["pages"]["unwritten_purges"].as_u64();
    assert!(unwritten > Some(0), "{unwritten:?}");
    server.signal("CONT");
    wait_until_shared(&first);
    [&second, &third].into_iter().for_each(wait_until_shared);
    assert!(number(&second.get("/users")) > made, "it has been written");

    let (target, made) = make_again([&first, &second], 7);
    for (setting, value) in [("maxmemory-policy", "noeviction"), ("maxmemory", "1")] {
        let () =
            redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).query(&mut server.client()).expect("it is set");
    }
    assert_eq!(first.send("POST", "/users", &[], b"{}").status, 200);
    assert!(number(&third.get(&target)) > made, "a full store takes no number, and no page is used");
    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("0").query(&mut server.client()).expect("it is set");
    make_again([&first, &second], 100);
}

/// Numbers of purges that are missing, foreign or restored cause misses. A writer to the store can therefore drop
/// pages, but can't keep purged pages alive.
///
/// Row: A24
#[test]
fn missing_or_restored_purge_numbers_cause_misses() {
    let (upstream, server) = (counting(), StoreServer::start(Flavour::Redis));
    let [first, second, third] = [(); 3].map(|()| start(&upstream, &at(&server)));
    let mut client = server.client();
    let [numbers]: [String; 1] = server.keys_of("purge1").try_into().expect("one set");
    let state = |client: &mut redis::Connection| -> Vec<u8> {
        redis::cmd("DUMP").arg(&numbers).query(client).expect("a state")
    };
    let put_back = |client: &mut redis::Connection, state: &[u8]| {
        let () =
            redis::cmd("RESTORE").arg(&numbers).arg(0).arg(state).arg("REPLACE").query(client).expect("it is put back");
    };
    let made = number(&make(&first, &[&server], "/users", &[]));
    let before = state(&mut client);
    assert_eq!(second.send("POST", "/users", &[], b"{}").status, 200);
    put_back(&mut client, &before);
    assert!(number(&second.get("/users")) > made, "this process knows the later number");
    eventually("another series is begun", || (state(&mut client) != before).then_some(()));
    [&first, &second, &third].into_iter().for_each(wait_until_shared);
    assert!(number(&third.get("/users")) > made, "no page of the earlier series is used");

    let (target, made) = make_again([&first, &second], 100);
    let () = redis::cmd("DEL").arg(&numbers).query(&mut client).expect("it is gone");
    assert!(number(&third.get(&target)) > made, "a number that is not there is none");
    let foreign: [&[&str]; 4] =
        [&["SET", "x"], &["ZADD", "1", "7"], &["ZADD", "nan", "~1"], &["ZADD", "9007199254740992", "~1"]];
    for (index, arguments) in foreign.into_iter().enumerate() {
        let () = redis::cmd("DEL").arg(&numbers).query(&mut client).expect("it is gone");
        let _: Result<(), _> = redis::cmd(arguments[0]).arg(&numbers).arg(&arguments[1..]).query(&mut client);
        let target = format!("/users?limit={}", 20 + index);
        let page = first.get(&target);
        assert_eq!(first.send("POST", "/users", &[], b"{}").status, 200);
        assert!(number(&third.get(&target)) > number(&page), "{arguments:?}");
    }
    make_again([&first, &third], 30);
}

/// While the store dies, stops, is full and returns, each page is served, and no page is older than a write through the
/// same process.
///
/// Row: F50
#[test]
fn a_store_that_fails_costs_no_page() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let (upstream, mut server) = (counting(), StoreServer::start(flavour));
        // This test uses the default time limit, not the long one of other tests.
        let shared = at(&server).replace(super::PATIENT, "");
        let both = [(); 2].map(|()| start(&upstream, &shared));
        let mut written = [0; 2];
        for round in 0..120 {
            match round {
                20 => server.signal("STOP"),
                40 => server.signal("CONT"),
                60 => server.kill(),
                80 => server.start_again(),
                50 | 90 => both.iter().for_each(wait_until_up),
                100 => {
                    let mut client = server.client();
                    let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).query(&mut client).expect("set");
                }
                _ => {}
            }
            let turn = round % 2;
            let page = both[turn].get(&format!("/users?limit={}", 1 + round % 5));
            assert!(number(&page) >= written[turn], "{flavour:?} {round}: {page:?}");
            if round % 10 == 9 {
                assert_eq!(both[turn].send("POST", "/users", &[], b"{}").status, 200);
                // The next answer of the upstream is the first one that includes the write.
                let requests = upstream.requests();
                written[turn] = requests.iter().filter(|request| request.method == "GET").count() as u64;
            }
        }
        let mut client = server.client();
        let () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(0).query(&mut client).expect("set");
        for gateway in &both {
            wait_until_up(gateway);
            wait_until_shared(gateway);
            assert!(gateway.log().iter().all(|line| !line.contains("panicked")), "{:#?}", gateway.log());
        }
        make_again(both.each_ref(), 77);
    }
}

/// A stale page of another process is served if the upstream fails.
#[test]
fn a_stale_page_of_another_process_is_served_where_the_upstream_fails() {
    let (upstream, server) = (counting(), StoreServer::start(Flavour::Redis));
    let route = "page_cache = { ttl = \"1s\", stale_if_error = \"1h\" }";
    let [first, second] = [(); 2].map(|()| start_with(Keys::One, &upstream, &at(&server), route));
    make(&first, &[&server], "/users", &[]);
    upstream.answer(|exchange| exchange.reply("503 Service Unavailable", &[], b""));
    let is_old = |page: &Response| cache_status(page).starts_with("cursorgate; fwd=stale; detail=upstream_");
    eventually("the page is old", || Some(first.get("/users")).filter(is_old));
    let page = second.get("/users");
    assert!(is_old(&page) && number(&page) == 0 && page.header("age").is_some(), "{page:?}");
}

/// A stale page of another process is served while a new page is made, which all processes then find.
#[test]
fn a_stale_page_of_another_process_is_served_while_a_new_one_is_made() {
    let (gate, count) = (Gate::default(), AtomicUsize::new(0));
    let opened = gate.clone();
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number > 0 {
            opened.wait();
        }
        answer(exchange, number)
    });
    let server = StoreServer::start(Flavour::Redis);
    let route = "page_cache = { ttl = \"1s\", stale_while_revalidate = \"1h\" }";
    let [first, second] = [(); 2].map(|()| start_with(Keys::One, &upstream, &at(&server), route));
    make(&first, &[&server], "/users", &[]);
    let is_stale = |page: &Response| cache_status(page).starts_with("cursorgate; hit; ttl=-");
    eventually("the page is old", || Some(first.get("/users")).filter(is_stale));
    let page = second.get("/users");
    assert!(is_stale(&page) && number(&page) == 0, "{page:?}");
    gate.open();
    eventually("a new one is made", || (number(&second.get("/users")) > 0).then_some(()));
}
