//! The result of the core, for the envelope.

use std::ops::{Deref, Range};

use crate::json::Span;
use crate::pagination::{
    answer::{Answer, Total},
    order::{Order, Ties},
    paging::UpstreamProfile,
    position::{Anchor, Hint, Item, Position, Target},
    unsorted::Unsorted,
};

/// The place of an item of a page: an answer, and the item's place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// Index into [`PageFacts::answers`].
    pub answer: u32,
    /// Index into that answer's items.
    pub item: u32,
}

/// Items of a page that stand in an answer as they would be written: one after the other, separated by a comma alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteRun {
    /// The number of items; at least one.
    pub items: usize,
    /// Index into [`PageFacts::answers`].
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
    /// neither skipped nor repeated while a mark is left within reach. Or it is read by a token of the upstream: no
    /// item that its answers show is skipped, but items that the token leads past are not shown.
    Anchored,
    /// As exact, but a seam or an end was seen only in two answers that agree, or in an answer and a count, or rests
    /// on a filter that is trusted: changes between two answers may cancel out. The best level of a page by token.
    Checked,
    /// No item is skipped and none repeated, however much the list changes.
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
    /// A seam or an end that only further requests would show was assumed, as the route says.
    Seam,
}

/// The findings of a page beside its items: for logs and metrics, and for the pages that follow.
#[derive(Clone, Debug, Default)]
pub struct PageNotes {
    /// The reason for which the declared order was of no use, so that the page was read by marks.
    pub lowered: Option<Unsorted>,
    /// The distance in items of the boundary from its hint, positive if it is farther from the start; `None` if there
    /// was no hint, or no distance.
    pub drift: Option<i64>,
    /// The profile of the upstream after the page.
    pub profile: UpstreamProfile,
    /// The largest size that the walk has seen filled, this page included. Its cursors carry it on.
    pub honoured: u32,
    /// The number of upstream requests that it took.
    pub requests: u32,
    /// The number of the cursor's marks that were found out of their order, so that the others decided.
    pub stragglers: u32,
    /// The item whose keys were looked up for this page, with its keys as they are now, for the cache of pivots.
    pub looked_up: Option<Anchor>,
}

/// A page of items in order.
///
/// Its facts can be read by everyone. Those of a proven page are set or checked in the judge alone: no estimate of a
/// strategy adds an item to it, leaves one out, or ends the list.
#[derive(Clone, Debug)]
pub struct Page {
    facts: PageFacts,
    /// The strength of the proof, which is only ever lowered.
    level: Level,
    /// The list that its answers were held to; `None` for a page that was not read by keys.
    pub(super) held_to: Option<ListHeldTo>,
    /// The findings beside the items.
    pub notes: PageNotes,
}

/// The list that the answers of a page were compared with. A list without a filter begins where its first answer does,
/// and ordered ties are used one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListHeldTo {
    pub(super) is_filtered: bool,
    pub(super) ties: Ties,
}

/// The items of a page and its neighbours.
#[derive(Clone, Debug, Default)]
pub struct PageFacts {
    /// The answers that the items are slices of.
    pub answers: Vec<Answer>,
    /// The items, in order; at most the limit.
    pub items: Vec<ItemPlace>,
    /// The place at which the next page begins; `None` at the end of the list.
    pub next: Option<Target>,
    /// The place at which the previous page ends; `None` at the start.
    pub previous: Option<Target>,
    /// The last page, if the list is not empty and its total is exact, or if the list can be read from its end.
    pub last: Option<Target>,
    /// The size of the list by the last answer, or as the route's `totals` says.
    pub total: Option<Total>,
    /// The expected offset of the first item.
    pub offset: u64,
    /// The reason for which the page is not proven.
    pub unproven: Option<Unproven>,
    /// True if the budget ended before the page was full, and the route serves short pages.
    pub short: bool,
    /// The first and the last item; `None` on an empty page, or if the keys can't be read.
    pub edges: Option<(Item, Item)>,
}

impl Deref for Page {
    type Target = PageFacts;

    fn deref(&self) -> &PageFacts {
        &self.facts
    }
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
    /// Makes a page of items that need no evidence.
    pub(in crate::pagination) fn unfounded(level: Unfounded, facts: PageFacts) -> Self {
        let level = match level {
            Unfounded::Positional => Level::Positional,
            Unfounded::Anchored => Level::Anchored,
        };
        Self::new(level, facts)
    }

