//! Tokens of a JSON text, and whole values passed over: the inner loop of every scan.
//!
//! It accepts RFC 8259 and nothing else. Containers are kept on a stack of its own, so that nesting costs one byte a
//! level and never the thread's stack. What looks at the bytes of strings in bulk is [`stops`](super::stops).

use super::{
    JsonError, Span, scalar,
    stops::{Sought, Stops},
};

/// What [`Tokens::byte`] gives at the end of the text; no token begins with it.
const END: u8 = 0;

/// A place in a JSON text, and the containers that are open there.
pub(super) struct Reader<'a, S = Sought> {
    tokens: Tokens<'a>,
    stops: S,
    /// The byte that closes each open container, outermost first.
    open: Vec<u8>,
    depth: usize,
}

/// Lengths of names: a bit for each, the last for all from 63 on. Most members are not wanted, and most of them are told
/// by the length of their name alone.
#[derive(Clone, Copy, Default)]
pub(super) struct Lengths(u64);

impl Lengths {
    /// Adds the length of a name.
    pub(super) const fn add(&mut self, length: usize) {
        self.0 |= Self::bit(length);
    }

    #[inline(always)]
    const fn has(self, length: usize) -> bool {
        self.0 & Self::bit(length) != 0
    }

    #[inline(always)]
    const fn bit(length: usize) -> u64 {
        1 << if length < 63 { length } else { 63 }
    }
}

/// A member's name as it is spelled, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    quoted: &'a [u8],
    escaped: bool,
}

impl<'a> Name<'a> {
    /// The name as it stands, with its quotes.
    pub(super) const fn quoted(self) -> &'a [u8] {
        self.quoted
    }

    /// Whether the name may have one of these lengths, once decoded.
    #[inline(always)]
    const fn may_be(self, lengths: Lengths) -> bool {
        self.escaped || lengths.has(self.quoted.len() - 2)
    }

    /// Whether this is the name, once decoded. Nothing is decoded where nothing is escaped.
    #[inline]
    pub(super) fn is(self, wanted: &str) -> bool {
        if self.escaped {
            return scalar::text(self.quoted).is_some_and(|text| *text == *wanted.as_bytes());
        }
        self.quoted.len() == wanted.len() + 2 && &self.quoted[1..=wanted.len()] == wanted.as_bytes()
    }
}

impl<'a> Reader<'a> {
    /// Begins at the first token after a byte order mark, if there is one. The text must be UTF-8.
    pub(super) fn new(bytes: &'a [u8], depth: u16) -> Self {
        Self::by(Sought, bytes, depth)
    }
}

impl<'a, S: Stops> Reader<'a, S> {
    /// The same, with a way to find where strings stop.
    pub(super) fn by(stops: S, bytes: &'a [u8], depth: u16) -> Self {
        let at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut tokens = Tokens { bytes, at };
        tokens.token();
        Self { tokens, stops, open: Vec::with_capacity(32), depth: depth.into() }
    }

    /// Where the next byte is.
    #[inline]
    pub(super) const fn at(&self) -> usize {
        self.tokens.at
    }

    /// How many bytes were not passed.
    pub(super) const fn left(&self) -> usize {
        self.tokens.bytes.len() - self.tokens.at
    }

    /// Goes back to a place that was passed before, at the same nesting.
    pub(super) const fn return_to(&mut self, at: usize) {
        self.tokens.at = at;
    }

    /// From `start` to here. Bodies beyond the reach of a [`Span`] are refused before any is made.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "no text longer than u32::MAX is read")]
    pub(super) const fn span_from(&self, start: usize) -> Span {
        Span { start: start as u32, end: self.tokens.at as u32 }
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.tokens.bytes[start..self.tokens.at]
    }

    /// The next byte, which begins a value where one is due.
    #[inline]
    pub(super) fn byte(&self) -> u8 {
        self.tokens.byte()
    }

    /// Passes the bracket or brace that opens a container closed by `close`; the next byte is its first token.
    /// False where the container is empty: then it is passed whole.
    #[inline]
    pub(super) fn enter(&mut self, close: u8) -> Result<bool, JsonError> {
        let mut tokens = self.tokens;
        let entered = self.open_container(&mut tokens, close)?;
        self.tokens = tokens;
        Ok(entered)
    }

    /// After a value in a container: whether another one follows. Its first token is the next byte; else the container
    /// is passed.
    #[inline]
    pub(super) fn another(&mut self) -> Result<bool, JsonError> {
        let mut tokens = self.tokens;
        let follows = self.go_on(&mut tokens)?;
        self.tokens = tokens;
        Ok(follows)
    }

