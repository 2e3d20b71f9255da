//! Limits that processes share: units are taken by one atomic operation at the server, by its clock, so that the clocks
//! of the processes don't matter.
//!
//! A client of a route has one value: for each of its limits the time at which all units are back, in microseconds
//! since 1970, as `LIMIT=TIME LIMIT=TIME`. So a request takes its units of all limits at once or none, and one question
//! is enough. A limit is named by its policy, the time in which a unit comes back, and the most units: a limit that has
//! changed begins anew, and processes with different configurations count side by side.
//!
//! The value has no seal, because the server computes with it. Whoever writes to the store can therefore give units
//! back or take them, and nothing else.
//!
//! The script has the name in `KEYS[1]`, and in `ARGV` 1 if the units have been used already, and then four words for
//! each limit: its policy, the microseconds in which a unit comes back, the most units, and those to take. It returns
//! for each limit the microseconds until the units can be taken, 0 if they were there, and those until all units are
//! back. Units are taken if all limits have them. After a clock that was set back, or by foreign hands, units beyond
//! the most are missing, but not for ever: for a hundred times as long as all take to come back.

use std::{future::Future, pin::Pin, time::Duration};

use redis::{Cmd, Value};

use super::SharedStore;
use crate::{
    cursor::KeyRing,
    gateway::{
        runtime::clock,
        shared::clients::limit_store::{LimitStore, StoredLimit, StoredStanding},
        store::counts::Answered,
    },
};

/// The operation. The end-to-end tests run it at real servers.
const SCRIPT: &str = include_str!("rate.lua");

/// The kind of these values, with the version of their form.
const RATE: &str = "rate1";

/// The longest time until all units are back, in times that all take to come back.
const LONGEST: u32 = 100;

impl LimitStore for SharedStore {
    fn name(&self, of: &[u8]) -> Option<String> {
        if !self.link.is_up() {
            self.counts().answer(Answered::Down, Duration::ZERO);
            return None;
        }
        let keys: &KeyRing = &self.keys;
        keys.stored_name(keys.signing_number(), &self.prefix, RATE, of)
    }

    fn take<'a>(
        &'a self,
        name: &'a str,
        limits: &'a [StoredLimit],
    ) -> Pin<Box<dyn Future<Output = Option<Vec<StoredStanding>>> + Send + 'a>> {
        Box::pin(async move {
            let began = clock::instant();
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

fn operation(name: &str, limits: &[StoredLimit], are_used: bool) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(SCRIPT).arg(1).arg(name).arg(u8::from(are_used));
    for StoredLimit { policy, unit, most, units } in limits {
        command.arg(*policy).arg(micros(*unit)).arg(*most).arg(*units);
    }
    command
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Reads a reply; `None` if it is no reply of the operation. Times are within the bounds of the limits, whatever the
/// server says.
fn read(reply: &Value, limits: &[StoredLimit]) -> Option<Vec<StoredStanding>> {
    let Value::Array(parts) = reply else { return None };
    if parts.len() != 2 * limits.len() {
        return None;
    }
    let standing = |(limit, parts): (&StoredLimit, &[Value])| {
        let [Value::Int(retry), Value::Int(reset)] = parts else { return None };
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
