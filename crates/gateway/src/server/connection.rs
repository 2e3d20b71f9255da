//! Connections of clients: one request after the other by HTTP/1.1, or many at a time by HTTP/2. Heads of HTTP/1.1 are
//! read here, within limits of time and size, before Pingora sees them; refused heads are answered here.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use http::{HeaderMap, Method};
use pingora::{
    apps::HttpPersistentSettings,
    protocols::{ALPN, Stream, http::ServerSession},
    server::ShutdownWatch,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};

use super::{
    admission::{Admission, AdmittedConnection, Dropped},
    application::Application,
    gate::Gated,
    http2::Multiplexed,
};
use crate::{
    lifecycle::{
        live::Live,
        process::{InFlight, Vitals},
        snapshot::ListenerProtocols,
    },
    outcome::access_log::Outcome,
    request::head::{self, Framing, HeadScanner},
    runtime::{clock, futures::boxed},
    session::{context::RequestIds, respond},
};
use cursorgate_translate::downstream::{Code, Problem, Response};

/// The largest number of requests on one connection. The connection then closes, which frees its memory.
const REQUESTS_PER_CONNECTION: u32 = 10_000;

/// The initial size of the buffer for a head, in bytes. Most heads are shorter.
const FIRST_READ: usize = 4 * 1024;

/// The longest time that a stopping process waits for the first byte of a request on a new connection. Afterwards the
/// connection closes. The client can't know that the process stops, and its request may be on its way.
const FIRST_BYTE: Duration = Duration::from_secs(1);

/// The longest time from the first byte of a head to its last byte, even if `server.head_timeout` is longer. Each
/// [`HEAD_RATE`] bytes that have arrived extend the time by a second. A client that sends its head more slowly is
/// disconnected.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// The minimum rate of a head after [`HEAD_PATIENCE`], in bytes per second.
const HEAD_RATE: usize = 512;

/// The longest time for writing a refusal and then waiting until the client closes the connection. Afterwards the
/// gateway closes it.
const REFUSING: Duration = Duration::from_secs(2);

/// The largest number of bytes that are read and discarded after a refusal. Without these reads, the system would reset
/// the closed socket because of its unread bytes, and the client might lose the refusal.
const LINGERING: usize = 256 * 1024;

/// The preface of HTTP/2 (RFC 9113 section 3.4), up to the empty line, where a head of HTTP/1.1 would end.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// The state that all connections of a server share.
#[derive(Debug)]
pub struct Front {
    live: Arc<Live>,
    vitals: Vitals,
    ids: Arc<RequestIds>,
    admission: Arc<Admission>,
}

/// A head that has been checked.
struct AcceptedHead {
    /// The head, and the bytes of the body that arrived with it.
    bytes: BytesMut,
    /// The framing of the part of the body that has not arrived.
    left: Framing,
    /// True if bytes after the end of the request have arrived.
    has_surplus: bool,
}

/// The result of waiting for a head.
enum Awaited {
    Head(AcceptedHead),
    /// The head is refused with this problem, and the connection ends.
    Refused {
        problem: Box<Problem>,
        /// The method and the path of the request line, for the log; `None` if they can't be read.
        asked: Option<(Method, Vec<u8>)>,
    },
    /// The client speaks HTTP/2 without TLS. These bytes have been read and begin with the preface.
    Preface(BytesMut),
    /// The connection ends without an answer. If there is a reason, it is counted.
    Over(Option<Dropped>),
}

impl Front {
    /// Creates the state for connections that `admission` limits.
    #[must_use]
    pub fn new(live: Arc<Live>, vitals: Vitals, ids: Arc<RequestIds>, admission: Arc<Admission>) -> Arc<Self> {
        Arc::new(Self { live, vitals, ids, admission })
    }

    /// Returns the state of the process.
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Admits a client. `is_proxy` is true if many clients connect from the address. The address of a trusted proxy is
    /// always treated like that.
    ///
    /// # Errors
    ///
    /// Returns the bytes of a response, 503 `overloaded`, if a limit of connections refuses the client.
    pub async fn enter(&self, address: IpAddr, is_proxy: bool) -> Result<AdmittedConnection, Vec<u8>> {
        let snapshot = self.live.pin();
        self.admission.enter(address, is_proxy || snapshot.trusts(address)).await.map_err(|_| self.crowded())
    }

