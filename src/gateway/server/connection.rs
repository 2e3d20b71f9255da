//! The life of one connection of a client: TLS where it is spoken, and one request after the other. Heads are read here,
//! with a bound on their time and size and before Pingora sees them; what is refused of them is answered here.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use http::{HeaderMap, Method};
use pingora::{
    apps::{HttpPersistentSettings, HttpServerApp},
    protocols::{Stream, http::ServerSession},
    server::ShutdownWatch,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};

use super::{
    admission::{Admission, AdmittedConnection, Dropped},
    gate::Gated,
};
use crate::{
    downstream::{Code, Problem, Response},
    gateway::{
        lifecycle::live::Live,
        outcome::access_log::Outcome,
        request::head::{self, Framing, HeadScanner},
        runtime::clock,
        session::{context::RequestIds, respond},
    },
};

/// How many requests one connection may bring, so that its memory is given back now and then.
const REQUESTS_PER_CONNECTION: u32 = 10_000;

/// How much is reserved for a head at first; most take less.
const FIRST_READ: usize = 4 * 1024;

/// How long a refusal may take to be written, and then the client to close.
const REFUSING: Duration = Duration::from_secs(2);

/// How much of what a refused client still sends is read, so that it gets to read why: closing with unread bytes takes back
/// what was written.
const LINGERING: usize = 256 * 1024;

/// What all connections of one server have in common.
#[derive(Debug)]
pub struct Front {
    live: Arc<Live>,
    ids: Arc<RequestIds>,
    admission: Arc<Admission>,
}

/// A head that may go on, and what of its body came with it.
struct AcceptedHead {
    bytes: BytesMut,
    left: Framing,
    /// More came than belongs to the request.
    has_surplus: bool,
}

/// What comes of waiting for a head.
enum Awaited {
    Head(AcceptedHead),
    /// It is answered by this, and the connection ends.
    Refused {
        problem: Box<Problem>,
        asked: Option<(Method, Vec<u8>)>,
    },
    /// The connection ends without an answer, maybe for a reason that is counted.
    Over(Option<Dropped>),
}

impl Front {
    /// What connections have in common that these places are for.
    #[must_use]
    pub fn new(live: Arc<Live>, ids: Arc<RequestIds>, admission: Arc<Admission>) -> Arc<Self> {
        Arc::new(Self { live, ids, admission })
    }

    /// A place for a client, or what it is told instead, as bytes.
    pub(crate) async fn enter(&self, address: IpAddr) -> Result<AdmittedConnection, Vec<u8>> {
        let snapshot = self.live.pin();
        self.admission.enter(address, snapshot.trusts(address)).await.map_err(|_| {
            let problem = Problem::new(Code::Overloaded, "there are too many connections: try again");
            let mut response =
                Response::of_problem(&problem, snapshot.server.problem_types.as_deref(), &self.ids.next(), None);
            response.headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
            wire(&response)
        })
    }

