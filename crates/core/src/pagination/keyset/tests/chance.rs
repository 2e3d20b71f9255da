//! Random walks through random lists that change between any two answers.

use std::{cmp::Ordering, collections::HashSet};

use super::{Cell, uuid};
use crate::pagination::{
    filter::{Comparisons, Filters},
    key::{self, Extent, Operand},
    model::{self, ALL, EXCLUSIVE, INCLUSIVE, List, Row, end, mixed, start},
    order::{Direction, Kind, Nulls, Order, SortKey, Ties},
    paging::{EndEvidence, Family, Sizes},
    refusal::Refusal,
};

/// The number of walks, each through another list.
const WALKS: u64 = 500;

/// A generator of pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = mixed(self.0);
        self.0 % bound
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }
}

fn cell_of(look: u64, number: i64) -> Cell {
    match look {
        0 => model::whole(number - 5),
        1 => model::coarse(number * 3_331 - 20_000, 2, false),
        2 => model::coarse(number * 3_331 - 20_000, 2, true),
        3 => model::instant(number * 271, false),
        4 => model::instant(number * 271, true),
        5 => model::text(&format!("{}{}", "é".repeat(usize::try_from(number % 3).unwrap()), number % 11)),
        6 => uuid(number),
        _ => model::text(&format!("{}{}", "é".repeat(32), number)),
    }
}

fn kind_of(look: u64, inferred: bool) -> Kind {
    match look {
        _ if inferred && look < 5 => Kind::Inferred,
        0..=2 => Kind::Number,
        3 | 4 => Kind::Datetime,
        6 => Kind::Uuid,
        _ => Kind::Text,
    }
}

/// Draws the cells of a row. The name of each key encodes two numbers: the form of its values, and how many values
/// there are.
fn cells(order: &Order, dice: &mut Dice) -> Vec<Cell> {
    let cell = |key: &SortKey, dice: &mut Dice| {
        let mut parts = key.name.split(' ').map(|part| part.parse::<u64>().unwrap());
        let (look, width) = (parts.next().unwrap(), parts.next().unwrap());
        if key.nulls != Nulls::None && dice.below(4) == 0 {
            return model::null();
        }
        cell_of(look, i64::try_from(dice.below(width)).unwrap())
    };
    order.strong.iter().map(|key| cell(key, dice)).collect()
}

fn world(seed: u64) -> (List, u32) {
    let mut dice = Dice(mixed(seed));
    let mut strong = Vec::new();
    let keys = dice.below(3);
    for number in 0..keys {
        // After a key that is shown more coarsely than it is stored, the shown values of other keys are in no order.
        let look = if number + 1 < keys { dice.pick(&[0, 5, 6]) } else { dice.below(8) };
        let width = dice.pick(&[2, 8, 40, 200]);
        strong.push(SortKey {
            name: format!("{look} {width}"),
            direction: dice.pick(&[Direction::Ascending, Direction::Descending]),
            kind: kind_of(look, dice.below(3) == 0),
            nulls: dice.pick(&[Nulls::None, Nulls::None, Nulls::First, Nulls::Last, Nulls::Smallest, Nulls::Largest]),
            grain: None,
        });
    }
    let mut list = List::new(strong, []);
    for _ in 0..dice.pick(&[0, 1, 2, 5, 30, 120]) {
        add(&mut list, &mut dice);
    }
    list.order.id.direction = dice.pick(&[Direction::Ascending, Direction::Descending]);
    let coarse = list.order.strong.iter().any(|key| !matches!(key.name.as_bytes()[0], b'0' | b'5' | b'6'));
    if !coarse {
        list.order.ties = dice.pick(&[Ties::Ordered, Ties::Unordered]);
    }
    let cap = dice.pick(&[10, 20, 50]);
    list.cap = cap;
    list.paging.sizes = Sizes::Free { least: 1, most: dice.pick(&[Some(cap), Some(100), None]) };
    list.paging.family = dice.pick(&[Family::Offset, Family::Offset, Family::Page]);
    list.paging.end = dice.pick(&[EndEvidence::Unvouched, EndEvidence::Unvouched, EndEvidence::ShortPage]);
    if list.paging.sizes != (Sizes::Free { least: 1, most: Some(cap) }) {
        list.paging.end = EndEvidence::Unvouched;
    }
    (list.flips, list.totals) = (dice.below(3) > 0, dice.below(2) == 0);
    let columns = list.order.columns();
    let comparisons: Vec<Comparisons> = (0..columns).map(|_| dice.pick(&[ALL, ALL, INCLUSIVE, EXCLUSIVE])).collect();
    list.filters = Some(Filters {
        columns: comparisons,
        either: dice.below(2) == 0,
        both: dice.below(2) == 0,
        sorts_by_id: dice.below(2) == 0,
    });
    list.change = dice.pick(&[None, Some(change as fn(&mut List, u64)), Some(churn)]);
    (list, dice.pick(&[1, 2, 3, 7, 20]))
}

