//! The encoding of a cursor's claims as bytes, and the decoding.
//!
//! Each claim has exactly one encoding. Over-long varints, integers encoded as strings, flags without a meaning, and
//! trailing bytes are refused. Equal claims therefore make equal cursors, on which Relay clients, HTTP caches and logs
//! rely.
//!
//! ```text
//! payload = kind [flags] [begin] hint place            a page cursor
//!         / kind place                                 an item cursor
//! kind    = 1 byte: the position or item in the lower half, the common flags in the upper half
//! flags   = 1 byte: the rare flags; present if FURTHER is set
//! begin   = the start of the time bucket in which the cursor was made, in seconds since 1970; present if BUCKET is set
//! hint    = offset [run] [within] [total] [first] [ahead] [honoured] [walk]   `At` has no run: its offset is its place
//! within  = present if WITHIN is set; else it equals the run if WITHIN_RUN is set, and else is 0
//! total   = present if TOTAL is set
//! first   = the total of the walk's first page; present if FIRST_TOTAL is set
//! ahead   = a mark; present if AHEAD is set, in cursors with a token alone
//! honoured = the largest size that the walk has seen filled; present if HONOURED is set
//! walk    = parts [passed] [grown] [most] [reach] [empty]; present if WALK is set
//! parts   = the facts of the walk and the numbers that follow, as the bits in `walk`; each number is present if it
//!           differs from its usual value
//! ```
//!
//! Integers are LEB128 varints. The module `place` encodes the part that depends on the kind, and `value` encodes the
//! values of keys.

mod bytes;
mod place;
mod value;
mod walk;

pub(super) use bytes::{ByteReader, write_varint};
use place::{
    read_anchor, read_mark, read_marked_item, read_marks, read_pivot, read_token_place, write_anchor, write_mark,
    write_marked_item, write_marks, write_pivot, write_token_place,
};

use value::write_value;

use crate::pagination::{
    answer::Total,
    key::KeyRef,
    mark::Mark,
    position::{Hint, Item, MarkedItem, Pivot, Position, Target, WalkFacts},
    window::Offset,
};

const START: u8 = 0;
const END: u8 = 1;
const AFTER: u8 = 2;
const BEFORE: u8 = 3;
const AT: u8 = 4;
const ITEM: u8 = 5;
const AFTER_PIVOT: u8 = 6;
const BEFORE_PIVOT: u8 = 7;
/// After a pivot without a fingerprint, which is the item with this id and its present keys.
const AFTER_ID: u8 = 8;
/// Before a pivot without a fingerprint, which is the item with this id and its present keys.
const BEFORE_ID: u8 = 9;
const AFTER_MARKS: u8 = 10;
const BEFORE_MARKS: u8 = 11;
const TOKEN: u8 = 12;
const MARKED_ITEM: u8 = 13;

/// Flag: the start of a time bucket is present.
const BUCKET: u16 = 0x10;
/// Flag: a total is present.
const TOTAL: u16 = 0x20;
/// Flag: the hint's `within` equals its run, which isn't 0.
const WITHIN_RUN: u16 = 0x40;
/// Flag: the byte of the kind is followed by a byte of rare flags, which are those from [`FROM_END`] on.
const FURTHER: u8 = 0x80;
/// Flag: the hint's offset is counted from the end of the list.
const FROM_END: u16 = 0x0100;
/// Flag: the hint's `within` is present, because it is neither 0 nor its run.
const WITHIN: u16 = 0x0200;
/// Flag: the total of the walk's first page is present.
const FIRST_TOTAL: u16 = 0x0400;
/// Flag: the total of the walk's first page is only a lower bound.
const FIRST_BOUND: u16 = 0x0800;
/// Flag: the mark of the item directly beyond the position is present.
const AHEAD: u16 = 0x1000;
/// Flag: the honoured size of the walk is present, because it isn't 0.
const HONOURED: u16 = 0x2000;
/// Flag: facts of the walk are present, because they aren't the default.
const WALK: u16 = 0x4000;

/// The content of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claims {
    /// A page cursor: a position and its hint.
    Page(Target),
    /// An item cursor: the item, with an offset only if it has no keys. The query parameter that contains the cursor
    /// (`after` or `before`) decides the direction.
    Item(Item),
}

/// Returns whether page cursors with this position are always sealed. This is true for places in an upstream page,
/// because the upstream's token may contain host names or secrets.
pub(super) fn is_secret(position: &Position) -> bool {
    kind(position) == TOKEN
}

