//! The reading of a page from slices of a list with a declared order. The place of the page is found by keys.
//!
//! A boundary at its expected offset costs one request. If the boundary is elsewhere, `bracket` aims the search. If no
//! slice shows both sides of the boundary, `across` reads the flipped list, or `key_seam` reads two neighbouring slices
//! and then one of them again.
//!
//! The loop is `slices::read`. Each procedure here returns the [`KeyTurn`] that comes next.

mod across;
mod aim;
mod asking;
mod beginning;
mod bracket;
mod confirm;
mod consecutive;
mod contradiction;
mod ends;
mod hidden;
mod key_seam;
mod miss;
mod outcome;
mod take;

use std::sync::Arc;

pub(super) use ends::{MoreClaims, Witnesses};

use bracket::Bracket;
use confirm::{EndChecks, Short};
use contradiction::Contradictions;
use ends::{ClaimedEnd, SeenAnswers};
use hidden::HiddenEdge;
use key_seam::{Held, KeySeam};
use take::{KeyObstacle, look_at};

use super::{
    direction::Way,
    judge::{
        draft::{Cut, Draft, Ground},
        end::Witness,
        evidence::Evidence,
    },
    page::{Page, Unproven},
    position::Position,
    refusal::Refusal,
    request::PageRequest,
    slices::{self, AnswerUse, AskedSlice, Asker, Look},
    unsorted::Unsorted,
    upstream::{Stop, UpstreamPort},
    window::Slice,
};

/// An answer that lies before the boundary.
#[derive(Debug)]
struct Missed {
    slice: Slice,
    view: Box<Evidence>,
    /// The state of the bracket before this answer.
    bracket: Bracket,
}

type KeyTurn = slices::Turn<(AskedSlice, Result<Evidence, Unsorted>), KeySeam>;
type KeyHalt = slices::Halt<KeyTurn>;
type KeyNext = Result<KeyTurn, KeyHalt>;

/// A page that is being read by keys.
#[derive(Debug)]
struct KeyReader<'p> {
    asker: Asker<'p>,
    request: Box<PageRequest>,
    ground: Ground,
    draft: Draft,
    search: KeySearch,
    /// The evidence against the declared order that the answers of a search show.
    contradictions: Contradictions,
    ending: EndChecks,
    /// The answers of the page so far, by which its end is judged.
    seen: SeenAnswers,
    claimed: ClaimedEnd,
    seams: SeamAttempts,
    /// The run of ties that the last answer cut; `None` if it cut no run.
    cut: Option<Cut>,
    /// True once an answer whose items may not be consecutive was compared with the one before it.
    was_compared: bool,
    /// The reason why the page is flagged; `None` while it isn't.
    flagged: Option<Unproven>,
}

/// The state of the search for the boundary since the last progress.
#[derive(Debug, Default)]
struct KeySearch {
    bracket: Bracket,
    /// True if the offset that the change of the total predicts was already tried.
    shifted: bool,
    /// The latest answer that is before the boundary.
    last_missed: Option<Missed>,
    /// For lists with hidden items: the slice before the boundary, and the offset up to which no item was found after
    /// it.
    edge: Option<HiddenEdge>,
    /// The requested windows that didn't show the boundary. `WINDOW_LOOKS` bounds the number of requests for the same
    /// window.
    asked: Vec<Vec<AskedSlice>>,
}

/// The attempts to see both sides of a boundary that no single answer shows.
#[derive(Clone, Copy, Debug, Default)]
struct SeamAttempts {
    /// The number of readings of the flipped list since the last progress that didn't help.
    flips: u32,
    /// The number of failed attempts of four kinds since the last progress: readings of neighbouring slices, readings
    /// of two slices for a run of ties, requests among hidden items, and answers without items at their offset. Each
    /// kind has its own bound. The kinds share a counter because a fast-changing list makes all of them fail.
    vain: u32,
    /// The number of answers since the last progress that didn't show on which side of them the boundary is.
    apart: u32,
    /// The last requested slice whose edge is assumed, without a proof, to be the boundary.
    assumed: Option<Slice>,
    /// True if only pages of the same size are joined, because pages of different sizes didn't fit together.
    one_size: bool,
    /// The slice from which the page last took items.
    taken_from: Option<Slice>,
    /// True if a suspected cap was dropped because it made a run of ties seem too long.
    uncapped: bool,
}

/// Reads a page by keys, from slices. `ground` is the list from which the slices are cut.
///
/// # Errors
///
/// [`Stop`] if no page can be served in this way.
pub(super) async fn read(up: &mut UpstreamPort, request: Box<PageRequest>, ground: Ground) -> Result<Box<Page>, Stop> {
    let mut reader = KeyReader::new(up, request, ground);
    let outcome = slices::read(&mut reader, KeyTurn::Window).await;
    if outcome.is_err() {
        // The items taken so far are lost, but another way of reading the page must not leave them out.
        reader.draft.first_view().into_iter().for_each(|view| reader.asker.note_unused(view.answer()));
    }
    outcome
}

