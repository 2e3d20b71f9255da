//! Tests of upstreams from public reports of lost items: each is learnt, served, and compared by the tools that verify.
//! They may refuse an upstream, and may find that items are lost. But none says that nothing was lost where something
//! was.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Asked, Family, Reply, Rows, id, ok, serve, slice};
use crate::harness::{
    Directory,
    gateway::{Gateway, KEY, command},
    upstream::Upstream,
};

const COUNT: u64 = 257;

/// Returns the rows for a request by `offset` and `limit`, with the number of rows to skip.
fn by_offset(asked: &Asked<'_>, rows: &[Value]) -> (usize, Vec<Value>) {
    let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).clamp(1, 100));
    (from, slice(rows, from, size))
}

/// Returns the rows for a request by `page` and `per_page`, with the number of rows to skip and the size.
fn by_page(asked: &Asked<'_>, rows: &[Value]) -> (usize, usize, Vec<Value>) {
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
    let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
    (from, size, slice(rows, from, size))
}

/// Offsets are lowered to a multiple of the limit.
fn floor(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
    let from = asked.number("offset").unwrap_or(0) / size * size;
    ok(json!({ "hits": slice(rows, from, size), "offset": from, "total_hits": rows.len() }))
}

/// Nothing is shown behind the first 100 rows, although the total counts all.
fn silent_window(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("hitsPerPage").unwrap_or(20).clamp(1, 100);
    let shown = slice(&rows[..100], asked.number("page").unwrap_or(0) * size, size);
    ok(json!({ "hits": shown, "nbHits": rows.len(), "hitsPerPage": size }))
}

/// Offsets above 100 are lowered to 100.
fn clamp(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
    ok(json!({ "data": slice(rows, asked.number("skip").unwrap_or(0).min(100), size) }))
}

fn clamp_with_total(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (status, headers, mut body) = clamp(asked, rows);
    body["total"] = json!(rows.len());
    (status, headers, body)
}

fn odata(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, size) = (asked.number("$skip").unwrap_or(0), asked.number("$top").unwrap_or(50).clamp(1, 100));
    let mut body = json!({ "@odata.count": rows.len(), "value": slice(rows, from, size) });
    if asked.text("$top").is_none() && from + size < rows.len() {
        body["@odata.nextLink"] = json!(format!("/api/items?$skip={}", from + size));
    }
    ok(body)
}

/// The total counts the rows from this page on.
fn remaining(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, items) = by_offset(asked, rows);
    ok(json!({ "data": items, "total_count": rows.len().saturating_sub(from) }))
}

/// The total counts the rows up to this page.
fn so_far(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, items) = by_offset(asked, rows);
    let total = (from + items.len()).min(rows.len());
    ok(json!({ "data": items, "total": total }))
}

/// The total and the flag are too old.
fn stale(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, items) = by_offset(asked, rows);
    let more = from + items.len() < 240;
    ok(json!({ "data": items, "total": 240, "has_more": more }))
}

/// The newest items come first, and `max_id` includes the item with that id.
fn inclusive(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let most = asked.number("max_id").unwrap_or(usize::MAX) as u64;
    let rest: Vec<Value> = rows.iter().rev().filter(|row| id(row) <= most).cloned().collect();
    ok(json!(slice(&rest, 0, asked.number("count").unwrap_or(20).clamp(1, 100))))
}

/// Returns whether a row is visible where rows are dropped after the limit.
fn is_visible(row: &Value) -> bool {
    !(550..850).contains(&id(row))
}

/// Rows are dropped after the limit, beside one of seven statements about the list.
fn gap<const FACT: usize>(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, size, items) = by_page(asked, rows);
    let items: Vec<Value> = items.into_iter().filter(is_visible).collect();
    let (more, page) = (from + size < rows.len(), from / size + 1);
    let mut body = json!({ "data": items });
    match FACT {
        0 => body["total"] = json!(rows.len()),
        1 => body["total"] = json!(rows.iter().filter(|row| is_visible(row)).count()),
        2 => body["has_more"] = json!(more),
        3 => body["last"] = json!(!more),
        4 => {
            body["next"] =
                if more { json!(format!("/api/items?page={}&per_page={size}", page + 1)) } else { Value::Null }
        }
        5 => body["total_pages"] = json!(rows.len().div_ceil(size)),
        _ => {}
    }
    ok(body)
}

