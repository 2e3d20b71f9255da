//! JSON text (RFC 8259) to a tree that knows its places: a small reader for the files of envelopes, where every fault
//! must point at its line and no member may stand twice. Bodies of upstreams are never read by it.

use super::{LocatedTree, Tree};
use crate::config::diagnostic::{Diagnostics, Located, Location};

/// How deep a file may be nested.
const DEPTH_MAX: usize = 64;

/// Reads a text that was added as `source`. After a syntax error there is nothing; members that stand twice are all
/// reported, and the first one counts.
pub fn read(source: u32, text: &str, diagnostics: &mut Diagnostics) -> Option<LocatedTree> {
    let mut reader = Reader { source, text, at: 0, diagnostics };
    let tree = reader.value(0).and_then(|tree| {
        reader.blanks();
        if reader.at < text.len() {
            Err(reader.wrong("something stands after the end of the JSON value"))
        } else {
            Ok(tree)
        }
    });
    match tree {
        Ok(tree) => Some(tree),
        Err(JsonFault { at, message }) => {
            let end = text[at..].chars().next().map_or(at, |character| at + character.len_utf8());
            let at = reader.location(at, end);
            reader.diagnostics.error(at, message, "");
            None
        }
    }
}

struct Reader<'a> {
    source: u32,
    text: &'a str,
    at: usize,
    diagnostics: &'a mut Diagnostics,
}

