//! Tests of learning with simulated lists of many kinds.

mod facts;
mod forms;
mod orders;
mod shorter;
mod whole;
mod written;

use std::{cell::Cell, cmp::Reverse, time::Duration};

use serde_json::{Value, json};

use crate::{
    Certainty, ProbeLimits, ProbeTarget, WrittenUpstream, configuration,
    findings::PlaceForm,
    gateway_port,
    prober::session::ProbeSlot,
    testing::{
        Answered, LearntCase, SimulatedRequest, attempt, learn, learn_as, load, rows, scatter, slice, sorted, target,
    },
};

fn query(name: &str) -> ProbeSlot {
    ProbeSlot::Query(name.to_owned())
}

fn size_of(outcome: &LearntCase) -> (&str, Option<u32>) {
    let form = outcome.learnt.size.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    (form.slot.name(), form.max)
}

fn order(outcome: &LearntCase) -> Vec<String> {
    let list = load(&outcome.text).unwrap();
    let keys = list.order.iter().map(|term| format!("{:?} {}", term.value.direction, term.value.field));
    keys.chain(list.declared.then(|| format!("{:?} id", list.id_direction))).collect()
}

/// Sorts rows by a parameter in the style of `sort=-name,id`. Without the parameter, returns the rows as they are.
fn by_signs(rows: Vec<Value>, sort: Option<&str>) -> Vec<Value> {
    let Some(sort) = sort else { return rows };
    let mut rows = rows;
    for term in sort.split(',').rev() {
        let (field, descending) = term.strip_prefix('-').map_or((term, false), |field| (field, true));
        rows = sorted(rows, field, descending);
    }
    rows
}

#[test]
fn an_api_of_pages_with_a_silent_cap_sorting_and_filters_is_learnt() {
    let all = rows(1_003);
    let outcome = learn(|asked| {
        if let Some(id) = asked.path.strip_prefix("/api/items/") {
            return Answered::new(json!({ "id": id.parse::<u64>().unwrap(), "name": "one" }));
        }
        let mut rows = by_signs(all.clone(), asked.text("sort"));
        if let Some(least) = asked.number("id__gte") {
            rows.retain(|row| row["id"].as_u64() >= Some(least as u64));
        }
        if let Some(most) = asked.number("id__lte") {
            rows.retain(|row| row["id"].as_u64() <= Some(most as u64));
        }
        let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
        let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
        Answered::new(json!({ "data": slice(&rows, from, size), "meta": { "total": rows.len(), "per_page": size } }))
    });
    let learnt = &outcome.learnt;
    assert_eq!(learnt.place, Some(PlaceForm::Page { slot: query("page"), first: 1 }), "{}", outcome.text);
    assert_eq!(size_of(&outcome), ("per_page", Some(100)));
    assert_eq!(learnt.places.total.as_deref(), Some("/meta/total"));
    assert_eq!(order(&outcome), ["Ascending id"]);
    let sort = learnt.sort.as_ref().unwrap();
    assert_eq!((sort.query.as_str(), sort.join.as_deref()), ("sort={direction}{field}", Some(",")), "{}", outcome.text);
    assert!(sort.fields.iter().any(|name| name == "id") && sort.fields.iter().any(|name| name == "created_at"));
    let ranges = learnt.ranges.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert_eq!(ranges.terms[0], ("gte", "{field}__gte={value}".to_owned()));
    assert_eq!(learnt.item_path, Some(("{path}/{id}".to_owned(), String::new())));
}

#[test]
fn offsets_with_nested_items_and_without_a_total_are_learnt() {
    let all: Vec<Value> = (0..400)
        .map(|at| json!({ "type": "product", "attributes": { "sku": format!("SKU-{at:05}"), "price": scatter(at) % 500 } }))
        .collect();
    let outcome = learn(|asked| {
        let from = asked.number("startIdx").unwrap_or(0);
        let size = asked.number("maxResults").unwrap_or(25).min(50);
        let records = slice(&all, from, size);
        Answered::new(json!({ "response": { "status": "ok", "result": { "startIdx": from, "records": records } } }))
    });
    let learnt = &outcome.learnt;
    assert_eq!(learnt.shape.items, "/response/result/records");
    assert_eq!(learnt.shape.id.as_deref(), Some("/attributes/sku"));
    assert_eq!(learnt.place, Some(PlaceForm::Offset { slot: query("startIdx"), first: 0 }), "{}", outcome.text);
    assert_eq!(size_of(&outcome), ("maxResults", Some(50)));
    assert_eq!(order(&outcome), ["Ascending id"]);
    assert_eq!(learnt.places.total, None);
}

