//! A reader of the tokens of a JSON text, which accepts exactly the tokens of RFC 8259.

use super::{name::Name, shape::JsonError, span::BYTE_ORDER_MARK, strings::string_end};

/// The byte that [`TokenReader::byte`] returns at the end of the text. No token begins with this byte.
const END: u8 = 0;

/// A place in a JSON text. The methods that pass tokens are inlined, which keeps the place in a register in loops over
/// tokens.
#[derive(Clone, Copy)]
pub(super) struct TokenReader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> TokenReader<'a> {
    /// Begins at the first byte of a text, or after its byte order mark.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 } }
    }

    /// Returns the next byte, or [`END`] at the end of the text.
    #[inline(always)]
    pub(super) fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(END)
    }

    /// Passes whitespace. Returns the byte after it, which is then the next byte.
    #[inline(always)]
    pub(super) fn token(&mut self) -> u8 {
        loop {
            let byte = self.byte();
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    /// Returns the error that the next byte isn't allowed.
    #[inline(always)]
    pub(super) const fn malformed<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Malformed { at: self.at })
    }

    /// Passes a member's name, its colon and whitespace. The next byte is then the first byte of the value.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<Name<'a>, JsonError> {
        if self.byte() != b'"' {
            return self.malformed();
        }
        let start = self.at;
        let escaped = self.string()?;
        let quoted = &self.bytes[start..self.at];
        if self.token() != b':' {
            return self.malformed();
        }
        self.at += 1;
        self.token();
        Ok(Name { quoted, escaped })
    }

    /// Passes a string, number or word.
    #[inline(always)]
    pub(super) fn scalar(&mut self) -> Result<(), JsonError> {
        match self.byte() {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.malformed(),
        }
    }

    /// Passes a string whose opening quote is the next byte. Returns whether the string contains an escape.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<bool, JsonError> {
        match string_end(self.bytes, self.at + 1) {
            Ok((end, is_escaped)) => {
                self.at = end + 1;
                Ok(is_escaped)
            }
            Err(at) => Err(JsonError::Malformed { at }),
        }
    }

    /// Passes a number, by a fast path if the number is short.
    #[inline(always)]
    fn number(&mut self) -> Result<(), JsonError> {
        if let Some(length) = self.short_number() {
            self.at += length;
            return Ok(());
        }
        self.long_number()
    }

    /// Returns the length, in bytes, of the number that begins at the next byte, if it has at most seven digits before
    /// the point, at most seven digits after the point, and no exponent. `None` for other numbers and other texts.
    #[inline(always)]
    fn short_number(&self) -> Option<usize> {
        let whole = self.at + usize::from(self.byte() == b'-');
        let (digits, mut next) = self.few_digits(whole)?;
        // No digit may follow a leading zero (RFC 8259, section 6). Test:
        // `every_short_number_is_accepted_or_refused_as_by_serde_json`.
        if self.bytes[whole] == b'0' && digits > 1 {
            return None;
        }
        let mut end = whole + digits;
        if next == b'.' {
            let (digits, follows) = self.few_digits(end + 1)?;
            end += 1 + digits;
            next = follows;
        }
        (next | 0x20 != b'e').then_some(end - self.at)
    }

    /// Returns the number of digits from the offset `at` on, and the byte after them; `None` for no digits, and for
    /// more than seven.
    #[inline(always)]
    fn few_digits(&self, at: usize) -> Option<(usize, u8)> {
        let chunk = self.bytes.get(at..)?.first_chunk()?;
        let digits = leading_digits(chunk);
        if digits == 0 {
            return None;
        }
        Some((digits, *chunk.get(digits)?))
    }

    /// Passes a number of any length and form.
    #[inline(never)]
    fn long_number(&mut self) -> Result<(), JsonError> {
        if self.byte() == b'-' {
            self.at += 1;
        }
        if self.byte() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes one or more digits.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let digits = leading_digits(chunk);
            self.at += digits;
            if digits < 8 {
                return if self.at == start { self.malformed() } else { Ok(()) };
            }
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { self.malformed() } else { Ok(()) }
    }

    /// Passes `word`, which is `true`, `false` or `null`.
    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.malformed();
        }
        self.at += word.len();
        Ok(())
    }
}

/// Returns the number of leading bytes that are digits, 0 to 8.
#[inline(always)]
const fn leading_digits(chunk: &[u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    // The exclusive or turns each digit into its value, 0 to 9. Then every lane with another value gets its highest bit
    // set. No lane carries into another lane.
    let lanes = u64::from_le_bytes(*chunk) ^ (ONES * b'0' as u64);
    let others = ((lanes & (ONES * 0x7f)) + ONES * (0x80 - 10)) | lanes;
    (others & (ONES << 7)).trailing_zeros() as usize / 8
}
