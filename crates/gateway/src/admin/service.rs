//! The admin listener and its paths.

use std::{borrow::Cow, io::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, uri::Authority};
use pingora::{
    apps::{HttpServerApp as _, ReusedHttpStream, http_app::ServeHttp},
    protocols::{http::ServerSession, l4::socket::SocketAddr},
    server::ShutdownWatch,
};

use super::{
    access::{self, Denial, JSON, RefusedRequests},
    certificates::{self, CERTIFICATES_PATH},
    config::{self, CONFIG_PATH},
    explanations::{self, EXPLANATIONS_PATH},
    health::{self, HEALTH_PATH, LIVE_PATH, READY_PATH},
    metrics::{self, METRICS_PATH, MetricSources},
    migration::{self, MIGRATION_PATH, OtherProcesses},
    openapi::{self, OPENAPI_PATH},
    page,
    purge::{self, PURGE_PATH},
    reload::{self, RELOAD_PATH},
    routes::{self, ROUTES_PATH},
    status::{self, STATUS_PATH},
    upstreams::{self, UPSTREAMS_PATH},
};
use crate::{
    lifecycle::snapshot::Snapshot,
    lifecycle::{
        live::Live,
        process::{Stage, Vitals},
        reload::Reloads,
    },
    net::connection::Connections,
    runtime::{clock, sockets::ListeningSocket},
    server::listen::Listening,
    server::{admission::Admission, application::Application, connection::Front},
    session::service::ServiceReport,
};
use cursorgate_translate::downstream::response::coding;

/// The largest number of bytes in the body of a request that changes the state of a service. The body may contain a
/// cursor. A longer body is refused.
const LONGEST_CHANGE: usize = 32 << 10;

/// The shortest answer that is compressed, in bytes.
const LEAST_COMPRESSED: usize = 1 << 10;

/// The timeout of each read from and each write to an operator's client.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The service for operators.
#[derive(Debug)]
pub struct Admin {
    vitals: Vitals,
    live: Arc<Live>,
    clients: Arc<Admission>,
    /// The connections to upstreams.
    connections: Arc<Connections>,
    /// The access to reloads; `None` if there is no file to reload.
    reloads: Option<Reloads>,
    /// The reports of services.
    services: Vec<Arc<dyn ServiceReport>>,
    refused: RefusedRequests,
    /// True if only processes of this machine can reach the listener.
    is_local: bool,
}

/// Creates the service of the admin listener. It answers until the process ends, or until a successor process takes
/// over the socket.
#[must_use]
pub fn service(socket: ListeningSocket, admin: Admin, front: Arc<Front>) -> Listening<Admin> {
    // The address of the socket decides, and not that of the configuration: a reload can't move the listener.
    let ip = socket.address().and_then(|address| address.ip());
    let admin = Admin { is_local: ip.is_some_and(|ip| ip.ip().to_canonical().is_loopback()), ..admin };
    let mut service = Listening::new("admin", admin, front);
    service.threads = Some(1);
    service.until = Stage::Succeeded;
    service.add(None, socket);
    service
}

/// A request of an operator.
struct AdminRequest<'r> {
    method: &'r Method,
    /// The host of the request, with the port if the request names one; `None` if the request names no host.
    authority: Option<&'r str>,
    path: &'r str,
    query: Option<&'r str>,
    headers: &'r HeaderMap,
    /// The address of the connection's other end, for the log; `None` if it is unknown.
    client: Option<&'r SocketAddr>,
}

impl AdminRequest<'_> {
    /// Counts and logs that the request was refused, and returns the refusal as an answer. `what` is the thing that was
    /// asked for. A token that somebody guesses at is then seen in the log.
    fn refuse(&self, what: &str, denial: Denial, refused: &RefusedRequests) -> AdminAnswer {
        if let Some(untold) = refused.count(denial.0, clock::instant()) {
            let (status, said) = (denial.0.as_u16(), denial.1.trim_end());
            let client = self.client.map(tracing::field::display);
            let untold = (untold > 0).then_some(untold);
            tracing::warn!(status, client, path = self.path, untold, "{what} was asked for and refused: {said}");
        }
        denied(denial)
    }

    /// Logs that the request has the right to change something, and is carried out now.
    fn accept(&self, what: &str) {
        tracing::info!(client = self.client.map(tracing::field::display), path = self.path, "{what} was asked for");
    }
}

/// The status, content type and body of an answer.
type AdminAnswer = (StatusCode, &'static str, Cow<'static, str>);

