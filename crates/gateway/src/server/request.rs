//! The way of one request through the server: from the session of its connection to the end of its outcome.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, header};
use opentelemetry::trace::SpanContext;
use pingora::{
    ErrorType,
    apps::{HttpPersistentSettings, ReusedHttpStream},
    http::RequestHeader,
    protocols::http::ServerSession,
    server::ShutdownWatch,
};

use super::{application::Application, dispatch};
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

impl Application for Gateway {
    async fn serve(
        self: &Arc<Self>,
        mut session: Box<ServerSession>,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // `connection` sets the user context of each session of HTTP/1.1.
        let surplus = session.take_connection_user_context().and_then(|said| said.downcast::<Surplus>().ok());
        parse_head(&mut session).await?;
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let mut context = self.context(surplus.map_or_else(Surplus::default, |surplus| *surplus));
        self.begin(&mut session, &mut context);
        let answered = dispatch::answer(self, &mut session, &mut context).await;
        self.end(&session, answered.is_ok(), &mut context);
        // The end of the connection shows the client that its answer is truncated. Everything that could be sent has
        // already been sent.
        answered.ok()?;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

/// Lets Pingora parse the head of a request. Returns `None` if the connection ends without an answer of the gateway.
async fn parse_head(session: &mut ServerSession) -> Option<()> {
    match session.read_request().await {
        Ok(has_request) => has_request.then_some(()),
        Err(error) => {
            // `connection` has already refused the heads that Pingora can't parse. Test:
            // `accepted_heads_are_parsed_by_pingora`.
            if matches!(error.etype(), ErrorType::InvalidHTTPHeader) {
                let _ = session.respond_error(400).await;
            }
            session.shutdown().await;
            None
        }
    }
}

impl Gateway {
    /// Creates the context of a request, under the configuration in force.
    fn context(&self, surplus: Surplus) -> RequestContext {
        let snapshot = self.live.pin();
        let outcome = Outcome::begin(self.ids.next(), Arc::clone(&snapshot.metrics));
        let held = snapshot.memory.share();
        RequestContext {
            snapshot,
            observation: None,
            cross_origin: None,
            explained: None,
            held,
            place: None,
            slot: None,
            outcome,
            surplus,
            _in_flight: self.vitals.enter(),
        }
    }

    /// Sets the time limits of a session, and records what its request is and whose.
    fn begin(&self, session: &mut ServerSession, context: &mut RequestContext) {
        // WebSockets and event streams may be silent for long, so they have a longer timeout. Test:
        // `streams_live_as_long_as_bytes_arrive`.
        let silence = if forward::is_stream(session) { STREAM_SILENCE } else { READ_TIMEOUT };
        session.set_read_timeout(Some(silence));
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
        let head = session.req_header();
        // The query may contain secrets, so only the path is logged. Test: `each_request_has_one_line_without_secrets`.
        context.outcome.asked(&head.method, path_of(head));
        identify(session, context);
        begin_trace(self.vitals.spans(), session, context);
    }

    /// Records the answer of a request. `is_whole` is `false` if the answer broke off.
    fn end(&self, session: &ServerSession, is_whole: bool, context: &mut RequestContext) {
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
                observe::end(observation, &self.readers, in_flight, &mut context.outcome, is_whole);
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
