//! Tests of the page cache: which pages are kept, which clients get them, how long they are served, and which events
//! drop them.

mod ahead;
mod tenants;
mod waiting;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use crate::harness::{
    eventually,
    gateway::Gateway,
    http::{self, Response},
    list::{PLAIN, Setup, body, users},
    metric,
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
    upstream::{Exchange, Gate, Upstream},
};

const TOKEN: &str = "a-token-of-the-tests";

/// The setup for pages that all clients share, kept longer than a test takes.
const KEPT: Setup = Setup { route: "page_cache = { ttl = \"1h\", private = false }", ..PLAIN };
/// The setup for pages that are kept separately for each client.
const PRIVATE: Setup = Setup { route: "page_cache = { ttl = \"1h\", private = true }", ..PLAIN };

/// Starts an upstream with 60 users whose answers have these headers.
fn upstream(headers: &'static [(&'static str, &'static str)]) -> Upstream {
    let items = users(60);
    Upstream::start(move |exchange| {
        let body = body(exchange, &items);
        exchange.reply("200 OK", headers, body.as_bytes())
    })
}

/// Starts an upstream whose item contains the number of the answer, so no two answers are the same.
fn counting() -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(move |exchange| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"answer":{number}}}]}}"#);
        exchange.reply("200 OK", &[], body.as_bytes())
    })
}

fn start(setup: &Setup, upstream: &Upstream) -> Gateway {
    Gateway::start(&setup.configuration(upstream.address))
}

pub(crate) fn status(response: &Response) -> &str {
    response.header("cache-status").unwrap_or_default()
}

pub(crate) fn is_hit(response: &Response) -> bool {
    status(response).starts_with("cursorgate; hit; ttl=")
}

/// Gives the admin listener a token.
pub(crate) fn with_token(gateway: &Gateway) {
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    let text = gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\""));
    gateway.rewrite_raw(&text);
    gateway.signal("HUP");
    let reloads = "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}";
    eventually("the token is known", || (gateway.metric(reloads) == Some(1)).then_some(()));
}

pub(crate) fn purge(gateway: &Gateway, body: &str) -> Response {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    http::send(gateway.admin, "POST", "/purge", &headers, body.as_bytes())
}

#[test]
fn a_page_is_served_again_without_the_upstream() {
    let upstream = upstream(&[("Content-Type", "application/json"), ("Age", "7")]);
    let gateway = start(&KEPT, &upstream);
    let first = gateway.get("/users?limit=10");
    assert_eq!((status(&first), first.header("age")), ("cursorgate; fwd=miss; stored", Some("7")));
    let asked = upstream.count();
    for method in ["GET", "HEAD", "GET"] {
        let again = gateway.send(method, "/users?limit=10", &[], b"");
        assert!(is_hit(&again) && again.header("age").is_some(), "{again:?}");
        for name in ["etag", "link", "cursorgate-level", "content-length", "content-type", "vary", "cache-control"] {
            assert_eq!(again.header(name), first.header(name), "{method} {name}");
        }
        assert_eq!(again.body, if method == "HEAD" { Vec::new() } else { first.body.clone() });
    }
    let tag = first.header("etag").expect("a tag").to_owned();
    let known = gateway.send("GET", "/users?limit=10", &[("If-None-Match", &tag)], b"");
    assert!(known.status == 304 && is_hit(&known) && known.body.is_empty(), "{known:?}");
    assert_eq!(upstream.count(), asked, "no hit asks the upstream");
    for other in ["/users?limit=11", "/users?limit=10&name=x", "/users/?limit=10"] {
        assert_eq!(status(&gateway.get(other)), "cursorgate; fwd=miss; stored", "{other}");
    }
    let unmatched = gateway.send("GET", "/users?limit=12", &[("If-None-Match", "\"other\"")], b"");
    assert_eq!(unmatched.status, 200);
    assert!(is_hit(&gateway.get("/users?limit=12")), "a conditional request stores the whole page");
    let log = eventually("all lines", || Some(gateway.access_log()).filter(|log| log.len() >= 10));
    let hits: Vec<_> = log.iter().filter(|line| line["cache"] == "hit").collect();
    assert_eq!(hits.len(), 5);
    assert!(hits.iter().all(|line| line["upstream_requests"] == 0 && line["page_level"] == "exact"), "{hits:?}");
    assert_eq!(metric(&gateway, "cursorgate_page_cache_total{route=\"users\",use=\"hit\"}"), 5);
    assert_eq!(metric(&gateway, "cursorgate_page_cache_stored_total{route=\"users\"}"), 5);
    assert!(metric(&gateway, "cursorgate_page_cache_bytes") > 5 * 500);
}

