//! The level of a page by token: the evidence at the seams between the upstream's pages.
//!
//! A page is `checked` where the order is declared and no item can lie between those that were gone through and each
//! upstream page that the page goes on in. Tokens may be offsets in disguise: an answer that begins after the last item
//! served looks the same whether the token means "after that item", or is an offset and an item before it is gone.

use super::page::{Level, Page, PageFacts, Unfounded};

/// The evidence of the seams of a page.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct TokenSeams {
    /// True if the declared order is relied on.
    keyed: bool,
    /// True if items may lie between two upstream pages.
    open: bool,
}

impl TokenSeams {
    /// Returns the evidence of a page that has no seam yet.
    pub(in crate::pagination) fn new(keyed: bool) -> Self {
        Self { keyed, open: false }
    }

    /// Returns whether the declared order is relied on.
    pub(in crate::pagination) fn are_keyed(self) -> bool {
        self.keyed
    }

    /// Gives up the declared order.
    pub(in crate::pagination) fn lose_keys(&mut self) {
        self.keyed = false;
    }

    /// Adds a seam, at which items may lie between two upstream pages or not.
    pub(in crate::pagination) fn leave_open(&mut self, open: bool) {
        self.open |= open;
    }

    /// Makes a page: `checked` if its order was relied on and all its seams were seen, else `anchored`.
    pub(in crate::pagination) fn page(self, facts: PageFacts) -> Page {
        match self.keyed && !self.open {
            true => Page::new(Level::Checked, facts),
            false => Page::unfounded(Unfounded::Anchored, facts),
        }
    }
}
