//! Checks of the end of a configured list. They don't use the rule by which the gateway finds ends: each fact that says
//! how long the list is, or whether more items follow, is compared with the items that the upstream shows.

use std::collections::HashSet;

use super::{LiveFault, ReadPage, Review, undeclared::of_seen};
use crate::prober::session::ProbeHalt;
use cursorgate_config::{diagnostic::Located, settings::EndWord};
use cursorgate_core::pagination::{
    answer::Standing,
    fetch::{Fetch, Token, TokenFetch},
    paging::Family,
    window::PageSize,
};
use cursorgate_translate::upstream::ReadingError;

/// The size of the pages on which the end is looked for.
const ENDING: u32 = 100;

/// The largest number of pages that are read by token.
const MOST_PAGES: usize = 8;

/// The number of requests that stay for other checks. With fewer left, a list is not read further by token, and its end
/// is not searched for.
const SPARED: usize = 6;

/// A list that is read by token: what was read so far.
#[derive(Default)]
struct TokenWalk {
    ids: HashSet<String>,
    /// The number of pages with items.
    pages: usize,
}

impl Review {
    /// Reports facts that contradict the items at the end of the list.
    pub(super) async fn check_ends(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        if first.answer().is_none() {
            return Ok(());
        }
        match self.list.dialect.paging().family {
            Family::Token => self.check_tokens(first).await,
            Family::Offset if self.list.dialect.place_name().is_none() => Ok(()),
            Family::Page | Family::Offset => {
                self.check_denial(first).await?;
                self.check_last_place(first).await
            }
        }
    }

    /// Returns the place of a fact in answers, as the configuration writes it. `key` is that of a claim.
    fn written(&self, key: &str) -> String {
        let response = &self.list.settings.dialect.response;
        let own = match key {
            "response.total" => response.total.as_ref(),
            "response.has_more" => response.has_more.as_ref(),
            "response.is_last" => response.is_last.as_ref(),
            _ => response.next_url.as_ref().or(response.next_page.as_ref()),
        };
        own.map_or_else(|| key.to_owned(), |own| format!("{key} at {:?}", own.value))
    }

    fn fact_fault(&mut self, key: &str, message: String, help: impl Into<String>) {
        let response = &self.list.settings.dialect.response;
        let own = match key {
            "response.total" => response.total.as_ref(),
            "response.has_more" => response.has_more.as_ref(),
            "response.is_last" => response.is_last.as_ref(),
            "response.next_token" => response.next_token.as_ref().or(response.next_url.as_ref()),
            _ => response.next_url.as_ref().or(response.next_page.as_ref()),
        };
        let at = self.place_of(own);
        self.faults.push(LiveFault { at, message, help: help.into() });
    }

    /// Reports a flag of the first page that denies more items although the second page has some, and a total that is
    /// reached although the second page has items.
    async fn check_denial(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        let few = self.size(super::FEW);
        if first.ids.is_empty() || first.ids.len() < few as usize {
            return Ok(());
        }
        let second = self.page(1, few).await?;
        let new = second.ids.iter().filter(|id| !first.ids.contains(id)).count();
        if new == 0 {
            return Ok(());
        }
        let count = first.ids.len();
        let total = first.answer().and_then(|answer| answer.total).filter(|total| total.exact);
        for claim in first.said.claims.iter().filter(|claim| !claim.says_more) {
            let place = self.written(claim.key);
            let all = total.map_or_else(String::new, |total| format!(", and response.total says {}", total.value));
            let message = format!("{place} says that no item follows after {count}, and the next page has {new}{all}");
            self.fact_fault(claim.key, message, format!("remove {}: it does not speak of the list", claim.key));
        }
        if let Some(total) = total.filter(|total| total.value <= count as u64) {
            let place = self.written("response.total");
            let message = format!(
                "{place} says {} on a page of {count} items, and the next page has {new} more: it counts the items of the \
                 page",
                total.value
            );
            self.fact_fault("response.total", message, "remove response.total, or write where the total is");
        }
        Ok(())
    }

    /// Compares the total with the last items: requests the page that the total calls the last, the page after it, and
    /// one far beyond.
    async fn check_last_place(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        let total = first.answer().and_then(|answer| answer.total).filter(|total| total.exact);
        let Some(total) = total.map(|total| total.value).filter(|total| *total > 0) else { return Ok(()) };
        let size = self.size(ENDING);
        // A cap may make answers shorter than requested, also one that the dialect doesn't declare.
        let count = u32::try_from(self.page(0, size).await?.ids.len()).unwrap_or(size);
        let size = if count > 0 && u64::from(count) < total { self.size(size.min(count)) } else { size };
        let last = (total - 1) / u64::from(size);
        let request = &self.list.settings.dialect.request;
        let largest = request.max_offset.as_ref().map_or(u64::MAX, |largest| largest.value);
        let depth = request.max_depth.unwrap_or(u64::MAX).min(largest).min(self.session.limits.depth);
        // A total that is wrong was reported, and a deeper page may be too expensive for the upstream.
        if (last + 1).saturating_mul(size.into()) > depth || !self.faults.is_empty() {
            return Ok(());
        }
        self.check_count(last, size).await?;
        let past = self.page(last + 1, size).await?;
        self.check_past_end(total, size, &past).await?;
        let far = (depth / u64::from(size)).saturating_sub(1).min((last + 1).saturating_mul(64));
        if far > last + 1 && past.answer().is_some() {
            let far = self.page(far, size).await?;
            self.check_far(total, &past, &far);
        }
        Ok(())
    }

