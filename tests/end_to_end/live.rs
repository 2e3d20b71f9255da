//! Tests of live pages: a client gets a page and then its changes, although the upstream can only be polled.

mod browsers;
mod libraries;
mod socket;
mod stream;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use self::stream::LiveStream;
use crate::harness::{
    Numbers, eventually,
    gateway::{Gateway, KEY, Keys},
    http,
    list::{PLAIN, Setup, body, users},
    rows::{BY_OFFSET_TO_SHORT, BY_SCORE, Row, Rows, configuration},
    upstream::{After, Exchange, Gate, Upstream},
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ONE: (&str, &str) = ("Authorization", "Bearer one");
const TWO: (&str, &str) = ("Authorization", "Bearer two");

/// Returns the table `[services.live]` with short intervals and the lines of `live`.
fn table(live: &str) -> String {
    format!("\n[services.live]\nroutes = [\"users\"]\ninterval = {{ min = \"50ms\", max = \"50ms\" }}\n{live}\n")
}

/// Starts an upstream with rows that tests change, and a gateway in front of it.
fn start(live: &str) -> (Upstream, Rows, Gateway) {
    let rows = Rows::count(40);
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| own.answer(exchange));
    let gateway = Gateway::start(&configured(&upstream, live));
    (upstream, rows, gateway)
}

fn configured(upstream: &Upstream, live: &str) -> String {
    format!("{}{}", configuration(upstream.address, BY_OFFSET_TO_SHORT, BY_SCORE), table(live))
}

