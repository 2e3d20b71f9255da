//! The schema of a value, and the check of a configuration against it. [`super::keys`] has the schema of every key.
//!
//! All faults that a value shows by itself are reported here, wherever the value stands. So a default that no route
//! uses is checked like any other value, and the code that reads values afterwards reports no type errors.

use std::ops::Range;

use super::{
    diagnostic::{Diagnostics, Location, nearest},
    key::{Definition, WordDefinition},
    spanned::{Members, Spanned, Value},
    units::Unit,
};

/// The values that a key takes.
#[derive(Clone, Copy)]
pub(super) enum Schema {
    Boolean,
    /// A whole number, at least the first and at most the second.
    Count(u64, u64),
    /// A number with a unit, such as `10s` or `64KiB`; likewise.
    Quantity(&'static Unit, &'static str, &'static str),
    /// A date without a time.
    Day,
    /// Text that this function accepts.
    Text(fn(&str) -> Result<(), SyntaxFault>),
    /// A word of this list.
    Word(&'static [WordDefinition]),
    /// `env:NAME` or `file:PATH`.
    Secret,
    /// Headers that are sent to an upstream. Their values are text or secrets, and no diagnostic shows them.
    SentHeaders,
    List(&'static Self),
    /// A table with these keys.
    Table(&'static [&'static Definition]),
    /// A table whose names are the operator's, and the help for an operator who wrote a list instead.
    Named(&'static Self, &'static str),
    /// Any JSON value.
    Json,
    /// A table whose names are the operator's and whose values are any JSON values.
    JsonMembers,
}

/// The fault of a text that has not the syntax of its key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxFault {
    pub(super) message: String,
    pub(super) help: String,
    /// The bytes at fault, where these are a part of the text.
    pub(super) part: Option<Range<usize>>,
}

impl SyntaxFault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), part: None }
    }

    /// Narrows the fault down to a part of the text.
    pub(super) fn of(self, part: Range<usize>) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Reports the fault of a text that stands at this location.
    pub(super) fn report(self, at: Location, text: &str, diagnostics: &mut Diagnostics) {
        let at = self.part.map_or(at, |part| diagnostics.part(at, text, part));
        diagnostics.error(at, self.message, self.help);
    }
}

/// Reports every part of a value that its schema does not allow. `path` is the path of the value's key, such as
/// `routes.users`; it is empty for a whole file.
pub(super) fn inspect(written: &Spanned, schema: &Schema, path: &str, diagnostics: &mut Diagnostics) {
    let name = path.rsplit('.').next().unwrap_or(path);
    match (schema, &written.value) {
        (Schema::List(schema), Value::List(elements)) => {
            elements.iter().for_each(|element| inspect(element, schema, path, diagnostics));
        }
        (Schema::Table(keys), Value::Table(members)) => table(members, keys, path, diagnostics),
        (Schema::Named(schema, _), Value::Table(members)) => {
            for (key, value) in members {
                inspect(value, schema, &join(path, &key.value), diagnostics);
            }
        }
        (Schema::Named(_, help), Value::List(elements)) => {
            if may_be_secret(path, name) || name == "upstreams" {
                hide(written, diagnostics);
            }
            let meant = elements.first().and_then(name_meant).unwrap_or_else(|| "NAME".into());
            let message = format!("`{name}` holds named tables, not a list");
            diagnostics.error(written.at, message, help.replace("NAME", &meant));
        }
        (Schema::SentHeaders, Value::Table(members)) => sent_headers(members, diagnostics),
        (Schema::Json, _) => json(written, diagnostics),
        (Schema::JsonMembers, Value::Table(members)) => members.iter().for_each(|(_, value)| json(value, diagnostics)),
        _ if scalar(written, schema, name, diagnostics) => {}
        _ => {
            if matches!(schema, Schema::Secret | Schema::SentHeaders) || may_be_secret(path, name) {
                hide(written, diagnostics);
            }
            let (noun, example) = schema.noun();
            let message = format!("`{name}` is {noun}, not {}", written.value.noun());
            diagnostics.error(written.at, message, example);
        }
    }
}

