//! Bodies of requests, read within the limits of size, nesting and time of a route or a service.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version, header};
use pingora::{BError, ErrorType, protocols::http::ServerSession};

use crate::{
    net::{
        error::FetchError,
        fetch::{self, Coding},
        memory::MemoryShare,
    },
    outcome::failure::Failure,
};
use cursorgate_config::settings::Budgets;
use cursorgate_translate::downstream::{Code, Problem, RequestBody, request::body};

/// The longest time for reading the rest of a refused body. Many clients read the refusal only after they have sent the
/// whole body. After this time, the connection closes.
const LINGER: Duration = Duration::from_secs(2);

/// The largest length of the rest of a refused body that is read, as a multiple of the largest permitted body. If the
/// rest is longer, the connection closes.
const LINGER_SIZES: usize = 4;

/// The longest time to wait for the end of a body without bytes, if the end is sent in a frame of its own. Without it,
/// the request is refused.
const EMPTY_BODY: Duration = Duration::from_secs(2);

/// The largest number of frames that are read to find the end of an empty body; otherwise the request is refused.
const MOST_EMPTY_PARTS: usize = 4;

#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The largest body, in bytes.
    pub size: usize,
    /// The deepest permitted nesting of objects and arrays.
    pub depth: u16,
    /// The longest time for reading the whole body. It begins when the body is first read.
    pub time: Duration,
}

impl From<&Budgets> for BodyLimits {
    fn from(budgets: &Budgets) -> Self {
        Self { size: budgets.body_size, depth: budgets.body_depth, time: budgets.time }
    }
}

/// Reads and parses a request's body. If the body isn't read to its end, the connection isn't reused.
///
/// # Errors
///
/// Returns the same errors as [`receive`], and 400 `body_invalid` if the body isn't a JSON object.
pub async fn read(session: &mut ServerSession, limits: BodyLimits, held: &MemoryShare) -> Result<RequestBody, Failure> {
    Ok(RequestBody::read(receive(session, limits, held).await?, limits.depth)?)
}

/// The body of a request that passes to the upstream, unless the body has a mark.
pub enum ScannedBody {
    /// The body, in which a mark can be found.
    Parsed(RequestBody),
    /// The bytes of a body that can't be parsed, so no mark can be found: the upstream judges it. They are only the
    /// beginning of a body beyond the limits, which apply to marked requests alone. Test:
    /// `old_bodies_pass_beyond_the_limits`.
    Opaque(Vec<u8>),
    /// Nothing was read of the body: it can't have a mark, or announces a length beyond the limits.
    Unread,
}

impl ScannedBody {
    /// Returns the bytes that were read, as the client sent them; `None` if the body is unread.
    #[must_use]
    pub fn into_sent(self) -> Option<Bytes> {
        match self {
            Self::Parsed(body) => Some(body.into_sent().into()),
            Self::Opaque(bytes) => Some(bytes.into()),
            Self::Unread => None,
        }
    }
}

/// Reads the body of a request that passes to the upstream, unless the body has a mark.
///
/// # Errors
///
/// Returns 400 `body_invalid`, 400 `request_invalid` or 503 `overloaded`.
pub async fn scan(session: &mut ServerSession, limits: BodyLimits, held: &MemoryShare) -> Result<ScannedBody, Failure> {
    let announced = announced_length(&session.req_header().headers);
    if announced.is_some_and(|length| length > limits.size) {
        return Ok(ScannedBody::Unread);
    }
    permit_body(session).await?;
    let mut bytes = Vec::new();
    let collected = collect(session, &mut bytes, announced, limits.size, held);
    match tokio::time::timeout(limits.time, collected).await {
        Ok(Ok(true)) => {}
        // The rest is relayed as it comes.
        Ok(Ok(false)) | Err(_) => return Ok(ScannedBody::Opaque(bytes)),
        Ok(Err(failure)) => {
            session.set_keepalive(None);
            return Err(failure);
        }
    }
    let plain = match fetch::decode(&session.req_header().headers, &bytes, limits.size, held) {
        Ok(plain) => plain,
        Err(error @ FetchError::Overloaded(_)) => return Err(error.into()),
        Err(_) => return Ok(ScannedBody::Opaque(bytes)),
    };
    let is_coded = plain.is_some();
    Ok(match RequestBody::read(plain.unwrap_or_else(|| bytes.clone()), limits.depth) {
        Ok(body) if is_coded => ScannedBody::Parsed(body.with_coded(bytes)),
        Ok(body) => ScannedBody::Parsed(body),
        Err(_) => ScannedBody::Opaque(bytes),
    })
}

