//! Tests of the commands other than `run`.

use std::{
    io::{BufRead, BufReader, Read as _},
    process::{Child, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, binary, command, free_port, signal},
    http,
    list::{PLAIN, serve, users},
    upstream::Upstream,
};

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("it runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Returns the report of `check` on a configuration, and asserts that `check` refuses it.
pub(crate) fn refused_by_check(text: &str) -> String {
    told_by_check(text, 2)
}

/// Returns the output of `check` for a configuration that it accepts.
pub(crate) fn accepted_by_check(text: &str) -> String {
    told_by_check(text, 0)
}

/// Returns the output of `check`, which ends with this status, for a configuration without its head.
fn told_by_check(text: &str, status: i32) -> String {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let head = GOOD.split("[upstreams.people]").next().expect("a head");
    let defaults = "[defaults]\nold_clients = \"none\"\n";
    std::fs::write(&file, format!("{head}{defaults}{text}")).expect("a file in the test's directory");
    let output = command().args(["check", "--verbose", "--config"]).arg(&file).output().expect("it runs");
    assert_eq!(output.status.code(), Some(status), "{}", said(&output));
    said(&output)
}

fn checked(text: &str) -> Output {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, text).expect("a file in the test's directory");
    let mut command = command();
    command.args(["check", "--verbose", "--config"]).arg(&file);
    command.output().expect("it runs")
}

const GOOD: &str = r#"version = 1
other_paths = "refuse"

[listeners.public]
address = "127.0.0.1:8080"

[cursor]
signing_key = 1
keys = { 1 = "env:CURSORGATE_KEY_1" }

[upstreams.people]
peers = ["people.internal:8000"]

[routes.users]
path = "/api/users"
upstream = "people"
dialect = "drf-page"
order = ["-created_at", "id"]
sortable = ["created_at", "id"]
page_size = { default = 20, max = 40 }
old_clients = "none"
"#;

#[test]
fn check_shows_what_each_route_does() {
    let output = checked(GOOD);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for word in [
        "users",
        "GET /api/users",
        "people",
        "drf-page",
        "created_at",
        "exact",
        "identity     authorization, cookie, x-api-key, api-key, x-auth-token, x-access-token, byte for byte",
        "other_paths      every path that no route covers → 404",
        "no errors",
    ] {
        assert!(text.contains(word), "{word} in:\n{text}");
    }
}

/// Routes that differ by their paths only are described once. Reasons and details need `--verbose`.
#[test]
fn check_says_first_what_a_reader_acts_on() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let route = &GOOD[GOOD.find("[routes.users]").expect("a route")..];
    let second = route.replace("[routes.users]", "[routes.teams]").replace("/api/users", "/api/teams");
    std::fs::write(&file, format!("{GOOD}\n{second}")).expect("a file in the test's directory");
    let output = command().args(["check", "--config"]).arg(&file).output().expect("it runs");
    let text = said(&output);
    let described = text.lines().take_while(|line| !line.is_empty());
    let labels = described.filter(|line| line.starts_with("  ")).filter_map(|line| line.get(2..13));
    let labels: Vec<&str> = labels.map(str::trim).collect();
    assert_eq!(labels, ["mode", "level", "order", "cost", "old clients"], "{text}");
    let heads = "users            GET /api/users → people /api/users\n\
                 teams            GET /api/teams → people /api/teams\n  mode";
    assert!(text.contains(heads), "{text}");
    assert!(text.contains("each page: 1 upstream request; up to "), "{text}");
    assert!(text.contains(" rows for a page of 20;"), "{text}");
}

#[test]
fn check_tells_which_pages_are_kept() {
    let line = "page_cache = { ttl = \"60s\", stale_if_error = \"1h\", private = true }\nprefetch = true\n";
    let output = checked(&GOOD.replace("order =", &format!("{line}order =")));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let told = "  page cache   pages are fresh for 1m, then served for 1h if the upstream fails; those for one client are kept \
                only for it; the next page is made ahead\n";
    assert!(text.contains(told), "{text}");
    assert!(!said(&checked(GOOD)).contains("page cache"));
}

