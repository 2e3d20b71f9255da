//! Tests of the rate limits of a client's requests: bursts are cut, one client's burst does not affect other clients,
//! expensive pages count as several requests, legacy requests are reduced step by step, and clients that respect the
//! limit's headers are served.

use std::{path::PathBuf, process::Command, thread, time::SystemTime};

use serde_json::{Value, json};

use crate::{
    harness::{
        eventually,
        gateway::{Gateway, Keys, command},
        http::Response,
        http2,
        list::{PLAIN, Setup, body, serve, users},
        metric, scaled,
        upstream::Upstream,
    },
    third_party::python,
};

/// A list and other paths with a limit of five requests an hour, of which one is available again after 12 minutes.
const FIVE: Setup = Setup {
    route: "rate_limit = { requests = 5, per = \"1h\" }",
    more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n\
           rate_limit = { requests = 5, per = \"1h\" }",
    ..PLAIN
};

fn started(setup: &Setup) -> (Upstream, Gateway) {
    let items = users(300);
    let upstream = Upstream::start(move |exchange| {
        let headers = [("RateLimit", "limit=9, remaining=8"), ("Access-Control-Allow-Origin", "*")];
        let body = body(exchange, &items);
        exchange.reply("200 OK", &headers, body.as_bytes())
    });
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    (upstream, gateway)
}

fn as_client(gateway: &Gateway, target: &str, name: &str) -> Response {
    gateway.send("GET", target, &[("Authorization", name)], b"")
}

/// Returns the remaining requests (`r`) and the seconds (`t`) of a limit in `RateLimit`; `None` unless the answer has
/// exactly one such field.
pub(crate) fn left(response: &Response, policy: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("ratelimit"))
        .map(|(_, value)| value.as_str())
        .collect();
    let [field] = fields.as_slice() else { return None };
    let item = field.split(", ").find_map(|item| item.strip_prefix(&format!("\"{policy}\";r=")))?;
    let (remaining, seconds) = item.split_once(";t=")?;
    Some((remaining.parse().ok()?, seconds.parse().ok()?))
}

/// Asserts that a request was refused by a rate limit, and that all fields of the answer name the same time, at most
/// `most` seconds ahead.
pub(crate) fn assert_limited(response: &Response, policy: &str, most: u64) {
    assert_eq!(response.outcome(), "429 rate_limited", "{response:?}");
    let seconds: u64 = response.header("retry-after").and_then(|text| text.parse().ok()).expect("a number of seconds");
    assert!((1..=most).contains(&seconds), "{response:?}");
    assert_eq!(left(response, policy), Some((0, seconds)), "{response:?}");
    assert_eq!(response.json()["retryable"], true);
}

#[test]
fn a_burst_is_cut_and_costs_no_other_client_anything() {
    let (upstream, gateway) = started(&FIVE);
    for (target, route) in [("/users?cursor=start&limit=5", "users"), ("/rest/of/it", "rest")] {
        let before = upstream.count();
        let answers: Vec<Response> = (0..20).map(|_| as_client(&gateway, target, "Bearer a")).collect();
        for (number, answer) in answers.iter().enumerate() {
            if number < 5 {
                assert_eq!(answer.status, 200, "{target}: {answer:?}");
                assert_eq!(answer.header("ratelimit-policy"), Some("\"requests\";q=5;w=3600"), "{target}: {answer:?}");
                let used = number as u64 + 1;
                let (remaining, seconds) = left(answer, "requests").expect("one field");
                assert_eq!(remaining, 5 - used, "{target}: {answer:?}");
                assert!((used * 720 - 60..=used * 720).contains(&seconds), "{target}: {answer:?}");
            } else {
                assert_limited(answer, "requests", 720);
            }
        }
        assert_eq!(upstream.count() - before, 5, "{target}: a refused request costs the upstream nothing");
        // Another spelling of the scheme is the same client.
        assert_limited(&as_client(&gateway, target, "bearer  a"), "requests", 720);
        let other = as_client(&gateway, target, "Bearer b");
        assert_eq!(
            (other.status, left(&other, "requests").map(|(remaining, _)| remaining)),
            (200, Some(4)),
            "{target}"
        );
        let counted = format!("cursorgate_rate_limited_total{{route=\"{route}\",policy=\"requests\"}}");
        assert_eq!(metric(&gateway, &counted), 16);
    }
    eventually("the log", || {
        let limited = gateway.access_log().into_iter().filter(|line| line["limit"] == "requests");
        let facts: Vec<Value> =
            limited.map(|line| json!([line["status"], line["code"], line["upstream_requests"]])).collect();
        (facts.len() == 32)
            .then(|| assert!(facts.iter().all(|facts| *facts == json!([429, "rate_limited", 0])), "{facts:?}"))
    });
}

