//! Environment variables in texts: `env:NAME`, `env:NAME:DEFAULT`, and the same in braces within a longer text, as in
//! `https://{env:HOST:localhost}/v1`.
//!
//! Variables are filled in before texts are checked, so every text, word, duration and size can have variables. Texts
//! within JSON can't. Secrets and headers stay as they are written until `check` opens them. [`pieces`] splits texts
//! such as `Bearer {env:TOKEN}`.

use std::{ops::Range, path::Path};

use zeroize::Zeroizing;

use super::{
    Environment,
    diagnostic::Diagnostics,
    schema::{Schema, SyntaxFault},
    secret::Secret,
    spanned::{Spanned, Value},
};

/// A piece of a text: literal text, or a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Literal(&'t str),
    /// A variable and its default: `env:NAME` or `env:NAME:DEFAULT`.
    Variable(&'t str, Option<&'t str>),
    /// A file by its path: `file:PATH`.
    File(&'t str),
}

/// Splits a text into references and the literal text between them. A text that begins with `env:` or `file:` is a
/// single reference; in other texts, references are in braces. Returns the fault of a brace without its end, or of a
/// faulty name.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, SyntaxFault> {
    if let Some(whole) = reference(text, 0..text.len())? {
        return Ok(vec![whole]);
    }
    let (mut pieces, mut at) = (Vec::new(), 0);
    while let Some(open) = text[at..].find("{env:").into_iter().chain(text[at..].find("{file:")).min() {
        let open = at + open;
        let Some(length) = text[open..].find('}') else {
            let fault = SyntaxFault::new("the brace is not closed", "write {env:NAME}");
            return Err(fault.of(open..text.len()));
        };
        if open > at {
            pieces.push(Piece::Literal(&text[at..open]));
        }
        pieces.extend(reference(text, open + 1..open + length)?);
        at = open + length + 1;
    }
    if at < text.len() {
        pieces.push(Piece::Literal(&text[at..]));
    }
    Ok(pieces)
}

/// Reads a part of a text as a reference. Returns `None` if the part isn't one.
fn reference(text: &str, part: Range<usize>) -> Result<Option<Piece<'_>>, SyntaxFault> {
    let (source, rest) = text[part.clone()].split_once(':').unwrap_or_default();
    // Only the first colon ends the name: a default may contain colons, as an address does. Test:
    // `variables_are_filled_in_with_their_defaults`.
    let (name, default) = rest.split_once(':').map_or((rest, None), |(name, default)| (name, Some(default)));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    match source {
        "env" if name.is_empty() || !name.bytes().all(is_name) => {
            let help = "write env:NAME or env:NAME:DEFAULT; a name has letters, digits and `_`";
            Err(SyntaxFault::new(format!("{name:?} is not the name of a variable"), help).of(part))
        }
        "env" => Ok(Some(Piece::Variable(name, default))),
        "file" => Ok(Some(Piece::File(rest))),
        _ => Ok(None),
    }
}

/// Fills in the variables of all texts in a value. Reports a text that can't be filled in, and replaces the text with
/// [`Value::Unknown`].
pub(super) fn fill(
    written: &mut Spanned,
    schema: &Schema,
    environment: &dyn Environment,
    diagnostics: &mut Diagnostics,
) {
    match (schema, &mut written.value) {
        (Schema::List(element), Value::List(elements)) => {
            elements.iter_mut().for_each(|value| fill(value, element, environment, diagnostics));
        }
        (Schema::Named(element, _), Value::Table(members)) => {
            members.iter_mut().for_each(|(_, value)| fill(value, element, environment, diagnostics));
        }
        (Schema::Table(keys), Value::Table(members)) => {
            for (name, value) in members {
                if let Some(key) = keys.iter().find(|key| key.name == name.value) {
                    fill(value, &key.schema, environment, diagnostics);
                }
            }
        }
        (Schema::Text(_) | Schema::Word(_) | Schema::BooleanOrWord(_) | Schema::Quantity(..), Value::Text(text))
            if text.contains("env:") =>
        {
            match filled(text, environment) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    diagnostics.filled_in(written.at);
                    written.value = Value::Text(value);
                }
                Err(fault) => {
                    fault.report(written.at, text, diagnostics);
                    // Without a value, no fault of its syntax is reported in addition to this one.
                    written.value = Value::Unknown;
                }
            }
        }
        // JSON isn't filled in, because its own placeholders are in braces too. Secrets are opened by `check`.
        _ => {}
    }
}

