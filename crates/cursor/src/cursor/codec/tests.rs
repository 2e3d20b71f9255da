//! Tests of the encoding: each claim has exactly one encoding, and every other encoding is refused.

use super::{
    AFTER, AFTER_ID, AFTER_MARKS, AFTER_PIVOT, AT, BEFORE, BEFORE_MARKS, BUCKET, ByteReader, Claims, END, FIRST_BOUND,
    FIRST_TOTAL, FROM_END, FURTHER, HONOURED, ITEM, MARKED_ITEM, PayloadHead, START, TOKEN, TOTAL, WITHIN, WITHIN_RUN,
    write_item, write_page, write_varint,
};
use crate::cursor::tests::{Random, as_carried, claims::*, random_item, random_target};

fn page(target: &Target, bucket: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    write_page(&mut out, target, bucket);
    out
}

fn item(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    write_item(&mut out, item);
    out
}

fn keyed(keys: &[KeyValue], id: KeyValue) -> Item {
    Item::Keyed(Anchor { keys: keys.to_vec(), id })
}

fn read(payload: &[u8]) -> Option<(Option<u64>, Claims)> {
    let head = PayloadHead::read(payload)?;
    Some((head.bucket, head.open()?))
}

fn write(bucket: Option<u64>, claims: &Claims) -> Vec<u8> {
    match claims {
        Claims::Page(target) => page(target, bucket),
        Claims::Item(marked) => item(marked),
    }
}

/// Returns the first byte, or the first two bytes, of a payload: a kind with its flags.
fn head(kind: u8, flags: u16) -> Vec<u8> {
    let [rare, common] = flags.to_be_bytes();
    if rare == 0 { vec![kind | common] } else { vec![kind | common | FURTHER, rare] }
}

fn number(spelling: &str) -> KeyValue {
    KeyValue::Number(spelling.to_owned())
}

fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.as_bytes().to_vec())
}

#[test]
fn claims_are_decoded_as_they_were_encoded() {
    let mut random = Random::new(19);
    for _ in 0..20_000 {
        let target = random_target(&mut random);
        let bucket = random.chance(2).then(|| random.number());
        assert_eq!(read(&page(&target, bucket)), Some((bucket, Claims::Page(as_carried(&target)))));
        let edge = random_item(&mut random);
        assert_eq!(read(&item(&edge)), Some((None, Claims::Item(edge))));
    }
}

