//! Pages in the store that processes share. A page that is not in the memory of this process is looked up there, once
//! for all requests that wait for it; a page that this process has made is stored there.

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

/// The beginning of a page's making: the time, and the purges by other processes that were known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MakingBegin {
    pub(crate) at: Instant,
    /// The number of purges by other processes that this process had learnt of.
    learnt: u64,
    /// The state of the store's counter of purges, if it was known.
    count: Option<PurgeCount>,
}

impl<'r> KeptCall<'r> {
    /// Returns the subjects that all pages of this request have. The name of the route is a tag of all its pages.
    pub(super) fn subjects(self) -> [PurgeSubject<'r>; 3] {
        let (route, path) = (self.call.route.name.as_str(), self.call.asked.target.collection_path());
        [PurgeSubject::Route(route), PurgeSubject::Collection(route, path), PurgeSubject::Tag(route)]
    }

    /// Records the beginning of a page's making. This has to come before the upstream is asked.
    pub(super) fn making_begins(self) -> MakingBegin {
        let others = &self.kept.pages.others;
        MakingBegin { at: clock::instant(), learnt: others.learnt(), count: others.count() }
    }

    /// Returns the stamp by which purges of other processes concern a page of this request; `None` without a store.
    pub(super) fn shared_stamp(self, storage: &PageStorage, begin: MakingBegin) -> Option<SharedStamp> {
        let store = self.call.snapshot.store.as_ref()?;
        let tags = storage.tags.iter().map(|tag| PurgeSubject::Tag(tag));
        Some(SharedStamp { learnt: begin.learnt, places: store.places(self.subjects().into_iter().chain(tags)) })
    }

    /// Returns the page if another process has made it, after storing it in memory, and the place where it is. A page
    /// that is not fresh is stored only if the memory has none. An old one is stored and not returned: it is used if no
    /// new page can be made ([`KeptCall::find_again`]).
    /// Test: `a_stale_page_of_another_process_is_served_where_the_upstream_fails`.
    pub(super) async fn find_elsewhere(self) -> Option<(Arc<StoredPage>, StoredPlace)> {
        let (pages, headers) = (self.kept.pages, &self.call.asked.headers);
        let store = self.call.snapshot.store.as_ref()?;
        let asked = (&self.subjects()[..], self.kept.before);
        let (page, place) = store.find_page(pages, (self.place, headers), asked).await?;
        let used = page.life.at(clock::instant());
        // The memory has a page already, which is as good as another one that is not fresh.
        if self.place.found.is_some() && !matches!(used, PageUse::Fresh(_)) {
            return None;
        }
        let page = Arc::new(page);
        let at = pages.store(&place, place.names(), headers, &page)?;
        (!matches!(used, PageUse::Old(_))).then_some((page, at))
    }

    /// Stores a page for other processes, unless the counter of purges was not known when its making began: they could
    /// not know whether the page was purged.
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
