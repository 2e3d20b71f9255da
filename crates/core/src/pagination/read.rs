//! The choice of the strategy that reads a page.

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

/// Reads a page by the strategy that its list and its request require.
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let paging = &request.paging;
    let places = request.order.places_items();
    if request.is_unverified() && (paging.hidden || (paging.repeats_last_page && !places)) {
        // A walk only by offset might never end: if items are hidden, an empty answer doesn't show the end, and other
        // upstreams repeat their last page forever. So pages of these lists are verified.
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
        // Two answers show items of the page in opposite sequences, so neither answer proves its sequence. Test:
        // `a_page_of_which_an_answer_shows_another_sequence_is_refused`.
        return Err(Refusal::PositionLost { nearest: Offset(page.offset) }.into());
    }
    Ok(page)
}
