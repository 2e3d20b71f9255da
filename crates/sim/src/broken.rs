//! Broken cores, lies of dialects and faults of caches: proof that the simulator can fail.
//!
//! Some walk must catch each of these: the walk breaks a promise with the fault, and keeps all promises without it. A
//! lie has no second walk without the fault, because the dialect is untrue throughout. Instead, a walk with the lie
//! must break one of the promises that `Lie::breaks` names.

use std::{fs, path::Path};

use cursorgate_core::pagination::rules::{Rule, without};

use crate::{
    cached::Fault,
    case::{Broken, Case, Family},
    keyed::broken::Lie,
    regression::Regression,
};

/// The number of walks within which each broken core, lie and fault must be caught.
const TRIES: u64 = 10_000;

/// A walk that catches a broken core, a lie or a fault of a cache: its seed, its scenario, and the promise that it
/// breaks.
pub(crate) type Caught = (u64, Case, Broken);

/// Returns the walks that break a promise without a rule of the core, and keep all promises with the rule.
pub(crate) fn caught_without(rule: Rule) -> impl Iterator<Item = Caught> {
    (0..TRIES).filter_map(move |seed| {
        let case = Case::with_rule(seed, rule);
        let broken = breaks_without(rule, &case)?;
        Some((seed, case, broken))
    })
}

/// Returns the walks in which a lie makes the core break a promise of [`Lie::breaks`].
pub(crate) fn caught_lie(lie: Lie) -> impl Iterator<Item = Caught> {
    (0..TRIES).filter_map(move |seed| {
        let case = Case::with_lie(seed, lie);
        let broken = breaks_by(lie, &case)?;
        Some((seed, case, broken))
    })
}

/// Returns the walks that break a promise with a fault of the cache, and keep all promises without the fault.
pub(crate) fn caught_fault(fault: Fault) -> impl Iterator<Item = Caught> {
    (0..TRIES).filter_map(move |seed| {
        let case = Case::with_fault(seed, fault);
        let broken = case.walk(false).violation?;
        // The same seed is also walked without the fault. Otherwise a fault of the core would be taken for the planted
        // fault.
        let sound = Case::from_seed(Family::Cached, seed).walk(false).violation.is_none();
        sound.then_some((seed, case, broken))
    })
}

/// Returns the promise that a walk breaks without a rule, if the walk keeps all promises with the rule.
fn breaks_without(rule: Rule, case: &Case) -> Option<Broken> {
    let broken = without(rule, || case.walk(false).violation)?;
    case.walk(false).violation.is_none().then_some(broken)
}

/// Returns the promise that a walk with a lie breaks, if it is one of [`Lie::breaks`].
fn breaks_by(lie: Lie, case: &Case) -> Option<Broken> {
    case.walk(false).violation.filter(|broken| lie.breaks().contains(&broken.promise.as_str()))
}

/// The number of walks that are shrunk; the smallest scenario is written.
const SHRUNK: usize = 10;

/// Returns whether each rule, each lie and each fault of a cache is caught. Prints the first walk that catches each of
/// them, and writes a shrunk scenario of each to the folder `write`; with `None`, writes nothing.
pub(crate) fn all_are_caught(write: Option<&Path>) -> bool {
    let rules = Rule::ALL
        .map(|rule| is_caught(&format!("{rule:?}"), ("without", Some(rule)), shows(rule), caught_without(rule), write));
    let lies = Lie::ALL.map(|lie| is_caught(&format!("{lie:?}"), ("lie", None), lies(lie), caught_lie(lie), write));
    let faults = Fault::ALL
        .map(|fault| is_caught(&format!("{fault:?}"), ("cache", None), faults(fault), caught_fault(fault), write));
    rules.into_iter().chain(lies).chain(faults).all(|caught| caught)
}

fn is_caught(
    name: &str,
    (kind, rule): (&str, Option<Rule>),
    shows: &str,
    caught: impl Iterator<Item = Caught>,
    write: Option<&Path>,
) -> bool {
    let mut caught = caught.peekable();
    let Some((seed, _, Broken { promise, what })) = caught.peek() else {
        println!("{name}: not caught within {TRIES} walks");
        return false;
    };
    println!("{name}: caught by walk {seed}: {promise}: {what}");
    let Some(folder) = write else { return true };
    let smallest =
        caught.take(SHRUNK).map(|(_, case, broken)| shrunk(rule, shows, &case, &broken)).min_by_key(String::len);
    let path = folder.join(file_name(kind, name));
    match fs::create_dir_all(folder).and_then(|()| fs::write(&path, smallest.unwrap_or_default())) {
        Ok(()) => true,
        Err(error) => {
            println!("{}: {error}", path.display());
            false
        }
    }
}

