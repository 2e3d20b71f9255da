//! Everything that the upstream answers itself, streamed through Pingora's proxy path: other methods, routes without a
//! list, uploads, WebSockets, event streams, and legacy requests that pass.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Version, header};
use pingora::{
    Error, ErrorSource, ErrorType,
    http::{RequestHeader, ResponseHeader},
    protocols::http::ServerSession,
    proxy::{FailToProxy, Session},
    upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy},
};

use super::{Context, Forwarded, answer, clock, proxy::READ_TIMEOUT, respond, upstream::set_timeouts};
use crate::{
    downstream::{
        Code, Problem,
        caching::{Varies, vary},
        cors,
        response::expose,
    },
    upstream::{
        fetch::{FetchError, is_peers_fault},
        headers,
    },
};

/// How long a connection may be silent that was made to be: WebSockets and event streams.
const STREAM_SILENCE: Duration = Duration::from_secs(3_600);

/// Whether a request asks for a connection that may be silent for long. Of all protocols to upgrade to, WebSocket alone
/// passes.
pub(super) fn is_stream(session: &ServerSession) -> bool {
    let headers = &session.req_header().headers;
    let is_web_socket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    (session.is_upgrade_req() && headers.get_all(header::UPGRADE).iter().any(is_web_socket))
        || headers.get_all(header::ACCEPT).iter().any(|accept| takes_events(accept.as_bytes()))
}

