//! The grammars in which clients write an order:
//!
//! - `-created_at,+email`;
//! - `desc(created_at),asc(email)`;
//! - `created_at.desc,email.asc`;
//! - `created_at desc,email` (AIP-132, `OData`);
//! - fields and directions in two parameters, `sort_by=created_at,email` and `order_by=desc,asc`;
//! - the upstream's own parameters, as its dialect writes them.
//!
//! All of these are read as the same terms: fields, each with its direction.

use crate::downstream::problem::{Code, Problem, shown};
use cursorgate_config::{
    settings::SortTerm,
    sort_form::{SortForm, SortWords},
};
use cursorgate_core::pagination::order::Direction;

/// The order that a client's sort describes: the strong keys, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSort {
    pub strong: Vec<SortTerm>,
    /// The direction of the id, which follows the strong keys.
    pub id_direction: Direction,
}

/// Parses a decoded sort: fields of `sortable`, separated by commas, each with its direction in any of the grammars.
/// The default is ascending. A leading space counts as `+`, because a raw `+` in a query decodes to a space.
///
/// # Errors
///
/// Returns `sort_invalid`, with the allowed fields.
pub fn parse(written: &str, parameter: &str, sortable: &[String]) -> Result<ClientSort, Box<Problem>> {
    let terms = written.split(',').map(|term| read_term(term, sortable));
    settle(terms, parameter, sortable)
}

/// Two parameters that set an order together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortPair {
    /// The parameter with the fields.
    pub fields: &'static str,
    /// The parameter with the directions: one for each field, or one for all.
    pub directions: &'static str,
}

/// Parses the values of a pair: fields, and a direction for each field, or one for all.
///
/// # Errors
///
/// Returns `sort_invalid`, with the allowed fields.
pub fn parse_pair(
    pair: SortPair,
    fields: &str,
    directions: &str,
    sortable: &[String],
) -> Result<ClientSort, Box<Problem>> {
    let (fields_name, directions_name) = (pair.fields, pair.directions);
    let refuse = |detail: String| Err(invalid(&detail, directions_name, sortable));
    let fields: Vec<&str> = fields.split(',').map(str::trim).collect();
    // More fields than are sortable are refused, however many a client sends, so room for one more is enough.
    let mut read = Vec::with_capacity(fields.len().min(sortable.len() + 1));
    for word in directions.split(',') {
        match direction(word.trim()) {
            Some(direction) => read.push(direction),
            None => {
                return refuse(format!("`{directions_name}` is `{}`: write `asc` or `desc`", shown(directions)));
            }
        }
    }
    let all = match read.as_slice() {
        [one] => Some(*one),
        each if each.len() == fields.len() => None,
        each => {
            let (fields, directions) = (fields.len(), each.len());
            return refuse(format!(
                "`{fields_name}` names {fields} fields and `{directions_name}` {directions} directions: give one for \
                 each, or one for all"
            ));
        }
    };
    let directions = read.iter().copied().chain(std::iter::repeat(Direction::Ascending));
    let terms = fields.into_iter().zip(directions).map(|(field, own)| (field, all.unwrap_or(own)));
    settle(terms, fields_name, sortable)
}

/// Reads the upstream's own sort parameters, as decoded names and values in the order of the request. Returns `None` if
/// the dialect wouldn't write these parameters.
pub fn read_back(form: &SortForm, pairs: &[(&str, &str)]) -> Option<Vec<SortTerm>> {
    match &form.join {
        Some(join) => read_joined(&form.keys, join, pairs),
        None => read_repeated(&form.keys, pairs),
    }
}

/// Checks terms that were read back against the route's fields.
///
/// # Errors
///
/// Returns `sort_invalid`, with the allowed fields.
pub fn settle_terms(terms: &[SortTerm], parameter: &str, sortable: &[String]) -> Result<ClientSort, Box<Problem>> {
    settle(terms.iter().map(|term| (term.field.as_str(), term.direction)), parameter, sortable)
}

/// Returns `sort_invalid` with the allowed fields in its detail and as a list.
pub fn invalid(detail: &str, parameter: &str, sortable: &[String]) -> Box<Problem> {
    let detail = if sortable.is_empty() {
        format!("{detail}; the list has one order only")
    } else {
        format!("{detail}; fields are {}, with `-` before a field for descending", sortable.join(", "))
    };
    let mut problem = Problem::new(Code::SortInvalid, detail).with_parameter(parameter);
    problem.allowed = sortable.to_vec();
    Box::new(problem)
}

/// Parses a term into its field and direction. A term that equals the name of a field is that field, ascending.
fn read_term<'t>(term: &'t str, sortable: &[String]) -> (&'t str, Direction) {
    let term = term.trim_start_matches(' ');
    // A field may look like a term with a direction, as `a(b)` or `x y`, so the names of fields are compared first.
    // Test: `a_name_that_equals_a_field_is_read_as_the_field`.
    if sortable.iter().any(|field| field == term) {
        return (term, Direction::Ascending);
    }
    // After a sign, the rest is the field: `-email.desc` has two directions and is refused. Test:
    // `a_sort_is_read_or_refused_with_the_allowed_fields`.
    if let Some(field) = term.strip_prefix('-') {
        return (field, Direction::Descending);
    }
    if let Some(field) = term.strip_prefix('+') {
        return (field, Direction::Ascending);
    }
    let called = || {
        let (word, rest) = term.split_once('(')?;
        Some((rest.strip_suffix(')')?, direction(word)?))
    };
    let suffixed = |separator| {
        // A field may have the separator in its name, as in `user.name.desc`, so the last separator counts. Test:
        // `a_name_that_equals_a_field_is_read_as_the_field`.
        let (field, word) = term.rsplit_once(separator)?;
        Some((field, direction(word)?))
    };
    called()
        .or_else(|| suffixed('.'))
        .or_else(|| suffixed(' ').map(|(field, direction)| (field.trim_end(), direction)))
        .unwrap_or((term, Direction::Ascending))
}

