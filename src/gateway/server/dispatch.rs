//! What becomes of a request: a page, a refusal, or the upstream's own answer. Watches the client meanwhile.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use http::Method;
use pingora::{protocols::http::ServerSession, proxy::Session};

use crate::{
    config::settings::Role,
    downstream::{Code, Convention, LegacyDecision, LinkBase, Problem, Response, response::legacy},
    gateway::{
        forward,
        lifecycle::snapshot::Snapshot,
        outcome::{access_log::Outcome, failure::Failure},
        page::serve::{Served, note, serve},
        request::target,
        routes::{cross_origin::Crossing, list::List, route::Route},
        runtime::{clock, futures::caught},
        session::{
            body,
            client_request::{Asked, Client},
            context::{Context, Forwarded, Gateway, seam},
            respond::{self, refuse},
        },
        shared::slots::Slot,
    },
    upstream::{net::memory::Held, request::headers},
};

/// How much memory a forwarded request is counted with while its answer is short: as much as every request may hold as
/// long as anything is left.
const PASSING: usize = 128 << 10;

/// What is to be done.
enum Verdict {
    /// Write this.
    Respond(Response),
    /// Write this, and nothing beside it: it tells a browser what it may send.
    Preflight(Response),
    /// Let the upstream answer it.
    Forward(Box<Forwarded>),
    /// Nobody is there any more.
    Gone,
}

/// Answers a request.
///
/// # Errors
///
/// Where an answer that passes broke off after it had begun.
pub(crate) async fn answer(gateway: &Gateway, session: &mut Session, context: &mut Context) -> pingora::Result<()> {
    let Context { snapshot, outcome, crossing, held, slot, .. } = context;
    let decided = {
        // A large future, as that of the page in it: pinned where it is made, it is never moved.
        let deciding = pin!(decide(gateway, session, snapshot, (held, outcome), crossing));
        caught(deciding).await
    };
    let verdict = match decided {
        Ok(Verdict::Forward(forwarded)) => match admit(&forwarded, held).await {
            Ok(taken) => {
                *slot = Some(taken);
                Verdict::Forward(forwarded)
            }
            Err(failure) => Verdict::Respond(shed(failure, snapshot, outcome)),
        },
        Ok(verdict) => verdict,
        Err(panic) => {
            outcome.detail = Some(panic);
            session.set_keepalive(None);
            let problem = Problem::new(Code::Internal, "the gateway failed; the request id helps to find out why");
            Verdict::Respond(refuse(&problem, None, snapshot, outcome))
        }
    };
    // A client that asks again while the process drains does so on a connection that reaches another process; a client that
    // sent on before its answer is not heard again.
    if gateway.vitals.is_stopping() || context.surplus.is_there() {
        session.set_keepalive(None);
    }
    match verdict {
        Verdict::Respond(mut response) => {
            if let Some(crossing) = crossing {
                crossing.apply(&mut response.headers);
            }
            respond::write(session, response, held, outcome).await;
        }
        Verdict::Preflight(response) => respond::write(session, response, held, outcome).await,
        Verdict::Forward(forwarded) => {
            // A large future, made where it is needed.
            return Box::pin(forward::forward(gateway, session, &forwarded, context)).await;
        }
        Verdict::Gone => {
            outcome.code = Some("client_gone");
            session.set_keepalive(None);
        }
    }
    Ok(())
}

