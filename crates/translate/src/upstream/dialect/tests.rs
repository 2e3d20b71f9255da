//! Requests of dialects, and the orders that they ask for.

mod faults;

use crate::upstream::{
    Unsortable,
    testing::{ask, at, compile, page, slice, sort, term},
};
use cursorgate_config::settings::{DialectSort, EndWord, FieldSettings, ListSettings, TotalCounts};
use cursorgate_core::pagination::{
    fetch::Fetch,
    order::{Direction, Kind, Nulls, Ties},
    paging::{CountedThings, EndEvidence, Family, Sizes},
};

/// Returns the query that a dialect with this query template and no sort writes for a fetch.
fn query(template: &str, first_page: u64, fetch: &Fetch, filters: &str) -> String {
    let dialect = compile(|list| {
        list.dialect.request.query = at(template);
        list.dialect.request.first_page = first_page;
        list.dialect.size.default = Some(at(15_u32));
        list.dialect.sort = None;
    });
    ask(&dialect, fetch, filters).query
}

#[test]
fn queries_are_rendered_from_their_templates() {
    for (template, first_page, fetch, filters, expected) in [
        ("page={page}&per_page={size}", 1, page(0, 20), "", "page=1&per_page=20"),
        ("page={page}&size={size}", 0, page(3, 20), "", "page=3&size=20"),
        ("p={page}", 7, page(2, 15), "a=1&b=%2f", "a=1&b=%2f&p=9"),
        ("limit={size}&offset={offset}", 1, slice(40, 20), "q=x", "q=x&limit=20&offset=40"),
        ("_start={offset}&_end={end}", 1, slice(40, 20), "", "_start=40&_end=60"),
        ("range={offset}-{last}", 1, slice(40, 20), "", "range=40-59"),
        ("$skip={offset}&$top={size}", 1, slice(0, 5), "", "$skip=0&$top=5"),
        ("page[number]={page}&page[size]={size}", 1, page(0, 5), "", "page%5Bnumber%5D=1&page%5Bsize%5D=5"),
        ("flag&x=%C3%A9 é{{}}\"&p={page}", 1, page(0, 15), "", "flag&x=%C3%A9%20%C3%A9%7B%7D%22&p=1"),
        ("x=100%&y=a+b;c:@/?!'()*,=z&p={page}", 1, page(0, 15), "", "x=100%25&y=a+b;c:@/?!'()*,=z&p=1"),
        ("x=#&p={page}", 1, page(0, 15), "", "x=%23&p=1"),
        ("p={page}", u64::MAX, page(u64::MAX, 15), "", "p=18446744073709551615"),
    ] {
        assert_eq!(query(template, first_page, &fetch, filters), expected, "{template}");
    }
}

#[test]
fn items_may_be_counted_from_1() {
    for (template, expected) in [
        ("start={offset}&n={size}", "start=41&n=20"),
        ("from={offset}&to={last}", "from=41&to=60"),
        ("from={offset}&before={end}", "from=41&before=61"),
    ] {
        let dialect = compile(|list| {
            list.dialect.request.query = at(template);
            list.dialect.request.first_item = 1;
        });
        let query = ask(&dialect, &slice(40, 20), "").query;
        assert!(query.starts_with(expected), "{query}");
    }
}

#[test]
fn headers_are_templates_too() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("");
        list.dialect.request.headers =
            vec![(at("Range"), at("items={offset}-{last}")), (at("Prefer"), at("count={{exact}}"))];
    });
    let ask = ask(&dialect, &slice(25, 25), "a=1");
    assert_eq!(ask.query, "a=1&sort=-created_at,id");
    let headers: Vec<(&str, &str)> =
        ask.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("range", "items=25-49"), ("prefer", "count={exact}")]);
}

