//! Weak validators (RFC 9110, section 8.8.3).
//!
//! The digest is XXH3 with 128 bits, which is the same in every build, because replicas must agree on tags. It isn't
//! cryptographic. Only the author of the items could choose two bodies with the same tag, and the only effect would be
//! a 304 in place of the author's own change. SHA-256 takes about ten times as long, which matters for large pages.

use http::HeaderValue;
use twox_hash::XxHash3_128;

/// Returns the weak tag of a body, whose bytes are given in parts.
#[must_use]
pub fn weak(parts: &[&[u8]]) -> HeaderValue {
    // The same body has one tag, however it is divided into parts. Test:
    // `a_tag_depends_on_every_byte_and_not_on_the_parts`.
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

/// Returns whether a weak tag is among the values of `If-None-Match`, by weak comparison; `*` matches every weak tag.
/// Returns `false` if `tag` is strong, as no page's tag is.
pub fn is_matched<'v>(tag: &HeaderValue, values: impl Iterator<Item = &'v HeaderValue>) -> bool {
    // `W/` is case-sensitive (RFC 9110 section 8.8.3). Test: `tags_match_weakly`.
    let opaque = |tag: &'v [u8]| tag.strip_prefix(b"W/").unwrap_or(tag);
    let Some(own) = tag.as_bytes().strip_prefix(b"W/") else {
        return false;
    };
    // The gateway's tags contain no comma, so a foreign tag that is split at a comma can't become one of them: quotes
    // are compared too.
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
    fn a_tag_depends_on_every_byte_and_not_on_the_parts() {
        let body: Vec<u8> = (1..=201).cycle().take(603).collect();
        let tag = weak(&[&body]);
        for end in 0..body.len() {
            assert_ne!(weak(&[&body[..end]]), tag, "cut at {end}");
            assert_eq!(weak(&[&body[..end], &body[end..]]), tag, "parted at {end}");
            let mut changed = body.clone();
            changed[end] ^= 1;
            assert_ne!(weak(&[&changed]), tag, "{end} changed");
        }
        // This value is from XXH3's test vectors, for the empty input.
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
