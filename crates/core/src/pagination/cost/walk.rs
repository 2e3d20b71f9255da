//! Pages of one limit, read from an unchanging list by the same procedures that serve pages.

use std::sync::Arc;

use super::{Cost, CostShape, still::Still};
use crate::pagination::{
    mark::Marker,
    page::{Page, PageFacts},
    paging::{Family, UpstreamProfile},
    plan,
    position::{Hint, Pivot, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, Step, resolve},
};

/// The number of items of all upstream pages that begin at places from which pages over runs are read. Fewer places are
/// read where upstream pages are larger, because the time for a page is proportional to its answers.
const RUN_ITEMS: u64 = 625;

/// A walk through pages of one limit over a list that doesn't change.
pub(super) struct CostWalk<'a> {
    pub(super) shape: &'a CostShape,
    pub(super) still: Still,
    pub(super) limit: u32,
}

impl CostWalk<'_> {
    /// Returns the items around which pages are read: in the middle of the list, one for each kind of place in the
    /// upstream's own pages, and some near the end. `cap` is the size of the upstream's pages.
    pub(super) fn places(&self, cap: u64) -> Vec<u64> {
        let (limit, items) = (u64::from(self.limit), self.still.items);
        let middle = items / 2 / cap * cap;
        let steps = match self.shape.paging.family {
            Family::Token => return Vec::new(),
            // A slice can begin at any offset, so all places are alike.
            Family::Offset => vec![0],
            // The offsets in an upstream page at which a page may begin, and those at which it may end. Test:
            // `the_cost_at_sampled_places_covers_the_cost_at_every_place`.
            Family::Page => {
                let ends = [0, 1, 2].map(|past| limit.div_ceil(cap) * cap + cap + past - limit);
                let mut steps: Vec<u64> =
                    [0, 1, cap / 2, cap - 1].into_iter().chain(ends).map(|step| step % cap).collect();
                steps.sort_unstable();
                steps.dedup();
                steps
            }
        };
        // Near the end a page may reach exactly to the end, or leave one item.
        let near = items - limit.min(items - 2);
        let before_end = [2, 3, 4, 5, 6, 7].map(|left| items - left.min(items));
        steps.into_iter().map(|step| middle + step).chain([near - 2, near - 1, near]).chain(before_end).collect()
    }

    /// Returns the cost of the first two pages, and of the last page and the one before it if a link leads there.
    pub(super) fn at_ends(&self) -> Cost {
        let at = |position| Target { position, hint: Hint::default() };
        let cost = self.from(&at(Position::Start), UpstreamProfile::default(), 2);
        let first = self.page(self.request(at(Position::Start), UpstreamProfile::default()));
        let Some(last) = first.ok().and_then(|page| page.into_facts().last) else { return cost };
        let from_end = self.from(&last, UpstreamProfile::default(), 2);
        cost.and(Cost { first: 0, inner: 0, last: from_end.most(), ..from_end })
    }

    /// Returns the cost of pages over runs of equal keys, forward from the end of one run, backward from the start of
    /// another, and from places all over an upstream page.
    pub(super) fn over_runs(&self, run: u64) -> Cost {
        let cap = plan::most(&self.shape.paging, None);
        let places = (RUN_ITEMS / cap).clamp(1, cap);
        let beside = (0..places).map(|step| self.around(run + cap * step / places)).fold(Cost::default(), Cost::and);
        let pages = u32::try_from(run / u64::from(self.limit)).unwrap_or(u32::MAX).saturating_add(3);
        let targets = [self.still.after(run - 1), self.still.before(3 * run)];
        let costs = targets
            .into_iter()
            .flatten()
            .map(|target| self.from(&self.sure(target), UpstreamProfile::default(), pages));
        costs.fold(beside, Cost::and)
    }

    /// Returns the cost of the last pages of a list of runs, by walks that have an earlier page: of last pages of a few
    /// items, and of those that end at, or beside, an edge of an answer or of the page.
    pub(super) fn near_the_end(&self, run: u64) -> Cost {
        let (limit, items, cap) = (u64::from(self.limit), self.still.items, plan::most(&self.shape.paging, None));
        let short = [0, 1, 2, run, cap / 2, cap.saturating_sub(2), cap - 1, cap, cap + 1];
        let left = short.into_iter().chain(short.map(|left| limit.saturating_sub(left)));
        let before = left.map(|left| items.saturating_sub(left + limit)).filter(|before| *before > 0);
        let targets = before.filter_map(|before| self.still.after(before - 1));
        let costs = targets.map(|target| self.from(&self.sure(target), UpstreamProfile::default(), 3));
        costs.fold(Cost::default(), Cost::and)
    }

    /// Returns the cost of the page after an item and of the page before it, by cursors that contain the right offset.
    pub(super) fn around(&self, item: u64) -> Cost {
        let targets = [self.still.after(item), self.still.before(item)];
        let costs = targets.into_iter().flatten().flat_map(|target| {
            // An item cursor doesn't contain the size that a walk has seen filled, so its page is counted separately.
            let unsure = self.from(&target, UpstreamProfile::default(), 1);
            let unsure = Cost { first: 0, inner: 0, last: unsure.most(), ..unsure };
            [self.from(&self.sure(target), UpstreamProfile::default(), 1), unsure]
        });
        costs.fold(Cost::default(), Cost::and)
    }

    /// Returns the largest number of items in the answers for a single page inside of the list; 0 if no such page is
    /// served. `cap` is the size of the upstream's pages.
    pub(super) fn rows(&self, cap: u64) -> u64 {
        let inner = self.places(cap).into_iter().filter(|place| *place < self.still.items / 2 + cap);
        let mut targets: Vec<(Target, UpstreamProfile)> =
            inner.filter_map(|place| Some((self.sure(self.still.after(place)?), UpstreamProfile::default()))).collect();
        // Only the start of a list by token can be requested without a token.
        if self.shape.paging.family == Family::Token {
            let start = Target { position: Position::Start, hint: Hint::default() };
            let first = self.page(self.request(start, UpstreamProfile::default())).ok();
            targets.extend(first.and_then(|page| Some((page.next.clone()?, page.notes.profile))));
        }
        let read = targets.into_iter().map(|(target, profile)| {
            let before = self.still.rows();
            self.page(self.request(target, profile)).map_or(0, |_| self.still.rows() - before)
        });
        read.max().unwrap_or(0)
    }

    /// Returns a target as in a walk that has seen every size filled that the upstream honours.
    fn sure(&self, mut target: Target) -> Target {
        target.hint.honoured = self.still.honours();
        target
    }

    /// Returns the cost of pages by token. Only the start can be requested without a token, so first pages of several
    /// sizes are read to move the later pages. For other families the cost is zero.
    pub(super) fn by_token(&self, cap: u64) -> Cost {
        let mut cost = Cost::default();
        if self.shape.paging.family != Family::Token {
            return cost;
        }
        for step in [1, 2, cap / 2, cap - 1] {
            let start = Target { position: Position::Start, hint: Hint::default() };
            let step = u32::try_from(step.max(1)).unwrap_or(1);
            let first = self.page(PageRequest { limit: step, ..self.request(start, UpstreamProfile::default()) });
            if let Ok(page) = first
                && let Some(next) = &page.next
            {
                cost = cost.and(self.from(next, page.notes.profile, 3));
            }
        }
        cost
    }

    /// Returns the cost of a walk through the whole list.
    #[cfg(test)]
    pub(super) fn whole(&self) -> Cost {
        let start = Target { position: Position::Start, hint: Hint::default() };
        self.from(&start, UpstreamProfile::default(), u32::MAX)
    }

    /// Returns the cost of `pages` pages from a target on, and of a page back from the end if the walk reaches the end.
    fn from(&self, target: &Target, mut profile: UpstreamProfile, pages: u32) -> Cost {
        let mut cost = Cost::default();
        let mut target = target.clone();
        let backward = target.position.is_backward();
        for _ in 0..pages {
            let at_start = matches!(target.position, Position::Start);
            let page = match self.page(self.request(target, profile)) {
                Ok(page) => page,
                Err(refusal) => return cost.and(Cost { refusal: Some(refusal), ..Cost::default() }),
            };
            profile = page.notes.profile;
            let (requests, is_empty) = (page.notes.requests, page.items.is_empty());
            let PageFacts { next, previous, .. } = page.into_facts();
            let (onward, back) = if backward { (previous, next) } else { (next, previous) };
            let Some(further) = onward else {
                let cost = cost.and(Cost { last: requests, ..Cost::default() });
                // The way back begins at the end of the list, wherever that is in the upstream's pages, so its cost is
                // counted too. From an empty page, it begins with a look for that end.
                let back = back.map_or_else(Cost::default, |back| self.one(back, profile));
                let at_end = Cost { inner: 0, last: back.inner, ..back.clone() };
                return cost.and(if is_empty { at_end } else { back });
            };
            let (first, inner) = if at_start { (requests, 0) } else { (0, requests) };
            cost = cost.and(Cost { first, inner, ..Cost::default() });
            target = further;
        }
        cost
    }

    /// Returns the cost of a single page at a target.
    fn one(&self, target: Target, profile: UpstreamProfile) -> Cost {
        match self.page(self.request(target, profile)) {
            Ok(page) => Cost { inner: page.notes.requests, ..Cost::default() },
            Err(refusal) => Cost { refusal: Some(refusal), ..Cost::default() },
        }
    }

    fn request(&self, target: Target, profile: UpstreamProfile) -> PageRequest {
        let (shape, still) = (self.shape, &self.still);
        let target = if shape.seeks { by_id(target) } else { target };
        let marker = Marker::new(super::still::mark);
        let limit = Limit::at_least_one(self.limit);
        PageRequest::new(target, limit, Arc::clone(&still.order), Arc::clone(&still.paging), marker)
            .flips(shape.flips)
            .filters(still.filters.clone())
            .profile(profile)
            .budget(shape.budget)
            .verify(shape.verify)
            .unproven(shape.unproven)
            .short_pages(shape.short_pages)
            .totals(shape.totals)
            .counts(shape.counts)
            .tells_total(still.tells_total())
    }

    fn page(&self, request: PageRequest) -> Result<Page, Refusal> {
        let mut step = resolve(request);
        // The loop ends because every turn spends budget.
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    pending.resume(fetches.iter().map(|fetch| self.still.answer(fetch)).collect())
                }
                Step::Serve(page) => return Ok(*page),
                Step::Refuse(refusal) => return Err(refusal),
            };
        }
    }
}

/// Returns the target as in a cursor that contains only ids.
fn by_id(target: Target) -> Target {
    let pivot = |id| Pivot { id, fingerprint: None };
    let position = match target.position {
        Position::After(anchor) => Position::AfterPivot(pivot(anchor.id)),
        Position::Before(anchor) => Position::BeforePivot(pivot(anchor.id)),
        other => other,
    };
    Target { position, ..target }
}
