//! Tests of compression: the negotiation, validators, the bytes of items after decoding, and compressed answers of
//! upstreams.

use std::io::{Read, Write};

use crate::harness::{
    gateway::Gateway,
    http::{Connection, Response},
    list::{PLAIN, Setup, body, serve, users},
    upstream::Upstream,
};

/// The codings by the gateway's preference.
const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

fn decoded(response: &Response) -> Vec<u8> {
    let (mut plain, coded) = (Vec::new(), response.body.as_slice());
    let read = match response.header("content-encoding") {
        None => return coded.to_vec(),
        Some("zstd") => zstd::stream::read::Decoder::new(coded).and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        Some("br") => brotli::Decompressor::new(coded, 4_096).read_to_end(&mut plain),
        Some("gzip") => flate2::read::GzDecoder::new(coded).read_to_end(&mut plain),
        Some(other) => panic!("{other} was not asked for"),
    };
    read.unwrap_or_else(|fault| panic!("{fault} in {:?}", response.headers));
    plain
}

/// Compresses bytes as the gateway does.
fn coded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "zstd" => zstd::bulk::compress(bytes, 1).expect("memory takes all"),
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4_096, 3, 17);
            encoder.write_all(bytes).expect("memory takes all");
            encoder.into_inner()
        }
        _ => gzip(bytes),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(4));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all")
}

fn accept(coding: &str) -> [(&'static str, &str); 1] {
    [("Accept-Encoding", coding)]
}

fn started(setup: &Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(300)));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    (upstream, gateway)
}

const PAGE: &str = "/users?cursor=start&limit=100";

#[test]
fn a_page_has_the_coding_that_its_client_prefers() {
    let (_upstream, gateway) = started(&PLAIN);
    let plain = gateway.get(PAGE);
    assert_eq!((plain.outcome().as_str(), plain.header("content-encoding")), ("200", None));
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, deflate, br", Some("br")),
        ("gzip, deflate", Some("gzip")),
        ("gzip;q=1.0, br;q=0.5", Some("gzip")),
        ("*", Some("zstd")),
        ("zstd;q=0, *;q=0.1", Some("br")),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("deflate", None),
        ("", None),
        ("identity;q=0", None),
    ] {
        let page = gateway.send("GET", PAGE, &accept(accepted), b"");
        assert_eq!((page.status, page.header("content-encoding")), (200, coding), "{accepted}");
        assert!(decoded(&page) == plain.body, "{accepted}: other bytes");
        assert_eq!(page.body.len() * 2 < plain.body.len(), coding.is_some(), "{accepted}");
        assert_eq!(page.header("content-length"), Some(page.body.len().to_string().as_str()), "{accepted}");
        assert_eq!(page.header("etag"), plain.header("etag"), "{accepted}");
        assert_eq!(page.header("vary"), plain.header("vary"), "{accepted}");
        assert!(page.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{page:?}");
    }
}

/// A walk in each coding contains every item of the upstream byte for byte, even large items, which are sent without
/// copying.
#[test]
fn items_are_the_upstreams_bytes_in_every_coding() {
    let items = users(400).into_iter().zip(0..);
    let items: Vec<String> = items
        .map(|(user, number)| user.replace('}', &format!(",\"text\":\"{}\"}}", "té\\u00e9xt ".repeat(number * 5))))
        .collect();
    let upstream = Upstream::start(serve(items.clone()));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    for coding in CODINGS {
        let mut connection = gateway.connect();
        let mut target = "/users?limit=150".to_owned();
        for expected in items.chunks(150) {
            let page = connection.request("GET", &target, &accept(coding), b"").expect("it is answered");
            assert_eq!(page.header("content-encoding"), Some(coding), "{target}");
            let begin = format!(r#"{{"data":[{}],""#, expected.join(","));
            assert!(decoded(&page).starts_with(begin.as_bytes()), "{coding} {target}");
            target = page.link("next").unwrap_or_default();
        }
        assert!(target.is_empty());
    }
}

/// HEAD has the headers of GET in every coding, and no body.
///
/// Row: F62
#[test]
fn head_is_get_without_the_body_in_every_coding() {
    let (_upstream, gateway) = started(&PLAIN);
    let shown = |response: &Response| {
        let mut headers = response.headers.clone();
        // The time and the request id differ for each request, so they are not compared.
        headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.to_lowercase().as_str()));
        headers
    };
    for coding in CODINGS {
        let get = gateway.send("GET", PAGE, &accept(coding), b"");
        let head = gateway.send("HEAD", PAGE, &accept(coding), b"");
        assert!(head.body.is_empty());
        assert_eq!(shown(&head), shown(&get));
        assert_eq!(head.header("content-encoding"), Some(coding));
    }
}

