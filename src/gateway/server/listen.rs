//! Pingora's server, configured in code, without files of its own. The listeners are the gateway's own, because Pingora
//! limits neither the number of connections nor the time of TLS handshakes and heads.

use std::{net::SocketAddr, os::fd::AsRawFd as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora::{
    apps::HttpServerApp,
    protocols::{GetSocketDigest as _, SocketDigest, Stream, TcpKeepalive, l4},
    proxy::http_proxy,
    server::{ListenFds, Server, ShutdownWatch, configuration::ServerConf},
    services::Service,
};
use tokio::net::{TcpListener, TcpStream};

use super::{
    admission::{AdmittedConnection, Dropped},
    connection::Front,
};
use crate::{
    config::settings::Settings,
    gateway::{lifecycle::snapshot::ListenerProtocols, session::context::Gateway},
};

/// The length of the queue of connections that are not accepted yet.
const BACKLOG: i32 = 4_096;

/// The pause after the system refused a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Time after which the system closes a connection whose client acknowledges no data.
const LOST: Duration = Duration::from_secs(300);

/// The reasons that the server can't listen. Each names the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// The address is in use, or is not an address of this machine.
    #[error("{key}: can't listen on {address}: {error}")]
    Address {
        /// The key of the listener.
        key: String,
        /// The address of the listener.
        address: SocketAddr,
        /// The error of the system.
        error: std::io::Error,
    },
}

/// Creates a server with all listeners of a configuration.
///
/// # Errors
///
/// Returns an error if a listener can't listen.
pub fn server(settings: &Settings, gateway: Gateway, front: &Arc<Front>) -> Result<Server, Unready> {
    let mut server = Server::new_with_opt_and_conf(None, configuration(settings));
    let mut service = Listening::new("gateway", http_proxy(&server.configuration, gateway), Arc::clone(front));
    for listener in &settings.listeners {
        service.add(Some(&listener.name), listener.address)?;
    }
    server.add_service(service);
    Ok(server)
}

/// A service that accepts clients on its listeners.
pub struct Listening<A> {
    name: &'static str,
    app: Arc<A>,
    front: Arc<Front>,
    /// The sockets with the names of their listeners; those without a name speak HTTP/1.1 alone.
    sockets: Vec<(std::net::TcpListener, Option<String>)>,
    /// The number of threads; the server's if none is set.
    pub threads: Option<usize>,
}

impl<A> Listening<A> {
    /// Creates a service without listeners.
    #[must_use]
    pub fn new(name: &'static str, app: A, front: Arc<Front>) -> Self {
        Self { name, app: Arc::new(app), front, sockets: Vec::new(), threads: None }
    }

    /// Binds an address. Clients are accepted once the service starts.
    ///
    /// # Errors
    ///
    /// Returns [`Unready::Address`] if the address can't be bound.
    pub fn add(&mut self, listener: Option<&str>, address: SocketAddr) -> Result<(), Unready> {
        let bound = std::net::TcpListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            rustix::net::listen(&socket, BACKLOG)?;
            Ok(socket)
        });
        let key = || listener.map_or_else(|| "admin".to_owned(), |name| format!("listeners.{name}"));
        let socket = bound.map_err(|error| Unready::Address { key: key(), address, error })?;
        self.sockets.push((socket, listener.map(str::to_owned)));
        Ok(())
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> Service for Listening<A> {
    async fn start_service(&mut self, _fds: Option<ListenFds>, shutdown: ShutdownWatch, _listeners_per_fd: usize) {
        let mut loops = tokio::task::JoinSet::new();
        for (socket, listener) in self.sockets.drain(..) {
            let (app, front, shutdown) = (Arc::clone(&self.app), Arc::clone(&self.front), shutdown.clone());
            loops.spawn(async move {
                match TcpListener::from_std(socket) {
                    Ok(socket) => accept(&socket, listener.as_deref(), &app, &front, shutdown).await,
                    Err(error) => tracing::error!(%error, "a listener failed"),
                }
            });
        }
        loops.join_all().await;
        self.app.http_cleanup().await;
    }

    fn name(&self) -> &str {
        self.name
    }

    fn threads(&self) -> Option<usize> {
        self.threads
    }
}

/// Accepts clients until the server stops.
async fn accept<A: HttpServerApp + Send + Sync + 'static>(
    socket: &TcpListener,
    listener: Option<&str>,
    app: &Arc<A>,
    front: &Arc<Front>,
    mut shutdown: ShutdownWatch,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = shutdown.wait_for(|stops| *stops) => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            // The client left before it was accepted.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Descriptors and memory become available again when connections end.
                tracing::error!(%error, "a connection can't be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Every configuration has the listeners of those before it.
        let Some(protocols) = front.protocols(listener) else { continue };
        match front.enter(address.ip()).await {
            Ok(place) => {
                let (app, front, shutdown) = (Arc::clone(app), Arc::clone(front), shutdown.clone());
                tokio::spawn(async move { converse(stream, protocols, &app, &front, &place, shutdown).await });
            }
            Err(refusal) if protocols.tls.is_none() => turn_away(&stream, &refusal),
            Err(_) => {}
        }
    }
}

/// Sends the refusal to a client without a place, as far as the system accepts it at once.
fn turn_away(stream: &TcpStream, refusal: &[u8]) {
    // A socket that is closed with unread bytes discards the refusal.
    let mut unread = [0; 4_096];
    let _ = stream.try_read(&mut unread);
    let _ = stream.try_write(refusal);
}

async fn converse<A: HttpServerApp + Send + Sync + 'static>(
    stream: TcpStream,
    ListenerProtocols { tls, http2 }: ListenerProtocols,
    app: &Arc<A>,
    front: &Front,
    place: &AdmittedConnection,
    mut shutdown: ShutdownWatch,
) {
    let mut stream = l4::stream::Stream::from(stream);
    stream.set_socket_digest(SocketDigest::from_raw_fd(stream.as_raw_fd()));
    // A client that has left is noticed at the next read.
    let _ = stream.set_nodelay();
    let _ = stream.set_keepalive(&watched());
    let stream: Stream = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let tls = tls.current();
            let agreed = tokio::select! {
                agreed = tokio::time::timeout(front.handshake_timeout(), tls.handshake(stream)) => agreed,
                () = place.displaced() => return,
            };
            match agreed {
                Ok(Ok(stream)) => Box::new(stream),
                Ok(Err(error)) => {
                    place.admission().count(Dropped::HandshakeFailed);
                    return place.admission().handshakes().failed(&error.to_string());
                }
                Err(_) => {
                    place.admission().count(Dropped::HandshakeTimeout);
                    return place.admission().handshakes().failed("timeout");
                }
            }
        }
    };
    front.serve(app, (stream, http2), place, &mut shutdown).await;
}

/// Lets the system end connections whose other end is gone or acknowledges nothing: Pingora writes the last buffer of
/// an answer without a timeout.
fn watched() -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: LOST,
    }
}

/// Creates a server without listeners, for work that goes on until the process leaves.
#[must_use]
pub fn companion(settings: &Settings) -> Server {
    Server::new_with_opt_and_conf(None, configuration(settings))
}

fn configuration(settings: &Settings) -> ServerConf {
    let grace = settings.server.shutdown_timeout;
    ServerConf {
        // Pingora would put both files into a world-writable directory, where others could place theirs first. Neither
        // is used.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        threads: settings.server.threads,
        grace_period_seconds: Some(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    }
}
