//! One request by two ways: straight to an upstream, and through a gateway in this process. Its listener is on the
//! loopback interface, so a request takes the whole way of a client's request, from the bytes of its head on.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::{http::RequestHeader, services::Service as _};
use tokio::{runtime::Runtime, sync::watch};

use super::{
    lifecycle::{live::Live, process::Vitals, snapshot::Snapshot},
    routes::upstream::Upstream,
    runtime::sockets::ListeningSocket,
    server::{
        admission::{Admission, ConnectionLimits},
        connection::Front,
        listen::Listening,
    },
    session::context::{Gateway, RequestIds},
};
use crate::net::connection::Connections;
use cursorgate_config::{Diagnostics, settings::Settings};
use cursorgate_learn::unchanged::WholeAnswer;

/// The longest time for one request, in both ways.
const PATIENCE: Duration = Duration::from_secs(90);

/// The largest size of an answer in bytes. A larger one is an error.
const ANSWER: usize = 64 << 20;

/// The largest number of connections to the listener.
const CONNECTIONS: usize = 16;

/// A request of an old client.
#[derive(Clone, Debug)]
pub struct ReplayedRequest {
    pub method: Method,
    /// The path and the query for the gateway.
    pub target: String,
    /// The path and the query for the upstream, without its base path.
    pub direct: String,
    /// The `Host`; `None` for the name of the upstream's first peer.
    pub authority: Option<String>,
    /// Further headers. A `Host` among them is sent to the upstream in place of the configured one.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Option<Vec<u8>>,
}

/// A gateway in this process.
pub struct Replayer {
    runtime: Runtime,
    address: SocketAddr,
    connections: Connections,
    /// Its end stops the listener.
    _running: watch::Sender<bool>,
}

impl Replayer {
    /// Starts the gateway of a configuration that compiles. Limits of clients, shared stores and services are left out:
    /// the requests are none of a client's, and are remembered nowhere.
    ///
    /// # Errors
    ///
    /// Returns an error if the system gives no socket, no thread or no random bytes.
    pub fn start(settings: &Settings) -> io::Result<Self> {
        let settings = alone(settings);
        let build = |settings: &Settings| Snapshot::build(settings, None, &mut Diagnostics::default());
        let built = build(&settings).or_else(|| build(&settings.without_certificates()));
        let snapshot = built.ok_or_else(|| io::Error::other("the configuration does not compile"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let ids = RequestIds::new().map_err(|error| io::Error::other(error.to_string()))?;
        let (live, vitals) = (Arc::new(Live::new(snapshot)), Vitals::default());
        let admission = Admission::new(ConnectionLimits { most: CONNECTIONS, per_address: CONNECTIONS });
        let front = Front::new(Arc::clone(&live), vitals.clone(), Arc::clone(&ids), admission);
        let gateway = Gateway::new(live, vitals, ids);
        let (running, stops) = watch::channel(false);
        {
            let _entered = runtime.enter();
            let mut listening = Listening::new("gateway", gateway, front);
            listening.add(None, ListeningSocket::Tcp(socket));
            runtime.spawn(async move { listening.start_service(None, stops, 1).await });
        }
        Ok(Self { runtime, address, connections: Connections::default(), _running: running })
    }

    /// Sends a request through the gateway.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no whole answer.
    pub fn through(&self, upstream: &Upstream, request: &ReplayedRequest) -> Result<WholeAnswer, String> {
        let bytes = written(request, &host(upstream, request));
        let exchange = || -> io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(&bytes)?;
            let mut answer = Vec::new();
            stream.take(ANSWER as u64).read_to_end(&mut answer)?;
            Ok(answer)
        };
        let answer = exchange().map_err(|error| format!("the gateway gives no answer: {error}"))?;
        WholeAnswer::read(&answer, request.method == Method::HEAD)
            .ok_or_else(|| "the gateway's answer broke off".to_owned())
    }

    /// Sends a request to the upstream, with the `Host` that the gateway sends and with the operator's headers.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no whole answer.
    pub fn direct(&self, upstream: &Upstream, request: &ReplayedRequest) -> Result<WholeAnswer, String> {
        self.runtime.block_on(async {
            let whole = tokio::time::timeout(PATIENCE, self.ask(upstream, request)).await;
            whole.unwrap_or_else(|_| Err("the upstream gives no whole answer in time".to_owned()))
        })
    }

    async fn ask(&self, upstream: &Upstream, request: &ReplayedRequest) -> Result<WholeAnswer, String> {
        let head = direct_head(upstream, request).map_err(|error| format!("the request can't be written: {error}"))?;
        let visit = upstream.visit(&HeaderMap::new(), &request.direct, false);
        let unanswered = |error: crate::net::error::FetchError| format!("the upstream gives no answer: {error}");
        let mut connection =
            self.connections.open(&visit, &head.headers, false, upstream.timeouts).await.map_err(unanswered)?;
        connection.send(Box::new(head)).await.map_err(unanswered)?;
        if let Some(body) = &request.body {
            connection.send_body(body).await.map_err(unanswered)?;
        }
        connection.finish().await.map_err(unanswered)?;
        let (status, headers) = connection.final_head().await.map_err(unanswered)?;
        let mut body = Vec::new();
        while let Some(bytes) = connection.body().await.map_err(unanswered)? {
            if body.len() + bytes.len() > ANSWER {
                return Err("the upstream's answer is too large".to_owned());
            }
            body.extend_from_slice(bytes);
        }
        Ok(WholeAnswer { status: status.as_u16(), headers, body })
    }
}

/// Returns the settings without what other clients and processes would notice.
fn alone(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.caches.shared = None;
    settings.traces = None;
    for route in &mut settings.routes {
        (route.rate_limit.requests, route.rate_limit.upstream_requests, route.concurrency) = (None, None, None);
        if let Some(list) = &mut route.list {
            list.legacy.rate_limit = None;
            list.legacy.brownouts.clear();
        }
    }
    settings
}

/// Returns the `Host` of a request, which is the same in both ways.
fn host(upstream: &Upstream, request: &ReplayedRequest) -> HeaderValue {
    let own = request.authority.as_deref().and_then(|authority| HeaderValue::from_str(authority).ok());
    own.unwrap_or_else(|| upstream.host_for(None))
}

fn written(request: &ReplayedRequest, host: &HeaderValue) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\nHost: ", request.method, request.target).into_bytes();
    bytes.extend_from_slice(host.as_bytes());
    for (name, value) in &request.headers {
        bytes.extend_from_slice(format!("\r\n{name}: ").as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    if let Some(body) = &request.body {
        bytes.extend_from_slice(format!("\r\nContent-Length: {}", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
    bytes
}

fn direct_head(upstream: &Upstream, request: &ReplayedRequest) -> pingora::Result<RequestHeader> {
    let target = format!("{}{}", upstream.base_path, request.direct);
    let mut head = RequestHeader::build(request.method.clone(), target.as_bytes(), None)?;
    if !request.headers.iter().any(|(name, _)| *name == header::HOST) {
        head.insert_header(header::HOST, upstream.host_for(request.authority.as_deref()))?;
    }
    for (name, value) in &request.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    for (name, value) in &upstream.headers {
        head.insert_header(name.clone(), value.clone())?;
    }
    if let Some(body) = &request.body {
        head.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
    }
    Ok(head)
}
