//! Tests of several peers of an upstream under steady walks: peers that die and return, that hang, that fail, or whose
//! addresses change. If a peer could have served a request, the request does not fail. No item is skipped or repeated,
//! and the upstream gets few additional requests.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::harness::{
    dns::DnsServer,
    eventually,
    gateway::{Gateway, free_port},
    http::{self, Response},
    list::{Setup, body, serve, users},
    upstream::{After, Exchange, Upstream},
};

/// The number of items of the list.
const ITEMS: usize = 120;
/// The number of clients that walk at the same time.
const WALKERS: usize = 4;
/// The number of retries that an upstream may have beyond its share (the reserve of the retry budget).
const RESERVE: u64 = 10;

const FORWARD: &str = "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"";

/// Starts a gateway with these peers.
fn start(peers: &[String], upstream: &'static str) -> Gateway {
    Gateway::start(&configuration(peers, upstream))
}

fn configuration(peers: &[String], upstream: &'static str) -> String {
    let setup = Setup { upstream, route: "", more: FORWARD };
    let nowhere: SocketAddr = ([0, 0, 0, 0], 1).into();
    let all = peers.iter().map(|peer| format!("\"{peer}\"")).collect::<Vec<_>>().join(", ");
    setup.configuration(nowhere).replace(&format!("\"{nowhere}\""), &all)
}

/// Starts a gateway whose pages take at most three requests to these peers.
fn start_with_small_budget(peers: &[&Upstream]) -> Gateway {
    let peers: Vec<String> = peers.iter().map(|peer| peer.address.to_string()).collect();
    let budgets = "order = [\"id\"]\nbudgets = { upstream_requests = 3, search_requests = 3 }";
    Gateway::start(&configuration(&peers, "").replace("order = [\"id\"]", budgets))
}

fn start_at(peers: &[SocketAddr], upstream: &'static str) -> Gateway {
    start(&peers.iter().map(SocketAddr::to_string).collect::<Vec<_>>(), upstream)
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    crate::harness::metric(gateway, &format!("{name}{{upstream=\"legacy\"}}"))
}

/// Returns the entry of an address at `/upstreams`.
fn peer(gateway: &Gateway, address: SocketAddr) -> serde_json::Value {
    let report = http::get(gateway.admin, "/upstreams").json();
    let peers = report["upstreams"][0]["peers"].as_array().cloned().unwrap_or_default();
    let found = peers.into_iter().find(|peer| peer["address"] == address.to_string());
    found.unwrap_or_else(|| panic!("no {address} in {report}"))
}

fn told(gateway: &Gateway, words: &str, peer: SocketAddr) -> usize {
    let peer = peer.to_string();
    gateway.log().iter().filter(|line| line.contains(words) && line.contains(&peer)).count()
}

/// Clients that walk the list and request forwarded answers until `stop` is set.
struct Walkers<'a> {
    gateway: &'a Gateway,
    /// Returns whether a client may repeat a request after an answer other than 200.
    may_ask_again: fn(&Response) -> bool,
    /// The target of the first request of a walk.
    first: &'static str,
    stop: AtomicBool,
    walks: AtomicUsize,
    requests: AtomicUsize,
    refused: AtomicUsize,
}

impl<'a> Walkers<'a> {
    fn new(gateway: &'a Gateway, may_ask_again: fn(&Response) -> bool) -> Self {
        let zero = || AtomicUsize::new(0);
        let (first, stop) = ("/users?limit=7", AtomicBool::new(false));
        Self { gateway, may_ask_again, first, stop, walks: zero(), requests: zero(), refused: zero() }
    }

    fn from(self, first: &'static str) -> Self {
        Self { first, ..self }
    }