#[test]
fn all_requests_count_but_preflights() {
    let (_upstream, gateway) = started(&FIVE);
    let tag = gateway.get("/users?cursor=start&limit=5").header("etag").expect("a validator").to_owned();
    let unchanged = gateway.send("GET", "/users?cursor=start&limit=5", &[("If-None-Match", &tag)], b"");
    assert_eq!((unchanged.status, left(&unchanged, "requests").map(|left| left.0)), (304, Some(3)), "{unchanged:?}");
    let head = gateway.send("HEAD", "/users?cursor=start&limit=5", &[], b"");
    assert_eq!((head.status, left(&head, "requests").map(|left| left.0)), (200, Some(2)), "{head:?}");
    let invalid = gateway.get("/users?cursor=start&limit=none");
    assert_eq!((invalid.status, left(&invalid, "requests").map(|left| left.0)), (400, Some(1)), "{invalid:?}");
    assert_eq!(gateway.send("POST", "/users", &[], b"{}").status, 200, "forwarded, as are other methods");
    assert_limited(&gateway.send("POST", "/users", &[], b"{}"), "requests", 720);
    assert_limited(&gateway.get("/users?cursor=start&limit=5"), "requests", 720);
    let preflight = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "GET")];
    for target in ["/users", "/rest/of/it"] {
        for _ in 0..10 {
            let answer = gateway.send("OPTIONS", target, &preflight, b"");
            assert_eq!((answer.status, left(&answer, "requests")), (200, None), "{answer:?}");
        }
    }
    assert_limited(&gateway.send("OPTIONS", "/users", &[], b""), "requests", 720);
}

/// Scripts of other origins may read the fields of limits, whether the route or the upstream decides about CORS.
#[test]
fn scripts_may_read_the_fields_of_limits() {
    for cors in ["", "\ncors = { origins = [\"https://app.example.com\"] }"] {
        let route = Box::leak(format!("{}{cors}", FIVE.route).into_boxed_str());
        let (_upstream, gateway) = started(&Setup { route, ..FIVE });
        let legacy = gateway.send("POST", "/users", &[("Origin", "https://app.example.com")], b"{}");
        for _ in 0..5 {
            let answer =
                gateway.send("GET", "/users?cursor=start&limit=5", &[("Origin", "https://app.example.com")], b"");
            for answer in [&answer, &legacy] {
                if answer.header("access-control-allow-origin").is_some() {
                    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
                    assert!(exposed.contains("RateLimit, RateLimit-Policy"), "{cors}: {answer:?}");
                }
            }
        }
    }
}

/// A page counts as many requests as it takes at the upstream. If the upstream returns ten items at a time, a page of
/// fifty takes at least five.
#[test]
fn a_client_pays_for_its_expensive_pages() {
    let setup = Setup { route: "rate_limit = { upstream_requests = 12, per = \"1h\" }", ..PLAIN };
    let configuration = |address| {
        let text = setup.configuration(address).replace("max = 200", "max = 50");
        text.replace("[dialects.scripted]", "[dialects.scripted]\nsize = { max = 10 }")
    };
    let upstream = Upstream::start(serve(users(300)));
    let gateway = Gateway::start(&configuration(upstream.address));
    let mut target = "/users?cursor=start&limit=50".to_owned();
    let mut taken = 0;
    while taken < 12 {
        let before = upstream.count();
        let page = as_client(&gateway, &target, "a");
        assert_eq!(page.status, 200, "some of the limit was left: {page:?}");
        let cost = upstream.count() - before;
        assert!(cost > 4, "the page is an expensive one: {cost}");
        taken += cost;
        let expected = u64::try_from(12_usize.saturating_sub(taken)).ok();
        assert_eq!(left(&page, "upstream-requests").map(|left| left.0), expected, "{page:?}");
        let policy = "\"upstream-requests\";q=12;qu=\"upstream-requests\";w=3600";
        assert_eq!(page.header("ratelimit-policy"), Some(policy));
        target = page.link("next").expect("a next page");
    }
    assert!(taken > 12, "the last page took more than was left: {taken}");
    let over = u64::try_from(taken - 12).expect("a small number");
    assert_limited(&as_client(&gateway, "/users?cursor=start&limit=1", "a"), "upstream-requests", (over + 1) * 300);
    for (request, left_after) in
        [("/users?cursor=start&limit=5", 11), ("/users?cursor=start&limit=none", 11), ("/users?cursor=none", 11)]
    {
        let page = as_client(&gateway, request, "b");
        assert_eq!(left(&page, "upstream-requests").map(|left| left.0), Some(left_after), "{request}: {page:?}");
    }
}

