//! Dispatch of requests. A request is answered by a service, with a page of a list, by the upstream, or with a refusal.
//! While a page is made, the connection is watched, and the work ends if the client leaves.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version};
use pingora::{http::RequestHeader, protocols::http::ServerSession};

use crate::{
    cache::{self, call::CallOwners},
    explain::served,
    forward,
    identity::{KnownClient, headers::check, rules::RequestParts},
    lifecycle::snapshot::Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    page::{
        context::{ListCall, limit_legacy, note_paging},
        exchange::watched::PageRecord,
        serve::{Served, serve},
    },
    request::{
        head,
        target::{self, RequestTarget},
    },
    routes::{cross_origin::CrossOrigin, list::List, route::Route, table::RouteMatch},
    runtime::{
        clock,
        futures::{boxed, caught, seam},
    },
    session::{
        body::{self, ScannedBody},
        client_request::{Client, ClientRequest},
        context::{Forwarded, Gateway, RequestContext},
        identity::{self, IdentityCall},
        observe,
        respond::{self, refuse},
        service::{LastingResponse, PageCause, Service, ServiceAnswer, StreamedResponse},
    },
    shared::{
        clients::{LimitedClient, limit_store::LimitStore, route_limits::LimitedRequest},
        concurrency::RequestPlace,
        explanations::ExplainedRequest,
        slots::UpstreamSlot,
    },
};
use cursorgate_config::settings::Role;
use cursorgate_cursor::permit::PermitScope;
use cursorgate_translate::{
    downstream::{
        Code, Convention, EnvelopeTemplate, LegacyDecision, Problem, RequestBody, Response,
        request::body::check_head,
        response::{cors, legacy},
    },
    upstream::request::headers,
};

/// The memory that each forwarded request takes from `server.memory` before it is sent, in bytes. The value is the
/// largest size that may use the last quarter of the memory.
const PASSING: usize = 128 << 10;

/// The largest body that is read although nothing needs it, in bytes. After a larger one, the connection is closed.
const UNWANTED_BODY: usize = 64 << 10;

/// The way in which a request is answered.
enum Dispatch {
    Respond(Response),
    /// A response of a service, whose body is sent in parts.
    Stream(Box<StreamedResponse>),
    /// A response of a service that lasts until either side ends it.
    Converse(Box<LastingResponse>),
    /// A response to a browser's preflight, which already has its cross-origin headers.
    Preflight(Response),
    Forward(Box<Forwarded>),
    /// The client has left: nothing is written.
    Gone,
}

/// A request whose path a route covers.
struct Routed {
    found: RouteMatch,
    target: RequestTarget,
    client: Client,
    /// The unverified value of `Cursorgate-Explain`; `None` without the header, or without configured explanations.
    permit: Option<HeaderValue>,
}

/// Answers a request: decides how, and then writes the response or forwards the request.
///
/// # Errors
///
/// Returns an error if the upstream's answer to a forwarded request breaks off after it has begun.
pub async fn answer(
    gateway: &Gateway,
    session: &mut ServerSession,
    context: &mut RequestContext,
) -> pingora::Result<()> {
    let decided = {
        // The future is large, so it is pinned here and never moved.
        let deciding = pin!(decide(gateway, session, context));
        caught(deciding).await
    };
    let RequestContext { snapshot, outcome, cross_origin, held, slot, .. } = context;
    let verdict = match decided {
        Ok(Dispatch::Forward(forwarded)) => {
            match admit(&forwarded, &session.req_header().headers, outcome.known.as_deref(), held).await {
                Ok(taken) => {
                    *slot = Some(taken);
                    Dispatch::Forward(forwarded)
                }
                Err(failure) => Dispatch::Respond(shed(failure, None, snapshot, outcome)),
            }
        }
        Ok(verdict) => verdict,
        Err(panic) => {
            // A panic fails only this request. Test: `a_panic_fails_one_request`.
            outcome.detail = Some(panic);
            session.set_keepalive(None);
            let problem = Problem::new(Code::Internal, "the gateway failed: report the request id");
            Dispatch::Respond(refuse(&problem, None, snapshot, outcome))
        }
    };
    // While the process drains, the next requests of the client should reach another process. After surplus bytes, no
    // other request is read from the connection. Test: `a_drain_delay_loses_no_request`.
    if gateway.vitals.is_stopping() || context.surplus.is_there() {
        session.set_keepalive(None);
    }
    let response = match verdict {
        Dispatch::Respond(mut response) => {
            respond::share(&mut response.headers, cross_origin.as_ref(), outcome);
            response
        }
        Dispatch::Preflight(response) => response,
        Dispatch::Stream(response) => {
            boxed(|| respond::stream(session, response, cross_origin.as_ref(), held, outcome)).await;
            return Ok(());
        }
        Dispatch::Converse(response) => {
            boxed(|| respond::converse(session, response, cross_origin.as_ref(), held, outcome)).await;
            return Ok(());
        }
        Dispatch::Forward(forwarded) => {
            // The future is large, so it is boxed here, where it is needed.
            return boxed(|| forward::forward(gateway, session, &forwarded, context)).await;
        }
        Dispatch::Gone => {
            outcome.code = Some("client_gone");
            session.set_keepalive(None);
            return Ok(());
        }
    };
    let (compression, subject) = (&snapshot.server.compression, snapshot.server.client_subject.as_ref());
    respond::write(session, response, compression, subject, held, outcome).await;
    Ok(())
}

