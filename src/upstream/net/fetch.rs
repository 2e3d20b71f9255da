//! One request to the legacy API, on a pooled connection, with every bound that there is: connecting, the head of the
//! answer, the whole fetch, the size of the answer.
//!
//! The body is read whole: a page can only be judged when all of it is there.

use std::{
    io::Read,
    pin::pin,
    time::{Duration, Instant},
};

use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::RequestHeader;

use super::{
    connection::{Connection, Connections, announced_length},
    error::FetchError,
    memory::MemoryShare,
    resolve::Peers,
};
use crate::config::settings::Timeouts;

/// How much is reserved at once for a body whose length is not said.
const FIRST_RESERVE: usize = 16 * 1024;

/// Fetches answers whole.
#[derive(Debug, Default)]
pub struct Fetcher {
    /// The connections, which requests that are forwarded use too.
    pub connections: Connections,
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
    pub held: &'a MemoryShare,
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

impl Fetcher {
    /// Sends a request, whose head says how long its body is, and reads the whole answer. Dropping the future closes the
    /// connection. What is asked is a read, also by POST, and may be sent once more.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; a pooled connection that turns out to be dead is replaced once, in silence, and so is one on
    /// which an answer broke off.
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
        let mut connection = self.connections.open(peers, &request.headers, bounds.timeouts, bounds.now).await?;
        let mut asked = ask_on(&mut connection, request, body, bounds).await;
        let is_worth_another = match &asked {
            // A pooled connection may have been closed while it was idle.
            Err(FetchError::Unavailable(_)) => connection.is_reused,
            // A worker that ended in the middle of its answer: another one gives it whole.
            Err(FetchError::Cut(_)) => true,
            _ => false,
        };
        if is_worth_another {
            connection = self.connections.renew(peers, &connection, bounds.timeouts, bounds.now).await?;
            asked = ask_on(&mut connection, request, body, bounds).await;
        }
        let fetched = asked?;
        self.connections.release(connection).await;
        decoded(fetched, bounds)
    }
}

/// Sends the request and reads the answer, as it came.
async fn ask_on(
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
    let head = tokio::time::timeout(patience, connection.final_head()).await;
    let head = head.map_err(|_| FetchError::Timeout(format!("no whole head within {patience:?}")))??;
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(FetchError::Malformed("it switched protocols".to_owned()));
    }
    // To HEAD the headers say how long the body would be.
    let announced = if request.method == Method::HEAD { None } else { announced_length(&head.headers) };
    bounds.held.give(FIRST_RESERVE);
    let mut body = Vec::new();
    match read_body(connection, &mut body, announced, bounds).await {
        Ok(()) => Ok(Fetched { status: head.status, headers: head.headers.clone(), body }),
        Err(error) => {
            // The next try begins with what this one began with.
            bounds.held.give(body.capacity());
            bounds.held.take(FIRST_RESERVE)?;
            Err(error)
        }
    }
}

async fn read_body(
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
    held.reserve(body, announced.unwrap_or_else(|| FIRST_RESERVE.min(most)), most)?;
    loop {
        match tokio::time::timeout(timeouts.first_byte, connection.body()).await {
            Ok(Ok(Some(bytes))) if bytes.len() > most - body.len() => {
                return Err(FetchError::TooLarge(format!("more than {most} bytes")));
            }
            Ok(Ok(Some(bytes))) => {
                held.reserve(body, bytes.len(), most)?;
                body.extend_from_slice(bytes);
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(FetchError::Timeout(format!("the answer stopped after {} bytes", body.len()))),
        }
    }
}

/// An answer without its content coding.
fn decoded(mut fetched: Fetched, bounds: Bounds<'_>) -> Result<Fetched, FetchError> {
    match decode(&fetched.headers, &fetched.body, bounds.answer_size, bounds.held) {
        Ok(decoded) => {
            if let Some(decoded) = decoded {
                bounds.held.give(fetched.body.capacity());
                fetched.body = decoded;
            }
            fetched.headers.remove(header::CONTENT_ENCODING);
        }
        Err(error) if fetched.status.is_success() || matches!(error, FetchError::Overloaded(_)) => return Err(error),
        // What the status says counts, whatever the body is: it passes as it came, or nobody reads it.
        Err(_) => {}
    }
    Ok(fetched)
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
pub fn decode(
    headers: &HeaderMap,
    body: &[u8],
    most: usize,
    held: &MemoryShare,
) -> Result<Option<Vec<u8>>, FetchError> {
    if body.is_empty() {
        return Ok(None);
    }
    match Coding::of(headers)? {
        Coding::Identity => Ok(None),
        Coding::Gzip => gunzip(body, most, held).map(Some),
    }
}

fn gunzip(body: &[u8], most: usize, held: &MemoryShare) -> Result<Vec<u8>, FetchError> {
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

#[cfg(test)]
mod tests;
