//! Tests that cursors which this key ring didn't make don't open.

use std::sync::atomic::Ordering;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{LONGEST, NOW, Random, after, context, open_here, page, random_cursors, ring};
use crate::{
    cursor::{
        CursorError, CursorForm, KeyRing, codec, frame, is_made_with, is_ours, keyring::SHORTEST_KEY, open, seal,
    },
    pagination::{
        position::{Hint, Position, Target},
        window::Offset,
    },
};

/// Makes a cursor with a valid tag and any payload.
fn forge(form: CursorForm, payload: &[u8]) -> String {
    let key = ring().signing();
    frame::mint(key, form, &context().fingerprint(key), LONGEST, |out| out.extend_from_slice(payload)).unwrap()
}

/// Makes a signed cursor of any bytes before the tag.
fn forge_frame(body: &[u8]) -> String {
    let tag = ring().signing().sign(body);
    BASE64_URL_SAFE_NO_PAD.encode([body, &tag].concat())
}

/// Makes a sealed cursor of any head and any padded payload.
fn forge_sealed_frame(head: &[u8], payload: &[u8]) -> String {
    let mut payload = payload.to_vec();
    let tag = ring().signing().sealer.cipher().seal(head, &mut payload);
    BASE64_URL_SAFE_NO_PAD.encode([head, &payload, &tag].concat())
}

fn bytes_of(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix('~').unwrap_or(text)).unwrap()
}

/// Asserts that a text is refused by a route with signed cursors, and by a route with sealed cursors.
#[track_caller]
fn assert_invalid(text: &str) {
    for sealed in [false, true] {
        assert_eq!(open_here(text, sealed), Err(CursorError::Invalid), "{text:?}");
    }
}

#[test]
fn cursors_are_recognised_by_their_keys_alone() {
    let others = KeyRing::new(1, &[(1, &[9; SHORTEST_KEY])]).unwrap();
    for sealed in [false, true] {
        for cursor in random_cursors(3, 20, sealed) {
            assert!(is_made_with(ring(), cursor.as_bytes(), LONGEST));
            assert!(!is_made_with(&others, cursor.as_bytes(), LONGEST), "another key");
            assert!(!is_made_with(ring(), cursor.as_bytes(), cursor.len() - 1), "too long");
            let mut changed = bytes_of(&cursor);
            *changed.last_mut().unwrap() ^= 1;
            assert!(!is_made_with(ring(), BASE64_URL_SAFE_NO_PAD.encode(changed).as_bytes(), LONGEST));
        }
    }
    for text in [&b""[..], b"5", b"\xff\xfe", &[b'A'; 60], &[b'A'; 5_000]] {
        assert!(!is_made_with(ring(), text, LONGEST), "{text:?}");
    }
}

/// Row: A01
#[test]
fn every_flipped_bit_is_noticed() {
    for sealed in [false, true] {
        for cursor in random_cursors(2, 20, sealed) {
            assert!(open_here(&cursor, sealed).is_ok());
            let bytes = bytes_of(&cursor);
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_invalid(&BASE64_URL_SAFE_NO_PAD.encode(changed));
            }
            for bit in 0..cursor.len() * 7 {
                let mut changed = cursor.clone().into_bytes();
                changed[bit / 7] ^= 1 << (bit % 7);
                assert_invalid(&String::from_utf8(changed).unwrap());
            }
        }
    }
}

/// Row: A01
#[test]
fn every_other_value_of_every_byte_is_refused() {
    for sealed in [false, true] {
        for cursor in random_cursors(12, 3, sealed) {
            let bytes = bytes_of(&cursor);
            for index in 0..bytes.len() {
                for value in 0..=u8::MAX {
                    let mut changed = bytes.clone();
                    changed[index] = value;
                    let opened = open_here(&BASE64_URL_SAFE_NO_PAD.encode(&changed), sealed);
                    assert_eq!(opened.is_ok(), changed == bytes, "byte {index} as {value}");
                }
            }
        }
    }
}

