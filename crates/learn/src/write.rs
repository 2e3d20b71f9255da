//! The configuration of a learnt list, with the evidence as comments.

pub(super) mod preset;
pub mod report;

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::{
    findings::{Certainty, Learnt, ListField, NullsAt, PastEnd, PlaceForm},
    order::ValueOrder,
    prober::ProbeTarget,
    prober::session::{ProbeSlot, encoded},
    shape::header_name,
    types::types_operation,
};
use cursorgate_config::diagnostic::is_hidden;

/// The width of comments in characters.
const WIDTH: usize = 116;

/// The upstream that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct WrittenUpstream {
    /// The peer, as `host:port`.
    pub peer: String,
    /// True if the upstream is reached by TLS.
    pub tls: bool,
}

/// Returns a name for the route of a path: the last segment in lower case, with an underscore for each character that
/// isn't an ASCII letter or digit.
#[must_use]
pub fn route_name(path: &str) -> String {
    let name = path.split('/').rfind(|segment| !segment.is_empty()).unwrap_or("list");
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    let name = name.trim_matches('_').to_ascii_lowercase();
    if name.is_empty() { "list".to_owned() } else { name }
}

/// Returns the port of the gateway's listener: 8080, or 8081 if the peer has that port.
#[must_use]
pub fn gateway_port(peer: &str) -> u16 {
    if peer.ends_with(":8080") { 8081 } else { 8080 }
}

/// Returns the port of the admin listener: 9180, or 9181 if the peer has that port.
#[must_use]
pub fn admin_port(peer: &str) -> u16 {
    if peer.ends_with(":9180") { 9181 } else { 9180 }
}

/// Returns a complete configuration for a learnt list, in TOML. The route at `path` serves pages of at most `most`
/// items. `types` is the file with the document of [`types_document`](crate::types_document), if there is one.
#[must_use]
pub fn configuration(
    learnt: &Learnt,
    target: &ProbeTarget,
    path: &str,
    upstream: &WrittenUpstream,
    most: u32,
    types: Option<&str>,
) -> String {
    let name = route_name(path);
    let mut out = String::new();
    comment(
        &mut out,
        &format!("Learnt from {} by {} requests, none of which changes anything.", target.host, learnt.requests),
    );
    comment(&mut out, "`cursorgate check` explains this file, `cursorgate reference KEY` explains one key.");
    // The service may use the gateway's default ports. Other ports are then written. Test:
    // `a_learnt_configuration_avoids_the_port_of_its_upstream`.
    let (port, admin) = (gateway_port(&upstream.peer), admin_port(&upstream.peer));
    out.push_str("version = 1\n\n");
    if port != 8080 {
        comment(&mut out, "The service has the port at which the gateway listens by default.");
        let _ = writeln!(out, "listeners.public = {{ address = \"127.0.0.1:{port}\" }}\n");
    }
    out.push_str("[server]\n");
    comment(&mut out, "Links begin with this address: set it to the one that clients use.");
    let _ = writeln!(out, "public_url = \"env:CURSORGATE_PUBLIC_URL:http://127.0.0.1:{port}\"\n\n[admin]");
    comment(&mut out, "Health, metrics and the API description, for operators.");
    let _ = writeln!(out, "address = \"127.0.0.1:{admin}\"\n\n[cursor]");
    comment(
        &mut out,
        "The key that signs cursors: `cursorgate keygen` makes one. Keep it, since another key ends all cursors.",
    );
    out.push_str("signing_key = 1\nkeys = { 1 = \"env:CURSORGATE_KEY\" }\n\n[upstreams.service]\n");
    let _ = writeln!(out, "peers = [{}]", quoted(&upstream.peer));
    if let Some(host) = &learnt.host_header {
        comment(&mut out, "The service answers only under this name. Without this line it gets the clients' Host.");
        let _ = writeln!(out, "host_header = {}", quoted(host));
    }
    if upstream.tls {
        out.push_str("tls = {}\n");
    }
    out.push('\n');
    if target.body.is_none() {
        comment(&mut out, "The list: new clients send ?cursor=start, and then the cursor of each page.");
    }
    let (dialect, own) = dialect(learnt, target, &name);
    let mut route = route(learnt, target, path, &dialect, most);
    if let Some(file) = types {
        let openapi = table([("file", string(file)), ("operation", string(types_operation(target, path)))]);
        route.insert("openapi".to_owned(), Value::Table(openapi));
    }
    out.push_str(&text_of(&route, &format!("routes.{name}"), "route"));
    if let Some(own) = own {
        out.push('\n');
        out.push_str(&text_of(&own, &format!("dialects.{dialect}"), "dialect"));
    }
    if path != "/" {
        out.push_str("\n# Everything else passes through unchanged.\n[routes.everything_else]\npath = \"/{*rest}\"\n");
        out.push_str("upstream = \"service\"\naction = \"forward\"\n");
    }
    out.push('\n');
    evidence(&mut out, learnt);
    out
}

