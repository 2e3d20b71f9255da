//! The search for the end of a string.
//!
//! Only three kinds of bytes have a meaning of their own inside of a string: its closing quote, backslashes, which
//! begin an escape, and control characters, which are not allowed (RFC 8259, section 7). These are called stops.

#[cfg(target_arch = "x86_64")]
use super::vector::first_stop;

/// The number of bytes that are examined together.
const CHUNK: usize = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// Returns the place of the closing quote of the string whose first byte, after its opening quote, is at `begin`, and
/// whether the string has an escape. The text must be UTF-8.
///
/// # Errors
///
/// The place of the first byte that is not allowed.
#[inline(always)]
pub(super) fn string_end(text: &[u8], begin: usize) -> Result<(usize, bool), usize> {
    let at = stop(text, begin);
    if text.get(at) == Some(&b'"') { Ok((at, false)) } else { Ok((escaped_end(text, at)?, true)) }
}

/// Returns the place of the first stop from `at` on, or the end of the text.
#[inline(always)]
fn stop(text: &[u8], mut at: usize) -> usize {
    // Most strings are short, and end within the first 32 bytes. The code for others is not inlined.
    let long = at + 32;
    while at < long
        && let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<CHUNK>)
    {
        let stop = first_stop(chunk);
        at += stop;
        if stop < CHUNK {
            return at;
        }
    }
    far_stop(text, at)
}

/// Returns the place of the first stop from `at` on, or the end of the text, block by block.
fn far_stop(text: &[u8], mut at: usize) -> usize {
    // Without an exit within a block, and without branches on bytes, the compiler emits vector instructions.
    let stops = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < b' ');
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk::<32>)
        && block.iter().fold(0, |any, byte| any | stops(byte)) == 0
    {
        at += 32;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| stops(byte) != 0).unwrap_or(rest.len())
}

/// Returns the place of the first stop among eight bytes, or 8.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
const fn first_stop(chunk: &[u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    /// Sets the highest bit of each lane that is below the limit. A borrow can set it wrongly in lanes above such a
    /// lane, never in lanes below; only the lowest one is used.
    const fn below(lanes: u64, limit: u64) -> u64 {
        lanes.wrapping_sub(ONES * limit) & !lanes
    }
    let lanes = u64::from_le_bytes(*chunk);
    let quotes = below(lanes ^ (ONES * b'"' as u64), 1);
    let backslashes = below(lanes ^ (ONES * b'\\' as u64), 1);
    let controls = below(lanes, b' ' as u64);
    ((quotes | backslashes | controls) & (ONES << 7)).trailing_zeros() as usize / 8
}

/// Returns the place of a string's closing quote, beginning at its first stop, an escape.
///
/// # Errors
///
/// The place of the first byte that is not allowed.
#[inline(never)]
fn escaped_end(text: &[u8], mut at: usize) -> Result<usize, usize> {
    loop {
        if text.get(at) == Some(&b'"') {
            return Ok(at);
        }
        at += escape_length(&text[at..]).ok_or(at)?;
        at = stop(text, at);
    }
}

/// Returns the length in bytes of the escape at the beginning of this text.
///
/// Half a surrogate pair is well-formed: a string with one is no text, but an item that holds one is served as it came.
pub(super) fn escape_length(text: &[u8]) -> Option<usize> {
    match text {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => Some(6),
        _ => None,
    }
}
