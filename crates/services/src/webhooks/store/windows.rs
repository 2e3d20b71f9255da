//! The last versions of watched pages that any process of the directory has seen. With these, a change raises only one
//! event for all processes, even if it happens during a restart.

use rusqlite::{OptionalExtension as _, named_params, params_from_iter};

use super::WebhookTables;
use crate::database::{DatabaseFault, natural, whole};

/// The largest number of pages whose versions are kept. When there are more, the live pages among the oldest entries
/// are removed.
const MOST_WINDOWS: i64 = 100_000;

/// The shortest time, in seconds, after which a watch is removed that processes no longer request.
const FORGET_WATCH: u64 = 30 * 86_400;

/// The largest number of watches that a query returns. Further watches are left out.
const MOST_LISTED: usize = 1_000;

/// A version of a page that a watch or a live page has read.
#[derive(Clone, Copy, Debug)]
pub(in crate::webhooks) struct SeenVersion<'s> {
    /// The names of the page under each cursor key. The name under the signing key is the first.
    pub(in crate::webhooks) names: &'s [String],
    pub(in crate::webhooks) version: &'s str,
    /// The version that the same watch or live page read before; `None` for its first version. It counts only if the
    /// store doesn't contain the page.
    pub(in crate::webhooks) before: Option<&'s str>,
}

/// The state of a watch, for the operator's report.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct WatchRecord {
    /// The name of the watch in the configuration.
    pub(in crate::webhooks) watch: String,
    /// The time of the last request, in seconds since 1970.
    pub(in crate::webhooks) asked: u64,
    /// The time at which the last change was seen, in seconds since 1970; `None` before the first change.
    pub(in crate::webhooks) changed: Option<u64>,
    /// The code of the last request's fault; `None` if the request succeeded.
    pub(in crate::webhooks) fault: Option<String>,
}

