//! The end of a list without a declared order, before a page claims it.
//!
//! The rules are those of lists with an order (`windows::ends`): no answer of the request shows an item beyond, and
//! each statement that more items follow is refuted, or marks the end as doubted. Here an item is beyond the end if it
//! comes after the items that the page knows by their marks.
//!
//! The rows after the end are looked at without a hole. If an item comes, the last answer with items and the slice that
//! shows the item are read as a seam.

use std::{collections::HashSet, sync::Arc};

use super::{Landmark, MarkHalt, MarkNext, MarkReader, MarkTurn, mark_seam::MarkSeam, tail::Tail, view::View};
use crate::pagination::{
    answer::{Answer, Standing, Total},
    direction::Way,
    limits::{END_FAR_OFFSET, END_LOOKS, END_REFUTATIONS, GAP_READ_AGAIN, HONOURED_UNSEEN, NAMED_PLACE_WINDOWS},
    mark::Mark,
    page::{DoubtedEnd, Page},
    paging::{CountedThings, EndEvidence, Family, Sizes},
    plan,
    position::{Position, WalkFacts},
    refusal::Refusal,
    slices::{SliceReader as _, Unasked},
    window::{Offset, PageNumber, PageSize, Slice},
    windows::{MoreClaims, Witnesses},
};

/// The state of the end that a page claims.
#[derive(Debug, Default)]
pub(super) struct MarkEnd {
    /// True once the end that the page claims was judged.
    is_judged: bool,
    /// The claim that the list goes on, if it couldn't be refuted.
    doubt: Option<DoubtedEnd>,
    /// The number of claimed ends that were refuted.
    refuted: u32,
    /// The number of confirmations of short answers for this page.
    pub(super) confirmations: u32,
    /// True if the reader supposes the end, without an answer that shows it.
    is_supposed: bool,
}

/// The statements of the answers so far about the list as a whole.
#[derive(Debug)]
pub(super) struct SeenFacts {
    pub(super) walk: WalkFacts,
    /// The newest exact total, of this page or the page before.
    counted: Option<u64>,
    newest: Option<Total>,
    least: Option<u64>,
    more: Option<bool>,
    /// True if an answer had items, but fewer than were requested.
    pub(super) was_short: bool,
}

impl SeenFacts {
    /// Begins with the facts of the walk, and with the total of the page before.
    pub(super) fn new(walk: WalkFacts, total: Option<u64>) -> Self {
        Self { walk, counted: total, newest: None, least: None, more: None, was_short: false }
    }

    pub(super) fn note(&mut self, slice: Slice, answer: &Answer) {
        if answer.standing == Standing::Refused {
            return;
        }
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let walk = &mut self.walk;
        walk.most = walk.most.max(count);
        walk.more_said |= answer.more == Some(true);
        walk.more_said_when_short |= answer.more == Some(true) && count < slice.size().0;
        self.more = answer.more;
        self.was_short |= (1..slice.size().0).contains(&count);
        // A total of 0 beside no items says nothing.
        let Some(total) = answer.total.filter(|total| total.value > 0 || count > 0) else { return };
        (self.newest, self.least) = (Some(total), Some(self.least.map_or(total.value, |least| least.min(total.value))));
        if total.exact {
            let grown = self.counted.map_or(0, |counted| total.value.saturating_sub(counted));
            walk.grown = walk.grown.saturating_add(grown);
            walk.counts_beyond_answer |= total.value != u64::from(count);
            self.counted = Some(total.value);
        }
    }
}

/// The rows after the supposed end that were looked at.
struct EndLooks {
    /// The index of the last answer with items.
    near: usize,
    /// The marks of all items that the page knows.
    known: HashSet<Mark>,
    /// The next slice without a hole.
    next: Slice,
    /// The size of looks that may be apart from the others.
    size: PageSize,
    /// The slices without items.
    empty: Vec<Slice>,
    /// True if a look has shown an item beyond.
    is_refuted: bool,
    /// The expected offset after the last item.
    came: u64,
    /// The offset up to which rows were looked at without a hole.
    covered: u64,
    /// True if the upstream said of the last slice that it is past the end.
    is_past_end: bool,
}

/// The result of one look.
#[derive(Debug, PartialEq, Eq)]
enum EndSight {
    /// This slice shows an item beyond the end.
    Item(Slice),
    Nothing,
    /// The upstream doesn't answer there.
    Unseen,
}

