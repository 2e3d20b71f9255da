//! The beginning of a list that comes again for places after its end.
//!
//! Such answers show items from before the boundary, as they would if the list had grown before it, so the search goes
//! on beyond the end in vain. Only when it gives up, the beginning of the list is read and compared.

use std::sync::Arc;

use super::{KeyHalt, KeyReader, KeyTurn};
use crate::pagination::{
    judge::draft::{Draft, Ground},
    paging::Family,
    refusal::Refusal,
    request::PageRequest,
};

impl KeyReader<'_> {
    /// Returns the turn that searches anew after a refused search, if an answer of the search begins as the list does.
    /// From then on such answers count as refused.
    pub(super) async fn search_without_beginning(&mut self, refusal: &Refusal) -> Result<Option<KeyTurn>, KeyHalt> {
        let is_lost = matches!(refusal, Refusal::PositionLost { .. } | Refusal::BudgetExceeded | Refusal::Stuck);
        let is_whole = self.ground == Ground::Whole && self.request.paging.family != Family::Token;
        if !is_lost || !is_whole || !self.judges_ends() || !self.draft.can_be_searched_for() {
            return Ok(None);
        }
        // Answers of the search or looks beyond the end: the farthest one is the first to be suspected.
        let Some(slice) = self.seen.farthest() else { return Ok(None) };
        self.asker.searching = true;
        let Some(beginning) = self.asker.read_beginning(slice).await? else { return Ok(None) };
        if !self.seen.begins_alike(slice, &beginning) {
            return Ok(None);
        }
        self.begin_anew();
        Ok(Some(KeyTurn::Window))
    }

    /// Begins the page anew, without what answers from other places seemed to show.
    fn begin_anew(&mut self) {
        let PageRequest { order, target, limit, .. } = &*self.request;
        self.draft = Draft::new(Arc::clone(order), target, (*limit).max(1), self.ground, false);
        (self.search, self.contradictions, self.ending) = Default::default();
        (self.seen, self.claimed, self.seams, self.cut) = Default::default();
        self.asker.sizes.assumed_cap = self.asker.sizes.profile.cap;
    }
}
