//! Examples of scans and their results. The tests of the reader define the accepted texts; `model` tests random bodies.

use super::*;

fn shape(items: &str, item: &str, columns: &[&str], facts: &[&str]) -> Shape {
    let pointer = |text: &&str| Pointer::parse(text).unwrap();
    Shape {
        items: pointer(&items),
        item: pointer(&item),
        columns: columns.iter().map(pointer).collect(),
        facts: facts.iter().map(pointer).collect(),
        object: ItemsObject::Refused,
    }
}

/// The result of a scan as texts: the items, the columns and the facts. An absent range is `-`.
type Found = Result<(Option<Vec<String>>, Vec<String>, Vec<String>), JsonError>;

fn scanned(body: &str, shape: &Shape) -> Found {
    let found = scan_page(body.as_bytes(), shape, Limits::default())?;
    let text = |span: &Span| match span.of(body.as_bytes()) {
        [] => "-".to_owned(),
        bytes => String::from_utf8(bytes.to_vec()).unwrap(),
    };
    let texts = |spans: &[Span]| spans.iter().map(text).collect::<Vec<_>>();
    Ok((found.items.as_deref().map(texts), texts(&found.columns), texts(&found.facts)))
}

#[track_caller]
fn finds(body: &str, shape: &Shape, items: Option<&[&str]>, columns: &[&str], facts: &[&str]) {
    let (found_items, found_columns, found_facts) = scanned(body, shape).unwrap();
    assert_eq!(found_items, items.map(|items| items.iter().map(|item| (*item).to_owned()).collect()), "{body}");
    assert_eq!(found_columns, columns, "{body}");
    assert_eq!(found_facts, facts, "{body}");
}

#[test]
fn items_keep_their_bytes() {
    let body = "\u{feff} { \"data\" : [ {\"n\" : 25.0, \"b\":1e400} ,9007199254740993,\n\"\\/\\u00e9é\\ud800\" , {\"k\":1,\"k\":2},-0,\t[ ] ] } ";
    let items =
        ["{\"n\" : 25.0, \"b\":1e400}", "9007199254740993", "\"\\/\\u00e9é\\ud800\"", "{\"k\":1,\"k\":2}", "-0", "[ ]"];
    finds(body, &shape("/data", "", &[], &[]), Some(&items), &[], &[]);
}

#[test]
fn a_bare_array_is_a_page() {
    finds("[]", &shape("", "", &["/id"], &[]), Some(&[]), &[], &[]);
    finds(
        " [1,{\"id\":2}]",
        &shape("", "", &["/id", ""], &[]),
        Some(&["1", "{\"id\":2}"]),
        &["-", "1", "2", "{\"id\":2}"],
        &[],
    );
}

