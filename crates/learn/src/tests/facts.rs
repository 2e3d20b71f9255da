//! Tests of facts that answers contradict: flags, totals and sizes that would end a list too early.

use serde_json::{Value, json};

use super::{query, size_of};
use crate::{
    Certainty,
    findings::PlaceForm,
    testing::{Answered, LearntCase, learn, rows, slice},
};

fn finding(outcome: &LearntCase, about: &str) -> (Certainty, String, String) {
    let found = outcome.learnt.findings.iter().filter(|finding| finding.about == about);
    let [finding] = found.collect::<Vec<_>>()[..] else { panic!("{about}: {}", outcome.text) };
    (finding.certainty, finding.found.clone(), finding.evidence.clone())
}

#[test]
fn a_flag_that_is_false_with_items_after_it_is_no_flag() {
    for (count, cap) in [(3_000, 20), (3_000, 100), (90, 20), (30, 100)] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let from = asked.text("cursor").map_or(0, |token| token[1..].parse().unwrap());
            let size = asked.number("limit").unwrap_or(20).min(cap);
            let next = (from + size < all.len()).then(|| format!("c{}", from + size));
            Answered::new(json!({ "items": slice(&all, from, size), "next_cursor": next, "truncated": false }))
        });
        assert_eq!(outcome.learnt.places.has_more, None, "{count} {cap}: {}", outcome.text);
        let (certainty, found, evidence) = finding(&outcome, "flag of more");
        assert_eq!((certainty, found.as_str()), (Certainty::Open, "not /truncated"), "{evidence}");
        assert!(evidence.contains("it is false in"), "{evidence}");
    }
}

#[test]
fn a_flag_by_the_id_of_the_last_item_is_compared_with_the_next_page() {
    for is_right in [true, false] {
        let all = rows(250);
        let outcome = learn(|asked| {
            let from = asked.number("starting_after").unwrap_or(0);
            let size = asked.number("limit").unwrap_or(10).min(100);
            let more = is_right && from + size < all.len();
            Answered::new(json!({ "data": slice(&all, from, size), "has_more": more }))
        });
        assert_eq!(outcome.learnt.place, Some(PlaceForm::After { slot: query("starting_after"), is_inclusive: false }));
        assert_eq!(outcome.learnt.places.has_more.is_some(), is_right, "{}", outcome.text);
        let (certainty, ..) = finding(&outcome, "flag of more");
        assert_eq!(certainty, if is_right { Certainty::Shown } else { Certainty::Open });
        assert_eq!(outcome.text.contains("end = \"empty-page\""), !is_right, "{}", outcome.text);
    }
}

/// The list is too deep for its end to be looked at.
#[test]
fn a_flag_of_a_deep_list_is_compared_with_its_pages() {
    for is_right in [true, false] {
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            let rows: Vec<Value> = (from..from + size).map(|id| json!({ "id": id })).collect();
            Answered::new(json!({ "items": rows, "more": is_right, "total": 10_000_000 }))
        });
        assert_eq!(outcome.learnt.places.has_more.is_some(), is_right, "{}", outcome.text);
        assert_eq!(finding(&outcome, "flag of more").0, if is_right { Certainty::Likely } else { Certainty::Open });
    }
}

#[test]
fn a_total_that_counts_the_page_does_not_hide_the_cap() {
    for (count, cap) in [(257, 100), (257, 37), (95, 30), (60, 100)] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let size = asked.number("page[size]").unwrap_or(20).min(cap);
            let from = (asked.number("page[number]").unwrap_or(1).max(1) - 1) * size;
            if from >= all.len() {
                return Answered::refused(400, json!({ "error": "no such page" }));
            }
            let items = slice(&all, from, size);
            Answered::new(json!({ "meta": { "page": { "total": items.len() } }, "data": items }))
        });
        let largest = if cap < count { u32::try_from(cap).unwrap() } else { 1_000 };
        assert_eq!(size_of(&outcome), ("page[size]", Some(largest)), "{count} {cap}: {}", outcome.text);
        assert_eq!(outcome.learnt.places.total, None, "{count} {cap}: {}", outcome.text);
        assert_eq!(outcome.learnt.past_end.len(), 1, "{count} {cap}: {}", outcome.text);
        assert_eq!(outcome.learnt.past_end[0].status, 400);
    }
}

