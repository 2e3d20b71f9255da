//! Tests of processes that share a store. Each process finds the entries of the others, no client learns or changes
//! anything through the store, and the loss of the store costs no page.

mod board;
mod limits;
mod outage;
mod pages;
mod rates;
mod secrecy;
pub(crate) mod server;
mod servers;

use self::server::{Flavour, StoreServer};
use crate::harness::{
    eventually,
    gateway::{Gateway, Keys},
    http::{self, Response},
    metric,
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids},
    upstream::Upstream,
};

/// A list whose cursors contain only ids.
const SEEKING: &str = "mode = \"seek\"";

/// A long time limit of the store, for tests of other features: a loaded machine must not turn hits into misses.
const PATIENT: &str = "timeout = \"1s\"";

fn serve(rows: &Rows) -> Upstream {
    let served = rows.clone();
    Upstream::start(move |exchange| served.answer(exchange))
}

/// Returns the configuration of a gateway for rows, with the lines of `shared` in `[caches.shared]`; without that table
/// if `shared` is empty.
fn text(upstream: &Upstream, shared: &str) -> String {
    let route = configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\n{SEEKING}"));
    if shared.is_empty() { route } else { format!("[caches.shared]\n{shared}\n{route}") }
}

fn at(server: &StoreServer) -> String {
    format!("addresses = [\"127.0.0.1:{}\"]\n{PATIENT}", server.port)
}

/// Starts a gateway and waits until it is connected to its store.
fn start(keys: Keys, upstream: &Upstream, shared: &str) -> Gateway {
    let gateway = Gateway::start_with(keys, &text(upstream, shared));
    wait_until_up(&gateway);
    gateway
}

fn status(gateway: &Gateway) -> serde_json::Value {
    http::get(gateway.admin, "/status").json()["shared_store"].clone()
}

fn wait_until_up(gateway: &Gateway) {
    eventually("the store is up", || (status(gateway)["degraded"] == false).then_some(()));
}

fn questions(gateway: &Gateway, answer: &str) -> u64 {
    metric(gateway, &format!("cursorgate_shared_store_questions_total{{answer=\"{answer}\"}}"))
}

fn writes(gateway: &Gateway, result: &str) -> u64 {
    metric(gateway, &format!("cursorgate_shared_store_writes_total{{result=\"{result}\"}}"))
}

/// Waits until the store contains at least this number of remembered items.
fn wait_for_items(server: &StoreServer, count: usize) {
    eventually("the items are stored", || (server.keys_of("pivot1").len() >= count).then_some(()));
}

/// Returns the number of requests for single items, which are look-ups of keys.
fn look_ups(upstream: &Upstream) -> usize {
    let is_item = |path: &str| path.rsplit('/').next().is_some_and(|last| last.parse::<u64>().is_ok());
    upstream.requests().iter().filter(|request| is_item(request.path())).count()
}

fn next(page: &Response) -> String {
    page.link("next").unwrap_or_else(|| panic!("no next page: {page:?}"))
}

/// Another process finds the items of served pages in the store. It therefore needs no look-up, and can continue after
/// a removed item.
#[test]
fn an_item_served_by_one_process_needs_no_look_up_in_another() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let (rows, server) = (Rows::count(40), StoreServer::start(flavour));
        let upstream = serve(&rows);
        let [first, second] = [(); 2].map(|()| start(Keys::One, &upstream, &at(&server)));
        let page = first.get("/users?limit=10");
        assert_eq!(page.outcome(), "200", "{page:?}");
        wait_for_items(&server, 2);
        // The item is removed: a process that did not know its keys would refuse the cursor.
        rows.change(|rows| rows.retain(|row| row.id != 31));
        let page = second.get(&next(&page));
        assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{flavour:?}: {page:?}");
        assert_eq!((look_ups(&upstream), questions(&second, "hit")), (0, 1), "{flavour:?}");
        let log = eventually("the line", || second.access_log().pop());
        assert_eq!(log["pivot"], "store", "{log:#}");
        // From now on, the item is in memory.
        assert_eq!(second.get(&next(&first.get("/users?limit=10"))).outcome(), "200");
        assert_eq!((questions(&second, "hit"), questions(&second, "miss")), (1, 0), "{flavour:?}");
    }
}

