//! The instructions of x86-64: all processors have SSE2, most have AVX2.

use std::arch::x86_64::*;

use super::{FIRST_HIGH, FIRST_LOW, SECOND_HIGH, SIGNS};
use crate::json::blocks::{Before, Blocks, Met, WindowMarks};

/// Returns the place of the first of 16 bytes that is a quote, a backslash or a control character; 16 if none is.
#[inline(always)]
pub(in crate::json) fn first_stop(chunk: &[u8; 16]) -> usize {
    // SAFETY: all processors of this architecture have SSE2.
    unsafe { stop_of_sixteen(chunk) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn stop_of_sixteen(chunk: &[u8; 16]) -> usize {
    // SAFETY: the reference is to as many bytes as are read, and they need not be aligned.
    let bytes = unsafe { _mm_loadu_si128(chunk.as_ptr().cast()) };
    let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
    let quotes = _mm_cmpeq_epi8(bytes, all(b'"'));
    let backslashes = _mm_cmpeq_epi8(bytes, all(b'\\'));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(0x1f)), bytes);
    let stops = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls));
    (stops.cast_unsigned() | 1 << 16).trailing_zeros() as usize
}

/// The proof that this processor has AVX2 and the instructions that came with it: processors for servers have had them
/// since 2013.
#[derive(Clone, Copy, Debug)]
pub(in crate::json) struct Vector(());

impl Vector {
    /// Returns the proof, if the processor has these instructions.
    #[inline]
    pub(in crate::json) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has.then_some(Self(()))
    }

    /// Marks a window; `previous` are the bytes before it in the text.
    #[inline]
    pub(in crate::json) fn mark(
        self,
        blocks: &Blocks,
        previous: &[u8; 32],
        before: &mut Before,
        marks: &mut WindowMarks,
    ) -> Met {
        // SAFETY: the function may be called where there are these instructions, and `self` was only made where they
        // are.
        unsafe { mark(blocks, previous, before, marks) }
    }
}

#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn mark(blocks: &Blocks, previous: &[u8; 32], carried: &mut Before, marks: &mut WindowMarks) -> Met {
    let mut before = *carried;
    let mut met = Met::default();
    let mut faults = _mm256_setzero_si256();
    // The least byte that each lane had so far, or a blank.
    let mut least = all(b' ');
    let mut previous = load(previous);
    // All bits if no character can be cut by the end of the block before.
    let plain = |last: u64| if last >> 29 == 0 { u64::MAX } else { 0 };
    let mut is_plain_before = plain(bits(previous));
    for (index, (block, strings)) in blocks.iter().zip(&mut marks.strings).enumerate() {
        let (low, high) = halves(block);
        least = _mm256_min_epu8(least, _mm256_min_epu8(low, high));
        let (low_quotes, high_quotes) = (_mm256_cmpeq_epi8(low, all(b'"')), _mm256_cmpeq_epi8(high, all(b'"')));
        let non_ascii = _mm256_or_si256(low, high);
        // Most blocks are ASCII text of a string that neither begins nor ends within them. They have no marks, unless
        // the last byte may escape the next one.
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

/// Returns a word with a bit for each place, set if the number of bits at it and below it is odd.
#[inline]
#[target_feature(enable = "avx2,pclmulqdq")]
fn odd(bits: u64) -> u64 {
    // A product without carries by all ones: each bit adds itself to all above it.
    let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1), 0);
    _mm_cvtsi128_si64(product).cast_unsigned()
}

/// Returns a vector with all bits set in the bytes that are brackets, braces and colons; and in a control character,
/// which is refused anyway.
#[inline]
#[target_feature(enable = "avx2")]
fn signs(bytes: __m256i) -> __m256i {
    // In ASCII a bracket and a brace are one bit apart, which colons have set.
    _mm256_cmpeq_epi8(looked_up(&SIGNS, bytes), _mm256_or_si256(bytes, all(b' ')))
}

/// Returns a word with a bit for each byte of a block that equals `byte`.
#[inline]
#[target_feature(enable = "avx2")]
fn equal(low: __m256i, high: __m256i, byte: u8) -> u64 {
    bits(_mm256_cmpeq_epi8(low, all(byte))) | bits(_mm256_cmpeq_epi8(high, all(byte))) << 32
}

/// Returns the faults of 32 bytes, those of characters that end in them included; 0 is no fault.
///
/// This is Keiser's and Lemire's check ("Validating UTF-8 in less than one instruction per byte", 2021). All faults but
/// one are seen in two neighbouring bytes, by three of their four halves. The one left is a third or fourth byte that
/// is missing where the first one calls for it, or comes elsewhere.
#[inline]
#[target_feature(enable = "avx2")]
fn utf8_faults(previous: __m256i, bytes: __m256i) -> __m256i {
    // Each lane of `first` has the byte before that of `bytes`.
    let cut = _mm256_permute2x128_si256(previous, bytes, 0x21);
    let first = _mm256_alignr_epi8(bytes, cut, 15);
    let two = _mm256_and_si256(
        _mm256_and_si256(
            looked_up(&FIRST_HIGH, high_halves(first)),
            looked_up(&FIRST_LOW, _mm256_and_si256(first, all(0x0f))),
        ),
        looked_up(&SECOND_HIGH, high_halves(bytes)),
    );
    // The highest bit is left if the byte two or three places before begins a character of three or four bytes.
    let third = _mm256_subs_epu8(_mm256_alignr_epi8(bytes, cut, 14), all(0xe0 - 0x80));
    let fourth = _mm256_subs_epu8(_mm256_alignr_epi8(bytes, cut, 13), all(0xf0 - 0x80));
    let due = _mm256_and_si256(_mm256_or_si256(third, fourth), all(0x80));
    _mm256_xor_si256(two, due)
}

/// Returns the higher half of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn high_halves(bytes: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_srli_epi16(bytes, 4), all(0x0f))
}

/// Returns the entry of a table for each byte below 16.
#[inline]
#[target_feature(enable = "avx2")]
fn looked_up(table: &[u8; 32], bytes: __m256i) -> __m256i {
    _mm256_shuffle_epi8(load(table), bytes)
}

/// Returns a vector with the byte in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// Returns the highest bit of each byte.
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
    // SAFETY: the reference is to as many bytes as are read, and they need not be aligned.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
