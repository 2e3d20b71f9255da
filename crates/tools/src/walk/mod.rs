//! Walks of lists to their ends, as clients read them, and comparisons of walks with direct listings.
//!
//! The module does no I/O: a [`Pager`] writes the request for a place, and reads the answer as a page with the place of
//! the next one. There are three pagers:
//!
//! - `follower`: by links and cursors, as clients of the gateway read a list. `envelope` recognises a built-in envelope
//!   by the first answer; other answers are followed by their `Link` headers.
//! - `direct`: by a dialect, page after page, as clients of the upstream read a list without the gateway. It proves
//!   nothing: its purpose is to show the items that such clients lose.
//! - `listing`: by a dialect, until nothing shows that more items follow, for comparisons. `ending` judges its end.
//!
//! [`comparison`] compares a walk with direct listings before and after it, and distinguishes losses from changes of
//! the list; [`report`] writes the result for people.

pub mod comparison;
mod direct;
pub mod ending;
mod envelope;
mod follower;
mod listing;
mod page;
pub mod report;

pub use direct::DirectPager;
use ending::EndReview;
pub use follower::Follower;
pub use listing::ListingPager;
pub use page::{WalkPlace, WalkedPage, refusal};

use cursorgate_learn::{ProbeAnswer, ProbeRequest};

/// The way in which a list is walked.
#[derive(Debug)]
pub enum Pager<'d> {
    /// Pages are requested by links and cursors.
    Links(Box<Follower>),
    /// Pages are requested by a dialect, as clients do.
    Direct(DirectPager<'d>),
    /// Pages are requested by a dialect, until nothing shows that more items follow.
    Listing(Box<ListingPager<'d>>),
}

impl Pager<'_> {
    /// Returns the place of the first page.
    #[must_use]
    pub fn start(&self) -> WalkPlace {
        match self {
            Self::Links(follower) => follower.start(),
            Self::Direct(direct) => direct.start(),
            Self::Listing(listing) => listing.start(),
        }
    }

    /// Writes the request for a place. It is a GET.
    ///
    /// # Errors
    ///
    /// Returns the reason if the place can't be requested by GET.
    pub fn request(&self, place: &WalkPlace) -> Result<ProbeRequest, String> {
        match self {
            Self::Links(follower) => follower.request(place),
            Self::Direct(direct) => direct.request(place),
            Self::Listing(listing) => listing.request(place),
        }
    }

    /// Reads the answer for a place.
    ///
    /// # Errors
    ///
    /// Returns the reason if the answer isn't a page, or if it does not show whether another page follows.
    pub fn read(&mut self, place: &WalkPlace, answer: ProbeAnswer) -> Result<WalkedPage, String> {
        match self {
            Self::Links(follower) => follower.read(place, answer),
            Self::Direct(direct) => direct.read(place, answer),
            Self::Listing(listing) => listing.read(place, answer),
        }
    }

    /// Returns whether the items of pages have the upstream's own bytes.
    #[must_use]
    pub fn keeps_items(&self) -> bool {
        match self {
            Self::Links(follower) => follower.keeps_items(),
            Self::Direct(_) | Self::Listing(_) => true,
        }
    }

    /// Returns whether a place that occurs again shows that the links are circular. A listing reads some places again,
    /// and notices circular tokens itself.
    #[must_use]
    pub fn visits_places_once(&self) -> bool {
        !matches!(self, Self::Listing(_))
    }

    /// Continues after a request that got no answer. Returns `None` if the walk can't continue without it.
    pub fn without_answer(&mut self) -> Option<WalkedPage> {
        match self {
            Self::Listing(listing) => listing.without_answer(),
            Self::Links(_) | Self::Direct(_) => None,
        }
    }

    /// Compares what the answers so far said about the end of the list with what was read. `changes` is the number of
    /// items that came or left meanwhile, and `rows` the total of a direct reading ([`EndReview::rows`]).
    #[must_use]
    pub fn end_review(&self, changes: u64, rows: Option<u64>) -> EndReview {
        match self {
            Self::Links(follower) => follower.end_review(changes, rows),
            Self::Listing(listing) => listing.ending().review(changes),
            Self::Direct(_) => EndReview::default(),
        }
    }
}
