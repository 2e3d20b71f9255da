//! Texts with placeholders: `{total}`, `{item.id:string}`, `{next.cursor|null}`. `{{` and `}}` are literal braces.

use std::ops::Range;

use super::facts::{self, Placeholder, Presence, Scope};
use cursorgate_config::diagnostic::{Diagnostics, Location, nearest};
use cursorgate_core::json::Pointer;

/// The form in which a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// With its own JSON type.
    Typed,
    /// As a JSON string.
    Text,
    /// Inside a JSON string.
    Inside,
    /// As it is, in a header.
    Plain,
}

#[derive(Clone, Debug)]
pub enum TextPart {
    Literal(String),
    /// A placeholder and its form. The form counts only if the placeholder is the whole text.
    Value(Placeholder, ValueForm),
}

/// A text, parsed into literals and placeholders.
#[derive(Clone, Debug)]
pub struct PlaceholderText {
    pub parts: Vec<TextPart>,
    /// `true` if the text is a single placeholder with the suffix `|null`.
    pub or_null: bool,
}

/// Finds a placeholder of `scopes` by its name, or reads its place in the request's body.
///
/// # Errors
///
/// Returns the fault and its remedy.
fn find(name: &str, scopes: &[Scope], requests: &mut Vec<Pointer>) -> Result<Placeholder, (String, String)> {
    // Only `request` and `request/…` are places in the body: `requested` is another name. Test:
    // `faults_of_envelopes_point_at_their_text`.
    let of_request = name.strip_prefix("request").filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let found = match of_request.filter(|_| scopes.contains(&Scope::Page)) {
        None => facts::find(name),
        Some(place) => Some(
            request_place(place, requests)
                .map_err(|help| (format!("{{{name}}} is not a place in a request's body"), help))?,
        ),
    };
    found.filter(|found| scopes.contains(&found.scope)).ok_or_else(|| unknown(name, scopes))
}

/// A placeholder in braces, or the text between placeholders.
enum TextPiece<'t> {
    Literal(String),
    Braced(&'t str, Range<usize>),
}

impl PlaceholderText {
    /// Parses a text with placeholders of `scopes` and `{collection}`. Reports faults, and returns `None` if there are
    /// any.
    pub fn parse(
        text: &str,
        at: Location,
        collection: &str,
        scopes: &[Scope],
        requests: &mut Vec<Pointer>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let pieces = match split(text) {
            Ok(pieces) => pieces,
            Err(brace) => {
                let place = diagnostics.part(at, text, brace..brace + 1);
                diagnostics.error(place, "a lone brace", "a placeholder is {name}; write {{ or }} for a brace itself");
                return None;
            }
        };
        let alone = matches!(pieces[..], [TextPiece::Braced(..)]);
        let mut read = Self { parts: Vec::with_capacity(pieces.len()), or_null: false };
        let mut sound = true;
        for piece in pieces {
            let (inner, range) = match piece {
                TextPiece::Literal(literal) => {
                    read.push_literal(&literal);
                    continue;
                }
                TextPiece::Braced(inner, range) => (inner, range),
            };
            let (name, as_text, or_null) = without_suffixes(inner);
            // `{collection}` is the same for all pages of a route, so it is a literal.
            if name == "collection" {
                read.push_literal(collection);
                continue;
            }
            let mut fault = |message: String, help: String| {
                let place = diagnostics.part(at, text, range.clone());
                diagnostics.error(place, message, help);
                sound = false;
            };
            let placeholder = match find(name, scopes, requests) {
                Ok(placeholder) => placeholder,
                Err((message, help)) => {
                    fault(message, help);
                    continue;
                }
            };
            // Inside a text, the quotes of a JSON value would end the string, so the value must be written as text.
            // Test: `faults_of_envelopes_point_at_their_text`.
            if !alone && placeholder.json && !as_text {
                let help = format!("write {{{name}:string}} for it as a string, or make it the whole value");
                fault(format!("{{{name}}} is JSON, and can't be inside a string"), help);
            } else if !alone && or_null {
                let help = format!(
                    "a string with {{{name}}} is left out as a whole where the value is unknown: write {{{name}}}"
                );
                fault(format!("`|null` can't be inside a string: {{{name}|null}}"), help);
            }
            read.or_null |= or_null;
            read.parts.push(TextPart::Value(placeholder, if as_text { ValueForm::Text } else { ValueForm::Typed }));
        }
        sound.then_some(read)
    }

    /// Returns whether a text contains a placeholder of an item; `false` if the text can't be parsed.
    pub fn mentions_item(text: &str) -> bool {
        split(text).unwrap_or_default().iter().any(|piece| match piece {
            TextPiece::Literal(_) => false,
            TextPiece::Braced(inner, _) => {
                let (name, ..) = without_suffixes(inner);
                name == "item" || name.starts_with("item.")
            }
        })
    }

