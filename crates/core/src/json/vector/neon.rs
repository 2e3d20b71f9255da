//! The vector instructions of AArch64. All AArch64 processors that Linux runs on have NEON.

use std::arch::{aarch64::*, is_aarch64_feature_detected};

use super::{FIRST_HIGH, FIRST_LOW, SECOND_HIGH, SIGNS};
use crate::json::window::{Before, Blocks, Met, WindowMarks, odd};

/// The proof that this processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(in crate::json) struct Vector(());

/// The four quarters of a block, 16 bytes each.
type Quarters = [uint8x16_t; 4];

impl Vector {
    /// Returns the proof if the processor has NEON; otherwise `None`.
    #[inline]
    pub(in crate::json) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// Marks a window, and updates `before` for the next window. `previous` are the 32 bytes before the window.
    #[inline]
    pub(in crate::json) fn mark(
        self,
        blocks: &Blocks,
        previous: &[u8; 32],
        before: &mut Before,
        marks: &mut WindowMarks,
    ) -> Met {
        // SAFETY: the function requires NEON, and `self` exists only if the processor has it.
        unsafe { mark(blocks, previous, before, marks) }
    }
}

#[target_feature(enable = "neon")]
fn mark(blocks: &Blocks, previous: &[u8; 32], carried: &mut Before, marks: &mut WindowMarks) -> Met {
    let mut before = *carried;
    let mut met = Met::default();
    let mut faults = vdupq_n_u8(0);
    // The smallest byte seen in each lane, starting at a space. A smaller value is a control character.
    let mut least = vdupq_n_u8(b' ');
    let mut previous = load(previous.last_chunk().unwrap_or(&[0xff; 16]));
    // True if the block before can't end in the middle of a character.
    let mut is_plain_before = is_plain(previous);
    for (index, (block, strings)) in blocks.iter().zip(&mut marks.strings).enumerate() {
        let quarters = quarters(block);
        let [one, two, three, four] = quarters;
        least = vminq_u8(least, vminq_u8(vminq_u8(one, two), vminq_u8(three, four)));
        let quotes = quarters.map(|bytes| equal(bytes, b'"'));
        let all = any(quarters);
        // In most bodies, many blocks are ASCII text inside a long string. Such a block has no signs, so the rest is
        // skipped, unless its last byte may escape the next block's first byte.
        if is_plain_before && before.open != 0 && vmaxvq_u8(vorrq_u8(any(quotes), all)) < 0x80 && block[63] != b'\\' {
            *strings = u64::MAX;
            before.escaped = 0;
            previous = four;
            continue;
        }
        let backslashes = bits(quarters.map(|bytes| equal(bytes, b'\\')));
        let escaped = before.escaped(backslashes);
        *strings = before.strings(odd(bits(quotes) & !escaped));
        marks.signs.push(index, bits(quarters.map(|bytes| signs(bytes))) & !*strings);
        met.misplaced |= backslashes & !*strings;
        if !is_plain_before || vmaxvq_u8(all) >= 0x80 {
            for (before, bytes) in [(previous, one), (one, two), (two, three), (three, four)] {
                faults = vorrq_u8(faults, utf8_faults(before, bytes));
            }
            let non_ascii = bits(quarters.map(|bytes| vcgeq_u8(bytes, vdupq_n_u8(0x80))));
            met.misplaced |= non_ascii & !*strings;
            is_plain_before = is_plain(four);
        }
        previous = four;
    }
    *carried = before;
    met.not_utf8 = vmaxvq_u8(faults) != 0;
    met.controls = vminvq_u8(least) < b' ';
    met
}

/// Returns whether the last three bytes are ASCII, so the bytes can't end in the middle of a character.
#[inline]
#[target_feature(enable = "neon")]
fn is_plain(bytes: uint8x16_t) -> bool {
    vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 3) & 0x8080_8000 == 0
}

/// Returns a vector with all bits set in each byte that is a bracket, a brace or a colon. The same is true for the
/// control character 0x1a, but a text that contains it is refused anyway.
#[inline]
#[target_feature(enable = "neon")]
fn signs(bytes: uint8x16_t) -> uint8x16_t {
    // A bracket and its brace differ only in the bit 0x20. With that bit set, brackets become braces, and a colon stays
    // the same.
    vceqq_u8(looked_up(&SIGNS, vandq_u8(bytes, vdupq_n_u8(0x0f))), vorrq_u8(bytes, vdupq_n_u8(b' ')))
}

/// Returns a vector with all bits set in each byte that equals `byte`.
#[inline]
#[target_feature(enable = "neon")]
fn equal(bytes: uint8x16_t, byte: u8) -> uint8x16_t {
    vceqq_u8(bytes, vdupq_n_u8(byte))
}

#[inline]
#[target_feature(enable = "neon")]
fn any([one, two, three, four]: Quarters) -> uint8x16_t {
    vorrq_u8(vorrq_u8(one, two), vorrq_u8(three, four))
}

/// Returns a word with a bit for each byte of a block. Each byte must have all bits set, or none.
#[inline]
#[target_feature(enable = "neon")]
fn bits(quarters: Quarters) -> u64 {
    // Each byte keeps only the bit for its place in a group of eight. Neighbours are added until each group is a single
    // byte.
    let places = load(&[1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128]);
    let [one, two, three, four] = quarters.map(|bytes| vandq_u8(bytes, places));
    let sums = vpaddq_u8(vpaddq_u8(one, two), vpaddq_u8(three, four));
    vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0)
}

/// Returns the UTF-8 faults of 16 bytes, including faults of characters that begin in `previous`. A lane is 0 if its
/// byte shows no fault. The check is the same as in `avx2.rs`.
#[inline]
#[target_feature(enable = "neon")]
fn utf8_faults(previous: uint8x16_t, bytes: uint8x16_t) -> uint8x16_t {
    let first = vextq_u8(previous, bytes, 15);
    let two = vandq_u8(
        vandq_u8(
            looked_up(&FIRST_HIGH, vshrq_n_u8(first, 4)),
            looked_up(&FIRST_LOW, vandq_u8(first, vdupq_n_u8(0x0f))),
        ),
        looked_up(&SECOND_HIGH, vshrq_n_u8(bytes, 4)),
    );
    // The highest bit stays set if the byte two (or three) places earlier begins a character of at least three (or
    // four) bytes.
    let third = vqsubq_u8(vextq_u8(previous, bytes, 14), vdupq_n_u8(0xe0 - 0x80));
    let fourth = vqsubq_u8(vextq_u8(previous, bytes, 13), vdupq_n_u8(0xf0 - 0x80));
    let due = vandq_u8(vorrq_u8(third, fourth), vdupq_n_u8(0x80));
    veorq_u8(two, due)
}

/// Replaces each byte, which must be below 16, with the table's entry for that byte.
#[inline]
#[target_feature(enable = "neon")]
fn looked_up(table: &[u8; 32], bytes: uint8x16_t) -> uint8x16_t {
    vqtbl1q_u8(load(table.first_chunk().unwrap_or(&[0xff; 16])), bytes)
}

/// Loads the four quarters of a block.
#[inline]
#[target_feature(enable = "neon")]
fn quarters(block: &[u8; 64]) -> Quarters {
    match block.as_chunks() {
        ([one, two, three, four], _) => [load(one), load(two), load(three), load(four)],
        _ => [vdupq_n_u8(0xff); 4],
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the reference is to exactly the 16 bytes that are read, and the instruction needs no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}
