use super::*;
use crate::downstream::request::params::{
    ListRequest, RequestKind, RequestedPosition,
    tests::{list, located, names, strings},
};
use cursorgate_config::settings::{EmptyCursor, LegacySettings, OldClients, ZeroLimit};

const PAGING: &[&str] = &["/payload/cursor", "/payload/page"];

/// Compiles a limit, a cursor and a sort in the body, for a dialect that also pages and sorts there. `change` adapts
/// the settings first. Returns the messages of the faults, if there are any.
fn compile(change: impl FnOnce(&mut ListSettings)) -> Result<Parameters, Vec<String>> {
    let mut settings =
        list(&[(Role::Limit, "/payload/size"), (Role::Cursor, "/payload/after"), (Role::Sort, "/payload/sort")], &[]);
    settings.envelope.empty_cursor = EmptyCursor::Reject;
    settings.envelope.zero_limit = ZeroLimit::Reject;
    change(&mut settings);
    let mut diagnostics = Diagnostics::default();
    let (paging, sorting) = (strings(&["page"]), strings(&["ordering"]));
    let compiled =
        Parameters::compile(&settings, &settings.envelope, &[], names(&paging, &sorting), None, &mut diagnostics);
    let compiled = compiled.and_then(|parameters| {
        let (paging, sorting) = (strings(PAGING), strings(&["/order"]));
        parameters.reserve_places(&settings, &settings.envelope, names(&paging, &sorting), &mut diagnostics)
    });
    compiled.ok_or_else(|| diagnostics.iter().map(|fault| fault.message.to_string()).collect())
}

fn parameters() -> Parameters {
    compile(|_| ()).unwrap()
}

fn read(parameters: &Parameters, query: &str, body: &str) -> Result<ListRequest, (Code, String)> {
    let body = RequestBody::read(body.as_bytes().to_vec(), 16).unwrap();
    let read = parameters.read_with(Some(query), Some(&body), false);
    read.map_err(|problem| (problem.code, problem.parameter.unwrap_or_default()))
}

fn forwarded(request: &ListRequest) -> String {
    String::from_utf8(request.filters.body.clone().unwrap()).unwrap()
}

