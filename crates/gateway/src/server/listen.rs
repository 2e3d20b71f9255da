//! Pingora's server, configured in code and without files of its own, and the listeners. Pingora's own listeners aren't
//! used, because they limit neither the number of connections nor the time of TLS handshakes and heads.

mod accept;
mod proxy_protocol;

use std::{net::IpAddr, os::fd::AsRawFd as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora::{
    protocols::{GetSocketDigest as _, SocketDigest, Stream, TcpKeepalive, l4},
    server::{ListenFds, Server, ShutdownWatch, configuration::ServerConf},
    services::Service,
};
use tokio::io::AsyncWriteExt as _;

use self::accept::{AcceptedStream, StreamAcceptor};
use super::{
    admission::{AdmittedConnection, Dropped},
    application::Application,
    connection::Front,
};
use crate::{
    lifecycle::{
        process::{InFlight, Stage},
        snapshot::ListenerProtocols,
    },
    runtime::sockets::{BACKLOG, ListeningSocket, Sockets},
    session::context::Gateway,
};
use cursorgate_config::settings::{ListenAddress, Settings};

/// The pause after the system fails to accept a connection, for example because no descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest time for which a client may acknowledge no data (`TCP_USER_TIMEOUT`). The system then closes the
/// connection. No other timeout ends a write of the last buffer of an answer, and none frees what the system keeps for a
/// connection that was closed because its client had stalled.
const LOST: Duration = Duration::from_secs(30);

/// Returns advice to append to the message of an error of the system: the remedy if another process uses the address,
/// and otherwise an empty string.
#[must_use]
pub fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; stop the process that listens there, or choose another address, in the file or by --listen and --admin"
        }
        _ => "",
    }
}

/// The reason that the server can't listen. The message names the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// The system can't listen on the address, for example because another process uses it.
    #[error("{key}: can't listen on {address}: {error}{advice}", advice = advice(error))]
    Address {
        /// The key of the listener, such as `listeners.public`.
        key: String,
        /// The address of the listener.
        address: ListenAddress,
        /// The error of the system.
        error: std::io::Error,
    },
}

/// Creates a server with all listeners of a configuration. The listeners accept clients once the server runs.
///
/// # Errors
///
/// Returns [`Unready`] if the socket of a listener can't be created, for example because its address is in use.
pub fn server(
    settings: &Settings,
    gateway: Gateway,
    front: &Arc<Front>,
    sockets: &mut Sockets,
) -> Result<Server, Unready> {
    let mut server = Server::new_with_opt_and_conf(None, configuration(settings));
    let mut service = Listening::new("gateway", gateway, Arc::clone(front));
    for listener in &settings.listeners {
        let socket = sockets.listen(&listener.address, settings.server.reuse_port);
        let key = format!("listeners.{}", listener.name);
        let socket = socket.map_err(|error| Unready::Address { key, address: listener.address.clone(), error })?;
        service.add(Some(&listener.name), socket);
    }
    server.add_service(service);
    Ok(server)
}

/// A Pingora service that accepts clients, either on the listeners of the gateway or on the admin listener.
pub struct Listening<A> {
    name: &'static str,
    app: Arc<A>,
    front: Arc<Front>,
    /// The sockets with the names of their listeners. The admin listener has no name and speaks only HTTP/1.1.
    sockets: Vec<(ListeningSocket, Option<String>)>,
    /// The stage of the process at which the listeners stop accepting clients.
    pub until: Stage,
    /// The number of threads; `None` for the server's default.
    pub threads: Option<usize>,
}

impl<A> Listening<A> {
    /// Creates a service without listeners.
    #[must_use]
    pub fn new(name: &'static str, app: A, front: Arc<Front>) -> Self {
        Self { name, app: Arc::new(app), front, sockets: Vec::new(), until: Stage::Closing, threads: None }
    }

    /// Adds the socket of a listener. Without a name, the listener speaks only HTTP/1.1. Clients are accepted once the
    /// service starts.
    pub fn add(&mut self, listener: Option<&str>, socket: ListeningSocket) {
        self.sockets.push((socket, listener.map(str::to_owned)));
    }
}

#[async_trait]
impl<A: Application> Service for Listening<A> {
    async fn start_service(&mut self, _fds: Option<ListenFds>, mut shutdown: ShutdownWatch, _listeners_per_fd: usize) {
        let until = self.until;
        // Only the listeners of the gateway have a pulse: the watchdog checks the threads that serve clients, and not
        // those that serve operators.
        if until == Stage::Closing {
            let vitals = self.front.vitals().clone();
            tokio::spawn(async move { vitals.pulse().beat().await });
        }
        let mut loops = tokio::task::JoinSet::new();
        for (socket, listener) in self.sockets.drain(..) {
            let (app, front, shutdown) = (Arc::clone(&self.app), Arc::clone(&self.front), shutdown.clone());
            loops.spawn(async move {
                match StreamAcceptor::new(socket) {
                    Ok(socket) => accept(socket, listener.as_deref(), &app, &front, until, shutdown).await,
                    Err(error) => tracing::error!(%error, "a listener failed"),
                }
            });
        }
        loops.join_all().await;
        // No more clients are accepted. Open connections are still served until the process stops.
        let _ = shutdown.wait_for(|stops| *stops).await;
    }

    fn name(&self) -> &str {
        self.name
    }

    fn threads(&self) -> Option<usize> {
        self.threads
    }
}

