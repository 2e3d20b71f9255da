//! The choice of the built-in dialect that describes a learnt list. None of its keys may contradict the answers.

use toml::{Table, Value};

use crate::{
    findings::{Learnt, PlaceForm},
    prober::Base,
    prober::session::ProbeSlot,
};
use cursorgate_config::preset_dialects;

/// Returns the name of the built-in dialect that agrees with the list in the most settings. Returns `None` if every
/// dialect contradicts the list or agrees in no setting.
pub(crate) fn fitting(learnt: &Learnt, base: &Base) -> Option<&'static str> {
    let fits = preset_dialects().filter_map(|(name, text)| {
        let table: Table = text.parse().ok()?;
        Some((merit(&table, learnt, base)?, name))
    });
    fits.max_by_key(|(merit, _)| *merit).map(|(_, name)| name)
}

fn text<'t>(table: &'t Table, section: &str, key: &str) -> Option<&'t str> {
    table.get(section)?.as_table()?.get(key)?.as_str()
}

/// Returns the number of settings in which a dialect agrees with the list; `None` if it contradicts the list or agrees
/// in no setting.
fn merit(table: &Table, learnt: &Learnt, base: &Base) -> Option<usize> {
    // A dialect with `extends` is left out, since its own table is incomplete. A dialect with `headers`, `body` or
    // `method` is left out, since its requests were not tried.
    let request = table.get("request")?.as_table()?;
    if table.contains_key("extends") || ["headers", "body", "method"].iter().any(|key| request.contains_key(*key)) {
        return None;
    }
    if !asks_alike(table, learnt) || text(table, "response", "items").unwrap_or("") != learnt.shape.items {
        return None;
    }
    let response = table.get("response")?.as_table()?;
    let id = response.get("id").and_then(Value::as_str).unwrap_or("/id");
    if learnt.shape.id.as_deref() != Some(id) || !learnt.shape.item.is_empty() {
        return None;
    }
    let is_named = |key: &str, own: &Option<String>| match response.get(key).and_then(Value::as_str) {
        Some(place) => own.as_deref() == Some(place),
        None => own.is_none(),
    };
    let places = &learnt.places;
    if !is_named("total", &places.total) || response.contains_key("total_exact_when") {
        return None;
    }
    let others = ["has_more", "is_last", "next_url", "next_page", "last_page", "page", "offset", "size", "prev_url"];
    let mut agreements = usize::from(places.total.is_some()) + usize::from(!learnt.shape.items.is_empty());
    for key in others {
        let Some(place) = response.get(key).and_then(Value::as_str) else { continue };
        // The first page has no link to a previous page, so a missing link is no contradiction.
        if base.seen.at(place).is_none() && key != "prev_url" {
            return None;
        }
        agreements += 1;
    }
    let repeats = response.get("repeats_last_page").and_then(Value::as_bool).unwrap_or(false);
    let optional = response.get("items_optional").and_then(Value::as_bool).unwrap_or(false);
    let object = response.get("items_object").and_then(Value::as_str);
    if learnt.places.items_object.is_some() && learnt.places.items_object != object {
        return None;
    }
    if repeats != learnt.repeats_last_page || learnt.places.items_optional && !optional {
        return None;
    }
    // The dialect promises that no row is removed after the limit, and the answers show that some are.
    if learnt.hidden && response.get("hidden").and_then(Value::as_str) == Some("none") {
        return None;
    }
    if !ends_alike(response, learnt) || !sorts_alike(table, learnt) || !filters_alike(table, learnt) {
        return None;
    }
    // Without any agreement, two parameters with usual names and a bare array would fit many dialects, so at least one
    // agreement is required.
    (agreements > 0).then_some(agreements)
}

/// Returns whether the dialect has the parameters of size and place that were found, and no other variables.
fn asks_alike(table: &Table, learnt: &Learnt) -> bool {
    let query = text(table, "request", "query").unwrap_or_default();
    let named = |variable: &str| {
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(_, value)| *value == variable))
            .map(|(name, _)| name)
    };
    let first = table["request"].get("first_page").and_then(Value::as_integer).unwrap_or(1);
    let is =
        |slot: &ProbeSlot, variable: &str| *slot == ProbeSlot::Query(named(variable).unwrap_or_default().to_owned());
    let size = match &learnt.size {
        Some(form) => is(&form.slot, "{size}") && form.choices.is_empty(),
        None => named("{size}").is_none(),
    };
    let place = match &learnt.place {
        Some(PlaceForm::Page { slot, first: own }) => is(slot, "{page}") && i64::try_from(*own) == Ok(first),
        Some(PlaceForm::Offset { slot, first: 0 }) => is(slot, "{offset}"),
        Some(PlaceForm::Token { slot, place, parameter, previous }) => {
            let same = |key: &str, own: &Option<String>| text(table, "response", key) == own.as_deref();
            is(slot, "{token}")
                && text(table, "response", "next_token") == Some(place)
                && same("token_param", parameter)
                && (previous.is_none() || same("prev_token", previous))
        }
        _ => false,
    };
    let variables = query.matches('{').count();
    size && place && variables == 1 + usize::from(learnt.size.is_some())
}

fn ends_alike(response: &Table, learnt: &Learnt) -> bool {
    let known = response.get("past_end").and_then(Value::as_array);
    learnt.past_end.iter().all(|past| {
        known
            .into_iter()
            .flatten()
            .any(|entry| entry.get("status").and_then(Value::as_integer) == Some(past.status.into()))
    })
}

fn sorts_alike(table: &Table, learnt: &Learnt) -> bool {
    let Some(form) = &learnt.sort else { return true };
    let word =
        |key: &str, usual: &'static str| text(table, "sort", key).map_or_else(|| usual.to_owned(), str::to_owned);
    text(table, "sort", "query") == Some(&form.query)
        && word("ascending", "asc") == form.ascending
        && word("descending", "desc") == form.descending
        && text(table, "sort", "join") == form.join.as_deref()
        && !form.one_key
}

fn filters_alike(table: &Table, learnt: &Learnt) -> bool {
    let Some(form) = &learnt.ranges else { return true };
    form.terms.iter().all(|(key, template)| text(table, "filter", key) == Some(template.as_str()))
}
