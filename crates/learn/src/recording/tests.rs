//! Tests of learning from recorded exchanges, and of reading archives.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    Certainty, Learnt, ProbeLimits, ProbeTarget, WrittenUpstream, begin, configuration,
    findings::PlaceForm,
    prober::session::ProbeSlot,
    testing::{Answered, SimulatedRequest, answer_to, attempt, drive, load, rows, slice, sorted, target},
};

const PATH: &str = "/api/items";

/// Records the answers of a simulated upstream to requests with these queries.
fn record(queries: &[&str], answer: impl Fn(&SimulatedRequest) -> Answered) -> Vec<RecordedExchange> {
    let ask = |query: &&str| {
        let request = ProbeRequest::get(PATH.to_owned(), (*query).to_owned());
        exchange(&request, answer_to(&request, &answer))
    };
    queries.iter().map(ask).collect()
}

fn exchange(request: &ProbeRequest, answer: ProbeAnswer) -> RecordedExchange {
    RecordedExchange {
        method: request.method.clone(),
        path: request.path.clone(),
        pairs: query_of(&format!("?{}", request.query)),
        body: request.body.as_deref().map(|body| serde_json::from_str(body).unwrap()),
        credentials: Vec::new(),
        answer,
    }
}

/// Learns from a recording, as the command does. Returns the list and its target.
fn learn(exchanges: Vec<RecordedExchange>) -> (Result<Box<Learnt>, String>, ProbeTarget) {
    let mut recording = Recording::new(exchanges);
    let target = ProbeTarget {
        fixed: recording.first(&Method::GET, PATH, &[]).unwrap(),
        recorded: recording.parameters(&Method::GET, PATH),
        headers: recording.credentials(&Method::GET, PATH),
        ..target()
    };
    let step = begin(target.clone(), ProbeLimits::default());
    (drive(step, |request| recording.answer(request)), target)
}

fn written(learnt: &Learnt, target: &ProbeTarget) -> String {
    let upstream = WrittenUpstream { peer: "127.0.0.1:9".to_owned(), tls: false };
    let text = configuration(learnt, target, PATH, &upstream, 20, None);
    load(&text).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    text
}

fn open(learnt: &Learnt) -> Vec<&'static str> {
    let open = learnt.findings.iter().filter(|finding| finding.evidence.contains("not recorded"));
    open.filter(|finding| finding.certainty == Certainty::Open).map(|finding| finding.about).collect()
}

/// Answers with a slice of 75 items and the total. The slice begins at an offset, or with a page that is counted from
/// 1.
fn pages(asked: &SimulatedRequest) -> Answered {
    let rows = rows(75);
    let size = asked.number("per_page").or_else(|| asked.number("limit")).unwrap_or(20);
    let from = asked.number("offset").unwrap_or_else(|| (asked.number("page").unwrap_or(1) - 1) * size);
    Answered::new(json!({ "data": slice(&rows, from, size), "total": rows.len() }))
}

/// Answers with a page of at most 100 items, sorted by any field, or with a single item at the path of an item.
fn sortable(asked: &SimulatedRequest) -> Answered {
    if let Some(id) = asked.path.strip_prefix("/api/items/") {
        return Answered::new(json!({ "id": id.parse::<u64>().unwrap() }));
    }
    let mut rows = rows(250);
    if let Some(sort) = asked.text("sort") {
        rows = sorted(rows, sort.trim_start_matches('-'), sort.starts_with('-'));
    }
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
    let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
    Answered::new(json!({ "data": slice(&rows, from, size), "meta": { "total": rows.len() } }))
}

#[test]
fn a_recording_of_all_requests_teaches_as_much_as_the_live_list() {
    let (live, requests) = attempt(target(), ProbeLimits::default(), sortable);
    let recorded = requests.iter().map(|request| exchange(request, answer_to(request, &sortable))).collect();
    let live = live.unwrap();
    let learnt = learn(recorded).0.unwrap();
    assert_eq!((&learnt.place, &learnt.order, &learnt.places), (&live.place, &live.order, &live.places));
    assert_eq!((&learnt.sort, &learnt.past_end, &learnt.item_path), (&live.sort, &live.past_end, &live.item_path));
    assert_eq!(learnt.size, live.size);
    // A recording can't show whether two answers are in the same order.
    let is_stable = |learnt: &Learnt| learnt.findings.iter().any(|finding| finding.about == "stability");
    assert!(is_stable(&live) && !is_stable(&learnt));
}

#[test]
fn the_name_of_a_recorded_upstream_is_kept() {
    let queries = ["page=1&per_page=20", "page=2&per_page=20"];
    let (learnt, target) = learn(record(&queries, pages));
    assert!(written(&learnt.unwrap(), &target).contains("\nhost_header = \"legacy.test\"\n"));
}

