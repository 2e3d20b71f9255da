//! Requests for pages on pooled connections, with limits for connecting, the head of the answer, the whole fetch, and
//! the size of the answer.
//!
//! The body is read completely, because only complete answers can be judged.

use std::{
    io::Read,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::RequestHeader;

use super::{
    connection::{Connection, Connections, LOOK, announced_length},
    error::FetchError,
    memory::MemoryShare,
    peers::{peer::Peer, retry::Flaw, visit::Visit},
};
use crate::runtime::clock;
use cursorgate_config::settings::Timeouts;
use cursorgate_translate::{downstream::ROOM_AFTER_ITEMS, upstream::request::headers::retry_after_seconds};

/// The number of bytes that are reserved before a request is sent, and for a body of unknown length.
const FIRST_RESERVE: usize = 16 * 1024;

/// The least rate of a sender, in bytes per second. Apache's `mod_reqtimeout` has the same default (`MinRate=500`).
pub const BYTES_A_SECOND: usize = 500;

/// The number of bytes that are decoded before other tasks get a turn: less than a millisecond of work.
const DECODED_PIECE: usize = 256 * 1024;

/// A client that fetches complete answers.
#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    /// The connections, shared with forwarded requests.
    pub connections: Arc<Connections>,
}

/// The limits of one fetch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// The timeouts: `connect` limits connecting, `first_byte` the whole head and each read of the body, and `whole`
    /// each write.
    pub timeouts: Timeouts,
    /// The time limit of the whole fetch: the smaller of the upstream's `timeouts.whole` and the time left for the
    /// client's request.
    pub whole: Duration,
    /// The largest number of bytes in the body, both as received and decoded. A larger body is
    /// [`FetchError::TooLarge`].
    pub answer_size: usize,
    /// The request's share of memory, to which the body is added.
    pub held: &'a MemoryShare,
    /// The start of the fetch.
    pub now: Instant,
    /// The start of the fetch in seconds since 1970, to which a date in `Retry-After` is compared.
    pub unix_seconds: u64,
    /// The place where the fetch notes the peer that it sends its request to.
    pub asked: &'a AskedPeer,
}

impl<'a> Bounds<'a> {
    /// Returns the limits of a request of the gateway's own, which starts now and has the upstream's whole time.
    #[must_use]
    pub fn from_now(timeouts: Timeouts, answer_size: usize, held: &'a MemoryShare, asked: &'a AskedPeer) -> Self {
        let (now, unix_seconds) = (clock::instant(), clock::unix_seconds());
        Self { timeouts, whole: timeouts.whole, answer_size, held, now, unix_seconds, asked }
    }
}

/// The peer to which the last request was sent, even if that request failed.
#[derive(Debug, Default)]
pub struct AskedPeer(Mutex<Option<Arc<Peer>>>);

impl AskedPeer {
    /// Notes the peer to which a request is sent.
    pub fn note(&self, peer: Option<Arc<Peer>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = peer;
    }

    /// Returns the peer to which the last request was sent; `None` before the first connection.
    #[must_use]
    pub fn peer(&self) -> Option<Arc<Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the peer to which the last request was sent; `None` before the first connection.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|peer| peer.address)
    }
}

/// A complete answer of an upstream.
#[derive(Debug)]
pub struct Fetched {
    /// The status, never an informational one.
    pub status: StatusCode,
    /// The headers as received, without `Content-Encoding` unless the body is still encoded.
    pub headers: HeaderMap,
    /// The decoded body. If the answer is unsuccessful and can't be decoded, the body is as received.
    pub body: Vec<u8>,
}

impl Fetcher {
    /// Sends a request and reads the complete answer. The request's head must state the length of its body. Dropping
    /// the future closes the connection. Requests for pages only read, even those by POST, so they may be sent twice.
    ///
    /// # Errors
    ///
    /// Returns a [`FetchError`]. A pooled connection that turns out to be dead is replaced once. Other failures are
    /// retried as the upstream's settings allow (`Visit::retry`).
    pub async fn fetch(
        &self,
        visit: &Visit<'_>,
        request: &RequestHeader,
        body: &[u8],
        bounds: Bounds<'_>,
    ) -> Result<Fetched, FetchError> {
        // Memory is reserved first: the upstream must not be sent a request if its answer has no room. Test:
        // `a_fetch_without_memory_makes_no_request`.
        bounds.held.take(FIRST_RESERVE)?;
        // `tokio::time::timeout` would move the future, which is large.
        let asking = pin!(self.ask(visit, request, body, bounds));
        tokio::select! {
            biased;
            outcome = asking => outcome,
            // Each read of an answer may be in time although the answer never ends, so the whole fetch has a limit.
            // Test: `a_body_that_drips_times_out`.
            () = tokio::time::sleep(bounds.whole) => {
                // The peer is at fault only if it had the full `first_byte` time, which earlier attempts shorten.
                if bounds.whole >= bounds.timeouts.first_byte && visit.retries() == 0 {
                    visit.late(visit.peers.now());
                }
                Err(FetchError::Timeout(format!("no whole answer within {:?}", bounds.whole)))
            }
        }
    }

