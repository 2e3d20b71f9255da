//! Settings for the tests of this module: a route whose dialect pages by `page` and `limit`. Each test changes the
//! route as it needs.

use super::{Dialect, UpstreamRequest};
use crate::{
    config::{
        diagnostic::{Diagnostics, Located, Location},
        settings::{
            Budgets, CursorSettings, DialectRequest, DialectResponse, DialectSettings, DialectSize, DialectSort,
            EnvelopeSettings, LegacySettings, ListSettings, Mode, NewClients, OverMax, PageSizeSettings,
            ParameterSettings, SortTerm, WhenEndUnproven,
        },
        tree::Tree,
    },
    pagination::{
        fetch::{Fetch, Listing, Token, TokenFetch},
        order::Direction,
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
        window::{Offset, PageNumber, PageSize, Slice},
    },
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
        envelope: envelope(),
        envelopes: Vec::new(),
        inner: None,
        collection: "users".to_owned(),
        declared: true,
        order: vec![at(term("-created_at"))],
        id_direction: Direction::Ascending,
        id: None,
        ties: None,
        fields: Vec::new(),
        sortable: vec![at("created_at"), at("id")],
        filterable: Vec::new(),
        mode: at(Mode::Auto),
        verify: Verify::Always,
        unproven: WhenUnproven::Refuse,
        unproven_end: WhenEndUnproven::Flag,
        short_pages: ShortPages::Refuse,
        page_size: PageSizeSettings { default: 20, max: 100, over_max: None, at: AT },
        total: Totals::Upstream,
        principal: Vec::new(),
        impersonal: Vec::new(),
        cursor: CursorSettings::default(),
        parameters: ParameterSettings::default(),
        page_cache: None,
        legacy: LegacySettings::default(),
        new_clients: NewClients::default(),
        budgets: Budgets::default(),
    }
}

fn dialect() -> DialectSettings {
    DialectSettings {
        name: "test".to_owned(),
        at: AT,
        description: None,
        documentation: None,
        request: DialectRequest::new(at("page={page}&limit={size}")),
        size: DialectSize::default(),
        response: DialectResponse::new(at("/data")),
        sort: Some(sort("sort={direction}{field}", Some(","))),
        filter: None,
        item: None,
        count: None,
    }
}

/// Returns a sort that writes nothing for ascending keys and `-` for descending ones.
pub(super) fn sort(query: &str, join: Option<&str>) -> DialectSort {
    DialectSort {
        query: at(query),
        body: None,
        join: join.map(str::to_owned),
        ascending: String::new(),
        descending: "-".to_owned(),
        nulls_first: None,
        nulls_last: None,
        max_keys: None,
    }
}

fn envelope() -> EnvelopeSettings {
    EnvelopeSettings {
        name: "test".to_owned(),
        at: AT,
        description: None,
        documentation: None,
        content_type: "application/json".to_owned(),
        parameters: Vec::new(),
        over_max: OverMax::Clamp,
        zero_limit_is_default: false,
        empty_cursor_is_first_page: false,
        headers: Vec::new(),
        body: Located { value: Tree::Null, at: AT },
        error: None,
    }
}
