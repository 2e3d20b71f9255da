//! Filters as an expression in one parameter: `$filter=created_at ge …`.

use std::borrow::Cow;

use super::{Compared, ComparisonWords, DialectFilter, quote::Quotes};
use crate::upstream::template::{
    pairs,
    text::{Parameter, QueryTemplate, TemplateText, Variable, append_pair},
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::Quote,
};
use cursorgate_core::pagination::{
    filter::{Comparison, Filter},
    key::KeyValue,
};

/// The largest number of comparisons in an expression. A filter with more can't be written.
const MOST_COMPARISONS: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct FilterExpression {
    pub(super) words: ComparisonWords<TemplateText>,
    pub(super) quotes: Quotes,
    parameter: Parameter,
    /// The decoded name of the parameter.
    pub(super) name: String,
    and: Option<TemplateText>,
    or: Option<TemplateText>,
    merge: Option<TemplateText>,
    repeatable: bool,
}

impl FilterExpression {
    pub(super) fn compile(
        filter: &DialectFilter,
        query: &Located<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let parameter = compile_parameter(query, diagnostics);
        let mut text = |source: &Located<String>, variables: &'static [Variable]| {
            let text = TemplateText::parse(&source.value, source, variables, diagnostics)?;
            if let Some(missing) = variables.iter().find(|variable| !text.variables().any(|used| used == **variable)) {
                let help = format!("put {{{}}} where the upstream reads it", missing.name());
                diagnostics.error(source.at, format!("the expression never contains {{{}}}", missing.name()), help);
                return None;
            }
            Some(text)
        };
        let two: &'static [Variable] = &[Variable::A, Variable::B];
        let and = filter.and.as_ref().map(|source| text(source, two));
        let or = filter.or.as_ref().map(|source| text(source, two));
        let merge = filter.merge.as_ref().map(|source| text(source, &[Variable::Client, Variable::Filter]));
        let words = ComparisonWords::compile(filter, &mut |source| {
            TemplateText::parse(&source.value, source, &[Variable::Field, Variable::Value], diagnostics)
        })?;
        if words.all().next().is_none() {
            diagnostics.error(filter.at, "the filter has no comparisons", "set lte and gte, or lt and gt");
            return None;
        }
        let name = parameter.as_ref().map(Parameter::decoded_name);
        let optional = |text: Option<Option<TemplateText>>| match text {
            Some(text) => text.map(Some),
            None => Some(None),
        };
        Some(Self {
            words,
            quotes: Quotes::new(&filter.quote),
            parameter: parameter?,
            name: name?,
            and: optional(and)?,
            or: optional(or)?,
            merge: optional(merge)?,
            repeatable: filter.repeatable,
        })
    }

    /// Returns whether alternatives can be written, joined by the dialect's `or`.
    pub(super) fn has_or(&self) -> bool {
        self.or.is_some()
    }

    /// Returns whether several comparisons can be combined, joined by the dialect's `and`.
    pub(super) fn has_and(&self) -> bool {
        self.and.is_some()
    }

    /// Writes a filter as an expression. Returns `None` if the filter can't be written, and `Some(None)` if it excludes
    /// no item.
    pub(super) fn write<'a>(
        &self,
        filter: &'a Filter,
        compared: &dyn Fn(usize, Comparison, Option<&'a KeyValue>) -> Compared<'a>,
    ) -> Option<Option<String>> {
        self.part(filter, compared, &mut 0)
    }

    /// Returns the client's filters with an expression added so that both hold; `None` if the two can't be combined.
    pub(super) fn merged(&self, client: &str, filter: &str) -> Option<String> {
        let is_own = |pair: &&str| pairs::same_name(&pairs::name(pair), &self.name);
        let own: Vec<&str> = pairs::raw(client).filter(is_own).collect();
        let expression = match (own.as_slice(), &self.merge) {
            ([], _) => Cow::Borrowed(filter),
            // All occurrences of the parameter must hold, so the client's stays next to the filter.
            _ if self.repeatable => Cow::Borrowed(filter),
            ([own], Some(merge)) => {
                let of_client = pairs::value(own);
                // A client's expression with an open quote or parenthesis would change the meaning of the filter, so it
                // isn't merged. Test: `only_closed_expressions_are_put_in_parentheses`.
                if !is_closed(&of_client, self.quotes.of_text()) {
                    return None;
                }
                let value = |variable| match variable {
                    Variable::Client => Some(Cow::Borrowed(of_client.as_str())),
                    Variable::Filter => Some(Cow::Borrowed(filter)),
                    _ => None,
                };
                Cow::Owned(merge.render(&value)?)
            }
            // The upstream may read either of two parameters with the same name, so the two can't be combined. Test:
            // `the_clients_own_filters_stay_in_force`.
            _ => return None,
        };
        let pair = self.parameter.render(&|variable| (variable == Variable::Filter).then(|| expression.clone()))?;
        let mut query = String::new();
        let stays = |pair: &&str| self.repeatable || !is_own(pair);
        pairs::raw(client).filter(stays).for_each(|pair| append_pair(&mut query, pair));
        append_pair(&mut query, &pair);
        Some(query)
    }

    fn part<'a>(
        &self,
        filter: &'a Filter,
        compared: &dyn Fn(usize, Comparison, Option<&'a KeyValue>) -> Compared<'a>,
        written: &mut usize,
    ) -> Option<Option<String>> {
        let (filters, joint) = match filter {
            Filter::Compare { column, comparison, value } => {
                *written += 1;
                let term = self.term(compared(*column, *comparison, value.as_ref()))?;
                return (*written <= MOST_COMPARISONS).then_some(Some(term));
            }
            Filter::And(filters) => (filters, &self.and),
            Filter::Or(filters) => (filters, &self.or),
        };
        let is_either = matches!(filter, Filter::Or(_));
        let mut whole: Option<String> = None;
        for filter in filters {
            let Some(part) = self.part(filter, compared, written)? else {
                // If one alternative excludes no item, all alternatives together exclude no item.
                if is_either {
                    return Some(None);
                }
                continue;
            };
            whole = Some(match whole {
                None => part,
                Some(before) => {
                    let value = |variable| match variable {
                        Variable::A => Some(Cow::Borrowed(before.as_str())),
                        Variable::B => Some(Cow::Borrowed(part.as_str())),
                        _ => None,
                    };
                    joint.as_ref()?.render(&value)?
                }
            });
        }
        Some(whole)
    }

    fn term(&self, compared: Compared<'_>) -> Option<String> {
        let text = match compared.value {
            Some(value) => self.quotes.write(value, &compared.key.kind)?,
            None => String::new(),
        };
        let value = |variable| match variable {
            Variable::Field => Some(Cow::Borrowed(compared.field)),
            Variable::Value => Some(Cow::Borrowed(text.as_str())),
            _ => None,
        };
        self.words.find(compared.field, compared.comparison, compared.falls)?.render(&value)
    }
}

