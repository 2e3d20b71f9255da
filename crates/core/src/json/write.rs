//! The writing of the gateway's own strings and numbers as JSON. Items are never written: their bytes are copied from
//! the upstream's body.

/// The hexadecimal digits in the order of their values.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` as a JSON string with its quotes.
///
/// In addition to the characters that RFC 8259 (section 7) names, these are escaped: `<` and `>`, which could begin an
/// element if a client writes a body into HTML; U+007F, which is a control character; and U+2028 and U+2029, which end
/// a line in older JavaScript. `&` isn't escaped: it is harmless without `<` and `>`, and links should be easy to read
/// and paste.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let (mut copied, mut at) = (0, 0);
    loop {
        at += plain(&bytes[at..]);
        let Some(&byte) = bytes.get(at) else { break };
        let (escape, length): (u16, usize) = match byte {
            0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (0x2028, 3),
            0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (0x2029, 3),
            // Other characters also begin with this byte. Test: `characters_that_must_be_escaped_are_escaped`.
            0xe2 => {
                at += 1;
                continue;
            }
            _ => (byte.into(), 1),
        };
        out.extend_from_slice(&bytes[copied..at]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |shift: u16| DIGITS[usize::from(escape >> shift & 0xf)];
                out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
        }
        at += length;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Returns the number of leading bytes that need no escape. Stops also at the byte 0xe2, which may begin U+2028 or
/// U+2029.
fn plain(bytes: &[u8]) -> usize {
    // The compiler emits vector instructions, because there is no branch on a byte within a block.
    let is_other = |byte: &u8| {
        u8::from(*byte < b' ')
            | u8::from(*byte == b'"')
            | u8::from(*byte == b'\\')
            | u8::from(*byte == b'<')
            | u8::from(*byte == b'>')
            | u8::from(*byte == 0x7f)
            | u8::from(*byte == 0xe2)
    };
    let (blocks, _) = bytes.as_chunks::<16>();
    let passed =
        16 * blocks.iter().take_while(|block| block.iter().fold(0, |any, byte| any | is_other(byte)) == 0).count();
    let rest = &bytes[passed..];
    passed + rest.iter().position(|byte| is_other(byte) != 0).unwrap_or(rest.len())
}

/// Appends `number` in decimal.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = number;
    loop {
        first -= 1;
        digits[first] = DIGITS[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        push_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn characters_that_must_be_escaped_are_escaped() {
        assert_eq!(written(""), r#""""#);
        assert_eq!(written("a\"b\\c/"), r#""a\"b\\c/""#);
        assert_eq!(written("\n\r\t\u{0}\u{8}\u{1f}\u{7f}"), r#""\n\r\t\u0000\u0008\u001f\u007f""#);
        assert_eq!(written("</script>&"), r#""\u003c/script\u003e&""#);
        assert_eq!(written("a\u{2028}\u{2029}b"), r#""a\u2028\u2029b""#);
        assert_eq!(written("\u{2027}é\u{202a}😀"), "\"\u{2027}é\u{202a}😀\"");
    }

    #[test]
    fn every_character_is_read_back() {
        for character in (0..=0x3000).chain(0xfff0..=0x1_0010).filter_map(char::from_u32) {
            let text = format!("{character}x{character}");
            let json = written(&text);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text, "{json}");
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 1, 9, 10, 1_003, 9_007_199_254_740_993, u64::MAX] {
            let mut out = b"x".to_vec();
            push_number(&mut out, number);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }
}
