//! Pages in the store that processes share, after the memory of this process: found there once for all requests that wait,
//! and stored there after they were made.

use std::{sync::Arc, time::Instant};

use super::call::KeptCall;
use crate::{
    downstream::response::caching::storing::PageStorage,
    gateway::{
        runtime::clock,
        shared::pages::{
            StoredPlace,
            generations::PurgeSubject,
            others::{PurgeCount, SharedStamp},
            stored::{PageUse, StoredPage},
        },
    },
};

/// The time at which the making of a page began, and the purges by other processes that were known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MakingBegin {
    pub(crate) at: Instant,
    learnt: u64,
    count: Option<PurgeCount>,
}

impl<'r> KeptCall<'r> {
    /// Returns the subjects of all pages of this request. The name of the route is a tag of all its pages.
    pub(super) fn subjects(self) -> [PurgeSubject<'r>; 3] {
        let (route, path) = (self.call.route.name.as_str(), self.call.asked.target.collection_path());
        [PurgeSubject::Route(route), PurgeSubject::Collection(route, path), PurgeSubject::Tag(route)]
    }

    /// Notes what is known before a page is made.
    pub(super) fn making_begins(self) -> MakingBegin {
        let others = &self.kept.pages.others;
        MakingBegin { at: clock::instant(), learnt: others.learnt(), count: others.count() }
    }

    /// Returns what is needed to purge a page of this request when another process says so.
    pub(super) fn shared_stamp(self, storage: &PageStorage, begin: MakingBegin) -> Option<SharedStamp> {
        let store = self.call.snapshot.store.as_ref()?;
        let tags = storage.tags.iter().map(|tag| PurgeSubject::Tag(tag));
        Some(SharedStamp { learnt: begin.learnt, places: store.places(self.subjects().into_iter().chain(tags)) })
    }

    /// Returns the page that another process has made, which is in memory from then on. A page that is not fresh is of use
    /// where the memory has none: to be served while a new one is made, or if none can be made.
    pub(super) async fn find_elsewhere(self) -> Option<(Arc<StoredPage>, StoredPlace)> {
        let (pages, headers) = (self.kept.pages, &self.call.asked.headers);
        let store = self.call.snapshot.store.as_ref()?;
        let asked = (&self.subjects()[..], self.kept.before);
        let (page, place) = store.find_page(pages, (self.place, headers), asked).await?;
        let used = page.life.at(clock::instant());
        if self.place.found.is_some() && !matches!(used, PageUse::Fresh(_)) {
            return None;
        }
        let page = Arc::new(page);
        let at = pages.store(&place, place.names(), headers, &page)?;
        (!matches!(used, PageUse::Old(_))).then_some((page, at))
    }

    /// Stores a page for other processes. Without a count of purges they could not tell whether it was purged.
    pub(super) fn put_elsewhere(
        self,
        (page, at): (&StoredPage, &StoredPlace),
        storage: &PageStorage,
        begin: MakingBegin,
    ) {
        if let (Some(store), Some(count)) = (&self.call.snapshot.store, begin.count) {
            store.put_page((self.place, at), page, (count, &storage.tags));
        }
    }
}