/// Tokens, and a gap of rows that are dropped after the limit.
fn gap_by_token(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("limit").unwrap_or(25).clamp(1, 100);
    let from = asked.text("after").and_then(|token| token.strip_prefix('t')?.parse().ok()).unwrap_or(0);
    let items: Vec<Value> = slice(rows, from, size).into_iter().filter(is_visible).collect();
    let after = (from + size < rows.len()).then(|| format!("t{}", from + size));
    let next = after.as_ref().map(|token| format!("http://api.test/api/items?limit={size}&after={token}"));
    ok(json!({ "data": items, "paging": { "cursors": { "after": after }, "next": next } }))
}

/// A link to the next page is always there, and its parameter tells whether the page has items.
fn constant_link(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
    let from = asked.text("cursor").and_then(|token| token.strip_prefix("0:")?.parse().ok()).unwrap_or(0);
    let link = format!(
        "<http://api.test/api/items?cursor=0:{}>; rel=\"next\"; results=\"{}\"",
        from + size,
        from + size < rows.len()
    );
    ("200 OK", vec![("Link", link)], json!(slice(rows, from, size)))
}

/// A part has the status 206, and its header names the next part.
fn next_range(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let range = asked.exchange.request.header("range").and_then(|range| range.trim_start_matches("id ]").parse().ok());
    let from = range.unwrap_or(0);
    let rest: Vec<Value> = rows.iter().filter(|row| id(row) > from).cloned().collect();
    let items = slice(&rest, 0, 100);
    match items.last().filter(|_| rest.len() > 100) {
        Some(last) => ("206 Partial Content", vec![("Next-Range", format!("id ]{}", id(last)))], json!(items)),
        None => ok(json!(items)),
    }
}

/// Counts from 1, and answers the last rows again after the end.
fn scim(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("count").unwrap_or(20).clamp(1, 100);
    let from = (asked.number("startIndex").unwrap_or(1).max(1) - 1).min(rows.len().saturating_sub(size));
    ok(json!({ "totalResults": rows.len(), "startIndex": from + 1, "Resources": slice(rows, from, size) }))
}

/// A single item isn't in an array.
fn single(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (_, items) = by_offset(asked, rows);
    ok(json!({ "result": { "item": if items.len() == 1 { items[0].clone() } else { json!(items) } } }))
}

/// A join has two rows for each third item. Within an answer, an item comes once.
fn joined_once(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let joined = rows.iter().flat_map(|row| vec![row.clone(); 1 + usize::from(id(row).is_multiple_of(30))]);
    let (_, mut items) = by_offset(asked, &joined.collect::<Vec<_>>());
    items.dedup();
    ok(json!({ "entry": items, "total": rows.len() }))
}

/// Facts and items are two elements of an array.
fn facts_beside(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, size, items) = by_page(asked, rows);
    let facts = json!({ "page": from / size + 1, "per_page": size.to_string(), "total": rows.len() });
    ok(json!([facts, if items.is_empty() { Value::Null } else { json!(items) }]))
}

/// The token is not read.
fn deaf(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
    ok(json!({ "data": slice(rows, 0, size), "next_cursor": "abc", "total": rows.len() }))
}

/// The tokens lead from the third page back to the second.
fn round(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let page = asked.text("cursor").and_then(|token| token.strip_prefix('p')?.parse().ok()).unwrap_or(0_usize);
    let next = if page >= 2 { 1 } else { page + 1 };
    ok(json!({ "data": slice(rows, page * 50, 50), "next_cursor": format!("p{next}") }))
}

/// A relative link, and an empty string instead of one.
fn relative_link(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let page = asked.number("page").unwrap_or(1).max(1);
    let next = if page * 50 < rows.len() { format!("?page={}", page + 1) } else { String::new() };
    ok(json!({ "items": slice(rows, (page - 1) * 50, 50), "_links": { "next": next } }))
}

/// `offset` is a token.
fn offset_is_a_token(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("size").unwrap_or(50).clamp(1, 100);
    let from = asked.text("offset").and_then(|token| token.strip_prefix("wz")?.parse().ok()).unwrap_or(0);
    let mut body = json!({ "data": slice(rows, from, size) });
    if from + size < rows.len() {
        body["offset"] = json!(format!("wz{}", from + size));
    }
    ok(body)
}