#[test]
fn pages_from_0_with_many_equal_times_are_learnt() {
    let calls = Cell::new(0);
    let outcome = learn(|asked| {
        calls.set(calls.get() + 1);
        // Ties come in another order with each request.
        let mut all = rows(700);
        let seed = calls.get();
        all.sort_by_key(|row| {
            let id = row["id"].as_u64().unwrap();
            (Reverse(id / 4), scatter(id ^ seed << 20))
        });
        let size = asked.number("size").unwrap_or(20).min(200);
        let from = asked.number("page").unwrap_or(0) * size;
        Answered::new(
            json!({ "content": slice(&all, from, size), "totalElements": 700, "number": from / size, "last": from + size >= 700 }),
        )
    });
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Page { slot: query("page"), first: 0 }), "{}", outcome.text);
    assert_eq!(order(&outcome)[0], "Descending created_at", "{}", outcome.text);
    assert_eq!(load(&outcome.text).unwrap().ties, None);
}

#[test]
fn equal_times_in_a_different_order_in_each_answer_are_learnt() {
    let calls = Cell::new(0_u64);
    for (name, by_page) in [("page", true), ("offset", false)] {
        let outcome = learn(|asked| {
            calls.set(calls.get() + 1);
            let mut all = rows(700);
            for row in &mut all {
                let group = row["id"].as_u64().unwrap() / 17;
                row["created_at"] = json!(format!("2024-{:02}-{:02}T10:00:00Z", 1 + group / 28, 1 + group % 28));
            }
            let seed = calls.get();
            all.sort_by_key(|row| {
                let id = row["id"].as_u64().unwrap();
                (id / 17, scatter(id ^ seed << 20))
            });
            let size = asked.number("limit").unwrap_or(20).min(200);
            let place = asked.number(name).unwrap_or(0);
            Answered::new(
                json!({ "data": slice(&all, if by_page { place * size } else { place }, size), "total": 700 }),
            )
        });
        let expected = if by_page {
            PlaceForm::Page { slot: query(name), first: 0 }
        } else {
            PlaceForm::Offset { slot: query(name), first: 0 }
        };
        assert_eq!(outcome.learnt.place, Some(expected), "{}", outcome.text);
        assert_eq!(order(&outcome)[0], "Ascending created_at", "{}", outcome.text);
    }
}

#[test]
fn tokens_in_the_body_of_answers_are_learnt() {
    let all = rows(333);
    let outcome = learn(|asked| {
        let from: usize = asked.text("pageToken").and_then(|token| token.strip_prefix("t-")?.parse().ok()).unwrap_or(0);
        let size = asked.number("pageSize").unwrap_or(10).min(100);
        let next = if from + size < all.len() { json!(format!("t-{}", from + size)) } else { json!("") };
        Answered::new(json!({ "items": slice(&all, from, size), "nextPageToken": next }))
    });
    let PlaceForm::Token { slot, place, .. } = outcome.learnt.place.clone().unwrap() else {
        panic!("{}", outcome.text)
    };
    assert_eq!((slot, place.as_str()), (query("pageToken"), "/nextPageToken"));
    assert_eq!(size_of(&outcome).0, "pageSize");
    assert_eq!(order(&outcome), ["Ascending id"]);
}

#[test]
fn bare_arrays_with_links_are_learnt() {
    let all = sorted(rows(257), "id", true);
    let outcome = learn(|asked| {
        let size = asked.number("per_page").unwrap_or(30).min(100);
        let page = asked.number("page").unwrap_or(1).max(1);
        let answer = Answered::new(json!(slice(&all, (page - 1) * size, size)));
        if page * size < all.len() {
            return answer.with(
                "link",
                format!("<http://legacy.test/api/items?page={}&per_page={size}>; rel=\"next\"", page + 1),
            );
        }
        answer
    });
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Page { slot: query("page"), first: 1 }), "{}", outcome.text);
    assert_eq!(size_of(&outcome).0, "per_page");
    assert_eq!(order(&outcome), ["Descending id"]);
    assert_eq!(outcome.learnt.places.next_url.as_deref(), Some("link:next"));
}

#[test]
fn searches_by_post_are_learnt() {
    let all = rows(132);
    let given = ProbeTarget {
        body: Some(json!({ "filters": { "lang": "de" }, "page": { "number": 1, "size": 10 } })),
        ..target()
    };
    let outcome = learn_as(given, ProbeLimits::default(), |asked| {
        if asked.path != "/api/items" {
            return Answered::refused(405, json!({}));
        }
        assert_eq!(asked.body["filters"]["lang"], "de");
        let number = |name: &str| asked.body["page"][name].as_u64().and_then(|own| usize::try_from(own).ok());
        let size = number("size").unwrap_or(10).min(50);
        let page = number("number").unwrap_or(1);
        Answered::new(json!({ "hits": slice(&all, page.saturating_sub(1) * size, size), "count": all.len() }))
    });
    let learnt = &outcome.learnt;
    assert_eq!(
        learnt.place,
        Some(PlaceForm::Page { slot: ProbeSlot::Body("/page/number".to_owned()), first: 1 }),
        "{}",
        outcome.text
    );
    assert_eq!(size_of(&outcome), ("/page/size", Some(50)));
    assert_eq!(learnt.places.total.as_deref(), Some("/count"));
    assert!(outcome.requests.iter().all(|request| request.body.is_some() || request.path != "/api/items"));
}

