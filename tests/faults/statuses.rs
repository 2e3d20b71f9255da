//! Statuses that are no page.

use crate::{
    harness::{
        gateway::Gateway,
        list::PLAIN,
        upstream::{After, Upstream},
    },
    recovery::{Rig, as_a_page, refused},
};

/// Row: F22
#[test]
fn server_errors_are_unavailable() {
    let rig = Rig::start();
    for status in ["500 Oops", "502 Bad Gateway", "503 Busy", "504 Late", "599 Odd"] {
        rig.refuses(as_a_page("502 upstream_unavailable"), move |exchange| {
            exchange.reply(status, &[], b"SECRET stack trace")
        });
    }
}

/// Row: F21
#[test]
fn a_server_errors_retry_after_is_kept() {
    let rig = Rig::start();
    let response = rig.page_during(|exchange| exchange.reply("503 Busy", &[("Retry-After", "7")], b""));
    assert_eq!(response.outcome(), "502 upstream_unavailable");
    assert_eq!(response.header("retry-after"), Some("7"), "{response:?}");
    rig.recovers();
}

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

/// Row: F28
#[test]
fn answers_to_questions_that_were_not_asked_are_malformed() {
    refused(&PLAIN, as_a_page("502 upstream_malformed"), |exchange| {
        exchange.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    refused(&PLAIN, as_a_page("502 upstream_malformed"), |exchange| {
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
}

/// Where the dialect calls 204 the end, an empty list says it from the start; a refusal there stays one.
///
/// Row: F25
#[test]
fn an_end_at_the_start_is_an_empty_list() {
    let upstream = Upstream::start(|exchange| {
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let configuration = PLAIN.configuration(upstream.address).replace(
        r#"response = { items = "/items", total = "/total" }"#,
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

/// What the client may have done wrong itself passes as it is, with what tells it how to do better.
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

/// A client error in the middle of a walk fails that page and no other.
///
/// Row: F24
#[test]
fn a_walk_goes_on_after_a_failed_page() {
    let rig = Rig::start();
    let next = rig.gateway.get("/users?limit=5").link("next").expect("a next page");
    rig.upstream.answer(|exchange| exchange.reply("401 Unauthorized", &[], b"token expired"));
    assert_eq!(rig.gateway.get(&next).status, 401);
    rig.recovers();
    assert_eq!(rig.gateway.get(&next).json()["data"][0]["id"], 6);
}
