//! The check of exposure: listeners that everybody can reach, proxies that are trusted too widely, and peers that are
//! the gateway itself.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use super::Context;
use crate::{
    diagnostic::{Located, Location},
    keys::{ADMIN, FILE, LISTENER, SERVER},
    settings::{AdminSettings, ListenerSettings, Network, OpenReports, ServerSettings},
    spanned::Spanned,
    syntax,
};

/// Warns of networks of proxies that contain clients, and of listeners that everybody can reach.
pub(super) fn check(
    root: &Spanned,
    server: &ServerSettings,
    listeners: &[ListenerSettings],
    admin: Option<&AdminSettings>,
    context: &mut Context<'_>,
) {
    let heads = FILE.listeners.table(root);
    let heads = heads.tables().flat_map(|(_, listener)| LISTENER.proxy_protocol.read(listener));
    for text in SERVER.trusted_proxies.read(&FILE.server.table(root)).into_iter().chain(heads) {
        if syntax::read_network(&text.value).is_some_and(is_everybody) {
            let message = format!("{:?} contains clients, which can then claim any address", text.value);
            context.diagnostics.warning(text.at, message, "name only the networks of your own proxies");
        }
    }
    let table = FILE.listeners.table(root);
    for (name, written) in table.tables() {
        let listener = listeners.iter().find(|listener| listener.name == name.value);
        // A Unix socket has no address, so it isn't checked: the permissions of its file decide who can connect.
        let listener = listener.and_then(|listener| listener.address.ip());
        let alone = listener.filter(|listener| listener.ip().is_loopback());
        if let (Some(listener), Some(address), true) =
            (alone, LISTENER.address.read(written), context.environment.is_container())
        {
            let message = format!("{listener} can't be reached from outside of this container");
            let mut help = format!("address = \"0.0.0.0:{}\"", listener.port());
            // With several listeners the option `--listen` is refused, because it could mean any of them.
            if listeners.len() == 1 {
                let _ = write!(help, ", or --listen 0.0.0.0:{}", listener.port());
            }
            context.diagnostics.warning(address.at, message, help);
        }
        let bare = listener.filter(|_| LISTENER.tls.find(written).is_none());
        let bare = bare.filter(|listener| !is_inside(listener.ip()));
        if let (Some(listener), Some(address)) = (bare, LISTENER.address.read(written))
            // A trusted proxy is assumed to terminate TLS for clients, so a listener with one needs no TLS.
            && server.trusted_proxies.is_empty()
            && LISTENER.proxy_protocol.read(written).is_empty()
        {
            let message = format!("{listener} is reachable from everywhere, without TLS and without a trusted proxy");
            let help = "add `tls`; or name the proxy that ends TLS in server.trusted_proxies";
            context.diagnostics.warning(address.at, message, help);
        }
    }
    if let (Some(admin), Some(address)) = (admin, ADMIN.address.located(&FILE.admin.table(root))) {
        check_admin(admin, address.at, context);
    }
}

/// Warns of an admin listener that everybody can reach. Also warns if other machines can reach it, of reports that are
/// open to them, and of requests that are refused because there is no token.
fn check_admin(admin: &AdminSettings, at: Location, context: &mut Context<'_>) {
    let ip = admin.address.ip();
    if !is_inside(ip) {
        let message = format!("the admin listener at {} is reachable from everywhere", admin.address);
        let help = "use a loopback or a private address, or restrict access by a firewall";
        context.diagnostics.warning(at, message, help);
    }
    if ip.to_canonical().is_loopback() {
        return;
    }
    let is_open = admin.open == Some(OpenReports::All);
    if is_open {
        let message = format!("everybody who can reach the admin listener at {} can read all reports", admin.address);
        context.diagnostics.warning(at, message, "open = \"metrics\", and a token for the other reports");
    }
    if admin.token.is_none() && (is_open || admin.read_token.is_some()) {
        let message = format!("the admin listener at {} refuses all changes: it has no token", admin.address);
        let help = "token = \"file:/etc/cursorgate/admin.token\"; or use a loopback address";
        context.diagnostics.warning(at, message, help);
    } else if admin.token.is_none() {
        let what =
            if admin.open == Some(OpenReports::Metrics) { "health checks and /metrics" } else { "health checks" };
        let message = format!("the admin listener at {} answers only {what}: it has no token", admin.address);
        let help =
            "token or read_token = \"file:/etc/cursorgate/admin.token\"; open = \"metrics\"; or a loopback address";
        context.diagnostics.warning(at, message, help);
    }
}

