//! Tests of GraphQL: lists as connections, which unmodified clients walk; queries beyond the limits, which are refused
//! before a list is read; and the requests that a query makes.

mod refused;

use std::{fs, io, path::Path};

use serde_json::{Value, json};

use crate::{
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http::{Response, encode},
        metric,
        rows::{BY_OFFSET, BY_SCORE, BY_TOKEN, Row, Rows, configuration},
        upstream::{After, Exchange, Upstream},
    },
    third_party::run_module,
};

const COUNT: u64 = 1_003;
const JSON: (&str, &str) = ("Content-Type", "application/json");
const OWN: (&str, &str) = ("Accept", "application/graphql-response+json");

/// Returns an OpenAPI document that describes the rows. The gateway takes the types of the items from it.
fn document() -> Value {
    let row = json!({
        "type": "object",
        "description": "A row",
        "properties": {
            "id": { "type": "integer", "format": "int32" },
            "score": { "type": "integer", "description": "The newest score" },
            "note": { "type": "string", "nullable": true },
            "above": { "$ref": "#/components/schemas/Row" },
            "kin": { "type": "array", "items": { "$ref": "#/components/schemas/Row" } },
            "tags": { "type": "object", "additionalProperties": { "type": "string" } },
            "odd name": { "type": "array", "items": { "type": "number" } },
            "__own": { "type": "boolean" },
            "address": { "type": "object", "properties": { "street": { "type": "string" } } },
        },
    });
    let parameter = |name: &str, kind: &str| json!({ "name": name, "in": "query", "schema": { "type": kind } });
    let answer = json!({ "type": "object", "properties": { "items": { "type": "array", "items": { "$ref": "#/components/schemas/Row" } } } });
    json!({
        "openapi": "3.0.3",
        "paths": { "/users": { "get": {
            "parameters": [parameter("limit", "integer"), parameter("offset", "integer"), parameter("parity", "integer"), parameter("sort", "string")],
            "responses": { "200": { "content": { "application/json": { "schema": answer } } } },
        } } },
        "components": { "schemas": { "Row": row } },
    })
}

/// Rows of which up to eight share a score. They are neither in the order of the list nor in the order of their ids.
fn rows() -> Vec<Row> {
    (1..=COUNT).map(|place| place * 397 % 1_009).map(|id| Row::new(id, id * 31 % 131)).collect()
}

/// A gateway with GraphQL in front of rows whose items have types.
struct Lists {
    gateway: Gateway,
    upstream: Upstream,
    rows: Rows,
    _directory: Directory,
}

impl Lists {
    /// Starts the gateway. `route` contains lines for the table of the list, and `service` lines for
    /// `[services.graphql]`.
    fn start(rows: Rows, route: &str, service: &str) -> Self {
        let served = rows.clone();
        Self::answering(rows, route, service, move |exchange| served.answer(exchange))
    }

    fn answering(
        rows: Rows,
        route: &str,
        service: &str,
        answer: impl Fn(&mut Exchange) -> io::Result<After> + Clone + Send + Sync + 'static,
    ) -> Self {
        let directory = Directory::new();
        let upstream = Upstream::start(answer);
        let gateway = Gateway::start(&configured(&upstream, &directory, route, service));
        Self { gateway, upstream, rows, _directory: directory }
    }

    fn ask(&self, query: &str) -> Value {
        let answer = self.post(&[], &json!({ "query": query }));
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json()
    }

    fn post(&self, headers: &[(&str, &str)], request: &Value) -> Response {
        self.gateway.send("POST", "/graphql", &[headers, &[JSON]].concat(), request.to_string().as_bytes())
    }

    /// Returns the data of a query, which must have no errors.
    fn data(&self, query: &str) -> Value {
        let mut answer = self.ask(query);
        assert_eq!(answer.get("errors"), None, "{query}: {answer}");
        answer["data"].take()
    }
}

