//! Tests of cursors that are made and opened again, with the fixtures of all tests of cursors. `tampering`, `binding`
//! and `sealing` test cursors that must not open; `lengths` tests the lengths of cursors.

use std::sync::LazyLock;

use super::{
    Claims, ContextParts, CursorContext, CursorError, Expiry, KeyRing, Opened, TooLong, open, seal, seal_item,
};
use crate::pagination::order::{Direction, Kind, Nulls, Order, SortKey, Ties};
use claims::*;

mod binding;
mod lengths;
mod sealing;
mod tampering;

/// The types of which claims consist.
pub(super) mod claims {
    pub(in crate::cursor) use crate::pagination::{
        answer::Total,
        fetch::Token,
        key::KeyValue,
        mark::Mark,
        position::{
            Anchor, Hint, Item, Loop, MarkedItem, Marks, Pivot, PlaceInPage, Position, Target, TokenPlace, WalkFacts,
        },
        window::Offset,
    };
}

pub(super) const LONGEST: usize = 2_048;
pub(super) const NOW: u64 = 1_768_000_000;
const FIRST_KEY: &[u8] = b"the first key, of thirty-two bytes";
const SECOND_KEY: &[u8] = b"the second key, of thirty-two bytes";

/// A xorshift generator. Equal seeds give equal numbers, so a failure can be reproduced.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() >> 11) % bound as u64).unwrap()
    }

    pub(super) fn byte(&mut self) -> u8 {
        u8::try_from(self.next() >> 56).unwrap()
    }

    pub(super) fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// Returns a random number. Its maximum length is drawn first, evenly from 1 to 64 bits, so small numbers are
    /// frequent.
    pub(super) fn number(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }
}

pub(super) fn random_value(random: &mut Random, longest_text: usize) -> KeyValue {
    match random.below(10) {
        0 => KeyValue::Null,
        1 => KeyValue::Boolean(random.chance(2)),
        2 => KeyValue::Number(random.number().to_string()),
        3 => KeyValue::Number(format!("-{}", random.number())),
        4 => KeyValue::Number(format!("{}.{}0", random.number(), random.number())),
        5 => KeyValue::Number(format!("{}e{}", random.number(), random.number())),
        6 => {
            let [a, b] = [random.next(), random.next()];
            let (b, c) = (b >> 48, b & 0xffff_ffff_ffff);
            let uuid = format!("{:08x}-{:04x}-{:04x}-{b:04x}-{c:012x}", a >> 32, a >> 16 & 0xffff, a & 0xffff);
            KeyValue::Text(uuid.into_bytes())
        }
        7 => KeyValue::Text(b"2026-01-15T10:30:00.123456Z".to_vec()),
        _ => {
            let length = random.below(longest_text + 1);
            KeyValue::Text((0..length).map(|_| random.byte()).collect())
        }
    }
}

pub(super) fn random_anchor(random: &mut Random) -> Anchor {
    let keys = (0..random.below(4)).map(|_| random_value(random, 64)).collect();
    Anchor { keys, id: random_value(random, 300) }
}

fn random_marks(random: &mut Random) -> Marks {
    let mut side = |most| (0..random.below(most + 1)).map(|_| Mark::of(random.next())).collect();
    Marks { before: side(Marks::PASSED), after: side(Marks::PASSED) }
}

fn random_pivot(random: &mut Random) -> Pivot {
    Pivot { id: random_value(random, 64), fingerprint: random.chance(2).then(|| Mark::of(random.next())) }
}

fn random_token_place(random: &mut Random) -> TokenPlace {
    let small = |random: &mut Random| u32::try_from(random.number() >> 32).unwrap();
    TokenPlace {
        token: random.chance(4).then(|| {
            let length = random.below(300);
            Token((0..length).map(|_| char::from(random.byte())).collect::<String>().into())
        }),
        token_backward: random.chance(2),
        backward: random.chance(2),
        within: match random.below(3) {
            0 => PlaceInPage::Whole,
            1 => PlaceInPage::Keys(random_anchor(random)),
            _ => PlaceInPage::Marks(random_marks(random)),
        },
        circle: match random.below(3) {
            0 => Loop::default(),
            1 => Loop { power: small(random), steps: small(random), hash: random.number() },
            _ => Loop { hash: 1, ..Loop::default() },
        },
    }
}

