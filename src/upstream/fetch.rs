//! One request to the legacy API, on a pooled connection, with every bound that there is: connecting, the first byte,
//! the whole fetch, the size of the answer.
//!
//! The body is read whole: a page can only be judged when all of it is there. A connection goes back to the pool only
//! after a complete answer with nothing behind it, and never where it was itself authenticated (NTLM, Negotiate).

use std::{
    io::Read,
    pin::pin,
    time::{Duration, Instant},
};

use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, Method, StatusCode, header};
use pingora::{
    BError, ErrorType,
    connectors::{ConnectorOptions, http::v1::Connector},
    http::RequestHeader,
    protocols::http::v1::client::HttpSession,
    upstreams::peer::HttpPeer,
};

use super::{
    headers::authenticates_connection,
    memory::{Full, Held},
    resolve::Peers,
};
use crate::config::settings::Timeouts;

/// How many idle connections are kept for all upstreams together.
const POOL_SIZE: usize = 1024;

/// How long an idle connection is kept where the upstream does not say how long it keeps it.
pub const IDLE: Duration = Duration::from_secs(30);

/// How many informational answers may come before the final one (RFC 9110 section 15.2 sets no number).
const MOST_INFORMATIONAL: usize = 8;

/// How many peers are tried for one fetch, where one can't be reached.
const MOST_PEERS: usize = 3;

/// How much is reserved at once for a body whose length is not said.
const FIRST_RESERVE: usize = 16 * 1024;

/// Pooled HTTP/1.1 connections to upstreams, plain and TLS. One for the process, so that reloads keep the pool.
pub struct Fetcher {
    connector: Connector,
}

/// What bounds one fetch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Connecting and the first byte.
    pub timeouts: Timeouts,
    /// All of it: the least of the upstream's `timeouts.whole` and what is left of the client's request.
    pub whole: Duration,
    /// The largest body, decoded, in bytes.
    pub answer_size: usize,
    /// The request's share of memory: the body is added to it.
    pub held: &'a Held,
    /// When it begins.
    pub now: Instant,
}

/// An answer, complete.
#[derive(Debug)]
pub struct Fetched {
    /// Its status, never informational.
    pub status: StatusCode,
    /// Its headers, as they came, but for `Content-Encoding` where the body was decoded.
    pub headers: HeaderMap,
    /// Its body, without content coding; of an answer that is no success, and can't be decoded, as it came.
    pub body: Vec<u8>,
}

/// Why there is no answer. The text is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke before the answer began.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// One of the deadlines passed.
    #[error("timeout: {0}")]
    Timeout(String),
    /// The body is larger than the budget.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The gateway has no room for the body.
    #[error("overloaded: {0}")]
    Overloaded(#[from] Full),
    /// It is no HTTP answer, or broke off, or has a content coding that was not asked for.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fetcher")
    }
}

