//! The list of faults, which are read from TOML files. A fault replaces a text of the core with another text.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

/// A fault that can be planted in the core.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The unique name, of letters, digits and underscores.
    pub(crate) name: String,
    /// The path of the file, relative to `crates/core/src/pagination`.
    pub(crate) file: PathBuf,
    /// The text that is replaced. It must occur exactly once in the file.
    pub(crate) before: String,
    /// The text that replaces `before`.
    pub(crate) after: String,
    pub(crate) expected: Expected,
    /// The reason why a fault outside the judge may break a guarantee nevertheless; `None` if it must not.
    pub(crate) breaks: Option<String>,
}

/// The files and folders on which the guarantees rest: the judge, and the comparison of items.
const JUDGE: [&str; 10] = [
    "judge",
    "answer.rs",
    "rows.rs",
    "rows",
    "key.rs",
    "order.rs",
    "position.rs",
    "fingerprint.rs",
    "decimal.rs",
    "grain.rs",
];

/// The expected result of the tests when a fault is planted.
#[derive(Debug)]
pub(crate) enum Expected {
    /// At least one test must fail.
    Caught,
    /// No test can notice the fault, because the core's behaviour stays the same. The text is the reason.
    Equivalent(String),
    /// Tests needn't notice the fault, because it only costs requests or refusals. The text is the reason.
    Cost(String),
}

impl Fault {
    /// Returns whether the guarantees depend on the file of the fault.
    pub(crate) fn is_of_the_judge(&self) -> bool {
        JUDGE.iter().any(|part| self.file.starts_with(part))
    }

    /// Replaces `before` with `after` in `text`, which is the content of the fault's file. Returns an error message
    /// unless `before` occurs exactly once.
    pub(crate) fn plant(&self, text: &str) -> Result<String, String> {
        // If the text occurred twice, two faults would be planted. Test: `every_fault_names_one_place_of_the_core`.
        match text.matches(&self.before).count() {
            1 => Ok(text.replacen(&self.before, &self.after, 1)),
            0 => Err(format!("{}: its text no longer stands in {}", self.name, self.file.display())),
            many => Err(format!("{}: its text stands {many} times in {}", self.name, self.file.display())),
        }
    }

    fn read(table: &DeTable<'_>) -> Result<Self, String> {
        let text = |key: &str| match table.get(key).map(toml::Spanned::get_ref) {
            Some(DeValue::String(text)) => Some(text.to_string()),
            _ => None,
        };
        let name = text("name").ok_or("a fault has no name")?;
        let needed = |key: &str| text(key).ok_or_else(|| format!("{name}: `{key}` is missing"));
        let expected = match text("expect").as_deref() {
            None | Some("caught") => Expected::Caught,
            Some("equivalent") => Expected::Equivalent(needed("why")?),
            Some("cost") => Expected::Cost(needed("why")?),
            Some(other) => return Err(format!("{name}: `expect` is caught, equivalent or cost, not {other}")),
        };
        let (file, before, after) = (needed("file")?.into(), needed("before")?, needed("after")?);
        Ok(Self { name, file, before, after, expected, breaks: text("breaks") })
    }
}

/// Reads the faults of all TOML files in a folder. The files are read in the order of their names.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Fault>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    // `read_dir` returns files in any order, but the rows of RESULTS.md must keep the same order in each run.
    files.sort();
    let mut faults = Vec::new();
    for file in files {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = fs::read_to_string(&file).map_err(|error| said(&error))?;
        let table = DeTable::parse(&text).map_err(|error| said(&error))?;
        let Some(DeValue::Array(rows)) = table.get_ref().get("fault").map(toml::Spanned::get_ref) else {
            return Err(said(&"it has no [[fault]]"));
        };
        for row in rows.iter() {
            let DeValue::Table(row) = row.get_ref() else { return Err(said(&"[[fault]] is a table")) };
            faults.push(Fault::read(row).map_err(|error| said(&error))?);
        }
    }
    Ok(faults)
}

/// Checks that each fault has a unique name and can be planted in `core`. The error lists all faults for which that
/// isn't true.
pub(crate) fn check(faults: &[Fault], core: &Path) -> Result<(), String> {
    let (mut said, mut names) = (Vec::new(), BTreeSet::new());
    for fault in faults {
        if !names.insert(&fault.name) {
            said.push(format!("{}: two faults have this name", fault.name));
        }
        let path = core.join(&fault.file);
        match fs::read_to_string(&path) {
            Ok(text) => said.extend(fault.plant(&text).err()),
            Err(error) => said.push(format!("{}: {}: {error}", fault.name, path.display())),
        }
    }
    if said.is_empty() { Ok(()) } else { Err(said.join("\n")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a repository that can't be read is a failed test")]

    use super::*;

    /// The text of every fault occurs exactly once in its file. If a line of the core changes, its fault must be
    /// changed too.
    #[test]
    fn every_fault_names_one_place_of_the_core() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let faults = read_all(&here.join("faults")).unwrap();
        let of_the_judge = faults.iter().filter(|fault| fault.is_of_the_judge()).count();
        assert!(of_the_judge >= 40 && faults.len() - of_the_judge >= 40, "{of_the_judge} of {}", faults.len());
        check(&faults, &here.join("../core/src/pagination")).unwrap();
    }

    /// Every row of RESULTS.md belongs to a fault in the list. If a fault is removed, its row must be removed too.
    #[test]
    fn every_result_is_of_a_fault() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let faults = read_all(&here.join("faults")).unwrap();
        let record = crate::record::Record::read(&here.join("RESULTS.md")).unwrap();
        let gone: Vec<&str> = record.names().filter(|name| faults.iter().all(|fault| fault.name != *name)).collect();
        assert!(gone.is_empty(), "strike these off: {gone:?}");
    }
}
