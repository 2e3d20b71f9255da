//! Tests of upstreams that page in unusual ways, each of which a word of the dialect describes.

use std::{fmt::Write as _, io};

use crate::harness::{
    gateway::Gateway,
    rows::{Row, ids, walk},
    upstream::{After, Exchange, Request, Upstream},
};

const COUNT: u64 = 257;

/// Starts a gateway with a route `/users`, sorted by id, over a dialect of these lines.
fn gateway(upstream: &Upstream, dialect: &str) -> Gateway {
    Gateway::start(&format!(
        "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"mine\"\norder = [\"id\"]\nfields = {{ id = {{ type = \"number\", nulls = \"none\" }} }}\n\
         [dialects.mine]\n{dialect}\n",
        upstream.address
    ))
}

fn number(request: &Request, name: &str) -> Option<u64> {
    request.parameter(name).and_then(|text| text.parse().ok())
}

/// Returns the rows with the ids after `from`, at most `size` of them, each as JSON.
fn rows(count: u64, from: u64, size: u64) -> Vec<String> {
    (from + 1..=count.min(from.saturating_add(size))).map(|id| Row::new(id, id).json()).collect()
}

fn reply(exchange: &mut Exchange, headers: &[(&str, &str)], body: &str) -> io::Result<After> {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    exchange.reply("200 OK", &all, body.as_bytes())
}

