//! Tests of the documents for readers: README.md and the pages of docs/. Configurations in them load, and commands in
//! them are commands of the program. docs/commands.md has all commands, docs/problems.md each code, docs/reference each
//! key, and docs/guides the programs of examples/clients. `make docs` checks their links.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cursorgate_config::{
    Environment, WithoutSecrets, json_schema, load_text, preset_dialects, preset_envelopes, reference,
};
use cursorgate_gateway::Snapshot;
use cursorgate_translate::downstream::Code;
use toml::{Table, Value};

use super::{files, root};

/// The configuration to which the parts in documents are added.
const BASE: &str = r#"
version = 1
other_paths = "people"
listeners.public.address = "127.0.0.1:8080"
admin.address = "127.0.0.1:9180"
cursor = { signing_key = 1, keys = { 1 = "env:CURSORGATE_KEY" } }
upstreams.people.peers = ["127.0.0.1:8000"]
routes.users = { path = "/users", upstream = "people", dialect = "drf-page", order = ["-created_at", "id"], sortable = ["created_at", "id"], old_clients = "pass" }
routes.invoices = { path = "/invoices", upstream = "people", dialect = "page-limit", order = ["id"], old_clients = "pass" }
"#;

/// The beginning of docs/commands.md.
const COMMANDS: &str = "# Commands

Each command prints the same with `--help`, `cursorgate man` prints a page of the manual, and `cursorgate completions bash` a
script that completes commands. These options mean the same everywhere:

- `FILE`, or `-c FILE`, `--config FILE`: the configuration file, by default that in `CURSORGATE_CONFIG`, or `cursorgate.toml`; `walk` reads only a file that you name.
- `--listen ADDRESS` (`CURSORGATE_LISTEN`): the address at which clients connect, in place of that of the only listener.
- `--admin ADDRESS` (`CURSORGATE_ADMIN`): the address at which operators connect, in place of `admin.address`.
- `-H`, `--header NAME: VALUE`: a header of requests, any number of times. A value may be `env:NAME` or `file:PATH`, or \
contain these in braces.
";

/// The guides that begin with programs of examples/clients, or with parts of them, in order.
const GUIDES: [(&str, &[&str]); 5] = [
    ("curl.md", &["walk.sh"]),
    ("go.md", &["walk.go"]),
    ("python.md", &["walk.py"]),
    ("react.md", &["react/UserFeed.tsx"]),
    ("vue.md", &["vue/UserFeed.vue"]),
];

/// The name of a file without routes. A folder whose files the page doesn't show contains only this file.
const NOT_SHOWN: &str = "not-shown.toml";

/// The content of files with keys of tokens, which are files on the reader's machine (the key is that of RFC 7517,
/// appendix A.1).
const TOKEN_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// The environment of a configuration in a page: the other files that the page shows. The first line of each such file
/// is a comment that begins with its name.
struct Page<'p> {
    files: BTreeMap<PathBuf, &'p str>,
}

impl<'p> Page<'p> {
    fn of(blocks: &[&'p str]) -> Self {
        let named = |block: &&'p str| {
            let name = block.strip_prefix("# ")?.lines().next()?.split(':').next()?;
            name.ends_with(".toml").then(|| (PathBuf::from(name), *block))
        };
        Self { files: blocks.iter().filter_map(named).collect() }
    }
}

impl Environment for Page<'_> {
    /// Returns `None`, because the variables in documents are secrets or have a default.
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None if path.ends_with(NOT_SHOWN) => Ok(b"version = 1\n".to_vec()),
            None if path.ends_with("jwks.json") => Ok(TOKEN_KEYS.as_bytes().to_vec()),
            None => fs::read(root().join(path)),
        }
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<String>> {
        if self.files.contains_key(folder) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let inside = self.files.keys().filter(|path| path.parent() == Some(folder));
        let names: Vec<String> =
            inside.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect();
        Ok(if names.is_empty() { vec![NOT_SHOWN.to_owned()] } else { names })
    }
}

