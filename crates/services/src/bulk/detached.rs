//! The places of bulk requests that go on without their clients. A request with an `Idempotency-Key` runs to its end
//! even if its client closes the connection, so the limits on connections don't bound such requests.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::owners::{Owner, OwnerCounts, OwnerLimits};
use cursorgate_gateway::outcome::failure::Failure;
use cursorgate_translate::downstream::Code;

/// The largest numbers of requests with a key that run at a time. A request beyond these is refused before its key is
/// claimed, so it can be repeated with the same key.
const PLACES: OwnerLimits = OwnerLimits { client: 8, network: 32, all: 256 };

/// The longest time for which a request goes on after its client has left. After it, no more operations begin.
pub(super) const ALONE: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(super) struct DetachedRuns(Mutex<OwnerCounts>);

/// The place of a request. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct RunPlace {
    runs: Arc<DetachedRuns>,
    owner: Owner,
}

impl DetachedRuns {
    /// Takes a place for a request.
    ///
    /// # Errors
    ///
    /// Returns 503 `overloaded` if the client, its address, or the process has as many requests as it may.
    pub(super) fn enter(self: &Arc<Self>, owner: Owner) -> Result<RunPlace, Failure> {
        if !self.counts().add(owner, PLACES) {
            let said = "too many requests with an Idempotency-Key are running: try again with the same key";
            let OwnerLimits { client, network, all } = PLACES;
            let detail =
                format!("{client} requests with a key of this client run, {network} of its address, or {all} of all");
            return Err(Failure::logged(Code::Overloaded, said, detail));
        }
        Ok(RunPlace { runs: Arc::clone(self), owner })
    }

    fn counts(&self) -> MutexGuard<'_, OwnerCounts> {
        // No code panics while it holds the lock, so the counts are consistent even if the lock is poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunPlace {
    fn drop(&mut self) {
        self.runs.counts().remove(self.owner);
    }
}
