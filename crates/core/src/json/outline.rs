//! The outline of a JSON text: the reader reads wanted values and passes over all others.
//!
//! A part that is passed over is judged only by [the marks of its blocks](super::blocks): the bytes in strings, and the
//! brackets, braces and colons outside of strings. Only these properties are checked for a value that is passed over,
//! and for the text around wanted places:
//!
//! - Strings are closed and contain no control characters.
//! - Outside of strings there are only ASCII characters other than backslashes. The only control characters are
//!   whitespace.
//! - The whole text is UTF-8.
//! - Each bracket and brace is closed by its own kind, within the value. Nesting stays within the allowed depth.
//!
//! So a value ends where every reader of JSON ends it, unless that reader also accepts comments or other quotes. Text
//! after a value can't be taken for a part of the value, and no part of a value for text after it. The rest of the
//! grammar isn't checked: the spelling of words and numbers (`01`, `nul`, `NaN`), the escapes in strings (`"\x"`), and
//! the places of names, colons and commas (`{"a" 1}`, `[1,,2]`).

use super::{
    blocks::WindowMarker,
    name::{Name, Wanted},
    plan::Direct,
    reader::{Elements, JsonReader, Read},
    shape::JsonError,
    tokens::TokenReader,
    window::{Before, WINDOW_BYTES, WindowMarks},
};

mod elements;

/// A reader of the outline of a text. It records its place, and the containers that are open there.
pub(super) struct Outline<'a, 'm> {
    text: &'a [u8],
    at: usize,
    marker: WindowMarker,
    marks: &'m mut WindowMarks,
    /// The offset of the window that is marked now.
    begin: usize,
    /// The index of the window's next sign. Signs before `at` are passed over.
    next: usize,
    /// The state at the beginning of each window that was marked so far, and of the next window.
    before: Vec<Before>,
    /// True while no marked window has a fault.
    is_sound: bool,
    /// The closing byte of each open container, the outermost first.
    open: Vec<u8>,
    depth: usize,
}

impl<'a, 'm> Outline<'a, 'm> {
    /// Begins at the first token of a text. A byte order mark before it is skipped. `depth` is the largest number of
    /// open containers.
    pub(super) fn new(marker: WindowMarker, marks: &'m mut WindowMarks, text: &'a [u8], depth: u16) -> Self {
        let mut tokens = TokenReader::new(text);
        tokens.token();
        let mut before = Vec::with_capacity(text.len() / WINDOW_BYTES + 2);
        before.push(Before::default());
        let (open, depth) = (Vec::with_capacity(32), depth.into());
        let mut outline =
            Self { text, at: tokens.at, marker, marks, begin: 0, next: 0, before, is_sound: true, open, depth };
        outline.mark(0);
        outline
    }

    /// Returns whether all windows marked so far are free of faults. After `end`, these are all windows of the text.
    pub(super) const fn is_sound(&self) -> bool {
        self.is_sound
    }