/// Reports peers that are listeners of this gateway, because each request would come back to it.
pub(super) fn check_peers(
    peers: &[Located<String>],
    listeners: &[ListenerSettings],
    admin: Option<&AdminSettings>,
    context: &mut Context<'_>,
) {
    for peer in peers {
        let known =
            |listener: &&ListenerSettings| listener.address.ip().is_some_and(|listener| is_at(&peer.value, listener));
        if let Some(listener) = listeners.iter().find(known) {
            let message =
                format!("this peer is listeners.{}: each request would come back to the gateway", listener.name);
            context.diagnostics.error(peer.at, message, "name the address of the service");
        } else if admin.is_some_and(|admin| is_at(&peer.value, admin.address)) {
            let message = "this peer is the admin listener: clients would read data for operators";
            context.diagnostics.error(peer.at, message, "name the address of the service");
        }
    }
}

/// Returns whether a `host:port` is this listener, as far as that can be determined without resolving names.
fn is_at(peer: &str, listener: SocketAddr) -> bool {
    let Some((host, port)) = peer.rsplit_once(':') else { return false };
    // A listener at port 0 gets a free port, which no peer can name in advance, so it equals no peer.
    if port.parse() != Ok(listener.port()) || listener.port() == 0 {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = listener.ip();
    match host.parse::<IpAddr>() {
        Ok(host) => {
            let host = host.to_canonical();
            // A connection to 0.0.0.0 reaches this machine. Test:
            // `a_peer_that_is_a_listener_of_this_machine_is_recognised`.
            host == ip.to_canonical() || host.is_unspecified() || (ip.is_unspecified() && host.is_loopback())
        }
        // This name always means the loopback address (RFC 6761, section 6.3), and needs no resolving.
        Err(_) => host.eq_ignore_ascii_case("localhost") && (ip.is_loopback() || ip.is_unspecified()),
    }
}

/// Returns whether a network is larger than any operator's own network. Private networks aren't.
fn is_everybody(network: Network) -> bool {
    match network.address {
        // The largest private network is 10.0.0.0/8 (RFC 1918), so a shorter prefix includes public addresses.
        IpAddr::V4(_) => network.prefix < 8,
        IpAddr::V6(address) => {
            // Unique local addresses are fc00::/7 (RFC 4193) and link-local ones fe80::/10 (RFC 4291), so networks
            // within these contain no public address.
            network.prefix < 16
                && !(network.prefix >= 7 && address.is_unique_local())
                && !(network.prefix >= 10 && address.is_unicast_link_local())
        }
    }
}

/// Returns whether an address is a loopback, link-local or private address (RFC 1918, RFC 4193, RFC 6598), which can't
/// be reached from everywhere.
fn is_inside(address: IpAddr) -> bool {
    // An IPv4 address may be written as an IPv4-mapped IPv6 address (`::ffff:10.0.0.1`), so it is converted first.
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            address.is_loopback() || address.is_private() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_a_listener_of_this_machine_is_recognised() {
        for (peer, listener, is_own) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8081", "127.0.0.1:8080", false),
            ("localhost:8080", "127.0.0.1:8080", true),
            ("LocalHost:8080", "[::]:8080", true),
            ("127.0.0.9:8080", "0.0.0.0:8080", true),
            ("[::1]:8080", "[::]:8080", true),
            ("[::ffff:127.0.0.1]:8080", "0.0.0.0:8080", true),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("127.0.0.2:8080", "127.0.0.1:8080", false),
            ("10.0.0.1:8080", "0.0.0.0:8080", false),
            ("people.internal:8080", "0.0.0.0:8080", false),
            ("localhost:8080", "10.0.0.1:8080", false),
        ] {
            assert_eq!(is_at(peer, listener.parse().unwrap()), is_own, "{peer} {listener}");
        }
    }

    #[test]
    fn networks_larger_than_any_operators_are_recognised() {
        for (network, everybody) in [
            ("0.0.0.0/0", true),
            ("128.0.0.0/1", true),
            ("10.0.0.0/8", false),
            ("::/0", true),
            ("2000::/3", true),
            ("fc00::/7", false),
            ("fe80::/10", false),
            ("2001:db8::/32", false),
        ] {
            assert_eq!(is_everybody(syntax::read_network(network).unwrap()), everybody, "{network}");
        }
    }

    /// Loopback and private addresses count as inside, and all others don't.
    ///
    /// Row: A38
    #[test]
    fn loopback_and_private_addresses_count_as_internal() {
        for (address, inside) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("192.168.0.1", true),
            ("100.64.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("100.128.0.1", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_inside(address.parse().unwrap()), inside, "{address}");
        }
    }
}
