//! Scenarios in files: `regressions/` has scenarios that failed once, and scenarios that fail without a rule of the
//! core.
//!
//! ```text
//! # A comment on the fault that the scenario shows.
//! without RULE            optional: the scenario keeps its promises, and breaks one if this rule is switched off
//! breaks PROMISE          optional: the promise that is broken then; without a RULE, the scenario is a lie
//! FAMILY { … }            the scenario, in the form of `text`
//! ```
//!
//! A scenario with neither line failed once, and must keep its promises. A lie must break its promise.

use std::{fs, path::Path};

use cursorgate_core::pagination::rules::{Rule, without};

use crate::{
    case::{Broken, Case, Ended},
    text::{Page, Text, Words},
};

/// A scenario with its expected result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Regression {
    pub(crate) without: Option<Rule>,
    pub(crate) breaks: Option<String>,
    pub(crate) case: Case,
}

impl Regression {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut words = Words::new(text);
        let without = words.take("without").then(|| Rule::read(&mut words)).transpose()?;
        let breaks = words.take("breaks").then(|| words.line());
        let case = Case::read(&mut words)?;
        match words.peek() {
            Some(_) => Err(words.fault(&["the end"])),
            None => Ok(Self { without, breaks, case }),
        }
    }

    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::read(&text).map_err(|fault| format!("{}: {fault}", path.display()))
    }

    /// Returns the file's text, with a comment at its top.
    pub(crate) fn write(&self, comment: &str) -> String {
        let mut page = Page::default();
        if let Some(rule) = self.without {
            page.line(|page| {
                page.word("without");
                rule.write(page);
            });
        }
        if let Some(promise) = &self.breaks {
            page.line(|page| {
                page.word("breaks");
                page.word(promise);
            });
        }
        page.line(|page| self.case.write(page));
        let comment: String = comment.lines().map(|line| format!("# {line}\n")).collect();
        format!("{comment}{}", page.render())
    }

    /// Walks with the whole core.
    pub(crate) fn walk(&self, telling: bool) -> Ended {
        self.case.walk(telling)
    }

    /// Walks without the rule that the file names, if it names one.
    pub(crate) fn walk_without(&self, telling: bool) -> Ended {
        match self.without {
            Some(rule) => without(rule, || self.walk(telling)),
            None => self.walk(telling),
        }
    }

    /// Returns the difference from the expected result; `None` if the result is as expected.
    pub(crate) fn fault(&self) -> Option<String> {
        let told = |broken: Broken| format!("breaks {}: {}", broken.promise, broken.what);
        let is_lie = self.without.is_none() && self.breaks.is_some();
        // A lie breaks its promise with the whole core: no rule is switched off for it.
        let whole = self.walk(false).violation.filter(|_| !is_lie);
        if whole.is_some() {
            return whole.map(told);
        }
        if self.without.is_none() && !is_lie {
            return None;
        }
        match (self.walk_without(false).violation, &self.breaks) {
            (None, _) => Some(
                "breaks no promise, though it must: if the core's requests have changed, find another scenario with \
                 `cargo sim broken --write crates/sim/regressions`"
                    .to_owned(),
            ),
            (Some(broken), Some(promise)) if broken.promise != *promise => Some(told(broken)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{case::Family, keyed::broken::Lie, text};

    /// Each scenario failed once, or shows what a rule of the core is for.
    #[test]
    fn regressions_have_their_expected_results() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = files.collect();
        files.sort();
        let faults: Vec<String> = files
            .iter()
            .filter_map(|path| {
                let fault = Regression::open(path).unwrap().fault()?;
                Some(format!("{}: {fault}", path.display()))
            })
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(files.len() >= 12, "{} files", files.len());
    }

    /// Each file begins with a comment on the fault that it shows.
    #[test]
    fn each_regression_begins_with_a_comment() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# ") && text.lines().next().unwrap().len() > 20, "{}", path.display());
        }
    }

    #[test]
    fn scenarios_are_read_as_they_were_written() {
        let same = |case: &Case| {
            let text = text::write(case);
            let read: Result<Case, String> = text::read(&text);
            assert_eq!(read.as_ref(), Ok(case), "{text}");
        };
        for family in Family::ALL {
            (0..3_000).for_each(|seed| same(&Case::from_seed(family, seed)));
        }
        for seed in 0..300 {
            Lie::ALL.into_iter().for_each(|lie| same(&Case::with_lie(seed, lie)));
            Rule::ALL.into_iter().for_each(|rule| same(&Case::with_rule(seed, rule)));
        }
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let case = Case::with_rule(1, Rule::KeysDecide);
        let breaks = Some("G1 none skipped".to_owned());
        let regression = Regression { without: Some(Rule::KeysDecide), breaks, case };
        assert_eq!(Regression::read(&regression.write("Why.\nAnd when.")), Ok(regression));
    }
}
