//! Tests of trust and separation: headers of proxies, clients with different credentials, names of the admin listener,
//! loops of gateways, and files that other users can change.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt};

use crate::harness::{
    Directory,
    gateway::{Gateway, Keys, command, free_port},
    http,
    list::{PLAIN, Setup, serve, users},
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids},
    upstream::Upstream,
};

const FORWARD: &str = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

/// Headers by which proxies state the origin of a request.
const CLAIMS: [(&str, &str); 16] = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Port", "1"),
    ("Forwarded", "for=6.6.6.6;host=evil.example"),
    ("X-Real-IP", "6.6.6.6"),
    ("True-Client-IP", "6.6.6.6"),
    ("CF-Connecting-IP", "6.6.6.6"),
    ("X-Client-IP", "6.6.6.6"),
    ("X-Sucuri-ClientIP", "6.6.6.6"),
    ("Ali-CDN-Real-IP", "6.6.6.6"),
    ("X-Host", "evil.example"),
    ("X-Original-Host", "evil.example"),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X-Ssl-Client", "CN=root"),
];

/// Sends a request with all of [`CLAIMS`] through a gateway with these `[server]` settings. Returns the headers with
/// these names that the upstream gets.
fn seen(server: &'static str, target: &str) -> Vec<(String, String)> {
    let upstream = Upstream::start(serve(users(3)));
    let more = format!("{FORWARD}\n[server]\n{server}");
    let setup = Setup { more: Box::leak(more.into_boxed_str()), ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let response = gateway.send("GET", target, &CLAIMS, b"");
    assert_eq!(response.outcome(), "200", "{response:?}");
    let request = upstream.requests().pop().expect("it was asked");
    let is_claim = |name: &str| CLAIMS.iter().any(|(claim, _)| claim.eq_ignore_ascii_case(name));
    let mut seen: Vec<(String, String)> = request
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_lowercase(), value))
        .filter(|(name, _)| is_claim(name))
        .collect();
    seen.sort();
    seen
}

/// Of a trusted proxy's headers, only the headers that the proxy is known to write are trusted. A balancer appends to
/// `X-Forwarded-For`, sets the scheme, and forwards other headers as the client wrote them.
///
/// Row: A13
#[test]
fn headers_that_a_trusted_proxy_does_not_write_are_not_trusted() {
    let strangers: &[(&str, &str)] =
        &[("x-forwarded-for", "127.0.0.1"), ("x-forwarded-host", "gateway.test"), ("x-forwarded-proto", "http")];
    let usual: &[(&str, &str)] = &[
        ("x-forwarded-for", "203.0.113.9, 127.0.0.1"),
        ("x-forwarded-host", "gateway.test"),
        ("x-forwarded-proto", "https"),
    ];
    let listed: &[(&str, &str)] = &[
        ("cf-connecting-ip", "6.6.6.6"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
    ];
    let proof = ("x-ssl-client", "CN=root");
    for (server, expected, has_proof) in [
        ("", strangers, true),
        ("trusted_proxies = [\"127.0.0.1\"]", usual, true),
        ("trusted_proxies = [\"10.0.0.0/8\"]\nforwarded_headers = [\"X-Ssl-Client\"]", strangers, false),
        (
            "trusted_proxies = [\"127.0.0.1\"]\nforwarded_headers = [\"CF-Connecting-IP\", \"X-Forwarded-Host\"]",
            listed,
            true,
        ),
    ] {
        for target in ["/users?limit=1", "/anything"] {
            let mut seen = seen(server, target);
            // This header is not a usual one, and no proxy is known to write it, so it belongs to the application.
            let proven = seen.iter().position(|(name, _)| name == proof.0).map(|at| seen.remove(at));
            assert_eq!(proven.is_some(), has_proof, "{server}: {target}");
            let seen: Vec<(&str, &str)> = seen.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(seen, expected, "{server}: {target}");
        }
    }
}

/// Items that one client was served never determine a page of another client, regardless of the header by which the
/// upstream identifies clients. Items are looked up with the client's own credentials.
///
/// Row: A22
#[test]
fn pages_of_callers_known_by_other_headers_are_not_shared() {
    const BY_IDS: &str = "mode = \"seek\"";
    for (header, principal, vary) in [
        ("X-Api-Key", "", "X-Api-Key"),
        ("Private-Token", "", ""),
        ("X-Tenant-Id", "principal = [\"X-Tenant-Id\"]", "X-Tenant-Id"),
        ("X-Tenant-Id", "principal = [\"Authorization\"]", ""),
    ] {
        let rows = Rows::count(40);
        let served = rows.clone();
        let upstream = Upstream::start(move |exchange| {
            let is_b = exchange.request.headers.iter().any(|(_, value)| value == "b");
            // For the second client, the last item of the first client's page has other keys.
            match exchange.request.path() {
                "/users/31" if is_b => {
                    exchange.reply("200 OK", &[("Content-Type", "application/json")], Row::new(31, 7).json().as_bytes())
                }
                _ => served.answer(exchange),
            }
        });
        let route = format!("{BY_SCORE}\n{BY_IDS}\n{principal}");
        let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route));
        let first = gateway.send("GET", "/users?limit=10", &[(header, "a")], b"");
        let next = first.link("next").expect("a next page");
        assert!(
            first.header("vary").is_some_and(|said| said.to_lowercase().contains(&vary.to_lowercase())),
            "{first:?}"
        );
        let of_b = gateway.send("GET", &next, &[(header, "b")], b"");
        assert_eq!(of_b.outcome(), "410 cursor_gone", "{header}: {of_b:?}");
        let asked = upstream.requests();
        let look_up = asked.iter().find(|request| request.path() == "/users/31").expect("it was looked up");
        assert_eq!(look_up.header(header), Some("b"));
        let of_a = gateway.send("GET", &next, &[(header, "a")], b"");
        assert_eq!(ids(&of_a), (21..=30).rev().collect::<Vec<_>>(), "{header}: {of_a:?}");
    }
}

