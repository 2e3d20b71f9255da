//! Tests of both eras of the protocol, byte by byte: versions, headers, errors.

use serde_json::{Value, json};

use super::{JSON, Tools, VERSION, modern};
use crate::harness::rows::Rows;

/// A function that changes the message and the headers of a request.
type RequestChange<'a> = dyn Fn(&mut Value, &mut Vec<(&'static str, String)>) + 'a;

fn legacy(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params })
}

#[test]
fn an_mcp_client_of_an_old_version_is_initialized_without_a_session() {
    let tools = Tools::start(Rows::count(3), "", "");
    for (asked, spoken) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("unheard of", "2025-11-25"),
    ] {
        let info =
            json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer = tools.post(&[], &legacy("initialize", &info));
        let result = &answer.json()["result"];
        assert_eq!((answer.status, &result["protocolVersion"]), (200, &json!(spoken)), "{asked}");
        assert_eq!(
            (&result["serverInfo"]["name"], &result["capabilities"]),
            (&json!("cursorgate"), &json!({ "tools": {} }))
        );
        assert!(result["instructions"].as_str().is_some_and(|text| text.contains("nextCursor")));
        assert_eq!(answer.header("mcp-session-id"), None);
    }
    let spoken = ("MCP-Protocol-Version", "2025-06-18");
    let begun = tools.post(&[spoken], &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!((begun.status, begun.body.len()), (202, 0));
    let pong = tools.post(&[spoken], &legacy("ping", &json!({})));
    assert_eq!(pong.json(), json!({ "jsonrpc": "2.0", "id": "a", "result": {} }));
    // The header of the version may be missing: older clients don't send it.
    for headers in [&[spoken][..], &[], &[("Mcp-Session-Id", "made-up"), ("Last-Event-ID", "7")]] {
        let listed = tools.post(headers, &legacy("tools/list", &json!({}))).json();
        assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(3), "{listed}");
        assert!(listed["result"].get("ttlMs").is_none() && listed["result"].get("resultType").is_none(), "{listed}");
        let called = tools.post(headers, &legacy("tools/call", &json!({ "name": "list_users" }))).json();
        assert_eq!((&called["id"], &called["result"]["isError"]), (&json!("a"), &json!(false)), "{called}");
        assert!(called["result"].get("resultType").is_none(), "{called}");
    }
    let unknown = tools.post(&[spoken], &legacy("resources/list", &json!({})));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (200, &json!(-32_601)));
    let without = tools.post(&[], &legacy("initialize", &json!({})));
    assert_eq!((without.status, &without.json()["error"]["code"]), (200, &json!(-32_602)));
}

#[test]
fn an_mcp_client_of_the_new_version_needs_no_initialization() {
    let tools = Tools::start(Rows::count(3), "", "");
    let found = tools.ask(&[], "server/discover", &json!({})).json()["result"].take();
    assert_eq!(found["supportedVersions"], json!([VERSION, "2025-11-25", "2025-06-18"]));
    assert_eq!((&found["resultType"], &found["capabilities"]), (&json!("complete"), &json!({ "tools": {} })));
    assert!(found["ttlMs"].is_u64() && found["cacheScope"] == "private", "{found}");
    let server = "io.modelcontextprotocol/serverInfo";
    let listed = tools.ask(&[], "tools/list", &json!({})).json()["result"].take();
    let called = tools.call_as(&[], "list_users", &json!({}));
    for result in [&found, &listed, &called] {
        assert_eq!(
            (&result["resultType"], &result["_meta"][server]["name"]),
            (&json!("complete"), &json!("cursorgate"))
        );
    }
    assert!(listed["ttlMs"].is_u64() && listed["cacheScope"] == "private", "{listed}");
    for method in ["ping", "initialize", "resources/list", "subscriptions/listen", "nothing"] {
        let answer = tools.ask(&[], method, &json!({}));
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!(-32_601)), "{method}");
    }
}

#[test]
fn headers_have_to_match_their_message() {
    let tools = Tools::start(Rows::count(3), "", "");
    let call = json!({ "name": "list_users" });
    let outcome = |change: &RequestChange<'_>| {
        let (mut message, mut headers) = modern("tools/call", &call);
        change(&mut message, &mut headers);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = tools.post(&headers, &message);
        let body = answer.json();
        assert!(body["id"] == message["id"], "{body}");
        (answer.status, body["error"]["code"].clone(), body["error"]["data"].clone())
    };
    let meta = |message: &mut Value, name: &str, value: Value| message["params"]["_meta"][name] = value;
    const OWN: &str = "io.modelcontextprotocol/protocolVersion";
    let mismatch = (400, json!(-32_020), Value::Null);
    assert_eq!(outcome(&|_, headers| headers.retain(|(name, _)| *name != "MCP-Protocol-Version")), mismatch);
    assert_eq!(outcome(&|_, headers| headers.retain(|(name, _)| *name != "Mcp-Method")), mismatch);
    assert_eq!(outcome(&|_, headers| headers.retain(|(name, _)| *name != "Mcp-Name")), mismatch);
    assert_eq!(outcome(&|_, headers| headers[0].1 = "2025-11-25".to_owned()), mismatch);
    assert_eq!(outcome(&|_, headers| headers[1].1 = "tools/list".to_owned()), mismatch);
    assert_eq!(outcome(&|_, headers| headers[2].1 = "list_plain".to_owned()), mismatch);
    assert_eq!(outcome(&|_, headers| headers.push(("Mcp-Name", "list_users".to_owned()))), mismatch);
    let encoded = outcome(&|_, headers| headers[2].1 = "=?base64?bGlzdF91c2Vycw==?=".to_owned());
    assert_eq!(encoded.0, 200, "the name is encoded");
    let (status, code, data) = outcome(&|message, headers| {
        meta(message, OWN, json!("1900-01-01"));
        headers[0].1 = "1900-01-01".to_owned();
    });
    assert_eq!((status, &code), (400, &json!(-32_022)));
    assert_eq!(data, json!({ "requested": "1900-01-01", "supported": [VERSION, "2025-11-25", "2025-06-18"] }));
    let lacking = outcome(&|message, _| {
        message["params"]["_meta"] = json!({ OWN: VERSION });
    });
    assert_eq!((lacking.0, lacking.1), (400, json!(-32_602)), "clientCapabilities are needed");
    let bare = outcome(&|message, _| drop(message["params"]["_meta"].take()));
    assert_eq!((bare.0, bare.1), (400, json!(-32_602)), "the header says the era");
    let old = tools.post(&[("MCP-Protocol-Version", "2025-03-26")], &legacy("tools/list", &json!({})));
    assert_eq!((old.status, &old.json()["error"]["code"]), (400, &json!(-32_022)));
    assert_eq!(tools.upstream.count(), 2, "one call was right, and its page is the last one");
}

