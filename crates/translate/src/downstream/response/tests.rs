use std::fmt::Write as _;

use http::header::{AGE, SET_COOKIE};

use super::legacy;
use super::*;
use crate::downstream::{
    envelope::links::LinkSet,
    fixture::{self, BARE, STANDARD},
    problem::{Code, Problem},
};
use cursorgate_config::{diagnostic::Diagnostics, settings::LegacySettings};
use cursorgate_core::pagination::answer::Total;

const ITEMS: [(&str, Option<&str>); 3] = [
    (r#"{"id":1,"name":"Ada"}"#, Some("1")),
    (r#"{"id":2, "score":25.0}"#, Some("2")),
    (r#"{"id":9007199254740993}"#, Some("9007199254740993")),
];

fn template(text: &str) -> EnvelopeTemplate {
    let mut diagnostics = Diagnostics::default();
    let settings = fixture::envelope(text, &mut diagnostics);
    EnvelopeTemplate::compile(&settings, "users", &mut diagnostics).unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

/// A page of a snapshot: the number of its items, its neighbours, and its known facts.
#[derive(Clone, Copy, Default)]
struct Case {
    items: usize,
    prev: bool,
    next: bool,
    total: Option<u64>,
    page: Option<u64>,
    legacy: bool,
}

fn rendered(template: &EnvelopeTemplate, case: Case, upstream: &[&HeaderMap]) -> Response {
    let url = |rest: &str| Some(format!("https://api.example.com/api/users?team=a%2Cb&limit=3{rest}"));
    let links = LinkSet {
        self_: if case.page.is_some() {
            Some("https://api.example.com/api/users?team=a%2Cb&page=2".to_owned())
        } else {
            url("&cursor=HERE")
        },
        first: url(""),
        prev: case.prev.then(|| url("&cursor=PREV")).flatten(),
        next: case.next.then(|| url("&cursor=NEXT")).flatten(),
        last: case.total.filter(|&total| total > 0).and_then(|_| url("&cursor=LAST")),
    };
    let facts = Facts {
        limit: 3,
        has_next: case.next,
        has_prev: case.prev,
        has_more: case.next,
        total: case.total.map(|value| Total { value, exact: true }),
        page: case.page,
        pages: case.page.and(case.total).map(|total| total.div_ceil(3)),
        next_cursor: case.next.then_some("NEXT"),
        prev_cursor: case.prev.then_some("PREV"),
        ..fixture::facts(&links)
    };
    let settings = LegacySettings {
        deprecation: Some(1_768_435_200),
        sunset: Some(1_798_675_200),
        documentation: Some("https://docs.example.com/cursors".to_owned()),
        ..LegacySettings::default()
    };
    let successor = url("").unwrap();
    let extra_links =
        if case.legacy { legacy::links(settings.documentation.as_deref(), &successor) } else { Vec::new() };
    let legacy_headers = if case.legacy { legacy::headers(&settings) } else { Vec::new() };
    let page = fixture::page(&ITEMS[..case.items], 2);
    let response = PageResponse {
        template,
        facts: &facts,
        page: &page,
        upstream,
        beside: &[],
        varies: &Varies::new(vec![http::header::AUTHORIZATION, http::header::COOKIE]),
        preference_applied: None,
        link_length: 4096,
        extra_links: &extra_links,
        service_links: &[],
        legacy_headers: &legacy_headers,
    };
    response.render().finish(page.into_facts().answers)
}

/// Returns a response as text: status, headers by name, body.
fn written(response: &Response) -> String {
    let mut text = format!("{}\n", response.status);
    let mut lines: Vec<_> =
        response.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    lines.sort();
    let _ =
        write!(text, "{}\n{}\n", lines.concat(), String::from_utf8_lossy(&response.body.clone().into_parts().concat()));
    text
}

#[test]
fn pages_look_like_their_snapshots() {
    let cases = [
        ("first page", Case { items: 3, next: true, total: Some(8), ..Case::default() }),
        ("first page, total unknown", Case { items: 3, next: true, ..Case::default() }),
        ("middle page", Case { items: 3, next: true, prev: true, total: Some(8), ..Case::default() }),
        ("last page", Case { items: 2, prev: true, total: Some(8), ..Case::default() }),
        ("empty collection", Case { total: Some(0), ..Case::default() }),
        ("page after the end", Case { prev: true, total: Some(8), ..Case::default() }),
        ("request by page", Case { items: 3, next: true, prev: true, total: Some(8), page: Some(2), legacy: true }),
        (
            "request by page, total unknown",
            Case { items: 3, next: true, page: Some(2), legacy: true, ..Case::default() },
        ),
    ];
    for (envelope, text) in [("standard", STANDARD), ("bare", BARE)] {
        let template = template(text);
        let snapshots = cases.map(|(name, case)| format!("# {name}\n\n{}", written(&rendered(&template, case, &[]))));
        fixture::assert_snapshot(&format!("{envelope}.txt"), &snapshots.join("\n"));
    }
}

/// Row: A14
#[test]
fn problems_look_like_their_snapshots() {
    let mut text = String::new();
    for &code in Code::ALL {
        let problem = Problem::new(code, "What is wrong in this request, and what to do.");
        let _ = write!(
            text,
            "# {}\n\n{}\n",
            code.as_str(),
            written(&Response::of_problem(&problem, Some("https://docs.example.com/problems/"), "r-1", None))
        );
    }
    let mut whole = Problem::new(Code::CursorMismatch, "A <detail> & \"quotes\"\u{2028}")
        .with_parameter("cursor")
        .with_restart("/a?b=1&c=2");
    whole.nearest = Some("/a?cursor=x".to_owned());
    whole.max_limit = Some(90);
    whole.differs = vec!["filters", "order"];
    whole.allowed = vec!["created_at".to_owned(), "id".to_owned()];
    whole.retry_after = Some(HeaderValue::from_static("30"));
    let _ = write!(text, "# every member, no types\n\n{}", written(&Response::of_problem(&whole, None, "r-1", None)));
    fixture::assert_snapshot("problems.txt", &text);
}

#[test]
fn a_page_has_the_kept_headers_of_the_first_answer() {
    let first = headers(&[
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
        ("content-length", "3"),
        ("content-range", "items 0-2/8"),
        ("content-digest", "sha-256=:x:"),
        ("etag", "\"upstream\""),
        ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("link", "<http://upstream/?page=2>; rel=next"),
        ("accept-ranges", "bytes"),
        ("server", "legacy/1"),
        ("digest", "x"),
        ("repr-digest", "x"),
        ("signature", "x"),
        ("signature-input", "x"),
        ("cursorgate-level", "positional"),
        ("x-content-type-options", "off"),
        ("x-total-count", "77"),
        ("x-request-id", "abc"),
        ("access-control-allow-origin", "*"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("expires", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("cache-control", "public, max-age=60"),
        ("cdn-cache-control", "max-age=600"),
        ("cloudflare-cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("age", "5"),
        ("vary", "Accept"),
    ]);
    let second = headers(&[("x-request-id", "def"), ("cache-control", "max-age=10"), ("age", "9"), ("vary", "X-Team")]);
    let case = Case { items: 3, ..Case::default() };
    let said = |template: &EnvelopeTemplate, upstream: &[&HeaderMap]| {
        let response = rendered(template, case, upstream);
        let own = [ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LINK, X_CONTENT_TYPE_OPTIONS];
        let mut lines: Vec<_> = response
            .headers
            .iter()
            .filter(|(name, _)| !own.contains(name))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        (lines, response)
    };
    let (lines, response) = said(&template(STANDARD), &[&first, &second]);
    assert_eq!(
        lines,
        [
            "access-control-allow-origin: *",
            "age: 9",
            "cache-control: no-store, private, max-age=10",
            "cursorgate-level: positional",
            "date: Mon, 01 Jan 2024 00:00:00 GMT",
            "set-cookie: a=1",
            "set-cookie: b=2",
            "vary: Accept, X-Team, authorization, cookie",
            "x-request-id: abc",
            "x-total-count: 77",
        ]
    );
    for (name, value) in [(CONTENT_TYPE, "application/json"), (X_CONTENT_TYPE_OPTIONS, "nosniff")] {
        let all: Vec<_> = response.headers.get_all(&name).iter().collect();
        assert_eq!(all, [value]);
    }
    assert_eq!(response.headers[CONTENT_LENGTH], response.body.len().to_string().as_str());
    assert!(!response.headers[LINK].to_str().unwrap().contains("upstream"));
    let (lines, _) = said(&template(BARE), &[&first]);
    assert!(!lines.iter().any(|line| line.starts_with("x-total-count")), "the envelope's own header is not known here");
    assert!(lines.iter().any(|line| line.starts_with("expires")));
}

#[test]
fn headers_state_level_drift_and_flaws_of_a_page() {
    let links = LinkSet::default();
    let mut page = fixture::page(&ITEMS, 3).flagged(Unproven::TieRun).cut_short();
    page.notes.drift = Some(-3);
    let template = template(STANDARD);
    let facts = fixture::facts(&links);
    let response = PageResponse {
        template: &template,
        facts: &facts,
        page: &page,
        upstream: &[],
        beside: &[],
        varies: &Varies::default(),
        preference_applied: None,
        link_length: 4096,
        extra_links: &[],
        service_links: &[],
        legacy_headers: &[],
    };
    let response = response.render().finish(Vec::new());
    for (name, value) in [("level", "positional"), ("drift", "-3"), ("unproven", "tie-run"), ("short", "budget")] {
        assert_eq!(response.headers[format!("cursorgate-{name}")], value);
    }
    assert!(!response.headers.contains_key(LINK) && !response.headers.contains_key(VARY));
}

#[test]
fn a_page_that_matches_if_none_match_is_not_sent_again() {
    let template = template(BARE);
    let case = Case { items: 3, next: true, ..Case::default() };
    let response = rendered(&template, case, &[]);
    let tag = response.headers[ETAG].to_str().unwrap().to_owned();
    let asked = |value: &str| {
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
        response.clone().unless_matched(&request)
    };
    assert_eq!(asked("\"other\""), response);
    let known = asked(&format!("\"other\", {tag}"));
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert!(!known.headers.contains_key(CONTENT_LENGTH) && !known.headers.contains_key(CONTENT_TYPE));
    for name in [ETAG, CACHE_CONTROL, VARY, LINK] {
        assert_eq!(known.headers[&name], response.headers[&name]);
    }
    let refusal = Response::upstream_refusal(404, &headers(&[("etag", "\"x\"")]), Vec::new(), &[]);
    assert_eq!(refusal.clone().unless_matched(&headers(&[("if-none-match", "*")])), refusal);
}

#[test]
fn an_upstreams_refusal_passes_as_it_is() {
    let upstream = headers(&[
        ("content-type", "text/html; charset=latin1"),
        ("www-authenticate", "Basic realm=\"a\""),
        ("www-authenticate", "Bearer"),
        ("retry-after", "120"),
        ("content-encoding", "gzip"),
        ("connection", "close"),
        ("set-cookie", "a=1"),
    ]);
    let response = Response::upstream_refusal(401, &upstream, b"<p>no".to_vec(), &[http::header::AUTHORIZATION]);
    assert_eq!((response.status, response.body.clone().into_parts().concat()), (401, b"<p>no".to_vec()));
    let text = written(&response);
    let expected = "401\ncache-control: no-store, private, no-cache\ncontent-encoding: gzip\ncontent-length: 5\ncontent-type: text/html; charset=latin1\n\
                    retry-after: 120\nset-cookie: a=1\nvary: authorization\nwww-authenticate: Basic realm=\"a\"\n\
                    www-authenticate: Bearer\nx-content-type-options: nosniff\n\n<p>no\n";
    assert_eq!(text, expected);
    assert!(!response.headers.contains_key(AGE) && response.headers.contains_key(SET_COOKIE));
}

#[test]
fn scripts_of_allowed_origins_may_read_the_gateways_headers() {
    let ours = "Link, ETag, Retry-After, Deprecation, Sunset, Cursorgate-Level, Cursorgate-Drift, Cursorgate-Unproven, \
                Cursorgate-End, Cursorgate-Short, X-Request-Id, x-total-count";
    let exposed = |upstream: &[(&'static str, &'static str)]| {
        let response = rendered(&template(BARE), Case { items: 1, ..Case::default() }, &[&headers(upstream)]);
        let value = response.headers.get("access-control-expose-headers");
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    const ORIGIN: (&str, &str) = ("access-control-allow-origin", "https://a.example");
    const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
    const EXPOSE: &str = "access-control-expose-headers";
    assert_eq!(exposed(&[]), None);
    assert_eq!(exposed(&[ORIGIN]).as_deref(), Some(ours));
    assert_eq!(exposed(&[ORIGIN, (EXPOSE, "*")]).as_deref(), Some("*"));
    assert_eq!(exposed(&[ORIGIN, CREDENTIALS, (EXPOSE, "*")]).as_deref(), Some(ours));
    let merged = exposed(&[ORIGIN, CREDENTIALS, (EXPOSE, "X-A, link"), (EXPOSE, "X-B")]).unwrap();
    assert_eq!(merged, format!("X-A, link, X-B, {}", ours.trim_start_matches("Link, ")));
    let refusal = Response::upstream_refusal(429, &headers(&[ORIGIN]), Vec::new(), &[]);
    assert!(refusal.headers[EXPOSE].to_str().unwrap().contains("Retry-After"));
}
