//! The number of upstream requests that a route's pages take, computed by the core and checked against the route's
//! budget.

use std::sync::Arc;

use super::Dialect;
use crate::upstream::order::sort::CompiledOrder;
use crate::upstream::template::places::Places;
use cursorgate_config::{
    diagnostic::Diagnostics,
    settings::{DialectSettings, ListSettings, Mode},
};
use cursorgate_core::pagination::{
    cost::{Cost, CostShape, Said},
    mark::{Mark, Marker},
    paging::{Family, Paging, Sizes},
    position::{Hint, Position, Target},
    resolver::{Budget, Limit, PageRequest, Totals},
};

/// The largest `budgets.upstream_requests` that a route may have. Costs are computed up to this number.
const LARGEST_BUDGET: u32 = 1_000;

/// The cost of a route's pages with limits up to its maximum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageCosts {
    /// The maximum cost of any page, including look-ups and counts.
    pub whole: Cost,
    /// The maximum cost of any page without look-ups and counts; equal to `whole` if `whole` exceeds the budget.
    pub listed: Cost,
    /// The largest limit, up to the route's maximum, whose first page takes one request; 0 if every limit takes more,
    /// or if `whole` exceeds the budget.
    pub first_in_one: u32,
    /// The largest limit, up to the route's maximum, whose later pages take one request; 0 if every limit takes more,
    /// or if `whole` exceeds the budget.
    pub later_in_one: u32,
    /// Advice if the budget doesn't suffice for the largest pages; `None` if it does, or if no other page size or
    /// budget would help.
    pub beyond_budget: Option<BudgetAdvice>,
}

/// Changes by which a route's budget suffices for its largest pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetAdvice {
    /// The budget that suffices for the largest pages; `None` if no budget does.
    pub needed: Option<u32>,
    /// The largest limit for which the present budget suffices; 0 if it suffices for no page.
    pub lower: u32,
}

/// The largest limit for which the longest tie run is computed.
const SEARCHED: u32 = 200;

/// The length of the longest tie run that a page can cross, and the number of requests that such a page takes.
pub type TieRunCost = (u32, u32);

/// Computed costs, stored by the shapes that determine them. Most routes of a configuration share a few shapes.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    pages: Vec<(Shapes, PageCosts)>,
    /// The results of [`Self::longest_run`], each with its shape and default limit.
    runs: Vec<(CostShape, u32, Option<TieRunCost>)>,
    /// The page costs of the previous configuration, for reuse.
    before: Vec<(Shapes, PageCosts)>,
}

/// The properties that determine the costs of a route: its shapes with and without look-ups and counts, and its maximum
/// limit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shapes {
    whole: CostShape,
    listed: CostShape,
    max: u32,
}

impl Costs {
    /// Creates costs that reuse the results for another configuration.
    #[must_use]
    pub fn after(before: &Self) -> Self {
        Self { before: before.pages.clone(), ..Self::default() }
    }

    /// Drops the results of the other configuration that weren't reused.
    pub fn forget_others(&mut self) {
        self.before = Vec::new();
    }

    /// Returns the cost of a route's pages in its declared order.
    pub fn of(&mut self, dialect: &Dialect, list: &ListSettings) -> PageCosts {
        let shapes = Shapes::new(dialect, list);
        // Costs take long to compute, and a reload changes few routes, so known results are reused. Test:
        // `computed_costs_are_reused`.
        let known = self.pages.iter().chain(&self.before).find(|(known, _)| *known == shapes);
        let costs = known.map_or_else(|| PageCosts::compute(&shapes), |(_, costs)| costs.clone());
        if !self.pages.iter().any(|(known, _)| *known == shapes) {
            self.pages.push((shapes, costs.clone()));
        }
        costs
    }

    /// Returns the largest number of rows that the upstream gives for a page of the default limit inside of the list.
    #[must_use]
    pub fn rows(dialect: &Dialect, list: &ListSettings) -> u64 {
        Shapes::new(dialect, list).listed.rows(list.page_size.default)
    }

    /// Returns the longest tie run that a page can cross and the number of requests that this page takes; `None` if
    /// ties don't matter.
    pub fn longest_run(&mut self, dialect: &Dialect, list: &ListSettings) -> Option<TieRunCost> {
        self.run_of(dialect, list, list.page_size.default)
    }

