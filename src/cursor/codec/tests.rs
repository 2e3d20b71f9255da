//! One encoding for each claim, and nothing else accepted.

use super::{AFTER, AT, BUCKET, Head, ITEM, Opened, Reader, TOTAL, write_item, write_page, write_varint};
use crate::cursor::tests::{Random, random_anchor, random_target};
use crate::pagination::{
    key::KeyValue,
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

fn page(target: &Target, bucket: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    write_page(&mut out, target, bucket);
    out
}

fn item(anchor: &Anchor) -> Vec<u8> {
    let mut out = Vec::new();
    write_item(&mut out, anchor);
    out
}

fn read(payload: &[u8]) -> Option<(Option<u64>, Opened)> {
    let head = Head::read(payload)?;
    Some((head.bucket, head.open()?))
}

fn write(bucket: Option<u64>, opened: &Opened) -> Vec<u8> {
    match opened {
        Opened::Page(target) => page(target, bucket),
        Opened::Item(anchor) => item(anchor),
    }
}

fn number(spelling: &str) -> KeyValue {
    KeyValue::Number(spelling.to_owned())
}

fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.as_bytes().to_vec())
}

#[test]
fn claims_come_back_as_they_were() {
    let mut random = Random::new(19);
    for _ in 0..20_000 {
        let target = random_target(&mut random);
        let bucket = random.chance(2).then(|| random.number());
        let mut expected = target.clone();
        if let Position::At(offset) = target.position {
            expected.hint = Hint { offset, ..Hint::default() };
        }
        assert_eq!(read(&page(&target, bucket)), Some((bucket, Opened::Page(expected))));
        let anchor = random_anchor(&mut random);
        assert_eq!(read(&item(&anchor)), Some((None, Opened::Item(anchor))));
    }
}

#[test]
fn an_offset_is_its_own_hint() {
    let hint = Hint { offset: Offset(7), run: 3, total: Some(9) };
    let at = |hint| page(&Target { position: Position::At(Offset(40)), hint }, None);
    assert_eq!(at(hint), at(Hint::default()));
    assert_eq!(at(hint), [AT, 40]);
}

/// Whatever bytes are accepted are the bytes that their claims are written as.
#[test]
fn there_is_one_encoding_for_each_claim() {
    let mut random = Random::new(20);
    let mut accepted = 0;
    let mut check = |payload: &[u8]| {
        if let Some((bucket, opened)) = read(payload) {
            assert_eq!(write(bucket, &opened), payload, "{opened:?}");
            accepted += 1;
        }
    };
    for _ in 0..2_000 {
        let payload = page(&random_target(&mut random), random.chance(2).then(|| random.number()));
        for index in 0..payload.len() {
            for bit in 0..8 {
                let mut changed = payload.clone();
                changed[index] ^= 1 << bit;
                check(&changed);
            }
            check(&payload[..index]);
        }
        check(&[&payload[..], &[0]].concat());
    }
    for _ in 0..300_000 {
        let length = random.below(24);
        let mut payload: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        // Half of them begin as a payload does, with small numbers, so that many are read far.
        if random.chance(2) {
            for byte in &mut payload {
                *byte %= 9;
            }
        }
        check(&payload);
    }
    assert!(accepted > 10_000, "only {accepted} were accepted: this test tries nothing");
}

#[test]
fn left_over_and_missing_bytes_are_refused() {
    let mut random = Random::new(21);
    for _ in 0..2_000 {
        for payload in [page(&random_target(&mut random), Some(1_700_000_000)), item(&random_anchor(&mut random))] {
            for extra in [0, 1, 0x40, 0x80, 0xff] {
                assert_eq!(read(&[&payload[..], &[extra]].concat()), None);
            }
            for length in 0..payload.len() {
                assert_eq!(read(&payload[..length]), None);
            }
        }
    }
}

#[test]
fn spellings_of_numbers_are_kept() {
    let spellings = [
        "0",
        "-0",
        "00",
        "01",
        "-1",
        "-01",
        "1e400",
        "25.0",
        "1E5",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "-18446744073709551615",
        "-18446744073709551616",
        "0.10",
        "-",
        "",
        "+1",
        "1_0",
    ];
    for spelling in spellings {
        let anchor = Anchor { keys: vec![number(spelling)], id: number(spelling) };
        assert_eq!(read(&item(&anchor)), Some((None, Opened::Item(anchor.clone()))), "{spelling:?}");
    }
    let short = item(&Anchor { keys: Vec::new(), id: number("1003") });
    assert_eq!(short.len(), 5, "an integer takes as few bytes as it needs: {short:?}");
}

