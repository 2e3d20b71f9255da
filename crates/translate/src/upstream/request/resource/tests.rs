//! Requests for one item and for the total, and their answers.

use http::{HeaderMap, Method};

use crate::upstream::{
    Dialect, ReadingError, Unaskable, UpstreamRequest,
    testing::{AT, at, compile, faults},
};
use cursorgate_config::settings::{DialectCount, DialectItem, DialectMatch, ListSettings};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    fetch::Fetch,
    key::KeyValue,
};

fn item(path: &str) -> DialectItem {
    DialectItem { at: AT, path: at(path), query: None, headers: Vec::new(), value: None, gone: Vec::new() }
}

fn count() -> DialectCount {
    DialectCount { at: AT, method: Method::GET, path: None, query: None, headers: Vec::new(), total: None }
}

fn with_item(path: &str) -> Dialect {
    compile(|list| list.dialect.item = Some(item(path)))
}

fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.as_bytes().to_vec())
}

fn ask(dialect: &Dialect, fetch: &Fetch, list: &str) -> Result<UpstreamRequest, Unaskable> {
    dialect.ask(dialect.default_sorted(), fetch, "q=x", list)
}

fn read(dialect: &Dialect, fetch: &Fetch, status: u16, body: &str) -> Result<Answer, ReadingError> {
    let asked = ask(dialect, fetch, "/items").unwrap();
    dialect.read(dialect.default_sorted(), &asked, status, &HeaderMap::new(), body.as_bytes().to_vec(), 8)
}

#[test]
fn an_item_is_asked_for_at_its_own_address() {
    for (template, list, path) in [
        ("{path}/{id}", "/v1/items", "/v1/items/7"),
        ("{path}/{id}/", "/v1/items/", "/v1/items/7/"),
        ("{path}({id})", "/v1/Items", "/v1/Items(7)"),
        ("{parent}/_doc/{id}", "/index/_search", "/index/_doc/7"),
        ("/by id/{id}", "/items", "/by%20id/7"),
        ("{parent}/{id}", "/items", "/7"),
    ] {
        let asked = ask(&with_item(template), &Fetch::Item(KeyValue::Number("7".to_owned())), list).unwrap();
        assert_eq!((asked.path.as_str(), asked.query.as_str(), asked.method), (path, "", Method::GET), "{template}");
    }
    let dialect = compile(|list| {
        let query = Some(at("select={id}&v=1"));
        list.dialect.item = Some(DialectItem { query, headers: vec![(at("X-Id"), at("{id}"))], ..item("{path}") });
    });
    let asked = ask(&dialect, &Fetch::Item(text("a&b")), "/items").unwrap();
    assert_eq!((asked.path.as_str(), asked.query.as_str()), ("/items", "select=a%26b&v=1"));
    assert_eq!(asked.headers[0].1, "a&b");
    assert_eq!(
        ask(&dialect, &Fetch::Item(text("é")), "/items").map(|asked| asked.query).as_deref(),
        Ok("select=%C3%A9&v=1")
    );
}

#[test]
fn hostile_ids_do_not_escape_from_their_path_segment() {
    let path = |id: &str| ask(&with_item("{path}/{id}"), &Fetch::Item(text(id)), "/items").map(|asked| asked.path);
    for (id, expected) in [
        ("a b", "/items/a%20b"),
        ("a/b", "/items/a%2Fb"),
        ("?x=1#y", "/items/%3Fx%3D1%23y"),
        ("%2e%2e", "/items/%252e%252e"),
        ("...", "/items/..."),
        ("é'", "/items/%C3%A9%27"),
    ] {
        assert_eq!(path(id).as_deref(), Ok(expected));
    }
    for id in ["", ".", "..", "../admin", "a/../b", "a\\..\\b", "a\nb", "a\u{0}", "\u{85}"] {
        assert_eq!(path(id), Err(Unaskable::Gone), "{id:?}");
    }
    let dialect = with_item("{path}('{id}')");
    let asked = ask(&dialect, &Fetch::Item(text("O'Neil")), "/Items").unwrap();
    assert_eq!(asked.path, "/Items('O%27%27Neil')");
    for id in [KeyValue::Null, KeyValue::Text(vec![0xff])] {
        assert_eq!(ask(&dialect, &Fetch::Item(id.clone()), "/items"), Err(Unaskable::Gone), "{id:?}");
    }
    assert_eq!(ask(&compile(|_| ()), &Fetch::Item(text("7")), "/items"), Err(Unaskable::Gone));
}

