//! A canonical spelling of JSON values: members sorted by name, no whitespace, a single way to escape strings. The
//! spelling is only compared, never sent.

use super::{
    reader::{JsonReader, Read},
    scalar::{self, ScalarKind},
    shape::JsonError,
};

/// The reason why a value has no canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalError {
    /// The text isn't JSON, or is nested too deep.
    Json(JsonError),
    /// An object has two members with this name, which is given decoded.
    Duplicate(String),
}

impl From<JsonError> for CanonicalError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

/// Returns the canonical spelling of a value that is nested at most `depth` levels deep. Each level takes a part of the
/// thread's stack, so `depth` should be at most a few hundred.
///
/// # Errors
/// [`CanonicalError`] if the value isn't JSON, is nested too deep, or contains an object with two members of the same
/// name.
pub fn canonical(value: &[u8], depth: u16) -> Result<Vec<u8>, CanonicalError> {
    if let Err(error) = std::str::from_utf8(value) {
        return Err(JsonError::Malformed { at: error.valid_up_to() }.into());
    }
    let mut reader = JsonReader::new(value, depth);
    let mut out = Vec::with_capacity(value.len());
    push_value(&mut reader, &mut out)?;
    reader.end()?;
    Ok(out)
}

fn push_value(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match reader.byte() {
        b'{' => push_object(reader, out),
        b'[' => {
            out.push(b'[');
            let mut more = reader.enter(b']')?;
            while more {
                push_value(reader, out)?;
                more = reader.another()?;
                out.extend(more.then_some(b','));
            }
            out.push(b']');
            Ok(())
        }
        _ => {
            let start = reader.at();
            reader.skip()?;
            push_scalar(reader.since(start), out);
            Ok(())
        }
    }
}

fn push_object(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let mut members: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut more = reader.enter(b'}')?;
    while more {
        let at = reader.at();
        let name = reader.name()?;
        let text = scalar::text(name.quoted()).ok_or(JsonError::Malformed { at })?.into_owned();
        let mut value = Vec::new();
        push_value(reader, &mut value)?;
        members.push((text, value));
        more = reader.another()?;
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(CanonicalError::Duplicate(String::from_utf8_lossy(&pair[0].0).into_owned()));
    }
    out.push(b'{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(name, out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(())
}

fn push_scalar(raw: &[u8], out: &mut Vec<u8>) {
    match (scalar::kind(raw), scalar::text(raw)) {
        (ScalarKind::Text, Some(text)) => push_string(&text, out),
        // A number keeps its spelling, because some services distinguish 1 from 1.0. A string with half a surrogate
        // pair keeps its spelling because it can't be decoded.
        _ => out.extend_from_slice(raw),
    }
}

fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(text: &str) -> String {
        String::from_utf8(canonical(text.as_bytes(), 8).unwrap()).unwrap()
    }

    #[test]
    fn the_same_value_has_one_spelling() {
        for (one, other) in [
            (
                r#"{"b":[1,{"d":null,"c":true}],"a":"x"}"#,
                "{ \"a\" : \"\\u0078\",\n\"b\":[ 1 ,{\"c\":true,\"d\":null}]}",
            ),
            (r#""a\/b\"\u000a""#, "\"a/b\\\"\\n\""),
            ("[]", "[ ]"),
        ] {
            assert_eq!(spelt(one), spelt(other), "{one} {other}");
        }
    }

    #[test]
    fn different_values_have_different_canonical_spellings() {
        let mut spellings: Vec<String> = [
            "1",
            "1.0",
            "1e0",
            "-1",
            "11",
            "10",
            "0.1",
            "\"1\"",
            "1e99999999999999999999",
            "null",
            "\"null\"",
            "[1,2]",
            "[2,1]",
            "[]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":"b\",\"c\":\"d"}"#,
            r#"{"a":"b","c":"d"}"#,
            "\"\\ud800\"",
            "\"\"",
        ]
        .map(spelt)
        .to_vec();
        let count = spellings.len();
        spellings.sort();
        spellings.dedup();
        assert_eq!(spellings.len(), count);
    }

    #[test]
    fn a_member_twice_is_refused_wherever_it_stands() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"b":2,"\u0061":3}]}"#] {
            assert_eq!(canonical(text.as_bytes(), 8), Err(CanonicalError::Duplicate("a".to_owned())), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
        assert_eq!(canonical(deep.as_bytes(), 8), Err(JsonError::TooDeep.into()));
        for text in ["", "{", "[1,]", "1 2", r#"{"\ud800":1}"#] {
            assert!(matches!(canonical(text.as_bytes(), 8), Err(CanonicalError::Json(_))), "{text}");
        }
    }
}
