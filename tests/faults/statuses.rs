//! Tests of statuses that come without a page.

use crate::{
    harness::{
        gateway::Gateway,
        list::{PLAIN, body, users},
        upstream::{After, Upstream},
    },
    recovery::{Kind, Rig, as_a_page, refused},
};

/// A page reports the upstream's 503 and 504 with the same status, and every other server error as 502.
///
/// Row: F22
#[test]
fn server_errors_are_unavailable() {
    let rig = Rig::start();
    for (status, outcome) in [
        ("500 Oops", "502 upstream_unavailable"),
        ("502 Bad Gateway", "502 upstream_unavailable"),
        ("503 Busy", "503 upstream_unavailable"),
        ("504 Late", "504 upstream_timeout"),
        ("599 Odd", "502 upstream_unavailable"),
    ] {
        rig.refuses(as_a_page(outcome), move |exchange| exchange.reply(status, &[], b"SECRET stack trace"));
    }
}

/// The `Retry-After` of a server error is passed to the client.
///
/// Row: F21
#[test]
fn a_server_errors_retry_after_is_kept() {
    let rig = Rig::start();
    let response = rig.page_during(|exchange| exchange.reply("503 Busy", &[("Retry-After", "7")], b""));
    assert_eq!(response.outcome(), "503 upstream_unavailable");
    assert_eq!(response.header("retry-after"), Some("7"), "{response:?}");
    rig.recovers();
}

/// A redirect of the upstream is refused and not followed.
///
/// Row: A15, F26
#[test]
fn redirects_are_not_followed() {
    let rig = Rig::start();
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        rig.refuses(as_a_page("502 upstream_redirected"), move |exchange| {
            exchange.reply(status, &[("Location", "http://SECRET.internal/users")], b"")
        });
    }
}

