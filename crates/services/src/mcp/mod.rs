//! Tools for agents, by the Model Context Protocol (<https://modelcontextprotocol.io/specification/2026-07-28>) over
//! streamable HTTP.
//!
//! Each request is answered independently, with one JSON object. There are no sessions: the newest version of the
//! protocol doesn't have them, and in earlier versions they are optional. No tool needs a session, because a cursor
//! contains its position. A tool that reads a list sends one inner request with its client's own headers
//! (`services::list_page`). A tool that exports a list sends a request to `services::exports`. So rights, limits, logs
//! and proofs are the same as for a request that the client sends itself.
//!
//! `message` reads requests, and `arguments` reads the arguments of calls. `tools`, `tool_list` and `schema` describe
//! the tools. `result` writes the results of calls, and `answer` writes the messages that contain the results.

mod answer;
mod arguments;
mod message;
mod result;
mod schema;
mod tool_list;
mod tools;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use rmcp::{
    ErrorData,
    model::{
        CallToolRequestMethod, ConstString as _, DiscoverRequestMethod, ErrorCode, InitializeResultMethod,
        ListToolsRequestMethod, PingRequestMethod,
    },
};

use self::{
    answer::ToolEnd,
    arguments::ExportAsk,
    message::{McpMessage, McpRequest, ProtocolEra, Rejection},
    result::{BoundedPage, ToolFault},
    tools::{McpTool, ToolKind, ToolSet},
};
use super::{
    caller::Caller,
    inner::InnerGateway,
    list_page::{InnerCall, ListReader, PageQuery},
    per_snapshot::PerSnapshot,
};
use cursorgate_config::settings::McpSettings;
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    request::target,
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        service::{Service, ServiceAnswer, is_for},
    },
};
use cursorgate_translate::downstream::{
    Code, CorsPolicy, Problem, Response, request::preference::MediaRange, response::cors,
};

/// The largest size of a call's page, as a multiple of the largest result. A larger page isn't kept, and the call
/// fails. The page can be larger than the result, because it contains items that the result leaves out, and a cursor
/// for each item.
const ROOM: usize = 16;

/// The limit for the size of a call's page, in bytes, if [`ROOM`] would give a lower limit.
const LEAST_ROOM: usize = 4 << 20;

/// Headers that concern only the message, so inner requests don't inherit them. This matters for caching: an unknown
/// header could be a credential, so pages of a request with an unknown header are never cached for anonymous clients.
const OF_MESSAGES: [HeaderName; 8] = [
    header::ACCEPT,
    header::ORIGIN,
    message::METHOD,
    message::NAME,
    message::PROTOCOL_VERSION,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("prefer"),
];

/// The prefix of headers that repeat arguments of the call. Inner requests don't inherit these headers.
const OF_ARGUMENTS: &str = "mcp-param-";

/// Pairs of an inner request's parameter and the tools' argument for it.
const RENAMED: &[(&str, &str)] = &[("first", tool_list::LIMIT), ("after", tool_list::CURSOR)];

pub(super) struct Mcp {
    inner: Arc<InnerGateway>,
    /// True if `inner` answers requests for exports.
    exports: bool,
    tools: PerSnapshot<ToolSet>,
}

/// A call of a tool, with everything that it needs to run.
struct ToolCall {
    tool: Arc<McpTool>,
    /// The arguments as JSON; `None` if the call has none.
    arguments: Option<Bytes>,
    /// The largest number of bytes that the items of the result may have together. Further items are left out.
    most: usize,
    reader: ListReader,
}

/// The reason that a request has no result.
enum McpRefusal {
    /// The answer is a JSON-RPC error.
    Rejected(Box<Rejection>),
    /// The answer is a problem of the gateway.
    Failed(Failure),
}

impl From<Box<Rejection>> for McpRefusal {
    fn from(rejection: Box<Rejection>) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Failure> for McpRefusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Box<Problem>> for McpRefusal {
    fn from(problem: Box<Problem>) -> Self {
        Self::Failed(problem.into())
    }
}

#[async_trait]
impl Service for Mcp {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        snapshot.services.mcp.as_ref().is_some_and(|settings| is_for(head, &settings.path))
    }

    fn policy(&self, snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        snapshot.service_policies.of_tools.clone()
    }

