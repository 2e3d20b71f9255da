//! The faults of a dialect, each with its remedy.

use crate::upstream::testing::{AT, at, faults, sort};
use cursorgate_config::{
    settings::{DialectMatch, EndWord, ListSettings, TotalCounts},
    tree::Tree,
};

/// A change that makes a route wrong in one way.
type Change = fn(&mut ListSettings);

/// Checks that each change causes exactly one fault, whose text begins as expected.
fn tell(cases: &[(Change, &str)]) {
    for (change, expected) in cases {
        let told = faults(change);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(expected), "{told:?}\n{expected}");
    }
}

#[test]
fn faults_in_query_templates_are_reported() {
    tell(&[
        (
            |l| query(l, "p={pages}"),
            "unknown variable {pages}; did you mean {page}? variables here: {page} {offset} {size",
        ),
        (
            |l| query(l, "p={cursor}"),
            "unknown variable {cursor}; variables here: {page} {offset} {size} {end} {last} {token} {next_token} {prev_t",
        ),
        (
            |l| query(l, "p={page"),
            "a brace has no partner in \"{page\"; variables are written {name}; other braces are literal in pairs, and are doubled around a name: {{name}}",
        ),
        (|l| query(l, "p={page}}"), "a brace has no partner in \"{page}}\""),
        (|l| query(l, "p=}{page}"), "a brace has no partner in \"}{page}\""),
        (|l| query(l, "?p={page}"), "a query template has no question mark; leave out the leading `?`"),
        (|l| query(l, "p={page}&"), "a parameter without a name in \"p={page}&\""),
        (|l| query(l, "={page}"), "a parameter without a name in \"={page}\""),
        (|l| query(l, "p={page}&p={size}"), "the parameter p is repeated; write each parameter once"),
        (|l| query(l, "p={page}&%70={size}"), "the parameter p is repeated; write each parameter once"),
        (|l| query(l, "{page}={size}"), "the name of a paging parameter can't hold a variable"),
        (
            |l| query(l, "p={page}&o={offset}&s={size}"),
            "one request can't name a place in two ways; use {page}, or {off",
        ),
        (
            |l| query(l, "limit={size}"),
            "the request never names the part of the list that it wants; put {page} or {offset}",
        ),
    ]);
}

#[test]
fn faults_in_equivalent_queries_are_reported() {
    tell(&[
        (|l| also(l, "p={page}&o={offset}"), "one request can't name a place in two ways"),
        (|l| also(l, "p={pag}"), "unknown variable {pag}; did you mean {page}?"),
        (|l| also(l, "{page}=1"), "the name of a paging parameter can't hold a variable"),
        (
            |l| also(l, "page={offset}"),
            "page means one thing in `query` and another in `also`; give each parameter one",
        ),
    ]);
}

#[test]
fn faults_in_headers_are_reported() {
    tell(&[
        (|l| header(l, "X", "a\r\nb"), "\"a\\r\\nb\" can't be in a header; a header's value is one line"),
        (|l| header(l, "X Y", "a"), "\"X Y\" is not a header name"),
        (|l| header(l, "X", "{field}"), "unknown variable {field}; variables here: {page}"),
        (|l| header(l, "Host", "a"), "a dialect can't set Host; the gateway sets this header itself: leave it out"),
        (|l| header(l, "Connection", "a"), "a dialect can't set Connection"),
        (|l| header(l, "Content-Length", "1"), "a dialect can't set Content-Length"),
        (|l| header(l, "X_Forwarded_For", "a"), "a dialect can't set X_Forwarded_For"),
        (|l| header(l, "X", "{offset}"), "one request can't name a place in two ways"),
    ]);
}

