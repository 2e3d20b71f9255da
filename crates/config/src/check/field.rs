//! The check of `fields` of a route.

use super::Context;
use crate::{
    diagnostic::{Located, nearest},
    key::TableSettings as _,
    keys::{FIELD, FieldType, ROUTE},
    settings::{FieldSettings, ListSettings, SortTerm},
    spanned::Spanned,
    syntax,
};
use cursorgate_core::pagination::order::Kind;

/// Reads `fields` of a merged route.
pub(super) fn fields(route: &Spanned, context: &mut Context<'_>) -> Vec<FieldSettings> {
    let table = ROUTE.fields.table(route);
    table.members().iter().map(|(name, field)| read(name, field, context)).collect()
}

/// Reports keys of an order whose values can't be compared, if another key follows.
pub(super) fn check_opaque(order: &[Located<SortTerm>], fields: &[FieldSettings], context: &mut Context<'_>) {
    let opaque = |name: &str| fields.iter().any(|field| field.name == name && field.kind == Kind::Opaque);
    for pair in order.windows(2).filter(|pair| opaque(&pair[0].value.field)) {
        let (field, next) = (&pair[0].value.field, &pair[1].value.field);
        let message = format!("values of {field} have no known order, and {next} follows it in the order");
        let help = format!("end the order with {field} and the id");
        context.diagnostics.error(pair[0].at, message, help);
    }
}

/// Warns about fields of the route itself that are in no order, but have a name similar to a field in an order. They
/// are probably misspelt.
pub(super) fn check_names(list: &ListSettings, own: &Spanned, context: &mut Context<'_>) {
    let ordered = list.order.iter().map(|term| term.value.field.as_str());
    let sortable = list.sortable.iter().map(|field| field.value.as_str());
    let known: Vec<&str> = ordered.chain(sortable).chain(["id"]).collect();
    let table = ROUTE.fields.table(own);
    for (name, _) in table.members().iter().filter(|(name, _)| !known.contains(&name.value.as_str())) {
        if let Some(near) = nearest(&name.value, known.iter().copied()) {
            let message = format!("{} is neither in `order` nor in `sortable`", name.value);
            context.diagnostics.warning(name.at, message, format!("did you mean {near:?}?"));
        }
    }
}

fn read(name: &Located<String>, field: &Spanned, context: &mut Context<'_>) -> FieldSettings {
    let field_type = FIELD.kind.read(field);
    match (field_type, FIELD.ranks.find(field)) {
        (Some(FieldType::Rank), None) => {
            let message = format!("{} is a rank without `ranks`", name.value);
            context.missing(field.at, message, "ranks = [\"low\", \"high\"]");
        }
        (field_type, Some(ranks)) if field_type != Some(FieldType::Rank) => {
            let help = "write type = \"rank\", or remove `ranks`";
            context.diagnostics.error(ranks.at, format!("{} has `ranks` and is not a rank", name.value), help);
        }
        _ => {}
    }
    let collation = FIELD.collation.located(field);
    let kind = match field_type {
        Some(FieldType::Number) => Kind::Number,
        Some(FieldType::NumberInString) => Kind::NumberInString,
        Some(FieldType::Text) if collation.is_none() => Kind::Text,
        Some(FieldType::Datetime) => Kind::Datetime,
        Some(FieldType::Boolean) => Kind::Boolean,
        Some(FieldType::Uuid) => Kind::Uuid,
        Some(FieldType::Rank) => Kind::Rank(FIELD.ranks.or_empty(field)),
        Some(FieldType::Opaque | FieldType::Text) => Kind::Opaque,
        // The gateway doesn't compare texts by a collation, so the order of such values isn't known to it.
        None if collation.is_some() => Kind::Opaque,
        None => Kind::Inferred,
    };
    if let Some(collation) = collation.as_ref().filter(|_| kind != Kind::Opaque) {
        let help = "remove `collation`, or write type = \"string\"";
        context.diagnostics.error(collation.at, "only strings have a collation", help);
    }
    let grain = FIELD.grain.located(field).and_then(|text| {
        let grain = syntax::read_grain(&text.value)?;
        check_grain(name, &kind, &text, context);
        Some(grain)
    });
    if name.value == "id" && kind == Kind::Opaque {
        let help = "remove `type` and `collation`: the gateway compares ids by their bytes";
        context.diagnostics.error(field.at, "items with equal keys are told apart by the id", help);
    }
    FieldSettings { name: name.value.clone(), kind, grain, ..FieldSettings::read(field) }
}

/// Reports a grain that values of this kind can't have.
fn check_grain(name: &Located<String>, kind: &Kind, text: &Located<String>, context: &mut Context<'_>) {
    let of_numbers = text.value.starts_with(['0', '1']);
    let (message, help) = match kind {
        // Values of an inferred kind may be numbers or times, so either form of a grain can be right.
        Kind::Inferred | Kind::Number | Kind::NumberInString if of_numbers => return,
        Kind::Inferred | Kind::Datetime if !of_numbers => return,
        Kind::Number | Kind::NumberInString => (
            format!("{} is a number, and {:?} a grain of times", name.value, text.value),
            "write a grain such as \"0.01\"",
        ),
        Kind::Datetime => {
            let help = "write \"day\", \"s\", \"ms\" or \"us\"";
            (format!("{} is a date and time, and {:?} a grain of numbers", name.value, text.value), help)
        }
        _ => {
            let message = format!("{} has no grain", name.value);
            (message, "remove `grain`: only numbers, dates and times have one")
        }
    };
    context.diagnostics.error(text.at, message, help);
}