/// Decides how a request is answered. Pages and answers of services are made here; nothing is written yet.
async fn decide(gateway: &Gateway, session: &mut ServerSession, context: &mut RequestContext) -> Dispatch {
    seam(&context.outcome.path, "decide");
    let head = session.req_header();
    // Heads of HTTP/1.1 were checked before Pingora parsed them, so only heads of HTTP/2 are checked here.
    if head.version == Version::HTTP_2
        && let Err(problem) = head::check_parsed(head, context.snapshot.server.head_size)
    {
        return Dispatch::Respond(refuse(&problem, None, &context.snapshot, &mut context.outcome));
    }
    if let Some(service) = gateway.services.iter().find(|service| service.takes(&context.snapshot, head)) {
        // The future is boxed, because only requests for services need it.
        return boxed(|| ask_service(&**service, session, context)).await;
    }
    let routed = match enter(gateway, session, context).await {
        Ok(routed) => routed,
        Err(verdict) => return *verdict,
    };
    let route = Arc::clone(&routed.found.route);
    // Requests to a list's path by other methods are forwarded. Test:
    // `other_methods_on_a_list_reach_the_upstream_untouched`.
    let list = route.list.as_ref().filter(|_| route.methods.take(&session.req_header().method));
    if let Some(list) = list {
        return answer_list(gateway, session, context, list, routed).await;
    }
    let RequestContext { snapshot, outcome, held, explained, .. } = context;
    let Routed { found, target, client, .. } = routed;
    gateway.hide_form(session.req_header_mut());
    let scanned = match scan_set_back(session, &route, held).await {
        Ok(scanned) => scanned,
        Err(failure) => return Dispatch::Respond(shed(failure, None, snapshot, outcome)),
    };
    let parsed = if let ScannedBody::Parsed(body) = &scanned { Some(body) } else { None };
    let (head, query) = (session.req_header(), target.query.as_deref());
    if let Some(problem) = route.refusal(&head.method, &head.headers, query, parsed) {
        return Dispatch::Respond(refuse(&problem, None, snapshot, outcome));
    }
    if let Some(observed) = &route.observed {
        let (known, now) = (outcome.known.as_deref(), clock::unix_seconds());
        observed.note_paging(&head.method, &head.headers, query, known, now, &mut outcome.counted);
        if let Some(name) = observed.marking_name(query) {
            observe::note_name(&route, name, &outcome.request_id);
        }
    }
    // A forwarded request could reach a list by another spelling of its path, and avoid the list's policies, so the
    // guard refuses that. Test: `no_spelling_of_a_path_bypasses_the_policy_of_its_list`.
    if let Some(problem) = snapshot.guard.refusal(&snapshot.table, &found, &target, head) {
        return Dispatch::Respond(refuse(&problem, None, snapshot, outcome));
    }
    let forwarded = Forwarded { found, target, client, successor: None, body: scanned.into_sent() };
    pass(forwarded, &head.method, explained)
}

