//! Connections to the servers of the store. Sockets and TLS are those of upstreams, so that one library has all
//! certificates; the protocol is that of `redis`, which pairs replies with questions.
//!
//! A question that nobody waits for any more stays in the connection's queue, and its reply is dropped when it comes. So a
//! cancelled request leaves no reply for the next one.

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
    connectors::TransportConnector,
    protocols::{ALPN, Stream},
    upstreams::peer::HttpPeer,
};
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value, aio::MultiplexedConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    config::settings::{StoreKind, StoreSettings, StoreUser, TlsVersion},
    gateway::runtime::clock,
    tls::{PeerCredentials, Renewable},
    upstream::net::{connection, peers::name::PeerName},
};

/// The bytes that a server may send unasked, and for each reply beside its value.
const BESIDE: i64 = 64 << 10;

/// The most bytes that are awaited at a time.
const MOST_AWAITED: i64 = 64 << 20;

/// The most names that are kept.
const MOST_NAMES: usize = 1_024;

/// The end of a connection, when its driver ends.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()>>>;

/// The way to the servers of the store.
pub(super) struct Connector {
    transport: TransportConnector,
    settings: Arc<StoreSettings>,
    tls: Option<Arc<Renewable<PeerCredentials>>>,
    /// The names that have been resolved. A name tells its faults once, and is resolved again when its records expire.
    names: RefCell<BTreeMap<String, Arc<PeerName>>>,
}

/// A connection after its authentication.
#[derive(Clone)]
pub(super) struct ServerLine {
    connection: MultiplexedConnection,
    awaited: Arc<AwaitedBytes>,
}

/// The bytes that a server may still send: those of the replies that are awaited. A server that sends more is not held in
/// memory. Test: `a_server_that_sends_without_an_end_is_left`.
#[derive(Debug)]
struct AwaitedBytes {
    bytes: AtomicI64,
    replies: AtomicUsize,
}

impl Connector {
    /// Creates a connector. It reads the authorities of the system.
    pub(super) fn new(settings: Arc<StoreSettings>, tls: Option<Arc<Renewable<PeerCredentials>>>) -> Self {
        Self { transport: TransportConnector::new(None), settings, tls, names: RefCell::default() }
    }

    /// Connects to `host:port` as a user, within the time for connections.
    ///
    /// # Errors
    ///
    /// Returns the reason in words.
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
        let stream = self.stream(address, patience).await?;
        let awaited = Arc::new(AwaitedBytes { bytes: AtomicI64::new(BESIDE), replies: AtomicUsize::new(0) });
        let stream = AwaitingStream { stream, awaited: Arc::clone(&awaited) };
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &user.password {
            info = info.set_password(String::from_utf8_lossy(password.reveal()));
        }
        if let Some(username) = &user.username {
            info = info.set_username(username);
        }
        // Each question has its own time.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = connected.map_err(|error| said(&error))?;
        Ok((ServerLine { connection, awaited }, Box::pin(driver)))
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
        // Nodes of a cluster come and go.
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        names.insert(address.to_owned(), Arc::clone(&name));
        Some(name)
    }

    /// Returns the name that the server's certificate must have.
    fn server_name(&self, host: &str) -> String {
        let own = self.settings.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        own.unwrap_or(host).to_owned()
    }

    /// Returns a stream whose version of TLS is permitted.
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

    /// Asks a server whether it answers questions of the gateway's kind. Any other kind of question might be permitted
    /// where these are not.
    ///
    /// # Errors
    ///
    /// Returns the reason in words.
    pub(super) async fn try_out(&self, line: &ServerLine) -> Result<(), String> {
        let mut command = redis::cmd("GET");
        command.arg(format!("{}:probe", self.settings.prefix));
        let asked = tokio::time::timeout(self.settings.timeout, line.clone().ask(&command, 0)).await;
        match asked {
            Err(_) => Err(format!("no answer within {:?}", self.settings.timeout)),
            Ok(Ok(_)) => Ok(()),
            // Another node of the cluster has the key.
            Ok(Err(error)) if error.code() == Some("MOVED") => match self.settings.kind {
                StoreKind::Cluster => Ok(()),
                _ => Err("the server belongs to a cluster: kind = \"cluster\"".to_owned()),
            },
            Ok(Err(error)) => Err(said(&error)),
        }
    }
}

impl ServerLine {
    /// Sends a command whose reply has about so many bytes, and waits for the reply.
    ///
    /// # Errors
    ///
    /// Returns errors of the server and of the connection.
    pub(super) async fn ask(mut self, command: &Cmd, size: usize) -> Result<Value, RedisError> {
        self.awaited.begin(size);
        let reply = self.connection.send_packed_command(command).await;
        // A reply that nobody waits for any more comes all the same: its bytes stay awaited.
        self.awaited.end();
        reply.and_then(Value::extract_error)
    }
}

impl AwaitedBytes {
    fn begin(&self, size: usize) {
        let size = i64::try_from(size).unwrap_or(MOST_AWAITED).saturating_add(BESIDE);
        let before = match self.replies.fetch_add(1, Ordering::Relaxed) {
            0 => BESIDE,
            _ => self.bytes.load(Ordering::Relaxed),
        };
        // Questions and replies are the worker's, which has one thread.
        self.bytes.store(before.saturating_add(size).min(MOST_AWAITED), Ordering::Relaxed);
    }

    fn end(&self) {
        self.replies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that ends where a server sends more than was asked for.
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

/// Returns an error as operators read it. Servers repeat in it what they were sent, so that only its code is shown, and
/// the words of those codes that name a remedy.
pub(super) fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code @ ("LOADING" | "NOAUTH" | "WRONGPASS" | "NOPERM" | "OOM" | "CLUSTERDOWN")), Some(detail)) => {
            format!("{code} {}", printable(detail))
        }
        (Some(code), _) => printable(code),
        (None, _) => printable(&error.to_string()),
    }
}

/// Returns a text from a server without its control characters and the rest of a long one.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
