//! `[server]`, `[listeners]`, `[admin]`, `[log]`, `[caches]`.

use std::net::SocketAddr;

use super::{Context, tls};
use crate::config::{
    diagnostic::{Located, Location},
    keys::{ADMIN, CACHES, FILE, LISTENER, LOG, PIVOTS, SERVER},
    settings::{
        AdminSettings, CacheSettings, CompressionSettings, ListenerSettings, ListenerTls, LogSettings,
        PivotCacheSettings, ServerSettings,
    },
    spanned::Spanned,
    syntax,
};

pub(super) fn server(server: &Spanned) -> ServerSettings {
    let networks = SERVER.trusted_proxies.read(server);
    ServerSettings {
        public_url: SERVER.public_url.read(server).map(|url| url.trim_end_matches('/').to_owned()),
        problem_types: SERVER.problem_types.read(server),
        trusted_proxies: networks.iter().filter_map(|text| syntax::read_network(&text.value)).collect(),
        forwarded_headers: SERVER.forwarded_headers.read(server),
        client_subject: SERVER.client_subject.read(server),
        threads: SERVER
            .threads
            .read(server)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
        head_size: SERVER.head_size.read(server),
        memory: SERVER.memory.read(server),
        head_timeout: SERVER.head_timeout.read(server),
        connections: SERVER.connections.read(server),
        connections_per_address: SERVER.connections_per_address.read(server),
        streams_per_connection: SERVER.streams_per_connection.read(server),
        idle_timeout: SERVER.idle_timeout.read(server),
        drain_delay: SERVER.drain_delay.read(server),
        shutdown_timeout: SERVER.shutdown_timeout.read(server),
        compression: CompressionSettings {
            codings: SERVER.compression.read(server),
            least: SERVER.compression_size.read(server),
        },
    }
}

pub(super) fn listeners(root: &Spanned, context: &mut Context<'_>) -> Vec<ListenerSettings> {
    let mut listeners: Vec<ListenerSettings> = Vec::new();
    let table = FILE.listeners.table(root);
    let replaced = context.environment.addresses().listen;
    if let (Some(_), Some((second, _))) = (replaced, table.tables().nth(1)) {
        let help = "leave --listen and CURSORGATE_LISTEN out, or have one listener";
        context.diagnostics.error(second.at, "--listen is the address of one listener, and there are several", help);
    }
    for (name, listener) in table.tables() {
        if let Some(address) = replaced {
            let (http2, tls) = protocols(name, listener, context);
            listeners.push(ListenerSettings { name: name.value.clone(), address, http2, tls });
            continue;
        }
        let Some(written) = LISTENER.address.located(listener) else {
            if LISTENER.address.find(listener).is_none() {
                let message = format!("listeners.{} has no address", name.value);
                context.missing(listener.at, message, "address = \"127.0.0.1:8080\"");
            }
            continue;
        };
        let (http2, tls) = protocols(name, listener, context);
        let Ok(address) = written.value.parse::<SocketAddr>() else {
            continue;
        };
        check_free(address, written.at, &listeners, "a listener needs an address of its own", context);
        listeners.push(ListenerSettings { name: name.value.clone(), address, http2, tls });
    }
    if table.members().is_empty() {
        // A container has a network of its own, from which nobody else reaches its loopback.
        let ip = if context.environment.is_container() { [0, 0, 0, 0] } else { [127, 0, 0, 1] };
        let address = replaced.unwrap_or_else(|| SocketAddr::from((ip, 8080)));
        listeners.push(ListenerSettings { name: "public".into(), address, http2: LISTENER.http2.default(), tls: None });
    }
    listeners
}

/// Returns whether a listener speaks HTTP/2, and its TLS.
fn protocols(name: &Located<String>, listener: &Spanned, context: &mut Context<'_>) -> (bool, Option<ListenerTls>) {
    let tls = LISTENER.tls.find(listener).and_then(|tls| tls::listener(&name.value, tls, context));
    (LISTENER.http2.read(listener), tls)
}

pub(super) fn admin(
    root: &Spanned,
    listeners: &[ListenerSettings],
    context: &mut Context<'_>,
) -> Option<AdminSettings> {
    let replaced = context.environment.addresses().admin;
    let Some(admin) = FILE.admin.read(root) else {
        return replaced.map(|address| AdminSettings { address, hosts: Vec::new() });
    };
    let hosts = ADMIN.hosts.read(&admin).iter().map(|host| host.value.to_lowercase()).collect();
    if let Some(address) = replaced {
        check_free(address, admin.at, listeners, "the admin listener needs an address of its own", context);
        return Some(AdminSettings { address, hosts });
    }
    let Some(written) = ADMIN.address.located(&admin) else {
        if ADMIN.address.find(&admin).is_none() {
            context.missing(admin.at, "[admin] has no address", "address = \"127.0.0.1:9180\"");
        }
        return None;
    };
    let address = written.value.parse::<SocketAddr>().ok()?;
    check_free(address, written.at, listeners, "the admin listener needs an address of its own", context);
    Some(AdminSettings { address, hosts })
}

/// Reports an address that a listener has already, or that is among the addresses that it listens on.
fn check_free(
    address: SocketAddr,
    at: Location,
    listeners: &[ListenerSettings],
    help: &str,
    context: &mut Context<'_>,
) {
    let Some(other) = listeners.iter().find(|other| overlap(other.address, address)) else { return };
    let message = if other.address == address {
        format!("listeners.{} has this address already", other.name)
    } else {
        format!("listeners.{} is at {}, and one of the two is at all addresses", other.name, other.address)
    };
    context.diagnostics.error(at, message, help);
}

/// Returns whether two listeners exclude each other. `[::]` includes the addresses of IPv4, as is the default of Linux.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: SocketAddr, one: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.port() != 0 && one.port() == other.port() && (one == other || covers(one, other) || covers(other, one))
}

pub(super) fn log(log: &Spanned) -> LogSettings {
    LogSettings { format: LOG.format.read(log), level: LOG.level.read(log) }
}

pub(super) fn caches(caches: &Spanned) -> CacheSettings {
    let pivots = CACHES.pivots.table(caches);
    CacheSettings { pivots: PivotCacheSettings { size: PIVOTS.size.read(&pivots), ttl: PIVOTS.ttl.read(&pivots) } }
}
