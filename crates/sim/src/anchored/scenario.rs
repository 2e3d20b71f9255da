//! A scenario of a list without a declared order: a walk as plain data, drawn from a seed.

use cursorgate_core::pagination::paging::{EndEvidence, Family, Sizes};

use super::{
    upstream::{Past, Says, Traits},
    world::{Change, Look},
};
use crate::dice::Dice;

/// The way of a client through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// From the start to the end.
    Forward,
    /// From the end to the start.
    Backward,
    /// In any direction: by the links of a page, by the cursors of its items, and by links of earlier pages.
    Wander,
    /// The client reads a page, deletes a percentage of its rows, and requests the next page.
    Worker(u32),
}

/// The next move of a client that wanders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Click {
    Next,
    Previous,
    /// To the page after the page's last item, by the item's cursor.
    AfterLast,
    /// To the page before the page's first item, by the item's cursor.
    BeforeFirst,
    /// To a place that an earlier page linked to. The number chooses the link.
    Earlier(u32),
}

/// The events around a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The changes before the page is requested.
    pub(crate) before: Vec<Change>,
    /// The changes while the page is read, at most one before each answer but the first, in reverse order.
    pub(crate) during: Vec<Change>,
    /// The limit with which another client reads the first page before this page is read, through the same gateway;
    /// `None` if no other client reads.
    pub(crate) other: Option<u32>,
    /// The number of places by which the page's last row moves on after the page was read; `None` if it doesn't move.
    pub(crate) moves_anchor: Option<i32>,
    /// The next move of a client that wanders.
    pub(crate) click: Click,
}

impl Turn {
    /// A page without events.
    pub(crate) const CALM: Self =
        Self { before: Vec::new(), during: Vec::new(), other: None, moves_anchor: None, click: Click::Next };
}

/// Everything that decides a walk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) rows: u32,
    pub(crate) look: Look,
    pub(crate) traits: Traits,
    pub(crate) limits: Vec<u32>,
    pub(crate) style: Style,
    /// The events around the first pages, one `Turn` for each. Later pages have no events.
    pub(crate) turns: Vec<Turn>,
    pub(crate) search_items: u32,
    pub(crate) search_budget: u32,
    /// True if each page begins without the upstream profile of earlier pages, as if another process served it.
    pub(crate) forgets: bool,
    /// The seed that decides which rows a worker deletes, and which answers lag.
    pub(crate) salt: u64,
}

/// The frequencies of changes to a list, in percent of pages.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// The frequency of pages with changes before them, and the largest number of changes before one.
    between: (u32, u32),
    /// The frequency of pages with changes between their answers.
    during: u32,
    /// True if changes before pages also move rows.
    moves: bool,
    /// The frequency of pages during which one row near the place moves, as the only change.
    moves_during: u32,
    /// The frequency of pages whose last row moves on afterwards.
    moves_anchor: u32,
}

impl Weather {
    fn draw(dice: &mut Dice) -> Self {
        let calm = Self { between: (0, 0), during: 0, moves: false, moves_during: 0, moves_anchor: 0 };
        match dice.below(5) {
            0 if dice.chance(30) => Self { moves_during: 40, ..calm },
            0 => calm,
            1 => Self { between: (30, 3), moves: true, moves_anchor: 20, ..calm },
            2 => Self { between: (60, 4), moves: true, ..calm },
            3 => Self { between: (40, 2), during: 20, ..calm },
            _ => Self { between: (80, 5), during: 10, ..calm },
        }
    }

    /// Draws the events around a page. The list doesn't change before the first page, nor while that page is read.
    fn turn(self, dice: &mut Dice, is_first: bool, tight: bool, shares: bool) -> Turn {
        let mut turn = Turn { click: Click::draw(dice), ..Turn::CALM };
        if shares && dice.chance(20) {
            turn.other = Some(1 + dice.below(60));
        }
        if dice.chance(self.moves_anchor) {
            turn.moves_anchor = Some(2 + dice.below(16) as i32);
        }
        if is_first {
            return turn;
        }
        if dice.chance(self.between.0) {
            let changes = 1 + dice.below(self.between.1.max(1));
            let change = |dice: &mut Dice| match dice.below(200) {
                0 => Change::Replace(dice.below(30)),
                _ => Change::draw(dice, self.moves),
            };
            turn.before = (0..changes).map(|_| change(dice)).collect();
        }
        if dice.chance(self.during) {
            let changes = 1 + dice.below(if tight { 1 } else { 3 });
            turn.during = (0..changes).map(|_| Change::draw(dice, false)).collect();
        }
        if dice.chance(self.moves_during) {
            // Only one row moves, so most of the marks around it stand still and the promise holds. Regression:
            // `one-row-moves`.
            let far = 2 + dice.below(16) as i32;
            let far = if dice.chance(60) { far } else { -far };
            turn.during = vec![Change::MoveNear(dice.below(4), far)];
        }
        turn
    }
}

impl Click {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0..=3 => Self::Next,
            4..=6 => Self::Previous,
            7 => Self::AfterLast,
            8 => Self::BeforeFirst,
            _ => Self::Earlier(dice.below(1_000)),
        }
    }
}