/// Reports the faults of a value that is neither a list nor a table. Returns `false` if the value has another type than
/// its schema, which is then still to be reported.
fn scalar(written: &Spanned, schema: &Schema, name: &str, diagnostics: &mut Diagnostics) -> bool {
    let at = written.at;
    match (schema, &written.value) {
        (Schema::Boolean, Value::Boolean(_)) | (Schema::Day, Value::Day(Some(_))) => {}
        (Schema::Day, Value::Day(None)) => diagnostics.error(at, "a day has no time here", "write 2026-12-31"),
        (Schema::Day, Value::Text(_)) => diagnostics.error(at, "a date has no quotes", "write 2026-12-31"),
        (Schema::Count(least, most), Value::Number(spelling)) => count(at, spelling, *least..=*most, diagnostics),
        (Schema::Quantity(unit, least, most), Value::Text(text)) => quantity(at, text, unit, least, most, diagnostics),
        (Schema::Quantity(unit, ..), Value::Number(spelling)) => {
            let help = spelling.parse().map_or_else(|_| unit.examples.to_owned(), unit.meant);
            diagnostics.error(at, format!("{} needs a unit", unit.noun), help);
        }
        (Schema::Text(check), Value::Text(text)) => {
            // A URL may hold a password.
            let hidden = text.contains("://") && text.contains('@');
            if hidden {
                diagnostics.mask(at);
            }
            if let Err(mut fault) = check(text) {
                if hidden {
                    fault.message = fault.message.replace(&format!("{text:?}"), "this");
                }
                fault.report(at, text, diagnostics);
            }
        }
        (Schema::Word(words), Value::Text(text)) => word(at, name, text, words, diagnostics),
        (Schema::Secret, Value::Text(text)) => {
            if !is_reference(text) {
                diagnostics.mask(at);
                let help = "write \"env:NAME\" or \"file:PATH\"; `cursorgate keygen` makes one";
                diagnostics.error(at, "a secret can't stand in the file", help);
            }
        }
        _ => return false,
    }
    true
}

impl Schema {
    /// Returns the noun for such values, and how one is written.
    fn noun(&self) -> (&'static str, &'static str) {
        match self {
            Self::Boolean => ("true or false", "write true or false, without quotes"),
            Self::Count(..) => ("a whole number", "write it without quotes"),
            Self::Quantity(unit, ..) => (unit.noun, unit.examples),
            Self::Day => ("a date", "write 2026-12-31, without quotes"),
            Self::Text(_) | Self::Word(_) => ("text", "write it in quotes"),
            Self::Secret => ("a secret", "write \"env:NAME\" or \"file:PATH\"; `cursorgate keygen` makes one"),
            Self::List(_) => ("a list", "write [\"…\"]"),
            Self::Table(_) | Self::Named(..) | Self::SentHeaders | Self::JsonMembers => ("a table", "write { … }"),
            Self::Json => ("a JSON value", ""),
        }
    }
}

/// Returns whether a text names a secret: `env:NAME` or `file:PATH`.
pub(super) fn is_reference(text: &str) -> bool {
    text.strip_prefix("env:").or_else(|| text.strip_prefix("file:")).is_some_and(|name| !name.is_empty())
}

fn table(members: &Members, keys: &[&Definition], path: &str, diagnostics: &mut Diagnostics) {
    for (name, value) in members {
        if let Some(key) = keys.iter().find(|key| key.name == name.value) {
            inspect(value, &key.schema, &join(path, &name.value), diagnostics);
            continue;
        }
        let is_table = matches!(value.value, Value::Table(_));
        let holds_tables_with_secrets = path.is_empty() || path.starts_with("upstreams.");
        if may_be_secret(path, &name.value) || (is_table && holds_tables_with_secrets) {
            hide(value, diagnostics);
        }
        let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
        let meant = nearest(&name.value, known.iter().copied());
        let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        let within = if path.is_empty() { String::new() } else { format!(" in {path}") };
        let message = format!("unknown key `{}`{within}", name.value);
        diagnostics.error(name.at, message, format!("{meant}keys: {}", known.join(", ")));
    }
}

