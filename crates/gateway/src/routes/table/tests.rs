use super::*;
use crate::lifecycle::snapshot::Snapshot;
use crate::{request::target::host_of, routes::route::parameter_names};
use cursorgate_config::{ProcessEnvironment, load_text};

/// Returns the table of routes that only forward, or the messages about faults in it.
fn table(routes: &[(&str, &str, &[&str])]) -> Result<RouteTable, Vec<String>> {
    let mut text = "version = 1\nother_paths = \"refuse\"\n[listeners.public]\naddress = \"10.0.0.1:0\"\n\
                    [upstreams.people]\npeers = [\"127.0.0.1:1\"]\n"
        .to_owned();
    for (name, path, hosts) in routes {
        text += &format!(
            "[routes.{name}]\npath = {path:?}\nhosts = {hosts:?}\nupstream = \"people\"\naction = \"forward\"\n"
        );
    }
    let (settings, mut diagnostics) = load_text("a.toml", &text, &ProcessEnvironment::default());
    let snapshot = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    snapshot
        .map(|snapshot| snapshot.table)
        .ok_or_else(|| diagnostics.iter().map(|fault| fault.message.clone()).collect())
}

fn name(table: &RouteTable, host: Option<&str>, path: &str) -> Option<String> {
    table.find(host, path).map(|found| found.route.name.clone())
}

/// A path may be spelled differently in the configuration and in the request.
#[test]
fn a_path_is_found_under_all_its_spellings() {
    use crate::request::path::normalize;
    let table = table(&[("cafe", "/caf%c3%a9/%7Elist/{id}", &[]), ("rest", "/{*rest}", &[])]).unwrap();
    for path in ["/café/~list/1", "/caf%C3%A9/~list/1,2", "/caf%c3%a9/%7elist/a;b/"] {
        let normal = normalize(path.as_bytes()).unwrap();
        assert_eq!(name(&table, None, &normal.text).as_deref(), Some("cafe"), "{path}");
    }
}

#[test]
fn the_more_specific_route_wins() {
    let table = table(&[
        ("rest", "/{*rest}", &[]),
        ("any_user", "/users/{user}", &[]),
        ("me", "/users/me", &[]),
        ("orders", "/users/{user}/orders", &[]),
        ("files", "/files/{*tail}", &[]),
        ("shop_user", "/users/{user}", &["shop.example"]),
        ("team", "/{team}/lists/{list}", &[]),
        ("team_files", "/{team}/files/{*tail}", &[]),
    ])
    .unwrap();
    for (host, path, route) in [
        (None, "/red/lists/7", "team"),
        (None, "/red/files/a/b", "team_files"),
        (None, "/red/files", "team_files"),
        (None, "/red/lists", "rest"),
        (None, "/red", "rest"),
        (None, "/users/me", "me"),
        (None, "/users/me/", "me"),
        (None, "/users/7", "any_user"),
        (None, "/users/7/orders", "orders"),
        (None, "/users/me/orders", "orders"),
        (None, "/users/7/orders/1", "rest"),
        (None, "/users", "rest"),
        (None, "/", "rest"),
        (None, "/files", "files"),
        (None, "/files/", "files"),
        (None, "/files/a/b", "files"),
        (None, "/filesystem", "rest"),
        (Some("shop.example"), "/users/me", "shop_user"),
        (Some("shop.example"), "/users/7/orders", "orders"),
        (Some("other.example"), "/users/me", "me"),
    ] {
        assert_eq!(name(&table, host, path).as_deref(), Some(route), "{host:?} {path}");
    }
}

#[test]
fn segments_are_exact_and_one_final_slash_is_optional() {
    let table = table(&[("users", "/api/users", &[])]).unwrap();
    for (path, found) in [
        ("/api/users", true),
        ("/api/users/", true),
        ("/api/Users", false),
        ("/api/usersx", false),
        ("/api", false),
        ("/", false),
    ] {
        assert_eq!(name(&table, None, path).is_some(), found, "{path}");
    }
}

#[test]
fn values_of_parameters_are_as_the_client_wrote_them() {
    let table = table(&[("order", "/users/{user}/orders/{order}", &[]), ("files", "/files/{*tail}", &[])]).unwrap();
    for (path, expected) in [
        ("/users/a%20b/orders/7", &[("user", "a%20b"), ("order", "7")][..]),
        ("/files/a/b/", &[("tail", "a/b/")]),
        ("/files/a/b", &[("tail", "a/b")]),
        ("/files", &[("tail", "")]),
    ] {
        let found = table.find(None, path).unwrap();
        let parameters: Vec<(&str, &str)> =
            found.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(parameters, expected, "{path}");
    }
}

#[test]
fn two_routes_for_the_same_requests_are_a_fault() {
    for routes in [
        &[("one", "/users/{user}", &[][..]), ("other", "/users/{id}", &[])][..],
        &[("one", "/users", &["a.example"]), ("other", "/users", &["b.example", "a.example"])],
        &[("one", "/files/{*tail}", &[]), ("other", "/files/{*rest}", &[])],
    ] {
        let faults = table(routes).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
    let apart: &[(&str, &str, &[&str])] = &[("one", "/users", &["a.example"]), ("other", "/users", &["b.example"])];
    assert!(table(apart).is_ok());
}

#[test]
fn hosts_are_compared_without_case_and_port() {
    for (authority, host) in [
        ("People.Example", "people.example"),
        ("people.example:8080", "people.example"),
        ("people.example.", "people.example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ] {
        assert_eq!(host_of(authority), host);
    }
}

#[test]
fn names_of_parameters_stand_between_braces() {
    assert_eq!(parameter_names("/users/{user}/orders/{*rest}"), ["user", "rest"]);
    assert_eq!(parameter_names("/users"), Vec::<String>::new());
}
