//! Pages found by their keys: which filter and which direction of the list show the boundary in one request.
//!
//! A filter on the first key, from the anchor's value on, gives a list that begins with the anchor or its run, so that
//! the proof rule holds as in the whole list: an answer begins at or before the anchor and reaches beyond it. The
//! filtered list is paged by offset like any other; a filter that is ignored, or longer runs than an answer can hold, are
//! only a longer way. What comes before an item is what comes after it in the flipped order. Where filters can't be right,
//! or show nothing, the page is found in the whole list.

mod gather;
mod legs;
mod look;
mod range;
mod reading;
mod runs;
#[cfg(test)]
mod tests;
mod widen;
mod within;

use std::sync::Arc;

use range::Part;
use reading::Reading;

use super::{
    attempt, mirror,
    order::Order,
    paging::VAIN,
    position::{Anchor, Hint, Position},
    resolver::{PageRequest, Step, Verify},
    window::Offset,
    windows::{self, Ground},
};

/// Where more items than this stand between the first with the anchor's first key and the anchor's run, a filter on that
/// key alone is a long way round: every deletion among them moves the boundary.
const FAR: u32 = 100;

/// So many pages later it is tried again.
const GIVEN_UP: u8 = 32;

/// Begins a page.
pub(super) fn resolve(mut request: PageRequest) -> Step {
    if request.verify == Verify::Never {
        return whole(request);
    }
    if request.filters.is_some() && request.learnt.filters_in_vain >= VAIN {
        // A filter that is ignored, or compares otherwise than the list is sorted, only costs a request a page.
        let vain = request.learnt.filters_in_vain;
        request.learnt.filters_in_vain = if vain < VAIN + GIVEN_UP { vain + 1 } else { VAIN - 1 };
        if vain < VAIN + GIVEN_UP {
            return whole(PageRequest { filters: None, ..request });
        }
    }
    match &request.target.position {
        Position::After(anchor) => {
            if let Some(parts) = parts(&request, &request.order, anchor) {
                return attempt::resolve(request, |request| Reading::of(request, parts).begin(), whole);
            }
        }
        Position::Before(anchor) if request.flips => {
            if let Some(parts) = parts(&request, &request.order.flipped(), anchor) {
                let read = |request| Reading::of(request, parts).begin();
                return attempt::resolve(request, |request| mirror::resolve(request, read), whole);
            }
        }
        Position::End if request.flips => {
            return attempt::resolve(request, |request| mirror::resolve(request, whole), whole);
        }
        _ => {}
    }
    if request.flips && is_too_deep(&request) && !request.target.position.is_backward() {
        // What stands too deep in the list does not in the flipped one.
        return attempt::resolve(request, |request| mirror::resolve(request, whole), whole);
    }
    let only_from_the_end = request.target.hint.counted_from_start(request.target.hint.total).from_end;
    if only_from_the_end && request.flips {
        return attempt::resolve(request, |request| mirror::resolve(request, whole), whole);
    }
    whole(request)
}

/// Whether a page is believed to end deeper than the upstream answers, and less deep from the end.
fn is_too_deep(request: &PageRequest) -> bool {
    let Some(depth) = request.paging.max_depth else { return false };
    let Some(total) = request.target.hint.total else { return false };
    let hint = request.target.hint.counted_from_start(Some(total));
    let end = hint.offset.0.saturating_add(u64::from(request.limit) + 1);
    end > depth && total.saturating_sub(hint.offset.0) < depth
}

/// The parts in which everything after an anchor stands, where the endpoint can be asked for them.
fn parts(request: &PageRequest, order: &Order, anchor: &Anchor) -> Option<Vec<Part>> {
    let (filters, hint) = (request.filters.as_ref()?, &request.target.hint);
    if (hint.within == Hint::LONG_RUN || hint.run >= legs::longest_answer(&request.paging, request.learnt))
        && let Some(parts) = legs::parts_from_run(order, filters, &anchor.keys, Some(&anchor.id), hint.run)
    {
        return Some(parts);
    }
    let parts = range::parts_after(order, filters, anchor, hint)?;
    let left_out = hint.within.saturating_sub(hint.run.max(1));
    if hint.within != Hint::LONG_RUN
        && left_out > FAR
        && let Some(filter) = legs::alternatives(order, filters, anchor)
    {
        return Some(vec![Part {
            filter: Some(Arc::new(filter)),
            before: u64::from(hint.run.max(1)),
            left_out: u64::from(left_out),
            inclusive: false,
            ..Part::whole(Position::After(anchor.clone()))
        }]);
    }
    Some(parts)
}

/// Reads the whole list, at the hint.
fn whole(mut request: PageRequest) -> Step {
    request.target.hint = request.target.hint.counted_from_start(request.target.hint.total);
    if request.target.hint.from_end {
        // How far from the start that is, nothing says.
        (request.target.hint.offset, request.target.hint.from_end) = (Offset(0), false);
    }
    if request.filters.is_none() {
        return windows::resolve(request, Ground::Whole);
    }
    let part = Part::whole(request.target.position.clone());
    Reading::of(request, vec![part]).begin()
}
