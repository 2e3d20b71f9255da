//! Smaller variants of scenarios with a cache.

use super::scenario::Scenario;
use crate::{
    keyed,
    shrink::{Candidates, chunks},
};

/// Returns scenarios that are smaller in one respect, the largest steps first.
pub(crate) fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Candidates::new(scenario);
    for part in chunks(scenario.events.len()) {
        all.with(|it| drop(it.events.drain(part)));
    }
    for walker in 0..scenario.walkers.len() {
        all.with(|it| it.walkers.retain(|other| *other != scenario.walkers[walker]));
        all.with(|it| it.walkers[walker].filtered = false);
        all.with(|it| it.walkers[walker].backward = false);
        all.with(|it| it.walkers[walker].by_items = false);
        all.with(|it| it.walkers[walker].limit = it.walkers[walker].limit.div_ceil(2));
    }
    all.with(|it| it.settings.prefetch = false);
    all.with(|it| it.settings.loses = 0);
    all.with(|it| it.settings.fails = 0);
    all.with(|it| it.settings.writes = 0);
    all.with(|it| it.settings.processes = 1);
    all.with(|it| it.settings.if_error = 0);
    all.with(|it| it.settings.while_revalidate = 0);
    let lists = keyed::shrink::smaller(&scenario.list).into_iter();
    all.found.extend(lists.map(|list| Scenario { list, ..scenario.clone() }));
    all.found
}
