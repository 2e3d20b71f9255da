//! Connections to upstreams, for pages and forwarded requests. They are pooled. A `Visit` chooses the peer of each
//! connection.
//!
//! The head of an answer is limited in bytes and lines, and must frame its body unambiguously. A head that two readers
//! could read differently is an error, and its connection isn't reused.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use pingora::{
    BError, ErrorType,
    http::{RequestHeader, ResponseHeader},
    protocols::{ALPN, http::v2::client::PING_TIMEDOUT},
    upstreams::peer::HttpPeer,
};
use rustix::io::Errno;

use super::{
    certificate_fault::CertificateFaults,
    connectors::Connectors,
    error::FetchError,
    peers::{
        peer::{Peer, PeerRequest},
        set::{ChosenPeer, Peers},
        visit::Visit,
    },
    session::PeerSession,
};
use cursorgate_config::settings::Timeouts;
use cursorgate_translate::upstream::request::headers::authenticates_connection;

/// The longest time for which an idle connection is kept. After this time it is closed. The limit also applies if the
/// upstream states no `Keep-Alive: timeout=…`.
pub const IDLE: Duration = Duration::from_secs(30);

/// The largest number of informational answers before the final one (RFC 9110, section 15.2, sets no limit). An
/// upstream that sends more is refused.
const MOST_INFORMATIONAL: usize = 8;

/// The largest number of peers to which a connection is attempted for one request. After that, the last error is
/// returned.
const MOST_PEERS: usize = 3;

/// The largest number of nested causes of an error that are examined. Deeper causes are ignored.
const MOST_CAUSES: usize = 8;

/// The interval at which a kept connection is examined while its answer is awaited.
pub const LOOK: Duration = Duration::from_secs(1);

/// The number of times that the system sends data again, without an acknowledgement, until a kept connection counts as
/// lost. At a round trip of less than 200 ms the third time is 1.4 s after the first sending.
const MOST_REPEATS: u8 = 3;

/// The time since the last answer of a kept connection from which the connection might be lost without a sign. Servers
/// close an idle connection after five seconds or more, and devices in between forget it later still.
const RECENT: Duration = Duration::from_secs(1);

/// The largest number of bytes in the head of an answer. A larger head is an error.
const LARGEST_HEAD: usize = 64 * 1024;

/// The largest number of lines in the head of an answer. A head with more lines is an error.
const MOST_LINES: usize = 100;

/// Pooled connections to upstreams: HTTP/1.1 and HTTP/2, with and without TLS. The process has one pool, which outlives
/// reloads. The export of traces has a separate pool.
pub struct Connections {
    connectors: Connectors,
    /// The number of connections that weren't kept because bytes followed the end of an answer.
    surplus: AtomicU64,
    /// The reasons why certificates of peers weren't accepted.
    certificates: CertificateFaults,
}

/// A connection to a peer, for one request and its answer.
pub struct Connection {
    session: PeerSession,
    http: Box<HttpPeer>,
    /// The peer of the connection. Its count of requests in flight includes this request.
    pub peer: PeerRequest,
    /// `true` if the connection comes from the pool. The upstream might have closed it while it was idle.
    pub is_reused: bool,
    /// `true` if no other request may use the connection: its request authenticates it, it was opened for this request
    /// only, or bytes of its answer may arrive after the end.
    is_alone: bool,
    /// The number of informational heads read so far.
    informational: usize,
    /// The number of body bytes read so far, for error messages.
    received: usize,
}

/// A part of an answer. Parts arrive in the order of the variants.
#[derive(Debug)]
pub enum AnswerPart {
    /// An informational head (1xx). At least one more head follows it.
    Informational(Box<ResponseHeader>),
    /// The final head, or the head of a protocol switch (101); and whether no body follows.
    Head(Box<ResponseHeader>, bool),
    /// A part of the body, and whether it is the last one.
    Body(Bytes, bool),
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Connections")
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            connectors: Connectors::default(),
            surplus: AtomicU64::new(0),
            certificates: CertificateFaults::default(),
        }
    }
}

impl Connections {
    /// Reads the system's certificate authorities in advance. Otherwise the first request to an upstream with TLS waits
    /// for them.
    pub fn prepare(&self) {
        self.connectors.prepare();
    }

