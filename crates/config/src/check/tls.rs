//! `tls` of listeners, of upstreams and of stores: reads the paths of the files, and checks their permissions.
//! `cursorgate_gateway::tls` reads the files later.

use std::path::Path;

use super::Context;
use crate::{
    diagnostic::Located,
    key::{Key, TableSettings as _},
    keys::{FILE, LISTENER, LISTENER_CERTIFICATE, LISTENER_CLIENTS, LISTENER_TLS, SERVER, UPSTREAM_TLS},
    settings::{ClientAuthorities, KeyPairSettings, ListenerTls, ServerSettings, UpstreamTls},
    spanned::Spanned,
    variables::{self, Piece},
};

/// The keys for a certificate and for its private key.
type PairKeys = [&'static Key<String>; 2];

/// Reads the `tls` of a listener. `owner` is the table of the listener.
pub(super) fn listener(owner: &str, tls: &Spanned, context: &mut Context<'_>) -> Option<ListenerTls> {
    let name = format!("{owner}.tls");
    let keys = [&LISTENER_TLS.certificate, &LISTENER_TLS.key];
    let first = pair(&name, tls, keys, "TLS", context);
    let mut pairs = Vec::new();
    for (of, written) in LISTENER_TLS.certificates.table(tls).tables() {
        let keys = [&LISTENER_CERTIFICATE.certificate, &LISTENER_CERTIFICATE.key];
        let what = format!("certificates.{}", of.value);
        pairs.extend(pair(&format!("{name}.{what}"), written, keys, &what, context));
    }
    let clients = LISTENER_TLS.clients.read(tls).and_then(|written| {
        let message = "certificates of clients need the authorities that they come from";
        let ca = context.required(&LISTENER_CLIENTS.ca, &written, message, "clients = { ca = \"PATH\" }")?;
        let settings = ClientAuthorities::read(&written);
        Some(ClientAuthorities { name: format!("{name}.clients"), ca: opened(&ca, context), ..settings })
    });
    // A missing first pair ends the function only here, after the faults of the other pairs are reported.
    pairs.insert(0, first?);
    Some(ListenerTls { pairs, clients, ..ListenerTls::read(tls) })
}

/// Reads the `tls` of an upstream or of a store. `owner` is the table of the upstream or the store.
pub(super) fn upstream(owner: &str, tls: &Spanned, context: &mut Context<'_>) -> UpstreamTls {
    let name = format!("{owner}.tls");
    let keys = [&UPSTREAM_TLS.certificate, &UPSTREAM_TLS.key];
    let has_pair = keys.iter().any(|key| key.find(tls).is_some());
    UpstreamTls {
        ca: UPSTREAM_TLS.ca.read(tls).map(|ca| opened(&ca, context)),
        pair: has_pair.then(|| pair(&name, tls, keys, "a certificate of the gateway", context)).flatten(),
        name,
        ..UpstreamTls::read(tls)
    }
}

/// Warns if `server.client_subject` is set, but no listener requests certificates and no proxy may send the header.
pub(super) fn check_subject(root: &Spanned, server: &ServerSettings, context: &mut Context<'_>) {
    let Some(subject) = SERVER.client_subject.located(&FILE.server.table(root)) else { return };
    // A faulty table also counts: it has been reported, and shows that certificates are meant to be requested.
    let asks =
        |listener: &Spanned| LISTENER.tls.find(listener).is_some_and(|tls| LISTENER_TLS.clients.find(tls).is_some());
    if !FILE.listeners.table(root).tables().any(|(_, listener)| asks(listener))
        && !server.forwarded_headers.contains(&subject.value)
    {
        let help = "add tls.clients to a listener, or the header to forwarded_headers if a proxy writes it";
        context.diagnostics.warning(subject.at, "no listener asks clients for certificates", help);
    }
}

/// Reads the paths of a certificate and of its key. Returns `None` if one of the two is missing or can't be used, and
/// reports it; `what` is the subject of the message.
fn pair(name: &str, table: &Spanned, keys: PairKeys, what: &str, context: &mut Context<'_>) -> Option<KeyPairSettings> {
    for key in keys {
        if key.find(table).is_none() {
            let help = "tls = { certificate = \"PATH\", key = \"file:PATH\" }";
            context.missing(table.at, format!("{what} needs a {}", key.definition.name), help);
        }
    }
    let (certificate, key) = (keys[0].located(table)?, keys[1].located(table)?);
    let path = match variables::pieces(&key.value).as_deref() {
        Ok(&[Piece::File(path)]) => path,
        // A key in a variable is refused: a reload reads a renewed certificate together with its key, and a variable
        // can't change.
        Ok([Piece::Variable(..)]) => {
            context.diagnostics.error(key.at, "a private key is read from a file", "write \"file:PATH\"");
            return None;
        }
        _ => return None,
    };
    let path = context.path(path, key.at);
    context.check_readers(&path, key.at);
    let key = Located { value: path, at: key.at };
    Some(KeyPairSettings { name: name.to_owned(), certificate: opened(&certificate, context), key })
}

/// Returns the path that is opened, and warns if any account may write the file.
pub(super) fn opened(path: &Located<String>, context: &mut Context<'_>) -> Located<String> {
    let value = context.path(&path.value, path.at);
    context.check_writers(Path::new(&value), path.at);
    Located { value, at: path.at }
}
