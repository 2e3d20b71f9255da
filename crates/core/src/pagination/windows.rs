//! A page of a list with a declared order, read from slices: the place of the page is found by keys.
//!
//! A boundary at its expected offset costs one request. If it is elsewhere, `bracket` aims the search. If no slice
//! shows both sides of the boundary, `across` reads the flipped list, or `key_seam` reads two neighbouring slices and
//! one of them again.
//!
//! The loop is `slices::read`. Each procedure here returns the [`KeyTurn`] that comes next.

mod across;
mod aim;
mod asking;
mod bracket;
mod confirm;
mod contradiction;
mod hidden;
mod key_seam;
mod miss;
mod outcome;
mod take;

use std::sync::Arc;

use bracket::Bracket;
use confirm::{EndChecks, Short};
use contradiction::Contradictions;
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
    /// The bracket as it was before this answer.
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
    /// The evidence of a search about the order of the answers.
    contradictions: Contradictions,
    ending: EndChecks,
    seams: SeamAttempts,
    /// The run of ties that the last answer cut.
    cut: Option<Cut>,
    /// The reason why the page is served by offset alone.
    flagged: Option<Unproven>,
}

/// The search for a boundary since the last progress.
#[derive(Debug, Default)]
struct KeySearch {
    bracket: Bracket,
    /// True if the offset that the change of the total predicts has been tried.
    shifted: bool,
    /// The last answer that was found to lie before the boundary.
    last_missed: Option<Missed>,
    /// The slice before the boundary, and how far after it no item was found, where items are hidden.
    edge: Option<HiddenEdge>,
    /// The windows that were asked for and did not show the boundary: `WINDOW_LOOKS` bounds how often each may come.
    asked: Vec<Vec<AskedSlice>>,
}

/// The attempts since the last progress to see both sides of a boundary that no single answer shows.
#[derive(Clone, Copy, Debug, Default)]
struct SeamAttempts {
    /// The number of vain readings of the flipped list.
    flips: u32,
    /// The number of vain attempts of four kinds, each of which has its own bound: readings of neighbouring slices,
    /// readings of two slices for a run of ties, looks among hidden items, and answers that have nothing at their
    /// offset. They share one counter, because a list that changes fast makes all of them vain.
    vain: u32,
    /// The number of answers that did not show on which side of them the boundary is.
    apart: u32,
    /// The slice asked for last whose edge is assumed to be the boundary, without a proof.
    assumed: Option<Slice>,
    /// True if only pages of one size are joined, because those of different sizes did not fit.
    one_size: bool,
    /// The slice that the page took items from last.
    taken_from: Option<Slice>,
    /// True if a suspected cap made a run of ties seem too long, and was then doubted.
    uncapped: bool,
}

/// Reads a page by keys, from slices.
///
/// # Errors
///
/// [`Stop`] where no page can be served so.
pub(super) async fn read(up: &mut UpstreamPort, request: Box<PageRequest>, ground: Ground) -> Result<Box<Page>, Stop> {
    slices::read(&mut KeyReader::new(up, request, ground), KeyTurn::Window).await
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
        // While the end is looked for, the items read so far are not the last ones: none of them can be served. Test:
        // `a_short_page_is_never_served_as_the_last`.
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
        // A statement about another place than the page's proves nothing, and no page follows the last one, if that is
        // looked for.
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
        (asked, view): Self::Answer,
        is_first: bool,
        witness: Witness,
    ) -> AnswerUse<Option<Short>, KeyObstacle> {
        self.take_from(asked, view, is_first, witness)
    }

    async fn search(&mut self, untaken: KeyObstacle, _: bool) -> KeyNext {
        self.overcome(untaken).await
    }

    async fn go_on(&mut self, unended: Option<Option<Short>>, _: bool) -> KeyNext {
        match unended.flatten().filter(|short| self.may_doubt(short)) {
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

    fn serve(&mut self, cut_off: bool) -> Result<Box<Page>, KeyHalt> {
        self.finish(cut_off).map(Box::new)
    }
}

impl<'p> KeyReader<'p> {
    fn new(up: &'p mut UpstreamPort, request: Box<PageRequest>, ground: Ground) -> Self {
        let unverified = request.is_unverified();
        let limit = request.limit.max(1);
        let draft = Draft::new(Arc::clone(&request.order), &request.target, limit, ground, unverified);
        let mut asker = Asker::new(up, &request, draft.is_at_start());
        // The runs of this page are counted anew.
        asker.sizes.profile.run = 0;
        Self {
            asker,
            ground,
            draft,
            search: KeySearch::default(),
            contradictions: Contradictions::default(),
            ending: EndChecks::default(),
            seams: SeamAttempts::default(),
            cut: None,
            flagged: (asks_by_offset(&request) && !unverified).then_some(Unproven::Position),
            request,
        }
    }

    /// Forgets the search: the page has taken items, so the boundary was found.
    fn progressed(&mut self) {
        // The hint is of the place that the cursor names. From now on the boundary is the last item taken.
        self.search = KeySearch { shifted: true, ..KeySearch::default() };
        self.cut = None;
        (self.seams.flips, self.seams.vain, self.seams.apart) = (0, 0, 0);
    }
}

/// Returns whether the client itself asks by an offset other than 0.
fn asks_by_offset(request: &PageRequest) -> bool {
    matches!(request.target.position, Position::At(offset) if offset.0 > 0)
}