    const fn tokens(&self) -> TokenReader<'a> {
        TokenReader { bytes: self.text, at: self.at }
    }

    const fn malformed<T>(&self) -> Result<T, JsonError> {
        self.tokens().malformed()
    }

    /// Passes the next sign, and returns its offset and its byte; `None` at the end of the text. Doesn't change `at`.
    #[inline(always)]
    fn sign(&mut self) -> Option<(usize, u8)> {
        loop {
            match self.marks.signs.get(self.next) {
                Some(place) => {
                    self.next += 1;
                    let at = self.begin + place;
                    if at >= self.at {
                        return Some((at, *self.text.get(at)?));
                    }
                }
                None => self.next_window()?,
            }
        }
    }

    /// Marks the next window; `None` if the present window is the last.
    #[inline(never)]
    fn next_window(&mut self) -> Option<()> {
        let begin = self.begin + WINDOW_BYTES;
        (begin < self.text.len()).then(|| self.mark(begin / WINDOW_BYTES))
    }

    /// Marks the window at this index, which was marked before, or is the first one that wasn't.
    #[inline(never)]
    fn mark(&mut self, window: usize) {
        let Some(before) = self.before.get(window) else { return };
        let mut before = *before;
        let is_sound = self.marker.judge(self.text, window, &mut before, self.marks);
        if self.before.len() == window + 1 {
            self.is_sound &= is_sound;
            self.before.push(before);
        }
        self.begin = window * WINDOW_BYTES;
        self.next = 0;
    }

    /// Returns the offset of the closing quote of the name before a colon; `None` if no quote is there.
    #[inline(always)]
    fn quote_before(&self, colon: usize) -> Option<usize> {
        let end = colon.checked_sub(1)?;
        if *self.text.get(end)? == b'"' { Some(end) } else { self.far_quote_before(colon) }
    }

    /// Returns the offset of the closing quote before a colon if whitespace is between the two.
    #[inline(never)]
    fn far_quote_before(&self, colon: usize) -> Option<usize> {
        let before = self.text.get(..colon)?;
        let end = before.iter().rposition(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))?;
        (before[end] == b'"').then_some(end)
    }

    /// Returns whether the name before a colon is certainly not wanted: a quote is right before the colon, and the byte
    /// before it is neither the last byte of a wanted name nor the end of an escape.
    #[inline(always)]
    fn is_unwanted(&self, wanted: &Wanted, colon: usize) -> bool {
        // A name in the first seven bytes of the body is so rare that it is simply not excluded.
        let before = self.text.get(colon.wrapping_sub(7)..colon).and_then(<[u8]>::first_chunk);
        before.is_some_and(|&[sixth, _, _, _, second, last, quote]| {
            quote == b'"' && !wanted.has_last_byte(last) && second != b'\\' && sixth != b'\\'
        })
    }

    /// Returns the offset of the opening quote of the name whose closing quote is at `end`.
    #[inline(always)]
    fn name_start(&self, end: usize) -> Option<usize> {
        // `bits` has the marks of the 64 bytes before the closing quote; its highest bit is for the last of these
        // bytes.
        let place = end.wrapping_sub(self.begin);
        if let Some([before, word]) =
            self.marks.strings.get((place / 64).wrapping_sub(1)..).and_then(<[u64]>::first_chunk)
        {
            let bits = before >> (place % 64) | word << 1 << (63 - place % 64);
            let length = bits.leading_ones() as usize;
            // A longer name begins before these 64 bytes. Test: `names_of_any_length_are_found`.
            if length < 64 {
                return (length > 0).then_some(end - length);
            }
        }
        self.far_name_start(end)
    }

    /// Returns the offset of the opening quote of a long name, or of a name near the beginning of the window.
    #[inline(never)]
    fn far_name_start(&self, end: usize) -> Option<usize> {
        let before = self.text.get(..end)?;
        let mut start = end;
        loop {
            start = memchr::memrchr(b'"', &before[..start])?;
            // The opening quote isn't after a backslash, because no backslash is outside of strings.
            if start == 0 || before[start - 1] != b'\\' {
                return Some(start);
            }
        }
    }

    /// Passes the container that begins at the next byte.
    #[inline(never)]
    fn pass_container(&mut self) -> Result<(), JsonError> {
        let outside = self.open.len();
        let mut close = 0;
        loop {
            let Some((at, sign)) = self.sign() else { return self.malformed() };
            if sign == b':' {
                continue;
            }
            if sign == close {
                self.open.pop();
                if self.open.len() <= outside {
                    self.at = at + 1;
                    return Ok(());
                }
                close = self.open.last().copied().unwrap_or_default();
            } else if matches!(sign, b'{' | b'[') {
                if self.open.len() == self.depth {
                    return Err(JsonError::TooDeep);
                }
                // In ASCII, a closing bracket or brace is the opening byte plus two.
                close = sign + 2;
                self.open.push(close);
            } else {
                // A value with a closing sign of the wrong kind could break out of its place. Test:
                // `values_with_unbalanced_brackets_or_quotes_are_refused`.
                return Err(JsonError::Malformed { at });
            }
        }
    }
}

impl<'a> Read<'a> for Outline<'a, '_> {
    #[inline]
    fn at(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.text.len() - self.at
    }

