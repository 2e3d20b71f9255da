//! The total that a page reports, as the route configures it, and the link to the last page.
//!
//! Only an answer to the whole list, a separate count, or the first page of the walk has the total of the collection.
//! An answer to a filtered list states only the filtered list's total.

#[cfg(test)]
mod tests;

use super::{
    answer::Total,
    page::Page,
    paging::Family,
    plan,
    position::Hint,
    read::read,
    request::{PageRequest, Totals},
    upstream::{CountBeside, Stop, UpstreamPort},
};

/// The inputs for a page's total and its link to the last page that are known before the page is read.
#[derive(Debug)]
struct Teller {
    totals: Totals,
    /// The total of the walk's first page; `None` if the route doesn't repeat it, or on the first page itself.
    first: Option<Total>,
    /// True if the flipped list can be read. Its first page is the last page of the list.
    flips: bool,
    /// True if the last page can be requested. Upstreams that page by token can't be asked for it.
    has_last: bool,
    /// The upstream's largest depth, if the list can't be read from its end; `None` if the whole list can be read.
    reach: Option<u64>,
}

/// Reads a page, and sets its total and its link to the last page as the request demands.
///
/// # Errors
///
/// The same as for [`read`].
pub(super) async fn tell(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let hint = request.target.hint;
    let may_count = match request.terms.totals {
        Totals::Count => true,
        Totals::FirstPage => request.abilities.counts && hint.first_total.is_none(),
        Totals::Upstream | Totals::Omit => false,
    };
    // If the budget is a single request, the page gets it.
    let may_count = may_count && request.budget.search > 1;
    let teller = Teller {
        totals: request.terms.totals,
        first: hint.first_total.filter(|_| request.terms.totals == Totals::FirstPage),
        flips: request.abilities.flips,
        has_last: request.paging.family != Family::Token,
        reach: plan::reach_of(&request.paging).filter(|_| !request.abilities.flips),
    };
    if may_count {
        // One request of the budget is reserved for the count.
        request.budget = request.budget.after_or_one(1);
        up.count_beside(CountBeside { tells_total: request.abilities.tells_total, filters: request.filters.is_some() });
    }
    let page = read(up, request).await?;
    if may_count && up.counted.is_none() && page.total.is_none_or(|total| !total.exact) {
        up.count().await;
    }
    let mut page = teller.told(page, up.counted);
    // The count is a request of the page, but isn't in `up.requests`. Test:
    // `a_count_is_requested_with_the_first_request_if_answers_have_no_total`.
    page.notes.requests = up.requests.saturating_add(u32::from(up.counted.is_some()));
    Ok(page)
}

impl Teller {
    /// Returns the page with its total and, if the last page can be reached, with a link to it.
    fn told(self, mut page: Box<Page>, counted: Option<Option<Total>>) -> Box<Page> {
        let said = page.total;
        let known = said.filter(|total| total.exact).or_else(|| counted.flatten()).or(said);
        page.tell(match self.totals {
            Totals::Omit => None,
            Totals::Upstream => said,
            Totals::Count => known,
            // All pages of a walk report the same total, although the list changes. Test:
            // `the_total_of_the_first_page_is_reported_on_the_whole_walk`.
            Totals::FirstPage => self.first.or(known),
        });
        // An empty list has no last page, even if it can be flipped. Test: `an_empty_list_has_no_last_page`.
        let exact = known.filter(|total| total.exact).map(|total| total.value);
        let is_counted = exact.is_some_and(|total| total > 0);
        let is_empty = page.items.is_empty() && page.next.is_none() && (page.previous.is_none() || !is_counted);
        if self.has_last && page.last.is_none() && !is_empty && (self.flips || is_counted) {
            page.lead_to_the_end(Some(Hint { total: exact, ..Hint::default() }));
        }
        if self.reach.zip(known).is_some_and(|(reach, total)| total.value > reach) {
            // The last page would be deeper than the upstream answers, so the link would lead to a refusal.
            page.lead_to_the_end(None);
        }
        let first_total = if self.totals == Totals::FirstPage { page.total } else { None };
        let honoured = page.notes.honoured;
        for hint in page.hints() {
            // The next page compares a short answer with the honoured size of the walk. Test:
            // `a_client_that_deletes_the_items_it_reads_goes_on`.
            (hint.first_total, hint.honoured) = (first_total, honoured);
        }
        page
    }
}