#[test]
fn pages_of_a_browser_are_enough_for_a_route() {
    // The pages are in any order. The first page is the one with the smallest number.
    let queries = ["page=3&per_page=20", "page=1&per_page=20", "per_page=20&page=2", "page=4&per_page=20"];
    let (learnt, target) = learn(record(&queries, pages));
    let learnt = learnt.unwrap();
    assert_eq!(learnt.place, Some(PlaceForm::Page { slot: ProbeSlot::Query("page".to_owned()), first: 1 }));
    assert_eq!(learnt.size.as_ref().unwrap().choices, [20]);
    assert_eq!(learnt.places.total.as_deref(), Some("/total"));
    assert!(learnt.order.is_some() && learnt.fixed.is_empty());
    // The findings must not claim anything about requests that are not recorded.
    assert!(learnt.past_end.is_empty() && !learnt.repeats_last_page && !learnt.places.items_optional);
    let open = open(&learnt);
    for about in ["end of the list", "sort", "range filters", "item"] {
        assert!(open.contains(&about), "{about}: {open:?}");
    }
    assert!(!written(&learnt, &target).is_empty());
    assert_eq!(learnt.requests, 4);
}

#[test]
fn recordings_by_offset_token_and_link_are_distinguished() {
    let (learnt, target) = learn(record(&["offset=0&limit=20", "offset=20&limit=20", "offset=40&limit=20"], pages));
    let learnt = learnt.unwrap();
    assert_eq!(learnt.place, Some(PlaceForm::Offset { slot: ProbeSlot::Query("offset".to_owned()), first: 0 }));
    written(&learnt, &target);
    // The last page, which would have 15 items, is not recorded.
    assert!(open(&learnt).contains(&"end of the list"), "{:?}", learnt.findings);

    let by_token = |asked: &SimulatedRequest| {
        let from = asked.text("cursor").map_or(0, |token| token.trim_start_matches('t').parse().unwrap());
        let next = (from + 20 < 75).then(|| format!("t{}", from + 20));
        Answered::new(json!({ "items": slice(&rows(75), from, 20), "next_cursor": next }))
    };
    let learnt = learn(record(&["", "cursor=t20", "cursor=t40", "cursor=t60"], by_token)).0.unwrap();
    assert!(matches!(&learnt.place, Some(PlaceForm::Token { slot, .. }) if slot.name() == "cursor"), "{learnt:?}");

    let by_link = |asked: &SimulatedRequest| {
        let page = asked.number("page").unwrap_or(1);
        let next = format!("http://legacy.test/api/items?page={}", page + 1);
        Answered::new(json!({ "items": slice(&rows(75), (page - 1) * 20, 20), "next": next }))
    };
    let learnt = learn(record(&["", "page=2"], by_link)).0.unwrap();
    assert_eq!(learnt.place, Some(PlaceForm::Page { slot: ProbeSlot::Query("page".to_owned()), first: 1 }));
}

/// The recorded client requests the first page without a number.
#[test]
fn the_first_page_needs_no_number() {
    let from_one = |asked: &SimulatedRequest| {
        let from = asked.number("startIndex").unwrap_or(1) - 1;
        Answered::new(json!({ "data": slice(&rows(75), from, 20), "startIndex": from + 1 }))
    };
    let query = |name: &str| ProbeSlot::Query(name.to_owned());
    let (page, offset, index) = (query("page"), query("offset"), query("startIndex"));
    for (queries, form) in [
        (["", "page=2", "page=3"], PlaceForm::Page { slot: page, first: 1 }),
        (["", "offset=20", "offset=40"], PlaceForm::Offset { slot: offset, first: 0 }),
    ] {
        let learnt = learn(record(&queries, pages)).0.unwrap_or_else(|fault| panic!("{queries:?}: {fault}"));
        assert_eq!(learnt.place, Some(form), "{queries:?}");
    }
    let learnt = learn(record(&["", "startIndex=21", "startIndex=41"], from_one)).0.unwrap();
    assert_eq!(learnt.place, Some(PlaceForm::Offset { slot: index, first: 1 }));
}

#[test]
fn one_page_shows_no_way_to_the_next() {
    let learnt = learn(record(&[""], |_| Answered::new(json!({ "data": rows(20) })))).0.unwrap();
    assert_eq!(learnt.place, None);
    assert!(open(&learnt).contains(&"next page"), "{:?}", learnt.findings);
}

#[test]
fn the_number_of_the_first_page_is_not_learnt_without_the_first_page() {
    let learnt = learn(record(&["page=7&per_page=5", "page=9&per_page=5"], pages)).0.unwrap();
    assert_eq!(learnt.place, None, "{:?}", learnt.findings);
}

#[test]
fn a_recorded_credential_makes_the_principal() {
    let mut exchanges = record(&["page=1&per_page=20", "page=2&per_page=20"], pages);
    exchanges[1].credentials.push(header::AUTHORIZATION);
    let (learnt, target) = learn(exchanges);
    let learnt = learnt.unwrap();
    assert_eq!(learnt.principal, ["authorization"]);
    written(&learnt, &target);
}

