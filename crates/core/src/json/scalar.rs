//! Readers of single values. Their input is a value that a scan found: well-formed JSON without whitespace around it.
//!
//! An empty slice, which [`Span::of`](super::Span::of) returns for a missing member, is read as null.

use std::borrow::Cow;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// `null`, or an empty slice.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number of any length.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Returns the kind of a value, which depends only on the first byte.
#[must_use]
pub fn kind(raw: &[u8]) -> ScalarKind {
    match raw.first() {
        Some(b'"') => ScalarKind::Text,
        Some(b'[') => ScalarKind::Array,
        Some(b'{') => ScalarKind::Object,
        Some(b't') => ScalarKind::Boolean(true),
        Some(b'f') => ScalarKind::Boolean(false),
        Some(b'-' | b'0'..=b'9') => ScalarKind::Number,
        _ => ScalarKind::Null,
    }
}

/// Returns the decoded characters of a JSON string as UTF-8; borrowed if no character is escaped.
///
/// `None` for other kinds of values, and for strings with half a surrogate pair (`"\ud800"`), which aren't Unicode.
#[must_use]
pub fn text(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = push_unescaped(&mut out, &rest[at + 1..])?;
    }
    out.extend_from_slice(rest);
    Some(Cow::Owned(out))
}

/// Returns the value of a count, which is a non-negative integer of at most 64 bits. A number may have any spelling
/// (`12`, `12.0`, `1.2e1`), and a string must consist of digits (`"12"`). `None` for all other values.
#[must_use]
pub fn unsigned(raw: &[u8]) -> Option<u64> {
    match kind(raw) {
        ScalarKind::Number => exact(raw),
        ScalarKind::Text => {
            let text = text(raw)?;
            if text.is_empty() { None } else { append_digits(0, &text) }
        }
        _ => None,
    }
}

/// Returns the value of `true` or `false`; `None` for all other values.
#[must_use]
pub fn boolean(raw: &[u8]) -> Option<bool> {
    match raw {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Returns whether the value is the empty string `""`.
#[must_use]
pub fn is_empty_text(raw: &[u8]) -> bool {
    raw == b"\"\""
}

/// Decodes the escape whose backslash precedes `escape`, and appends its character to `out`. Returns the text after the
/// escape; `None` if the escape isn't valid.
fn push_unescaped<'a>(out: &mut Vec<u8>, escape: &'a [u8]) -> Option<&'a [u8]> {
    let (&letter, rest) = escape.split_first()?;
    let plain = match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return push_code_point(out, rest),
        _ => return None,
    };
    out.push(plain);
    Some(rest)
}

/// Decodes the digits of a `\uXXXX` escape, and the second escape of a surrogate pair if the digits are the first half.
/// Returns the text after the escape; `None` for half a pair.
fn push_code_point<'a>(out: &mut Vec<u8>, digits: &'a [u8]) -> Option<&'a [u8]> {
    let (first, mut rest) = code_unit(digits)?;
    let mut code = first;
    if (0xd800..0xdc00).contains(&first) {
        // A high half without a low half isn't a character. Test: `texts_are_decoded_as_by_serde_json`.
        let (second, after) = code_unit(rest.strip_prefix(b"\\u")?)?;
        code = 0x1_0000 + ((first - 0xd800) << 10) + second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        rest = after;
    }
    let character = char::from_u32(code)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

/// Decodes four hexadecimal digits. Returns their value and the text after them.
fn code_unit(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (unit, rest) = digits.split_first_chunk::<4>()?;
    let mut code = 0;
    for &digit in unit {
        code = code << 4 | char::from(digit).to_digit(16)?;
    }
    Some((code, rest))
}

/// Returns the value of a JSON number that is a non-negative integer of at most 64 bits; `None` for all other numbers.
fn exact(raw: &[u8]) -> Option<u64> {
    let mantissa_end = raw.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(raw.len());
    let (mantissa, exponent) = raw.split_at(mantissa_end);
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&mantissa[..dot], &mantissa[dot + 1..]),
        None => (mantissa, &mantissa[mantissa.len()..]),
    };
    // Trailing zeros are left out, because they could overflow an intermediate value: 1000…000e-30 may be a count too.
    let digits = || whole.iter().chain(fraction);
    let trailing_zeros = digits().rev().take_while(|digit| **digit == b'0').count();
    let significant = digits().count() - trailing_zeros;
    let mut value: u64 = 0;
    // A minus sign isn't a digit, so -0 isn't a count. Test: `a_count_is_read_in_every_spelling_of_its_number`.
    for digit in digits().take(significant) {
        value = append_digits(value, &[*digit])?;
    }
    // The exponent of a zero doesn't matter, and may be too large to parse.
    if value == 0 {
        return Some(0);
    }
    let scale = i64::try_from(trailing_zeros).ok()? - i64::try_from(fraction.len()).ok()?;
    let scale = scale.checked_add(exponent_value(exponent)?)?;
    value.checked_mul(10_u64.checked_pow(u32::try_from(scale).ok()?)?)
}

