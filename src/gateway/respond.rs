//! A response onto the wire, with its exact length.

use http::{Method, StatusCode};
use pingora::{ErrorType, OrErr, http::ResponseHeader, proxy::Session};

use super::access_log::Outcome;
use crate::downstream::Response;

/// How much of a body is written at once. Each write has the whole time that one may take, so that a slow client which
/// reads on gets all of it, and one that reads nothing is let go.
const PIECE: usize = 128 * 1024;

/// Writes a response. The connection stays open for the next request, 4xx or not: only who is in doubt about framing
/// closes it before. A client that can't be written to is gone, and one that does not read is stalled: the log says it,
/// and nobody else.
pub(super) async fn write(session: &mut Session, response: Response, outcome: &mut Outcome) {
    outcome.status = response.status;
    let without_body = session.req_header().method == Method::HEAD || response.body.is_empty();
    let written = async {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::from_u16(response.status).or_err(ErrorType::InternalError, "no status")?;
        head.headers = response.headers;
        session.write_response_header(Box::new(ResponseHeader::from(head)), without_body).await?;
        let mut left = if without_body { 0 } else { response.body.len() };
        for mut part in response.body.into_parts() {
            while left > 0 && !part.is_empty() {
                let piece = part.split_to(part.len().min(PIECE));
                let length = piece.len();
                left -= length;
                session.write_response_body(Some(piece), left == 0).await?;
                outcome.bytes += length;
            }
        }
        Ok::<(), pingora::BError>(())
    };
    if let Err(error) = written.await {
        let stalled = *error.root_etype() == ErrorType::WriteTimedout;
        outcome.code = Some(if stalled { "client_stalled" } else { "client_gone" });
        session.set_keepalive(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::gateway::metrics::RouteMetrics;

    /// What was written counts, and who does not read is told from who went away.
    #[tokio::test]
    async fn a_client_that_does_not_read_has_stalled() {
        let (mut client, server) = tokio::io::duplex(3 * PIECE);
        client.write_all(b"GET /users HTTP/1.1\r\nHost: people\r\n\r\n").await.unwrap();
        let mut session = Session::new_h1(Box::new(server));
        assert!(session.read_request().await.unwrap());
        session.set_write_timeout(Some(Duration::from_millis(50)));
        let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
        write(&mut session, Response::new(200, vec![b'x'; 10 * PIECE]), &mut outcome).await;
        assert_eq!((outcome.status, outcome.code), (200, Some("client_stalled")));
        assert_eq!((outcome.bytes, session.body_bytes_sent()), (2 * PIECE, 2 * PIECE));
        drop(client);
    }
}
