//! The check of `verify`, `total` and `filterable` of a route against its dialect and its orders.

use super::Context;
use crate::{
    diagnostic::nearest,
    keys::ROUTE,
    settings::{ListSettings, Mode, Role},
    spanned::Spanned,
};
use cursorgate_core::pagination::{
    order::Kind,
    resolver::{Totals, Verify},
};

/// Reports settings that contradict each other. `route` is the merged table.
pub(super) fn check(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    check_filterable(list, context);
    check_first_cursor(list, context);
    check_verify(list, route, context);
    check_total(list, route, context);
}

/// Warns if the first cursor, `start`, can also be the id of an item, because ids are the cursors of new clients.
fn check_first_cursor(list: &ListSettings, context: &mut Context<'_>) {
    let named = list.parameters.renamed.iter().chain(&list.envelope.parameters);
    let Some((_, name)) = named.into_iter().find(|(role, _)| *role == Role::AfterId) else { return };
    let start = &list.new_clients.start;
    let id = list.fields.iter().find(|field| field.name == "id").map(|field| &field.kind);
    let can_be_start = match id {
        Some(Kind::Number | Kind::NumberInString | Kind::Uuid | Kind::Datetime | Kind::Boolean) => false,
        Some(Kind::Rank(ranks)) => ranks.contains(start),
        Some(Kind::Inferred | Kind::Text | Kind::Opaque) | None => true,
    };
    if list.mode.value == Mode::Seek && can_be_start {
        let message = format!("`{start}` in `{}` is the first page, and so never an item with this id", name.value);
        let help = "if ids are numbers or UUIDs, say so: fields = { id = { type = \"number\" } }; else choose a word that \
                    is no id: new_clients.start = \"first\"";
        context.diagnostics.warning(list.mode.at, message, help);
    }
}

/// Reports `verify = "never"` on a list whose walk would then not end.
fn check_verify(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    let response = &list.dialect.response;
    let why = match list.verify {
        Verify::Never if response.hidden => "its offsets count items that it hides",
        Verify::Never if response.repeats_last_page && !list.declared => "after its end it returns the last page again",
        _ => return,
    };
    let at = ROUTE.verify.find(route).map_or(list.dialect.at, |verify| verify.at);
    let message = format!("with verify = \"never\" a walk over {} would not end: {why}", list.dialect.name);
    context.diagnostics.error(at, message, "remove `verify`, or write \"when-cheap\"");
}

/// Reports `total = "count"` if the dialect has no request for a total.
fn check_total(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    let counts = list.dialect.count.is_some() || list.dialect.response.total.is_some();
    if list.total == Totals::Count && !counts {
        let at = ROUTE.total.find(route).map_or(list.dialect.at, |total| total.at);
        let message = format!("{} can't be asked for a total", list.dialect.name);
        context.diagnostics.error(
            at,
            message,
            "add [count] or response.total in a dialect of your own, or write total = \"omit\"",
        );
    }
}

/// Reports filterable fields that are in no order: as an error if a field in an order has a similar name, and otherwise
/// as a warning.
fn check_filterable(list: &ListSettings, context: &mut Context<'_>) {
    let ordered = list.order.iter().map(|term| term.value.field.as_str());
    let sortable = list.sortable.iter().map(|field| field.value.as_str());
    let mut known: Vec<&str> = ordered.chain(sortable).chain(["id"]).collect();
    known.sort_unstable();
    known.dedup();
    for field in list.filterable.iter().filter(|field| !known.contains(&field.value.as_str())) {
        let message = format!("{} is in no order", field.value);
        match nearest(&field.value, known.iter().copied()) {
            Some(near) => context.diagnostics.error(field.at, message, format!("did you mean {near:?}?")),
            None => {
                let help = format!("pages are found by filters on the keys of orders: {}", known.join(", "));
                context.diagnostics.warning(field.at, message, help);
            }
        }
    }
}
