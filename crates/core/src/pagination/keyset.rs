//! Pages that are found by their keys: filters, or the flipped list, show the boundary in one request.
//!
//! A filter on the first key, from the anchor's value on, gives a list that begins with the anchor or its run. The rule
//! of the proof is the same as in the whole list: an answer begins at or before the anchor and reaches beyond it. The
//! filtered list is paged by offset, so a run longer than an answer only takes more requests. If an answer to a filter
//! begins before the anchor's first key, or is empty, the page is read from the whole list without the filter. After
//! [`PAGES_IN_VAIN`] pages in a row whose filters proved nothing, the next [`PAGES_WITHOUT_FILTER`] pages don't try the
//! filter. If the upstream can flip the list, filters show the items before an anchor as the items after the anchor in
//! the flipped list.

mod filtered_place;
mod reading;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{
    answer::Answer,
    fetch::{Fetch, Listing},
    judge::draft::Ground,
    limits::{AFTER_FILTER_REQUESTS, FILTER_DETOUR, PAGES_IN_VAIN, PAGES_WITHOUT_FILTER},
    order::Order,
    page::{Level, Page},
    parts::{
        legs,
        range::{self, Part},
    },
    plan,
    position::{Anchor, Hint, Position},
    refusal::Refusal,
    request::{Budget, PageRequest, WhenUnproven},
    upstream::{LeftOut, Noted, ShownItems, Stop, UpstreamPort, length_of},
    window::Offset,
    windows,
};

/// A way of reading that is expected to show a page in one answer.
enum Shortcut {
    /// The parts of the list, read one after the other by filters.
    Parts(Vec<Part>),
    /// The parts of the flipped list, read one after the other by filters.
    FlippedParts(Vec<Part>),
    /// The flipped list, without filters.
    Flipped,
}

/// Reads a page by filters, from the flipped list, or from the whole list.
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let (before, budget, limit) = (up.requests, request.budget.search, u64::from(request.limit));
    let order = Arc::clone(&request.order);
    up.shown = ShownItems::of(&request);
    let outcome = read_in_any_form(up, request).await;
    let shown = up.shown.take();
    let page = outcome?;
    let left_out = shown.filter(|_| page.level() >= Level::Checked).and_then(|shown| shown.left_out_of(&page));
    let Some(left_out) = left_out else { return Ok(page) };
    // A deleted item is missing rightly, so the answer that showed the item is read again. Tests:
    // `a_page_without_an_item_that_an_answer_shows_again_is_refused`,
    // `a_page_without_an_item_that_was_deleted_is_served`.
    let is_spent = up.requests - before >= budget;
    let again = if is_spent { None } else { up.fetch(vec![left_out.fetch.clone()]).await?.pop() };
    match again {
        Some(answer) if !left_out.is_shown_by(&answer, &order) => Ok(page),
        again => Err(Refusal::PositionLost { nearest: place_near(&page, &left_out, again, limit) }.into()),
    }
}

/// Returns a place in the list near a page that is refused: the page's offset, or the offset of the last page if the
/// page is empty or after the end by a total. An answer to `left_out` shows an item that the page lacks, and `again` is
/// the newest one. If it is from the whole list, the list goes at least up to its place. See
/// `regressions/the-nearest-place-after-a-purge.txt`.
fn place_near(page: &Page, left_out: &LeftOut, again: Option<Answer>, limit: u64) -> Offset {
    // The newest answer may know a smaller list than the page. See `regressions/a-row-that-comes-after-a-purge.txt`. If no
    // request was left for it, the answer that shows the item may. See `regressions/a-nearest-place-without-a-request.txt`.
    let shown = &left_out.fetch;
    let newest = again.map_or(left_out.length, |answer| length_of(shown, &answer));
    let end = [page.total, newest].into_iter().flatten().filter(|total| total.exact).map(|total| total.value).min();
    let end = end.unwrap_or(u64::MAX);
    if !page.items.is_empty() && page.offset < end {
        return Offset(page.offset);
    }
    let last_page = page.offset.min(end).saturating_sub(limit);
    Offset(match shown {
        Fetch::Slice(slice, listing) if listing.is_same_list(&Listing::default()) => last_page.min(slice.begins().0),
        _ => last_page,
    })
}

/// Reads a page by filters, from the flipped list, or from the whole list. If the dialect can't write a filter, reads
/// the page without filters.
async fn read_in_any_form(up: &mut UpstreamPort, request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let before = up.requests;
    let rest = request.filters.is_some().then(|| request.clone());
    let outcome = read_with_filters(up, request).await;
    let (Some(mut rest), Err(Stop::Unaskable)) = (rest, &outcome) else { return outcome };
    let spent = up.requests - before;
    // The requests made so far count against the budget: the whole list gets the rest, but at least one request. Test:
    // `a_filter_that_cannot_be_asked_for_leaves_the_rest_of_the_budget_to_the_whole_list`.
    up.reset();
    rest.budget = rest.budget.after_or_one(spent);
    without_filters(up, rest).await
}

