//! Forwarded requests, which the upstream answers itself: other methods, routes without a list, uploads, WebSockets,
//! event streams, and legacy requests that pass through.

pub mod links;
pub mod passing;
pub mod patience;
pub mod relay;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora::{Error, ErrorType, http::RequestHeader, protocols::http::ServerSession};

use super::{
    outcome::{
        failure::Failure,
        trace::{Phase, TRACEPARENT},
        upstream_call::{CallKind, CallTarget, UpstreamCall},
    },
    runtime::{
        clock,
        futures::{caught, seam},
    },
    session::{
        context::{Forwarded, Gateway, RequestContext},
        respond,
    },
};
use crate::net::{error::FetchError, fetch::AskedPeer, peers::retry::Flaw};
use cursorgate_translate::{
    downstream::{Code, Problem},
    upstream::request::headers,
};
use links::AnswerLinks;
use passing::{PassedAnswer, Retries};
use relay::RelayFault;
use relay::relay;
use relay::repeats;
use relay::takes_events;

/// The room for the headers that a request gets of its own: `Host`, a content coding, and those of an upgrade or chunks.
const ROOM: usize = 4;

/// Returns whether a request is for a WebSocket or an event stream. Connections of both kinds may be silent for an
/// hour.
pub fn is_stream(session: &ServerSession) -> bool {
    is_web_socket(session) || takes_events(&session.req_header().headers)
}

/// Returns whether a request upgrades to WebSocket (RFC 6455 section 4.1), the only protocol to which the gateway
/// forwards an upgrade.
fn is_web_socket(session: &ServerSession) -> bool {
    let says = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    session.is_upgrade_req() && session.req_header().headers.get_all(header::UPGRADE).iter().any(says)
}

/// Sends a request to the upstream and relays its answer.
///
/// # Errors
///
/// Returns an error if the exchange failed after the answer had begun, or if the client has gone or has stopped
/// reading. The caller must then close the connection.
pub async fn forward(
    gateway: &Gateway,
    session: &mut ServerSession,
    forwarded: &Forwarded,
    context: &mut RequestContext,
) -> pingora::Result<()> {
    context.outcome.forwarded = true;
    let passed = {
        let passing = pin!(pass_recorded(gateway, session, forwarded, context));
        caught(passing).await
    };
    let broken = match passed {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(broken)) => broken,
        Err(panic) => {
            context.outcome.detail = Some(panic);
            return fail(session, Some(Problem::new(Code::Internal, PANICKED)), "panicked", context).await;
        }
    };
    let (problem, word) = match broken {
        RelayFault::Upstream(error) => {
            let word = if let FetchError::Timeout(_) = error { "upstream_timeout" } else { "upstream_truncated" };
            let Failure::Refused { problem, detail } = error.into() else { return Ok(()) };
            context.outcome.detail = detail;
            (Some(*problem), word)
        }
        RelayFault::Body(said) => (Some(Problem::new(Code::BodyInvalid, said)), "body_invalid"),
        RelayFault::Head(error) => {
            // Pingora's text quotes the header that can't be written, and the header may be secret. The log gets only
            // the kind of the error.
            context.outcome.detail = Some(error.etype().as_str().to_owned());
            (Some(Problem::new(Code::RequestInvalid, "the request's headers can't be forwarded")), "internal")
        }
        // Not reached: `pass` makes every retry itself.
        RelayFault::Again(_) => return Ok(()),
        RelayFault::Gone => (None, "client_gone"),
        RelayFault::Stalled => (None, "client_stalled"),
    };
    fail(session, problem, word, context).await
}

const PANICKED: &str = "the gateway failed: report the request id";

