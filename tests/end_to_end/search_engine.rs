//! Tests of Elasticsearch's two ways to page, with a service that answers as Elasticsearch does.

use std::io;

use serde_json::{Value, json};

use crate::harness::{
    gateway::Gateway,
    rows::{Row, Rows, ids, walk},
    upstream::{After, Exchange, Upstream},
};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Answers as a search engine: hits in the order of `sort`, from an offset or after the sort values of a hit.
fn search(rows: &Rows, exchange: &mut Exchange) -> io::Result<After> {
    let body: Value = serde_json::from_slice(&exchange.body()?).unwrap_or_default();
    let mut rows = rows.all();
    let ascending = body["sort"][0]["score"]["order"] == "asc";
    let known = body["sort"].as_array().is_some_and(|sort| sort.len() == 2) && body["track_total_hits"] == true;
    if exchange.request.method != "POST" || !known {
        return exchange.reply("400 Bad Request", &[("Content-Type", "application/json")], br#"{"error":{}}"#);
    }
    let keys = |row: &Row| (if ascending { row.score } else { u64::MAX - row.score }, row.id);
    rows.sort_by_key(|row| if ascending { (row.score, u64::MAX - row.id) } else { keys(row) });
    if let Some(parity) = body["query"]["term"]["parity"].as_u64() {
        rows.retain(|row| row.id % 2 == parity);
    }
    let number = |name: &str| body[name].as_u64().and_then(|number| usize::try_from(number).ok());
    let from = match body["search_after"].as_array() {
        Some(last) => {
            rows.iter().position(|row| json!([row.score, row.id]) == json!(last)).map_or(rows.len(), |at| at + 1)
        }
        None => number("from").unwrap_or(0),
    };
    let size = number("size").unwrap_or(10);
    if from + size > 10_000 && body["search_after"].is_null() {
        return exchange.reply("400 Bad Request", &[("Content-Type", "application/json")], br#"{"error":{}}"#);
    }
    let hits: Vec<String> = rows
        .iter()
        .skip(from)
        .take(size)
        .map(|row| format!(r#"{{"_id":"{}","_source":{},"sort":[{},{}]}}"#, row.id, row.json(), row.score, row.id))
        .collect();
    let answer = format!(
        r#"{{"timed_out":false,"hits":{{"total":{{"value":{},"relation":"eq"}},"hits":[{}]}}}}"#,
        rows.len(),
        hits.join(",")
    );
    exchange.reply("200 OK", &[("Content-Type", "application/json")], answer.as_bytes())
}

/// A list is walked to its end by each of Elasticsearch's two ways to page. Clients use GET, or POST with a query that
/// stays in force on every page.
#[test]
fn a_search_engine_is_walked_to_its_end() {
    for dialect in ["elasticsearch", "elasticsearch-search-after"] {
        let rows = Rows::new((1..=203).map(|id| Row::new(id, id / 4)));
        let served = rows.clone();
        let upstream = Upstream::start(move |exchange| search(&served, exchange));
        let gateway = Gateway::start(&format!(
            r#"
[upstreams.search]
peers = ["{}"]
[routes.books]
path = "/books"
methods = ["GET", "HEAD", "POST"]
upstream = "search"
upstream_path = "/books/_search"
dialect = "{dialect}"
order = ["-score", "id"]
sortable = ["score", "id"]
fields = {{ score = {{ type = "number", nulls = "none", at = "/_source/score" }}, id = {{ type = "number-in-string", upstream = "book_id" }} }}
"#,
            upstream.address
        ));
        let forward = walk_rows(&gateway, "/books?limit=20", "next");
        let mut expected: Vec<u64> = (1..=203).collect();
        expected.sort_by_key(|id| (u64::MAX - id / 4, *id));
        assert_eq!(forward.concat(), expected, "{dialect}");
        if dialect == "elasticsearch" {
            let last = gateway.get("/books?limit=20").link("last").expect("a last page");
            let mut back = walk_rows(&gateway, &last, "prev");
            back.reverse();
            assert_eq!(back.concat(), expected, "{dialect}, backward");
        }
        let mut delivered = Vec::new();
        let mut target = "/books?limit=30".to_owned();
        loop {
            let page = gateway.send("POST", &target, &JSON, br#"{"query":{"term":{"parity":1}}}"#);
            assert_eq!(page.outcome(), "200", "{page:?}");
            let page = page.json();
            delivered.extend(page["data"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()));
            let Some(cursor) = page["pagination"]["nextCursor"].as_str() else { break };
            target = format!("/books?limit=30&cursor={cursor}");
        }
        let odd: Vec<u64> = expected.iter().copied().filter(|id| id % 2 == 1).collect();
        assert_eq!(delivered, odd, "{dialect}");
        let own = gateway.send("POST", "/books", &JSON, br#"{"size":10}"#);
        assert_eq!(own.outcome(), "400 parameter_invalid", "{own:?}");
        let sorted = gateway.send("POST", "/books", &JSON, br#"{"sort":["title"]}"#);
        assert_eq!(sorted.outcome(), "400 sort_invalid", "{sorted:?}");
    }
}

fn walk_rows(gateway: &Gateway, first: &str, relation: &str) -> Vec<Vec<u64>> {
    let pages = walk(gateway, first, relation, &[], |_, _| {});
    pages.iter().map(ids).collect()
}
