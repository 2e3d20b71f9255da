//! Legacy requests, read back through the templates.

use super::{LegacyFault, LegacyWindow};
use crate::upstream::{
    Dialect,
    testing::{at, compile},
};
use cursorgate_config::settings::ListSettings;

fn window(dialect: &Dialect, pairs: &[(&str, &str)]) -> Result<Option<LegacyWindow>, LegacyFault> {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    dialect.legacy_window(&pairs)
}

fn found(offset: u64, size: Option<u32>, page: Option<u64>) -> Result<Option<LegacyWindow>, LegacyFault> {
    Ok(Some(LegacyWindow { offset, size, page }))
}

#[test]
fn items_that_are_counted_from_1_are_offsets_from_0() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("from={offset}&to={last}");
        list.dialect.request.first_item = 1;
    });
    assert_eq!(window(&dialect, &[("from", "21"), ("to", "40")]), found(20, Some(20), None));
    let fault = window(&dialect, &[("from", "0"), ("to", "5")]).unwrap_err();
    assert!(fault.detail.contains("at least 1"), "{}", fault.detail);
}

fn by_page() -> Dialect {
    compile(|list| {
        list.dialect.request.query = at("page={page}&per_page={size}");
        list.dialect.size.default = Some(at(30_u32));
        list.dialect.size.max = Some(at(100_u32));
    })
}

#[test]
fn page_numbers_of_legacy_requests_become_offsets() {
    let dialect = by_page();
    assert_eq!(window(&dialect, &[]), Ok(None));
    assert_eq!(window(&dialect, &[("q", "x"), ("Pager", "3")]), Ok(None));
    assert_eq!(window(&dialect, &[("page", "1")]), found(0, Some(30), Some(1)));
    assert_eq!(window(&dialect, &[("q", "x"), ("page", "3")]), found(60, Some(30), Some(3)));
    assert_eq!(window(&dialect, &[("per_page", "50"), ("page", "3")]), found(100, Some(50), Some(3)));
    assert_eq!(window(&dialect, &[("per_page", "50")]), found(0, Some(50), Some(1)), "a size alone is the first page");
    assert_eq!(window(&dialect, &[("page", "2"), ("page", "2")]), found(30, Some(30), Some(2)));
    assert_eq!(
        window(&dialect, &[("page", "2"), ("per_page", "9999")]),
        found(100, Some(100), Some(2)),
        "as it is kept"
    );
    assert_eq!(window(&dialect, &[("page", "2"), ("per_page", "99999999999")]), found(100, Some(100), Some(2)));
}

#[test]
fn page_numbers_are_counted_from_the_first_page_of_the_dialect() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("page={page}&size={size}");
        list.dialect.request.first_page = 0;
        list.page_size.default = 25;
    });
    assert_eq!(window(&dialect, &[("page", "0")]), found(0, Some(25), Some(0)), "the route's size stands in");
    assert_eq!(window(&dialect, &[("page", "2"), ("size", "10")]), found(20, Some(10), Some(2)));
}

#[test]
fn offsets_are_read_from_every_equivalent_query() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("_start={offset}&_end={end}");
        list.dialect.request.also =
            vec![at("_page={page}&_limit={size}"), at("_start={offset}&_limit={size}"), at("range={offset}-{last}")];
        list.dialect.size.default = Some(at(10_u32));
    });
    assert_eq!(dialect.paging_names(), ["_start", "_end", "_page", "_limit", "range"]);
    assert_eq!(window(&dialect, &[("_start", "20"), ("_end", "50")]), found(20, Some(30), None));
    assert_eq!(window(&dialect, &[("_end", "50")]), found(0, Some(50), None));
    assert_eq!(window(&dialect, &[("_start", "20")]), found(20, Some(10), None));
    assert_eq!(window(&dialect, &[("_start", "20"), ("_limit", "5")]), found(20, Some(5), None));
    assert_eq!(window(&dialect, &[("_limit", "5")]), found(0, Some(5), None));
    assert_eq!(window(&dialect, &[("_page", "3"), ("_limit", "5")]), found(10, Some(5), Some(3)));
    assert_eq!(window(&dialect, &[("_page", "3")]), found(20, Some(10), Some(3)));
    assert_eq!(window(&dialect, &[("range", "20-29")]), found(20, Some(10), None));
    let unknown = compile(|list| list.dialect.request.query = at("o={offset}&l={size}"));
    assert_eq!(window(&unknown, &[("o", "7")]), found(7, None, None));
}

#[test]
fn faults_name_the_parameter() {
    let dialect = compile(|list: &mut ListSettings| {
        list.dialect.request.query = at("page={page}&per_page={size}");
        list.dialect.request.also = vec![at("start={offset}&end={end}")];
    });
    for (pairs, parameter, conflict) in [
        (&[("page", "0")][..], "page", false),
        (&[("page", "-1")], "page", false),
        (&[("page", "")], "page", false),
        (&[("page", "last")], "page", false),
        (&[("page", "1.5")], "page", false),
        (&[("page", " 1")], "page", false),
        (&[("page", "99999999999999999999999")], "page", false),
        (&[("page", "18446744073709551615")], "page", false),
        (&[("start", "18446744073709551615")], "start", false),
        (&[("per_page", "0")], "per_page", false),
        (&[("page", "2"), ("per_page", "ten")], "per_page", false),
        (&[("start", "20"), ("end", "20")], "end", false),
        (&[("start", "20"), ("end", "3")], "end", false),
        (&[("page", "1"), ("page", "2")], "page", true),
        (&[("page", "1"), ("start", "2")], "page", true),
    ] {
        let fault = window(&dialect, pairs).unwrap_err();
        assert_eq!((fault.parameter.as_str(), fault.conflict), (parameter, conflict), "{pairs:?}");
    }
}

#[test]
fn a_legacy_request_by_token_has_no_offset() {
    let dialect = compile(|list| {
        list.dialect.request.query = at("limit={size}&cursor={token}");
        list.dialect.response.next_token = Some(at("/next"));
    });
    let fault = window(&dialect, &[("limit", "5"), ("cursor", "7")]).unwrap_err();
    assert_eq!((fault.parameter.as_str(), fault.conflict), ("cursor", false));
    assert!(fault.detail.contains("no place"), "{}", fault.detail);
    assert_eq!(window(&dialect, &[("limit", "5")]), found(0, Some(5), None));
}
