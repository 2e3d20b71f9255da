//! Writing of responses: whole responses with their exact length, streamed responses, and responses that last.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora::{Error, ErrorType, OrErr, http::ResponseHeader, protocols::http::ServerSession};

use super::{
    client_request::has_certificate,
    compress::compress,
    pace::{LOOK, Pace},
    service::{LastingResponse, StreamedResponse},
};
use crate::{
    lifecycle::snapshot::Snapshot, net::memory::MemoryShare, outcome::access_log::Outcome,
    request::identity::REQUEST_ID, routes::cross_origin::CrossOrigin,
};
use cursorgate_config::settings::CompressionSettings;
use cursorgate_translate::downstream::{
    Code, EnvelopeTemplate, Problem, Response,
    response::{self, coding::CodedRequest},
};

/// The largest write, in bytes. If the client's pace is unknown, the write timeout applies to each of these writes.
const PIECE: usize = 128 * 1024;

/// The longest time for a write if the client's pace is known. The time is long, because the check of the pace ends
/// slow writes. Even a fast client's write may wait: the kernel accepts nothing until a third of its buffered megabytes
/// has been sent.
const PACED: Duration = Duration::from_secs(600);

/// The time that a stream of HTTP/2 may take for a piece while other requests lack memory. This amounts to 64 KiB/s,
/// the minimum pace of other clients.
const STREAM_PATIENCE: Duration = Duration::from_secs(2);

/// Writes a response, compressed if the client accepts a coding. `subject` is the header for the subject of a client's
/// certificate. The connection stays open, even after a 4xx status, unless the caller has marked it for closing.
/// Callers do so, for example, if the framing of the request is in doubt, or if the process stops. A failed write is
/// logged as `client_gone` or `client_stalled`.
pub async fn write(
    session: &mut ServerSession,
    mut response: Response,
    settings: &CompressionSettings,
    subject: Option<&HeaderName>,
    held: &MemoryShare,
    outcome: &mut Outcome,
) {
    outcome.status = response.status;
    identify(&mut response.headers, &outcome.request_id);
    let has_certificate = has_certificate(session, subject);
    let asked = CodedRequest { headers: &session.req_header().headers, has_certificate };
    // The body is compressed for HEAD too, so the head is the same as for GET. Test:
    // `head_is_get_without_the_body_in_every_coding`.
    if let Some(coding) = response.negotiate(asked, settings)
        && let Some(compressed) = compress(&response.body, coding, held).await
    {
        outcome.counted.compressed = Some((coding.word(), response.body.len(), compressed.len()));
        // `encode` drops the uncompressed body, so its memory is freed.
        let keeps = compressed.capacity();
        response.encode(coding, compressed);
        held.keep(keeps);
    }
    let without_body = session.req_header().method == Method::HEAD || response.body.is_empty();
    let written = async {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::from_u16(response.status).or_err(ErrorType::InternalError, "no status")?;
        head.headers = response.headers;
        session.write_response_header(Box::new(ResponseHeader::from(head))).await?;
        let mut left = if without_body { 0 } else { response.body.len() };
        // A small body is written at once, so its pace isn't measured. The streams of an HTTP/2 connection share a
        // socket, whose pace isn't the pace of one stream, so the pace of a stream isn't measured either.
        let is_alone = !session.is_http2();
        let mut pace = if left > PIECE && is_alone { Pace::begin(session) } else { None };
        if pace.is_some() {
            session.set_write_timeout(Some(PACED));
        }
        for mut part in response.body.into_parts() {
            while left > 0 && !part.is_empty() {
                let piece = part.split_to(part.len().min(PIECE));
                let length = piece.len();
                left -= length;
                write_piece(session, piece, left == 0, &mut pace, held).await?;
                outcome.bytes += length;
            }
        }
        Ok::<(), pingora::BError>(())
    };
    if let Err(error) = written.await {
        // A client that stops reading has stalled. It hasn't left. Test: `a_client_that_does_not_read_has_stalled`.
        let stalled = *error.root_etype() == ErrorType::WriteTimedout;
        outcome.code = Some(if stalled { "client_stalled" } else { "client_gone" });
        session.set_keepalive(None);
    }
}

