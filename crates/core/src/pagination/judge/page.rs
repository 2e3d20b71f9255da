//! What the core hands to the envelope.

use std::ops::Range;

use crate::json::Span;
use crate::pagination::{
    answer::{Answer, Total},
    paging::UpstreamProfile,
    position::{Anchor, Item, Target},
    unsorted::Unsorted,
};

/// Where an item of a page stands: in which answer, at which place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// Index into [`Page::answers`].
    pub answer: u32,
    /// Index into that answer's items.
    pub item: u32,
}

/// Items of a page that stand in an answer as they would be written: one after the other, with nothing but a comma between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many items; at least one.
    pub items: usize,
    /// Index into [`Page::answers`].
    pub answer: usize,
    /// Where they are in that answer's body.
    pub range: Range<usize>,
}

/// How sure a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// By offset alone.
    Positional,
    /// By marks of the items around: what keeps its place relative to its neighbours is neither skipped nor repeated
    /// while a mark is left within reach. Or by a token of the upstream's: of what its answers show nothing is skipped, and
    /// what the token leads past they don't show.
    Anchored,
    /// As exact, but something could only be seen in two answers.
    Checked,
    /// None skipped, none repeated, however much the collection changes.
    Exact,
}

/// Why a page that is served flagged is not proven.
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
    /// A seam that only further requests would show was not looked at, as the route says.
    Seam,
}

/// A page of items in order.
#[derive(Clone, Debug)]
pub struct Page {
    /// The answers that the items are slices of.
    pub answers: Vec<Answer>,
    /// The items, in order; at most the limit.
    pub items: Vec<ItemPlace>,
    /// Where the next page begins; none at the end of the collection.
    pub next: Option<Target>,
    /// Where the previous page ends; none at the start.
    pub previous: Option<Target>,
    /// The last page, where the list is not empty and its total is exact, or it can be read from its end.
    pub last: Option<Target>,
    /// The size of the collection as of the last answer, or as the route wants it told.
    pub total: Option<Total>,
    /// The offset at which the first item is believed to stand.
    pub offset: u64,
    /// How sure it is: set by the judge, and only ever lowered elsewhere.
    pub(super) level: Level,
    /// Why it is not sure.
    pub unproven: Option<Unproven>,
    /// Why the declared order was of no use, so that the page was read by marks.
    pub lowered: Option<Unsorted>,
    /// The budget ended before the page was full, and the route serves short pages.
    pub short: bool,
    /// How far from its hint the boundary was found; none where there was no hint, or no drift.
    pub drift: Option<i64>,
    /// What is known of the upstream now.
    pub profile: UpstreamProfile,
    /// The largest size that the walk has seen filled, this page included: what its cursors carry on.
    pub honoured: u32,
    /// How many upstream requests it took.
    pub requests: u32,
    /// The first and the last item; none on an empty page, or where the keys can't be read.
    pub edges: Option<(Item, Item)>,
    /// How many marks were out of their order, and outvoted by the others.
    pub stragglers: u32,
    /// The item whose keys were looked up for this page, as they are now; whoever remembers pivots remembers it.
    pub looked_up: Option<Anchor>,
}

/// A level that needs no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Unfounded {
    /// By offset alone.
    Positional,
    /// By marks, or by a token.
    Anchored,
}

impl Page {
    /// Makes a page of items that no evidence is needed for, with no neighbours.
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
            lowered: None,
            short: false,
            drift: None,
            profile: UpstreamProfile::default(),
            honoured: 0,
            requests: 0,
            edges: None,
            stragglers: 0,
            looked_up: None,
        }
    }

    /// How sure it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Makes it at most as sure as this.
    pub(in crate::pagination) fn lower(&mut self, level: Level) {
        self.level = self.level.min(level);
    }
    /// The bytes of the item at `index`, as the upstream sent them.
    #[must_use]
    pub fn item(&self, index: usize) -> &[u8] {
        let place = self.items[index];
        self.answers[place.answer as usize].item(place.item as usize)
    }

    /// The longest run that begins with the item at `index`.
    #[must_use]
    pub fn run(&self, index: usize) -> Run {
        let first = self.items[index];
        let answer = &self.answers[first.answer as usize];
        let spans = &answer.items[first.item as usize..];
        let goes_on = |(place, (before, span)): (&ItemPlace, (&Span, &Span))| {
            let is_next = place.answer == first.answer && answer.items.get(place.item as usize) == Some(span);
            is_next && span.start == before.end + 1 && answer.body[before.end as usize] == b','
        };
        let behind = self.items[index + 1..].iter().zip(spans.iter().zip(&spans[1..]));
        let items = 1 + behind.take_while(|next| goes_on(*next)).count();
        let range = spans[0].start as usize..spans[items - 1].end as usize;
        Run { items, answer: first.answer as usize, range }
    }
}
