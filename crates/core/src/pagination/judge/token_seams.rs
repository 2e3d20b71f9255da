//! The judge of pages by token: the seams between the upstream's pages.
//!
//! A page is `checked` if the order is declared and each of its seams is shown: no item can lie between the items read
//! so far and the upstream page that follows. Tokens may be offsets in disguise. An answer that begins after the last
//! served item looks the same in two cases: the token means "after that item", or the token is an offset and an earlier
//! item was deleted. A seam is therefore shown by one of these facts:
//!
//! - The upstream page begins with an item that was already read.
//! - The upstream page was requested in the direction of reading, and begins the list.
//! - Its token, in that direction, is the id of the last item read, in a list sorted by ids.
//! - Its token leads in that direction, and the page contains the item that was seen right after the cursor's anchor.

use std::{borrow::Cow, cell::LazyCell, cmp::Ordering, collections::HashSet, iter::Peekable, ops::Range, slice};

use super::{
    evidence,
    page::{ItemPlace, Level, Page, PageFacts},
    upstream_page::{Basis, Lead, UpstreamPage, relies_on_order},
};
use crate::pagination::{
    direction::Way,
    fetch::Token,
    key::{self, KeyValue},
    mark::Mark,
    position::{Anchor, Pivot, PlaceInPage, Position, Target},
    request::PageRequest,
};

/// An item that a page takes from an upstream page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct TakenItem {
    pub(in crate::pagination) upstream_page: usize,
    /// The item's index in the upstream page, in the list's order.
    pub(in crate::pagination) index: usize,
}

/// The upstream pages that a page was read from, and the items taken from them.
#[derive(Debug)]
pub(in crate::pagination) struct Passage<'a> {
    pub(in crate::pagination) request: &'a PageRequest,
    /// The direction of reading.
    pub(in crate::pagination) way: Way,
    /// The upstream pages, in the direction of reading.
    pub(in crate::pagination) pages: Vec<UpstreamPage>,
    /// The items taken from these pages, in the direction of reading.
    pub(in crate::pagination) taken: Vec<TakenItem>,
    /// The number of items of the last upstream page that were read.
    pub(in crate::pagination) consumed: usize,
}

/// The error that a page isn't what the upstream pages show from its place on.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct PassageFault;

/// The place up to which a passage has been read.
#[derive(Debug)]
struct PassagePlace<'a> {
    /// The last item read; `None` if its keys aren't known.
    anchor: Option<Cow<'a, Anchor>>,
    /// The id of the last item read; `None` if no item was read and the cursor names none.
    id: Option<Cow<'a, KeyValue>>,
    /// The number of items up to and including the anchor that share its strong keys.
    run: u32,
    /// The fingerprint of the item right after the cursor's anchor; `None` once an item has been read.
    ahead: Option<Mark>,
}

