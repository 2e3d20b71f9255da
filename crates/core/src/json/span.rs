//! Ranges of a body.

/// The bytes of a byte order mark, which may precede a text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A half-open byte range of a body. Bodies are at most 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The range of a missing member. It is empty, which the range of a JSON value never is.
    pub const ABSENT: Self = Self { start: 0, end: 0 };

    /// Returns whether this is the range of a missing member.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes of this range. `body` must be the body in which the range was found.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}
