//! The command `ends`: the figures of each kind of world, as a table.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    case::quietly,
    ends::{
        judge::{Claim, Ended},
        scenario::{Cell, Declared, Scenario},
        tally::Figures,
        walk::walk,
    },
    report::commit,
};

/// The cells of a table, and the number of walks of each.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) walks: u64,
    /// The words that the name of a cell must have; an empty text chooses the cells at rest without a declaration.
    pub(crate) only: &'a str,
    /// Chooses the cells that change, too.
    pub(crate) all: bool,
}

impl Wanted<'_> {
    fn has(&self, cell: &Cell) -> bool {
        let name = cell.name();
        let has = |word: &str| name.split(' ').any(|own| own == word);
        let says = |word: &str| self.only.split_whitespace().any(|said| said == word);
        let declared = match cell.declared {
            Declared::Nothing => true,
            Declared::Hidden => says("hidden"),
            Declared::Complete => says("complete"),
        };
        let usual = declared && (!cell.changing || says("changing"));
        self.only.split_whitespace().all(has) && (usual || self.all)
    }
}

/// Walks and prints the table. Returns whether it has a line.
pub(crate) fn print(wanted: &Wanted<'_>) -> bool {
    let cells: Vec<(usize, &Cell)> = Cell::all().iter().enumerate().filter(|(_, cell)| wanted.has(cell)).collect();
    println!("{} walks of each world, commit {}; the seed replays as ends:SEED", wanted.walks, commit());
    println!(
        "{:30} {:>5} {:>5} | false end {:>5} {:>5} {:>5} | {:>5} {:>5} | {:>5} {:>5} {:>5} {:>5} | {:>5} {:>5} | \
         {:>9} others",
        "",
        "right",
        "mark",
        "exact",
        "check",
        "mark",
        "items",
        "facts",
        "skip",
        "twice",
        "endl",
        "refus",
        "last",
        "page",
        "seed"
    );
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![None; cells.len()]));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((place, (index, cell))) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|place| Some((place, cells.get(place)?)))
                {
                    let figures = quietly(|| walks(*index, wanted.walks));
                    let mut found = found.lock().unwrap();
                    found[place] = Some(line(&cell.name(), &figures));
                    print_ready(&mut found);
                }
            });
        }
    });
    !cells.is_empty()
}

/// Prints the lines that are next in the sequence of the cells, and removes their text.
fn print_ready(lines: &mut [Option<String>]) {
    let ready = lines.iter_mut().take_while(|line| line.is_some()).flatten();
    for text in ready.filter(|text| !text.is_empty()) {
        println!("{text}");
        text.clear();
    }
}

/// Walks through the worlds of a cell.
pub(crate) fn walks(index: usize, walks: u64) -> Figures {
    let mut figures = Figures::default();
    for seed in Cell::seeds(index).take(walks as usize) {
        match catch_unwind(AssertUnwindSafe(|| walk(&Scenario::from_seed(seed), false))) {
            Ok(outcome) => figures.add(seed, &outcome),
            Err(_) => println!("panic: ends:{seed}"),
        }
    }
    figures
}

fn line(name: &str, figures: &Figures) -> String {
    let count = |ended: Ended| figures.count(|other| other == ended);
    let right = count(Ended::Right(Claim::Exact)) + count(Ended::Right(Claim::Checked));
    let [exact, checked, marked] =
        [Claim::Exact, Claim::Checked, Claim::Marked].map(|claim| count(Ended::FalseEnd(claim)));
    let refused = figures.count(|ended| matches!(ended, Ended::Refused(_)));
    let (page, last) = figures.requests();
    let seed = figures.worst().map_or_else(|| "-".to_owned(), |seed| seed.to_string());
    format!(
        "{name:30} {right:5} {:5} |           {exact:5} {checked:5} {marked:5} | {:5} {:5} | {:5} {:5} {:5} {refused:5} | \
         {last:5.1} {page:5.2} | {seed:>9} {}",
        count(Ended::Right(Claim::Marked)),
        figures.against_items,
        figures.against_facts,
        count(Ended::Skipped),
        count(Ended::Repeated),
        count(Ended::Endless),
        figures.others(),
    )
}
