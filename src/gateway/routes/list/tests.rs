//! Orders in every built-in dialect: the query for the upstream, and the same query when a client of the upstream sends
//! it.

use std::fmt::Write as _;

use crate::{
    config::{Environment, load_text, preset_dialects},
    downstream::fixture,
    gateway::Snapshot,
    pagination::order::Order,
};

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
    fixture::assert_snapshot("orders.txt", &text);
}
