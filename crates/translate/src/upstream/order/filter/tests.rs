//! Filters in requests. No value can change more than its own comparison.

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::upstream::{
    Dialect, Unaskable,
    testing::{AT, at, compile, faults, term},
};
use cursorgate_config::{
    diagnostic::Located,
    settings::{DialectFilter, DialectTerms, FieldSettings, ListSettings, Mode, Quote, QuotedKind},
};
use cursorgate_core::pagination::{
    fetch::{Fetch, Listing},
    filter::{Comparison, Comparisons, Filter, Filters},
    key::KeyValue,
    order::{Kind, Nulls},
    window::{Offset, PageSize, Slice},
};

fn some(text: &str) -> Option<Located<String>> {
    Some(at(text))
}

fn nothing() -> DialectFilter {
    DialectFilter {
        at: AT,
        terms: DialectTerms::default(),
        query: None,
        and: None,
        or: None,
        merge: None,
        repeatable: false,
        quote: Vec::new(),
        fields: Vec::new(),
    }
}

/// Returns the `[filter]` of django-filter.
fn suffixes() -> DialectFilter {
    let terms = DialectTerms {
        lt: some("{field}__lt={value}"),
        gt: some("{field}__gt={value}"),
        lte: some("{field}__lte={value}"),
        gte: some("{field}__gte={value}"),
        eq: some("{field}={value}"),
        null: some("{field}__isnull=true"),
        not_null: some("{field}__isnull=false"),
        ..DialectTerms::default()
    };
    DialectFilter { terms, ..nothing() }
}

/// Returns the `[filter]` of Feathers.
fn groups() -> DialectFilter {
    let terms = DialectTerms {
        lt: some("$or[{group}][{field}][$lt]={value}"),
        gt: some("$or[{group}][{field}][$gt]={value}"),
        eq: some("$or[{group}][{field}]={value}"),
        ..DialectTerms::default()
    };
    DialectFilter { terms, ..nothing() }
}

/// Returns the `[filter]` of `OData`.
fn odata() -> DialectFilter {
    let terms = DialectTerms {
        lt: some("{field} lt {value}"),
        gt: some("{field} gt {value}"),
        lte: some("{field} le {value}"),
        gte: some("{field} ge {value}"),
        eq: some("{field} eq {value}"),
        null: some("{field} eq null"),
        not_null: some("{field} ne null"),
        ..DialectTerms::default()
    };
    DialectFilter {
        terms,
        query: some("$filter={filter}"),
        and: some("({a} and {b})"),
        or: some("({a} or {b})"),
        merge: some("({client}) and {filter}"),
        quote: vec![(QuotedKind::Text, at(Quote::Single))],
        ..nothing()
    }
}

/// Returns the `[filter]` of PostgREST.
fn postgrest() -> DialectFilter {
    let terms = DialectTerms {
        lte: some("{field}.lte.{value}"),
        gte: some("{field}.gte.{value}"),
        eq: some("{field}.eq.{value}"),
        ..DialectTerms::default()
    };
    let quoted = [QuotedKind::Text, QuotedKind::Datetime, QuotedKind::Uuid, QuotedKind::NumberInString];
    DialectFilter {
        terms,
        query: some("and=({filter})"),
        and: some("and({a},{b})"),
        or: some("or({a},{b})"),
        repeatable: true,
        quote: quoted.iter().map(|kind| (*kind, at(Quote::Double))).collect(),
        ..nothing()
    }
}

/// Compiles a route that pages by offset and has this filter, which both of its keys can use.
fn filtered(filter: DialectFilter, kind: Kind) -> Dialect {
    compile(|list| by(list, filter, kind))
}

fn by(list: &mut ListSettings, filter: DialectFilter, kind: Kind) {
    list.dialect.request.query = at("limit={size}&offset={offset}");
    list.dialect.filter = Some(filter);
    list.filterable = vec![at("created_at"), at("id")];
    list.mode = at(Mode::Keyset);
    list.fields = vec![FieldSettings {
        name: "created_at".to_owned(),
        kind,
        collation: None,
        grain: None,
        nulls: Nulls::None,
        at: None,
        upstream: None,
    }];
}

fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.as_bytes().to_vec())
}

fn compare(column: usize, comparison: Comparison, value: KeyValue) -> Filter {
    Filter::Compare { column, comparison, value: Some(value) }
}

