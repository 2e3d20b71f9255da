//! The state of a store that a service of this process uses: whether its last use failed, and why.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The state of a store. It is unknown until the service has used the store.
#[derive(Debug, Default)]
pub struct ServiceStore(Mutex<Option<Result<(), String>>>);

impl ServiceStore {
    /// Records the result of a use. Returns whether the state has changed between working and failing.
    pub fn note(&self, result: Result<(), String>) -> bool {
        let mut known = self.lock();
        let has_changed = match &*known {
            None => result.is_err(),
            Some(known) => known.is_ok() != result.is_ok(),
        };
        *known = Some(result);
        has_changed
    }

    /// Returns whether the last use succeeded; `None` before the first use.
    pub fn is_up(&self) -> Option<bool> {
        self.lock().as_ref().map(Result::is_ok)
    }

    /// Returns the fault of the last use; `None` if it succeeded.
    pub fn fault(&self) -> Option<String> {
        self.lock().as_ref().and_then(|last| last.as_ref().err().cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Result<(), String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_changes_between_working_and_failing() {
        let store = ServiceStore::default();
        assert_eq!((store.is_up(), store.fault()), (None, None));
        let full = || Err("full".to_owned());
        let changes = [Ok(()), Ok(()), full(), full(), Ok(())].map(|result| store.note(result));
        assert_eq!(changes, [false, false, true, false, true]);
        assert!(store.note(full()));
        assert_eq!((store.is_up(), store.fault().as_deref()), (Some(false), Some("full")));
        assert!(ServiceStore::default().note(full()), "the first use fails");
    }
}
