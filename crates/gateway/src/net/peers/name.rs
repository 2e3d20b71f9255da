//! A peer as the configuration names it, and its addresses. Names are resolved in the background. If that fails, the
//! known addresses stay in use.
//!
//! Pingora's `HttpPeer::new` resolves names synchronously and panics on failure. Therefore it gets only addresses here,
//! and the name for TLS is set separately.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::Notify;

use super::{peer::Peer, resolver::look_up};
use crate::net::error::FetchError;

/// The shortest time until a name is resolved again. Between this and [`LONGEST`], the expiry of the DNS records
/// decides.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The time from a failed resolution to the next attempt.
const AFTER_FAULT: Duration = Duration::from_secs(5);

/// A function that returns the current time. The time is read when a look-up or an attempt to connect ends, because
/// expiries and rests begin then, and not when the request began.
pub type Clock = fn() -> Instant;

/// A `host:port` and its addresses. The next snapshot shares the value, so a reload keeps the addresses and their
/// health.
#[derive(Debug)]
pub struct PeerName {
    text: String,
    host: String,
    port: u16,
    servers: Vec<SocketAddr>,
    clock: Clock,
    resolved: ArcSwapOption<Resolved>,
    /// `true` while a look-up is under way.
    asking: AtomicBool,
    /// Wakes the requests that wait for the first addresses.
    answered: Notify,
}

/// The result of the last resolution.
#[derive(Debug)]
pub struct Resolved {
    /// The peers, one for each address; empty if no resolution has succeeded yet.
    pub peers: Vec<Arc<Peer>>,
    /// The reason why the last resolution failed, and the time since which all have failed; `None` after a success.
    pub fault: Option<(String, Instant)>,
    /// The time of the next resolution; `None` for a literal address, which is never resolved.
    next: Option<Instant>,
}

