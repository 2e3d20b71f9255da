//! The cache of a process: pages, and answers of upstreams that can be validated again.
//!
//! A page is kept as the response that the gateway proved and sent. Pages are looked up before the parameters of a
//! request are read. An answer of an upstream is used only after a 304 has validated it, so the core never uses an
//! answer that the upstream hasn't confirmed.
//!
//! The key of an entry is a hash of the principal and of everything else that decides what a client may see. So a
//! request finds only entries that could have been made for it. All entries share one bound in bytes. Each hit compares
//! the numbers of purges ([`Generations`]). So a purge takes the same time however many entries there are, and applies
//! to pages that are still being made.

pub mod form;
pub mod generations;
pub mod key;
pub mod others;
pub mod stored;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName};
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter, sync::Cache};

use super::single_flight::SingleFlight;
use generations::Generations;
use key::KeptKey;
use others::OtherPurges;
use stored::{StoredAnswer, StoredPage};

/// The expected size of a page in bytes, which decides the initial size of the cache's tables.
const USUAL: usize = 8 << 10;

/// The approximate size of an entry without its headers and its body, in bytes.
const OVERHEAD: u64 = 256;

/// The time for which requests for a page don't wait for one another after the page couldn't be stored.
const APART: Duration = Duration::from_secs(10);

/// The largest number of pages that the process makes in the background at a time. Further pages are made only when a
/// client requests them.
const MOST_BACKGROUND: usize = 64;

/// The page cache of a process.
#[derive(Debug)]
pub struct KeptPages {
    /// The maximum size of all entries, in bytes.
    size: usize,
    kept: Cache<KeptKey, KeptEntry, EntryWeight, DefaultHashBuilder, Evictions>,
    evictions: Evictions,
    /// The purges by this process.
    pub generations: Generations,
    /// The purges by other processes that share the store, and the purges by this process that the store may lack.
    pub others: Arc<OtherPurges>,
    /// The pages that are being made.
    pub flights: SingleFlight<FlightKey, Flight>,
    background: AtomicUsize,
}

/// The key of a page that is being made. A purge that concerns the page changes the key, so later requests don't share
/// a page that was begun before the purge. Test: `a_page_that_is_made_during_a_purge_is_not_kept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlightKey {
    key: KeptKey,
    /// The numbers of the last purge by this process, and by another process, that may concern the page.
    since: (u64, u64),
}

/// The result of making a page, for the requests that wait for it.
#[derive(Debug)]
pub enum Flight {
    /// The page was made and stored at this place.
    Stored(Arc<StoredPage>, StoredPlace),
    /// Another process had made the page. It was read from the shared store and stored at this place.
    Found(Arc<StoredPage>, StoredPlace),
    /// The response may be used only for the request that made it.
    Apart,
    /// The upstream failed, and requests get the problem with this code.
    Failed(&'static str),
}

/// The place at which a page was stored.
#[derive(Clone, Debug)]
pub struct StoredPlace {
    pub key: KeptKey,
    /// The request headers that pages of this key differ by.
    pub names: Arc<[HeaderName]>,
}

#[derive(Clone, Debug)]
enum KeptEntry {
    Page(Arc<StoredPage>),
    /// The pages of this key differ by these request headers, which are sorted by name.
    Varies(Arc<[HeaderName]>),
    /// The page of this key could not be stored, and requests for it don't wait for one another until this time.
    Apart(Instant),
    Answer(Arc<StoredAnswer>),
}

#[derive(Clone, Debug)]
struct EntryWeight;

impl Weighter<KeptKey, KeptEntry> for EntryWeight {
    fn weight(&self, _key: &KeptKey, entry: &KeptEntry) -> u64 {
        let own = match entry {
            KeptEntry::Page(page) => page.size(),
            KeptEntry::Answer(answer) => answer.size(),
            KeptEntry::Varies(names) => names.iter().map(|name| name.as_str().len() + size_of::<HeaderName>()).sum(),
            KeptEntry::Apart(_) => 0,
        };
        OVERHEAD + u64::try_from(own).unwrap_or(u64::MAX / 2)
    }
}

/// The number of entries that were evicted to make room for others.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<KeptKey, KeptEntry> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: KeptKey, _entry: KeptEntry) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The place of a page in the cache: its key, with the request headers by which earlier pages of the same first key
/// differed.
#[derive(Debug)]
pub struct PagePlace {
    /// The key without the headers by which pages differ.
    first: KeptKey,
    varies: Option<Arc<[HeaderName]>>,
    key: KeptKey,
    /// The page at this place; `None` if the cache has no valid page there.
    pub found: Option<Arc<StoredPage>>,
    /// True if, in the last ten seconds, the page of this place was made and could not be stored.
    pub is_apart: bool,
}

impl PagePlace {
    /// Returns the key by which concurrent requests find the request that makes the page. `since` are the numbers of
    /// the last purges that may concern the page, by this process and by other processes.
    pub fn flight(&self, since: (u64, u64)) -> FlightKey {
        FlightKey { key: self.key, since }
    }

