//! What may be written: a closed list of keys with the form of each value ([`super::keys`] has the lists), and the walk
//! that holds a tree against it. Everything that can be said of a value without looking at another one is said here,
//! once, wherever it was written; so a default that no route uses is checked like any other.

use std::ops::Range;

use super::{
    diagnostic::{Diagnostics, Location, nearest},
    units::Unit,
    written::{Members, Value, Written},
};

/// A key of a table.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) form: Form,
}

/// The form of a value.
pub(super) enum Form {
    Boolean,
    /// A whole number in this range.
    Count(u64, u64),
    /// `10s` or `64KiB`, in this range.
    Quantity(&'static Unit, &'static str, &'static str),
    /// A date without a time.
    Day,
    /// Text that this function has nothing against.
    Text(fn(&str) -> Result<(), Wrong>),
    /// One of a few words, and words that come with a part that is not in this version, with that part.
    Word(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// `env:NAME` or `file:PATH`.
    Secret,
    /// Values of headers sent upstream: text, or a secret. Never shown.
    SentHeaders,
    List(&'static Self),
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table of any names, with what is said where a list was written instead.
    Named(&'static Self, &'static str),
    /// Any value that JSON has.
    Json,
    /// A table of any JSON values.
    JsonMembers,
    /// A key of this part, which is not in this version.
    Later(&'static str),
}

/// What a function has against a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: String,
    /// The bytes of the text at fault, where it is not the whole of it.
    pub(super) part: Option<Range<usize>>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), part: None }
    }

    /// The same about a part of the text.
    pub(super) fn of(self, part: Range<usize>) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Reports it about the text that was written at this place.
    pub(super) fn report(self, at: Location, text: &str, diagnostics: &mut Diagnostics) {
        let at = self.part.map_or(at, |part| diagnostics.part(at, text, part));
        diagnostics.error(at, self.message, self.help);
    }
}

/// Reports everything in this value that is not as its form says. `path` is what it is called, `routes.users`; it is
/// empty for a whole file.
pub(super) fn inspect(written: &Written, form: &Form, path: &str, diagnostics: &mut Diagnostics) {
    let name = path.rsplit('.').next().unwrap_or(path);
    match (form, &written.value) {
        (Form::Later(part), _) => later(written.at, name, part, diagnostics),
        (Form::List(form), Value::List(elements)) => {
            elements.iter().for_each(|element| inspect(element, form, path, diagnostics));
        }
        (Form::Table(keys), Value::Table(members)) => table(members, keys, path, diagnostics),
        (Form::Named(form, _), Value::Table(members)) => {
            for (key, value) in members {
                inspect(value, form, &join(path, &key.value), diagnostics);
            }
        }
        (Form::Named(_, help), Value::List(elements)) => {
            if may_be_secret(path, name) || name == "upstreams" {
                hide(written, diagnostics);
            }
            let meant = elements.first().and_then(name_meant).unwrap_or_else(|| "NAME".into());
            let message = format!("`{name}` holds named tables, not a list");
            diagnostics.error(written.at, message, help.replace("NAME", &meant));
        }
        (Form::SentHeaders, Value::Table(members)) => sent_headers(members, diagnostics),
        (Form::Json, _) => json(written, diagnostics),
        (Form::JsonMembers, Value::Table(members)) => members.iter().for_each(|(_, value)| json(value, diagnostics)),
        _ if scalar(written, form, name, diagnostics) => {}
        _ => {
            if matches!(form, Form::Secret | Form::SentHeaders) || may_be_secret(path, name) {
                hide(written, diagnostics);
            }
            let (noun, example) = form.noun();
            let message = format!("`{name}` is {noun}, not {}", written.value.noun());
            diagnostics.error(written.at, message, example);
        }
    }
}

