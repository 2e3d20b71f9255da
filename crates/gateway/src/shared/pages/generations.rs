//! Purges by this process. Each purge has a number, counted from 1, and each subject has the number of its last purge.
//! An entry is valid if none of its subjects has been purged since its making began. So a purge takes the same time
//! however many pages are kept, and applies to pages that are still being made. Test:
//! `a_purge_drops_pages_that_are_being_made`.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// The number of places for the numbers of subjects, which are found by a hash. Two subjects that share a place are
/// purged together. This can drop valid pages, but never keeps a purged page.
const PLACES: usize = 8_192;

/// The subject of a purge. Each page has several subjects, and a purge of any of them drops the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PurgeSubject<'a> {
    /// All pages of a route.
    Route(&'a str),
    /// All pages of the list at a path of a route. A route whose path has parameters serves several lists.
    Collection(&'a str, &'a str),
    /// All pages with a tag. The tags are those of the upstream's answers and the name of the route.
    Tag(&'a str),
}

/// The number of the last purge for each subject.
#[derive(Debug)]
pub struct Generations {
    hashes: RandomState,
    /// The number of purges so far.
    purges: AtomicU64,
    /// The number of the last purge for each place.
    places: Box<[AtomicU64]>,
    /// The number of the last purge of any tag.
    last_of_tags: AtomicU64,
    /// The numbers of purges by cause, in the order of [`PURGES`].
    counts: [AtomicU64; PURGES.len()],
}

/// The causes of purges, as metrics name them.
pub const PURGES: [&str; 3] = ["route", "write", "tag"];

/// The places of an entry's subjects, and the number of purges before its making began.
#[derive(Clone, Debug)]
pub struct Stamp {
    before: u64,
    places: Box<[u16]>,
}

impl PurgeSubject<'_> {
    /// Returns the subject as bytes, which are the same in all processes that share a store.
    pub fn bytes(self) -> Vec<u8> {
        let (kind, parts) = match self {
            Self::Route(route) => (0, [route, ""]),
            Self::Collection(route, path) => (1, [route, path]),
            Self::Tag(tag) => (2, [tag, ""]),
        };
        // With the length, the parts (`ab`, `c`) and (`a`, `bc`) have different bytes.
        let length = (parts[0].len() as u64).to_le_bytes();
        [&[kind], &length[..], parts[0].as_bytes(), parts[1].as_bytes()].concat()
    }
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            hashes: RandomState::new(),
            purges: AtomicU64::new(0),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            last_of_tags: AtomicU64::new(0),
            counts: Default::default(),
        }
    }
}

impl Generations {
    /// Returns the number of purges so far. A page's stamp needs the number from before the first request to the
    /// upstream.
    pub fn now(&self) -> u64 {
        self.purges.load(Ordering::SeqCst)
    }

    /// Returns the stamp of an entry whose making began after `before` purges.
    pub fn stamp<'s>(&self, before: u64, subjects: impl Iterator<Item = PurgeSubject<'s>>) -> Stamp {
        Stamp { before, places: subjects.map(|subject| self.place(subject)).collect() }
    }

    /// Returns whether no subject of an entry has been purged since the making of the entry began.
    pub fn is_valid(&self, stamp: &Stamp) -> bool {
        stamp.places.iter().all(|place| self.last(*place) <= stamp.before)
    }

    /// Returns the number of the last purge that may concern a page of this route and path. A purge of any tag counts,
    /// because a page's tags are not known before its answers.
    pub fn since(&self, route: &str, path: &str) -> u64 {
        let last = |subject| self.last(self.place(subject));
        let own = last(PurgeSubject::Route(route)).max(last(PurgeSubject::Collection(route, path)));
        own.max(self.last_of_tags.load(Ordering::SeqCst))
    }

    /// Purges all entries of a subject, including those that are being made.
    pub fn purge(&self, subject: PurgeSubject<'_>) {
        let number = self.purges.fetch_add(1, Ordering::SeqCst) + 1;
        // The maximum is stored, because concurrent purges may get here in another order than they took their numbers.
        self.places[usize::from(self.place(subject))].fetch_max(number, Ordering::SeqCst);
        let cause = match subject {
            PurgeSubject::Route(_) => 0,
            PurgeSubject::Collection(..) => 1,
            PurgeSubject::Tag(_) => 2,
        };
        if let PurgeSubject::Tag(_) = subject {
            self.last_of_tags.fetch_max(number, Ordering::SeqCst);
        }
        self.counts[cause].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of purges by the cause with this index in [`PURGES`].
    pub fn count(&self, cause: usize) -> u64 {
        self.counts.get(cause).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn last(&self, place: u16) -> u64 {
        self.places[usize::from(place)].load(Ordering::SeqCst)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 8,192")]
    fn place(&self, subject: PurgeSubject<'_>) -> u16 {
        (self.hashes.hash_one(subject) % PLACES as u64) as u16
    }
}
