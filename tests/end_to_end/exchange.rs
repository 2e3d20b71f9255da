//! Tests of HTTP on list routes: methods, headers in both directions, conditional requests, framing, and requests that
//! are refused without a request to the upstream.

use crate::harness::{
    gateway::Gateway,
    http::{Connection, Response},
    list::{PLAIN, Setup, body, serve, users},
    upstream::{After, Upstream},
};

fn started() -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    (upstream, gateway)
}

/// HEAD has the status and the headers of GET, without the body. The upstream gets a GET.
///
/// Row: F62
#[test]
fn head_is_get_without_the_body() {
    let (upstream, gateway) = started();
    let target = "/users?limit=5";
    let get = gateway.get(target);
    let head = gateway.send("HEAD", target, &[], b"");
    let shown = |response: &Response| {
        let mut headers = response.headers.clone();
        // The time and the request id differ for each request, so they are not compared.
        headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.to_lowercase().as_str()));
        headers.sort();
        headers
    };
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert_eq!(shown(&head), shown(&get));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    assert!(head.link("next").is_some());
    assert!(upstream.requests().iter().all(|request| request.method == "GET"), "a page is read from a body");
}

/// Large items are sent without copying. Each response on a connection must contain the right items at their places.
#[test]
fn a_large_page_goes_out_byte_for_byte() {
    let items = users(400).into_iter().zip(0..);
    let items: Vec<String> = items
        .map(|(user, number)| user.replace('}', &format!(",\"text\":\"{}\"}}", "text ".repeat(number * 7))))
        .collect();
    let upstream = Upstream::start(serve(items.clone()));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let mut connection = Connection::open(gateway.public).expect("it listens");
    let mut get = |target: &str, headers: &[(&str, &str)]| {
        connection.request("GET", target, headers, b"").expect("it is answered")
    };
    let mut target = "/users?limit=150".to_owned();
    for expected in items.chunks(150) {
        let page = get(&target, &[]);
        assert_eq!(page.outcome(), "200");
        let begin = format!(r#"{{"data":[{}],""#, expected.join(","));
        assert!(page.text().starts_with(&begin) && page.json().is_object(), "{target}");
        assert_eq!(page.header("content-length"), Some(page.body.len().to_string().as_str()));
        let tag = page.header("etag").expect("pages have one").to_owned();
        assert_eq!(get(&target, &[("If-None-Match", &tag)]).status, 304);
        target = page.link("next").unwrap_or_default();
    }
    assert!(target.is_empty());
    let last = gateway.get("/users?limit=150").link("last").expect("the total is known");
    let back = gateway.get(&last);
    assert!(back.text().starts_with(&format!(r#"{{"data":[{}],""#, items[250..].join(","))));
}

/// A conditional request for an unchanged page gets 304 without a body, and a changed page is sent.
///
/// Row: F64
#[test]
fn a_page_that_did_not_change_is_not_sent_again() {
    let (upstream, gateway) = started();
    let page = gateway.get("/users?limit=5");
    let tag = page.header("etag").expect("pages have one").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let before = upstream.count();
    for condition in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned(), tag.trim_start_matches("W/").to_owned()]
    {
        let same = gateway.send("GET", "/users?limit=5", &[("If-None-Match", &condition)], b"");
        assert_eq!((same.status, same.body.len()), (304, 0), "{condition}");
        assert_eq!(same.header("etag"), Some(tag.as_str()), "{condition}");
        assert_eq!(same.header("link"), page.header("link"), "{condition}");
    }
    assert_eq!(upstream.count(), before + 4, "the upstream was asked each time");
    assert!(upstream.requests().iter().all(|request| request.header("if-none-match").is_none()));

    upstream.answer(serve(users(61)));
    let changed = gateway.send("GET", "/users?limit=5", &[("If-None-Match", &tag)], b"");
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
}

#[test]
fn the_upstream_gets_the_end_to_end_headers_of_the_client() {
    let (upstream, gateway) = started();
    let sent = [
        ("Host", "shop.example"),
        ("Authorization", "Bearer token"),
        ("Accept", "text/html,*/*;q=0.8"),
        ("Accept-Language", "pl"),
        ("X-Custom", "one"),
        ("X-Named", "dropped: the connection names it"),
        ("Connection", "keep-alive, X-Named"),
        ("Range", "bytes=0-10"),
        ("If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("Accept-Encoding", "br, gzip"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Content-Type", "text/plain"),
    ];
    let page = gateway.send("GET", "/users?limit=5", &sent, b"");
    assert_eq!(page.outcome(), "200", "{page:?}");
    let request = upstream.requests().pop().expect("it was asked");
    for (name, value) in [
        ("host", Some("shop.example")),
        ("authorization", Some("Bearer token")),
        ("accept", Some("application/json")),
        ("accept-language", Some("pl")),
        ("x-custom", Some("one")),
        ("accept-encoding", Some("identity")),
        ("x-named", None),
        ("range", None),
        ("if-modified-since", None),
        ("x-http-method-override", None),
        ("content-type", None),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("shop.example")),
    ] {
        assert_eq!(request.header(name), value, "{name} of {request:?}");
    }
    assert!(request.header("via").is_some(), "{request:?}");
}

#[test]
fn the_client_gets_the_headers_of_the_answer_that_still_hold() {
    let (upstream, gateway) = started();
    let items = users(60);
    upstream.answer(move |exchange| {
        let headers = [
            ("Content-Type", "application/vnd.legacy+json"),
            ("X-Custom", "one"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("ETag", "\"upstream\""),
            ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("Link", "<http://upstream.internal/users?offset=5>; rel=\"next\""),
            ("Server", "legacy/1.0"),
            ("Accept-Ranges", "items"),
            ("Digest", "sha-256=x"),
            ("Vary", "Accept-Language"),
            ("Cache-Control", "max-age=60"),
        ];
        let body = body(exchange, &items);
        exchange.reply("200 OK", &headers, body.as_bytes())
    });
    let page = gateway.get("/users?limit=5");
    assert_eq!(page.outcome(), "200", "{page:?}");
    assert_eq!(page.header("content-type"), Some("application/json"));
    assert_eq!(page.header("x-custom"), Some("one"));
    let cookies = page.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).count();
    assert_eq!(cookies, 2, "{page:?}");
    for name in ["last-modified", "accept-ranges", "digest", "server"] {
        let value = page.header(name).unwrap_or_default();
        assert!(value.is_empty() || value == "cursorgate", "{name}: {value}");
    }
    assert!(page.header("etag").is_none_or(|tag| tag.starts_with("W/")), "{page:?}");
    assert!(page.headers.iter().all(|(_, value)| !value.contains("upstream.internal")), "{page:?}");
    assert!(page.header("vary").is_some_and(|vary| vary.contains("Accept-Language")), "{page:?}");
    let caching = page.header("cache-control").expect("it always says");
    assert!(caching.contains("no-store") || caching.contains("private"), "a cookie forbids caching: {caching}");
}

/// Without a public URL, links are relative, even if the client sends another host. Answers never contain the
/// upstream's address.
///
/// Row: A13
#[test]
fn links_begin_with_the_path_and_never_show_the_upstream() {
    let (upstream, gateway) = started();
    let forged = [
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "host=evil.example"),
    ];
    for (headers, target) in [(&[][..], "/users?limit=5"), (&forged[..], "/users?limit=5")] {
        let page = gateway.send("GET", target, headers, b"");
        let body = page.json();
        for relation in ["next", "first", "last"] {
            let link = page.link(relation).unwrap_or_else(|| panic!("{relation} in {page:?}"));
            assert!(link.starts_with("/users?"), "{relation}: {link}");
            assert_eq!(body["links"][relation], link.as_str());
        }
        assert_eq!(body["links"]["self"], target);
        let shown = format!("{page:?}");
        assert!(!shown.contains("evil.example") && !shown.contains(&upstream.address.port().to_string()), "{shown}");
    }
}

/// Links begin with the public URL of the route, or with one of its hosts, and never with another host that a client
/// sends.
///
/// Row: A13
#[test]
fn links_begin_with_the_public_url_where_there_is_one() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup {
        upstream: "",
        route: "public_url = \"https://api.example.com/v2\"",
        more: "[routes.hosted]\nhosts = [\"shop.example\"]\npath = \"/hosted\"\nupstream = \"legacy\"\ndialect = \"scripted\"\norder = [\"id\"]",
    };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let page = gateway.send("GET", "/users?limit=5", &[("Host", "evil.example")], b"");
    assert!(page.link("next").is_some_and(|link| link.starts_with("https://api.example.com/v2/users?")), "{page:?}");
    let page = gateway.send("GET", "/hosted?limit=5", &[("Host", "shop.example")], b"");
    assert!(page.link("next").is_some_and(|link| link.starts_with("http://shop.example/hosted?")), "{page:?}");
    let page = gateway.send("GET", "/hosted?limit=5", &[("Host", "other.example")], b"");
    assert_eq!(page.outcome(), "404 route_not_found");
}