    /// Returns the condition under which the text is rendered: all its placeholders are known. A placeholder with
    /// `|null` is always rendered.
    pub fn presence(&self) -> Presence {
        let uncertain = self.parts.iter().filter_map(|part| match part {
            TextPart::Value(placeholder, _) if !placeholder.certain => Some(placeholder.slot),
            TextPart::Value(..) | TextPart::Literal(_) => None,
        });
        let uncertain: Vec<_> = uncertain.collect();
        // With `|null` the text is always written, so it has no condition.
        if uncertain.is_empty() || self.or_null { Presence::Always } else { Presence::If(vec![uncertain]) }
    }

    /// Returns the text of a member's name, which has no placeholders.
    pub fn literal(&self) -> String {
        let literal = |part: &TextPart| match part {
            TextPart::Literal(literal) => literal.clone(),
            TextPart::Value(..) => String::new(),
        };
        self.parts.iter().map(literal).collect()
    }

    fn push_literal(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(TextPart::Literal(literal)) => literal.push_str(text),
            _ => self.parts.push(TextPart::Literal(text.to_owned())),
        }
    }
}

/// Splits the content of braces: the name, and whether it has the suffixes `:string` and `|null`.
fn without_suffixes(inner: &str) -> (&str, bool, bool) {
    let (rest, or_null) = inner.strip_suffix("|null").map_or((inner, false), |rest| (rest, true));
    let (name, as_text) = rest.strip_suffix(":string").map_or((rest, false), |rest| (rest, true));
    (name, as_text, or_null)
}

/// Splits a text at its placeholders. Returns the index of an unbalanced brace as an error.
fn split(text: &str) -> Result<Vec<TextPiece<'_>>, usize> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(['{', '}']).map(|found| at + found) {
        literal.push_str(&text[at..next]);
        let rest = &text[next..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push_str(&rest[..1]);
            at = next + 2;
            continue;
        }
        let end = rest.find('}').filter(|_| rest.starts_with('{')).ok_or(next)?;
        let inner = &rest[1..end];
        // In `{x {y}` the first brace is the lone one. Test: `faults_of_envelopes_point_at_their_text`.
        if inner.contains('{') {
            return Err(next);
        }
        if !literal.is_empty() {
            pieces.push(TextPiece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(TextPiece::Braced(inner, next..next + end + 1));
        at = next + end + 1;
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        pieces.push(TextPiece::Literal(literal));
    }
    Ok(pieces)
}

/// Returns the placeholder of a place in the request's body. Its number is the index in `requests`, to which a new
/// place is added. Returns the remedy as an error if the place isn't a JSON Pointer, or if there are too many places.
fn request_place(place: &str, requests: &mut Vec<Pointer>) -> Result<Placeholder, String> {
    let pointer = Pointer::parse(place).map_err(|error| error.message)?;
    // A place that occurs twice is looked up once. Test: `repeated_values_keep_their_spelling`.
    let known = requests.iter().position(|known| *known == pointer);
    let number = known.unwrap_or(requests.len());
    let placeholder = u16::try_from(number).map(facts::of_request).map_err(|_| "leave out some of them".to_owned())?;
    if known.is_none() {
        requests.push(pointer);
    }
    Ok(placeholder)
}

/// Returns the message and the help for a placeholder that is unknown or in the wrong scope.
fn unknown(name: &str, scopes: &[Scope]) -> (String, String) {
    if scopes.is_empty() {
        return (format!("{{{name}}} can't be in a member's name"), "only {collection} can".to_owned());
    }
    // An array with a misspelt item placeholder is not recognized as the array of items, so item placeholders are
    // suggested anywhere in a body.
    let listed = if scopes.contains(&Scope::Page) { &[Scope::Page, Scope::Item] } else { scopes };
    let known = format!("known here: {}", facts::names(listed).collect::<Vec<_>>().join(", "));
    match facts::find(name).map(|found| found.scope) {
        Some(Scope::Item) if scopes.contains(&Scope::Page) => {
            let help = "each item has its own: write it inside the array, as in [\"{item}\"]";
            (format!("{{{name}}} is outside of the array of items"), help.to_owned())
        }
        Some(Scope::Page | Scope::Item) => (format!("{{{name}}} has no value in errors"), known),
        None if name.starts_with("request/") => (format!("{{{name}}} has no value in errors"), known),
        Some(Scope::Error) => (format!("{{{name}}} has a value only in errors"), known),
        None => {
            let meant = nearest(name, facts::names(listed)).map(|meant| format!("did you mean {{{meant}}}? "));
            (format!("there is no placeholder {{{name}}}"), meant.unwrap_or_default() + &known)
        }
    }
}
