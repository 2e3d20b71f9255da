//! The need of a refusal: the reason in the true world for which no page could be served.
//!
//! A refusal keeps every guarantee, so a core that refuses too much breaks no promise. Refusals without need are
//! counted instead, and `bounds` bounds them. A refusal that names a false cause breaks G6 and is a violation.

use cursorgate_core::pagination::{
    filter::Comparisons,
    paging::{Family, Sizes},
    refusal::Refusal,
};

use crate::keyed::{
    aim::{Aim, Bound},
    cost::is_beyond_budget,
    promises::Violation,
    row::Row,
    traits::{Beyond, Echoes, Past, Says, Sticky, Traits},
    upstream::differ,
    values::Look,
    walk::Walk,
    world::Moment,
};

/// A reason in the true world for which no page could be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// The answers contradict the declared order, or lack its keys.
    Contradicted,
    /// The upstream answered "past the end" at a place that has items.
    Status,
    /// The page lies deeper in the list than the upstream answers.
    Ceiling,
    /// A tie run in any order is longer than an answer can be, or no aligned page shows it whole.
    Run,
    /// The budget would not suffice even if the list did not change.
    Budget,
    /// More rows change between two answers than an answer can hold beside its page.
    Speed,
    /// The answers show different states, and a later answer may show an earlier state.
    Time,
    /// The upstream misstates the slices that it gives, gives more items than were requested, or ignores filters.
    Nonsense,
    /// The item that the cursor names by its id is gone or has changed, and this gateway does not remember its keys.
    Pivot,
    /// The cursor's row has an opaque key, and is gone or spelt otherwise. Its place is then unknown.
    Opaque,
    /// The upstream does not behave as its dialect declares, and its answers don't show that (`Traits::deceives`).
    Deceived,
}