/// Reports what is wrong with a value that is neither a list nor a table. Gives whether there was anything to say about
/// it beyond that it is something else.
fn scalar(written: &Written, form: &Form, name: &str, diagnostics: &mut Diagnostics) -> bool {
    let at = written.at;
    match (form, &written.value) {
        (Form::Boolean, Value::Boolean(_)) | (Form::Day, Value::Day(Some(_))) => {}
        (Form::Day, Value::Day(None)) => diagnostics.error(at, "a day has no time here", "write 2026-12-31"),
        (Form::Day, Value::Text(_)) => diagnostics.error(at, "a date has no quotes", "write 2026-12-31"),
        (Form::Count(least, most), Value::Number(spelling)) => count(at, spelling, *least..=*most, diagnostics),
        (Form::Quantity(unit, least, most), Value::Text(text)) => quantity(at, text, unit, least, most, diagnostics),
        (Form::Quantity(unit, ..), Value::Number(spelling)) => {
            let help = spelling.parse().map_or_else(|_| unit.examples.to_owned(), unit.meant);
            diagnostics.error(at, format!("{} needs a unit", unit.noun), help);
        }
        (Form::Text(check), Value::Text(text)) => {
            // A URL may hold a password.
            let hidden = text.contains("://") && text.contains('@');
            if hidden {
                diagnostics.mask(at);
            }
            if let Err(mut wrong) = check(text) {
                if hidden {
                    wrong.message = wrong.message.replace(&format!("{text:?}"), "this");
                }
                wrong.report(at, text, diagnostics);
            }
        }
        (Form::Word(here, later), Value::Text(text)) => word(at, name, text, here, later, diagnostics),
        (Form::Secret, Value::Text(text)) => {
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

impl Form {
    /// What is asked for, for a sentence, and how it is written.
    fn noun(&self) -> (&'static str, &'static str) {
        match self {
            Self::Boolean => ("true or false", "write true or false, without quotes"),
            Self::Count(..) => ("a whole number", "write it without quotes"),
            Self::Quantity(unit, ..) => (unit.noun, unit.examples),
            Self::Day => ("a date", "write 2026-12-31, without quotes"),
            Self::Text(_) | Self::Word(..) => ("text", "write it in quotes"),
            Self::Secret => ("a secret", "write \"env:NAME\" or \"file:PATH\"; `cursorgate keygen` makes one"),
            Self::List(_) => ("a list", "write [\"…\"]"),
            Self::Table(_) | Self::Named(..) | Self::SentHeaders | Self::JsonMembers => ("a table", "write { … }"),
            Self::Json | Self::Later(_) => ("anything", ""),
        }
    }
}

/// Reports that a key belongs to a part that is not there yet.
fn later(at: Location, name: &str, part: &str, diagnostics: &mut Diagnostics) {
    let message = format!("`{name}` comes with {part}, which this version does not have");
    diagnostics.error(at, message, format!("remove `{name}`"));
}

/// Whether this names a secret instead of being one.
pub(super) fn is_reference(text: &str) -> bool {
    text.strip_prefix("env:").or_else(|| text.strip_prefix("file:")).is_some_and(|name| !name.is_empty())
}

fn table(members: &Members, keys: &[Key], path: &str, diagnostics: &mut Diagnostics) {
    for (name, value) in members {
        let known = keys.iter().find(|key| key.name == name.value);
        if let Some(Key { form, .. }) = known.filter(|key| !matches!(key.form, Form::Later(_))) {
            inspect(value, form, &join(path, &name.value), diagnostics);
            continue;
        }
        let is_unknown_table = known.is_none() && matches!(value.value, Value::Table(_));
        let holds_tables_with_secrets = path.is_empty() || path.starts_with("upstreams.");
        if may_be_secret(path, &name.value) || (is_unknown_table && holds_tables_with_secrets) {
            hide(value, diagnostics);
        }
        if let Some(Key { form: Form::Later(part), .. }) = known {
            later(name.at, &name.value, part, diagnostics);
            continue;
        }
        let here = keys.iter().filter(|key| !matches!(key.form, Form::Later(_))).map(|key| key.name);
        let here: Vec<&str> = here.collect();
        let meant = nearest(&name.value, here.iter().copied());
        let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        let within = if path.is_empty() { String::new() } else { format!(" in {path}") };
        let message = format!("unknown key `{}`{within}", name.value);
        diagnostics.error(name.at, message, format!("{meant}keys: {}", here.join(", ")));
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

fn word(at: Location, name: &str, text: &str, here: &[&str], later: &[(&str, &str)], diagnostics: &mut Diagnostics) {
    if here.contains(&text) {
        return;
    }
    let words = here.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    if let Some((_, part)) = later.iter().find(|(word, _)| *word == text) {
        let message = format!("`{name} = \"{text}\"` comes with {part}, which this version does not have");
        diagnostics.error(at, message, format!("write {words}, or remove `{name}`"));
        return;
    }
    let meant = nearest(text, here.iter().copied());
    let meant = meant.map(|meant| format!("did you mean \"{meant}\"? ")).unwrap_or_default();
    diagnostics.error(at, format!("{text:?} is no value of `{name}`"), format!("{meant}values: {words}"));
}

fn sent_headers(members: &Members, diagnostics: &mut Diagnostics) {
    for (name, value) in members {
        let lower = name.value.to_ascii_lowercase();
        let is_credential =
            ["authorization", "cookie", "key", "token", "secret", "password"].iter().any(|word| lower.contains(word));
        match &value.value {
            Value::Text(text) if is_reference(text) => {}
            Value::Text(_) if is_credential => inspect(value, &Form::Secret, &name.value, diagnostics),
            Value::Text(_) => diagnostics.mask(value.at),
            other => {
                let message = format!("the header `{}` is text, not {}", name.value, other.noun());
                hide(value, diagnostics);
                diagnostics.error(value.at, message, "write it in quotes");
            }
        }
    }
}

fn json(written: &Written, diagnostics: &mut Diagnostics) {
    if let Err((at, what)) = written.as_json() {
        diagnostics.error(at, format!("JSON has no {what}"), "write it as text, in quotes");
    }
}

/// Whether what was written under a name that is unknown, or in a form that is wrong, may be a secret all the same.
fn may_be_secret(path: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["key", "token", "secret", "password", "header", "auth", "credential"];
    match path.split('.').next() {
        Some("cursor" | "admin") => true,
        Some("dialects" | "envelopes") => false,
        _ => words.iter().any(|word| name.contains(word)),
    }
}

/// Keeps every text and number in this value from being shown, unless it only names a secret.
fn hide(written: &Written, diagnostics: &mut Diagnostics) {
    match &written.value {
        Value::Text(text) if is_reference(text) => {}
        Value::Text(_) | Value::Number(_) => diagnostics.mask(written.at),
        Value::List(elements) => elements.iter().for_each(|element| hide(element, diagnostics)),
        Value::Table(members) => members.iter().for_each(|(_, value)| hide(value, diagnostics)),
        Value::Null | Value::Boolean(_) | Value::Day(_) => {}
    }
}

/// The name that an element of a list of tables should have as a named table: what it calls itself, or the last fixed
/// segment of its path.
fn name_meant(element: &Written) -> Option<String> {
    let last_segment = |path: String| path.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
    element
        .string("name")
        .or_else(|| element.string("path").and_then(last_segment))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