impl Fetcher {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self { connector: Connector::new(Some(ConnectorOptions::new(POOL_SIZE))) }
    }

    /// Sends a request, whose head says how long its body is, and reads the whole answer. Dropping the future closes the
    /// connection. What is asked is a read, also by POST, and may be sent once more.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; a pooled connection that turns out to be dead is replaced once, in silence.
    pub async fn fetch(
        &self,
        peers: &Peers,
        request: &RequestHeader,
        body: &[u8],
        bounds: Bounds<'_>,
    ) -> Result<Fetched, FetchError> {
        // Before the upstream is asked for a body that would find no room.
        bounds.held.take(FIRST_RESERVE)?;
        // Not by `timeout`, which would move what is asked into itself: it is large.
        let asking = pin!(self.ask(peers, request, body, bounds));
        tokio::select! {
            biased;
            outcome = asking => outcome,
            () = tokio::time::sleep(bounds.whole) => {
                Err(FetchError::Timeout(format!("no whole answer within {:?}", bounds.whole)))
            }
        }
    }

    async fn ask(
        &self,
        peers: &Peers,
        request: &RequestHeader,
        body: &[u8],
        bounds: Bounds<'_>,
    ) -> Result<Fetched, FetchError> {
        let (peer, mut session, reused) = self.connect(peers, bounds).await?;
        if let Err(error) = begin(&mut session, request, body, bounds).await {
            if !(reused && is_stale(&error)) {
                return Err(broken(&error));
            }
            // Another group means another pool: what comes out of it is a new connection.
            let mut fresh = peer.clone();
            fresh.group_key ^= 1;
            session = self.reach(peers, &fresh, bounds).await?.0;
            begin(&mut session, request, body, bounds).await.map_err(|error| broken(&error))?;
        }
        self.finish(session, &peer, request, bounds).await
    }

    /// A connection to the peer whose turn it is, or to the next one where that can't be reached: nothing was sent yet.
    async fn connect(&self, peers: &Peers, bounds: Bounds<'_>) -> Result<(HttpPeer, HttpSession, bool), FetchError> {
        let mut left = peers.count().min(MOST_PEERS);
        loop {
            let unreached = match peers.next(bounds.now, bounds.timeouts.connect).await {
                Ok(peer) => match self.reach(peers, &peer, bounds).await {
                    Ok((session, reused)) => return Ok((peer, session, reused)),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if left <= 1 {
                return Err(unreached);
            }
            left -= 1;
        }
    }

    /// A connection to this peer, new or pooled, and whether it is pooled. The peer's health remembers the outcome.
    async fn reach(
        &self,
        peers: &Peers,
        peer: &HttpPeer,
        bounds: Bounds<'_>,
    ) -> Result<(HttpSession, bool), FetchError> {
        match self.connector.get_http_session(peer).await {
            Ok((session, reused)) => {
                if !reused {
                    peers.reached(peer);
                }
                Ok((session, reused))
            }
            Err(error) => {
                if is_peers_fault(&error) {
                    peers.failed(peer, bounds.now);
                }
                Err(unavailable(&error))
            }
        }
    }

    /// Reads the body and gives the connection back where others may use it.
    async fn finish(
        &self,
        mut session: HttpSession,
        peer: &HttpPeer,
        request: &RequestHeader,
        bounds: Bounds<'_>,
    ) -> Result<Fetched, FetchError> {
        let Some(head) = session.resp_header() else {
            return Err(FetchError::Malformed("no answer".to_owned()));
        };
        let (status, mut headers) = (head.status, head.headers.clone());
        // To HEAD the headers say how long the body would be.
        let announced = if request.method == Method::HEAD { None } else { announced_length(&headers) };
        bounds.held.give(FIRST_RESERVE);
        let mut body = read_body(&mut session, announced, bounds).await?;
        if !authenticates_connection(&request.headers) && !authenticates_connection(&headers) {
            let idle = kept_for(&headers);
            self.connector.release_http_session(session, peer, Some(idle)).await;
        }
        match decode(&headers, &body, bounds.answer_size, bounds.held) {
            Ok(decoded) => {
                if let Some(decoded) = decoded {
                    bounds.held.give(body.capacity());
                    body = decoded;
                }
                headers.remove(header::CONTENT_ENCODING);
            }
            Err(error) if status.is_success() || matches!(error, FetchError::Overloaded(_)) => return Err(error),
            // What the status says counts, whatever the body is: it passes as it came, or nobody reads it.
            Err(_) => {}
        }
        Ok(Fetched { status, headers, body })
    }
}

/// Sends the request and reads up to the final head.
async fn begin(
    session: &mut HttpSession,
    request: &RequestHeader,
    body: &[u8],
    bounds: Bounds<'_>,
) -> Result<(), BError> {
    session.read_timeout = Some(bounds.timeouts.first_byte);
    session.write_timeout = Some(bounds.timeouts.whole);
    session.write_request_header(Box::new(request.clone())).await?;
    if !body.is_empty() {
        session.write_body(body).await?;
        session.finish_body().await?;
    }
    for _ in 0..=MOST_INFORMATIONAL {
        session.read_response().await?;
        match session.get_status() {
            Some(StatusCode::SWITCHING_PROTOCOLS) => {
                return Err(pingora::Error::explain(ErrorType::InvalidHTTPHeader, "it switched protocols unasked"));
            }
            Some(status) if status.is_informational() => {}
            _ => return Ok(()),
        }
    }
    Err(pingora::Error::explain(ErrorType::InvalidHTTPHeader, "too many informational answers"))
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

async fn read_body(
    session: &mut HttpSession,
    announced: Option<usize>,
    bounds: Bounds<'_>,
) -> Result<Vec<u8>, FetchError> {
    let Bounds { answer_size: most, held, .. } = bounds;
    if let Some(announced) = announced
        && announced > most
    {
        return Err(FetchError::TooLarge(format!("{announced} bytes are announced, {most} are allowed")));
    }
    let mut body = Vec::new();
    held.reserve(&mut body, announced.unwrap_or_else(|| FIRST_RESERVE.min(most)), most)?;
    loop {
        match session.read_body_ref().await {
            Ok(Some(bytes)) if bytes.len() > most - body.len() => {
                return Err(FetchError::TooLarge(format!("more than {most} bytes")));
            }
            Ok(Some(bytes)) => {
                held.reserve(&mut body, bytes.len(), most)?;
                body.extend_from_slice(bytes);
            }
            Ok(None) => return Ok(body),
            Err(error) if is_timeout(&error) => {
                return Err(FetchError::Timeout(format!("the answer stopped after {} bytes", body.len())));
            }
            Err(error) => {
                let (got, kind) = (body.len(), error.etype().as_str());
                return Err(FetchError::Malformed(format!("the answer broke off after {got} bytes: {kind}")));
            }
        }
    }
}

/// The content codings that are understood. Answers are asked for without one; gzip comes all the same from some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self, FetchError> {
        let mut found = Self::Identity;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for coding in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
                    continue;
                }
                let gzip = coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip");
                if !gzip || found == Self::Gzip {
                    return Err(FetchError::Malformed(format!("content coding {value:?}")));
                }
                found = Self::Gzip;
            }
        }
        Ok(found)
    }
}

