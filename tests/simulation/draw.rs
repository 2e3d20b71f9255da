//! Scenarios from seeds.

use cursorgate::pagination::{
    order::{Nulls, Ties},
    paging::{EndEvidence, Family, Sizes},
    resolver::WhenUnproven,
};

use crate::{
    broken::Lie,
    client::{Client, Style},
    dice::Dice,
    scenario::{Regime, Scenario},
    upstream::{Counts, Echoes, More, Past, Says, Traits},
    values::{Column, Look},
    world::{Mutation, RowPlan, Shape, TieOrder, has_nulls},
};

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let regime = if dice.chance(60) { Regime::InReach } else { Regime::Wild };
        Self::draw(&mut dice, regime, None)
    }

    /// A walk in which this lie can do its harm.
    pub(crate) fn with_lie(seed: u64, lie: Lie) -> Self {
        Self::draw(&mut Dice::new(seed), Regime::InReach, Some(lie))
    }

    fn draw(dice: &mut Dice, regime: Regime, lie: Option<Lie>) -> Self {
        let wild = regime == Regime::Wild;
        let shape = draw_shape(dice, wild, lie);
        let count = dice.pick(&[0, 1, 2, 3, 5, 8, 13, 20, 20, 35, 35, 60, 60, 150]);
        let limit = dice.pick(&[1, 2, 3, 5, 7, 10, 20]);
        let mut traits = draw_traits(dice, wild, limit, lie);
        let roomy = match traits.family {
            Family::Offset => traits.cap >= limit + 12,
            Family::Page => 2 * traits.cap >= 5 * (limit + 12),
        };
        let changes = lie.is_some() || (dice.chance(65) && (wild || roomy));
        if !changes && traits.counts != Counts::Together && dice.chance(50) {
            traits.counts = Counts::Together;
        }
        let client = draw_client(dice, wild, changes, limit, traits.cap);
        let rows = (0..count).map(|_| draw_row(dice, &shape)).collect();
        let plan = if changes { draw_plan(dice, &shape, wild || lie.is_some(), count, limit) } else { Vec::new() };
        Self { regime, shape, rows, traits, client, plan }
    }
}

fn draw_shape(dice: &mut Dice, wild: bool, lie: Option<Lie>) -> Shape {
    let looks = [
        Look::Whole,
        Look::Decimal,
        Look::Huge,
        Look::Exponent,
        Look::WholeInString,
        Look::Text,
        Look::LongText,
        Look::Datetime,
        Look::Datetime,
        Look::Boolean,
        Look::Uuid,
        Look::Rank,
    ];
    let ties = match lie {
        Some(Lie::TiesAreOrdered) => TieOrder::Shuffled,
        Some(_) => TieOrder::ById,
        None => dice.pick(&[TieOrder::ById, TieOrder::ById, TieOrder::ById, TieOrder::Fixed, TieOrder::Shuffled]),
    };
    // Only the last key can be shown more coarsely than it is sorted: the ones behind it would contradict the order.
    let coarse = lie.is_none() && dice.chance(15);
    let declared = match ties {
        TieOrder::ById if !coarse && !dice.chance(15) => Ties::Ordered,
        _ if lie == Some(Lie::TiesAreOrdered) => Ties::Ordered,
        _ => Ties::Unordered,
    };
    // Whole runs must fit answers, so where ties are closed as runs, they are short except in the wild.
    let long_runs = declared == Ties::Ordered || (wild && dice.chance(30));
    let columns = if lie == Some(Lie::TiesAreOrdered) { 1 } else { dice.pick(&[0, 1, 1, 1, 2]) };
    let strong = (0..columns)
        .map(|index| {
            let look = dice.pick(&looks);
            let short = !long_runs && matches!(look, Look::Boolean | Look::Rank) && index == 0;
            let look = if short { Look::Datetime } else { look };
            let width = if long_runs { dice.pick(&[1, 2, 3, 8, 40, 300]) } else { dice.pick(&[20, 60, 300]) };
            let mut column = Column::plain(look, width.min(Column::most(look)));
            column.inferred = Column::can_be_inferred(look) && dice.chance(30);
            column.descending = dice.chance(50);
            column.nulls =
                dice.pick(&[Nulls::None, Nulls::None, Nulls::Smallest, Nulls::Largest, Nulls::First, Nulls::Last]);
            column.grain = if coarse && index + 1 == columns { dice.pick(&[1, 10, 1000]) } else { 1 };
            column
        })
        .collect();
    let mut id = Column::plain(
        dice.pick(&[Look::Whole, Look::Whole, Look::Huge, Look::WholeInString, Look::Text, Look::Uuid]),
        3_000,
    );
    id.inferred = Column::can_be_inferred(id.look) && dice.chance(30);
    id.descending = dice.chance(25);
    Shape { strong, id, ties, declared, varied: dice.chance(50) }
}

