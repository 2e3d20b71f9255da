//! Rows, the shape of their keys, and the JSON that they are written as.

use std::{
    cell::OnceCell,
    fmt::{self, Write as _},
    sync::Arc,
};

use cursorgate_core::{
    json::Span,
    pagination::{
        key::KeyValue,
        order::{Kind, Order, Ties},
        position::Anchor,
    },
};

use crate::{
    dice::mix,
    keyed::{
        stored::Stored,
        values::{Column, Look},
    },
};

/// The place of a row in the declared order: the ranks of the strong keys as shown, then the rank of the id. Each rank
/// follows the direction of its column, so places compare as plain numbers. Two versions with the same place are the
/// same row with the same keys.
pub(crate) type Place = [i64; 3];

/// The order in which the upstream lists rows whose shown strong keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TieOrder {
    ById,
    /// In a fixed order other than by id.
    Fixed,
    /// In a new order with each query.
    Shuffled,
}

/// The order of a list, and the appearance of its keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// The strong keys, at most two.
    pub(crate) strong: Vec<Column>,
    pub(crate) id: Column,
    pub(crate) ties: TieOrder,
    /// The declared order of ties. Only a lie declares `Ordered` although `ties` says otherwise.
    pub(crate) declared: Ties,
    /// True if equal values are spelt differently, and items contain white space.
    pub(crate) varied: bool,
}

/// The damage of a row whose first key can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoilt {
    /// The key is missing.
    Missing,
    /// The key is an object.
    Object,
    /// The key is of another type than the keys of other rows.
    OtherType,
    /// The key is null, and the order declares no place for nulls.
    Null,
}

/// The values that decide the place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlan {
    pub(crate) id: u32,
    /// An ordinal for each strong column; `None` is a null.
    pub(crate) keys: [Option<i64>; 2],
    /// The part of each strong key that the column's grain hides, from 0 to the grain minus 1.
    pub(crate) parts: [u32; 2],
    pub(crate) spoilt: Option<Spoilt>,
}

/// A version of a row. Each edit makes a new version.
#[derive(Debug)]
pub(crate) struct Row {
    /// A number that is unique among all versions of all rows, and is written in the item.
    pub(crate) serial: u32,
    pub(crate) plan: RowPlan,
    pub(crate) place: Place,
    /// The stored strong keys by which the upstream sorts before it orders ties: for each key its rank and its hidden
    /// part.
    pub(crate) fine: [(i64, u32); 2],
    pub(crate) bytes: Vec<u8>,
    spans: [Span; 3],
    columns: usize,
    stored: OnceCell<[Stored; 3]>,
}

impl Shape {
    /// Returns the shape of a list that is sorted only by id.
    pub(crate) fn by_ids() -> Self {
        let id = Column::plain(Look::Whole, 100);
        Self { strong: Vec::new(), id, ties: TieOrder::ById, declared: Ties::Ordered, varied: false }
    }

    pub(crate) fn order(&self) -> Arc<Order> {
        let name = |index: usize| ["rank", "name"][index];
        let strong = self.strong.iter().enumerate().map(|(index, column)| column.sort_key(name(index))).collect();
        Arc::new(Order::declared(strong, self.id.sort_key("id"), self.declared))
    }

    /// Returns whether the shown values decide the order of any two rows. No run then has to be shown whole.
    pub(crate) fn is_orderly(&self) -> bool {
        // A key keeps only a part of a long text, and a unit cuts a value. Rows that look equal may then be sorted
        // apart.
        let cut = self.strong.iter().any(|column| column.look == Look::LongText || column.unit.is_some());
        self.strong.is_empty() || (self.declared == Ties::Ordered && !cut)
    }

    pub(crate) fn is_coarse(&self) -> bool {
        self.strong.iter().any(|column| column.grain > 1)
    }

    /// Returns the number of leading strong keys that the rows of one run share. The count ends with the first key that
    /// is shown more coarsely than it is sorted, because the order within its values can't be seen.
    pub(crate) fn run_keys(&self) -> usize {
        let unseen = |column: &Column| {
            (column.said && column.unit.is_some()) || matches!(column.look, Look::LongText | Look::Opaque)
        };
        self.strong.iter().position(unseen).map_or(self.strong.len(), |index| index + 1)
    }

    /// Returns the column of a key: a strong key, or the id, whose index follows the last strong key.
    pub(crate) fn column(&self, index: usize) -> Option<&Column> {
        if index == self.strong.len() { Some(&self.id) } else { self.strong.get(index) }
    }
}

