//! Neighbouring slices, some of which are read twice: before and after the others.
//!
//! The slices count only if two conditions hold: those read twice are the same both times, and each seam is next to one
//! of them. Then no item moved across a seam in between. A page that relies on these slices is at most `checked`.

use super::{evidence::Evidence, ledger::Ledger};
use crate::pagination::{order::Order, window::Slice};

/// The reason why slices can't be joined.
#[derive(Debug)]
pub(in crate::pagination) enum Unjoined {
    /// A slice that was read twice differs the second time.
    Changed(Box<Evidence>),
    /// The slices can't be shown to be neighbours.
    Apart,
    /// A slice that was read twice lies within one run of ties, and its neighbours were read only once. It may look the
    /// same although an item of the run has moved through it. Contains the slices, each as last read.
    Adrift(Vec<Evidence>),
}

impl Evidence {
    /// Joins neighbouring slices. `readings` are the slices read twice, each with its earlier and later reading.
    /// `between` are the slices read in between; `None` if one of them can't be compared.
    ///
    /// # Errors
    ///
    /// [`Unjoined`] if the slices don't prove anything together.
    pub(in crate::pagination) fn joined(
        readings: Vec<(&Self, Self)>,
        between: Option<Vec<Self>>,
        order: &Order,
        ledger: &Ledger,
    ) -> Result<Self, Unjoined> {
        let mut parts = Vec::with_capacity(readings.len());
        for (first, again) in readings {
            // A slice that differs the second time shows that the list changed in between, so nothing is joined. Tests:
            // `items_that_move_across_a_seam_while_it_is_read_are_not_left_out`,
            // `a_page_with_equal_ends_and_a_different_middle_is_a_different_page`.
            if !first.same_items(&again) {
                return Err(Unjoined::Changed(Box::new(again)));
            }
            parts.push((again, true));
        }
        let Some(between) = between else { return Err(Unjoined::Apart) };
        parts.extend(between.into_iter().map(|part| (part, false)));
        parts.sort_by_key(|(part, _)| part.slice.begins());
        if parts.windows(2).any(|pair| !pair[0].1 && !pair[1].1) {
            // An item that leaves one of two neighbours pulls the first item of the next slice into it unseen, so two
            // neighbours that were each read only once can't be joined: `regressions/a-chain-of-hidden-rows.txt`. Test:
            // `slices_are_joined_only_beside_a_slice_that_is_read_twice`.
            return Err(Unjoined::Apart);
        }
        let is_adrift = |three: &[(Self, bool)]| !three[0].1 && !three[2].1 && three[1].0.is_loose_run(order);
        // Ties come in any order, so another item of the run may replace one that leaves the slice. Test:
        // `a_slice_within_one_run_pins_no_seam`.
        let is_adrift = parts.windows(3).any(is_adrift);
        let parts = parts.into_iter().map(|(part, _)| part).collect();
        if is_adrift { Err(Unjoined::Adrift(parts)) } else { join_all(parts, order, ledger).ok_or(Unjoined::Apart) }
    }
}

/// Joins slices in their sequence; `None` if two of them can't be shown to be neighbours.
fn join_all(mut parts: Vec<Evidence>, order: &Order, ledger: &Ledger) -> Option<Evidence> {
    if let Some(end) = parts.iter().position(|part| part.end.ends)
        && parts[end + 1..].iter().all(Evidence::is_empty)
    {
        // Empty answers after the end agree with it, wherever they were requested, so they needn't be neighbours.
        parts.truncate(end + 1);
    }
    // Where rows are hidden, a total of 0 beside no items says nothing. Elsewhere it may be a lapse of the upstream. Test:
    // `a_total_of_0_beside_hidden_rows_is_no_change`.
    let says =
        |part: &&Evidence| !part.hides || !part.is_empty() || part.answer.total.is_some_and(|total| total.value > 0);
    let totals = parts.iter().filter(says).filter_map(|part| part.answer.total).filter(|total| total.exact);
    if !ledger.counts_pages() && totals.clone().zip(totals.skip(1)).any(|(one, other)| one.value != other.value) {
        // The answers come from two states of the list, or one of the upstream's replicas lags. Then two equal readings
        // of a slice don't prove that no item lies between it and its neighbours. Test:
        // `replicas_of_which_one_lags_leave_nothing_out`.
        return None;
    }
    let mut steps = Vec::with_capacity(parts.len());
    for pair in parts.windows(2) {
        let [earlier, later] = pair else { continue };
        // An equal page shows that the list has ended only if both pages have the same size. An answer that names a
        // false beginning leads back to itself. Test: `an_answer_that_claims_an_earlier_offset_does_not_end_a_list`.
        let elsewhere = earlier.slice.begins() < later.slice.begins();
        let same_size = earlier.slice.size() == later.slice.size();
        let comes_again = ledger.repeats() && elsewhere && same_size && earlier.comes_again(order, later);
        if !comes_again && !are_neighbours(earlier, later, ledger) {
            return None;
        }
        steps.push(comes_again);
    }
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    let join = |joined, (part, comes_again)| Evidence::join(joined, part, order, comes_again, ledger.recounted()).ok();
    parts.zip(steps).try_fold(first, join)
}

