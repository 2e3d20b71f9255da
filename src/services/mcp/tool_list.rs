//! The data of a list that its tools need, and the names of the arguments that all tools share.

use crate::{
    gateway::{Snapshot, lifecycle::snapshot::DescribedList, openapi::ParameterKind},
    services::list::ArgumentNames,
};

/// The longest name of an argument that is derived from a parameter, in characters.
const LONGEST_ARGUMENT: usize = 60;

/// The arguments that are not parts of a list's path or filters.
pub(super) const LIMIT: &str = "limit";
pub(super) const CURSOR: &str = "cursor";
pub(super) const SORT: &str = "sort";
pub(super) const FORMAT: &str = "format";
pub(super) const COMPRESSION: &str = "compression";
pub(super) const COLUMNS: &str = "columns";
pub(super) const EXPORT: &str = "export";

/// The names that no parameter of a list has as an argument, also where a tool does not use them, so that a parameter
/// has one name in all tools.
const TAKEN: [&str; 7] = [LIMIT, CURSOR, SORT, FORMAT, COMPRESSION, COLUMNS, EXPORT];

/// A value for parameters of a path, with which the route of a list is looked up.
const SAMPLE: &str = "sample";

/// A list as its tools read it.
#[derive(Debug)]
pub(super) struct ToolList {
    pub(super) route: String,
    /// The path as the configuration has it, with parameters such as `{id}`.
    pub(super) path: String,
    pub(super) arguments: ArgumentNames,
    /// The kinds of the filters' values, in the order of the filters.
    pub(super) kinds: Vec<Option<ParameterKind>>,
    /// The terms of sorts; empty if the list has one order.
    pub(super) terms: Vec<String>,
    /// The parameter of the list that sorts, with which exports are requested.
    pub(super) sort_parameter: Option<String>,
    /// The number of items without a `limit`, and the largest `limit`.
    pub(super) limits: (u32, u32),
}

impl ToolList {
    /// Creates the data of a list whose tools return at most `items` items.
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

    /// Returns whether a host serves the list.
    pub(super) fn is_served(&self, snapshot: &Snapshot, host: Option<&str>) -> bool {
        let path = self.arguments.fill(&self.path, |_| SAMPLE.to_owned());
        snapshot.table.find(host, &path).is_some_and(|found| found.route.name == self.route)
    }
}

/// Returns the name of an argument for a parameter. Characters other than letters, digits, `_`, `-` and `.`, which some
/// models refuse, become `_`.
fn argument_name(parameter: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let name = parameter.chars().map(|character| if taken(character) { character } else { '_' });
    let name: String = name.take(LONGEST_ARGUMENT).collect();
    // `score[gte]` becomes `score_gte`; an underscore of the parameter itself stays.
    let name = if parameter.ends_with(taken) { &name } else { name.trim_end_matches('_') };
    if name.is_empty() { "parameter".to_owned() } else { name.to_owned() }
}
