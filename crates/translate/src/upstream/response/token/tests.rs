//! Values that aren't tokens, links to other paths, and requests with tokens. Exchanges from vendors' documentation are
//! in the contract tests.

use http::HeaderMap;

use crate::upstream::{
    Dialect, ReadingError, Unaskable,
    testing::{ask, at, compile, follow, slice},
};
use cursorgate_config::settings::{EndWord, ListSettings};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    paging::{EndEvidence, Family, Sizes, Tokens},
};

/// Reads a response to a fetch by token.
fn read(dialect: &Dialect, token: Option<&str>, backward: bool, body: &str) -> Result<Answer, ReadingError> {
    let ask = ask(dialect, &follow(token, backward, 2), "q=x");
    dialect.read(dialect.default_sorted(), &ask, 200, &HeaderMap::new(), body.as_bytes().to_vec(), 8)
}

fn next(dialect: &Dialect, body: &str) -> Option<String> {
    read(dialect, None, false, body).unwrap().next.map(|token| token.0.to_string())
}

fn by_token(list: &mut ListSettings) {
    list.dialect.request.query = at("limit={size}&cursor={token}");
    list.dialect.response.next_token = Some(at("/next"));
    list.dialect.response.prev_token = Some(at("/previous"));
}

fn by_item(list: &mut ListSettings) {
    list.dialect.request.query = at("limit={size}&after={after}&before={before}");
    list.dialect.response.has_more = Some(at("/more"));
}

fn by_link(list: &mut ListSettings) {
    list.dialect.request.query = at("limit={size}");
    list.dialect.response.next_url = Some(at("/next"));
    list.dialect.response.prev_url = Some(at("/previous"));
}

#[test]
fn the_variables_decide_how_tokens_work() {
    let tokens = |change: fn(&mut ListSettings)| {
        let dialect = compile(change);
        assert_eq!(dialect.paging().family, Family::Token);
        (dialect.paging().tokens, dialect.paging().end)
    };
    let both_ways = Tokens { backward: true, ..Tokens::default() };
    assert_eq!(tokens(by_token), (both_ways, EndEvidence::Unvouched));
    assert_eq!(tokens(by_link), (both_ways, EndEvidence::Unvouched));
    assert_eq!(tokens(by_item), (Tokens { by_item: true, ..both_ways }, EndEvidence::Unvouched));
    let alone: [fn(&mut ListSettings); 2] = [
        |list| {
            by_token(list);
            list.dialect.response.end = Some(at(EndWord::Token));
        },
        |list| {
            by_link(list);
            list.dialect.response.end = Some(at(EndWord::Token));
        },
    ];
    for change in alone {
        assert_eq!(tokens(change), (both_ways, EndEvidence::Token));
    }
    let onward = |list: &mut ListSettings| {
        by_item(list);
        list.dialect.request.query = at("limit={size}&after={after}");
        list.dialect.request.single_use = true;
        list.dialect.response.end = Some(at(EndWord::EmptyPage));
    };
    let expected = Tokens { backward: false, by_item: true, single_use: true, ends_empty: true };
    assert_eq!(tokens(onward), (expected, EndEvidence::Unvouched));
}

#[test]
fn a_missing_null_or_empty_token_means_the_end() {
    let dialect = compile(by_token);
    for nothing in ["{\"data\":[]}", "{\"data\":[],\"next\":null}", "{\"data\":[],\"next\":\"\"}"] {
        let answer = read(&dialect, None, false, nothing).unwrap();
        assert_eq!((answer.next, answer.more), (None, None), "{nothing}");
    }
    for (raw, token) in [("\"a\\u0026b\"", "a&b"), ("17", "17"), ("{\"k\" : [1]}", "{\"k\" : [1]}")] {
        assert_eq!(next(&dialect, &format!("{{\"data\":[],\"next\":{raw}}}")).as_deref(), Some(token));
    }
    let endless = format!("{{\"data\":[],\"next\":\"{}\"}}", "x".repeat(9_000));
    assert!(matches!(read(&dialect, None, false, &endless), Err(ReadingError::Malformed(_))));
}

