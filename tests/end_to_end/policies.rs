//! Tests that no other spelling of a path or method, no override header and no other host evades the policy of a list,
//! although a route forwards everything else.

use crate::harness::{
    gateway::Gateway,
    list::{Setup, serve, users},
    upstream::Upstream,
};

const BEHIND: &str = r#"
[routes.everything_else]
path = "/{*rest}"
upstream = "legacy"
action = "forward"

[routes.export]
path = "/users/export"
upstream = "legacy"
action = "forward"
"#;
const SETUP: Setup =
    Setup { upstream: "", route: "old_clients = \"reject\"\nlegacy = { sunset = 2026-06-30 }", more: BEHIND };

fn started(setup: &Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    (upstream, gateway)
}

/// The policy of a list applies to all spellings of its path, and paths that are only similar are passed to the
/// upstream.
///
/// Row: A23
#[test]
fn no_spelling_of_a_path_bypasses_the_policy_of_its_list() {
    let (upstream, gateway) = started(&SETUP);
    let spellings = [
        "//users",
        "/users//",
        "/./users",
        "/users%2F",
        "/%2Fusers",
        "/users;a=b",
        "/;x/users",
        "/users%3B",
        "/users%20",
        "/users;jsessionid=1/",
        "///users;x%20",
        "/users.json",
        "//users.json/",
        "/users%2Ejson",
        "/users.json;a=b",
    ];
    for path in spellings {
        for method in ["GET", "HEAD"] {
            let response = gateway.send(method, &format!("{path}?offset=0&limit=60"), &[], b"");
            assert_eq!(response.status, 400, "{method} {path}: {response:?}");
        }
    }
    assert_eq!(upstream.count(), 0);
    // Other paths pass: paths that only resemble the list's path, and `/users/export`, which has its own route.
    for (method, path) in [
        ("GET", "/users/1"),
        ("GET", "/users/export"),
        ("GET", "/users/ex%70ort"),
        ("GET", "/USERS"),
        ("GET", "/users.csv"),
        ("GET", "/users/1.json"),
        ("POST", "/users.json"),
        ("GET", "/people;a=b"),
        ("GET", "//people"),
        ("GET", "/files/a%2Fb"),
        ("GET", "/users%20x"),
        ("PUT", "//users"),
        ("DELETE", "/users;a=b"),
    ] {
        let response = gateway.send(method, path, &[], b"");
        assert_eq!(response.status, 200, "{method} {path}: {response:?}");
        assert_eq!(upstream.requests().pop().expect("it was asked").target, path, "as it came");
    }
}

/// If the upstream ignores case in paths, the policy of a list applies to its path in any case.
///
/// Row: A23
#[test]
fn the_policy_applies_to_a_path_in_any_case_if_the_upstream_ignores_case() {
    let (upstream, gateway) = started(&Setup { upstream: "paths = \"case-insensitive\"", ..SETUP });
    for path in ["/USERS", "/Users/", "//uSERS;x", "/Users.json"] {
        let response = gateway.get(&format!("{path}?offset=0"));
        assert_eq!(response.outcome(), "400 request_invalid", "{path}: {response:?}");
    }
    assert_eq!(upstream.count(), 0);
    assert_eq!(gateway.get("/PEOPLE").status, 200);
    assert_eq!(gateway.get("/users?cursor=start&limit=5").outcome(), "200");
}

/// The policy of a list applies to all spellings of a method, and to headers that override the method.
///
/// Row: A26
#[test]
fn no_spelling_of_a_method_bypasses_the_policy_of_a_list() {
    let (upstream, gateway) = started(&SETUP);
    for path in ["/users", "//users"] {
        for method in ["get", "Get", "head", "gET", "QUERY", "query"] {
            let response = gateway.send(method, &format!("{path}?offset=0"), &[], b"");
            assert_eq!(response.status, 400, "{method} {path}: {response:?}");
        }
        for name in ["X-HTTP-Method-Override", "X-Http-Method", "X_Method_Override"] {
            for said in ["GET", "get", " HEAD "] {
                let response = gateway.send("POST", &format!("{path}?offset=0"), &[(name, said)], b"x=1");
                assert_eq!(response.status, 400, "{name}: {said} {path}: {response:?}");
            }
        }
    }
    assert_eq!(upstream.count(), 0);
    for (method, path, headers) in [
        ("POST", "/users", &[("X-HTTP-Method-Override", "PATCH")][..]),
        ("POST", "/people", &[("X-HTTP-Method-Override", "GET")]),
        ("get", "/people", &[]),
        ("POST", "/users", &[]),
        ("PROPFIND", "/users", &[]),
        ("QUERY", "/people", &[]),
    ] {
        let response = gateway.send(method, path, headers, b"");
        assert_eq!(response.status, 200, "{method} {path} {headers:?}: {response:?}");
        let asked = upstream.requests().pop().expect("it was asked");
        assert_eq!(asked.header("x-http-method-override"), headers.first().map(|(_, said)| *said), "{asked:?}");
    }
}

/// The upstream gets the path by which the route was chosen, even if a header names another path.
///
/// Row: A26
#[test]
fn no_header_changes_the_path_that_the_upstream_gets() {
    let (upstream, gateway) = started(&SETUP);
    let names = ["X-Original-URL", "X-Rewrite-URL", "X_Original_URL", "X-Original-URI", "X-Override-URL", "Proxy"];
    for name in names {
        for method in ["POST", "GET"] {
            let sent = [(name, "/users?offset=0"), ("X-Other", "kept")];
            let response = gateway.send(method, "/zzz", &sent, b"");
            assert_eq!(response.status, 200, "{name}: {response:?}");
            let asked = upstream.requests().pop().expect("it was asked");
            assert_eq!((asked.header(name), asked.header("x-other")), (None, Some("kept")), "{asked:?}");
        }
    }
}

