//! Tests of the structure of the repository that no compiler checks: circles of files, I/O, names, the contents of
//! documents, and that everything under `config/` loads. Lengths and words are no faults: `tests/smells.sh` prints them.

#![expect(clippy::unwrap_used, reason = "a repository that can't be read is a failed test")]

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/rows.rs"]
mod rows;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cursorgate_config::{Environment, load_text, preset_dialects, preset_envelopes};
use cursorgate_gateway::Snapshot;

/// The crates that the program consists of, besides its own package.
const CRATES: [&str; 9] = ["core", "cursor", "link", "config", "translate", "learn", "gateway", "services", "tools"];

/// The sans-IO crates, which turn facts into decisions and bytes. Their manifests show that they use no runtime.
const PURE: [&str; 6] = ["core", "cursor", "link", "translate", "learn", "tools"];

/// Parts of the standard library that the sans-IO crates must not use.
const IO: [&str; 8] =
    ["std::fs", "std::env", "std::process", "std::thread", "TcpStream", "TcpListener", "UdpSocket", "thread_local!"];

/// An exception to `IO`, for test builds: the switch that turns off single rules of the core.
const FOR_TESTS: (&str, &str) = ("core/pagination/rules.rs", "thread_local!");

/// Built-in dialects whose upstream decides the size of a page, and the number of items that a client may request
/// within the usual budget of requests.
const FEW_AT_A_TIME: [(&str, u32); 2] = [("laravel", 30), ("laravel-simple", 30)];

/// Built-in envelopes whose clients know only ids: they can be used if an item can be looked up.
const BY_IDS: [&str; 1] = ["stripe"];

/// A Rust file and its text. The path begins with the name of the crate, and is then the path below its `src`.
struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
}

fn rust_files(name: &str, folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    files(folder, "rs", &mut found);
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: format!("{name}/{}", path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/")),
    };
    found.into_iter().map(read).collect()
}

/// Returns the files of the program and its crates, without code for tests and without comments.
fn code() -> Vec<Source> {
    let mut all = rust_files("cursorgate", &root().join("src"));
    all.extend(CRATES.iter().flat_map(|name| rust_files(name, &root().join("crates").join(name).join("src"))));
    let mut for_tests: BTreeSet<String> = BTreeSet::new();
    for source in &all {
        let folder = source
            .path
            .strip_suffix("mod.rs")
            .or_else(|| source.path.strip_suffix("lib.rs"))
            .map_or_else(|| source.path.strip_suffix(".rs").unwrap().to_owned() + "/", str::to_owned);
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let name = pair[1].rsplit("mod ").next().and_then(|name| name.strip_suffix(';'));
            if let Some(name) = name {
                for_tests.insert(format!("{folder}{name}.rs"));
                for_tests.insert(format!("{folder}{name}/"));
            }
        }
    }
    let is_test =
        |path: &str| for_tests.iter().any(|test| path == test || (test.ends_with('/') && path.starts_with(test)));
    let strip = |source: Source| {
        let end = source.text.find("#[cfg(test)]\nmod tests {").unwrap_or(source.text.len());
        let lines = source.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
        Source { text: lines.collect::<Vec<_>>().join("\n"), path: source.path }
    };
    all.into_iter().filter(|source| !is_test(&source.path)).map(strip).collect()
}