    /// Walks while `during` runs, and prints the counts. Asserts that no walk skips or repeats an item.
    fn walk(&self, what: &str, during: impl FnOnce()) {
        thread::scope(|scope| {
            let walkers: Vec<_> = (0..WALKERS).map(|_| scope.spawn(|| self.walk_on())).collect();
            // The guard stops the walkers even after a panic. Otherwise the scope would never end.
            let stop = Stop(&self.stop);
            during();
            drop(stop);
            for walker in walkers {
                walker.join().expect("a walk");
            }
        });
        let of = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        let retries = metric(self.gateway, "cursorgate_upstream_retries_total");
        let refused = metric(self.gateway, "cursorgate_upstream_retries_refused_total");
        let requests = self.upstream_requests();
        println!(
            "{what}: {} walks, {} requests, {} refused; {requests} upstream requests, {retries} of them retries, {refused} \
             retries without budget",
            of(&self.walks),
            of(&self.requests),
            of(&self.refused),
        );
        let first = requests - retries;
        assert!(retries <= RESERVE + first / 5, "{retries} retries of {first} requests");
    }

    fn upstream_requests(&self) -> u64 {
        let routes = ["users", "rest"].iter();
        let sample = |route| format!("cursorgate_upstream_requests_total{{route=\"{route}\"}}");
        routes.map(|route| crate::harness::metric(self.gateway, &sample(route))).sum()
    }

