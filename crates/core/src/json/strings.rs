//! The search for the end of a string.
//!
//! Only three kinds of bytes have a special meaning in a string: its closing quote, backslashes (which begin an
//! escape), and control characters (which aren't allowed; RFC 8259, section 7). This module calls these bytes *stops*.

#[cfg(target_arch = "x86_64")]
use super::vector::first_stop;

/// The number of bytes that are examined at once.
const CHUNK: usize = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// Returns the offset of a string's closing quote, and whether the string contains an escape. `begin` is the offset
/// after the opening quote. The text must be UTF-8.
///
/// # Errors
///
/// The offset of the first byte that isn't allowed, or of the end of the text if the string isn't closed.
#[inline(always)]
pub(super) fn string_end(text: &[u8], begin: usize) -> Result<(usize, bool), usize> {
    let at = stop(text, begin);
    if text.get(at) == Some(&b'"') { Ok((at, false)) } else { Ok((escaped_end(text, at)?, true)) }
}

/// Returns the offset of the first stop from `at` on, or the length of the text if there is none.
#[inline(always)]
fn stop(text: &[u8], mut at: usize) -> usize {
    // Most strings end within 32 bytes. The code for longer strings isn't inlined.
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

/// Does the same as `stop`, but for long strings, in blocks of 32 bytes.
fn far_stop(text: &[u8], mut at: usize) -> usize {
    // The compiler emits vector instructions, because there is no exit within a block and no branch on a byte.
    let stops = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < b' ');
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk::<32>)
        && block.iter().fold(0, |any, byte| any | stops(byte)) == 0
    {
        at += 32;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| stops(byte) != 0).unwrap_or(rest.len())
}

/// Returns the index of the first stop among eight bytes, or 8 if there is none.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
const fn first_stop(chunk: &[u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    /// Sets the highest bit of each lane that is below the limit. A borrow may also set this bit in lanes above such a
    /// lane, but never in lanes below it, and only the lowest set bit is used.
    const fn below(lanes: u64, limit: u64) -> u64 {
        lanes.wrapping_sub(ONES * limit) & !lanes
    }
    let lanes = u64::from_le_bytes(*chunk);
    let quotes = below(lanes ^ (ONES * b'"' as u64), 1);
    let backslashes = below(lanes ^ (ONES * b'\\' as u64), 1);
    let controls = below(lanes, b' ' as u64);
    ((quotes | backslashes | controls) & (ONES << 7)).trailing_zeros() as usize / 8
}

/// Returns the offset of a string's closing quote. `at` is the offset of the string's first stop, which isn't a quote.
///
/// # Errors
///
/// The offset of the first byte that isn't allowed, or of the end of the text if the string isn't closed.
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

/// Returns the length, in bytes, of the escape at the beginning of `text`; `None` if there is no valid escape.
///
/// Half a surrogate pair counts as well-formed. A string with half a pair can't be decoded, but an item that contains
/// it is served unchanged.
pub(super) fn escape_length(text: &[u8]) -> Option<usize> {
    match text {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => Some(6),
        _ => None,
    }
}
