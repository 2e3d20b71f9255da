//! The page made of the items taken, with the links to its neighbours and its level.

use std::ops::Range;

use super::TokenPage;
use crate::pagination::{
    direction::Way,
    fetch::Token,
    judge::{
        token_seams::{Passage, PassageFault, TakenItem},
        upstream_page::{Lead, UpstreamPage},
    },
    mark::Mark,
    page::{DoubtedEnd, Page, PageFacts},
    position::{Hint, Item, Loop, MarkedItem, Marks, PlaceInPage, Position, Target, TokenPlace},
    refusal::Refusal,
    rules::{self, Rule},
    window::Offset,
};

/// The place at which a neighbouring page begins.
struct NeighbourPage {
    token: Option<Token>,
    token_way: Way,
    /// The direction in which the neighbouring page is read.
    way: Way,
    /// The number of items between the place that the token leads to and this place.
    depth: usize,
    within: PlaceInPage,
    circle: Loop,
    run: u32,
    /// The fingerprint of the item right after the place; `None` unless the order is declared and an answer showed the
    /// item right beyond the place.
    ahead: Option<Mark>,
}

/// The entry to a place: a token that the upstream issued for it, or an upstream page to read again.
struct PageEntry<'a> {
    token: Option<Token>,
    token_way: Way,
    depth: usize,
    /// The upstream page with the place, and the number of its items before the place; `None` for a token issued for
    /// the place.
    beyond: Option<(&'a UpstreamPage, usize)>,
}

impl<'a> PageEntry<'a> {
    fn handed_out(token: Token, way: Way) -> Self {
        Self { token: Some(token), token_way: way, depth: 0, beyond: None }
    }

    fn amid(upstream_page: &'a UpstreamPage, way: Way, passed: usize) -> Self {
        let (token, token_way) = (upstream_page.asked().token.clone(), upstream_page.asked().way);
        Self { token, token_way, depth: upstream_page.depth(way, passed), beyond: Some((upstream_page, passed)) }
    }
}

