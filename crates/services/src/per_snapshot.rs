//! Values that a service derives from a configuration, such as the GraphQL schema. A value is created once, for the
//! first request under the configuration.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cursorgate_gateway::Snapshot;

/// The value of the latest snapshot, with that snapshot. The reference is weak so that it doesn't keep an old
/// configuration alive.
pub(super) struct PerSnapshot<T>(Mutex<Option<(Weak<Snapshot>, Arc<T>)>>);

impl<T> Default for PerSnapshot<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> PerSnapshot<T> {
    /// Returns the value of a snapshot. If the last call was for another snapshot, `make` creates the value.
    ///
    /// # Errors
    ///
    /// Returns the fault of `make`.
    pub(super) fn get<E>(&self, snapshot: &Arc<Snapshot>, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        // A poisoned lock is safe to take, because the value is only replaced as a whole. The lock is kept while `make`
        // runs: other requests wait for the value instead of creating it again.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, value)) = known.as_ref()
            // The weak reference keeps the allocation, so another snapshot can't have the same address.
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(snapshot))
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make()?);
        *known = Some((Arc::downgrade(snapshot), Arc::clone(&value)));
        Ok(value)
    }
}
