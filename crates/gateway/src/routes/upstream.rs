//! Compiled upstreams: their peers, their timeouts, and the headers that are added to their requests.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::{
    protocols::{ALPN, TcpKeepalive},
    upstreams::peer::HttpPeer,
};
use twox_hash::XxHash3_128;

use crate::{
    net::{
        check::CheckRequest,
        clock_comparison::{ClockComparison, ClockDifference},
        connection::IDLE,
        fetch::ASKED_CODING,
        peers::{
            name::PeerName,
            set::{PeerPolicy, PeerTls, Peers},
            visit::Visit,
        },
    },
    outcome::metrics::UpstreamMetrics,
    runtime::clock,
    shared::slots::{UpstreamSlots, limiter::LatencyKind},
    tls,
};
use cursorgate_config::{
    Diagnostics,
    settings::{Balance, PathCase, Timeouts, UpstreamCompression, UpstreamSettings},
};
use cursorgate_translate::{upstream::place::link_map::LinkMap, upstream::request::headers::passages};

/// The largest number of concurrent requests on an HTTP/2 connection. More requests use another connection. An upstream
/// may permit fewer.
const STREAMS: usize = 100;

/// The interval at which a PING frame tests an HTTP/2 connection. A connection without a reply within 5 s is closed.
const PING: Duration = Duration::from_secs(15);

/// The flow-control window of an HTTP/2 stream, in bytes: the data that an upstream may send before the gateway reads
/// it.
const STREAM_WINDOW: u32 = 256 << 10;

/// The flow-control window of an HTTP/2 connection, in bytes.
const CONNECTION_WINDOW: u32 = 8 << 20;

/// An upstream, compiled from its settings, with the state that survives reloads.
#[derive(Debug)]
pub struct Upstream {
    pub name: String,
    /// The peers, with the method that chooses a peer for each request.
    pub peers: Peers,
    /// The names of the client's headers whose hash chooses the peer, with `balance = "hash"`.
    pub balance_headers: Vec<HeaderName>,
    /// The value of `Host`; `None` if the upstream gets the client's own `Host`.
    pub host: Option<HeaderValue>,
    /// The authorities that the upstream may use in links to itself.
    pub authorities: Vec<String>,
    /// The prefix of the path of every request.
    pub base_path: String,
    /// `true` if the upstream ignores the case of letters in paths.
    pub ignores_case: bool,
    /// The operator's headers, which are added to every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub timeouts: Timeouts,
    /// The value of `Accept-Encoding` in requests for pages.
    pub codings: HeaderValue,
    /// The slots of concurrent requests to the upstream.
    pub slots: Arc<UpstreamSlots>,
    /// The metrics of the upstream's requests. The next snapshot's upstream of the same name shares them.
    pub metrics: Arc<UpstreamMetrics>,
    /// The comparison of this machine's clock with the peers'.
    pub clock: Arc<ClockComparison>,
}

impl Upstream {
    /// Compiles an upstream. The upstream of the same name in `previous` passes on its resolved addresses with their
    /// health, the slots in use, the budget of retries and the metrics. Returns `None` if there are errors, which are
    /// reported in `diagnostics`.
    pub fn compile(settings: &UpstreamSettings, previous: &[Arc<Self>], diagnostics: &mut Diagnostics) -> Option<Self> {
        let known = previous.iter().find(|known| known.name == settings.name);
        let names = peer_names(settings, known.map(|known| &**known), diagnostics)?;
        let at = settings.peers.first()?.at;
        let host = match &settings.host_header {
            Some(host) => match HeaderValue::from_str(host) {
                Ok(value) => Some(value),
                Err(_) => {
                    diagnostics.error(at, format!("host_header {host:?} can't be sent"), "write a host name");
                    return None;
                }
            },
            None => None,
        };
        let headers = added_headers(settings, diagnostics)?;
        let secrecy = match &settings.tls {
            Some(tls) => {
                let credentials = tls::upstream(tls, clock::unix_seconds(), diagnostics)?;
                Some(PeerTls { credentials, min_version: tls.min_version })
            }
            None => None,
        };
        let codings = codings(settings.compression, &names);
        let slots = slots(settings, known);
        let clock = known.map(|known| Arc::clone(&known.clock)).unwrap_or_default();
        Some(Self {
            name: settings.name.clone(),
            peers: Peers::new(names, template(settings), secrecy, policy(settings, known, &slots)),
            balance_headers: settings.balance_headers.clone(),
            host,
            authorities: settings
                .host_header
                .iter()
                .chain(settings.peers.iter().map(|peer| &peer.value))
                .map(|authority| LinkMap::authority(authority))
                .collect(),
            base_path: settings.base_path.clone(),
            ignores_case: settings.paths == PathCase::Insensitive,
            headers,
            timeouts: settings.timeouts,
            codings,
            slots,
            metrics: metrics(known),
            clock,
        })
    }