    /// Returns the same as [`Self::longest_run`] for pages of the largest limit. For very large limits the search takes
    /// too long, and `None` is returned.
    pub fn longest_run_of_largest(&mut self, dialect: &Dialect, list: &ListSettings) -> Option<TieRunCost> {
        if list.page_size.max > SEARCHED { None } else { self.run_of(dialect, list, list.page_size.max) }
    }

    /// Returns the longest tie run that a page of `limit` items can cross.
    fn run_of(&mut self, dialect: &Dialect, list: &ListSettings, limit: u32) -> Option<TieRunCost> {
        let shape = Shapes::new(dialect, list).listed;
        if let Some((_, _, run)) = self.runs.iter().find(|(known, of, _)| *known == shape && *of == limit) {
            return *run;
        }
        let run = shape.longest_run(limit);
        self.runs.push((shape, limit, run));
        run
    }

    /// Reports an error if the budget doesn't suffice for the largest page even while the list doesn't change, or if a
    /// dialect that pages by ranges can't get this page in one answer. Otherwise warns if the largest page takes
    /// several requests, unless the dialect pages by token or takes only certain sizes.
    pub fn check(&mut self, dialect: &Dialect, list: &ListSettings, diagnostics: &mut Diagnostics) {
        let costs = self.of(dialect, list);
        let (at, max, budget) = (list.page_size.at, list.page_size.max, list.budgets.upstream_requests);
        let gives = gives(&list.dialect, dialect.paging());
        if let Some(BudgetAdvice { needed, lower }) = costs.beyond_budget {
            let take = needed.map_or_else(|| format!("more than {LARGEST_BUDGET}"), |needed| format!("up to {needed}"));
            let message = format!(
                "pages of {max} items take {take} upstream requests, and budgets.upstream_requests is {budget}"
            );
            let lower = Some(lower).filter(|lower| *lower > 0).map(|lower| format!("page_size.max = {lower} has room"));
            let raise = needed.map(|needed| format!("raise the budget to {needed}"));
            let advice: Vec<String> = [lower, raise].into_iter().flatten().collect();
            diagnostics.error(at, message, format!("{gives}: {}", advice.join(", or ")));
            return;
        }
        let single = costs.later_in_one;
        if max > single && dialect.places() == Places::Ranges {
            let message = format!("pages of {max} items don't come in one answer, and no other place can be asked for");
            let help = format!("{gives}: page_size.max = {single} has room");
            diagnostics.error(at, message, help);
            return;
        }
        let of_any_size =
            dialect.paging().family != Family::Token && matches!(dialect.paging().sizes(), Sizes::Free { .. });
        if max > single && of_any_size {
            let most = costs.listed.inner;
            let (message, help) = match single {
                0 => (format!("pages after the first take up to {most} upstream requests"), gives),
                _ => (
                    format!("limits above {single} take up to {most} upstream requests"),
                    format!("{gives}; page_size.max = {single} keeps it at one request a page"),
                ),
            };
            diagnostics.warning(at, message, help);
        }
    }
}

impl Shapes {
    fn new(dialect: &Dialect, list: &ListSettings) -> Self {
        let sorted = dialect.default_sorted();
        let request = request(dialect, sorted, list);
        let says = says(&list.dialect, dialect.paging());
        let seeks = sorted.mode == Mode::Seek;
        Self {
            whole: CostShape::new(&request, seeks, says.clone()),
            listed: CostShape::new(&request.totals(Totals::Upstream), false, says),
            max: list.page_size.max,
        }
    }
}

impl PageCosts {
    fn compute(shapes: &Shapes) -> Self {
        let Shapes { whole, listed, max } = shapes;
        let costs = whole.cost(*max);
        if costs.exceeds_budget() {
            let needed = whole.without_budget().cost(*max);
            let [lower] = whole.largest(*max, &costs, [|cost| !cost.exceeds_budget()]);
            // If neither a smaller page nor a larger budget helps, the page size isn't the cause, so there is no
            // advice.
            let fills = needed.refusal.is_none();
            let needed = fills.then(|| needed.most());
            return Self {
                whole: costs.clone(),
                listed: costs,
                first_in_one: 0,
                later_in_one: 0,
                beyond_budget: (fills || lower > 0).then_some(BudgetAdvice { needed, lower }),
            };
        }
        let in_one = if whole == listed { costs.clone() } else { listed.cost(*max) };
        let [first_in_one, later_in_one] =
            listed.largest(*max, &in_one, [|cost| cost.first <= 1, |cost| cost.inner <= 1]);
        Self { whole: costs, listed: in_one, first_in_one, later_in_one, beyond_budget: None }
    }