/// A function that answers a request for a report.
type AnswerFunction = fn(&Admin, &AdminRequest<'_>) -> AdminAnswer;

const TEXT: &str = "text/plain; charset=utf-8";

/// The paths of health checks. They reveal nothing confidential, and are answered under every host name: an
/// orchestrator would restart the process if a check were refused.
const PROBES: [(&str, AnswerFunction); 3] =
    [(LIVE_PATH, Admin::liveness), (READY_PATH, Admin::readiness), (HEALTH_PATH, Admin::readiness)];

/// The paths of reports.
const REPORTS: [(&str, AnswerFunction); 10] = [
    (STATUS_PATH, |admin, _| {
        let live = admin.live.pin();
        let can_reload = admin.reloads.is_some() && live.admin.as_ref().is_some_and(|admin| admin.token.is_some());
        json(status::render(&live, &admin.vitals, &admin.clients, can_reload))
    }),
    (ROUTES_PATH, |admin, _| json(routes::render(&admin.live.pin()))),
    (UPSTREAMS_PATH, |admin, _| json(upstreams::render(&admin.live.pin()))),
    (CERTIFICATES_PATH, |admin, _| json(certificates::render(&admin.live.pin()))),
    (CONFIG_PATH, |admin, request| {
        let (content_type, text) = config::render(&admin.live.pin(), request.query);
        (StatusCode::OK, content_type, text.into())
    }),
    (OPENAPI_PATH, |admin, request| json(openapi::render(&admin.live.pin(), request.query))),
    (METRICS_PATH, |admin, _| {
        let sources =
            MetricSources { clients: &admin.clients, connections: &admin.connections, refused: &admin.refused };
        let text = metrics::render(&admin.live.pin(), &admin.vitals, &sources, clock::unix_seconds());
        (StatusCode::OK, metrics::CONTENT_TYPE, text.into())
    }),
    (EXPLANATIONS_PATH, |admin, request| {
        admin.explained(request, |live| explanations::list(live).ok_or(NOT_EXPLAINED))
    }),
    (PURGE_PATH, |_, _| (StatusCode::METHOD_NOT_ALLOWED, TEXT, "POST only\n".into())),
    (RELOAD_PATH, |admin, request| {
        let live = admin.live.pin();
        let token = live.admin.as_ref().and_then(|admin| admin.token.as_ref());
        let last = admin.vitals.last_reload();
        let with_report = access::is_authorized(request.headers, token);
        let result = last.result();
        json(reload::render(&result, &last.before(&result), with_report))
    }),
];

/// The answer if explanations are not configured.
const NOT_EXPLAINED: Denial = (StatusCode::NOT_FOUND, "no request is explained: there is no admin.explain_key\n");

/// The answer to a request whose body is too long or incomplete.
const TOO_LONG: Denial = (StatusCode::BAD_REQUEST, "the body is too long, or broke off\n");

fn json(text: String) -> AdminAnswer {
    (StatusCode::OK, JSON, text.into())
}

fn denied(denial: Denial) -> AdminAnswer {
    let (status, text) = denial;
    (status, TEXT, text.into())
}

impl Admin {
    /// Creates a service that reports on the process, its snapshot, and its connections.
    #[must_use]
    pub fn new(
        vitals: Vitals,
        live: Arc<Live>,
        clients: Arc<Admission>,
        connections: Arc<Connections>,
        reloads: Option<Reloads>,
        services: Vec<Arc<dyn ServiceReport>>,
    ) -> Self {
        Self {
            vitals,
            live,
            clients,
            connections,
            reloads,
            services,
            refused: RefusedRequests::default(),
            is_local: false,
        }
    }

    /// Answers a request. `body` is `None` if it could not be read.
    async fn answer(&self, request: &AdminRequest<'_>, body: Option<&[u8]>) -> AdminAnswer {
        let find = |reports: &[(&str, AnswerFunction)]| {
            reports.iter().find(|(path, _)| *path == request.path).map(|found| found.1)
        };
        let probe = find(&PROBES);
        let of_services = self.services.iter().flat_map(|service| service.files());
        let file = page::FILES.iter().chain(of_services).find(|(path, ..)| *path == request.path);
        let reads = [Method::GET, Method::HEAD].contains(request.method);
        let (known, read) = {
            let live = self.live.pin();
            let admin = live.admin.as_ref();
            let hosts = admin.map_or(&[][..], |admin| &admin.hosts);
            let is_metrics = request.path == METRICS_PATH;
            let known = access::check_host(request.authority, hosts);
            (known, access::check_read(request.headers, admin, is_metrics, self.is_local))
        };
        // Without this check, a page whose host name leads to this address could read all reports (DNS rebinding).
        // Test: `requests_under_foreign_names_are_refused`.
        if let (Err(denial), None) = (known, probe) {
            return request.refuse("a page", denial, &self.refused);
        }
        // The files of pages contain nothing about this gateway, and the page asks for the token.
        if let (Err(denial), true, None, None) = (read, reads, probe, file) {
            return request.refuse("a report", denial, &self.refused);
        }
        if request.path == RELOAD_PATH && request.method == Method::POST {
            return self.reload(request).await;
        }
        if request.path == PURGE_PATH && request.method == Method::POST {
            return self.purge(request, body).await;
        }
        if let Some(service) = self.services.iter().find(|service| service.reads().contains(&request.path)) {
            return match reads {
                true => service.read(request.path, request.query).await.map_or_else(denied, json),
                false => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".into()),
            };
        }
        if let Some(service) = self.changing(request.path) {
            return match *request.method == Method::POST {
                true => self.change(&**service, request, body).await,
                false => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "POST only\n".into()),
            };
        }
        // The report reads the shared store asynchronously, which functions of `REPORTS` can't do, so it is made here.
        if request.path == MIGRATION_PATH && reads {
            return self.migration().await;
        }
        let report = probe.or_else(|| find(&REPORTS));
        if let (None, Some(id), &Method::GET) = (report, explanations::id_in(request.path), request.method) {
            return self.explained(request, |live| explanations::one(live, id));
        }
        match (report, file) {
            (None, None) if request.path != MIGRATION_PATH => self.unknown(),
            _ if !reads => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".into()),
            (Some(report), _) => report(self, request),
            (None, Some((_, content_type, text))) => (StatusCode::OK, content_type, (*text).into()),
            (None, None) => self.unknown(),
        }
    }

    /// Reloads the configuration, if the request has the token.
    async fn reload(&self, request: &AdminRequest<'_>) -> AdminAnswer {
        let checked = {
            let live = self.live.pin();
            let token = live.admin.as_ref().and_then(|admin| admin.token.as_ref()).filter(|_| self.reloads.is_some());
            access::check_change(request.headers, request.authority, token)
        };
        let reloads = match (checked, &self.reloads) {
            (Ok(()), Some(reloads)) => reloads,
            (Err(denial), _) => return request.refuse("a reload", denial, &self.refused),
            (Ok(()), None) => return self.unknown(),
        };
        request.accept("a reload");
        match reload::reload(reloads).await {
            Some((status, result)) => {
                (status, JSON, reload::render(&result, &self.vitals.last_reload().before(&result), true).into())
            }
            None => (StatusCode::ACCEPTED, TEXT, "the reload takes long: GET this path for its result\n".into()),
        }
    }

    /// Returns the service that offers a change at a path; `None` if no service does.
    fn changing(&self, path: &str) -> Option<&Arc<dyn ServiceReport>> {
        self.services.iter().find(|service| service.changes().contains(&path))
    }

    /// Changes the state of a service, if the request has the token.
    async fn change(
        &self,
        service: &dyn ServiceReport,
        request: &AdminRequest<'_>,
        body: Option<&[u8]>,
    ) -> AdminAnswer {
        let live = self.live.pin();
        let token = live.admin.as_ref().and_then(|admin| admin.token.as_ref());
        if let Err(denial) = access::check_change(request.headers, request.authority, token) {
            return request.refuse("a change", denial, &self.refused);
        }
        request.accept("a change");
        match body {
            Some(body) => service.change(request.path, body).await.map_or_else(denied, json),
            None => denied(TOO_LONG),
        }
    }

    /// Drops cached pages, if the request has the token.
    async fn purge(&self, request: &AdminRequest<'_>, body: Option<&[u8]>) -> AdminAnswer {
        let live = self.live.pin();
        let token = live.admin.as_ref().and_then(|admin| admin.token.as_ref());
        if let Err(denial) = access::check_change(request.headers, request.authority, token) {
            return request.refuse("a purge", denial, &self.refused);
        }
        let Some(body) = body else {
            return denied(TOO_LONG);
        };
        match purge::purge(&live, body).await {
            Ok(text) => {
                let client = request.client.map(tracing::field::display);
                tracing::info!(purged = text.trim_end(), client, "pages were purged");
                json(text)
            }
            Err(denial) => denied(denial),
        }
    }

    /// Returns the report on legacy clients, with the counts of all processes that share the store.
    async fn migration(&self) -> AdminAnswer {
        let (live, now) = (self.live.pin(), clock::unix_seconds());
        let others = OtherProcesses::read(&live, self.vitals.identity(), now).await;
        json(migration::render(&live, &others, now))
    }

    /// Returns explanations, if the request has the token.
    fn explained(
        &self,
        request: &AdminRequest<'_>,
        read: impl FnOnce(&Snapshot) -> Result<String, Denial>,
    ) -> AdminAnswer {
        let live = self.live.pin();
        let token = live.admin.as_ref().and_then(|admin| admin.token.as_ref());
        if live.explanations.is_none() {
            return denied(NOT_EXPLAINED);
        }
        if !access::is_authorized(request.headers, token) {
            let denial = (StatusCode::UNAUTHORIZED, "send Authorization: Bearer with the token of admin.token\n");
            return request.refuse("an explanation", denial, &self.refused);
        }
        read(&live).map_or_else(denied, json)
    }

    fn liveness(&self, _request: &AdminRequest<'_>) -> AdminAnswer {
        let (status, body) = health::liveness(self.vitals.pulse().state());
        (status, TEXT, body.into())
    }

    fn readiness(&self, _request: &AdminRequest<'_>) -> AdminAnswer {
        let degraded = self.live.pin().store.as_ref().is_some_and(|store| store.link.is_degraded());
        let mut down: Vec<_> = degraded.then(|| "the shared store is degraded".to_owned()).into_iter().collect();
        let of_services = metrics::service_stores_of(&self.vitals);
        let of_services = of_services.iter().filter(|(_, store)| store.is_up() == Some(false));
        down.extend(of_services.map(|(name, _)| format!("the store of {name} is down")));
        let pulse = self.vitals.pulse().state();
        let (status, body) = health::readiness(self.vitals.is_stopping(), pulse, &down);
        (status, TEXT, body)
    }

    fn unknown(&self) -> AdminAnswer {
        let of_services = self.services.iter().flat_map(|service| service.reads().iter().chain(service.changes()));
        let pages = self.services.iter().filter_map(|service| service.files().first()).map(|(path, ..)| *path);
        let known = PROBES.iter().chain(&REPORTS).map(|(path, _)| *path).chain([MIGRATION_PATH]).chain(pages);
        let known: Vec<&str> = known.chain(of_services.copied()).collect();
        (StatusCode::NOT_FOUND, TEXT, format!("there are /, {}\n", known.join(", ")).into())
    }
}