    /// Compares this machine's clock with the `Date` of a peer's answer to a request of the time `began`, in seconds since
    /// 1970. Logs a difference, and its end.
    pub fn compare_clock(&self, headers: &HeaderMap, began: u64, peer: Option<SocketAddr>) {
        let peer = || peer.map(|peer| peer.to_string());
        let hint = "the time services of this machine and of the peer's: compare `now` in /status of all processes";
        match self.clock.compare(headers, began, clock::unix_seconds) {
            None => {}
            Some(ClockDifference::None) => {
                tracing::info!(upstream = self.name, "the clock agrees with the upstream's again");
            }
            Some(ClockDifference::Ahead(seconds)) => tracing::warn!(
                upstream = self.name,
                peer = peer(),
                hint,
                "the clock of this process is {seconds} s ahead of the Date of the upstream's answers: one of the two is \
                 wrong. A process that is ahead refuses cursors of others as expired (cursor.ttl), and they refuse its own"
            ),
            Some(ClockDifference::Behind(seconds)) => tracing::warn!(
                upstream = self.name,
                peer = peer(),
                hint,
                "the clock of this process is {seconds} s behind the Date of the upstream's answers: one of the two is \
                 wrong. A process that is behind refuses cursors of others as made in the future (cursor.ttl)"
            ),
        }
    }

    /// Returns the end of the peers' certificate that ends first, in seconds since 1970; `None` if no peer has shown one.
    #[must_use]
    pub fn certificate_end(&self) -> Option<i64> {
        self.peers.all().iter().filter_map(|peer| peer.certificate_end()).min()
    }

    /// Begins a visit, which contains the peer for a client's request and the request's retries. With `balance =
    /// "hash"`, the request's headers or path determine the peer.
    ///
    /// A request that has already passed through a gateway isn't retried: that gateway retries it, and the retries of
    /// several gateways in a row would multiply. Test: `a_request_in_a_loop_of_gateways_is_cut_off`.
    #[must_use]
    pub fn visit(&self, headers: &HeaderMap, path: &str, only_reads: bool) -> Visit<'_> {
        let can_repeat = only_reads && passages(headers) == 0;
        let key = if self.peers.balance() == Balance::Hash { self.balance_key(headers, path) } else { 0 };
        Visit::new(&self.peers, key, can_repeat).of_kind(LatencyKind::of(path))
    }

    /// Returns the request that checks the health of the upstream's peers.
    #[must_use]
    pub fn check_request(&self) -> CheckRequest<'_> {
        CheckRequest { host: self.host_for(None), headers: &self.headers }
    }

    /// Returns a hash of the client's balance headers, or of the path if the request has none of them. The hash is the
    /// same in every process.
    fn balance_key(&self, headers: &HeaderMap, path: &str) -> u128 {
        let mut text = Vec::new();
        for name in &self.balance_headers {
            // Neither names nor values contain a zero byte, so different lists of headers have different texts.
            for value in headers.get_all(name) {
                text.extend_from_slice(name.as_str().as_bytes());
                text.push(0);
                text.extend_from_slice(value.as_bytes());
                text.push(0);
            }
        }
        if text.is_empty() {
            text.extend_from_slice(path.as_bytes());
        }
        XxHash3_128::oneshot(&text)
    }

    /// Returns the value of `Host` for a request whose client sent `authority`: the configured value, or else the
    /// client's authority, or else the name of the first peer.
    #[must_use]
    pub fn host_for(&self, authority: Option<&str>) -> HeaderValue {
        let own = || authority.and_then(|authority| HeaderValue::from_str(authority).ok());
        // A health check has no authority, and an HTTP/1.0 request may have none, so the first peer's name is sent.
        let peer = || self.peers.names().first().and_then(|name| HeaderValue::from_str(name.text()).ok());
        self.host.clone().or_else(own).or_else(peer).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Returns the metrics of the upstream of this name, which survive a reload.
fn metrics(known: Option<&Arc<Upstream>>) -> Arc<UpstreamMetrics> {
    known.map_or_else(UpstreamMetrics::new, |known| Arc::clone(&known.metrics))
}

/// Returns the value of `Accept-Encoding` in requests for pages. With `compression = "remote"`, upstreams on the same
/// machine aren't asked to compress.
fn codings(compression: UpstreamCompression, peers: &[Arc<PeerName>]) -> HeaderValue {
    let compresses = match compression {
        UpstreamCompression::Remote => peers.iter().any(|name| !name.is_loopback()),
        UpstreamCompression::Always => true,
        UpstreamCompression::Never => false,
    };
    HeaderValue::from_static(if compresses { ASKED_CODING } else { "identity" })
}

/// Returns the headers that are added to every request; `None` if a value can't be sent.
fn added_headers(settings: &UpstreamSettings, diagnostics: &mut Diagnostics) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let at = settings.peers.first()?.at;
    let mut headers = Vec::with_capacity(settings.headers.len());
    for (name, value) in &settings.headers {
        let Ok(mut value) = HeaderValue::from_bytes(value.reveal()) else {
            let message = format!("the value of the header {name} can't be sent");
            diagnostics.error(at, message, "a header's value is one line of visible characters");
            return None;
        };
        // A sensitive value is left out of debug output and of HTTP/2's header table.
        value.set_sensitive(true);
        headers.push((name.clone(), value));
    }
    Some(headers)
}

