//! Failures that an upstream reports in a body with a success status: `{"status":"fail","error":"…","data":[]}`.
//!
//! A body with items is a list, whatever other members it has. A body without items ends the walk, so an unnoticed
//! failure in such a body would end the walk too early.

use crate::upstream::template::pairs;
use cursorgate_core::json::{
    members,
    scalar::{self, ScalarKind},
};

/// Values of `status` that mean failure.
const FAILED: [&[u8]; 4] = [b"fail", b"failed", b"failure", b"error"];

/// Texts of an error member that don't mean an error.
const FINE: [&[u8]; 7] = [b"", b"0", b"ok", b"none", b"null", b"false", b"success"];

/// The name of a member, and a check whether its value means failure.
type Sign = (&'static str, fn(&[u8]) -> bool);

/// Returns the name of the top-level member that reports a failure in a body without items; `None` if there is no such
/// member. `query` is the request's query. A member that repeats the query parameter of the same name, such as a filter
/// by status, doesn't count.
pub fn told_by(body: &[u8], query: &str) -> Option<&'static str> {
    // A bare array has no members, so it reports no failure.
    let members = members(body)?;
    let says = |name: &str| {
        let (_, raw) = members.iter().find(|(member, _)| **member == *name.as_bytes())?;
        // A filter by status is often repeated next to the items, so a repeated value isn't a sign of failure. Test:
        // `a_repeated_query_parameter_is_not_taken_for_a_failure`.
        let echoes =
            pairs::raw(query).any(|pair| pairs::name(pair) == name && is_text(raw, pairs::value(pair).as_bytes()));
        (!echoes).then_some(*raw)
    };
    let failed: [Sign; 4] =
        [("error", names_error), ("errors", names_error), ("status", is_failed_status), ("success", is_false)];
    failed.into_iter().find(|(name, fails)| says(name).is_some_and(fails)).map(|(name, _)| name)
}

/// Returns whether an error member reports an error. These values don't: null, false, 0, empty values and texts such as
/// `ok`; an object whose `code` is one of these values or 2xx; and an object without a code whose members don't report
/// an error.
fn names_error(raw: &[u8]) -> bool {
    match scalar::kind(raw) {
        ScalarKind::Null | ScalarKind::Boolean(false) => false,
        ScalarKind::Boolean(true) => true,
        ScalarKind::Number => scalar::unsigned(raw) != Some(0),
        ScalarKind::Text => !FINE.iter().any(|word| is_text(raw, word)),
        // Some APIs send `errors: []` with each answer, so an empty array isn't an error. Test:
        // `members_that_report_a_failure_are_distinguished_from_success`.
        ScalarKind::Array => raw.get(1..).is_some_and(|inside| !inside.trim_ascii_start().starts_with(b"]")),
        ScalarKind::Object => members(raw).is_none_or(|members| {
            let code = members.iter().find(|(name, _)| **name == *b"code").map(|(_, code)| *code);
            match code {
                // Some APIs send `{"code":200,"message":"ok"}` with each answer. The message would look like an error,
                // so only the code counts.
                Some(code) => names_error(code) && !matches!(scalar::unsigned(code), Some(200..=299)),
                None => members.iter().any(|(_, value)| names_error(value)),
            }
        }),
    }
}

/// Returns whether a status means failure: a word such as `failed`, an HTTP status of 400 to 599, or `false`.
fn is_failed_status(raw: &[u8]) -> bool {
    match scalar::kind(raw) {
        ScalarKind::Boolean(fine) => !fine,
        // An API's own codes, such as 0 or 1, may mean success or failure. HTTP's error codes can only mean failure, so
        // only they count.
        ScalarKind::Number => matches!(scalar::unsigned(raw), Some(400..=599)),
        ScalarKind::Text => FAILED.iter().any(|word| is_text(raw, word)),
        ScalarKind::Null | ScalarKind::Array | ScalarKind::Object => false,
    }
}

fn is_false(raw: &[u8]) -> bool {
    match scalar::kind(raw) {
        ScalarKind::Boolean(fine) => !fine,
        ScalarKind::Number => scalar::unsigned(raw) == Some(0),
        ScalarKind::Text => is_text(raw, b"false"),
        ScalarKind::Null | ScalarKind::Array | ScalarKind::Object => false,
    }
}

/// Returns whether a value is this string, in any letter case.
fn is_text(raw: &[u8], text: &[u8]) -> bool {
    scalar::text(raw).is_some_and(|said| said.trim_ascii().eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_report_a_failure_are_distinguished_from_success() {
        for (body, told) in [
            (r#"{"status":"fail","error":"db down","data":[],"total":0}"#, Some("error")),
            (r#"{"error":{"message":"no shard"},"data":[]}"#, Some("error")),
            (r#"{"error":{"code":503},"data":[]}"#, Some("error")),
            (r#"{"error":true,"data":[]}"#, Some("error")),
            (r#"{"errors":[{"detail":"x"}],"data":[]}"#, Some("errors")),
            (r#"{"errors":{"base":["x"]},"data":[]}"#, Some("errors")),
            (r#"{"errors":1,"data":[]}"#, Some("errors")),
            (r#"{"status":"Failed","data":[]}"#, Some("status")),
            (r#"{"status":"error","data":[]}"#, Some("status")),
            (r#"{"status":500,"data":[]}"#, Some("status")),
            (r#"{"status":false,"data":[]}"#, Some("status")),
            (r#"{"success":false,"data":[]}"#, Some("success")),
            (r#"{"success":0,"data":[]}"#, Some("success")),
            (r#"{"data":[],"meta":{"error":"deeper down"}}"#, None),
            (r#"{"errors":[],"data":[]}"#, None),
            (r#"{"errors":[ ],"data":[]}"#, None),
            (r#"{"errors":{},"data":[]}"#, None),
            (r#"{"errors":0,"data":[]}"#, None),
            (r#"{"error":null,"data":[]}"#, None),
            (r#"{"error":"","data":[]}"#, None),
            (r#"{"error":false,"data":[]}"#, None),
            (r#"{"error":{"code":0,"message":"ok"},"data":[]}"#, None),
            (r#"{"error":{"code":200,"message":"ok"},"data":[]}"#, None),
            (r#"{"error":{"message":null},"data":[]}"#, None),
            (r#"{"status":"ok","data":[]}"#, None),
            (r#"{"status":"success","success":true,"data":[]}"#, None),
            (r#"{"status":200,"data":[]}"#, None),
            (r#"{"status":"no_results","data":[]}"#, None),
            (r#"{"status":0,"data":[]}"#, None),
            (r#"{"success":1,"data":[]}"#, None),
            ("[]", None),
        ] {
            assert_eq!(told_by(body.as_bytes(), ""), told, "{body}");
        }
    }

    #[test]
    fn a_repeated_query_parameter_is_not_taken_for_a_failure() {
        let body = br#"{"status":"failed","data":[]}"#;
        assert_eq!(told_by(body, "status=failed&page=1"), None);
        assert_eq!(told_by(body, "state=failed&page=1"), Some("status"));
        assert_eq!(told_by(body, "status=open"), Some("status"));
    }
}
