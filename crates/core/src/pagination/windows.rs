//! A page of a list with a declared order, from slices of it: ask for the window around the boundary, look, ask again.
//!
//! A boundary that is where it is believed to be costs one request. Where it is not, `bracket` says where to look next;
//! where no slice shows both sides of it, `across` reads the flipped list, or `seam` reads two slices and one of them
//! again.
//!
//! [`read`] is the loop. Each procedure that it calls ends with the [`Turn`] that comes next.

mod across;
mod aim;
mod asking;
mod bracket;
mod confirm;
mod hidden;
mod look;
mod miss;
mod outcome;
mod seam;
mod sizes;
mod witness;

use std::{ops::ControlFlow, sync::Arc};

use bracket::Bracket;
use confirm::EndChecks;
use hidden::Edge;
use look::Look;
use seam::Seam;
use sizes::Sizes;
use witness::Witnesses;

use super::{
    direction::Side,
    halt,
    judge::{
        draft::{Cut, Draft, Ground},
        evidence::Evidence,
        ledger::Ledger,
    },
    page::{Page, Unproven},
    position::Position,
    request::PageRequest,
    upstream::{Stop, UpstreamPort},
    window::Slice,
};

/// A slice that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    slice: Slice,
    /// It is one of the flipped list, which is believed to have so many items.
    flipped: Option<u64>,
    /// The boundary is taken to be at this edge of the answer, though nothing shows that.
    assumed: Option<Side>,
}

impl From<Slice> for Asked {
    fn from(slice: Slice) -> Self {
        Self { slice, flipped: None, assumed: None }
    }
}

/// An answer that lies before the boundary.
#[derive(Debug)]
struct Missed {
    slice: Slice,
    view: Box<Evidence>,
    /// What was believed without it.
    bracket: Bracket,
}

/// What is done next.
#[derive(Debug)]
enum Turn {
    /// Ask for the window around the boundary.
    Window,
    /// Ask for these slices: a chain of answers, each proven against the last item of the one before.
    Ask(Vec<Asked>),
    /// Look at answers.
    Look(Look),
    /// Read slices that show a seam together.
    Seam(Seam),
    /// Serve the page as it stands: complete, or cut off by the budget.
    Serve { cut_off: bool },
}

/// Why a procedure ends before its end.
type Halt = halt::Halt<Turn>;

/// What is done next, or why the page ends here.
type Next = Result<Turn, Halt>;

/// A page under way.
#[derive(Debug)]
struct Reader {
    request: PageRequest,
    ground: Ground,
    draft: Draft,
    /// What the answers show beside their items.
    ledger: Ledger,
    effort: Effort,
    sizes: Sizes,
    /// How often a past-the-end status came from before the end that a count tells.
    ceilings: u32,
    search: Search,
    /// What the answers of a search say of the order between them.
    witnesses: Witnesses,
    ending: EndChecks,
    seams: Seams,
    /// A run of ties that the last answer cut.
    cut: Option<Cut>,
    /// Why the page is served by offset alone.
    flagged: Option<Unproven>,
}

/// How many requests the page took, and how many it may take.
#[derive(Clone, Copy, Debug, Default)]
struct Effort {
    requests: u32,
    /// The boundary had to be searched for: the page may take as many requests as a search.
    searching: bool,
}

/// Where the boundary was looked for in vain since the last progress.
#[derive(Debug, Default)]
struct Search {
    bracket: Bracket,
    /// The difference of totals was aimed by.
    shifted: bool,
    /// What was found last to lie before the boundary.
    last_missed: Option<Missed>,
    /// Where items are hidden: what was found to lie before the boundary, and how far nothing more was found.
    edge: Option<Edge>,
}

/// What was tried since the last progress to see both sides of a boundary that no single answer shows.
#[derive(Clone, Copy, Debug, Default)]
struct Seams {
    /// How often the flipped list was read in vain.
    flips: u32,
    /// How often slices were read in vain.
    torn: u32,
    /// How often an answer told nothing of the boundary.
    apart: u32,
    /// What was asked for last to be taken without a proof of where it stands.
    assumed: Option<Slice>,
    /// Only pages of one size are joined: those of different sizes did not fit.
    one_size: bool,
    /// What the page took items from last.
    taken_from: Option<Slice>,
}

/// Reads a page.
///
/// # Errors
///
/// [`Stop`] where no page can be served so.
pub(super) async fn read(up: &mut UpstreamPort, request: PageRequest, ground: Ground) -> Result<Page, Stop> {
    let mut reader = Reader::new(request, ground);
    let mut turn = Turn::Window;
    // Each turn that asks spends budget, and between two of those no turn comes twice.
    loop {
        let next = match turn {
            Turn::Window => reader.next_window(),
            Turn::Ask(asked) => reader.ask_window(up, asked).await,
            Turn::Look(look) => reader.look(up, look).await,
            Turn::Seam(seam) => reader.read_seam(up, seam).await,
            Turn::Serve { cut_off } => match reader.serve(cut_off) {
                Ok(ControlFlow::Break(page)) => return Ok(page),
                Ok(ControlFlow::Continue(turn)) => Ok(turn),
                Err(halt) => Err(halt),
            },
        };
        turn = match next {
            Ok(turn) | Err(Halt::Instead(turn)) => turn,
            Err(Halt::Stop(stop)) => return Err(stop),
        };
    }
}

impl Reader {
    fn new(request: PageRequest, ground: Ground) -> Self {
        let unverified = request.is_by_offset();
        let limit = request.limit.max(1);
        let draft = Draft::new(Arc::clone(&request.order), &request.target, limit, ground, unverified);
        Self {
            ledger: Ledger::new(request.target.hint.honoured, request.paging.repeats_last_page),
            sizes: Sizes::new(request.profile, draft.is_at_start()),
            ground,
            draft,
            effort: Effort::default(),
            ceilings: 0,
            search: Search::default(),
            witnesses: Witnesses::default(),
            ending: EndChecks::default(),
            seams: Seams::default(),
            cut: None,
            flagged: (asks_by_offset(&request) && !unverified).then_some(Unproven::Position),
            request,
        }
    }

    /// The page has come on: what was looked for is found.
    fn progressed(&mut self) {
        self.search = Search { shifted: true, ..Search::default() };
        self.cut = None;
        (self.seams.flips, self.seams.torn, self.seams.apart) = (0, 0, 0);
    }
}

/// Whether the client itself asks by offset, other than the start.
fn asks_by_offset(request: &PageRequest) -> bool {
    matches!(request.target.position, Position::At(offset) if offset.0 > 0)
}
