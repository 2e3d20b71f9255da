//! A declared order that the answers are of no use with: the list is read by marks, and its pages say so.
//!
//! A client's own parameters may leave the keys out of the items (`fields=id`). And a text without a declared type is
//! compared by its bytes until an answer contradicts that: then the upstream sorts it by rules of its own, without regard
//! to case or by a language, and nothing places its values. In both cases the items can still be told apart. The page is
//! `anchored`, and so are its cursors: they carry marks, so that no later page compares the keys again where the answer
//! happens not to contradict them.

use super::{
    anchored,
    answer::Answer,
    fetch::{Fetch, Listing},
    order::{Kind, SortKey},
    position::Position,
    refusal::Refusal,
    resolver::{Machine, PageRequest, Pending, Step, Verify},
    rows,
    unsorted::{Cause, Unsorted},
    window::Slice,
};
use crate::json::Span;

/// Begins a page by its keys, and reads it by marks where an answer shows that keys are of no use.
pub(super) fn resolve(request: PageRequest, by_keys: impl FnOnce(PageRequest) -> Step) -> Step {
    if matches!(request.target.position, Position::AfterMarks(_) | Position::BeforeMarks(_)) {
        return anchored::resolve(request);
    }
    if request.verify == Verify::Never {
        return by_keys(request);
    }
    let ordered = Ordered { request: request.clone(), requests: 0 };
    ordered.follow(by_keys(request))
}

/// A page that is read by its keys.
#[derive(Debug)]
struct Ordered {
    request: PageRequest,
    requests: u32,
}

#[derive(Debug)]
struct Waiting(Ordered, Pending, Vec<Fetch>);

impl Machine for Waiting {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        let Self(ordered, inner, fetches) = *self;
        match fetches.iter().zip(&answers).find_map(|(fetch, answer)| ordered.fault(fetch, answer)) {
            Some(why) => ordered.lower(why, &fetches, answers),
            None => ordered.follow(inner.resume(answers)),
        }
    }
}

impl Ordered {
    fn follow(mut self, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => {
                self.requests = self.requests.saturating_add(u32::try_from(fetches.len()).unwrap_or(u32::MAX));
                let asked = fetches.clone();
                Step::Fetch(fetches, Pending(Box::new(Waiting(self, inner, asked))))
            }
            Step::Refuse(Refusal::Unsorted(why)) if why.cause == Cause::Text => self.lower(why, &[], Vec::new()),
            step => step,
        }
    }

    /// What makes the order of no use with an answer.
    fn fault(&self, fetch: &Fetch, answer: &Answer) -> Option<Unsorted> {
        let PageRequest { order, may_project, .. } = &self.request;
        let Fetch::Slice(_, listing) = fetch else { return None };
        let first = answer.keys.get(..order.columns())?;
        let is_hidden =
            |column: usize| answer.keys.iter().skip(column).step_by(first.len()).all(|span| span.is_absent());
        if *may_project && first.iter().enumerate().any(|(column, span)| span.is_absent() && is_hidden(column)) {
            return Some(rows::unkept(answer, order, 0));
        }
        let is_text = |(span, key): (&Span, &SortKey)| {
            // Whether date-times are in order is seen where they are compared.
            key.kind == Kind::Inferred && rows::is_plain_text(span.of(&answer.body))
        };
        if listing.by_id || !first.iter().zip(&order.strong).any(is_text) {
            return None;
        }
        if listing.flipped {
            return rows::disordered_texts(answer, &order.flipped());
        }
        rows::disordered_texts(answer, order)
    }

    /// Reads the page by marks: from the answers that have come, where they are slices of the list as it stands.
    fn lower(self, why: Unsorted, fetches: &[Fetch], answers: Vec<Answer>) -> Step {
        let Self { mut request, requests } = self;
        let plain = |fetch: &Fetch| match fetch {
            Fetch::Slice(slice, listing) if *listing == Listing::default() => Some(*slice),
            _ => None,
        };
        let slices: Vec<Slice> = fetches.iter().map_while(plain).collect();
        let came = if slices.len() == answers.len() { slices.len() } else { 0 };
        let spent = requests.saturating_sub(u32::try_from(came).unwrap_or(u32::MAX));
        let left = request.search_budget.saturating_sub(spent);
        if left == 0 {
            return Step::Refuse(Refusal::Unsorted(why));
        }
        (request.budget, request.search_budget) = (request.budget.saturating_sub(spent).clamp(1, left), left);
        let step = if came > 0 {
            anchored::resolve_from(request, slices.into_iter().zip(answers).collect())
        } else {
            anchored::resolve(request)
        };
        Lowered { why, spent }.follow(step)
    }
}

/// A page that is read by marks after all.
#[derive(Debug)]
struct Lowered {
    why: Unsorted,
    /// How many requests the way by keys took.
    spent: u32,
}

#[derive(Debug)]
struct Marked(Lowered, Pending);

impl Machine for Marked {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        self.0.follow(self.1.resume(answers))
    }
}

impl Lowered {
    fn follow(self, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => Step::Fetch(fetches, Pending(Box::new(Marked(self, inner)))),
            Step::Serve(mut page) => {
                page.requests = page.requests.saturating_add(self.spent);
                page.lowered = Some(self.why);
                Step::Serve(page)
            }
            Step::Refuse(refusal) => Step::Refuse(refusal),
        }
    }
}
