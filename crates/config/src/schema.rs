//! The schema of a value, and the check of a configuration against it. [`super::keys`] has the schema of every key.
//!
//! All faults that a single value shows are reported here, also in defaults that no route uses. So the code that reads
//! values afterwards reports no type errors.

use std::ops::Range;

use super::{
    diagnostic::{Diagnostics, Located, Location, nearest},
    key::{Definition, WordDefinition},
    reference,
    spanned::{Members, Spanned, Value},
    units::Unit,
    variables::{self, Piece},
};

/// The values that a key accepts.
#[derive(Clone, Copy)]
pub(super) enum Schema {
    Boolean,
    /// A whole number, at least the first and at most the second.
    Count(u64, u64),
    /// A number with a unit, such as `10s` or `64KiB`, between two bounds, both included.
    Quantity(&'static Unit, &'static str, &'static str),
    /// A date without a time, such as `2026-12-31`.
    Day,
    /// A text that this function accepts.
    Text(fn(&str) -> Result<(), SyntaxFault>),
    /// A word of this list.
    Word(&'static [WordDefinition]),
    /// A boolean, or a word of this list.
    BooleanOrWord(&'static [WordDefinition]),
    /// A reference to a secret: `env:NAME` or `file:PATH`.
    Secret,
    /// Headers that are sent to an upstream. Their values are texts or secrets, and no diagnostic shows them.
    SentHeaders,
    List(&'static Self),
    /// A table with these keys.
    Table(&'static [&'static Definition]),
    /// A table with names of the operator's choice. The string is the help if a list is written instead.
    Named(&'static Self, &'static str),
    /// Any JSON value.
    Json,
    /// A table with names of the operator's choice, and JSON values.
    JsonMembers,
}

/// The fault of a text that doesn't have the syntax of its key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxFault {
    pub(super) message: String,
    pub(super) help: String,
    /// The byte range of the fault; `None` if the whole text is at fault.
    pub(super) part: Option<Range<usize>>,
}

impl SyntaxFault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), part: None }
    }

    /// Limits the fault to a part of the text.
    pub(super) fn of(self, part: Range<usize>) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Reports the fault. `text` is the text at fault, and `at` the location where it was written.
    pub(super) fn report(self, at: Location, text: &str, diagnostics: &mut Diagnostics) {
        let at = self.part.map_or(at, |part| diagnostics.part(at, text, part));
        diagnostics.error(at, self.message, self.help);
    }
}

