//! Orders in every built-in dialect: the query for the upstream, and the same query when a client of the upstream sends
//! it.

use std::fmt::Write as _;

use crate::lifecycle::snapshot::Snapshot;
use cursorgate_config::{Environment, load_text, preset_dialects, preset_envelopes, settings::Role};
use cursorgate_core::pagination::order::Order;
use cursorgate_translate::downstream::RequestKind;

/// An environment in which every variable is a signing key.
struct Keys;

impl Environment for Keys {
    fn variable(&self, _name: &str) -> Option<String> {
        Some("8mEJ0qzKcQ1nH7vXwY2rT5uB9dFgLpZaSxC3kVtNjRo".to_owned())
    }

    fn read(&self, _path: &std::path::Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Returns a snapshot with a route in a dialect. The route can sort by a name, a time and the id. Nulls of the time
/// come last, and the upstream has another name for it. The route's own order is the id.
fn snapshot(dialect: &str) -> Snapshot {
    let text = format!(
        "version = 1\n[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n\
         [upstreams.people]\npeers = [\"127.0.0.1:1\"]\n\
         [routes.users]\nold_clients = \"none\"\npath = \"/users\"\nupstream = \"people\"\ndialect = \"own\"\norder = [\"id\"]\n\
         sortable = [\"name\", \"created_at\", \"id\"]\n\
         fields = {{ created_at = {{ upstream = \"created\", nulls = \"last\" }} }}\n\
         parameters = {{ sort = \"by\" }}\n\
         page_size = {{ default = 10, max = 10 }}\n\
         [dialects.own]\nextends = {dialect:?}\nsize = {{ default = 10 }}\n"
    );
    let (settings, mut diagnostics) = load_text("a.toml", &text, &Keys);
    let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    built.unwrap_or_else(|| panic!("{dialect}: {}", diagnostics.render(false)))
}

/// Each dialect that sorts with the query reads the orders that it writes, with the same meaning. The file `orders.txt`
/// contains the reason for each order that a dialect can't write. Laravel's dialects aren't tested here, nor dialects
/// that can't sort or that sort with the body.
#[test]
fn every_dialect_reads_back_the_orders_that_it_writes() {
    let mut text = String::new();
    for (dialect, _) in preset_dialects().filter(|(dialect, _)| !dialect.starts_with("laravel")) {
        let snapshot = snapshot(dialect);
        let list = snapshot.routes[0].list.as_ref().unwrap();
        let parameters = &list.conventions.own().parameters;
        if !list.dialect.can_sort() {
            continue;
        }
        let _ = writeln!(text, "{dialect}");
        for asked in ["created_at.desc", "-created_at,name", "name,-id", "id"] {
            let request = parameters.read(Some(&format!("by={asked}"))).unwrap();
            let terms = request.sort.clone().unwrap();
            let sorted = match list.dialect.sorted(&terms, request.id_direction) {
                Ok(sorted) => sorted,
                Err(unsortable) => {
                    let _ = writeln!(text, "  {asked:16} {unsortable:?}");
                    continue;
                }
            };
            if sorted.query.is_empty() {
                // Dialects that sort with the body don't read a query. Their contracts test them.
                let _ = writeln!(text, "  {asked:16} in the body");
                continue;
            }
            let _ = writeln!(text, "  {asked:16} {}", sorted.query);
            let back = parameters.read(Some(&sorted.query)).unwrap();
            let again = list.dialect.sorted(&back.sort.unwrap(), back.id_direction).unwrap();
            assert_eq!(again.query, sorted.query, "{dialect} {asked}");
            let strong = |order: &Order| order.strong().to_vec();
            assert_eq!(strong(&again.order), strong(&sorted.order), "{dialect} {asked}");
            assert!(back.filters.forwarded.is_empty(), "{dialect}: {} never passes", sorted.query);
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/snapshots/orders.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap(), "UPDATE_SNAPSHOTS=1 accepts it");
}

/// The names that a service, its old clients and an envelope use, alone and in pairs. A client of the envelope `stripe`
/// continues by an id, which the gateway didn't make, so its two parameters for ids mark by any value.
#[test]
fn no_name_marks_a_request_where_old_clients_pass() {
    const BY_ID: [Role; 2] = [Role::AfterId, Role::BeforeId];
    const ROLES: [Role; 6] = [Role::Limit, Role::LimitBackward, Role::Cursor, Role::After, Role::Before, Role::Sort];
    let (mut routes, mut requests) = (0, 0);
    for (dialect, _) in preset_dialects() {
        for (envelope, text) in preset_envelopes() {
            let methods = if text.contains(": \"/") { "methods = [\"POST\"]\n" } else { "" };
            let mode = if envelope == "stripe" { "mode = \"seek\"\n" } else { "" };
            let text = format!(
                "version = 1\n[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n\
                 [upstreams.people]\npeers = [\"127.0.0.1:1\"]\n\
                 [routes.users]\npath = \"/users\"\nupstream = \"people\"\ndialect = {dialect:?}\norder = [\"id\"]\n\
                 envelope = {envelope:?}\npage_size = {{ default = 5, max = 10 }}\nold_clients = \"pass\"\n{methods}{mode}"
            );
            let (settings, mut diagnostics) = load_text("a.toml", &text, &Keys);
            let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
            // Only some dialects can ask for one item, as the envelope `stripe` needs.
            let Some(snapshot) = built else {
                assert_eq!(envelope, "stripe", "{dialect}: {}", diagnostics.render(false));
                continue;
            };
            let list = snapshot.routes[0].list.as_ref().unwrap();
            let known = &list.conventions.own().parameters;
            let own = ROLES.into_iter().filter_map(|role| known.query_name(role));
            let of_service = [list.dialect.paging_names(), list.dialect.sort_names()].concat();
            let foreign = ["q", "status", "page", "offset", "limit", "cursor", "after", "first", "$skiptoken"];
            let mut names: Vec<String> = own.chain(foreign).map(str::to_owned).chain(of_service).collect();
            names.retain(|name| BY_ID.into_iter().all(|role| known.query_name(role) != Some(name)));
            names.sort_unstable();
            names.dedup();
            routes += 1;
            for (at, name) in names.iter().enumerate() {
                let alone = ["7", "abc", ""].map(|value| format!("{name}={value}"));
                let pairs = names[at..].iter().map(|other| format!("{name}=7&{other}=abc"));
                for query in alone.into_iter().chain(pairs) {
                    requests += 1;
                    assert!(known.passed(Some(&query)).is_some(), "{dialect} {envelope}: {query}");
                    let kind = known.read(Some(&query)).unwrap_or_else(|fault| panic!("{query}: {fault:?}")).kind;
                    assert_ne!(kind, RequestKind::Cursor, "{dialect} {envelope}: {query}");
                }
            }
        }
    }
    assert!(routes > 700 && requests > 50_000, "{requests} requests on {routes} routes");
}

/// A name that old clients may send can't mark a request as a new client's.
#[test]
fn names_that_the_service_knows_are_refused_as_marks() {
    for (dialect, name, refused) in [
        ("page-limit", "limit", "`limit` is a parameter of the dialect"),
        ("page-limit", "Page", "`Page` is a parameter of the dialect"),
        ("drf-page", "limit", ""),
        ("drf-page", "ordering", "`ordering` is a parameter of the dialect"),
        ("drf-page", "state", "`state` is a filter of this list"),
        ("whole-list", "limit", "gives the list whole"),
    ] {
        let text = format!(
            "version = 1\n[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n\
             [upstreams.people]\npeers = [\"127.0.0.1:1\"]\n\
             [routes.users]\npath = \"/users\"\nupstream = \"people\"\ndialect = {dialect:?}\norder = [\"id\"]\n\
             parameters = {{ filters = [\"state\"] }}\nold_clients = \"pass\"\nnew_clients = {{ by = [{name:?}] }}\n"
        );
        let (settings, mut diagnostics) = load_text("a.toml", &text, &Keys);
        let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
        let report = diagnostics.render(false);
        assert_eq!(built.is_some(), refused.is_empty(), "{dialect} {name}: {report}");
        assert!(report.contains(refused), "{dialect} {name}: {report}");
    }
}
