//! Cursors as clients and operators of keys meet them; `tampering` and `binding` hold what must not open.

use std::sync::LazyLock;

use super::{Context, ContextParts, CursorError, Expiry, KeyRing, Opened, TooLong, open, seal, seal_item};
use crate::pagination::{
    key::KeyValue,
    order::{Direction, Kind, Nulls, Order, SortKey, Ties},
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

mod binding;
mod tampering;

pub(super) const LONGEST: usize = 2_048;
pub(super) const NOW: u64 = 1_768_000_000;
const FIRST_KEY: &[u8] = b"the first key, of thirty-two bytes";
const SECOND_KEY: &[u8] = b"the second key, of thirty-two bytes";

/// Xorshift, so that a failure comes again.
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

    /// A number of any length.
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

pub(super) fn random_target(random: &mut Random) -> Target {
    let position = match random.below(6) {
        0 => Position::Start,
        1 => Position::End,
        2 => Position::At(Offset(random.number())),
        3 | 4 => Position::After(random_anchor(random)),
        _ => Position::Before(random_anchor(random)),
    };
    let run = u32::try_from(random.number() >> 32).unwrap();
    let total = random.chance(2).then(|| random.number());
    Target { position, hint: Hint { offset: Offset(random.number()), run, total } }
}

pub(super) fn ring() -> &'static KeyRing {
    static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::new(1, &[(1, FIRST_KEY), (2, SECOND_KEY)]).unwrap());
    &RING
}

pub(super) fn sort_key(name: &str, direction: Direction) -> SortKey {
    SortKey { name: name.to_owned(), direction, kind: Kind::Inferred, nulls: Nulls::Unsaid }
}

pub(super) fn newest_first() -> Order {
    Order {
        strong: vec![sort_key("created_at", Direction::Descending)],
        id: sort_key("id", Direction::Ascending),
        ties: Ties::Unordered,
    }
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

pub(super) fn context() -> &'static Context {
    static CONTEXT: LazyLock<Context> = LazyLock::new(|| Context::new(parts(&newest_first())));
    &CONTEXT
}

pub(super) fn after(key: &str, id: &str) -> Target {
    let anchor = Anchor { keys: vec![text(key)], id: KeyValue::Number(id.to_owned()) };
    Target { position: Position::After(anchor), hint: Hint { offset: Offset(20), run: 1, total: Some(1_003) } }
}

pub(super) fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.as_bytes().to_vec())
}

pub(super) fn open_here(text: &str) -> Result<Opened, CursorError> {
    open(ring(), context(), text, NOW, None, LONGEST)
}

pub(super) fn random_cursors(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    let (keys, context) = (ring(), context());
    (0..count)
        .map(|_| match random.below(4) {
            0 => seal_item(keys, context, &random_anchor(&mut random), LONGEST).unwrap(),
            1 => {
                let expiry = Some(Expiry { now: NOW, ttl: 86_400 });
                seal(keys, context, &random_target(&mut random), expiry, LONGEST).unwrap()
            }
            _ => seal(keys, context, &random_target(&mut random), None, LONGEST).unwrap(),
        })
        .collect()
}

#[test]
fn cursors_open_as_they_were_sealed() {
    let mut random = Random::new(1);
    let (keys, context) = (ring(), context());
    for _ in 0..2_000 {
        let mut target = random_target(&mut random);
        if let Position::At(offset) = target.position {
            target.hint = Hint { offset, ..Hint::default() };
        }
        let ttl = random.chance(2).then(|| 4 + random.number() / 8);
        let expiry = ttl.map(|ttl| Expiry { now: NOW, ttl });
        let cursor = seal(keys, context, &target, expiry, LONGEST).unwrap();
        assert_eq!(seal(keys, context, &target, expiry, LONGEST), Ok(cursor.clone()));
        assert_eq!(open(keys, context, &cursor, NOW, ttl, LONGEST), Ok(Opened::Page(target)));

        let anchor = random_anchor(&mut random);
        let cursor = seal_item(keys, context, &anchor, LONGEST).unwrap();
        assert_eq!(open(keys, context, &cursor, NOW, ttl, LONGEST), Ok(Opened::Item(anchor)));
    }
}

/// What was handed out must open after an upgrade: these were computed from the format's description by other code.
#[test]
fn the_format_stays() {
    let target = after("2026-01-15T10:30:00Z", "1003");
    let page = "AQHx4Bf-F3vMBS7zU0q3iDLbk4bLBhQB6wcBVDIwMjYtMDEtMTVUMTA6MzA6MDBaA-sHfBNr9ydABGeZHnfitLVGXA";
    assert_eq!(seal(ring(), context(), &target, Some(Expiry { now: NOW, ttl: 400 }), LONGEST).as_deref(), Ok(page));
    let anchor = Anchor { keys: vec![KeyValue::Null], id: text("0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b") };
    let item = "AQHx4Bf-F3vMBS7zU0q3iAUBAAYLnG8-SlFNe4pVHC0-T1pr6vihWRzIvmxcdb4Z8fCBeA";
    assert_eq!(seal_item(ring(), context(), &anchor, LONGEST).as_deref(), Ok(item));
}

#[test]
fn cursors_are_short() {
    let (keys, here) = (ring(), context());
    let expiry = Some(Expiry { now: NOW, ttl: 86_400 });
    let length = |key: &str, id: KeyValue, expiry| {
        let anchor = Anchor { keys: vec![text(key)], id };
        let hint = Hint { offset: Offset(12_340), run: 1, total: Some(100_003) };
        seal(keys, here, &Target { position: Position::After(anchor), hint }, expiry, LONGEST).unwrap().len()
    };
    let number = || KeyValue::Number("1003".to_owned());
    let uuid = || text("0b9c6f3e-4a51-4d7b-8a55-1c2d3e4f5a6b");
    assert_eq!(length("2026-01-15T10:30:00Z", number(), None), 86);
    assert_eq!(length("2026-01-15T10:30:00Z", text("1003"), None), 88);
    assert_eq!(length("2026-01-15T10:30:00.123456Z", number(), None), 95);
    assert_eq!(length("2026-01-15T10:30:00.123456Z", text("1003"), expiry), 104);
    assert_eq!(length("2026-01-15T10:30:00.123456+00:00", number(), expiry), 108);
    assert_eq!(length("2026-01-15T10:30:00.123456Z", uuid(), expiry), 120);
}

#[test]
fn what_would_be_refused_is_not_minted() {
    let (keys, here) = (ring(), context());
    for length in 0..200 {
        let anchor = Anchor { keys: Vec::new(), id: text(&"x".repeat(length)) };
        let target = Target { position: Position::Before(anchor.clone()), hint: Hint::default() };
        let page = seal(keys, here, &target, None, LONGEST).unwrap();
        let item = seal_item(keys, here, &anchor, LONGEST).unwrap();
        for (cursor, again) in [
            (&page, &(|longest| seal(keys, here, &target, None, longest)) as &dyn Fn(usize) -> _),
            (&item, &|longest| seal_item(keys, here, &anchor, longest)),
        ] {
            let fits = cursor.len();
            assert_eq!(again(fits).as_ref(), Ok(cursor));
            assert_eq!(again(fits - 1), Err(TooLong { length: fits, longest: fits - 1 }));
            assert!(open(keys, here, cursor, NOW, None, fits).is_ok());
            assert_eq!(open(keys, here, cursor, NOW, None, fits - 1), Err(CursorError::Invalid));
        }
    }
}