#[test]
fn a_recorded_answer_is_found_by_method_query_and_body_and_used_once() {
    let mut exchanges = record(&["a=1&b=x%20y", "a=1&b=x%20y", "a=2"], pages);
    exchanges[1].answer.body = b"second".to_vec();
    exchanges[2].body = Some(json!({ "page": 1 }));
    exchanges[2].method = Method::POST;
    let mut recording = Recording::new(exchanges);
    let mut request = ProbeRequest::get(PATH.to_owned(), "b=x+y&a=1".to_owned());
    let without = ProbeRequest { without: Some(header::AUTHORIZATION), ..request.clone() };
    assert_eq!(recording.answer(&without).unwrap_err(), ProbeFault::NotRecorded);
    assert_eq!(recording.answer(&request).unwrap().body, b"second");
    assert_eq!(recording.answer(&request).unwrap_err(), ProbeFault::NotRecorded);
    request.query = "a=2".to_owned();
    assert_eq!(recording.answer(&request).unwrap_err(), ProbeFault::NotRecorded);
    (request.method, request.body) = (Method::POST, Some(r#"{ "page":2 }"#.to_owned()));
    assert_eq!(recording.answer(&request).unwrap_err(), ProbeFault::NotRecorded);
    request.body = Some(r#"{ "page":1 }"#.to_owned());
    recording.answer(&request).unwrap();
}

#[test]
fn a_list_that_is_not_recorded_is_an_error_without_values() {
    let recording = Recording::new(record(&["api_key=secret&page=1"], pages));
    let fault = recording.first(&Method::GET, PATH, &[]).unwrap_err();
    assert!(fault.contains("api_key, page") && !fault.contains("secret"), "{fault}");
    let fault = recording.first(&Method::GET, "/other", &[]).unwrap_err();
    assert!(fault.contains(PATH), "{fault}");
    assert!(Recording::default().first(&Method::GET, "/other", &[]).unwrap_err().contains("record requests"));
}

fn entry(url: &str, content: &Value) -> Value {
    let headers = json!([{ "name": "Authorization", "value": "Bearer secret" }, { "name": ":path", "value": "/" }]);
    let answer = json!([{ "name": "Content-Encoding", "value": "gzip" }, { "name": "X-Total", "value": "7" }]);
    json!({
        "time": 12.5,
        "request": { "method": "GET", "url": url, "headers": headers },
        "response": { "status": 200, "headers": answer, "content": content },
    })
}

fn archive(entries: &[Value]) -> Vec<u8> {
    json!({ "log": { "version": "1.2", "entries": entries } }).to_string().into_bytes()
}

#[test]
fn exchanges_are_read_from_a_har_archive() {
    let mut post = entry("http://legacy.test/search", &json!({ "text": "[]", "encoding": "" }));
    post["request"]["method"] = "POST".into();
    post["request"]["postData"] = json!({ "mimeType": "application/json", "text": "{\"page\": 1}" });
    let mut failed = entry("http://legacy.test/failed", &json!({ "size": 0 }));
    failed["response"]["status"] = 0.into();
    let text = archive(&[
        entry("http://LEGACY.test:80/a%20b?x=1&y=%C3%A4#part", &json!({ "text": "WzFd", "encoding": "base64" })),
        entry("https://legacy.test/other-port", &json!({ "text": "[]" })),
        entry("http://elsewhere.test/a", &json!({ "text": "[]" })),
        post,
        failed,
        entry("http://legacy.test/not-saved", &json!({ "size": 4000 })),
        entry("http://legacy.test/strange", &json!({ "text": "x", "encoding": "rot13" })),
    ]);
    let read = har::read(&text, "http://legacy.test/list?page=1").unwrap();
    assert_eq!((read.exchanges.len(), read.incomplete), (2, 3));
    let [first, second] = read.exchanges.as_slice() else { panic!("two") };
    assert_eq!((first.path.as_str(), first.answer.body.as_slice()), ("/a%20b", b"[1]".as_slice()));
    assert_eq!(first.pairs, [("x", "1"), ("y", "ä")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(first.answer.headers["x-total"], "7");
    assert!(first.answer.headers.get("content-encoding").is_none(), "the body is decoded");
    assert_eq!(first.credentials, [header::AUTHORIZATION]);
    assert_eq!(first.answer.elapsed.as_micros(), 12_500);
    assert_eq!((&second.method, &second.body), (&Method::POST, &Some(json!({ "page": 1 }))));
    assert!(!format!("{read:?}").contains("secret"));
    let marked = [b"\xef\xbb\xbf".as_slice(), &text].concat();
    assert_eq!(har::read(&marked, "http://legacy.test").unwrap().exchanges.len(), 2);
}

#[test]
fn a_malformed_archive_is_an_error_that_repeats_none_of_its_text() {
    for text in ["", "[]", "{\"log\":{}}", "{\"log\":{\"entries\":[\"secret\"]}}", "\u{0}secret"] {
        let fault = har::read(text.as_bytes(), "http://legacy.test/").unwrap_err();
        assert!(fault.contains("HAR 1.2") && !fault.contains("secret"), "{fault}");
    }
    for changed in ["request", "response"] {
        let mut broken = entry("http://legacy.test/", &json!({ "text": "[]" }));
        broken[changed] = Value::Null;
        har::read(&archive(&[broken]), "http://legacy.test/").unwrap_err();
    }
}
