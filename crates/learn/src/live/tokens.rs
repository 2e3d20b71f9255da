//! Checks of a list that is read by token: what answers say about more items is compared with the items to which their
//! tokens lead.

use std::collections::{BTreeSet, HashSet};

use super::{
    ReadPage, Review,
    ends::{ENDING, SPARED},
    undeclared::of_seen,
};
use crate::prober::session::ProbeHalt;
use cursorgate_config::{diagnostic::Located, settings::EndWord};
use cursorgate_core::pagination::{
    fetch::{Fetch, Token, TokenFetch},
    window::PageSize,
};

/// The largest number of pages that are read by token.
const MOST_PAGES: usize = 8;

/// A list that is read by token: what was read so far.
#[derive(Default)]
struct TokenWalk {
    ids: HashSet<String>,
    /// The number of pages with items.
    pages: usize,
    /// The number of items before the last answer.
    before: usize,
    /// The id of the last item of the last answer.
    last: Option<String>,
    /// The largest exact total of the answers.
    total: Option<u64>,
    /// The flags that answers have.
    flags: BTreeSet<&'static str>,
}

impl Review {
    /// Reads the first pages of a list by token, following every token, and compares what their answers say with their
    /// items.
    pub(super) async fn check_tokens(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        let size = self.size(ENDING);
        let sorted = std::sync::Arc::clone(self.list.dialect.default_sorted());
        let (mut walk, mut token): (TokenWalk, Option<Token>) = (TokenWalk::default(), None);
        let mut denied: Vec<(&'static str, usize)> = Vec::new();
        // The answer after the last item then has this item alone.
        let is_inclusive = self.list.settings.dialect.request.after_inclusive;
        loop {
            let fetch = TokenFetch { token: token.clone(), backward: false, size: PageSize(size) };
            let page = self.ask(&sorted, &Fetch::Token(fetch)).await?;
            let Some(answer) = page.answer() else { return Ok(()) };
            let ends = answer.next.is_none();
            let begins_again = token.is_some() && walk.last.is_some() && walk.last.as_ref() == page.ids.first();
            if begins_again && self.is_continued_by_item() && !is_inclusive {
                let message = "asked for the items after an item, the upstream begins with this item";
                let at = self.list.settings.dialect.request.query.at;
                self.fault(at, message, "request.after_inclusive = true");
                return Ok(());
            }
            walk.last = page.ids.last().cloned();
            walk.before = walk.ids.len();
            walk.ids.extend(page.ids.iter().cloned());
            let new = walk.ids.len() - walk.before;
            walk.total = walk.total.max(answer.total.filter(|total| total.exact).map(|total| total.value));
            walk.flags.extend(page.said.claims.iter().map(|claim| claim.key));
            let next = page.said.token.clone();
            let place = self.token_place();
            if new > 0 {
                walk.pages += 1;
                for (key, until) in std::mem::take(&mut denied) {
                    let said = self.written(key);
                    let message = format!(
                        "{said} says that no item follows after {until}, and the token at {place} beside it leads to {new} more"
                    );
                    self.fact_fault(key, message, format!("remove {key}: it does not speak of the list"));
                }
            } else if token.is_some() && !page.ids.is_empty() && !(is_inclusive && page.ids.len() == 1) {
                let message = format!("the token at {place} leads to items that came before it");
                self.fact_fault(
                    "response.next_token",
                    message,
                    "is request.query right, and does the upstream read it?",
                );
                return Ok(());
            }
            if token.is_some() && next == token && new > 0 && !ends {
                let message = format!("page {} has at {place} the token with which it was asked for", walk.pages);
                let help =
                    "write where the token of the next page is; response.end = \"same-token\" if this marks the end";
                self.fact_fault("response.next_token", message, help);
                return Ok(());
            }
            if next.is_none() {
                self.check_vanished(&walk, &page, size);
                self.check_token_end(first, &walk, &page);
                return Ok(());
            }
            // A flag that denies more items is right if the token leads to none.
            if new == 0 || walk.pages >= MOST_PAGES || self.session.left() <= SPARED || !self.faults.is_empty() {
                self.check_token_total(&walk, &page, false);
                return Ok(());
            }
            let claims = page.said.claims.iter().filter(|claim| !claim.says_more);
            denied.extend(claims.map(|claim| (claim.key, walk.ids.len())));
            token = next;
        }
    }

    /// Reports an answer without a token that lacks a total or a flag, too, which answers before it have: more items may
    /// follow. Test: `facts_that_are_missing_from_some_item_on_are_reported`.
    fn check_vanished(&mut self, walk: &TokenWalk, page: &ReadPage, size: u32) {
        let Some(key) = page.answer().and_then(|answer| self.list.dialect.untold(answer)) else { return };
        let count = walk.ids.len() as u64;
        let said = match walk.total.filter(|total| *total > count) {
            Some(total) => format!("an answer before it says that there are {total}"),
            // The last page may lack a flag, and it is seldom full.
            None if page.ids.len() >= size as usize && !walk.flags.is_empty() => "it is full".to_owned(),
            None => return,
        };
        let (place, first) = (self.token_place(), walk.before + 1);
        let message = format!(
            "the answer with the items {first} to {count} has nothing at the places of {key} and of the token, {place}, \
             which answers before it have, and {said}"
        );
        let help = "clients get 502 there: under which parameter does the upstream keep these facts? Write it into \
                    request.query";
        self.fact_fault(key, message, help);
    }

    /// Reports a token at the first page that leads to the first page again, or that leads to an error, and a token at the
    /// second page that leads elsewhere than back. Test: `tokens_before_the_first_page_are_reported`.
    pub(super) async fn check_back(&mut self) -> Result<(), ProbeHalt> {
        let tokens = self.list.dialect.paging().tokens;
        if !tokens.backward || tokens.single_use || !self.faults.is_empty() {
            return Ok(());
        }
        let size = self.size(super::FEW);
        let sorted = std::sync::Arc::clone(self.list.dialect.default_sorted());
        let fetch =
            |token: Token, backward| Fetch::Token(TokenFetch { token: Some(token), backward, size: PageSize(size) });
        let first = self.page(0, size).await?;
        let Some(next) = first.said.token.clone() else { return Ok(()) };
        let second = self.ask(&sorted, &fetch(next, false)).await?;
        let Some(back) = second.answer().and_then(|answer| answer.previous.clone()) else { return Ok(()) };
        let again = self.ask(&sorted, &fetch(back, true)).await?;
        let response = &self.list.settings.dialect.response;
        let own = response.prev_token.clone().or_else(|| response.prev_url.clone());
        let (at, place) =
            (self.place_of(own.as_ref()), own.as_ref().map_or_else(String::new, |own| format!(" at {:?}", own.value)));
        let is_known = |page: &ReadPage| !page.ids.is_empty() && page.ids.iter().any(|id| first.ids.contains(id));
        if !is_known(&again) && !again.ids.is_empty() {
            let message =
                format!("the token{place} of the second page leads to other items than those of the first page");
            self.fault(at, message, "write where the token of the previous page is, or leave it out");
            return Ok(());
        }
        let Some(before) = again.answer().and_then(|answer| answer.previous.clone()) else { return Ok(()) };
        let before = self.ask(&sorted, &fetch(before, true)).await?;
        let leads = match before.answer() {
            None => format!("is answered with {}", before.seen.status),
            Some(_) if is_known(&before) => "leads to the first page again".to_owned(),
            Some(_) => return Ok(()),
        };
        let message = format!("the first page has a token{place} for a page before it, which {leads}");
        let help = match own.filter(|own| own.value.starts_with("link:") && !own.value.contains(';')) {
            Some(own) => {
                format!(
                    "if a parameter of the link says whether it leads on: {:?}",
                    format!("{};results=true", own.value)
                )
            }
            None => "leave out the token of the previous page: clients then page forward only".to_owned(),
        };
        self.fault(at, message, help);
        Ok(())
    }

    fn is_continued_by_item(&self) -> bool {
        let response = &self.list.settings.dialect.response;
        response.next_token.is_none() && response.next_url.is_none()
    }

    /// Returns the place of tokens, as the configuration writes it.
    fn token_place(&self) -> String {
        let response = &self.list.settings.dialect.response;
        let written = |own: &Option<Located<String>>| own.as_ref().map(|own| format!("{:?}", own.value));
        written(&response.next_token)
            .or_else(|| written(&response.next_url))
            .unwrap_or_else(|| "the last item".to_owned())
    }

    /// Compares what the last page by token says with the items that were read.
    fn check_token_end(&mut self, first: &ReadPage, walk: &TokenWalk, page: &ReadPage) {
        let (count, place) = (walk.ids.len(), self.token_place());
        for claim in page.said.claims.iter().filter(|claim| claim.says_more) {
            let said = self.written(claim.key);
            let message =
                format!("{said} says after {count} items that more follow, and there is no token for them at {place}");
            self.fact_fault(claim.key, message, format!("remove {}, or write where the token is", claim.key));
        }
        // The first answer was smaller, and a list with more items has to have a token in it.
        if first.said.token.is_none() && !first.ids.is_empty() && first.ids.len() < count {
            let few = first.ids.len();
            let message = format!("an answer with {few} of at least {count} items has no token at {place}");
            self.fact_fault("response.next_token", message, "write where the token of the next page is");
        }
        self.check_token_total(walk, page, true);
        let end = self.list.settings.dialect.response.end.clone();
        if let Some(end) = end.filter(|end| end.value == EndWord::WholeList)
            && let Some(rest) = of_seen(&page.seen, &self.shape(), count as u64)
        {
            let message = format!("an answer with {count} items is taken for the whole list, and {rest}");
            let help = "which parameter or link leads to the next page? request.query or response.next_url names it, in \
                        place of response.end";
            self.fault(end.at, message, help);
        }
    }

    /// Compares the total with the items that were read. `is_all` is true if nothing showed that more follow.
    fn check_token_total(&mut self, walk: &TokenWalk, page: &ReadPage, is_all: bool) {
        let total = page.answer().and_then(|answer| answer.total).filter(|total| total.exact && total.value > 0);
        let (Some(total), count) = (total.map(|total| total.value), walk.ids.len() as u64) else { return };
        let place = self.written("response.total");
        if total < count {
            let message = format!("{place} says {total}, and {count} items were read: it counts the items of the page");
            self.fact_fault("response.total", message, "remove response.total, or write where the total is");
        } else if is_all && total > count && !self.list.settings.dialect.response.hidden {
            let message = format!("{place} says {total}, and the items end after {count}, without a token");
            let help = "write where the token of the next page is; if the total counts items that the upstream hides, \
                        write response.hidden = true";
            self.fact_fault("response.total", message, help);
        }
    }
}