fn draw_row(dice: &mut Dice, shape: &Shape) -> RowPlan {
    let mut plan = RowPlan { id: dice.below(shape.id.width), keys: [None; 2], parts: [0; 2] };
    for (index, column) in shape.strong.iter().enumerate() {
        let null = has_nulls(column) && dice.chance(8);
        plan.keys[index] = (!null).then(|| i64::from(dice.below(column.width)));
        plan.parts[index] = dice.below(column.grain);
    }
    plan
}

fn draw_traits(dice: &mut Dice, wild: bool, limit: u32, lie: Option<Lie>) -> Traits {
    let family = dice.pick(&[Family::Offset, Family::Page]);
    let tight = dice.chance(20);
    let cap = match (tight, family) {
        (true, _) => dice.pick(&[2, 3, 5, 10, limit.max(2), limit + 1, limit + 2, limit * 2]),
        (false, Family::Offset) => limit + 12 + dice.pick(&[0, 3, 30, 80]),
        (false, Family::Page) => 3 * (limit + 12) + dice.pick(&[0, 1, 30, 80]),
    };
    let cap = cap.max(2);
    let silent = dice.chance(20);
    let mut traits = Traits {
        family,
        sizes: Sizes::Free {
            least: dice.pick(&[1, 1, 1, 1, 2, 5]).min(cap),
            most: if silent { dice.pick(&[None, Some(cap + 1), Some(cap * 2), Some(cap + 50)]) } else { Some(cap) },
        },
        cap,
        counts: dice.pick(&[Counts::Before, Counts::Together, Counts::After]),
        total: dice.pick(&[Says::Nothing, Says::Exactly, Says::Exactly, Says::Exactly, Says::AtLeast]),
        more: dice.pick(&[More::Nothing, More::Nothing, More::Slice, More::Count]),
        past: dice.pick(&[Past::Empty, Past::Empty, Past::Status, Past::Repeat]),
        end: EndEvidence::Unvouched,
        echoes: dice.pick(&[Echoes::Nothing, Echoes::Nothing, Echoes::Used, Echoes::Asked]),
        ceiling: None,
        ceiling_declared: false,
        outages: 0,
        lags: false,
        reorders: dice.chance(50),
        salt: dice.roll(),
        lie,
    };
    if traits.past == Past::Repeat && family == Family::Offset {
        traits.past = Past::Status;
    }
    if !silent && dice.chance(20) {
        let mut sizes: Vec<u32> = (1..=4).map(|part| (cap * part / 4).max(1)).collect();
        sizes.dedup();
        traits.sizes = Sizes::Listed(sizes);
    } else if wild && !silent && dice.chance(10) {
        traits.sizes = Sizes::Fixed(cap);
    }
    if traits.more == More::Slice && dice.chance(70) {
        traits.end = EndEvidence::Flag;
    } else if !silent && dice.chance(40) {
        traits.end = EndEvidence::ShortPage;
    }
    if wild {
        traits.lags = dice.chance(20);
        traits.outages = if dice.chance(15) { 5 + dice.below(20) } else { 0 };
        if dice.chance(15) {
            traits.ceiling = Some(u64::from(dice.below(80)) + 5);
            traits.ceiling_declared = dice.chance(50);
        }
    }
    deceive(&mut traits, limit, lie);
    traits
}

