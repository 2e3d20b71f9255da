//! The comparison of an OpenAPI document with the answers: agreements and contradictions.

use serde_json::Value;

use super::{DocumentedList, DocumentedType};
use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    order::{ValueOrder, documented::is_sort},
    prober::Base,
    prober::answer::step_into,
    shape::names::{OFFSETS, PAGES, SIZES},
};

/// A contradiction: its subject, the document's statement, and the answers' statement.
type Contradiction = (&'static str, String, String);

/// Adds a finding on the agreements between the document and the answers, and a finding on each contradiction.
/// Completes ranks with the document's values.
pub(crate) fn note(learnt: &mut Learnt, document: &DocumentedList, base: &Base) {
    let mut agreed = Vec::new();
    let mut found = Vec::new();
    sizes(learnt, document, base, &mut agreed, &mut found);
    places(learnt, document, &mut agreed, &mut found);
    if let Some(items) = &document.items {
        match *items == learnt.shape.items {
            true => agreed.push("the place of the items".to_owned()),
            false => found.push(("items", format!("{items:?}"), format!("{:?}", learnt.shape.items))),
        }
    }
    fields(learnt, document, base, &mut agreed, &mut found);
    sort(learnt, document, &mut agreed, &mut found);
    complete_ranks(learnt, document);
    let (parameters, fields) = (document.parameters.len(), document.fields.len());
    let said = if agreed.is_empty() { "nothing".to_owned() } else { agreed.join(", ") };
    let evidence =
        format!("{parameters} parameters and {fields} fields are described; the answers show the same of {said}");
    learnt.note(Certainty::Shown, "document", document.operation.clone(), evidence);
    for (about, says, shows) in found {
        let evidence = format!("the document says {says}, the answers show {shows}");
        learnt.note(Certainty::Shown, "contradiction", about, evidence);
    }
}

fn sizes(
    learnt: &Learnt,
    document: &DocumentedList,
    base: &Base,
    agreed: &mut Vec<String>,
    found: &mut Vec<Contradiction>,
) {
    let count = base.ids.len();
    let Some(form) = &learnt.size else {
        for name in document.numbers_named(&SIZES) {
            found.push(("size parameter", name, format!("{count} items to any number")));
        }
        return;
    };
    let Some(own) = document.parameter(form.slot.name()) else {
        let says = "nothing about such a parameter".to_owned();
        found.push(("size parameter", says, format!("that {} is read", form.slot.name())));
        return;
    };
    agreed.push(own.name.clone());
    let default = own.default.as_ref().and_then(|text| text.parse::<usize>().ok());
    match default {
        Some(default) if default == count => agreed.push(format!("the default size {default}")),
        // A list that is shorter than a page does not show the default size, so no difference is reported for it.
        Some(default) if learnt.places.total.is_some() || count > default => {
            let total = learnt.places.total.as_ref().and_then(|place| base.seen.number(place));
            if count > default || total.is_some_and(|total| total > u64::try_from(count).unwrap_or(u64::MAX)) {
                found.push(("default size", default.to_string(), count.to_string()));
            }
        }
        _ => {}
    }
    let of_cap = learnt.findings.iter().find(|finding| finding.about == "largest size");
    let is_shown = of_cap.is_some_and(|finding| finding.certainty == Certainty::Shown);
    match (own.maximum, form.max.map(u64::from)) {
        (Some(says), Some(shows)) if says == shows => agreed.push(format!("the largest size {says}")),
        // If the largest answer may be the whole list, its size isn't a cap and doesn't contradict a larger maximum.
        (Some(says), Some(shows)) if says < shows || is_shown => {
            found.push(("largest size", says.to_string(), shows.to_string()));
        }
        _ => {}
    }
}

fn places(learnt: &Learnt, document: &DocumentedList, agreed: &mut Vec<String>, found: &mut Vec<Contradiction>) {
    let slot = match &learnt.place {
        Some(
            PlaceForm::Page { slot, .. }
            | PlaceForm::Offset { slot, .. }
            | PlaceForm::Token { slot, .. }
            | PlaceForm::After { slot, .. },
        ) => slot,
        Some(PlaceForm::Link { .. } | PlaceForm::Members { .. }) => return,
        Some(PlaceForm::Whole) | None => {
            for name in document.numbers_named(&PAGES).chain(document.numbers_named(&OFFSETS)) {
                found.push(("next page", name, "no effect of it".to_owned()));
            }
            return;
        }
    };
    match document.parameter(slot.name()) {
        Some(own) => agreed.push(own.name.clone()),
        None => {
            let says = "nothing about such a parameter".to_owned();
            found.push(("next page", says, format!("that {} is read", slot.name())));
        }
    }
}

fn sort(learnt: &Learnt, document: &DocumentedList, agreed: &mut Vec<String>, found: &mut Vec<Contradiction>) {
    let mut described = document.parameters.iter().filter(|parameter| is_sort(document, parameter));
    let was_tried = learnt.findings.iter().any(|finding| finding.about == "sort");
    match (&learnt.sort, described.next()) {
        (Some(form), Some(own)) if form.query.contains(&own.name) => agreed.push(own.name.clone()),
        // If no sort was tried, nothing contradicts the document.
        (None, Some(own)) if was_tried => found.push(("sort", own.name.clone(), "no effect of it".to_owned())),
        _ => {}
    }
}

fn fields(
    learnt: &Learnt,
    document: &DocumentedList,
    base: &Base,
    agreed: &mut Vec<String>,
    found: &mut Vec<Contradiction>,
) {
    let rows = learnt.shape.elements(&base.seen).unwrap_or_default();
    let mut same = 0;
    for field in &document.fields {
        let values: Vec<&Value> = rows.iter().filter_map(|row| step_into(row, &field.pointer)).collect();
        if values.is_empty() {
            found.push(("fields", format!("{} is a field", field.pointer), "no item that has it".to_owned()));
            continue;
        }
        // A null does not contradict any type, so nulls are skipped.
        let other = values.into_iter().find(|value| !value.is_null() && !is_of(value, field.kind));
        match other {
            Some(value) => {
                found.push((
                    "fields",
                    format!("{} is {}", field.pointer, field.kind.name()),
                    kind_of(value).to_owned(),
                ));
            }
            None => same += 1,
        }
    }
    if same > 0 {
        agreed.push(format!("{same} fields"));
    }
}

fn is_of(value: &Value, kind: DocumentedType) -> bool {
    let is_text = |is: fn(&str) -> bool| value.as_str().is_some_and(is);
    match kind {
        DocumentedType::Integer => value.is_i64() || value.is_u64(),
        DocumentedType::Number => value.is_number(),
        DocumentedType::Boolean => value.is_boolean(),
        DocumentedType::Datetime => is_text(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok()),
        DocumentedType::Date => is_text(|text| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()),
        DocumentedType::Uuid => is_text(|text| text.len() == 36),
        DocumentedType::Text => value.is_string(),
        DocumentedType::Other => true,
    }
}

/// Returns the kind of a value in words, for the report. The report must not contain the value itself, which may be a
/// secret.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number of another type",
        Value::String(_) => "a string of another kind",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Replaces a rank with the document's list of values, if the answers show only some of these values, in the same or
/// in the reverse order.
fn complete_ranks(learnt: &mut Learnt, document: &DocumentedList) {
    let item = learnt.shape.item.clone();
    let mut completed = Vec::new();
    for (field, _) in learnt.order.iter_mut().flat_map(|order| &mut order.keys) {
        let ValueOrder::Rank(ranks) = &mut field.comparison else { continue };
        let Some(known) = document.field(&format!("{item}{}", field.pointer)) else { continue };
        // A descending list shows the ranks in reverse order, so the reverse order is also accepted.
        let backwards: Vec<String> = known.choices.iter().rev().cloned().collect();
        let fitting = [known.choices.clone(), backwards].into_iter().find(|choices| {
            let places: Vec<Option<usize>> =
                ranks.iter().map(|rank| choices.iter().position(|choice| choice == rank)).collect();
            places.iter().all(Option::is_some) && places.is_sorted()
        });
        if let Some(choices) = fitting.filter(|choices| choices.len() > ranks.len()) {
            completed.push((field.name.clone(), choices.len(), ranks.len()));
            *ranks = choices;
        }
    }
    for (name, all, seen) in completed {
        let evidence = format!("the document says {all} values, the answers show {seen} of them in this order");
        learnt.note(Certainty::Likely, "ranks", name, evidence);
    }
}
