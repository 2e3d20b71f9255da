//! The limits of queries, which are enforced before a query is validated or run.
//!
//! A query is checked twice. It is checked as text (`scan`), because the parser follows nesting without a bound. Then
//! it is checked as a parsed document (`measure`), in which a fragment counts as often as it is used. The time for each
//! check is proportional to the length of the text.

use std::collections::HashMap;

use async_graphql::{
    Name, Value, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};

use cursorgate_config::settings::GraphqlSettings;
use cursorgate_translate::downstream::{Code, Problem};

/// The fields of introspection that return lists of the schema's parts. These fields must not be nested in one another,
/// because each level would multiply the answer by the size of the schema.
const INTROSPECTED: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// The largest number of `__schema` and `__type` fields in an operation, counted together. A query with more is
/// refused.
const MOST_INTROSPECTIONS: u64 = 4;

/// Checks the number of tokens in the text of a query, and how deeply its brackets are nested. Strings and comments are
/// recognised as in <https://spec.graphql.org/October2021/#sec-Language.Source-Text>.
///
/// # Errors
///
/// Returns 400 `query_too_complex` if a limit is exceeded, or `query_invalid` for a string without an end.
pub(super) fn scan(text: &str, settings: &GraphqlSettings) -> Result<(), Box<Problem>> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut tokens) = (0, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            // Ignored tokens: whitespace, commas, and the bytes of a byte order mark.
            b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf => {
                at += 1;
                continue;
            }
            // Brackets in comments and strings don't nest. If closing brackets there counted, they could hide the depth
            // of the other brackets. Test: `brackets_in_strings_and_comments_do_not_count_for_the_depth`.
            b'#' => {
                at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' => at = string_end(bytes, at).ok_or_else(|| invalid("a string of the query is not closed"))?,
            b'{' | b'[' | b'(' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            byte if is_of_word(*byte) => at += bytes[at..].iter().take_while(|byte| is_of_word(**byte)).count(),
            _ => at += 1,
        }
        tokens += 1;
        if tokens > settings.tokens {
            return Err(too_complex(&format!("it has more than {} tokens", settings.tokens)));
        }
        if depth > settings.depth {
            return Err(too_deep(settings));
        }
    }
    Ok(())
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+')
}

/// Returns the index after the string or block string that begins at `start`; `None` if the string has no end.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes[start..].starts_with(b"\"\"\"") {
        let mut at = start + 3;
        loop {
            match bytes.get(at)? {
                // An escaped `"""` is part of the string.
                // Test: `brackets_in_strings_and_comments_do_not_count_for_the_depth`.
                b'\\' if bytes[at..].starts_with(b"\\\"\"\"") => at += 4,
                b'"' if bytes[at..].starts_with(b"\"\"\"") => return Some(at + 3),
                _ => at += 1,
            }
        }
    }
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            // The parser doesn't accept a line end in a string. If a string could continue after a line end here, it
            // could hide brackets from this scan. Test: `brackets_in_strings_and_comments_do_not_count_for_the_depth`.
            b'\n' | b'\r' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The cost of a selection, including all fragments that it uses.
#[derive(Clone, Copy, Debug, Default)]
struct QueryCost {
    /// The number of nested levels of fields and fragments.
    depth: usize,
    aliases: u64,
    /// The number of lists that the selection reads.
    lists: u64,
    /// The largest number of values that the answer can contain.
    values: u64,
    /// The number of `__schema` and `__type` fields.
    introspections: u64,
    /// True if a field of [`INTROSPECTED`] is nested in another of these fields.
    circles: bool,
    /// True if the selection contains a field of [`INTROSPECTED`].
    introspects: bool,
}

impl QueryCost {
    fn add(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.lists = self.lists.saturating_add(other.lists);
        self.values = self.values.saturating_add(other.values);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.circles |= other.circles;
        self.introspects |= other.introspects;
    }
}

/// Checks every operation of a document, with all fragments that it uses. Operations that don't run are also checked,
/// because they are validated. `limits` contains the default and the largest number of items for each list, by the
/// list's name.
///
/// # Errors
///
/// Returns 400 `query_too_complex` if a limit is exceeded, or `query_invalid` for a fragment that contains itself.
pub(super) fn measure(
    document: &ExecutableDocument,
    variables: &Variables,
    settings: &GraphqlSettings,
    limits: &HashMap<String, (u32, u32)>,
) -> Result<(), Box<Problem>> {
    for (_, operation) in document.operations.iter() {
        let (operation, left) = (&operation.node, settings.depth);
        let mut meter = Meter { document, variables, operation, limits, fragments: HashMap::new(), left };
        check(meter.selections(&operation.selection_set.node, true)?, settings)?;
    }
    Ok(())
}

