//! The report of many walks: the figures of each family, and the stories and scenarios of failing walks.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::{
    anchored, cached,
    case::{Case, Ended, Family},
    ends, keyed, misdeclared,
    regression::Regression,
    token,
};

/// The results of walks of all families, with the figures of each.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) walks: u64,
    mutations: u64,
    refusals: u64,
    pub(crate) keyed: keyed::tally::Tally,
    pub(crate) token: token::Tally,
    pub(crate) anchored: anchored::Tally,
    pub(crate) misdeclared: misdeclared::Tally,
    pub(crate) cached: cached::Tally,
    pub(crate) ends: ends::Tally,
    /// The seeds of walks that break a promise, by family and promise.
    pub(crate) broken: BTreeMap<(Family, String), Vec<u64>>,
}

impl Report {
    pub(crate) fn count(&mut self, mutations: u64, refusals: u64) {
        self.mutations += mutations;
        self.refusals += refusals;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        self.count(other.mutations, other.refusals);
        self.keyed.merge(&other.keyed);
        self.token.merge(other.token);
        self.anchored.merge(other.anchored);
        self.misdeclared.merge(other.misdeclared);
        self.cached.merge(other.cached);
        self.ends.merge(other.ends);
        for (promise, seeds) in other.broken {
            self.broken.entry(promise).or_default().extend(seeds);
        }
    }

    pub(crate) fn violations(&self) -> usize {
        self.broken.values().map(Vec::len).sum()
    }

    /// Returns a message for each figure that is beyond its recorded bound: worlds that are met too seldom, refusals,
    /// levels, and deceived pages.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let mut beyond = self.keyed.beyond(&keyed::bounds::WALKS);
        let needless = self.keyed.refused_without_need();
        beyond.extend(needless.into_iter().map(|class| format!("refused too often without need: {class}")));
        beyond.extend(self.keyed.met.missed().into_iter().map(|missed| format!("met too seldom: {missed}")));
        beyond.extend(self.token.beyond());
        beyond.extend(self.anchored.beyond());
        beyond.extend(self.misdeclared.beyond());
        beyond.extend(self.cached.beyond());
        beyond.extend(self.ends.beyond());
        beyond
    }

    /// Prints all figures, and the first walk of each broken promise.
    pub(crate) fn print(&self) {
        if self.keyed.walks > 0 {
            println!("{}{}", self.keyed, self.keyed.met);
        }
        if self.token.walks > 0 {
            println!("{}", self.token);
        }
        if self.anchored.walks > 0 {
            println!("{}", self.anchored);
        }
        if self.misdeclared.walks > 0 {
            println!("{}", self.misdeclared);
        }
        if self.cached.walks > 0 {
            println!("{}", self.cached);
        }
        if self.ends.walks() > 0 {
            println!("{}", self.ends);
        }
        self.print_broken();
    }

    /// Prints the seeds of each broken promise, and the story of the first walk, shrunk, with the command that replays
    /// it.
    pub(crate) fn print_broken(&self) {
        for ((family, promise), seeds) in &self.broken {
            let mut first = seeds.clone();
            first.sort_unstable();
            let name = family.name();
            let some: Vec<String> = first.iter().take(6).map(|seed| format!("{name}:{seed}")).collect();
            println!("\n{promise}: broken {} times, at commit {}, by {}", seeds.len(), commit(), some.join(", "));
            // Only the first walk of each promise is shrunk, because that may take thousands of walks.
            let Some(seed) = first.first() else { continue };
            tell(&Case::from_seed(*family, *seed), promise, &format!("{name}-{seed}"));
            println!("  cargo sim replay {name}:{seed}");
        }
    }

    /// Returns the report in one line.
    pub(crate) fn summary(&self) -> String {
        let Self { walks, mutations, refusals, .. } = self;
        let violations = self.violations();
        format!(
            "walks {walks}, mutations {mutations}, refusals {refusals}, violations {violations}, commit {}",
            commit()
        )
    }
}

/// The folder for the scenarios of failing walks.
const FAILED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/sim");

/// Prints the story of a failing walk, shrunk, and writes the shrunk scenario to a file.
pub(crate) fn tell(case: &Case, promise: &str, name: &str) {
    let small = case.shrunk_to_its_end();
    let Ended { violation, story, .. } = small.walk(true);
    println!("the first, shrunk:");
    story.iter().for_each(|line| println!("  {line}"));
    let what = violation.map(|broken| broken.what).unwrap_or_default();
    println!("  {promise}: {what}");
    let regression = Regression { without: None, breaks: None, case: small };
    let path = Path::new(FAILED).join(format!("{name}.txt"));
    let text = regression.write(&format!("{promise}: {what}\nFound at commit {}.", commit()));
    match fs::create_dir_all(FAILED).and_then(|()| fs::write(&path, text)) {
        Ok(()) => println!(
            "  The shrunk scenario is target/sim/{name}.txt: `cargo sim replay` takes that file too. Move it to \
             crates/sim/regressions, and each run of the tests walks it."
        ),
        Err(error) => println!("  The shrunk scenario can't be written: {}: {error}", path.display()),
    }
}

/// Returns the commit of the working copy, with `-dirty` if it has changes; `unknown` if git can't tell.
pub(crate) fn commit() -> String {
    let mut git = Command::new("git");
    // `--exclude` leaves out all tags, so git names the commit itself instead of its distance from a tag.
    git.args(["describe", "--always", "--dirty", "--exclude", "*"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = git.output().ok().filter(|output| output.status.success());
    said.map_or_else(|| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
