//! Cursors that contain only an item's id: the keys of the item are looked up, and used only if the item was served
//! with the same keys.
//!
//! An item's resource gives its present keys. If the item has changed since its page was served, these keys give
//! another place in the list. A walk that continued there would repeat or skip the items between the two places:
//! `regressions/without-pivots-are-known-again.txt`.

#[cfg(test)]
mod tests;

use super::{
    answer::{Answer, Standing},
    fetch::Fetch,
    judge::draft::Ground,
    judge::pivot::{LookedUp, PivotPlace},
    keyset,
    page::{Page, Unproven},
    position::{Anchor, Pivot, Position},
    refusal::Refusal,
    request::PageRequest,
    upstream::{Stop, UpstreamPort},
    windows,
};

/// Reads a page by its keys. If the position is a pivot, looks up the pivot's keys first.
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let pivot = match &request.target.position {
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => pivot.clone(),
        _ => return keyset::read(up, request).await,
    };
    if let Some(place) = PivotPlace::of_id(&request, &pivot) {
        // The list is sorted only by the id, so no keys need to be looked up. Test:
        // `an_order_by_the_id_alone_needs_no_look_up`.
        return go_on(up, request, place).await;
    }
    // Without a fingerprint, the item's present place is wanted, which a cache doesn't have. With a fingerprint, cached
    // keys give the place even if the item was deleted. Test:
    // `a_deleted_pivot_is_found_by_what_a_cache_remembers_alone`.
    let cached = request.pivot.as_ref().filter(|_| pivot.fingerprint.is_some());
    if let Some(place) = cached.and_then(|keys| PivotPlace::of_keys(&request, &pivot, keys)) {
        return go_on(up, request, place).await;
    }
    let answer = up.fetch(vec![Fetch::Item(pivot.id.clone())]).await?.pop();
    if let Some(Answer { standing: Standing::Known(keys), .. }) = answer {
        // Another request has looked up the item in the meantime. Test: `keys_that_are_known_by_now_cost_no_request`.
        return match PivotPlace::of_keys(&request, &pivot, &keys) {
            Some(place) => go_on(up, request, place).await,
            None => gone(up, request, &pivot, Some(Anchor { keys, id: pivot.id.clone() })).await,
        };
    }
    request.budget = request.budget.after(1);
    let Some(answer) = answer.filter(|answer| answer.standing == Standing::Listed && !answer.items.is_empty()) else {
        return gone(up, request, &pivot, None).await;
    };
    match LookedUp::of(&request, &pivot, &answer) {
        Ok(LookedUp::Place(place)) => {
            let now = place.anchor().clone();
            let mut page = go_on(up, request, place).await?;
            page.notes.looked_up = Some(now);
            Ok(page)
        }
        Ok(LookedUp::Changed(now)) => gone(up, request, &pivot, Some(now)).await,
        Ok(LookedUp::OtherItem) => gone(up, request, &pivot, None).await,
        Err(unsorted) => Err(Refusal::Unsorted(unsorted).into()),
    }
}

/// Reads the page at the place that the pivot's keys give.
async fn go_on(up: &mut UpstreamPort, mut request: Box<PageRequest>, place: PivotPlace) -> Result<Box<Page>, Stop> {
    request.target.position = place.position(&request.target.position);
    keyset::read(up, request).await
}

/// Handles a page whose pivot no longer has the keys with which it was served. The page is refused, or served flagged
/// at the offset of its hint. `now` is the item with its present keys; `None` if they aren't known.
async fn gone(
    up: &mut UpstreamPort,
    mut request: Box<PageRequest>,
    pivot: &Pivot,
    now: Option<Anchor>,
) -> Result<Box<Page>, Stop> {
    let nearest = request.nearest();
    // A pivot without a fingerprint is an id that the client itself named. No hint gives its place. Test:
    // `a_pivot_without_a_fingerprint_is_at_the_present_place_of_its_item`.
    if pivot.fingerprint.is_none() || !request.flags() {
        return Err(Refusal::PivotGone { nearest }.into());
    }
    request.target.position = Position::At(nearest);
    let mut page = Box::pin(windows::read(up, request, Ground::Whole)).await?;
    page.notes.looked_up = now;
    // The proof of the page is for its own offset, which might not be the pivot's place. Test:
    // `a_first_page_served_for_a_changed_pivot_is_flagged_as_unproven`.
    Ok(Box::new(page.flagged(Unproven::Pivot)))
}
