//! What an operator sees of a cursor, and what not.

use super::{Finding, Instant, Unverified, inspect};
use crate::cursor::{
    Expiry, KeyRing, Opened, seal, seal_item,
    tests::{LONGEST, NOW, Random, after, context, random_target, ring, text},
    token,
};
use crate::pagination::{
    key::KeyValue,
    position::{Anchor, Hint, Position, Target},
};

#[test]
fn a_page_cursor_is_shown_with_its_keys() {
    let target = after("2026-01-15T10:30:00Z", "1003");
    let cursor = seal(ring(), context(), &target, Some(Expiry { now: NOW, ttl: 400 }), LONGEST).unwrap();
    assert_eq!(
        inspect(Some(ring()), &cursor).to_string(),
        "length     90 characters\n\
         form       signed page cursor\n\
         key        1\n\
         signature  good\n\
         context    05cc7b17fe17e0f1\n\
         issued     in the bucket that began at 2026-01-09T23:06:03Z\n\
         position   after\n\
         key value  \"2026-01-15T10:30:00Z\"\n\
         id         1003\n\
         hint       offset 20, run 1, total 1003\n"
    );
}

#[test]
fn an_item_cursor_is_shown_without_a_place() {
    let anchor =
        Anchor { keys: vec![KeyValue::Null, KeyValue::Text(b"\x1b[2J\xff\n".to_vec())], id: text("a\u{202e}b") };
    let cursor = seal_item(ring(), context(), &anchor, LONGEST).unwrap();
    let inspection = inspect(Some(ring()), &cursor);
    let Finding::Verified { key: 1, issued: None, ref says, .. } = inspection.finding else {
        panic!("{inspection:?}");
    };
    assert_eq!(*says, Opened::Item(anchor));
    let shown = inspection.to_string();
    assert!(shown.contains("form       signed item cursor\n"), "{shown}");
    assert!(shown.contains("key value  null\n"), "{shown}");
    assert!(shown.contains("key value  \"\\u{1b}[2J\u{fffd}\\n\"\n"), "{shown}");
    assert!(shown.ends_with("id         \"a\\u{202e}b\"\n"), "{shown}");
}

#[test]
fn what_is_not_verified_is_not_shown() {
    let cursor = seal(ring(), context(), &after("a secret", "4711"), None, LONGEST).unwrap();
    let others = KeyRing::new(2, &[(2, &[7; 32])]).unwrap();
    let replaced = KeyRing::new(1, &[(1, &[7; 32])]).unwrap();
    for (keys, expected) in [
        (None, Unverified::NoKeys),
        (Some(&others), Unverified::UnknownKey),
        (Some(&replaced), Unverified::BadSignature),
    ] {
        let inspection = inspect(keys, &cursor);
        assert_eq!(inspection.length, cursor.len());
        assert_eq!(inspection.finding, Finding::Unverified { key: 1, reason: expected });
        let shown = inspection.to_string();
        assert!(shown.contains("what it says is not shown"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("4711") && !shown.contains("position"), "{shown}");
    }
}

#[test]
fn a_good_signature_around_nonsense_is_said_to_be_one() {
    let key = ring().signing();
    for payload in [&[][..], &[0xff], &[4, 0x80, 0], &[5, 0, 0, 0]] {
        let cursor = token::mint(key, &context().fingerprint(key), LONGEST, |out| {
            out.extend_from_slice(payload);
        });
        assert_eq!(inspect(Some(ring()), &cursor.unwrap()).finding, Finding::Unreadable { key: 1 }, "{payload:?}");
    }
}

#[test]
fn what_is_no_cursor_is_said_to_be_none() {
    for text in ["", "x", "AQE", "eyJvIjo0MH0", "AQE=", "\u{1b}[2J", &"A".repeat(200)] {
        assert_eq!(inspect(Some(ring()), text).finding, Finding::Foreign, "{text:?}");
        assert_eq!(inspect(None, text).finding, Finding::Foreign, "{text:?}");
    }
}

#[test]
fn every_position_can_be_shown() {
    let mut random = Random::new(9);
    for _ in 0..200 {
        let cursor = seal(ring(), context(), &random_target(&mut random), None, LONGEST).unwrap();
        assert!(inspect(Some(ring()), &cursor).to_string().contains("position "));
    }
    let shown = |position| {
        let target = Target { position, hint: Hint::default() };
        inspect(Some(ring()), &seal(ring(), context(), &target, None, LONGEST).unwrap()).to_string()
    };
    assert!(shown(Position::End).ends_with("position   end\nhint       offset 0, run 0\n"));
    assert!(shown(Position::At(crate::pagination::window::Offset(40))).ends_with("position   at offset 40\n"));
}

#[test]
fn seconds_are_written_as_dates() {
    let cases = [
        (0, "1970-01-01T00:00:00Z"),
        (86_399, "1970-01-01T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, "253402300800 seconds since 1970"),
        (u64::MAX, "18446744073709551615 seconds since 1970"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(Instant(seconds).to_string(), expected);
    }
}
