//! A page that is read from slices of a list. Its place is found by keys (`windows`) or by marks (`anchored`).
//!
//! The window around the place is asked for. An answer that shows the place gives its items to the page; its last item
//! is the place from which the page goes on. If an answer does not show the place, the place is searched for; a short
//! answer is confirmed to be the end; and if no answer shows both sides of the place, neighbouring slices are read
//! together.

mod asker;
mod sizes;

pub(super) use {
    asker::{AskedSlice, Asker, Unasked},
    sizes::KnownSizes,
};

use std::fmt::Debug;

use super::{judge::end::Witness, page::Page, refusal::Refusal, request::PageRequest, upstream::Stop};

/// Answers that are looked at in turn.
#[derive(Debug)]
pub(super) struct Look<A> {
    /// The answers, in the order of asking.
    pub(super) answers: Vec<A>,
    /// The evidence that other answers give of an end, if these were asked for to confirm it.
    pub(super) witness: Witness,
}

/// The use of an answer to a page.
#[derive(Debug)]
pub(super) enum AnswerUse<T, O> {
    /// The page is complete.
    All,
    /// Some of the answer was taken, and more is needed.
    Some(T),
    /// The answer does not show the place. That matters only if the answer was asked for to show it; any other was
    /// speculation.
    None(O),
    /// The answer shows a fault that matters even if the answer was speculation.
    Alarm(O),
}

/// The next turn of a page.
#[derive(Debug)]
pub(super) enum Turn<A, S> {
    /// Ask for the window around the place.
    Window,
    /// Ask for these slices: a chain of answers, each proven by the one before.
    Ask(Vec<AskedSlice>),
    /// Look at answers.
    Look(Look<A>),
    /// Read slices that show a seam together.
    Seam(S),
    /// Serve the page as it stands: complete, or cut off by the budget.
    Serve {
        /// True if the budget ended before the page was complete.
        cut_off: bool,
    },
}

/// The reason why a procedure stops early.
#[derive(Debug)]
pub(super) enum Halt<T> {
    /// The page goes on with this turn.
    Instead(T),
    /// The page ends here.
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

/// The next turn of a page, or the reason why the procedure stops early.
type Next<R> = Result<TurnOf<R>, Halt<TurnOf<R>>>;

/// A page that is being read from slices. Each procedure returns the [`Turn`] that comes next.
pub(super) trait SliceReader: Sized {
    /// An answer, as it is looked at.
    type Answer: Debug;
    /// The knowledge of the place after some of an answer was taken.
    type Progress;
    /// The reason why nothing of an answer is taken.
    type Obstacle;
    /// Slices that show a seam together.
    type Seam: Debug;

    /// Returns the request of the page.
    fn request(&self) -> &PageRequest;
    /// Returns the number of items that the page has.
    fn count(&self) -> usize;
    /// Returns whether the page is full and more items are stated to follow: by a count, by the answer, or by the
    /// offset of its start.
    fn is_full_and_said_to_go_on(&self) -> bool;
    /// Returns the turn that asks for the slices which should show the place.
    fn locate(&mut self) -> Next<Self>;
    /// Asks for slices that should show the place.
    async fn ask(&mut self, asked: Vec<AskedSlice>) -> Next<Self>;
    /// Takes from an answer what it proves; `is_first`: it was asked for to show the place.
    fn take(
        &mut self,
        answer: Self::Answer,
        is_first: bool,
        witness: Witness,
    ) -> AnswerUse<Self::Progress, Self::Obstacle>;
    /// Searches for a place that the answer which was asked for it does not show.
    async fn search(&mut self, untaken: Self::Obstacle, confirming: bool) -> Next<Self>;
    /// Goes on after the last answer of which some was taken: confirms the end, or asks for more.
    async fn go_on(&mut self, progress: Option<Self::Progress>, confirming: bool) -> Next<Self>;
    /// Reads slices that show a seam together.
    async fn seam(&mut self, seam: Self::Seam) -> Next<Self>;
    /// Makes the page of the items taken so far.
    fn serve(&mut self, cut_off: bool) -> Result<Box<Page>, Halt<TurnOf<Self>>>;

    /// Returns the end of a page that can ask for no more. It is served as it stands, with a next page, if it is full
    /// and goes on, or if `policy` serves short pages; else it is refused.
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

/// Reads a page, beginning with this turn. The procedures that most pages don't need have boxed futures, which makes
/// the future of a page less than half as large.
///
/// # Errors
///
/// [`Stop`] where no page can be served so.
pub(super) async fn read<R: SliceReader>(reader: &mut R, first: TurnOf<R>) -> Result<Box<Page>, Stop> {
    let mut turn = first;
    // The loop ends: each turn that asks spends budget, and between two of those no turn comes twice.
    loop {
        let next = match turn {
            Turn::Window => reader.locate(),
            Turn::Ask(asked) => reader.ask(asked).await,
            Turn::Look(look) => take_in_turn(reader, look).await,
            Turn::Seam(seam) => Box::pin(reader.seam(seam)).await,
            Turn::Serve { cut_off } => match reader.serve(cut_off) {
                Ok(page) => return Ok(page),
                Err(halt) => Err(halt),
            },
        };
        turn = match next {
            Ok(turn) | Err(Halt::Instead(turn)) => turn,
            Err(Halt::Stop(stop)) => return Err(stop),
        };
    }
}

/// Takes from answers in turn. The first must show the place, each further one the place that the page has reached by
/// then. A further answer that does not was speculation: it is asked for again from the place of the page.
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
