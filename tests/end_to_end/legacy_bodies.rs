//! Tests of legacy clients that request pages by POST, with the page number in the body.

use serde_json::{Value, json};

use crate::harness::{
    gateway::Gateway,
    http::{self, Response},
    upstream::Upstream,
};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];
const COUNT: u64 = 23;

/// Starts a search service, which reads filters and the page number from the body. Its answer contains the body as a
/// string.
fn service() -> Upstream {
    Upstream::start(|exchange| {
        let bytes = exchange.body()?;
        let asked: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if asked["filters"]["lang"] != "en" {
            return exchange.reply("422 Unprocessable Content", &[], b"");
        }
        let number = asked["page"]["number"].as_u64().unwrap_or(1);
        let size = asked["page"]["size"].as_u64().unwrap_or(5);
        let ids = ((number - 1) * size + 1)..=(number * size).min(COUNT);
        let items: Vec<Value> = ids.map(|id| json!({ "id": id })).collect();
        let body = json!({ "items": items, "total": COUNT, "asked": String::from_utf8_lossy(&bytes) });
        exchange.reply("200 OK", &JSON, body.to_string().as_bytes())
    })
}

fn started(old_clients: &str, parameters: &str) -> (Upstream, Gateway) {
    let upstream = service();
    let configuration = format!(
        r#"
[upstreams.search]
peers = ["{}"]

[routes.search]
path = "/search"
methods = ["POST"]
upstream = "search"
dialect = "searching"
order = ["id"]
fields = {{ id = {{ type = "number", nulls = "none" }} }}
page_size = {{ default = 20, max = 40 }}
{parameters}
{old_clients}

[dialects.searching.request]
method = "POST"
body = {{ page = {{ number = "{{page}}", size = "{{size}}" }} }}
[dialects.searching.size]
default = 5
max = 100
[dialects.searching.response]
items = "/items"
total = "/total"
"#,
        upstream.address
    );
    let gateway = Gateway::start(&configuration);
    (upstream, gateway)
}

fn post(gateway: &Gateway, body: &Value) -> Response {
    gateway.send("POST", "/search", &JSON, body.to_string().as_bytes())
}

fn ids(page: &Response, member: &str) -> Vec<u64> {
    let body = page.json();
    let items = body[member].as_array().unwrap_or_else(|| panic!("{page:?}"));
    items.iter().filter_map(|item| item["id"].as_u64()).collect()
}

/// Walks as a legacy client does, by page number, until a page has no items. Returns the ids.
fn walk(gateway: &Gateway, member: &str) -> Vec<u64> {
    let mut walked = Vec::new();
    for number in 1..=COUNT {
        let page = post(gateway, &json!({ "filters": { "lang": "en" }, "page": { "number": number, "size": 4 } }));
        assert_eq!(page.status, 200, "{page:?}");
        let ids = ids(&page, member);
        if ids.is_empty() {
            return walked;
        }
        walked.extend(ids);
    }
    panic!("the walk doesn't end: {walked:?}");
}

/// Returns the legacy requests that `/migration` counts.
fn counted(gateway: &Gateway) -> u64 {
    let report = http::get(gateway.admin, "/migration").json();
    report["routes"][0]["legacy"]["requests"].as_u64().unwrap_or_else(|| panic!("{report}"))
}

const IN_BODY: &str = "parameters = { limit = \"/limit\", cursor = \"/cursor\" }";
const SHARED: &str = "parameters = { limit = \"/page/size\", cursor = \"/page/cursor\" }";