    /// Passes a member's name and colon; the next byte is the first one of its value.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Name<'a>, JsonError> {
        let mut tokens = self.tokens;
        let name = tokens.name(&mut self.stops)?;
        self.tokens = tokens;
        Ok(name)
    }

    /// From the beginning of a member on: passes members up to one whose name may have one of these lengths, its name and
    /// its colon. Nothing where there is none: then the object is passed.
    pub(super) fn name_of(&mut self, lengths: Lengths) -> Result<Option<Name<'a>>, JsonError> {
        let mut tokens = self.tokens;
        loop {
            let name = tokens.name(&mut self.stops)?;
            if name.may_be(lengths) {
                self.tokens = tokens;
                return Ok(Some(name));
            }
            if matches!(tokens.byte(), b'{' | b'[') {
                self.tokens = tokens;
                self.skip_container()?;
                tokens = self.tokens;
            } else {
                tokens.scalar(&mut self.stops)?;
            }
            if !self.go_on(&mut tokens)? {
                self.tokens = tokens;
                return Ok(None);
            }
        }
    }

    /// Passes the value whose first byte is the next.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        let mut tokens = self.tokens;
        if matches!(tokens.byte(), b'{' | b'[') {
            return self.skip_container();
        }
        tokens.scalar(&mut self.stops)?;
        self.tokens = tokens;
        Ok(())
    }

    /// Passes the container whose opening byte is the next.
    fn skip_container(&mut self) -> Result<(), JsonError> {
        // The place is kept in a value of its own through this loop, and what closes the innermost container in another,
        // so that they stay in registers.
        let mut tokens = self.tokens;
        let mut close = 0;
        let outside = self.open.len();
        loop {
            let entered = match tokens.byte() {
                b'{' => self.open_container(&mut tokens, b'}')?.then_some(b'}'),
                b'[' => self.open_container(&mut tokens, b']')?.then_some(b']'),
                _ => {
                    tokens.scalar(&mut self.stops)?;
                    None
                }
            };
            match entered {
                Some(entered) => close = entered,
                // A value has ended, and with it perhaps the containers around it.
                None => loop {
                    if self.open.len() == outside {
                        self.tokens = tokens;
                        return Ok(());
                    }
                    let byte = tokens.token();
                    if byte == b',' {
                        tokens.at += 1;
                        tokens.token();
                        break;
                    }
                    if byte != close {
                        return tokens.malformed();
                    }
                    tokens.at += 1;
                    self.open.pop();
                    close = self.open.last().copied().unwrap_or_default();
                },
            }
            if close == b'}' {
                tokens.name(&mut self.stops)?;
            }
        }
    }

    /// Whether the text is UTF-8, as far as it was read.
    pub(super) fn is_utf8(&self) -> bool {
        self.stops.is_utf8()
    }

    /// Passes whitespace up to the end of the text; anything else there is an error.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.tokens.token();
        if self.tokens.at == self.tokens.bytes.len() { Ok(()) } else { self.tokens.malformed() }
    }

    #[inline(always)]
    fn open_container(&mut self, tokens: &mut Tokens<'a>, close: u8) -> Result<bool, JsonError> {
        if self.open.len() == self.depth {
            return Err(JsonError::TooDeep);
        }
        tokens.at += 1;
        if tokens.token() == close {
            tokens.at += 1;
            return Ok(false);
        }
        self.open.push(close);
        Ok(true)
    }

    #[inline(always)]
    fn go_on(&mut self, tokens: &mut Tokens<'a>) -> Result<bool, JsonError> {
        let byte = tokens.token();
        if byte == b',' {
            tokens.at += 1;
            tokens.token();
            return Ok(true);
        }
        if self.open.last() != Some(&byte) {
            return tokens.malformed();
        }
        self.open.pop();
        tokens.at += 1;
        Ok(false)
    }
}

/// A place in a JSON text. What steps over tokens is inlined, so that a loop of them keeps the place in registers.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The next byte, [`END`] at the end.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(END)
    }

    /// The next byte that is no whitespace, which is now the next one.
    #[inline(always)]
    fn token(&mut self) -> u8 {
        loop {
            let byte = self.byte();
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    /// That the text is no JSON from the next byte on.
    #[inline(always)]
    const fn malformed<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Malformed { at: self.at })
    }

    /// Passes a member's name and colon; the next byte is the first one of its value.
    #[inline(always)]
    fn name(&mut self, stops: &mut impl Stops) -> Result<Name<'a>, JsonError> {
        if self.byte() != b'"' {
            return self.malformed();
        }
        let start = self.at;
        let escaped = self.string(stops)?;
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
    fn scalar(&mut self, stops: &mut impl Stops) -> Result<(), JsonError> {
        match self.byte() {
            b'"' => self.string(stops).map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.malformed(),
        }
    }

    /// Passes a string, whose opening quote is the next byte; true where it has an escape.
    #[inline(always)]
    fn string(&mut self, stops: &mut impl Stops) -> Result<bool, JsonError> {
        self.at = stops.next(self.bytes, self.at + 1);
        if self.byte() == b'"' {
            self.at += 1;
            return Ok(false);
        }
        match escaped_end(self.bytes, self.at, stops) {
            Ok(end) => {
                self.at = end;
                Ok(true)
            }
            Err(at) => Err(JsonError::Malformed { at }),
        }
    }

    /// Passes a number.
    #[inline(always)]
    fn number(&mut self) -> Result<(), JsonError> {
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

    /// Passes digits, of which there must be one.
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

    /// Passes `true`, `false` or `null`.
    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.malformed();
        }
        self.at += word.len();
        Ok(())
    }
}

/// From the first stop in a string, which is not its end, to behind its closing quote; else the place of what is wrong.
///
/// Half a surrogate pair is well-formed: such a string is no text, but an item that holds one leaves as it came.
#[inline(never)]
fn escaped_end(bytes: &[u8], mut at: usize, stops: &mut impl Stops) -> Result<usize, usize> {
    loop {
        match bytes[at..] {
            [b'"', ..] => return Ok(at + 1),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at += 2,
            [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => at += 6,
            _ => return Err(at),
        }
        at = stops.next(bytes, at);
    }
}

/// How many of eight bytes are digits, up to the first that is none.
#[inline(always)]
const fn leading_digits(chunk: &[u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    // Digits become their values, and in all other lanes the highest bit is set; no lane reaches into another.
    let lanes = u64::from_le_bytes(*chunk) ^ (ONES * b'0' as u64);
    let others = ((lanes & (ONES * 0x7f)) + ONES * (0x80 - 10)) | lanes;
    (others & (ONES << 7)).trailing_zeros() as usize / 8
}

#[cfg(test)]
pub(super) mod tests;
