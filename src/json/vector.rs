//! Vector instructions: the one place with `unsafe`.
//!
//! Everything here is safe to call. What is unsafe is to run instructions that a processor lacks, so a value of [`Avx2`]
//! is a proof that this one has them; and to load a register from memory, which is done by references to arrays of a
//! register's size alone. Nothing else needs `unsafe`, and no pointer is ever computed.

use std::arch::x86_64::*;

/// That this processor has AVX2: those for servers do since 2013.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

/// A block of 64 bytes, and the three bytes before it, which may begin a character that ends in it.
type Stretch = [u8; BEFORE + 64];

const BEFORE: usize = 3;

impl Avx2 {
    /// The proof, where it is true.
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Makes a word of each block of 64 bytes from `begin` on: bits are set where a byte is a quote, a backslash or a
    /// control character, the lowest for the first byte. Behind the end of the text none is. False where a character of
    /// these blocks is no UTF-8.
    #[inline]
    pub(super) fn mark_stops(self, text: &[u8], begin: usize, words: &mut [u64]) -> bool {
        // SAFETY: the function may be called where there is AVX2, and `self` was only made where there is.
        unsafe { mark_stops(text, begin, words) }
    }
}

#[target_feature(enable = "avx2")]
fn mark_stops(text: &[u8], begin: usize, words: &mut [u64]) -> bool {
    let mut faults = _mm256_setzero_si256();
    let mut base = begin;
    // A character may begin before the first block.
    let mut is_cut = true;
    for word in words {
        *word = 0;
        if base >= text.len() {
            continue;
        }
        let buffer;
        let stretch = match base.checked_sub(BEFORE).and_then(|begin| text.get(begin..)?.first_chunk()) {
            Some(stretch) => stretch,
            None => {
                buffer = padded(text, base);
                &buffer
            }
        };
        let (low, high) = (half(stretch, BEFORE), half(stretch, BEFORE + 32));
        *word = bits(stops(low)) | bits(stops(high)) << 32;
        let non_ascii = bits(low) | bits(high) << 32;
        if is_cut || non_ascii != 0 {
            for begin in [BEFORE, BEFORE + 32] {
                faults = _mm256_or_si256(faults, utf8_faults(stretch, begin));
            }
        }
        is_cut = non_ascii >> (64 - BEFORE) != 0;
        base += 64;
    }
    _mm256_testz_si256(faults, faults) == 1
}

/// The first block of a text, or its last, with blanks around it.
#[inline(never)]
fn padded(text: &[u8], base: usize) -> Stretch {
    let mut stretch = [b' '; BEFORE + 64];
    let before = base.min(BEFORE);
    let part = &text[base - before..text.len().min(base + 64)];
    stretch[BEFORE - before..][..part.len()].copy_from_slice(part);
    stretch
}

/// All bits of the bytes where a string ends, or is more than its own spelling.
#[inline]
#[target_feature(enable = "avx2")]
fn stops(bytes: __m256i) -> __m256i {
    let quotes = _mm256_cmpeq_epi8(bytes, all(b'"'));
    let backslashes = _mm256_cmpeq_epi8(bytes, all(b'\\'));
    let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, all(0x1f)), bytes);
    _mm256_or_si256(_mm256_or_si256(quotes, backslashes), controls)
}

/// What is wrong with 32 bytes, the characters that end in them included; none is 0.
///
/// This is Keiser's and Lemire's check ("Validating UTF-8 in less than one instruction per byte", 2021): all faults but
/// one are seen in two neighbouring bytes, by three of their four halves. The one that is left is whether a third and a
/// fourth byte are where the first one calls for them, and only there.
#[inline]
#[target_feature(enable = "avx2")]
fn utf8_faults(stretch: &Stretch, begin: usize) -> __m256i {
    // Each lane's byte, or the one so many before it.
    let back = |bytes: usize| half(stretch, begin - bytes);
    let (second, first) = (back(0), back(1));
    let two = _mm256_and_si256(
        _mm256_and_si256(
            looked_up(&FIRST_HIGH, high_halves(first)),
            looked_up(&FIRST_LOW, _mm256_and_si256(first, all(0x0f))),
        ),
        looked_up(&SECOND_HIGH, high_halves(second)),
    );
    // The highest bit is left where a byte at least so high stood two or three places before.
    let third = _mm256_subs_epu8(back(2), all(0xe0 - 0x80));
    let fourth = _mm256_subs_epu8(back(3), all(0xf0 - 0x80));
    let due = _mm256_and_si256(_mm256_or_si256(third, fourth), all(0x80));
    _mm256_xor_si256(two, due)
}

/// The higher half of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn high_halves(bytes: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_srli_epi16(bytes, 4), all(0x0f))
}

/// What a table has for each byte below 16.
#[inline]
#[target_feature(enable = "avx2")]
fn looked_up(table: &[u8; 32], bytes: __m256i) -> __m256i {
    _mm256_shuffle_epi8(load(table), bytes)
}

/// The same byte in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(bytes: __m256i) -> u64 {
    _mm256_movemask_epi8(bytes).cast_unsigned().into()
}

/// The 32 bytes of a stretch from a place on that is at most 35.
#[inline]
#[target_feature(enable = "avx2")]
fn half(stretch: &Stretch, begin: usize) -> __m256i {
    load(stretch[begin..].first_chunk().unwrap_or(&[0xff; 32]))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is to as many bytes as are read, and they need not be aligned.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Sets of half bytes that make a fault together: the first byte's high half, its low half, the second's high half. The
/// lowest bit of each stands for 0.
const FAULTS: [[u16; 3]; 8] = [
    // The second byte continues nothing, and the first one begins a character of several.
    [0xf000, ANY, !CONTINUATION],
    // The second byte continues an ASCII character.
    [0x00ff, ANY, CONTINUATION],
    // Two bytes for what fits into one: C0 and C1.
    [1 << 0xc, 0b11, CONTINUATION],
    // Three bytes for what fits into two: E0 80 to E0 9F.
    [1 << 0xe, 1 << 0, 0x0300],
    // Halves of surrogate pairs: ED A0 to ED BF.
    [1 << 0xe, 1 << 0xd, 0x0c00],
    // Beyond U+10FFFF: F4 90 and above.
    [1 << 0xf, 0xfff0, 0x0e00],
    // Four bytes for what fits into three, F0 80 to F0 8F; and the rest of what is beyond U+10FFFF, F5 80 and above.
    [1 << 0xf, 0xffe1, 0x0100],
    // Both continue: a fault unless the third or fourth byte of a character is due. The last, so that its bit is the
    // highest: there a saturating difference shows where they are due.
    [CONTINUATION, ANY, CONTINUATION],
];

/// Any half byte.
const ANY: u16 = 0xffff;

/// The high halves of bytes that continue a character.
const CONTINUATION: u16 = 0x0f00;

/// The faults that a first byte's high half may be part of, a bit for each; twice, as registers look things up.
const FIRST_HIGH: [u8; 32] = table(0);

/// Those of a first byte's low half.
const FIRST_LOW: [u8; 32] = table(1);

/// Those of a second byte's high half.
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
