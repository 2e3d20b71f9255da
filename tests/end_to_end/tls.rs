//! Tests of TLS in both directions, with certificates of the tests' own authority: the certificates that the gateway
//! accepts from its upstream, and the certificates that its clients get.

pub(crate) mod authority;
pub(crate) mod client;
mod mutual;
mod renewal;
pub(crate) mod server;

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
};

use openssl::ssl::{SslConnector, SslMethod, SslVersion};

use self::{
    authority::{ALWAYS, Authority, EXPIRED, Identity, LATER},
    server::{Greeting, Secure},
};
use crate::harness::{
    Directory, PATIENCE, eventually,
    gateway::{Gateway, command, free_port},
    http,
    list::{PLAIN, serve, users},
    upstream::Upstream,
};

const NAME: &str = "api.people.test";

fn offered(identity: Identity) -> Greeting {
    Greeting::Certificate(identity, SslVersion::TLS1_2, SslVersion::TLS1_3)
}

/// An upstream whose certificate has a fault gets no request, neither over TLS nor in plain text.
///
/// Row: F04
#[test]
fn an_upstream_with_an_invalid_certificate_gets_no_request() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = root.intermediate("between");
    let versions = |least, most| Greeting::Certificate(root.issue(&[NAME], ALWAYS), least, most);
    let refused = "502 upstream_unavailable";
    let cases = [
        ("right", offered(root.issue(&[NAME], ALWAYS)), "200"),
        ("one-of-many", offered(root.issue(&["other.test", NAME], ALWAYS)), "200"),
        ("wildcard", offered(root.issue(&["*.people.test"], ALWAYS)), "200"),
        ("chain", offered(between.issue(&[NAME], ALWAYS).with(&between)), "200"),
        ("newest", versions(SslVersion::TLS1_3, SslVersion::TLS1_3), "200"),
        ("oldest", versions(SslVersion::TLS1_2, SslVersion::TLS1_2), "200"),
        ("broken-chain", offered(between.issue(&[NAME], ALWAYS)), refused),
        ("wrong-name", offered(root.issue(&["other.test"], ALWAYS)), refused),
        ("wrong-wildcard", offered(root.issue(&["*.api.people.test"], ALWAYS)), refused),
        ("wide-wildcard", offered(root.issue(&["*.test"], ALWAYS)), refused),
        ("unknown", offered(stranger.issue(&[NAME], ALWAYS)), refused),
        ("unknown-sent-along", offered(stranger.issue(&[NAME], ALWAYS).with(&stranger)), refused),
        ("self-signed", offered(Identity::self_signed(&[NAME])), refused),
        ("expired", offered(root.issue(&[NAME], EXPIRED)), refused),
        ("not-yet", offered(root.issue(&[NAME], LATER)), refused),
        ("tls-1-0", versions(SslVersion::TLS1, SslVersion::TLS1), refused),
        ("tls-1-1", versions(SslVersion::TLS1_1, SslVersion::TLS1_1), refused),
        ("close", Greeting::Close, refused),
        ("plain", Greeting::Plain, refused),
        ("silence", Greeting::Silence, "504 upstream_timeout"),
    ];
    let folder = Directory::new();
    let ca = root.file(&folder, "ca.pem");
    let upstreams = cases.map(|(name, greeting, outcome)| (name, Secure::start(greeting), outcome));
    let mut text = String::from(
        "[dialects.scripted]\nrequest = { query = \"offset={offset}&limit={size}\" }\n\
         response = { items = \"/items\", total = \"/total\" }\n",
    );
    for (name, upstream, _) in &upstreams {
        // Only silence must reach the deadline. The other cases have a long deadline, because the machine may be slow.
        let connect = if *name == "silence" { "500ms" } else { "30s" };
        let _ = write!(
            text,
            "[upstreams.{name}]\npeers = [\"{}\"]\ntls = {{ server_name = \"{NAME}\", ca = {ca:?} }}\n\
             timeouts = {{ connect = \"{connect}\", whole = \"30s\" }}\n\
             [routes.list-{name}]\npath = \"/{name}\"\nupstream = \"{name}\"\ndialect = \"scripted\"\n\
             [routes.rest-{name}]\npath = \"/{name}/{{*rest}}\"\nupstream = \"{name}\"\naction = \"forward\"\n",
            upstream.address
        );
    }
    let gateway = Gateway::start(&text);
    for (name, upstream, outcome) in &upstreams {
        for (path, line) in [(format!("/{name}?limit=1"), "?"), (format!("/{name}/anything"), "/anything")] {
            let response = gateway.get(&path);
            assert_eq!(response.outcome(), *outcome, "{path}: {response:?}");
            assert!(response.status == 200 || !response.text().contains("certificate"), "{path}: {response:?}");
            let asked = upstream.requests();
            assert_eq!(asked.iter().any(|asked| asked.contains(line)), *outcome == "200", "{path}: {asked:?}");
        }
        assert!(upstream.saw_tls_alone(), "{name}");
        assert!(upstream.names().iter().all(|asked| asked.as_deref() == Some(NAME)), "{name}: {:?}", upstream.names());
    }
    // The message names the setting to check, and contains no text of OpenSSL.
    for (path, told) in [
        ("/wrong-name", "its certificate is for other.test, and not for api.people.test, which is tls.server_name"),
        ("/unknown", "its certificate comes from no authority in tls.ca (issuer CN=stranger"),
        ("/self-signed", "its certificate comes from no authority in tls.ca"),
        ("/expired", "its certificate is out of date: it ended on Sep  9 01:46:40 2001 GMT"),
        ("/not-yet", "its certificate is not valid before Oct  2 07:06:40 2096 GMT: compare the clocks"),
        ("/plain", "the TLS handshake failed: "),
    ] {
        let detail = eventually("the line of the log", || {
            let line = gateway.access_log().into_iter().find(|line| line["path"] == path)?;
            Some(line["detail"].as_str()?.to_owned())
        });
        assert!(detail.contains(told) && !detail.contains("SSL routines"), "{path}: {detail}");
    }
}