fn configured(upstream: &Upstream, directory: &Directory, route: &str, service: &str) -> String {
    let file = directory.file("rows.openapi.json");
    fs::write(&file, document().to_string()).expect("a file in the test's directory");
    let openapi = |file: &Path| format!("openapi = {{ file = \"{}\", operation = \"GET /users\" }}", file.display());
    let users = format!(
        "{BY_SCORE}\npage_size = {{ max = 400 }}\nparameters = {{ filters = [\"score__gte\"] }}\n\
             old_clients = \"pass\"\n{route}"
    );
    let users = configuration(upstream.address, BY_OFFSET, &format!("{users}\n{}", openapi(&file)));
    let fields =
        "fields = { id = { type = \"number\", nulls = \"none\" }, score = { type = \"number\", nulls = \"none\" } }";
    format!(
        "{users}\n[routes.team-users]\npath = \"/teams/{{team}}/users\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"rows\"\n{fields}\n{BY_SCORE}\n\n[routes.plain]\npath = \"/plain\"\nupstream_path = \"/users\"\n\
         upstream = \"legacy\"\ndialect = \"rows\"\n\n[services.graphql]\n{service}\n"
    )
}

fn code(error: &Value) -> &str {
    error["extensions"]["code"].as_str().unwrap_or_default()
}

/// Runs a client program, and returns the JSON that it prints.
fn run(file: &str, arguments: &[&str]) -> Value {
    run_module("graphql", file, arguments)
}

/// Asserts that each walk of a client contains exactly the rows, in order. Pages are read once by filters and once by
/// offset.
fn walk(file: &str, names: &[&str]) {
    let mut expected = rows();
    expected.sort_by_key(|row| (std::cmp::Reverse(row.score), row.id));
    let expected: Vec<Value> = expected.iter().map(|row| serde_json::from_str(&row.json()).expect("JSON")).collect();
    for (limit, mode) in [("100", "mode = \"keyset\""), ("59", "mode = \"offset\"")] {
        let lists = Lists::start(Rows::new(rows()), mode, "");
        let saw = run(file, &[&lists.gateway.url("/graphql"), limit]);
        let walks = saw["walks"].as_object().expect("walks");
        assert_eq!(walks.keys().collect::<Vec<_>>(), names);
        for (name, items) in walks {
            let items = items.as_array().expect("items");
            let differing = items.iter().zip(&expected).enumerate().find(|(_, (walked, listed))| walked != listed);
            assert_eq!(differing, None, "{file} {limit}, {name}: place, walked, listed");
            assert_eq!(items.len(), expected.len(), "{file} {limit}, {name}");
        }
        assert_eq!(saw["total"], COUNT, "{file} {limit}");
    }
}

#[test]
fn apollo_walks_both_ways() {
    walk("apollo.mjs", &["by hash", "by hash, GET", "first, after", "last, before", "spliced"]);
}

#[test]
fn urql_walks_both_ways() {
    walk("urql.mjs", &["by hash", "first, after", "last, before"]);
}

#[test]
fn graphql_js_accepts_the_schema() {
    let lists = Lists::start(Rows::count(3), "", "introspection = true");
    let right = "{ users(first: 2, sort: [SCORE_DESC, ID_ASC], score__gte: 5, parity: \"1\", filters: [{ name: \"id__lte\", value: 7 }]) \
                 { totalCount guarantee unproven edges { cursor node { id score note above { kin { id } } tags odd_name _own address { street } } } \
                 pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } teamUsers(team: 7) { edges { node } } }";
    let wrong = "{ users(first: \"2\") { items } teamUsers { edges { node { id } } } }";
    let saw = run("schema.mjs", &[&lists.gateway.url("/graphql"), right, wrong]);
    assert_eq!((&saw["faults"], &saw["queries"][0]), (&json!([]), &json!([])), "{}", saw["schema"]);
    assert_eq!(saw["queries"][1].as_array().map(Vec::len), Some(4), "{saw}");
    let schema = saw["schema"].as_str().expect("a schema");
    for line in [
        "enum Guarantee {",
        "  edges: [UsersEdge!]!",
        "  node: Row\n",
        "  node: JSON\n",
        "  id: Int\n",
        "  score: BigInt\n",
        "  above: Row\n",
        "  kin: [Row]\n",
        "  odd_name: [Float]\n",
        "  address: RowAddress\n",
        "  totalCount: Int\n",
        "team: ID!",
        "score__gte: FilterValue",
        "sort: [UsersSort!]",
    ] {
        assert!(schema.contains(line), "{line}:\n{schema}");
    }
    assert!(!schema.contains("offset:") && !schema.contains("limit:"), "they page: {schema}");
    // Valid queries are executed.
    let data = lists.data(right);
    assert_eq!(data["users"]["totalCount"], 2, "of three rows two have odd ids: {data}");
}

