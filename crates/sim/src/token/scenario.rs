//! A scenario of a list by token: a walk as plain data, drawn from a seed.

use cursorgate_core::pagination::{
    paging::{EndEvidence, Family, Paging, Sizes, Tokens},
    resolver::ShortPages,
};

use super::{
    upstream::{Counts, Ends, Flag, Place, Traits},
    world::{Birth, Change, KEYS, Shape},
};
use crate::dice::{Dice, mix};

/// The way of a client through the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// From the start to the end.
    Forward,
    /// From the start to the end, and back to the start.
    ThereAndBack,
    /// The client reads a page, deletes its items, and requests the next page.
    Worker,
    /// The client follows a link for each click.
    Wander(Vec<Click>),
}

/// The next move of a client that wanders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Click {
    /// To the next page; if there is none, to the previous one.
    Next,
    /// To the previous page; if there is none, to the next one.
    Previous,
    /// To a place that an earlier page linked to. The number chooses the place.
    Earlier(u32),
}

impl Click {
    /// Draws a click: one in ten goes to an earlier place, and two in five of the others go back.
    fn draw(dice: &mut Dice) -> Self {
        let back = dice.chance(40);
        match (dice.chance(90), back) {
            (true, true) => Self::Previous,
            (true, false) => Self::Next,
            (false, _) => Self::Earlier(dice.below(1_000)),
        }
    }
}

/// Everything that decides a walk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) shape: Shape,
    pub(crate) descending: bool,
    pub(crate) rows: Vec<Birth>,
    /// The changes before each answer.
    pub(crate) plan: Vec<Vec<Change>>,
    pub(crate) traits: Traits,
    pub(crate) style: Style,
    /// The limits of the pages, in turn. After the last limit the first one is used again.
    pub(crate) limits: Vec<u32>,
    pub(crate) short_pages: ShortPages,
}

/// The frequency and the kinds of changes. `inserts` and `moves` are percentages of all changes; the others are
/// deletions.
#[derive(Clone, Copy, Debug)]
struct Churn {
    /// The percentage of answers before which the list changes.
    often: u32,
    inserts: u32,
    moves: u32,
    /// The percentage of inserts that come before all other items.
    at_head: u32,
}

/// The number of clicks of a client that wanders.
const CLICKS: u32 = 25;
/// The number of answers before which the list may change.
const TICKS: u32 = 200;

impl Churn {
    fn plan(self, dice: &mut Dice, shape: Shape, hidden: u32) -> Vec<Vec<Change>> {
        if self.often == 0 {
            return Vec::new();
        }
        let mut tick = || {
            let times = if dice.chance(self.often) { 1 + dice.below(3) } else { 0 };
            (0..times).map(|_| self.change(dice, shape, hidden)).collect()
        };
        (0..TICKS).map(|_| tick()).collect()
    }

