//! Tests with unusual upstreams, which are described by a few lines of a dialect and walked.

use std::fmt::Write as _;

use crate::harness::{
    gateway::Gateway,
    rows::{BY_OFFSET, BY_TEN, Row, Rows, configuration, ids, walk},
    upstream::{Request, Upstream},
};

/// Walks to the end and back to the start, and asserts that each walk has exactly the expected ids, in order.
fn there_and_back(gateway: &Gateway, first: &str, expected: &[u64]) {
    let forth = walk(gateway, first, "next", &[], |_, _| {});
    assert_eq!(forth.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{first}");
    let Some(back) = forth.last().and_then(|last| last.link("prev")) else { return };
    let mut seen = ids(forth.last().expect("a page"));
    for page in walk(gateway, &back, "prev", &[], |_, _| {}) {
        seen.splice(0..0, ids(&page));
    }
    assert_eq!(seen, expected, "{first}, and back");
}

/// If an upstream answers every request with its whole list, each page is a slice of it.
#[test]
fn whole_lists_are_cut_into_pages() {
    const COUNT: u64 = 37;
    let upstream = Upstream::start(|exchange| {
        assert!(exchange.request.query().is_empty(), "{}", exchange.request.target);
        let rows: Vec<String> = (1..=COUNT).map(|id| Row::new(id, id).json()).collect();
        exchange.reply("200 OK", &[("Content-Type", "application/json")], format!("[{}]", rows.join(",")).as_bytes())
    });
    let gateway = Gateway::start(&format!(
        "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"whole-list\"\norder = [\"id\"]\n",
        upstream.address
    ));
    let expected: Vec<u64> = (1..=COUNT).collect();
    for limit in [1, 7, 36, 37, 100] {
        there_and_back(&gateway, &format!("/users?limit={limit}"), &expected);
    }
    let asked = upstream.requests().len();
    let pages = walk(&gateway, "/users?limit=10", "next", &[], |_, _| {}).len();
    assert_eq!((upstream.requests().len() - asked, pages), (4, 4), "one request a page");
}

/// A whole list has no page after its end. A status that marks the end in other lists therefore means that the list no
/// longer exists, even if the request has a cursor.
#[test]
fn a_whole_list_that_no_longer_exists_has_the_status_of_its_upstream() {
    let upstream = Upstream::start(|exchange| {
        let rows: Vec<String> = (1..=37).map(|id| Row::new(id, id).json()).collect();
        exchange.reply("200 OK", &[("Content-Type", "application/json")], format!("[{}]", rows.join(",")).as_bytes())
    });
    let gateway = Gateway::start(&format!(
        "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"mine\"\norder = [\"id\"]\n[dialects.mine]\nextends = \"whole-list\"\n\
         response = {{ past_end = [{{ status = 404 }}] }}\n",
        upstream.address
    ));
    let next = gateway.get("/users?limit=10").link("next").expect("a second page");
    upstream.answer(|exchange| exchange.reply("404 Not Found", &[], b"gone"));
    let refused = gateway.get(&next);
    assert!(refused.status == 404 && refused.body == b"gone", "{refused:?}");
}

/// If the endpoint can sort by the fields of an order but not by the id, requests sort by these fields, and ties are
/// used as whole runs.
#[test]
fn an_order_is_requested_without_the_id_if_the_id_is_not_sortable() {
    let rows = Rows::new((1..=42).map(|id| Row::new(id, id.div_ceil(3))));
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let route = "order = [\"-score\", \"id\"]\nsortable = [\"score\"]";
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, route));
    let mut expected: Vec<u64> = (1..=42).collect();
    expected.sort_by_key(|id| (std::cmp::Reverse(id.div_ceil(3)), *id));
    there_and_back(&gateway, "/users?limit=8", &expected);
    for request in upstream.requests() {
        assert!(["sort=-score", "sort=score"].iter().any(|sort| request.query().contains(sort)), "{}", request.target);
        assert!(!request.query().contains("id"), "{}", request.target);
    }
}

