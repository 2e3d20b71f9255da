//! Pages of lists as they were last seen, in any process that has the directory: so a change is told once, and also after a
//! restart.

use rusqlite::{OptionalExtension as _, named_params, params_from_iter};

use super::WebhookTables;
use crate::services::database::{DatabaseFault, natural, whole};

/// The most pages that are remembered. Beyond it the oldest ones are forgotten.
const MOST_WINDOWS: i64 = 100_000;

/// The time after which a watch is forgotten that no process asks for any more, in seconds.
const FORGET_WATCH: u64 = 30 * 86_400;

/// The most watches of a list.
const MOST_LISTED: usize = 1_000;

/// A page that was seen.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::webhooks) struct SeenVersion<'s> {
    /// By each key of cursors, that by the signing one first.
    pub(in crate::services::webhooks) names: &'s [String],
    pub(in crate::services::webhooks) version: &'s str,
    /// The version before it as far as its reader knows, for a page that no process remembers.
    pub(in crate::services::webhooks) before: Option<&'s str>,
}

/// A watch as operators read it.
#[derive(Clone, Debug)]
pub(in crate::services::webhooks) struct WatchRecord {
    /// The name in the configuration.
    pub(in crate::services::webhooks) watch: String,
    /// In seconds since 1970, as the next one.
    pub(in crate::services::webhooks) asked: u64,
    pub(in crate::services::webhooks) changed: Option<u64>,
    /// The fault of the last request.
    pub(in crate::services::webhooks) fault: Option<String>,
}

impl WebhookTables<'_> {
    /// Remembers the version of a page. Returns whether it is another one than before.
    pub(in crate::services::webhooks) fn see(
        &mut self,
        seen: &SeenVersion<'_>,
        now: u64,
    ) -> Result<bool, DatabaseFault> {
        let Some(name) = self.current(seen.names)? else { return Ok(false) };
        let query = "SELECT version FROM windows WHERE name = ?1";
        let known: Option<String> = self.transaction.query_row(query, [name], |row| row.get(0)).optional()?.flatten();
        if known.as_deref() == Some(seen.version) {
            return Ok(false);
        }
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

    /// Claims the next request for a watch, if it is due: no process asks for it again before the time `until`. Times are in
    /// milliseconds since 1970. Returns the time at which it is due otherwise.
    pub(in crate::services::webhooks) fn claim_watch(
        &mut self,
        watch: &str,
        names: &[String],
        (now, until): (u64, u64),
    ) -> Result<Option<u64>, DatabaseFault> {
        let Some(name) = self.current(names)? else { return Ok(Some(until)) };
        let query = "SELECT not_before FROM windows WHERE name = ?1";
        let due: Option<i64> = self.transaction.query_row(query, [name], |row| row.get(0)).optional()?;
        // A clock that was set back must not hold a watch for long.
        if let Some(due) = due.map(natural).filter(|due| *due > now && *due <= until) {
            return Ok(Some(due));
        }
        self.transaction.execute(
            "INSERT INTO windows (name, seen, watch, not_before) VALUES (:name, :now, :watch, :until)
             ON CONFLICT (name) DO UPDATE SET seen = :now, watch = :watch, not_before = :until",
            named_params! { ":name": name, ":now": whole(now / 1_000), ":watch": watch, ":until": whole(until) },
        )?;
        Ok(None)
    }

    /// Notes the end of a request for a watch: its fault, and the time before which it is not asked for again where that is
    /// later than the claim says.
    pub(in crate::services::webhooks) fn end_watch(
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

    /// Returns the watches that a process has asked for, by their names.
    pub(in crate::services::webhooks) fn watches(&mut self) -> Result<Vec<WatchRecord>, DatabaseFault> {
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

    /// Forgets pages that were not seen for `keep` seconds, and those beyond the bound.
    pub(in crate::services::webhooks) fn forget_windows(&mut self, keep: u64, now: u64) -> Result<(), DatabaseFault> {
        let (live, watch) = (now.saturating_sub(keep), now.saturating_sub(keep.max(FORGET_WATCH)));
        self.transaction.execute(
            "DELETE FROM windows WHERE watch IS NULL AND seen <= ?1 OR seen <= ?2 OR watch IS NULL AND name IN
                 (SELECT name FROM windows ORDER BY seen DESC LIMIT -1 OFFSET ?3)",
            (whole(live), whole(watch), MOST_WINDOWS),
        )?;
        Ok(())
    }

    /// Returns the name of a page by the key that signs. A page that has a name by another key gets this one.
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