    /// Returns the bytes of a response to a client without a place: 503 `overloaded`.
    fn crowded(&self) -> Vec<u8> {
        let problem = Problem::new(Code::Overloaded, "there are too many connections: try again");
        let (snapshot, id) = (self.live.pin(), self.ids.next());
        let mut response = Response::of_problem(&problem, snapshot.server.problem_types.as_deref(), &id, None);
        response.headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
        respond::identify(&mut response.headers, &id);
        wire(&response)
    }

    /// Returns the protocols of a listener; `None` if the name is unknown. The listener for operators has no name, and
    /// speaks only HTTP/1.1.
    pub fn protocols(&self, listener: Option<&str>) -> Option<ListenerProtocols> {
        let live = self.live.pin();
        match listener {
            Some(name) => live.listener(name).cloned(),
            None => Some(ListenerProtocols { tls: live.admin_tls.clone(), http2: false, proxies: Arc::default() }),
        }
    }

    /// Counts a connection that ends before it is admitted.
    pub fn count(&self, reason: Dropped) {
        self.admission.count(reason);
    }

    /// Returns the time limit of TLS handshakes, which is `server.head_timeout`.
    pub fn handshake_timeout(&self) -> Duration {
        self.live.pin().server.head_timeout
    }

    /// Serves requests until the connection ends, for example because the client leaves, a head is refused, another
    /// client takes the place, or the process stops. If `http2` is true, the client may speak HTTP/2, either negotiated
    /// by TLS or announced by its preface. `expected` makes the process wait for the client until its first request has
    /// been answered.
    pub async fn serve<A: Application>(
        &self,
        app: &Arc<A>,
        stream: Stream,
        http2: bool,
        place: &AdmittedConnection,
        mut expected: Option<InFlight>,
        shutdown: &mut ShutdownWatch,
    ) {
        let multiplexed = Multiplexed { live: &self.live, vitals: &self.vitals, ids: &self.ids, place };
        if http2 && stream.selected_alpn_proto() == Some(ALPN::H2) {
            return boxed(|| multiplexed.serve(app, stream, BytesMut::new(), expected, shutdown)).await;
        }
        // With TLS, the protocol has been negotiated. Without TLS, a client may begin with the preface of HTTP/2. Test:
        // `clients_negotiate_their_protocol`.
        let knows_preface = http2 && stream.get_ssl_digest().is_none();
        let mut connection = Box::new(Gated::new(stream));
        let mut kept: Option<HttpPersistentSettings> = None;
        for _ in 0..REQUESTS_PER_CONNECTION {
            let io = connection.between_requests();
            let awaited = tokio::select! {
                biased;
                // A complete head takes precedence over a displacement: `begin` then reports whether the connection
                // still has its place.
                awaited = self.await_head(io, place, kept.is_none(), knows_preface, shutdown) => awaited,
                was_new = place.displaced() => {
                    if was_new {
                        // Bytes that the system doesn't take at once are dropped.
                        let told = async { io.write_all(&self.crowded()).await.and(io.flush().await) };
                        let _ = tokio::time::timeout(Duration::ZERO, told).await;
                    }
                    return;
                }
            };
            let head = match awaited {
                // Another client may have taken the place when the head became complete. The connection then ends.
                Awaited::Head(head) if place.begin() => head,
                Awaited::Head(_) => return,
                Awaited::Preface(prefix) => {
                    return boxed(|| multiplexed.serve(app, connection.into_stream(), prefix, expected, shutdown))
                        .await;
                }
                Awaited::Refused { problem, asked } => {
                    // A client that does not read its refusal in time loses it.
                    tokio::select! {
                        _ = tokio::time::timeout(REFUSING, self.refuse(io, &problem, place.address(), asked)) => return,
                        _ = place.displaced() => return,
                    }
                }
                Awaited::Over(reason) => return reason.into_iter().for_each(|reason| place.admission().count(reason)),
            };
            let surplus = connection.open(head.left);
            if head.has_surplus {
                surplus.notice();
            }
            let mut session = Box::new(ServerSession::new_http1(connection));
            match kept.take() {
                Some(kept) => kept.apply_to_session(&mut session),
                // Pingora announces the end of the connection with the last response. Test:
                // `a_connection_ends_after_ten_thousand_requests_and_says_so`.
                None => session.set_keepalive_reuses_remaining(Some(REQUESTS_PER_CONNECTION - 1)),
            }
            session.set_pipelined_prefix(head.bytes);
            session.set_connection_user_context(Some(Box::new(surplus.clone())));
            let served = boxed(|| app.serve(session, shutdown)).await;
            expected = None;
            let Some(reused) = served else { return };
            let (stream, settings) = reused.consume();
            let Ok(same) = stream.into_any().downcast::<Gated>() else { return };
            // Bytes that arrived before the answer are never read as a request. Test:
            // `bytes_before_an_answer_end_the_connection_after_it`.
            if surplus.is_there() {
                return;
            }
            (connection, kept) = (same, settings);
            place.rest();
        }
    }

