//! Programs and configurations that readers copy: those of examples/clients read a list of 1,003 rows to its end while
//! others come and go, and say why a list is refused; those of docs/how-to are accepted.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use serde_json::Value;

use crate::{
    harness::{
        Directory, Numbers,
        gateway::{Gateway, command},
        rows::{BY_PAGE, Row, Rows, configuration},
        upstream::Upstream,
    },
    third_party::environment,
};

const COUNT: usize = 1_003;
/// Rows below this id stay as they are; those from it on come and go.
const PASSING: u64 = 10_000;
/// 1,003 is 17 times 59: there the last page is a full one.
const LIMITS: [&str; 2] = ["20", "59"];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Rows of which up to eight share a score. With each request some come, anywhere in the list, and some go.
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
        rows.answer(exchange)
    });
    let route = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\npage_size = { max = 100 }";
    let gateway = Gateway::start(&configuration(upstream.address, BY_PAGE, route));
    (upstream, gateway)
}

/// Runs a program at a URL: its success, its standard output and its standard error.
fn run(program: &[&OsStr], url: &str) -> (bool, String, String) {
    // A walk that doesn't end is ended.
    let mut command = Command::new("timeout");
    command.arg("300").args(program).arg(url).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Walks the list with a program, and looks at what it says of a list that it may not have.
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

#[test]
fn tanstack_query_reads_a_list_to_its_end() {
    let folder = Directory::new();
    for file in ["infinite.ts", "list.ts", "pages.ts", "package.json", "tsconfig.json"] {
        fs::copy(repository("examples/clients").join(file), folder.file(file)).expect("a file of the examples");
    }
    let modules = folder.file("node_modules");
    fs::create_dir(&modules).expect("a folder in the test's directory");
    for (whose, name) in [("walkers", "@tanstack"), ("sdk", "@types"), ("sdk", "undici-types")] {
        let target = environment(&format!("{whose}/node_modules/{name}"));
        symlink(target, modules.join(name)).expect("a link in the test's directory");
    }
    let compiler = environment("sdk/node_modules/.bin/tsc");
    let output = Command::new(compiler).arg("--project").arg(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    for program in ["infinite.js", "pages.js"] {
        read_to_the_end(&["node".as_ref(), folder.file("dist").join(program).as_ref()]);
    }
}

/// Returns the blocks of a page that are written in TOML.
fn configurations(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The index has the lines that all files begin with; each page has those of its framework.
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
