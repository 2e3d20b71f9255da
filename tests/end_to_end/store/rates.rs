//! The operation by which processes share rates, at real servers.

use super::{Flavour, StoreServer};

const SCRIPT: &str = include_str!("../../../src/gateway/store/handle/rate.lua");

/// The time in which a unit comes back, in microseconds: longer than the test takes.
const UNIT: u64 = 600_000_000;

fn take(client: &mut redis::Connection, key: &str, most: u64, cost: u64) -> [i64; 4] {
    change(client, key, most, (i64::try_from(cost).expect("it fits"), false))
}

fn change(client: &mut redis::Connection, key: &str, most: u64, (units, are_used): (i64, bool)) -> [i64; 4] {
    let taken: Vec<i64> = redis::cmd("EVAL")
        .arg(SCRIPT)
        .arg(1)
        .arg(key)
        .arg(UNIT)
        .arg(most)
        .arg(units)
        .arg(u8::from(are_used))
        .query(client)
        .expect("four numbers");
    taken.try_into().expect("four numbers")
}

/// However many take at a time, no more units are taken than there are.
#[test]
fn no_more_units_are_taken_than_there_are() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let server = StoreServer::start(flavour);
        let taken: i64 = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..10).map(|_| take(&mut server.client(), "rate", 17, 1)[0]).sum::<i64>()))
                .collect();
            takers.into_iter().map(|taker| taker.join().expect("no panic")).sum()
        });
        assert_eq!(taken, 17, "{flavour:?}");
        let mut client = server.client();
        let [taken, left, retry, reset] = take(&mut client, "rate", 17, 1);
        assert_eq!((taken, left), (0, 0), "{flavour:?}");
        let unit = i64::try_from(UNIT).expect("it fits");
        assert!((1..=unit).contains(&retry) && (16 * unit..=17 * unit).contains(&reset), "{retry} {reset}");
        let lives: i64 = redis::cmd("PTTL").arg("rate").query(&mut client).expect("a time");
        assert!(lives > 0, "it is forgotten when all units are there");
    }
}

/// Costs of more than one unit, of none, and of more than there ever are; values of other policies and of other hands.
#[test]
fn whatever_is_stored_a_rate_stays_within_its_bounds() {
    let server = StoreServer::start(Flavour::Redis);
    let mut client = server.client();
    let mut outcome = |key: &str, most, cost| {
        let [taken, left, ..] = take(&mut client, key, most, cost);
        (taken, left)
    };
    assert_eq!(outcome("rate", 10, 0), (1, 10));
    assert_eq!(outcome("rate", 10, 4), (1, 6));
    assert_eq!(outcome("rate", 10, 7), (0, 6), "a part is not taken");
    assert_eq!(outcome("rate", 10, 6), (1, 0));
    assert_eq!(outcome("other", 10, 25), (1, 0), "more than there ever are, where all are there");
    assert_eq!(outcome("other", 10, 1), (0, 0));
    assert_eq!(outcome("rate", 3, 1), (0, 0), "a policy of fewer units");
    for foreign in ["abc", "", "nan", "-1", "inf", "99999999999999999999999999", "1e308"] {
        let () = redis::cmd("SET").arg("foreign").arg(foreign).query(&mut server.client()).expect("it is set");
        let (taken, left) = outcome("foreign", 10, 1);
        assert!([(1, 9), (0, 0)].contains(&(taken, left)), "{foreign}: {taken} {left}");
    }
}

/// Units that have been used are charged beyond those that are there, and units come back.
#[test]
fn used_units_are_charged_and_unused_ones_come_back() {
    let server = StoreServer::start(Flavour::Valkey);
    let mut client = server.client();
    for (units, are_used, taken, left) in [
        (4, false, 1, 6),
        (20, true, 1, 0),
        (1, false, 0, 0),
        (-15, true, 1, 1),
        (1, false, 1, 0),
        (-100, true, 1, 10),
        (0, false, 1, 10),
    ] {
        let [found, rest, ..] = change(&mut client, "rate", 10, (units, are_used));
        assert_eq!((found, rest), (taken, left), "{units} {are_used}");
    }
}