/// Returns the query of a filtered request without the parameters of paging and sort.
fn written(dialect: &Dialect, filter: Filter, client: &str) -> Result<String, Unaskable> {
    let listing = Listing { filter: Some(Arc::new(filter)), ..Listing::default() };
    let fetch = Fetch::Slice(Slice::Offset { from: Offset(0), size: PageSize(5) }, listing);
    let query = dialect.ask(dialect.default_sorted(), &fetch, client, "/items")?.query;
    Ok(query.split_once("limit=").unwrap().0.trim_end_matches('&').to_owned())
}

/// Returns the filter for `created_at < v`, or `created_at = v` and an id below 7.
fn after(value: &str) -> Filter {
    let less = |column, value| compare(column, Comparison::Less, value);
    let same = compare(0, Comparison::Equal, text(value));
    Filter::Or(vec![less(0, text(value)), Filter::And(vec![same, less(1, KeyValue::Number("7".to_owned()))])])
}

#[test]
fn filters_are_written_in_each_grammar_of_an_upstream() {
    let at_most = || compare(0, Comparison::LessOrEqual, text("2025-01-01T00:00:00Z"));
    let dialect = filtered(suffixes(), Kind::Datetime);
    assert_eq!(
        written(&dialect, at_most(), "q=x&q=%2F").as_deref(),
        Ok("q=x&q=%2F&created_at__lte=2025-01-01T00%3A00%3A00Z")
    );
    let both = Filter::And(vec![at_most(), compare(1, Comparison::Greater, KeyValue::Number("1e3".to_owned()))]);
    assert_eq!(written(&dialect, both, "").as_deref(), Ok("created_at__lte=2025-01-01T00%3A00%3A00Z&id__gt=1e3"));
    let null = Filter::Compare { column: 0, comparison: Comparison::NotNull, value: None };
    assert_eq!(written(&dialect, null, "").as_deref(), Ok("created_at__isnull=false"));
    assert_eq!(written(&dialect, after("x"), ""), Err(Unaskable::Filter), "parameters all hold");

    let dialect = filtered(groups(), Kind::Text);
    assert_eq!(
        written(&dialect, after("x"), "").as_deref(),
        Ok("$or%5B0%5D%5Bcreated_at%5D%5B$lt%5D=x&$or%5B1%5D%5Bcreated_at%5D=x&$or%5B1%5D%5Bid%5D%5B$lt%5D=7")
    );

    let dialect = filtered(odata(), Kind::Datetime);
    assert_eq!(
        written(&dialect, after("2025-01-01T00:00:00.000001Z"), "").as_deref(),
        Ok("$filter=%28created_at%20lt%202025-01-01T00%3A00%3A00.000001Z%20or%20%28created_at%20eq%20\
            2025-01-01T00%3A00%3A00.000001Z%20and%20id%20lt%207%29%29")
    );

    let dialect = filtered(postgrest(), Kind::Inferred);
    assert_eq!(
        written(&dialect, at_most(), "and=(a.eq.1)").as_deref(),
        Ok("and=(a.eq.1)&and=(created_at.lte.%222025-01-01T00%3A00%3A00Z%22)")
    );
    let mixed = Filter::And(vec![at_most(), Filter::Or(vec![at_most(), compare(1, Comparison::Equal, text("u"))])]);
    let mixed = written(&dialect, mixed, "").unwrap();
    assert_eq!(
        percent_decode_str(&mixed).decode_utf8_lossy(),
        "and=(and(created_at.lte.\"2025-01-01T00:00:00Z\",or(created_at.lte.\"2025-01-01T00:00:00Z\",id.eq.\"u\")))"
    );
}

#[test]
fn alternatives_within_conditions_become_groups() {
    let dialect = filtered(groups(), Kind::Text);
    let less = |value: &str| compare(0, Comparison::Less, text(value));
    let filter = Filter::And(vec![Filter::Or(vec![less("a"), less("b")]), compare(1, Comparison::Greater, text("c"))]);
    assert_eq!(
        percent_decode_str(&written(&dialect, filter, "").unwrap()).decode_utf8_lossy(),
        "$or[0][created_at][$lt]=a&$or[0][id][$gt]=c&$or[1][created_at][$lt]=b&$or[1][id][$gt]=c"
    );
    let many = Filter::Or((0..9).map(|number| less(&number.to_string())).collect());
    assert_eq!(written(&dialect, many, ""), Err(Unaskable::Filter), "no query grows without bound");
}

