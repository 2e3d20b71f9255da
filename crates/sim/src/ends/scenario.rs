//! A scenario of a list that ends: a walk as plain data, drawn from a seed.
//!
//! A [`Cell`] is a kind of world: what is left out of the answers, what the answers say about the end, and what the
//! dialect says. A seed chooses a cell by its remainder, so the walks of one cell have known seeds.

use std::sync::LazyLock;

use crate::{
    dice::{Dice, mix},
    ends::facts::{FACTS, Facts, Named},
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
        }
    }

    /// Returns whether each row is shown whenever its place is asked for. Then the dialect may say so.
    fn is_complete(self) -> bool {
        self == Self::Nothing
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

    /// Returns for each of `count` rows whether it is visible.
    fn visible(self, dice: &mut Dice, count: u32) -> Vec<bool> {
        let mut rows = vec![true; count as usize];
        let (runs, longest) = match self {
            Self::Percent(percent) => {
                rows.iter_mut().for_each(|row| *row = !dice.chance(percent));
                return rows;
            }
            Self::Runs => (1 + dice.below(2), 60),
            Self::LongRuns => (1 + dice.below(2), 300),
            Self::ShortRun => (1, 30),
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
        let rows = cell.dropped.visible(dice, count);
        let limit = cell.dropped.limits(dice);
        let window = (cell.dropped == Dropped::Window).then(|| dice.pick(&[30, 100]));
        let lapse = (cell.dropped == Dropped::Lapse).then(|| 1 + dice.below(1 + count / limit));
        let ticks = if cell.changing { TICKS } else { 0 };
        let plan = (0..ticks).map(|_| dice.chance(10).then(|| Change::draw(dice))).collect();
        Self { mode: cell.mode, declared: cell.declared, facts: cell.facts.facts, rows, window, lapse, plan, limit }
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
    pub(crate) facts: Named,
    pub(crate) declared: Declared,
    pub(crate) changing: bool,
}

static CELLS: LazyLock<Vec<Cell>> = LazyLock::new(Cell::every);

impl Cell {
    /// Returns all cells. Their sequence decides what a seed means.
    pub(crate) fn all() -> &'static [Self] {
        &CELLS
    }

    fn every() -> Vec<Self> {
        let mut all = Vec::new();
        for mode in [Mode::Offset, Mode::Page, Mode::Fixed] {
            for dropped in Dropped::ALL {
                for facts in FACTS {
                    for declared in [Declared::Nothing, Declared::Hidden, Declared::Complete] {
                        for changing in [false, true] {
                            all.push(Self { mode, dropped, facts, declared, changing });
                        }
                    }
                }
            }
        }
        all.retain(|cell| cell.declared != Declared::Complete || cell.dropped.is_complete());
        all
    }

    /// Returns the cell of a seed's walk.
    pub(crate) fn of(seed: u64) -> &'static Self {
        let all = Self::all();
        &all[(seed % all.len() as u64) as usize]
    }

    /// Returns the seed of a walk of the cell with this index.
    pub(crate) fn seed(index: usize, walk: u64) -> u64 {
        walk * Self::all().len() as u64 + index as u64
    }

    /// Returns the name of the cell, a sequence of words.
    pub(crate) fn name(&self) -> String {
        let mode = match self.mode {
            Mode::Offset => "offset",
            Mode::Page => "page",
            Mode::Fixed => "fixed",
        };
        let declared = match self.declared {
            Declared::Nothing => "",
            Declared::Hidden => " hidden",
            Declared::Complete => " complete",
        };
        let changing = if self.changing { " changing" } else { "" };
        format!("{mode} {} {}{declared}{changing}", self.dropped.name(), self.facts.name)
    }
}
