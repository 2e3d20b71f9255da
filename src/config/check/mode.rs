//! `mode` and `total` of a route, held against what its dialect can do; `filterable` against its orders.

use super::Context;
use crate::{
    config::{
        diagnostic::nearest,
        keys::{LEGACY, ROUTE},
        mode::{Places, keyset_obstacle, seek_obstacle},
        settings::{LegacyPolicy, ListSettings, Mode},
        spanned::Spanned,
    },
    pagination::resolver::{Totals, Verify},
};

/// Reports what can't work. `route` is what was written of it.
pub(super) fn check(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    check_filterable(list, context);
    let Some(places) = Places::of(&list.dialect) else {
        return;
    };
    let name = &list.dialect.name;
    let first = list.order.first().map_or("id", |term| term.value.field.as_str());
    let first = list.declared.then_some(first);
    let obstacle = match list.mode.value {
        Mode::Keyset => keyset_obstacle(list, first),
        Mode::Seek => seek_obstacle(list, first),
        Mode::Auto if places == Places::Ranges => keyset_obstacle(list, first),
        Mode::Auto | Mode::Offset | Mode::Token => None,
    };
    let word = list.mode.value.word();
    if let Some(obstacle) = obstacle {
        let message = format!("mode = {word:?} needs {}", obstacle.needs);
        context.diagnostics.error(list.mode.at, message, obstacle.help);
    }
    if list.mode.value == Mode::Token && places != Places::Tokens {
        let by = match places {
            Places::Pages => "page number",
            Places::Ranges => "range",
            Places::Offsets | Places::Tokens => "offset",
        };
        let help = "remove `mode`, or name a dialect whose upstream hands out tokens";
        context.diagnostics.error(
            list.mode.at,
            format!("mode = \"token\" needs tokens, and {name} asks by {by}"),
            help,
        );
    }
    if list.mode.value == Mode::Offset && matches!(places, Places::Tokens | Places::Ranges) {
        let help = "remove `mode`, or name a dialect with {offset} or {page}";
        let pages = if places == Places::Tokens { "pages by what it hands out" } else { "is told none" };
        let message = format!("mode = \"offset\" needs places, and {name} {pages}");
        context.diagnostics.error(list.mode.at, message, help);
    }
    let by_place = matches!(list.legacy.policy, Some(LegacyPolicy::Translate | LegacyPolicy::Redirect));
    if by_place && matches!(places, Places::Tokens | Places::Ranges) {
        let at = LEGACY.policy.find(&ROUTE.legacy.table(route)).map_or(list.dialect.at, |policy| policy.at);
        let hold = if places == Places::Tokens { "hold tokens, which say" } else { "say" };
        let message = format!("requests of {name} {hold} no place that could be translated");
        context.diagnostics.error(at, message, "policy = \"passthrough\" or \"reject\"");
    }
    check_verify(list, route, context);
    check_total(list, route, context);
}

/// Reports places that can't be trusted unproven.
fn check_verify(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    let response = &list.dialect.response;
    let why = match list.verify {
        Verify::Never if response.hidden => "whose offsets count items that it hides",
        Verify::Never if response.repeats_last_page && !list.declared => {
            "which gives its last page for whatever is behind its end"
        }
        _ => return,
    };
    let at = ROUTE.verify.find(route).map_or(list.dialect.at, |verify| verify.at);
    let message = format!("verify = \"never\" would walk for ever over {}, {why}", list.dialect.name);
    context.diagnostics.error(at, message, "remove `verify`, or write \"when-cheap\"");
}

/// Reports totals that can't be asked for.
fn check_total(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    let counts = list.dialect.count.is_some() || list.dialect.response.total.is_some();
    if list.total == Totals::Count && !counts {
        let at = ROUTE.total.find(route).map_or(list.dialect.at, |total| total.at);
        let message = format!("{} can't be asked for a total", list.dialect.name);
        context.diagnostics.error(
            at,
            message,
            "give it [count] or response.total in a dialect of your own, or omit the total",
        );
    }
}

/// Reports fields that no order has: a slip where one has nearly that name.
fn check_filterable(list: &ListSettings, context: &mut Context<'_>) {
    let ordered = list.order.iter().map(|term| term.value.field.as_str());
    let sortable = list.sortable.iter().map(|field| field.value.as_str());
    let mut known: Vec<&str> = ordered.chain(sortable).chain(["id"]).collect();
    known.sort_unstable();
    known.dedup();
    for field in list.filterable.iter().filter(|field| !known.contains(&field.value.as_str())) {
        let message = format!("no order has a key {}", field.value);
        match nearest(&field.value, known.iter().copied()) {
            Some(near) => context.diagnostics.error(field.at, message, format!("did you mean {near:?}?")),
            None => {
                let help = format!("filters find pages by the keys of orders: {}", known.join(", "));
                context.diagnostics.warning(field.at, message, help);
            }
        }
    }
}
