//! The check of a list whose dialect takes every answer for the whole list. No other answer could refute it, so the facts
//! of the answer are looked at by their usual names, and the parameters that page other lists are tried.

use super::{ReadPage, Review, undeclared};
use crate::{
    paging::{doubt, place, size, token::query_of},
    prober::{Base, session::ProbeHalt},
};
use cursorgate_config::settings::EndWord;
use cursorgate_core::pagination::fetch::{Fetch, Listing};
use cursorgate_core::pagination::window::{Offset, PageSize, Slice};

impl Review {
    /// Reports facts and parameters that show that an answer is a part of the list. Test:
    /// `a_list_that_is_called_whole_although_a_parameter_changes_its_items_is_reported`.
    pub(super) async fn check_whole(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        let end = self.list.settings.dialect.response.end.clone();
        let Some(end) = end.filter(|end| end.value == EndWord::WholeList) else { return Ok(()) };
        let count = first.ids.len() as u64;
        let help = "give the URL of the list to `cursorgate learn`, or write which parameters ask for a page";
        let (seen, shape) = (&first.seen, self.shape());
        let rest = undeclared::of_seen(seen, &shape, count);
        if let Some(rest) = rest.or_else(|| undeclared::full_size(seen, &shape, count)) {
            let message = format!("response.end is whole-list, and the answer has {count} items, and {rest}");
            self.fault(end.at, message, help);
            return Ok(());
        }
        let slice = Slice::Offset { from: Offset(0), size: PageSize(self.size(1)) };
        let (dialect, sorted) = (&self.list.dialect, self.list.dialect.default_sorted());
        let ask = dialect.ask(sorted, &Fetch::Slice(slice, Listing::default()), "", &self.list.path);
        let Some(ask) = ask.ok().filter(|ask| ask.edits.is_none() && self.session.target.body.is_none()) else {
            return Ok(());
        };
        // All parameters of the dialect's own request are filters.
        let given = std::mem::replace(&mut self.session.target.fixed, query_of(&format!("?{}", ask.query)));
        let effect = self.effect(first).await;
        self.session.target.fixed = given;
        if let Some(effect) = effect? {
            let message = format!("response.end is whole-list, and a parameter changes its items: {effect}");
            self.fault(end.at, message, help);
        }
        Ok(())
    }

    /// Returns how a parameter that pages other lists changes the items, in words; `None` if none does.
    async fn effect(&mut self, first: &ReadPage) -> Result<Option<String>, ProbeHalt> {
        let mut learnt = self.learnt(first);
        let base = Base { seen: first.seen.clone(), ids: first.ids.clone(), hints: Vec::new() };
        size::find(&self.session, &mut learnt, &base, &[]).await?;
        place::find(&self.session, &mut learnt, &base).await?;
        doubt::effect(&self.session, &learnt, &base).await
    }
}
