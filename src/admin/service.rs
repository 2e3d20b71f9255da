//! The admin listener: which question goes where.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession, services::listening::Service};

use super::{
    health::{self, HEALTH_PATH},
    metrics::{self, METRICS_PATH},
};
use crate::gateway::{lifecycle::Vitals, live::Live};

/// How long an operator's tool may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers operators.
#[derive(Debug)]
pub struct Admin {
    vitals: Vitals,
    live: Arc<Live>,
}

/// The admin listener, as a service of the server.
#[must_use]
pub fn service(address: SocketAddr, vitals: Vitals, live: Arc<Live>) -> Service<Admin> {
    let mut service = Service::new("admin".to_owned(), Admin { vitals, live });
    service.threads = Some(1);
    service.add_tcp(&address.to_string());
    service
}

/// What is answered: the status, the content type, the body.
type Answer = (StatusCode, &'static str, String);

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Answer {
        match path {
            HEALTH_PATH | METRICS_PATH if !matches!(*method, Method::GET | Method::HEAD) => {
                (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned())
            }
            HEALTH_PATH => {
                let (status, body) = health::answer(self.vitals.is_stopping());
                (status, TEXT, body.to_owned())
            }
            METRICS_PATH => (StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(&self.live.pin())),
            _ => (StatusCode::NOT_FOUND, TEXT, format!("there are {HEALTH_PATH} and {METRICS_PATH}\n")),
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        session.set_read_timeout(Some(READ_TIMEOUT));
        session.set_write_timeout(Some(READ_TIMEOUT));
        let head = session.req_header();
        let (status, content_type, body) = self.answer(&head.method, head.uri.path());
        let length = body.len();
        let body = if head.method == Method::HEAD { Vec::new() } else { body.into_bytes() };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Environment, load_text},
        gateway::Snapshot,
    };

    /// Nothing but what the text says.
    struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _name: &str) -> Option<String> {
            None
        }

        fn read(&self, _path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn there_are_two_paths_to_read() {
        let text = "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n[upstreams.people]\n\
                    peers = [\"127.0.0.1:1\"]\n[routes.rest]\npath = \"/{*rest}\"\nupstream = \"people\"\n\
                    action = \"forward\"\n";
        let (settings, mut diagnostics) = load_text("a.toml", text, &Nothing);
        let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
        let admin = Admin { vitals: Vitals::default(), live: Arc::new(Live::new(snapshot)) };
        for (method, path, status) in [
            (Method::GET, "/healthz", 200),
            (Method::HEAD, "/healthz", 200),
            (Method::GET, "/metrics", 200),
            (Method::POST, "/healthz", 405),
            (Method::DELETE, "/metrics", 405),
            (Method::GET, "/", 404),
            (Method::GET, "/healthz/", 404),
        ] {
            assert_eq!(admin.answer(&method, path).0, status, "{method} {path}");
        }
        assert!(admin.answer(&Method::GET, "/metrics").2.contains("_total{route=\"rest\"} 0\n"));
    }

    #[test]
    fn health_is_ready_until_the_process_stops() {
        assert_eq!(health::answer(false).0, 200);
        assert_eq!(health::answer(true).0, 503);
    }
}
