//! Runs of ties that are hard to recognise: long strings that were cut, and opaque values.

use super::*;

#[test]
fn texts_that_agree_up_to_their_truncation_are_used_as_one_whole_run() {
    // The upstream sorts by the whole string, and the ids of the run are in another order. An anchor in the run
    // therefore doesn't show which items come before it.
    let long = "x".repeat(64);
    for (family, cap) in [(Family::Offset, 6), (Family::Offset, 20), (Family::Page, 6), (Family::Page, 20)] {
        for limit in [1, 2, 3] {
            for removed in 0..4 {
                let rows = (0..12).map(|row: usize| {
                    let text = if (3..7).contains(&row) { format!("{long}{row}") } else { format!("{row:02}") };
                    let text = if row >= 7 { format!("y{text}") } else { text };
                    (format!("\"{text}\""), (100 + row * 5 % 12).to_string())
                });
                let mut list = List { cap, kind: Kind::Text, ties: Ties::Ordered, ..List::new(family, rows) };
                let (mut target, mut seen, mut gone) = (Some(start()), Vec::new(), false);
                while let Some(at) = target {
                    let page = match list.page(at, limit) {
                        Ok(page) => page,
                        // An answer of six rows may be too short for the run.
                        Err(_) if cap == 6 => break,
                        Err(refusal) => panic!("{refusal:?}, {family:?}, pages of {limit}, {removed} removed"),
                    };
                    seen.extend((0..page.items.len()).map(|at| String::from_utf8(page.item(at).to_vec()).unwrap()));
                    target = page.next.clone();
                    if !gone && seen.len() >= 4 {
                        // Rows before the place are removed, so only keys can find the place.
                        list.rows.drain(..removed);
                        gone = true;
                    }
                    if target.is_none() {
                        let said = format!("{family:?}, cap {cap}, pages of {limit}, {removed} removed");
                        for row in list.all() {
                            assert_eq!(seen.iter().filter(|one| **one == row).count(), 1, "{row}: {said}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn opaque_values_with_unordered_ties_determine_no_place() {
    // If case is ignored, five rows are one run, but no answer shows where it ends.
    let names = ["Adam", "Smith", "smith", "SMITH", "Smith", "sMith", "Young", "Zoe"];
    let rows = || names.iter().enumerate().map(|(row, name)| (format!("\"{name}\""), (100 + row).to_string()));
    for (ties, level) in [(Ties::Unordered, Level::Anchored), (Ties::Ordered, Level::Exact)] {
        let list = List { kind: Kind::Opaque, ties, cap: 100, ..List::new(Family::Offset, rows()) };
        let first = List { total: Some(8), ..list }.page(start(), 3).unwrap();
        assert_eq!(first.level(), level, "{ties:?}");
    }
}

#[test]
fn rows_that_look_equal_at_a_coarse_grain_are_one_run() {
    // A coarse key makes runs, and so does every key after it.
    for grains in [[true, false], [false, true]] {
        let keys = grains.map(|coarse| SortKey { grain: coarse.then_some(Grain::Digits(0)), ..key("rank") });
        let order = Order { strong: keys.to_vec(), id: key("id"), ties: Ties::Ordered, declared: true };
        assert!(crate::pagination::judge::evidence::loose(&order), "{grains:?}");
    }
}
