//! Reads messages of clients: one JSON-RPC message in each POST request, with the headers of
//! <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http>. Ids and arguments are
//! kept as bytes, so numbers keep all their digits.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use rmcp::{
    ErrorData,
    model::{
        CallToolRequestMethod, ConstString as _, ErrorCode, InitializeResultMethod, ProtocolVersion, RequestMetaObject,
    },
};
use serde::de::IgnoredAny;

use cursorgate_core::json::{
    self,
    scalar::{self, ScalarKind},
};
use cursorgate_translate::downstream::RequestBody;

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The largest nesting depth of a message's JSON. A deeper message is refused.
pub(super) const DEPTH: u16 = 32;

/// The largest length of a request's id as JSON, in bytes. A request with a longer id is refused.
const LONGEST_ID: usize = 256;

/// The beginning and the end of a header value that is encoded in base64.
const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// The eras of the protocol
/// (<https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#terminology>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProtocolEra {
    /// A client begins with `initialize`. The gateway doesn't keep state for the client: each request is answered
    /// independently.
    Legacy,
    /// Each request states the protocol version and the capabilities of the client.
    Modern,
}

/// The supported versions that begin with `initialize`, the newest first. Earlier versions have batches, which are not
/// supported.
pub(super) const LEGACY: [ProtocolVersion; 2] = [ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2025_06_18];

/// All supported versions, the newest first.
pub(super) const VERSIONS: [ProtocolVersion; 3] =
    [ProtocolVersion::V_2026_07_28, ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2025_06_18];

#[derive(Debug)]
pub(super) enum McpMessage {
    Request(McpRequest),
    /// A notification, which the gateway accepts without any action.
    Notification,
}

#[derive(Debug)]
pub(super) struct McpRequest {
    /// The id of the request as JSON: a string or an integer.
    pub(super) id: Bytes,
    pub(super) method: String,
    /// The parameters as a JSON object; `None` if the request has none.
    params: Option<Bytes>,
    pub(super) era: ProtocolEra,
}

/// The refusal of a message, which is answered with a JSON-RPC error.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) status: u16,
    /// The id of the request as JSON; `None` if it is unknown.
    pub(super) id: Option<Bytes>,
    pub(super) error: ErrorData,
}

impl McpRequest {
    /// Returns a parameter as JSON; `None` if it is missing.
    pub(super) fn param(&self, name: &str) -> Option<Bytes> {
        self.params.as_ref().and_then(|params| member(params, name))
    }

    /// Returns the content of a parameter that is a string; `None` if it is missing or isn't a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.param(name).and_then(|value| text(&value))
    }

    /// Returns a refusal with the id of this request.
    pub(super) fn reject(&self, status: u16, error: ErrorData) -> Box<Rejection> {
        Box::new(Rejection { status, id: Some(self.id.clone()), error })
    }

    /// Checks the version, and sets the era. In the modern era, also checks the metadata and the headers that each
    /// request needs.
    fn check(&mut self, headers: &HeaderMap) -> Result<(), Box<Rejection>> {
        let written = one(headers, &PROTOCOL_VERSION).map_err(|error| self.reject(400, error))?;
        let meta = self.param("_meta").and_then(|meta| serde_json::from_slice::<RequestMetaObject>(&meta).ok());
        let meta = meta.unwrap_or_default();
        let modern = ProtocolVersion::V_2026_07_28;
        // If there is no metadata, the header determines the era, so the refusal can list the keys that are missing.
        // Test: `headers_have_to_match_their_message`.
        let Some(version) =
            meta.protocol_version().or_else(|| (written == Some(modern.as_str())).then(|| modern.clone()))
        else {
            // `initialize` negotiates the version, so the header of that request doesn't count yet.
            let is_known = |version: &str| LEGACY.iter().any(|known| known.as_str() == version);
            return match written {
                Some(version) if self.method != InitializeResultMethod::VALUE && !is_known(version) => {
                    Err(self.unsupported(version))
                }
                _ => Ok(()),
            };
        };
        self.era = ProtocolEra::Modern;
        let mismatch = |header: &HeaderName, said: &str| {
            ErrorData::header_mismatch(format!("the header {header} is not {said} of the message"), None)
        };
        if written != Some(version.as_str()) {
            return Err(self.reject(400, mismatch(&PROTOCOL_VERSION, "the version")));
        }
        if version != modern {
            return Err(self.unsupported(version.as_str()));
        }
        let missing = meta.missing_required_keys(&version);
        if !missing.is_empty() {
            let detail = format!("params._meta lacks {}", missing.join(", "));
            return Err(self.reject(400, ErrorData::invalid_params(detail, None)));
        }
        let is_same = |header: &HeaderName, value: Option<&str>| {
            let written = one(headers, header)?.map(decoded);
            if written.as_deref() == value { Ok(()) } else { Err(mismatch(header, "that")) }
        };
        let name = (self.method == CallToolRequestMethod::VALUE).then(|| self.text("name"));
        let same = is_same(&METHOD, Some(&self.method));
        let same = same.and_then(|()| name.map_or(Ok(()), |name| is_same(&NAME, name.as_deref())));
        same.map_err(|error| self.reject(400, error))
    }

    fn unsupported(&self, version: &str) -> Box<Rejection> {
        let requested: Result<ProtocolVersion, _> = serde_json::from_value(version.into());
        let error = requested.map_or_else(
            |_| ErrorData::invalid_params("the value is not a protocol version", None),
            |requested| ErrorData::unsupported_protocol_version(requested, &VERSIONS),
        );
        self.reject(400, error)
    }
}

