//! Turns: of all processes that share the store, one does some work, such as reading a watched list. A process has a turn
//! until it ends, or stops to keep it.
//!
//! The name of a turn is a keyed hash. Its value is the name of a process and not sealed, because the server compares it.
//! Anyone who can write to the store can therefore give a turn to another process or to none, and nothing else.

use std::time::Duration;

use redis::Value;

use super::SharedStore;
use crate::{runtime::clock, store::counts::Answered};

/// The script that takes or keeps a turn. End-to-end tests run it on real servers.
const SCRIPT: &str = include_str!("turn.lua");

/// The kind of the values in names, with the version of their form.
const TURN: &str = "turn1";

impl SharedStore {
    /// Takes the turn of the work `of` for the process `holder`, or keeps it, for the time `lease`. Returns whether the
    /// process has the turn; `None` if the store doesn't say.
    pub async fn take_turn(&self, of: &[u8], holder: &str, lease: Duration) -> Option<bool> {
        if !self.link.is_up() {
            self.counts().answer(Answered::Down, Duration::ZERO);
            return None;
        }
        let name = self.keys.stored_name(self.keys.signing_number(), &self.prefix, TURN, of)?;
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(&name).arg(holder).arg(lease);
        let began = clock::instant();
        let (answered, has_turn) = match self.link.change(&name, command).await {
            Ok(Value::Int(1)) => (Answered::Counted, Some(true)),
            Ok(Value::Int(0)) => (Answered::Counted, Some(false)),
            Ok(_) => (Answered::Refused, None),
            Err(fault) => (fault.into(), None),
        };
        self.counts().answer(answered, clock::instant().saturating_duration_since(began));
        has_turn
    }

    /// Returns the number of the key by which new values are sealed.
    pub fn signing_number(&self) -> u32 {
        self.keys.signing_number()
    }
}