fn check(cost: QueryCost, settings: &GraphqlSettings) -> Result<(), Box<Problem>> {
    let GraphqlSettings { depth, aliases, lists, complexity, .. } = settings;
    let exceeds = |count: u64, most: usize| count > u64::try_from(most).unwrap_or(u64::MAX);
    if cost.depth > *depth {
        return Err(too_deep(settings));
    }
    if exceeds(cost.aliases, *aliases) {
        return Err(too_complex(&format!("it has more than {aliases} aliases")));
    }
    if exceeds(cost.lists, *lists) {
        return Err(too_complex(&format!("it reads more than {lists} lists")));
    }
    if cost.circles || cost.introspections > MOST_INTROSPECTIONS {
        return Err(too_complex("it asks for the fields of fields' types: ask for each type once"));
    }
    if cost.values > *complexity {
        let detail =
            format!("its answer could have {} values, and {complexity} are allowed: ask for fewer items", cost.values);
        return Err(too_complex(&detail));
    }
    Ok(())
}

/// The state while one operation is measured.
struct Meter<'d> {
    document: &'d ExecutableDocument,
    variables: &'d Variables,
    operation: &'d OperationDefinition,
    limits: &'d HashMap<String, (u32, u32)>,
    /// The costs of fragments, by name and by whether the fragment's fields are root fields, which read lists. The cost
    /// is `None` while the fragment is measured: a fragment that is met again then contains itself.
    fragments: HashMap<(&'d str, bool), Option<QueryCost>>,
    /// The number of levels by which the current place may still be nested deeper.
    left: usize,
}

impl<'d> Meter<'d> {
    /// Measures a selection. `is_root` is `true` for the fields of the query itself, which are lists.
    fn selections(&mut self, set: &'d SelectionSet, is_root: bool) -> Result<QueryCost, Box<Problem>> {
        let mut sum = QueryCost::default();
        if set.items.is_empty() {
            return Ok(sum);
        }
        // Checked before the recursion, because fragments can nest deeper than the text does.
        // Test: `the_contents_of_fragments_count_at_each_use`.
        self.left = self.left.checked_sub(1).ok_or_else(|| too_complex("it is nested too deeply"))?;
        for selection in &set.items {
            let cost = match &selection.node {
                Selection::Field(field) => self.field(&field.node, is_root)?,
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, is_root)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, is_root)?,
            };
            sum.add(cost);
        }
        self.left += 1;
        sum.depth += 1;
        Ok(sum)
    }

    fn field(&mut self, field: &'d Field, is_root: bool) -> Result<QueryCost, Box<Problem>> {
        let mut cost = self.selections(&field.selection_set.node, false)?;
        let name = field.name.node.as_str();
        let is_introspection = matches!(name, "__schema" | "__type");
        if is_root && !is_introspection {
            // Members of items can have the same names as the fields of introspection, such as `fields`.
            // Test: `introspection_is_limited_in_number_and_depth`.
            (cost.circles, cost.introspects) = (false, false);
        }
        if is_root && !name.starts_with("__") {
            cost.lists = cost.lists.saturating_add(1);
            cost.values = cost.values.saturating_mul(self.items(field, name));
        }
        cost.introspections += u64::from(is_root && is_introspection);
        if INTROSPECTED.contains(&name) {
            cost.circles |= cost.introspects;
            cost.introspects = true;
        }
        cost.values = cost.values.saturating_add(1);
        cost.aliases = cost.aliases.saturating_add(u64::from(field.alias.is_some()));
        Ok(cost)
    }

    fn fragment(&mut self, name: &'d str, is_root: bool) -> Result<QueryCost, Box<Problem>> {
        match self.fragments.get(&(name, is_root)) {
            // A fragment that fits near the top of the query can be too deep at a more deeply nested place.
            // Test: `the_contents_of_fragments_count_at_each_use`.
            Some(Some(known)) if known.depth <= self.left => return Ok(*known),
            Some(Some(_)) => return Err(too_complex("it is nested too deeply")),
            Some(None) => return Err(invalid("a fragment of the query contains itself")),
            None => {}
        }
        // A missing fragment costs nothing here. Validation reports it later.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(QueryCost::default()) };
        self.fragments.insert((name, is_root), None);
        let cost = self.selections(&fragment.node.selection_set.node, is_root)?;
        self.fragments.insert((name, is_root), Some(cost));
        Ok(cost)
    }

    /// Returns the largest number of items that the page of a list can have, which is at most the limit of the list.
    /// The number is the larger of `first` and `last`, which can be variables. Without them it is the default. An
    /// argument that isn't a number counts as the limit.
    fn items(&self, field: &Field, name: &str) -> u64 {
        let (default, most) = self.limits.get(name).copied().unwrap_or((1, 1));
        let of_variable = |name: Name| {
            let mut definitions = self.operation.variable_definitions.iter();
            let given = self.variables.get(&name).or_else(|| {
                let definition = definitions.find(|definition| definition.node.name.node == name)?;
                definition.node.default_value.as_ref().map(|default| &default.node)
            });
            Ok::<_, ()>(given.cloned().unwrap_or_default())
        };
        let numbers = ["first", "last"].into_iter().filter_map(|argument| {
            let written = field.get_argument(argument)?;
            match written.node.clone().into_const_with(of_variable).ok()? {
                // The request for the page leaves out an argument that is null, so only the other argument counts.
                // Test: `the_number_of_items_follows_the_argument_that_is_not_null`.
                Value::Null => None,
                Value::Number(number) => Some(number.as_u64().unwrap_or(u64::MAX)),
                _ => Some(u64::MAX),
            }
        });
        let number = numbers.max().unwrap_or_else(|| u64::from(default));
        // The list refuses a larger number than its limit, so an answer never contains more items.
        // Test: `the_limit_of_values_counts_fields_times_items`.
        number.clamp(1, u64::from(most))
    }
}

