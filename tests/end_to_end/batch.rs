//! Tests of batch routes: POST with the cursor in the body, in front of services that are read by POST and by GET.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{
    envelopes::contract,
    guides::configurations,
    harness::{
        gateway::Gateway,
        http::{self, Connection, Response},
        rows::{Row, Rows},
        schema,
        upstream::{After, Exchange, Upstream},
    },
};

/// Answers as a typical batch service. It pages by `payload.cursor`, which is the id of the last record, or by
/// `payload.page` and `payload.page_size`. It filters by `payload.parity`, and answers 422 to a request without
/// `requester_service`.
fn service(rows: &Rows, exchange: &mut Exchange) -> io::Result<After> {
    let body: Value = serde_json::from_slice(&exchange.body()?).unwrap_or_default();
    let json = [("Content-Type", "application/json")];
    let length = exchange.request.header("content-length").is_some();
    let is_json = exchange.request.header("content-type") == Some("application/json");
    if exchange.request.method != "POST" || !length || !is_json || !body["requester_service"].is_string() {
        return exchange.reply("422 Unprocessable Content", &json, br#"{"message":"who asks?"}"#);
    }
    let payload = &body["payload"];
    let parity = payload["parity"].as_f64();
    let rows: Vec<Row> =
        rows.all().into_iter().filter(|row| parity.is_none_or(|wanted| (row.id % 2 == 1) == (wanted == 1.0))).collect();
    let size = payload["page_size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(10);
    let from = match (payload["page"].as_u64(), payload["cursor"].as_str()) {
        (Some(page), _) => usize::try_from(page.saturating_sub(1)).unwrap_or(0) * size,
        (None, Some(cursor)) => {
            let last: u64 = cursor.trim_start_matches("c-").parse().unwrap_or(0);
            rows.iter().position(|row| row.id > last).unwrap_or(rows.len())
        }
        (None, None) => 0,
    };
    let page = &rows[from.min(rows.len())..(from + size).min(rows.len())];
    let more = from + size < rows.len();
    let next = page.last().filter(|_| more).map(|row| format!("c-{}", row.id));
    let items: Vec<String> = page.iter().map(Row::json).collect();
    let pagination = json!({
        "total_records": rows.len(), "returned_records": page.len(), "next_cursor": next, "has_more": more,
    });
    let answer = format!(r#"{{"response":{{"pagination":{pagination},"courses":[{}]}}}}"#, items.join(","));
    exchange.reply("200 OK", &json, answer.as_bytes())
}

fn service_of(rows: &Rows) -> Upstream {
    let rows = rows.clone();
    Upstream::start(move |exchange| service(&rows, exchange))
}

/// Returns the configuration of a route by POST and of its dialects. `route` contains lines for the table of the route.
fn configuration(upstream: &Upstream, route: &str) -> String {
    format!(
        r#"
[upstreams.legacy]
peers = ["{}"]
host_header = "courses.test"

[routes.courses]
path = "/batch/courses"
methods = ["POST"]
upstream = "legacy"
envelope = "batch"
order = ["id"]
fields = {{ id = {{ type = "number", nulls = "none" }} }}
page_size = {{ default = 100, max = 1000 }}
{route}

[dialects.paged-post.request]
method = "POST"
body = {{ payload = {{ page = "{{page}}", page_size = "{{size}}" }} }}
[dialects.paged-post.size]
max = 2500
[dialects.paged-post.response]
items = "/response/courses"
total = "/response/pagination/total_records"

[dialects.rows]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/items", total = "/total" }}
"#,
        upstream.address
    )
}

const BY_TOKEN: &str = "dialect = \"batch-post\"";
const BY_PAGE: &str = "dialect = \"paged-post\"";
const BY_GET: &str = "dialect = \"rows\"\nparameters = { query = { parity = \"/payload/parity\" } }";

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

fn start(rows: &Rows, route: &str) -> (Upstream, Gateway) {
    let upstream = if route == BY_GET {
        let rows = rows.clone();
        Upstream::start(move |exchange| rows.answer(exchange))
    } else {
        service_of(rows)
    };
    let gateway = Gateway::start(&configuration(&upstream, route));
    (upstream, gateway)
}

fn post(gateway: &Gateway, body: &Value) -> Response {
    gateway.send("POST", "/batch/courses", &JSON, body.to_string().as_bytes())
}

/// Returns the status of a response, with the code of an error in the form of the envelope.
fn outcome(response: &Response) -> String {
    match response.status {
        200 => "200".to_owned(),
        status => format!("{status} {}", response.json()["code"].as_str().unwrap_or_default()),
    }
}

fn ids(page: &Value) -> Vec<u64> {
    let records = page["response"]["courses"].as_array().expect("records");
    records.iter().map(|record| record["id"].as_u64().expect("an id")).collect()
}

/// Walks as a batch client does. The first `cursor` is null, and each later one is the `next_cursor` of the page
/// before. The walk ends when `next_cursor` is null.
fn walk(gateway: &Gateway, payload: &Value) -> Vec<Value> {
    let mut connection = gateway.connect();
    let contract = contract("batch");
    let mut pages = Vec::new();
    let mut seen = vec![Value::Null];
    loop {
        let mut payload = payload.clone();
        payload["cursor"] = seen.last().cloned().unwrap_or_default();
        let body = json!({ "requester_service": "planner", "payload": payload }).to_string();
        let response = connection.request("POST", "/batch/courses", &JSON, body.as_bytes()).expect("a response");
        assert_eq!(outcome(&response), "200", "{response:?}");
        let page = response.json();
        assert_eq!(response.header("content-type"), contract["content_type"].as_str());
        assert_eq!(schema::faults(&contract["page"], &page), Vec::<String>::new(), "{page}");
        assert_eq!(page["payload"], payload, "what was asked comes back");
        let pagination = page["response"]["pagination"].clone();
        assert_eq!(pagination["returned_records"], ids(&page).len());
        assert_eq!(pagination["has_more"], !pagination["next_cursor"].is_null(), "{pagination}");
        pages.push(page);
        let next = pagination["next_cursor"].clone();
        if next.is_null() {
            return pages;
        }
        assert!(!seen.contains(&next), "a cursor comes twice");
        seen.push(next);
        assert!(pages.len() < 1_000, "the walk doesn't end");
    }
}

#[test]
fn a_walk_delivers_each_record_once_by_each_dialect() {
    for route in [BY_TOKEN, BY_PAGE, BY_GET] {
        let (_upstream, gateway) = start(&Rows::count(1_003), route);
        for size in [7, 100, 1_000] {
            let pages = walk(&gateway, &json!({ "page_size": size }));
            let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
            assert_eq!(delivered, (1..=1_003).collect::<Vec<_>>(), "{route}, {size}");
            assert_eq!(pages.len(), 1_003_usize.div_ceil(size), "{route}, {size}");
        }
    }
}

#[test]
fn five_thousand_records_take_five_pages_and_few_requests() {
    for route in [BY_TOKEN, BY_PAGE, BY_GET] {
        let (upstream, gateway) = start(&Rows::count(5_000), route);
        let pages = walk(&gateway, &json!({ "page_size": 1_000 }));
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=5_000).collect::<Vec<_>>(), "{route}");
        assert_eq!(pages.len(), 5, "{route}");
        assert!(upstream.count() <= 16, "{route}: {} requests", upstream.count());
        for page in &pages {
            assert_eq!(page["response"]["pagination"]["total_records"], 5_000, "{route}");
        }
    }
}

/// Filters in the body reach the upstream. A cursor is refused if the filters change.
#[test]
fn other_members_of_the_body_are_filters() {
    for route in [BY_TOKEN, BY_PAGE, BY_GET] {
        let (_upstream, gateway) = start(&Rows::count(60), route);
        let pages = walk(&gateway, &json!({ "page_size": 7, "parity": 1 }));
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=60).step_by(2).collect::<Vec<_>>(), "{route}");

        let asked = json!({ "requester_service": "planner", "payload": { "page_size": 7, "parity": 1 } });
        let first = post(&gateway, &asked).json();
        let cursor = &first["response"]["pagination"]["next_cursor"];
        // The same body with other whitespace or another page size selects the same list.
        let text = format!(
            "{{ \"payload\" : {{\"parity\": 1, \"cursor\":{cursor}, \"page_size\":5}}, \"requester\\u005fservice\":\"planner\"}}"
        );
        let next = gateway.send("POST", "/batch/courses", &JSON, text.as_bytes());
        assert_eq!(outcome(&next), "200", "{next:?}");
        assert_eq!(ids(&next.json()), [15, 17, 19, 21, 23], "{route}");
        let other = json!({ "requester_service": "planner", "payload": { "cursor": cursor, "parity": 0 } });
        let refused = post(&gateway, &other);
        assert_eq!(outcome(&refused), "400 cursor_mismatch", "{refused:?}");
        let message = refused.json()["message"].as_str().expect("a message").to_owned();
        assert!(message.contains("filters") && message.contains("`/payload/cursor`"), "{message}");
        assert!(!message.contains("restart") && refused.header("link").is_none(), "{refused:?}");
    }
}