#[test]
fn the_variables_decide_the_family_and_the_sizes() {
    let paging = |template: &str, change: &dyn Fn(&mut ListSettings)| {
        let dialect = compile(|list| {
            list.dialect.request.query = at(template);
            change(list);
        });
        (dialect.paging().family, dialect.paging().sizes().clone())
    };
    let free = Sizes::Free { least: 1, most: None };
    assert_eq!(paging("p={page}&s={size}", &|_| ()), (Family::Page, free.clone()));
    assert_eq!(paging("o={offset}&s={size}", &|_| ()), (Family::Offset, free.clone()));
    assert_eq!(paging("a={offset}&b={end}", &|_| ()), (Family::Offset, free.clone()));
    assert_eq!(paging("a={offset}-{last}", &|_| ()), (Family::Offset, free));
    let bounded = |list: &mut ListSettings| {
        list.dialect.size.min = Some(at(5_u32));
        list.dialect.size.max = Some(at(50_u32));
    };
    assert_eq!(paging("p={page}&s={size}", &bounded).1, Sizes::Free { least: 5, most: Some(50) });
    let listed = |list: &mut ListSettings| {
        list.dialect.size.choices = vec![50, 10, 25, 10, 100];
        list.dialect.size.max = Some(at(50_u32));
    };
    assert_eq!(paging("p={page}&s={size}", &listed).1, Sizes::Listed(vec![10, 25, 50]));
    let fixed = |list: &mut ListSettings| list.dialect.size.default = Some(at(15_u32));
    assert_eq!(paging("p={page}", &fixed), (Family::Page, Sizes::Fixed(15)));
}

/// Requests by offset that must be aligned are pages to the core. Their offsets are written as number times size.
#[test]
fn aligned_offsets_are_pages() {
    for (template, expected) in [
        ("start={offset}&n={size}", "start=41&n=20"),
        ("from={offset}&to={last}", "from=41&to=60"),
        ("from={offset}&before={end}", "from=41&before=61"),
    ] {
        let dialect = compile(|list| {
            list.dialect.request.query = at(template);
            list.dialect.request.first_item = 1;
            list.dialect.request.aligned = true;
        });
        assert_eq!(dialect.paging().family, Family::Page, "{template}");
        assert!(!dialect.counts_pages(), "{template}: clients write offsets");
        let query = ask(&dialect, &page(2, 20), "").query;
        assert!(query.starts_with(expected), "{query}");
        let pairs = [("start".to_owned(), "16".to_owned()), ("n".to_owned(), "20".to_owned())];
        let window = dialect.legacy_window(&pairs).unwrap().map(|window| (window.offset, window.size, window.page));
        assert!(matches!(window, None | Some((15, Some(20), None))), "{window:?}");
        let sized = dialect.legacy_window(&pairs[1..]).unwrap().map(|window| (window.offset, window.page));
        assert!(matches!(sized, None | Some((0, None))), "no page number is made up: {sized:?}");
    }
}

#[test]
fn the_words_about_rows_and_totals_are_facts_for_the_core() {
    let facts = |change: fn(&mut ListSettings)| {
        let dialect = compile(change);
        let paging = dialect.paging();
        (paging.hidden, paging.complete, paging.counted, paging.max_offset)
    };
    assert_eq!(facts(|_| ()), (false, false, CountedThings::Unsaid, None));
    assert_eq!(facts(|l| l.dialect.response.hidden = true), (true, false, CountedThings::Unsaid, None));
    assert_eq!(facts(|l| l.dialect.response.complete = true), (false, true, CountedThings::Unsaid, None));
    assert_eq!(
        facts(|l| l.dialect.request.max_offset = Some(at(9_u64))),
        (false, false, CountedThings::Unsaid, Some(9))
    );
    for (word, counted) in [
        (TotalCounts::Items, CountedThings::Items),
        (TotalCounts::Rows, CountedThings::Rows),
        (TotalCounts::Estimate, CountedThings::Estimate),
    ] {
        let dialect = compile(|list| {
            list.dialect.response.total = Some(at("/n"));
            list.dialect.response.total_counts = Some(at(word));
        });
        assert_eq!(dialect.paging().counted, counted);
    }
}

#[test]
fn the_evidence_of_an_end_follows_the_setting() {
    let end = |word| {
        let dialect = compile(|list| {
            list.dialect.response.has_more = Some(at("/more"));
            list.dialect.response.end = word;
        });
        dialect.paging().end
    };
    assert_eq!(end(None), EndEvidence::Unvouched);
    assert_eq!(end(Some(at(EndWord::EmptyPage))), EndEvidence::Unvouched);
    assert_eq!(end(Some(at(EndWord::Flag))), EndEvidence::Flag);
    assert_eq!(end(Some(at(EndWord::ShortPage))), EndEvidence::ShortPage);
}

