//! What the largest page of a route costs: how many upstream requests, and whether the budget allows them.

use super::Context;
use crate::config::{
    diagnostic::Location,
    settings::{Budgets, DialectSettings, PageSizeSettings},
};

/// How an upstream names a place, as far as it matters for what a page costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// Any slice can be asked for.
    Slices,
    /// Only whole pages.
    Pages,
    /// Only whole pages, of a few sizes.
    PagesOfSomeSizes,
}

/// What of each further answer is not new: it overlaps the one before it, and has a margin.
const OVERLAP: u64 = 12;

/// How many requests a seam takes that no page shows both sides of: one page, the next, the first again.
const SEAM: u64 = 3;

/// How this dialect names places: by pages, if any template of its request does.
pub(super) fn places(dialect: &DialectSettings) -> Places {
    if mentions(dialect, "{page}") { Places::Pages } else { Places::Slices }
}

/// Whether the size of an answer can be asked for.
pub(super) fn size_is_asked(dialect: &DialectSettings) -> bool {
    ["{size}", "{end}", "{last}"].iter().any(|variable| mentions(dialect, variable))
}

fn mentions(dialect: &DialectSettings, variable: &str) -> bool {
    let request = &dialect.request;
    request.query.value.contains(variable) || request.headers.iter().any(|(_, value)| value.value.contains(variable))
}

/// Reports a largest page that takes more upstream requests than the budget has, and warns of one that takes two where
/// smaller ones take one. `at` is where `page_size.max` stands, or what gave the route its dialect.
pub(super) fn check(
    at: Location,
    page_size: PageSizeSettings,
    dialect: &DialectSettings,
    budgets: Budgets,
    context: &mut Context<'_>,
) {
    let largest_choice = dialect.size.choices.last().copied();
    let Some(cap) = dialect.size.max.as_ref().map(|max| max.value).into_iter().chain(largest_choice).min() else {
        return;
    };
    let places = match places(dialect) {
        Places::Pages if !dialect.size.choices.is_empty() => Places::PagesOfSomeSizes,
        places => places,
    };
    let (cap, max) = (u64::from(cap), u64::from(page_size.max));
    let (requests, budget) = (requests(places, cap, max), u64::from(budgets.upstream_requests));
    let gives = format!("{} gives at most {cap} at a time", dialect.name);
    if requests > budget {
        let message =
            format!("{max} items take {requests} upstream requests, and budgets.upstream_requests is {budget}");
        let lower = largest(places, cap, budget);
        let help = match lower {
            0 => format!("{gives}: raise the budget to {requests}"),
            _ => format!("{gives}: lower this to {lower}, or raise the budget to {requests}"),
        };
        context.diagnostics.error(at, message, help);
        return;
    }
    let single = single(places, cap);
    if max > single && places != Places::PagesOfSomeSizes {
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
        Places::PagesOfSomeSizes => 0,
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
    }
}

/// The largest page that so many requests serve.
fn largest(places: Places, cap: u64, requests: u64) -> u64 {
    match (places, requests) {
        (_, 0) => 0,
        (Places::Slices | Places::Pages, 1) => single(places, cap),
        (Places::Slices, _) => single(places, cap) + (requests - 1) * further(cap),
        (Places::Pages, _) => (requests - 1) * cap,
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
        for places in [Places::Slices, Places::Pages, Places::PagesOfSomeSizes] {
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