/// A syntax error.
struct JsonFault {
    at: usize,
    message: &'static str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<LocatedTree, JsonFault> {
        self.blanks();
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') if depth < DEPTH_MAX => self.object(depth)?,
            Some(b'[') if depth < DEPTH_MAX => self.array(depth)?,
            Some(b'{' | b'[') => return Err(self.wrong("this is nested deeper than 64 levels")),
            Some(b'"') => Tree::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Tree::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Located { value, at: self.location(start, self.at) })
    }

    fn object(&mut self, depth: usize) -> Result<Tree, JsonFault> {
        self.at += 1;
        let mut members: Vec<(Located<String>, LocatedTree)> = Vec::new();
        self.blanks();
        if self.take(b'}') {
            return Ok(Tree::Object(members));
        }
        loop {
            self.blanks();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a member's name must stand here, in double quotes"));
            }
            let name = Located { value: self.string()?, at: self.location(start, self.at) };
            self.blanks();
            if !self.take(b':') {
                return Err(self.wrong("a `:` must stand here"));
            }
            let value = self.value(depth + 1)?;
            if members.iter().any(|(known, _)| known.value == name.value) {
                let message = format!("the member {:?} stands here twice", name.value);
                self.diagnostics.error(name.at, message, "remove one of them");
            } else {
                members.push((name, value));
            }
            self.blanks();
            if self.take(b'}') {
                return Ok(Tree::Object(members));
            }
            if !self.take(b',') {
                return Err(self.wrong("a `,` or the closing `}` must stand here"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Tree, JsonFault> {
        self.at += 1;
        let mut elements = Vec::new();
        self.blanks();
        if self.take(b']') {
            return Ok(Tree::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.blanks();
            if self.take(b']') {
                return Ok(Tree::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.wrong("a `,` or the closing `]` must stand here"));
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonFault> {
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|character| character == '"' || character == '\\' || character < ' ');
            let Some(plain) = plain else {
                self.at = self.text.len();
                return Err(self.wrong("a string is not closed"));
            };
            value.push_str(&rest[..plain]);
            self.at += plain;
            match rest.as_bytes()[plain] {
                b'"' => {
                    self.at += 1;
                    return Ok(value);
                }
                b'\\' => value.push(self.escape()?),
                _ => return Err(self.wrong("a control character must be written as \\u00XX")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonFault> {
        let start = self.at;
        let wrong = JsonFault { at: start, message: "this is no escape that JSON knows" };
        let letter = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        let simple = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let Some(first) = self.unit() else { return Err(wrong) };
                let mut units = vec![first];
                if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    let Some(second) = self.unit() else { return Err(wrong) };
                    units.push(second);
                }
                let mut decoded = char::decode_utf16(units);
                let (Some(Ok(character)), None) = (decoded.next(), decoded.next()) else {
                    return Err(wrong);
                };
                character
            }
            _ => return Err(wrong),
        };
        Ok(simple)
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Result<String, JsonFault> {
        let start = self.at;
        self.take(b'-');
        let wrong = JsonFault { at: start, message: "this is no number that JSON knows" };
        let leading_zero = self.peek() == Some(b'0');
        let integer = self.digits();
        if integer == 0 || (leading_zero && integer > 1) {
            return Err(wrong);
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(wrong);
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(wrong);
            }
        }
        Ok(self.text[start..self.at].to_owned())
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn word(&mut self) -> Result<Tree, JsonFault> {
        let words = [("null", Tree::Null), ("true", Tree::Boolean(true)), ("false", Tree::Boolean(false))];
        for (word, tree) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(tree);
            }
        }
        Err(self.wrong("a JSON value must stand here"))
    }

    fn blanks(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self, message: &'static str) -> JsonFault {
        JsonFault { at: self.at, message }
    }

    fn location(&self, start: usize, end: usize) -> Location {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Location { source: self.source, start: place(start), end: place(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Option<LocatedTree>, Vec<(u32, String)>) {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.json".into(), text.into());
        let tree = read(source, text, &mut diagnostics);
        (tree, diagnostics.iter().map(|fault| (fault.at.start, fault.message.clone())).collect())
    }

    #[test]
    fn members_keep_their_order_numbers_their_spelling_and_all_their_place() {
        let (tree, faults) = read_text(" { \"b\" : [1.50, -0e+1, null], \"a\": \"\\u00e9\\ud83d\\ude00\\/\" } ");
        assert_eq!(faults, []);
        let Some(Located { value: Tree::Object(members), at }) = tree else { panic!("an object") };
        assert_eq!((at.start, at.end), (1, 59));
        assert_eq!(members.iter().map(|(name, _)| name.value.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let Tree::Array(elements) = &members[0].1.value else { panic!("an array") };
        let spelling = |element: &LocatedTree| element.value.clone();
        assert_eq!(
            elements.iter().map(spelling).collect::<Vec<_>>(),
            [Tree::Number("1.50".into()), Tree::Number("-0e+1".into()), Tree::Null]
        );
        assert_eq!((elements[1].at.start, elements[1].at.end), (16, 21));
        assert_eq!(members[1].1.value, Tree::Text("é😀/".into()));
    }

    #[test]
    fn every_member_that_stands_twice_is_reported() {
        let (tree, faults) = read_text(r#"{"a":1,"a":2,"b":{"c":1,"\u0063":2}}"#);
        assert!(tree.is_some());
        assert_eq!(faults.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [7, 24]);
    }

    #[test]
    fn what_is_no_json_is_reported_where_it_stops() {
        let cases = [
            ("", 0),
            ("{", 1),
            ("{\"a\" 1}", 5),
            ("{\"a\":1,}", 7),
            ("[1 2]", 3),
            ("[01]", 1),
            ("[1.]", 1),
            ("[+1]", 1),
            ("nul", 0),
            ("\"a", 2),
            ("\"\\x\"", 1),
            ("\"\\ud800\"", 1),
            ("\"\\ud83d\\u0041\"", 1),
            ("\"\\u+123\"", 1),
            ("\"a\nb\"", 2),
            ("{} {}", 3),
            ("[é]", 1),
        ];
        for (text, at) in cases {
            let (tree, faults) = read_text(text);
            assert!(tree.is_none(), "{text}");
            assert_eq!(faults.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [at], "{text}: {faults:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(read_text(&("[".repeat(64) + &"]".repeat(64))).0.is_some());
        assert!(read_text(&"[".repeat(100_000)).0.is_none());
    }
}
