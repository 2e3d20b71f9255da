//! What was not sealed here does not open.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{LONGEST, NOW, Random, after, context, open_here, random_cursors, ring};
use crate::cursor::{CursorError, Opened, codec, open, seal, token};
use crate::pagination::{
    position::{Hint, Position, Target},
    window::Offset,
};

/// A cursor with a good signature around any payload.
fn forge(payload: &[u8]) -> String {
    let keys = ring();
    let key = keys.signing();
    token::mint(key, &context().fingerprint(key), LONGEST, |out| {
        out.extend_from_slice(payload);
    })
    .unwrap()
}

/// Signs any bytes, the frame included.
fn forge_frame(frame: &[u8]) -> String {
    let tag = ring().signing().sign(frame);
    BASE64_URL_SAFE_NO_PAD.encode([frame, &tag].concat())
}

fn bytes_of(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[test]
fn every_flipped_bit_is_noticed() {
    for cursor in random_cursors(2, 25) {
        assert!(open_here(&cursor).is_ok());
        let bytes = bytes_of(&cursor);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_here(&BASE64_URL_SAFE_NO_PAD.encode(changed)), Err(CursorError::Invalid), "bit {bit}");
        }
        for bit in 0..cursor.len() * 7 {
            let mut changed = cursor.clone().into_bytes();
            changed[bit / 7] ^= 1 << (bit % 7);
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open_here(&changed), Err(CursorError::Invalid), "{changed}");
        }
    }
}

#[test]
fn every_cut_and_every_further_byte_is_noticed() {
    for cursor in random_cursors(3, 25) {
        let bytes = bytes_of(&cursor);
        for length in 0..cursor.len() {
            assert_eq!(open_here(&cursor[..length]), Err(CursorError::Invalid));
            assert_eq!(open_here(&cursor[cursor.len() - length..]), Err(CursorError::Invalid));
        }
        for extra in 0..=u8::MAX {
            let longer = BASE64_URL_SAFE_NO_PAD.encode([&bytes[..], &[extra]].concat());
            assert_eq!(open_here(&longer), Err(CursorError::Invalid));
            let character = char::from(extra);
            assert_eq!(open_here(&format!("{cursor}{character}")), Err(CursorError::Invalid));
            assert_eq!(open_here(&format!("{character}{cursor}")), Err(CursorError::Invalid));
        }
    }
}

#[test]
fn two_cursors_make_no_third() {
    let cursors = random_cursors(4, 12);
    for first in &cursors {
        for second in &cursors {
            for cut in 1..first.len().min(second.len()) {
                let from_start = format!("{}{}", &first[..cut], &second[cut..]);
                let from_end = format!("{}{}", &first[..first.len() - cut], &second[second.len() - cut..]);
                for spliced in [from_start, from_end] {
                    let whole = spliced == *first || spliced == *second;
                    assert_eq!(open_here(&spliced).is_ok(), whole, "{spliced}");
                }
            }
        }
    }
}

#[test]
fn random_texts_are_invalid() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (keys, context) = (ring(), context());
    let mut random = Random::new(5);
    for round in 0..100_000 {
        let length = random.below(160);
        let text: String = match round % 3 {
            0 => (0..length).map(|_| char::from(ALPHABET[random.below(64)])).collect(),
            // These pass for a cursor of the first key, but for the signature.
            1 => "AQE".chars().chain((0..length).map(|_| char::from(ALPHABET[random.below(64)]))).collect(),
            _ => (0..length).map(|_| char::from(random.byte())).collect(),
        };
        assert_eq!(open(keys, context, &text, NOW, Some(60), LONGEST), Err(CursorError::Invalid), "{text:?}");
    }
}

#[test]
fn a_cursor_has_one_spelling() {
    let mut remainders = Vec::new();
    for key in ["a", "ab", "abc"] {
        let cursor = seal(ring(), context(), &after(key, "1"), None, LONGEST).unwrap();
        remainders.push(cursor.len() % 4);
        let last = cursor.len() - 1;
        for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=".chars() {
            let other = format!("{}{character}", &cursor[..last]);
            assert_eq!(open_here(&other).is_ok(), other == cursor, "{other}");
        }
        for other in [
            format!("{cursor}="),
            format!("{cursor}=="),
            format!("{cursor}\n"),
            format!(" {cursor}"),
            format!("{}%2D{}", &cursor[..9], &cursor[10..]),
            cursor.replace('-', "+").replace('_', "/") + "+",
        ] {
            assert_eq!(open_here(&other), Err(CursorError::Invalid), "{other}");
        }
    }
    remainders.sort_unstable();
    assert_eq!(remainders, [0, 2, 3], "the last character is tried with each number of bits that say nothing");
}

#[test]
fn only_the_known_version_and_a_minimal_key_id_are_read() {
    let cursor = seal(ring(), context(), &after("x", "1"), None, LONGEST).unwrap();
    let bytes = bytes_of(&cursor);
    let (_, body) = bytes[..bytes.len() - 16].split_first_chunk::<2>().unwrap();
    for version in 0..=u8::MAX {
        for key in [&[1][..], &[2], &[0x81, 0], &[0x80], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[]] {
            let forged = forge_frame(&[&[version], key, body].concat());
            assert_eq!(open_here(&forged).is_ok(), version == 1 && key == [1], "{version} {key:?}");
        }
    }
}

/// A good signature does not make a good payload: a key may be shared with another version, or have leaked.
#[test]
fn hostile_payloads_with_a_good_signature_do_no_harm() {
    let mut random = Random::new(8);
    let mut greatest = Vec::new();
    codec::write_varint(&mut greatest, u64::MAX);
    for head in 0..=u8::MAX {
        for payload in [vec![head], [&[head][..], &greatest].concat(), [&[head][..], &greatest.repeat(8)].concat()] {
            for now in [0, NOW, u64::MAX] {
                for ttl in [None, Some(0), Some(400), Some(u64::MAX)] {
                    let _ = open(ring(), context(), &forge(&payload), now, ttl, LONGEST);
                }
            }
        }
    }
    for _ in 0..2_000 {
        let length = random.below(40);
        let payload: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        let _ = open(ring(), context(), &forge(&payload), NOW, Some(400), LONGEST);
    }
    let at = |offset| Target { position: Position::At(offset), hint: Hint { offset, ..Hint::default() } };
    let farthest = forge(&[&[4][..], &greatest].concat());
    assert_eq!(open_here(&farthest), Ok(Opened::Page(at(Offset(u64::MAX)))));
    assert_eq!(open_here(&forge(&[4, 7])), Ok(Opened::Page(at(Offset(7)))));
    assert_eq!(open_here(&forge(&[4, 7, 0])), Err(CursorError::Invalid), "a byte is left over");
    assert_eq!(open_here(&forge(&[4, 0x87, 0])), Err(CursorError::Invalid), "a varint is over-long");
    assert_eq!(open_here(&forge(&[])), Err(CursorError::Invalid));
    assert_eq!(open_here(&forge_frame(&[1, 1])), Err(CursorError::Invalid), "there is no fingerprint");
    assert_eq!(open_here(&forge_frame(&[])), Err(CursorError::Invalid));
}
