//! What a seed makes of the list, the upstream and the client.

use cursorgate_core::pagination::paging::{Family, Paging, Sizes, Tokens};

use super::{
    upstream::{Ends, Place, Traits},
    world::{Churn, Shape},
};
use crate::dice::{Dice, mix};

/// Who goes through the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// From the start to the end.
    Forward,
    /// To the end, and back to the start.
    ThereAndBack,
    /// Reads a page, deletes it, asks for the next.
    Worker,
    /// Next, next, back, next: two clicks of five go back, some to a page of long ago.
    Wander,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    pub(crate) descending: bool,
    pub(crate) rows: u32,
    pub(crate) churn: Churn,
    pub(crate) traits: Traits,
    pub(crate) style: Style,
    pub(crate) limits: Vec<u32>,
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(mix(seed, 0x0070_6b65));
        let dice = &mut dice;
        let shape =
            dice.pick(&[Shape::Ids, Shape::Ordered, Shape::Ordered, Shape::Loose, Shape::Undeclared, Shape::Anonymous]);
        let place = dice.pick(&[Place::Offset, Place::Offset, Place::Keys, Place::Keys, Place::Snapshot, Place::Item]);
        let place = if place == Place::Item && shape == Shape::Anonymous { Place::Keys } else { place };
        let rows = dice.pick(&[0, 1, 5, 20, 40]);
        let unit = dice.below(8) + 1;
        let sizes = match dice.below(4) {
            0 => Sizes::Free { least: 1, most: dice.pick(&[None, Some(unit + 4)]) },
            1 => Sizes::Free { least: unit, most: Some(unit + 6) },
            2 => Sizes::Listed(vec![unit, unit + 3, unit + 7]),
            _ => Sizes::Fixed(unit),
        };
        let ends = dice.pick(&[Ends::Exact, Ends::Promise, Ends::Flag, Ends::Empty]);
        let ends = if place == Place::Item && ends == Ends::Promise { Ends::Flag } else { ends };
        let circle = place == Place::Offset && ends == Ends::Exact && dice.chance(40) && rows > 5;
        let hidden = if ends != Ends::Empty && place != Place::Item && dice.chance(15) { 40 } else { 0 };
        let single_use = !circle && place != Place::Item && dice.chance(10);
        let often = dice.pick(&[0, 0, 20, 60]);
        let churn = Churn {
            often: if circle && !shape.is_declared() { 0 } else { often },
            inserts: dice.pick(&[0, 50, 50, 100]),
            moves: dice.pick(&[0, 0, 20]),
            at_head: dice.pick(&[0, 50, 100]),
        };
        let traits = Traits {
            place,
            sizes: sizes.clone(),
            ignores_size: (dice.chance(5) && matches!(sizes, Sizes::Free { .. })).then_some(unit),
            ends,
            backward: !circle && dice.chance(60),
            previous_always: dice.chance(30),
            single_use,
            fresh: single_use || dice.chance(20),
            lasts: dice.chance(8).then_some(8),
            hidden,
            circle: circle.then(|| (dice.below(4), dice.below(rows) + 1)),
            total: dice.chance(50),
        };
        let limits = (0..dice.pick(&[1, 1, 3])).map(|_| dice.below(7) + 1).collect();
        let style = dice.pick(&[Style::Forward, Style::Forward, Style::ThereAndBack, Style::Worker, Style::Wander]);
        Self { seed, shape, descending: dice.chance(30), rows, churn, traits, style, limits }
    }

    /// What the dialect says.
    pub(crate) fn paging(&self) -> Paging {
        let tokens = Tokens {
            backward: self.traits.backward,
            by_item: self.traits.place == Place::Item,
            single_use: self.traits.single_use,
            ends_empty: self.traits.ends == Ends::Empty,
        };
        Paging { tokens, hidden: self.traits.hidden > 0, ..Paging::new(Family::Token, self.traits.sizes.clone()) }
    }
}
