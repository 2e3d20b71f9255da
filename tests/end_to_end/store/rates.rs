//! Tests of the script by which processes share rate limits, on real servers.

use super::{Flavour, StoreServer};

const SCRIPT: &str = include_str!("../../../crates/gateway/src/store/handle/rate.lua");

/// The time after which a unit of a limit is available again, in microseconds. It is longer than the test takes.
const UNIT: i64 = 600_000_000;

/// Takes units of several limits. Each limit has a policy, the largest number of units, and the number to take. With
/// `are_used`, the units are charged even if fewer are available. Returns for each limit whether its units were
/// available, and the number that is left.
fn change(client: &mut redis::Connection, key: &str, limits: &[(&str, i64, i64)], are_used: bool) -> Vec<(bool, i64)> {
    let mut command = redis::cmd("EVAL");
    command.arg(SCRIPT).arg(1).arg(key).arg(u8::from(are_used));
    for (policy, most, units) in limits {
        command.arg(policy).arg(UNIT).arg(most).arg(units);
    }
    let times: Vec<i64> = command.query(client).expect("two numbers for each limit");
    assert_eq!(times.len(), 2 * limits.len());
    let standings = times.chunks_exact(2).zip(limits).map(|(times, (_, most, units))| {
        let [retry, reset] = times else { unreachable!("pairs") };
        assert!((0..=100 * most * UNIT).contains(reset) && (0..=100 * most * UNIT).contains(retry), "{times:?}");
        assert!(*retry == 0 || !are_used && *retry <= *reset + units * UNIT, "{times:?}");
        (*retry == 0, (most * UNIT - reset).max(0) / UNIT)
    });
    standings.collect()
}

fn take(client: &mut redis::Connection, key: &str, most: i64, units: i64) -> (bool, i64) {
    change(client, key, &[("requests", most, units)], false)[0]
}

/// Clients that take units at the same time get no more than a limit has.
#[test]
fn no_more_units_are_taken_than_there_are() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let server = StoreServer::start(flavour);
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..10).filter(|_| take(&mut server.client(), "rate", 17, 1).0).count();
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            takers.into_iter().map(|taker| taker.join().expect("no panic")).sum()
        });
        assert_eq!(taken, 17, "{flavour:?}");
        let mut client = server.client();
        assert_eq!(take(&mut client, "rate", 17, 1), (false, 0), "{flavour:?}");
        let lives: i64 = redis::cmd("PTTL").arg("rate").query(&mut client).expect("a time");
        assert!((16 * UNIT / 1_000..=17 * UNIT / 1_000).contains(&lives), "it is forgotten when all units are there");
    }
}

/// A request takes its units from all of its limits or from none. Other limits of the client are unchanged.
#[test]
fn units_of_several_limits_are_taken_together() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let server = StoreServer::start(flavour);
        let mut client = server.client();
        let mut both = |first, second| {
            change(&mut client, "rate", &[("upstream-requests", 5, first), ("requests", 2, second)], false)
        };
        assert_eq!(both(3, 1), [(true, 2), (true, 1)], "{flavour:?}");
        assert_eq!(both(3, 1), [(false, 2), (true, 1)], "{flavour:?}");
        assert_eq!(both(1, 1), [(true, 1), (true, 0)], "{flavour:?}");
        assert_eq!(both(1, 1), [(true, 1), (false, 0)], "{flavour:?}");
        let mut client = server.client();
        assert_eq!(change(&mut client, "rate", &[("upstream-requests", 5, 4)], true), [(true, 0)], "{flavour:?}");
        assert_eq!(change(&mut client, "rate", &[("legacy", 7, 1)], false), [(true, 6)], "{flavour:?}");
        assert_eq!(take(&mut client, "rate", 2, 1), (false, 0), "{flavour:?}");
        assert_eq!(take(&mut client, "rate", 3, 1), (true, 2), "another limit begins anew");
    }
}

/// A limit stays within its bounds for a cost of several units, of no unit, or of more units than it has, and with
/// foreign values in the store.
#[test]
fn a_limit_stays_within_its_bounds_for_any_cost_and_stored_value() {
    let server = StoreServer::start(Flavour::Redis);
    let mut client = server.client();
    let mut outcome = |key: &str, most, units| take(&mut client, key, most, units);
    assert_eq!(outcome("rate", 10, 0), (true, 10));
    assert_eq!(outcome("rate", 10, 4), (true, 6));
    assert_eq!(outcome("rate", 10, 7), (false, 6), "a part is not taken");
    assert_eq!(outcome("rate", 10, 6), (true, 0));
    assert_eq!(outcome("other", 10, 25), (true, 0), "more than there ever are, where all are there");
    assert_eq!(outcome("other", 10, 1), (false, 0));
    let own = format!("requests:{UNIT}:10=");
    let long = format!("{}=1", "x".repeat(1 << 20));
    for foreign in ["abc", "", "=", "= =1", "a=1", &format!("a={}", "9".repeat(400)), &long]
        .map(str::to_owned)
        .into_iter()
        .chain(["", "nan", "-1", "inf", "1e308", "0", &"9".repeat(400)].map(|time| format!("{own}{time}")))
    {
        let () = redis::cmd("SET").arg("foreign").arg(&foreign).query(&mut server.client()).expect("it is set");
        let found = outcome("foreign", 10, 1);
        assert!([(true, 9), (false, 0)].contains(&found), "{foreign}: {found:?}");
        let lives: i64 = redis::cmd("PTTL").arg("foreign").query(&mut server.client()).expect("a time");
        assert!(lives > 0, "{foreign}: {lives}");
        let length: usize = redis::cmd("STRLEN").arg("foreign").query(&mut server.client()).expect("a length");
        assert!(length < 100, "{foreign}: {length}");
    }
}

/// Used units are charged even if fewer are available, and unused units are returned.
#[test]
fn used_units_are_charged_and_unused_ones_come_back() {
    let server = StoreServer::start(Flavour::Valkey);
    let mut client = server.client();
    for (units, are_used, taken, left) in [
        (4, false, true, 6),
        (20, true, true, 0),
        (1, false, false, 0),
        (-15, true, true, 1),
        (1, false, true, 0),
        (-100, true, true, 10),
        (0, false, true, 10),
    ] {
        let found = change(&mut client, "rate", &[("requests", 10, units)], are_used);
        assert_eq!(found, [(taken, left)], "{units} {are_used}");
    }
    let value: String =
        redis::cmd("GET").arg("rate").query::<Option<String>>(&mut client).expect("a text").unwrap_or_default();
    assert_eq!(value, "", "all units are there");
}