impl PeerName {
    /// Parses `host:port`, `192.0.2.1:80` or `[2001:db8::1]:80`; returns `None` for other strings. Names are resolved
    /// by `servers`, or by the system's servers if `servers` is empty.
    #[must_use]
    pub fn parse(text: &str, servers: &[SocketAddr], clock: Clock) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        let literal = host.parse().ok().map(|ip: IpAddr| {
            let peers = vec![Peer::new(SocketAddr::new(ip, port), clock())];
            Arc::new(Resolved { peers, fault: None, next: None })
        });
        Some(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
            servers: servers.to_vec(),
            clock,
            resolved: ArcSwapOption::new(literal),
            asking: AtomicBool::new(false),
            answered: Notify::new(),
        })
    }

    /// Returns the `host:port` that was parsed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the host; an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the DNS servers that resolve the name; empty for the system's servers.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// Returns whether the host is an IP address, not a name.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Returns whether the host is this machine: a loopback address or a name of it (RFC 6761 section 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = self.host.trim_end_matches('.').to_ascii_lowercase();
        match self.host.parse::<IpAddr>() {
            // An IPv4 address in the form of IPv6, such as `::ffff:127.0.0.1`, is also a loopback address.
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Returns the result of the last resolution; `None` before the first one.
    #[must_use]
    pub fn resolved(&self) -> Guard<Option<Arc<Resolved>>> {
        self.resolved.load()
    }

    /// Waits until the name has addresses, at most for `patience`. The name is resolved once for all waiting requests.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] if the look-up fails, and [`FetchError::Timeout`] after `patience`.
    pub async fn first(self: &Arc<Self>, patience: Duration) -> Result<(), FetchError> {
        let is_known = || self.resolved().as_ref().is_some_and(|resolved| !resolved.peers.is_empty());
        let mut answered = pin!(self.answered.notified());
        // The wait is enabled before the check. Otherwise a look-up that ends in between would be missed.
        answered.as_mut().enable();
        if is_known() {
            return Ok(());
        }
        self.resolve();
        let host = &self.host;
        match tokio::time::timeout(patience, answered).await {
            Ok(()) if is_known() => Ok(()),
            Ok(()) => Err(FetchError::Unavailable(format!("{host} can't be resolved, the log says why"))),
            Err(_) => Err(FetchError::Timeout(format!("{host} was not resolved within {patience:?}"))),
        }
    }

    /// Resolves the name in the background if a resolution is due.
    pub fn refresh(self: &Arc<Self>, now: Instant) {
        let is_due = match &*self.resolved() {
            None => true,
            Some(resolved) => resolved.next.is_some_and(|next| next <= now),
        };
        if is_due {
            self.resolve();
        }
    }

    /// Resolves the name in the background, unless a look-up is already under way.
    fn resolve(self: &Arc<Self>) {
        // A single look-up at a time serves all waiting requests. Test:
        // `an_unknown_name_is_resolved_once_at_a_time_and_again_later`.
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let name = Arc::clone(self);
        tokio::spawn(async move {
            let found = look_up(&name.host, &name.servers).await;
            name.take(found, (name.clock)());
            // The flag is cleared before requests wake: a request that needs the name again at once would otherwise
            // wait for a look-up that has ended.
            name.asking.store(false, Ordering::Release);
            name.answered.notify_waiters();
        });
    }

    /// Stores the result of a look-up. Peers whose addresses the name still has are kept, with their health.
    fn take(&self, found: Result<(Vec<IpAddr>, Instant), String>, now: Instant) {
        let known = self.resolved.load_full();
        let peers = known.as_ref().map_or(&[][..], |known| known.peers.as_slice());
        let failed_since = known.as_ref().and_then(|known| known.fault.as_ref()).map(|(_, since)| *since);
        let host = &self.host;
        let resolved = match found {
            Ok((addresses, until)) => {
                let kept = |ip: &IpAddr| peers.iter().find(|peer| peer.address.ip() == *ip);
                let changed = addresses.len() != peers.len() || addresses.iter().any(|ip| kept(ip).is_none());
                if changed && known.is_some() {
                    let before: Vec<IpAddr> = peers.iter().map(|peer| peer.address.ip()).collect();
                    tracing::info!(host, ?before, after = ?addresses, "name has other addresses");
                } else if failed_since.is_some() {
                    tracing::info!(host, "name resolved again");
                }
                let peer = |ip| kept(ip).map_or_else(|| Peer::new((*ip, self.port).into(), now), Arc::clone);
                // Records may expire at once or after hours, so the time of the next look-up has bounds. Test:
                // `a_name_is_resolved_again_at_the_bounded_expiry_of_its_records`.
                let next = Some(until.clamp(now + SHORTEST, now + LONGEST));
                Resolved { peers: addresses.iter().map(peer).collect(), fault: None, next }
            }
            Err(error) => {
                if failed_since.is_none() {
                    tracing::warn!(host, error, "name not resolved; known addresses stay in use");
                }
                // While DNS fails, the known addresses usually still work, so they stay in use. Test:
                // `a_name_that_fails_to_resolve_keeps_its_addresses_and_their_health`.
                let fault = Some((error, failed_since.unwrap_or(now)));
                Resolved { peers: peers.to_vec(), fault, next: Some(now + AFTER_FAULT) }
            }
        };
        self.resolved.store(Some(Arc::new(resolved)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn parse(text: &str) -> Option<PeerName> {
        PeerName::parse(text, &[], now)
    }

    fn addresses(name: &PeerName) -> Vec<String> {
        let resolved = name.resolved();
        resolved
            .as_ref()
            .map_or_else(Vec::new, |known| known.peers.iter().map(|peer| peer.address.to_string()).collect())
    }

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for text in ["people:80", "192.0.2.1:8000", "[2001:db8::1]:443", "localhost:1"] {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in ["people", "people:", "people:65536", ":80", "[]:80", "people:80/x"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse("[2001:db8::1]:443").unwrap().is_literal());
        assert!(!parse("localhost:80").unwrap().is_literal());
    }

    /// Row: F03
    #[test]
    fn a_name_that_fails_to_resolve_keeps_its_addresses_and_their_health() {
        let (name, now) = (parse("people.invalid:80").unwrap(), now());
        let ip = |last| IpAddr::from([192, 0, 2, last]);
        name.take(Ok((vec![ip(1), ip(2)], now)), now);
        assert_eq!(addresses(&name), ["192.0.2.1:80", "192.0.2.2:80"]);
        name.resolved().as_ref().unwrap().peers[1].health.unreached("refused", now);
        for _ in 0..2 {
            name.take(Err("the name is gone".to_owned()), now);
            assert_eq!(addresses(&name), ["192.0.2.1:80", "192.0.2.2:80"]);
            assert!(name.resolved().as_ref().unwrap().fault.is_some());
        }
        name.take(Ok((vec![ip(2), ip(3)], now)), now);
        assert_eq!(addresses(&name), ["192.0.2.2:80", "192.0.2.3:80"]);
        let resolved = name.resolved();
        let peers = &resolved.as_ref().unwrap().peers;
        assert!(peers[0].health.is_unhealthy() && !peers[1].health.is_unhealthy());
    }

    #[test]
    fn a_name_is_resolved_again_at_the_bounded_expiry_of_its_records() {
        let (name, now) = (parse("people.invalid:80").unwrap(), now());
        let second = Duration::from_secs(1);
        for (lives, kept) in [(0, 1), (7, 7), (3_600, 30)] {
            name.take(Ok((vec![[192, 0, 2, 1].into()], now + lives * second)), now);
            assert_eq!(name.resolved().as_ref().unwrap().next, Some(now + kept * second), "{lives}");
        }
        name.take(Err("gone".to_owned()), now);
        assert_eq!(name.resolved().as_ref().unwrap().next, Some(now + AFTER_FAULT));
    }

    /// Row: F03
    #[tokio::test]
    async fn an_unknown_name_is_resolved_once_at_a_time_and_again_later() {
        // No server listens at this address, so the look-up fails at once.
        let name = PeerName::parse("nothing.invalid:80", &[([127, 0, 0, 1], 1).into()], now).unwrap();
        let name = Arc::new(name);
        for _ in 0..2 {
            let patience = Duration::from_secs(30);
            let (one, other) = tokio::join!(name.first(patience), name.first(patience));
            assert!(one.is_err() && other.is_err());
        }
    }
}