#[test]
fn paths_match_with_or_without_one_final_slash() {
    let (_upstream, gateway) = started();
    for (target, outcome) in [
        ("/users", "200"),
        ("/users/", "200"),
        ("/users//", "404 route_not_found"),
        ("/users/1", "404 route_not_found"),
        ("/user", "404 route_not_found"),
        ("/", "404 route_not_found"),
        ("/Users", "404 route_not_found"),
    ] {
        let response = gateway.get(target);
        assert!(
            response.outcome() == outcome || response.outcome() == "400 request_invalid" && target.contains("//"),
            "{target}: {response:?}"
        );
    }
}

/// Requests with other methods for a list are forwarded unchanged.
///
/// Row: F63
#[test]
fn other_methods_on_a_list_reach_the_upstream_untouched() {
    let (upstream, gateway) = started();
    upstream.answer(|exchange| {
        let body = exchange.body()?;
        let told =
            format!("{} {} {}", exchange.request.method, exchange.request.target, String::from_utf8_lossy(&body));
        exchange.reply("201 Created", &[("X-Upstream", "yes")], told.as_bytes())
    });
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let response = gateway.send(method, "/users?offset=3&limit=x", &[], b"{\"name\":1.0}");
        assert_eq!(response.status, 201, "{method}: {response:?}");
        assert_eq!(response.text(), format!("{method} /users?offset=3&limit=x {{\"name\":1.0}}"));
        assert_eq!(response.header("x-upstream"), Some("yes"));
    }
    let response = gateway.send("OPTIONS", "/users", &[("Origin", "https://a.example")], b"");
    assert_eq!((response.status, response.text()), (201, "OPTIONS /users "));
}

