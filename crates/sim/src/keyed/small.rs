//! All small worlds. A handful of rows reveals a wrong rule if all changes of the rows are tried.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::{Comparisons, Filters},
    order::Ties,
    paging::{Family, Sizes},
};

use crate::keyed::{
    client::{Client, Style},
    row::{RowPlan, Shape, TieOrder},
    scenario::{Regime, Scenario},
    traits::{Counts, Filtering, Past, Reads, Traits},
    values::{Column, Look},
    walk::{Outcome, walk},
    world::Mutation,
};

/// The description of the worlds that are enumerated.
pub(crate) const COVERED: &str = "all collections of up to 5 rows with up to 3 keys, limits 1 to 3, forward and back, \
    ties ordered and shuffled, by offset and page with much and little room and a silent cap, by page of a fixed size \
    with and without flips, by range filter inclusive and whole with and without flips; each as it stands, and with each \
    single insert and delete at each place before each page and between any two answers";

const MOST_ROWS: u32 = 5;
const KEYS: u32 = 3;

/// An upstream of the small worlds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// By offset or page, with a cap. The flag is true if the dialect declares the cap.
    Free(Family, u32, bool),
    /// By page of a fixed size. The flag is true if the list can be flipped.
    Fixed(u32, bool),
    /// By offset and range filters: only inclusive filters, or all kinds.
    Filtered { all: bool, flips: bool },
}

const KINDS: [Kind; 14] = [
    Kind::Free(Family::Offset, 8, true),
    Kind::Free(Family::Offset, 4, true),
    Kind::Free(Family::Offset, 3, false),
    Kind::Free(Family::Page, 8, true),
    Kind::Free(Family::Page, 4, true),
    Kind::Free(Family::Page, 3, false),
    Kind::Fixed(2, false),
    Kind::Fixed(2, true),
    Kind::Fixed(3, false),
    Kind::Fixed(3, true),
    Kind::Filtered { all: false, flips: false },
    Kind::Filtered { all: false, flips: true },
    Kind::Filtered { all: true, flips: false },
    Kind::Filtered { all: true, flips: true },
];

/// Walks through each small world, and calls `visit` with the scenario and its outcome until `visit` returns false.
/// Each world is walked without changes, and then with each single change at each tick of that walk.
pub(crate) fn each(mut visit: impl FnMut(&Scenario, Outcome) -> bool) {
    for keys in key_lists() {
        let changes = changes(&keys);
        for mut base in worlds(&keys) {
            let outcome = walk(&base, false);
            let ticks = outcome.ticks;
            if !visit(&base, outcome) {
                return;
            }
            base.plan = vec![Vec::new(); ticks];
            for tick in 0..ticks {
                for &mutation in &changes {
                    base.plan[tick].push(mutation);
                    let outcome = walk(&base, false);
                    if !visit(&base, outcome) {
                        return;
                    }
                    base.plan[tick].clear();
                }
            }
        }
    }
}

/// Returns the small world with this number, in the sequence of [`each`], counted from 0; `None` if there are fewer
/// worlds.
pub(crate) fn nth(number: u64) -> Option<Scenario> {
    let (mut found, mut seen) = (None, 0);
    each(|scenario, _| {
        found = (seen == number).then(|| scenario.clone());
        seen += 1;
        found.is_none()
    });
    found
}

/// Returns all worlds whose rows have these keys.
fn worlds(keys: &[u32]) -> Vec<Scenario> {
    let mut worlds = Vec::new();
    for limit in 1..=3 {
        for kind in KINDS {
            for ties in [Ties::Ordered, Ties::Unordered] {
                for style in [Style::Forward { looks_back: false }, Style::Backward] {
                    worlds.push(world(keys, limit, kind, ties, style));
                }
            }
        }
    }
    worlds
}

/// Returns all ascending lists of up to five keys out of three. Only the ties among rows matter, so other keys would
/// add no world.
fn key_lists() -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new()];
    let mut from = 0;
    while let Some(list) = lists.get(from).cloned() {
        from += 1;
        if list.len() < MOST_ROWS as usize {
            let least = list.last().copied().unwrap_or(0);
            lists.extend((least..KEYS).map(|key| [&list[..], &[key]].concat()));
        }
    }
    lists
}

fn row(id: u32, key: u32) -> RowPlan {
    RowPlan { id, keys: [Some(i64::from(key)), None], parts: [0; 2], spoilt: None }
}

/// Returns all single changes: the deletion of each row, and the insertion of a row at each place. An inserted row has
/// any of the keys, and an id before or after all rows with that key, or right after one of them.
fn changes(keys: &[u32]) -> Vec<Mutation> {
    let deletes = (0..keys.len() as u32).map(Mutation::Delete);
    let inserts = (0..KEYS).flat_map(|key| [Mutation::Insert(row(1, key)), Mutation::Insert(row(99, key))]);
    let among = (0..keys.len() as u32).map(|index| Mutation::Insert(row(11 + 10 * index, keys[index as usize])));
    deletes.chain(inserts).chain(among).collect()
}

/// The number of rows that is added to small caps and sizes where ties come in any order. Such ties are used only as
/// whole runs, each shown with its neighbours in one answer. With caps of two to four, nearly every page would be
/// refused. With this room, answers show runs of two to four rows and cut longer ones.
const ROOM_FOR_RUNS: u32 = 2;

fn world(keys: &[u32], limit: u32, kind: Kind, ties: Ties, style: Style) -> Scenario {
    let room = if ties == Ties::Unordered { ROOM_FOR_RUNS } else { 0 };
    let kind = match kind {
        Kind::Free(family, cap, said) if cap < MOST_ROWS => Kind::Free(family, cap + room, said),
        Kind::Fixed(size, flips) => Kind::Fixed(size + room, flips),
        other => other,
    };
    let traits = match kind {
        Kind::Free(family, cap, said) => Traits {
            sizes: Sizes::Free { least: 1, most: said.then_some(cap) },
            // Both kinds of answers past the end are covered, by different limits.
            past: if limit == 2 { Past::Status } else { Past::Empty },
            // A count that is made before the slice may be wrong for the slice.
            counts: if said { Counts::Together } else { Counts::Before },
            ..Traits::plain(family, cap)
        },
        Kind::Fixed(size, flips) => Traits { sizes: Sizes::Fixed(size), flips, ..Traits::plain(Family::Page, size) },
        Kind::Filtered { all, flips } => {
            let some = Comparisons { less_or_equal: true, greater_or_equal: true, ..Comparisons::default() };
            let every = Comparisons { less: true, greater: true, equal: true, nulls: true, ..some };
            let columns = vec![if all { every } else { some }; 2];
            let filters = Filters { columns, either: all, both: all, sorts_by_id: all };
            let filtering = Some(Filtering { reads: Reads::AsTold, filters: Arc::new(filters), ignored: false });
            Traits { filtering, flips, ..Traits::plain(Family::Offset, 5) }
        }
    };
    Scenario {
        regime: Regime::InReach,
        shape: Shape {
            strong: vec![Column::plain(Look::Whole, KEYS)],
            id: Column::plain(Look::Whole, 100),
            ties: if ties == Ties::Ordered { TieOrder::ById } else { TieOrder::Shuffled },
            declared: ties,
            varied: false,
        },
        rows: keys.iter().enumerate().map(|(index, &key)| row(10 + 10 * index as u32, key)).collect(),
        traits: Traits { salt: u64::from(limit), ..traits },
        client: Client { style, search_budget: 16, ..Client::plain(limit) },
        plan: Vec::new(),
    }
}
