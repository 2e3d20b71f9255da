//! Tests of the tools for agents (MCP): the official clients walk lists, bounded results lose no item, problems become
//! errors of tools, and each call counts as a request of its client.

mod exports;
mod hostile;
mod protocol;

use std::{
    fs, io,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::{
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http::Response,
        metric,
        rows::{BY_OFFSET, BY_SCORE, BY_TOKEN, Row, Rows, configuration},
        upstream::{After, Exchange, Gate, Upstream},
    },
    third_party::{environment, run_module},
};

const COUNT: u64 = 1_003;
const JSON: (&str, &str) = ("Content-Type", "application/json");
const VERSION: &str = "2026-07-28";

/// More routes: rows at a path with a parameter, and rows without a declared order.
const FURTHER: &str = "\n[routes.team-users]\npath = \"/teams/{team}/users\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\n\
     dialect = \"rows\"\nfields = { id = { type = \"number\", nulls = \"none\" }, score = { type = \"number\", nulls = \"none\" } }\n\
     order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\n\n[routes.plain]\npath = \"/plain\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\n\
     dialect = \"rows\"\n";

/// Returns an OpenAPI document that describes the rows, from which the tools take the types of items.
fn document() -> Value {
    let row = json!({
        "type": "object",
        "properties": { "id": { "type": "integer" }, "score": { "type": "integer", "description": "The newest score" }, "note": { "type": "boolean" } },
    });
    let parameter = |name: &str, kind: &str| json!({ "name": name, "in": "query", "schema": { "type": kind }, "description": format!("About {name}") });
    let answer = json!({ "type": "object", "properties": { "items": { "type": "array", "items": { "$ref": "#/components/schemas/Row" } } } });
    json!({
        "openapi": "3.0.3",
        "paths": { "/users": { "get": {
            "summary": "People with their scores", "description": "Those of the last game.",
            "parameters": [parameter("limit", "integer"), parameter("offset", "integer"), parameter("parity", "integer"), parameter("sort", "string")],
            "responses": { "200": { "content": { "application/json": { "schema": answer } } } },
        } } },
        "components": { "schemas": { "Row": row } },
    })
}

/// Returns rows of which up to eight share a score. They are neither in the order of the list nor in the order of their
/// ids.
fn rows() -> Vec<Row> {
    (1..=COUNT).map(|place| place * 397 % 1_009).map(|id| Row::new(id, id * 31 % 131)).collect()
}

/// Returns the same rows in the order of the list.
fn in_order() -> Vec<Value> {
    let mut rows = rows();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.score), row.id));
    rows.iter().map(|row| serde_json::from_str(&row.json()).expect("JSON")).collect()
}

/// A gateway whose lists of rows are tools, with its upstream.
struct Tools {
    gateway: Gateway,
    upstream: Upstream,
    directory: Directory,
}

impl Tools {
    /// Starts the gateway. `route` contains lines for the table of the list; `service` contains lines for
    /// `[services.mcp]` and tables after it.
    fn start(rows: Rows, route: &str, service: &str) -> Self {
        Self::answering(route, service, move |exchange| rows.answer(exchange))
    }

    fn answering(
        route: &str,
        service: &str,
        answer: impl Fn(&mut Exchange) -> io::Result<After> + Clone + Send + Sync + 'static,
    ) -> Self {
        let directory = Directory::new();
        let upstream = Upstream::start(answer);
        let gateway = Gateway::start(&configured(&upstream, &directory, route, service));
        Self { gateway, upstream, directory }
    }

    fn post(&self, headers: &[(&str, &str)], message: &Value) -> Response {
        self.gateway.send("POST", "/mcp", &[headers, &[JSON]].concat(), message.to_string().as_bytes())
    }

    /// Sends a request of the protocol's modern era (version [`VERSION`]), and returns the answer.
    fn ask(&self, headers: &[(&str, &str)], method: &str, params: &Value) -> Response {
        let (message, of_message) = modern(method, params);
        let of_message: Vec<(&str, &str)> = of_message.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post(&[headers, &of_message[..]].concat(), &message)
    }