    /// How long TLS may take to be agreed on: as long as a head.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.live.pin().server.head_timeout
    }

    /// Serves requests until the connection ends: by the client, by a refusal, for want of a place, or because the server
    /// stops.
    pub(crate) async fn serve<A: HttpServerApp + Send + Sync + 'static>(
        &self,
        app: &Arc<A>,
        stream: Stream,
        place: &AdmittedConnection,
        shutdown: &mut ShutdownWatch,
    ) {
        let mut connection = Box::new(Gated::new(stream));
        let mut kept: Option<HttpPersistentSettings> = None;
        for _ in 0..REQUESTS_PER_CONNECTION {
            let io = connection.between_requests();
            let awaited = tokio::select! {
                biased;
                awaited = self.await_head(io, place, kept.is_none(), shutdown) => awaited,
                () = place.displaced() => return,
            };
            let head = match awaited {
                Awaited::Head(head) if place.begin() => head,
                Awaited::Head(_) => return,
                Awaited::Refused { problem, asked } => {
                    // A client that does not take it in time loses it.
                    tokio::select! {
                        _ = tokio::time::timeout(REFUSING, self.refuse(io, &problem, asked)) => return,
                        () = place.displaced() => return,
                    }
                }
                Awaited::Over(reason) => {
                    if let Some(reason) = reason {
                        place.admission().count(reason);
                    }
                    return;
                }
            };
            let surplus = connection.open(head.left);
            if head.has_surplus {
                surplus.notice();
            }
            let mut session = ServerSession::new_http1(connection);
            match kept.take() {
                Some(kept) => kept.apply_to_session(&mut session),
                None => session.set_keepalive_reuses_remaining(Some(REQUESTS_PER_CONNECTION - 1)),
            }
            session.set_pipelined_prefix(head.bytes);
            session.set_connection_user_context(Some(Box::new(surplus.clone())));
            let Some(reused) = app.process_new_http(session, shutdown).await else { return };
            let (stream, settings) = reused.consume();
            let Ok(same) = stream.into_any().downcast::<Gated>() else { return };
            if surplus.is_there() {
                return;
            }
            (connection, kept) = (same, settings);
            place.rest();
        }
    }

    /// Waits for a head: for its first byte as long as a connection may be idle, then for all of it as long as a head may
    /// take. The process that stops waits for no first byte.
    async fn await_head(
        &self,
        io: &mut BufWriter<Stream>,
        place: &AdmittedConnection,
        is_first: bool,
        shutdown: &mut ShutdownWatch,
    ) -> Awaited {
        let idle = self.live.pin().server.idle_timeout;
        let mut bytes = BytesMut::with_capacity(FIRST_READ);
        let came = tokio::select! {
            biased;
            came = io.read_buf(&mut bytes) => came,
            _ = shutdown.wait_for(|stops| *stops) => return Awaited::Over(None),
            () = tokio::time::sleep(idle) => {
                return Awaited::Over(is_first.then_some(Dropped::HeadTimeout));
            }
        };
        if !came.is_ok_and(|count| count > 0) {
            return Awaited::Over(None);
        }
        let server = &self.live.pin().server;
        let mut reading = HeadScanner::default();
        if let Some(all) = complete(&mut reading, &mut bytes, 0, server.head_size) {
            return all;
        }
        place.awaits_head();
        let rest = async {
            // Each turn reads at least one byte, and there are at most `head_size` of them.
            loop {
                let scanned = bytes.len();
                grow(&mut bytes, server.head_size);
                match io.read_buf(&mut bytes).await {
                    Ok(count) if count > 0 => {}
                    _ => return Awaited::Over(Some(Dropped::HeadCut)),
                }
                if let Some(all) = complete(&mut reading, &mut bytes, scanned, server.head_size) {
                    return all;
                }
            }
        };
        let rest = std::pin::pin!(rest);
        tokio::time::timeout(server.head_timeout, rest).await.unwrap_or(Awaited::Over(Some(Dropped::HeadTimeout)))
    }

    /// Tells a client why its head is refused, and the log and the metrics, as of any other request.
    async fn refuse(&self, io: &mut BufWriter<Stream>, problem: &Problem, asked: Option<(Method, Vec<u8>)>) {
        let bytes = {
            let snapshot = self.live.pin();
            let mut outcome = Outcome::begin(self.ids.next(), Arc::clone(&snapshot.metrics));
            if let Some((method, path)) = asked {
                outcome.asked(&method, &path);
            }
            let response = respond::refuse(problem, None, &snapshot, &mut outcome);
            (outcome.status, outcome.bytes) = (response.status, response.body.len());
            outcome.detail = Some(problem.detail.clone());
            wire(&response)
        };
        if io.write_all(&bytes).await.is_err() || io.shutdown().await.is_err() {
            return;
        }
        let mut unread = io.take(LINGERING as u64);
        // What it was is of no interest.
        let _ = tokio::io::copy(&mut unread, &mut tokio::io::sink()).await;
    }
}

/// What the bytes so far come to: a head, a refusal, or nothing yet. `scanned` of them were looked at before.
fn complete(reading: &mut HeadScanner, bytes: &mut BytesMut, scanned: usize, head_size: usize) -> Option<Awaited> {
    let refused = |problem, bytes: &[u8]| {
        let asked = head::request_line(bytes).map(|(method, target)| {
            let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
            (method, path.to_vec())
        });
        Some(Awaited::Refused { problem, asked })
    };
    let (start, end) = match reading.ends(bytes, scanned) {
        Ok(Some(ends)) => ends,
        Ok(None) if bytes.len() >= head_size => return refused(reading.too_large(head_size), bytes),
        Ok(None) => return None,
        Err(problem) => return refused(problem, bytes),
    };
    let framing = match head::check(&bytes[start..end]) {
        _ if end > head_size => return refused(reading.too_large(head_size), bytes),
        Ok(framing) => framing,
        Err(problem) => return refused(problem, &bytes[start..end]),
    };
    let _ = bytes.split_to(start);
    let came = u64::try_from(bytes.len() - (end - start)).unwrap_or(u64::MAX);
    let (left, has_surplus) = match framing {
        Framing::Open => (Framing::Open, false),
        Framing::Length(length) => {
            let of_body = usize::try_from(length).map_or(bytes.len(), |length| (end - start).saturating_add(length));
            bytes.truncate(of_body);
            (Framing::Length(length.saturating_sub(came)), came > length)
        }
    };
    Some(Awaited::Head(AcceptedHead { bytes: std::mem::take(bytes), left, has_surplus }))
}

/// Makes room for more of a head, twice as much each time, and never for more than one may have.
fn grow(bytes: &mut BytesMut, head_size: usize) {
    if bytes.len() < bytes.capacity() {
        return;
    }
    let mut larger = BytesMut::with_capacity((2 * bytes.len()).min(head_size.max(bytes.len() + 1)));
    larger.extend_from_slice(bytes);
    *bytes = larger;
}

/// A response as bytes, after which the connection closes.
fn wire(response: &Response) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    let mut bytes = format!("HTTP/1.1 {} {}\r\n", response.status, reason.unwrap_or_default()).into_bytes();
    let mut push = |name: &str, value: &[u8]| {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    };
    let headers: &HeaderMap = &response.headers;
    for (name, value) in headers {
        push(name.as_str(), value.as_bytes());
    }
    let now = std::time::UNIX_EPOCH + Duration::from_secs(clock::unix_seconds());
    push("date", httpdate::fmt_http_date(now).as_bytes());
    push("connection", b"close");
    bytes.extend_from_slice(b"\r\n");
    for part in response.body.clone().into_parts() {
        bytes.extend_from_slice(&part);
    }
    bytes
}
