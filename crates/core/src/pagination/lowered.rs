//! A declared order that can't be used with the answers: the list is read by marks, and its pages report that.
//!
//! There are two cases. A client's own parameters may leave the keys out of the items (`fields=id`). And a text without
//! a declared type is compared by its bytes until an answer contradicts that: then the upstream sorts it by other
//! rules, without regard to case or by a language, so that no comparison places its values. In both cases the items can
//! still be told apart. The page is `anchored`, and so are its cursors: they carry marks, so that no later page
//! compares the keys again where the answer happens not to contradict them.

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
/// [`Stop`] where no page can be served.
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
    // The answers that have come are used again, if they are slices of the whole list in its own order.
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

/// Returns whether answers may show that the keys can't be used: items may lack keys, or a key has no declared type.
fn can_be_of_no_use(request: &PageRequest) -> bool {
    request.abilities.may_project || request.order.strong.iter().any(|key| key.kind == Kind::Inferred)
}
