//! Purges: a number for each subject, raised by a purge. An entry is valid if none of its subjects was purged since its
//! making began.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// The subjects that are told apart. Two subjects in one place are purged together, which costs pages and never keeps one.
const PLACES: usize = 8_192;

/// The subject of a purge, and of the pages that it purges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PurgeSubject<'a> {
    /// All pages of a route.
    Route(&'a str),
    /// The pages of the list at a path, which a route may have several of.
    Collection(&'a str, &'a str),
    /// The pages with a tag.
    Tag(&'a str),
}

/// The number of the last purge for each subject.
#[derive(Debug)]
pub(crate) struct Generations {
    hashes: RandomState,
    /// The number of purges so far.
    purges: AtomicU64,
    places: Box<[AtomicU64]>,
    /// The last purge of any tag.
    last_of_tags: AtomicU64,
    counts: [AtomicU64; PURGES.len()],
}

/// The causes of purges, as metrics name them.
pub(crate) const PURGES: [&str; 3] = ["route", "write", "tag"];

/// The subjects of an entry, and the purges before its making began.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    before: u64,
    places: Box<[u16]>,
}

impl PurgeSubject<'_> {
    /// Returns the bytes by which processes that share a store know the subject.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let (kind, parts) = match self {
            Self::Route(route) => (0, [route, ""]),
            Self::Collection(route, path) => (1, [route, path]),
            Self::Tag(tag) => (2, [tag, ""]),
        };
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
    /// Returns the number of purges so far, which is read before the upstream is asked.
    pub(crate) fn now(&self) -> u64 {
        self.purges.load(Ordering::SeqCst)
    }

    /// Returns the stamp of an entry whose making began after `before` purges.
    pub(crate) fn stamp<'s>(&self, before: u64, subjects: impl Iterator<Item = PurgeSubject<'s>>) -> Stamp {
        Stamp { before, places: subjects.map(|subject| self.place(subject)).collect() }
    }

    /// Returns whether no purge has concerned an entry.
    pub(crate) fn is_valid(&self, stamp: &Stamp) -> bool {
        stamp.places.iter().all(|place| self.last(*place) <= stamp.before)
    }

    /// Returns the last purge that may concern a page of this route and path. Its tags are not known before its answers.
    pub(crate) fn since(&self, route: &str, path: &str) -> u64 {
        let last = |subject| self.last(self.place(subject));
        let own = last(PurgeSubject::Route(route)).max(last(PurgeSubject::Collection(route, path)));
        own.max(self.last_of_tags.load(Ordering::SeqCst))
    }

    /// Purges all entries of a subject, also those that are being made.
    pub(crate) fn purge(&self, subject: PurgeSubject<'_>) {
        let number = self.purges.fetch_add(1, Ordering::SeqCst) + 1;
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

    /// Returns the number of purges by a cause, by its index in [`PURGES`].
    pub(crate) fn count(&self, cause: usize) -> u64 {
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