#[test]
fn an_item_is_read_with_its_keys() {
    let dialect = compile(|list| {
        list.dialect.item = Some(DialectItem { value: Some(at("/data/0")), ..item("{path}/{id}") });
        list.dialect.item.as_mut().unwrap().gone =
            vec![DialectMatch { at: AT, status: None, body: Vec::new(), present: Some(at("/deleted")) }];
    });
    let fetch = Fetch::Item(text("7"));
    let answer = read(&dialect, &fetch, 200, r#"{"data":[ {"id":7,"created_at":"2025"} ]}"#).unwrap();
    let texts = |spans: &[cursorgate_core::json::Span]| -> Vec<String> {
        spans.iter().map(|span| String::from_utf8(span.of(answer.body()).to_vec()).unwrap()).collect()
    };
    assert_eq!(texts(answer.items()), [r#"{"id":7,"created_at":"2025"}"#]);
    assert_eq!(texts(answer.row(0).unwrap()), ["\"2025\"", "7"]);
    let standing = |status, body| read(&dialect, &fetch, status, body).map(|answer| answer.standing);
    assert_eq!(standing(404, "<html>"), Ok(Standing::Gone));
    assert_eq!(standing(410, ""), Ok(Standing::Gone));
    assert_eq!(standing(200, r#"{"data":[]}"#), Ok(Standing::Gone));
    assert_eq!(standing(200, r#"{"deleted":true,"data":[{"id":7}]}"#), Ok(Standing::Gone));
    assert_eq!(standing(200, r#"{"data":[{"id":7}]}"#), Ok(Standing::Listed));
    assert_eq!(standing(403, "{}"), Err(ReadingError::Failed { status: 403, body: b"{}".to_vec() }));
    assert!(matches!(standing(503, ""), Err(ReadingError::Unavailable(_))));
    assert!(matches!(standing(200, "<html>"), Err(ReadingError::Malformed(_))));
    assert!(matches!(standing(200, r#"{"data":[{"id":7}"#), Err(ReadingError::Malformed(_))));
    assert!(matches!(standing(200, "[[[[[[[[[[]]]]]]]]]]"), Err(ReadingError::TooDeep(8))));
}

#[test]
fn a_count_keeps_the_clients_filters() {
    let dialect = compile(|list| {
        let query = Some(at("limit=0"));
        list.dialect.count =
            Some(DialectCount { query, path: Some(at("{path}/count")), total: Some(at("/n")), ..count() });
    });
    let asked = ask(&dialect, &Fetch::Count, "/items/").unwrap();
    assert_eq!((asked.path.as_str(), asked.query.as_str()), ("/items/count", "q=x&limit=0"));
    let total = |body| read(&dialect, &Fetch::Count, 200, body).map(|answer| answer.total.map(|total| total.value));
    assert_eq!(total(r#"{"n":12}"#), Ok(Some(12)));
    assert_eq!(total(r#"{"n":null}"#), Ok(None));
    assert!(matches!(total("n"), Err(ReadingError::Malformed(_))));
    assert!(matches!(read(&dialect, &Fetch::Count, 404, "{}"), Err(ReadingError::Failed { status: 404, .. })));
}

#[test]
fn the_smallest_page_has_the_total_without_a_count_request() {
    let dialect = compile(|list| {
        list.dialect.response.total = Some(at("/total"));
        list.dialect.size.min = Some(at(5_u32));
    });
    assert_eq!(ask(&dialect, &Fetch::Count, "/items").unwrap().query, "q=x&page=1&limit=5");
    let answer = read(&dialect, &Fetch::Count, 200, r#"{"data":[{"id":1}],"total":9}"#).unwrap();
    assert_eq!((answer.total.map(|total| total.value), answer.items().len()), (Some(9), 0));
}

/// A change that makes a route wrong in one way.
type Change = fn(&mut ListSettings);

#[test]
fn faults_are_reported_with_their_correction() {
    let cases: [(Change, &str); 8] = [
        (
            |l| l.dialect.item = Some(item("{path}/latest")),
            "the item is asked for without its id; put {id} into the path",
        ),
        (
            |l| l.dialect.item = Some(item("items/{id}")),
            "\"items/{id}\" is not a path; begin with {path}, {parent} or a slash",
        ),
        (
            |l| l.dialect.item = Some(item("{path}{id}/")),
            "\"{path}{id}/\" runs two names into one; {path} and {parent} end without a slash: write \"{path}/{id}\"",
        ),
        (|l| l.dialect.item = Some(item("{path}?id={id}")), "a path has no query; the part after the `?` goes"),
        (
            |l| l.dialect.item = Some(item("{path}/{key}")),
            "unknown variable {key}; variables here: {path} {parent} {id}",
        ),
        (|l| l.dialect.count = Some(count()), "[count] does not say where the total is; total = \"/total\""),
        (
            |l| l.dialect.count = Some(DialectCount { method: Method::HEAD, total: Some(at("/total")), ..count() }),
            "the total of a HEAD request can't be in its body; the answer to HEAD has no body",
        ),
        (
            |l| l.dialect.count = Some(DialectCount { query: Some(at("id={id}")), total: Some(at("/n")), ..count() }),
            "unknown variable {id}; variables here: {path} {parent}",
        ),
    ];
    for (change, expected) in cases {
        let told = faults(change);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(expected), "{told:?}\n{expected}");
    }
}