/// Returns README.md and the pages of docs/: the path of each below the repository, and its text.
fn documents() -> Vec<(String, String)> {
    let mut found = vec![root().join("README.md")];
    files(&root().join("docs"), "md", &mut found);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(read).collect()
}

/// Returns the fenced blocks of a Markdown document, each with its language, and the text outside of them.
fn blocks(markdown: &str) -> (Vec<(&str, &str)>, String) {
    let (mut inside, mut outside) = (Vec::new(), String::new());
    for (at, part) in markdown.split("\n```").enumerate() {
        if at % 2 == 0 {
            outside.push_str(part);
        } else {
            inside.push(part.split_once('\n').unwrap_or((part, "")));
        }
    }
    (inside, outside)
}

/// Adds the entries of a table to another table. Tables with the same name are merged; other values are replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// Returns the report on a configuration: the whole report on a whole configuration, and only the errors of a part.
fn report(name: &str, block: &str, page: &Page<'_>) -> Result<String, toml::de::Error> {
    let part: Table = block.parse()?;
    let is_whole = part.contains_key("version") && (part.contains_key("routes") || part.contains_key("include"));
    let text = if is_whole {
        block.to_owned()
    } else {
        let mut base: Table = BASE.parse()?;
        merge(&mut base, part);
        base.to_string()
    };
    let (settings, mut diagnostics) = load_text(name, &text, &WithoutSecrets(page));
    if let Some(settings) = settings {
        // Certificates are files on the reader's machine, so they are left out.
        Snapshot::build(&settings.without_certificates(), None, &mut diagnostics);
    }
    let is_told = is_whole || diagnostics.counts().0 > 0;
    Ok(if is_told { diagnostics.render(false) } else { String::new() })
}

