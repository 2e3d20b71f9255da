mod list;

use std::fmt::Write as _;

pub(super) use list::{list, located};

use super::*;
use crate::downstream::Response;
use crate::downstream::{
    fixture,
    response::legacy::{self, LegacyDecision},
};

pub(super) fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Returns a sorting with the client's parameter `sort`, for a dialect with the sort parameters `reserved`, which can't
/// be read back.
fn sorting(sortable: Vec<String>, reserved: &[&str]) -> Sorting {
    Sorting::new(Some("sort".to_owned()), sortable, ReservedNames::new(&strings(reserved)), SortForm::default(), &[])
}

/// Returns the parameters `limit`, `cursor` and `sort`, for a dialect that pages by `page` and `limit` and sorts by
/// `ordering`.
pub(super) fn parameters() -> Parameters {
    Parameters {
        roles: [(Role::Limit, "limit"), (Role::Cursor, "cursor"), (Role::Sort, "sort")]
            .map(|(role, name)| (role, name.to_owned()))
            .to_vec(),
        preferred_limit: None,
        in_body: BodyPlaces::default(),
        paging: ReservedNames::new(&strings(&["page", "limit"])),
        sizes: Vec::new(),
        keys: None,
        sorting: sorting(strings(&["created_at", "email", "id"]), &["ordering"]),
        private: ReservedNames::new(&strings(&["token"])),
        ignored: strings(&["trace"]),
        foreign: ForeignNames::default(),
        id_direction: Direction::Descending,
        default_limit: 20,
        max_limit: 90,
        over_max: OverMax::Clamp,
        zero_limit_is_default: false,
        empty_cursor_is_first_page: false,
        first: "start".to_owned(),
        marking: Vec::new(),
        seeks: false,
        legacy: LegacySettings::default(),
    }
}

/// Returns the names of a dialect that doesn't page by token.
pub(super) fn names<'d>(paging: &'d [String], sorting: &'d [String]) -> DialectNames<'d> {
    DialectNames { paging, sorting, by_token: false }
}

/// Compiles the parameters of the route's own convention.
fn compile(
    settings: &ListSettings,
    paging_names: &[String],
    sort_names: &[String],
    diagnostics: &mut Diagnostics,
) -> Option<Parameters> {
    let renamed = &settings.parameters.renamed;
    Parameters::compile(settings, &settings.envelope, renamed, names(paging_names, sort_names), None, diagnostics)
}

fn leads_to(token: &str) -> LinkTo<'_> {
    LinkTo::Cursor { token, backward: false }
}

fn code(parameters: &Parameters, query: &str) -> Option<(Code, Option<String>)> {
    parameters.read(Some(query)).err().map(|problem| (problem.code, problem.parameter))
}

fn assert_refused(parameters: &Parameters, query: &str, expected: Code, parameter: &str) {
    assert_eq!(code(parameters, query), Some((expected, Some(parameter.to_owned()))), "{query}");
}

