//! A scenario of a list that ends: a walk as plain data, drawn from a seed.
//!
//! A [`Cell`] is a kind of world: what is left out of the answers, what the answers say about the end, and what the
//! dialect says. A seed chooses a cell by its remainder, so the walks of one cell have known seeds.

use std::sync::LazyLock;

use crate::{
    dice::{Dice, mix},
    ends::facts::{FACTS, Facts, Named, OTHER_FACTS, Total},
};

/// The way in which the upstream pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// By offset and size.
    Offset,
    /// By page number and size.
    Page,
    /// By page number, in pages of [`FIXED`] rows.
    Fixed,
    /// By filters with `>=` and `<=` on the id, in both orders.
    Keyset,
    /// By filters with `>` and `<` on the id, in both orders.
    Exclusive,
}

impl Mode {
    /// Returns whether the upstream can filter, and flip its order.
    pub(crate) fn filters(self) -> bool {
        matches!(self, Self::Keyset | Self::Exclusive)
    }
}

/// The largest size that the upstream accepts, which the dialect declares.
pub(crate) const CAP: u32 = 100;

/// The size of the pages of [`Mode::Fixed`].
pub(crate) const FIXED: u32 = 20;

/// The rows that the answers leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dropped {
    /// No rows.
    Nothing,
    /// So many rows of a hundred, anywhere.
    Percent(u32),
    /// Up to two runs of up to 60 rows.
    Runs,
    /// Up to two runs of up to 300 rows, in longer lists.
    LongRuns,
    /// A run of up to 30 rows in a short list.
    ShortRun,
    /// All rows from some place on, although they exist and count: a result window that no answer mentions.
    Window,
    /// No rows, but one answer in the middle of the walk is empty, and its total is 0.
    Lapse,
    /// Up to two runs, each of up to three times the rows that a page and its neighbours need.
    Windows,
}

impl Dropped {
    const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Percent(10),
        Self::Percent(30),
        Self::Runs,
        Self::LongRuns,
        Self::ShortRun,
        Self::Window,
        Self::Lapse,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Percent(10) => "10%",
            Self::Percent(_) => "30%",
            Self::Runs => "runs",
            Self::LongRuns => "long",
            Self::ShortRun => "short",
            Self::Window => "window",
            Self::Lapse => "lapse",
            Self::Windows => "windows",
        }
    }

    /// Returns whether each row is shown whenever its place is asked for. Then the dialect may say so.
    fn is_complete(self) -> bool {
        self == Self::Nothing
    }

    /// Returns for each of `count` rows whether it is visible, and the limit of the walk.
    fn rows(self, dice: &mut Dice, count: u32) -> (Vec<bool>, u32) {
        if self == Self::Windows {
            let limit = self.limits(dice);
            return (self.visible(dice, count, limit), limit);
        }
        (self.visible(dice, count, 0), self.limits(dice))
    }

    fn limits(self, dice: &mut Dice) -> u32 {
        match self {
            Self::LongRuns => dice.pick(&[7, 20, 49]),
            Self::ShortRun => 1 + dice.below(20),
            _ => dice.pick(&[1, 7, 20, 49]),
        }
    }

    fn count(self, dice: &mut Dice) -> u32 {
        match self {
            Self::LongRuns => 50 + dice.below(1_151),
            Self::ShortRun => 8 + dice.below(53),
            _ => dice.below(201),
        }
    }

    /// Returns for each of `count` rows whether it is visible in a walk with this limit.
    fn visible(self, dice: &mut Dice, count: u32, limit: u32) -> Vec<bool> {
        let mut rows = vec![true; count as usize];
        let (runs, longest) = match self {
            Self::Percent(percent) => {
                rows.iter_mut().for_each(|row| *row = !dice.chance(percent));
                return rows;
            }
            Self::Runs => (1 + dice.below(2), 60),
            Self::LongRuns => (1 + dice.below(2), 300),
            Self::ShortRun => (1, 30),
            Self::Windows => (1 + dice.below(2), 3 * (limit + 2)),
            Self::Nothing | Self::Window | Self::Lapse => return rows,
        };
        for _ in 0..if count < 3 { 0 } else { runs } {
            let from = 1 + dice.below(count - 1);
            let to = (from + 1 + dice.below(longest)).min(count - dice.below(2));
            rows[from as usize..to.max(from) as usize].fill(false);
        }
        rows
    }
}