impl TokenPage<'_> {
    /// Makes the page of the items taken so far. The page is `short` if the budget ended before it was full.
    pub(super) fn page(&mut self, short: bool) -> Result<Page, Refusal> {
        let backward = self.way.is_backward();
        let onward = self.onward()?.map(|edge| self.target(edge));
        let back = match self.taken.items.is_empty() {
            false => self.back()?.map(|edge| self.target(edge)),
            true if backward && onward.is_none() => Some(Target { position: Position::Start, hint: Hint::default() }),
            true => self.back_from_the_end().map(|edge| self.target(edge)),
        };
        let (next, previous) = if backward { (back, onward) } else { (onward, back) };
        let (edges, offset, short) = (self.edges()?, self.offset(), short && self.taken.items.len() < self.limit());
        let (unproven, total) = (self.findings.flagged, self.findings.total);
        let doubted_end = self.end.doubt.or_else(|| self.doubt_without_link(next.is_some()));
        let passage = Passage {
            request: &self.request,
            way: self.way,
            pages: std::mem::take(&mut self.pages.read),
            taken: std::mem::take(&mut self.taken.items),
            consumed: self.pages.consumed,
        };
        let facts =
            PageFacts { next, previous, total, offset, unproven, short, doubted_end, edges, ..PageFacts::default() };
        let mut page = passage.page(facts).map_err(|PassageFault| Refusal::PositionLost { nearest: Offset(0) })?;
        page.notes.stragglers = self.findings.stragglers;
        (page.notes.profile, page.notes.honoured) = (self.request.profile, self.request.target.hint.honoured);
        Ok(page)
    }

    /// Returns the place at which the page after the last item begins; `None` if the list can't be read farther in this
    /// direction.
    fn onward(&self) -> Result<Option<NeighbourPage>, Refusal> {
        let (Some(upstream_page), way) = (self.pages.read.last(), self.way) else {
            return Ok(None);
        };
        let (rest, circle) = (self.pages.consumed..upstream_page.len(), self.circle.now);
        let item = rest.start.checked_sub(1).filter(|_| self.tokens().by_item && !rest.is_empty());
        let (place, circle) = if let Some(last) = item {
            let token = upstream_page.item_token(way.index(last, upstream_page.len())).ok_or(Refusal::Stuck)?;
            (Some(PageEntry::handed_out(token, way)), circle)
        } else if rest.is_empty() && self.end.rereads {
            (self.again(upstream_page, way, rest.start), self.circle.before)
        } else if rest.is_empty() && self.end.is_over {
            (None, circle)
        } else if let Some(token) = self.end.leads_on.as_ref().filter(|_| rest.is_empty()) {
            (Some(PageEntry::handed_out(token.clone(), way)), circle)
        } else if rest.is_empty() {
            match upstream_page.lead(way, self.tokens(), self.request.paging.end) {
                Lead::Token(token) => (Some(PageEntry::handed_out(token, way)), circle),
                // The upstream page after this one may have been read during the search for the place, and can then be
                // read again.
                Lead::Unknown | Lead::Edge => {
                    (self.pages.ahead.last().and_then(|next| self.again(next, way, 0)), circle)
                }
                Lead::Broken => return Err(Refusal::Stuck),
            }
        } else {
            // The next page reads this upstream page once more, which isn't a circle. Test:
            // `pages_span_upstream_pages_whose_sizes_do_not_align`.
            (self.again(upstream_page, way, rest.start), self.circle.before)
        };
        let Some(PageEntry { token, token_way, depth, beyond }) = place else {
            return Ok(None);
        };
        let within = match &self.place.anchor {
            Some(anchor) if self.is_keyed => PlaceInPage::Keys(anchor.clone()),
            _ => self.marked(way, &self.place.trail, beyond),
        };
        let ahead = self.next_beyond(way, beyond, &within);
        Ok(Some(NeighbourPage { token, token_way, way, depth, within, circle, run: self.place.run, ahead }))
    }

    /// Returns the place at which the page before the first item, in the direction of reading, ends. `None` if no item
    /// is there, or if the upstream has no token for that page.
    fn back(&self) -> Result<Option<NeighbourPage>, Refusal> {
        let Some(TakenItem { upstream_page: number, index }) = self.taken.items.first().copied() else {
            return Ok(None);
        };
        let (upstream_page, way) = (&self.pages.read[number], self.way.reversed());
        // In the other direction, the items of this page come before the place.
        let passed = way.index(index, upstream_page.len()) + 1;
        let Some(PageEntry { token, token_way, depth, beyond }) = self.way_back(number, passed)? else {
            return Ok(None);
        };
        // A walk back passes the same upstream pages again, which isn't a circle:
        // `regressions/without-loops-begin-anew.txt`. Test: `walks_back_and_forth_are_not_taken_for_a_loop_of_tokens`.
        let circle = if rules::holds(Rule::LoopsBeginAnew) { Loop::default() } else { self.circle.now };
        let (within, run) = if self.is_keyed {
            let order = &self.request.order;
            let anchor = upstream_page.anchor(order, index).map_err(Refusal::Unsorted)?;
            let tied = self.taken.items.iter().take_while(|taken| {
                taken.upstream_page == number
                    && upstream_page.ties(order, index.min(taken.index), index.max(taken.index))
            });
            (PlaceInPage::Keys(anchor), narrow(tied.count().max(1)))
        } else {
            let first = self.taken.items.iter().take(Marks::PASSED).rev();
            let trail: Vec<Mark> = first.map(|taken| self.mark_of(*taken)).collect();
            (self.marked(way, &trail, beyond), 0)
        };
        let ahead = self.next_beyond(way, beyond, &within);
        Ok(Some(NeighbourPage { token, token_way, way, depth, within, circle, run, ahead }))
    }

    /// Returns the entry to the place after `passed` items of an upstream page, read in the other direction. `None` if
    /// no item follows there, or if the upstream has no token for it.
    fn way_back(&self, number: usize, passed: usize) -> Result<Option<PageEntry<'_>>, Refusal> {
        let (upstream_page, way, tokens) = (&self.pages.read[number], self.way.reversed(), self.tokens());
        let before = upstream_page.len() - passed;
        if tokens.by_item {
            let at_the_start = upstream_page.asked().token.is_none() && before == 0;
            // No item comes before the first page, and only some dialects have tokens that lead back. Test:
            // `the_id_of_the_last_item_continues_a_list`.
            if way.is_backward() && (at_the_start || !tokens.backward) {
                return Ok(None);
            }
            let token = upstream_page.item_token(way.index(passed - 1, upstream_page.len())).ok_or(Refusal::Stuck)?;
            return Ok(Some(PageEntry::handed_out(token, way)));
        }
        if before > 0 {
            if tokens.single_use && way == Way::Forward {
                // More items follow there, but the token that leads to them can be used only once.
                return Err(Refusal::Unsupported);
            }
            return Ok(self.again(upstream_page, way, passed));
        }
        Ok(match upstream_page.lead(way, tokens, self.request.paging.end) {
            Lead::Token(token) => Some(PageEntry::handed_out(token, way)),
            Lead::Unknown => number.checked_sub(1).and_then(|number| self.again(&self.pages.read[number], way, 0)),
            Lead::Edge if self.goes_on_forward(upstream_page, way) => self.again(upstream_page, way, passed),
            Lead::Edge => None,
            Lead::Broken => return Err(Refusal::Stuck),
        })
    }

    /// Returns whether the list goes on after an upstream page that was read backward, although it has no token that
    /// leads on: its flag says so, or the cursor names an item that came there. The next page then reads the upstream
    /// page again. Test: `a_page_back_has_a_next_page_although_the_token_is_missing`.
    fn goes_on_forward(&self, upstream_page: &UpstreamPage, way: Way) -> bool {
        let (tokens, end) = (self.tokens(), self.request.paging.end);
        let has_come = match &self.request.target.position {
            Position::Token(place) => place.within != PlaceInPage::Whole,
            _ => true,
        };
        let says_more = upstream_page.asked().way == way && upstream_page.answer().more == Some(true);
        way == Way::Forward && (has_come || says_more) && !upstream_page.is_vouched_end(way, tokens, end)
    }

    /// Returns the doubt about the end of a page that was read backward, if the list goes on after it, but no token
    /// leads there. Test: `a_page_back_by_tokens_for_one_use_has_a_doubted_end_if_the_token_is_missing`.
    fn doubt_without_link(&self, is_linked: bool) -> Option<DoubtedEnd> {
        let last = self.taken.items.first().filter(|_| self.way.is_backward() && !is_linked)?;
        let reached = self.end.walk.passed.unwrap_or(self.taken.items.len() as u64);
        self.goes_on_forward(&self.pages.read[last.upstream_page], Way::Forward)
            .then_some(DoubtedEnd { reached, said: None })
    }

    /// Returns the entry to a place in an upstream page that is read again. `None` if tokens can be used only once, and
    /// for a page back from any other upstream page than the first, if tokens only lead forward.
    fn again<'a>(&self, upstream_page: &'a UpstreamPage, way: Way, passed: usize) -> Option<PageEntry<'a>> {
        let tokens = self.tokens();
        let alone = way.is_backward() && !tokens.backward;
        // The token of the previous upstream page is no longer known. A walk back would end in the middle of the list,
        // which looks like its start. Test: `without_tokens_that_lead_back_pages_lead_back_only_to_the_start`.
        let leads_to_start = !alone || upstream_page.asked().token.is_none();
        (leads_to_start && !tokens.single_use).then(|| PageEntry::amid(upstream_page, way, passed))
    }

    /// Returns the place of the page before an empty page, in its direction of reading; `None` if no token leads there.
    fn back_from_the_end(&self) -> Option<NeighbourPage> {
        let (tokens, way) = (self.tokens(), self.way.reversed());
        let (token, token_way, depth) = match self.pages.read.last()? {
            _ if tokens.by_item => return None,
            upstream_page if upstream_page.is_empty() => match upstream_page.lead(way, tokens, self.request.paging.end)
            {
                Lead::Token(token) => (Some(token), way, 0),
                Lead::Edge | Lead::Unknown | Lead::Broken => return None,
            },
            upstream_page => {
                let PageEntry { token, token_way, depth, .. } = self.again(upstream_page, way, 0)?;
                (token, token_way, depth)
            }
        };
        let (within, circle) = (PlaceInPage::Whole, Loop::default());
        Some(NeighbourPage { token, token_way, way, depth, within, circle, run: 0, ahead: None })
    }

    /// Returns whether an empty page has a link against its direction of reading.
    pub(super) fn leads_back_from_a_gap(&self) -> bool {
        self.back_from_the_end().is_some()
    }

    fn target(&self, edge: NeighbourPage) -> Target {
        let (walk, total) = (self.walk_facts(edge.way), self.walk_total());
        let place = TokenPlace {
            token: edge.token,
            token_backward: edge.token_way.is_backward(),
            backward: edge.way.is_backward(),
            within: edge.within,
            circle: edge.circle,
        };
        // In a position by token, the hint's offset is the number of items between the place that the token leads to
        // and this place.
        let run = if self.is_keyed && !self.request.order.strong.is_empty() { edge.run } else { 0 };
        let hint = Hint { offset: Offset(edge.depth as u64), run, ahead: edge.ahead, total, walk, ..Hint::default() };
        Target { position: Position::Token(Box::new(place)), hint }
    }

    /// Returns the fingerprint of the item right after `passed` items of an upstream page, which is right beyond an
    /// anchor. `None` if no upstream page showed the two next to each other, or if another one shows an item between
    /// them.
    fn next_beyond(&self, way: Way, beyond: Option<(&UpstreamPage, usize)>, within: &PlaceInPage) -> Option<Mark> {
        let PlaceInPage::Keys(anchor) = within else { return None };
        let (upstream_page, passed) =
            beyond.filter(|(upstream_page, passed)| self.is_keyed && *passed < upstream_page.len())?;
        if passed == 0 && upstream_page.asked().way == way {
            // No item of the upstream page comes before the place, so the page didn't show the two items together.
            return None;
        }
        let (order, index) = (&self.request.order, way.index(passed, upstream_page.len()));
        let next = upstream_page.anchor(order, index).ok()?;
        // If another upstream page shows an item in between, that item would be lost if the cursor named the later one
        // as the next. Test: `the_item_before_a_page_is_left_out_if_another_item_came_in_between`.
        let is_between = |upstream_page: &UpstreamPage| upstream_page.shows_between(way, order, anchor, &next);
        let between = self.pages.read.iter().any(is_between);
        (!between).then(|| upstream_page.fingerprint(order, &self.request.marker, index))
    }

    /// Returns the marks around a place: `trail`, of the items read last, and those of the items after it in its
    /// upstream page.
    fn marked(&self, way: Way, trail: &[Mark], beyond: Option<(&UpstreamPage, usize)>) -> PlaceInPage {
        let ahead: Vec<Mark> = beyond.map_or_else(Vec::new, |(upstream_page, passed)| {
            let places = (passed..upstream_page.len()).take(Marks::AHEAD);
            places.map(|place| self.mark(upstream_page, way.index(place, upstream_page.len()))).collect()
        });
        if trail.is_empty() && ahead.is_empty() {
            return PlaceInPage::Whole;
        }
        PlaceInPage::Marks(match way {
            Way::Forward => Marks { before: trail.to_vec(), after: ahead },
            Way::Backward => {
                Marks { before: ahead.into_iter().rev().collect(), after: trail.iter().rev().copied().collect() }
            }
        })
    }

    fn mark(&self, upstream_page: &UpstreamPage, index: usize) -> Mark {
        upstream_page.mark(&self.request.order, &self.request.marker, index)
    }

    fn mark_of(&self, taken: TakenItem) -> Mark {
        self.mark(&self.pages.read[taken.upstream_page], taken.index)
    }

    /// Returns the offset of the first item in the list's order, if its answer states an offset; otherwise 0.
    fn offset(&self) -> u64 {
        let taken = &self.taken.items;
        let first = if self.way.is_backward() { taken.last() } else { taken.first() };
        let offset = first.and_then(|first| {
            let upstream_page = self.pages.read.get(first.upstream_page)?;
            Some(upstream_page.answer().offset?.saturating_add(first.index as u64))
        });
        offset.unwrap_or(0)
    }

    /// Returns the first and the last item taken, in the list's order; `None` if no item was taken.
    fn edges(&self) -> Result<Option<(Item, Item)>, Refusal> {
        let count = self.taken.items.len();
        let taken = |number| self.taken.items[self.way.index(number, count)];
        let item = |number: usize| {
            let TakenItem { upstream_page, index } = taken(number);
            if self.is_keyed {
                let anchor = self.pages.read[upstream_page].anchor(&self.request.order, index);
                return anchor.map(Item::Keyed).map_err(Refusal::Unsorted);
            }
            let marks = |numbers: Range<usize>| numbers.map(|number| self.mark_of(taken(number))).collect();
            let before = marks(number.saturating_sub(Marks::PASSED)..number);
            let after = marks(number + 1..(number + 1 + Marks::AHEAD).min(count));
            // A list by token has no offsets, and its items have no item cursors, so the offset is never used.
            let (item, offset) = (self.mark_of(taken(number)), Offset(0));
            Ok(Item::Marked(MarkedItem { item, around: Marks { before, after }, offset }))
        };
        match count {
            0 => Ok(None),
            _ => Ok(Some((item(0)?, item(count - 1)?))),
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
