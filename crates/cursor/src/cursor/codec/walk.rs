//! The encoding of the facts that a walk has met. Most walks begin at the start and lose no rows, so their number of
//! passed items is the offset, and their largest answer the honoured size: such facts take one byte.

use super::{
    bytes::{ByteReader, write_varint},
    place::{read_mark, write_mark},
};
use crate::pagination::position::{Hint, WalkFacts};

const MORE_SAID: u64 = 1;
const MORE_SAID_WHEN_SHORT: u64 = 1 << 1;
const COUNTS_BEYOND_ANSWER: u64 = 1 << 2;
const ROWS_LEFT_OUT: u64 = 1 << 3;
/// The number of passed items is the hint's offset.
const PASSED_AS_OFFSET: u64 = 1 << 4;
/// The most items of an answer differ from the honoured size, and are present.
const MOST: u64 = 1 << 5;
const GROWN: u64 = 1 << 6;
/// The number of passed items is known, differs from the hint's offset, and is present.
const PASSED: u64 = 1 << 7;
const REACH: u64 = 1 << 8;
const EMPTY: u64 = 1 << 9;
const FIRST: u64 = 1 << 10;
const ALL: u64 = (1 << 11) - 1;

pub(super) fn write(out: &mut Vec<u8>, hint: &Hint) {
    let WalkFacts { passed, grown, most, reach, empty, .. } = hint.walk;
    let parts = parts(hint);
    write_varint(out, parts);
    let numbers = [
        (PASSED, passed.unwrap_or(0)),
        (GROWN, grown),
        (MOST, u64::from(most)),
        (REACH, reach),
        (EMPTY, u64::from(empty)),
    ];
    numbers.into_iter().filter(|(part, _)| parts & part != 0).for_each(|(_, number)| write_varint(out, number));
    if let Some(first) = hint.walk.first {
        write_mark(out, first);
    }
}

/// Reads the facts of a walk whose other hints were read before; `None` if the bytes aren't their only encoding.
pub(super) fn read(rest: &mut ByteReader<'_>, hint: &Hint) -> Option<WalkFacts> {
    let parts = rest.varint().filter(|parts| parts & !ALL == 0)?;
    let has = |part| parts & part != 0;
    let walk = WalkFacts {
        passed: match (has(PASSED), has(PASSED_AS_OFFSET)) {
            (true, _) => Some(rest.varint()?),
            (false, true) => Some(hint.offset.0),
            (false, false) => None,
        },
        grown: if has(GROWN) { rest.varint()? } else { 0 },
        most: if has(MOST) { rest.number()? } else { hint.honoured },
        reach: if has(REACH) { rest.varint()? } else { 0 },
        empty: if has(EMPTY) { rest.number()? } else { 0 },
        more_said: has(MORE_SAID),
        more_said_when_short: has(MORE_SAID_WHEN_SHORT),
        counts_beyond_answer: has(COUNTS_BEYOND_ANSWER),
        rows_left_out: has(ROWS_LEFT_OUT),
        first: if has(FIRST) { Some(read_mark(rest)?) } else { None },
    };
    (self::parts(&Hint { walk, ..*hint }) == parts).then_some(walk)
}

fn parts(hint: &Hint) -> u64 {
    let walk = &hint.walk;
    let set = |is_set: bool, part| if is_set { part } else { 0 };
    let is_offset = walk.passed == Some(hint.offset.0);
    set(walk.more_said, MORE_SAID)
        | set(walk.more_said_when_short, MORE_SAID_WHEN_SHORT)
        | set(walk.counts_beyond_answer, COUNTS_BEYOND_ANSWER)
        | set(walk.rows_left_out, ROWS_LEFT_OUT)
        | set(is_offset, PASSED_AS_OFFSET)
        | set(walk.passed.is_some() && !is_offset, PASSED)
        | set(walk.most != hint.honoured, MOST)
        | set(walk.grown > 0, GROWN)
        | set(walk.reach > 0, REACH)
        | set(walk.empty > 0, EMPTY)
        | set(walk.first.is_some(), FIRST)
}
