//! The commands of `cargo sim`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

use clap::{Parser, Subcommand};

use crate::{
    broken,
    case::{Case, Ended, Family, quietly},
    dice::mix,
    ends::table::{self, Wanted},
    keyed::{bounds, small, tally::Tally},
    regression::Regression,
    report::{Report, commit, tell},
    run::{Mix, walk_all},
};

/// The number of walks that a run of the tests makes.
pub(crate) const WALKS: u64 = 120_000;

/// Tests the real pagination core against model upstreams whose lists change between and during pages.
#[derive(Debug, Parser)]
#[command(name = "cargo sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Sim,
}

#[derive(Debug, Subcommand)]
enum Sim {
    /// Makes walks until a time has passed, with other seeds in each run
    Soak {
        /// The time in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The number from which the seeds of the walks are derived; by default the current time
        #[arg(long)]
        seed: Option<u64>,
        /// Walks only through scenarios of this family
        #[arg(long)]
        family: Option<Family>,
    },
    /// Makes walks with the seeds from 0 on, as the tests do, and checks the recorded bounds
    Walk {
        /// The number of walks
        #[arg(long, default_value_t = WALKS)]
        walks: u64,
        /// The first seed, for a run that is made in several parts
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Walks only through scenarios of this family
        #[arg(long)]
        family: Option<Family>,
    },
    /// Prints the steps of one walk, and of a smaller walk with the same end if the walk fails or is refused
    Replay {
        /// `FAMILY:SEED` (such as keyed:123), `small:NUMBER`, or a file such as those in crates/sim/regressions
        what: What,
        /// Writes the scenario to this file; one that fails or is refused is shrunk first, unless it comes from a file
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Walks through all small worlds, and checks the recorded bounds
    Small,
    /// Walks through lists whose end is hard to tell, and prints for each kind of world how the walks end
    Ends {
        /// The number of walks of each kind of world
        #[arg(long, default_value_t = 100)]
        walks: u64,
        /// Only worlds whose names have these words, such as "page 30% Tvis" or "offset none changing complete"
        #[arg(long, default_value = "")]
        only: String,
        /// Also lists that change, and dialects that say whether rows are left out, without naming them in `--only`
        #[arg(long)]
        all: bool,
    },
    /// Switches off each rule of the core, makes each untrue declaration and plants each fault of a cache, one at a
    /// time, and checks that a walk breaks a promise
    Broken {
        /// Writes the shrunk scenarios to this folder, as files that `replay` reads
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// Plants faults in the core, one at a time, and reports which tests notice them, as `make mutants` does
    Mutants {
        /// The names of the faults, from crates/mutants/faults; by default all faults
        names: Vec<String>,
    },
}

/// The walk to replay: of a seed, of a small world by its number, or of a file.
#[derive(Clone, Debug)]
enum What {
    Seed(Family, u64),
    Small(u64),
    File(PathBuf),
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if Path::new(text).is_file() {
            return Ok(Self::File(text.into()));
        }
        let names: Vec<&str> = Family::ALL.map(Family::name).into_iter().chain(["small"]).collect();
        let wrong = || format!("neither a file nor FAMILY:SEED, where FAMILY is one of {}", names.join(", "));
        let (name, number) = text.split_once(':').ok_or_else(wrong)?;
        let number = number.parse().map_err(|_| format!("`{number}` is not a seed: a seed is a number"))?;
        if name == "small" {
            return Ok(Self::Small(number));
        }
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        family.map(|family| Self::Seed(family, number)).ok_or_else(wrong)
    }
}

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    let holds = match Arguments::parse().command {
        Sim::Soak { seconds, seed, family } => {
            soak(seconds, seed.unwrap_or_else(any_seed), family.map_or(Mix::SOAK, Mix::only))
        }
        Sim::Walk { walks, from, family } => {
            let counter = AtomicU64::new(from);
            let next = || Some(counter.fetch_add(1, Ordering::Relaxed)).filter(|seed| seed - from < walks);
            conclude(&walk_all(family.map_or(Mix::ALL, Mix::only), true, next), "")
        }
        Sim::Replay { what, write } => match replay(&what, write.as_deref()) {
            Ok(holds) => holds,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        },
        Sim::Small => small_worlds(),
        Sim::Ends { walks, only, all } => table::print(&Wanted { walks, only: &only, all }),
        Sim::Broken { write } => broken::all_are_caught(write.as_deref()),
        Sim::Mutants { names } => match mutants(&names) {
            Ok(holds) => holds,
            Err(error) => {
                eprintln!("cargo can't be run: {error}");
                return ExitCode::from(2);
            }
        },
    };
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the program that plants faults, and returns whether it succeeds. It is a separate program because it builds
/// copies of the core and of this simulator with faults in the core.
fn mutants(names: &[String]) -> io::Result<bool> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--locked", "--package", "cursorgate-mutants", "--"]).args(names);
    Ok(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success())
}

