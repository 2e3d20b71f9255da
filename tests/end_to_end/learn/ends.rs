//! Tests of lists of which an answer may be taken for more than it is: no route is written, or one that serves all
//! items.

use serde_json::{Value, json};

use super::{Asked, How, Reply, Rows, check_live, id, learn, ok, serve, slice, walk};
use crate::harness::{
    Directory,
    gateway::{Gateway, command},
};

/// Answers with at most 100 items, by parameters of which only their numbers show that they page.
fn unknown_names(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, size) = (asked.number("zz_from").unwrap_or(0), asked.number("zz_many").unwrap_or(100).min(100));
    ok(json!(slice(rows, from, size)))
}

fn with_a_flag(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, size) = (asked.number("zz_from").unwrap_or(0), asked.number("zz_many").unwrap_or(83).min(83));
    ok(json!({ "items": slice(rows, from, size), "moreItemsInServer": from + size < rows.len() }))
}

#[test]
fn no_route_is_written_for_a_list_that_may_be_a_part() {
    let rows = Rows::new(257);
    for (family, reason) in [
        (unknown_names as super::Family, "it has 100 items, a usual size of a page"),
        (with_a_flag, "/moreItemsInServer is true"),
    ] {
        let (upstream, directory) = (serve(&rows, family), Directory::new());
        let (url, file) = (format!("http://{}/api/items", upstream.address), directory.file("learnt.toml"));
        let output = command().args(["learn", &url, "--delay", "0", "--out"]).arg(&file).output().expect("it starts");
        let (said, fault) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{said}{fault}");
        assert!(said.contains(reason) && fault.contains("no route is written"), "{said}{fault}");
        assert!(!file.exists());
    }
}

#[test]
fn a_list_is_learnt_by_the_numbers_of_its_url_and_served_from_its_beginning() {
    let rows = Rows::new(257);
    for family in [unknown_names as super::Family, with_a_flag] {
        let upstream = serve(&rows, family);
        let url = format!("http://{}/api/items?zz_many=50&zz_from=50", upstream.address);
        let (text, said) = learn(&url, &[]);
        assert!(text.contains("query = \"zz_from={offset}&zz_many={size}\""), "{said}{text}");
        let gateway = Gateway::start_as_written(&text);
        walk(&gateway, &rows, &How::default(), "numbers of the URL");
    }
}

/// Answers with a token, and with a flag that has nothing to do with the pages.
fn an_unrelated_flag(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let after = asked.text("cursor").and_then(|token| token.strip_prefix('c')?.parse::<u64>().ok()).unwrap_or(0);
    let size = asked.number("limit").unwrap_or(20).min(20);
    let rest: Vec<Value> = rows.iter().filter(|row| id(row) > after).cloned().collect();
    let page = slice(&rest, 0, size);
    let next = page.last().filter(|_| rest.len() > size).map(|last| format!("c{}", id(last)));
    ok(json!({ "items": page, "next_cursor": next, "truncated": false }))
}

/// Answers with the number of items of the page at the place of a total, and refuses pages after the end.
fn the_number_of_the_page(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("page[size]").unwrap_or(20).clamp(1, 100);
    let from = (asked.number("page[number]").unwrap_or(1).max(1) - 1) * size;
    if from >= rows.len() {
        return ("400 Bad Request", Vec::new(), json!({ "error": "no such page" }));
    }
    let items = slice(rows, from, size);
    ok(json!({ "meta": { "page": { "total": items.len() } }, "data": items }))
}

#[test]
fn facts_that_answers_contradict_do_not_end_a_learnt_list() {
    let rows = Rows::new(257);
    for (name, family) in
        [("an unrelated flag", an_unrelated_flag as super::Family), ("the number of the page", the_number_of_the_page)]
    {
        let upstream = serve(&rows, family);
        let (text, said) = learn(&format!("http://{}/api/items", upstream.address), &[]);
        assert!(!text.contains("has_more = ") && !text.contains("\ntotal = "), "{name}: {said}{text}");
        let gateway = Gateway::start_as_written(&text);
        walk(&gateway, &rows, &How { at_rest: true, ..How::default() }, name);
    }
}

/// The parts of a list, of which each names the next one in a header, as `Range` takes it.
fn parts(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let range = asked.exchange.request.header("range");
    let from = range.and_then(|range| range.strip_prefix("id ]")?.split_once("..")?.0.parse().ok()).unwrap_or(0);
    let rest: Vec<Value> = rows.iter().filter(|row| id(row) > from).cloned().collect();
    let items = slice(&rest, 0, 50);
    match items.last().filter(|_| rest.len() > 50) {
        Some(last) => {
            ("206 Partial Content", vec![("Next-Range", format!("id ]{}..; max=50", id(last)))], json!(items))
        }
        None => ok(json!(items)),
    }
}

#[test]
fn a_token_for_a_header_of_the_request_is_learnt() {
    let rows = Rows::new(240);
    let upstream = serve(&rows, parts);
    let (text, said) = learn(&format!("http://{}/api/items", upstream.address), &[]);
    assert!(
        text.contains("next_token = \"header:Next-Range\"") && text.contains("Range = \"{token}\""),
        "{said}{text}"
    );
    let gateway = Gateway::start_as_written(&text);
    walk(&gateway, &rows, &How::default(), "a token in a header");
}

/// Refuses pages after the end, and never says how many items there are.
fn refused_after_the_end(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
    let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
    match from >= rows.len() {
        true => ("404 Not Found", Vec::new(), json!({ "error": "no such page" })),
        false => ok(json!({ "items": slice(rows, from, size) })),
    }
}

#[test]
fn check_live_proposes_the_word_by_which_the_last_page_is_served() {
    let rows = Rows::new(257);
    let upstream = serve(&rows, refused_after_the_end);
    let (text, said) = learn(&format!("http://{}/api/items", upstream.address), &[]);
    let word = "past_end = [{ status = 404 }]";
    let line = text.lines().find(|line| line.starts_with("past_end = ")).unwrap_or_else(|| panic!("{said}{text}"));
    let (is_good, report) = check_live(&text.replace(line, ""), &[]);
    assert!(!is_good && report.contains("after the end of the list the upstream answers 404"), "{report}");
    assert!(report.contains(&format!("response.{word}")), "{report}");
    let gateway = Gateway::start_as_written(&text.replace(line, word));
    walk(&gateway, &rows, &How::default(), "refused after the end");
}