#[test]
fn a_header_that_determines_the_visible_list_becomes_the_principal() {
    let all = rows(302);
    let given = ProbeTarget { headers: vec!["x-tenant-key".parse().unwrap(), "accept".parse().unwrap()], ..target() };
    let outcome = learn_as(given, ProbeLimits::default(), |asked| {
        if asked.without.as_ref().is_some_and(|name| name == "x-tenant-key") {
            return Answered::refused(401, json!({ "error": "who?" }));
        }
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        Answered::new(json!({ "results": slice(&all, from, size), "total": all.len() }))
    });
    assert_eq!(outcome.learnt.principal, ["x-tenant-key"]);
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Offset { slot: query("offset"), first: 0 }));
    assert!(load(&outcome.text).unwrap().principal.iter().any(|name| name == "x-tenant-key"));
}

/// Answers as Django REST framework does with `PageNumberPagination`.
fn drf(asked: &SimulatedRequest, all: &[Value]) -> Answered {
    if let Some(id) = asked.path.strip_prefix("/api/items/").filter(|rest| !rest.is_empty()) {
        let id = id.trim_end_matches('/');
        return match all.iter().find(|row| row["id"].as_u64() == id.parse().ok()) {
            Some(row) => Answered::new(row.clone()),
            None => Answered::refused(404, json!({ "detail": "Not found." })),
        };
    }
    let mut rows = by_signs(all.to_vec(), asked.text("ordering"));
    if let Some(least) = asked.number("id__gte") {
        rows.retain(|row| row["id"].as_u64() >= Some(least as u64));
    }
    if let Some(most) = asked.number("id__lte") {
        rows.retain(|row| row["id"].as_u64() <= Some(most as u64));
    }
    let size = asked.number("page_size").unwrap_or(25).clamp(1, 90);
    let page = asked.number("page").unwrap_or(1);
    let from = page.saturating_sub(1) * size;
    if page == 0 || from >= rows.len() {
        return Answered::refused(404, json!({ "detail": "Invalid page." }));
    }
    let link = |page: usize| json!(format!("http://legacy.test/api/items/?page={page}&page_size={size}"));
    Answered::new(json!({
        "count": rows.len(),
        "next": if from + size < rows.len() { link(page + 1) } else { Value::Null },
        "previous": if page > 1 { link(page - 1) } else { Value::Null },
        "results": slice(&rows, from, size),
    }))
}

#[test]
fn a_built_in_dialect_that_fits_is_used() {
    let all = rows(1_003);
    let given = ProbeTarget { path: "/api/items/".to_owned(), ..target() };
    let outcome = learn_as(given, ProbeLimits::default(), |asked| drf(asked, &all));
    assert_eq!(outcome.learnt.preset, Some("drf-page"), "{}", outcome.text);
    assert_eq!(size_of(&outcome), ("page_size", Some(90)));
    assert_eq!(outcome.learnt.past_end[0].status, 404);
    assert!(outcome.text.contains("extends = \"drf-page\""), "{}", outcome.text);
    assert_eq!(order(&outcome), ["Ascending id"]);
}

#[test]
fn a_last_page_repeated_past_the_end_is_learnt() {
    let all = rows(95);
    let outcome = learn(|asked| {
        let size = asked.number("_per_page").unwrap_or(10);
        let pages = all.len().div_ceil(size);
        let page = asked.number("_page").unwrap_or(1).clamp(1, pages);
        let next = if page < pages { json!(page + 1) } else { Value::Null };
        Answered::new(
            json!({ "first": 1, "next": next, "pages": pages, "items": all.len(), "data": slice(&all, (page - 1) * size, size) }),
        )
    });
    assert!(outcome.learnt.repeats_last_page, "{}", outcome.text);
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Page { slot: query("_page"), first: 1 }));
    assert_eq!(outcome.learnt.places.total.as_deref(), Some("/items"));
}