/// Reads the bytes of a request's body, and decodes them. First writes `100 Continue` if the client waits for it. If the
/// body isn't read to its end, the connection isn't reused.
///
/// # Errors
///
/// Returns 415 `media_type_unsupported`, 413 `body_too_large`, 400 `body_invalid`, 400 `request_invalid` or 503
/// `overloaded`.
pub async fn receive(session: &mut ServerSession, limits: BodyLimits, held: &MemoryShare) -> Result<Vec<u8>, Failure> {
    let unread = body::check_head(&session.req_header().headers).err();
    receive_checked(session, unread, limits, held).await
}

/// Reads a body like [`receive`]. The caller has checked its media type, and gives the refusal of a type that it doesn't
/// read.
///
/// # Errors
///
/// Returns the refusal, and the same errors as [`receive`].
pub async fn receive_checked(
    session: &mut ServerSession,
    unread: Option<Box<Problem>>,
    limits: BodyLimits,
    held: &MemoryShare,
) -> Result<Vec<u8>, Failure> {
    let head = session.req_header();
    let announced = announced_length(&head.headers);
    let too_large = announced.is_some_and(|length| length > limits.size);
    let unread = unread.or_else(|| unread_coding(&head.headers));
    let refused = unread.or_else(|| too_large.then(|| Box::new(body::too_large(limits.size))));
    if let Some(problem) = refused {
        // A client that waits for `100 Continue` sends nothing more. Other clients read the refusal only after they
        // have sent the body, so the body is read and discarded.
        if !waits_to_send(session) && announced.is_none_or(|length| length <= limits.size.saturating_mul(LINGER_SIZES))
        {
            linger(session, limits.size).await;
        }
        if !session.is_body_done() {
            session.set_keepalive(None);
        }
        return Err(problem.into());
    }
    permit_body(session).await?;
    let mut bytes = Vec::new();
    let collected = collect(session, &mut bytes, announced, limits.size, held);
    match tokio::time::timeout(limits.time, collected).await {
        Ok(Ok(true)) => decode(&session.req_header().headers, bytes, limits.size, held),
        Ok(Ok(false)) => {
            linger(session, limits.size).await;
            session.set_keepalive(None);
            Err(body::too_large(limits.size).into())
        }
        Ok(Err(failure)) => {
            session.set_keepalive(None);
            Err(failure)
        }
        Err(_) => {
            // The rest of the body may still arrive, and must not be read as a request. Test:
            // `incomplete_bodies_are_refused_and_reach_no_upstream`.
            session.set_keepalive(None);
            Err(broken(&format!("the body did not come to its end within {:?}", limits.time)).into())
        }
    }
}

/// Returns 415 `media_type_unsupported` if the body has a content coding other than gzip; `None` for all other bodies.
fn unread_coding(headers: &HeaderMap) -> Option<Box<Problem>> {
    let detail = "the only content coding that is read is gzip: leave out Content-Encoding";
    Coding::of(headers).err().map(|_| Box::new(Problem::new(Code::MediaTypeUnsupported, detail)))
}

/// Decodes a body to at most `most` bytes, so a small body can't take much memory.
fn decode(headers: &HeaderMap, bytes: Vec<u8>, most: usize, held: &MemoryShare) -> Result<Vec<u8>, Failure> {
    match fetch::decode(headers, &bytes, most, held) {
        Ok(None) => Ok(bytes),
        Ok(Some(plain)) => {
            held.give(bytes.capacity());
            Ok(plain)
        }
        Err(FetchError::TooLarge(_)) => Err(body::too_large(most).into()),
        Err(error @ FetchError::Overloaded(_)) => Err(error.into()),
        Err(_) => Err(broken("the body is not valid gzip, as its Content-Encoding says").into()),
    }
}

