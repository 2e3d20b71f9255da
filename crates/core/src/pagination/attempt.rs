//! A way that should show a page at once, and the plain way where it does not.
//!
//! What the first way can't prove is no reason to refuse: a filter may be ignored, compare otherwise than the list is
//! sorted, or let nothing through any more. The page is then looked for in the whole list, at its hint.

use super::{
    answer::Answer,
    fetch::{Fetch, Listing},
    position::Position,
    refusal::Refusal,
    resolver::{Machine, PageRequest, Pending, Step, WhenUnproven},
    rows,
    window::Offset,
};

/// How a page is looked for where the first way showed none.
type Way = fn(PageRequest) -> Step;

/// Looks for a page one way and, where that proves nothing, the other way.
pub(super) fn resolve(request: PageRequest, first: impl FnOnce(PageRequest) -> Step, other: Way) -> Step {
    let careful = PageRequest { unproven: WhenUnproven::Refuse, ..request.clone() };
    let filtered = request.filters.is_some() && !matches!(request.target.position, Position::End);
    Attempt { request, other: Some(other), filtered, total: None, disordered: false, spent: 0, requests: 0 }
        .follow(first(careful))
}

#[derive(Debug)]
struct Attempt {
    request: PageRequest,
    /// The way that was not tried yet.
    other: Option<Way>,
    /// The first way asks for what passes a filter.
    filtered: bool,
    /// How long the list is, as the last answer said that was not filtered.
    total: Option<u64>,
    /// An answer of the list itself, read from its other end, is in order neither way: no way proves anything then. In
    /// order the other way, the direction was ignored.
    disordered: bool,
    /// How many requests the way that is given up took, and how many all have taken.
    spent: u32,
    requests: u32,
}

/// Answers are awaited, to fetches of the whole list, from one end or the other, or of a part of it.
#[derive(Debug)]
struct Waiting(Attempt, Pending, Vec<Of>);

/// Of what a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    TheWhole,
    TheWholeFlipped,
    APart,
}

impl Machine for Waiting {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step {
        let Self(mut attempt, inner, of) = *self;
        for (answer, of) in answers.iter().zip(of) {
            if let Some(total) = answer.total.filter(|total| of != Of::APart && total.exact) {
                attempt.total = Some(total.value);
            }
            if of == Of::TheWholeFlipped {
                let order = &attempt.request.order;
                attempt.disordered |= rows::contradicts(answer, &order.flipped()) && rows::contradicts(answer, order);
            }
        }
        attempt.follow(inner.resume(answers))
    }
}

impl Attempt {
    fn follow(mut self, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => {
                self.requests = self.requests.saturating_add(u32::try_from(fetches.len()).unwrap_or(u32::MAX));
                let of = fetches.iter().map(|fetch| match fetch {
                    Fetch::Slice(_, Listing { filter: None, by_id: false, flipped: false }) => Of::TheWhole,
                    Fetch::Slice(_, Listing { filter: None, by_id: false, flipped: true }) => Of::TheWholeFlipped,
                    _ => Of::APart,
                });
                let of = of.collect();
                Step::Fetch(fetches, Pending(Box::new(Waiting(self, inner, of))))
            }
            Step::Serve(mut page) => {
                page.requests = page.requests.saturating_add(self.spent);
                if self.filtered {
                    let vain = self.request.learnt.filters_in_vain;
                    page.learnt.filters_in_vain = if self.other.is_none() { vain.saturating_add(1) } else { 0 };
                }
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
            Refusal::Unsorted(_) => self.disordered,
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

    /// A refusal that says where the page is in the whole list: never behind its end, where that was told.
    fn place(&self, refusal: Refusal) -> Refusal {
        let nearest = nearest(&self.request);
        let nearest = match self.total {
            Some(total) if total <= nearest.0 => Offset(total.saturating_sub(u64::from(self.request.limit))),
            _ => nearest,
        };
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