fn random_hint(random: &mut Random) -> Hint {
    // `within` is 0, the run, or another number, because each of the three cases has its own encoding.
    let run = if random.chance(3) { 0 } else { u32::try_from(random.number() >> 32).unwrap() };
    let within = match random.below(3) {
        0 => 0,
        1 => run,
        _ => u32::try_from(random.number() >> 32).unwrap(),
    };
    let offset = random.number();
    let honoured = if random.chance(3) { 0 } else { u32::try_from(random.number() >> 32).unwrap() };
    Hint {
        offset: Offset(offset),
        from_end: random.chance(4),
        run,
        within,
        total: random.chance(2).then(|| random.number()),
        first_total: random.chance(3).then(|| Total { value: random.number(), exact: random.chance(2) }),
        ahead: random.chance(3).then(|| Mark::of(random.next())),
        honoured,
        walk: if random.chance(3) { WalkFacts::default() } else { random_facts(random, offset, honoured) },
    }
}

/// Returns facts of a walk. Some equal the offset and the honoured size of their hint, because these have their own
/// encoding.
fn random_facts(random: &mut Random, offset: u64, honoured: u32) -> WalkFacts {
    WalkFacts {
        passed: match random.below(3) {
            0 => None,
            1 => Some(offset),
            _ => Some(random.number()),
        },
        grown: if random.chance(2) { 0 } else { random.number() },
        most: if random.chance(2) { honoured } else { u32::try_from(random.number() >> 32).unwrap() },
        reach: if random.chance(2) { 0 } else { random.number() },
        empty: if random.chance(2) { 0 } else { u32::try_from(random.number() >> 32).unwrap() },
        more_said: random.chance(2),
        more_said_when_short: random.chance(2),
        counts_beyond_answer: random.chance(2),
        rows_left_out: random.chance(2),
        first: random.chance(2).then(|| Mark::of(random.number())),
    }
}

pub(super) fn random_target(random: &mut Random) -> Target {
    let position = match random.below(12) {
        0 => Position::Start,
        1 => Position::End,
        2 => Position::At(Offset(random.number())),
        3 | 4 => Position::After(random_anchor(random)),
        5 => Position::Before(random_anchor(random)),
        6 => Position::AfterPivot(random_pivot(random)),
        7 => Position::BeforePivot(random_pivot(random)),
        8 => Position::AfterMarks(random_marks(random)),
        9 => Position::BeforeMarks(random_marks(random)),
        _ => Position::Token(Box::new(random_token_place(random))),
    };
    Target { position, hint: random_hint(random) }
}

pub(super) fn random_item(random: &mut Random) -> Item {
    if random.chance(3) {
        Item::Marked(MarkedItem {
            item: Mark::of(random.next()),
            around: random_marks(random),
            offset: Offset(random.next()),
        })
    } else {
        Item::Keyed(random_anchor(random))
    }
}

/// Returns the part of a target that a cursor contains.
pub(super) fn as_carried(target: &Target) -> Target {
    let mut carried = target.clone();
    match target.position {
        Position::At(offset) => {
            let Hint { first_total, honoured, walk, .. } = target.hint;
            carried.hint = Hint { offset, first_total, honoured, walk, ..Hint::default() };
        }
        Position::Token(_) => {}
        _ => carried.hint.ahead = None,
    }
    carried
}

pub(super) fn ring() -> &'static KeyRing {
    static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::new(1, &[(1, FIRST_KEY), (2, SECOND_KEY)]).unwrap());
    &RING
}

pub(super) fn sort_key(name: &str, direction: Direction) -> SortKey {
    SortKey { name: name.to_owned(), direction, kind: Kind::Inferred, nulls: Nulls::Unsaid, grain: None }
}

pub(super) fn newest_first() -> Order {
    let strong = vec![sort_key("created_at", Direction::Descending)];
    Order::declared(strong, sort_key("id", Direction::Ascending), Ties::Unordered)
}

pub(super) fn parts(order: &Order) -> ContextParts<'_> {
    ContextParts {
        route: "users",
        host: "api.example.com",
        path: "/api/users",
        filters: b"active=true",
        order,
        headers: &[("x-tenant", b"7")],
    }
}

