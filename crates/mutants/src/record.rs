//! The results of all faults: a table in `RESULTS.md`. When a fault is run again, the new result replaces the old one.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::PathBuf};

use crate::fault::Fault;

/// The text of the file before the rows of the table.
const HEAD: &str = "\
# What happened to each planted fault

`make mutants` writes this table. *Noticed by* names the first test that fails with the fault, a unit test of the core \
or a walk of the simulator. *nothing* is followed by the reason why no test fails. *Walks* names the guarantees that break \
in walks with a fault outside the judge (`MUTANT_GUARANTEES=200000 make mutants`). Such a run stops early at 500 broken \
promises of the contract or the cost.

| fault | file | noticed by | walks |
| --- | --- | --- | --- |
";

/// The results by the names of the faults. Each row is the test that noticed the fault, and the guarantees that broke
/// in walks.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    rows: BTreeMap<String, [String; 2]>,
}

impl Record {
    /// Reads the table, which is empty if the file doesn't exist.
    pub(crate) fn read(path: &std::path::Path) -> Result<Self, String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let row = |line: &str| {
            let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
            let [name, _, noticed, walks] = cells[..] else { return None };
            Some((name.strip_suffix('`')?.to_owned(), [noticed.to_owned(), walks.to_owned()]))
        };
        Ok(Self { path: path.to_owned(), rows: text.lines().filter_map(row).collect() })
    }

    /// Returns the names of the faults that have a row.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// Records which test noticed a fault, and writes the table at once: a run of all `faults` takes hours and may be
    /// interrupted.
    pub(crate) fn noticed(&mut self, faults: &[Fault], fault: &Fault, by: &str, test: &str) -> Result<(), String> {
        // A bar in the text would begin another cell of the table.
        self.row(fault)[0] = format!("{by}: {}", test.trim().replace('|', "/"));
        self.write(faults)
    }

    /// Records the guarantees that a fault broke in `walks` walks, and writes the table at once.
    pub(crate) fn walked(&mut self, faults: &[Fault], fault: &Fault, walks: u64, broken: &str) -> Result<(), String> {
        self.row(fault)[1] = format!("{walks}: {}", broken.replace('|', "/"));
        self.write(faults)
    }

    fn row(&mut self, fault: &Fault) -> &mut [String; 2] {
        self.rows.entry(fault.name.clone()).or_insert_with(|| ["–".to_owned(), "–".to_owned()])
    }

    /// Writes the rows of `faults`, in their order. A fault without results has no row.
    fn write(&self, faults: &[Fault]) -> Result<(), String> {
        let row = |fault: &Fault| {
            let [noticed, walks] = self.rows.get(&fault.name)?;
            Some(format!("| `{}` | {} | {noticed} | {walks} |\n", fault.name, fault.file.display()))
        };
        let rows: String = faults.iter().filter_map(row).collect();
        fs::write(&self.path, [HEAD, &rows].concat()).map_err(|error| format!("{}: {error}", self.path.display()))
    }
}
