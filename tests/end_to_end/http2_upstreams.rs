//! Tests of HTTP/2 to upstreams, negotiated by TLS or with prior knowledge, for pages and for forwarded requests with
//! bodies.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use ::http::{Request, Response};
use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use openssl::ssl::{AlpnError, Ssl, SslAcceptor, SslMethod, SslVersion, select_next_proto};
use pingora::tls::tokio_ssl::SslStream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use crate::{
    harness::{
        Directory,
        gateway::Gateway,
        http,
        list::{PLAIN, users},
    },
    tls::{
        authority::{ALWAYS, Authority, Identity},
        server::{Greeting, Secure},
    },
};

/// An upstream that speaks only HTTP/2. It runs until the process of the tests ends.
struct Multiplexing {
    address: SocketAddr,
    seen: Arc<Seen>,
}

/// The requests and connections that an upstream has seen.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request<()>>>,
    connections: AtomicUsize,
    /// The protocols that were negotiated by TLS, one for each connection.
    protocols: Mutex<Vec<String>>,
    /// The largest number of requests that were in flight at the same time.
    most_at_once: AtomicUsize,
    at_once: AtomicUsize,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Multiplexing {
    /// Starts the upstream, with TLS if it gets a certificate.
    fn start(identity: Option<Identity>) -> Self {
        let seen = Arc::<Seen>::default();
        let (own, (tell, told)) = (Arc::clone(&seen), mpsc::channel());
        let acceptor = identity.map(|identity| Arc::new(acceptor(&identity)));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
                tell.send(listener.local_addr().expect("it is bound")).expect("the test waits");
                while let Ok((stream, _)) = listener.accept().await {
                    own.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(begin(stream, acceptor.clone(), Arc::clone(&own)));
                }
            });
        });
        Self { address: told.recv().expect("it listens"), seen }
    }

    fn requests(&self) -> Vec<Request<()>> {
        locked(&self.seen.requests).clone()
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

/// Returns an acceptor that negotiates HTTP/2, or HTTP/1.1 if the client offers nothing else.
fn acceptor(identity: &Identity) -> SslAcceptor {
    let made = || {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate(&identity.chain[0])?;
        builder.set_private_key(&identity.key)?;
        builder.set_alpn_select_callback(|_, offered| {
            select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::NOACK)
        });
        Ok::<_, openssl::error::ErrorStack>(builder.build())
    };
    made().expect("OpenSSL takes its own certificates")
}

