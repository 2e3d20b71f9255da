//! Explanations of requests: the route that a request matches, its treatment there, and the first upstream requests of
//! its page. The same code as for served pages computes them. Upstream requests are sent only if
//! `AskedRequest::is_live` is set. The explanation of a client's request with a permit has the same facts, which are
//! recorded while the request is served (`served`).

pub mod document;
pub mod served;

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use pingora::http::RequestHeader;

use super::{
    lifecycle::snapshot::Snapshot,
    outcome::{access_log::Outcome, failure::Failure, trace::RequestTrace},
    page::{
        context::{ListCall, PageContext},
        cursors::RequestCursors,
        exchange::{
            Exchange, PageDecision,
            watched::{OpenedPage, PageRecord, PlannedFetch, WatchedPage, words},
        },
    },
    request::target::{self, RequestTarget},
    routes::{list::List, route::Route, table::RouteMatch},
    runtime::clock,
    session::{
        client_request::{Client, ClientRequest},
        list_part::ListPart,
    },
};
use crate::net::fetch::{AskedPeer, Fetcher};
use cursorgate_config::settings::Settings;
use cursorgate_cursor::permit::{PermitKey, PermitScope};
use cursorgate_translate::downstream::RequestBody;

/// The reason shown if a legacy request to a list is forwarded to the upstream.
const PASSES: &str = "the request pages as old clients do, and the route lets such requests pass";

/// A request that is to be explained.
#[derive(Clone, Debug)]
pub struct AskedRequest {
    pub method: Method,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The host and port of the URL; `None` if the URL is only a path.
    pub authority: Option<String>,
    /// The path and the query.
    pub target: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The JSON body of a POST request; `None` for other methods.
    pub body: Option<Vec<u8>>,
    /// True if cursors are signed with the keys of the configuration. If its secrets are missing, the keys are
    /// invented, and no cursor of a client can be read.
    pub has_keys: bool,
    /// True if the upstream requests of the page are to be sent, not only planned.
    pub is_live: bool,
}

#[derive(Debug)]
pub struct RequestExplanation {
    /// The name of the route, and the reason that it is chosen. `None` if no route covers the path, or if the request
    /// is invalid.
    pub route: Option<(String, String)>,
    /// The names of the other routes, each with the reason that it isn't chosen.
    pub others: Vec<(String, String)>,
    pub fate: RequestFate,
}

/// The treatment of a request.
#[derive(Debug)]
pub enum RequestFate {
    /// The gateway refuses the request, for this reason.
    Refused(String),
    /// The gateway forwards the request to this upstream. `target` is the path and query there, and `why` is the
    /// reason.
    Forwarded { upstream: String, target: String, why: String },
    /// The gateway answers with a page.
    Paged(Box<ExplainedPage>),
}

/// The explanation of a request for a page.
#[derive(Debug)]
pub struct ExplainedPage {
    pub opened: OpenedPage,
    /// The first upstream requests of the page, or the reason that there are none, such as a refusal or a redirect.
    pub requests: Result<Vec<PlannedFetch>, String>,
    /// The page with all of its upstream requests; `None` if the requests weren't sent.
    pub watched: Option<WatchedPage>,
}

/// Signs a permit that lets a client have its requests explained. The permit covers the route and the path of
/// `request`, and is valid until `until`, in seconds since 1970.
///
/// # Errors
///
/// Returns the reason that no permit can be signed: the configuration has no `admin.explain_key`, the request is
/// invalid, or no route covers its path.
pub fn permit(settings: &Settings, snapshot: &Snapshot, request: &AskedRequest, until: u64) -> Result<String, String> {
    let key = settings.admin.as_ref().and_then(|admin| admin.explain_key.as_ref());
    let key = key.ok_or("the configuration has no admin.explain_key, so no request is explained")?;
    let head = head(request).map_err(|error| format!("the request can't be written: {error}"))?;
    let target = target::read(&head).map_err(|problem| problem.detail.to_string())?;
    let found = snapshot.table.find(target.host.as_deref(), &target.normal_path);
    let found = found.ok_or("no route covers this path")?;
    let scope = PermitScope { route: &found.route.name, path: &target.normal_path };
    Ok(PermitKey::new(key.reveal()).sign(scope, until))
}

