//! The encoding of key values. The first byte gives the kind and, for strings of up to 191 bytes, the length.

use super::bytes::{ByteReader, write_varint};
use crate::pagination::key::{KeyRef, KeyValue};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
/// An integer from 0 to 2^64 - 1, as a varint.
const NATURAL: u8 = 3;
/// An integer n from -1 down to 1 - 2^64, as a varint of -1 - n.
const NEGATIVE: u8 = 4;
/// Any other number, such as `1.0`, `1e400` or `-0`, as the length and the bytes of its spelling.
const NUMBER: u8 = 5;
/// A string that is a UUID in lower case (RFC 9562, section 4), as its 16 bytes.
const UUID: u8 = 6;
/// A string that is too long for [`TEXT`], as a varint of its length minus [`SHORT_TEXTS`], and its bytes.
const LONG_TEXT: u8 = 7;
/// The first byte of the empty string. A string of `n` bytes, at most 191, begins with `TEXT + n`.
const TEXT: u8 = 0x40;
/// The number of lengths that the first byte can express: 0 to 191.
const SHORT_TEXTS: usize = (u8::MAX - TEXT) as usize + 1;

pub(super) fn write_value(out: &mut Vec<u8>, value: &KeyRef<'_>) {
    match value {
        KeyRef::Null => out.push(NULL),
        KeyRef::Boolean(false) => out.push(FALSE),
        KeyRef::Boolean(true) => out.push(TRUE),
        KeyRef::Number(spelling) => match Integer::from_spelling(spelling) {
            Some(Integer::Natural(number)) => {
                out.push(NATURAL);
                write_varint(out, number);
            }
            Some(Integer::Negative(number)) => {
                out.push(NEGATIVE);
                write_varint(out, number);
            }
            None => {
                out.push(NUMBER);
                write_varint(out, spelling.len() as u64);
                out.extend_from_slice(spelling.as_bytes());
            }
        },
        KeyRef::Text(text) => write_text(out, text),
    }
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    if let Some(uuid) = pack_uuid(text) {
        out.push(UUID);
        out.extend_from_slice(&uuid);
        return;
    }
    match u8::try_from(text.len()) {
        Ok(length) if text.len() < SHORT_TEXTS => out.push(TEXT + length),
        _ => {
            out.push(LONG_TEXT);
            write_varint(out, (text.len() - SHORT_TEXTS) as u64);
        }
    }
    out.extend_from_slice(text);
}

/// An integer whose magnitude fits into 64 bits, in canonical spelling: without leading zeros, fraction or exponent,
/// and not `-0`.
enum Integer {
    Natural(u64),
    /// A negative integer n, as -1 - n.
    Negative(u64),
}

impl Integer {
    fn from_spelling(spelling: &str) -> Option<Self> {
        let digits = spelling.strip_prefix('-').unwrap_or(spelling);
        // Numbers in any other spelling are encoded by their spelling. Test: `spellings_of_numbers_are_kept`.
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let magnitude: u64 = if plain { digits.parse().ok()? } else { return None };
        if digits.len() == spelling.len() {
            Some(Self::Natural(magnitude))
        } else {
            magnitude.checked_sub(1).map(Self::Negative)
        }
    }
}

/// The indexes of the hyphens in a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// The length of a UUID, in characters.
const UUID_TEXT: usize = 36;

fn pack_uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != UUID_TEXT {
        return None;
    }
    let mut packed = [0; 16];
    let mut digits = 0;
    for (index, &byte) in text.iter().enumerate() {
        if HYPHENS.contains(&index) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            // A UUID in upper case is encoded as a string, which keeps its spelling. Test:
            // `values_of_different_kinds_have_distinct_encodings`.
            _ => return None,
        };
        packed[digits / 2] = packed[digits / 2] << 4 | digit;
        digits += 1;
    }
    Some(packed)
}

fn unpack_uuid(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(UUID_TEXT);
    for byte in packed {
        if HYPHENS.contains(&text.len()) {
            text.push(b'-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }
    text
}

pub(super) fn read_value(rest: &mut ByteReader<'_>) -> Option<KeyValue> {
    Some(match rest.byte()? {
        NULL => KeyValue::Null,
        FALSE => KeyValue::Boolean(false),
        TRUE => KeyValue::Boolean(true),
        NATURAL => KeyValue::Number(rest.varint()?.to_string()),
        NEGATIVE => KeyValue::Number(format!("-{}", rest.varint()?.checked_add(1)?)),
        NUMBER => {
            let length = rest.varint()?;
            let spelling = std::str::from_utf8(rest.take(length)?).ok()?;
            // An integer has its own kind. Its spelling would be a second encoding. Test:
            // `encodings_that_the_codec_never_writes_are_refused`.
            if Integer::from_spelling(spelling).is_some() {
                return None;
            }
            KeyValue::Number(spelling.to_owned())
        }
        UUID => KeyValue::Text(unpack_uuid(rest.take(16)?)),
        LONG_TEXT => {
            let length = rest.varint()?.checked_add(SHORT_TEXTS as u64)?;
            KeyValue::Text(rest.take(length)?.to_vec())
        }
        byte => {
            let text = rest.take(u64::from(byte.checked_sub(TEXT)?))?;
            // A UUID in lower case has its own kind. As a string it would have a second encoding.
            if pack_uuid(text).is_some() {
                return None;
            }
            KeyValue::Text(text.to_vec())
        }
    })
}