/// Pages have a fixed size, so all answers but the last have the same number at the place of a total.
#[test]
fn a_total_that_counts_a_fixed_page_is_no_total() {
    let all = rows(130);
    let outcome = learn(|asked| {
        let items = slice(&all, (asked.number("page").unwrap_or(1).max(1) - 1) * 25, 25);
        Answered::new(json!({ "count": items.len(), "items": items }))
    });
    assert_eq!(outcome.learnt.places.total, None, "{}", outcome.text);
    assert!(finding(&outcome, "total").2.contains("/count is not"), "{}", outcome.text);
    assert_eq!(finding(&outcome, "past the end").1, "an empty list", "{}", outcome.text);
}

#[test]
fn a_total_that_shrinks_with_the_offset_is_no_total() {
    for has_other in [true, false] {
        let all = rows(257);
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            let mut body = json!({ "items": slice(&all, from, size), "total": all.len().saturating_sub(from) });
            if has_other {
                body["numFound"] = json!(all.len());
            }
            Answered::new(body)
        });
        let expected = has_other.then_some("/numFound");
        assert_eq!(outcome.learnt.places.total.as_deref(), expected, "{}", outcome.text);
        assert!(finding(&outcome, "total").2.contains("257 at the beginning"), "{}", outcome.text);
        assert_eq!(finding(&outcome, "past the end").1, "an empty list", "{}", outcome.text);
    }
}

/// The last 30 of 90 rows are left out, and the page after the last visible one is empty, not refused.
#[test]
fn the_answer_past_rows_that_are_left_out_at_the_end_is_learnt() {
    let all = rows(90);
    let outcome = learn(|asked| {
        let (page, size) = (asked.number("page").unwrap_or(1).max(1), asked.number("limit").unwrap_or(10).min(20));
        let from = (page - 1) * size;
        if from >= all.len() {
            return Answered::refused(404, json!({ "error": "no such page" }));
        }
        let shown: Vec<_> = slice(&all, from, size).into_iter().filter(|row| row["id"].as_u64() <= Some(60)).collect();
        Answered::new(json!({ "items": shown, "total": 60 }))
    });
    assert_eq!(outcome.learnt.past_end.len(), 1, "{}", outcome.text);
    assert_eq!(outcome.learnt.past_end[0].status, 404, "{}", outcome.text);
}

#[test]
fn a_status_past_the_end_is_no_bound_beside_a_total_that_is_too_high() {
    let all = rows(257);
    let outcome = learn(|asked| {
        let (page, size) = (asked.number("page").unwrap_or(1).max(1), asked.number("size").unwrap_or(50).min(100));
        match slice(&all, (page - 1) * size, size) {
            items if items.is_empty() => Answered::refused(400, json!({ "error": "no such page" })),
            items => Answered::new(json!({ "items": items, "total": 100_000 })),
        }
    });
    assert_eq!(outcome.learnt.max_depth, None, "{}", outcome.text);
    assert_eq!(outcome.learnt.past_end.len(), 1, "{}", outcome.text);
}

/// Each page lacks a row, and the total counts only the items that are shown.
#[test]
fn the_answer_past_the_end_of_a_list_with_short_pages_is_learnt() {
    let all = rows(247);
    let outcome = learn(|asked| {
        let from = asked.number("first").unwrap_or(0);
        if from >= all.len() {
            return Answered::refused(404, json!({ "error": "no such page" }));
        }
        let is_shown = |row: &Value| row["id"].as_u64().is_none_or(|id| id % 9 != 4);
        let shown: Vec<Value> = slice(&all, from, 20).into_iter().filter(is_shown).collect();
        Answered::new(json!({ "items": shown, "total": all.iter().filter(|row| is_shown(row)).count() }))
    });
    assert_eq!(outcome.learnt.past_end.len(), 1, "{}", outcome.text);
}

/// The total counts only the items that are shown, so the page after the last one by it has items.
#[test]
fn items_after_a_total_that_is_too_low_are_no_bound() {
    let all = rows(135);
    let is_shown = |row: &Value| row["id"].as_u64().is_none_or(|id| id <= 30 || id * 7 % 23 > 3);
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("first").unwrap_or(0), asked.number("page_size").unwrap_or(20).min(20));
        let shown: Vec<Value> = slice(&all, from, size).into_iter().filter(is_shown).collect();
        Answered::new(json!({ "items": shown, "total": all.iter().filter(|row| is_shown(row)).count() }))
    });
    assert_eq!(outcome.learnt.max_offset, None, "{}", outcome.text);
    assert!(outcome.learnt.hidden, "{}", outcome.text);
}