#[test]
fn a_next_link_without_its_token_is_malformed() {
    let dialect = compile(|list| {
        by_token(list);
        list.dialect.response.token_param = Some(at("cursor"));
    });
    let body = |next: &str, previous: &str| format!("{{\"data\":[],\"next\":{next:?},\"previous\":{previous:?}}}");
    match read(&dialect, None, false, &body("/items?page=2", "")) {
        Err(ReadingError::Malformed(detail)) => assert_eq!(detail, "the link that leads on has no parameter cursor"),
        other => panic!("{other:?}"),
    }
    let answer = read(&dialect, None, false, &body("https://x/y?cursor=n%3D", "/items?page=1")).unwrap();
    assert_eq!(answer.next.map(|token| token.0.to_string()).as_deref(), Some("n="));
    assert_eq!((answer.previous, answer.more), (None, None));
}

#[test]
fn a_flag_decides_over_tokens_only_by_the_dialects_word() {
    let with_flag = |list: &mut ListSettings| {
        by_token(list);
        list.dialect.response.has_more = Some(at("/more"));
    };
    let (undeclared, dialect) = (
        compile(with_flag),
        compile(|list| {
            with_flag(list);
            list.dialect.response.end = Some(at(EndWord::Flag));
        }),
    );
    let body = |more| format!("{{\"data\":[{{\"id\":1}}],\"next\":\"n\",\"previous\":\"p\",\"more\":{more}}}");
    let tokens = |answer: Answer| (answer.next.is_some(), answer.previous.is_some(), answer.more);
    assert_eq!(tokens(read(&dialect, None, false, &body("true")).unwrap()), (true, true, Some(true)));
    assert_eq!(tokens(read(&dialect, None, false, &body("false")).unwrap()), (false, true, Some(false)));
    assert_eq!(tokens(read(&dialect, Some("p"), true, &body("false")).unwrap()), (true, false, Some(false)));
    assert_eq!(tokens(read(&dialect, None, false, &body("null")).unwrap()), (true, true, None));
    assert_eq!((undeclared.paging().end, dialect.paging().end), (EndEvidence::Unvouched, EndEvidence::Flag));
    for (token, backward) in [(None, false), (Some("p"), true)] {
        let answer = read(&undeclared, token, backward, &body("false")).unwrap();
        assert_eq!(tokens(answer), (true, true, Some(false)));
    }
}

