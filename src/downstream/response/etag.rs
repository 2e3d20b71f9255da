//! Weak validators (RFC 9110, section 8.8.3).
//!
//! The digest is XXH3 with 128 bits, which is the same in every build, as replicas must agree on tags. It is a fast one,
//! not a cryptographic one: two pages with one tag would need bodies chosen for it by whoever writes the items, and all
//! that gets them is a 304 for their own change. SHA-256 takes about ten times as long, which large pages would feel.

use http::HeaderValue;
use twox_hash::XxHash3_128;

/// The tag of a body, which may come in parts.
#[must_use]
pub fn weak(parts: &[&[u8]]) -> HeaderValue {
    let digest = match parts {
        [whole] => XxHash3_128::oneshot(whole),
        _ => {
            let mut digest = XxHash3_128::new();
            parts.iter().for_each(|part| digest.write(part));
            digest.finish_128()
        }
    };
    let mut text = *b"W/\"................................\"";
    for (byte, digits) in digest.to_be_bytes().iter().zip(text[3..35].as_chunks_mut::<2>().0) {
        *digits = [byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether a tag is among the values of `If-None-Match`, compared weakly; `*` names every one.
pub fn is_matched<'v>(tag: &HeaderValue, values: impl Iterator<Item = &'v HeaderValue>) -> bool {
    let opaque = |tag: &'v [u8]| tag.strip_prefix(b"W/").unwrap_or(tag);
    let Some(own) = tag.as_bytes().strip_prefix(b"W/") else {
        return false;
    };
    // Our own tags hold no comma, so a foreign tag that a comma splits can't turn into one of them: quotes are compared.
    let names = |value: &'v HeaderValue| {
        let mut named = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        value.as_bytes().trim_ascii() == b"*" || named.any(|named| opaque(named) == own)
    };
    values.into_iter().any(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_and_not_how_the_parts_are_cut() {
        let body: Vec<u8> = (1..=201).cycle().take(603).collect();
        let tag = weak(&[&body]);
        for end in 0..body.len() {
            assert_ne!(weak(&[&body[..end]]), tag, "cut at {end}");
            assert_eq!(weak(&[&body[..end], &body[end..]]), tag, "parted at {end}");
            let mut changed = body.clone();
            changed[end] ^= 1;
            assert_ne!(weak(&[&changed]), tag, "{end} changed");
        }
        // The same in every build: this one is of XXH3's own test vectors, for nothing at all.
        assert_eq!(weak(&[]), "W/\"99aa06d3014798d86001c324468d497f\"");
    }

    #[test]
    fn tags_match_weakly() {
        let tag = HeaderValue::from_static("W/\"abc\"");
        let cases = [
            ("W/\"abc\"", true),
            ("\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"x\",\"y\"", false),
            ("\"x,*,y\"", false),
            ("abc", false),
            ("w/\"abc\"", false),
            ("", false),
        ];
        for (value, matched) in cases {
            assert_eq!(is_matched(&tag, [&HeaderValue::from_static(value)].into_iter()), matched, "{value}");
        }
    }
}
