//! The fingerprint of a pivot's keys, in 40 bits. It shows whether keys that come from a cache, or from the item's own
//! resource, are those with which the item was served.

use super::{
    decimal::plain_decimal,
    key::KeyValue,
    mark::{Mark, Marker},
};

/// Returns the mark of an item's strong keys. Different spellings of a number, such as `25.0` and `2.5e1`, have the
/// same mark; strings count by their decoded bytes.
#[must_use]
pub fn fingerprint(marker: &Marker, keys: &[KeyValue]) -> Mark {
    marker.mark(&canonical(keys))
}

/// Returns an encoding that is different for different keys. Each key is a letter for its type, its length in 8 bytes,
/// and its bytes.
fn canonical(keys: &[KeyValue]) -> Vec<u8> {
    let mut out = Vec::new();
    for key in keys {
        let plain;
        // A number and a string of the same bytes are different keys. Test:
        // `different_values_have_different_fingerprint_texts`.
        let (letter, bytes): (u8, &[u8]) = match key {
            KeyValue::Null => (b'0', b""),
            KeyValue::Boolean(false) => (b'b', b"0"),
            KeyValue::Boolean(true) => (b'b', b"1"),
            KeyValue::Number(digits) => {
                plain = plain_decimal(digits.as_bytes());
                (b'n', plain.as_deref().unwrap_or(digits.as_bytes()))
            }
            KeyValue::Text(text) => (b't', text),
        };
        out.push(letter);
        // The length separates a value from the next one. Test: `different_values_have_different_fingerprint_texts`.
        out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_values_have_different_fingerprint_texts() {
        let number = |digits: &str| KeyValue::Number(digits.into());
        let text = |text: &str| KeyValue::Text(text.into());
        let rows = [
            vec![],
            vec![KeyValue::Null],
            vec![KeyValue::Boolean(false)],
            vec![KeyValue::Boolean(true)],
            vec![number("0")],
            vec![number("1")],
            vec![text("1")],
            vec![text("")],
            vec![text(""), text("")],
            vec![text("t"), text("")],
            vec![text(""), text("t")],
        ];
        for (at, row) in rows.iter().enumerate() {
            for other in &rows[at + 1..] {
                assert_ne!(canonical(row), canonical(other), "{row:?} {other:?}");
            }
        }
        assert_eq!(canonical(&[number("25.0")]), canonical(&[number("2.5e1")]));
    }
}
