//! A list as its tools ask for it, and the names of the arguments that all tools share.

use crate::{
    gateway::{Snapshot, lifecycle::snapshot::DescribedList, openapi::ParameterKind},
    services::list::ArgumentNames,
};

/// The longest name of an argument that is made of that of a parameter.
const LONGEST_ARGUMENT: usize = 60;

/// The arguments that are not those of a list's path or filters.
pub(super) const LIMIT: &str = "limit";
pub(super) const CURSOR: &str = "cursor";
pub(super) const SORT: &str = "sort";
pub(super) const FORMAT: &str = "format";
pub(super) const COMPRESSION: &str = "compression";
pub(super) const COLUMNS: &str = "columns";
pub(super) const EXPORT: &str = "export";

/// Parameters of lists have the same names in all tools.
const TAKEN: [&str; 7] = [LIMIT, CURSOR, SORT, FORMAT, COMPRESSION, COLUMNS, EXPORT];

/// A value of a path's parameter, to see whether the list is served under a host.
const SAMPLE: &str = "sample";

/// A list as its tools ask for it.
#[derive(Debug)]
pub(super) struct ToolList {
    pub(super) route: String,
    /// The path as the configuration has it.
    pub(super) path: String,
    pub(super) arguments: ArgumentNames,
    /// The kinds of the filters' values, in the order of the filters.
    pub(super) kinds: Vec<Option<ParameterKind>>,
    /// The terms of sorts; empty if the list has one order.
    pub(super) terms: Vec<String>,
    /// The parameter by which exports are sorted.
    pub(super) sort_parameter: Option<String>,
    /// The number of items without a limit, and the largest one.
    pub(super) limits: (u32, u32),
}

impl ToolList {
    /// Returns a list whose tools give at most so many items.
    pub(super) fn of(list: &DescribedList, items: u32) -> Self {
        let (default, most) = list.limits;
        Self {
            route: list.route.clone(),
            path: list.path.clone(),
            arguments: ArgumentNames::of(list, &TAKEN, argument_name),
            kinds: list.filters.iter().map(|filter| filter.kind).collect(),
            terms: list.sortable.iter().flat_map(|field| [field.clone(), format!("-{field}")]).collect(),
            sort_parameter: list.sort_parameter.clone(),
            limits: (default.min(items), most.min(items)),
        }
    }

    /// Returns whether the list is served under a host.
    pub(super) fn is_served(&self, snapshot: &Snapshot, host: Option<&str>) -> bool {
        let path = self.arguments.fill(&self.path, |_| SAMPLE.to_owned());
        snapshot.table.find(host, &path).is_some_and(|found| found.route.name == self.route)
    }
}

/// Returns the name of an argument, of characters that all models take: others than letters, digits, `_`, `-` and `.`
/// become `_`.
fn argument_name(parameter: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let name = parameter.chars().map(|character| if taken(character) { character } else { '_' });
    let name: String = name.take(LONGEST_ARGUMENT).collect();
    let name = if parameter.ends_with(taken) { &name } else { name.trim_end_matches('_') };
    if name.is_empty() { "parameter".to_owned() } else { name.to_owned() }
}
