//! Pages in the shared store. A page that isn't in this process's memory is looked up there, once for all requests that
//! wait for it. A page that this process has made is stored there.

use std::{sync::Arc, time::Instant};

use super::call::KeptCall;
use crate::{
    runtime::clock,
    shared::pages::{
        StoredPlace,
        generations::PurgeSubject,
        others::{PurgeCount, SharedStamp},
        stored::{PageUse, StoredPage},
    },
};
use cursorgate_translate::downstream::response::caching::storing::PageStorage;

/// The moment when the making of a page begins, with the purges by other processes that this process knew of then.
#[derive(Clone, Copy, Debug)]
pub struct MakingBegin {
    pub at: Instant,
    /// The number of purges by other processes that this process knew of.
    learnt: u64,
    /// The state of the store's counter of purges; `None` if the state wasn't known.
    count: Option<PurgeCount>,
}

impl<'r> KeptCall<'r> {
    /// Returns the purge subjects that all pages of this request share. A route's name is a tag of all its pages.
    pub(super) fn subjects(self) -> [PurgeSubject<'r>; 3] {
        let (route, path) = (self.call.route.name.as_str(), self.call.asked.target.collection_path());
        [PurgeSubject::Route(route), PurgeSubject::Collection(route, path), PurgeSubject::Tag(route)]
    }

    /// Records the beginning of a page's making. The call must precede the first upstream request for the page.
    pub(super) fn making_begins(self) -> MakingBegin {
        let others = &self.kept.pages.others;
        MakingBegin { at: clock::instant(), learnt: others.learnt(), count: others.count() }
    }

    /// Returns the stamp that decides which purges by other processes apply to a page of this request; `None` without a
    /// store.
    pub(super) fn shared_stamp(self, storage: &PageStorage, begin: MakingBegin) -> Option<SharedStamp> {
        let store = self.call.snapshot.store.as_ref()?;
        let tags = storage.tags.iter().map(|tag| PurgeSubject::Tag(tag));
        Some(SharedStamp { learnt: begin.learnt, places: store.places(self.subjects().into_iter().chain(tags)) })
    }

    /// Returns the page that another process has made and its place, after storing the page in memory; `None` if the
    /// store has no usable page. If the memory already has a page, only a fresh page replaces it. An old page is stored
    /// but not returned: [`KeptCall::find_again`] finds it if no new page can be made. Test:
    /// `a_stale_page_of_another_process_is_served_where_the_upstream_fails`.
    pub(super) async fn find_elsewhere(self) -> Option<(Arc<StoredPage>, StoredPlace)> {
        let (pages, headers) = (self.kept.pages, &self.call.asked.headers);
        let store = self.call.snapshot.store.as_ref()?;
        let found = store.find_page(pages, self.place, headers, &self.subjects(), self.kept.before).await;
        let (page, place) = found?;
        let used = page.life.at(clock::instant());
        // The page in memory is as good as another page that isn't fresh, so the page in memory stays.
        if self.place.found.is_some() && !matches!(used, PageUse::Fresh(_)) {
            return None;
        }
        let page = Arc::new(page);
        let at = pages.store(&place, place.names(), headers, &page)?;
        (!matches!(used, PageUse::Old(_))).then_some((page, at))
    }

    /// Stores a page for other processes. The page isn't stored if the counter of purges wasn't known when its making
    /// began: other processes couldn't find out whether the page has been purged.
    pub(super) fn put_elsewhere(self, page: &StoredPage, at: &StoredPlace, storage: &PageStorage, begin: MakingBegin) {
        if let (Some(store), Some(count)) = (&self.call.snapshot.store, begin.count) {
            store.put_page(self.place, at, page, count, &storage.tags);
        }
    }
}
