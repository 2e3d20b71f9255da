//! What becomes of a request: a page, a refusal, or the upstream's own answer. Watches the client meanwhile.

use std::{future::Future, pin::pin, sync::Arc};

use http::{HeaderValue, Method, header};
use pingora::{
    ErrorType,
    protocols::http::{ServerSession, v1::server::HttpSession as SessionV1},
    proxy::Session,
};

use super::{
    Context, Forwarded, Gateway,
    access_log::Outcome,
    asked::{Asked, Client},
    clock,
    failure::Failure,
    front::{self, Target},
    join::caught,
    list::List,
    respond,
    serve::{Served, serve},
    snapshot::{Route, Snapshot},
};
use crate::{
    downstream::{Code, EnvelopeTemplate, LinkBase, Problem, Response, legacy},
    upstream::headers,
};

/// What is to be done.
enum Verdict {
    /// Write this.
    Respond(Response),
    /// Let Pingora proxy the request.
    Forward(Box<Forwarded>),
    /// Nobody is there any more.
    Gone,
}

/// Answers a request, unless it is to be forwarded: then the result is false.
pub(super) async fn answer(gateway: &Gateway, session: &mut Session, context: &mut Context) -> pingora::Result<bool> {
    let Context { snapshot, outcome, .. } = context;
    let verdict = match caught(decide(gateway, session, snapshot, outcome)).await {
        Ok(verdict) => verdict,
        Err(panic) => {
            outcome.detail = Some(panic);
            session.set_keepalive(None);
            let problem = Problem::new(Code::Internal, "the gateway failed; the request id helps to find out why");
            Verdict::Respond(refuse(&problem, None, snapshot, outcome))
        }
    };
    match verdict {
        Verdict::Respond(response) => respond::write(session, response, outcome).await,
        Verdict::Forward(forwarded) => {
            (context.outcome.forwarded, context.forwarded) = (true, Some(*forwarded));
            return Ok(false);
        }
        Verdict::Gone => {
            outcome.code = Some("client_gone");
            session.set_keepalive(None);
        }
    }
    Ok(true)
}

async fn decide(gateway: &Gateway, session: &mut Session, snapshot: &Snapshot, outcome: &mut Outcome) -> Verdict {
    let session = session.as_downstream_mut();
    let target = match read_head(session, snapshot) {
        Ok(target) => target,
        Err(problem) => {
            // What comes behind a CONNECT is no request. Where Content-Length and Transfer-Encoding contradict each other,
            // and where a body was not read, Pingora closes the connection by itself.
            if session.req_header().method == Method::CONNECT {
                session.set_keepalive(None);
            }
            return Verdict::Respond(refuse(&problem, None, snapshot, outcome));
        }
    };
    let Some(found) = snapshot.table.find(target.host.as_deref(), &target.normal_path) else {
        let problem = Problem::new(Code::RouteNotFound, "no route covers this path");
        return Verdict::Respond(refuse(&problem, None, snapshot, outcome));
    };
    outcome.metrics = Arc::clone(&found.route.metrics);
    if let (Some(doubt), true) = (target.doubt, found.route.list.is_some()) {
        let problem = Problem::new(Code::RequestInvalid, doubt);
        return Verdict::Respond(refuse(&problem, None, snapshot, outcome));
    }
    let client = Client::of(session, snapshot);
    let head = session.req_header();
    let list = found.route.list.as_ref();
    let protected = list.map_or(&[][..], |list| list.protected.as_slice());
    let list = list.filter(|_| matches!(head.method, Method::GET | Method::HEAD));
    if let Err(refusal) = headers::nominations(&head.headers, protected) {
        let problem = Problem::new(Code::RequestInvalid, refusal.to_string());
        return Verdict::Respond(refuse(&problem, list.map(|list| &list.envelope), snapshot, outcome));
    }
    let Some(list) = list else {
        return Verdict::Forward(Box::new(Forwarded { found, target, client, successor: None }));
    };
    let headers = head.headers.clone();
    if !session.is_body_empty() {
        session.set_keepalive(None);
        let problem = Problem::new(Code::RequestInvalid, "a list is asked for without a body");
        return Verdict::Respond(refuse(&problem, Some(&list.envelope), snapshot, outcome));
    }
    let parameters = found.parameters.clone();
    let asked = Asked { target, parameters, headers, client, now: clock::unix_seconds(), began: outcome.began() };
    let page = serve(gateway, snapshot, &asked, &found.route, list, outcome);
    let Some(served) = unless_gone(session, Box::pin(page)).await else { return Verdict::Gone };
    match served {
        Ok(Served::Response(response)) => Verdict::Respond(response),
        Ok(Served::Forward) => {
            let successor = Some(first_page(&asked.link_base(&found.route, snapshot), list, &asked));
            Verdict::Forward(Box::new(Forwarded { found, target: asked.target, client, successor }))
        }
        Err(failure) => Verdict::Respond(fail(failure, &asked, &found.route, list, snapshot, outcome)),
    }
}

fn read_head(session: &ServerSession, snapshot: &Snapshot) -> Result<Target, Box<Problem>> {
    let raw = session.as_http1().map(SessionV1::get_headers_raw_bytes).unwrap_or_default();
    front::read(session.req_header(), &raw, snapshot.server.head_size)
}

/// What the work gives, or nothing once the client is gone: then the work is dropped, and with it what it asked of the
/// upstream.
async fn unless_gone<W: Future>(session: &mut ServerSession, work: W) -> Option<W::Output> {
    let mut work = pin!(work);
    let heard = tokio::select! {
        biased;
        output = &mut work => return Some(output),
        heard = session.read_body_or_idle(true) => heard,
    };
    match heard {
        Err(error) if *error.etype() != ErrorType::ConnectError => None,
        // The client sent on, and a byte of it is lost: this request is finished, and no other is read.
        _ => {
            session.set_keepalive(None);
            Some(work.await)
        }
    }
}

/// The response to a list request that gets no page.
fn fail(
    failure: Failure,
    asked: &Asked,
    route: &Route,
    list: &List,
    snapshot: &Snapshot,
    outcome: &mut Outcome,
) -> Response {
    match failure {
        Failure::Passed(response) => *response,
        Failure::Refused { mut problem, detail } => {
            outcome.detail = detail;
            if problem.restart.is_none() && problem.code.restarts() {
                problem.restart = Some(first_page(&asked.link_base(route, snapshot), list, asked));
            }
            let mut response = refuse(&problem, Some(&list.envelope), snapshot, outcome);
            if problem.code == Code::LegacyRejected {
                response.headers.extend(list.legacy_headers.iter().cloned());
                let successor = first_page(&asked.link_base(route, snapshot), list, asked);
                legacy::add_links(&mut response.headers, list.legacy.documentation.as_deref(), &successor);
            }
            response
        }
    }
}

/// The link to the first page, whatever is wrong with the query.
fn first_page(base: &LinkBase, list: &List, asked: &Asked) -> String {
    base.url(&list.parameters.restart_query(asked.query()))
}

/// A problem as a response, remembered for the log.
pub(super) fn refuse(
    problem: &Problem,
    envelope: Option<&EnvelopeTemplate>,
    snapshot: &Snapshot,
    outcome: &mut Outcome,
) -> Response {
    outcome.code = Some(problem.code.as_str());
    let types = snapshot.server.problem_types.as_deref();
    let mut response = problem.render(types, &outcome.request_id, envelope);
    if problem.status == 503 && !response.headers.contains_key(header::RETRY_AFTER) {
        response.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