impl Passage<'_> {
    /// Makes a page with these facts from the passage's answers and items. The page is `checked` if its order was
    /// relied on and all its seams are shown. Otherwise it is `anchored`, or `positional` if it is flagged or its list
    /// unverified.
    ///
    /// # Errors
    ///
    /// [`PassageFault`] if the page isn't what the upstream pages show from its place on.
    pub(in crate::pagination) fn page(self, facts: PageFacts) -> Result<Page, PassageFault> {
        let level = match facts.unproven.is_some() || self.request.is_unverified() {
            true => Level::Positional,
            false if relies_on_order(self.request) && self.shows_seams(&facts)? => Level::Checked,
            false => Level::Anchored,
        };
        let place = |taken: &TakenItem| ItemPlace { answer: narrow(taken.upstream_page), item: narrow(taken.index) };
        let mut items: Vec<ItemPlace> = self.taken.iter().map(place).collect();
        if self.way.is_backward() {
            items.reverse();
        }
        let answers = self.pages.into_iter().map(|upstream_page| upstream_page.answer).collect();
        Ok(Page::new(level, PageFacts { answers, items, ..facts }))
    }

    /// Returns whether all seams are shown, so no item can lie between the upstream pages.
    ///
    /// # Errors
    ///
    /// [`PassageFault`] if the page lacks an item that the upstream pages show from its place on, has an item twice, or
    /// has an item that wasn't read. Also if an upstream page is unsorted, if the page ends the list where the upstream
    /// doesn't, or if its link leads to another place than the one reached.
    fn shows_seams(&self, facts: &PageFacts) -> Result<bool, PassageFault> {
        let order = &self.request.order;
        if self.pages.iter().any(|upstream_page| upstream_page.unsorted().is_some()) {
            return Err(PassageFault);
        }
        // An upstream page in order contains each id once, so the ids of items from a single upstream page need no
        // comparison.
        let ids = LazyCell::new(|| self.ids());
        let page_of = |taken: Option<&TakenItem>| taken.map(|taken| taken.upstream_page);
        let spans_pages = page_of(self.taken.first()) != page_of(self.taken.last());
        if !self.takes_in_order() || (spans_pages && ids.len() < self.taken.len()) {
            return Err(PassageFault);
        }
        let mut reached = PassagePlace::of(&self.request.target);
        let (begin, tied) = self.begin(&reached).ok_or(PassageFault)?;
        // If more items of the run are visible than were served, some items before the anchor may be unserved, wherever
        // they are. Test: `a_run_in_another_sequence_begins_where_its_anchor_is_seen`.
        reached.run = reached.run.saturating_sub(tied);
        let (mut taken, mut are_shown) = (self.taken.iter().peekable(), true);
        for (number, upstream_page) in self.pages.iter().enumerate().skip(begin) {
            let is_last = number + 1 == self.pages.len();
            let end = if is_last { self.consumed.min(upstream_page.len()) } else { upstream_page.len() };
            let gone_by = match &reached.anchor {
                Some(anchor) => {
                    let passed =
                        upstream_page.passed(self.way, order, anchor, reached.run, false).ok_or(PassageFault)?;
                    // The keys don't show which of the ties were served. The token or the item that came next may show
                    // it, but neither proves a seam here.
                    if matches!(passed.basis, Basis::Guess { .. } | Basis::Unseen) {
                        return Ok(false);
                    }
                    // An item that ties with the anchor may be new, or may have been after the anchor, so the seam
                    // isn't shown. Test: `a_run_that_shows_more_than_was_served_leaves_its_seam_open`.
                    are_shown &= !passed.amid_ties;
                    passed.count
                }
                None => 0,
            };
            let is_shown = gone_by > 0 || self.follows(number, &reached);
            // If an upstream page begins after the place, items may have moved from it to the page before. That page
            // must be read first, so this page must not begin here. Test:
            // `a_page_that_lost_its_place_is_looked_for_in_the_page_before`.
            let may_begin = || self.shows_next(number, &reached) || self.may_begin(upstream_page);
            if number == begin && reached.anchor.is_some() && !is_shown && !may_begin() {
                return Err(PassageFault);
            }
            are_shown &= is_shown;
            let places = gone_by..end.max(gone_by);
            let last_taken =
                self.take(number, places.clone(), &mut taken, |id| ids.contains(id)).ok_or(PassageFault)?;
            // An item that was moved to the end is on the page already, under keys that come earlier. It isn't a place
            // that the page has reached. Test: `an_item_that_moved_on_while_its_page_was_read_is_on_the_next_page_too`.
            let through = if is_last { places } else { places.start..last_taken };
            let before = (reached.anchor.as_deref(), reached.run);
            let last = upstream_page.last_of(self.way, order, through, before).map_err(|_| PassageFault)?;
            if let Some((latest, run)) = last {
                let id = Some(Cow::Owned(latest.id.clone()));
                reached = PassagePlace { anchor: Some(Cow::Owned(latest)), id, run, ahead: None };
            }
        }
        // Any remaining items of `taken` weren't read, so the page is faulty.
        let holds = taken.next().is_none() && self.leads_on(facts, &reached);
        if holds { Ok(are_shown) } else { Err(PassageFault) }
    }

    /// Returns whether the next page in the direction of reading begins at the place reached. If there is no next page,
    /// the upstream must say that the list ends there ([`Self::ends`]). Backward, a page may have no next page because
    /// no token leads to it.
    fn leads_on(&self, facts: &PageFacts, reached: &PassagePlace<'_>) -> bool {
        match if self.way.is_backward() { &facts.previous } else { &facts.next } {
            Some(onward) => anchor_of(onward) == reached.anchor.as_deref(),
            None if self.way.is_backward() => true,
            None => self.ends(facts),
        }
    }

    /// Returns whether each taken item is in an upstream page and comes after the item before it.
    fn takes_in_order(&self) -> bool {
        let place = |taken: &TakenItem| {
            let count = self.pages.get(taken.upstream_page)?.len();
            (taken.index < count).then(|| (taken.upstream_page, self.way.index(taken.index, count)))
        };
        let places = || self.taken.iter().map(place);
        places().all(|place| place.is_some()) && places().is_sorted_by(|one, next| one < next)
    }

    /// Returns the set of the taken items' ids. The items must be in upstream pages ([`Self::takes_in_order`]).
    fn ids(&self) -> HashSet<Cow<'_, [u8]>> {
        let order = &self.request.order;
        self.taken.iter().map(|taken| self.pages[taken.upstream_page].id(order, taken.index)).collect()
    }

    /// Returns the index of the upstream page in which the page begins, and the number of items before it that tie with
    /// the anchor. `None` if an upstream page before it shows items that come after the anchor.
    ///
    /// Among ties that the upstream doesn't order, everything before the anchor counts as served, so the page begins
    /// where the anchor is visible.
    fn begin(&self, reached: &PassagePlace<'_>) -> Option<(usize, u32)> {
        let (order, way) = (&self.request.order, self.way);
        let Some(anchor) = reached.anchor.as_deref().filter(|anchor| evidence::loose_at(order, anchor)) else {
            return Some((0, 0));
        };
        // The anchor may have moved toward the end, and come again after items of the page, so the upstream pages after
        // that of the first taken item aren't searched.
        let first = self.taken.first().map_or(self.pages.len(), |taken| taken.upstream_page + 1);
        let begin = self.pages.get(..first)?.iter().rposition(|page| page.shows(order, anchor)).unwrap_or(0);
        let stands = |page: &UpstreamPage, place| page.stands(way, order, place, anchor);
        let places =
            || self.pages[..begin].iter().flat_map(|page| (0..page.len()).map(move |place| stands(page, place)));
        let tied = places().filter(|stands| stands.is_some_and(Ordering::is_eq)).count();
        (!places().any(|stands| stands.is_some_and(Ordering::is_gt))).then(|| (begin, narrow(tied)))
    }

    /// Returns whether the page may begin with an upstream page that begins after its place. This is so if the upstream
    /// issued the token for exactly that place, or if no upstream page comes before this one.
    fn may_begin(&self, upstream_page: &UpstreamPage) -> bool {
        let (Target { position, hint }, asked) = (&self.request.target, &upstream_page.asked);
        let is_handed_out = hint.offset.0 == 0
            && asked.way == self.way
            && match position {
                Position::Token(place) => asked.token == place.token && asked.way == Way::of(place.token_backward),
                _ => true,
            };
        let (tokens, end) = (self.request.paging.tokens, self.request.paging.end);
        is_handed_out || upstream_page.lead(self.way.reversed(), tokens, end) == Lead::Edge
    }

    /// Returns whether no item can lie between the place reached and an upstream page that begins after that place.
    fn follows(&self, number: usize, reached: &PassagePlace<'_>) -> bool {
        let asked = &self.pages[number].asked;
        // Only an upstream page that was requested in the direction of reading begins at the seam. Tests:
        // `a_page_back_from_the_first_upstream_page_leaves_its_seam_open`,
        // `a_place_before_an_item_of_another_upstream_page_leaves_its_seam_unproven`.
        asked.way == self.way
            && match &asked.token {
                None => true,
                Some(token) => self.names(token, number, reached) || self.shows_next(number, reached),
            }
    }

    /// Returns whether a token is the id of the last item read, and so names the place reached. An id names a place
    /// only if the list is sorted by ids alone. Test:
    /// `an_item_continues_its_list_without_a_seam_only_where_ids_are_the_order`.
    fn names(&self, token: &Token, number: usize, reached: &PassagePlace<'_>) -> bool {
        let order = &self.request.order;
        let is_id = |id: &KeyValue| {
            key::identity_of(&order.id, id).is_some_and(|id| id == key::identity(&order.id, token.0.as_bytes()))
        };
        self.request.paging.tokens.by_item
            && order.strong.is_empty()
            && self.pages[number].is_continued_by_ids(order)
            && reached.id.as_deref().is_some_and(is_id)
    }

    /// Returns whether an upstream page contains the item that came right after the anchor when the cursor was made,
    /// and no other upstream page shows an item in between. Test:
    /// `a_page_does_not_begin_with_the_next_item_if_another_page_shows_one_before_it`.
    fn shows_next(&self, number: usize, reached: &PassagePlace<'_>) -> bool {
        let (Some(ahead), Some(anchor)) = (reached.ahead, &reached.anchor) else { return false };
        let (order, upstream_page) = (&self.request.order, &self.pages[number]);
        let (marker, within) = (self.request.marker_of_target(), upstream_page.len());
        let Some(next) = upstream_page.with_fingerprint(self.way, order, marker, within, ahead) else { return false };
        let mut others = self.pages.iter().enumerate().filter(|(other, _)| *other != number);
        !others.any(|(_, other)| other.shows_between(self.way, order, anchor, &next))
    }

    /// Steps through `places` of an upstream page in the direction of reading, and removes their items from `taken`.
    /// Returns the place after the last taken item, or `None` if the page lacks an item.
    ///
    /// Two kinds of items may be missing: an item whose id the page already has, because it was moved meanwhile, and
    /// the anchor, because it was served before.
    fn take(
        &self,
        number: usize,
        places: Range<usize>,
        taken: &mut Peekable<slice::Iter<'_, TakenItem>>,
        is_taken: impl Fn(&[u8]) -> bool,
    ) -> Option<usize> {
        let (order, upstream_page) = (&self.request.order, &self.pages[number]);
        let anchor = anchor_of(&self.request.target);
        let mut after_last = places.start;
        for place in places {
            let index = self.way.index(place, upstream_page.len());
            if taken.next_if(|next| **next == TakenItem { upstream_page: number, index }).is_some() {
                after_last = place + 1;
            } else if !is_taken(&upstream_page.id(order, index))
                && !anchor.is_some_and(|anchor| upstream_page.is_anchor(order, index, anchor))
            {
                return None;
            }
        }
        Some(after_last)
    }
}

