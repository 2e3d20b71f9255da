//! Values of keys in parameters and expressions.
//!
//! In a parameter, everything is percent-encoded. In an expression, strings are quoted, and unquoted values must have
//! the syntax of their kind so that they can't be read as anything else. Other values aren't written.

use std::borrow::Cow;

use cursorgate_config::{
    diagnostic::Located,
    settings::{Quote, QuotedKind},
};
use cursorgate_core::{
    json::write::push_text,
    pagination::{key::KeyValue, order::Kind},
};

/// The quoting of values by kind, in an expression.
#[derive(Clone, Debug)]
pub(super) struct Quotes {
    of: Vec<(QuotedKind, Quote)>,
}

impl Quotes {
    pub(super) fn new(said: &[(QuotedKind, Located<Quote>)]) -> Self {
        Self { of: said.iter().map(|(kind, quote)| (*kind, quote.value)).collect() }
    }

    /// Returns the quotes around strings.
    pub(super) fn of_text(&self) -> Quote {
        self.of(QuotedKind::Text)
    }

    /// Returns whether values of this kind can be written. Strings need quotes. Without a declared type, all kinds of
    /// JSON strings must have the same quotes.
    pub(super) fn can_write(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Text | Kind::Opaque | Kind::Rank(_) => self.of_text() != Quote::None,
            // A value without a declared type could be any kind of string, so all kinds need the same quotes. Test:
            // `the_core_gets_the_comparisons_that_can_be_requested`.
            Kind::Inferred => {
                let text = self.of_text();
                let others = [QuotedKind::NumberInString, QuotedKind::Datetime, QuotedKind::Uuid];
                others.into_iter().all(|kind| self.of(kind) == text)
            }
            Kind::Number | Kind::NumberInString | Kind::Datetime | Kind::Boolean | Kind::Uuid => true,
        }
    }

    /// Writes the value of a key of this kind with its quotes; returns `None` if the value can't be written.
    pub(super) fn write(&self, value: &KeyValue, kind: &Kind) -> Option<String> {
        let quoted_kind = match (value, kind) {
            (KeyValue::Null, _) => return None,
            (KeyValue::Boolean(_), _) => QuotedKind::Boolean,
            (KeyValue::Number(_), _) => QuotedKind::Number,
            (KeyValue::Text(_), Kind::Datetime) => QuotedKind::Datetime,
            (KeyValue::Text(_), Kind::Uuid) => QuotedKind::Uuid,
            (KeyValue::Text(_), Kind::NumberInString) => QuotedKind::NumberInString,
            (KeyValue::Text(_), _) => QuotedKind::Text,
        };
        let text = said(value)?;
        // Some upstreams end a string at a control character, so such a value isn't written. Test:
        // `values_that_cant_be_written_safely_are_not_written`.
        if text.contains(char::is_control) {
            return None;
        }
        // No character of the value can end its quotes. Test: `hostile_values_do_not_escape_from_their_quotes`.
        match self.of(quoted_kind) {
            Quote::None => can_stand_bare(&text, quoted_kind).then(|| text.into_owned()),
            Quote::Single => Some(format!("'{}'", text.replace('\'', "''"))),
            // Backslashes are doubled first. Otherwise the backslashes in front of quotes would be doubled too.
            Quote::Double => Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
            Quote::Json => {
                let mut out = Vec::new();
                push_text(&mut out, &text);
                String::from_utf8(out).ok()
            }
        }
    }

    fn of(&self, kind: QuotedKind) -> Quote {
        self.of.iter().find(|(known, _)| *known == kind).map_or(Quote::None, |(_, quote)| *quote)
    }
}

/// Returns a value as it is written in a parameter before encoding. Returns `None` for the values without a text in
/// [`said`]; for the empty string, which many upstreams read as no filter; and for strings with control characters,
/// which some upstreams cut there.
pub(super) fn plain(value: &KeyValue) -> Option<Cow<'_, str>> {
    said(value).filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

/// Returns a value as unquoted text; `None` for null, invalid UTF-8, and numbers that aren't in JSON's syntax.
fn said(value: &KeyValue) -> Option<Cow<'_, str>> {
    match value {
        KeyValue::Null => None,
        KeyValue::Boolean(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        KeyValue::Number(spelling) => is_number(spelling).then_some(Cow::Borrowed(spelling)),
        KeyValue::Text(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

/// Returns whether an unquoted text is read as a value of its kind in any context.
fn can_stand_bare(text: &str, kind: QuotedKind) -> bool {
    let all = |allowed: fn(u8) -> bool| !text.is_empty() && text.bytes().all(allowed);
    match kind {
        QuotedKind::Boolean => true,
        QuotedKind::Number | QuotedKind::NumberInString => is_number(text),
        QuotedKind::Datetime => {
            text.starts_with(|first: char| first.is_ascii_digit())
                && all(|byte| byte.is_ascii_digit() || b"-:.+TtZz".contains(&byte))
        }
        QuotedKind::Uuid => text.len() == 36 && all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
        QuotedKind::Text => false,
    }
}

/// Returns whether a text is a number in JSON's syntax, except that leading zeros are also allowed.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}
