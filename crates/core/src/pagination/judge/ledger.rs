//! What the answers of one page show beside their items: the sizes that are honoured, and whether counts agree.

use super::end::{Belief, Honoured, Witness};
use crate::pagination::{answer::Answer, paging::Paging, window::Slice};

/// What the answers of a page show. Each answer is entered before its evidence is made.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct Ledger {
    honoured: Honoured,
    /// The largest size that was honoured in all requests before this one.
    honoured_before: u32,
    /// The exact total that was told last.
    total: Option<u64>,
    /// It was another than the one before.
    recounted: bool,
    /// Past the end the last page comes again, as its dialect says or as was seen.
    repeats: bool,
}

impl Ledger {
    /// Opens the ledger of a page of a walk that has seen sizes honoured up to this.
    pub(in crate::pagination) fn new(honoured_before: u32, repeats: bool) -> Self {
        let honoured = Honoured::before(honoured_before);
        Self { honoured, honoured_before, total: None, recounted: false, repeats }
    }

    /// Enters an answer.
    pub(in crate::pagination) fn enter(&mut self, slice: Slice, answer: &Answer, paging: &Paging) {
        self.honoured.learn(answer, slice, paging);
        if let Some(total) = answer.total.filter(|total| total.exact) {
            self.recounted = self.total.is_some_and(|before| before != total.value);
            self.total = Some(total.value);
        }
    }

    /// Enters that more came after an answer of `count` items than it gave: larger sizes are not honoured any more.
    pub(in crate::pagination) fn fell_to(&mut self, count: u32) {
        self.honoured.fell_to(count);
    }

    /// Enters that the same items came from two places, and are not the start: the last page comes again past the end.
    pub(in crate::pagination) fn came_again(&mut self) {
        self.repeats = true;
    }

    /// The sizes that are honoured.
    pub(in crate::pagination) fn honoured(&self) -> Honoured {
        self.honoured
    }

    /// The exact total that was told last.
    pub(in crate::pagination) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the last page comes again past the end.
    pub(in crate::pagination) fn repeats(&self) -> bool {
        self.repeats
    }

    /// Whether the last total was another than the one before: counts may be off by what changed meanwhile.
    pub(super) fn recounted(&self) -> bool {
        self.recounted
    }

    /// What is believed of sizes when an answer is judged.
    pub(in crate::pagination) fn belief(&self, witness: Witness) -> Belief {
        Belief { honoured: self.honoured, honoured_before: self.honoured_before, witness }
    }
}