/// What a lie needs to do its harm.
fn deceive(traits: &mut Traits, limit: u32, lie: Option<Lie>) {
    let any = Sizes::Free { least: 1, most: Some(traits.cap.max(limit + 12)) };
    match lie {
        Some(Lie::ShortIsEnd) => {
            traits.cap = limit.max(2);
            traits.sizes = Sizes::Free { least: 1, most: None };
            traits.end = EndEvidence::ShortPage;
        }
        Some(Lie::CountIsEnd) => {
            traits.more = More::Count;
            traits.end = EndEvidence::Flag;
            traits.counts = Counts::Before;
        }
        Some(Lie::StatusIsEnd) => {
            traits.outages = 4;
            traits.end = EndEvidence::Flag;
            traits.more = More::Slice;
        }
        Some(Lie::CapShrinks) => {
            traits.cap = limit + 4;
            traits.sizes = Sizes::Free { least: 1, most: None };
            (traits.end, traits.more) = (EndEvidence::Unvouched, More::Nothing);
        }
        Some(Lie::HidesRows) => {
            traits.sizes = any;
            traits.end = EndEvidence::ShortPage;
        }
        Some(Lie::BoundIsTotal) => traits.total = Says::AtLeast,
        Some(Lie::TiesAreOrdered) | None => {}
    }
}

fn draw_client(dice: &mut Dice, wild: bool, changes: bool, limit: u32, cap: u32) -> Client {
    let far = wild || !changes;
    let style = match dice.below(if far { 14 } else { 11 }) {
        0..=4 => Style::Forward { looks_back: dice.chance(30) },
        5 | 6 => Style::Backward,
        7 | 8 => Style::ThereAndBack { turn: 1 + dice.below(6) },
        9 => Style::Worker { share: if wild { dice.pick(&[20, 100]) } else { dice.pick(&[5, 60 / limit.max(1)]) } },
        10 => Style::Wander { choices: (0..3).map(|_| dice.roll() as u32).collect() },
        _ => Style::Wander { choices: (0..4 + dice.below(16)).map(|_| dice.roll() as u32).collect() },
    };
    let limits = match dice.below(10) {
        0..=6 => vec![limit],
        7 | 8 => (0..3).map(|_| 1 + dice.below(limit)).collect(),
        _ if far => vec![limit, cap, cap + 1, 2 * cap + 1],
        _ => vec![limit, 1],
    };
    Client {
        style,
        limits,
        budget: if wild { dice.pick(&[2, 3, 8, 40]) } else { dice.pick(&[8, 8, 40]) },
        unproven: if wild && dice.chance(20) { WhenUnproven::Flag } else { WhenUnproven::Refuse },
        forgets: dice.pick(&[0, 0, 2, 5]),
    }
}

fn draw_plan(dice: &mut Dice, shape: &Shape, wild: bool, count: u32, limit: u32) -> Vec<Vec<Mutation>> {
    let ticks = 3 * (count / limit + 4).min(60);
    let percent = if wild { dice.pick(&[10, 40, 80]) } else { dice.pick(&[5, 15, 30]) };
    let burst = if wild { dice.pick(&[1, 3, 20]) } else { dice.pick(&[1, 1, 2]) };
    // Newest first, read and delete, and any place: where most lists change.
    let habit = dice.below(4);
    let change = |dice: &mut Dice| match (habit, dice.below(10)) {
        (1, 0..=6) => {
            let mut row = draw_row(dice, shape);
            for (key, column) in row.keys.iter_mut().zip(&shape.strong).take(1) {
                *key = Some(if column.descending { i64::from(column.width) - 1 } else { 0 });
            }
            Mutation::Insert(row)
        }
        (2, 0..=6) => Mutation::Delete(dice.below(4)),
        (_, 0..=3) => Mutation::Insert(draw_row(dice, shape)),
        (_, 4..=6) => Mutation::Delete(dice.roll() as u32),
        (_, 7) => Mutation::Rekey(dice.roll() as u32, draw_row(dice, shape)),
        (_, 8) => Mutation::Restore(dice.roll() as u32),
        _ => Mutation::Edit(dice.roll() as u32),
    };
    (0..ticks)
        .map(|_| {
            let times = if dice.chance(percent) { 1 + dice.below(burst) } else { 0 };
            (0..times).map(|_| change(dice)).collect()
        })
        .collect()
}