    fn name(&self) -> &'static str {
        "mcp"
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        _client: &Client,
        snapshot: &Arc<Snapshot>,
        held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        // This doesn't happen: `takes` accepts a request only if this snapshot has the settings.
        let Some(settings) = &snapshot.services.mcp else { return Ok(None) };
        let head = session.req_header();
        // The origin of every request is checked, even if the request is then refused because of its method.
        // Test: `requests_over_http_are_checked`.
        check_origin(&head.headers, settings)?;
        if head.method != Method::POST {
            return Ok(Some(ServiceAnswer::Whole(without_stream())));
        }
        if let Some(refused) = check_accept(&head.headers) {
            return Ok(Some(ServiceAnswer::Whole(answer::refused(&refused))));
        }
        let limits = BodyLimits { size: settings.size, depth: message::DEPTH, time: settings.timeout };
        let body = body::receive(session, limits, held).await?;
        let answered = match message::read(body, &session.req_header().headers) {
            Ok(McpMessage::Notification) => Ok(Some(answer::accepted())),
            Ok(McpMessage::Request(request)) => self.serve(session, &request, snapshot, settings, outcome).await,
            Err(rejection) => Err(rejection.into()),
        };
        let response = match answered {
            Ok(response) => response,
            Err(McpRefusal::Rejected(rejection)) => {
                outcome.detail = Some(rejection.error.message.to_string());
                Some(answer::refused(&rejection))
            }
            Err(McpRefusal::Failed(failure)) => return Err(failure),
        };
        // The answer is sent even if `server.memory` is used up in the meantime.
        let _ = held.take(response.as_ref().map_or(0, |response| response.body.len()));
        Ok(response.map(ServiceAnswer::Whole))
    }
}

impl Mcp {
    /// Creates the service. `exports` is `true` if `inner` answers requests for exports.
    pub(super) fn new(inner: Arc<InnerGateway>, exports: bool) -> Self {
        Self { inner, exports, tools: PerSnapshot::default() }
    }

    fn tools(&self, snapshot: &Arc<Snapshot>, settings: &McpSettings) -> Result<Arc<ToolSet>, Failure> {
        // A reload can turn exports off, but can't turn them on if the process began without them.
        let exports = self.exports && snapshot.services.exports.is_some();
        self.tools.get(snapshot, || Ok(ToolSet::new(snapshot, settings.items, exports)))
    }

    /// Answers a request. Returns `None` if the client has gone.
    async fn serve(
        &self,
        session: &mut ServerSession,
        request: &McpRequest,
        snapshot: &Arc<Snapshot>,
        settings: &McpSettings,
        outcome: &mut Outcome,
    ) -> Result<Option<Response>, McpRefusal> {
        let is_legacy = request.era == ProtocolEra::Legacy;
        let method = request.method.as_str();
        // The eras have different methods: `initialize` and `ping` don't exist in the modern era.
        // Test: `an_mcp_client_of_the_new_version_needs_no_initialization`.
        if method == InitializeResultMethod::VALUE && is_legacy {
            return Ok(Some(answer::initialized(request)?));
        }
        if method == PingRequestMethod::VALUE && is_legacy {
            return Ok(Some(answer::pong(request)));
        }
        if method == DiscoverRequestMethod::VALUE && !is_legacy {
            return Ok(Some(answer::discovered(request)));
        }
        if method == ListToolsRequestMethod::VALUE {
            let tools = self.tools(snapshot, settings)?;
            let target = target::read(session.req_header())?;
            return Ok(Some(list(request, &tools, snapshot, target.host.as_deref())?));
        }
        if method == CallToolRequestMethod::VALUE {
            return self.call(session, request, snapshot, settings, outcome).await;
        }
        let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "there is no such method here", None);
        // Clients of the legacy era expect errors with status 200. In the modern era, an unknown method has status 404.
        // Test: `an_mcp_client_of_the_new_version_needs_no_initialization`.
        Err(request.reject(if is_legacy { 200 } else { 404 }, error).into())
    }

    /// Calls a tool. Returns `None` if the client has gone.
    async fn call(
        &self,
        session: &mut ServerSession,
        request: &McpRequest,
        snapshot: &Arc<Snapshot>,
        settings: &McpSettings,
        outcome: &mut Outcome,
    ) -> Result<Option<Response>, McpRefusal> {
        let tools = self.tools(snapshot, settings)?;
        let target = target::read(session.req_header())?;
        let name = request.text("name").unwrap_or_default();
        // A tool for the lists of another host is unknown at this host.
        // Test: `mcp_tools_are_limited_to_the_lists_of_the_requested_host`.
        let Some(tool) = tools.find(snapshot, target.host.as_deref(), &name).cloned() else {
            let shown: String = name.chars().take(100).collect();
            return Err(request.reject(200, ErrorData::invalid_params(format!("Unknown tool: {shown}"), None)).into());
        };
        let caller = caller(session, target.authority.as_deref(), outcome);
        let gateway = Arc::clone(self.inner.gateway());
        let work = |wanted| {
            let reader = ListReader {
                gateway,
                snapshot: Arc::clone(snapshot),
                caller,
                timeout: settings.timeout,
                room: settings.result_size.saturating_mul(ROOM).max(LEAST_ROOM).into(),
                held: snapshot.memory.share(),
                wanted,
                renamed: RENAMED,
            };
            let arguments = request.param("arguments");
            let call = ToolCall { tool, arguments, most: settings.result_size, reader };
            async move { call.run().await }
        };
        let Some((end, summary)) = self.inner.run(session, work).await? else { return Ok(None) };
        outcome.detail = Some(summary);
        Ok(Some(answer::called(request, &end)))
    }
}

