//! Limits that processes share. The server takes units by one atomic script and its own clock, so the clocks of the
//! processes don't matter.
//!
//! A client of a route has one value: for each of its limits, the time at which all units are back, in microseconds
//! since 1970, as `LIMIT=TIME LIMIT=TIME`. So one question about one key takes a request's units of all limits or of
//! none. A limit is named by its policy, the microseconds after which a unit comes back, and its largest number of
//! units: `requests:720000000:5`. So a changed limit begins anew, and processes with different configurations count
//! side by side.
//!
//! The value is not sealed, because the server computes with it. Anyone who can write to the store can therefore give a
//! client units or take them away, and nothing else.
//!
//! The script has the name in `KEYS[1]`. `ARGV` begins with `1` if the units have been used already, and otherwise with
//! `0`. Four words for each limit follow: its policy, the microseconds after which a unit comes back, the largest
//! number of units, and the number to take. The script takes the units if all limits have them, or if they have been
//! used already. It returns two numbers for each limit: the microseconds until its units can be taken, 0 if the limit
//! has enough of them, and the microseconds until all units are back. If the clock of the server was set back, or if
//! another program wrote the value, more units can be missing than the limit has. The time until all units are back is
//! therefore bounded by a hundred times the time of a used-up limit.

use std::{future::Future, pin::Pin, time::Duration};

use redis::{Cmd, Value};

use super::SharedStore;
use crate::{
    runtime::clock,
    shared::clients::limit_store::{LimitStore, StoredLimit, StoredStanding},
    store::counts::Answered,
};
use cursorgate_cursor::cursor::KeyRing;

/// The script that takes units. End-to-end tests run it on real servers.
const SCRIPT: &str = include_str!("rate.lua");

/// The kind of the values in names, with the version of their form.
const RATE: &str = "rate1";

/// The longest time until all units are back, as a multiple of the time for a used-up limit.
const LONGEST: u32 = 100;

impl LimitStore for SharedStore {
    fn name(&self, of: &[u8]) -> Option<String> {
        if !self.link.is_up() {
            self.counts().answer(Answered::Down, Duration::ZERO);
            return None;
        }
        let keys: &KeyRing = &self.keys;
        // The name is a keyed hash, because `of` contains credentials. Test:
        // `entries_of_rate_limits_in_the_store_do_not_name_clients`.
        keys.stored_name(keys.signing_number(), &self.prefix, RATE, of)
    }

    fn take<'a>(
        &'a self,
        name: &'a str,
        limits: &'a [StoredLimit],
    ) -> Pin<Box<dyn Future<Output = Option<Vec<StoredStanding>>> + Send + 'a>> {
        Box::pin(async move {
            let began = clock::instant();
            // The script is sent by `change`. A user without the right to run scripts is then reported as a refusal of
            // writes. Test: `rate_limits_need_only_the_documented_rights_of_the_store`.
            let reply = self.link.change(name, operation(name, limits, false)).await;
            let (answered, standings) = match reply {
                Ok(reply) => match read(&reply, limits) {
                    Some(standings) => (Answered::Counted, Some(standings)),
                    None => (Answered::Refused, None),
                },
                Err(fault) => (fault.into(), None),
            };
            self.counts().answer(answered, clock::instant().saturating_duration_since(began));
            standings
        })
    }

    fn charge(&self, name: &str, limit: StoredLimit) {
        let command = operation(name, &[limit], true);
        let size = command.get_packed_command().len();
        self.link.tell(name, command, size);
    }
}

/// Returns the command that runs the script. `are_used` is true if the units have been used already.
fn operation(name: &str, limits: &[StoredLimit], are_used: bool) -> Cmd {
    let mut command = redis::cmd("EVAL");
    // The script is sent each time: `EVALSHA` would save a kilobyte, but needs a fallback after each restart of the
    // store.
    command.arg(SCRIPT).arg(1).arg(name).arg(u8::from(are_used));
    for StoredLimit { policy, unit, most, units } in limits {
        command.arg(*policy).arg(micros(*unit)).arg(*most).arg(*units);
    }
    command
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Reads a reply; returns `None` if the reply is malformed. Negative times become 0, and times beyond the bound of a
/// limit become that bound.
fn read(reply: &Value, limits: &[StoredLimit]) -> Option<Vec<StoredStanding>> {
    let Value::Array(parts) = reply else { return None };
    if parts.len() != 2 * limits.len() {
        return None;
    }
    let standing = |(limit, parts): (&StoredLimit, &[Value])| {
        let [Value::Int(retry), Value::Int(reset)] = parts else { return None };
        // The script's own bound is applied again here, in case a reply exceeds it. Test:
        // `replies_are_read_within_the_bounds_of_the_limits`.
        let longest = limit.unit.saturating_mul(limit.most).saturating_mul(LONGEST);
        let time = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or_default()).min(longest);
        Some(StoredStanding { retry_after: time(*retry), reset_after: time(*reset) })
    };
    limits.iter().zip(parts.chunks_exact(2)).map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_within_the_bounds_of_the_limits() {
        let limit = StoredLimit { policy: "requests", unit: Duration::from_millis(100), most: 10, units: 1 };
        let of = |limits: usize, parts: &[i64]| {
            let reply = Value::Array(parts.iter().map(|part| Value::Int(*part)).collect());
            read(&reply, &vec![limit; limits])
        };
        let standing = |retry, reset| {
            let [retry_after, reset_after] = [retry, reset].map(Duration::from_micros);
            StoredStanding { retry_after, reset_after }
        };
        assert_eq!(of(1, &[0, 300_000]), Some(vec![standing(0, 300_000)]));
        assert_eq!(
            of(2, &[50_000, 1_000_000, 0, 7]),
            Some(vec![standing(50_000, 1_000_000), standing(0, 7)]),
            "the other limit has its units"
        );
        assert_eq!(of(1, &[-1, i64::MAX]), Some(vec![standing(0, 100_000_000)]));
        for (limits, parts) in [(1, &[][..]), (1, &[1]), (1, &[0, 0, 0]), (2, &[0, 0]), (1, &[0, 0, 0, 0])] {
            assert_eq!(of(limits, parts), None, "{parts:?}");
        }
        assert_eq!(read(&Value::Nil, &[limit]), None);
        assert_eq!(read(&Value::Array(vec![Value::Int(0), Value::Nil]), &[limit]), None);
    }
}
