//! Connections to the servers of the store. Sockets and TLS are the same as for upstream connections, so one library
//! handles all certificates. The crate `redis` speaks the protocol, and pairs replies with questions.
//!
//! A question that is given up, because its time limit is over, stays in the connection's queue, and its reply is
//! dropped when it arrives. So a later question never gets the reply to an earlier question.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pingora::{
    connectors::{ConnectorOptions, TransportConnector},
    protocols::{ALPN, Stream},
    upstreams::peer::HttpPeer,
};
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value, aio::MultiplexedConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    net::{connection, connectors::without_authorities, peers::name::PeerName},
    runtime::clock,
    tls::{PeerCredentials, Renewable},
};
use cursorgate_config::settings::{StoreKind, StoreSettings, StoreUser, TlsVersion};

/// The largest number of bytes that a server may send without a question, and that a reply may have in addition to its
/// value. Beyond it, the connection ends.
const BESIDE: i64 = 64 << 10;

/// The largest number of bytes of replies that a connection awaits at a time. If a server sends more, the connection
/// ends.
const MOST_AWAITED: i64 = 64 << 20;

/// The largest number of resolved names that are kept. Before another name is added, all of them are dropped.
const MOST_NAMES: usize = 1_024;

/// The task that reads and writes a connection. The task ends when the connection ends.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()>>>;

/// The parts that connections to the servers of the store have in common.
pub(super) struct Connector {
    transport: TransportConnector,
    settings: Arc<StoreSettings>,
    tls: Option<Arc<Renewable<PeerCredentials>>>,
    /// The names that have been resolved, by `host:port`. The names are kept between connections. So a name logs a
    /// fault only once, and is resolved again only when its records expire.
    names: RefCell<BTreeMap<String, Arc<PeerName>>>,
}

/// An authenticated connection to a server. Clones share the connection.
#[derive(Clone)]
pub(super) struct ServerLine {
    connection: MultiplexedConnection,
    awaited: Arc<AwaitedBytes>,
}

/// The number of bytes that a server may still send, for the replies that are awaited. The connection ends when a
/// server sends more, because the bytes could otherwise fill the memory. Test:
/// `a_store_that_sends_an_endless_reply_is_disconnected`.
#[derive(Debug)]
struct AwaitedBytes {
    bytes: AtomicI64,
    replies: AtomicUsize,
}

impl Connector {
    /// Creates a connector. With TLS, reads the certificate authorities of the system.
    pub(super) fn new(settings: Arc<StoreSettings>, tls: Option<Arc<Renewable<PeerCredentials>>>) -> Self {
        let transport = match tls {
            Some(_) => TransportConnector::new(None),
            None => without_authorities(ConnectorOptions::new(1), |options| TransportConnector::new(Some(options))),
        };
        Self { transport, settings, tls, names: RefCell::default() }
    }

    /// Connects to the server at `address` (`host:port`) as a user, within `connect_timeout`. The connection works only
    /// while its driver is polled.
    ///
    /// # Errors
    ///
    /// Returns the reason in words, for operators.
    pub(super) async fn connect(&self, address: &str, user: &StoreUser) -> Result<(ServerLine, Driver), String> {
        let patience = self.settings.connect_timeout;
        let connected = tokio::time::timeout(patience, self.connected(address, user, patience)).await;
        connected.unwrap_or_else(|_| Err(format!("no connection within {patience:?}")))
    }

    async fn connected(
        &self,
        address: &str,
        user: &StoreUser,
        patience: Duration,
    ) -> Result<(ServerLine, Driver), String> {
        ServerLine::begin(self.stream(address, patience).await?, user).await
    }

    async fn stream(&self, address: &str, patience: Duration) -> Result<Stream, String> {
        let name = self.name(address).ok_or_else(|| format!("{address:?} is not host:port"))?;
        name.refresh(clock::instant());
        name.first(patience).await.map_err(|error| error.to_string())?;
        let addresses: Vec<_> = match &*name.resolved() {
            Some(resolved) => resolved.peers.iter().map(|peer| peer.address).collect(),
            None => Vec::new(),
        };
        let mut fault = "the name has no address".to_owned();
        for address in addresses {
            let mut peer = HttpPeer::new(address, self.tls.is_some(), self.server_name(name.host()));
            peer.options.connection_timeout = Some(patience);
            peer.options.total_connection_timeout = Some(patience);
            peer.options.alpn = ALPN::H1;
            if let Some(tls) = &self.tls {
                // The credentials are read for each connection, because certificates are renewed while the process
                // runs.
                let credentials = tls.current();
                peer.options.ca.clone_from(&credentials.authorities);
                peer.client_cert_key.clone_from(&credentials.identity);
            }
            match self.transport.new_stream(&peer).await {
                Ok(stream) => return self.checked(stream),
                Err(error) => fault = connection::broken(&error).to_string(),
            }
        }
        Err(fault)
    }

    fn name(&self, address: &str) -> Option<Arc<PeerName>> {
        if let Some(known) = self.names.borrow().get(address) {
            return Some(Arc::clone(known));
        }
        let name = Arc::new(PeerName::parse(address, &[], clock::instant)?);
        let mut names = self.names.borrow_mut();
        // Nodes join and leave a cluster, so the names would accumulate without a bound.
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        names.insert(address.to_owned(), Arc::clone(&name));
        Some(name)
    }

