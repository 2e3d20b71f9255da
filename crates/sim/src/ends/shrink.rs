//! Smaller variants of scenarios of lists that end.

use super::{
    facts::Past,
    scenario::{Cuts, Mode, Scenario},
};
use crate::shrink::{Candidates, chunks};

/// Returns scenarios that are smaller in one respect, the largest steps first.
pub(crate) fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Candidates::new(scenario);
    all.with(|it| it.plan.clear());
    for part in chunks(scenario.plan.len()) {
        all.with(|it| drop(it.plan.drain(part.clone())));
        all.with(|it| it.plan[part].fill(None));
    }
    for part in chunks(scenario.rows.len()) {
        all.with(|it| drop(it.rows.drain(part.clone())));
        all.with(|it| it.rows[part].fill(true));
    }
    all.with(|it| it.limit = 1);
    all.with(|it| it.limit /= 2);
    all.with(|it| it.facts.total = None);
    all.with(|it| it.facts.flag = None);
    all.with(|it| it.facts.past = Past::Empty);
    all.with(|it| it.window = None);
    all.with(|it| it.window = it.window.map(|window| window / 2));
    all.with(|it| it.lapse = None);
    all.with(|it| it.lapse = it.lapse.map(|lapse| (lapse / 2).max(1)));
    all.with(|it| it.cuts = Cuts::Never);
    all.with(|it| {
        if let Cuts::Rows { from, to, .. } = &mut it.cuts {
            (*from, *to) = (*from / 2, (*to).max(*from + 1));
        }
    });
    all.with(|it| {
        if let Cuts::Rows { to, .. } = &mut it.cuts {
            *to = u32::MAX;
        }
    });
    if scenario.mode == Mode::Exclusive {
        all.with(|it| it.mode = Mode::Keyset);
    }
    all.found.retain(|it| it.limit > 0);
    all.found
}