/// A route without the table `page_cache` keeps no page and sends no header about a cache.
#[test]
fn no_page_is_cached_without_the_table_page_cache() {
    let upstream = upstream(&[]);
    let gateway = start(&PLAIN, &upstream);
    for _ in 0..2 {
        assert_eq!(gateway.get("/users").header("cache-status"), None);
    }
    assert_eq!(upstream.count(), 2);
}

/// Headers of requests and answers that forbid storing keep a page out of the cache, and other headers don't.
///
/// Row: A22
#[test]
fn pages_that_may_not_be_stored_are_not() {
    type Pairs = &'static [(&'static str, &'static str)];
    const CC: &str = "Cache-Control";
    const AUTHORIZED: Pairs = &[("Authorization", "Bearer one")];
    let cases: [(Setup, Pairs, Pairs, bool); 23] = [
        (KEPT, &[], &[], true),
        (KEPT, &[(CC, "max-age=60")], &[], true),
        (KEPT, &[(CC, "no-store")], &[], false),
        (KEPT, &[(CC, "no-cache")], &[], false),
        (KEPT, &[(CC, "max-age=0")], &[], false),
        (KEPT, &[(CC, "private, max-age=60")], &[], false),
        (KEPT, &[("Set-Cookie", "a=b")], &[], false),
        (KEPT, &[("Vary", "*")], &[], false),
        (KEPT, &[], AUTHORIZED, false),
        (KEPT, &[(CC, "max-age=60")], AUTHORIZED, false),
        (KEPT, &[(CC, "public, max-age=60")], AUTHORIZED, true),
        (KEPT, &[(CC, "s-maxage=60")], AUTHORIZED, true),
        (KEPT, &[(CC, "must-revalidate, max-age=60")], AUTHORIZED, true),
        (PRIVATE, &[], AUTHORIZED, true),
        (PRIVATE, &[(CC, "private, max-age=60")], AUTHORIZED, true),
        (PRIVATE, &[(CC, "private, max-age=60")], &[], false),
        (PRIVATE, &[(CC, "no-store")], AUTHORIZED, false),
        (PRIVATE, &[("Set-Cookie", "a=b")], AUTHORIZED, false),
        (KEPT, &[], &[("X-Private-Token", "it may name a client")], false),
        (KEPT, &[], &[("X-B3-User", "it may name a client")], false),
        (KEPT, &[], &[("Baggage", "user=it may name a client")], false),
        (PRIVATE, &[], &[("Authorization", "Basic of-all-users"), ("X-User-Token", "alice")], false),
        (PRIVATE, &[], &[("X-Api-Key", "of-all-users"), ("X-Session-Id", "alice")], false),
    ];
    for (setup, said, asked, is_kept) in cases {
        let upstream = upstream(said);
        let gateway = start(&setup, &upstream);
        let pages = [0; 2].map(|_| gateway.send("GET", "/users", asked, b""));
        assert_eq!(is_hit(&pages[1]), is_kept, "{said:?} {asked:?}: {pages:?}");
        assert_eq!(pages[0].body, pages[1].body);
        assert_eq!(upstream.count(), if is_kept { 1 } else { 2 }, "{said:?} {asked:?}");
    }
}

#[test]
fn a_header_that_keeps_pages_out_of_the_cache_is_named_once() {
    let upstream = upstream(&[]);
    let gateway = start(&KEPT, &upstream);
    for _ in 0..3 {
        assert_eq!(status(&gateway.send("GET", "/users", &[("X-Tenant-Id", "7")], b"")), "cursorgate; fwd=bypass");
    }
    let told = |line: &&String| line.contains("the header x-tenant-id might identify its client");
    eventually("it is named", || (gateway.log().iter().filter(told).count() == 1).then_some(()));
}

