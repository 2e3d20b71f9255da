//! Tests of the choice between several conventions of a route, and of the forms of errors.

use serde_json::{Value, json};

use crate::harness::{
    gateway::Gateway,
    http::{Response, encode},
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration},
    upstream::Upstream,
};

const CHOICE: &str = "envelopes = [\"relay\", \"jsonapi\", \"hal\", \"odata\"]\npage_size = { default = 3, max = 20 }";

fn start(rows: &Rows, route: &str) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, route));
    (upstream, gateway)
}

fn asked(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Response {
    gateway.send("GET", target, headers, b"")
}

/// Returns the name of the envelope that a body has, recognised by a member.
fn envelope(answer: &Response) -> &'static str {
    let body = answer.json();
    let members = [
        ("pagination", "standard"),
        ("edges", "relay"),
        ("jsonapi", "jsonapi"),
        ("_links", "hal"),
        ("value", "odata"),
        ("code", "problem"),
    ];
    members.into_iter().find(|(member, _)| body.get(*member).is_some()).map_or("none", |(_, name)| name)
}

/// Headers choose the envelope of a page, and never whether a request gets one. A legacy answer therefore has the `Vary`
/// of the service, and stays in caches.
#[test]
fn legacy_answers_vary_by_no_more_than_the_services() {
    let rows = Rows::count(9);
    let legacy = "old_clients = \"pass\"";
    for choice in [CHOICE, "page_size = { default = 3, max = 20 }"] {
        let (_upstream, gateway) = start(&rows, &format!("{BY_SCORE}\n{choice}\n{legacy}"));
        let passed = asked(&gateway, "/users?offset=2", &[]);
        assert_eq!((passed.status, passed.header("cursorgate-level")), (200, None), "{passed:?}");
        assert_eq!(passed.header("vary"), None, "{passed:?}");
    }
}

#[test]
fn a_client_chooses_by_media_type_or_by_preference() {
    let rows = Rows::count(9);
    let (_upstream, gateway) = start(&rows, &format!("{BY_SCORE}\n{CHOICE}"));
    const JSON_API: &str = "application/vnd.api+json";
    for (name, value, chosen, applied) in [
        ("X-Nothing", "", "standard", None),
        ("Prefer", "envelope=relay", "relay", Some("envelope=relay")),
        ("Prefer", "wait=1, Envelope=\"hal\"", "hal", Some("envelope=hal")),
        ("Prefer", "envelope=standard", "standard", Some("envelope=standard")),
        // A preference that can't be met is ignored (RFC 7240, section 2), unless the client requests strict handling
        // (section 4.4).
        ("Prefer", "envelope=drf", "standard", None),
        ("Prefer", "envelope=drf, handling=strict", "problem", None),
        ("Prefer", "envelope=relay, handling=strict", "relay", Some("envelope=relay")),
        ("Prefer", "envelope=odata, odata.maxpagesize=2", "odata", Some("envelope=odata, odata.maxpagesize=2")),
        ("Prefer", "odata.maxpagesize=2", "standard", None),
        ("Accept", JSON_API, "jsonapi", None),
        ("Accept", "application/vnd.api+json; profile=\"https://example.com/other\"", "jsonapi", None),
        ("Accept", "application/vnd.api+json, */*;q=0.1", "jsonapi", None),
        ("Accept", "application/json, text/plain, */*", "standard", None),
        ("Accept", "application/hal+json;q=0.8, application/json;q=0.5", "hal", None),
        ("Accept", "application/hal+json;q=0.5, application/json", "standard", None),
        ("Accept", "application/*", "standard", None),
        ("Accept", "application/json;q=0, application/*;q=0.5", "jsonapi", None),
        ("Accept", "application/json;odata.metadata=none", "odata", None),
        ("Accept", "text/html", "standard", None),
        ("Accept", "*/*;q=0", "standard", None),
        // JSON:API 1.1: "Servers MUST respond with 406 if all instances of that media type are modified by other
        // parameters."
        ("Accept", "application/vnd.api+json; charset=utf-8", "problem", None),
        ("Accept", "application/vnd.api+json; charset=utf-8, application/vnd.api+json", "jsonapi", None),
        ("Accept", "application/geo+json", "problem", None),
        ("Accept", "application/geo+json, text/html;q=0.5, */*;q=0.1", "standard", None),
    ] {
        let answer = asked(&gateway, "/users", &[(name, value)]);
        assert_eq!(envelope(&answer), chosen, "{name}: {value}: {answer:?}");
        assert_eq!(answer.header("preference-applied"), applied, "{name}: {value}");
        if chosen == "problem" {
            assert_eq!(answer.outcome(), "406 envelope_unknown", "{name}: {value}");
            let offered = json!(["standard", "relay", "jsonapi", "hal", "odata"]);
            assert_eq!(answer.json()["allowed"], offered, "{answer:?}");
        } else {
            let vary = answer.header("vary").expect("it varies").to_lowercase();
            assert!(vary.contains("accept") && vary.contains("prefer"), "{vary}");
        }
    }
    let both = asked(&gateway, "/users", &[("Prefer", "envelope=relay"), ("Accept", JSON_API)]);
    assert_eq!(envelope(&both), "relay", "what is named wins over what would do");
}

