//! The vector instructions of x86-64. All processors have SSE2, and most have AVX2.

use std::arch::x86_64::*;

use super::{FIRST_HIGH, FIRST_LOW, SECOND_HIGH, SIGNS};
use crate::json::window::{Before, Blocks, Met, WindowMarks};

/// Returns the index of the first quote, backslash or control character among 16 bytes, or 16 if there is none.
#[inline(always)]
pub(in crate::json) fn first_stop(chunk: &[u8; 16]) -> usize {
    // SAFETY: all processors of this architecture have SSE2.
    unsafe { stop_of_sixteen(chunk) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn stop_of_sixteen(chunk: &[u8; 16]) -> usize {
    // SAFETY: the reference is to exactly the 16 bytes that are read, and the instruction needs no alignment.
    let bytes = unsafe { _mm_loadu_si128(chunk.as_ptr().cast()) };
    let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
    let quotes = _mm_cmpeq_epi8(bytes, all(b'"'));
    let backslashes = _mm_cmpeq_epi8(bytes, all(b'\\'));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(0x1f)), bytes);
    let stops = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls));
    (stops.cast_unsigned() | 1 << 16).trailing_zeros() as usize
}

/// The proof that this processor has AVX2 and the other instructions that `mark` needs. Processors for servers have had
/// them since 2013.
#[derive(Clone, Copy, Debug)]
pub(in crate::json) struct Vector(());

impl Vector {
    /// Returns the proof if the processor has these instructions; otherwise `None`.
    #[inline]
    pub(in crate::json) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has.then_some(Self(()))
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
        // SAFETY: the function requires these instructions, and `self` exists only if the processor has them.
        unsafe { mark(blocks, previous, before, marks) }
    }
}

#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn mark(blocks: &Blocks, previous: &[u8; 32], carried: &mut Before, marks: &mut WindowMarks) -> Met {
    let mut before = *carried;
    let mut met = Met::default();
    let mut faults = _mm256_setzero_si256();
    // The smallest byte seen in each lane, starting at a space. A smaller value is a control character.
    let mut least = all(b' ');
    let mut previous = load(previous);
    // All bits set if the block before can't end in the middle of a character, because its last three bytes are ASCII;
    // otherwise 0.
    let plain = |last: u64| if last >> 29 == 0 { u64::MAX } else { 0 };
    let mut is_plain_before = plain(bits(previous));
    for (index, (block, strings)) in blocks.iter().zip(&mut marks.strings).enumerate() {
        let (low, high) = halves(block);
        least = _mm256_min_epu8(least, _mm256_min_epu8(low, high));
        let (low_quotes, high_quotes) = (_mm256_cmpeq_epi8(low, all(b'"')), _mm256_cmpeq_epi8(high, all(b'"')));
        let non_ascii = _mm256_or_si256(low, high);
        // In most bodies, many blocks are ASCII text inside a long string. Such a block has no signs, so the rest is
        // skipped, unless its last byte may escape the next block's first byte.
        if is_plain_before & before.open != 0
            && bits(_mm256_or_si256(_mm256_or_si256(low_quotes, high_quotes), non_ascii)) == 0
            && block[63] != b'\\'
        {
            *strings = u64::MAX;
            before.escaped = 0;
            previous = high;
            continue;
        }
        let (quotes, backslashes) = (bits(low_quotes) | bits(high_quotes) << 32, equal(low, high, b'\\'));
        let escaped = before.escaped(backslashes);
        *strings = before.strings(odd(quotes & !escaped));
        marks.signs.push(index, (bits(signs(low)) | bits(signs(high)) << 32) & !*strings);
        met.misplaced |= backslashes & !*strings;
        if is_plain_before == 0 || bits(non_ascii) != 0 {
            faults = _mm256_or_si256(faults, utf8_faults(previous, low));
            faults = _mm256_or_si256(faults, utf8_faults(low, high));
            met.misplaced |= (bits(low) | bits(high) << 32) & !*strings;
            is_plain_before = plain(bits(high));
        }
        previous = high;
    }
    *carried = before;
    met.not_utf8 = _mm256_testz_si256(faults, faults) == 0;
    met.controls = bits(_mm256_cmpeq_epi8(_mm256_min_epu8(least, all(0x1f)), least)) != 0;
    met
}