/// Three pinned items are on top of every page.
fn pinned(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (pinned, others) = rows.split_at(3);
    let (.., items) = by_page(asked, others);
    let items: Vec<Value> = if items.is_empty() { items } else { pinned.iter().cloned().chain(items).collect() };
    ok(json!(items))
}

/// A size above the largest one gives the default.
fn over_the_largest(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let asked_size = asked.number("_size").unwrap_or(20);
    let size = if asked_size > 100 { 20 } else { asked_size.max(1) };
    let page = asked.number("_page").unwrap_or(1).max(1);
    ok(json!({ "list": slice(rows, (page - 1) * size, size) }))
}

/// A page after the end is the last one.
fn nested_names(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("searchCriteria[pageSize]").unwrap_or(20).clamp(1, 100);
    let page = asked.number("searchCriteria[currentPage]").unwrap_or(1).clamp(1, rows.len().div_ceil(size).max(1));
    let criteria = json!({ "current_page": page, "page_size": size });
    ok(json!({ "items": slice(rows, (page - 1) * size, size), "search_criteria": criteria, "total_count": rows.len() }))
}

/// The page is in a header of the request, and the number of records in one of the response.
fn page_in_a_header(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let page = asked.exchange.request.header("x-page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).max(1);
    let headers = vec![("X-Total-Records", rows.len().to_string()), ("X-Page", page.to_string())];
    ("200 OK", headers, json!(slice(rows, (page - 1) * 20, 20)))
}

/// An unusual name, and a flag that says that there is more.
fn unusual_names(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let from = asked.number("sysparm_from").unwrap_or(0);
    let size = asked.number("sysparm_most").unwrap_or(100).clamp(1, 100);
    ok(json!({ "result": slice(rows, from, size), "moreItemsInServer": from + size < rows.len() }))
}

/// A bundle, whose links name the parameters.
fn bundle(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("_count").unwrap_or(20).clamp(1, 100);
    let from = asked.number("_getpagesoffset").unwrap_or(0);
    let link = |relation: &str, from: usize| json!({ "relation": relation, "url": format!("http://api.test/api/items?_count={size}&_getpagesoffset={from}") });
    let mut links = vec![link("self", from)];
    if from + size < rows.len() {
        links.push(link("next", from + size));
    }
    let entries: Vec<Value> = slice(rows, from, size).into_iter().map(|row| json!({ "resource": row })).collect();
    ok(json!({ "resourceType": "Bundle", "total": rows.len(), "link": links, "entry": entries }))
}

/// Tokens are longer than a cursor may be.
fn long_tokens(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
    let from = asked.text("cursor").and_then(|token| token.trim_end_matches('x').parse().ok()).unwrap_or(0);
    let next = (from + size < rows.len()).then(|| format!("{}{}", from + size, "x".repeat(3_000)));
    ok(json!({ "data": slice(rows, from, size), "next_cursor": next }))
}

/// All pages have the same validator.
fn one_validator(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (_, _, items) = by_page(asked, rows);
    ("200 OK", vec![("ETag", "\"one\"".to_owned())], json!({ "data": items, "total": rows.len() }))
}

fn is_low(row: &Value) -> bool {
    row["kind"] == "low"
}

/// The link to the next page lacks the filter of the request.
fn unfiltered_link(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let shown: Vec<Value> =
        rows.iter().filter(|row| asked.text("kind").is_none_or(|kind| row["kind"] == kind)).cloned().collect();
    let (from, size, items) = by_page(asked, &shown);
    let next = (from + size < shown.len()).then(|| format!("/api/items?page={}&per_page={size}", from / size + 2));
    ok(json!({ "data": items, "next": next }))
}

/// The number of the page is in the path.
fn page_in_the_path(_: &Asked<'_>, rows: &[Value]) -> Reply {
    ok(json!({ "data": slice(rows, 0, 20), "next": "/api/items/page/2" }))
}

/// Runs a command with the keys of a learnt configuration. Returns the exit code and all output.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = command();
    command.args(arguments).env("CURSORGATE_KEY", KEY).env("CURSORGATE_KEY_1", KEY);
    let output = command.output().expect("the binary starts");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The ids of the items that a gateway serves until an end or a refusal, and whether the end is neither marked nor
/// refused.
fn served(gateway: &Gateway, limit: usize) -> (BTreeSet<u64>, bool) {
    let (mut seen, mut cursor) = (BTreeSet::new(), "start".to_owned());
    for _ in 0..500 {
        let page = gateway.get(&format!("/api/items?limit={limit}&cursor={cursor}"));
        if page.status != 200 {
            return (seen, false);
        }
        let body = page.json();
        seen.extend(body["data"].as_array().expect("items").iter().map(id));
        match body["pagination"]["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return (seen, page.header("cursorgate-end").is_none()),
        }
    }
    (seen, false)
}

/// Compares what verifiers say with the items. Returns the faults.
fn judge(name: &str, gateway: &Gateway, upstream: &Upstream, truth: &BTreeSet<u64>) -> Vec<String> {
    let mut faults = Vec::new();
    let (file, direct) = (gateway.file("cursorgate.toml"), format!("http://{}/api/items", upstream.address));
    let file = file.to_str().expect("UTF-8");
    let (_, live) = run(&["check", file, "--live", "--delay", "0"]);
    for limit in [20, 100] {
        let (seen, is_end) = served(gateway, limit);
        let is_lost = seen != *truth;
        let lost = truth.difference(&seen).count();
        if is_end && is_lost && live.contains("looks as configured") {
            faults.push(format!("{name}, limit {limit}: {lost} lost in silence, and the live check agrees"));
        }
        let walk = gateway.url(&format!("/api/items?limit={limit}&cursor=start"));
        let (code, report) = run(&["walk", &walk, "--verify", &direct, "--config", file]);
        if is_lost && (report.contains("No item was lost") || code == Some(0)) {
            faults.push(format!("{name}, limit {limit}: {lost} lost, end {is_end}, exit {code:?}: {report}"));
        }
    }
    faults
}

/// The name of an upstream, its answers, the query of the URL that is learnt, and whether it shows a row.
type Reported<'n> = (&'n str, Family, &'n str, fn(&Value) -> bool);

/// Learns each upstream, and judges the routes that are written.
fn learnt(upstreams: &[Reported<'_>]) {
    let mut faults = Vec::new();
    for (name, family, query, is_shown) in upstreams {
        let rows = Rows::new(COUNT);
        let truth: BTreeSet<u64> = rows.locked().iter().filter(|row| is_shown(row)).map(id).collect();
        let (upstream, directory) = (serve(&rows, *family), Directory::new());
        let (url, file) = (format!("http://{}/api/items{query}", upstream.address), directory.file("learnt.toml"));
        let output = command().args(["learn", &url, "--delay", "0", "--out"]).arg(&file).output().expect("it starts");
        // For many of these upstreams, no route is written, or one that the service contradicts. The reason is then told.
        assert!(output.status.success() || !output.stderr.is_empty(), "{name}: {output:?}");
        if !file.exists() {
            assert!(!output.status.success(), "{name}: {output:?}");
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("it was written");
        let gateway = Gateway::start_as_written(&text);
        let found = judge(name, &gateway, &upstream, &truth);
        if !found.is_empty() {
            faults.push(format!("{}\n{text}", found.join("\n")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn all(_: &Value) -> bool {
    true
}

#[test]
fn no_tool_calls_a_lossy_list_by_number_lossless() {
    learnt(&[
        ("floor", floor, "", all),
        ("silent window", silent_window, "", all),
        ("clamp", clamp, "", all),
        ("clamp with a total", clamp_with_total, "", all),
        ("odata", odata, "", all),
        ("remaining", remaining, "", all),
        ("so far", so_far, "", all),
        ("stale", stale, "", all),
        ("scim", scim, "", all),
        ("single", single, "", all),
        ("joined", joined_once, "", all),
        ("facts beside items", facts_beside, "", all),
        ("pinned", pinned, "", all),
        ("over the largest size", over_the_largest, "", all),
        ("nested names", nested_names, "", all),
        ("a page in a header", page_in_a_header, "", all),
        ("unusual names", unusual_names, "", all),
        ("a bundle", bundle, "", all),
        ("one validator", one_validator, "", all),
        ("a link without the filter", unfiltered_link, "?kind=low", is_low),
        ("a page in the path", page_in_the_path, "", all),
        ("unusual names in the URL", unusual_names, "?sysparm_most=50&sysparm_from=50", all),
    ]);
}

#[test]
fn no_tool_calls_a_lossy_list_by_token_lossless() {
    learnt(&[
        ("inclusive", inclusive, "", all),
        ("a gap by token", gap_by_token, "", is_visible),
        ("a constant link", constant_link, "", all),
        ("next range", next_range, "", all),
        ("deaf", deaf, "", all),
        ("round", round, "", |row| id(row) <= 1500),
        ("a relative link", relative_link, "", all),
        ("an offset that is a token", offset_is_a_token, "", all),
        ("long tokens", long_tokens, "", all),
    ]);
}

#[test]
fn no_tool_calls_a_list_with_dropped_rows_lossless() {
    learnt(&[
        ("a total of rows", gap::<0>, "", is_visible),
        ("a total of items", gap::<1>, "", is_visible),
        ("a flag of more", gap::<2>, "", is_visible),
        ("a flag of the end", gap::<3>, "", is_visible),
        ("a next link", gap::<4>, "", is_visible),
        ("a page count", gap::<5>, "", is_visible),
        ("no fact", gap::<6>, "", is_visible),
    ]);
}

/// The same upstreams by dialects as a person writes them from an answer, without the words that would help.
#[test]
fn no_tool_calls_a_list_by_a_plain_dialect_lossless() {
    let mut faults = Vec::new();
    let page = "query = \"page={page}&per_page={size}\"";
    for (name, family, request, response, is_shown) in [
        (
            "silent window",
            silent_window as Family,
            "query = \"page={page}&hitsPerPage={size}\", first_page = 0",
            "items = \"/hits\", total = \"/nbHits\"",
            all as fn(&Value) -> bool,
        ),
        ("floor", floor, "query = \"offset={offset}&limit={size}\"", "items = \"/hits\", total = \"/total_hits\"", all),
        ("clamp", clamp, "query = \"skip={offset}&limit={size}\"", "items = \"/data\"", all),
        (
            "remaining",
            remaining,
            "query = \"offset={offset}&limit={size}\"",
            "items = \"/data\", total = \"/total_count\"",
            all,
        ),
        (
            "stale",
            stale,
            "query = \"offset={offset}&limit={size}\"",
            "items = \"/data\", total = \"/total\", has_more = \"/has_more\"",
            all,
        ),
        ("single", single, "query = \"offset={offset}&limit={size}\"", "items = \"/result/item\"", all),
        ("pinned", pinned, page, "items = \"\"", all),
        (
            "a constant link",
            constant_link,
            "query = \"per_page={size}&cursor={token}\"",
            "items = \"\", next_token = \"link:next\", token_param = \"cursor\"",
            all,
        ),
        (
            "next range",
            next_range,
            "query = \"\", headers = { Range = \"{token}\" }",
            "items = \"\", next_token = \"header:Next-Range\"",
            all,
        ),
        ("a total of rows", gap::<0>, page, "items = \"/data\", total = \"/total\"", is_visible),
        ("a total of items", gap::<1>, page, "items = \"/data\", total = \"/total\"", is_visible),
        ("a flag of more", gap::<2>, page, "items = \"/data\", has_more = \"/has_more\"", is_visible),
        ("a flag of the end", gap::<3>, page, "items = \"/data\", is_last = \"/last\"", is_visible),
        ("a page count", gap::<5>, page, "items = \"/data\", last_page = \"/total_pages\"", is_visible),
        ("no fact", gap::<6>, page, "items = \"/data\"", is_visible),
    ] {
        let rows = Rows::new(COUNT);
        let truth: BTreeSet<u64> = rows.locked().iter().filter(|row| is_shown(row)).map(id).collect();
        let upstream = serve(&rows, family);
        let size = if request.contains("{size}") { "max" } else { "default" };
        let gateway = Gateway::start(&format!(
            "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.rows]\npath = \"/api/items\"\nupstream = \"legacy\"\n\
             dialect = \"own\"\norder = [\"id\"]\nfields = {{ id = {{ type = \"number\" }} }}\n\
             page_size = {{ default = 20, max = 100 }}\n[dialects.own]\nsize = {{ {size} = 100 }}\n\
             request = {{ {request} }}\nresponse = {{ {response} }}\n",
            upstream.address
        ));
        faults.extend(judge(name, &gateway, &upstream, &truth));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
