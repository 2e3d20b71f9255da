//! Plants faults in the pagination core, one at a time, and tells which of its tests notice.
//!
//! `make mutants` runs every fault of `faults/`, `make mutants NAMES="a b"` some of them. The core is copied below
//! `target/mutants`, so that the checkout stays as it is; there one fault after the other is written into the copy, and
//! built, and the core's own tests run until one fails: unit tests first, then the simulator's walks, then its small
//! worlds. `fault` reads the list, `scratch` has the copy.
//!
//! `MUTANT_WALKS` is the number of walks (20,000; 0: unit tests alone), `MUTANT_SECONDS` the longest that one build or
//! one run of tests may take (300): tests that take longer hang, and have noticed the fault.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod fault;
mod scratch;

use std::{
    env,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use fault::{Expected, Fault};
use scratch::{Build, Outcome, Scratch};

const WALKS: u64 = 20_000;
const SECONDS: u64 = 300;

/// Which tests fail under a fault.
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

/// Plants the faults; whether every one of them did as its list expects.
fn run() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    let core = root.join("crates/core/src/pagination");
    let all = fault::read_all(&root.join("crates/mutants/faults"))?;
    let names: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|fault| fault.name != **name)) {
        return Err(format!("no fault is named {unknown}"));
    }
    // All of them, even where a few are run: a list that no longer fits is found at once.
    fault::check(&all, &core)?;
    let chosen: Vec<&Fault> = all.iter().filter(|fault| names.is_empty() || names.contains(&fault.name)).collect();
    let (walks, limit) = (number("MUTANT_WALKS", WALKS)?, Duration::from_secs(number("MUTANT_SECONDS", SECONDS)?));
    let scratch = Scratch::new(&root, walks, limit)?;
    match look(&scratch)? {
        (Caught::Nothing, _) => {}
        (_, said) => return Err(format!("the core fails its tests without any fault: {said}")),
    }
    println!("{:<24} {:<10} {:>8}  first test that fails", "fault", "caught by", "seconds");
    let mut wrong = Vec::new();
    for fault in &chosen {
        let begun = now();
        let seen = scratch.with(fault, || look(&scratch));
        let seconds = begun.elapsed().as_secs();
        let tell = |caught: &str, said: &str| println!("{:<24} {caught:<10} {seconds:>8}  {said}", fault.name);
        match (&fault.expected, seen) {
            (_, Err(error)) => {
                tell("-", "does not build");
                wrong.push(format!("{}: {error}", fault.name));
            }
            (Expected::Caught, Ok((Caught::Nothing, _))) => {
                tell("nothing", "");
                wrong.push(format!("{} is not noticed by any test", fault.name));
            }
            (Expected::Equivalent(why) | Expected::Cost(why), Ok((Caught::Nothing, _))) => tell("nothing", why),
            (Expected::Equivalent(why), Ok((caught, said))) => {
                tell(caught.name(), &said);
                wrong.push(format!("{} is noticed, and is listed as equivalent: {why}", fault.name));
            }
            (_, Ok((caught, said))) => tell(caught.name(), &said),
        }
    }
    println!("{} faults, {} not as expected", chosen.len(), wrong.len());
    wrong.iter().for_each(|line| eprintln!("{line}"));
    Ok(wrong.is_empty())
}

/// Builds the copy as it stands and runs its tests until one fails.
fn look(scratch: &Scratch) -> Result<(Caught, String), String> {
    let stages: [(Build, &[&str], Caught); 3] = [
        (Build::Unit, &["pagination"], Caught::Unit),
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

/// Returns a number of the environment, where it is set.
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