/// Returns a text with its variables filled in; `None` if the text has no variables. Returns the fault of a malformed
/// reference, or of a variable that has no value.
fn filled(text: &str, environment: &dyn Environment) -> Result<Option<String>, SyntaxFault> {
    let pieces = pieces(text)?;
    if !pieces.iter().any(|piece| matches!(piece, Piece::Variable(..))) {
        return Ok(None);
    }
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => whole.push_str(literal),
            // Only secrets are read from files. In other texts, `file:` has no special meaning, so it is kept as it was
            // written.
            Piece::File(path) => whole.push_str(&format!("{{file:{path}}}")),
            Piece::Variable(name, default) => {
                let Some(value) = value(name, default, environment) else {
                    let help = format!("set {name}, or write a default: env:{name}:DEFAULT");
                    return Err(SyntaxFault::new(format!("the environment variable {name} is not set"), help));
                };
                whole.push_str(&value);
            }
        }
    }
    Ok(Some(whole))
}

/// Returns the value of a variable, or its default; `None` if it has neither.
fn value(name: &str, default: Option<&str>, environment: &dyn Environment) -> Option<String> {
    // Compose files and systemd units pass an unset variable on as an empty one, so a default replaces an empty value
    // too. Test: `variables_are_filled_in_with_their_defaults`.
    let set = environment.variable(name).filter(|value| default.is_none() || !value.is_empty());
    set.or_else(|| default.map(str::to_owned))
}

/// Returns an argument of the command line with its references filled in, also those to files, whose final whitespace
/// is removed. Returns a message if a reference is malformed or can't be opened. A secret that is given by a reference
/// doesn't appear in the list of processes.
pub fn open_argument(text: &str, environment: &dyn Environment) -> Result<Secret, String> {
    let mut whole = Vec::with_capacity(text.len());
    for piece in pieces(text).map_err(|fault| format!("{}: {}", fault.message, fault.help))? {
        match piece {
            Piece::Literal(literal) => whole.extend_from_slice(literal.as_bytes()),
            Piece::File(path) => {
                let read = environment.read(Path::new(path)).map(Zeroizing::new);
                let bytes = read.map_err(|error| format!("{path} can't be read: {error}"))?;
                whole.extend_from_slice(bytes.trim_ascii_end());
            }
            Piece::Variable(name, default) => {
                let value = value(name, default, environment);
                let value = value.ok_or_else(|| format!("the environment variable {name} is not set"))?;
                whole.extend_from_slice(value.as_bytes());
            }
        }
    }
    Ok(Secret::new(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment with two variables: HOST, which is `people.internal`, and EMPTY, which is empty.
    struct Two;

    impl Environment for Two {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "HOST" => Some("people.internal".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            }
        }

        fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn variables_are_filled_in_with_their_defaults() {
        for (text, expected) in [
            ("env:HOST", Some("people.internal")),
            ("env:HOST:elsewhere", Some("people.internal")),
            ("env:NONE:127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("env:NONE:", Some("")),
            ("env:EMPTY:full", Some("full")),
            ("env:EMPTY", Some("")),
            ("{env:HOST}:8000", Some("people.internal:8000")),
            ("https://{env:HOST}/{env:STAGE:production}/", Some("https://people.internal/production/")),
            ("/users/{id}", None),
            ("/{env:STAGE:v1}/users/{id}", Some("/v1/users/{id}")),
            ("page={page}&env={environment}", None),
            ("unix:/run/a.sock", None),
        ] {
            assert_eq!(filled(text, &Two).unwrap().as_deref(), expected, "{text}");
        }
        for (text, message) in [
            ("env:NONE", "the environment variable NONE is not set"),
            ("{env:HOST}:{env:NONE}", "the environment variable NONE is not set"),
            ("env:", "\"\" is not the name of a variable"),
            ("env:A B", "\"A B\" is not the name of a variable"),
            ("https://{env:HOST", "the brace is not closed"),
        ] {
            assert_eq!(filled(text, &Two).unwrap_err().message, message, "{text}");
        }
    }

    #[test]
    fn an_argument_has_the_defaults_of_a_file() {
        for (text, expected) in [
            ("{env:EMPTY:full}", "full"),
            ("env:EMPTY:full", "full"),
            ("Bearer {env:NONE:full}", "Bearer full"),
            ("env:EMPTY", ""),
            ("env:HOST:elsewhere", "people.internal"),
        ] {
            assert_eq!(open_argument(text, &Two).unwrap().reveal(), expected.as_bytes(), "{text}");
        }
        assert!(open_argument("env:NONE", &Two).is_err());
    }

    #[test]
    fn a_text_is_split_at_its_references() {
        assert_eq!(pieces("env:TOKEN"), Ok(vec![Piece::Variable("TOKEN", None)]));
        assert_eq!(pieces("Bearer {env:TOKEN}"), Ok(vec![Piece::Literal("Bearer "), Piece::Variable("TOKEN", None)]));
        assert_eq!(
            pieces("Basic {file:/run/a}; {env:B}."),
            Ok(vec![
                Piece::Literal("Basic "),
                Piece::File("/run/a"),
                Piece::Literal("; "),
                Piece::Variable("B", None),
                Piece::Literal("."),
            ])
        );
        assert_eq!(pieces("Bearer abc"), Ok(vec![Piece::Literal("Bearer abc")]));
        assert_eq!(pieces(""), Ok(Vec::new()));
    }
}
