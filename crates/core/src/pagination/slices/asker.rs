//! The requests of a page that is read from slices: the budget, and the facts that each answer shows, even if the page
//! doesn't use it.

use std::sync::Arc;

use super::{
    beginning::{Beginning, FirstItems, first_of},
    sizes::KnownSizes,
};
use crate::pagination::{
    answer::{Answer, Standing},
    direction::Side,
    judge::ledger::Ledger,
    limits::DEPTH_LOOKS,
    order::Order,
    paging::Paging,
    plan,
    refusal::Refusal,
    request::{Budget, PageRequest},
    rules::{Rule, holds},
    upstream::{Stop, UpstreamPort},
    window::{Offset, PageNumber, Slice},
};

/// A slice to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct AskedSlice {
    pub(in crate::pagination) slice: Slice,
    /// The expected number of items of the flipped list if the slice is one of that list; otherwise `None`.
    pub(in crate::pagination) flipped: Option<u64>,
    /// The edge of the answer at which the boundary is assumed to be, without evidence; `None` if no edge is assumed.
    pub(in crate::pagination) assumed: Option<Side>,
}

impl From<Slice> for AskedSlice {
    fn from(slice: Slice) -> Self {
        Self { slice, flipped: None, assumed: None }
    }
}

/// The reason why slices weren't requested.
#[derive(Debug)]
pub(in crate::pagination) enum Unasked {
    /// The budget is spent.
    Spent,
    /// The slices are deeper than the upstream answers.
    TooDeep,
    /// Reading must stop, for this reason.
    Stop(Stop),
}

impl From<Stop> for Unasked {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Refusal> for Unasked {
    fn from(refusal: Refusal) -> Self {
        Self::Stop(refusal.into())
    }
}

/// The requests that one page makes, and its knowledge from the answers.
#[derive(Debug)]
pub(in crate::pagination) struct Asker<'p> {
    up: &'p mut UpstreamPort,
    /// The number of requests made before this page was begun.
    before: u32,
    budget: Budget,
    /// True if the place of the page must be searched for. The page then has the budget of a search.
    pub(in crate::pagination) searching: bool,
    pub(in crate::pagination) sizes: KnownSizes,
    /// The sizes and counts that the answers show.
    pub(in crate::pagination) ledger: Ledger,
    /// The number of past-the-end statuses for slices that begin before the end, according to a count.
    ceilings: u32,
    /// The beginning of the list, once the upstream is suspected to give it again for places after the end.
    beginning: Option<Beginning>,
    /// True once an answer was taken for the beginning of the list given again.
    begins_again: bool,
    first_items: FirstItems,
    order: Arc<Order>,
    /// True if the list is declared to leave out rows.
    hides: bool,
}

impl<'p> Asker<'p> {
    /// Begins with the sizes that earlier pages have shown. `is_first_page` is true if no item comes before the page.
    pub(in crate::pagination) fn new(up: &'p mut UpstreamPort, request: &PageRequest, is_first_page: bool) -> Self {
        Self {
            before: up.requests,
            budget: request.budget,
            searching: false,
            sizes: KnownSizes::new(request.profile, is_first_page),
            ledger: Ledger::new(&request.target, &request.paging),
            ceilings: 0,
            beginning: None,
            begins_again: false,
            first_items: FirstItems::default(),
            order: Arc::clone(&request.order),
            hides: request.paging.hidden,
            up,
        }
    }

    /// Adds slices that were read before this page was begun, as if this page had requested them.
    ///
    /// # Errors
    ///
    /// As [`Asker::send`].
    pub(in crate::pagination) fn adopt(&mut self, pairs: &[(Slice, Answer)], paging: &Paging) -> Result<(), Refusal> {
        self.before -= u32::try_from(pairs.len()).unwrap_or(u32::MAX).min(self.before);
        self.note_first_items(pairs.iter().map(|(slice, answer)| ((*slice, false), answer)));
        self.learn(pairs.iter().map(|(slice, answer)| ((*slice, false), answer)), paging)
    }

    /// Returns the number of requests that the page may still make.
    pub(in crate::pagination) fn left(&self) -> usize {
        debug_assert!(self.up.requests >= self.before, "requests are only added");
        let budget = if self.searching { self.budget.search } else { self.budget.page };
        budget.saturating_sub(self.up.requests - self.before) as usize
    }

    /// Returns whether the page has made at least half of the requests that a search may make.
    pub(in crate::pagination) fn is_half_spent(&self) -> bool {
        (self.up.requests - self.before).saturating_mul(2) >= self.budget.search
    }

