//! `cursorgate check --exchanges`: tests dialects against contracts, which are files of exchanges from the
//! documentation of upstreams.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    super::{Failure, arguments::CheckFormat, report},
    annotations,
};
use cursorgate_config::{Diagnostics, Environment, load_contract};
use cursorgate_translate::upstream::{HeldContract, hold};

/// A contract and the result of its test.
struct CheckedContract {
    file: String,
    /// The name of the dialect and the result; `None` if the contract can't be read or its dialect doesn't compile.
    result: Option<(String, HeldContract)>,
    diagnostics: Diagnostics,
}

impl CheckedContract {
    fn differs(&self) -> bool {
        self.result.as_ref().is_some_and(|(_, held)| !held.holds())
    }
}

/// Tests dialects against the contracts in these files, and prints the differences. The dialects are the built-in ones,
/// and those of the configuration at `configuration`.
pub(super) fn run(
    files: &[PathBuf],
    configuration: Option<&Path>,
    environment: &dyn Environment,
    format: CheckFormat,
) -> Result<(), Failure> {
    let held: Vec<CheckedContract> = files.iter().map(|file| of_file(file, configuration, environment)).collect();
    match format {
        CheckFormat::Text => {
            held.iter().for_each(|held| report::diagnostics(&held.diagnostics));
            report::output(&held.iter().map(line).collect::<String>())?;
        }
        CheckFormat::Json => report::output(&as_json(&held))?,
        CheckFormat::Github => {
            let lines = held.iter().map(|held| annotations::commands(&held.diagnostics) + &line(held));
            report::output(&lines.collect::<String>())?;
        }
    }
    let unread = held.iter().filter(|held| held.result.is_none()).count();
    let differing = held.iter().filter(|held| held.differs()).count();
    match (unread, differing) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::failed(format!("{} not met", report::count(differing, "contract")))),
        _ => Err(Failure::mistaken(format!("{} can't be read", report::count(unread, "contract")))),
    }
}

fn of_file(file: &Path, configuration: Option<&Path>, environment: &dyn Environment) -> CheckedContract {
    let (contract, mut diagnostics) = load_contract(file, configuration, environment);
    let result = contract.and_then(|contract| {
        let held = hold(&contract, &mut diagnostics)?;
        Some((contract.dialect.value, held))
    });
    CheckedContract { file: file.display().to_string(), result, diagnostics }
}

/// Returns the line that reports on a contract, such as `tests/invoices.toml: invoices, 6 exchanges hold`.
fn line(held: &CheckedContract) -> String {
    let mut text = format!("{}: ", held.file);
    let _ = match &held.result {
        None => writeln!(text, "it can't be read"),
        Some((dialect, held)) if held.holds() => {
            let verb = if held.exchanges == 1 { "holds" } else { "hold" };
            writeln!(text, "{dialect}, {} {verb}", report::count(held.exchanges, "exchange"))
        }
        Some((dialect, held)) => {
            let facts = if held.facts_differ { ", and its facts" } else { "" };
            let count = report::count(held.exchanges, "exchange");
            let verb = if held.differing == 1 { "differs" } else { "differ" };
            writeln!(text, "{dialect}, {} of {count} {verb}{facts}", held.differing)
        }
    };
    text
}

fn as_json(held: &[CheckedContract]) -> String {
    let errors: usize = held.iter().map(|held| held.diagnostics.counts().0).sum();
    let faults: Vec<Value> = held.iter().flat_map(|held| annotations::all(&held.diagnostics)).collect();
    let contracts: Vec<Value> = held
        .iter()
        .map(|held| {
            let mut described = json!({ "file": held.file });
            if let Some((dialect, held)) = &held.result {
                described["dialect"] = dialect.as_str().into();
                described["exchanges"] = held.exchanges.into();
                described["differing"] = held.differing.into();
                described["facts_differ"] = held.facts_differ.into();
            }
            described
        })
        .collect();
    let report = json!({ "errors": errors, "diagnostics": faults, "contracts": contracts });
    format!("{report:#}\n")
}
