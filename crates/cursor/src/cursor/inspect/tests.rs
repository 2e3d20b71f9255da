//! Tests of the inspection: the parts of a cursor that an operator sees, and the parts that stay hidden.

use super::{Finding, ShownTime, Unverified, inspect};
use crate::cursor::{
    Claims, CursorForm, Expiry, KeyRing, frame, seal, seal_item,
    tests::{LONGEST, NOW, Random, after, claims::*, context, random_item, random_target, ring, text},
};

#[test]
fn a_page_cursor_is_shown_with_its_keys() {
    let target = after("2026-01-15T10:30:00Z", "1003");
    let cursor = seal(ring(), context(), &target, Some(Expiry { now: NOW, ttl: 400 }), LONGEST, false).unwrap();
    assert_eq!(
        inspect(Some(ring()), &cursor).to_string(),
        "length     91 characters\n\
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
    let item = Item::Keyed(anchor);
    let cursor = seal_item(ring(), context(), &item, LONGEST, false).unwrap();
    let inspection = inspect(Some(ring()), &cursor);
    let Finding::Verified { form: CursorForm::Signed, key: 1, issued: None, ref says, .. } = inspection.finding else {
        panic!("{inspection:?}");
    };
    assert_eq!(**says, Claims::Item(item));
    let shown = inspection.to_string();
    assert!(shown.contains("form       signed item cursor\n"), "{shown}");
    assert!(shown.contains("key value  null\n"), "{shown}");
    assert!(shown.contains("key value  \"\\u{1b}[2J\u{fffd}\\n\"\n"), "{shown}");
    assert!(shown.ends_with("id         \"a\\u{202e}b\"\n"), "{shown}");
}

#[test]
fn the_content_of_an_unverified_cursor_is_not_shown() {
    let others = KeyRing::new(2, &[(2, &[7; 32])]).unwrap();
    let replaced = KeyRing::new(1, &[(1, &[7; 32])]).unwrap();
    for form in [CursorForm::Signed, CursorForm::Sealed] {
        let target = after("a secret", "4711");
        let cursor = seal(ring(), context(), &target, None, LONGEST, form == CursorForm::Sealed).unwrap();
        for (keys, reason) in
            [(None, Unverified::NoKeys), (Some(&others), Unverified::UnknownKey), (Some(&replaced), Unverified::BadTag)]
        {
            let inspection = inspect(keys, &cursor);
            assert_eq!(inspection.length, cursor.len());
            assert_eq!(inspection.finding, Finding::Unverified { form, key: 1, reason });
            let shown = inspection.to_string();
            assert!(shown.contains("the content is not shown"), "{shown}");
            assert!(!shown.contains("secret") && !shown.contains("4711") && !shown.contains("position"), "{shown}");
        }
    }
}

#[test]
fn a_sealed_cursor_is_shown_with_its_keys() {
    let cursor = seal(ring(), context(), &after("2026-01-15", "1003"), None, LONGEST, true).unwrap();
    assert_eq!(
        inspect(Some(ring()), &cursor).to_string(),
        "length     87 characters\n\
         form       sealed page cursor\n\
         key        1\n\
         seal       good\n\
         context    05cc7b17fe17e0f1\n\
         position   after\n\
         key value  \"2026-01-15\"\n\
         id         1003\n\
         hint       offset 20, run 1, total 1003\n"
    );
    assert_eq!(
        inspect(None, &cursor).to_string(),
        "length     87 characters\n\
         form       sealed\n\
         key        1\n\
         seal       not verified, because no keys are available; the content is not shown\n"
    );
}

#[test]
fn an_unreadable_payload_with_a_valid_tag_is_reported() {
    let key = ring().signing();
    for form in [CursorForm::Signed, CursorForm::Sealed] {
        for payload in [&[][..], &[0xff], &[4, 0x80, 0], &[5, 0, 0, 0]] {
            let cursor = frame::mint(key, form, &context().fingerprint(key), LONGEST, |out| {
                out.extend_from_slice(payload);
            });
            let finding = inspect(Some(ring()), &cursor.unwrap()).finding;
            assert_eq!(finding, Finding::Unreadable { form, key: 1 }, "{payload:?}");
        }
    }
}

#[test]
fn a_text_that_is_not_a_cursor_is_reported_as_foreign() {
    for text in ["", "x", "AQE", "eyJvIjo0MH0", "AQE=", "\u{1b}[2J", &"A".repeat(200)] {
        assert_eq!(inspect(Some(ring()), text).finding, Finding::Foreign, "{text:?}");
        assert_eq!(inspect(None, text).finding, Finding::Foreign, "{text:?}");
    }
}

fn shown(position: Position, hint: Hint) -> String {
    let cursor = seal(ring(), context(), &Target { position, hint }, None, LONGEST, false).unwrap();
    let shown = inspect(Some(ring()), &cursor).to_string();
    let (_, says) = shown.split_once("05cc7b17fe17e0f1\n").unwrap();
    says.to_owned()
}

#[test]
fn every_position_can_be_shown() {
    let mut random = Random::new(9);
    for round in 0..400 {
        let sealed = round % 2 == 0;
        let cursor = seal(ring(), context(), &random_target(&mut random), None, LONGEST, sealed).unwrap();
        assert!(inspect(Some(ring()), &cursor).to_string().contains("position "));
        let cursor = seal_item(ring(), context(), &random_item(&mut random), LONGEST, sealed).unwrap();
        assert!(inspect(Some(ring()), &cursor).to_string().contains(" item cursor\n"));
    }
}

#[test]
fn positions_and_hints_are_described_in_words() {
    let [a, b] = [Mark::of(0xab), Mark::of(0xff_0000_0001)];
    let marks = || Marks { before: vec![a, b], after: Vec::new() };
    let pivot = |fingerprint| Pivot { id: text("7"), fingerprint };
    let first_total = Some(Total { value: 9, exact: false });
    let place = |token, within| {
        let circle = Loop { power: 4, steps: 1, hash: 0xbeef };
        Position::Token(Box::new(TokenPlace { token, token_backward: true, backward: false, within, circle }))
    };
    let hint =
        Hint { offset: Offset(4), from_end: true, run: 2, within: 3, first_total, honoured: 50, ..Hint::default() };
    let none = Hint::default();
    let cases = [
        (Position::End, none, "position   end\nhint       offset 0, run 0\n"),
        (
            Position::End,
            hint,
            "position   end\nhint       offset 4 from the end, run 2, within 3, first total at least 9, \
             honoured size 50\n",
        ),
        (Position::At(Offset(40)), none, "position   at offset 40\n"),
        (
            Position::At(Offset(40)),
            hint,
            "position   at offset 40\nhint       first total at least 9, honoured size 50\n",
        ),
        (
            Position::AfterPivot(pivot(Some(a))),
            none,
            "position   after the item with this id, whose keys are looked up\nid         \"7\"\n\
             keys       those with the fingerprint 00000000ab\nhint       offset 0, run 0\n",
        ),
        (
            Position::BeforePivot(pivot(None)),
            none,
            "position   before the item with this id, whose keys are looked up\nid         \"7\"\n\
             keys       whatever they are now\nhint       offset 0, run 0\n",
        ),
        (
            Position::BeforeMarks(marks()),
            none,
            "position   among marks, reading backward\nmarks      00000000ab ff00000001 | none\n\
             hint       offset 0, run 0\n",
        ),
        (
            place(Some(Token("https://internal/?key=secret".into())), PlaceInPage::Marks(marks())),
            none,
            "position   in a page of the upstream, reading forward\n\
             token      28 bytes, not shown, which lead backward\n\
             within     among marks\nmarks      00000000ab ff00000001 | none\n\
             circle     power 4, steps 1, hash beef\nhint       offset 0, run 0\n",
        ),
        (
            place(None, PlaceInPage::Whole),
            none,
            "position   in a page of the upstream, reading forward\ntoken      none: the first page\n\
             within     the whole page\ncircle     power 4, steps 1, hash beef\nhint       offset 0, run 0\n",
        ),
    ];
    for (position, hint, expected) in cases {
        assert_eq!(shown(position, hint), expected);
    }
    let item = Item::Marked(MarkedItem { item: a, around: marks(), offset: Offset(12_340) });
    let cursor = seal_item(ring(), context(), &item, LONGEST, false).unwrap();
    let says = inspect(Some(ring()), &cursor).to_string();
    assert!(
        says.ends_with("item       00000000ab\nmarks      00000000ab ff00000001 | none\nhint       offset 12340\n"),
        "{says}"
    );
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
        assert_eq!(ShownTime(seconds).to_string(), expected);
    }
}
