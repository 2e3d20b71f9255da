//! The cache of pages, and of the answers of upstreams that can be validated again.
//!
//! Pages are the gateway's own, as they were proven; they are found before a request is read further. Answers stand in
//! for the body of a 304 alone, so that the core never rests on an answer without the upstream having been asked.
//!
//! The key of an entry begins with the principal and has everything that decides what a client may see, so that an
//! entry is found by those alone that could have been given it. All entries share one bound of bytes. A purge raises a
//! number ([`Generations`]) that each hit compares: it takes the same time however much is kept, and holds for pages
//! that are being made.

pub(crate) mod form;
pub(crate) mod generations;
pub(crate) mod key;
pub(crate) mod others;
pub(crate) mod stored;

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

/// The expected size of a page, by which the tables of the cache are made.
const USUAL: usize = 8 << 10;

/// Approximate size of an entry without its headers and its body, in bytes.
const OVERHEAD: u64 = 256;

/// The time for which requests for a page that may not be stored don't wait for one another.
const APART: Duration = Duration::from_secs(10);

/// The most pages of the process that are made in the background.
const MOST_BACKGROUND: usize = 64;

/// The pages of a process.
#[derive(Debug)]
pub struct KeptPages {
    /// In bytes.
    size: usize,
    kept: Cache<KeptKey, KeptEntry, EntryWeight, DefaultHashBuilder, Evictions>,
    evictions: Evictions,
    /// The purges by this process.
    pub(crate) generations: Generations,
    /// The purges by other processes that share the store, and those of this one that it lacks.
    pub(crate) others: Arc<OtherPurges>,
    /// The pages that are being made.
    pub(crate) flights: SingleFlight<FlightKey, Flight>,
    background: AtomicUsize,
}

/// The key of a page that is being made. A purge begins another one: a page from before it is shared with no later
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlightKey {
    key: KeptKey,
    /// The last purge by this process that concerns the page, and the last one by another process.
    since: (u64, u64),
}

/// The end of a page that others wait for.
#[derive(Debug)]
pub(crate) enum Flight {
    /// The page, which was stored, and its place.
    Stored(Arc<StoredPage>, StoredPlace),
    /// The page, which another process had made, and its place.
    Found(Arc<StoredPage>, StoredPlace),
    /// The page is for one request alone.
    Apart,
    /// The upstream failed, with this code.
    Failed(&'static str),
}

/// The place at which a page was stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredPlace {
    pub(crate) key: KeptKey,
    /// The request headers that pages of this key differ by.
    pub(crate) names: Arc<[HeaderName]>,
}

/// An entry of the cache.
#[derive(Clone, Debug)]
enum KeptEntry {
    Page(Arc<StoredPage>),
    /// The pages of this key differ by these request headers, in order.
    Varies(Arc<[HeaderName]>),
    /// The page of this key can't be stored.
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

/// Counts the entries that made room for others.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<KeptKey, KeptEntry> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: KeptKey, _entry: KeptEntry) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The place of a page: its key, with the request headers that earlier pages differed by.
#[derive(Debug)]
pub(crate) struct PagePlace {
    /// The key without those headers.
    first: KeptKey,
    varies: Option<Arc<[HeaderName]>>,
    key: KeptKey,
    /// The page that is kept there.
    pub(crate) found: Option<Arc<StoredPage>>,
    /// The page of this place could not be stored of late.
    pub(crate) is_apart: bool,
}

impl PagePlace {
    /// Returns the key by which concurrent requests find the one that makes the page; `since` are the last purges that
    /// concern it.
    pub(crate) fn flight(&self, since: (u64, u64)) -> FlightKey {
        FlightKey { key: self.key, since }
    }

    /// Returns the key without the headers that pages differ by.
    pub(crate) fn first(&self) -> KeptKey {
        self.first
    }

    /// Returns the key of the page, as far as is known by which headers pages differ.
    pub(crate) fn key(&self) -> KeptKey {
        self.key
    }

    /// Returns the place where pages differ by these headers, which another process has found out.
    pub(crate) fn varied(&self, names: &[HeaderName], headers: &HeaderMap) -> Self {
        let varies = (!names.is_empty()).then(|| names.into());
        Self { key: self.first.varied(names, headers), varies, found: None, ..*self }
    }

    /// Returns the request headers that pages are known to differ by.
    pub(crate) fn names(&self) -> &[HeaderName] {
        self.varies.as_deref().unwrap_or_default()
    }

    /// Returns the place of the page that was found.
    pub(crate) fn stored(&self) -> StoredPlace {
        StoredPlace { key: self.key, names: self.varies.clone().unwrap_or_default() }
    }

