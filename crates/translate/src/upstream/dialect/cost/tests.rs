//! The descriptions of page costs, and the reports about budgets that are too small.

use super::Costs;
use crate::upstream::testing::{at, changed, compile};
use cursorgate_config::{
    diagnostic::{Diagnostics, Severity},
    settings::{ListSettings, Mode},
};
use cursorgate_core::pagination::order::Ties;

/// Returns the messages and advice of `check` for a route, and the described costs of the first page and of later
/// pages.
fn said(change: impl Fn(&mut ListSettings)) -> (Vec<String>, String, String) {
    let (dialect, list) = (compile(&change), changed(&change));
    let mut diagnostics = Diagnostics::default();
    let mut costs = Costs::default();
    costs.check(&dialect, &list, &mut diagnostics);
    let pages = costs.of(&dialect, &list);
    let told = diagnostics.iter().map(|told| format!("{}; {}", told.message, told.help)).collect();
    (told, pages.first(list.page_size.max), pages.later(list.page_size.max))
}

fn fixed(size: u32, max: u32) -> impl Fn(&mut ListSettings) {
    move |list| {
        list.dialect.request.query = at("page={page}");
        list.dialect.size.default = Some(at(size));
        list.dialect.response.total = Some(at("/total"));
        list.dialect.sort = None;
        list.page_size.max = max;
        list.page_size.default = max.min(20);
    }
}

#[test]
fn costs_are_described_for_the_first_page_and_later_ones() {
    let one = || "1 upstream request".to_owned();
    assert_eq!(said(|list| list.page_size.max = 300), (Vec::new(), one(), one()));
    let (told, first, later) = said(|list| list.dialect.size.max = Some(at(100_u32)));
    assert!(first.starts_with("1 upstream request up to 99 items, up to "), "{first}");
    assert!(later.starts_with("1 upstream request up to "), "{later}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("limits above ") && told[0].contains(" take up to "), "{told:?}");
}

#[test]
fn an_upstream_without_a_cap_is_asked_for_a_thousand_at_a_time() {
    let (told, first, _) = said(|list| {
        list.page_size.max = 2_000;
    });
    assert!(first.starts_with("1 upstream request up to 999 items, up to "), "{first}");
    assert!(told[0].contains("asked for 1000 items at a time"), "{told:?}");
}

#[test]
fn a_route_that_follows_the_advice_has_no_diagnostic() {
    for size in [4, 10] {
        // Ordered ties keep the search budget out of this test: a run of unordered ties would be searched for.
        let ordered = move |max: u32| {
            move |list: &mut ListSettings| {
                fixed(size, max)(list);
                list.ties = Some(Ties::Ordered);
            }
        };
        let (told, ..) = said(ordered(100));
        assert_eq!(told.len(), 1, "{told:?}");
        let number = |before: &str| -> u32 {
            let (_, behind) = told[0].split_once(before).unwrap_or_else(|| panic!("{told:?}"));
            behind.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
        };
        let (lower, raised) = (number("page_size.max = "), number("raise the budget to "));
        assert_eq!(said(ordered(lower)).0, Vec::<String>::new(), "{size}: {told:?}");
        assert_eq!(said(ordered(lower + 1)).0.len(), 1, "{size}: {told:?}");
        let with = |budget: u32| {
            said(move |list: &mut ListSettings| {
                ordered(100)(list);
                list.budgets.upstream_requests = budget;
                list.budgets.search_requests = budget.max(40);
            })
        };
        assert_eq!(with(raised).0, Vec::<String>::new(), "{size}: {told:?}");
        // An end that the budget leaves unproven is served, and a chain that it cuts short can take one request less.
        assert_eq!(with(raised - 9).0.len(), 1, "{size}: {told:?}");
    }
}

#[test]
fn computed_costs_are_reused() {
    let (dialect, list) = (compile(fixed(10, 20)), changed(fixed(10, 20)));
    let mut costs = Costs::default();
    let computed = costs.of(&dialect, &list);
    assert_eq!((costs.pages.len(), costs.of(&dialect, &list)), (1, computed.clone()));
    let mut next = Costs::after(&costs);
    assert_eq!((next.of(&dialect, &list), next.pages.len()), (computed, 1));
    let other = changed(fixed(10, 10));
    let _ = costs.of(&dialect, &other);
    assert_eq!(costs.pages.len(), 2, "another largest page is another shape");
}

#[test]
fn a_route_whose_pages_can_be_filled_has_no_error() {
    let mut list = changed(fixed(10, 10));
    list.mode = at(Mode::Offset);
    let dialect = compile(fixed(10, 10));
    let mut diagnostics = Diagnostics::default();
    Costs::default().check(&dialect, &list, &mut diagnostics);
    assert!(diagnostics.iter().all(|told| told.severity != Severity::Error));
}