impl Application for Admin {
    async fn serve(
        self: &Arc<Self>,
        session: Box<ServerSession>,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.process_new_http(*session, shutdown).await
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        session.set_read_timeout(Some(READ_TIMEOUT));
        session.set_write_timeout(Some(READ_TIMEOUT));
        let path = session.req_header().uri.path();
        let longest = match path {
            PURGE_PATH => Some(purge::LONGEST),
            _ => self.changing(path).map(|_| LONGEST_CHANGE),
        };
        let sent = match longest {
            Some(longest) => read_body(session, longest).await,
            None => Some(Vec::new()),
        };
        let head = session.req_header();
        let host = head.headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
        let request = AdminRequest {
            method: &head.method,
            // The host of a target in absolute form has precedence over `Host` (RFC 9112, section 3.2.2).
            authority: head.uri.authority().map(Authority::as_str).or(host.as_deref()),
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            client: session.client_addr(),
        };
        let (status, content_type, body) = self.answer(&request, sent.as_deref()).await;
        let (body, is_compressed) = match coding::accepts_gzip(&head.headers).then(|| gzip(body.as_bytes())).flatten() {
            Some(compressed) => (compressed, true),
            None => (body.into_owned().into_bytes(), false),
        };
        let length = body.len();
        let body = if head.method == Method::HEAD { Vec::new() } else { body };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        page::add_headers(headers);
        // A 405 must have `Allow`, and a 401 must have `WWW-Authenticate` (RFC 9110, sections 15.5.6 and 15.5.2), so
        // these headers are added.
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = if longest.is_some() { "POST" } else { "GET, HEAD" };
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Compresses a body; `None` if it is short. The metrics of a thousand routes shrink to a thirtieth.
fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < LEAST_COMPRESSED {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// Reads the body of a request; returns `None` if it is too long or incomplete.
async fn read_body(session: &mut ServerSession, longest: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(part)) if body.len() + part.len() <= longest => body.extend_from_slice(&part),
            Ok(None) => return Some(body),
            Ok(Some(_)) | Err(_) => {
                // The rest of the body stays unread, so the connection can't be used for another request.
                session.set_keepalive(None);
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::testing::Nothing, server::admission::ConnectionLimits};
    use cursorgate_config::load_text;

    async fn ask(admin: &Admin, method: &Method, path: &str) -> AdminAnswer {
        let headers = HeaderMap::new();
        admin
            .answer(
                &AdminRequest { method, authority: None, path, query: None, headers: &headers, client: None },
                Some(b""),
            )
            .await
    }

    /// Without a configured token, all known paths can only be read: other methods get a 405. Unknown paths get a 404.
    ///
    /// Row: A38
    #[tokio::test]
    async fn reports_of_the_admin_listener_are_read_only() {
        let text = "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n[upstreams.people]\n\
                    peers = [\"127.0.0.1:1\"]\n[routes.rest]\npath = \"/{*rest}\"\nupstream = \"people\"\n\
                    action = \"forward\"\n";
        let (settings, mut diagnostics) = load_text("a.toml", text, &Nothing);
        let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
        let clients = Admission::new(ConnectionLimits { most: 1, per_address: 1 });
        let (live, connections) = (Arc::new(Live::new(snapshot)), Arc::new(Connections::default()));
        let admin = Admin::new(Vitals::default(), live, clients, connections, None, Vec::new());
        // Without `[admin]`, and at an address that other machines can reach, only health is told.
        for (path, status) in [("/readyz", 200), ("/", 200), ("/metrics", 401), ("/status", 401), ("/nothing", 401)] {
            assert_eq!(ask(&admin, &Method::GET, path).await.0, status, "{path}");
        }
        let admin = Admin { is_local: true, ..admin };
        for (method, path, status) in [
            (Method::GET, "/healthz", 200),
            (Method::HEAD, "/healthz", 200),
            (Method::GET, "/livez", 200),
            (Method::GET, "/readyz", 200),
            (Method::POST, "/readyz", 405),
            (Method::GET, "/metrics", 200),
            (Method::GET, "/openapi.json", 200),
            (Method::PUT, "/openapi.json", 405),
            (Method::GET, "/migration", 200),
            (Method::GET, "/certificates", 200),
            (Method::POST, "/certificates", 405),
            (Method::GET, "/upstreams", 200),
            (Method::POST, "/upstreams", 405),
            (Method::POST, "/migration", 405),
            (Method::GET, "/purge", 405),
            (Method::POST, "/purge", 405),
            (Method::GET, "/reload", 200),
            (Method::POST, "/reload", 405),
            (Method::POST, "/healthz", 405),
            (Method::DELETE, "/metrics", 405),
            (Method::GET, "/explanations", 404),
            (Method::GET, "/explanations/1", 404),
            (Method::GET, "/config", 200),
            (Method::PUT, "/config", 405),
            (Method::GET, "/routes", 200),
            (Method::POST, "/routes", 405),
            (Method::GET, "/status", 200),
            (Method::GET, "/", 200),
            (Method::POST, "/", 405),
            (Method::GET, "/page/page.js", 200),
            (Method::GET, "/page/", 404),
            (Method::GET, "/page/../config", 404),
            (Method::GET, "/healthz/", 404),
        ] {
            assert_eq!(ask(&admin, &method, path).await.0, status, "{method} {path}");
        }
        let metrics = ask(&admin, &Method::GET, "/metrics").await;
        assert!(!metrics.2.contains("{route=\"rest\"} 0\n"), "counters of routes that are 0 are left out");
    }

    #[test]
    fn health_is_ready_until_the_process_stops_or_stalls() {
        use crate::lifecycle::process::PulseState::{Beating, Dead, Stalled};
        assert_eq!(health::readiness(false, Beating, &[]), (StatusCode::OK, "ok\n".into()));
        let down = ["exports", "webhooks"].map(|name| format!("the store of {name} is down"));
        let down = health::readiness(false, Beating, &down);
        let said = "ok, but the store of exports is down, the store of webhooks is down\n";
        assert_eq!(down, (StatusCode::OK, said.into()));
        assert_eq!(health::readiness(true, Beating, &[]).0, 503);
        assert_eq!([Stalled, Dead].map(|pulse| health::readiness(false, pulse, &[]).0.as_u16()), [503; 2]);
        let alive = [Beating, Stalled, Dead].map(|pulse| health::liveness(pulse).0.as_u16());
        assert_eq!(alive, [200, 200, 503], "a stall that might end restarts nothing");
    }
}
