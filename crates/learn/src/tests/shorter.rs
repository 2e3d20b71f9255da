//! Tests of lists whose answers have fewer items than places: answers that get shorter further down, by a limit of
//! bytes or by a cap that falls, and pages of a fixed size without some of their rows.

use serde_json::{Value, json};

use super::size_of;
use crate::{
    Certainty,
    findings::PlaceForm,
    testing::{Answered, LearntCase, SimulatedRequest, learn, scatter, slice},
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

/// Learns a list by page, whose pages have a fixed number of rows and lack those that aren't visible. `total` is the
/// number that answers state.
fn learnt_of_fixed_pages(
    all: &[Value],
    size: usize,
    total: Option<usize>,
    is_visible: impl Fn(&Value) -> bool,
) -> LearntCase {
    learn(|asked| {
        let rows = slice(all, (asked.number("page").unwrap_or(1).max(1) - 1) * size, size);
        let mut body = json!({ "data": rows.into_iter().filter(|row| is_visible(row)).collect::<Vec<_>>() });
        if let Some(total) = total {
            body["total"] = json!(total);
        }
        Answered::new(body)
    })
}

fn page_size_of(outcome: &LearntCase) -> Option<(Certainty, &str)> {
    let found: Vec<_> = outcome.learnt.findings.iter().filter(|finding| finding.about == "page size").collect();
    assert!(found.len() < 2, "{}", outcome.text);
    found.first().map(|finding| (finding.certainty, finding.found.as_str()))
}

/// The ids number the rows, so the ids of some pages show how many rows each page has.
#[test]
fn rows_left_out_of_pages_of_a_fixed_size_do_not_hide_it() {
    let lists = [(20, 7, 2), (20, 7, 6), (20, 7, 1), (20, 9, 2), (25, 4, 1), (50, 10, 3), (10, 7, 3)];
    let numberings = [(1, 1), (5_000, 1), (7, 3), (9_000, -1)];
    for (index, (size, each, left_out)) in lists.into_iter().enumerate() {
        for (other, (first, step)) in numberings.into_iter().enumerate() {
            let all: Vec<Value> = (0..257_i64).map(|at| json!({ "id": first + step * at, "row": at + 1 })).collect();
            let is_visible = |row: &Value| row["row"].as_u64().unwrap() % each != left_out;
            let visible = all.iter().filter(|row| is_visible(row)).count();
            let total = [Some(257), Some(visible), None][(index + other) % 3];
            let outcome = learnt_of_fixed_pages(&all, size, total, is_visible);
            let name = format!("{size} {each} {left_out} {first} {step} {total:?}: {}", outcome.text);
            assert_eq!(outcome.learnt.default_size as usize, size, "{name}");
            assert!(outcome.learnt.hidden && outcome.learnt.max_depth.is_none(), "{name}");
            assert!(outcome.text.contains("hidden = true"), "{name}");
        }
    }
}

/// Pages with all of their rows have the size of the largest one, whatever the gaps between ids are.
#[test]
fn gaps_between_ids_are_no_rows_that_are_left_out() {
    // One of `each` ids is followed by a gap.
    for (count, size, each) in
        [257, 1_003].into_iter().flat_map(|count| [(count, 20, 10), (count, 17, 10), (count, 17, 2), (count, 30, 1)])
    {
        for seed in 0..3 {
            let mut id = 0;
            let all: Vec<Value> = (0..count)
                .map(|at| {
                    let number = scatter(at ^ seed << 20);
                    id += 1 + if number.is_multiple_of(each) { number / each % 9 } else { 0 };
                    json!({ "id": id })
                })
                .collect();
            let outcome = learnt_of_fixed_pages(&all, size, None, |_| true);
            let name = format!("{count} {size} {each} {seed}: {}", outcome.text);
            assert_eq!(outcome.learnt.default_size as usize, size, "{name}");
            assert!(!outcome.learnt.hidden, "{name}");
        }
    }
}

/// Ids that don't number the rows show no size, so an unusual number of items is a doubt.
#[test]
fn an_unusual_fixed_size_is_a_doubt() {
    let all: Vec<Value> = (1..=257).map(|row| json!({ "id": format!("{:016x}", scatter(row)), "row": row })).collect();
    let outcome = learnt_of_fixed_pages(&all, 20, Some(257), |row| row["row"].as_u64().unwrap() % 7 != 2);
    let (certainty, found) = page_size_of(&outcome).unwrap_or_else(|| panic!("{}", outcome.text));
    assert_eq!((certainty, found), (Certainty::Likely, "17"), "{}", outcome.text);
    let outcome = learnt_of_fixed_pages(&all, 20, Some(257), |_| true);
    assert_eq!(page_size_of(&outcome), None, "{}", outcome.text);
}
