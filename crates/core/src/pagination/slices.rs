//! The reading of a page from slices of a list. The place of the page is found by keys (`windows`) or by marks
//! (`anchored`).
//!
//! The reader requests the window around the place. If an answer shows the place, the page takes its items, and the
//! last item is the next place. If the answer doesn't show the place, the reader searches for it. After a short answer,
//! the reader confirms the end of the list. If no answer can show both sides of the place, the reader reads
//! neighbouring slices together.

mod asker;
mod beginning;
mod sizes;

pub(super) use {
    asker::{AskedSlice, Asker, Unasked},
    sizes::KnownSizes,
};

use std::fmt::Debug;

use super::{judge::end::Witness, page::Page, refusal::Refusal, request::PageRequest, upstream::Stop};

/// Answers to take items from, one after the other.
#[derive(Debug)]
pub(super) struct Look<A> {
    /// The answers, in the order of their requests.
    pub(super) answers: Vec<A>,
    /// The evidence of an end that other answers gave, if they were requested to confirm the end.
    pub(super) witness: Witness,
}

/// The result of taking items from an answer.
#[derive(Debug)]
pub(super) enum AnswerUse<T, O> {
    /// The page is complete.
    All,
    /// The answer was used, and the page needs more.
    Some(T),
    /// The answer doesn't show the place. This matters only for the first answer of a chain; a later one was requested
    /// speculatively.
    None(O),
    /// The answer shows a fault that matters even if the answer was requested speculatively.
    Alarm(O),
}

/// The next step in the reading of a page.
#[derive(Debug)]
pub(super) enum Turn<A, S> {
    /// Request the window around the place.
    Window,
    /// Request these slices, as a chain in which each answer is proven by the one before.
    Ask(Vec<AskedSlice>),
    /// Take items from answers.
    Look(Look<A>),
    /// Read neighbouring slices that together show a seam.
    Seam(S),
    /// Judge the end of the list that the page claims.
    End,
    /// Serve the page with the items taken so far.
    Serve {
        /// True if the budget or the upstream's depth ended the page before it was complete.
        cut_off: bool,
    },
}

/// The reason why a procedure stops early.
#[derive(Debug)]
pub(super) enum Halt<T> {
    /// The page continues with this turn.
    Instead(T),
    /// The reading ends here, without a page.
    Stop(Stop),
}

impl<T> From<Stop> for Halt<T> {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl<T> From<Refusal> for Halt<T> {
    fn from(refusal: Refusal) -> Self {
        Self::Stop(refusal.into())
    }
}

type TurnOf<R> = Turn<<R as SliceReader>::Answer, <R as SliceReader>::Seam>;

/// The next turn of a page, or the reason why a procedure stops early.
type Next<R> = Result<TurnOf<R>, Halt<TurnOf<R>>>;

/// A page that is being read from slices. The procedures of a page, such as `locate` and `search`, return the [`Turn`]
/// that comes next.
pub(super) trait SliceReader: Sized {
    /// An answer together with its slice and its evidence.
    type Answer: Debug;
    /// The facts about the new place after items of an answer were taken.
    type Progress;
    /// The reason why no item of an answer is taken.
    type Obstacle;
    /// Neighbouring slices that together show a seam.
    type Seam: Debug;