#[test]
fn faults_in_sizes_and_ends_are_reported() {
    tell(&[
        (|l| query(l, "p={page}"), "the request never names the size of a page; set size.default"),
        (|l| l.dialect.size.min = Some(at(0_u32)), "size.min is at least 1"),
        (|l| l.dialect.size.max = Some(at(0_u32)), "size.max is at least 1"),
        (|l| l.dialect.size.default = Some(at(0_u32)), "size.default is at least 1"),
        (
            |l| (l.dialect.size.min, l.dialect.size.max) = (Some(at(9_u32)), Some(at(5_u32))),
            "size.min is larger than size.max; min is 9, max is 5",
        ),
        (|l| l.dialect.size.choices = vec![0], "none of size.choices can be asked for"),
        (
            |l| {
                query(l, "p={page}");
                l.dialect.size.default = Some(at(5_u32));
                l.dialect.size.choices = vec![5, 10];
            },
            "the request names no size, so min, max and choices mean nothing",
        ),
        (|l| l.dialect.response.end = Some(at(EndWord::Flag)), "end = \"flag\", and no flag is read; set has_more"),
        (
            |l| {
                l.dialect.response.last_page = Some(at("/pages"));
                l.dialect.response.end = Some(at(EndWord::Flag));
            },
            "end = \"flag\", and no flag is read",
        ),
        (
            |l| l.dialect.response.end = Some(at(EndWord::Token)),
            "end = \"token\", and there is no token; by page, offset, item or range no token leads on",
        ),
    ]);
}

#[test]
fn faults_in_totals_and_offsets_are_reported() {
    tell(&[
        (
            |l| l.dialect.response.total_counts = Some(at(TotalCounts::Items)),
            "total_counts is set, and no total is read; set response.total, the place of the total",
        ),
        (
            |l| {
                l.dialect.response.total = Some(at("/n"));
                l.dialect.response.total_counts = Some(at(TotalCounts::Estimate));
                l.dialect.response.total_exact_when = vec![(at("/exact"), at(Tree::Boolean(true)))];
            },
            "an estimate is never exact, and total_exact_when says when it is; remove total_exact_when",
        ),
        (
            |l| l.dialect.request.aligned = true,
            "request.aligned is set, and the request has no {offset}; remove aligned; pages by {page} are always whole",
        ),
        (
            |l| {
                query(l, "limit={size}&on={token}");
                l.dialect.response.next_token = Some(at("/next"));
                l.dialect.request.max_offset = Some(at(100_u64));
            },
            "request.max_offset is set, and the request names no offset and no page; remove it",
        ),
    ]);
}

#[test]
fn faults_in_items_that_are_included_are_reported() {
    tell(&[
        (
            |l| l.dialect.request.after_inclusive = true,
            "request.after_inclusive is set, and the request has no {after}; remove it",
        ),
        (
            |l| {
                inclusive(l, EndWord::EmptyPage);
                l.dialect.response.item_token = Some(at("/at"));
            },
            "request.after_inclusive needs ids, and item_token names another value; remove item_token",
        ),
        (
            |l| {
                inclusive(l, EndWord::EmptyPage);
                l.dialect.size.max = Some(at(1_u32));
            },
            "request.after_inclusive leaves no room for new items; set a size.max above size.min",
        ),
        (
            |l| {
                inclusive(l, EndWord::ShortPage);
                l.dialect.size.choices = vec![10, 20];
            },
            "end = \"short-page\", and every answer is short with request.after_inclusive; the item asked for is left",
        ),
    ]);
}

/// Makes the route page by an item that answers include.
fn inclusive(list: &mut ListSettings, end: EndWord) {
    query(list, "limit={size}&max_id={after}");
    list.dialect.request.after_inclusive = true;
    list.dialect.response.end = Some(at(end));
    list.order.clear();
}

#[test]
fn faults_in_places_are_reported() {
    tell(&[
        (
            |l| l.dialect.response.next_url = Some(at("link:next;results")),
            "\"link:next;results\" is not a place in an answer; write link:REL, or link:REL;NAME=VALUE for a parameter",
        ),
        (
            |l| l.dialect.response.items = at("data.users"),
            "\"data.users\" is not a place in an answer; for this member w",
        ),
        (|l| l.dialect.response.items = at("/"), "\"/\" is the member with the empty name; write \"\" for the whole"),
        (|l| l.dialect.response.items = at("header:X"), "\"header:X\" is not a place in an answer"),
        (|l| l.dialect.response.items = at("/{colection}"), "unknown variable {colection}; did you mean {collection}?"),
        (
            |l| l.dialect.response.item = Some(at("node")),
            "\"node\" is not a place in an answer; for this member write \"/n",
        ),
        (
            |l| l.dialect.response.id = Some(at("id")),
            "\"id\" is not a place in an answer; for this member write \"/id\"",
        ),
        (|l| l.id = Some(at("id")), "\"id\" is not a place in an answer; for this member write \"/id\""),
        (|l| total(l, "total"), "\"total\" is not a place in an answer; for this member write \"/total\""),
        (|l| total(l, "headers:X"), "\"headers:X\" is not a place in an answer; did you mean header:X?"),
        (|l| total(l, "header:a b"), "\"header:a b\" is not a place in an answer; write header: and a header's name"),
        (|l| total(l, "header:"), "\"header:\" is not a place in an answer; write header: and a header's name"),
        (
            |l| total(l, "content-range:first"),
            "\"content-range:first\" is not a place in an answer; write content-range:st",
        ),
        (|l| total(l, "/a/[b]"), "\"/a/[b]\" is not a place in an answer; write \"[b]\" like \"[rel=next]\""),
        (
            |l| l.dialect.response.next_url = Some(at("link:")),
            "\"link:\" is not a place in an answer; write link: and a",
        ),
        (
            |l| l.dialect.response.next_url = Some(at("links:next")),
            "\"links:next\" is not a place in an answer; did you mean",
        ),
        (|l| l.dialect.response.prev_url = Some(at("prev")), "\"prev\" is not a place in an answer"),
    ]);
}

