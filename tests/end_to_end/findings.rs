//! Tests of wrong configurations that load: a route that observes the traffic of legacy clients reports each mistake
//! once, with the key to change.

use std::{fmt::Write as _, io};

use serde_json::{Value, json};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http,
    upstream::{After, Exchange, Upstream},
};

const ROWS: usize = 60;

/// Answers as a legacy list by page, with 25 items or `per_page` of them, at most 50, and an error after the end. At
/// other paths the list repeats its last page, counts pages from 0, or always returns the first page.
fn legacy(exchange: &mut Exchange) -> io::Result<After> {
    let kind = exchange.request.path().to_owned();
    let reply = |exchange: &mut Exchange, status: &str, body: &Value| {
        exchange.reply(status, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    };
    if kind == "/api/items" {
        let headers = [("Location", "/api/items/?token=canary")];
        return exchange.reply("301 Moved Permanently", &headers, b"");
    }
    let number = |name: &str| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let mut rows: Vec<Value> = (1..=ROWS)
        .map(|id| {
            let kind = ["a", "b", "c"][id % 3];
            let created = format!("2026-01-{:02}T{:02}:00:00Z", id / 24 + 1, id % 24);
            json!({ "id": id, "kind": kind, "created_at": created, "score": (id * 37) % 61, "name": "canary" })
        })
        .collect();
    if let Some(sort) = exchange.request.parameter("sort") {
        let field = sort.trim_start_matches('-').to_owned();
        if !["id", "kind", "created_at"].contains(&field.as_str()) {
            return reply(exchange, "400 Bad Request", &json!({ "error": "sort" }));
        }
        rows.sort_by_key(|row| row[&field].as_str().map(str::to_owned));
        if sort.starts_with('-') {
            rows.reverse();
        }
    }
    let first = usize::from(kind != "/api/zero/");
    let size = number("per_page").unwrap_or(25).clamp(1, 50);
    let last = ROWS.div_ceil(size) - 1;
    let page = match (number("page").unwrap_or(first).saturating_sub(first), kind.as_str()) {
        (_, "/api/still/") => 0,
        (page, "/api/repeats/") => page.min(last),
        (page, _) => page,
    };
    if page > last {
        return reply(exchange, "404 Not Found", &json!({ "error": "no such page" }));
    }
    let items: Vec<&Value> = rows.iter().skip(page * size).take(size).collect();
    let meta = json!({ "total": ROWS, "count": items.len(), "more": page < last });
    reply(exchange, "200 OK", &json!({ "data": items, "meta": meta }))
}

/// The requests of legacy clients.
const TRAFFIC: [&str; 8] = [
    "",
    "?page=1",
    "?page=1&per_page=10&q=canary",
    "?page=2&per_page=10&q=canary",
    "?page=6&per_page=10&q=canary",
    "?page=7&per_page=10&q=canary",
    "?page=1&per_page=100",
    "?sort=-created_at&per_page=10",
];

/// Returns the correct configuration of a route and its dialect.
fn configured(name: &str, action: &str) -> String {
    format!(
        r#"
[routes.{name}]
path = "/{name}"
upstream = "legacy"
upstream_path = "/api/items/"
action = "{action}"
dialect = "own-{name}"
order = ["id"]
sortable = ["id", "created_at"]
fields = {{ created_at = {{ type = "datetime", nulls = "none" }} }}
page_size = {{ default = 20, max = 30 }}
[dialects.own-{name}]
request = {{ query = "page={{page}}&per_page={{size}}", first_page = 1 }}
size = {{ max = 50 }}
response = {{ items = "/data", total = "/meta/total", has_more = "/meta/more", past_end = [{{ status = 404 }}] }}
sort = {{ query = "sort={{direction}}{{field}}", ascending = "", descending = "-", max_keys = 1 }}
"#
    )
}

/// A mistake: its name, the correct text and the wrong text, additional requests, the kind of the finding, and a part
/// of the finding's key.
type Mistake = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str, &'static str);

const MISTAKES: [Mistake; 20] = [
    ("size-name", "per_page={size}", "page_size={size}", &[], "size_parameter", "\"per_page\" for \"page_size\""),
    ("first-page", "first_page = 1", "first_page = 0", &[], "first_page", "request.first_page = 1"),
    ("page-name", "page={page}&", "p={page}&", &[], "place_parameter", "\"page={page}\" for \"p\""),
    ("offset", "page={page}&", "offset={offset}&", &[], "place_parameter", "\"page={page}\" for \"offset\""),
    ("no-total", "/meta/total", "/meta/sum", &[], "facts", "response.total = \"/meta/total\""),
    ("page-total", "/meta/total", "/meta/count", &[], "total", "response.total"),
    ("flag", "/meta/more", "/more", &[], "facts", "there is a flag at \"/meta/more\""),
    ("items", "\"/data\"", "\"/items\"", &[], "shape", "response.items = \"/data\""),
    ("ids", "\"/data\",", "\"/data\", id = \"/uuid\",", &[], "ids", "response.id = \"/id\""),
    ("repeated-ids", "\"/data\",", "\"/data\", id = \"/kind\",", &[], "ids", "response.id = \"/id\""),
    ("field", "order = [\"id\"]", "order = [\"-createdat\", \"id\"]", &[], "kinds", "\"created_at\""),
    (
        "order",
        "order = [\"id\"]\nsortable = [\"id\", \"created_at\"]",
        "order = [\"score\", \"id\"]",
        &[],
        "order",
        "order = [\"id\"]",
    ),
    (
        "two-keys",
        "\"created_at\"]\nfields = {",
        "\"created_at\", \"kind\"]\nfields = {",
        &["?sort=kind&sort=-created_at&per_page=19"],
        "order",
        "sort.max_keys",
    ),
    ("ties", "\"created_at\"]\n", "\"created_at\", \"kind\"]\n", &["?sort=kind&per_page=20"], "ties", "422 tie_run"),
    ("no-sort", "\"created_at\"]\n", "\"created_at\", \"score\"]\n", &["?sort=score"], "status", "`sortable`"),
    ("cap", "size = { max = 50 }", "size = { max = 200 }", &[], "size", "size.max = 50"),
    ("end", ", past_end = [{ status = 404 }]", "", &[], "past_end", "response.past_end = [{ status = 404 }]"),
    ("repeats", "/api/items/", "/api/repeats/", &[], "repeated_page", "response.repeats_last_page = true"),
    ("zero", "/api/items/", "/api/zero/", &["?page=0&per_page=10&q=canary"], "first_page", "request.first_page = 0"),
    ("still", "/api/items/", "/api/still/", &[], "same_items", "is \"page\" the name"),
];

fn migration(gateway: &Gateway, name: &str) -> Value {
    let report = http::get(gateway.admin, "/migration").json();
    let routes = report["routes"].as_array().expect("routes");
    routes.iter().find(|route| route["route"] == name).expect("the route").clone()
}

/// Sends requests to a route that observes, waits until all answers have been read, and returns the findings.
fn observe(gateway: &Gateway, name: &str, path: &str, targets: &[&str]) -> Vec<Value> {
    for (sent, target) in targets.iter().enumerate() {
        gateway.get(&format!("{path}{target}"));
        eventually("the answer is read", || {
            let lines = gateway.access_log();
            (lines.iter().filter(|line| line["route"] == name).count() > sent).then_some(())
        });
    }
    migration(gateway, name)["findings"].as_array().expect("findings").clone()
}

#[test]
fn observed_traffic_reports_mistakes_with_the_key_to_change() {
    let upstream = Upstream::start(legacy);
    let mut text = format!("[upstreams.legacy]\npeers = [\"{}\"]\n", upstream.address);
    text += &configured("right", "observe");
    for (name, right, wrong, ..) in MISTAKES {
        let whole = configured(name, "observe");
        assert!(whole.contains(right), "{name}: {right}");
        let mut whole = whole.replacen(right, wrong, 1);
        if name == "two-keys" {
            whole = whole.replace(", max_keys = 1", "");
        }
        text += &whole;
    }
    let redirected = configured("redirect", "observe").replace("upstream_path = \"/api/items/\"\n", "");
    let _ = write!(text, "{}", redirected.replace("path = \"/redirect\"", "path = \"/api/items\""));
    let gateway = Gateway::start(&text);
    let right = observe(&gateway, "right", "/right", &TRAFFIC);
    assert!(right.is_empty(), "{right:#?}");
    let mut faults = Vec::new();
    for (name, _, _, more, kind, key) in MISTAKES {
        let targets = [&TRAFFIC[..], more].concat();
        let findings = observe(&gateway, name, &format!("/{name}"), &targets);
        let is_found = |one: &Value| one["kind"] == kind && one["key"].as_str().is_some_and(|text| text.contains(key));
        // A mistake must be reported with its key, and with at most one other finding.
        if !findings.iter().any(is_found) || findings.len() > 2 {
            faults.push(format!("{name}: {findings:#?}"));
        }
    }
    let findings = observe(&gateway, "redirect", "/api/items", &[""]);
    assert_eq!(findings[0]["kind"], "redirect", "{findings:?}");
    assert!(findings[0]["key"].as_str().is_some_and(|key| key.contains("\"/api/items/\"")), "{findings:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // Each kind is logged once, without values of requests.
    let log = gateway.log();
    let lines: Vec<Value> = log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (name, _, _, _, kind, key) in MISTAKES {
        let told =
            lines.iter().filter(|line| line["level"] == "WARN" && line["route"] == name && line["cause"] == kind);
        let told: Vec<&Value> = told.collect();
        assert_eq!(told.len(), 1, "{name}: {told:#?}");
        assert!(told[0]["hint"].as_str().is_some_and(|hint| hint.contains(key)), "{name}: {told:?}");
    }
    let report = http::get(gateway.admin, "/migration").text().to_owned();
    assert!(!report.contains("canary") && !log.join("\n").contains("canary"), "{report}");
}

/// A route that serves reports findings from its refused pages. A new configuration begins without findings.
#[test]
fn findings_of_a_route_include_its_refused_pages() {
    let upstream = Upstream::start(legacy);
    let wrong = configured("users", "paginate").replacen("\"/data\"", "\"/items\"", 1);
    let text = |route: &str| format!("[upstreams.legacy]\npeers = [\"{}\"]\n{route}", upstream.address);
    let gateway = Gateway::start(&text(&wrong));
    assert_eq!(gateway.get("/users").status, 502);
    assert_eq!(gateway.get("/users").status, 502);
    let findings = migration(&gateway, "users")["findings"].clone();
    assert_eq!((&findings[0]["kind"], &findings[0]["count"]), (&"upstream_malformed".into(), &2.into()), "{findings}");
    assert!(findings[0]["key"].as_str().is_some_and(|key| key.contains("response.items")), "{findings}");
    let no_total = configured("users", "paginate").replacen("/meta/total", "/meta/sum", 1);
    let right = gateway.configuration().replace(&wrong, &no_total);
    assert_ne!(right, gateway.configuration());
    gateway.rewrite_raw(&right);
    gateway.signal("HUP");
    // A request during the reload could add a finding, so the test waits for the end of the reload.
    let reloads = "cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}";
    eventually("it is in force", || (gateway.metric(reloads) == Some(1)).then_some(()));
    assert_eq!(gateway.get("/users").status, 200);
    let findings = eventually("another finding", || {
        let findings = migration(&gateway, "users")["findings"].clone();
        (findings[0]["kind"] == "facts").then_some(findings)
    });
    assert_eq!(findings.as_array().map(Vec::len), Some(1), "{findings}");
    assert_eq!(findings[0]["key"], "response.total of the dialect", "{findings}");
}