#[test]
fn limits_are_whole_numbers_of_at_least_one() {
    let clamping = parameters();
    for (query, limit, written) in [
        ("", 20, None),
        ("limit=1", 1, Some("1")),
        ("limit=00020", 20, Some("00020")),
        ("limit=90", 90, Some("90")),
        ("limit=91", 90, Some("91")),
        ("limit=9999", 90, Some("9999")),
        ("limit=4294967297", 90, Some("4294967297")),
        ("limit=99999999999999999999", 90, Some("99999999999999999999")),
        ("l%69mit=5", 5, Some("5")),
        ("limit=%35", 5, Some("5")),
        ("limit=5&limit=5", 5, Some("5")),
        ("limit=5&limit=%35", 5, Some("5")),
    ] {
        let read = clamping.read(Some(query)).unwrap();
        assert_eq!((read.limit, read.limit_written.as_deref()), (limit, written), "{query}");
    }
    for value in ["", "0", "000", "-1", "+5", "%2B5", "abc", "5x", "5.0", "1e1", "%20", "0x5", "٥", "%zz", "%", "%ff"]
    {
        assert_refused(&clamping, &format!("limit={value}"), Code::LimitInvalid, "limit");
    }
    assert_refused(&clamping, "limit", Code::LimitInvalid, "limit");
    for query in ["limit=5&limit=6", "limit=5&a=b&l%69mit=6", "limit=5&limit=05", "limit=5&limit="] {
        assert_refused(&clamping, query, Code::ParameterConflict, "limit");
    }
    let rejecting = Parameters { over_max: OverMax::Reject, ..parameters() };
    assert_eq!(rejecting.read(Some("limit=90")).unwrap().limit, 90);
    assert_refused(&rejecting, "limit=91", Code::LimitTooLarge, "limit");
    assert_eq!(rejecting.read(Some("limit=91")).unwrap_err().max_limit, Some(90));
    let lenient = Parameters { zero_limit_is_default: true, ..parameters() };
    assert_eq!(lenient.read(Some("limit=0")).unwrap().limit, 20);
}

#[test]
fn problems_repeat_only_the_beginning_of_a_long_value() {
    let long = "9".repeat(10_000);
    let rejecting = Parameters { over_max: OverMax::Reject, ..parameters() };
    for query in
        [format!("limit={long}"), format!("limit=x{long}"), format!("sort={long}"), format!("ordering[{long}]=1")]
    {
        let problem = rejecting.read(Some(&query)).unwrap_err();
        assert!(problem.detail.len() < 300, "{}", problem.detail);
        assert!(problem.parameter.unwrap().chars().count() < 80);
    }
}

/// Row: A12
#[test]
fn a_request_with_two_different_positions_is_refused() {
    let known = parameters();
    assert_eq!(known.read(None).unwrap().place, RequestedPosition::First);
    for query in ["cursor=abc", "c%75rsor=%61bc", "cursor=abc&cursor=abc", "x=1&cursor=abc&y"] {
        assert_eq!(known.read(Some(query)).unwrap().place, RequestedPosition::Cursor("abc".to_owned()), "{query}");
    }
    for query in ["cursor=", "cursor", "cursor=%zz", "cursor=%ff"] {
        assert_refused(&known, query, Code::CursorInvalid, "cursor");
    }
    assert_refused(&known, "cursor=a&cursor=b", Code::ParameterConflict, "cursor");
    assert_refused(&known, "cursor=a&cursor=", Code::ParameterConflict, "cursor");
    assert_refused(&known, "cursor=a&page=2", Code::ParameterConflict, "page");
    assert_refused(&known, "Page[]=2&cursor=a", Code::ParameterConflict, "Page[]");
    assert_refused(&known, "cursor=a&LIMIT=2", Code::ParameterConflict, "LIMIT");
    let lenient = Parameters { empty_cursor_is_first_page: true, ..parameters() };
    assert_eq!(lenient.read(Some("cursor=")).unwrap().place, RequestedPosition::First);
    assert_eq!(lenient.read(Some("cursor=")).unwrap().kind, RequestKind::Cursor);
}