#[test]
fn each_kind_of_position_is_encoded_as_documented() {
    let [a, b, c] = [Mark::of(1), Mark::of(0xff_ffff_ffff), Mark::of(0x0102_0304_0506)];
    let (a_bytes, b_bytes, c_bytes) = ([1, 0, 0, 0, 0], [0xff; 5], [6, 5, 4, 3, 2]);
    let marks = |before: &[Mark], after: &[Mark]| Marks { before: before.to_vec(), after: after.to_vec() };
    let anchor = || Anchor { keys: vec![text("k")], id: number("7") };
    let anchor_bytes = [1, 0x41, b'k', 3, 7];
    let place = |token: Option<&str>, token_backward, backward, within, circle| {
        let token = token.map(|token| Token(token.into()));
        Position::Token(Box::new(TokenPlace { token, token_backward, backward, within, circle }))
    };
    let circle = Loop { power: 4, steps: 0, hash: 300 };
    let cases = [
        (Position::Start, [&[START, 0, 0][..]].concat()),
        (Position::End, [&[END, 0, 0][..]].concat()),
        (Position::At(Offset(0)), [&[AT, 0][..]].concat()),
        (Position::After(anchor()), [&[AFTER, 0, 0][..], &anchor_bytes].concat()),
        (Position::Before(anchor()), [&[BEFORE, 0, 0][..], &anchor_bytes].concat()),
        (
            Position::AfterPivot(Pivot { id: number("7"), fingerprint: Some(c) }),
            [&[AFTER_PIVOT, 0, 0, 3, 7][..], &c_bytes].concat(),
        ),
        (
            Position::BeforePivot(Pivot { id: number("7"), fingerprint: Some(a) }),
            [&[AFTER_PIVOT + 1, 0, 0, 3, 7][..], &a_bytes].concat(),
        ),
        (Position::AfterPivot(Pivot { id: number("7"), fingerprint: None }), vec![AFTER_ID, 0, 0, 3, 7]),
        (Position::BeforePivot(Pivot { id: number("7"), fingerprint: None }), vec![AFTER_ID + 1, 0, 0, 3, 7]),
        (Position::AfterMarks(marks(&[], &[])), vec![AFTER_MARKS, 0, 0, 0]),
        (
            Position::AfterMarks(marks(&[a, b, c], &[b, a])),
            [&[AFTER_MARKS, 0, 0, 3 + 2 * 4][..], &a_bytes, &b_bytes, &c_bytes, &b_bytes, &a_bytes].concat(),
        ),
        (Position::BeforeMarks(marks(&[a], &[])), [&[BEFORE_MARKS, 0, 0, 1][..], &a_bytes].concat()),
        (place(None, false, false, PlaceInPage::Whole, Loop::default()), vec![TOKEN, 0, 0, 0]),
        (place(Some(""), true, false, PlaceInPage::Whole, Loop::default()), vec![TOKEN, 0, 0, 3, 0]),
        (
            place(Some("ab"), false, true, PlaceInPage::Keys(anchor()), Loop::default()),
            [&[TOKEN, 0, 0, 1 + 4 + 8, 2, b'a', b'b'][..], &anchor_bytes].concat(),
        ),
        (
            place(None, false, false, PlaceInPage::Marks(marks(&[], &[c])), circle),
            [&[TOKEN, 0, 0, 16 + 32, 4][..], &c_bytes, &[4, 0, 0xac, 2]].concat(),
        ),
    ];
    for (position, expected) in cases {
        assert_eq!(page(&Target { position, hint: Hint::default() }, None), expected, "{expected:?}");
    }
    let marked = Item::Marked(MarkedItem { item: a, around: marks(&[b], &[c]), offset: Offset(300) });
    assert_eq!(item(&marked), [&[MARKED_ITEM][..], &a_bytes, &[1 + 4], &b_bytes, &c_bytes, &[0xac, 2]].concat());
}

#[test]
fn a_hint_takes_bytes_only_for_the_fields_that_are_set() {
    let total = |value, exact| Some(Total { value, exact });
    let hint = Hint { offset: Offset(300), run: 2, ..Hint::default() };
    let cases = [
        (Hint::default(), None, vec![END, 0, 0]),
        (hint, None, vec![END, 0xac, 2, 2]),
        (hint, Some(9), [head(END, BUCKET), vec![9, 0xac, 2, 2]].concat()),
        (Hint { within: 2, ..hint }, None, [head(END, WITHIN_RUN), vec![0xac, 2, 2]].concat()),
        (Hint { within: 3, ..hint }, None, [head(END, WITHIN), vec![0xac, 2, 2, 3]].concat()),
        (Hint { from_end: true, ..hint }, None, [head(END, FROM_END), vec![0xac, 2, 2]].concat()),
        (Hint { total: Some(5), ..hint }, None, [head(END, TOTAL), vec![0xac, 2, 2, 5]].concat()),
        (Hint { honoured: 5, ..hint }, None, [head(END, HONOURED), vec![0xac, 2, 2, 5]].concat()),
        (Hint { first_total: total(5, true), ..hint }, None, [head(END, FIRST_TOTAL), vec![0xac, 2, 2, 5]].concat()),
        (
            Hint {
                offset: Offset(1),
                from_end: true,
                run: 2,
                within: 3,
                total: Some(4),
                first_total: total(5, false),
                ..Hint::default()
            },
            Some(9),
            [head(END, BUCKET | TOTAL | FROM_END | WITHIN | FIRST_TOTAL | FIRST_BOUND), vec![9, 1, 2, 3, 4, 5]]
                .concat(),
        ),
    ];
    for (hint, bucket, expected) in cases {
        assert_eq!(page(&Target { position: Position::End, hint }, bucket), expected, "{hint:?}");
    }
}