/// Sends `problem`, if there is one and no answer has begun. Otherwise logs `word` and returns an error, which closes
/// the connection.
async fn fail(
    session: &mut ServerSession,
    problem: Option<Problem>,
    word: &'static str,
    context: &mut RequestContext,
) -> pingora::Result<()> {
    session.set_keepalive(None);
    // After a switch of protocols, bytes on the connection belong to the new protocol, so no problem can be sent.
    let begun = session.response_written().is_some_and(|head| head.status == 101 || !head.status.is_informational());
    let Some(problem) = problem.filter(|_| !begun) else {
        context.outcome.code = Some(word);
        return Err(Error::explain(ErrorType::ConnectionClosed, word));
    };
    let RequestContext { snapshot, outcome, cross_origin, held, .. } = context;
    let mut response = respond::refuse(&problem, None, snapshot, outcome);
    respond::share(&mut response.headers, cross_origin.as_ref(), outcome);
    let (compression, subject) = (&snapshot.server.compression, snapshot.server.client_subject.as_ref());
    respond::write(session, response, compression, subject, held, outcome).await;
    Ok(())
}

/// Forwards a request, and records it as one call of the upstream.
async fn pass_recorded(
    gateway: &Gateway,
    session: &mut ServerSession,
    forwarded: &Forwarded,
    context: &mut RequestContext,
) -> Result<(), RelayFault> {
    let upstream = &forwarded.found.route.upstream;
    let (request_id, path) = (context.outcome.request_id.clone(), context.outcome.path.clone());
    let (peer, method) = (AskedPeer::default(), session.req_header().method.clone());
    let target = CallTarget {
        request_id: &request_id,
        upstream: &upstream.name,
        metrics: &upstream.metrics,
        kind: CallKind::Forward,
        method: &method,
        path: &path,
        query: forwarded.target.query.as_deref().unwrap_or_default(),
    };
    let trace = context.outcome.trace.clone();
    let mut call = UpstreamCall::begin(target, &peer, Phase::only_call(trace.as_deref()));
    if let Some(traceparent) = call.traceparent() {
        session.req_header_mut().insert_header(TRACEPARENT, traceparent).map_err(RelayFault::Head)?;
    }
    let passed = pass(gateway, session, forwarded, context, &peer).await;
    let status = session.response_written().map(|head| head.status);
    // Among the informational statuses, only 101 can be the last one of an exchange, so the others aren't recorded.
    call.status = status.filter(|status| *status == 101 || !status.is_informational()).map(|status| status.as_u16());
    call.bytes = session.body_bytes_sent();
    if let Err(RelayFault::Upstream(error)) = &passed {
        (call.status, call.fault) = (None, Some(error.to_string()));
    }
    let (address, took) = call.so_far();
    context.outcome.waited(&upstream.name, address, took);
    passed
}

async fn pass(
    gateway: &Gateway,
    session: &mut ServerSession,
    forwarded: &Forwarded,
    context: &mut RequestContext,
    peer: &AskedPeer,
) -> Result<(), RelayFault> {
    seam(&context.outcome.path, "pass");
    let upstream = &forwarded.found.route.upstream;
    let asked = session.req_header();
    let links = AnswerLinks::of(forwarded, &asked.method, &asked.headers, &context.snapshot);
    // Pingora buffers a small request body. The body can then be sent again if the upstream has closed an idle
    // connection.
    session.enable_retry_buffering();
    let can_repeat = only_reads(session, forwarded);
    let visit = upstream.visit(&session.req_header().headers, &forwarded.target.normal_path, can_repeat);
    let deadline = clock::instant() + upstream.timeouts.whole;
    let mut passing = PassedAnswer {
        forwarded,
        cross_origin: context.cross_origin.as_ref(),
        gateway,
        held: &context.held,
        snapshot: &context.snapshot,
        memory: &context.snapshot.memory,
        surplus: &context.surplus,
        outcome: &mut context.outcome,
        observation: None,
        links,
        retries: Retries { visit: &visit, deadline, slot: context.slot.as_ref() },
    };
    visit.begins();
    let mut may_renew = true;
    // `Visit::retry` bounds the number of attempts.
    let passed = loop {
        let relayed = attempt(session, peer, &mut may_renew, &mut passing).await;
        let pause = match &relayed {
            Err(RelayFault::Again(pause)) => Some(*pause),
            // A client that has got part of an answer can't get another answer, so the request is repeated only if no
            // answer has begun.
            Err(RelayFault::Upstream(error)) if session.response_written().is_none() => {
                Flaw::of_error(error).and_then(|flaw| visit.retry(flaw, clock::instant(), deadline))
            }
            _ => None,
        };
        let Some(pause) = pause else { break relayed };
        tokio::time::sleep(pause).await;
    };
    context.observation = passing.observation;
    context.outcome.counted.upstream_requests += 1 + visit.retries();
    passed
}