    /// Returns the name that the server's certificate must have: `tls.server_name`, or else the host.
    fn server_name(&self, host: &str) -> String {
        let own = self.settings.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        own.unwrap_or(host).to_owned()
    }

    /// Returns the stream if its version of TLS is at least `tls.min_version`.
    fn checked(&self, stream: Stream) -> Result<Stream, String> {
        let least = self.settings.tls.as_ref().map(|tls| tls.min_version);
        let digest = stream.get_ssl_digest();
        match (least, digest) {
            (Some(TlsVersion::Tls13), Some(digest)) if digest.version != "TLSv1.3" => {
                Err(format!("it speaks {}, which tls.min_version excludes", digest.version))
            }
            _ => Ok(stream),
        }
    }

    /// Tests a connection with a `GET` of a name that does not exist. The gateway needs this command, and the user
    /// might not have the right to it.
    ///
    /// # Errors
    ///
    /// Returns the reason in words, for operators.
    pub(super) async fn try_out(&self, line: &ServerLine) -> Result<(), String> {
        let mut command = redis::cmd("GET");
        command.arg(format!("{}:probe", self.settings.prefix));
        let asked = tokio::time::timeout(self.settings.timeout, line.clone().ask(&command, 0)).await;
        match asked {
            Err(_) => Err(format!("no answer within {:?}", self.settings.timeout)),
            Ok(Ok(_)) => Ok(()),
            // Another node of the cluster has this key, which shows that the server works.
            Ok(Err(error)) if error.code() == Some("MOVED") => match self.settings.kind {
                StoreKind::Cluster => Ok(()),
                _ => Err("the server belongs to a cluster: kind = \"cluster\"".to_owned()),
            },
            Ok(Err(error)) => Err(said(&error)),
        }
    }
}

impl ServerLine {
    /// Starts a connection over a stream, and authenticates as a user. The connection works only while its driver is
    /// polled.
    ///
    /// # Errors
    ///
    /// Returns the reason in words, for operators.
    pub(super) async fn begin(stream: Stream, user: &StoreUser) -> Result<(Self, Driver), String> {
        let awaited = Arc::new(AwaitedBytes { bytes: AtomicI64::new(BESIDE), replies: AtomicUsize::new(0) });
        let stream = AwaitingStream { stream, awaited: Arc::clone(&awaited) };
        // The client does not send `CLIENT SETINFO`, because the rights in docs/shared-store.md do not include it.
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &user.password {
            info = info.set_password(String::from_utf8_lossy(password.reveal()));
        }
        if let Some(username) = &user.username {
            info = info.set_username(username);
        }
        // Each question has a time limit of its own, so the client library sets none.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = connected.map_err(|error| said(&error))?;
        Ok((Self { connection, awaited }, Box::pin(driver)))
    }

    /// Sends a command, and waits for its reply, which has about `size` bytes at most.
    ///
    /// # Errors
    ///
    /// Returns errors of the server and of the connection.
    pub(super) async fn ask(mut self, command: &Cmd, size: usize) -> Result<Value, RedisError> {
        self.awaited.begin(size);
        let reply = self.connection.send_packed_command(command).await;
        // A question that is given up doesn't get here. Its reply still arrives, so its bytes stay awaited.
        self.awaited.end();
        reply.and_then(Value::extract_error)
    }
}

impl AwaitedBytes {
    fn begin(&self, size: usize) {
        let size = i64::try_from(size).unwrap_or(MOST_AWAITED).saturating_add(BESIDE);
        let before = match self.replies.fetch_add(1, Ordering::Relaxed) {
            // No other reply is awaited. The bytes that earlier replies didn't use are dropped, so they don't add up.
            0 => BESIDE,
            _ => self.bytes.load(Ordering::Relaxed),
        };
        // A load and a store don't race, because the worker has one thread.
        self.bytes.store(before.saturating_add(size).min(MOST_AWAITED), Ordering::Relaxed);
    }

    fn end(&self) {
        self.replies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that fails when the server sends more bytes than are awaited.
struct AwaitingStream {
    stream: Stream,
    awaited: Arc<AwaitedBytes>,
}

impl AsyncRead for AwaitingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = i64::try_from(buffer.filled().len() - before).unwrap_or(MOST_AWAITED);
        // The connection ends here, because the server could otherwise fill the memory.
        if self.awaited.bytes.fetch_sub(read, Ordering::Relaxed) < read {
            return Poll::Ready(Err(io::Error::other("the server sent more than was asked for")));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for AwaitingStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Returns an error in words, for operators. Servers repeat parts of commands in their errors. So only the code is
/// returned, with the text after it for codes whose text names a remedy.
pub(super) fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code @ ("LOADING" | "NOAUTH" | "WRONGPASS" | "NOPERM" | "OOM" | "CLUSTERDOWN")), Some(detail)) => {
            format!("{code} {}", printable(detail))
        }
        // The text after any other code may repeat the command, so it is left out. Test:
        // `the_password_is_shown_nowhere`.
        (Some(code), _) => printable(code),
        (None, _) => printable(&error.to_string()),
    }
}

/// Returns a string from a server without control characters, cut to 200 characters.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
