mod batch;

use serde_json::{Value as Json, json};

use super::*;
use crate::downstream::{ItemCursors, LinkSet, Response};
use crate::downstream::{
    fixture::{self, BARE, STANDARD},
    problem::{Code, Problem},
    render::skeleton::SkeletonSegment,
    response::etag,
};
use cursorgate_config::tree::{LocatedTree, Tree};
use cursorgate_core::pagination::answer::Total;

const RELAY: &str = r#"{ "body": {
    "edges": [{ "cursor": "{item.cursor|null}", "node": "{item}" }],
    "pageInfo": {
        "hasNextPage": "{has_next}", "hasPreviousPage": "{has_prev}",
        "startCursor": "{start.cursor|null}", "endCursor": "{end.cursor|null}"
    },
    "totalCount": "{total|null}"
} }"#;

const HAL: &str = r#"{ "body": {
    "_links": {
        "self": { "href": "{links.self}" }, "first": { "href": "{links.first}" }, "prev": { "href": "{links.prev}" },
        "next": { "href": "{links.next}" }, "last": { "href": "{links.last}" }
    },
    "_embedded": { "{collection}": ["{item}"] },
    "page": { "size": "{limit}", "totalElements": "{total}", "totalPages": "{pages}", "number": "{page}" }
} }"#;

const NESTED: &str = r#"{ "body": {
    "a": { "b": { "c": ["{next.cursor}", "{prev.cursor}"] } },
    "where": "page {page} of {pages}",
    "d": [["{total}"], [], {}, "{total_at_least}", { "e": "{page}", "f": null }],
    "list": [{ "kind": "{collection}", "id": "{item.id:string}", "cursor": "{item.cursor}", "reserved": "{item.reserved}", "links": ["{item.id}", { "at": "{path}/{item.id:string}" }], "fields": "{item.fields}" }],
    "g": ["{pages}"],
    "{{literal}} {collection}": "{{}} \" \u2028 {collection} é",
    "h": [true, -1.50, "{links.next|null}"],
    "i": [
        { "rel": "prev", "href": "{links.prev}" }, { "href": "{links.last}", "rel": "last", "type": [] },
        { "rel": "next", "type": { "a": 1 }, "href": "{links.next}", "title": "{page}" }
    ],
    "j": { "k": { "l": 1, "m": "{links.first}" }, "n": "{{}}" }
} }"#;

const TEXTS: &str = r#"{ "body": {
    "x": "{total:string}", "y": "{has_next:string}", "z": "{total|null}",
    "only": ["{item.id}"], "all": [["{item}"]], "again": [{ "text": "{item:string}" }], "ids": ["{item.id:string|null}"], "same": ["{item|null}"],
    "u": "{limit}/{count} {level} {has_more}", "v": "{collection}{collection}"
} }"#;

