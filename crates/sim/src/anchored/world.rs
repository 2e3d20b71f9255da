//! A list whose order the core does not know, and its changes.

use std::sync::Arc;

use cursorgate_core::pagination::mark::{Mark, Marker};

use crate::dice::{Dice, mix};

/// A row: its number, and how often it was moved and edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) number: u32,
    pub(crate) moves: u32,
    edits: u32,
}

/// The JSON form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The id is a number.
    Number,
    /// The id is a string, in another spelling after an edit.
    Text,
    /// Rows have no ids, so an edited row counts as another row.
    Bare,
    /// Every third row has no id.
    Mixed,
}

impl Row {
    /// Writes the row. Returns the range of its id in the body, which is empty if the row has no id.
    pub(crate) fn write(self, look: Look, body: &mut Vec<u8>) -> (u32, u32) {
        let Self { number, edits, .. } = self;
        let (mut start, mut end) = (0, 0);
        if self.has_id(look) {
            body.extend_from_slice(b"{\"id\":");
            start = body.len() as u32;
            let (prefix, suffix): (&[u8], &[u8]) = match (look, edits % 3) {
                (Look::Text, 0) => (b"\"k", b"\""),
                (Look::Text, _) => (b"\"\\u006b", b"\""),
                (_, 1) => (b"", b".0"),
                _ => (b"", b""),
            };
            body.extend_from_slice(prefix);
            push(number, body);
            body.extend_from_slice(suffix);
            end = body.len() as u32;
        } else {
            body.extend_from_slice(b"{\"name\":\"row ");
            push(number, body);
            body.push(b'"');
        }
        body.extend_from_slice(b",\"edits\":");
        push(edits, body);
        body.push(b'}');
        (start, end)
    }

    /// Returns whether the row has an id, by which it can be recognised after an edit.
    fn has_id(self, look: Look) -> bool {
        !(look == Look::Bare || (look == Look::Mixed && self.number.is_multiple_of(3)))
    }

    /// Returns whether the row is hidden, if `percent` of all rows are.
    pub(crate) fn is_hidden(self, percent: u32) -> bool {
        percent > 0 && mix(0x1dea, u64::from(self.number)) % 100 < u64::from(percent)
    }
}

fn push(number: u32, body: &mut Vec<u8>) {
    if number > 9 {
        push(number / 10, body);
    }
    body.push(b'0' + (number % 10) as u8);
}

/// The factor that turns a row's number into its mark. It is odd, so its inverse turns a mark back into the number.
const FACTOR: u64 = 0x5a_1b2c_3d4f;

/// Returns a marker that marks ids and whole rows by the first number in their bytes, which is the row's number.
pub(crate) fn marker() -> Marker {
    Marker::new(|bytes| {
        let digits = bytes.iter().skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit());
        let number = digits.fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        Mark::of(number.wrapping_mul(FACTOR))
    })
}

/// Returns the number of the row with a mark.
pub(crate) fn marked(mark: Mark) -> u32 {
    // Newton's iteration for the inverse of an odd number modulo 2^64: each step doubles the number of correct bits.
    let inverse =
        (0..6).fold(FACTOR, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse))));
    Mark::of(mark.number().wrapping_mul(inverse)).number() as u32
}

/// The rows at a moment.
pub(crate) type State = Arc<Vec<Row>>;

/// A change of a list. Places are fractions of its length, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Inserts this number of rows at the head.
    Head(u32),
    /// Inserts this number of rows at the tail.
    Tail(u32),
    /// Inserts, at the first number's place, the second number of rows.
    Amid(u32, u32),
    /// Deletes, from the first number's place on, the second number of rows.
    Delete(u32, u32),
    /// Moves the row at a place by a number of rows: forward, or back if the number is negative.
    Move(u32, i32),
    /// Moves the row at a place to another place.
    Jump(u32, u32),
    /// Moves the row that comes the first number of rows before the last row shown. The second number is the distance:
    /// forward, or back if negative.
    MoveNear(u32, i32),
    /// Changes the bytes of the row at a place, but not its place.
    Edit(u32),
    /// Deletes all rows, and inserts this number of new ones.
    Replace(u32),
}