#[test]
fn legacy_requests_have_a_limit_of_their_own() {
    let route = "rate_limit = { requests = 10, per = \"1h\", key = \"header:X-App\" }\n\
                 old_clients = \"pass\"\nlegacy = { deprecation = 2026-01-15, \
                 documentation = \"https://docs.example.com/cursors\", rate_limit = { requests = 3, per = \"1h\" } }";
    let (upstream, gateway) = started(&Setup { route, ..PLAIN });
    let ask = |target: &str| gateway.send("GET", target, &[("X-App", "shop")], b"");
    for left_after in [2, 1, 0] {
        let old = ask("/users?offset=20");
        assert_eq!((old.status, old.header("deprecation")), (200, Some("@1768435200")), "{old:?}");
        assert_eq!(left(&old, "legacy").map(|left| left.0), Some(left_after), "{old:?}");
    }
    let before = upstream.count();
    let refused = ask("/users?offset=20");
    assert_limited(&refused, "legacy", 1_200);
    assert_eq!(upstream.count(), before);
    assert_eq!(refused.header("deprecation"), Some("@1768435200"), "{refused:?}");
    assert_eq!(refused.link("deprecation").as_deref(), Some("https://docs.example.com/cursors"), "{refused:?}");
    let problem = refused.json();
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("by cursor") && detail.contains("`restart`"), "{detail}");
    assert_eq!(problem["restart"], refused.link("successor-version").expect("a successor"), "{refused:?}");
    let page = ask(problem["restart"].as_str().expect("a link"));
    assert_eq!(
        (page.status, left(&page, "legacy"), left(&page, "requests").map(|left| left.0)),
        (200, None, Some(5)),
        "{page:?}"
    );
    assert_eq!(gateway.send("GET", "/users?offset=20", &[("X-App", "other")], b"").status, 200);
    let by_route = crate::harness::http::get(gateway.admin, "/migration").json()["routes"][0].clone();
    assert_eq!(by_route["limit"], json!({ "requests": 3, "seconds": 3_600 }), "{by_route}");
    assert_eq!(by_route["limited"], json!({ "legacy": 1 }), "{by_route}");
}

/// Legacy requests by POST are limited, too. The refusal has no links, which a POST could not follow.
#[test]
fn legacy_requests_by_post_are_limited_too() {
    let route = "methods = [\"GET\", \"HEAD\", \"POST\"]\n\
                 old_clients = \"pass\"\nlegacy = { rate_limit = { requests = 1, per = \"1h\" } }";
    let (upstream, gateway) = started(&Setup { route, ..PLAIN });
    let ask = || gateway.send("POST", "/users?offset=20", &[("Content-Type", "application/json")], b"{}");
    assert_eq!(ask().status, 200);
    let before = upstream.count();
    let refused = ask();
    assert_limited(&refused, "legacy", 3_600);
    assert_eq!((upstream.count(), refused.json().get("restart")), (before, None), "{refused:?}");
    let detail = refused.json()["detail"].as_str().expect("a detail").to_owned();
    assert!(detail.contains("ask for the first page with `start` in"), "{detail}");
}