#[test]
fn kinds_of_values_do_not_run_into_each_other() {
    let values = [
        KeyValue::Null,
        KeyValue::Boolean(false),
        KeyValue::Boolean(true),
        number("1"),
        text("1"),
        text("null"),
        text(""),
        number("1.0"),
        text("1.0"),
        text("0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b"),
        text("0B9C6F3E-4A51-4D7B-8A55-1C2D3E4F5A6B"),
        text("0b9c6f3e04a51-4d7b-8a55-1c2d3e4f5a6b"),
        text(&"x".repeat(191)),
        text(&"x".repeat(192)),
        text(&"x".repeat(193)),
        text(&"x".repeat(1_000)),
        KeyValue::Text(vec![0xff; 64]),
    ];
    let mut seen = std::collections::HashSet::new();
    for key in &values {
        for id in &values {
            let anchor = Anchor { keys: vec![key.clone()], id: id.clone() };
            let payload = item(&anchor);
            assert_eq!(read(&payload), Some((None, Opened::Item(anchor))));
            assert!(seen.insert(payload), "{key:?} {id:?}");
        }
    }
}

#[test]
fn a_uuid_takes_seventeen_bytes() {
    let anchor = Anchor { keys: Vec::new(), id: text("0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b") };
    assert_eq!(item(&anchor).len(), 2 + 17);
}

/// What a signer might write that this one does not.
#[test]
fn other_encodings_are_refused() {
    let uuid = b"0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b";
    let uuid_as_text = [&[ITEM, 0, 0x40 + 36][..], uuid].concat();
    let cases: [(&str, &[u8]); 18] = [
        ("nothing", &[]),
        ("a form that is not known", &[6]),
        ("a flag that is not known", &[AT | 0x40, 0]),
        ("a total of an offset", &[AT | TOTAL, 0, 0]),
        ("an item cursor with a bucket", &[ITEM | BUCKET, 1, 0, 0]),
        ("an item cursor with a total", &[ITEM | TOTAL, 0, 0]),
        ("an over-long offset", &[AT, 0x80, 0]),
        ("an over-long bucket", &[AT | BUCKET, 0x81, 0x80, 0, 1]),
        ("an offset of 65 bits", &[AT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
        ("an offset without end", &[AT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0]),
        ("a run of 33 bits", &[0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f]),
        ("an integer as a spelling", &[ITEM, 0, 5, 2, b'1', b'7']),
        ("a negative integer as a spelling", &[ITEM, 0, 5, 2, b'-', b'7']),
        (
            "a negative integer that is written as a spelling",
            &[ITEM, 0, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
        ("a number that is no text", &[ITEM, 0, 5, 1, 0xff]),
        ("a UUID as a text", &uuid_as_text),
        ("a value that is not known", &[ITEM, 0, 8]),
        ("an anchor without an id", &[AFTER, 0, 0, 1, 0]),
    ];
    for (what, payload) in cases {
        assert_eq!(read(payload), None, "{what}");
    }
    assert!(read(&[AT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).is_some(), "the greatest offset");
}

/// Lengths and counts that claim more than there is end where the bytes end.
#[test]
fn hostile_lengths_are_refused() {
    let mut greatest = Vec::new();
    write_varint(&mut greatest, u64::MAX);
    for head in [&[ITEM][..], &[ITEM, 0, 5], &[ITEM, 0, 7], &[ITEM, 1, 0, 7], &[AFTER, 0, 0], &[AFTER, 0, 0, 0, 7]] {
        for rest in [&[][..], &[0], &[0; 64]] {
            assert_eq!(read(&[head, &greatest, rest].concat()), None, "{head:?}");
        }
    }
}

#[test]
fn varints_are_minimal() {
    for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
        let mut out = Vec::new();
        write_varint(&mut out, number);
        let mut reader = Reader(&out);
        assert_eq!(reader.varint(), Some(number));
        assert!(reader.0.is_empty());
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.push(0);
        assert_eq!(Reader(&out).varint(), None, "{number}");
    }
}