fn get(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Value {
    let answer = gateway.send("GET", target, headers, b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Returns a sample of `/metrics` without waiting for requests to end: streams are requests in flight.
fn metric(gateway: &Gateway, sample: &str) -> u64 {
    let metrics = http::get(gateway.admin, "/metrics");
    let value = metrics.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or(0)
}

/// Returns the number of polls that have been answered.
fn polls(gateway: &Gateway) -> u64 {
    ["changed", "unchanged", "failed", "refused"]
        .map(|result| metric(gateway, &format!("cursorgate_live_polls_total{{result=\"{result}\"}}")))
        .iter()
        .sum()
}

fn subscribers(gateway: &Gateway) -> u64 {
    metric(gateway, "cursorgate_live_subscribers")
}

#[test]
fn a_page_comes_first_and_then_its_changes() {
    let (_upstream, rows, gateway) = start("heartbeat = \"1s\"");
    let target = "/users?limit=5&score__gte=100";
    let mut stream = LiveStream::open(&gateway, "/users/live?limit=5&score__gte=100", &[]);
    let head = |name| http::find(&stream.headers, name);
    assert_eq!((head("cache-control"), head("content-length")), (Some("no-store"), None));
    let first = stream.follow();
    assert_eq!((first.name.as_str(), &stream.page), ("paginatedData", &get(&gateway, target, &[])));
    let answer = gateway.get(target);
    let told = &first.json()["headers"];
    assert_eq!((&told["cursorgate-level"], told["link"].as_str()), (&json!("exact"), answer.header("link")));
    assert!(stream.retry.is_some_and(|retry| (1_000..=5_000).contains(&retry)), "{:?}", stream.retry);

    rows.change(|rows| rows.push(Row::new(100, 401)));
    let event = stream.follow();
    assert_eq!(event.name, "patch");
    assert_eq!(stream.page, get(&gateway, target, &[]));
    assert!(event.text.len() < first.text.len(), "{event:?}");
    rows.change(|rows| rows.iter_mut().for_each(|row| row.note.push('!')));
    stream.follow_to(&get(&gateway, target, &[]));
    rows.change(Vec::clear);
    stream.follow_to(&get(&gateway, target, &[]));
    // While a page stays the same, the gateway sends comments but no events.
    rows.change(|rows| rows.push(Row::new(7, 100)));
    stream.follow_to(&get(&gateway, target, &[]));
    let before = stream.comments;
    let since = polls(&gateway);
    eventually("further requests", || (polls(&gateway) > since + 30).then_some(()));
    rows.change(|rows| rows.push(Row::new(8, 100)));
    stream.follow_to(&get(&gateway, target, &[]));
    assert!(stream.comments > before, "a comment has come meanwhile");
    drop(stream);
    eventually("the end of the subscription", || (subscribers(&gateway) == 0).then_some(()));
    let log = gateway.access_log();
    let line = log.iter().find(|line| line["path"] == "/users/live").expect("its line");
    assert_eq!((&line["status"], &line["code"]), (&json!(200), &Value::Null));
    let detail = line["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("1 pages, ") || detail.starts_with("2 pages, "), "{detail}");
    assert!(detail.ends_with(", 0 errors, ended by client"), "{detail}");
    assert!(metric(&gateway, "cursorgate_requests_total{route=\"\",outcome=\"live\",status=\"2xx\"}") == 1);
}

/// A live page follows the upstream, also if ordinary requests get the page from the cache for much longer. Its polls
/// don't count in the limit of its client.
#[test]
fn polls_read_no_kept_page_and_spend_no_limit_of_their_client() {
    let rows = Rows::count(40);
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| own.answer(exchange));
    let route = format!(
        "{BY_SCORE}\npage_cache = {{ ttl = \"1h\", private = true }}\nrate_limit = {{ requests = 4, per = \"1d\" }}"
    );
    let gateway =
        Gateway::start(&format!("{}{}", configuration(upstream.address, BY_OFFSET_TO_SHORT, &route), table("")));
    let before = get(&gateway, "/users?limit=5", &[]);
    let mut stream = LiveStream::open(&gateway, "/users/live?limit=5", &[]);
    stream.follow();
    assert_eq!(stream.page, before);
    for round in 0..9 {
        rows.change(|rows| rows.push(Row::new(100 + round, 500 + round)));
        assert_eq!(stream.follow().name, "patch", "round {round}");
    }
    let last = eventually("the last change", || {
        let items = &stream.page["data"];
        (items[0]["id"] == 108).then(|| items.clone())
    });
    // The page that was read last is kept, so other requests get it.
    let answer = gateway.get("/users?limit=5");
    assert_eq!((answer.status, &answer.json()["data"]), (200, &last));
    assert!(answer.header("cache-status").is_some_and(|used| used.contains("hit")), "{answer:?}");
    // The two pages and the subscription have counted.
    assert_eq!([gateway.get("/users?limit=5").status, gateway.get("/users?limit=5").status], [200, 429]);
    // A further subscription counts as a request, so it is no way around the limit.
    let answer = gateway.get("/users/live?limit=7");
    assert_eq!((answer.status, &answer.json()["code"]), (429, &json!("rate_limited")));
}

/// A poll takes a place among the requests of its list, but none among those of its client.
#[test]
fn polls_leave_their_client_room_for_requests() {
    let (gate, rows) = (Gate::default(), Rows::count(40));
    let (is_shut, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (own, shut, (polls_wait, count)) = (rows.clone(), gate.clone(), (Arc::clone(&is_shut), Arc::clone(&held)));
    let upstream = Upstream::start(move |exchange| {
        if polls_wait.load(Ordering::SeqCst) && exchange.request.parameter("score__gte") != Some("7") {
            count.fetch_add(1, Ordering::SeqCst);
            shut.wait();
        }
        own.answer(exchange)
    });
    let route = format!("{BY_SCORE}\nconcurrency = {{ requests = 2, per_client = 1 }}");
    let gateway =
        Gateway::start(&format!("{}{}", configuration(upstream.address, BY_OFFSET_TO_SHORT, &route), table("")));
    let are_held = |count| eventually("requests wait", || (held.load(Ordering::SeqCst) >= count).then_some(()));
    let asked = || gateway.send("GET", "/users?limit=5&score__gte=7", &[ONE], b"").outcome();
    let mut stream = LiveStream::open(&gateway, "/users/live?limit=5", &[ONE]);
    stream.follow();
    is_shut.store(true, Ordering::SeqCst);
    are_held(1);
    assert_eq!(asked(), "200");
    let head = "GET /users?limit=5 HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer two\r\n\r\n";
    let mut others = Vec::new();
    // The place of the request before is free only a moment after its response, so the first of these may be refused.
    eventually("another request waits", || {
        let mut other = gateway.connect();
        other.send(head.as_bytes()).expect("the gateway listens");
        others.push(other);
        (held.load(Ordering::SeqCst) >= 2).then_some(())
    });
    assert_eq!(asked(), "503 overloaded", "both places of the list are taken");
    gate.open();
    rows.change_of("Bearer one", |rows| rows.push(Row::new(100, 500)));
    assert_eq!(stream.follow().name, "patch");
}

#[test]
fn values_in_live_pages_keep_their_bytes() {
    let items = Arc::new(Mutex::new(users(3)));
    let served = Arc::clone(&items);
    let upstream = Upstream::start(move |exchange| {
        let page = body(exchange, &served.lock().unwrap_or_else(PoisonError::into_inner));
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let gateway = Gateway::start(&format!("{}{}", PLAIN.configuration(upstream.address), table("")));
    let change =
        |place: usize, item: &str| items.lock().unwrap_or_else(PoisonError::into_inner)[place] = item.to_owned();
    change(0, "{\"id\":1,\n\"n\":12345678901234567890.10,\"text\":\"a\\nb\"}");
    let mut stream = LiveStream::open(&gateway, "/users/live", &[]);
    let first = stream.follow();
    assert!(first.text.contains(r#"{"id":1, "n":12345678901234567890.10,"text":"a\nb"}"#), "{first:?}");
    change(1, r#"{"id":2,"name":"user 2","n":98765432109876543210987.00}"#);
    let event = stream.follow();
    let operation = r#"[{"op":"add","path":"/data/1/n","value":98765432109876543210987.00}]"#;
    assert!(event.text.contains(operation), "{event:?}");
}

#[test]
fn one_request_serves_all_subscribers_of_a_page() {
    one_request_serves(200);
}

#[test]
#[ignore = "takes a minute: make live-crowd"]
fn one_request_serves_two_thousand_subscribers() {
    one_request_serves(2_000);
}

fn one_request_serves(count: usize) {
    let (upstream, rows, gateway) = start("per_client = 5000");
    let mut streams: Vec<LiveStream> =
        (0..count).map(|_| LiveStream::open(&gateway, "/users/live?limit=10", &[ONE, ("X-Span", "1")])).collect();
    rows.change_of(ONE.1, |own| own.push(Row::new(1, 1)));
    let page = get(&gateway, "/users?limit=10", &[ONE]);
    for stream in &mut streams {
        stream.follow_to(&page);
    }
    assert_eq!(usize::try_from(subscribers(&gateway)), Ok(count));
    assert_eq!(metric(&gateway, "cursorgate_live_pages"), 1);
    for round in 2..7 {
        rows.change_of(ONE.1, |own| own.push(Row::new(round, round)));
        let page = get(&gateway, "/users?limit=10", &[ONE]);
        for stream in &mut streams {
            stream.follow_to(&page);
        }
    }
    // Each poll is one request to the upstream, regardless of the number of clients; one request may be in flight.
    let (asked, polled) = (u64::try_from(upstream.count()).expect("a count"), polls(&gateway));
    assert!(asked - 6 <= polled + 2, "{asked} requests to the upstream, 6 of them by GET, and {polled} polls");
    drop(streams);
    eventually("the end of all subscriptions", || (subscribers(&gateway) == 0).then_some(()));
    eventually("the end of the requests", || (metric(&gateway, "cursorgate_live_pages") == 0).then_some(()));
    let after = upstream.count();
    let answer = gateway.get("/users?limit=1");
    assert_eq!((answer.status, upstream.count() - after), (200, 1), "no request without a subscriber");
}

/// Clients with different credentials or at different hosts don't share a live page.
///
/// Row: A22
#[test]
fn clients_share_a_live_page_only_with_equal_credentials_and_hosts() {
    let (upstream, rows, gateway) = start("");
    rows.change_of(ONE.1, |own| own.push(Row::new(1, 1)));
    rows.change_of(TWO.1, |own| own.push(Row::new(2, 2)));
    let mut one = LiveStream::open(&gateway, "/users/live", &[ONE]);
    let mut two = LiveStream::open(&gateway, "/users/live", &[TWO]);
    let mut none = LiveStream::open(&gateway, "/users/live", &[]);
    let mut other = LiveStream::open(&gateway, "/users/live", &[ONE, ("Host", "other.test")]);
    for stream in [&mut one, &mut two, &mut none, &mut other] {
        stream.follow();
    }
    let ids = |stream: &LiveStream| {
        let items = stream.page["data"].as_array().expect("items").iter();
        items.map(|item| item["id"].as_u64().expect("an id")).collect::<Vec<_>>()
    };
    assert_eq!((ids(&one), ids(&two), ids(&none).len()), (vec![1], vec![2], 20));
    assert_eq!(metric(&gateway, "cursorgate_live_pages"), 4, "no two of them share");
    rows.change_of(TWO.1, |own| own.push(Row::new(3, 3)));
    two.follow();
    assert_eq!(ids(&two), [3, 2]);
    drop((two, none, other));
    eventually("one page is left", || (metric(&gateway, "cursorgate_live_pages") == 1).then_some(()));
    let before = upstream.count();
    eventually("further requests", || (upstream.count() > before + 3).then_some(()));
    for request in &upstream.requests()[before + 1..] {
        assert_eq!(request.header("authorization"), Some(ONE.1), "credentials of those who are connected");
    }
}

#[test]
fn a_page_that_differs_by_a_header_is_not_shared() {
    let upstream = Upstream::start(|exchange| {
        let region = exchange.request.header("x-region").unwrap_or("none").to_owned();
        let page = body(exchange, &[format!(r#"{{"id":1,"region":"{region}"}}"#)]);
        let vary = if exchange.request.parameter("all").is_some() { "*" } else { "X-Region" };
        exchange.reply("200 OK", &[JSON, ("Vary", vary)], page.as_bytes())
    });
    let setup = Setup { route: "parameters = { filters = [\"all\"] }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), table("")));
    for (target, pages) in [("/users/live", 2), ("/users/live?all=1", 3)] {
        let mut streams: Vec<LiveStream> = ["a", "b", "a"]
            .map(|region| LiveStream::open(&gateway, target, &[ONE, ("X-Region", region)]))
            .into_iter()
            .collect();
        let regions: Vec<Value> = streams
            .iter_mut()
            .map(|stream| {
                stream.follow();
                stream.page["data"][0]["region"].clone()
            })
            .collect();
        assert_eq!(regions, ["a", "b", "a"], "{target}");
        assert_eq!(metric(&gateway, "cursorgate_live_pages"), pages, "{target}");
        drop(streams);
        eventually("the end of the requests", || (metric(&gateway, "cursorgate_live_pages") == 0).then_some(()));
    }
}

#[test]
fn a_client_that_reconnects_gets_the_changes_that_it_missed() {
    let (_upstream, rows, gateway) = start("");
    let mut keeper = LiveStream::open(&gateway, "/users/live", &[]);
    keeper.follow();
    let mut client = LiveStream::open(&gateway, "/users/live", &[]);
    client.follow();
    let (page, id) = (client.page.clone(), client.id.clone().expect("an id"));
    drop(client);
    for round in 0..3 {
        rows.change(|rows| rows[39].note = format!("round {round}"));
        keeper.follow_to(&get(&gateway, "/users", &[]));
    }
    let mut again = LiveStream::open(&gateway, "/users/live", &[("Last-Event-ID", &id)]);
    (again.page, again.id) = (page, Some(id));
    for _ in 0..3 {
        assert_eq!(again.follow().name, "patch");
    }
    assert_eq!((&again.page, &again.id), (&keeper.page, &keeper.id));
    // A client that has missed no change gets no page, even after polling has begun again.
    let (page, id) = (again.page.clone(), again.id.clone().expect("an id"));
    drop((again, keeper));
    eventually("the end of all subscriptions", || (metric(&gateway, "cursorgate_live_pages") == 0).then_some(()));
    let mut again = LiveStream::open(&gateway, "/users/live", &[("Last-Event-ID", &id)]);
    (again.page, again.id) = (page, Some(id));
    rows.change(|rows| rows.push(Row::new(60, 600)));
    assert_eq!(again.follow().name, "patch");
    assert_eq!(again.page, get(&gateway, "/users", &[]));
    // A page that is no longer known is sent again.
    let mut lost = LiveStream::open(&gateway, "/users/live", &[("Last-Event-ID", "0")]);
    assert_eq!(lost.follow().name, "paginatedData");
}

#[test]
fn a_slow_reader_gets_the_page_in_place_of_a_backlog() {
    let version = Arc::new(Mutex::new(0));
    let shown = Arc::clone(&version);
    let upstream = Upstream::start(move |exchange| {
        let version = *shown.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{version:04}").repeat(4_000);
        let items: Vec<String> = (1..=100).map(|id| format!(r#"{{"id":{id},"text":"{text}"}}"#)).collect();
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let gateway = Gateway::start(&format!("{}{}", PLAIN.configuration(upstream.address), table("")));
    let target = "/users/live?limit=100";
    let mut slow = LiveStream::open(&gateway, target, &[]);
    slow.follow();
    slow.take_little();
    let mut quick = LiveStream::open(&gateway, target, &[]);
    quick.follow();
    let mut seen = 0;
    for _ in 0..10 {
        *version.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        quick.follow();
        seen += 1;
    }
    let page = get(&gateway, "/users?limit=100", &[]);
    quick.follow_to(&page);
    let pages = slow.follow_to(&page);
    assert!(pages < seen, "{pages} pages of 1.6 MB for a client that did not read {seen}");
    assert!(gateway.peak_memory() < 400 << 20, "{}", gateway.peak_memory());
}

#[test]
fn subscribers_are_bounded() {
    let (_upstream, _rows, gateway) = start("per_client = 2\nper_route = 3");
    let mut held: Vec<LiveStream> = (0..2).map(|_| LiveStream::open(&gateway, "/users/live", &[ONE])).collect();
    let refused = |headers: &[(&str, &str)]| {
        let refusal = LiveStream::try_open(&gateway, "/users/live", headers).err().expect("a refusal");
        (refusal.outcome(), refusal.header("retry-after").map(str::to_owned))
    };
    assert_eq!(refused(&[ONE]), ("429 live_limit".to_owned(), Some("1".to_owned())));
    held.push(LiveStream::open(&gateway, "/users/live", &[TWO]));
    assert_eq!(refused(&[]), ("503 overloaded".to_owned(), Some("1".to_owned())));
    held.remove(0);
    eventually("its place is free", || (subscribers(&gateway) == 2).then_some(()));
    LiveStream::open(&gateway, "/users/live", &[]).follow();
}

/// Row: A24
#[test]
fn noise_in_a_cookie_makes_no_new_subscriber() {
    for (more, most) in [("", 16), ("key = \"header:Authorization\"", 1), ("key = \"address\"", 1)] {
        let (_upstream, _rows, gateway) = start(&format!("per_client = 1\n{more}"));
        let held: Vec<LiveStream> = (0..20)
            .filter_map(|at| {
                let cookie = format!("x={at}");
                LiveStream::try_open(&gateway, "/users/live", &[ONE, ("Cookie", cookie.as_str())]).ok()
            })
            .collect();
        assert_eq!(held.len(), most, "{more}");
    }
}

/// The streams of one client share its page, also with different credentials. If some of these are refused, the other
/// streams go on.
///
/// Row: A24
#[test]
fn refused_credentials_end_only_their_own_streams() {
    let rows = Rows::count(40);
    let (own, is_revoked) = (rows.clone(), Arc::new(AtomicBool::new(false)));
    let revoked = Arc::clone(&is_revoked);
    let upstream = Upstream::start(move |exchange| {
        let cookie = exchange.request.header("cookie").unwrap_or_default();
        match revoked.load(Ordering::Relaxed) && cookie.contains("token=2") {
            true => exchange.reply("401 Unauthorized", &[JSON], b"{}"),
            false => own.answer(exchange),
        }
    });
    let route = format!("{BY_SCORE}\nidentity = [\"cookie:session\"]");
    let text = format!("{}{}", configuration(upstream.address, BY_OFFSET_TO_SHORT, &route), table(""));
    let gateway = Gateway::start(&text);
    let open = |token: &str| {
        let cookie = format!("session=1; token={token}");
        LiveStream::try_open(&gateway, "/users/live?limit=5", &[("Cookie", cookie.as_str())])
    };
    let mut streams = ["1", "2", "2", "3"].map(|token| open(token).expect("a stream"));
    streams.iter_mut().for_each(|stream| drop(stream.follow()));
    is_revoked.store(true, Ordering::Relaxed);
    let [first, refused @ .., last] = &mut streams;
    for stream in refused {
        let event = stream.next().expect("an error");
        assert_eq!((&event.json()["code"], &event.json()["final"]), (&json!("credentials_refused"), &json!(true)));
        assert_eq!(stream.next(), None, "the stream ends");
    }
    rows.change(|rows| rows.push(Row::new(900, 9_000)));
    for stream in [first, last] {
        assert_eq!(stream.follow().name, "patch");
    }
    let mut late = open("2").expect("a stream: the cookie names the client");
    late.follow();
    assert_eq!(late.next().expect("an error").json()["code"], "credentials_refused");
}

/// Starts an upstream that serves a list until a test sets a status, which then is the answer to each request.
fn failing() -> (Upstream, Arc<Mutex<Option<&'static str>>>) {
    let status = Arc::new(Mutex::new(None));
    let answer = Arc::clone(&status);
    let upstream = Upstream::start(move |exchange: &mut Exchange| -> io::Result<After> {
        match *answer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(status) => exchange.reply(status, &[JSON], b"{}"),
            None => {
                let page = body(exchange, &users(5));
                exchange.reply("200 OK", &[JSON], page.as_bytes())
            }
        }
    });
    (upstream, status)
}

#[test]
fn errors_are_sent_once_and_refused_credentials_end_a_stream() {
    let (upstream, status) = failing();
    let setup = Setup { upstream: "retries = { most = 0 }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), table("")));
    let set = |next| *status.lock().unwrap_or_else(PoisonError::into_inner) = next;
    let mut stream = LiveStream::open(&gateway, "/users/live", &[ONE]);
    stream.follow();
    set(Some("500 Internal Server Error"));
    let event = stream.next().expect("an error");
    let facts = ["type", "status", "code", "final"].map(|name| event.json()[name].clone());
    assert_eq!(facts, [json!("error"), json!(502), json!("upstream_unavailable"), json!(false)]);
    let since = polls(&gateway);
    eventually("further requests", || (polls(&gateway) > since + 2).then_some(()));
    // A client that subscribes during the failures gets the last page and the error.
    let mut late = LiveStream::open(&gateway, "/users/live", &[ONE]);
    late.follow();
    assert_eq!(late.next().expect("an error").name, "error");
    set(None);
    for stream in [&mut stream, &mut late] {
        let event = stream.follow();
        assert_eq!((event.name.as_str(), &event.json()["patch"]), ("patch", &json!([])), "one error, and its end");
    }
    set(Some("401 Unauthorized"));
    for stream in [&mut stream, &mut late] {
        let event = stream.next().expect("an error");
        let facts = ["status", "code", "final"].map(|name| event.json()[name].clone());
        assert_eq!(facts, [json!(401), json!("credentials_refused"), json!(true)]);
        assert_eq!(stream.next(), None, "the stream ends");
    }
    // A client whose first page fails gets the refusal of the list.
    let refused = |target: &str| LiveStream::try_open(&gateway, target, &[ONE]).err().expect("a refusal").outcome();
    assert_eq!(refused("/users/live"), "401");
    set(Some("500 Internal Server Error"));
    assert_eq!(refused("/users/live"), "502 upstream_unavailable");
    set(None);
    assert_eq!(refused("/users/live?limit=x"), "400 limit_invalid");
    assert_eq!(refused("/users/live?cursor=x"), "400 cursor_invalid");
    eventually("no subscriber is left", || (subscribers(&gateway) == 0).then_some(()));
}

#[test]
fn only_pages_of_the_named_routes_are_live() {
    let (upstream, _rows, gateway) = start("");
    assert_eq!(gateway.get("/users/live/").outcome(), "404 route_not_found");
    assert_eq!(gateway.get("/users/live/5").outcome(), "404 route_not_found");
    assert_eq!(gateway.send("POST", "/users/live", &[], b"").outcome(), "404 route_not_found");
    let off = Gateway::start(&configuration(upstream.address, BY_OFFSET_TO_SHORT, BY_SCORE));
    assert_eq!(off.get("/users/live").outcome(), "404 route_not_found");
}

#[test]
fn streams_end_with_the_process_and_do_not_hold_it() {
    let (_upstream, _rows, mut gateway) = start("");
    let mut streams: Vec<LiveStream> = (0..20).map(|_| LiveStream::open(&gateway, "/users/live", &[])).collect();
    for stream in &mut streams {
        stream.follow();
    }
    gateway.signal("TERM");
    for stream in &mut streams {
        let event = stream.next().expect("a last event");
        assert_eq!((event.name.as_str(), &event.json()["reason"]), ("closing", &json!("stopping")));
        let retry = event.retry.expect("a time to come again");
        assert!((1_000..=5_000).contains(&retry), "{retry}");
        assert_eq!(event.json()["retryAfter"], retry);
        assert_eq!(stream.next(), None);
    }
    assert!(gateway.ended().success());
    assert!(gateway.log().iter().any(|line| line.contains("no request is in flight")), "{}", gateway.log().join("\n"));
}

#[test]
fn streams_go_on_after_a_reload_while_their_page_is_live() {
    let (upstream, rows, gateway) = start("");
    let mut stream = LiveStream::open(&gateway, "/users/live", &[]);
    stream.follow();
    let reload = |text: &str| {
        let before = metric(&gateway, "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}");
        gateway.rewrite(Keys::One, text);
        gateway.signal("HUP");
        let sample = "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}";
        eventually("the reload", || (metric(&gateway, sample) > before).then_some(()));
    };
    reload(&configured(&upstream, "heartbeat = \"2s\""));
    rows.change(|rows| rows.push(Row::new(50, 500)));
    assert_eq!(stream.follow().name, "patch");
    reload(&configuration(upstream.address, BY_OFFSET_TO_SHORT, BY_SCORE));
    let event = stream.next().expect("a last event");
    assert_eq!((event.name.as_str(), &event.json()["reason"]), ("closing", &json!("unconfigured")));
    assert_eq!(stream.next(), None);
}

/// After a write through the gateway, a page is read again at once, however long its interval has become.
#[test]
fn a_write_through_the_gateway_wakes_live_pages() {
    let rows = Rows::count(40);
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.method == "GET" {
            return own.answer(exchange);
        }
        let status = if exchange.request.query() == "refused" { "409 Conflict" } else { "200 OK" };
        exchange.reply(status, &[], b"")
    });
    let between = |min: &str, max: &str| {
        let live = format!("[services.live]\nroutes = [\"users\"]\ninterval = {{ min = {min:?}, max = {max:?} }}\n");
        let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
        format!("{}{live}{rest}", configuration(upstream.address, BY_OFFSET_TO_SHORT, BY_SCORE))
    };
    let gateway = Gateway::start(&between("50ms", "50ms"));
    let mut stream = LiveStream::open(&gateway, "/users/live?limit=5", &[]);
    stream.follow();
    let reload = |text: &str| {
        let sample = "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}";
        let before = metric(&gateway, sample);
        gateway.rewrite(Keys::One, text);
        gateway.signal("HUP");
        eventually("the reload", || (metric(&gateway, sample) > before).then_some(()));
    };
    reload(&between("1h", "1h"));
    // The next poll is in an hour, unless a write wakes the page.
    let mut before = polls(&gateway);
    eventually("the polls rest", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = polls(&gateway);
        std::mem::replace(&mut before, now).eq(&now).then_some(())
    });
    reload(&between("50ms", "1h"));
    rows.change(|rows| rows.push(Row::new(900, 0)));
    // Neither a request that only reads, nor a refused write, nor a write elsewhere wakes it.
    assert_eq!(gateway.get("/users?cursor=start&limit=5").status, 200);
    assert_eq!(gateway.send("PUT", "/users?refused", &[], b"").status, 409);
    assert_eq!(gateway.send("POST", "/elsewhere", &[], b"").status, 200);
    assert_eq!(polls(&gateway), before);
    assert_eq!(gateway.send("DELETE", "/users/7", &[], b"").status, 200);
    assert_eq!(stream.follow().name, "patch");
    assert_eq!(stream.page, get(&gateway, "/users?limit=5", &[]));
}

/// With a detector, the upstream's load grows with the changes, and not with the clients.
#[test]
fn a_detector_tells_of_changes_for_all_clients() {
    let clients = ["Bearer a", "Bearer b", "Bearer c"];
    let rows = Rows::count(40);
    for client in clients {
        rows.change_of(client, |own| own.extend((1..=40).map(|id| Row::new(id, id * 10))));
    }
    let (own, is_failing) = (rows.clone(), Arc::new(AtomicBool::new(false)));
    let fails = Arc::clone(&is_failing);
    let lists = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lists);
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.path() != "/version" {
            counted.fetch_add(1, Ordering::Relaxed);
            return own.answer(exchange);
        }
        assert_eq!(exchange.request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        let status = if fails.load(Ordering::Relaxed) { "500 Internal Server Error" } else { "200 OK" };
        exchange.reply(status, &[], own.all().len().to_string().as_bytes())
    });
    let detector = "[services.live.detectors.users]\npath = \"/version\"\ninterval = \"50ms\"\n\
        headers = { Authorization = \"Bearer {env:CURSORGATE_KEY_1}\" }\n";
    let live = "[services.live]\nroutes = [\"users\"]\ninterval = { min = \"50ms\", max = \"1h\" }\n";
    let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let gateway = Gateway::start(&format!(
        "{}{live}{detector}{rest}",
        configuration(upstream.address, BY_OFFSET_TO_SHORT, BY_SCORE)
    ));
    let mut streams = clients.map(|client| {
        let mut stream = LiveStream::open(&gateway, "/users/live?limit=5", &[("Authorization", client)]);
        stream.follow();
        stream
    });
    let at_rest = || {
        eventually("the pages rest", || {
            let before = lists.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(500));
            (lists.load(Ordering::Relaxed) == before).then_some(before)
        })
    };
    let change = |id| {
        for whose in clients.into_iter().chain([""]) {
            rows.change_of(whose, |own| own.push(Row::new(id, id * 10)));
        }
    };
    let detectors = || http::get(gateway.admin, "/live").json()["detectors"].clone();
    eventually("an answer", || (detectors() == json!([{ "route": "users", "state": "live" }])).then_some(()));
    let before = at_rest();
    for id in 901..=903 {
        change(id);
        for stream in &mut streams {
            assert_eq!(stream.follow().name, "patch");
        }
    }
    assert_eq!(streams[0].page, get(&gateway, "/users?limit=5", &[("Authorization", clients[0])]));
    let requests = at_rest() - before;
    assert!(requests <= 12, "{requests} requests for nine changed pages and a page");
    // While the detector fails, the pages find changes by themselves.
    is_failing.store(true, Ordering::Relaxed);
    let told = "the detector of changes fails";
    eventually("the failure is told", || gateway.log().iter().any(|line| line.contains(told)).then_some(()));
    assert_eq!(detectors()[0]["state"], "failing");
    change(990);
    for stream in &mut streams {
        assert_eq!(stream.follow().name, "patch");
    }
    drop(streams);
    eventually("the detector ends with the last page", || detectors().as_array()?.is_empty().then_some(()));
}

#[test]
fn a_stream_ends_after_its_time() {
    let (_upstream, _rows, gateway) = start("lifetime = \"1s\"");
    let mut stream = LiveStream::open(&gateway, "/users/live", &[]);
    stream.follow();
    assert_eq!(stream.next().expect("a last event").json()["reason"], "lifetime");
    assert_eq!(stream.next(), None);
}

#[test]
fn random_changes_are_followed_to_the_page_of_a_get() {
    let (_upstream, rows, gateway) = start("");
    let mut stream = LiveStream::open(&gateway, "/users/live?limit=12", &[]);
    let mut numbers = Numbers::new(0x5EED);
    for round in 0..200_u64 {
        for _ in 0..=numbers.below(3) {
            let drawn = numbers.below(1_000);
            rows.change(|rows| {
                let place = drawn % rows.len().max(1);
                match drawn % 4 {
                    0 => rows.push(Row::new(1_000 + round * 8 + u64::try_from(drawn % 8).expect("small"), 400 - round)),
                    1 if rows.len() > 5 => drop(rows.remove(place)),
                    2 => rows[place].score = u64::try_from(drawn).expect("small"),
                    _ => rows[place].note = format!("note {drawn}"),
                }
                rows.sort_by_key(|row| row.id);
                rows.dedup_by_key(|row| row.id);
            });
        }
        stream.follow_to(&get(&gateway, "/users?limit=12", &[]));
    }
    let (pages, patches) = ["page", "patch"]
        .map(|kind| metric(&gateway, &format!("cursorgate_live_messages_total{{kind=\"{kind}\"}}")))
        .into();
    assert!(patches > 4 * pages, "{pages} pages and {patches} patches");
}
