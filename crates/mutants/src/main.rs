//! Plants faults in the pagination core, one at a time, and reports which tests of the core notice them.
//!
//! `make mutants` runs every fault of `faults/`, and `make mutants NAMES="a b"` runs the faults `a` and `b`. `cargo sim
//! mutants` does the same. The core is copied to `target/mutants`, so the checkout stays unchanged. The faults are
//! planted in the copy, one after the other, and each result is built. There are two questions:
//!
//! - Which test notices the fault? The core's tests run until one fails: unit tests first, then the simulator's walks,
//!   then its small worlds.
//! - Does a fault outside the judge break a guarantee? `MUTANT_GUARANTEES=200000` asks this question with 200,000 walks
//!   per fault. The guarantees depend only on the judge, so a fault of a strategy should only cost requests or
//!   refusals.
//!
//! `fault` reads the list of faults, `scratch` makes the copy and runs its tests, and `record` writes the results to
//! `RESULTS.md`.
//!
//! `MUTANT_WALKS` is the number of walks for the first question (default 20,000; with 0, only unit tests run).
//! `MUTANT_SECONDS` is the time limit of each build and each run (default 300). Tests that take longer count as hung,
//! and as having noticed the fault.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod fault;
mod record;
mod scratch;

use std::{
    env,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use fault::{Expected, Fault};
use record::Record;
use scratch::{Build, Outcome, Scratch};

const WALKS: u64 = 20_000;
const SECONDS: u64 = 300;

/// The kind of tests that notice a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caught {
    Unit,
    Simulator,
    Nothing,
}

impl Caught {
    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Simulator => "simulator",
            Self::Nothing => "nothing",
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Plants the faults that the arguments name, or all faults. Returns whether each fault had the expected result.
fn run() -> Result<bool, String> {
    // At run time, Cargo names the checkout that is run. The path from build time may be another checkout with the same
    // target directory.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("../..");
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    let core = root.join("crates/core/src/pagination");
    let all = fault::read_all(&root.join("crates/mutants/faults"))?;
    let names: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|fault| fault.name != **name)) {
        return Err(format!("no fault is named {unknown}"));
    }
    // All faults are checked, even if only a few are run. A fault that no longer fits the core is then noticed at once.
    fault::check(&all, &core)?;
    let chosen = all.iter().filter(|fault| names.is_empty() || names.contains(&fault.name));
    let (walks, limit) = (number("MUTANT_WALKS", WALKS)?, Duration::from_secs(number("MUTANT_SECONDS", SECONDS)?));
    let guarantees = number("MUTANT_GUARANTEES", 0)?;
    let scratch = Scratch::new(&root, walks, limit)?;
    let mut record = Record::read(&root.join("crates/mutants/RESULTS.md"))?;
    let wrong = match guarantees {
        0 => tests(&scratch, chosen, |fault, caught, why| record.noticed(&all, fault, caught, why))?,
        walks => {
            let chosen = chosen.filter(|fault| !fault.is_of_the_judge());
            promises(&scratch, chosen, walks, |fault, walked, broken| record.walked(&all, fault, walked, broken))?
        }
    };
    wrong.iter().for_each(|line| eprintln!("{line}"));
    Ok(wrong.is_empty())
}

