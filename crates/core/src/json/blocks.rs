//! A text in blocks of 64 bytes, and what of each of them stands outside of strings.
//!
//! Whether a byte is in a string depends on all quotes before it, and whether a quote counts on the backslashes before it.
//! Both are told for 64 bytes at once by arithmetic on words (Langdale and Lemire, "Parsing gigabytes of JSON per second",
//! 2019). The words come from [vector instructions](super::vector), or from [`portable`] code with the same result.

use super::tokens::BYTE_ORDER_MARK;

mod portable;

/// How many blocks are marked at once: few enough that what was marked is still at hand when it is read.
const WINDOW: usize = 16;

/// How many bytes these are.
pub(super) const WINDOW_BYTES: usize = WINDOW * 64;

/// The blocks of a window.
pub(super) type Blocks = [[u8; 64]; WINDOW];

/// A bit for each byte of the blocks of a window, the lowest of a word for the block's first byte.
pub(super) type Words = [u64; WINDOW];

/// So many places are written at once, and then so many counted as there are.
const AT_ONCE: usize = 4;

/// What is known of the bytes of a window.
pub(super) struct Marks {
    pub(super) signs: Signs,
    /// Strings, from the opening quote to the last byte before the closing one.
    pub(super) strings: Words,
}

impl Marks {
    /// Nothing is marked.
    pub(super) const fn new() -> Self {
        Self { signs: Signs { places: [0; WINDOW_BYTES + AT_ONCE], count: 0 }, strings: [0; WINDOW] }
    }
}

/// Where in a window brackets, braces and colons are outside of strings, one after the other.
pub(super) struct Signs {
    places: [u16; WINDOW_BYTES + AT_ONCE],
    count: usize,
}

impl Signs {
    /// Where in the window the sign of this number is.
    #[inline(always)]
    pub(super) fn get(&self, number: usize) -> Option<usize> {
        if number < self.count { self.places.get(number).map(|place| usize::from(*place)) } else { None }
    }

    /// Adds the signs of a block.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a window has fewer bytes")]
    pub(super) fn push(&mut self, block: usize, signs: u64) {
        let mut rest = signs;
        let mut count = self.count;
        self.count += signs.count_ones() as usize;
        // No branch on how many there are but whether they are many: that is hard to foretell.
        while let Some(places) = self.places.get_mut(count..).and_then(<[u16]>::first_chunk_mut::<AT_ONCE>) {
            for place in places {
                *place = (block * 64) as u16 + rest.trailing_zeros() as u16;
                rest &= rest.wrapping_sub(1);
            }
            if rest == 0 {
                break;
            }
            count += AT_ONCE;
        }
    }
}

/// What was met in a window, and must not be there, or perhaps not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// What has no place outside of strings: backslashes, and what is not ASCII.
    pub(super) misplaced: u64,
    /// Whether there are control characters.
    pub(super) controls: bool,
    /// Whether a character that ends in the window is no UTF-8.
    pub(super) not_utf8: bool,
}

/// What the bytes before a block do to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// 1 where the first byte is escaped.
    pub(super) escaped: u64,
    /// All bits where a string is open.
    pub(super) open: u64,
}

impl Before {
    /// What is escaped in a block, by its backslashes.
    ///
    /// Of a run of backslashes every other one escapes what follows, from the first on that is not escaped itself. A
    /// subtraction carries through the run, and leaves different bits behind it where it begins at an odd place and where
    /// it begins at an even one.
    #[inline(always)]
    pub(super) const fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let beginning = backslashes & !self.escaped;
        let escaping_or_behind = ((beginning << 1) | ODD).wrapping_sub(beginning) ^ ODD;
        let escaped = escaping_or_behind ^ (backslashes | self.escaped);
        self.escaped = (escaping_or_behind & backslashes) >> 63;
        escaped
    }

    /// What is in strings, by whether the quotes up to each byte are odd.
    #[inline(always)]
    pub(super) const fn strings(&mut self, odd: u64) -> u64 {
        let strings = odd ^ self.open;
        self.open = (strings.cast_signed() >> 63).cast_unsigned();
        strings
    }
}

/// Marks windows, and finds what must not be in them.
#[derive(Clone, Copy)]
pub(super) enum Marker {
    /// By vector instructions.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    Vector(super::vector::Vector),
    /// By instructions that every processor has. The text must be known to be UTF-8.
    Portable,
}

impl Marker {
    /// The best there is on this processor.
    pub(super) fn best() -> Self {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let Some(instructions) = super::vector::Vector::detect() {
            return Self::Vector(instructions);
        }
        Self::Portable
    }

    /// Whether it tells what is no UTF-8.
    pub(super) const fn judges_utf8(self) -> bool {
        !matches!(self, Self::Portable)
    }

    /// Marks a window, and what is before the one behind it.
    fn mark(self, blocks: &Blocks, previous: &[u8; 32], before: &mut Before, marks: &mut Marks) -> Met {
        marks.signs.count = 0;
        match self {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Self::Vector(instructions) => instructions.mark(blocks, previous, before, marks),
            Self::Portable => portable::mark(blocks, before, marks),
        }
    }

    /// Marks the window of this number, by what is before it, and gives what is before the one behind it. Nothing where it
    /// must not be in a text.
    pub(super) fn judge(self, text: &[u8], window: usize, before: &mut Before, marks: &mut Marks) -> bool {
        let begin = window * WINDOW_BYTES;
        let rest = text.get(begin..).unwrap_or_default();
        let previous = begin.checked_sub(32).and_then(|begin| text.get(begin..)?.first_chunk()).unwrap_or(&[b' '; 32]);
        let met = match rest.as_chunks().0.first_chunk() {
            Some(blocks) if begin > 0 || !text.starts_with(BYTE_ORDER_MARK) => {
                self.mark(blocks, previous, before, marks)
            }
            _ => self.mark(&padded(text, begin), previous, before, marks),
        };
        met.misplaced == 0 && !met.not_utf8 && (!met.controls || controls_are_blanks(text, begin, marks))
    }
}

/// The window from a place on, with blanks behind the end of the text, and instead of a byte order mark.
#[inline(never)]
fn padded(text: &[u8], begin: usize) -> Blocks {
    let mut blocks = [[b' '; 64]; WINDOW];
    for (block, bytes) in blocks.iter_mut().zip(text.get(begin..).unwrap_or_default().chunks(64)) {
        block[..bytes.len()].copy_from_slice(bytes);
    }
    if begin == 0 && text.starts_with(BYTE_ORDER_MARK) {
        blocks[0][..BYTE_ORDER_MARK.len()].fill(b' ');
    }
    blocks
}

/// Each bit is whether so many bits as are at its place or below it are odd.
pub(super) const fn odd(mut bits: u64) -> u64 {
    let mut distance = 1;
    while distance < 64 {
        bits ^= bits << distance;
        distance *= 2;
    }
    bits
}

/// Whether the control characters of a window are whitespace, and outside of strings.
pub(super) fn controls_are_blanks(text: &[u8], begin: usize, marks: &Marks) -> bool {
    let blocks = text.get(begin..).unwrap_or_default().chunks(64);
    blocks.zip(&marks.strings).all(|(block, strings)| {
        let (mut controls, mut blanks) = (0_u64, 0_u64);
        for (place, byte) in block.iter().enumerate() {
            controls |= u64::from(*byte < b' ') << place;
            blanks |= u64::from(matches!(byte, b'\t' | b'\n' | b'\r')) << place;
        }
        controls & (strings | !blanks) == 0
    })
}

#[cfg(test)]
mod tests;