/// An upstream whose `max_id` includes the item with that id: one item more is asked for, and the item is left out.
#[test]
fn the_item_asked_for_is_left_out_where_answers_include_it() {
    let dialect = compile(|list| {
        by_item(list);
        list.dialect.request.query = at("limit={size}&max_id={after}");
        list.dialect.request.after_inclusive = true;
        list.dialect.size.max = Some(at(200_u32));
        list.dialect.response.end = Some(at(EndWord::EmptyPage));
        list.order.clear();
    });
    assert_eq!(dialect.paging().sizes(), &Sizes::Free { least: 1, most: Some(199) });
    assert!(ask(&dialect, &follow(None, false, 2), "").query.starts_with("limit=2&"));
    assert!(ask(&dialect, &follow(Some("7"), false, 2), "").query.starts_with("limit=3&max_id=7"));
    let rows = |token, body: &str| {
        let answer = read(&dialect, token, false, body).unwrap();
        let of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ids: Vec<String> = (0..answer.items().len()).map(|index| of(answer.id(index))).collect();
        assert_eq!(answer.item_tokens.len(), ids.len());
        (ids.join(" "), answer.next.map(|token| token.0.to_string()))
    };
    let body = r#"{"data":[{"id":7},{"id":6},{"id":5}]}"#;
    let next = Some("5".to_owned());
    assert_eq!(rows(Some("7"), body), ("6 5".to_owned(), next.clone()));
    assert_eq!(rows(Some("8"), body), ("7 6 5".to_owned(), next.clone()), "8 was deleted");
    assert_eq!(rows(None, body), ("7 6 5".to_owned(), next), "no item was asked for");
    assert_eq!(rows(Some("7"), r#"{"data":[{"id":7}]}"#), (String::new(), None));
    assert_eq!(rows(Some("7"), r#"{"data":[]}"#), (String::new(), None));
}

/// With `end = "token"`, a flag says nothing: a token beside it is followed, and a missing one ends the list.
#[test]
fn a_token_decides_over_flags_where_the_dialect_says_so() {
    let dialect = compile(|list| {
        by_token(list);
        list.dialect.response.has_more = Some(at("/more"));
        list.dialect.response.end = Some(at(EndWord::Token));
    });
    let tokens = |body: &str| {
        let answer = read(&dialect, None, false, body).unwrap();
        (answer.next.is_some(), answer.more)
    };
    assert_eq!(tokens(r#"{"data":[{"id":1}],"next":"n","more":false}"#), (true, None));
    assert_eq!(tokens(r#"{"data":[{"id":1}],"next":null,"more":true}"#), (false, None));
}

#[test]
fn an_item_token_is_the_id_or_the_value_at_the_dialects_place() {
    let dialect = compile(|list| {
        by_item(list);
        list.dialect.response.item_token = Some(at("/sort"));
        list.order.clear();
    });
    let body = r#"{"data":[{"id":1,"sort":[7, "a"]},{"sort":"é&","id":2},{"id":3}],"more":true}"#;
    let answer = read(&dialect, None, false, body).unwrap();
    let text = |spans: &[cursorgate_core::json::Span]| -> Vec<String> {
        spans.iter().map(|span| String::from_utf8(span.of(answer.body()).to_vec()).unwrap()).collect()
    };
    assert_eq!([0, 1, 2].map(|index| answer.id(index)), [b"1", b"2", b"3"]);
    assert_eq!(text(&answer.item_tokens), ["[7, \"a\"]", "\"é&\"", ""]);
    assert_eq!(answer.next, None, "an item that says nothing can't be gone on from");
    assert_eq!(answer.previous.map(|token| token.0.to_string()).as_deref(), Some("[7, \"a\"]"));
    for (token, query) in [
        ("[7, \"a\"]", "limit=2&after=%5B7%2C%20%22a%22%5D&sort=id"),
        ("\"\\u00e9&\"", "limit=2&after=%C3%A9%26&sort=id"),
        ("12.50", "limit=2&after=12.50&sort=id"),
    ] {
        assert_eq!(ask(&dialect, &follow(Some(token), false, 2), "").query, query);
    }
    assert_eq!(ask(&dialect, &follow(Some("7"), true, 2), "a=1").query, "a=1&limit=2&before=7&sort=id");
    for token in ["null", "\"\"", "\"\\ud800\""] {
        let sorted = dialect.default_sorted();
        assert_eq!(dialect.ask(sorted, &follow(Some(token), false, 2), "", "/items"), Err(Unaskable::Gone), "{token}");
    }
}

#[test]
fn a_link_to_another_path_is_refused() {
    let dialect = compile(by_link);
    let body = |link: &str| format!("{{\"data\":[{{\"id\":1}}],\"next\":{link:?}}}");
    for link in ["https://elsewhere/admin?page=2", "/items/1?page=2", "/other"] {
        match read(&dialect, None, false, &body(link)) {
            Err(ReadingError::Malformed(detail)) => assert!(detail.contains("not the requested path"), "{detail}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next(&dialect, &body("https://elsewhere/items?q=x&page=2")).as_deref(), Some("page=2"));
}

#[test]
fn a_link_keeps_its_own_size() {
    let dialect = compile(by_link);
    let token = next(&dialect, r#"{"data":[],"next":"/items?limit=2&q=x&page=2&sort=-created_at,id"}"#).unwrap();
    assert_eq!(token, "limit=2&page=2");
    let asked = ask(&dialect, &follow(Some(&token), false, 50), "q=x&tag=a&tag=b");
    assert_eq!(asked.query, "q=x&tag=a&tag=b&sort=-created_at,id&limit=2&page=2");
}

#[test]
fn a_link_cant_break_out_of_the_query() {
    let dialect = compile(by_link);
    let body = serde_json::json!({ "data": [], "next": "/items?cursor=a b\r\nX: y&x=\u{e9}<\">#frag&z=1" });
    assert_eq!(next(&dialect, &body.to_string()).as_deref(), Some("cursor=a%20b%0D%0AX:%20y&x=%C3%A9%3C%22%3E"));
}

#[test]
fn parameters_that_continue_are_texts_and_numbers() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("limit={size}");
        list.dialect.response.next_params = Some(at("/continue"));
    });
    let body = |members: &str| format!("{{\"data\":[],\"continue\":{members}}}");
    assert_eq!(
        next(&dialect, &body(r#"{"a&b":"c=d","n":1.50,"t":true}"#)).as_deref(),
        Some("a%26b=c%3Dd&n=1.50&t=true")
    );
    assert_eq!(next(&dialect, &body("{}")), None);
    assert_eq!(next(&dialect, &body("null")), None);
    assert_eq!(next(&dialect, &body(r#"{"a":null,"b":null}"#)), None, "nothing continues the list");
    for wrong in ["[]", "\"x\"", "{\"a\":{}}", "{\"a\":null,\"b\":1}"] {
        assert!(matches!(read(&dialect, None, false, &body(wrong)), Err(ReadingError::Malformed(_))), "{wrong}");
    }
    let renamed = compile(|list| {
        list.dialect.request.query = at("limit={size}");
        list.dialect.response.next_params = Some(at("/continue"));
        list.dialect.response.param_names = vec![(at("id"), at("last&Id"))];
    });
    assert_eq!(next(&renamed, &body(r#"{"id":7,"at":"x"}"#)).as_deref(), Some("last%26Id=7&at=x"));
    let asked = ask(&dialect, &follow(Some("q=y&a=1"), false, 5), "q=x");
    assert_eq!(asked.query, "limit=5&sort=-created_at,id&q=y&a=1", "what continues takes the place of what was asked");
}

#[test]
fn a_token_alone_is_sent_without_filters_and_sort() {
    let dialect = compile(|list| {
        by_token(list);
        list.dialect.request.token_alone = true;
        list.dialect.request.first_token = Some(at("*"));
    });
    let query = |token| ask(&dialect, &follow(token, false, 5), "q=x").query;
    assert_eq!(query(None), "q=x&limit=5&cursor=%2A&sort=-created_at,id");
    assert_eq!(query(Some("a b")), "limit=5&cursor=a%20b");
}

#[test]
fn a_token_with_a_line_break_is_not_sent_in_a_header() {
    let dialect = compile(|list| {
        by_token(list);
        list.dialect.request.query = at("limit={size}");
        list.dialect.request.headers = vec![(at("X-Cursor"), at("{token}"))];
        list.dialect.response.next_token = Some(at("header:X-Next"));
    });
    let asked = ask(&dialect, &follow(Some("abc"), false, 5), "");
    assert_eq!(asked.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-cursor"]);
    let sorted = dialect.default_sorted();
    assert_eq!(dialect.ask(sorted, &follow(Some("a\nb"), false, 5), "", "/items"), Err(Unaskable::Gone));
    let headers: HeaderMap = [("x-next".parse().unwrap(), "n".parse().unwrap())].into_iter().collect();
    let answer = dialect.read(sorted, &asked, 200, &headers, b"{\"data\":[]}".to_vec(), 8).unwrap();
    assert_eq!(answer.next.map(|token| token.0.to_string()).as_deref(), Some("n"));
}

#[test]
fn a_status_means_an_expired_token_only_if_a_token_was_sent() {
    let dialect = compile(|list| {
        by_token(list);
        list.dialect.response.gone = vec![cursorgate_config::settings::DialectMatch {
            at: crate::upstream::testing::AT,
            status: Some(404),
            body: Vec::new(),
            present: None,
        }];
    });
    let sorted = dialect.default_sorted();
    let standing = |token| {
        let asked = ask(&dialect, &follow(token, false, 5), "");
        dialect.read(sorted, &asked, 404, &HeaderMap::new(), Vec::new(), 8).map(|answer| answer.standing)
    };
    assert_eq!(standing(Some("x")).unwrap(), Standing::Gone);
    assert!(matches!(standing(None), Err(ReadingError::Failed { status: 404, .. })));
}

#[test]
fn answers_to_requests_by_offset_have_no_tokens() {
    let dialect = compile(|list| list.dialect.request.query = at("offset={offset}&limit={size}"));
    let asked = ask(&dialect, &slice(0, 2), "");
    let body = br#"{"data":[{"id":1,"created_at":2}]}"#.to_vec();
    let answer = dialect.read(dialect.default_sorted(), &asked, 200, &HeaderMap::new(), body, 8).unwrap();
    assert_eq!((answer.next, answer.previous, answer.item_tokens.len()), (None, None, 0));
}