impl WebhookTables<'_> {
    /// Stores the version of a page. Returns whether it differs from an earlier version; the first version of a page
    /// isn't a change. `now` is in seconds since 1970.
    pub(in crate::webhooks) fn see(&mut self, seen: &SeenVersion<'_>, now: u64) -> Result<bool, DatabaseFault> {
        let Some(name) = self.current(seen.names)? else { return Ok(false) };
        let query = "SELECT version FROM windows WHERE name = ?1";
        let known: Option<String> = self.transaction.query_row(query, [name], |row| row.get(0)).optional()?.flatten();
        // The version hasn't changed, or another watch, live page or process has reported it already.
        // Test: `a_new_version_of_a_list_is_recorded_once_by_all_processes`.
        if known.as_deref() == Some(seen.version) {
            return Ok(false);
        }
        // The watch or live page can still know an earlier version that the store has removed.
        // Test: `a_new_version_of_a_list_is_recorded_once_by_all_processes`.
        let is_changed = known.as_deref().or(seen.before).is_some_and(|before| before != seen.version);
        self.transaction.execute(
            "INSERT INTO windows (name, version, seen, changed) VALUES (:name, :version, :now, :changed)
             ON CONFLICT (name) DO UPDATE SET version = :version, seen = :now, changed = ifnull(:changed, changed)",
            named_params! {
                ":name": name,
                ":version": seen.version,
                ":now": whole(now),
                ":changed": is_changed.then(|| whole(now)),
            },
        )?;
        Ok(is_changed)
    }

    /// Claims the next request of a watch if it is due. No process sends another request before `until` then. `latest`
    /// is the end of the longest wait that can begin now. Returns `None` if the request is claimed, and otherwise the
    /// time at which it is due. Times are in milliseconds since 1970.
    pub(in crate::webhooks) fn claim_watch(
        &mut self,
        watch: &str,
        names: &[String],
        now: u64,
        until: u64,
        latest: u64,
    ) -> Result<Option<u64>, DatabaseFault> {
        let Some(name) = self.current(names)? else { return Ok(Some(until)) };
        let query = "SELECT not_before FROM windows WHERE name = ?1";
        let due: Option<i64> = self.transaction.query_row(query, [name], |row| row.get(0)).optional()?;
        // A wait after a failure can end after `until`, and applies to all processes.
        // Test: `a_wait_longer_than_the_interval_applies_to_all_processes`. A time after `latest` was stored before
        // the clock was set back, and must not delay the watch. Test: `a_watch_is_polled_by_one_process_at_a_time`.
        if let Some(due) = due.map(natural).filter(|due| *due > now && *due <= latest) {
            return Ok(Some(due));
        }
        self.transaction.execute(
            "INSERT INTO windows (name, seen, watch, not_before) VALUES (:name, :now, :watch, :until)
             ON CONFLICT (name) DO UPDATE SET seen = :now, watch = :watch, not_before = :until",
            named_params! { ":name": name, ":now": whole(now / 1_000), ":watch": watch, ":until": whole(until) },
        )?;
        Ok(None)
    }

    /// Returns the name of all processes with this directory, among those that share a store. They take turns by claims,
    /// so they are one holder of a turn.
    pub(in crate::webhooks) fn holder(&mut self) -> Result<String, DatabaseFault> {
        Ok(self.transaction.query_row("SELECT id FROM holder", [], |row| row.get(0))?)
    }

    /// Stores the end of a watch's request: its fault, and `until` as the time of the next request if that is later
    /// than the claim's. `until` is in milliseconds since 1970.
    pub(in crate::webhooks) fn end_watch(
        &mut self,
        names: &[String],
        fault: Option<&str>,
        until: u64,
    ) -> Result<(), DatabaseFault> {
        let Some(name) = names.first() else { return Ok(()) };
        let statement = "UPDATE windows SET fault = ?2, not_before = max(not_before, ?3) WHERE name = ?1
             AND (fault IS NOT ?2 OR not_before < ?3)";
        self.transaction.execute(statement, (name, fault, whole(until)))?;
        Ok(())
    }

    /// Returns the watches for which a process has sent a request, sorted by name.
    pub(in crate::webhooks) fn watches(&mut self) -> Result<Vec<WatchRecord>, DatabaseFault> {
        let query = format!(
            "SELECT watch, max(seen) AS asked, changed, fault FROM windows WHERE watch IS NOT NULL
             GROUP BY watch ORDER BY watch LIMIT {MOST_LISTED}"
        );
        let mut statement = self.transaction.prepare(&query)?;
        let rows = statement.query_map([], |row| {
            Ok(WatchRecord {
                watch: row.get("watch")?,
                asked: natural(row.get("asked")?),
                changed: row.get::<_, Option<i64>>("changed")?.map(natural),
                fault: row.get("fault")?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes live pages of which no new version was stored for `keep` seconds, and watches that were not requested
    /// for the longer of `keep` and [`FORGET_WATCH`]. If more than [`MOST_WINDOWS`] pages are stored, removes the live
    /// pages among the oldest entries. `now` is in seconds since 1970.
    pub(in crate::webhooks) fn forget_windows(&mut self, keep: u64, now: u64) -> Result<(), DatabaseFault> {
        // A watch is kept longer, so a change is noticed even if all processes were stopped for a while.
        // Test: `a_watch_is_polled_by_one_process_at_a_time`.
        let (live, watch) = (now.saturating_sub(keep), now.saturating_sub(keep.max(FORGET_WATCH)));
        self.transaction.execute(
            "DELETE FROM windows WHERE watch IS NULL AND seen <= ?1 OR seen <= ?2 OR watch IS NULL AND name IN
                 (SELECT name FROM windows ORDER BY seen DESC LIMIT -1 OFFSET ?3)",
            (whole(live), whole(watch), MOST_WINDOWS),
        )?;
        Ok(())
    }

    /// Returns the name of a page under the signing key; `None` if there is no key. A page that is stored under an
    /// earlier key is renamed. Test: `a_new_version_of_a_list_is_recorded_once_by_all_processes`.
    fn current<'n>(&mut self, names: &'n [String]) -> Result<Option<&'n String>, DatabaseFault> {
        let Some((name, earlier)) = names.split_first() else { return Ok(None) };
        let earlier: Vec<&String> = earlier.iter().filter(|known| *known != name).collect();
        if !earlier.is_empty() {
            let places = vec!["?"; earlier.len()].join(", ");
            let statement = format!("UPDATE OR REPLACE windows SET name = ? WHERE name IN ({places})");
            self.transaction.execute(&statement, params_from_iter(std::iter::once(name).chain(earlier)))?;
        }
        Ok(Some(name))
    }
}
