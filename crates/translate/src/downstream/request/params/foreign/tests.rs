//! Tests of the names by which other APIs page and sort.

use super::*;
use crate::downstream::request::params::{
    LegacySort, RequestKind,
    tests::{list, located, names},
};
use cursorgate_config::{preset_dialects, preset_envelopes, settings::OldClients};

/// Words of built-in dialects and envelopes that the tables leave out, because APIs filter by them just as often.
const ALSO_FILTERS: [&str; 4] = ["after", "before", "size", "start"];

/// Compiles the parameters of `settings` for a dialect that pages by `page` and sorts by `ordering`.
fn compiled(settings: &ListSettings, dialect_filters: &[&str], diagnostics: &mut Diagnostics) -> Option<Parameters> {
    let strings = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
    let (paging, sorts) = (strings(&["page"]), strings(&["ordering"]));
    let renamed = &settings.parameters.renamed;
    Parameters::compile(settings, &settings.envelope, renamed, names(&paging, &sorts), None, diagnostics)?
        .refuse_foreign(settings, &strings(dialect_filters), diagnostics)
}

const STANDARD: [(Role, &str); 3] = [(Role::Limit, "limit"), (Role::Cursor, "cursor"), (Role::Sort, "sort")];

fn settings() -> ListSettings {
    list(&STANDARD, &[])
}

fn parameters(settings: &ListSettings) -> Parameters {
    compiled(settings, &[], &mut Diagnostics::default()).expect("the names are sound")
}

/// Returns the refused parameter and the detail of the problem; `None` if the query is accepted.
fn refused(parameters: &Parameters, query: &str) -> Option<(String, String)> {
    let problem = parameters.read(Some(query)).err()?;
    assert_eq!(problem.code, Code::ParameterInvalid, "{query}: {}", problem.detail);
    Some((problem.parameter.unwrap_or_default(), problem.detail))
}

fn assert_refused(parameters: &Parameters, query: &str, name: &str) {
    assert_eq!(refused(parameters, query).map(|(name, _)| name).as_deref(), Some(name), "{query}");
}

#[test]
fn paging_and_sort_parameters_of_other_apis_are_refused() {
    let known = parameters(&settings());
    for (query, name) in [
        ("$orderby=last_login%20desc", "$orderby"),
        ("orderBy=-x&limit=2", "orderBy"),
        ("status=open&sort_order=desc", "sort_order"),
        ("sort-order=desc", "sort-order"),
        ("order[name]=desc", "order[name]"),
        ("%6Frder=desc", "order"),
        ("ORDER.BY=x", "ORDER.BY"),
        ("sort=email&direction=desc", "direction"),
        ("dir=ASC", "dir"),
        ("first=2", "first"),
        ("perPage=5", "perPage"),
        ("per_page=5", "per_page"),
        ("skip=10", "skip"),
        ("offset=10&cursor=abc", "offset"),
        ("Limit=3", "Limit"),
        ("$top=3", "$top"),
        ("_start=3", "_start"),
        ("pagination[page]=3", "pagination[page]"),
    ] {
        assert_refused(&known, query, name);
    }
    let filters = "status=open&orders=5&filter[order]=5&size=42&start=2026-01-01&after=2026-01-01&top=3&page_title=x&_=1\
                   &direction=north&dir=%2Fhome";
    assert_eq!(known.read(Some(filters)).expect("these are filters").filters.forwarded, filters);
}

#[test]
fn a_refusal_names_the_parameter_to_send() {
    let known = parameters(&settings());
    let detail = |parameters: &Parameters, query: &str| refused(parameters, query).expect(query).1;
    assert_eq!(detail(&known, "orderBy=x"), "`orderBy` is not a parameter of this list, which is sorted by `sort`");
    assert_eq!(
        detail(&known, "per_page=5"),
        "`per_page` is not a parameter of this list, which is paged by `limit` and `cursor`"
    );
    let unsorted = parameters(&ListSettings { sortable: Vec::new(), ..settings() });
    assert_eq!(detail(&unsorted, "orderBy=x"), "`orderBy` is not a parameter of this list, which has one order only");
    let relay = list(&[(Role::Limit, "first"), (Role::LimitBackward, "last"), (Role::After, "after")], &[]);
    assert_eq!(
        detail(&parameters(&relay), "limit=5"),
        "`limit` is not a parameter of this list, which is paged by `first` and `after`"
    );
    let long = "[x]".repeat(9_999);
    assert!(detail(&known, &format!("order{long}=1")).len() < 300);
}

#[test]
fn declared_names_are_filters() {
    let mut declaring = settings();
    declaring.parameters.filters = vec![located("order".to_owned())];
    declaring.parameters.ignored = vec!["first".to_owned()];
    declaring.filterable = vec![located("rows".to_owned())];
    let known = compiled(&declaring, &["skip"], &mut Diagnostics::default()).expect("the names are sound");
    let filters = "order=5&Order[]=6&first=1&rows=3&skip=4";
    assert_eq!(known.read(Some(filters)).expect("these are filters").filters.forwarded, filters);
    assert_refused(&known, "order=5&sort_order=x", "sort_order");
    for name in ["cursor", "page", "ordering", "sort"] {
        declaring.parameters.filters = vec![located(name.to_owned())];
        let mut diagnostics = Diagnostics::default();
        assert!(compiled(&declaring, &[], &mut diagnostics).is_none(), "{name} is no filter");
        assert_eq!(diagnostics.counts(), (1, 0), "{name}");
    }
}