#[test]
fn an_offset_that_is_capped_is_not_the_last_page_again() {
    let all = rows(257);
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("skip").unwrap_or(0).min(100), asked.number("limit").unwrap_or(20).min(100));
        Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
    });
    assert!(!outcome.learnt.repeats_last_page, "{}", outcome.text);
    assert_eq!(outcome.learnt.max_offset, Some(100), "{}", outcome.text);
    assert!(outcome.text.contains("max_offset = 100"), "{}", outcome.text);
}

#[test]
fn an_offset_that_is_capped_is_found_without_a_total() {
    for (count, most) in [(257, 100), (257, 37), (1_003, 700), (120, 100)] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("skip").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            Answered::new(json!({ "items": slice(&all, from.min(most), size) }))
        });
        // Behind the bound, the last page is as short as at the end of a list, so only a longer list shows the bound.
        let is_shown = count - most >= 100;
        assert_eq!(outcome.learnt.max_offset, is_shown.then_some(most as u64), "{count} {most}: {}", outcome.text);
        assert!(!is_shown || !outcome.learnt.repeats_last_page, "{}", outcome.text);
    }
}

#[test]
fn a_repeated_last_page_is_no_bound() {
    for count in [200, 257] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("skip").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            let from = if from < count { from } else { count.saturating_sub(size) };
            Answered::new(json!({ "items": slice(&all, from, size), "total": count }))
        });
        assert_eq!(outcome.learnt.max_offset, None, "{}", outcome.text);
    }
}

#[test]
fn a_list_that_begins_again_has_no_bound() {
    for (count, left_out) in [(200, 0..0), (257, 0..0), (200, 183..188), (20, 0..0)] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("from").unwrap_or(0), asked.number("limit").unwrap_or(25).min(25));
            let from = if from < count { from } else { 0 };
            let is_shown = |row: &Value| row["id"].as_u64().is_none_or(|id| !left_out.contains(&id));
            let shown: Vec<Value> = slice(&all, from, size).into_iter().filter(is_shown).collect();
            Answered::new(json!({ "items": shown }))
        });
        assert_eq!(outcome.learnt.max_offset, None, "{}", outcome.text);
        assert!(!outcome.learnt.repeats_last_page, "{}", outcome.text);
    }
}

#[test]
fn a_page_number_that_is_capped_is_not_the_last_page_again() {
    let all = rows(257);
    let outcome = learn(|asked| {
        let size = asked.number("limit").unwrap_or(20).min(100);
        let page = asked.number("page").unwrap_or(1).clamp(1, 2);
        Answered::new(json!({ "items": slice(&all, (page - 1) * size, size), "total": all.len() }))
    });
    assert!(!outcome.learnt.repeats_last_page, "{}", outcome.text);
    assert_eq!(finding(&outcome, "past the end").1, "the same page at two places", "{}", outcome.text);
}

/// Each fifth row is dropped from an answer after the limit is applied; with `late`, only rows from 150 on.
#[test]
fn items_dropped_after_the_limit_are_no_smaller_size() {
    for (late, by_page, total) in
        [(0, true, true), (0, true, false), (0, false, true), (150, true, true), (150, false, false)]
    {
        let all = rows(400);
        let is_visible = |row: &&Value| row["id"].as_u64().unwrap() < late || row["id"].as_u64().unwrap() % 5 != 2;
        let visible = all.iter().filter(is_visible).count();
        let outcome = learn(|asked| {
            let size = asked.number("per_page").unwrap_or(20).min(100);
            let from = if by_page {
                (asked.number("page").unwrap_or(1).max(1) - 1) * size
            } else {
                asked.number("offset").unwrap_or(0)
            };
            let items: Vec<Value> = slice(&all, from, size).iter().filter(is_visible).cloned().collect();
            let mut body = json!({ "items": items });
            if total {
                body["total"] = json!(visible);
            }
            Answered::new(body)
        });
        let name = format!("{late} {by_page} {total}: {}", outcome.text);
        assert_eq!(size_of(&outcome).0, "per_page", "{name}");
        assert!(outcome.learnt.place.is_some() && outcome.learnt.hidden && outcome.learnt.full_answers == 0, "{name}");
        assert!(outcome.text.contains("hidden = true") && !outcome.text.contains("default = 16}"), "{name}");
        assert!(size_of(&outcome).1.is_some_and(|max| (70..=100).contains(&max)), "{name}");
    }
}

