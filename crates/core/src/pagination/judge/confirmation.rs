//! The confirmation of a short answer. Two more requests, one for the edge of the answer and one beyond it, show
//! whether the answer ends the list.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    end::Witness,
    evidence::{Evidence, loose},
    ledger::Ledger,
};
use crate::pagination::{
    answer::Answer, order::Order, paging::Paging, plan, position::Anchor, rows, unsorted::Unsorted, window::Slice,
};

/// The result of a confirmation.
#[derive(Debug)]
pub(in crate::pagination) enum Confirmed {
    /// The evidence of the edge, which ends the list or doesn't.
    Edge(Result<Box<Evidence>, Unsorted>),
    /// The edge ends the list, but the answer from beyond has another item. Causes: items in between are hidden, the
    /// list has changed, or a silent cap made a page one of another size. The anchor is the first item of the answer
    /// from beyond; `None` if its keys can't be kept.
    MoreBeyond(Option<Anchor>),
    /// The edge lacks the last item that came before: the list has changed, or its offsets count hidden items.
    Before,
}

/// The items of a short answer that its confirmation is compared with. An item is `None` if the answer has no item at
/// that place, or if the item's keys can't be kept.
#[derive(Debug)]
pub(in crate::pagination) struct Came {
    first: Option<Anchor>,
    last: Option<Anchor>,
    /// The item at the place where the edge begins.
    at_edge: Option<Anchor>,
    /// The ids of the items in the last item's run; empty if ties are ordered.
    last_run: Vec<Vec<u8>>,
    /// The offset after the last one that the request for the short answer covered.
    asked_to: u64,
    /// The number of items of the short answer.
    count: usize,
}

impl Came {
    /// Returns the items of the short answer in `view` that its edge is compared with.
    pub(in crate::pagination) fn of(view: &Evidence, edge: Slice, order: &Order) -> Self {
        let place = edge.begins().0.checked_sub(view.begins()).and_then(|place| usize::try_from(place).ok());
        let anchor = |place: Option<usize>| view.anchor(order, place.filter(|place| *place < view.len())?);
        let end = view.len().checked_sub(1);
        let in_last_run = |place: &usize| end.is_some_and(|end| view.ties(order, *place, end));
        let last_run = (0..view.len()).rev().take_while(in_last_run).filter_map(|place| view.id(order, place));
        let last_run = if loose(order) { last_run.map(Cow::into_owned).collect() } else { Vec::new() };
        let asked_to = plan::reach(view.slice()).1;
        Self {
            first: anchor(Some(0)),
            last: anchor(end),
            at_edge: anchor(place),
            last_run,
            asked_to,
            count: view.len(),
        }
    }

    /// Returns the items of an empty answer to the request for `slice`.
    pub(in crate::pagination) fn nothing(slice: Slice) -> Self {
        let asked_to = plan::reach(slice).1;
        Self { first: None, last: None, at_edge: None, last_run: Vec::new(), asked_to, count: 0 }
    }

    /// Returns whether an edge is at its place, if a silent cap made the answer short: no cap moves an offset, and one
    /// that left the items that came moves no page with a size up to their number. Test:
    /// `a_list_by_page_goes_on_after_left_out_rows_in_its_first_page`.
    pub(in crate::pagination) fn places(&self, edge: Slice) -> bool {
        match edge {
            Slice::Offset { .. } => true,
            Slice::Page { size, .. } => size.0 as usize <= self.count,
        }
    }

    /// Returns whether an item of the edge, in the last run, is among the items that came before. True for an item
    /// without an id.
    fn holds(&self, edge: &Answer, order: &Order, item: usize) -> bool {
        edge.identity(order, item).is_none_or(|id| self.last_run.iter().any(|came| **came == *id))
    }
}

/// The terms of a list by which evidence is made.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct ListTerms<'a> {
    pub(in crate::pagination) order: &'a Order,
    /// The sizes, the end evidence and the flags of the list's dialect.
    pub(in crate::pagination) paging: &'a Paging,
    /// True if answers are used as received, by offset only.
    pub(in crate::pagination) unchecked: bool,
}

