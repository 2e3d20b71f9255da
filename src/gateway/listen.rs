//! Pingora's server, set up in code: no file of its own, nothing in world-writable places.

use std::{net::SocketAddr, time::Duration};

use pingora::{
    apps::HttpServerOptions,
    listeners::{L4BufferSettings, ListenerConfig, TcpSocketOptions, tls::TlsSettings},
    protocols::TcpKeepalive,
    proxy::http_proxy_service_with_name,
    server::{Server, configuration::ServerConf},
};

use super::Gateway;
use crate::config::settings::{ListenerSettings, ListenerTls, Settings};

/// What is kept to read ahead from a client by TLS, whose records are read in two pieces each. Without TLS nothing is:
/// heads and bodies are read into larger buffers than this anyway, past it. The default of 64 KiB is what a process with
/// many idle connections is made of.
const READ_AHEAD: usize = 4 * 1024;

/// What is collected before it is written to a client, so that the head of a response and a small page leave in one write.
/// Chunks of what is streamed are written at once all the same. Every connection that was ever used keeps so much.
const WRITE_BUFFER: usize = 8 * 1024;

/// How many requests one connection may bring, so that its memory is given back now and then.
const REQUESTS_PER_CONNECTION: u32 = 10_000;

/// How long a client may take none of what was written to it already, before the system gives it up.
const LOST: Duration = Duration::from_secs(300);

/// Why the server can't listen. Names the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// The address is taken, or is not one of this machine.
    #[error("listeners.{listener}: can't listen on {address}: {error}")]
    Address {
        /// The listener's name.
        listener: String,
        /// Its address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Certificate and key can't be used.
    #[error("listeners.{listener}: {certificate} and {key} can't be used: {error}")]
    Certificate {
        /// The listener's name.
        listener: String,
        /// The certificate's path.
        certificate: String,
        /// The key's path.
        key: String,
        /// What OpenSSL says.
        error: String,
    },
}

/// A server with all listeners of a configuration, which answers by this gateway.
///
/// # Errors
///
/// Where one of them could not listen: Pingora itself would only notice on a thread of its own, and go on without.
pub fn server(settings: &Settings, gateway: Gateway) -> Result<Server, Unready> {
    let mut server = Server::new_with_opt_and_conf(None, configuration(settings));
    let mut service = http_proxy_service_with_name(&server.configuration, gateway, "gateway");
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        // Refused all the same, but by a problem document.
        options.allow_connect_method_proxying = true;
        options.keepalive_request_limit = Some(REQUESTS_PER_CONNECTION);
        proxy.server_options = Some(options);
    }
    for listener in &settings.listeners {
        probe(&listener.name, listener.address)?;
        let read_ahead = if listener.tls.is_some() { READ_AHEAD } else { 0 };
        let buffer = L4BufferSettings::new(read_ahead, WRITE_BUFFER);
        let mut endpoint =
            ListenerConfig::tcp(listener.address.to_string()).l4_buffer(buffer).tcp_socket_options(watched());
        if let Some(tls) = certificate(listener)? {
            endpoint = endpoint.tls(tls);
        }
        service.add_listener(endpoint);
    }
    server.add_service(service);
    Ok(server)
}

/// Lets the system end connections whose other end is gone without a word, or takes nothing any more: what is left in a
/// buffer at the end of an answer is written without a timeout of Pingora's.
fn watched() -> TcpSocketOptions {
    let mut options = TcpSocketOptions::default();
    options.tcp_keepalive = Some(TcpKeepalive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: LOST,
    });
    options
}

/// A server without listeners, for what goes on until the process leaves.
#[must_use]
pub fn companion(settings: &Settings) -> Server {
    Server::new_with_opt_and_conf(None, configuration(settings))
}

/// Whether an address can be listened on.
///
/// # Errors
///
/// [`Unready::Address`].
pub fn probe(listener: &str, address: SocketAddr) -> Result<(), Unready> {
    let bound = std::net::TcpListener::bind(address);
    bound.map(drop).map_err(|error| Unready::Address { listener: listener.to_owned(), address, error })
}

/// What a listener's TLS needs; nothing where it speaks none.
///
/// # Errors
///
/// [`Unready::Certificate`].
pub fn certificate(listener: &ListenerSettings) -> Result<Option<TlsSettings>, Unready> {
    let Some(ListenerTls { certificate, key }) = &listener.tls else { return Ok(None) };
    let unready = |error: String| Unready::Certificate {
        listener: listener.name.clone(),
        certificate: certificate.clone(),
        key: key.clone(),
        error,
    };
    let settings = TlsSettings::intermediate(certificate, key).map_err(|error| unready(error.to_string()))?;
    // OpenSSL drops a key that is not the certificate's without a word, and then fails each handshake.
    settings.check_private_key().map_err(|error| unready(error.to_string()))?;
    Ok(Some(settings))
}

fn configuration(settings: &Settings) -> ServerConf {
    let grace = settings.server.shutdown_timeout;
    ServerConf {
        // Pingora would put both into a world-writable folder, where others can put theirs first; neither is used.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        threads: settings.server.threads,
        grace_period_seconds: Some(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    }
}
