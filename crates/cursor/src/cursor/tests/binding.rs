//! Tests that a cursor opens only with its key, in its context, and within its lifetime.

use super::{
    FIRST_KEY, LONGEST, NOW, SECOND_KEY, after, context, newest_first, page, parts, random_cursors, ring, sort_key,
    text,
};
use crate::{
    cursor::{
        Claims, ContextPart, ContextParts, CursorContext, CursorError, Expiry, KeyRing, Opened, open, seal, seal_item,
    },
    pagination::{
        order::{Direction, Grain, Kind, Nulls, Order, SortKey, Ties},
        position::{Anchor, Hint, Item, Position, Target},
    },
};

/// A default context only saves hashing: cursors are the same with and without it, whichever parts differ.
#[test]
fn the_default_context_changes_no_cursor() {
    let order = newest_first();
    let other_order = Order::declared(Vec::new(), order.id().clone(), order.ties());
    let usual = ContextParts { host: "", filters: b"", headers: &[], ..parts(&order) };
    let after_rotation = KeyRing::new(2, &[(1, FIRST_KEY), (2, SECOND_KEY)]).unwrap();
    let known = CursorContext::usual(usual, ring());
    for differing in 0..1 << ContextPart::ALL.len() {
        let differs = |part: ContextPart| differing >> part as usize & 1 == 1;
        let here = ContextParts {
            route: if differs(ContextPart::Route) { "orders" } else { usual.route },
            host: if differs(ContextPart::Host) { "api.example.org" } else { usual.host },
            path: if differs(ContextPart::Path) { "/api/users/7" } else { usual.path },
            filters: if differs(ContextPart::Filters) { b"active=true" } else { usual.filters },
            order: if differs(ContextPart::Order) { &other_order } else { usual.order },
            headers: if differs(ContextPart::Headers) { &[("x-tenant", b"7")] } else { usual.headers },
        };
        for keys in [ring(), &after_rotation] {
            let target = after("2026-01-01", "7");
            let (alone, beside) = (CursorContext::new(here), CursorContext::new(here).beside(&known));
            let cursor = seal(keys, &alone, &target, None, LONGEST, false).unwrap();
            assert_eq!(seal(keys, &beside, &target, None, LONGEST, false), Ok(cursor.clone()), "{differing:b}");
            // The next requests reuse what isn't of one client alone.
            let next = beside.next_usual(keys);
            let is_own = differs(ContextPart::Filters) || differs(ContextPart::Headers);
            assert_eq!(next.is_some(), differing != 0 && !is_own, "{differing:b}");
            let again = CursorContext::new(here).beside(next.as_ref().unwrap_or(&known));
            assert_eq!(seal(keys, &again, &target, None, LONGEST, false), Ok(cursor.clone()), "{differing:b}");
            let opened = open(keys, &known, &cursor, NOW, None, LONGEST, false);
            let expected = ContextPart::ALL.into_iter().filter(|part| differs(*part)).collect::<Vec<_>>();
            match differing {
                0 => assert!(opened.is_ok()),
                _ => assert_eq!(opened, Err(CursorError::Mismatch { differs: expected })),
            }
        }
    }
}

/// Row: A02
#[test]
fn the_part_of_the_context_that_differs_is_named() {
    let order = newest_first();
    let other_order = Order::declared(Vec::new(), order.id().clone(), order.ties());
    let own = parts(&order);
    let changed = [
        (ContextPart::Route, ContextParts { route: "orders", ..own }),
        (ContextPart::Host, ContextParts { host: "api.example.org", ..own }),
        (ContextPart::Path, ContextParts { path: "/api/users/7", ..own }),
        (ContextPart::Filters, ContextParts { filters: b"", ..own }),
        (ContextPart::Order, ContextParts { order: &other_order, ..own }),
        (ContextPart::Headers, ContextParts { headers: &[("x-tenant", b"8")], ..own }),
        (ContextPart::Headers, ContextParts { headers: &[("x-tenan", b"t7")], ..own }),
        (ContextPart::Headers, ContextParts { headers: &[("x-tenant", b"7"), ("x-tenant", b"")], ..own }),
        (ContextPart::Headers, ContextParts { headers: &[], ..own }),
    ];
    for (part, there) in changed {
        // The differing part is named even if the route opens cursors of the other form (signed or sealed).
        for (made, opened) in [(false, false), (true, true), (false, true), (true, false)] {
            for cursor in random_cursors(6, 8, made) {
                let opened = open(ring(), &CursorContext::new(there), &cursor, NOW, None, LONGEST, opened);
                assert_eq!(opened, Err(CursorError::Mismatch { differs: vec![part] }));
            }
        }
    }
    let several = ContextParts { route: "orders", filters: b"", headers: &[], ..own };
    let cursor = &random_cursors(7, 1, false)[0];
    assert_eq!(
        open(ring(), &CursorContext::new(several), cursor, NOW, None, LONGEST, false),
        Err(CursorError::Mismatch { differs: vec![ContextPart::Route, ContextPart::Filters, ContextPart::Headers] })
    );
}

