//! Tests of answers that end too early: after each byte of a small page, by a close and by a reset, with a length and
//! in chunks.

use std::io::ErrorKind;

use crate::{
    harness::{
        list::{PLAIN, Setup, body, users},
        upstream::{After, message},
    },
    recovery::{Kind, Rig, SHORT, as_a_page, refused, within},
};

/// Returns the answer with a small page: with a content length, or in chunks of seven bytes.
fn page(text: &str, chunked: bool) -> Vec<u8> {
    if !chunked {
        return message("200 OK", &[("Content-Type", "application/json")], text.as_bytes());
    }
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in text.as_bytes().chunks(7) {
        bytes.extend(format!("{:x}\r\n", part.len()).bytes().chain(part.iter().copied()).chain(*b"\r\n"));
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn cut_everywhere(chunked: bool, after: After) {
    let rig = Rig::start();
    let text = r#"{"total":2,"items":[{"id":1,"name":"a"},{"id":2,"name":"b"}]}"#;
    let whole = page(text, chunked);
    // A page of twenty items was read before, so a page of two is known to be complete. Otherwise its end would need a
    // confirmation.
    assert_eq!(rig.gateway.get("/users?cursor=start&limit=20").outcome(), "200");
    let complete = whole.clone();
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let good = rig.page_during(move |exchange| exchange.send(&complete).map(|()| After::KeepOpen));
    assert_eq!(good.outcome(), "200", "uncut: {good:?}");
    for length in 0..whole.len() {
        let part = whole[..length].to_vec();
        let response = rig.page_during(move |exchange| exchange.send(&part).map(|()| after));
        // Both outcomes mean that the upstream was reached, so another attempt can succeed.
        let outcome = if length < head { "502 upstream_unavailable" } else { "502 upstream_truncated" };
        assert_eq!(response.outcome(), outcome, "cut after byte {length} of {}: {response:?}", whole.len());
        assert_eq!(response.json()["retryable"], true, "cut after byte {length}: {response:?}");
        for kind in Kind::PASSING {
            match rig.ask(kind) {
                Ok(response) => {
                    assert!(length < head && response.outcome() == outcome, "{kind:?}, byte {length}: {response:?}");
                }
                Err(fault) => {
                    let is_cut = length >= head && fault.kind() == ErrorKind::UnexpectedEof;
                    assert!(is_cut, "{kind:?}, cut after byte {length} of {}: {fault}", whole.len());
                }
            }
        }
    }
    rig.recovers();
}

/// A page with a content length is refused if the connection is closed after any of its bytes (`cut_everywhere`).
///
/// Row: F12
#[test]
fn a_page_with_a_length_is_refused_if_closed_after_any_byte() {
    cut_everywhere(false, After::Close);
}

/// A page with a content length is refused if the connection is reset after any of its bytes (`cut_everywhere`).
///
/// Row: F12, F14
#[test]
fn a_page_with_a_length_is_refused_if_reset_after_any_byte() {
    cut_everywhere(false, After::Reset);
}

/// A page in chunks is refused if the connection is closed after any of its bytes (`cut_everywhere`).
///
/// Row: F12
#[test]
fn a_page_in_chunks_is_refused_if_closed_after_any_byte() {
    cut_everywhere(true, After::Close);
}

/// A page in chunks is refused if the connection is reset after any of its bytes (`cut_everywhere`).
///
/// Row: F12, F14
#[test]
fn a_page_in_chunks_is_refused_if_reset_after_any_byte() {
    cut_everywhere(true, After::Reset);
}

/// The end of a page without a length can't be verified. Such a page is used if its JSON is complete, and its
/// connection is not reused.
///
/// Row: F16
#[test]
fn a_page_without_a_length_is_served_if_its_json_is_complete() {
    let rig = Rig::start();
    let items = users(60);
    let page = rig.page_during(move |exchange| {
        let body = body(exchange, &items);
        exchange.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").as_bytes())?;
        Ok(After::Close)
    });
    assert_eq!(page.outcome(), "200", "{page:?}");
    rig.recovers();
    refused(&PLAIN, as_a_page("502 upstream_malformed"), |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"total\":60,\"items\":[{\"id\":1}")?;
        Ok(After::Close)
    });
}

/// An answer that sends fewer bytes than announced, and then no more, times out.
///
/// Row: F10
#[test]
fn a_page_that_stops_in_the_middle_times_out() {
    refused(&Setup { upstream: SHORT, ..PLAIN }, within("504 upstream_timeout"), |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"total\"")?;
        // The side that gives up first closes the connection; an error here is the gateway's reset.
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
}

/// Bytes beyond the announced length reach no client: the page is served or refused, and the next request does not get
/// these bytes.
///
/// Row: F07
#[test]
fn bytes_after_the_end_reach_no_client() {
    const ROUNDS: u64 = 20;
    let rig = Rig::start();
    let counted = || rig.gateway.metric("cursorgate_upstream_surplus_total").expect("it is counted");
    for extra in
        [&b"garbage"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{\"total\":1,\"items\":[{\"id\":99}]}"]
    {
        for _ in 0..ROUNDS {
            let items = users(60);
            let page = rig.page_during(move |exchange| {
                let body = body(exchange, &items);
                exchange.send(&[&message("200 OK", &[], body.as_bytes())[..], extra].concat())?;
                Ok(After::KeepOpen)
            });
            assert!(page.status == 200 || page.status == 502, "{page:?}");
            assert!(!page.text().contains("99"), "another response's items: {page:?}");
            rig.recovers();
        }
    }
    // Surplus bytes are noticed with the answer, or later while the connection is idle.
    assert_eq!(counted(), 2 * ROUNDS, "connections with surplus bytes");
    let log = rig.gateway.log();
    let told = log.iter().filter(|line| line.contains("bytes followed the end of an answer")).count();
    assert!((1..=6).contains(&told), "{log:?}");
    assert!(log.iter().all(|line| !line.contains("pingora_core")), "{log:?}");
}
