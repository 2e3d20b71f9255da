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
    key("error_types", Named(&Text(syntax::line), "write error_types = { cursor_expired = \"https://…\" }")),
];

const PARAMETERS: Form = Table(&[
    key("limit", Text(limit)),
    key("limit_backward", Text(parameter)),
    key("cursor", Text(parameter)),
    key("after", Text(parameter)),
    key("before", Text(parameter)),
    key("after_id", Text(parameter)),
    key("before_id", Text(parameter)),
    key("sort", Text(parameter)),
]);

/// The name of a query parameter, a pointer into the body, or a preference by which a page size is asked for (RFC 7240),
/// as OData has one.
fn limit(text: &str) -> Result<(), Wrong> {
    match text.strip_prefix("prefer:") {
        Some(name) if syntax::header_name(name).is_ok() => Ok(()),
        Some(_) => Err(Wrong::new(format!("{text:?} is no preference"), "write \"prefer:odata.maxpagesize\"")),
        None => parameter(text),
    }
}

/// The name of a query parameter, or a pointer into the body.
fn parameter(text: &str) -> Result<(), Wrong> {
    if text.starts_with("prefer:") {
        let help = "write the name of a query parameter; `limit` alone can be a preference";
        return Err(Wrong::new("no place in a list is asked for by a preference", help));
    }
    syntax::name(text)
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
