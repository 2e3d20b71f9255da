//! Purges by other processes, as far as this process knows them, and purges by this process that the store may lack.
//!
//! The store has a *series* of purges: a counter with a random name, and for each place (a hash of subjects) the number
//! of its last purge. A page in the store contains the series and the number of purges before its making began. The
//! page is used only if the process knows all purges of the series up to now, and none of them concerns the page. If
//! the counter is missing, or has another name or a smaller number than before, purges may be lost. Then pages from the
//! store aren't used until all purges have been read again.
//!
//! For pages in memory, the process counts the purges that it learns of in numbers of its own. A page is dropped if
//! such a purge concerns the page and was learnt of after its making began. So pages in memory survive the loss of a
//! series, and a purge drops them as soon as the process learns of the purge.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The number of places for the numbers of subjects, which are found by a keyed hash. Two subjects that share a place
/// are purged together. This can drop valid pages, but never keeps a purged page.
pub const SHARED_PLACES: u16 = 8_192;

/// The bound of purge numbers. The store counts in floating point, which is exact up to this bound. A reply with a
/// number at or above the bound is refused.
pub const MOST_PURGES: u64 = 1 << 52;

/// The purges by other processes that this process knows, and its own purges that the store may lack.
#[derive(Debug)]
pub struct OtherPurges {
    known: Mutex<KnownPurges>,
    /// The number of purges by other processes that this process has learnt of.
    learnt: AtomicU64,
    /// For each place, the number of the last purge by another process, in the count of `learnt`.
    learnt_at: Box<[AtomicU64]>,
    unwritten: Mutex<UnwrittenPurges>,
}

/// The purges in the store, as far as this process knows them.
#[derive(Debug, Default)]
struct KnownPurges {
    /// The name of the set of purges in the store, which is derived from the signing key.
    name: String,
    series: Option<u64>,
    /// The number up to which all purges of the series are known.
    number: u64,
    /// The largest number that the store is known to have had. A smaller number in a later reply shows that the store
    /// is in an older state.
    largest: u64,
    /// For each place the number of its last purge.
    last: Vec<u64>,
    /// True if all purges up to `number` are known. Otherwise all purges have to be read again.
    is_whole: bool,
    /// The series whose counter went back, because the store was replaced by an older state; `None` if no counter did.
    went_back: Option<u64>,
}

/// The purges by this process that the store may lack: the number of the key and the place, with the ticket of the last
/// purge there.
#[derive(Debug, Default)]
struct UnwrittenPurges {
    tickets: u64,
    places: BTreeMap<(u32, u16), u64>,
}

/// A purge by this process that the store may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwrittenPurge {
    /// The number of the key of the keyed hash that gave the place.
    pub key: u32,
    pub place: u16,
    ticket: u64,
}

/// A state of the store's counter of purges. A page in the store contains the state from before its making began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeCount {
    pub series: u64,
    pub number: u64,
}

/// A question for the purges in the store, with the state that was known when it was asked.
#[derive(Debug)]
pub struct PurgeQuestion {
    name: String,
    key: u32,
    series: Option<u64>,
    number: u64,
    largest: u64,
    is_whole: bool,
    /// The places whose purges the store may have lacked when the question was asked. These purges may be written while
    /// the question is on its way.
    unwritten: Vec<u16>,
}

impl PurgeQuestion {
    /// Returns the smallest number of the purges that are asked for; 0 if all purges have to be read. The counter has
    /// the largest number of its set, so the reply contains the counter in any case.
    pub fn from(&self) -> u64 {
        if self.is_whole { self.number } else { 0 }
    }
}

/// The purges in a reply of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeNews {
    pub count: PurgeCount,
    pub places: Vec<(u16, u64)>,
}

/// The places of a page's subjects, and the number of purges by other processes that this process had learnt of when
/// the page's making began.
#[derive(Clone, Debug)]
pub struct SharedStamp {
    pub learnt: u64,
    pub places: Box<[u16]>,
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
    /// Returns the number of purges by other processes that this process has learnt of.
    pub fn learnt(&self) -> u64 {
        self.learnt.load(Ordering::SeqCst)
    }

