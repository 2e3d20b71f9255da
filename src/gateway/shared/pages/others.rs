//! Purges by other processes, as far as this one knows them, and those of this process that the store does not have
//! yet.
//!
//! The store has a series of purges: a counter, and for each place (a hash of subjects) the number of its last purge. A
//! page in the store says the series and the number of purges before its making began, and it is used only where the
//! process knows all purges up to this moment: a counter that is gone, went back or belongs to another series proves
//! that some may be missing, and no page is used before the purges have been read anew.
//!
//! Pages in memory are held against what the process learnt since they were begun, in numbers of its own. So they
//! outlive the loss of a series, and a purge reaches them when the process learns of it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The subjects that are told apart. Two subjects in one place are purged together, which costs pages and never keeps
/// one.
pub(crate) const SHARED_PLACES: u16 = 8_192;

/// The largest number of a purge. The store counts in floating point, exactly up to here.
pub(crate) const MOST_PURGES: u64 = 1 << 52;

/// The purges of a process and of others.
#[derive(Debug)]
pub(crate) struct OtherPurges {
    known: Mutex<KnownPurges>,
    /// The number of purges that this process learnt of.
    learnt: AtomicU64,
    /// For each place the number of the last one.
    learnt_at: Box<[AtomicU64]>,
    unwritten: Mutex<UnwrittenPurges>,
}

/// The purges in the store.
#[derive(Debug, Default)]
struct KnownPurges {
    /// The name under which they are.
    name: String,
    series: Option<u64>,
    /// The number up to which all are known.
    number: u64,
    /// The largest number that the store is known to have had. A smaller one is that of an older state.
    largest: u64,
    /// For each place its last purge.
    last: Vec<u64>,
    /// All purges up to the number are known. Else they have to be read from the first one on.
    is_whole: bool,
    /// The series went back: somebody put an older state in its place.
    went_back: Option<u64>,
}

/// The purges of this process that the store may lack, by the key and the place, with a ticket of their own.
#[derive(Debug, Default)]
struct UnwrittenPurges {
    tickets: u64,
    places: BTreeMap<(u32, u16), u64>,
}

/// A purge that the store may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnwrittenPurge {
    /// The number of the key by which its place is known.
    pub(crate) key: u32,
    pub(crate) place: u16,
    ticket: u64,
}

/// The number of purges in the store when the making of a page began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PurgeCount {
    pub(crate) series: u64,
    pub(crate) number: u64,
}

/// A question for the purges in the store.
#[derive(Debug)]
pub(crate) struct PurgeQuestion {
    name: String,
    key: u32,
    series: Option<u64>,
    number: u64,
    largest: u64,
    is_whole: bool,
    /// The places that the store lacked when the question was asked. While it is on its way, they may be written.
    unwritten: Vec<u16>,
}

impl PurgeQuestion {
    /// Returns the number from which on purges are asked for. The counter itself has the largest number, so that it is
    /// always in the reply.
    pub(crate) fn from(&self) -> u64 {
        if self.is_whole { self.number } else { 0 }
    }
}

/// The purges of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurgeNews {
    pub(crate) count: PurgeCount,
    pub(crate) places: Vec<(u16, u64)>,
}

/// The places of a page's subjects, and the purges that this process had learnt of when its making began.
#[derive(Clone, Debug)]
pub(crate) struct SharedStamp {
    pub(crate) learnt: u64,
    pub(crate) places: Box<[u16]>,
}

impl Default for OtherPurges {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            learnt: AtomicU64::new(0),
            learnt_at: (0..SHARED_PLACES).map(|_| AtomicU64::new(0)).collect(),
            unwritten: Mutex::default(),
        }
    }
}

impl OtherPurges {
    /// Returns the number of purges that this process learnt of.
    pub(crate) fn learnt(&self) -> u64 {
        self.learnt.load(Ordering::SeqCst)
    }

    /// Returns the last purge of these places that this process learnt of.
    pub(crate) fn since(&self, places: &[u16]) -> u64 {
        let at = |place: &u16| self.learnt_at.get(usize::from(*place)).map_or(0, |last| last.load(Ordering::SeqCst));
        places.iter().map(at).max().unwrap_or(0)
    }

    /// Returns whether this process learnt of no purge that concerns a page.
    pub(crate) fn is_valid(&self, stamp: &SharedStamp) -> bool {
        self.since(&stamp.places) <= stamp.learnt
    }

    /// Returns the count of purges that is known now. A page that is begun after it counts from it. Nothing is known
    /// before the purges have been read.
    pub(crate) fn count(&self) -> Option<PurgeCount> {
        let known = self.known();
        let series = known.series.filter(|_| known.is_whole)?;
        Some(PurgeCount { series, number: known.number })
    }

    /// Begins a question for the purges under a name, by a key.
    pub(crate) fn ask(&self, name: &str, key: u32) -> PurgeQuestion {
        let unwritten = self.unwritten(key).into_iter().map(|purge| purge.place).collect();
        let mut known = self.known();
        if known.name != name {
            *known = KnownPurges { name: name.to_owned(), ..KnownPurges::default() };
        }
        let KnownPurges { series, number, largest, is_whole, .. } = *known;
        PurgeQuestion { name: name.to_owned(), key, series, number, largest, is_whole, unwritten }
    }

