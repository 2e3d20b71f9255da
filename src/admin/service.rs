//! The admin listener and its paths.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, uri::Authority};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession};

use super::{
    certificates::{self, CERTIFICATES_PATH},
    health::{self, HEALTH_PATH, LIVE_PATH, READY_PATH},
    metrics::{self, METRICS_PATH},
    migration::{self, MIGRATION_PATH},
    openapi::{self, OPENAPI_PATH},
    reload::{self, RELOAD_PATH},
    upstreams::{self, UPSTREAMS_PATH},
};
use crate::gateway::{
    Listening,
    lifecycle::{
        live::Live,
        process::{Stage, Vitals},
        reload::Reloads,
    },
    request::target::host_of,
    runtime::{clock, sockets::ListeningSocket},
    server::{admission::Admission, connection::Front},
};

/// The longest silence of an operator's client.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The service for operators.
#[derive(Debug)]
pub(crate) struct Admin {
    vitals: Vitals,
    live: Arc<Live>,
    clients: Arc<Admission>,
    /// `None` if there is no file to reload.
    reloads: Option<Reloads>,
}

/// Creates the service of the admin listener. It answers until the process leaves, or until a successor does.
#[must_use]
pub(crate) fn service(socket: ListeningSocket, admin: Admin, front: Arc<Front>) -> Listening<Admin> {
    let mut service = Listening::new("admin", admin, front);
    service.threads = Some(1);
    service.until = Stage::Succeeded;
    service.add(None, socket);
    service
}

