//! Checks of the end of a configured list. They don't use the rule by which the gateway finds ends: each fact that says
//! how long the list is, or whether more items follow, is compared with the items that the upstream shows.

use std::ops::RangeInclusive;

use super::{LiveFault, ReadPage, Review};
use crate::{paging::dropped::page_within, prober::session::ProbeHalt};
use cursorgate_core::pagination::{answer::Standing, paging::Family};
use cursorgate_translate::upstream::ReadingError;

/// The size of the pages on which the end is looked for.
pub(super) const ENDING: u32 = 100;

/// The number of requests that stay for other checks. With fewer left, a list is not read further by token, and its end
/// is not searched for.
pub(super) const SPARED: usize = 6;

impl Review {
    /// Reports facts that contradict the items at the end of the list.
    pub(super) async fn check_ends(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        if first.answer().is_none() {
            return Ok(());
        }
        match self.list.dialect.paging().family {
            Family::Token => {
                self.check_tokens(first).await?;
                self.check_back().await
            }
            Family::Offset if self.list.dialect.place_name().is_none() => Ok(()),
            Family::Page | Family::Offset => {
                self.check_denial(first).await?;
                self.check_last_place(first).await
            }
        }
    }

    /// Returns the place of a fact in answers, as the configuration writes it. `key` is that of a claim.
    pub(super) fn written(&self, key: &str) -> String {
        let response = &self.list.settings.dialect.response;
        let own = match key {
            "response.total" => response.total.as_ref(),
            "response.has_more" => response.has_more.as_ref(),
            "response.is_last" => response.is_last.as_ref(),
            _ => response.next_url.as_ref().or(response.next_page.as_ref()),
        };
        own.map_or_else(|| key.to_owned(), |own| format!("{key} at {:?}", own.value))
    }

