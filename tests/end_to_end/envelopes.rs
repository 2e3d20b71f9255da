//! Tests of each built-in envelope against its contract: the schema and the rules of its specification. They are
//! checked on the first page, a middle page, the last page, a previous page, a page of an empty list, and a problem.
//! `snapshots/envelopes` contains an example of each.

use std::{fmt::Write as _, path::PathBuf};

use cursorgate_config::preset_envelopes;
use serde_json::Value;

use crate::harness::{
    gateway::Gateway,
    http::Response,
    rows::{BY_OFFSET, BY_SCORE, Rows, configuration},
    schema,
    upstream::Upstream,
};

/// A page, and the facts that its body must have.
struct Page {
    name: &'static str,
    target: String,
    answer: Response,
    /// The ids of the items.
    ids: &'static [u64],
    has_next: bool,
    has_prev: bool,
}

/// Returns the query for three items in an envelope; empty for OData, where the size is in `Prefer`.
fn three(envelope: &str) -> &'static str {
    match envelope {
        "relay" => "?first=3",
        "jsonapi" => "?page%5Bsize%5D=3",
        "hal" => "?size=3",
        "aip" => "?pageSize=3",
        "drf" => "?page_size=3",
        "odata" => "",
        _ => "?limit=3",
    }
}

/// Returns the items in a body with this envelope.
fn items<'a>(envelope: &str, body: &'a Value) -> Vec<&'a Value> {
    let (place, within) = match envelope {
        "bare" => ("", ""),
        "relay" => ("/edges", "/node"),
        "hal" => ("/_embedded/users", ""),
        "aip" => ("/users", ""),
        "drf" => ("/results", ""),
        "odata" => ("/value", ""),
        "ogc" => ("/features", ""),
        _ => ("/data", ""),
    };
    let array = body.pointer(place).and_then(Value::as_array).unwrap_or_else(|| panic!("no items: {body}"));
    array.iter().map(|element| element.pointer(within).expect("an item")).collect()
}

/// Requests a page. For OData the size is sent in `Prefer`.
fn get(gateway: &Gateway, envelope: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let preferred = (envelope == "odata").then_some(("Prefer", "odata.maxpagesize=3"));
    let headers: Vec<_> = preferred.into_iter().chain(headers.iter().copied()).collect();
    gateway.send("GET", target, &headers, b"")
}

fn pages(gateway: &Gateway, envelope: &str) -> Vec<Page> {
    let follow = |page: &Page, relation: &str, name, ids, has_next, has_prev| {
        let target = page.answer.link(relation).unwrap_or_else(|| panic!("no {relation} in {:?}", page.answer));
        Page { name, answer: get(gateway, envelope, &target, &[]), target, ids, has_next, has_prev }
    };
    let first = format!("/users{}", three(envelope));
    let answer = get(gateway, envelope, &first, &[]);
    let first = Page { name: "first page", target: first, answer, ids: &[1, 2, 3], has_next: true, has_prev: false };
    let middle = follow(&first, "next", "page amid the list", &[4, 5, 6], true, true);
    let last = follow(&middle, "next", "last page", &[7, 8], false, true);
    let back = follow(&last, "prev", "page read back", &[4, 5, 6], true, true);
    let target = first.target.clone();
    let answer = get(gateway, envelope, &target, &[("Authorization", "nobody")]);
    let empty = Page { name: "empty list", target, answer, ids: &[], has_next: false, has_prev: false };
    vec![first, middle, last, back, empty]
}