/// Returns the known name of a peer with its addresses and their health, from the upstream of the same name in force;
/// `None` if the name is new.
fn known_name(known: &Upstream, settings: &UpstreamSettings, text: &str) -> Option<Arc<PeerName>> {
    let name = known.peers.names().iter().find(|name| name.text() == text && name.servers() == settings.resolvers)?;
    if known.peers.check() != settings.health_check.as_ref() {
        // With another check, or without a check, the results of the old check would never be revised, so they are
        // forgotten.
        let resolved = name.resolved();
        let peers = resolved.as_ref().map_or(&[][..], |resolved| resolved.peers.as_slice());
        peers.iter().for_each(|peer| peer.forget_checks(clock::instant()));
    }
    Some(Arc::clone(name))
}

/// Returns the names of the peers. Names in `known` keep their addresses with the addresses' health.
fn peer_names(
    settings: &UpstreamSettings,
    known: Option<&Upstream>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Arc<PeerName>>> {
    let mut names = Vec::with_capacity(settings.peers.len());
    for peer in &settings.peers {
        let known = known.and_then(|known| known_name(known, settings, &peer.value));
        let parse = || PeerName::parse(&peer.value, &settings.resolvers, clock::instant).map(Arc::new);
        let Some(name) = known.or_else(parse) else {
            diagnostics.error(peer.at, "a peer is host:port", "write \"people.internal:8000\"");
            return None;
        };
        // Without a name, the certificate couldn't be verified, so this is an error. Test:
        // `a_tls_upstream_without_a_name_for_its_certificate_is_refused`.
        if name.is_literal() && settings.tls.as_ref().is_some_and(|tls| tls.server_name.is_none()) {
            let help = "add tls.server_name: the name that the certificate of this address has";
            diagnostics.error(peer.at, "an address has no name to compare with its certificate", help);
            return None;
        }
        names.push(name);
    }
    Some(names)
}

fn policy(settings: &UpstreamSettings, known: Option<&Arc<Upstream>>, slots: &Arc<UpstreamSlots>) -> PeerPolicy {
    PeerPolicy {
        upstream: settings.name.clone(),
        balance: settings.balance,
        weights: settings.weights.clone(),
        backups: settings.backups,
        slow_start: settings.slow_start,
        check: settings.health_check.clone(),
        eject_after: settings.eject_after,
        retries: settings.retries,
        budget: known.map(|known| Arc::clone(known.peers.budget())).unwrap_or_default(),
        slots: Some(Arc::clone(slots)),
        clock: clock::instant,
    }
}

fn slots(settings: &UpstreamSettings, known: Option<&Arc<Upstream>>) -> Arc<UpstreamSlots> {
    let known = known.map(|known| &known.slots).filter(|slots| slots.configured() == settings.connections);
    known.map_or_else(|| UpstreamSlots::new(settings.connections, clock::instant), Arc::clone)
}

/// Returns the options by which the system notices that a connection is dead, for example because a NAT between the
/// gateway and the peer has forgotten it. A dead connection in the pool is closed after about 20 seconds without a
/// request; [`Connection::loss`](crate::net::connection::Connection::loss) detects one with a request.
///
/// `whole` is the longest time of a write. It also limits the time for which a peer may acknowledge no data, or leave
/// its window closed (`TCP_USER_TIMEOUT`): a service that pauses while it reads an upload must not be cut off earlier.
/// Test: `an_upstream_may_pause_within_an_upload`.
fn watched(whole: Duration) -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(10),
        interval: Duration::from_secs(5),
        count: 2,
        #[cfg(target_os = "linux")]
        user_timeout: whole,
    }
}

/// Creates the template for all peers, without an address. All timeouts are set, because Pingora's default is no
/// timeout.
fn template(settings: &UpstreamSettings) -> HttpPeer {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let tls = settings.tls.as_ref();
    let server_name = tls.and_then(|tls| tls.server_name.clone()).unwrap_or_default();
    let mut peer = HttpPeer::new(nowhere, tls.is_some(), server_name);
    let Timeouts { connect, first_byte, whole, .. } = settings.timeouts;
    peer.options.connection_timeout = Some(connect);
    peer.options.total_connection_timeout = Some(connect);
    peer.options.read_timeout = Some(first_byte);
    peer.options.write_timeout = Some(whole);
    peer.options.idle_timeout = Some(IDLE);
    peer.options.tcp_keepalive = Some(watched(whole));
    if settings.http2 {
        // Without TLS there is no negotiation, so HTTP/2 is used with prior knowledge (RFC 9113 section 3.3).
        peer.options.alpn = if tls.is_some() { ALPN::H2H1 } else { ALPN::H2 };
        peer.options.max_h2_streams = STREAMS;
        peer.options.h2_ping_interval = Some(PING);
        peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
        peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
    }
    let mut hasher = DefaultHasher::new();
    settings.http2.hash(&mut hasher);
    settings.name.hash(&mut hasher);
    // Connections are shared only within an upstream. Its certificates are added to this key elsewhere, because
    // Pingora's own key leaves out the certificate authorities.
    peer.group_key = hasher.finish();
    peer
}
