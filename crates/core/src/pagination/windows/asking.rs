//! What is asked next: the window around the boundary, the run of ties that was cut, or where a search learns most.

use std::sync::Arc;

use super::{Asked, Purpose, State, search::Aim};
use crate::pagination::{
    collector::Side,
    fetch::{Fetch, Listing},
    machine::{PageRequest, Pending, ShortPages, Step},
    paging::Family,
    plan::{self, Growth, Window},
    refusal::Refusal,
    window::Slice,
};

/// Where a search looks next.
enum Next {
    /// Around where the boundary is believed to be.
    Around(Window),
    /// Where most can be learnt.
    Probe(Slice),
}

impl State {
    /// Asks for what should show the boundary.
    pub(super) fn ask_window(mut self: Box<Self>) -> Step {
        let paging = Arc::clone(&self.request.paging);
        if let Some(cut) = self.cut.take() {
            return match plan::holding(&paging, self.cap, self.collector.window_of_run(&cut)) {
                Some(slice) => {
                    self.cut = Some(cut);
                    self.ask_slice(slice)
                }
                None => self.tie_run(&cut, None),
            };
        }
        let window = match (self.search.has_begun(), paging.family) {
            (true, _) => match self.aim() {
                Next::Around(window) => window,
                Next::Probe(slice) => return self.ask_slice(slice),
            },
            (false, Family::Offset) => self.window(plan::MARGIN),
            (false, _) => self.window(0),
        };
        let left = self.requests_left();
        self.ask_around(window, left)
    }

    /// Asks for a window around where the boundary is believed to be, in so many requests at most.
    pub(super) fn ask_around(self: Box<Self>, window: Window, most: usize) -> Step {
        let left = self.requests_left().min(most);
        let mut slices = plan::plan(&self.request.paging, self.cap, window, self.collector.growth(), left);
        if self.request.paging.hidden
            && let Some(total) = self.total
        {
            // Where only small sizes were seen filled, a page takes many answers: those after the end are of no use.
            let first = slices.first().copied();
            slices.retain(|slice| Some(*slice) == first || slice.begins().0 < total);
        }
        if let Some(seam) = self.collector.seam()
            && slices.first().is_some_and(|slice| !plan::holds(*slice, &seam))
        {
            return self.ask_across(&seam, window, slices);
        }
        self.ask(slices.into_iter().map(Asked::from).collect(), Purpose::Window)
    }

    /// The window around where the boundary is believed to be, with so much of a margin on both sides.
    pub(super) fn window(&self, margin: u64) -> Window {
        self.collector.window(margin, self.learnt.run.max(self.request.learnt.run).into())
    }

    /// Where to look next for a boundary that was looked for in vain.
    fn aim(&mut self) -> Next {
        let widest = plan::most(&self.request.paging, self.cap);
        // An answer should fill the page where it finds the boundary, if that leaves it half its items to search with.
        let (lead, tail) = self.collector.sides();
        let (lead, tail) = (lead.min(widest / 4).max(1), tail.min(widest / 4).max(1));
        match self.search.aim(widest, widest.saturating_sub(lead + tail), self.total) {
            Aim::At(offset) => {
                self.collector.believe(offset);
                Next::Around(self.window(widest))
            }
            Aim::Among { first, last, nearest } => {
                let (from, to) = (first.saturating_sub(lead), last.saturating_add(tail));
                let window = Window { from, to, before: 0, behind: 0 };
                let nearest = nearest.map(|side| (side, if side == Side::Left { first } else { last }));
                Next::Probe(plan::probe(&self.request.paging, self.cap, window, nearest))
            }
        }
    }

    /// How many requests may still be made.
    pub(super) fn requests_left(&self) -> usize {
        let PageRequest { budget, search_budget, .. } = self.request;
        let budget = if self.searching { search_budget.max(budget) } else { budget };
        budget.saturating_sub(self.requests) as usize
    }

    /// Whether a slice that ends at the depth which the upstream answers reaches beyond where the page stands.
    fn shows_something_new(&self, shallow: Slice, purpose: &Purpose) -> bool {
        let forward = self.collector.growth() == Growth::Rightward && self.collector.can_be_searched_for();
        !matches!(purpose, Purpose::Window) || !forward || plan::reach(shallow).1 > self.collector.offset()
    }

    pub(super) fn ask_slice(self: Box<Self>, slice: Slice) -> Step {
        self.ask(vec![slice.into()], Purpose::Window)
    }

    pub(super) fn ask(mut self: Box<Self>, mut fetches: Vec<Asked>, purpose: Purpose) -> Step {
        let left = self.requests_left();
        if left == 0 {
            let serve = self.request.short_pages == ShortPages::Serve
                && self.collector.len() > 0
                && !self.collector.seeks_the_end();
            return if serve { self.serve(true) } else { Step::Refuse(Refusal::BudgetExceeded) };
        }
        fetches.truncate(left);
        if fetches.is_empty() {
            // A plan without a request would go on for ever.
            return Step::Refuse(Refusal::BudgetExceeded);
        }
        for fetch in &mut fetches {
            let shallow = plan::within(&self.request.paging, fetch.slice)
                .filter(|shallow| *shallow == fetch.slice || self.shows_something_new(*shallow, &purpose));
            let Some(shallow) = shallow else {
                return if self.is_full_and_goes_on() {
                    self.serve_and_go_on()
                } else {
                    Step::Refuse(Refusal::TooDeep)
                };
            };
            fetch.slice = shallow;
        }
        self.requests += u32::try_from(fetches.len()).unwrap_or(u32::MAX);
        self.purpose = purpose;
        self.asked.clone_from(&fetches);
        let listed = fetches.into_iter().map(|Asked { slice, flipped, .. }| {
            Fetch::Slice(slice, Listing { flipped: flipped.is_some(), ..Listing::default() })
        });
        Step::Fetch(listed.collect(), Pending(self))
    }
}
