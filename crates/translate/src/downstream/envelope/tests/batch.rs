//! The envelope of batch services, and the values that it repeats from requests.

use std::fmt::Write as _;

use super::*;
use crate::downstream::RequestBody;
use cursorgate_core::pagination::answer::Total;

const BATCH: &str = include_str!("../../../../../../config/envelopes/batch.json");

/// Renders a page of two items for a request with this body. A total of 0 makes the page empty.
fn rendered(template: &EnvelopeTemplate, body: &str, next: Option<&str>, total: Option<u64>) -> String {
    let body = RequestBody::read(body.as_bytes().to_vec(), 16).unwrap();
    let echoed = body.find(template.request_places());
    let links = LinkSet::default();
    let facts = Facts {
        has_next: next.is_some(),
        has_more: next.is_some(),
        next_cursor: next,
        total: total.map(|value| Total { value, exact: true }),
        request: &echoed,
        ..fixture::facts(&links)
    };
    let items = [(r#"{"id":1,"title":"Algebra"}"#, Some("1")), (r#"{"id":2.0}"#, Some("2.0"))];
    let items = if total == Some(0) { &[][..] } else { &items };
    let mut out = Output::default();
    template.render(&facts, &fixture::page(items, 2), &mut out);
    let text = String::from_utf8(out.bytes).unwrap();
    serde_json::from_str::<Json>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    text
}

#[test]
fn batch_answers_look_like_their_snapshot() {
    let mut diagnostics = Diagnostics::default();
    let settings = fixture::envelope(BATCH, &mut diagnostics);
    let template = EnvelopeTemplate::compile(&settings, "courses", &mut diagnostics).unwrap();
    let first = r#"{"requester_service": "planner", "payload": { "cursor": null, "page_size": 2, "term": "2026-1" }}"#;
    let next = r#"{"requester_service":"planner","payload":{"cursor":"AQG-hsma","page_size":2}}"#;
    let mut text = String::new();
    for (name, body, cursor, total) in [
        ("first page", first, Some("AQG-hsma"), Some(4)),
        ("last page", next, None, Some(4)),
        ("total unknown", next, Some("AQG-x7Qe"), None),
        ("empty collection", first, None, Some(0)),
        ("a request that says nothing", "{}", None, Some(2)),
    ] {
        let _ = writeln!(text, "# {name}\n\n{body}\n{}\n", rendered(&template, body, cursor, total));
    }
    let problem = Problem::new(Code::CursorMismatch, "this cursor was made for another filters")
        .with_parameter("/payload/cursor");
    let mut error = Vec::new();
    template.error().unwrap().render(&problem, None, "r-1", &mut error);
    let _ = writeln!(text, "# problem\n\n{}", String::from_utf8_lossy(&error));
    fixture::assert_snapshot("batch.txt", &text);
}

#[test]
fn repeated_values_keep_their_spelling() {
    let text = r#"{ "body": {
        "whole": "{request}", "again": ["{request/a}", "{request/a}"], "deep": { "only": "{request/a/b~1c}" },
        "or": "{request/x|null}", "text": "{request/a:string} of {collection}", "items": ["{item}"]
    } }"#;
    let template = template(text);
    assert_eq!(template.request_places().len(), 4, "each place is looked for once");
    let page = rendered(&template, r#"{"a":{"b/c" : [ 1.0 ]}}"#, None, Some(0));
    let expected = [
        r#"{"whole":{"a":{"b/c" : [ 1.0 ]}},"again":[{"b/c" : [ 1.0 ]},{"b/c" : [ 1.0 ]}],"deep":{"only":[ 1.0 ]},"#,
        r#""or":null,"text":"{\"b/c\" : [ 1.0 ]} of users","items":[]}"#,
    ];
    assert_eq!(page, expected.concat());
    let page = rendered(&template, r#"{"a":null}"#, None, Some(0));
    assert_eq!(page, r#"{"whole":{"a":null},"again":[null,null],"or":null,"text":"null of users","items":[]}"#);
}