    /// Reports a total that is larger than the number of items before the end. `last` is the page that the total calls
    /// the last.
    async fn check_count(&mut self, last: u64, size: u32) -> Result<(), ProbeHalt> {
        let whole = self.page(0, size).await?;
        // If pages aren't as large as requested, they begin at other places. Other checks report that. Where items are
        // hidden after the limit, the total may count them too.
        let is_sized = last == 0 || whole.ids.len() == size as usize;
        if !is_sized || self.list.settings.dialect.response.hidden {
            return Ok(());
        }
        let page = self.page(last, size).await?;
        let begins = last.saturating_mul(size.into());
        // The list may have changed since the first answer, so the total of this one counts.
        // A total of 0 beside no items says nothing: some upstreams count the rows of the answer.
        let said = page.answer().and_then(|answer| answer.total).filter(|total| total.exact).map(|total| total.value);
        let said = said.filter(|said| *said > 0 || !page.ids.is_empty());
        let is_refused = matches!(page.read, Err(ReadingError::Failed { .. }));
        let Some(said) = said.or_else(|| (is_refused || page.ids.is_empty()).then_some(begins + 1)) else {
            return Ok(());
        };
        let count = page.ids.len() as u64;
        if let Some(total) = whole.answer().and_then(|answer| answer.total).map(|total| total.value)
            && begins > 0
            && count > 0
            && said.saturating_add(begins) == total
        {
            let place = self.written("response.total");
            let message = format!(
                "{place} says {total} on the first page, and {said} at offset {begins}: it counts the \
                                   items from there on"
            );
            self.fact_fault("response.total", message, "remove response.total, or write where the total is");
            return Ok(());
        }
        if said <= begins + count || count == u64::from(size) {
            return Ok(());
        }
        let reached = if count > 0 { begins + count } else { self.last_item(last, size).await? };
        let Some(total) = whole.answer().and_then(|answer| answer.total) else { return Ok(()) };
        let place = self.written("response.total");
        let message = format!("{place} says {}, and the items end after {reached}", total.value);
        let help = format!(
            "write request.max_depth = {reached} if the upstream never shows more; if its total counts items that it hides, \
             write response.hidden = true"
        );
        self.fact_fault("response.total", message, help);
        Ok(())
    }

    /// Returns the number of items before the end, which is before the page `empty`: searches the last page with items.
    async fn last_item(&mut self, empty: u64, size: u32) -> Result<u64, ProbeHalt> {
        let (mut has, mut lacks, mut count) = (0, empty, u64::from(size));
        while has + 1 < lacks && self.session.left() > SPARED {
            let middle = has + (lacks - has) / 2;
            let page = self.page(middle, size).await?;
            if page.ids.is_empty() { lacks = middle } else { (has, count) = (middle, page.ids.len() as u64) }
        }
        Ok(has.saturating_mul(size.into()) + count)
    }

    /// Reports an answer after the end that the dialect doesn't describe: an error, or the last page again. `past` is
    /// the page after the one that the total calls the last.
    async fn check_past_end(&mut self, total: u64, size: u32, past: &ReadPage) -> Result<(), ProbeHalt> {
        let response = &self.list.settings.dialect.response;
        let at = self.place_of(response.past_end.first().map(|_| &response.items));
        match &past.read {
            Err(ReadingError::Failed { status, .. }) => {
                let message = format!("after the end of the list the upstream answers {status}");
                self.fault(at, message, format!("response.past_end = [{{ status = {status} }}]"));
            }
            Ok(answer)
                if answer.standing == Standing::Listed
                    && !past.ids.is_empty()
                    && !self.list.dialect.paging().repeats_last_page =>
            {
                let last = (total - 1) / u64::from(size);
                let end = self.page(last, size).await?;
                // If the pages differ, items may have been added after the first request, which isn't a fault.
                if end.ids != past.ids {
                    return Ok(());
                }
                // The last page has the rest of the items by the total. With more, its place was lowered.
                let begins = last.saturating_mul(size.into());
                if begins.saturating_add(end.ids.len() as u64) > total
                    && self.list.dialect.paging().family == Family::Offset
                {
                    let message = format!(
                        "the offsets {begins} and {} give the same {} items, and response.total says {total}: the \
                         upstream takes no offset this large",
                        begins.saturating_add(size.into()),
                        end.ids.len()
                    );
                    self.fault(at, message, "request.max_offset, with the largest offset that the upstream takes");
                } else {
                    let message = "after the end of the list the last page comes again";
                    self.fault(at, message, "response.repeats_last_page = true");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reports a flag or a link that says after the end, and far beyond it, that more items follow.
    fn check_far(&mut self, total: u64, past: &ReadPage, far: &ReadPage) {
        let is_empty = |page: &ReadPage| page.answer().is_some() && page.ids.is_empty();
        if !is_empty(past) || !is_empty(far) {
            return;
        }
        let constant = past.said.claims.iter().filter(|claim| claim.says_more && far.said.claims.contains(claim));
        for claim in constant.copied().collect::<Vec<_>>() {
            let place = self.written(claim.key);
            let message = format!("{place} says that more items follow, on empty pages after all {total} items");
            self.fact_fault(claim.key, message, format!("remove {}: it does not speak of the list", claim.key));
        }
    }

    /// Reads the first pages of a list by token, following every token, and compares what their answers say with their
    /// items.
    async fn check_tokens(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
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
            let before = walk.ids.len();
            walk.ids.extend(page.ids.iter().cloned());
            let new = walk.ids.len() - before;
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
