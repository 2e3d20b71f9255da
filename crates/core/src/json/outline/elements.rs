//! The fast path through most elements: objects whose columns are members of theirs.
//!
//! The fast path passes only texts that the general way would pass with the same result, and leaves all others to it.

use super::{Outline, Read};
use crate::json::{Span, plan::Direct, tokens::TokenReader};

impl Outline<'_, '_> {
    /// Passes an element, an object whose brace is the next byte, and adds its row. `None` if the element is not like
    /// most, or has to be refused.
    #[inline(never)]
    pub(super) fn pass_element(&mut self, direct: &Direct<'_>, columns: &mut Vec<Span>) -> Option<()> {
        let row = columns.len();
        for _ in &direct.names {
            columns.push(Span::ABSENT);
        }
        // A word has bits for 64 levels: the general way passes deeper elements. Test:
        // `items_are_nested_as_deep_as_allowed_at_most`.
        let most = self.depth.saturating_sub(self.open.len()).min(64);
        // The open containers: a bit for each, set for braces, the lowest for the innermost.
        let (mut braces, mut depth) = (0_u64, 0);
        // Signs before this place were passed otherwise.
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
                if depth != 1 {
                    continue;
                }
                let end = self.quote_before(at)?;
                if self.may_be(&direct.wanted, end) {
                    self.at = at;
                    self.pass_column(direct, end, columns.get_mut(row..)?)?;
                    passed = self.at;
                }
                continue;
            }
            // In ASCII, braces have a bit that brackets lack, and closing signs have one that opening signs lack.
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

    /// Continues after the name of a member, which ends here and may be that of a column. Passes the value if it is.
    #[inline]
    fn pass_column(&mut self, direct: &Direct<'_>, end: usize, row: &mut [Span]) -> Option<()> {
        let mut value = None;
        for (name, column) in direct.names.iter().zip(row) {
            let start = end.checked_sub(name.len() + 1)?;
            // A quote after a backslash is a part of a longer name: no backslash stands outside of strings. Test:
            // `names_are_found_wherever_they_are_in_a_window_and_however_they_are_spelled`.
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
        // The name is another one, unless it is spelled with escapes: the general way decides.
        let start = self.name_start(end)?;
        memchr::memchr(b'\\', &self.text[start..end]).is_none().then_some(())
    }

    /// Reads a value after a colon. `None` if it is a container, or if no comma or brace follows it.
    #[inline]
    fn read_value(&mut self) -> Option<Span> {
        let mut tokens = TokenReader { bytes: self.text, at: self.at + 1 };
        tokens.token();
        self.at = tokens.at;
        let start = tokens.at;
        tokens.scalar().ok()?;
        self.at = tokens.at;
        let span = self.span_from(start);
        // A value that is asked for is followed by no further text. Test: `values_that_are_asked_for_are_read`.
        matches!(tokens.token(), b',' | b'}').then_some(span)
    }
}