#[test]
fn a_client_chooses_by_cache_control_between_new_and_kept_pages() {
    let upstream = counting();
    let gateway = start(&KEPT, &upstream);
    let answer = |directive: &str| {
        let page = gateway.send("GET", "/users", &[("Cache-Control", directive)], b"");
        let number = (page.status == 200).then(|| page.json()["data"][0]["answer"].as_u64());
        (number.flatten(), page.status, status(&page).to_owned())
    };
    let said = |text: &str| text.to_owned();
    // Without a kept page, `only-if-cached` gets 504 (RFC 9111, section 5.2.1.7).
    let refused = gateway.send("GET", "/users", &[("Cache-Control", "only-if-cached")], b"");
    assert_eq!(refused.outcome(), "504 not_cached");
    assert_eq!(answer("no-store"), (Some(0), 200, said("cursorgate; fwd=bypass")));
    assert_eq!(answer("max-age=60"), (Some(1), 200, said("cursorgate; fwd=miss; stored")));
    assert_eq!(answer("only-if-cached").0, Some(1));
    assert_eq!(answer("no-cache"), (Some(2), 200, said("cursorgate; fwd=request; stored")));
    assert_eq!(answer("max-age=0").0, Some(3));
    assert_eq!(answer("max-age=60").0, Some(3));
    assert_eq!(answer("min-fresh=7200"), (Some(4), 200, said("cursorgate; fwd=stale; stored")));
    let old = gateway.send("GET", "/users", &[("Pragma", "no-cache")], b"");
    assert_eq!(old.json()["data"][0]["answer"], 5);
    assert_eq!(upstream.count(), 6);
}

/// Requests that differ by a header in `Vary` get different pages.
///
/// Row: A22
#[test]
fn cached_pages_are_separated_by_the_headers_in_vary() {
    let upstream = Upstream::start(|exchange| {
        let language = exchange.request.header("accept-language").unwrap_or("none").to_owned();
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"language":"{language}"}}]}}"#);
        exchange.reply("200 OK", &[("Vary", "Accept-Encoding, Accept-Language")], body.as_bytes())
    });
    let gateway = start(&KEPT, &upstream);
    let ask = |language: &str| gateway.send("GET", "/users", &[("Accept-Language", language)], b"");
    for (language, hits) in [("de", false), ("en", false), ("de", true), ("en", true), ("fr", false), ("fr", true)] {
        let page = ask(language);
        assert_eq!((page.json()["data"][0]["language"].as_str(), is_hit(&page)), (Some(language), hits));
    }
    let page = gateway.get("/users");
    assert_eq!((page.json()["data"][0]["language"].as_str(), is_hit(&page)), (Some("none"), false));
    assert_eq!(upstream.count(), 4);
}

/// Upstreams that negotiate the language don't always send `Vary`.
///
/// Row: A22
#[test]
fn readers_of_different_languages_share_no_page() {
    let upstream = Upstream::start(|exchange| {
        let language = exchange.request.header("accept-language").unwrap_or("none").to_owned();
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"language":"{language}"}}]}}"#);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let gateway = start(&KEPT, &upstream);
    for (language, hits) in [("de", false), ("en", false), ("de", true), ("en", true)] {
        let page = gateway.send("GET", "/users", &[("Accept-Language", language)], b"");
        assert_eq!((page.json()["data"][0]["language"].as_str(), is_hit(&page)), (Some(language), hits));
    }
    // What the gateway itself negotiates parts no pages.
    for accepted in ["application/json", "*/*"] {
        let headers = [("Accept-Language", "de"), ("Accept", accepted), ("Accept-Encoding", "identity")];
        assert!(is_hit(&gateway.send("GET", "/users", &headers, b"")), "{accepted}");
    }
}

/// A page for a made-up host is served only for that host. Upstreams get the host of the client's request, and may
/// write it into their items.
///
/// Row: A24
#[test]
fn a_page_cached_for_a_made_up_host_is_served_only_for_that_host() {
    let upstream = Upstream::start(|exchange| {
        let host = exchange.request.header("x-forwarded-host").unwrap_or_default().to_owned();
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"url":"https://{host}/users/1"}}]}}"#);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let gateway = start(&Setup { upstream: "host_header = \"people.test\"", ..KEPT }, &upstream);
    for (host, hits) in [("evil.test", false), ("shop.test", false), ("evil.test", true), ("shop.test", true)] {
        let page = gateway.send("GET", "/users", &[("Host", host)], b"");
        assert_eq!(
            (page.json()["data"][0]["url"].as_str(), is_hit(&page)),
            (Some(&*format!("https://{host}/users/1")), hits)
        );
    }
}