/// Row: A01
#[test]
fn every_cut_and_every_further_byte_is_noticed() {
    for sealed in [false, true] {
        for cursor in random_cursors(3, 12, sealed) {
            let bytes = bytes_of(&cursor);
            for length in 0..cursor.len() {
                assert_invalid(&cursor[..length]);
            }
            // The whole cursor without its mark is a cursor from before the mark was introduced.
            for length in 0..cursor.len() - 1 {
                assert_invalid(&cursor[cursor.len() - length..]);
            }
            assert!(open_here(&cursor[1..], sealed).is_ok());
            for extra in 0..=u8::MAX {
                assert_invalid(&BASE64_URL_SAFE_NO_PAD.encode([&bytes[..], &[extra]].concat()));
                let character = char::from(extra);
                assert_invalid(&format!("{cursor}{character}"));
                assert_invalid(&format!("{character}{cursor}"));
            }
        }
    }
}

/// Row: A01
#[test]
fn two_spliced_cursors_are_invalid() {
    for sealed in [false, true] {
        let cursors = random_cursors(4, 10, sealed);
        for first in &cursors {
            for second in &cursors {
                for cut in 1..first.len().min(second.len()) {
                    let from_start = format!("{}{}", &first[..cut], &second[cut..]);
                    let from_end = format!("{}{}", &first[..first.len() - cut], &second[second.len() - cut..]);
                    for spliced in [from_start, from_end] {
                        let whole = spliced == *first || spliced == *second;
                        assert_eq!(open_here(&spliced, sealed).is_ok(), whole, "{spliced}");
                    }
                }
            }
        }
    }
}

/// Row: A01
#[test]
fn random_texts_are_invalid() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (keys, context) = (ring(), context());
    let mut random = Random::new(5);
    for round in 0..100_000 {
        let length = random.below(160);
        let text: String = match round % 4 {
            0 => (0..length).map(|_| char::from(ALPHABET[random.below(64)])).collect(),
            // The version and the id of the first key, for a signed or a sealed cursor, followed by random characters.
            1 => "AQE".chars().chain((0..length).map(|_| char::from(ALPHABET[random.below(64)]))).collect(),
            2 => "AgE".chars().chain((0..length).map(|_| char::from(ALPHABET[random.below(64)]))).collect(),
            _ => (0..length).map(|_| char::from(random.byte())).collect(),
        };
        for sealed in [false, true] {
            let opened = open(keys, context, &text, NOW, Some(60), LONGEST, sealed);
            assert_eq!(opened, Err(CursorError::Invalid), "{text:?}");
        }
    }
}

/// Row: A04
#[test]
fn a_cursor_has_one_spelling() {
    let mut remainders = Vec::new();
    for key in ["a", "ab", "abc"] {
        let cursor = seal(ring(), context(), &after(key, "1"), None, LONGEST, false).unwrap();
        remainders.push(cursor.len() % 4);
        let last = cursor.len() - 1;
        for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=".chars() {
            let other = format!("{}{character}", &cursor[..last]);
            assert_eq!(open_here(&other, false).is_ok(), other == cursor, "{other}");
        }
        for other in [
            format!("{cursor}="),
            format!("{cursor}=="),
            format!("{cursor}\n"),
            format!(" {cursor}"),
            format!("{}%2D{}", &cursor[..9], &cursor[10..]),
            cursor.replace('-', "+").replace('_', "/") + "+",
        ] {
            assert_invalid(&other);
        }
    }
    remainders.sort_unstable();
    assert_eq!(remainders, [0, 1, 3], "the last character is tried with each number of bits that say nothing");
}

/// Cursors of this gateway are told apart from the tokens of other services: by the mark, even if they are damaged, and
/// without the mark by a valid tag.
#[test]
fn cursors_are_known_by_their_mark_or_by_their_tag() {
    let other = KeyRing::new(1, &[(1, &[7; SHORTEST_KEY])]).unwrap();
    for sealed in [false, true] {
        let cursor = seal(ring(), context(), &after("x", "1"), None, LONGEST, sealed).unwrap();
        let older = cursor.strip_prefix('~').expect("the mark");
        assert!(is_ours(ring(), &cursor, LONGEST) && is_ours(ring(), older, LONGEST));
        assert!(is_ours(&other, &cursor, LONGEST) && !is_ours(&other, older, LONGEST), "a retired key");
        assert!(is_ours(ring(), &cursor[..20], LONGEST) && !is_ours(ring(), &older[..20], LONGEST), "damaged");
        assert!(!is_ours(ring(), older, older.len() - 1), "longer than a cursor");
    }
    for text in ["", "start", "abc", "2026-01-01", "eyJpZCI6MX0", "AoE=", "AQHx4Bf-F3vMBS7zU0q3iA", "%7E", "a~"] {
        assert!(!is_ours(ring(), text, LONGEST), "{text:?}");
    }
    assert!(is_ours(ring(), "~", LONGEST));
}

