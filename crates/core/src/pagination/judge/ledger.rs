//! The facts that the answers of one page show besides their items: the honoured sizes, the totals, and whether pages
//! are where their numbers say.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{
    end::{Belief, Honoured, PlaceAgreement, Witness},
    evidence::believed_begin,
};
use crate::pagination::{
    answer::Answer,
    key::KeyValue,
    paging::{Family, Paging},
    position::{Position, Target},
    window::Slice,
};

/// The facts that the answers of a page show. Each answer is entered before evidence is made of it.
#[derive(Clone, Debug)]
pub(in crate::pagination) struct Ledger {
    honoured: Honoured,
    /// The largest size that was honoured on the walk's pages before this one.
    honoured_before: u32,
    /// The exact total of the last answer that has one; `None` before such an answer.
    total: Option<u64>,
    /// The offset behind the last item that was seen, by this page's answers or by the walk before it.
    reached: u64,
    /// The offset after the items that certainly are where their numbers place them: those of filled pages, and those
    /// that the walk had passed although its total was lower. A total below it counts something else, or is outdated.
    shown: u64,
    /// True if the last exact total differs from the one before.
    recounted: bool,
    /// True if an answer after the start of the list has stated the number of its own items as the total, and an earlier
    /// one another total: totals then count pages, and say nothing about the list. Where they are equal, the upstream
    /// may repeat its last page. Test: `totals_of_the_page_are_no_change`.
    counts_pages: bool,
    /// True if the upstream repeats its last page past the end, as its dialect declares or as its answers have shown.
    repeats: bool,
    /// The item that the cursor names, and the first and last item of each answer to a page number that has an exact
    /// total. The request budget limits the length.
    edges: Vec<Edge>,
    /// The comparison of the offsets at which several answers show the same item.
    places: PlaceAgreement,
}

/// The first or the last item of an answer, or the item that a cursor names.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// The hash of the item's id as it is written. Two ids with the same hash can only change whether an end is
    /// `checked` or `exact`.
    id: u64,
    /// The offset at which the item is expected.
    offset: u64,
    /// True if the offset counts in the flipped list.
    is_flipped: bool,
    /// The exact total of the answer that contains the item.
    total: u64,
}

impl Edge {
    /// Returns the item that a cursor names, at the offset where an earlier page of the walk had it; `None` if the
    /// cursor names no item by a number or string as its id, or if its hint has no total or counts from the end.
    fn of_target(target: &Target) -> Option<Self> {
        let (id, offset) = match &target.position {
            Position::After(anchor) => (&anchor.id, target.hint.offset.0.checked_sub(1)?),
            Position::Before(anchor) => (&anchor.id, target.hint.offset.0),
            _ => return None,
        };
        let id = match id {
            KeyValue::Number(digits) => hash_of(digits.as_bytes()),
            KeyValue::Text(text) => hash_of(text),
            KeyValue::Null | KeyValue::Boolean(_) => return None,
        };
        let total = target.hint.total.filter(|_| !target.hint.from_end)?;
        Some(Self { id, offset, is_flipped: false, total })
    }
}

/// Returns the hash of an id without its quotes. A string with an escape counts as another id than the same string
/// without it.
fn hash_of(id: &[u8]) -> u64 {
    let plain = id.strip_prefix(b"\"").and_then(|id| id.strip_suffix(b"\"")).unwrap_or(id);
    let mut hasher = DefaultHasher::new();
    plain.hash(&mut hasher);
    hasher.finish()
}

impl Ledger {
    /// Opens the ledger of a page at a target, whose hint contains the largest size that the walk has seen honoured.
    pub(in crate::pagination) fn new(target: &Target, paging: &Paging) -> Self {
        let hint = &target.hint;
        // If the cursor is no farther than the largest size from the end of the list that its offset counts from, the
        // walk may have seen only its first answer, which may have more items than later ones. Test:
        // `an_end_by_total_is_only_checked_by_a_size_of_the_first_answer_alone`.
        let beyond_start = if hint.offset.0 > u64::from(hint.honoured) { hint.honoured } else { 0 };
        Self {
            honoured: Honoured::before(hint.honoured, beyond_start),
            // Places are compared only where the upstream pages by number.
            edges: match paging.family {
                // Under a cap that has fallen since, the cursor's item is at another offset by the same count, so the
                // item is compared too: `regressions/a-count-under-a-cap-that-fell.txt`.
                Family::Page => Edge::of_target(target).into_iter().collect(),
                Family::Offset | Family::Token => Vec::new(),
            },
            // A client may ask for any offset, so one without an item shows nothing.
            reached: match target.position {
                Position::Start | Position::End | Position::At(_) | Position::Token(_) => 0,
                _ if hint.from_end => 0,
                _ => hint.offset.0,
            },
            shown: hint.walk.passed.filter(|passed| hint.total.is_some_and(|total| total < *passed)).unwrap_or(0),
            ..Self::of_sizes(hint.honoured, paging.repeats_last_page)
        }
    }