    /// Requests slices, as many as the budget allows. A slice that extends beyond the upstream's depth limit is cut
    /// there, if the rest of it `is_of_use`. Slices after one that is too deep are omitted.
    ///
    /// # Errors
    ///
    /// [`Unasked::Spent`] and [`Unasked::TooDeep`] if not even the first slice can be requested. [`Refusal::NoList`] if
    /// the first answer is a past-the-end status at offset 0. [`Refusal::TooDeep`] if more than [`DEPTH_LOOKS`] first
    /// answers are past-the-end statuses at offsets that a count places in the list.
    pub(in crate::pagination) async fn send(
        &mut self,
        mut asked: Vec<AskedSlice>,
        paging: &Paging,
        is_of_use: impl Fn(Slice) -> bool,
    ) -> Result<Vec<(AskedSlice, Answer)>, Unasked> {
        asked.truncate(self.left());
        if asked.is_empty() {
            // A page that continued without a request would never end.
            return Err(Unasked::Spent);
        }
        let shallow = |asked: AskedSlice| {
            let slice = plan::within(paging, asked.slice)?;
            (slice == asked.slice || is_of_use(slice)).then_some(AskedSlice { slice, ..asked })
        };
        asked = asked.into_iter().map_while(shallow).collect();
        if asked.is_empty() {
            return Err(Unasked::TooDeep);
        }
        let slices = asked.iter().map(|asked| (asked.slice, asked.flipped.is_some()));
        let mut answers = self.up.slices(slices.clone()).await?;
        debug_assert_eq!(answers.len(), asked.len(), "each slice has an answer");
        self.note_first_items(slices.clone().zip(&answers));
        self.suspect_beginning(&asked, &answers).await?;
        self.leave_out_beginning(&asked, &mut answers).await?;
        self.learn(slices.zip(&answers), paging)?;
        if self.ledger.counts_pages() {
            answers.iter_mut().for_each(|answer| answer.total = None);
        }
        Ok(asked.into_iter().zip(answers).collect())
    }

    /// Returns whether the upstream gives the beginning of the list for places after the end, or beyond a depth that it
    /// serves. Its flag says nothing about these places.
    pub(in crate::pagination) fn begins_again(&self) -> bool {
        self.begins_again
    }

    /// Reads the beginning of the list in a slice of the size of `like`. From now on, answers that give it again for
    /// other places count as statuses past the end, unless no answer from another place begins with another item: then
    /// the upstream may ignore the requested place. Returns the answer; `None` if the beginning is already known, or if the budget
    /// is spent.
    ///
    /// # Errors
    ///
    /// As [`UpstreamPort::slices`].
    pub(in crate::pagination) async fn read_beginning(&mut self, like: Slice) -> Result<Option<Answer>, Stop> {
        if self.beginning.is_some() || self.left() == 0 {
            return Ok(None);
        }
        let slice = match like {
            Slice::Offset { size, .. } => Slice::Offset { from: Offset(0), size },
            Slice::Page { size, .. } => Slice::Page { number: PageNumber(0), size },
        };
        let answer = self.up.slices([(slice, false)].into_iter()).await?.pop().unwrap_or_default();
        let rows = self.rows_of(slice, &answer);
        self.beginning = Some(Beginning::new(slice, &answer, rows, Arc::clone(&self.order)));
        Ok(Some(answer))
    }

    /// Returns whether an answer from after the start begins with another item than this answer.
    pub(in crate::pagination) fn gives_other_items_than(&self, answer: &Answer) -> bool {
        self.first_items.differ_from(first_of(answer))
    }

    /// Returns the number of rows that an answer may cover: some of them may be left out. Regression:
    /// `crates/sim/regressions/a-first-item-in-two-slices.txt`.
    fn rows_of(&self, slice: Slice, answer: &Answer) -> u64 {
        if self.hides { slice.size().0.into() } else { answer.items.len() as u64 }
    }

