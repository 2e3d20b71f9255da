//! Which way a page is read: by its list and its target.

use super::{
    anchored, lowered,
    page::Page,
    paging::Family,
    request::{PageRequest, Verify},
    token,
    upstream::{Stop, UpstreamPort},
};

/// Reads a page by the strategy that its list and its target ask for.
///
/// # Errors
///
/// [`Stop`] where no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, mut request: PageRequest) -> Result<Page, Stop> {
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
    lowered::read(up, request).await
}