fn comment(out: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + word.len() > WIDTH && line.len() > 2 {
            let _ = writeln!(out, "{line}");
            line = "#  ".to_owned();
        }
        line.push(' ');
        // TOML allows no control characters in comments, but strings from the upstream may contain some, so they are
        // removed.
        line.extend(word.chars().filter(|letter| !is_hidden(*letter)));
    }
    let _ = writeln!(out, "{line}");
}

fn evidence(out: &mut String, learnt: &Learnt) {
    comment(out, "What was found, and how surely:");
    for finding in &learnt.findings {
        let how = match finding.certainty {
            Certainty::Shown => "shown",
            Certainty::Likely => "likely",
            Certainty::Open => "open",
        };
        comment(out, &format!("- {}: {} ({how}: {})", finding.about, finding.found, finding.evidence));
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Writes a table with its header. Sections within the table get separate headers, other tables are written inline.
/// `place` is the table's place, in which a route and a dialect have no names.
fn text_of(table: &Table, name: &str, place: &str) -> String {
    let mut out = String::new();
    let lines: Vec<_> = table.iter().filter(|(key, value)| *key != SECTION && !is_section(value)).collect();
    if !lines.is_empty() {
        explain(&mut out, place);
        let _ = writeln!(out, "[{name}]");
    }
    for (key, value) in lines {
        explain(&mut out, &format!("{place}.{key}"));
        let key = if key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-') {
            key.clone()
        } else {
            quoted(key)
        };
        let _ = writeln!(out, "{key} = {value}");
    }
    for (key, value) in table.iter().filter(|(_, value)| is_section(value)) {
        if let Value::Table(section) = value {
            let blank = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{blank}{}", text_of(section, &format!("{name}.{key}"), &format!("{place}.{key}")));
        }
    }
    out
}

/// Writes the comment for the table or the key at a place; nothing for places that need none.
fn explain(out: &mut String, place: &str) {
    let text = match place {
        "route.upstream_path" => "The path at the service.",
        "route.dialect" => "How the service pages. `cursorgate dialects` lists the built-in ways.",
        "route.order" => "What the list is sorted by; `id` at the end is the item's id.",
        "route.ties" => "Items with equal times come in the order of their ids.",
        "route.sortable" => "The fields by which new clients may sort.",
        "route.filterable" => {
            "The fields by which the service filters ranges, so deep pages cost as much as the first."
        }
        "route.page_size" => {
            "Clients get at most `max` items a page. For a larger `max`, see the cost that `check` prints."
        }
        "route.principal" => "The headers that tell clients apart.",
        "route.old_clients" => {
            "Requests without such a cursor pass as before, and are counted at /migration of the admin listener."
        }
        "route.openapi" => "The types of the items, for GraphQL, tools and clients.",
        "route.fields" => "The types of the fields above, as the items have them.",
        "dialect.request" => "How a page is requested.",
        "dialect.size" => "The sizes that the service honours.",
        "dialect.response" => "Where the parts of a response are, as JSON Pointers.",
        "dialect.response.items" => "The array of items.",
        "dialect.response.id" => "The id, within an item.",
        "dialect.response.total" => "The number of items of the list.",
        "dialect.response.end" => "What shows the end of the list.",
        "dialect.response.past_end" => "The response to a request past the end.",
        "dialect.sort" => "How an order is requested.",
        "dialect.sort.max_keys" => "The service sorts by one field a request.",
        "dialect.filter" => "How a range of keys is requested.",
        "dialect.item" => "How a single item is requested.",
        _ => return,
    };
    comment(out, text);
}

/// Returns whether a value is a table that gets a separate header. The key [`SECTION`] marks such tables.
fn is_section(value: &Value) -> bool {
    value.as_table().is_some_and(|table| table.contains_key(SECTION))
}

/// The key that marks a table as a section. No key of a configuration has this name.
const SECTION: &str = "\u{0}";

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn string(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

fn strings<'t>(texts: impl IntoIterator<Item = &'t str>) -> Value {
    Value::Array(texts.into_iter().map(string).collect())
}

/// The number of items with equal times, in the order of their ids, from which on times are taken to be shown with all
/// the digits that they are sorted by: with fewer digits, such items come in the order of the others.
const ENOUGH_TIES: usize = 20;

/// Returns whether the items show that a requested order by times sorts equal ones by their ids.
fn has_ordered_ties(learnt: &Learnt) -> bool {
    let Some(order) = &learnt.order else { return false };
    let has_times = order.keys.iter().any(|(field, _)| field.comparison == ValueOrder::Datetime);
    let asks_for_id = learnt.sort.as_ref().is_some_and(|form| !form.one_key && form.id.is_some());
    has_times && asks_for_id && order.ordered_ties >= ENOUGH_TIES
}

/// Returns the table of the route.
fn route(learnt: &Learnt, target: &ProbeTarget, path: &str, dialect: &str, most: u32) -> Table {
    // The path of a route matches with and without a final slash, and is written without it.
    let bare = path.trim_end_matches('/');
    let mut route = table([("path", string(if bare.is_empty() { "/" } else { bare }))]);
    if target.body.is_some() {
        route.insert("methods".to_owned(), strings(["POST"]));
    }
    route.insert("upstream".to_owned(), string("service"));
    let asked = learnt.upstream_path.as_deref().unwrap_or(path);
    // The path at the upstream may need a final slash, which the path of the route lacks. Test:
    // `a_redirect_to_a_slash_is_followed_and_kept`.
    if asked != bare && asked != "/" {
        route.insert("upstream_path".to_owned(), string(asked));
    }
    route.insert("dialect".to_owned(), string(dialect));
    if let Some(order) = &learnt.order {
        let signed = |name: &str, down: bool| if down { format!("-{name}") } else { name.to_owned() };
        let mut terms: Vec<String> = order.keys.iter().map(|(field, down)| signed(&field.name, *down)).collect();
        terms.push(signed("id", order.id_descending));
        route.insert("order".to_owned(), strings(terms.iter().map(String::as_str)));
    }
    if has_ordered_ties(learnt) {
        route.insert("ties".to_owned(), string("ordered"));
    }
    if let Some(form) = &learnt.sort {
        let fields: Vec<&str> = form.fields.iter().map(String::as_str).collect();
        route.insert("sortable".to_owned(), strings(fields));
    }
    if let Some(form) = &learnt.ranges {
        route.insert("filterable".to_owned(), strings(form.fields.iter().map(String::as_str)));
    }
    let default = learnt.default_size.min(most).min(20);
    let sizes = table([("default", Value::Integer(default.into())), ("max", Value::Integer(most.into()))]);
    route.insert("page_size".to_owned(), Value::Table(sizes));
    if !learnt.principal.is_empty() {
        let usual = ["Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token"];
        let own = learnt
            .principal
            .iter()
            .map(String::as_str)
            .filter(|name| !usual.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let own: Vec<&str> = own.collect();
        if !own.is_empty() {
            // The key replaces its default, so the usual headers must be listed, too.
            route.insert("principal".to_owned(), strings(usual.into_iter().chain(own)));
        }
    }
    if target.body.is_some() {
        let names = table([("limit", string("/limit")), ("cursor", string("/cursor"))]);
        route.insert("parameters".to_owned(), Value::Table(names));
    }
    // The list may have clients today, whatever its pages are. Their requests pass through until they are changed. Test:
    // `a_learnt_route_leaves_old_clients_alone`.
    route.insert("old_clients".to_owned(), string("pass"));
    let fields = fields(learnt);
    if !fields.is_empty() {
        route.insert("fields".to_owned(), Value::Table(fields));
    }
    route
}

/// Returns the body of a new client's first request for a list that is read by POST: `given` with the mark, and without
/// the position of the service's own pages. Test: `the_printed_first_page_of_a_search_is_a_page`.
#[must_use]
pub fn first_body(learnt: &Learnt, given: &serde_json::Value) -> serde_json::Value {
    let mut body = given.clone();
    let position = match &learnt.place {
        Some(
            PlaceForm::Page { slot, .. }
            | PlaceForm::Offset { slot, .. }
            | PlaceForm::Token { slot, .. }
            | PlaceForm::After { slot, .. },
        ) => slot.name(),
        _ => "",
    };
    let member = position.rsplit_once('/').map(|(parent, name)| (parent, name.replace("~1", "/").replace("~0", "~")));
    if let Some((parent, name)) = member
        && let Some(members) = body.pointer_mut(parent).and_then(serde_json::Value::as_object_mut)
    {
        members.remove(&name);
    }
    if let Some(members) = body.as_object_mut() {
        members.insert("cursor".to_owned(), "start".into());
    }
    body
}

/// Returns the table `fields` of the route. It contains the fields of the order, the fields that can be sorted, and the
/// id if it needs a description.
fn fields(learnt: &Learnt) -> Table {
    let mut found = Table::new();
    let of_order = learnt.order.iter().flat_map(|order| &order.keys).map(|(field, _)| field);
    for field in of_order.chain(&learnt.sortable) {
        if !found.contains_key(&field.name) {
            found.insert(field.name.clone(), Value::Table(described(field)));
        }
    }
    let own = learnt.order.as_ref().and_then(|order| order.id_comparison.as_ref());
    // Ids that are sorted alike as numbers and as text get no type. Test:
    // `ids_that_may_be_numbers_or_text_get_no_type`.
    let kind = match own {
        Some(ValueOrder::NumberInString) => Some("number-in-string"),
        Some(ValueOrder::Uuid) => Some("uuid"),
        _ => None,
    };
    if let Some(kind) = kind {
        found.insert("id".to_owned(), Value::Table(table([("type", string(kind))])));
    }
    if let Some(name) = learnt.sort.as_ref().and_then(|form| form.id.as_ref()).filter(|name| *name != "id") {
        let entry = found.entry("id".to_owned()).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(entry) = entry {
            entry.insert("upstream".to_owned(), string(name.clone()));
        }
    }
    if !found.is_empty() {
        found.insert(SECTION.to_owned(), Value::Boolean(true));
    }
    found
}

fn described(field: &ListField) -> Table {
    let mut own = match &field.comparison {
        ValueOrder::Number => table([("type", string("number"))]),
        ValueOrder::NumberInString => table([("type", string("number-in-string"))]),
        ValueOrder::Datetime => table([("type", string("datetime"))]),
        ValueOrder::Boolean => table([("type", string("boolean"))]),
        ValueOrder::Uuid => table([("type", string("uuid"))]),
        // Without a type, strings are compared by bytes until an answer contradicts that.
        ValueOrder::NumberOrBytes => Table::new(),
        ValueOrder::Bytes => table([("type", string("string"))]),
        ValueOrder::Language => table([("type", string("opaque"))]),
        ValueOrder::Rank(ranks) => {
            table([("type", string("rank")), ("ranks", strings(ranks.iter().map(String::as_str)))])
        }
    };
    let nulls = match field.nulls {
        Some(NullsAt::First) => Some("first"),
        Some(NullsAt::Last) => Some("last"),
        Some(NullsAt::Smallest) => Some("smallest"),
        Some(NullsAt::Largest) => Some("largest"),
        None => None,
    };
    if let Some(nulls) = nulls {
        own.insert("nulls".to_owned(), string(nulls));
    }
    if field.pointer != format!("/{}", field.name) {
        own.insert("at".to_owned(), string(field.pointer.clone()));
    }
    if field.upstream != field.name {
        own.insert("upstream".to_owned(), string(field.upstream.clone()));
    }
    own
}

/// Returns the name of the dialect, and its table; `None` for a built-in dialect without changes.
fn dialect(learnt: &Learnt, target: &ProbeTarget, name: &str) -> (String, Option<Table>) {
    let max = learnt.size.as_ref().and_then(|form| form.max);
    // The filters of the URL are a part of `request.query`, so a built-in dialect can't have them. Test:
    // `filters_of_the_url_are_part_of_every_request`. The same is true of headers, dropped items and bounds.
    let is_bounded = learnt.max_depth.or(learnt.max_offset).is_some() || learnt.is_aligned;
    let is_bare = learnt.fixed.is_empty() && target.accept.is_none() && !learnt.hidden && !is_bounded;
    if let Some(preset) = learnt.preset.filter(|_| is_bare) {
        let Some(max) = max else { return (preset.to_owned(), None) };
        let size = table([("max", Value::Integer(max.into()))]);
        let own = table([("extends", string(preset)), ("size", Value::Table(section(size)))]);
        return (name.to_owned(), Some(own));
    }
    let mut own = Table::new();
    own.insert("request".to_owned(), Value::Table(section(request(learnt, target))));
    let size = size(learnt);
    if !size.is_empty() {
        own.insert("size".to_owned(), Value::Table(section(size)));
    }
    own.insert("response".to_owned(), Value::Table(section(response(learnt))));
    if let Some(form) = &learnt.sort {
        let mut sort = table([
            ("query", string(form.query.clone())),
            ("ascending", string(form.ascending.clone())),
            ("descending", string(form.descending.clone())),
        ]);
        match &form.join {
            Some(join) => drop(sort.insert("join".to_owned(), string(join.clone()))),
            None if form.one_key => drop(sort.insert("max_keys".to_owned(), Value::Integer(1))),
            None => {}
        }
        own.insert("sort".to_owned(), Value::Table(section(sort)));
    }
    if let Some(form) = &learnt.ranges {
        let terms = form.terms.iter().map(|(key, template)| ((*key).to_owned(), string(template.clone())));
        own.insert("filter".to_owned(), Value::Table(section(terms.collect())));
    }
    if let Some((path, place)) = &learnt.item_path {
        let mut item = table([("path", string(path.clone()))]);
        if !place.is_empty() {
            item.insert("value".to_owned(), string(place.clone()));
        }
        own.insert("item".to_owned(), Value::Table(section(item)));
    }
    (name.to_owned(), Some(own))
}

fn section(mut table: Table) -> Table {
    table.insert(SECTION.to_owned(), Value::Boolean(true));
    table
}

fn request(learnt: &Learnt, target: &ProbeTarget) -> Table {
    let mut pairs: Vec<String> = Vec::new();
    let fixed: Vec<(&str, &str)> = learnt.fixed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if !fixed.is_empty() {
        // Braces are doubled, since single ones are variables in templates.
        pairs.push(encoded(&fixed).replace('{', "{{").replace('}', "}}"));
    }
    let (mut body, mut headers) = (Table::new(), Table::new());
    let mut add = |slot: &ProbeSlot, variable: &str| match slot {
        ProbeSlot::Query(name) => pairs.push(format!("{name}={variable}")),
        ProbeSlot::Body(pointer) => set(&mut body, pointer, variable),
        ProbeSlot::Header(name) => {
            headers.insert(header_name(name.as_str()), string(variable));
        }
    };
    let (mut first_page, mut first_item) = (None, None);
    match &learnt.place {
        Some(PlaceForm::Page { slot, first }) => {
            add(slot, "{page}");
            first_page = Some(*first).filter(|first| *first != 1);
        }
        Some(PlaceForm::Offset { slot, first }) => {
            add(slot, "{offset}");
            first_item = Some(*first).filter(|first| *first != 0);
        }
        Some(PlaceForm::Token { slot, .. }) => add(slot, "{token}"),
        Some(PlaceForm::After { slot, .. }) => add(slot, "{after}"),
        Some(PlaceForm::Link { .. } | PlaceForm::Members { .. } | PlaceForm::Whole) | None => {}
    }
    if let Some(form) = &learnt.size {
        add(&form.slot, "{size}");
    }
    let mut request = table([("query", string(pairs.join("&")))]);
    if target.body.is_some() {
        request.insert("method".to_owned(), string("POST"));
        request.insert("body".to_owned(), Value::Table(body));
    }
    if matches!(learnt.place, Some(PlaceForm::After { is_inclusive: true, .. })) {
        request.insert("after_inclusive".to_owned(), Value::Boolean(true));
    }
    // The gateway replaces the client's Accept, so the route needs the one with which the list was learnt. Test:
    // `an_accept_header_is_a_part_of_the_route`.
    if let Some(accept) = &target.accept {
        headers.insert("Accept".to_owned(), string(accept.clone()));
    }
    if !headers.is_empty() {
        request.insert("headers".to_owned(), Value::Table(headers));
    }
    if learnt.is_aligned {
        request.insert("aligned".to_owned(), Value::Boolean(true));
    }
    let numbers = [
        ("first_page", first_page),
        ("first_item", first_item),
        ("max_depth", learnt.max_depth),
        ("max_offset", learnt.max_offset),
    ];
    for (key, first) in numbers {
        let number = first.and_then(|first| i64::try_from(first).ok());
        request.extend(number.map(|number| (key.to_owned(), Value::Integer(number))));
    }
    request
}

/// Sets the member at a pointer, in the body of a dialect, to a variable such as `{page}`.
fn set(body: &mut Table, pointer: &str, variable: &str) {
    let mut steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let Some(last) = steps.pop() else { return };
    let mut at = body;
    for step in steps {
        let entry = at.entry(step).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else { return };
        at = inner;
    }
    at.insert(last, string(variable));
}

fn size(learnt: &Learnt) -> Table {
    let mut size = Table::new();
    match &learnt.size {
        Some(form) if !form.choices.is_empty() => {
            let choices = form.choices.iter().map(|choice| Value::Integer((*choice).into())).collect();
            size.insert("choices".to_owned(), Value::Array(choices));
        }
        Some(form) => {
            if let Some(max) = form.max {
                size.insert("max".to_owned(), Value::Integer(max.into()));
            }
        }
        // Without a size parameter, pages are as large as the first answer. Test: `pages_of_a_fixed_size_are_learnt`.
        None if learnt.place != Some(PlaceForm::Whole) => {
            size.insert("default".to_owned(), Value::Integer(learnt.default_size.into()));
        }
        // If each answer is the whole list, pages have no fixed size.
        None => {}
    }
    size
}

fn response(learnt: &Learnt) -> Table {
    let mut response = table([("items", string(learnt.shape.items.clone()))]);
    let mut add = |key: &str, place: &Option<String>| {
        if let Some(place) = place {
            response.insert(key.to_owned(), string(place.clone()));
        }
    };
    if !learnt.shape.item.is_empty() {
        add("item", &Some(learnt.shape.item.clone()));
    }
    add("id", &learnt.shape.id);
    let places = &learnt.places;
    add("total", &places.total);
    add("has_more", &places.has_more);
    add("is_last", &places.is_last);
    match &learnt.place {
        Some(PlaceForm::Token { place, parameter, previous, .. }) => {
            add("next_token", &Some(place.clone()));
            add("prev_token", previous);
            add("token_param", parameter);
        }
        Some(PlaceForm::Link { place, previous }) => {
            add("next_url", &Some(place.clone()));
            add("prev_url", previous);
        }
        Some(PlaceForm::Members { place, names }) => {
            add("next_params", &Some(place.clone()));
            if !names.is_empty() {
                let names = names.iter().map(|(member, name)| (member.clone(), string(name.clone()))).collect();
                response.insert("param_names".to_owned(), Value::Table(names));
            }
        }
        Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }) => {
            add("next_url", &places.next_url);
            add("prev_url", &places.prev_url);
        }
        _ => {}
    }
    if places.items_optional {
        response.insert("items_optional".to_owned(), Value::Boolean(true));
    }
    if let Some(word) = places.items_object {
        response.insert("items_object".to_owned(), string(word));
    }
    if learnt.repeats_last_page {
        response.insert("repeats_last_page".to_owned(), Value::Boolean(true));
    }
    if learnt.hidden {
        response.insert("hidden".to_owned(), Value::Boolean(true));
    }
    if learnt.counts_rows {
        response.insert("total_counts".to_owned(), string("rows"));
    }
    let tells_end = places.has_more.is_some() || places.is_last.is_some();
    // Without a flag, only an empty page shows the end of such a list. Test:
    // `the_id_of_the_last_item_without_a_flag_ends_with_an_empty_page`.
    if matches!(learnt.place, Some(PlaceForm::After { .. })) && !tells_end {
        response.insert("end".to_owned(), string("empty-page"));
    }
    if learnt.place == Some(PlaceForm::Whole) {
        response.insert("end".to_owned(), string("whole-list"));
    }
    let past: Vec<Value> = learnt.past_end.iter().map(past_end).collect();
    if !past.is_empty() {
        response.insert("past_end".to_owned(), Value::Array(past));
    }
    response
}

fn past_end(past: &PastEnd) -> Value {
    let mut entry = table([("status", Value::Integer(past.status.into()))]);
    if let Some((place, text)) = &past.member {
        let body: Table = std::iter::once((place.clone(), string(text.clone()))).collect();
        entry.insert("body".to_owned(), Value::Table(body));
    }
    Value::Table(entry)
}
