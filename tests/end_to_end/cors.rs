//! Tests of CORS: preflights, the answers that scripts of other origins may read, and the upstream's own CORS headers
//! if a route has no `cors`.

use crate::harness::{
    Directory,
    gateway::Gateway,
    http::Response,
    list::{PLAIN, Setup, body, users},
    upstream::Upstream,
};

const APP: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";
const LISTED: &str = "cors = { origins = [\"https://app.example.com\", \"http://localhost:3000\"], credentials = true }\n\
                      old_clients = \"pass\"\nlegacy = { deprecation = 2026-01-15 }";
const EVERYBODY: &str = "cors = { origins = [\"*\"], max_age = \"1h\" }\n\
                         old_clients = \"redirect\"";
const UPSTREAMS: &str = "old_clients = \"pass\"";

/// Starts a gateway in front of a list whose upstream sends CORS headers itself.
fn started(route: &'static str) -> (Upstream, Gateway) {
    let items = users(60);
    let upstream = Upstream::start(move |exchange| {
        let headers = [
            ("Access-Control-Allow-Origin", "https://old.example"),
            ("Access-Control-Allow-Methods", "GET, PURGE"),
            ("Access-Control-Expose-Headers", "X-Total-Count"),
            ("X-Total-Count", "60"),
            ("Vary", "Accept-Language"),
        ];
        if exchange.request.path() == "/users" && exchange.request.method == "GET" {
            let body = body(exchange, &items);
            return exchange.reply("200 OK", &headers, body.as_bytes());
        }
        exchange.reply("200 OK", &headers, b"{}")
    });
    let more = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n\
                cors = { origins = [\"https://app.example.com\"] }";
    let gateway = Gateway::start(&Setup { route, more, ..PLAIN }.configuration(upstream.address));
    (upstream, gateway)
}

fn asked(gateway: &Gateway, target: &str, origin: &str) -> Response {
    gateway.send("GET", target, &[("Origin", origin)], b"")
}

/// Returns all values of a header, joined by commas; empty without the header.
fn all(response: &Response, name: &str) -> String {
    let values = response.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
}

/// Returns whether a browser lets a script read an answer (Fetch standard, section 4.10, CORS check).
fn may_read(response: &Response, origin: &str, with_credentials: bool) -> bool {
    let allowed = all(response, "access-control-allow-origin");
    let exact = allowed == origin && (!with_credentials || all(response, "access-control-allow-credentials") == "true");
    exact || (allowed == "*" && !with_credentials)
}

#[test]
fn preflights_are_answered_for_listed_origins() {
    let (upstream, gateway) = started(LISTED);
    let preflight = |target: &str, origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "authorization,x-tenant-id"),
        ];
        gateway.send("OPTIONS", target, &headers, b"")
    };
    for target in ["/users", "/users/?limit=3&cursor=x", "/other/path"] {
        let answer = preflight(target, APP);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{target}: {answer:?}");
        assert!(may_read(&answer, APP, target.starts_with("/users")), "{target}: {answer:?}");
        assert_eq!(all(&answer, "access-control-allow-headers"), "authorization, x-tenant-id", "{target}");
        assert!(all(&answer, "access-control-allow-methods").contains("DELETE"), "{target}");
        assert_eq!(all(&answer, "access-control-max-age"), "600", "{target}");
        assert_eq!(answer.header("content-length"), None, "{answer:?}");
        assert_eq!(all(&answer, "vary"), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
        let refused = preflight(target, EVIL);
        assert_eq!(refused.status, 204, "{target}: {refused:?}");
        assert_eq!(all(&refused, "access-control-allow-origin"), "", "{target}: {refused:?}");
        assert_eq!(all(&refused, "access-control-allow-methods"), "", "{target}: {refused:?}");
    }
    assert_eq!(upstream.count(), 0, "no preflight reaches the upstream");
    // A preflight does not end the connection.
    let mut connection = gateway.connect();
    for _ in 0..2 {
        let headers = [("Origin", APP), ("Access-Control-Request-Method", "GET")];
        assert_eq!(connection.request("OPTIONS", "/users", &headers, b"").expect("an answer").status, 204);
        assert_eq!(connection.request("GET", "/users", &[("Origin", APP)], b"").expect("a page").status, 200);
    }
    // Any other OPTIONS request is forwarded, and its answer has the CORS headers of the route.
    let options = gateway.send("OPTIONS", "/users", &[("Origin", APP)], b"");
    assert_eq!(upstream.requests().pop().expect("it was asked").method, "OPTIONS");
    assert!(may_read(&options, APP, true) && all(&options, "access-control-allow-methods").is_empty(), "{options:?}");
}

