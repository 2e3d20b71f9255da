//! Tests of orders that clients choose, in each grammar and each mode, and of the requests to the upstream that these
//! orders cause.

use crate::{
    harness::{
        gateway::Gateway,
        http::Response,
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
        upstream::Upstream,
    },
    third_party::{Kind, ThirdParty},
};

/// Starts an upstream with 42 rows, of which three share each score, and a gateway in front of it.
fn started(route: &str) -> (Upstream, Gateway) {
    let rows = Rows::new((1..=42).map(|id| Row::new(id, id.div_ceil(3))));
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, route));
    (upstream, gateway)
}

const BY_OFFSETS: &str = "mode = \"offset\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]";

fn cursor(page: &Response) -> String {
    page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned()
}

/// An order means the same in each grammar: the same pages, the same cursors, and the same request to the upstream.
#[test]
fn every_grammar_means_the_same() {
    const SAME: [&str; 8] = [
        "sort=score,-id",
        "sort=%2Bscore,-id",
        "sort=+score,-id",
        "sort=asc(score),desc(id)",
        "sort=score.asc,id.desc",
        "sort=score%20asc,id%20desc",
        "sort_by=score,id&order_by=asc,desc",
        "order_by=asc,desc&sort_by=score,id",
    ];
    for route in [BY_SCORE, BY_OFFSETS] {
        let (upstream, gateway) = started(route);
        let mut expected: Vec<u64> = (1..=42).collect();
        expected.sort_by_key(|id| (id.div_ceil(3), std::cmp::Reverse(*id)));
        let mut cursors = Vec::new();
        for sort in SAME {
            let pages = walk(&gateway, &format!("/users?limit=8&{sort}"), "next", &[], |_, page| {
                let next = page.link("next").unwrap_or_default();
                assert!(
                    next.is_empty()
                        || next.contains(
                            &sort.replace(',', "%2C").replace("=+", "=%20").replace('(', "%28").replace(')', "%29")
                        ),
                    "{sort}: {next}"
                );
            });
            assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{sort}");
            cursors.push(cursor(&pages[0]));
            let request = upstream.requests().pop().expect("it was asked");
            assert!(request.query().contains("sort=score,-id"), "{sort}: {}", request.target);
        }
        // Each cursor continues the walk in each grammar.
        for (index, sort) in SAME.iter().enumerate() {
            let other = &cursors[(index + 3) % SAME.len()];
            let page = gateway.get(&format!("/users?limit=8&{sort}&cursor={other}"));
            assert_eq!(ids(&page), expected[8..16], "{sort}: {page:?}");
        }
        let other = gateway.get(&format!("/users?limit=8&sort=-score,-id&cursor={}", cursors[0]));
        assert_eq!(other.outcome(), "400 cursor_mismatch", "{other:?}");
    }
}

/// Without a sort, the list has its declared order. A sort that names this order has the same pages and cursors.
#[test]
fn a_sort_that_names_the_declared_order_has_the_same_pages() {
    let (_upstream, gateway) = started(BY_SCORE);
    let page = gateway.get("/users?limit=8");
    let cursor = cursor(&page);
    let on = ids(&gateway.get(&format!("/users?limit=8&cursor={cursor}")));
    for sort in ["sort=-score,id", "sort=desc(score),asc(id)", "sort_by=score,id&order_by=desc,asc"] {
        let same = gateway.get(&format!("/users?limit=8&{sort}&cursor={cursor}"));
        assert_eq!(ids(&same), on, "{sort}: {same:?}");
    }
}

#[test]
fn invalid_sorts_are_refused_with_the_sortable_fields() {
    let (upstream, gateway) = started(BY_SCORE);
    let asked = upstream.count();
    for (query, outcome, parameter) in [
        ("sort=note", "400 sort_invalid", "sort"),
        ("sort=desc(note)", "400 sort_invalid", "sort"),
        ("sort=score.down", "400 sort_invalid", "sort"),
        ("sort=", "400 sort_invalid", "sort"),
        ("sort=score,-score", "400 sort_invalid", "sort"),
        ("sort_by=note&order_by=desc", "400 sort_invalid", "sort_by"),
        ("order_by=desc", "400 sort_invalid", "order_by"),
        ("sort_by=score&order_by=upwards", "400 sort_invalid", "order_by"),
        ("sort=score&sort=-score", "400 parameter_conflict", "sort"),
        ("sort=score&sort_by=score", "400 parameter_conflict", "sort_by"),
        ("sort=score&order_by=asc", "400 parameter_conflict", "order_by"),
        ("Sort=score", "400 sort_invalid", "Sort"),
    ] {
        let response = gateway.get(&format!("/users?{query}"));
        assert_eq!(response.outcome(), outcome, "{query}: {response:?}");
        let problem = response.json();
        assert_eq!(problem["parameter"], parameter, "{query}: {problem}");
        if outcome.ends_with("sort_invalid") {
            assert_eq!(problem["allowed"], serde_json::json!(["score", "id"]), "{query}: {problem}");
        }
    }
    assert_eq!(upstream.count(), asked, "nothing of this reaches the upstream");
}