impl Row {
    pub(crate) fn new(shape: &Shape, plan: RowPlan, serial: u32) -> Self {
        let (mut place, mut fine) = ([0; 3], [(0, 0); 2]);
        let gap = if spelling(shape, serial, 3) % 3 == 1 { " " } else { "" };
        let mut text = String::with_capacity(64);
        let _ = write!(text, "{{{gap}\"v\":{serial}");
        let mut spans = [Span::ABSENT; 3];
        let columns = shape.strong.len() + 1;
        for (index, column) in shape.strong.iter().chain([&shape.id]).enumerate() {
            let is_id = index + 1 == columns;
            let (ordinal, part) = match is_id {
                true => (Some(i64::from(plan.id)), 0),
                false => (plan.keys[index], plan.parts[index] % column.grain.max(1)),
            };
            if is_id {
                place[2] = column.rank(ordinal);
            } else {
                place[index] = column.rank(ordinal);
                // The hidden part is sorted in the direction of its column. Nulls have no hidden part, so they are
                // ties.
                let part_rank = if column.descending { column.grain - part } else { part };
                fine[index] = (place[index], if ordinal.is_none() { 0 } else { part_rank });
            }
            let spoilt = plan.spoilt.filter(|_| index == 0);
            if spoilt == Some(Spoilt::Missing) {
                continue;
            }
            text.push_str([",\"k\":", ",\"l\":", ",\"m\":"][index]);
            text.push_str(gap);
            let start = text.len() as u32;
            match spoilt {
                None | Some(Spoilt::Missing) => {
                    column.write(ordinal, part, spelling(shape, serial, index as u64), &mut text);
                }
                Some(Spoilt::Object) => text.push_str("{\"a\":[1]}"),
                Some(Spoilt::OtherType) => text.push_str(other_type(column.look)),
                Some(Spoilt::Null) => text.push_str("null"),
            }
            spans[index] = Span { start, end: text.len() as u32 };
        }
        text.push_str(gap);
        text.push('}');
        Self { serial, plan, place, fine, bytes: text.into_bytes(), spans, columns, stored: OnceCell::new() }
    }

    /// Returns the ranges of the strong keys and the id in the bytes.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans[..self.columns]
    }

    /// Returns whether a spoilt row can be compared, but only with rows like itself: the core infers the type of its
    /// first key, or the key is a number where other rows have numbers in strings.
    pub(crate) fn is_sound_alone(&self, shape: &Shape) -> bool {
        let fits = |column: &Column| column.inferred || column.look == Look::WholeInString;
        self.plan.spoilt == Some(Spoilt::OtherType) && shape.column(0).is_some_and(fits)
    }

    /// Returns the anchor that a cursor to this row contains.
    pub(crate) fn anchor(&self, shape: &Shape) -> Anchor {
        let spelt = |index: usize| spelling(shape, self.serial, index as u64);
        let keys = shape.strong.iter().enumerate().map(|(index, column)| {
            let part = self.plan.parts[index] % column.grain.max(1);
            column.value(self.plan.keys[index], part, spelt(index), false)
        });
        let id = shape.id.value(Some(i64::from(self.plan.id)), 0, spelt(shape.strong.len()), true);
        let mut anchor = Anchor { keys: keys.collect(), id };
        // The anchor of a spoilt row that can be compared with rows like itself has the value that the item shows.
        if self.is_sound_alone(shape)
            && let Some(other) = KeyValue::of_strong(&Kind::Inferred, self.spans[0].of(&self.bytes))
        {
            *anchor.keys.first_mut().unwrap_or(&mut anchor.id) = other;
        }
        anchor
    }

    /// Returns the stored values of the strong keys, followed by the stored value of the id.
    pub(crate) fn stored(&self, shape: &Shape) -> &[Stored; 3] {
        self.stored.get_or_init(|| {
            let mut stored = [Stored::Null, Stored::Null, Stored::Null];
            for (index, column) in shape.strong.iter().enumerate() {
                stored[index] = column.stored(self.plan.keys[index], self.plan.parts[index] % column.grain.max(1));
            }
            stored[shape.strong.len()] = shape.id.stored(Some(i64::from(self.plan.id)), 0);
            stored
        })
    }

    /// Returns the serial written in an item's bytes; `None` if they contain no number after a colon.
    pub(crate) fn serial_in(item: &[u8]) -> Option<u32> {
        let from = item.iter().position(|&byte| byte == b':')? + 1;
        let length = item[from..].iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(&item[from..from + length]).ok()?.parse().ok()
    }
}

/// Returns the number that chooses the spelling of a key; 0 is the plainest.
fn spelling(shape: &Shape, serial: u32, index: u64) -> u64 {
    if shape.varied { mix(u64::from(serial), index) >> 8 } else { 0 }
}

/// Returns a value with which no value of this look can be compared.
fn other_type(look: Look) -> &'static str {
    match look {
        Look::Whole | Look::Decimal | Look::Huge | Look::Exponent => "\"n/a\"",
        Look::Boolean => "7",
        _ => "17",
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", String::from_utf8_lossy(&self.bytes))
    }
}
