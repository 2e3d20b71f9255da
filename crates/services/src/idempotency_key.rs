//! The `Idempotency-Key` with which a client can repeat a request without a second effect
//! (draft-ietf-httpapi-idempotency-key-header).

use http::{HeaderMap, HeaderName};

use cursorgate_translate::downstream::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The largest length of an `Idempotency-Key` in bytes, without its quotes. A longer key is refused.
const LONGEST: usize = 255;

/// Reads a request's `Idempotency-Key`: one string in double quotes (RFC 9651 section 3.3.3), without parameters.
/// Returns `None` if the request doesn't have the header.
///
/// # Errors
///
/// Returns 400 `idempotency_key_invalid` if the header is repeated, malformed, empty or longer than [`LONGEST`].
pub(super) fn read(headers: &HeaderMap) -> Result<Option<String>, Box<Problem>> {
    let mut lines = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    // Several lines together are a list, not a single item (RFC 9651 section 4.2). Test: `a_key_is_a_quoted_string`.
    let key = lines.next().is_none().then_some(line).and_then(|line| line.to_str().ok()).and_then(unquoted);
    match key.filter(|key| (1..=LONGEST).contains(&key.len())) {
        Some(key) => Ok(Some(key)),
        None => {
            let detail = format!(
                "write one Idempotency-Key, in double quotes and with at most {LONGEST} characters: \
                 Idempotency-Key: \"8e03978e-40d5-43dd-bc93-6894a57f9324\""
            );
            Err(Box::new(Problem::new(Code::IdempotencyKeyInvalid, detail).with_parameter("Idempotency-Key")))
        }
    }
}

/// Returns the content of a string in double quotes (RFC 9651 section 4.2.5); `None` if the string is malformed or is
/// followed by parameters.
fn unquoted(line: &str) -> Option<String> {
    let inner = line.trim_matches(' ').strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            ' '..='~' if character != '"' => text.push(character),
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_a_quoted_string() {
        let key = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(line));
            }
            read(&headers).map_err(|problem| problem.code.as_str())
        };
        assert_eq!(key(&[]), Ok(None));
        for (line, text) in [("\"a\"", "a"), (" \"a b\" ", "a b"), (r#""a\"\\""#, "a\"\\"), ("\"a, b\"", "a, b")] {
            assert_eq!(key(&[line]), Ok(Some(text.to_owned())), "{line}");
        }
        for line in ["", "a", "\"\"", "\"", "\"a", "a\"", "\"a\";b", "\"a\"\"b\"", r#""a\""#, r#""a\n""#, "\"a\tb\""] {
            assert_eq!(key(&[line]), Err("idempotency_key_invalid"), "{line}");
        }
        assert_eq!(key(&["\"a\"", "\"a\""]), Err("idempotency_key_invalid"));
    }
}
