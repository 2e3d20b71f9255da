//! The number of upstream requests that the pages of a list take while the list does not change.
//!
//! The number is counted, not computed by a second copy of the planner. The procedures that serve pages read an
//! unchanging list of the declared shape, at every alignment of pages that matters, in both directions, with and
//! without learnt sizes. Every request of these procedures counts, so the cost stays right when a procedure changes.

mod still;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashMap;

use still::Still;
use walk::CostWalk;

use super::{
    filter::Filters,
    limits::{COUNTED_ANSWERS, COUNTED_RUNS, DIVISIBLE_LENGTH, LARGEST_BUDGET},
    order::{Direction, Kind, Nulls, Order, SortKey, Ties},
    paging::{Family, Paging},
    plan,
    refusal::Refusal,
    resolver::{Budget, PageRequest, ShortPages, Totals, Verify, WhenUnproven},
};

/// A fact that an answer states in addition to its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The number of items of the list.
    Total,
    /// The statement whether more items follow.
    More,
    /// The offset of the answer's first item.
    Offset,
    /// The number of the answer's page.
    Page,
    /// The page size that the upstream used.
    Size,
    /// The requested place is after the end of the list; the upstream has a separate answer for that.
    PastEnd,
}

/// The properties of a route that decide the number of requests of its pages. Routes with the same shape have the same
/// cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostShape {
    paging: Paging,
    order: Order,
    flips: bool,
    filters: Option<Filters>,
    /// True if cursors contain only ids, whose keys are looked up.
    seeks: bool,
    verify: Verify,
    unproven: WhenUnproven,
    short_pages: ShortPages,
    totals: Totals,
    counts: bool,
    says: Vec<Said>,
    budget: Budget,
}

/// The largest numbers of upstream requests that pages take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The requests of a page at the start of the list.
    pub first: u32,
    /// The requests of a page that isn't at the start, with more items beyond it in the direction of reading.
    pub inner: u32,
    /// The requests of a page in one of three cases: it reaches an end of the list, the link to the last page leads to
    /// it, or its cursor has no honoured size (an item cursor, for example).
    pub last: u32,
    /// The refusal of a page although the list didn't change; `None` if every page was served.
    pub refusal: Option<Refusal>,
}

impl Cost {
    /// Returns the largest number of requests of any page.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.first.max(self.inner).max(self.last)
    }

    /// Returns whether a page was refused because its budget ended.
    #[must_use]
    pub fn exceeds_budget(&self) -> bool {
        self.refusal == Some(Refusal::BudgetExceeded)
    }

    fn and(self, other: Self) -> Self {
        let budget_first =
            if other.exceeds_budget() { other.refusal.or(self.refusal) } else { self.refusal.or(other.refusal) };
        Self {
            first: self.first.max(other.first),
            inner: self.inner.max(other.inner),
            last: self.last.max(other.last),
            refusal: budget_first,
        }
    }
}

impl CostShape {
    /// Makes the shape of a route from one of its requests. `seeks` is true if cursors contain only ids; `says` are the
    /// facts that the dialect reads from answers.
    #[must_use]
    pub fn new(request: &PageRequest, seeks: bool, says: Vec<Said>) -> Self {
        Self {
            // Pages beyond the largest depth are refused, so the depth doesn't change the cost and isn't part of the
            // shape.
            paging: Paging { max_depth: None, max_offset: None, ..(*request.paging).clone() },
            order: plain(&request.order),
            flips: request.abilities.flips,
            filters: request.filters.as_deref().cloned(),
            seeks,
            verify: request.terms.verify,
            unproven: request.terms.unproven,
            short_pages: request.terms.short_pages,
            totals: request.terms.totals,
            counts: request.abilities.counts,
            says,
            budget: request.budget,
        }
    }

    /// Returns the cost of pages of at most `limit` items. If a page exceeds the budget, the count stops there, so the
    /// numbers may be too low.
    #[must_use]
    pub fn cost(&self, limit: u32) -> Cost {
        self.cost_until(limit, &Cost::exceeds_budget)
    }

    /// Returns the largest number of rows that the upstream gives for a page of `limit` items inside of a list; 0 if no
    /// such page is served.
    #[must_use]
    pub fn rows(&self, limit: u32) -> u64 {
        let cap = u64::from(self.cap());
        let items = 4 * (u64::from(limit) + 3 * cap);
        CostWalk { shape: self, still: Still::new(self, items, 1), limit }.rows(cap)
    }