/// The number of pages with events. The list doesn't change afterwards, so every walk ends.
const TURNS: u32 = 25;

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let dice = &mut Dice::new(seed ^ 0xa2c4);
        let rows = match dice.below(12) {
            0 | 1 => dice.below(6),
            2 | 3 => dice.below(25),
            4 => 100 + dice.below(150),
            _ => 10 + dice.below(50),
        };
        let style = match dice.below(10) {
            0..=3 => Style::Forward,
            4 | 5 => Style::Backward,
            6..=8 => Style::Wander,
            _ => Style::Worker(dice.pick(&[100, 100, 100, 60])),
        };
        let weather = Weather::draw(dice);
        let limits = match dice.below(6) {
            0 if rows < 40 => vec![dice.pick(&[1, 2, 3])],
            1 => (0..3).map(|_| 1 + dice.below(25)).collect(),
            _ => vec![dice.pick(&[5, 7, 10, 20])],
        };
        let traits = Self::traits(dice, limits.iter().max().copied().unwrap_or(1));
        let shares = dice.chance(30);
        let turns = (0..TURNS).map(|number| weather.turn(dice, number == 0, traits.tight, shares)).collect();
        Self {
            rows,
            look: dice.pick(&[Look::Number, Look::Number, Look::Text, Look::Bare, Look::Mixed]),
            traits,
            limits,
            style,
            turns,
            search_items: dice.pick(&[100, 300, 1_000]),
            search_budget: 40,
            forgets: dice.chance(20),
            salt: dice.roll(),
        }
    }

    fn traits(dice: &mut Dice, most: u32) -> Traits {
        let family = dice.pick(&[Family::Offset, Family::Offset, Family::Page]);
        let cap = match dice.below(8) {
            0 => most.max(5),
            1 => most + 2 + dice.below(5),
            2 => dice.pick(&[20, 50]).max(most + 3),
            _ => (100).max(most * 3),
        };
        let free = |most| Sizes::Free { least: 1, most };
        let hides = if dice.chance(12) && cap > most * 4 { dice.pick(&[10, 33, 60]) } else { 0 };
        let (sizes, cap) = match (dice.below(8), family) {
            (0, Family::Page) if hides == 0 => (Sizes::Fixed(dice.pick(&[5, 10, 15, 20]).max(most.div_ceil(2))), 1_000),
            (1, Family::Page) if hides == 0 => (Sizes::Listed(vec![10, 25, 50, 100]), 100),
            // An upstream has a silent cap or hidden rows, never both: a short answer would not show which of the two
            // cut it.
            (2, _) if hides == 0 => (free(None), cap),
            _ => (free(Some(cap)), cap),
        };
        let silent = sizes == free(None) && cap < 1_000;
        let end = match dice.below(5) {
            0 => EndEvidence::Flag,
            1 if hides == 0 && !silent => EndEvidence::ShortPage,
            _ => EndEvidence::Unvouched,
        };
        let past = match (dice.below(6), family) {
            (0, _) => Past::Status,
            (1, Family::Page) if hides == 0 => Past::Repeat,
            (2, _) if hides == 0 && dice.chance(30) => Past::First,
            _ => Past::Empty,
        };
        let tight = cap < most * 3 || hides > 0 || matches!(sizes, Sizes::Fixed(_) | Sizes::Listed(_));
        Traits {
            family,
            sizes,
            cap,
            // With hidden rows and without a total, no core could distinguish the end of the list from a stretch of
            // hidden rows.
            says: if hides > 0 {
                Says::Total
            } else {
                dice.pick(&[Says::Nothing, Says::Total, Says::Total, Says::RacedTotal])
            },
            end,
            past,
            echoes: dice.chance(20),
            hides,
            tight,
            lags: dice.chance(5) && !tight,
        }
    }

    /// Returns the distance from the hint, in items each way, within which a place must be found.
    pub(crate) fn reach(&self) -> u32 {
        let most = match &self.traits.sizes {
            Sizes::Free { .. } => self.traits.cap,
            Sizes::Listed(_) => 100,
            Sizes::Fixed(size) => *size,
        };
        self.search_items.min((self.search_budget - 10) * most / 4)
    }

    /// Returns a number of pages that no walk can exceed. While rows move, a walk may return to earlier rows; after the
    /// last event it must reach its end.
    pub(crate) fn most_pages(&self) -> usize {
        let changes = self.turns.iter().flat_map(|turn| turn.before.iter().chain(&turn.during));
        let rows = self.rows + changes.map(|change| change.arrivals()).sum::<u32>();
        let least = self.limits.iter().min().copied().unwrap_or(1);
        self.turns.len() + (2 * rows + 100) as usize / least as usize
    }

    /// Returns whether the list does not change.
    pub(crate) fn is_still(&self) -> bool {
        let calm = |turn: &Turn| turn.before.is_empty() && turn.during.is_empty() && turn.moves_anchor.is_none();
        self.turns.iter().all(calm) && !matches!(self.style, Style::Worker(_))
    }
}