    /// Makes a page of items that stand where they were asked for, with no neighbours: [`Level::Positional`].
    #[must_use]
    pub fn positional(answers: Vec<Answer>, items: Vec<ItemPlace>) -> Self {
        Self::new(Level::Positional, PageFacts { answers, items, ..PageFacts::default() })
    }

    /// Makes a page of this level.
    pub(super) fn new(level: Level, facts: PageFacts) -> Self {
        Self { facts, level, held_to: None, notes: PageNotes::default() }
    }

    /// Returns the facts mutably, for the judge.
    pub(super) fn facts_mut(&mut self) -> &mut PageFacts {
        &mut self.facts
    }

    /// Returns the facts mutably, so that the simulator can plant faults in them and check that the checker finds
    /// these.
    #[cfg(feature = "rules")]
    pub fn spoil(&mut self) -> &mut PageFacts {
        &mut self.facts
    }

    /// Returns the items and the neighbours alone.
    #[must_use]
    pub fn into_facts(self) -> PageFacts {
        self.facts
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

    /// Returns whether the answers of a proven page were compared with the whole list, in this order. True of a page by
    /// token, which was held to tokens instead, and of a page that claims no proof.
    pub(in crate::pagination) fn is_held_to(&self, order: &Order) -> bool {
        let whole = ListHeldTo { is_filtered: false, ties: order.ties };
        self.level < Level::Checked || self.held_to.is_none_or(|held| held == whole)
    }

    /// Marks the page as not proven: [`Level::Positional`].
    #[must_use]
    pub fn flagged(mut self, why: Unproven) -> Self {
        (self.facts.unproven, self.level) = (Some(why), Level::Positional);
        self
    }

    /// Marks the page as cut off by the budget.
    #[must_use]
    pub fn cut_short(mut self) -> Self {
        self.facts.short = true;
        self
    }

    /// Returns a page of the flipped list as one of the list: its items, its neighbours and its edges are turned round.
    /// A place counted from the start of one list is a place counted from the end of the other.
    pub(in crate::pagination) fn turned(mut self) -> Self {
        let facts = &mut self.facts;
        let counted = facts.total.filter(|total| total.exact).map(|total| total.value);
        let count = facts.items.len() as u64;
        facts.items.reverse();
        facts.edges = facts.edges.take().map(|(first, last)| (last, first));
        let (next, previous) = (facts.previous.take(), facts.next.take());
        facts.next = next.map(|target| target.turned(counted));
        facts.previous = previous.map(|target| target.turned(counted));
        debug_assert!(
            facts.next.as_ref().is_none_or(|next| !next.position.is_backward()),
            "the next page of a turned page is read forward"
        );
        // The last page of the flipped list is the first one of the list.
        facts.last = None;
        facts.offset = match &facts.previous {
            None => 0,
            Some(Target { position: Position::Before(_), hint }) if !hint.from_end => hint.offset.0,
            Some(_) => counted.map_or(0, |total| total.saturating_sub(facts.offset.saturating_add(count))),
        };
        self.notes.drift = self.notes.drift.map(|drift| -drift);
        self
    }

    /// Returns the position of the next page, and its hint, so that a strategy can improve the estimate.
    pub(in crate::pagination) fn aim_next(&mut self) -> Option<(&Position, &mut Hint)> {
        self.facts.next.as_mut().map(|Target { position, hint }| (&*position, hint))
    }

    /// Returns the position of the previous page, and its hint, so that a strategy can improve the estimate.
    pub(in crate::pagination) fn aim_previous(&mut self) -> Option<(&Position, &mut Hint)> {
        self.facts.previous.as_mut().map(|Target { position, hint }| (&*position, hint))
    }

    /// Sets the expected offset of the first item.
    pub(in crate::pagination) fn expect_at(&mut self, offset: u64) {
        self.facts.offset = offset;
    }

    /// Sets the total of the page, which is no part of its proof.
    pub(in crate::pagination) fn tell(&mut self, total: Option<Total>) {
        self.facts.total = total;
    }

    /// Sets the hint of the link to the last page; `None` removes the link.
    pub(in crate::pagination) fn lead_to_the_end(&mut self, last: Option<Hint>) {
        self.facts.last = last.map(|hint| Target { position: Position::End, hint });
    }

    /// Returns the hints of the neighbours and of the last page.
    pub(in crate::pagination) fn hints(&mut self) -> impl Iterator<Item = &mut Hint> {
        let PageFacts { next, previous, last, .. } = &mut self.facts;
        [next, previous, last].into_iter().flatten().map(|target| &mut target.hint)
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