    async fn ask(
        &self,
        visit: &Visit<'_>,
        request: &RequestHeader,
        body: &[u8],
        bounds: Bounds<'_>,
    ) -> Result<Fetched, FetchError> {
        visit.begins();
        let mut may_renew = true;
        // `Visit::retry` bounds the number of attempts.
        let fetched = loop {
            let asked = self.attempt(visit, &mut may_renew, request, body, bounds).await;
            let now = visit.peers.now();
            let pause = flaw(&asked, &bounds).and_then(|flaw| visit.retry(flaw, now, bounds.now + bounds.whole));
            let Some(pause) = pause else { break asked? };
            if let Ok(fetched) = asked {
                // The next attempt starts with the same share of memory as the first.
                bounds.held.give(fetched.body.capacity());
                bounds.held.take(FIRST_RESERVE)?;
            }
            tokio::time::sleep(pause).await;
        };
        decoded(fetched, bounds).await
    }

    /// Makes one attempt and records how its peer answered. While `may_renew` is set, a dead pooled connection is
    /// replaced, which clears it.
    async fn attempt(
        &self,
        visit: &Visit<'_>,
        may_renew: &mut bool,
        request: &RequestHeader,
        body: &[u8],
        bounds: Bounds<'_>,
    ) -> Result<Fetched, FetchError> {
        let mut connection = self.connections.open(visit, &request.headers, true, bounds.timeouts).await?;
        bounds.asked.note(Some(Arc::clone(&connection.peer)));
        let mut asked = ask_on(visit, &mut connection, request, body, bounds).await;
        // The upstream may have closed a pooled connection while it was idle, so the request is sent again on a new
        // one. Test: `a_pooled_connection_that_died_is_replaced_in_silence`.
        if let Err(FetchError::Unavailable(_) | FetchError::Lost(_)) = &asked
            && connection.is_reused
            && std::mem::take(may_renew)
        {
            if let Err(FetchError::Lost(_)) = &asked {
                // The other connections in the pool are most likely lost too, and each would cost a request the same
                // wait.
                visit.peers.lost(&connection.peer, visit.peers.now());
            }
            connection = self.connections.renew(visit.peers, connection, bounds.timeouts).await?;
            asked = ask_on(visit, &mut connection, request, body, bounds).await;
        }
        let (peer, now) = (&connection.peer, visit.peers.now());
        match flaw(&asked, &bounds) {
            Some(flaw) => visit.failed(peer, flaw, now),
            None if asked.is_ok() => {
                visit.answered(peer, now);
            }
            // Other failures, such as a body that is too large, aren't the peer's fault.
            None => {}
        }
        let fetched = asked?;
        // An answer that was not read to its end closes its connection. Test:
        // `a_connection_is_used_again_after_a_whole_answer_only`.
        self.connections.release(visit.peers, connection).await;
        Ok(fetched)
    }
}

/// Returns the flaw of a failed attempt if another attempt might succeed; otherwise `None`.
fn flaw(asked: &Result<Fetched, FetchError>, bounds: &Bounds<'_>) -> Option<Flaw> {
    match asked {
        Ok(fetched) => {
            Flaw::of_status(fetched.status.as_u16(), || retry_after_seconds(&fetched.headers, bounds.unix_seconds))
        }
        Err(error) => Flaw::of_error(error),
    }
}

