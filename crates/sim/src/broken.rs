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
        .map(|rule| is_caught(&format!("{rule:?}"), "without", Some(rule), shows(rule), caught_without(rule), write));
    let lies = Lie::ALL.map(|lie| is_caught(&format!("{lie:?}"), "lie", None, lies(lie), caught_lie(lie), write));
    let faults = Fault::ALL
        .map(|fault| is_caught(&format!("{fault:?}"), "cache", None, faults(fault), caught_fault(fault), write));
    rules.into_iter().chain(lies).chain(faults).all(|caught| caught)
}

fn is_caught(
    name: &str,
    kind: &str,
    rule: Option<Rule>,
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
            "A total, or a flag that is computed from a count, may be older than its slice. Without the rule, it ends the list too\n\
                early. With the rule, it never ends a list."
        }
        Rule::StatusesOnlyAim => {
            "The upstream sometimes gives its past-the-end status falsely. Without the rule, the status ends the list, and an empty\n\
                page is `exact`. With the rule, the status never ends a list."
        }
        Rule::ShortProvesNothing => {
            "An undeclared cap cuts an answer short. Without the rule, the short answer ends the list too early. With the rule, it\n\
                ends the list only below an honoured size, or if the dialect vouches for short answers."
        }
        Rule::KeysDecide => {
            "The anchor's row has changed its keys since the cursor was made. Without the rule, the page begins after the row with\n\
                the anchor's id, at its new place, and skips rows. With the rule, the anchor's old keys decide the place."
        }
        Rule::RunsAreClosed => {
            "Rows with equal keys come in another order with each query, and an answer cuts such a run. Without the rule, the page\n\
                takes items from the cut run, and rows of the run are skipped. With the rule, only whole runs are used."
        }
        Rule::SeamsAreProven => {
            "A page is made of two answers, and the list changes between them. Without the rule, the second answer is continued at\n\
                the expected offset, and rows between the two answers are lost. With the rule, it must show the last item already\n\
                taken."
        }
        Rule::FiltersAreProven => {
            "A filter compares stored values, which have more digits than the shown ones. Without the rule, the core filters by the\n\
                shown value of the anchor and skips rows that look equal to it. With the rule, the filter is widened to include them."
        }
        Rule::PivotsAreKnownAgain => {
            "The cursor names only the id of an item, and the item's keys have changed since its page was served. Without the rule,\n\
                the page begins at the place of the new keys, and skips rows. With the rule, the new keys are not used."
        }
        Rule::MarksAreChained => {
            "A row that the cursor marks was moved. Without the rule, the page begins at the new place of that row, and skips rows.\n\
                With the rule, the longest chain of marks decides the place."
        }
        Rule::LoopsBeginAnew => {
            "A client walks forward and then back over the same tokens, which is not a circle. Without the rule, the page on the\n\
                way back is refused as stuck in a circle of tokens."
        }
    }
}

/// Returns the description of a scenario that catches a lie.
fn lies(lie: Lie) -> &'static str {
    match lie {
        Lie::ShortIsEnd => {
            "The dialect declares that every size is honoured, but a cap cuts the answers. An answer that is short because of the\n\
                cap ends the list."
        }
        Lie::CountIsEnd => {
            "The dialect declares that the flag for further items comes from the slice, but it comes from a count. The count is\n\
                older than the slice, so the flag ends the list too early."
        }
        Lie::StatusIsEnd => {
            "The dialect declares that a status means the end of the list, but the upstream sometimes gives this status elsewhere.\n\
                The status ends the list too early."
        }
        Lie::TiesAreOrdered => {
            "The order declares that ties are sorted by id, but each query shuffles them. An answer that cuts a run of ties shows\n\
                other rows of the run than the answer before, and a row is skipped."
        }
        Lie::CapShrinks => {
            "The upstream honours a size in its first answers, and cuts later answers to fewer rows. Such an answer is taken for\n\
                the end of the list."
        }
        Lie::HidesRows => {
            "The dialect declares that a short answer is the end of the list, but rows are hidden after the limit. An answer that\n\
                is short because of a hidden row ends the list."
        }
        Lie::BoundIsTotal => {
            "The dialect declares that the total is exact, but it is a lower bound. A page reports it as an exact total."
        }
        Lie::FiltersCompareText => {
            "The list is sorted by a number, but the filter compares it as text. Rows that the filter leaves out are skipped."
        }
    }
}

/// Returns the description of a scenario that catches a fault of a cache.
fn faults(fault: Fault) -> &'static str {
    match fault {
        Fault::PlaceLeftOut => {
            "The cache's key lacks the position. A client that requests the second page gets the first page again."
        }
        Fault::LimitLeftOut => {
            "The cache's key lacks the limit. A client that requests a page of one item gets a page of two items."
        }
        Fault::FilterLeftOut => {
            "The cache's key lacks the filter. A client of a filtered list gets a page of the whole list."
        }
        Fault::DirectionLeftOut => {
            "The cache's key lacks the direction. A client that requests the page before an item gets the page after it."
        }
        Fault::WritesForgotten => {
            "A write drops no cached page. The client that wrote gets a page from before its own write."
        }
        Fault::KeptAmidAWrite => {
            "A write changes the list while a page is being made. The page is cached although it shows the state before the write."
        }
        Fault::AgeRenewed => {
            "Each request for a cached page resets the age of the page, so the page is served for ever."
        }
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
