//! The end of a string, found by looking at its bytes.
//!
//! Inside of a string only three kinds of bytes are more than their own spelling: its closing quote, backslashes, which
//! begin an escape, and control characters, which have no place there (RFC 8259, section 7).

#[cfg(target_arch = "x86_64")]
use super::vector::first_stop;

/// So many bytes are looked at together.
const CHUNK: usize = if cfg!(target_arch = "x86_64") { 16 } else { 8 };

/// Returns the closing quote of the string whose first byte, after its opening quote, is at `begin`, and whether it has
/// an escape; else the first byte that is not allowed where it is. The text is known to be UTF-8.
#[inline(always)]
pub(super) fn string_end(text: &[u8], begin: usize) -> Result<(usize, bool), usize> {
    let at = stop(text, begin);
    if text.get(at) == Some(&b'"') { Ok((at, false)) } else { Ok((escaped_end(text, at)?, true)) }
}

/// Returns the first place from `at` on where a string ends, or is more than its own spelling; else the end of the
/// text.
#[inline(always)]
fn stop(text: &[u8], mut at: usize) -> usize {
    // Most strings are short: these reach their end soonest. All else is not worth its place here.
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

/// Returns the first stop from `at` on; else the end of the text.
fn far_stop(text: &[u8], mut at: usize) -> usize {
    // No way out in the middle of a block, no branch on a byte: so the compiler makes vector instructions of it.
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
    /// Returns a lane's highest bit is set where it is below the limit. A borrow can set it wrongly in lanes above such
    /// a one, never in lanes below, and only the lowest is looked at.
    const fn below(lanes: u64, limit: u64) -> u64 {
        lanes.wrapping_sub(ONES * limit) & !lanes
    }
    let lanes = u64::from_le_bytes(*chunk);
    let quotes = below(lanes ^ (ONES * b'"' as u64), 1);
    let backslashes = below(lanes ^ (ONES * b'\\' as u64), 1);
    let controls = below(lanes, b' ' as u64);
    ((quotes | backslashes | controls) & (ONES << 7)).trailing_zeros() as usize / 8
}

/// Returns the place of a string's closing quote, from its first stop on, which is not its end; or the place of the
/// fault.
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
/// Half a surrogate pair is well-formed: such a string is no text, but an item that holds one leaves as it came.
pub(super) fn escape_length(text: &[u8]) -> Option<usize> {
    match text {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => Some(6),
        _ => None,
    }
}