#[test]
fn five_mistakes_get_five_messages_with_their_lines() {
    let bad = GOOD
        .replace("signing_key = 1", "signing_key = 3")
        .replace("peers = [\"people.internal:8000\"]", "peers = [\"https://people.internal:8000\"]")
        .replace("dialect = \"drf-page\"", "dialect = \"drf-pag\"")
        .replace("order = [\"-created_at\", \"id\"]", "order = [\"created_at desc\", \"id\"]")
        .replace("max = 40", "maximum = 40");
    let output = checked(&bad);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for changed in ["signing_key = 3", "https://", "\"drf-pag\"", "created_at desc", "maximum"] {
        let line = 1 + bad.lines().position(|line| line.contains(changed)).expect("it was put there");
        assert!(text.contains(&format!("cursorgate.toml:{line}:")), "line {line}, {changed}, in:\n{text}");
    }
    assert_eq!(text.matches(" error: ").count(), 5, "{text}");
    assert!(text.contains("did you mean") && text.contains("drf-page"), "{text}");
}

#[test]
fn run_and_check_without_a_key_recommend_keygen() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    for text in
        [GOOD.to_owned(), GOOD.replace("[cursor]\nsigning_key = 1\nkeys = { 1 = \"env:CURSORGATE_KEY_1\" }\n", "")]
    {
        std::fs::write(&file, text).expect("a file in the test's directory");
        for verb in ["run", "check"] {
            let mut command = command();
            let output = command.env_remove("CURSORGATE_KEY_1").args([verb, "--config"]).arg(&file).output();
            let output = output.expect("it runs");
            assert_eq!(output.status.code(), Some(2), "{verb}: {}", said(&output));
            assert!(said(&output).contains("cursorgate keygen"), "{verb}: {}", said(&output));
        }
    }
}

#[test]
fn the_reference_is_a_configuration_and_explains_each_key() {
    let reference = run(&["reference"]);
    assert_eq!(reference.status.code(), Some(0), "{}", said(&reference));
    let text = String::from_utf8(reference.stdout).expect("text");
    let checked = checked(&text.replace("env:CURSORGATE_KEY", "env:CURSORGATE_KEY_1"));
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let explained = said(&run(&["reference", "routes.users.page_size.max"]));
    assert!(explained.starts_with("routes.NAME.page_size.max\n") && explained.contains("Default: 100"), "{explained}");
    let unknown = run(&["reference", "page_sise"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("did you mean \"page_size\"?"), "{}", said(&unknown));
    let schema: serde_json::Value = serde_json::from_slice(&run(&["schema"]).stdout).expect("JSON");
    assert_eq!(schema["properties"]["log"]["properties"]["level"]["default"], "info");
}

/// `check` explains a configuration even if its keys can't be read.
#[test]
fn check_describes_routes_without_their_keys() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, GOOD).expect("a file in the test's directory");
    let mut command = command();
    let output = command.env_remove("CURSORGATE_KEY_1").args(["check", "--config"]).arg(&file).output();
    let output = output.expect("it runs");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for word in ["CURSORGATE_KEY_1", "GET /api/users", "exact: no item is skipped", "each page: 1 upstream request"] {
        assert!(text.contains(word), "{word} in:\n{text}");
    }
    assert!(!text.contains("no errors"), "{text}");
}

/// `check` describes many routes in a line each, single ones in full, and none with `--quiet`.
#[test]
fn check_is_short_for_many_routes() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let many: String = (0..60)
        .map(|number| {
            format!("[routes.list-{number}]\npath = \"/list-{number}\"\nupstream = \"people\"\naction = \"forward\"\n")
        })
        .collect();
    let text = format!("version = 1\nother_paths = \"refuse\"\n[upstreams.people]\npeers = [\"127.0.0.1:1\"]\n{many}");
    std::fs::write(&file, text).expect("a file in the test's directory");
    let check = |more: &[&str]| {
        let output = command().args(["check", "--config"]).arg(&file).args(more).output().expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let brief = check(&[]);
    assert_eq!(brief.lines().filter(|line| line.contains(" → people /list-")).count(), 60, "{brief}");
    assert!(!brief.contains("forwards ") && brief.contains("--route NAME") && brief.contains("60 routes"), "{brief}");
    let one = check(&["--route", "list-7"]);
    assert!(one.contains("/list-7") && one.contains("forwards ") && !one.contains("/list-8"), "{one}");
    assert!(check(&["--quiet"]).lines().count() == 1, "{}", check(&["--quiet"]));
}

