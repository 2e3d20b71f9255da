//! The admin listener and its paths.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderValue, Method, Response, StatusCode, header, uri::Authority};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession};

use super::{
    certificates::{self, CERTIFICATES_PATH},
    health::{self, HEALTH_PATH},
    metrics::{self, METRICS_PATH},
    migration::{self, MIGRATION_PATH},
    openapi::{self, OPENAPI_PATH},
};
use crate::gateway::{
    Listening, Unready,
    lifecycle::{live::Live, process::Vitals},
    request::target::host_of,
    runtime::clock,
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
}

/// Creates the service of the admin listener.
///
/// # Errors
///
/// Returns an error if it can't listen.
pub(crate) fn service(address: SocketAddr, admin: Admin, front: Arc<Front>) -> Result<Listening<Admin>, Unready> {
    let mut service = Listening::new("admin", admin, front);
    service.threads = Some(1);
    service.add(None, address)?;
    Ok(service)
}

/// The status, content type and body of an answer.
type AdminAnswer = (StatusCode, &'static str, String);

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    /// Creates a service that reports on the process, its snapshot, and its connections.
    #[must_use]
    pub(crate) fn new(vitals: Vitals, live: Arc<Live>, clients: Arc<Admission>) -> Self {
        Self { vitals, live, clients }
    }

    /// Answers a request. `host` is checked, because a foreign page can make an operator's browser read from this
    /// listener under a name of its own (DNS rebinding). The health check is exempt: it reveals nothing, and a refused
    /// probe would end the process.
    fn answer(&self, method: &Method, host: Option<&str>, path: &str, query: Option<&str>) -> AdminAnswer {
        if path != HEALTH_PATH && host.is_some_and(|host| !is_own(host, &self.live.pin().admin_hosts)) {
            let help = "ask by an address or localhost, or add this name to admin.hosts\n";
            return (StatusCode::MISDIRECTED_REQUEST, TEXT, help.to_owned());
        }
        match path {
            HEALTH_PATH | METRICS_PATH | MIGRATION_PATH | OPENAPI_PATH | CERTIFICATES_PATH
                if !matches!(*method, Method::GET | Method::HEAD) =>
            {
                (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned())
            }
            HEALTH_PATH => {
                let (status, body) = health::answer(self.vitals.is_stopping());
                (status, TEXT, body.to_owned())
            }
            METRICS_PATH => {
                let text = metrics::render(&self.live.pin(), &self.vitals, &self.clients, clock::unix_seconds());
                (StatusCode::OK, metrics::CONTENT_TYPE, text)
            }
            MIGRATION_PATH => {
                let board = migration::render(&self.live.pin(), clock::unix_seconds());
                (StatusCode::OK, migration::CONTENT_TYPE, board)
            }
            OPENAPI_PATH => (StatusCode::OK, openapi::CONTENT_TYPE, openapi::render(&self.live.pin(), query)),
            CERTIFICATES_PATH => (StatusCode::OK, certificates::CONTENT_TYPE, certificates::render(&self.live.pin())),
            _ => {
                let known = [HEALTH_PATH, METRICS_PATH, MIGRATION_PATH, OPENAPI_PATH, CERTIFICATES_PATH].join(", ");
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
        let (status, content_type, body) = self.answer(&head.method, authority, head.uri.path(), head.uri.query());
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
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Environment, load_text},
        gateway::{Snapshot, server::admission::ConnectionLimits},
    };

    /// An environment without variables and files.
    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _name: &str) -> Option<String> {
            None
        }

        fn read(&self, _path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    /// Row: A38
    #[test]
    fn there_are_three_paths_to_read() {
        let text = "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n[upstreams.people]\n\
                    peers = [\"127.0.0.1:1\"]\n[routes.rest]\npath = \"/{*rest}\"\nupstream = \"people\"\n\
                    action = \"forward\"\n";
        let (settings, mut diagnostics) = load_text("a.toml", text, &Nothing);
        let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
        let clients = Admission::new(ConnectionLimits { most: 1, per_address: 1 });
        let admin = Admin::new(Vitals::default(), Arc::new(Live::new(snapshot)), clients);
        for (method, path, status) in [
            (Method::GET, "/healthz", 200),
            (Method::HEAD, "/healthz", 200),
            (Method::GET, "/metrics", 200),
            (Method::GET, "/openapi.json", 200),
            (Method::PUT, "/openapi.json", 405),
            (Method::GET, "/migration", 200),
            (Method::GET, "/certificates", 200),
            (Method::POST, "/certificates", 405),
            (Method::POST, "/migration", 405),
            (Method::POST, "/healthz", 405),
            (Method::DELETE, "/metrics", 405),
            (Method::GET, "/", 404),
            (Method::GET, "/healthz/", 404),
        ] {
            assert_eq!(admin.answer(&method, None, path, None).0, status, "{method} {path}");
        }
        assert!(admin.answer(&Method::GET, None, "/metrics", None).2.contains("_total{route=\"rest\"} 0\n"));
    }

    #[test]
    fn health_is_ready_until_the_process_stops() {
        assert_eq!(health::answer(false).0, 200);
        assert_eq!(health::answer(true).0, 503);
    }
}
