//! A collection that changes: rows, the order they are declared to have, and what happens to them.

use std::{fmt::Write as _, rc::Rc, sync::Arc};

use cursorgate::{
    json::Span,
    pagination::{
        key::KeyValue,
        order::{Nulls, Order, Ties},
        position::Anchor,
    },
};

use crate::{
    dice::mix,
    values::{Column, Look, Shown},
};

/// Where a row stands in the declared order: the strong keys as shown, then the id, each turned in its direction. Two
/// versions with the same place are the same row with the same keys.
pub(crate) type Place = [i64; 3];

/// The rows of one moment, in the declared order.
pub(crate) type State = Rc<Vec<Rc<Row>>>;

/// How the upstream orders rows whose shown strong keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TieOrder {
    ById,
    /// In some other order, always the same.
    Fixed,
    /// In another order with each query.
    Shuffled,
}

/// What the order of a collection is, and how its keys look.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// At most two.
    pub(crate) strong: Vec<Column>,
    pub(crate) id: Column,
    pub(crate) ties: TieOrder,
    /// What the order says of ties; only a lie says ordered where they are not.
    pub(crate) declared: Ties,
    /// Equal values are spelt differently, and bodies hold blanks.
    pub(crate) varied: bool,
}

impl Shape {
    pub(crate) fn order(&self) -> Arc<Order> {
        let name = |index: usize| ["rank", "name"][index];
        Arc::new(Order {
            strong: self.strong.iter().enumerate().map(|(index, column)| column.sort_key(name(index))).collect(),
            id: self.id.sort_key("id"),
            ties: self.declared,
        })
    }

    /// Whether every two rows can be told apart in order by what the core sees: there are no runs to be closed.
    pub(crate) fn is_orderly(&self) -> bool {
        let cut = self.strong.iter().any(|column| column.look == Look::LongText);
        self.strong.is_empty() || (self.declared == Ties::Ordered && !cut)
    }
}

/// What decides where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlan {
    pub(crate) id: u32,
    /// An ordinal for each strong column; none is null.
    pub(crate) keys: [Option<i64>; 2],
    /// What the grain of each strong column hides.
    pub(crate) parts: [u32; 2],
}

/// A row in one version.
#[derive(Debug)]
pub(crate) struct Row {
    /// Unique among all versions of all rows, and written in the item.
    pub(crate) serial: u32,
    pub(crate) plan: RowPlan,
    pub(crate) place: Place,
    /// What the upstream sorts by before ties.
    pub(crate) fine: [(i64, u32); 2],
    pub(crate) bytes: Vec<u8>,
    /// Where the strong keys and the id stand in `bytes`.
    pub(crate) spans: Vec<Span>,
    /// The anchor that a cursor to this row carries.
    pub(crate) anchor: Anchor,
}

/// One change. Rows are chosen by a number modulo how many there are, so that a plan survives its shrinking.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mutation {
    Insert(RowPlan),
    Delete(u32),
    /// Gives a row other keys.
    Rekey(u32, RowPlan),
    /// Changes a row beside its keys.
    Edit(u32),
    /// Brings back a row that was there once, as it was.
    Restore(u32),
}

/// The collection.
pub(crate) struct World {
    shape: Shape,
    /// The rows now.
    pub(crate) state: State,
    /// Every version that ever was, by its serial.
    pub(crate) registry: Vec<Rc<Row>>,
    deleted: Vec<RowPlan>,
    pub(crate) mutations: u64,
    /// How many rows came to places where they were not, so far.
    pub(crate) arrivals: u64,
}

impl World {
    pub(crate) fn new(shape: &Shape, rows: &[RowPlan]) -> Self {
        let mut world = Self {
            shape: shape.clone(),
            state: State::default(),
            registry: Vec::new(),
            deleted: Vec::new(),
            mutations: 0,
            arrivals: 0,
        };
        for &plan in rows {
            world.insert(plan);
        }
        world.arrivals = 0;
        world
    }

    /// Carries out a change and says in words what came of it.
    pub(crate) fn mutate(&mut self, mutation: Mutation) -> String {
        self.mutations += 1;
        match mutation {
            Mutation::Insert(plan) => self.insert(plan),
            Mutation::Delete(choice) => self.remove(choice).map_or_else(nothing, |row| {
                self.deleted.push(row.plan);
                format!("deletes {row}")
            }),
            Mutation::Rekey(choice, plan) => self.remove(choice).map_or_else(nothing, |row| {
                let (keys, parts) = (plan.keys, plan.parts);
                format!("re-keys {row}: {}", self.insert(RowPlan { id: row.plan.id, keys, parts }))
            }),
            Mutation::Edit(choice) => {
                self.remove(choice).map_or_else(nothing, |row| format!("edits {row}: {}", self.insert(row.plan)))
            }
            Mutation::Restore(choice) => {
                if self.deleted.is_empty() {
                    return nothing();
                }
                let plan = self.deleted.swap_remove(choice as usize % self.deleted.len());
                self.insert(plan)
            }
        }
    }