#[test]
fn a_body_sets_limit_position_and_order() {
    let known = parameters();
    for (body, limit, place) in [
        ("{}", 20, RequestedPosition::First),
        (r#"{"payload":null}"#, 20, RequestedPosition::First),
        (r#"{"payload":{"after":null,"size":null}}"#, 20, RequestedPosition::First),
        (r#"{"payload":{"size":7}}"#, 7, RequestedPosition::First),
        (r#"{"payload":{"size":"7","after":"a\u0062"}}"#, 7, RequestedPosition::Cursor("ab".to_owned())),
    ] {
        let request = read(&known, "", body).unwrap();
        assert_eq!((request.limit, request.place, request.kind), (limit, place, RequestKind::Cursor), "{body}");
    }
    let request = read(&known, "team=a", r#"{"x":[1.0],"payload":{"size":7,"sort":"-email","y":"ü"}}"#).unwrap();
    assert_eq!(request.sort.unwrap()[0].field, "email");
    assert_eq!(
        forwarded(&read(&known, "", r#"{"x":[ 1.0 ],"payload":{"size":7,"after":"t"}}"#).unwrap()),
        r#"{"x":[ 1.0 ],"payload":{}}"#
    );
    // In a query, the pointer of a body's parameter is an ordinary name, and the parameter is a filter.
    let request = read(&known, "%2Fpayload%2Fafter=x", "{}").unwrap();
    assert_eq!((request.place, request.filters.forwarded.as_str()), (RequestedPosition::First, "%2Fpayload%2Fafter=x"));
}

#[test]
fn a_cursor_continues_a_body_without_the_object_for_it() {
    let known = parameters();
    let filters = |body: &str| read(&known, "", body).unwrap().filters.canonical;
    let with_cursor = filters(r#"{"service":"ms8","payload":{"after":"x"}}"#);
    for first in [r#"{"service":"ms8"}"#, r#"{"service":"ms8","payload":null}"#, r#"{"payload":{},"service":"ms8"}"#] {
        assert_eq!(filters(first), with_cursor, "{first}");
    }
    assert_ne!(filters(r#"{"service":"ms8","payload":{"team":"a"}}"#), with_cursor);
}

#[test]
fn the_rest_of_a_body_is_a_filter_in_any_spelling() {
    let known = compile(|list| {
        list.parameters.ignored = strings(&["/trace", "/payload/note"]);
        list.parameters.private = strings(&["/secret"]);
    })
    .unwrap();
    let context = |query: &str, body: &str| read(&known, query, body).unwrap().filters.canonical;
    let one = context("a=1", r#"{"b":1,"c":{"d":[1,2]},"payload":{"size":5,"after":"x"}}"#);
    let same = r#"{ "payload":{"after":null,"note":3}, "c":{ "d":[1, 2]}, "trace":{"id":7}, "b":1, "secret":"s" }"#;
    assert_eq!(one, context("a=1", same));
    for (query, body) in [
        ("a=2", r#"{"b":1,"c":{"d":[1,2]},"payload":{}}"#),
        ("a=1", r#"{"b":2,"c":{"d":[1,2]},"payload":{}}"#),
        ("a=1", r#"{"b":1,"c":{"d":[2,1]},"payload":{}}"#),
        ("a=1", r#"{"b":1,"c":{"d":[1,2]},"payload":{"x":null}}"#),
        ("a=1", r#"{"b":1.0,"c":{"d":[1,2]},"payload":{}}"#),
        ("a=1", r#"{"b":"1","c":{"d":[1,2]},"payload":{}}"#),
    ] {
        assert_ne!(one, context(query, body), "{query} {body}");
    }
    assert_ne!(context("", "{}"), known.read(Some("")).unwrap().filters.canonical, "a body is none of nothing");
    let all = read(&known, "", r#"{"trace":1,"secret":"s"}"#).unwrap();
    assert_eq!(forwarded(&all), r#"{"trace":1,"secret":"s"}"#, "both are forwarded");
}

#[test]
fn parameters_of_the_query_are_taken_from_the_body() {
    let known = compile(|list| {
        let at = located(());
        let text = |text: &str| Located { value: text.to_owned(), at: at.at };
        list.parameters.query = vec![(text("team"), text("/payload/team")), (text("tag"), text("/tags"))];
    })
    .unwrap();
    for (query, body, expected) in [
        ("", "{}", ""),
        ("", r#"{"payload":{"team":null}}"#, ""),
        ("a=1", r#"{"payload":{"team":"é&b"},"tags":["x",7,true]}"#, "a=1&team=%C3%A9%26b&tag=x&tag=7&tag=true"),
        ("", r#"{"payload":{"team":1.50},"tags":[]}"#, "team=1.50"),
    ] {
        assert_eq!(read(&known, query, body).unwrap().filters.forwarded, expected, "{body}");
    }
    for body in [r#"{"payload":{"team":{}}}"#, r#"{"payload":{"team":[[1]]}}"#, r#"{"payload":{"team":[null]}}"#] {
        let refused = read(&known, "", body).unwrap_err();
        assert_eq!(refused, (Code::ParameterInvalid, "/payload/team".to_owned()), "{body}");
    }
}

#[test]
fn parameters_of_the_query_are_refused_in_the_body() {
    let known = compile(|list| {
        let parameters = [(Role::Limit, "limit"), (Role::Cursor, "/cursor"), (Role::Sort, "sort")];
        list.envelope.parameters = parameters.map(|(role, name)| (role, located(name.to_owned()))).into();
        list.parameters.query = vec![(located("state".to_owned()), located("/sort".to_owned()))];
    })
    .unwrap();
    let wrong = |place: &str| Err((Code::ParameterInvalid, place.to_owned()));
    assert_eq!(read(&known, "", r#"{"limit":2}"#).map(|_| ()), wrong("/limit"));
    // Null counts as absent, members elsewhere are filters, and the body of an old client is left to the upstream.
    for body in
        [r#"{"limit":null}"#, r#"{"filters":{"limit":2}}"#, r#"{"sort":"open"}"#, r#"{"payload":{"page":1},"limit":2}"#]
    {
        assert!(read(&known, "", body).is_ok(), "{body}");
    }
    assert_eq!(read(&known, "limit=2", "{}").unwrap().limit, 2);
}

#[test]
fn problems_of_a_body_name_their_place() {
    let known = parameters();
    for (body, code, place) in [
        (r#"{"payload":7}"#, Code::BodyInvalid, "/payload"),
        (r#"{"payload":{"after":""}}"#, Code::CursorInvalid, "/payload/after"),
        (r#"{"payload":{"after":{}}}"#, Code::CursorInvalid, "/payload/after"),
        (r#"{"payload":{"size":0}}"#, Code::LimitInvalid, "/payload/size"),
        (r#"{"payload":{"size":7.5}}"#, Code::LimitInvalid, "/payload/size"),
        (r#"{"payload":{"size":-7}}"#, Code::LimitInvalid, "/payload/size"),
        (r#"{"payload":{"size":true}}"#, Code::LimitInvalid, "/payload/size"),
        (r#"{"payload":{"sort":["email"]}}"#, Code::SortInvalid, "/payload/sort"),
        (r#"{"payload":{"sort":"name"}}"#, Code::SortInvalid, "/payload/sort"),
        (r#"{"order":"name"}"#, Code::SortInvalid, "/order"),
    ] {
        assert_eq!(read(&known, "", body).unwrap_err(), (code, place.to_owned()), "{body}");
    }
    assert!(read(&known, "", r#"{"payload":{"page":null},"order":null}"#).is_ok(), "what is null is not there");
    let empty = compile(|list| list.envelope.empty_cursor = EmptyCursor::FirstPage).unwrap();
    assert_eq!(read(&empty, "", r#"{"payload":{"after":""}}"#).unwrap().place, RequestedPosition::First);
}

/// A paging member of the upstream makes a request an old client's, and isn't part of its filters.
#[test]
fn paging_members_in_a_body_make_a_legacy_request() {
    let known = parameters();
    let new = read(&known, "", r#"{"x":1,"payload":{"size":5,"after":"c"}}"#).unwrap();
    for (body, parameter, pairs, same) in [
        (r#"{"x":1,"payload":{"page":2}}"#, "/payload/page", &[("/payload/page", "2")][..], true),
        (r#"{"x":1,"payload":{"page":"2"}}"#, "/payload/page", &[("/payload/page", "2")], true),
        (
            r#"{"x":1,"payload":{"cursor":"t","page":[]}}"#,
            "/payload/cursor",
            &[("/payload/cursor", "t"), ("/payload/page", "[]")],
            true,
        ),
        (r#"{"x":1,"payload":{"page":2,"y":1}}"#, "/payload/page", &[("/payload/page", "2")], false),
    ] {
        let request = read(&known, "", body).unwrap();
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(request.kind, RequestKind::Legacy { parameter: parameter.to_owned(), pairs }, "{body}");
        assert!(request.pages_in_body());
        assert_eq!(request.filters.canonical == new.filters.canonical, same, "{body}");
    }
    let conflict = read(&known, "", r#"{"payload":{"page":2,"after":"c"}}"#).unwrap_err();
    assert_eq!(conflict, (Code::ParameterConflict, "/payload/page".to_owned()));
}

/// A POST request that passes to the upstream is recognized by its query, before its body is read.
#[test]
fn legacy_requests_by_post_that_pass_are_recognised_by_their_query() {
    let with = |in_body: bool| {
        let legacy = LegacySettings { old_clients: OldClients::Pass, ..LegacySettings::default() };
        let roles = [(Role::Cursor, located("cursor".to_owned())), (Role::Limit, located("limit".to_owned()))];
        compile(|list| {
            list.legacy = legacy;
            if !in_body {
                list.envelope.parameters = roles.to_vec();
            }
        })
        .unwrap()
    };
    for (in_body, query, passes) in [
        (true, "page=2", true),
        (true, "team=a", true),
        (true, "team=a&limit=2", true),
        (false, "page=2", true),
        (false, "page=2&limit=3", true),
        (false, "page=2&cursor=x", true),
        (false, "team=a", true),
        (false, "limit=2&cursor=abc", true),
        (false, "cursor=start", false),
    ] {
        assert_eq!(with(in_body).passed(Some(query)).is_some(), passes, "{in_body} {query}");
    }
    assert!(parameters().passed(Some("page=2")).is_none(), "without old clients nothing passes");
}

#[test]
fn ambiguous_places_of_parameters_in_bodies_are_reported() {
    let named = |roles: &'static [(Role, &'static str)]| {
        move |list: &mut ListSettings| {
            list.envelope.parameters = roles.iter().map(|(role, name)| (*role, located((*name).to_owned()))).collect();
        }
    };
    for (roles, fault) in [
        (&[(Role::Cursor, "/a"), (Role::Limit, "/a/b")][..], "one of `/a/b` and `/a` is within the other"),
        (&[(Role::Cursor, "/a"), (Role::Limit, "/a")], "`/a` is used for two roles"),
        (
            &[(Role::Cursor, "/payload/page")],
            "`/payload/page` is a member by which the dialect `page-limit` pages or sorts",
        ),
        (&[(Role::Cursor, "/order")], "`/order` is a member by which the dialect `page-limit` pages or sorts"),
        (&[(Role::Cursor, "/[a=b]")], "\"/[a=b]\" is not a member of a body"),
    ] {
        let faults = compile(named(roles)).unwrap_err();
        assert!(faults.iter().any(|message| message == fault), "{faults:?}");
    }
    assert!(compile(named(&[(Role::Cursor, "/a"), (Role::Limit, "/payload/page"), (Role::Sort, "/order")])).is_ok());
    let taken = compile(|list| list.parameters.query = vec![(located("page".to_owned()), located("/x".to_owned()))]);
    assert_eq!(taken.unwrap_err(), ["`page` is a parameter by which the dialect `page-limit` pages or sorts"]);
}