/// `check` describes each service and its path, and says at which processes idempotency keys hold.
#[test]
fn check_describes_services() {
    let route = GOOD.split("[routes.").nth(1).and_then(|rest| rest.split(']').next()).expect("a route");
    let services = format!(
        "\n[services.bulk]\n[services.graphql]\n[services.live]\nroutes = [\"{route}\"]\n[services.mcp]\n\
         [services.exports]\ndirectory = \"exports\"\n[services.playground]\n\
         [admin]\naddress = \"127.0.0.1:9180\"\ntoken = \"env:CURSORGATE_KEY_1\"\n"
    );
    let alone = said(&checked(&format!("{GOOD}\n[services.bulk]\n")));
    assert!(alone.contains("an Idempotency-Key runs once at each process, and again after a restart"), "{alone}");
    let text = said(&checked(&format!("{GOOD}{services}")));
    for word in [
        "services.bulk    POST /bulk: up to 1000 requests in one",
        "keys         an Idempotency-Key runs once at all processes with the store of exports",
        "services.exports each list by GET, at its path with /exports after it",
        "services.graphql /graphql, with a field for each of 1 lists",
        &format!("services.live    {route}, at the path of the list with /live after it"),
        "services.mcp     /mcp, with a tool for each of 1 lists",
        "services.playground /playground/ at the admin listener",
    ] {
        assert!(text.contains(word), "{word} in:\n{text}");
    }
}

/// Returns the description of a route with a dialect that `check` prints.
fn described(dialect: &str, route: &str) -> String {
    let text = format!(
        "[upstreams.legacy]\npeers = [\"127.0.0.1:1\"]\n[routes.users]\nold_clients = \"none\"\npath = \"/users\"\nupstream = \"legacy\"\n{route}\n\
         [dialects.own]\n{dialect}\n"
    );
    let head = GOOD.split("[upstreams.people]").next().expect("a head");
    said(&checked(&format!("{head}{text}")))
}