#[test]
fn an_offset_is_its_own_hint() {
    let hint = Hint {
        offset: Offset(7),
        from_end: true,
        run: 3,
        within: 2,
        total: Some(9),
        first_total: None,
        ..Hint::default()
    };
    let at = |hint| page(&Target { position: Position::At(Offset(40)), hint }, None);
    assert_eq!(at(hint), [AT, 40]);
    let first_total = Some(Total { value: 9, exact: true });
    assert_eq!(at(Hint { first_total, ..hint }), [head(AT, FIRST_TOTAL), vec![40, 9]].concat());
    assert_eq!(at(Hint { honoured: 9, ..hint }), [head(AT, HONOURED), vec![40, 9]].concat());
}

/// If a place has more marks than fit into a cursor, the cursor contains the marks nearest to the place.
#[test]
fn the_nearest_marks_are_kept() {
    let marks = |numbers: std::ops::Range<u64>| numbers.map(Mark::of).collect::<Vec<_>>();
    let position = |before, after| Position::AfterMarks(Marks { before: marks(before), after: marks(after) });
    let payload = page(&Target { position: position(0..5, 5..10), hint: Hint::default() }, None);
    let expected = Target { position: position(2..5, 5..8), hint: Hint::default() };
    assert_eq!(read(&payload), Some((None, Claims::Page(expected))));
}

/// If changed or random bytes are accepted as claims, the encoding of these claims is the same bytes.
///
/// Row: A04
#[test]
fn there_is_one_encoding_for_each_claim() {
    let mut random = Random::new(20);
    let mut accepted = 0;
    let mut check = |payload: &[u8]| {
        if let Some((bucket, claims)) = read(payload) {
            assert_eq!(write(bucket, &claims), payload, "{claims:?}");
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
        // Half of the payloads consist of small numbers, as real payloads do, so many are refused only near their end.
        if random.chance(2) {
            for byte in &mut payload {
                *byte %= 14;
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
        for payload in [page(&random_target(&mut random), Some(1_700_000_000)), item(&random_item(&mut random))] {
            for extra in [0, 1, 0x40, 0x80, 0xff] {
                assert_eq!(read(&[&payload[..], &[extra]].concat()), None);
            }
            for length in 0..payload.len() {
                assert_eq!(read(&payload[..length]), None);
            }
        }
    }
}

/// Row: A30
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
        let edge = keyed(&[number(spelling)], number(spelling));
        assert_eq!(read(&item(&edge)), Some((None, Claims::Item(edge.clone()))), "{spelling:?}");
    }
    let short = item(&keyed(&[], number("1003")));
    assert_eq!(short.len(), 5, "an integer takes as few bytes as it needs: {short:?}");
}

#[test]
fn values_of_different_kinds_have_distinct_encodings() {
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
            let edge = keyed(std::slice::from_ref(key), id.clone());
            let payload = item(&edge);
            assert_eq!(read(&payload), Some((None, Claims::Item(edge))));
            assert!(seen.insert(payload), "{key:?} {id:?}");
        }
    }
}

#[test]
fn a_uuid_takes_seventeen_bytes() {
    assert_eq!(item(&keyed(&[], text("0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b"))).len(), 2 + 17);
}

