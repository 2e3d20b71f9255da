//! Peers and their addresses: names are resolved without blocking and cached, also while the resolver fails.
//!
//! Requests pass over unreachable peers (`Health`), for pages and forwarded requests alike. If all peers rest, all of
//! them are tried in turn.
//!
//! Pingora's `HttpPeer::new` resolves names synchronously and panics on failure. It therefore gets only addresses, and
//! the name separately for TLS.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use pingora::{protocols::l4::socket::SocketAddr as PingoraAddress, upstreams::peer::HttpPeer};

use tokio::sync::Notify;

use super::{
    error::FetchError,
    health::{Health, Readiness},
};
use crate::{
    config::settings::TlsVersion,
    tls::{PeerCredentials, Renewable},
};

/// The time for which resolved addresses are used before the resolver is asked again. `getaddrinfo` does not return the
/// record's time to live; half a minute is usual for proxies.
const KEPT: Duration = Duration::from_secs(30);

/// The peers of an upstream, used in turn: every address of every peer.
#[derive(Debug)]
pub struct Peers {
    names: Vec<Arc<PeerName>>,
    template: HttpPeer,
    tls: Option<PeerTls>,
    /// Certificates are checked against the host of the peer.
    host_is_server_name: bool,
    next: AtomicUsize,
    failures: AtomicU64,
}

/// The TLS of an upstream.
#[derive(Debug)]
pub struct PeerTls {
    /// The certificates in use.
    pub credentials: Arc<Renewable<PeerCredentials>>,
    /// The oldest version that is spoken. Pingora's connections have none of their own.
    pub min_version: TlsVersion,
}

/// A `host:port` and its addresses. The next snapshot shares it, so that a reload keeps the addresses.
#[derive(Debug)]
pub struct PeerName {
    text: String,
    host: String,
    port: u16,
    addresses: ArcSwapOption<PeerAddresses>,
    asking: AtomicBool,
    answered: Notify,
}

/// Resolved addresses, never empty, and their age. Literal addresses don't expire.
#[derive(Debug)]
struct PeerAddresses {
    all: Vec<PeerAddress>,
    stale_from: Option<Instant>,
}

/// An address and its health, which is kept if the resolver returns the address again.
#[derive(Clone, Debug)]
struct PeerAddress {
    ip: IpAddr,
    health: Arc<Health>,
}

impl From<IpAddr> for PeerAddress {
    fn from(ip: IpAddr) -> Self {
        Self { ip, health: Arc::default() }
    }
}

/// An index into all addresses of all peers.
#[derive(Clone, Copy, Debug, Default)]
struct AddressIndex {
    name: usize,
    address: usize,
}