/// `filter={…}` with JSON and `filter[skip]=…` with a member in brackets are the same parameter. A request with both is
/// refused, because the upstream would ignore one of them.
#[test]
fn a_parameter_both_whole_and_in_brackets_is_refused() {
    let rows = Rows::count(30);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let gateway = Gateway::start(&format!(
        "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"loopback\"\norder = [\"id\"]\n\
         [dialects.loopback]\nrequest = {{ query = \"filter[skip]={{offset}}&filter[limit]={{size}}\" }}\n\
         response = {{ items = \"/items\" }}\n",
        upstream.address
    ));
    for query in ["filter=%7B%22where%22%3A%7B%7D%7D", "Filter=%7B%7D", "filter[limit]=5"] {
        let page = gateway.get(&format!("/users?{query}"));
        assert_eq!(page.outcome(), "400 parameter_invalid", "{query}: {page:?}");
    }
    assert!(upstream.requests().is_empty(), "none of them goes on");
    let page = gateway.get("/users?filter[where][team]=7");
    assert_ne!(page.outcome(), "400 parameter_invalid", "another member stays a filter: {page:?}");
}

/// Returns the number in a parameter of a request.
fn number(request: &Request, name: &str) -> Option<u64> {
    request.parameter(name).and_then(|text| text.parse().ok())
}