/// All answers, including errors and legacy answers, have CORS headers for listed origins, and none for other origins.
///
/// Row: A25
#[test]
fn every_answer_has_the_headers_of_the_origins_that_may_read_it() {
    let (_upstream, gateway) = started(LISTED);
    let page = asked(&gateway, "/users?cursor=start&limit=3", APP);
    let tag = page.header("etag").expect("a tag").to_owned();
    let unchanged =
        gateway.send("GET", "/users?cursor=start&limit=3", &[("Origin", APP), ("If-None-Match", &tag)], b"");
    assert_eq!(unchanged.status, 304, "{unchanged:?}");
    let answers = [
        ("a page", page),
        ("an unchanged page", unchanged),
        ("a problem", asked(&gateway, "/users?cursor=start&limit=abc", APP)),
        ("a cursor problem", asked(&gateway, "/users?cursor=~abc", APP)),
        ("an ambiguous path", asked(&gateway, "/%2Fusers", APP)),
        ("an old answer", asked(&gateway, "/users?offset=3", APP)),
        ("a POST", gateway.send("POST", "/users", &[("Origin", APP)], b"{}")),
    ];
    for (what, answer) in answers {
        assert!(may_read(&answer, APP, what != "an ambiguous path"), "{what}: {answer:?}");
        assert_eq!(all(&answer, "access-control-allow-origin"), APP, "once, and instead of the upstream's: {what}");
        assert!(all(&answer, "vary").contains("Origin"), "{what}: {answer:?}");
        let exposed = all(&answer, "access-control-expose-headers");
        for name in ["Link", "ETag", "Retry-After", "Deprecation", "Sunset", "Cursorgate-Level"] {
            assert!(exposed.contains(name), "{what}: {exposed}");
        }
    }
    // Origins are compared byte by byte: another port or another spelling is another origin.
    for origin in [EVIL, "null", "https://app.example.com:444", "HTTPS://APP.EXAMPLE.COM"] {
        for target in ["/users?cursor=start&limit=3", "/users?cursor=start&limit=abc", "/users?offset=3"] {
            let answer = asked(&gateway, target, origin);
            assert_eq!(all(&answer, "access-control-allow-origin"), "", "{origin} {target}: {answer:?}");
            assert_eq!(all(&answer, "access-control-expose-headers"), "", "{origin} {target}: {answer:?}");
            assert!(all(&answer, "vary").contains("Origin"), "{origin} {target}: caches are told: {answer:?}");
        }
    }
    assert!(all(&gateway.get("/users?cursor=start&limit=3"), "vary").contains("Origin"), "also who sends none");
    let twice = gateway.send("GET", "/users?cursor=start&limit=3", &[("Origin", APP), ("Origin", EVIL)], b"");
    assert_eq!(all(&twice, "access-control-allow-origin"), "", "{twice:?}");
}

/// With `*`, scripts of every origin may read answers, but not answers to requests with credentials.
///
/// Row: A25
#[test]
fn a_wildcard_allows_every_origin_without_credentials() {
    let (_upstream, gateway) = started(EVERYBODY);
    for target in ["/users?cursor=start&limit=3", "/users?cursor=start&limit=abc", "/users?offset=3"] {
        let answer = asked(&gateway, target, EVIL);
        assert!(may_read(&answer, EVIL, false) && !may_read(&answer, EVIL, true), "{target}: {answer:?}");
        assert_eq!(all(&answer, "access-control-allow-credentials"), "", "{target}: {answer:?}");
    }
    assert_eq!(asked(&gateway, "/users?offset=3", EVIL).status, 307, "a redirect can be followed");
    let headers = [("Origin", EVIL), ("Access-Control-Request-Method", "GET")];
    let preflight = gateway.send("OPTIONS", "/users", &headers, b"");
    assert_eq!(all(&preflight, "access-control-allow-origin"), "*");
    assert_eq!(all(&preflight, "access-control-max-age"), "3600");
    assert_eq!(all(&preflight, "access-control-allow-headers"), "", "no header was requested");
}

/// Without `cors` the upstream decides: its CORS headers and its answers to preflights are passed on.
///
/// Row: A25
#[test]
fn without_cors_the_upstream_decides() {
    let (upstream, gateway) = started(UPSTREAMS);
    let headers = [("Origin", EVIL), ("Access-Control-Request-Method", "GET")];
    let preflight = gateway.send("OPTIONS", "/users", &headers, b"");
    assert_eq!(upstream.requests().pop().expect("it was asked").method, "OPTIONS");
    assert_eq!(all(&preflight, "access-control-allow-methods"), "GET, PURGE", "{preflight:?}");
    assert_eq!(all(&preflight, "access-control-expose-headers"), "X-Total-Count", "untouched: {preflight:?}");
    let (_upstream, announcing) = started("old_clients = \"pass\"\nlegacy = { sunset = 2036-12-31 }");
    for (gateway, target, adds) in [
        (&gateway, "/users?cursor=start&limit=3", true),
        (&announcing, "/users?offset=3", true),
        // Nothing is added to this answer that scripts could read.
        (&gateway, "/users?offset=3", false),
    ] {
        let answer = asked(gateway, target, EVIL);
        assert_eq!(all(&answer, "access-control-allow-origin"), "https://old.example", "{target}: {answer:?}");
        let exposed = all(&answer, "access-control-expose-headers");
        assert!(exposed.starts_with("X-Total-Count, Link, ETag") || !adds, "{target}: {exposed}");
        assert!(exposed == "X-Total-Count" || adds, "{target}: {exposed}");
        assert!(!all(&answer, "vary").contains("Origin"), "{target}: {answer:?}");
    }
    let own = asked(&gateway, "/users?cursor=start&limit=abc", EVIL);
    assert_eq!(all(&own, "access-control-allow-origin"), "", "nobody said that it may be read: {own:?}");
}

