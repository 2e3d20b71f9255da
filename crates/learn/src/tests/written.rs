//! Tests of configurations that are written for learnt lists, and can be loaded.

use serde_json::{Value, json};

use super::query;
use crate::{
    ProbeLimits, ProbeTarget,
    findings::PlaceForm,
    testing::{Answered, learn, learn_as, rows, slice, sorted, target},
};

#[test]
fn a_sort_whose_parameter_has_the_field_joins_no_keys() {
    let mut all = rows(300);
    all.iter_mut().for_each(|row| row["score"] = json!(row["score"].as_u64().unwrap() % 40));
    let outcome = learn(|asked| {
        let mut rows = all.clone();
        let keys = asked.pairs.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix("$sort[")?.strip_suffix(']')?.to_owned(), value.starts_with('-')))
        });
        for (field, descending) in keys.collect::<Vec<_>>().into_iter().rev() {
            rows = sorted(rows, &field, descending);
        }
        let (from, size) = (asked.number("$skip").unwrap_or(0), asked.number("$limit").unwrap_or(20).min(100));
        Answered::new(json!({ "total": rows.len(), "limit": size, "skip": from, "data": slice(&rows, from, size) }))
    });
    let sort = outcome.learnt.sort.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert_eq!((sort.query.as_str(), sort.join.as_deref()), ("$sort[{field}]={direction}", None), "{}", outcome.text);
    assert!(!sort.one_key, "{}", outcome.text);
}

/// The list has too few items to show that a filter by greater values works.
#[test]
fn a_filter_in_one_direction_is_written_if_it_leads_on() {
    let all = rows(4);
    let learn_with = |words: &'static [&'static str]| {
        learn(|asked| {
            let bound = |name: &str| asked.number(name).filter(|_| words.contains(&name)).map(|bound| bound as u64);
            let id = |row: &Value| row["id"].as_u64().unwrap();
            let mut rows = all.clone();
            rows.retain(|row| bound("id_lt").is_none_or(|most| id(row) < most));
            rows.retain(|row| bound("id_lte").is_none_or(|most| id(row) <= most));
            rows.retain(|row| bound("id_gte").is_none_or(|least| id(row) >= least));
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            Answered::new(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
        })
    };
    for (words, written) in [
        (["id_lt", "id_lte", "id_gte"].as_slice(), Some(vec!["gte", "lte", "lt"])),
        (&["id_gte"], Some(vec!["gte"])),
        (&["id_lte"], None),
    ] {
        let outcome = learn_with(words);
        let ranges = outcome.learnt.ranges.as_ref();
        let keys = ranges.map(|ranges| ranges.terms.iter().map(|(key, _)| *key).collect());
        assert_eq!(keys, written, "{}", outcome.text);
    }
}

#[test]
fn an_accept_header_is_a_part_of_the_route() {
    let all = rows(300);
    let given = ProbeTarget { accept: Some("application/vnd.api+json".to_owned()), ..target() };
    let outcome = learn_as(given, ProbeLimits::default(), |asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
    });
    assert!(outcome.text.contains("Accept = \"application/vnd.api+json\""), "{}", outcome.text);
}

#[test]
fn a_list_of_kubernetes_is_learnt_with_its_built_in_dialect() {
    let all: Vec<Value> = (0..230)
        .map(|at| json!({ "metadata": { "name": format!("pod-{at:04}"), "uid": format!("{at:08}-1111") } }))
        .collect();
    let outcome = learn(|asked| {
        let from = asked.text("continue").and_then(|token| token[1..].parse().ok()).unwrap_or(0);
        let size = asked.number("limit").unwrap_or(500);
        let next = if from + size < all.len() { format!("t{}", from + size) } else { String::new() };
        let rest = all.len().saturating_sub(from + size);
        Answered::new(json!({
            "kind": "PodList",
            "metadata": { "resourceVersion": "7", "continue": next, "remainingItemCount": rest },
            "items": slice(&all, from, size),
        }))
    });
    let Some(PlaceForm::Token { slot, place, .. }) = &outcome.learnt.place else { panic!("{}", outcome.text) };
    assert_eq!((slot, place.as_str()), (&query("continue"), "/metadata/continue"));
    assert_eq!(outcome.learnt.preset, Some("kubernetes"), "{}", outcome.text);
}
