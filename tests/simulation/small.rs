//! Every small world: what is wrong with a rule shows in a handful of rows, if one looks at all of them.

use cursorgate::pagination::{
    order::Ties,
    paging::{EndEvidence, Family, Sizes},
    resolver::WhenUnproven,
};

use crate::{
    client::{Client, Style},
    scenario::{Regime, Scenario},
    upstream::{Counts, Echoes, More, Past, Says, Traits},
    values::{Column, Look},
    world::{Mutation, RowPlan, Shape, TieOrder},
};

const MOST_ROWS: u32 = 5;
const KEYS: u32 = 3;
/// Ticks at which the one change may happen: two pages with all their answers.
const TICKS: usize = 7;

/// A cap, and whether the dialect says it.
const CAPS: [(u32, bool); 3] = [(8, true), (4, true), (3, false)];

/// Calls `visit` with each small world: all collections of up to five rows with three keys, limits 1 to 3, forward and
/// back, by offset and by page, with room to spare, little room and a silent cap, ties ordered or not, nothing changing
/// or one insert or delete at each place at each time.
pub(crate) fn each(mut visit: impl FnMut(Scenario)) {
    for keys in key_lists() {
        for base in worlds(&keys) {
            for mutation in changes(&keys) {
                for tick in 0..TICKS {
                    let mut changed = base.clone();
                    changed.plan = vec![Vec::new(); TICKS];
                    changed.plan[tick].push(mutation);
                    visit(changed);
                }
            }
            visit(base);
        }
    }
}

/// All worlds that hold rows with these keys.
fn worlds(keys: &[u32]) -> Vec<Scenario> {
    let mut worlds = Vec::new();
    for limit in 1..=3 {
        for family in [Family::Offset, Family::Page] {
            for ties in [Ties::Ordered, Ties::Unordered] {
                for style in [Style::Forward { looks_back: false }, Style::Backward] {
                    let with_cap = |cap| world(keys, limit, family, ties, style.clone(), cap);
                    worlds.extend(CAPS.map(with_cap));
                }
            }
        }
    }
    worlds
}

/// Ascending lists of up to five keys: how the rows are tied is all that matters of them.
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

/// Every row deleted, and a row inserted beside every other: before the keys, among them with a smaller or a greater
/// id than its equals, and after them.
fn changes(keys: &[u32]) -> Vec<Mutation> {
    let row = |id, key| RowPlan { id, keys: [Some(i64::from(key)), None], parts: [0; 2] };
    let deletes = (0..keys.len() as u32).map(Mutation::Delete);
    let inserts = (0..KEYS).flat_map(|key| [Mutation::Insert(row(1, key)), Mutation::Insert(row(99, key))]);
    let among = (0..keys.len() as u32).map(|index| Mutation::Insert(row(11 + 10 * index, keys[index as usize])));
    deletes.chain(inserts).chain(among).collect()
}

fn world(keys: &[u32], limit: u32, family: Family, ties: Ties, style: Style, (cap, said): (u32, bool)) -> Scenario {
    let rows = keys.iter().enumerate();
    Scenario {
        regime: Regime::InReach,
        shape: Shape {
            strong: vec![Column::plain(Look::Whole, KEYS)],
            id: Column::plain(Look::Whole, 100),
            ties: if ties == Ties::Ordered { TieOrder::ById } else { TieOrder::Shuffled },
            declared: ties,
            varied: false,
        },
        rows: rows
            .map(|(index, &key)| RowPlan {
                id: 10 + 10 * index as u32,
                keys: [Some(i64::from(key)), None],
                parts: [0; 2],
            })
            .collect(),
        traits: Traits {
            family,
            sizes: Sizes::Free { least: 1, most: said.then_some(cap) },
            cap,
            counts: Counts::Before,
            total: Says::Exactly,
            more: More::Nothing,
            past: if limit == 2 { Past::Status } else { Past::Empty },
            end: EndEvidence::Unvouched,
            echoes: Echoes::Nothing,
            ceiling: None,
            ceiling_declared: false,
            outages: 0,
            lags: false,
            reorders: false,
            salt: u64::from(limit),
            lie: None,
        },
        client: Client { style, limits: vec![limit], budget: 8, unproven: WhenUnproven::Refuse, forgets: 0 },
        plan: Vec::new(),
    }
}