/// Reads a page by the filters that the request names, unless they were given up. Without filters, the page is read
/// from the flipped list or from the whole list.
async fn read_with_filters(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    if request.is_unverified() {
        return whole(up, request).await;
    }
    if request.filters.is_some() && request.profile.filters_in_vain >= PAGES_IN_VAIN {
        // A filter that the upstream ignores, or that compares in another order than the list's, wastes a request on
        // each page. Test: `a_filter_that_is_ignored_costs_a_request_a_page_and_is_given_up`.
        let vain = request.profile.filters_in_vain;
        request.profile.filters_in_vain =
            if vain < PAGES_IN_VAIN + PAGES_WITHOUT_FILTER { vain + 1 } else { PAGES_IN_VAIN - 1 };
        if vain < PAGES_IN_VAIN + PAGES_WITHOUT_FILTER {
            return without_filters(up, request).await;
        }
    }
    match shortcut(&request) {
        Some(shortcut) => Box::pin(read_at_once(up, request, shortcut)).await,
        None => whole(up, request).await,
    }
}

/// Reads a page without the filters that its request names. The walk's honoured size comes from filtered lists, so it
/// proves nothing about the whole list. It is left out of this page and passed on unchanged to the next. Test:
/// `a_size_honoured_in_a_filtered_list_does_not_end_the_whole_list`.
async fn without_filters(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    request.filters = None;
    let honoured = std::mem::take(&mut request.target.hint.honoured);
    let mut page = Box::pin(read_with_filters(up, request)).await?;
    page.notes.honoured = honoured;
    Ok(page)
}

/// Returns the way of reading that is expected to show a page in one answer; `None` if the page must be read from the
/// whole list.
fn shortcut(request: &PageRequest) -> Option<Shortcut> {
    match &request.target.position {
        Position::After(anchor) => {
            if let Some(parts) = parts(request, &request.order, anchor) {
                return Some(Shortcut::Parts(parts));
            }
        }
        Position::Before(anchor) if request.abilities.flips => {
            if let Some(parts) = parts(request, &request.order.flipped(), anchor) {
                return Some(Shortcut::FlippedParts(parts));
            }
        }
        // The flipped list begins with the last page, so no count is needed. Test:
        // `the_last_page_is_the_first_of_the_flipped_list`.
        Position::End if request.abilities.flips => return Some(Shortcut::Flipped),
        _ => {}
    }
    let only_from_the_end = request.target.hint.counted_from_start(request.target.hint.total).from_end;
    // An item that is too deep in the list may be within reach in the flipped list.
    (request.abilities.flips && (is_too_deep(request) || only_from_the_end)).then_some(Shortcut::Flipped)
}

/// Reads a page by a shortcut. If the shortcut proves nothing, reads the page from the whole list at its hint: the
/// upstream may ignore a filter, or compare in another order than the list's, or no item may pass the filter any more.
/// The page is refused instead if the budget is spent, or if answers of the flipped list contradict the order in both
/// directions. The answers to a filter decide whether the filter is trusted (`PartsPage::shown_by` of
/// [`super::judge::parts_page`]).
async fn read_at_once(
    up: &mut UpstreamPort,
    mut request: Box<PageRequest>,
    shortcut: Shortcut,
) -> Result<Box<Page>, Stop> {
    let is_filtered = request.filters.is_some() && !matches!(request.target.position, Position::End);
    let before = up.requests;
    up.noted = Some(Noted::new(Arc::clone(&request.order)));
    let mut careful = request.clone();
    // The whole list may prove a page that the shortcut can't prove. The page isn't flagged before that is tried. Test:
    // `a_page_that_a_flipped_list_can_not_show_is_served_flagged_from_the_other_end`.
    careful.terms.unproven = WhenUnproven::Refuse;
    let first = match shortcut {
        Shortcut::Parts(parts) => reading::read(up, careful, parts).await,
        Shortcut::FlippedParts(parts) => read_flipped(up, careful, Some(parts)).await,
        Shortcut::Flipped => read_flipped(up, careful, None).await,
    };
    let noted = up.noted.take();
    let refusal = match first {
        Ok(mut page) => {
            if is_filtered {
                page.notes.profile.filters_in_vain = 0;
            }
            return Ok(page);
        }
        Err(Stop::Refused(refusal)) => refusal,
        Err(stop) => return Err(stop),
    };
    let hopeless = match refusal {
        Refusal::BudgetExceeded => true,
        Refusal::Unsorted(_) => noted.as_ref().is_some_and(Noted::is_disordered),
        _ => false,
    };
    let spent = up.requests - before;
    let left = request.budget.after(spent);
    if hopeless || left.search == 0 {
        let total = noted.and_then(|noted| noted.total);
        return Err(placed(refusal, &request, total).into());
    }
    let vain = request.profile.filters_in_vain;
    // If the shortcut has spent the budget of a page, the whole list may still take up to `AFTER_FILTER_REQUESTS`
    // requests of the budget of a search.
    request.budget = Budget { page: left.page.max(left.search.min(AFTER_FILTER_REQUESTS)), ..left };
    let mut page = whole(up, request).await?;
    if is_filtered {
        page.notes.profile.filters_in_vain = vain.saturating_add(1);
    }
    Ok(page)
}

