//! The encoding of places: by keys, by an id, by marks, or within an upstream page.
//!
//! ```text
//! anchor  = count *value value                         the strong keys, then the id
//! pivot   = value [mark]                               the id, then the fingerprint, which the cursor's kind announces
//! marks   = counts *mark *mark                         those before the place, then those after
//! counts  = 1 byte: the number before plus 4 times the number after, each from 0 to 3
//! mark    = 5 bytes, little-endian
//! marked  = mark marks                                 an item, then its neighbours
//! token   = flags [length text] [anchor / marks] [power steps hash]
//! ```

use super::{
    bytes::{ByteReader, write_varint},
    value::{read_value, write_value},
};
use crate::pagination::{
    fetch::Token,
    mark::Mark,
    position::{Anchor, Loop, MarkedItem, Marks, Pivot, PlaceInPage, TokenPlace},
    window::Offset,
};

/// The size of a mark, in bytes.
const MARK: usize = Mark::BITS as usize / 8;
/// The largest number of marks on each side, because `counts` has two bits for each side. Marks farther from the place
/// are left out.
const MOST_MARKS: usize = 3;
const _: () = assert!(Marks::PASSED <= MOST_MARKS && Marks::AHEAD <= MOST_MARKS);

/// Flag: a token is present.
const GIVEN: u8 = 0x01;
/// Flag: the token leads backward.
const TOKEN_BACKWARD: u8 = 0x02;
/// Flag: the client's page is read backward.
const BACKWARD: u8 = 0x04;
/// Flag: keys give the place within the upstream page.
const WITHIN_KEYS: u8 = 0x08;
/// Flag: marks give the place within the upstream page.
const WITHIN_MARKS: u8 = 0x10;
/// Flag: the state that detects circles of tokens is present.
const CIRCLE: u8 = 0x20;

pub(super) fn write_anchor(out: &mut Vec<u8>, anchor: &Anchor) {
    write_varint(out, anchor.keys.len() as u64);
    for key in anchor.keys.iter().chain([&anchor.id]) {
        write_value(out, &key.into());
    }
}

pub(super) fn read_anchor(rest: &mut ByteReader<'_>) -> Option<Anchor> {
    let count = rest.varint()?;
    // No memory is reserved for the count, which may be forged: the loop ends where the bytes end. Test:
    // `hostile_lengths_are_refused`.
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(read_value(rest)?);
    }
    Some(Anchor { keys, id: read_value(rest)? })
}

pub(super) fn write_pivot(out: &mut Vec<u8>, pivot: &Pivot) {
    write_value(out, &(&pivot.id).into());
    if let Some(fingerprint) = pivot.fingerprint {
        write_mark(out, fingerprint);
    }
}

pub(super) fn read_pivot(rest: &mut ByteReader<'_>, fingerprinted: bool) -> Option<Pivot> {
    let id = read_value(rest)?;
    let fingerprint = if fingerprinted { Some(read_mark(rest)?) } else { None };
    Some(Pivot { id, fingerprint })
}

pub(super) fn write_marks(out: &mut Vec<u8>, marks: &Marks) {
    write_around(out, &marks.before, &marks.after);
}

/// Appends at most [`MOST_MARKS`] marks of each side, which are the marks nearest to the place. Test:
/// `the_nearest_marks_are_kept`.
fn write_around(out: &mut Vec<u8>, before: &[Mark], after: &[Mark]) {
    let before = &before[before.len().saturating_sub(MOST_MARKS)..];
    let after = &after[..after.len().min(MOST_MARKS)];
    write_varint(out, (before.len() + (after.len() << 2)) as u64);
    for &mark in before.iter().chain(after) {
        write_mark(out, mark);
    }
}

pub(super) fn read_marks(rest: &mut ByteReader<'_>) -> Option<Marks> {
    let counts = rest.byte()?;
    // Each side has two bits. The other four bits have no meaning. Test:
    // `encodings_that_the_codec_never_writes_are_refused`.
    if counts >> 4 != 0 {
        return None;
    }
    let mut side = |count| (0..count).map(|_| read_mark(rest)).collect::<Option<Vec<Mark>>>();
    Some(Marks { before: side(counts & 3)?, after: side(counts >> 2)? })
}

pub(super) fn write_marked_item(out: &mut Vec<u8>, item: Mark, before: &[Mark], after: &[Mark], offset: Offset) {
    write_mark(out, item);
    write_around(out, before, after);
    write_varint(out, offset.0);
}

pub(super) fn read_marked_item(rest: &mut ByteReader<'_>) -> Option<MarkedItem> {
    Some(MarkedItem { item: read_mark(rest)?, around: read_marks(rest)?, offset: Offset(rest.varint()?) })
}

pub(super) fn write_mark(out: &mut Vec<u8>, mark: Mark) {
    out.extend_from_slice(&mark.number().to_le_bytes()[..MARK]);
}

pub(super) fn read_mark(rest: &mut ByteReader<'_>) -> Option<Mark> {
    let mut number = [0; 8];
    number[..MARK].copy_from_slice(rest.take(MARK as u64)?);
    Some(Mark::of(u64::from_le_bytes(number)))
}

pub(super) fn write_token_place(out: &mut Vec<u8>, place: &TokenPlace) {
    let circle = place.circle != Loop::default();
    let within = match place.within {
        PlaceInPage::Whole => 0,
        PlaceInPage::Keys(_) => WITHIN_KEYS,
        PlaceInPage::Marks(_) => WITHIN_MARKS,
    };
    let flags = [
        (place.token.is_some(), GIVEN),
        (place.token_backward, TOKEN_BACKWARD),
        (place.backward, BACKWARD),
        (circle, CIRCLE),
    ];
    out.push(flags.iter().filter(|(set, _)| *set).fold(within, |flags, (_, flag)| flags | flag));
    if let Some(Token(text)) = &place.token {
        write_varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
    match &place.within {
        PlaceInPage::Whole => {}
        PlaceInPage::Keys(anchor) => write_anchor(out, anchor),
        PlaceInPage::Marks(marks) => write_marks(out, marks),
    }
    if circle {
        write_varint(out, u64::from(place.circle.power));
        write_varint(out, u64::from(place.circle.steps));
        write_varint(out, place.circle.hash);
    }
}

pub(super) fn read_token_place(rest: &mut ByteReader<'_>) -> Option<TokenPlace> {
    let flags = rest.byte()?;
    if flags & !(GIVEN | TOKEN_BACKWARD | BACKWARD | WITHIN_KEYS | WITHIN_MARKS | CIRCLE) != 0 {
        return None;
    }
    let set = |flag| flags & flag != 0;
    let token = if set(GIVEN) {
        let length = rest.varint()?;
        Some(Token(std::str::from_utf8(rest.take(length)?).ok()?.into()))
    } else {
        None
    };
    let within = match (set(WITHIN_KEYS), set(WITHIN_MARKS)) {
        (false, false) => PlaceInPage::Whole,
        (true, false) => PlaceInPage::Keys(read_anchor(rest)?),
        (false, true) => PlaceInPage::Marks(read_marks(rest)?),
        (true, true) => return None,
    };
    let mut circle = Loop::default();
    if set(CIRCLE) {
        circle = Loop { power: rest.number()?, steps: rest.number()?, hash: rest.varint()? };
        // The default state isn't written, so this would be a second encoding.
        if circle == Loop::default() {
            return None;
        }
    }
    Some(TokenPlace { token, token_backward: set(TOKEN_BACKWARD), backward: set(BACKWARD), within, circle })
}
