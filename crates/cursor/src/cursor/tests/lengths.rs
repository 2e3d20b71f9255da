//! Tests of the lengths of typical cursors, in characters.

use std::fmt::Write;

use super::{LONGEST, NOW, claims::*, context, ring, text};
use crate::cursor::{Expiry, seal, seal_item};

const DAY: &str = "2026-01-15T10:30:00Z";
const MICROSECONDS: &str = "2026-01-15T10:30:00.123456Z";
const ID: &str = "0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b";

fn anchor(key: &str, id: KeyValue) -> Anchor {
    Anchor { keys: vec![text(key)], id }
}

fn marks(before: u64, after: u64) -> Marks {
    Marks { before: (0..before).map(Mark::of).collect(), after: (0..after).map(Mark::of).collect() }
}

fn token(length: usize, within: PlaceInPage) -> Position {
    let circle = Loop { power: 16, steps: 5, hash: (1 << 40) - 1 };
    let token = Some(Token("x".repeat(length).into()));
    Position::Token(Box::new(TokenPlace { token, token_backward: false, backward: false, within, circle }))
}

#[test]
fn typical_cursors_are_short() {
    let number = || KeyValue::Number("1003".to_owned());
    let uuid = || text(ID);
    let hint = Hint { offset: Offset(12_340), run: 1, within: 1, total: Some(100_003), ..Hint::default() };
    let kept = Hint { first_total: Some(Total { value: 100_003, exact: true }), ..hint };
    let pivot = |id| Position::AfterPivot(Pivot { id, fingerprint: Some(Mark::of(7)) });
    let pages = [
        ("start", Position::Start, Hint::default()),
        ("offset 12,340", Position::At(Offset(12_340)), Hint::default()),
        ("number id alone", Position::After(Anchor { keys: Vec::new(), id: number() }), hint),
        ("UUID alone", Position::After(Anchor { keys: Vec::new(), id: uuid() }), hint),
        ("date-time, number id", Position::After(anchor(DAY, number())), hint),
        ("microseconds, number id", Position::After(anchor(MICROSECONDS, number())), hint),
        ("microseconds, UUID", Position::After(anchor(MICROSECONDS, uuid())), hint),
        ("the same, first total kept", Position::After(anchor(MICROSECONDS, uuid())), kept),
        ("64 bytes of title, UUID", Position::After(anchor(&"x".repeat(64), uuid())), hint),
        ("pivot, number id", pivot(number()), hint),
        ("pivot, UUID", pivot(uuid()), hint),
        ("three marks and two", Position::AfterMarks(marks(3, 2)), hint),
        ("token of 40, whole page", token(40, PlaceInPage::Whole), hint),
        ("token of 40, microseconds, UUID", token(40, PlaceInPage::Keys(anchor(MICROSECONDS, uuid()))), hint),
        ("token of 40, marks", token(40, PlaceInPage::Marks(marks(3, 2))), hint),
        ("token of 1,400, marks", token(1_400, PlaceInPage::Marks(marks(3, 2))), hint),
    ];
    let header = ["signed", "and ttl", "sealed", "and ttl"];
    let mut table = format!("{:<32}{:>8}{:>8}{:>8}{:>8}\n", "page cursor", header[0], header[1], header[2], header[3]);
    for (what, position, hint) in pages {
        let target = Target { position, hint };
        let length = |expiry, sealed| seal(ring(), context(), &target, expiry, LONGEST, sealed).unwrap().len();
        let expiry = Some(Expiry { now: NOW, ttl: 86_400 });
        write!(table, "{what:<32}").unwrap();
        for sealed in [false, true] {
            for expiry in [None, expiry] {
                if !sealed && matches!(target.position, Position::Token(_)) {
                    write!(table, "{:>8}", "-").unwrap();
                } else {
                    write!(table, "{:>8}", length(expiry, sealed)).unwrap();
                }
            }
        }
        table.push('\n');
    }
    let items = [
        ("number id alone", Item::Keyed(Anchor { keys: Vec::new(), id: number() })),
        ("microseconds, UUID", Item::Keyed(anchor(MICROSECONDS, uuid()))),
        (
            "mark among five",
            Item::Marked(MarkedItem { item: Mark::of(7), around: marks(3, 2), offset: Offset(12_340) }),
        ),
    ];
    writeln!(table, "{:<32}{:>8}{:>16}", "item cursor", "signed", "sealed").unwrap();
    for (what, item) in items {
        let [signed, sealed] =
            [false, true].map(|sealed| seal_item(ring(), context(), &item, LONGEST, sealed).unwrap().len());
        writeln!(table, "{what:<32}{signed:>8}{sealed:>16}").unwrap();
    }
    print!("{table}");
    assert_eq!(table, EXPECTED);
}

const EXPECTED: &str = "\
page cursor                       signed and ttl  sealed and ttl
start                                 48      55      65      65
offset 12,340                         48      55      65      65
number id alone                       59      65      65      87
UUID alone                            77      84      87      87
date-time, number id                  87      93     108     108
microseconds, number id               96     103     108     108
microseconds, UUID                   115     121     129     129
the same, first total kept           120     127     129     129
64 bytes of title, UUID              164     171     172     172
pivot, number id                      64      71      65      87
pivot, UUID                           83      89      87     108
three marks and two                   88      95     108     108
token of 40, whole page                -       -     129     129
token of 40, microseconds, UUID        -       -     193     193
token of 40, marks                     -       -     172     172
token of 1,400, marks                  -       -    1985    1985
item cursor                       signed          sealed
number id alone                       51              65
microseconds, UUID                   107             108
mark among five                       89             108
";
