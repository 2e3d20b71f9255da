//! The list read from its other end: what comes before an item is what comes after it in the flipped order.
//!
//! A page of the flipped list is turned round: its items, its neighbours, its edges. A place counted from the start of
//! one list is a place counted from the end of the other. A single answer of the flipped list, which shows a seam, is
//! turned by `Evidence::of_flipped`.

use std::sync::Arc;

use super::{
    page::Page,
    position::{Hint, Position, Target},
    request::PageRequest,
};

/// Returns a request of the list as one of the flipped list.
pub(super) fn turn_request(mut request: Box<PageRequest>) -> Box<PageRequest> {
    request.order = Arc::new(request.order.flipped());
    request.target = turn(request.target, None);
    request
}

/// Returns a page of the flipped list as one of the list.
pub(super) fn turn_page(mut page: Box<Page>) -> Box<Page> {
    let counted = page.total.filter(|total| total.exact).map(|total| total.value);
    let count = page.items.len() as u64;
    page.items.reverse();
    page.edges = page.edges.map(|(first, last)| (last, first));
    let (next, previous) = (page.previous.take(), page.next.take());
    page.next = next.map(|target| turn(target, counted));
    page.previous = previous.map(|target| turn(target, counted));
    debug_assert!(
        page.next.as_ref().is_none_or(|next| !next.position.is_backward()),
        "the next page of a turned page is read forward"
    );
    page.last = None;
    page.notes.drift = page.notes.drift.map(|drift| -drift);
    page.offset = match &page.previous {
        None => 0,
        Some(Target { position: Position::Before(_), hint }) if !hint.from_end => hint.offset.0,
        Some(_) => counted.map_or(0, |total| total.saturating_sub(page.offset.saturating_add(count))),
    };
    page
}

/// Returns a target of one list as a target of the other; a place from the end becomes one from the start, where a
/// total tells.
fn turn(target: Target, total: Option<u64>) -> Target {
    let Target { position, hint } = target;
    let position = match position {
        Position::Start => Position::End,
        Position::End => Position::Start,
        Position::After(anchor) => Position::Before(anchor),
        Position::Before(anchor) => Position::After(anchor),
        Position::AfterPivot(pivot) => Position::BeforePivot(pivot),
        Position::BeforePivot(pivot) => Position::AfterPivot(pivot),
        same => same,
    };
    let hint = match position {
        Position::Start | Position::End => {
            Hint { total: hint.total, first_total: hint.first_total, honoured: hint.honoured, ..Hint::default() }
        }
        _ => Hint { from_end: !hint.from_end, ..hint }.counted_from_start(total),
    };
    Target { position, hint }
}