#[test]
fn pages_are_purged_by_route_by_tag_and_by_write() {
    let items = users(60);
    let upstream = Upstream::start(move |exchange| {
        let headers = [("Surrogate-Key", "people red"), ("Content-Type", "application/json")];
        match (exchange.request.method.as_str(), exchange.request.path()) {
            ("GET", "/users") => {
                let body = body(exchange, &items);
                exchange.reply("200 OK", &headers, body.as_bytes())
            }
            ("DELETE", "/users/404") => exchange.reply("404 Not Found", &[], b""),
            ("POST", "/users/500") => exchange.reply("500 Internal Server Error", &[], b""),
            ("POST", "/users/login") => exchange.reply("302 Found", &[("Location", "/login")], b""),
            ("POST", "/users/moved") => exchange.reply("303 See Other", &[("Location", "/users/7")], b""),
            _ => exchange.reply("200 OK", &[], b"{}"),
        }
    });
    let more = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"";
    let gateway = start(&Setup { more, ..KEPT }, &upstream);
    with_token(&gateway);
    let is_kept = || is_hit(&gateway.get("/users"));
    let after = |what: &str, is_purged: bool, act: &dyn Fn()| {
        is_kept();
        assert!(is_kept(), "before {what}");
        act();
        assert_eq!(is_kept(), !is_purged, "after {what}");
    };
    for (method, path, is_purged) in [
        ("POST", "/users", true),
        ("PUT", "/users/5", true),
        ("PATCH", "/users/5/address", true),
        ("DELETE", "/users//5/", true),
        ("DELETE", "/Users/5", true),
        ("POST", "/users/moved", true),
        ("POST", "/users/login", false),
        ("GET", "/users/5", false),
        ("OPTIONS", "/users", false),
        ("DELETE", "/users/404", false),
        ("POST", "/users/500", false),
        ("POST", "/usersandmore", false),
        ("POST", "/others/5", false),
    ] {
        let write = || drop(gateway.send(method, path, &[], b""));
        after(&format!("{method} {path}"), is_purged, &write);
    }
    for (body, outcome, is_purged) in [
        (json!({ "route": "users" }), 200, true),
        (json!({ "tag": "red" }), 200, true),
        (json!({ "tag": "users" }), 200, true),
        (json!({ "tag": "blue" }), 200, false),
        (json!({ "route": "rest" }), 404, false),
        (json!({ "route": "nothing" }), 404, false),
        (json!({ "route": "users", "tag": "red" }), 400, false),
        (json!({ "all": true }), 400, false),
        (json!({}), 400, false),
    ] {
        let text = body.to_string();
        after(&text, is_purged, &|| {
            let answer = purge(&gateway, &text);
            assert_eq!(answer.status, outcome, "{answer:?}");
            if outcome == 200 {
                assert_eq!(answer.json(), json!({ "purged": body }));
            }
        });
    }
    after("a purge without the token", false, &|| {
        let headers = [("Content-Type", "application/json")];
        let answer = http::send(gateway.admin, "POST", "/purge", &headers, b"{\"route\":\"users\"}");
        assert_eq!(answer.status, 401);
    });
    let told = |line: &String| line.contains("a purge was asked for and refused") && line.contains("127.0.0.1:");
    assert!(gateway.log().iter().any(told), "the log has the address");
    let by = |cause: &str| metric(&gateway, &format!("cursorgate_page_cache_purges_total{{by=\"{cause}\"}}"));
    assert_eq!((by("route"), by("tag")), (3, 3), "two writes spelt the path otherwise");
    assert!(by("write") >= 5);
}

/// A page that was begun before a purge is neither kept nor shared, so clients see what they wrote before the purge.
#[test]
fn a_page_that_is_made_during_a_purge_is_not_kept() {
    let gate = Gate::default();
    let (opened, count) = (gate.clone(), AtomicUsize::new(0));
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        if exchange.request.method == "POST" {
            return exchange.reply("201 Created", &[], b"");
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            opened.wait();
        }
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"answer":{number}}}]}}"#);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let gateway = start(&KEPT, &upstream);
    let mut early = gateway.connect();
    early.send(b"GET /users HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is open");
    eventually("the upstream is asked", || (upstream.count() == 1).then_some(()));
    assert_eq!(gateway.send("POST", "/users", &[], b"{}").status, 201);
    assert_eq!(gateway.get("/users").json()["data"][0]["answer"], 1, "the page from before is not waited for");
    gate.open();
    assert_eq!(early.response("GET").expect("a response").json()["data"][0]["answer"], 0);
    assert_eq!(gateway.get("/users").json()["data"][0]["answer"], 1, "the page from before is not kept");
}