impl slices::SliceReader for KeyReader<'_> {
    type Answer = (AskedSlice, Result<Evidence, Unsorted>);
    type Progress = Option<Short>;
    type Obstacle = KeyObstacle;
    type Seam = KeySeam;

    fn request(&self) -> &PageRequest {
        &self.request
    }

    fn count(&self) -> usize {
        // While the end is searched for, the items read so far aren't the last items of the list, so they can't be
        // served. Test: `a_short_page_is_never_served_as_the_last`.
        if self.draft.seeks_the_end() { 0 } else { self.draft.len() }
    }

    fn is_full_and_said_to_go_on(&self) -> bool {
        let said = match (self.draft.way(), self.draft.last_view()) {
            (Way::Backward, _) => self.draft.offset() > 0,
            (Way::Forward, Some(view)) => {
                let counted = view.answer().total.is_some_and(|total| total.value > view.reaches());
                view.answer().more == Some(true) || counted
            }
            (Way::Forward, None) => false,
        };
        // An answer of a search states facts about another place, and no page follows the last page.
        said && !self.search.bracket.has_begun() && self.draft.is_full() && !self.draft.seeks_the_end()
    }

    fn locate(&mut self) -> KeyNext {
        self.next_window()
    }

    async fn ask(&mut self, asked: Vec<AskedSlice>) -> KeyNext {
        self.ask_window(asked).await
    }

    fn take(
        &mut self,
        answer: Self::Answer,
        is_first: bool,
        witness: Witness,
    ) -> AnswerUse<Option<Short>, KeyObstacle> {
        let (asked, view) = answer;
        self.take_from(asked, view, is_first, witness)
    }

    async fn search(&mut self, untaken: KeyObstacle, _: bool) -> KeyNext {
        self.overcome(untaken).await
    }

    async fn go_on(&mut self, unended: Option<Option<Short>>, _: bool) -> KeyNext {
        match unended.flatten().filter(|short| self.may_doubt(short)) {
            Some(_) if self.request.paging.leaves_out && self.may_suppose_end() => Ok(self.suppose_end()),
            Some(short) => {
                let from = self.draft.offset().saturating_sub(1);
                self.doubt(short, from, Held::Taken).await
            }
            None => Ok(KeyTurn::Window),
        }
    }

    async fn seam(&mut self, seam: KeySeam) -> KeyNext {
        self.read_seam(seam).await
    }

    async fn instead(&mut self, refusal: Refusal) -> KeyNext {
        match self.search_without_beginning(&refusal).await? {
            Some(turn) => Ok(turn),
            None => self.sweep_instead(refusal).await,
        }
    }

    async fn end(&mut self) -> KeyNext {
        self.judge_end().await
    }

    fn serve(&mut self, cut_off: bool) -> Result<Box<Page>, KeyHalt> {
        if !cut_off && self.must_judge_end() {
            return Err(KeyHalt::Instead(KeyTurn::End));
        }
        self.finish(cut_off).map(Box::new)
    }
}

impl<'p> KeyReader<'p> {
    fn new(up: &'p mut UpstreamPort, request: Box<PageRequest>, ground: Ground) -> Self {
        let unverified = request.is_unverified();
        let limit = request.limit.max(1);
        let draft = Draft::new(Arc::clone(&request.order), &request.target, limit, ground, unverified);
        let mut asker = Asker::new(up, &request, draft.is_at_start());
        let mut request = request;
        if request.target.hint.walk.rows_left_out || request.paging.hidden {
            Arc::make_mut(&mut request.paging).leaves_out = true;
        }
        // The longest run is measured again for each page.
        asker.sizes.profile.run = 0;
        Self {
            asker,
            ground,
            draft,
            search: KeySearch::default(),
            contradictions: Contradictions::default(),
            ending: EndChecks::default(),
            seen: SeenAnswers::default(),
            claimed: ClaimedEnd::default(),
            seams: SeamAttempts::default(),
            cut: None,
            was_compared: false,
            flagged: (asks_by_offset(&request) && !unverified).then_some(Unproven::Position),
            request,
        }
    }

    /// Resets the search: the page has taken items, so the boundary was found.
    fn progressed(&mut self) {
        // The offset that the change of the total predicts is for the cursor's place. From now on the boundary is the
        // last item taken.
        self.search = KeySearch { shifted: true, ..KeySearch::default() };
        self.cut = None;
        (self.seams.flips, self.seams.vain, self.seams.apart) = (0, 0, 0);
    }
}

/// Returns whether the client itself requests a page at an offset other than 0.
fn asks_by_offset(request: &PageRequest) -> bool {
    matches!(request.target.position, Position::At(offset) if offset.0 > 0)
}