/// A tenant doesn't find entries of another tenant in the shared store.
///
/// Row: A22
#[test]
fn an_entry_of_the_store_is_not_found_by_another_principal() {
    let (rows, server) = (Rows::count(40), StoreServer::start(Flavour::Redis));
    for whose in ["Bearer one", "Bearer other"] {
        rows.change_of(whose, |rows| rows.extend((1..=40).map(|id| Row::new(id, id * 10))));
    }
    let upstream = serve(&rows);
    let [first, second] = [(); 2].map(|()| start(Keys::One, &upstream, &at(&server)));
    let get =
        |gateway: &Gateway, target: &str, whose: &str| gateway.send("GET", target, &[("Authorization", whose)], b"");
    let target = next(&get(&first, "/users?limit=10", "Bearer one"));
    wait_for_items(&server, 2);
    assert_eq!(get(&second, &target, "Bearer other").outcome(), "200");
    assert_eq!((questions(&second, "hit"), questions(&second, "miss"), look_ups(&upstream)), (0, 1, 1));
    assert_eq!(get(&second, &target, "Bearer one").outcome(), "200");
    assert_eq!((questions(&second, "hit"), look_ups(&upstream)), (1, 1));
}

/// A walk whose pages come in turn from two processes skips and repeats no row, with a store and without one. During
/// the walk, rows are added and removed, and the processes sign with different keys.
#[test]
fn a_walk_that_alternates_between_processes_is_exact() {
    for (mode, shares) in [(SEEKING, true), (SEEKING, false), ("mode = \"keyset\"", true), ("mode = \"offset\"", true)]
    {
        let (rows, server) = (Rows::count(200), StoreServer::start(Flavour::Redis));
        let upstream = serve(&rows);
        let shared = if shares { at(&server) } else { String::new() };
        let text = text(&upstream, &shared).replace(SEEKING, mode);
        // Both processes verify the next key before one of them signs with it.
        let [old, new] = [Keys::BothBefore, Keys::Both].map(|keys| Gateway::start_with(keys, &text));
        if shares {
            [&old, &new].into_iter().for_each(wait_until_up);
        }
        let mut seen: Vec<u64> = Vec::new();
        let (mut target, mut turn) = (Some("/users?limit=7".to_owned()), 0_u64);
        while let Some(asked) = target {
            let gateway = if turn % 2 == 0 { &old } else { &new };
            let page = gateway.get(&asked);
            assert_eq!(page.outcome(), "200", "{mode} {shares} {asked}: {page:?}");
            seen.extend(ids(&page));
            target = page.link("next");
            turn += 1;
            // Rows before and after the place of the cursor are removed, and new rows are added. The item that the
            // cursor names stays.
            let last = *ids(&page).last().expect("no page is empty");
            rows.change(|rows| {
                rows.retain(|row| row.id != last + 3 && row.id + 2 != last);
                rows.push(Row::new(1_000 + turn, 2_000 + turn));
            });
        }
        let stood: Vec<u64> = rows.all().iter().map(|row| row.id).filter(|id| *id <= 200).collect();
        let mut sorted = seen.clone();
        sorted.sort_unstable_by(|one, other| other.cmp(one));
        sorted.dedup();
        assert_eq!(seen, sorted, "{mode} {shares}: in order, and none twice");
        assert!(stood.iter().all(|id| seen.contains(id)), "{mode} {shares}: none skipped");
    }
}

/// Without the table `[caches.shared]`, the process has neither a thread for a store nor a status of one.
#[test]
fn without_the_table_there_is_no_store() {
    let upstream = serve(&Rows::count(40));
    let gateway = Gateway::start(&text(&upstream, ""));
    assert_eq!(gateway.get(&next(&gateway.get("/users?limit=10"))).outcome(), "200");
    assert!(status(&gateway).is_null(), "{}", status(&gateway));
    let threads = std::fs::read_dir(format!("/proc/{}/task", gateway.process())).expect("it runs");
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    assert!(names.into_iter().all(|name| name.trim() != "store"));
}