#[test]
fn sorts_by_one_key_with_a_word_for_the_direction_are_learnt() {
    let all = rows(640);
    let outcome = learn(|asked| {
        let mut rows = all.clone();
        if let Some((field, word)) = asked.text("sort").map(|sort| sort.split_once(',').unwrap_or((sort, "asc"))) {
            if rows[0].get(field).is_none() {
                return Answered::refused(400, json!({ "error": "No property" }));
            }
            rows = sorted(rows, field, word == "desc");
        }
        let size = asked.number("size").unwrap_or(20).min(2_000);
        let from = asked.number("page").unwrap_or(0) * size;
        Answered::new(
            json!({ "content": slice(&rows, from, size), "totalElements": rows.len(), "number": from / size, "last": from + size >= rows.len() }),
        )
    });
    let sort = outcome.learnt.sort.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert_eq!((sort.query.as_str(), sort.descending.as_str()), ("sort={field},{direction}", "desc"));
    assert_eq!(outcome.learnt.places.is_last.as_deref(), Some("/last"));
}

#[test]
fn an_upstream_that_refuses_unknown_parameters_is_learnt() {
    let all = rows(480);
    let outcome = learn(|asked| {
        if let Some((name, _)) =
            asked.pairs.iter().find(|(name, _)| !["offset", "limit", "sort"].contains(&name.as_str()))
        {
            return Answered::refused(400, json!({ "message": format!("unknown parameter {name}") }));
        }
        let size = asked.number("limit").unwrap_or(20);
        if size > 60 {
            return Answered::refused(422, json!({ "message": "limit must be at most 60" }));
        }
        let rows = by_signs(all.clone(), asked.text("sort"));
        Answered::new(json!({ "items": slice(&rows, asked.number("offset").unwrap_or(0), size), "total": all.len() }))
    });
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Offset { slot: query("offset"), first: 0 }), "{}", outcome.text);
    assert_eq!(size_of(&outcome), ("limit", Some(60)));
    assert!(outcome.learnt.sort.is_some(), "{}", outcome.text);
}

#[test]
fn paging_by_the_id_of_the_last_item_is_learnt() {
    let all: Vec<Value> =
        (0..150).map(|at| json!({ "id": format!("ch_{:06}", 900_000 - at * 7), "amount": at % 5 })).collect();
    let outcome = learn(|asked| {
        let from = asked.text("starting_after").map_or(0, |id| all.iter().position(|row| row["id"] == id).unwrap() + 1);
        let size = asked.number("limit").unwrap_or(10).min(100);
        Answered::new(json!({ "object": "list", "has_more": from + size < all.len(), "data": slice(&all, from, size) }))
    });
    assert_eq!(
        outcome.learnt.place,
        Some(PlaceForm::After { slot: query("starting_after"), is_inclusive: false }),
        "{}",
        outcome.text
    );
    assert_eq!(outcome.learnt.places.has_more.as_deref(), Some("/has_more"));
    assert_eq!(order(&outcome), ["Descending id"]);
}

#[test]
fn tokens_in_a_next_url_are_learnt() {
    let all = rows(120);
    let outcome = learn(|asked| {
        let from = asked.text("cursor").map_or(0, |token| token[1..].parse().unwrap());
        let size = asked.number("limit").unwrap_or(10).min(50);
        let next = from + size;
        let url = if next < all.len() {
            json!(format!("https://legacy.test/api/items?limit={size}&cursor=x{next}"))
        } else {
            Value::Null
        };
        Answered::new(json!({ "results": slice(&all, from, size), "links": { "next": url } }))
    });
    let Some(PlaceForm::Token { slot, parameter, .. }) = outcome.learnt.place.clone() else {
        panic!("{}", outcome.text)
    };
    assert_eq!((slot, parameter.as_deref()), (query("cursor"), Some("cursor")));
}

#[test]
fn a_list_without_pages_is_learnt_as_whole() {
    let all = rows(37);
    let outcome = learn(|_| Answered::new(json!({ "users": all })));
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Whole), "{}", outcome.text);
    assert_eq!(outcome.learnt.shape.items, "/users");
}

#[test]
fn pages_of_a_fixed_size_are_learnt() {
    let all = rows(203);
    let outcome = learn(|asked| {
        let page = asked.number("p").unwrap_or(1).max(1);
        Answered::new(json!({ "rows": slice(&all, (page - 1) * 15, 15), "total": all.len() }))
    });
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Page { slot: query("p"), first: 1 }), "{}", outcome.text);
    assert_eq!(outcome.learnt.size, None);
    assert_eq!(outcome.learnt.default_size, 15);
}

/// A new item is added before each answer, so no two answers begin with the same item.
#[test]
fn a_list_that_grows_with_each_request_has_its_pages() {
    let (mut all, came) = (rows(600), Cell::new(400));
    all.sort_by_key(|row| row["id"].as_u64());
    let outcome = learn(|asked| {
        came.set(came.get() + 1);
        let list: Vec<Value> = all[..came.get()].iter().rev().cloned().collect();
        let from = (asked.number("p").unwrap_or(1).max(1) - 1) * 25;
        Answered::new(json!({ "items": slice(&list, from, 25) }))
    });
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Page { slot: query("p"), first: 1 }), "{}", outcome.text);
}