/// A sort in the upstream's own words is read by the dialect, kept in links, and written again for the upstream.
#[test]
fn the_dialect_reads_sorts_in_the_grammar_of_the_upstream() {
    let rows = Rows::new((1..=42).map(|id| Row::new(id, id.div_ceil(3))));
    let upstream = Upstream::start(move |exchange| {
        let query = exchange.request.query().to_owned();
        let field = exchange.request.parameter("by").map(str::to_owned);
        let descending = exchange.request.parameter("way") == Some("down");
        if let Some(field) = field {
            let sign = if descending { "-" } else { "" };
            exchange.request.target = format!("/users?{query}&sort={sign}{field}");
        }
        rows.answer(exchange)
    });
    let words =
        "sort = { query = \"by={field}&way={direction}\", ascending = \"up\", descending = \"down\", max_keys = 1 }";
    let setup = configuration(upstream.address, BY_OFFSET, BY_OFFSETS);
    let (route, _) = setup.split_once("[dialects.rows]").expect("the dialect stands behind the route");
    let dialect = format!(
        "[dialects.rows]\nrequest = {{ query = \"offset={{offset}}&limit={{size}}\" }}\n\
         response = {{ items = \"/items\", total = \"/total\" }}\n{words}\n"
    );
    let gateway = Gateway::start(&format!("{route}{dialect}"));
    let page = gateway.get("/users?limit=6&by=id&way=down&parity=0");
    assert_eq!(ids(&page), [42, 40, 38, 36, 34, 32], "{page:?}");
    let next = page.link("next").expect("a next page");
    assert!(next.contains("&by=id&way=down&limit=6&cursor="), "{next}");
    assert_eq!(ids(&gateway.get(&next)), [30, 28, 26, 24, 22, 20]);
    let ours = gateway.get(&format!("/users?limit=6&sort=-id&parity=0&cursor={}", cursor(&page)));
    assert_eq!(ids(&ours), [30, 28, 26, 24, 22, 20], "{ours:?}");
    let asked = upstream.requests().pop().expect("it was asked");
    assert!(asked.query().starts_with("parity=0&") && asked.query().contains("by=id&way=down"), "{}", asked.target);

    for (query, outcome) in [
        ("by=id&way=sideways", "400 sort_invalid"),
        ("by=id", "400 sort_invalid"),
        ("by=note&way=up", "400 sort_invalid"),
        ("by=id&way=up&sort=id", "400 parameter_conflict"),
        ("By=id&way=up", "400 sort_invalid"),
        // The upstream sorts by one key at a time, and the gateway sorts ties by the id.
        ("sort=score,-id", "200"),
    ] {
        let response = gateway.get(&format!("/users?{query}"));
        assert_eq!(response.outcome(), outcome, "{query}: {response:?}");
    }
}

/// Real servers sort as a request says, in each grammar and in the server's own words.
#[test]
fn real_servers_are_sorted_by_sorts_in_every_grammar() {
    for (kind, own) in
        [(Kind::Django, "ordering=created_at,-id"), (Kind::JsonServer, "_sort=created_at,id&_order=asc,desc")]
    {
        let server = ThirdParty::start(kind);
        let gateway = Gateway::start(&server.configuration());
        let mut expected: Option<Vec<u64>> = None;
        for sort in [
            "sort=created_at,-id",
            "sort=asc(created_at),desc(id)",
            "sort=created_at.asc,id.desc",
            "sort_by=created_at,id&order_by=asc,desc",
            own,
        ] {
            let page = gateway.get(&format!("/v2/users?limit=90&{sort}"));
            assert_eq!(page.outcome(), "200", "{kind:?} {sort}: {page:?}");
            let body = page.json();
            let keys: Vec<(&str, std::cmp::Reverse<u64>)> = body["data"]
                .as_array()
                .expect("items")
                .iter()
                .map(|item| {
                    (
                        item["created_at"].as_str().unwrap_or_default(),
                        std::cmp::Reverse(item["id"].as_u64().unwrap_or(0)),
                    )
                })
                .collect();
            assert!(keys.len() == 90 && keys.is_sorted(), "{kind:?} {sort}: {keys:?}");
            let on = ids(&gateway.get(&page.link("next").expect("a next page")));
            assert_eq!(*expected.get_or_insert_with(|| on.clone()), on, "{kind:?} {sort}");
        }
        let refused = gateway.get("/v2/users?sort=name");
        assert_eq!(refused.outcome(), "400 sort_invalid", "{kind:?}: {refused:?}");
    }
}

/// A sort by two keys is refused if the upstream sorts by only one.
#[test]
fn more_keys_than_the_upstream_takes_are_refused() {
    let rows = Rows::new((1..=42).map(|id| Row::new(id, id.div_ceil(3))));
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let route = "mode = \"offset\"\norder = [\"id\"]\nsortable = [\"score\", \"note\", \"id\"]";
    let setup = configuration(upstream.address, BY_OFFSET, route);
    let gateway = Gateway::start(&setup.replace("join = \",\"\n", "max_keys = 1\n"));
    assert_eq!(gateway.get("/users?sort=-score").outcome(), "200");
    let refused = gateway.get("/users?sort=-score,note");
    assert_eq!(refused.outcome(), "400 sort_invalid", "{refused:?}");
    let problem = refused.json();
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("one field at a time") && detail.contains("score, note, id"), "{detail}");
}
