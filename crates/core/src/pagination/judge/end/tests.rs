//! Tests of ends: answers that end a list by their claims and by earlier evidence, and answers that show an honoured
//! size.

use super::*;
use crate::{
    json::Span,
    pagination::{
        answer::Total,
        paging::{Family, Sizes},
        window::{Offset, PageSize},
    },
};

/// The case that tests vary: 5 items from offset 10 on, of 20 requested. The dialect guarantees nothing, and the walk
/// has seen a size of 20 honoured.
#[derive(Clone)]
struct Case {
    from: u64,
    answer: Answer,
    paging: Paging,
    honoured: Honoured,
    witness: Witness,
}

fn items(count: usize) -> Vec<Span> {
    vec![Span::ABSENT; count]
}

fn five_of_twenty() -> Case {
    Case {
        from: 10,
        answer: Answer { items: items(5), ..Answer::default() },
        paging: Paging::new(Family::Offset, Sizes::Free { least: 1, most: None }),
        honoured: Honoured { by_walk: 20, by_page: 20, beyond_start: 20 },
        witness: Witness::None,
    }
}

fn exactly(value: u64) -> Option<Total> {
    Some(Total { value, exact: true })
}

fn at_least(value: u64) -> Option<Total> {
    Some(Total { value, exact: false })
}

/// Returns the verdict on the changed case: the end is exact or checked, the answer is short, or the list goes on.
fn judged(change: impl FnOnce(&mut Case)) -> &'static str {
    let mut case = five_of_twenty();
    change(&mut case);
    let Case { from, answer, paging, honoured, witness } = case;
    let fetch = Slice::Offset { from: Offset(from), size: PageSize(20) };
    let belief = Belief { honoured, witness, ..Belief::default() };
    let End { ends, short, checked, .. } = End::judge(&answer, fetch, from, from == 0, &paging, belief);
    match (ends, checked, short) {
        (true, true, false) => "checked",
        (true, false, false) => "exact",
        (false, false, true) => "short",
        (false, false, false) => "goes on",
        other => panic!("{other:?}"),
    }
}

#[test]
fn shortness_alone_ends_nothing_unless_the_dialect_vouches_for_sizes() {
    assert_eq!(judged(|_| {}), "short");
    let vouched = |case: &mut Case| case.paging.end = EndEvidence::ShortPage;
    assert_eq!(judged(vouched), "exact");
    for (total, more) in [(exactly(16), None), (at_least(16), None), (None, Some(true))] {
        let contradicted = |case: &mut Case| (case.answer.total, case.answer.more) = (total, more);
        let end = judged(|case| {
            vouched(case);
            contradicted(case);
        });
        assert_eq!(end, "short", "{total:?} {more:?}");
    }
    for count in [20, 25] {
        let full = |case: &mut Case| case.answer.items = items(count);
        assert_eq!(judged(full), "goes on", "{count}");
        let vouched_and_full = |case: &mut Case| {
            vouched(case);
            full(case);
        };
        assert_eq!(judged(vouched_and_full), "goes on", "{count}");
    }
}

#[test]
fn a_flag_ends_a_list_alone_only_where_it_comes_from_the_slice() {
    for (end, count, expected) in [
        (EndEvidence::Flag, 20, "exact"),
        (EndEvidence::Flag, 5, "exact"),
        (EndEvidence::Unvouched, 20, "goes on"),
        (EndEvidence::Unvouched, 5, "exact"),
    ] {
        let says = |case: &mut Case| {
            (case.paging.end, case.answer.items, case.answer.more) = (end, items(count), Some(false));
        };
        assert_eq!(judged(says), expected, "{end:?} {count}");
    }
}

#[test]
fn a_total_ends_a_short_answer_only_if_the_walk_honoured_a_larger_size() {
    for (total, by_walk, expected) in [
        (exactly(15), 20, "exact"),
        (exactly(15), 6, "exact"),
        (exactly(15), 5, "short"),
        (exactly(15), 0, "short"),
        (exactly(16), 20, "short"),
        (at_least(15), 20, "short"),
    ] {
        let says = |case: &mut Case| {
            (case.answer.total, case.honoured) = (total, Honoured { by_walk, by_page: 20, beyond_start: by_walk });
        };
        assert_eq!(judged(says), expected, "{total:?}, {by_walk} seen");
    }
    // From the very start, an exact total equal to the number of items suffices.
    for (from, total, expected) in [
        (0, exactly(5), "checked"),
        (0, at_least(5), "short"),
        (0, exactly(4), "short"),
        (10, exactly(15), "short"),
        (10, exactly(5), "short"),
    ] {
        let says = |case: &mut Case| {
            (case.from, case.answer.total, case.honoured) = (from, total, Honoured::default());
        };
        assert_eq!(judged(says), expected, "from {from}, {total:?}");
    }
}

