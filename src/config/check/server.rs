//! `[server]`, `[listeners]`, `[admin]`, `[log]`, `[caches]`.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::Context;
use crate::config::{
    diagnostic::Location,
    settings::{
        AdminSettings, CacheSettings, ListenerSettings, ListenerTls, LogFormat, LogLevel, LogSettings,
        PivotCacheSettings, ServerSettings,
    },
    syntax,
    written::Written,
};

pub(super) fn server(server: &Written) -> ServerSettings {
    ServerSettings {
        public_url: server.string("public_url").map(|url| url.trim_end_matches('/').to_owned()),
        problem_types: server.string("problem_types"),
        trusted_proxies: server
            .strings("trusted_proxies")
            .iter()
            .filter_map(|text| syntax::read_network(text))
            .collect(),
        forwarded_headers: match server.find("forwarded_headers") {
            Some(_) => server.header_names("forwarded_headers"),
            // What balancers and ingresses write by themselves. The rest of the family they pass on as a client wrote it.
            None => ["x-forwarded-for", "x-forwarded-proto"].map(http::HeaderName::from_static).to_vec(),
        },
        threads: server
            .count("threads")
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
        head_size: server.size("head_size").unwrap_or(16 << 10),
        memory: server.size("memory"),
        head_timeout: server.duration("head_timeout").unwrap_or(Duration::from_secs(10)),
        connections: server.count("connections"),
        connections_per_address: server.count("connections_per_address"),
        idle_timeout: server.duration("idle_timeout").unwrap_or(Duration::from_secs(75)),
        drain_delay: server.duration("drain_delay").unwrap_or(Duration::ZERO),
        shutdown_timeout: server.duration("shutdown_timeout").unwrap_or(Duration::from_secs(25)),
    }
}

pub(super) fn listeners(root: &Written, context: &mut Context<'_>) -> Vec<ListenerSettings> {
    let mut listeners: Vec<ListenerSettings> = Vec::new();
    let table = root.table("listeners");
    for (name, listener) in table.tables() {
        let Some(written) = listener.text("address") else {
            if listener.find("address").is_none() {
                let message = format!("listeners.{} has no address", name.value);
                context.missing(listener.at, message, "address = \"127.0.0.1:8080\"");
            }
            continue;
        };
        let tls = listener.find("tls").and_then(|tls| listener_tls(tls, context));
        let Ok(address) = written.value.parse::<SocketAddr>() else {
            continue;
        };
        check_free(address, written.at, &listeners, "a listener needs an address of its own", context);
        listeners.push(ListenerSettings { name: name.value.clone(), address, tls });
    }
    if table.members().is_empty() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        listeners.push(ListenerSettings { name: "public".into(), address, tls: None });
    }
    listeners
}

fn listener_tls(tls: &Written, context: &mut Context<'_>) -> Option<ListenerTls> {
    for key in ["certificate", "key"] {
        if tls.find(key).is_none() {
            let help = "tls = { certificate = \"PATH\", key = \"file:PATH\" }";
            context.missing(tls.at, format!("TLS needs a {key}"), help);
        }
    }
    let (certificate, key) = (tls.string("certificate")?, tls.text("key")?);
    let Some(path) = key.value.strip_prefix("file:") else {
        if key.value.starts_with("env:") {
            context.diagnostics.error(key.at, "a private key is read from a file", "write \"file:PATH\"");
        }
        return None;
    };
    let (certificate, path) = (context.path(&certificate), context.path(path));
    context.check_readers(&path, key.at);
    context.check_writers(Path::new(&certificate), tls.at);
    Some(ListenerTls { certificate, key: path })
}

pub(super) fn admin(
    root: &Written,
    listeners: &[ListenerSettings],
    context: &mut Context<'_>,
) -> Option<AdminSettings> {
    let (_, admin) = root.tables().find(|(name, _)| name.value == "admin")?;
    let Some(written) = admin.text("address") else {
        if admin.find("address").is_none() {
            context.missing(admin.at, "[admin] has no address", "address = \"127.0.0.1:9180\"");
        }
        return None;
    };
    let address = written.value.parse::<SocketAddr>().ok()?;
    check_free(address, written.at, listeners, "what operators ask needs an address of its own", context);
    let hosts = admin.strings("hosts").iter().map(|host| host.to_lowercase()).collect();
    Some(AdminSettings { address, hosts })
}

/// Reports an address that a listener has already: its own, or one among all that it listens on.
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
        format!("listeners.{} is at {}, and one of both is at all addresses", other.name, other.address)
    };
    context.diagnostics.error(at, message, help);
}

/// Whether two listeners can't both be had. `[::]` takes the addresses of IPv4 too, as Linux has it unless told otherwise.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: SocketAddr, one: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.port() != 0 && one.port() == other.port() && (one == other || covers(one, other) || covers(other, one))
}

pub(super) fn log(log: &Written) -> LogSettings {
    LogSettings {
        format: match log.string("format").as_deref() {
            Some("text") => LogFormat::Text,
            _ => LogFormat::Json,
        },
        level: match log.string("level").as_deref() {
            Some("error") => LogLevel::Error,
            Some("warn") => LogLevel::Warn,
            Some("debug") => LogLevel::Debug,
            _ => LogLevel::Info,
        },
    }
}

pub(super) fn caches(caches: &Written) -> CacheSettings {
    let pivots = caches.table("pivots");
    CacheSettings {
        pivots: PivotCacheSettings {
            size: pivots.size("size").unwrap_or(64 << 20),
            ttl: pivots.duration("ttl").unwrap_or(Duration::from_secs(600)),
        },
    }
}