    /// Returns the number of connections that were closed because bytes followed the end of an answer. Pingora's own
    /// count is included: bytes that arrived while a connection was idle in the pool.
    #[must_use]
    pub fn with_surplus(&self) -> u64 {
        self.surplus.load(Ordering::Relaxed) + self.connectors.with_unexpected_data()
    }

    /// Opens a connection for a request with these headers, to the peer that the visit chooses. If that peer can't be
    /// reached, tries other peers. A request that can't be repeated gets no connection that might be lost.
    ///
    /// # Errors
    ///
    /// Returns the error of the last attempt: [`FetchError::Unavailable`], [`FetchError::Timeout`] or
    /// [`FetchError::Exhausted`].
    pub async fn open(
        &self,
        visit: &Visit<'_>,
        headers: &HeaderMap,
        can_repeat: bool,
        timeouts: Timeouts,
    ) -> Result<Connection, FetchError> {
        // A request that authenticates its connection gets a new connection, which no other request uses.
        let is_alone = authenticates_connection(headers);
        let needs_http1 = is_alone || headers.contains_key(header::UPGRADE);
        let mut left = visit.peers.count().min(MOST_PEERS);
        loop {
            let unreached = match visit.next(visit.peers.now(), timeouts.connect).await {
                Ok(ChosenPeer { http, request }) => {
                    let http = by_http1(http, needs_http1);
                    let connected = match self.connect(visit.peers, http, &request, is_alone).await {
                        // A write over a connection that was lost while idle fails after seconds without an answer,
                        // and can't be sent again. Test: `a_write_goes_over_no_connection_that_was_idle`.
                        Ok(opened) if !can_repeat && opened.was_idle() => {
                            let fresh = self.connect(visit.peers, opened.http, &request, true).await;
                            fresh.map(|fresh| OpenedConnection { is_alone, ..fresh })
                        }
                        connected => connected,
                    };
                    match connected {
                        Ok(opened) => return Ok(opened.with_peer(request).with(timeouts)),
                        Err(error) => {
                            // The next attempt takes a peer that hasn't failed this request. Test:
                            // `a_peer_that_is_not_there_is_passed_over`.
                            visit.leaves(&request);
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            if left <= 1 {
                return Err(unreached);
            }
            left -= 1;
        }
    }

    /// Opens a new connection to this peer, without trying another peer.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`], [`FetchError::Timeout`] or [`FetchError::Exhausted`].
    pub async fn open_to(
        &self,
        peers: &Peers,
        ChosenPeer { http, request }: ChosenPeer,
        timeouts: Timeouts,
    ) -> Result<Connection, FetchError> {
        let opened = self.connect(peers, http, &request, true).await?;
        Ok(opened.with_peer(request).with(timeouts))
    }

    /// Opens a new connection to an address that belongs to no upstream. The connection is never returned to the pool.
    /// The caller limits the time.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`], [`FetchError::Timeout`] or [`FetchError::Exhausted`].
    pub async fn open_apart(&self, http: Box<HttpPeer>, peer: PeerRequest) -> Result<Connection, FetchError> {
        let connector = self.connectors.of(http.is_tls()).await;
        let (session, _) = connector.get_http_session(&fresh(&http)).await.map_err(|error| broken(&error))?;
        let session = PeerSession::of(session).ok_or_else(speaks_neither)?;
        Ok(OpenedConnection { session, http, is_reused: false, is_alone: true }.with_peer(peer))
    }

    /// Opens a new connection to the same peer, in place of a broken one.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`], [`FetchError::Timeout`] or [`FetchError::Exhausted`].
    pub async fn renew(&self, peers: &Peers, broken: Connection, timeouts: Timeouts) -> Result<Connection, FetchError> {
        let Connection { http, peer, is_alone, .. } = broken;
        let renewed = self.connect(peers, http, &peer, true).await?;
        // The new connection may be kept, unless the request authenticates it.
        Ok(Connection { is_alone, ..renewed.with_peer(peer) }.with(timeouts))
    }

    /// Connects to a peer and records whether it could be reached.
    async fn connect(
        &self,
        peers: &Peers,
        http: Box<HttpPeer>,
        peer: &Peer,
        is_new: bool,
    ) -> Result<OpenedConnection, FetchError> {
        let connector = self.connectors.of(http.is_tls()).await;
        let connected = if is_new {
            connector.get_http_session(&fresh(&http)).await
        } else {
            connector.get_http_session(&*http).await
        };
        let (session, is_reused) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                let said = match error.root_etype() {
                    ErrorType::InvalidCert => FetchError::Unavailable(self.certificates.of(&http, peers.now()).await),
                    _ => broken(&error),
                };
                // A lack of file descriptors isn't the peer's fault, so it doesn't affect the peer's health. Test:
                // `without_descriptors_the_gateway_is_overloaded`.
                if is_peers_fault(&error) {
                    peers.unreached(peer, &said.to_string(), peers.now());
                }
                return Err(said);
            }
        };
        let session = PeerSession::of(session).ok_or_else(speaks_neither)?;
        if !is_reused {
            // Pingora has no setting for the oldest version of TLS, so it is checked after the handshake. Test:
            // `an_upstream_can_be_restricted_to_tls_1_3`.
            let digest = session.digest().and_then(|digest| digest.ssl_digest.as_ref());
            if let Some(digest) = digest.filter(|digest| !peers.speaks(&digest.version)) {
                let said = format!("it speaks {}, which tls.min_version excludes", digest.version);
                peers.unreached(peer, &said, peers.now());
                return Err(FetchError::Unavailable(said));
            }
            peers.reached(peer, peers.now());
        }
        Ok(OpenedConnection { session, http, is_reused, is_alone: is_new })
    }

    /// Returns a connection to the pool after a complete answer. The connection is closed instead if bytes followed the
    /// answer, if the connection is for one request only, or if the answer authenticates it.
    pub async fn release(&self, peers: &Peers, connection: Connection) {
        let Connection { mut session, http, is_alone, peer, .. } = connection;
        // Surplus bytes may belong to another request's answer. Pingora closes such a connection, so it is only counted
        // here. Test: `bytes_after_the_end_reach_no_client`.
        if session.has_surplus() {
            self.surplus.fetch_add(1, Ordering::Relaxed);
            peers.surplus(&peer);
        }
        // The next request would be made as the user who authenticated the connection (RFC 4559, section 6), so the
        // connection isn't kept. Test: `a_connection_that_is_authenticated_itself_is_not_used_again`.
        let Some(head) = session.head().filter(|head| !is_alone && !authenticates_connection(&head.headers)) else {
            return;
        };
        let idle = kept_for(&head.headers);
        let connector = self.connectors.of(http.is_tls()).await;
        connector.release_http_session(session.into_inner(), &*http, Some(idle)).await;
    }
}

/// Returns a copy of the peer with options that make Pingora open a new connection.
fn fresh(http: &HttpPeer) -> HttpPeer {
    let mut fresh = http.clone();
    // Another group key selects another pool, which is always empty.
    fresh.group_key ^= 1;
    // An HTTP/2 connection isn't in a pool while its only stream is in use.
    fresh.options.max_h2_streams = 1;
    fresh
}

fn speaks_neither() -> FetchError {
    FetchError::Unavailable("it speaks neither HTTP/1.1 nor HTTP/2".to_owned())
}

/// An open connection that isn't assigned to a request yet.
struct OpenedConnection {
    session: PeerSession,
    http: Box<HttpPeer>,
    is_reused: bool,
    is_alone: bool,
}

impl OpenedConnection {
    /// Returns whether nothing has come over a kept connection for [`RECENT`] or longer. New connections were never
    /// idle, and those of HTTP/2 are shared and examined by pings.
    fn was_idle(&self) -> bool {
        #[cfg(target_os = "linux")]
        if self.is_reused
            && self.session.is_http1()
            && let Some(socket) = self.session.digest().and_then(|digest| digest.socket_digest.as_ref())
            && let Some(info) = socket.tcp_info()
        {
            return Duration::from_millis(info.tcpi_last_data_recv.into()) >= RECENT;
        }
        false
    }

    fn with_peer(self, peer: PeerRequest) -> Connection {
        let Self { session, http, is_reused, is_alone } = self;
        Connection { session, http, peer, is_reused, is_alone, informational: 0, received: 0 }
    }
}

impl Connection {
    fn with(mut self, timeouts: Timeouts) -> Self {
        // Reads have no limit here: the relay and the fetcher have deadlines of their own.
        self.session.limit(None, timeouts.whole);
        self
    }

    /// Sends the head of a request.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`], [`FetchError::Timeout`], or [`FetchError::Malformed`] for a head that
    /// HTTP/2 can't send.
    pub async fn send(&mut self, head: Box<RequestHeader>) -> Result<(), FetchError> {
        // Some servers send a body in answer to HEAD, against RFC 9110, section 9.3.2. It may arrive after the head's
        // end, and would then begin the next answer of the connection, which can be another client's. In HTTP/2, the
        // stream has ended. Test: `a_body_in_answer_to_head_reaches_no_client`.
        self.is_alone |= head.method == Method::HEAD && self.session.is_http1();
        self.session.send(head).await.map_err(|error| broken(&error))
    }

    /// Sends a part of a request's body, or bytes after a switch of protocols.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] or [`FetchError::Timeout`].
    pub async fn send_body(&mut self, body: &[u8]) -> Result<(), FetchError> {
        self.session.send_body(body).await.map_err(|error| broken(&error))
    }

    /// Ends the body of a request.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] or [`FetchError::Timeout`].
    pub async fn finish(&mut self) -> Result<(), FetchError> {
        self.session.finish().await.map_err(|error| broken(&error))
    }

    /// Returns whether the upstream accepted the upgrade that the request asked for (101).
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.session.was_upgraded()
    }

    /// Returns the next part of the answer: a head or bytes of the body. The function is cancel-safe.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] or [`FetchError::Lost`] before the answer, [`FetchError::Cut`] within the body, or
    /// [`FetchError::Malformed`].
    pub async fn next(&mut self) -> Result<AnswerPart, FetchError> {
        if self.awaits_head() { self.next_head().await } else { self.next_body().await }
    }

    /// Returns the fault of a kept connection on which the peer acknowledges nothing, although the system has sent the
    /// request again and again: a device between the gateway and the peer has forgotten the connection, or the peer has
    /// vanished. `None` for other connections, among them those of a slow peer, whose system acknowledges requests.
    #[must_use]
    pub fn loss(&self) -> Option<FetchError> {
        #[cfg(target_os = "linux")]
        if self.is_reused
            && let Some(socket) = self.session.digest().and_then(|digest| digest.socket_digest.as_ref())
            && let Some(info) = socket.tcp_info()
            && info.tcpi_unacked > 0
            && info.tcpi_retransmits >= MOST_REPEATS
        {
            return Some(unacknowledged());
        }
        None
    }

    /// Reads up to the final head, and returns its status and its headers. The function is cancel-safe.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Self::next`], among them the error for a protocol switch that the request didn't ask
    /// for.
    pub async fn final_head(&mut self) -> Result<(StatusCode, HeaderMap), FetchError> {
        loop {
            // `read_head` limits the number of informational heads.
            let head = self.read_head().await?;
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok((head.status, head.headers.clone()));
            }
        }
    }