/// A body without its content coding, at most `most` bytes; nothing where it has none, or is empty. `held` holds it.
///
/// # Errors
///
/// [`FetchError::TooLarge`] and [`FetchError::Overloaded`]; [`FetchError::Malformed`] for codings other than gzip, and for
/// what is no gzip.
pub fn decode(headers: &HeaderMap, body: &[u8], most: usize, held: &Held) -> Result<Option<Vec<u8>>, FetchError> {
    if body.is_empty() {
        return Ok(None);
    }
    match Coding::of(headers)? {
        Coding::Identity => Ok(None),
        Coding::Gzip => gunzip(body, most, held).map(Some),
    }
}

fn gunzip(body: &[u8], most: usize, held: &Held) -> Result<Vec<u8>, FetchError> {
    let mut decoded = Vec::new();
    let mut decoder = MultiGzDecoder::new(body);
    held.reserve(&mut decoded, body.len().saturating_mul(4).min(most), most)?;
    loop {
        // No more than there is room for, so that the buffer does not grow unseen.
        let room = u64::try_from(decoded.capacity() - decoded.len()).unwrap_or(u64::MAX);
        match decoder.by_ref().take(room).read_to_end(&mut decoded) {
            Ok(_) if decoded.len() < decoded.capacity() => return Ok(decoded),
            Ok(_) => {}
            Err(error) => return Err(FetchError::Malformed(format!("gzip: {error}"))),
        }
        // One byte more tells whether this is the end.
        let mut next = [0; 1];
        match decoder.read(&mut next) {
            Ok(0) => return Ok(decoded),
            Ok(_) if decoded.len() >= most => {
                return Err(FetchError::TooLarge(format!("more than {most} bytes of gzip's content")));
            }
            Ok(_) => {
                let more = FIRST_RESERVE.min(most - decoded.len());
                held.reserve(&mut decoded, more, most)?;
                decoded.push(next[0]);
            }
            Err(error) => return Err(FetchError::Malformed(format!("gzip: {error}"))),
        }
    }
}

/// How long to keep the connection: a second less than the upstream's `Keep-Alive: timeout=…`, so that it is not used
/// at the moment at which the upstream closes it.
fn kept_for(headers: &HeaderMap) -> Duration {
    let said = headers.get("keep-alive").and_then(|value| {
        let parts = value.to_str().ok()?.split(',');
        parts.filter_map(|part| part.trim().strip_prefix("timeout=")).find_map(|seconds| seconds.parse::<u64>().ok())
    });
    said.map_or(IDLE, |seconds| Duration::from_secs(seconds.saturating_sub(1).max(1)).min(IDLE))
}

/// Whether this is how a connection fails that the upstream closed while it was idle.
fn is_stale(error: &BError) -> bool {
    matches!(error.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError)
}

fn is_timeout(error: &BError) -> bool {
    matches!(
        error.root_etype(),
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    )
}

/// Whether a failed connection says something of the peer, rather than that this machine lacks a descriptor or a port.
pub fn is_peers_fault(error: &pingora::Error) -> bool {
    !matches!(error.etype(), ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError)
}

fn unavailable(error: &BError) -> FetchError {
    let detail = error.to_string().trim().to_owned();
    if is_timeout(error) { FetchError::Timeout(detail) } else { FetchError::Unavailable(detail) }
}

/// What a failure between the request's first byte and the answer's head means.
fn broken(error: &BError) -> FetchError {
    if matches!(error.etype(), ErrorType::InvalidHTTPHeader) {
        // The error's own text quotes the head, which may hold cookies.
        return FetchError::Malformed("its head is not HTTP/1.1".to_owned());
    }
    unavailable(error)
}

#[cfg(test)]
mod tests;
