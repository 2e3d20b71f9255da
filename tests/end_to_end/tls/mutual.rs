//! Tests of mutual TLS: certificates of clients, and the gateway's own certificate for its upstreams.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
};

use openssl::ssl::SslVersion;

use super::{
    authority::{ALWAYS, Authority, EXPIRED, Identity},
    client::Caller,
    server::{Greeting, Secure},
};
use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, free_port},
    list::{PLAIN, serve, users},
    upstream::Upstream,
};

/// A gateway that identifies clients by their certificates.
struct Knowing {
    gateway: Gateway,
    secure: SocketAddr,
    upstream: Upstream,
}

const SUBJECT: &str = "x-client-subject";

/// Starts a gateway with a second listener. `clients` contains lines for the `tls` of that listener, and `more` lines
/// for the configuration.
fn knowing(folder: &Directory, root: &Authority, clients: &str, more: &str) -> Knowing {
    let upstream = Upstream::start(serve(users(3)));
    let secure = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let (certificate, key) = root.issue(&["api.test"], ALWAYS).files(folder, "api");
    let listener = format!(
        "server.client_subject = \"X-Client-Subject\"\n{more}\n[listeners.secure]\naddress = \"{secure}\"\n\
         [listeners.secure.tls]\ncertificate = {certificate:?}\nkey = \"file:{}\"\n{clients}\n",
        key.display()
    );
    let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let gateway = Gateway::start(&format!("{listener}{}{rest}", PLAIN.configuration(upstream.address)));
    Knowing { gateway, secure, upstream }
}

fn authorities(ca: &Path, need: &str) -> String {
    format!("clients = {{ ca = {ca:?}, certificate = \"{need}\" }}")
}

/// Returns the subject that the upstream got in its last request; `None` without one.
fn told(upstream: &Upstream) -> Option<String> {
    upstream.requests().last().and_then(|request| request.header(SUBJECT).map(str::to_owned))
}

/// The upstream gets the subject of the client's certificate, and no header of the client replaces or removes the
/// subject.
///
/// Row: A13, F04
#[test]
fn clients_are_known_by_their_certificates() {
    let folder = Directory::new();
    let (root, staff) = (Authority::new("root"), Authority::new("staff"));
    let (ca, staff_ca) = (root.file(&folder, "ca.pem"), staff.file(&folder, "staff.pem"));
    let known = knowing(&folder, &root, &authorities(&staff_ca, "required"), "");
    let (billing, odd) = (staff.issue(&["billing"], ALWAYS), staff.issue(&["a, b=c+\u{e9} "], ALWAYS));
    let caller = |identity: Option<&'static Identity>| Caller { identity, ..Caller::new(&ca, "api.test") };
    let leak = |identity: Identity| -> &'static Identity { Box::leak(Box::new(identity)) };
    let billing = leak(billing);
    for path in ["/users?limit=1", "/anything"] {
        for (headers, what) in [
            ("", "nothing"),
            ("X-Client-Subject: CN=root\r\n", "another"),
            ("X_Client_Subject: CN=root\r\n", "another by underscores"),
        ] {
            let answer = caller(Some(billing)).get(known.secure, path, headers).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{path} {what}: {answer}");
            assert_eq!(told(&known.upstream).as_deref(), Some("CN=billing"), "{path} {what}");
            let last = known.upstream.requests().pop().expect("a request");
            assert_eq!(last.header("x_client_subject"), None, "{path} {what}");
        }
        // A client can't remove its subject by naming the header in `Connection`.
        let cut = caller(Some(billing)).get(known.secure, path, "Connection: x-client-subject\r\n");
        assert!(cut.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 400 ")), "{cut:?}");
    }
    let page = caller(Some(billing)).get(known.secure, "/users?limit=1", "").expect("a page").to_lowercase();
    let vary = page.lines().find(|line| line.starts_with("vary:")).expect("a header");
    assert!(vary.contains(SUBJECT), "{vary}");
    caller(Some(leak(odd))).get(known.secure, "/anything", "").expect("an answer");
    assert_eq!(told(&known.upstream).as_deref(), Some(r"CN=a\, b\=c\+\C3\A9\20"));

    // The subject is also sent for a client by HTTP/2.
    let (certificate, key) = staff.issue(&["shipping"], ALWAYS).files(&folder, "shipping");
    let curl = Command::new("curl")
        .args(["--silent", "--http2", "--max-time", "60", "--write-out", "%{http_version} %{http_code}", "--output"])
        .arg(folder.file("answer"))
        .args(["--header", "X-Client-Subject: CN=root", "--resolve"])
        .arg(format!("api.test:{}:127.0.0.1", known.secure.port()))
        .args([Path::new("--cacert"), &ca, Path::new("--cert"), &certificate, Path::new("--key"), &key])
        .arg(format!("https://api.test:{}/anything", known.secure.port()))
        .output()
        .expect("curl is installed");
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "2 200", "{curl:?}");
    assert_eq!(told(&known.upstream).as_deref(), Some("CN=shipping"));

    for (what, identity) in [
        ("no certificate", None),
        ("another authority", Some(leak(root.issue(&["billing"], ALWAYS)))),
        ("expired", Some(leak(staff.issue(&["billing"], EXPIRED)))),
        ("self-signed", Some(leak(Identity::self_signed(&["billing"])))),
    ] {
        for newest in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
            let before = known.upstream.requests().len();
            let refused = Caller { newest, ..caller(identity) }.get(known.secure, "/anything", "");
            assert!(refused.is_err(), "{what}: {refused:?}");
            assert_eq!(known.upstream.requests().len(), before, "{what}");
        }
    }
    let refused = "cursorgate_tls_handshakes_failed_total{cause=\"client_certificate\"}";
    eventually("they are counted", || (known.gateway.metric(refused)? == 8).then_some(()));

    // If certificates are not requested, a client's own header of this name is removed.
    let plain = known.gateway.send("GET", "/anything", &[("X-Client-Subject", "CN=billing")], b"");
    assert_eq!((plain.status, told(&known.upstream)), (200, None));
}

