//! The pages of a query: each field reads one, once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::{OnceCell, Semaphore};

use crate::services::list_page::{ConnectionPage, ListFault, ListReader, PageQuery};

/// The page of a field, once it is read.
type KnownPage = Arc<OnceCell<Result<Arc<ConnectionPage>, ListFault>>>;

/// A query that runs.
pub(super) struct QueryRun {
    pub(super) reader: ListReader,
    /// Inner requests at a time.
    pub(super) at_once: Semaphore,
    /// By the names that fields have in the answer: a field that is selected in two places is one field.
    pub(super) pages: Mutex<HashMap<String, KnownPage>>,
    pub(super) read: AtomicU64,
    pub(super) failed: AtomicU64,
    /// The errors of fields, those included that the client does not get.
    pub(super) faults: AtomicUsize,
}

impl QueryRun {
    /// Returns the page of a field, which is read once. The flag says whether this call has read it.
    pub(super) async fn page(
        &self,
        key: &str,
        route: &str,
        query: &PageQuery,
    ) -> (Result<Arc<ConnectionPage>, ListFault>, bool) {
        let known = {
            // No code panics while it holds the lock.
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(pages.entry(key.to_owned()).or_default())
        };
        let mut is_first = false;
        let read = known.get_or_init(|| async {
            is_first = true;
            // The semaphore is never closed.
            let _turn = self.at_once.acquire().await;
            let read = self.reader.page(route, query).await;
            let count = if read.is_ok() { &self.read } else { &self.failed };
            count.fetch_add(1, Ordering::Relaxed);
            read.map(Arc::new)
        });
        let page = read.await.clone();
        (page, is_first)
    }
}