/// Parses the body of a request as a message, and checks it against the headers.
///
/// # Errors
///
/// Returns a refusal if the body isn't a JSON-RPC 2.0 message, or if the version or the headers of the request are
/// wrong.
pub(super) fn read(body: Vec<u8>, headers: &HeaderMap) -> Result<McpMessage, Box<Rejection>> {
    let refused = |code: ErrorCode, detail: String| {
        Box::new(Rejection { status: 400, id: None, error: ErrorData::new(code, detail, None) })
    };
    let invalid = |detail: &str| refused(ErrorCode::INVALID_REQUEST, detail.to_owned());
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(invalid("batches are not taken: send each message as a request of its own"));
    }
    // JSON that isn't a message has another code than text that isn't JSON (JSON-RPC 2.0, section 5.1).
    // Test: `malformed_messages_are_refused`.
    let is_json = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
    let body = RequestBody::read(body, DEPTH).map_err(|problem| {
        let code = if is_json { ErrorCode::INVALID_REQUEST } else { ErrorCode::PARSE_ERROR };
        refused(code, problem.detail)
    })?;
    let body = Bytes::from(body.into_bytes());
    let at = |name| member(&body, name);
    if at("jsonrpc").and_then(|version| text(&version)).as_deref() != Some("2.0") {
        return Err(invalid("this is not a message of JSON-RPC 2.0: write \"jsonrpc\": \"2.0\""));
    }
    let Some(method) = at("method").and_then(|method| text(&method)) else {
        return Err(invalid("the message has no method; the gateway sends no requests, so there are no responses"));
    };
    // A message without an id is a notification (JSON-RPC 2.0, section 4.1).
    let Some(id) = at("id") else {
        let written = one(headers, &PROTOCOL_VERSION);
        let is_known = |written: &str| VERSIONS.iter().any(|known| known.as_str() == written);
        return match written {
            Ok(written) if written.is_none_or(is_known) => Ok(McpMessage::Notification),
            _ => Err(invalid("the header MCP-Protocol-Version names a version that is not supported here")),
        };
    };
    if !is_id(&id) {
        return Err(invalid("the id of a request is a string or an integer"));
    }
    let params = at("params");
    let mut request = McpRequest { id, method, params, era: ProtocolEra::Legacy };
    if request.params.as_ref().is_some_and(|params| !params.starts_with(b"{")) {
        return Err(request.reject(400, ErrorData::invalid_params("params is an object", None)));
    }
    request.check(headers)?;
    Ok(McpMessage::Request(request))
}

/// Returns a member of a JSON object; `None` if the member is missing, or if `object` isn't an object.
pub(super) fn member(object: &Bytes, name: &str) -> Option<Bytes> {
    let members = json::members(object)?;
    let (_, value) = members.into_iter().find(|(known, _)| **known == *name.as_bytes())?;
    Some(object.slice_ref(value))
}

/// Returns the content of a JSON string; `None` for other values, and for a string that isn't valid Unicode.
pub(super) fn text(value: &[u8]) -> Option<String> {
    String::from_utf8(scalar::text(value)?.into_owned()).ok()
}

fn is_id(id: &[u8]) -> bool {
    let is_integer = || id.strip_prefix(b"-").unwrap_or(id).iter().all(u8::is_ascii_digit);
    // Unlike in JSON-RPC itself, null and fractions aren't valid ids here. Test: `malformed_messages_are_refused`.
    match scalar::kind(id) {
        ScalarKind::Text => id.len() <= LONGEST_ID,
        ScalarKind::Number => id.len() <= LONGEST_ID && is_integer(),
        _ => false,
    }
}

/// Returns the value of a header that occurs at most once; `None` if the header is missing.
///
/// # Errors
///
/// Returns an error if the header occurs several times, or isn't ASCII.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ErrorData> {
    let mut values = headers.get_all(name).iter();
    let (first, further) = (values.next(), values.next());
    let text = first.map(|value| value.to_str().map(str::trim));
    match (text, further) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text)),
        _ => Err(ErrorData::header_mismatch(
            format!("the header {name} does not have exactly one value of plain ASCII"),
            None,
        )),
    }
}

/// Decodes a header value if it is marked as base64, and returns any other value unchanged
/// (<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#value-encoding>).
fn decoded(value: &str) -> Cow<'_, str> {
    let encoded = value.strip_prefix(ENCODED.0).and_then(|value| value.strip_suffix(ENCODED.1));
    let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(value), Cow::Owned)
}