/// The `ETag` of a page is valid in all codings, and changes with the page.
///
/// Row: F64
#[test]
fn the_etag_of_a_page_is_valid_in_all_codings() {
    let (upstream, gateway) = started(&PLAIN);
    let tag = gateway.send("GET", PAGE, &accept("gzip"), b"").header("etag").expect("pages have one").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    for accepted in ["zstd", "br", "gzip", "identity", ""] {
        let same = gateway.send("GET", PAGE, &[accept(accepted)[0], ("If-None-Match", &tag)], b"");
        assert_eq!((same.status, same.body.len()), (304, 0), "{accepted}");
        assert_eq!((same.header("etag"), same.header("content-encoding")), (Some(tag.as_str()), None), "{accepted}");
        assert!(same.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{same:?}");
        assert!(same.header("cache-control").is_some() && same.header("content-length").is_none(), "{same:?}");
    }
    upstream.answer(serve(users(301)));
    let changed = gateway.send("GET", PAGE, &[accept("br")[0], ("If-None-Match", &tag)], b"");
    assert_eq!((changed.status, changed.header("content-encoding")), (200, Some("br")));
}

#[test]
fn small_bodies_stay_plain_unless_the_client_refuses_them() {
    let (_upstream, gateway) = started(&PLAIN);
    for (target, accepted, coding) in [
        ("/users?limit=1", "gzip", None),
        ("/users?limit=1", "gzip, identity;q=0", Some("gzip")),
        ("/users?limit=1", "gzip, *;q=0", Some("gzip")),
        ("/users?limit=nonsense", "br", None),
        ("/users?limit=nonsense", "br, identity;q=0", Some("br")),
    ] {
        let response = gateway.send("GET", target, &accept(accepted), b"");
        assert_eq!(response.header("content-encoding"), coding, "{target} {accepted}");
        assert!(response.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{response:?}");
        assert!(serde_json::from_slice::<serde_json::Value>(&decoded(&response)).is_ok(), "{target} {accepted}");
    }
}

#[test]
fn operators_choose_codings_and_the_smallest_size() {
    for (lines, accepted, coding) in [
        ("compression = []", "zstd, br, gzip", None),
        ("compression = [\"gzip\", \"zstd\"]", "zstd, br, gzip", Some("gzip")),
        ("compression = [\"gzip\"]", "zstd, br", None),
        ("compression_size = \"10MiB\"", "gzip", None),
        ("compression_size = \"0B\"", "gzip", Some("gzip")),
    ] {
        let upstream = Upstream::start(serve(users(300)));
        let text = format!("{}\n[server]\n{lines}\n", PLAIN.configuration(upstream.address));
        let gateway = Gateway::start(&text);
        let page = gateway.send("GET", PAGE, &accept(accepted), b"");
        assert_eq!((page.status, page.header("content-encoding")), (200, coding), "{lines}");
        let varies = page.header("vary").is_some_and(|vary| vary.contains("accept-encoding"));
        assert_eq!(varies, !lines.contains("[]"), "{lines}: {page:?}");
    }
}

/// Answers are not compressed for cross-site requests with credentials, nor if the client or the upstream forbids
/// transformations.
///
/// Row: A43
#[test]
fn answers_that_must_not_be_compressed_are_plain() {
    let (upstream, gateway) = started(&PLAIN);
    let cross = [accept("gzip")[0], ("Sec-Fetch-Site", "cross-site"), ("Cookie", "session=1")];
    for (headers, coding) in [
        (&cross[..1], Some("gzip")),
        (&cross[..2], Some("gzip")),
        (&cross[..], None),
        (&[cross[0], cross[2], ("Sec-Fetch-Site", "same-origin")], Some("gzip")),
        (&[cross[0], ("Cache-Control", "no-transform")], None),
    ] {
        let page = gateway.send("GET", PAGE, headers, b"");
        assert_eq!((page.status, page.header("content-encoding")), (200, coding), "{headers:?}");
    }
    let items = users(300);
    upstream.answer(move |exchange| {
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[("Cache-Control", "max-age=5, no-transform")], body.as_bytes())
    });
    let page = gateway.send("GET", PAGE, &accept("gzip"), b"");
    assert_eq!((page.status, page.header("content-encoding")), (200, None));
    assert!(page.header("cache-control").is_some_and(|said| said.contains("no-transform")), "{page:?}");
}

/// Forwarded answers, and refusals that the gateway can't decode, keep the upstream's coding.
#[test]
fn answers_that_pass_through_keep_their_bytes_and_coding() {
    let forwards =
        Setup { more: "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"", ..PLAIN };
    let (upstream, gateway) = started(&forwards);
    let long = "text ".repeat(1_000).into_bytes();
    for (target, coding, sent) in [
        ("/files/a", Some("gzip"), gzip(&long)),
        ("/files/a", Some("br"), long.clone()),
        ("/files/a", None, long.clone()),
        ("/users?limit=5", Some("br"), long.clone()),
    ] {
        let answer = sent.clone();
        upstream.answer(move |exchange| {
            let headers = coding.map(|coding| ("Content-Encoding", coding));
            exchange.reply("404 Not Found", headers.as_slice(), &answer)
        });
        let response = gateway.send("GET", target, &accept("zstd, br, gzip"), b"");
        assert_eq!((response.status, response.header("content-encoding")), (404, coding), "{target}");
        assert!(response.body == sent, "{target} {coding:?}");
    }
    // If the gateway has decoded a refusal, it compresses the refusal for the client.
    upstream.answer(move |exchange| exchange.reply("404 Not Found", &[("Content-Encoding", "gzip")], &gzip(&long)));
    let response = gateway.send("GET", "/users?limit=5", &accept("br"), b"");
    assert_eq!((response.status, response.header("content-encoding")), (404, Some("br")));
    assert!(decoded(&response) == "text ".repeat(1_000).into_bytes());
}

/// A legacy page whose links are rewritten has the coding and the `Vary` that the upstream gives it. The gateway reads
/// gzip alone, so a client that accepts gzip among others gets gzip.
#[test]
fn a_legacy_page_with_other_links_keeps_its_coding() {
    let page = |host: &str| {
        let items = (1..=4_000).map(|id| format!("{{\"id\": {id}, \"name\": \"Person {id}\"}}")).collect::<Vec<_>>();
        let next = format!("http://{host}/users?page=2");
        format!("{{\"count\": 9000, \"next\": \"{next}\", \"previous\": null, \"results\": [{}]}}", items.join(", "))
    };
    for (compresses, accept_encoding, asked, expected) in [
        (true, Some("zstd, br, gzip"), Some("gzip"), Some("gzip")),
        (true, Some("gzip"), Some("gzip"), Some("gzip")),
        (true, Some("br"), Some("identity"), None),
        (true, Some("identity, gzip;q=0.5"), Some("identity"), None),
        (true, None, None, None),
        (false, Some("gzip"), Some("gzip"), None),
    ] {
        let upstream = Upstream::start(move |exchange| {
            let body = page(exchange.request.header("host").unwrap_or_default());
            let is_gzip = compresses && exchange.request.header("accept-encoding") == Some("gzip");
            let vary = if compresses { "Accept, Accept-Encoding" } else { "Accept" };
            let mut headers = vec![("Content-Type", "application/json"), ("ETag", "\"one\""), ("Vary", vary)];
            headers.extend(is_gzip.then_some(("Content-Encoding", "gzip")));
            let body = if is_gzip { gzip(body.as_bytes()) } else { body.into_bytes() };
            exchange.reply("200 OK", &headers, &body)
        });
        let gateway = Gateway::start(&format!(
            "[server]\npublic_url = \"https://api.test\"\n[upstreams.old]\npeers = [\"{}\"]\n\
             host_header = \"old.internal\"\n[routes.users]\npath = \"/users\"\nupstream = \"old\"\n\
             dialect = \"drf-page\"\norder = [\"id\"]\nold_clients = \"pass\"\n",
            upstream.address
        ));
        let sent: Vec<(&str, &str)> = accept_encoding.map(|codings| ("Accept-Encoding", codings)).into_iter().collect();
        let old = gateway.send("GET", "/users?page=1", &sent, b"");
        let case = format!("{compresses} {accept_encoding:?}: {:?}", old.headers);
        assert_eq!((old.status, old.header("content-encoding")), (200, expected), "{case}");
        assert_eq!(upstream.requests().last().unwrap().header("accept-encoding"), asked, "{case}");
        let whole = page("old.internal").replace("http://old.internal", "https://api.test");
        assert!(decoded(&old) == whole.into_bytes(), "{case}");
        assert!(expected.is_none() || old.body.len() < 40_000, "{case}: {} bytes", old.body.len());
        assert_eq!(old.header("vary"), Some(if compresses { "Accept, Accept-Encoding" } else { "Accept" }), "{case}");
        // The upstream's tag is one of other bytes.
        assert_eq!(old.header("etag"), Some("W/\"one\""), "{case}");
        let head = gateway.send("HEAD", "/users?page=1", &sent, b"");
        assert_eq!((head.status, head.body.len(), head.header("content-encoding")), (200, 0, expected), "{case}");
    }
}

/// A gzip body that ends too early reaches the client as an incomplete answer, never as a shorter page.
#[test]
fn a_legacy_page_with_other_links_is_never_cut() {
    let text = format!("{{\"next\": null, \"results\": [{}]}}", vec!["{\"id\": 1}"; 9_000].join(", "));
    let upstream = Upstream::start(move |exchange| {
        let whole = gzip(text.as_bytes());
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
        exchange.reply("200 OK", &headers, &whole[..whole.len() / 2])
    });
    let gateway = Gateway::start(&format!(
        "[upstreams.old]\npeers = [\"{}\"]\nhost_header = \"old.internal\"\n[routes.users]\npath = \"/users\"\n\
         upstream = \"old\"\ndialect = \"drf-page\"\norder = [\"id\"]\nold_clients = \"pass\"\n",
        upstream.address
    ));
    let mut connection = Connection::open(gateway.public).unwrap();
    let request = "GET /users?page=1 HTTP/1.1\r\nHost: gateway\r\nAccept-Encoding: gzip\r\n\r\n";
    connection.send(request.as_bytes()).unwrap();
    assert_eq!(connection.head().unwrap().0, 200);
    while let Ok(chunk) = connection.chunk() {
        assert!(!chunk.is_empty(), "the answer is complete");
    }
}

/// Gzip is requested from an upstream on this machine only if `compression` is `always`.
#[test]
fn gzip_is_requested_from_upstreams_by_a_configuration_key() {
    for (key, asked) in [
        ("", "identity"),
        ("compression = \"remote\"", "identity"),
        ("compression = \"never\"", "identity"),
        ("compression = \"always\"", "gzip"),
        ("compression = \"always\"\nheaders = { Accept-Encoding = \"identity\" }", "identity"),
    ] {
        let (upstream, gateway) = started(&Setup { upstream: key, ..PLAIN });
        let page = gateway.send("GET", PAGE, &accept("br"), b"");
        assert_eq!(page.status, 200);
        for request in upstream.requests() {
            assert_eq!(request.header("accept-encoding"), Some(asked), "{key}");
        }
    }
}

/// A compressed page of 100 items by cursor is at most as large as the compressed page by number. An envelope with
/// cursors in its body may add 350 bytes for names and for cursors, which can't be compressed.
#[test]
fn a_page_by_cursor_takes_no_more_bytes_than_the_page_by_number() {
    let mut random = crate::harness::Numbers::new(7);
    let items: Vec<String> = (1..=300)
        .map(|id| {
            let (name, token) = (random.below(40), random.draw());
            format!(
                r#"{{"id":{id},"name":"Person {name}","email":"person{name}@example.com","token":"{token:016x}","active":true}}"#
            )
        })
        .collect();
    let listed = items.clone();
    let upstream = Upstream::start(move |exchange| {
        let plain = body(exchange, &listed);
        let accepted = exchange.request.header("accept-encoding").unwrap_or_default().to_owned();
        match CODINGS.into_iter().find(|coding| accepted.contains(coding)) {
            None => exchange.reply("200 OK", &[], plain.as_bytes()),
            Some(coding) => exchange.reply("200 OK", &[("Content-Encoding", coding)], &coded(coding, plain.as_bytes())),
        }
    });
    let start = |route: &'static str| {
        let setup = Setup { upstream: "compression = \"always\"", route, ..PLAIN };
        Gateway::start(&setup.configuration(upstream.address))
    };
    let gateway = start("envelope = \"bare\"\nold_clients = \"pass\"");
    let standard = start("old_clients = \"pass\"");
    for coding in CODINGS {
        let by_number = gateway.send("GET", "/users?offset=100&limit=100", &accept(coding), b"");
        assert_eq!((by_number.status, by_number.header("content-encoding")), (200, Some(coding)));
        let first = gateway.send("GET", PAGE, &accept(coding), b"");
        let next = first.link("next").expect("there are 300 items");
        let by_cursor = gateway.send("GET", &next, &accept(coding), b"");
        assert_eq!((by_cursor.status, by_cursor.header("content-encoding")), (200, Some(coding)));
        assert!(decoded(&by_cursor) == format!("[{}]", items[100..200].join(",")).into_bytes());
        let (cursor, number) = (by_cursor.body.len(), by_number.body.len());
        assert!(cursor <= number, "{coding}: {cursor} bytes by cursor, {number} by number");

        let next = standard.get(PAGE).link("next").expect("there are 300 items");
        let by_cursor = standard.send("GET", &next, &accept(coding), b"");
        let page: serde_json::Value = serde_json::from_slice(&decoded(&by_cursor)).expect("JSON");
        let own = ["/pagination/nextCursor", "/pagination/prevCursor", "/links/last"];
        let own: usize = own.iter().map(|place| page.pointer(place).map_or(0, |text| text.to_string().len())).sum();
        let (cursor, names) = (by_cursor.body.len(), 200);
        assert!(
            cursor <= number + own + names,
            "{coding}: {cursor} bytes by cursor, {number} by number, {own} cursors"
        );
    }
}