/// Reads the body of a request on a route that was set back to forwarding, if the body may have a mark.
///
/// # Errors
///
/// Returns the failure of a body that can't be read.
async fn scan_set_back(session: &mut ServerSession, route: &Route, held: &MemoryShare) -> Result<ScannedBody, Failure> {
    let Some(list) = &route.set_back else { return Ok(ScannedBody::Unread) };
    let may_mark = list.conventions.all().any(|convention| convention.parameters.reads_bodies());
    let method = &session.req_header().method;
    if !may_mark || method != Method::POST || !route.methods.take(method) {
        return Ok(ScannedBody::Unread);
    }
    body::scan(session, (&list.budgets).into(), held).await
}

/// Lets a service answer a request, with the cross-origin policy that the service names.
async fn ask_service(service: &dyn Service, session: &mut ServerSession, context: &mut RequestContext) -> Dispatch {
    let RequestContext { snapshot, outcome, cross_origin, held, .. } = context;
    outcome.service = Some(service.name());
    let head = session.req_header();
    *cross_origin = service.policy(snapshot, head).map(|policy| CrossOrigin::new(policy, &head.headers));
    // A preflight without a policy is refused here, too: a route behind it must not permit what the service doesn't.
    // Test: `services_have_the_policy_of_their_lists`.
    if cors::is_preflight(&head.method, &head.headers) {
        let preflight = cross_origin.as_ref().and_then(|policy| policy.preflight(&head.method, &head.headers));
        return Dispatch::Preflight(preflight.unwrap_or_else(|| {
            let detail = "scripts of other origins may not use this service: write cors in the routes or in [services]";
            refuse(&Problem::new(Code::OriginRefused, detail), None, snapshot, outcome)
        }));
    }
    let client = Client::of(session, snapshot, outcome.client);
    match service.answer(session, &client, snapshot, held, outcome).await {
        Ok(Some(ServiceAnswer::Whole(response))) => Dispatch::Respond(response),
        Ok(Some(ServiceAnswer::Streamed(response))) => Dispatch::Stream(response),
        Ok(Some(ServiceAnswer::Lasting(response))) => Dispatch::Converse(response),
        Ok(None) => Dispatch::Gone,
        Err(failure) => Dispatch::Respond(shed(failure, None, snapshot, outcome)),
    }
}

/// Reads the head of a request, finds its route, and applies the limits of the route to its client.
///
/// # Errors
///
/// Returns the response to a preflight, or to a request that is refused.
async fn enter(
    gateway: &Gateway,
    session: &mut ServerSession,
    context: &mut RequestContext,
) -> Result<Routed, Box<Dispatch>> {
    let routed = read_head(gateway, session, context)?;
    let RequestContext { snapshot, outcome, place, explained, .. } = context;
    let head = session.req_header();
    let route = &routed.found.route;
    // The explanation begins before the steps that may refuse the request, so refusals are explained too. Test:
    // `refusals_and_forwarded_requests_are_explained_too`.
    if let Some(permit) = &routed.permit {
        *explained = explain(permit, gateway, snapshot, &head.method, &routed);
    }
    let protected = route.list.as_ref().map_or(&[][..], |list| list.protected.as_slice());
    let list = route.list.as_ref().filter(|_| route.methods.take(&head.method));
    let mut identifying = vec![protected, snapshot.server.client_subject.as_slice()];
    identifying.extend(route.limits.iter().map(|limits| limits.named_by()));
    identifying.extend(route.concurrency.iter().map(|concurrency| concurrency.named_by()));
    if let Err(problem) = check(&head.headers, &identifying, &snapshot.server.forwarded_headers) {
        return Err(Box::new(Dispatch::Respond(refuse(&problem, envelope_of(gateway, list, head), snapshot, outcome))));
    }
    // The client is found before its limits are charged.
    if let Some(rules) = &route.identity {
        let answer = identity::ask(&[&**rules], &head.headers, IdentityCall { gateway, snapshot, outcome }).await;
        let certificate = routed.client.certificate(session, snapshot);
        let (query, answer) = (routed.target.query.as_deref(), answer.as_deref());
        outcome.known = rules.find(RequestParts { headers: &head.headers, query, certificate, answer }).map(Arc::new);
    }
    match admit_client(gateway, &routed, snapshot, head, outcome).await {
        Ok(entered) => *place = entered,
        Err(failure) => {
            return Err(Box::new(Dispatch::Respond(shed(
                failure,
                envelope_of(gateway, list, head),
                snapshot,
                outcome,
            ))));
        }
    }
    Ok(routed)
}