/// The metric of the peers' certificates has the end that comes first, whichever peer answered last.
#[test]
fn the_certificate_of_a_peer_that_ends_first_is_known() {
    const ENDS: [i64; 3] = [4_100_000_000, 4_000_000_000, 4_102_444_800];
    let (root, folder) = (Authority::new("root"), Directory::new());
    let ca = root.file(&folder, "ca.pem");
    let upstreams = ENDS.map(|end| Secure::start(offered(root.issue(&[NAME], (0, end)))));
    let peers: Vec<String> = upstreams.iter().map(|upstream| format!("{:?}", upstream.address.to_string())).collect();
    let gateway = Gateway::start(&format!(
        "[upstreams.people]\npeers = [{}]\nbalance = \"round-robin\"\n\
         tls = {{ server_name = \"{NAME}\", ca = {ca:?} }}\n\
         [routes.all]\npath = \"/{{*rest}}\"\nupstream = \"people\"\naction = \"forward\"\n",
        peers.join(", ")
    ));
    for _ in 0..6 {
        assert_eq!(gateway.get("/anything").status, 200);
    }
    assert!(upstreams.iter().all(|upstream| !upstream.names().is_empty()), "each peer has been asked");
    let metrics = http::get(gateway.admin, "/metrics");
    let line =
        "cursorgate_certificate_not_after_timestamp_seconds{name=\"upstreams.people\",role=\"peer\"} 4000000000\n";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

/// A gateway whose second listener speaks TLS.
struct Listening {
    gateway: Gateway,
    secure: SocketAddr,
    _upstream: Upstream,
}

fn listening(certificate: &Path, key: &Path) -> Listening {
    listening_with(certificate, key, "")
}

/// Starts a gateway whose second listener has this certificate and key, with the tables of `more`.
fn listening_with(certificate: &Path, key: &Path, more: &str) -> Listening {
    let upstream = Upstream::start(serve(users(3)));
    let secure = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let listener = format!(
        "listeners.secure = {{ address = \"{secure}\", tls = {{ certificate = {certificate:?}, key = \"file:{}\" }} }}\n",
        key.display()
    );
    let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let gateway = Gateway::start(&format!("{listener}{}{rest}{more}", PLAIN.configuration(upstream.address)));
    Listening { gateway, secure, _upstream: upstream }
}

/// The settings of a client's handshake.
#[derive(Clone, Copy)]
struct Client<'a> {
    ca: &'a Path,
    name: &'a str,
    /// True if the client sends the name of the host (SNI).
    says_name: bool,
    version: SslVersion,
}

