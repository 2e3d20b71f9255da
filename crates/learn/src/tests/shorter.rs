//! Tests of lists whose answers get shorter further down: by a limit of bytes, or by a cap that falls.

use serde_json::{Value, json};

use super::size_of;
use crate::{
    findings::PlaceForm,
    testing::{Answered, LearntCase, SimulatedRequest, learn, slice},
};

fn place_and_size(asked: &SimulatedRequest, by_page: bool) -> (usize, usize) {
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
    let from = match by_page {
        true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
        false => asked.number("offset").unwrap_or(0),
    };
    (from, size)
}

/// Learns a list whose answers have at most as many of the rows as `fits` allows from an offset on.
fn learnt(all: &[Value], by_page: bool, has_total: bool, fits: impl Fn(usize, usize) -> usize) -> LearntCase {
    learn(|asked| {
        let (from, size) = place_and_size(asked, by_page);
        let mut body = json!({ "items": slice(all, from, fits(from, size)) });
        if has_total {
            body["total"] = json!(all.len());
        }
        Answered::new(body)
    })
}

fn assert_cut(outcome: &LearntCase, least: u32, name: &str) {
    let text = &outcome.text;
    assert!(!outcome.learnt.hidden && !text.contains("hidden = true"), "{name}: {text}");
    assert!(matches!(outcome.learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. })), "{name}: {text}");
    assert!(size_of(outcome).1.is_some_and(|max| max <= least), "{name}: {text}");
    let finding = outcome.learnt.findings.iter().find(|finding| finding.about == "largest size").unwrap();
    assert!(finding.evidence.contains("shorter further down"), "{name}: {}", finding.evidence);
}

const FACTS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

#[test]
fn a_cap_that_falls_is_no_list_with_dropped_rows() {
    for (count, high, low, from) in [(310, 100, 10, 200), (310, 50, 5, 100), (3_000, 100, 10, 200), (3_000, 20, 3, 60)]
    {
        for (by_page, has_total) in FACTS {
            let all: Vec<Value> = (1..=count).map(|id| json!({ "id": id })).collect();
            let fits = |at: usize, size: usize| size.min(if at < from { high } else { low });
            let outcome = learnt(&all, by_page, has_total, fits);
            let name = format!("{count} {high} {low} {from} {by_page} {has_total}");
            assert_cut(&outcome, u32::try_from(low).unwrap(), &name);
        }
    }
}

#[test]
fn answers_that_are_cut_by_bytes_are_no_list_with_dropped_rows() {
    let all: Vec<Value> =
        (0..300).map(|at| json!({ "id": at + 1, "text": "x".repeat(if at < 150 { 20 } else { 300 }) })).collect();
    for (by_page, has_total) in FACTS {
        let fits = |at: usize, size: usize| {
            let mut bytes = 0;
            let fitting = all.iter().skip(at).take(size).take_while(|row| {
                bytes += row.to_string().len();
                bytes <= 6_000
            });
            fitting.count()
        };
        let outcome = learnt(&all, by_page, has_total, fits);
        assert_cut(&outcome, 19, &format!("{by_page} {has_total}"));
    }
}

/// By token, some rows of the first answer are left out, and a later answer has as many as the cap allows.
#[test]
fn a_first_answer_that_lacks_rows_does_not_set_the_cap_of_a_list_by_token() {
    for (gap, count, most) in [(60..=89, 257, 100), (60..=119, 257, 81)] {
        let all: Vec<Value> = (1..=count).map(|id| json!({ "id": id })).collect();
        let outcome = learn(|asked| {
            let from = asked.text("after").map_or(0, |token| token[1..].parse().unwrap());
            let size = asked.number("limit").unwrap_or(25).clamp(1, 100);
            let next = (from + size < all.len()).then(|| format!("c{}", from + size));
            let shown = slice(&all, from, size);
            let is_visible = |row: &&Value| !gap.contains(&row["id"].as_u64().unwrap());
            Answered::new(
                json!({ "data": shown.iter().filter(is_visible).collect::<Vec<_>>(), "paging": { "after": next } }),
            )
        });
        assert_eq!(size_of(&outcome).1, Some(most), "{gap:?}: {}", outcome.text);
    }
    // All 70 items are in one answer, so none of its findings says that there are more.
    let all: Vec<Value> = (1..=70).map(|id| json!({ "id": id })).collect();
    let outcome = learn(|asked| {
        let from = asked.text("cursor").map_or(0, |token| token[1..].parse().unwrap());
        let size = asked.number("limit").unwrap_or(20).clamp(1, 1_000);
        let next = (from + size < all.len()).then(|| format!("c{}", from + size));
        Answered::new(json!({ "items": slice(&all, from, size), "next_cursor": next }))
    });
    let finding = outcome.learnt.findings.iter().find(|finding| finding.about == "largest size").unwrap();
    assert!(!finding.evidence.contains("there are more"), "{}", finding.evidence);
}
