//! The page that the core returns, with the facts that an envelope writes.

use std::ops::{Deref, Range};

use crate::json::Span;
use crate::pagination::{
    answer::{Answer, Total},
    order::{Order, Ties},
    paging::UpstreamProfile,
    position::{Anchor, Hint, Item, Position, Target},
    rows,
    unsorted::Unsorted,
};

/// The place of an item of a page: the index of an answer, and the item's index in that answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// Index into [`PageFacts::answers`].
    pub answer: u32,
    /// Index into that answer's items.
    pub item: u32,
}

/// Consecutive items of a page that are also consecutive in one answer, separated only by a comma. Their bytes can be
/// copied as one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteRun {
    /// The number of items; at least one.
    pub items: usize,
    /// Index into [`PageFacts::answers`].
    pub answer: usize,
    /// The range of these items in that answer's body, in bytes.
    pub range: Range<usize>,
}

/// The strength of a page's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The page was read by offset only.
    Positional,
    /// The page was read by marks of the neighbouring items, or by a token of the upstream. By marks, an item that
    /// keeps its place relative to its neighbours is neither skipped nor repeated, as long as more of the marked items
    /// that are found kept their place than moved. By a token, no item of the answers is skipped, but items that the
    /// token skips are missing.
    Anchored,
    /// As exact, but a seam or an end was shown only by two answers that agree, by an answer and a count, or by a
    /// trusted filter. Changes between two answers may cancel out. This is the best level of a page by token.
    Checked,
    /// No item is skipped and none repeated, however much the list changes.
    Exact,
}

/// The reason why a page isn't proven, and is served with a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The answers don't contain the page's place.
    Position,
    /// The items contradict the declared order, or lack its keys.
    Order,
    /// A run of equal keys is longer than the answer.
    TieRun,
    /// The item that the cursor names is gone or changed, and its keys aren't known.
    Pivot,
    /// A seam or an end was assumed, because only more requests would show it and the route allows the assumption.
    Seam,
}

/// The claim of an upstream that a list goes on where a page ends it, and that no request could refute.
///
/// A count that is too high for good and a list of which the upstream shows only the beginning give the same answers.
/// So the end is served, with this mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoubtedEnd {
    /// The number of items, or of rows looked at, up to the end.
    pub reached: u64,
    /// The number of items or rows by the upstream's count; `None` if a flag, a link or a token says that more follow.
    pub said: Option<u64>,
}

/// The findings about a page besides its items, for logs, metrics and later pages.
#[derive(Clone, Debug, Default)]
pub struct PageNotes {
    /// The reason why the declared order couldn't be used and the page was read by marks; `None` if it wasn't.
    pub lowered: Option<Unsorted>,
    /// The number of items between the boundary and its hint, positive if the boundary is after the place that the hint
    /// names; `None` without a hint, or if the two are equal.
    pub drift: Option<i64>,
    /// The profile of the upstream after the page's answers.
    pub profile: UpstreamProfile,
    /// The largest page size that an answer of the walk has filled, on this page or an earlier one. The page's cursors
    /// contain the value, for the next page.
    pub honoured: u32,
    /// The number of upstream requests for the page.
    pub requests: u32,
    /// The number of the cursor's marks that were found out of sequence and ignored.
    pub stragglers: u32,
    /// The item whose keys were looked up for this page, with its present keys, for the pivot cache; `None` if no item
    /// was looked up.
    pub looked_up: Option<Anchor>,
}

/// A page of items in order.
///
/// Any module can read the facts. Only the judge sets or checks the items, the neighbours and the level of a proven
/// page. A strategy may set the total and the estimates (offsets and hints), but these neither add an item, nor omit
/// one, nor end the list.
#[derive(Clone, Debug)]
pub struct Page {
    facts: PageFacts,
    /// The strength of the proof. After the page is made, it is only ever lowered.
    level: Level,
    /// The list that the answers were checked against; `None` for a page that wasn't read by keys.
    pub(super) held_to: Option<ListHeldTo>,
    /// The findings besides the items.
    pub notes: PageNotes,
}

/// The list that the answers of a page were checked against. An unfiltered list begins where its first answer does, and
/// ordered ties are used one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListHeldTo {
    pub(super) is_filtered: bool,
    pub(super) ties: Ties,
}