fn too_deep(settings: &GraphqlSettings) -> Box<Problem> {
    too_complex(&format!("it is nested deeper than {} levels", settings.depth))
}

fn too_complex(why: &str) -> Box<Problem> {
    Box::new(Problem::new(Code::QueryTooComplex, format!("the query is too large: {why}")))
}

/// Creates the problem `query_invalid` for a query that can't be run.
pub(super) fn invalid(detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Code::QueryInvalid, detail))
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn settings(depth: usize) -> GraphqlSettings {
        GraphqlSettings {
            path: "/graphql".to_owned(),
            introspection: true,
            page: false,
            fields: Vec::new(),
            size: 1 << 16,
            tokens: 60,
            depth,
            aliases: 3,
            lists: 2,
            complexity: 1_000,
            at_once: 1,
            timeout: std::time::Duration::from_secs(1),
            answer_size: 1 << 16,
            persisted_size: 0,
        }
    }

    /// Returns the refusal of a query with a depth limit of 6 as a string; `None` if the query is accepted.
    fn refused(query: &str, variables: &str) -> Option<String> {
        refused_at(6, query, variables)
    }

    fn refused_at(depth: usize, query: &str, variables: &str) -> Option<String> {
        let settings = settings(depth);
        let limits = HashMap::from([("users".to_owned(), (20, 100))]);
        let variables = Variables::from_json(serde_json::from_str(variables).unwrap());
        let checked = scan(query, &settings).and_then(|()| {
            let document = parse_query(query).map_err(|fault| invalid(fault.to_string()))?;
            measure(&document, &variables, &settings, &limits)
        });
        checked.err().map(|problem| format!("{}: {}", problem.code.as_str(), problem.detail))
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count_for_the_depth() {
        let closing = "}".repeat(9);
        let nested = "{a".repeat(7);
        for hidden in [
            format!("query A {{ b(c: \"{closing}\") {nested}"),
            format!("query A {{ b(c: \"\\\"{closing}\") {nested}"),
            format!("query A {{ b(c: \"\"\"{closing}\"\"\") {nested}"),
            format!("query A {{ b(c: \"\"\"\\\"\"\"{closing}\"\"\") {nested}"),
            format!("query A {{ b # {closing}\n {nested}"),
            format!("query A {{ b # {closing}\r {nested}"),
        ] {
            let said = refused(&hidden, "{}").unwrap_or_default();
            assert!(said.starts_with("query_too_complex: the query is too large: it is nested"), "{hidden}: {said}");
        }
        for open in ["{ a(b: \"", "{ a(b: \"\n\") }", "{ a(b: \"\"\" \"\" ", "{ a(b: \"\\"] {
            let said = refused(open, "{}").unwrap_or_default();
            assert!(said.starts_with("query_invalid: a string"), "{open}: {said}");
        }
        assert_eq!(refused("{ users(a: \"}}}{{{{{{{{{{{{{{\") { a } # {{{{{{{{{{\n }", "{}"), None);
        let many = format!("{{ users {{ {} }} }}", "a ".repeat(60));
        assert!(refused(&many, "{}").unwrap_or_default().contains("60 tokens"));
    }

    #[test]
    fn the_contents_of_fragments_count_at_each_use() {
        let query = "{ ...Q ...Q } fragment Q on Query { x: users { y: a ...U } } fragment U on U { z: b }";
        let said = refused(query, "{}").unwrap_or_default();
        assert!(said.contains("more than 3 aliases"), "six: {said}");
        let query = "{ ...Q ... on Query { ...Q } ... { users { a } } } fragment Q on Query { users { a } }";
        assert!(refused(query, "{}").unwrap_or_default().contains("more than 2 lists"));
        assert!(
            refused("{ ...A } fragment A on Query { ... { ...A } }", "{}")
                .unwrap_or_default()
                .contains("contains itself")
        );
        let deep =
            "{ ...A } fragment A on Q { a { ...B } } fragment B on Q { a { ...C } } fragment C on Q { a { a { b } } }";
        assert!(refused(deep, "{}").unwrap_or_default().contains("nested"));
        // A fragment that was measured near the top is used again deeper down.
        let later = "{ a { ...D } b { a { a { a { ...D } } } } } fragment D on Q { a { b } }";
        assert!(refused(later, "{}").unwrap_or_default().contains("nested"));
        let unused = "query A { users { a } } query B { users { a { a { a { a { a { a } } } } } } }";
        assert!(
            refused(unused, "{}").unwrap_or_default().contains("nested"),
            "operations that do not run are validated"
        );
    }

    #[test]
    fn the_limit_of_values_counts_fields_times_items() {
        let nine = "a b c d e f g h i";
        for (arguments, variables, is_refused) in [
            ("", "{}", false),
            ("(first: 100)", "{}", false),
            ("(last: 100, after: \"x\")", "{}", false),
            ("(first: 1000000)", "{}", false),
        ] {
            let query = format!("{{ users{arguments} {{ {nine} }} }}");
            assert_eq!(refused(&query, variables).is_some(), is_refused, "{query}");
        }
        for (arguments, variables, is_refused) in [
            ("(first: 91)", "{}", true),
            ("(first: 90)", "{}", false),
            ("(last: $n)", r#"{"n":91}"#, true),
            ("(last: $n)", r#"{"n":90}"#, false),
            ("(last: $n)", "{}", false),
            ("(last: $m)", "{}", true),
            ("(last: $n)", r#"{"n":"x"}"#, true),
            ("(first: null)", "{}", false),
        ] {
            let query = format!("query($n: Int, $m: Int = 95) {{ users{arguments} {{ {nine} j k }} }}");
            assert_eq!(refused(&query, variables).is_some(), is_refused, "{query} {variables}");
        }
    }

    #[test]
    fn the_number_of_items_follows_the_argument_that_is_not_null() {
        for (arguments, variables, is_refused) in [
            ("(first: null, last: 91)", "{}", true),
            ("(first: null, last: 90)", "{}", false),
            ("(first: 91, last: null)", "{}", true),
            ("(first: $n, last: 91)", "{}", true),
            ("(first: $n, last: 91)", r#"{"n":null}"#, true),
            ("(first: 5, last: 91)", "{}", true),
            ("(first: null, last: null)", "{}", false),
        ] {
            let query = format!("query($n: Int) {{ users{arguments} {{ a b c d e f g h i j k }} }}");
            assert_eq!(refused(&query, variables).is_some(), is_refused, "{query} {variables}");
        }
    }

    #[test]
    fn introspection_is_limited_in_number_and_depth() {
        assert_eq!(refused_at(10, "{ __schema { types { fields { args { type { name } } } } } }", "{}"), None);
        let circle = "{ __schema { types { ...T } } } fragment T on __Type { fields { type { fields { name } } } }";
        assert!(refused_at(10, circle, "{}").unwrap_or_default().contains("fields of fields' types"));
        assert_eq!(refused_at(10, "{ users { fields { fields { a } } } }", "{}"), None, "items may have such members");
        let often: String = (0..3).map(|n| format!("a{n}: __schema {{ queryType {{ name }} }} ")).collect();
        assert_eq!(refused_at(10, &format!("{{ {often} }}"), "{}"), None);
        let more = format!("{{ {often} __type(name: \"A\") {{ name }} __type(name: \"A\") {{ name }} }}");
        assert!(refused_at(10, &more, "{}").is_some());
    }
}
