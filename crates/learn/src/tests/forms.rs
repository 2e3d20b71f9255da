//! Tests of answers in unusual forms: objects in place of arrays, facts and items in one array, and feeds whose answers
//! include the item that was asked for.

use serde_json::{Map, Value, json};

use super::query;
use crate::{
    findings::PlaceForm,
    testing::{Answered, SimulatedRequest, learn, rows, slice},
};

/// Returns the rows for a request by `offset` and `limit`.
fn asked_rows(asked: &SimulatedRequest, all: &[Value]) -> Vec<Value> {
    slice(all, asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100))
}

#[test]
fn a_single_item_without_an_array_is_learnt() {
    // The last page of 241 items has one item; of 257 items, only a request for one item shows the form.
    for count in [241, 257] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let rows = asked_rows(asked, &all);
            let item = if rows.len() == 1 { rows[0].clone() } else { json!(rows) };
            Answered::new(json!({ "result": { "item": item }, "total": all.len() }))
        });
        assert_eq!(outcome.learnt.places.items_object, Some("single"), "{}", outcome.text);
        assert!(outcome.text.contains("items_object = \"single\""), "{}", outcome.text);
        assert!(!outcome.learnt.places.items_optional, "{}", outcome.text);
    }
}

#[test]
fn an_array_with_gaps_is_learnt_from_its_indexes() {
    let all = rows(257);
    // The first page is an object, or only a later one is.
    for gap in [3, 215] {
        let outcome = learn(|asked| {
            let rows = asked_rows(asked, &all);
            let has_gap = rows.iter().any(|row| row["id"] == gap);
            let shown = rows.into_iter().enumerate().filter(|(_, row)| row["id"] != gap);
            let data: Value = if has_gap {
                Value::Object(shown.map(|(index, row)| (index.to_string(), row)).collect::<Map<_, _>>())
            } else {
                shown.map(|(_, row)| row).collect()
            };
            Answered::new(json!({ "data": data }))
        });
        assert_eq!(outcome.learnt.places.items_object, Some("values"), "{gap}: {}", outcome.text);
        assert_eq!(outcome.learnt.shape.items, "/data", "{gap}: {}", outcome.text);
        assert_eq!(outcome.learnt.shape.id.as_deref(), Some("/id"), "{gap}: {}", outcome.text);
    }
}

#[test]
fn items_beside_facts_in_an_array_are_learnt() {
    let all = rows(257);
    let outcome = learn(|asked| {
        let size = asked.number("per_page").unwrap_or(50).clamp(1, 100);
        let page = asked.number("page").unwrap_or(1).max(1);
        let items = slice(&all, (page - 1) * size, size);
        let facts = json!({
            "page": page, "pages": all.len().div_ceil(size), "per_page": size.to_string(), "total": all.len(),
        });
        Answered::new(json!([facts, if items.is_empty() { Value::Null } else { json!(items) }]))
    });
    let learnt = &outcome.learnt;
    assert_eq!((learnt.shape.items.as_str(), learnt.shape.id.as_deref()), ("/1", Some("/id")), "{}", outcome.text);
    assert_eq!(learnt.places.total.as_deref(), Some("/0/total"), "{}", outcome.text);
    assert!(learnt.places.items_optional, "{}", outcome.text);
    assert_eq!(learnt.size.as_ref().map(|form| form.slot.clone()), Some(query("per_page")), "{}", outcome.text);
    assert!(matches!(&learnt.place, Some(PlaceForm::Page { first: 1, .. })), "{}", outcome.text);
}

#[test]
fn a_feed_that_includes_the_item_asked_for_is_learnt() {
    // The newest items come first, and `max_id` includes the item with that id.
    let mut all = rows(257);
    all.reverse();
    let outcome = learn(|asked| {
        let most = asked.number("max_id").unwrap_or(usize::MAX) as u64;
        let rest: Vec<Value> = all.iter().filter(|row| row["id"].as_u64().unwrap() <= most).cloned().collect();
        Answered::new(json!({ "posts": slice(&rest, 0, asked.number("count").unwrap_or(20).min(100)) }))
    });
    let expected = PlaceForm::After { slot: query("max_id"), is_inclusive: true };
    assert_eq!(outcome.learnt.place, Some(expected), "{}", outcome.text);
    assert!(outcome.text.contains("after_inclusive = true"), "{}", outcome.text);
    assert!(outcome.text.contains("end = \"empty-page\""), "{}", outcome.text);
}

/// A join repeats ids, so no order can end with the id.
#[test]
fn a_list_whose_ids_repeat_gets_no_order() {
    let all: Vec<Value> = rows(300)
        .into_iter()
        .enumerate()
        .map(|(index, mut row)| {
            row["id"] = json!(if index > 150 { index / 2 } else { index });
            row["created_at"] = json!(format!("2026-01-{:02}T{:02}:00:00Z", index / 24 + 1, index % 24));
            row
        })
        .collect();
    let outcome = learn(|asked| Answered::new(json!({ "items": asked_rows(asked, &all), "total": all.len() })));
    assert_eq!(outcome.learnt.shape.id, None, "{}", outcome.text);
    assert_eq!(outcome.learnt.order, None, "{}", outcome.text);
    let keys = ["\norder = ", "\nsortable = ", "\nfilterable = "];
    assert!(keys.iter().all(|key| !outcome.text.contains(key)), "{}", outcome.text);
}

#[test]
fn aligned_offsets_are_learnt() {
    let all = rows(257);
    for is_refused in [false, true] {
        let outcome = learn(|asked| {
            let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
            let from = asked.number("offset").unwrap_or(0);
            if is_refused && from % size != 0 {
                return Answered::refused(400, json!({ "error": "offset must be a multiple of limit" }));
            }
            Answered::new(json!({ "hits": slice(&all, from / size * size, size), "total_hits": all.len() }))
        });
        assert!(outcome.learnt.is_aligned, "{}", outcome.text);
        assert!(outcome.text.contains("aligned = true"), "{}", outcome.text);
        assert!(!outcome.learnt.repeats_last_page, "{}", outcome.text);
    }
}

#[test]
fn a_link_whose_parameter_tells_the_end_is_learnt() {
    let all = rows(57);
    let outcome = learn(|asked| {
        let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
        let from: usize = asked.text("cursor").and_then(|token| token.strip_prefix("0:")?.parse().ok()).unwrap_or(0);
        let link = |relation: &str, to: usize, has: bool| {
            format!("<http://legacy.test/api/items?cursor=0:{to}>; rel=\"{relation}\"; results=\"{has}\"")
        };
        let links =
            [link("previous", from.saturating_sub(size), from > 0), link("next", from + size, from + size < 57)];
        Answered::new(json!(slice(&all, from, size))).with("link", links.join(", "))
    });
    assert!(outcome.text.contains("next_token = \"link:next;results=true\""), "{}", outcome.text);
    assert!(outcome.text.contains("prev_token = \"link:previous;results=true\""), "{}", outcome.text);
}