fn compile_parameter(source: &Located<String>, diagnostics: &mut Diagnostics) -> Option<Parameter> {
    let mut query = QueryTemplate::parse(source, &[Variable::Filter], diagnostics)?;
    let parameter = query.parameters.pop().filter(|_| query.parameters.is_empty());
    let takes_filter = |parameter: &Parameter| {
        parameter.name.variables().next().is_none() && parameter.variables().any(|used| used == Variable::Filter)
    };
    let parameter = parameter.filter(takes_filter);
    if parameter.is_none() {
        let help = "write one parameter, as \"filter={filter}\"";
        diagnostics.error(source.at, "filter.query is the parameter that takes the expression", help);
    }
    parameter
}

/// Returns whether an expression is complete: all parentheses and quotes in it are balanced. Otherwise it could change
/// the meaning of the text around it.
fn is_closed(expression: &str, quote: Quote) -> bool {
    let mut depth = 0_u32;
    let mut rest = expression.chars();
    while let Some(character) = rest.next() {
        match character {
            '(' => depth += 1,
            ')' => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return false,
            },
            '\'' | '"' => {
                // A quote is escaped by doubling (which reads as closing and opening) or by a backslash.
                let escapes = matches!(quote, Quote::Double | Quote::Json);
                loop {
                    match rest.next() {
                        None => return false,
                        Some('\\') if escapes => drop(rest.next()),
                        Some(closing) if closing == character => break,
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_expressions_are_put_in_parentheses() {
        for (expression, quote, closed) in [
            ("status eq 'active'", Quote::Single, true),
            ("(a eq 1) or (b eq 2)", Quote::Single, true),
            ("name eq 'O''Neil)'", Quote::Single, true),
            ("a eq 1) or (b eq 2", Quote::Single, false),
            ("name eq 'x", Quote::Single, false),
            ("name eq \"x\\\")\"", Quote::Double, true),
            ("(a", Quote::Single, false),
            ("a)", Quote::Single, false),
            ("", Quote::Single, true),
        ] {
            assert_eq!(is_closed(expression, quote), closed, "{expression}");
        }
    }
}