pub(super) fn context() -> &'static CursorContext {
    static CONTEXT: LazyLock<CursorContext> = LazyLock::new(|| CursorContext::new(parts(&newest_first())));
    &CONTEXT
}

pub(super) fn after(key: &str, id: &str) -> Target {
    let anchor = Anchor { keys: vec![text(key)], id: KeyValue::Number(id.to_owned()) };
    let hint = Hint { offset: Offset(20), run: 1, total: Some(1_003), ..Hint::default() };
    Target { position: Position::After(anchor), hint }
}

pub(super) fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.as_bytes().to_vec())
}

/// Returns the expected result of opening a page cursor that the first key made.
pub(super) fn page(target: &Target) -> Opened {
    Opened { key: 1, claims: Claims::Page(target.clone()) }
}

/// Opens a cursor in the context of these tests, on a route that seals its cursors if `sealed` is true.
pub(super) fn open_here(text: &str, sealed: bool) -> Result<Opened, CursorError> {
    open(ring(), context(), text, NOW, None, LONGEST, sealed)
}

/// Returns random page and item cursors of a route that seals its cursors if `sealed` is true.
pub(super) fn random_cursors(seed: u64, count: usize, sealed: bool) -> Vec<String> {
    let mut random = Random::new(seed);
    let (keys, context) = (ring(), context());
    (0..count)
        .map(|_| match random.below(4) {
            0 => seal_item(keys, context, &random_item(&mut random), LONGEST, sealed).unwrap(),
            1 => {
                let expiry = Some(Expiry { now: NOW, ttl: 86_400 });
                seal(keys, context, &random_target(&mut random), expiry, LONGEST, sealed).unwrap()
            }
            _ => seal(keys, context, &random_target(&mut random), None, LONGEST, sealed).unwrap(),
        })
        .collect()
}

#[test]
fn cursors_open_as_they_were_sealed() {
    let mut random = Random::new(1);
    let (keys, context) = (ring(), context());
    for round in 0..6_000 {
        let sealed = round % 2 == 0;
        let target = random_target(&mut random);
        let ttl = random.chance(2).then(|| 4 + random.number() / 8);
        let expiry = ttl.map(|ttl| Expiry { now: NOW, ttl });
        let cursor = seal(keys, context, &target, expiry, LONGEST, sealed).unwrap();
        assert_eq!(seal(keys, context, &target, expiry, LONGEST, sealed), Ok(cursor.clone()));
        assert_eq!(open(keys, context, &cursor, NOW, ttl, LONGEST, sealed), Ok(page(&as_carried(&target))));

        let item = random_item(&mut random);
        let cursor = seal_item(keys, context, &item, LONGEST, sealed).unwrap();
        assert_eq!(seal_item(keys, context, &item, LONGEST, sealed), Ok(cursor.clone()));
        let expected = Opened { key: 1, claims: Claims::Item(item) };
        assert_eq!(open(keys, context, &cursor, NOW, ttl, LONGEST, sealed), Ok(expected));
    }
}

/// Cursors must still open after an upgrade. Independent code computed the expected cursors from the description of the
/// format.
#[test]
fn cursors_of_the_described_format_still_open() {
    let target = after("2026-01-15T10:30:00Z", "1003");
    let expiry = Some(Expiry { now: NOW, ttl: 400 });
    let page = |sealed| seal(ring(), context(), &target, expiry, LONGEST, sealed).unwrap();
    assert_eq!(
        page(false),
        "~AQHx4Bf-F3vMBS7zU0q3iDLbk4bLBhQB6wcBVDIwMjYtMDEtMTVUMTA6MzA6MDBaA-sHfBNr9ydABGeZHnfitLVGXA"
    );
    assert_eq!(
        page(true),
        "~AgHx4Bf-F3vMBS7zU0q3iMFRRAL22DXvR40o6PMVodcgXyDHZl6z68eQy0XUkbQlbVM8DwXhWkyK6zQzcykYg19ntKmXHpLmVdE0SD5KIqA"
    );
    let anchor = Anchor { keys: vec![KeyValue::Null], id: text("0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b") };
    let item = |sealed| seal_item(ring(), context(), &Item::Keyed(anchor.clone()), LONGEST, sealed).unwrap();
    assert_eq!(item(false), "~AQHx4Bf-F3vMBS7zU0q3iAUBAAYLnG8-SlFNe4pVHC0-T1pr6vihWRzIvmxcdb4Z8fCBeA");
    assert_eq!(item(true), "~AgHx4Bf-F3vMBS7zU0q3iGuNDHKYhtl5k6apzPC_x0C2PMy0KflZNKsSL9qL0f_8Tvk6371v4YVH1-iw-LoY2Q");
    let marks: Vec<u64> = ["1003", "", "\u{fc}"].map(|id| ring().signing_marker().mark(id.as_bytes()).number()).into();
    assert_eq!(marks, [0xfc16a0f0de, 0x6e7009dc43, 0x57df95dc8d]);
}

