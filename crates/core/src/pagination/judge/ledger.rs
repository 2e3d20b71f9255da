//! The facts that the answers of one page show beside their items: the sizes that are honoured, and whether counts
//! agree.

use super::end::{Belief, Honoured, Witness};
use crate::pagination::{answer::Answer, paging::Paging, window::Slice};

/// The facts that the answers of a page show. Each answer is entered before its evidence is made.
#[derive(Clone, Copy, Debug)]
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
        Belief { honoured: self.honoured, honoured_before: self.honoured_before, witness }
    }
}