    fn return_to(&mut self, at: usize) {
        if at < self.begin {
            self.mark(at / WINDOW_BYTES);
        }
        self.next = 0;
        self.at = at;
    }

    fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.at]
    }

    #[inline]
    fn byte(&self) -> u8 {
        self.tokens().byte()
    }

    #[inline]
    fn enter(&mut self, close: u8) -> Result<bool, JsonError> {
        if self.open.len() == self.depth {
            return Err(JsonError::TooDeep);
        }
        let mut tokens = self.tokens();
        tokens.at += 1;
        let is_empty = tokens.token() == close;
        self.at = tokens.at + usize::from(is_empty);
        if !is_empty {
            self.open.push(close);
        }
        Ok(!is_empty)
    }

    #[inline]
    fn another(&mut self) -> Result<bool, JsonError> {
        let mut tokens = self.tokens();
        let token = tokens.token();
        tokens.at += 1;
        if token == b',' {
            tokens.token();
            self.at = tokens.at;
            return Ok(true);
        }
        self.at = tokens.at;
        if self.open.pop() == Some(token) { Ok(false) } else { self.malformed() }
    }

    fn name(&mut self) -> Result<Name<'a>, JsonError> {
        let mut tokens = self.tokens();
        let name = tokens.name()?;
        self.at = tokens.at;
        Ok(name)
    }

    #[inline(never)]
    fn name_of(&mut self, wanted: &Wanted) -> Result<Option<Name<'a>>, JsonError> {
        loop {
            let Some((at, sign)) = self.sign() else { return self.malformed() };
            if sign == b':' {
                if self.is_unwanted(wanted, at) {
                    continue;
                }
                let Some(end) = self.quote_before(at) else { return self.malformed() };
                let Some(start) = self.name_start(end) else { return self.malformed() };
                let mut tokens = TokenReader { bytes: self.text, at: at + 1 };
                tokens.token();
                self.at = tokens.at;
                return Ok(Some(Name::of(self.text, start, end + 1)));
            }
            if matches!(sign, b'{' | b'[') {
                self.at = at;
                self.next -= 1;
                self.pass_container()?;
            } else {
                self.at = at + 1;
                return if self.open.pop() == Some(sign) { Ok(None) } else { self.malformed() };
            }
        }
    }

    #[inline]
    fn skip(&mut self) -> Result<(), JsonError> {
        self.skip_item()
    }

    #[inline]
    fn skip_item(&mut self) -> Result<(), JsonError> {
        if matches!(self.byte(), b'{' | b'[') {
            return self.pass_container();
        }
        let mut tokens = self.tokens();
        tokens.scalar()?;
        self.at = tokens.at;
        Ok(())
    }

    #[inline]
    fn read(&mut self) -> Result<(), JsonError> {
        let mut tokens = self.tokens();
        if matches!(tokens.byte(), b'{' | b'[') {
            // The depth includes the levels around the value. Test: `nesting_is_bounded_and_never_costs_the_stack`.
            let mut reader = JsonReader::of_value(tokens, self.depth - self.open.len());
            reader.skip()?;
            self.at = reader.at();
            return Ok(());
        }
        tokens.scalar()?;
        self.at = tokens.at;
        Ok(())
    }

    fn pass_elements(&mut self, direct: &Direct<'_>, found: &mut Elements) -> Result<bool, JsonError> {
        while self.byte() == b'{' && found.items.len() < found.most {
            let (start, row) = (self.at, found.columns.len());
            if self.pass_element(direct, &mut found.columns).is_none() {
                found.columns.truncate(row);
                self.return_to(start);
                return Ok(true);
            }
            found.items.push(self.span_from(start));
            if !self.another()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end(&mut self) -> Result<(), JsonError> {
        let mut tokens = self.tokens();
        tokens.token();
        self.at = tokens.at;
        if tokens.at < self.text.len() {
            return tokens.malformed();
        }
        // Windows whose bytes were only read, not passed over, might not be marked yet.
        while self.next_window().is_some() {}
        Ok(())
    }
}
