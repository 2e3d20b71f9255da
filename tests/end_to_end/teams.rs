//! Tests of configurations that several teams write: files of each team, variables of the environment, and checks in a
//! review.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::third_party::python;
use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, command},
    list::{PLAIN, Setup, serve, users},
    now,
    upstream::Upstream,
};

fn run(command: &mut Command) -> (Option<i32>, String) {
    let output: Output = command.output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

fn stdout(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the test");
    fs::write(path, text).expect("a file of the test");
}

/// Returns the table of a team's route, which serves the list of users at its own path.
fn route(name: &str, size: u32) -> String {
    format!(
        "[routes.{name}]\npath = \"/{name}\"\nupstream = \"legacy\"\nupstream_path = \"/users\"\ndialect = \"scripted\"\n\
         order = [\"id\"]\nsortable = [\"id\"]\npage_size = {{ default = {size}, max = 200 }}\nold_clients = \"none\"\n"
    )
}

/// A reload also reads included files. With `reload_on_change`, the gateway notices an included file that is added,
/// changed or removed.
#[test]
fn included_files_are_served_and_followed() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let with = |head: &str| gateway.configuration().replacen("version = 1\n", &format!("version = 1\n{head}\n"), 1);
    let including = with("include = [\"routes/*.toml\", \"teams\"]");
    let size = |path: &str| gateway.get(path).json()["pagination"]["pageSize"].as_u64();
    write(&gateway.file("routes/orders.toml"), &route("orders", 7));
    write(&gateway.file("teams/people.toml"), &route("people", 8));
    write(&gateway.file("teams/README.md"), "files of other kinds are not read");
    gateway.rewrite_raw(&including);
    gateway.signal("HUP");
    eventually("an included route is served", || (size("/orders") == Some(7)).then_some(()));
    assert_eq!((size("/people"), size("/users")), (Some(8), Some(20)));
    let cursor = gateway.get("/orders").link("next").expect("a next page");
    assert_eq!(gateway.get(&cursor).status, 200);

    // A fault of one file refuses the reload as a whole, and names both files.
    write(&gateway.file("teams/again.toml"), &route("orders", 9));
    gateway.signal("HUP");
    let report = eventually("the reload is refused", || {
        gateway.log().into_iter().find(|line| line.contains("routes.orders is defined in"))
    });
    assert!(report.contains("routes/orders.toml:1") && report.contains("teams/again.toml:1:9"), "{report}");
    assert_eq!(size("/orders"), Some(7));
    fs::remove_file(gateway.file("teams/again.toml")).expect("it is there");

    gateway.rewrite_raw(&format!("{including}\n[server]\nreload_on_change = true\n"));
    gateway.signal("HUP");
    write(&gateway.file("routes/added.toml"), &route("added", 5));
    gateway.signal("HUP");
    eventually("a file that was added is read", || (size("/added") == Some(5)).then_some(()));
    write(&gateway.file("routes/added.toml"), &route("added", 6));
    eventually("a change is noticed", || (size("/added") == Some(6)).then_some(()));
    write(&gateway.file("teams/another.toml"), &route("another", 4));
    eventually("a file that was added is noticed", || (size("/another") == Some(4)).then_some(()));
    fs::remove_file(gateway.file("routes/added.toml")).expect("it is there");
    eventually("a file that was removed is noticed", || (size("/added") != Some(6)).then_some(()));
}

/// The configuration of a platform team is checked, with ten routes for each of thirty services.
#[test]
fn three_hundred_routes_in_thirty_files_are_checked() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    write(&file, &format!("{HEAD}include = [\"routes\"]\n{KEYS}"));
    for team in 0..30 {
        let mut text = format!("[upstreams.team{team}]\npeers = [\"team{team}.internal:8000\"]\n");
        for list in 0..10 {
            text.push_str(&format!(
                "[routes.team{team}_list{list}]\npath = \"/team{team}/list{list}\"\nupstream = \"team{team}\"\ndialect = \"drf-page\"\n\
                 order = [\"-created_at\", \"id\"]\nsortable = [\"created_at\", \"id\"]\npage_size = {{ default = 20, max = {} }}\nold_clients = \"none\"\n",
                30 + list
            ));
        }
        write(&directory.file(&format!("routes/team{team:02}.toml")), &text);
    }
    let began = now();
    let (status, text) = stdout(command().arg("check").arg(&file));
    println!("check of 300 routes in 30 files: {} ms", began.elapsed().as_millis());
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("team29_list9") && text.ends_with("300 routes, no warnings, no errors\n"), "{text}");
}

