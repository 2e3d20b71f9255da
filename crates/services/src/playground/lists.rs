//! `/playground/lists`: the lists that the page can read, and the parameters with which it reads them, as JSON.

use serde_json::{Map, Value, json};

use super::request::allowed;
use cursorgate_config::settings::Role;
use cursorgate_core::json::Pointer;
use cursorgate_gateway::{List, Route, Snapshot};
use cursorgate_translate::downstream::{envelope::places::EnvelopePlaces, response::level_word};

/// Returns the lists that answer GET as a JSON document, in the order of the configuration.
pub(super) fn render(snapshot: &Snapshot) -> String {
    // Lists that don't answer GET are left out, because the page sends only GET.
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
        // Any of the hosts selects the route, so the page uses the first one.
        "host": route.hosts.first(),
        "mode": list.guarantee.mode.word(),
        "level": level_word(list.guarantee.level),
        "headers": headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
        "limit": {
            "parameter": own.parameters.query_name(Role::Limit),
            "default": list.page_size.default,
            "max": list.page_size.max,
        },
        // Where old clients pass, the first page needs a mark.
        "start": own.parameters.start_name().filter(|_| own.parameters.has_old_clients()),
        "first": own.parameters.first_cursor(),
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

/// Returns the JSON Pointers of the facts that lead from a page to other pages: cursors, links and flags. Facts that
/// the envelope doesn't contain are left out.
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

/// Returns the description of legacy requests: whether they count pages or items, and the names of their parameters.
fn legacy(list: &List) -> Value {
    let dialect = &list.dialect;
    // A name that begins with `/` is a place in a request's body, which the page can't send.
    let in_query = |name: Option<String>| name.filter(|name| !name.starts_with('/'));
    let (counts, first) = if dialect.counts_pages() { ("pages", dialect.first_page()) } else { ("items", 0) };
    json!({
        "old_clients": list.legacy.old_clients.word(),
        "parameter": in_query(dialect.place_name()),
        "counts": counts,
        "first": first,
        "size": in_query(dialect.size_name()),
        "items": items(Some(dialect.items_place()), Some(dialect.item_place())),
    })
}

/// Returns the place of the array of items in an answer, and the place of the item in an element, as JSON Pointers.
fn items(array: Option<&Pointer>, item: Option<&Pointer>) -> Value {
    json!({ "array": array.map(ToString::to_string), "item": item.map(ToString::to_string) })
}
