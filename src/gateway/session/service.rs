//! Services above the gateway, as the dispatch of requests sees them.

use std::{
    fmt::{self, Debug},
    io,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, StatusCode};
use pingora::{http::RequestHeader, protocols::http::ServerSession, proxy::Session};

use super::client_request::Client;
use crate::{
    downstream::Response,
    gateway::{
        lifecycle::snapshot::Snapshot,
        outcome::{access_log::Outcome, failure::Failure},
        routes::route::Route,
    },
    upstream::net::memory::MemoryShare,
};

/// The header by which an inner request chooses a convention of services. No client chooses by it: services remove that of
/// their own request, and other requests are not asked for it.
pub(crate) const FORM: HeaderName = HeaderName::from_static("cursorgate-form");

/// A service that answers requests in place of a route. Its requests are logged, counted and traced like all others.
#[async_trait]
pub(crate) trait Service: Send + Sync {
    /// Returns whether the service answers this request. Every request is asked about, so that this costs next to nothing.
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool;

    /// Returns the route whose cross-origin policy holds for the answer to a request that the service takes; by default none,
    /// so that scripts of other origins can't read it.
    fn policy(&self, _snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<Route>> {
        None
    }

    /// Returns the name of the service in logs and metrics.
    fn name(&self) -> &'static str;

    /// Answers a request that the service takes, whose head is checked and whose headers are sifted; returns `None` if the
    /// client has gone.
    ///
    /// # Errors
    ///
    /// Returns the failure that the client gets as a problem.
    async fn answer(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        seen: (&MemoryShare, &mut Outcome),
    ) -> Result<Option<ServiceAnswer>, Failure>;
}

/// The reason that a report is refused: the status, and a text with the remedy.
pub(crate) type ReportRefusal = (StatusCode, &'static str);

/// A file of a page for operators: its path, its content type and its text.
pub(crate) type OperatorFile = (&'static str, &'static str, &'static str);

/// Reports of a service for operators, at the admin listener, which checks who asks.
#[async_trait]
pub(crate) trait ServiceReport: Send + Sync {
    /// Returns the files of a page for operators, the page itself first; by default none.
    fn files(&self) -> &'static [OperatorFile] {
        &[]
    }

    /// Returns the paths of reports that are read.
    fn reads(&self) -> &'static [&'static str];

    /// Returns the paths that change something.
    fn changes(&self) -> &'static [&'static str];

    /// Returns a report as JSON, for one of the first paths.
    ///
    /// # Errors
    ///
    /// Returns the reason that there is none.
    async fn read(&self, path: &str, query: Option<&str>) -> Result<String, ReportRefusal>;

    /// Changes what a body says, for one of the other paths, and returns the result as JSON.
    ///
    /// # Errors
    ///
    /// Returns the reason that nothing is changed.
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

/// Returns whether a request is for exactly this path, with any query.
#[cfg_attr(not(feature = "services"), expect(dead_code, reason = "services alone have paths"))]
pub(crate) fn is_for(head: &RequestHeader, path: &str) -> bool {
    head.raw_path().split(|byte| *byte == b'?').next() == Some(path.as_bytes())
}

/// The answer of a service.
#[cfg_attr(not(feature = "services"), expect(dead_code, reason = "services alone answer so"))]
pub(crate) enum ServiceAnswer {
    Whole(Response),
    /// Boxed, because every request has room for it.
    Streamed(Box<StreamedResponse>),
    Lasting(Box<LastingResponse>),
}

/// A response whose body comes in parts.
pub(crate) struct StreamedResponse {
    /// The response without a body. Its headers have the length of the whole body.
    pub head: Response,
    pub body: Box<dyn BodySource>,
}

/// A body that is too long to be held in memory.
#[async_trait]
pub(crate) trait BodySource: Send {
    /// Returns the next part, which is not empty; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>>;
}

/// A response that goes on until one of both sides ends it.
pub(crate) struct LastingResponse {
    /// The response without a body and without a length.
    pub head: Response,
    pub conversation: Box<dyn Conversation>,
}

/// The exchange of bytes after the head of a lasting response.
#[async_trait]
pub(crate) trait Conversation: Send {
    /// Goes on until one of both sides ends it, and records how in `outcome`. It watches the client, and ends soon after the
    /// process closes.
    async fn hold(self: Box<Self>, session: &mut Session, held: &MemoryShare, outcome: &mut Outcome);
}
