//! Weak validators (RFC 9110, section 8.8.3).
//!
//! The digest is a fast one, not a cryptographic one: each 64-bit lane misses a change with a chance of 2^-64. Two pages
//! with one tag would need bodies chosen for it by whoever writes the items, and all that gets them is a 304 for their own
//! change. SHA-256 takes about ten times as long, which large pages would feel; and the standard library's hash does
//! not promise to be the same in every build, while replicas must agree on tags.

use std::ops::Range;

use http::HeaderValue;

/// Odd constants with no structure: the first 64 fractional bits of the square roots of 2, 3, 5 and 7.
const ROOTS: [u64; 4] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

/// Four lanes, each of which multiplies what it has with its part of every stripe of 64 bytes, and folds the product.
struct Digest([u64; 4]);

impl Digest {
    /// Takes a part of the body, and then its length, so that where parts meet counts too.
    fn take(&mut self, part: &[u8]) {
        let (stripes, rest) = part.as_chunks::<64>();
        for stripe in stripes {
            self.mix(stripe);
        }
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(&last);
        self.0[0] = fold(self.0[0] ^ part.len() as u64, ROOTS[0]) ^ self.0[0].rotate_left(29);
    }

    #[inline(always)]
    fn mix(&mut self, stripe: &[u8; 64]) {
        let (words, _) = stripe.as_chunks::<8>();
        for (lane, state) in self.0.iter_mut().enumerate() {
            let (low, high) = (u64::from_le_bytes(words[2 * lane]), u64::from_le_bytes(words[2 * lane + 1]));
            // What was there goes in beside the product as well, so that a factor of 0 does not wipe it out.
            *state = fold(low ^ ROOTS[lane], high ^ *state) ^ state.rotate_left(29);
        }
    }

    /// Two numbers that each depend on all lanes.
    fn finish(&self) -> [u64; 2] {
        [ROOTS[0], ROOTS[1]]
            .map(|root| self.0.iter().fold(root, |sum, &lane| fold(sum ^ lane, ROOTS[2]) ^ sum.rotate_left(31)))
    }
}

/// The two halves of a product, folded into one.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The tag of a body, without the ranges that change by themselves; they are in order and do not overlap.
#[must_use]
pub fn weak(body: &[u8], without: &[Range<usize>]) -> HeaderValue {
    let mut digest = Digest(ROOTS);
    let mut at = 0;
    for range in without {
        digest.take(body.get(at..range.start).unwrap_or_default());
        at = range.end;
    }
    digest.take(body.get(at..).unwrap_or_default());
    let mut text = *b"W/\"................................\"";
    let numbers = digest.finish().map(u64::to_be_bytes);
    for (byte, digits) in numbers.as_flattened().iter().zip(text[3..35].as_chunks_mut::<2>().0) {
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_byte_and_every_length_counts_but_for_what_is_left_out() {
        let body: Vec<u8> = (1..=201).collect();
        let mut tags = HashSet::new();
        for end in 0..=body.len() {
            assert!(tags.insert(weak(&body[..end], &[])), "cut at {end}");
        }
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.clone();
                changed[at] ^= 1 << bit;
                assert!(tags.insert(weak(&changed, &[])), "bit {bit} of {at}");
            }
        }
        for zeros in [1, 16, 63, 64, 65, 128] {
            assert!(tags.insert(weak(&vec![0; zeros], &[])), "{zeros} zeros");
        }
        let mut later = body.clone();
        later[40..60].fill(b'9');
        assert_eq!(weak(&body, &[40..60, 70..71]), weak(&later, &[40..60, 70..71]));
        assert_ne!(weak(&body, &[40..59, 70..71]), weak(&later, &[40..59, 70..71]));
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