impl Change {
    /// Draws a change; small ones are more frequent.
    pub(crate) fn draw(dice: &mut Dice, moves: bool) -> Self {
        let some = |dice: &mut Dice| match dice.below(8) {
            0 => 12 + dice.below(120),
            1 | 2 => 4 + dice.below(10),
            _ => 1 + dice.below(3),
        };
        let place = |dice: &mut Dice| dice.below(1_000);
        match dice.below(if moves { 16 } else { 10 }) {
            0..=2 => Self::Head(some(dice)),
            3 => Self::Tail(some(dice)),
            4 | 5 => Self::Amid(place(dice), 1 + dice.below(4)),
            6..=8 => Self::Delete(place(dice), some(dice)),
            9 => Self::Edit(place(dice)),
            10..=13 => {
                let far = 1 + dice.below(17) as i32;
                Self::Move(place(dice), if dice.chance(60) { far } else { -far })
            }
            _ => Self::Jump(place(dice), place(dice)),
        }
    }
}

impl Change {
    /// Returns the number of rows that the change inserts.
    pub(crate) fn arrivals(self) -> u32 {
        match self {
            Self::Head(count) | Self::Tail(count) | Self::Amid(_, count) | Self::Replace(count) => count,
            _ => 0,
        }
    }
}

/// The current list.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) look: Look,
    /// The number of the next new row.
    next: u32,
}

impl World {
    pub(crate) fn new(rows: u32, look: Look) -> Self {
        let mut world = Self { state: Arc::default(), look, next: 1 };
        world.change(Change::Tail(rows));
        world
    }

    pub(crate) fn change(&mut self, change: Change) {
        let look = self.look;
        let fresh: Vec<Row> = match change {
            Change::Head(count) | Change::Tail(count) | Change::Amid(_, count) | Change::Replace(count) => {
                (0..count).map(|row| Row { number: self.next + row, moves: 0, edits: 0 }).collect()
            }
            _ => Vec::new(),
        };
        self.next += fresh.len() as u32;
        let rows = Arc::make_mut(&mut self.state);
        let length = rows.len();
        let at = |share: u32| (share as usize * length / 1_000).min(length.saturating_sub(1));
        match change {
            Change::Head(_) => drop(rows.splice(..0, fresh)),
            Change::Tail(_) => rows.extend(fresh),
            Change::Amid(place, _) => drop(rows.splice(at(place)..at(place), fresh)),
            Change::Replace(_) => *rows = fresh,
            _ if rows.is_empty() => {}
            Change::Delete(place, count) => {
                drop(rows.drain(at(place)..(at(place) + count as usize).min(length)));
            }
            Change::Move(place, far) => {
                let from = at(place);
                let to = (from as i64 + i64::from(far)).clamp(0, length as i64 - 1) as usize;
                carry(rows, from, to);
            }
            // `Upstream::happen` makes this change, because it depends on the rows that were shown last.
            Change::MoveNear(..) => {}
            Change::Jump(from, to) => carry(rows, at(from), at(to)),
            Change::Edit(place) => {
                let row = &mut rows[at(place)];
                row.edits += 1;
                if !row.has_id(look) {
                    // Without an id an edited row can't be recognised: to the core it is another row.
                    (row.number, row.moves) = (self.next, 0);
                    self.next += 3;
                }
            }
        }
    }

    /// Deletes rows by their numbers.
    pub(crate) fn delete(&mut self, numbers: &[u32]) {
        Arc::make_mut(&mut self.state).retain(|row| !numbers.contains(&row.number));
    }

    /// Moves the row with this number by `far` rows: forward, or back if `far` is negative.
    pub(crate) fn move_row(&mut self, number: u32, far: i32) {
        let rows = Arc::make_mut(&mut self.state);
        if let Some(from) = rows.iter().position(|row| row.number == number) {
            let to = (from as i64 + i64::from(far)).clamp(0, rows.len() as i64 - 1) as usize;
            carry(rows, from, to);
        }
    }
}

fn carry(rows: &mut Vec<Row>, from: usize, to: usize) {
    if from != to {
        let row = rows.remove(from);
        rows.insert(to, Row { moves: row.moves + 1, ..row });
    }
}