/// The status, content type and body of an answer.
type AdminAnswer = (StatusCode, &'static str, String);

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    /// Creates a service that reports on the process, its snapshot, and its connections.
    #[must_use]
    pub(crate) fn new(vitals: Vitals, live: Arc<Live>, clients: Arc<Admission>, reloads: Option<Reloads>) -> Self {
        Self { vitals, live, clients, reloads }
    }

    /// Answers a request. `host` is checked, because a foreign page can make an operator's browser read from this
    /// listener under a name of its own (DNS rebinding). Health checks are exempt: they reveal nothing, and a refused
    /// probe would end the process.
    async fn answer(
        &self,
        method: &Method,
        host: Option<&str>,
        (path, query): (&str, Option<&str>),
        headers: &HeaderMap,
    ) -> AdminAnswer {
        let is_probe = [HEALTH_PATH, LIVE_PATH, READY_PATH].contains(&path);
        let is_foreign = host.is_some_and(|host| {
            let admin = &self.live.pin().admin;
            !is_own(host, admin.as_ref().map_or(&[], |admin| &admin.hosts))
        });
        if is_foreign && !is_probe {
            let help = "ask by an address or localhost, or add this name to admin.hosts\n";
            return (StatusCode::MISDIRECTED_REQUEST, TEXT, help.to_owned());
        }
        if path == RELOAD_PATH && method == Method::POST {
            return self.reload(headers).await;
        }
        self.read(method, (path, query), headers)
    }

    /// Reloads for a request with the token.
    async fn reload(&self, headers: &HeaderMap) -> AdminAnswer {
        let (is_authorized, has_token) = {
            let admin = &self.live.pin().admin;
            let token = admin.as_ref().and_then(|admin| admin.reload_token.as_ref());
            (reload::is_authorized(headers, token), token.is_some())
        };
        let Some(reloads) = self.reloads.as_ref().filter(|_| has_token) else {
            return (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only: there is no admin.reload_token\n".to_owned());
        };
        if !is_authorized {
            tracing::warn!("a reload was asked for without the token of admin.reload_token");
            let help = "send Authorization: Bearer with the token of admin.reload_token\n";
            return (StatusCode::UNAUTHORIZED, TEXT, help.to_owned());
        }
        match reload::reload(reloads).await {
            Some((status, result)) => (status, reload::CONTENT_TYPE, reload::render(&result, true)),
            None => (StatusCode::ACCEPTED, TEXT, "the reload takes long: GET this path for its result\n".to_owned()),
        }
    }

    fn read(&self, method: &Method, (path, query): (&str, Option<&str>), headers: &HeaderMap) -> AdminAnswer {
        match path {
            HEALTH_PATH | LIVE_PATH | READY_PATH | METRICS_PATH | MIGRATION_PATH | OPENAPI_PATH | CERTIFICATES_PATH
            | RELOAD_PATH | UPSTREAMS_PATH
                if !matches!(*method, Method::GET | Method::HEAD) =>
            {
                (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned())
            }
            HEALTH_PATH | READY_PATH => {
                let (status, body) = health::readiness(self.vitals.is_stopping());
                (status, TEXT, body.to_owned())
            }
            LIVE_PATH => (StatusCode::OK, TEXT, health::LIVE.to_owned()),
            METRICS_PATH => {
                let text = metrics::render(&self.live.pin(), &self.vitals, &self.clients, clock::unix_seconds());
                (StatusCode::OK, metrics::CONTENT_TYPE, text)
            }
            UPSTREAMS_PATH => (StatusCode::OK, upstreams::CONTENT_TYPE, upstreams::render(&self.live.pin())),
            MIGRATION_PATH => {
                let board = migration::render(&self.live.pin(), clock::unix_seconds());
                (StatusCode::OK, migration::CONTENT_TYPE, board)
            }
            OPENAPI_PATH => (StatusCode::OK, openapi::CONTENT_TYPE, openapi::render(&self.live.pin(), query)),
            CERTIFICATES_PATH => (StatusCode::OK, certificates::CONTENT_TYPE, certificates::render(&self.live.pin())),
            RELOAD_PATH => {
                let admin = &self.live.pin().admin;
                let token = admin.as_ref().and_then(|admin| admin.reload_token.as_ref());
                let with_report = reload::is_authorized(headers, token);
                let text = reload::render(&self.vitals.last_reload().result(), with_report);
                (StatusCode::OK, reload::CONTENT_TYPE, text)
            }
            _ => {
                let probes = [LIVE_PATH, READY_PATH, HEALTH_PATH];
                let reports = [METRICS_PATH, MIGRATION_PATH, OPENAPI_PATH, CERTIFICATES_PATH, RELOAD_PATH];
                let known = [&probes[..], &reports].concat().join(", ");
                (StatusCode::NOT_FOUND, TEXT, format!("there are {known}\n"))
            }
        }
    }
}

/// Returns whether an authority is an address, this machine, or one of these names.
fn is_own(authority: &str, names: &[String]) -> bool {
    let host = host_of(authority);
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || host == "localhost" || names.contains(&host)
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        session.set_read_timeout(Some(READ_TIMEOUT));
        session.set_write_timeout(Some(READ_TIMEOUT));
        let head = session.req_header();
        let host = head.headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
        let authority = head.uri.authority().map(Authority::as_str).or(host.as_deref());
        let asked = (head.uri.path(), head.uri.query());
        let (status, content_type, body) = self.answer(&head.method, authority, asked, &head.headers).await;
        let length = body.len();
        let body = if head.method == Method::HEAD { Vec::new() } else { body.into_bytes() };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::testing::Nothing,
        config::load_text,
        gateway::{Snapshot, server::admission::ConnectionLimits},
    };

    /// Row: A38
    #[tokio::test]
    async fn paths_are_read_and_not_written() {
        let text = "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n[upstreams.people]\n\
                    peers = [\"127.0.0.1:1\"]\n[routes.rest]\npath = \"/{*rest}\"\nupstream = \"people\"\n\
                    action = \"forward\"\n";
        let (settings, mut diagnostics) = load_text("a.toml", text, &Nothing);
        let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
        let clients = Admission::new(ConnectionLimits { most: 1, per_address: 1 });
        let admin = Admin::new(Vitals::default(), Arc::new(Live::new(snapshot)), clients, None);
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
            (Method::GET, "/reload", 200),
            (Method::POST, "/reload", 405),
            (Method::POST, "/healthz", 405),
            (Method::DELETE, "/metrics", 405),
            (Method::GET, "/", 404),
            (Method::GET, "/healthz/", 404),
        ] {
            let answer = admin.answer(&method, None, (path, None), &HeaderMap::new()).await;
            assert_eq!(answer.0, status, "{method} {path}");
        }
        let metrics = admin.answer(&Method::GET, None, ("/metrics", None), &HeaderMap::new()).await;
        assert!(metrics.2.contains("_total{route=\"rest\"} 0\n"));
    }

    #[test]
    fn health_is_ready_until_the_process_stops() {
        assert_eq!(health::readiness(false).0, 200);
        assert_eq!(health::readiness(true).0, 503);
    }
}