/// Where a list has no policy for old clients that another spelling would bypass, each spelling gets the service's own
/// response, with every method. A mark is refused, because the service would give its first page.
///
/// Row: A23
#[test]
fn another_spelling_reaches_a_list_whose_old_clients_pass() {
    let upstream = Upstream::start(serve(users(60)));
    let more = format!(
        "{BEHIND}\n[routes.issues]\npath = \"/projects/{{id}}/issues\"\nupstream = \"legacy\"\n\
                        dialect = \"scripted\"\norder = [\"id\"]\nold_clients = \"pass\"\n"
    );
    let more: &'static str = Box::leak(more.into_boxed_str());
    let plain = Setup { route: "old_clients = \"pass\"\nlegacy = { sunset = 2036-06-30 }", more, ..SETUP };
    let gateway = Gateway::start(&plain.configuration(upstream.address));
    let overrides = [("X-HTTP-Method-Override", "GET")];
    let spellings = [
        ("GET", "//users?offset=3", &[][..]),
        ("GET", "/users.json?offset=3&limit=5", &[]),
        ("HEAD", "/users%2F", &[]),
        ("GET", "/users;jsessionid=1?offset=3", &[]),
        ("GET", "/projects/group%2Fproject/issues?offset=3", &[]),
        ("POST", "/projects/group%2Fproject/issues", &[]),
        ("PUT", "/projects/group%2fproject/issues", &[]),
        ("POST", "/users?offset=3", &overrides),
        ("get", "/users?offset=3", &[]),
    ];
    for (method, target, headers) in spellings {
        let passed = gateway.send(method, target, headers, b"");
        assert_eq!(passed.status, 200, "{method} {target}: {passed:?}");
        let asked = upstream.requests().pop().expect("it was asked");
        assert_eq!((asked.method.as_str(), asked.target.as_str()), (method, target), "as it came");
    }
    let marked =
        ["//users?cursor=start", "/users.json?limit=5&cursor=~abc", "/projects/group%2Fproject/issues?cursor=start"];
    let before = upstream.count();
    for target in marked {
        assert_eq!(gateway.get(target).outcome(), "400 request_invalid", "{target}");
    }
    for (route, method, target) in [
        ("concurrency = { per_client = 5 }", "GET", "//users"),
        ("rate_limit = { requests = 9, per = \"1m\" }", "GET", "/users.json"),
        ("legacy = { rate_limit = { requests = 9, per = \"1m\" } }", "GET", "/users;a=b"),
        ("cors = { origins = [\"https://app.example.com\"] }", "GET", "/users%20"),
        ("legacy = { sunset = 2020-01-31, after_sunset = \"reject\" }", "GET", "//users"),
    ] {
        let route: &'static str = Box::leak(format!("old_clients = \"pass\"\n{route}").into_boxed_str());
        let gateway = Gateway::start(&Setup { route, ..SETUP }.configuration(upstream.address));
        assert_eq!(gateway.send(method, target, &[], b"").outcome(), "400 request_invalid", "{route}");
    }
    assert_eq!(upstream.count(), before);
}

/// The path of a list is not passed to the upstream under a host for which the list is not configured.
///
/// Row: A23
#[test]
fn no_other_host_bypasses_the_policy_of_a_list() {
    let setup = Setup {
        route: "old_clients = \"reject\"\nlegacy = { sunset = 2026-06-30 }\nhosts = [\"api.example\"]",
        ..SETUP
    };
    let (upstream, gateway) = started(&setup);
    let host = |host: &'static str| [("Host", host)];
    for path in ["/users?offset=0", "/users/", "//users", "/users;a=b", "/users.json"] {
        let response = gateway.send("GET", path, &host("other.example"), b"");
        assert_eq!(response.outcome(), "404 route_not_found", "{path}: {response:?}");
    }
    assert_eq!(gateway.send("GET", "/users?offset=0", &host("api.example"), b"").outcome(), "410 legacy_rejected");
    assert_eq!(upstream.count(), 0);
    for (method, path) in [("GET", "/people"), ("GET", "/users/1"), ("POST", "/users"), ("GET", "/users/export")] {
        assert_eq!(gateway.send(method, path, &host("other.example"), b"").status, 200, "{method} {path}");
    }
}

/// The same path at another upstream is another list, to which the policy doesn't apply.
#[test]
fn a_policy_does_not_apply_to_the_same_path_at_another_upstream() {
    let (upstream, other) = (Upstream::start(serve(users(60))), Upstream::start(serve(users(3))));
    let apart = format!(
        "[upstreams.other]\npeers = [\"{}\"]\n[routes.other]\npath = \"/{{*rest}}\"\nupstream = \"other\"\naction = \"forward\"",
        other.address
    );
    let setup = Setup { more: "", ..SETUP };
    let gateway = Gateway::start(&(setup.configuration(upstream.address) + &apart));
    assert_eq!(gateway.get("//users?offset=0").status, 200);
    assert_eq!(gateway.send("get", "/people", &[], b"").status, 200);
}
