//! Vector instructions: the one place with `unsafe`.
//!
//! Everything here is safe to call. Two things are unsafe: to run instructions that a processor lacks, so a value of
//! `Vector` is a proof that this processor has them; and to load a register from memory, which is done only through
//! references to arrays of a register's size. Nothing else needs `unsafe`, and no pointer is ever computed.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::{Vector, first_stop};
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Vector;

/// A table from the lower half of a byte to the sign with that half, with the bit set in which brackets and braces
/// differ; twice, for both halves of a register.
const SIGNS: [u8; 32] = {
    let mut table = [0; 32];
    let signs = *b":{}";
    let mut sign = 0;
    while sign < signs.len() {
        table[(signs[sign] & 0x0f) as usize] = signs[sign];
        table[(signs[sign] & 0x0f) as usize + 16] = signs[sign];
        sign += 1;
    }
    table
};

/// Sets of half bytes that are a fault together: the first byte's high half, its low half, and the second byte's high
/// half. The lowest bit of each set stands for the value 0.
const FAULTS: [[u16; 3]; 8] = [
    // The second byte continues nothing, and the first one begins a character of several.
    [0xf000, ANY, !CONTINUATION],
    // The second byte continues an ASCII character.
    [0x00ff, ANY, CONTINUATION],
    // Two bytes for a character that fits into one: C0 and C1.
    [1 << 0xc, 0b11, CONTINUATION],
    // Three bytes for a character that fits into two: E0 80 to E0 9F.
    [1 << 0xe, 1 << 0, 0x0300],
    // Halves of surrogate pairs: ED A0 to ED BF.
    [1 << 0xe, 1 << 0xd, 0x0c00],
    // Beyond U+10FFFF: F4 90 and above.
    [1 << 0xf, 0xfff0, 0x0e00],
    // Four bytes for a character that fits into three, F0 80 to F0 8F; and the rest beyond U+10FFFF, F5 80 and above.
    [1 << 0xf, 0xffe1, 0x0100],
    // Both continue: a fault unless the third or fourth byte of a character is due. The last, so that its bit is the
    // highest: there a saturating difference shows where they are due.
    [CONTINUATION, ANY, CONTINUATION],
];

/// Any half byte.
const ANY: u16 = 0xffff;

/// The high halves of bytes that continue a character.
const CONTINUATION: u16 = 0x0f00;

/// The faults that a first byte's high half may be part of, a bit for each; the table comes twice, for both halves of a
/// register.
const FIRST_HIGH: [u8; 32] = table(0);

/// The faults that a first byte's low half may be part of.
const FIRST_LOW: [u8; 32] = table(1);

/// The faults that a second byte's high half may be part of.
const SECOND_HIGH: [u8; 32] = table(2);

const fn table(part: usize) -> [u8; 32] {
    let mut table = [0; 32];
    let mut half = 0;
    while half < 32 {
        let mut fault = 0;
        while fault < FAULTS.len() {
            table[half] |= ((FAULTS[fault][part] >> (half % 16) & 1) as u8) << fault;
            fault += 1;
        }
        half += 1;
    }
    table
}
