//! Draws scenarios from seeds: first the shape of the keys, then the upstream, the client, the rows and their changes.

mod client;
mod deceit;
mod filters;
mod plan;
mod shape;
mod unsaid;
mod upstream;

use cursorgate_core::pagination::{paging::Family, rules::Rule};

use unsaid::Unsaid;

use crate::{
    dice::Dice,
    keyed::{
        broken::Lie,
        row::{RowPlan, Shape, Spoilt},
        scenario::{Focus, Regime, Scenario},
        traits::Counts,
        values::{Column, Look},
    },
};

/// The first choices for a scenario, on which all other choices depend.
#[derive(Clone, Copy, Debug)]
struct Draft {
    focus: Focus,
    wild: bool,
    /// True if the endpoint has range filters.
    keyed: bool,
    /// True if cursors contain ids in place of keys.
    seeks: bool,
    limit: u32,
    /// The number of rows that come or go at once between two early pages; `None` if no such change happens.
    drift: Option<u32>,
    /// True if hundreds of rows share one to three values of the first key.
    crowd: bool,
    /// The behaviour that the dialect does not declare, in the regime `Unsaid`.
    unsaid: Option<Unsaid>,
}

impl Draft {
    fn lie(&self) -> Option<Lie> {
        if let Focus::Lie(lie) = self.focus { Some(lie) } else { None }
    }

    fn rule(&self) -> Option<Rule> {
        if let Focus::Rule(rule) = self.focus { Some(rule) } else { None }
    }

    /// Returns whether any world may be drawn. Otherwise it must suit the lie or the rule.
    fn is_free(&self) -> bool {
        matches!(self.focus, Focus::Any(_))
    }
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let regime = match dice.below(100) {
            0..=54 => Regime::InReach,
            55..=79 => Regime::Wild,
            _ => Regime::Unsaid,
        };
        Self::draw(&mut dice, Focus::Any(regime))
    }

    /// Returns a scenario in which this lie can break a promise.
    pub(crate) fn with_lie(seed: u64, lie: Lie) -> Self {
        Self::draw(&mut Dice::new(seed), Focus::Lie(lie))
    }

    /// Returns a scenario in which a core without this rule can break a promise.
    pub(crate) fn with_rule(seed: u64, rule: Rule) -> Self {
        Self::draw(&mut Dice::new(seed), Focus::Rule(rule))
    }

    fn draw(dice: &mut Dice, focus: Focus) -> Self {
        let wild = focus == Focus::Any(Regime::Wild);
        let unsaid = (focus == Focus::Any(Regime::Unsaid)).then(|| Unsaid::draw(dice));
        let keyed = match focus {
            Focus::Any(_) if unsaid.is_some_and(Unsaid::is_of_filters) => true,
            Focus::Any(_) => dice.chance(30),
            Focus::Lie(lie) => lie == Lie::FiltersCompareText,
            Focus::Rule(rule) => rule == Rule::FiltersAreProven,
        };
        let seeks = match focus {
            Focus::Any(_) if unsaid == Some(Unsaid::OtherItem) => true,
            Focus::Any(_) => dice.chance(15),
            Focus::Lie(_) => false,
            Focus::Rule(rule) => rule == Rule::PivotsAreKnownAgain,
        };
        let limit = dice.pick(&[1, 2, 3, 5, 7, 10, 20]);
        // Without these floods, a place would move by 20 rows in only 0.6 % of the walks (`Feature::Drift20`).
        let drift = matches!(focus, Focus::Any(_)).then(|| dice.below(100)).and_then(|roll| match roll {
            0..=29 => Some(22 + dice.below(40)),
            30..=35 => Some((40 * limit).clamp(220, 2_500)),
            _ => None,
        });
        let crowd = matches!(focus, Focus::Any(_)) && limit >= 7 && dice.chance(if keyed { 8 } else { 3 });
        let draft = Draft { focus, wild, keyed, seeks, limit, drift, crowd, unsaid };
        let shape = shape::draw(dice, &draft);
        let mut count = dice.pick(&[0, 1, 2, 3, 5, 8, 13, 13, 20, 20, 35, 35, 60]);
        if dice.chance(2) {
            count = 150;
        }
        // Only lists of several pages show a lie or a broken rule.
        if !draft.is_free() {
            count = count.max(13);
        }
        // The rows before the drift must fill several pages.
        if drift.is_some() {
            count = count.max(4 * limit + 2);
        }
        if crowd {
            count = dice.pick(&[200, 300, 500]);
        }
        let mut traits = upstream::draw(dice, &draft, &shape);
        let changes = !draft.is_free() || drift.is_some() || dice.chance(50);
        if !changes && traits.counts != Counts::Together && dice.chance(50) {
            traits.counts = Counts::Together;
        }
        let roomy = match traits.family {
            Family::Offset => traits.least_cap() >= limit + 12,
            _ => 2 * traits.least_cap() >= 5 * (limit + 12),
        };
        let client = client::draw(dice, &draft, changes, traits.least_cap());
        let spoils = wild && dice.chance(4);
        let rows = (0..count).map(|_| draw_row(dice, &shape, spoils)).collect();
        let plan = if changes { plan::draw(dice, &draft, &shape, count, roomy) } else { Vec::new() };
        let regime = if let Focus::Any(regime) = focus { regime } else { Regime::InReach };
        // A dialect with an untrue declaration that isn't a planted lie would make any page wrong.
        debug_assert!(traits.lie.is_some() || traits.is_as_declared(), "{traits:?}");
        Self { regime, shape, rows, traits, client, plan }
    }
}

fn draw_row(dice: &mut Dice, shape: &Shape, spoils: bool) -> RowPlan {
    let mut plan = RowPlan { id: dice.below(shape.id.width), keys: [None; 2], parts: [0; 2], spoilt: None };
    for (index, column) in shape.strong.iter().enumerate() {
        let null = column.has_nulls() && dice.chance(12);
        plan.keys[index] = (!null).then(|| i64::from(dice.below(column.width)));
        plan.parts[index] = dice.below(column.grain);
    }
    // Opaque values of any kind are compared only for equality, so no value of another type contradicts the order.
    let comparable = |column: &Column| !column.has_nulls() && column.look != Look::Opaque;
    if spoils && dice.chance(5) && shape.strong.first().is_some_and(comparable) {
        plan.spoilt = Some(dice.pick(&[Spoilt::Missing, Spoilt::Object, Spoilt::OtherType, Spoilt::Null]));
    }
    plan
}