#[test]
fn every_envelope_keeps_its_contract() {
    let rows = Rows::count(8);
    rows.change_of("nobody", Vec::clear);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    // `batch.rs` tests the envelope for requests by POST.
    for (envelope, _) in preset_envelopes().filter(|(envelope, _)| *envelope != "batch") {
        let contract = contract(envelope);
        let mode = if envelope == "stripe" { "seek" } else { "offset" };
        let order = BY_SCORE.replace("-score", "score");
        let route =
            format!("{order}\nmode = \"{mode}\"\nenvelope = \"{envelope}\"\npage_size = {{ default = 3, max = 5 }}");
        let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route));
        let pages = pages(&gateway, envelope);
        let mut shown = format!("{envelope}: {}\n", contract["specification"].as_str().expect("a specification"));
        let mut cursors = Vec::new();
        for page in &pages {
            let Page { name, target, answer, .. } = page;
            let at = format!("{envelope}, {name}: {answer:?}");
            assert_eq!(answer.status, 200, "{at}");
            let body = answer.json();
            assert_eq!(answer.header("content-type"), contract["content_type"].as_str(), "{at}");
            assert_eq!(schema::faults(&contract["page"], &body), Vec::<String>::new(), "{at}");
            check(envelope, page, &body);
            assert_eq!((answer.link("next").is_some(), answer.link("prev").is_some()), (page.has_next, page.has_prev));
            assert_eq!(names_of_pages(&body), Vec::<String>::new(), "a loader would page by number: {at}");
            // HEAD gets the same headers as GET, and a conditional request gets 304.
            let own = [("Authorization", "nobody")];
            let own = if page.ids.is_empty() { &own[..] } else { &[] };
            let tag = answer.header("etag").expect("a tag");
            let mut conditional = own.to_vec();
            conditional.push(("If-None-Match", tag));
            assert_eq!(get(&gateway, envelope, target, &conditional).status, 304, "{at}");
            let preferred = (envelope == "odata").then_some(("Prefer", "odata.maxpagesize=3"));
            let headers: Vec<_> = preferred.into_iter().chain(own.iter().copied()).collect();
            let head = gateway.send("HEAD", target, &headers, b"");
            for name in ["content-type", "content-length", "link"] {
                assert_eq!(head.header(name), answer.header(name), "HEAD: {at}");
            }
            show(&mut shown, name, target, answer, &mut cursors);
        }
        let parameter = match envelope {
            "relay" | "jsonapi" => &format!("{}after", if envelope == "relay" { "" } else { "page%5B" }),
            "aip" => "pageToken",
            "odata" => "%24skiptoken",
            "stripe" => "starting_after",
            _ => "cursor",
        };
        let bracket = if envelope == "jsonapi" { "%5D" } else { "" };
        let wrong = if envelope == "stripe" { "" } else { "no-cursor-of-ours" };
        let target = format!("/users?{parameter}{bracket}={wrong}");
        let answer = gateway.get(&target);
        let at = format!("{envelope}: {answer:?}");
        assert_eq!(answer.status, 400, "{at}");
        assert_eq!(answer.header("content-type"), contract["error_content_type"].as_str(), "{at}");
        assert_eq!(schema::faults(&contract["error"], &answer.json()), Vec::<String>::new(), "{at}");
        show(&mut shown, "a cursor that is none", &target, &answer, &mut cursors);
        assert_snapshot(envelope, &shown);
    }
}

/// Returns the contract of an envelope.
pub(crate) fn contract(envelope: &str) -> Value {
    serde_json::from_str(&read(&format!("tests/envelopes/{envelope}.json"))).expect("JSON")
}