/// Each list in a query takes one request to the upstream, at any depth of the selection, and even if it is selected
/// several times.
#[test]
fn a_list_is_one_request() {
    let rows = Rows::count(300);
    let lists = Lists::start(rows, "total = \"count\"", "");
    let asked = |query: &str| {
        let before = lists.upstream.count();
        let data = lists.data(query);
        (data, lists.upstream.count() - before)
    };
    let (data, count) = asked(
        "{ users(first: 250) { guarantee nodes { id } edges { cursor node { id score note above { id } kin { id } } } pageInfo { hasNextPage endCursor } } }",
    );
    assert_eq!((count, data["users"]["edges"].as_array().map(Vec::len)), (1, Some(250)));
    assert_eq!(
        (&data["users"]["guarantee"], &data["users"]["pageInfo"]["hasNextPage"]),
        (&json!("EXACT"), &json!(true))
    );
    assert_eq!(
        data["users"]["edges"][0]["node"],
        json!({ "id": 300, "score": 3000, "note": "row 300", "above": null, "kin": null })
    );
    let nodes = data["users"]["nodes"].as_array().expect("the nodes");
    assert_eq!((nodes.len(), &nodes[249]["id"]), (250, &data["users"]["edges"][249]["node"]["id"]));
    assert_eq!(data["users"]["edges"][249]["cursor"], data["users"]["pageInfo"]["endCursor"]);
    let (data, count) = asked(
        "query Twice { users(first: 2) { edges { node { id } } } ...Again ... on Query { users(first: 2) { edges { cursor } } } } \
         fragment Again on Query { users(first: 2) { edges { node { score } } pageInfo { hasNextPage } } }",
    );
    assert_eq!(count, 1, "one field, named three times");
    assert_eq!(data["users"]["edges"][1]["node"], json!({ "id": 299, "score": 2990 }));
    assert!(data["users"]["edges"][1]["cursor"].is_string() && data["users"]["pageInfo"]["hasNextPage"] == true);
    let (data, count) = asked(
        "{ a: users(first: 1) { edges { node { id } } } b: users(last: 1) { edges { node { id } } } plain(first: 1) { edges { node } } }",
    );
    assert_eq!(count, 3, "aliases are lists of their own");
    assert_eq!((&data["a"]["edges"][0]["node"]["id"], &data["b"]["edges"][0]["node"]["id"]), (&json!(300), &json!(1)));
    assert_eq!(data["plain"]["edges"][0]["node"], json!({ "id": 1, "score": 10, "note": "row 1" }));
    let log = eventually("the lines of the queries", || Some(lists.gateway.access_log()).filter(|log| log.len() >= 8));
    let details: Vec<&Value> =
        log.iter().filter(|line| line["path"] == "/graphql").map(|line| &line["detail"]).collect();
    assert_eq!(details, ["lists: 1 read, 0 failed", "lists: 1 read, 0 failed", "lists: 3 read, 0 failed"]);
    assert_eq!(log.iter().filter(|line| line["route"] == "users").count(), 4);
    assert_eq!(metric(&lists.gateway, "cursorgate_requests_total{route=\"\",outcome=\"graphql\",status=\"2xx\"}"), 3);
    assert_eq!(metric(&lists.gateway, "cursorgate_requests_total{route=\"users\",outcome=\"page\",status=\"2xx\"}"), 4);
}