    /// Returns the key without the headers by which pages differ.
    pub fn first(&self) -> KeptKey {
        self.first
    }

    /// Returns the key with the headers by which pages are known to differ.
    pub fn key(&self) -> KeptKey {
        self.key
    }

    /// Returns the place of the same request under the assumption that pages differ by these headers, as another
    /// process has found.
    pub fn varied(&self, names: &[HeaderName], headers: &HeaderMap) -> Self {
        let varies = (!names.is_empty()).then(|| names.into());
        Self { key: self.first.varied(names, headers), varies, found: None, ..*self }
    }

    /// Returns the request headers by which pages are known to differ.
    pub fn names(&self) -> &[HeaderName] {
        self.varies.as_deref().unwrap_or_default()
    }

    /// Returns the place of the page that was found.
    pub fn stored(&self) -> StoredPlace {
        StoredPlace { key: self.key, names: self.varies.clone().unwrap_or_default() }
    }

    /// Returns whether a page that another request stored is also the page of a request with these headers. The headers
    /// by which pages differ are known only after the upstream's answer. Test:
    /// `a_page_is_shared_only_by_the_waiting_requests_that_may_have_it`.
    pub fn is_at(&self, stored: &StoredPlace, headers: &HeaderMap) -> bool {
        self.first.varied(&stored.names, headers) == stored.key
    }
}

/// The right to make one page in the background. Dropping this value gives the right back.
#[derive(Debug)]
pub struct BackgroundPlace(Arc<KeptPages>);

impl Drop for BackgroundPlace {
    fn drop(&mut self) {
        self.0.background.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeptPages {
    /// Creates an empty cache with this maximum size in bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let evictions = Evictions::default();
        let weight = u64::try_from(size).unwrap_or(u64::MAX);
        let kept = Cache::with(size / USUAL, weight, EntryWeight, DefaultHashBuilder::default(), evictions.clone());
        Self {
            size,
            kept,
            evictions,
            generations: Generations::default(),
            others: Arc::default(),
            flights: SingleFlight::default(),
            background: AtomicUsize::new(0),
        }
    }

    /// Creates an empty cache of another size. The purges of other processes, and those that the store may lack, are
    /// shared with this cache.
    pub fn resized(&self, size: usize) -> Self {
        Self { others: Arc::clone(&self.others), ..Self::new(size) }
    }

    /// Returns the maximum size of all entries, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.size
    }

    /// Returns the approximate size of all entries, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.kept.weight()
    }

