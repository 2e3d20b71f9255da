//! What to ask next: the window around the boundary, and what lies behind a short answer. And what becomes of a page that
//! can't be completed.

use std::collections::HashSet;

use super::{Boundary, Purpose, State, seam::Seam, view::View};
use crate::pagination::{
    answer::Answer,
    fetch::{Fetch, Listing},
    machine::{Pending, ShortPages, Step, Verify, WhenUnproven},
    page::Unproven,
    paging::{Family, Sizes as Askable},
    plan::{self, Growth, Window},
    position::Position,
    refusal::Refusal,
    window::{Offset, Slice},
};

/// By how many items a window is wider than the page needs on either side, where the upstream gives them in the same
/// answer: changes that move the boundary by no more cost nothing.
pub(super) const MARGIN: u64 = 10;

/// So often do answers from different places have the same items before they are taken to come from anywhere: an end may
/// come again.
const ALIKE: u32 = 2;

/// An answer shows so many items of those already served, and so many of those to come, where that costs nothing more:
/// the marks of the cursor that it came with, and of the one that it is left with.
const BESIDE: u64 = 2;

impl State {
    /// Asks for the window around the boundary.
    pub(super) fn ask_window(mut self: Box<Self>) -> Step {
        self.aimed = self.offset;
        let growth = self.page.growth();
        let window = self.window();
        let left = self.left().max(1);
        let paging = &self.request.paging;
        let mut fetches = plan::plan(paging, self.sizes.cap, window, growth, left as usize);
        if let (Boundary::Marks(sightings), Some(last)) = (&self.boundary, self.offset.checked_sub(1))
            && fetches.first().is_some_and(|fetch| !plan::shows_both_sides(*fetch, last))
        {
            if sightings.line().leads_on() {
                // No answer shows both sides, but the first item not served is marked: it is known again by that.
                let ahead = match growth {
                    Growth::Rightward => Window { from: self.offset, before: 0, ..window },
                    Growth::Leftward => Window { to: self.offset, behind: 0, ..window },
                };
                fetches = plan::plan(paging, self.sizes.cap, ahead, growth, left as usize);
            } else if !self.page.views.is_empty() {
                return self.look_beyond(growth);
            }
        }
        if matches!(paging.sizes, Askable::Fixed(_)) {
            // Pages of one size never overlap: each further one would have to be asked for again.
            fetches.truncate(1);
        }
        self.ask(fetches, Purpose::Window)
    }

    /// The window of believed offsets to ask for: what marks the boundary, the items needed, and one beyond.
    fn window(&self) -> Window {
        let need = self.page.need();
        let margin = if self.request.paging.family == Family::Page { 0 } else { MARGIN };
        // Where items are hidden, more of the list must be seen.
        let margin = if self.request.paging.hidden { margin + need } else { margin };
        let (offset, beside) = (self.offset, BESIDE + margin);
        match (&self.boundary, self.page.growth()) {
            // As large as later windows are, so that the size is seen to be honoured before the end depends on it.
            (Boundary::Start, _) => Window { from: 0, to: need + 1, before: 0, behind: BESIDE + 2 * margin + 1 },
            (Boundary::At(_), _) if self.request.paging.hidden => {
                Window { from: offset, to: offset.saturating_add(need + 1), before: 0, behind: margin }
            }
            (Boundary::At(_), _) => {
                Window { from: offset, to: offset.saturating_add(need + 1), before: beside + 1, behind: beside }
            }
            (Boundary::Tail(tail), _) => tail.window(need),
            (Boundary::Marks(_), Growth::Rightward) => {
                let from = offset.saturating_sub(1);
                Window { from, to: offset.saturating_add(need + 1), before: beside, behind: beside - 1 }
            }
            (Boundary::Marks(_), Growth::Leftward) => {
                let from = offset.saturating_sub(need + 1);
                Window { from, to: offset.saturating_add(1), before: beside - 1, behind: beside }
            }
        }
    }