impl Evidence {
    /// Makes evidence of an answer to the request for `slice`.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if the items contradict the order, lack its keys, or contain an id twice.
    pub(in crate::pagination) fn of(
        slice: Slice,
        answer: Answer,
        terms: ListTerms<'_>,
        ledger: &Ledger,
    ) -> Result<Self, Unsorted> {
        Self::witnessed(slice, answer, terms, ledger, Witness::None)
    }

    /// Makes evidence of an answer of the flipped list, which is expected to have `total` items. The start of the
    /// flipped list is the end of the list, and its end is the start.
    ///
    /// # Errors
    ///
    /// As [`Evidence::of`].
    pub(in crate::pagination) fn of_flipped(
        slice: Slice,
        answer: Answer,
        total: u64,
        terms: ListTerms<'_>,
        ledger: &Ledger,
    ) -> Result<Self, Unsorted> {
        match terms.unchecked {
            true => Self::of(slice, answer, terms, ledger),
            false => Self::flipped(answer, slice, terms.order, terms.paging, ledger.belief(Witness::None), total),
        }
    }

    fn witnessed(
        slice: Slice,
        answer: Answer,
        ListTerms { order, paging, unchecked }: ListTerms<'_>,
        ledger: &Ledger,
        witness: Witness,
    ) -> Result<Self, Unsorted> {
        match unchecked {
            true => Ok(Self::unchecked(answer, slice, paging, ledger.belief(witness))),
            false => Self::new(answer, slice, order, paging, ledger.belief(witness)),
        }
    }
}

/// Judges a short answer by two more answers: one from its edge, and one from beyond all that was requested. `came`
/// contains the items of the short answer.
pub(in crate::pagination) fn confirm(
    slice: Slice,
    edge: Answer,
    beyond: Option<(Slice, &Answer)>,
    came: &Came,
    terms: ListTerms<'_>,
    ledger: &Ledger,
) -> Confirmed {
    // Under a cap, a page of another size begins before the place that its number names, and so does the page after it:
    // neither shows the edge. Test: `an_end_is_not_confirmed_by_an_answer_that_begins_before_its_offset`. A last page
    // that comes again begins before its place too, and proves nothing about the list beyond:
    // `regressions/an-edge-among-hidden-rows.txt`.
    let is_before = begins_before(&edge, came.at_edge.as_ref(), terms.order);
    // An answer from beyond is at its place if it has a new item or repeats the short answer's first item, as a last
    // page that comes again does. Otherwise it begins before its place, too.
    let is_beside = |beyond: &Answer| {
        let came_first =
            |item| rows::relate(beyond, terms.order, item, came.first.as_ref()?).map(|it| it.whole.is_eq());
        let is_again = (0..beyond.items.len()).any(|item| came_first(item) == Some(true));
        !beyond.items.is_empty() && !is_again && !holds_more(beyond, came.last.as_ref(), terms)
    };
    // A request that begins inside the range of the short answer's request shows no more than the edge does, so it
    // doesn't count as one from beyond. Test:
    // `a_request_that_begins_within_the_earlier_range_does_not_overrule_a_count`.
    let is_beyond = beyond.is_some_and(|(slice, _)| slice.begins().0 >= came.asked_to);
    let beyond = beyond.map(|(_, answer)| answer);
    let is_elsewhere = is_before || beyond.is_some_and(is_beside);
    let is_at_its_place = came.places(slice) && !ledger.repeats() && !loose(terms.order);
    let compared = compared_with(&edge, came, terms.order);
    let witness = match compared {
        // Pages that begin before their places show the earlier items again and not the end of the list, so they don't
        // support the end: `regressions/edge-before-its-place.txt`.
        _ if is_elsewhere && !ledger.repeats() => Witness::None,
        // The list goes on: a cap, or a limit of bytes or time, made the answer short. Nothing supports the end. Tests:
        // `answers_that_are_cut_by_bytes_end_no_list`, `answers_that_are_cut_by_time_end_no_list`.
        Ordering::Greater => Witness::None,
        // An edge that begins before its place counts as a single reading: among hidden rows it isn't a last page that
        // comes again.
        Ordering::Equal if is_beyond && !is_before => Witness::SameAndNothingBeyond,
        Ordering::Equal => Witness::Same,
        // The last item of the short answer is missing: it was deleted, or is hidden at the edge. Test:
        // `an_end_is_not_confirmed_by_an_answer_without_the_last_item`.
        Ordering::Less => return Confirmed::Before,
    };
    let edge = Evidence::witnessed(slice, edge, terms, ledger, witness);
    match (&edge, beyond) {
        // No cap moves an offset. If its rows begin before the short answer's item at that place, and end before the
        // last one, that answer left out rows before them. Test:
        // `a_first_page_after_left_out_rows_is_read_at_every_limit`.
        (Ok(_), _) if compared.is_lt() && is_before && is_at_its_place => Confirmed::Before,
        // An item beyond the requested range contradicts an end that a total claims. Test:
        // `a_page_at_a_moved_offset_is_not_the_end_that_the_total_implies`.
        (Ok(view), Some(beyond)) if view.end.ends && shows_more(view, beyond, terms) => {
            Confirmed::MoreBeyond(beyond.anchor(terms.order, 0))
        }
        _ => Confirmed::Edge(edge.map(Box::new)),
    }
}

