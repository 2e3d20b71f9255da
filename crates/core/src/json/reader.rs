//! The interface through which a scan reads a text, and the reader that reads and checks all bytes.
//!
//! The reader accepts exactly the texts of RFC 8259. It has its own stack of open containers, which takes one byte per
//! level, so nesting never uses the thread's stack.

use super::{
    name::{Name, Wanted},
    plan::Direct,
    shape::JsonError,
    span::Span,
    tokens::TokenReader,
};

/// The elements of the items array that were found so far.
pub(super) struct Elements {
    /// The largest number of elements that may be found.
    pub(super) most: usize,
    /// The range of each element.
    pub(super) items: Vec<Span>,
    /// The columns of the elements, row after row.
    pub(super) columns: Vec<Span>,
}

/// A reader that passes through a text token by token.
pub(super) trait Read<'a> {
    /// Returns the offset of the next byte.
    fn at(&self) -> usize;

    /// Returns the number of bytes that aren't passed yet.
    fn left(&self) -> usize;

    /// Returns to an offset that was passed before. The same containers must have been open there.
    fn return_to(&mut self, at: usize);

    /// Returns the bytes from the offset `start` to the next byte.
    fn since(&self, start: usize) -> &'a [u8];

    /// Returns the range from the offset `start` to the next byte. Bodies that are too long for a [`Span`] were refused
    /// before.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "no text longer than u32::MAX is read")]
    fn span_from(&self, start: usize) -> Span {
        Span { start: start as u32, end: self.at() as u32 }
    }

    /// Returns the next byte. Before a value, that is the value's first byte.
    fn byte(&self) -> u8;

    /// Enters the container that begins at the next byte and ends with `close`. Returns `true` if the next byte is now
    /// the container's first token, and `false` if the container is empty and was passed.
    fn enter(&mut self, close: u8) -> Result<bool, JsonError>;

    /// Passes the comma or the closing byte after a value in a container. Returns `true` if another value or member
    /// follows, whose first token is now the next byte, and `false` if the container was passed.
    fn another(&mut self) -> Result<bool, JsonError>;

    /// Passes a member's name and colon. The next byte is then the first byte of the value.
    fn name(&mut self) -> Result<Name<'a>, JsonError>;

    /// Passes members up to the next one whose name may be wanted, with that name and its colon. The next byte must be
    /// the first one of a member. Returns `None` if no such member follows; the object was then passed.
    fn name_of(&mut self, wanted: &Wanted) -> Result<Option<Name<'a>>, JsonError>;

    /// Passes the unwanted value that begins at the next byte. An implementation may leave the value unread.
    fn skip(&mut self) -> Result<(), JsonError>;

    /// Passes the value that begins at the next byte and is served as a whole. An implementation may leave the inside
    /// of the value unread.
    fn skip_item(&mut self) -> Result<(), JsonError>;

    /// Passes the value that begins at the next byte, and checks all its bytes.
    fn read(&mut self) -> Result<(), JsonError>;

    /// Passes elements by a fast path, and adds their ranges and columns to `found`. The next byte must be the first
    /// one of an element. Returns `false` if the array was passed, and `true` if the next element needs the general
    /// path.
    fn pass_elements(&mut self, _direct: &Direct<'_>, _found: &mut Elements) -> Result<bool, JsonError> {
        Ok(true)
    }

    /// Passes whitespace up to the end of the text. Any other byte is an error.
    fn end(&mut self) -> Result<(), JsonError>;
}

/// A reader that checks every byte that it passes. It records its place, and the containers that are open there.
pub(super) struct JsonReader<'a> {
    tokens: TokenReader<'a>,
    /// The closing byte of each open container, the outermost first.
    open: Vec<u8>,
    depth: usize,
}

impl<'a> JsonReader<'a> {
    /// Begins at the first token of a text, which must be UTF-8. A byte order mark before it is skipped. `depth` is the
    /// largest number of open containers.
    pub(super) fn new(bytes: &'a [u8], depth: u16) -> Self {
        let mut tokens = TokenReader::new(bytes);
        tokens.token();
        Self { tokens, open: Vec::with_capacity(32), depth: depth.into() }
    }

    /// Begins at a value in the middle of a text. The value may be nested `depth` levels deep.
    pub(super) const fn of_value(tokens: TokenReader<'a>, depth: usize) -> Self {
        Self { tokens, open: Vec::new(), depth }
    }

    /// Passes the container that begins at the next byte, with everything in it.
    fn skip_container(&mut self) -> Result<(), JsonError> {
        // Local variables for the place and the innermost closing byte stay in registers during the loop.
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
                // A value has ended. The containers around it may end here too.
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
        // Deeper nesting is refused, so a body can't make `open` grow without bound. Test:
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