/// Reads the head of a request and finds its route.
///
/// # Errors
///
/// Returns the response to a preflight, or the refusal of a target that can't be read, a path without a route, or an
/// ambiguous path of a list.
fn read_head(
    gateway: &Gateway,
    session: &mut ServerSession,
    context: &mut RequestContext,
) -> Result<Routed, Box<Dispatch>> {
    let RequestContext { snapshot, outcome, cross_origin, .. } = context;
    let refused = |problem: &Problem, envelope: Option<&EnvelopeTemplate>, outcome: &mut Outcome| {
        Box::new(Dispatch::Respond(refuse(problem, envelope, snapshot, outcome)))
    };
    let mut target = target::read(session.req_header()).map_err(|problem| refused(&problem, None, outcome))?;
    // `Client::of` removes the header, so the permit is taken first. Test:
    // `an_invalid_permit_is_ignored_and_no_permit_is_forwarded_or_logged`.
    let permit =
        gateway.explanations(snapshot).and_then(|_| session.req_header().headers.get(headers::EXPLAIN).cloned());
    let client = Client::of(session, snapshot, outcome.client);
    let Some(found) = snapshot.table.find(target.host.as_deref(), &target.normal_path) else {
        return Err(refused(&Problem::new(Code::RouteNotFound, "no route covers this path"), None, outcome));
    };
    target.list_path = found.route.list_path(&found.parameters);
    outcome.metrics = Arc::clone(&found.route.metrics);
    let head = session.req_header();
    *cross_origin = CrossOrigin::on_route(&found.route, &head.headers);
    if let Some(response) =
        cross_origin.as_ref().and_then(|cross_origin| cross_origin.preflight(&head.method, &head.headers))
    {
        return Err(Box::new(Dispatch::Preflight(response)));
    }
    // Only forwarded paths may have encoded slashes and empty segments, so no page is made for them.
    if let (Some(doubt), Some(list)) = (target.doubt, &found.route.list) {
        let is_new = gateway.sends_as_new(&head.headers).then(|| Problem::new(Code::RequestInvalid, doubt));
        if let Some(problem) = is_new.or_else(|| snapshot.guard.refusal(&snapshot.table, &found, &target, head)) {
            let envelope = &gateway.choose(list, &head.headers).convention.envelope;
            return Err(refused(&problem, Some(envelope), outcome));
        }
    }
    Ok(Routed { found, target, client, permit })
}

/// Counts a request against the limits of its client, and takes a place among the concurrent requests of its route.
/// Returns `None` if the route doesn't limit concurrent requests.
///
/// # Errors
///
/// Returns the refusal if the request is beyond a limit. The request then takes no place.
async fn admit_client(
    gateway: &Gateway,
    routed: &Routed,
    snapshot: &Snapshot,
    head: &RequestHeader,
    outcome: &mut Outcome,
) -> Result<Option<RequestPlace>, Failure> {
    let route = &routed.found.route;
    let known = outcome.known.clone();
    let client = LimitedClient { headers: &head.headers, address: routed.client.own, known: known.as_deref() };
    // A browser can't tell its script that a preflight was refused by a limit, so preflights aren't counted. Test:
    // `all_requests_count_but_preflights`.
    let cause = gateway.cause(&head.headers);
    let counts = !cors::is_preflight(&head.method, &head.headers) && cause != PageCause::Renewal;
    if let Some(limits) = route.limits.as_ref().filter(|_| counts) {
        let shared = snapshot.store.clone().map(|store| -> (Arc<dyn LimitStore>, &str) { (store, &route.name) });
        let limited = LimitedRequest::begin(limits, client, shared);
        if let Err(refusal) = outcome.limited.insert(Box::new(limited)).admit().await {
            outcome.counted.limit = Some(refusal.policy.word());
            return Err(refusal.into());
        }
    }
    // The place is taken last, so a request beyond another limit takes no place.
    let Some(concurrency) = &route.concurrency else { return Ok(None) };
    Ok(Some(concurrency.enter(Some(client).filter(|_| cause == PageCause::Request))?))
}

