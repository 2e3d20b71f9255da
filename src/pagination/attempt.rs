//! A way that should show a page at once, and the plain way where it does not.
//!
//! What the first way can't prove is no reason to refuse: a filter may be ignored, compare otherwise than the list is
//! sorted, or let nothing through any more. The page is then looked for in the whole list, at its hint.

use super::{
    answer::Answer,
    position::Position,
    refusal::Refusal,
    resolver::{Machine, PageRequest, Pending, Step, WhenUnproven},
    window::Offset,
};

/// How a page is looked for where the first way showed none.
type Way = fn(PageRequest) -> Step;

/// Looks for a page one way and, where that proves nothing, the other way.
pub(super) fn resolve(request: PageRequest, first: impl FnOnce(PageRequest) -> Step, other: Way) -> Step {
    let careful = PageRequest { unproven: WhenUnproven::Refuse, ..request.clone() };
    Attempt { request, other: Some(other), spent: 0, requests: 0 }.follow(first(careful))
}

#[derive(Debug)]
struct Attempt {
    request: PageRequest,
    /// The way that was not tried yet.
    other: Option<Way>,
    /// How many requests the way that is given up took, and how many all have taken.
    spent: u32,
    requests: u32,
}

#[derive(Debug)]
struct Waiting(Attempt, Pending);

impl Machine for Waiting {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        let Self(attempt, inner) = *self;
        attempt.follow(inner.resume(answers))
    }
}

impl Attempt {
    fn follow(mut self, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => {
                self.requests = self.requests.saturating_add(u32::try_from(fetches.len()).unwrap_or(u32::MAX));
                Step::Fetch(fetches, Pending(Box::new(Waiting(self, inner))))
            }
            Step::Serve(mut page) => {
                page.requests = page.requests.saturating_add(self.spent);
                Step::Serve(page)
            }
            Step::Refuse(refusal) => self.refused(refusal),
        }
    }

    fn refused(mut self, refusal: Refusal) -> Step {
        let Some(other) = self.other.take() else { return Step::Refuse(refusal) };
        let spend = |budget: u32| budget.saturating_sub(self.requests);
        let hopeless = match refusal {
            Refusal::BudgetExceeded => true,
            // A run that is too long here is too long there, and can at best be served flagged.
            Refusal::TieRun { .. } => self.request.unproven == WhenUnproven::Refuse,
            _ => false,
        };
        let left = spend(self.request.search_budget);
        if hopeless || left == 0 {
            return Step::Refuse(self.place(refusal));
        }
        self.spent = self.requests;
        let request = self.request.clone();
        let rest = PageRequest {
            // What is left for a page may be nothing where the place was searched for: then this is a search too.
            budget: spend(request.budget).max(left.min(8)),
            search_budget: left,
            ..request
        };
        self.follow(other(rest))
    }

    /// A refusal that says where the page is in the whole list.
    fn place(&self, refusal: Refusal) -> Refusal {
        let nearest = nearest(&self.request);
        match refusal {
            Refusal::PositionLost { .. } => Refusal::PositionLost { nearest },
            Refusal::TieRun { .. } => Refusal::TieRun { nearest },
            other => other,
        }
    }
}

/// Where a page is believed to begin, in the whole list.
pub(super) fn nearest(request: &PageRequest) -> Offset {
    let hint = request.target.hint.counted_from_start(request.target.hint.total);
    let boundary = match &request.target.position {
        Position::Start => 0,
        Position::End => hint.total.unwrap_or(0),
        Position::At(offset) => offset.0,
        _ if hint.from_end => 0,
        _ => hint.offset.0,
    };
    let back = if request.target.position.is_backward() { u64::from(request.limit) } else { 0 };
    Offset(boundary.saturating_sub(back)).believed()
}