    /// Returns the request of the page.
    fn request(&self) -> &PageRequest;
    /// Returns the number of items taken so far that could be served.
    fn count(&self) -> usize;
    /// Returns whether the page is full, and a count, the last answer, or (for a page read backward) the offset states
    /// that more items follow.
    fn is_full_and_said_to_go_on(&self) -> bool;
    /// Returns the turn that requests the slices at which the place is expected.
    fn locate(&mut self) -> Next<Self>;
    /// Requests slices at which the place is expected, and returns the turn that looks at their answers.
    async fn ask(&mut self, asked: Vec<AskedSlice>) -> Next<Self>;
    /// Takes the items that an answer proves. `is_first` is true if the answer must show the place, and isn't a later
    /// answer of a chain.
    fn take(
        &mut self,
        answer: Self::Answer,
        is_first: bool,
        witness: Witness,
    ) -> AnswerUse<Self::Progress, Self::Obstacle>;
    /// Searches for the place after an answer that should have shown the place but didn't.
    async fn search(&mut self, untaken: Self::Obstacle, confirming: bool) -> Next<Self>;
    /// Continues after all answers were looked at: confirms the end, or requests more.
    async fn go_on(&mut self, progress: Option<Self::Progress>, confirming: bool) -> Next<Self>;
    /// Reads neighbouring slices that together show a seam.
    async fn seam(&mut self, seam: Self::Seam) -> Next<Self>;
    /// Judges the end of the list that the page claims.
    async fn end(&mut self) -> Next<Self>;
    /// Returns another turn in place of a refusal, or the refusal.
    async fn instead(&mut self, refusal: Refusal) -> Next<Self>;
    /// Makes the page from the items taken so far.
    fn serve(&mut self, cut_off: bool) -> Result<Box<Page>, Halt<TurnOf<Self>>>;

    /// Ends a page that can't request more slices. The page is served with a next page if it is full and more items are
    /// stated to follow, or if the budget is spent and the route serves short pages. Otherwise it is refused.
    fn unasked(&self, why: Unasked) -> Halt<TurnOf<Self>> {
        let (refusal, is_spent) = match why {
            Unasked::Spent => (Refusal::BudgetExceeded, true),
            Unasked::TooDeep => (Refusal::TooDeep, false),
            Unasked::Stop(stop) => return Halt::Stop(stop),
        };
        match self.is_full_and_said_to_go_on() || (is_spent && self.request().serves_short(self.count())) {
            true => Halt::Instead(Turn::Serve { cut_off: true }),
            false => refusal.into(),
        }
    }
}

/// Reads a page, beginning with the turn `first`. Procedures that most pages don't need have boxed futures, which more
/// than halves the size of this future.
///
/// # Errors
///
/// [`Stop`] if no page can be served in this way.
pub(super) async fn read<R: SliceReader>(reader: &mut R, first: TurnOf<R>) -> Result<Box<Page>, Stop> {
    let mut turn = first;
    // The loop ends: each turn that sends requests spends budget, and between two such turns no turn repeats.
    loop {
        let next = match turn {
            Turn::Window => reader.locate(),
            Turn::Ask(asked) => reader.ask(asked).await,
            Turn::Look(look) => take_in_turn(reader, look).await,
            Turn::Seam(seam) => Box::pin(reader.seam(seam)).await,
            Turn::End => Box::pin(reader.end()).await,
            Turn::Serve { cut_off } => match reader.serve(cut_off) {
                Ok(page) => return Ok(page),
                Err(halt) => Err(halt),
            },
        };
        turn = match next {
            Ok(turn) | Err(Halt::Instead(turn)) => turn,
            Err(Halt::Stop(Stop::Refused(refusal))) => match Box::pin(reader.instead(refusal)).await {
                Ok(turn) | Err(Halt::Instead(turn)) => turn,
                Err(Halt::Stop(stop)) => return Err(stop),
            },
            Err(Halt::Stop(stop)) => return Err(stop),
        };
    }
}

/// Takes items from answers, one after the other. The first answer must show the place; each later answer must show the
/// place that the page has reached by then. A later answer that doesn't is dropped with the answers after it, and the
/// page continues from the place that it has reached. An answer that gives an alarm leads to a search in any case.
async fn take_in_turn<R: SliceReader>(reader: &mut R, look: Look<R::Answer>) -> Next<R> {
    let Look { answers, witness } = look;
    let confirming = witness != Witness::None;
    let mut progress = None;
    for answer in answers {
        match reader.take(answer, progress.is_none(), witness) {
            AnswerUse::All => return Ok(Turn::Serve { cut_off: false }),
            AnswerUse::Some(more) => progress = Some(more),
            AnswerUse::None(_) if progress.is_some() => break,
            AnswerUse::None(untaken) | AnswerUse::Alarm(untaken) => {
                return Box::pin(reader.search(untaken, confirming)).await;
            }
        }
    }
    Box::pin(reader.go_on(progress, confirming)).await
}