    /// Returns the next bytes of the body without copying them; `None` at its end.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Cut`] or [`FetchError::Malformed`].
    pub async fn body(&mut self) -> Result<Option<&[u8]>, FetchError> {
        let received = self.received;
        match self.session.body().await {
            Ok(Some(bytes)) => {
                self.received += bytes.len();
                Ok(Some(bytes))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(cut(&error, received)),
        }
    }

    fn awaits_head(&self) -> bool {
        match self.session.head().map(|head| head.status) {
            None => true,
            // A switch of protocols is final: bytes of the other protocol follow it. Test:
            // `bytes_after_a_switch_of_protocols_come_from_the_upstream_alone`.
            Some(StatusCode::SWITCHING_PROTOCOLS) => false,
            Some(status) => status.is_informational(),
        }
    }

    async fn next_head(&mut self) -> Result<AnswerPart, FetchError> {
        let mut head = Box::new(self.read_head().await?.clone());
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(AnswerPart::Head(head, false));
        }
        if head.status.is_informational() {
            return Ok(AnswerPart::Informational(head));
        }
        // The parser accepts several equal lengths; they are forwarded as one (RFC 9110 section 8.6). Test:
        // `repeated_equal_content_lengths_are_accepted`.
        if says_length_again(&head.headers)
            && let Some(length) = announced_length(&head.headers)
        {
            let _ = head.insert_header(header::CONTENT_LENGTH, length);
        }
        let ends = self.session.is_body_done();
        Ok(AnswerPart::Head(head, ends))
    }

