//! Whether every old request passes, by the names of its parameters. Nothing is sent.

use std::collections::HashSet;

use http::HeaderMap;

use cursorgate_config::{
    Diagnostics,
    settings::{ListSettings, Mode, OldClients, Role, RouteSettings, Settings},
};
use cursorgate_gateway::{Snapshot, routes::list::List};
use cursorgate_translate::downstream::{Parameters, RequestKind};

/// The largest number of names that are combined. All built-in dialects and envelopes together have fewer on one route.
const MOST_NAMES: usize = 40;

/// The values that the names get in turn. None of them is a mark.
const VALUES: [&str; 4] = ["2", "abc", "", "2026-01-01"];

/// Reports an error for each route that says that old requests pass, and that would answer one of them itself: with up
/// to three of the names that its dialect, its envelopes, its filters and other APIs use, by GET, HEAD and POST.
pub(super) fn review(settings: &Settings, snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    let mut known: HashSet<Vec<String>> = HashSet::new();
    for (route, compiled) in settings.routes.iter().zip(&snapshot.routes) {
        let (Some(list), Some(served)) = (&route.list, &compiled.list) else { continue };
        let parameters = &served.conventions.choose(&HeaderMap::new()).convention.parameters;
        if list.legacy.old_clients != OldClients::Pass || !parameters.has_old_clients() {
            continue;
        }
        let names = names(list, served);
        // Many routes have the same names, and would be classified alike.
        if !known.insert(names.clone()) {
            continue;
        }
        if let Some(query) = first_kept(&names, |query| passes(parameters, query)) {
            report(route, list, &query, diagnostics);
        }
    }
}

fn report(route: &RouteSettings, list: &ListSettings, query: &str, diagnostics: &mut Diagnostics) {
    let name = &route.name.value;
    let message = format!("{name}: the request of an old client `?{query}` does not pass to the service");
    let help = "only a cursor marks a request of a new client: leave this name out of new_clients.by, or give the parameters of this route other names";
    diagnostics.error(super::old_clients::marks_at(list).unwrap_or(route.path.at), message, help);
}

/// Returns whether a request with this query passes, by GET and HEAD, which are read alike, and by POST.
fn passes(parameters: &Parameters, query: &str) -> bool {
    let by_get = parameters.read(Some(query)).is_ok_and(|read| read.kind != RequestKind::Cursor);
    by_get && parameters.passed(Some(query)).is_some()
}

/// Returns the names of the parameters that old clients may send.
fn names(list: &ListSettings, served: &List) -> Vec<String> {
    // An id may be any text, so a name that takes one marks every request. `check` says so in the line about clients.
    let marks = |role: &Role| list.mode.value == Mode::Seek && matches!(role, Role::AfterId | Role::BeforeId);
    let envelopes = std::iter::once(&list.envelope).chain(&list.envelopes).flat_map(|envelope| &envelope.parameters);
    let own = envelopes.chain(&list.parameters.renamed).filter(|(role, _)| !marks(role));
    let own = own.map(|(_, name)| name.value.clone()).filter(|name| !name.starts_with('/') && !name.contains(':'));
    let dialect = &served.dialect;
    let mut names: Vec<String> = dialect.paging_names().iter().chain(dialect.sort_names()).cloned().collect();
    names.extend(dialect.filter_names(list));
    names.extend(own);
    let foreign = ["page", "offset", "limit", "cursor", "after", "first", "size", "$skiptoken", "sort", "q"];
    names.extend(foreign.map(str::to_owned));
    names.sort();
    names.dedup();
    // The configuration says that these names are new clients'.
    names.retain(|name| list.new_clients.by.iter().all(|own| own.value != *name));
    if list.mode.value == Mode::Seek {
        let all = list.envelope.parameters.iter().chain(&list.parameters.renamed);
        let ids: Vec<&str> = all.filter(|(role, _)| marks(role)).map(|(_, name)| name.value.as_str()).collect();
        names.retain(|name| !ids.contains(&name.as_str()));
    }
    names.truncate(MOST_NAMES);
    names
}

/// Returns the first query with up to three of the names that doesn't pass, the shortest ones first.
fn first_kept(names: &[String], passes: impl Fn(&str) -> bool) -> Option<String> {
    let pair = |at: usize| format!("{}={}", names[at], VALUES[at % VALUES.len()]);
    let count = names.len();
    let twos = (0..count).flat_map(|one| (one + 1..count).map(move |two| (one, two)));
    let threes = twos.clone().flat_map(|(one, two)| (two + 1..count).map(move |three| (one, two, three)));
    let mut queries = std::iter::once(String::new())
        .chain((0..count).map(pair))
        .chain(twos.map(|(one, two)| format!("{}&{}", pair(one), pair(two))))
        .chain(threes.map(|(one, two, three)| format!("{}&{}&{}", pair(one), pair(two), pair(three))));
    queries.find(|query| !passes(query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_combination_that_does_not_pass_is_found() {
        let names = ["page", "limit", "cursor", "sort"].map(str::to_owned);
        assert_eq!(first_kept(&names, |_| true), None);
        assert_eq!(first_kept(&names, |query| !query.is_empty()), Some(String::new()));
        assert_eq!(first_kept(&names, |query| !query.contains("cursor")), Some("cursor=".to_owned()));
        let three = |query: &str| query.matches('&').count() < 2;
        assert_eq!(first_kept(&names, three), Some("page=2&limit=abc&cursor=".to_owned()));
    }
}