#[test]
fn requests_are_classified_as_legacy_unmarked_or_by_cursor() {
    let known = Parameters {
        legacy: LegacySettings { old_clients: OldClients::None, ..LegacySettings::default() },
        ..parameters()
    };
    let legacy = [
        ("page=2", "page", vec![("page", "2")]),
        ("PAGE=2", "PAGE", vec![("page", "2")]),
        ("%70age=2", "page", vec![("page", "2")]),
        ("p%61ge[]=2", "page[]", vec![("page", "2")]),
        ("page[x][y]=2", "page[x][y]", vec![("page", "2")]),
        ("+page=2", " page", vec![("page", "2")]),
        ("page%00x=2", "page\0x", vec![("page", "2")]),
        ("page=2&limit=7", "page", vec![("page", "2"), ("limit", "7")]),
        ("limit=7&page=%zz", "page", vec![("limit", "7"), ("page", "%zz")]),
        ("Limit=7", "Limit", vec![("limit", "7")]),
        ("limit[]=7", "limit[]", vec![("limit", "7")]),
        ("page=1&page=2", "page", vec![("page", "1"), ("page", "2")]),
        ("page", "page", vec![("page", "")]),
    ];
    for (query, parameter, pairs) in legacy {
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let kind = RequestKind::Legacy { parameter: parameter.to_owned(), pairs };
        assert_eq!(known.read(Some(query)).unwrap().kind, kind, "{query}");
    }
    for query in ["limit=7", "cursor=x", "l%69mit=7&x=1"] {
        assert_eq!(known.read(Some(query)).unwrap().kind, RequestKind::Cursor, "{query}");
    }
    for query in [
        "",
        "x=1",
        "pages=2",
        "my_page=2",
        "x[page]=2",
        "sort=email",
        "cursors=1",
        "Cursor=1",
        "x;page=2",
        "x=1;page=2",
    ] {
        assert_eq!(known.read(Some(query)).unwrap().kind, RequestKind::Unmarked, "{query}");
    }
}

