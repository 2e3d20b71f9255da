//! Tests of the clients that `cursorgate sdk` writes: accepted by the compilers of their languages in the strictest
//! mode, tested by their own tests, and run to the end of lists of 1,003 items in each built-in envelope.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cursorgate_config::preset_envelopes;
use serde_json::{Value, json};

use crate::{
    harness::{
        Directory,
        gateway::{Gateway, command},
        http,
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration},
        upstream::{After, Exchange, Upstream},
    },
    third_party::environment,
};

const COUNT: u64 = 1_003;

/// Returns the upstream's own OpenAPI document, from which the items get their types.
fn document() -> Value {
    let row = json!({
        "type": "object",
        "required": ["id", "score"],
        "properties": {
            "id": { "type": "integer" },
            "score": { "type": "integer", "description": "The newest score" },
            "note": { "type": "string", "nullable": true },
            "above": { "$ref": "#/components/schemas/Row" },
            "kind": { "type": "string", "enum": ["a", "b-c"] },
            "tags": { "type": "object", "additionalProperties": { "type": "string" } },
            "odd name": { "type": "array", "items": { "oneOf": [{ "type": "number" }, { "type": "boolean" }] } },
        },
    });
    let answer = json!({ "type": "object", "properties": { "items": { "type": "array", "items": { "$ref": "#/components/schemas/Row" } } } });
    json!({
        "openapi": "3.0.3",
        "paths": { "/users": { "get": { "responses": { "200": { "content": { "application/json": { "schema": answer } } } } } } },
        "components": { "schemas": { "Row": row } },
    })
}

/// Returns a configuration with a route for each built-in envelope, and a route with a parameter in its path.
fn configured(upstream: &Upstream, document: &Path) -> String {
    let openapi = format!("openapi = {{ file = \"{}\", operation = \"GET /users\" }}", document.display());
    let keys =
        format!("{BY_SCORE}\npage_size = {{ max = 400 }}\nparameters = {{ filters = [\"score__gte\"] }}\n{openapi}");
    let mut text = configuration(upstream.address, BY_OFFSET, &keys);
    let route = |name: &str, path: &str, more: &str| {
        format!(
            "\n[routes.{name}]\npath = \"{path}\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\ndialect = \"rows\"\n\
             fields = {{ id = {{ type = \"number\", nulls = \"none\" }}, score = {{ type = \"number\", nulls = \"none\" }} }}\n\
             {keys}\n{more}\n"
        )
    };
    for (name, _) in preset_envelopes() {
        let more = match name {
            "batch" => "methods = [\"POST\"]",
            "stripe" => "mode = \"seek\"",
            _ => "",
        };
        text.push_str(&route(name, &format!("/lists/{name}"), &format!("envelope = \"{name}\"\n{more}")));
    }
    text.push_str(&route("team_users", "/teams/{team}/users", ""));
    text
}

/// Returns rows of which up to eight share a score.
fn rows() -> Vec<Row> {
    (1..=COUNT).map(|place| place * 397 % 1_009).map(|id| Row::new(id, id * 31 % 131)).collect()
}

/// Returns the ids of rows, sorted by `key`.
fn ordered(rows: &[Row], key: impl Fn(&Row) -> (i64, i64)) -> Value {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows.iter().map(|row| row.id).collect()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a small number")
}

/// Runs a command in a folder. Asserts that it succeeds, and returns its standard output.
fn run(command: &mut Command, folder: &Path) -> String {
    let Output { status, stdout, stderr } = command
        .current_dir(folder)
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{said}{}", String::from_utf8_lossy(&stderr));
    said
}

/// Writes the client for a configuration, in a programming language, to a folder.
fn write(configuration: &Path, language: &str, folder: &Path) {
    let mut command = command();
    // The command needs no key, so none is in its environment.
    command.env_remove("CURSORGATE_KEY_1").env_remove("CURSORGATE_KEY_2");
    command.arg("sdk").arg(configuration).args(["--lang", language, "--out"]).arg(folder);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("users, aip, bare, batch,"), "{said}");
}

/// Returns the example in the client's README.
fn example(folder: &Path, language: &str) -> String {
    let readme = fs::read_to_string(folder.join("README.md")).expect("a file of the client");
    let begin = format!("\n```{language}\n");
    let code = readme.split(&begin).nth(1).and_then(|rest| rest.split("\n```").next());
    code.unwrap_or_else(|| panic!("no example: {readme}")).to_owned()
}

fn source(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/sdk").join(name)
}

/// A gateway with a route for each envelope, its configuration in a file, and the rows.
struct Lists {
    directory: Directory,
    gateway: Gateway,
    rows: Vec<Row>,
    _upstream: Upstream,
}

impl Lists {
    fn start() -> Self {
        let (directory, rows) = (Directory::new(), rows());
        let served = Rows::new(rows.clone());
        let upstream = Upstream::start(move |exchange| served.answer(exchange));
        let file = directory.file("rows.openapi.json");
        fs::write(&file, document().to_string()).expect("a file in the test's directory");
        let gateway = Gateway::start(&configured(&upstream, &file));
        fs::write(directory.file("cursorgate.toml"), gateway.configuration()).expect("a file in the test's directory");
        Self { directory, gateway, rows, _upstream: upstream }
    }