/// Reads a page of the flipped list, by its parts or from the whole flipped list if `parts` is `None`. Returns it as a
/// page of the list itself.
async fn read_flipped(
    up: &mut UpstreamPort,
    mut request: Box<PageRequest>,
    parts: Option<Vec<Part>>,
) -> Result<Box<Page>, Stop> {
    request.order = Arc::new(request.order.flipped());
    request.target = request.target.turned(None);
    up.flipped = true;
    let page = match parts {
        Some(parts) => reading::read(up, request, parts).await,
        None => whole(up, request).await,
    };
    up.flipped = false;
    page.map(|page| Box::new(page.turned()))
}

/// Returns a refusal whose place is an offset in the whole list. If the place is at or after the end by `total`, it
/// becomes the place of the last page. Test: `the_nearest_place_of_a_refused_last_page_is_the_present_end`.
fn placed(refusal: Refusal, request: &PageRequest, total: Option<u64>) -> Refusal {
    let nearest = request.nearest();
    let nearest = match total {
        Some(total) if total <= nearest.0 => Offset(total.saturating_sub(u64::from(request.limit))),
        _ => nearest,
    };
    match refusal {
        Refusal::PositionLost { .. } => Refusal::PositionLost { nearest },
        Refusal::TieRun { .. } => Refusal::TieRun { nearest },
        other => other,
    }
}

/// Returns whether the page, with its anchor and the item after it, is expected to reach deeper than the upstream
/// answers, but within that depth when it is counted from the end of the list. Test:
/// `an_item_beyond_either_bound_is_read_from_the_other_end`.
fn is_too_deep(request: &PageRequest) -> bool {
    let Some(depth) = plan::reach_of(&request.paging) else { return false };
    let Some(total) = request.target.hint.total else { return false };
    let boundary = request.target.hint.counted_from_start(Some(total)).offset.0;
    let page = u64::from(request.limit) + 1;
    let (before, after) = if request.target.position.is_backward() { (page, 1) } else { (1, page) };
    boundary.saturating_add(after) > depth && total.saturating_sub(boundary.saturating_sub(before)) <= depth
}

/// Returns the parts of the list that together contain everything after an anchor; `None` if the endpoint's filters
/// can't express them.
fn parts(request: &PageRequest, order: &Order, anchor: &Anchor) -> Option<Vec<Part>> {
    let (filters, hint) = (request.filters.as_ref()?, &request.target.hint);
    // A tie run that is too long for one answer is a separate part from the first request on. Test:
    // `a_run_once_known_to_be_long_costs_one_request_a_page`.
    if (hint.within == Hint::LONG_RUN || u64::from(hint.run) >= plan::most(&request.paging, request.profile.cap))
        && let Some(parts) = legs::parts_from_run(order, filters, &anchor.keys, Some(&anchor.id), hint.run)
    {
        return Some(parts);
    }
    let parts = range::parts_after(order, filters, anchor, hint)?;
    // If many items come between the first item with the anchor's first key and the anchor's run, changes to these
    // items would move the boundary in a list that is filtered only by that key. Test:
    // `filters_use_the_later_keys_in_long_runs_of_the_first_key`.
    let left_out = hint.within.saturating_sub(hint.run.max(1));
    if hint.within != Hint::LONG_RUN
        && left_out > FILTER_DETOUR
        && let Some(filter) = legs::alternatives(order, filters, anchor)
    {
        return Some(vec![Part {
            filter: Some(Arc::new(filter)),
            before: u64::from(hint.run.max(1)),
            left_out: u64::from(left_out),
            ..Part::whole(Position::After(anchor.clone()))
        }]);
    }
    Some(parts)
}

/// Reads the page from the whole list, at its hint.
async fn whole(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    request.target.hint = request.target.hint.counted_from_start(request.target.hint.total);
    if request.target.hint.from_end {
        // An offset from the end gives no offset from the start without a total.
        (request.target.hint.offset, request.target.hint.from_end) = (Offset(0), false);
    }
    if request.filters.is_none() {
        return Box::pin(windows::read(up, request, Ground::Whole)).await;
    }
    let part = Part::whole(request.target.position.clone());
    Box::pin(reading::read(up, request, vec![part])).await
}