/// Walks to the end, and back to the start unless the list leads only forward.
fn there_and_back(gateway: &Gateway, first: &str, expected: &[u64], leads_back: bool) {
    let forth = walk(gateway, first, "next", &[], |_, _| {});
    assert_eq!(forth.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{first}");
    let Some(back) = forth.last().and_then(|last| last.link("prev")).filter(|_| leads_back) else { return };
    let mut seen = ids(forth.last().expect("a page"));
    for page in walk(gateway, &back, "prev", &[], |_, _| {}) {
        seen.splice(0..0, ids(&page));
    }
    assert_eq!(seen, expected, "{first}, and back");
}

/// Some upstreams lower an offset to a multiple of the size in silence, and others refuse it with 400. With `aligned`,
/// the gateway only asks for multiples.
#[test]
fn offsets_that_must_be_multiples_of_the_size_are_whole_pages() {
    for refuses in [false, true] {
        let upstream = Upstream::start(move |exchange| {
            let size = number(&exchange.request, "limit").unwrap_or(20).clamp(1, 100);
            let from = number(&exchange.request, "offset").unwrap_or(0);
            if refuses && !from.is_multiple_of(size) {
                return exchange.reply("400 Bad Request", &[], b"offset % limit");
            }
            let body = format!(r#"{{"hits":[{}],"total":{COUNT}}}"#, rows(COUNT, from - from % size, size).join(","));
            reply(exchange, &[], &body)
        });
        let gateway = gateway(
            &upstream,
            "request = { query = \"offset={offset}&limit={size}\", aligned = true }\nsize = { max = 100 }\n\
             response = { items = \"/hits\", total = \"/total\" }",
        );
        let expected: Vec<u64> = (1..=COUNT).collect();
        for limit in [1, 7, 20, 49, 100] {
            there_and_back(&gateway, &format!("/users?limit={limit}"), &expected, true);
        }
        for request in upstream.requests() {
            let (from, size) = (number(&request, "offset"), number(&request, "limit"));
            assert_eq!(from.zip(size).map(|(from, size)| from % size), Some(0), "{}", request.target);
        }
    }
}

/// An upstream that answers every offset above 100 as if it were 100 never ends the list there: pages that can't be
/// read within the bound are refused.
#[test]
fn an_offset_that_is_capped_in_silence_is_never_the_end() {
    let upstream = Upstream::start(|exchange| {
        let size = number(&exchange.request, "limit").unwrap_or(20).clamp(1, 100);
        let from = number(&exchange.request, "skip").unwrap_or(0).min(100);
        let body = format!(r#"{{"rows":[{}]}}"#, rows(COUNT, from, size).join(","));
        reply(exchange, &[], &body)
    });
    let gateway = gateway(
        &upstream,
        "request = { query = \"skip={offset}&limit={size}\", max_offset = 100 }\nsize = { max = 100 }\n\
         response = { items = \"/rows\" }",
    );
    let mut connection = gateway.connect();
    for limit in [1, 7, 20, 49, 100] {
        let (mut seen, mut target) = (Vec::new(), format!("/users?limit={limit}"));
        let refused = loop {
            let page = connection.request("GET", &target, &[], b"").expect("a response");
            if page.status != 200 {
                break page;
            }
            seen.extend(ids(&page));
            target = page.link("next").unwrap_or_else(|| panic!("limit {limit}: an end after {} rows", seen.len()));
        };
        assert_eq!(refused.outcome(), "400 too_deep", "limit {limit}: {refused:?}");
        assert!(seen.iter().copied().eq(1..=seen.len() as u64), "limit {limit}: {seen:?}");
        assert!(seen.len() as u64 > 198 - limit, "limit {limit}: only {} rows", seen.len());
    }
    assert!(upstream.requests().iter().all(|request| number(request, "skip") <= Some(100)));
}

/// A link to the next page that is always there has a parameter that shows whether the page has items.
#[test]
fn a_link_that_is_always_there_ends_the_list_by_its_parameter() {
    let upstream = Upstream::start(|exchange| {
        let size = number(&exchange.request, "per_page").unwrap_or(10).clamp(1, 100);
        let from = number(&exchange.request, "cursor").unwrap_or(0);
        let mut link = String::new();
        for (relation, cursor, has) in
            [("previous", from.saturating_sub(size), from > 0), ("next", from + size, from + size < COUNT)]
        {
            let separator = if link.is_empty() { "" } else { ", " };
            let _ = write!(
                link,
                "{separator}<https://x.test/users?cursor={cursor}>; rel=\"{relation}\"; results=\"{has}\""
            );
        }
        let body = format!("[{}]", rows(COUNT, from, size).join(","));
        reply(exchange, &[("Link", &link)], &body)
    });
    let gateway = gateway(
        &upstream,
        "request = { query = \"per_page={size}&cursor={token}\" }\nsize = { max = 100 }\n\
         response = { items = \"\", next_token = \"link:next;results=true\", token_param = \"cursor\" }",
    );
    let expected: Vec<u64> = (1..=COUNT).collect();
    for limit in [1, 7, 20, 100] {
        there_and_back(&gateway, &format!("/users?limit={limit}"), &expected, false);
    }
}

/// Services that convert XML write a single item without an array, and PHP writes an array with gaps as an object.
#[test]
fn an_object_in_place_of_an_array_has_the_items() {
    for word in ["single", "values"] {
        let upstream = Upstream::start(move |exchange| {
            let size = number(&exchange.request, "limit").unwrap_or(20).clamp(1, 100);
            let from = number(&exchange.request, "offset").unwrap_or(0);
            let count = number(&exchange.request, "only").unwrap_or(COUNT);
            let rows = rows(count, from, size);
            let body = match (word, rows.as_slice()) {
                ("single", [row]) => format!(r#"{{"result":{{"item":{row}}}}}"#),
                ("values", [_, _, ..]) => {
                    let members = rows.iter().enumerate().map(|(index, row)| format!("\"{}\":{row}", index * 2));
                    format!(r#"{{"result":{{"item":{{{}}}}}}}"#, members.collect::<Vec<_>>().join(","))
                }
                _ => format!(r#"{{"result":{{"item":[{}]}}}}"#, rows.join(",")),
            };
            reply(exchange, &[], &body)
        });
        let gateway = gateway(
            &upstream,
            &format!(
                "request = {{ query = \"offset={{offset}}&limit={{size}}\" }}\nsize = {{ max = 100 }}\n\
                 response = {{ items = \"/result/item\", items_object = \"{word}\" }}"
            ),
        );
        for count in [1, 2, COUNT] {
            let expected: Vec<u64> = (1..=count).collect();
            for limit in [1, 7, 20, 100] {
                there_and_back(&gateway, &format!("/users?limit={limit}&only={count}"), &expected, true);
            }
        }
        let page = gateway.get("/users?limit=1&only=1");
        assert!(page.text().contains(&Row::new(1, 1).json()), "the item has the upstream's bytes: {page:?}");
    }
}

/// A feed whose `since_id` includes the item with that id.
#[test]
fn a_feed_that_includes_the_item_asked_for_is_read_once() {
    let upstream = Upstream::start(|exchange| {
        let size = number(&exchange.request, "count").unwrap_or(20).clamp(1, 50);
        let from = number(&exchange.request, "from_id").map_or(0, |id| id - 1);
        let body = format!(r#"{{"rows":[{}]}}"#, rows(COUNT, from, size).join(","));
        reply(exchange, &[], &body)
    });
    let gateway = gateway(
        &upstream,
        "request = { query = \"count={size}&from_id={after}\", after_inclusive = true }\nsize = { max = 50 }\n\
         response = { items = \"/rows\", end = \"empty-page\" }",
    );
    let expected: Vec<u64> = (1..=COUNT).collect();
    for limit in [1, 7, 20, 49, 100] {
        there_and_back(&gateway, &format!("/users?limit={limit}"), &expected, false);
    }
    assert!(upstream.requests().iter().all(|request| number(request, "count") <= Some(50)), "within size.max");
}

/// An estimate may be too high, so it is neither a total nor a lower bound.
#[test]
fn an_estimated_total_is_not_sent_to_clients() {
    let upstream = Upstream::start(|exchange| {
        let size = number(&exchange.request, "limit").unwrap_or(20).clamp(1, 100);
        let from = number(&exchange.request, "offset").unwrap_or(0);
        let body = format!(r#"{{"rows":[{}],"total":300}}"#, rows(COUNT, from, size).join(","));
        reply(exchange, &[], &body)
    });
    for (counts, shown) in [("rows", Some(300)), ("estimate", None)] {
        let gateway = gateway(
            &upstream,
            &format!(
                "request = {{ query = \"offset={{offset}}&limit={{size}}\" }}\nsize = {{ max = 100 }}\n\
                 response = {{ items = \"/rows\", total = \"/total\", total_counts = \"{counts}\" }}"
            ),
        );
        let page = gateway.get("/users?limit=20");
        assert_eq!(page.json()["pagination"]["total"].as_u64(), shown, "{page:?}");
    }
}
