//! Tests of sealed cursors: their content can't be read, and they don't open on a route with signed cursors.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{LONGEST, NOW, Random, after, context, newest_first, open_here, page, parts, random_item, ring, text};
use crate::{
    cursor::{ContextParts, CursorContext, CursorError, Expiry, open, seal, seal_item},
    pagination::{
        fetch::Token,
        position::{Anchor, Hint, Item, Loop, PlaceInPage, Position, Target, TokenPlace},
    },
};

fn bytes_of(cursor: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(cursor.strip_prefix('~').unwrap_or(cursor)).unwrap()
}

fn in_token(token: &str) -> Target {
    let token = Some(Token(token.into()));
    let place = TokenPlace {
        token,
        token_backward: false,
        backward: false,
        within: PlaceInPage::Whole,
        circle: Loop::default(),
    };
    Target { position: Position::Token(Box::new(place)), hint: Hint::default() }
}

#[test]
fn sealed_and_signed_are_not_interchangeable() {
    let (keys, here) = (ring(), context());
    let mut random = Random::new(10);
    for _ in 0..200 {
        let target = super::random_target(&mut random);
        let always = matches!(target.position, Position::Token(_));
        let cursors = [false, true].map(|sealed| seal(keys, here, &target, None, LONGEST, sealed).unwrap());
        assert_eq!(cursors[0] == cursors[1], always, "what an upstream handed out is sealed on any route");
        for (made, cursor) in [false, true].into_iter().zip(&cursors) {
            assert_eq!(bytes_of(cursor)[0], if made || always { 2 } else { 1 });
            for opened in [false, true] {
                let expected = made == opened || always;
                let wanted = if expected { Ok(page(&super::as_carried(&target))) } else { Err(CursorError::Invalid) };
                assert_eq!(open_here(cursor, opened), wanted);
            }
        }
        let item = random_item(&mut random);
        for made in [false, true] {
            let cursor = seal_item(keys, here, &item, LONGEST, made).unwrap();
            for opened in [false, true] {
                assert_eq!(open_here(&cursor, opened).is_ok(), made == opened);
            }
        }
    }
}

/// An expired cursor of the other form is invalid, not expired, because the form is checked before the age.
#[test]
fn an_expired_cursor_of_the_other_form_is_invalid() {
    let (keys, here) = (ring(), context());
    let expiry = Some(Expiry { now: NOW, ttl: 400 });
    for made in [false, true] {
        let cursor = seal(keys, here, &after("x", "1"), expiry, LONGEST, made).unwrap();
        let opened = |sealed| open(keys, here, &cursor, NOW + 1_000, Some(400), LONGEST, sealed);
        assert_eq!(opened(made), Err(CursorError::Expired));
        assert_eq!(opened(!made), Err(CursorError::Invalid));
    }
}

/// A cursor whose version byte is changed to the other form is refused, because the tag covers the version.
///
/// Row: A05
#[test]
fn a_form_is_not_changed_by_its_version() {
    for sealed in [false, true] {
        let mut bytes = bytes_of(&seal(ring(), context(), &after("x", "1"), None, LONGEST, sealed).unwrap());
        bytes[0] = if sealed { 1 } else { 2 };
        for opened in [false, true] {
            assert_eq!(open_here(&BASE64_URL_SAFE_NO_PAD.encode(&bytes), opened), Err(CursorError::Invalid));
        }
    }
}

/// Row: A07
#[test]
fn a_sealed_cursor_hides_its_content() {
    let (keys, here) = (ring(), context());
    let holds = |cursor: &str, what: &[u8]| bytes_of(cursor).windows(what.len()).any(|window| window == what);
    let target = after("someone@example.com", "4711");
    let cursor = |sealed| seal(keys, here, &target, None, LONGEST, sealed).unwrap();
    assert!(holds(&cursor(false), b"someone@example.com") && !holds(&cursor(true), b"someone"));
    let item = Item::Keyed(Anchor { keys: Vec::new(), id: text("someone@example.com") });
    let cursor = |sealed| seal_item(keys, here, &item, LONGEST, sealed).unwrap();
    assert!(holds(&cursor(false), b"someone@example.com") && !holds(&cursor(true), b"someone"));
    let cursor = seal(keys, here, &in_token("https://internal/?key=secret"), None, LONGEST, false).unwrap();
    assert!(!holds(&cursor, b"internal") && !holds(&cursor, b"secret"));
}

/// Equal contents in the same context make equal cursors. Any change of the content or the context changes almost all
/// encrypted bytes.
///
/// Row: A08
#[test]
fn sealed_cursors_reveal_only_equality() {
    let order = newest_first();
    let here = CursorContext::new(parts(&order));
    let there = CursorContext::new(ContextParts { path: "/api/users/7", ..parts(&order) });
    let sealed = |context: &CursorContext, key: &str| {
        bytes_of(&seal(ring(), context, &after(key, "1"), None, LONGEST, true).unwrap())[16..].to_vec()
    };
    let one = sealed(&here, "a long key that fills several blocks, all but its end alike: 1");
    assert_eq!(one, sealed(&here, "a long key that fills several blocks, all but its end alike: 1"));
    for other in [
        sealed(&here, "a long key that fills several blocks, all but its end alike: 2"),
        sealed(&there, "a long key that fills several blocks, all but its end alike: 1"),
    ] {
        let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(same < one.len() / 8, "{same} of {} bytes are the same", one.len());
    }
}

/// Row: A07
#[test]
fn the_length_of_a_sealed_cursor_reveals_little() {
    let length = |key: &str, id: &str| seal(ring(), context(), &after(key, id), None, LONGEST, true).unwrap().len();
    let lengths: std::collections::BTreeSet<usize> =
        (1..=40).map(|length_of_key| length(&"x".repeat(length_of_key), "1003")).collect();
    assert_eq!(lengths.len(), 4, "{lengths:?}");
}