const HEAD: &str = "version = 1\nother_paths = \"refuse\"\n";
const KEYS: &str = "server.public_url = \"https://api.example.com\"\n\
                    cursor = { signing_key = 1, keys = { 1 = \"env:CURSORGATE_KEY_1\" } }\n";

/// The production configuration, whose keys, tokens and certificates don't exist where a review runs.
const PRODUCTION: &str = r#"version = 1
other_paths = "refuse"

[server]
public_url = "env:PUBLIC_URL:https://api.example.com"

[listeners.public]
address = "{env:HOST:10.0.0.1}:8443"
tls = { certificate = "/etc/cursorgate-of-nobody/tls.crt", key = "file:/etc/cursorgate-of-nobody/tls.key" }

[admin]
address = "127.0.0.1:9180"
token = "file:/etc/cursorgate-of-nobody/token"

[cursor]
signing_key = 1
keys = { 1 = "env:NOBODY_SETS_THIS", 2 = "file:/etc/cursorgate-of-nobody/key" }

[upstreams.people]
peers = ["env:PEOPLE_PEER:people.internal:8000"]
headers = { Authorization = "Bearer {env:NOBODY_SETS_THIS}" }
tls = { ca = "/etc/cursorgate-of-nobody/ca.pem" }

[routes.users]
path = "/users"
upstream = "people"
dialect = "drf-page"
order = ["id"]
sortable = ["id"]
page_size.max = 40
old_clients = "none"
"#;

/// A pull request is checked, and its OpenAPI description is made, without the secrets of production.
#[test]
fn a_review_needs_no_secret() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    write(&file, PRODUCTION);
    let (status, text) = run(command().arg("check").arg(&file));
    assert_eq!(status, Some(2), "{text}");
    for missing in ["NOBODY_SETS_THIS is not set", "there is no folder /etc/cursorgate-of-nobody"] {
        assert!(text.contains(missing), "{missing} in:\n{text}");
    }
    let mut review = command();
    review.args(["check", "--verbose", "--without-secrets", "--warnings-as-errors"]).arg(&file);
    let (status, text) = run(&mut review);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("https://api.example.com/users?limit=20&cursor=…"), "{text}");
    let (status, text) = run(review.env("PUBLIC_URL", "https://staging.example.com").env("PEOPLE_PEER", "nonsense"));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("a peer is host:port (from the environment)"), "{text}");

    let (status, text) = stdout(command().arg("openapi").arg(&file));
    assert_eq!(status, Some(0), "{text}");
    assert!(serde_json::from_str::<Value>(&text).is_ok_and(|document| document["paths"]["/users"].is_object()));

    // The forms of secrets are checked nevertheless.
    write(&file, &PRODUCTION.replace("Bearer {env:NOBODY_SETS_THIS}", "Bearer hunter2hunter2"));
    let (status, text) = run(command().args(["check", "--without-secrets"]).arg(&file));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("write \"Bearer {env:NAME}\"") && !text.contains("hunter2"), "{text}");
}

