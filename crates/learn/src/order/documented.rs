//! The sort as an OpenAPI document describes it: parameters, spellings of the direction, and words for fields.

use crate::{
    findings::SortGrammar,
    openapi::{DocumentedList, DocumentedParameter, DocumentedType},
    order::sorting::form,
    order::upstream_name,
    shape::names::plain,
};

/// Pairs of words for the ascending and the descending direction.
const DIRECTIONS: [(&str, &str); 5] =
    [("asc", "desc"), ("ASC", "DESC"), ("ascending", "descending"), ("Asc", "Desc"), ("1", "-1")];

/// The separators between a field and its direction.
const SEPARATORS: [&str; 7] = [":", ",", " ", ".", "_", "|", "-"];

/// The sort parameters that a document describes.
#[derive(Debug, Default)]
pub(super) struct DocumentedSort {
    /// The grammars of the parameters whose values show how a direction is written.
    pub(super) forms: Vec<SortGrammar>,
    /// The names of the sort parameters whose values don't show how a direction is written.
    pub(super) names: Vec<String>,
    /// The words for fields among the allowed values of these parameters; empty if the document lists no values.
    words: Vec<String>,
}

impl DocumentedSort {
    pub(super) fn of(document: &DocumentedList) -> Self {
        let mut own = Self::default();
        for parameter in document.parameters.iter().filter(|parameter| is_sort(document, parameter)) {
            let own_texts = [&parameter.default, &parameter.example].into_iter().flatten();
            let texts: Vec<&str> = parameter.choices.iter().chain(own_texts).map(String::as_str).collect();
            match written(&parameter.name, &texts).or_else(|| beside(&parameter.name, document)) {
                Some(form) => {
                    // A choice such as `-createdAt` contains the word for a field, so the word is remembered. Test:
                    // `parameters_of_a_document_are_tried_first_and_verified_by_answers`.
                    own.words.extend(parameter.choices.iter().map(|choice| bare(&form, choice).to_owned()));
                    own.forms.push(form);
                }
                None => {
                    own.words.extend(parameter.choices.iter().cloned());
                    own.names.push(parameter.name.clone());
                }
            }
        }
        own.words.dedup();
        own
    }

    /// Returns the documented word for the field at a pointer; `None` if the document lists none.
    pub(super) fn word(&self, pointer: &str) -> Option<&str> {
        // Words are compared without case and separators: `createdAt` is the word for `created_at`. Test:
        // `parameters_of_a_document_are_tried_first_and_verified_by_answers`.
        let (last, whole) = (plain(&upstream_name(pointer)), plain(pointer));
        self.words.iter().find(|word| plain(word) == last || plain(word) == whole).map(String::as_str)
    }
}

/// Returns whether a text parameter chooses the field to sort by: its name contains `sort` or `order`, or its values
/// are names of fields. Example: `sort_by` does; `order_dir`, which takes only a direction, does not.
pub(crate) fn is_sort(document: &DocumentedList, parameter: &DocumentedParameter) -> bool {
    let name = plain(&parameter.name);
    let is_text = matches!(parameter.kind, DocumentedType::Text | DocumentedType::Other);
    let is_named = name.contains("sort") || name.contains("order") || document.names_fields(parameter);
    is_text && is_named && directions(parameter).is_none() && !name.ends_with("dir") && !name.ends_with("direction")
}

/// Returns the words for ascending and descending, if the parameter takes only a direction; otherwise `None`.
fn directions(parameter: &DocumentedParameter) -> Option<(&'static str, &'static str)> {
    let has = |word: &str| parameter.choices.iter().any(|choice| choice == word);
    let words = DIRECTIONS.into_iter().find(|(up, down)| has(up) && has(down))?;
    let is_word = |choice: &String| DIRECTIONS.iter().any(|(up, down)| choice == up || choice == down);
    parameter.choices.iter().all(is_word).then_some(words)
}

/// Returns the grammar of values such as `-name` or `name:desc`; `None` if no value shows one.
fn written(name: &str, texts: &[&str]) -> Option<SortGrammar> {
    if texts.iter().any(|text| text.starts_with('-')) {
        return Some(form(&format!("{name}={{direction}}{{field}}"), "", "-"));
    }
    for separator in SEPARATORS {
        for (up, down) in DIRECTIONS {
            if texts.iter().any(|text| text.strip_suffix(down).is_some_and(|rest| rest.ends_with(separator))) {
                return Some(form(&format!("{name}={{field}}{separator}{{direction}}"), up, down));
            }
        }
    }
    None
}

/// Returns the grammar with a second parameter for the direction; `None` if the document describes no such parameter.
fn beside(name: &str, document: &DocumentedList) -> Option<SortGrammar> {
    let mut others = document.parameters.iter().filter(|other| other.name != name);
    let (own, (up, down)) = others.find_map(|other| Some((&other.name, directions(other)?)))?;
    Some(form(&format!("{name}={{field}}&{own}={{direction}}"), up, down))
}

/// Returns the word for the field in a value of a sort parameter, without the direction: `name` for `-name`.
fn bare<'c>(form: &SortGrammar, choice: &'c str) -> &'c str {
    let separator =
        form.query.split_once("{field}").map_or("", |(_, rest)| rest.split(['{', '&']).next().unwrap_or(""));
    let cut = [&form.ascending, &form.descending].into_iter().find_map(|word| {
        let rest = choice.strip_suffix(word.as_str()).filter(|_| !word.is_empty() && !separator.is_empty())?;
        rest.strip_suffix(separator)
    });
    let signed = || choice.strip_prefix(form.descending.as_str()).filter(|_| form.ascending.is_empty());
    cut.or_else(signed).unwrap_or(choice)
}
