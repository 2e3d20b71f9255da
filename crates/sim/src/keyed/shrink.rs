//! Smaller variants of scenarios of lists whose order is declared.

use std::sync::Arc;

use cursorgate_core::pagination::{
    order::{Grain, Nulls},
    resolver::{ShortPages, Totals, Verify, WhenUnproven},
};

use crate::{
    keyed::{
        client::Style,
        row::TieOrder,
        scenario::Scenario,
        traits::{Counts, Cuts, Echoes, Lag, More, Outage, Past, Reads, Says, Sticky},
        values::Look,
        world::Mutation,
    },
    shrink::chunks,
};

/// Returns scenarios that are smaller in one respect, the largest steps first. Scenarios whose dialect would become
/// untrue are left out, unless a lie is planted.
pub(crate) fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        let told = candidate.traits.lie.is_some() || candidate.traits.is_as_declared();
        if told && candidate != *scenario {
            candidates.push(candidate);
        }
    };
    with(&|it| it.plan.clear());
    for part in chunks(scenario.rows.len()) {
        with(&|it| drop(it.rows.drain(part.clone())));
    }
    for part in chunks(scenario.plan.len()) {
        with(&|it| it.plan[part.clone()].iter_mut().for_each(Vec::clear));
    }
    for (tick, due) in scenario.plan.iter().enumerate().filter(|(_, due)| due.len() > 1) {
        for index in 0..due.len() {
            with(&|it| {
                let _ = it.plan[tick].remove(index);
            });
        }
    }
    for (tick, due) in scenario.plan.iter().enumerate() {
        for index in 0..due.len() {
            with(&|it| match &mut it.plan[tick][index] {
                Mutation::Flood { count, .. } | Mutation::Purge { count, .. } => *count /= 2,
                _ => {}
            });
        }
    }
    if let Style::Wander { choices } = &scenario.client.style {
        for part in chunks(choices.len()) {
            with(&|it| {
                if let Style::Wander { choices } = &mut it.client.style {
                    drop(choices.drain(part.clone()));
                }
            });
        }
    }
    simplify_client(&mut with);
    simplify_traits(&mut with);
    simplify_shape(&mut with, scenario.shape.strong.len());
    candidates
}

fn simplify_shape(with: &mut impl FnMut(&dyn Fn(&mut Scenario)), columns: usize) {
    with(&|it| it.shape.varied = false);
    with(&|it| it.shape.id.look = Look::Whole);
    with(&|it| it.shape.strong.truncate(1));
    with(&|it| it.shape.strong.clear());
    for index in 0..columns {
        with(&|it| {
            let column = &mut it.shape.strong[index];
            column.look = Look::Whole;
            column.unit = column.unit.map(|_| Grain::Digits(0));
        });
        with(&|it| it.shape.strong[index].inferred = false);
        with(&|it| it.shape.strong[index].descending = false);
        with(&|it| (it.shape.strong[index].grain, it.shape.strong[index].unit) = (1, None));
        with(&|it| it.shape.strong[index].nulls = Nulls::None);
    }
    with(&|it| it.shape.id.descending = false);
    with(&|it| it.shape.ties = TieOrder::ById);
    with(&|it| it.rows.iter_mut().for_each(|row| (row.parts, row.spoilt) = ([0; 2], None)));
}

fn simplify_client(with: &mut impl FnMut(&dyn Fn(&mut Scenario))) {
    with(&|it| it.client.limits.truncate(1));
    with(&|it| it.client.limits = it.client.limits.iter().map(|limit| (limit / 2).max(1)).collect());
    with(&|it| it.client.style = Style::Forward { looks_back: false });
    with(&|it| it.client.forgets = 0);
    with(&|it| it.client.replicas = 1);
    with(&|it| it.client.seeks = false);
    with(&|it| it.client.loses_hints = 0);
    with(&|it| it.client.verify = Verify::Always);
    with(&|it| it.client.unproven = WhenUnproven::Refuse);
    with(&|it| it.client.short_pages = ShortPages::Refuse);
    with(&|it| it.client.totals = Totals::Upstream);
}

fn simplify_traits(with: &mut impl FnMut(&dyn Fn(&mut Scenario))) {
    with(&|it| it.traits.filtering = None);
    with(&|it| it.traits.flips = false);
    with(&|it| it.traits.echoes = Echoes::Nothing);
    with(&|it| it.traits.total = Says::Nothing);
    with(&|it| it.traits.more = More::Nothing);
    with(&|it| it.traits.counts = Counts::Together);
    with(&|it| it.traits.outage = Outage::Never);
    with(&|it| it.traits.lag = Lag::Never);
    with(&|it| it.traits.other_caps.clear());
    with(&|it| it.traits.filtered_cap = None);
    with(&|it| it.traits.cuts = Cuts::Never);
    with(&|it| it.traits.sticky = Sticky::Nothing);
    with(&|it| it.traits.off = it.traits.off.signum());
    with(&|it| it.traits.off = 0);
    with(&|it| it.traits.mistakes_items = false);
    with(&|it| {
        if let Some(filtering) = &mut it.traits.filtering {
            filtering.reads = Reads::AsTold;
        }
    });
    with(&|it| it.traits.ceiling = None);
    with(&|it| it.traits.reorders = false);
    with(&|it| it.traits.caps.truncate(1));
    with(&|it| it.traits.surplus = 0);
    with(&|it| it.traits.hidden = 0);
    with(&|it| (it.traits.past, it.traits.repeats) = (Past::Empty, false));
    for either in [true, false] {
        with(&|it| {
            if let Some(filtering) = &mut it.traits.filtering {
                let mut filters = (*filtering.filters).clone();
                *(if either { &mut filters.either } else { &mut filters.both }) = false;
                filters.sorts_by_id &= either;
                filtering.filters = Arc::new(filters);
            }
        });
    }
}
