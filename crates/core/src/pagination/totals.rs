//! The total of a collection, as the route wants it reported, and the link to its last page.
//!
//! Only an answer to the whole list, a count of its own, or the walk's first page has the total. The size that an
//! answer to a filtered list states is that of the filtered list.

#[cfg(test)]
mod tests;

use super::{
    answer::Total,
    page::Page,
    paging::Family,
    position::Hint,
    read::read,
    request::{PageRequest, Totals},
    upstream::{CountBeside, Stop, UpstreamPort},
};

/// The route's source of totals, and the knowledge of the total before the page is read.
#[derive(Debug)]
struct Teller {
    totals: Totals,
    /// The total of the first page of the walk.
    first: Option<Total>,
    /// True if the flipped list can be read, so that the last page is its first.
    flips: bool,
    /// True if the last page can be reached: not by token.
    has_last: bool,
    /// The number of items that can be read from the start of the list, if it can't be read from its end.
    reach: Option<u64>,
}

/// Reads a page, and sets its total and the link to the last page as the request wants them.
///
/// # Errors
///
/// As [`read`].
pub(super) async fn tell(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let hint = request.target.hint;
    let may_count = match request.terms.totals {
        Totals::Count => true,
        Totals::FirstPage => request.abilities.counts && hint.first_total.is_none(),
        Totals::Upstream | Totals::Omit => false,
    };
    // A budget of one request is spent on the page.
    let may_count = may_count && request.budget.search > 1;
    let teller = Teller {
        totals: request.terms.totals,
        first: hint.first_total.filter(|_| request.terms.totals == Totals::FirstPage),
        flips: request.abilities.flips,
        has_last: request.paging.family != Family::Token,
        reach: request.paging.max_depth.filter(|_| !request.abilities.flips),
    };
    if may_count {
        // One request is kept for the count.
        request.budget = request.budget.after_or_one(1);
        up.count_beside(CountBeside { tells_total: request.abilities.tells_total, filters: request.filters.is_some() });
    }
    let page = read(up, request).await?;
    if may_count && up.counted.is_none() && page.total.is_none_or(|total| !total.exact) {
        up.count().await;
    }
    let mut page = teller.told(page, up.counted);
    // A count is a request, too. Test: `a_count_goes_beside_the_first_request_where_no_answer_will_tell`.
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
            // A walk has one total, though the list changes. Test: `the_first_page_tells_for_the_whole_walk`.
            Totals::FirstPage => self.first.or(known),
        });
        // A list that can be flipped can be empty, too. Test: `an_empty_list_has_no_last_page`.
        let is_empty = page.items.is_empty() && page.next.is_none() && page.previous.is_none();
        let exact = known.filter(|total| total.exact).map(|total| total.value);
        if self.has_last && page.last.is_none() && !is_empty && (self.flips || exact.is_some_and(|total| total > 0)) {
            page.lead_to_the_end(Some(Hint { total: exact, ..Hint::default() }));
        }
        if self.reach.zip(known).is_some_and(|(reach, total)| total.value > reach) {
            // Deeper than the upstream answers, the link would lead to a refusal.
            page.lead_to_the_end(None);
        }
        let first_total = if self.totals == Totals::FirstPage { page.total } else { None };
        let honoured = page.notes.honoured;
        for hint in page.hints() {
            // The next page holds a short answer against the sizes that the walk has seen filled. Test:
            // `a_client_that_deletes_the_items_it_reads_goes_on`.
            (hint.first_total, hint.honoured) = (first_total, honoured);
        }
        page
    }
}
