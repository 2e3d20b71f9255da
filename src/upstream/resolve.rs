//! From `host:port` to an address: names are resolved without blocking, kept for a while, and kept on where the
//! resolver fails.
//!
//! Pingora's own `HttpPeer::new` resolves names synchronously and panics where it can't, so no name ever reaches it:
//! it gets addresses alone, and the name beside it for TLS.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use pingora::{protocols::l4::socket::SocketAddr as PeerAddress, upstreams::peer::HttpPeer};

use tokio::sync::Notify;

use super::fetch::FetchError;

/// How long an answer of the resolver is used before it is asked again. `getaddrinfo` does not tell the record's own
/// time to live; half a minute is what most proxies use.
const KEPT: Duration = Duration::from_secs(30);

/// The peers of an upstream, used in turn: every peer, and every address of each.
#[derive(Debug)]
pub struct Peers {
    names: Vec<Arc<Name>>,
    template: HttpPeer,
    /// Whether the host of a peer is what its certificate must have.
    host_is_server_name: bool,
    next: AtomicUsize,
}

/// One `host:port` and what is known of it. Shared with the next snapshot, so that a reload forgets no address.
#[derive(Debug)]
pub struct Name {
    text: String,
    host: String,
    port: u16,
    addresses: ArcSwapOption<Addresses>,
    asking: AtomicBool,
    answered: Notify,
}

/// What the resolver said, never empty, and when; literal addresses are for ever.
#[derive(Debug)]
struct Addresses {
    all: Vec<IpAddr>,
    stale_from: Option<Instant>,
}

impl Name {
    /// Reads `host:port`, `192.0.2.1:80` or `[2001:db8::1]:80`; nothing where it is none of them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        let literal =
            host.parse().ok().map(|address: IpAddr| Arc::new(Addresses { all: vec![address], stale_from: None }));
        Some(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
            addresses: ArcSwapOption::new(literal),
            asking: AtomicBool::new(false),
            answered: Notify::new(),
        })
    }

    /// The `host:port` it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the host is an address and no name.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// An address: `turn` picks one of several. Where the last answer is old, it is used all the same while the
    /// resolver is asked again, so that no request waits for a name but the first ones.
    async fn address(
        self: &Arc<Self>,
        turn: usize,
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
        Ok(self.pick(&known, turn))
    }

    /// The first answer of the resolver, which is asked once for all that wait.
    async fn first(self: &Arc<Self>, now: Instant, patience: Duration) -> Result<Arc<Addresses>, FetchError> {
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

    /// Asks the resolver, unless it is being asked already.
    fn ask_aside(self: &Arc<Self>, now: Instant) {
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let name = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = name.ask(now).await {
                tracing::warn!(host = name.host, %error, "name not resolved; addresses that are known stay in use");
                name.keep_for_another_while(now);
            }
            name.asking.store(false, Ordering::Release);
            name.answered.notify_waiters();
        });
    }

    fn pick(&self, addresses: &Addresses, turn: usize) -> SocketAddr {
        SocketAddr::new(addresses.all[turn % addresses.all.len()], self.port)
    }

    async fn ask(&self, now: Instant) -> std::io::Result<()> {
        let mut all: Vec<IpAddr> = Vec::new();
        for address in tokio::net::lookup_host((self.host.as_str(), self.port)).await? {
            if !all.contains(&address.ip()) {
                all.push(address.ip());
            }
        }
        if all.is_empty() {
            return Err(std::io::Error::other("the resolver knows no address"));
        }
        self.addresses.store(Some(Arc::new(Addresses { all, stale_from: Some(now + KEPT) })));
        Ok(())
    }

    fn keep_for_another_while(&self, now: Instant) {
        if let Some(known) = self.addresses.load_full() {
            self.addresses.store(Some(Arc::new(Addresses { all: known.all.clone(), stale_from: Some(now + KEPT) })));
        }
    }
}

impl Peers {
    /// Peers that all look like `template` but for their address, and for the name of their certificate where
    /// `template` has none.
    #[must_use]
    pub fn new(names: Vec<Arc<Name>>, template: HttpPeer) -> Self {
        let host_is_server_name = template.is_tls() && template.sni.is_empty();
        Self { names, template, host_is_server_name, next: AtomicUsize::new(0) }
    }