async fn decide(
    gateway: &Gateway,
    session: &mut Session,
    snapshot: &Snapshot,
    (held, outcome): (&Held, &mut Outcome),
    crossing: &mut Option<Crossing>,
) -> Verdict {
    seam(outcome, "decide");
    let session = session.as_downstream_mut();
    let target = match target::read(session.req_header()) {
        Ok(target) => target,
        Err(problem) => return Verdict::Respond(refuse(&problem, None, snapshot, outcome)),
    };
    let client = Client::of(session, snapshot);
    let Some(found) = snapshot.table.find(target.host.as_deref(), &target.normal_path) else {
        let problem = Problem::new(Code::RouteNotFound, "no route covers this path");
        return Verdict::Respond(refuse(&problem, None, snapshot, outcome));
    };
    outcome.metrics = Arc::clone(&found.route.metrics);
    let head = session.req_header();
    *crossing = Crossing::of(&found.route, &head.headers);
    if let Some(response) = crossing.as_ref().and_then(|crossing| crossing.preflight(&head.method, &head.headers)) {
        return Verdict::Preflight(response);
    }
    if let (Some(doubt), Some(list)) = (target.doubt, &found.route.list) {
        let problem = Problem::new(Code::RequestInvalid, doubt);
        let envelope = &list.conventions.choose(&session.req_header().headers).convention.envelope;
        return Verdict::Respond(refuse(&problem, Some(envelope), snapshot, outcome));
    }
    let head = session.req_header();
    let list = found.route.list.as_ref();
    let protected = list.map_or(&[][..], |list| list.protected.as_slice());
    let list = list.filter(|_| found.route.methods.take(&head.method));
    let by_post = head.method == Method::POST;
    if let Err(refusal) = headers::nominations(&head.headers, &[protected, &snapshot.server.forwarded_headers]) {
        let problem = Problem::new(Code::RequestInvalid, refusal.to_string());
        let envelope = list.map(|list| &list.conventions.choose(&head.headers).convention.envelope);
        return Verdict::Respond(refuse(&problem, envelope, snapshot, outcome));
    }
    let Some(list) = list else {
        if let Some(problem) = snapshot.guard.refusal(&snapshot.table, &found, &target, head) {
            return Verdict::Respond(refuse(&problem, None, snapshot, outcome));
        }
        return Verdict::Forward(Box::new(Forwarded { found, target, client, successor: None }));
    };
    let mut headers = head.headers.clone();
    let chosen = list.conventions.choose(&headers);
    list.conventions.take_from(&mut headers, chosen.convention);
    if !by_post && !session.is_body_empty() {
        session.set_keepalive(None);
        let problem = Problem::new(Code::RequestInvalid, "a list is asked for without a body");
        return Verdict::Respond(refuse(&problem, Some(&chosen.convention.envelope), snapshot, outcome));
    }
    let parameters = found.parameters.clone();
    let (now, began) = (clock::unix_seconds(), outcome.began());
    let mut asked = Asked { target, parameters, headers, body: None, client, now, began };
    if by_post {
        let Convention { parameters, envelope, .. } = chosen.convention;
        // What passes does so before anything of its body is read: all of it goes on. Nor is it asked what the body says
        // once the policy has ended.
        if let Some(kind) = parameters.passed(asked.query()) {
            note(list, &asked, &kind, outcome);
            let first = first_page(&asked.link_base(&found.route, snapshot), chosen.convention, &asked);
            if let LegacyDecision::Reject(mut problem) = legacy::decide(&kind, &list.legacy, now, || first.clone()) {
                // Read all the same, as far as one is, so that the client sends it to its end and reads why.
                let _ = body::read(session, &list.budgets, held).await;
                problem.leave_out_links(&begins(chosen.convention));
                return Verdict::Respond(refuse(&problem, Some(envelope), snapshot, outcome));
            }
            let successor = Some(first);
            return Verdict::Forward(Box::new(Forwarded { found, target: asked.target, client, successor }));
        }
        match body::read(session, &list.budgets, held).await {
            Ok(body) => asked.body = Some(body),
            Err(failure) => {
                let convention = chosen.convention;
                return Verdict::Respond(fail(failure, &asked, &found.route, (list, convention), snapshot, outcome));
            }
        }
        // How long the client took to send it is not the page's time.
        asked.began = clock::instant();
    }
    let served = {
        let page = pin!(serve(gateway, snapshot, &asked, &found.route, list, &chosen, (held, outcome)));
        unless_gone(session, page).await
    };
    let Some(served) = served else { return Verdict::Gone };
    match served {
        Ok(Served::Response(response)) => Verdict::Respond(response),
        Ok(Served::Forward) => {
            let successor = Some(first_page(&asked.link_base(&found.route, snapshot), chosen.convention, &asked));
            Verdict::Forward(Box::new(Forwarded { found, target: asked.target, client, successor }))
        }
        Err(failure) => {
            Verdict::Respond(fail(failure, &asked, &found.route, (list, chosen.convention), snapshot, outcome))
        }
    }
}

/// Takes the memory and the slot at the upstream that a forwarded request needs.
async fn admit(forwarded: &Forwarded, held: &Held) -> Result<Slot, Failure> {
    held.take(PASSING)?;
    Ok(forwarded.found.route.upstream.slots.take(Duration::MAX).await?)
}

/// The response to a forwarded request that finds no memory or no slot.
fn shed(failure: Failure, snapshot: &Snapshot, outcome: &mut Outcome) -> Response {
    match failure {
        Failure::Passed(response) => *response,
        Failure::Refused { problem, detail } => {
            outcome.detail = detail;
            refuse(&problem, None, snapshot, outcome)
        }
    }
}

/// What the work gives, or nothing once the client is gone: then the work is dropped, and with it what it asked of the
/// upstream.
async fn unless_gone<W: Future>(session: &mut ServerSession, mut work: Pin<&mut W>) -> Option<W::Output> {
    tokio::select! {
        biased;
        output = &mut work => Some(output),
        // A client that only ends its own direction can't be told from one that is gone. Who sends on is not heard here.
        _ = session.read_body_or_idle(true) => None,
    }
}

/// The response to a list request that gets no page.
fn fail(
    failure: Failure,
    asked: &Asked,
    route: &Route,
    (list, convention): (&List, &Convention),
    snapshot: &Snapshot,
    outcome: &mut Outcome,
) -> Response {
    match failure {
        Failure::Passed(response) => *response,
        Failure::Refused { mut problem, detail } => {
            outcome.detail = detail;
            if asked.body.is_some() {
                problem.leave_out_links(&begins(convention));
            } else if problem.restart.is_none() && problem.code.restarts() {
                problem.restart = Some(first_page(&asked.link_base(route, snapshot), convention, asked));
            }
            let mut response = refuse(&problem, Some(&convention.envelope), snapshot, outcome);
            if problem.code == Code::LegacyRejected && asked.body.is_none() {
                let successor = first_page(&asked.link_base(route, snapshot), convention, asked);
                list.mark_legacy(&mut response.headers, &successor);
            }
            response
        }
    }
}

/// How one begins again where the cursor stands in the body.
fn begins(convention: &Convention) -> String {
    let parameters = &convention.parameters;
    match parameters.name(Role::Cursor).or_else(|| parameters.name(Role::After)) {
        Some(name) => format!("begin again without `{name}`"),
        None => "begin again at the first page".to_owned(),
    }
}

/// The link to the first page, whatever is wrong with the query.
fn first_page(base: &LinkBase, convention: &Convention, asked: &Asked) -> String {
    base.url(&convention.parameters.restart_query(asked.query()))
}