impl<'a> PassagePlace<'a> {
    /// Returns the place at which a page begins.
    fn of(target: &'a Target) -> Self {
        let anchor = anchor_of(target);
        let id = match &target.position {
            Position::AfterPivot(Pivot { id, .. }) | Position::BeforePivot(Pivot { id, .. }) => Some(id),
            _ => anchor.map(|anchor| &anchor.id),
        };
        let (anchor, id) = (anchor.map(Cow::Borrowed), id.map(Cow::Borrowed));
        Self { anchor, id, run: target.hint.run, ahead: target.hint.ahead }
    }
}

/// Returns the item after which a page begins in its direction of reading; `None` if the item's keys aren't known.
fn anchor_of(target: &Target) -> Option<&Anchor> {
    match &target.position {
        Position::After(anchor) | Position::Before(anchor) => Some(anchor),
        Position::Token(place) => match &place.within {
            PlaceInPage::Keys(anchor) => Some(anchor),
            PlaceInPage::Whole | PlaceInPage::Marks(_) => None,
        },
        _ => None,
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::upstream_page::Asked, *};
    use crate::{
        json::Span,
        pagination::{
            answer::Answer,
            mark::Marker,
            order::{Direction, Kind, Nulls, Order, SortKey, Ties},
            paging::{Family, Paging, Sizes},
            position::{Hint, Loop, TokenPlace},
            request::Limit,
        },
    };

    fn key(name: &str) -> SortKey {
        let (name, direction, kind) = (name.to_owned(), Direction::Ascending, Kind::Number);
        SortKey { name, direction, kind, nulls: Nulls::None, grain: None }
    }

    /// Returns the order of a list that is sorted by a rank and an id.
    fn order(ties: Ties) -> Order {
        Order { strong: vec![key("rank")], id: key("id"), ties, declared: true }
    }

    fn request(order: Order, target: Target) -> PageRequest {
        let paging = Arc::new(Paging::new(Family::Token, Sizes::Fixed(3)));
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |hash, byte| hash * 31 + u64::from(*byte))));
        PageRequest::new(target, Limit::at_least_one(9), Arc::new(order), paging, marker)
    }

    fn start() -> Target {
        Target { position: Position::Start, hint: Hint::default() }
    }

    fn item(digits: &str) -> Anchor {
        let (rank, id) = digits.split_at(1);
        Anchor { keys: vec![KeyValue::Number(rank.into())], id: KeyValue::Number(id.into()) }
    }

    fn after(anchor: Anchor) -> Target {
        let within = PlaceInPage::Keys(anchor);
        let place = TokenPlace {
            token: Some(Token("t".into())),
            token_backward: false,
            backward: false,
            within,
            circle: Loop::default(),
        };
        Target { position: Position::Token(Box::new(place)), hint: Hint { run: 1, ..Hint::default() } }
    }

    /// Returns an upstream page of items with two digits, rank and id. If `next`, the list goes on.
    fn upstream_page(request: &PageRequest, token: Option<&str>, items: &[&str], next: bool) -> UpstreamPage {
        let span = |start: u32, length| Span { start, end: start + length };
        let starts = || (0..).step_by(2).take(items.len());
        let keys = starts().flat_map(|start| [span(start, 1), span(start + 1, 1)]).collect();
        let mut answer =
            Answer::listed(items.concat().into_bytes(), starts().map(|start| span(start, 2)).collect(), keys);
        answer.next = next.then(|| Token("more".into()));
        let asked = Asked { token: token.map(|token| Token(token.into())), way: Way::Forward, size: 3 };
        UpstreamPage::new(request, answer, asked)
    }

    fn taken(places: &[(usize, usize)]) -> Vec<TakenItem> {
        places.iter().map(|(upstream_page, index)| TakenItem { upstream_page: *upstream_page, index: *index }).collect()
    }

    /// Returns the level of a page with these items of upstream pages; `None` if the items don't make a page of them.
    fn level(
        request: &PageRequest,
        pages: &[(Option<&str>, &[&str])],
        items: &[(usize, usize)],
        consumed: usize,
        next: Option<&str>,
    ) -> Option<Level> {
        let page = |(token, items): &(Option<&str>, &[&str])| upstream_page(request, *token, items, next.is_some());
        let pages = pages.iter().map(page).collect();
        let passage = Passage { request, way: Way::Forward, pages, taken: taken(items), consumed };
        let facts = PageFacts { next: next.map(|last| after(item(last))), ..PageFacts::default() };
        passage.page(facts).ok().map(|page| page.level())
    }

    const FIRST: (Option<&str>, &[&str]) = (None, &["11", "22", "33"]);
    const OVERLAPPING: (Option<&str>, &[&str]) = (Some("t"), &["33", "44", "55"]);
    const BESIDE: (Option<&str>, &[&str]) = (Some("t"), &["44", "55", "66"]);

    #[test]
    fn a_page_by_token_is_checked_if_its_upstream_pages_overlap() {
        let request = request(order(Ties::Ordered), start());
        let items = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)];
        assert_eq!(level(&request, &[FIRST, OVERLAPPING], &items, 3, None), Some(Level::Checked));
        assert_eq!(level(&request, &[FIRST, OVERLAPPING], &items[..4], 2, Some("44")), Some(Level::Checked));
        let items = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];
        assert_eq!(level(&request, &[FIRST, BESIDE], &items, 3, None), Some(Level::Anchored));
        let from_the_start = (None, ["44", "55", "66"].as_slice());
        assert_eq!(level(&request, &[FIRST, from_the_start], &items, 3, None), Some(Level::Checked));
    }

    #[test]
    fn a_page_has_all_items_shown_from_its_place_on_each_once() {
        let request = request(order(Ties::Ordered), start());
        for (said, items, (consumed, next)) in [
            ("an item is left out", [(0, 0), (0, 2), (1, 1), (1, 2)].as_slice(), (3, None)),
            ("an item comes twice", &[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)], (3, None)),
            ("the items are not in order", &[(0, 1), (0, 0), (0, 2), (1, 1), (1, 2)], (3, None)),
            ("an item was not gone through", &[(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)], (2, Some("44"))),
            ("the next page begins elsewhere", &[(0, 0), (0, 1), (0, 2), (1, 1)], (2, Some("55"))),
            ("the list does not end here", &[(0, 0), (0, 1), (0, 2), (1, 1)], (2, None)),
            ("no such upstream page", &[(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 0)], (3, None)),
        ] {
            assert_eq!(level(&request, &[FIRST, OVERLAPPING], items, consumed, next), None, "{said}");
        }
        let unsorted = (Some("t"), ["33", "55", "44"].as_slice());
        assert_eq!(level(&request, &[FIRST, unsorted], &[(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)], 3, None), None);
    }

    /// The cursor doesn't show which ties were served, so no seam is proven, but the items must still be in the order
    /// of their upstream pages.
    #[test]
    fn the_items_of_a_page_are_those_of_its_upstream_pages_in_their_order() {
        let request = request(order(Ties::Unordered), after(item("12")));
        let pages: [(Option<&str>, &[&str]); 2] = [(Some("t"), &["13", "14"]), (Some("u"), &["15"])];
        for (items, found) in [
            ([(0, 0), (0, 1), (1, 0)].as_slice(), Some(Level::Anchored)),
            (&[(0, 0), (0, 0)], None),
            (&[(0, 1), (0, 0)], None),
            (&[(0, 0), (0, 2)], None),
            (&[(0, 0), (2, 0)], None),
            (&[(1, 0), (0, 0)], None),
        ] {
            assert_eq!(level(&request, &pages, items, 1, None), found, "{items:?}");
        }
    }

    #[test]
    fn an_item_that_comes_again_under_other_keys_is_on_the_page_once() {
        let request = request(order(Ties::Ordered), start());
        let again = (Some("t"), ["33", "41", "55"].as_slice());
        let items = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)];
        assert_eq!(level(&request, &[FIRST, again], &items, 3, None), None);
        let once = [(0, 0), (0, 1), (0, 2), (1, 2)];
        assert_eq!(level(&request, &[FIRST, again], &once, 3, None), Some(Level::Checked));
        // An item at the end of an upstream page under later keys isn't the place reached: the next upstream page shows
        // an item before it.
        let (at_the_end, next) = ((Some("t"), ["33", "71"].as_slice()), (Some("u"), ["55", "86"].as_slice()));
        let items = [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)];
        assert_eq!(level(&request, &[FIRST, at_the_end, next], &items, 2, None), Some(Level::Anchored));
    }

    #[test]
    fn the_item_that_came_next_shows_a_seam_unless_another_comes_between() {
        let order = order(Ties::Ordered);
        let shown = upstream_page(&request(order.clone(), start()), None, &["12", "44"], true);
        let mut target = after(item("12"));
        target.hint.ahead = Some(shown.fingerprint(&order, &request(order.clone(), start()).marker, 1));
        let request = request(order, target);
        let begins = (Some("t"), ["44", "55"].as_slice());
        for (second, items, expected) in [
            (["55", "66"].as_slice(), [(0, 0), (0, 1), (1, 1)], Level::Checked),
            (&["33", "55", "66"], [(0, 0), (0, 1), (1, 2)], Level::Anchored),
        ] {
            let pages = [begins, (Some("u"), second)];
            assert_eq!(level(&request, &pages, &items, second.len(), None), Some(expected), "{second:?}");
        }
        let other = (Some("t"), ["43", "55"].as_slice());
        assert_eq!(level(&request, &[other], &[(0, 0), (0, 1)], 2, None), Some(Level::Anchored));
    }

    #[test]
    fn an_upstream_page_begins_a_page_only_if_its_token_names_that_place() {
        let beyond = |token| [(Some(token), ["44", "55"].as_slice())];
        let (there, handed_out) = ([(0, 0), (0, 1)], after(item("33")));
        let mut amid = handed_out.clone();
        amid.hint.offset.0 = 2;
        for (target, token, expected) in
            [(&handed_out, "t", Some(Level::Anchored)), (&handed_out, "u", None), (&amid, "t", None)]
        {
            let mut request = request(order(Ties::Ordered), target.clone());
            let mut paging = Paging::clone(&request.paging);
            paging.tokens.backward = true;
            request.paging = Arc::new(paging);
            let pages = beyond(token).map(|(token, items)| {
                let mut page = upstream_page(&request, token, items, false);
                page.answer.previous = Some(Token("back".into()));
                page
            });
            let (pages, taken) = (pages.into(), taken(&there));
            let passage = Passage { request: &request, way: Way::Forward, pages, taken, consumed: 2 };
            let made = passage.page(PageFacts::default()).ok().map(|page| page.level());
            assert_eq!(made, expected, "{token} {:?}", target.hint.offset);
        }
    }

    #[test]
    fn a_page_by_token_has_an_end_only_if_the_upstream_declares_the_end() {
        let request = request(order(Ties::Ordered), start());
        let page = |next| {
            let pages = vec![upstream_page(&request, None, FIRST.1, next)];
            let items = taken(&[(0, 0), (0, 1), (0, 2)]);
            let passage = Passage { request: &request, way: Way::Forward, pages, taken: items, consumed: 3 };
            passage.page(PageFacts::default()).ok().map(|page| page.level())
        };
        assert_eq!((page(false), page(true)), (Some(Level::Checked), None));
    }

    #[test]
    fn a_run_in_another_sequence_begins_where_its_anchor_is_seen() {
        // The first answer shows another item of the anchor's run, which may be unserved.
        let request = request(order(Ties::Unordered), after(item("12")));
        let first = (Some("t"), ["01", "13"].as_slice());
        let second = (Some("u"), ["12", "24", "35"].as_slice());
        assert_eq!(level(&request, &[first, second], &[(1, 1), (1, 2)], 3, None), Some(Level::Anchored));
        // An item after the run is visible before the anchor, so the two answers aren't from one state of the list.
        let beyond = (Some("t"), ["01", "29"].as_slice());
        assert_eq!(level(&request, &[beyond, second], &[(1, 1), (1, 2)], 3, None), None);
        // The anchor comes again after items of the page.
        let again = (Some("u"), ["12"].as_slice());
        assert_eq!(
            level(&request, &[(Some("t"), &["24", "35"]), again], &[(0, 0), (0, 1)], 1, None),
            Some(Level::Anchored)
        );
    }

    #[test]
    fn a_token_names_the_place_by_the_id_of_its_item_alone() {
        let by_id = Order { strong: Vec::new(), ..order(Ties::Unordered) };
        for (token, ids, expected) in [
            ("2", "34", Level::Checked),
            ("\"2\"", "34", Level::Checked),
            ("1", "34", Level::Anchored),
            ("2", "35", Level::Anchored),
        ] {
            let mut request = request(by_id.clone(), start());
            let mut paging = Paging::new(Family::Token, Sizes::Fixed(3));
            paging.tokens.by_item = true;
            request.paging = Arc::new(paging);
            let page = |token: Option<&str>, items: &str, tokens: &str| {
                let spans = || (0..).map(|start| Span { start, end: start + 1 }).take(items.len());
                let mut answer =
                    Answer::listed([items, tokens].concat().into_bytes(), spans().collect(), spans().collect());
                let moved = |span: Span| Span { start: span.start + 2, end: span.end + 2 };
                answer.item_tokens = spans().map(moved).collect();
                answer.more = Some(token.is_none());
                let asked = Asked { token: token.map(|token| Token(token.into())), way: Way::Forward, size: 2 };
                UpstreamPage::new(&request, answer, asked)
            };
            let pages = vec![page(None, "12", "12"), page(Some(token), "34", ids)];
            let items = taken(&[(0, 0), (0, 1), (1, 0), (1, 1)]);
            let passage = Passage { request: &request, way: Way::Forward, pages, taken: items, consumed: 2 };
            let made = passage.page(PageFacts::default()).ok().map(|page| page.level());
            assert_eq!(made, Some(expected), "{token} {ids}");
        }
    }
}