/// The answer contains `requester_service` and `payload` of the request, byte for byte.
#[test]
fn an_answer_repeats_members_of_its_request_byte_for_byte() {
    let (_upstream, gateway) = start(&Rows::count(3), BY_TOKEN);
    let payload = r#"{ "x" : 1.50, "page_size":2, "n\u0061me":"\u00e9\/", "big":12345678901234567890123 }"#;
    let body = format!(r#"{{"payload": {payload}, "requester_service":"planner", "trace": 7}}"#);
    let page = gateway.send("POST", "/batch/courses", &JSON, body.as_bytes());
    assert_eq!(outcome(&page), "200", "{page:?}");
    assert!(
        page.text().starts_with(&format!(
            r#"{{"requester_service":"planner","payload":{payload},"response":{{"version":"1.0","fetched_at":"20"#
        )),
        "{}",
        page.text()
    );
    assert_eq!(page.header("link"), None);
    assert_eq!(page.header("etag"), None);
    assert!(page.header("cache-control").is_some_and(|value| value.contains("no-cache")), "{page:?}");
}

/// With `first-page`, all pages have the total of the first page; with `upstream`, each has the current one.
#[test]
fn the_total_is_that_of_the_first_page_or_follows_the_upstream() {
    for (total, expected) in [("upstream", [20, 19, 18]), ("first-page", [20, 20, 20])] {
        for route in [BY_TOKEN, BY_PAGE] {
            let rows = Rows::count(20);
            let (_upstream, gateway) = start(&rows, &format!("{route}\ntotal = \"{total}\""));
            let mut cursor = Value::Null;
            for expected in expected {
                let body = json!({ "requester_service": "planner", "payload": { "page_size": 5, "cursor": cursor } });
                let page = post(&gateway, &body).json();
                assert_eq!(page["response"]["pagination"]["total_records"], expected, "{route} {total}");
                cursor = page["response"]["pagination"]["next_cursor"].clone();
                rows.change(|rows| drop(rows.pop()));
            }
        }
    }
}

/// A walk neither loses nor repeats records while other records are added and removed, if the order of the service can
/// be proven.
#[test]
fn the_walk_holds_while_records_come_and_go() {
    for route in [BY_PAGE, BY_GET] {
        let rows = Rows::new((1..=200).map(|id| Row::new(id * 2, id)));
        let (_upstream, gateway) = start(&rows, route);
        let (mut cursor, mut delivered) = (Value::Null, Vec::new());
        loop {
            let body = json!({ "requester_service": "planner", "payload": { "page_size": 30, "cursor": cursor } });
            let response = post(&gateway, &body);
            assert_eq!(outcome(&response), "200", "{response:?}");
            let page = response.json();
            delivered.extend(ids(&page));
            cursor = page["response"]["pagination"]["next_cursor"].clone();
            let first = delivered[0];
            rows.change(|rows| {
                rows.retain(|row| row.id != first);
                rows.splice(0..0, [Row::new(1, 0)]);
            });
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(delivered, (1..=200).map(|id| id * 2).collect::<Vec<_>>(), "{route}");
    }
}

/// An envelope in the configuration can have other names, a sort in the body, and cursors to previous pages.
#[test]
fn a_configured_envelope_may_have_own_names_a_sort_and_previous_cursors() {
    let rows = Rows::count(45);
    let upstream = {
        let rows = rows.clone();
        Upstream::start(move |exchange| rows.answer(exchange))
    };
    let gateway = Gateway::start(&format!(
        r#"
[upstreams.legacy]
peers = ["{}"]
[routes.courses]
path = "/batch/courses"
methods = ["POST"]
upstream = "legacy"
dialect = "rows"
envelope = "mine"
order = ["-score", "id"]
sortable = ["score", "id"]
fields = {{ id = {{ type = "number", nulls = "none" }}, score = {{ type = "number", nulls = "none" }} }}
[dialects.rows]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/items", total = "/total" }}
sort = {{ query = "sort={{direction}}{{field}}", ascending = "", descending = "-", join = "," }}
[envelopes.mine]
parameters = {{ limit = "/page/size", cursor = "/page/cursor", sort = "/page/sort" }}
[envelopes.mine.body]
asked = "{{request/page/sort|null}}"
"total_{{collection}}" = "{{total}}"
next = "{{next.cursor|null}}"
prev = "{{prev.cursor|null}}"
"{{collection}}" = ["{{item}}"]
"#,
        upstream.address
    ));
    for (sort, expected) in [(json!("score"), (1..=45).collect::<Vec<u64>>()), (Value::Null, (1..=45).rev().collect())]
    {
        let mut pages = Vec::new();
        let mut cursor = Value::Null;
        let ids = |page: &Value| -> Vec<u64> {
            let courses = page["courses"].as_array().expect("records");
            courses.iter().filter_map(|record| record["id"].as_u64()).collect()
        };
        let ask = |cursor: &Value| {
            let response = post(&gateway, &json!({ "page": { "size": 10, "cursor": cursor, "sort": sort } }));
            assert_eq!(response.outcome(), "200", "{response:?}");
            response.json()
        };
        loop {
            let page = ask(&cursor);
            assert_eq!((&page["total_courses"], &page["asked"]), (&json!(45), &sort));
            cursor = page["next"].clone();
            pages.push(page);
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected);
        let mut back = Vec::new();
        let mut cursor = pages.last().expect("a last page")["prev"].clone();
        while !cursor.is_null() {
            let page = ask(&cursor);
            back.push(ids(&page));
            cursor = page["prev"].clone();
        }
        back.reverse();
        assert_eq!(back, pages[..pages.len() - 1].iter().map(ids).collect::<Vec<_>>());
    }
}

#[test]
fn faults_of_a_body_are_refused_in_the_envelopes_form() {
    let (upstream, gateway) = start(&Rows::count(3), &format!("{BY_PAGE}\nbudgets = {{ body_depth = 4 }}"));
    let (before, contract) = (upstream.count(), contract("batch"));
    for (headers, body, expected) in [
        (&JSON[..], "", "400 body_invalid"),
        (&JSON, "[]", "400 body_invalid"),
        (&JSON, "{\"payload\":{", "400 body_invalid"),
        (&JSON, "{} {}", "400 body_invalid"),
        (&JSON, r#"{"payload":{"a":1,"\u0061":2}}"#, "400 body_invalid"),
        (&JSON, r#"{"a":[[[[]]]]}"#, "400 body_invalid"),
        (&JSON, r#"{"payload":[1]}"#, "400 body_invalid"),
        (&JSON, r#"{"payload":{"cursor":""}}"#, "400 cursor_invalid"),
        (&JSON, r#"{"payload":{"cursor":7}}"#, "400 cursor_invalid"),
        (&JSON, r#"{"payload":{"cursor":"forged"}}"#, "400 cursor_invalid"),
        (&JSON, r#"{"payload":{"page_size":0}}"#, "400 limit_invalid"),
        (&JSON, r#"{"payload":{"page_size":"many"}}"#, "400 limit_invalid"),
        (&JSON, r#"{"payload":{"page_size":[5]}}"#, "400 limit_invalid"),
        (&JSON, r#"{"payload":{"page":2}}"#, "400 parameter_invalid"),
        (&[], "{}", "415 media_type_unsupported"),
        (&[("Content-Type", "text/plain")], "{}", "415 media_type_unsupported"),
        (&[JSON[0], ("Content-Encoding", "br")], "{}", "415 media_type_unsupported"),
    ] {
        let response = gateway.send("POST", "/batch/courses", headers, body.as_bytes());
        assert_eq!(outcome(&response), expected, "{body}: {response:?}");
        let problem = response.json();
        assert_eq!(schema::faults(&contract["error"], &problem), Vec::<String>::new(), "{problem}");
        assert!(!response.text().contains("restart"), "{response:?}");
    }
    assert_eq!(upstream.count(), before, "nothing of it reaches the upstream");
}

/// A body of 1 MiB is accepted and one byte more is refused, with `Content-Length` and in chunks.
#[test]
fn bodies_have_a_bound() {
    const MOST: usize = 1 << 20;
    let (_upstream, gateway) = start(&Rows::count(3), BY_TOKEN);
    let body = |length: usize| {
        let begin = r#"{"requester_service":"planner","filler":""#;
        format!("{begin}{}\"}}", "x".repeat(length - begin.len() - 2)).into_bytes()
    };
    let mut connection = gateway.connect();
    let read = connection.request("POST", "/batch/courses", &JSON, &body(MOST)).expect("a response");
    assert_eq!(outcome(&read), "200");
    let refused = connection.request("POST", "/batch/courses", &JSON, &body(MOST + 1)).expect("a response");
    assert_eq!(outcome(&refused), "413 body_too_large", "{refused:?}");

    let chunked = |length: usize| {
        let mut message = b"POST /batch/courses HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n\
            Transfer-Encoding: chunked\r\n\r\n"
            .to_vec();
        for part in body(length).chunks(100_000) {
            message.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            message.extend_from_slice(part);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\n");
        let mut connection = gateway.connect();
        connection.send(&message).expect("it is read");
        connection.response("POST").expect("a response")
    };
    assert_eq!(outcome(&chunked(MOST)), "200");
    assert_eq!(outcome(&chunked(MOST + 1)), "413 body_too_large");
}

fn head(length: usize, more: &str) -> String {
    format!(
        "POST /batch/courses HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    )
}

/// A client that sends `Expect: 100-continue` gets the interim response before it sends its body, or a refusal in its
/// place.
///
/// Row: F64
#[test]
fn expect_100_continue_is_answered_before_the_body() {
    const EXPECTS: &str = "Expect: 100-continue\r\n";
    let (_upstream, gateway) = start(&Rows::count(3), BY_TOKEN);
    let body = br#"{"requester_service":"planner"}"#;
    let mut connection: Connection = gateway.connect();
    connection.send(head(body.len(), EXPECTS).as_bytes()).expect("it is read");
    assert_eq!(connection.receive(25).expect("a word"), b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.send(body).expect("it is read");
    let page = connection.response("POST").expect("a response");
    assert_eq!(outcome(&page), "200", "{page:?}");

    let mut connection = gateway.connect();
    connection.send(head(2 << 20, EXPECTS).as_bytes()).expect("it is read");
    let refused = connection.response("POST").expect("a response");
    assert_eq!(outcome(&refused), "413 body_too_large", "{refused:?}");
}

/// A body that is cut off is refused, and so is a body that does not arrive in time.
#[test]
fn incomplete_bodies_are_refused_and_reach_no_upstream() {
    let (upstream, gateway) = start(&Rows::count(3), &format!("{BY_TOKEN}\nbudgets = {{ time = \"300ms\" }}"));
    let mut connection = gateway.connect();
    connection.send(format!("{}{{\"requester", head(100, "")).as_bytes()).expect("it is read");
    connection.stream().shutdown(std::net::Shutdown::Write).expect("it is open");
    let refused = connection.response("POST").expect("a response");
    assert_eq!(outcome(&refused), "400 body_invalid", "{refused:?}");

    let mut slow = gateway.connect();
    slow.send(format!("{}{{\"requester", head(100, "")).as_bytes()).expect("it is read");
    let refused = slow.response("POST").expect("a response");
    assert_eq!(outcome(&refused), "400 body_invalid", "{refused:?}");
    assert!(slow.is_closed(), "nothing else is read from it");
    assert_eq!(upstream.count(), 0);
    let page = post(&gateway, &json!({ "requester_service": "planner" }));
    assert_eq!(outcome(&page), "200", "and the next one is served");
}

/// Refusals of the service are passed on, and requests with other methods are forwarded to it.
#[test]
fn refusals_by_the_upstream_and_other_methods_are_passed_on() {
    let (upstream, gateway) = start(&Rows::count(3), BY_TOKEN);
    let refused = post(&gateway, &json!({ "payload": {} }));
    assert_eq!((refused.status, refused.text()), (422, r#"{"message":"who asks?"}"#));
    let forwarded = gateway.get("/batch/courses?x=1");
    assert_eq!(forwarded.status, 422);
    let last = upstream.requests().pop().expect("a request");
    assert_eq!((last.method.as_str(), last.target.as_str()), ("GET", "/batch/courses?x=1"));
}

/// A request for a page by POST only reads, so it is retried if a pooled connection is broken.
#[test]
fn a_read_by_post_may_be_sent_again() {
    let rows = Rows::count(3);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        service(&served, exchange)?;
        Ok(After::Close)
    });
    let gateway = Gateway::start(&configuration(&upstream, BY_TOKEN));
    for _ in 0..5 {
        let page = post(&gateway, &json!({ "requester_service": "planner" }));
        assert_eq!(outcome(&page), "200", "{page:?}");
    }
}

/// A route for GET and POST can be paged by a cursor in the query while the search is in the body.
#[test]
fn a_search_pages_by_its_query() {
    let rows = Rows::count(25);
    let upstream = service_of(&rows);
    let text = configuration(&upstream, BY_PAGE)
        .replace("methods = [\"POST\"]", "methods = [\"GET\", \"HEAD\", \"POST\"]")
        .replace("envelope = \"batch\"", "envelope = \"standard\"");
    let gateway = Gateway::start(&text);
    let body = br#"{"requester_service":"planner","payload":{"parity":0}}"#;
    let mut delivered = Vec::new();
    let mut target = "/batch/courses?limit=5".to_owned();
    loop {
        let page = gateway.send("POST", &target, &JSON, body);
        assert_eq!(page.outcome(), "200", "{page:?}");
        let page = page.json();
        delivered.extend(page["data"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()));
        assert_eq!(page["links"]["next"], Value::Null, "answers to POST have no links");
        let Some(cursor) = page["pagination"]["nextCursor"].as_str() else { break };
        let other = gateway.send("POST", &format!("/batch/courses?cursor={cursor}"), &JSON, b"{}");
        assert_eq!(other.outcome(), "400 cursor_mismatch");
        target = format!("/batch/courses?limit=5&cursor={cursor}");
    }
    assert_eq!(delivered, (1..=12).map(|half| half * 2).collect::<Vec<u64>>());
    // The service requires `requester_service`, which a GET without a body can't have.
    assert_eq!(gateway.get("/batch/courses?limit=5").status, 422);
}

/// A POST that pages by the service's own query parameters is a legacy request, to which `legacy` of the route applies.
#[test]
fn legacy_requests_by_post_are_recognised_by_their_query() {
    let rows = Rows::count(30);
    let legacy = "old_clients = \"pass\"\nlegacy = { deprecation = 2026-01-15 }";
    let route = format!("{BY_GET}\n{legacy}");
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.method == "POST" {
            let body = exchange.body()?;
            return exchange.reply("200 OK", &[("Content-Type", "text/plain")], &body);
        }
        rows.answer(exchange)
    });
    let gateway = Gateway::start(&configuration(&upstream, &route));
    let passed = gateway.send("POST", "/batch/courses?offset=10", &[("Content-Type", "text/plain")], b"as it came");
    assert_eq!((passed.status, passed.text()), (200, "as it came"));
    assert_eq!(passed.header("deprecation"), Some("@1768435200"));
    let paging = |gateway: &Gateway| gateway.access_log().last().map(|line| line["paging"].clone());
    crate::harness::eventually("it is counted as an old one", || (paging(&gateway)? == "legacy").then_some(()));
    let page = post(&gateway, &json!({ "payload": { "page_size": 4, "cursor": "start" } }));
    assert_eq!((outcome(&page).as_str(), ids(&page.json())), ("200", vec![1, 2, 3, 4]));

    let followed = gateway.send("POST", "/batch/courses?offset=10", &JSON, br#"{"payload":{"page_size":3}}"#);
    let successor = followed.header("link").map(str::to_owned);
    assert_eq!(successor.as_deref(), Some("</batch/courses>; rel=\"successor-version\""), "places are no parameters");

    // A redirect can't contain a cursor that is sent in a body, so the client gets the page itself.
    for policy in ["redirect", "translate"] {
        let legacy = format!("old_clients = \"{policy}\"\nlegacy = {{ sunset = 2036-01-15 }}");
        let gateway = Gateway::start(&configuration(&upstream, &format!("{BY_GET}\n{legacy}")));
        let page = gateway.send("POST", "/batch/courses?offset=10", &JSON, br#"{"payload":{"page_size":3}}"#);
        assert_eq!((page.status, page.header("location")), (200, None), "{policy}: {page:?}");
        assert_eq!(ids(&page.json()), [11, 12, 13], "{policy}");
    }

    let ended = legacy.replace("deprecation = 2026-01-15", "sunset = 2026-01-15, after_sunset = \"reject\"");
    let rejecting = Gateway::start(&configuration(&upstream, &format!("{BY_GET}\n{ended}")));
    for body in [&b"{}"[..], b"no JSON", &vec![b' '; 3_000_000]] {
        let rejected = rejecting.send("POST", "/batch/courses?offset=10", &JSON, body);
        assert_eq!(rejected.status, 410, "{rejected:?}");
    }
    let counted = "paging=\"legacy\"} 3";
    let metrics = || rejecting.metrics().text().contains(counted).then_some(());
    crate::harness::eventually("rejected requests are counted", metrics);

    gateway.rewrite(crate::harness::gateway::Keys::One, &configuration(&upstream, &route.replace("pass", "translate")));
    gateway.signal("HUP");
    let translated = crate::harness::eventually("the new configuration is in force", || {
        let page = gateway.send("POST", "/batch/courses?offset=10", &JSON, br#"{"payload":{"page_size":3}}"#);
        page.header("cursorgate-level").is_some().then_some(page)
    });
    assert_eq!(ids(&translated.json()), [11, 12, 13]);
    assert!(translated.header("link").is_none() && translated.header("deprecation").is_some(), "{translated:?}");
    let cursor = translated.json()["response"]["pagination"]["next_cursor"].clone();
    let next = post(&gateway, &json!({ "payload": { "page_size": 3, "cursor": cursor } }));
    assert_eq!(ids(&next.json()), [14, 15, 16]);
    let both = gateway.send(
        "POST",
        "/batch/courses?offset=10",
        &JSON,
        json!({ "payload": { "cursor": cursor } }).to_string().as_bytes(),
    );
    assert_eq!(outcome(&both), "400 parameter_conflict", "{both:?}");
}

/// The usual faults of batch services: each walk is complete, is refused, or has an end that is marked as not proven.
#[test]
fn the_usual_faults_of_a_batch_service_end_no_walk_in_silence() {
    type Fault = (&'static str, fn(&mut Value));
    let faults: [Fault; 5] = [
        ("no pagination object", |answer| {
            drop(answer["response"].as_object_mut().expect("an object").remove("pagination"));
        }),
        ("the cursor is a number", |answer| {
            let next = &mut answer["response"]["pagination"]["next_cursor"];
            *next = next.as_str().map_or(Value::Null, |text| json!(text[2..].parse::<u64>().expect("a number")));
        }),
        ("a constant cursor", |answer| answer["response"]["pagination"]["next_cursor"] = json!("c-100")),
        ("always more", |answer| answer["response"]["pagination"]["has_more"] = json!(true)),
        ("never more", |answer| answer["response"]["pagination"]["has_more"] = json!(false)),
    ];
    let mut wrong = Vec::new();
    for (name, spoil) in faults {
        let rows = Rows::count(250);
        let upstream = Upstream::start(move |exchange| {
            let body: Value = serde_json::from_slice(&exchange.body()?).unwrap_or_default();
            let (payload, all) = (&body["payload"], rows.all());
            let size = payload["page_size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(10);
            let cursor = &payload["cursor"];
            let last = cursor.as_u64().or_else(|| cursor.as_str()?.trim_start_matches("c-").parse().ok()).unwrap_or(0);
            let rest: Vec<&Row> = all.iter().filter(|row| row.id > last).collect();
            let page = &rest[..size.min(rest.len())];
            let next = page.last().filter(|_| rest.len() > size).map(|row| format!("c-{}", row.id));
            let items: Vec<Value> = page.iter().map(|row| serde_json::from_str(&row.json()).expect("JSON")).collect();
            let more = rest.len() > size;
            let pagination = json!({ "total_records": all.len(), "next_cursor": next, "has_more": more });
            let mut answer = json!({ "response": { "pagination": pagination, "courses": items } });
            spoil(&mut answer);
            exchange.reply("200 OK", &JSON, answer.to_string().as_bytes())
        });
        let gateway = Gateway::start(&configuration(&upstream, BY_TOKEN));
        let (mut seen, mut cursor) = (Vec::new(), Value::Null);
        let end = loop {
            let asked = json!({ "requester_service": "planner", "payload": { "cursor": cursor, "limit": 100 } });
            let response = post(&gateway, &asked);
            if response.status != 200 {
                break outcome(&response);
            }
            seen.extend(ids(&response.json()));
            cursor = response.json()["response"]["pagination"]["next_cursor"].clone();
            if cursor.is_null() {
                break response.header("cursorgate-end").unwrap_or("proven").to_owned();
            }
        };
        let is_whole = seen.iter().copied().eq(1..=250);
        if end == "proven" && !is_whole || !seen.iter().copied().eq(1..=seen.len() as u64) {
            wrong.push(format!("{name}: {} records, {end}", seen.len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The limits of bodies apply to marked requests alone: a body beyond them can't be one, so an old client's passes.
#[test]
fn old_bodies_pass_beyond_the_limits() {
    let upstream = Upstream::start(|exchange| {
        let body = exchange.body()?;
        let digest = format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        exchange.reply("200 OK", &[("Content-Type", "text/plain")], digest.as_bytes())
    });
    let route = format!("{BY_TOKEN}\nold_clients = \"pass\"\nbudgets = {{ time = \"2s\" }}");
    let gateway = Gateway::start(&configuration(&upstream, &route));
    let body = |length: usize| {
        let begin = r#"{"requester_service":"planner","filler":""#;
        format!("{begin}{}\"}}", "xyz".repeat(length / 3)).into_bytes()
    };
    let digest = |body: &[u8]| format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    let chunked = |body: &[u8], pause: Duration| {
        let head = b"POST /batch/courses HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n\
            Transfer-Encoding: chunked\r\n\r\n";
        let mut connection = gateway.connect();
        connection.send(head).expect("it is read");
        for part in body.chunks(100_000) {
            let framed = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
            connection.send(&framed).expect("it is read");
            std::thread::sleep(pause);
        }
        connection.send(b"0\r\n\r\n").expect("it is read");
        connection.response("POST").expect("a response")
    };
    let mut connection = gateway.connect();
    for length in [100, 3_000_000] {
        let body = body(length);
        let passed = connection.request("POST", "/batch/courses", &JSON, &body).expect("a response");
        assert_eq!((passed.status, passed.text()), (200, digest(&body).as_str()), "{length}");
        let passed = chunked(&body, Duration::ZERO);
        assert_eq!((passed.status, passed.text()), (200, digest(&body).as_str()), "{length} in chunks");
    }
    // A slow client isn't cut off by the budget of pages.
    let slow = body(500_000);
    let passed = chunked(&slow, Duration::from_millis(600));
    assert_eq!((passed.status, passed.text()), (200, digest(&slow).as_str()));
}

/// Curl sends a body as a form unless it is told otherwise. A cursor in such a body is refused: a service that reads the
/// body, but not the cursor, would answer with its first page. An old client's body passes with each type.
#[test]
fn a_marked_body_of_another_type_is_refused() {
    let upstream = Upstream::start(|exchange| {
        let body = exchange.body()?;
        exchange.reply("200 OK", &[("Content-Type", "text/plain")], &body)
    });
    let gateway = Gateway::start(&configuration(&upstream, &format!("{BY_TOKEN}\nold_clients = \"pass\"")));
    let send = |media_type: &str, cursor: &str| {
        let headers: Vec<(&str, &str)> =
            [("Content-Type", media_type)].into_iter().filter(|own| !own.1.is_empty()).collect();
        let body = format!(r#"{{"requester_service":"planner","payload":{{"cursor":"{cursor}"}}}}"#);
        (gateway.send("POST", "/batch/courses", &headers, body.as_bytes()), body)
    };
    for media_type in ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-16", ""] {
        let before = upstream.count();
        for cursor in ["start", "~AgEMHXXB"] {
            let (refused, _) = send(media_type, cursor);
            assert_eq!(outcome(&refused), "415 media_type_unsupported", "{media_type} {cursor}: {refused:?}");
        }
        assert_eq!(upstream.count(), before, "{media_type}");
        let (passed, body) = send(media_type, "c-10");
        assert_eq!((passed.status, passed.text()), (200, body.as_str()), "{media_type}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

const GZIP: [(&str, &str); 2] = [JSON[0], ("Content-Encoding", "gzip")];

/// A mark is found in a compressed body too. An old client's body reaches the service with the coding and the bytes that
/// the client sent, even if it can't be decoded within the limits: the service judges it.
///
/// Row: A32
#[test]
fn a_mark_in_a_compressed_body_is_read() {
    let rows = Rows::count(25);
    let pages = rows.clone();
    let upstream = Upstream::start(move |exchange| match exchange.request.header("content-encoding") {
        None => service(&pages, exchange),
        Some(coding) => {
            let coding = coding.to_owned();
            let body = exchange.body()?;
            exchange.reply("200 OK", &[("Content-Type", "text/plain"), ("X-Coding", &coding)], &body)
        }
    });
    let gateway = Gateway::start(&configuration(&upstream, &format!("{BY_TOKEN}\nold_clients = \"pass\"")));
    let mut connection = gateway.connect();
    let mut send = |headers: &[(&str, &str)], body: &[u8]| {
        connection.request("POST", "/batch/courses", headers, body).expect("a response")
    };
    let marked = |cursor: &str| {
        gzip(&format!(r#"{{"requester_service":"planner","payload":{{"cursor":"{cursor}","page_size":10}}}}"#))
    };
    let page = send(&GZIP, &marked("start"));
    assert_eq!((page.status, page.header("x-coding")), (200, None), "{page:?}");
    let next = page.json()["response"]["pagination"]["next_cursor"].as_str().expect("a cursor").to_owned();
    assert!(next.starts_with('~'), "{next}");
    let page = send(&[JSON[0], ("Content-Encoding", "x-gzip")], &marked(&next));
    let page = page.json();
    assert_eq!(page["response"]["courses"][0]["id"], 11, "{page}");
    let refused = send(&GZIP, &marked("~AgEMHXXB"));
    assert_eq!(outcome(&refused), "400 cursor_invalid", "{refused:?}");
    let form = send(&[("Content-Type", "text/plain"), GZIP[1]], &marked("start"));
    assert_eq!(outcome(&form), "415 media_type_unsupported", "{form:?}");

    let bomb = gzip(&format!(r#"{{"filler":"{}"}}"#, "x".repeat(3 << 20)));
    let damaged = [&marked("c-10")[..20], &b"more"[..]].concat();
    for (coding, body) in [
        ("gzip", marked("c-10")),
        ("x-gzip", gzip("no JSON")),
        ("gzip", b"no gzip".to_vec()),
        ("gzip", damaged.clone()),
        ("gzip", bomb.clone()),
        ("br", marked("c-10")),
        ("gzip, gzip", gzip("{}")),
    ] {
        let passed = send(&[JSON[0], ("Content-Encoding", coding)], &body);
        assert_eq!((passed.status, passed.header("x-coding")), (200, Some(coding)), "{passed:?}");
        assert!(passed.body == body, "{coding} {passed:?}");
    }

    // Without old clients, all requests are for pages, so what can't be decoded is refused.
    let gateway = Gateway::start(&configuration(&upstream, BY_TOKEN));
    let before = upstream.count();
    for (coding, body, expected) in [
        ("gzip", b"no gzip".to_vec(), "400 body_invalid"),
        ("gzip", damaged, "400 body_invalid"),
        ("gzip", bomb, "413 body_too_large"),
        ("br", gzip("{}"), "415 media_type_unsupported"),
        ("gzip, gzip", gzip("{}"), "415 media_type_unsupported"),
    ] {
        let refused = gateway.send("POST", "/batch/courses", &[JSON[0], ("Content-Encoding", coding)], &body);
        assert_eq!(outcome(&refused), expected, "{refused:?}");
    }
    assert_eq!(upstream.count(), before);
    let page = gateway.send("POST", "/batch/courses", &GZIP, &gzip(r#"{"requester_service":"planner"}"#));
    assert_eq!(outcome(&page), "200", "{page:?}");
}

/// A route that is set back to forwarding refuses a mark in a body as it refuses one in the query.
#[test]
fn a_route_set_back_to_forwarding_refuses_a_mark_in_a_body() {
    let rows = Rows::count(25);
    let upstream = service_of(&rows);
    let route = format!("{BY_TOKEN}\nold_clients = \"pass\"\naction = \"forward\"");
    let gateway = Gateway::start(&configuration(&upstream, &route));
    let body = |cursor: &str| format!(r#"{{"requester_service":"planner","payload":{{"cursor":"{cursor}"}}}}"#);
    let marked = body("start");
    for (headers, marked) in [(&JSON[..], marked.clone().into_bytes()), (&GZIP, gzip(&marked))] {
        let refused = gateway.send("POST", "/batch/courses", headers, &marked);
        assert_eq!(outcome(&refused), "503 not_paged", "{refused:?}");
    }
    assert_eq!(upstream.count(), 0);
    let old = body("c-10");
    let direct = http::send(upstream.address, "POST", "/batch/courses", &JSON, old.as_bytes());
    let passed = gateway.send("POST", "/batch/courses", &JSON, old.as_bytes());
    assert_eq!((passed.status, passed.text()), (direct.status, direct.text()));
}

/// A client as docs/envelopes.md describes it, by the configuration that the page shows.
#[test]
fn the_page_about_batch_services_describes_a_walk() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/envelopes.md")).expect("the page");
    let batch = page.split("## Batch services").nth(1).expect("the section");
    let configuration = configurations(batch)[0];
    let upstream = service_of(&Rows::count(25));
    let (_, routes) = configuration.split_once("[upstreams.courses]").expect("the upstream");
    let peers = format!("peers = [\"{}\"]", upstream.address);
    let gateway =
        Gateway::start(&format!("[upstreams.courses]{}", routes.replace("peers = [\"127.0.0.1:9000\"]", &peers)));
    let first = batch.split("A client first sends `\"cursor\": \"").nth(1).and_then(|rest| rest.split('"').next());
    let (mut cursor, mut seen) = (json!(first.expect("the first cursor")), Vec::new());
    while !cursor.is_null() {
        let asked = json!({ "requester_service": "planner", "payload": { "cursor": cursor, "page_size": 10 } });
        let answer = post(&gateway, &asked);
        assert!(answer.header("cursorgate-level").is_some(), "a page, and not the service's own answer: {answer:?}");
        seen.extend(ids(&answer.json()));
        cursor = answer.json()["response"]["pagination"]["next_cursor"].clone();
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    let old = post(&gateway, &json!({ "requester_service": "planner", "payload": { "cursor": null } }));
    assert_eq!(old.json()["response"]["pagination"]["next_cursor"], "c-10", "the old client's own cursor");
}

/// A route that was set back to forwarding looks into bodies that may have a mark.
#[test]
fn marked_bodies_are_refused_where_no_pages_are_served() {
    let (upstream, gateway) = start(&Rows::count(30), &format!("{BY_TOKEN}\naction = \"forward\""));
    let of = |cursor: &Value| json!({ "requester_service": "planner", "payload": { "cursor": cursor } });
    for cursor in ["start", "~abc"] {
        let refused = post(&gateway, &of(&json!(cursor)));
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("60")), "{refused:?}");
    }
    assert_eq!(upstream.count(), 0);
    let old = post(&gateway, &of(&json!("c-10")));
    assert_eq!((old.status, ids(&old.json())[0]), (200, 11), "{old:?}");
    assert_eq!(post(&gateway, &of(&Value::Null)).status, 200);
}
