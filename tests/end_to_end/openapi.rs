//! Tests of the OpenAPI description: it is valid, and the gateway's answers conform to it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use cursorgate_config::preset_envelopes;
use serde_json::{Value, json};

use crate::{
    harness::{
        Directory,
        gateway::{Gateway, command},
        http::{self, Response},
        list::{serve, users},
        upstream::Upstream,
    },
    third_party::python,
};

/// Returns the output of `cursorgate openapi` for a file.
pub(crate) fn described(file: &Path) -> String {
    let mut command = command();
    command.env("CURSORGATE_KEY", "a-key-of-the-tests-and-of-nothing-else");
    let output = command.args(["openapi", "--config"]).arg(file).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

/// Asserts that a document is valid, and that the answers in `samples` conform to it. An answer whose sample has
/// `is_described: false` must not conform.
pub(crate) fn validate(document: &str, samples: &[Value]) {
    let directory = Directory::new();
    let (file, answers) = (directory.file("openapi.json"), directory.file("samples.json"));
    std::fs::write(&file, document).expect("a file in the test's directory");
    std::fs::write(&answers, Value::from(samples).to_string()).expect("a file in the test's directory");
    let mut validator = Command::new(python());
    validator.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/validators/describe.py"));
    let output = validator.args([file, answers]).output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{} answers", samples.len())), "{said}");
}

#[test]
fn configurations_of_the_program_have_valid_descriptions() {
    for name in ["demo.toml", "cursorgate.toml"] {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let document = described(&file);
        assert!(document.contains("\"operationId\": \"listUsers\""), "{name}");
        validate(&document, &[]);
    }
}

/// Returns the answer to a GET request as a sample for [`validate`]. `is_described` is `false` if the answer must not
/// conform to the document.
pub(crate) fn sample(path: &str, response: &Response, is_described: bool) -> Value {
    let names = response.headers.iter().map(|(name, _)| name.to_lowercase());
    let own = |name: &String| {
        let names =
            ["link", "etag", "deprecation", "sunset", "retry-after", "preference-applied", "location", "x-request-id"];
        name.starts_with("cursorgate-") || name.starts_with("x-total") || names.contains(&name.as_str())
    };
    json!({
        "path": path,
        "method": "get",
        "asked": null,
        "status": response.status,
        "content_type": response.header("content-type"),
        "headers": names.filter(own).collect::<Vec<_>>(),
        "body": if response.body.is_empty() { Value::Null } else { response.json() },
        "is_described": is_described,
    })
}

/// Returns the answer to a POST request as a sample for [`validate`], with the body of the request.
pub(crate) fn sample_of_post(path: &str, asked: &Value, response: &Response, is_described: bool) -> Value {
    let mut sample = sample(path, response, is_described);
    sample["method"] = json!("post");
    sample["asked"] = asked.clone();
    sample
}

/// Returns a configuration with a route for each built-in envelope, and a route with its own form of errors.
fn every_envelope(upstream: &Upstream, document: &Path) -> String {
    let mut text = format!(
        r#"
[upstreams.legacy]
peers = ["{}"]

[defaults]
upstream = "legacy"
upstream_path = "/users"
dialect = "scripted"
order = ["id"]
sortable = ["id"]
old_clients = "translate"
legacy = {{ deprecation = 2026-01-15 }}
openapi = {{ file = "{}", operation = "GET /users" }}

[dialects.scripted]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/items", total = "/total" }}
sort = {{ query = "sort={{direction}}{{field}}", ascending = "", descending = "-", join = "," }}

[dialects.by-id]
extends = "scripted"
filter = {{ gt = "id_gt={{value}}", gte = "id_gte={{value}}", lt = "id_lt={{value}}", lte = "id_lte={{value}}", eq = "id={{value}}" }}
item = {{ path = "{{path}}/{{id}}" }}

[envelopes.house]
content_type = "application/vnd.house+json"
parameters = {{ limit = "first", limit_backward = "last", after = "after", before = "before" }}
over_max = "reject"
headers = {{ X-Total = "{{total}}" }}
body = {{ edges = [{{ cursor = "{{item.cursor}}", node = "{{item}}" }}], page = {{ total = "{{total}}", end = "{{end.cursor}}" }}, at = "{{now}}", links = [{{ rel = "next", href = "{{links.next}}" }}, {{ rel = "prev", href = "{{links.prev}}" }}] }}
error = {{ statusCode = "{{status}}", message = "{{detail}}", error = "{{code}}", parameter = "{{parameter}}" }}
"#,
        upstream.address,
        document.display()
    );
    for name in preset_envelopes().map(|(name, _)| name).chain(["house"]) {
        text.push_str(&format!("\n[routes.{name}]\npath = \"/{name}\"\nenvelope = \"{name}\"\n"));
        if name == "stripe" {
            // Clients of this envelope send ids instead of cursors.
            text.push_str("mode = \"seek\"\ndialect = \"by-id\"\nfilterable = [\"id\"]\n");
        }
        if name == "batch" {
            text.push_str("methods = [\"POST\"]\nbudgets = { body_size = \"4KiB\" }\n");
        }
    }
    text.push_str("\n[routes.search]\npath = \"/search\"\nmethods = [\"GET\", \"HEAD\", \"POST\"]\n");
    text.push_str(
        "\n[routes.sent_on]\npath = \"/sent-on\"\nold_clients = \"redirect\"\nlegacy = { sunset = 2036-01-15 }\n",
    );
    text.push_str(
        "\n[routes.ended]\npath = \"/ended\"\n\
         old_clients = \"translate\"\nlegacy = { sunset = 2026-01-16, after_sunset = \"reject\" }\n",
    );
    text.push_str("\n[routes.chosen]\npath = \"/chosen\"\nenvelopes = [\"relay\", \"hal\", \"jsonapi\"]\n");
    text
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Returns samples of requests by POST: a walk with numbers in each accepted spelling, legacy requests, each fault of a
/// body, and finally an answer that does not conform to the description.
fn batches(gateway: &Gateway) -> Vec<Value> {
    let mut samples = Vec::new();
    let mut post = |target: &str, asked: &Value| {
        let response = gateway.send("POST", target, &JSON, asked.to_string().as_bytes());
        samples.push(sample_of_post(target.split('?').next().expect("a path"), asked, &response, true));
        response
    };
    let mut cursor = Value::Null;
    for size in [json!(25), json!("25"), json!(100)] {
        let payload = json!({ "cursor": cursor, "page_size": size, "team": ["a", 1, null] });
        let page = post("/batch", &json!({ "requester_service": { "name": "planner" }, "payload": payload }));
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.json()["payload"], payload);
        cursor = page.json()["response"]["pagination"]["next_cursor"].clone();
    }
    assert_eq!(cursor, Value::Null, "60 items are three pages");
    for (target, asked, status) in [
        ("/batch", json!({}), 200),
        ("/batch", json!({ "payload": null, "requester_service": 7 }), 200),
        ("/batch", json!({ "payload": { "cursor": null, "page_size": null } }), 200),
        ("/batch?offset=20", json!({}), 200),
        ("/batch?sort=-id", json!({}), 200),
        ("/batch", json!({ "payload": { "cursor": "garbage" } }), 400),
        ("/batch", json!({ "payload": { "page_size": "many" } }), 400),
        ("/batch", json!({ "payload": [] }), 400),
        ("/batch", json!({ "payload": "x".repeat(5_000) }), 413),
        ("/search?limit=7", json!({ "team": "a" }), 200),
        ("/search?limit=x", json!({}), 400),
    ] {
        let response = post(target, &asked);
        assert_eq!(response.status, status, "{target} {asked}: {response:?}");
    }
    // A size above the described maximum is lowered, and repeated as it was sent.
    let lowered = gateway.send("POST", "/batch", &JSON, br#"{"payload":{"page_size":900}}"#);
    assert_eq!(lowered.status, 200);
    samples.push(sample_of_post("/batch", &Value::Null, &lowered, true));
    let plain = gateway.send("POST", "/batch", &[("Content-Type", "text/plain")], b"{}");
    assert_eq!(plain.status, 415);
    samples.push(sample_of_post("/batch", &Value::Null, &plain, true));
    let mut odd = gateway.send("POST", "/batch", &JSON, br#"{"payload":{"cursor":null}}"#);
    odd.body = odd.text().replacen("\"payload\":{\"cursor\":null}", "\"payload\":{\"cursor\":1}", 1).into_bytes();
    samples.push(sample_of_post("/batch", &json!({}), &odd, false));
    samples
}

/// The answers in each built-in envelope conform to the description: the first page, middle pages, the last page, an
/// empty page, a page by `page=`, and refusals. The upstream's own document describes the items.
#[test]
fn answers_conform_to_the_description() {
    let upstream = Upstream::start(serve(users(60)));
    let directory = Directory::new();
    let own = directory.file("people.json");
    let schema = json!({ "type": "object", "properties": { "items": { "type": "array", "items": { "$ref": "#/components/schemas/User" } } } });
    let user = json!({ "type": "object", "required": ["id", "name"], "properties": { "id": { "type": "integer" }, "name": { "type": "string" } } });
    let text = json!({
        "openapi": "3.0.3",
        "paths": { "/users": { "get": { "responses": { "200": { "content": { "application/json": { "schema": schema } } } } } } },
        "components": { "schemas": { "User": user } },
    });
    std::fs::write(&own, text.to_string()).expect("a file in the test's directory");
    let gateway = Gateway::start(&every_envelope(&upstream, &own));
    let document = http::get(gateway.admin, "/openapi.json");
    assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));

    let parsed = document.json();
    let mut samples = Vec::new();
    let paths = parsed["paths"].as_object().expect("paths");
    assert!(paths["/batch"].get("get").is_none() && paths["/search"].get("post").is_some());
    for (path, item) in paths.iter().filter(|(_, item)| item.get("get").is_some()) {
        let parameters = item["get"]["parameters"].as_array().expect("parameters");
        let limit = parameters.iter().find(|parameter| parameter["schema"]["default"].is_u64());
        let start = parameters.iter().find(|parameter| parameter["schema"]["default"] == "start");
        let start = start.and_then(|parameter| parameter["name"].as_str()).map(|name| format!("{name}=start"));
        let limit = limit.and_then(|parameter| parameter["name"].as_str());
        let deprecated = parameters.iter().filter(|parameter| parameter["deprecated"] == true);
        assert!(deprecated.count() >= 1, "{path}: the dialect's own parameters are deprecated ones");
        let mut ask = |target: &str| {
            let prefers = [("Prefer", "odata.maxpagesize=25")];
            let response = gateway.send("GET", target, if limit.is_none() { &prefers } else { &[] }, b"");
            samples.push(sample(path, &response, true));
            response
        };
        let mut page = {
            let query: Vec<String> = limit.map(|limit| format!("{limit}=25")).into_iter().chain(start).collect();
            ask(&format!("{path}?{}", query.join("&")))
        };
        assert!(page.link("next").is_some(), "{path}: {page:?}");
        // `/stripe` looks items up by their ids, and this upstream serves no single items, so only its first page is
        // read.
        let further = if path == "/stripe" { 0 } else { 2 };
        for _ in 0..further {
            page = ask(&page.link("next").unwrap_or_else(|| panic!("{path}: {page:?}")));
        }
        assert_eq!(page.link("next").is_none(), further > 0, "{path}: the last of three pages");
        let old = ask(&format!("{path}?offset=20"));
        let expected = [("/sent-on", 307), ("/ended", 410)].into_iter().find(|(known, _)| known == path);
        assert_eq!(old.status, expected.map_or(200, |(_, status)| status), "{old:?}");
        let wrong = limit.map(|limit| format!("{path}?{limit}=x"));
        for wrong in wrong.into_iter().chain([format!("{path}?offset=x")]) {
            let status = if wrong == "/ended?offset=x" { 410 } else { 400 };
            assert_eq!(ask(&wrong).status, status, "{wrong}");
        }
    }
    samples.extend(batches(&gateway));
    for (prefer, content_type) in [
        ("envelope=relay", "application/json"),
        ("envelope=hal", "application/hal+json"),
        ("envelope=nothing, handling=strict", "application/problem+json"),
    ] {
        let response = gateway.send("GET", "/chosen", &[("Prefer", prefer)], b"");
        assert_eq!(response.header("content-type"), Some(content_type), "{prefer}");
        samples.push(sample("/chosen", &response, true));
    }
    // The validator must find a body that does not conform.
    let mut odd = gateway.get("/standard");
    odd.body = odd.text().replacen("\"id\":1,", "\"id\":\"one\",", 1).into_bytes();
    samples.push(sample("/standard", &odd, false));
    let ask = |path: &str, item: &Value| match item.get("get") {
        // Old clients of these routes get no page, so their pages need a mark.
        Some(_) if ["/ended", "/sent-on"].contains(&path) => {
            sample(path, &gateway.get(&format!("{path}?cursor=start")), true)
        }
        Some(_) => sample(path, &gateway.get(path), true),
        None => {
            let (response, asked) = (gateway.send("POST", path, &JSON, b"{}"), json!({}));
            sample_of_post(path, &asked, &response, true)
        }
    };
    upstream.answer(serve(Vec::new()));
    for (path, item) in paths {
        samples.push(ask(path, item));
    }
    for (answered, status) in [("500 Oops", 502), ("503 Busy", 503), ("504 Late", 504)] {
        upstream.answer(move |exchange| exchange.reply(answered, &[("Retry-After", "7")], b""));
        for (path, item) in paths {
            let sample = ask(path, item);
            assert_eq!(sample["status"], status, "{path}");
            samples.push(sample);
        }
    }
    validate(document.text(), &samples);

    // The command describes the same file in the same way.
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, gateway.configuration()).expect("a file in the test's directory");
    assert_eq!(described(&file), document.text());
}