    /// Waits for a head. Its first byte may take up to `server.idle_timeout`. The rest must arrive at the minimum rate
    /// and within `server.head_timeout`. A process that stops waits only [`FIRST_BYTE`] for the first byte of a new
    /// connection, and doesn't wait at all on a connection that has already served a request.
    async fn await_head(
        &self,
        io: &mut BufWriter<Stream>,
        place: &AdmittedConnection,
        is_first: bool,
        knows_preface: bool,
        shutdown: &mut ShutdownWatch,
    ) -> Awaited {
        let idle = self.live.pin().server.idle_timeout;
        let mut bytes = BytesMut::with_capacity(FIRST_READ);
        let came = tokio::select! {
            // A request that has arrived is served, even if the process stops at the same moment.
            biased;
            came = io.read_buf(&mut bytes) => came,
            () = stops(shutdown, if is_first { FIRST_BYTE } else { Duration::ZERO }) => return Awaited::Over(None),
            () = tokio::time::sleep(idle) => {
                // A connection that has served requests may be idle, so its end isn't counted as a fault.
                return Awaited::Over(is_first.then_some(Dropped::HeadTimeout));
            }
        };
        if !came.is_ok_and(|count| count > 0) {
            return Awaited::Over(None);
        }
        let takes_preface = is_first && knows_preface;
        let server = &self.live.pin().server;
        let mut reading = HeadScanner::default();
        if let Some(all) = complete(&mut reading, &mut bytes, 0, server.head_size, takes_preface) {
            return all;
        }
        // From here on, this connection is displaced before quiet connections that aren't in the middle of a head.
        // Test: `a_connection_with_a_slow_head_is_displaced_before_a_new_connection`.
        place.awaits_head();
        let begun = tokio::time::Instant::from_std(clock::instant());
        // Each iteration reads at least one byte, so there are at most `head_size` iterations.
        loop {
            let scanned = bytes.len();
            grow(&mut bytes, server.head_size);
            // One deadline covers the whole head, however many reads it takes. Test:
            // `a_head_has_one_deadline_for_all_its_bytes`.
            let deadline = begun + head_deadline(scanned, server.head_timeout);
            match tokio::time::timeout_at(deadline, io.read_buf(&mut bytes)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return Awaited::Over(Some(Dropped::HeadCut)),
                Err(_) => return Awaited::Over(Some(Dropped::HeadTimeout)),
            }
            if let Some(all) = complete(&mut reading, &mut bytes, scanned, server.head_size, takes_preface) {
                return all;
            }
        }
    }

    /// Answers a refused head, logs and counts it like any other request, and reads what the client still sends, up to
    /// [`LINGERING`] bytes.
    async fn refuse(
        &self,
        io: &mut BufWriter<Stream>,
        problem: &Problem,
        client: IpAddr,
        asked: Option<(Method, Vec<u8>)>,
    ) {
        let bytes = {
            let snapshot = self.live.pin();
            let mut outcome = Outcome::begin(self.ids.next(), Arc::clone(&snapshot.metrics));
            outcome.client = Some(client);
            if let Some((method, path)) = asked {
                outcome.asked(&method, &path);
            }
            let mut response = respond::refuse(problem, None, &snapshot, &mut outcome);
            respond::identify(&mut response.headers, &outcome.request_id);
            (outcome.status, outcome.bytes) = (response.status, response.body.len());
            outcome.detail = Some(problem.detail.clone());
            wire(&response)
        };
        if io.write_all(&bytes).await.is_err() || io.shutdown().await.is_err() {
            return;
        }
        let mut unread = io.take(LINGERING as u64);
        // The caller limits the time of this copy.
        let _ = tokio::io::copy(&mut unread, &mut tokio::io::sink()).await;
    }
}

/// Waits until the process stops, and then for `patience`.
async fn stops(shutdown: &mut ShutdownWatch, patience: Duration) {
    // A dropped sender means that the process has stopped, so the error is ignored.
    let _ = shutdown.wait_for(|stops| *stops).await;
    tokio::time::sleep(patience).await;
}

