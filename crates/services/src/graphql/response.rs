//! GraphQL answers over HTTP (<https://graphql.github.io/graphql-over-http/draft/>).

use async_graphql::{ServerError, Value};
use http::{HeaderMap, HeaderValue};

use super::value::ABSENT;
use crate::document::unstored;
use cursorgate_core::json::write;
use cursorgate_translate::downstream::{Code, Problem, Response, request::preference::MediaRange};

/// The media type of answers for clients that accept it.
const OWN: &str = "application/graphql-response+json";

/// The largest number of errors of fields in an answer. An additional error states how many are left out.
pub(super) const MOST_ERRORS: usize = 100;

/// The error for an answer that exceeds the largest size.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AnswerTooLarge;

/// The media type of the answer, which depends on what the client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// `application/graphql-response+json`. The status shows whether the query was run.
    Own,
    /// `application/json`. The status is 200 even if the query is refused.
    Json,
}

impl AnswerForm {
    /// Returns the form that `Accept` asks for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let takes = |range: &MediaRange| range.weight > 0 && range.essence == OWN;
        if MediaRange::all(headers).iter().any(takes) { Self::Own } else { Self::Json }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Own => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// Returns the answer to a query that was run, with `body` from [`write_answer`].
    pub(super) fn answer(self, body: Vec<u8>) -> Response {
        self.response(200, body)
    }

    /// Returns the answer to a query that was refused before any part of it ran.
    pub(super) fn refused(self, errors: &[ServerError]) -> Response {
        let mut body = b"{".to_vec();
        push_errors(&mut body, errors, 0);
        body.push(b'}');
        // With `application/json`, clients might take a status other than 200 for the status of a proxy. So the status
        // is 200. Test: `requests_follow_graphql_over_http`.
        self.response(if self == Self::Own { 400 } else { 200 }, body)
    }

    fn response(self, status: u16, body: Vec<u8>) -> Response {
        unstored(status, self.content_type(), body.into())
    }
}

/// Returns a problem as a GraphQL error, with the problem's detail and code.
pub(super) fn error_of(problem: &Problem) -> ServerError {
    coded(ServerError::new(problem.detail.clone(), None), problem.code.as_str())
}

/// Sets the `code` in the extensions of an error.
pub(super) fn coded(mut error: ServerError, code: &str) -> ServerError {
    error.extensions.get_or_insert_default().set("code", code);
    error
}

/// Writes the body of an answer: the data, and the errors with their codes. `count` is the number of all errors, and
/// `errors` contains the first of them. If `count` is larger, an additional last error states how many errors are left
/// out. `unproven_ends` are the response keys of lists whose end isn't proven. They are in the extensions, so that
/// clients see them without selecting a field for it.
///
/// # Errors
///
/// Returns [`AnswerTooLarge`] if the body exceeds `most` bytes before the last value of the data is written.
pub(super) fn write_answer(
    data: &Value,
    errors: &[ServerError],
    count: usize,
    unproven_ends: &[String],
    most: usize,
) -> Result<Vec<u8>, AnswerTooLarge> {
    let mut body = b"{\"data\":".to_vec();
    push_value(&mut body, data, most)?;
    if !errors.is_empty() {
        body.push(b',');
        push_errors(&mut body, errors, count.saturating_sub(errors.len()));
    }
    if !unproven_ends.is_empty() {
        body.extend_from_slice(b",\"extensions\":{\"unprovenEnds\":");
        // Serializing strings as JSON never fails.
        body.extend(serde_json::to_vec(unproven_ends).unwrap_or_else(|_| b"[]".to_vec()));
        body.push(b'}');
    }
    body.push(b'}');
    Ok(body)
}

fn push_errors(body: &mut Vec<u8>, errors: &[ServerError], more: usize) {
    let further = (more > 0).then(|| {
        let said = format!("{more} further errors are left out");
        coded(ServerError::new(said, None), Code::UpstreamMalformed.as_str())
    });
    let shown: Vec<&ServerError> = errors.iter().chain(&further).collect();
    body.extend_from_slice(b"\"errors\":");
    // Serializing strings and numbers as JSON never fails.
    body.extend(serde_json::to_vec(&shown).unwrap_or_else(|_| b"[]".to_vec()));
}

/// Writes a value. The recursion isn't deeper than the query, whose depth is limited.
fn push_value(body: &mut Vec<u8>, value: &Value, most: usize) -> Result<(), AnswerTooLarge> {
    // The size is checked before each value, so an answer exceeds its bound by at most one value.
    if body.len() > most {
        return Err(AnswerTooLarge);
    }
    match value {
        Value::Binary(raw) => body.extend_from_slice(raw),
        Value::List(elements) => {
            body.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    body.push(b',');
                }
                push_value(body, element, most)?;
            }
            body.push(b']');
        }
        Value::Object(_) if is_absent(value) => body.extend_from_slice(b"null"),
        Value::Object(members) => {
            body.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    body.push(b',');
                }
                write::push_text(body, name);
                body.push(b':');
                push_value(body, member, most)?;
            }
            body.push(b'}');
        }
        Value::String(text) => write::push_text(body, text),
        Value::Enum(name) => write::push_text(body, name),
        Value::Boolean(flag) => body.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Number(number) => body.extend_from_slice(number.to_string().as_bytes()),
        Value::Null => body.extend_from_slice(b"null"),
    }
    Ok(())
}

/// Returns whether a value represents a null object: one of its fields has the mark [`ABSENT`].
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Binary(raw) => *raw == ABSENT,
        Value::Object(members) => members.values().any(is_absent),
        _ => false,
    }
}