/// Begins to explain a request. Returns `None` if the permit isn't valid, or if too many requests are explained.
fn explain(
    permit: &HeaderValue,
    gateway: &Gateway,
    snapshot: &Snapshot,
    method: &Method,
    routed: &Routed,
) -> Option<Box<ExplainedRequest>> {
    let Routed { found, target, .. } = routed;
    let scope = PermitScope { route: &found.route.name, path: &target.normal_path };
    let mut explained = gateway.explanations(snapshot)?.begin(permit, scope, clock::unix_seconds())?;
    served::begin(&mut explained, snapshot, method, found, target);
    Some(explained)
}

/// Answers a request for a list. The route serves the list by the request's method.
async fn answer_list(
    gateway: &Gateway,
    session: &mut ServerSession,
    context: &mut RequestContext,
    list: &List,
    Routed { found, target, client, .. }: Routed,
) -> Dispatch {
    let RequestContext { snapshot, outcome, held, explained, .. } = context;
    let head = session.req_header();
    let by_post = head.method == Method::POST;
    let mut headers = head.headers.clone();
    let (sent_as_new, part) = (gateway.sends_as_new(&headers), gateway.part(&headers));
    let chosen = gateway.take_choice(list, &mut headers);
    let is_new = sent_as_new || (chosen.by_preference && list.conventions.marks_by_preference());
    gateway.hide_form(session.req_header_mut());
    // Some services read filters from the body of a GET request. Such a request passes like any other of an old client,
    // and in one for a page the members are filters, as by POST. The head's framing has been checked, so the body can't
    // be another request (RFC 9110 section 9.3.1). Test: `a_get_request_with_a_body_is_read_as_one_by_post`.
    let has_body = by_post || (!session.is_body_empty() && !body::ends_empty(session).await);
    let parameters = found.parameters.clone();
    let (now, began, trace) = (clock::unix_seconds(), outcome.began(), outcome.trace.clone());
    let known = outcome.known.clone();
    let body = None;
    let mut asked = ClientRequest { target, parameters, headers, body, is_new, part, client, known, now, began, trace };
    if has_body {
        let call = ListCall { snapshot, asked: &asked, route: &found.route, list, chosen: &chosen, kept: None };
        let read = match read_body(session, call, held, outcome).await {
            Ok(read) => read,
            Err(response) => return Dispatch::Respond(*response),
        };
        match read {
            PostRequest::Body(body) => asked.body = Some(body),
            PostRequest::Passes(successor, body) => {
                let forwarded = Forwarded { found, target: asked.target, client, successor: Some(successor), body };
                return pass(forwarded, &session.req_header().method, explained);
            }
        }
        // The time that the client took for its body does not count against the page's budget of time.
        asked.began = clock::instant();
    }
    let call = ListCall { snapshot, asked: &asked, route: &found.route, list, chosen: &chosen, kept: None };
    let record = explained.as_ref().map(|_| Box::<PageRecord>::default());
    let served = {
        let page = pin!(page(gateway, call, snapshot, &found.route, record.as_deref(), held, outcome));
        unless_gone(session, page).await
    };
    if let (Some(explained), Some(record)) = (explained.as_mut(), record) {
        served::page(explained, *record, served.as_ref());
    }
    match served {
        None => Dispatch::Gone,
        Some(Ok(Served::Response(response))) => Dispatch::Respond(response),
        Some(Ok(Served::Forward)) => {
            let successor = Some(first_page(call));
            let body = asked.body.map(|body| body.into_sent().into());
            let forwarded = Forwarded { found, target: asked.target, client, successor, body };
            pass(forwarded, &session.req_header().method, explained)
        }
        Some(Err(failure)) => Dispatch::Respond(fail(failure, call, outcome)),
    }
}