/// Runs the tests with each fault, and records the first test that fails. Returns a line for each fault with an
/// unexpected result.
fn tests<'a>(
    scratch: &Scratch,
    chosen: impl Iterator<Item = &'a Fault>,
    mut record: impl FnMut(&Fault, &str, &str) -> Result<(), String>,
) -> Result<Vec<String>, String> {
    // If the core's tests failed without a fault, every fault would seem to be noticed, so no fault is planted then.
    match look(scratch)? {
        (Caught::Nothing, _) => {}
        (_, said) => return Err(format!("the core fails its tests without any fault: {said}")),
    }
    println!("{:<24} {:<10} {:>8}  first test that fails", "fault", "caught by", "seconds");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for fault in chosen {
        count += 1;
        let begun = now();
        let seen = scratch.with(fault, || look(scratch));
        let seconds = begun.elapsed().as_secs();
        let (caught, said) = match &seen {
            Ok((caught, said)) => (caught.name(), said.as_str()),
            Err(_) => ("-", "does not build"),
        };
        let why = match (&fault.expected, &seen) {
            (Expected::Equivalent(why) | Expected::Cost(why), Ok((Caught::Nothing, _))) => why,
            _ => said,
        };
        println!("{:<24} {caught:<10} {seconds:>8}  {why}", fault.name);
        record(fault, caught, why)?;
        match (&fault.expected, seen) {
            (_, Err(error)) => wrong.push(format!("{}: {error}", fault.name)),
            (Expected::Caught, Ok((Caught::Nothing, _))) => {
                wrong.push(format!("{} is not noticed by any test", fault.name));
            }
            (Expected::Equivalent(why), Ok((Caught::Unit | Caught::Simulator, _))) => {
                wrong.push(format!("{} is noticed, and is listed as equivalent: {why}", fault.name));
            }
            _ => {}
        }
    }
    println!("{count} faults, {} not as expected", wrong.len());
    Ok(wrong)
}

/// Makes `walks` walks with each fault, and records the guarantees that break. Returns a line for each fault that
/// breaks a guarantee unexpectedly.
fn promises<'a>(
    scratch: &Scratch,
    chosen: impl Iterator<Item = &'a Fault>,
    walks: u64,
    mut record: impl FnMut(&Fault, u64, &str) -> Result<(), String>,
) -> Result<Vec<String>, String> {
    println!("{:<32} {:>8}  guarantees broken in {walks} walks", "fault", "seconds");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for fault in chosen {
        count += 1;
        let begun = now();
        let (walked, broken) = scratch.with(fault, || scratch.broken_guarantees(walks))?;
        let said = if broken.is_empty() { "none".to_owned() } else { broken.join(", ") };
        println!("{:<32} {:>8}  {said}", fault.name, begun.elapsed().as_secs());
        record(fault, walked, &said)?;
        if !broken.is_empty() && fault.breaks.is_none() {
            wrong.push(format!("{} breaks a guarantee, and is none of the judge: {said}", fault.name));
        }
    }
    println!("{count} faults, {} not as expected", wrong.len());
    Ok(wrong)
}

/// Builds the copy in its present state, and runs its tests until one fails. Returns the kind of the failed test and
/// its name; the name is empty if no test fails.
fn look(scratch: &Scratch) -> Result<(Caught, String), String> {
    let stages: [(Build, &[&str], Caught); 3] = [
        (Build::Unit, &["pagination"], Caught::Unit),
        // The test `small_worlds_keep_the_promises` would also match, but has its own stage.
        (Build::Simulator, &["promises", "--skip", "small_worlds"], Caught::Simulator),
        (Build::Simulator, &["small_worlds"], Caught::Simulator),
    ];
    let wanted = if scratch.walks == 0 { 1 } else { stages.len() };
    for (build, arguments, caught) in stages.into_iter().take(wanted) {
        match scratch.test(build, arguments)? {
            Outcome::Passed => {}
            Outcome::Failed(test) => return Ok((caught, test)),
            Outcome::Hung => return Ok((caught, "none ended in time".to_owned())),
        }
    }
    Ok((Caught::Nothing, String::new()))
}

/// Returns the number in an environment variable, or `usual` if the variable isn't set or is empty. Any other text is
/// an error.
fn number(name: &str, usual: u64) -> Result<u64, String> {
    match env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().map_err(|_| format!("{name} is no whole number: {text}")),
        _ => Ok(usual),
    }
}

#[expect(clippy::disallowed_methods, reason = "the table says how long each fault took")]
fn now() -> Instant {
    Instant::now()
}
