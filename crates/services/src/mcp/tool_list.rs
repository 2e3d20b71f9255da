//! The data of a list that its tools need, and the argument names that are the same in all tools.

use crate::list::ArgumentNames;
use cursorgate_gateway::{Snapshot, lifecycle::snapshot::DescribedList, openapi::ParameterKind};

/// The largest number of characters in the name of an argument that is derived from a parameter. The rest of a longer
/// name is cut off.
const LONGEST_ARGUMENT: usize = 60;

/// The name of the argument for the number of items. This argument and the following ones belong to the tools, not to a
/// list's path or filters.
pub(super) const LIMIT: &str = "limit";
pub(super) const CURSOR: &str = "cursor";
pub(super) const SORT: &str = "sort";
pub(super) const FORMAT: &str = "format";
pub(super) const COMPRESSION: &str = "compression";
pub(super) const COLUMNS: &str = "columns";
pub(super) const EXPORT: &str = "export";

/// The names that arguments for a list's parameters can't have. Tools that don't use a name reserve it nevertheless, so
/// a parameter has the same name in all tools.
const TAKEN: [&str; 7] = [LIMIT, CURSOR, SORT, FORMAT, COMPRESSION, COLUMNS, EXPORT];

/// A value for the parameters in a list's path, to look up the route of the list.
const SAMPLE: &str = "sample";

/// The data of a list that its tools need.
#[derive(Debug)]
pub(super) struct ToolList {
    pub(super) route: String,
    /// The path from the configuration, with parameters such as `{id}`.
    pub(super) path: String,
    pub(super) arguments: ArgumentNames,
    /// The types of the filters' values, in the order of the filters; `None` if a type is unknown.
    pub(super) kinds: Vec<Option<ParameterKind>>,
    /// The terms that a sort can have, such as `name` and `-name`; empty if the list has only one order.
    pub(super) terms: Vec<String>,
    /// The sort parameter of the list, which requests for exports use; `None` if the list has none.
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

    /// Returns whether requests with this host reach the list.
    pub(super) fn is_served(&self, snapshot: &Snapshot, host: Option<&str>) -> bool {
        let path = self.arguments.fill(&self.path, |_| SAMPLE.to_owned());
        snapshot.table.find(host, &path).is_some_and(|found| found.route.name == self.route)
    }
}

/// Returns the name of the argument for a parameter. Some models accept only ASCII letters, digits, `_`, `-` and `.` in
/// names, so every other character becomes `_`.
fn argument_name(parameter: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let name = parameter.chars().map(|character| if taken(character) { character } else { '_' });
    let name: String = name.take(LONGEST_ARGUMENT).collect();
    // `score[gte]` becomes `score_gte`. An underscore at the end of the parameter itself stays.
    let name = if parameter.ends_with(taken) { &name } else { name.trim_end_matches('_') };
    if name.is_empty() { "parameter".to_owned() } else { name.to_owned() }
}