/// Compares the greatest item of an edge with the last item of the short answer. An edge without items is less. If the
/// short answer was empty, an empty edge is equal and any other edge is greater.
fn compared_with(edge: &Answer, came: &Came, order: &Order) -> Ordering {
    let items = 0..edge.items.len();
    let Some(last) = &came.last else {
        return if items.is_empty() { Ordering::Equal } else { Ordering::Greater };
    };
    let compared = |item| match rows::relate(edge, order, item, last) {
        // An item that can't be compared may be an additional item, so it counts as greater.
        None => Ordering::Greater,
        // Ties come in any order, so another item of the last run may be an additional item at any place. Test:
        // `another_item_of_the_last_run_confirms_no_end`.
        Some(relation) if relation.strong.is_eq() && loose(order) && !came.holds(edge, order, item) => {
            Ordering::Greater
        }
        Some(relation) => relation.whole,
    };
    items.map(compared).max().unwrap_or(Ordering::Less)
}

/// Returns whether the first item of an edge comes before the item that the short answer had at that place.
fn begins_before(edge: &Answer, at_edge: Option<&Anchor>, order: &Order) -> bool {
    let Some(at_edge) = at_edge.filter(|_| !edge.items.is_empty()) else { return false };
    rows::relate(edge, order, 0, at_edge)
        .is_some_and(|relation| if loose(order) { relation.strong.is_lt() } else { relation.whole.is_lt() })
}

/// Returns whether an answer contains an item after the last item of a view.
fn shows_more(view: &Evidence, beyond: &Answer, terms: ListTerms<'_>) -> bool {
    let last = view.len().checked_sub(1).and_then(|place| view.anchor(terms.order, place));
    holds_more(beyond, last.as_ref(), terms)
}