#[test]
fn a_route_without_a_choice_ignores_prefer_and_accept() {
    let (upstream, gateway) = start(&Rows::count(3), BY_SCORE);
    for (name, value) in [("Prefer", "envelope=relay, handling=strict"), ("Accept", "application/hal+json")] {
        let answer = asked(&gateway, "/users", &[(name, value)]);
        assert_eq!((answer.outcome().as_str(), envelope(&answer)), ("200", "standard"), "{name}: {value}");
        let vary = answer.header("vary").unwrap_or_default().to_lowercase();
        assert!(vary.split(", ").all(|named| named != "prefer" && named != "accept"), "{vary}");
    }
    drop(upstream);
}

/// Preferences that the gateway applies are not forwarded, and all other preferences are.
#[test]
fn preferences_are_followed_once() {
    let rows = Rows::count(9);
    let upstream = Upstream::start(move |exchange| {
        let preferred = exchange.request.header("prefer").unwrap_or("none").to_owned();
        assert_eq!(preferred, "count=exact");
        assert_eq!(
            exchange.request.header("accept"),
            Some("application/json"),
            "the envelope is not the upstream's matter"
        );
        rows.answer(exchange)
    });
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\n{CHOICE}")));
    let prefer = "envelope=odata, count=exact, odata.maxpagesize=2";
    let answer = asked(&gateway, "/users", &[("Prefer", prefer)]);
    assert_eq!(answer.json()["value"].as_array().map(Vec::len), Some(2), "{answer:?}");
    let by_type = [("Prefer", "count=exact"), ("Accept", "application/vnd.api+json, */*;q=0.1")];
    assert_eq!(envelope(&asked(&gateway, "/users", &by_type)), "jsonapi");
    // An invalid preferred size is ignored, and a too large one is lowered, both without an error.
    for (size, count, applied) in
        [("0", 3, None), ("x", 3, None), ("500", 9, Some("envelope=odata, odata.maxpagesize=20"))]
    {
        let prefer = format!("envelope=odata, count=exact, odata.maxpagesize={size}");
        let answer = asked(&gateway, "/users", &[("Prefer", &prefer)]);
        assert_eq!(answer.json()["value"].as_array().map(Vec::len), Some(count), "{answer:?}");
        assert_eq!(answer.header("preference-applied"), applied.or(Some("envelope=odata")), "{size}");
    }
}