    /// Returns this shape with the largest budget for a page that a route can have. Searches get the same budget.
    #[must_use]
    pub fn without_budget(&self) -> Self {
        Self { budget: Budget::new(LARGEST_BUDGET, LARGEST_BUDGET), ..self.clone() }
    }

    /// Returns for each condition the largest limit, at most `limit`, such that the condition is true for it and for all
    /// smaller limits; 0 if it is false even for a limit of 1. `cost` is the cost of pages of `limit` items.
    #[must_use]
    pub fn largest<const N: usize>(&self, limit: u32, cost: &Cost, conditions: [fn(&Cost) -> bool; N]) -> [u32; N] {
        // The searches try the same limits at first, and a cost takes long to count, so each one is kept, with whether
        // it was counted to the end.
        let mut counted: HashMap<u32, (Cost, bool)> = HashMap::new();
        conditions.map(|is_met| {
            if is_met(cost) {
                return limit;
            }
            longest_below(limit, |limit| {
                match counted.get(&limit) {
                    // A cost only grows while it is counted.
                    Some((cost, _)) if !is_met(cost) => return false,
                    Some((_, true)) => return true,
                    _ => {}
                }
                let cost = self.cost_until(limit, &|cost| !is_met(cost));
                let is_whole = is_met(&cost);
                counted.insert(limit, (cost, is_whole));
                is_whole
            })
        })
    }

    /// Returns the cost of pages of at most `limit` items. Stops as soon as `enough` returns true for the cost so far.
    fn cost_until(&self, limit: u32, enough: &dyn Fn(&Cost) -> bool) -> Cost {
        let mut cost = Cost::default();
        // Larger limits cost more. They come first, so the loop can end early.
        for limit in self.limits(limit) {
            cost = cost.and(self.cost_of(limit, enough));
            if enough(&cost) {
                break;
            }
        }
        cost
    }

    /// Returns the length of the longest tie run that pages of `limit` items can cross, and the largest number of
    /// requests of a page that crosses it. `None` if runs don't matter for this shape, or if pages can cross a run of
    /// every length that was tried.
    #[must_use]
    pub fn longest_run(&self, limit: u32) -> Option<(u32, u32)> {
        let loose = self.order.declared && self.order.ties == Ties::Unordered && !self.order.strong.is_empty();
        let by_token = self.paging.family == Family::Token;
        if !loose || by_token {
            return None;
        }
        let over = |run| {
            let run = u64::from(run);
            let items = 4 * (run + u64::from(limit));
            CostWalk { shape: self, still: Still::new(self, items, run), limit }.over_runs(run)
        };
        // The list may end with a whole run or with a part of one, and anywhere in a page of the upstream.
        let near_the_end = |run| {
            let (run, cap) = (u64::from(run), u64::from(self.cap()));
            let items = 4 * (run + u64::from(limit)).div_ceil(cap) * cap;
            let lengths = [0, 1, run / 2].into_iter().chain((1..5).map(|part| cap * part / 5)).map(|more| items + more);
            let walks = lengths.map(|items| CostWalk { shape: self, still: Still::new(self, items, run), limit });
            walks.map(|walk| walk.near_the_end(run)).fold(Cost::default(), Cost::and)
        };
        let most = self.cap().saturating_mul(COUNTED_RUNS);
        let fits = |run| over(run).refusal.is_none();
        let run = longest(most, fits);
        // Runs of half an answer cost more than longer ones: an answer then shows only one of them whole. Test:
        // `runs_of_half_an_answer_are_not_overlooked`.
        let half = (self.cap() / 2).max(1);
        let run = if run >= half && !fits(half) { longest(half, fits) } else { run };
        // Pages over shorter runs end within other runs, and may take more requests. Test:
        // `the_cost_over_runs_covers_shorter_runs_and_every_place`.
        let sample = [1, 2, 3, run / 4, run / 2, run / 4 * 3, half, run].map(|one| one.clamp(1, run.max(1)));
        let dearest = |one| over(one).and(near_the_end(one)).most();
        (run < most).then(|| (run, sample.into_iter().map(dearest).max().unwrap_or(0)))
    }

