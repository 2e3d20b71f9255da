//! Names of members in the spelling of the text, and a filter for wanted names.

use super::scalar;

/// A filter that excludes most unwanted names without comparing them with each wanted name.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// A bit for each length in bytes of a wanted name; the highest bit is for all lengths from 63 on.
    lengths: u64,
    /// A bit for the last byte of each wanted name; for an empty name, the bit of the quote before it.
    last_bytes: [u64; 4],
}

impl Wanted {
    /// Adds a name, without quotes, to the wanted names.
    pub(super) fn add(&mut self, name: &str) {
        let last = name.as_bytes().last().copied().unwrap_or(b'"');
        self.lengths |= 1 << name.len().min(63);
        self.last_bytes[usize::from(last >> 6)] |= 1 << (last & 63);
    }

    /// Returns whether a wanted name has this length. Only for names that are spelled without escapes.
    #[inline(always)]
    const fn has_length(&self, length: usize) -> bool {
        self.lengths >> (if length < 63 { length } else { 63 }) & 1 != 0
    }

    /// Returns whether a wanted name ends with this byte. Only for names that don't end with an escape.
    #[inline(always)]
    pub(super) fn has_last_byte(&self, last: u8) -> bool {
        self.last_bytes[usize::from(last >> 6)] >> (last & 63) & 1 != 0
    }
}

/// A member's name in the spelling of the text, with its quotes.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) quoted: &'a [u8],
    /// True if the name contains an escape, or if that wasn't checked.
    pub(super) escaped: bool,
}

impl<'a> Name<'a> {
    /// Makes the name between two offsets, which include the quotes. The name may contain an escape.
    #[inline]
    pub(super) fn of(text: &'a [u8], start: usize, end: usize) -> Self {
        Self { quoted: &text[start..end], escaped: true }
    }

    /// Returns the name in the spelling of the text, with its quotes.
    pub(super) const fn quoted(self) -> &'a [u8] {
        self.quoted
    }

    /// Returns whether the name may be a wanted name; `false` is certain.
    #[inline(always)]
    pub(super) const fn may_be(self, wanted: &Wanted) -> bool {
        self.escaped || wanted.has_length(self.quoted.len() - 2)
    }

    /// Returns whether this name, once decoded, is `wanted`. Decodes it only if it contains an escape.
    #[inline(always)]
    pub(super) fn is(self, wanted: &str) -> bool {
        let is_spelled_so =
            self.quoted.len() == wanted.len() + 2 && &self.quoted[1..=wanted.len()] == wanted.as_bytes();
        if self.escaped { self.is_decoded(wanted, is_spelled_so) } else { is_spelled_so }
    }

    /// Compares a name that may contain an escape. `is_spelled_so` is true if its spelling equals `wanted`.
    #[inline]
    fn is_decoded(self, wanted: &str, is_spelled_so: bool) -> bool {
        // Decoding makes a name with an escape shorter, so a name that equals `wanted` before decoding doesn't equal it
        // afterwards.
        match memchr::memchr(b'\\', self.quoted) {
            None => is_spelled_so,
            Some(_) => !is_spelled_so && scalar::text(self.quoted).is_some_and(|text| *text == *wanted.as_bytes()),
        }
    }
}
