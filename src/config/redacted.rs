//! The configuration as it was written, without its secrets, for operators to read at run time.
//!
//! The schema determines which values may be secrets, as for diagnostics. Of these, references such as `env:TOKEN` are
//! kept, and every other text or number is replaced. Users and passwords in URLs are removed everywhere. Literal values
//! in queries and headers of requests are replaced too, and of the URL of a receiver only its scheme and host are shown:
//! for many receivers, the path is the credential.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use toml::{Table, Value as Toml};

use super::{
    diagnostic::Located,
    schema::Schema,
    spanned::{Members, Spanned, Value},
};

/// The text that replaces a secret.
const REDACTED: &str = "(redacted)";

/// A configuration without secrets, as TOML in the order of its file.
#[derive(Clone, Debug, Default)]
pub struct RedactedConfiguration(String);

impl RedactedConfiguration {
    /// Returns a configuration file without its secrets.
    pub(super) fn of(root: &Spanned, schema: &Schema) -> Self {
        let table = redacted(root, Some(schema));
        Self(toml::to_string_pretty(&table).unwrap_or_default())
    }

    /// Returns the configuration as TOML.
    #[must_use]
    pub fn toml(&self) -> &str {
        &self.0
    }

    /// Returns the configuration as a value that serialises as JSON, with dates as strings.
    #[must_use]
    pub fn json(&self) -> impl Serialize + use<> {
        Json(Toml::Table(self.0.parse::<Table>().unwrap_or_default()))
    }
}

/// Returns a value without secrets. `schema` is `None` under an unknown key, where every text and number might be a
/// secret.
fn redacted(written: &Spanned, schema: Option<&Schema>) -> Toml {
    match (&written.value, schema) {
        (Value::Text(text), Some(Schema::Secret | Schema::SentHeaders) | None) => {
            Toml::String(if is_name(text) { text.clone() } else { REDACTED.to_owned() })
        }
        (Value::Text(text), _) => Toml::String(without_user(text)),
        (Value::Number(_), Some(Schema::Secret | Schema::SentHeaders) | None) => Toml::String(REDACTED.to_owned()),
        (Value::Number(spelling), _) => number(spelling),
        (Value::Boolean(value), _) => Toml::Boolean(*value),
        (Value::Day(day), _) => date(*day),
        (Value::Null | Value::Unknown, _) => Toml::String("null".to_owned()),
        (Value::List(elements), schema) => {
            // If a list is written in place of a secret, its elements might be secrets, so the same schema applies to
            // each.
            let schema = if let Some(Schema::List(element)) = schema { Some(*element) } else { schema };
            Toml::Array(elements.iter().map(|element| redacted(element, schema)).collect())
        }
        (Value::Table(members), schema) => Toml::Table(table(members, schema)),
    }
}

fn table(members: &Members, schema: Option<&Schema>) -> Table {
    let of = |name: &str| match schema {
        Some(Schema::Table(keys)) => keys.iter().find(|key| key.name == name).map(|key| &key.schema),
        Some(Schema::Named(element, _)) => Some(*element),
        other => other,
    };
    let shown = |name: &str, value: &Spanned| match (name, &value.value) {
        ("query", Value::Text(query)) => Toml::String(without_values(query)),
        ("url", Value::Text(url)) => Toml::String(without_path(url)),
        ("path" | "authorize", Value::Text(path)) if path.contains('?') => Toml::String(without_path_values(path)),
        ("headers", Value::Table(headers)) if matches!(of(name), Some(Schema::Named(..))) => {
            Toml::Table(headers.iter().map(header).collect())
        }
        _ => redacted(value, of(name)),
    };
    members.iter().map(|(name, value)| (name.value.clone(), shown(&name.value, value))).collect()
}

/// Returns a header of a dialect. A value is shown if it is a reference, or a template such as `items={offset}-{last}`.
fn header((name, value): &(Located<String>, Spanned)) -> (String, Toml) {
    let is_shown = |text: &str| is_name(text) || text.contains('{');
    match &value.value {
        Value::Text(text) if is_shown(text) => (name.value.clone(), Toml::String(text.clone())),
        _ => (name.value.clone(), Toml::String(REDACTED.to_owned())),
    }
}

/// Returns a query without its literal values: `page={page}&key=(redacted)`.
fn without_values(query: &str) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !value.contains('{') => format!("{name}={REDACTED}"),
        _ => pair.to_owned(),
    };
    query.split('&').map(pair).collect::<Vec<_>>().join("&")
}

fn without_path_values(path: &str) -> String {
    path.split_once('?').map_or_else(|| path.to_owned(), |(path, query)| format!("{path}?{}", without_values(query)))
}

/// Returns a URL with its scheme and host only.
fn without_path(url: &str) -> String {
    let url = without_user(url);
    let Some((scheme, rest)) = url.split_once("://") else { return url };
    match rest.find(['/', '?', '#']) {
        Some(end) if rest.len() > end + 1 => format!("{scheme}://{}/{REDACTED}", &rest[..end]),
        _ => url,
    }
}

