//! Filters on keys, written in the syntax of a dialect.
//!
//! A filter has one of two forms. The first is a set of parameters that must all hold; if they are numbered by
//! `{group}`, one group must hold. The second is a single expression in one parameter. Values are written so that
//! nothing in them can end the value, the expression or the parameter. A value that can't be written in this way makes
//! the filter unusable: [`Unaskable::Filter`].

mod expression;
mod parameters;
mod quote;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::fields::DialectFields;
use crate::upstream::template::{
    ask::Unaskable,
    pairs,
    text::{append_pair, decode, encode_value},
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::{DialectFilter, DialectTerms},
};
use cursorgate_core::pagination::{
    filter::{Comparison, Comparisons, Filter, Filters},
    key::KeyValue,
    order::{Direction, Kind, Order, SortKey},
};
use expression::FilterExpression;
use parameters::FilterParameters;

/// The compiled `[filter]` of a dialect.
#[derive(Clone, Debug)]
pub struct FilterTemplate {
    form: FilterForm,
}

#[derive(Clone, Debug)]
enum FilterForm {
    Parameters(FilterParameters),
    Expression(Box<FilterExpression>),
}

/// The words for comparisons: the parameter or expression that writes each comparison. The words apply to all fields,
/// or to single fields by their upstream names.
#[derive(Clone, Debug)]
struct ComparisonWords<T> {
    /// The words for all fields; empty if only some fields have words.
    general: Terms<T>,
    fields: Vec<(String, Terms<T>)>,
}

/// The words for one field, or for all fields.
#[derive(Clone, Debug)]
struct Terms<T> {
    terms: Vec<(ComparisonWord, T)>,
}

/// The comparison that a dialect's word expresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComparisonWord {
    /// A comparison of values, whatever the direction of the list.
    Compared(Comparison),
    /// A side of a value in the direction of the list, such as `startkey` and `endkey`.
    Sided(FilterSide),
}

/// A side of a value in the list as it is requested. `From` and `To` include the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterSide {
    From,
    To,
    After,
    Before,
}

impl FilterSide {
    /// Returns the side on which the values of a comparison are. `falls` is `true` in a list with falling values.
    /// Returns `None` for equality and nulls, which have no side.
    fn of(comparison: Comparison, falls: bool) -> Option<Self> {
        Some(match (comparison, falls) {
            (Comparison::GreaterOrEqual, false) | (Comparison::LessOrEqual, true) => Self::From,
            (Comparison::LessOrEqual, false) | (Comparison::GreaterOrEqual, true) => Self::To,
            (Comparison::Greater, false) | (Comparison::Less, true) => Self::After,
            (Comparison::Less, false) | (Comparison::Greater, true) => Self::Before,
            (Comparison::Equal | Comparison::Null | Comparison::NotNull, _) => return None,
        })
    }
}

/// A comparison in a filter, with everything that its words depend on.
#[derive(Clone, Copy, Debug)]
struct Compared<'a> {
    /// The upstream's name of the field.
    field: &'a str,
    key: &'a SortKey,
    comparison: Comparison,
    /// `true` if the values of this key fall in the list as it is requested.
    falls: bool,
    value: Option<&'a KeyValue>,
}

impl FilterTemplate {
    /// Compiles `[filter]`. Reports a fault and returns `None` if it is invalid.
    pub fn compile(filter: &DialectFilter, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Some((message, help)) = incomplete_filter(filter) {
            diagnostics.error(filter.at, message, help);
            return None;
        }
        let form = match &filter.query {
            Some(query) => FilterForm::Expression(Box::new(FilterExpression::compile(filter, query, diagnostics)?)),
            None => FilterForm::Parameters(FilterParameters::compile(filter, diagnostics)?),
        };
        Some(Self { form })
    }

    /// Returns the filters on the columns of an order. Only keys that are `filterable` have filters.
    pub fn filters(&self, order: &Order, fields: &DialectFields, sorts_by_id: bool) -> Filters {
        let columns = order.keys().map(|key| {
            let may = fields.can_filter_by(&key.name);
            if may { self.comparisons(fields.upstream_name(&key.name), key) } else { Comparisons::default() }
        });
        let (either, both) = match &self.form {
            FilterForm::Parameters(parameters) => (parameters.grouped(), true),
            FilterForm::Expression(expression) => (expression.has_or(), expression.has_and()),
        };
        Filters { columns: columns.collect(), either, both, sorts_by_id }
    }

    /// Returns the decoded names of the parameters that filter by a field.
    pub fn names(&self, field: &str) -> Vec<String> {
        match &self.form {
            FilterForm::Parameters(parameters) => parameters.names(field),
            FilterForm::Expression(expression) => vec![expression.name.clone()],
        }
    }

