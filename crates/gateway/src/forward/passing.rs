//! Changes to an upstream's answer on its way to the client. Hop-by-hop headers are removed, legacy and cross-origin
//! headers are added, links are rewritten, and a route that observes keeps a copy of the body.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::links::AnswerLinks;
use crate::{
    cache::purge::{self, ForwardedWrite},
    lifecycle::snapshot::Snapshot,
    net::{
        memory::{Memory, MemoryShare},
        peers::{peer::PeerRequest, retry::Flaw, visit::Visit},
    },
    outcome::access_log::Outcome,
    request::identity::REQUEST_ID,
    routes::{cross_origin::CrossOrigin, list::List},
    runtime::clock,
    session::{
        context::{Forwarded, Gateway, Surplus},
        observe,
    },
    shared::slots::UpstreamSlot,
};
use cursorgate_config::settings::EmitAnswerSettings;
use cursorgate_translate::{
    downstream::response::{cors, expose, rate_limit::RATE_LIMIT},
    upstream::request::headers,
};

/// A relayed answer, with its request.
pub struct PassedAnswer<'a> {
    /// The route and the client of the request.
    pub forwarded: &'a Forwarded,
    /// The cross-origin policy of the route; `None` if the upstream decides.
    pub cross_origin: Option<&'a CrossOrigin>,
    pub gateway: &'a Gateway,
    /// The share of the memory budget that this request holds.
    pub held: &'a MemoryShare,
    /// The configuration that was in force when the request began.
    pub snapshot: &'a Snapshot,
    /// The memory budget for the copy of the body.
    pub memory: &'a Arc<Memory>,
    /// The flag that is set if the client sends bytes after its request.
    pub surplus: &'a Surplus,
    pub outcome: &'a mut Outcome,
    /// The copy of the body; `None` if the answer isn't observed.
    pub observation: Option<Box<observe::Observation>>,
    /// The rewriting of the upstream's links to itself; `None` if the route leaves links unchanged.
    pub links: Option<Box<AnswerLinks>>,
    pub retries: Retries<'a>,
}

/// The limits of a forwarded request's retries.
#[derive(Clone, Copy)]
pub struct Retries<'a> {
    pub visit: &'a Visit<'a>,
    /// The time after which no retry begins.
    pub deadline: Instant,
    /// The request's slot at the upstream.
    pub slot: Option<&'a UpstreamSlot>,
}

impl Retries<'_> {
    /// Records at the peer whether its answer was a failure of the peer. Returns the pause before the request is
    /// repeated; `None` if the client gets this answer.
    pub fn judge(self, peer: &PeerRequest, answer: &ResponseHeader) -> Option<Duration> {
        let now = clock::instant();
        let retry_after = || headers::retry_after_seconds(&answer.headers, clock::unix_seconds());
        match Flaw::of_status(answer.status.as_u16(), retry_after) {
            None => {
                self.visit.answered(peer, now);
                if let Some(slot) = self.slot {
                    slot.begins();
                }
                None
            }
            Some(flaw) => {
                self.visit.failed(peer, flaw, now);
                self.visit.retry(flaw, now, self.deadline)
            }
        }
    }
}