#[expect(clippy::disallowed_methods, reason = "a soak takes another seed each time")]
fn any_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

#[expect(clippy::disallowed_methods, reason = "a soak is bound by time")]
fn soak(seconds: u64, seed: u64, mixed: Mix) -> bool {
    println!("soak of {seconds} s from seed {seed}, commit {}", commit());
    let (until, counter) = (Instant::now() + Duration::from_secs(seconds), AtomicU64::new(0));
    let report = walk_all(mixed, true, || {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        (Instant::now() < until).then(|| mix(seed, number))
    });
    // In a short soak a class has few walks, so a single refusal by chance may exceed a bound. A soak therefore asserts
    // only the promises.
    report.print();
    println!("{}, seed {seed}", report.summary());
    report.violations() == 0
}

/// Prints a report and the figures beyond their bounds. Returns whether every promise is kept and every figure is
/// within its bound.
pub(crate) fn conclude(report: &Report, title: &str) -> bool {
    println!("{title}");
    report.print();
    let beyond = report.beyond();
    if !beyond.is_empty() {
        println!("beyond the recorded bounds: {beyond:#?}");
    }
    println!("{}", report.summary());
    report.violations() == 0 && beyond.is_empty()
}

/// Prints the story of a walk. If the walk fails or is refused, also prints the story of the smallest walk found with
/// the same end. Returns whether the walk keeps all promises.
fn replay(what: &What, write: Option<&Path>) -> Result<bool, String> {
    let (case, name) = match what {
        What::Seed(family, seed) => (Case::from_seed(*family, *seed), format!("{}:{seed}", family.name())),
        What::Small(number) => {
            let world = small::nth(*number).ok_or_else(|| format!("there are fewer small worlds than {number}"))?;
            (Case::Keyed(Box::new(world)), format!("small:{number}"))
        }
        What::File(path) => return replay_file(path, write),
    };
    let Ended { violation, refusal, story } = case.walk(true);
    println!("as it was:\n{}", story.join("\n"));
    let mut small = case;
    if violation.is_some() || refusal.is_some() {
        small = small.shrunk_to_its_end();
        println!("\nafter shrinking:\n{}", small.walk(true).story.join("\n"));
    }
    let said = match &violation {
        Some(broken) => format!("breaks {}: {}", broken.promise, broken.what),
        None => "keeps its promises".to_owned(),
    };
    println!("\n{said}, commit {}", commit());
    if let Some(path) = write {
        let text = Regression { without: None, breaks: None, case: small }.write(&format!("{name}: {said}"));
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(violation.is_none())
}

/// Prints the story of a file's walk and, if the file names a rule, the story without that rule. Returns whether the
/// result is the expected one.
fn replay_file(path: &Path, write: Option<&Path>) -> Result<bool, String> {
    let regression = Regression::open(path)?;
    println!("{}", regression.walk(true).story.join("\n"));
    if let Some(rule) = regression.without {
        println!("\nwithout {rule:?}:\n{}", regression.walk_without(true).story.join("\n"));
    }
    let fault = regression.fault();
    println!("\n{}, commit {}", fault.as_deref().unwrap_or("holds"), commit());
    if let Some(other) = write {
        let comment = comment_of(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let written = fs::write(other, regression.write(&comment));
        written.map_err(|error| format!("{}: {error}", other.display()))?;
    }
    Ok(fault.is_none())
}

/// Returns the comment at the top of a file: its first lines that begin with `#`, without that sign.
fn comment_of(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map_while(|line| line.strip_prefix('#'));
    Ok(lines.map(str::trim).collect::<Vec<_>>().join("\n"))
}

/// Walks through all small worlds. Returns whether all walks keep their promises and all figures are within their
/// bounds.
pub(crate) fn small_worlds() -> bool {
    let (mut tally, mut failed) = (Tally::default(), BTreeMap::new());
    quietly(|| {
        small::each(|scenario, outcome| {
            tally.add(tally.walks, scenario, &outcome);
            if let Some(violation) = outcome.violation {
                let first = || (tally.walks - 1, 0_u64, Case::Keyed(Box::new(scenario.clone())));
                failed.entry(violation.promise).or_insert_with(first).1 += 1;
            }
            true
        });
    });
    println!("small worlds ({}): {tally}", small::COVERED);
    for (promise, (number, times, case)) in &failed {
        println!("\n{promise}: broken {times} times, at commit {}, by small:{number} first", commit());
        tell(case, promise, &format!("small-{number}"));
        println!("  cargo sim replay small:{number}");
    }
    let beyond = tally.beyond(&bounds::SMALL);
    if !beyond.is_empty() {
        println!("beyond the recorded bounds: {beyond:#?}");
    }
    failed.is_empty() && beyond.is_empty()
}
