//! An answer that does not hold the boundary: what it says of where to look.

use super::{Asked, Missed, Purpose, Search, Short, State, Step, seam::Held};
use crate::pagination::{
    collector::Side,
    page::Unproven,
    plan,
    proof::View,
    resolver::Verify,
    window::{Offset, PageNumber, Slice},
};

impl State {
    /// The boundary is not in the answer that was asked for it.
    pub(super) fn missed(mut self: Box<Self>, view: Box<View>, asked: Asked, side: Side) -> Step {
        let slice = asked.slice;
        if view.is_empty() && view.from_start && !self.request.paging.hidden {
            return self.doubt_nothing(slice);
        }
        if self.request.paging.hidden && (self.collector.can_be_searched_for() || self.collector.is_at_start()) {
            self.searching = true;
            return self.missed_among_hidden(view, slice, side);
        }
        if !self.collector.can_be_searched_for() {
            return self.missed_by_offset(&view);
        }
        let first = !self.search.has_begun();
        (self.searching, self.cut) = (true, None);
        if side == Side::Right
            && let Some(short) = Short::of(&view, slice).filter(|short| self.may_doubt(short))
        {
            // The end, or a silent cap. What lies behind tells.
            return self.doubt(short, short.last, Held::Here(view));
        }
        if first && asked.flipped.is_some_and(|total| self.total != Some(total)) {
            // Counted from the end as it was. Had the list changed before the boundary alone, it would be here: so it is
            // looked for where it was, and not from here on.
            let mut search = self.search;
            search.bound(side, view.begins, view.behind());
            if search.allows(self.collector.offset()) {
                self.search = search;
                return self.ask_window();
            }
        }
        if asked.flipped.is_none()
            && !view.is_empty()
            && let Some(contradicted) = self.contradicts(asked, &view)
        {
            if self.is_contradictory() {
                return self.read_again(contradicted);
            }
            self.search = Search::default();
        }
        let before = self.search;
        self.search.missed(side, view.begins, view.behind());
        // What the flipped list shows stands at another place of the list, which may well show the same.
        if side == Side::Right && asked.flipped.is_none() {
            let missed = Missed { slice, view, search: before };
            match self.last_missed.take() {
                Some(last) if self.is_repeated(&last, &missed) => return self.repeated(last, missed),
                _ => self.last_missed = Some(missed),
            }
        }
        if first { self.ask_shifted() } else { self.ask_window() }
    }

    /// Asks where the difference of totals says, if that may be, or else where the search goes on.
    pub(super) fn ask_shifted(mut self: Box<Self>) -> Step {
        let Some(offset) = self.shift().filter(|offset| self.search.allows(*offset)) else {
            return self.ask_window();
        };
        self.collector.believe(offset);
        let window = self.window(plan::most(&self.request.paging, self.cap));
        // The total may have changed on both sides: further answers around the wrong place would be lost once more.
        self.ask_around(window, 1)
    }

    /// Where the boundary is if all that changed since the cursor was made changed on one side of it: by as much as the
    /// total did. The end is where the total is.
    fn shift(&mut self) -> Option<u64> {
        let total = self.total?;
        if self.collector.seeks_the_end() && self.collector.len() == 0 {
            return Some(total);
        }
        if std::mem::replace(&mut self.shifted, true) {
            return None;
        }
        let hint = self.collector.hint();
        let before = hint.total.filter(|before| *before != total)?;
        hint.offset.0.saturating_add(total).checked_sub(before)
    }

    /// Nothing is at an offset that was asked for, as far as the answer goes. Under a silent cap a page is another page, of
    /// another size.
    pub(super) fn missed_by_offset(mut self: Box<Self>, view: &View) -> Step {
        let cap = u32::try_from(view.len()).unwrap_or(u32::MAX).max(2);
        self.torn += 1;
        if !view.is_empty() && self.torn <= 2 {
            self.cap = Some(self.cap.map_or(cap, |known| known.min(cap)));
            return self.ask_window();
        }
        let by_offset = self.request.verify == Verify::Never || super::asks_by_offset(&self.request);
        let counted_in = self.total.is_some_and(|total| total > self.collector.offset());
        if by_offset && !counted_in && self.flagged.is_none_or(|reason| reason == Unproven::Position) {
            // Whoever asks by offset, behind the end too, is shown what is there. An empty page leads back to the end of the
            // list: where a count says that the offset is before it, a walk back would begin anew for ever.
            self.collector.end_here();
            return self.serve(false);
        }
        self.lost()
    }

    /// Whether the same items came from two places.
    pub(super) fn is_repeated(&self, last: &Missed, missed: &Missed) -> bool {
        let (one, other) = (&last.view, &missed.view);
        let same = (one.same_items(other) && (self.repeats || !one.is_loose_run(&self.request.order)))
            || (self.repeats && one.ends_like(other));
        last.slice.begins() != missed.slice.begins() && !one.is_empty() && same
    }

    /// The same items came from two places: the last page comes again past the end, or the upstream ignores what it is
    /// asked, which its start tells.
    fn repeated(self: Box<Self>, one: Missed, other: Missed) -> Step {
        let near = if one.slice.begins() < other.slice.begins() { one } else { other };
        if self.repeats {
            return self.ends_before(near);
        }
        let start = match near.slice {
            Slice::Offset { size, .. } => Slice::Offset { from: Offset(0), size },
            Slice::Page { size, .. } => Slice::Page { number: PageNumber(0), size },
        };
        self.ask(vec![start.into()], Purpose::Start(near))
    }

    /// An answer showed the end of the list, though perhaps not in its place: what comes before it tells.
    pub(super) fn ends_before(mut self: Box<Self>, near: Missed) -> Step {
        self.search = near.search;
        self.search.ends_with(near.view.begins, near.view.behind());
        self.last_missed = Some(near);
        self.ask_window()
    }
}