/// `check` names the properties of an upstream that limit the guarantee of a route.
#[test]
fn check_names_the_limits_of_a_route() {
    const TOKENS: &str = "request = { query = \"limit={size}&cursor={token}\" }\n\
                          response = { items = \"/items\", next_token = \"/next\" }";
    const SLICES: &str = "request = { query = \"offset={offset}&limit={size}\" }\nsize = { max = 50 }\n\
                          response = { items = \"/items\", total = \"/total\" }\nsort = { query = \"sort={direction}{field}\" }";
    const FILTERED: &str = "request = { query = \"offset={offset}&limit={size}\" }\n\
                            response = { items = \"/items\", total = \"/total\" }\n\
                            sort = { query = \"sort={direction}{field}\", join = \",\" }\n\
                            filter = { query = \"where={filter}\", lte = '{\"{field}\":{\"lte\":{value}}}', gte = '{\"{field}\":{\"gte\":{value}}}', \
                            merge = '{\"and\":[{client},{filter}]}' }";
    let score = "fields.score = { type = \"number\", nulls = \"none\" }";
    for (dialect, route, words) in [
        (TOKENS, "dialect = \"own\"\norder = [\"id\"]".to_owned(), &["no pages backward beyond"][..]),
        (
            "request = { query = \"offset={offset}&limit={size}\" }\nsize = { max = 25 }\n\
             response = { items = \"/items\", total = \"/total\" }",
            "dialect = \"own\"\norder = [\"-score\", \"id\"]\npage_size.max = 100".to_owned(),
            &[
                "further pages: 1 upstream request up to 22 items, up to 6 above",
                "a page of 100 items among equal keys: up to 14, if no more than 23 are equal",
            ],
        ),
        (
            SLICES,
            "dialect = \"own\"\norder = [\"-score\", \"id\"]\nsortable = [\"name\"]\npage_size.max = 40".to_owned(),
            &[
                "not requested, and every response is checked: score is not in sortable",
                "items with equal keys are read together, up to ",
            ],
        ),
        (
            SLICES,
            "dialect = \"own\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\"]\npage_size.max = 40".to_owned(),
            &["requested without the id, which is not in sortable: sort=descscore"],
        ),
        (
            FILTERED,
            format!(
                "dialect = \"own\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nfilterable = [\"score\"]\n{score}"
            ),
            &[
                "filters      where={\"score\":{\"lte\":100}}; beside a client's where=CLIENT: where={\"and\":[CLIENT,{\"score\":{\"lte\":100}}]}",
            ],
        ),
        (TOKENS, "dialect = \"whole-list\"\norder = [\"id\"]".to_owned(), &["each page reads the whole list"]),
        (
            TOKENS,
            "dialect = \"feathers\"\norder = [\"id\"]\ntotal = \"count\"".to_owned(),
            &["totals counted by a request of their own, with the client's filters under the same names"],
        ),
    ] {
        let said = described(dialect, &route);
        for word in words {
            assert!(said.contains(word), "{word} in:\n{said}");
        }
    }
}

#[test]
fn keygen_makes_another_key_each_time() {
    let keys = [run(&["keygen"]), run(&["keygen"])].map(|output| String::from_utf8(output.stdout).expect("text"));
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        let key = key.trim_end();
        let alphabet = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        assert!(key.len() == 43 && alphabet, "{key}");
    }
}

/// `check` names the parts of a request that cursors are bound to. The host is one of them if the upstream gets the
/// client's host.
#[test]
fn check_names_the_parts_that_bind_cursors() {
    let one_host = GOOD.replace("[routes.users]", "host_header = \"people.internal\"\n\n[routes.users]");
    for (text, bound) in [(GOOD, "bound to host, path, filters, order"), (&one_host, "bound to path, filters, order")] {
        let said = said(&checked(text));
        assert!(said.contains(bound), "{said}");
    }
}

/// `check` points out sort keys that clients can read in cursors, and routes that bypass a list's policy.
///
/// Row: A07, A23
#[test]
fn check_points_out_readable_keys_and_bypassed_policies() {
    let by_name = GOOD.replace("order = [\"-created_at\", \"id\"]", "order = [\"last_name\", \"id\"]");
    let sealed = by_name.replace("order = [\"last_name\"", "cursor = { sealed = true }\norder = [\"last_name\"");
    let policy = GOOD.replace("old_clients = \"none\"", "old_clients = \"reject\"");
    let rest = "[routes.everything_else]\npath = \"/{*rest}\"\nupstream = \"people\"\naction = \"forward\"\n";
    let advice = "a cursor shows last_name";
    let bypass = "bypass       everything_else: other requests below this path";
    for (text, word, is_said) in [
        (GOOD, advice, false),
        (&by_name, advice, true),
        (&sealed, advice, false),
        (&policy, bypass, false),
        (&format!("{GOOD}\n{rest}"), bypass, false),
        (&format!("{policy}\n{rest}"), bypass, true),
    ] {
        let output = checked(text);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(said.contains(word), is_said, "{word} in:\n{said}");
    }
}

#[test]
fn dialects_lists_the_built_in_dialects() {
    let text = said(&run(&["dialects"]));
    for name in [
        "json-server-0.17",
        "drf-page",
        "drf-limit-offset",
        "spring-data",
        "laravel",
        "postgrest",
        "page-limit",
        "slack",
    ] {
        assert!(text.contains(name), "{name} in:\n{text}");
    }
    assert!(text.lines().count() > 60, "{text}");
    // The name of a framework leads to the dialects that describe it, and a misspelt name to the nearest one.
    for (name, hint) in [("django", "did you mean "), ("DRF-pag", "did you mean \"drf-page\"?")] {
        let refused = run(&["dialects", name]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && told.contains(hint) && told.contains("drf-page"), "{told}");
    }
}