impl PassedAnswer<'_> {
    /// Purges the cached pages that the request may have changed, and notes the write for live pages. This happens before
    /// the client learns that the request succeeded.
    pub async fn purge(&self, asked: &RequestHeader, status: StatusCode) {
        // A legacy request for a page only reads, even with the method POST, so it purges nothing.
        if self.forwarded.successor.is_none() {
            let write = ForwardedWrite { asked, target: &self.forwarded.target, status };
            purge::after(self.snapshot, write, self.gateway.vitals.list_writes()).await;
        }
    }

    /// Takes the events that the upstream emits out of the head of an answer, and raises them. This happens before the
    /// client learns that its request succeeded.
    pub async fn emit(&self, answer: &mut ResponseHeader) {
        let Some(EmitAnswerSettings { header, routes }) = self.emitting() else { return };
        let values: Vec<HeaderValue> = answer.headers.get_all(header).iter().cloned().collect();
        if values.is_empty() {
            return;
        }
        answer.remove_header(header);
        let route = &self.forwarded.found.route.name;
        match self.gateway.event_sink.get() {
            Some(sink) if routes.contains(route) => sink.raise(self.snapshot, route, &values).await,
            _ => {
                // A route that isn't listed can answer with what its clients choose.
                // Test: `an_upstream_emits_events_by_a_header_that_no_client_gets`.
                tracing::warn!(route, "events are refused: services.webhooks.emit.routes lacks this route");
                self.gateway.vitals.webhooks().emit(false, values.len());
            }
        }
    }

    fn emitting(&self) -> Option<&EmitAnswerSettings> {
        self.snapshot.services.webhooks.as_ref()?.emitting_answers()
    }

    /// Rewrites the head of an answer for the client. `has_body` is `true` if a body follows.
    ///
    /// # Errors
    ///
    /// Returns an error if a header can't be written.
    pub fn head(&mut self, asked: &RequestHeader, answer: &mut ResponseHeader, has_body: bool) -> pingora::Result<()> {
        let Forwarded { found, target, .. } = self.forwarded;
        let readers = &self.gateway.readers;
        // The observation reads the head as the upstream sent it, so it begins before the changes below.
        self.observation = observe::begin(readers, asked, answer, found, target, self.memory, self.outcome);
        self.of_connection(answer);
        self.bound_retry(answer)?;
        if let Some(links) = &mut self.links {
            links.head(answer, has_body)?;
        }
        answer.set_version(Version::HTTP_11);
        answer.insert_header(REQUEST_ID, self.outcome.request_id.as_str())?;
        frame(asked, answer, has_body)?;
        self.mark_legacy(answer)?;
        self.vary(answer)?;
        self.tell_limits(answer)?;
        self.share(answer)
    }

    /// Rewrites an informational head, or the head of a 101 answer, which switches protocols. A 101 keeps its
    /// hop-by-hop headers, such as `Upgrade`.
    pub fn early_head(&self, answer: &mut ResponseHeader) {
        if let Some(EmitAnswerSettings { header, .. }) = self.emitting() {
            answer.remove_header(header);
        }
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            // This is the last head of the request. A request id is always a valid header value, so the insertion can't
            // fail.
            let _ = answer.insert_header(REQUEST_ID, self.outcome.request_id.as_str());
        } else {
            self.of_connection(answer);
        }
    }

    /// Copies a part of the body for the observation, and returns the part as the client gets it. `ends` is `true` for
    /// the last part.
    ///
    /// # Errors
    ///
    /// Returns an error if the body has a coding that it doesn't follow.
    pub async fn body(&mut self, bytes: Bytes, ends: bool) -> std::io::Result<Bytes> {
        if let Some(observation) = &mut self.observation {
            observation.push(&bytes);
        }
        match &mut self.links {
            Some(links) => links.body(bytes, ends).await,
            None => Ok(bytes),
        }
    }

    /// Removes hop-by-hop headers.
    fn of_connection(&self, answer: &mut ResponseHeader) {
        // A hop-by-hop header concerns only one connection (RFC 9110 section 7.6.1). Test:
        // `hop_by_hop_headers_of_the_upstream_end_at_the_gateway`.
        for name in headers::of_connection(&answer.headers) {
            answer.remove_header(&name);
        }
    }

    /// Bounds `Retry-After`: a client must neither wait for years nor retry in the past. An invalid value is removed.
    fn bound_retry(&self, answer: &mut ResponseHeader) -> pingora::Result<()> {
        let Some(said) = answer.headers.get(header::RETRY_AFTER).cloned() else { return Ok(()) };
        let mut headers = HeaderMap::from_iter([(header::RETRY_AFTER, said)]);
        headers::bound_retry_after(&mut headers, clock::unix_seconds());
        match headers.remove(header::RETRY_AFTER) {
            Some(bounded) => answer.insert_header(header::RETRY_AFTER, bounded),
            None => {
                answer.remove_header(&header::RETRY_AFTER);
                Ok(())
            }
        }
    }

    /// Adds `Deprecation`, `Sunset` and links to the answer to a legacy request.
    fn mark_legacy(&self, answer: &mut ResponseHeader) -> pingora::Result<()> {
        let Forwarded { found, successor: Some(successor), .. } = self.forwarded else { return Ok(()) };
        let Some(list) = found.route.list.as_ref().filter(|list| list.announces()) else { return Ok(()) };
        let mut added = HeaderMap::new();
        for value in answer.headers.get_all(header::LINK) {
            added.append(header::LINK, value.clone());
        }
        list.mark_legacy(&mut added, successor);
        for (name, value) in &added {
            answer.insert_header(name, value.clone())?;
        }
        Ok(())
    }

    /// Adds `Vary: Prefer` where this header decides whether a request gets the upstream's answer or a page.
    fn vary(&self, answer: &mut ResponseHeader) -> pingora::Result<()> {
        let Forwarded { found, successor: Some(_), .. } = self.forwarded else { return Ok(()) };
        let marks = found.route.list.as_ref().is_some_and(|list| list.conventions.marks_by_preference());
        if marks { answer.append_header(header::VARY, "Prefer").map(drop) } else { Ok(()) }
    }

    /// Adds the headers with the client's remaining limits. These headers replace the upstream's, which describe its
    /// own limits.
    fn tell_limits(&self, answer: &mut ResponseHeader) -> pingora::Result<()> {
        let Some(limited) = &self.outcome.limited else { return Ok(()) };
        let mut said = HeaderMap::new();
        limited.write(&mut said, clock::instant());
        said.iter().try_for_each(|(name, value)| answer.insert_header(name, value.clone()))
    }

    /// Applies the route's cross-origin policy. On a route without a policy, the upstream's policy stays. If the
    /// upstream lets scripts read the answer, scripts may also read the headers that the gateway adds to legacy answers
    /// of routes with an announcement, and on routes with limits. Other answers stay unchanged.
    fn share(&self, answer: &mut ResponseHeader) -> pingora::Result<()> {
        let list = self.forwarded.found.route.list.as_ref().filter(|_| self.forwarded.successor.is_some());
        let adds = list.is_some_and(List::announces) || self.outcome.tells_limits();
        if self.cross_origin.is_none() && !adds {
            return Ok(());
        }
        let mut said = HeaderMap::new();
        // `RateLimit` is included only to be listed as readable. Its value doesn't change here.
        for name in cors::SAID.into_iter().chain([RATE_LIMIT]) {
            for value in answer.headers.get_all(&name) {
                said.append(name.clone(), value.clone());
            }
        }
        let before = said.clone();
        match self.cross_origin {
            Some(cross_origin) => cross_origin.apply(&mut said),
            // The upstream's policy stays. Test: `without_cors_the_upstream_decides`.
            None => expose(&mut said, std::iter::empty()),
        }
        for name in cors::SAID.iter().filter(|name| !before.get_all(*name).iter().eq(said.get_all(*name))) {
            answer.remove_header(name);
            for value in said.get_all(name) {
                answer.append_header(name, value.clone())?;
            }
        }
        Ok(())
    }
}

/// Frames the body as the client's version of HTTP permits (RFC 9112 section 6).
fn frame(asked: &RequestHeader, answer: &mut ResponseHeader, has_body: bool) -> pingora::Result<()> {
    if asked.version < Version::HTTP_11 {
        // HTTP/1.0 has no chunks (RFC 9112 section 6.1). The end of the connection ends the body.
        answer.remove_header(&header::TRANSFER_ENCODING);
        return Ok(());
    }
    let is_framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| {
        // An answer to HEAD keeps its `Content-Length`, which is the length of an answer to GET.
        answer.headers.contains_key(name)
    });
    let can_have_body =
        asked.method != Method::HEAD && !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !is_framed && can_have_body {
        if has_body {
            answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        } else {
            answer.insert_header(header::CONTENT_LENGTH, "0")?;
        }
    }
    Ok(())
}