/// A stretch of rows is left out after the limit, before or behind the first usual sizes, or at the end.
#[test]
fn rows_left_out_behind_the_cap_do_not_hide_it() {
    for (count, left_out, cap) in [
        (257, 71..=100, 100),
        (257, 91..=97, 100),
        (257, 20..=53, 100),
        (95, 30..=40, 100),
        (257, 55..=184, 100),
        (300, 101..=140, 100),
    ] {
        for (by_page, fact) in
            [true, false].into_iter().flat_map(|by_page| ["", "total", "rows", "more"].map(|fact| (by_page, fact)))
        {
            if count == 95 && fact != "rows" {
                // All items are in one answer, so nothing shows that rows are left out.
                continue;
            }
            let all = rows(count);
            let is_visible = |row: &&Value| !left_out.contains(&(row["id"].as_u64().unwrap()));
            let outcome = learn(|asked| {
                let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
                let from = match by_page {
                    true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
                    false => asked.number("offset").unwrap_or(0),
                };
                let items: Vec<Value> = slice(&all, from, size).iter().filter(is_visible).cloned().collect();
                let mut body = json!({ "items": items });
                match fact {
                    "total" => body["total"] = json!(all.iter().filter(is_visible).count()),
                    "rows" => body["total"] = json!(all.len()),
                    "more" => body["more"] = json!(all.iter().skip(from + size).any(|row| is_visible(&row))),
                    _ => {}
                }
                Answered::new(body)
            });
            let name = format!("{left_out:?} of {count} {by_page} {fact}: {}", outcome.text);
            assert_eq!(size_of(&outcome), ("per_page", Some(cap)), "{name}");
            assert!(outcome.learnt.hidden && outcome.text.contains("hidden = true"), "{name}");
        }
    }
}

/// The last page comes again for all places after it, and the total says that there are far more.
#[test]
fn a_last_page_that_comes_again_refutes_a_total() {
    for (by_page, count) in [(true, 257), (false, 257), (true, 1_003), (false, 1_003)] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let size = asked.number("per_page").unwrap_or(20).clamp(1, 30);
            let from = match by_page {
                true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
                false => asked.number("offset").unwrap_or(0),
            };
            let from = if from < count { from } else { (count - 1) / size * size };
            Answered::new(json!({ "items": slice(&all, from, size), "total": 100_000 }))
        });
        assert!(outcome.learnt.repeats_last_page, "{by_page} {count}: {}", outcome.text);
        assert!(!outcome.learnt.hidden, "{by_page} {count}: {}", outcome.text);
    }
}