#[test]
fn configurations_in_documents_load() {
    let (mut faults, mut held) = (Vec::new(), 0);
    for (name, text) in documents() {
        let (blocks, _) = blocks(&text);
        let shown: Vec<&str> =
            blocks.iter().filter(|(language, _)| *language == "toml").map(|(_, text)| *text).collect();
        let page = Page::of(&shown);
        // `the_exchanges_in_the_documentation_agree_with_their_dialect` tests the file of exchanges, so it is skipped.
        for block in shown.iter().filter(|block| !block.contains("[[exchange]]")) {
            held += 1;
            match report("cursorgate.toml", block, &page) {
                Ok(said) if said.is_empty() => {}
                Ok(said) => faults.push(format!("{name}:\n{block}\n{said}")),
                Err(error) => faults.push(format!("{name}:\n{block}\n{error}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(held > 10, "{held} configurations are found");
}

#[test]
fn wrong_configurations_are_noticed() {
    let page = Page::of(&[]);
    let said = |block| report("cursorgate.toml", block, &page).unwrap();
    assert!(said("[routes.users]\nordre = [\"id\"]").contains("ordre"));
    assert!(said("version = 1\n[routes.users]\npath = \"/users\"").contains("upstream"));
    assert_eq!(said("[routes.users]\norder = [\"id\"]"), "");
}

/// Returns the words of the shell command with which a text begins, or `None` if a quote is open at its end.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '|' | ';' | '&' | '>' | '<' | ')') => break,
            (None, '#') if word.is_none() => break,
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Returns the arguments of each command of the program in a line, after the prompt if it has one.
fn commands(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim_start().trim_start_matches("$ ");
    let starts = ["cursorgate ", "$(cursorgate ", "| cursorgate ", "&& cursorgate ", "; cursorgate "];
    starts.into_iter().enumerate().flat_map(move |(at, start)| {
        line.match_indices(start)
            .filter(move |(place, _)| at > 0 || *place == 0)
            .map(move |(place, _)| &line[place + start.len()..])
    })
}

/// Returns all commands of the program in a document: in its blocks, and between backticks.
fn commands_of(markdown: &str) -> Vec<Vec<String>> {
    let (blocks, outside) = blocks(markdown);
    let mut found = Vec::new();
    for (language, text) in blocks.iter().filter(|(language, _)| *language != "toml") {
        let joined = text.replace("\\\n", " ");
        let is_typed = |line: &&str| *language != "console" || line.trim_start().starts_with("$ ");
        found.extend(joined.lines().filter(is_typed).flat_map(commands).filter_map(words));
    }
    found.extend(outside.split('`').skip(1).step_by(2).flat_map(commands).filter_map(words));
    found
}

#[test]
fn commands_in_documents_are_parsed() {
    let page = "Run `cursorgate check --live`.\n\n```\nexport KEY=$(cursorgate keygen)\ncursorgate walk 'http://a/?b c' \\\n  \
                --out x > y # z\n```\n\n```console\n$ cursorgate dialects\ncursorgate is here\n```\n";
    let found: Vec<String> = commands_of(page).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["keygen", "walk http://a/?b c --out x", "dialects", "check --live"]);
}

/// Commands in documents are commands of the program. Each one is run with `--help`, which the program answers after it
/// has read all previous arguments.
#[test]
fn commands_in_documents_are_those_of_the_program() {
    let (mut faults, mut held) = (Vec::new(), BTreeSet::new());
    for (name, text) in documents() {
        for command in commands_of(&text) {
            if !held.insert(command.clone()) {
                continue;
            }
            let output = Command::new(env!("CARGO_BIN_EXE_cursorgate")).args(&command).arg("--help").output().unwrap();
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                faults.push(format!("{name}: cursorgate {}: {said}", command.join(" ")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(held.len() > 20, "{} commands are found", held.len());
}

/// The section of each code begins with the facts that the code has in the program.
#[test]
fn every_code_has_its_section() {
    let page = fs::read_to_string(root().join("docs/problems.md")).unwrap();
    let sections: Vec<(&str, &str)> = page.split("\n### ").skip(1).filter_map(|text| text.split_once('\n')).collect();
    let named: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let all: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(named, all);
    for (code, (name, text)) in Code::ALL.iter().zip(sections) {
        let retry = if code.retryable() { " · may be sent again" } else { "" };
        let restart = if code.restarts() { " · has `restart`" } else { "" };
        let facts = format!("\n**{} · {}**{retry}{restart}\n\n", code.status(), code.title());
        assert!(text.starts_with(&facts), "{name} does not begin with:{facts}");
    }
}

/// Returns the help of a command, in lines of the same length on each machine.
fn help(command: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cursorgate"));
    program.args(command).arg("--help").env_clear().stdin(Stdio::null());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The beginnings of options that the beginning of the page explains, or that all commands have.
const COMMON_OPTIONS: [&str; 10] = [
    "  -h, --help",
    "  -V, --version",
    "  [FILE]\n          The configuration file.",
    "  -c, --config <FILE>\n          The configuration file, as an option",
    "  -c, --config <FILE>\n          The configuration file. Default:",
    "      --listen <ADDRESS>\n          The address at which clients connect.",
    "          [env: CURSORGATE_LISTEN",
    "      --admin <ADDRESS>\n          The address at which operators connect.",
    "          [env: CURSORGATE_ADMIN",
    "  -H, --header <NAME: VALUE>\n          A header of",
];

/// Returns a help without common options.
fn own_help(help: &str) -> String {
    let (mut own, mut heading) = (Vec::new(), None);
    for paragraph in help.split("\n\n") {
        let entry = match paragraph.split_once('\n') {
            Some((title @ ("Arguments:" | "Options:"), entry)) => {
                heading = Some(title);
                entry
            }
            _ => paragraph,
        };
        if COMMON_OPTIONS.iter().any(|common| entry.starts_with(common)) {
            continue;
        }
        match heading.take_if(|_| entry.starts_with(' ')) {
            Some(title) => own.push(format!("{title}\n{entry}")),
            None => own.push(entry.to_owned()),
        }
    }
    own.join("\n\n")
}

/// Returns the names under "Commands:" in a help.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    // A line that is indented more deeply continues the text of the previous one, so it contains no name.
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help")
}

#[test]
fn docs_commands_md_is_the_help_of_all_commands() {
    let mut text = String::from(COMMANDS);
    let whole = help(&[]);
    for name in subcommands(&whole) {
        let own = help(&[name]);
        text += &format!("\n## {name}\n\n```text\n{}\n```\n", own_help(&own));
        for below in subcommands(&own) {
            text += &format!("\n### {name} {below}\n\n```text\n{}\n```\n", own_help(&help(&[name, below])));
        }
    }
    let path = root().join("docs/commands.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(page == text, "docs/commands.md is stale: UPDATE_SNAPSHOTS=1 cargo test --test tidy writes it");
}

#[test]
fn the_pages_of_the_keys_are_written_from_the_definitions() {
    let folder = root().join("docs");
    let pages: BTreeMap<PathBuf, String> =
        reference::pages().into_iter().map(|(path, text)| (folder.join(path), text)).collect();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(folder.join("reference")).unwrap();
        pages.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
    }
    for (path, text) in &pages {
        let page = fs::read_to_string(path).unwrap_or_default();
        assert!(page == *text, "{} is stale: UPDATE_SNAPSHOTS=1 cargo test --test tidy writes it", path.display());
    }
    let mut found = vec![folder.join("reference.md")];
    files(&folder.join("reference"), "md", &mut found);
    let written: BTreeSet<PathBuf> = pages.into_keys().collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<PathBuf>>(), written, "pages of no table");
}

/// Adds the paths of all keys that a JSON Schema admits, with `NAME` for a name that operators choose. Keys of a route
/// are added only under the route's own table, not under `defaults`.
fn paths_of(schema: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.insert(path.clone());
        if name != "defaults" {
            paths_of(key, &path, found);
        }
    }
    paths_of_elements(schema, path, found);
}

/// Adds the paths of the elements of a list, and of the tables of a table with names.
fn paths_of_elements(schema: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
    if schema["items"].is_object() {
        paths_of(&schema["items"], path, found);
    }
    if schema["additionalProperties"].is_object() {
        paths_of(&schema["additionalProperties"], &format!("{path}.NAME"), found);
    }
}

/// The words before the table that has the keys of another table too.
const SAME_KEYS: &str = ", with the keys of [`";

/// Each key of the JSON Schema, which is another reader of the definitions, has an address in docs/reference.md or its
/// folder: its own, or that of the table that has the same keys.
#[test]
fn every_key_has_an_address() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema::json_schema()).unwrap();
    let mut keys = BTreeSet::new();
    paths_of(&schema, "", &mut keys);
    assert!(keys.len() > 400, "{} keys are found", keys.len());
    let (mut headings, mut addresses, mut same) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for (page, text) in reference::pages() {
        let named = |line: &str| line.trim_start_matches('#').trim().trim_matches('`').to_owned();
        for heading in text.lines().filter(|line| line.starts_with('#')).map(named) {
            let anchor: String = heading.to_lowercase().chars().filter(|letter| *letter != '.').collect();
            assert!(addresses.insert(format!("{page}#{anchor}")), "two headings of {page} have the anchor {anchor}");
            headings.insert(heading);
        }
        let lines: Vec<&str> = text.lines().collect();
        for section in lines.windows(3).filter(|lines| lines[0].starts_with("## `") || lines[0].starts_with("###")) {
            let facts = section[2];
            assert!(facts.starts_with('*'), "{page}: {section:?}");
            if let Some((_, rest)) = facts.split_once(SAME_KEYS) {
                same.insert(named(section[0]), rest.split('`').next().unwrap().to_owned());
            }
        }
    }
    let elsewhere = |key: &str| {
        let places = same.iter().filter_map(|(table, other)| {
            let rest = key.strip_prefix(table.as_str()).map(|rest| rest.trim_start_matches(".NAME"))?;
            Some(format!("{other}{rest}"))
        });
        places.collect::<Vec<String>>()
    };
    // The table with the same keys can in turn have a table with the keys of another one.
    let is_elsewhere = |key: &str| {
        let places = elsewhere(key);
        let further = places.iter().flat_map(|place| elsewhere(place));
        places.iter().cloned().chain(further).any(|place| headings.contains(&place))
    };
    let missing: Vec<&String> = keys.difference(&headings).filter(|key| !is_elsewhere(key)).collect();
    assert!(missing.is_empty(), "keys without an address: {missing:?}");
}

#[test]
fn documents_name_every_built_in_dialect_and_envelope() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for target in readme.split("\nmake ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
    let page = |name: &str| fs::read_to_string(root().join("docs").join(name)).unwrap();
    let (dialects, envelopes) = (page("dialects.md"), page("envelopes.md"));
    for (name, _) in preset_dialects() {
        assert!(dialects.contains(&format!("`{name}`")), "docs/dialects.md does not name {name}");
    }
    let count = format!("[{} are built in](docs/dialects.md)", preset_dialects().count());
    assert!(readme.contains(&count), "the README does not say: {count}");
    for (name, _) in preset_envelopes() {
        assert!(envelopes.contains(&format!("`{name}`")), "docs/envelopes.md does not name {name}");
    }
}

/// The bytes that the page on the format of cursors explains are the bytes of the cursor next to them.
#[test]
fn the_cursor_explained_in_the_documentation_has_the_explained_bytes() {
    let page = fs::read_to_string(root().join("docs/cursor-format.md")).unwrap();
    let (_, example) = page.split_once("## An example\n").unwrap();
    let (_, rest) = example.split_once("```text\n").unwrap();
    let (cursor, rest) = rest.split_once("\n```\n").unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let bytes: Vec<u8> = rows
        .flat_map(|row| row.split('`').nth(1).unwrap().split(' '))
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(cursor.strip_prefix('~').unwrap()).unwrap(), bytes);
}

#[test]
fn the_programs_of_the_guides_are_files() {
    for (guide, files) in GUIDES {
        let page = fs::read_to_string(root().join("docs/guides").join(guide)).unwrap();
        let (blocks, _) = blocks(&page);
        for (at, name) in files.iter().enumerate() {
            let file = fs::read_to_string(root().join("examples/clients").join(name)).unwrap();
            let shown = blocks.get(at).map_or("", |(_, text)| *text);
            let is_part = !shown.is_empty() && format!("\n{file}").contains(&format!("\n{shown}\n"));
            assert!(is_part, "block {} of docs/guides/{guide} is not in {name}", at + 1);
        }
    }
}

/// Each alert has a card, and the cards are in the order of the alerts.
#[test]
fn every_alert_has_its_card() {
    let alerts = fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let alerts: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let page = fs::read_to_string(root().join("docs/incidents.md")).unwrap();
    let cards: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(cards, alerts);
}

#[test]
fn forms_and_workflows_are_yaml_of_this_version() {
    let folder = |name: &str| fs::read_dir(root().join(name)).unwrap().map(|entry| entry.unwrap().path());
    let forms = folder(".github/workflows").chain(folder(".github/ISSUE_TEMPLATE"));
    for path in forms {
        let text = fs::read_to_string(&path).unwrap();
        serde_saphyr::from_str::<serde_json::Value>(&text)
            .unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    }
    let citation = fs::read_to_string(root().join("CITATION.cff")).unwrap();
    let citation: serde_json::Value = serde_saphyr::from_str(&citation).unwrap();
    assert_eq!(citation["version"], env!("CARGO_PKG_VERSION"));
}