    /// Returns the number of entries that were evicted to make room for others.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evictions.0.load(Ordering::Relaxed)
    }

    /// Finds the place of a page by its first key and the request's headers, and the page there if it has not been
    /// purged.
    pub fn find(&self, first: KeptKey, headers: &HeaderMap, now: Instant) -> PagePlace {
        let (mut key, mut varies) = (first, None);
        let mut entry = self.kept.get(&first);
        if let Some(KeptEntry::Varies(names)) = entry {
            key = first.varied(&names, headers);
            varies = Some(names);
            entry = self.kept.get(&key);
        }
        // An expired mark is ignored, so the next requests wait for one another again.
        let is_apart = matches!(entry, Some(KeptEntry::Apart(until)) if now < until);
        let found = match entry {
            Some(KeptEntry::Page(page)) if self.is_valid(&page) => Some(page),
            _ => None,
        };
        PagePlace { first, varies, key, found, is_apart }
    }

    /// Stores a page for the request of a place, and returns the place at which it is stored. `names` are the request
    /// headers by which the page's answers differ, and `headers` are the headers of the request. Returns `None` if the
    /// page was purged while it was being made.
    pub fn store(
        &self,
        place: &PagePlace,
        names: &[HeaderName],
        headers: &HeaderMap,
        page: &Arc<StoredPage>,
    ) -> Option<StoredPlace> {
        if !self.is_valid(page) {
            return None;
        }
        // The header names of this page are added to those of earlier pages at this place: an answer without `Vary` is
        // only returned to clients whose values of these headers are the same. Test:
        // `pages_that_differ_by_a_header_are_found_by_its_value`.
        let known = place.varies.as_deref().unwrap_or_default();
        let names: Arc<[HeaderName]> = match (names.iter().all(|name| known.contains(name)), &place.varies) {
            (true, Some(known)) => Arc::clone(known),
            (true, None) => Arc::default(),
            (false, _) => {
                let mut all = known.to_vec();
                all.extend(names.iter().filter(|name| !known.contains(name)).cloned());
                // The names are sorted, because the key of the page is a hash of the names in their order.
                all.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
                all.into()
            }
        };
        let key = place.first.varied(&names, headers);
        // The entry is inserted anew with each page. Otherwise it might be evicted before the pages that are found
        // through it.
        if !names.is_empty() {
            self.kept.insert(place.first, KeptEntry::Varies(Arc::clone(&names)));
        }
        self.kept.insert(key, KeptEntry::Page(Arc::clone(page)));
        Some(StoredPlace { key, names })
    }

    /// Returns whether a page has not been purged since its making began, by this process or by another process.
    fn is_valid(&self, page: &StoredPage) -> bool {
        self.generations.is_valid(&page.stamp) && page.shared.as_ref().is_none_or(|shared| self.others.is_valid(shared))
    }

    /// Records that the page of a place couldn't be stored. For ten seconds, requests for the page then don't wait for
    /// one another.
    pub fn keep_apart(&self, place: &PagePlace, now: Instant) {
        if let Some(until) = now.checked_add(APART) {
            self.kept.insert(place.key, KeptEntry::Apart(until));
        }
    }

    /// Finds an answer that can be validated, for a request with these headers.
    pub fn answer(&self, key: KeptKey, headers: &HeaderMap) -> Option<Arc<StoredAnswer>> {
        match self.kept.get(&key) {
            Some(KeptEntry::Answer(answer)) => {
                // An answer to other values of the headers in `Vary`, or from before a purge, isn't validated. Instead,
                // the upstream is asked for a new answer.
                let fits = answer.is_for(headers) && self.generations.is_valid(&answer.stamp);
                fits.then_some(answer)
            }
            _ => None,
        }
    }

    /// Stores an answer of the upstream, which a later request can validate.
    pub fn keep_answer(&self, key: KeptKey, answer: StoredAnswer) {
        self.kept.insert(key, KeptEntry::Answer(Arc::new(answer)));
    }

    /// Removes an answer of the upstream.
    pub fn drop_answer(&self, key: KeptKey) {
        self.kept.remove(&key);
    }

    /// Takes the right to make a page in the background; returns `None` if [`MOST_BACKGROUND`] pages are being made.
    pub fn background(self: &Arc<Self>) -> Option<BackgroundPlace> {
        let below = |taken: usize| (taken < MOST_BACKGROUND).then(|| taken + 1);
        // The bound is checked and the page counted in one step, so concurrent requests can't exceed the bound.
        let taken = self.background.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        taken.is_ok().then(|| BackgroundPlace(Arc::clone(self)))
    }
}

#[cfg(test)]
mod tests;
