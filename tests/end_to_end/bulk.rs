//! Tests of bulk requests: each operation is treated as a separate request, a few operations run at a time, and their
//! results are in order. A repetition with the same idempotency key runs no operation again.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http::{Connection, Response},
    http2::{self, DATA, END_HEADERS, END_STREAM, HEADERS},
    list::{PLAIN, Setup, body, users},
    metric,
    upstream::{After, Exchange, Gate, Upstream},
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A route that forwards the requests of operations.
const ORDERS: &str = "[routes.orders]\npath = \"/orders/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

/// The results of a bulk request, with their bodies unchanged.
#[derive(Deserialize)]
struct Results {
    results: Vec<Answered>,
    success: bool,
    summary: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    id: Option<String>,
    r#type: String,
    success: bool,
    status: Option<u16>,
    /// The operation of a failed result.
    operation: Option<Box<RawValue>>,
    #[serde(default)]
    headers: HashMap<String, String>,
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    body_base64: Option<String>,
    #[serde(default)]
    skipped: bool,
    #[serde(default)]
    body_omitted: bool,
}

impl Answered {
    fn body(&self) -> Value {
        self.body.as_ref().map_or(Value::Null, |body| serde_json::from_str(body.get()).expect("JSON"))
    }
}

fn results(response: &Response) -> Results {
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(&response.body).unwrap_or_else(|fault| panic!("{fault}: {}", response.text()))
}

fn statuses(response: &Response) -> Vec<Option<u16>> {
    results(response).results.iter().map(|result| result.status).collect()
}

/// Starts a gateway with bulk requests. `bulk` contains lines for the table `[services.bulk]`.
fn start(upstream: &Upstream, bulk: &str) -> Gateway {
    let more = format!("{ORDERS}\n[services.bulk]\n{bulk}\n");
    Gateway::start(&format!("{}{more}", PLAIN.configuration(upstream.address)))
}

fn post(gateway: &Gateway, headers: &[(&str, &str)], request: &Value) -> Response {
    gateway.send("POST", "/bulk", &[headers, &[JSON]].concat(), request.to_string().as_bytes())
}

