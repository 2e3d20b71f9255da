//! Advice on routes whose configuration has no mistakes.

use cursorgate_config::{
    Diagnostics,
    settings::{ListSettings, RouteSettings, Settings},
};
use cursorgate_core::pagination::{page::Level, paging::Family};
use cursorgate_gateway::Snapshot;

/// Warns of lists without a declared order, unless the upstream finds their pages by its own tokens: nothing then shows
/// that a page begins where the one before ended, if the list has changed.
pub(super) fn orders(settings: &Settings, snapshot: &Snapshot, diagnostics: &mut Diagnostics) {
    for (route, compiled) in settings.routes.iter().zip(&snapshot.routes) {
        let (Some(list), Some(served)) = (&route.list, compiled.described_list()) else { continue };
        if list.declared || served.dialect.paging().family == Family::Token {
            continue;
        }
        let name = &route.name.value;
        let level = if served.guarantee.level == Level::Positional { "positional" } else { "anchored" };
        let message = format!("{name}: no order is declared, so pages are {level} at best");
        let help = "write the order in which the service sorts the list, such as order = [\"-created_at\", \"id\"]: \
                    `cursorgate learn` and action = \"observe\" find it";
        diagnostics.warning(route.name.at, message, help);
    }
}

/// Returns the fields of the order and of `sortable` whose names suggest personal data. Cursors contain the values of
/// these fields.
pub(super) fn personal_keys(list: &ListSettings) -> Vec<&str> {
    let ordered = list.order.iter().map(|term| term.value.field.as_str());
    let mut fields: Vec<&str> = ordered
        .chain(list.sortable.iter().map(|field| field.value.as_str()))
        .filter(|field| is_personal(field))
        .collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn is_personal(field: &str) -> bool {
    const PARTS: [&str; 12] = [
        "mail", "phone", "mobile", "surname", "birth", "passport", "iban", "salary", "address", "ssn", "username",
        "login",
    ];
    const NAMES: [&str; 9] = [
        "name",
        "fullname",
        "firstname",
        "lastname",
        "givenname",
        "familyname",
        "displayname",
        "middlename",
        "maidenname",
    ];
    // `last_name` and `lastName` count as the same name. Test: `names_of_personal_things_are_known_in_every_spelling`.
    let folded: String = field.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // `name` is personal only as the whole name, and not as a part of `hostname`. Test:
    // `names_of_personal_things_are_known_in_every_spelling`.
    PARTS.iter().any(|part| folded.contains(part)) || NAMES.contains(&folded.as_str())
}

/// Returns the names of routes that forward other requests below a list's path to the same upstream. These requests
/// bypass the list's policy for legacy requests.
pub(super) fn catch_alls<'s>(route: &RouteSettings, settings: &'s Settings) -> Vec<&'s str> {
    let is_catch_all = |other: &&RouteSettings| {
        let same_host = route.hosts.is_empty()
            || other.hosts.is_empty()
            || other.hosts.iter().any(|host| route.hosts.contains(host));
        other.list.is_none()
            && other.upstream == route.upstream
            && same_host
            && covers(&other.path.value, &route.path.value)
    };
    settings.routes.iter().filter(is_catch_all).map(|other| other.name.value.as_str()).collect()
}

/// Returns whether `pattern` ends in a rest parameter, such as `{*rest}`, and matches paths below `path`.
fn covers(pattern: &str, path: &str) -> bool {
    let Some((base, _)) = pattern.split_once("/{*") else { return false };
    let is_parameter = |segment: &str| segment.starts_with('{');
    let mut path = path.split('/');
    base.split('/').all(|segment| {
        // A parameter in either path may have the value of the other path's segment, so the two segments match. Test:
        // `a_rest_path_covers_paths_below_its_base`.
        path.next().is_some_and(|other| segment == other || is_parameter(segment) || is_parameter(other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of personal data are recognised in each spelling, and names that only resemble them aren't.
    ///
    /// Row: A07
    #[test]
    fn names_of_personal_things_are_known_in_every_spelling() {
        for field in ["email", "userEmail", "E-Mail", "last_name", "lastName", "name", "date_of_birth", "phone_number"]
        {
            assert!(is_personal(field), "{field}");
        }
        for field in ["id", "created_at", "amount", "file_name", "hostname", "score", "rank", "telephony_cost"] {
            assert!(!is_personal(field), "{field}");
        }
    }

    /// A pattern with a rest parameter covers its base and all paths below the base. A parameter matches any segment.
    ///
    /// Row: A23
    #[test]
    fn a_rest_path_covers_paths_below_its_base() {
        for (pattern, path, is_covered) in [
            ("/{*rest}", "/api/users", true),
            ("/api/{*rest}", "/api/users", true),
            ("/api/{*rest}", "/apis/users", false),
            ("/api/users/{*rest}", "/api/users", true),
            ("/api/users/x/{*rest}", "/api/users", false),
            ("/api/{tenant}/{*rest}", "/api/a/users", true),
            ("/api/a/{*rest}", "/api/{tenant}/users", true),
            ("/api/users", "/api/users", false),
        ] {
            assert_eq!(covers(pattern, path), is_covered, "{pattern} {path}");
        }
    }
}