    /// Opens the ledger of a page in a walk that has seen this size honoured, and has no item to compare places with.
    pub(super) fn of_sizes(honoured_before: u32, repeats: bool) -> Self {
        Self {
            honoured: Honoured::before(honoured_before, honoured_before),
            honoured_before,
            total: None,
            reached: 0,
            shown: 0,
            recounted: false,
            counts_pages: false,
            repeats,
            edges: Vec::new(),
            places: PlaceAgreement::Unseen,
        }
    }

    /// Enters an answer of the list, or of the flipped list if `is_flipped`.
    pub(in crate::pagination) fn enter(&mut self, slice: Slice, is_flipped: bool, answer: &Answer, paging: &Paging) {
        self.honoured.learn(answer, slice, paging);
        let total = answer.total.filter(|total| total.exact);
        let count = answer.items.len() as u64;
        if !is_flipped && !self.repeats && count > 0 {
            self.reached = self.reached.max(slice.begins().0.saturating_add(count));
        }
        if let Slice::Page { size, .. } = slice
            && !is_flipped
            && !self.repeats
            && count == u64::from(answer.size.unwrap_or(u32::MAX).min(size.0))
        {
            self.shown = self.shown.max(slice.begins().0.saturating_add(count));
        }
        let is_after_start = !is_flipped && !self.repeats && slice.begins().0 > 0 && count > 0;
        if is_after_start && total.is_some_and(|total| total.value == count && self.total.is_some_and(|it| it != count))
        {
            (self.counts_pages, self.total, self.recounted) = (true, None, false);
        }
        if let Some(total) = total.filter(|_| !self.counts_pages) {
            self.recounted = self.total.is_some_and(|before| before != total.value);
            self.total = Some(total.value);
        }
        if paging.family == Family::Page {
            self.compare_places(slice, is_flipped, answer, paging);
        }
    }

    /// Returns whether totals count pages.
    pub(in crate::pagination) fn counts_pages(&self) -> bool {
        self.counts_pages
    }

    /// Compares the offset of each item with the offset at which an earlier answer showed it, of this page or of the
    /// page that the cursor is from.
    ///
    /// A page begins where its number says only if each page before it has as many items as were requested. If the
    /// first page has more than the others, or if a silent cap shortens pages, an item seems to be at two offsets. An
    /// item at the same offset in both answers shows that the pages before it are full. Tests:
    /// `an_end_by_total_is_only_checked_if_items_are_at_two_offsets` and
    /// `an_end_by_total_is_only_checked_if_the_offset_differs_from_the_cursor`.
    fn compare_places(&mut self, slice: Slice, is_flipped: bool, answer: &Answer, paging: &Paging) {
        let (begins, is_counted) = believed_begin(answer, slice, paging, self.belief(Witness::None));
        // A page that a count places is `checked` anyway, and a page without a count doesn't end the list, so the
        // places of both aren't compared.
        let total = answer.total.filter(|total| total.exact && !is_counted && !paging.hidden);
        let Some((total, last)) = total.zip(answer.items.len().checked_sub(1)) else { return };
        let edge = |item: usize| {
            let offset = begins.saturating_add(item as u64);
            Edge { id: hash_of(answer.id(item)), offset, is_flipped, total: total.value }
        };
        if !self.edges.is_empty() {
            for here in (0..=last).map(edge) {
                let same = |edge: &&Edge| (edge.id, edge.is_flipped) == (here.id, here.is_flipped);
                for earlier in self.edges.iter().filter(same) {
                    // Another total explains another offset: the list has changed, so the two offsets show nothing.
                    let place = match earlier.offset == here.offset {
                        true => PlaceAgreement::Agree,
                        false if earlier.total == here.total => PlaceAgreement::Differ,
                        false => PlaceAgreement::Unseen,
                    };
                    self.places = self.places.max(place);
                }
            }
        }
        self.edges.extend([edge(0), edge(last)]);
    }

    /// Notes that more items came after an answer of `count` items, so larger sizes are no longer honoured.
    pub(in crate::pagination) fn fell_to(&mut self, count: u32) {
        self.honoured.fell_to(count);
    }

    /// Notes that two places other than the start gave the same items: the upstream repeats its last page past the end.
    pub(in crate::pagination) fn came_again(&mut self) {
        self.repeats = true;
    }

    pub(in crate::pagination) fn honoured(&self) -> Honoured {
        self.honoured
    }