/// Values that could end their own value, expression or parameter if they weren't encoded or quoted.
const HOSTILE: &[&str] = &[
    "O'Neil",
    "''",
    "' or 1 eq 1 or 'a' eq '",
    "a\"b",
    "\\\"),or(id.gt.0",
    "\\",
    "x\\",
    "),or(id.gt.0",
    "a&page=9&limit=1",
    "a#b?c=d",
    "100%",
    "%27%20or",
    "a+b c",
    "\u{1f600}\u{202e}é",
    "{value}{field}",
    ",;:()[]{}",
    "null",
    "$filter=x",
];

/// Row: A11
#[test]
fn hostile_values_do_not_escape_from_their_query_parameter() {
    let dialect = filtered(suffixes(), Kind::Text);
    for hostile in HOSTILE {
        let query = written(&dialect, compare(0, Comparison::LessOrEqual, text(hostile)), "q=1").unwrap();
        let (client, pair) = query.split_once('&').unwrap();
        assert_eq!((client, pair.matches('&').count()), ("q=1", 0), "{hostile}");
        let (name, value) = pair.split_once('=').unwrap();
        assert_eq!(name, "created_at__lte");
        assert_eq!(percent_decode_str(value).decode_utf8().unwrap(), *hostile);
    }
}

/// Row: A11
#[test]
fn hostile_values_do_not_escape_from_their_quotes() {
    for (filter, quote) in [(odata(), '\''), (postgrest(), '"')] {
        let dialect = filtered(filter, Kind::Text);
        for hostile in HOSTILE {
            let query = written(&dialect, compare(0, Comparison::LessOrEqual, text(hostile)), "").unwrap();
            let (_, value) = query.split_once('=').unwrap();
            assert!(!value.contains(['&', '#', '+']), "{query}");
            let decoded = percent_decode_str(value).decode_utf8().unwrap().into_owned();
            let (_, quoted) = decoded.split_once(quote).unwrap();
            assert_eq!(read_quoted(quoted, quote), Some(((*hostile).to_owned(), if quote == '"' { ")" } else { "" })));
        }
    }
}

/// Reads a quoted string as OData and PostgREST do, beginning after the first quote. Returns the string and the rest of
/// the text.
fn read_quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        match character {
            '\\' if quote == '"' => out.push(rest.next()?.1),
            _ if character != quote => out.push(character),
            '\'' if rest.peek().is_some_and(|(_, next)| *next == '\'') => {
                rest.next();
                out.push('\'');
            }
            _ => return Some((out, &text[at + 1..])),
        }
    }
    None
}

/// Row: A11
#[test]
fn values_that_cant_be_written_safely_are_not_written() {
    let unusable = |filter: DialectFilter, kind: Kind, value: KeyValue| {
        let dialect = filtered(filter, kind);
        written(&dialect, compare(0, Comparison::LessOrEqual, value), "") == Err(Unaskable::Filter)
    };
    for value in [text(""), text("a\u{0}b"), text("a\nb"), KeyValue::Null, KeyValue::Text(vec![0xff, 0xfe])] {
        assert!(unusable(suffixes(), Kind::Inferred, value.clone()), "{value:?}");
    }
    assert!(unusable(suffixes(), Kind::Number, KeyValue::Number("1&a=2".to_owned())));
    for value in ["a\nb", "a\u{7f}"] {
        assert!(unusable(postgrest(), Kind::Text, text(value)), "{value:?}");
    }
    // OData writes values of these kinds without quotes, so only values with the syntax of their kind are written.
    for value in ["2025-01-01 or 1 eq 1", "now()", "2025-01-01T00:00:00Z)", "", "null", "2025'"] {
        assert!(unusable(odata(), Kind::Datetime, text(value)), "{value}");
    }
    for value in ["123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-426614174000 or", "x"] {
        assert!(unusable(odata(), Kind::Uuid, text(value)), "{value}");
    }
    for value in ["1 or 1", "1)", "NaN", "+1", "1e", ".5"] {
        assert!(unusable(odata(), Kind::NumberInString, text(value)), "{value}");
    }
    assert!(!unusable(odata(), Kind::Datetime, text("2025-01-01T00:00:00+02:00")));
    assert!(!unusable(odata(), Kind::Uuid, text("123e4567-e89b-12d3-a456-426614174000")));
    assert!(!unusable(odata(), Kind::NumberInString, text("-12.50")));
}