/// Reports every part of a value that its schema doesn't allow. `path` is the path of the value's key, such as
/// `routes.users`; it is empty for a whole file.
pub(super) fn inspect(written: &Spanned, schema: &Schema, path: &str, diagnostics: &mut Diagnostics) {
    let name = path.rsplit('.').next().unwrap_or(path);
    match (schema, &written.value) {
        // An unknown value comes from a variable that could not be filled in, which has been reported.
        (_, Value::Unknown) => {}
        (Schema::List(schema), Value::List(elements)) => {
            elements.iter().for_each(|element| inspect(element, schema, path, diagnostics));
        }
        (Schema::Table(keys), Value::Table(members)) => table(members, keys, path, diagnostics),
        (Schema::Named(schema, _), Value::Table(members)) => {
            for (key, value) in members {
                inspect(value, schema, &join(path, &key.value), diagnostics);
            }
        }
        // `[[routes]]` makes a list of tables, so the help shows the header of a named table. Test:
        // `the_report_on_each_case_matches_its_snapshot` (tests/config/lists-for-tables.toml).
        (Schema::Named(_, help), Value::List(elements)) => {
            // The tables of `upstreams` may contain headers with credentials, so all of their texts are hidden.
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
        _ if scalar(written, schema, path, diagnostics) => {}
        _ => {
            // A value of the wrong type may contain a secret, so reports don't show it. Test:
            // `the_report_on_each_case_matches_its_snapshot` (tests/config/secrets-in-lists.toml).
            let may_be = matches!(schema, Schema::Secret | Schema::SentHeaders) || may_be_secret(path, name);
            if may_be && !is_plain(schema, written) {
                hide(written, diagnostics);
            }
            let (noun, example) = schema.noun();
            let message = format!("`{name}` is {noun}, not {}", written.value.noun());
            let help = in_table(schema, name, written).or_else(|| no_number(schema, written));
            diagnostics.error(written.at, message, help.unwrap_or_else(|| example.to_owned()));
        }
    }
}

/// Returns the help if a number is expected and the written value isn't one even without quotes, as in
/// `signing_key = "main"`.
fn no_number(schema: &Schema, written: &Spanned) -> Option<String> {
    let Schema::Count(least, most) = schema else { return None };
    let is_quoted = matches!(&written.value, Value::Text(text) if text.parse::<u64>().is_ok());
    (!is_quoted).then(|| format!("write a number from {least} to {most}"))
}

/// Returns the help if a table is expected and a number or flag is written: the first key of the table that accepts the
/// value. Example: for `page_size = 25`, the help is `page_size = { default = 25 }`.
fn in_table(schema: &Schema, name: &str, written: &Spanned) -> Option<String> {
    let Schema::Table(keys) = schema else { return None };
    let value = match &written.value {
        Value::Number(spelling) => spelling.clone(),
        Value::Boolean(value) => value.to_string(),
        _ => return None,
    };
    let takes = |key: &&&Definition| {
        matches!(
            (&key.schema, &written.value),
            (Schema::Count(..), Value::Number(_)) | (Schema::Boolean, Value::Boolean(_))
        )
    };
    let key = keys.iter().find(takes)?;
    Some(format!("write {name} = {{ {} = {value} }}", key.name))
}

/// Returns whether a flag or a number is expected and the written text is too short for a secret, as in `sealed =
/// "yes"`.
fn is_plain(schema: &Schema, written: &Spanned) -> bool {
    let is_short = matches!(&written.value, Value::Text(text) if text.len() <= WORD_MAX);
    is_short && matches!(schema, Schema::Boolean | Schema::Count(..))
}

/// The largest number of bytes in a text that can't be a secret. Longer texts are hidden.
const WORD_MAX: usize = 5;

/// Reports the faults of a value that is neither a list nor a table. Returns `false` if the value has another type than
/// its schema; the caller must report that.
fn scalar(written: &Spanned, schema: &Schema, path: &str, diagnostics: &mut Diagnostics) -> bool {
    let (at, name) = (written.at, path.rsplit('.').next().unwrap_or(path));
    match (schema, &written.value) {
        (Schema::Boolean | Schema::BooleanOrWord(_), Value::Boolean(_)) | (Schema::Day, Value::Day(Some(_))) => {}
        (Schema::Day, Value::Day(None)) => diagnostics.error(at, "a day has no time here", "write 2026-12-31"),
        (Schema::Day, Value::Text(_)) => diagnostics.error(at, "a date has no quotes", "write 2026-12-31"),
        (Schema::Count(least, most), Value::Number(spelling)) => count(at, spelling, *least..=*most, diagnostics),
        (Schema::Quantity(unit, least, most), Value::Text(text)) => quantity(at, text, unit, least, most, diagnostics),
        (Schema::Quantity(unit, ..), Value::Number(spelling)) => {
            let help = spelling.parse().map_or_else(|_| unit.examples.to_owned(), unit.meant);
            diagnostics.error(at, format!("{} needs a unit", unit.noun), help);
        }
        (Schema::Text(check), Value::Text(text)) => {
            // A URL may contain a password, so reports hide a URL with an `@`.
            let hidden = text.contains("://") && text.contains('@');
            if hidden {
                diagnostics.mask(at);
            }
            if let Err(mut fault) = check(text) {
                // The message of a fault quotes the text, so the quotation is replaced.
                if hidden {
                    fault.message = fault.message.replace(&format!("{text:?}"), "this");
                }
                fault.report(at, text, diagnostics);
            }
        }
        (Schema::Word(words), Value::Text(text)) => word(at, name, text, words, "", diagnostics),
        (Schema::BooleanOrWord(words), Value::Text(text)) => {
            word(at, name, text, words, "true, false, ", diagnostics);
        }
        (Schema::Secret, Value::Text(text)) => {
            if !is_reference(text) {
                diagnostics.mask(at);
                diagnostics.error(at, SECRET_IN_FILE, secret_help(path));
            }
        }
        _ => return false,
    }
    true
}

impl Schema {
    /// Returns the noun for values of this schema, and the help that shows how to write such a value.
    fn noun(&self) -> (&'static str, &'static str) {
        match self {
            Self::Boolean => ("true or false", "write true or false, without quotes"),
            Self::BooleanOrWord(_) => ("true, false or a word", "write true or false without quotes, a word in quotes"),
            Self::Count(..) => ("a whole number", "write it without quotes"),
            Self::Quantity(unit, ..) => (unit.noun, unit.examples),
            Self::Day => ("a date", "write 2026-12-31, without quotes"),
            Self::Text(_) | Self::Word(_) => ("text", "write it in quotes"),
            Self::Secret => ("a secret", REFERENCE),
            Self::List(_) => ("a list", "write [\"…\"]"),
            Self::Table(_) | Self::Named(..) | Self::SentHeaders | Self::JsonMembers => ("a table", "write { … }"),
            Self::Json => ("a JSON value", ""),
        }
    }
}

/// The help that shows how to refer to a secret.
const REFERENCE: &str = "write \"env:NAME\" or \"file:PATH\"";

/// Returns the help for a secret that is written in the file.
fn secret_help(path: &str) -> String {
    let is_drawn = ["cursor.", "admin.token", "admin.read_token"].iter().any(|drawn| path.starts_with(drawn));
    if is_drawn { format!("{REFERENCE}; `cursorgate keygen` makes one") } else { REFERENCE.to_owned() }
}

/// Returns whether a string is a reference to a secret and nothing else: `env:NAME` or `file:PATH`.
pub(super) fn is_reference(text: &str) -> bool {
    match variables::pieces(text).as_deref() {
        Ok([Piece::Variable(_, None)]) => true,
        Ok([Piece::File(path)]) => !path.is_empty(),
        _ => false,
    }
}

fn table(members: &Members, keys: &[&Definition], path: &str, diagnostics: &mut Diagnostics) {
    for (name, value) in members {
        if let Some(key) = keys.iter().find(|key| key.name == name.value) {
            inspect(value, &key.schema, &join(path, &name.value), diagnostics);
            continue;
        }
        let is_table = matches!(value.value, Value::Table(_));
        // A table of headers or keys with a misspelt name may contain secrets. Test:
        // `the_report_on_each_case_matches_its_snapshot` (tests/config/literal-secrets.toml).
        let holds_tables_with_secrets = path.is_empty() || path.starts_with("upstreams.");
        if may_be_secret(path, &name.value) || (is_table && holds_tables_with_secrets) {
            hide(value, diagnostics);
        }
        let within = if path.is_empty() { String::new() } else { format!(" in {path}") };
        if let Some(help) = replaced(path, name, value) {
            diagnostics.error(name.at, format!("`{}`{within} has been replaced", name.value), help);
            continue;
        }
        let message = format!("unknown key `{}`{within}", name.value);
        diagnostics.error(name.at, message, key_meant(&name.value, keys));
    }
}

/// Returns the help for an unknown key of a table: the key that was probably meant, of this table or of another one.
fn key_meant(name: &str, keys: &[&Definition]) -> String {
    let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
    // For some names the key that is meant isn't the most similar one, so these names are looked up first. Test:
    // `the_report_on_each_case_matches_its_snapshot` (tests/config/first-tries.toml).
    let other_name = OTHER_NAMES.iter().find(|(other, key, _)| *other == name && known.contains(key));
    if let Some((_, _, meant)) = other_name {
        return format!("did you mean {meant}?");
    }
    let tables = reference::tables_with(name);
    if let ([table], None) = (tables.as_slice(), nearest(name, known.iter().copied())) {
        return format!("`{name}` is a key of {table}");
    }
    let meant = nearest(name, known.iter().copied());
    let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
    format!("{meant}keys: {}", known.join(", "))
}

/// Returns the help for a key of earlier versions, which says what to write instead; `None` for all other keys.
fn replaced(path: &str, name: &Located<String>, value: &Spanned) -> Option<String> {
    let word = match &value.value {
        Value::Text(word) => word.as_str(),
        _ => "",
    };
    if path.rsplit('.').next() != Some("legacy") {
        return None;
    }
    match (name.value.as_str(), word) {
        ("policy", "passthrough") => Some("pass"),
        ("policy", "translate" | "redirect" | "reject") => Some(word),
        ("policy", _) => Some("pass\", \"translate\", \"redirect\", \"reject\" or \"none"),
        ("unmarked", "new") => {
            return Some(
                "remove it: new clients send a cursor, or `start` in its place, or a name in new_clients.by".to_owned(),
            );
        }
        ("unmarked", _) => return Some("remove it: `old_clients` covers all requests without a mark".to_owned()),
        _ => None,
    }
    .map(|word| format!("remove it, and write old_clients = \"{word}\" in the route itself, or in [defaults]"))
}

/// Names that operators write by mistake. Each has the key that is meant, and an example of that key.
const OTHER_NAMES: [(&str, &str, &str); 5] = [
    ("limit", "page_size", "page_size = { default = 25, max = 100 }"),
    ("max_limit", "page_size", "page_size = { max = 100 }"),
    ("url", "peers", "peers = [\"host:port\"]"),
    ("address", "peers", "peers = [\"host:port\"]"),
    ("sort", "order", "order = [\"-created_at\", \"id\"]"),
];

fn count(at: Location, spelling: &str, range: std::ops::RangeInclusive<u64>, diagnostics: &mut Diagnostics) {
    if range.start() == range.end() && spelling.bytes().all(|byte| byte.is_ascii_digit()) {
        // The version of the format is the only key with a single allowed number, so the message is about versions.
        if spelling.parse() != Ok(*range.start()) {
            let message = format!("this cursorgate reads version {}, not {spelling}", range.start());
            diagnostics.error(at, message, "update cursorgate, or write the file for this version");
        }
    // `n` and `i` cover `nan` and `inf`, which are numbers in TOML.
    } else if spelling.contains(['.', 'e', 'E', 'n', 'i']) {
        diagnostics.error(at, format!("{spelling} is not a whole number"), "write it without a fraction");
    } else if !spelling.parse().is_ok_and(|number| range.contains(&number)) {
        let (least, most) = (range.start(), range.end());
        diagnostics.error(at, format!("{spelling} is out of range"), format!("write a number from {least} to {most}"));
    }
}

fn quantity(at: Location, text: &str, unit: &Unit, least: &str, most: &str, diagnostics: &mut Diagnostics) {
    let Some(value) = (unit.read)(text) else {
        match text.parse::<u64>() {
            // A number in quotes lacks a unit in the same way as a number without quotes. Test:
            // `the_report_on_each_case_matches_its_snapshot` (tests/config/budgets.toml).
            Ok(number) => diagnostics.error(at, format!("{} needs a unit", unit.noun), (unit.meant)(number)),
            Err(_) => {
                let meant = unit.tried(text).map(|meant| format!("write {meant:?}"));
                let help = meant.unwrap_or_else(|| unit.examples.to_owned());
                diagnostics.error(at, format!("{text:?} is not {}", unit.noun), help);
            }
        }
        return;
    };
    if (unit.read)(least).is_some_and(|least| value < least) || (unit.read)(most).is_some_and(|most| value > most) {
        diagnostics.error(at, format!("{text:?} is out of range"), format!("write \"{least}\" to \"{most}\""));
    }
}

/// Reports a text that isn't one of the words. `others` are the other values that the key accepts, for the help.
fn word(at: Location, name: &str, text: &str, words: &[WordDefinition], others: &str, diagnostics: &mut Diagnostics) {
    if words.iter().any(|known| known.word == text) {
        return;
    }
    // Newcomers often write `mode = "cursor"`. It resembles no word of `mode`, so it has its own help. Test:
    // `the_report_on_each_case_matches_its_snapshot` (tests/config/first-tries.toml).
    if (name, text) == ("mode", "cursor") {
        let help = "remove it: clients page by cursor in every mode, and this says how the upstream is read";
        diagnostics.error(at, format!("{text:?} is not a value of `{name}`"), help);
        return;
    }
    let meant = nearest(text, words.iter().map(|known| known.word));
    let meant = meant.map(|meant| format!("did you mean \"{meant}\"? ")).unwrap_or_default();
    let words: Vec<String> = words.iter().map(|known| format!("\"{}\"", known.word)).collect();
    let help = format!("{meant}values: {others}{}", words.join(", "));
    diagnostics.error(at, format!("{text:?} is not a value of `{name}`"), help);
}

fn sent_headers(members: &Members, diagnostics: &mut Diagnostics) {
    for (name, value) in members {
        match &value.value {
            Value::Text(text) => sent_header(&name.value, text, value.at, diagnostics),
            Value::Unknown => {}
            other => {
                let message = format!("the header `{}` is text, not {}", name.value, other.noun());
                hide(value, diagnostics);
                diagnostics.error(value.at, message, "write it in quotes");
            }
        }
    }
}

fn sent_header(name: &str, text: &str, at: Location, diagnostics: &mut Diagnostics) {
    let is_credential = is_credential(name);
    let pieces = match variables::pieces(text) {
        Ok(pieces) => pieces,
        // A text with an unclosed brace may contain a secret, so the whole text is masked. Test:
        // `the_report_on_each_case_matches_its_snapshot` (tests/config/variables.toml).
        Err(fault) => {
            diagnostics.mask(at);
            diagnostics.error(at, fault.message, fault.help);
            return;
        }
    };
    let is_shown = |piece: &Piece<'_>| match piece {
        // The default of a variable is written in the file, so it might be a secret like any literal text.
        Piece::Variable(_, default) => default.is_none(),
        Piece::File(_) => true,
        Piece::Literal(text) => is_scheme(text),
    };
    if !pieces.iter().all(is_shown) {
        diagnostics.mask(at);
    }
    let is_secret = |piece: &Piece<'_>| matches!(piece, Piece::Variable(_, None) | Piece::File(_));
    if is_credential && !pieces.iter().any(is_secret) {
        let scheme = text.split_once(' ').map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
        let help = match scheme {
            Some(scheme) => format!("write \"{scheme} {{env:NAME}}\" or \"{scheme} {{file:PATH}}\""),
            None => "write \"env:NAME\" or \"file:PATH\"; with a prefix \"Bearer {env:NAME}\"".to_owned(),
        };
        diagnostics.error(at, SECRET_IN_FILE, help);
    }
}