/// Explains a request; sends the upstream requests of its page if `request.is_live`.
pub async fn explain(snapshot: &Snapshot, request: AskedRequest) -> RequestExplanation {
    let refused = |why: String, others| RequestExplanation { route: None, others, fate: RequestFate::Refused(why) };
    let head = match head(&request) {
        Ok(head) => head,
        Err(error) => return refused(format!("the request can't be written: {error}"), Vec::new()),
    };
    let mut target = match target::read(&head) {
        Ok(target) => target,
        Err(problem) => {
            return refused(format!("{} {}: {}", problem.status, problem.code.as_str(), problem.detail), Vec::new());
        }
    };
    let Some(found) = snapshot.table.find(target.host.as_deref(), &target.normal_path) else {
        let others = others(snapshot, None, &target);
        return refused("404 route_not_found: no route covers this path".to_owned(), others);
    };
    target.list_path = found.route.list_path(&found.parameters);
    let (route, others) = (found.route.clone(), others(snapshot, Some(&found.route), &target));
    let list = route.list.as_ref().filter(|_| route.methods.take(&request.method));
    let is_unclear = list.is_none() || target.doubt.is_some();
    let unpaged = route.refusal(&request.method, &head.headers, target.query.as_deref(), None);
    let guarded = || snapshot.guard.refusal(&snapshot.table, &found, &target, &head).filter(|_| is_unclear);
    let fate = match (unpaged.or_else(guarded), list) {
        (Some(problem), _) => {
            RequestFate::Refused(format!("{} {}: {}", problem.status, problem.code.as_str(), problem.detail))
        }
        (None, Some(list)) => paged(snapshot, request, found, list, target, head.headers.clone()).await,
        (None, None) => forwarded(&found, &target, not_a_page(&route, &request.method)),
    };
    RequestExplanation { route: Some((route.name.clone(), fits(&route))), others, fate }
}

fn head(request: &AskedRequest) -> pingora::Result<RequestHeader> {
    let mut head = RequestHeader::build(request.method.clone(), request.target.as_bytes(), None)?;
    if let Some(authority) = &request.authority {
        head.insert_header(header::HOST, authority.as_str())?;
    }
    for (name, value) in &request.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    Ok(head)
}

fn fits(route: &Route) -> String {
    match route.hosts.as_slice() {
        [] => format!("its path {} fits, at every host", route.path.value),
        hosts => format!("its path {} fits, at {}", route.path.value, hosts.join(", ")),
    }
}

/// Returns the reason that a request with this route gets no page.
fn not_a_page(route: &Route, method: &Method) -> String {
    match (&route.list, &route.observed) {
        (Some(_), _) if route.methods.take(method) => PASSES.to_owned(),
        (Some(_), _) => format!("the list is not for {method}"),
        (None, Some(_)) => "the route observes: every request passes through".to_owned(),
        (None, None) => "the route forwards everything".to_owned(),
    }
}

fn forwarded(found: &RouteMatch, target: &RequestTarget, why: String) -> RequestFate {
    let query = target.query.as_deref().unwrap_or_default();
    let asked = found.route.passed_target(&target.path, &found.parameters, query);
    RequestFate::Forwarded { upstream: found.route.upstream.name.clone(), target: asked, why }
}

/// Returns the names of the routes other than `found`, each with the reason that it isn't chosen.
fn others(snapshot: &Snapshot, found: Option<&std::sync::Arc<Route>>, target: &RequestTarget) -> Vec<(String, String)> {
    let others = snapshot.routes.iter().filter(|route| found.is_none_or(|found| found.name != route.name));
    others.map(|route| (route.name.clone(), why_not(route, target))).collect()
}

fn why_not(route: &Route, target: &RequestTarget) -> String {
    let host = target.host.as_deref().unwrap_or_default();
    if !route.hosts.is_empty() && !route.hosts.iter().any(|known| known == host) {
        return format!("the route is for {}, and the host is {host:?}", route.hosts.join(", "));
    }
    let path = route.path.value.as_str();
    let (base, has_rest) = path.split_once("/{*").map_or((path, false), |(base, _)| (base, true));
    let segments =
        |path: &str| -> Vec<String> { path.trim_end_matches('/').split('/').skip(1).map(str::to_owned).collect() };
    let (known, asked) = (segments(base), segments(&target.normal_path));
    let differs = known.iter().zip(&asked).find(|(known, asked)| !known.starts_with('{') && known != asked);
    match differs {
        Some((known, asked)) => format!("its path is {path}: {known:?} is not {asked:?}"),
        None if asked.len() < known.len() => format!("its path is {path}, which is longer"),
        None if asked.len() > known.len() && !has_rest => format!("its path is {path}, which is shorter"),
        None => format!("its path {path} fits too, and the other one is more specific"),
    }
}

