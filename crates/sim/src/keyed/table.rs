//! The measured cost of pages of lists at rest, in every mode: requests of first, later and last pages.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::{Comparisons, Filters},
    order::Ties,
    paging::{Family, Sizes},
    resolver::Totals,
};

use crate::keyed::{
    client::Client,
    row::{RowPlan, Shape, TieOrder},
    scenario::{Regime, Scenario},
    traits::{Filtering, Reads, Traits},
    values::{Column, Look},
    walk::{Outcome, walk},
};

const INCLUSIVE: Comparisons = Comparisons {
    less: false,
    less_or_equal: true,
    greater: false,
    greater_or_equal: true,
    equal: false,
    nulls: false,
};
const EVERY: Comparisons =
    Comparisons { less: true, less_or_equal: true, greater: true, greater_or_equal: true, equal: true, nulls: true };
const LEGS: Comparisons = Comparisons { less_or_equal: false, greater_or_equal: false, ..EVERY };

/// The largest numbers of requests that the pages of a walk may take: the first, the later ones on average and at
/// worst, and the last.
#[derive(Clone, Copy, Debug)]
struct Bound {
    first: u32,
    later: f64,
    worst: u32,
    last: u32,
}

const fn bound(first: u32, later: f64, worst: u32, last: u32) -> Bound {
    Bound { first, later, worst, last }
}

const ONE: Bound = bound(1, 1.0, 1, 1);

/// Returns a scenario with a list of `rows` rows, `run` rows for each key. If `run` is 1, rows are in a total order;
/// otherwise ties come in any order.
fn scenario(rows: u32, limit: u32, run: u32, traits: Traits) -> Scenario {
    let width = rows.max(1);
    let ties = if run == 1 { Ties::Ordered } else { Ties::Unordered };
    let row = |index: u32| {
        let keys = [Some(i64::from(index / run)), None];
        RowPlan { id: index, keys, parts: [0; 2], spoilt: None }
    };
    Scenario {
        regime: Regime::InReach,
        shape: Shape {
            strong: vec![Column::plain(Look::Whole, width)],
            id: Column::plain(Look::Whole, width),
            ties: if ties == Ties::Ordered { TieOrder::ById } else { TieOrder::Shuffled },
            declared: ties,
            varied: false,
        },
        rows: (0..rows).map(row).collect(),
        traits,
        client: Client::plain(limit),
        plan: Vec::new(),
    }
}

fn filtered(family: Family, cap: u32, first: Comparisons, either: bool) -> Traits {
    let filters = Filters { columns: vec![first, EVERY], either, both: true, sorts_by_id: false };
    let filtering = Some(Filtering { reads: Reads::AsTold, filters: Arc::new(filters), ignored: false });
    Traits { filtering, ..Traits::plain(family, cap) }
}

fn seeking(mut scenario: Scenario, forgets: u32) -> Scenario {
    (scenario.client.seeks, scenario.client.forgets) = (true, forgets);
    scenario
}

fn counting(mut scenario: Scenario) -> Scenario {
    scenario.traits.total = crate::keyed::traits::Says::Nothing;
    scenario.client.totals = Totals::Count;
    scenario
}