/// The ways in which answers are cut, besides the largest size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    Never,
    /// An answer that begins at one of the rows `from..to` has at most `most` rows. Rows are named by their places when
    /// the walk began.
    Rows {
        from: u32,
        to: u32,
        most: u32,
    },
    /// An answer has as many rows as fit into so many bytes, and at least one.
    Bytes(u32),
}

/// A kind of [`Cuts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cutting {
    Never,
    /// Answers have fewer rows from some place on.
    Falls,
    /// Answers have fewer rows from some place on, and as many as before from another place on.
    Rises,
    Bytes,
}

impl Cutting {
    /// Draws the cuts of a list of `count` rows.
    fn cuts(self, dice: &mut Dice, count: u32) -> Cuts {
        let from = dice.below(count + 1);
        // From one to three rows, no answer shows much of what is around an item.
        let most = dice.pick(&[1, 2, 3, 5, 9, 30]);
        match self {
            Self::Never => Cuts::Never,
            Self::Falls => Cuts::Rows { from, to: u32::MAX, most },
            Self::Rises => Cuts::Rows { from, to: from + 1 + dice.below(60), most },
            Self::Bytes => Cuts::Bytes(dice.pick(&[2_000, 5_000, 20_000])),
        }
    }
}

/// The statement of the dialect about rows that are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Declared {
    Nothing,
    /// `hidden = true`
    Hidden,
    /// The upstream never leaves out a row.
    Complete,
}

/// A place in the list at which it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Head,
    /// The row with this number, taken modulo the number of rows.
    Middle(u32),
    Tail,
}

/// A change of the list. An inserted row is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Insert(Place),
    Delete(Place),
}

/// Everything that decides a walk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) mode: Mode,
    pub(crate) declared: Declared,
    pub(crate) facts: Facts,
    /// For each row whether it is visible.
    pub(crate) rows: Vec<bool>,
    /// The place from which on no answer shows a row; `None` for no such place.
    pub(crate) window: Option<u32>,
    /// The number of the answer that is empty with a total of 0, counted from 0; `None` for no such answer.
    pub(crate) lapse: Option<u32>,
    pub(crate) cuts: Cuts,
    /// The change before each answer; `None` for no change.
    pub(crate) plan: Vec<Option<Change>>,
    pub(crate) limit: u32,
}

/// The number of answers before which the list may change.
const TICKS: u32 = 600;

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let cell = Cell::of(seed);
        let dice = &mut Dice::new(mix(seed, 0));
        let count = cell.dropped.count(dice);
        let (rows, limit) = cell.dropped.rows(dice, count);
        let window = (cell.dropped == Dropped::Window).then(|| dice.pick(&[30, 100]));
        let lapse = (cell.dropped == Dropped::Lapse).then(|| 1 + dice.below(1 + count / limit));
        let ticks = if cell.changing { TICKS } else { 0 };
        let plan = (0..ticks).map(|_| dice.chance(10).then(|| Change::draw(dice))).collect();
        // A stream of its own, so worlds without cuts are drawn as they were before there were any.
        let cuts = cell.cutting.cuts(&mut Dice::new(mix(seed, 1)), count);
        let Cell { mode, declared, facts: Named { facts, .. }, .. } = *cell;
        Self { mode, declared, facts, rows, window, lapse, cuts, plan, limit }
    }

    /// Returns whether the list does not change.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.plan.iter().all(Option::is_none)
    }
}

impl Change {
    fn draw(dice: &mut Dice) -> Self {
        let middle = Place::Middle(dice.roll() as u32);
        let place = dice.pick(&[Place::Head, middle, Place::Tail]);
        if dice.chance(50) { Self::Insert(place) } else { Self::Delete(place) }
    }
}

/// A kind of world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) mode: Mode,
    pub(crate) dropped: Dropped,
    pub(crate) cutting: Cutting,
    pub(crate) facts: Named,
    pub(crate) declared: Declared,
    pub(crate) changing: bool,
}

/// All cells: first those of answers that are not cut, without filters, then the others.
static CELLS: LazyLock<Vec<Cell>> = LazyLock::new(|| [Cell::plain(), Cell::others()].concat());

