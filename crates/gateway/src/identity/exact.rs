//! Values that certainly name a client.

use serde_json::Value;

/// Returns whether a value is read as it is written. Numbers beyond 64 bits or with a fraction are read approximately,
/// so two different ones could be equal.
pub(super) fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_u64() || number.is_i64(),
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_exact;

    #[test]
    fn numbers_that_are_read_approximately_name_nobody() {
        let read = |text: &str| is_exact(&serde_json::from_str(text).unwrap());
        for text in ["1", "-1", "18446744073709551615", "\"1.5\"", "[\"a\",7]", "null"] {
            assert!(read(text), "{text}");
        }
        // Both of the last two are read as the same number.
        for text in ["1.5", "[1,2.5]", "{\"a\":1e3}", "36893488147419103232", "36893488147419103233"] {
            assert!(!read(text), "{text}");
        }
    }
}
