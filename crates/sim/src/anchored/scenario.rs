//! A walk as plain data, made of a seed.

use cursorgate_core::pagination::paging::{EndEvidence, Family, Sizes};

use super::{
    upstream::{Past, Says, Traits},
    world::Look,
};
use crate::dice::Dice;

/// How a client goes through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// From the start to the end.
    Forward,
    /// From the end to the start.
    Backward,
    /// Any way it is offered, also by the cursors of items, and by cursors of earlier pages.
    Wander,
    /// Reads a page, deletes its rows, or so many of a hundred of them, and asks for the next.
    Worker(u32),
}

/// What happens to the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Before so many of a hundred pages something happens, up to so many times.
    pub(crate) between: (u32, u32),
    /// While so many of a hundred pages are read, something happens.
    pub(crate) during: u32,
    /// Rows are moved too.
    pub(crate) moves: bool,
    /// While so many of a hundred pages are read, one row near the place is moved, and nothing else happens.
    pub(crate) moves_during: u32,
    /// The last row of so many of a hundred pages is moved on.
    pub(crate) moves_anchor: u32,
}

/// All that decides a walk.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) rows: u32,
    pub(crate) look: Look,
    pub(crate) traits: Traits,
    pub(crate) limits: Vec<u32>,
    pub(crate) style: Style,
    pub(crate) weather: Weather,
    pub(crate) search_items: u32,
    pub(crate) search_budget: u32,
    /// Nothing is learnt from one page to the next, as where each is served by another process.
    pub(crate) forgets: bool,
    /// Other clients read the list through the same gateway.
    pub(crate) shares: bool,
}

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
        let calm = Weather { between: (0, 0), during: 0, moves: false, moves_during: 0, moves_anchor: 0 };
        let weather = match dice.below(5) {
            0 if dice.chance(30) => Weather { moves_during: 40, ..calm },
            0 => calm,
            1 => Weather { between: (30, 3), moves: true, moves_anchor: 20, ..calm },
            2 => Weather { between: (60, 4), moves: true, ..calm },
            3 => Weather { between: (40, 2), during: 20, ..calm },
            _ => Weather { between: (80, 5), during: 10, ..calm },
        };
        let limits = match dice.below(6) {
            0 if rows < 40 => vec![dice.pick(&[1, 2, 3])],
            1 => (0..3).map(|_| 1 + dice.below(25)).collect(),
            _ => vec![dice.pick(&[5, 7, 10, 20])],
        };
        let traits = Self::traits(dice, limits.iter().max().copied().unwrap_or(1));
        Self {
            seed,
            rows,
            look: dice.pick(&[Look::Number, Look::Number, Look::Text, Look::Bare, Look::Mixed]),
            traits,
            limits,
            style,
            weather,
            search_items: dice.pick(&[100, 300, 1_000]),
            search_budget: 40,
            forgets: dice.chance(20),
            shares: dice.chance(30),
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
            // A silent cap and hidden rows look the same.
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
            _ => Past::Empty,
        };
        let tight = cap < most * 3 || hides > 0 || matches!(sizes, Sizes::Fixed(_) | Sizes::Listed(_));
        Traits {
            family,
            sizes,
            cap,
            // Where rows are hidden and nothing says how many there are, their end can only be guessed.
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

    /// Within so many items of its hint each way a place must be found.
    pub(crate) fn reach(&self) -> u32 {
        let most = match &self.traits.sizes {
            Sizes::Free { .. } => self.traits.cap,
            Sizes::Listed(_) => 100,
            Sizes::Fixed(size) => *size,
        };
        self.search_items.min((self.search_budget - 10) * most / 4)
    }

    /// More rows than there can ever be.
    pub(crate) fn most_rows(&self) -> u32 {
        self.rows + 25 * (self.weather.between.1 + 4) * 132
    }

    /// Whether nothing happens to the list.
    pub(crate) fn is_still(&self) -> bool {
        self.weather.between.0 == 0
            && self.weather.during == 0
            && self.weather.moves_during == 0
            && self.weather.moves_anchor == 0
            && !matches!(self.style, Style::Worker(_))
    }
}
