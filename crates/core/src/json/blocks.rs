//! A JSON text in blocks of 64 bytes, and the signs (brackets, braces and colons) outside of its strings.
//!
//! A byte is in a string if an odd number of unescaped quotes precedes it, and a quote is escaped if an odd number of
//! backslashes precedes it. Arithmetic on 64-bit words decides both for 64 bytes at once (Langdale and Lemire, "Parsing
//! gigabytes of JSON per second", 2019). The words come from [vector instructions](super::vector), or from [`portable`]
//! code with the same result.

use super::{
    span::BYTE_ORDER_MARK,
    window::{Before, Blocks, Met, WINDOW, WINDOW_BYTES, WindowMarks},
};

mod portable;

/// The code that marks windows and finds faults in them.
#[derive(Clone, Copy)]
pub(super) enum WindowMarker {
    /// Code with vector instructions.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    Vector(super::vector::Vector),
    /// Code for every processor. The caller must check that the text is UTF-8.
    Portable,
}

impl WindowMarker {
    /// Returns the fastest marker that this processor supports.
    pub(super) fn best() -> Self {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let Some(instructions) = super::vector::Vector::detect() {
            return Self::Vector(instructions);
        }
        Self::Portable
    }

    /// Returns whether this code detects bytes that aren't UTF-8.
    pub(super) const fn judges_utf8(self) -> bool {
        !matches!(self, Self::Portable)
    }

    /// Marks a window, and updates `before` for the next window. `previous` are the 32 bytes before the window.
    fn mark(self, blocks: &Blocks, previous: &[u8; 32], before: &mut Before, marks: &mut WindowMarks) -> Met {
        marks.signs.clear();
        match self {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Self::Vector(instructions) => instructions.mark(blocks, previous, before, marks),
            Self::Portable => portable::mark(blocks, before, marks),
        }
    }

    /// Marks the window at index `window`, and updates `before` for the next window. Returns `false` if the window
    /// shows that the text isn't JSON.
    pub(super) fn judge(self, text: &[u8], window: usize, before: &mut Before, marks: &mut WindowMarks) -> bool {
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

/// Copies the window that begins at `begin`. Blanks replace a byte order mark, and fill the window after the end of the
/// text.
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

/// Returns whether every control character of a window is whitespace outside of strings.
pub(super) fn controls_are_blanks(text: &[u8], begin: usize, marks: &WindowMarks) -> bool {
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