    /// Calls a tool with additional headers, and returns the protocol's result.
    fn call_as(&self, headers: &[(&str, &str)], tool: &str, arguments: &Value) -> Value {
        let answer = self.ask(headers, "tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(answer.status, 200, "{tool} {arguments}: {answer:?}");
        answer.json()["result"].take()
    }

    /// Calls a tool that must succeed, and returns its structured result.
    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let mut result = self.call_as(&[], tool, arguments);
        assert_eq!(result["isError"], false, "{tool} {arguments}: {result}");
        result["structuredContent"].take()
    }

    /// Calls a tool that must fail, and returns the problem.
    fn fault(&self, tool: &str, arguments: &Value) -> Value {
        problem(&self.call_as(&[], tool, arguments))
    }

    /// Walks a list to its end, and returns the ids of its items and the number of results.
    fn walk(&self, tool: &str, arguments: &Value) -> (Vec<u64>, usize) {
        let (mut ids, mut results, mut cursor) = (Vec::new(), 0, Value::Null);
        loop {
            let mut arguments = arguments.clone();
            arguments["cursor"] = cursor;
            let page = self.call(tool, &arguments);
            let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
            ids.extend(items.iter().filter_map(|item| item["id"].as_u64()));
            results += 1;
            cursor = page["nextCursor"].clone();
            if cursor.is_null() {
                return (ids, results);
            }
            assert!(results < 2_000, "a walk without an end: {page}");
        }
    }

    fn tools(&self, headers: &[(&str, &str)]) -> Vec<Value> {
        let answer = self.ask(headers, "tools/list", &json!({})).json();
        answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }
}

fn configured(upstream: &Upstream, directory: &Directory, route: &str, service: &str) -> String {
    let file = directory.file("rows.openapi.json");
    fs::write(&file, document().to_string()).expect("a file in the test's directory");
    let openapi = format!("openapi = {{ file = \"{}\", operation = \"GET /users\" }}", file.display());
    let users = format!(
        "{BY_SCORE}\npage_size = {{ max = 400 }}\nparameters = {{ filters = [\"score__gte\"] }}\n\
         old_clients = \"pass\"\n{route}\n{openapi}"
    );
    format!("{}{FURTHER}\n[services.mcp]\n{service}\n", configuration(upstream.address, BY_OFFSET, &users))
}

