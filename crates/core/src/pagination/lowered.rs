//! Lists whose declared order can't be used: they are read by marks, and their pages report that.
//!
//! There are two cases. First, a client's own parameters may leave the keys out of the items (`fields=id`). Second, an
//! answer may contradict the order of a string key without a declared type: such strings are compared by their bytes,
//! but the upstream may sort them without regard to case, or by a language. In both cases the items can still be told
//! apart, so the page is `anchored`. Its cursors contain marks, so no later page compares the keys again.

use super::{
    anchored,
    order::Kind,
    page::Page,
    position::Position,
    refusal::Refusal,
    request::{Budget, PageRequest},
    seek,
    unsorted::Cause,
    upstream::{KeyWatch, Stop, Unkeyed, UpstreamPort},
};
use std::sync::Arc;

/// Reads a page by its keys, or by marks if an answer shows that the keys can't be used.
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, mut request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    if matches!(request.target.position, Position::AfterMarks(_) | Position::BeforeMarks(_)) {
        return anchored::read(up, request).await;
    }
    if request.is_unverified() || !can_be_of_no_use(&request) {
        return seek::read(up, request).await;
    }
    up.keys = Some(KeyWatch { order: Arc::clone(&request.order), may_project: request.abilities.may_project });
    let outcome = seek::read(up, request.clone()).await;
    up.keys = None;
    let Unkeyed { why, came } = match outcome {
        Err(Stop::Marks(unkeyed)) => *unkeyed,
        Err(Stop::Refused(Refusal::Unsorted(why))) if why.cause == Cause::Text => Unkeyed { why, came: Vec::new() },
        outcome => return outcome,
    };
    // The answers received so far are used again if all are slices of the whole list in its own order. They aren't
    // requested again, so they don't count as spent.
    let spent = up.requests.saturating_sub(u32::try_from(came.len()).unwrap_or(u32::MAX));
    debug_assert!(came.len() <= up.requests as usize, "each answer took a request");
    let left = request.budget.search.saturating_sub(spent);
    if left == 0 {
        return Err(Refusal::Unsorted(why).into());
    }
    request.budget = Budget { page: request.budget.page.saturating_sub(spent).clamp(1, left), search: left };
    up.reset();
    let mut page = anchored::read_from(up, request, came).await?;
    page.notes.lowered = Some(why);
    Ok(page)
}

/// Returns whether answers may show that the keys can't be used: items may lack keys, or a strong key has no declared
/// type.
fn can_be_of_no_use(request: &PageRequest) -> bool {
    request.abilities.may_project || request.order.strong.iter().any(|key| key.kind == Kind::Inferred)
}