/// Returns the exponent of a number, whose first byte is `e` or `E`, or 0 for an empty slice; `None` if the exponent
/// doesn't fit into 64 bits.
fn exponent_value(exponent: &[u8]) -> Option<i64> {
    match exponent {
        [] => Some(0),
        [_, b'-', digits @ ..] => {
            append_digits(0, digits).and_then(|value| i64::try_from(value).ok()).map(|value| -value)
        }
        [_, b'+', digits @ ..] | [_, digits @ ..] => {
            append_digits(0, digits).and_then(|value| i64::try_from(value).ok())
        }
    }
}

/// Returns `value` with decimal digits appended: 12 and `34` give 1234. `None` on overflow, or if a byte isn't a digit.
fn append_digits(value: u64, digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(value, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_value_follows_from_its_first_byte() {
        let cases: [(&[u8], ScalarKind); 9] = [
            (b"", ScalarKind::Null),
            (b"null", ScalarKind::Null),
            (b"true", ScalarKind::Boolean(true)),
            (b"false", ScalarKind::Boolean(false)),
            (b"-0", ScalarKind::Number),
            (b"1e400", ScalarKind::Number),
            (b"\"\"", ScalarKind::Text),
            (b"[]", ScalarKind::Array),
            (b"{}", ScalarKind::Object),
        ];
        for (raw, expected) in cases {
            assert_eq!(kind(raw), expected, "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn texts_are_decoded_as_by_serde_json() {
        let cases = [
            r#""""#,
            r#""plain""#,
            r#""\/\"\\\b\f\n\r\t""#,
            r#""\u00e9\u00E9é""#,
            r#""\u0000""#,
            r#""\ud83d\ude00 and \uD83D\uDE00""#,
            r#""x\uffff\ue000\ud7ff""#,
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#""\ud800x\udc00""#,
            r#""\ud800\n""#,
            r#""\udbff\udfff""#,
            r#""\ud800\ue000""#,
            r#""\udc00\ud800""#,
        ];
        for raw in cases {
            let expected = serde_json::from_str::<String>(raw).ok();
            let read = text(raw.as_bytes()).map(|text| String::from_utf8(text.into_owned()).unwrap());
            assert_eq!(read, expected, "{raw}");
        }
        assert!(matches!(text(br#""plain""#), Some(Cow::Borrowed(b"plain"))));
        assert!(matches!(text(br#""a\/b""#), Some(Cow::Owned(_))));
        for raw in ["", "null", "12", "\"", "[\"a\"]"] {
            assert_eq!(text(raw.as_bytes()), None, "{raw}");
        }
    }

    #[test]
    fn a_count_is_read_in_every_spelling_of_its_number() {
        let cases = [
            ("0", Some(0)),
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("12.000", Some(12)),
            ("25.0", Some(25)),
            ("1.2e1", Some(12)),
            ("1.20E+1", Some(12)),
            ("120e-1", Some(12)),
            ("1000000000000000000000000e-22", Some(100)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551615.0", Some(u64::MAX)),
            ("1.8446744073709551615e19", Some(u64::MAX)),
            ("0.0", Some(0)),
            ("0e99999999999999999999999", Some(0)),
            ("0e-400", Some(0)),
            ("10e-1", Some(1)),
            ("\"12\"", Some(12)),
            ("\"0012\"", Some(12)),
            (r#""\u0031""#, Some(1)),
            ("18446744073709551616", None),
            ("1e400", None),
            ("1e-400", None),
            ("1e99999999999999999999999", None),
            ("1e-99999999999999999999999", None),
            ("1e20", None),
            ("0.5", None),
            ("12.5", None),
            ("-1", None),
            ("-0", None),
            ("-0.0", None),
            ("\"-1\"", None),
            ("\"+1\"", None),
            ("\"12.0\"", None),
            ("\"1 2\"", None),
            ("\" 12\"", None),
            ("\"\"", None),
            ("\"NaN\"", None),
            ("\"18446744073709551616\"", None),
            ("null", None),
            ("true", None),
            ("[1]", None),
            ("", None),
        ];
        for (raw, expected) in cases {
            assert_eq!(unsigned(raw.as_bytes()), expected, "{raw}");
        }
    }

    #[test]
    fn booleans_and_empty_texts_are_recognised() {
        assert_eq!(boolean(b"true"), Some(true));
        assert_eq!(boolean(b"false"), Some(false));
        for raw in ["\"true\"", "1", "null", ""] {
            assert_eq!(boolean(raw.as_bytes()), None, "{raw}");
        }
        assert!(is_empty_text(b"\"\""));
        assert!(!is_empty_text(b"\" \""));
        assert!(!is_empty_text(b""));
        assert!(!is_empty_text(b"null"));
    }
}