#[test]
fn names_of_other_envelopes_are_refused() {
    let mut offering = settings();
    assert!(refused(&parameters(&offering), "after=abc").is_none());
    let other = list(&[(Role::After, "after"), (Role::Limit, "filter[size]"), (Role::Cursor, "/cursor")], &[]);
    offering.envelopes = vec![other.envelope];
    let known = parameters(&offering);
    assert_refused(&known, "after=abc", "after");
    assert_refused(&known, "filter[size]=3", "filter[size]");
    assert!(refused(&known, "filter[colour]=red&filter=1").is_none());
}

#[test]
fn legacy_requests_that_pass_keep_sort_parameters_of_other_apis() {
    for (old_clients, query, passes) in [
        (OldClients::Pass, "page=2&orderBy=x&per_page=5", true),
        (OldClients::Pass, "orderBy=x&per_page=5", true),
        (OldClients::Pass, "orderBy=x", true),
        (OldClients::Pass, "limit=5&orderBy=x", true),
        (OldClients::Pass, "cursor=start&orderBy=x", false),
        (OldClients::Reject, "page=2&orderBy=x", true),
        (OldClients::Reject, "orderBy=x", true),
        (OldClients::Translate, "page=2&orderBy=x", false),
        (OldClients::Redirect, "orderBy=x", false),
        (OldClients::None, "page=2&orderBy=x", true),
        (OldClients::None, "orderBy=x", false),
    ] {
        let mut settings = settings();
        settings.legacy.old_clients = old_clients;
        let known = parameters(&settings);
        let read = known.read(Some(query));
        assert_eq!(read.is_ok(), passes, "{old_clients:?} {query}");
        if let Ok(request) = read {
            assert!(!matches!(request.kind, RequestKind::Cursor), "{query}");
            assert!(request.filters.forwarded.contains("orderBy=x"), "{query}");
        }
    }
}

#[test]
fn the_order_of_an_observed_request_with_a_sort_of_another_api_is_unknown() {
    let known = parameters(&settings());
    let sort = |query: &str| known.legacy_query(Some(query)).expect(query).sort;
    assert_eq!(sort("page=2&orderBy=x"), LegacySort::Unread);
    assert_eq!(sort("page=2&per_page=x"), LegacySort::Declared);
}

/// Some upstreams read `page[size]` as `page`, and others ignore it, so the page of such a request is unknown.
#[test]
fn an_observed_request_in_another_spelling_has_no_known_page() {
    let known = parameters(&settings());
    for (query, is_known) in [("page=2", true), ("p%61ge=2", true), ("page[size]=10", false), ("a=1&PAGE=2", false)] {
        assert_eq!(known.legacy_query(Some(query)).is_some(), is_known, "{query}");
    }
}

/// The tables have the paging and sort parameters of every built-in dialect and envelope.
#[test]
fn the_tables_have_the_parameters_of_every_preset() {
    let known = ForeignNames::of(&list(&[], &[]), std::iter::empty());
    let mut strange: Vec<String> = Vec::new();
    let mut judge = |name: &str, usage: ForeignUse, origin: &str| {
        let found = known.find(name.as_bytes());
        if ALSO_FILTERS.contains(&name) {
            assert_eq!(found, None, "{name} is a filter");
        } else if found != Some(usage) && (found, usage) != (Some(ForeignUse::Direction), ForeignUse::Sorting) {
            strange.push(format!("{name} of {origin}"));
        }
    };
    for (dialect, text) in preset_dialects() {
        let file: toml::Table = text.parse().expect(dialect);
        let template = |table: &str, key: &str| file.get(table)?.get(key).cloned();
        let also = template("request", "also").and_then(|also| also.as_array().cloned()).unwrap_or_default();
        let paging = template("request", "query").into_iter().chain(also).map(|query| (query, ForeignUse::Paging));
        let sorting = template("sort", "query").into_iter().map(|query| (query, ForeignUse::Sorting));
        for (query, usage) in paging.chain(sorting) {
            let pairs = query.as_str().expect("a template").split('&').filter_map(|pair| pair.split_once('='));
            // `aplimit` has the prefix of one MediaWiki module; the other modules have other names. So the tables leave
            // it out.
            let variable = pairs.filter(|(name, value)| value.contains('{') && *name != "aplimit");
            variable.for_each(|(name, _)| judge(name, usage, dialect));
        }
    }
    for (envelope, text) in preset_envelopes() {
        let file: serde_json::Value = serde_json::from_str(text).expect(envelope);
        for (role, name) in file["parameters"].as_object().expect("parameters") {
            let usage = if role == "sort" { ForeignUse::Sorting } else { ForeignUse::Paging };
            let name = name.as_str().expect("a name");
            if !name.starts_with('/') && !name.starts_with("prefer:") {
                judge(name, usage, envelope);
            }
        }
    }
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn every_refused_name_is_documented() {
    let documented = include_str!("../../../../../../../docs/parameters.md");
    let missing: Vec<&&str> = PAGING
        .iter()
        .chain(&SORTING)
        .chain(&DIRECTIONS)
        .filter(|name| !documented.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(ALSO_FILTERS.iter().all(|name| documented.contains(&format!("`{name}`"))));
}