/// Answers requests for the list, answers some paths in a special way, and echoes all other requests. A path with
/// `wait` is answered after the gate opens.
fn service(exchange: &mut Exchange, items: &[String], gate: &Gate) -> io::Result<After> {
    let path = exchange.request.path().to_owned();
    if path.contains("wait") {
        gate.wait();
    }
    match path.as_str() {
        "/users" => {
            let page = body(exchange, items);
            exchange.reply("200 OK", &[JSON], page.as_bytes())
        }
        "/orders/text" => exchange.reply("200 OK", &[("Content-Type", "text/plain")], b"a \"text\"\n"),
        "/orders/image" => exchange.reply("200 OK", &[("Content-Type", "image/png")], b"\x89PNG"),
        "/orders/empty" => exchange.reply("204 No Content", &[("ETag", "\"e\"")], b""),
        path if path.contains("fail") => exchange.reply("500 Internal Server Error", &[JSON], br#"{"message":"no"}"#),
        _ => {
            let sent = exchange.body()?;
            let request = &exchange.request;
            let echo = json!({
                "method": request.method,
                "target": request.target,
                "body": String::from_utf8_lossy(&sent),
                "headers": request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect::<HashMap<_, _>>(),
            });
            exchange.reply("200 OK", &[JSON], echo.to_string().as_bytes())
        }
    }
}

fn upstream() -> (Upstream, Gate) {
    let (items, gate) = (users(60), Gate::default());
    let held = gate.clone();
    (Upstream::start(move |exchange| service(exchange, &items, &held)), gate)
}

/// Returns operations by POST for these paths.
fn orders(paths: impl IntoIterator<Item = String>) -> Value {
    let operations: Vec<Value> =
        paths.into_iter().map(|path| json!({ "method": "POST", "path": path, "body": {} })).collect();
    json!({ "operations": operations })
}

#[test]
fn each_operation_is_answered_as_if_it_had_come_alone() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "");
    let credentials = ("Authorization", "Bearer one");
    let first = gateway.send("GET", "/users?limit=3", &[credentials], b"");
    let second = first.link("next").expect("a second page");
    let request = format!(
        r#"{{"operations":[
            {{"id":"one","method":"GET","path":"/users?limit=3"}},
            {{"id":"two","method":"GET","path":"{second}"}},
            {{"method":"HEAD","path":"/users?limit=3"}},
            {{"method":"PUT","path":"/orders/7?x=%20y","headers":{{"if-match":"\"v1\"","prefer":"wait=3"}},"body": {{"b" : 1.0,"a":[ ]}} }},
            {{"method":"PATCH","path":"/orders/8","headers":{{"content-type":"text/plain"}},"body":"plain \"text\""}},
            {{"method":"GET","path":"/orders/text"}},
            {{"method":"GET","path":"/orders/image"}},
            {{"method":"DELETE","path":"/orders/empty"}},
            {{"method":"GET","path":"/nowhere"}},
            {{"method":"GET","path":"/users?limit=none"}}
        ]}}"#
    );
    let headers = [JSON, credentials, ("X-Tenant", "t"), ("Idempotency-Key", "\"k\""), ("X-Request-Id", "mine")];
    let answer = gateway.send("POST", "/bulk", &headers, request.as_bytes());
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), (Some(JSON.1), Some("no-store")));
    let Results { results, summary, success } = results(&answer);
    assert!(
        !success && results.iter().all(|result| result.success == result.status.is_some_and(|status| status < 400))
    );
    let echoed: Vec<&str> = results.iter().filter_map(|result| Some(result.operation.as_ref()?.get())).collect();
    let failed = [r#"{"method":"GET","path":"/nowhere"}"#, r#"{"method":"GET","path":"/users?limit=none"}"#];
    assert_eq!(echoed, failed, "a failed operation is repeated");
    let found: Vec<u16> = results.iter().filter_map(|result| result.status).collect();
    assert_eq!(found, [200, 200, 200, 200, 200, 200, 200, 204, 404, 400], "{}", answer.text());
    for (result, target, id) in [(&results[0], "/users?limit=3", "one"), (&results[1], second.as_str(), "two")] {
        let alone = gateway.send("GET", target, &[credentials], b"");
        let body = result.body.as_ref().expect("a page");
        assert_eq!(body.get().as_bytes(), alone.body, "{target}: byte for byte");
        assert_eq!((result.id.as_deref(), result.r#type.as_str()), (Some(id), "GET users"));
        for name in ["etag", "link", "content-type", "cursorgate-level"] {
            assert_eq!(result.headers.get(name).map(String::as_str), alone.header(name), "{target}: {name}");
        }
    }
    assert!(results[2].body.is_none() && results[2].headers.contains_key("etag"), "HEAD");
    let put = results[3].body();
    assert_eq!((&put["target"], &put["body"]), (&json!("/orders/7?x=%20y"), &json!(r#"{"b" : 1.0,"a":[ ]}"#)));
    assert_eq!((&put["headers"]["if-match"], &put["headers"]["prefer"]), (&json!("\"v1\""), &json!("wait=3")));
    assert_eq!((&put["headers"]["authorization"], &put["headers"]["x-tenant"]), (&json!("Bearer one"), &json!("t")));
    assert_eq!((&put["headers"]["content-type"], &put["headers"]["idempotency-key"]), (&json!(JSON.1), &Value::Null));
    let patch = results[4].body();
    assert_eq!((&patch["body"], &patch["headers"]["content-type"]), (&json!("plain \"text\""), &json!("text/plain")));
    assert_eq!(results[5].body_text.as_deref(), Some("a \"text\"\n"));
    assert_eq!(results[6].body_base64.as_deref(), Some("iVBORw=="));
    assert!(results[7].body.is_none() && results[7].headers["etag"] == "\"e\"");
    assert_eq!((results[8].r#type.as_str(), &results[8].body()["code"]), ("GET", &json!("route_not_found")));
    assert_eq!(results[9].body()["code"], "limit_invalid");
    assert_eq!(
        (&summary["total"], &summary["successful"], &summary["failed"], &summary["skipped"]),
        (&json!(10), &json!(8), &json!(2), &json!(0))
    );
    let of_users = &summary["byType"]["GET users"];
    assert_eq!((&of_users["total"], &of_users["failed"]), (&json!(3), &json!(1)), "{summary}");
    let ids: Vec<&String> = results.iter().map(|result| &result.headers["x-request-id"]).collect();
    let log = eventually("all lines", || Some(gateway.access_log()).filter(|log| log.len() >= 14));
    for id in ids {
        assert_eq!(log.iter().filter(|line| line["request_id"] == id.as_str()).count(), 1, "{id}");
    }
    let own = log.iter().find(|line| line["path"] == "/bulk" && line["status"] == 200).expect("its own line");
    assert_eq!((&own["status"], &own["detail"]), (&json!(200), &json!("operations: 8 succeeded, 2 failed, 0 skipped")));
    assert_eq!(metric(&gateway, "cursorgate_requests_total{route=\"\",outcome=\"bulk\",status=\"2xx\"}"), 1);
    assert_eq!(metric(&gateway, "cursorgate_requests_total{route=\"users\",outcome=\"page\",status=\"2xx\"}"), 6);
}

#[test]
fn five_operations_run_at_a_time() {
    let (now, most, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Gate::default());
    let upstream = Upstream::start({
        let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), gate.clone());
        move |exchange| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            exchange.reply("200 OK", &[JSON], exchange.request.target.clone().as_bytes())
        }
    });
    let gateway = start(&upstream, "");
    let paths = (0..12).map(|number| json!({ "method": "GET", "path": format!("/orders/{number}") }));
    let request = json!({ "operations": paths.collect::<Vec<_>>() });
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| post(&gateway, &[], &request));
        eventually("five operations are under way", || (upstream.count() == 5).then_some(()));
        gate.open();
        asking.join().expect("an answer")
    });
    assert_eq!(most.load(Ordering::SeqCst), 5);
    let found: Vec<String> = results(&answer).results.into_iter().filter_map(|result| result.body_text).collect();
    assert_eq!(found, (0..12).map(|number| format!("/orders/{number}")).collect::<Vec<_>>(), "in order");
}

#[test]
fn stop_on_error_skips_the_operations_after_a_failure() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "at_once = 1");
    let mut request = orders(["/orders/1", "/orders/fail", "/orders/2", "/orders/3"].map(str::to_owned));
    assert_eq!(statuses(&post(&gateway, &[], &request)), [Some(200), Some(500), Some(200), Some(200)]);
    request["stopOnError"] = json!(true);
    let answer = post(&gateway, &[], &request);
    assert_eq!(statuses(&answer), [Some(200), Some(500), None, None]);
    let Results { results, summary, .. } = results(&answer);
    assert!(results[2].skipped && !results[2].success && results[2].operation.is_none());
    assert!(results[2].skipped && results[3].skipped && !results[1].skipped);
    assert_eq!(summary["byType"], json!({ "POST orders": { "total": 4, "successful": 1, "failed": 1, "skipped": 2 } }));
    assert_eq!(upstream.count(), 6);
}