#[test]
fn health_asks_the_running_gateway() {
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, gateway.configuration()).expect("a file in the test's directory");
    let health = || command().args(["health", "--config"]).arg(&file).output().expect("it runs");
    assert_eq!(health().status.code(), Some(0), "{}", said(&health()));
    // `health` works with a faulty file, because the running process is not affected.
    for wrong in ["[routes.orders]\npath = 5", "[upstreams.people", "\u{1}"] {
        std::fs::write(&file, format!("{}\n{wrong}", gateway.configuration())).expect("a file in the test's directory");
        assert_eq!(health().status.code(), Some(0), "{wrong}: {}", said(&health()));
    }
    drop(gateway);
    let output = health();
    assert!(output.status.code().is_some_and(|code| code != 0), "{}", said(&output));
}

#[test]
fn help_goes_to_standard_output_and_mistakes_to_standard_error() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for verb in ["run", "check", "keygen", "cursor", "dialects", "demo", "health"] {
        assert!(text.contains(verb), "{verb} in:\n{text}");
        assert_eq!(run(&[verb, "--help"]).status.code(), Some(0), "{verb}");
    }
    let wrong = run(&["rnu"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stdout.is_empty() && !wrong.stderr.is_empty());
    assert!(run(&["--version"]).status.success());
}

/// A lock that is held while a demo starts: two demos could find the same port free for their admin listeners.
pub(crate) static STARTING_DEMO: Mutex<()> = Mutex::new(());

/// A child process that is killed at the end of its test.
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // The process may have ended already, so an error is ignored.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The commands that the demo prints work as they are, with the announced answers. Ctrl-C ends the gateway and its
/// upstream.
#[test]
fn the_lines_of_the_demo_work_as_pasted() {
    let starting = STARTING_DEMO.lock().unwrap_or_else(PoisonError::into_inner);
    let port = free_port();
    let demo = command()
        .args(["demo", "--listen", &format!("127.0.0.1:{port}")])
        .env_remove("CURSORGATE_KEY_1")
        .env_remove("CURSORGATE_KEY_2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut demo = Owned(demo);
    let (log, mut stderr) = (Arc::new(Mutex::new(String::new())), demo.0.stderr.take().expect("it is piped"));
    let logged = Arc::clone(&log);
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut piece) {
            logged.lock().expect("nobody panics with it").push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    });
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (printed, stdout) = (Arc::clone(&lines), demo.0.stdout.take().expect("it is piped"));
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            printed.lock().expect("nobody panics with it").push(line);
        }
    });
    let curls = eventually("six curl lines", || {
        let lines = lines.lock().expect("nobody panics with it");
        let curls = lines.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl ")).map(str::to_owned);
        let curls = curls.collect::<Vec<_>>();
        (curls.len() >= 6).then_some(curls)
    });
    drop(starting);
    let pages: Vec<Vec<u64>> = curls.iter().map(|line| paste(line)).collect();
    let [first, second, numbered, added, numbered_again, second_again] = &pages[..] else { panic!("{curls:?}") };
    assert_eq!([first.len(), second.len(), added.len()], [3, 3, 0]);
    assert_eq!(numbered, second);
    assert_eq!(numbered_again, first, "by number the first page comes again");
    assert_eq!(second_again, second);
    let admin = eventually("the admin address", || {
        let lines = lines.lock().expect("nobody panics with it");
        let address = |line: &String| line.strip_prefix("For operators: http://")?.split('/').next()?.parse().ok();
        lines.iter().find_map(address)
    });
    let operator = |path: &str| {
        let mut connection = http::Connection::open(admin).expect("it listens");
        connection.request("GET", path, &[("Host", "localhost")], b"").expect("it is answered")
    };
    assert_eq!(operator("/metrics").status, 200);
    assert_eq!(operator("/migration").json()["routes"][0]["route"], "users");
    let log = eventually("a line for a page", || {
        let log = log.lock().expect("nobody panics with it");
        log.contains("page_level").then(|| log.clone())
    });
    assert!(!log.contains("WARN"), "nothing is wrong with a demo: {log}");
    signal(demo.0.id(), "INT");
    let ended = eventually("Ctrl-C ends it", || demo.0.try_wait().expect("it is our child"));
    assert!(ended.success() || ended.code().is_none(), "{ended}");
    assert!(http::Connection::open(([127, 0, 0, 1], port).into()).is_err(), "nobody listens any more");
}