/// Row: A02
#[test]
fn parts_do_not_run_into_their_neighbours() {
    let order = newest_first();
    let cursor =
        seal(ring(), context(), &Target { position: Position::End, hint: Hint::default() }, None, LONGEST, false);
    let there = ContextParts { host: "api.example.com/api", path: "/users", ..parts(&order) };
    assert_eq!(
        open(ring(), &CursorContext::new(there), &cursor.unwrap(), NOW, None, LONGEST, false),
        Err(CursorError::Mismatch { differs: vec![ContextPart::Host, ContextPart::Path] })
    );
}

/// Row: A02
#[test]
fn every_property_that_changes_the_order_is_part_of_the_context() {
    let own = newest_first();
    let rank = |ranks: &[&str]| Kind::Rank(ranks.iter().map(|&rank| rank.to_owned()).collect());
    let with = |change: &dyn Fn(&mut Vec<SortKey>, &mut SortKey)| {
        let (mut strong, mut id) = (own.strong().to_vec(), own.id().clone());
        change(&mut strong, &mut id);
        Order::declared(strong, id, own.ties())
    };
    let mut orders = vec![
        own.clone(),
        with(&|strong, _| strong[0].direction = Direction::Ascending),
        with(&|strong, _| strong[0].name = "updated_at".to_owned()),
        with(&|_, id| id.direction = Direction::Descending),
        with(&|strong, _| strong.push(sort_key("name", Direction::Ascending))),
        with(&|strong, _| strong.insert(0, sort_key("name", Direction::Ascending))),
        with(&|strong, _| strong.clear()),
        Order::undeclared(own.id().clone()),
    ];
    for kind in [
        Kind::Number,
        Kind::NumberInString,
        Kind::Text,
        Kind::Datetime,
        Kind::Boolean,
        Kind::Uuid,
        rank(&[]),
        rank(&["ab"]),
        rank(&["a", "b"]),
        rank(&["b", "a"]),
    ] {
        orders.push(with(&|strong, _| strong[0].kind = kind.clone()));
    }
    for nulls in [Nulls::None, Nulls::Smallest, Nulls::Largest, Nulls::First, Nulls::Last] {
        orders.push(with(&|strong, _| strong[0].nulls = nulls));
    }
    for (sealed_in, order) in orders.iter().enumerate() {
        let cursor = seal(ring(), &CursorContext::new(parts(order)), &after("x", "1"), None, LONGEST, false).unwrap();
        for (opened_in, order) in orders.iter().enumerate() {
            let opened = open(ring(), &CursorContext::new(parts(order)), &cursor, NOW, None, LONGEST, false);
            match opened {
                Ok(_) => assert_eq!(sealed_in, opened_in),
                Err(CursorError::Mismatch { differs }) => {
                    assert!(sealed_in != opened_in && (differs == [ContextPart::Order] || differs.is_empty()));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    // The treatment of ties and the grain of a key only change how answers are read, so cursors stay valid.
    let cursor = seal(ring(), context(), &after("x", "1"), None, LONGEST, false).unwrap();
    for same in [own.clone().with_ties(Ties::Ordered), with(&|strong, _| strong[0].grain = Some(Grain::Digits(3)))] {
        assert!(open(ring(), &CursorContext::new(parts(&same)), &cursor, NOW, None, LONGEST, false).is_ok());
    }
}

/// Row: A42
#[test]
fn keys_rotate_in_two_steps() {
    let here = context();
    let target = after("x", "1");
    let ring = |signing, keys: &[(u32, &[u8])]| KeyRing::new(signing, keys).unwrap();
    let before = ring(1, &[(1, FIRST_KEY)]);
    let distributed = ring(1, &[(1, FIRST_KEY), (2, SECOND_KEY)]);
    let switched = ring(2, &[(1, FIRST_KEY), (2, SECOND_KEY)]);
    let retired = ring(2, &[(2, SECOND_KEY)]);
    let replaced = ring(1, &[(1, SECOND_KEY)]);
    let far = ring(u32::MAX, &[(u32::MAX, FIRST_KEY)]);
    let rings = [&before, &distributed, &switched, &retired, &replaced, &far];
    let opens = [
        [true, true, true, false, false, false],
        [true, true, true, false, false, false],
        [false, true, true, true, false, false],
        [false, true, true, true, false, false],
        [false, false, false, false, true, false],
        [false, false, false, false, false, true],
    ];
    for (sealing, expected) in rings.iter().zip(opens) {
        for sealed in [false, true] {
            let cursor = seal(sealing, here, &target, None, LONGEST, sealed).unwrap();
            let fresh = CursorContext::new(parts(&newest_first()));
            assert_eq!(
                seal(sealing, &fresh, &target, None, LONGEST, sealed).as_ref(),
                Ok(&cursor),
                "a context that was used with another key remembers nothing of it"
            );
            for (opening, expected) in rings.iter().zip(expected) {
                let opened = open(opening, here, &cursor, NOW, None, LONGEST, sealed).map(|opened| opened.claims);
                let wanted = if expected { Ok(Claims::Page(target.clone())) } else { Err(CursorError::Invalid) };
                assert_eq!(opened, wanted, "{sealing:?} {opening:?}");
            }
        }
    }
}

/// Row: A03
#[test]
fn page_cursors_expire_and_item_cursors_do_not() {
    let (keys, here) = (ring(), context());
    let target = after("x", "1");
    let ttl = 400;
    let sealed = |now| seal(keys, here, &target, Some(Expiry { now, ttl }), LONGEST, false).unwrap();
    let opened = |cursor: &str, now, ttl| open(keys, here, cursor, now, ttl, LONGEST, false);

    let begin = (NOW..NOW + 100).find(|&now| sealed(now) != sealed(now - 1)).unwrap();
    let cursor = sealed(begin);
    assert_eq!(sealed(begin + 99), cursor);
    assert_ne!(sealed(begin + 100), cursor);

    assert!(opened(&cursor, begin + 99, Some(ttl)).is_ok());
    assert!(opened(&cursor, begin + 499, Some(ttl)).is_ok());
    assert_eq!(opened(&cursor, begin + 500, Some(ttl)), Err(CursorError::Expired));
    assert_eq!(opened(&cursor, u64::MAX, Some(ttl)), Err(CursorError::Expired));
    assert!(opened(&cursor, begin - 60, Some(ttl)).is_ok());
    assert_eq!(opened(&cursor, begin - 61, Some(ttl)), Err(CursorError::Invalid));
    assert_eq!(opened(&cursor, 0, Some(ttl)), Err(CursorError::Invalid));
    assert!(opened(&cursor, u64::MAX, None).is_ok(), "the route has no ttl any more");

    let ageless = seal(keys, here, &target, None, LONGEST, false).unwrap();
    assert_eq!(opened(&ageless, NOW, None), Ok(page(&target)));
    assert_eq!(opened(&ageless, NOW, Some(ttl)), Err(CursorError::Expired), "the route got its ttl later");

    let item = Item::Keyed(Anchor { keys: Vec::new(), id: text("a") });
    let edge = seal_item(keys, here, &item, LONGEST, false).unwrap();
    assert_eq!(opened(&edge, u64::MAX, Some(ttl)), Ok(Opened { key: 1, claims: Claims::Item(item) }));

    let order = newest_first();
    let elsewhere = CursorContext::new(ContextParts { path: "/api/users/7", ..parts(&order) });
    let mismatch = open(keys, &elsewhere, &cursor, u64::MAX, Some(ttl), LONGEST, false);
    assert_eq!(
        mismatch,
        Err(CursorError::Mismatch { differs: vec![ContextPart::Path] }),
        "the context comes before the age"
    );
}

#[test]
fn buckets_of_different_lists_tick_at_different_times() {
    let (keys, order) = (ring(), newest_first());
    let target = Target { position: Position::Start, hint: Hint::default() };
    let tick = |path: &str| {
        let here = CursorContext::new(ContextParts { path, ..parts(&order) });
        let sealed = |now| seal(keys, &here, &target, Some(Expiry { now, ttl: 1_000 }), LONGEST, false).unwrap();
        (NOW..NOW + 250).find(|&now| sealed(now) != sealed(now - 1)).unwrap()
    };
    let ticks: std::collections::BTreeSet<u64> = (0..20).map(|user| tick(&format!("/api/users/{user}"))).collect();
    assert!(ticks.len() > 15, "{ticks:?}");
}