#[test]
fn a_stale_page_is_served_where_the_upstream_fails() {
    let items = users(60);
    let upstream = upstream(&[]);
    let setup = Setup { route: "page_cache = { ttl = \"1s\", stale_if_error = \"1h\" }", ..PLAIN };
    let gateway = start(&setup, &upstream);
    let first = gateway.get("/users");
    let fail = |status: &'static str, body: &'static [u8]| {
        upstream.answer(move |exchange| exchange.reply(status, &[], body));
    };
    for (failing, body, code) in [
        ("503 Service Unavailable", &b"{}"[..], "upstream_unavailable"),
        ("500 Internal Server Error", b"", "upstream_unavailable"),
        ("504 Gateway Timeout", b"", "upstream_timeout"),
        ("200 OK", b"not json", "upstream_malformed"),
    ] {
        fail(failing, body);
        let page = eventually("the page is old", || Some(gateway.get("/users")).filter(|page| !is_hit(page)));
        let expected = format!("cursorgate; fwd=stale; detail={code}");
        assert_eq!((page.status, status(&page), &page.body), (200, expected.as_str(), &first.body), "{failing}");
        assert!(page.header("age").is_some());
    }
    let reload = gateway.send("GET", "/users", &[("Cache-Control", "no-cache")], b"");
    assert_eq!(reload.outcome(), "502 upstream_malformed", "a request for a new page gets no stale one");
    fail("403 Forbidden", b"{\"no\":1}");
    assert_eq!(gateway.get("/users").status, 403, "a refusal passes");
    upstream.answer(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")?;
        Ok(crate::harness::upstream::After::Close)
    });
    assert!(status(&gateway.get("/users")).starts_with("cursorgate; fwd=stale; detail=upstream_"));
    upstream.answer(move |exchange| {
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[("Cache-Control", "must-revalidate, max-age=1")], body.as_bytes())
    });
    assert_eq!(status(&gateway.get("/users")), "cursorgate; fwd=stale; stored");
    fail("503 Service Unavailable", b"");
    let failed = eventually("it must be validated", || Some(gateway.get("/users")).filter(|page| !is_hit(page)));
    assert_eq!(failed.outcome(), "503 upstream_unavailable");
}

#[test]
fn a_stale_page_is_served_while_a_new_one_is_made() {
    let gate = Gate::default();
    let (opened, count) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        if number > 0 {
            opened.wait();
        }
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"answer":{number}}}]}}"#);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let setup = Setup { route: "page_cache = { ttl = \"1s\", stale_while_revalidate = \"1h\" }", ..PLAIN };
    let gateway = start(&setup, &upstream);
    gateway.get("/users");
    let is_stale = |page: &Response| status(page).starts_with("cursorgate; hit; ttl=-");
    eventually("the page is old", || Some(gateway.get("/users")).filter(is_stale));
    for _ in 0..20 {
        let page = gateway.get("/users");
        assert!(is_stale(&page) && page.json()["data"][0]["answer"] == 0, "{page:?}");
    }
    eventually("a new one is made", || (count.load(Ordering::SeqCst) == 2).then_some(()));
    gate.open();
    eventually("the new one is served", || (gateway.get("/users").json()["data"][0]["answer"] == 1).then_some(()));
    let refreshed = "cursorgate_background_pages_total{route=\"users\",work=\"refresh\",end=\"stored\"}";
    eventually("it is counted", || (metric(&gateway, refreshed) >= 1).then_some(()));
    let stale = gateway.access_log().iter().filter(|line| line["cache"] == "stale").count();
    assert!(stale >= 20, "{stale}");
}