/// The items of a page, its neighbours, and the other facts that an envelope writes.
#[derive(Clone, Debug, Default)]
pub struct PageFacts {
    /// The answers that contain the items.
    pub answers: Vec<Answer>,
    /// The items in order, at most as many as the limit.
    pub items: Vec<ItemPlace>,
    /// The place where the next page begins; `None` at the end of the list, and on a page made without neighbours.
    pub next: Option<Target>,
    /// The place where the previous page ends; `None` at the start of the list, if no token leads back, and on a page
    /// made without neighbours.
    pub previous: Option<Target>,
    /// The last page; `None` if the list is empty, or if its total isn't exact and the list can't be read from its end.
    pub last: Option<Target>,
    /// The size of the list by the last answer, or by the route's `totals`; `None` if it isn't known.
    pub total: Option<Total>,
    /// The expected offset of the first item, counted from 0.
    pub offset: u64,
    /// The reason why the page isn't proven; `None` if it is.
    pub unproven: Option<Unproven>,
    /// True if the budget ended before the page was full, and the route serves short pages.
    pub short: bool,
    /// The claim that the list goes on after this page, which has no next page; `None` if nothing contradicts the end.
    pub doubted_end: Option<DoubtedEnd>,
    /// The first and the last item; `None` on an empty page, or if the items' keys can't be read.
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
    /// The page was read by offset only.
    Positional,
    /// The page was read by marks, or by a token.
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

    /// Makes a page of items at the requested offset, without neighbours. Its level is [`Level::Positional`].
    #[must_use]
    pub fn positional(answers: Vec<Answer>, items: Vec<ItemPlace>) -> Self {
        Self::new(Level::Positional, PageFacts { answers, items, ..PageFacts::default() })
    }

    pub(super) fn new(level: Level, facts: PageFacts) -> Self {
        Self { facts, level, held_to: None, notes: PageNotes::default() }
    }

    /// Returns the facts mutably, for the other modules of the judge.
    pub(super) fn facts_mut(&mut self) -> &mut PageFacts {
        &mut self.facts
    }

    /// Returns the facts mutably. The simulator plants faults in them to test that the checker finds these.
    #[cfg(feature = "rules")]
    pub fn spoil(&mut self) -> &mut PageFacts {
        &mut self.facts
    }

    /// Returns the facts without the level and the notes.
    #[must_use]
    pub fn into_facts(self) -> PageFacts {
        self.facts
    }

    /// Returns the strength of the page's proof.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Lowers the level to `level` if it is higher.
    pub(in crate::pagination) fn lower(&mut self, level: Level) {
        self.level = self.level.min(level);
    }

    /// Returns whether the answers of a proven page were checked against the whole list in this order. Also true of a
    /// page by token, which is checked against tokens instead, and of a page that claims no proof.
    pub(in crate::pagination) fn is_held_to(&self, order: &Order) -> bool {
        let whole = ListHeldTo { is_filtered: false, ties: order.ties };
        self.level < Level::Checked || self.held_to.is_none_or(|held| held == whole)
    }

    /// Returns the page marked as not proven, for this reason. Its level becomes [`Level::Positional`].
    #[must_use]
    pub fn flagged(mut self, why: Unproven) -> Self {
        (self.facts.unproven, self.level) = (Some(why), Level::Positional);
        self
    }

    /// Returns the page marked as cut off by the budget.
    #[must_use]
    pub fn cut_short(mut self) -> Self {
        self.facts.short = true;
        self
    }

    /// Marks the end that the page claims as contradicted. The items keep their level.
    pub(in crate::pagination) fn doubt_end(&mut self, doubt: DoubtedEnd) {
        debug_assert!(self.facts.next.is_none(), "only an end is doubted");
        self.facts.doubted_end = Some(doubt);
    }

