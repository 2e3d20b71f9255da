//! The pages of a running query. Each list field of the query reads one page, and reads it only once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::{OnceCell, Semaphore};

use crate::list_page::{ConnectionPage, ListFault, ListReader, PageQuery};

/// The page of a field, or the reason that the page couldn't be read. The cell is empty until the read has ended.
type KnownPage = Arc<OnceCell<Result<Arc<ConnectionPage>, ListFault>>>;

pub(super) struct QueryRun {
    pub(super) reader: ListReader,
    /// A permit for each inner request that may run at the same time.
    pub(super) at_once: Semaphore,
    /// The pages by response key. A field that is selected in two places is one field of the answer, but the executor
    /// resolves both places and merges the results. Two requests could show two states of the list, so both places get
    /// the same page.
    pub(super) pages: Mutex<HashMap<String, KnownPage>>,
    /// The number of pages that were read, for the log.
    pub(super) read: AtomicU64,
    /// The number of pages that couldn't be read, for the log.
    pub(super) failed: AtomicU64,
    /// The number of errors of fields, including the errors that are left out of the answer.
    pub(super) faults: AtomicUsize,
}

impl QueryRun {
    /// Returns the page of the field with the response key `key`, and whether this call has read the page. The first
    /// call reads the page, and later calls return the same page.
    pub(super) async fn page(
        &self,
        key: &str,
        route: &str,
        query: &PageQuery,
    ) -> (Result<Arc<ConnectionPage>, ListFault>, bool) {
        let known = {
            // No code panics while it holds the lock, so a poisoned lock can be taken.
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            // Each alias of a field has its own page, so the key is the response key. Test: `a_list_is_one_request`.
            Arc::clone(pages.entry(key.to_owned()).or_default())
        };
        let mut is_first = false;
        let read = known.get_or_init(|| async {
            is_first = true;
            // `acquire` fails only if the semaphore is closed, which never happens.
            let _turn = self.at_once.acquire().await;
            let read = self.reader.page(route, query).await;
            let count = if read.is_ok() { &self.read } else { &self.failed };
            count.fetch_add(1, Ordering::Relaxed);
            read.map(Arc::new)
        });
        let page = read.await.clone();
        (page, is_first)
    }

    /// Returns the response keys of the fields whose page ends its list with an end that isn't proven, sorted.
    pub(super) fn unproven_ends(&self) -> Vec<String> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let is_marked =
            |page: &KnownPage| page.get().is_some_and(|read| read.as_ref().is_ok_and(|page| page.is_end_unproven));
        let mut keys: Vec<String> =
            pages.iter().filter(|(_, page)| is_marked(page)).map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys
    }
}