    /// An answer was used, and the page is not complete.
    pub(super) fn go_on(mut self: Box<Self>, passed: usize, confirming: bool) -> Step {
        let growth = self.page.growth();
        let Some(view) = self.page.views.last() else { return self.lost() };
        if self.request.verify == Verify::Never {
            let said = view.answer.more.or_else(|| self.total.map(|total| total.value > self.offset));
            let more = said.unwrap_or(!view.short);
            if self.page.need() == 0 || !more || passed == 0 {
                self.page.more = Some(more && passed > 0);
                return self.serve();
            }
            return self.ask_window();
        }
        if passed > 0 && growth == Growth::Rightward {
            self.sizes.confirm();
        }
        if growth == Growth::Rightward && view.short && !matches!(self.boundary, Boundary::At(_)) {
            if passed == 0 && confirming {
                return self.look_beyond(growth);
            }
            self.sizes.suspect(u32::try_from(view.len()).ok());
            let last = view.reaches().saturating_sub(1);
            return self.confirm(last);
        }
        if passed == 0
            && let [.., before, last] = self.page.views.as_slice()
            && before.fetch.begins() != last.fetch.begins()
            && !last.is_empty()
            && last.same_items(before)
        {
            // Wherever they are asked to begin, the same items come.
            self.alike += 1;
            if self.alike > ALIKE {
                return Step::Refuse(Refusal::Stuck);
            }
        }
        let no_further = passed == 0 && (self.offset == self.aimed || self.request.paging.hidden);
        if no_further { self.look_beyond(growth) } else { self.ask_window() }
    }

    /// A small request that shows the item at an offset and the place after it.
    pub(super) fn small_at_the_end(&self, last: u64) -> Option<Slice> {
        let honoured = self.sizes.honoured.by_walk;
        let confirmation = plan::confirmation(&self.request.paging, self.sizes.cap, honoured, last, last)?;
        confirmation.filled.is_none().then_some(confirmation.edge)
    }

    /// Asks whether a short answer was the end: by a small request at its end whose size is known to be honoured, and at once
    /// by one after all that was asked for, which sees beyond items that are hidden, unless the answer says itself that
    /// nothing follows; or by reading on and reading again where no page can show that.
    pub(super) fn confirm(self: Box<Self>, last: u64) -> Step {
        match (self.small_at_the_end(last), self.page.views.last()) {
            (Some(small), Some(view)) if self.left() > 1 => {
                let counted = view.answer.total.is_some_and(|total| total.exact && total.value <= view.reaches());
                let beyond = plan::within(&self.request.paging, plan::next(view.fetch))
                    .filter(|beyond| beyond.begins().0 < self.nothing_from)
                    .filter(|_| !counted && view.answer.more != Some(false));
                let fetches = [Some(small), beyond].into_iter().flatten().collect();
                self.ask(fetches, Purpose::Confirm)
            }
            (Some(small), _) => self.ask(vec![small], Purpose::Confirm),
            (None, _) => self.look_beyond(Growth::Rightward),
        }
    }

    /// Looks at what came of a confirmation.
    pub(super) fn confirmed(mut self: Box<Self>, mut pairs: Vec<(Slice, Answer)>) -> Step {
        let others = pairs.split_off(pairs.len().min(1));
        for (fetch, beyond) in others {
            if self.shows_more(&beyond) {
                return self.look_beyond(Growth::Rightward);
            }
            self.nothing_from = self.nothing_from.min(fetch.begins().0);
        }
        self.examine(pairs, true)
    }

    /// Whether an answer from beyond the last one holds an item that this has not: where the last page comes again past the
    /// end, it holds none.
    fn shows_more(&self, beyond: &Answer) -> bool {
        let Some(view) = self.page.views.last() else { return false };
        let known: HashSet<&[u8]> = (0..view.len()).map(|place| view.answer.item(place)).collect();
        (0..beyond.items.len()).any(|item| !known.contains(beyond.item(item)))
    }

    /// Reads what lies beyond the last answer, and then that answer again.
    pub(super) fn look_beyond(mut self: Box<Self>, growth: Growth) -> Step {
        let Some(view) = self.page.views.last() else { return self.lost() };
        if self.request.verify == Verify::WhenCheap && self.page.need() == 0 {
            // What follows would take further requests: a count may say that there is more, and else it is left open.
            self.page.more = Some(true);
            return self.serve();
        }
        match Seam::new(view, growth, &self.request) {
            Some(seam) => self.ask_seam(seam),
            None => self.lost(),
        }
    }