    /// Returns a page of the flipped list as a page of the list: its items, neighbours and edges are reversed. A place
    /// counted from the start of one list becomes a place counted from the end of the other.
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
        // The last page of the flipped list is the first page of the list, so it isn't the last page here.
        facts.last = None;
        facts.offset = match &facts.previous {
            None => 0,
            Some(Target { position: Position::Before(_), hint }) if !hint.from_end => hint.offset.0,
            Some(_) => counted.map_or(0, |total| total.saturating_sub(facts.offset.saturating_add(count))),
        };
        self.notes.drift = self.notes.drift.map(|drift| -drift);
        self
    }

    /// Returns the position of the next page, and its hint, whose estimate a strategy may improve; `None` without a
    /// next page.
    pub(in crate::pagination) fn aim_next(&mut self) -> Option<(&Position, &mut Hint)> {
        self.facts.next.as_mut().map(|Target { position, hint }| (&*position, hint))
    }

    /// Returns the position of the previous page, and its hint, whose estimate a strategy may improve; `None` without a
    /// previous page.
    pub(in crate::pagination) fn aim_previous(&mut self) -> Option<(&Position, &mut Hint)> {
        self.facts.previous.as_mut().map(|Target { position, hint }| (&*position, hint))
    }

    /// Sets [`PageFacts::offset`], the expected offset of the first item.
    pub(in crate::pagination) fn expect_at(&mut self, offset: u64) {
        self.facts.offset = offset;
    }

    /// Sets the total of the page, which isn't part of the proof.
    pub(in crate::pagination) fn tell(&mut self, total: Option<Total>) {
        self.facts.total = total;
    }

    /// Sets the hint of the link to the last page; `None` removes the link.
    pub(in crate::pagination) fn lead_to_the_end(&mut self, last: Option<Hint>) {
        self.facts.last = last.map(|hint| Target { position: Position::End, hint });
    }

    /// Returns the hints of the next, the previous and the last page, as far as the page links to them.
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

    /// Returns the number of items at or before an anchor, in the order of the list; `None` if the keys don't show it. A
    /// page right after the anchor has none of these items, so two walks that meet at an anchor share no item and leave
    /// out none: one ends with the items at or before the anchor, and the other begins right after it.
    #[must_use]
    pub fn count_through(&self, order: &Order, anchor: &Anchor) -> Option<usize> {
        let is_keyed = order.declared && !matches!(self.edges, Some((Item::Marked(_), _)));
        // A walk continues after an opaque value where an answer shows it, which isn't decided by comparison.
        if !is_keyed || rows::opaque_at(order, anchor).is_some() {
            return None;
        }
        let is_through = |place: &ItemPlace| {
            let answer = self.answers.get(place.answer as usize)?;
            Some(rows::relate(answer, order, place.item as usize, anchor)?.whole.is_le())
        };
        let through: Vec<bool> = self.items.iter().map(is_through).collect::<Option<_>>()?;
        through
            .is_sorted_by(|left, right| left >= right)
            .then(|| through.iter().filter(|is_through| **is_through).count())
    }

    /// Returns the longest byte run that begins with the item at `index`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pagination::{
        key::KeyValue,
        order::{Kind, SortKey, Ties},
    };

    /// Makes a page of items with a rank and an id.
    fn page(items: &[(&str, u32)]) -> Page {
        let (mut body, mut spans, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (rank, id) in items {
            let start = body.len();
            let mut push = |text: &str| {
                let start = u32::try_from(body.len()).unwrap();
                body.extend_from_slice(text.as_bytes());
                keys.push(Span { start, end: u32::try_from(body.len()).unwrap() });
            };
            push(rank);
            push(&id.to_string());
            spans.push(Span { start: u32::try_from(start).unwrap(), end: u32::try_from(body.len()).unwrap() });
        }
        let places = (0..items.len()).map(|item| ItemPlace { answer: 0, item: u32::try_from(item).unwrap() });
        Page::positional(vec![Answer::listed(body, spans, keys)], places.collect())
    }

    fn anchor(rank: u32, id: u32) -> Anchor {
        Anchor { keys: vec![KeyValue::Number(rank.to_string())], id: KeyValue::Number(id.to_string()) }
    }

    #[test]
    fn a_page_is_divided_at_an_item_even_if_the_item_is_gone() {
        let rank = |kind| SortKey { kind, ..SortKey::ascending("rank") };
        let order = |kind| Order::declared(vec![rank(kind)], SortKey::ascending("id"), Ties::Unordered);
        let by_number = order(Kind::Number);
        let five = page(&[("1", 4), ("2", 1), ("2", 3), ("2", 7), ("5", 2)]);
        for (rank, id, expected) in [
            (1, 1, 0),
            (1, 4, 1),
            (1, 9, 1),
            (2, 1, 2),
            (2, 2, 2),
            (2, 3, 3),
            (2, 9, 4),
            (4, 9, 4),
            (5, 2, 5),
            (9, 0, 5),
        ] {
            assert_eq!(five.count_through(&by_number, &anchor(rank, id)), Some(expected), "{rank} {id}");
        }
        assert_eq!(page(&[]).count_through(&by_number, &anchor(1, 1)), Some(0));
        let unsorted = page(&[("5", 1), ("2", 2)]);
        assert_eq!(unsorted.count_through(&by_number, &anchor(3, 1)), None);
        assert_eq!(page(&[("null", 1)]).count_through(&by_number, &anchor(3, 1)), None, "it can't be compared");
        assert_eq!(five.count_through(&order(Kind::Opaque), &anchor(2, 1)), None);
        let undeclared = Order::undeclared(SortKey::ascending("id"));
        assert_eq!(five.count_through(&undeclared, &anchor(2, 1)), None);
    }
}
