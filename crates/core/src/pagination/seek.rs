//! Cursors that carry an id alone: the keys of the item are looked up, and used only if they are those that were
//! served.
//!
//! An item's resource gives the values of now. If the item was changed since its page was served, they are another
//! place in the list, and a walk that went on there would begin again, or skip the items in between:
//! `regressions/without-pivots-are-known-again.txt`.

#[cfg(test)]
mod tests;

use super::{
    answer::{Answer, Standing},
    fetch::Fetch,
    fingerprint::fingerprint,
    judge::draft::Ground,
    key::{self, Extent, KeyValue, Operand},
    keyset,
    page::{Page, Unproven},
    position::{Anchor, Pivot, Position},
    refusal::Refusal,
    request::PageRequest,
    rows,
    rules::{self, Rule},
    upstream::{Stop, UpstreamPort},
    windows,
};

/// Reads a page, after its pivot is known.
///
/// # Errors
///
/// [`Stop`] where no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let pivot = match &request.target.position {
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => pivot.clone(),
        _ => return keyset::read(up, request).await,
    };
    if request.order.strong.is_empty() && pivot.fingerprint.is_some() {
        // The id is the whole order, so that no keys need to be looked up. Test:
        // `an_order_by_the_id_alone_needs_no_look_up`.
        return go_on(up, request, Anchor { keys: Vec::new(), id: pivot.id }).await;
    }
    // Without a fingerprint the item's place is wanted as it is now, which no cache knows; with one, cached keys place
    // an item that was deleted since. Test: `a_deleted_pivot_is_found_by_what_a_cache_remembers_alone`.
    if let Some(keys) = request.pivot.clone().filter(|_| pivot.fingerprint.is_some())
        && is_known_again(&request, &pivot, &keys)
    {
        return go_on(up, request, Anchor { keys, id: pivot.id }).await;
    }
    let answer = up.fetch(vec![Fetch::Item(pivot.id.clone())]).await?.pop();
    if let Some(Answer { standing: Standing::Known(keys), .. }) = answer {
        // Another request has looked the item up meanwhile. Test: `keys_that_are_known_by_now_cost_no_request`.
        return match is_known_again(&request, &pivot, &keys) {
            true => go_on(up, request, Anchor { keys, id: pivot.id }).await,
            false => gone(up, request, &pivot, Some(Anchor { keys, id: pivot.id.clone() })).await,
        };
    }
    request.budget = request.budget.after(1);
    let Some(answer) = answer.filter(|answer| answer.standing == Standing::Listed && !answer.items.is_empty()) else {
        return gone(up, request, &pivot, None).await;
    };
    let Some(now) = answer.anchor(&request.order, 0) else {
        return Err(Refusal::Unsorted(rows::unkept(&answer, &request.order, 0)).into());
    };
    // An endpoint may answer with another item. Test: `keys_of_another_item_are_not_the_place_of_the_item_looked_up`.
    if !is_the_item(&request, &pivot, &answer, &now) {
        return gone(up, request, &pivot, None).await;
    }
    if !is_known_again(&request, &pivot, &now.keys) {
        return gone(up, request, &pivot, Some(now)).await;
    }
    let mut page = go_on(up, request, now.clone()).await?;
    page.notes.looked_up = Some(now);
    Ok(page)
}

/// Returns whether an item's resource is the pivot's own. An id that the client wrote has no type: it is compared by
/// its spelling. Tests: `keys_of_another_item_are_not_the_place_of_the_item_looked_up`,
/// `an_id_is_known_again_as_its_item_spells_it`.
fn is_the_item(request: &PageRequest, pivot: &Pivot, answer: &Answer, now: &Anchor) -> bool {
    let id = &request.order.id;
    if pivot.fingerprint.is_none() {
        let raw = rows::row(answer, &request.order, 0).last().copied().unwrap_or_default().of(&answer.body);
        return key::identity_of(id, &pivot.id).is_some_and(|written| written == key::identity(id, raw));
    }
    key::compare(id, Extent::Whole, Operand::Kept(&now.id), Operand::Kept(&pivot.id))
        .is_some_and(std::cmp::Ordering::is_eq)
}

/// Returns whether these are the keys with which the pivot was served.
fn is_known_again(request: &PageRequest, pivot: &Pivot, keys: &[KeyValue]) -> bool {
    if keys.len() != request.order.strong.len() {
        return false;
    }
    match pivot.fingerprint {
        // The keys of a cache or of a changed item may be those of another place. Test:
        // `a_changed_pivot_is_refused_with_and_without_a_cache`.
        Some(served) if rules::holds(Rule::PivotsAreKnownAgain) => {
            fingerprint(request.marker_of_target(), keys) == served
        }
        _ => true,
    }
}

/// Goes on by the keys.
async fn go_on(up: &mut UpstreamPort, mut request: Box<PageRequest>, anchor: Anchor) -> Result<Box<Page>, Stop> {
    request.target.position = match request.target.position {
        Position::BeforePivot(_) => Position::Before(anchor),
        _ => Position::After(anchor),
    };
    keyset::read(up, request).await
}

/// Ends a page whose keys, as they were served, are lost: it is refused, or served at the hint and flagged. `now` are
/// the keys of the item as they are.
async fn gone(
    up: &mut UpstreamPort,
    mut request: Box<PageRequest>,
    pivot: &Pivot,
    now: Option<Anchor>,
) -> Result<Box<Page>, Stop> {
    let nearest = request.nearest();
    // An id that a client wrote comes from no page, so no hint tells its place. Test:
    // `an_id_alone_means_where_the_item_is_now`.
    if pivot.fingerprint.is_none() || !request.flags() {
        return Err(Refusal::PivotGone { nearest }.into());
    }
    request.target.position = Position::At(nearest);
    let mut page = Box::pin(windows::read(up, request, Ground::Whole)).await?;
    page.notes.looked_up = now;
    // Test: `a_page_at_the_start_instead_of_before_a_lost_pivot_is_no_exact_one`.
    Ok(Box::new(page.flagged(Unproven::Pivot)))
}
