//! Pingora's hooks, each a line or two: what they do stands in the modules they name.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::{
    Error,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    protocols::Digest,
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};

use super::{Context, Gateway, access_log::Outcome, answer, forward, observe};

/// How long one write to a client may take: a client that reads nothing gives its connection back.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a body that nobody wants is read, so that the connection can be used on.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may be silent within a body.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The same, on connections made to be silent.
const STREAM_READ_TIMEOUT: Duration = Duration::from_secs(3_600);

#[async_trait]
impl ProxyHttp for Gateway {
    /// Boxed, as Pingora's own state of a connection holds it several times over.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        let snapshot = self.live.pin();
        let outcome = Outcome::begin(self.ids.next(), Arc::clone(&snapshot.metrics));
        let held = snapshot.memory.share();
        Box::new(Context {
            snapshot,
            forwarded: None,
            observation: None,
            crossing: None,
            held,
            slot: None,
            outcome,
            _in_flight: self.vitals.enter(),
        })
    }

    /// Pingora's compression module would look at every response; nothing is compressed here.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> pingora::Result<()> {
        let silence = if forward::is_stream(session) { STREAM_READ_TIMEOUT } else { READ_TIMEOUT };
        session.set_read_timeout(Some(silence));
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
        // Zero is for ever, and what Pingora takes where the client says nothing; a connection that is to be closed has none.
        let idle = context.snapshot.server.idle_timeout.as_secs();
        if session.get_keepalive().is_some_and(|seconds| seconds == 0 || seconds > idle) {
            session.set_keepalive(Some(idle));
        }
        let head = session.req_header();
        context.outcome.asked(&head.method, path_of(head));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> pingora::Result<bool> {
        answer::answer(self, session, context).await
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Self::CTX) -> pingora::Result<Box<HttpPeer>> {
        context.outcome.upstream_requests += 1;
        forward::peer(session, context).await
    }

    /// Nothing was sent yet, so another peer may be tried, whatever the method.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        context: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        forward::connected(peer, Some(&error), context);
        error.set_retry(true);
        error
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        peer: &HttpPeer,
        _descriptor: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        context: &mut Self::CTX,
    ) -> pingora::Result<()> {
        if !reused {
            forward::connected(peer, None, context);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        upstream_request: &mut RequestHeader,
        context: &mut Self::CTX,
    ) -> pingora::Result<()> {
        forward::request(upstream_request, context)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        upstream_response: &mut ResponseHeader,
        context: &mut Self::CTX,
    ) -> pingora::Result<()> {
        // As with answers of its own, and not before it is known: the process may be told to stop while the upstream works.
        if self.vitals.is_stopping() {
            session.set_keepalive(None);
        }
        observe::begin(&self.readers, session.req_header(), upstream_response, context);
        forward::response(session, upstream_response, context)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut Self::CTX,
    ) -> pingora::Result<Option<Duration>> {
        if let (Some(observation), Some(bytes)) = (&mut context.observation, body) {
            observation.push(bytes);
        }
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Self::CTX) -> FailToProxy {
        forward::fail(session, error, context).await
    }

    /// Pingora's own summary holds the query.
    fn request_summary(&self, session: &Session, context: &Self::CTX) -> String {
        format!("{} {}", session.req_header().method, context.outcome.request_id)
    }

    /// The access log has a line for each request, with what went wrong.
    fn suppress_error_log(&self, _session: &Session, _context: &Self::CTX, _error: &Error) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Self::CTX) {
        if let Some(head) = session.response_written() {
            context.outcome.status = head.status.as_u16();
        }
        context.outcome.bytes = session.body_bytes_sent();
        observe::end(self, context, error.is_none());
    }
}

/// The path of a request's target, without its query.
fn path_of(head: &RequestHeader) -> &[u8] {
    let target = head.raw_path();
    target.iter().position(|byte| *byte == b'?').map_or(target, |end| &target[..end])
}