    pub(super) fn fact_fault(&mut self, key: &str, message: String, help: impl Into<String>) {
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

    /// Requests the last page, pages after it, and one far beyond. The total says which page is the last; without a
    /// total, it is searched for. Test: `an_end_that_no_total_states_is_looked_at`.
    async fn check_last_place(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        let total = first.answer().and_then(|answer| answer.total).filter(|total| total.exact);
        let total = total.map(|total| total.value).filter(|total| *total > 0);
        let size = self.size(ENDING);
        let whole = self.page(0, size).await?;
        // A cap may make answers shorter than requested, also one that the dialect doesn't declare.
        let count = u32::try_from(whole.ids.len()).unwrap_or(size);
        let is_capped = match total {
            Some(total) => u64::from(count) < total,
            None => count < size && !self.is_hidden() && self.goes_on_after(&whole, size).await?,
        };
        let size = if count > 0 && is_capped { self.size(size.min(count)) } else { size };
        // A total that is wrong was reported.
        if !self.faults.is_empty() {
            return Ok(());
        }
        let last = match total {
            Some(total) => Some((total - 1) / u64::from(size)),
            None => self.search_last(size).await?,
        };
        let Some(last) = last.filter(|last| self.may_begin(*last, size)) else { return Ok(()) };
        self.check_cut(last, size).await?;
        // Answers that are cut make a right total look wrong.
        if !self.faults.is_empty() {
            return Ok(());
        }
        if total.is_some() {
            self.check_count(last, size).await?;
        }
        // The page after a full one begins where the list ends, which some upstreams don't refuse.
        let mut after = last + 2;
        if !self.may_begin(after, size) {
            return Ok(());
        }
        let mut past = self.page(after, size).await?;
        let (mut total, mut last) = (total, last);
        // Where pages have fewer items than the dialect says, the total calls a page the last that isn't, and the real end
        // is searched. Test: `a_refused_page_behind_a_total_that_ends_too_early_is_reported`.
        if total.is_some()
            && self.has_new_items(&past, last, size).await?
            && let Some(found) = self.search_last(size).await?
            && found > last
            && self.may_begin(found + 2, size)
        {
            (total, last, after) = (None, found, found + 2);
            past = self.page(after, size).await?;
        }
        self.check_past_end(total, last, size, &past).await?;
        let far = (self.depth(size) / u64::from(size)).saturating_sub(1).min(after.saturating_mul(64));
        if far > after && past.answer().is_some() {
            let far = self.page(far, size).await?;
            self.check_far(&past, &far);
        }
        Ok(())
    }

    /// Returns whether a page has items that neither the first page nor the page `last` has.
    async fn has_new_items(&mut self, past: &ReadPage, last: u64, size: u32) -> Result<bool, ProbeHalt> {
        if past.ids.is_empty() || past.answer().is_none() {
            return Ok(false);
        }
        let (first, end) = (self.page(0, size).await?.ids, self.page(last, size).await?.ids);
        Ok(!past.ids.iter().any(|id| first.contains(id) || end.contains(id)))
    }

    /// Reports answers that get shorter further down: a window whose answer is short, and which has further items behind
    /// those of the answer. An answer from which rows are dropped has all items of its window. Test:
    /// `answers_that_get_shorter_further_down_are_reported`.
    async fn check_cut(&mut self, last: u64, size: u32) -> Result<(), ProbeHalt> {
        let mut looks = vec![0, last / 4, last / 2, last - last / 4, last.saturating_sub(1), last];
        looks.dedup();
        let (mut first, mut least) = (None, size);
        let mut shown = Vec::new();
        for number in looks {
            if self.session.left() <= SPARED {
                break;
            }
            let page = self.page(number, size).await?;
            let count = u32::try_from(page.ids.len()).unwrap_or(size);
            shown.push((number, page.ids.clone()));
            if count == 0 || count >= size || page.answer().is_none() {
                continue;
            }
            let from = number.saturating_mul(size.into());
            if self.has_items_after(&page, from, size - count).await? {
                first.get_or_insert((from, count));
                least = least.min(count);
            }
        }
        self.report_added(&shown);
        self.report_filling(&shown, last, size);
        let Some((from, count)) = first else { return Ok(()) };
        let at = self.place_of(self.list.settings.dialect.size.max.as_ref());
        let message = format!(
            "asked for {size} items at offset {from}, the upstream gave {count}, and the next ones by themselves: its \
             answers get shorter further down, as by a limit of their bytes"
        );
        let hidden = if self.is_hidden() { ", and remove response.hidden unless rows are dropped too" } else { "" };
        self.fault(at, message, format!("size.max = {least}{hidden}"));
        Ok(())
    }

    /// Reports pages of a fixed size that have more items than the dialect says, or fewer although others follow. A first
    /// page may have items in addition. `pages` are the numbers and ids of pages up to the page `last`. Test:
    /// `pages_of_a_fixed_size_are_as_full_as_the_dialect_says`.
    fn report_filling(&mut self, pages: &[(u64, Vec<String>)], last: u64, size: u32) {
        if self.list.dialect.size_name().is_some() {
            return;
        }
        let most = pages.iter().filter(|(number, _)| *number > 0).map(|(_, ids)| ids.len()).max().unwrap_or(0);
        if most > size as usize {
            let at = self.place_of(self.list.settings.dialect.size.default.as_ref());
            let message = format!("a page has {most} items, and the dialect says {size}");
            self.fault(at, message, format!("size.default = {most}"));
            return;
        }
        let is_short =
            |(number, ids): &&(u64, Vec<String>)| *number < last && !ids.is_empty() && ids.len() < size as usize;
        let follows = |number: u64| pages.iter().any(|(later, ids)| *later > number && !ids.is_empty());
        let Some((number, ids)) = pages.iter().filter(is_short).find(|(number, _)| follows(*number)) else { return };
        if !self.is_hidden() {
            let at = self.list.settings.dialect.response.items.at;
            let message = format!("page {} has {} of {size} items, and others follow it", number + 1, ids.len());
            self.fault(at, message, "response.hidden = true if rows are left out, or a smaller size.default");
        }
    }

    /// Reports an item that is on several pages, each of which has other items beside it. `pages` are their numbers and
    /// ids. Items that move are on two pages at most, and items without ids may look the same. Test:
    /// `an_item_on_every_page_is_reported`.
    fn report_added(&mut self, pages: &[(u64, Vec<String>)]) {
        let has_id = |id: &&String| !id.starts_with('{');
        let has_others =
            |ids: &[String]| ids.iter().any(|id| pages.iter().filter(|(_, all)| all.contains(id)).count() == 1);
        let distinct: Vec<&(u64, Vec<String>)> = pages.iter().filter(|(_, ids)| has_others(ids)).collect();
        let on =
            |id: &String| distinct.iter().filter(|(_, ids)| ids.contains(id)).map(|(number, _)| number + 1).collect();
        let added = distinct.iter().flat_map(|(_, ids)| ids).filter(has_id).map(|id| (id, on(id)));
        let Some((id, numbers)) = added.into_iter().find(|(_, numbers): &(&String, Vec<u64>)| numbers.len() > 2) else {
            return;
        };
        let at = self.list.settings.dialect.request.query.at;
        let message =
            format!("the item with the id {id} is on pages {}, {} and {}", numbers[0], numbers[1], numbers[2]);
        let help = "the upstream adds items to its pages, such as pinned ones, which are not at their places in the list: is \
                    there a parameter for request.query that leaves them out?";
        self.fault(at, message, help);
    }

    /// Returns whether the `rest` places of a window after the items of a page have items that the page lacks.
    async fn has_items_after(&mut self, page: &ReadPage, from: u64, rest: u32) -> Result<bool, ProbeHalt> {
        let place = from + page.ids.len() as u64;
        let by_offset =
            self.list.dialect.paging().family == Family::Offset && !self.list.settings.dialect.request.aligned;
        // A last page that comes again for places after it has no more items than this one, if no more are asked for.
        let rest = rest.min(page.ids.len().try_into().unwrap_or(rest));
        let size = if by_offset { rest } else { page_within(place, rest) };
        // Only certain sizes may be allowed, or none.
        if self.list.dialect.size_name().is_none() || self.size(size) != size {
            return Ok(false);
        }
        let next = match by_offset {
            true => self.slice(place, size).await?,
            false => self.page(place / u64::from(size), size).await?,
        };
        // A list may begin again after its end.
        let first = if from > 0 { self.page(0, size).await?.ids } else { Vec::new() };
        // A list that loses an item meanwhile has one new item at the end of the window.
        let new = next.ids.iter().filter(|id| !page.ids.contains(id) && !first.contains(id));
        Ok(new.count() * 2 > next.ids.len())
    }

    fn is_hidden(&self) -> bool {
        self.list.settings.dialect.response.hidden
    }

    /// Returns the number of items from the beginning that pages of this size may be requested of.
    fn depth(&self, size: u32) -> u64 {
        let request = &self.list.settings.dialect.request;
        let largest = request.max_offset.as_ref().map_or(u64::MAX, |largest| largest.value);
        let allowed = largest.saturating_add(size.into()).min(self.session.limits.depth.saturating_add(size.into()));
        request.max_depth.unwrap_or(u64::MAX).min(allowed)
    }

    /// Returns whether the page may be requested: a deeper one may be too expensive for the upstream.
    fn may_begin(&self, page: u64, size: u32) -> bool {
        page.saturating_add(1).saturating_mul(size.into()) <= self.depth(size)
    }

    /// Searches the last page with items, and of a list that repeats its last page the first of the equal ones: by pages at
    /// doubling distances, and then by bisection. Returns `None` if it lies deeper than requests may.
    async fn search_last(&mut self, size: u32) -> Result<Option<u64>, ProbeHalt> {
        let (mut has, mut after, mut again) = (0, 1, Vec::new());
        let mut before = self.page(has, size).await?.ids;
        loop {
            if !self.may_begin(after, size) || self.session.left() <= SPARED {
                return Ok(None);
            }
            let ids = self.page(after, size).await?.ids;
            if ids.is_empty() {
                break;
            }
            if ids == before {
                again = ids;
                break;
            }
            (has, after, before) = (after, after * 2, ids);
        }
        // The page before may be a repetition, too.
        if !again.is_empty() {
            (has, after) = (has / 2, has);
        }
        // Each iteration halves the interval, so the loop ends.
        while after - has > 1 {
            if self.session.left() <= SPARED {
                return Ok(None);
            }
            let middle = u64::midpoint(has, after);
            let ids = self.page(middle, size).await?.ids;
            if ids.is_empty() || ids == again { after = middle } else { has = middle }
        }
        Ok(Some(if again.is_empty() { has } else { after }))
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

    /// Reports answers after the end that the dialect doesn't describe: an error, no array, or the last page again. `past`
    /// is a page after the last one.
    async fn check_past_end(
        &mut self,
        total: Option<u64>,
        last: u64,
        size: u32,
        past: &ReadPage,
    ) -> Result<(), ProbeHalt> {
        let at = self.place_of(Some(&self.list.settings.dialect.response.items));
        match &past.read {
            Err(_) if !past.seen.is_success() => {
                let status = past.seen.status;
                // An upstream may fail once.
                if status >= 500 && self.page(last + 1, size).await?.seen.status != status {
                    return Ok(());
                }
                let end = self.page(last, size).await?;
                let said = format!("after the end of the list the upstream answers {status}");
                let key = format!("response.past_end = [{{ status = {status} }}]");
                let is_told =
                    total.is_some() || end.ids.len() < size as usize || matches!(status, 204 | 404 | 410 | 416);
                if is_told {
                    self.fault(at, said, key);
                } else {
                    let count = last.saturating_add(1).saturating_mul(size.into());
                    let message = format!(
                        "after {count} items the upstream answers {status}, and nothing says that the list ends there"
                    );
                    let help = format!("{key} if it ends there; request.max_depth = {count} if it goes on");
                    self.fault(at, message, help);
                }
            }
            Err(_) if past.seen.is_success() && self.shape().elements(&past.seen).is_none() => {
                let message = "after the end of the list the answers have no array of items";
                self.fault(at, message, "response.items_optional = true");
            }
            Ok(answer) if answer.standing == Standing::Listed && !past.ids.is_empty() => {
                self.check_repetition(total, last, size, past).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Reports items after the end: those of the last page, of the largest offset that the upstream takes, or of the
    /// beginning.
    async fn check_repetition(
        &mut self,
        total: Option<u64>,
        last: u64,
        size: u32,
        past: &ReadPage,
    ) -> Result<(), ProbeHalt> {
        let at = self.place_of(Some(&self.list.settings.dialect.response.items));
        let end = self.page(last, size).await?;
        let begins = last.saturating_mul(size.into());
        if total.is_none() && last > 0 && past.ids == self.page(0, size).await?.ids {
            // In a declared order, the first item after the last one shows the end.
            if past.said.claims.is_empty() && !self.list.settings.declared {
                let message = "after its end the list begins again, and nothing says where it ends";
                let help = "write response.total, has_more or is_last, if answers have one; or the order of the list";
                self.fault(at, message, help);
            }
            return Ok(());
        }
        // If the pages differ, items may have been added after the first request, which isn't a fault.
        if end.ids != past.ids {
            return Ok(());
        }
        let count = past.ids.len();
        let after = begins.saturating_add(size.into());
        if let Some(largest) = self.largest_offset(after, size, &past.ids).await? {
            let message = format!(
                "the offsets {begins} and {after} give the same {count} items: the upstream takes no offset this large"
            );
            let help = match largest.end() - largest.start() {
                0 => format!("request.max_offset = {}", largest.end()),
                _ => format!("request.max_offset, which is {} to {}", largest.start(), largest.end()),
            };
            self.fault(self.list.settings.dialect.request.query.at, message, help);
        } else if let Some(total) = total.filter(|total| begins.saturating_add(count as u64) > *total) {
            // The last page has the rest of the items by the total. With more, its place was lowered.
            let message = format!(
                "the pages at {begins} and {after} have the same {count} items, and response.total says {total}: the                  upstream begins no page this late"
            );
            self.fault(at, message, "can a filter or another parameter reach the items behind?");
        } else if !self.list.dialect.paging().repeats_last_page {
            let message = "after the end of the list the last page comes again";
            self.fault(at, message, "response.repeats_last_page = true");
        }
        Ok(())
    }

    /// Returns the bounds of the largest offset that the upstream takes, if it lowers larger ones without a word: a smaller
    /// answer then has the first of the items that a larger one has, and a last page that comes again has the last ones.
    /// `from` is an offset that was lowered, and `again` are its items. The bounds are equal if the requests suffice.
    async fn largest_offset(
        &mut self,
        from: u64,
        size: u32,
        again: &[String],
    ) -> Result<Option<RangeInclusive<u64>>, ProbeHalt> {
        let smaller = size / 2;
        let dialect = &self.list.settings.dialect;
        let can_ask = self.list.dialect.paging().family == Family::Offset && !dialect.request.aligned;
        if !can_ask || self.list.dialect.size_name().is_none() || !dialect.size.choices.is_empty() || smaller == 0 {
            return Ok(None);
        }
        let begins =
            |page: &ReadPage| !page.ids.is_empty() && again.len() > page.ids.len() && again.starts_with(&page.ids);
        if !begins(&self.slice(from, smaller).await?) {
            return Ok(None);
        }
        let (mut low, mut high) = (0, from);
        // Each iteration halves the interval, so the loop ends.
        while high - low > 1 && self.session.left() > 0 {
            let middle = u64::midpoint(low, high);
            if begins(&self.slice(middle, smaller).await?) { high = middle } else { low = middle }
        }
        Ok(Some(low + 1..=high))
    }

    /// Reports a flag or a link that says after the end, and far beyond it, that more items follow.
    fn check_far(&mut self, past: &ReadPage, far: &ReadPage) {
        let is_empty = |page: &ReadPage| page.answer().is_some() && page.ids.is_empty();
        if !is_empty(past) || !is_empty(far) {
            return;
        }
        let constant = past.said.claims.iter().filter(|claim| claim.says_more && far.said.claims.contains(claim));
        for claim in constant.copied().collect::<Vec<_>>() {
            let place = self.written(claim.key);
            let message = format!("{place} says that more items follow, on empty pages after the end");
            self.fact_fault(claim.key, message, format!("remove {}: it does not speak of the list", claim.key));
        }
    }
}
