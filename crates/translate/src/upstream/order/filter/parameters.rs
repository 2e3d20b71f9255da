//! Filters as parameters: `created_at__gte=…`. All parameters must hold; with `{group}`, all parameters of at least one
//! group.

use std::borrow::Cow;

use super::{
    Compared, ComparisonWord, ComparisonWords, DialectFilter,
    quote::{self, Quotes},
};
use crate::upstream::template::{
    pairs,
    text::{Parameter, QueryTemplate, Variable},
};
use cursorgate_config::diagnostic::{Diagnostics, Located};
use cursorgate_core::pagination::{
    filter::{Comparison, Filter},
    key::KeyValue,
};

const VARIABLES: &[Variable] = &[Variable::Field, Variable::Value, Variable::Group];

/// The largest number of alternatives in one request. A filter with more can't be written.
const MOST_GROUPS: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct FilterParameters {
    pub(super) words: ComparisonWords<Parameter>,
    /// The quoting of values; `None` if values are plain text. Most dialects with quotes use JSON.
    pub(super) quotes: Option<Quotes>,
    grouped: bool,
    /// `true` if a parameter may occur several times and all occurrences must hold.
    repeatable: bool,
}

impl FilterParameters {
    pub(super) fn compile(filter: &DialectFilter, diagnostics: &mut Diagnostics) -> Option<Self> {
        let words = ComparisonWords::compile(filter, &mut |source| compile_one(source, diagnostics))?;
        let uses = |parameter: &Parameter, variable| parameter.variables().any(|used| used == variable);
        let grouped = words.all().filter(|(_, parameter)| uses(parameter, Variable::Group)).count();
        let count = words.all().count();
        if count == 0 {
            diagnostics.error(filter.at, "the filter has no comparisons", "set lte and gte, or lt and gt");
            return None;
        }
        if grouped != 0 && grouped != count {
            let help = "put {group} into all of them, or into none";
            diagnostics.error(filter.at, "some comparisons are in groups, and some are not", help);
            return None;
        }
        for (word, parameter) in words.all() {
            let needs_value = !matches!(word, ComparisonWord::Compared(Comparison::Null | Comparison::NotNull));
            if needs_value != uses(parameter, Variable::Value) {
                let (message, help) = match needs_value {
                    true => ("a comparison does not contain its value", "put {value} after the `=`"),
                    false => ("comparisons with null have no value", "leave {value} out of null and not_null"),
                };
                diagnostics.error(filter.at, message, help);
                return None;
            }
        }
        let quotes = (!filter.quote.is_empty()).then(|| Quotes::new(&filter.quote));
        Some(Self { words, quotes, grouped: grouped > 0, repeatable: filter.repeatable })
    }

    /// Returns whether alternatives can be written, as groups.
    pub(super) fn grouped(&self) -> bool {
        self.grouped
    }

    /// Returns the decoded names of all parameters that filter by a field.
    pub(super) fn names(&self, field: &str) -> Vec<String> {
        let value = |variable| match variable {
            Variable::Field => Some(Cow::Borrowed(field)),
            Variable::Value | Variable::Group => Some(Cow::Borrowed("0")),
            _ => None,
        };
        let terms = self.words.terms(field).into_iter().flat_map(|terms| &terms.terms);
        terms.filter_map(|(_, parameter)| Some(pairs::name(&parameter.render(&value)?))).collect()
    }