#[test]
fn legacy_walks_by_post_continue_if_requests_pass_through() {
    for parameters in ["", IN_BODY, SHARED] {
        let (upstream, gateway) = started("old_clients = \"pass\"", parameters);
        assert_eq!(walk(&gateway, "items"), (1..=COUNT).collect::<Vec<_>>(), "{parameters}");
        let pages = upstream.count() as u64;
        assert_eq!(counted(&gateway), pages, "{parameters}");
        // The bodies are passed on as they were written.
        let written = b" {\"page\" : {\"number\": 2}, \"filters\":{\"lang\":\"\\u0065n\"}}\n";
        let passed = gateway.send("POST", "/search", &JSON, written);
        let direct = http::send(upstream.address, "POST", "/search", &JSON, written);
        assert_eq!(passed.body, direct.body, "{parameters}");
        assert_eq!(passed.json()["asked"], String::from_utf8_lossy(written).as_ref());
        let mut chunked = gateway.connect();
        let head = "POST /search HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        chunked.send(head.as_bytes()).expect("it is read");
        chunked
            .send(format!("{:x}\r\n{}\r\n0\r\n\r\n", written.len(), String::from_utf8_lossy(written)).as_bytes())
            .expect("it is read");
        assert_eq!(chunked.response("POST").expect("an answer").body, direct.body, "{parameters}");
        // Without a mark, a request without a page number is an old client's too.
        let page = post(&gateway, &json!({ "filters": { "lang": "en" } }));
        assert_eq!(ids(&page, "items").len(), 5, "{parameters}: {page:?}");
    }
}

