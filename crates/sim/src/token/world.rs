//! A list by token that changes.

use std::sync::Arc;

use cursorgate_core::pagination::order::{Direction, Kind, Nulls, Order, SortKey, Ties};

use crate::dice::Dice;

/// The order of the list, as it is declared and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By id.
    Ids,
    /// By a key, ties by id.
    Ordered,
    /// By a key, ties in an order that is not shown.
    Loose,
    /// No declared order.
    Undeclared,
    /// No declared order, and no ids.
    Anonymous,
}

impl Shape {
    pub(crate) fn is_declared(self) -> bool {
        !matches!(self, Self::Undeclared | Self::Anonymous)
    }

    /// Returns the order that the route declares.
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
        Arc::new(match self.is_declared() {
            true => Order::declared(strong, key("id"), ties),
            false => Order::undeclared(key("id")),
        })
    }
}

/// The identity of an item as answers show it. An item that moved has another key, so it counts as another item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) key: u32,
    pub(crate) id: u32,
}

/// An item of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) seen: Seen,
    /// The number by which the upstream sorts.
    pub(crate) rank: u64,
    /// True if the item is dropped from answers after the limit has been applied.
    pub(crate) hidden: bool,
    /// The time of its insertion or last move.
    pub(crate) since: u64,
}

/// An item that is to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    /// The number that decides its place: its id, key or rank, by the shape of the list.
    pub(crate) number: u32,
    /// True if the item comes before all others.
    pub(crate) at_head: bool,
    /// True if the item is dropped from answers after the limit has been applied.
    pub(crate) hidden: bool,
}

/// A change of the list. A number, taken modulo the number of items, chooses an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Insert(Birth),
    Delete(u32),
    /// Gives an item another key, and with it another place. An item that has the key already is removed.
    Move(u32, u32),
}

/// The number of different keys.
pub(crate) const KEYS: u32 = 30;

impl Birth {
    pub(crate) fn draw(dice: &mut Dice, at_head: bool, hidden: u32) -> Self {
        Self { number: dice.roll() as u32, at_head, hidden: dice.chance(hidden) }
    }
}

/// The list and its clock.
#[derive(Debug)]
pub(crate) struct World {
    shape: Shape,
    pub(crate) rows: Vec<Row>,
    /// The number of ticks so far: one before each answer.
    pub(crate) now: u64,
    /// The number of items that were deleted or moved. `changes` is the number of all changes.
    pub(crate) losses: u64,
    pub(crate) changes: u64,
    /// The number of items that came to the list, or moved within it, including the first ones.
    pub(crate) arrivals: u64,
    next_id: u32,
}

impl World {
    pub(crate) fn new(shape: Shape, births: &[Birth]) -> Self {
        let mut world = Self { shape, rows: Vec::new(), now: 0, losses: 0, changes: 0, arrivals: 0, next_id: 1 };
        births.iter().for_each(|birth| world.insert(*birth));
        world.changes = 0;
        world
    }

    /// Drops a run of items, from a third of the list on, after the limit has been applied.
    pub(crate) fn drop_run(&mut self, count: u32) {
        let from = self.rows.len() / 3;
        self.rows.iter_mut().skip(from).take(count as usize).for_each(|row| row.hidden = true);
    }

    /// Lets one tick pass, with its changes.
    pub(crate) fn tick(&mut self, due: &[Change]) {
        self.now += 1;
        for &change in due {
            match change {
                Change::Insert(birth) => self.insert(birth),
                Change::Delete(choice) => drop(self.remove(choice)),
                Change::Move(choice, key) => {
                    if let Some(row) = self.remove(choice).filter(|row| row.seen.key != key) {
                        self.place(Row { seen: Seen { key, ..row.seen }, since: self.now, ..row });
                    }
                }
            }
        }
    }

    fn remove(&mut self, choice: u32) -> Option<Row> {
        let row = (!self.rows.is_empty()).then(|| self.rows.remove(choice as usize % self.rows.len()))?;
        self.losses += 1;
        self.changes += 1;
        Some(row)
    }

    /// Deletes the items that a worker has read.
    pub(crate) fn delete(&mut self, items: &[Seen]) {
        let before = self.rows.len();
        self.rows.retain(|row| !items.contains(&row.seen));
        self.losses += (before - self.rows.len()) as u64;
        self.changes += (before - self.rows.len()) as u64;
    }

    /// Returns whether an item exists and has not changed since a time.
    pub(crate) fn had(&self, item: Seen, since: u64) -> bool {
        self.rows.iter().any(|row| row.seen == item && row.since <= since)
    }

    fn insert(&mut self, Birth { number, at_head, hidden }: Birth) {
        let first = self.rows.first();
        let id = match self.shape {
            // The id decides the place: the next free one after the drawn number.
            Shape::Ids => {
                let below = first.map(|row| row.seen.id - 1).filter(|&below| at_head && below > 0).unwrap_or(10_000);
                let mut ids = (0..=self.rows.len() as u32).map(|further| (number + further) % below + 1);
                let free = ids.find(|id| !self.rows.iter().any(|row| row.seen.id == *id));
                free.unwrap_or(self.next_id + 10_000)
            }
            _ => self.next_id,
        };
        self.next_id += 1;
        let key = if at_head { 0 } else { number % KEYS };
        let rank = match self.shape {
            Shape::Undeclared | Shape::Anonymous if at_head => first.map_or(1 << 40, |row| row.rank - 7),
            Shape::Undeclared | Shape::Anonymous => (1 << 40) + (u64::from(number) << 8),
            _ => 0,
        };
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
