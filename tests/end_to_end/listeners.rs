//! Tests of listeners other than plain TCP: unix sockets, and connections that begin with a head of the PROXY protocol.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    process::Command,
};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::{
    harness::{
        Directory, PATIENCE, eventually,
        gateway::{Gateway, free_port},
        list::{PLAIN, Setup, serve, users},
        metric,
        upstream::Upstream,
    },
    tls::authority::{ALWAYS, Authority},
};

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc0\0\x02\x01\x30\x39\x01\xbb";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";

/// Returns the configuration of a list and a forwarded path. `listeners` contains tables of listeners, and `server`
/// lines for `[server]`.
fn configuration(upstream: &Upstream, listeners: &str, server: &str) -> String {
    let list = Setup { ..PLAIN }.configuration(upstream.address);
    format!(
        "{listeners}\n{list}\n[server]\n{server}\n[routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n"
    )
}

/// Sends a head of the PROXY protocol and a GET. Returns the whole answer; an empty string if the connection is reset.
pub(crate) fn ask(mut stream: impl Read + Write, head: &[u8], path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: api.test\r\n{headers}Connection: close\r\n\r\n");
    let mut answer = Vec::new();
    if stream.write_all(&[head, request.as_bytes()].concat()).is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Returns `X-Forwarded-For` of the last request to the upstream.
fn told(upstream: &Upstream) -> Option<String> {
    upstream.requests().last().and_then(|request| request.header("x-forwarded-for").map(str::to_owned))
}

#[test]
fn a_listener_may_be_a_unix_socket() {
    let upstream = Upstream::start(serve(users(60)));
    let folder = Directory::new();
    let path = folder.file("public.sock");
    let listener = format!("listeners.local = {{ address = \"unix:{}\", mode = \"0606\" }}", path.display());
    let text = configuration(&upstream, &listener, "");
    let mut gateway = Gateway::start(&text);
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o606);
    let local =
        |path: &str, headers: &str| ask(UnixStream::connect(folder.file("public.sock")).unwrap(), b"", path, headers);
    let claim = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    for path in ["/users?limit=5", "/other"] {
        let answer = local(path, claim);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert_eq!(told(&upstream), None, "{path}: a client of a unix socket is no proxy, and has no address");
    }
    let mut curl = Command::new("curl");
    let curl = curl.args(["--silent", "--http2-prior-knowledge", "--unix-socket"]).arg(&path);
    let output = curl.arg("http://api.test/users?limit=5").output().expect("curl is installed");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"data\":"), "{output:?}");

    let before = gateway.succeed();
    eventually("the successor has the socket", || (!crate::harness::gateway::is_running(before)).then_some(()));
    assert!(local("/users?limit=5", "").starts_with("HTTP/1.1 200 "), "the socket is handed over");
    drop(gateway);

    // The socket file of a killed process is replaced. Clients of the socket are a trusted proxy if the configuration
    // lists `unix`.
    let gateway = Gateway::start(&configuration(&upstream, &listener, "trusted_proxies = [\"unix\"]"));
    for path in ["/users?limit=5", "/other"] {
        let answer = local(path, claim);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert_eq!(told(&upstream).as_deref(), Some("203.0.113.9"), "{path}");
    }
    assert!(gateway.get("/users").status == 200);
}

/// Starts a gateway with a plain and a TLS listener, which accept heads of the PROXY protocol from these networks.
/// Returns the gateway and both addresses.
fn behind(upstream: &Upstream, folder: &Directory, networks: &str, server: &str) -> (Gateway, SocketAddr, SocketAddr) {
    let (certificate, key) = Authority::new("root").issue(&["api.test"], ALWAYS).files(folder, "api");
    let [plain, secure] = [free_port(), free_port()].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listeners = format!(
        "listeners.plain = {{ address = \"{plain}\", proxy_protocol = {networks} }}\n\
         listeners.secure = {{ address = \"{secure}\", proxy_protocol = {networks}, \
         tls = {{ certificate = {certificate:?}, key = \"file:{}\" }} }}",
        key.display()
    );
    (Gateway::start(&configuration(upstream, &listeners, server)), plain, secure)
}

/// Sends the head of the PROXY protocol without encryption, then a request over TLS.
fn ask_secure(address: SocketAddr, head: &[u8], path: &str, headers: &str) -> Result<String, String> {
    let mut stream = connect(address);
    stream.write_all(head).map_err(|error| error.to_string())?;
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL makes clients");
    builder.set_verify(SslVerifyMode::NONE);
    let stream = builder.build().connect("api.test", stream).map_err(|error| error.to_string())?;
    Ok(ask(stream, b"", path, headers))
}