/// The admin listener refuses host names other than its own, for example a name by which an attacker's page reaches it
/// (DNS rebinding).
///
/// Row: A38
#[test]
fn the_admin_listener_refuses_foreign_host_names() {
    let upstream = Upstream::start(serve(users(1)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let ask = |host: &str, path: &str| http::send(gateway.admin, "GET", path, &[("Host", host)], b"").status;
    let address = gateway.admin.to_string();
    for path in ["/metrics", "/migration", "/openapi.json", "/nothing"] {
        let own = if path == "/nothing" { 404 } else { 200 };
        for (host, status) in [
            (address.as_str(), own),
            ("10.1.2.3", own),
            ("[::1]:9180", own),
            ("LocalHost:9180", own),
            ("evil.example", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example:9180", 421),
        ] {
            assert_eq!(ask(host, path), status, "{host}: {path}");
        }
    }
    assert_eq!(ask("evil.example", "/healthz"), 200, "a probe by name ends no process");
    let configuration = gateway.configuration();
    let named = configuration.replace("hosts = [\"gateway.test\"]", "hosts = [\"Metrics.Internal\"]");
    assert_ne!(named, configuration);
    gateway.rewrite_raw(&named);
    gateway.signal("HUP");
    crate::harness::eventually("the name is known", || (ask("metrics.internal:9180", "/metrics") == 200).then_some(()));
    assert_eq!(ask("evil.example", "/metrics"), 421);
}

/// A request to two gateways that lead to each other is refused after a few rounds. Otherwise it would circulate
/// without end.
///
/// Row: A20
#[test]
fn a_request_in_a_loop_of_gateways_is_cut_off() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let setup = Setup { more: FORWARD, route: "old_clients = \"translate\"", ..PLAIN };
    // The first gateway makes no retries, and the other one does not retry a request that has passed a gateway.
    let first = Setup { upstream: "retries = { most = 0 }", ..setup };
    let one = Gateway::start(&first.configuration(nowhere));
    let other = Gateway::start(&setup.configuration(one.public));
    // The address of the second gateway was not known when the first one started, so the first one gets it by a reload.
    one.rewrite(Keys::One, &first.configuration(other.public));
    one.signal("HUP");
    // Lines of the log may be late, so the counted request has its own path.
    for (target, counted, outcome) in
        [("/anything", "/counted", "508 loop_detected"), ("/users?limit=1", "/users/", "502 upstream_unavailable")]
    {
        crate::harness::eventually(target, || (one.get(target).outcome() == outcome).then_some(()));
        assert_eq!(one.get(counted).outcome(), outcome);
        let rounds = |gateway: &Gateway| gateway.access_log().iter().filter(|line| line["path"] == counted).count();
        let taken = crate::harness::eventually("all lines", || {
            let lines = rounds(&one) + rounds(&other);
            (lines >= 5).then_some(lines)
        });
        assert_eq!(taken, 5, "{target}");
    }
    // A chain of gateways is not a loop.
    let chain = [("Via", "1.1 cursorgate, 1.1 edge"), ("Via", "1.0 cursorgate")];
    let upstream = Upstream::start(serve(users(1)));
    let last = Gateway::start(&setup.configuration(upstream.address));
    assert_eq!(last.send("GET", "/users?limit=1", &chain, b"").outcome(), "200");
    assert_eq!(last.send("GET", "/anything", &chain, b"").outcome(), "200");
}

/// An offset beyond the bound causes no upstream request.
///
/// Row: A10
#[test]
fn the_depth_of_a_page_by_number_is_bounded() {
    let upstream = Upstream::start(serve(users(60)));
    for (policy, budget, deep, served) in [
        ("translate", "", "offset=1000000000000000000&limit=5", "offset=40&limit=5"),
        ("redirect", "", "offset=10000001&limit=5", "offset=40&limit=5"),
        ("translate", "budgets = { offset = 40 }", "offset=41&limit=5", "offset=40&limit=5"),
    ] {
        let route = format!("old_clients = {policy:?}\n{budget}");
        let setup = Setup { route: Box::leak(route.into_boxed_str()), ..PLAIN };
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        let before = upstream.count();
        let refused = gateway.get(&format!("/users?{deep}"));
        assert_eq!(refused.outcome(), "400 too_deep", "{refused:?}");
        assert!(refused.json()["restart"].is_string(), "{refused:?}");
        assert_eq!(upstream.count(), before, "{policy}: nothing was asked");
        let page = gateway.get(&format!("/users?{served}"));
        assert!([200, 307].contains(&page.status), "{policy}: {page:?}");
    }
}

/// The report of `check` names files that other users can read or write. Write access to the configuration or a key
/// controls the gateway; read access to a key allows signing cursors.
///
/// Row: A40
#[test]
fn files_that_others_can_read_or_write_are_named() {
    let folder = Directory::new();
    let (file, key) = (folder.file("cursorgate.toml"), folder.file("cursor.key"));
    let text = "version = 1\nserver.public_url = \"https://api.example.com\"\n[cursor]\nsigning_key = 1\nkeys = { 1 = \"file:cursor.key\" }\n\
                [upstreams.people]\npeers = [\"people.internal:8000\"]\n\
                [routes.users]\npath = \"/users\"\nupstream = \"people\"\ndialect = \"offset-limit\"\norder = [\"id\"]\nold_clients = \"none\"\n";
    std::fs::write(&file, text).expect("a file of the test's");
    std::fs::write(&key, "nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE\n").expect("a file of the test's");
    let report = |of_file: u32, of_key: u32| {
        for (path, mode) in [(&file, of_file), (&key, of_key)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is the test's own");
        }
        let output = command().args(["check", "--config"]).arg(&file).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(report(0o644, 0o600), "");
    for (of_file, of_key, said) in [
        (0o666, 0o600, "every account of this machine can write"),
        (0o644, 0o604, "accounts other than the owner's can read the secret in"),
        (0o644, 0o602, "every account of this machine can write"),
    ] {
        let report = report(of_file, of_key);
        assert!(report.contains(said), "{of_file:o} {of_key:o}: {report}");
        assert_eq!(report.matches("warning:").count(), 1, "{report}");
    }
}
