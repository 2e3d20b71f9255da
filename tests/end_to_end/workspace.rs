//! Tests of a workspace API with seven lists by page, two of which take their filters from the body of a GET request.
//! Clients by cursor read all of them with the loop of the API's guide, and old clients get the service's own answers.

use std::{io, process::Command};

use serde_json::{Value, json};

use crate::harness::{
    gateway::Gateway,
    http,
    upstream::{After, Exchange, Upstream},
};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// A list of the API.
struct WorkspaceList {
    /// The path of the list, and the path with its parameters as a route has it.
    path: &'static str,
    route: &'static str,
    /// The parameters that requests need, with their values. An optional parameter begins with `?`.
    query: &'static [(&'static str, &'static str)],
    /// The members that the body of a request needs, with their values.
    body: &'static [(&'static str, &'static str)],
    /// The number of rows, and of rows in a page without a limit.
    rows: usize,
    default: usize,
}

const USUAL: WorkspaceList = WorkspaceList { path: "", route: "", query: &[], body: &[], rows: 57, default: 20 };

const LISTS: [WorkspaceList; 7] = [
    WorkspaceList {
        path: "/projects",
        route: "/projects",
        query: &[("teamId", "team-1"), ("userId", "user-2")],
        ..USUAL
    },
    WorkspaceList {
        path: "/projects/members",
        route: "/projects/members",
        body: &[("projectId", "project-3"), ("memberId", "user-2")],
        ..USUAL
    },
    WorkspaceList { path: "/teams/user-teams", route: "/teams/user-teams", query: &[("userId", "user-2")], ..USUAL },
    WorkspaceList { path: "/teams/members", route: "/teams/members", query: &[("teamId", "team-1")], ..USUAL },
    WorkspaceList {
        path: "/documents",
        route: "/documents",
        body: &[("projectId", "project-3"), ("userId", "user-2")],
        ..USUAL
    },
    WorkspaceList {
        path: "/audit-logs",
        route: "/audit-logs",
        query: &[("?action", "update")],
        rows: 133,
        default: 50,
        ..USUAL
    },
    WorkspaceList {
        path: "/audit-logs/user/user-2",
        route: "/audit-logs/user/{userId}",
        rows: 133,
        default: 50,
        ..USUAL
    },
];

impl WorkspaceList {
    /// Returns the number of the list, which begins its ids.
    fn number(&self) -> usize {
        LISTS.iter().position(|list| list.path == self.path).map_or(0, |place| (place + 1) * 1_000)
    }

    /// Returns the ids of the rows that a request with this filter sees, in order.
    fn ids(&self, is_filtered: bool) -> Vec<usize> {
        (1..=self.rows).filter(|row| !is_filtered || row % 2 == 0).map(|row| self.number() + row).collect()
    }

    fn body_text(&self) -> String {
        let members = self.body.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        Value::Object(members.collect()).to_string()
    }
}

