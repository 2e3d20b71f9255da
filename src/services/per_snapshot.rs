//! Values that a service derives from a configuration, such as the schema of GraphQL: made once, for the first request
//! under that configuration.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::gateway::Snapshot;

/// The value of the snapshot that was asked for last. The weak reference does not keep the snapshot alive.
pub(super) struct PerSnapshot<T>(Mutex<Option<(Weak<Snapshot>, Arc<T>)>>);

impl<T> Default for PerSnapshot<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> PerSnapshot<T> {
    /// Returns the value of a snapshot, which `make` makes if the last call was for another one.
    ///
    /// # Errors
    ///
    /// Returns the fault of `make`.
    pub(super) fn get<E>(&self, snapshot: &Arc<Snapshot>, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        // A poisoned lock is safe to take, because the value is only ever replaced as a whole. Requests wait for the
        // one that makes the value.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, value)) = known.as_ref()
            // The weak reference keeps the allocation, so that no other snapshot gets the same address.
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(snapshot))
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make()?);
        *known = Some((Arc::downgrade(snapshot), Arc::clone(&value)));
        Ok(value)
    }
}
