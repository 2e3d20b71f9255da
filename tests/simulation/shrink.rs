//! Makes a walk small: less of everything, as long as the same comes of it.

use crate::{
    client::Style,
    scenario::Scenario,
    upstream::{Counts, Echoes, More, Says},
    values::Look,
    walk::{Outcome, walk},
};

/// The most walks that one shrinking may take.
const ATTEMPTS: u32 = 4_000;

/// The smallest scenario found of which the same can be said.
pub(crate) fn shrink(scenario: &Scenario, same: impl Fn(&Outcome) -> bool) -> Scenario {
    let mut best = scenario.clone();
    let mut attempts = 0;
    loop {
        let mut progressed = false;
        for candidate in smaller(&best) {
            attempts += 1;
            if attempts > ATTEMPTS {
                return best;
            }
            if same(&walk(&candidate, false)) {
                best = candidate;
                progressed = true;
                break;
            }
        }
        if !progressed {
            return best;
        }
    }
}

/// Scenarios that are smaller in one respect, the boldest first.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if format!("{candidate:?}") != format!("{scenario:?}") {
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
    if let Style::Wander { choices } = &scenario.client.style {
        for part in chunks(choices.len()) {
            with(&|it| {
                if let Style::Wander { choices } = &mut it.client.style {
                    drop(choices.drain(part.clone()));
                }
            });
        }
    }
    with(&|it| it.client.limits.truncate(1));
    with(&|it| it.client.limits = it.client.limits.iter().map(|limit| (limit / 2).max(1)).collect());
    with(&|it| it.client.style = Style::Forward { looks_back: false });
    with(&|it| it.client.forgets = 0);
    with(&|it| it.traits.echoes = Echoes::Nothing);
    with(&|it| it.traits.total = Says::Nothing);
    with(&|it| it.traits.more = More::Nothing);
    with(&|it| it.traits.counts = Counts::Together);
    with(&|it| it.traits.outages = 0);
    with(&|it| it.traits.lags = false);
    with(&|it| it.traits.ceiling = None);
    with(&|it| it.traits.reorders = false);
    with(&|it| it.shape.varied = false);
    with(&|it| it.shape.id.look = Look::Whole);
    with(&|it| it.shape.strong.truncate(1));
    with(&|it| it.shape.strong.clear());
    for index in 0..scenario.shape.strong.len() {
        with(&|it| it.shape.strong[index].look = Look::Whole);
        with(&|it| it.shape.strong[index].inferred = false);
        with(&|it| it.shape.strong[index].descending = false);
        with(&|it| it.shape.strong[index].grain = 1);
    }
    with(&|it| it.shape.id.descending = false);
    candidates
}

/// The whole, its halves, quarters and so on down to single places.
fn chunks(length: usize) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut size = length;
    while size > 0 {
        ranges.extend((0..length).step_by(size).map(|from| from..(from + size).min(length)));
        size /= 2;
    }
    ranges
}
