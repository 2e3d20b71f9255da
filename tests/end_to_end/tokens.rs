//! Tests of upstreams that return continuations: tokens in the body, or next links in a header.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    harness::{
        gateway::Gateway,
        http::Response,
        rows::{BY_LINK, BY_OFFSET, BY_TOKEN, ONWARD_BY_TEN, Reading, Row, Rows, configuration, ids, walk},
        upstream::Upstream,
    },
    third_party::{Kind, ThirdParty},
};

const TOKENS: &str = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nupstream_path = \"{path}/tokens\"";
const LINKS: &str = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nupstream_path = \"{path}/linked\"";

fn start(rows: &Rows, reading: Reading, route: &str) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, reading, route));
    (upstream, gateway)
}

#[test]
fn tokens_and_links_lead_to_the_end() {
    for (reading, route) in [(BY_TOKEN, TOKENS), (BY_LINK, LINKS)] {
        let rows = Rows::count(53);
        let (_upstream, gateway) = start(&rows, reading, route);
        for limit in [1, 7, 10, 53, 100] {
            let pages = walk(&gateway, &format!("/users?limit={limit}"), "next", &[], |_, _| {});
            let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
            assert_eq!(delivered, (1..=53).rev().collect::<Vec<_>>(), "{route}, limit {limit}");
            assert_eq!(pages.len(), 53_usize.div_ceil(limit), "{route}, limit {limit}");
        }
    }
}

/// No row is skipped or repeated if rows are deleted between two pages, although that changes the contents of upstream
/// pages.
#[test]
fn the_place_is_kept_while_rows_change() {
    let rows = Rows::count(60);
    let (_upstream, gateway) = start(&rows, BY_TOKEN, TOKENS);
    let pages = walk(&gateway, "/users?limit=7", "next", &[], |_, page| {
        let served = ids(page);
        rows.change(|rows| rows.retain(|row| row.id != served[1]));
    });
    let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
    assert_eq!(delivered, (1..=60).rev().collect::<Vec<_>>());
    // The first page begins with the list. Each later page begins at the place of a token.
    let levels: Vec<_> = pages.iter().map(|page| page.header("cursorgate-level").expect("a level")).collect();
    assert_eq!(levels[0], "checked");
    assert!(levels[1..].iter().all(|level| *level == "anchored"), "{levels:?}");
}