    /// Asserts that each walk that a client printed has all rows in order. `further` names walks that only this client
    /// makes.
    fn compare(&self, said: &str, further: &[&str]) {
        let walks: Value = serde_json::from_str(said).unwrap_or_else(|fault| panic!("{fault}: {said}"));
        let usual = ordered(&self.rows, |row| (-signed(row.score), signed(row.id)));
        let names = preset_envelopes().map(|(name, _)| name).chain(["team", "resumed"]).chain(further.iter().copied());
        for name in names {
            assert!(walks[name] == usual, "{name}: {}", walks[name]);
        }
        assert_eq!(walks["backwards"], ordered(&self.rows, |row| (signed(row.score), -signed(row.id))));
        let high: Vec<Row> = self.rows.iter().filter(|row| row.score >= 100).cloned().collect();
        assert_eq!(walks["filtered"], ordered(&high, |row| (-signed(row.score), signed(row.id))));
        assert_eq!(walks["total"], COUNT);
        assert_eq!(walks["error"], json!([400, "cursor_invalid", true, true]));
    }
}

#[test]
fn a_client_in_typescript_is_strictly_typed_and_walks_every_envelope() {
    let lists = Lists::start();
    let folder = lists.directory.file("typescript");
    write(&lists.directory.file("cursorgate.toml"), "typescript", &folder);
    let modules = environment("sdk/node_modules");
    std::os::unix::fs::symlink(&modules, folder.join("node_modules")).expect("a link in the test's directory");
    fs::copy(source("walk.ts"), folder.join("test/walk.ts")).expect("a copy");
    let example = example(&folder, "ts").replace("\"api-client\"", "\"../src/index.js\"");
    fs::write(folder.join("test/example.ts"), example).expect("a file of the test");
    let compiler = modules.join(".bin/tsc");
    run(Command::new(&compiler).args(["--strict", "--project", "."]), &folder);
    run(Command::new("node").args(["--test", "dist/test/client.test.js"]), &folder);
    let said = run(Command::new("node").arg("dist/test/walk.js").arg(lists.gateway.url("")), &folder);
    lists.compare(&said, &[]);
    // Files that the owner of a client has changed are kept when the client is written again.
    fs::write(folder.join("package.json"), "{}").expect("a file of the client");
    write(&lists.directory.file("cursorgate.toml"), "typescript", &folder);
    assert_eq!(fs::read_to_string(folder.join("package.json")).expect("a file of the client"), "{}");
}

#[test]
fn a_client_in_python_is_strictly_typed_and_walks_every_envelope() {
    let lists = Lists::start();
    let folder = lists.directory.file("python");
    write(&lists.directory.file("cursorgate.toml"), "python", &folder);
    fs::copy(source("walk.py"), folder.join("walk.py")).expect("a copy");
    fs::write(folder.join("example.py"), example(&folder, "python")).expect("a file of the test");
    let python = environment("sdk/python/bin/python");
    run(
        Command::new(&python).args(["-m", "mypy", "--strict", "api_client", "tests", "walk.py", "example.py"]),
        &folder,
    );
    // `-W error` makes warnings errors. For example, an answer that stays open causes a warning.
    run(Command::new(&python).args(["-W", "error", "-m", "unittest", "tests.test_client"]), &folder);
    let said = run(Command::new(&python).args(["-W", "error", "walk.py"]).arg(lists.gateway.url("")), &folder);
    lists.compare(&said, &["by tasks"]);
}

/// Answers like a service with rows, of which a PUT changes the note, and with reports, which take a moment.
fn serve_rows(exchange: &mut Exchange, rows: &Rows) -> std::io::Result<After> {
    let json = [("Content-Type", "application/json")];
    let path = exchange.request.path().to_owned();
    match (exchange.request.method.as_str(), path.as_str()) {
        ("PUT", _) => {
            exchange.body()?;
            let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
            rows.change_of("Bearer one", |rows| {
                rows.iter_mut().filter(|row| Some(row.id) == id).for_each(|row| "changed".clone_into(&mut row.note));
            });
            exchange.reply("204 No Content", &[], b"")
        }
        ("POST", _) => match exchange.body()?.as_slice() {
            br#"{"month": "2026-11"}"# | br#"{"month":"2026-11"}"# => {
                exchange.reply("202 Accepted", &[("Location", "/reports/1"), ("Retry-After", "0")], b"")
            }
            _ => exchange.reply("409 Conflict", &json, b"{}"),
        },
        (_, "/reports/1") => exchange.reply("200 OK", &json, br#"{"rows":3}"#),
        (_, "/nowhere") => exchange.reply("404 Not Found", &json, b"{}"),
        _ => rows.answer(exchange),
    }
}

