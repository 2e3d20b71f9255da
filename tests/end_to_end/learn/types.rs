//! Tests of types that are inferred from items: GraphQL, tools and the public document have them.

use std::io;

use serde_json::{Value, json};

use crate::harness::{
    Directory,
    gateway::{Gateway, KEY, command},
    upstream::{After, Exchange, Upstream},
};

/// Serves 90 users by offset. The last three, which `learn` isn't shown, have values of other types.
fn users() -> Upstream {
    Upstream::start(|exchange: &mut Exchange| -> io::Result<After> {
        let number = |name: &str| {
            let pairs = exchange.request.query().split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(own, _)| *own == name).find_map(|(_, value)| value.parse::<usize>().ok())
        };
        let count = if exchange.request.header("x-later").is_some() { 90 } else { 87 };
        let (from, size) = (number("offset").unwrap_or(0), number("limit").unwrap_or(20).min(50));
        let user = |id: usize| match id {
            87.. => {
                json!({ "id": id + 1, "name": { "first": "secret" }, "address": "here", "tags": [7, {}], "new": 1 })
            }
            _ => json!({
                "id": id + 1,
                "name": format!("secret {id}"),
                "address": { "city": format!("secret {}", id % 7), "zip": 4_294_967_296_u64 + id as u64 },
                "tags": if id.is_multiple_of(2) { json!([]) } else { json!(["secret"]) },
                "score": if id.is_multiple_of(3) { json!(id) } else { json!(1.5) },
                "by_mail": { format!("secret{id}@example.com"): 1 },
                "by_name": { format!("secret{}", id % 40): 1 },
                "note": null,
            }),
        };
        let items: Vec<Value> = (from..count.min(from + size)).map(user).collect();
        let body = json!({ "data": items, "total": count }).to_string();
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    })
}

#[test]
fn fields_have_types_without_a_document_of_the_service() {
    let (upstream, directory) = (users(), Directory::new());
    let (file, types) = (directory.file("users.toml"), directory.file("users.types.json"));
    let url = format!("http://{}/api/users", upstream.address);
    let learn = |more: &[&str]| {
        let mut command = command();
        command.args(["learn", &url, "--delay", "0", "--types"]).arg(&types).args(more);
        command.output().expect("the binary starts")
    };
    let output = learn(&["--out", file.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("users.types.json has the types of 87 items. "), "{output:?}");
    let document = std::fs::read_to_string(&types).expect("it was written");
    assert!(!document.contains("secret") && document.contains("from 87 items of GET /api/users"), "{document}");
    // A file is not replaced, and no request is sent for one that can't be written.
    let count = upstream.count();
    assert!(String::from_utf8_lossy(&learn(&[]).stderr).contains("no file is overwritten"));
    assert_eq!(upstream.count(), count);
    // For a route that exists, the types alone are written, and they are the same.
    std::fs::remove_file(&types).expect("it was written");
    let alone = learn(&[]);
    assert!(String::from_utf8_lossy(&alone.stdout).contains("operation = \"GET /api/users\""), "{alone:?}");
    assert_eq!(std::fs::read_to_string(&types).expect("it was written"), document);

    let text = std::fs::read_to_string(&file).expect("it was written");
    let named = "openapi = { file = \"users.types.json\", operation = \"GET /api/users\" }";
    assert!(text.contains(named), "{text}");
    let checked = command().env("CURSORGATE_KEY", KEY).arg("check").arg(&file).output().expect("it starts");
    let complaints = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && !complaints.contains("types.json"), "{complaints}");
    let services = "[services.graphql]\n[services.mcp]\n[services.contract]\ndocument = \"/openapi.json\"\n";
    let text = text.replace("users.types.json", types.to_str().expect("UTF-8"));
    let gateway = Gateway::start_as_written(&format!("{text}\n{services}"));
    let json = ("Content-Type", "application/json");
    let ask = |query: &str, headers: &[(&str, &str)]| {
        let body = json!({ "query": query }).to_string();
        gateway.send("POST", "/graphql", &[&[json], headers].concat(), body.as_bytes()).json()
    };
    let answer =
        ask("{ users(first: 2) { nodes { id name address { city zip } tags score by_mail by_name note } } }", &[]);
    let user = |id: u64, tags: Value, score: Value| {
        json!({
            "id": id + 1, "name": format!("secret {id}"), "tags": tags, "score": score, "note": null,
            "address": { "city": format!("secret {id}"), "zip": 4_294_967_296_u64 + id },
            "by_mail": { format!("secret{id}@example.com"): 1 }, "by_name": { format!("secret{id}"): 1 },
        })
    };
    let expected = json!([user(0, json!([]), json!(0)), user(1, json!(["secret"]), json!(1.5))]);
    assert_eq!(answer["data"]["users"]["nodes"], expected, "{answer}");

    // A later item of other types has all that fits, and an error for each member that doesn't.
    let last = "{ users(last: 1) { nodes { id name address { city } tags score } } }";
    let answer = ask(last, &[("X-Later", "1")]);
    let expected = json!({ "id": 90, "name": null, "address": null, "tags": null, "score": null });
    assert_eq!(answer["data"]["users"]["nodes"][0], expected, "{answer}");
    let errors = answer["errors"].as_array().expect("errors");
    let mut places: Vec<&str> = errors.iter().filter_map(|error| error["path"][3].as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["address", "name", "tags"], "{answer}");
    assert!(errors.iter().all(|error| error["extensions"]["code"] == "upstream_malformed"), "{answer}");
    // A page has the item as it is.
    let later = |target: &str| gateway.send("GET", target, &[("X-Later", "1")], b"").json();
    let first = later("/api/users?cursor=start&limit=2");
    let (_, last) = first["links"]["last"].as_str().and_then(|last| last.split_once("/api/")).expect("a link");
    let page = later(&format!("/api/{last}"));
    let item = page["data"].as_array().and_then(|items| items.last()).expect("items");
    assert_eq!(item["name"], json!({ "first": "secret" }), "{page}");

    let contract = gateway.get("/openapi.json");
    assert!(!contract.text().contains("secret"), "{}", contract.text());
    let item = contract.json()["components"]["schemas"]["UsersItem"]["properties"].take();
    assert_eq!(item["address"]["properties"]["city"]["type"], json!(["string", "null"]), "{}", contract.text());
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let accepts = ("Accept", "application/json, text/event-stream");
    let tools = gateway.send("POST", "/mcp", &[json, accepts, ("MCP-Protocol-Version", "2025-06-18")], list.as_bytes());
    let output = tools.json()["result"]["tools"][0]["outputSchema"]["properties"]["items"]["items"].take();
    assert_eq!(output["properties"]["address"]["properties"]["city"]["description"], "text", "{}", tools.text());
}