#[test]
fn a_total_below_the_items_shown_does_not_end_a_list() {
    for (from, total) in [(10, exactly(14)), (10, exactly(0)), (0, exactly(4))] {
        let says = |case: &mut Case| (case.from, case.answer.total) = (from, total);
        assert_eq!(judged(says), "short", "from {from}, {total:?}");
    }
}

#[test]
fn a_second_answer_confirms_an_end_only_below_a_size_that_this_page_has_shown() {
    for (witness, by_page, total, expected) in [
        (Witness::Same, 20, None, "checked"),
        (Witness::Same, 5, None, "short"),
        (Witness::Same, 20, exactly(16), "short"),
        (Witness::SameAndNothingBeyond, 20, None, "checked"),
        (Witness::SameAndNothingBeyond, 20, exactly(15), "exact"),
        (Witness::SameAndNothingBeyond, 5, None, "short"),
        (Witness::SameAndNothingBeyond, 20, exactly(16), "checked"),
        (Witness::SameAndNothingBeyond, 20, at_least(16), "checked"),
    ] {
        let seen = |case: &mut Case| {
            (case.witness, case.answer.total) = (witness, total);
            case.honoured = Honoured { by_walk: 20, by_page, beyond_start: 20 };
        };
        assert_eq!(judged(seen), expected, "{witness:?}, {by_page} came, {total:?}");
    }
    // Two answers that agree overrule a flag that is computed from a count, but not a flag of the slice.
    for (end, expected) in [(EndEvidence::Flag, "short"), (EndEvidence::Unvouched, "checked")] {
        let flagged = |case: &mut Case| {
            (case.paging.end, case.answer.more) = (end, Some(true));
            case.witness = Witness::SameAndNothingBeyond;
        };
        assert_eq!(judged(flagged), expected, "{end:?}");
    }
}

#[test]
fn a_list_is_not_ended_by_a_status_an_empty_answer_or_hidden_items() {
    assert_eq!(judged(|case| case.answer.standing = Standing::PastEnd), "goes on");
    let nothing = |case: &mut Case| (case.answer.items, case.answer.total) = (items(0), exactly(10));
    assert_eq!(judged(nothing), "goes on");
    for witness in [Witness::None, Witness::Same, Witness::SameAndNothingBeyond] {
        let hidden = |case: &mut Case| {
            (case.paging.hidden, case.paging.end) = (true, EndEvidence::ShortPage);
            (case.answer.total, case.witness) = (exactly(15), witness);
        };
        assert_eq!(judged(hidden), "goes on", "{witness:?}");
    }
}

#[test]
fn a_size_is_honoured_if_an_answer_has_exactly_that_many_items() {
    for (count, size, hidden, by_walk, by_page) in [
        (20, None, false, 20, 20),
        (5, None, false, 0, 5),
        (5, Some(5), false, 5, 5),
        (5, Some(8), false, 0, 5),
        // An answer with more items than were requested shows no size.
        (25, None, false, 0, 0),
        // Where items are hidden, the upstream has looked at no fewer rows than it returned.
        (5, None, true, 5, 5),
        (25, None, true, 0, 0),
    ] {
        let Case { mut paging, answer, .. } = five_of_twenty();
        let mut honoured = Honoured::default();
        paging.hidden = hidden;
        let fetch = Slice::Offset { from: Offset(10), size: PageSize(20) };
        honoured.learn(&Answer { items: items(count), size, ..answer }, fetch, &paging);
        assert_eq!(
            honoured,
            Honoured { by_walk, by_page, beyond_start: by_walk },
            "{count} came, {size:?}, hidden: {hidden}"
        );
    }
    let mut honoured = Honoured { by_walk: 20, by_page: 20, beyond_start: 20 };
    honoured.fell_to(5);
    assert_eq!((honoured.size(), honoured.size_now()), (5, 5));
    let first = Slice::Offset { from: Offset(0), size: PageSize(20) };
    let mut honoured = Honoured::default();
    honoured.learn(&five_of_twenty().answer, first, &five_of_twenty().paging);
    assert_eq!(honoured, Honoured { by_walk: 0, by_page: 5, beyond_start: 0 });
    assert_eq!((Honoured::default().size(), Honoured::default().size_now()), (2, 2));
}