    /// Reads and checks the next head.
    async fn read_head(&mut self) -> Result<&ResponseHeader, FetchError> {
        self.session.read_head().await.map_err(|error| broken(&error))?;
        let raw = self.session.raw_head();
        let is_upgraded = self.session.was_upgraded();
        let Some(head) = self.session.head() else {
            return Err(FetchError::Unavailable("no answer".to_owned()));
        };
        // The parser accepts heads that other readers read differently, so the raw bytes of an HTTP/1.1 head are
        // checked. Test: `a_connection_whose_answer_has_two_ends_is_not_reused`.
        if let Some(fault) = raw.map_or_else(|| excess(&head.headers), |raw| fault(&raw)) {
            return Err(FetchError::Malformed(fault.to_owned()));
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // Bytes of a protocol that the request didn't ask for aren't an answer, so the switch is refused. Test:
            // `an_unsolicited_switch_of_protocols_is_refused`.
            if !is_upgraded {
                return Err(FetchError::Malformed("it switched protocols unasked".to_owned()));
            }
        } else if head.status.is_informational() {
            // Informational answers could come without end, so their number is limited. Test:
            // `informational_responses_without_end_are_refused`.
            self.informational += 1;
            if self.informational > MOST_INFORMATIONAL {
                return Err(FetchError::Malformed("too many informational answers".to_owned()));
            }
        }
        Ok(head)
    }

