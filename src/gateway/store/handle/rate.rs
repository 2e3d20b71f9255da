//! Rates that processes share: units are taken by one atomic operation at the server, by its clock.
//!
//! The value is a time without a seal, because the server computes with it. Whoever writes to the store can therefore give
//! units back or take them, and nothing else.

use std::time::Duration;

use redis::Value;

use super::SharedStore;
use crate::gateway::{runtime::clock, store::counts::Answered};

/// The operation. The end-to-end tests run it at real servers.
const SCRIPT: &str = include_str!("rate.lua");

/// The kind of these values.
const RATE: &str = "rate1";

/// The longest time until all units are there, in times that all take to come back.
const LONGEST: u32 = 100;

/// A rate: units come back one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedRate {
    /// The most units; at least 1.
    pub(crate) most: u32,
    /// The time in which one comes back; at least a microsecond.
    pub(crate) unit: Duration,
}

/// The end of an attempt to take units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TakenUnits {
    /// The units were there, and are taken.
    pub(crate) taken: bool,
    pub(crate) left: u32,
    /// The time until they can be taken.
    pub(crate) retry_after: Duration,
    /// The time until all units are there.
    pub(crate) reset_after: Duration,
}

impl SharedStore {
    /// Takes units of the rate that `of` names, for all processes that sign with the same key. More units than there ever are
    /// are taken where all are there. Returns nothing if the store does not answer within the time-box: then the process
    /// limits alone.
    pub(crate) async fn take(&self, of: &[u8], cost: u32, rate: SharedRate) -> Option<TakenUnits> {
        self.change(of, cost.into(), false, rate).await
    }

    /// Takes units that have been used already, also beyond those that are there, or gives units back.
    pub(crate) async fn charge(&self, of: &[u8], units: i64, rate: SharedRate) -> Option<TakenUnits> {
        self.change(of, units, true, rate).await
    }

    async fn change(&self, of: &[u8], units: i64, are_used: bool, rate: SharedRate) -> Option<TakenUnits> {
        let name = self.keys.stored_name(self.keys.signing_number(), &self.prefix, RATE, of)?;
        let mut command = redis::cmd("EVAL");
        let unit = u64::try_from(rate.unit.as_micros()).unwrap_or(u64::MAX).max(1);
        command.arg(SCRIPT).arg(1).arg(&name);
        command.arg(unit).arg(rate.most.max(1)).arg(units).arg(u8::from(are_used));
        let began = clock::instant();
        let (answered, taken) = match self.link.ask(&name, command, 0).await {
            Ok(reply) => match read(&reply, rate) {
                Some(taken) => (Answered::Hit, Some(taken)),
                None => (Answered::Refused, None),
            },
            Err(fault) => (fault.into(), None),
        };
        self.counts().answer(answered, clock::instant().saturating_duration_since(began));
        taken
    }
}

/// Reads a reply; nothing if it is no reply of the operation. Numbers are within the bounds of the rate, whatever the
/// server says.
fn read(reply: &Value, rate: SharedRate) -> Option<TakenUnits> {
    let Value::Array(parts) = reply else { return None };
    let [Value::Int(taken @ (0 | 1)), Value::Int(left), Value::Int(retry), Value::Int(reset)] = parts.as_slice() else {
        return None;
    };
    let longest = rate.unit.saturating_mul(rate.most).saturating_mul(LONGEST);
    let time = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or_default());
    Some(TakenUnits {
        taken: *taken == 1,
        left: u32::try_from((*left).max(0)).unwrap_or(rate.most).min(rate.most),
        retry_after: time(*retry).min(longest),
        reset_after: time(*reset).min(longest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SharedRate = SharedRate { most: 10, unit: Duration::from_millis(100) };

    #[test]
    fn replies_are_read_within_the_bounds_of_the_rate() {
        let of = |parts: &[i64]| read(&Value::Array(parts.iter().map(|part| Value::Int(*part)).collect()), RATE);
        let taken = of(&[1, 7, 0, 300_000]).unwrap();
        assert_eq!((taken.taken, taken.left, taken.reset_after), (true, 7, Duration::from_millis(300)));
        let refused = of(&[0, 0, 50_000, 1_000_000]).unwrap();
        assert_eq!((refused.taken, refused.retry_after), (false, Duration::from_millis(50)));
        let absurd = of(&[0, i64::MAX, -1, i64::MAX]).unwrap();
        assert_eq!(absurd.left, 10);
        assert_eq!((absurd.retry_after, absurd.reset_after), (Duration::ZERO, Duration::from_secs(100)));
        for reply in [&[][..], &[1, 7, 0], &[2, 7, 0, 0], &[1, 7, 0, 0, 0]] {
            assert_eq!(of(reply), None, "{reply:?}");
        }
        assert_eq!(read(&Value::Nil, RATE), None);
        assert_eq!(read(&Value::Int(1), RATE), None);
    }
}
