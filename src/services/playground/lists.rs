//! `/playground/lists`: the lists that the page can read, and the parameters by which it reads them, as JSON.

use serde_json::{Map, Value, json};

use super::request::allowed;
use crate::{
    config::settings::{LegacyPolicy, Role},
    downstream::{envelope::places::EnvelopePlaces, response::level_word},
    gateway::{List, Route, Snapshot},
    json::Pointer,
};

/// Renders the lists that are served to GET, in the order of the configuration.
pub(super) fn render(snapshot: &Snapshot) -> String {
    // The page sends no other method.
    let lists = snapshot.routes.iter().filter(|route| route.methods.take(&http::Method::GET));
    let lists: Vec<Value> = lists.filter_map(|route| Some(described(route, route.list.as_ref()?))).collect();
    format!("{}\n", json!({ "lists": lists }))
}

fn described(route: &Route, list: &List) -> Value {
    let own = list.conventions.own();
    let places = own.envelope.places();
    let headers = allowed(list);
    json!({
        "name": route.name,
        "path": route.path.value,
        // Any of the hosts selects the route, and a request needs one.
        "host": route.hosts.first(),
        "mode": list.guarantee.mode.word(),
        "level": level_word(list.guarantee.level),
        "headers": headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
        "limit": {
            "parameter": own.parameters.query_name(Role::Limit),
            "default": list.page_size.default,
            "max": list.page_size.max,
        },
        "parameters": {
            "limit_backward": own.parameters.query_name(Role::LimitBackward),
            "cursor": own.parameters.query_name(Role::Cursor),
            "after": own.parameters.query_name(Role::After),
            "before": own.parameters.query_name(Role::Before),
        },
        "items": items(places.items.as_ref(), places.item.as_ref()),
        "id": list.dialect.id_place().map(|place| place.to_string()),
        "places": facts(places),
        "legacy": legacy(list),
    })
}

/// Returns the places of the facts that lead from a page to others: cursors, links and flags.
fn facts(places: &EnvelopePlaces) -> Map<String, Value> {
    const FACTS: [&str; 10] = [
        "next.cursor",
        "prev.cursor",
        "start.cursor",
        "end.cursor",
        "has_next",
        "has_prev",
        "links.first",
        "links.prev",
        "links.next",
        "links.last",
    ];
    FACTS.into_iter().filter_map(|name| Some((name.to_owned(), places.find(name)?.to_string().into()))).collect()
}

/// Returns how legacy requests page, in pages or in items, and the names of their parameters.
fn legacy(list: &List) -> Value {
    let dialect = &list.dialect;
    // A name that begins with `/` is a place in the body of a request, which the page can't send.
    let in_query = |name: Option<String>| name.filter(|name| !name.starts_with('/'));
    let (counts, first) = if dialect.counts_pages() { ("pages", dialect.first_page()) } else { ("items", 0) };
    json!({
        "policy": list.legacy.policy.map(LegacyPolicy::word),
        "parameter": in_query(dialect.place_name()),
        "counts": counts,
        "first": first,
        "size": in_query(dialect.size_name()),
        "items": items(Some(dialect.items_place()), Some(dialect.item_place())),
    })
}

/// Returns the place of the array of items in an answer, and that of the item in an element.
fn items(array: Option<&Pointer>, item: Option<&Pointer>) -> Value {
    json!({ "array": array.map(ToString::to_string), "item": item.map(ToString::to_string) })
}
