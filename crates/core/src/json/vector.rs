//! Vector instructions. Only this module contains `unsafe` code.
//!
//! All functions that other modules can call are safe. Two operations need `unsafe`. Running instructions that a
//! processor may lack: a value of `Vector` is a proof that this processor has them. Loading a register from memory:
//! that is done only through references to arrays of a register's size, and no pointer is computed.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::{Vector, first_stop};
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Vector;

/// A table from the lower half of a byte to the sign (`:`, `{` or `}`) with that lower half; brackets have the same
/// lower halves as braces. The table comes twice, for both halves of a register.
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

/// Faults of UTF-8 in two neighbouring bytes. Each fault is three sets of half bytes: the high half of the first byte,
/// the low half of the first byte, and the high half of the second byte. Bit 0 of a set is for the value 0.
const FAULTS: [[u16; 3]; 8] = [
    // The first byte begins a character of several bytes, but the second byte doesn't continue it.
    [0xf000, ANY, !CONTINUATION],
    // The second byte continues a character, but the first byte is ASCII.
    [0x00ff, ANY, CONTINUATION],
    // Two bytes for a character that fits into one byte: C0 and C1.
    [1 << 0xc, 0b11, CONTINUATION],
    // Three bytes for a character that fits into two bytes: E0 80 to E0 9F.
    [1 << 0xe, 1 << 0, 0x0300],
    // Halves of surrogate pairs: ED A0 to ED BF.
    [1 << 0xe, 1 << 0xd, 0x0c00],
    // Beyond U+10FFFF: F4 90 and above.
    [1 << 0xf, 0xfff0, 0x0e00],
    // Four bytes for a character that fits into three bytes (F0 80 to F0 8F), and the remaining values beyond U+10FFFF
    // (F5 80 and above).
    [1 << 0xf, 0xffe1, 0x0100],
    // Both bytes continue a character, which is a fault unless the second byte is the third or fourth byte of a
    // character. This fault comes last, so its bit is the highest: in the highest bit, a saturating difference shows
    // where a third or fourth byte is required.
    [CONTINUATION, ANY, CONTINUATION],
];

/// The set of all half bytes.
const ANY: u16 = 0xffff;

/// The set of the high halves of bytes that continue a character.
const CONTINUATION: u16 = 0x0f00;

/// A table from the high half of a first byte to the faults in which that half occurs, with a bit for each fault. The
/// table comes twice, for both halves of a register.
const FIRST_HIGH: [u8; 32] = table(0);

/// The same table for the low half of a first byte.
const FIRST_LOW: [u8; 32] = table(1);

/// The same table for the high half of a second byte.
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