/// Returns the time `seconds` from now, as written in a brownout.
#[expect(clippy::disallowed_methods, reason = "brownouts are at times of day")]
fn moment(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970").as_secs();
    let then = chrono::DateTime::from_timestamp(now.cast_signed() + seconds, 0).expect("a year of four digits");
    then.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[test]
fn brownouts_refuse_old_clients_for_a_time() {
    const HOUR: i64 = 3_600;
    // Each case has the window of a brownout, more keys, and the outcomes of three legacy requests.
    for (from, until, keys, outcomes) in [
        (-HOUR, HOUR, "", ["429 rate_limited"; 3]),
        (-HOUR, HOUR, ", requests = 2, per = \"1h\"", ["200", "200", "429 rate_limited"]),
        (-HOUR, HOUR, ", answer = \"reject\"", ["410 legacy_rejected"; 3]),
        (HOUR, 2 * HOUR, "", ["200"; 3]),
        (-2 * HOUR, -HOUR, "", ["200"; 3]),
    ] {
        let (from, until) = (moment(from), moment(until));
        for policy in ["pass", "translate"] {
            let route = format!(
                "old_clients = \"{policy}\"\nlegacy = {{ sunset = 2036-12-31, brownouts = [\
                 {{ from = \"{from}\", until = \"{until}\"{keys} }}] }}"
            );
            let (_upstream, gateway) = started(&Setup { route: Box::leak(route.into_boxed_str()), ..PLAIN });
            let answers = [0; 3].map(|_| gateway.get("/users?offset=20"));
            assert_eq!(answers.each_ref().map(Response::outcome), outcomes, "{from} {keys} {policy}: {answers:?}");
            for answer in &answers {
                assert_eq!(answer.header("sunset"), Some("Wed, 31 Dec 2036 00:00:00 GMT"), "{answer:?}");
                let successor = answer.link("successor-version").expect("a successor");
                assert_eq!(gateway.get(&successor).status, 200, "{successor}");
                if answer.status == 429 {
                    assert_limited(answer, "brownout", 3_600);
                    let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
                    assert!(detail.contains(&until) && detail.contains("`restart`"), "{detail}");
                }
            }
            let report = crate::harness::http::get(gateway.admin, "/migration").json()["routes"][0].clone();
            let brownout = &report["brownouts"][0];
            assert_eq!((&brownout["from"], &brownout["until"]), (&json!(from), &json!(until)), "{report}");
            let is_on = outcomes[2] != "200";
            assert_eq!(brownout["is_on"], is_on, "{report}");
        }
    }
}

/// The fields suffice for polite clients: urllib3 is served after a refusal, and a program that reads `RateLimit` is
/// never refused.
#[test]
fn polite_clients_are_served() {
    let walker = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/walkers/polite.py");
    let all: Vec<u64> = (1..=300).collect();
    for limits in
        ["requests = 4, per = \"2s\"", "requests = 40, burst = 3, per = \"20s\"", "upstream_requests = 4, per = \"2s\""]
    {
        for style in ["retry", "fields"] {
            let route = Box::leak(format!("rate_limit = {{ {limits} }}").into_boxed_str());
            let (_upstream, gateway) = started(&Setup { route, ..PLAIN });
            let mut polite = Command::new(python());
            polite.arg(&walker).args([style, &gateway.url("/users?cursor=start&limit=30")]);
            let output = polite.output().expect("python runs");
            assert!(output.status.success(), "{limits} {style}: {}", String::from_utf8_lossy(&output.stderr));
            let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(read["ids"], json!(all), "{limits} {style}");
            assert_eq!(read["refused"].as_u64() > Some(0), style == "retry", "{limits} {style}: {read}");
        }
    }
}

#[test]
fn a_reload_keeps_what_clients_have_used() {
    let (upstream, gateway) = started(&FIVE);
    for _ in 0..5 {
        assert_eq!(gateway.get("/users?cursor=start&limit=5").status, 200);
    }
    for (from, to, reloads, status) in
        [("default = 20", "default = 25", 1, 429), ("requests = 5", "requests = 6", 2, 200)]
    {
        let text = FIVE.configuration(upstream.address).replace(from, to);
        gateway.rewrite(Keys::One, &text);
        gateway.signal("HUP");
        eventually("the reload", || {
            let done = gateway.log().iter().filter(|line| line.contains("configuration reloaded")).count();
            (done == reloads).then_some(())
        });
        assert_eq!(gateway.get("/users?cursor=start&limit=5").status, status, "{to}");
    }
}

/// Made-up credentials neither free a client from its limit nor shut another client out. They take a bounded amount of
/// memory, as only the test at length can show.
#[test]
fn made_up_clients_shut_no_other_client_out() {
    const THREADS: u64 = 4;
    let (_upstream, gateway) = started(&FIVE);
    for _ in 0..4 {
        assert_eq!(as_client(&gateway, "/users?cursor=start&limit=5", "known").status, 200);
    }
    let made_up = |thread: u64, count: u64| {
        let mut connection = gateway.connect();
        for number in 0..count {
            let name = format!("made-up-{thread}-{number}");
            let answer = connection
                .request("GET", "/users?cursor=start&limit=none", &[("Authorization", &name)], b"")
                .expect("an answer");
            assert_eq!(answer.status, 400, "{name}: {answer:?}");
        }
    };
    made_up(THREADS, 1_000);
    let before = gateway.resident_memory();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || made_up(thread, scaled(100_000) / THREADS));
        }
    });
    let grown = gateway.resident_memory().saturating_sub(before);
    println!("memory grew by {grown}");
    assert!(grown < 16 << 20, "{grown}");
    let known = as_client(&gateway, "/users?cursor=start&limit=5", "known");
    assert_eq!((known.status, left(&known, "requests").map(|left| left.0)), (200, Some(0)), "{known:?}");
    assert_limited(&as_client(&gateway, "/users?cursor=start&limit=5", "known"), "requests", 720);
    let new = as_client(&gateway, "/users?cursor=start&limit=5", "new");
    assert_eq!((new.status, left(&new, "requests").map(|left| left.0)), (200, Some(4)), "{new:?}");
}

