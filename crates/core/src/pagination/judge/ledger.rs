//! The facts that the answers of one page show beside their items: the sizes that are honoured, and whether counts
//! agree.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{
    end::{Belief, Honoured, Witness},
    evidence::believed_begin,
};
use crate::pagination::{
    answer::Answer,
    paging::{Family, Paging},
    window::Slice,
};

/// The facts that the answers of a page show. Each answer is entered before its evidence is made.
#[derive(Clone, Debug)]
pub(in crate::pagination) struct Ledger {
    honoured: Honoured,
    /// The largest size that was honoured in all requests before this one.
    honoured_before: u32,
    /// The exact total that was told last.
    total: Option<u64>,
    /// The last total differs from the one before.
    recounted: bool,
    /// Past the end the last page comes again, as its dialect declares or as was seen.
    repeats: bool,
    /// The first and the last item of each answer by page that tells an exact total. The budget of requests bounds them.
    edges: Vec<Edge>,
    /// Two answers that tell one total show an item at different offsets.
    is_displaced: bool,
}

/// The first or the last item of an answer.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// The hash of its id as it is written. Two ids that share one make an end `checked` at worst.
    id: u64,
    /// The offset at which it is believed to be.
    offset: u64,
    /// The exact total that its answer tells.
    total: u64,
}

impl Ledger {
    /// Opens the ledger of a page of a walk that has seen sizes honoured up to this.
    pub(in crate::pagination) fn new(honoured_before: u32, repeats: bool) -> Self {
        let honoured = Honoured::before(honoured_before);
        Self {
            honoured,
            honoured_before,
            total: None,
            recounted: false,
            repeats,
            edges: Vec::new(),
            is_displaced: false,
        }
    }

    /// Enters an answer.
    pub(in crate::pagination) fn enter(&mut self, slice: Slice, answer: &Answer, paging: &Paging) {
        self.honoured.learn(answer, slice, paging);
        if let Some(total) = answer.total.filter(|total| total.exact) {
            self.recounted = self.total.is_some_and(|before| before != total.value);
            self.total = Some(total.value);
        }
        if paging.family == Family::Page {
            self.compare_places(slice, answer, paging);
        }
    }

    /// Compares the offset of each item with the offset at which an earlier answer showed it. A page stands where its
    /// number says only if each page before it has as many items as it was asked for: where the first page has more than
    /// others, or pages are capped in silence, an item seems to stand at two offsets. Test:
    /// `a_count_ends_no_page_that_stands_at_two_places`.
    fn compare_places(&mut self, slice: Slice, answer: &Answer, paging: &Paging) {
        let (begins, is_counted) = believed_begin(answer, slice, paging, self.belief(Witness::None));
        // A page that a count places is `checked` as it is, and without a count none ends the list.
        let total = answer.total.filter(|total| total.exact && !is_counted && !paging.hidden);
        let Some((total, last)) = total.zip(answer.items.len().checked_sub(1)) else { return };
        let edge = |item: usize| {
            let mut hasher = DefaultHasher::new();
            answer.id(item).hash(&mut hasher);
            Edge { id: hasher.finish(), offset: begins.saturating_add(item as u64), total: total.value }
        };
        if !self.edges.is_empty() {
            // Another total explains another offset: the list has changed.
            let is_moved =
                |edge: &Edge, here: Edge| edge.id == here.id && edge.offset != here.offset && edge.total == here.total;
            let is_elsewhere = |here: Edge| self.edges.iter().any(|edge| is_moved(edge, here));
            self.is_displaced |= (0..=last).map(edge).any(is_elsewhere);
        }
        self.edges.extend([edge(0), edge(last)]);
    }

    /// Enters that more came after an answer of `count` items than it gave: larger sizes are not honoured any more.
    pub(in crate::pagination) fn fell_to(&mut self, count: u32) {
        self.honoured.fell_to(count);
    }

    /// Enters that the same items came from two places, and are not the start: the last page comes again past the end.
    pub(in crate::pagination) fn came_again(&mut self) {
        self.repeats = true;
    }

    /// Returns the sizes that are honoured.
    pub(in crate::pagination) fn honoured(&self) -> Honoured {
        self.honoured
    }

    /// Returns the exact total that was told last.
    pub(in crate::pagination) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns whether the last page comes again past the end.
    pub(in crate::pagination) fn repeats(&self) -> bool {
        self.repeats
    }

    /// Returns whether the last total differs from the one before: counts may be off by the changes in between.
    pub(super) fn recounted(&self) -> bool {
        self.recounted
    }

    /// Returns the knowledge of sizes with which an answer is judged.
    pub(in crate::pagination) fn belief(&self, witness: Witness) -> Belief {
        Belief {
            honoured: self.honoured,
            honoured_before: self.honoured_before,
            witness,
            is_displaced: self.is_displaced,
        }
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
            window::{PageNumber, PageSize},
        },
    };

    /// The answers of an upstream that gives two items a page, and two more on the first one.
    #[test]
    fn a_count_ends_no_page_that_stands_at_two_places() {
        let paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
        let mut ledger = Ledger::new(0, false);
        let mut end_of = |number: u64, size: u32, ids: &str| {
            let spans: Vec<Span> = (0..).take(ids.len()).map(|start| Span { start, end: start + 1 }).collect();
            let mut answer = Answer::listed(ids.as_bytes().to_vec(), spans.clone(), spans);
            answer.total = Some(Total { value: 6, exact: true });
            let slice = Slice::Page { number: PageNumber(number), size: PageSize(size) };
            ledger.enter(slice, &answer, &paging);
            let end = Evidence::unchecked(answer, slice, &paging, ledger.belief(Witness::None)).end;
            (end.ends, end.checked)
        };
        assert_eq!(end_of(0, 4, "abcd"), (false, false));
        // It stands at offset 4 by its number and at 2 by its items, and would end the list by the count.
        assert_eq!(end_of(1, 4, "cd"), (true, true));
        // An answer that shows nothing of the others ends the list as sure as before.
        let mut ledger = Ledger::new(0, false);
        for (number, ids, total, is_displaced) in
            [(0, "abcd", 6, false), (1, "ef", 6, false), (1, "de", 7, false), (1, "df", 6, true)]
        {
            let spans: Vec<Span> = (0..).take(ids.len()).map(|start| Span { start, end: start + 1 }).collect();
            let mut answer = Answer::listed(ids.as_bytes().to_vec(), spans.clone(), spans);
            answer.total = Some(Total { value: total, exact: true });
            let slice = Slice::Page { number: PageNumber(number), size: PageSize(4) };
            ledger.enter(slice, &answer, &paging);
            assert_eq!(ledger.is_displaced, is_displaced, "{ids}");
        }
    }
}