/// Ambiguous, malformed and oversized requests are refused, and don't reach the upstream.
///
/// Row: A17, F61
#[test]
fn ambiguous_requests_are_refused() {
    let (upstream, gateway) = started();
    let long = "a".repeat(20_000);
    let many = (0..200).map(|n| format!("X-{n}: {}\r\n", "v".repeat(150))).collect::<String>();
    for (what, request, statuses) in [
        ("no Host", "GET /users HTTP/1.1\r\n\r\n".to_owned(), &[400][..]),
        ("two Hosts", "GET /users HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), &[400]),
        (
            "a length and chunks",
            "POST /users HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            &[400],
        ),
        // A body by GET is read as one by POST, which has to be JSON.
        ("a body on GET", "GET /users HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(), &[415]),
        ("a backslash in the path", "GET /users\\..\\x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400]),
        ("a control byte in the path", "GET /us\x01ers HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400]),
        ("an encoded slash in the path", "GET /users%2f HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400, 404]),
        ("steps up behind a semicolon", "GET /x/..;/users HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400]),
        ("a Host that is a list", "GET /users HTTP/1.1\r\nHost: a, b\r\n\r\n".to_owned(), &[400]),
        ("a Host with a user", "GET /users HTTP/1.1\r\nHost: a@b\r\n\r\n".to_owned(), &[400]),
        ("a Host with a path", "GET /users HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(), &[400]),
        (
            "a nominated credential, forwarded",
            "DELETE /users HTTP/1.1\r\nHost: a\r\nConnection: Authorization\r\n\r\n".to_owned(),
            &[400],
        ),
        ("steps up in the path", "GET /x/../users HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400, 404]),
        ("a long target", format!("GET /users?q={long} HTTP/1.1\r\nHost: a\r\n\r\n"), &[414, 431]),
        ("a large head", format!("GET /users HTTP/1.1\r\nHost: a\r\n{many}\r\n"), &[431]),
        ("a large header", format!("GET /users HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"), &[431]),
        ("TRACE", "TRACE /users HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400, 405, 501]),
        (
            "a nominated header of ours",
            "GET /users HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n".to_owned(),
            &[400],
        ),
    ] {
        let mut connection = gateway.connect();
        connection.send(request.as_bytes()).expect("it is sent");
        let response = connection.response("GET").unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert!(statuses.contains(&response.status), "{what}: {response:?}");
        // The HTTP parser refuses these three requests itself, and may do so without a problem document.
        let parsed = !["two Hosts", "a Host with a user", "a Host with a path"].contains(&what);
        assert!(!parsed || !response.code().is_empty(), "{what}: a problem document: {response:?}");
    }
    assert_eq!(upstream.count(), 0, "nothing of it went upstream: {:?}", upstream.requests());
    assert_eq!(gateway.get("/users").outcome(), "200");
}

/// A connection serves hundreds of requests in a row, even after refusals.
///
/// Row: F65
#[test]
fn a_connection_serves_any_number_of_requests() {
    let (_upstream, gateway) = started();
    let mut connection = gateway.connect();
    for round in 0..200 {
        let (target, outcome) = match round % 4 {
            0 => ("/users?limit=3", "200"),
            1 => ("/users?limit=abc", "400 limit_invalid"),
            2 => ("/nothing", "404 route_not_found"),
            _ => ("/users?cursor=x", "400 cursor_invalid"),
        };
        let response = connection.request("GET", target, &[], b"").unwrap_or_else(|fault| panic!("{round}: {fault}"));
        assert_eq!(response.outcome(), outcome, "round {round}");
    }
}

/// A request that arrives byte by byte is served like any other.
#[test]
fn a_request_may_come_byte_by_byte() {
    let (_upstream, gateway) = started();
    let mut connection = gateway.connect();
    for byte in b"GET /users?limit=3 HTTP/1.1\r\nHost: gateway.test\r\n\r\n" {
        connection.send(&[*byte]).expect("it is sent");
    }
    let response = connection.response("GET").expect("a response");
    assert_eq!(response.outcome(), "200");
}

/// Connections to the upstream are kept and reused.
#[test]
fn upstream_connections_are_reused() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let (upstream, gateway) = started();
    let ports = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let (seen, answered) = (Arc::clone(&ports), Arc::new(AtomicUsize::new(0)));
    let (count, items) = (Arc::clone(&answered), users(60));
    upstream.answer(move |exchange| {
        seen.lock().expect("no test panics with it").insert(exchange.peer()?);
        count.fetch_add(1, Ordering::SeqCst);
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let mut connection = Connection::open(gateway.public).expect("it listens");
    for _ in 0..50 {
        assert_eq!(connection.request("GET", "/users", &[], b"").expect("a response").outcome(), "200");
    }
    let (connections, answers) = (ports.lock().expect("as above").len(), answered.load(Ordering::SeqCst));
    // On a machine under load, Pingora sometimes opens another connection, because the task that watches a kept
    // connection has not released it yet.
    assert!(answers >= 50 && connections <= 25, "{answers} answers over {connections} connections");
}

/// A device between the gateway and the upstream forgets connections that are idle, without a sign. A write over such a
/// connection would be lost for seconds and can't be sent again, so it goes over a new connection.
#[test]
fn a_write_goes_over_no_connection_that_was_idle() {
    use std::{
        collections::BTreeSet,
        sync::{Arc, Mutex},
        time::Duration,
    };
    let (upstream, gateway) = started();
    let ports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ports);
    upstream.answer(move |exchange| {
        seen.lock().expect("no test panics with it").push(exchange.peer()?);
        exchange.reply("200 OK", &[], b"[]")
    });
    let mut connection = gateway.connect();
    let mut write = || {
        let response = connection.request("POST", "/users", &[], b"").expect("a response");
        assert_eq!(response.status, 200, "{response:?}");
    };
    for _ in 0..20 {
        write();
    }
    let used = ports.lock().expect("as above").drain(..).collect::<BTreeSet<_>>();
    assert!(used.len() <= 10, "connections that were just used are used again: {}", used.len());
    std::thread::sleep(Duration::from_millis(1_200));
    write();
    let last = ports.lock().expect("as above").pop().expect("the write");
    assert!(!used.contains(&last), "{last} is one of {used:?}");
}

/// An upstream may close a kept connection at any time, which clients must not notice.
///
/// Row: F06
#[test]
fn an_upstream_that_closes_kept_connections_fails_no_request() {
    let (upstream, gateway) = started();
    let items = users(60);
    upstream.answer(move |exchange| {
        let body = body(exchange, &items);
        // The answer does not announce the close, so the gateway keeps the connection and later finds it closed.
        exchange.reply("200 OK", &[], body.as_bytes())?;
        Ok(After::Close)
    });
    let mut connection = gateway.connect();
    for round in 0..100 {
        let response = connection.request("GET", "/users", &[], b"").expect("a response");
        assert_eq!(response.outcome(), "200", "round {round}: {response:?}");
    }
}