/// Sends the request of a curl command. Returns the ids of the page; empty if the answer isn't a page.
fn paste(line: &str) -> Vec<u64> {
    let url = line.split('\'').find_map(|word| word.strip_prefix("http://")).expect("a URL");
    let (authority, target) = url.split_at(url.find('/').expect("a path"));
    let method = if line.contains("-X POST") { "POST" } else { "GET" };
    let mut connection = http::Connection::open(authority.parse().expect("an address")).expect("it listens");
    let response = connection.request(method, target, &[], b"").expect("it is answered");
    assert!((200..300).contains(&response.status), "{line}: {response:?}");
    let items = response.json()["data"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["id"].as_u64().expect("an id")).collect()
}

/// Only a build of the core for the simulator can turn rules off. Such a build contains a mark (`pagination::rules`),
/// which the simulator's tests check, and which the program must not contain.
#[test]
fn the_binary_has_no_switch_for_rules_of_the_core() {
    const MARK: &[u8] = b"cursorgate-core: its rules can be switched off";
    let binary = std::fs::read(binary()).expect("the binary is a file");
    assert!(!binary.windows(MARK.len()).any(|window| window == MARK));
}

/// Addresses from the environment replace the addresses in the file, even after a reload.
#[test]
fn addresses_can_be_chosen_where_the_process_starts() {
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start_elsewhere(&PLAIN.configuration(upstream.address));
    let size = |gateway: &Gateway| gateway.get("/users?limit=150").json()["pagination"]["pageSize"].as_u64();
    assert_eq!(size(&gateway), Some(150));
    gateway.rewrite_raw(&gateway.configuration().replace("max = 200", "max = 100"));
    gateway.signal("HUP");
    eventually("the new configuration is in force", || (size(&gateway) == Some(100)).then_some(()));
    assert!(!gateway.log().iter().any(|line| line.contains("restart")), "{:?}", gateway.log());
    let file = gateway.file("cursorgate.toml").display().to_string();
    let health = run(&["health", "--config", &file, "--admin", &gateway.admin.to_string()]);
    assert_eq!(health.status.code(), Some(0), "{}", said(&health));
    assert_eq!(
        run(&["health", "--config", &file]).status.code(),
        Some(1),
        "nothing listens at the address in the file"
    );

    let two = gateway.configuration().replacen(
        "version = 1\n",
        "version = 1\nlisteners.second = { address = \"127.0.0.1:8081\" }\n",
        1,
    );
    gateway.rewrite_raw(&two);
    let several = run(&["check", "--config", &file, "--listen", "127.0.0.1:9999"]);
    assert_eq!(several.status.code(), Some(2), "{}", said(&several));
    assert!(said(&several).contains("there are several"), "{}", said(&several));
    for (written, told) in [
        (":9999", "0.0.0.0:9999"),
        ("localhost:9999", "127.0.0.1:9999"),
        ("127.0.0.1", "an IP address and a port, such as 127.0.0.1:8080"),
        ("unix:/run/public.sock", "`address` of a listener"),
    ] {
        let refused = run(&["check", "--config", &file, "--listen", written]);
        assert_eq!(refused.status.code(), Some(2), "{written}");
        assert!(said(&refused).contains(told), "{written}: {}", said(&refused));
    }
}
