//! The board: a value that each process publishes under its own name, for all processes to read.
//!
//! The board is one hash in the store, with a field for each process. Processes with the same signing key have the same
//! board. A reader reads the boards of all keys of its ring, so it also finds the values from before a change of keys.
//! Test: `a_change_of_keys_doubles_no_count`.

use std::time::Duration;

use redis::{Cmd, Value};

use super::{
    counts::{Answered, Written},
    handle::{SharedStore, VALUE},
};
use crate::runtime::clock;

/// The kind of the hash, with the version of the form of its values.
const BOARD: &str = "board1";

/// The time limit of a question. Only reports to operators and the end of a process wait for the answer. Pages don't.
const PATIENCE: Duration = Duration::from_secs(1);

/// The largest number of bytes of a board in a reply. If a reply is much longer, its connection ends.
const SIZE: usize = 32 * VALUE;

impl SharedStore {
    /// Publishes the value of a process. The value is valid until the process replaces it, but at most for `ttl`. `now`
    /// is in seconds since 1970. No request waits for the write.
    pub fn publish(&self, process: &str, value: &[u8], ttl: Duration, now: u64) {
        for (name, command) in self.publications(process, value, ttl, now).into_iter().flatten() {
            let size = command.get_packed_command().len();
            self.link.tell(&name, command, size);
        }
    }

    /// Publishes the last value of a process that is about to end, and waits for the store.
    pub async fn publish_last(&self, process: &str, value: &[u8], ttl: Duration, now: u64) {
        for (name, command) in self.publications(process, value, ttl, now).into_iter().flatten() {
            let stored = self.link.ask_within(PATIENCE, &name, command, 0).await;
            self.counts().write(if stored.is_ok() { Written::Stored } else { Written::Failed });
        }
    }

    /// Returns the two commands that publish a value and extend the time to live of the board, each with the name of
    /// the board; `None` if the value can't be sealed.
    fn publications(&self, process: &str, value: &[u8], ttl: Duration, now: u64) -> Option<[(String, Cmd); 2]> {
        let key = self.keys.signing_number();
        let name = self.keys.stored_name(key, &self.prefix, BOARD, b"")?;
        // The value is sealed for the board and the process, so it can't be opened under another name. Test:
        // `foreign_entries_are_not_counted_and_clients_are_not_readable`.
        let sealed = self.seal(key, &field(&name, process), value, now.saturating_add(ttl.as_secs()))?;
        let mut set = redis::cmd("HSET");
        set.arg(&name).arg(process).arg(sealed);
        let mut expire = redis::cmd("EXPIRE");
        expire.arg(&name).arg(ttl.as_secs());
        Some([(name.clone(), set), (name, expire)])
    }

    /// Returns the names of all processes with their values; `None` if the store doesn't answer. Leaves out values that
    /// have expired by `now`, in seconds since 1970, and removes them from the board.
    pub async fn published(&self, now: u64) -> Option<Vec<(String, Vec<u8>)>> {
        let mut all = Vec::new();
        for key in self.keys.numbers() {
            let name = self.keys.stored_name(key, &self.prefix, BOARD, b"")?;
            let mut command = redis::cmd("HGETALL");
            command.arg(&name);
            let began = clock::instant();
            let reply = self.link.ask_within(PATIENCE, &name, command, SIZE).await;
            let time = clock::instant().saturating_duration_since(began);
            let fields = match reply {
                Ok(Value::Array(fields)) => fields,
                Ok(_) => {
                    self.counts().answer(Answered::Refused, time);
                    return None;
                }
                Err(fault) => {
                    self.counts().answer(fault.into(), time);
                    return None;
                }
            };
            self.counts().answer(if fields.is_empty() { Answered::Miss } else { Answered::Hit }, time);
            for pair in fields.chunks_exact(2) {
                let [Value::BulkString(process), Value::BulkString(sealed)] = pair else { continue };
                let Ok(process) = std::str::from_utf8(process) else { continue };
                match self.open(&field(&name, process), sealed, now) {
                    Ok(Some(value)) => all.push((process.to_owned(), value.bytes)),
                    // A value that is published at this moment may be removed too. The next publication replaces it.
                    Ok(None) => self.remove(&name, process),
                    // A foreign entry is only counted, so it doesn't hide the other entries. Test:
                    // `foreign_entries_are_not_counted_and_clients_are_not_readable`.
                    Err(_) => self.counts().answer(Answered::Forged, time),
                }
            }
        }
        Some(all)
    }

    /// Removes the value of a process from a board. No request waits for the removal.
    fn remove(&self, name: &str, process: &str) {
        let mut command = redis::cmd("HDEL");
        command.arg(name).arg(process);
        self.link.tell(name, command, process.len());
    }
}

/// Returns the name for which the value of a process is sealed. A value that is moved to the field of another process
/// can't be opened there.
fn field(name: &str, process: &str) -> String {
    format!("{name}#{process}")
}