/// The routes of a gateway with services: a list and a catch-all, each with a `cors`; empty for none.
fn with_services(of_list: &str, of_rest: &str, services: &str) -> (Upstream, Gateway, Directory) {
    let items = users(60);
    let upstream = Upstream::start(move |exchange| {
        let body = body(exchange, &items);
        let headers = [("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*")];
        exchange.reply("200 OK", &headers, body.as_bytes())
    });
    let directory = Directory::new();
    let text = Setup { route: "ROUTE", more: "MORE", ..PLAIN }.configuration(upstream.address);
    let route = format!("old_clients = \"pass\"\n{of_list}");
    let more = format!(
        "[routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n{of_rest}\n\
         [services]\n{services}\n[services.graphql]\n[services.bulk]\n[services.exports]\ndirectory = {:?}\n\
         [services.live]\nroutes = [\"users\"]\n[services.mcp]\n[services.contract]\ndocument = \"/openapi.json\"\n",
        directory.file("exports"),
    );
    let gateway = Gateway::start(&text.replace("ROUTE", &route).replace("MORE", &more));
    (upstream, gateway, directory)
}

/// Scripts of the origins of a list may use the services that read it, and no route answers a preflight for a service.
#[test]
fn services_have_the_policy_of_their_lists() {
    const OF_APP: &str = "cors = { origins = [\"https://app.example.com\"] }";
    const OF_ALL: &str = "cors = { origins = [\"*\"] }";
    let targets = [
        ("POST", "/graphql"),
        ("POST", "/bulk"),
        ("POST", "/users/exports"),
        ("GET", "/users/live"),
        ("GET", "/openapi.json"),
    ];
    // The third value has the services that scripts of the application may use: those in the sequence above.
    let cases = [
        (OF_APP, OF_APP, "", [true; 5]),
        (OF_APP, OF_ALL, "", [true, false, true, true, true]),
        ("", OF_APP, "", [false; 5]),
        ("", "", OF_APP, [true, true, false, false, true]),
        (OF_ALL, OF_ALL, "cors = { origins = [] }", [false, false, true, true, false]),
    ];
    for (of_list, of_rest, of_services, expected) in cases {
        let (upstream, gateway, _directory) = with_services(of_list, of_rest, of_services);
        for ((method, target), may) in targets.into_iter().zip(expected) {
            let case = format!("{of_list:?} {of_rest:?} {of_services:?} {target}");
            let headers = [
                ("Origin", APP),
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", "content-type"),
            ];
            let preflight = gateway.send("OPTIONS", target, &headers, b"");
            assert_eq!(preflight.status, if may { 204 } else { 403 }, "{case}: {preflight:?}");
            assert_eq!(may_read(&preflight, APP, false), may, "{case}: {preflight:?}");
            assert_eq!(upstream.count(), 0, "no preflight reaches the upstream: {case}");
        }
        let query = br#"{"query":"{ users(first: 2) { edges { node } } }"}"#;
        let operations = br#"{"operations":[{"method":"GET","path":"/users?cursor=start&limit=2"}]}"#;
        let bodies: [&[u8]; 3] = [query, operations, br#"{"format":"ndjson"}"#];
        for (place, body) in bodies.into_iter().enumerate() {
            let ((method, target), may) = (targets[place], expected[place]);
            let headers = [("Origin", APP), ("Content-Type", "application/json"), ("Authorization", "Bearer one")];
            let answer = gateway.send(method, target, &headers, body);
            assert!(answer.status < 300, "{target}: {answer:?}");
            assert_eq!(may_read(&answer, APP, false), may, "{of_list:?} {of_rest:?} {target}: {answer:?}");
            if target.ends_with("exports") {
                let result = format!("{}/result", answer.json()["statusUrl"].as_str().expect("a URL"));
                let path = result.find("/users").map(|at| &result[at..]).expect("a path");
                let download = || gateway.send("GET", path, &[("Origin", APP), ("Authorization", "Bearer one")], b"");
                let mut downloaded = download();
                for _ in 0..200 {
                    if downloaded.status == 200 {
                        break;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    downloaded = download();
                }
                assert_eq!((downloaded.status, may_read(&downloaded, APP, false)), (200, may), "{downloaded:?}");
            }
        }
        let tools = gateway.send("OPTIONS", "/mcp", &[("Origin", APP), ("Access-Control-Request-Method", "POST")], b"");
        assert_eq!(tools.status, 403, "the tools have origins of their own: {tools:?}");
    }
}
