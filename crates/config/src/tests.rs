//! Tests of whole configurations: their settings, the reference file, the JSON Schema, and broken texts, which must not
//! cause a panic.

use std::{io, path::Path, time::Duration};

use super::{
    Environment,
    diagnostic::Diagnostics,
    json_schema,
    key::{Shown, reads},
    load, load_text, reference, schema,
    settings::{
        Action, EnvelopeSettings, LogFormat, LogLevel, OldClients, OverMax, Role, RouteSettings, Settings, Timeouts,
    },
    toml_text,
};
use cursorgate_core::pagination::{
    order::{Direction, Kind, Nulls},
    resolver::{ShortPages, Totals, WhenUnproven},
};

const REFERENCE: &str = include_str!("../../../config/cursorgate.toml");

/// An environment in which every variable is a valid key, every JSON file an envelope, and every TOML file the
/// reference.
struct Everything;

impl Environment for Everything {
    fn variable(&self, _: &str) -> Option<String> {
        Some("nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE".into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.extension() {
            Some(extension) if extension == "json" => Ok(br#"{"body":["{item}"]}"#.to_vec()),
            Some(extension) if extension == "toml" => Ok(REFERENCE.as_bytes().to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn loaded(text: &str) -> Settings {
    let (settings, diagnostics) = load_text("test.toml", text, &Everything);
    settings.filter(|_| !diagnostics.has_errors()).unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

/// Returns the reference with its commented-out keys active, as far as they can be distinguished from prose.
fn reference_in_full() -> String {
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first == '[' || first.is_ascii_alphabetic()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    REFERENCE.lines().map(shown).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_file_is_written_from_the_definitions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/cursorgate.toml");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, reference::reference()).expect("the reference file");
    }
    let file = std::fs::read_to_string(&path).expect("the reference file");
    assert!(file == reference::reference(), "UPDATE_SNAPSHOTS=1 writes config/cursorgate.toml anew");
}

#[test]
fn the_reference_loads_without_a_diagnostic() {
    let (settings, diagnostics) = load_text("cursorgate.toml", &reference::reference(), &Everything);
    assert!(settings.is_some() && diagnostics.counts() == (0, 0), "{}", diagnostics.render(false));
}

#[test]
fn defaults_and_examples_are_values_of_their_keys() {
    for (path, key) in reference::all() {
        let text = match key.shown {
            Shown::Default(literal) => literal.toml(),
            Shown::Example(example) | Shown::Sample(example) => example.to_owned(),
            _ => continue,
        };
        let mut diagnostics = Diagnostics::default();
        let text = format!("value = {text}");
        let source = diagnostics.add_source(path.clone(), text.clone());
        let (root, _) = toml_text::read(source, &text, &mut diagnostics);
        schema::inspect(root.find("value").expect("a value"), &key.schema, &path, &mut diagnostics);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    }
}

#[test]
fn every_key_is_documented_and_read() {
    for text in [&reference::reference(), &reference_in_full(), SMALLEST] {
        let _ = load_text("cursorgate.toml", text, &Everything);
    }
    for (path, key) in reference::all() {
        assert!(reads::include(key), "{path} is defined, and nothing reads it");
        let text = reference::unwrapped(key.documentation);
        assert!(text.ends_with('.'), "{path}: {text:?} is no sentence");
    }
}

#[test]
fn a_key_is_explained_by_the_end_of_its_path() {
    let paths = |key: &str| -> Vec<String> {
        let explained = reference::explain(key);
        explained.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(paths("routes.users.page_size.max"), ["routes.NAME.page_size.max"]);
    assert_eq!(paths("page_size.max"), ["routes.NAME.page_size.max"]);
    assert_eq!(paths("head_size"), ["server.head_size"]);
    let ttls = [
        "server.identity_answer.ttl",
        "cursor.ttl",
        "caches.pivots.ttl",
        "services.bulk.idempotency.ttl",
        "routes.NAME.cursor.ttl",
        "routes.NAME.page_cache.ttl",
    ];
    assert_eq!(paths("ttl"), ttls);
    assert_eq!(paths("maximum"), Vec::<String>::new());
    let explained = reference::explain("verify");
    assert!(explained.contains("- when-cheap: ") && explained.contains("Default: \"always\""), "{explained}");
}

/// Validates a value by the keywords that the JSON Schema uses, and appends the faults with their paths.
fn validate(schema: &serde_json::Value, value: &serde_json::Value, path: &str, faults: &mut Vec<String>) {
    use serde_json::Value::{Array, Object};
    let known = [
        "type",
        "properties",
        "additionalProperties",
        "items",
        "enum",
        "anyOf",
        "minimum",
        "maximum",
        "pattern",
        "format",
    ];
    for keyword in schema.as_object().expect("a schema").keys() {
        assert!(
            known.contains(&keyword.as_str())
                || ["$schema", "title", "description", "default"].contains(&keyword.as_str())
        );
    }
    let type_of = match value {
        Array(_) => "array",
        Object(_) => "object",
        value if value.is_boolean() => "boolean",
        value if value.is_number() => "integer",
        _ => "string",
    };
    if schema.get("type").is_some_and(|wanted| wanted != type_of) {
        faults.push(format!("{path}: {type_of}"));
    }
    if schema.get("enum").is_some_and(|words| !words.as_array().expect("words").contains(value)) {
        faults.push(format!("{path}: {value}"));
    }
    if let Some(Array(forms)) = schema.get("anyOf") {
        let takes = |form: &serde_json::Value| {
            let mut faults = Vec::new();
            validate(form, value, path, &mut faults);
            faults.is_empty()
        };
        if !forms.iter().any(takes) {
            faults.push(format!("{path}: {value}"));
        }
    }
    // Only the pattern for variables is checked: the other patterns describe texts that the reference itself contains.
    let wants_variable = schema.get("pattern").is_some_and(|pattern| pattern == "^env:.|[{]env:.");
    if wants_variable && !value.as_str().is_some_and(|text| text.contains("env:")) {
        faults.push(format!("{path}: {value}"));
    }
    if let Object(members) = value {
        for (name, value) in members {
            let inner = schema.get("properties").and_then(|known| known.get(name));
            match inner.or_else(|| schema.get("additionalProperties")) {
                Some(serde_json::Value::Bool(false)) => faults.push(format!("{path}.{name}")),
                Some(schema) if schema.is_object() => validate(schema, value, &format!("{path}.{name}"), faults),
                _ => {}
            }
        }
    }
    if let (Array(elements), Some(schema)) = (value, schema.get("items")) {
        elements.iter().for_each(|element| validate(schema, element, path, faults));
    }
}

/// Returns the JSON that an editor would validate against the schema.
fn as_json(value: &super::spanned::Spanned) -> serde_json::Value {
    use super::spanned::Value;
    match &value.value {
        Value::Null | Value::Unknown => serde_json::Value::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Number(spelling) => serde_json::from_str(spelling).expect("a number"),
        Value::Text(text) => text.as_str().into(),
        Value::Day(_) => "2026-12-31".into(),
        Value::List(elements) => elements.iter().map(as_json).collect(),
        Value::Table(members) => members.iter().map(|(name, value)| (name.value.clone(), as_json(value))).collect(),
    }
}

#[test]
fn the_json_schema_admits_the_reference_and_no_unknown_key() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema::json_schema()).expect("JSON");
    let faults = |text: &str| {
        let (root, _) = toml_text::read(0, text, &mut Diagnostics::default());
        let mut faults = Vec::new();
        validate(&schema, &as_json(&root), "", &mut faults);
        faults
    };
    assert_eq!(faults(&reference::reference()), Vec::<String>::new());
    assert_eq!(faults("[server]\nhead_sise = \"1KiB\"\n"), [".server.head_sise"]);
    assert_eq!(faults("[routes.a]\nverify = \"sometimes\"\n"), [".routes.a.verify: \"sometimes\""]);
    assert_eq!(faults("[routes.a]\nverify = \"env:VERIFY:always\"\n"), Vec::<String>::new());
    assert_eq!(faults("[defaults]\nsortable = \"a\"\n"), [".defaults.sortable: string"]);
}

const SMALLEST: &str = r#"
[cursor]
signing_key = 7
keys = { 7 = "env:KEY" }

[upstreams.people]
peers = ["127.0.0.1:8000"]

[routes.users]
old_clients = "none"
path = "/api/users"
upstream = "people"
dialect = "offset-limit"
order = ["-created_at", "id"]
"#;

#[test]
fn keys_that_are_not_written_have_their_defaults() {
    let settings = loaded(SMALLEST);
    assert_eq!(settings.server.head_size, 16_384);
    assert_eq!(settings.server.shutdown_timeout, Duration::from_secs(25));
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(
        (settings.listeners[0].name.as_str(), settings.listeners[0].address.to_string()),
        ("public", "127.0.0.1:8080".into())
    );
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Auto, LogLevel::Info));
    assert!(settings.admin.is_none());
    let cursor = settings.cursor.expect("keys");
    assert_eq!((cursor.signing_key, cursor.keys[0].0, cursor.keys[0].1.reveal().len()), (7, 7, 43));
    let [connect, first_byte, forwarded, whole] = [4, 10, 60, 15].map(Duration::from_secs);
    assert_eq!(settings.upstreams[0].timeouts, Timeouts { connect, first_byte, forwarded, whole });
    let route = &settings.routes[0];
    assert_eq!((route.name.value.as_str(), route.upstream, route.hosts.len()), ("users", 0, 0));
    let list = route.list.as_ref().expect("a list");
    assert_eq!(list.collection, "users");
    assert_eq!(list.order.len(), 1);
    assert_eq!(
        (list.order[0].value.field.as_str(), list.order[0].value.direction),
        ("created_at", Direction::Descending)
    );
    assert_eq!(list.id_direction, Direction::Ascending);
    assert_eq!((list.page_size.default, list.page_size.max, list.page_size.over_max), (20, 100, None));
    assert_eq!(
        (list.unproven, list.short_pages, list.total),
        (WhenUnproven::Refuse, ShortPages::Refuse, Totals::Upstream)
    );
    assert_eq!(list.principal[..3], ["authorization", "cookie", "x-api-key"]);
    assert_eq!((list.cursor.ttl, list.cursor.length), (None, 2_048));
    assert_eq!(list.budgets.time, Duration::from_secs(30));
    assert_eq!(
        (list.budgets.upstream_requests, list.budgets.answer_size, list.budgets.answer_depth),
        (8, 10 << 20, 128)
    );
    assert_eq!(list.budgets.link_length, 4_096);
    assert_eq!(list.legacy.old_clients, OldClients::None);
    assert_eq!((list.envelope.name.as_str(), list.envelope.over_max), ("standard", OverMax::Clamp));
    assert_eq!((list.dialect.name.as_str(), list.dialect.request.first_page), ("offset-limit", 1));
    let roles: Vec<(Role, &str)> =
        list.envelope.parameters.iter().map(|(role, name)| (*role, name.value.as_str())).collect();
    assert_eq!(roles, [(Role::Limit, "limit"), (Role::Cursor, "cursor"), (Role::Sort, "sort")]);
}

#[test]
fn the_nearer_default_wins_and_tables_merge_key_by_key() {
    let text = r#"
other_paths = "refuse"
cursor = { signing_key = 1, keys = { 1 = "env:KEY" }, ttl = "24h" }

[defaults]
upstream = "a"
dialect = "offset-limit"
page_size = { default = 5, max = 50 }
sortable = ["x", "y"]
order = ["id"]
fields = { created_at = { type = "datetime", nulls = "none" } }
old_clients = "pass"
legacy = { sunset = 2026-12-31 }
parameters = { private = ["api_key"] }

[upstreams.a]
peers = ["127.0.0.1:1"]

[upstreams.b]
peers = ["127.0.0.1:2"]
base_path = "/v1/"
timeouts = { whole = "5s" }

[upstreams.b.defaults]
page_size = { max = 60 }
order = ["-name", "-id"]
cursor = { ttl = "1h" }

[routes.plain]
path = "/plain"

[routes.nearer]
path = "/nearer"
upstream = "b"
page_size = { default = 7 }
sortable = ["z"]
fields = { created_at = { nulls = "last" }, email = { type = "string" } }
old_clients = "translate"
public_url = "https://nearer.example.com/"
"#;
    let settings = loaded(text);
    let list = |route: usize| settings.routes[route].list.as_deref().expect("a list");
    let (plain, nearer) = (list(0), list(1));
    assert_eq!((settings.routes[0].upstream, settings.routes[1].upstream), (0, 1));
    assert_eq!((plain.page_size.default, plain.page_size.max), (5, 50));
    assert_eq!((nearer.page_size.default, nearer.page_size.max), (7, 60));
    assert_eq!(nearer.sortable.iter().map(|field| field.value.as_str()).collect::<Vec<_>>(), ["z"]);
    assert_eq!((nearer.order[0].value.field.as_str(), nearer.id_direction), ("name", Direction::Descending));
    assert!(plain.order.is_empty());
    let fields: Vec<_> =
        nearer.fields.iter().map(|field| (field.name.as_str(), field.kind.clone(), field.nulls)).collect();
    assert_eq!(fields, [("created_at", Kind::Datetime, Nulls::Last), ("email", Kind::Text, Nulls::Unsaid)]);
    assert_eq!(nearer.legacy.old_clients, OldClients::Translate);
    assert_eq!(nearer.legacy.sunset, Some(1_798_675_200));
    assert_eq!(
        (plain.cursor.ttl, nearer.cursor.ttl),
        (Some(Duration::from_secs(86_400)), Some(Duration::from_secs(3_600)))
    );
    assert_eq!(nearer.parameters.private, ["api_key"]);
    assert_eq!(settings.routes[1].public_url.as_deref(), Some("https://nearer.example.com"));
    assert_eq!(settings.upstreams[1].base_path, "/v1");
    let Timeouts { first_byte, forwarded, .. } = settings.upstreams[1].timeouts;
    let five = Duration::from_secs(5);
    assert_eq!((first_byte, forwarded), (five, five), "no part is longer than the whole");
}

#[test]
fn a_dialect_replaces_its_base_key_by_key_and_lists_and_headers_as_a_whole() {
    let text = format!(
        r#"{SMALLEST}
[routes.bills]
old_clients = "none"
path = "/bills"
upstream = "people"
dialect = "bills"
order = ["id"]

[dialects.bills]
extends = "house"
response = {{ past_end = [] }}

[dialects.house]
extends = "postgrest-range"
request = {{ headers = {{ Range = "{{offset}}-{{last}}" }} }}
response = {{ total = "/count" }}
"#
    );
    let settings = loaded(&text);
    let dialect = &settings.routes[1].list.as_ref().expect("a list").dialect;
    assert_eq!(dialect.name, "bills");
    assert_eq!(dialect.request.query.value, "");
    let headers: Vec<&str> = dialect.request.headers.iter().map(|(name, _)| name.value.as_str()).collect();
    assert_eq!(headers, ["Range"]);
    assert_eq!(dialect.response.items.value, "");
    assert_eq!(dialect.response.total.as_ref().map(|total| total.value.as_str()), Some("/count"));
    assert!(dialect.response.past_end.is_empty());
    assert_eq!(dialect.sort.as_ref().and_then(|sort| sort.join.as_deref()), Some(","));
}

#[test]
fn a_request_without_a_size_inherits_no_sizes() {
    let dialect = |own: &str| {
        let text = format!(
            r#"{SMALLEST}
[routes.bills]
old_clients = "none"
path = "/bills"
upstream = "people"
dialect = "bills"
order = ["id"]

[dialects.bills]
extends = "drf-page"
{own}
"#
        );
        let size = loaded(&text).routes[1].list.as_ref().expect("a list").dialect.size.clone();
        (size.default.map(|size| size.value), size.max.map(|size| size.value))
    };
    let query = "request.query = \"page={page}\"";
    assert_eq!(dialect(&format!("{query}\nsize.default = 20")), (Some(20), None));
    assert_eq!(dialect("size.default = 20"), (Some(20), Some(100)));
    assert_eq!(dialect("request.query = \"p={page}&n={size}\""), (None, Some(100)));
}

#[test]
fn an_envelope_is_the_same_from_toml_and_from_json() {
    let text = format!(
        r#"{SMALLEST}
[routes.toml]
old_clients = "none"
path = "/toml"
upstream = "people"
dialect = "offset-limit"
order = ["id"]
envelope = "toml"

[envelopes.toml]
body = {{ zebra = ["{{item}}"], apple = {{ n = 1.50, last = true }} }}
"#
    );
    let settings = loaded(&text);
    let envelope =
        |route: &RouteSettings| -> EnvelopeSettings { route.list.as_ref().expect("a list").envelope.clone() };
    let super::tree::Tree::Object(members) = envelope(&settings.routes[1]).body.value else { panic!("an object") };
    assert_eq!(members.iter().map(|(name, _)| name.value.as_str()).collect::<Vec<_>>(), ["zebra", "apple"]);
    let super::tree::Tree::Object(inner) = &members[1].1.value else { panic!("an object") };
    assert_eq!(inner[0].1.value, super::tree::Tree::Number("1.50".into()));
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_file() {
    let text = format!(
        r#"{SMALLEST}
[listeners.public]
address = "0.0.0.0:8443"
tls = {{ certificate = "tls/api.crt", key = "file:/run/api.key" }}
"#
    );
    let (settings, _) = load_text("/etc/cursorgate/gateway.toml", &text, &Everything);
    let tls = settings.and_then(|settings| settings.listeners[0].tls.clone()).expect("TLS");
    assert_eq!(
        (tls.pairs[0].certificate.value.as_str(), tls.pairs[0].key.value.as_str()),
        ("/etc/cursorgate/tls/api.crt", "/run/api.key")
    );
}

#[test]
fn a_file_that_can_not_be_read_is_a_fault() {
    let (settings, diagnostics) = load(Path::new("missing"), &Everything);
    assert!(settings.is_none());
    assert!(diagnostics.render(false).contains("the file can't be read"), "{}", diagnostics.render(false));
}

/// A generator of pseudo-random numbers, which are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap_or(0)
    }
}

#[test]
fn no_mutation_of_the_reference_causes_a_panic() {
    let whole = reference_in_full();
    let pieces: Vec<char> = "[]{}=\"',.#\n\\ \u{0}\u{feff}é😀-0e/:*".chars().collect();
    for seed in 1..=500 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut lines: Vec<String> = whole.lines().filter(|line| !line.starts_with("# ")).map(str::to_owned).collect();
        for _ in 0..=dice.below(4) {
            let at = dice.below(lines.len());
            let other = lines[dice.below(lines.len())].clone();
            let value = |line: &str| line.split_once('=').map_or_else(String::new, |(_, value)| value.to_owned());
            match dice.below(6) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, other),
                2 => lines[at] = format!("{}={}", lines[at].split('=').next().unwrap_or(""), value(&other)),
                3 => lines[at] = lines[at].chars().skip(1).collect(),
                _ => {
                    let mut characters: Vec<char> = lines[at].chars().collect();
                    let place = dice.below(characters.len() + 1);
                    let piece = pieces[dice.below(pieces.len())];
                    if dice.below(2) == 0 && place < characters.len() {
                        characters[place] = piece;
                    } else {
                        characters.insert(place, piece);
                    }
                    lines[at] = characters.into_iter().collect();
                }
            }
        }
        let text = lines.join("\n");
        let (_, diagnostics) = load_text("mutation.toml", &text, &Everything);
        let report = diagnostics.render(true);
        assert_eq!(report.is_empty(), diagnostics.counts() == (0, 0), "{text}");
        for fault in diagnostics.iter() {
            let (_, line, column) = diagnostics.place(fault.at);
            assert!(line >= 1 && column >= 1 && !fault.message.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_list_route_paginates_and_a_forwarded_one_does_not() {
    let text =
        format!("{SMALLEST}\n[routes.all]\npath = \"/{{*rest}}\"\nupstream = \"people\"\naction = \"forward\"\n");
    let settings = loaded(&text);
    let actions =
        settings.routes.iter().map(|route| if route.list.is_some() { Action::Paginate } else { Action::Forward });
    assert_eq!(actions.collect::<Vec<_>>(), [Action::Paginate, Action::Forward]);
}

#[test]
fn depth_is_bounded() {
    for text in [
        format!("[{}a]\n", "a.".repeat(5_000)),
        format!("{}a = 1\n", "a.".repeat(5_000)),
        format!("a = {}1", "[".repeat(5_000)),
        format!("a = {}1", "{ a = ".repeat(5_000)),
        format!("{}\n", "a.b = 1\n".repeat(2_000)),
        format!("a = {{ {}a = 1 }}\n", "a . ".repeat(5_000)),
        "[[a]]\n[a.b]\n".repeat(2_000),
    ] {
        let (_, diagnostics) = load_text("deep.toml", &text, &Everything);
        assert!(diagnostics.has_errors());
        assert!(!diagnostics.render(false).is_empty());
    }
}