async fn begin(stream: TcpStream, acceptor: Option<Arc<SslAcceptor>>, seen: Arc<Seen>) {
    let Some(acceptor) = acceptor else { return converse(stream, seen).await };
    let ssl = Ssl::new(acceptor.context()).expect("OpenSSL makes sessions");
    let mut stream = SslStream::new(ssl, stream).expect("OpenSSL makes streams");
    if std::pin::Pin::new(&mut stream).accept().await.is_ok() {
        let protocol = stream.ssl().selected_alpn_protocol().unwrap_or_default();
        locked(&seen.protocols).push(String::from_utf8_lossy(protocol).into_owned());
        if protocol == b"h2" {
            converse(stream, seen).await;
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, seen: Arc<Seen>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (parts, body) = request.into_parts();
        locked(&seen.requests).push(Request::from_parts(parts.clone(), ()));
        let now = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_at_once.fetch_max(now, Ordering::SeqCst);
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            // The client may close the connection at any time, so an error is ignored.
            let _ = answer(Request::from_parts(parts, ()), body, respond, &seen).await;
            seen.at_once.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn answer(
    request: Request<()>,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    seen: &Seen,
) -> Result<(), h2::Error> {
    let mut came = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        came.extend_from_slice(&part);
    }
    let path = request.uri().path();
    let text = match path {
        "/echo" => came.clone(),
        "/large" => vec![b'x'; LARGE],
        "/together" => {
            while seen.most_at_once.load(Ordering::SeqCst) < TOGETHER {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            b"together".to_vec()
        }
        _ => list(request.uri().query().unwrap_or_default()).into_bytes(),
    };
    if path.starts_with("/reset") {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let mut head = Response::builder().status(200).header("content-type", "application/json");
    if path.starts_with("/short") {
        head = head.header("content-length", text.len() + 1);
    }
    let mut stream = respond.send_response(head.body(()).expect("a head"), false)?;
    stream.send_data(text.into(), true)
}

const LARGE: usize = 3_000_000;
const TOGETHER: usize = 8;

/// Returns the JSON of a page of 100 users, by `offset` and `limit` of the query.
fn list(query: &str) -> String {
    let number = |name: &str, otherwise: usize| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let all = users(100);
    let from = number("offset", 0).min(all.len());
    let until = (from + number("limit", 20)).min(all.len());
    format!(r#"{{"total":100,"items":[{}]}}"#, all[from..until].join(","))
}

/// Returns the configuration of a gateway in front of an upstream. `upstream` contains lines for the table of the
/// upstream.
fn configuration(address: SocketAddr, upstream: &str) -> String {
    let plain = PLAIN.configuration(address);
    let at = format!("peers = [\"{address}\"]\n");
    let broken = ["reset", "short"].map(|name| {
        format!(
            "[routes.{name}]\npath = \"/{name}\"\nupstream = \"legacy\"\ndialect = \"scripted\"\norder = [\"id\"]\n"
        )
    });
    let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let plain = plain.replace(&at, &format!("{at}http2 = true\n{upstream}\n"));
    format!("{plain}{}{rest}", broken.concat())
}

/// Asserts that a walk of the list, requests with bodies, and several requests at the same time succeed.
fn exercise(gateway: &Gateway, upstream: &Multiplexing, scheme: &str) {
    let mut next = "/users?limit=30".to_owned();
    let mut ids = Vec::new();
    while !next.is_empty() {
        let page = gateway.get(&next);
        assert_eq!(page.outcome(), "200", "{page:?}");
        let page: serde_json::Value = serde_json::from_str(page.text()).expect("JSON");
        ids.extend(page["data"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()));
        next = page["links"]["next"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(ids, (1..=100).collect::<Vec<u64>>());

    let body = vec![b'y'; 1_500_000];
    let echoed = gateway.send("PUT", "/echo", &[], &body);
    assert!(echoed.status == 200 && echoed.body == body, "{} bytes", echoed.body.len());
    let mut client = gateway.connect();
    let chunked =
        b"PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    client.send(chunked).expect("it reads");
    assert_eq!(client.response("PUT").expect("an answer").text(), "abcde");
    assert_eq!(gateway.get("/large").body.len(), LARGE);
    assert_eq!(gateway.send("HEAD", "/anything", &[], b"").status, 200);

    let before = upstream.connections();
    let public = gateway.public;
    let asked = (0..TOGETHER).map(|_| thread::spawn(move || http::get(public, "/together").text().to_owned()));
    for asked in asked.collect::<Vec<_>>() {
        assert_eq!(asked.join().expect("no panic"), "together");
    }
    assert!(before < TOGETHER && upstream.connections() < before + TOGETHER, "{before} {}", upstream.connections());

    for request in upstream.requests() {
        assert_eq!(request.uri().scheme_str(), Some(scheme), "{request:?}");
        assert_eq!(request.uri().authority().map(::http::uri::Authority::as_str), Some("people.test"), "{request:?}");
        for name in ["host", "connection", "transfer-encoding", "upgrade", "keep-alive"] {
            assert!(!request.headers().contains_key(name), "{request:?}");
        }
        assert!(request.headers().contains_key("via"), "{request:?}");
    }
}

#[test]
fn http2_with_prior_knowledge_is_spoken_to_an_upstream() {
    let upstream = Multiplexing::start(None);
    let gateway = Gateway::start(&configuration(upstream.address, "host_header = \"people.test\""));
    exercise(&gateway, &upstream, "http");
}

#[test]
fn http2_is_negotiated_with_an_upstream_by_tls() {
    let (folder, root) = (Directory::new(), Authority::new("root"));
    let ca = root.file(&folder, "ca.pem");
    let upstream = Multiplexing::start(Some(root.issue(&["people.test"], ALWAYS)));
    let tls = format!("host_header = \"people.test\"\ntls = {{ server_name = \"people.test\", ca = {ca:?} }}");
    let gateway = Gateway::start(&configuration(upstream.address, &tls));
    exercise(&gateway, &upstream, "https");
    assert!(locked(&upstream.seen.protocols).iter().all(|protocol| protocol == "h2"));
    // A switch of protocols needs HTTP/1.1, which this upstream negotiates but does not speak.
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    assert_eq!(gateway.send("GET", "/socket", &upgrade, b"").outcome(), "502 upstream_unavailable");
    assert_eq!(locked(&upstream.seen.protocols).last().map(String::as_str), Some("http/1.1"));
}

#[test]
fn an_upstream_that_negotiates_no_protocol_gets_http1() {
    let (folder, root) = (Directory::new(), Authority::new("root"));
    let ca = root.file(&folder, "ca.pem");
    let identity = root.issue(&["people.test"], ALWAYS);
    let upstream = Secure::start(Greeting::Certificate(identity, SslVersion::TLS1_2, SslVersion::TLS1_3));
    let tls = format!("tls = {{ server_name = \"people.test\", ca = {ca:?} }}");
    let gateway = Gateway::start(&configuration(upstream.address, &tls));
    for path in ["/users?limit=1", "/anything", "/users?limit=1"] {
        assert_eq!(gateway.get(path).outcome(), "200", "{path}");
    }
    assert_eq!(upstream.requests().len(), 3);
}

/// A broken stream fails only its own request, and neither the connection nor the next request.
#[test]
fn a_stream_that_is_reset_fails_one_request() {
    let upstream = Multiplexing::start(None);
    let gateway = Gateway::start(&configuration(upstream.address, "host_header = \"people.test\""));
    assert_eq!(gateway.get("/users?limit=1").outcome(), "200");
    // A page is retried twice. The first reset also looks like the end of an idle connection, which is replaced without
    // counting as a retry.
    for (path, outcome, most) in [("/reset", "502 upstream_unavailable", 4), ("/short", "502 upstream_truncated", 3)] {
        assert_eq!(gateway.get(&format!("{path}?limit=1")).outcome(), outcome);
        let asked = upstream.requests().iter().filter(|request| request.uri().path() == path).count();
        assert_eq!(asked, most, "{path}");
    }
    assert_eq!(gateway.get("/reset/passed").outcome(), "502 upstream_unavailable");
    let cut = gateway.connect().request("GET", "/short/passed", &[], b"");
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(gateway.get("/users?limit=1").outcome(), "200");
    assert_eq!(gateway.get("/anything").outcome(), "200");
}
