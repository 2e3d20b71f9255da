//! Tests of programs and configurations that readers copy. The programs of examples/clients, one of them in a web page,
//! read a list of 1,003 rows to its end while other rows are added and removed. They also report refusals. The
//! configurations of docs/how-to are accepted.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use serde_json::{Value, json};

use crate::{
    browser::{is_sound, look},
    harness::{
        Directory, Numbers,
        gateway::{Gateway, command},
        rows::{BY_PAGE, Row, Rows, configuration},
        upstream::Upstream,
    },
    third_party::environment,
};

const COUNT: usize = 1_003;
/// The first id of rows that are added and removed. Rows with smaller ids stay.
const PASSING: u64 = 10_000;
/// The limits of the walks. 1,003 is 17 times 59, so the last page with the limit 59 is full.
const LIMITS: [&str; 2] = ["20", "59"];

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Starts a gateway in front of rows with names, of which up to eight share a score. With each request, up to two rows
/// are added anywhere in the list. If there are more than 20 added rows, one of them is removed.
fn start() -> (Upstream, Gateway) {
    let rows = Rows::new((1..).map(|id| Row::new(id, id * 31 % 131)).take(COUNT));
    let state = Mutex::new((Numbers::new(22), PASSING));
    let upstream = Upstream::start(move |exchange| {
        let mut state = state.lock().expect("no request has failed");
        let (numbers, next) = &mut *state;
        rows.change(|all| {
            let passing: Vec<usize> = (0..all.len()).filter(|&at| all[at].id >= PASSING).collect();
            if passing.len() > 20 {
                all.swap_remove(passing[numbers.below(passing.len())]);
            }
            for _ in 0..numbers.below(3) {
                all.push(Row::new(*next, numbers.draw() % 131));
                *next += 1;
            }
        });
        rows.answer_as(exchange, |body| body.replace("\"note\":", "\"name\":"))
    });
    let route = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\npage_size = { max = 100 }";
    let gateway = Gateway::start(&configuration(upstream.address, BY_PAGE, route));
    (upstream, gateway)
}

/// Runs a program with a URL. Returns whether it succeeded, its standard output and its standard error.
fn run(program: &[&OsStr], url: &str) -> (bool, String, String) {
    // `timeout` ends a walk that does not end within 300 seconds.
    let mut command = Command::new("timeout");
    command.arg("300").args(program).arg(url).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Reads the list to its end with a program, and asserts that the program reports a refused cursor.
fn read_to_the_end(program: &[&OsStr]) {
    let (_upstream, gateway) = start();
    for limit in LIMITS {
        let (success, items, said) = run(program, &gateway.url(&format!("/users?limit={limit}")));
        assert!(success, "{program:?}: {said}");
        let rows = items.lines().map(|line| serde_json::from_str::<Value>(line).expect("an item in a line"));
        let rows: Vec<(u64, u64)> =
            rows.map(|row| (row["score"].as_u64().expect("a score"), row["id"].as_u64().expect("an id"))).collect();
        let ids: HashSet<u64> = rows.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), rows.len(), "{program:?}: an item came twice");
        assert_eq!(ids.iter().filter(|id| **id < PASSING).count(), COUNT, "{program:?}: of those that stayed");
        assert!(rows.is_sorted_by_key(|(score, id)| (std::cmp::Reverse(*score), *id)), "{program:?}: {rows:?}");
        assert!(said.starts_with(&format!("{} items", rows.len())), "{program:?}: {said}");
    }
    let (success, items, said) = run(program, &gateway.url("/users?limit=20&cursor=none"));
    assert!(!success && items.is_empty(), "{program:?}: {items}");
    assert!(said.starts_with("400 cursor_invalid: ") && said.contains("\nBegin again: "), "{program:?}: {said}");
}

#[test]
fn curl_and_jq_read_a_list_to_its_end() {
    read_to_the_end(&["sh".as_ref(), repository("examples/clients/walk.sh").as_ref()]);
}