impl Walk<'_> {
    /// Returns the need of a refusal; `None` if the world gave no reason. `answered` is the number of answers before
    /// the refusal.
    ///
    /// # Errors
    ///
    /// Returns a violation if the cause that the refusal names can't be true in this world. Examples: the list is
    /// refused as unsorted although every answer is in order, or for a tie run although ties are ordered.
    pub(crate) fn need(
        &self,
        refusal: &Refusal,
        aim: &Aim,
        limit: u32,
        answered: u32,
    ) -> Result<Option<Need>, Violation> {
        let (scenario, traits) = (self.scenario, &self.scenario.traits);
        let truthful = traits.lie.is_none();
        let still = self.upstream.passed.len() == 1;
        let ignored = traits.filtering.as_ref().is_some_and(|filtering| filtering.ignored);
        let pinned = matches!(traits.sticky, Sticky::Pinned(_) | Sticky::OnTop(_));
        // If one of two replicas lags, their answers contradict each other, like the answers of a list that is out of
        // order.
        let replicas = traits.lags() && differ(&self.upstream.shown);
        let contradicted = !truthful || pinned || self.is_contradicted();
        let deceives = traits.deceives();
        let dishonest = match refusal {
            Refusal::Unsorted(_) => (!contradicted && !ignored && !replicas).then_some("refused as unsorted"),
            Refusal::NoList => (truthful && !traits.misleads()).then_some("refused as not a list"),
            Refusal::TieRun { .. } => (truthful && scenario.shape.is_orderly()).then_some("refused as tie run"),
            Refusal::TooDeep => (truthful && !traits.misleads() && still && !traits.lags() && !deceives)
                .then_some("refused as too deep"),
            // If the upstream repeats its last page without declaring that, a list of one page seems to ignore its
            // parameters.
            Refusal::Stuck => {
                let told = (traits.past != Past::Repeat || traits.repeats) && traits.echoes != Echoes::Nonsense;
                (truthful && still && !traits.lags() && !ignored && told && !deceives).then_some("refused as stuck")
            }
            Refusal::PivotGone { .. } => (!scenario.client.seeks).then_some("refused as pivot gone"),
            Refusal::TokenGone | Refusal::Unsupported | Refusal::EndContradicted { .. } => {
                Some("refused as another mode")
            }
            Refusal::PositionLost { .. } | Refusal::BudgetExceeded => None,
        };
        if let Some(promise) = dishonest {
            return Err(Violation { promise, what: format!("{refusal:?}, where there is no cause") });
        }
        if contradicted {
            return Ok(Some(Need::Contradicted));
        }
        if let Some(need) = self.troubles(aim, limit, ignored) {
            return Ok(Some(need));
        }
        let some_state = |holds: &dyn Fn(&Moment) -> bool| self.upstream.passed.iter().any(|state| holds(state));
        let bound = aim.bound;
        Ok(match refusal {
            Refusal::PivotGone { .. } => self.pivot_changed(aim).then_some(Need::Pivot),
            _ if some_state(&|state| self.has_long_run(state, bound, limit)) => Some(Need::Run),
            _ if some_state(&|state| is_beyond_budget(scenario, aim, bound, state, limit)) => Some(Need::Budget),
            Refusal::PositionLost { .. } if self.is_blind(aim) => Some(Need::Opaque),
            _ if deceives => Some(Need::Deceived),
            Refusal::BudgetExceeded if answered == 0 => Some(Need::Budget),
            _ => None,
        })
    }

    /// Returns the first obstacle to serving a page, whatever cause the refusal names.
    fn troubles(&self, aim: &Aim, limit: u32, ignored: bool) -> Option<Need> {
        let traits = &self.scenario.traits;
        let shown = &self.upstream.shown;
        if shown.iter().any(|showing| showing.hoax) {
            return Some(if traits.ceiling.is_some() { Need::Ceiling } else { Need::Status });
        }
        if let Some(ceiling) = traits.ceiling {
            // The core requests nothing beyond a declared depth, so no answer shows this obstacle.
            let hint = aim.target.hint.offset.0;
            let deepest = self.upstream.passed.iter().map(|state| deepest(state, aim.bound)).max().unwrap_or(0);
            let reach = u64::from(limit) + 2;
            if deepest.max(hint) + reach > ceiling.at || ceiling.beyond == Beyond::Truncates {
                return Some(Need::Ceiling);
            }
        }
        if traits.lags() && differ(shown) {
            return Some(Need::Time);
        }
        if traits.surplus > 0 || traits.echoes == Echoes::Nonsense || ignored {
            return Some(Need::Nonsense);
        }
        let spare = u64::from(traits.least_cap().saturating_sub(limit + 2));
        // After a single change, the next answer shows its result, and the core can continue. Several changes between
        // two requests leave no such answer.
        (self.upstream.passed.len() > 2 && self.upstream.burst * 2 > spare).then_some(Need::Speed)
    }

    fn is_contradicted(&self) -> bool {
        let has_twins = || self.scenario.has_twins() && self.upstream.passed.iter().any(|state| state.has_twins());
        !self.scenario.rows_are_sound() || has_twins()
    }

    /// Returns whether the item that the cursor names can't be looked up as it was served: it is gone, it has another
    /// version, or the upstream's resources of items are missing or wrong.
    fn pivot_changed(&self, aim: &Aim) -> bool {
        let Some(place) = aim.bound.place() else { return true };
        let served: Vec<&std::rc::Rc<Row>> =
            self.upstream.world.registry.iter().filter(|row| row.place == place).collect();
        let same = |state: &Moment| {
            // Another version may spell its keys otherwise, and then has another fingerprint.
            state
                .rows()
                .iter()
                .any(|row| row.place == place && served.first().is_some_and(|old| old.serial == row.serial))
        };
        !self.scenario.traits.has_items
            || self.scenario.traits.mistakes_items
            || served.len() > 1
            || !self.upstream.passed.iter().all(|state| same(state))
    }

    /// Returns whether the cursor's place depends on an opaque key, and its row is gone or has another version. Rows
    /// beside the place may then have an equal key in another spelling, and no answer shows on which side of the place
    /// they are.
    fn is_blind(&self, aim: &Aim) -> bool {
        let opaque = self.shape.strong.iter().any(|column| column.look == Look::Opaque);
        let Some(place) = aim.bound.place().filter(|_| opaque) else { return false };
        // Another version may spell the key otherwise.
        let versions = self.upstream.world.registry.iter().filter(|row| row.place == place).count();
        versions > 1 || !self.upstream.passed.iter().all(|state| state.holds(place))
    }

    /// Returns whether a run of ties in any order that the page may touch can't be shown whole by any answer.
    fn has_long_run(&self, state: &Moment, bound: Bound, limit: u32) -> bool {
        if self.shape.is_orderly() {
            return false;
        }
        if self.scenario.traits.hidden > 0 && self.scenario.traits.total != Says::Exactly {
            // Where neither an answer nor a count shows the end of the list, a run before hidden rows has no visible
            // end.
            return true;
        }
        let (rows, keys) = (state.raw(), self.shape.run_keys());
        let reach = limit as usize * if self.scenario.traits.hidden > 0 { 3 } else { 1 } + 1;
        let at = match bound {
            Bound::Start => 0,
            Bound::End => rows.len(),
            Bound::At(offset) => (offset as usize).min(rows.len()),
            Bound::After(place) | Bound::Before(place) => rows.partition_point(|row| row.place < place),
        };
        let near = match bound.is_forward() {
            true => at.saturating_sub(1)..(at + reach + 1).min(rows.len()),
            false => at.saturating_sub(reach + 1)..(at + 1).min(rows.len()),
        };
        let mut from = near.start;
        while from < near.end {
            let same = |row: &std::rc::Rc<Row>| row.place[..keys] == rows[from].place[..keys];
            let begins = rows[..from].iter().rposition(|row| !same(row)).map_or(0, |index| index + 1);
            let ends = rows[from..].iter().position(|row| !same(row)).map_or(rows.len(), |index| from + index);
            // If the upstream repeats its last page past the end, and no total shows which page that is, more ties may
            // follow the ties at the end of the list.
            let traits = &self.scenario.traits;
            let endless = ends == rows.len() && traits.past == Past::Repeat && traits.total != Says::Exactly;
            if endless || !self.can_show(begins, ends, rows.len(), &rows[begins]) {
                return true;
            }
            from = ends.max(from + 1);
        }
        false
    }

    /// Returns whether the run at the offsets `begins..ends` can be shown whole: by filters on its keys, or by one
    /// answer that has a row (or the end of the list) on each side of it.
    fn can_show(&self, begins: usize, ends: usize, length: usize, row: &Row) -> bool {
        let traits = &self.scenario.traits;
        let cap = traits.least_cap().min(traits.declared_cap().unwrap_or(u32::MAX)) as usize;
        let run = ends - begins;
        if let Some(filtering) = &traits.filtering {
            let (filters, keys) = (&filtering.filters, self.shape.run_keys());
            let known: Vec<Comparisons> = filters.columns.iter().take(keys).copied().collect();
            // Exclusive comparisons are needed to continue after the run.
            let beyond = |key: usize| known[key].less && known[key].greater;
            let legs = (0..keys).all(|key| match row.plan.keys[key] {
                None => known[key].nulls,
                Some(_) => known[key].equal && beyond(key),
            });
            if legs && (keys == 1 || filters.both) && filters.sorts_by_id && run + 2 < cap {
                return true;
            }
        }
        // The window is the run with one row on each side, or with the place after the end of the list.
        let (from, to) = (begins.saturating_sub(1), ends + 1);
        shows(traits, from, to, cap)
            || (traits.flips && shows(traits, length.saturating_sub(ends + 1), length - begins + 1, cap))
    }
}

/// Returns whether one answer can hold the list's offsets `from..to`.
fn shows(traits: &Traits, from: usize, to: usize, cap: usize) -> bool {
    let holds = |size: usize| match traits.family {
        Family::Offset => to - from <= size,
        _ => size > 0 && from / size == (to - 1) / size,
    };
    match &traits.sizes {
        Sizes::Free { .. } if traits.family == Family::Offset => holds(cap),
        Sizes::Free { least, .. } => (*least as usize..=cap).any(holds),
        Sizes::Listed(sizes) => sizes.iter().any(|&size| size as usize <= cap && holds(size as usize)),
        Sizes::Fixed(size) => holds(*size as usize),
    }
}

/// Returns the greatest offset at which a page with this bound may begin.
fn deepest(state: &Moment, bound: Bound) -> u64 {
    let rows = state.raw();
    match bound {
        Bound::Start => 0,
        Bound::End => rows.len() as u64,
        Bound::At(offset) => offset,
        Bound::After(place) | Bound::Before(place) => rows.partition_point(|row| row.place <= place) as u64,
    }
}
