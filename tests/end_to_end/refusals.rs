//! Tests of refusals because of configurations that are wrong but load. The log has the evidence and the key to check,
//! and a warning once for each route.

use std::io;

use serde_json::Value;

use crate::{
    clients,
    harness::{
        eventually,
        gateway::Gateway,
        http::Response,
        upstream::{After, Exchange, Upstream},
    },
};

/// Answers as an API by page number with 100 people. A page has `per_page` people, at most 50, and 25 by default; the
/// first page is 1.
fn people(exchange: &mut Exchange) -> io::Result<After> {
    let number = |name, otherwise| exchange.request.parameter(name).map_or(otherwise, |text| text.parse().unwrap_or(0));
    let (page, size) = (number("page", 1_usize), number("per_page", 25_usize).min(50));
    let from = page.checked_sub(1).map_or(100, |page| (page * size).min(100));
    let items: Vec<String> = (from..(from + size).min(100))
        .map(|id| format!(r#"{{"id":{},"state":"{}","secret":"c4n4ry"}}"#, id + 1, ["new", "open", "done"][id / 34]))
        .collect();
    let body = format!(r#"{{"data":[{}],"meta":{{"total":100}}}}"#, items.join(","));
    exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
}

fn configuration(upstream: &Upstream, route: &str, dialect: &str) -> String {
    format!(
        r#"
[upstreams.people]
peers = ["{}"]

[routes.people]
path = "/people"
upstream = "people"
dialect = "people"
page_size = {{ default = 20, max = 100 }}
{route}

[dialects.people]
{dialect}
"#,
        upstream.address
    )
}

const SOUND: &str = "request = { query = \"page={page}&per_page={size}\", first_page = 1 }\nsize = { max = 50 }\n\
                     response = { items = \"/data\", total = \"/meta/total\" }";

/// Sends a request, and returns its answer and its line of the access log.
fn asked(gateway: &Gateway, target: &str) -> (Response, Value) {
    let response = gateway.get(target);
    let id = response.header("x-request-id").expect("an id").to_owned();
    let line =
        eventually("its line", || gateway.access_log().into_iter().find(|line| line["request_id"] == id.as_str()));
    (response, line)
}

fn warnings(gateway: &Gateway) -> Vec<Value> {
    let lines = gateway.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| line["target"] == "cursorgate::refusals").collect()
}

/// Follows `next` until a request is refused or the list ends. Returns the last answer with its line of the access log.
fn walked(gateway: &Gateway, first: &str) -> (Response, Value) {
    let mut target = first.to_owned();
    for _ in 0..50 {
        let (response, line) = asked(gateway, &target);
        let next = if response.status == 200 { response.link("next") } else { None };
        match next {
            Some(next) => target = next,
            None => return (response, line),
        }
    }
    panic!("the list has no end");
}

#[test]
fn a_refusal_is_logged_with_its_evidence_and_the_key_to_check() {
    let upstream = Upstream::start(people);
    let ids = "order = [\"id\"]";
    let offset = "request = { query = \"offset={offset}&per_page={size}\" }\nsize = { max = 50 }\n\
                  response = { items = \"/data\", total = \"/meta/total\" }";
    for (dialect, target, outcome, seen) in [
        (
            SOUND.replace("per_page=", "page_size="),
            "/people?limit=40",
            "502 upstream_malformed",
            &["got 25 both times", "does the upstream take `page_size`?"][..],
        ),
        (
            SOUND.replace("page={page}", "p={page}"),
            "/people?limit=20",
            "502 upstream_stuck",
            &["gave the same items", "is `p` the name of the page parameter?"],
        ),
        (
            offset.to_owned(),
            "/people?limit=20",
            "502 upstream_stuck",
            &["the offsets ", "is `offset` the name of the parameter", "does the upstream count items and not pages?"],
        ),
        (
            SOUND.replace("items = \"/data\"", "items = \"/items\""),
            "/people?limit=20",
            "502 upstream_malformed",
            &["no array at \"/items\"", "whose members are data, meta"],
        ),
    ] {
        let gateway = Gateway::start(&configuration(&upstream, ids, &dialect));
        let (response, line) = walked(&gateway, target);
        assert_eq!(response.outcome(), outcome, "{dialect}: {response:?}\n{line}");
        assert_eq!(response.json()["retryable"], response.status == 503, "{response:?}");
        let detail = line["detail"].as_str().unwrap_or_default();
        for said in seen {
            assert!(detail.contains(said), "{said}: {detail}");
        }
        walked(&gateway, target);
        let warnings = warnings(&gateway);
        assert_eq!(warnings.len(), 1, "each kind is told once: {warnings:?}");
        assert_eq!((warnings[0]["level"].as_str(), warnings[0]["route"].as_str()), (Some("WARN"), Some("people")));
        assert_eq!(warnings[0]["detail"], line["detail"], "{warnings:?}");
        assert!(warnings[0]["hint"].is_string(), "{warnings:?}");
        let log = gateway.log().join("\n");
        assert!(!log.contains("c4n4ry"), "{log}");
        assert!(!response.text().contains("page_size"), "the client is told no key: {response:?}");
    }
}

/// If the upstream's first page has a larger number than declared, the page before it is empty, and no item is lost.
#[test]
fn a_walk_over_pages_whose_numbers_begin_later_is_complete() {
    let upstream = Upstream::start(people);
    let gateway = Gateway::start(&configuration(
        &upstream,
        "order = [\"id\"]",
        &SOUND.replace("first_page = 1", "first_page = 0"),
    ));
    let (mut ids, mut target) = (Vec::new(), Some("/people?limit=20".to_owned()));
    while let Some(asked) = target {
        let page = gateway.get(&asked);
        assert_eq!(page.outcome(), "200", "{page:?}");
        ids.extend(page.json()["data"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()));
        target = page.link("next");
    }
    assert_eq!(ids, (1..=100).collect::<Vec<u64>>());
}

/// If more items are equal than an answer contains, and their order differs between queries, the log names the field
/// and the number of these items.
#[test]
fn a_run_of_ties_is_logged_with_its_field_and_its_length() {
    let (_upstream, gateway) = ties("standard");
    let (response, line) = walked(&gateway, "/people?limit=20");
    assert_eq!(response.outcome(), "422 tie_run", "{response:?} {line}");
    let detail = line["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("at least 50 items have the same `state`"), "{line}");
    assert!(!detail.contains("open"), "no value is told: {line}");
}

/// Octokit takes any 409 for the end of a list, so no page is refused with it.
#[test]
fn octokit_reports_a_refused_page() {
    let (_upstream, gateway) = ties("bare");
    let output = clients::output("octokit.mjs", &[&gateway.url(""), "20", "bare", "/people"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("status: 422"), "{output:?}");
}

/// An upstream's 409 after the first page would be the end of the list to Octokit, so it doesn't pass.
#[test]
fn octokit_reports_a_conflict_within_a_list() {
    let upstream = Upstream::start(|exchange: &mut Exchange| match exchange.request.parameter("page") {
        Some("1") => people(exchange),
        _ => exchange.reply("409 Conflict", &[], b"{\"message\":\"busy\"}"),
    });
    let gateway = Gateway::start(&configuration(&upstream, "order = [\"id\"]\nenvelope = \"bare\"", SOUND));
    let output = clients::output("octokit.mjs", &[&gateway.url(""), "20", "bare", "/people"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("status: 502"), "{output:?}");
}

/// Starts a gateway before a list of 200 items with equal sort keys, whose order changes with the size of the answer.
fn ties(envelope: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|exchange: &mut Exchange| {
        let number =
            |name, otherwise| exchange.request.parameter(name).map_or(otherwise, |text| text.parse().unwrap_or(0));
        let (page, size) = (number("page", 1_usize), number("per_page", 25_usize).min(50));
        let from = ((page - 1) * size).min(200);
        // Ties have another order with each size.
        let items: Vec<String> = (from..(from + size).min(200))
            .map(|at| format!(r#"{{"id":{},"state":"open"}}"#, (at * 7 + size) % 200))
            .collect();
        let body = format!(r#"{{"data":[{}],"meta":{{"total":200}}}}"#, items.join(","));
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let sorts = format!(
        "{SOUND}\nsort = {{ query = \"sort={{direction}}{{field}}\", ascending = \"\", descending = \"-\", max_keys = 1 }}"
    );
    let route = format!("order = [\"state\", \"id\"]\nenvelope = \"{envelope}\"");
    let gateway = Gateway::start(&configuration(&upstream, &route, &sorts));
    (upstream, gateway)
}

/// A fact that the dialect declares and that no answer has is logged once.
#[test]
fn a_missing_total_is_logged_once() {
    let upstream = Upstream::start(people);
    let dialect = SOUND.replace("/meta/total", "/meta/count");
    let gateway = Gateway::start(&configuration(&upstream, "order = [\"id\"]", &dialect));
    let (response, _) = walked(&gateway, "/people?limit=20");
    assert_eq!(response.status, 200, "{response:?}");
    let warnings = warnings(&gateway);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["message"], "there is nothing at the place that response.total names", "{warnings:?}");
}

/// The first failure of an upstream is logged as a warning, and so is the first one after a reload with a new
/// configuration.
#[test]
fn failures_of_the_upstream_are_warned_of_once_for_each_configuration() {
    let upstream = Upstream::start(|_: &mut Exchange| Ok(After::Close));
    let gateway = Gateway::start(&configuration(&upstream, "order = [\"id\"]", SOUND));
    for _ in 0..3 {
        let (response, line) = asked(&gateway, "/people");
        assert_eq!(response.outcome(), "502 upstream_unavailable", "{response:?}");
        let detail = line["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("closed the connection"), "{line}");
    }
    assert_eq!(warnings(&gateway).len(), 1, "{:?}", warnings(&gateway));
    gateway.signal("HUP");
    eventually("the reload", || {
        let sample = "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}";
        (gateway.metric(sample) == Some(1)).then_some(())
    });
    asked(&gateway, "/people");
    assert_eq!(warnings(&gateway).len(), 2, "{:?}", warnings(&gateway));
}

/// Answers as a list by token with 100 people. `kind` is its fault.
fn by_token(exchange: &mut Exchange, kind: &str) -> io::Result<After> {
    let number = |name| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let (size, token) = (number("limit").unwrap_or(20).min(20), number("cursor").unwrap_or(0));
    let from = match kind {
        "deaf" => 0,
        // The item that was asked for is the first one again.
        "inclusive" => token.saturating_sub(1),
        _ => token,
    };
    let end = (from + size).min(100);
    let items: Vec<String> = (from..end).map(|id| format!(r#"{{"id":{},"secret":"c4n4ry"}}"#, id + 1)).collect();
    let next = match kind {
        "round" if end >= 60 => "\"20\"".to_owned(),
        "lacking" if end >= 40 => "null".to_owned(),
        _ => format!("\"{end}\""),
    };
    let body = format!(r#"{{"data":[{}],"next":{next},"more":{}}}"#, items.join(","), end < 100);
    exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
}

#[test]
fn a_refusal_by_token_names_the_requests_and_what_their_answers_share() {
    let tokens = "request = { query = \"cursor={token}&limit={size}\" }\nsize = { max = 20 }\n\
                  response = { items = \"/data\", next_token = \"/next\", has_more = \"/more\" }";
    let vouched = &tokens.replace("\"/more\"", "\"/more\", end = \"flag\"");
    let items = "request = { query = \"cursor={after}&limit={size}\" }\nsize = { max = 20 }\n\
                 response = { items = \"/data\", has_more = \"/more\", end = \"flag\" }";
    let mut faults = Vec::new();
    for (kind, dialect, target, said) in [
        (
            "deaf",
            tokens,
            "/people?limit=50",
            &["request 1 (without a token)", "request 2 (with the token of answer 1)"][..],
        ),
        ("deaf", tokens, "/people?limit=50", &["begin with the same item, the first one of the list", "`cursor`"]),
        (
            "deaf",
            tokens,
            "/people?limit=20",
            &["the token with which it was requested", "response.next_token", "`cursor`"],
        ),
        ("round", tokens, "/people?limit=100", &["the token", "lead round"]),
        ("lacking", vouched, "/people?limit=50", &["request 2", "has no token for them", "response.next_token"]),
        ("inclusive", items, "/people?limit=50", &["begins with that item", "request.after_inclusive = true"]),
    ] {
        let upstream = Upstream::start(move |exchange| by_token(exchange, kind));
        let gateway = Gateway::start(&configuration(&upstream, "order = [\"id\"]", dialect));
        let (response, line) = walked(&gateway, target);
        let detail = line["detail"].as_str().unwrap_or_default();
        if response.outcome() != "502 upstream_stuck" || !said.iter().all(|said| detail.contains(said)) {
            faults.push(format!("{kind}, {target}: {} {detail}\n", response.outcome()));
        }
        assert!(!gateway.log().join("\n").contains("c4n4ry"));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// If other answers begin with other items, the upstream reads the parameter for the place, so its name is not in doubt.
#[test]
fn a_refusal_names_what_the_answers_have_in_common() {
    let upstream = Upstream::start(|exchange| {
        let number = |name| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let (size, from) = (number("limit").unwrap_or(20).min(50), number("offset").unwrap_or(0).min(100));
        let items: Vec<String> = (from..(from + size).min(257)).map(|id| format!(r#"{{"id":{}}}"#, id + 1)).collect();
        let body = format!(r#"{{"data":[{}],"total":257}}"#, items.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let dialect = "request = { query = \"offset={offset}&limit={size}\" }\nsize = { max = 50 }\n\
                   response = { items = \"/data\", total = \"/total\" }";
    let gateway = Gateway::start(&configuration(&upstream, "order = [\"id\"]", dialect));
    let (response, line) = walked(&gateway, "/people?limit=20");
    let detail = line["detail"].as_str().unwrap_or_default();
    assert_ne!(response.status, 200, "{response:?}");
    assert!(detail.contains("begin with the same item, and others with other items"), "{detail}");
    assert!(detail.contains("request.max_offset") && !detail.contains("the name of the parameter"), "{detail}");
}