    /// Returns the decoded names of the parameters that filter by these fields, and by the fields that have separate
    /// words in the dialect.
    pub fn all_names<'a>(&'a self, fields: impl Iterator<Item = &'a str>) -> Vec<String> {
        let own = match &self.form {
            FilterForm::Parameters(parameters) => parameters.fields(),
            FilterForm::Expression(_) => Vec::new(),
        };
        fields.chain(own).flat_map(|field| self.names(field)).collect()
    }

    /// Returns whether a filter on these columns can be added to the client's filters so that both hold.
    pub fn agrees_with(&self, filters: &Filters, order: &Order, fields: &DialectFields, client: &str) -> bool {
        match &self.form {
            FilterForm::Parameters(parameters) => {
                let keys = order.keys().zip(&filters.columns);
                let used = keys.filter(|(_, comparisons)| **comparisons != Comparisons::default());
                let names = used.flat_map(|(key, _)| parameters.names(fields.upstream_name(&key.name)));
                parameters.agree_with(&names.collect::<Vec<_>>(), client)
            }
            // An empty filter is enough to find out whether the client's expression can be combined.
            FilterForm::Expression(expression) => expression.merged(client, "").is_some(),
        }
    }

    /// Writes the client's filters and the filter on keys. `flipped` is `true` if the flipped list is requested.
    /// Returns [`Unaskable::Filter`] if the filter can't be written, or can't be combined with the client's filters.
    pub fn write(
        &self,
        filter: &Filter,
        order: &Order,
        fields: &DialectFields,
        client: &str,
        flipped: bool,
    ) -> Result<String, Unaskable> {
        let compared = |column: usize, comparison, value| {
            let key = order.strong().get(column).unwrap_or_else(|| order.id());
            let falls = (key.direction == Direction::Descending) != flipped;
            Compared { field: fields.upstream_name(&key.name), key, comparison, falls, value }
        };
        match &self.form {
            FilterForm::Parameters(parameters) => {
                let pairs = parameters.write(filter, &compared).ok_or(Unaskable::Filter)?;
                let names: Vec<String> = pairs.iter().map(|pair| pairs::name(pair)).collect();
                // The upstream might read only one of two parameters, so the filter can't be used. Test:
                // `the_clients_own_filters_stay_in_force`.
                if !parameters.agree_with(&names, client) {
                    return Err(Unaskable::Filter);
                }
                let mut query = client.to_owned();
                pairs.iter().for_each(|pair| append_pair(&mut query, pair));
                Ok(query)
            }
            FilterForm::Expression(expression) => match expression.write(filter, &compared).ok_or(Unaskable::Filter)? {
                Some(written) => expression.merged(client, &written).ok_or(Unaskable::Filter),
                None => Ok(client.to_owned()),
            },
        }
    }

    /// Describes a filter on the first key as it is written in the query before encoding. For an expression, also
    /// describes how a client's filter in the same parameter stays in force. Returns `None` if no such filter can be
    /// written.
    pub fn shown(&self, filters: &Filters, order: &Order, fields: &DialectFields) -> Option<String> {
        let (key, can) = (order.strong().first().unwrap_or_else(|| order.id()), filters.columns.first()?);
        let rises = key.direction == Direction::Ascending;
        let comparison = match rises {
            true if can.greater_or_equal => Comparison::GreaterOrEqual,
            true => Comparison::Greater,
            false if can.less_or_equal => Comparison::LessOrEqual,
            false => Comparison::Less,
        };
        let value = Some(match key.kind {
            Kind::Datetime => KeyValue::Text(b"2026-01-15T10:00:00Z".to_vec()),
            Kind::Uuid => KeyValue::Text(b"0190a6f0-7c1e-7000-8000-000000000001".to_vec()),
            Kind::Boolean => KeyValue::Boolean(true),
            Kind::Text => KeyValue::Text(b"abc".to_vec()),
            Kind::NumberInString => KeyValue::Text(b"100".to_vec()),
            Kind::Inferred | Kind::Number | Kind::Opaque | Kind::Rank(_) => KeyValue::Number("100".to_owned()),
        });
        let filter = Filter::Compare { column: 0, comparison, value };
        let written = |client: &str| Some(decode(&self.write(&filter, order, fields, client, false).ok()?));
        let alone = written("")?;
        let FilterForm::Expression(expression) = &self.form else { return Some(alone) };
        let name = &expression.name;
        Some(match written(&format!("{}=CLIENT", encode_value(name))) {
            Some(beside) => format!("{alone}; beside a client's {name}=CLIENT: {beside}"),
            None => format!("{alone}; not beside a client's own {name}: merge says how both stay in force"),
        })
    }

    fn comparisons(&self, field: &str, key: &SortKey) -> Comparisons {
        let has = |comparison| {
            // The core filters only from a value on, so a comparison for smaller values is for a list with falling
            // values. Test: `a_filter_in_one_direction_is_used_in_that_direction`.
            let falls = matches!(comparison, Comparison::Less | Comparison::LessOrEqual);
            match &self.form {
                FilterForm::Parameters(parameters) => parameters.words.find(field, comparison, falls).is_some(),
                FilterForm::Expression(expression) => expression.words.find(field, comparison, falls).is_some(),
            }
        };
        let written = match &self.form {
            FilterForm::Parameters(parameters) => {
                parameters.quotes.as_ref().is_none_or(|quotes| quotes.can_write(&key.kind))
            }
            FilterForm::Expression(expression) => expression.quotes.can_write(&key.kind),
        };
        // The upstream sorts these kinds by its own rules, and its comparisons might use other rules, so only equality
        // is used.
        let ordered = written && !matches!(key.kind, Kind::Opaque | Kind::Rank(_));
        Comparisons {
            less: ordered && has(Comparison::Less),
            less_or_equal: ordered && has(Comparison::LessOrEqual),
            greater: ordered && has(Comparison::Greater),
            greater_or_equal: ordered && has(Comparison::GreaterOrEqual),
            equal: written && has(Comparison::Equal),
            nulls: has(Comparison::Null) && has(Comparison::NotNull),
        }
    }
}