#[test]
fn a_cursor_longer_than_the_limit_is_not_minted() {
    let (keys, here) = (ring(), context());
    for length in (0..200).chain(1_350..1_450) {
        let token = Token("x".repeat(length).into());
        let within = PlaceInPage::Whole;
        let place =
            TokenPlace { token: Some(token), token_backward: false, backward: false, within, circle: Loop::default() };
        let with_token = Target { position: Position::Token(Box::new(place)), hint: Hint::default() };
        let anchor = Anchor { keys: Vec::new(), id: text(&"x".repeat(length)) };
        let with_anchor = Target { position: Position::Before(anchor.clone()), hint: Hint::default() };
        let item = Item::Keyed(anchor);
        for sealed in [false, true] {
            let mints = [
                &(|longest| seal(keys, here, &with_anchor, None, longest, sealed)) as &dyn Fn(usize) -> _,
                &|longest| seal(keys, here, &with_token, None, longest, sealed),
                &|longest| seal_item(keys, here, &item, longest, sealed),
            ];
            for mint in mints {
                let cursor = mint(LONGEST).unwrap();
                let fits = cursor.len();
                assert_eq!(mint(fits).as_ref(), Ok(&cursor));
                assert_eq!(mint(fits - 1), Err(TooLong { length: fits, longest: fits - 1 }));
                assert!(open(keys, here, &cursor, NOW, None, fits, sealed).is_ok());
                assert_eq!(open(keys, here, &cursor, NOW, None, fits - 1, sealed), Err(CursorError::Invalid));
            }
        }
    }
}

/// Marks can be recognised only with the key that made them. The cursor contains the id of that key.
#[test]
fn marks_are_recognised_only_with_the_key_that_made_them() {
    let ring = |signing| KeyRing::new(signing, &[(1, FIRST_KEY), (2, SECOND_KEY)]).unwrap();
    let (before, after) = (ring(1), ring(2));
    let mark = before.signing_marker().mark(b"1003");
    assert_eq!(before.marker(1).unwrap().mark(b"1003"), mark);
    assert_eq!(after.marker(1).unwrap().mark(b"1003"), mark);
    assert_ne!(after.signing_marker().mark(b"1003"), mark);
    assert!(after.marker(3).is_none());
    for (seals, key) in [(&before, 1), (&after, 2)] {
        for sealed in [false, true] {
            let marks = Marks { before: vec![mark], after: Vec::new() };
            let target = Target { position: Position::AfterMarks(marks), hint: Hint::default() };
            let cursor = seal(seals, context(), &target, None, LONGEST, sealed).unwrap();
            let opened = open(&after, context(), &cursor, NOW, None, LONGEST, sealed);
            assert_eq!(opened, Ok(Opened { key, claims: Claims::Page(target) }));
        }
    }
}

#[test]
fn marks_of_many_ids_differ() {
    let marker = ring().signing_marker();
    let marks: std::collections::HashSet<_> =
        (0..10_000).map(|id: u32| marker.mark(id.to_string().as_bytes())).collect();
    assert_eq!(marks.len(), 10_000);
    let bits = marks.iter().fold((0, u64::MAX), |(any, all), mark| (any | mark.number(), all & mark.number()));
    assert_eq!(bits, ((1 << Mark::BITS) - 1, 0), "every bit is used");
}
