//! Settings for the tests of this module: a route over a dialect by page and limit, to be changed by each test.

use std::time::Duration;

use super::Dialect;
use crate::{
    config::{
        diagnostic::{Diagnostics, Located, Location},
        settings::{
            Budgets, CursorSettings, DialectRequest, DialectResponse, DialectSettings, DialectSize, DialectSort,
            EnvelopeSettings, LegacySettings, ListSettings, OverMax, PageSizeSettings, ParameterSettings, SortTerm,
            TotalPolicy,
        },
        tree::Tree,
    },
    pagination::{
        order::Direction,
        resolver::{ShortPages, WhenUnproven},
    },
};

/// Somewhere.
pub(super) const AT: Location = Location { source: 0, start: 0, end: 0 };

/// A value that stands somewhere.
pub(super) fn at<T>(value: impl Into<T>) -> Located<T> {
    Located { value: value.into(), at: AT }
}

/// `-name` or `name`.
pub(super) fn term(text: &str) -> SortTerm {
    let (direction, field) =
        text.strip_prefix('-').map_or((Direction::Ascending, text), |field| (Direction::Descending, field));
    SortTerm { field: field.to_owned(), direction }
}

/// Compiles the route after a change.
pub(super) fn compile(change: impl FnOnce(&mut ListSettings)) -> Dialect {
    let mut list = route();
    change(&mut list);
    let mut diagnostics = Diagnostics::default();
    let dialect = Dialect::compile(&list, &mut diagnostics);
    dialect.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

/// What is said of the route after a change that makes it wrong: `message; help`, and nothing compiled.
pub(super) fn faults(change: impl FnOnce(&mut ListSettings)) -> Vec<String> {
    let mut list = route();
    change(&mut list);
    let mut diagnostics = Diagnostics::default();
    let compiled = Dialect::compile(&list, &mut diagnostics).is_some();
    assert_eq!(compiled, !diagnostics.has_errors(), "compiled, or said why not");
    diagnostics.iter().map(|fault| format!("{}; {}", fault.message, fault.help)).collect()
}

/// A route by page and limit, ordered by `-created_at, id`, both sortable.
fn route() -> ListSettings {
    ListSettings {
        dialect: dialect(),
        envelope: envelope(),
        collection: "users".to_owned(),
        order: vec![at(term("-created_at"))],
        id_direction: Direction::Ascending,
        id: None,
        ties: None,
        fields: Vec::new(),
        sortable: vec![at("created_at"), at("id")],
        unproven: WhenUnproven::Refuse,
        short_pages: ShortPages::Refuse,
        page_size: PageSizeSettings { default: 20, max: 100, over_max: None },
        total: TotalPolicy::Upstream,
        principal: Vec::new(),
        cursor: CursorSettings { ttl: None, bind: Vec::new(), length: 2048 },
        parameters: ParameterSettings::default(),
        legacy: LegacySettings::default(),
        budgets: Budgets {
            time: Duration::from_secs(30),
            upstream_requests: 8,
            answer_size: 10 << 20,
            answer_depth: 128,
            link_length: 4096,
        },
    }
}

fn dialect() -> DialectSettings {
    DialectSettings {
        name: "test".to_owned(),
        at: AT,
        description: None,
        documentation: None,
        request: DialectRequest {
            query: at("page={page}&limit={size}"),
            headers: Vec::new(),
            first_page: 1,
            also: Vec::new(),
            max_depth: None,
        },
        size: DialectSize::default(),
        response: DialectResponse {
            items: at("/data"),
            items_optional: false,
            item: None,
            id: None,
            total: None,
            total_exact_when: Vec::new(),
            has_more: None,
            is_last: None,
            next_url: None,
            prev_url: None,
            next_page: None,
            last_page: None,
            page: None,
            offset: None,
            size: None,
            end: None,
            repeats_last_page: false,
            past_end: Vec::new(),
            error: Vec::new(),
        },
        sort: Some(sort("sort={direction}{field}", Some(","))),
    }
}

/// A sort with the words `""` and `-`.
pub(super) fn sort(query: &str, join: Option<&str>) -> DialectSort {
    DialectSort {
        query: at(query),
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
        error_content_type: None,
    }
}
