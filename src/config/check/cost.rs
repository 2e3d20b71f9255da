//! What the largest page of a route costs: how many upstream requests, and whether the budget allows them.

use super::Context;
use crate::config::{
    diagnostic::Location,
    mode::{self, keyset_obstacle, shows_its_end, size_is_asked},
    settings::{DialectSettings, ListSettings, Mode},
};

/// How an upstream names a place, as far as it matters for what a page costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Places {
    /// Any slice can be asked for.
    Slices,
    /// Only whole pages.
    Pages,
    /// Only whole pages, of a few sizes.
    PagesOfSomeSizes,
    /// Only whole pages, of one size.
    FixedPages,
    /// What follows a token, or an item.
    Tokens,
}

/// What of each further answer is not new: it overlaps the one before it, and has a margin.
const OVERLAP: u64 = 12;

/// How many requests a seam takes that no page shows both sides of: one page, the next, the first again.
const SEAM: u64 = 3;

/// How a page of this route is found, and how many items an answer has at most; nothing where that is not known.
fn places(list: &ListSettings) -> Option<(Places, u32)> {
    let dialect = &list.dialect;
    let cap = cap(dialect)?;
    let asked = size_is_asked(dialect);
    let places = match mode::Places::of(dialect)? {
        mode::Places::Tokens => Places::Tokens,
        // What a filter leaves begins where the page does, whatever it is asked by.
        _ if asked && is_filtered(list) => Places::Slices,
        mode::Places::Offsets if asked => Places::Slices,
        mode::Places::Pages if !asked => Places::FixedPages,
        mode::Places::Pages if !dialect.size.choices.is_empty() => Places::PagesOfSomeSizes,
        mode::Places::Pages => Places::Pages,
        // Slices of one size can begin anywhere: each adds all but its overlap.
        mode::Places::Offsets => Places::Slices,
    };
    Some((places, cap))
}

/// How many items an answer has at most.
fn cap(dialect: &DialectSettings) -> Option<u32> {
    if !size_is_asked(dialect) {
        return dialect.size.default.as_ref().map(|default| default.value);
    }
    let largest_choice = dialect.size.choices.last().copied();
    dialect.size.max.as_ref().map(|max| max.value).into_iter().chain(largest_choice).min()
}

/// Whether pages of the declared order are found by range filters, as far as that shows before the dialect is compiled.
fn is_filtered(list: &ListSettings) -> bool {
    let first = list.order.first().map_or("id", |term| term.value.field.as_str());
    let is_usable = keyset_obstacle(list, list.declared.then_some(first)).is_none();
    match list.mode.value {
        Mode::Keyset | Mode::Seek => is_usable,
        Mode::Auto => is_usable && shows_its_end(list, first) && list.dialect.sort.is_some(),
        Mode::Offset | Mode::Token => false,
    }
}

/// Reports a largest page that takes more upstream requests than the budget has, and warns of one that takes two where
/// smaller ones take one. `at` is where `page_size.max` stands, or what gave the route its dialect.
pub(super) fn check(at: Location, list: &ListSettings, context: &mut Context<'_>) {
    let Some((places, cap)) = places(list) else {
        return;
    };
    let name = &list.dialect.name;
    let (cap, max) = (u64::from(cap), u64::from(list.page_size.max));
    let (requests, budget) = (requests(places, cap, max), u64::from(list.budgets.upstream_requests));
    let gives = match size_is_asked(&list.dialect) {
        true => format!("{name} gives at most {cap} at a time"),
        false => format!("{name} gives {cap} at a time"),
    };
    if requests > budget {
        let message =
            format!("{max} items take {requests} upstream requests, and budgets.upstream_requests is {budget}");
        let lower = largest(places, cap, budget);
        let help = match lower {
            0 => format!("{gives}: raise the budget to {requests}"),
            _ => format!("{gives}: page_size.max = {lower} has room, or raise the budget to {requests}"),
        };
        context.diagnostics.error(at, message, help);
        return;
    }
    let single = single(places, cap);
    if max > single && matches!(places, Places::Slices | Places::Pages) {
        let message = format!("limits above {single} double the upstream requests");
        let help = match single {
            0 => gives,
            _ => format!("{gives}; page_size.max = {single} keeps it at one request a page"),
        };
        context.diagnostics.warning(at, message, help);
    }
}

/// The largest limit that one request serves: a slice holds the items before and behind the page as well, and a page
/// that holds any such window is two and a half times as large.
fn single(places: Places, cap: u64) -> u64 {
    match places {
        Places::Slices => cap.saturating_sub(2),
        Places::Pages => cap * 2 / 5,
        Places::PagesOfSomeSizes | Places::FixedPages => 0,
        Places::Tokens => cap,
    }
}

/// How many requests the largest page takes.
fn requests(places: Places, cap: u64, max: u64) -> u64 {
    match places {
        _ if max <= single(places, cap) => 1,
        Places::Slices => 1 + (max - single(places, cap)).div_ceil(further(cap)),
        Places::Pages => 1 + max.div_ceil(cap),
        // Where all sizes divide a place, no page shows both sides of it: that takes three requests.
        Places::PagesOfSomeSizes => SEAM * (1 + max.div_ceil(cap)),
        // Each seam between two pages takes one more, which shows it or reads the earlier page again.
        Places::FixedPages => 2 * max.div_ceil(cap) + 1,
        // It may begin within one page and end within another.
        Places::Tokens => 1 + max.div_ceil(cap),
    }
}

/// The largest page that so many requests serve.
fn largest(places: Places, cap: u64, requests: u64) -> u64 {
    match (places, requests) {
        (_, 0) => 0,
        (Places::Slices | Places::Pages | Places::Tokens, 1) => single(places, cap),
        (Places::Slices, _) => single(places, cap) + (requests - 1) * further(cap),
        (Places::Pages | Places::Tokens, _) => (requests - 1) * cap,
        (Places::FixedPages, _) => (requests - 1) / 2 * cap,
        (Places::PagesOfSomeSizes, _) => (requests / SEAM).saturating_sub(1) * cap,
    }
}

/// What each further slice adds at most; small caps leave less for the margin.
fn further(cap: u64) -> u64 {
    cap.saturating_sub(OVERLAP).max(cap.div_ceil(2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_to_lower_to_and_to_raise_to_agree() {
        for places in [Places::Slices, Places::Pages, Places::PagesOfSomeSizes, Places::FixedPages, Places::Tokens] {
            for cap in [1, 2, 5, 10, 24, 25, 100, 1_000] {
                for budget in 1..12 {
                    let lower = largest(places, cap, budget);
                    assert!(lower == 0 || requests(places, cap, lower) <= budget, "{cap} {budget}");
                    assert!(requests(places, cap, lower + 1) > budget, "{cap} {budget}");
                }
            }
        }
    }

    #[test]
    fn five_thousand_items_of_a_hundred_at_a_time_take_51_pages() {
        assert_eq!(requests(Places::Pages, 100, 5_000), 51);
        assert_eq!(largest(Places::Pages, 100, 8), 700);
        assert_eq!((single(Places::Pages, 100), single(Places::Slices, 100)), (40, 98));
        assert_eq!(requests(Places::Slices, 100, 98), 1);
        assert_eq!(requests(Places::Slices, 100, 99), 2);
    }
}