/// Returns the sort that a route requests by default, the number of keys in this sort, and the order of ties.
fn asked(change: impl FnOnce(&mut ListSettings)) -> (String, usize, Ties) {
    let dialect = compile(change);
    let sorted = dialect.default_sorted();
    (sorted.query.clone(), sorted.asked, sorted.order.ties())
}

#[test]
fn the_order_is_requested_up_to_the_sortable_keys() {
    let all = "sort=-created_at,id".to_owned();
    assert_eq!(asked(|_| ()), (all.clone(), 2, Ties::Ordered));
    let without_id = ("sort=-created_at".to_owned(), 1, Ties::Unordered);
    assert_eq!(asked(|list| list.sortable = vec![at("created_at")]), without_id, "ties come as they do");
    assert_eq!(asked(|list| list.sortable = vec![at("id")]), (String::new(), 0, Ties::Unordered));
    assert_eq!(asked(|list| list.dialect.sort = None), (String::new(), 0, Ties::Unordered));
    assert_eq!(asked(|list| list.ties = Some(Ties::Unordered)), (all, 2, Ties::Unordered));
    let believed = |list: &mut ListSettings| {
        list.sortable.clear();
        list.ties = Some(Ties::Ordered);
    };
    assert_eq!(asked(believed), (String::new(), 0, Ties::Ordered));
    let by_id = |list: &mut ListSettings| {
        list.order.clear();
        list.sortable.clear();
        list.ties = Some(Ties::Unordered);
    };
    assert_eq!(asked(by_id), (String::new(), 0, Ties::Ordered), "an order by the id alone has no ties");
}

#[test]
fn keys_beyond_max_keys_are_not_requested() {
    let max_keys = |keys| {
        asked(|list| {
            let sort = list.dialect.sort.as_mut().unwrap();
            sort.max_keys = Some(keys);
        })
    };
    assert_eq!(max_keys(1), ("sort=-created_at".to_owned(), 1, Ties::Unordered));
    assert_eq!(max_keys(2), ("sort=-created_at,id".to_owned(), 2, Ties::Ordered));
    assert_eq!(max_keys(9), ("sort=-created_at,id".to_owned(), 2, Ties::Ordered));
}

#[test]
fn sort_parameters_are_written_in_each_grammar_of_an_upstream() {
    for (template, join, expected) in [
        ("ordering={direction}{field}", Some(","), "ordering=-created_at,id"),
        ("_sort={field}&_order={direction}", Some(","), "_sort=created_at,id&_order=-,"),
        ("sort={field},{direction}", None, "sort=created_at,-&sort=id,"),
        ("$sort[{field}]={direction}", None, "$sort%5Bcreated_at%5D=-&$sort%5Bid%5D="),
        ("s={field} {direction}", Some(" ; "), "s=created_at%20-%20;%20id%20"),
        ("by={field}&dir={direction}&v=2", None, "by=created_at&dir=-&by=id&dir=&v=2"),
        ("by={field}{direction}&v=2", Some(","), "by=created_at-,id&v=2"),
    ] {
        let (query, ..) = asked(|list| list.dialect.sort = Some(sort(template, join)));
        assert_eq!(query, expected, "{template}");
    }
}

fn field(name: &str, nulls: Nulls, upstream: Option<&str>) -> FieldSettings {
    let upstream = upstream.map(str::to_owned);
    FieldSettings {
        name: name.to_owned(),
        kind: Kind::Inferred,
        collation: None,
        grain: None,
        nulls,
        at: None,
        upstream,
    }
}

#[test]
fn nulls_are_written_if_the_route_states_their_place() {
    let words = |nulls, direction: &str| {
        let (query, ..) = asked(|list| {
            let mut sort = sort("order={field}.{direction}{nulls}", Some(","));
            sort.nulls_first = Some(".first".to_owned());
            sort.nulls_last = Some(".last".to_owned());
            list.dialect.sort = Some(sort);
            list.order = vec![at(term(direction))];
            list.sortable = vec![at("a"), at("id")];
            list.fields = vec![field("a", nulls, None)];
        });
        query.strip_prefix("order=a.").and_then(|rest| rest.strip_suffix(",id.")).unwrap().to_owned()
    };
    for (nulls, ascending, descending) in [
        (Nulls::Unsaid, "", "-"),
        (Nulls::None, "", "-"),
        (Nulls::First, ".first", "-.first"),
        (Nulls::Last, ".last", "-.last"),
        (Nulls::Smallest, ".first", "-.last"),
        (Nulls::Largest, ".last", "-.first"),
    ] {
        assert_eq!(words(nulls, "a"), ascending, "{nulls:?}");
        assert_eq!(words(nulls, "-a"), descending, "{nulls:?}");
    }
}

