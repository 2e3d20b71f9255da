//! A response onto the wire, with its exact length.

use bytes::Bytes;
use http::Method;
use pingora::{http::ResponseHeader, proxy::Session};

use super::access_log::Outcome;
use crate::downstream::Response;

/// Writes a response. The connection stays open for the next request, 4xx or not: only who is in doubt about framing
/// closes it before. A client that can't be written to is gone, which the log says and nobody else.
pub(super) async fn write(session: &mut Session, response: Response, outcome: &mut Outcome) {
    outcome.status = response.status;
    let without_body = session.req_header().method == Method::HEAD || response.body.is_empty();
    let written = async {
        let mut head = ResponseHeader::build_no_case(response.status, Some(response.headers.len() + 2))?;
        for (name, value) in &response.headers {
            head.append_header(name, value)?;
        }
        session.write_response_header(Box::new(head), without_body).await?;
        if !without_body {
            outcome.bytes = response.body.len();
            session.write_response_body(Some(Bytes::from(response.body)), true).await?;
        }
        Ok::<(), pingora::BError>(())
    };
    if written.await.is_err() {
        outcome.code = Some("client_gone");
        session.set_keepalive(None);
    }
}
