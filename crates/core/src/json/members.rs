//! Readers of small values: all members of an object, whose names needn't be known, and all elements of an array.

use std::borrow::Cow;

use super::{
    reader::{JsonReader, Read},
    scalar,
};

/// A member of an object: its decoded name and its raw value.
pub type Member<'a> = (Cow<'a, [u8]>, &'a [u8]);

/// The largest number of members or elements; larger values aren't read.
const MOST: usize = 1_000;

/// Returns the decoded names and the raw values of an object's members, in their order. If a name comes twice, the last
/// value counts. `None` if `value` isn't a JSON object, if a name isn't Unicode, or if there are more than 1,000
/// members, including duplicates.
#[must_use]
pub fn members(value: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut reader = JsonReader::new(value, u16::MAX);
    if reader.byte() != b'{' || std::str::from_utf8(value).is_err() {
        return None;
    }
    let mut found: Vec<Member<'_>> = Vec::new();
    let mut more = reader.enter(b'}').ok()?;
    let mut left = MOST;
    while more {
        left = left.checked_sub(1)?;
        let name = scalar::text(reader.name().ok()?.quoted())?;
        let start = reader.at();
        reader.skip().ok()?;
        let value = reader.since(start);
        // The bound on members keeps this quadratic search small.
        match found.iter().position(|(known, _)| *known == name) {
            Some(earlier) => found[earlier].1 = value,
            None => found.push((name, value)),
        }
        more = reader.another().ok()?;
    }
    reader.end().ok()?;
    Some(found)
}

/// Returns the raw elements of an array; `None` if `value` isn't a JSON array, or has more than 1,000 elements.
#[must_use]
pub fn elements(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = JsonReader::new(value, u16::MAX);
    if reader.byte() != b'[' {
        return None;
    }
    let mut found = Vec::new();
    let mut more = reader.enter(b']').ok()?;
    while more {
        let start = reader.at();
        reader.skip().ok()?;
        if found.len() == MOST {
            return None;
        }
        found.push(reader.since(start));
        more = reader.another().ok()?;
    }
    reader.end().ok()?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Some(members(text.as_bytes())?.iter().map(|(name, value)| (text_of(name), text_of(value))).collect())
    }

    #[test]
    fn members_come_in_order_and_the_last_of_a_name_counts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read_all = read(r#"{ "a" : 1, "b\u0041" : "x y", "a" : { "c" : [ ] } }"#);
        assert_eq!(read_all, Some(vec![pair("a", "{ \"c\" : [ ] }"), pair("bA", "\"x y\"")]));
        assert_eq!(read("{}"), Some(Vec::new()));
    }

    #[test]
    fn elements_come_in_order() {
        assert_eq!(elements(b"[ 1, \"x\" ,[2] ]"), Some(vec![&b"1"[..], b"\"x\"", b"[2]"]));
        assert_eq!(elements(b"[]"), Some(Vec::new()));
        for text in ["", "{}", "[1", "[1,]", "[] x"] {
            assert_eq!(elements(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn values_that_are_not_objects_have_no_members() {
        for text in ["", "[]", "1", "{", "{\"a\"}", "{\"a\":1,}", "{} x", "{\"\\ud800\":1}"] {
            assert_eq!(read(text), None, "{text}");
        }
        let many: Vec<String> = (0..=MOST).map(|number| format!("\"{number}\":1")).collect();
        assert_eq!(read(&format!("{{{}}}", many.join(","))), None);
        let again = "\"a\":1,".repeat(MOST);
        assert_eq!(read(&format!("{{{again}\"a\":2}}")), None);
        assert_eq!(members(b"{\"a\":\"\xff\"}"), None);
    }
}
