//! How sure a page by token is: what the seams between the upstream's pages show.
//!
//! A page is `checked` where the order is declared and nothing can lie between what was gone through and each upstream page that it
//! goes on in. Tokens may be offsets in disguise: an answer that begins after the last item served looks the same whether
//! the token says "after that item", or is an offset and an item before it is gone.

use super::page::{ItemPlace, Level, Page, Unfounded};
use crate::pagination::answer::Answer;

/// What the seams of a page show.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct Seams {
    /// The declared order is relied on.
    keyed: bool,
    /// Something may lie between two upstream pages.
    open: bool,
}

impl Seams {
    /// None was met.
    pub(in crate::pagination) fn new(keyed: bool) -> Self {
        Self { keyed, open: false }
    }

    /// Whether the declared order is relied on.
    pub(in crate::pagination) fn are_keyed(self) -> bool {
        self.keyed
    }

    /// The declared order is of no use any more.
    pub(in crate::pagination) fn lose_keys(&mut self) {
        self.keyed = false;
    }

    /// Takes in whether something may lie between two upstream pages.
    pub(in crate::pagination) fn leave_open(&mut self, open: bool) {
        self.open |= open;
    }

    /// A page of these items.
    pub(in crate::pagination) fn page(self, answers: Vec<Answer>, items: Vec<ItemPlace>) -> Page {
        match self.keyed && !self.open {
            true => Page::new(Level::Checked, answers, items),
            false => Page::unfounded(Unfounded::Anchored, answers, items),
        }
    }
}