/// Each line of the route says what it is for, but for those whose names do, and the evidence comes after the configuration.
#[test]
fn a_learnt_route_is_understood_without_a_page() {
    let text = learn(by_offset(rows(300))).text;
    let route = text.lines().skip_while(|line| *line != "[routes.items]").skip(1).take_while(|line| !line.is_empty());
    let lines: Vec<&str> = route.collect();
    let bare: Vec<&str> = (0..lines.len())
        .filter(|at| {
            !lines[*at].starts_with('#') && !at.checked_sub(1).is_some_and(|before| lines[before].starts_with('#'))
        })
        .map(|at| lines[at].split(' ').next().unwrap())
        .collect();
    assert_eq!(bare, ["path", "upstream"], "{text}");
    let evidence = text.find("# What was found").unwrap();
    assert!(!text[evidence..].lines().any(|line| !line.is_empty() && !line.starts_with('#')), "{text}");
}

#[test]
fn a_learnt_configuration_avoids_the_port_of_its_upstream() {
    let learnt = learn(by_offset(rows(300))).learnt;
    for (peer, port) in [("127.0.0.1:8080", 8081), ("localhost:8080", 8081), ("127.0.0.1:9180", 8080)] {
        let upstream = WrittenUpstream { peer: peer.to_owned(), tls: false };
        let text = configuration(&learnt, &target(), "/api/items", &upstream, 100, None);
        assert!(load(&text).is_ok() && text.contains(&format!("http://127.0.0.1:{port}\"")), "{text}");
        assert_eq!(gateway_port(peer), port);
    }
}

#[test]
fn the_name_of_an_upstream_is_written_where_it_refuses_others() {
    let all = rows(300);
    let given = || ProbeTarget { public_host: Some("127.0.0.1:8080".to_owned()), ..target() };
    for (status, other) in [(421, None), (200, Some("default site"))] {
        let outcome = learn_as(given(), ProbeLimits::default(), |asked| match &asked.host {
            Some(_) => Answered { status, ..Answered::new(json!({ "error": other })) },
            None => by_offset(all.clone())(asked),
        });
        assert!(outcome.text.contains("\nhost_header = \"legacy.test\"\n"), "{}", outcome.text);
    }
    let outcome = learn_as(given(), ProbeLimits::default(), by_offset(all));
    assert!(!outcome.text.contains("\nhost_header"), "{}", outcome.text);
    let asked = outcome.requests.iter().filter(|request| !request.headers.is_empty()).count();
    assert_eq!(asked, 1, "it was tried");
}

/// The members of an object for the next page are the names of parameters.
#[test]
fn names_within_a_next_page_object_are_tried() {
    let all = rows(300);
    let answer = |asked: &SimulatedRequest, needs_both: bool| {
        let size = asked.number("limit").unwrap_or(20).min(100);
        let both = !needs_both || asked.text("lastCreatedAt").is_some();
        let from = asked.number("lastRowId").filter(|_| both).unwrap_or(0);
        let page = slice(&all, from, size);
        let last = page.last().filter(|_| from + size < all.len());
        let next = last.map(|row| json!({ "lastRowId": row["id"], "lastCreatedAt": row["created_at"] }));
        Answered::new(json!({ "items": page, "paging": { "nextCursor": next } }))
    };
    let outcome = learn(|asked| answer(asked, false));
    let (slot, place) = (query("lastRowId"), "/paging/nextCursor/lastRowId".to_owned());
    let form = PlaceForm::Token { slot, place, parameter: None, previous: None };
    assert_eq!(outcome.learnt.place, Some(form), "{}", outcome.text);
    let outcome = learn(|asked| answer(asked, true));
    let form = PlaceForm::Members { place: "/paging/nextCursor".to_owned(), names: Vec::new() };
    assert_eq!(outcome.learnt.place, Some(form), "{}", outcome.text);
    assert!(outcome.text.contains("next_params = \"/paging/nextCursor\""), "{}", outcome.text);
}

/// The parameters of a next page object may have longer names than its members.
#[test]
fn longer_names_of_members_are_tried() {
    let all = rows(300);
    for (id, at, is_found) in [("lastId", "lastAt", true), ("after_id", "after_at", true), ("row", "time", false)] {
        let answer = |asked: &SimulatedRequest| {
            let size = asked.number("limit").unwrap_or(20).min(100);
            let from = asked.number(id).filter(|_| asked.text(at).is_some()).unwrap_or(0);
            let page = slice(&all, from, size);
            let next = page.last().filter(|_| from + size < all.len());
            let next = next.map(|row| json!({ "id": row["id"], "at": row["created_at"] }));
            Answered::new(json!({ "items": page, "nextCursor": next }))
        };
        let (learnt, text) = attempt(target(), ProbeLimits::default(), answer);
        let names = vec![("at".to_owned(), at.to_owned()), ("id".to_owned(), id.to_owned())];
        let form = PlaceForm::Members { place: "/nextCursor".to_owned(), names };
        assert_eq!(learnt.unwrap().place, is_found.then_some(form), "{id}");
        drop(text);
        if is_found {
            let outcome = learn(answer);
            let written = format!("param_names = {{ at = {at:?}, id = {id:?} }}");
            assert!(outcome.text.contains(&written), "{}", outcome.text);
        }
    }
}