/// Makes one attempt to relay a request and its answer. If the upstream has closed a reused connection, the request is
/// sent once more over a new connection.
async fn attempt(
    session: &mut ServerSession,
    asked: &AskedPeer,
    may_renew: &mut bool,
    passing: &mut PassedAnswer<'_>,
) -> Result<(), RelayFault> {
    let visit = passing.retries.visit;
    let timeouts = passing.forwarded.found.route.upstream.timeouts;
    let connections = &passing.gateway.fetcher.connections;
    let mut request = request(session, passing).map_err(RelayFault::Head)?;
    let opened = connections.open(visit, &request.headers, repeats(session), timeouts).await;
    let mut connection = opened.map_err(RelayFault::Upstream)?;
    asked.note(Some(Arc::clone(&connection.peer)));
    let peer = Arc::clone(&connection.peer);
    let mut sent = passing.forwarded.body.clone();
    loop {
        let relayed = match connection.send(Box::new(request)).await {
            Ok(()) => relay(session, &mut connection, timeouts, sent.take(), passing).await,
            Err(error) => Err(RelayFault::Upstream(error)),
        };
        match relayed {
            Err(RelayFault::Upstream(error @ (FetchError::Unavailable(_) | FetchError::Lost(_))))
                if connection.is_reused && *may_renew && repeats(session) =>
            {
                *may_renew = false;
                if let FetchError::Lost(_) = error {
                    visit.peers.lost(&connection.peer, visit.peers.now());
                }
                // The upstream closed the connection while it was idle, so the request is sent again, but only once.
                // Test: `an_upstream_that_closes_kept_connections_fails_no_request`.
                let rest = session.get_retry_buffer();
                let parts = [passing.forwarded.body.as_deref(), rest.as_deref()];
                sent = Some(Bytes::from(parts.map(Option::unwrap_or_default).concat()));
                connection =
                    connections.renew(visit.peers, connection, timeouts).await.map_err(RelayFault::Upstream)?;
                request = self::request(session, passing).map_err(RelayFault::Head)?;
            }
            Ok(can_be_used_on) => {
                if can_be_used_on {
                    connections.release(visit.peers, connection).await;
                }
                return Ok(());
            }
            Err(RelayFault::Upstream(error)) => {
                // A write may have been carried out, so it isn't sent again. Requests after it wait for no other lost
                // connection.
                if connection.is_reused && matches!(error, FetchError::Lost(_)) {
                    visit.peers.lost(&connection.peer, visit.peers.now());
                }
                if let Some(flaw) = Flaw::of_error(&error) {
                    visit.failed(&peer, flaw, clock::instant());
                }
                return Err(RelayFault::Upstream(error));
            }
            Err(broken) => return Err(broken),
        }
    }
}

/// Returns whether another peer may be tried if the first one fails: the request only reads (RFC 9110 section 9.2.1),
/// has no body, and isn't an upgrade to another protocol.
fn only_reads(session: &mut ServerSession, forwarded: &Forwarded) -> bool {
    let is_upgrade = session.is_upgrade_req();
    // A write may have been carried out although its answer was lost, so no other peer gets it. Test:
    // `writes_are_sent_once`.
    session.req_header().method.is_safe() && forwarded.body.is_none() && session.is_body_empty() && !is_upgrade
}

