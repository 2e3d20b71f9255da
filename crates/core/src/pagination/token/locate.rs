//! The search for the place of a cursor, in the upstream page that its token leads to and in the pages around that one.

use std::cmp::Ordering;

use super::{
    ReachedPlace, TokenPage,
    chain::{Around, PlaceAmid},
};
use crate::pagination::{
    direction::{Side, Way},
    fetch::Token,
    judge::upstream_page::{Basis, Lead, Passed, UpstreamPage},
    mark::Mark,
    page::Unproven,
    position::Loop,
    refusal::Refusal,
    rows,
    upstream::Stop,
    window::Offset,
};

/// A place to look for.
#[derive(Debug)]
pub(super) struct Seek {
    /// The marks around the place; `None` if the place is given by the anchor's keys, or by `depth` alone.
    around: Option<Around>,
    /// True if the upstream issued the page as the one that begins at the place.
    aligned: bool,
    /// The number of items between the place that the token leads to and this place, when the cursor was made.
    depth: usize,
    /// The upstream pages read so far, in the direction of reading.
    window: Vec<UpstreamPage>,
    /// The index in `window` of the page that the cursor's token led to.
    origin: usize,
    /// True if the anchor is looked for among ties, some of which were served.
    in_ties: bool,
    /// True if no page read so far shows the anchor, and its ties continue beyond these pages.
    ties_go_on: bool,
    /// The place that counts if the anchor is gone, or if the next page shows no more marks: the index of the page, and
    /// the number of its items before the place. `None` while no such place is known.
    unless_seen: Option<(usize, usize)>,
    /// The numbers of items looked at, forward and backward.
    looked_at: [u32; 2],
    /// True if an upstream page without a token was asked for again.
    asked_again: bool,
}

impl Seek {
    #[must_use]
    pub(super) fn new(around: Option<Around>, depth: usize, same_way: bool) -> Self {
        // A cursor in the middle of an upstream page contains marks of the items ahead. Without such marks, its token
        // leads to the place itself.
        let aligned = around.as_ref().map_or(same_way && depth == 0, |around| around.ahead.is_empty());
        Self {
            around,
            aligned,
            depth,
            window: Vec::new(),
            origin: 0,
            in_ties: false,
            ties_go_on: false,
            unless_seen: None,
            looked_at: [0; 2],
            asked_again: false,
        }
    }

    /// Removes the upstream page that was read last, on this side, to ask for it again.
    fn put_back(&mut self, latest: usize, side: Side) -> UpstreamPage {
        self.asked_again = true;
        self.origin -= usize::from(side == Side::Before);
        self.window.remove(latest)
    }

    /// Adds an upstream page that was read on this side, and returns its index.
    fn put(&mut self, upstream_page: UpstreamPage, side: Side) -> usize {
        let items = u32::try_from(upstream_page.len()).unwrap_or(u32::MAX);
        match side {
            Side::After => {
                self.looked_at[0] = self.looked_at[0].saturating_add(items);
                self.window.push(upstream_page);
                self.window.len() - 1
            }
            Side::Before => {
                self.looked_at[1] = self.looked_at[1].saturating_add(items);
                self.window.insert(0, upstream_page);
                self.origin += 1;
                0
            }
        }
    }

    /// Returns the number of a page's items that are expected before the place: as many as when the cursor was made.
    fn believed(&self, upstream_page: usize, way: Way) -> usize {
        let upstream_page = &self.window[upstream_page];
        upstream_page.depth(way, self.depth.min(upstream_page.len()))
    }
}

/// The result of looking at the pages read for the place.
enum Looked {
    /// The place is in the page with this index, after `passed` of its items.
    Found { upstream_page: usize, passed: usize },
    /// The upstream page that this token leads to must be read, on this side in the direction of reading.
    Ask(Token, Side),
    /// The upstream page that was read last must be asked for again, because it has no token.
    Again,
}