/// Returns whether a header with this name is probably a credential.
pub(super) fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["authorization", "cookie", "key", "token", "secret", "password"].iter().any(|word| lower.contains(word))
}

const SECRET_IN_FILE: &str = "a secret can't be written in the file";

/// Returns whether a part of a credential is only the name of an authentication scheme, such as `Bearer`.
fn is_scheme(text: &str) -> bool {
    ["apikey", "basic", "bearer", "key", "token"].contains(&text.trim().to_ascii_lowercase().as_str())
}

fn json(written: &Spanned, diagnostics: &mut Diagnostics) {
    if let Err((at, what)) = written.as_json() {
        diagnostics.error(at, format!("JSON has no {what}"), "write it as a string, in quotes");
    }
}

/// Returns whether a value might be a secret although its key is unknown or accepts no value of this type.
fn may_be_secret(path: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["key", "token", "secret", "password", "header", "auth", "credential"];
    match path.split('.').next() {
        // These two tables contain keys and tokens, and the names of such keys may be misspelt. Test:
        // `the_report_on_each_case_matches_its_snapshot` (tests/config/literal-secrets.toml).
        Some("cursor" | "admin") => true,
        // Names in dialects and envelopes may contain such words, as `next_token` does, but their values are places in
        // messages, and not secrets.
        Some("dialects" | "envelopes") => false,
        _ => words.iter().any(|word| name.contains(word)),
    }
}

/// Hides every text and number in a value from the report, except references to secrets.
fn hide(written: &Spanned, diagnostics: &mut Diagnostics) {
    match &written.value {
        Value::Text(text) if is_reference(text) => {}
        Value::Text(_) | Value::Number(_) => diagnostics.mask(written.at),
        Value::List(elements) => elements.iter().for_each(|element| hide(element, diagnostics)),
        Value::Table(members) => members.iter().for_each(|(_, value)| hide(value, diagnostics)),
        Value::Null | Value::Boolean(_) | Value::Day(_) | Value::Unknown => {}
    }
}

/// Returns a name for an element of a list that should be a named table: its `name`, or the last segment of its `path`.
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