    /// Returns whether a page that another request stored is also that of a request with these headers.
    pub(crate) fn is_at(&self, stored: &StoredPlace, headers: &HeaderMap) -> bool {
        self.first.varied(&stored.names, headers) == stored.key
    }
}

/// The right to make one page in the background. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct BackgroundPlace(Arc<KeptPages>);

impl Drop for BackgroundPlace {
    fn drop(&mut self) {
        self.0.background.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeptPages {
    /// Creates an empty cache of this many bytes.
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

    /// Creates an empty cache of another size. The purges that the store may lack are the same.
    pub(crate) fn resized(&self, size: usize) -> Self {
        Self { others: Arc::clone(&self.others), ..Self::new(size) }
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.size
    }

    /// Returns the approximate size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.kept.weight()
    }

    /// Returns the number of entries that made room for others.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evictions.0.load(Ordering::Relaxed)
    }

    /// Finds the place of a page, and the page there if no purge has concerned it; `headers` are the request's.
    pub(crate) fn find(&self, first: KeptKey, headers: &HeaderMap, now: Instant) -> PagePlace {
        let (mut key, mut varies) = (first, None);
        let mut entry = self.kept.get(&first);
        if let Some(KeptEntry::Varies(names)) = entry {
            key = first.varied(&names, headers);
            varies = Some(names);
            entry = self.kept.get(&key);
        }
        let is_apart = matches!(entry, Some(KeptEntry::Apart(until)) if now < until);
        let found = match entry {
            Some(KeptEntry::Page(page)) if self.is_valid(&page) => Some(page),
            _ => None,
        };
        PagePlace { first, varies, key, found, is_apart }
    }

    /// Stores a page that differs by these request headers. Returns nothing if a purge has concerned it while it was
    /// made.
    pub(crate) fn store(
        &self,
        place: &PagePlace,
        names: &[HeaderName],
        headers: &HeaderMap,
        page: &Arc<StoredPage>,
    ) -> Option<StoredPlace> {
        if !self.is_valid(page) {
            return None;
        }
        // Names are joined with those of earlier pages: an answer without `Vary` among others with it is given to nobody
        // who differs in them.
        let known = place.varies.as_deref().unwrap_or_default();
        let names: Arc<[HeaderName]> = match (names.iter().all(|name| known.contains(name)), &place.varies) {
            (true, Some(known)) => Arc::clone(known),
            (true, None) => Arc::default(),
            (false, _) => {
                let mut all = known.to_vec();
                all.extend(names.iter().filter(|name| !known.contains(name)).cloned());
                all.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
                all.into()
            }
        };
        let key = place.first.varied(&names, headers);
        // Kept again with each page, so that it is not the first to make room.
        if !names.is_empty() {
            self.kept.insert(place.first, KeptEntry::Varies(Arc::clone(&names)));
        }
        self.kept.insert(key, KeptEntry::Page(Arc::clone(page)));
        Some(StoredPlace { key, names })
    }

    /// Returns whether no purge has concerned a page.
    fn is_valid(&self, page: &StoredPage) -> bool {
        self.generations.is_valid(&page.stamp) && page.shared.as_ref().is_none_or(|shared| self.others.is_valid(shared))
    }

    /// Notes that the page of a place can't be stored, so that requests for it don't wait for one another for a while.
    pub(crate) fn keep_apart(&self, place: &PagePlace, now: Instant) {
        if let Some(until) = now.checked_add(APART) {
            self.kept.insert(place.key, KeptEntry::Apart(until));
        }
    }

    /// Finds an answer that can be validated.
    pub(crate) fn answer(&self, key: KeptKey, headers: &HeaderMap) -> Option<Arc<StoredAnswer>> {
        match self.kept.get(&key) {
            Some(KeptEntry::Answer(answer)) => {
                let fits = answer.is_for(headers) && self.generations.is_valid(&answer.stamp);
                fits.then_some(answer)
            }
            _ => None,
        }
    }

    /// Stores an answer.
    pub(crate) fn keep_answer(&self, key: KeptKey, answer: StoredAnswer) {
        self.kept.insert(key, KeptEntry::Answer(Arc::new(answer)));
    }

    /// Removes an answer.
    pub(crate) fn drop_answer(&self, key: KeptKey) {
        self.kept.remove(&key);
    }

    /// Takes a place in the background; `None` if all are taken.
    pub(crate) fn background(self: &Arc<Self>) -> Option<BackgroundPlace> {
        let below = |taken: usize| (taken < MOST_BACKGROUND).then(|| taken + 1);
        let taken = self.background.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        taken.is_ok().then(|| BackgroundPlace(Arc::clone(self)))
    }
}

#[cfg(test)]
mod tests;