/// Sends a GET over TLS. Returns the answer, or the fault of the connection.
fn ask(address: SocketAddr, client: Client<'_>, path: &str) -> Result<String, String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL makes clients");
    builder.set_security_level(0);
    builder.set_cipher_list("ALL:@SECLEVEL=0").expect("ciphers");
    builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1 | openssl::ssl::SslOptions::NO_TLSV1_1);
    builder.set_min_proto_version(Some(client.version)).expect("a version");
    builder.set_max_proto_version(Some(client.version)).expect("a version");
    builder.set_ca_file(client.ca).expect("a certificate");
    let mut configuration = builder.build().configure().expect("a client");
    configuration.set_use_server_name_indication(client.says_name);
    let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut stream = configuration.connect(client.name, stream).map_err(|error| error.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", client.name);
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    // A connection may end without `close_notify`, so the error of the last read is ignored.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Clients get the certificate of the file, and judge its names, chain and expiry themselves. The gateway refuses old
/// versions of TLS.
///
/// Row: F04
#[test]
fn clients_get_the_configured_certificate_and_no_old_tls_version() {
    let folder = Directory::new();
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = root.intermediate("between");
    let (certificate, key) = between.issue(&["api.test", "www.test"], ALWAYS).with(&between).files(&folder, "api");
    let (ca, other) = (root.file(&folder, "ca.pem"), stranger.file(&folder, "other.pem"));
    let served = listening(&certificate, &key);
    let good = Client { ca: &ca, name: "api.test", says_name: true, version: SslVersion::TLS1_3 };
    let page = ask(served.secure, good, "/users?limit=1");
    for (what, client, expected) in [
        ("as it should be", good, Ok(())),
        ("another of its names", Client { name: "www.test", ..good }, Ok(())),
        ("no name", Client { says_name: false, ..good }, Ok(())),
        ("TLS 1.2", Client { version: SslVersion::TLS1_2, ..good }, Ok(())),
        ("TLS 1.2 without a name", Client { version: SslVersion::TLS1_2, says_name: false, ..good }, Ok(())),
        ("TLS 1.1", Client { version: SslVersion::TLS1_1, ..good }, Err("alert protocol version")),
        ("TLS 1.0", Client { version: SslVersion::TLS1, ..good }, Err("alert protocol version")),
        ("a name that it has not", Client { name: "evil.test", ..good }, Err("mismatch")),
        ("an authority that did not vouch", Client { ca: &other, ..good }, Err("verify failed")),
    ] {
        for path in ["/users?limit=1", "/anything"] {
            match (ask(served.secure, client, path), expected) {
                (Ok(answer), Ok(())) => assert!(answer.starts_with("HTTP/1.1 200 "), "{what}: {answer}"),
                (Err(fault), Err(expected)) => assert!(fault.contains(expected), "{what}: {fault}"),
                (got, _) => panic!("{what}: {got:?}"),
            }
        }
    }
    let requests = served._upstream.requests();
    assert!(requests.iter().all(|request| request.header("x-forwarded-proto") == Some("https")), "{requests:?}");
    assert!(page.is_ok_and(|page| page.contains("\"next\":\"/users?")), "links begin with the path");
}

/// A client gets the protocol that it negotiates, or HTTP/1.1 without a negotiation.
#[test]
fn clients_negotiate_their_protocol() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let (certificate, key) = root.issue(&["api.test"], ALWAYS).files(&folder, "api");
    let ca = root.file(&folder, "ca.pem");
    let served = listening(&certificate, &key);
    let port = served.secure.port();
    let url = format!("https://api.test:{port}/users?limit=5");
    let resolve = format!("api.test:{port}:127.0.0.1");
    let mut pages = Vec::new();
    for (arguments, version) in [
        (&["--http2"][..], "2"),
        (&["--http1.1"], "1.1"),
        (&["--http2", "--tls-max", "1.2"], "2"),
        (&["--no-alpn"], "1.1"),
    ] {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_version}", "--resolve"])
            .args([&resolve, "--cacert"])
            .arg(&ca)
            .args(arguments)
            .arg(&url)
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (page, spoken) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{arguments:?}: {output:?}"));
        assert_eq!(spoken, version, "{arguments:?}");
        pages.push(page.to_owned());
    }
    assert!(pages[0].contains("\"data\":") && pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    let requests = served._upstream.requests();
    assert!(requests.iter().all(|request| request.header("x-forwarded-proto") == Some("https")), "{requests:?}");
}