    async fn next_body(&mut self) -> Result<AnswerPart, FetchError> {
        let (bytes, ends) = self.session.body_part().await.map_err(|error| cut(&error, self.received))?;
        self.received += bytes.len();
        Ok(AnswerPart::Body(bytes, ends))
    }
}

/// Returns whether an answer states its length more than once.
fn says_length_again(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    lengths.next().is_some_and(|first| first.as_bytes().contains(&b',')) || lengths.next().is_some()
}

/// Returns the length that `Content-Length` states; `None` if there is no valid length. Of several lengths the first is
/// returned, because the parser accepts only equal ones.
pub fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.split(',').next()?.trim().parse().ok()
}

/// Returns the fault of a head that the parser accepts: two readers could find different ends of its body (RFC 9112
/// sections 5.2 and 6.3), or the head exceeds the limits. Returns `None` for a sound head.
fn fault(raw: &[u8]) -> Option<&'static str> {
    if raw.len() > LARGEST_HEAD {
        return Some("its head is too large");
    }
    let ends = memchr::memchr_iter(b'\n', raw).chain([raw.len()]);
    let lines = ends.scan(0, |start, end| Some(&raw[std::mem::replace(start, end + 1)..end])).skip(1);
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let (mut count, mut codings, mut has_length) = (0_usize, 0_usize, false);
    for line in lines {
        count += 1;
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // Another reader might take a folded line (RFC 9112, section 5.2) for a separate one, so it is a fault.
            return Some("a line of its head continues on the next line");
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
            None => return Some("a line of its head is not a header field"),
        };
        if name.trim_ascii_end().len() < name.len() {
            // Readers differ on a blank before the colon (RFC 9112, section 5.1), so it is a fault.
            return Some("a name in its head ends in a space");
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            codings += 1;
            // Names of codings are case-insensitive (RFC 9112, section 7), so `Chunked` is accepted. Test:
            // `heads_frame_their_bodies_in_one_way_within_limits`.
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Some("its transfer coding is not `chunked`");
            }
        }
        has_length |= name.eq_ignore_ascii_case(b"content-length");
    }
    match (count > MOST_LINES, codings > 1, codings > 0 && has_length) {
        (true, _, _) => Some("its head has too many lines"),
        (_, true, _) => Some("its transfer coding is repeated"),
        (_, _, true) => Some("it has both a length and chunks"),
        _ => None,
    }
}

/// Returns the fault of an HTTP/2 head that exceeds the limits; `None` if there is no fault. The end of the body is
/// always unambiguous, because only frames mark it.
fn excess(headers: &HeaderMap) -> Option<&'static str> {
    // Each header counts as a line of HTTP/1.1, with `: ` and the line end.
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    match (size > LARGEST_HEAD, headers.len() > MOST_LINES) {
        (true, _) => Some("its head is too large"),
        (_, true) => Some("its head has too many lines"),
        _ => None,
    }
}