/// Where rows are left out, the total counts all rows, the items alone, or more than there are.
#[test]
fn a_total_that_counts_dropped_items_is_told() {
    for (by_page, counted) in [true, false].into_iter().flat_map(|by_page| [0, 1, 2].map(|counted| (by_page, counted)))
    {
        let all = rows(257);
        let is_visible = |row: &&Value| row["id"].as_u64().unwrap() % 5 != 3;
        let items = all.iter().filter(is_visible).count();
        let total = [items, all.len(), all.len() + 7][counted];
        let outcome = learn(|asked| {
            let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
            let from = match by_page {
                true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
                false => asked.number("offset").unwrap_or(0),
            };
            let items: Vec<Value> = slice(&all, from, size).iter().filter(is_visible).cloned().collect();
            Answered::new(json!({ "items": items, "total": total }))
        });
        let name = format!("{by_page} {counted}: {}", outcome.text);
        assert!(outcome.learnt.hidden, "{name}");
        assert_eq!(outcome.learnt.counts_rows, counted == 1, "{name}");
        assert_eq!(outcome.text.contains(r#"total_counts = "rows""#), counted == 1, "{name}");
    }
}

/// In an answer of five rows, the third page of some numbers would fit an offset.
#[test]
fn pages_that_leave_out_rows_are_no_offsets() {
    let all = rows(257);
    for (each, left_out) in (2..=6).flat_map(|each| (0..each).map(move |left_out| (each, left_out))) {
        let outcome = learn(|asked| {
            let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
            let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
            let shown = slice(&all, from, size);
            let is_visible = |row: &&Value| row["id"].as_u64().unwrap() % each != left_out;
            Answered::new(json!({ "items": shown.iter().filter(is_visible).collect::<Vec<_>>() }))
        });
        let place = Some(PlaceForm::Page { slot: query("page"), first: 1 });
        assert_eq!(outcome.learnt.place, place, "{left_out} of {each}: {}", outcome.text);
    }
}

/// An offset that passes a row which is left out passes fewer items than its number says.
#[test]
fn offsets_over_rows_that_are_left_out_count_from_0() {
    let gaps: [&[u64]; 5] = [&[2], &[2, 3], &[2, 3, 4], &[2, 5, 8, 11, 12], &[1]];
    for (count, gap) in [8, 257].into_iter().flat_map(|count| gaps.map(|gap| (count, gap))) {
        let all = rows(count);
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).clamp(1, 100));
            let shown = slice(&all, from, size);
            let is_visible = |row: &&Value| !gap.contains(&row["id"].as_u64().unwrap());
            Answered::new(json!({ "items": shown.iter().filter(is_visible).collect::<Vec<_>>() }))
        });
        let first = match &outcome.learnt.place {
            Some(PlaceForm::Offset { first, .. }) => *first,
            // In a list this short, not every gap shows what a number means.
            place => panic!("{count} rows without {gap:?}: {place:?}, {}", outcome.text),
        };
        // Without row 1, an offset from 1 requests the same items.
        assert!(first == 0 || gap == [1], "{count} rows without {gap:?}: from {first}, {}", outcome.text);
    }
}

#[test]
fn full_answers_are_counted() {
    let all = rows(1_003);
    let outcome = learn(|asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
    });
    assert!(!outcome.learnt.hidden && outcome.learnt.full_answers > 1, "{}", outcome.text);
}

/// Requests beyond the first 500 items are refused, though the total says that there are more.
#[test]
fn a_bound_of_the_depth_is_learnt() {
    for by_page in [true, false] {
        let all = rows(1_003);
        let outcome = learn(|asked| {
            let size = asked.number("limit").unwrap_or(20);
            let from = if by_page {
                (asked.number("page").unwrap_or(1).max(1) - 1) * size
            } else {
                asked.number("offset").unwrap_or(0)
            };
            if from + size > 500 {
                return Answered::refused(400, json!({ "error": "too deep" }));
            }
            Answered::new(json!({ "items": slice(&all, from, size), "total": all.len() }))
        });
        assert_eq!(outcome.learnt.max_depth, Some(500), "{}", outcome.text);
        assert!(outcome.text.contains("max_depth = 500"), "{}", outcome.text);
        assert!(outcome.learnt.past_end.is_empty(), "{}", outcome.text);
        assert_eq!(outcome.learnt.places.total.as_deref(), Some("/total"), "{}", outcome.text);
    }
}

/// Behind the first 100 or 600 items every answer is empty, though the total says that there are more.
#[test]
fn a_list_of_which_only_the_beginning_is_shown_is_told() {
    for (shown, count) in [(100, 257), (600, 2_000)] {
        let all = rows(count);
        let outcome = learn(|asked| {
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            Answered::new(json!({ "hits": slice(&all[..shown], from, size), "nbHits": all.len() }))
        });
        let (certainty, found, evidence) = finding(&outcome, "depth");
        assert_eq!(certainty, Certainty::Open, "{evidence}");
        assert!(found.contains(&shown.to_string()), "{found}: {evidence}");
        assert!(evidence.contains(&format!("request.max_depth = {shown}")), "{evidence}");
        assert_eq!(outcome.learnt.places.total.as_deref(), Some("/nbHits"), "{}", outcome.text);
    }
}