impl TokenPage<'_> {
    /// Finds the place in the upstream page that its token leads to, or in the pages around it. Takes the items that
    /// the requested page needs from the upstream page with the place. Upstream pages that were read beyond that one
    /// are used next.
    ///
    /// # Errors
    ///
    /// [`Stop`] if the place can't be found.
    pub(super) async fn find_place(&mut self, mut seek: Seek, first: UpstreamPage) -> Result<(), Stop> {
        let (mut upstream_page, mut side) = (first, Side::After);
        // The loop ends because each turn spends budget.
        let (found, passed) = loop {
            let latest = seek.put(upstream_page, side);
            match self.look_for_place(&mut seek, latest, side)? {
                Looked::Found { upstream_page, passed } => break (upstream_page, passed),
                Looked::Ask(token, next) => {
                    if (side, next) == (Side::Before, Side::Before)
                        && let [latest, before, ..] = &seek.window[..]
                        && !self.leads_back(latest, before)
                    {
                        return Err(Refusal::Stuck.into());
                    }
                    self.searching = true;
                    let way = if next == Side::After { self.way } else { self.way.reversed() };
                    upstream_page = self.ask(Some(token), way, 0).await?;
                    side = next;
                }
                Looked::Again => {
                    let first = seek.put_back(latest, side);
                    upstream_page = self.send(first.asked().clone()).await?;
                    self.compare_again(&first, &upstream_page)?;
                }
            }
        };
        let mut window = seek.window;
        if found < seek.origin {
            // The pages between here and the origin are read again, which isn't a circle, so the detection of circles
            // begins anew.
            self.circle.now = Loop::default();
        }
        self.pages.ahead = window.split_off(found + 1);
        self.pages.ahead.reverse();
        let Some(upstream_page) = window.pop() else {
            return Err(Refusal::PositionLost { nearest: Offset(0) }.into());
        };
        self.pages.read = window;
        Ok(self.take(upstream_page, passed)?)
    }

    /// Looks for the place in the upstream page that was read last.
    fn look_for_place(&mut self, seek: &mut Seek, latest: usize, side: Side) -> Result<Looked, Refusal> {
        match seek.around.take() {
            Some(around) => {
                let looked = self.look_for_marks(seek, &around, latest, side);
                seek.around = Some(around);
                looked
            }
            None if self.is_keyed => self.look_for_anchor(seek, latest, side),
            None => Ok(Looked::Found { upstream_page: latest, passed: seek.believed(latest, self.way) }),
        }
    }

    fn look_for_anchor(&mut self, seek: &mut Seek, latest: usize, side: Side) -> Result<Looked, Refusal> {
        let upstream_page = &seek.window[latest];
        let aligned = seek.aligned && latest == seek.origin;
        let order = &self.request.order;
        let ReachedPlace { anchor, run, .. } = &self.place;
        let passed = anchor.as_ref().and_then(|anchor| upstream_page.passed(self.way, order, anchor, *run, aligned));
        let Some(passed) = passed else {
            if let Some(anchor) = anchor {
                let strange = rows::strange_anchor(upstream_page.answer(), order, anchor);
                self.contradicted(strange)?;
            }
            return Ok(Looked::Found { upstream_page: latest, passed: seek.believed(latest, self.way) });
        };
        // A page that begins with the item that was next has lost no item in between. The same is true of a page that
        // shows that item after others that come after the anchor: the others are new. The page then begins with the
        // upstream page's first item. Test: `items_inserted_before_the_next_item_are_served_where_it_is_seen`.
        let guessed = matches!(passed.basis, Basis::Guess { .. });
        let within = if guessed { upstream_page.len().min(1) } else { upstream_page.len() };
        let shows_next = (guessed || passed.count == 0) && self.shows_next(seek, latest, within);
        if shows_next {
            return Ok(Looked::Found { upstream_page: latest, passed: 0 });
        }
        let first = seek.window.first().unwrap_or(upstream_page);
        let lead = first.lead(self.way.reversed(), self.tokens(), self.request.paging.end);
        let may_ask = !self.request.is_unverified();
        let onward = match upstream_page.lead(self.way, self.tokens(), self.request.paging.end) {
            Lead::Token(token) if side == Side::After && self.may_look_onward(seek) => Some(token),
            _ => None,
        };
        if side == Side::After {
            seek.ties_go_on = passed.basis == Basis::Unseen;
        }
        match (passed.basis, lead) {
            _ if seek.unless_seen.is_some() => Ok(self.found_by_keys(seek, latest, passed)),
            // The anchor may be among the ties at the end of the previous upstream page, which is read next. Test:
            // `the_last_item_of_a_run_is_looked_for_where_the_run_goes_on`.
            (Basis::Guess { from_edge: true, .. }, Lead::Token(token)) if may_ask => {
                seek.in_ties = true;
                Ok(Looked::Ask(token, Side::Before))
            }
            (Basis::Keys, _) if seek.in_ties => self.lost(seek, Unproven::TieRun),
            // The anchor may be among the ties at the start of the next upstream page, which is read next.
            (Basis::Guess { to_edge, .. }, _) => match onward.filter(|_| to_edge) {
                Some(token) => {
                    seek.in_ties = true;
                    Ok(Looked::Ask(token, Side::After))
                }
                // If the anchor is gone, its ties don't show which of them were served, so the page is refused or
                // flagged. Test: `ties_that_are_not_ordered_keep_the_upstreams_sequence`.
                None => self.lost(seek, Unproven::TieRun),
            },
            (_, Lead::Edge) if passed.count == 0 && self.lacks_token(seek, latest) => Ok(Looked::Again),
            (_, lead) if passed.count > 0 || seek.aligned || lead == Lead::Edge => {
                Ok(self.found_by_keys(seek, latest, passed))
            }
            // The upstream page contained the anchor, and no longer extends back to it. Items in between may have moved
            // to the previous page, which is read next. Test:
            // `a_page_that_lost_its_place_is_looked_for_in_the_page_before`.
            (_, Lead::Token(token)) if may_ask => Ok(Looked::Ask(token, Side::Before)),
            // If an upstream page begins after the place, items before its first one may have been lost, so the page is
            // refused or flagged. Test: `a_reader_that_deletes_what_it_read_goes_on`.
            _ => self.lost(seek, Unproven::Position),
        }
    }

    /// Returns whether the upstream page that was read last has no token that leads on, although the cursor's item came
    /// after it. Test: `a_token_that_is_missing_during_the_search_for_the_place_is_asked_for_again`.
    fn lacks_token(&self, seek: &Seek, latest: usize) -> bool {
        let (upstream_page, tokens, end) = (&seek.window[latest], self.tokens(), self.request.paging.end);
        latest == 0
            && self.way.is_backward()
            && upstream_page.asked().way == Way::Forward
            && !upstream_page.is_empty()
            && !upstream_page.is_vouched_end(Way::Forward, tokens, end)
            && !seek.asked_again
            && self.may_ask_again()
    }

    /// Flags or refuses the page if an item of an upstream page isn't in the answer `again` to the same request. The
    /// token may have drifted, and the items of the two answers have no common sequence.
    fn compare_again(&mut self, first: &UpstreamPage, again: &UpstreamPage) -> Result<(), Refusal> {
        let order = &self.request.order;
        let is_there = |index| first.anchor(order, index).is_ok_and(|item| again.shows(order, &item));
        if (0..first.len()).all(is_there) {
            return Ok(());
        }
        if !self.may_flag() {
            return Err(Refusal::PositionLost { nearest: Offset(0) });
        }
        self.findings.flagged = Some(Unproven::Position);
        Ok(())
    }

    /// Returns whether the first `within` items of a page include the item that was next when the cursor was made, and
    /// no other page shows an item between the anchor and that one. Test:
    /// `a_page_does_not_begin_with_the_next_item_if_another_page_shows_one_before_it`.
    fn shows_next(&self, seek: &Seek, latest: usize, within: usize) -> bool {
        let (Some(ahead), Some(anchor)) = (self.request.target.hint.ahead, &self.place.anchor) else { return false };
        let (order, marker, upstream_page) =
            (&self.request.order, self.request.marker_of_target(), &seek.window[latest]);
        let Some(next) = upstream_page.with_fingerprint(self.way, order, marker, within, ahead) else { return false };
        let mut others = seek.window.iter().enumerate().filter(|(number, _)| *number != latest);
        !others.any(|(_, other)| other.shows_between(self.way, order, anchor, &next))
    }

    /// Returns the place in this page, unless the anchor may still be found where its run continues. The next upstream
    /// page is then read first: if items were inserted before the anchor, it may be after the place, and would be
    /// served a second time.
    fn found_by_keys(&mut self, seek: &mut Seek, upstream_page: usize, passed: Passed) -> Looked {
        if passed.basis == Basis::Sight {
            return Looked::Found { upstream_page, passed: passed.count };
        }
        let (found, count) = *seek.unless_seen.get_or_insert((upstream_page, passed.count));
        let onward = seek.window.last().map(|last| last.lead(self.way, self.tokens(), self.request.paging.end));
        let may_ask = self.may_look_onward(seek);
        if let Some(Lead::Token(token)) = onward.filter(|_| seek.ties_go_on && may_ask) {
            return Looked::Ask(token, Side::After);
        }
        Looked::Found { upstream_page: found, passed: count }
    }

    fn may_look_onward(&self, seek: &Seek) -> bool {
        !self.request.is_unverified()
            && seek.looked_at[0] < self.request.terms.search_items
            && self.up.requests + 1 < self.request.budget.search
    }

    fn look_for_marks(
        &mut self,
        seek: &mut Seek,
        around: &Around,
        latest: usize,
        side: Side,
    ) -> Result<Looked, Refusal> {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        // Single upstream pages may be too short to show enough of the marks, so the marks of up to two pages are
        // looked at together.
        let first = seek.unless_seen.map_or(latest, |(upstream_page, _)| upstream_page);
        let upstream_pages = &seek.window[first..=latest];
        let marks: Vec<Mark> =
            upstream_pages.iter().flat_map(|upstream_page| upstream_page.marks(order, marker, self.way)).collect();
        let sighting = match seek.aligned {
            true => around.find_from_start(&marks),
            false => around.find(&marks, seek.believed(latest, self.way)),
        };
        match sighting {
            PlaceAmid::At { passed: 0, .. }
                if seek.aligned
                    && first == latest
                    && around.goes_on_passed(&marks)
                    && self.may_look_onward(seek)
                    && let Lead::Token(token) =
                        upstream_pages[0].lead(self.way, self.tokens(), self.request.paging.end) =>
            {
                seek.unless_seen = Some((first, 0));
                return Ok(Looked::Ask(token, Side::After));
            }
            PlaceAmid::At { passed, stragglers } => {
                self.findings.stragglers = stragglers;
                let gone_by = upstream_pages[0].len();
                return Ok(match passed.checked_sub(gone_by) {
                    Some(passed @ 1..) if first < latest => Looked::Found { upstream_page: latest, passed },
                    _ => Looked::Found { upstream_page: first, passed },
                });
            }
            PlaceAmid::Disagreed => return self.lost(seek, Unproven::Position),
            PlaceAmid::Nowhere => {}
        }
        let bound = self.request.terms.search_items;
        let lead = |upstream_page: Option<&UpstreamPage>, way| {
            upstream_page.map(|upstream_page| upstream_page.lead(way, self.tokens(), self.request.paging.end))
        };
        // Insertions before the place moved it forward, and deletions moved it back. The pages after it are read first,
        // then those before it.
        if side == Side::After
            && seek.looked_at[0] < bound
            && let Some(Lead::Token(token)) = lead(seek.window.last(), self.way)
        {
            return Ok(Looked::Ask(token, Side::After));
        }
        match lead(seek.window.first(), self.way.reversed()) {
            Some(Lead::Token(token)) if seek.looked_at[1] < bound => Ok(Looked::Ask(token, Side::Before)),
            _ => self.lost(seek, Unproven::Position),
        }
    }

    /// Returns whether `before`, which was read on the way back, comes before `upstream_page`; false if the tokens lead
    /// round in a circle.
    fn leads_back(&self, upstream_page: &UpstreamPage, before: &UpstreamPage) -> bool {
        if upstream_page.is_empty() || before.is_empty() {
            return true;
        }
        let order = &self.request.order;
        let first = before.anchor(order, self.way.index(0, before.len())).ok().filter(|_| self.is_keyed);
        match first.and_then(|first| upstream_page.begins(self.way, order, &first)) {
            Some(Ordering::Less) => true,
            Some(Ordering::Greater) => false,
            _ => upstream_page.hash(order, &self.request.marker) != before.hash(order, &self.request.marker),
        }
    }

    /// Decides on a page whose place can't be found: flags the page and returns the expected place, or returns the
    /// refusal.
    fn lost(&mut self, seek: &Seek, unproven: Unproven) -> Result<Looked, Refusal> {
        if !self.may_flag() {
            let nearest = Offset(0);
            return Err(match unproven {
                Unproven::TieRun => Refusal::TieRun { nearest },
                _ => Refusal::PositionLost { nearest },
            });
        }
        self.findings.flagged = Some(unproven);
        Ok(Looked::Found { upstream_page: seek.origin, passed: seek.believed(seek.origin, self.way) })
    }
}