/// Writes a response whose body is produced in parts, without compressing it. If the body breaks off, ends the
/// connection, which shows the client that the body is incomplete.
pub async fn stream(
    session: &mut ServerSession,
    streamed: Box<StreamedResponse>,
    cross_origin: Option<&CrossOrigin>,
    held: &MemoryShare,
    outcome: &mut Outcome,
) {
    let StreamedResponse { head: mut response, mut body } = *streamed;
    outcome.status = response.status;
    share(&mut response.headers, cross_origin, outcome);
    identify(&mut response.headers, &outcome.request_id);
    if !response.headers.contains_key(header::CONTENT_LENGTH) {
        frame(session, &mut response);
    }
    let without_body = session.req_header().method == Method::HEAD;
    let written = async {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::from_u16(response.status).or_err(ErrorType::InternalError, "no status")?;
        head.headers = response.headers;
        session.write_response_header(Box::new(ResponseHeader::from(head))).await?;
        if without_body {
            return Ok(());
        }
        let is_alone = !session.is_http2();
        let mut pace = if is_alone { Pace::begin(session) } else { None };
        if pace.is_some() {
            session.set_write_timeout(Some(PACED));
        }
        // Each part is written before the next one is read, so only one part is in memory at a time.
        while let Some(part) = body.next().await.or_err(ErrorType::FileReadError, "the body broke off")? {
            let length = part.len();
            write_piece(session, part, false, &mut pace, held).await?;
            outcome.bytes += length;
        }
        session.write_response_body(Bytes::new(), true).await
    };
    if let Err(error) = written.await {
        outcome.code = Some(match *error.root_etype() {
            ErrorType::WriteTimedout => "client_stalled",
            ErrorType::FileReadError => {
                outcome.detail = Some(error.to_string());
                Code::Internal.as_str()
            }
            _ => "client_gone",
        });
        session.set_keepalive(None);
    }
}

/// Gives a response a framing of its own, because its length isn't known. Otherwise the response would end with its
/// connection (RFC 9112 section 6.3), and the client could not tell an orderly end from a broken one.
fn frame(session: &ServerSession, response: &mut Response) {
    if session.req_header().version == Version::HTTP_11 {
        response.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Writes the head of a lasting response, and then runs its conversation to the end. The connection closes afterwards.
pub async fn converse(
    session: &mut ServerSession,
    lasting: Box<LastingResponse>,
    cross_origin: Option<&CrossOrigin>,
    held: &MemoryShare,
    outcome: &mut Outcome,
) {
    let LastingResponse { head: mut response, conversation } = *lasting;
    outcome.status = response.status;
    share(&mut response.headers, cross_origin, outcome);
    identify(&mut response.headers, &outcome.request_id);
    if response.status != 101 {
        frame(session, &mut response);
    }
    let begun = async {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::from_u16(response.status).or_err(ErrorType::InternalError, "no status")?;
        head.headers = response.headers;
        session.write_response_header(Box::new(ResponseHeader::from(head))).await
    };
    if begun.await.is_ok() {
        conversation.hold(session, held, outcome).await;
    } else {
        outcome.code = Some("client_gone");
    }
    // The connection closes, and the client's next request can reach another process.
    session.set_keepalive(None);
}

/// Writes a part of a conversation. Each part begins a new measurement of the client's pace, because a client has
/// nothing to read between parts.
pub async fn write_part(session: &mut ServerSession, mut part: Bytes, held: &MemoryShare) -> pingora::Result<()> {
    let is_alone = !session.is_http2();
    let mut pace = if is_alone { Pace::begin(session) } else { None };
    if pace.is_some() {
        session.set_write_timeout(Some(PACED));
    }
    while !part.is_empty() {
        let piece = part.split_to(part.len().min(PIECE));
        write_piece(session, piece, false, &mut pace, held).await?;
    }
    Ok(())
}

/// Writes a piece of a body.
///
/// # Errors
///
/// Returns `WriteTimedout` if the client is below the minimum pace, and the error of a write that fails.
async fn write_piece(
    session: &mut ServerSession,
    piece: Bytes,
    is_last: bool,
    pace: &mut Option<Pace>,
    held: &MemoryShare,
) -> pingora::Result<()> {
    let is_alone = !session.is_http2();
    let mut writing = pin!(session.write_response_body(piece, is_last));
    if pace.is_none() && is_alone {
        return writing.await;
    }
    let mut waited = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            written = &mut writing => return written,
            () = tokio::time::sleep(LOOK) => waited += LOOK,
        }
        // Here, a response without a pace is a stream of HTTP/2, whose waiting time counts instead. Test:
        // `slow_readers_by_http2_take_bounded_memory`.
        let is_too_slow = match pace {
            Some(pace) => pace.is_too_slow(held.is_short()),
            None => held.is_short() && waited >= STREAM_PATIENCE,
        };
        if is_too_slow {
            return Err(Error::explain(ErrorType::WriteTimedout, "the client takes too little"));
        }
    }
}

