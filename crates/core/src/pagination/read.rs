//! The choice of the strategy that reads a page, by its list and its target.

use super::{
    anchored, lowered,
    page::{Level, Page},
    paging::Family,
    refusal::Refusal,
    request::{PageRequest, Verify},
    token,
    upstream::{ShownSequences, Stop, UpstreamPort},
    window::Offset,
};

/// Reads a page by the strategy that its list and its target ask for.
///
/// # Errors
///
/// [`Stop`] where no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let paging = &request.paging;
    let places = request.order.places_items();
    if request.is_unverified() && (paging.hidden || (paging.repeats_last_page && !places)) {
        // By offset alone a walk would go on for ever: offsets count hidden items, and an end that comes again is no
        // end.
        request.terms.verify = Verify::Always;
    }
    if request.paging.family == Family::Token {
        return token::read(up, request).await;
    }
    if !places {
        return anchored::read(up, request).await;
    }
    up.sequences = ShownSequences::of(&request.order, &request.target);
    let page = lowered::read(up, request).await?;
    let is_reversed = up.sequences.take().is_some_and(|sequences| sequences.are_reversed_on(&page));
    if page.level() >= Level::Checked && is_reversed {
        // Two answers show the page's items in two sequences: neither of them proves one. Test:
        // `a_page_of_which_an_answer_shows_another_sequence_is_refused`.
        return Err(Refusal::PositionLost { nearest: Offset(page.offset) }.into());
    }
    Ok(page)
}