impl ToolCall {
    /// Runs the tool. Returns the result, and a line for the log such as `list_users: items: 20`.
    async fn run(&self) -> (ToolEnd, String) {
        let name = &self.tool.definition.name;
        let ended = match self.tool.kind {
            ToolKind::List => self.page().await.map(|BoundedPage { json, items }| (json, format!("items: {items}"))),
            ToolKind::Export => self.export().await.map(|json| (json, "an export".to_owned())),
        };
        match ended {
            Ok((json, what)) => (ToolEnd::Result(json), format!("{name}: {what}")),
            Err(fault) => (ToolEnd::Fault(fault.json()), format!("{name}: {}", fault.code())),
        }
    }

    async fn page(&self) -> Result<BoundedPage, ToolFault> {
        let query = arguments::read_page(&self.tool, self.arguments.as_ref())?;
        let page = self.reader.page(&self.tool.list.route, &query).await?;
        result::of_page(&page, self.most)
    }

    /// Begins an export, or reads the state of an export, by a request to `services::exports`.
    async fn export(&self) -> Result<Vec<u8>, ToolFault> {
        let (query, method, below, headers, body) = match arguments::read_export(&self.tool, self.arguments.as_ref())? {
            ExportAsk::Begin(query, body) => {
                let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                (query, Method::POST, "/exports".to_owned(), vec![json], body)
            }
            ExportAsk::State(query, id) => (query, Method::GET, format!("/exports/{id}"), Vec::new(), Bytes::new()),
        };
        let query: &PageQuery = &query;
        let call = InnerCall { route: &self.tool.list.route, query, method, below: &below, headers, body };
        match self.reader.ask(call).await? {
            (200 | 202, _, body) => Ok(body.into()),
            (status, headers, body) => Err(self.reader.refusal(status, &headers, &body).into()),
        }
    }
}

/// Answers `tools/list`. The cursor is the name of the last tool in the previous answer.
fn list(
    request: &McpRequest,
    tools: &ToolSet,
    snapshot: &Snapshot,
    host: Option<&str>,
) -> Result<Response, Box<Rejection>> {
    let invalid =
        || request.reject(200, ErrorData::invalid_params("the cursor does not belong to this list of tools", None));
    let cursor = request.param("cursor").filter(|cursor| **cursor != *b"null");
    let after = cursor.map(|cursor| message::text(&cursor).ok_or_else(invalid)).transpose()?;
    let (page, next) = tools.page(snapshot, host, after.as_deref()).ok_or_else(invalid)?;
    Ok(answer::listed(request, page, next))
}

/// Refuses scripts whose origins the configuration doesn't list, even an origin of this host: by DNS rebinding, a
/// malicious page can reach this host with the rights of the page's reader. Test: `requests_over_http_are_checked`.
fn check_origin(headers: &HeaderMap, settings: &McpSettings) -> Result<(), Box<Problem>> {
    if !headers.contains_key(header::ORIGIN) {
        // Browsers always send `Origin` with a script's POST, so a client without it isn't a script in a browser.
        return Ok(());
    }
    let origin = cors::origin(headers).and_then(|origin| origin.to_str().ok());
    if origin.is_some_and(|origin| settings.origins.iter().any(|known| known == origin)) {
        return Ok(());
    }
    let detail = "scripts of this origin may not use the tools: add it to services.mcp.origins";
    Err(Box::new(Problem::new(Code::OriginRefused, detail)))
}

/// Refuses clients that don't accept JSON; `None` for other clients. The protocol also requires clients to accept event
/// streams, but this isn't checked, because the gateway never sends them.
fn check_accept(headers: &HeaderMap) -> Option<Rejection> {
    let takes = |range: &MediaRange| {
        range.weight > 0 && matches!(range.essence.as_str(), "application/json" | "application/*" | "*/*")
    };
    // A request without `Accept` accepts any type (RFC 9110 section 12.5.1).
    if !headers.contains_key(header::ACCEPT) || MediaRange::all(headers).iter().any(takes) {
        return None;
    }
    let detail = "answers are JSON: send Accept: application/json, text/event-stream";
    Some(Rejection { status: 406, id: None, error: ErrorData::invalid_request(detail, None) })
}

/// Returns 405, the answer to every method except POST. In the protocol, a GET asks for a stream, and a DELETE ends a
/// session. The gateway has neither streams nor sessions.
fn without_stream() -> Response {
    let mut response = Response::new(405, Vec::new());
    response.headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    response.headers.insert(header::CONTENT_LENGTH, 0.into());
    response
}

/// Returns the client of a call for inner requests, without the headers that concern only the message.
fn caller(session: &ServerSession, authority: Option<&str>, outcome: &Outcome) -> Caller {
    let mut caller = Caller::of(session, outcome.client);
    // The headers of the protocol must not reach the upstream.
    // Test: `headers_of_mcp_are_not_forwarded_to_the_upstream`.
    for name in OF_MESSAGES {
        caller.headers.remove(name);
    }
    let of_arguments: Vec<HeaderName> =
        caller.headers.keys().filter(|name| name.as_str().starts_with(OF_ARGUMENTS)).cloned().collect();
    for name in of_arguments {
        caller.headers.remove(name);
    }
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        caller.headers.insert(header::HOST, host);
    }
    caller
}