    /// Returns the largest size that one request can ask for.
    fn cap(&self) -> u32 {
        u32::try_from(plan::most(&self.paging, None)).unwrap_or(u32::MAX).max(1)
    }

    /// Returns the limits, at most `limit`, whose pages can cost most, in descending order: `limit` itself, the largest
    /// limit whose pages exactly fill their answers, and the limits next to these two. If a page takes many requests,
    /// the neighbours are left out.
    fn limits(&self, limit: u32) -> Vec<u32> {
        let limit = limit.max(1);
        let whole = limit / self.cap() * self.cap();
        let around = match self.takes_many(limit) {
            true => vec![limit, whole],
            false => vec![limit, limit.saturating_sub(1), whole.saturating_add(1), whole, whole.saturating_sub(1)],
        };
        let mut limits: Vec<u32> = around.into_iter().filter(|near| (1..=limit).contains(near)).collect();
        limits.sort_unstable_by(|one, other| other.cmp(one));
        limits.dedup();
        limits
    }

    /// Returns whether a page takes so many requests that one request more or less doesn't matter.
    fn takes_many(&self, limit: u32) -> bool {
        limit / self.cap() > COUNTED_ANSWERS
    }

    fn cost_of(&self, limit: u32, enough: &dyn Fn(&Cost) -> bool) -> Cost {
        let cap = u64::from(self.cap());
        let wide = u64::from(limit) + 3 * cap;
        // The seams of the flipped list are at other places, unless the page size divides the number of items. If many
        // sizes divide that number, few pages show both sides of the end. So lists of both kinds of lengths are read.
        let whole = 4 * wide.div_ceil(cap) * cap;
        let divisible = 4 * wide.div_ceil(DIVISIBLE_LENGTH) * DIVISIBLE_LENGTH;
        let lists = match self.takes_many(limit) {
            true => vec![whole + 1],
            false => vec![whole, whole + 1, whole + cap / 2, divisible],
        };
        let mut cost = Cost::default();
        for items in lists {
            let walk = CostWalk { shape: self, still: Still::new(self, items, 1), limit };
            for place in walk.places(cap) {
                cost = cost.and(walk.around(place));
                if enough(&cost) {
                    return cost;
                }
            }
            cost = cost.and(walk.at_ends()).and(walk.by_token(cap));
        }
        // A list that fits into one page.
        cost.and(CostWalk { shape: self, still: Still::new(self, u64::from(limit), 1), limit }.at_ends())
    }
}

/// Returns the largest number, at most `most`, for which `is_good` is true; 0 if it is false for 1. All numbers below a
/// good number must be good.
fn longest(most: u32, is_good: impl FnMut(u32) -> bool) -> u32 {
    between(0, most.saturating_add(1), is_good)
}

/// Returns the largest number below `bad` for which `is_good` is true; 0 if it is false for 1. All numbers below a good
/// number must be good. The search begins near `bad`, where the number usually is, because a number that isn't good is
/// found out sooner than a good one.
fn longest_below(bad: u32, mut is_good: impl FnMut(u32) -> bool) -> u32 {
    let (mut bad, mut step) = (bad, 1);
    while step < bad {
        if is_good(bad - step) {
            return between(bad - step, bad, is_good);
        }
        (bad, step) = (bad - step, step * 2);
    }
    between(0, bad, is_good)
}

/// Returns the largest good number of `good..bad`, of which the first is good.
fn between(mut good: u32, mut bad: u32, mut is_good: impl FnMut(u32) -> bool) -> u32 {
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if is_good(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

/// Returns an order with the same number of keys. They are unnamed, ascending, never null, and of the simplest kind
/// that costs the same.
fn plain(order: &Order) -> Order {
    let plain = |key: &SortKey| SortKey {
        name: String::new(),
        direction: Direction::Ascending,
        kind: match key.kind {
            Kind::Opaque => Kind::Opaque,
            Kind::Number | Kind::NumberInString | Kind::Datetime => Kind::Number,
            Kind::Inferred | Kind::Text | Kind::Boolean | Kind::Uuid | Kind::Rank(_) => Kind::Inferred,
        },
        nulls: Nulls::None,
        grain: None,
    };
    Order { strong: order.strong.iter().map(plain).collect(), id: plain(&order.id), ..*order }
}
