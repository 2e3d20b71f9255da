//! What a cursor says, to bytes and back.
//!
//! Each claim has exactly one encoding and each encoding is read back to one claim: over-long varints, a number that
//! is spelt as text although it is an integer, a flag that says nothing, and left-over bytes are refused. So equal
//! claims make equal cursors, on which relay clients, HTTP caches and logs rely.
//!
//! ```text
//! payload = form [begin] offset                        At
//!         / form [begin] offset run [total]            Start, End
//!         / form [begin] offset run [total] anchor     After, Before
//!         / form anchor                                an item cursor
//! form    = 1 byte: which of these, and the flags BUCKET and TOTAL
//! begin   = when the bucket of time began that the cursor was made in, in seconds since 1970; where BUCKET is set
//! total   = where TOTAL is set
//! anchor  = count *value value                         the strong keys, then the id
//! ```
//!
//! Integers are LEB128 varints. A value begins with a byte that says its kind, and for most texts their length too.

use crate::pagination::{
    key::KeyValue,
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

const START: u8 = 0;
const END: u8 = 1;
const AFTER: u8 = 2;
const BEFORE: u8 = 3;
const AT: u8 = 4;
const ITEM: u8 = 5;

/// The form's flag for a begin of a bucket.
const BUCKET: u8 = 0x10;
/// The form's flag for a total.
const TOTAL: u8 = 0x20;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
/// An integer from 0 to 2^64 - 1, as a varint.
const NATURAL: u8 = 3;
/// An integer from -1 down to 1 - 2^64, as a varint of -1 - n.
const NEGATIVE: u8 = 4;
/// Any other number, as its spelling.
const NUMBER: u8 = 5;
/// A text that is a UUID in its canonical form (RFC 9562, section 4, in lower case), as its 16 bytes.
const UUID: u8 = 6;
/// A text that is too long for its first byte to say how long: a varint of what is beyond [`SHORT_TEXTS`].
const LONG_TEXT: u8 = 7;
/// From here on the first byte is that of a text, and says its length.
const TEXT: u8 = 0x40;
/// How many lengths of text the first byte can say.
const SHORT_TEXTS: usize = (u8::MAX - TEXT) as usize + 1;

/// What a cursor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A page cursor: a position and what helps to aim at it.
    Page(Target),
    /// An item cursor: the item and nothing else. The parameter that brought it gives the direction.
    Item(Anchor),
}

/// Appends a page cursor's payload. `bucket` is when the bucket that it is made in began.
pub(super) fn write_page(out: &mut Vec<u8>, target: &Target, bucket: Option<u64>) {
    let (form, anchor) = match &target.position {
        Position::Start => (START, None),
        Position::End => (END, None),
        Position::After(anchor) => (AFTER, Some(anchor)),
        Position::Before(anchor) => (BEFORE, Some(anchor)),
        Position::At(_) => (AT, None),
    };
    // An offset is its own hint, and nothing else can help to find it.
    let hint = match target.position {
        Position::At(offset) => Hint { offset, ..Hint::default() },
        _ => target.hint,
    };
    let flags = if bucket.is_some() { BUCKET } else { 0 } | if hint.total.is_some() { TOTAL } else { 0 };
    out.push(form | flags);
    if let Some(begin) = bucket {
        write_varint(out, begin);
    }
    write_varint(out, hint.offset.0);
    if form == AT {
        return;
    }
    write_varint(out, u64::from(hint.run));
    if let Some(total) = hint.total {
        write_varint(out, total);
    }
    if let Some(anchor) = anchor {
        write_anchor(out, anchor);
    }
}

/// Appends an item cursor's payload.
pub(super) fn write_item(out: &mut Vec<u8>, anchor: &Anchor) {
    out.push(ITEM);
    write_anchor(out, anchor);
}

/// The head of a payload: what is needed to tell whether the rest still counts.
pub(super) struct Head<'a> {
    form: u8,
    total: bool,
    rest: Reader<'a>,
    /// When the bucket began that a page cursor was made in.
    pub(super) bucket: Option<u64>,
}

impl<'a> Head<'a> {
    /// Reads the head of a payload; `None` where it is not one.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(payload);
        let byte = rest.byte()?;
        let form = byte & !(BUCKET | TOTAL);
        let allowed = match form {
            START | END | AFTER | BEFORE => BUCKET | TOTAL,
            AT => BUCKET,
            ITEM => 0,
            _ => return None,
        };
        if byte & !form & !allowed != 0 {
            return None;
        }
        let bucket = if byte & BUCKET == 0 { None } else { Some(rest.varint()?) };
        Some(Self { form, total: byte & TOTAL != 0, rest, bucket })
    }

    /// Whether this is an item cursor, which has no age.
    pub(super) fn is_item(&self) -> bool {
        self.form == ITEM
    }

    /// Reads the rest, to its last byte; `None` where it is not what was written.
    pub(super) fn open(self) -> Option<Opened> {
        let Self { form, total, mut rest, .. } = self;
        let opened = if form == ITEM {
            Opened::Item(rest.anchor()?)
        } else {
            let offset = Offset(rest.varint()?);
            if form == AT {
                let hint = Hint { offset, ..Hint::default() };
                Opened::Page(Target { position: Position::At(offset), hint })
            } else {
                let run = u32::try_from(rest.varint()?).ok()?;
                let total = if total { Some(rest.varint()?) } else { None };
                let position = match form {
                    START => Position::Start,
                    END => Position::End,
                    AFTER => Position::After(rest.anchor()?),
                    _ => Position::Before(rest.anchor()?),
                };
                Opened::Page(Target { position, hint: Hint { offset, run, total } })
            }
        };
        rest.0.is_empty().then_some(opened)
    }
}