/// Reports for other programs have the same faults as the report for people.
#[test]
fn reports_for_programs_have_every_fault() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    write(&file, &format!("{}\n[log]\nlevel = \"loud\"\n", PRODUCTION.replace("version = 1\n", "")));
    let check = |format: &str| stdout(command().args(["check", "--without-secrets", "--format", format]).arg(&file));
    let (status, text) = check("json");
    assert_eq!(status, Some(2), "{text}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["errors"], &report["warnings"]), (&1.into(), &1.into()), "{text}");
    let error = &report["diagnostics"][1];
    let line =
        1 + fs::read_to_string(&file).expect("a file").lines().position(|line| line.contains("loud")).expect("it");
    assert_eq!((&error["severity"], &error["line"], &error["column"]), (&"error".into(), &line.into(), &9.into()));
    assert_eq!((&error["end_column"], &error["file"]), (&15.into(), &file.display().to_string().into()));

    let (status, text) = check("github");
    assert_eq!(status, Some(2), "{text}");
    let expected = format!("::error file={},line={line},col=9,endColumn=15,title=cursorgate check::", file.display());
    assert!(text.contains(&expected) && text.contains("::warning file="), "{text}");

    write(&file, PRODUCTION);
    let (status, text) = check("json");
    assert_eq!(status, Some(0), "{text}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let route = &report["routes"][0];
    assert_eq!((&route["name"], &route["mode"], &route["level"]), (&"users".into(), &"offset".into(), &"exact".into()));
}

const INVOICES: &str = r#"version = 1
[dialects.invoices]
extends = "offset-limit"
request.query = "skip={offset}&top={size}"
"#;

const EXCHANGES: &str = r#"route = '''
order = ["id"]
'''

[[exchange]]
name = "second"
from = 2
size = 2
query = "skip=2&top=2&sort=id"
[exchange.answer]
status = 200
body = '{"data":[{"id":3}],"total":3,"offset":2,"limit":2}'
[exchange.reading]
items = ['{"id":3}']
total = 3
offset = 2
size = 2
"#;

/// A team's own exchanges are checked against the dialects of its configuration, in each format of the report, without
/// secrets.
#[test]
fn exchanges_of_a_team_are_checked_against_its_dialects() {
    let directory = Directory::new();
    let (configuration, file) = (directory.file("cursorgate.toml"), directory.file("invoices.toml"));
    write(&configuration, INVOICES);
    write(&file, &EXCHANGES.replace("order = [\"id\"]", "order = [\"id\"]\nsortable = [\"id\"]"));
    let check = |format: &str| {
        let mut command = command();
        command.args(["check", "--format", format, "--exchanges"]).arg(&file).arg("--config").arg(&configuration);
        command.env_remove("CURSORGATE_KEY_1");
        command
    };
    let (status, text) = run(&mut check("text"));
    assert_eq!((status, text.trim()), (Some(0), &*format!("{}: invoices, 1 exchange holds", file.display())));

    let text = fs::read_to_string(&file).expect("a file");
    let line = 1 + text.lines().position(|line| line.starts_with("query")).expect("a query");
    write(&file, &text.replace("skip=2", "skip=3"));
    let (status, text) = run(&mut check("text"));
    assert_eq!(status, Some(1), "{text}");
    let place = format!("{}:{line}:9", file.display());
    for word in
        ["second: the query is \"skip=2&top=2&sort=id\"", "expected \"skip=3", "1 of 1 exchange differs", &place]
    {
        assert!(text.contains(word), "{word} in:\n{text}");
    }
    let (status, text) = stdout(&mut check("json"));
    assert_eq!(status, Some(1), "{text}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["errors"], &report["diagnostics"][0]["line"]), (&1.into(), &line.into()), "{text}");
    assert_eq!(
        (&report["contracts"][0]["dialect"], &report["contracts"][0]["differing"]),
        (&"invoices".into(), &1.into())
    );
    let (status, text) = stdout(&mut check("github"));
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(&format!("::error file={},line={line},col=9,", file.display())), "{text}");

    // A built-in dialect needs no configuration. A contract that can't be read is an error, not a difference.
    write(
        &file,
        &format!("dialect = \"offset-limit\"\n{}", EXCHANGES.replace("skip=2&top=2&sort=id", "offset=2&limit=2")),
    );
    let alone = || {
        let mut command = command();
        command.current_dir(file.parent().expect("a folder")).args(["check", "--exchanges", "invoices.toml"]);
        command
    };
    fs::remove_file(&configuration).expect("it was written");
    let (status, text) = run(&mut alone());
    assert_eq!((status, text.trim()), (Some(0), "invoices.toml: offset-limit, 1 exchange holds"));
    write(&file, &format!("dialect = \"offset-limits\"\n{EXCHANGES}"));
    let (status, text) = run(&mut alone());
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("did you mean \"offset-limit\"?") && text.contains("invoices.toml:1:11"), "{text}");
}

/// The exchanges in docs/dialects.md agree with the dialect in docs/dialects.md.
#[test]
fn the_exchanges_in_the_documentation_agree_with_their_dialect() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dialects.md")).expect("a page");
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [dialect, exchanges] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let directory = Directory::new();
    let (configuration, file) = (directory.file("cursorgate.toml"), directory.file("invoices.toml"));
    write(&configuration, &format!("version = 1\n{dialect}"));
    write(&file, exchanges);
    let (status, text) = run(command().args(["check", "--exchanges"]).arg(&file).arg("--config").arg(&configuration));
    assert_eq!(status, Some(0), "{text}");
}

/// Warnings fail a check only with the option that treats warnings as errors.
#[test]
fn warnings_can_be_errors() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let route = PRODUCTION.split("[routes.users]").nth(1).expect("a route").replace("old_clients = \"none\"\n", "");
    let text = format!(
        "{HEAD}{KEYS}[upstreams.people]\npeers = [\"people.internal:8000\"]\n[routes.users]{route}\
         old_clients = \"translate\"\nlegacy = {{ sunset = 2020-12-31, after_sunset = \"reject\" }}\n"
    );
    write(&file, &text);
    let mut check = command();
    check.args(["check", "--without-secrets"]).arg(&file);
    let (status, text) = run(&mut check);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("the sunset of routes.users was 2020-12-31: all its old clients are refused"), "{text}");
    let (status, text) = run(check.arg("--warnings-as-errors"));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("1 warning (--warnings-as-errors)"), "{text}");
}

/// A secret with a prefix reaches the upstream as one value.
#[test]
fn a_prefix_stands_before_a_secret() {
    let upstream = Upstream::start(serve(users(3)));
    let setup = Setup { upstream: "headers = { Authorization = \"Bearer {env:CURSORGATE_KEY_2}\" }", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    assert_eq!(gateway.get("/users").status, 200);
    let requests = upstream.requests();
    let sent = requests.last().and_then(|request| request.header("authorization"));
    assert_eq!(sent, Some("Bearer another-key-of-the-tests-and-nothing-else"));
}

/// The configuration file can be named by an argument, by `--config` or by the environment. The command line takes
/// precedence over the environment.
#[test]
fn the_file_can_be_named_in_each_way() {
    let directory = Directory::new();
    let (file, missing) = (directory.file("elsewhere.toml"), directory.file("missing.toml"));
    write(&file, PRODUCTION);
    let check = || {
        let mut check = command();
        check.args(["check", "--without-secrets"]);
        check
    };
    for command in [
        check().arg(&file),
        check().arg("--config").arg(&file),
        check().env("CURSORGATE_CONFIG", &file),
        check().arg(&file).env("CURSORGATE_CONFIG", &missing),
    ] {
        let (status, text) = run(command);
        assert_eq!(status, Some(0), "{text}");
    }
    let (status, text) = run(check().arg(&file).arg("--config").arg(&file));
    assert_eq!(status, Some(2), "{text}");
    for verb in ["run", "health", "openapi"] {
        let (status, text) = run(command().arg(verb).arg(&missing));
        assert!(status == Some(2) && text.contains("missing.toml"), "{verb}: {text}");
    }
}

/// The file that `init` writes has no fault, and `init` does not replace an existing file.
#[test]
fn a_first_configuration_passes_its_check() {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let init = |arguments: &[&str]| run(command().arg("init").arg(&file).args(arguments));
    for arguments in [
        &[][..],
        &["--upstream", "https://people.internal", "--path", "/api/{tenant}/users", "--dialect", "drf-page"],
        &["--dialect", "stripe"],
    ] {
        let (status, text) = init(arguments);
        assert_eq!(status, Some(0), "{text}");
        let mut check = command();
        check.args(["check", "--warnings-as-errors"]).arg(&file).env("CURSORGATE_KEY", crate::harness::gateway::KEY);
        let (status, text) = run(&mut check);
        assert_eq!(status, Some(0), "{arguments:?}: {text}");
        assert_eq!(init(&[]).0, Some(1), "no file is overwritten");
        fs::remove_file(&file).expect("it was written");
    }
    // The files for other dialects may have warnings that ask for more details of the endpoint.
    let (_, dialects) = stdout(command().arg("dialects"));
    for dialect in dialects.lines().filter_map(|line| line.split(' ').next()) {
        assert_eq!(init(&["--dialect", dialect]).0, Some(0), "{dialect}");
        let (status, text) = run(command().args(["check", "--without-secrets"]).arg(&file));
        assert_eq!(status, Some(0), "{dialect}: {text}");
        fs::remove_file(&file).expect("it was written");
    }
    let (status, text) = init(&["--dialect", "drf-pag"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("did you mean \"drf-page\"?") && !file.exists(), "{text}");
}

/// The program prints completions, the manual, the envelopes and its version.
#[test]
fn the_program_prints_completions_manual_and_version() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef cursorgate"), ("fish", "complete -c cursorgate")] {
        let (status, script) = stdout(command().args(["completions", shell]));
        assert!(status == Some(0) && script.contains(word), "{shell}: {script}");
        assert!(script.contains("without-secrets"), "{shell}");
    }
    let (_, script) = stdout(command().args(["completions", "bash"]));
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("a shell");
    bash.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("it reads");
    assert!(bash.wait().expect("it ends").success(), "a script without a syntax error");

    let (status, page) = stdout(command().arg("man"));
    assert!(status == Some(0) && page.contains(".TH cursorgate 1"), "{page}");
    let (status, page) = stdout(command().args(["man", "check"]));
    assert!(status == Some(0) && page.contains("warnings\\-as\\-errors"), "{page}");
    assert_eq!(run(command().args(["man", "chekc"])).0, Some(1));

    let (_, list) = stdout(command().arg("envelopes"));
    assert!(list.lines().any(|line| line.starts_with("jsonapi  ")), "{list}");
    let (status, envelope) = stdout(command().args(["envelopes", "standard"]));
    let envelope: Value = serde_json::from_str(&envelope).expect("JSON");
    assert!(status == Some(0) && envelope["body"].is_object());
    let (status, text) = run(command().args(["envelopes", "standart"]));
    assert!(status == Some(1) && text.contains("did you mean \"standard\"?"), "{text}");

    let (_, version) = stdout(command().arg("--version"));
    for word in ["cursorgate 0.", "commit ", "build ", "OpenSSL "] {
        assert!(version.contains(word), "{word} in:\n{version}");
    }
    assert_eq!(stdout(command().arg("-V")).1.lines().count(), 1);
}

/// A cursor is found in a link and verified. Only the keys of the configuration are needed for that.
#[test]
fn a_cursor_is_inspected_with_its_keys_alone() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let link = gateway.get("/users?limit=5").link("next").expect("a next page");
    let file = gateway.file("other.toml");
    write(
        &file,
        &PRODUCTION
            .replace("env:NOBODY_SETS_THIS\", 2 = \"file:/etc/cursorgate-of-nobody/key\"", "env:CURSORGATE_KEY_1\""),
    );
    for text in [link.clone(), gateway.url(&link), link.split("cursor=").nth(1).expect("a cursor").to_owned()] {
        let (status, shown) = run(command().args(["cursor", "inspect", "--config"]).arg(&file).arg(&text));
        assert_eq!(status, Some(0), "{text}: {shown}");
    }
    let (status, shown) = run(command().args(["cursor", "inspect", "https://api.example.com/?cursor=nonsense&page=2"]));
    assert_eq!(status, Some(1), "{shown}");
}

/// The JSON Schema of configurations conforms to draft 4, and accepts the reference configuration and a file with
/// variables.
#[test]
fn the_json_schema_is_valid_draft_4_for_editors() {
    const VALIDATE: &str = "import json, sys, tomllib, jsonschema\n\
                            schema = json.load(open(sys.argv[1]))\n\
                            assert schema['$schema'] == 'http://json-schema.org/draft-04/schema#'\n\
                            jsonschema.Draft4Validator.check_schema(schema)\n\
                            text = open(sys.argv[2], 'rb')\n\
                            faults = list(jsonschema.Draft4Validator(schema).iter_errors(json.loads(json.dumps(tomllib.load(text), default=str))))\n\
                            print([fault.message for fault in faults])\n";
    let directory = Directory::new();
    let schema = directory.file("schema.json");
    write(&schema, &stdout(command().arg("schema")).1);
    let (_, reference) = stdout(command().arg("reference"));
    let wrong = PRODUCTION.replace("order = [\"id\"]", "order = \"id\"");
    for (text, expected) in
        [(reference.as_str(), "[]\n"), (PRODUCTION, "[]\n"), (&wrong, "[\"'id' is not of type 'array'\"]\n")]
    {
        let file = directory.file("cursorgate.toml");
        write(&file, text);
        let (status, faults) = run(Command::new(python()).args(["-c", VALIDATE]).arg(&schema).arg(&file));
        assert_eq!((status, faults.as_str()), (Some(0), expected));
    }
}