    /// Takes up the reply to a question; nothing is the reply of a store that has no purges from there on. Returns the
    /// series if all its purges up to the reply are known now.
    pub(crate) fn learn(&self, asked: &PurgeQuestion, news: Option<&PurgeNews>) -> Option<u64> {
        let mut known = self.known();
        if known.name != asked.name {
            return None;
        }
        let Some(PurgeNews { count: PurgeCount { series, number }, places }) = news else {
            known.is_whole = false;
            return None;
        };
        // Compared with what was known when it was asked: replies may overtake one another.
        if asked.series == Some(*series) && *number < asked.largest {
            known.went_back = Some(*series);
        }
        let is_readable = match known.series == Some(*series) {
            true => known.went_back.is_none() && (known.is_whole || !asked.is_whole),
            false => !asked.is_whole,
        };
        if !is_readable {
            known.is_whole = false;
            return None;
        }
        if known.series != Some(*series) {
            let name = std::mem::take(&mut known.name);
            *known = KnownPurges { name, series: Some(*series), ..KnownPurges::default() };
        }
        self.raise(&mut known, places);
        (known.number, known.is_whole) = (known.number.max(*number), true);
        known.largest = known.largest.max(*number);
        Some(*series)
    }

    fn raise(&self, known: &mut KnownPurges, places: &[(u16, u64)]) {
        known.last.resize(usize::from(SHARED_PLACES), 0);
        for (place, number) in places {
            let (Some(last), Some(learnt_at)) =
                (known.last.get_mut(usize::from(*place)), self.learnt_at.get(usize::from(*place)))
            else {
                continue;
            };
            if *number > *last {
                *last = *number;
                let learnt = self.learnt.fetch_add(1, Ordering::SeqCst) + 1;
                learnt_at.store(learnt, Ordering::SeqCst);
            }
        }
    }

    /// Returns the stamp of a page from the store that was begun at a count and has these places; `None` if it was
    /// purged, or may have been. `series` is that of the reply to the question, which was asked together with the one
    /// for the page.
    pub(crate) fn admit(
        &self,
        (asked, series): (&PurgeQuestion, u64),
        begun: PurgeCount,
        places: Box<[u16]>,
    ) -> Option<SharedStamp> {
        // A purge that was on its way when the question was asked may have been written since, without being in the reply.
        let is_unsure = |place: &u16| asked.unwritten.contains(place) || self.is_unwritten(asked.key, *place);
        if begun.series != series || places.iter().any(is_unsure) {
            return None;
        }
        let known = self.known();
        if known.name != asked.name || !known.is_whole || known.series != Some(series) {
            return None;
        }
        let last = |place: &u16| known.last.get(usize::from(*place)).copied().unwrap_or(u64::MAX);
        let is_current = places.iter().all(|place| last(place) <= begun.number);
        is_current.then(|| SharedStamp { learnt: self.learnt(), places })
    }

    /// Returns the series that went back, which is to be replaced.
    pub(crate) fn went_back(&self) -> Option<u64> {
        self.known().went_back
    }

    /// Notes purges that the store is to have. This comes before the pages in memory are purged, so that no request
    /// after that trusts the store without them.
    pub(crate) fn note_unwritten(&self, places: impl Iterator<Item = (u32, u16)>) -> Vec<UnwrittenPurge> {
        let mut unwritten = self.unwritten_purges();
        unwritten.tickets += 1;
        let ticket = unwritten.tickets;
        let note = |(key, place)| {
            unwritten.places.insert((key, place), ticket);
            UnwrittenPurge { key, place, ticket }
        };
        places.map(note).collect()
    }

    /// Returns the purges that the store may lack, by a key. There are at most as many as places.
    pub(crate) fn unwritten(&self, key: u32) -> Vec<UnwrittenPurge> {
        let unwritten = self.unwritten_purges();
        let own = unwritten.places.range((key, 0)..=(key, u16::MAX));
        own.map(|((key, place), ticket)| UnwrittenPurge { key: *key, place: *place, ticket: *ticket }).collect()
    }

    /// Returns the number of purges that the store may lack.
    pub(crate) fn unwritten_count(&self) -> usize {
        self.unwritten_purges().places.len()
    }

    /// Notes that the store has purges; `count` is its counter then. A later purge of the same place stays unwritten.
    pub(crate) fn written(&self, name: &str, purges: &[UnwrittenPurge], count: Option<PurgeCount>) {
        {
            let mut known = self.known();
            // Its own purges are no news to a process: its memory has dropped these pages already.
            if let Some(PurgeCount { series, number }) = count
                && known.name == name
                && known.series == Some(series)
            {
                known.largest = number.max(known.largest);
                for purge in purges {
                    if let Some(last) = known.last.get_mut(usize::from(purge.place)) {
                        *last = number.max(*last);
                    }
                }
            }
        }
        let mut unwritten = self.unwritten_purges();
        for UnwrittenPurge { key, place, ticket } in purges {
            if unwritten.places.get(&(*key, *place)) == Some(ticket) {
                unwritten.places.remove(&(*key, *place));
            }
        }
    }

    /// Forgets the purges by keys that are no longer known: nobody finds a page by these.
    pub(crate) fn forget_others(&self, keys: &[u32]) {
        self.unwritten_purges().places.retain(|(key, _), _| keys.contains(key));
    }

    fn is_unwritten(&self, key: u32, place: u16) -> bool {
        self.unwritten_purges().places.contains_key(&(key, place))
    }

    fn known(&self) -> MutexGuard<'_, KnownPurges> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten_purges(&self) -> MutexGuard<'_, UnwrittenPurges> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