/// If the total of a list takes a separate request, that request is sent only if the query selects the total.
#[test]
fn a_total_is_counted_only_where_it_is_selected() {
    let (rows, directory) = (Rows::count(40), Directory::new());
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let text = configured(&upstream, &directory, "total = \"count\"", "");
    let text = text.replace(", total = \"/total\"", "");
    let text = format!("{text}\n[dialects.rows.count]\npath = \"{{path}}/count\"\ntotal = \"/count\"\n");
    let gateway = Gateway::start(&text);
    let ask = |query: &str| {
        let before = upstream.count();
        let answer = gateway.send("POST", "/graphql", &[JSON], json!({ "query": query }).to_string().as_bytes());
        (answer.json()["data"]["users"]["totalCount"].clone(), upstream.count() - before)
    };
    assert_eq!(ask("{ users(first: 5) { edges { node { id } } } }"), (Value::Null, 1));
    assert_eq!(ask("{ users(first: 5) { totalCount } }"), (json!(40), 2));
    assert_eq!(ask("{ users(first: 5) { ...T } } fragment T on UsersConnection { totalCount }"), (json!(40), 2));
    assert_eq!(ask("{ users(first: 5) { totalCount @skip(if: true) pageInfo { hasNextPage } } }"), (Value::Null, 1));
}