#[test]
fn the_address_of_the_client_is_read_from_the_proxy_protocol() {
    let upstream = Upstream::start(serve(users(60)));
    let folder = Directory::new();
    let (_gateway, plain, secure) = behind(&upstream, &folder, "[\"127.0.0.0/8\"]", "");
    for (head, client) in [(V1, "203.0.113.9"), (V2, "203.0.113.9"), (V2_LOCAL, "127.0.0.1")] {
        for path in ["/users?limit=5", "/other"] {
            let answer = ask(connect(plain), head, path, "X-Forwarded-For: 198.51.100.1\r\n");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(told(&upstream).as_deref(), Some(client), "{head:?} {path}");
            let answer = ask_secure(secure, head, path, "").expect("a handshake");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(told(&upstream).as_deref(), Some(client), "{head:?} {path} over TLS");
        }
    }
    // curl is a real client of the protocol, over HTTP/1.1 and HTTP/2.
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let output = Command::new("curl")
            .args(["--silent", "--haproxy-protocol", version])
            .arg(format!("http://{plain}/users?limit=5"))
            .output()
            .expect("curl is installed");
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"data\":"), "{version}: {output:?}");
        assert_eq!(told(&upstream).as_deref(), Some("127.0.0.1"));
    }
}

/// The address in the head decides whether the client's headers are trusted, and counts for the limit of connections of
/// one address.
///
/// Row: A45
#[test]
fn the_proxy_protocol_address_decides_trust_and_connection_limits() {
    let upstream = Upstream::start(serve(users(60)));
    let folder = Directory::new();
    let server = "trusted_proxies = [\"203.0.113.0/24\"]\nconnections = 64\nconnections_per_address = 2";
    let (gateway, plain, _) = behind(&upstream, &folder, "[\"127.0.0.0/8\"]", server);
    let claim = "X-Forwarded-For: 198.51.100.1\r\n";
    ask(connect(plain), V1, "/other", claim);
    assert_eq!(told(&upstream).as_deref(), Some("198.51.100.1, 203.0.113.9"));
    let stranger = b"PROXY TCP4 192.0.2.77 192.0.2.1 12345 443\r\n";
    ask(connect(plain), stranger, "/other", claim);
    assert_eq!(told(&upstream).as_deref(), Some("192.0.2.77"));

    // The limit is two connections for each address. A third connection takes the place of an idle one. Connections of
    // other addresses don't count.
    let open = |head: &[u8]| {
        let mut stream = connect(plain);
        stream.write_all(head).expect("it reads");
        stream
    };
    let held: Vec<TcpStream> = (0..4).map(|_| open(stranger)).collect();
    let displaced = "cursorgate_connections_dropped_total{reason=\"displaced\"}";
    eventually("two of four leave", || (metric(&gateway, displaced) == 2).then_some(()));
    let others: Vec<TcpStream> =
        (1..6).map(|last| open(format!("PROXY TCP4 192.0.2.{last} 192.0.2.1 1 443\r\n").as_bytes())).collect();
    eventually("all others are in", || (metric(&gateway, "cursorgate_connections") == 7).then_some(()));
    assert_eq!(metric(&gateway, displaced), 2);
    drop((held, others));
}

/// A connection without a valid head is closed without an answer, since its client could claim any address.
///
/// Row: A45
#[test]
fn connections_without_a_head_are_closed() {
    let upstream = Upstream::start(serve(users(60)));
    let folder = Directory::new();
    let (gateway, plain, secure) = behind(&upstream, &folder, "[\"127.0.0.0/8\"]", "");
    let long = [b"PROXY TCP4 ", &[b'1'; 300][..], b"\r\n"].concat();
    for head in [&b""[..], b"PROXY TCP5 a b 1 2\r\n", b"PROXY\r\n", &long, b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"] {
        assert_eq!(ask(connect(plain), head, "/users", ""), "", "{head:?}");
        assert!(ask_secure(secure, head, "/users", "").is_err(), "{head:?}");
    }
    let invalid = "cursorgate_connections_dropped_total{reason=\"proxy_head_invalid\"}";
    eventually("they are counted", || (metric(&gateway, invalid) == 10).then_some(()));
    drop(gateway);

    let (gateway, plain, secure) = behind(&upstream, &folder, "[\"192.0.2.0/24\"]", "");
    assert_eq!(ask(connect(plain), V1, "/users", ""), "");
    assert!(ask_secure(secure, V2, "/users", "").is_err());
    let untrusted = "cursorgate_connections_dropped_total{reason=\"proxy_untrusted\"}";
    eventually("they are counted", || (metric(&gateway, untrusted) == 2).then_some(()));
    assert_eq!(upstream.count(), 0);
}