    /// Returns the number of the last purge of any of these places by another process, in the count of
    /// [`Self::learnt`]; 0 if no purge concerned these places.
    pub fn since(&self, places: &[u16]) -> u64 {
        let at = |place: &u16| self.learnt_at.get(usize::from(*place)).map_or(0, |last| last.load(Ordering::SeqCst));
        places.iter().map(at).max().unwrap_or(0)
    }

    /// Returns whether a page is still valid: since its making began, this process hasn't learnt of a purge that
    /// concerns it.
    pub fn is_valid(&self, stamp: &SharedStamp) -> bool {
        self.since(&stamp.places) <= stamp.learnt
    }

    /// Returns the known state of the store's counter, for a page whose making begins now; `None` if purges may be
    /// missing.
    pub fn count(&self) -> Option<PurgeCount> {
        let known = self.known();
        let series = known.series.filter(|_| known.is_whole)?;
        Some(PurgeCount { series, number: known.number })
    }

    /// Begins a question for the purges under a name, which is derived from the key with the number `key`. If the name
    /// isn't the name of the last question, because the keys were changed, forgets all known purges.
    pub fn ask(&self, name: &str, key: u32) -> PurgeQuestion {
        let unwritten = self.unwritten(key).into_iter().map(|purge| purge.place).collect();
        let mut known = self.known();
        if known.name != name {
            *known = KnownPurges { name: name.to_owned(), ..KnownPurges::default() };
        }
        let KnownPurges { series, number, largest, is_whole, .. } = *known;
        PurgeQuestion { name: name.to_owned(), key, series, number, largest, is_whole, unwritten }
    }

    /// Learns the purges in the reply to a question. `news` is `None` if the store has no counter at or above the
    /// number that was asked for. Returns the series if all of its purges up to the reply are now known, and otherwise
    /// `None`.
    pub fn learn(&self, asked: &PurgeQuestion, news: Option<&PurgeNews>) -> Option<u64> {
        let mut known = self.known();
        // The keys changed while the question was on its way, so the reply is ignored. Test:
        // `a_late_reply_of_the_store_is_not_taken_for_a_counter_that_went_back`.
        if known.name != asked.name {
            return None;
        }
        let Some(PurgeNews { count: PurgeCount { series, number }, places }) = news else {
            known.is_whole = false;
            return None;
        };
        // The number is compared with the number that was known when the question was asked, because replies may
        // overtake one another. Test: `a_late_reply_of_the_store_is_not_taken_for_a_counter_that_went_back`.
        if asked.series == Some(*series) && *number < asked.largest {
            // Later numbers of the series aren't trusted either, so the whole series is given up. Test:
            // `an_older_state_of_purges_from_the_store_is_rejected`.
            known.went_back = Some(*series);
        }
        // If the question was for a part of the purges, the reply lacks the other purges. It can then be added only to
        // the same series, and only if the other purges are known. Test:
        // `lost_purge_numbers_make_misses_until_all_are_read`.
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
        // A reply that a later reply has overtaken doesn't lower the number. Test:
        // `a_late_reply_of_the_store_is_not_taken_for_a_counter_that_went_back`.
        (known.number, known.is_whole) = (known.number.max(*number), true);
        known.largest = known.largest.max(*number);
        Some(*series)
    }

    /// Raises the numbers of places. Numbers that are known already, such as those of this process's own purges, have
    /// no effect.
    fn raise(&self, known: &mut KnownPurges, places: &[(u16, u64)]) {
        known.last.resize(usize::from(SHARED_PLACES), 0);
        for (place, number) in places {
            let (Some(last), Some(learnt_at)) =
                (known.last.get_mut(usize::from(*place)), self.learnt_at.get(usize::from(*place)))
            else {
                continue;
            };
            // If the store was put back to an older state, its smaller number doesn't lower the known number. Test:
            // `an_older_state_of_purges_from_the_store_is_rejected`.
            if *number > *last {
                *last = *number;
                // The purge gets a number of this process, because the process's own numbers outlive a series. Test:
                // `pages_in_memory_are_dropped_when_a_purge_is_learnt`.
                let learnt = self.learnt.fetch_add(1, Ordering::SeqCst) + 1;
                learnt_at.store(learnt, Ordering::SeqCst);
            }
        }
    }