/// An object with a value that a query can't repeat doesn't continue the list.
#[test]
fn members_that_lead_on_only_together_are_sent_together() {
    let all = rows(300);
    for (other, is_found) in [(json!(true), true), (json!("x y"), true), (json!(null), false), (json!([1]), false)] {
        let answer = |asked: &SimulatedRequest| {
            let size = asked.number("limit").unwrap_or(20).min(100);
            let from = asked.number("row").filter(|_| asked.text("other").is_some()).unwrap_or(0);
            let page = slice(&all, from, size);
            let next = page.last().filter(|_| from + size < all.len());
            let next = next.map(|row| json!({ "row": row["id"], "other": other }));
            Answered::new(json!({ "items": page, "nextCursor": next }))
        };
        let (learnt, _) = attempt(target(), ProbeLimits::default(), answer);
        let place = learnt.unwrap().place;
        assert_eq!(matches!(place, Some(PlaceForm::Members { .. })), is_found, "{other}: {place:?}");
    }
}

#[test]
fn a_closed_set_of_page_sizes_is_learnt() {
    let all = rows(300);
    let outcome = learn(|asked| {
        let size = asked.number("limit").filter(|size| [10, 25, 50, 100].contains(size)).unwrap_or(25);
        let from = asked.number("offset").unwrap_or(0);
        Answered::new(json!({ "data": slice(&all, from, size), "total": all.len(), "limit": size, "offset": from }))
    });
    let form = outcome.learnt.size.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert!(form.choices.contains(&10) && form.choices.contains(&25), "{:?}", form.choices);
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Offset { slot: query("offset"), first: 0 }));
}

/// Returns an upstream that pages by offset, with at most 500 items in an answer. The list is `all`, in its order.
fn by_offset(all: Vec<Value>) -> impl Fn(&SimulatedRequest) -> Answered {
    move |asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(500));
        Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
    }
}

#[test]
fn deep_pages_are_not_probed_if_answers_get_slower_with_depth() {
    let deepest = Cell::new(0);
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        deepest.set(deepest.get().max(from));
        let rows: Vec<Value> =
            (from..from + size).map(|id| json!({ "id": id, "name": format!("n{}", scatter(id as u64)) })).collect();
        let mut answer = Answered::new(json!({ "items": rows, "total": 10_000_000 }));
        answer.elapsed = Duration::from_millis(5 + from as u64 / 4);
        answer
    });
    assert!(deepest.get() <= 500, "{}", deepest.get());
    assert_eq!(outcome.learnt.deepest, deepest.get() as u64);
    let end = outcome.learnt.findings.iter().find(|finding| finding.about == "end of the list").unwrap();
    assert_eq!(end.certainty, Certainty::Open);
    assert!(end.evidence.contains("no request went deeper than item 500"), "{}", end.evidence);
}

#[test]
fn a_long_list_is_not_read_deeper_than_allowed() {
    let deepest = Cell::new(0);
    let limits = ProbeLimits { depth: 3_000, ..ProbeLimits::default() };
    learn_as(target(), limits, |asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        deepest.set(deepest.get().max(from));
        let rows: Vec<Value> = (from..from + size).map(|id| json!({ "id": id })).collect();
        Answered::new(json!({ "items": rows, "total": 10_000_000 }))
    });
    assert!((1..=3_000).contains(&deepest.get()), "{}", deepest.get());
}

#[test]
fn an_upstream_that_asks_to_wait_is_obeyed() {
    let calls = Cell::new(0);
    let all = rows(100);
    let outcome = learn(|asked| {
        calls.set(calls.get() + 1);
        if calls.get() == 3 {
            return Answered::refused(429, json!({})).with("retry-after", "7");
        }
        by_offset(all.clone())(asked)
    });
    let pauses: Vec<u64> =
        outcome.requests.iter().map(|request| request.pause.as_secs()).filter(|wait| *wait > 0).collect();
    assert_eq!(pauses, [7]);
    assert_eq!(outcome.requests[2].query, outcome.requests[3].query);
}