/// Row: A12
#[test]
fn careless_spellings_reach_a_reserved_name() {
    let reserved = ReservedNames::new(&strings(&["page_size", "page[number]", "$top", "per.page"]));
    for name in [
        "page_size",
        "page.size",
        "page size",
        "Page_Size",
        "page_size[]",
        "page[size",
        "  page_size",
        "page_\u{17f}ize",
    ] {
        assert_eq!(reserved.find(name.as_bytes()), Some("page_size"), "{name}");
    }
    for name in ["page[number]", "PAGE[Number]", "page[number][0]", "page", "Page", " page"] {
        assert_eq!(reserved.find(name.as_bytes()), Some("page[number]"), "{name}");
    }
    assert_eq!(reserved.find(b"per_page"), Some("per.page"));
    assert_eq!(reserved.find(b"$TOP"), Some("$top"));
    for name in ["page[size]", "page[numbers]", "pages", "pagesize", "top", "x[page_size]", "", "\u{0}page_size"] {
        assert_eq!(reserved.find(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn faults_of_requests_that_pass_are_left_to_the_upstream() {
    let with = |old_clients| Parameters {
        legacy: LegacySettings { old_clients, ..LegacySettings::default() },
        ..parameters()
    };
    let passing = with(OldClients::Pass);
    for query in ["page=2&limit=abc", "page=2&ordering=email", "ordering=email", "sort=whatever", "page=1&limit=0"] {
        let read = passing.read(Some(query)).unwrap();
        assert_eq!((read.limit, read.sort), (20, None), "{query}");
    }
    assert_refused(&passing, "cursor=start&ordering=email", Code::SortInvalid, "ordering");
    let translating = with(OldClients::Translate);
    assert_refused(&translating, "ordering=email", Code::SortInvalid, "ordering");
    assert_refused(&translating, "page=2&limit=abc", Code::LimitInvalid, "limit");
    assert_refused(&translating, "page=2&ordering=email", Code::SortInvalid, "ordering");
    let without = with(OldClients::None);
    assert!(without.read(Some("page=2&limit=abc")).is_ok(), "refused as a whole, for its page");
}

#[test]
fn the_upstreams_own_sort_parameter_is_refused() {
    let known = parameters();
    for name in ["ordering", "Ordering", "ordering[]", "order%69ng"] {
        let problem = known.read(Some(&format!("cursor=x&{name}=email"))).unwrap_err();
        assert_eq!(problem.code, Code::SortInvalid, "{name}");
        assert!(problem.detail.contains("sorted by `sort`") && problem.detail.contains("email"), "{}", problem.detail);
    }
    // A parameter with the dialect's name is the client's own only in its exact spelling.
    let same = Parameters { sorting: sorting(strings(&["email"]), &["sort"]), ..parameters() };
    let read = same.read(Some("sort=-email")).unwrap();
    assert_eq!(read.sort, Some(vec![SortTerm { field: "email".to_owned(), direction: Direction::Descending }]));
    assert_refused(&same, "Sort=email", Code::SortInvalid, "Sort");
}

#[test]
fn a_sort_has_its_written_text_and_its_parsed_keys() {
    let known = parameters();
    assert_eq!(known.read(None).unwrap().id_direction, Direction::Descending);
    let read = known.read(Some("sort=-created_at,+email&limit=5")).unwrap();
    assert_eq!((read.sort.unwrap().len(), read.id_direction), (2, Direction::Ascending));
    assert_eq!(read.sort_written, [("sort".to_owned(), "-created_at, email".to_owned())]);
    assert_refused(&known, "sort=email&sort=-email", Code::ParameterConflict, "sort");
    assert_refused(&known, "sort=", Code::SortInvalid, "sort");
    assert_refused(&known, "sort=name", Code::SortInvalid, "sort");
}

/// Returns the filters of a query, even if its other parameters are invalid.
fn filters_of(known: &Parameters, query: &str) -> RequestFilters {
    known.write_filters(&known.sift(query))
}

#[test]
fn filters_keep_their_order_and_their_bytes() {
    let known = parameters();
    let forwarded = |query: &str| filters_of(&known, query).forwarded;
    for (query, sent) in [
        ("b=2&a=1&cursor=x&limit=5&sort=email&a=0", "b=2&a=1&a=0"),
        ("a=%2c%2C%zz&b=+%20&c=[x]&d[]={1}|^`", "a=%2c%2C%zz&b=+%20&c=[x]&d[]={1}|^`"),
        ("a=1;page=2&b;c", "a=1%3Bpage=2&b%3Bc"),
        ("q=\u{e9}\"<a b>\u{7f}#", "q=%C3%A9%22%3Ca%20b%3E%7F%23"),
        ("page=2&PAGE=3&limit[]=1&ordering=x&a=1", "a=1"),
        ("&&a=1&&b", "a=1&b"),
        ("token=t&trace=1", "token=t&trace=1"),
        ("", ""),
    ] {
        assert_eq!(forwarded(query), sent, "{query}");
    }
}

#[test]
fn equivalent_filters_have_the_same_context() {
    let known = parameters();
    let canonical = |query: &str| filters_of(&known, query).canonical;
    let same = [
        ("a=1&b=2", "b=2&a=1"),
        ("a=%31", "a=1"),
        ("a=1&a=1", "a=1"),
        ("a=1&b=2&a=1", "a=1&b=2"),
        ("a=1&Token=x&token%5Bx%5D=y&.token=z", "a=1&.token=z"),
        ("a=1&trace=7&token=8", "a=1"),
        ("a=x+y", "a=x%20y"),
        ("a=1&cursor=x&limit=7&sort=email", "a=1"),
        ("a=1;b", "a=1%3Bb"),
        ("a", "a="),
        ("a=%zz", "a=%25zz"),
        ("", "&"),
    ];
    for (one, other) in same {
        assert_eq!(canonical(one), canonical(other), "{one} {other}");
    }
    let different = [
        ("a=1&a=2", "a=2&a=1"),
        ("a=1&a=2", "a=1&a=2&a=1"),
        ("a=1", "A=1"),
        ("a=b=c", "a%3Db=c"),
        ("a=1b=2", "a=1&b=2"),
        ("a=", ""),
        ("ab=c", "a=bc"),
    ];
    for (one, other) in different {
        assert_ne!(canonical(one), canonical(other), "{one} {other}");
    }
}

#[test]
fn links_keep_filters_sort_and_limit_without_private_parameters() {
    let known = parameters();
    let link =
        |query: &str, cursor: Option<&str>| known.link_query(&known.read(Some(query)).unwrap(), cursor.map(leads_to));
    for (query, cursor, written) in [
        ("", None, ""),
        ("", Some("abc"), "cursor=abc"),
        ("limit=00020&cursor=x&b=2&a=1", Some("y"), "b=2&a=1&limit=00020&cursor=y"),
        ("limit=9999", None, "limit=9999"),
        ("a=1,2;3&token=secret&trace=7", None, "a=1%2C2%3B3&trace=7"),
        ("sort=-created_at,+email&l%69mit=5", Some("z"), "sort=-created_at%2C%20email&limit=5&cursor=z"),
        ("a=\u{e9}<\">[x]\\^`{|}%zz%41", None, "a=%C3%A9%3C%22%3E%5Bx%5D%5C%5E%60%7B%7C%7D%25zz%41"),
    ] {
        assert_eq!(link(query, cursor), written, "{query}");
    }
    let read = known.read(Some("t%6Fken=s&cursor=x&a=1,2&limit=5")).unwrap();
    assert_eq!(read.self_query, "cursor=x&a=1%2C2&limit=5");
    assert_eq!(known.read(Some("TOKEN=s&token[a]=s&+token=s&a=1")).unwrap().self_query, "a=1");
    // Clients may compare `self` and `first` as strings, so both links spell a parameter alike.
    let first = "status=a(b)&sort=desc%28email%29&limit=5";
    assert_eq!(known.read(Some("status=a(b)&sort=desc(email)&l%69mit=%35")).unwrap().self_query, first);
    assert_eq!(link("status=a(b)&sort=desc(email)&l%69mit=%35", None), first);
    assert_eq!(known.restart_query(Some("cursor=bad&limit=abc&sort=email&a=1&page=3")), "a=1&sort=email");
    assert_eq!(known.restart_query(Some("cursor=a&cursor=b&limit=7&sort=nothing")), "limit=7");
    assert_eq!(known.restart_query(None), "");
}

/// A link leads to the same list: its query reads back as the filters, sort and limit of the request.
#[test]
fn links_of_any_query_read_back_as_the_same_request() {
    let known = parameters();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).unwrap() % end
    };
    let pieces = [
        "&",
        "&",
        "=",
        "=",
        "%",
        "%4",
        "%41",
        "%2c",
        "%3B",
        "%C3%A9",
        "%ff",
        "%00",
        "%0d%0a",
        ";",
        ",",
        "+",
        " ",
        "\"",
        "<",
        ">",
        "\\",
        "[",
        "]",
        "a",
        "b",
        "limit",
        "=7&",
        "cursor",
        "sort=email&",
        "page",
        "token",
        "trace",
        "é",
        "\u{1}",
        "#",
        "?",
        "'",
    ];
    for _ in 0..20_000 {
        let query: String = (0..below(12)).map(|_| pieces[below(pieces.len())]).collect();
        let filters = filters_of(&known, &query);
        for text in [&filters.links, &filters.forwarded] {
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{query:?} → {text}");
            assert!(!text.contains(';'), "{query:?} → {text}");
        }
        assert_eq!(filters_of(&known, &filters.links).canonical, filters.canonical, "{query:?} → {}", filters.links);
        assert_eq!(filters_of(&known, &filters.forwarded).canonical, filters.canonical, "{query:?}");
        let Ok(read) = known.read(Some(&query)) else { continue };
        assert!(
            read.self_query.bytes().all(|byte| byte.is_ascii_graphic() && !b",;<>\"\\".contains(&byte)),
            "{query:?}"
        );
        let link = known.link_query(&read, Some(leads_to("next")));
        let again = known.read(Some(&link)).unwrap();
        assert_eq!(again.place, RequestedPosition::Cursor("next".to_owned()), "{query:?} → {link}");
        assert_eq!(
            (again.limit, again.limit_written, again.sort, again.id_direction, again.filters.canonical),
            (read.limit, read.limit_written, read.sort, read.id_direction, read.filters.canonical),
            "{query:?} → {link}"
        );
    }
}

#[test]
fn a_route_renames_parameters_and_overrides_the_envelopes_over_max() {
    let mut settings =
        list(&[(Role::Limit, "limit"), (Role::Cursor, "cursor")], &[(Role::Cursor, "after"), (Role::Sort, "by")]);
    settings.page_size.over_max = Some(OverMax::Clamp);
    let mut diagnostics = Diagnostics::default();
    let parameters = compile(&settings, &strings(&["page", "limit"]), &strings(&["by"]), &mut diagnostics).unwrap();
    assert_eq!(parameters.name(Role::Cursor), Some("after"));
    assert_eq!(parameters.name(Role::Limit), Some("limit"));
    let read = parameters.read(Some("limit=500&after=x&by=-email&cursor=y&token=t")).unwrap();
    assert_eq!(
        (read.limit, read.kind, read.place),
        (100, RequestKind::Cursor, RequestedPosition::Cursor("x".to_owned()))
    );
    assert_eq!((read.filters.forwarded.as_str(), read.filters.links.as_str()), ("cursor=y&token=t", "cursor=y"));
    assert_eq!(parameters.read(Some("after=&limit=0")).unwrap().limit, 20, "as the envelope says");
    settings.page_size.over_max = None;
    let parameters = compile(&settings, &[], &[], &mut diagnostics).unwrap();
    assert_eq!(code(&parameters, "limit=500").unwrap().0, Code::LimitTooLarge, "as the envelope says");
}

#[test]
fn ambiguous_names_of_parameters_are_reported() {
    use Role::{After, AfterId, Cursor, Limit, Sort};
    type Named = &'static [(Role, &'static str)];
    let cases: [(Named, Named, Option<&str>); 10] = [
        (&[(Limit, "limit"), (Cursor, "cursor"), (Sort, "ordering")], &[], None),
        (&[(Cursor, "cursor")], &[], None),
        (&[(Limit, "limit")], &[], Some("no parameter to go on with")),
        (&[(Limit, "x"), (Cursor, "x")], &[], Some("two roles")),
        (&[(Limit, "limit"), (Cursor, "x")], &[(Sort, "x")], Some("two roles")),
        (&[(Limit, "limit"), (Cursor, "page")], &[], Some("`page` is a parameter of the dialect `page-limit`")),
        (&[(Limit, "ordering"), (Cursor, "x")], &[], Some("`ordering` is a parameter of the dialect")),
        (&[(Limit, "first"), (After, "after")], &[], None),
        (&[(Limit, "limit"), (AfterId, "starting_after")], &[], Some("no parameter to go on with")),
        (&[(Cursor, "")], &[], Some("needs a name")),
    ];
    for (envelope, renamed, fault) in cases {
        let mut diagnostics = Diagnostics::default();
        let settings = list(envelope, renamed);
        let compiled = compile(&settings, &strings(&["page", "limit"]), &strings(&["ordering"]), &mut diagnostics);
        let messages: Vec<_> = diagnostics.iter().map(|one| one.message.clone()).collect();
        assert_eq!(compiled.is_some(), fault.is_none(), "{envelope:?} {messages:?}");
        assert_eq!(messages.len(), usize::from(fault.is_some()), "{messages:?}");
        assert!(fault.is_none_or(|fault| messages[0].contains(fault)), "{messages:?}");
    }
}