#[test]
fn python_reads_a_list_to_its_end() {
    read_to_the_end(&["python3".as_ref(), repository("examples/clients/walk.py").as_ref()]);
}

/// The test uses the Go toolchain from PyPI, whose program `go` finds its own root and needs nothing from the network.
/// Packages of the standard library are built once, and kept in the target directory.
#[test]
fn go_reads_a_list_to_its_end() {
    let source = repository("examples/clients/walk.go");
    let go = environment("guides/python/bin/go");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-build");
    let folder = Directory::new();
    let run = |program: &Path, arguments: &[&OsStr]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(&source).env("HOME", folder.path()).env("GOCACHE", &cache);
        command.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("CGO_ENABLED", "0");
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let root = Command::new(&go).args(["env", "GOROOT"]).env("HOME", folder.path()).output().expect("it runs");
    let root = PathBuf::from(String::from_utf8_lossy(&root.stdout).trim());
    assert_eq!(run(&root.join("bin/gofmt"), &["-d".as_ref()]), "", "as gofmt writes it");
    run(&go, &["vet".as_ref()]);
    let program = folder.file("walk");
    run(&go, &["build".as_ref(), "-o".as_ref(), program.as_ref()]);
    read_to_the_end(&[program.as_ref()]);
}

/// Copies a folder with all its contents.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder in the test's directory");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_file() {
            fs::copy(&path, to.join(name)).expect("a file");
        } else if name != "node_modules" && name != "dist" {
            copy(&path, &to.join(name));
        }
    }
}

/// Returns a copy of examples/clients with the packages that its lock file names. A copy is needed because tools write
/// files next to their sources.
fn installed() -> Directory {
    let folder = Directory::new();
    copy(&repository("examples/clients"), folder.path());
    let modules = folder.file("node_modules");
    fs::create_dir(&modules).expect("a folder in the test's directory");
    for entry in fs::read_dir(environment("guides/node_modules")).expect("packages") {
        let entry = entry.expect("a package");
        symlink(entry.path(), modules.join(entry.file_name())).expect("a link in the test's directory");
    }
    folder
}