    /// Returns the upstream names of the fields that have separate words.
    pub(super) fn fields(&self) -> Vec<&str> {
        self.words.fields.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns whether parameters with these decoded names can be added to the client's so that all of them hold.
    pub(super) fn agree_with(&self, names: &[String], client: &str) -> bool {
        // A client's own group would join one of the filter's groups or be an additional alternative, so grouped names
        // are compared only up to the first bracket. Test: `the_clients_own_filters_stay_in_force`.
        let known =
            |name: &str| if self.grouped { name.split('[').next().unwrap_or(name).to_owned() } else { name.to_owned() };
        let names: Vec<String> = names.iter().map(|name| known(name)).collect();
        let clients = pairs::raw(client).map(|pair| known(&pairs::name(pair)));
        let mut meet = clients.filter(|own| names.iter().any(|name| pairs::same_name(name, own)));
        self.repeatable && !self.grouped || meet.next().is_none()
    }

    /// Writes a filter as encoded pairs; returns `None` if the filter can't be written.
    pub(super) fn write<'a>(
        &self,
        filter: &'a Filter,
        compared: &dyn Fn(usize, Comparison, Option<&'a KeyValue>) -> Compared<'a>,
    ) -> Option<Vec<String>> {
        let alternatives = alternatives(filter)?;
        // All parameters must hold, so alternatives need groups. Test:
        // `filters_are_written_in_each_grammar_of_an_upstream`.
        if alternatives.len() > 1 && !self.grouped {
            return None;
        }
        let mut written: Vec<String> = Vec::new();
        for (group, comparisons) in alternatives.iter().enumerate() {
            for comparison in comparisons {
                let Filter::Compare { column, comparison, value } = comparison else {
                    return None;
                };
                let pair = self.pair(compared(*column, *comparison, value.as_ref()), group)?;
                // Most upstreams read only one of two parameters with the same name, so the filter can't be written.
                let name = pairs::name(&pair);
                if !self.repeatable && written.iter().any(|other| *other != pair && pairs::name(other) == name) {
                    return None;
                }
                written.push(pair);
            }
        }
        written.dedup();
        Some(written)
    }

    fn pair(&self, compared: Compared<'_>, group: usize) -> Option<String> {
        let parameter = self.words.find(compared.field, compared.comparison, compared.falls)?;
        let text = match (compared.value, &self.quotes) {
            (Some(value), Some(quotes)) => Cow::Owned(quotes.write(value, &compared.key.kind)?),
            (Some(value), None) => quote::plain(value)?,
            (None, _) => Cow::Borrowed(""),
        };
        let value = |variable| match variable {
            Variable::Field => Some(Cow::Borrowed(compared.field)),
            Variable::Value => Some(text.clone()),
            Variable::Group => Some(Cow::Owned(group.to_string())),
            _ => None,
        };
        // Values are encoded, so no value adds a parameter. Test:
        // `hostile_values_do_not_escape_from_their_query_parameter`.
        parameter.render(&value)
    }
}

fn compile_one(source: &Located<String>, diagnostics: &mut Diagnostics) -> Option<Parameter> {
    let mut query = QueryTemplate::parse(source, VARIABLES, diagnostics)?;
    match (query.parameters.pop(), query.parameters.is_empty()) {
        (Some(parameter), true) => Some(parameter),
        _ => {
            let help =
                "write name=value, as \"{field}__gte={value}\"; where the upstream takes one expression, set query";
            diagnostics.error(source.at, "a comparison is one parameter", help);
            None
        }
    }
}

/// Returns the filter as alternatives, each a list of comparisons that must all hold: `(a or b) and c` becomes `a and
/// c`, `b and c`. Returns `None` for more than [`MOST_GROUPS`] alternatives. Test:
/// `alternatives_within_conditions_become_groups`.
fn alternatives(filter: &Filter) -> Option<Vec<Vec<&Filter>>> {
    match filter {
        Filter::Compare { .. } => Some(vec![vec![filter]]),
        Filter::Or(filters) => {
            let mut all = Vec::new();
            for filter in filters {
                all.extend(alternatives(filter)?);
                if all.len() > MOST_GROUPS {
                    return None;
                }
            }
            Some(all)
        }
        Filter::And(filters) => {
            let mut all = vec![Vec::new()];
            for filter in filters {
                let further = alternatives(filter)?;
                if all.len() * further.len() > MOST_GROUPS {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|one: &Vec<&Filter>| further.iter().map(move |other| [one.as_slice(), other].concat()))
                    .collect();
            }
            Some(all)
        }
    }
}