/// Returns a word in which a bit is set if the number of set bits up to the same place in `bits` is odd.
#[inline]
#[target_feature(enable = "avx2,pclmulqdq")]
fn odd(bits: u64) -> u64 {
    // The carry-less product with all ones: each bit is added, modulo 2, to itself and all higher bits.
    let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1), 0);
    _mm_cvtsi128_si64(product).cast_unsigned()
}

/// Returns a vector with all bits set in each byte that is a bracket, a brace or a colon. The same is true for the
/// control character 0x1a, but a text that contains it is refused anyway.
#[inline]
#[target_feature(enable = "avx2")]
fn signs(bytes: __m256i) -> __m256i {
    // A bracket and its brace differ only in bit 5. With that bit set, brackets become braces, and a colon stays the
    // same.
    _mm256_cmpeq_epi8(looked_up(&SIGNS, bytes), _mm256_or_si256(bytes, all(b' ')))
}

/// Returns a word with a bit for each byte of a block, which is set if the byte equals `byte`.
#[inline]
#[target_feature(enable = "avx2")]
fn equal(low: __m256i, high: __m256i, byte: u8) -> u64 {
    bits(_mm256_cmpeq_epi8(low, all(byte))) | bits(_mm256_cmpeq_epi8(high, all(byte))) << 32
}

/// Returns the UTF-8 faults of 32 bytes, including faults of characters that begin in `previous`. A lane is 0 if its
/// byte shows no fault.
///
/// This is the check by Keiser and Lemire ("Validating UTF-8 in less than one instruction per byte", 2021). Two
/// neighbouring bytes show all faults but one, by three of their four halves. The remaining fault is a third or fourth
/// byte that is missing although the first byte requires it, or that comes without such a first byte.
#[inline]
#[target_feature(enable = "avx2")]
fn utf8_faults(previous: __m256i, bytes: __m256i) -> __m256i {
    // Each lane of `first` has the byte before the byte in the same lane of `bytes`.
    let cut = _mm256_permute2x128_si256(previous, bytes, 0x21);
    let first = _mm256_alignr_epi8(bytes, cut, 15);
    let two = _mm256_and_si256(
        _mm256_and_si256(
            looked_up(&FIRST_HIGH, high_halves(first)),
            looked_up(&FIRST_LOW, _mm256_and_si256(first, all(0x0f))),
        ),
        looked_up(&SECOND_HIGH, high_halves(bytes)),
    );
    // The highest bit stays set if the byte two (or three) places earlier begins a character of at least three (or
    // four) bytes.
    let third = _mm256_subs_epu8(_mm256_alignr_epi8(bytes, cut, 14), all(0xe0 - 0x80));
    let fourth = _mm256_subs_epu8(_mm256_alignr_epi8(bytes, cut, 13), all(0xf0 - 0x80));
    let due = _mm256_and_si256(_mm256_or_si256(third, fourth), all(0x80));
    _mm256_xor_si256(two, due)
}

/// Returns the high half of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn high_halves(bytes: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_srli_epi16(bytes, 4), all(0x0f))
}

/// Replaces each byte below 128 with the table's entry for its low half, and each other byte with 0.
#[inline]
#[target_feature(enable = "avx2")]
fn looked_up(table: &[u8; 32], bytes: __m256i) -> __m256i {
    _mm256_shuffle_epi8(load(table), bytes)
}

/// Returns a vector with `byte` in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// Returns a word with the highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(bytes: __m256i) -> u64 {
    _mm256_movemask_epi8(bytes).cast_unsigned().into()
}

/// Loads both halves of a block.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(block: &[u8; 64]) -> (__m256i, __m256i) {
    match block.as_chunks() {
        ([low, high], _) => (load(low), load(high)),
        _ => (all(0xff), all(0xff)),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is to exactly the 32 bytes that are read, and the instruction needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