    /// Returns the exact total of the last answer that has one; `None` before such an answer.
    pub(in crate::pagination) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the total if it can be the offset of the end. Where rows are left out, a total may count only the items
    /// that are shown, and items then have offsets beyond it. Test:
    /// `a_total_of_the_shown_items_is_no_place_among_hidden_rows`.
    pub(in crate::pagination) fn place_by_total(&self) -> Option<u64> {
        self.total.filter(|total| *total >= self.reached)
    }

    /// Returns whether the upstream repeats its last page past the end.
    pub(in crate::pagination) fn repeats(&self) -> bool {
        self.repeats
    }

    /// Returns whether the last exact total differs from the one before. Counts may then be off by the changes in
    /// between.
    pub(super) fn recounted(&self) -> bool {
        self.recounted
    }

    /// Returns the knowledge of sizes and places by which an answer is judged.
    pub(in crate::pagination) fn belief(&self, witness: Witness) -> Belief {
        let (honoured, honoured_before, shown) = (self.honoured, self.honoured_before, self.shown);
        Belief { honoured, honoured_before, witness, places: self.places, shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            answer::Total,
            judge::evidence::Evidence,
            paging::Sizes,
            position::{Anchor, Hint},
            window::{Offset, PageNumber, PageSize},
        },
    };

    /// An upstream gives two items a page, but four on the first one, so items of later pages are at two offsets. An
    /// end by the total is then `checked`.
    #[test]
    fn an_end_by_total_is_only_checked_if_items_are_at_two_offsets() {
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let mut ledger = Ledger::of_sizes(0, false);
        let mut end_of = |number: u64, size: u32, ids: &str| {
            let spans: Vec<Span> = (0..).take(ids.len()).map(|start| Span { start, end: start + 1 }).collect();
            let mut answer = Answer::listed(ids.as_bytes().to_vec(), spans.clone(), spans);
            answer.total = Some(Total { value: 6, exact: true });
            let slice = Slice::Page { number: PageNumber(number), size: PageSize(size) };
            ledger.enter(slice, false, &answer, &paging);
            let end = Evidence::unchecked(answer, slice, &paging, ledger.belief(Witness::None)).end;
            (end.ends, end.checked)
        };
        assert_eq!(end_of(0, 4, "abcd"), (false, false));
        // The answer is at offset 4 by its number and at offset 2 by its items. By the count it would end the list.
        assert_eq!(end_of(1, 4, "cd"), (true, true));
        // An answer that shares no item with the others leaves the comparison as it was.
        let mut ledger = Ledger::of_sizes(0, false);
        for (number, ids, total, places) in [
            (0, "abcd", 6, PlaceAgreement::Unseen),
            (1, "ef", 6, PlaceAgreement::Unseen),
            (1, "de", 7, PlaceAgreement::Unseen),
            (1, "ef", 6, PlaceAgreement::Agree),
            (1, "df", 6, PlaceAgreement::Differ),
            (1, "ef", 6, PlaceAgreement::Differ),
        ] {
            let spans: Vec<Span> = (0..).take(ids.len()).map(|start| Span { start, end: start + 1 }).collect();
            let mut answer = Answer::listed(ids.as_bytes().to_vec(), spans.clone(), spans);
            answer.total = Some(Total { value: total, exact: true });
            let slice = Slice::Page { number: PageNumber(number), size: PageSize(4) };
            ledger.enter(slice, false, &answer, &paging);
            assert_eq!(ledger.places, places, "{ids}");
        }
    }