/// A second line of a header that identifies its client would make a new client for the limit, while the upstream reads
/// the first one. By HTTP/2, a client may send each cookie on a line of its own.
#[test]
fn a_header_that_identifies_its_client_has_one_value() {
    let (upstream, gateway) = started(&FIVE);
    for target in ["/users?cursor=start&limit=5", "/rest/a"] {
        for name in ["Authorization", "X-Api-Key", "Cookie"] {
            let refused = gateway.send("GET", target, &[(name, "one=1"), (name, "two=2")], b"");
            assert_eq!(refused.outcome(), "400 request_invalid", "{target} {name}");
            assert_eq!(gateway.send("GET", target, &[(name, "one=1"), ("X-A", "a"), ("X-A", "b")], b"").status, 200);
        }
    }
    let mut connection = http2::Connection::open(gateway.public).expect("the gateway listens");
    let cookies = http2::fields(&[("cookie", "one=1"), ("x-a", "b"), ("cookie", "two=2")]);
    let head = [http2::get("/users?cursor=start&limit=5"), cookies].concat();
    let flags = http2::END_HEADERS | http2::END_STREAM;
    connection.send(&http2::frame(http2::HEADERS, flags, 1, &head)).expect("it reads");
    assert_eq!(connection.answer(1).expect("it answers").0, 0x88);
    let asked = upstream.requests().pop().expect("a request");
    assert_eq!(asked.header("cookie"), Some("one=1; two=2"), "{asked:?}");
}

#[test]
fn check_tells_of_limits_that_a_page_exceeds() {
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start(
        &Setup { route: "rate_limit = { upstream_requests = 39 }", ..PLAIN }.configuration(upstream.address),
    );
    let check = || {
        let output =
            command().args(["check", "--verbose"]).arg(gateway.file("cursorgate.toml")).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        said
    };
    let said = check();
    assert!(
        said.contains("a page may take up to 40 upstream requests, and rate_limit.upstream_requests is 39"),
        "{said}"
    );
    assert!(said.contains("  limits       39 upstream requests in 1m for each client"), "{said}");
    assert!(said.contains("; 429 beyond that; each process counts for itself"), "{said}");
    gateway.rewrite_raw(&format!("{}\n[caches.shared]\naddresses = [\"127.0.0.1:1\"]\n", gateway.configuration()));
    let said = check();
    assert!(said.contains("; 429 beyond that; all processes with this store count together"), "{said}");
}
