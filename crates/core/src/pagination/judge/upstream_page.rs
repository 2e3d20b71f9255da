//! A page of the upstream: the check of its order, the place of an anchor in it, and its tokens.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet, ops::Range, sync::Arc};

use super::evidence;
use crate::pagination::direction::Way;
use crate::{
    json::Span,
    pagination::{
        answer::Answer,
        fetch::Token,
        key,
        mark::{Mark, Marker},
        order::{Order, Ties},
        paging::{EndEvidence, Tokens},
        position::Anchor,
        request::PageRequest,
        rows,
        unsorted::Unsorted,
    },
};

/// The request for an upstream page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Asked {
    /// The token that was sent; `None` in the request for the first page.
    pub(in crate::pagination) token: Option<Token>,
    /// The direction in which the token leads.
    pub(in crate::pagination) way: Way,
    /// The requested number of items.
    pub(in crate::pagination) size: u32,
}

impl Asked {
    /// Returns whether this is the request for the page that a token leads to.
    pub(in crate::pagination) fn is_for(&self, way: Way, token: &Token) -> bool {
        self.way == way && self.token.as_ref() == Some(token)
    }
}

/// The continuation of the list beyond an upstream page, in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Lead {
    /// The list continues at this token.
    Token(Token),
    /// The list doesn't continue: its end, or its start, is reached.
    Edge,
    /// The upstream has no token for this direction.
    Unknown,
    /// The answer claims that more items follow by a flag that the dialect vouches for, but has no token for them.
    Broken,
}

/// The items of an upstream page that come before a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Passed {
    /// The number of items, counted in the direction of reading.
    pub(in crate::pagination) count: usize,
    /// The facts that determine `count`.
    pub(in crate::pagination) basis: Basis,
    /// True if an item after the place ties with the anchor, and the upstream does not order ties.
    pub(in crate::pagination) amid_ties: bool,
}

/// The facts that determine how many items come before a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Basis {
    /// The keys of the items.
    Keys,
    /// The position of the anchor itself, which is visible among ties in any order.
    Sight,
    /// The anchor isn't visible, and of its ties only the anchor was served. Either the anchor is gone, or it is after
    /// this page, to whose end the ties extend.
    Unseen,
    /// Some of the visible ties were served, but it isn't known which, so the number is a guess.
    Guess {
        /// True if the ties begin at the first item read, so more of them may come before.
        from_edge: bool,
        /// True if the ties end at the last item read, so more of them may come after.
        to_edge: bool,
    },
}

/// Returns whether this request's pages by token rely on the declared order.
pub(in crate::pagination) fn relies_on_order(request: &PageRequest) -> bool {
    request.order.declared && !request.order.ends_opaque() && !request.is_unverified()
}

/// A page of the upstream, with the request that the upstream answered.
#[derive(Debug)]
pub(in crate::pagination) struct UpstreamPage {
    pub(super) answer: Answer,
    pub(super) asked: Asked,
    /// The first contradiction of the declared order, or the first id that comes twice; `None` if there is neither.
    unsorted: Option<Unsorted>,
}

impl UpstreamPage {
    /// Makes the upstream page of an answer. Its items are checked against the order if pages of this request rely on
    /// it.
    pub(in crate::pagination) fn new(request: &PageRequest, answer: Answer, asked: Asked) -> Self {
        let mut page = Self { answer, asked, unsorted: None };
        if relies_on_order(request) {
            // An answer that contains an id twice mixes two states of the list, so the page counts as unsorted. Test:
            // `an_id_that_comes_twice_in_an_answer_is_refused`.
            page.unsorted = page.check(&request.order).and_then(|()| page.check_ids(&request.order)).err();
        }
        page
    }

    pub(in crate::pagination) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Returns the request that the upstream answered.
    pub(in crate::pagination) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Returns the contradiction of the order that pages rely on; `None` if there is none.
    pub(in crate::pagination) fn unsorted(&self) -> Option<&Unsorted> {
        self.unsorted.as_ref()
    }