/// The service, which refuses requests without what they need. Two rows share each time.
fn service(exchange: &mut Exchange) -> io::Result<After> {
    let body = exchange.body()?;
    let request = &exchange.request;
    let Some(list) = LISTS.iter().find(|list| list.path == request.path()) else {
        return exchange.reply("404 Not Found", &JSON, b"{\"error\":\"not found\"}");
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let has = |one: &(&str, &str)| one.0.starts_with('?') || request.parameter(one.0) == Some(one.1);
    let is_whole = list.query.iter().all(has) && list.body.iter().all(|(name, value)| body[*name] == *value);
    if !is_whole {
        return exchange.reply("400 Bad Request", &JSON, b"{\"error\":\"a parameter is missing\"}");
    }
    let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let ids = list.ids(request.parameter("action").is_some());
    let size = number("limit").unwrap_or(list.default).clamp(1, 100);
    let from = (number("page").unwrap_or(1).max(1) - 1) * size;
    let row = |id: &usize| {
        let minute = 300 - id % 1_000 / 2;
        json!({ "id": id, "createdAt": format!("2026-01-07T{:02}:{:02}:00Z", minute / 60, minute % 60), "name": "e\u{301}" })
    };
    let data: Vec<Value> = ids.iter().skip(from).take(size).map(row).collect();
    let meta = json!({ "page": from / size + 1, "limit": size, "total": ids.len() });
    exchange.reply("200 OK", &JSON, json!({ "data": data, "meta": meta }).to_string().as_bytes())
}

fn configuration(upstream: &Upstream) -> String {
    let mut text = format!(
        "other_paths = \"service\"\n[upstreams.service]\npeers = [\"{}\"]\n[defaults]\nupstream = \"service\"\ndialect = \"own\"\n\
         envelope = \"page-info\"\norder = [\"-createdAt\", \"id\"]\nold_clients = \"pass\"\n\
         [dialects.own]\nrequest = {{ query = \"page={{page}}&limit={{size}}\" }}\nsize = {{ max = 100 }}\n\
         response = {{ items = \"/data\", total = \"/meta/total\" }}\n",
        upstream.address
    );
    for list in &LISTS {
        text.push_str(&format!(
            "[routes.list_{}]\npath = \"{}\"\nnew_clients = {{ path = \"/v2{}\" }}\n\
             page_size = {{ default = {}, max = 100 }}\n\
             fields = {{ id = {{ type = \"number\" }}, createdAt = {{ type = \"datetime\", nulls = \"none\" }} }}\n",
            list.number(),
            list.route,
            list.route,
            list.default
        ));
    }
    text
}

/// Runs the client with these arguments, and returns the ids that it read from each list.
fn read(arguments: &[&str]) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/workspace/client.mjs");
    let mut command = Command::new("node");
    command.arg(script).args(arguments).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn clients_of_the_guide_read_all_seven_lists() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&configuration(&upstream));
    let expected: serde_json::Map<String, Value> = LISTS
        .iter()
        .map(|list| (list.path.to_owned(), json!(list.ids(list.query.contains(&("?action", "update"))))))
        .collect();
    let expected = Value::Object(expected);
    // The loop is unchanged: another base URL, or the first cursor, is all that such a client needs.
    assert_eq!(read(&[&gateway.url("/v2")]), expected, "by the second path");
    assert_eq!(read(&[&gateway.url(""), "start"]), expected, "by the first cursor");
    let first = gateway.get("/v2/audit-logs");
    assert_eq!(first.json()["data"].as_array().map(Vec::len), Some(50), "a list keeps its own default: {first:?}");
    assert_eq!(first.json()["pageInfo"]["totalCount"], 133, "{first:?}");
    // A cursor belongs to the members of the body with which it was made.
    let members = &LISTS[1];
    let page = gateway.send("GET", "/v2/projects/members", &JSON, members.body_text().as_bytes());
    let cursor = page.json()["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned();
    let other = members.body_text().replace("project-3", "project-4");
    let target = format!("/v2/projects/members?cursor={cursor}");
    let refused = gateway.send("GET", &target, &JSON, other.as_bytes());
    assert_eq!(refused.outcome(), "400 cursor_mismatch", "{refused:?}");
}

#[test]
fn requests_of_old_clients_are_unchanged_on_all_seven_lists() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&configuration(&upstream));
    for list in &LISTS {
        let query = list.query.iter().map(|(name, value)| format!("{}={value}", name.trim_start_matches('?')));
        let needed = query.collect::<Vec<_>>().join("&");
        let body = if list.body.is_empty() { String::new() } else { list.body_text() };
        let olds = ["", "limit=5", "page=2", "page=3&limit=7", "limit=0", "page=900", "cursor=abc", "after=2026-01-01"];
        for old in olds {
            for query in [needed.as_str(), ""] {
                let target = format!("{}?{query}&{old}", list.path);
                let through = gateway.send("GET", &target, &JSON, body.as_bytes());
                let direct = http::send(upstream.address, "GET", &target, &JSON, body.as_bytes());
                assert_eq!((through.status, &through.body), (direct.status, &direct.body), "{target}");
                for name in ["content-type", "content-length", "link", "vary", "etag"] {
                    assert_eq!(through.header(name), direct.header(name), "{name} of {target}");
                }
            }
        }
    }
    let unknown = "/projects/7?fields=id";
    assert_eq!(gateway.get(unknown).body, http::get(upstream.address, unknown).body, "other paths pass");
}
