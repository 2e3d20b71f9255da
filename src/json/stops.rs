//! Where strings end: the one question about a text for which every byte of it has to be looked at.
//!
//! Inside of a string only three kinds of bytes are more than their own spelling: its closing quote, a backslash, and
//! control characters, which have no place there (RFC 8259, section 7). There are two ways to find the next of them, with
//! the same result: to look for it ([`Sought`]), or to look it up in words that say it of 64 bytes each ([`Marked`]).

#[cfg(target_arch = "x86_64")]
use super::vector::Avx2;

/// Finds where strings stop to be their own spelling.
pub(super) trait Stops {
    /// The first place from `at` on where a string ends, or is more than its own spelling; else the end of the text.
    fn next(&mut self, text: &[u8], at: usize) -> usize;

    /// Whether the text is UTF-8, as far as it was looked at.
    fn is_utf8(&self) -> bool;
}

/// Looks for each stop, in a text that is known to be UTF-8.
#[derive(Clone, Copy)]
pub(super) struct Sought;

impl Stops for Sought {
    #[inline(always)]
    fn next(&mut self, text: &[u8], mut at: usize) -> usize {
        // Most strings are short: eight bytes at a time reach their end soonest. All else is not worth its place here.
        let long = at + 32;
        while at < long
            && let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk)
        {
            let stop = first_stop(chunk);
            at += stop;
            if stop < 8 {
                return at;
            }
        }
        far_stop(text, at)
    }

    fn is_utf8(&self) -> bool {
        true
    }
}

/// The first stop from `at` on; else the end of the text.
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

/// The place of the first stop among eight bytes, or 8.
#[inline]
const fn first_stop(chunk: &[u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    /// A lane's highest bit is set where it is below the limit. A borrow can set it wrongly in lanes above such a one,
    /// never in lanes below, and only the lowest is looked at.
    const fn below(lanes: u64, limit: u64) -> u64 {
        lanes.wrapping_sub(ONES * limit) & !lanes
    }
    let lanes = u64::from_le_bytes(*chunk);
    let quotes = below(lanes ^ (ONES * b'"' as u64), 1);
    let backslashes = below(lanes ^ (ONES * b'\\' as u64), 1);
    let controls = below(lanes, b' ' as u64);
    ((quotes | backslashes | controls) & (ONES << 7)).trailing_zeros() as usize / 8
}

/// How many blocks of 64 bytes are marked at once: few enough that what was marked is still at hand when it is read.
#[cfg(target_arch = "x86_64")]
const WINDOW: usize = 64;

/// Looks stops up, in words that vector instructions make of the blocks of a text. What no string holds is not looked
/// at, and need not be: whoever reads tokens finds that it is no JSON if it is not ASCII.
#[cfg(target_arch = "x86_64")]
pub(super) struct Marked {
    instructions: Avx2,
    /// A bit for each byte of the window's blocks, set at stops.
    words: [u64; WINDOW],
    /// The window's first block.
    first: usize,
    is_utf8: bool,
}

#[cfg(target_arch = "x86_64")]
impl Marked {
    /// Nothing is marked yet.
    pub(super) fn new(instructions: Avx2) -> Self {
        // No text has so many blocks.
        Self { instructions, words: [0; WINDOW], first: usize::MAX - WINDOW, is_utf8: true }
    }

    /// The word of a block.
    #[inline(always)]
    fn word(&mut self, text: &[u8], block: usize) -> u64 {
        match self.words.get(block.wrapping_sub(self.first)) {
            Some(word) => *word,
            None => self.mark(text, block),
        }
    }

    /// Marks the window that begins with a block, and gives that block's word.
    #[inline(never)]
    fn mark(&mut self, text: &[u8], block: usize) -> u64 {
        self.first = block;
        self.is_utf8 &= self.instructions.mark_stops(text, block * 64, &mut self.words);
        self.words[0]
    }
}

#[cfg(target_arch = "x86_64")]
impl Stops for Marked {
    #[inline(always)]
    fn next(&mut self, text: &[u8], at: usize) -> usize {
        let mut block = at / 64;
        let mut word = self.word(text, block) & u64::MAX << (at % 64);
        while word == 0 {
            block += 1;
            if block * 64 >= text.len() {
                return text.len().max(at);
            }
            word = self.word(text, block);
        }
        block * 64 + word.trailing_zeros() as usize
    }

    fn is_utf8(&self) -> bool {
        self.is_utf8
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests;