fn add(list: &mut List, dice: &mut Dice) {
    let mut cells = cells(&list.order, dice);
    let id = loop {
        let id = (100 + dice.below(9_900)).to_string();
        if list.rows.iter().all(|row| row.id() != id) {
            break id;
        }
    };
    cells.push(model::whole(id.parse().unwrap()));
    list.rows.push(Row { cells });
}

/// Makes 0, 1 or 3 changes.
fn change(list: &mut List, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..dice.pick(&[0, 0, 1, 3]) {
        churn_once(list, &mut dice);
    }
}

/// Makes up to 7 changes.
fn churn(list: &mut List, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..dice.below(8) {
        churn_once(list, &mut dice);
    }
}

fn churn_once(list: &mut List, dice: &mut Dice) {
    let at = usize::try_from(dice.below(list.rows.len().max(1) as u64)).unwrap();
    let touched = list.rows.get(at).map(|row| row.id().to_owned()).unwrap_or_default();
    match dice.below(5) {
        0 | 1 => add(list, dice),
        2 | 3 if !list.rows.is_empty() => {
            list.touched.insert(touched);
            list.rows.swap_remove(at);
        }
        4 if !list.rows.is_empty() => {
            list.touched.insert(touched);
            let mut cells = cells(&list.order, dice);
            cells.push(list.rows[at].cells[list.order.strong.len()].clone());
            list.rows[at] = Row { cells };
        }
        _ => {}
    }
}

/// Compares two rows by their shown values.
fn compare(order: &Order, left: &str, right: &str) -> Ordering {
    let strong = order.strong.iter().map(|key| (key, Extent::Kept)).chain([(&order.id, Extent::Whole)]);
    let columns = strong.zip(left.split('|').skip(1).zip(right.split('|').skip(1)));
    for ((key, extent), (left, right)) in columns {
        let ordering = key::compare(key, extent, Operand::Raw(left.as_bytes()), Operand::Raw(right.as_bytes()));
        match ordering.expect("they compare") {
            Ordering::Equal => {}
            ordering => return ordering,
        }
    }
    Ordering::Equal
}

fn shown(row: &Row) -> String {
    row.cells.iter().map(|cell| format!("|{}", cell.1)).collect()
}

/// A walk that has reached the end of its list (the start, if backward), or has read one page more than `MOST_PAGES`.
struct Walk {
    given: Vec<String>,
    pages: usize,
    /// The rows that existed during the whole walk, as they are shown.
    stayed: HashSet<String>,
}

const MOST_PAGES: usize = 400;

fn walk(list: &mut List, limit: u32, backward: bool) -> Result<Walk, Refusal> {
    let there = list.rows.clone();
    list.touched.clear();
    let (mut given, mut pages) = (Vec::new(), 0);
    let mut target = Some(if backward { end() } else { start() });
    while let Some(at) = target {
        let page = list.page(at, limit)?;
        let mut items: Vec<String> =
            (0..page.items.len()).map(|at| String::from_utf8(page.item(at).to_vec()).unwrap()).collect();
        if backward {
            items.reverse();
        }
        given.extend(items);
        target = if backward { page.previous.clone() } else { page.next.clone() };
        pages += 1;
        if pages > MOST_PAGES {
            break;
        }
    }
    let stayed = there.iter().filter(|row| !list.touched.contains(row.id())).map(shown).collect();
    Ok(Walk { given, pages, stayed })
}

#[test]
fn items_that_stay_in_a_changing_list_are_served_once_and_in_order() {
    let mut refused: Vec<(u64, Refusal)> = Vec::new();
    for seed in 0..WALKS {
        let (mut list, limit) = world(seed);
        for backward in [false, true] {
            let Walk { given, pages, stayed } = match walk(&mut list, limit, backward) {
                Ok(walk) => walk,
                Err(refusal) => {
                    refused.push((seed, refusal));
                    continue;
                }
            };
            let said = || format!("seed {seed}, backward {backward}, pages of {limit}: {:?}", list.filters);
            for pair in given.windows(2) {
                let ordering = compare(&list.order, &pair[0], &pair[1]);
                let wanted = if backward { Ordering::Greater } else { Ordering::Less };
                assert_eq!(ordering, wanted, "{pair:?} {}", said());
            }
            if pages <= MOST_PAGES {
                let given: HashSet<&String> = given.iter().collect();
                let skipped: Vec<_> = stayed.iter().filter(|row| !given.contains(row)).collect();
                assert!(skipped.is_empty(), "{skipped:?} of {}, {}", stayed.len(), said());
            }
        }
    }
    let share = refused.len() as u64 * 100 / (2 * WALKS);
    assert!(share < 13, "{} walks were refused: {refused:?}", refused.len());
}