impl PeerName {
    /// Parses `host:port`, `192.0.2.1:80` or `[2001:db8::1]:80`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        let literal =
            host.parse().ok().map(|ip: IpAddr| Arc::new(PeerAddresses { all: vec![ip.into()], stale_from: None }));
        Some(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
            addresses: ArcSwapOption::new(literal),
            asking: AtomicBool::new(false),
            answered: Notify::new(),
        })
    }

    /// Returns the text that was parsed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether the host is an address.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Returns whether the host is this machine: a loopback address or a name of it (RFC 6761 section 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = self.host.trim_end_matches('.').to_ascii_lowercase();
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Returns the address at an index, modulo the number of addresses. Expired addresses are used while the resolver
    /// is asked again, so that only the first requests wait for a name.
    async fn address(
        self: &Arc<Self>,
        place: usize,
        now: Instant,
        patience: Duration,
    ) -> Result<SocketAddr, FetchError> {
        let known = match self.addresses.load_full() {
            Some(known) => known,
            None => self.first(now, patience).await?,
        };
        if known.stale_from.is_some_and(|stale_from| now >= stale_from) {
            self.ask_aside(now);
        }
        Ok(SocketAddr::new(known.all[place % known.all.len()].ip, self.port))
    }

    /// Waits for the first answer of the resolver, which is asked once for all waiting requests.
    async fn first(self: &Arc<Self>, now: Instant, patience: Duration) -> Result<Arc<PeerAddresses>, FetchError> {
        let mut answered = pin!(self.answered.notified());
        answered.as_mut().enable();
        if let Some(known) = self.addresses.load_full() {
            return Ok(known);
        }
        self.ask_aside(now);
        let host = &self.host;
        match tokio::time::timeout(patience, answered).await {
            Ok(()) => self
                .addresses
                .load_full()
                .ok_or_else(|| FetchError::Unavailable(format!("{host} can't be resolved, the log says why"))),
            Err(_) => Err(FetchError::Timeout(format!("{host} was not resolved within {patience:?}"))),
        }
    }

    /// Asks the resolver in the background, unless it is being asked already.
    fn ask_aside(self: &Arc<Self>, now: Instant) {
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let name = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = name.ask(now).await {
                tracing::warn!(host = name.host, %error, "name not resolved; known addresses stay in use");
                name.keep_for_another_while(now);
            }
            name.asking.store(false, Ordering::Release);
            name.answered.notify_waiters();
        });
    }

    async fn ask(&self, now: Instant) -> std::io::Result<()> {
        let known = self.addresses.load_full();
        let known = known.as_ref().map_or(&[][..], |known| known.all.as_slice());
        let mut all: Vec<PeerAddress> = Vec::new();
        for ip in tokio::net::lookup_host((self.host.as_str(), self.port)).await?.map(|address| address.ip()) {
            if !all.iter().any(|address| address.ip == ip) {
                all.push(known.iter().find(|known| known.ip == ip).cloned().unwrap_or_else(|| ip.into()));
            }
        }
        if all.is_empty() {
            return Err(std::io::Error::other("the resolver knows no address"));
        }
        self.addresses.store(Some(Arc::new(PeerAddresses { all, stale_from: Some(now + KEPT) })));
        Ok(())
    }

    fn keep_for_another_while(&self, now: Instant) {
        if let Some(known) = self.addresses.load_full() {
            self.addresses
                .store(Some(Arc::new(PeerAddresses { all: known.all.clone(), stale_from: Some(now + KEPT) })));
        }
    }
}

impl Peers {
    /// Creates peers like `template` with their own addresses, and with their own certificate names if `template` has
    /// none.
    #[must_use]
    pub fn new(names: Vec<Arc<PeerName>>, template: HttpPeer, tls: Option<PeerTls>) -> Self {
        let host_is_server_name = template.is_tls() && template.sni.is_empty();
        Self { names, template, tls, host_is_server_name, next: AtomicUsize::new(0), failures: AtomicU64::new(0) }
    }

    /// Returns the certificates in use and in need of renewal.
    pub fn credentials(&self) -> Option<&Arc<Renewable<PeerCredentials>>> {
        self.tls.as_ref().map(|tls| &tls.credentials)
    }

    /// Returns whether a version of TLS, in OpenSSL's words, may be spoken.
    #[must_use]
    pub fn speaks(&self, version: &str) -> bool {
        // Versions before 1.2 fail in the handshake: their signatures are below OpenSSL's level of security.
        self.tls.as_ref().is_none_or(|tls| tls.min_version == TlsVersion::Tls12 || version == "TLSv1.3")
    }

    /// Returns the names, which the next snapshot shares.
    #[must_use]
    pub fn names(&self) -> &[Arc<PeerName>] {
        &self.names
    }