/// A page that begins at the place of a token has at most the level `anchored`, and `check` promises no more. A token
/// that contains an offset skips rows that a deletion has moved to before the offset, and no answer reveals that. If a
/// page begins in the middle of an upstream page, the answer contains the item from which the page continues, and no
/// row is lost.
#[test]
fn a_page_after_rows_that_a_token_skips_is_anchored_at_most() {
    let rows = Rows::count(60);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        let from = exchange.request.parameter("on").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        let rows = served.all();
        let page: Vec<String> = rows.iter().rev().skip(from).take(10).map(Row::json).collect();
        let next = if from + 10 < rows.len() { format!("\"{}\"", from + 10) } else { "null".to_owned() };
        let body = format!(r#"{{"items":[{}],"next":{next}}}"#, page.join(","));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let route = "order = [\"-score\", \"id\"]\npage_size = { default = 5, max = 20 }";
    let gateway = Gateway::start(&configuration(upstream.address, ONWARD_BY_TEN, route));
    let (mut last, mut checked, mut skips) = (61, 0, 0);
    walk(&gateway, "/users?limit=5", "next", &[], |index, page| {
        let (served, level) = (ids(page), page.header("cursorgate-level").expect("a level"));
        let due = rows.all().iter().map(|row| row.id).filter(|id| *id < last).max();
        if served.first() == due.as_ref() {
            checked += usize::from(level == "checked");
        } else {
            skips += 1;
            assert_eq!(level, "anchored", "{due:?} is led past: {page:?}");
        }
        last = *served.last().expect("items");
        if index % 2 == 1 {
            // The page ended with the upstream page, so the next page begins at the place of a token.
            rows.change(|rows| rows.retain(|row| row.id != served[0]));
        }
    });
    assert!(checked >= 5 && skips >= 3, "{checked} pages are checked, {skips} skip something");
}

/// Pages have previous cursors only if the upstream's tokens also lead back.
#[test]
fn pages_lead_back_where_the_tokens_of_the_upstream_do() {
    let rows = Rows::count(40);
    let (_upstream, gateway) = start(&rows, BY_TOKEN, TOKENS);
    let forward = walk(&gateway, "/users?limit=8", "next", &[], |_, _| {});
    let back = forward[4].link("prev").expect("it leads back");
    let mut backward: Vec<_> = walk(&gateway, &back, "prev", &[], |_, _| {}).iter().map(ids).collect();
    backward.reverse();
    assert_eq!(backward, forward[..4].iter().map(ids).collect::<Vec<_>>());

    let (_upstream, gateway) = start(&rows, BY_LINK, LINKS);
    let forward = walk(&gateway, "/users?limit=8", "next", &[], |_, _| {});
    for page in &forward {
        assert_eq!(page.link("prev"), None, "{page:?}");
        assert_eq!(page.json()["pagination"]["prevCursor"], serde_json::Value::Null);
    }
}

/// A page that begins after skipped items has at most the level `anchored`. Django REST framework's cursors skip items
/// on the way back if several have the same time, even if the list does not change.
#[test]
fn a_page_after_rows_that_a_cursor_of_drf_skips_is_anchored_at_most() {
    let upstream = ThirdParty::start(Kind::Django);
    let gateway = Gateway::start(&format!(
        r#"
[upstreams.legacy]
peers = ["{}"]

[routes.users]
path = "/users"
upstream = "legacy"
upstream_path = "/api/users/by-cursor/"
dialect = "by-cursor"
order = ["-created_at", "id"]
fields = {{ created_at = {{ type = "datetime", nulls = "none" }} }}
page_size = {{ default = 20, max = 100 }}

[dialects.by-cursor]
extends = "drf-cursor"
size = {{ default = 20 }}
"#,
        upstream.address
    ));
    for limit in [20, 100, 13] {
        let forward = walk(&gateway, &format!("/users?limit={limit}"), "next", &[], |_, _| {});
        let timed = |page: &Response| -> Vec<(u64, String)> {
            let times = page.json()["data"].as_array().expect("items").clone();
            ids(page).into_iter().zip(times.iter().map(|item| item["created_at"].to_string())).collect()
        };
        let all: Vec<(u64, String)> = forward.iter().flat_map(timed).collect();
        let distinct: HashSet<u64> = all.iter().map(|(id, _)| *id).collect();
        assert_eq!((all.len(), distinct.len()), (1_003, 1_003), "limit {limit}: nothing is lost on the way on");

        let mut came: HashSet<u64> = forward.last().map(ids).expect("a last page").into_iter().collect();
        let mut skipped = HashSet::new();
        let back = forward.last().and_then(|page| page.link("prev")).expect("it leads back");
        walk(&gateway, &back, "prev", &[], |number, page| {
            let (items, level) = (timed(page), page.header("cursorgate-level").expect("a level"));
            for (id, _) in &items {
                assert!(came.insert(*id), "limit {limit}, page {number} back: {id} comes again");
            }
            // Items that are older than the newest item of this page were either served, or skipped before this page or
            // an earlier page.
            let Some((_, newest)) = items.first() else { return };
            let older = all.iter().rposition(|(_, time)| time == newest).expect("it came on the way on") + 1;
            let missing = all[older..].iter().map(|(id, _)| *id).filter(|id| !came.contains(id));
            let now: Vec<u64> = missing.filter(|id| skipped.insert(*id)).collect();
            assert!(now.is_empty() || level == "anchored", "limit {limit}, page {number} back, {level}: {now:?}");
        });
        if limit == 20 {
            assert!(!skipped.is_empty(), "the upstream skips nothing any more: these tests show nothing");
        }
    }
}

/// The upstream's tokens are never readable in cursors, and keys are not readable on routes that seal.
#[test]
fn cursors_are_sealed() {
    let rows = Rows::count(40);
    let contains = |cursor: &str, needle: &[u8]| {
        let bytes = URL_SAFE_NO_PAD.decode(cursor.trim_start_matches('~')).expect("base64url");
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    let cursor = |page: Response| page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned();
    let (_upstream, gateway) = start(&rows, BY_TOKEN, TOKENS);
    let of_token = cursor(gateway.get("/users?limit=8"));
    assert!(!contains(&of_token, b"t-"), "{of_token}");

    // The note is a string that is easily found in a cursor.
    let by_note = "order = [\"note\", \"id\"]";
    let (_upstream, gateway) = start(&rows, BY_OFFSET, by_note);
    rows.change(|rows| rows.sort_by(|one, other| one.note.cmp(&other.note)));
    let signed = cursor(gateway.get("/users?limit=8"));
    assert!(contains(&signed, b"row "), "{signed}");
    let (_upstream, gateway) = start(&rows, BY_OFFSET, &format!("{by_note}\ncursor = {{ sealed = true }}"));
    let page = gateway.get("/users?limit=8");
    let sealed = cursor(page.clone());
    assert!(!contains(&sealed, b"row "), "{sealed}");
    let next = gateway.get(&page.link("next").expect("a next page"));
    assert_eq!((next.outcome().as_str(), ids(&next).len()), ("200", 8));
    assert_eq!(gateway.get(&format!("/users?limit=8&cursor={signed}")).outcome(), "400 cursor_invalid");
}

/// If a token is so long that its cursor would be refused because of its length, the page is refused instead.
#[test]
fn tokens_too_long_for_a_cursor_are_refused() {
    let upstream = Upstream::start(|exchange| {
        let body = format!(r#"{{"items":[{{"id":1,"score":1}}],"next":"{}","previous":null}}"#, "x".repeat(4_000));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let gateway = Gateway::start(&configuration(upstream.address, BY_TOKEN, TOKENS));
    let page = gateway.get("/users?limit=1");
    assert_eq!(page.outcome(), "502 upstream_too_large", "{page:?}");
    let route = format!("{TOKENS}\ncursor = {{ length = 8192 }}");
    let gateway = Gateway::start(&configuration(upstream.address, BY_TOKEN, &route));
    assert_eq!(gateway.get("/users?limit=1").outcome(), "200");
}