/// Sends the request and reads the answer without decoding its body.
async fn ask_on(
    visit: &Visit<'_>,
    connection: &mut Connection,
    request: &RequestHeader,
    body: &[u8],
    bounds: Bounds<'_>,
) -> Result<Fetched, FetchError> {
    connection.send(Box::new(request.clone())).await?;
    if !body.is_empty() {
        connection.send_body(body).await?;
        connection.finish().await?;
    }
    let patience = bounds.timeouts.first_byte;
    // One timeout spans the whole head, because each single byte might arrive in time. Test:
    // `a_head_of_an_answer_that_drips_times_out`.
    let mut left = patience;
    let (status, headers) = loop {
        let wait = if connection.is_reused { left.min(LOOK) } else { left };
        if let Ok(head) = tokio::time::timeout(wait, connection.final_head()).await {
            break head?;
        }
        left -= wait;
        if left.is_zero() {
            return Err(FetchError::Timeout(format!("no whole head within {patience:?}")));
        }
        if let Some(loss) = connection.loss() {
            return Err(loss);
        }
    };
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(FetchError::Malformed("it switched protocols".to_owned()));
    }
    // The headers of an answer to HEAD state the length that the body of GET would have, so the length is ignored.
    // Test: `an_answer_to_head_has_no_body`.
    let announced = if request.method == Method::HEAD { None } else { announced_length(&headers) };
    bounds.held.give(FIRST_RESERVE);
    let mut body = Vec::new();
    match read_body(visit, connection, &mut body, announced, bounds).await {
        Ok(()) => Ok(Fetched { status, headers, body }),
        Err(error) => {
            // The next attempt starts with the same share of memory as the first.
            bounds.held.give(body.capacity());
            bounds.held.take(FIRST_RESERVE)?;
            Err(error)
        }
    }
}

async fn read_body(
    visit: &Visit<'_>,
    connection: &mut Connection,
    body: &mut Vec<u8>,
    announced: Option<usize>,
    bounds: Bounds<'_>,
) -> Result<(), FetchError> {
    let Bounds { answer_size: most, held, timeouts, .. } = bounds;
    if let Some(announced) = announced
        && announced > most
    {
        return Err(FetchError::TooLarge(format!("{announced} bytes are announced, {most} are allowed")));
    }
    // A page is written around its items in this memory, if there is room behind them.
    let first = announced.map_or_else(|| FIRST_RESERVE.min(most), |announced| announced + ROOM_AFTER_ITEMS);
    held.reserve(body, first, most)?;
    let began = visit.peers.now();
    loop {
        match tokio::time::timeout(timeouts.first_byte, connection.body()).await {
            // Chunks don't announce a total size, so their sum is checked as they arrive. Test:
            // `large_answers_are_refused`.
            Ok(Ok(Some(bytes))) if bytes.len() > most - body.len() => {
                return Err(FetchError::TooLarge(format!("more than {most} bytes")));
            }
            Ok(Ok(Some(bytes))) => {
                held.reserve(body, bytes.len(), most)?;
                body.extend_from_slice(bytes);
                // Each read may be in time although the answer takes forever. Without another peer, the rest of the time
                // is better spent on this answer. Test: `a_peer_whose_answers_drip_is_passed_over`.
                let took = visit.peers.now().saturating_duration_since(began);
                if took >= timeouts.first_byte && is_dripping(body.len(), took) && visit.has_other(&connection.peer) {
                    return Err(FetchError::Timeout(format!("only {} bytes in {took:.0?}", body.len())));
                }
            }
            // A body without a length ends with its connection, and only its JSON shows whether it is complete, so any
            // end is accepted here. Test: `a_page_without_a_length_is_served_if_its_json_is_complete`.
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(FetchError::Timeout(format!("the answer stopped after {} bytes", body.len()))),
        }
    }
}

/// Returns whether an answer arrives below the least rate of senders.
fn is_dripping(bytes: usize, took: Duration) -> bool {
    (bytes as u128) * 1_000 < took.as_millis() * BYTES_A_SECOND as u128
}

/// Decodes the body of an answer, and yields to other tasks after each [`DECODED_PIECE`].
async fn decoded(mut fetched: Fetched, bounds: Bounds<'_>) -> Result<Fetched, FetchError> {
    let whole = match Decoding::begin(&fetched.headers, &fetched.body, bounds.answer_size, bounds.held) {
        Ok(None) => Ok(None),
        Ok(Some(mut decoding)) => loop {
            match decoding.step() {
                Ok(true) => break Ok(Some(decoding.decoded)),
                Ok(false) => tokio::task::yield_now().await,
                Err(error) => break Err(error),
            }
        },
        Err(error) => Err(error),
    };
    match whole {
        Ok(whole) => {
            if let Some(whole) = whole {
                bounds.held.give(fetched.body.capacity());
                fetched.body = whole;
            }
            fetched.headers.remove(header::CONTENT_ENCODING);
        }
        Err(error) if fetched.status.is_success() || matches!(error, FetchError::Overloaded(_)) => return Err(error),
        // Unsuccessful answers are passed to the client as received, or aren't read at all. Test:
        // `an_unsuccessful_answer_may_have_any_coding`.
        Err(_) => {}
    }
    Ok(fetched)
}