/// The configuration says which method and path a type has, and the results are counted by type.
#[test]
fn an_operation_is_named_by_its_type() {
    let (upstream, _) = upstream();
    let types = r#"{ create = "POST /orders/new", update = "PATCH /orders/{order}/items/{item}" }"#;
    let gateway = start(&upstream, &format!("types = {types}"));
    let update = |parameters: Value| json!({ "type": "update", "parameters": parameters, "body": { "a": 1 } });
    let request = json!({ "operations": [
        { "id": "one", "type": "create", "body": { "name": "x" } },
        update(json!({ "order": "a/b c", "item": 12345678901234567890_u64 })),
        { "type": "create", "headers": { "prefer": "wait=3" } },
        { "method": "GET", "path": "/users?limit=1" },
    ] });
    let Results { results, summary, success } = results(&post(&gateway, &[], &request));
    let sent: Vec<_> =
        results[..3].iter().map(|result| (result.r#type.clone(), result.body()["target"].clone())).collect();
    let expected = [
        ("create", "/orders/new"),
        ("update", "/orders/a%2Fb%20c/items/12345678901234567890"),
        ("create", "/orders/new"),
    ];
    assert_eq!(sent, expected.map(|(kind, target)| (kind.to_owned(), json!(target))));
    assert_eq!((results[0].id.as_deref(), &results[1].body()["method"], success), (Some("one"), &json!("PATCH"), true));
    let counts = |total| json!({ "total": total, "successful": total, "failed": 0, "skipped": 0 });
    assert_eq!(summary["byType"], json!({ "create": counts(2), "update": counts(1), "GET users": counts(1) }));
    let asked = upstream.count();
    for (operation, place) in [
        (json!({ "type": "remove" }), "/operations/0/type"),
        (json!({ "type": "create", "path": "/users" }), "/operations/0"),
        (json!({ "type": "create", "parameters": { "id": 1 } }), "/operations/0/parameters"),
        (update(json!({ "order": 1 })), "/operations/0/parameters"),
        (update(json!({ "order": 1, "item": "" })), "/operations/0/parameters"),
        (update(json!({ "order": 1, "item": null })), "/operations/0/parameters"),
        (update(json!({ "order": 1, "item": 2, "more": 3 })), "/operations/0/parameters"),
        (update(json!({ "order": 1, "item": ".." })), "/operations/0/path"),
    ] {
        let refused = post(&gateway, &[], &json!({ "operations": [operation] }));
        assert_eq!(
            (refused.outcome(), &refused.json()["parameter"]),
            ("400 operation_invalid".to_owned(), &json!(place))
        );
    }
    assert_eq!(upstream.count(), asked);
}

const LINES: (&str, &str) = ("Content-Type", "application/x-ndjson");
const AS_LINES: (&str, &str) = ("Accept", "application/x-ndjson");

/// Returns the lines of a body as JSON.
fn lines(body: &[u8]) -> Vec<Value> {
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

/// Results on lines are sent in the order of the operations while later ones run, and each frees its memory.
#[test]
fn results_on_lines_are_sent_as_operations_end() {
    let (upstream, gate) = upstream();
    let gateway = start(&upstream, "answer_size = \"16KiB\"\nat_once = 2");
    let operation = |place: usize| match place {
        3 => r#"{"id":"3","method":"POST","path":"/orders/wait"}"#.to_owned(),
        place => format!(r#"{{"id":"{place}","method":"GET","path":"/users?limit=9"}}"#),
    };
    let request: Vec<String> = (0..40).map(operation).collect();
    let request = request.join("\r\n\n") + "\n";
    let mut client = gateway.connect();
    let head = format!(
        "POST /bulk HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n",
        request.len()
    );
    client.send((head + &request).as_bytes()).expect("it is sent");
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains(r#"{"id":"2","#) {
        let mut part = [0; 4_096];
        let read = io::Read::read(&mut client.stream(), &mut part).expect("a part");
        assert!(read > 0, "the response ends");
        received.extend_from_slice(&part[..read]);
    }
    gate.open();
    let whole = gateway.send("POST", "/bulk", &[LINES, AS_LINES], request.as_bytes());
    let kinds = (whole.header("content-type"), whole.header("transfer-encoding"), whole.header("content-length"));
    assert_eq!(kinds, (Some(AS_LINES.1), Some("chunked"), None));
    let found = lines(&whole.body);
    let (end, found) = found.split_last().expect("the counts");
    let ids: Vec<String> = found.iter().map(|result| result["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids, (0..40).map(|place| place.to_string()).collect::<Vec<_>>());
    assert!(found.iter().all(|result| result["bodyOmitted"].is_null()), "each frees its memory: {found:?}");
    assert_eq!((&end["success"], &end["summary"]["successful"]), (&json!(true), &json!(40)));
    let at_once = results(&gateway.send("POST", "/bulk", &[LINES], request.as_bytes()));
    assert!(at_once.results.iter().any(|result| result.body_omitted), "in one object they need it together");
    for (body, outcome, place) in [
        ("{\"method\":\"GET\",\"path\":\"/users\"}\n{\"method\"", "400 body_invalid", Some("/operations/1")),
        ("{\"method\":\"GET\",\"method\":\"GET\",\"path\":\"/users\"}", "400 body_invalid", Some("/operations/0")),
        ("[]", "400 body_invalid", Some("/operations/0")),
        ("\n", "400 body_invalid", Some("/operations")),
    ] {
        let refused = gateway.send("POST", "/bulk", &[LINES], body.as_bytes());
        assert_eq!((refused.outcome().as_str(), refused.json()["parameter"].as_str()), (outcome, place), "{body}");
    }
}

/// With a key, lines are sent at the end and kept. A client that leaves its lines ends its operations.
#[test]
fn lines_are_kept_for_a_key_and_end_with_their_client() {
    let (upstream, gate) = upstream();
    let gateway = start(&upstream, "at_once = 1");
    let request =
        "{\"method\":\"POST\",\"path\":\"/orders/1\",\"body\":{}}\n{\"method\":\"GET\",\"path\":\"/orders/fail\"}";
    let key = ("Idempotency-Key", "\"lines\"");
    let first = gateway.send("POST", "/bulk", &[LINES, AS_LINES, key], request.as_bytes());
    assert_eq!((first.header("content-type"), lines(&first.body).len()), (Some(AS_LINES.1), 3));
    assert_eq!(lines(&first.body)[1]["operation"], json!({ "method": "GET", "path": "/orders/fail" }));
    let again = gateway.send("POST", "/bulk", &[LINES, AS_LINES, key], request.as_bytes());
    assert_eq!((again.header("content-type"), again.body == first.body, upstream.count()), (Some(AS_LINES.1), true, 2));
    let other = gateway.send("POST", "/bulk", &[LINES, key], request.as_bytes());
    assert_eq!(other.outcome(), "422 idempotency_key_reused", "another form");
    let operation = |place: usize| {
        let path = if place == 1 { "/orders/wait".to_owned() } else { format!("/orders/{place}") };
        json!({ "method": "POST", "path": path }).to_string() + "\n"
    };
    let request: String = (0..500).map(operation).collect();
    let mut client = gateway.connect();
    let head = format!(
        "POST /bulk HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n",
        request.len()
    );
    client.send((head + &request).as_bytes()).expect("it is sent");
    eventually("the second waits", || (upstream.count() == 4).then_some(()));
    drop(client);
    gate.open();
    eventually("no request is in flight", || {
        (gateway.metric("cursorgate_requests_in_flight") == Some(0)).then_some(())
    });
    assert!(upstream.count() < 400, "most operations never began: {}", upstream.count());
}

#[test]
fn limits_hold_for_operations() {
    let (upstream, _) = upstream();
    let setup = Setup { route: "rate_limit = { requests = 5, per = \"1h\" }", more: "[services.bulk]", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let request = json!({ "operations": vec![json!({ "method": "GET", "path": "/users?limit=5" }); 8] });
    let client = [("Authorization", "Bearer one")];
    let answer = results(&post(&gateway, &client, &request));
    let (served, refused): (Vec<_>, Vec<_>) = answer.results.iter().partition(|result| result.status == Some(200));
    assert_eq!((served.len(), refused.len()), (5, 3));
    for result in refused {
        assert_eq!((result.status, &result.body()["code"]), (Some(429), &json!("rate_limited")));
        assert!(result.headers.contains_key("retry-after") && result.headers.contains_key("ratelimit"));
    }
    assert_eq!(gateway.send("GET", "/users?limit=5", &client, b"").status, 429, "alone it is the same client");
    assert_eq!(gateway.send("GET", "/users?limit=5", &[("Authorization", "Bearer two")], b"").status, 200);
    assert_eq!(metric(&gateway, "cursorgate_rate_limited_total{route=\"users\",policy=\"requests\"}"), 4);
}

/// A thousand operations reach the upstream once each, and a repetition with the same key reaches it not at all. The
/// gateway ends operations that take longer than `timeout`.
#[test]
fn a_thousand_operations_run_once_each() {
    const COUNT: usize = 1_000;
    let (upstream, gate) = upstream();
    let gateway = start(&upstream, "timeout = \"2s\"\nat_once = 10");
    let path = |number| match number {
        17 | 500 => format!("/orders/wait-{number}"),
        number if number % 10 == 3 => format!("/orders/fail-{number}"),
        number => format!("/orders/{number}"),
    };
    let request = orders((0..COUNT).map(path));
    let headers = [("Authorization", "Bearer one"), ("Idempotency-Key", "\"import-1\"")];
    let answer = post(&gateway, &headers, &request);
    let Results { results, summary, .. } = results(&answer);
    for (number, result) in results.iter().enumerate() {
        let expected = match number {
            17 | 500 => 504,
            number if number % 10 == 3 => 500,
            _ => 200,
        };
        assert_eq!(result.status, Some(expected), "{number}");
        if expected == 200 {
            assert_eq!(result.body()["target"], path(number));
        }
    }
    assert_eq!(results[17].body()["code"], "operation_timeout");
    assert_eq!(
        summary["byType"],
        json!({ "POST orders": { "total": COUNT, "successful": 898, "failed": 102, "skipped": 0 } })
    );
    let repeated = post(&gateway, &headers, &request);
    assert_eq!((repeated.status, repeated.body == answer.body), (200, true), "the same answer");
    let mut asked: Vec<String> = upstream.requests().iter().map(|request| request.target.clone()).collect();
    asked.sort();
    let mut expected: Vec<String> = (0..COUNT).map(path).collect();
    expected.sort();
    assert_eq!(asked, expected, "each operation once");
    gate.open();
    let lines =
        eventually("a line for each request", || Some(gateway.access_log()).filter(|log| log.len() >= COUNT + 2));
    assert_eq!(lines.len(), COUNT + 2);
    let given_up: Vec<_> =
        lines.iter().filter(|line| line["path"].as_str().unwrap_or_default().contains("wait")).collect();
    assert!(given_up.len() == 2 && given_up.iter().all(|line| line["code"] == "client_gone"), "{given_up:?}");
}

#[test]
fn a_key_belongs_to_one_request_of_one_client() {
    let (upstream, gate) = upstream();
    let gateway = start(&upstream, "");
    let request = orders(["/orders/1".to_owned()]);
    let with = |key: &str, client: &str, request: &Value| {
        post(&gateway, &[("Idempotency-Key", key), ("Authorization", client)], request)
    };
    for key in ["plain", "\"\"", "\"open", "\"a\";b=1", "\"a\", \"b\"", &format!("\"{}\"", "k".repeat(256))] {
        let refused = with(key, "Bearer one", &request);
        assert_eq!(refused.outcome(), "400 idempotency_key_invalid", "{key}");
    }
    let twice = [("Idempotency-Key", "\"a\""), ("Idempotency-Key", "\"b\"")];
    assert_eq!(post(&gateway, &twice, &request).outcome(), "400 idempotency_key_invalid");
    assert_eq!(upstream.count(), 0);
    let first = with("\"k\"", "Bearer one", &request);
    assert_eq!(with("\"k\"", "Bearer one", &request).body, first.body);
    assert_eq!(upstream.count(), 1);
    let other = with("\"k\"", "Bearer one", &orders(["/orders/2".to_owned()]));
    assert_eq!(other.outcome(), "422 idempotency_key_reused");
    assert_ne!(with("\"k\"", "Bearer two", &request).body, first.body, "another client's key");
    assert_eq!(upstream.count(), 2);
    // A request that is refused as a whole does not use its idempotency key.
    assert_eq!(with("\"l\"", "Bearer one", &json!({ "operations": [] })).outcome(), "400 body_invalid");
    assert_eq!(with("\"l\"", "Bearer one", &request).status, 200);

    // If the client disconnects, its operations continue, and a repetition gets their results.
    let slow = orders(["/orders/wait-1".to_owned(), "/orders/3".to_owned()]).to_string();
    let mut leaving = gateway.connect();
    let length = slow.len();
    let head = format!(
        "POST /bulk HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nAuthorization: Bearer one\r\n\
         Idempotency-Key: \"m\"\r\nContent-Length: {length}\r\n\r\n{slow}"
    );
    leaving.send(head.as_bytes()).expect("it is sent");
    eventually("the operation is under way", || (upstream.count() == 5).then_some(()));
    let slow: Value = serde_json::from_str(&slow).expect("JSON");
    let busy = with("\"m\"", "Bearer one", &slow);
    assert_eq!((busy.outcome().as_str(), busy.header("retry-after")), ("409 idempotency_key_in_use", Some("1")));
    drop(leaving);
    eventually("the client is gone", || {
        gateway.access_log().iter().any(|line| line["path"] == "/bulk" && line["code"] == "client_gone").then_some(())
    });
    gate.open();
    let found =
        eventually("a result", || Some(with("\"m\"", "Bearer one", &slow)).filter(|answer| answer.status == 200));
    assert_eq!(statuses(&found), [Some(200), Some(200)]);
    assert_eq!(upstream.count(), 5, "no operation ran twice");
    // `X-Real-IP` of an untrusted client does not change the client's identity, so the key is known.
    let named = |address| post(&gateway, &[("Idempotency-Key", "\"n\""), ("X-Real-IP", address)], &request);
    let before = upstream.requests().len();
    assert_eq!(named("192.0.2.1").body, named("192.0.2.2").body);
    assert_eq!(upstream.requests().len(), before + 1, "the operation runs once");
}

#[test]
fn idempotency_keys_are_bounded_and_never_dropped_early() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "idempotency = { entries = 2, size = \"64KiB\" }");
    let ask = |key: &str, size: usize| {
        let request = json!({ "operations": [{ "method": "POST", "path": "/orders/1", "body": "x".repeat(size) }] });
        post(&gateway, &[("Idempotency-Key", key)], &request)
    };
    assert_eq!((ask("\"a\"", 40 << 10).status, ask("\"b\"", 40 << 10).status), (200, 200));
    assert_eq!(ask("\"a\"", 40 << 10).outcome(), "409 idempotency_result_lost", "the result of b took its room");
    assert_eq!(ask("\"b\"", 40 << 10).status, 200);
    assert_eq!(ask("\"c\"", 1).outcome(), "503 overloaded");
    assert_eq!(upstream.count(), 2);
}

/// Clients with credentials that the upstream refuses leave the keys to others, however many addresses they have.
#[test]
fn invented_clients_use_up_no_idempotency_keys() {
    let upstream = Upstream::start(|exchange| {
        exchange.body()?;
        if exchange.request.header("authorization") == Some("Bearer honest") {
            return exchange.reply("201 Created", &[JSON], b"{}");
        }
        exchange.reply("401 Unauthorized", &[JSON], b"{}")
    });
    let more = format!(
        "{ORDERS}\n[services.bulk]\nidempotency = {{ entries = 30 }}\n[server]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         forwarded_headers = [\"X-Forwarded-For\"]\n"
    );
    let gateway = Gateway::start(&format!("{}{more}", PLAIN.configuration(upstream.address)));
    let send = |address: &str, client: &str, key: &str| {
        let headers = [("X-Forwarded-For", address), ("Authorization", client), ("Idempotency-Key", key)];
        post(&gateway, &headers, &orders(["/orders/1".to_owned()]))
    };
    let first = send("192.0.2.9", "Bearer honest", "\"first\"");
    assert_eq!(statuses(&first), [Some(201)]);
    for number in 0..45 {
        let address = format!("192.0.2.{}", number % 3);
        let refused = send(&address, &format!("Bearer {number}"), &format!("\"{number}\""));
        assert_eq!(statuses(&refused), [Some(401)], "{number}");
    }
    assert_eq!(statuses(&send("192.0.2.9", "Bearer honest", "\"second\"")), [Some(201)]);
    let asked = upstream.count();
    assert_eq!(send("192.0.2.9", "Bearer honest", "\"first\"").body, first.body);
    assert_eq!(statuses(&send("192.0.2.2", "Bearer 44", "\"44\"")), [Some(401)], "it is kept while there is room");
    assert_eq!(upstream.count(), asked);
}

#[test]
fn a_malformed_request_runs_no_operation() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "operations = 3\nsize = \"4KiB\"");
    let get = json!({ "method": "GET", "path": "/users" });
    let with = |name: &str, value: Value| {
        let mut operation = get.clone();
        operation[name] = value;
        json!({ "operations": [get, operation] })
    };
    let header = |name: &str| with("headers", json!({ name: "x" }));
    for (request, outcome, place) in [
        (json!({}), "400 body_invalid", None),
        (json!({ "operations": {} }), "400 body_invalid", None),
        (json!({ "operations": [], "more": 1 }), "400 body_invalid", None),
        (json!({ "operations": [] }), "400 body_invalid", Some("/operations")),
        (json!({ "operations": [get, get, get, get] }), "400 body_invalid", Some("/operations")),
        (json!({ "operations": [get, 1] }), "400 operation_invalid", Some("/operations/1")),
        (json!({ "operations": [get, { "method": "GET" }] }), "400 operation_invalid", Some("/operations/1")),
        (with("type", json!("create")), "400 operation_invalid", Some("/operations/1")),
        (with("parameters", json!({ "id": 1 })), "400 operation_invalid", Some("/operations/1")),
        (with("params", json!({})), "400 operation_invalid", Some("/operations/1")),
        (with("id", json!("i".repeat(257))), "400 operation_invalid", Some("/operations/1/id")),
        (with("method", json!("get")), "400 operation_invalid", Some("/operations/1/method")),
        (with("method", json!("CONNECT")), "400 operation_invalid", Some("/operations/1/method")),
        (with("path", json!("users")), "400 operation_invalid", Some("/operations/1/path")),
        (with("path", json!("http://elsewhere/users")), "400 operation_invalid", Some("/operations/1/path")),
        (
            with("path", json!("/users HTTP/1.1\r\nHost: x\r\n\r\n")),
            "400 operation_invalid",
            Some("/operations/1/path"),
        ),
        (with("path", json!("/a/../users")), "400 operation_invalid", Some("/operations/1/path")),
        (with("body", json!({})), "400 operation_invalid", Some("/operations/1/body")),
        (header("authorization"), "400 operation_invalid", Some("/operations/1/headers")),
        (header("cookie"), "400 operation_invalid", Some("/operations/1/headers")),
        (header("Host"), "400 operation_invalid", Some("/operations/1/headers")),
        (header("x-forwarded-for"), "400 operation_invalid", Some("/operations/1/headers")),
        (header("content-length"), "400 operation_invalid", Some("/operations/1/headers")),
        (with("headers", json!({ "accept": "a\r\nb: c" })), "400 operation_invalid", Some("/operations/1/headers")),
        (with("path", json!(format!("/{}", "a".repeat(5_000)))), "413 body_too_large", None),
    ] {
        let refused = post(&gateway, &[], &request);
        assert_eq!(refused.outcome(), outcome, "{request}");
        assert_eq!(refused.json()["parameter"].as_str(), place, "{request}: {}", refused.text());
    }
    let twice = json!({ "operations": [{ "id": "a", "method": "GET", "path": "/users" }, { "id": "a", "method": "GET", "path": "/users" }] });
    assert_eq!(post(&gateway, &[], &twice).json()["parameter"], "/operations/1/id");
    let form = gateway.send("POST", "/bulk", &[("Content-Type", "text/plain")], b"{}");
    assert_eq!(form.outcome(), "415 media_type_unsupported");
    let nominated = json!({ "operations": [get] });
    let answer = post(&gateway, &[("Authorization", "x"), ("Connection", "keep-alive, authorization")], &nominated);
    assert_eq!(results(&answer).results[0].body()["code"], "request_invalid", "credentials can't be taken away");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn answers_are_kept_up_to_a_size() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "answer_size = \"1KiB\"\nat_once = 1");
    let get = |limit: u32| json!({ "method": "GET", "path": format!("/users?limit={limit}") });
    let answer = results(&post(&gateway, &[], &json!({ "operations": [get(60), get(1), get(60)] })));
    let kept: Vec<_> =
        answer.results.iter().map(|result| (result.status, result.body_omitted, result.body.is_some())).collect();
    assert_eq!(kept, [(Some(200), true, false), (Some(200), false, true), (Some(200), true, false)]);
}

#[test]
fn a_client_that_leaves_ends_its_operations() {
    let (upstream, gate) = upstream();
    let gateway = start(&upstream, "at_once = 2");
    let mut client: Connection = gateway.connect();
    let request = orders((0..6).map(|number| format!("/orders/wait-{number}"))).to_string();
    let head = format!(
        "POST /bulk HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        request.len()
    );
    client.send((head + &request).as_bytes()).expect("it is sent");
    eventually("two are under way", || (upstream.count() == 2).then_some(()));
    drop(client);
    let lines = eventually("three lines", || Some(gateway.access_log()).filter(|log| log.len() >= 3));
    assert!(lines.len() == 3 && lines.iter().all(|line| line["code"] == "client_gone"), "{lines:?}");
    eventually("no request is in flight", || {
        (gateway.metric("cursorgate_requests_in_flight") == Some(0)).then_some(())
    });
    assert_eq!(upstream.count(), 2, "none began after that");
    gate.open();
}

/// Sends a request with a key. The client leaves when the connection is dropped.
fn begin(gateway: &Gateway, key: &str, request: &Value) -> Connection {
    let (mut client, body): (Connection, String) = (gateway.connect(), request.to_string());
    let head = format!(
        "POST /bulk HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n\
         Idempotency-Key: \"{key}\"\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send((head + &body).as_bytes()).expect("it is sent");
    client
}

/// Requests with keys go on without their clients, but only a few of each client, and the others are served.
#[test]
fn requests_without_their_clients_are_bounded() {
    let (upstream, gate) = upstream();
    let gateway = start(&upstream, "");
    for number in 0..8 {
        let client = begin(&gateway, &format!("k{number}"), &orders([format!("/orders/wait-{number}")]));
        eventually("it is under way", || (upstream.count() == number + 1).then_some(()));
        drop(client);
    }
    let request = orders(["/orders/1".to_owned()]);
    let more = || post(&gateway, &[("Idempotency-Key", "\"more\"")], &request);
    assert_eq!(more().outcome(), "503 overloaded");
    let other = post(&gateway, &[("Idempotency-Key", "\"more\""), ("Authorization", "Bearer two")], &request);
    assert_eq!(statuses(&other), [Some(200)], "another client");
    assert_eq!(statuses(&post(&gateway, &[], &request)), [Some(200)], "without a key");
    gate.open();
    let answer =
        eventually("the refused request is repeated with its key", || Some(more()).filter(|it| it.status == 200));
    assert_eq!(statuses(&answer), [Some(200)]);
}

#[test]
fn operations_run_one_at_a_time_after_their_client_has_gone() {
    let (permits, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let upstream = Upstream::start(move |exchange| {
        waits.lock().expect("no thread panics").recv().expect("a permit");
        exchange.reply("200 OK", &[JSON], b"{}")
    });
    let gateway = start(&upstream, "at_once = 3");
    let request = orders((0..6).map(|number| format!("/orders/{number}")));
    let client = begin(&gateway, "k", &request);
    eventually("three are under way", || (upstream.count() == 3).then_some(()));
    drop(client);
    let is_gone = |line: &Value| line["path"] == "/bulk" && line["code"] == "client_gone";
    eventually("the client has gone", || gateway.access_log().iter().any(is_gone).then_some(()));
    for begun in [3, 3, 4, 5, 6] {
        permits.send(()).expect("the upstream runs");
        let done = |line: &&Value| line["path"].as_str().is_some_and(|path| path.starts_with("/orders"));
        let ended = begun.max(3) - 2;
        eventually("one has ended", || (gateway.access_log().iter().filter(done).count() >= ended).then_some(()));
        eventually("the next one begins", || (upstream.count() == begun).then_some(()));
    }
    permits.send(()).expect("the upstream runs");
    let answer = eventually("the results", || {
        Some(post(&gateway, &[("Idempotency-Key", "\"k\"")], &request)).filter(|answer| answer.status == 200)
    });
    assert_eq!(statuses(&answer), [Some(200); 6]);
}

/// Services answer no inner requests, so their paths would reach routes.
#[test]
fn an_operation_for_a_service_is_refused() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "\n[services.graphql]\n[services.live]\nroutes = [\"users\"]");
    for (method, path) in [("POST", "/bulk"), ("POST", "/graphql"), ("GET", "/users/live?limit=1")] {
        let request =
            json!({ "operations": [{ "method": "GET", "path": "/users" }, { "method": method, "path": path }] });
        let refused = post(&gateway, &[], &request);
        assert_eq!(refused.outcome(), "400 operation_invalid", "{path}: {}", refused.text());
        assert_eq!(refused.json()["parameter"], "/operations/1/path");
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn clients_of_http_2_have_the_same_results() {
    let (upstream, _) = upstream();
    let gateway = start(&upstream, "");
    let mut client = http2::Connection::open(gateway.public).expect("the gateway listens");
    let head = http2::fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "gateway.test"),
        (":path", "/bulk"),
        ("content-type", "application/json"),
        ("authorization", "Bearer one"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ]);
    let request = json!({ "operations": [{ "method": "GET", "path": "/users?limit=3" }, { "method": "POST", "path": "/orders/1" }] });
    client.send(&http2::frame(HEADERS, END_HEADERS, 1, &head)).expect("it is sent");
    client.send(&http2::frame(DATA, END_STREAM, 1, request.to_string().as_bytes())).expect("it is sent");
    let (_, body) = client.answer(1).expect("an answer");
    let found: Results = serde_json::from_slice(&body).expect("results");
    let page = found.results[0].body.as_ref().expect("a page");
    assert_eq!(
        page.get().as_bytes(),
        gateway.send("GET", "/users?limit=3", &[("Authorization", "Bearer one")], b"").body
    );
    let echo = found.results[1].body();
    assert_eq!(
        (&echo["headers"]["cookie"], &echo["headers"]["authorization"]),
        (&json!("a=1; b=2"), &json!("Bearer one"))
    );
}

#[test]
fn without_the_service_its_path_belongs_to_the_routes() {
    let (upstream, _) = upstream();
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let request = orders(["/users".to_owned()]);
    assert_eq!(post(&gateway, &[], &request).outcome(), "404 route_not_found");
    let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let forwarding = Gateway::start(&format!("{}{rest}", PLAIN.configuration(upstream.address)));
    assert_eq!(post(&forwarding, &[], &request).json()["target"], "/bulk");
    let serving = Gateway::start(&format!(
        "{}{rest}[services.bulk]\npath = \"/v1/batch\"\n",
        PLAIN.configuration(upstream.address)
    ));
    assert_eq!(post(&serving, &[], &request).json()["target"], "/bulk");
    assert_eq!(serving.send("GET", "/v1/batch", &[], b"").json()["target"], "/v1/batch", "POST alone is the service's");
    let own = serving.send("POST", "/v1/batch?x", &[JSON], orders(["/a".to_owned()]).to_string().as_bytes());
    assert_eq!(results(&own).results[0].body()["target"], "/a");
}
