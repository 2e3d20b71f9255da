//! Tests that the cost computed from a few places and limits is the cost of all places and limits.

use std::sync::Arc;

use super::*;
use crate::pagination::{
    mark::Marker,
    paging::{EndEvidence, Sizes, Tokens},
    position::{Hint, Position, Target},
    resolver::Limit,
};

fn key(name: &str) -> SortKey {
    SortKey {
        name: name.into(),
        direction: Direction::Descending,
        kind: Kind::Inferred,
        nulls: Nulls::Unsaid,
        grain: None,
    }
}

fn request(paging: Paging) -> PageRequest {
    let order = Order { strong: Vec::new(), id: key("id"), ties: Ties::Ordered, declared: true };
    let target = Target { position: Position::Start, hint: Hint::default() };
    PageRequest::new(target, Limit::ONE, Arc::new(order), Arc::new(paging), Marker::new(still::mark))
}

fn free(family: Family, most: u32) -> Paging {
    Paging::new(family, Sizes::Free { least: 1, most: Some(most) })
}

fn fixed(size: u32) -> Paging {
    Paging::new(Family::Page, Sizes::Fixed(size))
}

/// Computes the cost of every limit up to `limit`, at every place of a list, for every list length that matters.
fn everywhere(shape: &CostShape, limit: u32) -> Cost {
    let cap = u64::from(shape.cap());
    let mut all = Cost::default();
    for limit in 1..=limit {
        for items in (5 * cap + u64::from(limit))..=(6 * cap + u64::from(limit)) {
            let walk = CostWalk { shape, still: Still::new(shape, items, 1), limit };
            all = all.and(walk.at_ends());
            // The last item has no next page.
            all = (0..items - 1).map(|item| walk.around(item)).fold(all, Cost::and);
        }
    }
    all
}

#[test]
fn the_cost_at_sampled_places_covers_the_cost_at_every_place() {
    let flipping = |paging| request(paging).flips(true);
    let undeclared = |paging| {
        let mut request = request(paging);
        Arc::make_mut(&mut request.order).declared = false;
        request
    };
    for (name, request, says, limit) in [
        ("fixed", request(fixed(4)), vec![], 10),
        ("fixed, counted", request(fixed(5)), vec![Said::Total], 11),
        ("fixed, flipped", flipping(fixed(4)), vec![Said::Total], 9),
        ("fixed, flagged", request(Paging { end: EndEvidence::Flag, ..fixed(4) }), vec![Said::More], 9),
        ("fixed, undeclared", undeclared(fixed(4)), vec![Said::Total], 9),
        ("pages", request(free(Family::Page, 8)), vec![Said::Total], 10),
        ("slices", request(free(Family::Offset, 8)), vec![], 12),
        ("some sizes", request(Paging::new(Family::Page, Sizes::Listed(vec![3, 6]))), vec![Said::Total], 8),
    ] {
        let shape = CostShape::new(&request, false, says).without_budget();
        let (told, found) = (shape.cost(limit), everywhere(&shape, limit));
        assert_eq!(told.refusal, None, "{name}: {told:?}");
        let covers = told.first >= found.first && told.inner >= found.inner && told.most() >= found.most();
        assert!(covers, "{name}: told {told:?}, found {found:?}");
        let is_fixed = matches!(shape.paging.sizes, Sizes::Fixed(_));
        assert!(!is_fixed || told.inner == found.inner, "{name}: told {told:?}, found {found:?}");
    }
}

#[test]
fn a_page_is_filled_within_the_budget_that_its_computed_cost_states() {
    for (paging, says) in [
        (fixed(10), vec![Said::Total]),
        (fixed(10), vec![]),
        (free(Family::Page, 20), vec![Said::Total]),
        (free(Family::Offset, 20), vec![]),
    ] {
        for limit in [20, 30, 45] {
            let shape = CostShape::new(&request(paging.clone()), false, says.clone());
            let cost = shape.without_budget().cost(limit);
            let need = cost.most();
            let with = |budget| CostShape { budget: Budget::new(budget, budget), ..shape.clone() }.cost(limit);
            assert_eq!(with(need).refusal, None, "{paging:?} {limit}: {need} requests");
            // Only pages at an end are served with fewer requests than they would take.
            let filled = cost.first.max(cost.inner);
            assert!(with((filled - 1).max(1)).exceeds_budget(), "{paging:?} {limit}: {filled} requests");
        }
    }
}

#[test]
fn every_limit_up_to_the_largest_keeps_the_budget() {
    let shape = CostShape::new(&request(fixed(10)), false, vec![Said::Total]);
    assert!(shape.cost(30).exceeds_budget(), "pages of 30 go back in 9 requests");
    let [largest] = shape.largest(100, &shape.cost(100), [|cost| !cost.exceeds_budget()]);
    assert!((10..30).contains(&largest), "{largest}");
    for limit in 1..=largest {
        assert!(!shape.cost(limit).exceeds_budget(), "{limit}");
    }
}

#[test]
fn a_slice_is_one_request_where_it_has_room_for_its_neighbours() {
    let shape = CostShape::new(&request(free(Family::Offset, 100)), false, vec![Said::Total]);
    let in_one: [fn(&Cost) -> bool; 3] = [|cost| cost.inner <= 1, |cost| cost.first <= 1, |cost| cost.most() <= 1_000];
    assert_eq!(shape.largest(200, &shape.cost(200), in_one), [98, 99, 200]);
    let unbounded = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
    let unbounded = CostShape::new(&request(unbounded), false, vec![Said::Total]);
    assert_eq!(unbounded.cost(500).inner, 1);
    assert!(unbounded.cost(5_000).inner > 4, "no more than a thousand items are asked for at once");
}

