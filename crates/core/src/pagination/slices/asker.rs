//! The requests of a page that is read from slices: how many may still be made, and what their answers teach, whatever
//! becomes of them.

use super::sizes::KnownSizes;
use crate::pagination::{
    answer::{Answer, Standing},
    direction::Side,
    judge::ledger::Ledger,
    limits::DEPTH_LOOKS,
    paging::Paging,
    plan,
    refusal::Refusal,
    request::{Budget, PageRequest},
    rules::{Rule, holds},
    upstream::{Stop, UpstreamPort},
    window::Slice,
};

/// A slice that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct AskedSlice {
    pub(in crate::pagination) slice: Slice,
    /// The number of items that the flipped list is believed to have, if the slice is one of that list.
    pub(in crate::pagination) flipped: Option<u64>,
    /// The edge of the answer at which the boundary is taken to be, though no answer shows that.
    pub(in crate::pagination) assumed: Option<Side>,
}

impl From<Slice> for AskedSlice {
    fn from(slice: Slice) -> Self {
        Self { slice, flipped: None, assumed: None }
    }
}

/// Why slices have no answers.
#[derive(Debug)]
pub(in crate::pagination) enum Unasked {
    /// The budget is spent.
    Spent,
    /// They stand deeper than the upstream answers.
    TooDeep,
    /// The page ends here.
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

/// The requests of one page.
#[derive(Debug)]
pub(in crate::pagination) struct Asker<'p> {
    up: &'p mut UpstreamPort,
    /// The number of requests made before this page was begun.
    before: u32,
    budget: Budget,
    /// The place of the page has to be searched for: the page may take as many requests as a search.
    pub(in crate::pagination) searching: bool,
    pub(in crate::pagination) sizes: KnownSizes,
    /// The sizes and counts that the answers show.
    pub(in crate::pagination) ledger: Ledger,
    /// The number of past-the-end statuses that came from before the end that a count tells.
    ceilings: u32,
}

impl<'p> Asker<'p> {
    /// Begins with what the request knows of sizes; `is_first_page`: nothing comes before the page.
    pub(in crate::pagination) fn new(up: &'p mut UpstreamPort, request: &PageRequest, is_first_page: bool) -> Self {
        Self {
            before: up.requests,
            budget: request.budget,
            searching: false,
            sizes: KnownSizes::new(request.profile, is_first_page),
            ledger: Ledger::new(&request.target, &request.paging),
            ceilings: 0,
            up,
        }
    }

    /// Takes in slices that came before this page was begun, as if they had been asked for here.
    ///
    /// # Errors
    ///
    /// As [`Asker::send`].
    pub(in crate::pagination) fn adopt(&mut self, pairs: &[(Slice, Answer)], paging: &Paging) -> Result<(), Refusal> {
        self.before -= u32::try_from(pairs.len()).unwrap_or(u32::MAX).min(self.before);
        self.learn(pairs.iter().map(|(slice, answer)| ((*slice, false), answer)), paging)
    }

    /// Returns how many requests may still be made.
    pub(in crate::pagination) fn left(&self) -> usize {
        debug_assert!(self.up.requests >= self.before, "requests are only added");
        let budget = if self.searching { self.budget.search } else { self.budget.page };
        budget.saturating_sub(self.up.requests - self.before) as usize
    }

    /// Asks for slices, as many as the budget has left, cut at the depth that the upstream answers where what is left of
    /// them `is_of_use`. Slices after one that is too deep are left out.
    ///
    /// # Errors
    ///
    /// [`Unasked::Spent`] and [`Unasked::TooDeep`] where not even the first can be asked for; else [`Refusal::NoList`] and
    /// [`Refusal::TooDeep`], by what the first answer says of its place.
    pub(in crate::pagination) async fn send(
        &mut self,
        mut asked: Vec<AskedSlice>,
        paging: &Paging,
        is_of_use: impl Fn(Slice) -> bool,
    ) -> Result<Vec<(AskedSlice, Answer)>, Unasked> {
        asked.truncate(self.left());
        if asked.is_empty() {
            // A plan without a request would go on for ever.
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
        let answers = self.up.slices(slices.clone()).await?;
        debug_assert_eq!(answers.len(), asked.len(), "each slice has an answer");
        self.learn(slices.zip(&answers), paging)?;
        Ok(asked.into_iter().zip(answers).collect())
    }

    /// Compares an answer with the last one that was short, for a cap that is applied in silence.
    pub(in crate::pagination) fn compare_short(&mut self, slice: Slice, answer: &Answer, paging: &Paging) {
        self.sizes.compare_short(slice, answer, &self.ledger, paging);
    }

    /// Returns whether these answers show that the upstream gives as many items whatever size is asked for.
    pub(in crate::pagination) fn ignores_sizes(&mut self, pairs: &[(AskedSlice, Answer)]) -> bool {
        pairs.iter().any(|(asked, answer)| self.sizes.are_ignored(asked.slice, answer))
    }

    fn learn<'a>(
        &mut self,
        pairs: impl Iterator<Item = ((Slice, bool), &'a Answer)> + Clone,
        paging: &Paging,
    ) -> Result<(), Refusal> {
        for (asked, answer) in pairs.clone() {
            self.ledger.enter(asked, answer, paging);
            self.sizes.learn(asked.0, answer);
        }
        // Further answers are speculation: where they are needed, they are asked for again and come first.
        let mut pairs = pairs;
        if let Some(((slice, _), answer)) = pairs.next()
            && answer.standing == Standing::PastEnd
            && holds(Rule::StatusesOnlyAim)
        {
            let begins = slice.begins().0;
            if begins == 0 {
                return Err(Refusal::NoList);
            }
            self.ceilings += u32::from(self.ledger.total().is_some_and(|total| total > begins));
            if self.ceilings > DEPTH_LOOKS {
                return Err(Refusal::TooDeep);
            }
        }
        Ok(())
    }
}