/// Appends the payload of a page cursor. `bucket` is the start of the current time bucket; `None` if the route has no
/// lifetime.
pub(super) fn write_page(out: &mut Vec<u8>, target: &Target, bucket: Option<u64>) {
    let kind = kind(&target.position);
    let hint = match target.position {
        // An offset is its own hint, so no other hint is written. Test: `an_offset_is_its_own_hint`.
        Position::At(offset) => {
            let Hint { first_total, honoured, walk, .. } = target.hint;
            Hint { offset, first_total, honoured, walk, ..Hint::default() }
        }
        // The mark ahead is used only for a place within an upstream page.
        Position::Token(_) => target.hint,
        _ => Hint { ahead: None, ..target.hint },
    };
    let flags = flags(&hint) | if bucket.is_some() { BUCKET } else { 0 };
    let [rare, common] = flags.to_be_bytes();
    if rare == 0 {
        out.push(kind | common);
    } else {
        out.extend_from_slice(&[kind | common | FURTHER, rare]);
    }
    if let Some(begin) = bucket {
        write_varint(out, begin);
    }
    write_varint(out, hint.offset.0);
    if kind != AT {
        write_varint(out, u64::from(hint.run));
    }
    if flags & WITHIN != 0 {
        write_varint(out, u64::from(hint.within));
    }
    if let Some(total) = hint.total {
        write_varint(out, total);
    }
    if let Some(first) = hint.first_total {
        write_varint(out, first.value);
    }
    if let Some(ahead) = hint.ahead {
        write_mark(out, ahead);
    }
    if hint.honoured > 0 {
        write_varint(out, u64::from(hint.honoured));
    }
    if flags & WALK != 0 {
        walk::write(out, &hint);
    }
    match &target.position {
        Position::Start | Position::End | Position::At(_) => {}
        Position::After(anchor) | Position::Before(anchor) => write_anchor(out, anchor),
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => write_pivot(out, pivot),
        Position::AfterMarks(marks) | Position::BeforeMarks(marks) => write_marks(out, marks),
        Position::Token(place) => write_token_place(out, place),
    }
}

pub(super) fn write_item(out: &mut Vec<u8>, item: &Item) {
    match item {
        Item::Keyed(anchor) => {
            out.push(ITEM);
            write_anchor(out, anchor);
        }
        Item::Marked(MarkedItem { item, around, offset }) => {
            write_marked(out, *item, &around.before, &around.after, *offset);
        }
    }
}

/// Appends the payload of a cursor of an item with keys. `values` are `count` strong keys, then the id. Returns `false`
/// if a value is `None`; the appended bytes are then invalid.
pub(super) fn write_keyed<'a>(
    out: &mut Vec<u8>,
    count: usize,
    values: impl Iterator<Item = Option<KeyRef<'a>>>,
) -> bool {
    out.push(ITEM);
    write_varint(out, count as u64);
    for value in values {
        let Some(value) = value else { return false };
        write_value(out, &value);
    }
    true
}

/// Appends the payload of a cursor of an item with marks: the item's mark, the marks before and after it, and its
/// estimated offset.
pub(super) fn write_marked(out: &mut Vec<u8>, item: Mark, before: &[Mark], after: &[Mark], offset: Offset) {
    out.push(MARKED_ITEM);
    write_marked_item(out, item, before, after, offset);
}

fn kind(position: &Position) -> u8 {
    match position {
        Position::Start => START,
        Position::End => END,
        Position::After(_) => AFTER,
        Position::Before(_) => BEFORE,
        Position::At(_) => AT,
        Position::AfterPivot(Pivot { fingerprint: Some(_), .. }) => AFTER_PIVOT,
        Position::BeforePivot(Pivot { fingerprint: Some(_), .. }) => BEFORE_PIVOT,
        Position::AfterPivot(_) => AFTER_ID,
        Position::BeforePivot(_) => BEFORE_ID,
        Position::AfterMarks(_) => AFTER_MARKS,
        Position::BeforeMarks(_) => BEFORE_MARKS,
        Position::Token(_) => TOKEN,
    }
}

fn flags(hint: &Hint) -> u16 {
    let within = match hint.within {
        0 => 0,
        within if within == hint.run => WITHIN_RUN,
        _ => WITHIN,
    };
    let first = match hint.first_total {
        None => 0,
        Some(Total { exact: true, .. }) => FIRST_TOTAL,
        Some(Total { exact: false, .. }) => FIRST_TOTAL | FIRST_BOUND,
    };
    let set = |said: bool, flag| if said { flag } else { 0 };
    within
        | first
        | set(hint.total.is_some(), TOTAL)
        | set(hint.from_end, FROM_END)
        | set(hint.ahead.is_some(), AHEAD)
        | set(hint.honoured > 0, HONOURED)
        | set(hint.walk != WalkFacts::default(), WALK)
}

/// The head of a payload (kind, flags and bucket). The form and the age of a cursor are checked before the rest is
/// read.
pub(super) struct PayloadHead<'a> {
    kind: u8,
    flags: u16,
    rest: ByteReader<'a>,
    /// The start of the time bucket in which a page cursor was made, in seconds since 1970; `None` without a lifetime.
    pub(super) bucket: Option<u64>,
}