    /// Returns the stamp of a page from the store whose making began at `begun` and whose subjects have these places;
    /// `None` if the page was or may have been purged. `asked` is the question for purges that was sent together with
    /// the question for the page, and `series` is the series in its reply.
    pub fn admit(
        &self,
        asked: &PurgeQuestion,
        series: u64,
        begun: PurgeCount,
        places: Box<[u16]>,
    ) -> Option<SharedStamp> {
        // A purge that was unwritten when the question was asked may have been written since then without being in the
        // reply. Test: `a_purge_not_yet_in_the_store_already_applies`.
        let is_unsure = |place: &u16| asked.unwritten.contains(place) || self.is_unwritten(asked.key, *place);
        // Numbers of two series can't be compared, so a page of another series isn't used. Test:
        // `a_page_is_used_until_one_of_its_places_is_purged`.
        if begun.series != series || places.iter().any(is_unsure) {
            return None;
        }
        let known = self.known();
        if known.name != asked.name || !known.is_whole || known.series != Some(series) {
            return None;
        }
        // A place that is not known counts as purged.
        let last = |place: &u16| known.last.get(usize::from(*place)).copied().unwrap_or(u64::MAX);
        let is_current = places.iter().all(|place| last(place) <= begun.number);
        // `known` is still locked, so no purge is learnt between the comparison and the stamp.
        is_current.then(|| SharedStamp { learnt: self.learnt(), places })
    }

    /// Returns the series whose counter went back, which a new series has to replace; `None` if no counter went back.
    pub fn went_back(&self) -> Option<u64> {
        self.known().went_back
    }

    /// Records purges that are to be written to the store. Must be called before the pages in memory are purged.
    /// Otherwise a request could miss the page in memory and then use the same page from the store.
    pub fn note_unwritten(&self, places: impl Iterator<Item = (u32, u16)>) -> Vec<UnwrittenPurge> {
        let mut unwritten = self.unwritten_purges();
        unwritten.tickets += 1;
        let ticket = unwritten.tickets;
        let note = |(key, place)| {
            // A later purge of a place replaces the entry of the earlier purge, so the number of entries is bounded.
            unwritten.places.insert((key, place), ticket);
            UnwrittenPurge { key, place, ticket }
        };
        places.map(note).collect()
    }

    /// Returns the purges that the store may lack under the key with this number, at most one for each place.
    pub fn unwritten(&self, key: u32) -> Vec<UnwrittenPurge> {
        let unwritten = self.unwritten_purges();
        let own = unwritten.places.range((key, 0)..=(key, u16::MAX));
        own.map(|((key, place), ticket)| UnwrittenPurge { key: *key, place: *place, ticket: *ticket }).collect()
    }

    /// Returns the number of purges that the store may lack, under all keys.
    pub fn unwritten_count(&self) -> usize {
        self.unwritten_purges().places.len()
    }

    /// Records that the store has these purges. `count` is the counter of the store after the purges; `None` if the set
    /// of purges was deleted instead. A later purge of the same place, with another ticket, stays unwritten.
    pub fn written(&self, name: &str, purges: &[UnwrittenPurge], count: Option<PurgeCount>) {
        {
            let mut known = self.known();
            // The process's own purges don't count as learnt, because its memory has already dropped these pages.
            if let Some(PurgeCount { series, number }) = count
                // Numbers of another series, or under another key, can't be compared with the known ones.
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

    /// Forgets unwritten purges under all keys but these, because pages aren't found by keys that were removed.
    pub fn forget_others(&self, keys: &[u32]) {
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