/// Makes a peer speak HTTP/1.1 if a request needs it. HTTP/2 has no upgrades, and other requests would share an
/// HTTP/2 connection that this request has authenticated.
fn by_http1(mut peer: Box<HttpPeer>, needs_http1: bool) -> Box<HttpPeer> {
    if needs_http1 {
        peer.options.alpn = ALPN::H1;
    }
    peer
}

/// Returns the time for which to keep an idle connection: a second less than the upstream's `Keep-Alive: timeout=…`,
/// but at least a second and at most [`IDLE`]. The second less avoids a request at the moment when the upstream closes
/// the connection.
fn kept_for(headers: &HeaderMap) -> Duration {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let said = headers.get(KEEP_ALIVE).and_then(|value| {
        let parts = value.to_str().ok()?.split(',');
        parts.filter_map(|part| part.trim().strip_prefix("timeout=")).find_map(|seconds| seconds.parse::<u64>().ok())
    });
    said.map_or(IDLE, |seconds| Duration::from_secs(seconds.saturating_sub(1).max(1)).min(IDLE))
}

/// Returns whether a failed connection is the peer's fault rather than the gateway's.
fn is_peers_fault(error: &BError) -> bool {
    !matches!(error.etype(), ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError)
}

/// Returns whether the system reported one of these errors.
fn is_of_system(error: &BError, errors: &[Errno]) -> bool {
    let root: &(dyn std::error::Error + 'static) = error.root_cause();
    // Some errors of Pingora contain the system's error only as a cause, so the causes are examined too.
    let causes = std::iter::successors(Some(root), |cause| cause.source()).take(MOST_CAUSES);
    let mut codes = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()?.raw_os_error());
    codes.any(|code| errors.iter().any(|errno| errno.raw_os_error() == code))
}

/// Maps an error that occurred before the end of the answer's head. The text doesn't quote the answer, which may
/// contain cookies.
pub fn broken(error: &BError) -> FetchError {
    match error.root_etype() {
        // The process or the system has no file descriptors left.
        _ if is_of_system(error, &[Errno::MFILE, Errno::NFILE]) => {
            FetchError::Exhausted(error.to_string().trim().to_owned())
        }
        ErrorType::InvalidHTTPHeader => FetchError::NotHttp("its head is not HTTP/1.1".to_owned()),
        ErrorType::ConnectTimedout
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => FetchError::Timeout(error.to_string().trim().to_owned()),
        ErrorType::ConnectRefused => FetchError::Unavailable("it refuses connections".to_owned()),
        ErrorType::TLSHandshakeFailure => {
            FetchError::Unavailable(format!("the TLS handshake failed: {}", tls_reason(&error.to_string())))
        }
        ErrorType::ConnectNoRoute => FetchError::Unavailable("there is no route to it".to_owned()),
        ErrorType::ReadError | ErrorType::WriteError if is_of_system(error, &[Errno::TIMEDOUT]) => unacknowledged(),
        ErrorType::ConnectionClosed => FetchError::Unavailable("it closed the connection without an answer".to_owned()),
        _ => FetchError::Unavailable(error.to_string().trim().to_owned()),
    }
}

fn unacknowledged() -> FetchError {
    FetchError::Lost("it acknowledges nothing on this connection".to_owned())
}

/// Returns OpenSSL's reason within Pingora's text: the fifth field of
/// `error:0A00010B:SSL routines:f:wrong version number:…`, or the text itself if it has no such field.
fn tls_reason(text: &str) -> &str {
    let text = text.split_once(" failed: ").map_or(text, |(_, reason)| reason);
    let text = text.split_once(", SNI:").map_or(text, |(reason, _)| reason);
    text.strip_prefix("error:").and_then(|reason| reason.split(':').nth(3)).unwrap_or(text).trim()
}

/// Maps an error that occurred after `received` bytes of an answer's body.
fn cut(error: &BError, received: usize) -> FetchError {
    let kind = error.root_etype().as_str();
    match error.root_etype() {
        // Pingora closes an HTTP/2 connection whose peer doesn't answer pings, so such an answer is cut off.
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error | &PING_TIMEDOUT => {
            FetchError::Cut(format!("the answer broke off after {received} bytes: {kind}"))
        }
        _ => FetchError::Malformed(format!("the framing of the answer is broken after {received} bytes: {kind}")),
    }
}

#[cfg(test)]
mod tests;