/// Handshakes that stall, or are not TLS, do not affect other clients.
///
/// Row: F04
#[test]
fn stalled_and_broken_handshakes_hinder_no_other_client() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let (certificate, key) = root.issue(&["api.test"], ALWAYS).files(&folder, "api");
    let ca = root.file(&folder, "ca.pem");
    let served = listening(&certificate, &key);
    let open = || TcpStream::connect(served.secure).expect("it listens");
    let silent: Vec<TcpStream> = (0..40).map(|_| open()).collect();
    // The first byte of a TLS record, and the beginning of a record that announces more bytes than follow.
    let partial: Vec<TcpStream> = [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01\x00"]
        .iter()
        .map(|bytes| {
            let mut stream = open();
            stream.write_all(bytes).expect("it reads");
            stream
        })
        .collect();
    for garbage in
        [&b"GET /users HTTP/1.1\r\nHost: api.test\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", &[0; 300], &[0x80; 300]]
    {
        let mut stream = open();
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(garbage).expect("it reads");
        stream.shutdown(std::net::Shutdown::Write).expect("a socket");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    let client = Client { ca: &ca, name: "api.test", says_name: true, version: SslVersion::TLS1_3 };
    for _ in 0..10 {
        let answer = ask(served.secure, client, "/users?limit=1").expect("a page");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    drop((silent, partial));
    assert_eq!(served.gateway.get("/users?limit=1").outcome(), "200");
}

/// A handshake that stalls before its first byte, within a record or after the greeting is ended at the deadline, and
/// counted as a timeout.
///
/// Row: F04
#[test]
fn a_handshake_that_stalls_is_ended_and_counted() {
    let folder = Directory::new();
    let (certificate, key) = Authority::new("root").issue(&["api.test"], ALWAYS).files(&folder, "api");
    let served = listening_with(&certificate, &key, "[server]\nhead_timeout = \"1s\"\n");
    // The clients send nothing, the beginning of a record, or a whole greeting, and then don't continue.
    let greeting = client::greeting("api.test");
    let mut stalled: Vec<TcpStream> = [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00", &greeting]
        .iter()
        .map(|bytes| {
            let mut stream = TcpStream::connect(served.secure).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
            stream.write_all(bytes).expect("it reads");
            stream
        })
        .collect();
    let count = stalled.len() as u64;
    for stream in &mut stalled {
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let is_reset = ended.as_ref().is_err_and(|fault| fault.kind() == ErrorKind::ConnectionReset);
        assert!(ended.is_ok() || is_reset, "the gateway ends it: {ended:?}");
    }
    let metric = |sample: &str| served.gateway.metric(sample);
    eventually("each is counted", || {
        let failed = metric("cursorgate_tls_handshakes_failed_total{cause=\"timeout\"}");
        let dropped = metric("cursorgate_connections_dropped_total{reason=\"handshake_timeout\"}");
        ((failed, dropped) == (Some(count), Some(count))).then_some(())
    });
    assert_eq!(served.gateway.get("/users?limit=1").outcome(), "200");
}

/// An expired certificate is served with a warning, and clients can refuse it. A certificate that does not belong to
/// its key is an error of the configuration.
///
/// Row: F04
#[test]
fn certificates_are_checked_before_clients_see_them() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let ca = root.file(&folder, "ca.pem");
    let (certificate, key) = root.issue(&["api.test"], EXPIRED).files(&folder, "expired");
    let served = listening(&certificate, &key);
    let client = Client { ca: &ca, name: "api.test", says_name: true, version: SslVersion::TLS1_3 };
    let fault = ask(served.secure, client, "/users?limit=1").expect_err("it has expired");
    assert!(fault.contains("expired"), "{fault}");
    let log = served.gateway.log();
    assert!(
        log.iter().any(|line| line.contains("warning: the certificate in ") && line.contains("expired ")),
        "{log:?}"
    );

    let (_, other) = root.issue(&["api.test"], ALWAYS).files(&folder, "other");
    let file = folder.file("cursorgate.toml");
    let text = format!(
        "version = 1\nlisteners.secure = {{ address = \"127.0.0.1:8443\", tls = {{ certificate = {certificate:?}, key = \
         \"file:{}\" }} }}\n[upstreams.people]\npeers = [\"people.internal:8000\"]\n\
         [routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"people\"\naction = \"forward\"\n",
        other.display()
    );
    std::fs::write(&file, text).expect("a file in the test's directory");
    for verb in ["check", "run"] {
        let output = command().args([verb, "--config"]).arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("does not belong to the certificate"), "{verb}: {said}");
        assert!(said.contains("cursorgate.toml:2:"), "{verb}: {said}");
    }
}