#[test]
fn clients_see_their_own_lists() {
    let rows = Rows::count(5);
    rows.change_of("Bearer one", |own| own.extend((1..=2).map(|id| Row::new(id, id))));
    rows.change_of("Bearer two", |own| own.extend((11..=13).map(|id| Row::new(id, id))));
    let lists = Lists::start(rows, "", "");
    let query = json!({ "query": "query($after: String) { users(first: 2, after: $after) { edges { node { id } } pageInfo { endCursor } } }" });
    let ids = |client: &str, request: &Value| {
        let answer = lists.post(&[("Authorization", client)], request).json();
        let edges = answer["data"]["users"]["edges"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        let ids: Vec<u64> = edges.iter().filter_map(|edge| edge["node"]["id"].as_u64()).collect();
        (ids, answer["data"]["users"]["pageInfo"]["endCursor"].clone())
    };
    let (one, _) = ids("Bearer one", &query);
    let (two, end) = ids("Bearer two", &query);
    assert_eq!((one, two), (vec![2, 1], vec![13, 12]));
    let mut next = query.clone();
    next["variables"] = json!({ "after": end });
    assert_eq!(ids("Bearer two", &next).0, [11]);
    // A cursor grants no rights: another client gets the next page of its own list.
    assert_eq!(ids("Bearer one", &next).0, [2, 1]);
    // A client can't choose the envelope that is reserved for inner requests.
    let headers = [("Cursorgate-Form", "connection"), ("Authorization", "Bearer one")];
    let plain = lists.gateway.send("GET", "/users?limit=1&cursor=start", &headers, b"");
    assert!(plain.json()["data"].is_array(), "{plain:?}");
    assert_eq!(lists.post(&headers, &query).json()["data"]["users"]["edges"][0]["node"]["id"], 2);
}

#[test]
fn faults_have_the_codes_of_problems() {
    let rows = Rows::count(50);
    let served = rows.clone();
    let lists = Lists::answering(rows, "", "", move |exchange| match exchange.request.header("authorization") {
        Some("Bearer no") => exchange.reply("401 Unauthorized", &[JSON], br#"{"code":"mine","detail":"secret"}"#),
        Some("Bearer down") => exchange.reply("500 Internal Server Error", &[JSON], b"{}"),
        _ => served.answer(exchange),
    });
    let faults = |client: &str, query: &str| {
        let answer = lists.post(&[("Authorization", client), OWN], &json!({ "query": query }));
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut body = answer.json();
        (body["data"].take(), body["errors"].as_array().cloned().unwrap_or_default())
    };
    lists.rows.change_of("Bearer one", |own| own.extend((1..=3).map(|id| Row::new(id, id))));
    let (data, errors) = faults(
        "Bearer one",
        "{ users(first: 1) { edges { node { id } } } bad: users(after: \"x\") { totalCount } zero: users(first: 0) { totalCount } \
         both: users(first: 1, last: 1) { totalCount } range: users(first: 1, before: \"x\") { totalCount } \
         other: users(filters: [{ name: \"cursorgate.after\", value: \"x\" }]) { totalCount } up: teamUsers(team: \"..\") { totalCount } \
         in: teamUsers(team: \"a/b\") { totalCount } }",
    );
    assert_eq!(data["users"]["edges"][0]["node"]["id"], 3, "one list's fault is not another's");
    let mut found: Vec<(String, String)> = errors
        .iter()
        .map(|error| (error["path"][0].as_str().unwrap_or_default().to_owned(), code(error).to_owned()))
        .collect();
    found.sort();
    let expected = [
        ("bad", "cursor_invalid"),
        ("both", "parameter_conflict"),
        ("in", "route_not_found"),
        ("other", "parameter_invalid"),
        ("range", "range_unsupported"),
        ("up", "request_invalid"),
        ("zero", "limit_invalid"),
    ];
    assert_eq!(found, expected.map(|(field, code)| (field.to_owned(), code.to_owned())), "{errors:?}");
    for (field, _) in expected {
        assert_eq!(data[field], Value::Null, "{field}");
    }
    assert!(errors.iter().all(|error| !error["message"].to_string().contains("cursorgate.f")), "{errors:?}");
    assert!(errors.iter().all(|error| error["locations"][0]["line"] == 1), "{errors:?}");
    for (client, code, status) in
        [("Bearer no", "credentials_refused", 401), ("Bearer down", "upstream_unavailable", 502)]
    {
        let (data, errors) = faults(client, "{ users { totalCount } }");
        assert_eq!((data, errors.len()), (json!({ "users": null }), 1));
        assert_eq!(errors[0]["extensions"]["code"], code, "{errors:?}");
        assert_eq!(errors[0]["extensions"]["status"], status, "{errors:?}");
        assert!(!errors[0]["message"].to_string().contains("secret"), "{errors:?}");
    }
}

#[test]
fn limits_hold_for_lists_of_queries() {
    let lists = Lists::start(Rows::count(9), "rate_limit = { requests = 5, per = \"1h\" }", "at_once = 1");
    let fields: String = (0..8).map(|number| format!("a{number}: users(first: 1) {{ totalCount }} ")).collect();
    let answer = lists.ask(&format!("{{ {fields} }}"));
    let errors = answer["errors"].as_array().expect("errors");
    assert_eq!((errors.len(), lists.upstream.count()), (3, 5));
    for error in errors {
        assert_eq!((code(error), &error["extensions"]["status"]), ("rate_limited", &json!(429)));
        assert!(error["extensions"]["retryAfter"].as_u64().is_some_and(|wait| wait > 0), "{error}");
    }
}

/// Numbers have the digits of the upstream. A value of another type is an error of its field only.
#[test]
fn graphql_values_keep_their_bytes_and_wrong_types_are_null() {
    const ITEM: &str = r#"{"id":1,"score":123456789012345678901234567890,"note":"é\u00e9\ud83d\ude00<","above":{"id":2,"above":null},"kin":[{"id":3},null,{"id":4}],"tags":{ "a" : 1.50e+3 },"odd name":[1.10,1E+2],"__own":true,"address":{"street":7}}"#;
    const WRONG: &str =
        r#"{"id":4294967296,"score":"7","note":["x"],"above":"y","kin":{},"odd name":[true],"__own":0,"address":[]}"#;
    let lists = Lists::answering(Rows::count(0), "verify = \"never\"", "", |exchange| {
        exchange.reply("200 OK", &[JSON], format!(r#"{{"total":2,"items":[{ITEM},{WRONG}]}}"#).as_bytes())
    });
    let fields = "id score note above { id above { id } } kin { id } tags odd_name _own address { street }";
    let query =
        format!("{{ plain(first: 2) {{ edges {{ node }} }} users(first: 2) {{ edges {{ node {{ {fields} }} }} }} }}");
    let answer = lists.post(&[], &json!({ "query": query }));
    let text = answer.text();
    assert!(text.contains(&format!(r#"{{"node":{ITEM}}},{{"node":{WRONG}}}"#)), "{text}");
    for part in [
        r#""score":123456789012345678901234567890"#,
        r#""note":"é\u00e9\ud83d\ude00<""#,
        r#""tags":{ "a" : 1.50e+3 }"#,
        r#""odd_name":[1.10,1E+2]"#,
        r#""kin":[{"id":3},null,{"id":4}]"#,
        r#""address":{"street":"7"}"#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let body = answer.json();
    let nulls = json!({ "id": null, "score": null, "note": null, "above": null, "kin": null, "tags": null, "odd_name": null, "_own": null, "address": null });
    assert_eq!(body["data"]["users"]["edges"][1]["node"], nulls);
    let errors = body["errors"].as_array().expect("errors");
    let mut places: Vec<String> =
        errors.iter().map(|error| error["path"][4].as_str().unwrap_or_default().to_owned()).collect();
    places.sort();
    assert_eq!(places, ["_own", "above", "address", "id", "kin", "note", "odd_name", "score"]);
    assert!(errors.iter().all(|error| code(error) == "upstream_malformed" && error["path"][2] == 1), "{errors:?}");
}

/// If the document is wrong about every item, the number of errors is still bounded.
#[test]
fn errors_are_bounded() {
    let lists = Lists::answering(Rows::count(0), "verify = \"never\"", "", |exchange| {
        let items: Vec<String> = (1..=90)
            .map(|id| format!(r#"{{"id":{id},"score":{},"note":{{}},"_own":1,"__own":1}}"#, 1_000 - id))
            .collect();
        exchange.reply("200 OK", &[JSON], format!(r#"{{"total":90,"items":[{}]}}"#, items.join(",")).as_bytes())
    });
    let answer = lists.ask("{ users(first: 90) { edges { node { id note _own } } } }");
    let errors = answer["errors"].as_array().expect("errors");
    assert_eq!(
        (errors.len(), errors[100]["message"].as_str()),
        (101, Some("80 further errors are left out")),
        "{}",
        errors[100]
    );
    assert_eq!(answer["data"]["users"]["edges"][89]["node"], json!({ "id": 90, "note": null, "_own": null }));
}

#[test]
fn requests_follow_graphql_over_http() {
    let lists = Lists::start(Rows::count(9), "", "");
    let query = "query A { users(first: 1) { edges { node { id } } } } query B($n: Int) { users(last: $n) { edges { node { id } } } }";
    let request = json!({ "query": query, "operationName": "B", "variables": { "n": 1 }, "more": [] });
    let (own, plain) = (lists.post(&[OWN], &request), lists.post(&[("Accept", "*/*")], &request));
    for (answer, kind) in
        [(&own, "application/graphql-response+json; charset=utf-8"), (&plain, "application/json; charset=utf-8")]
    {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.json(), json!({ "data": { "users": { "edges": [{ "node": { "id": 1 } }] } } }));
    }
    let wrong = json!({ "query": "{ nothing }" });
    assert_eq!((lists.post(&[OWN], &wrong).status, lists.post(&[], &wrong).status), (400, 200));
    let send = |method: &str, target: &str, headers: &[(&str, &str)], body: &str| {
        lists.gateway.send(method, target, headers, body.as_bytes())
    };
    let target =
        format!("/graphql?query={}&operationName=B&variables={}", encode(query.as_bytes()), encode(b"{\"n\":1}"));
    for header in [("GraphQL-Require-Preflight", "1"), ("Apollo-Require-Preflight", "true"), JSON] {
        assert_eq!(send("GET", &target, &[header, OWN], "").body, own.body, "{header:?}");
    }
    assert_eq!(
        send("GET", &target, &[OWN], "").outcome(),
        "400 request_invalid",
        "a page of another origin could send it"
    );
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = send("POST", "/graphql", &[("Content-Type", kind)], &request.to_string());
        assert_eq!(answer.outcome(), "415 media_type_unsupported", "{kind}");
    }
    for (body, outcome) in [
        ("", "400 body_invalid"),
        ("{\"query\":7}", "400 body_invalid"),
        ("{\"query\":\"{a}\",\"variables\":[]}", "400 body_invalid"),
    ] {
        assert_eq!(send("POST", "/graphql", &[JSON], body).outcome(), outcome, "{body}");
    }
    assert_eq!(send("GET", "/graphql?query=%ff", &[JSON], "").outcome(), "400 parameter_invalid");
    assert_eq!(send("GET", "/graphql?variables=x", &[JSON], "").outcome(), "400 parameter_invalid");
    for (method, target) in [("PUT", "/graphql"), ("POST", "/graphql/"), ("GET", "/graphql/x")] {
        assert_eq!(send(method, target, &[JSON], "").outcome(), "404 route_not_found", "{method} {target}");
    }
    let hash = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } } });
    let unknown = lists.post(&[], &hash).json();
    assert_eq!(
        (unknown["errors"][0]["message"].as_str(), code(&unknown["errors"][0])),
        (Some("PersistedQueryNotFound"), "PERSISTED_QUERY_NOT_FOUND")
    );
}

/// The page for browsers has no external resources, and runs only its own script.
#[test]
fn a_browser_gets_the_page_if_it_is_configured() {
    const HTML: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let rows = Rows::count(3);
    rows.change_of("Bearer one", |own| own.push(Row::new(7, 7)));
    let lists = Lists::start(rows, "", "introspection = true\npage = true");
    let page = lists.gateway.send("GET", "/graphql", &[HTML], b"");
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("//") || !page.text().contains("src="), "nothing is loaded");
    let target = format!("/graphql?query={}", encode(b"{ users { totalCount } }"));
    assert_eq!(lists.gateway.send("GET", &target, &[HTML, JSON], b"").json()["data"]["users"]["totalCount"], 3);
    let url = lists.gateway.url("/graphql");
    let saw = run_module("browser", "graphql.mjs", &[&url, "Bearer one"]);
    let answer = saw["answer"].as_str().unwrap_or_default();
    assert!(answer.starts_with("Answer: 200") && answer.contains("\"note\": \"row 7\""), "{saw}");
    assert!(saw["refusal"].as_str().is_some_and(|said| said.contains("query_invalid")), "{saw}");
    assert_eq!((&saw["types"][0], &saw["injected"]), (&json!("Query"), &json!(false)), "{saw}");
    assert_eq!((&saw["complaints"], &saw["asked"]), (&json!([]), &json!([url])), "{saw}");
    let without = Lists::start(Rows::count(3), "", "");
    assert_eq!(without.gateway.send("GET", "/graphql", &[HTML], b"").outcome(), "400 request_invalid");
}

/// Lists by token have no cursors of items, and are walked by the cursors of pages.
#[test]
fn lists_by_tokens_are_walked() {
    let rows = Rows::count(30);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let route = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nupstream_path = \"{path}/tokens\"";
    let text = format!("{}\n[services.graphql]\n", configuration(upstream.address, BY_TOKEN, route));
    let gateway = Gateway::start(&text);
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let request = json!({ "query": "query($after: String) { users(first: 7, after: $after) { edges { cursor node } pageInfo { hasNextPage endCursor } } }", "variables": { "after": after } });
        let answer = gateway.send("POST", "/graphql", &[JSON], request.to_string().as_bytes()).json();
        let users = &answer["data"]["users"];
        seen.extend(
            users["edges"]
                .as_array()
                .unwrap_or_else(|| panic!("{answer}"))
                .iter()
                .filter_map(|edge| edge["node"]["id"].as_u64()),
        );
        if users["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = users["pageInfo"]["endCursor"].clone();
        assert!(after.is_string() && seen.len() < 30, "{answer}");
    }
    assert_eq!(seen, (1..=30).rev().collect::<Vec<_>>());
}

/// After a reload, the schema has the names of the new configuration.
#[test]
fn a_reload_changes_the_schema() {
    let lists = Lists::start(Rows::count(9), "", "");
    assert!(lists.ask("{ people { totalCount } }").get("data").is_none());
    let text = lists.gateway.configuration();
    let names = "[services.graphql]\nnames = { users = \"people\" }\nexcept = [\"plain\"]";
    lists.gateway.rewrite_raw(&text.replace("[services.graphql]", names));
    lists.gateway.signal("HUP");
    eventually("the new schema", || lists.ask("{ people { totalCount } }").get("data").map(|_| ()));
    for query in ["{ users { totalCount } }", "{ plain { totalCount } }"] {
        assert_eq!(code(&lists.ask(query)["errors"][0]), "query_invalid", "{query}");
    }
}

#[test]
fn fields_that_look_alike_have_their_own_types() {
    let lists = Lists::start(Rows::count(9), "", "");
    let names = "[services.graphql]\nnames = { users = \"people\", plain = \"People\" }";
    lists.gateway.rewrite_raw(&lists.gateway.configuration().replace("[services.graphql]", names));
    lists.gateway.signal("HUP");
    let query = "{ people { __typename totalCount } People { __typename totalCount } }";
    let data = eventually("the new schema", || lists.ask(query).get("data").cloned());
    let types = [&data["people"]["__typename"], &data["People"]["__typename"]];
    assert_eq!(types, ["PeopleConnection", "People2Connection"], "{data}");
}

/// If a client disconnects, the gateway ends the requests to the upstream for its query.
#[test]
fn a_query_ends_with_its_client() {
    let gate = crate::harness::upstream::Gate::default();
    let held = gate.clone();
    let lists = Lists::answering(Rows::count(0), "", "", move |exchange| {
        held.wait();
        exchange.reply("200 OK", &[JSON], br#"{"total":0,"items":[]}"#)
    });
    let mut connection = lists.gateway.connect();
    let body = json!({ "query": "{ users { totalCount } plain { totalCount } }" }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.send(head.as_bytes()).expect("it is sent");
    eventually("both lists are asked for", || (lists.upstream.count() == 2).then_some(()));
    drop(connection);
    let log = eventually("the lines of the query", || Some(lists.gateway.access_log()).filter(|log| log.len() >= 3));
    assert!(log.iter().all(|line| line["code"] == "client_gone"), "{log:?}");
    gate.open();
}

/// Some clients send a body with each request, also in a packet after the head.
#[test]
fn a_late_body_that_nobody_reads_does_not_end_a_request() {
    let gate = crate::harness::upstream::Gate::default();
    let held = gate.clone();
    let lists = Lists::answering(Rows::count(0), "", "", move |exchange| {
        held.wait();
        exchange.reply("200 OK", &[JSON], br#"{"total":0,"items":[]}"#)
    });
    let mut connection = lists.gateway.connect();
    let head = "GET /graphql?query=%7Busers%7BtotalCount%7D%7D HTTP/1.1\r\nHost: x\r\n\
                Content-Type: application/json\r\nContent-Length: 2\r\n\r\n";
    connection.send(head.as_bytes()).expect("it is sent");
    eventually("the list is asked for", || (lists.upstream.count() == 1).then_some(()));
    connection.send(b"{}").expect("it is sent");
    // A gateway that takes the body for the end of the connection writes the line of the request now.
    std::thread::sleep(std::time::Duration::from_millis(50));
    gate.open();
    let answer = connection.response("GET").expect("an answer");
    assert_eq!(answer.json()["data"]["users"]["totalCount"], 0, "{answer:?}");
    let next = connection.send(head.replace("Content-Length: 2\r\n", "").as_bytes());
    next.expect("the connection stays open");
    assert_eq!(connection.response("GET").expect("an answer").status, 200);
}
