//! Writes to lists, for those who wait for changes of a list. A write is a forwarded request that succeeded and may have
//! changed the list, so its upstream may show another page now.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

/// The lists whose writes are awaited. A list without a waiting reader has no entry, so writes cost almost nothing then.
#[derive(Debug, Default)]
pub struct ListWrites {
    /// The senders of notes by the name of the route and the path of the list.
    lists: Mutex<HashMap<String, HashMap<String, watch::Sender<()>>>>,
    /// The number of readers. Forwarded requests read it without the lock.
    readers: AtomicUsize,
}

/// A reader that waits for writes to a list. Writes while it doesn't wait are noted once, however many there are.
#[derive(Debug)]
pub struct WriteReader {
    writes: Arc<ListWrites>,
    route: String,
    path: String,
    receiver: Option<watch::Receiver<()>>,
}

impl ListWrites {
    /// Begins to note the writes to the list of a route with this path, as the list's own path is normalized.
    #[must_use]
    pub fn read(self: &Arc<Self>, route: &str, path: &str) -> WriteReader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        let mut lists = self.lists();
        let of_route = lists.entry(route.to_owned()).or_default();
        let receiver = of_route.entry(path.to_owned()).or_default().subscribe();
        drop(lists);
        let (writes, route, path) = (Arc::clone(self), route.to_owned(), path.to_owned());
        WriteReader { writes, route, path, receiver: Some(receiver) }
    }

    /// Returns whether nobody waits for a write.
    #[must_use]
    pub fn are_unread(&self) -> bool {
        self.readers.load(Ordering::Relaxed) == 0
    }

    /// Notes a write to the list of a route with this path; without a path, to all lists of the route.
    pub fn note(&self, route: &str, path: Option<&str>) {
        let lists = self.lists();
        let Some(of_route) = lists.get(route) else { return };
        match path {
            Some(path) => of_route.get(path).into_iter().for_each(|write| write.send_replace(())),
            None => of_route.values().for_each(|write| write.send_replace(())),
        }
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, watch::Sender<()>>>> {
        // No code panics while it holds the lock, so a poisoned lock can be taken.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteReader {
    /// Waits for a write after the last one that was noted here.
    pub async fn next(&mut self) {
        let noted = match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        };
        if !noted {
            // The sender lives as long as this reader, so this isn't expected. There is no write to wait for then.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for WriteReader {
    fn drop(&mut self) {
        let mut lists = self.writes.lists();
        // The receiver is dropped under the lock, so the last reader of a list sees that it is the last one.
        self.receiver = None;
        self.writes.readers.fetch_sub(1, Ordering::Relaxed);
        let Some(of_route) = lists.get_mut(&self.route) else { return };
        if of_route.get(&self.path).is_some_and(|write| write.receiver_count() == 0) {
            of_route.remove(&self.path);
        }
        if of_route.is_empty() {
            lists.remove(&self.route);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn writes_are_noted_once_and_only_for_their_list() {
        let writes = Arc::new(ListWrites::default());
        let (mut one, mut other) = (writes.read("users", "/users"), writes.read("users", "/v2/users"));
        let noted = async |reader: &mut WriteReader| timeout(Duration::ZERO, reader.next()).await.is_ok();
        assert!(!noted(&mut one).await);
        writes.note("users", Some("/users"));
        writes.note("users", Some("/users"));
        writes.note("teams", None);
        assert!(noted(&mut one).await && !noted(&mut one).await, "several writes are one");
        assert!(!noted(&mut other).await);
        writes.note("users", None);
        assert!(noted(&mut one).await && noted(&mut other).await);
        drop(one);
        writes.note("users", Some("/users"));
        assert!(!noted(&mut other).await && !writes.are_unread());
        drop(other);
        assert!(writes.are_unread());
    }
}