#[test]
fn tokens_of_as_many_items_as_the_page_take_one_request() {
    for tokens in [Tokens::default(), Tokens { backward: true, by_item: true, ..Tokens::default() }] {
        let paging = Paging { end: EndEvidence::Flag, tokens, ..free(Family::Token, 100) };
        let shape = CostShape::new(&request(paging), false, vec![Said::More]);
        assert_eq!(shape.cost(100), Cost { first: 1, inner: 1, last: 1, refusal: None }, "{tokens:?}");
        assert!(shape.cost(500).most() > 4, "{tokens:?}");
    }
}

#[test]
fn the_longest_tie_run_that_fits_the_budget_is_computed() {
    let mut loose = request(free(Family::Offset, 50));
    let order = Arc::make_mut(&mut loose.order);
    (order.strong, order.ties) = (vec![key("score")], Ties::Unordered);
    let shape = CostShape::new(&loose, false, vec![Said::Total]);
    let (run, requests) = shape.longest_run(20).unwrap();
    assert!((40..=100).contains(&run), "{run}");
    assert!(requests > 1);
    Arc::make_mut(&mut loose.order).ties = Ties::Ordered;
    assert_eq!(CostShape::new(&loose, false, vec![Said::Total]).longest_run(20), None, "the upstream orders them");
}

#[test]
fn runs_of_half_an_answer_are_not_overlooked() {
    let mut loose = request(free(Family::Offset, 25));
    let order = Arc::make_mut(&mut loose.order);
    (order.strong, order.ties) = (vec![key("score")], Ties::Unordered);
    loose.budget.search = loose.budget.page;
    let shape = CostShape::new(&loose, false, vec![Said::Total]);
    // A page of 100 takes nine answers of 25 over runs of 12, and fewer over runs of 20.
    assert!(shape.longest_run(100).is_some_and(|(run, _)| run < 12), "{:?}", shape.longest_run(100));
}

/// A walk over shorter runs may take more requests than one over the longest, because its pages end within other runs,
/// and so may a page by number from another place.
#[test]
fn the_cost_over_runs_covers_shorter_runs_and_every_place() {
    for family in [Family::Offset, Family::Page] {
        let mut loose = request(free(family, 25));
        let order = Arc::make_mut(&mut loose.order);
        (order.strong, order.ties) = (vec![key("score")], Ties::Unordered);
        let shape = CostShape::new(&loose, false, vec![Said::Total]);
        for limit in [50, 100] {
            let (longest, most) = shape.longest_run(limit).unwrap();
            for run in 1..=longest {
                let still = Still::new(&shape, 400, u64::from(run));
                let walk = CostWalk { shape: &shape, still, limit };
                let cost = (50..75).map(|item| walk.around(item)).fold(Cost::default(), Cost::and);
                assert!(cost.most() <= most, "{family:?}, limit {limit}, runs of {run}: {}, told {most}", cost.most());
            }
        }
    }
}

/// The end of a list of runs may be in or beside a run, and anywhere in a page of the upstream.
#[test]
fn the_cost_over_runs_covers_the_end() {
    for (family, says) in [Family::Offset, Family::Page]
        .into_iter()
        .flat_map(|family| [vec![Said::Total], vec![Said::More], Vec::new()].map(|says| (family, says)))
    {
        let mut loose = request(free(family, 25));
        let order = Arc::make_mut(&mut loose.order);
        (order.strong, order.ties) = (vec![key("score")], Ties::Unordered);
        let shape = CostShape::new(&loose, false, says).without_budget();
        for limit in [20, 90] {
            let (_, most) = shape.longest_run(limit).unwrap();
            for (run, items) in [1, 4].into_iter().flat_map(|run| (300..400).step_by(3).map(move |items| (run, items)))
            {
                let cost = CostWalk { shape: &shape, still: Still::new(&shape, items, run), limit }.whole();
                assert!(
                    cost.refusal.is_none() && cost.most() <= most,
                    "{family:?}, limit {limit}: {cost:?}, told {most}"
                );
            }
        }
    }
}

#[test]
fn the_cost_over_runs_is_counted_for_answers_of_one_item() {
    for family in [Family::Offset, Family::Page] {
        let mut loose = request(free(family, 1));
        let order = Arc::make_mut(&mut loose.order);
        (order.strong, order.ties) = (vec![key("score")], Ties::Unordered);
        assert!(CostShape::new(&loose, false, vec![Said::Total]).longest_run(4).is_some(), "{family:?}");
    }
}

#[test]
fn the_cost_of_an_end_among_hidden_items_is_bounded() {
    let hidden = Paging { hidden: true, ..free(Family::Offset, 100) };
    // An item cursor contains no honoured size, so near the end a page is read in small answers.
    let shape = CostShape::new(&request(hidden), false, vec![Said::Total]).without_budget();
    for limit in [20, 99, 100] {
        let cost = shape.cost(limit);
        assert!(cost.refusal.is_none() && cost.most() <= 10, "{limit}: {cost:?}");
    }
}