/// The number of cells of answers that are not cut, without filters.
static PLAIN: LazyLock<usize> = LazyLock::new(|| Cell::plain().len());

impl Cell {
    /// Returns all cells. Their sequence decides what a seed means.
    pub(crate) fn all() -> &'static [Self] {
        &CELLS
    }

    fn plain() -> Vec<Self> {
        let mut all = Vec::new();
        for mode in [Mode::Offset, Mode::Page, Mode::Fixed] {
            for dropped in Dropped::ALL {
                for facts in FACTS {
                    for declared in [Declared::Nothing, Declared::Hidden, Declared::Complete] {
                        for changing in [false, true] {
                            let cutting = Cutting::Never;
                            all.push(Self { mode, dropped, cutting, facts, declared, changing });
                        }
                    }
                }
            }
        }
        all.retain(|cell| cell.declared != Declared::Complete || cell.dropped.is_complete());
        all
    }

    /// Returns the cells of answers that are cut, and of filters.
    fn others() -> Vec<Self> {
        let cuts = [Cutting::Falls, Cutting::Rises, Cutting::Bytes].map(|cutting| (Dropped::Nothing, cutting));
        let gaps = [Dropped::Nothing, Dropped::Windows].map(|dropped| (dropped, Cutting::Never));
        // By page number, a gap that is longer than the answers beside it hides cuts (`tests/falling.rs` of the core).
        let both = |mode| (mode != Mode::Page).then_some((Dropped::Windows, Cutting::Bytes));
        let kinds =
            |mode: Mode| cuts.into_iter().chain(gaps.into_iter().filter(move |_| mode.filters())).chain(both(mode));
        let modes = [Mode::Offset, Mode::Page, Mode::Keyset, Mode::Exclusive];
        let mut all = Vec::new();
        for (mode, (dropped, cutting)) in modes.into_iter().flat_map(|mode| kinds(mode).map(move |kind| (mode, kind))) {
            let suits = |facts: &&Named| mode.filters() || facts.facts.total != Some(Total::List);
            for facts in OTHER_FACTS.iter().copied().filter(|facts| suits(&facts)) {
                for changing in [false, true] {
                    all.push(Self { mode, dropped, cutting, facts, declared: Declared::Nothing, changing });
                }
            }
        }
        all
    }

    /// Returns the cells from which a seed chooses one by its remainder, and the index of the first of them. One seed in
    /// three chooses among those with cuts or filters.
    fn choices(seed: u64) -> (&'static [Self], usize) {
        let (plain, others) = Self::all().split_at(*PLAIN);
        // The other seeds keep the worlds that they had before there were cuts and filters.
        if mix(seed, 2).is_multiple_of(3) { (others, plain.len()) } else { (plain, 0) }
    }

    /// Returns the cell of a seed's walk.
    pub(crate) fn of(seed: u64) -> &'static Self {
        let (cells, _) = Self::choices(seed);
        &cells[(seed % cells.len() as u64) as usize]
    }

    /// Returns the seeds of the walks of the cell with this index.
    pub(crate) fn seeds(index: usize) -> impl Iterator<Item = u64> {
        let is_other = index >= *PLAIN;
        let (first, count) = if is_other { (*PLAIN, Self::all().len() - *PLAIN) } else { (0, *PLAIN) };
        let of_cells = (0_u64..).map(move |round| round * count as u64 + (index - first) as u64);
        of_cells.filter(move |seed| Self::choices(*seed).1 == first)
    }

    /// Returns the name of the cell, a sequence of words.
    pub(crate) fn name(&self) -> String {
        let mode = match self.mode {
            Mode::Offset => "offset",
            Mode::Page => "page",
            Mode::Fixed => "fixed",
            Mode::Keyset => "keyset",
            Mode::Exclusive => "exclusive",
        };
        let cutting = match self.cutting {
            Cutting::Never => "",
            Cutting::Falls => " falls",
            Cutting::Rises => " rises",
            Cutting::Bytes => " bytes",
        };
        let declared = match self.declared {
            Declared::Nothing => "",
            Declared::Hidden => " hidden",
            Declared::Complete => " complete",
        };
        let changing = if self.changing { " changing" } else { "" };
        format!("{mode} {}{cutting} {}{declared}{changing}", self.dropped.name(), self.facts.name)
    }
}