/// Runs a compiler on a project of the copy.
fn compile(compiler: &str, project: &Path) {
    let compiler = environment("guides/node_modules/.bin").join(compiler);
    let output = Command::new(compiler).arg("--project").arg(project).output().expect("it runs");
    assert!(output.status.success(), "{project:?}: {}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn tanstack_query_reads_a_list_to_its_end() {
    let folder = installed();
    compile("tsc", folder.path());
    for program in ["infinite.js", "pages.js"] {
        read_to_the_end(&["node".as_ref(), folder.file("dist").join(program).as_ref()]);
    }
}

/// Returns the ids of the rows that a web page displays, such as 7 for `row 7`.
fn ids(rows: &Value) -> Vec<u64> {
    let rows = rows.as_array().unwrap_or_else(|| panic!("no rows: {rows}"));
    let id = |row: &Value| row.as_str().and_then(|text| text.strip_prefix("row ")?.parse().ok());
    rows.iter().map(|row| id(row).unwrap_or_else(|| panic!("no row: {row}"))).collect()
}

/// Asserts that the rows that stayed are displayed once and in order, and that no other row is displayed twice.
fn is_whole(shown: &[u64], what: &str) {
    let mut stayed: Vec<u64> = (1..).take(COUNT).collect();
    stayed.sort_by_key(|id| (std::cmp::Reverse(id * 31 % 131), *id));
    let of_those: Vec<u64> = shown.iter().copied().filter(|id| *id < PASSING).collect();
    assert_eq!(of_those, stayed, "{what}: those that stayed");
    assert_eq!(shown.iter().collect::<HashSet<_>>().len(), shown.len(), "{what}: an item came twice");
}

/// Asserts that a section of a web page displays an alert for a refused cursor and for an answer that isn't a page, and
/// that its button loads the list again. `kept` is the number of rows next to the first alert.
fn begins_again(section: &Value, kept: usize, what: &str) {
    let count = |state: &str| section[state]["rows"].as_array().map(Vec::len);
    let alert = |state: &str| section[state]["alert"].as_str().unwrap_or_default().to_owned();
    assert!(alert("refused").starts_with("400 cursor_invalid: "), "{what}: {section}");
    assert!(alert("refused").ends_with(" Begin again"), "{what}: {section}");
    assert_eq!(count("refused"), Some(kept), "{what}: rows beside the alert");
    assert_eq!((count("again"), alert("again").as_str()), (Some(20), ""), "{what}: {section}");
    assert!(alert("broken").starts_with("500 ") && alert("broken").ends_with(" Try again"), "{what}: {section}");
    assert_eq!(alert("repaired"), "", "{what}: {section}");
}

/// Compiles the web page in a folder of examples/clients, and reads the list with the buttons of the page.
fn a_page_is_read_to_its_end(compiler: &str, name: &str) {
    let (_upstream, gateway) = start();
    let folder = installed();
    let root = folder.file(name);
    compile(compiler, &root);
    let saw = look("guides.mjs", &[&gateway.url(""), root.to_str().expect("text")], &format!("guides-{name}"));
    is_sound(&saw, saw["origin"].as_str().expect("an origin"), &["page"]);
    for limit in LIMITS {
        let seen = &saw[format!("limit {limit}")];
        let feed = ids(&seen["feed"]["rows"]);
        is_whole(&feed, &format!("{name}, the list by {limit}"));
        assert_eq!(seen["feed"]["buttons"], json!({ format!("All {}", feed.len()): false }));
        let pages = |way: &str| -> Vec<Vec<u64>> { seen[way].as_array().expect("pages").iter().map(ids).collect() };
        let (forward, mut back) = (pages("forward"), pages("back"));
        back.reverse();
        is_whole(&forward.concat(), &format!("{name}, the table by {limit}"));
        is_whole(&back.concat(), &format!("{name}, the table by {limit}, on the way back"));
        let buttons = json!({ "First": false, "Previous": false, "Next": true });
        assert_eq!(seen["first"]["buttons"], buttons, "{name}: the first page by its button");
    }
    begins_again(&saw["An infinite list"], 40, name);
    begins_again(&saw["Page by page"], 0, name);
}

#[test]
fn react_reads_a_list_to_its_end() {
    a_page_is_read_to_its_end("tsc", "react");
}

#[test]
fn vue_reads_a_list_to_its_end() {
    a_page_is_read_to_its_end("vue-tsc", "vue");
}

/// Returns the TOML blocks of a page in Markdown.
pub(crate) fn configurations(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// `check` accepts the configurations of the how-tos. The index contains the lines with which all files begin, and each
/// page contains the lines of its framework.
#[test]
fn the_configurations_of_the_how_tos_are_accepted() {
    let index = fs::read_to_string(repository("docs/how-to/README.md")).expect("the index");
    let head = configurations(&index)[0];
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let mut pages = 0;
    for entry in fs::read_dir(repository("docs/how-to")).expect("the folder") {
        let path = entry.expect("a page").path();
        if path.file_name() == Some(OsStr::new("README.md")) {
            continue;
        }
        let page = fs::read_to_string(&path).expect("a page");
        assert!(index.contains(path.file_name().and_then(OsStr::to_str).expect("a name")), "{path:?} is in the index");
        let blocks = configurations(&page);
        assert!(!blocks.is_empty(), "{path:?} has a configuration");
        for block in blocks {
            fs::write(&file, format!("version = 1\n{head}\n{block}")).expect("a file in the test's directory");
            let output = command().args(["check", "--without-secrets"]).arg(&file).output().expect("it runs");
            assert!(output.status.success(), "{path:?}:\n{block}{}", String::from_utf8_lossy(&output.stderr));
        }
        pages += 1;
    }
    assert!(pages > 0);
}