/// Serves a page, through the cache if the route has one and the request isn't explained.
async fn page(
    gateway: &Gateway,
    call: ListCall<'_>,
    snapshot: &Arc<Snapshot>,
    route: &Arc<Route>,
    record: Option<&PageRecord>,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    let fetcher = &gateway.fetcher;
    match (&call.list.page_cache, record) {
        // A page of a part has a header of its own, so it isn't the page of other requests.
        (Some(_), None) if call.asked.part.is_whole() => {
            let owners = CallOwners { snapshot, route, is_running: !gateway.vitals.is_stopping() };
            // The future is boxed, because only routes with a cache need it.
            boxed(|| cache::serve::serve(call, owners, fetcher, held, outcome)).await
        }
        // An explanation shows the requests to the upstream, so an explained request does not use the cache.
        _ => serve(call, record, None, fetcher, held, outcome).await,
    }
}

/// Returns the decision to forward a request. Records it in the explanation of a request that is explained.
fn pass(forwarded: Forwarded, method: &Method, explained: &mut Option<Box<ExplainedRequest>>) -> Dispatch {
    if let Some(explained) = explained {
        served::not_paged(explained, &forwarded.found, &forwarded.target, method);
    }
    Dispatch::Forward(Box::new(forwarded))
}

/// A request for a list with a body, before its page is made.
enum PostRequest {
    Body(RequestBody),
    /// The request passes to the upstream. The string is the link to the list's first page, and the bytes are what was
    /// read of the body; `None` if nothing was.
    Passes(String, Option<Bytes>),
}

/// Reads the body of a request, unless the request is a legacy request that passes to the upstream.
///
/// # Errors
///
/// Returns the response to a body that can't be read, or to a legacy request that is refused.
async fn read_body(
    session: &mut ServerSession,
    call: ListCall<'_>,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<PostRequest, Box<Response>> {
    let ListCall { snapshot, asked, list, chosen, .. } = call;
    let Convention { parameters, envelope, .. } = chosen.convention;
    let Some(kind) = parameters.passed(asked.query()).filter(|_| !asked.is_new) else {
        let read = body::read(session, (&list.budgets).into(), held).await;
        return read.map(PostRequest::Body).map_err(|failure| Box::new(fail(failure, call, outcome)));
    };
    let scanned = match parameters.reads_bodies() {
        true => body::scan(session, (&list.budgets).into(), held).await,
        false => Ok(ScannedBody::Unread),
    };
    let scanned = match scanned {
        Ok(ScannedBody::Parsed(body)) => {
            // A cursor would lead to another page where a service reads the body by its type, so it isn't passed on.
            // Test: `a_marked_body_of_another_type_is_refused`.
            if list.conventions.is_marked(&asked.headers, asked.query(), Some(&body))
                && let Err(problem) = check_head(&asked.headers)
            {
                return Err(Box::new(fail(problem.into(), call, outcome)));
            }
            return Ok(PostRequest::Body(body));
        }
        Ok(scanned) => scanned,
        Err(failure) => return Err(Box::new(fail(failure, call, outcome))),
    };
    note_paging(list, asked, &kind, outcome);
    let first = first_page(call);
    // Only the query decides the policy, because the body hasn't been read.
    if let LegacyDecision::Reject(mut problem) = legacy::decide(&kind, &list.legacy, asked.now, || first.clone()) {
        // A client reads the refusal only after it has sent its body, so the body is read and discarded, within the
        // limits of the list.
        if !session.is_body_done() {
            let _ = body::receive(session, (&list.budgets).into(), held).await;
        }
        problem.leave_out_links(first_cursor(chosen.convention));
        return Err(Box::new(refuse(&problem, Some(envelope), snapshot, outcome)));
    }
    // No page is opened for a request that passes, so the request is counted against the limit of legacy requests here.
    // Test: `legacy_requests_by_post_are_limited_too`.
    if let Err(failure) = limit_legacy(list, &kind, asked.now, String::new, outcome).await {
        let failure = failure.without_links(first_cursor(chosen.convention));
        return Err(Box::new(shed(failure, Some(envelope), snapshot, outcome)));
    }
    Ok(PostRequest::Passes(first, scanned.into_sent()))
}

