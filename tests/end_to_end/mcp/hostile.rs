//! Tests of calls of tools that are wrong or fail: the gateway's problems become errors of tools, and clients see only
//! their own lists.

use std::thread;

use serde_json::{Value, json};

use super::{JSON, Tools, problem};
use crate::harness::rows::{Row, Rows};

#[test]
fn wrong_arguments_are_errors_that_say_what_to_write() {
    let tools = Tools::start(Rows::count(30), "", "");
    for (tool, arguments, code, word) in [
        ("list_users", json!({ "limit": "5" }), "limit_invalid", "1 to 100"),
        ("list_users", json!({ "limit": 0 }), "limit_invalid", "1 to 100"),
        ("list_users", json!({ "limit": 1.5 }), "limit_invalid", "1 to 100"),
        ("list_users", json!({ "limit": -1 }), "limit_invalid", "1 to 100"),
        ("list_users", json!({ "limit": 101 }), "limit_too_large", "100"),
        ("list_users", json!({ "limit": 99_999_999_999_u64 }), "limit_too_large", "100"),
        ("list_users", json!({ "cursor": 7 }), "parameter_invalid", "cursor"),
        ("list_users", json!({ "cursor": "made up" }), "cursor_invalid", "cursor"),
        ("list_users", json!({ "sort": "score" }), "parameter_invalid", "array"),
        ("list_users", json!({ "sort": ["note"] }), "sort_invalid", "-score"),
        ("list_users", json!({ "sort": [] }), "sort_invalid", "-score"),
        ("list_plain", json!({ "sort": ["id"] }), "sort_invalid", "one order"),
        ("list_users", json!({ "parity": "1" }), "parameter_invalid", "parity"),
        ("list_users", json!({ "parity": 1.5 }), "parameter_invalid", "parity"),
        ("list_users", json!({ "score__gte": [1] }), "parameter_invalid", "score__gte"),
        ("list_users", json!({ "offset": 7 }), "parameter_invalid", "score__gte"),
        ("list_users", json!({ "cursorgate.first": 7 }), "parameter_invalid", "limit, cursor"),
        ("list_team-users", json!({}), "parameter_invalid", "team"),
        ("list_team-users", json!({ "team": "" }), "parameter_invalid", "team"),
        ("list_team-users", json!({ "team": 7 }), "parameter_invalid", "team"),
        ("list_team-users", json!({ "team": ".." }), "request_invalid", "dot segment"),
        ("list_users", json!([]), "parameter_invalid", "object"),
    ] {
        let fault = tools.fault(tool, &arguments);
        assert_eq!(fault["code"], code, "{tool} {arguments}: {fault}");
        assert!(fault["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{tool} {arguments}: {fault}");
    }
    assert_eq!(tools.upstream.count(), 0, "no list was read");
    for params in [json!({ "name": "list_nothing" }), json!({}), json!({ "name": "export_users" })] {
        // A request without the name of a tool has no header for the name.
        let answer = tools.ask(&[], "tools/call", &params).json();
        assert_eq!(answer["error"]["code"], -32_602, "{params}: {answer}");
    }
}

#[test]
fn a_cursor_belongs_to_its_list() {
    let tools = Tools::start(Rows::count(30), "", "");
    let page = tools.call("list_users", &json!({ "limit": 5, "sort": ["id"], "parity": 1 }));
    let cursor = &page["nextCursor"];
    for (tool, arguments) in [
        ("list_plain", json!({ "cursor": cursor })),
        ("list_team-users", json!({ "cursor": cursor, "team": "a" })),
        ("list_users", json!({ "cursor": cursor })),
        ("list_users", json!({ "cursor": cursor, "sort": ["id"] })),
    ] {
        let fault = tools.fault(tool, &arguments);
        assert_eq!(fault["code"], "cursor_mismatch", "{tool} {arguments}: {fault}");
        assert_eq!(fault["advice"], "call again without `cursor`, to begin anew");
    }
    let text = cursor.as_str().expect("a cursor");
    let mut forged = text.to_owned();
    forged.replace_range(10..11, if &text[10..11] == "A" { "B" } else { "A" });
    let fault = tools.fault("list_users", &json!({ "cursor": forged, "sort": ["id"], "parity": 1 }));
    assert_eq!(fault["code"], "cursor_invalid", "{fault}");
}

/// Clients that call a tool at the same time each get the items of their own list.
///
/// Row: A22
#[test]
fn clients_see_their_own_lists() {
    let rows = Rows::count(5);
    for (client, first) in [("Bearer one", 1_000), ("Bearer two", 2_000)] {
        rows.change_of(client, |own| own.extend((first..first + 40).map(|id| Row::new(id, id))));
    }
    let tools = Tools::start(rows, "mode = \"keyset\"", "");
    let walk = |client: &str| {
        let (mut ids, mut cursor): (Vec<u64>, Value) = (Vec::new(), Value::Null);
        loop {
            let result =
                tools.call_as(&[("Authorization", client)], "list_users", &json!({ "limit": 3, "cursor": cursor }));
            let page = &result["structuredContent"];
            ids.extend(page["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()));
            cursor = page["nextCursor"].clone();
            if cursor.is_null() {
                return ids;
            }
        }
    };
    let walk = &walk;
    thread::scope(|scope| {
        let walks: Vec<_> = (0..8)
            .map(|number| {
                let first = if number % 2 == 0 { 1_000 } else { 2_000 };
                let client = if number % 2 == 0 { "Bearer one" } else { "Bearer two" };
                (first, scope.spawn(move || walk(client)))
            })
            .collect();
        for (first, walk) in walks {
            assert_eq!(walk.join().expect("a walk"), (first..first + 40).rev().collect::<Vec<u64>>());
        }
    });
    // A cursor gives no rights. It continues the list of the client that sends it.
    let one = tools.call_as(&[("Authorization", "Bearer one")], "list_users", &json!({ "limit": 2 }));
    let cursor = &one["structuredContent"]["nextCursor"];
    let other =
        tools.call_as(&[("Authorization", "Bearer two")], "list_users", &json!({ "limit": 2, "cursor": cursor }));
    let ids = other["structuredContent"]["items"].to_string();
    assert!(!ids.contains("\"id\":1"), "{ids}");
    assert_eq!(tools.call("list_users", &json!({}))["total"], 5, "without credentials");
}

/// The upstream gets the client's own headers, but no headers of the protocol (MCP).
#[test]
fn headers_of_mcp_are_not_forwarded_to_the_upstream() {
    let tools = Tools::start(Rows::count(3), "", "origins = [\"https://app.example.com\"]");
    let headers = [
        ("Authorization", "Bearer one"),
        ("X-Tenant", "a"),
        ("Origin", "https://app.example.com"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Session-Id", "s"),
        ("Mcp-Param-Limit", "7"),
        ("Cursorgate-Form", "connection"),
    ];
    tools.call_as(&headers, "list_users", &json!({}));
    let request = tools.upstream.requests().pop().expect("a request");
    assert_eq!((request.header("authorization"), request.header("x-tenant")), (Some("Bearer one"), Some("a")));
    assert_eq!(request.header("accept"), Some("application/json"));
    for name in [
        "origin",
        "mcp-session-id",
        "mcp-param-limit",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "cursorgate-form",
    ] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[test]
fn limits_and_refusals_are_errors_of_tools() {
    let limited = "rate_limit = { requests = 2, per = \"1h\" }";
    let tools = Tools::start(Rows::count(9), limited, "");
    tools.call("list_users", &json!({}));
    tools.call("list_users", &json!({}));
    let fault = tools.fault("list_users", &json!({}));
    assert_eq!(
        (&fault["code"], &fault["status"], &fault["retryable"]),
        (&json!("rate_limited"), &json!(429), &json!(true))
    );
    assert!(fault["retryAfterSeconds"].as_u64().is_some_and(|seconds| seconds > 0), "{fault}");
    assert!(fault["advice"].as_str().is_some_and(|advice| advice.contains("wait")), "{fault}");
    for (status, code, shown) in [
        ("401 Unauthorized", "credentials_refused", 401),
        ("403 Forbidden", "credentials_refused", 403),
        ("500 Internal Server Error", "upstream_unavailable", 502),
        ("404 Not Found", "page_refused", 404),
    ] {
        let tools =
            Tools::answering("", "", move |exchange| exchange.reply(status, &[JSON], br#"{"secret":"canary"}"#));
        let result = tools.call_as(&[], "list_users", &json!({}));
        let fault = problem(&result);
        assert_eq!((&fault["code"], &fault["status"]), (&json!(code), &json!(shown)), "{status}: {fault}");
        assert!(!result.to_string().contains("canary"), "{result}");
    }
}

#[test]
fn an_upstream_that_is_down_is_an_error_of_the_tool() {
    let Tools { gateway, upstream, directory } = Tools::start(Rows::count(9), "", "");
    drop(upstream);
    let nobody = crate::harness::upstream::Upstream::start(|exchange| exchange.reply("200 OK", &[], b""));
    let tools = Tools { gateway, upstream: nobody, directory };
    let fault = tools.fault("list_users", &json!({}));
    assert_eq!((&fault["code"], &fault["retryable"]), (&json!("upstream_unavailable"), &json!(true)), "{fault}");
    assert_eq!(tools.tools(&[]).len(), 3, "the tools are there all the same");
}