#[test]
fn a_certificate_may_be_optional_and_a_proxy_may_name_its_client() {
    let folder = Directory::new();
    let (root, staff) = (Authority::new("root"), Authority::new("staff"));
    let (ca, staff_ca) = (root.file(&folder, "ca.pem"), staff.file(&folder, "staff.pem"));
    let more = "server.trusted_proxies = [\"127.0.0.1\"]\nserver.forwarded_headers = [\"X-Client-Subject\"]\n";
    for (more, says) in [("", None), (more, Some("CN=somebody"))] {
        let known = knowing(&folder, &root, &authorities(&staff_ca, "optional"), more);
        let caller = Caller::new(&ca, "api.test");
        let named = caller.get(known.secure, "/anything", "X-Client-Subject: CN=somebody\r\n").expect("an answer");
        assert!(named.starts_with("HTTP/1.1 200 "), "{named}");
        assert_eq!(told(&known.upstream).as_deref(), says);
        caller.get(known.secure, "/anything", "").expect("an answer");
        assert_eq!(told(&known.upstream), None);
        let billing = staff.issue(&["billing"], ALWAYS);
        let mut kept = Caller { identity: Some(&billing), ..caller }.connect(known.secure).expect("a handshake");
        for _ in 0..2 {
            kept.get("/anything", "").expect("an answer");
            assert_eq!(told(&known.upstream).as_deref(), Some("CN=billing"));
        }
        let stranger = root.issue(&["billing"], ALWAYS);
        let refused = Caller { identity: Some(&stranger), ..caller }.get(known.secure, "/anything", "");
        assert!(refused.is_err(), "{refused:?}");
    }
}

/// The authorities for clients are renewed like certificates.
#[test]
fn authorities_are_renewed() {
    let folder = Directory::new();
    let (root, staff, next) = (Authority::new("root"), Authority::new("staff"), Authority::new("next"));
    let (ca, staff_ca) = (root.file(&folder, "ca.pem"), staff.file(&folder, "staff.pem"));
    let known = knowing(&folder, &root, &authorities(&staff_ca, "required"), "");
    let (old, new) = (staff.issue(&["billing"], ALWAYS), next.issue(&["billing"], ALWAYS));
    let ask = |identity| Caller { identity: Some(identity), ..Caller::new(&ca, "api.test") };
    assert!(ask(&old).get(known.secure, "/anything", "").is_ok());
    assert!(ask(&new).get(known.secure, "/anything", "").is_err());
    next.file(&folder, "staff.pem");
    eventually("the new authority counts", || ask(&new).get(known.secure, "/anything", "").ok());
    assert!(ask(&old).get(known.secure, "/anything", "").is_err());
}