/// Returns the time from the first byte of a head until the next byte has to arrive: [`HEAD_PATIENCE`] plus a second
/// for each [`HEAD_RATE`] bytes so far, but at most `most`. Example: 8 s after 1,536 bytes.
fn head_deadline(came: usize, most: Duration) -> Duration {
    // Only bytes that have arrived extend the time, so a slow head ends early even if `server.head_timeout` is long.
    // Test: `a_head_has_a_least_rate`.
    let extension = u64::try_from(came / HEAD_RATE).unwrap_or(u64::MAX);
    HEAD_PATIENCE.saturating_add(Duration::from_secs(extension)).min(most)
}

/// Returns the head, its refusal or the preface of HTTP/2; `None` while the head is incomplete. An earlier call has
/// already examined the first `scanned` bytes.
fn complete(
    reading: &mut HeadScanner,
    bytes: &mut BytesMut,
    scanned: usize,
    head_size: usize,
    takes_preface: bool,
) -> Option<Awaited> {
    let refused = |problem, bytes: &[u8]| {
        let asked = head::request_line(bytes).map(|(method, target)| {
            // The query may contain secrets, so only the path is logged. Test:
            // `a_head_that_cannot_be_read_is_answered_logged_and_counted`.
            let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
            (method, path.to_vec())
        });
        Some(Awaited::Refused { problem, asked })
    };
    // A listener without HTTP/2 doesn't look for the preface, and refuses it as a head. Test:
    // `http2_can_be_disabled_on_a_listener`.
    if takes_preface && bytes.starts_with(PREFACE) {
        return Some(Awaited::Preface(std::mem::take(bytes)));
    }
    let (start, end) = match reading.ends(bytes, scanned) {
        Ok(Some(ends)) => ends,
        // A head beyond the limit is refused before its end has arrived. Test:
        // `a_request_target_that_is_too_long_is_refused_before_its_end_arrives`.
        Ok(None) if bytes.len() >= head_size => return refused(reading.too_large(head_size), bytes),
        Ok(None) => return None,
        Err(problem) => return refused(problem, bytes),
    };
    let (start, end) = match head::with_encoded_query(&bytes[start..end]) {
        None => (start, end),
        Some(written) => {
            let rest = bytes.split_off(end);
            *bytes = BytesMut::from(&written[..]);
            bytes.unsplit(rest);
            (0, written.len())
        }
    };
    // The head is checked before Pingora parses it. Test: `an_ambiguous_request_reaches_no_origin`.
    let framing = match head::check(&bytes[start..end]) {
        // A head beyond the limit may arrive together with its end in one read.
        _ if end > head_size => return refused(reading.too_large(head_size), bytes),
        Ok(framing) => framing,
        Err(problem) => return refused(problem, &bytes[start..end]),
    };
    let _ = bytes.split_to(start);
    let came = u64::try_from(bytes.len() - (end - start)).unwrap_or(u64::MAX);
    let (left, has_surplus) = match framing {
        // The length is not known yet, so no byte after the head counts as surplus.
        Framing::Open => (Framing::Open, false),
        Framing::Length(length) => {
            let of_body = usize::try_from(length).map_or(bytes.len(), |length| (end - start).saturating_add(length));
            // Bytes after the body must not be read as a request, so they are dropped.
            bytes.truncate(of_body);
            (Framing::Length(length.saturating_sub(came)), came > length)
        }
    };
    Some(Awaited::Head(AcceptedHead { bytes: std::mem::take(bytes), left, has_surplus }))
}

/// Doubles the buffer of a head if the buffer is full, up to `head_size`. An incomplete head therefore takes at most
/// about twice the memory of its bytes, and not `head_size`. Test:
/// `an_incomplete_head_takes_little_more_memory_than_its_size`.
fn grow(bytes: &mut BytesMut, head_size: usize) {
    if bytes.len() < bytes.capacity() {
        return;
    }
    let mut larger = BytesMut::with_capacity((2 * bytes.len()).min(head_size.max(bytes.len() + 1)));
    larger.extend_from_slice(bytes);
    *bytes = larger;
}

/// Serializes a response of HTTP/1.1, with `connection: close`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_more_time_the_more_of_it_arrives() {
        let (second, most) = (Duration::from_secs(1), Duration::from_secs(300));
        for (came, seconds) in [(0, 5), (511, 5), (512, 6), (5_120, 15), (1 << 20, 300), (usize::MAX, 300)] {
            assert_eq!(head_deadline(came, most), second * seconds, "{came}");
        }
        assert_eq!(head_deadline(1 << 20, second), second, "the head timeout is a limit in any case");
    }
}
