//! `Link` fields of an upstream: no input causes a panic, and a target that is found is a part of the field.
#![no_main]

use cursorgate_link::find_target;
use http::{HeaderMap, HeaderValue, header::LINK};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|field: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(field) else { return };
    let headers = HeaderMap::from_iter([(LINK, value)]);
    if let Some(target) = find_target(&headers, "next") {
        assert!(String::from_utf8_lossy(field).contains(&target), "{target}");
    }
});
