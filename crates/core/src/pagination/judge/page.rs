//! The result of the core, for the envelope.

use std::ops::Range;

use crate::json::Span;
use crate::pagination::{
    answer::{Answer, Total},
    paging::UpstreamProfile,
    position::{Anchor, Item, Target},
    unsorted::Unsorted,
};

/// The place of an item of a page: an answer, and the item's place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// Index into [`Page::answers`].
    pub answer: u32,
    /// Index into that answer's items.
    pub item: u32,
}

/// Items of a page that stand in an answer as they would be written: one after the other, separated by a comma alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteRun {
    /// The number of items; at least one.
    pub items: usize,
    /// Index into [`Page::answers`].
    pub answer: usize,
    /// The bytes of that answer's body in which they are.
    pub range: Range<usize>,
}

/// The strength of a page's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The page is read by offset alone.
    Positional,
    /// The page is read by marks of the items around: an item that keeps its place relative to its neighbours is
    /// neither skipped nor repeated while a mark is left within reach. Or it is read by a token of the upstream's: no
    /// item that its answers show is skipped; items that the token leads past are not shown.
    Anchored,
    /// As exact, but a seam or an end could only be seen in two answers that agree.
    Checked,
    /// No item is skipped and none repeated, however much the collection changes.
    Exact,
}

/// The reason for which a page that is served flagged is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Its place was not in the answers.
    Position,
    /// The items contradict the declared order, or lack its keys.
    Order,
    /// A run of equal keys was longer than the answer.
    TieRun,
    /// The item that the cursor names is gone or changed, and its keys are not known.
    Pivot,
    /// A seam or an end that only further requests would show was not looked at, as the route says.
    Seam,
}

/// The findings of a page beside its items: for logs and metrics, and for the pages that follow.
#[derive(Clone, Debug, Default)]
pub struct PageNotes {
    /// The reason for which the declared order was of no use, so that the page was read by marks.
    pub lowered: Option<Unsorted>,
    /// The distance of the boundary from its hint; `None` if there was no hint, or no distance.
    pub drift: Option<i64>,
    /// The knowledge of the upstream now.
    pub profile: UpstreamProfile,
    /// The largest size that the walk has seen filled, this page included. Its cursors carry it on.
    pub honoured: u32,
    /// The number of upstream requests that it took.
    pub requests: u32,
    /// The number of marks that were out of their order, and outvoted by the others.
    pub stragglers: u32,
    /// The item whose keys were looked up for this page, as they are now, for a memory of pivots.
    pub looked_up: Option<Anchor>,
}

/// A page of items in order.
#[derive(Clone, Debug)]
pub struct Page {
    /// The answers that the items are slices of.
    pub answers: Vec<Answer>,
    /// The items, in order; at most the limit.
    pub items: Vec<ItemPlace>,
    /// The place at which the next page begins; `None` at the end of the collection.
    pub next: Option<Target>,
    /// The place at which the previous page ends; `None` at the start.
    pub previous: Option<Target>,
    /// The last page, if the list is not empty and its total is exact, or if the list can be read from its end.
    pub last: Option<Target>,
    /// The size of the collection as of the last answer, or as the route wants it to be told.
    pub total: Option<Total>,
    /// The expected offset of the first item.
    pub offset: u64,
    /// The strength of the proof: set by the judge, and only ever lowered elsewhere.
    pub(super) level: Level,
    /// The reason for which the page is not proven.
    pub unproven: Option<Unproven>,
    /// The budget ended before the page was full, and the route serves short pages.
    pub short: bool,
    /// The first and the last item; `None` on an empty page, or if the keys can't be read.
    pub edges: Option<(Item, Item)>,
    /// The findings beside the items.
    pub notes: PageNotes,
}

/// A level that needs no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Unfounded {
    /// The page is read by offset alone.
    Positional,
    /// The page is read by marks, or by a token.
    Anchored,
}

impl Page {
    /// Makes a page of items that need no evidence, with no neighbours.
    pub(in crate::pagination) fn unfounded(level: Unfounded, answers: Vec<Answer>, items: Vec<ItemPlace>) -> Self {
        let level = match level {
            Unfounded::Positional => Level::Positional,
            Unfounded::Anchored => Level::Anchored,
        };
        Self::new(level, answers, items)
    }

    /// Makes a page of items that stand where they were asked for, with no neighbours: [`Level::Positional`].
    #[must_use]
    pub fn positional(answers: Vec<Answer>, items: Vec<ItemPlace>) -> Self {
        Self::new(Level::Positional, answers, items)
    }

    /// Makes a page of items, with no neighbours.
    pub(super) fn new(level: Level, answers: Vec<Answer>, items: Vec<ItemPlace>) -> Self {
        Self {
            answers,
            items,
            next: None,
            previous: None,
            last: None,
            total: None,
            offset: 0,
            level,
            unproven: None,
            short: false,
            edges: None,
            notes: PageNotes::default(),
        }
    }

    /// Returns the strength of the page's proof.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Lowers the page to at most this level.
    pub(in crate::pagination) fn lower(&mut self, level: Level) {
        self.level = self.level.min(level);
    }

    /// Returns the bytes of the item at `index`, as the upstream sent them.
    #[must_use]
    pub fn item(&self, index: usize) -> &[u8] {
        let place = self.items[index];
        self.answers[place.answer as usize].item(place.item as usize)
    }

    /// Returns the longest run that begins with the item at `index`.
    #[must_use]
    pub fn run(&self, index: usize) -> ByteRun {
        let first = self.items[index];
        let answer = &self.answers[first.answer as usize];
        let spans = &answer.items[first.item as usize..];
        let goes_on = |(place, (before, span)): (&ItemPlace, (&Span, &Span))| {
            let is_next = place.answer == first.answer && answer.items.get(place.item as usize) == Some(span);
            is_next && span.start == before.end + 1 && answer.body[before.end as usize] == b','
        };
        let following = self.items[index + 1..].iter().zip(spans.iter().zip(&spans[1..]));
        let items = 1 + following.take_while(|next| goes_on(*next)).count();
        let range = spans[0].start as usize..spans[items - 1].end as usize;
        ByteRun { items, answer: first.answer as usize, range }
    }
}