fn template(text: &str) -> EnvelopeTemplate {
    let mut diagnostics = Diagnostics::default();
    let settings = fixture::envelope(text, &mut diagnostics);
    let compiled = EnvelopeTemplate::compile(&settings, "users", &mut diagnostics);
    compiled.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

/// Returns the numbers of literals, placeholders and conditions in a skeleton.
fn counts(segments: &[SkeletonSegment]) -> [usize; 3] {
    let mut sum = [0; 3];
    for segment in segments {
        let (own, inner) = match segment {
            SkeletonSegment::Literal(_) => ([1, 0, 0], &[][..]),
            SkeletonSegment::Value(..) => ([0, 1, 0], &[][..]),
            SkeletonSegment::If(_, inner) => ([0, 0, 1], &inner[..]),
            SkeletonSegment::Items(_, inner) => ([0, 0, 0], &inner[..]),
        };
        let inner = counts(inner);
        sum = std::array::from_fn(|index| sum[index] + own[index] + inner[index]);
    }
    sum
}

#[test]
fn facts_that_are_always_known_add_no_conditions() {
    for (text, expected) in [(STANDARD, [14, 13, 2]), (RELAY, [10, 7, 0]), (HAL, [24, 10, 14]), (BARE, [2, 1, 0])] {
        assert_eq!(counts(&template(text).body.segments), expected, "{text}");
    }
}

/// Cursors that consist of `i` and the index of their item. The second item has no cursor.
struct Numbered;

impl ItemCursors for Numbered {
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool {
        if index != 1 {
            out.extend_from_slice(format!("i{index}").as_bytes());
        }
        index != 1
    }
}

/// The known facts of a page, as bits in the order of [`BITS`], and the number of its items in the bits above.
#[derive(Clone, Copy)]
struct Known(u32);

const ITEMS: [(&str, Option<&str>); 4] = [
    (r#"{"id":7,"name":"a"}"#, Some("7")),
    (r#"{"type":"t", "x":25.0,"y":[1,{"id":2}]}"#, None),
    (r#"{"id":"ü\"\u0041<"}"#, Some(r#""ü\"\u0041<""#)),
    ("[1,2]", Some(r#"{"a":1}"#)),
];

impl Known {
    fn has(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    fn text(self, bit: u32, text: &'static str) -> Option<&'static str> {
        self.has(bit).then_some(text)
    }

    fn links(self) -> LinkSet {
        let link = |bit, name: &'static str| self.text(bit, name).map(str::to_owned);
        LinkSet {
            self_: link(0, "/a?b=1&c=2"),
            first: link(1, "/first"),
            prev: link(2, "/prev"),
            next: link(3, "/next"),
            last: link(4, "/last"),
        }
    }

    fn facts(self, links: &LinkSet) -> Facts<'_> {
        Facts {
            next_cursor: self.text(5, "n"),
            prev_cursor: self.text(6, "p"),
            start_cursor: self.text(7, "s"),
            end_cursor: self.text(8, "e"),
            total: self.has(9).then_some(Total { value: 1003, exact: self.has(10) }),
            page: self.has(11).then_some(3),
            pages: self.has(12).then_some(51),
            item_cursors: Some(&Numbered),
            ..fixture::facts(links)
        }
    }

    /// Returns the expected value of a placeholder; `None` if it is unknown.
    fn say(self, name: &str, item: usize) -> Option<Json> {
        let text = |bit, text: &'static str| self.text(bit, text).map(Json::from);
        let (whole, id) = ITEMS[item.min(3)];
        let whole: Json = serde_json::from_str(whole).unwrap();
        match name {
            "item" => Some(whole),
            "item.id" => id.map(|id| serde_json::from_str(id).unwrap()),
            "item.cursor" => (item != 1).then(|| format!("i{item}").into()),
            "item.reserved" => {
                let id = id.and_then(|id| serde_json::from_str::<Json>(id).ok());
                let of_id = |name: &str, value: &Json| name == "id" && id.as_ref() == Some(value);
                let said: serde_json::Map<_, _> = whole
                    .as_object()?
                    .iter()
                    .filter(|(name, value)| ["id", "type"].contains(&name.as_str()) && !of_id(name, value))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                (!said.is_empty()).then(|| said.into())
            }
            "item.fields" => whole.as_object().map(|object| {
                object
                    .iter()
                    .filter(|(name, _)| *name != "id" && *name != "type")
                    .map(|(a, b)| (a.clone(), b.clone()))
                    .collect()
            }),
            "count" => Some((self.0 >> 13).into()),
            "limit" => Some(20.into()),
            "path" => Some("/api/users".into()),
            "level" => Some("exact".into()),
            "has_next" | "has_prev" | "has_more" => Some(false.into()),
            "total" => (self.has(9) && self.has(10)).then(|| 1003.into()),
            "total_at_least" => self.has(9).then(|| 1003.into()),
            "page" => self.has(11).then(|| 3.into()),
            "pages" => self.has(12).then(|| 51.into()),
            "next.cursor" => text(5, "n"),
            "prev.cursor" => text(6, "p"),
            "start.cursor" => text(7, "s"),
            "end.cursor" => text(8, "e"),
            "links.self" => text(0, "/a?b=1&c=2"),
            "links.first" => text(1, "/first"),
            "links.prev" => text(2, "/prev"),
            "links.next" => text(3, "/next"),
            "links.last" => text(4, "/last"),
            _ => panic!("{name}"),
        }
    }

    /// Returns the expected value of a text, which is parsed here by simpler means; `None` if a placeholder is unknown.
    fn expected_text(self, text: &str, item: usize) -> Option<Json> {
        let text = text.replace("{collection}", "users").replace("{{", "\u{1}").replace("}}", "\u{2}");
        let as_text = |value: Json| match value {
            Json::String(text) => text,
            // The spelling matters only for an id that is an object, and `ITEMS` has it in the compact spelling, as
            // `to_string` writes it.
            other => other.to_string(),
        };
        let one = |inner: &str| {
            let (name, null) = inner.strip_suffix("|null").map_or((inner, false), |name| (name, true));
            let (name, quoted) = name.strip_suffix(":string").map_or((name, false), |name| (name, true));
            let value = self.say(name, item).map(|value| match (quoted, name) {
                (true, "item") => ITEMS[item].0.into(),
                (true, _) => as_text(value).into(),
                (false, _) => value,
            });
            if null { Some(value.unwrap_or(Json::Null)) } else { value }
        };
        if let Some(inner) =
            text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).filter(|inner| !inner.contains('}'))
        {
            return one(inner);
        }
        let mut said = String::new();
        for (index, part) in text.split(['{', '}']).enumerate() {
            if index % 2 == 0 {
                said.push_str(part);
            } else {
                said.push_str(&as_text(one(part)?));
            }
        }
        Some(said.replace('\u{1}', "{").replace('\u{2}', "}").into())
    }

    /// Returns whether a skeleton has a placeholder of the page or its items.
    fn says_facts(tree: &LocatedTree) -> bool {
        match &tree.value {
            Tree::Text(text) => text.replace("{{", "").replace("{collection}", "").contains('{'),
            Tree::Array(elements) => elements.iter().any(Self::says_facts),
            Tree::Object(members) => members.iter().any(|(_, value)| Self::says_facts(value)),
            Tree::Null | Tree::Boolean(_) | Tree::Number(_) => false,
        }
    }

    /// Returns the expected value of a part of a skeleton; `None` if the part is left out. Literals are left out with
    /// their neighbours if all facts among the neighbours are unknown.
    fn expected_of(self, tree: &LocatedTree, item: Option<usize>) -> Option<Json> {
        let parts: Vec<&LocatedTree> = match &tree.value {
            Tree::Array(elements) => elements.iter().collect(),
            Tree::Object(members) => members.iter().map(|(_, value)| value).collect(),
            _ => return self.expected(tree, item),
        };
        let mut facts = parts.into_iter().filter(|part| Self::says_facts(part)).peekable();
        let is_silent = facts.peek().is_some() && facts.all(|part| self.expected_of(part, item).is_none());
        let is_items = item.is_none() && matches!(tree.value, Tree::Array(_)) && format!("{tree:?}").contains("{item");
        if is_silent && !is_items { None } else { self.expected(tree, item) }
    }

    /// Returns the expected value of a part that isn't left out as a whole.
    fn expected(self, tree: &LocatedTree, item: Option<usize>) -> Option<Json> {
        match &tree.value {
            Tree::Null => Some(Json::Null),
            Tree::Boolean(flag) => Some((*flag).into()),
            Tree::Number(spelling) => Some(serde_json::from_str(spelling).unwrap()),
            Tree::Text(text) => self.expected_text(text, item.unwrap_or(0)),
            Tree::Array(elements) if item.is_none() && format!("{elements:?}").contains("{item") => {
                let count = self.0 as usize >> 13;
                Some((0..count).filter_map(|index| self.expected(&elements[0], Some(index))).collect())
            }
            Tree::Array(elements) => {
                let said: Vec<Json> = elements.iter().filter_map(|element| self.expected_of(element, item)).collect();
                (!said.is_empty() || elements.is_empty()).then(|| said.into())
            }
            Tree::Object(members) => {
                let said: serde_json::Map<_, _> = members
                    .iter()
                    .filter_map(|(name, value)| {
                        let name = self.expected_text(&name.value, 0)?;
                        Some((name.as_str()?.to_owned(), self.expected_of(value, item)?))
                    })
                    .collect();
                (!said.is_empty() || members.is_empty()).then(|| said.into())
            }
        }
    }
}

/// For each bit of [`Known`], a string that is in every template with a placeholder that the bit makes known.
const BITS: [&str; 13] = [
    "links.self",
    "links.first",
    "links.prev",
    "links.next",
    "links.last",
    "next.cursor",
    "prev.cursor",
    "start.cursor",
    "end.cursor",
    "{total",
    "{total",
    "{page",
    "{pages",
];

#[test]
fn a_body_has_exactly_the_known_facts() {
    for text in [STANDARD, BARE, RELAY, HAL, NESTED, TEXTS] {
        let compiled = template(text);
        let skeleton = fixture::envelope(text, &mut Diagnostics::default()).body;
        let unused: u32 = (0..13).filter(|&bit| !text.contains(BITS[bit])).map(|bit| 1 << bit).sum();
        for known in (0..5 << 13).filter(|bits| bits & unused == 0).map(Known) {
            let items = known.0 as usize >> 13;
            let page = fixture::page(&ITEMS[..items], items / 2);
            let links = known.links();
            let mut output = Output::default();
            compiled.render(&known.facts(&links), &page, &mut output);
            let body = output.bytes;
            let said: Json = serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
            assert_eq!(Some(said), known.expected(&skeleton, None), "{:b} {}", known.0, String::from_utf8_lossy(&body));
        }
    }
}

#[test]
fn items_are_copied_byte_for_byte() {
    let items = [
        (r#"{"a":25.0,"b":1e400,"c":9007199254740993 , "c":-0}"#, Some("1")),
        ("{ \"d\" :\t\"\\/\\u00e9é\\ud83d\" }", None),
        ("null", None),
    ];
    let links = LinkSet::default();
    for in_first in 0..=items.len() {
        let mut output = Output::from(b"before".to_vec());
        template(BARE).render(&fixture::facts(&links), &fixture::page(&items, in_first), &mut output);
        let expected = format!("before[{},{},{}]", items[0].0, items[1].0, items[2].0);
        assert_eq!(String::from_utf8(output.bytes).unwrap(), expected);
    }
}

#[test]
fn an_envelope_needs_the_costly_facts_of_its_body_and_headers() {
    let none = Needs::default();
    for (text, needs) in [
        (STANDARD, none),
        (RELAY, Needs { item_cursors: true, edge_cursors: true, now: false }),
        (r#"{ "headers": { "X-Time": "at {now}" }, "body": ["{item}"] }"#, Needs { now: true, ..none }),
        (r#"{ "headers": { "X-End": "{end.cursor}" }, "body": ["{item}"] }"#, Needs { edge_cursors: true, ..none }),
    ] {
        assert_eq!(template(text).needs(), needs, "{text}");
    }
}

#[test]
fn the_etag_does_not_depend_on_the_time() {
    let compiled = template(r#"{ "body": { "now": "{now}", "data": ["{item}"], "again": "at {now}." } }"#);
    let links = LinkSet::default();
    let page = fixture::page(&ITEMS, 1);
    let rendered = |now, limit| {
        let mut output = Output::default();
        compiled.render(&Facts { now: Some(now), limit, ..fixture::facts(&links) }, &page, &mut output);
        (etag::weak(&output.lasting(&page)), output.bytes)
    };
    let (tag, body) = rendered("2026-01-01T00:00:00Z", 1);
    let (later_tag, later_body) = rendered("2027-02-03T04:05:06Z", 1);
    assert_eq!(tag, later_tag);
    assert_ne!(body, later_body);
}

#[test]
fn headers_are_left_out_where_something_in_them_is_unknown() {
    let compiled = template(
        r#"{ "headers": { "X-Total-Count": "{total}", "X-Page": "{page}/{pages}", "X-List": "{collection} {limit}", "X-Path": "{path}" },
             "body": ["{item}"] }"#,
    );
    let page = fixture::page(&[], 0);
    let links = LinkSet::default();
    let said = |facts: &Facts<'_>| {
        let headers = compiled.headers(facts, &page);
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let facts = fixture::facts(&links);
    assert_eq!(said(&facts), "x-list: users 20; x-path: /api/users");
    let known = Facts { total: Some(Total { value: 3, exact: true }), page: Some(1), ..facts };
    assert_eq!(said(&known), "x-total-count: 3; x-list: users 20; x-path: /api/users");
    let bound = Facts { total: Some(Total { value: 3, exact: false }), page: Some(1), pages: Some(2), ..facts };
    assert_eq!(said(&bound), "x-page: 1/2; x-list: users 20; x-path: /api/users");
    assert_eq!(said(&Facts { path: "/a\r\nX-Evil: 1", ..facts }), "x-list: users 20", "no header is split");
    assert_eq!(compiled.header_names().count(), 4);
}

#[test]
fn an_error_body_has_only_the_members_that_apply() {
    let compiled = template(
        r#"{ "body": ["{item}"], "error_content_type": "application/vnd.api+json", "error": {
               "errors": [{ "status": "{status:string}", "code": "{code}", "detail": "{detail}", "about": "{collection}",
                            "source": { "parameter": "{parameter}" }, "links": { "type": "{type}" },
                            "meta": { "page": { "maxSize": "{max_limit}" } } }],
               "id": "{request_id}", "links": { "first": "{restart}" } } }"#,
    );
    let mut problem = Problem::new(Code::LimitTooLarge, "too \"large\"");
    let render = |problem: &Problem, types| {
        let response = Response::of_problem(problem, types, "r1", Some(&compiled));
        assert_eq!(response.headers["content-type"], "application/vnd.api+json");
        assert_eq!(response.headers["content-length"], response.body.len().to_string().as_str());
        serde_json::from_slice::<Json>(&response.body.into_parts().concat()).unwrap()
    };
    let error = json!({ "status": "400", "code": "limit_too_large", "detail": "too \"large\"", "about": "users" });
    assert_eq!(render(&problem, None), json!({ "errors": [error], "id": "r1" }));
    problem.parameter = Some("limit".to_owned());
    problem.max_limit = Some(90);
    problem.restart = Some("/a".to_owned());
    let said = render(&problem, Some("https://docs.example/"));
    assert_eq!(said["errors"][0]["source"], json!({ "parameter": "limit" }));
    assert_eq!(said["errors"][0]["links"], json!({ "type": "https://docs.example/limit_too_large" }));
    assert_eq!(said["errors"][0]["meta"], json!({ "page": { "maxSize": 90 } }));
    assert_eq!(said["links"], json!({ "first": "/a" }));
}

/// Each fault points at the text that causes it, and has the expected message and help.
#[test]
fn faults_of_envelopes_point_at_their_text() {
    let body = |body: &str| format!(r#"{{ "body": {body} }}"#);
    let cases = [
        (body(r#"{ "data": [] }"#), r#"{ "data": [] }"#, "no place for the items", "[\"{item}\"]"),
        (body(r#""{item}""#), "{item}", "outside of the array", "[\"{item}\"]"),
        (body(r#"{ "a": "{item.id}", "b": ["{item}"] }"#), "{item.id}", "{item.id} is outside", ""),
        (body(r#"["{item}", "x"]"#), "\"x\"", "second element", "one element"),
        (body(r#"[1, "{item}"]"#), "\"{item}\"", "second element", ""),
        (body(r#"["{item}", "{item}"]"#), "\"{item}\"", "second element", ""),
        (body(r#"["{itme}"]"#), "{itme}", "no placeholder {itme}", "did you mean {item}?"),
        (body(r#"{ "a": "n: {totl}", "b": ["{item}"] }"#), "{totl}", "no placeholder", "did you mean {total}?"),
        (
            body(r#"{ "a": "{request/~2}", "b": ["{item}"] }"#),
            "{request/~2}",
            "not a place in a request",
            "JSON Pointer",
        ),
        (body(r#"{ "a": "x{request/x}", "b": ["{item}"] }"#), "{request/x}", "is JSON", "{request/x:string}"),
        (body(r#"{ "a": "{requested}", "b": ["{item}"] }"#), "{requested}", "no placeholder {requested}", ""),
        (r#"{ "body": ["{item}"], "error": "{request/x}" }"#.into(), "{request/x}", "no value in errors", ""),
        (body(r#"{ "a": "{status}", "b": ["{item}"] }"#), "{status}", "only in errors", "known here"),
        (body(r#"["{item} x"]"#), "{item}", "is JSON", "{item:string}"),
        (body(r#"["/{item.id}"]"#), "{item.id}", "is JSON", "{item.id:string}"),
        (body(r#"{ "a": "x {total|null}", "b": ["{item}"] }"#), "{total|null}", "`|null` can't be inside", ""),
        (body(r#"{ "{total}": 1, "b": ["{item}"] }"#), "{total}", "in a member's name", "{collection}"),
        (body(r#"{ "users": 1, "{collection}": ["{item}"] }"#), "\"{collection}\"", "is repeated here", "`users`"),
        (body(r#"{ "a": "}", "b": ["{item}"] }"#), "}", "lone brace", "{{ or }}"),
        (body(r#"{ "a": "x {", "b": ["{item}"] }"#), "{", "lone brace", ""),
        (body(r#"{ "a": "{x {y}", "b": ["{item}"] }"#), "{", "lone brace", ""),
        (body(r#"{ "a": "{}", "b": ["{item}"] }"#), "{}", "no placeholder {}", ""),
        (
            r#"{ "body": ["{item}"], "error": { "a": "{parameter}" } }"#.into(),
            r#"{ "a": "{parameter}" }"#,
            "may be empty",
            "{code}",
        ),
        (r#"{ "body": ["{item}"], "error": "{total}" }"#.into(), "{total}", "no value in errors", "request_id"),
        (r#"{ "body": ["{item}"], "error": ["{item}"] }"#.into(), "{item}", "no value in errors", ""),
        (r#"{ "body": ["{item}"], "headers": { "X A": "1" } }"#.into(), "\"X A\"", "not a header name", ""),
        (r#"{ "body": ["{item}"], "headers": { "Link": "1" } }"#.into(), "\"Link\"", "writes Link itself", ""),
        (
            r#"{ "body": ["{item}"], "headers": { "X": "{total|null}" } }"#.into(),
            "\"{total|null}\"",
            "can't be null",
            "",
        ),
        (r#"{ "body": ["{item}"], "headers": { "X": "{item}" } }"#.into(), "{item}", "outside of the array", ""),
        (r#"{ "body": ["{item}"], "headers": { "X": "a\nb" } }"#.into(), "\"a\\nb\"", "one line", ""),
    ];
    for (text, place, message, help) in cases {
        let mut diagnostics = Diagnostics::default();
        let settings = fixture::envelope(&text, &mut diagnostics);
        assert!(EnvelopeTemplate::compile(&settings, "users", &mut diagnostics).is_none(), "{text}");
        let faults: Vec<_> = diagnostics.iter().collect();
        assert_eq!(faults.len(), 1, "{text}: {}", diagnostics.render(false));
        let at = &text[faults[0].at.start as usize..faults[0].at.end as usize];
        assert_eq!(at, place, "{text}");
        assert!(faults[0].message.contains(message), "{text}: {}", faults[0].message);
        assert!(faults[0].help.contains(help), "{text}: {}", faults[0].help);
    }
    let several = r#"{ "content_type": "json", "headers": { "Y": "{a}" }, "body": { "x": "{b}", "y": "{" } }"#;
    let mut diagnostics = Diagnostics::default();
    let settings = fixture::envelope(several, &mut diagnostics);
    assert!(EnvelopeTemplate::compile(&settings, "users", &mut diagnostics).is_none());
    assert_eq!(diagnostics.counts(), (4, 0), "{}", diagnostics.render(false));
}
