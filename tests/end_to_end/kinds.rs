//! Tests of keys without a declared type: dates that are compared as instants, strings that the upstream sorts by its
//! own rules, and keys that a client leaves out. Lists that contradict their order are reported.

use std::sync::{Arc, Mutex};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http::Response,
    upstream::{Exchange, Upstream},
};

/// The JSON of the upstream's items, in the upstream's order.
type Items = Arc<Mutex<Vec<String>>>;

/// Starts an upstream that serves any slice of its items. With `fields=id`, the items have only their id.
fn start(items: &Items, route: &str) -> (Upstream, Gateway) {
    let items = Arc::clone(items);
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let number = |name: &str| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let (from, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(20));
        let only_ids = exchange.request.parameter("fields").is_some();
        let all = items.lock().expect("items").clone();
        let shown = |item: &String| match only_ids {
            true => {
                let value: serde_json::Value = serde_json::from_str(item).expect("an item");
                format!("{{\"id\":{}}}", value["id"])
            }
            false => item.clone(),
        };
        let page: Vec<String> = all.iter().skip(from).take(limit.min(50)).map(shown).collect();
        let body = format!("{{\"total\":{},\"items\":[{}]}}", all.len(), page.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let gateway = Gateway::start(&format!(
        r#"
[upstreams.legacy]
peers = ["{}"]

[routes.users]
path = "/users"
upstream = "legacy"
dialect = "rows"
{route}

[dialects.rows]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
size = {{ max = 50 }}
response = {{ items = "/items", total = "/total" }}
"#,
        upstream.address
    ));
    (upstream, gateway)
}

fn items(items: impl IntoIterator<Item = String>) -> Items {
    Arc::new(Mutex::new(items.into_iter().collect()))
}

fn named(id: u64, name: &str) -> String {
    format!("{{\"id\":{id},\"name\":{name}}}")
}

/// Returns items of six words in several spellings, sorted by the word without regard to case, then by id.
fn by_word() -> Vec<String> {
    let words = ["adams", "baker", "clark", "davis", "evans", "smith"];
    let spelt = |word: &str, row: u64| match row % 3 {
        0 => word.to_uppercase(),
        1 => word.to_owned(),
        _ => word[..1].to_uppercase() + &word[1..],
    };
    let rows = words.iter().enumerate().flat_map(|(class, word)| {
        (0..20_u64).map(move |row| named(class as u64 * 100 + row, &format!("\"{}\"", spelt(word, row))))
    });
    rows.collect()
}

fn ids(page: &Response) -> Vec<u64> {
    let body = page.json();
    body["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{page:?}"))
        .iter()
        .map(|item| item["id"].as_u64().expect("an id"))
        .collect()
}

/// Returns the levels of all pages but the last one: no fact of its answer confirms the end alone, so it is `checked`.
fn inner(levels: &[String]) -> &[String] {
    levels.split_last().map_or(&[], |(_, inner)| inner)
}

/// Walks from a target by the links of one relation. Returns the ids and the level of each page.
fn walk(gateway: &Gateway, first: &str, relation: &str) -> (Vec<Vec<u64>>, Vec<String>) {
    let (mut pages, mut levels, mut target) = (Vec::new(), Vec::new(), Some(first.to_owned()));
    while let Some(asked) = target {
        let page = gateway.get(&asked);
        assert_eq!(page.outcome(), "200", "{asked}: {page:?}");
        pages.push(ids(&page));
        levels.push(page.header("cursorgate-level").unwrap_or_default().to_owned());
        target = page.link(relation);
        assert!(pages.len() < 200, "the walk does not end");
    }
    (pages, levels)
}

/// A walk of a list that is sorted without regard to case, which is the default in MySQL and SQL Server, delivers each
/// item once in both directions. The level depends on the declared ties and collation.
#[test]
fn a_list_that_is_sorted_without_regard_to_case_walks() {
    let all = by_word();
    let expected: Vec<u64> = (0..6).flat_map(|class| (0..20).map(move |row| class * 100 + row)).collect();
    let order = "order = [\"name\", \"id\"]";
    for (route, level) in [
        (order.to_owned(), "anchored"),
        (format!("{order}\nties = \"ordered\""), "anchored"),
        (format!("{order}\nties = \"ordered\"\nfields.name = {{ collation = \"en\" }}"), "exact"),
        (format!("{order}\nties = \"ordered\"\nfields.name = {{ type = \"opaque\" }}"), "exact"),
        (format!("{order}\nfields.name = {{ collation = \"en\" }}"), "anchored"),
    ] {
        let (_upstream, gateway) = start(&items(all.clone()), &route);
        for limit in [7, 20] {
            let (pages, levels) = walk(&gateway, &format!("/users?limit={limit}"), "next");
            assert_eq!(pages.concat(), expected, "{route}");
            assert!(inner(&levels).iter().all(|said| said == level), "{route}: {levels:?}");
            let last = gateway.get(&format!("/users?limit={limit}")).link("last").expect("a last page");
            let (pages, _) = walk(&gateway, &last, "prev");
            let back: Vec<u64> = pages.into_iter().rev().flatten().collect();
            assert_eq!(back, expected, "{route}");
        }
    }
}

/// A page is refused if an answer contradicts the declaration that strings are compared by bytes. The refusal names the
/// remedy.
#[test]
fn a_declared_text_that_a_collation_sorts_is_refused() {
    let route = "order = [\"name\", \"id\"]\nfields.name = { type = \"string\" }";
    let (_upstream, gateway) = start(&items(by_word()), route);
    assert_eq!(gateway.get("/users?limit=20").outcome(), "502 upstream_unsorted");
    let line = eventually("a line", || gateway.access_log().pop());
    assert_eq!(line["refusal"], "unsorted_order", "{line}");
    assert!(line["detail"].as_str().is_some_and(|said| said.contains("fields.name.collation")), "{line}");
}

