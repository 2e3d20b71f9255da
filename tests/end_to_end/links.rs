//! Tests of the links of pages as clients use them: the library requests follows them unchanged, for each source of the
//! gateway's public address.

use std::{io::Read as _, net::SocketAddr, path::Path, process::Command};

use serde_json::Value;

use crate::{
    harness::{
        Directory,
        gateway::{Gateway, free_port},
        http,
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
    third_party::{Kind, ThirdParty, python},
    tls::authority::{ALWAYS, Authority},
};

const COUNT: usize = 90;

/// The settings that trust the proxy of these tests, and name the headers in which it states the origin of a request.
const VOUCHED: &str = "trusted_proxies = [\"127.0.0.1\"]\n\
                       forwarded_headers = [\"X-Forwarded-For\", \"X-Forwarded-Proto\", \"X-Forwarded-Host\", \
                       \"X-Forwarded-Port\", \"X-Forwarded-Prefix\", \"Forwarded\"]";

/// Returns a configuration that redirects legacy clients. `server` and `route` contain lines for their tables.
fn configuration(upstream: SocketAddr, server: &str, route: &str) -> String {
    let route = format!("old_clients = \"redirect\"\n{route}");
    let more = format!("[server]\n{server}");
    let setup = Setup { route: Box::leak(route.into_boxed_str()), more: Box::leak(more.into_boxed_str()), ..PLAIN };
    setup.configuration(upstream)
}

/// Starts a server that answers 503 until [`lead`] makes it a proxy in front of a gateway.
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

/// Walks the list with the library requests, and asserts that each direction has all ids in order. Returns the walker's
/// report.
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

/// A malformed host, port or path from a trusted proxy is ignored. No link leads elsewhere or breaks out of its header.
///
/// Row: A13
#[test]
fn malformed_headers_of_a_trusted_proxy_change_no_link() {
    let upstream = Upstream::start(serve(users(COUNT)));
    let gateway = Gateway::start(&configuration(upstream.address, VOUCHED, ""));
    let link = |headers: &[(&str, &str)]| {
        let page = gateway.send("GET", "/users?cursor=start&limit=5", headers, b"");
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
        // The next values aren't hosts, so they are ignored.
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
        // The next values aren't ports or schemes, so they are ignored.
        (&[host, ("X-Forwarded-Port", "0")], "http://api.example.com/users"),
        (&[host, ("X-Forwarded-Port", "65536")], "http://api.example.com/users"),
        (&[host, ("X-Forwarded-Port", "80@evil.example")], "http://api.example.com/users"),
        (&[host, ("X-Forwarded-Proto", "javascript")], "http://api.example.com/users"),
        // The next values aren't prefixes, so they are ignored.
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

/// Only a trusted proxy's headers choose the host of links, and only the headers that the configuration lists.
///
/// Row: A13
#[test]
fn untrusted_headers_do_not_change_the_host_of_links() {
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
        let page = gateway.send("GET", "/users?cursor=start&limit=5", &said, b"");
        assert_eq!(page.outcome(), "200", "{server}: {page:?}");
        assert!(page.link("next").is_some_and(|link| link.starts_with(expected)), "{server}: {page:?}");
    }
}

/// Walks a legacy list by the upstream's own links, as a legacy client does, and returns the ids.
fn walk_old(url: &str, style: &str) -> Vec<u64> {
    let mut walker = Command::new(python());
    walker.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/walkers/old.py")).args([style, url]);
    let output = walker.output().expect("python runs");
    assert!(output.status.success(), "{style} {url}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the walker prints JSON")
}

/// Starts an upstream by page number whose links, in `Link` and in the body, lead to the host of the request.
fn by_number() -> Upstream {
    Upstream::start(move |exchange| {
        let number =
            |name, otherwise| exchange.request.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
        let (page, size): (usize, usize) = (number("page", 1), number("per_page", 10));
        let host = exchange.request.header("host").unwrap_or_default().to_owned();
        let path = exchange.request.path().to_owned();
        let link = |page: usize| format!("<http://{host}{path}?page={page}&per_page={size}>");
        let last = COUNT.div_ceil(size);
        let mut links = vec![format!("<https://api.w.org/>; rel=\"https://api.w.org/\"")];
        if page > 1 {
            links.push(format!("{}; rel=\"prev\"", link(page - 1)));
        }
        if page < last {
            links.push(format!("{}; rel=\"next\", {}; rel=\"last\"", link(page + 1), link(last)));
        }
        let escaped = path.replace('/', "\\/");
        let items = ((page - 1) * size + 1..=(page * size).min(COUNT))
            .map(|id| format!("{{\"id\": {id}, \"link\":\"http:\\/\\/{host}{escaped}\\/{id}\"}}"));
        let body = format!("[{}]\n", items.collect::<Vec<_>>().join(" , "));
        let total = COUNT.to_string();
        let mut headers = vec![("Content-Type", "application/json; charset=UTF-8"), ("X-WP-Total", total.as_str())];
        headers.extend(links.iter().map(|link| ("Link", link.as_str())));
        exchange.reply("200 OK", &headers, body.as_bytes())
    })
}

/// Legacy clients of WordPress and of an API like GitHub's can walk by `Link`, although the upstream's links lead to a
/// host that they can't reach. The body, in which no dialect names links, is unchanged.
#[test]
fn old_clients_walk_by_the_links_of_an_upstream_that_has_another_host() {
    for (dialect, path) in [("github", "/orgs/a/repos"), ("wordpress", "/wp-json/wp/v2/posts")] {
        for (public_url, action) in [("", "dialect"), ("public_url = ", "dialect"), ("", "forward")] {
            let upstream = by_number();
            let proxy = proxy();
            let public = format!("http://{}/shop", proxy.address);
            let server =
                if public_url.is_empty() { String::new() } else { format!("[server]\n{public_url}{public:?}\n") };
            let route = match action {
                "forward" => "action = \"forward\"".to_owned(),
                _ => format!("dialect = {dialect:?}\norder = [\"id\"]\nold_clients = \"pass\""),
            };
            let gateway = Gateway::start(&format!(
                "{server}[upstreams.old]\npeers = [\"{}\"]\nhost_header = \"old.internal\"\n\
                 [routes.list]\npath = {path:?}\nupstream = \"old\"\n{route}\n",
                upstream.address
            ));
            lead(&proxy, gateway.public, |_| Vec::new());
            let base = if public_url.is_empty() { gateway.url("") } else { public };
            let url = format!("{base}{path}?page=1&per_page=7");
            assert_eq!(
                walk_old(&url, "link"),
                (1..=COUNT as u64).collect::<Vec<_>>(),
                "{dialect} {action} {public_url}"
            );
            let target = format!("{path}?page=2&per_page=7");
            let page = gateway.get(&target);
            let direct = http::send(upstream.address, "GET", &target, &[("Host", "old.internal")], b"");
            assert_eq!(page.text(), direct.text(), "{dialect} {action}");
            assert!(upstream.requests().iter().all(|request| request.header("host") == Some("old.internal")));
        }
    }
}

/// Legacy clients can follow the links in Django's bodies, which are absolute and lead to the host of the request.
#[test]
fn old_clients_walk_by_the_links_in_djangos_bodies() {
    let upstream = ThirdParty::start(Kind::Django);
    let configuration = upstream
        .configuration()
        .replace("[upstreams.legacy]\n", "[upstreams.legacy]\nhost_header = \"people.internal\"\n")
        .replace("old_clients = \"none\"", "old_clients = \"pass\"");
    let legacy = "[routes.users.legacy]\n";
    let gateway = Gateway::start(&format!("{configuration}\n{legacy}"));
    let walked = walk_old(&gateway.url("/v2/users?page=1&page_size=100&ordering=id"), "body");
    assert_eq!(walked, (1..=1_003).collect::<Vec<u64>>());
    // Except for the two links, the body is unchanged, in chunks and as a whole.
    let target = "page=3&page_size=100&ordering=id";
    let page = gateway.get(&format!("/v2/users?{target}"));
    let direct =
        http::send(upstream.address, "GET", &format!("/api/users/?{target}"), &[("Host", "people.internal")], b"");
    let own = "http://gateway.test/v2/users?";
    assert!(page.text() == direct.text().replace("http://people.internal/api/users/?", own), "the items differ");
    assert_eq!(page.text().matches(own).count(), 2);
    // HTTP/1.0 has no chunks: the end of the connection ends the body.
    let mut old = gateway.connect();
    old.send(format!("GET /v2/users?{target} HTTP/1.0\r\nHost: gateway.test\r\n\r\n").as_bytes()).expect("it listens");
    let mut answer = Vec::new();
    old.stream().read_to_end(&mut answer).expect("the connection ends");
    let old = String::from_utf8_lossy(&answer);
    assert!(old.contains("\"next\":\"http://") && old.ends_with('}'));

    let kept = format!("{configuration}\n{legacy}links = \"keep\"\n");
    let gateway = Gateway::start(&kept);
    let page = gateway.get(&format!("/v2/users?{target}"));
    assert!(page.body == direct.body, "byte for byte");
}

/// The gateway rewrites a redirect of the upstream to itself, so it leads to the gateway, even below the path of the
/// route. Other redirects are unchanged.
#[test]
fn redirects_of_the_upstream_to_itself_lead_to_the_gateway() {
    let upstream = Upstream::start(|exchange| {
        let location = exchange.request.header("x-location").unwrap_or_default().to_owned();
        exchange.reply("201 Created", &[("Location", location.as_str())], b"")
    });
    let gateway = Gateway::start(&format!(
        "server.public_url = \"https://api.example.com\"\n\
         [upstreams.old]\npeers = [\"{}\"]\nhost_header = \"old.internal\"\nbase_path = \"/v1\"\n\
         [routes.mapped]\npath = \"/users/{{id}}\"\nupstream_path = \"/api/people/{{id}}/\"\nupstream = \"old\"\naction = \"forward\"\n\
         [routes.kept]\npath = \"/kept/{{*rest}}\"\nupstream = \"old\"\naction = \"forward\"\nlegacy = {{ links = \"keep\" }}\n\
         [routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"old\"\naction = \"forward\"\n",
        upstream.address
    ));
    let peer = format!("http://{}/v1/x", upstream.address);
    for (path, location, expected) in [
        ("/orders", "http://old.internal/v1/orders/7", "https://api.example.com/orders/7"),
        ("/orders", peer.as_str(), "https://api.example.com/x"),
        ("/orders", "http://old.internal/v2/orders/7", "http://old.internal/v2/orders/7"),
        ("/orders", "https://elsewhere.example/v1/orders/7", "https://elsewhere.example/v1/orders/7"),
        ("/orders", "/v1/orders/7", "/v1/orders/7"),
        ("/users/5", "http://old.internal/v1/api/people/5/", "https://api.example.com/users/5"),
        ("/users/5", "http://old.internal/v1/api/people/5/cards?a=b", "https://api.example.com/users/5/cards?a=b"),
        ("/users/5", "http://old.internal/v1/login", "http://old.internal/v1/login"),
        ("/kept/x", "http://old.internal/v1/kept/x", "http://old.internal/v1/kept/x"),
    ] {
        let answer = gateway.send("POST", path, &[("X-Location", location)], b"{}");
        assert_eq!(answer.header("location"), Some(expected), "{path}: {location}");
    }
}
