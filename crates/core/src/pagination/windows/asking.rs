//! What is asked next: the window around the boundary, the run of ties that was cut, or where a search learns most.

use super::{Asked, Halt, Look, Next, Reader, Turn, aim, bracket::Aim};
use crate::pagination::{
    answer::Answer,
    direction::{Side, Way},
    paging::Family,
    plan::{self, Window},
    refusal::Refusal,
    request::PageRequest,
    upstream::UpstreamPort,
    window::Slice,
};

/// Where a search looks next.
enum LookAt {
    /// Around where the boundary is believed to be.
    Around(Window),
    /// Where most can be learnt.
    Probe(Slice),
}

impl Reader {
    /// Says what should show the boundary.
    pub(super) fn next_window(&mut self) -> Next {
        if let Some(cut) = self.cut.take() {
            let window = aim::window_of_run(&self.draft, &cut);
            return match plan::holding(&self.request.paging, self.sizes.cap, window) {
                Some(slice) => {
                    self.cut = Some(cut);
                    Ok(Turn::Ask(vec![slice.into()]))
                }
                None => self.tie_run(&cut, None),
            };
        }
        let window = match (self.search.bracket.has_begun(), self.request.paging.family) {
            (true, _) => match self.aim() {
                LookAt::Around(window) => window,
                LookAt::Probe(slice) => return Ok(Turn::Ask(vec![slice.into()])),
            },
            (false, Family::Offset) => self.window(plan::MARGIN),
            (false, _) => self.window(0),
        };
        self.around(window, self.requests_left())
    }

    /// A window around where the boundary is believed to be, in so many requests at most.
    pub(super) fn around(&mut self, window: Window, most: usize) -> Next {
        let left = self.requests_left().min(most);
        let mut slices = plan::plan(&self.request.paging, self.sizes.cap, window, self.draft.way(), left);
        if self.request.paging.hidden
            && let Some(total) = self.ledger.total()
        {
            // Where only small sizes were seen filled, a page takes many answers: those after the end are of no use.
            let first = slices.first().copied();
            slices.retain(|slice| Some(*slice) == first || slice.begins().0 < total);
        }
        if let Some(seam) = aim::seam(&self.draft)
            && slices.first().is_some_and(|slice| !plan::holds(*slice, &seam))
        {
            return self.across(&seam, window, slices);
        }
        Ok(Turn::Ask(slices.into_iter().map(Asked::from).collect()))
    }

    /// The window around where the boundary is believed to be, with so much of a margin on both sides.
    pub(super) fn window(&self, margin: u64) -> Window {
        aim::window(&self.draft, margin, self.sizes.profile.run.max(self.request.profile.run).into())
    }

    /// Where to look next for a boundary that was looked for in vain.
    fn aim(&mut self) -> LookAt {
        let widest = plan::most(&self.request.paging, self.sizes.cap);
        // An answer should fill the page where it finds the boundary, if that leaves it half its items to search with.
        let (lead, tail) = aim::sides(&self.draft);
        let (lead, tail) = (lead.min(widest / 4).max(1), tail.min(widest / 4).max(1));
        match self.search.bracket.aim(widest, widest.saturating_sub(lead + tail), self.ledger.total()) {
            Aim::At(offset) => {
                self.draft.believe(offset);
                LookAt::Around(self.window(widest))
            }
            Aim::Among { first, last, nearest } => {
                let (from, to) = (first.saturating_sub(lead), last.saturating_add(tail));
                let window = Window { from, to, before: 0, behind: 0 };
                let nearest = nearest.map(|side| (side, if side == Side::Before { first } else { last }));
                LookAt::Probe(plan::probe(&self.request.paging, self.sizes.cap, window, nearest))
            }
        }
    }

    /// How many requests may still be made.
    pub(super) fn requests_left(&self) -> usize {
        let PageRequest { budget, search_budget, .. } = self.request;
        let budget = if self.effort.searching { search_budget.max(budget) } else { budget };
        budget.saturating_sub(self.effort.requests) as usize
    }

    /// Asks for the window around the boundary.
    pub(super) async fn ask_window(&mut self, up: &mut UpstreamPort, asked: Vec<Asked>) -> Next {
        let pairs = self.send(up, asked, Self::shows_something_new).await?;
        Ok(Turn::Look(Look { views: self.views(pairs), confirming: false }))
    }

    /// Asks for slices, wherever they lie.
    pub(super) async fn ask(&mut self, up: &mut UpstreamPort, asked: Vec<Asked>) -> Result<Vec<(Asked, Answer)>, Halt> {
        self.send(up, asked, |_, _| true).await
    }

    /// Asks for slices, as many as the budget has left, cut at the depth that the upstream answers where what is left of
    /// them `is_of_use`.
    async fn send(
        &mut self,
        up: &mut UpstreamPort,
        mut asked: Vec<Asked>,
        is_of_use: fn(&Self, Slice) -> bool,
    ) -> Result<Vec<(Asked, Answer)>, Halt> {
        let left = self.requests_left();
        if left == 0 {
            let serve = self.request.serves_short(self.draft.len()) && !self.draft.seeks_the_end();
            return Err(if serve {
                Halt::Instead(Turn::Serve { cut_off: true })
            } else {
                Refusal::BudgetExceeded.into()
            });
        }
        asked.truncate(left);
        if asked.is_empty() {
            // A plan without a request would go on for ever.
            return Err(Refusal::BudgetExceeded.into());
        }
        for asked in &mut asked {
            let shallow = plan::within(&self.request.paging, asked.slice)
                .filter(|shallow| *shallow == asked.slice || is_of_use(self, *shallow));
            asked.slice = match shallow {
                Some(shallow) => shallow,
                None if self.is_full_and_goes_on() => return Err(Halt::Instead(self.served_and_goes_on())),
                None => return Err(Refusal::TooDeep.into()),
            };
        }
        self.effort.requests += u32::try_from(asked.len()).unwrap_or(u32::MAX);
        let slices: Vec<(Slice, bool)> = asked.iter().map(|asked| (asked.slice, asked.flipped.is_some())).collect();
        let pairs: Vec<(Asked, Answer)> = asked.into_iter().zip(up.slices(&slices).await?).collect();
        self.learn(&pairs)?;
        Ok(pairs)
    }

    /// Whether a slice that ends at the depth which the upstream answers reaches beyond where the page stands.
    fn shows_something_new(&self, shallow: Slice) -> bool {
        let forward = self.draft.way() == Way::Forward && self.draft.can_be_searched_for();
        !forward || plan::reach(shallow).1 > self.draft.offset()
    }
}