impl<'a> PayloadHead<'a> {
    /// Decodes the head of a payload; `None` if it is invalid.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        let mut rest = ByteReader(payload);
        let byte = rest.byte()?;
        let kind = byte & 0x0f;
        let mut flags = u16::from(byte & 0x70);
        if byte & FURTHER != 0 {
            let rare = rest.byte()?;
            // Without a rare flag, this byte is superfluous, and would give the claim a second encoding.
            if rare == 0 {
                return None;
            }
            flags |= u16::from(rare) << 8;
        }
        // A flag without a meaning for its kind would give the claim a second encoding. Test:
        // `encodings_that_the_codec_never_writes_are_refused`.
        let allowed = match kind {
            ITEM | MARKED_ITEM => 0,
            AT => BUCKET | FIRST_TOTAL | FIRST_BOUND | HONOURED | WALK,
            TOKEN => {
                BUCKET | TOTAL | WITHIN_RUN | FROM_END | WITHIN | FIRST_TOTAL | FIRST_BOUND | AHEAD | HONOURED | WALK
            }
            START..TOKEN => {
                BUCKET | TOTAL | WITHIN_RUN | FROM_END | WITHIN | FIRST_TOTAL | FIRST_BOUND | HONOURED | WALK
            }
            _ => return None,
        };
        if flags & !allowed != 0 {
            return None;
        }
        let bucket = if flags & BUCKET == 0 { None } else { Some(rest.varint()?) };
        Some(Self { kind, flags, rest, bucket })
    }

    /// Returns whether this is the payload of an item cursor. Item cursors have no age.
    pub(super) fn is_item(&self) -> bool {
        matches!(self.kind, ITEM | MARKED_ITEM)
    }

    /// Returns whether cursors with this payload are always sealed, as [`is_secret`] decides.
    pub(super) fn is_secret(&self) -> bool {
        self.kind == TOKEN
    }

    /// Decodes the rest of the payload. Returns `None` unless the whole payload is the canonical encoding of a claim.
    pub(super) fn open(mut self) -> Option<Claims> {
        let claims = match self.kind {
            ITEM => Claims::Item(Item::Keyed(read_anchor(&mut self.rest)?)),
            MARKED_ITEM => Claims::Item(Item::Marked(read_marked_item(&mut self.rest)?)),
            _ => {
                let hint = self.hint()?;
                Claims::Page(Target { position: self.position(hint.offset)?, hint })
            }
        };
        // Trailing bytes would give the claim a second encoding. Test: `left_over_and_missing_bytes_are_refused`.
        self.rest.0.is_empty().then_some(claims)
    }

    fn hint(&mut self) -> Option<Hint> {
        let Self { kind, flags, rest, .. } = self;
        let set = |flag| *flags & flag != 0;
        let mut hint = Hint { offset: Offset(rest.varint()?), from_end: set(FROM_END), ..Hint::default() };
        if *kind != AT {
            hint.run = rest.number()?;
        }
        if set(WITHIN_RUN) {
            hint.within = hint.run;
        }
        if set(WITHIN) {
            hint.within = rest.number()?;
        }
        if set(TOTAL) {
            hint.total = Some(rest.varint()?);
        }
        if set(FIRST_TOTAL) {
            hint.first_total = Some(Total { value: rest.varint()?, exact: !set(FIRST_BOUND) });
        }
        if set(AHEAD) {
            hint.ahead = Some(read_mark(rest)?);
        }
        if set(HONOURED) {
            hint.honoured = rest.number()?;
        }
        if set(WALK) {
            hint.walk = walk::read(rest, &hint)?;
        }
        // If the flags aren't those with which this hint would be written, they are redundant or meaningless, so the
        // payload is refused.
        (self::flags(&hint) == *flags & !BUCKET).then_some(hint)
    }

    fn position(&mut self, offset: Offset) -> Option<Position> {
        let rest = &mut self.rest;
        Some(match self.kind {
            START => Position::Start,
            END => Position::End,
            AT => Position::At(offset),
            AFTER => Position::After(read_anchor(rest)?),
            BEFORE => Position::Before(read_anchor(rest)?),
            AFTER_PIVOT => Position::AfterPivot(read_pivot(rest, true)?),
            BEFORE_PIVOT => Position::BeforePivot(read_pivot(rest, true)?),
            AFTER_ID => Position::AfterPivot(read_pivot(rest, false)?),
            BEFORE_ID => Position::BeforePivot(read_pivot(rest, false)?),
            AFTER_MARKS => Position::AfterMarks(read_marks(rest)?),
            BEFORE_MARKS => Position::BeforeMarks(read_marks(rest)?),
            TOKEN => Position::Token(Box::new(read_token_place(rest)?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