#[test]
fn no_request_is_sent_beyond_the_limit() {
    for most in 1..20 {
        let limits = ProbeLimits { requests: most, ..ProbeLimits::default() };
        let (result, requests) = attempt(target(), limits, by_offset(rows(300)));
        assert!(requests.len() <= most);
        let learnt = result.unwrap();
        assert_eq!(learnt.requests, requests.len());
    }
}

#[test]
fn an_answer_without_a_list_is_an_error_with_advice() {
    let faults = [
        (Answered::new(json!({ "error": "x", "code": 7 })), "members are code, error"),
        (Answered::refused(401, json!({})), "--header"),
        (Answered::new(json!([])), "the list is empty"),
    ];
    for (answer, expected) in faults {
        let (result, _) = attempt(target(), ProbeLimits::default(), move |_| answer.clone());
        let fault = result.unwrap_err();
        assert!(fault.contains(expected), "{fault}");
    }
}

#[test]
fn a_redirect_to_a_slash_is_followed_and_kept() {
    let all = rows(50);
    let outcome = learn(|asked| {
        if asked.path == "/api/items" {
            return Answered::refused(301, json!({})).with("location", "http://legacy.test/api/items/");
        }
        by_offset(all.clone())(asked)
    });
    assert_eq!(outcome.learnt.upstream_path.as_deref(), Some("/api/items/"));
}

#[test]
fn filters_of_the_url_are_part_of_every_request() {
    let all = rows(300);
    let fixed = [("team", "a&b"), ("limit", "7")].map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let outcome = learn_as(ProbeTarget { fixed, ..target() }, ProbeLimits::default(), |asked| {
        if asked.path == "/api/items" && asked.text("team") != Some("a&b") {
            return Answered::refused(400, json!({ "error": "team" }));
        }
        by_offset(all.clone())(asked)
    });
    assert_eq!(size_of(&outcome).0, "limit");
    assert!(outcome.text.contains("query = \"team=a%26b&offset={offset}&limit={size}\""), "{}", outcome.text);
}

#[test]
fn offsets_counted_from_1_are_learnt() {
    let all = rows(300);
    for refuses in [false, true] {
        let answer = |asked: &SimulatedRequest| {
            let (start, size) = (asked.number("startIndex").unwrap_or(1), asked.number("count").unwrap_or(20).min(100));
            if refuses && start == 0 {
                return Answered::refused(400, json!({ "detail": "startIndex" }));
            }
            let resources = slice(&all, start.max(1) - 1, size);
            Answered::new(json!({ "totalResults": all.len(), "startIndex": start, "Resources": resources }))
        };
        let outcome = learn(answer);
        let expected = PlaceForm::Offset { slot: query("startIndex"), first: 1 };
        assert_eq!(outcome.learnt.place, Some(expected), "{}", outcome.text);
        assert!(outcome.text.contains("first_item = 1"), "{}", outcome.text);
    }
}

/// Answers contain no total, and no page is empty.
#[test]
fn a_repeated_last_page_is_learnt_without_a_total() {
    let all = rows(237);
    let outcome = learn(|asked| {
        let size = asked.number("size").unwrap_or(20).clamp(1, 60);
        let pages = all.len().div_ceil(size);
        let page = asked.number("page").unwrap_or(1).clamp(1, pages);
        Answered::new(json!(slice(&all, (page - 1) * size, size)))
    });
    assert!(outcome.learnt.repeats_last_page, "{}", outcome.text);
    assert!(outcome.text.contains("repeats_last_page = true"), "{}", outcome.text);
}

#[test]
fn tokens_in_a_response_header_are_learnt() {
    let all = rows(150);
    let outcome = learn(|asked| {
        let from = asked.text("continuationToken").map_or(0, |token| token[2..].parse().unwrap());
        let size = asked.number("limit").unwrap_or(20).min(50);
        let answer = Answered::new(json!(slice(&all, from, size)));
        if from + size < all.len() {
            return answer.with("x-continuation-token", format!("c-{}", from + size));
        }
        answer
    });
    let Some(PlaceForm::Token { slot, place, .. }) = outcome.learnt.place.clone() else { panic!("{}", outcome.text) };
    assert_eq!((slot, place.as_str()), (query("continuationToken"), "header:X-Continuation-Token"));
}

#[test]
fn the_id_of_the_last_item_without_a_flag_ends_with_an_empty_page() {
    let all = rows(150);
    let outcome = learn(|asked| {
        let since = asked.number("since_id").unwrap_or(0);
        let size = asked.number("limit").unwrap_or(50).min(100);
        Answered::new(json!({ "orders": slice(&all, since, size) }))
    });
    assert_eq!(
        outcome.learnt.place,
        Some(PlaceForm::After { slot: query("since_id"), is_inclusive: false }),
        "{}",
        outcome.text
    );
    assert!(outcome.text.contains("end = \"empty-page\""), "{}", outcome.text);
}

