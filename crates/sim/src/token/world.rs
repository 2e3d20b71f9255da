//! A list that changes.

use std::sync::Arc;

use cursorgate_core::pagination::order::{Direction, Kind, Nulls, Order, SortKey, Ties};

use crate::dice::Dice;

/// What is known of the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By id.
    Ids,
    /// By a key, ties by id.
    Ordered,
    /// By a key, ties by something that is not shown.
    Loose,
    /// Nothing.
    Undeclared,
    /// Nothing, and the items have no ids.
    Anonymous,
}

impl Shape {
    pub(crate) fn is_declared(self) -> bool {
        !matches!(self, Self::Undeclared | Self::Anonymous)
    }

    /// What the route declares.
    pub(crate) fn order(self, descending: bool) -> Arc<Order> {
        let direction = if descending { Direction::Descending } else { Direction::Ascending };
        let key = |name: &str| SortKey {
            name: name.to_owned(),
            direction,
            kind: Kind::Number,
            nulls: Nulls::None,
            grain: None,
        };
        let strong = if matches!(self, Self::Ordered | Self::Loose) { vec![key("key")] } else { Vec::new() };
        let ties = if self == Self::Loose { Ties::Unordered } else { Ties::Ordered };
        Arc::new(Order { strong, id: key("id"), ties, declared: self.is_declared() })
    }
}

/// An item as it is at a time: what a walk must not see twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) key: u32,
    pub(crate) id: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) seen: Seen,
    /// Its place among the others.
    pub(crate) rank: u64,
    /// Items are dropped from answers after the limit.
    pub(crate) hidden: bool,
    /// When it came to be as it is.
    pub(crate) since: u64,
}

/// What can happen to the list, in percent of its changes; the rest are deletions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Churn {
    /// How often something happens before an answer, in percent.
    pub(crate) often: u32,
    pub(crate) inserts: u32,
    /// Items get another key, and with it another place.
    pub(crate) moves: u32,
    /// So many of the inserts are before all others.
    pub(crate) at_head: u32,
}

impl Churn {
    pub(crate) const NONE: Self = Self { often: 0, inserts: 0, moves: 0, at_head: 0 };
}

#[derive(Debug)]
pub(crate) struct World {
    shape: Shape,
    pub(crate) rows: Vec<Row>,
    pub(crate) now: u64,
    /// How many items were deleted or moved, and how many changes there were at all.
    pub(crate) losses: u64,
    pub(crate) changes: u64,
    /// How many items came to stand where none stood, the first ones among them.
    pub(crate) arrivals: u64,
    hidden: u32,
    next_id: u32,
}

impl World {
    pub(crate) fn new(shape: Shape, count: u32, hidden: u32, dice: &mut Dice) -> Self {
        let (rows, now, next_id) = (Vec::new(), 0, 1);
        let mut world = Self { shape, rows, now, losses: 0, changes: 0, arrivals: 0, hidden, next_id };
        for _ in 0..count {
            world.insert(false, dice);
        }
        world.changes = 0;
        world
    }

    /// Lets time pass.
    pub(crate) fn tick(&mut self, churn: Churn, dice: &mut Dice) {
        self.now += 1;
        if !dice.chance(churn.often) {
            return;
        }
        for _ in 0..=dice.below(3) {
            let kind = dice.below(100);
            if kind < churn.inserts || self.rows.is_empty() {
                let at_head = dice.chance(churn.at_head);
                self.insert(at_head, dice);
            } else {
                let victim = dice.below(self.rows.len() as u32) as usize;
                let row = self.rows.remove(victim);
                self.losses += 1;
                self.changes += 1;
                if kind < churn.inserts + churn.moves && matches!(self.shape, Shape::Ordered | Shape::Loose) {
                    let key = dice.below(30);
                    if key != row.seen.key {
                        self.place(Row { seen: Seen { key, ..row.seen }, since: self.now, ..row });
                    }
                }
            }
        }
    }

    /// What a worker that has read items does with them.
    pub(crate) fn delete(&mut self, items: &[Seen]) {
        let before = self.rows.len();
        self.rows.retain(|row| !items.contains(&row.seen));
        self.losses += (before - self.rows.len()) as u64;
        self.changes += (before - self.rows.len()) as u64;
    }

    /// Whether an item has been as it is since a time.
    pub(crate) fn had(&self, item: Seen, since: u64) -> bool {
        self.rows.iter().any(|row| row.seen == item && row.since <= since)
    }

    fn insert(&mut self, at_head: bool, dice: &mut Dice) {
        let id = match self.shape {
            // An id that decides the place is drawn anew until it is free.
            Shape::Ids => loop {
                let first = self.rows.first().map_or(10_000, |row| row.seen.id);
                let id = if at_head && first > 1 { dice.below(first - 1) } else { dice.below(10_000) } + 1;
                if !self.rows.iter().any(|row| row.seen.id == id) {
                    break id;
                }
            },
            _ => self.next_id,
        };
        self.next_id += 1;
        let key = if at_head { 0 } else { dice.below(30) };
        let rank = match self.shape {
            Shape::Undeclared | Shape::Anonymous if at_head => self.rows.first().map_or(1 << 40, |row| row.rank - 7),
            Shape::Undeclared | Shape::Anonymous => (1 << 40) + (dice.roll() >> 24),
            _ => 0,
        };
        let hidden = dice.chance(self.hidden);
        self.changes += 1;
        self.place(Row { seen: Seen { key, id }, rank, hidden, since: self.now });
    }

    fn place(&mut self, mut row: Row) {
        let Seen { key, id } = row.seen;
        row.rank = match self.shape {
            Shape::Ids => u64::from(id),
            Shape::Ordered => u64::from(key) << 32 | u64::from(id),
            Shape::Loose => u64::from(key) << 32 | u64::from(id.wrapping_mul(0x9e37_79b1)),
            Shape::Undeclared | Shape::Anonymous => row.rank,
        };
        let at = self.rows.partition_point(|other| other.rank < row.rank);
        self.arrivals += 1;
        self.rows.insert(at, row);
    }
}