/// Returns the name of a file: `without-counts-only-aim.txt`, `lie-short-is-end.txt`, or `cache-place-left-out.txt`.
fn file_name(kind: &str, name: &str) -> String {
    let mut text = String::from(kind);
    for letter in name.chars() {
        if letter.is_uppercase() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text + ".txt"
}

/// Returns the description of a scenario that catches a core without this rule.
fn shows(rule: Rule) -> &'static str {
    match rule {
        Rule::CountsOnlyAim => {
            "A total, or a flag that is computed from one, that is older than the slice ends a list too early."
        }
        Rule::StatusesOnlyAim => "A past-the-end status that the upstream gives for no reason ends a list too early.",
        Rule::ShortProvesNothing => "An answer that a silent cap cut ends a list too early.",
        Rule::KeysDecide => "The anchor's row has other keys by now: its id is found where the page does not begin.",
        Rule::RunsAreClosed => {
            "Rows of equal keys come in another order with each query: a run that an answer cuts loses rows."
        }
        Rule::SeamsAreProven => "A page that is made of two answers loses the rows between them when the list changes.",
        Rule::FiltersAreProven => "A filter compares values more finely than they are shown, and leaves rows out.",
        Rule::PivotsAreKnownAgain => {
            "The item that a cursor names was changed: its present keys are not at the client's place."
        }
        Rule::MarksAreChained => "A row that a cursor marks was moved: the page begins where that row is now.",
        Rule::LoopsBeginAnew => "A client goes back over the same tokens: that is not a circle.",
    }
}

/// Returns the description of a scenario that catches a lie.
fn lies(lie: Lie) -> &'static str {
    match lie {
        Lie::ShortIsEnd => "The dialect says that every size is honoured, and a silent cap cuts the answers.",
        Lie::CountIsEnd => "The dialect says that the flag comes from the slice, and it comes from a count.",
        Lie::StatusIsEnd => "The dialect says that a status means the end, and the upstream gives it for no reason.",
        Lie::TiesAreOrdered => "The order says that ties are sorted by id, and each query shuffles them.",
        Lie::CapShrinks => "The upstream honours a size once, and not later.",
        Lie::HidesRows => "The dialect says that short answers are ends, and rows are hidden after the limit.",
        Lie::BoundIsTotal => "The dialect says that the total is exact, and it is a lower bound.",
        Lie::FiltersCompareText => "The list is sorted by a number, and the filter compares it as text.",
    }
}

/// Returns the description of a scenario that catches a fault of a cache.
fn faults(fault: Fault) -> &'static str {
    match fault {
        Fault::PlaceLeftOut => "The cache's key lacks the cursor: the page of another place is served.",
        Fault::LimitLeftOut => "The cache's key lacks the limit: a page of another size is served.",
        Fault::FilterLeftOut => "The cache's key lacks the filter: a page of another filter is served.",
        Fault::DirectionLeftOut => {
            "The cache's key lacks the direction: the page after an item is served as that before it."
        }
        Fault::WritesForgotten => "A write drops nothing: the client that wrote gets a page from before the write.",
        Fault::KeptAmidAWrite => "A page is kept that was being made while a write passed.",
        Fault::AgeRenewed => "A page is as old as the last request for it: it is served for ever.",
    }
}

/// Shrinks a scenario as long as the same fault breaks the same promise, and returns the text of the smallest one.
fn shrunk(rule: Option<Rule>, shows: &str, case: &Case, broken: &Broken) -> String {
    let breaks = |case: &Case| match rule {
        Some(rule) => breaks_without(rule, case),
        None => case.walk(false).violation,
    };
    let case = case.shrunk(|case| breaks(case).is_some_and(|found| found.promise == broken.promise));
    let what = breaks(&case).map(|broken| broken.what).unwrap_or_default();
    Regression { without: rule, breaks: Some(broken.promise.clone()), case }.write(&format!("{shows}\n{what}"))
}
