//! The reason for a refusal in the true world, and the honesty of the refusal.

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

/// The reason for which no page could be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// The answers contradict the declared order, or lack its keys.
    Contradicted,
    /// The upstream answered "past the end" at a place that has items.
    Status,
    /// The upstream answers no deeper.
    Ceiling,
    /// A run of ties is longer than an answer can be, or no aligned page shows it closed.
    Run,
    /// The budget can't suffice, even if the list does not change.
    Budget,
    /// The list changes by more in one answer than an answer has to spare.
    Speed,
    /// Answers go back in time.
    Time,
    /// The upstream's claims about its answers, or the number of items, are nonsense.
    Nonsense,
    /// The pivot is gone or has changed, and the replica that served it is not asked.
    Pivot,
    /// A row with an opaque key is gone: its place may be unknown.
    Opaque,
    /// The upstream's answers differ from its dialect.
    Deceived,
}

impl Walk<'_> {
    /// Returns the reason that made a refusal necessary; `None` if there was none. A refusal with a false claim breaks
    /// a promise.
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
        let pinned = matches!(traits.sticky, Sticky::Pinned(_));
        // A replica that lags contradicts the other whenever both are asked, as a list that is out of order does.
        let replicas = traits.lags() && differ(&self.upstream.shown);
        let contradicted = !truthful || pinned || self.is_contradicted();
        let deceives = traits.deceives();
        let dishonest = match refusal {
            Refusal::Unsorted(_) => (!contradicted && !ignored && !replicas).then_some("refused as unsorted"),
            Refusal::NoList => (truthful && !traits.misleads()).then_some("refused as no list"),
            Refusal::TieRun { .. } => (truthful && scenario.shape.is_orderly()).then_some("refused as tie run"),
            Refusal::TooDeep => (truthful && !traits.misleads() && still && !traits.lags() && !deceives)
                .then_some("refused as too deep"),
            // A list of one page whose end comes again without a sign looks as if its paging were ignored.
            Refusal::Stuck => {
                let told = (traits.past != Past::Repeat || traits.repeats) && traits.echoes != Echoes::Nonsense;
                (truthful && still && !traits.lags() && !ignored && told && !deceives).then_some("refused as stuck")
            }
            Refusal::PivotGone { .. } => (!scenario.client.seeks).then_some("refused as pivot gone"),
            Refusal::TokenGone | Refusal::Unsupported => Some("refused as another mode"),
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

    /// Returns the obstacle to any page.
    fn troubles(&self, aim: &Aim, limit: u32, ignored: bool) -> Option<Need> {
        let traits = &self.scenario.traits;
        let shown = &self.upstream.shown;
        if shown.iter().any(|showing| showing.hoax) {
            return Some(if traits.ceiling.is_some() { Need::Ceiling } else { Need::Status });
        }
        if let Some(ceiling) = traits.ceiling {
            // A declared limit is not passed, so no status shows it.
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
        // A single change can be waited for: the next request sees its result.
        (self.upstream.passed.len() > 2 && self.upstream.burst * 2 > spare).then_some(Need::Speed)
    }

    fn is_contradicted(&self) -> bool {
        let has_twins = || self.scenario.has_twins() && self.upstream.passed.iter().any(|state| state.has_twins());
        !self.scenario.rows_are_sound() || has_twins()
    }

    /// Returns whether the item that the cursor names is not as it was served.
    fn pivot_changed(&self, aim: &Aim) -> bool {
        let Some(place) = aim.bound.place() else { return true };
        let served: Vec<&std::rc::Rc<Row>> =
            self.upstream.world.registry.iter().filter(|row| row.place == place).collect();
        let same = |state: &Moment| {
            // Another version spells its keys differently, and has another fingerprint.
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

    /// Returns whether an opaque key names the cursor's place, and its row is not there as it was: the rows beside it
    /// may be equal to it in another spelling.
    fn is_blind(&self, aim: &Aim) -> bool {
        let opaque = self.shape.strong.iter().any(|column| column.look == Look::Opaque);
        let Some(place) = aim.bound.place().filter(|_| opaque) else { return false };
        // Another version may spell the value differently.
        let versions = self.upstream.world.registry.iter().filter(|row| row.place == place).count();
        versions > 1 || !self.upstream.passed.iter().all(|state| state.holds(place))
    }

    /// Returns whether a run of ties near the page can't be shown whole.
    fn has_long_run(&self, state: &Moment, bound: Bound, limit: u32) -> bool {
        if self.shape.is_orderly() {
            return false;
        }
        if self.scenario.traits.hidden > 0 && self.scenario.traits.total != Says::Exactly {
            // If neither an answer nor a count shows where the list ends, a run beside hidden rows may go on for ever.
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
            // If the last page comes again, and no total tells which one it is, ties at the end may be others.
            let traits = &self.scenario.traits;
            let endless = ends == rows.len() && traits.past == Past::Repeat && traits.total != Says::Exactly;
            if endless || !self.can_show(begins, ends, rows.len(), &rows[begins]) {
                return true;
            }
            from = ends.max(from + 1);
        }
        false
    }

    /// Returns whether the run `[begins, ends)` of a list can be shown with the rows beside it.
    fn can_show(&self, begins: usize, ends: usize, length: usize, row: &Row) -> bool {
        let traits = &self.scenario.traits;
        let cap = traits.least_cap().min(traits.declared_cap().unwrap_or(u32::MAX)) as usize;
        let run = ends - begins;
        if let Some(filtering) = &traits.filtering {
            let (filters, keys) = (&filtering.filters, self.shape.run_keys());
            let known: Vec<Comparisons> = filters.columns.iter().take(keys).copied().collect();
            // The items after a value are known only for exclusive comparisons.
            let beyond = |key: usize| known[key].less && known[key].greater;
            let legs = (0..keys).all(|key| match row.plan.keys[key] {
                None => known[key].nulls,
                Some(_) => known[key].equal && beyond(key),
            });
            if legs && (keys == 1 || filters.both) && filters.sorts_by_id && run + 2 < cap {
                return true;
            }
        }
        // The window: the run, and one row beside it on each side, or the place after the end.
        let (from, to) = (begins.saturating_sub(1), ends + 1);
        shows(traits, from, to, cap)
            || (traits.flips && shows(traits, length.saturating_sub(ends + 1), length - begins + 1, cap))
    }
}

/// Returns whether one request can hold a window.
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

/// Returns the offset at which a page begins or ends that has this bound.
fn deepest(state: &Moment, bound: Bound) -> u64 {
    let rows = state.raw();
    match bound {
        Bound::Start => 0,
        Bound::End => rows.len() as u64,
        Bound::At(offset) => offset,
        Bound::After(place) | Bound::Before(place) => rows.partition_point(|row| row.place <= place) as u64,
    }
}