/// Row: A05, A09
#[test]
fn only_known_versions_and_a_minimal_key_id_are_read() {
    let cursor = seal(ring(), context(), &after("x", "1"), None, LONGEST, false).unwrap();
    let bytes = bytes_of(&cursor);
    let (_, body) = bytes[..bytes.len() - 16].split_first_chunk::<2>().unwrap();
    let (fingerprint, payload) = body.split_at(14);
    let mut padded = [payload, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(16), 0);
    for version in 0..=u8::MAX {
        for key in [&[1][..], &[2], &[0x81, 0], &[0x80], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[]] {
            let signed = forge_frame(&[&[version], key, body].concat());
            assert_eq!(open_here(&signed, false).is_ok(), version == 1 && key == [1], "{version} {key:?}");
            let sealed = forge_sealed_frame(&[&[version], key, fingerprint].concat(), &padded);
            assert_eq!(open_here(&sealed, true).is_ok(), version == 2 && key == [1], "{version} {key:?}");
        }
    }
}

/// A refusal checks exactly one tag, whether the key id exists or not.
///
/// Row: A09
#[test]
fn a_tag_is_computed_for_unknown_keys_too() {
    for sealed in [false, true] {
        for named in [1, 2, 3, 0x7f] {
            let ring = KeyRing::new(1, &[(1, &[7; SHORTEST_KEY]), (2, &[8; SHORTEST_KEY])]).unwrap();
            let cursor = seal(&ring, context(), &after("x", "1"), None, LONGEST, sealed).unwrap();
            let mut bytes = bytes_of(&cursor);
            bytes[1] = named;
            *bytes.last_mut().unwrap() ^= 1;
            let text = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
            let opened = open(&ring, context(), &text, NOW, None, LONGEST, sealed);
            assert_eq!(opened, Err(CursorError::Invalid), "{named}, {sealed}");
            let [first, second] = [1, 2].map(|id| ring.find(id).unwrap().verified.load(Ordering::Relaxed));
            // The signing key is used in place of a key that doesn't exist.
            assert_eq!((first, second), if named == 2 { (0, 1) } else { (1, 0) }, "{named}, {sealed}");
        }
    }
}

/// A hostile payload with a valid tag causes no panic. Such payloads are possible if the key has leaked, or if another
/// version uses it.
#[test]
fn hostile_payloads_with_a_good_tag_do_no_harm() {
    let mut random = Random::new(8);
    let mut greatest = Vec::new();
    codec::write_varint(&mut greatest, u64::MAX);
    let any = |payload: &[u8], now, ttl| {
        for (form, sealed) in [(CursorForm::Signed, false), (CursorForm::Sealed, true), (CursorForm::Sealed, false)] {
            let _ = open(ring(), context(), &forge(form, payload), now, ttl, LONGEST, sealed);
        }
    };
    for head in 0..=u8::MAX {
        for payload in [vec![head], [&[head][..], &greatest].concat(), [&[head][..], &greatest.repeat(8)].concat()] {
            for now in [0, NOW, u64::MAX] {
                for ttl in [None, Some(0), Some(400), Some(u64::MAX)] {
                    any(&payload, now, ttl);
                }
            }
        }
    }
    for _ in 0..2_000 {
        let length = random.below(40);
        let payload: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        any(&payload, NOW, Some(400));
    }
    let at = |offset| page(&Target { position: Position::At(offset), hint: Hint { offset, ..Hint::default() } });
    for (form, sealed) in [(CursorForm::Signed, false), (CursorForm::Sealed, true)] {
        let open = |payload: &[u8]| open_here(&forge(form, payload), sealed);
        assert_eq!(open(&[&[4][..], &greatest].concat()), Ok(at(Offset(u64::MAX))));
        assert_eq!(open(&[4, 7]), Ok(at(Offset(7))));
        assert_eq!(open(&[4, 7, 0]), Err(CursorError::Invalid), "a byte is left over");
        assert_eq!(open(&[4, 0x87, 0]), Err(CursorError::Invalid), "a varint is over-long");
        assert_eq!(open(&[]), Err(CursorError::Invalid));
    }
    assert_invalid(&forge_frame(&[1, 1]));
    assert_invalid(&forge_frame(&[2, 1]));
    assert_invalid(&forge_frame(&[]));
    assert_invalid(&forge_sealed_frame(&[2, 1], &[]));
}