#[test]
fn the_clients_own_filters_stay_in_force() {
    let less = || compare(0, Comparison::LessOrEqual, text("2025-01-01T00:00:00Z"));
    let filters = |dialect: &Dialect, client: &str| dialect.filters_for(dialect.default_sorted(), client).is_some();
    let dialect = filtered(suffixes(), Kind::Datetime);
    for (client, free) in [
        ("", true),
        ("name=x", true),
        ("created_at__year=2025", true),
        ("created_at__lte=2026", false),
        ("CREATED_AT__LTE=2026", false),
        ("a=1&created_at%5F_gte=2026", false),
        ("id=7", false),
    ] {
        assert_eq!(filters(&dialect, client), free, "{client}");
    }
    assert_eq!(written(&dialect, less(), "created_at__lte=2026"), Err(Unaskable::Filter));

    let dialect = filtered(groups(), Kind::Text);
    for (client, free) in [("name=x", true), ("$or[0][name]=x", false), ("%24or%5B7%5D%5Bname%5D=x", false)] {
        assert_eq!(filters(&dialect, client), free, "{client}");
    }

    let dialect = filtered(odata(), Kind::Datetime);
    for (client, merged) in [
        ("$filter=a%20eq%201&$expand=b", Some("$expand=b&$filter=(a eq 1) and created_at le 2025-01-01T00:00:00Z")),
        ("%24FILTER=a+eq+'x)'", Some("$filter=(a eq 'x)') and created_at le 2025-01-01T00:00:00Z")),
        ("$filter=a eq 1) or (b eq 2", None),
        ("$filter=a eq 'x", None),
        ("$filter=a eq 1&$filter=b eq 2", None),
    ] {
        assert_eq!(filters(&dialect, client), merged.is_some(), "{client}");
        let query = written(&dialect, less(), client).ok();
        let decoded = query.map(|query| percent_decode_str(&query).decode_utf8().unwrap().into_owned());
        assert_eq!(decoded.as_deref(), merged, "{client}");
    }

    let dialect = filtered(postgrest(), Kind::Inferred);
    assert!(filters(&dialect, "and=(a.eq.1)&created_at=gt.2020&and=(b.eq.2)"));
}

/// Returns the filters that the core gets for the declared order.
fn usable(change: impl FnOnce(&mut ListSettings)) -> Option<Filters> {
    compile(change).default_sorted().filters.as_deref().cloned()
}

#[test]
fn the_core_gets_the_comparisons_that_can_be_requested() {
    let all = Comparisons {
        less: true,
        less_or_equal: true,
        greater: true,
        greater_or_equal: true,
        equal: true,
        nulls: true,
    };
    let filters = usable(|list| by(list, suffixes(), Kind::Datetime)).unwrap();
    assert_eq!(filters, Filters { columns: vec![all, all], either: false, both: true, sorts_by_id: true });
    let only_created_at = usable(|list| {
        by(list, suffixes(), Kind::Datetime);
        list.filterable = vec![at("created_at")];
        list.sortable = vec![at("created_at")];
    });
    let columns = vec![all, Comparisons::default()];
    assert_eq!(only_created_at, Some(Filters { columns, either: false, both: true, sorts_by_id: false }));
    let exclusive = Comparisons { less: true, greater: true, equal: true, ..Comparisons::default() };
    let grouped = usable(|list| by(list, groups(), Kind::Text)).unwrap();
    assert_eq!(grouped, Filters { columns: vec![exclusive; 2], either: true, both: true, sorts_by_id: true });
    let own_words = usable(|list| {
        let named = DialectTerms { lt: some("before={value}"), gt: some("after={value}"), ..DialectTerms::default() };
        by(list, DialectFilter { fields: vec![(at("created_at"), named)], ..suffixes() }, Kind::Datetime);
    });
    let dates = Comparisons { less: true, greater: true, ..Comparisons::default() };
    assert_eq!(own_words.map(|filters| filters.columns), Some(vec![dates, Comparisons::default()]));
    // An expression quotes strings, dates and ids differently, so the kind must be declared.
    let undeclared_id = usable(|list| by(list, odata(), Kind::Datetime)).unwrap();
    assert_eq!(undeclared_id.columns[1], Comparisons { nulls: true, ..Comparisons::default() });
    assert_eq!(usable(|list| list.mode = at(Mode::Offset)), None);
}

