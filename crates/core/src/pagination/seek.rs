//! Cursors that carry an id alone: the keys of the item are looked up, and believed only if they are those that were
//! served.
//!
//! An item's resource gives the values of now. Where the item was changed since its page was served, they are another
//! place in the list, and a walk that went on there would begin again or skip what lies between.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{
    answer::{Answer, Standing},
    attempt,
    fetch::Fetch,
    fingerprint::fingerprint,
    key::{self, Extent, Key, KeyValue},
    keyset,
    page::{Level, Unproven},
    position::{Anchor, Pivot, Position},
    refusal::Refusal,
    resolver::{Machine, PageRequest, Pending, Step, WhenUnproven},
    rows,
    rules::{self, Rule},
    windows::{self, Ground},
};

/// Begins a page.
pub(super) fn resolve(request: PageRequest) -> Step {
    let pivot = match &request.target.position {
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => pivot.clone(),
        _ => return keyset::resolve(request),
    };
    if request.order.strong.is_empty() && pivot.fingerprint.is_some() {
        // The id is the whole order: there is nothing to look up.
        return go_on(request, Anchor { keys: Vec::new(), id: pivot.id });
    }
    // Without a fingerprint the item's place is wanted as it is now, which no cache knows.
    if let Some(keys) = request.pivot.clone().filter(|_| pivot.fingerprint.is_some())
        && is_known_again(&request, &pivot, &keys)
    {
        return go_on(request, Anchor { keys, id: pivot.id });
    }
    let item = Fetch::Item(pivot.id.clone());
    Step::Fetch(vec![item], Pending(Box::new(LookUp { request, pivot })))
}

/// An item's resource was asked for.
#[derive(Debug)]
struct LookUp {
    request: PageRequest,
    pivot: Pivot,
}

impl Machine for LookUp {
    fn resume(self: Box<Self>, mut answers: Vec<Answer>) -> Step {
        let Self { mut request, pivot } = *self;
        request.budget = request.budget.saturating_sub(1);
        request.search_budget = request.search_budget.saturating_sub(1);
        let Some(answer) =
            answers.pop().filter(|answer| answer.standing == Standing::Listed && !answer.items.is_empty())
        else {
            return gone(request, &pivot, None);
        };
        let Some(now) = Anchor::of(&answer, &request.order, 0) else {
            return Step::Refuse(Refusal::Unsorted(rows::unkept(&answer, &request.order, 0)));
        };
        if !is_the_item(&request, &pivot, &answer, &now) {
            return gone(request, &pivot, None);
        }
        if !is_known_again(&request, &pivot, &now.keys) {
            return gone(request, &pivot, Some(now));
        }
        let anchor = now.clone();
        LookedUp { anchor: Some(now), unproven: None }.follow(go_on(request, anchor))
    }
}

/// Whether an item's resource is the pivot's own. An id that the client wrote has no type: it is compared as it is written.
fn is_the_item(request: &PageRequest, pivot: &Pivot, answer: &Answer, now: &Anchor) -> bool {
    let id = &request.order.id;
    let written = match &pivot.id {
        KeyValue::Number(written) => key::identity(id, written.as_bytes()),
        KeyValue::Text(written) => Cow::Borrowed(written.as_slice()),
        KeyValue::Null | KeyValue::Boolean(_) => return false,
    };
    if pivot.fingerprint.is_none() {
        let raw = rows::row(answer, &request.order, 0).last().copied().unwrap_or_default().of(&answer.body);
        return key::identity(id, raw) == written;
    }
    key::compare(id, Extent::Whole, Key::Kept(&now.id), Key::Kept(&pivot.id)).is_some_and(std::cmp::Ordering::is_eq)
}

/// Whether these are the keys with which the pivot was served.
fn is_known_again(request: &PageRequest, pivot: &Pivot, keys: &[KeyValue]) -> bool {
    if keys.len() != request.order.strong.len() {
        return false;
    }
    match pivot.fingerprint {
        Some(served) if rules::holds(Rule::PivotsAreKnownAgain) => {
            fingerprint(request.marker_of_target(), keys) == served
        }
        _ => true,
    }
}

/// Goes on by the keys.
fn go_on(mut request: PageRequest, anchor: Anchor) -> Step {
    request.target.position = match request.target.position {
        Position::BeforePivot(_) => Position::Before(anchor),
        _ => Position::After(anchor),
    };
    keyset::resolve(request)
}

/// The keys as they were served are lost: the page is refused, or is what stands at the hint.
fn gone(mut request: PageRequest, pivot: &Pivot, now: Option<Anchor>) -> Step {
    let nearest = attempt::nearest(&request);
    if pivot.fingerprint.is_none() || request.unproven == WhenUnproven::Refuse {
        return Step::Refuse(Refusal::PivotGone { nearest });
    }
    request.target.position = Position::At(nearest);
    LookedUp { anchor: now, unproven: Some(Unproven::Pivot) }.follow(windows::resolve(request, Ground::Whole))
}

/// A page after a look-up.
#[derive(Debug)]
struct LookedUp {
    /// The item as it is now.
    anchor: Option<Anchor>,
    unproven: Option<Unproven>,
}

#[derive(Debug)]
struct Waiting(LookedUp, Pending);

impl Machine for Waiting {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        self.0.follow(self.1.resume(answers))
    }
}

impl LookedUp {
    fn follow(self, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => Step::Fetch(fetches, Pending(Box::new(Waiting(self, inner)))),
            Step::Serve(mut page) => {
                page.requests = page.requests.saturating_add(1);
                page.looked_up = self.anchor;
                if self.unproven.is_some() {
                    (page.unproven, page.level) = (self.unproven, Level::Positional);
                }
                Step::Serve(page)
            }
            Step::Refuse(refusal) => Step::Refuse(refusal),
        }
    }
}
