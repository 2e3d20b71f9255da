//! Which way a page is read: by its list and its target.

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
        // A place by offset alone would come again for ever: offsets count what is hidden, and the end is not one.
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
        // Two answers contradict each other in the sequence of their items: neither of them proves one.
        return Err(Refusal::PositionLost { nearest: Offset(page.offset) }.into());
    }
    Ok(page)
}
