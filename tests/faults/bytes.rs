//! Tests of answers that are complete, have status 200, and are not a page.

use crate::{
    harness::list::{PLAIN, Setup, body, users},
    harness::upstream::After,
    recovery::{Rig, as_a_page, refused, within},
};

/// Malformed bodies, each with a description.
const MALFORMED: &[(&str, &str)] = &[
    ("nothing", ""),
    ("blanks", " \r\n"),
    ("an HTML page", "<!DOCTYPE html><html><body>SECRET login</body></html>"),
    ("text", "SECRET"),
    ("JSON that ends early", r#"{"total":60,"items":[{"id":1}"#),
    ("JSON with something behind", r#"{"total":60,"items":[]} SECRET"#),
    ("two documents", r#"{"total":60,"items":[]}{"total":60,"items":[]}"#),
    ("null", "null"),
    ("a number", "42"),
    ("an array where an object is meant", r#"[{"id":1}]"#),
    ("an object without the items", r#"{"total":60,"rows":[{"id":1}]}"#),
    ("items that are null", r#"{"total":60,"items":null}"#),
    ("items that are an object", r#"{"total":60,"items":{"0":{"id":1}}}"#),
    ("items that are text", r#"{"total":60,"items":"[]"}"#),
    ("a trailing comma", r#"{"total":60,"items":[{"id":1},]}"#),
    ("single quotes", "{'total':60,'items':[]}"),
    ("a bad number", r#"{"total":60,"items":[{"id":01}]}"#),
    ("a bad escape in a key", r#"{"total":60,"items":[{"id":"\x"}]}"#),
    ("a bracket too many in an item", r#"{"total":60,"items":[{"id":1,"a":]}]}"#),
    ("a quote too many in an item", r#"{"total":60,"items":[{"id":1,"a":"b"c"}]}"#),
    ("a control byte in text", "{\"total\":60,\"items\":[{\"id\":1,\"a\":\"\n\"}]}"),
    ("NaN as a key", r#"{"total":60,"items":[{"id":NaN}]}"#),
    ("an error with the status of a success", r#"{"error":"SECRET"}"#),
    ("an empty list beside an error", r#"{"status":"fail","error":"SECRET","items":[],"total":0}"#),
    ("an empty list beside a status", r#"{"status":"error","items":[],"total":0}"#),
    ("an empty list without success", r#"{"success":false,"items":[],"total":0}"#),
];

/// Each body of [`MALFORMED`] is refused as malformed.
///
/// Row: F27, F30
#[test]
fn bodies_of_another_shape_are_malformed() {
    let rig = Rig::start();
    for (what, text) in MALFORMED {
        // The name of the row is printed if the test fails.
        println!("{what}");
        rig.refuses(as_a_page("502 upstream_malformed"), |exchange| {
            exchange.reply("200 OK", &[("Content-Type", "application/json")], text.as_bytes())
        });
    }
}

/// The bytes of items pass unchanged, whether they are JSON or not.
#[test]
fn the_bytes_within_items_pass_unchanged() {
    let rig = Rig::start();
    for inside in ["NaN", "01", r#""\x""#, r#"{"a" 1}"#, "[1,,]", r#""]},{\"id\":7""#] {
        let page = rig.page_during(move |exchange| {
            let items = [format!(r#"{{"id":1,"a":{inside}}}"#), r#"{"id":2}"#.to_owned()];
            exchange.reply("200 OK", &[], body(exchange, &items).as_bytes())
        });
        assert_eq!(page.outcome(), "200", "{inside}: {page:?}");
        let served = format!(r#"{{"data":[{{"id":1,"a":{inside}}},{{"id":2}}],"#);
        assert!(page.text().starts_with(&served), "{inside}: {page:?}");
        rig.recovers();
    }
}

/// A page whose items lack the keys of the order is refused as unsorted.
///
/// Row: F40
#[test]
fn items_without_their_keys_are_unsorted() {
    for text in [r#"{"total":1,"items":[{"name":"a"}]}"#, r#"{"total":2,"items":[1,2]}"#] {
        refused(&PLAIN, as_a_page("502 upstream_unsorted"), |exchange| exchange.reply("200 OK", &[], text.as_bytes()));
    }
}

/// A page with bytes that are not UTF-8 is refused as malformed.
///
/// Row: A31
#[test]
fn bytes_that_are_not_utf_8_are_malformed() {
    refused(&PLAIN, as_a_page("502 upstream_malformed"), |exchange| {
        exchange.reply("200 OK", &[], b"{\"total\":1,\"items\":[{\"id\":1,\"a\":\"\xff\xfe\"}]}")
    });
}

/// Deeply nested answers are refused and don't crash the process.
///
/// Row: A27
#[test]
fn deep_nesting_is_refused() {
    let rig = Rig::start();
    for depth in [200, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let text = format!(
                r#"{{"total":1,"items":[{{"id":1,"deep":{}{inner}{}}}]}}"#,
                open.repeat(depth),
                close.repeat(depth)
            );
            rig.refuses(as_a_page("502 upstream_malformed"), move |exchange| {
                exchange.reply("200 OK", &[], text.as_bytes())
            });
        }
    }
}

/// The route's size limit applies while the answer arrives, regardless of its framing.
///
/// Row: A28
#[test]
fn large_answers_are_refused() {
    const SMALL: Setup = Setup { upstream: "", route: "budgets = { answer_size = \"64KiB\" }", more: "" };
    let large = format!(r#"{{"total":1,"items":[{{"id":1,"a":"{}"}}]}}"#, "x".repeat(64 << 10));
    let text = large.clone();
    refused(&SMALL, as_a_page("502 upstream_too_large"), move |exchange| {
        exchange.reply("200 OK", &[], text.as_bytes())
    });
    refused(&SMALL, as_a_page("502 upstream_too_large"), move |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for part in large.as_bytes().chunks(4_000) {
            exchange.send(&[format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat())?;
        }
        exchange.send(b"0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    // An announced length by itself reserves no memory.
    refused(&SMALL, within("502 upstream_too_large"), |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{\"total\"")?;
        Ok(After::Close)
    });
}

/// JSON is recognised by its bytes, regardless of the media type.
///
/// Row: F29
#[test]
fn json_with_another_media_type_is_read_as_a_page() {
    let rig = Rig::start();
    for content_type in ["text/plain", "text/html", "application/octet-stream"] {
        let items = users(60);
        let page = rig.page_during(move |exchange| {
            let body = body(exchange, &items);
            exchange.reply("200 OK", &[("Content-Type", content_type)], body.as_bytes())
        });
        assert_eq!(page.outcome(), "200", "{content_type}: {page:?}");
        assert_eq!(page.header("content-type"), Some("application/json"), "{content_type}");
    }
    rig.recovers();
}

/// A page with an invalid total is served without the total.
///
/// Row: A33
#[test]
fn a_page_with_an_invalid_total_is_served_without_a_total() {
    let rig = Rig::start();
    for total in ["-1", "\"60\"", "1e308", "null", "[]", "1.5", "99999999999999999999999"] {
        let page = rig.page_during(move |exchange| {
            let items = users(60);
            let text = body(exchange, &items).replace("\"total\":60", &format!("\"total\":{total}"));
            exchange.reply("200 OK", &[], text.as_bytes())
        });
        assert_eq!(page.outcome(), "200", "{total}: {page:?}");
        assert_eq!(page.json()["data"].as_array().map(Vec::len), Some(5), "{total}: {page:?}");
        assert!(page.link("next").is_some(), "{total}: {page:?}");
        let told = page.json()["pagination"]["total"].clone();
        assert!(told.is_null() || told == 60, "{total}: {page:?}");
    }
    rig.recovers();
}