    fn change(self, dice: &mut Dice, shape: Shape, hidden: u32) -> Change {
        let kind = dice.below(100);
        let moves = matches!(shape, Shape::Ordered | Shape::Loose);
        if kind < self.inserts {
            let at_head = dice.chance(self.at_head);
            Change::Insert(Birth::draw(dice, at_head, hidden))
        } else if kind < self.inserts + self.moves && moves {
            Change::Move(dice.roll() as u32, dice.below(KEYS))
        } else {
            Change::Delete(dice.roll() as u32)
        }
    }
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(mix(seed, 0x0070_6b65));
        let dice = &mut dice;
        let shape =
            dice.pick(&[Shape::Ids, Shape::Ordered, Shape::Ordered, Shape::Loose, Shape::Undeclared, Shape::Anonymous]);
        let place = dice.pick(&[Place::Offset, Place::Offset, Place::Keys, Place::Keys, Place::Snapshot, Place::Item]);
        // Tokens that are items need ids.
        let place = if place == Place::Item && shape == Shape::Anonymous { Place::Keys } else { place };
        let rows: u32 = dice.pick(&[0, 1, 5, 20, 40]);
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
        // An upstream page with only hidden items is empty. It would end a list whose end is shown by an empty page.
        let hidden = if ends != Ends::Empty && place != Place::Item && dice.chance(15) { 40 } else { 0 };
        // A circle of tokens uses each token again, so the tokens can't be for one use.
        let single_use = !circle && place != Place::Item && dice.chance(10);
        let often = dice.pick(&[0, 0, 20, 60]);
        let churn = Churn {
            // Without an order, a circle is detected when a whole page is repeated, so the list must rest.
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
            counts: Counts::Answer,
            flag: None,
            vouched: false,
            always: false,
            missing: None,
            blank: None,
            gap: 0,
        };
        let traits = Self::with_facts(traits, &mut Dice::new(mix(seed, 0x6661_6374)));
        let rows = rows + traits.gap;
        let wanders = dice.chance(20);
        let limits = Self::limits(dice, wanders);
        let style = match dice.below(4) {
            _ if wanders => Style::Wander((0..CLICKS).map(|_| Click::draw(dice)).collect()),
            0 | 1 => Style::Forward,
            2 => Style::ThereAndBack,
            _ => Style::Worker,
        };
        Self {
            shape,
            descending: dice.chance(30),
            rows: (0..rows).map(|_| Birth::draw(dice, false, hidden)).collect(),
            plan: churn.plan(dice, shape, hidden),
            traits,
            style,
            limits,
            short_pages: if dice.chance(20) { ShortPages::Serve } else { ShortPages::Refuse },
        }
    }

    /// Draws the facts of the answers and their lies. A list whose tokens go round has none.
    fn with_facts(traits: Traits, dice: &mut Dice) -> Traits {
        if traits.circle.is_some() || dice.chance(40) {
            return traits;
        }
        let by_token = traits.place != Place::Item;
        let counts = [Counts::Answer, Counts::Items, Counts::Items, Counts::Rows];
        let lies = [Counts::TooHigh, Counts::TooLow, Counts::Million];
        let flag = if by_token && traits.ends != Ends::Flag && dice.chance(40) {
            Some(dice.pick(&[Flag::Right, Flag::Right, Flag::True, Flag::False]))
        } else {
            None
        };
        let always = by_token && traits.ends != Ends::Empty && !traits.single_use && dice.chance(10);
        let may_drop = by_token && traits.ends != Ends::Empty;
        Traits {
            counts: if dice.chance(60) { dice.pick(&counts) } else { dice.pick(&lies) },
            flag,
            vouched: traits.ends == Ends::Flag && dice.chance(50),
            always,
            fresh: traits.fresh || always,
            missing: (by_token && dice.chance(10)).then(|| dice.below(8)),
            blank: dice.chance(10).then(|| dice.below(8) + 1),
            gap: if may_drop && dice.chance(20) { dice.pick(&[10, 60, 150]) } else { 0 },
            ..traits
        }
    }

    /// Draws one limit for all pages, or one of three for each page. A client that wanders mostly takes the first.
    fn limits(dice: &mut Dice, wanders: bool) -> Vec<u32> {
        let limits: Vec<u32> = (0..dice.pick(&[1, 1, 3])).map(|_| dice.below(7) + 1).collect();
        if limits.len() == 1 {
            return limits;
        }
        let pages = if wanders { CLICKS } else { 12 };
        let one = |dice: &mut Dice| if wanders && dice.chance(80) { limits[0] } else { dice.pick(&limits) };
        (0..pages).map(|_| one(dice)).collect()
    }

    /// Returns whether the list changes while it is read.
    pub(crate) fn is_changing(&self) -> bool {
        self.plan.iter().any(|due| !due.is_empty())
    }

    pub(crate) fn has_moves(&self) -> bool {
        self.plan.iter().flatten().any(|change| matches!(change, Change::Move(..)))
    }

    /// Returns whether a fact of the answers may be false.
    pub(crate) fn lies(&self) -> bool {
        self.traits.lies()
    }

    pub(crate) fn wanders(&self) -> bool {
        matches!(self.style, Style::Wander(_))
    }

    /// Returns the declarations of the dialect.
    pub(crate) fn paging(&self) -> Paging {
        let tokens = Tokens {
            backward: self.traits.backward,
            by_item: self.traits.place == Place::Item,
            single_use: self.traits.single_use,
            ends_empty: self.traits.ends == Ends::Empty,
        };
        let mut paging = Paging::new(Family::Token, self.traits.sizes.clone());
        (paging.tokens, paging.hidden) = (tokens, self.traits.hidden > 0);
        if self.traits.vouched {
            paging.end = EndEvidence::Flag;
        }
        paging
    }
}