/// Places behind item 500 are refused, or have no items, and no total says that there are more.
#[test]
fn a_bound_of_the_place_is_no_end() {
    for (status, total, by_page) in [200, 400, 404, 422]
        .into_iter()
        .flat_map(|status| [(status, false, false), (status, false, true), (status, true, false), (status, true, true)])
    {
        let all: Vec<Value> = (1..=3_000).map(|id| json!({ "id": id })).collect();
        let outcome = learn(|asked| {
            let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
            let from = match by_page {
                true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
                false => asked.number("offset").unwrap_or(0),
            };
            if from > 500 && status >= 400 {
                return Answered::refused(status, json!({ "error": "offset too large" }));
            }
            let mut body = json!({ "items": if from > 500 { Vec::new() } else { slice(&all, from, size) } });
            if total {
                body["total"] = json!(all.len());
            }
            Answered::new(body)
        });
        let name = format!("{status} {total} {by_page}: {}", outcome.text);
        assert!(outcome.learnt.past_end.is_empty(), "{name}");
        // A page begins at a multiple of its size, so pages show the bound less exactly.
        let bound = outcome.learnt.max_offset;
        assert!(
            if by_page { bound.is_some_and(|bound| (400..=500).contains(&bound)) } else { bound == Some(500) },
            "{name}"
        );
    }
}

/// A list that ends with a full page ends where it is refused, if a window of another size ends there, too.
#[test]
fn a_list_that_ends_with_a_full_page_has_an_end() {
    for (count, by_page) in [(600, true), (600, false), (100, true), (100, false), (200, false)] {
        let all: Vec<Value> = (1..=count).map(|id| json!({ "id": id })).collect();
        let outcome = learn(|asked| {
            let size = asked.number("limit").unwrap_or(20).clamp(1, 100);
            let from = match by_page {
                true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
                false => asked.number("offset").unwrap_or(0),
            };
            match slice(&all, from, size) {
                items if items.is_empty() => Answered::refused(400, json!({ "error": "no such page" })),
                items => Answered::new(json!({ "items": items })),
            }
        });
        assert_eq!(outcome.learnt.past_end.len(), 1, "{count} {by_page}: {}", outcome.text);
        assert_eq!((outcome.learnt.max_offset, outcome.learnt.max_depth), (None, None), "{}", outcome.text);
    }
}

/// Two values lead on, and one of them is on the last page, too: a token beside a link, as Graph API has them, a link
/// beside a token, or a token beside another one.
#[test]
fn a_value_that_leads_on_and_goes_away_is_preferred_to_one_that_stays() {
    let link = |size: usize, to: usize| json!(format!("http://legacy.test/items?limit={size}&after=t{to}"));
    let token = |_: usize, to: usize| json!(format!("t{to}"));
    type Written = fn(usize, usize) -> Value;
    let ways: [(Written, Written, &[usize]); 3] =
        [(token, link, &[257, 3_000]), (link, token, &[257]), (token, token, &[257, 3_000])];
    for (stays, goes, counts) in ways {
        for count in counts.iter().copied() {
            let all = rows(count);
            let outcome = learn(|asked| {
                let (size, token) = (asked.number("limit").unwrap_or(25).min(100), asked.text("after"));
                let from = token.map_or(0, |token| token[1..].parse().unwrap());
                if from >= count {
                    return Answered::new(json!({ "data": [], "paging": { "cursors": { "after": token } } }));
                }
                let mut paging = json!({ "cursors": { "after": stays(size, count.min(from + size)) } });
                if from + size < count {
                    paging["next"] = goes(size, from + size);
                }
                Answered::new(json!({ "data": slice(&all, from, size), "paging": paging }))
            });
            let Some(PlaceForm::Token { slot, place, .. }) = &outcome.learnt.place else { panic!("{}", outcome.text) };
            assert_eq!((slot, place.as_str()), (&query("after"), "/paging/next"), "{count}: {}", outcome.text);
            assert_eq!(finding(&outcome, "next page").0, Certainty::Shown);
        }
    }
}

#[test]
fn an_empty_page_that_leads_to_itself_is_named() {
    for repeats in [true, false] {
        let all = rows(257);
        let outcome = learn(|asked| {
            let (size, from) = (asked.number("limit").unwrap_or(25).min(100), asked.number("cursor").unwrap_or(0));
            let to = if repeats || from < all.len() { json!((from + size).min(all.len())) } else { Value::Null };
            Answered::new(json!({ "data": slice(&all, from, size), "next_cursor": to }))
        });
        let named = outcome.text.contains("end = \"empty-page\"");
        assert_eq!(named, repeats, "{}", outcome.text);
        assert!(!outcome.text.contains("\nend = "), "{}", outcome.text);
    }
}