fn cases() -> Vec<(&'static str, Scenario, Bound)> {
    let (offset, page) = (|cap| Traits::plain(Family::Offset, cap), |cap| Traits::plain(Family::Page, cap));
    let sized = |sizes: Sizes, cap: u32, flips: bool| Traits { sizes, flips, ..Traits::plain(Family::Page, cap) };
    let tied = |rows, limit, traits| scenario(rows, limit, 1, traits);
    let listed = Sizes::Listed(vec![10, 25, 50, 100]);
    vec![
        ("offset, limit up to cap - 2", tied(1_003, 20, offset(100)), ONE),
        ("offset, a list of one short page", tied(15, 20, offset(100)), bound(2, 0.0, 0, 2)),
        // The page with its neighbours is wider than an answer.
        ("offset, limit = cap", tied(1_003, 20, offset(20)), bound(2, 2.0, 2, 2)),
        ("offset, loose ties", scenario(1_003, 20, 5, offset(100)), bound(1, 1.05, 2, 2)),
        ("offset, loose ties, 40 to a key", scenario(4_003, 100, 40, offset(500)), bound(2, 1.05, 2, 2)),
        ("page, loose ties, 40 to a key", scenario(4_003, 100, 40, page(500)), bound(2, 1.05, 2, 2)),
        ("page, cap of 5 limits", tied(1_003, 20, page(100)), ONE),
        ("page, cap of 2.5 limits", tied(1_003, 20, page(50)), ONE),
        ("page, cap of 2 limits", tied(1_003, 20, page(40)), bound(1, 1.2, 2, 2)),
        ("page, limit = cap", tied(1_003, 20, page(20)), bound(2, 2.2, 3, 3)),
        // All four sizes divide 100, so no page contains a seam there, and the seam takes another request.
        ("page, sizes 10, 25, 50, 100", tied(1_003, 20, sized(listed, 100, false)), bound(1, 1.6, 3, 6)),
        ("page, fixed size = limit, flipped", tied(1_003, 20, sized(Sizes::Fixed(20), 20, true)), bound(1, 3.0, 3, 4)),
        (
            "page, fixed size = limit, read again",
            tied(1_003, 20, sized(Sizes::Fixed(20), 20, false)),
            bound(1, 3.0, 3, 4),
        ),
        (
            "page, fixed size that divides the total",
            tied(1_000, 20, sized(Sizes::Fixed(20), 20, true)),
            bound(1, 3.0, 3, 5),
        ),
        ("keyset, inclusive", tied(1_003, 20, filtered(Family::Offset, 100, INCLUSIVE, false)), ONE),
        ("keyset, inclusive, by page", tied(1_003, 20, filtered(Family::Page, 100, INCLUSIVE, false)), ONE),
        (
            "keyset, inclusive, loose ties",
            scenario(1_003, 20, 5, filtered(Family::Offset, 100, INCLUSIVE, false)),
            bound(1, 1.05, 2, 2),
        ),
        (
            "keyset, inclusive, 40 to a key",
            scenario(4_003, 100, 40, filtered(Family::Offset, 500, INCLUSIVE, false)),
            bound(2, 1.05, 2, 2),
        ),
        ("keyset, alternatives", tied(1_003, 20, filtered(Family::Offset, 100, LEGS, true)), ONE),
        ("keyset, exclusive", tied(1_003, 20, filtered(Family::Offset, 100, LEGS, false)), bound(1, 2.0, 2, 2)),
        ("seek, remembered", seeking(tied(1_003, 20, offset(100)), 0), ONE),
        // The item of the cursor is looked up before its page.
        ("seek, forgotten", seeking(tied(1_003, 20, offset(100)), 1), bound(1, 2.0, 2, 3)),
        ("total by a request of its own", counting(tied(1_003, 20, offset(100))), bound(2, 2.0, 2, 7)),
    ]
}

/// Row: A20
#[test]
fn pages_take_at_most_the_requests_in_the_table() {
    println!(
        "{:42} {:>6} {:>7} {:>6} {:>6} {:>12}",
        "without drift, requests per page", "first", "later", "worst", "last", "rows read"
    );
    let mut beyond = Vec::new();
    for (name, scenario, most) in cases() {
        let Outcome { costs, refusal, violation, rows_read, rows_served, .. } = walk(&scenario, false);
        if refusal.is_some() || violation.is_some() {
            beyond.push(format!("{name}: {refusal:?} {violation:?}"));
            continue;
        }
        let (Some(first), Some(last)) = (costs.first().copied(), costs.last().copied()) else { continue };
        let later = costs.get(1..costs.len().saturating_sub(1)).unwrap_or_default();
        let average = f64::from(later.iter().sum::<u32>()) / later.len().max(1) as f64;
        let worst = later.iter().max().copied().unwrap_or(0);
        let share = rows_read as f64 / rows_served.max(1) as f64;
        println!("{name:42} {first:>6} {average:>7.2} {worst:>6} {last:>6} {share:>10.2} x");
        let last_most = if costs.len() == 1 { most.first } else { most.last };
        if first > most.first || average > most.later || worst > most.worst || last > last_most {
            beyond.push(format!("{name}: {first}, {average:.2} (at worst {worst}), {last}, more than {most:?}"));
        }
    }
    assert!(beyond.is_empty(), "costs more than the table says: {beyond:#?}");
}
