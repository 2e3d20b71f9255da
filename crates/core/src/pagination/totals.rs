//! What is said about the size of the collection, by route; and where its last page is.
//!
//! A total is told only by an answer to the whole list, by a count of its own, or by the walk's first page. What an answer
//! to a filtered list says of its size is the filter's.

#[cfg(test)]
mod tests;

use super::{
    answer::{Answer, Total},
    fetch::{Fetch, Listing},
    page::Page,
    paging::Family,
    position::{Hint, Position, Target},
    resolver::{Machine, PageRequest, Pending, Step, Totals},
};

/// What is to be told, and what of it is known.
#[derive(Debug)]
struct Teller {
    totals: Totals,
    /// What the first page of the walk said.
    first: Option<Total>,
    /// A count is asked for where nothing else tells the total.
    may_count: bool,
    /// Answers to the whole list tell the total.
    tells_total: bool,
    /// The list is mostly read through filters.
    filters: bool,
    /// The flipped list is there to be read from its first item.
    flips: bool,
    /// There is a way to the last page: none leads there by token.
    has_last: bool,
    /// How many items of the list can be read from its start, where it can't be read from its end.
    reach: Option<u64>,
    /// A count was asked for, and this came of it.
    counted: Option<Option<Total>>,
}

/// Says of the page that is `read` what the request wants told.
pub(super) fn tell(mut request: PageRequest, read: impl FnOnce(PageRequest) -> Step) -> Step {
    let hint = request.target.hint;
    let may_count = match request.totals {
        Totals::Count => true,
        Totals::FirstPage => request.counts && hint.first_total.is_none(),
        Totals::Upstream | Totals::Omit => false,
    };
    let teller = Teller {
        totals: request.totals,
        first: hint.first_total.filter(|_| request.totals == Totals::FirstPage),
        may_count,
        tells_total: request.tells_total,
        filters: request.filters.is_some(),
        flips: request.flips,
        has_last: request.paging.family != Family::Token,
        reach: request.paging.max_depth.filter(|_| !request.flips),
        counted: None,
    };
    if may_count {
        // One request is kept for the count.
        request.budget = request.budget.saturating_sub(1).max(1);
        request.search_budget = request.search_budget.saturating_sub(1).max(1);
    }
    match read(request) {
        Step::Fetch(fetches, inner) if teller.may_count && !teller.will_be_told(&fetches) => {
            teller.with_count(fetches, inner)
        }
        step => teller.follow(step),
    }
}

/// For what the teller waits beside.
#[derive(Debug)]
enum Waiting {
    /// The page's own answers.
    Page(Teller, Pending),
    /// These, and behind them a count.
    PageAndCount(Teller, Pending),
    /// A count, for a page that is complete.
    Count(Teller, Box<Page>),
}

impl Machine for Waiting {
    fn resume(self: Box<Self>, mut answers: Vec<Answer>) -> Step {
        match *self {
            Self::Page(teller, inner) => teller.follow(inner.resume(answers)),
            Self::PageAndCount(mut teller, inner) => {
                teller.counted = Some(answers.pop().and_then(|answer| answer.total));
                teller.follow(inner.resume(answers))
            }
            Self::Count(mut teller, page) => {
                teller.counted = Some(answers.pop().and_then(|answer| answer.total));
                teller.follow(Step::Serve(page))
            }
        }
    }
}

impl Teller {
    fn follow(self, step: Step) -> Step {
        match step {
            Step::Fetch(fetches, inner) => Step::Fetch(fetches, Pending(Box::new(Waiting::Page(self, inner)))),
            Step::Serve(page) => {
                let told = page.total.is_some_and(|total| total.exact);
                if self.may_count && self.counted.is_none() && !told {
                    return Step::Fetch(vec![Fetch::Count], Pending(Box::new(Waiting::Count(self, page))));
                }
                Step::Serve(Box::new(self.told(*page)))
            }
            Step::Refuse(refusal) => Step::Refuse(refusal),
        }
    }

    fn with_count(self, mut fetches: Vec<Fetch>, inner: Pending) -> Step {
        fetches.push(Fetch::Count);
        Step::Fetch(fetches, Pending(Box::new(Waiting::PageAndCount(self, inner))))
    }

    /// The page, with what is to be told, and with the last page where there is a way to it.
    fn told(self, mut page: Page) -> Page {
        let said = page.total;
        let known = said.filter(|total| total.exact).or_else(|| self.counted.flatten()).or(said);
        page.requests = page.requests.saturating_add(u32::from(self.counted.is_some()));
        page.total = match self.totals {
            Totals::Omit => None,
            Totals::Upstream => said,
            Totals::Count => known,
            Totals::FirstPage => self.first.or(known),
        };
        let is_empty = page.items.is_empty() && page.next.is_none() && page.previous.is_none();
        let exact = known.filter(|total| total.exact).map(|total| total.value);
        if self.has_last && page.last.is_none() && !is_empty && (self.flips || exact.is_some_and(|total| total > 0)) {
            page.last = Some(Target { position: Position::End, hint: Hint { total: exact, ..Hint::default() } });
        }
        if self.reach.zip(known).is_some_and(|(reach, total)| total.value > reach) {
            // The link would lead to a refusal.
            page.last = None;
        }
        let first_total = if self.totals == Totals::FirstPage { page.total } else { None };
        for target in [&mut page.next, &mut page.previous, &mut page.last].into_iter().flatten() {
            target.hint.first_total = first_total;
            target.hint.honoured = page.honoured;
        }
        page
    }

    /// Whether the answer to one of these will say how long the whole list is.
    fn will_be_told(&self, fetches: &[Fetch]) -> bool {
        let lists_all = |fetch: &Fetch| match fetch {
            Fetch::Slice(_, Listing { filter, .. }) => filter.is_none(),
            Fetch::Token(_) => true,
            Fetch::Item(_) => !self.filters,
            Fetch::Count => false,
        };
        self.tells_total && fetches.iter().any(lists_all)
    }
}
