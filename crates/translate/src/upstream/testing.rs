//! Settings for the tests of this module: a route whose dialect pages by `page` and `limit`. Each test changes the
//! route as it needs.

use super::{Dialect, UpstreamRequest};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located, Location},
    settings::{
        DialectRequest, DialectResponse, DialectSettings, DialectSort, EnvelopeSettings, ListSettings, SortTerm,
    },
};
use cursorgate_core::pagination::{
    fetch::{Fetch, Listing, Token, TokenFetch},
    order::Direction,
    window::{Offset, PageNumber, PageSize, Slice},
};

/// The location of values whose location doesn't matter.
pub(super) const AT: Location = Location { source: 0, start: 0, end: 0 };

/// Returns a value at [`AT`].
pub(super) fn at<T>(value: impl Into<T>) -> Located<T> {
    Located { value: value.into(), at: AT }
}

/// Parses a sort term: `-name` is descending, `name` ascending.
pub(super) fn term(text: &str) -> SortTerm {
    let (direction, field) =
        text.strip_prefix('-').map_or((Direction::Ascending, text), |field| (Direction::Descending, field));
    SortTerm { field: field.to_owned(), direction }
}

/// Returns the fetch of a page; the first page has number 0.
pub(super) fn page(number: u64, size: u32) -> Fetch {
    Fetch::Slice(Slice::Page { number: PageNumber(number), size: PageSize(size) }, Listing::default())
}

/// Returns the fetch of a slice that begins at offset `from`.
pub(super) fn slice(from: u64, size: u32) -> Fetch {
    Fetch::Slice(Slice::Offset { from: Offset(from), size: PageSize(size) }, Listing::default())
}

/// Returns a fetch by token; `None` fetches the first answer.
pub(super) fn follow(token: Option<&str>, backward: bool, size: u32) -> Fetch {
    let token = token.map(|text| Token(text.into()));
    Fetch::Token(TokenFetch { token, backward, size: PageSize(size) })
}

/// Builds the request for a fetch of the list at `/items` in its declared order.
pub(super) fn ask(dialect: &Dialect, fetch: &Fetch, filters: &str) -> UpstreamRequest {
    dialect.ask(dialect.default_sorted(), fetch, filters, "/items").unwrap()
}

/// Compiles the dialect of the test route after a change.
pub(super) fn compile(change: impl FnOnce(&mut ListSettings)) -> Dialect {
    let list = changed(change);
    let mut diagnostics = Diagnostics::default();
    let dialect = Dialect::compile(&list, &mut diagnostics);
    dialect.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

/// Returns the settings of the test route after a change.
pub(super) fn changed(change: impl FnOnce(&mut ListSettings)) -> ListSettings {
    let mut list = route();
    change(&mut list);
    list
}

/// Compiles the test route after a change and returns the faults, each as `message; help`.
pub(super) fn faults(change: impl FnOnce(&mut ListSettings)) -> Vec<String> {
    let list = changed(change);
    let mut diagnostics = Diagnostics::default();
    let compiled = Dialect::compile(&list, &mut diagnostics).is_some();
    assert_eq!(compiled, !diagnostics.has_errors(), "compiled, or said why not");
    diagnostics.iter().map(|fault| format!("{}; {}", fault.message, fault.help)).collect()
}

/// Returns a route that pages by page and limit, ordered by `-created_at, id`. Both fields are sortable.
fn route() -> ListSettings {
    ListSettings {
        dialect: dialect(),
        envelope: EnvelopeSettings { name: "test".to_owned(), ..EnvelopeSettings::default() },
        collection: "users".to_owned(),
        declared: true,
        order: vec![at(term("-created_at"))],
        sortable: vec![at("created_at"), at("id")],
        principal: Vec::new(),
        ..ListSettings::default()
    }
}

fn dialect() -> DialectSettings {
    DialectSettings {
        name: "test".to_owned(),
        request: DialectRequest::new(at("page={page}&limit={size}")),
        response: DialectResponse::new(at("/data")),
        sort: Some(sort("sort={direction}{field}", Some(","))),
        ..DialectSettings::default()
    }
}

/// Returns a sort that writes nothing for ascending keys and `-` for descending ones.
pub(super) fn sort(query: &str, join: Option<&str>) -> DialectSort {
    DialectSort {
        query: at(query),
        join: join.map(str::to_owned),
        ascending: String::new(),
        descending: "-".to_owned(),
        ..DialectSort::default()
    }
}