#[test]
fn malformed_messages_are_refused() {
    let tools = Tools::start(Rows::count(3), "", "");
    let list = legacy("tools/list", &json!({}));
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}1{}}}",
        "[".repeat(40),
        "]".repeat(40)
    );
    for (body, code) in [
        (format!("[{list},{list}]"), -32_600),
        ("[]".to_owned(), -32_600),
        ("7".to_owned(), -32_600),
        ("{".to_owned(), -32_700),
        ("nope".to_owned(), -32_700),
        (String::new(), -32_700),
        (deep, -32_600),
        (json!({ "id": 1, "method": "ping" }).to_string(), -32_600),
        (json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }).to_string(), -32_600),
        (json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }).to_string(), -32_600),
        (json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" }).to_string(), -32_600),
        (json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }).to_string(), -32_600),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": 7 }).to_string(), -32_600),
        (json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string(), -32_600),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [] }).to_string(), -32_602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":2}"#.to_owned(), -32_600),
    ] {
        let answer = tools.gateway.send("POST", "/mcp", &[JSON], body.as_bytes());
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(code)), "{body}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    // Ids are returned unchanged, regardless of their size. Two messages with the same id are two requests.
    for id in ["12345678901234567890123", "-7", "\"ü\\u0000\""] {
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
        for _ in 0..2 {
            let answer = tools.gateway.send("POST", "/mcp", &[JSON], body.as_bytes());
            assert!(answer.text().contains(&format!("\"id\":{id},")), "{answer:?}");
        }
    }
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(tools.post(&[], &note).status, 202);
    assert_eq!(tools.post(&[("MCP-Protocol-Version", "1.0")], &note).status, 400);
}

/// The method, the `Accept` header, the origin and the size of a request are checked.
///
/// Row: A25
#[test]
fn requests_over_http_are_checked() {
    let tools = Tools::start(Rows::count(3), "", "origins = [\"https://app.example.com\"]\nsize = \"1KiB\"");
    let ping = legacy("ping", &json!({}));
    for (method, headers) in
        [("GET", &[("Accept", "text/event-stream")][..]), ("DELETE", &[]), ("PUT", &[]), ("HEAD", &[])]
    {
        let answer = tools.gateway.send(method, "/mcp", headers, b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    for (accept, status) in [
        ("application/json, text/event-stream", 200),
        ("*/*", 200),
        ("application/json;q=0, text/event-stream", 406),
        ("text/event-stream", 406),
    ] {
        assert_eq!(tools.post(&[("Accept", accept)], &ping).status, status, "{accept}");
    }
    for (origin, outcome) in [
        ("https://app.example.com", "200"),
        ("https://app.example.com.evil.test", "403 origin_refused"),
        ("http://app.example.com", "403 origin_refused"),
        ("null", "403 origin_refused"),
        ("http://gateway.test", "403 origin_refused"),
    ] {
        // Even an origin that equals the `Host` is refused. If an attacker's name resolves to this address (DNS
        // rebinding), that name is both the origin of the attacker's page and the `Host`.
        assert_eq!(tools.post(&[("Origin", origin)], &ping).outcome(), outcome, "{origin}");
        let stream = tools.gateway.send("GET", "/mcp", &[("Origin", origin)], b"");
        assert_eq!(stream.status, if outcome == "200" { 405 } else { 403 }, "{origin}");
    }
    let two = [("Origin", "https://app.example.com"), ("Origin", "https://app.example.com")];
    assert_eq!(tools.post(&two, &ping).outcome(), "403 origin_refused");
    let large = legacy("ping", &json!({ "x": "x".repeat(2_000) }));
    assert_eq!(tools.post(&[], &large).outcome(), "413 body_too_large");
    let form = tools.gateway.send("POST", "/mcp", &[("Content-Type", "text/plain")], ping.to_string().as_bytes());
    assert_eq!(form.outcome(), "415 media_type_unsupported");
    assert_eq!(tools.gateway.send("POST", "/mcp/", &[JSON], b"{}").outcome(), "404 route_not_found");
}