#[test]
fn the_core_does_no_io() {
    let mut faults = Vec::new();
    for source in code() {
        let module = source.path.split('/').next().unwrap();
        if !PURE.contains(&module) {
            continue;
        }
        faults.extend(
            IO.iter()
                .filter(|word| source.text.contains(**word) && FOR_TESTS != (source.path.as_str(), **word))
                .map(|word| format!("{}: {word}", source.path)),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn one_file_reads_the_clock() {
    for source in code() {
        let reads = source.text.contains("SystemTime::now") || source.text.contains("Instant::now");
        assert!(!reads || source.path == "gateway/runtime/clock.rs", "{}", source.path);
    }
}

/// Only one module allows unsafe code, which the compiler denies everywhere else.
#[test]
fn one_module_has_unsafe_code() {
    for source in code() {
        let has = source.text.lines().any(|line| line.contains("unsafe ") && !line.trim_start().starts_with("//"));
        assert!(!has || source.path.starts_with("core/json/vector/"), "{}", source.path);
        let allows = source.text.contains("(unsafe_code");
        assert!(!allows || source.path == "core/json/mod.rs", "{}", source.path);
    }
}

/// Only the simulator turns on the feature that compiles the switch for rules of the core: another package would ship
/// the switch.
#[test]
fn the_simulator_alone_turns_on_the_switch_for_rules() {
    let mut manifests = vec![root().join("Cargo.toml")];
    files(&root().join("crates"), "toml", &mut manifests);
    files(&root().join("benches"), "toml", &mut manifests);
    let name_it = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("\"rules\"");
    let found: Vec<PathBuf> = manifests.into_iter().filter(name_it).collect();
    assert_eq!(found, [root().join("crates/sim/Cargo.toml")]);
}

/// An environment with a key for each variable, and the files of this package.
struct Anything;

impl Environment for Anything {
    fn variable(&self, name: &str) -> Option<String> {
        Some(format!("{name} with enough behind it to be a key"))
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        fs::read(path)
    }
}

/// Returns the number of errors of a configuration, and the report with its warnings.
fn faults(name: &str, text: &str) -> (usize, String) {
    let (settings, mut diagnostics) = load_text(name, text, &Anything);
    if let Some(settings) = settings {
        Snapshot::build(&settings, None, &mut diagnostics);
    }
    (diagnostics.counts().0, diagnostics.render(false))
}

#[test]
fn every_built_in_dialect_and_envelope_is_a_file_and_serves_a_route() {
    let built_in: BTreeSet<String> = preset_dialects().map(|(name, _)| format!("{name}.toml")).collect();
    let envelopes: BTreeSet<String> = preset_envelopes().map(|(name, _)| format!("{name}.json")).collect();
    for (folder, extension, known) in [("dialects", "toml", built_in), ("envelopes", "json", envelopes)] {
        let mut found = Vec::new();
        files(&root().join("config").join(folder), extension, &mut found);
        let names = found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        assert_eq!(names.collect::<BTreeSet<_>>(), known, "config/{folder}");
    }
    let mut by_ids = 0;
    for (dialect, _) in preset_dialects() {
        let few = FEW_AT_A_TIME.iter().find(|(name, _)| *name == dialect);
        let own = few.map_or_else(String::new, |(_, most)| format!("page_size = {{ max = {most} }}\n"));
        for (envelope, text) in preset_envelopes() {
            // Parameters that are places in a body are sent by POST, so the route then accepts only POST.
            let methods = if text.contains(": \"/") { "methods = [\"POST\"]\n" } else { "" };
            let is_by_ids = BY_IDS.contains(&envelope);
            let mode = if is_by_ids { "mode = \"seek\"\n" } else { "" };
            let text = format!(
                "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n\
                 [cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n\
                 [upstreams.people]\npeers = [\"127.0.0.1:1\"]\n\
                 [routes.users]\nold_clients = \"none\"\npath = \"/users\"\nupstream = \"people\"\ndialect = {dialect:?}\n\
                 envelope = {envelope:?}\norder = [\"id\"]\n{methods}{mode}{own}"
            );
            let (errors, report) = faults("a.toml", &text);
            if is_by_ids && report.contains("mode = \"seek\" needs") {
                continue;
            }
            by_ids += usize::from(is_by_ids);
            assert_eq!(errors, 0, "{dialect} {envelope}\n{report}");
        }
    }
    assert!(by_ids > 0, "nothing can be walked by ids");
}

#[test]
fn every_configuration_in_the_repository_loads() {
    let mut found = Vec::new();
    files(&root().join("config"), "toml", &mut found);
    found.retain(|path| path.parent().is_some_and(|folder| folder.ends_with("config")));
    assert!(found.iter().any(|path| path.ends_with("demo.toml")));
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(faults(&path.to_string_lossy(), &text).1, "");
    }
}