/// Builds the request head for the upstream, with the route's path, `Host`, the headers about the request's origin, and
/// the operator's headers. Hop-by-hop headers are left out.
fn request(session: &mut ServerSession, passing: &PassedAnswer<'_>) -> pingora::Result<RequestHeader> {
    let Forwarded { found, target, client, successor, .. } = passing.forwarded;
    let is_chunked = session.is_http2() && !session.is_body_empty();
    // A legacy request for a page is never upgraded. Test:
    // `a_switch_after_an_upgrade_that_was_not_forwarded_is_refused`.
    let upgrades = successor.is_none() && is_web_socket(session);
    let asked = session.req_header();
    let query = target.query.as_deref().unwrap_or_default();
    let path = found.route.passed_target(&target.path, &found.parameters, query);
    let upstream = &found.route.upstream;
    let mut dropped = headers::between_neighbours(&asked.headers);
    let (untrusted, ours) = headers::provenance(&asked.headers, client.origin(target), &upstream.headers);
    // A header that an upstream may confuse with one of the operator's is removed, such as `X_Api_Key` beside
    // `X-Api-Key`. Test: `client_headers_that_resemble_headers_of_the_operator_are_not_forwarded`.
    dropped.extend(untrusted);
    // The path in the request line selected this route. A header that overrides the path could select another resource.
    // Test: `no_header_changes_the_path_that_the_upstream_gets`.
    dropped.extend(headers::path_overrides(&asked.headers));
    if successor.is_some() {
        // The request was checked as a GET of this path. A header that overrides the method would make it another
        // request. Test: `headers_that_override_the_method_or_the_path_do_not_pass`.
        dropped.extend(headers::overrides(&asked.headers));
    }
    // An upstream that repeats headers of its request must not emit the events of a client.
    // Test: `an_upstream_emits_events_by_a_header_that_no_client_gets`.
    let webhooks = passing.snapshot.services.webhooks.as_ref();
    dropped.extend(webhooks.and_then(|webhooks| webhooks.emitting_answers()).map(|emit| emit.header.clone()));
    let passes = |name: &HeaderName| !dropped.contains(name) && !ours.contains_key(name) && name != header::HOST;
    let room = Some(asked.headers.len() + ours.len() + upstream.headers.len() + ROOM);
    // An intermediary sends its own version, HTTP/1.1, and not the client's (RFC 9112 section 2.3).
    let mut request = match asked.has_case() {
        true => RequestHeader::build(asked.method.clone(), path.as_bytes(), room)?,
        false => RequestHeader::build_no_case(asked.method.clone(), path.as_bytes(), room)?,
    };
    request.insert_header(header::HOST, upstream.host_for(target.authority.as_deref()))?;
    let mut spellings = asked.case_header_iter();
    for (name, value) in &asked.headers {
        // A head of HTTP/2 has no spellings of its own.
        let spelling = spellings.next().map(|(spelling, _)| spelling);
        if !passes(name) {
            continue;
        }
        match spelling {
            Some(spelling) => request.append_header(spelling.clone(), value.clone())?,
            None => request.append_header(name.clone(), value.clone())?,
        };
    }
    if is_chunked && !request.headers.contains_key(header::CONTENT_LENGTH) {
        // In HTTP/2, frames end a body of unknown length. HTTP/1.1 needs chunks for this.
        request.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    if upgrades {
        request.insert_header(header::CONNECTION, "Upgrade")?;
        request.insert_header(header::UPGRADE, "websocket")?;
    }
    // The operator's headers are inserted last, to replace the client's and the gateway's own.
    for (name, value) in ours.iter().chain(upstream.headers.iter().map(|(name, value)| (name, value))) {
        request.insert_header(name.clone(), value.clone())?;
    }
    if let Some(codings) = passing.links.as_ref().and_then(|links| links.codings(&session.req_header().headers)) {
        request.insert_header(header::ACCEPT_ENCODING, codings)?;
    }
    Ok(request)
}