impl MarkReader<'_> {
    /// Returns whether the end must be judged before the page is served.
    pub(super) fn must_judge_end(&self) -> bool {
        let is_claimed = match self.page.way() {
            Way::Forward => self.page.more == Some(false),
            Way::Backward => matches!(self.request.target.position, Position::End),
        };
        is_claimed
            && !self.claimed.is_judged
            && !self.request.is_unverified()
            && !self.request.leaves_out_costly_proofs()
            && self.findings.flagged.is_none()
            && !self.is_vouched()
    }

    /// Returns whether the dialect vouches for the evidence of the end.
    fn is_vouched(&self) -> bool {
        let Some(view) = self.page.views.last() else { return true };
        let (paging, more) = (&self.request.paging, view.answer.more);
        let is_short = (view.len() as u64) < u64::from(view.slice.size().0) && more != Some(true);
        match paging.end {
            EndEvidence::Flag if more == Some(false) => true,
            EndEvidence::ShortPage => is_short,
            _ => paging.complete && is_short && view.len() < self.asker.ledger.honoured().by_walk() as usize,
        }
    }

    /// Judges the end that the page claims. Returns the turn that serves the page, or that reads on if an item follows.
    pub(super) async fn judge_end(&mut self) -> MarkNext {
        self.asker.searching = true;
        let Some(seam) = self.seam_beyond().await? else {
            self.claimed.is_judged = true;
            return Ok(MarkTurn::Serve { cut_off: false });
        };
        self.claimed.refuted += 1;
        if self.claimed.refuted > END_REFUTATIONS {
            return Err(self.lost());
        }
        self.facts.walk.rows_left_out = true;
        self.count_left_out_rows();
        if self.page.way().is_backward() {
            return Ok(self.seek_tail_at(seam.ends_at()));
        }
        (self.page.more, self.claimed.is_supposed) = (None, false);
        Ok(MarkTurn::Seam(seam))
    }

    /// Searches for the end of the list again, from an offset before which an item is.
    fn seek_tail_at(&mut self, offset: u64) -> MarkTurn {
        self.set_out();
        (self.boundary, self.stand.offset) = (Landmark::Tail(Tail::new(offset)), offset);
        MarkTurn::Window
    }

    /// Reads on as in a list with hidden items: offsets count the rows that are left out.
    pub(super) fn count_left_out_rows(&mut self) {
        if self.facts.walk.rows_left_out {
            Arc::make_mut(&mut self.request.paging).hidden = true;
        }
    }

    /// Supposes that the list ends after the items read, so the end is judged.
    pub(super) fn suppose_end(&mut self) -> MarkNext {
        self.claimed.is_supposed = true;
        self.page.end();
        Ok(MarkTurn::Serve { cut_off: false })
    }

    /// Looks beyond the end. Returns the seam that leads to an item there; `None` if the list ends.
    async fn seam_beyond(&mut self) -> Result<Option<Box<MarkSeam>>, MarkHalt> {
        let Some(mut looks) = self.end_looks() else { return Ok(None) };
        if self.is_free(&looks) {
            return Ok(None);
        }
        let item = match self.step(&mut looks).await? {
            EndSight::Item(slice) => Some(slice),
            EndSight::Unseen if self.claimed.is_supposed => return Err(self.lost()),
            _ if self.is_settled(&looks) => None,
            _ => self.look_further(&mut looks).await?,
        };
        let Some(slice) = item else { return Ok(None) };
        let slice = self.first_in_gap(&looks, slice).await?;
        let near = &self.page.views[looks.near];
        // Without a seam the item isn't joined to the page, but it shows that the list goes on.
        let seam = MarkSeam::new(near, Way::Forward, &self.request).ok_or_else(|| self.lost())?;
        Ok(Some(seam.towards(slice)))
    }

    fn end_looks(&self) -> Option<EndLooks> {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        let views = &self.page.views;
        let last = |view: &View| view.marks(order, marker).last().copied();
        let newest = match self.page.way() {
            Way::Forward => views.iter().rev().find_map(last),
            Way::Backward => views.iter().max_by_key(|view| view.reaches()).and_then(last),
        };
        let is_near = |view: &&View| last(view) == newest;
        let largest = views.iter().enumerate().filter(|(_, view)| is_near(view));
        let (near, view) = largest.max_by_key(|(_, view)| view.slice.size().0)?;
        let known = views.iter().flat_map(|view| view.marks(order, marker).iter().copied()).collect();
        let size = self.look_size(view.slice);
        let next = match view.slice {
            // Pages of one size are neighbours under any cap.
            Slice::Page { .. } => plan::next(view.slice),
            Slice::Offset { .. } => Slice::Offset { from: Offset(view.reaches()), size },
        };
        // Where rows are left out, the expected offset may be farther than the last item is. Test:
        // `lists_that_begin_again_are_read_among_left_out_rows`.
        let came = match self.page.way() {
            Way::Backward => view.reaches(),
            Way::Forward => self.stand.offset.min(view.begins.saturating_add(view.len() as u64)),
        };
        let (empty, covered, is_refuted, is_past_end) = (vec![], next.begins().0, false, false);
        Some(EndLooks { near, known, next, size, empty, is_refuted, came, covered, is_past_end })
    }

    /// Returns the largest size that a request can ask for, unless a smaller cap is known. Under a silent cap, a page of
    /// a larger size begins before its place, so by page it is a size that was honoured, or that of the neighbours.
    fn look_size(&self, near: Slice) -> PageSize {
        let paging = &self.request.paging;
        match (&paging.sizes, near) {
            (Sizes::Fixed(size), _) => PageSize(*size),
            (_, Slice::Page { size, .. }) => size.max(plan::size_within(paging, self.facts.walk.most.max(1))),
            _ => {
                let cap = self.asker.sizes.profile.cap;
                plan::size_within(paging, u32::try_from(plan::most(paging, cap)).unwrap_or(u32::MAX))
            }
        }
    }

    /// Looks at the next rows without a hole.
    async fn step(&mut self, looks: &mut EndLooks) -> Result<EndSight, MarkHalt> {
        let slice = looks.next;
        let sight = self.sight(looks, slice).await?;
        if sight == EndSight::Nothing {
            // Under a silent cap, an answer to an offset covers no more rows than the largest answer of the walk has.
            let size = match slice {
                Slice::Offset { size, .. } => size.0.min(self.facts.walk.most.max(1)),
                Slice::Page { size, .. } => size.0,
            };
            looks.covered = slice.begins().0.saturating_add(u64::from(size));
            looks.next = match slice {
                Slice::Offset { size, .. } => Slice::Offset { from: Offset(looks.covered), size },
                Slice::Page { .. } => plan::next(slice),
            };
            looks.empty.push(slice);
        }
        Ok(sight)
    }

    /// Looks at a slice that may be apart from the rows that were looked at.
    async fn sight(&mut self, looks: &mut EndLooks, slice: Slice) -> Result<EndSight, MarkHalt> {
        let Some(slice) = plan::within(&self.request.paging, slice) else { return Ok(EndSight::Unseen) };
        if self.asker.left() == 0 {
            return Err(self.unended(looks));
        }
        self.asker.probe(true);
        let pairs = self.ask_beyond(vec![slice]).await;
        self.asker.probe(false);
        let answer = match pairs {
            Ok(mut pairs) => pairs.pop().map(|(_, answer)| answer),
            Err(Unasked::Spent) => return Err(self.unended(looks)),
            Err(Unasked::TooDeep) => None,
            Err(Unasked::Stop(stop)) => return Err(stop.into()),
        };
        let Some(answer) = answer.filter(|answer| answer.standing != Standing::Refused) else {
            return Ok(EndSight::Unseen);
        };
        looks.is_past_end = answer.standing == Standing::PastEnd;
        // Where the list begins again, no answer from after the end has a flag of its own, so the one beside the last item
        // stands.
        let stands = self.facts.more.filter(|_| looks.is_past_end && self.asker.begins_again());
        self.facts.note(slice, &answer);
        self.facts.more = stands.or(self.facts.more);
        let is_item = self.shows_new(&answer, &looks.known);
        looks.is_refuted |= is_item;
        Ok(if is_item { EndSight::Item(slice) } else { EndSight::Nothing })
    }

    /// Returns whether an answer has an item after all items that the page knows.
    fn shows_new(&self, answer: &Answer, known: &HashSet<Mark>) -> bool {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        answer.items.len().checked_sub(1).is_some_and(|last| !known.contains(&answer.mark(order, marker, last)))
    }

    /// Looks where statements say that more items follow, and then at growing distances. Returns the slice with an item,
    /// after rows that were all looked at.
    async fn look_further(&mut self, looks: &mut EndLooks) -> Result<Option<Slice>, MarkHalt> {
        let step = u64::from(looks.next.size().0);
        let window = u64::from(looks.size.0);
        let named = self.facts.newest.map_or(0, |total| total.value);
        if self.claims(looks).place && named > looks.covered {
            let at_named = self.window_up_to(named, looks.size);
            let is_item = matches!(self.sight(looks, at_named).await?, EndSight::Item(_));
            if (is_item || named.saturating_sub(looks.covered) <= NAMED_PLACE_WINDOWS * step)
                && let Some(item) = self.cross(looks, named).await?
            {
                return Ok(Some(item));
            }
        }
        let mut is_silent = false;
        if self.claims(looks).more {
            let reach = plan::reach_of(&self.request.paging).unwrap_or(u64::MAX);
            let far = named.saturating_mul(2).max(END_FAR_OFFSET).min(reach.saturating_sub(window));
            let at_far = self.window_at(far, looks.size);
            is_silent = far > looks.covered
                && self.sight(looks, at_far).await? == EndSight::Nothing
                && self.facts.more == Some(true)
                && !self.asker.begins_again();
            if !is_silent && let Some(item) = self.follow_flag(looks).await? {
                return Ok(Some(item));
            }
        }
        let claims = self.claims(looks);
        let is_quiet = !self.facts.walk.rows_left_out && !claims.place && !claims.count && (is_silent || !claims.more);
        let (near, growing) = if is_quiet { END_LOOKS[0] } else { END_LOOKS[1] };
        for _ in 0..near {
            if let EndSight::Item(slice) = self.step(looks).await? {
                return Ok(Some(slice));
            }
        }
        // Looks without a hole may be small, so the first of the others is at the same place.
        let distances = (step < window).then_some(0).into_iter().chain((0..growing).map(|look| window << look));
        for distance in distances {
            let place = looks.covered.saturating_add(distance);
            let apart = self.window_at(place, looks.size);
            if let EndSight::Item(_) = self.sight(looks, apart).await?
                && let Some(item) = self.cross(looks, place.saturating_add(window)).await?
            {
                return Ok(Some(item));
            }
        }
        let claims = self.claims(looks);
        let left = MoreClaims { more: claims.more && !is_silent, ..claims };
        self.claimed.doubt = left.any().then(|| self.doubted(looks, left));
        Ok(None)
    }

    /// Looks at all rows after which a flag says that more items follow. Returns the slice with an item.
    async fn follow_flag(&mut self, looks: &mut EndLooks) -> Result<Option<Slice>, MarkHalt> {
        // The bound: each look covers rows after the one before, or ends the loop.
        loop {
            match self.step(looks).await? {
                EndSight::Item(slice) => return Ok(Some(slice)),
                EndSight::Nothing if self.facts.more == Some(true) => {}
                EndSight::Nothing | EndSight::Unseen => return Ok(None),
            }
        }
    }

    /// Looks at all rows up to an offset, until an answer shows an item.
    async fn cross(&mut self, looks: &mut EndLooks, towards: u64) -> Result<Option<Slice>, MarkHalt> {
        // The bound: each look covers rows after the one before, or ends the loop.
        while looks.covered < towards {
            match self.step(looks).await? {
                EndSight::Item(slice) => return Ok(Some(slice)),
                EndSight::Nothing => {}
                EndSight::Unseen => break,
            }
        }
        Ok(None)
    }

    /// Returns the first slice of a gap that shows an item: a single empty answer may be a lapse of the upstream, so the
    /// slices before `found` are read again.
    async fn first_in_gap(&mut self, looks: &EndLooks, found: Slice) -> Result<Slice, MarkHalt> {
        for slice in looks.empty.iter().copied().take(GAP_READ_AGAIN) {
            let Some((_, answer)) = self.send(vec![slice]).await?.pop() else { return Err(self.lost()) };
            if self.shows_new(&answer, &looks.known) {
                return Ok(slice);
            }
        }
        Ok(found)
    }

    /// Returns the slice that begins at an offset, or the page that holds the offset. Answers to it are only hints,
    /// because the upstream may lower its size.
    fn window_at(&self, offset: u64, size: PageSize) -> Slice {
        let offset = Offset(offset).believed().0;
        match self.request.paging.family {
            Family::Offset | Family::Token => Slice::Offset { from: Offset(offset), size },
            Family::Page => Slice::Page { number: PageNumber(offset / u64::from(size.0.max(1))), size },
        }
    }

    /// Returns the slice that holds the row before an offset.
    fn window_up_to(&self, offset: u64, size: PageSize) -> Slice {
        let before = match self.request.paging.family {
            Family::Offset | Family::Token => u64::from(size.0),
            Family::Page => 1,
        };
        self.window_at(offset.saturating_sub(before), size)
    }

    /// Returns the number of items up to the end of the page; `None` if the walk didn't begin at the start.
    fn passed(&self) -> Option<u64> {
        let passed = self.facts.walk.passed.filter(|_| self.page.way() == Way::Forward);
        passed.map(|before| before.saturating_add(self.page.count() as u64))
    }

    /// Returns the statements that more items follow.
    fn claims(&self, looks: &EndLooks) -> MoreClaims {
        let counted = match self.asker.ledger.counts_pages() {
            true => CountedThings::Estimate,
            false => self.request.paging.counted,
        };
        let SeenFacts { walk: facts, newest: total, least, more, .. } = self.facts;
        let witnesses = Witnesses { counted, facts, total, least, more };
        // An item is never behind more items than its offset says.
        witnesses.claims(looks.came, looks.covered, Some(self.passed().unwrap_or(looks.came)))
    }

    fn total_is_passed(&self) -> bool {
        let total = self.facts.newest.filter(|total| total.exact).map(|total| total.value);
        total.is_some() && total == self.passed() && self.facts.walk.counts_beyond_answer
    }

    /// Returns whether a statement that has spoken of more than its own answer confirms the end, without a request.
    fn is_free(&self, looks: &EndLooks) -> bool {
        let total = self.facts.newest.map(|total| total.value);
        let agrees = self.facts.more == Some(false) && self.facts.walk.more_said_when_short
            || self.total_is_passed() && total == Some(looks.came);
        let views = &self.page.views;
        let is_short = |view: &View| view.len() < view.slice.size().0 as usize;
        // An answer that a silent cap may have filled isn't short, as in `windows::ends`.
        let says_more = |view: &View, count| is_short(view) && view.len() == count && view.answer.more == Some(true);
        let fills_a_cap = |count| count >= HONOURED_UNSEEN as usize && views.iter().any(|view| says_more(view, count));
        views.last().is_some_and(|view| is_short(view) && !fills_a_cap(view.len()))
            && agrees
            && !self.claims(&EndLooks { covered: looks.came, known: HashSet::new(), empty: vec![], ..*looks }).any()
    }

    /// Returns whether the rows after the end settle it.
    fn is_settled(&self, looks: &EndLooks) -> bool {
        let says_end = self.facts.more == Some(false) && self.facts.walk.more_said_when_short;
        !self.claims(looks).any() && (looks.is_past_end || says_end || self.total_is_passed())
    }

    fn doubted(&self, looks: &EndLooks, claims: MoreClaims) -> DoubtedEnd {
        let total = self.facts.newest.map(|total| total.value);
        let said = total.filter(|_| claims.place || claims.count);
        DoubtedEnd { reached: self.passed().unwrap_or(looks.came), said }
    }

    /// Ends a page whose requests are spent before its end was judged: the end is served, and marked, unless a look has
    /// shown an item beyond. A last page can't leave its end to the page after it. Test:
    /// `no_page_whose_requests_are_spent_ends_before_an_item_that_was_shown`.
    fn unended(&mut self, looks: &EndLooks) -> MarkHalt {
        match (looks.is_refuted, self.page.way()) {
            (true, Way::Forward) => {
                self.page.more = None;
                self.unasked(Unasked::Spent)
            }
            (true, Way::Backward) => Refusal::BudgetExceeded.into(),
            (false, _) => {
                self.claimed.is_judged = true;
                self.claimed.doubt = Some(self.doubted(looks, self.claims(looks)));
                MarkHalt::Instead(MarkTurn::Serve { cut_off: false })
            }
        }
    }

    /// Lets the page and its cursors carry what was found out about the end of the list.
    pub(super) fn carry(&self, page: &mut Page) {
        if let Some(doubt) = self.claimed.doubt.filter(|_| page.next.is_none()) {
            page.doubt_end(doubt);
        }
        if self.request.is_unverified() || self.findings.flagged.is_some() {
            return;
        }
        let (mut facts, count) = (self.facts.walk, page.items.len() as u64);
        facts.first = self.first_of_the_list(page);
        let first = match self.page.way() {
            _ if page.previous.is_none() => Some(0),
            Way::Forward => facts.passed,
            Way::Backward => facts.passed.and_then(|passed| passed.checked_sub(count)),
        };
        if let Some((_, hint)) = page.aim_previous() {
            hint.walk = WalkFacts { passed: first, ..facts };
        }
        if let Some((_, hint)) = page.aim_next() {
            hint.walk = WalkFacts { passed: first.map(|first| first.saturating_add(count)), ..facts };
        }
    }
    /// Returns the mark of the list's first item, made with the key of the page's cursors; `None` if it isn't known.
    fn first_of_the_list(&self, page: &Page) -> Option<Mark> {
        let (order, marker) = (&self.request.order, &self.request.marker);
        let first = page.items.first().filter(|_| page.previous.is_none());
        let shown = first.map(|first| page.answers[first.answer as usize].mark(order, marker, first.item as usize));
        shown.or_else(|| self.facts.walk.first.filter(|_| self.request.target_marker.is_none()))
    }
}