/// Reads `asc` or `desc`, in any letter case; `None` for any other word.
pub fn direction(word: &str) -> Option<Direction> {
    let is = |known: &str| word.eq_ignore_ascii_case(known);
    if is("asc") {
        return Some(Direction::Ascending);
    }
    is("desc").then_some(Direction::Descending)
}

/// Checks the terms and adds the id. If the client doesn't name the id, the id has the direction of the last field. No
/// field may follow the id, because no two items share an id.
fn settle<'t>(
    mut terms: impl Iterator<Item = (&'t str, Direction)>,
    parameter: &str,
    sortable: &[String],
) -> Result<ClientSort, Box<Problem>> {
    let refuse = |detail: String| Err(invalid(&detail, parameter, sortable));
    let mut strong: Vec<SortTerm> = Vec::new();
    while let Some((field, direction)) = terms.next() {
        if field.is_empty() {
            return refuse(format!("`{parameter}` has an empty field: write fields separated by commas"));
        }
        if !sortable.iter().any(|allowed| allowed == field) {
            return refuse(format!("this list can't be sorted by `{}`", shown(field)));
        }
        if field == "id" {
            return match terms.next() {
                None => Ok(ClientSort { strong, id_direction: direction }),
                Some(_) => refuse("no two items share an id: nothing can be sorted after `id`".to_owned()),
            };
        }
        if strong.iter().any(|known| known.field == field) {
            return refuse(format!("`{parameter}` names `{field}` twice"));
        }
        strong.push(SortTerm { field: field.to_owned(), direction });
    }
    let id_direction = strong.last().map_or(Direction::Ascending, |term| term.direction);
    Ok(ClientSort { strong, id_direction })
}

/// Reads parameters that each contain the values of all keys, such as `_sort=a,b` with `_order=asc,desc`. Returns
/// `None` if the dialect wouldn't write them.
fn read_joined(keys: &[SortWords], join: &str, pairs: &[(&str, &str)]) -> Option<Vec<SortTerm>> {
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in pairs {
        // The upstream could read either of two different values, so they aren't read back. Test:
        // `joined_values_are_read_back`.
        if pairs.iter().any(|(other, differing)| other == name && differing != value) {
            return None;
        }
        if !names.contains(name) {
            names.push(name);
        }
    }
    let value = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let mut columns: Vec<_> = names.iter().map(|name| (*name, value(name).unwrap_or_default().split(join))).collect();
    let mut terms = Vec::new();
    loop {
        let row: Vec<(&str, Option<&str>)> = columns.iter_mut().map(|(name, values)| (*name, values.next())).collect();
        if row.iter().all(|(_, value)| value.is_none()) {
            return Some(terms);
        }
        // A row in which a value is missing isn't a key: `_order` may have fewer words than `_sort`. Test:
        // `joined_values_are_read_back`.
        let says = |words: &&SortWords| {
            words.pairs.len() == row.len()
                && words.pairs.iter().all(|(name, value)| row.contains(&(name.as_str(), Some(value.as_str()))))
        };
        // A sort has no more terms than the form has keys, which bounds the loop.
        let found = keys.iter().find(says).filter(|_| terms.len() < keys.len())?;
        terms.push(found.term.clone());
    }
}

/// Reads parameters that are repeated for each key: the first unread parameter of each name belongs to the next key.
/// Returns `None` if the dialect wouldn't write them.
fn read_repeated(keys: &[SortWords], pairs: &[(&str, &str)]) -> Option<Vec<SortTerm>> {
    let mut left = pairs.to_vec();
    let mut terms: Vec<SortTerm> = Vec::new();
    while let Some((first, _)) = left.first().copied() {
        // Values are matched by their order within a name, wherever the parameters are in the query. Test:
        // `repeated_parameters_are_read_back_in_their_order`.
        let is_next = |left: &[(&str, &str)], name: &str, value: &str| {
            left.iter().find(|(known, _)| *known == name).is_some_and(|(_, next)| *next == value)
        };
        let found = keys.iter().find(|words| {
            words.pairs.iter().any(|(name, _)| name == first)
                && words.pairs.iter().all(|(name, value)| is_next(&left, name, value))
        })?;
        for (name, _) in &found.pairs {
            let at = left.iter().position(|(known, _)| known == name)?;
            left.remove(at);
        }
        // Some clients append a term that is already present. A term of one parameter therefore counts once.
        if !(found.pairs.len() == 1 && terms.contains(&found.term)) {
            terms.push(found.term.clone());
        }
        if terms.len() > keys.len() {
            return None;
        }
    }
    Some(terms)
}

#[cfg(test)]
mod tests;