/// Returns a request of the protocol's modern era (version [`VERSION`]), with the headers that this era requires.
fn modern(method: &str, params: &Value) -> (Value, Vec<(&'static str, String)>) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut params = params.clone();
    params["_meta"] =
        json!({ "io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {} });
    let mut headers = vec![("MCP-Protocol-Version", VERSION.to_owned()), ("Mcp-Method", method.to_owned())];
    if let (Some(name), "tools/call") = (params["name"].as_str(), method) {
        headers.push(("Mcp-Name", name.to_owned()));
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    (json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }), headers)
}

/// Returns the problem in a result, and asserts that the result is an error.
fn problem(result: &Value) -> Value {
    assert_eq!((&result["isError"], result.get("structuredContent")), (&json!(true), None), "{result}");
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
    serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

/// Runs a walk with the official client from PyPI, and returns its report.
fn python(arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/mcp/walk.py");
    let mut command = Command::new("timeout");
    command.args(["300", "env"]).arg(environment("mcp/python/bin/python")).arg(script).args(arguments);
    let output = command.output().expect("it runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{complaints}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{arguments:?}: {fault}"))
}

/// Asserts that the report of a client has all rows in order, in this number of pages, by this version of the protocol.
fn check_walk(saw: &Value, version: &str, pages: usize) {
    let expected = in_order();
    let items = saw["items"].as_array().expect("items");
    let differing = items.iter().zip(&expected).enumerate().find(|(_, (walked, listed))| walked != listed);
    assert_eq!(differing, None, "place, walked, listed");
    assert_eq!((items.len(), &saw["pages"]), (expected.len(), &json!(pages)));
    assert_eq!((&saw["server"], &saw["totals"][0]), (&json!("cursorgate"), &json!(COUNT)));
    assert!(
        saw["levels"].as_array().is_some_and(|levels| {
            let (last, inner) = levels.split_last().expect("pages");
            inner.iter().all(|level| level == "exact") && last == "checked"
        }),
        "{}",
        saw["levels"]
    );
    if !saw["version"].is_null() {
        assert_eq!(saw["version"], version);
    }
    let names: Vec<&str> =
        saw["tools"].as_array().expect("tools").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["list_users", "list_team-users", "list_plain"]);
    assert_eq!(saw["wrong"]["isError"], true, "{}", saw["wrong"]);
    assert!(saw["wrong"]["text"].as_str().is_some_and(|text| text.contains("limit_invalid")), "{}", saw["wrong"]);
    assert_eq!(saw["unknown"], -32_602, "an unknown tool is an error of the protocol");
}

fn walked(route: &str) -> Tools {
    let rows = Rows::new([]);
    rows.change_of("Bearer one", |own| own.extend(self::rows()));
    Tools::start(rows, route, "")
}

#[test]
fn the_client_from_npm_walks_a_list() {
    for (route, limit, pages) in [("mode = \"keyset\"", 100, 11), ("mode = \"offset\"", 59, 17)] {
        let tools = walked(route);
        let arguments = json!({ "limit": limit }).to_string();
        for (which, version) in [("sdk", ""), ("client", "2025-11-25"), ("client-modern", VERSION)] {
            let saw = run_module("mcp", "walk.mjs", &[which, &tools.gateway.url("/mcp"), "list_users", &arguments]);
            check_walk(&saw, version, pages);
        }
    }
}

#[test]
fn the_client_from_pypi_walks_a_list() {
    let tools = walked("mode = \"keyset\"");
    for (mode, version) in [("legacy", "2025-11-25"), ("auto", VERSION)] {
        let saw = python(&[mode, &tools.gateway.url("/mcp"), "list_team-users", r#"{"limit":80,"team":"a"}"#]);
        // The call with a wrong limit lacks the team, which is checked after the limit.
        check_walk(&saw, version, 13);
    }
}

#[test]
fn tools_are_described_by_their_lists() {
    let service = "descriptions = { plain = \"Rows in no order.\" }\nnames = { team-users = \"members\" }\nitems = 50";
    let tools = Tools::start(Rows::count(9), "", service).tools(&[]);
    let names: Vec<&Value> = tools.iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["list_users", "list_members", "list_plain"]);
    let [users, members, plain] = &tools[..] else { panic!("three tools") };
    let says = |tool: &Value, text: &str| {
        let description = tool["description"].as_str().unwrap_or_default();
        assert!(description.contains(text), "{text}: {description}");
    };
    says(users, "People with their scores\n\nThose of the last game.\n\n");
    says(plain, "Rows in no order.\n\n");
    says(members, "`nextCursor`");
    let input = &users["inputSchema"]["properties"];
    assert_eq!((&input["limit"]["maximum"], &input["limit"]["default"]), (&json!(50), &json!(20)));
    assert_eq!(input["sort"]["items"]["enum"], json!(["score", "-score", "id", "-id"]));
    assert_eq!(
        (&input["parity"]["type"], &input["parity"]["description"]),
        (&json!("integer"), &json!("About parity"))
    );
    assert_eq!(input["score__gte"]["type"], json!(["string", "number", "boolean"]));
    assert!(input.get("offset").is_none(), "it pages: {input}");
    assert_eq!(plain["inputSchema"]["properties"].get("sort"), None);
    let members = &members["inputSchema"];
    assert_eq!((&members["required"], &members["additionalProperties"]), (&json!(["team"]), &json!(false)));
    // The upstream's document has a wrong type for `note`, but clients must still accept the items.
    let item = &users["outputSchema"]["properties"]["items"]["items"]["properties"];
    assert_eq!(item["score"]["description"], "(integer) The newest score");
    assert_eq!(item["note"], json!({ "description": "true or false" }));
    assert_eq!(users["annotations"]["readOnlyHint"], true);
}

#[test]
fn arguments_reach_the_list() {
    let tools = Tools::start(Rows::count(90), "", "");
    let ids = |tool: &str, arguments: Value| {
        let page = tools.call(tool, &arguments);
        page["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids("list_users", json!({ "limit": 3 })), [90, 89, 88]);
    assert_eq!(ids("list_users", json!({ "limit": 3, "sort": ["id"], "score__gte": 500 })), [50, 51, 52]);
    assert_eq!(ids("list_users", json!({ "limit": 2.0, "sort": ["-id"], "cursor": null })), [90, 89]);
    assert_eq!(ids("list_team-users", json!({ "limit": 1, "team": "a b ü" })), [90]);
    let asked = tools.upstream.requests().last().expect("a request").target.clone();
    assert!(asked.starts_with("/users?"), "{asked}");
    // Each call is one line in the log, and counts as one request of its client.
    let log = eventually("the lines of the calls", || Some(tools.gateway.access_log()).filter(|log| log.len() >= 8));
    let details: Vec<&Value> = log.iter().filter(|line| line["path"] == "/mcp").map(|line| &line["detail"]).collect();
    assert_eq!(details[0], "list_users: items: 3");
    assert_eq!(log.iter().filter(|line| line["route"] == "users").count(), 3);
    assert_eq!(metric(&tools.gateway, "cursorgate_requests_total{route=\"\",outcome=\"mcp\",status=\"2xx\"}"), 4);
    assert_eq!(metric(&tools.gateway, "cursorgate_requests_total{route=\"users\",outcome=\"page\",status=\"2xx\"}"), 3);
}

/// Results are bounded in bytes, and the cursor leads to the first item that is left out.
#[test]
fn results_that_are_cut_lose_no_item() {
    let rows: Vec<Row> = rows()
        .into_iter()
        .map(|row| Row { note: "ü".repeat(usize::try_from(row.id % 700).expect("small")), ..row })
        .collect();
    let mut expected = rows.clone();
    expected.sort_by_key(|row| (std::cmp::Reverse(row.score), row.id));
    let tools = Tools::start(Rows::new(rows), "mode = \"keyset\"", "result_size = \"4KiB\"");
    let cut = tools.call("list_users", &json!({ "limit": 100 }));
    let shown = cut["items"].as_array().map_or(0, Vec::len);
    assert!((2..100).contains(&shown), "{shown}");
    assert_eq!(cut["leftOut"], 100 - shown);
    let (ids, results) = tools.walk("list_users", &json!({ "limit": 100 }));
    assert_eq!(ids, expected.iter().map(|row| row.id).collect::<Vec<_>>());
    assert!(results > 100, "{results}");
}

#[test]
fn an_item_that_is_too_large_is_refused_with_a_cursor_past_it() {
    let rows = Rows::count(5);
    rows.change(|rows| rows[2].note = "n".repeat(5_000));
    let tools = Tools::start(rows, "", "result_size = \"4KiB\"");
    let page = tools.call("list_users", &json!({}));
    assert_eq!((page["items"].as_array().map(Vec::len), &page["leftOut"]), (Some(2), &json!(3)));
    let fault = tools.fault("list_users", &json!({ "cursor": page["nextCursor"] }));
    assert_eq!((&fault["code"], &fault["retryable"]), (&json!("result_too_large"), &json!(false)));
    let rest = tools.call("list_users", &json!({ "cursor": fault["nextCursor"] }));
    assert_eq!((&rest["items"][0]["id"], &rest["items"][1]["id"]), (&json!(2), &json!(1)));
    assert_eq!(rest["nextCursor"], Value::Null);
}

/// A list by token, whose items have no cursors of their own, is walked by the cursors of pages.
#[test]
fn lists_by_tokens_are_walked() {
    let rows = Rows::count(60);
    rows.change(|rows| rows.iter_mut().for_each(|row| row.note = "n".repeat(300)));
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let route = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nupstream_path = \"{path}/tokens\"";
    let text =
        format!("{}\n[services.mcp]\nresult_size = \"4KiB\"\n", configuration(upstream.address, BY_TOKEN, route));
    let tools = Tools { gateway: Gateway::start(&text), upstream, directory: Directory::new() };
    let fault = tools.fault("list_users", &json!({ "limit": 40 }));
    assert_eq!(fault["code"], "result_too_large", "{fault}");
    let detail = fault["detail"].as_str().expect("a detail");
    let limit: u64 =
        detail.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{detail}"));
    assert_eq!(tools.walk("list_users", &json!({ "limit": limit })).0, (1..=60).rev().collect::<Vec<_>>());
}

/// Numbers keep the upstream's digits, in the structured value and in the text.
#[test]
fn numbers_keep_their_digits() {
    let tools = Tools::answering("", "", |exchange| {
        let items = br#"{"total":1,"items":[{"id":1,"score":2,"n":123456789012345678901234567890,"f":1.10000000000000000001}]}"#;
        exchange.reply("200 OK", &[JSON], items)
    });
    let answer = tools.ask(&[], "tools/call", &json!({ "name": "list_users" }));
    let text = answer.text();
    for digits in ["123456789012345678901234567890", "1.10000000000000000001"] {
        assert_eq!(text.matches(digits).count(), 2, "{text}");
    }
}

#[test]
fn mcp_tools_are_limited_to_the_lists_of_the_requested_host() {
    let hosts = "hosts = [\"a.test\"]";
    let tools = Tools::start(Rows::count(3), hosts, "");
    let names = |host: &str| {
        let tools = tools.tools(&[("Host", host)]);
        tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(names("a.test:80"), ["list_users", "list_team-users", "list_plain"]);
    assert_eq!(names("b.test"), ["list_team-users", "list_plain"]);
    let call = json!({ "name": "list_users" });
    let here = tools.ask(&[("Host", "a.test")], "tools/call", &call).json();
    assert_eq!(here["result"]["isError"], false, "{here}");
    let there = tools.ask(&[("Host", "b.test")], "tools/call", &call).json();
    assert_eq!(there["error"]["code"], -32_602, "{there}");
}

/// After a reload, the tools are the tools of the new configuration.
#[test]
fn tools_are_those_of_the_configuration_in_force() {
    let tools = Tools::start(Rows::count(9), "", "");
    assert_eq!(tools.tools(&[]).len(), 3);
    let text = tools.gateway.configuration();
    tools.gateway.rewrite_raw(
        &text.replace("[services.mcp]", "[services.mcp]\nexcept = [\"plain\"]\nnames = { users = \"people\" }"),
    );
    tools.gateway.signal("HUP");
    eventually("the new tools", || (tools.tools(&[]).len() == 2).then_some(()));
    assert_eq!(tools.call("list_people", &json!({}))["total"], 9);
}

#[test]
fn many_tools_come_in_pages() {
    use std::fmt::Write as _;

    let directory = Directory::new();
    let rows = Rows::count(3);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let mut text = configured(&upstream, &directory, "", "");
    for number in 0..120 {
        write!(text, "\n[routes.n{number}]\npath = \"/n{number}\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\ndialect = \"rows\"\n")
            .expect("a text takes more");
    }
    let tools = Tools { gateway: Gateway::start(&text), upstream, directory };
    let (mut names, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let params = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let result = tools.ask(&[], "tools/list", &params).json()["result"].take();
        names.extend(result["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].to_string()));
        pages += 1;
        match result["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((count, names.len(), pages), (123, 123, 3));
    let wrong = tools.ask(&[], "tools/list", &json!({ "cursor": "list_nothing" })).json();
    assert_eq!(wrong["error"]["code"], -32_602, "{wrong}");
}

/// If a client closes its connection, the request of its call ends.
#[test]
fn a_call_ends_with_its_client() {
    let gate = Gate::default();
    let held = gate.clone();
    let tools = Tools::answering("", "", move |exchange| {
        held.wait();
        exchange.reply("200 OK", &[JSON], br#"{"total":0,"items":[]}"#)
    });
    let mut connection = tools.gateway.connect();
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "list_users" } }).to_string();
    let length = body.len();
    let head =
        format!("POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    connection.send(format!("{head}{body}").as_bytes()).expect("it is sent");
    eventually("the list is asked for", || (tools.upstream.count() == 1).then_some(()));
    drop(connection);
    let log = eventually("the lines of the call", || Some(tools.gateway.access_log()).filter(|log| log.len() >= 2));
    assert!(log.iter().all(|line| line["code"] == "client_gone"), "{log:?}");
    gate.open();
}