#[test]
fn faults_in_matches_are_reported() {
    tell(&[
        (|l| l.dialect.response.past_end = vec![matching(None, &[])], "an empty match would match every answer"),
        (|l| l.dialect.response.error = Some(vec![matching(Some(700), &[])]), "no answer has status 700"),
        (
            |l| l.dialect.response.past_end = vec![matching(None, &[("/", Tree::Null)])],
            "\"/\" is the member with the empty name; write \"\" for the whole body",
        ),
        (
            |l| l.dialect.response.error = Some(vec![matching(None, &[("/e", Tree::Array(Vec::new()))])]),
            "only single values can be compared",
        ),
        (
            |l| l.dialect.response.total_exact_when = vec![(at("eq"), at(Tree::Null))],
            "\"eq\" is not a place in an answer",
        ),
    ]);
}

#[test]
fn faults_in_sorts_are_reported() {
    tell(&[
        (|l| l.dialect.sort = Some(sort("sort={direction}", Some(","))), "the sort never names the key; put {field}"),
        (
            |l| l.dialect.sort = Some(sort("sort={field}", Some(","))),
            "the sort never names the direction of a key; put",
        ),
        (|l| l.dialect.sort = Some(sort("s={dir}{field}", None)), "unknown variable {dir}; did you mean {direction}?"),
        (|l| l.dialect.sort = Some(sort("s[{field}]={direction}", Some(","))), "values can't be joined where the name"),
        (|l| l.dialect.sort = Some(sort("s={field}{direction}{nulls}", None)), "{nulls} has no words; set nulls_first"),
        (|l| l.dialect.sort = Some(sort("page={field}{direction}", None)), "the parameter page both pages and sorts"),
        (
            |l| l.dialect.sort.as_mut().unwrap().nulls_last = Some("x".to_owned()),
            "nulls_first and nulls_last are never used; put {nulls} into",
        ),
        (
            |l| l.dialect.sort.as_mut().unwrap().descending = String::new(),
            "both directions of the sort have the same word",
        ),
        (|l| l.dialect.sort.as_mut().unwrap().max_keys = Some(0), "max_keys is at least 1"),
    ]);
}

#[test]
fn all_faults_are_reported_at_once() {
    let told = faults(|list| {
        query(list, "p={pag}");
        also(list, "p={siz}");
        list.dialect.response.items = at("data");
        list.dialect.response.total = Some(at("total"));
        list.dialect.response.past_end = vec![matching(None, &[])];
        list.dialect.sort = Some(sort("sort=", None));
        list.id = Some(at("uuid"));
    });
    assert_eq!(told.len(), 7, "{told:#?}");
}

fn query(list: &mut ListSettings, template: &str) {
    list.dialect.request.query = at(template);
}

fn also(list: &mut ListSettings, template: &str) {
    list.dialect.request.also = vec![at(template)];
}

fn header(list: &mut ListSettings, name: &str, value: &str) {
    list.dialect.request.headers = vec![(at(name), at(value))];
}

fn total(list: &mut ListSettings, place: &str) {
    list.dialect.response.total = Some(at(place));
}

fn matching(status: Option<u16>, body: &[(&str, Tree)]) -> DialectMatch {
    let body = body.iter().map(|(place, value)| (at(*place), at(value.clone()))).collect();
    DialectMatch { at: AT, status, body, present: None }
}
