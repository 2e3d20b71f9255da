//! Assertions about scans that must be true for every body. The tests and the fuzzer use them.

use serde::de::IgnoredAny;

use super::*;

/// Returns whether `serde_json` accepts a body, after a byte order mark, and the whole body is UTF-8.
pub fn serde_json_accepts(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    std::str::from_utf8(body).is_ok() && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Asserts that a full reading accepts a body if and only if `serde_json` does. Bodies that exceed a limit aren't
/// compared.
pub fn compare_verdicts(body: &[u8], shape: &Shape) {
    let is_json = match read_page(body, shape, Limits { depth: 120, ..Limits::default() }) {
        Ok(_) | Err(JsonError::NotAnArray | JsonError::ItemMissing { .. }) => true,
        Err(JsonError::Malformed { .. }) => false,
        Err(JsonError::TooDeep | JsonError::TooManyItems) => return,
    };
    assert_eq!(is_json, serde_json_accepts(body), "{:?}", String::from_utf8_lossy(body));
}

/// Asserts that all ways of scanning find the same ranges in well-formed JSON, and that the outline accepts another
/// body only if no part can break out of its place. Returns the number of items if the outline accepted a body that
/// isn't JSON, and otherwise `None`.
pub fn compare_ways(body: &[u8], shape: &Shape) -> Option<usize> {
    let limits = Limits::default();
    let plain = read_page(body, shape, limits);
    let outlined = outline_page(WindowMarker::Portable, body, shape, limits);
    assert_eq!(outline_page(WindowMarker::best(), body, shape, limits), outlined, "{}", String::from_utf8_lossy(body));
    assert_eq!(scan_page(body, shape, limits), outlined.clone().map_or_else(|| plain.clone(), Ok));
    if plain.is_ok() || serde_json_accepts(body) {
        assert_eq!(outlined, plain.ok(), "{}", String::from_utf8_lossy(body));
        return None;
    }
    let found = outlined?;
    assert!(is_closed(body), "{}", String::from_utf8_lossy(body));
    let items = found.items.unwrap_or_default();
    for item in &items {
        assert!(is_closed(item.of(body)), "{:?} of {:?}", item, String::from_utf8_lossy(body));
    }
    // If each item is replaced by `null`, the rest of the body must be read in the same way.
    let mut other = Vec::new();
    let mut copied = 0;
    for item in &items {
        other.extend_from_slice(&body[copied..item.start as usize]);
        other.extend_from_slice(b"null");
        copied = item.end as usize;
    }
    other.extend_from_slice(&body[copied..]);
    if shape.item == Pointer::default() {
        let again = outline_page(WindowMarker::Portable, &other, shape, limits)
            .expect("the edited body is as complete as the original");
        let again = again.items.unwrap_or_default();
        assert_eq!(again.len(), items.len());
        assert!(again.iter().all(|item| item.of(&other) == b"null"));
    }
    // Columns are read in full, so they must be JSON, except columns that contain other wanted places.
    for (number, span) in found.columns.iter().enumerate() {
        let steps = &shape.columns[number % shape.columns.len()].steps;
        let mut wanted = shape.columns.iter().chain([&shape.item]);
        if !wanted.any(|other| other.steps.len() > steps.len() && other.steps.starts_with(steps))
            && *steps != shape.item.steps
        {
            assert!(span.is_absent() || serde_json_accepts(span.of(body)), "{}", String::from_utf8_lossy(body));
        }
    }
    Some(items.len())
}

/// Returns whether all strings, brackets and braces are closed within these bytes. A simple loop over the bytes
/// decides.
fn is_closed(bytes: &[u8]) -> bool {
    let mut open = Vec::new();
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => loop {
                match rest.next() {
                    Some(b'"') => break,
                    Some(b'\\') => drop(rest.next()),
                    None | Some(0..b' ') => return false,
                    Some(_) => {}
                }
            },
            b'{' | b'[' => open.push(byte + 2),
            b'}' | b']' if open.pop() != Some(*byte) => return false,
            b'\\' | 0x80.. => return false,
            0..b' ' if !b"\n\r\t".contains(byte) => return false,
            _ => {}
        }
    }
    open.is_empty() && std::str::from_utf8(bytes).is_ok()
}