    fn walk_on(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let mut next = Some(self.first.to_owned());
            let mut seen = Vec::new();
            while let Some(target) = next {
                let page = self.ask(&target);
                let items = page.json()["data"].as_array().cloned().unwrap_or_default();
                seen.extend(items.iter().filter_map(|item| item["id"].as_u64()));
                next = page.link("next");
                if self.ask("/rest/of/it").status != 200 {
                    return;
                }
            }
            assert_eq!(seen, (1..=ITEMS as u64).collect::<Vec<_>>(), "none skipped, none repeated");
            self.walks.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Repeats a request until it is answered with 200. Panics if `may_ask_again` forbids a repetition.
    fn ask(&self, target: &str) -> Response {
        eventually("an answer", || {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let response = self.gateway.get(target);
            if response.status == 200 {
                return Some(response);
            }
            assert!((self.may_ask_again)(&response), "{target}: {response:?}");
            self.refused.fetch_add(1, Ordering::SeqCst);
            None
        })
    }

    /// Waits until this many more walks have ended.
    fn go_on(&self, walks: usize) {
        let before = self.walks.load(Ordering::SeqCst);
        eventually("walks go on", || (self.walks.load(Ordering::SeqCst) >= before + walks).then_some(()));
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn none_fails(_: &Response) -> bool {
    false
}

fn healthy(exchange: &mut Exchange) -> io::Result<After> {
    let body = body(exchange, &users(ITEMS));
    exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
}

/// Answers like a captive portal, or like a process that is still starting.
fn something_else(exchange: &mut Exchange) -> io::Result<After> {
    exchange.reply("200 OK", &[("Content-Type", "text/html")], b"<!doctype html><title>Welcome</title>")
}

/// Waits until the upstream has had another request.
fn is_asked(upstream: &Upstream) {
    let before = upstream.count();
    eventually("it is asked", || (upstream.count() > before).then_some(()));
}

/// No walk fails while one of two peers ends and starts again.
///
/// Row: F01, F05
#[test]
fn a_peer_dies_and_returns() {
    let (dying, well) = (Upstream::start(healthy), Upstream::start(healthy));
    let address = dying.address;
    let gateway = start_at(&[address, well.address], "");
    let walkers = Walkers::new(&gateway, none_fails);
    // The new upstream must live as long as the walks.
    let mut back = None;
    walkers.walk("death and return", || {
        walkers.go_on(WALKERS);
        // Pooled connections break, and new connections are refused.
        dying.answer(|_| Ok(After::Reset));
        drop(dying);
        eventually("it is skipped", || (peer(&gateway, address)["healthy"] == false).then_some(()));
        let reason = peer(&gateway, address)["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.starts_with("it can't be reached: "), "{reason}");
        let sample = format!("cursorgate_upstream_peer_healthy{{upstream=\"legacy\",peer=\"{address}\"}}");
        assert_eq!(crate::harness::metric(&gateway, &sample), 0);
        walkers.go_on(2 * WALKERS);
        is_asked(back.insert(Upstream::start_at(address, healthy)));
        eventually("it is used again", || (peer(&gateway, address)["healthy"] == true).then_some(()));
        walkers.go_on(WALKERS);
    });
    assert_eq!(told(&gateway, "peer is unhealthy", address), 1, "once per change");
    assert_eq!(told(&gateway, "peer is healthy again", address), 1, "once per change");
}

/// No walk fails while one of two peers does not answer. The peer is used again once it answers.
///
/// Row: F08, F11
#[test]
fn a_peer_that_hangs_is_skipped_until_it_answers() {
    let (slow, well) = (Upstream::start(healthy), Upstream::start(healthy));
    let timeouts = "timeouts = { connect = \"1s\", first_byte = \"1s\", whole = \"20s\" }\neject_after = 3";
    let gateway = start_at(&[slow.address, well.address], timeouts);
    let walkers = Walkers::new(&gateway, none_fails);
    walkers.walk("a slow peer", || {
        walkers.go_on(WALKERS);
        slow.answer(|exchange| exchange.wait_for_close().map(|()| After::Close));
        eventually("it is skipped", || (peer(&gateway, slow.address)["healthy"] == false).then_some(()));
        let reason = peer(&gateway, slow.address)["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.ends_with("failed answers in a row, the last one: a timeout"), "{reason}");
        walkers.go_on(WALKERS);
        slow.answer(healthy);
        eventually("it is used again", || (peer(&gateway, slow.address)["healthy"] == true).then_some(()));
        walkers.go_on(WALKERS);
    });
    assert_eq!(told(&gateway, "peer is unhealthy", slow.address), 1);
    assert_eq!(told(&gateway, "peer is healthy again", slow.address), 1);
}

fn busy(exchange: &mut Exchange) -> io::Result<After> {
    exchange.reply("503 Busy", &[("Retry-After", "7")], b"maintenance")
}

/// No walk fails while one of two peers answers with server errors. The peer is used again afterwards.
///
/// Row: F05, F22
#[test]
fn a_peer_that_fails_is_skipped_until_it_answers() {
    let (failing, well) = (Upstream::start(healthy), Upstream::start(healthy));
    let gateway = start_at(&[failing.address, well.address], "");
    let walkers = Walkers::new(&gateway, none_fails);
    walkers.walk("a failing peer", || {
        walkers.go_on(WALKERS);
        for answer in [busy, |exchange: &mut Exchange| exchange.reply("500 Oops", &[], b"")] {
            failing.answer(answer);
            eventually("it is skipped", || (peer(&gateway, failing.address)["healthy"] == false).then_some(()));
            walkers.go_on(WALKERS);
            failing.answer(healthy);
            eventually("it is used again", || (peer(&gateway, failing.address)["healthy"] == true).then_some(()));
            walkers.go_on(WALKERS);
        }
    });
}

/// A backup gets nothing while the other peer is well, and everything while that peer fails; no walk fails. A peer with
/// a larger weight gets more.
#[test]
fn a_backup_serves_while_the_other_peers_fail() {
    let (first, backup) = (Upstream::start(healthy), Upstream::start(healthy));
    let gateway = start_at(&[first.address], "");
    let extended = gateway.configuration().replace(
        &format!("peers = [\"{}\"]", first.address),
        &format!(
            "peers = [\"{0}\"]\nbackups = [\"{1}\"]\nweights = {{ \"{0}\" = 3 }}\nslow_start = \"1s\"",
            first.address, backup.address
        ),
    );
    gateway.rewrite_raw(&extended);
    gateway.signal("HUP");
    eventually("the backup is known", || {
        let report = http::get(gateway.admin, "/upstreams").json();
        (report["upstreams"][0]["peers"].as_array()?.len() == 2).then_some(())
    });
    let asked = || backup.requests().iter().filter(|request| request.path().starts_with("/users")).count();
    let walkers = Walkers::new(&gateway, none_fails);
    walkers.walk("a peer with a backup", || {
        walkers.go_on(WALKERS);
        assert_eq!(asked(), 0, "the other peer is well");
        first.answer(busy);
        eventually("it is skipped", || (peer(&gateway, first.address)["healthy"] == false).then_some(()));
        walkers.go_on(WALKERS);
        assert!(asked() > 0);
        first.answer(healthy);
        eventually("it is used again", || (peer(&gateway, first.address)["healthy"] == true).then_some(()));
    });
}

/// The retry budget bounds the requests to an upstream in maintenance. Clients get the upstream's `Retry-After`, and
/// continue once the upstream answers again.
///
/// One of three peers answers something else than the list, with 200. No page fails, and the peer is skipped until it
/// answers the list again. Forwarded answers can't be judged, so a good one doesn't end the rest.
#[test]
fn a_peer_that_answers_something_else_is_skipped() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    let starting =
        Upstream::start(
            |exchange| {
                if STARTED.load(Ordering::SeqCst) { healthy(exchange) } else { something_else(exchange) }
            },
        );
    let well = [Upstream::start(healthy), Upstream::start(healthy)];
    let gateway = start_at(&[starting.address, well[0].address, well[1].address], "");
    let walkers = Walkers::new(&gateway, none_fails);
    walkers.walk("one peer answers something else", || {
        eventually("it is skipped", || (peer(&gateway, starting.address)["healthy"] == false).then_some(()));
        walkers.go_on(2);
        STARTED.store(true, Ordering::SeqCst);
        eventually("it is used again", || (peer(&gateway, starting.address)["healthy"] == true).then_some(()));
        is_asked(&starting);
    });
    assert!(
        told(&gateway, "the last one because its answer can't be read: status 200, text/html", starting.address) > 0,
        "{:?}",
        gateway.log()
    );
    let (sick, healthy) = (peer(&gateway, starting.address), peer(&gateway, well[0].address));
    assert!(sick["failed"].as_u64() >= Some(5) && healthy["failed"] == 0, "{sick} {healthy}");
    assert!(healthy["requests"].as_u64() > sick["requests"].as_u64(), "{sick} {healthy}");
    assert!(healthy["mean_ms"].as_f64() > Some(0.0), "{healthy}");
    let failures =
        |address| format!("cursorgate_upstream_peer_failures_total{{upstream=\"legacy\",peer=\"{address}\"}}");
    assert!(gateway.metric(&failures(starting.address)) >= Some(5));
    assert_eq!(gateway.metric(&failures(well[0].address)), Some(0));
}

/// Answers as a peer whose pages have at most 10 items.
fn small_pages(exchange: &mut Exchange) -> io::Result<After> {
    let size = exchange.request.parameter("limit").and_then(|size| size.parse().ok()).unwrap_or(10).min(10);
    let from = exchange.request.parameter("offset").and_then(|from| from.parse().ok()).unwrap_or(0).min(ITEMS);
    let slice = users(ITEMS)[from..(from + size).min(ITEMS)].join(",");
    let body = format!(r#"{{"total":{ITEMS},"items":[{slice}]}}"#);
    exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
}

/// Answers as a peer that sorts the other way round.
fn another_order(exchange: &mut Exchange) -> io::Result<After> {
    let items: Vec<String> = users(ITEMS).into_iter().rev().collect();
    let body = body(exchange, &items);
    exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
}

/// Answers as a peer that takes no large offset.
fn small_offsets(exchange: &mut Exchange) -> io::Result<After> {
    match exchange.request.parameter("offset").and_then(|from| from.parse().ok()).unwrap_or(0) {
        50.. => exchange.reply("400 Bad Request", &[("Content-Type", "application/json")], b"{}"),
        0..50_usize => healthy(exchange),
    }
}

/// One of three peers gives other answers than the others, and no page can be made from them. No walk fails, and no page
/// is made from the answers of two peers. The log, the metrics and `/upstreams` name the peer.
#[test]
fn a_page_that_one_peer_can_not_give_is_made_by_another() {
    type Answer = fn(&mut Exchange) -> io::Result<After>;
    let cases: [(Answer, &str, bool); 3] = [
        // Its last pages are small enough, so it isn't skipped.
        (small_pages, "its answers make none (budget_exceeded): ", false),
        (another_order, "its answers make none (unsorted_order): ", true),
        (
            small_offsets,
            "its answers make none (too_deep): the upstream answered 400 to the gateway's own paging",
            false,
        ),
    ];
    for (answer, said, is_skipped) in cases {
        let (odd, well) = (Upstream::start(answer), [Upstream::start(healthy), Upstream::start(healthy)]);
        let gateway = start_with_small_budget(&[&odd, &well[0], &well[1]]);
        let walkers = Walkers::new(&gateway, none_fails).from("/users?limit=100");
        let failed = || peer(&gateway, odd.address)["failed"].as_u64().unwrap_or_default();
        walkers.walk(said, || {
            if is_skipped {
                eventually("it is skipped", || (peer(&gateway, odd.address)["healthy"] == false).then_some(()));
            }
            eventually("its pages are made by others", || (failed() >= 5).then_some(()));
            walkers.go_on(WALKERS);
            odd.answer(healthy);
            eventually("it is used", || (peer(&gateway, odd.address)["healthy"] == true).then_some(()));
            is_asked(&odd);
        });
        let told = told(&gateway, "another peer gave the page that ", odd.address);
        let (line, lines) = (gateway.log().into_iter().find(|line| line.contains("another peer gave")), gateway.log());
        assert!(told > 0 && line.as_ref().is_some_and(|line| line.contains(said)), "{line:?} of {}", lines.len());
        let warned = lines.iter().filter(|line| line.contains("WARN") && line.contains("another peer gave")).count();
        assert_eq!(warned, 1, "once for each route and configuration");
        let last = &peer(&gateway, odd.address)["remark"]["said"];
        assert!(last.as_str().is_some_and(|last| last.contains(said)), "{last}");
        let failures =
            |address| format!("cursorgate_upstream_peer_failures_total{{upstream=\"legacy\",peer=\"{address}\"}}");
        assert!(gateway.metric(&failures(odd.address)) >= Some(5));
        for one in &well {
            assert_eq!(
                (&peer(&gateway, one.address)["failed"], gateway.metric(&failures(one.address))),
                (&0.into(), Some(0))
            );
        }
    }
}

/// Pages that a peer makes smaller are served, and a line names the peer once. The line is a finding of the route.
#[test]
fn small_pages_that_are_served_are_told_of() {
    let (odd, well) = (Upstream::start(small_pages), Upstream::start(healthy));
    let gateway = start_at(&[odd.address, well.address], "");
    let walkers = Walkers::new(&gateway, none_fails).from("/users?limit=50");
    walkers.walk("smaller pages", || walkers.go_on(WALKERS));
    let said = format!("{} gives at most 10 items for a request that asks for more", odd.address);
    let lines = gateway.log();
    let warned = lines.iter().filter(|line| line.contains("WARN") && line.contains(&said)).count();
    assert_eq!(warned, 1, "{lines:?}");
    let findings = http::get(gateway.admin, "/migration").json().to_string();
    assert!(findings.contains(&said), "{findings}");
}

/// If the answers of no peer make the page, no peer is at fault, and the upstream gets no more than the share of retries.
#[test]
fn peers_that_all_give_no_page_stay_healthy() {
    let all = [Upstream::start(small_pages), Upstream::start(small_pages), Upstream::start(small_pages)];
    let gateway = start_with_small_budget(&[&all[0], &all[1], &all[2]]);
    for _ in 0..40 {
        assert_eq!(gateway.get("/users?limit=100").outcome(), "503 budget_exceeded");
    }
    let detail = gateway.log().into_iter().find(|line| line.contains("3 peers gave no page"));
    assert!(detail.is_some(), "{:?}", gateway.log().len());
    for one in &all {
        let remark = peer(&gateway, one.address)["remark"]["said"].to_string();
        assert!(remark.contains("its answers make none (budget_exceeded)"), "{remark}");
        assert_eq!(
            (&peer(&gateway, one.address)["healthy"], &peer(&gateway, one.address)["failed"]),
            (&true.into(), &0.into())
        );
    }
    let retries = metric(&gateway, "cursorgate_upstream_retries_total");
    let requests = all.iter().map(Upstream::count).sum::<usize>() as u64;
    assert!(retries <= RESERVE + (requests - retries) / 5 + 16, "{retries} of {requests}");
}

/// If all peers answer the same, the peers aren't at fault: the configuration is, or the service.
#[test]
fn peers_that_all_answer_something_else_stay_healthy() {
    let all = [Upstream::start(something_else), Upstream::start(something_else)];
    let gateway = start_at(&[all[0].address, all[1].address], "");
    for _ in 0..20 {
        assert_eq!(gateway.get("/users?limit=7").outcome(), "502 upstream_malformed");
    }
    for one in &all {
        assert_eq!(peer(&gateway, one.address)["healthy"], true);
        assert_eq!(peer(&gateway, one.address)["failed"], 0);
        let remark = peer(&gateway, one.address)["remark"]["said"].to_string();
        assert!(remark.contains("can't be read: status 200, text/html"), "{remark}");
    }
    assert!(gateway.log().iter().any(|line| line.contains("2 peers gave no page")), "{:?}", gateway.log());
}

/// Row: F22, F23
#[test]
fn an_upstream_in_maintenance_gets_a_bounded_number_of_requests() {
    for (what, upstream, is_spent) in [
        // One peer is skipped, so the other one's answer passes to the client, because its `Retry-After` is long.
        ("maintenance", "", false),
        ("maintenance without ejection", "eject_after = 0", true),
    ] {
        let peers = [Upstream::start(healthy), Upstream::start(healthy)];
        let gateway = start_at(&[peers[0].address, peers[1].address], upstream);
        let walkers = Walkers::new(&gateway, |response| {
            assert_eq!((response.status, response.header("retry-after")), (503, Some("7")), "{response:?}");
            assert!(["upstream_unavailable", ""].contains(&response.code().as_str()), "{response:?}");
            true
        });
        walkers.walk(what, || {
            walkers.go_on(WALKERS);
            peers.iter().for_each(|peer| peer.answer(busy));
            let before = walkers.refused.load(Ordering::SeqCst);
            eventually("many are refused", || (walkers.refused.load(Ordering::SeqCst) > before + 200).then_some(()));
            peers.iter().for_each(|peer| peer.answer(healthy));
            walkers.go_on(WALKERS);
        });
        // The peers' own count equals the gateway's count.
        let counted = peers.iter().map(Upstream::count).sum::<usize>() as u64;
        assert_eq!(counted, walkers.upstream_requests());
        assert_eq!(metric(&gateway, "cursorgate_upstream_retries_refused_total") > 0, is_spent, "{what}");
    }
}

/// Peers follow the addresses of their name. If the name can't be resolved, its last addresses stay in use.
///
/// Row: F03
#[test]
fn peers_follow_dns_and_outlive_its_failure() {
    let port = free_port();
    let (one, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let first = Upstream::start_at((one, port).into(), healthy);
    let second = Upstream::start_at((other, port).into(), healthy);
    let dns = DnsServer::start(&[one]);
    let resolvers: &'static str = format!("resolvers = [\"{}\"]", dns.address).leak();
    let gateway = start(&[format!("legacy_api.example:{port}")], resolvers);
    let walkers = Walkers::new(&gateway, none_fails);
    walkers.walk("DNS", || {
        walkers.go_on(WALKERS);
        assert_eq!(second.count(), 0);
        dns.change(Some(&[other]));
        is_asked(&second);
        // A page that began before the change stays at its peer.
        walkers.go_on(2 * WALKERS);
        let before = first.count();
        walkers.go_on(WALKERS);
        assert_eq!(first.count(), before, "its address is gone");

        dns.change(None);
        eventually("the fault is seen", || {
            (metric(&gateway, "cursorgate_upstream_names_unresolved") == 1).then_some(())
        });
        let report = http::get(gateway.admin, "/upstreams").json();
        let unresolved = &report["upstreams"][0]["unresolved"][0];
        assert_eq!(unresolved["name"], format!("legacy_api.example:{port}"), "{report}");
        assert_eq!(unresolved["reason"], "no such name is known to the DNS server", "{report}");
        walkers.go_on(WALKERS);

        dns.change(Some(&[one, other]));
        is_asked(&first);
        is_asked(&second);
        assert_eq!(metric(&gateway, "cursorgate_upstream_names_unresolved"), 0);
    });
    let told = |words: &str| gateway.log().iter().filter(|line| line.contains(words)).count();
    assert_eq!((told("name not resolved"), told("name has other addresses")), (1, 2), "{:?}", gateway.log());
    assert!(dns.asked() > 0);
}

/// A peer whose health checks fail is skipped although it would answer, and is used again once they pass.
///
/// Row: F05
#[test]
fn health_checks_decide_before_clients_notice() {
    let (sick, well) = (Upstream::start(healthy), Upstream::start(healthy));
    let checks = "health_check = { path = \"/health?deep=1\", interval = \"100ms\", unhealthy_after = 2 }\n\
                  host_header = \"people.internal\"\nheaders = { X-Team = \"of-the-gateway\" }";
    let gateway = start_at(&[sick.address, well.address], checks);
    let answer_checks = |status: &'static str| {
        move |exchange: &mut Exchange| match exchange.request.path() {
            "/health" => exchange.reply(status, &[], b""),
            _ => healthy(exchange),
        }
    };
    let walkers = Walkers::new(&gateway, none_fails);
    walkers.walk("health checks", || {
        walkers.go_on(WALKERS);
        sick.answer(answer_checks("500 Sick"));
        eventually("it is skipped", || (peer(&gateway, sick.address)["healthy"] == false).then_some(()));
        assert_eq!(peer(&gateway, sick.address)["reason"], "its health check fails: status 500");
        walkers.go_on(WALKERS);
        let pages = || sick.requests().iter().filter(|request| request.path() != "/health").count();
        let before = pages();
        walkers.go_on(WALKERS);
        assert_eq!(pages(), before, "it gets checks alone");
        sick.answer(answer_checks("204 Well"));
        eventually("it is used again", || (pages() > before).then_some(()));
        let check = sick.requests().into_iter().find(|request| request.path() == "/health").expect("a check");
        assert_eq!(check.target, "/health?deep=1");
        assert_eq!(check.header("host"), Some("people.internal"));
        assert_eq!(check.header("x-team"), Some("of-the-gateway"));
    });
    assert_eq!(told(&gateway, "peer is unhealthy", sick.address), 1);
    assert_eq!(told(&gateway, "peer is healthy again", sick.address), 1);
}

/// Only requests that read and have no body are retried.
///
/// Row: F22
#[test]
fn writes_are_sent_once() {
    let peers = [Upstream::start(busy), Upstream::start(busy)];
    let gateway = start_at(&[peers[0].address, peers[1].address], "eject_after = 0");
    let count = || peers.iter().map(Upstream::count).sum::<usize>();
    for (method, body, expected) in [
        ("GET", &b""[..], 2),
        ("HEAD", b"", 2),
        ("OPTIONS", b"", 2),
        ("GET", b"with a body", 1),
        ("POST", b"x", 1),
        ("POST", b"", 1),
        ("PUT", b"x", 1),
        ("PATCH", b"x", 1),
        ("DELETE", b"", 1),
    ] {
        let before = count();
        let response = gateway.send(method, "/rest/of/it", &[], body);
        assert_eq!((response.status, response.header("retry-after")), (503, Some("7")), "{method}: {response:?}");
        assert_eq!(count() - before, expected, "{method} with {} bytes", body.len());
    }
    let before = count();
    assert_eq!(gateway.get("/users?limit=5").outcome(), "503 upstream_unavailable");
    assert_eq!(count() - before, 2, "a page");
}

/// The gateway waits for a short `Retry-After`.
///
/// Row: F21
#[test]
fn a_short_retry_after_is_obeyed() {
    let asked = AtomicUsize::new(0);
    let items = serve(users(ITEMS));
    let upstream = Upstream::start(move |exchange| match asked.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => exchange.reply("503 Busy", &[("Retry-After", "1")], b""),
        _ => items(exchange),
    });
    let gateway = start_at(&[upstream.address], "");
    for target in ["/users?limit=5", "/rest/of/it"] {
        assert_eq!(gateway.get(target).outcome(), "200", "{target}");
    }
    let strict = start_at(&[upstream.address], "retries = { longest_retry_after = \"0s\" }");
    assert_eq!(strict.get("/users?limit=5").outcome(), "503 upstream_unavailable");
}

/// All upstream requests of a page go to one peer, even if peers are used in turn. With a hash, all pages of a client
/// go to one peer.
#[test]
fn a_page_stays_at_one_peer_and_a_client_does_with_a_hash() {
    // Without a total and a declared end, the end of the list needs more requests.
    let answer = |exchange: &mut Exchange| {
        let body = body(exchange, &users(ITEMS)).replace("\"total\"", "\"other\"");
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    };
    for (balance, moves) in [("round-robin", true), ("least-requests", true), ("hash", false)] {
        let peers = [Upstream::start(answer), Upstream::start(answer), Upstream::start(answer)];
        let balance_line: &'static str = format!("balance = \"{balance}\"").leak();
        let addresses: Vec<_> = peers.iter().map(|peer| peer.address.to_string()).collect();
        let gateway = Gateway::start(&configuration(&addresses, balance_line).replace(r#", end = "short-page""#, ""));
        let mut used_by_clients = std::collections::BTreeSet::new();
        let mut most = 0;
        for client in 0..12 {
            let mut used = std::collections::BTreeSet::new();
            let mut next = Some("/users?limit=50".to_owned());
            while let Some(target) = next {
                let before = peers.each_ref().map(Upstream::count);
                let authorization = format!("Bearer {client}");
                let page = gateway.send("GET", &target, &[("Authorization", &authorization)], b"");
                assert_eq!(page.outcome(), "200", "{page:?}");
                next = page.link("next");
                let asked: Vec<usize> = (0..3).filter(|peer| peers[*peer].count() > before[*peer]).collect();
                assert_eq!(asked.len(), 1, "{balance}: one page of several peers");
                most = most.max(peers[asked[0]].count() - before[asked[0]]);
                used.extend(asked);
            }
            assert_eq!(used.len() > 1, moves, "{balance}: the peers of one client's pages");
            used_by_clients.extend(used);
        }
        assert!(most > 1, "a page took several requests");
        assert_eq!(used_by_clients.len(), 3, "{balance}: all peers are used");
    }
}
