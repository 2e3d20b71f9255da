//! Tests of learnt orders: their fields, the comparisons of values, ties, nulls, and range filters.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{by_offset, order};
use crate::{
    ProbeLimits, ProbeTarget,
    findings::NullsAt,
    order::ValueOrder,
    testing::{Answered, learn, learn_as, load, rows, scatter, slice, sorted, target},
};
use cursorgate_core::pagination::order::Kind;

#[test]
fn an_order_that_is_not_by_bytes_is_never_learnt_as_an_order_by_bytes() {
    let mut insensitive = rows(400);
    insensitive.sort_by_key(|row| (row["name"].as_str().unwrap().to_lowercase(), row["id"].as_u64()));
    let mut by_language = rows(400);
    let folded = |text: &str| -> String {
        let plain = text.to_lowercase().replace(['ä', 'á'], "a").replace('é', "e");
        plain.chars().filter(|letter| letter.is_alphanumeric()).collect()
    };
    by_language.sort_by_key(|row| (folded(row["name"].as_str().unwrap()), row["id"].as_u64()));
    for (what, all) in [("without regard to case", insensitive), ("by language", by_language)] {
        let outcome = learn(by_offset(all));
        let list = load(&outcome.text).unwrap();
        let field = list.fields.iter().find(|field| field.name == "name");
        assert_eq!(field.map(|field| &field.kind), Some(&Kind::Opaque), "{what}: {}", outcome.text);
        assert_eq!(order(&outcome)[0], "Ascending name", "{what}");
    }
    let binary = learn(by_offset(sorted(rows(400), "name", false)));
    assert_eq!(binary.learnt.order.as_ref().unwrap().keys[0].0.comparison, ValueOrder::Bytes, "{}", binary.text);
}

/// The first items all have one value of the sort key, and the last items another. Both ends of the list are therefore
/// sorted by id, and its middle is not.
#[test]
fn a_sort_by_few_values_is_not_taken_for_one_by_ids() {
    let mut all = rows(403);
    let rank = |row: &Value| ["low", "normal", "high"].iter().position(|kind| row["kind"] == *kind);
    all.sort_by_key(|row| (rank(row), row["id"].as_u64()));
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(80));
        Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
    });
    // More items are equal than an answer contains, and their order is not known.
    let ties = outcome.learnt.findings.iter().find(|finding| finding.about == "ties").unwrap();
    assert!(ties.evidence.contains("[\"kind\", \"id\"]"), "{}", ties.evidence);
    assert!(outcome.learnt.order.is_none() && !outcome.text.contains("\norder ="), "{}", outcome.text);
}

#[test]
fn an_order_by_rank_is_recognised() {
    let mut all = rows(300);
    all.sort_by_key(|row| ["low", "normal", "high"].iter().position(|kind| row["kind"] == *kind));
    let outcome = learn(by_offset(all));
    let key = &outcome.learnt.order.as_ref().unwrap_or_else(|| panic!("{}", outcome.text)).keys[0].0;
    assert_eq!(
        key.comparison,
        ValueOrder::Rank(["low", "normal", "high"].map(str::to_owned).to_vec()),
        "{}",
        outcome.text
    );
}

#[test]
fn the_place_of_nulls_is_found() {
    let mut all = sorted(rows(300), "note", false);
    let nulls: Vec<Value> = all.iter().filter(|row| row["note"].is_null()).cloned().collect();
    all.retain(|row| !row["note"].is_null());
    all.extend(nulls);
    let outcome = learn(by_offset(all));
    let key = &outcome.learnt.order.as_ref().unwrap_or_else(|| panic!("{}", outcome.text)).keys[0].0;
    assert_eq!((key.name.as_str(), key.nulls), ("note", Some(NullsAt::Last)));
}

#[test]
fn a_list_in_no_order_is_learnt_without_an_order() {
    let mut all = rows(300);
    all.sort_by_key(|row| scatter(row["id"].as_u64().unwrap() * 31));
    let outcome = learn(by_offset(all));
    assert_eq!(outcome.learnt.order, None, "{}", outcome.text);
    assert!(!load(&outcome.text).unwrap().declared);
}

/// The upstream returns times in seconds and compares milliseconds, so an inclusive filter by a returned time omits
/// items.
#[test]
fn a_filter_that_leaves_out_equal_items_is_not_used() {
    let time = |id: u64| format!("2024-05-{:02}T10:{:02}:{:02}", 1 + id / 400, id / 20 % 60, id / 5 % 4);
    let millis = |id: u64| format!("{}.{:03}Z", time(id), id % 5 * 7);
    for is_exact in [false, true] {
        let outcome = learn(|asked| {
            let mut ids: Vec<u64> = (0..900).collect();
            let shown = |id: u64| if is_exact { millis(id) } else { format!("{}Z", time(id)) };
            let bound = |name: &str| {
                asked.text(name).map(|text| if is_exact { text.to_owned() } else { text.replace('Z', ".000Z") })
            };
            if let Some(most) = bound("at__lte") {
                ids.retain(|id| millis(*id) <= most);
            }
            if let Some(least) = bound("at__gte") {
                ids.retain(|id| millis(*id) >= least);
            }
            ids.sort_by_key(|id| Reverse((millis(*id), scatter(*id))));
            let rows: Vec<Value> =
                ids.iter().map(|id| json!({ "id": scatter(*id) % 1_000_000_000_000, "at": shown(*id) })).collect();
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(300));
            Answered::new(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
        });
        assert_eq!(order(&outcome)[0], "Descending at", "{}", outcome.text);
        assert_eq!(outcome.learnt.ranges.is_some(), is_exact, "{}", outcome.text);
    }
}