impl<T> ComparisonWords<T> {
    /// Compiles all words. Reports all faults, and returns `None` if there are any.
    fn compile(filter: &DialectFilter, compile: &mut dyn FnMut(&Located<String>) -> Option<T>) -> Option<Self> {
        let general = Terms::compile(&filter.terms, compile);
        let fields: Vec<Option<(String, Terms<T>)>> = filter
            .fields
            .iter()
            .map(|(name, terms)| Some((name.value.clone(), Terms::compile(terms, compile)?)))
            .collect();
        Some(Self { general: general?, fields: fields.into_iter().collect::<Option<_>>()? })
    }

    /// Returns the word for a comparison with a field. `falls` is `true` in a list whose values of the field fall.
    /// Returns `None` if the dialect can't write this comparison.
    fn find(&self, field: &str, comparison: Comparison, falls: bool) -> Option<&T> {
        let terms = &self.terms(field)?.terms;
        let said = |word: ComparisonWord| terms.iter().find(|(known, _)| *known == word).map(|(_, term)| term);
        // Words for sides, such as `startkey`, mean greater or less depending on the direction in which the list is
        // requested.
        said(ComparisonWord::Compared(comparison))
            .or_else(|| said(ComparisonWord::Sided(FilterSide::of(comparison, falls)?)))
    }

    fn terms(&self, field: &str) -> Option<&Terms<T>> {
        // A dialect with words for single fields can filter only by those fields. Test:
        // `the_core_gets_the_comparisons_that_can_be_requested`.
        if self.fields.is_empty() {
            return Some(&self.general);
        }
        self.fields.iter().find(|(name, _)| name == field).map(|(_, terms)| terms)
    }

    fn all(&self) -> impl Iterator<Item = (ComparisonWord, &T)> {
        let fields = self.fields.iter().map(|(_, terms)| terms);
        [&self.general].into_iter().chain(fields).flat_map(|terms| terms.terms.iter().map(|(how, term)| (*how, term)))
    }
}

impl<T> Terms<T> {
    fn compile(terms: &DialectTerms, compile: &mut dyn FnMut(&Located<String>) -> Option<T>) -> Option<Self> {
        let sources = [
            (ComparisonWord::Compared(Comparison::Less), &terms.lt),
            (ComparisonWord::Compared(Comparison::Greater), &terms.gt),
            (ComparisonWord::Compared(Comparison::LessOrEqual), &terms.lte),
            (ComparisonWord::Compared(Comparison::GreaterOrEqual), &terms.gte),
            (ComparisonWord::Compared(Comparison::Equal), &terms.eq),
            (ComparisonWord::Compared(Comparison::Null), &terms.null),
            (ComparisonWord::Compared(Comparison::NotNull), &terms.not_null),
            (ComparisonWord::Sided(FilterSide::From), &terms.from),
            (ComparisonWord::Sided(FilterSide::To), &terms.to),
            (ComparisonWord::Sided(FilterSide::After), &terms.after),
            (ComparisonWord::Sided(FilterSide::Before), &terms.before),
        ];
        let said = sources.iter().filter_map(|(word, source)| Some((*word, source.as_ref()?)));
        let compiled: Vec<Option<(ComparisonWord, T)>> =
            said.map(|(word, source)| Some((word, compile(source)?))).collect();
        Some(Self { terms: compiled.into_iter().collect::<Option<_>>()? })
    }
}

/// Returns the message and help for a comparison with null without its counterpart, or for a setting of expressions
/// without `query`; `None` if there is no such fault.
fn incomplete_filter(filter: &DialectFilter) -> Option<(Cow<'static, str>, &'static str)> {
    let all = [&filter.terms].into_iter().chain(filter.fields.iter().map(|(_, terms)| terms));
    for terms in all {
        let (here, missing) = match (&terms.null, &terms.not_null) {
            (Some(_), None) => ("null", "not_null"),
            (None, Some(_)) => ("not_null", "null"),
            _ => continue,
        };
        let message = format!("the filter has {here} and no {missing}");
        return Some((message.into(), "set both: items with a value and items without one are requested separately"));
    }
    if filter.query.is_none() && (filter.and.is_some() || filter.or.is_some() || filter.merge.is_some()) {
        let help = "set query, the parameter that takes the expression: query = \"filter={filter}\"";
        return Some(("and, or and merge are for expressions".into(), help));
    }
    None
}