    fn note_first_items<'a>(&mut self, pairs: impl Iterator<Item = ((Slice, bool), &'a Answer)>) {
        for ((slice, _), answer) in pairs.filter(|((_, is_flipped), _)| !is_flipped) {
            let rows = self.rows_of(slice, answer);
            self.first_items.note(slice, answer, rows);
            if self.beginning.is_some() && slice.begins() == Offset(0) && !answer.items.is_empty() {
                self.beginning = Some(Beginning::new(slice, answer, rows, Arc::clone(&self.order)));
            }
        }
    }

    /// Reads the beginning of the list if an answer from after the list's first answer begins with the same item. Test:
    /// `lists_that_begin_again_past_their_end_are_read_among_left_out_rows`.
    async fn suspect_beginning(&mut self, asked: &[AskedSlice], answers: &[Answer]) -> Result<(), Stop> {
        let mut pairs = asked.iter().zip(answers).filter(|(asked, _)| asked.flipped.is_none());
        if let Some((suspect, _)) = pairs.find(|(asked, answer)| self.first_items.come_again(asked.slice, answer)) {
            // Only what lies before the end is where the page expects it.
            self.searching = true;
            self.read_beginning(suspect.slice).await?;
        }
        Ok(())
    }

    /// Takes the answers that give the beginning of the list again for statuses past the end: their items, and what they
    /// say about more items, are of another place. Test: `a_list_that_begins_again_in_its_middle_has_no_end_there`.
    async fn leave_out_beginning(&mut self, asked: &[AskedSlice], answers: &mut [Answer]) -> Result<(), Unasked> {
        let Some(beginning) = &self.beginning else { return Ok(()) };
        let may_come_again = |place: &usize| {
            let AskedSlice { slice, flipped, .. } = asked[*place];
            flipped.is_none() && beginning.may_come_again(slice, &answers[*place], &self.first_items)
        };
        let suspects: Vec<usize> = (0..answers.len()).filter(may_come_again).collect();
        if suspects.is_empty() {
            return Ok(());
        }
        if self.left() == 0 {
            return Err(Unasked::Spent);
        }
        // Items that came before the list's first ones meanwhile would move them to another place.
        let slice = beginning.slice;
        let now = self.up.slices([(slice, false)].into_iter()).await?.pop().unwrap_or_default();
        let rows = self.rows_of(slice, &now);
        let now = Beginning::new(slice, &now, rows, Arc::clone(&self.order));
        for place in suspects.into_iter().filter(|place| now.begins(&answers[*place])).collect::<Vec<_>>() {
            self.begins_again = true;
            let total = answers[place].total;
            answers[place] = Answer { total, ..Answer::without_items(Standing::PastEnd) };
        }
        self.beginning = Some(now);
        Ok(())
    }

    /// Sets whether the next slices only show whether more items follow.
    pub(in crate::pagination) fn probe(&mut self, is_probe: bool) {
        self.up.probing = is_probe;
    }

    /// Returns whether the flipped list is read.
    pub(in crate::pagination) fn is_flipped(&self) -> bool {
        self.up.flipped
    }

    /// Notes the items of an answer that the page doesn't use, for the check that the page lacks none of them.
    pub(in crate::pagination) fn note_unused(&mut self, answer: &Answer) {
        if let Some(shown) = &mut self.up.shown {
            shown.note_unused(answer);
        }
    }

    /// Compares an answer with the previous short one, to learn a silent cap.
    pub(in crate::pagination) fn compare_short(&mut self, slice: Slice, answer: &Answer, paging: &Paging) {
        self.sizes.compare_short(slice, answer, &self.ledger, paging);
    }

    /// Notes that more items came after an answer of `count` items, so larger sizes are no longer honoured.
    pub(in crate::pagination) fn fell_to(&mut self, count: u32) {
        self.ledger.fell_to(count);
        self.sizes.are_answers_cut = true;
    }

    /// Returns whether these answers show that the upstream returns the same number of items whatever size is
    /// requested.
    pub(in crate::pagination) fn ignores_sizes(&mut self, pairs: &[(AskedSlice, Answer)]) -> bool {
        pairs.iter().any(|(asked, answer)| self.sizes.are_ignored(asked.slice, answer))
    }

    fn learn<'a>(
        &mut self,
        pairs: impl Iterator<Item = ((Slice, bool), &'a Answer)> + Clone,
        paging: &Paging,
    ) -> Result<(), Refusal> {
        for ((slice, is_flipped), answer) in pairs.clone() {
            self.ledger.enter(slice, is_flipped, answer, paging);
            self.sizes.learn(slice, answer);
        }
        // Only the first answer can refuse the page. The others are speculative: if they are needed, they are requested
        // again and come first.
        let mut pairs = pairs;
        if let Some(((slice, _), answer)) = pairs.next()
            && answer.standing == Standing::PastEnd
            && holds(Rule::StatusesOnlyAim)
        {
            let begins = slice.begins().0;
            if begins == 0 {
                return Err(Refusal::NoList);
            }
            let is_counted = self.ledger.total().is_some_and(|total| total > begins);
            // Where the list begins again, a count that is too high for good is no sign of a depth limit.
            self.ceilings += u32::from(is_counted && !self.up.probing && !self.begins_again);
            // If the upstream's total includes rows that no client can see, requests between the last visible row and
            // the total fail as they would beyond a depth limit, until the binary search reaches the visible rows. The
            // page is therefore refused only after several such statuses. Test:
            // `an_end_beyond_which_requests_fail_is_not_taken_for_a_depth_limit`.
            if self.ceilings > DEPTH_LOOKS {
                return Err(Refusal::TooDeep);
            }
        }
        Ok(())
    }
}
