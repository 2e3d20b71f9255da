//! The interface by which a scan goes through a text, and the reader that reads all of it.
//!
//! The reader accepts RFC 8259 and nothing else. Open containers are kept on a stack of its own, so that nesting costs
//! one byte a level and never the thread's stack.

use super::{
    JsonError, Span,
    name::{Name, Wanted},
    plan::Direct,
    tokens::TokenReader,
};

/// Elements that were found.
pub(super) struct Elements {
    /// The largest number of elements.
    pub(super) most: usize,
    /// The part of each element that is served.
    pub(super) items: Vec<Span>,
    /// The columns of the elements, row after row.
    pub(super) columns: Vec<Span>,
}

/// A way through a text from token to token.
pub(super) trait Read<'a> {
    /// Returns the place of the next byte.
    fn at(&self) -> usize;

    /// Returns the number of bytes that have not been passed.
    fn left(&self) -> usize;

    /// Goes back to a place that was passed before, at the same nesting.
    fn return_to(&mut self, at: usize);

    /// Returns the bytes from `start` to here.
    fn since(&self, start: usize) -> &'a [u8];

    /// Returns the range from `start` to here. Bodies longer than a [`Span`] can express are refused before.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "no text longer than u32::MAX is read")]
    fn span_from(&self, start: usize) -> Span {
        Span { start: start as u32, end: self.at() as u32 }
    }

    /// Returns the next byte, which begins a value where one is due.
    fn byte(&self) -> u8;

    /// Passes the bracket or brace that opens a container closed by `close`; the next byte is its first token.
    /// Returns false if the container is empty, and passes all of it.
    fn enter(&mut self, close: u8) -> Result<bool, JsonError>;

    /// Returns, after a value in a container, whether another one follows: then its first token is the next byte. Else
    /// the container is passed.
    fn another(&mut self) -> Result<bool, JsonError>;

    /// Passes a member's name and colon; the next byte is the first one of its value.
    fn name(&mut self) -> Result<Name<'a>, JsonError>;

    /// Passes members, from the beginning of one on, up to the next whose name may be wanted, with its name and colon.
    /// `None` if there is none: then the object is passed.
    fn name_of(&mut self, wanted: &Wanted) -> Result<Option<Name<'a>>, JsonError>;

    /// Passes the unwanted value that begins at the next byte. An implementation may do so without reading it, and may
    /// also pass the text after it up to the next sign.
    fn skip(&mut self) -> Result<(), JsonError>;

    /// Passes the value that begins at the next byte and is served as a whole. An implementation may do so without
    /// reading its inside.
    fn skip_item(&mut self) -> Result<(), JsonError>;

    /// Passes the value that begins at the next byte, and reads all of it.
    fn read(&mut self) -> Result<(), JsonError>;

    /// Passes elements on the fast path, from the beginning of one on, and adds them and their columns. Returns false
    /// if the array has ended; else the next element has to be passed by other methods.
    fn pass_elements(&mut self, _direct: &Direct<'_>, _found: &mut Elements) -> Result<bool, JsonError> {
        Ok(true)
    }

    /// Passes whitespace up to the end of the text; anything else there is an error.
    fn end(&mut self) -> Result<(), JsonError>;
}

/// A place in a JSON text, and the containers that are open there. Everything it passes is read and checked.
pub(super) struct JsonReader<'a> {
    tokens: TokenReader<'a>,
    /// The byte that closes each open container, outermost first.
    open: Vec<u8>,
    depth: usize,
}

impl<'a> JsonReader<'a> {
    /// Begins at the first token after a byte order mark, if there is one. The text must be UTF-8.
    pub(super) fn new(bytes: &'a [u8], depth: u16) -> Self {
        let mut tokens = TokenReader::new(bytes);
        tokens.token();
        Self { tokens, open: Vec::with_capacity(32), depth: depth.into() }
    }

