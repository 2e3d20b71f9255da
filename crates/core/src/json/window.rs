//! A window of blocks: the marks of its bytes, and the state between windows.

/// The number of blocks that are marked at once. It is so small that the marks are still in the fastest cache when they
/// are read.
pub(super) const WINDOW: usize = 16;

/// The size of a window, in bytes.
pub(super) const WINDOW_BYTES: usize = WINDOW * 64;

/// The blocks of a window.
pub(super) type Blocks = [[u8; 64]; WINDOW];

/// A word for each block of a window, with a bit for each byte; the lowest bit is for the block's first byte.
pub(super) type Words = [u64; WINDOW];

/// The number of places that are written at once, even if fewer signs are left.
const AT_ONCE: usize = 4;

/// The signs of a window, and its bytes in strings.
pub(super) struct WindowMarks {
    pub(super) signs: Signs,
    /// A bit for each byte, set from the opening quote of a string to the last byte before its closing quote.
    pub(super) strings: Words,
}

impl WindowMarks {
    /// Creates a window without marks.
    pub(super) const fn new() -> Self {
        Self { signs: Signs { places: [0; WINDOW_BYTES + AT_ONCE], count: 0 }, strings: [0; WINDOW] }
    }
}

/// The places of brackets, braces and colons outside of strings in a window, in ascending order.
pub(super) struct Signs {
    places: [u16; WINDOW_BYTES + AT_ONCE],
    count: usize,
}

impl Signs {
    /// Forgets the signs of an earlier window.
    #[inline(always)]
    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }

    /// Returns the offset in the window of the sign at index `number`; `None` if the window has fewer signs.
    #[inline(always)]
    pub(super) fn get(&self, number: usize) -> Option<usize> {
        if number < self.count { self.places.get(number).map(|place| usize::from(*place)) } else { None }
    }

    /// Adds the signs of the block at index `block`; `signs` has a bit for each byte of the block.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a window has fewer bytes")]
    pub(super) fn push(&mut self, block: usize, signs: u64) {
        let mut rest = signs;
        let mut count = self.count;
        self.count += signs.count_ones() as usize;
        // The only branch is on whether more than four signs are left, because a branch on the exact number would be
        // hard to predict.
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

/// The faults that were found in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Not 0 if a backslash or a byte beyond ASCII is outside of strings, where neither is allowed.
    pub(super) misplaced: u64,
    /// True if the window has control characters, including line feeds and tabs.
    pub(super) controls: bool,
    /// True if a character that ends in the window isn't valid UTF-8.
    pub(super) not_utf8: bool,
}

/// The state at the beginning of a block, which follows from all bytes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// 1 if the first byte of the block is escaped, otherwise 0.
    pub(super) escaped: u64,
    /// All bits set if a string is open, otherwise 0.
    pub(super) open: u64,
}

impl Before {
    /// Returns a bit for each byte of a block that is escaped by a backslash, and updates the state for the next block.
    ///
    /// In a run of backslashes, every other backslash escapes the byte after it, beginning with the first one that
    /// isn't escaped itself. A subtraction carries through the run. The bits that it leaves depend on whether the run
    /// begins at an even or an odd place.
    #[inline(always)]
    pub(super) const fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let beginning = backslashes & !self.escaped;
        let escaping_or_after = ((beginning << 1) | ODD).wrapping_sub(beginning) ^ ODD;
        let escaped = escaping_or_after ^ (backslashes | self.escaped);
        // A run of backslashes may continue in the next block. Test:
        // `backslashes_escape_by_the_parity_of_their_number_at_every_offset`.
        self.escaped = (escaping_or_after & backslashes) >> 63;
        escaped
    }

    /// Returns a bit for each byte of a block that is in a string, and updates the state for the next block. A bit of
    /// `odd` is set if the number of unescaped quotes up to that byte, from the beginning of the block, is odd.
    #[inline(always)]
    pub(super) const fn strings(&mut self, odd: u64) -> u64 {
        let strings = odd ^ self.open;
        self.open = (strings.cast_signed() >> 63).cast_unsigned();
        strings
    }
}

/// Returns a word in which a bit is set if the number of set bits up to the same place in `bits` is odd.
pub(super) const fn odd(mut bits: u64) -> u64 {
    let mut distance = 1;
    while distance < 64 {
        bits ^= bits << distance;
        distance *= 2;
    }
    bits
}