fn count(at: Location, spelling: &str, range: std::ops::RangeInclusive<u64>, diagnostics: &mut Diagnostics) {
    if spelling.contains(['.', 'e', 'E', 'n', 'i']) {
        diagnostics.error(at, format!("{spelling} is no whole number"), "write it without a fraction");
    } else if !spelling.parse().is_ok_and(|number| range.contains(&number)) {
        let (least, most) = (range.start(), range.end());
        diagnostics.error(at, format!("{spelling} is out of range"), format!("write a number from {least} to {most}"));
    }
}

fn quantity(at: Location, text: &str, unit: &Unit, least: &str, most: &str, diagnostics: &mut Diagnostics) {
    let Some(value) = (unit.read)(text) else {
        match text.parse::<u64>() {
            Ok(number) => diagnostics.error(at, format!("{} needs a unit", unit.noun), (unit.meant)(number)),
            Err(_) => diagnostics.error(at, format!("{text:?} is not {}", unit.noun), unit.examples),
        }
        return;
    };
    if (unit.read)(least).is_some_and(|least| value < least) || (unit.read)(most).is_some_and(|most| value > most) {
        diagnostics.error(at, format!("{text:?} is out of range"), format!("write \"{least}\" to \"{most}\""));
    }
}

fn word(at: Location, name: &str, text: &str, words: &[WordDefinition], diagnostics: &mut Diagnostics) {
    if words.iter().any(|known| known.word == text) {
        return;
    }
    let meant = nearest(text, words.iter().map(|known| known.word));
    let meant = meant.map(|meant| format!("did you mean \"{meant}\"? ")).unwrap_or_default();
    let words: Vec<String> = words.iter().map(|known| format!("\"{}\"", known.word)).collect();
    let help = format!("{meant}values: {}", words.join(", "));
    diagnostics.error(at, format!("{text:?} is no value of `{name}`"), help);
}

fn sent_headers(members: &Members, diagnostics: &mut Diagnostics) {
    for (name, value) in members {
        let lower = name.value.to_ascii_lowercase();
        let is_credential =
            ["authorization", "cookie", "key", "token", "secret", "password"].iter().any(|word| lower.contains(word));
        match &value.value {
            Value::Text(text) if is_reference(text) => {}
            Value::Text(_) if is_credential => inspect(value, &Schema::Secret, &name.value, diagnostics),
            Value::Text(_) => diagnostics.mask(value.at),
            other => {
                let message = format!("the header `{}` is text, not {}", name.value, other.noun());
                hide(value, diagnostics);
                diagnostics.error(value.at, message, "write it in quotes");
            }
        }
    }
}

fn json(written: &Spanned, diagnostics: &mut Diagnostics) {
    if let Err((at, what)) = written.as_json() {
        diagnostics.error(at, format!("JSON has no {what}"), "write it as text, in quotes");
    }
}

/// Returns whether a value may be a secret although its key is unknown or takes no values of its type.
fn may_be_secret(path: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["key", "token", "secret", "password", "header", "auth", "credential"];
    match path.split('.').next() {
        Some("cursor" | "admin") => true,
        Some("dialects" | "envelopes") => false,
        _ => words.iter().any(|word| name.contains(word)),
    }
}

/// Masks every text and number in a value, but for references to secrets.
fn hide(written: &Spanned, diagnostics: &mut Diagnostics) {
    match &written.value {
        Value::Text(text) if is_reference(text) => {}
        Value::Text(_) | Value::Number(_) => diagnostics.mask(written.at),
        Value::List(elements) => elements.iter().for_each(|element| hide(element, diagnostics)),
        Value::Table(members) => members.iter().for_each(|(_, value)| hide(value, diagnostics)),
        Value::Null | Value::Boolean(_) | Value::Day(_) => {}
    }
}

/// Returns the name that an element of a list of tables should have as a named table: its `name`, or the last segment
/// of its `path`.
fn name_meant(element: &Spanned) -> Option<String> {
    let last_segment = |path: String| path.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
    let text = |name| element.find(name).and_then(Spanned::as_text).map(|text| text.value);
    text("name")
        .or_else(|| text("path").and_then(last_segment))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