    /// Begins at a value in a text, which may be nested `depth` levels deep.
    pub(super) const fn of_value(tokens: TokenReader<'a>, depth: usize) -> Self {
        Self { tokens, open: Vec::new(), depth }
    }

    /// Passes the container whose opening byte is the next.
    fn skip_container(&mut self) -> Result<(), JsonError> {
        // The place, and the byte that closes the innermost container, are kept in local variables through this loop,
        // so that they stay in registers.
        let mut tokens = self.tokens;
        let mut close = 0;
        let outside = self.open.len();
        loop {
            let entered = match tokens.byte() {
                b'{' => self.open_container(&mut tokens, b'}')?.then_some(b'}'),
                b'[' => self.open_container(&mut tokens, b']')?.then_some(b']'),
                _ => {
                    tokens.scalar()?;
                    None
                }
            };
            match entered {
                Some(entered) => close = entered,
                // A value has ended, and containers around it may end here too.
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
                tokens.name()?;
            }
        }
    }

    #[inline(always)]
    fn open_container(&mut self, tokens: &mut TokenReader<'a>, close: u8) -> Result<bool, JsonError> {
        // Deeper nesting is refused, so that no body makes `open` grow without bound. Test:
        // `nesting_is_bounded_and_never_costs_the_stack`.
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
    fn go_on(&mut self, tokens: &mut TokenReader<'a>) -> Result<bool, JsonError> {
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

impl<'a> Read<'a> for JsonReader<'a> {
    #[inline]
    fn at(&self) -> usize {
        self.tokens.at
    }

    fn left(&self) -> usize {
        self.tokens.bytes.len() - self.tokens.at
    }

    fn return_to(&mut self, at: usize) {
        self.tokens.at = at;
    }

    fn since(&self, start: usize) -> &'a [u8] {
        &self.tokens.bytes[start..self.tokens.at]
    }

    #[inline]
    fn byte(&self) -> u8 {
        self.tokens.byte()
    }

    #[inline]
    fn enter(&mut self, close: u8) -> Result<bool, JsonError> {
        let mut tokens = self.tokens;
        let entered = self.open_container(&mut tokens, close)?;
        self.tokens = tokens;
        Ok(entered)
    }

    #[inline]
    fn another(&mut self) -> Result<bool, JsonError> {
        let mut tokens = self.tokens;
        let follows = self.go_on(&mut tokens)?;
        self.tokens = tokens;
        Ok(follows)
    }

    #[inline]
    fn name(&mut self) -> Result<Name<'a>, JsonError> {
        let mut tokens = self.tokens;
        let name = tokens.name()?;
        self.tokens = tokens;
        Ok(name)
    }

    fn name_of(&mut self, wanted: &Wanted) -> Result<Option<Name<'a>>, JsonError> {
        let mut tokens = self.tokens;
        loop {
            let name = tokens.name()?;
            if name.may_be(wanted) {
                self.tokens = tokens;
                return Ok(Some(name));
            }
            if matches!(tokens.byte(), b'{' | b'[') {
                self.tokens = tokens;
                self.skip_container()?;
                tokens = self.tokens;
            } else {
                tokens.scalar()?;
            }
            if !self.go_on(&mut tokens)? {
                self.tokens = tokens;
                return Ok(None);
            }
        }
    }

    #[inline]
    fn skip(&mut self) -> Result<(), JsonError> {
        let mut tokens = self.tokens;
        if matches!(tokens.byte(), b'{' | b'[') {
            return self.skip_container();
        }
        tokens.scalar()?;
        self.tokens = tokens;
        Ok(())
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.tokens.token();
        if self.tokens.at == self.tokens.bytes.len() { Ok(()) } else { self.tokens.malformed() }
    }

    #[inline]
    fn skip_item(&mut self) -> Result<(), JsonError> {
        self.skip()
    }

    #[inline]
    fn read(&mut self) -> Result<(), JsonError> {
        self.skip()
    }
}

#[cfg(test)]
mod tests;