    /// Returns the number of known addresses of all peers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places().count()
    }

    /// Returns the number of addresses that rest.
    #[must_use]
    pub fn resting(&self) -> usize {
        self.places().filter(|(_, health)| health.as_ref().is_some_and(|health| health.ails())).count()
    }

    /// Returns the number of failed connections.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns the peer for the next attempt: all peers in turn, except those that rest.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] or [`FetchError::Timeout`] if the name has never been resolved.
    pub async fn next(&self, now: Instant, patience: Duration) -> Result<HttpPeer, FetchError> {
        let (place, is_trial) = self.choose(now);
        let Some(name) = self.names.get(place.name) else {
            return Err(FetchError::Unavailable("the upstream has no peer".to_owned()));
        };
        let address = name.address(place.address, now, patience).await?;
        let mut peer = self.template.clone();
        if let Some(tls) = &self.tls {
            let credentials = tls.credentials.current();
            peer.options.ca.clone_from(&credentials.authorities);
            peer.client_cert_key.clone_from(&credentials.identity);
            // Connections that were established with other certificates or an older version are left alone.
            peer.group_key ^= credentials.hash.rotate_left(u32::from(tls.min_version == TlsVersion::Tls13));
        }
        peer._address = PingoraAddress::Inet(address);
        if self.host_is_server_name {
            peer.sni.clone_from(&name.host);
        }
        if is_trial {
            // Another group key selects another pool: a pooled connection would not test whether the peer is reachable.
            // Test: `a_peer_that_failed_is_passed_over_and_comes_back`.
            peer.group_key ^= 1;
        }
        Ok(peer)
    }

    /// Records that a peer could not be reached.
    pub fn failed(&self, peer: &HttpPeer, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if self.health_of(peer).is_some_and(|health| health.failed(now)) {
            let peer = &peer._address;
            tracing::warn!(%peer, "peer can't be reached; other peers are used while it rests, and it is tried again later");
        }
    }

    /// Records a new connection to a peer.
    pub fn reached(&self, peer: &HttpPeer) {
        if self.health_of(peer).is_some_and(|health| health.reached()) {
            tracing::info!(peer = %peer._address, "peer can be reached again");
        }
    }

    /// Returns the next address and whether this is a trial. The first request after the end of a rest tries that peer,
    /// whichever is next in turn.
    fn choose(&self, now: Instant) -> (AddressIndex, bool) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let (mut all, mut ready) = (0, 0);
        for (place, health) in self.places() {
            all += 1;
            match health.map_or(Readiness::Ready, |health| health.readiness(now)) {
                Readiness::Ready => ready += 1,
                Readiness::Trial => return (place, true),
                Readiness::Resting => {}
            }
        }
        let is_ready = |(_, health): &(AddressIndex, Option<Arc<Health>>)| {
            ready == 0 || health.as_ref().is_none_or(|health| !health.ails())
        };
        let among = if ready == 0 { all } else { ready };
        let mut places = self.places().filter(is_ready);
        (places.nth(turn % among.max(1)).map(|(place, _)| place).unwrap_or_default(), false)
    }

    /// Returns all addresses with their health; an unresolved name counts as one address.
    fn places(&self) -> impl Iterator<Item = (AddressIndex, Option<Arc<Health>>)> {
        self.names.iter().enumerate().flat_map(|(name, known)| {
            let known = known.addresses.load_full();
            let count = known.as_ref().map_or(1, |known| known.all.len());
            (0..count).map(move |address| {
                let health = known.as_ref().map(|known| Arc::clone(&known.all[address].health));
                (AddressIndex { name, address }, health)
            })
        })
    }

    fn health_of(&self, peer: &HttpPeer) -> Option<Arc<Health>> {
        let PingoraAddress::Inet(address) = &peer._address else { return None };
        self.names.iter().filter(|name| name.port == address.port()).find_map(|name| {
            let known = name.addresses.load();
            let known = known.as_ref()?.all.iter().find(|known| known.ip == address.ip())?;
            Some(Arc::clone(&known.health))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(texts: &[&str]) -> Peers {
        let names = texts.iter().map(|text| Arc::new(PeerName::parse(text).unwrap())).collect();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Peers::new(names, HttpPeer::new(nowhere, false, String::new()), None)
    }

    #[test]
    fn what_is_a_peer() {
        for text in ["people:80", "192.0.2.1:8000", "[2001:db8::1]:443", "localhost:1"] {
            assert!(PeerName::parse(text).is_some(), "{text}");
        }
        for text in ["people", "people:", "people:65536", ":80", "[]:80", "people:80/x"] {
            assert!(PeerName::parse(text).is_none(), "{text}");
        }
        assert!(PeerName::parse("[2001:db8::1]:443").unwrap().is_literal());
        assert!(!PeerName::parse("localhost:80").unwrap().is_literal());
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn next(peers: &Peers, now: Instant) -> String {
        peers.next(now, Duration::from_secs(1)).await.unwrap()._address.to_string()
    }

    #[tokio::test]
    async fn every_peer_and_every_address_has_its_turn() {
        let peers = peers(&["192.0.2.1:80", "people.invalid:81"]);
        let two = [IpAddr::from([192, 0, 2, 2]), IpAddr::from([192, 0, 2, 3])];
        let two = two.into_iter().map(PeerAddress::from).collect();
        peers.names[1].addresses.store(Some(Arc::new(PeerAddresses { all: two, stale_from: None })));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(next(&peers, now()).await);
        }
        assert_eq!(seen, ["192.0.2.1:80", "192.0.2.2:81", "192.0.2.3:81", "192.0.2.1:80"]);
        assert_eq!(peers.count(), 3);
    }

    /// A request that fails at one peer takes the next one, and the failed peer gets no further request, whatever the
    /// number of peers and attempts: parity once led every other request back to it.
    #[tokio::test]
    async fn a_peer_that_failed_is_passed_over_and_comes_back() {
        let all = ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"];
        for count in 2..=3 {
            let (peers, start) = (peers(&all[..count]), now());
            let sick = peers.next(start, Duration::from_secs(1)).await.unwrap();
            assert_eq!(sick._address.to_string(), all[0]);
            peers.failed(&sick, start);
            assert_eq!((peers.resting(), peers.failures()), (1, 1));
            let mut shares = [0; 3];
            for _ in 0..60 {
                let chosen = next(&peers, start).await;
                shares[all.iter().position(|peer| *peer == chosen).unwrap()] += 1;
            }
            assert_eq!(shares[0], 0);
            assert!(shares[1..count].iter().all(|share| *share == 60 / (count - 1)), "{shares:?}");

            let later = start + Duration::from_secs(1);
            assert_eq!(next(&peers, later).await, all[0], "one request tries it");
            assert_ne!(next(&peers, later).await, all[0], "and no other meanwhile");
            peers.reached(&sick);
            assert_eq!(peers.resting(), 0);
            let again: Vec<_> =
                [next(&peers, later).await, next(&peers, later).await, next(&peers, later).await].into();
            assert!(again.iter().any(|peer| peer == all[0]), "{again:?}");
        }
    }

    /// If no peer is reachable, all are tried in turn, because one of them may be back.
    #[tokio::test]
    async fn where_all_rest_none_is_passed_over() {
        let (peers, start) = (peers(&["192.0.2.1:80", "192.0.2.2:80"]), now());
        for _ in 0..2 {
            let peer = peers.next(start, Duration::from_secs(1)).await.unwrap();
            peers.failed(&peer, start);
        }
        assert_eq!(peers.resting(), 2);
        let (one, other) = (next(&peers, start).await, next(&peers, start).await);
        assert_ne!(one, other);
    }

    /// Row: F03
    #[tokio::test]
    async fn a_name_that_is_gone_keeps_its_last_address() {
        let peers = peers(&["gone.invalid:80"]);
        let last = vec![IpAddr::from([192, 0, 2, 7]).into()];
        peers.names[0].addresses.store(Some(Arc::new(PeerAddresses { all: last, stale_from: Some(now()) })));
        assert_eq!(next(&peers, now()).await, "192.0.2.7:80");
    }

    /// Row: F03
    #[tokio::test]
    async fn a_name_that_never_was_is_asked_for_once_at_a_time_and_again_later() {
        let peers = peers(&["nothing.invalid:80"]);
        let now = tokio::time::Instant::now().into_std();
        for _ in 0..2 {
            let (one, other) =
                tokio::join!(peers.next(now, Duration::from_secs(30)), peers.next(now, Duration::from_secs(30)));
            assert!(one.is_err() && other.is_err());
        }
    }

    #[tokio::test]
    async fn the_host_is_the_name_of_the_certificate_unless_another_is_said() {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let now = tokio::time::Instant::now().into_std();
        for (said, expected) in [("", "localhost"), ("people.example", "people.example")] {
            let name = Arc::new(PeerName::parse("localhost:443").unwrap());
            let peers = Peers::new(vec![name], HttpPeer::new(nowhere, true, said.to_owned()), None);
            let peer = peers.next(now, Duration::from_secs(5)).await.unwrap();
            assert_eq!(peer.sni, expected);
        }
    }
}