#[test]
fn legacy_walks_by_post_continue_if_requests_are_translated() {
    for (parameters, continued) in [
        ("", None),
        (IN_BODY, Some(json!({ "filters": { "lang": "en" }, "limit": 4 }))),
        (SHARED, Some(json!({ "filters": { "lang": "en" }, "page": { "size": 4 } }))),
    ] {
        let (_upstream, gateway) = started("old_clients = \"translate\"", parameters);
        assert_eq!(walk(&gateway, "data"), (1..=COUNT).collect::<Vec<_>>(), "{parameters}");
        assert_eq!(counted(&gateway), 7, "{parameters}");
        // A new client can continue with the cursor from a legacy client's page, if it sends the same filters.
        let old = post(&gateway, &json!({ "filters": { "lang": "en" }, "page": { "number": 2, "size": 4 } }));
        let cursor = old.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned();
        let next = match continued {
            Some(mut body) if parameters == IN_BODY => {
                body["cursor"] = Value::from(cursor.as_str());
                post(&gateway, &body)
            }
            Some(mut body) => {
                body["page"]["cursor"] = Value::from(cursor.as_str());
                post(&gateway, &body)
            }
            None => gateway.send(
                "POST",
                &format!("/search?limit=4&cursor={cursor}"),
                &JSON,
                json!({ "filters": { "lang": "en" } }).to_string().as_bytes(),
            ),
        };
        assert_eq!(next.outcome(), "200", "{parameters}: {next:?}");
        assert_eq!(ids(&next, "data"), [9, 10, 11, 12], "{parameters}");
        for (body, outcome) in [
            (json!({ "filters": { "lang": "en" }, "page": { "number": 0 } }), "400 page_invalid"),
            (json!({ "filters": { "lang": "en" }, "page": { "number": [2] } }), "400 page_invalid"),
            (json!({ "filters": { "lang": "en" }, "page": { "number": "2" } }), "200"),
            (json!({ "filters": { "lang": "en" }, "page": { "number": null } }), "200"),
        ] {
            assert_eq!(post(&gateway, &body).outcome(), outcome, "{parameters}: {body}");
        }
        let both = format!("/search?cursor={cursor}");
        if parameters.is_empty() {
            let both = gateway.send("POST", &both, &JSON, br#"{"filters":{"lang":"en"},"page":{"number":2}}"#);
            assert_eq!(both.outcome(), "400 parameter_conflict", "{both:?}");
        }
    }
}

#[test]
fn old_clients_by_post_get_the_policy_of_the_route() {
    let old = json!({ "filters": { "lang": "en" }, "page": { "number": 2 } });
    for (old_clients, outcome) in [
        ("old_clients = \"reject\"", "410 legacy_rejected"),
        ("old_clients = \"pass\"\nlegacy = { sunset = 2026-01-15, after_sunset = \"reject\" }", "410 legacy_rejected"),
        ("old_clients = \"none\"", "400 parameter_invalid"),
        // A redirect can't put a cursor into a body, so the page itself is the answer.
        ("old_clients = \"redirect\"", "200"),
    ] {
        let (upstream, gateway) = started(old_clients, "");
        let answer = post(&gateway, &old);
        assert_eq!(answer.outcome(), outcome, "{old_clients}: {answer:?}");
        if answer.status != 200 {
            assert_eq!(upstream.count(), 0, "{old_clients}");
            // The body of a request that would pass isn't read, so its refusal names the parameter to send.
            let named = if old_clients.contains("pass") { "cursor" } else { "/page/number" };
            assert_eq!(answer.json()["parameter"], named, "{answer:?}");
            // The request has no cursor, so the detail does not advise to leave one out.
            let detail = answer.json()["detail"].as_str().map(str::to_owned).expect("a text");
            let told = "ask for the first page with `start` in `cursor`, and for each further one with its cursor";
            assert!((named == "cursor" || detail.contains("`/page/number`")) && detail.ends_with(told), "{detail}");
        }
        assert_eq!(counted(&gateway), 1, "{old_clients}");
    }
    // If requests without a page number count as legacy requests, so does a POST whose body has no page number.
    let (upstream, gateway) = started("old_clients = \"pass\"", IN_BODY);
    let first = post(&gateway, &json!({ "filters": { "lang": "en" } }));
    assert_eq!(ids(&first, "items"), [1, 2, 3, 4, 5], "{first:?}");
    assert_eq!(upstream.count(), 1);
    for more in [json!({ "limit": 3 }), json!({ "cursor": "abc" }), json!({ "cursor": 7, "limit": "x" })] {
        let mut body = json!({ "filters": { "lang": "en" } });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_eq!(post(&gateway, &body).json()["items"][0]["id"], 1, "{body}");
    }
    // What isn't an object, and what isn't JSON, has no mark either. The service judges it.
    for (media, body) in [("application/json", "[1]"), ("application/json", "{"), ("text/plain", "cursor=start")] {
        let before = upstream.count();
        let headers = [("Content-Type", media)];
        let passed = gateway.send("POST", "/search?page=2", &headers, body.as_bytes());
        assert_eq!(upstream.count(), before + 1, "{media} {body}");
        let direct = http::send(upstream.address, "POST", "/search?page=2", &headers, body.as_bytes());
        assert_eq!((passed.status, passed.body), (direct.status, direct.body), "{media} {body}");
    }
    let page = post(&gateway, &json!({ "filters": { "lang": "en" }, "limit": 3, "cursor": "start" }));
    assert_eq!(ids(&page, "data"), [1, 2, 3], "{page:?}");
    let next = page.json()["pagination"]["nextCursor"].clone();
    let page = post(&gateway, &json!({ "filters": { "lang": "en" }, "limit": 3, "cursor": next }));
    assert_eq!(ids(&page, "data"), [4, 5, 6], "{page:?}");
    // Beside a mark, the service's own size is the limit, and its page is a conflict, as in a query.
    let marked = |cursor: &Value, own: Value| {
        post(&gateway, &json!({ "filters": { "lang": "en" }, "cursor": cursor, "page": own }))
    };
    assert_eq!(ids(&marked(&json!("start"), json!({ "size": 2 })), "data"), [1, 2]);
    assert_eq!(ids(&marked(&next, json!({ "size": 2 })), "data"), [4, 5]);
    assert_eq!(marked(&next, json!({ "size": 0 })).outcome(), "400 limit_invalid");
    assert_eq!(marked(&next, json!({ "size": 2, "number": 3 })).outcome(), "400 parameter_conflict");
}