#[test]
fn ids_that_may_be_numbers_or_text_get_no_type() {
    let ids = |width: usize| -> Vec<Value> {
        let texts = (100..500).map(|id| json!({ "id": format!("{id:0width$}"), "v": scatter(id) % 7 }));
        texts.collect()
    };
    let same = learn(by_offset(ids(3)));
    assert!(!same.text.contains("number-in-string"), "{}", same.text);
    assert_eq!(order(&same), ["Ascending id"]);
    let mut numbers: Vec<Value> = (90..490).map(|id| json!({ "id": id.to_string(), "v": scatter(id) % 7 })).collect();
    numbers.sort_by_key(|row| row["id"].as_str().unwrap().parse::<u64>().unwrap());
    assert!(learn(by_offset(numbers)).text.contains("number-in-string"));
}

/// The list is already sorted by id in descending order, so only an ascending sort would have an effect.
#[test]
fn a_sort_parameter_without_effect_is_not_learnt() {
    let all = sorted(rows(300), "id", true);
    let outcome = learn(by_offset(all));
    assert!(outcome.learnt.sort.is_none(), "{}", outcome.text);
}

/// The list runs by the numbers in its ids, and its parameter sorts them as text, as json-server does.
#[test]
fn ids_that_are_sorted_as_text_are_no_numbers() {
    let mut all = rows(1_003);
    all.iter_mut().for_each(|row| row["id"] = json!(row["id"].to_string()));
    let outcome = learn(|asked| {
        let mut rows = all.clone();
        if let Some(sort) = asked.text("_sort") {
            let (field, descending) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
            rows = sorted(rows, field, descending);
        }
        let (from, size) = (asked.number("_start").unwrap_or(0), asked.number("_limit").unwrap_or(10).min(100));
        Answered::new(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
    });
    let sort = outcome.learnt.sort.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert!(sort.fields.contains(&"id".to_owned()), "{}", outcome.text);
    assert!(!outcome.text.contains("type = \"number-in-string\""), "{}", outcome.text);
    let finding = outcome.learnt.findings.iter().find(|finding| finding.about == "order").unwrap();
    assert!(finding.evidence.contains("the list's own order is as numbers in strings"), "{finding:?}");
}

#[test]
fn a_sort_of_the_url_is_sent_once() {
    let all = rows(300);
    // The service takes several keys, or only the first one.
    for keys in [2, 1] {
        let given = ProbeTarget { fixed: vec![("sort".to_owned(), "-created_at,-id".to_owned())], ..target() };
        let outcome = learn_as(given, ProbeLimits::default(), |asked| {
            let mut rows = all.clone();
            for key in asked.text("sort").unwrap_or("id").split(',').take(keys).collect::<Vec<_>>().into_iter().rev() {
                let (field, descending) = key.strip_prefix('-').map_or((key, false), |field| (field, true));
                rows = sorted(rows, field, descending);
            }
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            Answered::new(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
        });
        let is_fixed = outcome.text.contains("sort=-created_at");
        let is_asked = outcome.text.contains("[dialects.items.sort]");
        assert!(is_fixed != is_asked, "{keys}: {}", outcome.text);
        assert!(is_asked || keys == 1, "{}", outcome.text);
    }
}

/// A list runs by creation, and its items are numbered in their names.
#[test]
fn numbered_names_are_in_no_order_of_a_language() {
    let all: Vec<Value> = (1..=230)
        .rev()
        .map(|number| json!({ "id": format!("cus_{:016x}", scatter(number)), "name": format!("customer {number}") }))
        .collect();
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(10).min(100));
        Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
    });
    assert_eq!(outcome.learnt.order, None, "{}", outcome.text);
}

/// The first names by this sort have one case, and further ones have another.
#[test]
fn a_sort_without_regard_to_case_is_none_by_bytes() {
    let all: Vec<Value> = (0..300_u64)
        .map(|at| {
            let rank = scatter(at) % 1_000;
            let name = format!("name{rank:04}");
            let is_late = rank > 250 && rank < 750;
            json!({ "id": at + 1, "name": if is_late { name.to_uppercase() } else { name } })
        })
        .collect();
    let outcome = learn(|asked| {
        let mut rows = all.clone();
        if let Some(sort) = asked.text("sort") {
            let (field, descending) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
            rows = sorted(rows, field, false);
            if field == "name" {
                rows.sort_by_key(|row| row["name"].as_str().unwrap().to_lowercase());
            }
            if descending {
                rows.reverse();
            }
        }
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        Answered::new(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
    });
    let list = load(&outcome.text).unwrap();
    let field = list.fields.iter().find(|field| field.name == "name");
    assert!(field.is_none_or(|field| field.kind == Kind::Opaque), "{}", outcome.text);
    let is_sortable = list.sortable.iter().any(|field| field.value == "name");
    assert!(!is_sortable || field.is_some(), "{}", outcome.text);
}