    /// The cap falls from ten to five in the middle of a walk: the second page of eight has the items from offset 5.
    /// Its end by the total is `exact` only if the cursor confirms its offsets.
    #[test]
    fn an_end_by_total_is_only_checked_if_the_offset_differs_from_the_cursor() {
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let end_after = |id: KeyValue, offset: u64, total: u64, is_flipped: bool, ids: &[&str]| {
            let hint = Hint { offset: Offset(offset), total: Some(total), honoured: 10, ..Hint::default() };
            let position = Position::After(Anchor { keys: Vec::new(), id });
            let mut ledger = Ledger::new(&Target { position, hint }, &paging);
            let (mut body, mut spans) = (Vec::new(), Vec::new());
            for id in ids {
                let start = u32::try_from(body.len()).unwrap();
                body.extend_from_slice(id.as_bytes());
                spans.push(Span { start, end: u32::try_from(body.len()).unwrap() });
            }
            let mut answer = Answer::listed(body, spans.clone(), spans);
            answer.total = Some(Total { value: 13, exact: true });
            let slice = Slice::Page { number: PageNumber(1), size: PageSize(8) };
            ledger.enter(slice, is_flipped, &answer, &paging);
            let end = Evidence::unchecked(answer, slice, &paging, ledger.belief(Witness::None)).end;
            (end.ends, end.checked)
        };
        let number = |digits: &str| KeyValue::Number(digits.into());
        let numbers = ["5", "6", "7", "8", "9"];
        // The answer has item 9 at offset 12 of 13; the cursor's page had it at offset 9 of 13.
        assert_eq!(end_after(number("9"), 10, 13, false, &numbers), (true, true));
        let texts = [r#""a""#, r#""b""#, r#""c""#, r#""d""#, r#""e""#];
        assert_eq!(end_after(KeyValue::Text(b"e".as_slice().into()), 10, 13, false, &texts), (true, true));
        // The cursor's page had the item at the same offset.
        assert_eq!(end_after(number("9"), 13, 13, false, &numbers), (true, false));
        // Offsets aren't compared if the list has grown, if the answer is of the flipped list, or if the answer lacks
        // the item. The end is then `checked`.
        assert_eq!(end_after(number("9"), 10, 10, false, &numbers), (true, true));
        assert_eq!(end_after(number("9"), 10, 13, true, &numbers), (true, true));
        assert_eq!(end_after(number("4"), 5, 13, false, &numbers), (true, true));
    }

    /// The first page has one item more than the cap of two, and is the only one that honoured a size of three. An end
    /// by the total is then `checked`.
    #[test]
    fn an_end_by_total_is_only_checked_by_a_size_of_the_first_page_alone() {
        let end_of_last = |sizes: Sizes, target: Target| {
            let paging = Paging::new(Family::Page, sizes);
            let mut ledger = Ledger::new(&target, &paging);
            let spans: Vec<Span> = (0..2).map(|start| Span { start, end: start + 1 }).collect();
            let mut answer = Answer::listed(b"34".to_vec(), spans.clone(), spans);
            answer.total = Some(Total { value: 5, exact: true });
            let slice = Slice::Page { number: PageNumber(1), size: PageSize(3) };
            ledger.enter(slice, false, &answer, &paging);
            let end = Evidence::unchecked(answer, slice, &paging, ledger.belief(Witness::None)).end;
            (end.ends, end.checked)
        };
        let free = Sizes::Free { least: 1, most: None };
        let hint = Hint { total: Some(5), honoured: 3, ..Hint::default() };
        let end = Target { position: Position::End, hint };
        assert_eq!(end_of_last(free.clone(), end.clone()), (true, true));
        // No cap lowers a fixed size. An item at the same offset as on an earlier page shows that the pages before it
        // are full.
        assert_eq!(end_of_last(Sizes::Fixed(3), end), (true, false));
        let anchor = Anchor { keys: Vec::new(), id: KeyValue::Number("3".into()) };
        let after = Target { position: Position::After(anchor), hint: Hint { offset: Offset(4), ..hint } };
        assert_eq!(end_of_last(free, after), (true, false));
    }

    /// The first answer has one item more than the cap of ten, and an outdated count equals the offset reached. The end
    /// is `checked` unless another answer filled that size too.
    #[test]
    fn an_end_by_total_is_only_checked_by_a_size_of_the_first_answer_alone() {
        let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
        let end_of_second = |hint: Hint, answers: &[(u64, u32, usize)]| {
            let mut ledger = Ledger::new(&Target { position: Position::End, hint }, &paging);
            let (slice, answer) = answers
                .iter()
                .map(|(from, size, count)| {
                    let spans: Vec<Span> = (0..).take(*count).map(|start| Span { start, end: start + 1 }).collect();
                    let mut answer = Answer::listed(vec![b'1'; *count], spans.clone(), spans);
                    answer.total = Some(Total { value: 20, exact: true });
                    let slice = Slice::Offset { from: Offset(*from), size: PageSize(*size) };
                    ledger.enter(slice, false, &answer, &paging);
                    (slice, answer)
                })
                .last()
                .unwrap();
            let end = Evidence::unchecked(answer, slice, &paging, ledger.belief(Witness::None)).end;
            (end.ends, end.checked)
        };
        let unseen = Hint::default();
        assert_eq!(end_of_second(unseen, &[(0, 11, 11), (10, 11, 10)]), (true, true));
        // Another answer than the first filled the size, on this page or before the cursor's position.
        assert_eq!(end_of_second(unseen, &[(0, 11, 11), (5, 11, 11), (10, 11, 10)]), (true, false));
        let near = Hint { offset: Offset(10), honoured: 11, ..Hint::default() };
        assert_eq!(end_of_second(near, &[(10, 11, 10)]), (true, true));
        assert_eq!(end_of_second(Hint { offset: Offset(12), ..near }, &[(10, 11, 10)]), (true, false));
        // The first answer contains the whole list.
        assert_eq!(end_of_second(near, &[(0, 50, 20)]), (true, true));
    }
}