/// Takes the memory and the slot at the upstream that a forwarded request needs.
///
/// # Errors
///
/// Returns 503 `overloaded` if no memory is left, or if no slot becomes free within the maximum wait for a slot.
async fn admit(
    forwarded: &Forwarded,
    headers: &HeaderMap,
    known: Option<&KnownClient>,
    held: &MemoryShare,
) -> Result<UpstreamSlot, Failure> {
    held.take(PASSING)?;
    let client = LimitedClient { headers, address: forwarded.client.own, known };
    // A forwarded request has no budget of time: the queue bounds the wait.
    Ok(forwarded.found.route.upstream.slots.take(client, Duration::MAX).await?)
}

/// Returns the envelope that a request for a list chooses, in whose form problems are written; `None` without a list.
fn envelope_of<'l>(gateway: &Gateway, list: Option<&'l List>, head: &RequestHeader) -> Option<&'l EnvelopeTemplate> {
    list.map(|list| &gateway.choose(list, &head.headers).convention.envelope)
}

/// Returns the response to a request that failed before its page or its forwarding began, or in a service.
fn shed(failure: Failure, envelope: Option<&EnvelopeTemplate>, snapshot: &Snapshot, outcome: &mut Outcome) -> Response {
    match failure {
        Failure::Passed(response) => *response,
        Failure::Refused { problem, detail } => {
            outcome.detail = detail;
            refuse(&problem, envelope, snapshot, outcome)
        }
    }
}

/// Runs `work` and returns its output, or `None` if the client leaves first. The caller then drops the work, which
/// cancels its upstream requests.
pub async fn unless_gone<W: Future>(session: &mut ServerSession, mut work: Pin<&mut W>) -> Option<W::Output> {
    let mut left = UNWANTED_BODY;
    loop {
        let is_read = session.is_body_done();
        tokio::select! {
            biased;
            // The output takes precedence: a finished page isn't given up because the client leaves at the same moment.
            output = &mut work => return Some(output),
            // A half-closed connection looks like a closed one. Bytes after the request don't end the wait (`Gated`).
            // Test: `a_client_that_closes_its_sending_direction_is_gone`.
            read = session.read_body_or_idle(is_read) => match read {
                // Some clients send a body with each request, also in a packet after the head. Bytes of a body that the
                // request doesn't need are no sign that the client has left. Test:
                // `a_late_body_that_nobody_reads_does_not_end_a_request`.
                Ok(part) if !is_read => {
                    let Some(less) = left.checked_sub(part.map_or(0, |part| part.len())) else {
                        session.set_keepalive(None);
                        return Some(work.await);
                    };
                    left = less;
                }
                _ => return None,
            }
        }
    }
}

/// Returns the response to a request for a list that gets no page, with links to the first page where they help.
fn fail(failure: Failure, call: ListCall<'_>, outcome: &mut Outcome) -> Response {
    let ListCall { snapshot, asked, list, chosen, .. } = call;
    match failure {
        Failure::Passed(response) => *response,
        Failure::Refused { mut problem, detail } => {
            // If the core refused the page, it has already written the details to `outcome.detail`.
            outcome.explain(detail);
            if asked.body.is_some() {
                problem.leave_out_links(first_cursor(chosen.convention));
            } else if problem.restart.is_none() && problem.code.restarts() {
                problem.restart = Some(first_page(call));
            }
            let mut response = refuse(&problem, Some(&chosen.convention.envelope), snapshot, outcome);
            // The limits for all requests refuse in `admit_client`, so `rate_limited` can only be from the limit of
            // legacy requests here.
            let is_old = matches!(problem.code, Code::LegacyRejected | Code::RateLimited);
            if is_old && asked.body.is_none() {
                list.mark_legacy(&mut response.headers, &first_page(call));
            }
            response
        }
    }
}

/// Returns the parameter in which clients send the cursor of the next page, with the first cursor; `None` if the
/// convention has none.
fn first_cursor(convention: &Convention) -> Option<(&str, &str)> {
    let parameters = &convention.parameters;
    let name = parameters.name(Role::Cursor).or_else(|| parameters.name(Role::After))?;
    Some((name, parameters.first_cursor()))
}

/// Returns the link to the first page. The link keeps the filters, the sort and the limit of the query, as far as these
/// can be read.
fn first_page(call: ListCall<'_>) -> String {
    let base = call.asked.link_base(call.route, call.snapshot);
    base.url(&call.chosen.convention.parameters.restart_query(call.asked.query()))
}