#[test]
fn a_listener_can_be_restricted_to_tls_1_3() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let ca = root.file(&folder, "ca.pem");
    let known = knowing(&folder, &root, "min_version = \"1.3\"", "");
    let newest = Caller::new(&ca, "api.test");
    assert!(newest.get(known.secure, "/anything", "").is_ok());
    let refused = Caller { newest: SslVersion::TLS1_2, ..newest }.get(known.secure, "/anything", "");
    assert!(refused.as_ref().is_err_and(|error| error.contains("protocol version")), "{refused:?}");
}

/// The gateway sends its certificate to an upstream that requires one. That certificate is renewed like any other.
///
/// Row: F04
#[test]
fn the_gateway_shows_a_certificate_to_its_upstream() {
    let folder = Directory::new();
    let (root, staff) = (Authority::new("root"), Authority::new("staff"));
    let between = staff.intermediate("between");
    let ca = root.file(&folder, "ca.pem");
    let demanding = Secure::start(Greeting::Mutual(root.issue(&["api.test"], ALWAYS), staff.certificate.clone()));
    let address = demanding.address;
    let (certificate, key) = between.issue(&["gateway-1"], ALWAYS).with(&between).files(&folder, "gateway");
    let route = |name: &str, more: &str| {
        format!(
            "[upstreams.{name}]\npeers = [\"{address}\"]\ntls = {{ server_name = \"api.test\", ca = {ca:?}{more} }}\n\
             [routes.{name}]\npath = \"/{name}/{{*rest}}\"\nupstream = \"{name}\"\naction = \"forward\"\n"
        )
    };
    let own = format!(", certificate = {certificate:?}, key = \"file:{}\"", key.display());
    let gateway = Gateway::start(&format!("{}{}", route("known", &own), route("unknown", "")));
    assert_eq!(gateway.get("/known/1").outcome(), "200");
    assert_eq!(gateway.get("/unknown/1").outcome(), "502 upstream_unavailable");
    assert_eq!(demanding.clients(), ["gateway-1"]);

    between.issue(&["gateway-2"], ALWAYS).with(&between).files(&folder, "gateway");
    eventually("the new certificate is shown", || {
        assert_eq!(gateway.get("/known/2").outcome(), "200");
        demanding.clients().contains(&"gateway-2".to_owned()).then_some(())
    });

    // An upstream whose authority has changed is not trusted until the file has the new authority.
    let other = Authority::new("other");
    other.file(&folder, "ca.pem");
    eventually("the new authority counts", || {
        (gateway.get("/known/3").outcome() == "502 upstream_unavailable").then_some(())
    });
    root.file(&folder, "ca.pem");
    eventually("the old authority counts", || (gateway.get("/known/4").outcome() == "200").then_some(()));
}

#[test]
fn an_upstream_can_be_restricted_to_tls_1_3() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let ca = root.file(&folder, "ca.pem");
    for (newest, outcome) in [(SslVersion::TLS1_2, "502 upstream_unavailable"), (SslVersion::TLS1_3, "200")] {
        let identity = root.issue(&["api.test"], ALWAYS);
        let upstream = Secure::start(Greeting::Certificate(identity, SslVersion::TLS1_2, newest));
        let gateway = Gateway::start(&format!(
            "[upstreams.new]\npeers = [\"{}\"]\ntls = {{ server_name = \"api.test\", ca = {ca:?}, min_version = \"1.3\" }}\n\
             [routes.new]\npath = \"/{{*rest}}\"\nupstream = \"new\"\naction = \"forward\"\n",
            upstream.address
        ));
        assert_eq!(gateway.get("/anything").outcome(), outcome);
        assert_eq!(upstream.requests().is_empty(), outcome != "200");
    }
}
