//! Names of members as they are spelled, and a filter for those that are wanted.

use super::scalar;

/// A filter that excludes most unwanted names without a comparison with each wanted one.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// A bit for each length of a wanted name; the last is for all lengths from 63 on.
    lengths: u64,
    /// A bit for each last byte of a name as it is spelled; of an empty one the quote before it.
    last_bytes: [u64; 4],
}

impl Wanted {
    /// Adds a name.
    pub(super) fn add(&mut self, name: &str) {
        let last = name.as_bytes().last().copied().unwrap_or(b'"');
        self.lengths |= 1 << name.len().min(63);
        self.last_bytes[usize::from(last >> 6)] |= 1 << (last & 63);
    }

    /// Returns whether a wanted name has this length. For names without escapes.
    #[inline(always)]
    const fn has_length(&self, length: usize) -> bool {
        self.lengths >> (if length < 63 { length } else { 63 }) & 1 != 0
    }

    /// Returns whether a wanted name ends with this byte.
    #[inline(always)]
    pub(super) fn has_last_byte(&self, last: u8) -> bool {
        self.last_bytes[usize::from(last >> 6)] >> (last & 63) & 1 != 0
    }
}

/// A member's name as it is spelled, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) quoted: &'a [u8],
    /// True if the name has an escape, or may have one.
    pub(super) escaped: bool,
}

impl<'a> Name<'a> {
    /// Takes the name between these places, quotes included. It may have an escape.
    #[inline]
    pub(super) fn of(text: &'a [u8], start: usize, end: usize) -> Self {
        Self { quoted: &text[start..end], escaped: true }
    }

    /// Returns the name as it stands, with its quotes.
    pub(super) const fn quoted(self) -> &'a [u8] {
        self.quoted
    }

    /// Returns whether the name may be a wanted one.
    #[inline(always)]
    pub(super) const fn may_be(self, wanted: &Wanted) -> bool {
        self.escaped || wanted.has_length(self.quoted.len() - 2)
    }

    /// Returns whether this is the name, once decoded. A name without escapes is not decoded.
    #[inline(always)]
    pub(super) fn is(self, wanted: &str) -> bool {
        let is_spelled_so =
            self.quoted.len() == wanted.len() + 2 && &self.quoted[1..=wanted.len()] == wanted.as_bytes();
        if self.escaped { self.is_decoded(wanted, is_spelled_so) } else { is_spelled_so }
    }

    /// Compares a name that may have an escape.
    #[inline]
    fn is_decoded(self, wanted: &str, is_spelled_so: bool) -> bool {
        // Decoding makes a name shorter: one with an escape is not spelled like the wanted one.
        match memchr::memchr(b'\\', self.quoted) {
            None => is_spelled_so,
            Some(_) => !is_spelled_so && scalar::text(self.quoted).is_some_and(|text| *text == *wanted.as_bytes()),
        }
    }
}