/// Accepts clients until the process has reached the stage `until`, and then accepts the clients in the queue of the
/// socket.
async fn accept<A: Application>(
    socket: StreamAcceptor,
    listener: Option<&str>,
    app: &Arc<A>,
    front: &Arc<Front>,
    until: Stage,
    shutdown: ShutdownWatch,
) {
    // The queue counts as an expected client, so the process runs until the queue is empty.
    let is_expected = || (until == Stage::Closing).then(|| front.vitals().expect());
    let _queue = is_expected();
    let mut ended = std::pin::pin!(front.vitals().reached(until));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = &mut ended => break,
        };
        match accepted {
            Ok((stream, address)) => admit(stream, address, is_expected(), listener, app, front, &shutdown).await,
            // The client left before it was accepted, so there is nothing to serve.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Descriptors and memory become available again when connections end, so the loop continues after a
                // pause.
                tracing::error!(%error, "a connection can't be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // The kernel would reset the connections in the queue of a closed socket, so they are accepted first. Test:
    // `successors_lose_no_request`.
    for (stream, address) in socket.close(usize::try_from(BACKLOG).unwrap_or(0)) {
        admit(stream, address, is_expected(), listener, app, front, &shutdown).await;
    }
}

/// Serves a client in a task of its own, or refuses it.
async fn admit<A: Application>(
    stream: AcceptedStream,
    address: IpAddr,
    expected: Option<InFlight>,
    listener: Option<&str>,
    app: &Arc<A>,
    front: &Arc<Front>,
    shutdown: &ShutdownWatch,
) {
    // The listener is always found, because a snapshot keeps the listeners of the snapshots before it.
    let Some(protocols) = front.protocols(listener) else { return };
    let by_proxy = !protocols.proxies.is_empty();
    // A client that isn't a trusted proxy could claim any address, so its connection is closed. Test:
    // `connections_without_a_head_are_closed`.
    if by_proxy && !protocols.proxies.iter().any(|network| network.contains(address)) {
        return front.count(Dropped::ProxyUntrusted);
    }
    match front.enter(address, by_proxy).await {
        Ok(place) => {
            let (app, front, shutdown) = (Arc::clone(app), Arc::clone(front), shutdown.clone());
            tokio::spawn(async move { converse(stream, protocols, &app, &front, place, expected, shutdown).await });
        }
        Err(refusal) if protocols.tls.is_none() => stream.turn_away(&refusal),
        // A refusal can't be sent before the TLS handshake, so the connection closes without one.
        Err(_) => {}
    }
}

/// Serves a connection: reads the head of the PROXY protocol and performs the TLS handshake, if the listener is
/// configured for these, and then serves requests until the connection ends.
async fn converse<A: Application>(
    stream: AcceptedStream,
    ListenerProtocols { tls, http2, proxies }: ListenerProtocols,
    app: &Arc<A>,
    front: &Front,
    mut place: AdmittedConnection,
    expected: Option<InFlight>,
    mut shutdown: ShutdownWatch,
) {
    let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
    stream.bound_unread();
    let mut stream = stream.into_stream();
    // Both calls fail if the client has left. The next read reports that too, so the errors are ignored.
    let _ = stream.set_nodelay();
    let _ = stream.set_keepalive(&watched());
    if !proxies.is_empty() {
        let read = tokio::select! {
            read = proxy_protocol::read(&mut stream, front.handshake_timeout()) => read,
            _ = place.displaced() => return,
        };
        let Ok((client, rest)) = read else { return place.admission().count(Dropped::ProxyHeadInvalid) };
        // The bytes after the head belong to the client's TLS handshake or its request. Test:
        // `heads_are_read_to_their_last_byte`.
        stream.rewind(&rest);
        if let Some(client) = client {
            // So far the connection had a place under the proxy's address. From here on, the limits of the client's own
            // address apply. Test: `the_proxy_protocol_address_decides_trust_and_connection_limits`.
            drop(place);
            place = match front.enter(client.ip(), false).await {
                Ok(place) => place,
                Err(refusal) if tls.is_none() => return refuse(&mut stream, &refusal).await,
                Err(_) => return,
            };
            // The digest is new and has no address yet, so this succeeds. Later code reads the address there.
            let _ = digest.peer_addr.set(Some(l4::socket::SocketAddr::Inet(client)));
        }
    }
    stream.set_socket_digest(digest);
    let stream: Stream = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let tls = tls.current();
            let agreed = tokio::select! {
                // Each handshake runs in the task of its client, so it doesn't delay other clients. Test:
                // `stalled_and_broken_handshakes_hinder_no_other_client`.
                agreed = tokio::time::timeout(front.handshake_timeout(), tls.handshake(stream)) => agreed,
                _ = place.displaced() => return,
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
    front.serve(app, stream, http2, &place, expected, &mut shutdown).await;
}

/// Sends the refusal to a client that gets no place. Bytes that the system doesn't accept at once are dropped.
async fn refuse(stream: &mut l4::stream::Stream, refusal: &[u8]) {
    let sent = async {
        stream.write_all(refusal).await?;
        stream.flush().await
    };
    let _ = tokio::time::timeout(Duration::ZERO, sent).await;
}

/// Returns the options by which the system closes connections whose other end is gone or acknowledges no data. The
/// options are needed because Pingora writes the last buffer of an answer without a timeout.
fn watched() -> TcpKeepalive {
    TcpKeepalive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: LOST,
    }
}

/// Creates a server without services. The caller adds the services, which run until the process ends.
#[must_use]
pub fn companion(settings: &Settings) -> Server {
    Server::new_with_opt_and_conf(None, configuration(settings))
}

fn configuration(settings: &Settings) -> ServerConf {
    let grace = settings.server.shutdown_timeout;
    ServerConf {
        // The gateway uses neither of these files. Pingora would put both into a world-writable directory, where other
        // users could create them first.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        threads: settings.server.threads,
        // Pingora takes whole seconds, so a fraction is rounded up: half a second is not 0.
        grace_period_seconds: Some(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    }
}