/// A view has a single order. One parameter chooses the direction, and others the keys at which an answer begins and
/// ends. The sort names no field, and a range doesn't show which of its keys is greater.
#[test]
fn a_view_with_a_direction_alone_is_read_by_its_keys() {
    let upstream = Upstream::start(|exchange| {
        let request = &exchange.request;
        let falls = request.parameter("descending") == Some("true");
        let mut rows: Vec<Row> = (1..=60).map(|id| Row::new(id, id.div_ceil(2) * 10)).collect();
        if falls {
            rows.reverse();
        }
        let (from, to) = (number(request, "startkey"), number(request, "endkey"));
        rows.retain(|row| {
            let beyond = |start: u64, end: u64| {
                if falls { row.score <= start && row.score >= end } else { row.score >= start && row.score <= end }
            };
            beyond(from.unwrap_or(if falls { u64::MAX } else { 0 }), to.unwrap_or(if falls { 0 } else { u64::MAX }))
        });
        let skip = usize::try_from(number(request, "skip").unwrap_or(0)).unwrap_or(usize::MAX).min(rows.len());
        let limit = usize::try_from(number(request, "limit").unwrap_or(10)).unwrap_or(10);
        let page: Vec<String> = rows[skip..(skip + limit).min(rows.len())].iter().map(Row::json).collect();
        let body = format!(r#"{{"total_rows":60,"rows":[{}]}}"#, page.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    for (order, falls) in [(r#"["score", "id"]"#, false), (r#"["-score", "-id"]"#, true)] {
        let gateway = Gateway::start(&format!(
            "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
             dialect = \"view\"\norder = {order}\nsortable = [\"score\"]\nfilterable = [\"score\"]\n\
             fields = {{ score = {{ type = \"number\", nulls = \"none\" }} }}\n\
             [dialects.view]\nrequest = {{ query = \"skip={{offset}}&limit={{size}}\" }}\nresponse = {{ items = \"/rows\", has_more = \"/more\" }}\n\
             sort = {{ query = \"descending={{direction}}\", ascending = \"false\", descending = \"true\" }}\n\
             filter = {{ from = \"startkey={{value}}\", to = \"endkey={{value}}\", quote = {{ string = \"json\" }} }}\n",
            upstream.address
        ));
        let mut expected: Vec<u64> = (1..=60).collect();
        if falls {
            expected.reverse();
        }
        let before = upstream.requests().len();
        for limit in [1, 7, 20] {
            there_and_back(&gateway, &format!("/users?limit={limit}"), &expected);
        }
        let asked: Vec<String> =
            upstream.requests()[before..].iter().map(|request| request.query().to_owned()).collect();
        assert!(asked.iter().any(|query| query.contains("startkey=")), "{asked:?}");
        assert!(asked.iter().all(|query| !query.contains("endkey=")), "a list begins at its anchor: {asked:?}");
        let turned = gateway.get(&format!("/users?limit=2&sort={}score", if falls { "" } else { "-" }));
        let last = expected.iter().rev().take(2).copied().collect::<Vec<_>>();
        assert_eq!(ids(&turned), last, "{turned:?}");
    }
}

/// A feed without offsets can be read by ranges if each page fits into one answer.
#[test]
fn a_feed_without_offsets_is_read_by_ranges_of_ids() {
    let upstream = Upstream::start(|exchange| {
        let request = &exchange.request;
        let mut rows: Vec<Row> = (1..=57).map(|id| Row::new(id, id)).collect();
        let (least, most) = (number(request, "id_from").unwrap_or(0), number(request, "id_to").unwrap_or(u64::MAX));
        rows.retain(|row| row.id >= least && row.id <= most);
        if request.parameter("sort") == Some("-id") {
            rows.reverse();
        }
        let limit = usize::try_from(number(request, "limit").unwrap_or(10)).unwrap_or(10).min(20);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let page: Vec<String> = rows.iter().map(Row::json).collect();
        let body = format!(r#"{{"more":{more},"items":[{}]}}"#, page.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let configured = |max: u32| {
        format!(
            "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
             dialect = \"feed\"\norder = [\"-id\"]\nsortable = [\"id\"]\nfilterable = [\"id\"]\n\
             fields = {{ id = {{ type = \"number\" }} }}\npage_size = {{ default = 10, max = {max} }}\n\
             [dialects.feed]\nrequest = {{ query = \"limit={{size}}\" }}\nsize = {{ max = 20 }}\n\
             response = {{ items = \"/items\", has_more = \"/more\", end = \"flag\" }}\n\
             sort = {{ query = \"sort={{direction}}{{field}}\", ascending = \"\", descending = \"-\" }}\n\
             filter = {{ lte = \"{{field}}_to={{value}}\", gte = \"{{field}}_from={{value}}\" }}\n",
            upstream.address
        )
    };
    let told = crate::command_line::refused_by_check(&configured(40));
    assert!(told.contains("pages of 40 items don't come in one answer"), "{told}");
    let gateway = Gateway::start(&configured(18));
    let expected: Vec<u64> = (1..=57).rev().collect();
    for limit in [1, 7, 18] {
        there_and_back(&gateway, &format!("/users?limit={limit}"), &expected);
    }
    let before = upstream.requests().len();
    let pages = walk(&gateway, "/users?limit=10", "next", &[], |_, _| {}).len();
    assert_eq!((upstream.requests().len() - before, pages), (6, 6), "one request a page");
}

/// For an upstream with pages of a fixed size, if `check` accepts the largest page size, every page of an unchanged
/// list is full: for any limit, from every item, in both directions.
#[test]
fn pages_of_a_fixed_size_are_filled_within_the_budget() {
    const COUNT: u64 = 63;
    let rows = Rows::count(COUNT);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let route =
        |max: u64| format!("order = [\"id\"]\nenvelope = \"relay\"\npage_size = {{ max = {max}, default = 5 }}");
    let too_large = configuration(upstream.address, BY_TEN, &route(60));
    let told = crate::command_line::refused_by_check(&too_large);
    assert!(told.contains("pages of 60 items take up to "), "{told}");
    let (_, advice) = told.split_once("page_size.max = ").expect("a size that has room");
    let max: u64 = advice.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number");
    assert!((10..60).contains(&max), "{told}");
    let gateway = Gateway::start(&configuration(upstream.address, BY_TEN, &route(max)));
    let cursors = walk_edges(&gateway);
    assert_eq!(cursors.len(), usize::try_from(COUNT).expect("few"));
    let mut failed = String::new();
    for (index, cursor) in cursors.iter().enumerate().take(cursors.len() - 1) {
        for limit in [max, max - 1, 10, 9] {
            for asked in [format!("first={limit}&after={cursor}"), format!("last={limit}&before={cursor}")] {
                let page = gateway.get(&format!("/users?{asked}"));
                if page.outcome() != "200" {
                    let _ = writeln!(failed, "item {index}, {limit}: {}", page.outcome());
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// Walks forward by the cursor of each page's last item, and returns the cursors of all items, in order.
fn walk_edges(gateway: &Gateway) -> Vec<String> {
    let mut cursors: Vec<String> = Vec::new();
    // Each page has five items, so a walk of more than 100 pages has a fault.
    for _ in 0..100 {
        let after = cursors.last().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let page = gateway.get(&format!("/users?first=5{after}")).json();
        let edges = page["edges"].as_array().expect("edges");
        cursors.extend(edges.iter().map(|edge| edge["cursor"].as_str().expect("a cursor").to_owned()));
        if page["pageInfo"]["hasNextPage"] != true {
            return cursors;
        }
    }
    panic!("the walk doesn't end");
}