/// Returns whether no item can be between two slices.
///
/// Under a silent cap only pages of one size are neighbours, and an answer cut by a limit of bytes or time leaves a gap
/// before the next page. The earlier of two pages of one size must therefore have all requested items, as many items as
/// the later page, or as many as the size that it states. It may also have fewer if it ends the list, if the upstream
/// hides items, or if the later page is empty. Pages of two sizes count only if the earlier one is filled, and the
/// later one is filled or has an honoured size. Slices by offset are neighbours if the later one begins where the
/// earlier one ends. Tests: `pages_of_two_sizes_are_not_neighbours_under_a_silent_cap`,
/// `pages_of_which_the_first_was_cut_leave_out_no_row_that_is_shown`.
fn are_neighbours(earlier: &Evidence, later: &Evidence, ledger: &Ledger) -> bool {
    let filled = |part: &Evidence| part.len() == part.slice.size().0 as usize;
    let is_whole = |part: &Evidence| {
        let said = part.answer.size.is_some_and(|size| size as usize == part.len());
        part.hides || part.leaves_out || said || filled(part) || part.end.ends
    };
    let in_place = filled(later) || (later.slice.size().0 <= ledger.honoured().size() && !later.end.capped);
    let adjoining = match later.slice {
        Slice::Offset { from, .. } => from.0 == earlier.reaches(),
        Slice::Page { .. } if earlier.slice.size() == later.slice.size() => {
            // No item can be missing before an empty page: the two readings show that the list ends there.
            is_whole(earlier) || earlier.len() == later.len() || later.is_empty()
        }
        Slice::Page { .. } => filled(earlier) && in_place,
    };
    // An answer that names another offset than the requested one doesn't begin at the seam. Test:
    // `a_page_that_states_another_offset_is_not_a_neighbour`.
    let elsewhere = later.answer.offset.is_some_and(|said| said != later.slice.begins().0);
    adjoining && !elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            answer::Answer,
            judge::confirmation::ListTerms,
            order::{SortKey, Ties},
            paging::{Family, Paging, Sizes},
            window::{Offset, PageSize, Slice},
        },
    };

    /// Two neighbouring slices are read once each. A row that leaves the first pulls the first row of the second into
    /// it, so the slices aren't joined.
    #[test]
    fn slices_are_joined_only_beside_a_slice_that_is_read_twice() {
        let order = Order::declared(Vec::new(), SortKey::ascending("id"), Ties::Ordered);
        let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let mut ledger = Ledger::of_sizes(2, false);
        let mut part = |place: u64| {
            let body = format!("{}{}", place * 2 + 1, place * 2 + 2).into_bytes();
            let spans = [0, 1].map(|start| Span { start, end: start + 1 }).to_vec();
            let answer = Answer::listed(body, spans.clone(), spans);
            let slice = Slice::Offset { from: Offset(place * 2), size: PageSize(2) };
            ledger.enter(slice, false, &answer, &paging);
            Evidence::of(slice, answer, terms, &ledger).unwrap()
        };
        for (twice, once, joins) in [
            (vec![0, 2], vec![1, 3], true),
            (vec![1], vec![0, 2], true),
            (vec![0], vec![1, 2], false),
            (vec![0, 1], vec![2, 3], false),
        ] {
            let firsts: Vec<Evidence> = twice.iter().map(|place| part(*place)).collect();
            let agains: Vec<Evidence> = twice.iter().map(|place| part(*place)).collect();
            let between = once.iter().map(|place| part(*place)).collect();
            let joined = Evidence::joined(
                firsts.iter().zip(agains).collect(),
                Some(between),
                &order,
                &Ledger::of_sizes(2, false),
            );
            assert_eq!(joined.is_ok(), joins, "{twice:?} twice, {once:?} once: {joined:?}");
        }
    }

    /// A run of three items spans three slices. After a deletion before the run and a change in the sequence of ties,
    /// the slice in the middle is unchanged, but the run's first item is in no slice. The slices are therefore not
    /// joined.
    #[test]
    fn a_slice_within_one_run_pins_no_seam() {
        let order = Order::declared(vec![SortKey::ascending("rank")], SortKey::ascending("id"), Ties::Unordered);
        let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let mut ledger = Ledger::of_sizes(2, false);
        let mut part = |from: u64, items: [(u32, u32); 2]| {
            let body = items.map(|(rank, id)| format!("{rank} {id}")).concat().into_bytes();
            let spans = [0, 4].map(|start| Span { start, end: start + 4 });
            let keys =
                spans.map(|Span { start, end }| [Span { start, end: start + 1 }, Span { start: start + 2, end }]);
            let answer = Answer::listed(body, spans.to_vec(), keys.concat());
            let slice = Slice::Offset { from: Offset(from), size: PageSize(2) };
            ledger.enter(slice, false, &answer, &paging);
            Evidence::of(slice, answer, terms, &ledger).unwrap()
        };
        let (before, after) = ([(1, 11), (2, 12)], [(4, 31), (4, 32)]);
        for (within, is_adrift) in [([(3, 21), (3, 22)], true), ([(2, 13), (3, 21)], false)] {
            let readings = [part(2, within), part(2, within)];
            let between = vec![part(0, before), part(4, after)];
            let [first, again] = readings;
            let joined = Evidence::joined(vec![(&first, again)], Some(between), &order, &Ledger::of_sizes(2, false));
            assert_eq!(matches!(joined, Err(Unjoined::Adrift(_))), is_adrift, "{within:?}: {joined:?}");
            // If every slice is read twice, all are from one state, so they are joined.
            let mut all = || [part(0, before), part(2, within), part(4, after)];
            let (firsts, agains) = (all(), all());
            let joined = Evidence::joined(
                firsts.iter().zip(agains).collect(),
                Some(Vec::new()),
                &order,
                &Ledger::of_sizes(2, false),
            );
            assert!(joined.is_ok(), "{within:?}: {joined:?}");
        }
    }
}