    #[must_use]
    pub(in crate::pagination) fn len(&self) -> usize {
        self.answer.items.len()
    }

    #[must_use]
    pub(in crate::pagination) fn is_empty(&self) -> bool {
        self.answer.items.is_empty()
    }

    /// Returns the number of items between the start of the page, as its token leads to it, and a place that has
    /// `passed` items before it in direction `way`.
    #[must_use]
    pub(in crate::pagination) fn depth(&self, way: Way, passed: usize) -> usize {
        if self.asked.way == way { passed } else { self.len() - passed }
    }

    /// Checks that the items are in the declared order. Ties that the upstream doesn't order may come in any sequence.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if the items contradict the order, lack its keys, or contain an id twice in a row.
    fn check(&self, order: &Order) -> Result<(), Unsorted> {
        let answer = &self.answer;
        if self.len() == 1 {
            return rows::check_alone(answer, order);
        }
        for place in 1..self.len() {
            match rows::compare_strong(answer, order, place - 1, place) {
                Some(Ordering::Less) => {}
                Some(Ordering::Greater) => return Err(rows::contradiction(answer, order, place)),
                None => return Err(rows::incomparable(answer, order, place)),
                Some(Ordering::Equal) => match rows::compare_ids(answer, order, place - 1, place) {
                    Some(Ordering::Less) => {}
                    Some(Ordering::Equal) => return Err(rows::twice(place)),
                    None => return Err(rows::incomparable(answer, order, place)),
                    Some(Ordering::Greater) if order.ties == Ties::Ordered && !rows::is_cut(answer, order, place) => {
                        return Err(rows::disordered_ties(answer, order, place - 1, place));
                    }
                    Some(Ordering::Greater) => {}
                },
            }
        }
        Ok(())
    }

    /// Returns the continuation of the list in a direction.
    #[must_use]
    pub(in crate::pagination) fn lead(&self, way: Way, tokens: Tokens, end: EndEvidence) -> Lead {
        let asked_so = self.asked.way == way;
        // Only the first page is requested without a token, and no item comes before it.
        if way.is_backward() && self.asked.token.is_none() {
            return Lead::Edge;
        }
        // The dialect declares whether an empty page or a flag ends the list. Test:
        // `a_list_by_token_ends_where_the_upstream_says_so`.
        if asked_so && if tokens.ends_empty { self.is_empty() } else { self.is_denied(end) } {
            return Lead::Edge;
        }
        if tokens.by_item {
            let short = end == EndEvidence::ShortPage && self.len() < self.asked.size as usize;
            return match self.len() {
                _ if way.is_backward() && !tokens.backward => Lead::Unknown,
                0 => Lead::Edge,
                _ if asked_so && short => Lead::Edge,
                // Every item has a token, so a flag is what says that none leads on.
                _ if asked_so && !tokens.ends_empty && self.answer.more == Some(false) => Lead::Edge,
                count => self.item_token(way.index(count - 1, count)).map_or(Lead::Broken, Lead::Token),
            };
        }
        let token = if way.is_backward() { &self.answer.previous } else { &self.answer.next };
        match token {
            Some(token) => Lead::Token(token.clone()),
            None if way.is_backward() && !tokens.backward => Lead::Unknown,
            // Against the direction of its request, an empty page doesn't show whether the list goes on.
            None if !asked_so && self.is_empty() => Lead::Unknown,
            None if asked_so && self.answer.more == Some(true) && end == EndEvidence::Flag => Lead::Broken,
            None => Lead::Edge,
        }
    }

    /// Returns whether the answer denies that more items follow, by a flag that the dialect vouches for.
    fn is_denied(&self, end: EndEvidence) -> bool {
        end == EndEvidence::Flag && self.answer.more == Some(false)
    }