    /// The names, to be shared with the next snapshot.
    #[must_use]
    pub fn names(&self) -> &[Arc<Name>] {
        &self.names
    }

    /// Whose turn it is: to be given to [`Self::at`], and counted up from where that peer can't be reached.
    pub fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// How many different turns there are, as far as is known.
    #[must_use]
    pub fn turns(&self) -> usize {
        let addresses = self.names.iter().map(|name| name.addresses.load().as_ref().map_or(1, |known| known.all.len()));
        addresses.sum()
    }

    /// The peer of a turn, with an address.
    ///
    /// # Errors
    ///
    /// [`FetchError::Unavailable`] and [`FetchError::Timeout`] where its name was never resolved and is not now.
    pub async fn at(&self, turn: usize, now: Instant, patience: Duration) -> Result<HttpPeer, FetchError> {
        let Some(name) = self.names.get(turn % self.names.len().max(1)) else {
            return Err(FetchError::Unavailable("the upstream has no peer".to_owned()));
        };
        let address = name.address(turn / self.names.len(), now, patience).await?;
        let mut peer = self.template.clone();
        peer._address = PeerAddress::Inet(address);
        if self.host_is_server_name {
            peer.sni.clone_from(&name.host);
        }
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(texts: &[&str]) -> Peers {
        let names = texts.iter().map(|text| Arc::new(Name::parse(text).unwrap())).collect();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Peers::new(names, HttpPeer::new(nowhere, false, String::new()))
    }

    #[test]
    fn what_is_a_peer() {
        for text in ["people:80", "192.0.2.1:8000", "[2001:db8::1]:443", "localhost:1"] {
            assert!(Name::parse(text).is_some(), "{text}");
        }
        for text in ["people", "people:", "people:65536", ":80", "[]:80", "people:80/x"] {
            assert!(Name::parse(text).is_none(), "{text}");
        }
        assert!(Name::parse("[2001:db8::1]:443").unwrap().is_literal());
        assert!(!Name::parse("localhost:80").unwrap().is_literal());
    }

    #[tokio::test]
    async fn every_peer_and_every_address_has_its_turn() {
        let peers = peers(&["192.0.2.1:80", "192.0.2.2:81"]);
        let two = [IpAddr::from([192, 0, 2, 2]), IpAddr::from([192, 0, 2, 3])];
        peers.names[1].addresses.store(Some(Arc::new(Addresses { all: two.to_vec(), stale_from: None })));
        let now = tokio::time::Instant::now().into_std();
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(peers.at(peers.turn(), now, Duration::from_secs(1)).await.unwrap()._address.to_string());
        }
        assert_eq!(seen, ["192.0.2.1:80", "192.0.2.2:81", "192.0.2.1:80", "192.0.2.3:81"]);
        assert_eq!(peers.turns(), 3);
    }

    #[tokio::test]
    async fn a_name_that_is_gone_keeps_its_last_address() {
        let peers = peers(&["gone.invalid:80"]);
        let now = tokio::time::Instant::now().into_std();
        let last = vec![IpAddr::from([192, 0, 2, 7])];
        peers.names[0].addresses.store(Some(Arc::new(Addresses { all: last, stale_from: Some(now) })));
        let peer = peers.at(peers.turn(), now, Duration::from_secs(1)).await.unwrap();
        assert_eq!(peer._address.to_string(), "192.0.2.7:80");
    }

    #[tokio::test]
    async fn a_name_that_never_was_is_asked_for_once_at_a_time_and_again_later() {
        let peers = peers(&["nothing.invalid:80"]);
        let now = tokio::time::Instant::now().into_std();
        for _ in 0..2 {
            let (one, other) =
                tokio::join!(peers.at(0, now, Duration::from_secs(30)), peers.at(1, now, Duration::from_secs(30)));
            assert!(one.is_err() && other.is_err());
        }
    }

    #[tokio::test]
    async fn the_host_is_the_name_of_the_certificate_unless_another_is_said() {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let now = tokio::time::Instant::now().into_std();
        for (said, expected) in [("", "localhost"), ("people.example", "people.example")] {
            let name = Arc::new(Name::parse("localhost:443").unwrap());
            let peers = Peers::new(vec![name], HttpPeer::new(nowhere, true, said.to_owned()));
            let peer = peers.at(0, now, Duration::from_secs(5)).await.unwrap();
            assert_eq!(peer.sni, expected);
        }
    }
}
