//! The interface of services. The gateway doesn't import the services: dispatch uses only the trait [`Service`], and
//! the admin listener uses only [`ServiceReport`].

use std::{
    fmt::{self, Debug},
    io,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header::ACCESS_CONTROL_REQUEST_METHOD};
use pingora::{http::RequestHeader, protocols::http::ServerSession};

use super::client_request::Client;
use crate::{
    lifecycle::snapshot::Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
};
use cursorgate_translate::downstream::{CorsPolicy, Response, response::cors};

/// The header by which an inner request chooses a convention that only services have. Clients can't use this header:
/// services remove it from the client's request, and the outer gateway doesn't read it.
pub const FORM: HeaderName = HeaderName::from_static("cursorgate-form");

/// Why a request for a page is sent. It decides in which limits of its client the request counts. All requests count in
/// the limits that protect routes and upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCause {
    /// The client waits for the page.
    Request,
    /// The client has asked for work that goes on without it, such as an export. The request counts in rate limits, but
    /// takes no place among the concurrent requests of the client, because it would take it for as long as the work.
    Job,
    /// No client has asked for this page: a further poll of a live page, or a watch.
    Renewal,
}

impl PageCause {
    /// Returns the first word of [`FORM`] for an inner request. It names no convention, so the page has the client's.
    #[must_use]
    pub const fn form(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Job => "job",
            Self::Renewal => "renewal",
        }
    }
}

/// A service that answers requests in place of a route. These requests are logged, counted and traced like all other
/// requests.
#[async_trait]
pub trait Service: Send + Sync {
    /// Returns whether the service answers this request. A preflight is taken like the request that it is for. This
    /// method is called for every request, so it must be cheap.
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool;

    /// Returns the cross-origin policy that applies to the answer to this request, and to its preflight; `None` if
    /// scripts of other origins can't read the answer.
    fn policy(&self, snapshot: &Snapshot, head: &RequestHeader) -> Option<Arc<CorsPolicy>>;

    /// Returns the name of the service in logs and metrics.
    fn name(&self) -> &'static str;

    /// Answers a request that the service takes; returns `None` if the client has left. The head has already been
    /// checked. Headers about the request's origin have been removed unless a trusted proxy wrote them.
    ///
    /// # Errors
    ///
    /// Returns the failure that the client gets as a problem.
    async fn answer(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure>;
}

/// The receiver of events that upstreams emit by a header of their answers.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Raises the events of an answer. `values` are those of its header, and `route` is the name of its route.
    async fn raise(&self, snapshot: &Snapshot, route: &str, values: &[HeaderValue]);
}

impl Debug for dyn EventSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EventSink")
    }
}

/// The refusal of a request for a report: the status, and a message with the remedy.
pub type ReportRefusal = (StatusCode, &'static str);

/// A file of a web page for operators: its path, its content type and its content.
pub type OperatorFile = (&'static str, &'static str, &'static str);

/// Reports of a service for operators, at the admin listener, which checks access before it calls these methods.
#[async_trait]
pub trait ServiceReport: Send + Sync {
    /// Returns the files of a web page for operators, the page itself first. By default, a service doesn't have a page.
    fn files(&self) -> &'static [OperatorFile] {
        &[]
    }

    /// Returns the paths of GET requests, which are answered with reports and change nothing.
    fn reads(&self) -> &'static [&'static str];

    /// Returns the paths of POST requests, which change something.
    fn changes(&self) -> &'static [&'static str];

    /// Returns a report as JSON. `path` is one of [`reads`](Self::reads).
    ///
    /// # Errors
    ///
    /// Returns the refusal if there is no report, for example because the query is invalid.
    async fn read(&self, path: &str, query: Option<&str>) -> Result<String, ReportRefusal>;

    /// Makes the change that `body` describes, and returns the result as JSON. `path` is one of
    /// [`changes`](Self::changes).
    ///
    /// # Errors
    ///
    /// Returns the refusal if the change isn't made, for example because the body is invalid.
    async fn change(&self, path: &str, body: &[u8]) -> Result<String, ReportRefusal>;
}

impl Debug for dyn ServiceReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.reads()).finish()
    }
}

impl Debug for dyn Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Returns the method of a request, or of the request that a preflight is for; `None` if that method can't be read.
pub fn intended_method(head: &RequestHeader) -> Option<Method> {
    if !cors::is_preflight(&head.method, &head.headers) {
        return Some(head.method.clone());
    }
    Method::from_bytes(head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

/// Returns whether a request is for exactly this path, with any query.
pub fn is_for(head: &RequestHeader, path: &str) -> bool {
    head.raw_path().split(|byte| *byte == b'?').next() == Some(path.as_bytes())
}

pub enum ServiceAnswer {
    Whole(Response),
    /// The response is boxed, because every request reserves memory for this enum.
    Streamed(Box<StreamedResponse>),
    Lasting(Box<LastingResponse>),
}

/// A response whose body is produced in parts.
pub struct StreamedResponse {
    /// The response without a body. Its headers state the length of the whole body, if it is known.
    pub head: Response,
    pub body: Box<dyn BodySource>,
}

/// The source of a body that is too long to be held in memory.
#[async_trait]
pub trait BodySource: Send {
    /// Returns the next part, which is not empty; `None` at the end of the body.
    ///
    /// # Errors
    ///
    /// Returns an error if the body breaks off.
    async fn next(&mut self) -> io::Result<Option<Bytes>>;
}

/// A response that lasts until either side ends it, such as a stream of events or a WebSocket.
pub struct LastingResponse {
    /// The response without a body and without a length.
    pub head: Response,
    pub conversation: Box<dyn Conversation>,
}

/// The exchange of bytes after the head of a lasting response.
#[async_trait]
pub trait Conversation: Send {
    /// Runs until either side ends the conversation, and records the way in which it ended in `outcome`. Detects that
    /// the client leaves, and ends soon after the process has begun to close.
    async fn hold(self: Box<Self>, session: &mut ServerSession, held: &MemoryShare, outcome: &mut Outcome);
}
