//! The list read from its other end: what comes before an item is what comes after it in the flipped order.
//!
//! A page of the flipped list is turned round: its items, its neighbours, its edges. A place counted from the start of
//! one list is a place counted from the end of the other.

use std::sync::Arc;

use super::{
    answer::Answer,
    fetch::Fetch,
    page::Page,
    position::{Hint, Position, Target},
    resolver::{Machine, PageRequest, Pending, Step},
};

/// Reads the page from the flipped list, as `read` reads it there.
pub(super) fn resolve(mut request: PageRequest, read: impl FnOnce(PageRequest) -> Step) -> Step {
    request.order = Arc::new(request.order.flipped());
    request.target = turn(request.target, None);
    follow(read(request))
}

#[derive(Debug)]
struct Mirror(Pending);

impl Machine for Mirror {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        follow(self.0.resume(answers))
    }
}

fn follow(step: Step) -> Step {
    match step {
        Step::Fetch(mut fetches, pending) => {
            for fetch in &mut fetches {
                if let Fetch::Slice(_, listing) = fetch {
                    listing.flipped = !listing.flipped;
                }
            }
            Step::Fetch(fetches, Pending(Box::new(Mirror(pending))))
        }
        Step::Serve(page) => Step::Serve(Box::new(turn_page(*page))),
        Step::Refuse(refusal) => Step::Refuse(refusal),
    }
}

fn turn_page(mut page: Page) -> Page {
    let counted = page.total.filter(|total| total.exact).map(|total| total.value);
    let count = page.items.len() as u64;
    page.items.reverse();
    page.edges = page.edges.map(|(first, last)| (last, first));
    let (next, previous) = (page.previous.take(), page.next.take());
    page.next = next.map(|target| turn(target, counted));
    page.previous = previous.map(|target| turn(target, counted));
    page.last = None;
    page.drift = page.drift.map(|drift| -drift);
    page.offset = match &page.previous {
        None => 0,
        Some(Target { position: Position::Before(_), hint }) if !hint.from_end => hint.offset.0,
        Some(_) => counted.map_or(0, |total| total.saturating_sub(page.offset.saturating_add(count))),
    };
    page
}

/// A target of one list as a target of the other; a place from the end becomes one from the start, where a total tells.
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
