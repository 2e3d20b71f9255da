//! The renewal of certificates. Every two seconds, the certificates' files are read, and the files that have changed
//! are put into use.
//!
//! The contents are compared, not the times of changes. A switched link, as in Kubernetes, is therefore noticed like a
//! file that is renamed into place. A separate thread reads the files, because a mount may hang.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::live::Live;
use crate::{runtime::clock, tls::renewable::Renewal};

/// The interval at which files are read. A fault is reported once two reads in a row have found it.
const INTERVAL: Duration = Duration::from_secs(2);

/// The numbers of certificate renewals since the start of the process, by result.
#[derive(Debug, Default)]
pub struct RenewalCounts {
    renewed: AtomicU64,
    failed: AtomicU64,
}

impl RenewalCounts {
    /// Returns the number of renewals for each result: `renewed` and `failed`.
    pub fn counts(&self) -> [(&'static str, u64); 2] {
        [("renewed", self.renewed.load(Ordering::Relaxed)), ("failed", self.failed.load(Ordering::Relaxed))]
    }
}

/// Starts the thread that renews certificates.
///
/// # Errors
///
/// Returns an error if the thread can't be started.
pub fn begin(live: Arc<Live>, counts: Arc<RenewalCounts>) -> std::io::Result<()> {
    let work = move || {
        loop {
            thread::sleep(INTERVAL);
            // The panic has been logged already. The next iteration reads the files again.
            let _ = catch_unwind(AssertUnwindSafe(|| renew(&live, &counts)));
        }
    };
    thread::Builder::new().name("certificates".to_owned()).spawn(work).map(drop)
}

/// Reads all certificate files of the configuration in force once. An unusable pair leaves the previous pair in use.
/// Test: `an_unusable_pair_leaves_the_previous_one_in_force`.
fn renew(live: &Live, counts: &RenewalCounts) {
    let (snapshot, now) = (live.pin(), clock::unix_seconds());
    for Renewal { name, result } in snapshot.credentials().flat_map(|credentials| credentials.refresh(now)) {
        match result {
            Ok(state) => {
                counts.renewed.fetch_add(1, Ordering::Relaxed);
                let until = clock::rfc3339(u64::try_from(state.not_after).unwrap_or(0));
                let (path, subject) = (state.path, state.subject);
                tracing::info!(certificate = name, path, subject, until, "certificate renewed");
            }
            Err(fault) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(certificate = name, fault, "certificate not renewed: the one before stays in use");
            }
        }
    }
}