/// Whether a stream of events is among the media types of an `Accept`, which are separated by commas and may have
/// parameters (RFC 9110 section 12.5.1).
fn takes_events(accept: &[u8]) -> bool {
    let mut types = accept.split(|byte| *byte == b',').filter_map(|range| range.split(|byte| *byte == b';').next());
    types.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// The peer for a request, with every timeout set.
pub(super) async fn peer(session: &mut Session, context: &Context) -> pingora::Result<Box<HttpPeer>> {
    let forwarded = context.forwarded()?;
    let upstream = &forwarded.found.route.upstream;
    let mut peer =
        upstream.peers.next(clock::instant(), upstream.timeouts.connect).await.map_err(|error| unresolved(&error))?;
    if is_stream(session) {
        set_timeouts(&mut peer.options, upstream.timeouts, STREAM_SILENCE);
    } else if !session.as_downstream_mut().is_body_empty() {
        // The upstream says nothing while the client still sends, and the client may pause.
        set_timeouts(&mut peer.options, upstream.timeouts, READ_TIMEOUT + upstream.timeouts.first_byte);
    }
    if headers::authenticates_connection(&session.req_header().headers) {
        // Whoever got this connection next would be the same user: another group for each request means that nobody does.
        let mut hasher = DefaultHasher::new();
        context.outcome.request_id.hash(&mut hasher);
        peer.group_key ^= hasher.finish();
        // No request can ever use this connection again, so the pool must not keep it.
        peer.options.idle_timeout = Some(Duration::ZERO);
    }
    if forwarded.successor.is_some() {
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    }
    Ok(Box::new(peer))
}

/// Records whether a peer could be reached.
pub(super) fn connected(peer: &HttpPeer, error: Option<&Error>, context: &Context) {
    let Ok(forwarded) = context.forwarded() else { return };
    let peers = &forwarded.found.route.upstream.peers;
    match error {
        None => peers.reached(peer),
        Some(error) if is_peers_fault(error) => peers.failed(peer, clock::instant()),
        Some(_) => {}
    }
}

/// Points a request at the upstream: its path, its `Host`, where it came from, and what the operator adds.
pub(super) fn request(upstream_request: &mut RequestHeader, context: &Context) -> pingora::Result<()> {
    let Forwarded { found, target, client, successor } = context.forwarded()?;
    let query = target.query.as_deref().unwrap_or_default();
    let path = found.route.target(&target.path, &found.parameters, query);
    upstream_request.set_raw_path(path.as_bytes())?;
    let upstream = &found.route.upstream;
    upstream_request.insert_header(header::HOST, upstream.host_for(target.authority.as_deref()))?;
    let (mut dropped, ours) = headers::provenance(&upstream_request.headers, client.origin(target), &upstream.headers);
    if successor.is_some() {
        // It was judged as a GET of this path, and so it is to be answered.
        dropped.extend(headers::overrides(&upstream_request.headers));
    }
    for name in &dropped {
        upstream_request.remove_header(name);
    }
    for (name, value) in ours.iter().chain(upstream.headers.iter().map(|(name, value)| (name, value))) {
        upstream_request.insert_header(name.clone(), value.clone())?;
    }
    Ok(())
}

/// Adds to a legacy answer what says that it is one, and what browsers are to know. What the upstream says of its own
/// connection ends here; everything else stays as it came.
pub(super) fn response(
    session: &mut Session,
    upstream_response: &mut ResponseHeader,
    context: &Context,
) -> pingora::Result<()> {
    if !upstream_response.status.is_informational() {
        for name in headers::of_connection(&upstream_response.headers) {
            upstream_response.remove_header(&name);
        }
        if session.req_header().version < Version::HTTP_11 {
            // It knows no chunks (RFC 9112 section 6.1): the end of the connection ends the body.
            if upstream_response.remove_header(&header::TRANSFER_ENCODING).is_some() {
                session.set_keepalive(None);
            }
        }
    }
    mark_legacy(upstream_response, context)?;
    share(upstream_response, context)
}

fn mark_legacy(upstream_response: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let Ok(Forwarded { found, successor: Some(successor), .. }) = context.forwarded() else { return Ok(()) };
    let Some(list) = &found.route.list else { return Ok(()) };
    let mut added = HeaderMap::new();
    for value in upstream_response.headers.get_all(header::LINK) {
        added.append(header::LINK, value.clone());
    }
    list.mark_legacy(&mut added, successor);
    // The same URL may be a page in another form.
    let by_form = list.conventions.varies_by().collect::<Vec<_>>();
    if !by_form.is_empty()
        && let Some(vary) = vary(&[&upstream_response.headers], &Varies::new(by_form))
    {
        added.insert(header::VARY, vary);
    }
    for (name, value) in &added {
        upstream_response.insert_header(name, value.clone())?;
    }
    Ok(())
}

/// Says which scripts may read the answer: as the route does, else, of a legacy answer, what the upstream allows and what
/// was added to it.
fn share(upstream_response: &mut ResponseHeader, context: &Context) -> pingora::Result<()> {
    let is_legacy = context.forwarded().is_ok_and(|forwarded| forwarded.successor.is_some());
    if upstream_response.status.is_informational() || (context.crossing.is_none() && !is_legacy) {
        return Ok(());
    }
    let mut said = HeaderMap::new();
    for name in cors::SAID {
        for value in upstream_response.headers.get_all(&name) {
            said.append(name.clone(), value.clone());
        }
    }
    let before = said.clone();
    match &context.crossing {
        Some(crossing) => crossing.apply(&mut said),
        None => expose(&mut said, std::iter::empty()),
    }
    for name in cors::SAID.iter().filter(|name| !before.get_all(*name).iter().eq(said.get_all(*name))) {
        upstream_response.remove_header(name);
        for value in said.get_all(name) {
            upstream_response.append_header(name, value.clone())?;
        }
    }
    Ok(())
}

/// Tells the client, where it can still be told, that there is no answer.
pub(super) async fn fail(session: &mut Session, error: &Error, context: &mut Context) -> FailToProxy {
    let Context { snapshot, outcome, crossing, held, .. } = context;
    let problem = problem(error);
    let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
    // Pingora's text quotes what could not be parsed: the kind is enough for the log.
    outcome.detail.get_or_insert_with(|| format!("{} at {}", error.etype().as_str(), error.esource().as_str()));
    session.set_keepalive(None);
    match problem {
        Some(problem) if !begun => {
            let mut response = answer::refuse(&problem, None, snapshot, outcome);
            if let Some(crossing) = crossing {
                crossing.apply(&mut response.headers);
            }
            respond::write(session, response, held, outcome).await;
        }
        Some(_) if *error.esource() == ErrorSource::Upstream => outcome.code = Some("upstream_truncated"),
        _ if *error.root_etype() == ErrorType::WriteTimedout => outcome.code = Some("client_stalled"),
        _ => outcome.code = Some("client_gone"),
    }
    FailToProxy { error_code: outcome.status, can_reuse_downstream: false }
}

/// What an error of Pingora's proxy path is; nothing where the client itself is gone.
fn problem(error: &Error) -> Option<Problem> {
    let timed_out = matches!(
        error.root_etype(),
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    );
    let (code, said) = match error.esource() {
        ErrorSource::Upstream if timed_out => (Code::UpstreamTimeout, "the upstream did not answer in time"),
        ErrorSource::Upstream if *error.etype() == ErrorType::InvalidHTTPHeader => {
            (Code::UpstreamMalformed, "the upstream's answer can't be read")
        }
        ErrorSource::Upstream => (Code::UpstreamUnavailable, "the upstream can't be reached"),
        ErrorSource::Downstream => match error.etype() {
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed => return None,
            _ => (Code::RequestInvalid, "the request's body can't be read"),
        },
        // What Pingora's own checks of a request refuse.
        _ if *error.etype() == ErrorType::InvalidHTTPHeader => {
            (Code::RequestInvalid, "the request's headers can't be passed on")
        }
        _ => (Code::Internal, "the gateway failed; the request id helps to find out why"),
    };
    Some(Problem::new(code, said))
}

fn unresolved(error: &FetchError) -> Box<Error> {
    let kind = match error {
        FetchError::Timeout(_) => ErrorType::ConnectTimedout,
        _ => ErrorType::ConnectNoRoute,
    };
    Error::explain(kind, error.to_string()).into_up()
}

impl Context {
    fn forwarded(&self) -> pingora::Result<&Forwarded> {
        self.forwarded.as_ref().ok_or_else(|| Error::explain(ErrorType::InternalError, "nothing is to be forwarded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_may_stand_anywhere_in_accept() {
        for accept in
            ["text/event-stream", "application/json, text/event-stream", "*/*;q=0.1,Text/Event-Stream ;charset=utf-8"]
        {
            assert!(takes_events(accept.as_bytes()), "{accept}");
        }
        for accept in ["", "*/*", "text/html", "application/json;profile=\"text/event-stream\"", "text/event-streams"] {
            assert!(!takes_events(accept.as_bytes()), "{accept}");
        }
    }
}
