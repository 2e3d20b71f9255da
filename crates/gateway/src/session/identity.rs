//! The request that asks an upstream who a client is (`server.identity_answer`). It has the client's credentials and
//! nothing else of the client's request, so its answer holds for all requests with these credentials.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, Method, header};
use pingora::http::RequestHeader;

use super::context::Gateway;
use crate::{
    identity::{
        answers::{IdentityAnswer, SentCredentials},
        rules::IdentityRules,
    },
    lifecycle::snapshot::Snapshot,
    net::fetch::{AskedPeer, Bounds},
    outcome::{
        access_log::Outcome,
        trace::{Phase, TRACEPARENT},
        upstream_call::{CallKind, CallTarget, UpstreamCall},
    },
    routes::identity_source::IdentitySource,
    runtime::clock,
    shared::{
        clients::{LimitedClient, whose},
        single_flight::LookUpResult,
    },
};

/// The largest size of an answer, in bytes. A larger one says nothing.
const ANSWER: usize = 64 << 10;

/// The request whose client is sought, and the gateway that asks for it.
#[derive(Clone, Copy)]
pub struct IdentityCall<'r> {
    pub gateway: &'r Gateway,
    pub snapshot: &'r Snapshot,
    pub outcome: &'r Outcome,
}

/// Asks for what names the client of a request: keys that its token names, and what the upstream says about its
/// credentials, which is returned. Returns `None` if none of the rules needs it, or
/// if the request has no credentials. Concurrent requests with the same credentials share one answer, also a failure, so
/// an upstream that is down isn't asked by one after the other.
pub async fn ask(rules: &[&IdentityRules], headers: &HeaderMap, call: IdentityCall<'_>) -> Option<Arc<IdentityAnswer>> {
    let IdentityCall { snapshot, .. } = call;
    let mut needs_answer = false;
    for rules in rules {
        needs_answer |= rules.need_answer();
        if let Some(keys) = snapshot.token_keys.as_ref().filter(|_| rules.lack_key(headers)) {
            keys.wait_for_new().await;
        }
    }
    let source = snapshot.identity_source.as_ref().filter(|_| needs_answer)?;
    let credentials = match source.answers.credentials_of(headers) {
        SentCredentials::None => return None,
        SentCredentials::Doubtful => return Some(Arc::new(IdentityAnswer::Unknown)),
        SentCredentials::Some(credentials) => credentials,
    };
    if let Some(kept) = source.answers.find(&credentials, clock::instant()) {
        return Some(kept);
    }
    // The time of an answer counts from its request, because the upstream may have judged at once.
    let began = clock::instant();
    let asking = Box::pin(async { Ok::<_, Infallible>(request(source, headers, call).await) });
    match source.asking.join(credentials, asking).await {
        Ok(LookUpResult::Asked(answer)) => {
            source.answers.keep(credentials, &answer, began);
            Some(answer)
        }
        Ok(LookUpResult::Shared(answer)) => Some(answer),
        Err(never) => match never {},
    }
}

/// Sends the request.
async fn request(
    source: &IdentitySource,
    headers: &HeaderMap,
    IdentityCall { gateway, snapshot, outcome }: IdentityCall<'_>,
) -> IdentityAnswer {
    let upstream = &source.upstream;
    let Ok(mut head) = head(source, headers) else { return IdentityAnswer::Unknown };
    let address = whose(outcome.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let client = LimitedClient { headers, address, known: None };
    let Ok(_slot) = upstream.slots.take(client, upstream.timeouts.whole).await else {
        return IdentityAnswer::Unanswered;
    };
    let (held, peer) = (snapshot.memory.share(), AskedPeer::default());
    let (path, query) = source.target.split_once('?').unwrap_or((&source.target, ""));
    let target = CallTarget {
        request_id: &outcome.request_id,
        upstream: &upstream.name,
        metrics: &upstream.metrics,
        kind: CallKind::Identity,
        method: &Method::GET,
        path,
        query,
    };
    let mut call = UpstreamCall::begin(target, &peer, Phase::only_call(outcome.trace.as_deref()));
    if let Some(traceparent) = call.traceparent() {
        // A header fails only if there are too many, and then the upstream gets no trace.
        let _ = head.insert_header(TRACEPARENT, traceparent);
    }
    let bounds = Bounds::from_now(upstream.timeouts, ANSWER, &held, &peer);
    let visit = upstream.visit(&head.headers, path, true);
    match gateway.fetcher.fetch(&visit, &head, b"", bounds).await {
        Ok(fetched) => {
            let status = fetched.status.as_u16();
            (call.status, call.bytes) = (Some(status), fetched.body.len());
            source.answers.read(status, &fetched.headers, &fetched.body)
        }
        Err(error) => {
            call.fault = Some(error.to_string());
            IdentityAnswer::Unanswered
        }
    }
}

fn head(source: &IdentitySource, headers: &HeaderMap) -> pingora::Result<RequestHeader> {
    let mut head = RequestHeader::build(Method::GET, source.target.as_bytes(), None)?;
    head.insert_header(header::HOST, source.upstream.host_for(None))?;
    head.insert_header(header::ACCEPT, HeaderValue::from_static("application/json"))?;
    head.insert_header(header::ACCEPT_ENCODING, source.upstream.codings.clone())?;
    // The upstream's own headers replace no credentials: `check` refuses that.
    for (name, value) in &source.upstream.headers {
        head.insert_header(name.clone(), value.clone())?;
    }
    for name in source.answers.credentials() {
        if let Some(value) = headers.get(name) {
            head.insert_header(name.clone(), value.clone())?;
        }
    }
    Ok(head)
}