/// An object at the items' place is another shape, unless it is read as one element or as its members' values.
#[test]
fn an_object_is_read_as_one_element_or_as_many() {
    let as_is = |object, facts: &[&str]| Shape { object, ..shape("/data", "", &["/id"], facts) };
    let (one, many) = (ItemsObject::Element, ItemsObject::Elements);
    let body = r#"{"data": {"0": {"id":1, "a":[{}]} ,"3":7,"\u0034":{ "id":2 }, "id": 9} ,"total":4}"#;
    let elements = [r#"{"id":1, "a":[{}]}"#, "7", r#"{ "id":2 }"#, "9"];
    finds(body, &as_is(many, &["/total"]), Some(&elements), &["1", "-", "2", "-"], &["4"]);
    let whole = r#"{"0": {"id":1, "a":[{}]} ,"3":7,"\u0034":{ "id":2 }, "id": 9}"#;
    finds(body, &as_is(one, &["/total"]), Some(&[whole]), &["9"], &["4"]);
    // Facts inside the object are read in a second pass.
    finds(body, &as_is(many, &["/data/3", "/data/0/id"]), Some(&elements), &["1", "-", "2", "-"], &["7", "1"]);
    finds(body, &as_is(one, &["/data/3", "/total"]), Some(&[whole]), &["9"], &["7", "4"]);
    assert_eq!(scanned(body, &as_is(ItemsObject::Refused, &[])), Err(JsonError::NotAnArray));
    for object in [one, many] {
        finds(r#"{"data":[{"id":1}]}"#, &as_is(object, &[]), Some(&[r#"{"id":1}"#]), &["1"], &[]);
        finds(r#"{"data":{"id":1},"data":null}"#, &as_is(object, &[]), None, &[], &[]);
        finds(r#"{"data":{"id":1},"data":[]}"#, &as_is(object, &[]), Some(&[]), &[], &[]);
        assert_eq!(scanned(r#"{"data":{"id":1},"data":"x"}"#, &as_is(object, &[])), Err(JsonError::NotAnArray));
    }
    finds(r#"{"data":{}}"#, &as_is(many, &[]), Some(&[]), &[], &[]);
    let wrapped = Shape { object: many, ..shape("", "/node", &[], &[]) };
    finds(r#"{"a":{"node":1},"b":{"node":2}}"#, &wrapped, Some(&["1", "2"]), &[], &[]);
    assert_eq!(scanned(r#"{"a":{"node":1},"b":{}}"#, &wrapped), Err(JsonError::ItemMissing { index: 1 }));
    let limits = Limits { items: 3, ..Limits::default() };
    assert_eq!(scan_page(body.as_bytes(), &as_is(many, &[]), limits), Err(JsonError::TooManyItems));
}

#[test]
fn columns_are_returned_row_after_row() {
    let body = r#"{"data":[{"id":1,"at":"x","o":{"p":[10,20]}},{"at":null},{"\u0069d":3,"o":{"p":[30]}},7]}"#;
    let shape = shape("/data", "", &["/id", "/at", "/o/p/1", "/id"], &[]);
    let columns = ["1", "\"x\"", "20", "1", "-", "null", "-", "-", "3", "-", "-", "3", "-", "-", "-", "-"];
    let found = scanned(body, &shape).unwrap();
    assert_eq!(found.1, columns);
    assert_eq!(found.0.unwrap().len(), 4);
}

#[test]
fn items_are_found_inside_elements() {
    let body = r#"{"edges":[{"cursor":"a","node":{"id":1}},{"node":null},{"node":{},"node":{"id":3}}]}"#;
    let items = ["{\"id\":1}", "null", "{\"id\":3}"];
    let columns = ["1", "\"a\"", "-", "-", "3", "-"];
    finds(body, &shape("/edges", "/node", &["/node/id", "/cursor"], &[]), Some(&items), &columns, &[]);
    for (body, index) in
        [("[{\"node\":1},{}]", 1), ("[3]", 0), ("[{\"a\":{\"node\":1},\"node\":1},{\"nodes\":1},{}]", 1)]
    {
        assert_eq!(scanned(body, &shape("", "/node", &[], &[])), Err(JsonError::ItemMissing { index }), "{body}");
    }
}

#[test]
fn a_missing_or_null_array_of_items_is_accepted_and_any_other_value_refused() {
    let shape = shape("/a/data", "", &["/id"], &["/a"]);
    for (body, fact) in [
        ("{}", "-"),
        ("{\"a\":null}", "null"),
        ("{\"a\":{}}", "{}"),
        ("{\"a\":{\"data\":null}}", "{\"data\":null}"),
        ("[]", "-"),
        ("1", "-"),
        ("{\"a\":[[]]}", "[[]]"),
    ] {
        finds(body, &shape, None, &[], &[fact]);
    }
    for value in ["{}", "1", "\"\"", "false", "{\"data\":[]}"] {
        assert_eq!(scanned(&format!("{{\"a\":{{\"data\":{value}}}}}"), &shape), Err(JsonError::NotAnArray), "{value}");
    }
    assert_eq!(scanned("{}", &Shape::default()), Err(JsonError::NotAnArray));
    assert_eq!(scanned("null", &Shape::default()), Ok((None, vec![], vec![])));
}

#[test]
fn facts_are_found_before_after_and_beside_the_array() {
    let body = r#"{"total":3,"meta":{"page":{"n":2}},"data":{"rows":[{"total":9}],"more":true},"links":[{"rel":"self","href":"s"},{"rel":"next","href":"n"}],"x":null}"#;
    let facts = [
        "/total",
        "/meta/page/n",
        "/data/more",
        "/links/[rel=next]/href",
        "/links/0/href",
        "/x",
        "/y",
        "/data/rows",
        "/data/rows/0/total",
        "/meta/page",
        "",
    ];
    let expected = ["3", "2", "true", "\"n\"", "\"s\"", "null", "-", "[{\"total\":9}]", "9", "{\"n\":2}", body];
    finds(body, &shape("/data/rows", "", &["/total"], &facts), Some(&["{\"total\":9}"]), &["9"], &expected);
}

#[test]
fn items_are_found_inside_arrays() {
    let body = r#"[{"page":1,"total":9},[{"id":1},{"id":2}]]"#;
    finds(body, &shape("/1", "", &["/id"], &["/0/total"]), Some(&["{\"id\":1}", "{\"id\":2}"]), &["1", "2"], &["9"]);
    let body = r#"{"parts":[{"kind":"meta","total":1},{"rows":[5],"kind":"rows","n":7}]}"#;
    finds(
        body,
        &shape("/parts/[kind=rows]/rows", "", &[""], &["/parts/[kind=rows]/n", "/parts/[kind=meta]/total"]),
        Some(&["5"]),
        &["5"],
        &["7", "1"],
    );
    finds(
        r#"[{"code":"x"}]"#,
        &shape("", "", &[], &["/0/code", "/[code=x]", "/1"]),
        Some(&["{\"code\":\"x\"}"]),
        &[],
        &["\"x\"", "{\"code\":\"x\"}", "-"],
    );
}

/// Row: A29
#[test]
fn the_last_duplicate_member_is_used_around_and_inside_items() {
    let shape = shape("/d/rows", "/n", &["/n/id", "/k"], &["/t", "/d/t"]);
    let row = |id: u8| format!("{{\"n\":{{\"id\":{id}}},\"k\":{id}}}");
    type Case<'a> = (String, Option<&'a [&'a str]>, &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 11] = [
        (
            format!(r#"{{"t":1,"t":2,"d":{{"t":3,"rows":[{}],"t":4}}}}"#, row(1)),
            Some(&[r#"{"id":1}"#]),
            &["1", "1"],
            &["2", "4"],
        ),
        (
            format!(r#"{{"d":{{"rows":[{},{}],"rows":[{}]}}}}"#, row(1), row(2), row(3)),
            Some(&[r#"{"id":3}"#]),
            &["3", "3"],
            &["-", "-"],
        ),
        (format!(r#"{{"d":{{"rows":[{}],"rows":null}}}}"#, row(1)), None, &[], &["-", "-"]),
        (format!(r#"{{"d":{{"rows":7,"rows":[{}]}}}}"#, row(1)), Some(&[r#"{"id":1}"#]), &["1", "1"], &["-", "-"]),
        (format!(r#"{{"d":{{"rows":[1],"rows":[{}]}}}}"#, row(1)), Some(&[r#"{"id":1}"#]), &["1", "1"], &["-", "-"]),
        (format!(r#"{{"d":{{"t":1,"rows":[{}]}},"d":{{"t":null}}}}"#, row(1)), None, &[], &["-", "null"]),
        (format!(r#"{{"d":{{"t":1,"rows":[{}]}},"d":5}}"#, row(1)), None, &[], &["-", "-"]),
        (
            format!(r#"{{"d":{{"t":1,"rows":{{}}}},"\u0064":{{"rows":[{}]}}}}"#, row(1)),
            Some(&[r#"{"id":1}"#]),
            &["1", "1"],
            &["-", "-"],
        ),
        (r#"{"d":{"rows":[{"n":{"id":1},"n":2}]}}"#.to_owned(), Some(&["2"]), &["-", "-"], &["-", "-"]),
        (
            r#"{"d":{"rows":[{"n":{"id":1},"k":1,"n":{"id":2,"id":3},"k":{"x":4}}]}}"#.to_owned(),
            Some(&[r#"{"id":2,"id":3}"#]),
            &["3", "{\"x\":4}"],
            &["-", "-"],
        ),
        (r#"{"d":{"rows":[{"n":1,"\u006e":[]}],"r\u006fws":[]}}"#.to_owned(), Some(&[]), &[], &["-", "-"]),
    ];
    for (body, items, columns, facts) in cases {
        finds(&body, &shape, items, columns, facts);
    }
    assert_eq!(scanned(r#"{"d":{"rows":[],"rows":{}}}"#, &shape), Err(JsonError::NotAnArray));
    assert_eq!(scanned(r#"{"d":{"rows":[]},"d":{"rows":[{}]}}"#, &shape), Err(JsonError::ItemMissing { index: 0 }));
}

#[test]
fn invalid_json_is_reported_before_another_shape() {
    assert_eq!(scanned("{\"a\":1}", &shape("/a", "", &[], &[])), Err(JsonError::NotAnArray));
    assert_eq!(scanned("{\"a\":1]", &shape("/a", "", &[], &[])), Err(JsonError::Malformed { at: 6 }));
    assert_eq!(scanned("[{}", &shape("", "/n", &[], &[])), Err(JsonError::Malformed { at: 3 }));
}

#[test]
fn names_are_compared_decoded_and_whole() {
    let body = r#"{"ids":1,"i":2,"":3,"a/b":4,"\ud800":5,"\u00e9":6,"É":7,"ID":8,"q\"":9}"#;
    let facts = ["/id", "/i", "/", "/a~1b", "/é", "/É", "/q\"", "/�"];
    finds(body, &shape("/none", "", &[], &facts), None, &[], &["-", "2", "3", "4", "6", "7", "9", "-"]);
}

#[test]
fn names_of_any_length_are_found() {
    for length in [1, 31, 32, 33, 62, 63, 64, 65, 127, 128, 300] {
        let name = "n".repeat(length);
        let body = format!(r#"{{"{name}n":0,"{name}":{{"{name}":1}},"{name}nn":2}}"#);
        let nested = format!("/{name}/{name}");
        finds(&body, &shape("/none", "", &[], &[&nested, &format!("/{name}nnn")]), None, &[], &["1", "-"]);
    }
}

/// Row: A28
#[test]
fn the_number_of_elements_is_bounded() {
    let shape = shape("/data", "", &["/id"], &[]);
    let body = br#"{"data":[1,2,3],"data":[{},{}]}"#;
    let scanned = |items| scan_page(body, &shape, Limits { items, ..Limits::default() });
    assert_eq!(scanned(2).unwrap_err(), JsonError::TooManyItems);
    assert_eq!(scanned(3).unwrap().items.map(|items| items.len()), Some(2));
}

/// Text in an item that isn't JSON is accepted and served unchanged, because it can't break out of its place.
#[test]
fn invalid_values_that_are_not_requested_are_served_unchanged() {
    let shape = shape("/data", "", &["/id"], &["/total"]);
    for inside in [
        "01",
        "nul",
        "NaN",
        "-",
        "1 2",
        "\"\\x\"",
        "\"\\u12\"",
        "[1,,2]",
        "[,]",
        "{\"a\" 1}",
        "{\"a\":}",
        "{1:2}",
        "[\"a\":\"id\":1]",
        "{,}",
        "\"a\" \"b\"",
        "\"}],\\\"id\\\":2,[{\"",
        "[{\"id\":2}]",
        "'it'",
        "/**/1",
    ] {
        let item = format!("{{\"id\":1,\"x\":{inside}}}");
        let body = format!("{{\"data\":[{item},{{\"x\":{inside},\"id\":3}},{{}}],\"y\":{inside},\"total\":9}}");
        let items = [item, format!("{{\"x\":{inside},\"id\":3}}"), "{}".to_owned()];
        finds(&body, &shape, Some(&items.each_ref().map(String::as_str)), &["1", "3", "-"], &["9"]);
    }
}

#[test]
fn values_with_unbalanced_brackets_or_quotes_are_refused() {
    let shape = shape("/data", "", &["/id"], &["/total"]);
    for inside in [
        "]",
        "}",
        "[",
        "{",
        "[}",
        "{]",
        "[[}]",
        "\"",
        "\"\\\"",
        "\"a\nb\"",
        "\"\u{0}\"",
        "\u{0}",
        "\u{b}",
        "é",
        "\u{feff}1",
        "\\\"\"",
        "\\",
        "1]},{\"id\":[2",
    ] {
        let body = format!("{{\"data\":[{{\"id\":1,\"x\":{inside}}}],\"total\":9}}");
        assert!(matches!(scanned(&body, &shape), Err(JsonError::Malformed { .. })), "{body}");
    }
}

#[test]
fn invalid_values_that_are_requested_are_refused() {
    let shape = shape("/data", "", &["/id"], &["/total"]);
    for value in ["01", "nul", "", "1 2", "\"\\x\"", "[1,,2]", "{\"a\" 1}", "\"a\" \"b\"", "'it'"] {
        for body in [
            format!("{{\"data\":[{{\"id\":{value}}}],\"total\":9}}"),
            format!("{{\"data\":[{{\"id\":1}}],\"total\":{value}}}"),
            format!("{{\"data\":[{{\"id\":1}} {{\"x\":{value}}}],\"total\":9}}"),
            format!("{{\"data\":[{{\"id\":1}}],\"total\":9}} {value},"),
        ] {
            assert!(matches!(scanned(&body, &shape), Err(JsonError::Malformed { .. })), "{body}");
        }
    }
}

#[test]
fn names_are_found_wherever_they_are_in_a_window_and_however_they_are_spelled() {
    let shape = shape("", "", &["/id", "/größe", "/"], &[]);
    for padding in (0..70).chain(950..1_100) {
        let padding = "x".repeat(padding);
        let item = format!(
            "{{\"valid\":0,\"{padding}\\\"id\":1,\"id\" :\"{padding}\",\"gr\\u00f6\\u00dfe\":2,\"\":3,\"{padding}\":4,\"i\\u0064\"\n: 5,\"{padding}\\\"id\":9,\"größ\\\"id\":9}}"
        );
        let plain =
            format!("{{\"{padding}-id\":1,\"größe\":[{{\"id\":6}}],\"id\":7,\"x\":{{\"id\":8}},\"x\\\"id\":9}}");
        let simple = format!("{{\"{padding}-id\":1,\"id\":7,\"{padding}\\\"id\":9}}");
        let body = format!("[{item},{plain},{simple}]");
        let empty = if padding.is_empty() { "4" } else { "3" };
        let columns = ["5", "2", empty, "7", "[{\"id\":6}]", "-", "7", "-", "-"];
        finds(&body, &shape, Some(&[&item, &plain, &simple]), &columns, &[]);
    }
}

/// Row: A31
#[test]
fn invalid_utf8_is_refused_anywhere_in_a_body() {
    let shape = shape("", "", &[], &[]);
    for before in [0, 1_000, 1_020, 3_000] {
        for (open, close) in [("[\"", "\"]"), ("[{\"a\":\"", "\"}]"), ("[[\"", "\"]]")] {
            let body = |byte: u8| [open.as_bytes(), &vec![b'x'; before], &[byte], close.as_bytes()].concat();
            assert!(scan_page(&body(b'y'), &shape, Limits::default()).is_ok());
            let at = open.len() + before;
            let found = scan_page(&body(0xff), &shape, Limits::default());
            assert_eq!(found, Err(JsonError::Malformed { at }), "{before} bytes after {open}");
        }
    }
}

#[test]
fn items_are_nested_as_deep_as_allowed_at_most() {
    let shape = shape("/data", "", &["/id"], &[]);
    for levels in [0, 1, 2, 60, 61, 62, 63, 64, 65, 120, 125, 126, 200] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"id\":", "}]")] {
            let inside = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            let body = format!("{{\"data\":[{{\"x\":{inside},\"id\":2}}]}}");
            let deepest = u16::try_from(3 + levels * close.len()).unwrap();
            for depth in [3, 4, 64, 65, 66, 67, 128, deepest - 1, deepest] {
                let found = scan_page(body.as_bytes(), &shape, Limits { depth, ..Limits::default() });
                if depth < deepest {
                    assert_eq!(found, Err(JsonError::TooDeep), "{depth} of {body}");
                } else {
                    assert_eq!(found.unwrap().columns.len(), 1, "{depth} of {body}");
                }
            }
        }
    }
}
