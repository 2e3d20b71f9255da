//! Tests with unmodified client libraries from their registries, each with the envelope for that library. A walker in
//! `walkers/` reads a list of 1,003 items in each way that its library has, and prints the items. The tests compare
//! these items with the upstream's: all items must be there once, in order, with every value.

use std::{
    fs::File,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::{Map, Value};

use crate::{
    harness::{
        gateway::Gateway,
        http,
        list::{PLAIN, Setup, serve},
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration},
        upstream::Upstream,
    },
    third_party::{environment, python},
};

const COUNT: u64 = 1_003;

/// The limits of walks, each with a line for the route: pages are read once by filters and once by offset. 1,003 is 17
/// times 59, so the last page with the limit 59 is full.
const WAYS: [(&str, &str); 2] = [("100", "mode = \"keyset\""), ("59", "mode = \"offset\"")];

/// The libraries that are tested, by the names of their packages.
const CLIENTS: [&str; 10] = [
    "@apollo/client",
    "@octokit/plugin-paginate-rest",
    "@tanstack/query-core",
    "dlt",
    "google-api-core",
    "halfred",
    "ketting",
    "kitsu",
    "requests",
    "stripe",
];

/// The credentials that Stripe's library sends. A client with these credentials sees the same list.
const STRIPE_KEY: &str = "Bearer sk_test_walker";

/// Rows of which up to eight share a score. They are neither in the order of the list nor in the order of their ids.
fn rows() -> Rows {
    let some: Vec<Row> = (1..=COUNT).map(|place| place * 397 % 1_009).map(|id| Row::new(id, id * 31 % 131)).collect();
    let rows = Rows::new(some.clone());
    rows.change_of(STRIPE_KEY, |own| own.extend(some));
    rows
}

/// Starts a gateway in front of the rows, in descending order of the score. Links are absolute, because the route has a
/// host.
fn start(envelope: &str, path: &str, more: &str) -> (Upstream, Gateway) {
    let rows = rows();
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let route = format!(
        "{BY_SCORE}\nenvelope = \"{envelope}\"\nhosts = [\"127.0.0.1\"]\nupstream_path = \"/users\"\npage_size = {{ max = 200 }}\n{more}"
    );
    let users = configuration(upstream.address, BY_OFFSET, &route);
    let gateway = Gateway::start(&users.replace("\npath = \"/users\"\n", &format!("\npath = \"{path}\"\n")));
    (upstream, gateway)
}

/// Returns the list of the upstream, sorted by `sort`.
fn listing(upstream: &Upstream, sort: &str) -> Vec<Value> {
    let answer = http::get(upstream.address, &format!("/users?offset=0&limit=2000&sort={sort}"));
    let body: Value = answer.json();
    let items = body["items"].as_array().expect("items").clone();
    assert_eq!(items.len() as u64, COUNT);
    items
}

fn walker(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/walkers").join(file)
}

/// Runs a walker, and returns its output.
pub(crate) fn output(file: &str, arguments: &[&str]) -> Output {
    // `timeout` ends a walk that does not end within 300 seconds.
    let mut command = Command::new("timeout");
    command.arg("300");
    // Walkers connect only to the gateway, without a proxy. Notices of the runtimes are turned off, because any output
    // to standard error fails the test.
    command.env("RUNTIME__DLTHUB_TELEMETRY", "false").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command.env("NODE_NO_WARNINGS", "1").env("PYTHONWARNINGS", "ignore");
    if file.ends_with(".py") {
        command.arg(python()).arg(walker(file)).stdin(Stdio::null());
    } else {
        // Node.js resolves the imports of a program on standard input from the working directory, so the program runs
        // in the folder with the packages.
        command.args(["node", "--input-type=module", "-"]).current_dir(environment("walkers"));
        command.stdin(File::open(walker(file)).expect("a walker"));
    }
    command.args(arguments).output().expect("it runs")
}

/// Runs a walker, and returns its items for each way of walking.
fn run(file: &str, arguments: &[&str]) -> Map<String, Value> {
    let output = output(file, arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file} {arguments:?}: {}\n{said}{complaints}", output.status);
    assert_eq!(complaints, "", "{file} {arguments:?}");
    serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{file} {arguments:?}: {fault}\n{said}"))
}

/// Runs a walker, and asserts that each of its `walks` contains exactly the items of the list.
fn compare(file: &str, arguments: &[&str], walks: &[&str], expected: &[Value]) {
    let saw = run(file, arguments);
    assert_eq!(saw.keys().collect::<Vec<_>>(), walks, "{file} {arguments:?}");
    for (name, items) in &saw {
        let at = format!("{file} {arguments:?}, {name}");
        let items = items.as_array().unwrap_or_else(|| panic!("{at}: {items}"));
        let differing = items.iter().zip(expected).enumerate().find(|(_, (walked, listed))| walked != listed);
        assert_eq!(differing, None, "{at}: place, walked, listed");
        assert_eq!(items.len(), expected.len(), "{at}");
    }
}

