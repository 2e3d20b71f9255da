//! The check of `[server]`, `[listeners]`, `[admin]`, `[log]` and `[caches]`.

use std::net::SocketAddr;

use super::{Context, keyring, store, tls};
use crate::{
    diagnostic::Location,
    key::{Key, TableSettings as _},
    keys::{ADMIN, CACHES, FILE, LISTENER, SERVER},
    secret::Secret,
    settings::{AdminSettings, CacheSettings, ListenAddress, ListenerSettings},
    spanned::Spanned,
    syntax,
};

/// The permissions of a Unix socket whose listener has no `mode`.
const SOCKET_MODE: u32 = 0o660;

/// The smallest number of bytes in the token of the admin listener. A shorter token is refused.
const TOKEN_MIN: usize = 16;

pub(super) fn listeners(root: &Spanned, context: &mut Context<'_>) -> Vec<ListenerSettings> {
    let mut listeners: Vec<ListenerSettings> = Vec::new();
    let table = FILE.listeners.table(root);
    let replaced = context.environment.addresses().listen;
    if let (Some(_), Some((second, _))) = (replaced, table.tables().nth(1)) {
        let help = "leave --listen and CURSORGATE_LISTEN out, or have one listener";
        context.diagnostics.error(second.at, "--listen is the address of one listener, and there are several", help);
    }
    for (name, written) in table.tables() {
        let Some((address, at)) = replaced.map(|ip| (ListenAddress::Ip(ip), None)).or_else(|| {
            let (address, at) = listen_address(&name.value, written, context)?;
            Some((address, Some(at)))
        }) else {
            continue;
        };
        // An address of the command line isn't checked against other listeners: it is allowed only if there is a single
        // listener, and has no location in the file.
        if let (ListenAddress::Ip(ip), Some(at)) = (&address, at) {
            check_free(*ip, at, &listeners, None, context);
        } else if let (Some(other), Some(at)) =
            (listeners.iter().find(|other| other.address.is_same_place(&address)), at)
        {
            let message = format!("listeners.{} has this address already", other.name);
            context.diagnostics.error(at, message, "a listener needs an address of its own");
        }
        let tls = LISTENER.tls.find(written);
        let tls = tls.and_then(|tls| tls::listener(&format!("listeners.{}", name.value), tls, context));
        listeners.push(ListenerSettings { name: name.value.clone(), address, tls, ..ListenerSettings::read(written) });
    }
    if let Some(ip) = replaced {
        check_links(&FILE.server.table(root), ip, context);
    }
    // Faulty listeners have been reported, and the default listener doesn't replace them, so the table is examined and
    // not the list of listeners.
    if table.members().is_empty() {
        // The loopback address of a container can't be reached from outside of it, so all addresses are used there.
        // Test: `listeners_of_a_container_can_be_reached`.
        let ip = if context.environment.is_container() { [0, 0, 0, 0] } else { [127, 0, 0, 1] };
        let address = ListenAddress::Ip(replaced.unwrap_or_else(|| SocketAddr::from((ip, 8080))));
        listeners.push(ListenerSettings { name: "public".into(), address, ..ListenerSettings::default() });
    }
    listeners
}

/// Warns if `public_url` is an address of this machine with another port than `--listen`. The links of a gateway that
/// is tried next to another one would then lead to the other one. A container isn't checked, because its published port
/// may differ from its own.
fn check_links(server: &Spanned, replaced: SocketAddr, context: &mut Context<'_>) {
    let Some(url) = SERVER.public_url.located(server).filter(|_| !context.environment.is_container()) else { return };
    let authority = url.value.split('/').nth(2).unwrap_or_default();
    let is_here = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    // A URL without a port isn't reported, because it may be the address of a proxy. Test:
    // `links_to_another_port_of_this_machine_are_warned_of`.
    let port = authority.rsplit_once(':').filter(|(host, _)| is_here(host)).map(|(_, port)| port);
    if port.is_some_and(|port| port != replaced.port().to_string()) {
        let message = format!("links begin with {}, and --listen has port {}", url.value, replaced.port());
        let help = "set server.public_url, or the variable that it reads, to the address that clients use";
        context.diagnostics.warning(url.at, message, help);
    }
}

/// Returns the address of a listener, and the location of its key. Returns `None` without a valid address, which is
/// reported.
fn listen_address(name: &str, listener: &Spanned, context: &mut Context<'_>) -> Option<(ListenAddress, Location)> {
    let (message, help) = (format!("listeners.{name} has no address"), "address = \"127.0.0.1:8080\"");
    let written = context.required(&LISTENER.address, listener, message, help)?;
    let mode = LISTENER.mode.located(listener);
    if let Some(path) = written.value.strip_prefix("unix:") {
        let mode = mode.and_then(|mode| syntax::read_mode(&mode.value)).unwrap_or(SOCKET_MODE);
        return Some((ListenAddress::Unix { path: path.into(), mode }, written.at));
    }
    if let Some(mode) = mode {
        context.diagnostics.error(mode.at, "an IP address has no permissions", "leave `mode` out");
    }
    Some((ListenAddress::Ip(written.value.parse().ok()?), written.at))
}

