//! The shortest way through most elements: objects whose columns are members of theirs.
//!
//! The shortcut passes only texts that the longer way would pass with the same result, and leaves all others to it.

use super::{Outline, Read};
use crate::json::{Span, plan::Direct, tokens::TokenReader};

impl Outline<'_, '_> {
    /// Passes an element, an object whose brace is the next byte, and adds its row. Nothing where it is not like most, or has
    /// to be refused.
    #[inline(never)]
    pub(super) fn pass_element(&mut self, direct: &Direct<'_>, columns: &mut Vec<Span>) -> Option<()> {
        let row = columns.len();
        for _ in &direct.names {
            columns.push(Span::ABSENT);
        }
        let most = self.depth.saturating_sub(self.open.len()).min(64);
        // What is open: a bit for each container, set for braces, the lowest for the innermost.
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
            // In ASCII braces have a bit that brackets have not, and what closes another than what opens.
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

    /// From the colon of a member on, whose name ends here and may be that of a column: passes its value, if it is.
    #[inline]
    fn pass_column(&mut self, direct: &Direct<'_>, end: usize, row: &mut [Span]) -> Option<()> {
        let mut value = None;
        for (name, column) in direct.names.iter().zip(row) {
            let start = end.checked_sub(name.len() + 1)?;
            // An opening quote is not escaped, for no backslash is outside of strings.
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
        // Another name, unless that is spelled with escapes.
        let start = self.name_start(end)?;
        memchr::memchr(b'\\', &self.text[start..end]).is_none().then_some(())
    }

    /// Reads a value after a colon that is no container, and the text after it, which ends a member.
    #[inline]
    fn read_value(&mut self) -> Option<Span> {
        let mut tokens = TokenReader { bytes: self.text, at: self.at + 1 };
        tokens.token();
        self.at = tokens.at;
        let start = tokens.at;
        tokens.scalar().ok()?;
        self.at = tokens.at;
        let span = self.span_from(start);
        matches!(tokens.token(), b',' | b'}').then_some(span)
    }
}
