//! What may be written in an envelope: a file of `config/envelopes`, or `[envelopes.NAME]`.

use super::key;
use crate::config::{
    form::{Form, Form::*, Key, Wrong},
    syntax,
};

/// An envelope.
pub(in crate::config) const ENVELOPE: &[Key] = &[
    key("description", Text(syntax::line)),
    key("documentation", Text(syntax::url)),
    key("file", Text(syntax::name)),
    key("content_type", Text(media_type)),
    key("parameters", PARAMETERS),
    key("over_max", Word(&["clamp", "reject"], &[])),
    key("zero_limit", Word(&["reject", "default"], &[])),
    key("empty_cursor", Word(&["reject", "first-page"], &[])),
    key("headers", Named(&Text(syntax::line), "write headers = { X-Total-Count = \"{total}\" }")),
    key("body", Json),
    key("error", Json),
    key("error_content_type", Text(media_type)),
    key("error_types", Later("the choice of error forms")),
];

const PARAMETERS: Form = Table(&[
    key("limit", Text(parameter)),
    key("limit_backward", Text(parameter)),
    key("cursor", Text(parameter)),
    key("after", Text(parameter)),
    key("before", Text(parameter)),
    key("after_id", Text(parameter)),
    key("before_id", Text(parameter)),
    key("sort", Text(parameter)),
]);

/// The name of a query parameter.
fn parameter(text: &str) -> Result<(), Wrong> {
    let part = match text {
        _ if text.starts_with('/') => "a place in the request's body comes with batch routes",
        _ if text.starts_with("prefer:") => "a preference comes with the choice of envelopes by the client",
        _ => return syntax::name(text),
    };
    Err(Wrong::new(format!("{part}, which this version does not have"), "write the name of a query parameter"))
}

fn media_type(text: &str) -> Result<(), Wrong> {
    let essence = text.split(';').next().unwrap_or(text).trim();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let is_media_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    if is_media_type && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::new(format!("{text:?} is no media type"), "write such as \"application/json\""))
}