pub(super) fn admin(
    root: &Spanned,
    listeners: &[ListenerSettings],
    context: &mut Context<'_>,
) -> Option<AdminSettings> {
    let replaced = context.environment.addresses().admin;
    let Some(admin) = FILE.admin.read(root) else {
        // `--admin` starts the admin listener even if the file has no `[admin]`. Test:
        // `listeners_of_a_container_can_be_reached`.
        return replaced.map(|address| AdminSettings { address, ..AdminSettings::default() });
    };
    let tls = ADMIN.tls.read(&admin).and_then(|written| tls::listener("admin", &written, context));
    let [token, read_token] = [&ADMIN.token, &ADMIN.read_token].map(|key| token(key, &admin, context));
    let explain_key = explain_key(&admin, context);
    let written = ADMIN.address.located(&admin);
    if replaced.is_none() && ADMIN.address.find(&admin).is_none() {
        context.missing(admin.at, "[admin] has no address", "address = \"127.0.0.1:9180\"");
    }
    let (address, at) = match (replaced, written) {
        (Some(address), _) => (address, admin.at),
        (None, Some(written)) => (written.value.parse::<SocketAddr>().ok()?, written.at),
        (None, None) => return None,
    };
    check_free(address, at, listeners, Some("the admin listener"), context);
    Some(AdminSettings { address, tls, token, read_token, explain_key, ..AdminSettings::read(&admin) })
}

fn token(key: &Key<String>, admin: &Spanned, context: &mut Context<'_>) -> Option<Secret> {
    let written = key.located(admin)?;
    let token = context.secret(&written, " to 16 or more random characters")?;
    if token.reveal().len() < TOKEN_MIN || !token.reveal().iter().all(u8::is_ascii_graphic) {
        let message = format!("a token has at least {TOKEN_MIN} visible characters of ASCII");
        context.diagnostics.error(written.at, message, "`cursorgate keygen` makes one");
    }
    Some(token)
}

/// Reads the key that signs permits for explanations. It requires `admin.token`, because explanations contain values of
/// queries and of items.
fn explain_key(admin: &Spanned, context: &mut Context<'_>) -> Option<Secret> {
    let written = ADMIN.explain_key.located(admin)?;
    if ADMIN.token.find(admin).is_none() {
        let message = "admin.explain_key needs admin.token: explanations are shown to those with the token";
        context.diagnostics.error(written.at, message, "token = \"file:/etc/cursorgate/admin.token\"");
    }
    let key = context.secret(&written, "; `cursorgate keygen` makes a key")?;
    if let Some(fault) = keyring::weakness(key.reveal()) {
        context.diagnostics.error(written.at, format!("admin.explain_key {fault}"), "`cursorgate keygen` makes one");
    }
    Some(key)
}

/// Reports an address that an earlier listener has, or that overlaps with the address of an earlier listener. `admin`
/// is the name of the admin listener for messages; `None` if the address is for a listener of clients.
fn check_free(
    address: SocketAddr,
    at: Location,
    listeners: &[ListenerSettings],
    admin: Option<&str>,
    context: &mut Context<'_>,
) {
    let is_there = |other: &&ListenerSettings| other.address.ip().is_some_and(|other| overlap(other, address));
    let Some(other) = listeners.iter().find(is_there) else { return };
    let (message, help) = if other.address.ip() != Some(address) {
        let message =
            format!("listeners.{} is at {}, and one of the two is at all addresses", other.name, other.address);
        (message, "choose another port, or two addresses")
    } else if let Some(admin) = admin {
        (format!("{admin} can't share an address with listeners.{}", other.name), "choose another port")
    } else {
        (format!("listeners.{} has this address already", other.name), "choose another port, or remove one of the two")
    };
    context.diagnostics.error(at, message, help);
}

/// Returns whether the process can't listen at both addresses: they are equal, or one of them is all addresses at the
/// same port. `[::]` includes the IPv4 addresses, as is the default of Linux.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: SocketAddr, one: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    // Each listener at port 0 gets a free port of its own, so such addresses don't overlap.
    one.port() != 0 && one.port() == other.port() && (one == other || covers(one, other) || covers(other, one))
}

pub(super) fn caches(root: &Spanned, context: &mut Context<'_>) -> CacheSettings {
    let caches = FILE.caches.table(root);
    let shared = CACHES.shared.find(&caches).and_then(|written| store::store(root, written, context));
    CacheSettings { shared, ..CacheSettings::read(&caches) }
}
