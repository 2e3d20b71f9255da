//! The fast path for most elements: objects that have the columns as direct members.
//!
//! The fast path passes an element only if the general path would have the same result. It leaves all other elements to
//! the general path.

use super::{Outline, Read};
use crate::json::{plan::Direct, span::Span, tokens::TokenReader};

impl Outline<'_, '_> {
    /// Passes the object that begins at the next byte, and adds its row to `columns`. `None` if the general path must
    /// pass the element, or refuse it.
    #[inline(never)]
    pub(super) fn pass_element(&mut self, direct: &Direct<'_>, columns: &mut Vec<Span>) -> Option<()> {
        let row = columns.len();
        for _ in &direct.names {
            columns.push(Span::ABSENT);
        }
        // The word `braces` has bits for 64 levels, so the general path passes deeper elements. Test:
        // `items_are_nested_as_deep_as_allowed_at_most`.
        let most = self.depth.saturating_sub(self.open.len()).min(64);
        // `braces` has a bit for each open container, which is set for an object; the lowest bit is for the innermost
        // container.
        let (mut braces, mut depth) = (0_u64, 0);
        // Signs before this offset were already passed, for example those in a column's value.
        let mut passed = self.at;
        let mut next = self.next;
        loop {
            let Some(place) = self.marks.signs.get(next) else {
                self.next_window()?;
                next = 0;
                continue;
            };
            next += 1;
            let at = self.begin + place;
            if at < passed {
                continue;
            }
            let sign = *self.text.get(at)?;
            if sign == b':' {
                if depth != 1 || self.is_unwanted(&direct.wanted, at) {
                    continue;
                }
                let end = self.quote_before(at)?;
                self.at = at;
                self.pass_column(direct, end, columns.get_mut(row..)?)?;
                passed = self.at;
                continue;
            }
            // In ASCII, bit 5 is set in braces but not in brackets, and bit 2 is set in closing signs but not in
            // opening signs.
            let is_brace = u64::from(sign >> 5 & 1);
            if sign & 0b100 == 0 {
                if depth == most {
                    return None;
                }
                depth += 1;
                braces = braces << 1 | is_brace;
                continue;
            }
            if depth == 0 || braces & 1 != is_brace {
                return None;
            }
            depth -= 1;
            braces >>= 1;
            if depth == 0 {
                (self.at, self.next) = (at + 1, next);
                return Some(());
            }
        }
    }

    /// Handles a member whose name may be that of a column. The closing quote of the name is at `end`, and the colon is
    /// the next byte. If the name is a column's, passes the value and sets its range in `row`.
    #[inline]
    fn pass_column(&mut self, direct: &Direct<'_>, end: usize, row: &mut [Span]) -> Option<()> {
        let mut value = None;
        for (name, column) in direct.names.iter().zip(row) {
            let start = end.checked_sub(name.len() + 1)?;
            // A quote after a backslash is in the middle of a longer name, because no backslash is outside of strings.
            // Test: `names_are_found_wherever_they_are_in_a_window_and_however_they_are_spelled`.
            if self.text[start] == b'"' && &self.text[start + 1..end] == *name && self.text[start - 1] != b'\\' {
                let span = match value {
                    Some(span) => span,
                    None => self.read_value()?,
                };
                *column = span;
                value = Some(span);
            }
        }
        if value.is_some() {
            return Some(());
        }
        // The name isn't that of a column, unless it is spelled with escapes. The general path decides about such
        // names.
        let start = self.name_start(end)?;
        memchr::memchr(b'\\', &self.text[start..end]).is_none().then_some(())
    }

    /// Reads the value after the colon that is the next byte. `None` if the value is a container or malformed, or if
    /// neither a comma nor a closing brace follows it.
    #[inline]
    fn read_value(&mut self) -> Option<Span> {
        let mut tokens = TokenReader { bytes: self.text, at: self.at + 1 };
        tokens.token();
        self.at = tokens.at;
        let start = tokens.at;
        tokens.scalar().ok()?;
        self.at = tokens.at;
        let span = self.span_from(start);
        // A wanted value must not be followed by other text, as in `1 2`. Test:
        // `invalid_values_that_are_requested_are_refused`.
        matches!(tokens.token(), b',' | b'}').then_some(span)
    }
}
