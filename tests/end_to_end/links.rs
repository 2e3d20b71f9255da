//! Links of pages as clients use them: followed as they came, by the requests library, wherever the public address of
//! the gateway is known from.

use std::{net::SocketAddr, path::Path, process::Command};

use serde_json::Value;

use crate::{
    harness::{
        Directory,
        gateway::{Gateway, free_port},
        http,
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
    third_party::python,
    tls::authority::{ALWAYS, Authority},
};

const COUNT: usize = 90;

/// The headers in which the proxy of these tests says where a request came from.
const VOUCHED: &str = "trusted_proxies = [\"127.0.0.1\"]\n\
                       forwarded_headers = [\"X-Forwarded-For\", \"X-Forwarded-Proto\", \"X-Forwarded-Host\", \
                       \"X-Forwarded-Port\", \"X-Forwarded-Prefix\", \"Forwarded\"]";

/// Returns a configuration whose old clients are redirected, with these lines for the server and the route.
fn configuration(upstream: SocketAddr, server: &str, route: &str) -> String {
    let route = format!("legacy = {{ policy = \"redirect\" }}\n{route}");
    let more = format!("[server]\n{server}");
    let setup = Setup { route: Box::leak(route.into_boxed_str()), more: Box::leak(more.into_boxed_str()), ..PLAIN };
    setup.configuration(upstream)
}

/// Starts a proxy that removes `/shop` from paths and adds these headers.
fn proxy() -> Upstream {
    Upstream::start(|exchange| exchange.reply("503 Service Unavailable", &[], b""))
}

fn lead(
    proxy: &Upstream,
    gateway: SocketAddr,
    added: impl Fn(SocketAddr) -> Vec<(String, String)> + Send + Sync + 'static,
) {
    let own = proxy.address;
    proxy.answer(move |exchange| {
        let target = exchange.request.target.strip_prefix("/shop").unwrap_or("/elsewhere").to_owned();
        let added = added(own);
        let mut headers = vec![("Host", "backend.internal")];
        headers.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = http::send(gateway, &exchange.request.method, &target, &headers, b"");
        let is_kept =
            |name: &str| ["content-type", "link", "location"].iter().any(|kept| name.eq_ignore_ascii_case(kept));
        let kept: Vec<(&str, &str)> = answer
            .headers
            .iter()
            .filter(|(name, _)| is_kept(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        exchange.reply(&format!("{} Status", answer.status), &kept, &answer.body)
    });
}

/// Walks the list with the requests library and compares it with the upstream's.
fn follow(url: &str, certificate: Option<&Path>) -> Value {
    let mut walker = Command::new(python());
    walker.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/walkers/follow.py")).arg(url).args(certificate);
    let output = walker.output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{url}: {said}");
    let walked: Value = serde_json::from_slice(&output.stdout).expect("the walker prints JSON");
    let all: Vec<usize> = (1..=COUNT).collect();
    assert_eq!(walked["forward"], Value::from(all.clone()), "{url}");
    assert_eq!(walked["back"], Value::from(all.clone()), "{url}");
    assert_eq!(walked["restart"], Value::from(all[..20].to_vec()), "{url}");
    assert_eq!(walked["redirected"], Value::from(all[40..60].to_vec()), "{url}");
    walked
}

fn next_of(walked: &Value) -> &str {
    walked["next"].as_str().expect("a link")
}

#[test]
fn links_can_be_followed_where_the_public_url_is_set() {
    let upstream = Upstream::start(serve(users(COUNT)));
    let proxy = proxy();
    let public = format!("http://{}/shop", proxy.address);
    let gateway = Gateway::start(&configuration(upstream.address, &format!("public_url = {public:?}"), ""));
    lead(&proxy, gateway.public, |_| Vec::new());
    let walked = follow(&format!("{public}/users"), None);
    assert!(next_of(&walked).starts_with(&format!("{public}/users?")), "{walked}");
}

#[test]
fn links_can_be_followed_behind_a_trusted_proxy_with_a_prefix() {
    type Headers = fn(SocketAddr) -> Vec<(&'static str, String)>;
    let ways: [(&str, Headers); 3] = [
        ("X-Forwarded-Host with its port", |own| {
            vec![
                ("X-Forwarded-Host", own.to_string()),
                ("X-Forwarded-Proto", "http".to_owned()),
                ("X-Forwarded-Prefix", "/shop".to_owned()),
            ]
        }),
        ("X-Forwarded-Port", |own| {
            vec![
                ("X-Forwarded-Host", own.ip().to_string()),
                ("X-Forwarded-Port", own.port().to_string()),
                ("X-Forwarded-Prefix", "/shop/".to_owned()),
            ]
        }),
        ("Forwarded", |own| {
            vec![
                ("Forwarded", format!("for=192.0.2.1;host=evil.example, for=\"[::1]:7\";proto=http;host=\"{own}\"")),
                ("X-Forwarded-Prefix", "/shop".to_owned()),
            ]
        }),
    ];
    let upstream = Upstream::start(serve(users(COUNT)));
    let gateway = Gateway::start(&configuration(upstream.address, VOUCHED, ""));
    for (what, headers) in ways {
        let proxy = proxy();
        lead(&proxy, gateway.public, move |own| {
            headers(own).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        });
        let public = format!("http://{}/shop/users", proxy.address);
        let walked = follow(&public, None);
        assert!(next_of(&walked).starts_with(&public), "{what}: {walked}");
    }
}

#[test]
fn links_can_be_followed_at_a_tls_listener_of_a_route_with_one_host() {
    let upstream = Upstream::start(serve(users(COUNT)));
    let folder = Directory::new();
    let root = Authority::new("root");
    let (certificate, key) = root.issue(&["localhost"], ALWAYS).files(&folder, "own");
    let secure = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listener = format!(
        "listeners.secure = {{ address = \"{secure}\", tls = {{ certificate = {certificate:?}, key = \"file:{}\" }} }}\n",
        key.display()
    );
    let rest = configuration(upstream.address, "", "hosts = [\"localhost\"]");
    let _gateway = Gateway::start(&format!("{listener}{rest}"));
    let public = format!("https://localhost:{}/users", secure.port());
    let walked = follow(&public, Some(&root.file(&folder, "ca.pem")));
    assert!(next_of(&walked).starts_with(&public), "{walked}");
}

/// The word of a proxy is a host, a port and a path, or nothing: no link leads elsewhere, and none ends a header.
///
/// Row: A13
#[test]
fn malformed_words_of_a_trusted_proxy_change_no_link() {
    let upstream = Upstream::start(serve(users(COUNT)));
    let gateway = Gateway::start(&configuration(upstream.address, VOUCHED, ""));
    let link = |headers: &[(&str, &str)]| {
        let page = gateway.send("GET", "/users?limit=5", headers, b"");
        assert_eq!(page.outcome(), "200", "{headers:?}: {page:?}");
        let link = page.link("next").unwrap_or_else(|| panic!("{headers:?}: {page:?}"));
        assert_eq!(page.json()["links"]["next"], link.as_str(), "{headers:?}");
        link.split_once('?').expect("a query").0.to_owned()
    };
    let host = ("X-Forwarded-Host", "api.example.com");
    for (headers, expected) in [
        (&[host][..], "http://api.example.com/users"),
        (&[("X-Forwarded-Host", "evil.example, api.example.com")], "http://api.example.com/users"),
        (
            &[("X-Forwarded-Host", "API.example.com:8443"), ("X-Forwarded-Proto", "https")],
            "https://api.example.com:8443/users",
        ),
        (&[("X-Forwarded-Host", "[2001:db8::1]"), ("X-Forwarded-Port", "81")], "http://[2001:db8::1]:81/users"),
        (&[host, ("X-Forwarded-Port", "443"), ("X-Forwarded-Proto", "https")], "https://api.example.com/users"),
        (&[host, ("X-Forwarded-Port", "80"), ("X-Forwarded-Proto", "https")], "https://api.example.com/users"),
        (&[("X-Forwarded-Prefix", "/shop")], "/shop/users"),
        (&[host, ("X-Forwarded-Prefix", "/a%20b/")], "http://api.example.com/a%20b/users"),
        // None of these is a host.
        (&[("X-Forwarded-Host", "user@evil.example")], "/users"),
        (&[("X-Forwarded-Host", "evil.example/x")], "/users"),
        (&[("X-Forwarded-Host", "evil.example?x")], "/users"),
        (&[("X-Forwarded-Host", "evil.example#")], "/users"),
        (&[("X-Forwarded-Host", "evil.example\\x")], "/users"),
        (&[("X-Forwarded-Host", "evil.example>; rel=\"next\"")], "/users"),
        (&[("X-Forwarded-Host", "evil.example\tx")], "/users"),
        (&[("X-Forwarded-Host", "evil.example:0")], "/users"),
        (&[("X-Forwarded-Host", "evil.example:65536")], "/users"),
        (&[("X-Forwarded-Host", "evil.example:8a")], "/users"),
        (&[("X-Forwarded-Host", "[::1")], "/users"),
        (&[("X-Forwarded-Host", "é.example")], "/users"),
        (&[("X-Forwarded-Host", "")], "/users"),
        (&[("Forwarded", "host=\"evil.example")], "/users"),
        (&[("Forwarded", "host=evil.example;proto=gopher;host=x y")], "/users"),
        // None of these is a port or a scheme.
        (&[host, ("X-Forwarded-Port", "0")], "http://api.example.com/users"),
        (&[host, ("X-Forwarded-Port", "65536")], "http://api.example.com/users"),
        (&[host, ("X-Forwarded-Port", "80@evil.example")], "http://api.example.com/users"),
        (&[host, ("X-Forwarded-Proto", "javascript")], "http://api.example.com/users"),
        // None of these is a prefix.
        (&[("X-Forwarded-Prefix", "//evil.example")], "/users"),
        (&[("X-Forwarded-Prefix", "/a//b")], "/users"),
        (&[("X-Forwarded-Prefix", "/a/../b")], "/users"),
        (&[("X-Forwarded-Prefix", "/%2e%2e/b")], "/users"),
        (&[("X-Forwarded-Prefix", "/%2Fevil.example")], "/users"),
        (&[("X-Forwarded-Prefix", "/\\evil.example")], "/users"),
        (&[("X-Forwarded-Prefix", "/a%0d%0aX: y")], "/users"),
        (&[("X-Forwarded-Prefix", "/a?b")], "/users"),
        (&[("X-Forwarded-Prefix", "/a#b")], "/users"),
        (&[("X-Forwarded-Prefix", "/a>b")], "/users"),
        (&[("X-Forwarded-Prefix", "evil.example")], "/users"),
        (&[("X-Forwarded-Prefix", "/a\tb")], "/users"),
    ] {
        assert_eq!(link(headers), expected, "{headers:?}");
    }
}

/// Only the word of a trusted proxy counts, and of that only the headers that it writes itself.
///
/// Row: A13
#[test]
fn strangers_say_no_host_of_links() {
    let upstream = Upstream::start(serve(users(COUNT)));
    let said = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "81"),
        ("X-Forwarded-Prefix", "/evil"),
        ("Forwarded", "host=evil.example"),
    ];
    for (server, expected) in [
        ("", "/users?"),
        ("trusted_proxies = [\"127.0.0.1\"]", "/users?"),
        ("trusted_proxies = [\"10.0.0.0/8\"]\nforwarded_headers = [\"X-Forwarded-Host\", \"Host\"]", "/users?"),
        ("trusted_proxies = [\"127.0.0.1\"]\nforwarded_headers = [\"Host\"]", "http://evil.example/users?"),
    ] {
        let gateway = Gateway::start(&configuration(upstream.address, server, ""));
        let page = gateway.send("GET", "/users?limit=5", &said, b"");
        assert_eq!(page.outcome(), "200", "{server}: {page:?}");
        assert!(page.link("next").is_some_and(|link| link.starts_with(expected)), "{server}: {page:?}");
    }
}