/// The clients of both languages order exports, watch pages, begin jobs and send bulk requests.
#[test]
fn clients_use_services() {
    for language in ["typescript", "python"] {
        let (directory, rows) = (Directory::new(), Rows::default());
        rows.change_of("Bearer one", |own| own.extend((1..=60).map(|id| Row::new(id, id % 7 * 50))));
        let served = rows.clone();
        let upstream = Upstream::start(move |exchange| serve_rows(exchange, &served));
        let file = directory.file("rows.openapi.json");
        fs::write(&file, document().to_string()).expect("a file in the test's directory");
        let openapi = format!("openapi = {{ file = \"{}\", operation = \"GET /users\" }}", file.display());
        let routes = configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\n{openapi}"));
        let gateway = Gateway::start(&format!(
            "{routes}\n[routes.others]\npath = \"/others\"\nupstream = \"legacy\"\ndialect = \"rows\"\norder = [\"id\"]\n\
             fields = {{ id = {{ type = \"number\", nulls = \"none\" }} }}\n\
             [routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n\
             [services.bulk]\n[services.live]\nroutes = [\"users\"]\n[services.exports]\ndirectory = {:?}\n\
             [services.jobs.queues.reports]\nrequest = \"POST /reports\"\ninterval = \"100ms\"\n",
            directory.file("exports")
        ));
        let configuration = directory.file("cursorgate.toml");
        fs::write(&configuration, gateway.configuration()).expect("a file in the test's directory");
        let folder = directory.file(language);
        let mut command = command();
        command.arg("sdk").arg(&configuration).args(["--lang", language, "--out"]).arg(&folder);
        run(&mut command, directory.path());
        let said = if language == "python" {
            fs::copy(source("services.py"), folder.join("services.py")).expect("a copy");
            let python = environment("sdk/python/bin/python");
            run(Command::new(&python).args(["-m", "mypy", "--strict", "api_client", "services.py"]), &folder);
            run(Command::new(&python).args(["-W", "error", "services.py"]).arg(gateway.url("")), &folder)
        } else {
            let modules = environment("sdk/node_modules");
            std::os::unix::fs::symlink(&modules, folder.join("node_modules")).expect("a link in the test's directory");
            fs::copy(source("services.ts"), folder.join("test/services.ts")).expect("a copy");
            run(Command::new(modules.join(".bin/tsc")).args(["--strict", "--project", "."]), &folder);
            run(Command::new("node").arg("dist/test/services.js").arg(gateway.url("")), &folder)
        };
        let told: Value = serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{fault}: {said}"));
        let high: Vec<Row> = (1..=60).map(|id| Row::new(id, id % 7 * 50)).filter(|row| row.score >= 100).collect();
        let order = ordered(&high, |row| (-signed(row.score), signed(row.id)));
        let expected = json!({
            "export": ["completed", high.len(), order],
            "same": [true],
            "deleted": "export_not_found",
            "bulk": [false, [["a", true, 204], [null, false, 404]]],
            "live": [["row 6", "row 13", "row 20"], ["row 6", "changed", "row 20"]],
            "job": [true, { "rows": 3 }, 1],
            "failed": ["failed", 409],
            "resumed": true,
            "not live": true,
        });
        assert_eq!(told, expected, "{language}");
    }
}

/// A client that a public generator writes from the document of a route, as `learn` writes the route, reads all items
/// of the list, though nobody tells it a limit or the word for the first page. The service's old clients get what they
/// got.
#[test]
fn a_client_of_a_public_generator_reads_a_learnt_list_to_its_end() {
    let rows = Rows::count(173);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let (configuration, _) = super::learn::learn(&format!("http://{}/users", upstream.address), &[]);
    let gateway = Gateway::start_as_written(&configuration);
    let directory = Directory::new();
    let host = gateway.admin.to_string();
    let document = http::send(gateway.admin, "GET", "/openapi.json", &[("Host", &host)], b"");
    assert_eq!(document.status, 200, "{document:?}");
    fs::write(directory.file("document.json"), document.body).expect("a file in the test's directory");
    // Without this file, the generator formats what it writes.
    fs::write(directory.file("generator.yaml"), "post_hooks: []\n").expect("a file in the test's directory");
    fs::copy(source("generated.py"), directory.file("walk.py")).expect("a copy");
    let python = environment("sdk/python/bin/python");
    let mut generate = Command::new(python.with_file_name("openapi-python-client"));
    generate.args(["generate", "--path", "document.json", "--output-path", "generated", "--meta", "none"]);
    run(generate.args(["--config", "generator.yaml", "--fail-on-warning"]), directory.path());
    let walk = ["-W", "error", "walk.py", &gateway.url("")];
    let said = run(Command::new(&python).args(walk), directory.path());
    let ids: Vec<u64> = serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{fault}: {said}"));
    assert_eq!(ids, (1..=173).collect::<Vec<u64>>());
    let old = "/users?page=2&per_page=30";
    assert_eq!(gateway.get(old).text(), http::get(upstream.address, old).text());
}