/// Returns whether a string consists only of a reference to a secret, such as `env:NAME`. A reference with a default
/// (`env:NAME:DEFAULT`) contains literal text, so it doesn't count.
fn is_name(text: &str) -> bool {
    let is_word =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.strip_prefix("env:").is_some_and(is_word) || text.starts_with("file:")
}

/// Returns a string in which the user and the password of a URL are replaced.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // Only an `@` within the authority ends a user. In the path or the query it is data. Test:
    // `users_of_urls_are_removed`.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

fn number(spelling: &str) -> Toml {
    let whole = spelling.parse().map(Toml::Integer).ok();
    whole.or_else(|| spelling.parse().map(Toml::Float).ok()).unwrap_or_else(|| Toml::String(spelling.to_owned()))
}

fn date(day: Option<i64>) -> Toml {
    let date = day.and_then(|day| chrono::DateTime::from_timestamp(day, 0)).map(|time| time.date_naive().to_string());
    let date = date.unwrap_or_default();
    date.parse().map_or(Toml::String(date), Toml::Datetime)
}

/// A TOML value that serialises as JSON.
struct Json(Toml);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Toml::String(text) => serializer.serialize_str(text),
            Toml::Integer(number) => serializer.serialize_i64(*number),
            Toml::Float(number) => serializer.serialize_f64(*number),
            Toml::Boolean(value) => serializer.serialize_bool(*value),
            Toml::Datetime(date) => serializer.serialize_str(&date.to_string()),
            Toml::Array(elements) => serializer.collect_seq(elements.iter().cloned().map(Self)),
            Toml::Table(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, &Self(value.clone()))?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, load_text};

    /// An environment in which every variable and every file contains a secret that begins with `CANARY`.
    struct Secrets;

    impl Environment for Secrets {
        fn variable(&self, _name: &str) -> Option<String> {
            Some("CANARY-of-the-environment-32-bytes".to_owned())
        }

        fn read(&self, _path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Ok(b"CANARY-of-a-file-with-thirty-two-bytes".to_vec())
        }
    }

    const TEXT: &str = r#"
version = 1
other_paths = "refuse"
[admin]
address = "127.0.0.1:9180"
token = "file:admin.token"
[cursor]
signing_key = 2
keys = { 2 = "env:KEY", 1 = "file:old.key" }
[upstreams.people]
peers = ["127.0.0.1:1"]
headers = { X-Api-Key = "env:API_KEY", X-Plain = "CANARY-in-a-header" }
[dialects.own]
extends = "page-limit"
request = { query = "page={page}&limit={size}&key=CANARY", headers = { X-Partner = "CANARY", Range = "{page}-{size}" } }
[services.webhooks]
directory = "webhooks"
[services.webhooks.watches.people]
path = "/users?key=CANARY"
[routes.users]
path = "/users"
upstream = "people"
dialect = "own"
order = ["id"]
old_clients = "redirect"
legacy = { sunset = 2036-12-31, documentation = "https://docs.example/a@b", client = { header = "X-Client", names = { mobile = "env:MOBILE" } } }
"#;

    #[test]
    fn users_of_urls_are_removed() {
        for (text, shown) in [
            ("https://user:CANARY@docs.example/a@b", "https://(redacted)@docs.example/a@b"),
            ("https://docs.example?q=a@b", "https://docs.example?q=a@b"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(super::without_user(text), shown);
        }
    }

    #[test]
    fn paths_of_receivers_are_removed() {
        for (url, shown) in [
            ("https://hooks.example/services/T0/B0/CANARY", "https://hooks.example/(redacted)"),
            ("https://user:CANARY@hooks.example?key=CANARY", "https://(redacted)@hooks.example/(redacted)"),
            ("https://hooks.example:8443/", "https://hooks.example:8443/"),
        ] {
            assert_eq!(super::without_path(url), shown);
        }
    }

    /// The redacted settings contain no secret, in TOML and in JSON, and still name the sources of secrets.
    ///
    /// Row: A35
    #[test]
    fn redacted_settings_contain_no_secret() {
        let (settings, diagnostics) = load_text("a.toml", TEXT, &Secrets);
        let written = settings.expect("settings").written;
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
        let json = serde_json::to_string(&written.json()).expect("JSON");
        for text in [written.toml(), &json] {
            assert!(!text.contains("CANARY"), "{text}");
            let kept = ["env:KEY", "file:old.key", "env:API_KEY", "env:MOBILE", "(redacted)", "docs.example/a@b"];
            for kept in kept.into_iter().chain(["page={page}&limit={size}&key=", "{page}-{size}"]) {
                assert!(text.contains(kept), "{kept}: {text}");
            }
        }
        assert!(
            json.starts_with(r#"{"version":1,"other_paths":"refuse","admin":{"address":"127.0.0.1:9180""#),
            "the order is the file's: {json}"
        );
        assert!(json.contains(r#""sunset":"2036-12-31""#), "{json}");
        let again = load_text("a.toml", written.toml(), &Secrets).1;
        let faults: Vec<_> = again.iter().map(|fault| fault.message.clone()).collect();
        assert!(!again.has_errors(), "it loads again: {faults:?}\n{}", written.toml());
    }
}
