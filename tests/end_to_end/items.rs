//! Tests of the items in pages: for any JSON, the items are the bytes that the upstream sent, and envelopes contain
//! them at the right places.

use crate::harness::{
    gateway::Gateway,
    list::{PLAIN, Setup, serve, users},
    upstream::Upstream,
};

/// Items that change if they are parsed and written again.
const ITEMS: &[&str] = &[
    r#"{"id":1,"balance":25.0}"#,
    r#"{"id":2,"big":1e400,"small":1E-400,"plus":1.5e+03,"zero":-0,"tail":0.10}"#,
    r#"{"id":3,"exact":9007199254740993,"long":123456789012345678901234567890.123456789012345678901234567890}"#,
    r#"{"id":4,"path":"a\/b","escaped":"\u00e9\u00E9é","surrogate":"\ud83e\udd80","lone":"\ud800","nul":"\u0000"}"#,
    r#"{"id":5,"twice":1,"twice":2,"":0,"":[]}"#,
    "{ \"id\" : 6 ,\t\"blanks\" :\r\n [ 1 , 2 ,3 ] , \"empty\" : { } }",
    r#"{"z":1,"a":2,"id":7,"m":{"z":1,"a":2}}"#,
    r#"{"id":8,"html":"</script><!--","controls":"\b\f\n\r\t\"\\","separators":"  "}"#,
    r#"{"id":9,"nested":[[[[{"id":1,"items":[{"id":2}]}]]]],"data":[1],"pagination":{"nextCursor":"x"}}"#,
    r#"{"id":10,"null":null,"true":true,"false":false}"#,
    r#"{"id":11,"brackets":"]}],{[\"]}","name":"{item}{{}}"}"#,
];

fn items() -> Vec<String> {
    ITEMS.iter().map(|item| (*item).to_owned()).collect()
}

/// Pages of each limit contain the items as the upstream wrote them, byte for byte.
///
/// Row: A30
#[test]
fn items_are_the_upstreams_bytes() {
    let upstream = Upstream::start(serve(items()));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    for limit in 1..=ITEMS.len() + 1 {
        let mut target = Some(format!("/users?limit={limit}"));
        let mut page = 0;
        while let Some(asked) = target {
            let response = gateway.get(&asked);
            assert_eq!(response.outcome(), "200", "{asked}: {}", response.text());
            let expected = &ITEMS[page * limit..ITEMS.len().min((page + 1) * limit)];
            let data = format!(r#""data":[{}]"#, expected.join(","));
            assert!(response.text().contains(&data), "limit {limit}, page {page}: {}", response.text());
            target = response.link("next");
            page += 1;
        }
        assert_eq!(page, ITEMS.len().div_ceil(limit), "limit {limit}");
    }
}

#[test]
fn the_standard_envelope_has_the_expected_bytes() {
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let page = gateway.get("/users?limit=2&a=1");
    let next = page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned();
    let body = page.json();
    let last = body["links"]["last"].as_str().expect("the total is known");
    let expected = format!(
        concat!(
            r#"{{"data":[{{"id":1,"name":"user 1"}},{{"id":2,"name":"user 2"}}],"#,
            r#""pagination":{{"total":3,"pageSize":2,"nextCursor":"{next}","prevCursor":null,"hasMore":true}},"#,
            r#""links":{{"self":"/users?limit=2&a=1","first":"/users?a=1&limit=2","prev":null,"#,
            r#""next":"/users?a=1&limit=2&cursor={next}","last":"{last}"}}}}"#,
        ),
        next = next,
        last = last,
    );
    let without_order = |text: &str| {
        let mut text = text.to_owned();
        for either in ["/users?a=1&limit=2", "/users?limit=2&a=1"] {
            text = text.replace(either, "/users?LIMIT");
        }
        text
    };
    // Neither the place of `limit` among the filters nor the spelling of `&` in JSON is promised.
    assert_eq!(without_order(&page.text().replace("\\u0026", "&")), without_order(&expected));
}

#[test]
fn the_bare_envelope_is_the_array_alone() {
    let setup = Setup { upstream: "", route: "envelope = \"bare\"", more: "" };
    let upstream = Upstream::start(serve(items()));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let page = gateway.get("/users?limit=20");
    assert_eq!(page.text(), format!("[{}]", ITEMS.join(",")));
    let page = gateway.get("/users?limit=4");
    assert_eq!(page.text(), format!("[{}]", ITEMS[..4].join(",")));
    assert!(page.link("next").is_some(), "{page:?}");
}

/// An envelope of the configuration with wrapped items, other names, and members in another order is filled.
#[test]
fn a_skeleton_of_the_configuration_is_filled() {
    let setup = Setup {
        upstream: "",
        route: "envelope = \"ours\"",
        more: r#"
[envelopes.ours]
parameters = { limit = "size", cursor = "at" }
body = { "kind" = "list of {collection}", "rows" = [{ "n" = "{item.id}", "row" = "{item}" }], "more" = "{next.cursor}", "total" = "{total}" }
"#,
    };
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let page = gateway.get("/users?size=2");
    let more = page.json()["more"].as_str().expect("a next page").to_owned();
    assert_eq!(
        page.text(),
        format!(
            concat!(
                r#"{{"kind":"list of users","rows":[{{"n":1,"row":{{"id":1,"name":"user 1"}}}},"#,
                r#"{{"n":2,"row":{{"id":2,"name":"user 2"}}}}],"more":"{}","total":3}}"#
            ),
            more
        )
    );
    let last = gateway.get(&format!("/users?size=2&at={more}"));
    assert_eq!(last.text(), r#"{"kind":"list of users","rows":[{"n":3,"row":{"id":3,"name":"user 3"}}],"total":3}"#);
}

#[test]
fn empty_lists_and_ends_follow_the_contract() {
    let upstream = Upstream::start(serve(Vec::new()));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let page = gateway.get("/users");
    assert_eq!(page.outcome(), "200");
    let body = page.json();
    assert_eq!(body["data"], serde_json::json!([]), "{body}");
    assert_eq!(
        body["pagination"],
        serde_json::json!({"total": 0, "pageSize": 20, "nextCursor": null, "prevCursor": null, "hasMore": false})
    );
    assert!(page.link("next").is_none() && page.link("prev").is_none() && page.link("first").is_some(), "{page:?}");

    upstream.answer(serve(users(40)));
    let last = gateway.get("/users").link("last").expect("the total is known");
    let page = gateway.get(&last);
    assert_eq!(page.json()["data"][19]["id"], 40, "{page:?}");
    assert_eq!(page.json()["pagination"]["hasMore"], false, "{page:?}");

    // All items after the cursor have been removed since the first page.
    let next = gateway.get("/users?limit=10").link("next").expect("a next page");
    upstream.answer(serve(users(10)));
    let page = gateway.get(&next);
    assert_eq!(page.outcome(), "200", "{page:?}");
    assert_eq!(page.json()["data"], serde_json::json!([]), "{page:?}");
    assert!(page.link("next").is_none(), "{page:?}");
    let back = gateway.get(&page.link("prev").expect("the last page"));
    assert_eq!(back.json()["data"][9]["id"], 10, "{back:?}");
}