/// The snapshot has each query, followed by the problem that the client gets.
#[test]
fn problems_of_parameters_look_like_their_snapshot() {
    let clamping = parameters();
    let rejecting = Parameters { over_max: OverMax::Reject, ..parameters() };
    let unsortable = Parameters { sorting: sorting(Vec::new(), &["ordering"]), ..parameters() };
    let mut relay = parameters();
    relay.roles.extend([(Role::After, "after".to_owned()), (Role::Before, "before".to_owned())]);
    let cases = [
        (&clamping, "limit=abc"),
        (&clamping, "limit=0"),
        (&clamping, "limit=%zz"),
        (&rejecting, "limit=9999"),
        (&clamping, "limit=5&limit=6"),
        (&clamping, "cursor="),
        (&clamping, "cursor=a&page=2"),
        (&relay, "cursor=a&after=b"),
        (&relay, "after=a&before=b"),
        (&clamping, "sort=-name"),
        (&clamping, "sort=email,email"),
        (&clamping, "sort=id,email"),
        (&clamping, "sort="),
        (&clamping, "ordering=email"),
        (&unsortable, "sort=name"),
    ];
    let mut text = String::new();
    for (parameters, query) in cases {
        let problem = parameters.read(Some(query)).unwrap_err();
        let body = Response::of_problem(&problem, None, "r-1", None).body;
        let _ = writeln!(text, "{query}\n{}\n", String::from_utf8(body.into_parts().concat()).unwrap());
    }
    let policies = [(OldClients::None, "page=2"), (OldClients::Reject, "page=2"), (OldClients::Reject, "team=a")];
    for (old_clients, query) in policies {
        let legacy = LegacySettings { old_clients, ..LegacySettings::default() };
        let kind = clamping.read(Some(query)).unwrap().kind;
        let (LegacyDecision::Refuse(problem) | LegacyDecision::Reject(problem)) =
            legacy::decide(&kind, &legacy, 0, || format!("/users?{}", clamping.restart_query(Some(query))))
        else {
            panic!("{query} is not served");
        };
        let body = Response::of_problem(&problem, None, "r-1", None).body;
        let _ = writeln!(text, "{query}\n{}\n", String::from_utf8(body.into_parts().concat()).unwrap());
    }
    fixture::assert_snapshot("parameters.txt", &text);
}

