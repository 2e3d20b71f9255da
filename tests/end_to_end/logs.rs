//! The log: one line for each request, and nothing in it that a client would not tell a stranger.

use crate::harness::{
    eventually,
    gateway::Gateway,
    list::{Setup, serve, users},
    upstream::{After, Upstream},
};

/// What no line may hold.
const CANARY: &str = "c4n4ry";

const ROUTES: Setup = Setup {
    upstream: "",
    route: "legacy = { policy = \"passthrough\", unmarked = \"new\" }",
    more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
};

#[test]
fn one_line_for_each_request_and_no_secret_in_any() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    let cursor = gateway.get("/users?limit=5").json()["pagination"]["nextCursor"].as_str().expect("a page").to_owned();
    let mut requests = 1;
    let mut ask = |method: &str, target: &str| {
        let secrets = [
            ("Authorization", format!("Bearer {CANARY}")),
            ("Cookie", format!("session={CANARY}")),
            ("X-Api-Key", CANARY.to_owned()),
            ("User-Agent", format!("agent {CANARY}")),
            ("Referer", format!("https://a.example/?q={CANARY}")),
        ];
        let headers = secrets.each_ref().map(|(name, value)| (*name, value.as_str()));
        requests += 1;
        gateway.send(method, target, &headers, b"")
    };
    let query = format!("email={CANARY}@example.com&q={CANARY}");
    for (method, target, outcome) in [
        ("GET", format!("/users?limit=5&{query}"), "200"),
        ("HEAD", format!("/users?limit=5&{query}"), "200"),
        ("GET", format!("/users?limit=5&cursor={cursor}"), "200"),
        ("GET", format!("/users?limit=5&cursor={CANARY}"), "400 cursor_invalid"),
        ("GET", format!("/users?limit=5&cursor={cursor}&{query}"), "400 cursor_mismatch"),
        ("GET", format!("/users?limit={CANARY}"), "400 limit_invalid"),
        ("GET", format!("/users?sort={CANARY}"), "400 sort_invalid"),
        ("GET", format!("/users?offset=3&{query}"), "200"),
        ("POST", format!("/users?{query}"), "200"),
        ("GET", format!("/rest/a?{query}"), "200"),
        ("GET", format!("/nothing?{query}"), "404 route_not_found"),
    ] {
        let response = ask(method, &target);
        let told = if method == "HEAD" { response.status.to_string() } else { response.outcome() };
        assert_eq!(told, outcome, "{method} {target}: {response:?}");
    }

    // Where the upstream fails, more is said, and still no secret.
    upstream.answer(|exchange| exchange.reply("500 Oops", &[], format!("trace with {CANARY}").as_bytes()));
    assert_eq!(ask("GET", &format!("/users?{query}&limit=5")).outcome(), "502 upstream_unavailable");
    upstream.answer(|exchange| exchange.reply("200 OK", &[], format!("<html>{CANARY}").as_bytes()));
    assert_eq!(ask("GET", &format!("/users?{query}&limit=5")).outcome(), "502 upstream_malformed");
    upstream.answer(|_| Ok(After::Reset));
    assert_eq!(ask("GET", &format!("/users?{query}&limit=5")).outcome(), "502 upstream_unavailable");
    assert_eq!(ask("GET", &format!("/rest/a?{query}")).status, 502);
    drop(upstream);
    assert!(ask("GET", &format!("/rest/b?{query}")).status >= 502);

    let lines = eventually("every request has its line", || {
        let lines = gateway.access_log();
        (lines.len() >= requests).then_some(lines)
    });
    assert_eq!(lines.len(), requests, "one line each: {lines:#?}");
    let log = gateway.log().join("\n");
    assert!(!log.contains(CANARY), "{log}");
    assert!(!log.contains(&cursor), "{log}");

    // Lines are written when their requests are done with, which is after the answer: not always in their order.
    let page = lines.iter().find(|line| line["method"] == "HEAD").expect("it was asked");
    assert_eq!(page["status"], 200, "{page}");
    assert_eq!((page["path"].as_str(), page["route"].as_str()), (Some("/users"), Some("users")), "{page}");
    assert!(page["request_id"].is_string() && page["upstream_requests"].is_u64(), "{page}");
    let refused = lines.iter().find(|line| line["code"] == "cursor_invalid").expect("refusals have their code");
    assert_eq!(refused["upstream_requests"], 0, "{refused}");
}

/// What a client is told carries the id under which the log has the rest.
#[test]
fn problems_and_log_share_the_request_id() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    upstream.answer(|exchange| exchange.reply("500 Oops", &[], b"internal.host:5432 refused"));
    let response = gateway.get("/users?limit=5");
    let problem = response.json();
    assert!(!response.text().contains("internal.host"), "no word of the upstream's reaches the client: {problem}");
    assert_eq!(problem["retryable"], true, "{problem}");
    let id = problem["request_id"].as_str().expect("an id").to_owned();
    eventually("its line", || gateway.access_log().into_iter().find(|line| line["request_id"] == id.as_str()));
}
