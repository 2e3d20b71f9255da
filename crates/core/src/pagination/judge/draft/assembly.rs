//! The finished page: the items taken, the links to neighbouring pages, and the level.

use super::{super::page::ListHeldTo, Draft, Ground, Taken};
use crate::pagination::{
    answer::Total,
    direction::Way,
    page::{ItemPlace, Level, Page, PageFacts, Unproven},
    paging::UpstreamProfile,
    position::{Hint, Item, Position, Target},
    unsorted::Unsorted,
    window::Offset,
};

/// The facts about a page that come from its strategy, not from its items.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct Verdict {
    /// The reason why the page isn't proven; `None` if it is.
    pub(in crate::pagination) unproven: Option<Unproven>,
    /// True if the budget ended before the page was complete.
    pub(in crate::pagination) cut_off: bool,
    /// The profile of the upstream after the page's answers.
    pub(in crate::pagination) profile: UpstreamProfile,
    /// The largest page size that an answer of the walk has filled.
    pub(in crate::pagination) honoured: u32,
}

impl Draft {
    /// Makes the page of the items taken. No other function gives a level to a page of one list.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if no cursor can hold the keys of the page's first or last item.
    pub(in crate::pagination) fn finish(&mut self, verdict: Verdict) -> Result<Page, Unsorted> {
        // A page that the budget cut off doesn't end the list, so it has a link onward. Test:
        // `a_page_that_is_not_full_when_its_budget_ends_is_served_where_the_route_says_so`.
        if verdict.cut_off {
            match self.way() {
                Way::Forward => self.more.after = Some(true),
                Way::Backward => self.more.before = Some(true),
            }
        }
        // A list that answers showed to be empty ends at its start, whatever a count says. Test:
        // `a_list_that_is_seen_to_be_empty_has_no_last_page_whatever_it_counts`.
        let ended_at = self.ended_at.or_else(|| self.is_nothing().then_some(0));
        let total = self
            .total
            // A count beyond the seen end includes rows that no client is shown, so the page's total is inexact.
            .map(|total| Total { exact: total.exact && ended_at.is_none_or(|end| total.value <= end), ..total });
        let counted = total.filter(|total| total.exact).map(|total| total.value);
        let end = Target { position: Position::End, hint: Hint { total: counted, ..self.carried() } };
        let first = self.taken.first().map(|first| self.before(*first, counted)).transpose()?;
        let last = self.taken.last().map(|last| self.after(*last, counted)).transpose()?;
        let start = Target { position: Position::Start, hint: self.carried() };
        let back = || match self.wanted.unchecked && self.next.offset > 0 {
            // By offset only, an empty page may be expected before the end. If its link back named the end, it would
            // lead to no earlier page, and the walk back would never finish. Test:
            // `a_way_back_by_offset_alone_never_leads_to_the_end`. See `regressions/a-way-back-by-offset-alone.txt`.
            true => self.ending_at(self.next.offset.min(counted.unwrap_or(u64::MAX)), counted),
            false => end.clone(),
        };
        let items = self.taken.iter().map(|taken| ItemPlace {
            answer: u32::try_from(taken.view).unwrap_or(u32::MAX),
            item: u32::try_from(self.views[taken.view].item(taken.place)).unwrap_or(u32::MAX),
        });
        let items = items.collect();
        let offset = self.taken.first().map_or(self.next.offset, |first| self.offset_of(*first));
        let unproven = verdict.unproven.or_else(|| self.weakness.assumed.then_some(Unproven::Seam));
        let level = if unproven.is_some() || self.wanted.unchecked {
            Level::Positional
        } else if self.weakness.checked {
            Level::Checked
        } else {
            Level::Exact
        };
        // A start that no answer has shown is none. Regression: `crates/sim/regressions/a-last-page-that-claims-a-start.txt`.
        let may_come_before = self.more.before.unwrap_or(!self.taken.is_empty());
        let (edges, next, previous) = (
            edge(first.as_ref()).zip(edge(last.as_ref())),
            (self.more.after == Some(true)).then(|| last.unwrap_or(start)),
            may_come_before.then(|| first.unwrap_or_else(back)),
        );
        let answers = std::mem::take(&mut self.views).into_iter().map(|view| view.answer).collect();
        let last = counted.filter(|total| *total > 0).map(|_| end);
        let short = verdict.cut_off && !self.is_full();
        let mut facts = PageFacts { answers, items, next, previous, last, total, offset, ..PageFacts::default() };
        (facts.unproven, facts.short, facts.edges) = (unproven, short, edges);
        let mut page = Page::new(level, facts);
        let is_filtered = self.wanted.ground == Ground::Filtered;
        page.held_to = Some(ListHeldTo { is_filtered, ties: self.wanted.order.ties });
        page.notes.drift = self.drift;
        (page.notes.profile, page.notes.honoured) = (verdict.profile, verdict.honoured);
        Ok(page)
    }

    /// Returns the target of the page that ends right before an item.
    fn before(&self, taken: Taken, total: Option<u64>) -> Result<Target, Unsorted> {
        let offset = self.offset_of(taken);
        if self.wanted.unchecked {
            return Ok(self.ending_at(offset, total));
        }
        let view = &self.views[taken.view];
        let (run, within) =
            (view.run_from(&self.wanted.order, taken.place), view.within_from(&self.wanted.order, taken.place));
        let position = Position::Before(self.anchor(view, taken.place)?);
        Ok(Target { position, hint: Hint { offset: Offset(offset), run, within, total, ..self.carried() } })
    }

    /// Returns the target of the page that begins right after an item.
    fn after(&self, taken: Taken, total: Option<u64>) -> Result<Target, Unsorted> {
        let offset = Offset(self.offset_of(taken).saturating_add(1));
        if self.wanted.unchecked {
            return Ok(Target { position: Position::At(offset), hint: Hint { offset, total, ..self.carried() } });
        }
        let view = &self.views[taken.view];
        let (run, within) =
            (view.run_through(&self.wanted.order, taken.place), view.within_through(&self.wanted.order, taken.place));
        let position = Position::After(self.anchor(view, taken.place)?);
        Ok(Target { position, hint: Hint { offset, run, within, total, ..self.carried() } })
    }

    /// Returns the target of the page that ends right before an offset, whatever items are there.
    fn ending_at(&self, offset: u64, total: Option<u64>) -> Target {
        let offset = Offset(offset.saturating_sub(self.wanted.limit as u64));
        Target { position: Position::At(offset), hint: Hint { offset, total, ..self.carried() } }
    }

    /// Returns a hint with only the facts that every hint of the walk contains.
    fn carried(&self) -> Hint {
        Hint { first_total: self.wanted.hint.first_total, ..Hint::default() }
    }

    fn offset_of(&self, taken: Taken) -> u64 {
        self.views[taken.view].offset(taken.place)
    }
}

/// Returns the item that a target names by its keys; `None` if the target names no item in this way.
fn edge(target: Option<&Target>) -> Option<Item> {
    match &target?.position {
        Position::After(anchor) | Position::Before(anchor) => Some(Item::Keyed(anchor.clone())),
        _ => None,
    }
}
