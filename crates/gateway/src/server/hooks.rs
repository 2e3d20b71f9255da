//! Pingora's hooks ([`ProxyHttp`]). Most of the work is in other modules. `request_filter` answers every request, so
//! Pingora's own proxy path is never used.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderValue, header};
use opentelemetry::trace::SpanContext;
use pingora::{
    Error, ErrorType,
    http::RequestHeader,
    modules::http::HttpModules,
    protocols::http::ServerSession,
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};

use super::dispatch;
use crate::{
    forward::{self, relay::STREAM_SILENCE},
    outcome::{
        access_log::Outcome,
        trace::{self, RequestTrace, SpanQueue, TRACEPARENT, TRACESTATE},
    },
    request::identity,
    runtime::{
        clock,
        futures::{caught_now, seam},
    },
    session::{
        client_request,
        context::{Gateway, RequestContext, Surplus},
        observe,
    },
};

/// The longest time for one write to a client, unless `session::respond` measures the client's pace. A client that
/// doesn't read in this time loses its connection.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time for reading the rest of a body that isn't needed. If the rest takes longer, the connection isn't
/// reused.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time for which a client may send nothing within a body, except on WebSockets and event streams. After
/// that time, the request fails.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

#[async_trait]
impl ProxyHttp for Gateway {
    /// The context of a request. It is boxed, because Pingora's state of a connection contains it several times.
    type CTX = Box<RequestContext>;

    fn new_ctx(&self) -> Box<RequestContext> {
        let snapshot = self.live.pin();
        let outcome = Outcome::begin(self.ids.next(), Arc::clone(&snapshot.metrics));
        let held = snapshot.memory.share();
        let in_flight = self.vitals.enter();
        Box::new(RequestContext {
            snapshot,
            observation: None,
            cross_origin: None,
            explained: None,
            held,
            place: None,
            slot: None,
            outcome,
            surplus: Surplus::default(),
            _in_flight: in_flight,
        })
    }

    /// Adds no modules: Pingora's compression would examine every response, and `session::compress` does that work.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// Takes over the surplus flag of the connection. Pingora calls this method for every request, even the first,
    /// because `connection` sets the user context of each.
    fn on_connection_reuse(&self, _session: &mut Session, context: &mut Self::CTX, said: Box<dyn Any + Send + Sync>) {
        if let Ok(surplus) = said.downcast::<Surplus>() {
            context.surplus = *surplus;
        }
    }

    async fn early_request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> pingora::Result<()> {
        // WebSockets and event streams may be silent for long, so they have a longer timeout. Test:
        // `streams_live_as_long_as_bytes_arrive`.
        let silence = if forward::is_stream(session) { STREAM_SILENCE } else { READ_TIMEOUT };
        session.set_read_timeout(Some(silence));
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
        let head = session.req_header();
        // The query may contain secrets, so only the path is logged. Test: `each_request_has_one_line_without_secrets`.
        context.outcome.asked(&head.method, path_of(head));
        identify(session.as_downstream_mut(), context);
        begin_trace(self.vitals.spans(), session.as_downstream_mut(), context);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> pingora::Result<bool> {
        dispatch::answer(self, session, context).await?;
        Ok(true)
    }

    /// Returns an error. Pingora never calls this method, because `request_filter` answers every request.
    async fn upstream_peer(&self, _session: &mut Session, _: &mut Self::CTX) -> pingora::Result<Box<HttpPeer>> {
        Err(Error::explain(ErrorType::InternalError, "every request is answered by the gateway itself"))
    }

    /// Ends the connection, which shows the client that the answer is truncated. Everything that could be sent has
    /// already been sent.
    async fn fail_to_proxy(&self, _session: &mut Session, _error: &Error, context: &mut Self::CTX) -> FailToProxy {
        FailToProxy { error_code: context.outcome.status, can_reuse_downstream: false }
    }

    /// Returns the method and the id of a request for Pingora's log lines. Pingora's own summary contains the query, in
    /// which there may be secrets.
    fn request_summary(&self, session: &Session, context: &Self::CTX) -> String {
        format!("{} {}", session.req_header().method, context.outcome.request_id)
    }

    /// Returns `true`, so Pingora doesn't log the error. The access log has a line with the error of each request.
    fn suppress_error_log(&self, _session: &Session, _context: &Self::CTX, _error: &Error) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Self::CTX) {
        if let Some(head) = session.response_written() {
            context.outcome.status = head.status.as_u16();
        }
        context.outcome.bytes = session.body_bytes_sent();
        // A panic here happens after the answer was sent, so it is only recorded in the outcome. Test:
        // `a_panic_fails_one_request`.
        let ended = caught_now(|| {
            seam(&context.outcome.path, "logging");
            if let Some(mut explained) = context.explained.take() {
                explained.note("outcome", context.outcome.facts());
                explained.keep(&context.outcome.request_id, clock::unix_seconds());
            }
            if let Some(observation) = context.observation.take() {
                // A stopping process waits for the observation, which ends after its request.
                let in_flight = self.vitals.enter();
                observe::end(observation, &self.readers, in_flight, &mut context.outcome, error.is_none());
            }
        });
        if let Err(panic) = ended {
            (context.outcome.code, context.outcome.detail) = (Some("panicked"), Some(panic));
        }
    }
}