/// The content coding that requests to upstreams accept. Every server that compresses supports gzip, and gzip's window
/// takes 32 KiB, while zstd's may take 8 MiB (RFC 9659).
pub const ASKED_CODING: &str = "gzip";

/// The content codings that are supported. Some upstreams send gzip even if the request doesn't accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    /// Returns the content coding of a body with these headers. Empty elements of a list are ignored (RFC 9110 section
    /// 5.6.1).
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Malformed`] for any other coding, and for several codings.
    pub fn of(headers: &HeaderMap) -> Result<Self, FetchError> {
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

/// Decodes a gzip body to at most `most` bytes; returns `None` if the body has no coding or is empty. The decoded
/// bytes are added to `held`.
///
/// # Errors
///
/// Returns [`FetchError::TooLarge`] if the decoded body exceeds `most`, [`FetchError::Overloaded`] if the memory budget
/// has no room, and [`FetchError::Malformed`] if the gzip is invalid or the coding isn't gzip.
pub fn decode(
    headers: &HeaderMap,
    body: &[u8],
    most: usize,
    held: &MemoryShare,
) -> Result<Option<Vec<u8>>, FetchError> {
    let Some(mut decoding) = Decoding::begin(headers, body, most, held)? else { return Ok(None) };
    while !decoding.step()? {}
    Ok(Some(decoding.decoded))
}

/// The decoding of a gzip body, piece by piece.
struct Decoding<'a> {
    decoder: MultiGzDecoder<&'a [u8]>,
    decoded: Vec<u8>,
    most: usize,
    held: &'a MemoryShare,
}

impl<'a> Decoding<'a> {
    fn begin(
        headers: &HeaderMap,
        body: &'a [u8],
        most: usize,
        held: &'a MemoryShare,
    ) -> Result<Option<Self>, FetchError> {
        // A redirect or a 204 may name a coding and have no body, so an empty body isn't decoded. Test:
        // `an_unsuccessful_answer_may_have_any_coding`.
        if body.is_empty() || Coding::of(headers)? == Coding::Identity {
            return Ok(None);
        }
        let mut decoded = Vec::new();
        held.reserve(&mut decoded, body.len().saturating_mul(4).min(most), most)?;
        Ok(Some(Self { decoder: MultiGzDecoder::new(body), decoded, most, held }))
    }

    /// Decodes up to [`DECODED_PIECE`] bytes. Returns `true` at the end of the body.
    fn step(&mut self) -> Result<bool, FetchError> {
        // The buffer is filled only up to its reserved capacity: it must not grow beyond the memory that was taken.
        let room = (self.decoded.capacity() - self.decoded.len()).min(DECODED_PIECE);
        let before = self.decoded.len();
        let read = self.decoder.by_ref().take(room as u64).read_to_end(&mut self.decoded);
        read.map_err(|error| FetchError::Malformed(format!("gzip: {error}")))?;
        if self.decoded.len() < before + room {
            return Ok(true);
        }
        if self.decoded.len() < self.decoded.capacity() {
            return Ok(false);
        }
        // One more byte distinguishes a full buffer from the end. Test: `the_size_is_bounded_on_the_wire_and_decoded`.
        let mut next = [0; 1];
        let has_more = self.decoder.read(&mut next).map_err(|error| FetchError::Malformed(format!("gzip: {error}")))?;
        if has_more == 0 {
            return Ok(true);
        }
        if self.decoded.len() >= self.most {
            // A small body can decode to any size, so the limit is checked before more memory is taken. Test:
            // `a_decompression_bomb_is_too_large_and_takes_no_memory`.
            return Err(FetchError::TooLarge(format!("more than {} bytes of gzip's content", self.most)));
        }
        let more = FIRST_RESERVE.min(self.most - self.decoded.len());
        self.held.reserve(&mut self.decoded, more, self.most)?;
        self.decoded.push(next[0]);
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