    /// Returns whether this page is at an edge of the list by the dialect's word, so no other fact of the answer
    /// counts.
    #[must_use]
    pub(in crate::pagination) fn is_vouched_end(&self, way: Way, tokens: Tokens, end: EndEvidence) -> bool {
        let is_first = way.is_backward() && self.asked.token.is_none();
        let short = tokens.by_item && end == EndEvidence::ShortPage && self.len() < self.asked.size as usize;
        let by_word = match end {
            EndEvidence::Flag => self.is_denied(end) && !tokens.ends_empty,
            // An empty answer to a token is asked for again all the same, because a failing upstream may give it.
            EndEvidence::Token => !self.is_empty() || self.asked.token.is_none(),
            EndEvidence::ShortPage => short && !self.is_empty(),
            EndEvidence::Unvouched => false,
        };
        self.lead(way, tokens, end) == Lead::Edge && (is_first || (self.asked.way == way && by_word))
    }

    /// Returns whether another answer has the same items, byte by byte.
    #[must_use]
    pub(in crate::pagination) fn has_same_items(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|index| self.answer.item(index) == other.answer.item(index))
    }

    /// Returns the token that continues the list after an item; `None` if the dialect has no token for each item, or if
    /// this one is empty.
    #[must_use]
    pub(in crate::pagination) fn item_token(&self, index: usize) -> Option<Token> {
        let raw = self.answer.item_tokens.get(index)?.of(&self.answer.body);
        let text = std::str::from_utf8(raw).ok().filter(|text| !matches!(*text, "" | "null"))?;
        Some(Token(Arc::from(text)))
    }

    /// Returns whether each item's token is its id.
    #[must_use]
    pub(in crate::pagination) fn is_continued_by_ids(&self, order: &Order) -> bool {
        (0..self.len()).all(|index| {
            let token = self.answer.item_tokens.get(index).copied().unwrap_or_default();
            key::identity(&order.id, token.of(&self.answer.body)) == self.id(order, index)
        })
    }

    /// Returns the id of an item in the form by which ids are compared; empty if it has none.
    #[must_use]
    pub(in crate::pagination) fn id(&self, order: &Order, index: usize) -> Cow<'_, [u8]> {
        self.answer.identity(order, index).unwrap_or_default()
    }

    /// Returns the mark of an item: the hash of its id, or of its bytes if it has no id.
    #[must_use]
    pub(in crate::pagination) fn mark(&self, order: &Order, marker: &Marker, index: usize) -> Mark {
        self.answer.mark(order, marker, index)
    }

    /// Returns the mark of an item's keys and id as they are spelt. After an edit of one of them, the mark
    /// differs.
    #[must_use]
    pub(in crate::pagination) fn fingerprint(&self, order: &Order, marker: &Marker, index: usize) -> Mark {
        let row = rows::row(&self.answer, order, index).iter().map(|span| span.of(&self.answer.body));
        marker.mark(&row.collect::<Vec<_>>().join(&b','))
    }

    /// Returns the marks of all items, in direction `way`.
    #[must_use]
    pub(in crate::pagination) fn marks(&self, order: &Order, marker: &Marker, way: Way) -> Vec<Mark> {
        (0..self.len()).map(|place| self.mark(order, marker, way.index(place, self.len()))).collect()
    }

    /// Returns a hash that distinguishes this page from others. It covers the keys and ids of the first and last item,
    /// or the marks of all items if one of these two has no id.
    #[must_use]
    pub(in crate::pagination) fn hash(&self, order: &Order, marker: &Marker) -> u64 {
        let ends = [0, self.len().saturating_sub(1)];
        let mut told = Vec::new();
        if self.is_empty() || ends.iter().any(|index| self.id(order, *index).is_empty()) {
            (0..self.len()).for_each(|index| told.extend(self.mark(order, marker, index).number().to_le_bytes()));
        } else {
            ends.iter().for_each(|index| told.extend(self.fingerprint(order, marker, *index).number().to_le_bytes()));
        }
        marker.mark(&told).number()
    }

    /// Returns the item at an index as an anchor.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if no cursor can hold the item's keys.
    pub(in crate::pagination) fn anchor(&self, order: &Order, index: usize) -> Result<Anchor, Unsorted> {
        self.answer.anchor(order, index).ok_or_else(|| rows::unkept(&self.answer, order, index))
    }

    /// Returns whether two items of this page have equal strong keys. False if the order has no strong keys.
    #[must_use]
    pub(in crate::pagination) fn ties(&self, order: &Order, left: usize, right: usize) -> bool {
        !order.strong.is_empty() && rows::compare_strong(&self.answer, order, left, right) == Some(Ordering::Equal)
    }

    /// Returns the last item at `places`, counted in the direction of reading, and the number of items up to and
    /// including it that share its strong keys. `before` is the item read before `places`, and the length of its run so
    /// far. If that item and all items at `places` share the keys, its run is added. `None` if `places` is empty.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if no cursor can hold the item's keys.
    pub(in crate::pagination) fn last_of(
        &self,
        way: Way,
        order: &Order,
        places: Range<usize>,
        before: (Option<&Anchor>, u32),
    ) -> Result<Option<(Anchor, u32)>, Unsorted> {
        let Some(last) = places.clone().last() else { return Ok(None) };
        let index = |place| way.index(place, self.len());
        let ties = |place: usize| self.ties(order, index(place).min(index(last)), index(place).max(index(last)));
        let tied = places.clone().rev().take_while(|place| *place == last || ties(*place)).count();
        let anchor = self.anchor(order, index(last))?;
        let goes_on = tied == places.len() && before.0.is_some_and(|old| old.keys == anchor.keys);
        let run = u32::try_from(tied).unwrap_or(u32::MAX).saturating_add(if goes_on { before.1 } else { 0 });
        Ok(Some((anchor, run)))
    }

    /// Returns the first item with this fingerprint among the first `within` items in the direction of reading; `None`
    /// if there is none, or if a cursor can't hold its keys.
    pub(in crate::pagination) fn with_fingerprint(
        &self,
        way: Way,
        order: &Order,
        marker: &Marker,
        within: usize,
        wanted: Mark,
    ) -> Option<Anchor> {
        let mut indices = (0..self.len()).take(within).map(|place| way.index(place, self.len()));
        let index = indices.find(|index| self.fingerprint(order, marker, *index) == wanted)?;
        self.answer.anchor(order, index)
    }

    /// Returns whether this page contains the item of an anchor, with the same keys.
    pub(in crate::pagination) fn shows(&self, order: &Order, anchor: &Anchor) -> bool {
        (0..self.len()).any(|index| self.is_anchor(order, index, anchor))
    }

    /// Returns whether an item is the anchor itself, with the same keys.
    pub(in crate::pagination) fn is_anchor(&self, order: &Order, index: usize, anchor: &Anchor) -> bool {
        rows::relate(&self.answer, order, index, anchor).is_some_and(|relation| relation.whole.is_eq())
    }

    /// Compares the last item in the direction of reading with an anchor, as [`Self::stands`] does. `None` on an empty
    /// page too.
    #[must_use]
    pub(in crate::pagination) fn reaches(&self, way: Way, order: &Order, anchor: &Anchor) -> Option<Ordering> {
        self.stands(way, order, self.len().checked_sub(1)?, anchor)
    }

    /// Compares the first item in the direction of reading with an anchor, as [`Self::stands`] does. `None` on an empty
    /// page too.
    #[must_use]
    pub(in crate::pagination) fn begins(&self, way: Way, order: &Order, anchor: &Anchor) -> Option<Ordering> {
        if self.is_empty() { None } else { self.stands(way, order, 0, anchor) }
    }

    /// Returns whether an item comes after one anchor and before another in the direction of reading. Items that can't
    /// be compared are ignored.
    #[must_use]
    pub(in crate::pagination) fn shows_between(&self, way: Way, order: &Order, one: &Anchor, other: &Anchor) -> bool {
        let stands = |place: usize, anchor: &Anchor| self.stands(way, order, place, anchor);
        (0..self.len())
            .any(|place| stands(place, one) == Some(Ordering::Greater) && stands(place, other) == Some(Ordering::Less))
    }

    /// Compares an item with an anchor in the direction of reading: `Less` if the item is read before the anchor. Only
    /// the strong keys count where ties are unordered. `None` if the item can't be compared.
    #[must_use]
    pub(in crate::pagination) fn stands(
        &self,
        way: Way,
        order: &Order,
        place: usize,
        anchor: &Anchor,
    ) -> Option<Ordering> {
        let relation = rows::relate(&self.answer, order, way.index(place, self.len()), anchor)?;
        Some(way.read(if evidence::loose_at(order, anchor) { relation.strong } else { relation.whole }))
    }

    /// Returns the number of items that come before the place right after an anchor in the direction of reading; `None`
    /// if an item can't be compared.
    ///
    /// Keys decide. Among ties that the upstream doesn't order, its own sequence decides, and the place is after the
    /// anchor itself. If the anchor isn't visible, `run` decides, the number of the run's items that were served. If
    /// `aligned`, the upstream issued this page as the one that begins at the place, and ties at its start come after
    /// the place.
    #[must_use]
    pub(in crate::pagination) fn passed(
        &self,
        way: Way,
        order: &Order,
        anchor: &Anchor,
        run: u32,
        aligned: bool,
    ) -> Option<Passed> {
        let loose = evidence::loose_at(order, anchor);
        let relation = |index| {
            let relation = rows::relate(&self.answer, order, index, anchor)?;
            Some(if loose { relation.strong } else { relation.whole })
        };
        let from = self.partition(|index| Some(relation(index)? == Ordering::Less))?;
        let to = self.partition(|index| Some(relation(index)? != Ordering::Greater))?;
        let (before, through) = if way.is_backward() { (self.len() - to, self.len() - from) } else { (from, to) };
        // Unordered ties may come in another sequence each time. If more are visible than were served, some of those
        // before the anchor may be unserved, so the place counts as amid ties. Test:
        // `a_run_that_shows_more_than_was_served_leaves_its_seam_open`.
        let more_than_served = loose && through - before > run as usize;
        let known = |count, basis| Some(Passed { count, basis, amid_ties: count < through || more_than_served });
        // A token may lead to items that were already served; the keys show where these end. Test:
        // `served_items_that_come_again_are_passed_over`.
        if from == to || !loose {
            return known(through, Basis::Keys);
        }
        let itself = (before..through).find(|place| self.is(order, way.index(*place, self.len()), anchor));
        if let Some(place) = itself {
            return known(place + 1, Basis::Sight);
        }
        if run <= 1 || (aligned && before == 0) {
            let goes_on = through == self.len() && !aligned;
            return known(before, if goes_on { Basis::Unseen } else { Basis::Keys });
        }
        let served = before.saturating_add(run as usize - 1).min(through);
        known(served, Basis::Guess { from_edge: before == 0, to_edge: through == self.len() })
    }

    /// Checks that no id comes twice in this answer, which would mix two states of the list.
    ///
    /// # Errors
    ///
    /// [`Unsorted`], which names the second item with the id.
    fn check_ids(&self, order: &Order) -> Result<(), Unsorted> {
        let mut had = HashSet::with_capacity(self.len());
        match (0..self.len()).find(|index| !had.insert(self.id(order, *index))) {
            Some(index) => Err(rows::twice(index)),
            None => Ok(()),
        }
    }

    fn is(&self, order: &Order, index: usize, anchor: &Anchor) -> bool {
        let id = key::Operand::Raw(self.raw_id(order, index));
        key::compare(&order.id, key::Extent::Whole, id, key::Operand::Kept(&anchor.id)) == Some(Ordering::Equal)
    }

    fn raw_id(&self, order: &Order, index: usize) -> &[u8] {
        rows::row(&self.answer, order, index).last().copied().unwrap_or(Span::ABSENT).of(&self.answer.body)
    }

    /// Returns the first index for which `holds` is false, or the number of items if there is none; `None` if `holds`
    /// returns `None`. `holds` must be true for all indices before that one, and false from there on.
    fn partition(&self, holds: impl Fn(usize) -> Option<bool>) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }
}