/// Lists by the id of the last item, with ids from 1 and from 2. Other ids are refused, and sizes have no effect.
#[test]
fn an_id_is_no_offset() {
    for passed in [0, 1] {
        let all = rows(34).split_off(passed);
        let outcome = learn(|asked| {
            let after = asked.number("starting_after");
            let from = after.map(|id| all.iter().position(|row| row["id"] == id));
            let Some(from) = from.map_or(Some(0), |found| Some(found? + 1)) else {
                return Answered::refused(400, json!({ "error": "unknown item" }));
            };
            let items = slice(&all, from, 25);
            let last = items.last().map(|row| row["id"].to_string());
            let next = last.filter(|_| from + 25 < all.len()).map(|id| format!("/api/items?starting_after={id}"));
            Answered::new(json!({ "data": items, "next": next }))
        });
        assert!(!matches!(outcome.learnt.place, Some(PlaceForm::Offset { .. })), "{}", outcome.text);
        assert!(outcome.text.contains("starting_after"), "{}", outcome.text);
    }
}

#[test]
fn a_cap_that_is_the_default_is_learnt() {
    let all = rows(130);
    let outcome = learn(|asked| {
        let size = asked.number("count").unwrap_or(25);
        if !(1..=25).contains(&size) {
            return Answered::refused(400, json!({ "error": "the size is too large" }));
        }
        let page = asked.number("page").unwrap_or(1).max(1);
        Answered::new(json!({ "data": slice(&all, (page - 1) * size, size), "total": all.len() }))
    });
    assert_eq!(size_of(&outcome), ("count", Some(25)), "{}", outcome.text);
    assert!(!outcome.text.contains("max_depth"), "{}", outcome.text);
}

/// The total counts the items of the page, so nothing in the first answer says that more follow.
#[test]
fn a_cap_beside_a_total_of_the_page_is_learnt_of_a_list_by_its_last_item() {
    let all = rows(87);
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("since_id").unwrap_or(0), asked.number("count").unwrap_or(20).clamp(1, 20));
        let items = slice(&all, from, size);
        Answered::new(json!({ "total": items.len(), "has_more": true, "items": items }))
    });
    assert_eq!(size_of(&outcome), ("count", Some(20)), "{}", outcome.text);
    assert!(!outcome.learnt.hidden, "{}", outcome.text);
}

/// Sizes above 25 are refused, and the first answer has 7 of 25 items.
#[test]
fn a_refused_size_is_larger_than_the_cap_of_a_list_that_leaves_out_rows() {
    let all = rows(90);
    let outcome = learn(|asked| {
        let size = asked.number("pageSize").unwrap_or(25);
        if !(1..=25).contains(&size) {
            return Answered::refused(400, json!({ "error": "no such page" }));
        }
        let page = asked.number("pageNumber").unwrap_or(1).max(1);
        let shown = |row: &Value| !(8..=25).contains(&row["id"].as_u64().unwrap());
        let items: Vec<Value> = slice(&all, (page - 1) * size, size).into_iter().filter(shown).collect();
        Answered::new(json!({ "data": items, "total": 72 }))
    });
    assert_eq!(size_of(&outcome), ("pageSize", Some(25)), "{}", outcome.text);
    assert!(outcome.learnt.hidden, "{}", outcome.text);
}

/// The first answer has the 15 items before the gap, for every size from 15 on, and a size of 15 after them gives none.
#[test]
fn rows_left_out_after_the_first_items_of_a_list_by_its_last_item_are_no_cap() {
    let all = rows(101);
    let outcome = learn(|asked| {
        let from = asked.number("starting_after").unwrap_or(0);
        let size = asked.number("per_page").filter(|size| (1..=30).contains(size)).unwrap_or(30);
        let shown = |row: &Value| !(16..=32).contains(&row["id"].as_u64().unwrap());
        let items: Vec<Value> = slice(&all, from, size).into_iter().filter(shown).collect();
        Answered::new(json!({ "items": items, "total": 84, "has_more": true }))
    });
    assert!(outcome.learnt.hidden, "{}", outcome.text);
    assert!(size_of(&outcome).1.is_some_and(|most| (20..=30).contains(&most)), "{}", outcome.text);
}

#[test]
fn rows_left_out_of_a_list_by_its_last_item_are_no_cap() {
    let all = rows(257);
    let outcome = learn(|asked| {
        let from = asked.number("since_id").unwrap_or(0);
        let size = asked.number("limit").unwrap_or(30).min(200);
        let shown = |row: &Value| !(43..=92).contains(&row["id"].as_u64().unwrap());
        let items: Vec<Value> = slice(&all, from, size).into_iter().filter(shown).collect();
        Answered::new(json!(items))
    });
    assert!(outcome.learnt.hidden, "{}", outcome.text);
}