/// A page that is answered with 304 or 204 is refused as malformed.
///
/// Row: F28
#[test]
fn a_304_or_204_in_place_of_a_page_is_malformed() {
    refused(&PLAIN, as_a_page("502 upstream_malformed"), |exchange| {
        exchange.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    refused(&PLAIN, as_a_page("502 upstream_malformed"), |exchange| {
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
}

/// If the dialect declares that 204 means the end, a 204 at the start means an empty list. A 404 at the start still
/// passes as a refusal.
///
/// Row: F25
#[test]
fn a_status_that_means_the_end_is_an_empty_list_at_the_start() {
    let upstream = Upstream::start(|exchange| {
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let configuration = PLAIN.configuration(upstream.address).replace(
        r#"response = { items = "/items", total = "/total", end = "short-page" }"#,
        r#"response = { items = "/items", past_end = [{ status = 204 }, { status = 404 }] }"#,
    );
    let gateway = Gateway::start(&configuration);
    let page = gateway.get("/users?limit=5");
    assert_eq!(page.outcome(), "200", "{page:?}");
    assert_eq!(page.json()["data"].as_array().map(Vec::len), Some(0), "{page:?}");
    assert_eq!(page.json()["pagination"]["hasMore"], false, "{page:?}");
    upstream.answer(|exchange| exchange.reply("404 Not Found", &[], b"no such tenant"));
    let page = gateway.get("/users?limit=5");
    assert_eq!((page.status, page.text()), (404, "no such tenant"), "{page:?}");
}

/// Errors that the client may have caused pass unchanged, with their explanation.
///
/// Row: F21
#[test]
fn client_errors_pass_as_they_are() {
    let rig = Rig::start();
    for (status, header) in [
        ("400 Bad Request", ("X-Reason", "filter")),
        ("401 Unauthorized", ("WWW-Authenticate", "Bearer realm=\"people\"")),
        ("403 Forbidden", ("X-Reason", "scope")),
        ("404 Not Found", ("X-Reason", "tenant")),
        ("422 Unprocessable", ("X-Reason", "filter")),
        ("429 Too Many", ("Retry-After", "30")),
    ] {
        let body = b"{\"detail\": \"as the upstream\\/says\", \"n\": 1.0}";
        let response = rig.page_during(move |exchange| {
            exchange.reply(status, &[("Content-Type", "application/legacy+json"), header], body)
        });
        assert_eq!(response.status.to_string(), status[..3], "{response:?}");
        assert_eq!(response.body, body, "{status}");
        assert_eq!(response.header("content-type"), Some("application/legacy+json"), "{status}");
        assert_eq!(response.header(header.0), Some(header.1), "{status}");
        rig.recovers();
    }
}

/// `Retry-After` is limited to a day, in seconds or as a date, on each kind of route.
///
/// Row: F21
#[test]
fn retry_after_has_a_bound_on_every_kind_of_route() {
    let rig = Rig::start();
    for (said, told) in [
        ("30", Some("30")),
        ("99999999999999", Some("86400")),
        ("-7", None),
        ("soon", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some("Sun, 06 Nov 1994 08:49:37 GMT")),
    ] {
        rig.upstream.answer(move |exchange| exchange.reply("429 Too Many", &[("Retry-After", said)], b"later"));
        for kind in Kind::ALL {
            let response = rig.ask(kind).expect("a response");
            assert_eq!((response.status, response.header("retry-after")), (429, told), "{kind:?}: {response:?}");
        }
    }
    rig.recovers();
}

/// If the upstream refuses the gateway's own paging, which is not the client's fault, the client gets a problem with a
/// link to start again. The same refusal at the start passes to the client.
#[test]
fn a_refusal_of_the_gateways_own_paging_has_a_link_to_start_again() {
    let rig = Rig::start();
    let mut page = rig.gateway.get("/users?cursor=start&limit=5");
    for _ in 0..7 {
        page = rig.gateway.get(&page.link("next").expect("a next page"));
    }
    let next = page.link("next").expect("a next page");
    for status in ["400 Bad Request", "416 Range Not Satisfiable", "422 Unprocessable"] {
        let items = users(60);
        rig.upstream.answer(move |exchange| {
            if exchange.request.parameter("offset") == Some("0") {
                let body = body(exchange, &items);
                return exchange.reply("200 OK", &[], body.as_bytes());
            }
            exchange.reply(status, &[], b"SECRET: the result window is too large")
        });
        let refused = rig.gateway.get(&next);
        assert_eq!(refused.outcome(), "400 too_deep", "{status}: {refused:?}");
        assert!(!refused.text().contains("SECRET"), "{refused:?}");
        let detail = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("narrow the list by a filter"), "{detail}");
        let restart = refused.json()["restart"].as_str().expect("a link to begin again").to_owned();
        assert_eq!(rig.gateway.get(&restart).outcome(), "200", "{restart}");
        rig.upstream.answer(move |exchange| exchange.reply(status, &[], b"no such filter"));
        let passed = rig.gateway.get("/users?cursor=start&limit=5");
        assert_eq!((passed.status.to_string().as_str(), passed.text()), (&status[..3], "no such filter"));
    }
    // Missing permissions are reported on each page.
    rig.upstream.answer(|exchange| exchange.reply("403 Forbidden", &[], b"not yours"));
    let passed = rig.gateway.get(&next);
    assert_eq!((passed.status, passed.text()), (403, "not yours"));
    rig.recovers();
}

/// The upstream is asked for JSON regardless of the media type that the client accepts, because the gateway writes the
/// client's answer itself.
#[test]
fn the_upstream_is_asked_for_json() {
    let rig = Rig::start();
    let items = users(60);
    rig.upstream.answer(move |exchange| {
        if exchange.request.header("accept") != Some("application/json") {
            return exchange.reply("406 Not Acceptable", &[], b"");
        }
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    for accept in
        ["application/vnd.github.v3+json", "application/vnd.api+json", "*/*", "application/json;q=0.5, text/html"]
    {
        let page = rig.gateway.send("GET", "/users?cursor=start&limit=5", &[("Accept", accept)], b"");
        assert_eq!(page.outcome(), "200", "{accept}: {page:?}");
    }
    assert_eq!(rig.gateway.get("/users?cursor=start&limit=5").outcome(), "200");
}

/// A client error within a walk fails only that page.
///
/// Row: F24
#[test]
fn a_walk_goes_on_after_a_failed_page() {
    let rig = Rig::start();
    let next = rig.gateway.get("/users?cursor=start&limit=5").link("next").expect("a next page");
    rig.upstream.answer(|exchange| exchange.reply("401 Unauthorized", &[], b"token expired"));
    assert_eq!(rig.gateway.get(&next).status, 401);
    rig.recovers();
    assert_eq!(rig.gateway.get(&next).json()["data"][0]["id"], 6);
}
