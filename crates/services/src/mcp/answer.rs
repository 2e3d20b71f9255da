//! The answers of the service. Each is one JSON object with a result or an error of JSON-RPC.

use bytes::Bytes;
use http::HeaderValue;
use rmcp::{
    ErrorData,
    model::{
        CacheScope, DiscoverResult, Implementation, InitializeResult, ListToolsResult, MetaObject, ProtocolVersion,
        ResultType, ServerCapabilities, Tool, ToolsCapability,
    },
};
use serde::Serialize;

use super::message::{LEGACY, McpRequest, ProtocolEra, Rejection, VERSIONS};
use crate::document::unstored;
use cursorgate_core::json::write;
use cursorgate_translate::downstream::Response;

/// The time for which a client may cache the list of tools, in milliseconds. The time is short because a reload can
/// change the tools.
const FRESH: u64 = 60_000;

/// The instructions for all tools, which models read.
const INSTRUCTIONS: &str = "Each `list_…` tool reads one list, in the list's order, and gives `nextCursor` while more \
    items follow: call it again with the same arguments and that string as `cursor`. Filters and sort stay the same \
    from page to page. `level` says what a page promises: with `exact` and `checked` a walk to the end has every item \
    once. Problems have a `code`, and a `detail` that says what to do.";

/// The end of a tool call.
pub(super) enum ToolEnd {
    /// A JSON object that the tool's output schema describes.
    Result(Vec<u8>),
    /// A problem as JSON, which the client's model reads.
    Fault(Vec<u8>),
}

fn server() -> Implementation {
    Implementation::new("cursorgate", env!("CARGO_PKG_VERSION"))
}

/// Returns the `_meta` of a result in the modern era, which contains the server's name and version.
fn identity() -> MetaObject {
    let mut meta = MetaObject::default();
    let server = serde_json::to_value(server()).unwrap_or_default();
    meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), server);
    meta
}

fn capabilities() -> ServerCapabilities {
    let mut capabilities = ServerCapabilities::default();
    capabilities.tools = Some(ToolsCapability::default());
    capabilities
}

/// Returns the answer to `initialize`. The answer has the version that the client asks for if that version is
/// supported, and otherwise the newest version of the legacy era.
///
/// # Errors
///
/// Returns a refusal if the request doesn't name a version.
pub(super) fn initialized(request: &McpRequest) -> Result<Response, Box<Rejection>> {
    let Some(asked) = request.text("protocolVersion") else {
        return Err(request.reject(200, ErrorData::invalid_params("initialize has no protocolVersion", None)));
    };
    let newest = ProtocolVersion::LATEST_WITH_INITIALIZE;
    // `initialize` doesn't exist in the modern version, so an answer to it must not name that version.
    // Test: `an_mcp_client_of_an_old_version_is_initialized_without_a_session`.
    let version = LEGACY.into_iter().find(|known| known.as_str() == asked).unwrap_or(newest);
    let result = InitializeResult::new(capabilities()).with_server_info(server());
    Ok(answer(request, &result.with_protocol_version(version).with_instructions(INSTRUCTIONS)))
}

/// Returns the answer to `server/discover`: the supported versions, the capabilities and the instructions.
pub(super) fn discovered(request: &McpRequest) -> Response {
    let mut result = DiscoverResult::new(VERSIONS.to_vec(), capabilities()).with_server_info(server());
    result.instructions = Some(INSTRUCTIONS.to_owned());
    result.ttl_ms = FRESH;
    answer(request, &result)
}

/// Returns the answer to `ping`, which is an empty object.
pub(super) fn pong(request: &McpRequest) -> Response {
    answer(request, &serde_json::Map::new())
}

/// Returns the answer to `tools/list`. `next` is the cursor of the next tools; `None` if there are no more.
pub(super) fn listed(request: &McpRequest, tools: Vec<Tool>, next: Option<String>) -> Response {
    let mut result = ListToolsResult::with_all_items(tools);
    result.next_cursor = next;
    match request.era {
        ProtocolEra::Legacy => result.result_type = None,
        ProtocolEra::Modern => {
            result.meta = Some(identity());
            // All clients of a host get the same tools, but a shared cache would also serve them to clients without
            // access. So the scope is private.
            result = result.with_ttl_ms(FRESH).with_cache_scope(CacheScope::Private);
        }
    }
    answer(request, &result)
}

/// Returns the answer to `tools/call`. The answer contains a result twice: as text for models, and as
/// `structuredContent` for programs. It contains a fault only as text.
pub(super) fn called(request: &McpRequest, end: &ToolEnd) -> Response {
    let (ToolEnd::Result(text) | ToolEnd::Fault(text)) = end;
    let mut result = b"{".to_vec();
    if request.era == ProtocolEra::Modern {
        result.extend_from_slice(b"\"resultType\":");
        write::push_text(&mut result, ResultType::COMPLETE.as_str());
        result.push(b',');
    }
    result.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":");
    // JSON is UTF-8, so the conversion doesn't replace any bytes.
    write::push_text(&mut result, &String::from_utf8_lossy(text));
    result.extend_from_slice(b"}],");
    match end {
        ToolEnd::Result(value) => {
            result.extend_from_slice(b"\"structuredContent\":");
            result.extend_from_slice(value);
            result.extend_from_slice(b",\"isError\":false");
        }
        // An error has no structured content: clients would validate it by the output schema, which a problem doesn't
        // match.
        ToolEnd::Fault(_) => result.extend_from_slice(b"\"isError\":true"),
    }
    if request.era == ProtocolEra::Modern {
        result.extend_from_slice(b",\"_meta\":");
        result.extend(json(&identity()));
    }
    result.push(b'}');
    response(200, message(Some(&request.id), b"result", &result))
}

/// Returns the answer to a refused message, which is a JSON-RPC error.
pub(super) fn refused(rejection: &Rejection) -> Response {
    response(rejection.status, message(rejection.id.as_ref(), b"error", &json(&rejection.error)))
}

/// Returns the answer to a notification, which is an empty 202.
pub(super) fn accepted() -> Response {
    Response::new(202, Vec::new())
}

fn answer(request: &McpRequest, result: &impl Serialize) -> Response {
    response(200, message(Some(&request.id), b"result", &json(result)))
}

/// Writes a JSON-RPC message. `id` is `None` in the answer to a message whose id is unknown. `member` is `result` or
/// `error`.
fn message(id: Option<&Bytes>, member: &[u8], value: &[u8]) -> Vec<u8> {
    let mut body = b"{\"jsonrpc\":\"2.0\",".to_vec();
    if let Some(id) = id {
        body.extend_from_slice(b"\"id\":");
        body.extend_from_slice(id);
        body.push(b',');
    }
    for part in [&b"\""[..], member, b"\":", value, b"}"] {
        body.extend_from_slice(part);
    }
    body
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Serializing strings, numbers and booleans as JSON never fails.
    serde_json::to_vec(value).unwrap_or_default()
}

fn response(status: u16, body: Vec<u8>) -> Response {
    unstored(status, HeaderValue::from_static("application/json"), body.into())
}