/// A cursor from one envelope has the same position in every other envelope.
#[test]
fn cursors_lead_on_in_any_envelope() {
    let (_upstream, gateway) = start(&Rows::count(20), &format!("{BY_SCORE}\n{CHOICE}"));
    let prefer = |name: &'static str| [("Prefer", name)];
    let relay = asked(&gateway, "/users?first=3", &prefer("envelope=relay"));
    let edge = relay.json()["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned();
    let next = asked(&gateway, "/users", &[]).json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let first = |answer: &Response, place: &str| answer.json().pointer(place).cloned().unwrap_or(Value::Null);
    for cursor in [&edge, &next] {
        let cursor = encode(cursor.as_bytes());
        for (target, envelope, place) in [
            (format!("/users?cursor={cursor}"), "envelope=standard", "/data/0/id"),
            (format!("/users?after={cursor}&first=2"), "envelope=relay", "/edges/0/node/id"),
            (format!("/users?cursor={cursor}&size=2"), "envelope=hal", "/_embedded/users/0/id"),
            (format!("/users?%24skiptoken={cursor}"), "envelope=odata", "/value/0/id"),
        ] {
            let answer = asked(&gateway, &target, &prefer(envelope));
            assert_eq!(first(&answer, place), 17, "{target}: {answer:?}");
        }
        let answer = asked(&gateway, &format!("/users?page%5Bafter%5D={cursor}"), &prefer("envelope=jsonapi"));
        assert_eq!(first(&answer, "/data/0/id"), "17", "{answer:?}");
    }
}

/// The cursor of each item on a page leads to exactly the items after it and before it, in every mode.
#[test]
fn the_cursor_of_every_item_leads_on_and_back() {
    let filters = "filterable = [\"score\", \"id\"]";
    for (mode, route) in [
        ("offset", "order = [\"score\", \"id\"]\nmode = \"offset\"".to_owned()),
        (
            "keyset",
            format!("order = [\"score\", \"id\"]\nsortable = [\"score\", \"id\"]\n{filters}\nmode = \"keyset\""),
        ),
        ("seek", format!("order = [\"score\", \"id\"]\nsortable = [\"score\", \"id\"]\n{filters}\nmode = \"seek\"")),
        ("sealed", "order = [\"score\", \"id\"]\ncursor = { sealed = true }".to_owned()),
        ("anchored", String::new()),
    ] {
        // Three rows share each score, so there are tie runs.
        let rows = Rows::new((1..=30).map(|id| Row::new(id, id / 3)));
        let (_upstream, gateway) = start(&rows, &format!("{route}\nenvelope = \"relay\""));
        let nodes = |answer: &Response| -> Vec<u64> {
            assert_eq!(answer.outcome(), "200", "{mode}: {answer:?}");
            let body = answer.json();
            let edges = body["edges"].as_array().expect("edges");
            edges.iter().map(|edge| edge["node"]["id"].as_u64().expect("an id")).collect()
        };
        let from_eighth = gateway.get("/users?first=7").json()["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
        let page = gateway.get(&format!("/users?first=8&after={}", encode(from_eighth.as_bytes())));
        assert_eq!(nodes(&page), (8..=15).collect::<Vec<_>>(), "{mode}");
        let body = page.json();
        for (edge, id) in body["edges"].as_array().unwrap().iter().zip(8..) {
            let cursor = encode(edge["cursor"].as_str().expect("a cursor").as_bytes());
            let after = gateway.get(&format!("/users?first=4&after={cursor}"));
            assert_eq!(nodes(&after), (id + 1..=id + 4).collect::<Vec<_>>(), "{mode}, after {id}");
            let before = gateway.get(&format!("/users?last=4&before={cursor}"));
            assert_eq!(nodes(&before), (id - 4..id).collect::<Vec<_>>(), "{mode}, before {id}");
        }
    }
}

/// A list by token has no cursors of items, and its envelopes leave them out.
#[test]
fn items_of_a_list_by_token_have_no_cursors() {
    use crate::harness::rows::BY_TOKEN;
    let rows = Rows::count(9);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let route = "envelope = \"relay\"\nenvelopes = [\"jsonapi\"]\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\n\
                 upstream_path = \"{path}/tokens\"\npage_size = { default = 4 }";
    let gateway = Gateway::start(&configuration(upstream.address, BY_TOKEN, route));
    let warned = gateway.log().iter().any(|line| line.contains("no cursors of their own"));
    assert!(warned, "{:?}", gateway.log());
    let page = gateway.get("/users");
    let body = page.json();
    assert!(body["edges"].as_array().unwrap().iter().all(|edge| edge["cursor"].is_null()), "{body}");
    assert!(body["pageInfo"]["endCursor"].is_string(), "{body}");
    let page = asked(&gateway, "/users", &[("Accept", "application/vnd.api+json")]);
    let body = page.json();
    assert!(body["data"].as_array().unwrap().iter().all(|item| item.get("meta").is_none()), "{body}");
    assert!(body["links"]["next"].is_string(), "{body}");
}

#[test]
fn errors_have_the_form_of_their_route() {
    let rows = Rows::count(3);
    for (form, content_type, place) in [
        ("envelope", "application/vnd.api+json", "/errors/0/code"),
        ("problem", "application/problem+json", "/code"),
        ("jsonapi", "application/vnd.api+json", "/errors/0/code"),
        ("flat", "application/json", "/code"),
    ] {
        let route = format!("{BY_SCORE}\nenvelope = \"jsonapi\"\nerrors = \"{form}\"\nenvelopes = [\"standard\"]");
        let (upstream, gateway) = start(&rows, &route);
        let answer = gateway.get("/users?page%5Bafter%5D=x");
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("content-type"), Some(content_type), "{form}");
        assert_eq!(answer.json().pointer(place), Some(&json!("cursor_invalid")), "{form}: {answer:?}");
        if form == "flat" {
            let said = answer.json();
            assert_eq!((&said["statusCode"], &said["error"]), (&json!(400), &json!("Bad Request")), "{said}");
            assert!(said["message"].is_string() && said["restart"] == "/users", "{said}");
        }
        // Failures of the upstream are also reported in the form that `errors` names.
        drop(upstream);
        let failed = gateway.get("/users");
        assert_eq!((failed.status, failed.header("content-type")), (502, Some(content_type)), "{form}: {failed:?}");
        let chosen = asked(&gateway, "/users?cursor=x", &[("Prefer", "envelope=standard")]);
        let own = if form == "envelope" { "application/problem+json" } else { content_type };
        assert_eq!(chosen.header("content-type"), Some(own), "{form}");
        // An error for a path without a route is always a problem document.
        assert_eq!(gateway.get("/nothing").code(), "route_not_found", "{form}");
    }
}

/// An envelope in the configuration can do everything that a built-in one does.
#[test]
fn an_own_envelope_can_do_all_that_a_preset_does() {
    let own = r#"
[envelopes.ours]
content_type = "application/vnd.ours+json"
parameters = { limit = "prefer:page-size", after = "from", before = "to" }
headers = { X-Pages-On = "{has_next}" }
body = { kind = "{collection}", rows = [{ at = "{item.cursor}", of = "{item.id:string}", is = "{item.fields}" }], go = [{ rel = "next", href = "{links.next}" }, { rel = "prev", href = "{links.prev}" }] }
error_content_type = "application/vnd.ours.error+json"
error_types = { cursor_invalid = "lost", "406" = "tongue" }
error = { oops = "{type}", reason = "{reason}", phrase = "{phrase}", again = "{retryable}" }
"#;
    let rows = Rows::count(5);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let route = format!("{}\nenvelope = \"ours\"", BY_SCORE.replace("-score", "score"));
    let gateway = Gateway::start(&format!("{}\n{own}", configuration(upstream.address, BY_OFFSET, &route)));
    let answer = asked(&gateway, "/users", &[("Prefer", "page-size=2")]);
    let body = answer.json();
    let row = |at: usize| body["rows"][at]["of"].as_str().expect("an id").to_owned();
    assert_eq!((row(0), row(1), body["rows"].as_array().map(Vec::len)), ("1".into(), "2".into(), Some(2)), "{body}");
    assert_eq!(body["go"].as_array().map(Vec::len), Some(1), "what has no target is no link: {body}");
    assert_eq!(answer.header("x-pages-on"), Some("true"));
    let at = encode(body["rows"][0]["at"].as_str().expect("a cursor").as_bytes());
    let after = asked(&gateway, &format!("/users?from={at}"), &[("Prefer", "page-size=1")]).json();
    assert_eq!(after["rows"][0]["of"], "2", "{after}");
    assert_eq!(after["go"].as_array().map(Vec::len), Some(2), "{after}");
    let lost = gateway.get("/users?from=x");
    assert_eq!(lost.header("content-type"), Some("application/vnd.ours.error+json"));
    let said = json!({ "oops": "lost", "reason": "CURSOR_INVALID", "phrase": "Bad Request", "again": false });
    assert_eq!(lost.json(), said);
}