/// Checks the rules that a schema can't express.
fn check(envelope: &str, page: &Page, body: &Value) {
    let at = format!("{envelope}, {}: {body}", page.name);
    let ids: Vec<u64> = items(envelope, body)
        .iter()
        .map(|item| match &item["id"] {
            Value::String(text) => text.parse().expect("a number"),
            id => id.as_u64().expect("an id"),
        })
        .collect();
    assert_eq!(ids, page.ids, "{at}");
    let text = |place: &str| body.pointer(place).cloned().unwrap_or(Value::Null);
    let link = |relation: &str| page.answer.link(relation).map_or(Value::Null, Value::String);
    let flags = |next: &str, prev: &str| (text(next), text(prev));
    let (has_next, has_prev) = (Value::Bool(page.has_next), Value::Bool(page.has_prev));
    let total = Value::from(if page.ids.is_empty() { 0 } else { 8 });
    match envelope {
        "standard" => {
            assert_eq!(text("/pagination/hasMore"), has_next, "{at}");
            assert_eq!(flags("/links/next", "/links/prev"), (link("next"), link("prev")), "{at}");
            assert_eq!((text("/pagination/total"), text("/pagination/pageSize")), (total, 3.into()), "{at}");
            let cursor = text("/pagination/nextCursor");
            assert_eq!(
                cursor.as_str().is_some_and(|cursor| text("/links/next").as_str().unwrap().ends_with(cursor)),
                page.has_next
            );
        }
        "bare" => assert_eq!(page.answer.header("x-total-count"), Some(total.to_string().as_str()), "{at}"),
        "page-info" | "relay" => {
            let info = |name: &str| text(&format!("/pageInfo/{name}"));
            assert_eq!((info("hasNextPage"), info("hasPreviousPage")), (has_next, has_prev), "{at}");
            assert_eq!(info("startCursor").is_null(), page.ids.is_empty(), "{at}");
            if envelope == "relay" {
                let cursors: Vec<&str> = body["edges"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|edge| edge["cursor"].as_str().expect("a cursor"))
                    .collect();
                // Relay's specification: "startCursor and endCursor must be the cursors corresponding to the first and
                // last nodes in edges."
                assert_eq!(info("startCursor").as_str(), cursors.first().copied(), "{at}");
                assert_eq!(info("endCursor").as_str(), cursors.last().copied(), "{at}");
            }
        }
        "jsonapi" => {
            assert_eq!(flags("/links/next", "/links/prev"), (link("next"), link("prev")), "{at}");
            assert_eq!(text("/meta/page/total"), total, "{at}");
            let types: Vec<&Value> = body["data"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
            assert!(types.iter().all(|name| *name == "users"), "{at}");
        }
        "hal" => assert_eq!(flags("/_links/next/href", "/_links/prev/href"), (link("next"), link("prev")), "{at}"),
        // Stripe documents the flag as "Whether or not there are more elements available after this set", in the
        // requested direction.
        "stripe" => assert_eq!(text("/has_more"), has_next, "{at}"),
        "aip" => {
            // AIP-158: "The field containing pagination results should be the first field in the message."
            assert!(page.answer.text().starts_with(r#"{"users":"#), "{at}");
            assert_eq!(text("/nextPageToken").is_string(), page.has_next, "{at}");
        }
        "drf" => assert_eq!(flags("/next", "/previous"), (link("next"), link("prev")), "{at}"),
        "odata" => {
            assert_eq!(body.get("@odata.nextLink").cloned().unwrap_or(Value::Null), link("next"), "{at}");
            assert_eq!(page.answer.header("odata-version"), Some("4.0"), "{at}");
            assert_eq!(page.answer.header("preference-applied"), Some("odata.maxpagesize=3"), "{at}");
        }
        "ogc" => {
            let links = body["links"].as_array().unwrap();
            let of = |rel: &str| {
                links.iter().find(|link| link["rel"] == rel).map_or(Value::Null, |link| link["href"].clone())
            };
            assert_eq!((of("next"), of("prev")), (link("next"), link("prev")), "{at}");
            assert_eq!((text("/numberReturned"), text("/numberMatched")), (page.ids.len().into(), total), "{at}");
        }
        _ => panic!("{envelope} has no rules"),
    }
}

/// Returns the names of members, at any depth, by which loaders of data recognise pages by number.
fn names_of_pages(body: &Value) -> Vec<String> {
    match body {
        Value::Object(members) => {
            let named = |name: &&String| ["pages", "total_pages", "totalpages"].contains(&name.to_lowercase().as_str());
            members.keys().filter(named).cloned().chain(members.values().flat_map(names_of_pages)).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(names_of_pages).collect(),
        _ => Vec::new(),
    }
}

/// Writes a page to a snapshot: the request, the headers that clients read, and the body. Names replace the cursors.
fn show(shown: &mut String, name: &str, target: &str, answer: &Response, cursors: &mut Vec<String>) {
    let _ = write!(shown, "\n# {name}\n\nGET {target}\n\n{}\n", answer.status);
    for name in ["content-type", "link", "odata-version", "preference-applied", "vary", "x-total-count"] {
        if let Some(value) = answer.header(name) {
            let _ = writeln!(shown, "{name}: {value}");
        }
    }
    shown.push('\n');
    pretty(shown, answer.text(), 0);
    shown.push('\n');
    *shown = named(shown, cursors);
}

/// Replaces cursors, request ids and times, which differ between runs, with names.
fn named(text: &str, cursors: &mut Vec<String>) -> String {
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_token) {
        let (before, tail) = rest.split_at(start);
        let (token, tail) = tail.split_at(tail.find(|letter| !is_token(letter)).unwrap_or(tail.len()));
        out.push_str(before);
        let is_time = token.len() == 13 && token.starts_with("20") && tail.starts_with(':');
        let is_request_id = token.len() >= 16
            && token
                .split('-')
                .next()
                .is_some_and(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if token.starts_with("AQ") && token.len() > 40 {
            let known = cursors.iter().position(|cursor| cursor == token).unwrap_or_else(|| {
                cursors.push(token.to_owned());
                cursors.len() - 1
            });
            let _ = write!(out, "CURSOR-{}", known + 1);
        } else if is_request_id {
            out.push_str("REQUEST-ID");
        } else if is_time {
            out.push_str("TIME");
            rest = tail.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ':' || letter == 'Z');
            continue;
        } else {
            out.push_str(token);
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Writes JSON on indented lines, with members in their order.
fn pretty(out: &mut String, json: &str, depth: usize) {
    let short = json.len() <= 100 || !json.starts_with(['{', '[']);
    if short {
        out.push_str(json);
        return;
    }
    let (open, close) = (&json[..1], &json[json.len() - 1..]);
    out.push_str(open);
    let indent = "  ".repeat(depth + 1);
    for (index, part) in parts(&json[1..json.len() - 1]).into_iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(&indent);
        let value = match open {
            "{" => part.find("\":").map_or(0, |at| at + 2),
            _ => 0,
        };
        out.push_str(&part[..value]);
        if value > 0 {
            out.push(' ');
        }
        pretty(out, &part[value..], depth + 1);
    }
    let _ = write!(out, "\n{}{close}", "  ".repeat(depth));
}

/// Splits the text between the brackets of an object or an array into its members or elements.
fn parts(inner: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0, false, false, 0);
    let mut parts = Vec::new();
    for (at, letter) in inner.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    parts
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// Compares a text with `tests/snapshots/envelopes/NAME.txt`, or writes that file if `UPDATE_SNAPSHOTS` is set.
fn assert_snapshot(name: &str, text: &str) {
    let path = format!("tests/snapshots/envelopes/{name}.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(root().join(&path), text).expect("the folder of snapshots");
    }
    let expected = read(&path);
    let differing = text.lines().zip(expected.lines()).find(|(now, before)| now != before);
    assert_eq!(differing, None, "{path} (now, before): UPDATE_SNAPSHOTS=1 accepts what is shown now");
    assert_eq!(text.len(), expected.len(), "{path}");
}