    /// Describes the cost of the first page, for example `1 upstream request`. `max` is the route's maximum limit.
    #[must_use]
    pub fn first(&self, max: u32) -> String {
        told(self.first_in_one, self.listed.first, max)
    }

    /// Describes the cost of later pages, for example `1 upstream request up to 40 items, up to 4 above`. `max` is the
    /// route's maximum limit.
    #[must_use]
    pub fn later(&self, max: u32) -> String {
        told(self.later_in_one, self.listed.inner, max)
    }

    /// Returns the cost of a page at an end of the list if it is higher than the cost of other pages; otherwise `None`.
    #[must_use]
    pub fn at_ends(&self) -> Option<u32> {
        Some(self.listed.last).filter(|last| *last > self.listed.inner.max(self.listed.first))
    }
}

/// Describes a cost. `in_one` is the largest limit that takes one request, `most` the cost of a page of `max` items.
fn told(in_one: u32, most: u32, max: u32) -> String {
    match in_one {
        _ if most <= 1 || in_one >= max => "1 upstream request".to_owned(),
        0 => format!("1 to {most} upstream requests"),
        _ => format!("1 upstream request up to {in_one} items, up to {most} above"),
    }
}

/// Builds a page request with the route's settings. Costs at all positions are computed from it.
fn request(dialect: &Dialect, sorted: &CompiledOrder, list: &ListSettings) -> PageRequest {
    let target = Target { position: Position::Start, hint: Hint::default() };
    let (order, paging) = (Arc::clone(&sorted.order), Arc::clone(dialect.paging()));
    let tells_total = list.dialect.response.total.is_some();
    let limit = Limit::at_least_one(list.page_size.max);
    PageRequest::new(target, limit, order, paging, Marker::new(|_| Mark::of(0)))
        .flips(sorted.flips)
        .filters(sorted.filters.clone())
        .budget(Budget::new(list.budgets.upstream_requests, list.budgets.search_requests))
        .search_items(list.budgets.search_items)
        .verify(list.verify)
        .unproven(list.unproven)
        .short_pages(list.short_pages)
        .totals(list.total)
        .counts(list.dialect.count.is_some() || tells_total)
        .tells_total(tells_total)
}

/// Returns the kinds of facts that the dialect reads from answers.
fn says(dialect: &DialectSettings, paging: &Paging) -> Vec<Said> {
    let response = &dialect.response;
    let flags = response.has_more.is_some() || response.is_last.is_some();
    let more = match paging.family {
        Family::Token => flags || !paging.tokens.by_item,
        Family::Page | Family::Offset => {
            flags || response.next_url.is_some() || response.next_page.is_some() || response.last_page.is_some()
        }
    };
    let facts = [
        (Said::Total, response.total.is_some()),
        (Said::More, more),
        (Said::Offset, response.offset.is_some()),
        (Said::Page, response.page.is_some()),
        (Said::Size, response.size.is_some()),
        (Said::PastEnd, !response.past_end.is_empty()),
    ];
    facts.into_iter().filter(|(_, said)| *said).map(|(said, _)| said).collect()
}

/// Describes the maximum number of items in an answer, for example `rest gives at most 100 at a time`.
fn gives(dialect: &DialectSettings, paging: &Paging) -> String {
    let name = &dialect.name;
    match paging.sizes() {
        Sizes::Fixed(size) => format!("{name} gives {size} at a time"),
        Sizes::Free { most: Some(most), .. } => format!("{name} gives at most {most} at a time"),
        Sizes::Listed(sizes) => format!("{name} gives at most {} at a time", sizes.last().copied().unwrap_or(1)),
        Sizes::Free { most: None, .. } => {
            format!("{name} names no size.max, and an upstream without one is asked for 1000 items at a time")
        }
    }
}

#[cfg(test)]
mod tests;