#[test]
fn a_filter_in_one_direction_is_used_in_that_direction() {
    let no = DialectTerms::default;
    let [gte, lte, from] = ["{field}_min={value}", "{field}_max={value}", "start={value}"].map(some);
    let [gte, lte, from] = [DialectTerms { gte, ..no() }, DialectTerms { lte, ..no() }, DialectTerms { from, ..no() }];
    // The words, the order, whether filters show what follows an item, and what comes before it.
    for (terms, order, onward, back) in [
        (&gte, "created_at", true, false),
        (&gte, "-created_at", false, false),
        (&lte, "-created_at", true, false),
        (&lte, "created_at", false, false),
        (&from, "created_at", true, true),
        (&from, "-created_at", true, true),
    ] {
        let dialect = compile(|list| {
            by(list, DialectFilter { terms: terms.clone(), ..nothing() }, Kind::Datetime);
            list.mode = at(Mode::Auto);
            list.order = vec![at(term(order))];
        });
        let sorted = dialect.default_sorted();
        assert_eq!((sorted.filters.is_some(), sorted.filters_back), (onward, back), "{order} {terms:?}");
        let mode = if onward { Mode::Keyset } else { Mode::Offset };
        assert_eq!(sorted.mode, mode, "{order} {terms:?}");
    }
}

/// A function that returns a valid filter.
type Right = fn() -> DialectFilter;

/// A change that makes a filter wrong in one way.
type Change = fn(&mut DialectFilter);

#[test]
fn faults_are_reported_with_their_correction() {
    let cases: [(Right, Change, &str); 15] = [
        (suffixes, |f| f.terms.null = None, "the filter has not_null and no null; set both"),
        (
            suffixes,
            |f| f.terms.eq = some("{field}"),
            "a comparison does not contain its value; put {value} after the `=`",
        ),
        (suffixes, |f| f.terms.null = some("{field}={value}"), "comparisons with null have no value"),
        (suffixes, |f| f.terms.eq = some("a={value}&b={field}"), "a comparison is one parameter"),
        (
            suffixes,
            |f| f.terms.eq = some("{name}={value}"),
            "unknown variable {name}; variables here: {field} {value} {gr",
        ),
        (suffixes, |f| f.and = some("{a},{b}"), "and, or and merge are for expressions; set query"),
        (suffixes, |f| f.terms = DialectTerms::default(), "the filter has no comparisons"),
        (groups, |f| f.terms.eq = some("{field}={value}"), "some comparisons are in groups, and some are not"),
        (odata, |f| f.query = some("$filter=x"), "filter.query is the parameter that takes the expression"),
        (odata, |f| f.query = some("{filter}"), "filter.query is the parameter that takes the expression"),
        (odata, |f| f.query = some("a={filter}&b=1"), "filter.query is the parameter that takes the expression"),
        (
            odata,
            |f| f.and = some("({a} and b)"),
            "the expression never contains {b}; put {b} where the upstream reads it",
        ),
        (odata, |f| f.merge = some("{client}"), "the expression never contains {filter}"),
        (odata, |f| f.terms.eq = some("{field} eq {val}"), "unknown variable {val}; did you mean {value}?"),
        (odata, |f| f.terms = DialectTerms::default(), "the filter has no comparisons"),
    ];
    for (filter, change, expected) in cases {
        let mut filter = filter();
        change(&mut filter);
        let told = faults(|list| list.dialect.filter = Some(filter));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(expected), "{told:?}\n{expected}");
    }
}

#[test]
fn a_filter_cant_be_a_paging_or_sort_parameter() {
    for (field, expected) in [("limit", "limit"), ("sort", "sort")] {
        let told = faults(|list| {
            by(list, suffixes(), Kind::Number);
            list.filterable = vec![at("created_at"), at(field)];
        });
        let expected =
            format!("a filter on {field} would be the parameter {expected}, which pages or sorts; leave this out");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&expected), "{told:?}");
    }
}
