//! The page made of the items that were taken, with its neighbours and its level.

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
    page::{Page, PageFacts},
    position::{Hint, Item, Loop, MarkedItem, Marks, PlaceInPage, Position, Target, TokenPlace},
    refusal::Refusal,
    rules::{self, Rule},
    window::Offset,
};

/// The place at which a neighbouring page begins.
struct NeighbourPage {
    token: Option<Token>,
    token_way: Way,
    /// The direction in which the page beyond is read.
    way: Way,
    /// The number of items between the place to which the token leads and this place.
    depth: usize,
    within: PlaceInPage,
    circle: Loop,
    run: u32,
    /// The fingerprint of the item right after it, if the order is declared and an answer showed the two together.
    ahead: Option<Mark>,
}

/// The entry to a place: a token that was handed out for it, or an upstream page that is read again.
struct PageEntry<'a> {
    token: Option<Token>,
    token_way: Way,
    depth: usize,
    /// The upstream page, and how many of its items come before the place.
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
    /// Makes the page of the items taken so far; `short` where the budget ended before it was full.
    pub(super) fn page(&mut self, short: bool) -> Result<Page, Refusal> {
        let backward = self.way.is_backward();
        let onward = self.onward()?.map(|edge| self.target(edge));
        let back = match self.taken.items.is_empty() {
            false => self.back()?.map(|edge| self.target(edge)),
            true if backward => Some(Target { position: Position::Start, hint: Hint::default() }),
            true => self.back_from_the_end().map(|edge| self.target(edge)),
        };
        let (next, previous) = if backward { (back, onward) } else { (onward, back) };
        let (edges, offset, short) = (self.edges()?, self.offset(), short && self.taken.items.len() < self.limit());
        let (unproven, total) = (self.findings.flagged, self.findings.total);
        let passage = Passage {
            request: &self.request,
            way: self.way,
            pages: std::mem::take(&mut self.pages.read),
            taken: std::mem::take(&mut self.taken.items),
            consumed: self.pages.consumed,
        };
        let facts = PageFacts { next, previous, total, offset, unproven, short, edges, ..PageFacts::default() };
        let mut page = passage.page(facts).map_err(|PassageFault| Refusal::PositionLost { nearest: Offset(0) })?;
        page.notes.stragglers = self.findings.stragglers;
        (page.notes.profile, page.notes.honoured) = (self.request.profile, self.request.target.hint.honoured);
        Ok(page)
    }

    /// Returns the place at which the page beyond the last item begins; `None` at the end of what can be read in this
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
        } else if rest.is_empty() {
            match upstream_page.lead(way, self.tokens(), self.request.paging.end) {
                Lead::Token(token) => (Some(PageEntry::handed_out(token, way)), circle),
                // The page after it may have been read while the place was looked for.
                Lead::Unknown => (self.pages.ahead.last().and_then(|next| self.again(next, way, 0)), circle),
                Lead::Edge => (None, circle),
                Lead::Broken => return Err(Refusal::Stuck),
            }
        } else {
            // The next page reads this upstream page once more, which is no circle. Test:
            // `pages_straddle_where_sizes_do_not_align`.
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

    /// Returns the place at which the page before the first item (in the direction of reading) ends; `None` if nothing
    /// is there, or if the upstream can't be asked for it.
    fn back(&self) -> Result<Option<NeighbourPage>, Refusal> {
        let Some(TakenItem { upstream_page: number, index }) = self.taken.items.first().copied() else {
            return Ok(None);
        };
        let (upstream_page, way) = (&self.pages.read[number], self.way.reversed());
        // In the other direction, the items of the page come before the place.
        let passed = way.index(index, upstream_page.len()) + 1;
        let Some(PageEntry { token, token_way, depth, beyond }) = self.way_back(number, passed)? else {
            return Ok(None);
        };
        // A walk back passes the same pages again, and is no circle: `regressions/without-loops-begin-anew.txt`. Test:
        // `going_back_and_forth_is_no_circle`.
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

    /// Returns the place before so many items of an upstream page, read in the other direction; `None` where nothing is
    /// there, or where the upstream can't be asked for it.
    fn way_back(&self, number: usize, passed: usize) -> Result<Option<PageEntry<'_>>, Refusal> {
        let (upstream_page, way, tokens) = (&self.pages.read[number], self.way.reversed(), self.tokens());
        let before = upstream_page.len() - passed;
        if tokens.by_item {
            let at_the_start = upstream_page.asked().token.is_none() && before == 0;
            // No item comes before the first page. Test: `items_continue_their_list`.
            if way.is_backward() && (at_the_start || !tokens.backward) {
                return Ok(None);
            }
            let token = upstream_page.item_token(way.index(passed - 1, upstream_page.len())).ok_or(Refusal::Stuck)?;
            return Ok(Some(PageEntry::handed_out(token, way)));
        }
        if before > 0 {
            if tokens.single_use && way == Way::Forward {
                // The list goes on there, but the token that leads to it was used.
                return Err(Refusal::Unsupported);
            }
            return Ok(self.again(upstream_page, way, passed));
        }
        Ok(match upstream_page.lead(way, tokens, self.request.paging.end) {
            Lead::Token(token) => Some(PageEntry::handed_out(token, way)),
            Lead::Unknown => number.checked_sub(1).and_then(|number| self.again(&self.pages.read[number], way, 0)),
            Lead::Edge => None,
            Lead::Broken => return Err(Refusal::Stuck),
        })
    }

    /// Returns a place in an upstream page that is to be read again. Where tokens only lead on, a page back must be all
    /// in one upstream page, or at the start.
    fn again<'a>(&self, upstream_page: &'a UpstreamPage, way: Way, passed: usize) -> Option<PageEntry<'a>> {
        let tokens = self.tokens();
        let alone = way.is_backward() && !tokens.backward;
        // The token of the upstream page before is not known any more. Test:
        // `without_tokens_that_lead_back_a_previous_page_is_part_of_one_upstream_page`.
        let enough = !alone || upstream_page.len() - passed >= self.limit() || upstream_page.asked().token.is_none();
        (enough && !tokens.single_use).then(|| PageEntry::amid(upstream_page, way, passed))
    }

    /// Returns the place of the page before an empty one after the end of the list.
    fn back_from_the_end(&self) -> Option<NeighbourPage> {
        let (tokens, way) = (self.tokens(), Way::Backward);
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

    fn target(&self, edge: NeighbourPage) -> Target {
        let place = TokenPlace {
            token: edge.token,
            token_backward: edge.token_way.is_backward(),
            backward: edge.way.is_backward(),
            within: edge.within,
            circle: edge.circle,
        };
        // The hint's offset counts the items between the place to which the token leads and this place.
        let run = if self.is_keyed && !self.request.order.strong.is_empty() { edge.run } else { 0 };
        let hint = Hint { offset: Offset(edge.depth as u64), run, ahead: edge.ahead, ..Hint::default() };
        Target { position: Position::Token(Box::new(place)), hint }
    }

    /// Returns the mark of the item that comes right after so many of an upstream page, beyond an anchor; `None` where
    /// another upstream page shows one between the two.
    fn next_beyond(&self, way: Way, beyond: Option<(&UpstreamPage, usize)>, within: &PlaceInPage) -> Option<Mark> {
        let PlaceInPage::Keys(anchor) = within else { return None };
        let (upstream_page, passed) =
            beyond.filter(|(upstream_page, passed)| self.is_keyed && *passed < upstream_page.len())?;
        if passed == 0 && upstream_page.asked().way == way {
            // No item of the upstream page comes before the place: it did not show the two together.
            return None;
        }
        let (order, index) = (&self.request.order, way.index(passed, upstream_page.len()));
        let next = upstream_page.anchor(order, index).ok()?;
        // An item that another upstream page shows between the two would be lost if the cursor named the later one as
        // the next. Test: `the_item_before_a_page_is_not_told_where_another_one_came_between`.
        let is_between = |upstream_page: &UpstreamPage| upstream_page.shows_between(way, order, anchor, &next);
        let between = self.pages.read.iter().any(is_between);
        (!between).then(|| upstream_page.fingerprint(order, &self.request.marker, index))
    }

    /// Returns the marks around a place: those gone by, the nearest last, and those of the upstream page that it is in.
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

    /// Returns the offset of the first item in the list's order, if its answer states it; else 0.
    fn offset(&self) -> u64 {
        let taken = &self.taken.items;
        let first = if self.way.is_backward() { taken.last() } else { taken.first() };
        let offset = first.and_then(|first| {
            let upstream_page = self.pages.read.get(first.upstream_page)?;
            Some(upstream_page.answer().offset?.saturating_add(first.index as u64))
        });
        offset.unwrap_or(0)
    }

    /// Returns the first and the last of the items, in the list's order.
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
            // A list by token has no offsets, and its items have no cursors of their own.
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