#[test]
fn fields_go_by_the_upstreams_names() {
    let (query, ..) = asked(|list| {
        list.fields = vec![field("created_at", Nulls::Unsaid, Some("meta created/at"))];
        list.dialect.response.id = Some(at("/keys/user~1id"));
    });
    assert_eq!(query, "sort=-meta%20created%2Fat,user%2Fid");
    let (query, ..) = asked(|list| {
        list.dialect.response.id = Some(at("/keys/id"));
        list.id = Some(at("/uuid"));
    });
    assert_eq!(query, "sort=-created_at,uuid", "the route's word for the id comes before the dialect's");
    let (query, ..) = asked(|list| {
        list.id = Some(at("/attributes/id"));
        list.fields = vec![field("id", Nulls::Unsaid, Some("pk"))];
    });
    assert_eq!(query, "sort=-created_at,pk");
}

#[test]
fn clients_choose_an_order() {
    let dialect = compile(|list| list.sortable = vec![at("created_at"), at("name"), at("id")]);
    assert!(dialect.can_sort());
    let sorted = dialect.sorted(&[term("name"), term("-created_at")], Direction::Descending).unwrap();
    assert_eq!(sorted.query, "sort=name,-created_at,-id");
    assert_eq!(sorted.order.ties(), Ties::Ordered);
    assert_eq!(sorted.order.columns(), 3);
    let sorted = dialect.sorted(&[term("name"), term("-id"), term("created_at")], Direction::Ascending).unwrap();
    assert_eq!(sorted.query, "sort=name,-id", "what follows the id decides nothing");
    let same = dialect.sorted(&[term("-created_at")], Direction::Ascending).unwrap();
    assert_eq!(same.order, dialect.default_sorted().order);

    let dialect = compile(|list| {
        list.sortable = vec![at("name")];
        list.ties = Some(Ties::Ordered);
    });
    assert!(!dialect.asks_for_order());
    let sorted = dialect.sorted(&[term("name")], Direction::Ascending).unwrap();
    assert_eq!(sorted.query, "sort=name");
    assert_eq!(sorted.order.ties(), Ties::Unordered, "the route spoke of its own order");

    assert!(!compile(|list| list.dialect.sort = None).can_sort());
    assert!(!compile(|list| list.sortable.clear()).can_sort());
}

/// An upstream that sorts by one key at a time can't be asked for more, unless the route declares that order.
#[test]
fn a_sort_by_more_keys_than_max_keys_is_refused() {
    let dialect = compile(|list| {
        list.sortable = vec![at("created_at"), at("name"), at("id")];
        list.order = vec![at(term("-created_at")), at(term("name"))];
        list.dialect.sort = Some(DialectSort { max_keys: Some(1), ..sort("sort={direction}{field}", None) });
    });
    let sorted = |terms: &[&str]| {
        let terms: Vec<_> = terms.iter().map(|text| term(text)).collect();
        dialect.sorted(&terms, Direction::Ascending).map(|sorted| sorted.query)
    };
    assert_eq!(sorted(&["name"]), Ok("sort=name".to_owned()), "the gateway orders by the id itself");
    assert_eq!(sorted(&["name", "created_at"]), Err(Unsortable::TooManyKeys(1)));
    assert_eq!(sorted(&["-created_at", "name"]), Ok("sort=-created_at".to_owned()), "the declared order");
}

#[test]
fn names_are_decoded_and_unique() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("page%5Bnumber%5D={page}&limit={size}&expand=all");
        list.dialect.request.also = vec![at("start={offset}&limit={size}"), at("a b={page}")];
        list.dialect.sort = Some(sort("$sort[{field}]={direction}", None));
    });
    assert_eq!(dialect.paging_names(), ["page[number]", "limit", "start", "a b"]);
    assert_eq!(dialect.sort_names(), ["$sort"]);
}