/// Returns whether an answer contains an item after `last`. A last page that comes again past the end contains no such
/// item.
pub(in crate::pagination) fn holds_more(
    beyond: &Answer,
    last: Option<&Anchor>,
    ListTerms { order, unchecked, .. }: ListTerms<'_>,
) -> bool {
    let mut items = 0..beyond.items.len();
    let Some(last) = last.filter(|_| !unchecked) else { return !beyond.items.is_empty() };
    let stands = |item| rows::relate(beyond, order, item, last);
    let held_at = items.clone().rfind(|item| stands(*item).is_some_and(|relation| relation.whole.is_eq()));
    items.any(|item| match stands(item) {
        // Values that can't be compared are in the list's order in the answer, so each item after `last` counts, and
        // every item if the answer lacks `last`. Test: `a_repeated_last_page_of_opaque_values_confirms_the_end`.
        None => held_at.is_none_or(|held_at| item > held_at),
        // Ties come in any order: if the answer contains `last` too, another item of its run proves nothing.
        Some(relation) if relation.strong.is_eq() && loose(order) => held_at.is_none(),
        Some(relation) => relation.whole.is_gt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            answer::Total,
            order::{Direction, Kind, Nulls, SortKey, Ties},
            paging::{Family, Sizes},
            window::{PageNumber, PageSize},
        },
    };

    fn answer(ids: &str) -> Answer {
        let spans: Vec<Span> = (0..).take(ids.len()).map(|start| Span { start, end: start + 1 }).collect();
        Answer::listed(ids.as_bytes().to_vec(), spans.clone(), spans)
    }

    fn page(number: u64, size: u32) -> Slice {
        Slice::Page { number: PageNumber(number), size: PageSize(size) }
    }

    /// All items are one run in any order. An edge with an item that the short answer lacked shows that the list goes
    /// on.
    #[test]
    fn another_item_of_the_last_run_confirms_no_end() {
        let order = Order { strong: vec![SortKey::ascending("rank")], id: id(), ties: Ties::Unordered, declared: true };
        let tied = |ids: &str| {
            let ids: Vec<Span> = (1..).take(ids.len()).map(|start| Span { start, end: start + 1 }).collect();
            let keys = ids.iter().flat_map(|id| [Span { start: 0, end: 1 }, *id]).collect();
            (ids, keys)
        };
        let answer = |ids: &str| {
            let (items, keys) = tied(ids);
            Answer::listed(format!("7{ids}").into_bytes(), items, keys)
        };
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let mut ledger = Ledger::of_sizes(4, false);
        ledger.enter(page(0, 4), false, &answer("1234"), &paging);
        let short = (page(0, 5), answer("139"));
        ledger.enter(short.0, false, &short.1, &paging);
        let short = Evidence::of(short.0, short.1, terms, &ledger).unwrap();
        let came = Came::of(&short, page(0, 4), &order);
        for (edge, ends) in [("913", true), ("139", true), ("129", false), ("932", false)] {
            let confirmed = confirm(page(0, 4), answer(edge), Some((page(1, 5), &answer(""))), &came, terms, &ledger);
            let Confirmed::Edge(Ok(view)) = confirmed else { panic!("{edge}: {confirmed:?}") };
            assert_eq!(view.end.ends, ends, "{edge}");
        }
    }

    fn id() -> SortKey {
        let name = "id".to_owned();
        SortKey { name, direction: Direction::Ascending, kind: Kind::Number, nulls: Nulls::None, grain: None }
    }

    #[test]
    fn an_end_is_not_confirmed_by_an_answer_that_begins_before_its_offset() {
        let order = Order { strong: Vec::new(), id: id(), ties: Ties::Ordered, declared: true };
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let mut ledger = Ledger::of_sizes(4, false);
        let short = (page(0, 5), answer("1234"));
        ledger.enter(short.0, false, &short.1, &paging);
        let short = Evidence::of(short.0, short.1, terms, &ledger).unwrap();
        let came = Came::of(&short, page(1, 3), &order);
        for (edge, beyond, ends) in
            [("4", "", true), ("4", "1234", true), ("4", "4", false), ("34", "34", false), ("45", "", false)]
        {
            let beyond = answer(beyond);
            let confirmed = confirm(page(1, 3), answer(edge), Some((page(1, 5), &beyond)), &came, terms, &ledger);
            let Confirmed::Edge(Ok(view)) = confirmed else { panic!("{edge}: {confirmed:?}") };
            assert_eq!(view.end.ends, ends, "{edge}");
        }
    }

    /// A list by opaque values, then by the id, repeats its last page past the end. The repeated page shows no further
    /// item.
    #[test]
    fn a_repeated_last_page_of_opaque_values_confirms_the_end() {
        let strong = vec![SortKey { kind: Kind::Opaque, ..SortKey::ascending("name") }];
        let order = Order { strong, id: id(), ties: Ties::Ordered, declared: true };
        let answer = |rows: &str| {
            let starts = || (0..).step_by(4).take(rows.len() / 4);
            let items = starts().map(|start| Span { start, end: start + 4 }).collect();
            let keys = |start| [Span { start, end: start + 3 }, Span { start: start + 3, end: start + 4 }];
            Answer::listed(rows.as_bytes().to_vec(), items, starts().flat_map(keys).collect())
        };
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let mut ledger = Ledger::of_sizes(5, true);
        let short = (page(0, 5), answer(r#""b"4"a"2"c"3"#));
        ledger.enter(short.0, false, &short.1, &paging);
        let short = Evidence::of(short.0, short.1, terms, &ledger).unwrap();
        let came = Came::of(&short, page(1, 2), &order);
        for (beyond, has_more) in [(r#""b"4"a"2"c"3"#, false), (r#""a"2"c"3"d"1"#, true), (r#""d"1"#, true)] {
            let beyond = answer(beyond);
            let confirmed = confirm(page(1, 2), answer(r#""c"3"#), Some((page(1, 5), &beyond)), &came, terms, &ledger);
            assert_eq!(matches!(confirmed, Confirmed::MoreBeyond(_)), has_more, "{confirmed:?}");
        }
    }

    /// A count of more items is only overruled by a request that begins beyond the range of the short answer's request.
    #[test]
    fn a_request_that_begins_within_the_earlier_range_does_not_overrule_a_count() {
        let order = Order { strong: Vec::new(), id: id(), ties: Ties::Ordered, declared: true };
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let counted = |ids: &str| Answer { total: Some(Total { value: 9, exact: true }), ..answer(ids) };
        let mut ledger = Ledger::of_sizes(5, false);
        ledger.enter(page(0, 5), false, &counted("12345"), &paging);
        let short = (page(1, 5), counted("67"));
        ledger.enter(short.0, false, &short.1, &paging);
        let short = Evidence::of(short.0, short.1, terms, &ledger).unwrap();
        let came = Came::of(&short, page(1, 4), &order);
        for (beyond, ends) in [(page(2, 5), true), (page(3, 4), true), (page(2, 4), false), (page(1, 4), false)] {
            let confirmed = confirm(page(1, 4), counted("567"), Some((beyond, &answer(""))), &came, terms, &ledger);
            let Confirmed::Edge(Ok(view)) = confirmed else { panic!("{beyond:?}: {confirmed:?}") };
            assert_eq!(view.end.ends, ends, "{beyond:?}");
        }
    }

    /// An edge without the last item doesn't show whether that item was deleted or is hidden, so no end is confirmed.
    #[test]
    fn an_end_is_not_confirmed_by_an_answer_without_the_last_item() {
        let order = Order { strong: Vec::new(), id: id(), ties: Ties::Ordered, declared: true };
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let terms = ListTerms { order: &order, paging: &paging, unchecked: false };
        let mut ledger = Ledger::of_sizes(4, false);
        let short = (page(0, 5), answer("1234"));
        ledger.enter(short.0, false, &short.1, &paging);
        let short = Evidence::of(short.0, short.1, terms, &ledger).unwrap();
        let came = Came::of(&short, page(0, 4), &order);
        for edge in ["123", "1", ""] {
            for beyond in [None, Some(answer(""))] {
                let confirmed = confirm(
                    page(0, 4),
                    answer(edge),
                    beyond.as_ref().map(|beyond| (page(1, 5), beyond)),
                    &came,
                    terms,
                    &ledger,
                );
                assert!(matches!(confirmed, Confirmed::Before), "{edge}: {confirmed:?}");
            }
        }
    }
}