/// Records the address of the client, and takes over the id of the request if a trusted proxy sent one. Writes the id
/// into the head, which passes it to every upstream request.
fn identify(session: &mut ServerSession, context: &mut RequestContext) {
    let address = client_request::address(session);
    let RequestContext { snapshot, outcome, .. } = context;
    let trusts = |address| snapshot.trusts(address);
    let head = session.req_header_mut();
    outcome.addressed(head.headers.get(header::HOST).map(HeaderValue::as_bytes), head.version);
    outcome.client = Some(address);
    // Only a trusted proxy may name another client or an id. Test: `a_trusted_proxy_gives_the_id_and_names_the_client`.
    if trusts(address) {
        // A proxy may pass `X-Forwarded-For` on as a client wrote it, so the header counts only if
        // `server.forwarded_headers` lists it. Test: `headers_that_a_trusted_proxy_does_not_write_are_not_trusted`.
        let says_client = snapshot.server.forwarded_headers.contains(&identity::FORWARDED_FOR);
        let client = identity::forwarded_client(&head.headers, trusts).filter(|_| says_client);
        outcome.client = client.or(outcome.client);
        if let Some(id) = identity::given_id(&head.headers) {
            id.clone_into(&mut outcome.request_id);
        }
    }
    identity::write_id(head, &outcome.request_id);
}

/// Begins the trace of a request, or continues the trace of a trusted client. If `[traces]` isn't configured, the
/// headers of a trace pass to the upstream unchanged. Test: `without_the_table_a_trace_passes_as_it_came`.
fn begin_trace(spans: &Arc<SpanQueue>, session: &mut ServerSession, context: &mut RequestContext) {
    let is_trusted = context.snapshot.trusts(client_request::address(session));
    let head = session.req_header_mut();
    // If traces of other clients were continued, any client could decide which requests are sampled.
    let parent = trace::named_by(&head.headers).filter(|_| is_trusted);
    let outcome = &mut context.outcome;
    outcome.trace_id = parent.as_ref().map(SpanContext::trace_id);
    let Some(collector) = &context.snapshot.traces else { return };
    if parent.is_none() {
        // These headers belong to a trace that isn't continued, so they are removed.
        head.remove_header(&TRACEPARENT);
        head.remove_header(&TRACESTATE);
    }
    let trace = RequestTrace::begin(parent, &collector.sampler, spans, outcome.began());
    outcome.trace_id = Some(trace.id());
    outcome.trace = Some(Arc::new(trace));
}

/// Returns the path of a request's target, without the query.
fn path_of(head: &RequestHeader) -> &[u8] {
    let target = head.raw_path();
    target.iter().position(|byte| *byte == b'?').map_or(target, |end| &target[..end])
}

#[cfg(test)]
mod tests;