    /// What was asked for does not hold a boundary that is no marks'.
    pub(super) fn missed(mut self: Box<Self>, view: View, confirming: bool) -> Step {
        self.misses += 1;
        match &self.boundary {
            Boundary::Tail(_) => self.missed_tail(view, confirming),
            // Nothing came of the very start, and a count says that there is something: asked again, the list decides.
            Boundary::Start if self.misses == 1 => self.ask(vec![view.fetch], Purpose::Confirm),
            // A silent cap ended the answer before its offset.
            Boundary::At(offset) if self.misses == 1 => {
                let window =
                    Window { from: *offset, to: offset.saturating_add(self.page.need() + 1), before: 0, behind: 0 };
                self.sizes.cap = u32::try_from(view.len()).ok().map(|count| count.max(2));
                let fetches = plan::plan(&self.request.paging, self.sizes.cap, window, Growth::Rightward, 1);
                self.ask(fetches, Purpose::Window)
            }
            _ => self.lost(),
        }
    }

    /// How many requests are left.
    pub(super) fn left(&self) -> u32 {
        let searching = self.searched || matches!(self.boundary, Boundary::Tail(_));
        let budget = if searching { self.request.search_budget.max(self.request.budget) } else { self.request.budget };
        budget.saturating_sub(self.requests)
    }

    /// Asks for slices of the list, as many as the budget has left.
    pub(super) fn ask(mut self: Box<Self>, mut fetches: Vec<Slice>, purpose: Purpose) -> Step {
        let left = self.left() as usize;
        fetches.truncate(left);
        if fetches.is_empty() {
            return self.spent();
        }
        fetches = fetches.iter().map_while(|fetch| plan::within(&self.request.paging, *fetch)).collect();
        if fetches.is_empty() {
            return self.too_deep();
        }
        self.requests += u32::try_from(fetches.len()).unwrap_or(u32::MAX);
        self.purpose = purpose;
        self.asked.clone_from(&fetches);
        let listed = fetches.into_iter().map(|slice| Fetch::Slice(slice, Listing::default()));
        Step::Fetch(listed.collect(), Pending(self))
    }

    /// The budget is spent: a full page is served, though what follows it was not seen; else the route decides.
    pub(super) fn spent(mut self: Box<Self>) -> Step {
        let full = self.page.need() == 0;
        if full || (self.request.short_pages == ShortPages::Serve && self.page.has_items()) {
            self.page.more = Some(true);
            self.cut_off = !full;
            return self.serve();
        }
        Step::Refuse(Refusal::BudgetExceeded)
    }

    /// The upstream does not answer so deep: a page that it does answer is served all the same.
    fn too_deep(mut self: Box<Self>) -> Step {
        if self.page.need() == 0 {
            self.page.more = Some(true);
            return self.serve();
        }
        Step::Refuse(Refusal::TooDeep)
    }

    /// The place can't be found: it is refused, or served by its offset and flagged, as the route says.
    pub(super) fn lost(mut self: Box<Self>) -> Step {
        if self.page.has_items() && self.restarts == 0 && self.left() > 0 {
            // What was read last is gone since: nothing is served yet, so the page can begin anew.
            self.restarts += 1;
            return self.begin();
        }
        let nearest = Offset(match self.total_seen {
            Some(total) if total <= self.nearest => total.saturating_sub(u64::from(self.request.limit)),
            _ => self.nearest,
        });
        let flags = self.request.unproven == WhenUnproven::Flag || self.request.verify == Verify::WhenCheap;
        if !flags || self.flagged.is_some() || matches!(self.boundary, Boundary::Start | Boundary::Tail(_)) {
            return Step::Refuse(Refusal::PositionLost { nearest });
        }
        self.flagged = Some(Unproven::Position);
        self.drift = None;
        self.request.target.position = Position::At(nearest);
        self.begin()
    }

    /// Serves the page as it stands.
    pub(super) fn serve(self: Box<Self>) -> Step {
        if self.flagged.is_some() && !self.page.has_items() && !self.by_offset {
            // What is served instead of a place that can't be found must not end the list: nothing shows that it does.
            return Step::Refuse(Refusal::PositionLost { nearest: Offset(self.nearest) });
        }
        self.finish()
    }
}
