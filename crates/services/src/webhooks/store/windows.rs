//! The last versions of watched pages that any process with the store has seen. With these, a change raises only one
//! event for all processes, even if it happens during a restart.

use super::WebhookTables;
use crate::{
    database::{DatabaseFault, natural, whole},
    sql::{Row, SqlValue, places, values},
};

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
        let known = self.transaction.cell::<Option<String>>(query, values![name])?.flatten();
        // The version hasn't changed, or another watch, live page or process has reported it already.
        // Test: `a_new_version_of_a_list_is_recorded_once_by_all_processes`.
        if known.as_deref() == Some(seen.version) {
            return Ok(false);
        }
        // The watch or live page can still know an earlier version that the store has removed.
        // Test: `a_new_version_of_a_list_is_recorded_once_by_all_processes`.
        let is_changed = known.as_deref().or(seen.before).is_some_and(|before| before != seen.version);
        self.transaction.execute(
            "INSERT INTO windows (name, version, seen, changed) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET version = ?2, seen = ?3, changed = coalesce(?4, windows.changed)",
            values![name, seen.version, whole(now), is_changed.then(|| whole(now))],
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
        let due: Option<i64> = self.transaction.cell(query, values![name])?;
        // A wait after a failure can end after `until`, and applies to all processes.
        // Test: `a_wait_longer_than_the_interval_applies_to_all_processes`. A time after `latest` was stored before
        // the clock was set back, and must not delay the watch. Test: `a_watch_is_polled_by_one_process_at_a_time`.
        if let Some(due) = due.map(natural).filter(|due| *due > now && *due <= latest) {
            return Ok(Some(due));
        }
        self.transaction.execute(
            "INSERT INTO windows (name, seen, watch, not_before) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET seen = ?2, watch = ?3, not_before = ?4",
            values![name, whole(now / 1_000), watch, whole(until)],
        )?;
        Ok(None)
    }

    /// Returns the name of all processes with this directory or database, among those that share `[caches.shared]`. They
    /// take turns by claims, so they are one holder of a turn.
    pub(in crate::webhooks) fn holder(&mut self) -> Result<String, DatabaseFault> {
        Ok(self.transaction.cell("SELECT id FROM holder", &[])?.unwrap_or_default())
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
        let statement =
            "UPDATE windows SET fault = ?2, not_before = CASE WHEN not_before < ?3 THEN ?3 ELSE not_before END
             WHERE name = ?1 AND (fault IS DISTINCT FROM ?2 OR not_before < ?3)";
        self.transaction.execute(statement, values![name, fault, whole(until)])?;
        Ok(())
    }

    /// Returns the watches for which a process has sent a request, sorted by name.
    pub(in crate::webhooks) fn watches(&mut self) -> Result<Vec<WatchRecord>, DatabaseFault> {
        // A watch whose path or headers have changed has a window for each.
        let query = format!(
            "SELECT watch, seen, changed, fault FROM
                 (SELECT watch, seen, changed, fault, row_number() OVER (PARTITION BY watch ORDER BY seen DESC) AS place
                  FROM windows WHERE watch IS NOT NULL) AS asked
             WHERE place = 1 ORDER BY watch LIMIT {MOST_LISTED}"
        );
        let record = |mut row: Row| {
            Ok(WatchRecord {
                watch: row.take("watch")?,
                asked: natural(row.take("seen")?),
                changed: row.take::<Option<i64>>("changed")?.map(natural),
                fault: row.take("fault")?,
            })
        };
        self.transaction.rows(&query, &[])?.into_iter().map(record).collect()
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
                 (SELECT name FROM windows ORDER BY seen DESC LIMIT ?4 OFFSET ?3)",
            values![whole(live), whole(watch), MOST_WINDOWS, i64::MAX],
        )?;
        Ok(())
    }

    /// Returns the name of a page under the signing key; `None` if there is no key. A page that is stored under an
    /// earlier key is renamed. Test: `a_new_version_of_a_list_is_recorded_once_by_all_processes`.
    fn current<'n>(&mut self, names: &'n [String]) -> Result<Option<&'n String>, DatabaseFault> {
        let Some((name, earlier)) = names.split_first() else { return Ok(None) };
        let earlier: Vec<SqlValue<'_>> = earlier.iter().filter(|known| *known != name).map(SqlValue::from).collect();
        if !earlier.is_empty() {
            let query = format!("SELECT name FROM windows WHERE name IN ({})", places(1, earlier.len()));
            for mut row in self.transaction.rows(&query, &earlier)? {
                self.transaction.execute("DELETE FROM windows WHERE name = ?1", values![name])?;
                let statement = "UPDATE windows SET name = ?1 WHERE name = ?2";
                self.transaction.execute(statement, values![name, &row.take::<String>("name")?])?;
            }
        }
        Ok(Some(name))
    }
}