    /// Deletes the row at a place, if there is one.
    pub(crate) fn delete(&mut self, place: Place) {
        if let Ok(index) = self.state.binary_search_by(|row| row.place.cmp(&place)) {
            let _ = self.mutate(Mutation::Delete(index as u32));
        }
    }

    fn remove(&mut self, choice: u32) -> Option<Rc<Row>> {
        let rows = Rc::make_mut(&mut self.state);
        (!rows.is_empty()).then(|| rows.remove(choice as usize % rows.len()))
    }

    /// Puts a row in its place; where its id is taken, under the next free one.
    fn insert(&mut self, mut plan: RowPlan) -> String {
        while self.state.iter().any(|row| row.plan.id == plan.id) {
            plan.id += 1;
        }
        let row = Rc::new(Row::new(&self.shape, plan, self.registry.len() as u32));
        self.registry.push(Rc::clone(&row));
        self.arrivals += 1;
        let rows = Rc::make_mut(&mut self.state);
        let at = rows.partition_point(|other| other.place < row.place);
        let said = format!("inserts {row} at {at}");
        rows.insert(at, row);
        said
    }

    /// The rows of a state in the order in which the upstream gives them to its `query`-th query.
    pub(crate) fn listed(&self, state: &State, query: u64, salt: u64) -> State {
        if self.shape.strong.is_empty() || (self.shape.ties == TieOrder::ById && !self.is_coarse()) {
            return Rc::clone(state);
        }
        let turn = match self.shape.ties {
            TieOrder::ById => None,
            TieOrder::Fixed => Some(salt),
            TieOrder::Shuffled => Some(mix(salt, query)),
        };
        let mut rows = state.as_ref().clone();
        rows.sort_by_key(|row| (row.fine, turn.map_or(0, |turn| mix(turn, u64::from(row.plan.id))), row.place));
        Rc::new(rows)
    }

    fn is_coarse(&self) -> bool {
        self.shape.strong.iter().any(|column| column.grain > 1)
    }
}

fn nothing() -> String {
    "nothing to change".to_owned()
}

impl Row {
    fn new(shape: &Shape, plan: RowPlan, serial: u32) -> Self {
        let spelling = |column: u64| {
            if shape.varied { mix(u64::from(serial), column) >> 8 } else { 0 }
        };
        let (mut place, mut fine) = ([0; 3], [(0, 0); 2]);
        let mut shown: Vec<Shown> = Vec::with_capacity(3);
        for (index, column) in shape.strong.iter().enumerate() {
            let (ordinal, part) = (plan.keys[index], plan.parts[index] % column.grain.max(1));
            place[index] = column.rank(ordinal);
            let part_rank = if column.descending { column.grain - part } else { part };
            fine[index] = (place[index], if ordinal.is_none() { 0 } else { part_rank });
            shown.push(column.show(ordinal, part, spelling(index as u64)));
        }
        place[2] = shape.id.rank(Some(i64::from(plan.id)));
        shown.push(shape.id.show(Some(i64::from(plan.id)), 0, spelling(2)));
        let gap = if spelling(3) % 3 == 1 { " " } else { "" };
        let mut text = format!("{{{gap}\"v\":{serial}");
        let mut spans = Vec::with_capacity(shown.len());
        for (index, key) in shown.iter().enumerate() {
            let _ = write!(text, ",\"{}\":{gap}", ["k", "l", "m"][index]);
            let start = text.len() as u32;
            text.push_str(&key.raw);
            spans.push(Span { start, end: text.len() as u32 });
        }
        text.push_str(gap);
        text.push('}');
        let id = shown.pop().map_or(KeyValue::Null, |key| key.value);
        let anchor = Anchor { keys: shown.iter().map(Shown::kept).collect(), id };
        Self { serial, plan, place, fine, bytes: text.into_bytes(), spans, anchor }
    }

    /// The serial written in an item's bytes.
    pub(crate) fn serial_in(item: &[u8]) -> Option<u32> {
        let from = item.iter().position(|&byte| byte == b':')? + 1;
        let length = item[from..].iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(&item[from..from + length]).ok()?.parse().ok()
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", String::from_utf8_lossy(&self.bytes))
    }
}

/// A column may hold nulls only where their place is said.
pub(crate) fn has_nulls(column: &Column) -> bool {
    !matches!(column.nulls, Nulls::None | Nulls::Unsaid)
}