/// Payloads that `codec` never writes are refused, although another holder of the key could sign them.
///
/// Row: A04
#[test]
fn encodings_that_the_codec_never_writes_are_refused() {
    let uuid = b"0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b";
    let uuid_as_text = [&[ITEM, 0, 0x40 + 36][..], uuid].concat();
    let long_offset = |end| [&[AT][..], &[0xff; 9], &[end]].concat();
    let negative = [&[ITEM, 0, 4][..], &[0xff; 9], &[1]].concat();
    let mark = [7; 5];
    let cases: [(&str, Vec<u8>); 42] = [
        ("nothing", vec![]),
        ("a kind that is not known", vec![14, 0, 0]),
        ("another kind that is not known", vec![15, 0, 0]),
        ("rare flags that are not there", vec![END | FURTHER]),
        ("rare flags that are none", vec![END | FURTHER, 0, 0, 0]),
        ("a rare flag that is not known", vec![END | FURTHER, 0x10, 0, 0]),
        ("a total of an offset", [head(AT, TOTAL), vec![0, 0]].concat()),
        ("a run of an offset", vec![AT, 0, 0]),
        ("an offset from the end", [head(AT, FROM_END), vec![0]].concat()),
        ("an offset with a width", [head(AT, WITHIN_RUN), vec![0]].concat()),
        ("an item cursor with a bucket", [head(ITEM, BUCKET), vec![1, 0, 0]].concat()),
        ("an item cursor with a total", [head(ITEM, TOTAL), vec![0, 0]].concat()),
        ("an item cursor with a rare flag", [head(ITEM, FROM_END), vec![0, 0]].concat()),
        ("a marked item with a bucket", [&head(MARKED_ITEM, BUCKET)[..], &[1], &mark, &[0]].concat()),
        ("a width of no run", [head(END, WITHIN_RUN), vec![0, 0]].concat()),
        ("a width of 0 that is written", [head(END, WITHIN), vec![0, 1, 0]].concat()),
        ("a width that is the run", [head(END, WITHIN), vec![0, 1, 1]].concat()),
        ("two widths", [head(END, WITHIN | WITHIN_RUN), vec![0, 1, 2]].concat()),
        ("a bound of no total", [head(END, FIRST_BOUND), vec![0, 1, 2]].concat()),
        ("an over-long offset", vec![AT, 0x80, 0]),
        ("an over-long run", vec![END, 0, 0x81, 0]),
        ("an over-long total", [head(END, TOTAL), vec![0, 0, 0x80, 0]].concat()),
        ("an over-long bucket", [head(AT, BUCKET), vec![0x81, 0x80, 0, 1]].concat()),
        ("an offset of 65 bits", long_offset(2)),
        ("an offset without end", [long_offset(0x81), vec![0]].concat()),
        ("a run of 33 bits", vec![START, 0, 0xff, 0xff, 0xff, 0xff, 0x1f]),
        ("an integer as a spelling", vec![ITEM, 0, 5, 2, b'1', b'7']),
        ("a negative integer as a spelling", vec![ITEM, 0, 5, 2, b'-', b'7']),
        ("a negative integer that is written as a spelling", negative),
        ("a number that is no text", vec![ITEM, 0, 5, 1, 0xff]),
        ("a UUID as a text", uuid_as_text),
        ("a value that is not known", vec![ITEM, 0, 8]),
        ("an anchor without an id", vec![AFTER, 0, 0, 1, 0]),
        ("a pivot with half a fingerprint", vec![AFTER_PIVOT, 0, 0, 3, 7, 1, 2, 3]),
        ("a pivot without a fingerprint that has one", [&[AFTER_ID, 0, 0, 3, 7][..], &mark].concat()),
        ("too few marks", [&[AFTER_MARKS, 0, 0, 2][..], &mark].concat()),
        ("counts that are not known", [&[AFTER_MARKS, 0, 0, 16][..], &[7; 20]].concat()),
        ("a marked item without an item", vec![MARKED_ITEM, 0]),
        ("a flag of tokens that is not known", vec![TOKEN, 0, 0, 0x40]),
        ("a place by keys and by marks", vec![TOKEN, 0, 0, 8 + 16]),
        ("a circle that says nothing", vec![TOKEN, 0, 0, 32, 0, 0, 0]),
        ("a token that is no text", vec![TOKEN, 0, 0, 1, 1, 0xff]),
    ];
    for (what, payload) in cases {
        assert_eq!(read(&payload), None, "{what}");
    }
    assert!(read(&long_offset(1)).is_some(), "the greatest offset");
}

/// A length or count that exceeds the bytes after it is refused.
#[test]
fn hostile_lengths_are_refused() {
    let mut greatest = Vec::new();
    write_varint(&mut greatest, u64::MAX);
    for head in [
        &[ITEM][..],
        &[ITEM, 0, 5],
        &[ITEM, 0, 7],
        &[ITEM, 1, 0, 7],
        &[AFTER, 0, 0],
        &[AFTER, 0, 0, 0, 7],
        &[AFTER_ID, 0, 0, 7],
        &[TOKEN, 0, 0, 1],
        &[TOKEN, 0, 0, 8],
        &[TOKEN, 0, 0, 9, 0],
    ] {
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
        let mut reader = ByteReader(&out);
        assert_eq!(reader.varint(), Some(number));
        assert!(reader.0.is_empty());
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.push(0);
        assert_eq!(ByteReader(&out).varint(), None, "{number}");
    }
}