/// If a list without a declared type contradicts the order of bytes, the page takes no second request, and the
/// contradiction is reported.
#[test]
fn a_list_that_contradicts_its_order_is_read_by_marks_and_reported() {
    let (upstream, gateway) = start(&items(by_word()), "order = [\"name\", \"id\"]");
    let before = upstream.count();
    let page = gateway.get("/users?limit=20");
    assert_eq!((page.outcome().as_str(), upstream.count() - before), ("200", 1), "{page:?}");
    let line = eventually("a line", || gateway.access_log().pop());
    assert_eq!(
        (line["lowered"].as_str(), line["page_level"].as_str()),
        (Some("unsorted_text"), Some("anchored")),
        "{line}"
    );
    assert!(line["detail"].as_str().is_some_and(|said| said.contains("fields.name.collation")), "{line}");
    let answer = gateway.metrics();
    let metrics = answer.text();
    let counted = "cursorgate_pages_lowered_total{route=\"users\",cause=\"unsorted_text\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

/// A list by dates without declared types is walked. Django, .NET and Java leave out fractions that are zero, and some
/// servers write dates in each row's own time zone.
#[test]
fn dates_without_zero_fractions_are_walked_without_declared_types() {
    let date = |row: u64| {
        let (seconds, tenth) = (row / 10, row % 10);
        let fraction = if tenth == 0 { String::new() } else { format!(".{tenth}00000") };
        let (hour, zone) = match row % 3 {
            0 => ("10", "Z"),
            1 => ("12", "+02:00"),
            _ => ("05", "-05:00"),
        };
        format!("{{\"id\":{row},\"created_at\":\"2026-01-15T{hour}:00:{seconds:02}{fraction}{zone}\"}}")
    };
    let (_upstream, gateway) = start(&items((0..90).map(date)), "order = [\"created_at\", \"id\"]");
    let (pages, levels) = walk(&gateway, "/users?limit=7", "next");
    assert_eq!(pages.concat(), (0..90).collect::<Vec<_>>());
    assert!(inner(&levels).iter().all(|level| level == "exact"), "{levels:?}");
}

/// A client that requests only a few fields gets pages at the level that is possible without the keys.
#[test]
fn fields_that_leave_out_the_keys_lower_the_level() {
    let all: Vec<String> = (0..60).map(|row| format!("{{\"id\":{row},\"score\":{}}}", row * 3)).collect();
    let list = items(all);
    let (upstream, gateway) = start(&list, "order = [\"score\", \"id\"]");
    let before = upstream.count();
    let (pages, levels) = walk(&gateway, "/users?limit=7&fields=id", "next");
    assert_eq!(pages.concat(), (0..60).collect::<Vec<_>>());
    assert!(levels.iter().all(|level| level == "anchored"), "{levels:?}");
    assert!(upstream.count() - before <= pages.len() + 1, "one request a page, and one to see the end");
    // If earlier rows are removed, no row is repeated or skipped.
    let first = gateway.get("/users?limit=7&fields=id");
    list.lock().expect("items").drain(0..5);
    let next = gateway.get(&first.link("next").expect("a next page"));
    assert_eq!((ids(&next), next.header("cursorgate-level")), ((7..14).collect(), Some("anchored")));
    // Pages with whole items keep their level.
    assert_eq!(gateway.get("/users?limit=7").header("cursorgate-level"), Some("exact"));
}

/// Each cause of disorder has its own sentence, label and remedy in the log, while clients always get the same code.
#[test]
fn each_cause_of_disorder_has_its_own_label_and_remedy() {
    let by_score = "order = [\"score\", \"id\"]";
    let by_text = "order = [\"id\"]";
    for (route, first, second, cause, help) in [
        (by_score, "{\"score\":1}", "{\"score\":2}", "unsorted_no_id", "set its place by `id`"),
        (by_score, "[1,1]", "[2,2]", "unsorted_no_object", "is an array"),
        (by_score, "{\"id\":1}", "{\"id\":2}", "unsorted_no_key", "fields.score.at"),
        (
            "order = [\"rank\", \"id\"]",
            "{\"id\":1,\"rank\":null}",
            "{\"id\":2,\"rank\":2}",
            "unsorted_null",
            "fields.rank.nulls",
        ),
        (
            "order = [\"rank\", \"id\"]",
            "{\"id\":1,\"rank\":1}",
            "{\"id\":2,\"rank\":\"x\"}",
            "unsorted_kind",
            "fields.NAME.type",
        ),
        (by_text, "{\"id\":\"9\"}", "{\"id\":\"10\"}", "unsorted_digits", "number-in-string"),
        (
            by_score,
            "{\"id\":1,\"score\":2}",
            "{\"id\":2,\"score\":1}",
            "unsorted_order",
            "comes before the one it follows",
        ),
    ] {
        let (_upstream, gateway) = start(&items([first.to_owned(), second.to_owned()]), route);
        let page = gateway.get("/users?limit=20");
        assert_eq!(page.outcome(), "502 upstream_unsorted", "{cause}: {page:?}");
        let line = eventually("a line", || gateway.access_log().pop());
        assert_eq!(line["refusal"], cause, "{line}");
        assert!(line["detail"].as_str().is_some_and(|said| said.contains(help)), "{cause}: {line}");
        assert!(gateway.metrics().text().contains(&format!("cause=\"{cause}\"}} 1")), "{cause}");
    }
}