/// A preferred limit applies to requests by cursor, up to the maximum, and isn't written into links.
#[test]
fn a_limit_in_a_prefer_header_is_applied() {
    let said = |line: &'static str| {
        let mut headers = http::HeaderMap::new();
        headers.append("prefer", http::HeaderValue::from_static(line));
        Preferences::read(&headers)
    };
    let taken = Parameters {
        roles: vec![(Role::Cursor, "cursor".to_owned())],
        preferred_limit: Some("maxpagesize".to_owned()),
        ..parameters()
    };
    for (query, line, limit, applied, kind) in [
        ("", "maxpagesize=7", 7, Some("maxpagesize=7"), RequestKind::Cursor),
        ("", "MaxPageSize=700", 90, Some("maxpagesize=90"), RequestKind::Cursor),
        ("", "maxpagesize=0", 20, None, RequestKind::Unmarked),
        ("", "maxpagesize=-1", 20, None, RequestKind::Unmarked),
        ("", "maxpagesize=+7", 20, None, RequestKind::Unmarked),
        ("", "other=7", 20, None, RequestKind::Unmarked),
        ("cursor=a", "maxpagesize=\"7\"", 7, Some("maxpagesize=7"), RequestKind::Cursor),
    ] {
        let mut request = taken.read(Some(query)).unwrap();
        assert_eq!(taken.prefer(&mut request, &said(line)).as_deref(), applied, "{query} {line}");
        assert_eq!((request.limit, &request.kind), (limit, &kind), "{query} {line}");
        assert_eq!(taken.link_query(&request, Some(leads_to("t"))), "cursor=t");
    }
    let mut old = taken.read(Some("page=2")).unwrap();
    assert_eq!(taken.prefer(&mut old, &said("maxpagesize=7")), None, "an old request is left alone");
    assert_eq!(parameters().prefer(&mut parameters().read(None).unwrap(), &said("maxpagesize=7")), None);
}
