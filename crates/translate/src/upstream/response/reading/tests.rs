//! Responses that are lists, responses that aren't, and the facts in both. Whole answers of real upstreams are in the
//! contract tests.

use http::HeaderMap;

use crate::upstream::{
    response::error::ReadingError,
    testing::{AT, ask, at, compile, follow, page},
};
use cursorgate_config::{
    settings::{DialectMatch, ItemsObjectWord, ListSettings, TotalCounts},
    tree::Tree,
};
use cursorgate_core::pagination::{
    answer::{Answer, Standing, Total},
    fetch::{Fetch, Token},
};

/// Reads a response to the second page, with 2 items per page.
fn read(
    change: impl FnOnce(&mut ListSettings),
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, ReadingError> {
    read_page(1, change, status, headers, body)
}

/// Reads a response to the page with this number, counted from 0.
fn read_page(
    number: u64,
    change: impl FnOnce(&mut ListSettings),
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, ReadingError> {
    read_fetch(change, &page(number, 2), status, headers, body)
}

fn read_fetch(
    change: impl FnOnce(&mut ListSettings),
    fetch: &Fetch,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, ReadingError> {
    let dialect = compile(change);
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let ask = ask(&dialect, fetch, "");
    dialect.read(dialect.default_sorted(), &ask, status, &map, body.as_bytes().to_vec(), 8)
}

fn malformed(result: Result<Answer, ReadingError>) -> String {
    match result {
        Err(ReadingError::Malformed(detail)) => detail,
        other => panic!("{other:?}"),
    }
}

fn matching(status: Option<u16>, member: Option<(&str, Tree)>, present: Option<&str>) -> DialectMatch {
    let body = member.into_iter().map(|(place, value)| (at(place), at(value))).collect();
    DialectMatch { at: AT, status, body, present: present.map(at) }
}

#[test]
fn each_status_without_a_list_has_its_error() {
    let list = r#"{"data":[]}"#;
    let of = |status| read(|_| (), status, &[], list);
    assert!(of(200).is_ok());
    assert!(of(203).is_ok());
    assert!(malformed(of(206)).starts_with("206: a part of the list"));
    assert!(malformed(of(204)).starts_with("204: no content; response.past_end"));
    assert!(malformed(of(304)).starts_with("304 "));
    for status in [100, 101, 201, 202, 205, 600, 999] {
        assert_eq!(malformed(of(status)), format!("{status} is not an answer to a request for a list"));
    }
    for status in [400, 401, 403, 404, 416, 429, 499] {
        assert_eq!(of(status).unwrap_err(), ReadingError::Failed { status, body: list.as_bytes().to_vec() });
    }
    for status in [500, 502, 503, 599] {
        assert_eq!(of(status).unwrap_err(), ReadingError::Unavailable(format!("the upstream answered {status}")));
    }
    for status in [301, 302, 307, 308] {
        let redirected = read(|_| (), status, &[("location", "/api/users/?page=2&key=secret")], "");
        let location = Some("/api/users/".to_owned());
        assert_eq!(redirected.unwrap_err(), ReadingError::Redirected { status, location });
    }
}

#[test]
fn parts_are_lists_where_the_dialect_reads_ranges_or_tokens() {
    for place in ["total", "offset", "size"] {
        let change = |list: &mut ListSettings| {
            let response = &mut list.dialect.response;
            match place {
                "total" => response.total = Some(at("content-range:total")),
                "offset" => response.offset = Some(at("content-range:start")),
                _ => response.size = Some(at("content-range:end")),
            }
        };
        assert!(read(change, 206, &[("content-range", "2-3/9")], r#"{"data":[]}"#).is_ok(), "{place}");
    }
}

/// Heroku's API names the rest of a list in `Next-Range`, without a Content-Range.
#[test]
fn a_part_is_a_list_if_it_has_a_token_for_the_rest() {
    let by_token = |list: &mut ListSettings| {
        list.dialect.request.query = at("");
        list.dialect.size.default = Some(at(2_u32));
        list.dialect.request.headers = vec![(at("Range"), at("{token}"))];
        list.dialect.response.next_token = Some(at("header:Next-Range"));
    };
    let list = r#"{"data":[{"id":1},{"id":2}]}"#;
    let fetch = follow(None, false, 2);
    let answer = read_fetch(by_token, &fetch, 206, &[("next-range", "]2..")], list);
    assert_eq!(answer.unwrap().next, Some(Token("]2..".into())));
    let fault = malformed(read_fetch(by_token, &fetch, 206, &[], list));
    assert!(fault.contains("no token for the rest"), "{fault}");
}

#[test]
fn a_body_without_a_list_is_described_without_its_content() {
    let html = "<!DOCTYPE html><p>secret</p>";
    assert_eq!(
        malformed(read(|_| (), 200, &[], html)),
        format!("an HTML document: not valid JSON from byte 0 of {} on", html.len())
    );
    assert_eq!(malformed(read(|_| (), 200, &[], "")), "an empty body: not valid JSON from byte 0 of 0 on");
    assert!(
        malformed(read(|_| (), 200, &[], r#"{"data":[{"id":1}"#))
            .starts_with("a JSON object: not valid JSON from byte")
    );
    assert_eq!(malformed(read(|_| (), 200, &[], "{}")), r#"no array at "/data" of a JSON object"#);
    let body = r#"{"data":null,"meta":{"x":1},"a@example.com":1,"7":2}"#;
    assert_eq!(
        malformed(read(|_| (), 200, &[], body)),
        r#"no array at "/data" of a JSON object, whose members are data, meta, …, …"#
    );
    assert_eq!(malformed(read(|_| (), 200, &[], "[1]")), r#"no array at "/data" of a JSON array"#);
    assert_eq!(
        malformed(read(|_| (), 200, &[], r#"{"data":{"id":1}}"#)),
        "the value at \"/data\" of a JSON object is not an array but an object; response.items_object of the dialect \
         says how to read one"
    );
    let wrapped = |list: &mut ListSettings| list.dialect.response.item = Some(at("/node"));
    assert_eq!(
        malformed(read(wrapped, 200, &[], r#"{"data":[{"node":1},{"x":2}]}"#)),
        r#"element 1 has nothing at "/node", where the item should be"#
    );
    assert_eq!(read(|_| (), 200, &[], r#"{"data":[[[[[[[[]]]]]]]]}"#).unwrap_err(), ReadingError::TooDeep(8));
}

#[test]
fn missing_arrays_are_empty_where_the_dialect_says_so() {
    let optional = |list: &mut ListSettings| list.dialect.response.items_optional = true;
    for body in ["{}", r#"{"data":null}"#, r#"{"data":[]}"#] {
        let answer = read(optional, 200, &[], body).unwrap();
        assert_eq!((&answer.standing, answer.items().len()), (&Standing::Listed, 0), "{body}");
    }
    for body in [r#"{"data":{}}"#, "[]", "null", "\"overloaded\"", "503"] {
        assert!(read(optional, 200, &[], body).is_err(), "{body}");
    }
}

#[test]
fn items_and_keys_are_read_with_and_without_wrappers() {
    let answer = read(|_| (), 200, &[], r#"{"data":[{"id":1,"created_at":"a","id":2},{}]}"#).unwrap();
    let rows = (0..answer.items().len()).flat_map(|index| answer.row(index).unwrap());
    let keys: Vec<&[u8]> = rows.map(|span| span.of(answer.body())).collect();
    assert_eq!(keys, [&b"\"a\""[..], b"2", b"", b""], "the last of two members counts, missing ones are absent");
    let wrapped = |list: &mut ListSettings| {
        list.dialect.response.items = at("/_embedded/{collection}");
        list.dialect.response.item = Some(at("/node"));
        list.dialect.response.id = Some(at("/cursor"));
    };
    let body = r#"{"_embedded":{"users":[{"cursor":"x","created_at":3,"node":{"a": 1}}]}}"#;
    let answer = read(wrapped, 200, &[], body).unwrap();
    assert_eq!(answer.item(0), br#"{"a": 1}"#);
    let rows = (0..answer.items().len()).flat_map(|index| answer.row(index).unwrap());
    let keys: Vec<&[u8]> = rows.map(|span| span.of(answer.body())).collect();
    assert_eq!(keys, [&b"3"[..], b"\"x\""]);
    let answer = read(|_| (), 200, &[], "\u{feff}{\"data\":[{\"id\":7}]}").unwrap();
    assert_eq!(answer.item(0), br#"{"id":7}"#, "a byte order mark is passed over");
}

#[test]
fn configured_matches_take_precedence_over_the_status() {
    let gone = |list: &mut ListSettings| {
        list.dialect.response.past_end =
            vec![matching(Some(404), Some(("/detail", Tree::Text("Invalid page.".into()))), None)];
    };
    let past_end = read(gone, 404, &[], r#"{"detail":"Invalid\u0020page."}"#).unwrap();
    assert_eq!((&past_end.standing, past_end.items().len(), past_end.more), (&Standing::PastEnd, 0, None));
    for (status, body) in
        [(404, r#"{"detail":"Not found."}"#), (404, "<html>"), (404, ""), (400, r#"{"detail":"Invalid page."}"#)]
    {
        let failed = read(gone, status, &[], body).unwrap_err();
        assert_eq!(failed, ReadingError::Failed { status, body: body.as_bytes().to_vec() }, "{body}");
    }

    let empty = |list: &mut ListSettings| list.dialect.response.past_end = vec![matching(Some(204), None, None)];
    assert_eq!(read(empty, 204, &[], "").unwrap().standing, Standing::PastEnd);
    let first = read_page(0, empty, 204, &[], "").unwrap();
    assert_eq!((&first.standing, first.items().len()), (&Standing::Listed, 0), "nothing is passed at the start");
    let first = read_page(0, gone, 404, &[], r#"{"detail":"Invalid page."}"#).unwrap();
    assert_eq!(first.standing, Standing::PastEnd, "a refusal stays one");

    let error =
        |list: &mut ListSettings| list.dialect.response.error = Some(vec![matching(None, None, Some("/error"))]);
    for body in [r#"{"error":"x","data":[]}"#, r#"{"error":{"code":1},"data":3}"#, r#"{"error":false}"#] {
        assert!(matches!(read(error, 200, &[], body), Err(ReadingError::Unavailable(_))), "{body}");
    }
    assert!(read(error, 200, &[], r#"{"error":null,"data":[]}"#).is_ok(), "null says that there is none");
    assert!(matches!(read(error, 404, &[], r#"{"error":"x"}"#), Err(ReadingError::Unavailable(_))));
}

#[test]
fn an_empty_list_beside_a_reported_failure_is_malformed() {
    let usual = |_: &mut ListSettings| ();
    let failed = r#"{"status":"fail","error":"db down","data":[],"total":0}"#;
    assert!(malformed(read(usual, 200, &[], failed)).contains("\"error\" beside it says that something failed"));
    assert!(malformed(read(usual, 200, &[], r#"{"success":false,"data":[]}"#)).contains("\"success\""));
    assert_eq!(read(usual, 200, &[], r#"{"success":true,"errors":[],"data":[]}"#).unwrap().items().len(), 0);
    assert_eq!(read(usual, 200, &[], r#"{"error":"partly","data":[{"id":1}]}"#).unwrap().items().len(), 1);
    let own = |list: &mut ListSettings| list.dialect.response.error = Some(Vec::new());
    assert_eq!(read(own, 200, &[], failed).unwrap().items().len(), 0, "the dialect says otherwise");
    let own = |list: &mut ListSettings| list.dialect.response.error = Some(vec![matching(None, None, Some("/error"))]);
    assert!(matches!(read(own, 200, &[], failed), Err(ReadingError::Unavailable(_))), "its own word comes first");
    let optional = |list: &mut ListSettings| list.dialect.response.items_optional = true;
    assert!(malformed(read(optional, 200, &[], r#"{"status":"error"}"#)).contains("\"status\""));
}

#[test]
fn matches_compare_by_value() {
    let holds = |value: Tree, body: &str| {
        let change = |list: &mut ListSettings| {
            list.dialect.response.past_end = vec![matching(None, Some(("/code", value)), None)];
        };
        read(change, 400, &[], body).is_ok()
    };
    assert!(holds(Tree::Number("7".into()), r#"{"code":7}"#));
    assert!(holds(Tree::Number("7".into()), r#"{"code":7.0}"#));
    assert!(holds(Tree::Number("-1.5".into()), r#"{"code":-1.5}"#));
    assert!(!holds(Tree::Number("7".into()), r#"{"code":"7"}"#));
    assert!(!holds(Tree::Number("7".into()), r#"{"code":70}"#));
    assert!(holds(Tree::Boolean(false), r#"{"code":false}"#));
    assert!(!holds(Tree::Boolean(false), r#"{"code":null}"#));
    assert!(holds(Tree::Null, r#"{"code":null}"#));
    assert!(!holds(Tree::Null, "{}"));
    assert!(!holds(Tree::Text("7".into()), r#"{"code":7}"#));
}

/// Row: A33
#[test]
fn totals_are_whole_numbers_or_absent() {
    let total = |body: &str| read(|list| list.dialect.response.total = Some(at("/n")), 200, &[], body).unwrap().total;
    assert_eq!(total(r#"{"data":[],"n":12}"#), Some(Total { value: 12, exact: true }));
    assert_eq!(total(r#"{"data":[],"n":0}"#), Some(Total { value: 0, exact: true }));
    for nothing in ["-1", "1.5", "null", "\"many\"", "true", "{}", "[]", "99999999999999999999"] {
        assert_eq!(total(&format!(r#"{{"data":[],"n":{nothing}}}"#)), None, "{nothing}");
    }
    assert_eq!(total(r#"{"data":[]}"#), None);
    let counted = |value: &str| {
        let change = |list: &mut ListSettings| list.dialect.response.total = Some(at("header:X-Total-Count"));
        read(change, 200, &[("x-total-count", value)], r#"{"data":[]}"#).unwrap().total
    };
    assert_eq!(counted(" 12 "), Some(Total { value: 12, exact: true }));
    for nothing in ["", "-1", "+1", "1.0", "12 items", "0x10"] {
        assert_eq!(counted(nothing), None, "{nothing}");
    }
    let related = |relation: &str| {
        let change = |list: &mut ListSettings| {
            list.dialect.response.total = Some(at("/total/value"));
            list.dialect.response.total_exact_when = vec![(at("/total/relation"), at(Tree::Text("eq".into())))];
        };
        let body = format!(r#"{{"data":[],"total":{{"value":10000,"relation":"{relation}"}}}}"#);
        read(change, 200, &[], &body).unwrap().total
    };
    assert_eq!(related("eq"), Some(Total { value: 10_000, exact: true }));
    assert_eq!(related("gte"), Some(Total { value: 10_000, exact: false }));
    for (word, exact) in [(TotalCounts::Items, true), (TotalCounts::Rows, true), (TotalCounts::Estimate, false)] {
        let change = |list: &mut ListSettings| {
            list.dialect.response.total = Some(at("/n"));
            list.dialect.response.total_counts = Some(at(word));
        };
        let total = read(change, 200, &[], r#"{"data":[],"n":12}"#).unwrap().total;
        assert_eq!(total, Some(Total { value: 12, exact }), "{}", word.word());
    }
}

/// Some services write `[{facts}, [items]]`, with null for the items past the end. Without the second element, such an
/// answer reports a failure, and isn't an empty list.
#[test]
fn facts_and_items_may_be_two_elements_of_an_array() {
    let change = |list: &mut ListSettings| {
        list.dialect.response.items = at("/1");
        list.dialect.response.total = Some(at("/0/total"));
        list.dialect.response.last_page = Some(at("/0/pages"));
        list.dialect.response.items_optional = true;
    };
    let answer = read(change, 200, &[], r#"[{"page":2,"pages":6,"total":257},[{"id":7}, {"id":8}]]"#).unwrap();
    assert_eq!((answer.items().len(), answer.item(1)), (2, &br#"{"id":8}"#[..]));
    let total = Some(Total { value: 257, exact: true });
    assert_eq!((answer.total, answer.more), (total, Some(true)));
    let past_end = read(change, 200, &[], r#"[{"page":7,"pages":6,"total":257},null]"#).unwrap();
    assert_eq!((past_end.items().len(), past_end.total), (0, total));
    assert!(malformed(read(change, 200, &[], r#"[{"message":[{"id":"120"}]}]"#)).starts_with("no array at \"/1\""));
}

/// Items keep their bytes, whether they stand in an array or in an object.
#[test]
fn an_object_is_read_as_items_where_the_dialect_says_so() {
    let items = |word: ItemsObjectWord, body: &str| {
        let answer = read(|list| list.dialect.response.items_object = Some(at(word)), 200, &[], body).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (0..answer.items().len()).map(|index| (text(answer.item(index)), text(answer.id(index)))).collect::<Vec<_>>()
    };
    let pair = |item: &str, id: &str| (item.to_owned(), id.to_owned());
    let (single, values) = (ItemsObjectWord::Single, ItemsObjectWord::Values);
    let two = [pair(r#"{"id":1}"#, "1"), pair(r#"{ "id": 2 }"#, "2")];
    for word in [single, values] {
        assert_eq!(items(word, r#"{"data":[{"id":1},{ "id": 2 }]}"#), two, "an array is read as ever");
    }
    assert_eq!(items(single, r#"{"data": {"0":[7], "id":1 } }"#), [pair(r#"{"0":[7], "id":1 }"#, "1")]);
    assert_eq!(items(values, r#"{"data": {"0": {"id":1}, "3":{ "id": 2 }}}"#), two);
    assert_eq!(items(values, r#"{"data": {}}"#), []);
    assert_eq!(
        malformed(read(|list| list.dialect.response.items_object = Some(at(values)), 200, &[], r#"{"data":7}"#)),
        r#"the value at "/data" of a JSON object is not an array"#
    );
}

/// Returns whether more items follow according to a response with these headers and members. `set` declares one place
/// in the dialect.
fn more(set: impl FnOnce(&mut ListSettings), headers: &[(&str, &str)], members: &str) -> Option<bool> {
    read(set, 200, headers, &format!(r#"{{"data":[]{members}}}"#)).unwrap().more
}

#[test]
fn has_more_and_is_last_flags_are_read() {
    let has_more = |members: &str| more(|list| list.dialect.response.has_more = Some(at("/m")), &[], members);
    let is_last = |members: &str| more(|list| list.dialect.response.is_last = Some(at("/m")), &[], members);
    for (members, expected) in [
        (r#","m":true"#, Some(true)),
        (r#","m":false"#, Some(false)),
        (r#","m":"true""#, None),
        (r#","m":1"#, None),
        ("", None),
    ] {
        assert_eq!(has_more(members), expected, "{members}");
        assert_eq!(is_last(members), expected.map(|more: bool| !more), "{members}");
    }
    let header =
        |value| more(|list| list.dialect.response.has_more = Some(at("header:X-More")), &[("x-more", value)], "");
    assert_eq!([header("True"), header("false"), header("1")], [Some(true), Some(false), None]);
}

#[test]
fn a_null_missing_or_empty_next_link_means_the_end() {
    for place in ["next_url", "next_page"] {
        let next = |members: &str| {
            let set = |list: &mut ListSettings| match place {
                "next_url" => list.dialect.response.next_url = Some(at("/next")),
                _ => list.dialect.response.next_page = Some(at("/next")),
            };
            more(set, &[], members)
        };
        for members in ["", r#","next":null"#, r#","next":"""#] {
            assert_eq!(next(members), Some(false), "{members}");
        }
        for members in [r#","next":"/x?page=3""#, r#","next":3"#, r#","next":0"#, r#","next":{"href":"/x"}"#] {
            assert_eq!(next(members), Some(true), "{members}");
        }
    }
    let link =
        |headers: &[(&str, &str)]| more(|list| list.dialect.response.next_url = Some(at("link:next")), headers, "");
    assert_eq!(link(&[]), Some(false));
    assert_eq!(link(&[("link", "</x?a=1,2>; rel=prev")]), Some(false));
    assert_eq!(link(&[("link", "</x?a=1,2>; rel=prev, </x>; rel=\"last next\"")]), Some(true));
    assert_eq!(link(&[("link", "<>; rel=next")]), Some(false));
    let place = "link:next;results=true";
    let with_results = |value: &str| {
        more(
            |l| l.dialect.response.next_url = Some(at(place)),
            &[("link", &format!("</x>; rel=\"next\"; results=\"{value}\""))],
            "",
        )
    };
    assert_eq!(with_results("true"), Some(true));
    assert_eq!(with_results("false"), Some(false));
}

#[test]
fn the_number_of_pages_shows_if_another_page_follows() {
    let pages = |members: &str| {
        let set = |list: &mut ListSettings| {
            list.dialect.response.last_page = Some(at("/pages"));
            list.dialect.response.page = Some(at("/page"));
        };
        more(set, &[], members)
    };
    assert_eq!(pages(r#","pages":3"#), Some(true), "the second page was asked for");
    assert_eq!(pages(r#","pages":2"#), Some(false));
    assert_eq!(pages(r#","pages":3,"page":3"#), Some(false), "what the answer says comes before what was asked");
    assert_eq!(pages(r#","pages":3,"page":1"#), Some(true));
    assert_eq!(pages(r#","pages":0"#), Some(false));
    assert_eq!(pages(r#","pages":null"#), None);
}

#[test]
fn a_flag_takes_precedence_over_a_next_link() {
    let set = |list: &mut ListSettings| {
        list.dialect.response.has_more = Some(at("/more"));
        list.dialect.response.next_url = Some(at("/next"));
    };
    assert_eq!(more(set, &[], r#","more":true,"next":null"#), Some(true));
    assert_eq!(more(set, &[], r#","more":null,"next":null"#), Some(false));
}

#[test]
fn page_numbers_are_counted_from_the_first_page_of_the_dialect() {
    let said = |first_page, number: &str| {
        let set = |list: &mut ListSettings| {
            list.dialect.request.first_page = first_page;
            list.dialect.response.page = Some(at("/page"));
            list.dialect.response.size = Some(at("/size"));
        };
        read(set, 200, &[], &format!(r#"{{"data":[],"page":{number},"size":0}}"#)).unwrap()
    };
    assert_eq!(said(1, "3").page, Some(2));
    assert_eq!(said(0, "3").page, Some(3));
    assert_eq!(said(1, "0").page, None);
    assert_eq!(said(1, "-1").page, None);
    assert_eq!(said(1, "1").size, None, "no page has no items");
}

/// Sentry writes a link to the next page on the last page, too, with `results="false"`.
#[test]
fn a_link_says_more_only_as_the_dialect_reads_it() {
    for (place, expected) in [("link:next", true), ("link:next;results=true", false)] {
        let dialect = compile(|list| list.dialect.response.next_url = Some(at(place)));
        let ask = ask(&dialect, &page(1, 2), "");
        let link = r#"</x>; rel="next"; results="false""#.parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::LINK, link)]);
        let body = br#"{"data":[]}"#.to_vec();
        let answer = dialect.read(dialect.default_sorted(), &ask, 200, &headers, body, 8).unwrap();
        let claims = dialect.witnesses(&ask, &headers, &answer).claims;
        assert!(claims.len() == 2 && claims.iter().all(|claim| claim.says_more == expected), "{place}: {claims:?}");
    }
}