/// The gateway asks the upstream whether an answer has changed, and uses the kept body after a 304.
#[test]
fn an_unchanged_answer_is_validated_and_not_sent_again() {
    let changed = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&changed);
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let count = if state.load(Ordering::SeqCst) { 61 } else { 60 };
        let tag = format!("\"{count}\"");
        let headers = [("ETag", tag.as_str()), ("Cache-Control", "no-cache")];
        if exchange.request.header("if-none-match") == Some(tag.as_str()) {
            return exchange.reply("304 Not Modified", &headers, b"");
        }
        let body = body(exchange, &users(count));
        exchange.reply("200 OK", &headers, body.as_bytes())
    });
    let gateway = start(&KEPT, &upstream);
    let first = gateway.get("/users");
    assert_eq!(status(&first), "cursorgate; fwd=miss");
    let again = gateway.get("/users");
    assert_eq!((status(&again), &again.body), ("cursorgate; fwd=miss", &first.body));
    assert_eq!(upstream.requests()[1].header("if-none-match"), Some("\"60\""));
    let validated = "cursorgate_validated_answers_total{route=\"users\"}";
    eventually("the answer is counted", || (metric(&gateway, validated) == 1).then_some(()));
    assert_eq!(gateway.get("/users?limit=7").status, 200);
    assert_eq!(upstream.requests()[2].header("if-none-match"), None, "another part of the list");
    let other = gateway.send("GET", "/users", &[("Authorization", "Bearer one")], b"");
    assert_eq!((other.status, upstream.requests()[3].header("if-none-match")), (200, None), "another client");
    changed.store(true, Ordering::SeqCst);
    let later = gateway.get("/users");
    assert_eq!(later.json()["pagination"]["total"], 61, "{later:?}");
    assert_eq!(metric(&gateway, validated), 1);
    upstream.answer(|exchange| exchange.reply("304 Not Modified", &[("ETag", "\"other\"")], b""));
    assert_eq!(gateway.get("/users").outcome(), "502 upstream_malformed");
}

/// A stale page whose answers have not changed is renewed without a body from the upstream.
#[test]
fn a_stale_page_is_renewed_by_a_304() {
    let items = users(60);
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        if exchange.request.header("if-none-match") == Some("\"1\"") {
            return exchange.reply("304 Not Modified", &[("ETag", "\"1\"")], b"");
        }
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[("ETag", "\"1\"")], body.as_bytes())
    });
    let gateway = start(&Setup { route: "page_cache = { ttl = \"1s\" }", ..PLAIN }, &upstream);
    let first = gateway.get("/users");
    let renewed = eventually("the page is old", || Some(gateway.get("/users")).filter(|page| !is_hit(page)));
    assert_eq!((status(&renewed), &renewed.body), ("cursorgate; fwd=stale; fwd-status=304; stored", &first.body));
    assert!(is_hit(&gateway.get("/users")));
}

/// A reload keeps the pages of a route that it doesn't change, and drops the pages of a route that it changes.
#[test]
fn a_reload_keeps_the_pages_of_routes_that_stay() {
    let upstream = upstream(&[]);
    let gateway = start(&KEPT, &upstream);
    let text = gateway.configuration();
    gateway.get("/users");
    let mut reloads = 0;
    let mut reload = |text: &str| {
        gateway.rewrite_raw(text);
        gateway.signal("HUP");
        reloads += 1;
        let counter = "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}";
        eventually("the reload is done", || (gateway.metric(counter) == Some(reloads)).then_some(()));
        is_hit(&gateway.get("/users"))
    };
    assert!(reload(&text));
    assert!(reload(&format!("# a line that moves all others\n{text}")));
    assert!(!reload(&text.replace("default = 20", "default = 7")));
    assert!(reload(&text), "the pages from before");
}

/// Each item that stays throughout a walk is returned once, even with stale pages. A later page may have an earlier
/// state of the list, and each page is proven by its own state.
#[test]
fn a_walk_over_kept_pages_neither_skips_nor_repeats_items_that_stay() {
    const STANDING: u64 = 200;
    let rows = Rows::count(STANDING);
    let (answering, mut random) = (rows.clone(), 7_u64);
    let upstream = Upstream::start(move |exchange: &mut Exchange| answering.answer(exchange));
    let route = format!("{BY_SCORE}\npage_cache = {{ ttl = \"1s\" }}\npage_size = {{ default = 10 }}");
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route));
    let mut next = |most: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % most
    };
    let mut hits = 0;
    for round in 0..12 {
        let pages = walk(&gateway, "/users", "next", &[], |_, page| {
            hits += usize::from(is_hit(page));
            let (id, score) = (1_000 + next(50), next(STANDING * 10));
            rows.change(|rows| {
                rows.retain(|row| row.id != id);
                if score % 3 > 0 {
                    rows.push(Row::new(id, score));
                }
            });
        });
        let mut seen: Vec<u64> = pages.iter().flat_map(ids).filter(|id| *id <= STANDING).collect();
        assert_eq!(seen.len(), usize::try_from(STANDING).expect("a number"), "round {round}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), usize::try_from(STANDING).expect("a number"), "round {round}");
    }
    assert!(hits > 20, "{hits}");
}