/// Appends a varint (LEB128).
pub(super) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn write_anchor(out: &mut Vec<u8>, anchor: &Anchor) {
    write_varint(out, anchor.keys.len() as u64);
    for key in &anchor.keys {
        write_value(out, key);
    }
    write_value(out, &anchor.id);
}

fn write_value(out: &mut Vec<u8>, value: &KeyValue) {
    match value {
        KeyValue::Null => out.push(NULL),
        KeyValue::Boolean(false) => out.push(FALSE),
        KeyValue::Boolean(true) => out.push(TRUE),
        KeyValue::Number(spelling) => match Integer::from_spelling(spelling) {
            Some(Integer::Natural(number)) => {
                out.push(NATURAL);
                write_varint(out, number);
            }
            Some(Integer::Negative(number)) => {
                out.push(NEGATIVE);
                write_varint(out, number);
            }
            None => {
                out.push(NUMBER);
                write_varint(out, spelling.len() as u64);
                out.extend_from_slice(spelling.as_bytes());
            }
        },
        KeyValue::Text(text) => write_text(out, text),
    }
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    if let Some(uuid) = pack_uuid(text) {
        out.push(UUID);
        out.extend_from_slice(&uuid);
        return;
    }
    match u8::try_from(text.len()) {
        Ok(length) if text.len() < SHORT_TEXTS => out.push(TEXT + length),
        _ => {
            out.push(LONG_TEXT);
            write_varint(out, (text.len() - SHORT_TEXTS) as u64);
        }
    }
    out.extend_from_slice(text);
}

/// An integer that is spelt the one way in which integers are written back.
enum Integer {
    /// The number.
    Natural(u64),
    /// -1 minus the number.
    Negative(u64),
}

impl Integer {
    fn from_spelling(spelling: &str) -> Option<Self> {
        let digits = spelling.strip_prefix('-').unwrap_or(spelling);
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let magnitude: u64 = if plain { digits.parse().ok()? } else { return None };
        if digits.len() == spelling.len() {
            Some(Self::Natural(magnitude))
        } else {
            magnitude.checked_sub(1).map(Self::Negative)
        }
    }
}

/// Where the canonical form of a UUID has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// How long the canonical form of a UUID is.
const UUID_TEXT: usize = 36;

fn pack_uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != UUID_TEXT {
        return None;
    }
    let mut packed = [0; 16];
    let mut digits = 0;
    for (index, &byte) in text.iter().enumerate() {
        if HYPHENS.contains(&index) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        packed[digits / 2] = packed[digits / 2] << 4 | digit;
        digits += 1;
    }
    Some(packed)
}

fn unpack_uuid(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(UUID_TEXT);
    for byte in packed {
        if HYPHENS.contains(&text.len()) {
            text.push(b'-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
    text
}

/// What is left of some bytes. Nothing is allocated before the bytes that fill it were seen.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next varint, refused where it is longer than its number needs.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if low << shift >> shift != low || (byte == 0 && shift > 0) {
                return None;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn anchor(&mut self) -> Option<Anchor> {
        let count = self.varint()?;
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(self.value()?);
        }
        Some(Anchor { keys, id: self.value()? })
    }

    fn value(&mut self) -> Option<KeyValue> {
        Some(match self.byte()? {
            NULL => KeyValue::Null,
            FALSE => KeyValue::Boolean(false),
            TRUE => KeyValue::Boolean(true),
            NATURAL => KeyValue::Number(self.varint()?.to_string()),
            NEGATIVE => KeyValue::Number(format!("-{}", self.varint()?.checked_add(1)?)),
            NUMBER => {
                let length = self.varint()?;
                let spelling = std::str::from_utf8(self.take(length)?).ok()?;
                if Integer::from_spelling(spelling).is_some() {
                    return None;
                }
                KeyValue::Number(spelling.to_owned())
            }
            UUID => KeyValue::Text(unpack_uuid(self.take(16)?)),
            LONG_TEXT => {
                let length = self.varint()?.checked_add(SHORT_TEXTS as u64)?;
                KeyValue::Text(self.take(length)?.to_vec())
            }
            byte => {
                let text = self.take(u64::from(byte.checked_sub(TEXT)?))?;
                if pack_uuid(text).is_some() {
                    return None;
                }
                KeyValue::Text(text.to_vec())
            }
        })
    }
}

#[cfg(test)]
mod tests;
