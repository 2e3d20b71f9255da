//! A cursor opens with its keys, in its context, in its time.

use super::{
    FIRST_KEY, LONGEST, NOW, SECOND_KEY, after, context, newest_first, parts, random_cursors, ring, sort_key, text,
};
use crate::cursor::{Context, ContextParts, CursorError, Expiry, KeyRing, Opened, Part, open, seal, seal_item};
use crate::pagination::{
    order::{Direction, Kind, Nulls, Order, Ties},
    position::{Anchor, Hint, Position, Target},
};

#[test]
fn the_part_of_the_context_that_differs_is_named() {
    let order = newest_first();
    let other_order = Order { strong: Vec::new(), ..order.clone() };
    let own = parts(&order);
    let changed = [
        (Part::Route, ContextParts { route: "orders", ..own }),
        (Part::Host, ContextParts { host: "api.example.org", ..own }),
        (Part::Path, ContextParts { path: "/api/users/7", ..own }),
        (Part::Filters, ContextParts { filters: b"", ..own }),
        (Part::Order, ContextParts { order: &other_order, ..own }),
        (Part::Headers, ContextParts { headers: &[("x-tenant", b"8")], ..own }),
        (Part::Headers, ContextParts { headers: &[("x-tenan", b"t7")], ..own }),
        (Part::Headers, ContextParts { headers: &[("x-tenant", b"7"), ("x-tenant", b"")], ..own }),
        (Part::Headers, ContextParts { headers: &[], ..own }),
    ];
    for (part, there) in changed {
        for cursor in random_cursors(6, 8) {
            let opened = open(ring(), &Context::new(there), &cursor, NOW, None, LONGEST);
            assert_eq!(opened, Err(CursorError::Mismatch { differs: vec![part] }));
        }
    }
    let several = ContextParts { route: "orders", filters: b"", headers: &[], ..own };
    let cursor = &random_cursors(7, 1)[0];
    assert_eq!(
        open(ring(), &Context::new(several), cursor, NOW, None, LONGEST),
        Err(CursorError::Mismatch { differs: vec![Part::Route, Part::Filters, Part::Headers] })
    );
}

#[test]
fn parts_do_not_run_into_their_neighbours() {
    let order = newest_first();
    let cursor = seal(ring(), context(), &Target { position: Position::End, hint: Hint::default() }, None, LONGEST);
    let there = ContextParts { host: "api.example.com/api", path: "/users", ..parts(&order) };
    assert_eq!(
        open(ring(), &Context::new(there), &cursor.unwrap(), NOW, None, LONGEST),
        Err(CursorError::Mismatch { differs: vec![Part::Host, Part::Path] })
    );
}

#[test]
fn whatever_the_order_means_is_part_of_the_context() {
    let own = newest_first();
    let rank = |ranks: &[&str]| Kind::Rank(ranks.iter().map(|&rank| rank.to_owned()).collect());
    let with = |change: &dyn Fn(&mut Order)| {
        let mut order = own.clone();
        change(&mut order);
        order
    };
    let mut orders = vec![
        own.clone(),
        with(&|order| order.strong[0].direction = Direction::Ascending),
        with(&|order| order.strong[0].name = "updated_at".to_owned()),
        with(&|order| order.id.direction = Direction::Descending),
        with(&|order| order.strong.push(sort_key("name", Direction::Ascending))),
        with(&|order| order.strong.insert(0, sort_key("name", Direction::Ascending))),
        with(&|order| order.strong.clear()),
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
        orders.push(with(&|order| order.strong[0].kind = kind.clone()));
    }
    for nulls in [Nulls::None, Nulls::Smallest, Nulls::Largest, Nulls::First, Nulls::Last] {
        orders.push(with(&|order| order.strong[0].nulls = nulls));
    }
    for (sealed_in, order) in orders.iter().enumerate() {
        let cursor = seal(ring(), &Context::new(parts(order)), &after("x", "1"), None, LONGEST).unwrap();
        for (opened_in, order) in orders.iter().enumerate() {
            let opened = open(ring(), &Context::new(parts(order)), &cursor, NOW, None, LONGEST);
            match opened {
                Ok(_) => assert_eq!(sealed_in, opened_in),
                Err(CursorError::Mismatch { differs }) => {
                    assert!(sealed_in != opened_in && (differs == [Part::Order] || differs.is_empty()));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    let ties = Order { ties: Ties::Ordered, ..own };
    let cursor = seal(ring(), context(), &after("x", "1"), None, LONGEST).unwrap();
    assert!(open(ring(), &Context::new(parts(&ties)), &cursor, NOW, None, LONGEST).is_ok());
}

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
        let cursor = seal(sealing, here, &target, None, LONGEST).unwrap();
        let fresh = Context::new(parts(&newest_first()));
        assert_eq!(
            seal(sealing, &fresh, &target, None, LONGEST).as_ref(),
            Ok(&cursor),
            "a context that was used with another key remembers nothing of it"
        );
        for (opening, expected) in rings.iter().zip(expected) {
            let opened = open(opening, here, &cursor, NOW, None, LONGEST);
            let wanted = if expected { Ok(Opened::Page(target.clone())) } else { Err(CursorError::Invalid) };
            assert_eq!(opened, wanted, "{sealing:?} {opening:?}");
        }
    }
}

#[test]
fn page_cursors_expire_and_item_cursors_do_not() {
    let (keys, here) = (ring(), context());
    let target = after("x", "1");
    let ttl = 400;
    let sealed = |now| seal(keys, here, &target, Some(Expiry { now, ttl }), LONGEST).unwrap();
    let opened = |cursor: &str, now, ttl| open(keys, here, cursor, now, ttl, LONGEST);

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

    let ageless = seal(keys, here, &target, None, LONGEST).unwrap();
    assert!(opened(&ageless, NOW, None).is_ok());
    assert_eq!(opened(&ageless, NOW, Some(ttl)), Err(CursorError::Expired), "the route got its ttl later");

    let anchor = Anchor { keys: Vec::new(), id: text("a") };
    let item = seal_item(keys, here, &anchor, LONGEST).unwrap();
    assert_eq!(opened(&item, u64::MAX, Some(ttl)), Ok(Opened::Item(anchor)));

    let order = newest_first();
    let elsewhere = Context::new(ContextParts { path: "/api/users/7", ..parts(&order) });
    let mismatch = open(keys, &elsewhere, &cursor, u64::MAX, Some(ttl), LONGEST);
    assert_eq!(mismatch, Err(CursorError::Mismatch { differs: vec![Part::Path] }), "the context comes before the age");
}

#[test]
fn buckets_of_different_lists_tick_at_different_times() {
    let (keys, order) = (ring(), newest_first());
    let target = Target { position: Position::Start, hint: Hint::default() };
    let tick = |path: &str| {
        let here = Context::new(ContextParts { path, ..parts(&order) });
        let sealed = |now| seal(keys, &here, &target, Some(Expiry { now, ttl: 1_000 }), LONGEST).unwrap();
        (NOW..NOW + 250).find(|&now| sealed(now) != sealed(now - 1)).unwrap()
    };
    let ticks: std::collections::BTreeSet<u64> = (0..20).map(|user| tick(&format!("/api/users/{user}"))).collect();
    assert!(ticks.len() > 15, "{ticks:?}");
}
