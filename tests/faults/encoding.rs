//! Framing and coding of answers: what was not asked for, and what is broken.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use crate::{
    harness::{
        list::{PLAIN, Setup, body, users},
        upstream::After,
    },
    recovery::{Rig, refused},
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all")
}

#[test]
fn gzip_that_nobody_asked_for_is_decoded() {
    for coding in ["gzip", "x-gzip", "GZIP"] {
        let rig = Rig::start();
        let items = users(60);
        let page = rig.page_during(move |exchange| {
            let body = gzip(body(exchange, &items).as_bytes());
            exchange.reply("200 OK", &[("Content-Encoding", coding)], &body)
        });
        assert_eq!(page.outcome(), "200", "{coding}: {page:?}");
        assert_eq!(page.json()["data"][4]["id"], 5, "{coding}");
        assert_eq!(page.header("content-encoding"), None, "{coding}");
        rig.recovers();
    }
}

#[test]
fn broken_and_unknown_codings_are_malformed() {
    let good = gzip(br#"{"total":0,"items":[]}"#);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let cut = good[..good.len() - 3].to_vec();
    let twice = gzip(&good);
    let behind = [&good[..], b"garbage"].concat();
    for (coding, bytes) in [
        ("gzip", flipped),
        ("gzip", cut),
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", Vec::new()),
        ("gzip, gzip", twice.clone()),
        ("gzip", twice),
        ("gzip", behind),
        ("br", b"{}".to_vec()),
        ("zstd", b"{}".to_vec()),
        ("nonsense", br#"{"total":0,"items":[]}"#.to_vec()),
    ] {
        refused(&PLAIN, "502 upstream_malformed", move |exchange| {
            exchange.reply("200 OK", &[("Content-Encoding", coding)], &bytes)
        });
    }
}

/// What the status says counts before the coding: nobody needs to read the body of a failure.
#[test]
fn statuses_count_before_codings() {
    for (status, outcome) in [("503 Busy", "502 upstream_unavailable"), ("302 Found", "502 upstream_redirected")] {
        refused(&PLAIN, outcome, move |exchange| exchange.reply(status, &[("Content-Encoding", "br")], b"SECRET"));
    }
    let rig = Rig::start();
    let whole = gzip(b"no such tenant");
    let cut = whole[..whole.len() - 3].to_vec();
    for (sent, coding, body, passed) in [
        (whole, "gzip", b"no such tenant".to_vec(), None),
        (cut.clone(), "gzip", cut, Some("gzip")),
        (b"br".to_vec(), "br", b"br".to_vec(), Some("br")),
        (Vec::new(), "gzip", Vec::new(), None),
    ] {
        let response =
            rig.page_during(move |exchange| exchange.reply("404 Not Found", &[("Content-Encoding", coding)], &sent));
        assert_eq!((response.status, &response.body), (404, &body), "{coding}: {response:?}");
        assert_eq!(response.header("content-encoding"), passed, "{response:?}");
    }
    rig.recovers();
}

/// A gzip that decodes to far more than the route allows is stopped where the allowance ends.
#[test]
fn a_decompression_bomb_is_too_large_and_takes_no_memory() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let setup = Setup { upstream: "", route: "budgets = { answer_size = \"1MiB\" }", more: "" };
    let rig = Rig::with(&setup);
    rig.recovers();
    let before = rig.gateway.peak_memory();
    let response = rig.page_during(move |exchange| exchange.reply("200 OK", &[("Content-Encoding", "gzip")], &bomb));
    assert_eq!(response.outcome(), "502 upstream_too_large", "{response:?}");
    let grown = rig.gateway.peak_memory() - before;
    assert!(grown < 16 << 20, "the memory grew by {grown}");
    rig.recovers();
}

#[test]
fn heads_that_are_no_http_are_refused() {
    let large = format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\nContent-Length: 2\r\n\r\n{{}}", "x".repeat(2 << 20));
    for head in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}1",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}",
        "\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        &large,
    ] {
        let rig = Rig::start();
        let bytes = head.as_bytes().to_vec();
        let response = rig.page_during(move |exchange| exchange.send(&bytes).map(|()| After::Close));
        let shown = head.chars().take(60).collect::<String>();
        assert!(
            ["502 upstream_malformed", "502 upstream_unavailable"].contains(&response.outcome().as_str()),
            "{shown:?}: {response:?}"
        );
        rig.recovers();
    }
}

#[test]
fn chunks_that_are_none_are_refused() {
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-1\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffffff\r\n{}",
        "5\r\n{}\r\n0\r\n\r\n",
        "\r\n\r\n",
    ] {
        let rig = Rig::start();
        let response = rig.page_during(move |exchange| {
            exchange.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes())?;
            Ok(After::Close)
        });
        assert!(
            ["502 upstream_malformed", "502 upstream_unavailable"].contains(&response.outcome().as_str()),
            "{chunks:?}: {response:?}"
        );
        rig.recovers();
    }
}

/// Informational responses before the answer are skipped; a switch of protocols that nobody asked for is none.
#[test]
fn informational_responses_are_skipped() {
    let rig = Rig::start();
    let items = users(60);
    let page = rig.page_during(move |exchange| {
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=\"preload\"\r\n\r\n")?;
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    assert_eq!(page.outcome(), "200", "{page:?}");
    rig.recovers();

    let response = rig.page_during(|exchange| {
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")?;
        Ok(After::Close)
    });
    assert_eq!(response.status, 502, "{response:?}");
    rig.recovers();
}

#[test]
fn trailers_reach_nobody() {
    let rig = Rig::start();
    let items = users(60);
    let page = rig.page_during(move |exchange| {
        let body = body(exchange, &items);
        let size = body.len();
        exchange.send(
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n{size:x}\r\n{body}\r\n0\r\nSet-Cookie: a=SECRET\r\n\r\n"
            )
            .as_bytes(),
        )?;
        Ok(After::Close)
    });
    assert!(!format!("{page:?}").contains("SECRET"), "{page:?}");
    rig.recovers();
}
