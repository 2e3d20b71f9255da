//! Responses of services with a document in their body, which no cache stores.

use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Serialize;

use cursorgate_translate::downstream::Response;

/// Returns a document as a response with a JSON body.
pub(super) fn json_response(status: u16, document: &impl Serialize) -> Response {
    // Serializing strings, numbers, booleans and lists as JSON never fails.
    let body = serde_json::to_vec(document).unwrap_or_default();
    unstored(status, HeaderValue::from_static("application/json"), body.into())
}

/// Returns a response with a body of this media type.
pub(super) fn unstored(status: u16, media_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(status, Vec::new());
    response.headers.insert(header::CONTENT_LENGTH, body.len().into());
    response.headers.insert(header::CONTENT_TYPE, media_type);
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.body = body.into();
    response
}