/// Explains a request for a list: its page, or the reason that it is refused or forwarded.
async fn paged(
    snapshot: &Snapshot,
    request: AskedRequest,
    found: RouteMatch,
    list: &List,
    target: RequestTarget,
    mut headers: HeaderMap,
) -> RequestFate {
    let chosen = list.conventions.choose(&headers);
    list.conventions.take_from(&mut headers, chosen.convention);
    let body = match request.body.map(|body| RequestBody::read(body, list.budgets.body_depth)).transpose() {
        Ok(body) => body,
        Err(problem) => return RequestFate::Refused(format!("{}: {}", problem.code.as_str(), problem.detail)),
    };
    let (address, version) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Version::HTTP_11);
    let asked = ClientRequest {
        target,
        parameters: found.parameters.clone(),
        headers,
        body,
        is_new: chosen.by_preference && list.conventions.marks_by_preference(),
        part: ListPart::default(),
        client: Client {
            address,
            own: address,
            scheme: request.scheme,
            version,
            is_proxy: false,
            has_certificate: false,
        },
        known: None,
        now: clock::unix_seconds(),
        began: clock::instant(),
        trace: None,
    };
    let mut outcome = Outcome::begin(String::new(), snapshot.metrics.clone());
    let call = ListCall { snapshot, asked: &asked, route: &found.route, list, chosen: &chosen, kept: None };
    let context = match PageContext::open(&call, &mut outcome).await {
        Ok(Some(context)) => context,
        Ok(None) => {
            return forwarded(&found, &asked.target, PASSES.to_owned());
        }
        Err(failure) => return RequestFate::Refused(words(&failure)),
    };
    let keys = request.has_keys.then_some(&*list.keys);
    let opened = OpenedPage::of(&context, keys);
    let mut page = ExplainedPage { opened, requests: Ok(Vec::new()), watched: None };
    (page.requests, page.watched) = requests(&context, snapshot, request.is_live, &mut outcome).await;
    // With invented keys every cursor looks forged, so the real reason replaces that refusal.
    if page.opened.cursor.is_some() && !request.has_keys {
        page.requests = Err("the keys of cursors are not available, so the cursor can't be read".to_owned());
    }
    RequestFate::Paged(Box::new(page))
}

/// Returns the first upstream requests of a page, or the reason that there are none. If `is_live`, also serves the page
/// and returns it with all of its upstream requests.
async fn requests(
    context: &PageContext<'_>,
    snapshot: &Snapshot,
    is_live: bool,
    outcome: &mut Outcome,
) -> (Result<Vec<PlannedFetch>, String>, Option<WatchedPage>) {
    let cursors = RequestCursors::new(context);
    match context.redirect(&cursors) {
        Ok(None) => {}
        Ok(Some(response)) => {
            let to = response.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            return (Err(format!("{}: redirected to {to}", response.status)), None);
        }
        Err(error) => return (Err(words(&error.into())), None),
    }
    let begin = || cursors.start(context);
    let start = match begin() {
        Ok(start) => start,
        Err(failure) => return (Err(words(&failure)), None),
    };
    let (fetcher, asked, held) = (Fetcher::default(), AskedPeer::default(), snapshot.memory.share());
    let visit = context.route.upstream.visit(&context.asked.headers, &context.asked.target.normal_path, true).judging();
    let phase = RequestTrace::phase(None, "page");
    let exchange = Exchange {
        context,
        cursors: &cursors,
        fetcher: &fetcher,
        visit: &visit,
        held: &held,
        asked: &asked,
        phase: &phase,
        made_by: start.made_by.as_ref(),
        profile: context.learnt(context.learning_scope()),
        record: None,
    };
    // `plan` consumes the start, so the watched page needs another start.
    let planned = exchange.plan(start.cursor, start.limit);
    let watched = match (is_live, begin()) {
        (true, Ok(again)) => {
            let record = PageRecord::default();
            let recorded = Exchange { record: Some(&record), ..exchange };
            let refused = match Box::pin(recorded.resolve(again.cursor, again.limit, outcome)).await {
                Ok(PageDecision::Serve(..)) => None,
                Ok(PageDecision::Refuse(refusal)) => {
                    let detail = outcome.detail.take().map(|detail| format!(" ({detail})")).unwrap_or_default();
                    Some(words(&Failure::refusal(refusal, |_| None)) + &detail)
                }
                Err(failure) => Some(words(&failure)),
            };
            Some(record.end().watched(refused))
        }
        _ => None,
    };
    (planned, watched)
}