/// Writes the headers that state how much of the client's limits is left (`RateLimit`), and which scripts may read the
/// response.
pub fn share(headers: &mut HeaderMap, cross_origin: Option<&CrossOrigin>, outcome: &mut Outcome) {
    outcome.tell_limits(headers);
    match cross_origin {
        Some(cross_origin) => cross_origin.apply(headers),
        // The response then has the upstream's own cross-origin policy, which doesn't name the fields of limits, so
        // these fields are added. Test: `scripts_may_read_the_fields_of_limits`.
        None if outcome.tells_limits() => response::expose(headers, std::iter::empty()),
        None => {}
    }
}

/// Writes the id of a request into the headers of its response.
pub fn identify(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Converts a problem to a response, and records its code for the log. A 429 or 503 response without `Retry-After` gets
/// a `Retry-After` of one second.
pub fn refuse(
    problem: &Problem,
    envelope: Option<&EnvelopeTemplate>,
    snapshot: &Snapshot,
    outcome: &mut Outcome,
) -> Response {
    outcome.code = Some(problem.code.as_str());
    outcome.counted.cursor = problem.cursor;
    outcome.tell_refusal(problem.code.as_str());
    let types = snapshot.server.problem_types.as_deref();
    let mut response = Response::of_problem(problem, types, &outcome.request_id, envelope);
    if matches!(problem.status, 429 | 503) && !response.headers.contains_key(header::RETRY_AFTER) {
        response.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::{net::memory::Memory, outcome::metrics::RouteMetrics};

    /// Written bytes are counted, and a client that does not read is distinguished from a client that has left.
    ///
    /// Row: F66
    #[tokio::test]
    async fn a_client_that_does_not_read_has_stalled() {
        let (mut client, server) = tokio::io::duplex(3 * PIECE);
        client.write_all(b"GET /users HTTP/1.1\r\nHost: people\r\n\r\n").await.unwrap();
        let mut session = ServerSession::new_http1(Box::new(server));
        assert!(session.read_request().await.unwrap());
        session.set_write_timeout(Some(Duration::from_millis(50)));
        let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
        let held = Memory::new(1 << 20).share();
        let none = CompressionSettings { codings: Vec::new(), least: 0 };
        write(&mut session, Response::new(200, vec![b'x'; 10 * PIECE]), &none, None, &held, &mut outcome).await;
        assert_eq!((outcome.status, outcome.code), (200, Some("client_stalled")));
        assert_eq!((outcome.bytes, session.body_bytes_sent()), (2 * PIECE, 2 * PIECE));
        drop(client);
    }
}