/// Writes `100 Continue` if the client waits for it before it sends its body. Test:
/// `expect_100_continue_is_answered_before_the_body`.
async fn permit_body(session: &mut ServerSession) -> Result<(), Failure> {
    if waits_to_send(session) && !session.is_body_empty() && session.write_continue_response().await.is_err() {
        session.set_keepalive(None);
        return Err(broken("the connection broke before the body came").into());
    }
    Ok(())
}

/// Returns whether a client waits for `100 Continue`. An expectation of HTTP/1.0 is ignored (RFC 9110 section 10.1.1).
fn waits_to_send(session: &ServerSession) -> bool {
    let head = session.req_header();
    head.version == Version::HTTP_11 && expects_continue(&head.headers)
}

/// Returns whether the body of a request by HTTP/2 ends without a byte; `false` for HTTP/1.1. Some clients send the end
/// of the body in a frame of its own.
pub async fn ends_empty(session: &mut ServerSession) -> bool {
    if !session.is_http2() || session.req_header().headers.contains_key(header::CONTENT_LENGTH) {
        return false;
    }
    let end = async {
        for _ in 0..MOST_EMPTY_PARTS {
            match session.read_request_body().await {
                Ok(Some(part)) if part.is_empty() => {}
                Ok(None) => return true,
                _ => return false,
            }
        }
        false
    };
    tokio::time::timeout(EMPTY_BODY, end).await.unwrap_or(false)
}

/// Reads a body into `bytes` until it ends, or until it is longer than `most` bytes, and counts its memory in `held`.
/// Returns whether the body has ended. After a time limit, `bytes` has what was read.
async fn collect(
    session: &mut ServerSession,
    bytes: &mut Vec<u8>,
    announced: Option<usize>,
    most: usize,
    held: &MemoryShare,
) -> Result<bool, Failure> {
    // The buffer grows with the bytes received. It isn't allocated by the announced length, because a client can
    // announce any length at no cost.
    held.reserve(bytes, announced.unwrap_or(0).min(64 << 10), most)?;
    // The loop reads at most `most` bytes and one more part, and the caller limits its time.
    loop {
        match session.read_request_body().await {
            Ok(Some(part)) => {
                held.reserve(bytes, part.len(), most)?;
                bytes.extend_from_slice(&part);
                // A body in chunks announces no length, so the bound is checked for each part. Test:
                // `bodies_have_a_bound`.
                if bytes.len() > most {
                    return Ok(false);
                }
            }
            Ok(None) => return Ok(true),
            Err(error) => return Err(fault(&error, bytes.len()).into()),
        }
    }
}

/// Reads and discards the rest of a body, at most [`LINGER_SIZES`] times `size` bytes and for at most [`LINGER`].
async fn linger(session: &mut ServerSession, size: usize) {
    let mut left = size.saturating_mul(LINGER_SIZES);
    let rest = async {
        while let Ok(Some(part)) = session.read_request_body().await {
            let Some(less) = left.checked_sub(part.len()) else { return };
            left = less;
        }
    };
    // The refusal is sent even if the rest doesn't arrive in time, so the result is ignored.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    // A malformed length has been refused with the head. A length beyond `usize` counts as too large.
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim();
    Some(text.parse().unwrap_or(usize::MAX))
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get_all(header::EXPECT).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Returns the problem for a body whose reading failed after `got` bytes.
fn fault(error: &BError, got: usize) -> Box<Problem> {
    match error.root_etype() {
        ErrorType::ReadTimedout => broken(&format!("the body stopped after {got} bytes")),
        ErrorType::ConnectionClosed | ErrorType::ReadError => broken(&format!("the body broke off after {got} bytes")),
        _ => Box::new(Problem::new(Code::RequestInvalid, format!("the body's framing is broken after {got} bytes"))),
    }
}

fn broken(detail: &str) -> Box<Problem> {
    Box::new(Problem::new(Code::BodyInvalid, detail))
}
