//! `/healthz`: whether this process wants requests. Says nothing of upstreams: a balancer that took the gateway out
//! because one of them is down would take the others with it.

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession, services::listening::Service};

use crate::gateway::lifecycle::Vitals;

/// Where health is asked for.
pub const HEALTH_PATH: &str = "/healthz";

/// How long an operator's tool may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers operators.
#[derive(Debug)]
pub struct Health {
    vitals: Vitals,
}

/// The admin listener, as a service of the server.
#[must_use]
pub fn service(address: SocketAddr, vitals: Vitals) -> Service<Health> {
    let mut service = Service::new("admin".to_owned(), Health { vitals });
    service.threads = Some(1);
    service.add_tcp(&address.to_string());
    service
}

#[async_trait]
impl ServeHttp for Health {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        session.set_read_timeout(Some(READ_TIMEOUT));
        session.set_write_timeout(Some(READ_TIMEOUT));
        let head = session.req_header();
        let (status, body) = answer(&head.method, head.uri.path(), self.vitals.is_stopping());
        let body = if head.method == Method::HEAD { "" } else { body };
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, http::HeaderValue::from(body.len()));
        headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        response
    }
}

fn answer(method: &Method, path: &str, stopping: bool) -> (StatusCode, &'static str) {
    match (path, method) {
        (HEALTH_PATH, &Method::GET | &Method::HEAD) if stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (HEALTH_PATH, &Method::GET | &Method::HEAD) => (StatusCode::OK, "ok\n"),
        (HEALTH_PATH, _) => (StatusCode::METHOD_NOT_ALLOWED, "GET only\n"),
        _ => (StatusCode::NOT_FOUND, "there is only /healthz\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_ready_until_the_process_stops() {
        for (method, path, stopping, status) in [
            (Method::GET, "/healthz", false, 200),
            (Method::HEAD, "/healthz", false, 200),
            (Method::GET, "/healthz", true, 503),
            (Method::POST, "/healthz", false, 405),
            (Method::GET, "/", false, 404),
            (Method::GET, "/healthz/", false, 404),
        ] {
            assert_eq!(answer(&method, path, stopping).0, status, "{method} {path} {stopping}");
        }
    }
}