/// Runs a walker with each limit and mode of [`WAYS`].
fn walk(file: &str, envelope: &str, walks: &[&str]) {
    for (limit, mode) in WAYS {
        let (upstream, gateway) = start(envelope, "/users", mode);
        compare(file, &[&gateway.url(""), limit, envelope], walks, &listing(&upstream, "-score,id"));
    }
}

#[test]
fn octokit_on_arrays_with_links() {
    walk("octokit.mjs", "bare", &["paginate", "paginate.iterator"]);
}

#[test]
fn halfred_on_hal() {
    walk("halfred.mjs", "hal", &["next", "prev"]);
}

#[test]
fn kitsu_on_json_api() {
    let walks = ["cursors of first items", "cursors of last items", "links.next", "links.prev"];
    walk("kitsu.mjs", "jsonapi", &walks);
}

#[test]
fn tanstack_query_on_page_info() {
    let walks = [
        "both ways",
        "both ways, refetched",
        "fetchInfiniteQuery",
        "fetchNextPage",
        "fetchNextPage, refetched",
        "fetchPreviousPage",
    ];
    walk("tanstack.mjs", "page-info", &walks);
}

#[test]
fn apollo_on_connections() {
    walk("apollo.mjs", "relay", &["first, after", "last, before", "spliced"]);
}

#[test]
fn dlt_on_standard() {
    let walks = [
        "cursor in the body",
        "detected",
        "header link",
        "header link, back",
        "link in the body",
        "link in the body, back",
    ];
    walk("dlt_rest.py", "standard", &walks);
}

#[test]
fn dlt_on_django_pages() {
    let walks = ["detected", "header link", "header link, back", "link in the body", "link in the body, back"];
    walk("dlt_rest.py", "drf", &walks);
}

#[test]
fn dlt_on_odata() {
    walk("dlt_rest.py", "odata", &["detected", "header link", "header link, back", "link in the body"]);
}

#[test]
fn dlt_on_arrays_with_links() {
    walk("dlt_rest.py", "bare", &["detected", "header link", "header link, back"]);
}

#[test]
fn google_api_core_on_aip() {
    walk("google_api.py", "aip", &["items", "pages"]);
}

#[test]
fn stripe_by_ids() {
    let (upstream, gateway) = start("stripe", "/v1/customers", "mode = \"seek\"");
    let expected = listing(&upstream, "-score,id");
    for (limit, _) in WAYS {
        compare("stripe.mjs", &[&gateway.url(""), limit], &["ending_before", "starting_after"], &expected);
    }
}

/// An envelope for JSON:API clients that can't read null links: links that don't exist are left out.
const WITHOUT_NULL: &str = r#"
[envelopes.people]
content_type = "application/vnd.api+json"
parameters = { limit = "size", after = "page[after]", before = "page[before]" }

[envelopes.people.body]
jsonapi = { version = "1.1" }
links = { self = "{links.self}", first = "{links.first}", prev = "{links.prev}", next = "{links.next}" }
data = [{ type = "{collection}", id = "{item.id:string}", attributes = "{item.fields}" }]
"#;

/// Follows link relations with the library ketting, in a list whose items have links.
fn follow(setup: &Setup) {
    let items: Vec<String> = (1..=COUNT)
        .map(|id| format!(r#"{{"id":{id},"name":"user {id}","_links":{{"self":{{"href":"/users/{id}"}}}}}}"#))
        .collect();
    let upstream = Upstream::start(serve(items));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let expected = listing(&upstream, "id");
    for (limit, _) in WAYS {
        compare("ketting.mjs", &[&gateway.url(""), limit], &["follow next", "follow prev"], &expected);
    }
}

#[test]
fn ketting_on_hal() {
    follow(&Setup { route: "envelope = \"hal\"\nhosts = [\"127.0.0.1\"]", ..PLAIN });
}

#[test]
fn ketting_on_json_api_without_null() {
    follow(&Setup { route: "envelope = \"people\"\nhosts = [\"127.0.0.1\"]", more: WITHOUT_NULL, ..PLAIN });
}

/// The table in docs/envelopes.md names the tested versions.
#[test]
fn the_documentation_names_these_clients() {
    let read = |path: &str| {
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the repository")
    };
    let (page, python) = (read("docs/envelopes.md"), read("tests/end_to_end/requirements.txt"));
    let node: Value = serde_json::from_str(&read("tests/end_to_end/walkers/package.json")).expect("JSON");
    for name in CLIENTS {
        let pinned = python.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
        let version = pinned.or_else(|| node["dependencies"][name].as_str()).unwrap_or_else(|| panic!("no {name}"));
        let row = format!("| `{name}` {version} |");
        assert!(page.contains(&row), "{row}");
    }
}
