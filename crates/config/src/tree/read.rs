//! The parser of JSON (RFC 8259): from text to a tree with locations, for envelopes and OpenAPI documents. `serde_json`
//! parses the text, and its raw values are slices of the text, from which the locations are computed.

use std::{collections::HashSet, fmt};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{LocatedTree, Tree};
use crate::diagnostic::{Diagnostics, Located, Location};

/// The deepest nesting of objects and arrays in a file, in levels. A file with deeper nesting is refused.
const DEPTH_MAX: usize = 64;

/// Reads a text that was added as `source`. Returns `None` for a syntax error and for nesting deeper than
/// `DEPTH_MAX`, and reports the fault. Also reports duplicate members; the first one of each name is kept.
pub fn read(source: u32, text: &str, diagnostics: &mut Diagnostics) -> Option<LocatedTree> {
    let mut reader = Reader { source, text, diagnostics };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => reader.tree(raw, DEPTH_MAX),
        Err(error) => {
            reader.report(&error);
            None
        }
    }
}

struct Reader<'t, 'd> {
    source: u32,
    text: &'t str,
    diagnostics: &'d mut Diagnostics,
}

impl<'t> Reader<'t, '_> {
    /// Reads a value with at most `depth` levels of nesting.
    fn tree(&mut self, raw: &'t RawValue, depth: usize) -> Option<LocatedTree> {
        let json = raw.get();
        let at = self.location(json);
        let value = match json.as_bytes().first() {
            // The function is recursive, so its depth must be bounded. Test: `nesting_is_bounded`.
            Some(b'{' | b'[') if depth == 0 => {
                let message = format!("nested deeper than {DEPTH_MAX} levels");
                self.diagnostics.error(Location { end: at.start + 1, ..at }, message, "");
                return None;
            }
            Some(b'{') => self.object(json, depth)?,
            Some(b'[') => {
                let elements: Vec<&'t RawValue> = self.parse(json)?;
                Tree::Array(elements.into_iter().map(|element| self.tree(element, depth - 1)).collect::<Option<_>>()?)
            }
            Some(b'"') => Tree::Text(self.parse(json)?),
            Some(b't' | b'f') => Tree::Boolean(self.parse(json)?),
            Some(b'n') => Tree::Null,
            // The text is valid JSON, so any other first byte begins a number.
            _ => Tree::Number(json.to_owned()),
        };
        Some(Located { value, at })
    }

    fn object(&mut self, json: &'t str, depth: usize) -> Option<Tree> {
        let Members(pairs) = self.parse(json)?;
        let mut members: Vec<(Located<String>, LocatedTree)> = Vec::with_capacity(pairs.len());
        let mut names = HashSet::with_capacity(pairs.len());
        let mut rest = self.location(json).start as usize + 1;
        for (name, raw) in pairs {
            // The location of a name isn't known, but the name is the only string between the previous value and its
            // own.
            let value = self.location(raw.get());
            let between = &self.text[rest..value.start as usize];
            let quoted = between.trim_matches(|character: char| character != '"');
            let name = Located { value: name, at: self.location(quoted) };
            rest = value.end as usize;
            let tree = self.tree(raw, depth - 1)?;
            if !names.insert(name.value.clone()) {
                let message = format!("duplicate member {:?}", name.value);
                self.diagnostics.error(name.at, message, "remove one of them");
            } else {
                members.push((name, tree));
            }
        }
        Some(Tree::Object(members))
    }

    /// Parses a part of the text, which is valid JSON. Reports the only fault that is left: an escape of half a
    /// character, such as `\ud800`.
    fn parse<T: serde::Deserialize<'t>>(&mut self, json: &'t str) -> Option<T> {
        match serde_json::from_str(json) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = described(&error);
                let at = self.location(json);
                self.diagnostics.error(at, message, "");
                None
            }
        }
    }

    /// Reports a syntax error at its place in the text.
    fn report(&mut self, error: &serde_json::Error) {
        let lines = self.text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let place = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
        // The column counts bytes, so it might be within a character. Test: `invalid_json_is_reported_where_it_stops`.
        let place = if error.is_eof() { self.text.len() } else { self.text.floor_char_boundary(place) };
        let character = self.text[place..].chars().next().map_or(0, char::len_utf8);
        let at = self.location(&self.text[place..place + character]);
        self.diagnostics.error(at, described(error), "");
    }

    /// Returns the location of a slice of the text.
    fn location(&self, slice: &str) -> Location {
        let start = slice.as_ptr() as usize - self.text.as_ptr() as usize;
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Location { source: self.source, start: place(start), end: place(start + slice.len()) }
    }
}

/// Returns the message of an error without its line and column, because the diagnostic shows these.
fn described(error: &serde_json::Error) -> String {
    let message = error.to_string();
    format!("invalid JSON: {}", message.split(" at line ").next().unwrap_or(&message))
}

/// The members of an object in the order of the text, including duplicates.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> serde::Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'t> Visitor<'t> for MembersVisitor {
    type Value = Members<'t>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Members<'t>, A::Error> {
        let mut members = Vec::new();
        // A map would drop all but one of several members with the same name. Test:
        // `every_duplicate_member_is_reported`.
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
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
    fn members_keep_their_order_place_and_spelling_of_numbers() {
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
    fn every_duplicate_member_is_reported() {
        let (tree, faults) = read_text(r#"{"a":1,"a":2,"b":{"c":1,"\u0063":2}}"#);
        assert!(tree.is_some());
        assert_eq!(faults.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [7, 24]);
    }

    #[test]
    fn invalid_json_is_reported_where_it_stops() {
        let cases = [
            ("", 0),
            ("{", 1),
            ("{\"a\" 1}", 5),
            ("{\"a\":1,}", 7),
            ("[1 2]", 3),
            ("[01]", 2),
            ("[1.]", 3),
            ("[+1]", 1),
            ("nul", 3),
            ("\"a", 2),
            ("\"\\x\"", 2),
            ("\"\\ud800\"", 0),
            ("\"\\ud83d\\u0041\"", 0),
            ("\"\\u+123\"", 6),
            ("\"a\nb\"", 1),
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
        let (tree, faults) = read_text(&("[".repeat(65) + &"]".repeat(65)));
        assert_eq!((tree, faults[0].0), (None, 64));
        assert!(read_text(&"[".repeat(100_000)).0.is_none());
    }
}
