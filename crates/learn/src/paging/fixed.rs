//! Pages of a fixed size from which the upstream drops rows: none of them may have as many items as it has places. If
//! the ids number the rows, they show the places.

use std::collections::BTreeSet;

use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    paging::doubt,
    paging::ends,
    prober::Base,
    prober::answer::SeenAnswer,
    prober::session::{ProbeHalt, Session},
};

/// The subject of the findings.
const ABOUT: &str = "page size";

/// The smallest number of pages that show the places of each. The ids of two pages fit many sizes.
const ENOUGH: usize = 3;

/// The largest offset at which a page is read.
const DEPTH: u64 = 500;

/// The ids of a page, and the number of pages before it.
struct PageIds {
    before: u64,
    ids: Vec<i128>,
}

impl PageIds {
    /// Reads the ids of a page; none if the page has no items, or an id is no whole number.
    fn of(learnt: &Learnt, before: u64, seen: &SeenAnswer) -> Self {
        let identities = learnt.shape.identities(seen).unwrap_or_default();
        let number = |id: &String| id.trim_matches('"').parse::<u64>().ok().map(i128::from);
        Self { before, ids: identities.iter().map(number).collect::<Option<_>>().unwrap_or_default() }
    }
}

/// Sets the size of pages without a size parameter to the number of their places, and `hidden`, if that is larger than
/// their numbers of items. Tests: `rows_left_out_of_pages_of_a_fixed_size_do_not_hide_it`,
/// `gaps_between_ids_are_no_rows_that_are_left_out`.
pub(super) async fn find(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    if learnt.size.is_some() || !matches!(learnt.place, Some(PlaceForm::Page { .. })) {
        return Ok(());
    }
    let mut pages = vec![PageIds::of(learnt, 0, &base.seen)];
    let mut before = 1;
    // Each iteration doubles the number of the page, so the loop ends.
    while before * u64::from(learnt.default_size) <= DEPTH.min(session.limits.depth) {
        let from = before * u64::from(learnt.default_size);
        let page = PageIds::of(learnt, before, &*ends::at(session, learnt, from, learnt.default_size).await?);
        if page.ids.is_empty() {
            break;
        }
        pages.push(page);
        if fitting(&pages).is_empty() {
            return Ok(());
        }
        before *= 2;
    }
    let Some(size) = places(&pages) else { return Ok(()) };
    let firsts: Vec<String> =
        pages.iter().map(|page| format!("{} after {} pages", page.ids[0], page.before)).take(ENOUGH).collect();
    let evidence = format!(
        "each page has {size} ids to itself, of which at most {} have items: the first ones are {}",
        most(&pages),
        firsts.join(", ")
    );
    (learnt.default_size, learnt.hidden) = (size, true);
    learnt.note(Certainty::Likely, ABOUT, size.to_string(), evidence);
    Ok(())
}

/// Notes the largest page as the size of pages from which rows are dropped, unless their ids show the size.
pub(super) fn note_largest(learnt: &mut Learnt, most: usize) {
    if learnt.size.is_some() || is_noted(learnt) {
        return;
    }
    learnt.default_size = u32::try_from(most).unwrap_or(learnt.default_size).max(learnt.default_size);
    let evidence = format!("{most} items are the most that a page had; pages with more are read wrongly");
    learnt.note(Certainty::Likely, ABOUT, most.to_string(), evidence);
}

/// Doubts an unusual size of pages that all have as many items: each may lack as many rows. Test:
/// `an_unusual_fixed_size_is_a_doubt`.
pub(super) fn note_unusual(learnt: &mut Learnt) {
    let is_page = matches!(learnt.place, Some(PlaceForm::Page { .. }));
    let size = learnt.default_size;
    if learnt.size.is_none() && is_page && !is_noted(learnt) && !doubt::is_round(size.into()) {
        let evidence = format!(
            "the first page has {size} items, an unusual size: if rows are left out of pages, some may have more items \
             and are read wrongly; then write the right size.default, and response.hidden = true"
        );
        learnt.note(Certainty::Likely, ABOUT, size.to_string(), evidence);
    }
}

fn is_noted(learnt: &Learnt) -> bool {
    learnt.findings.iter().any(|finding| finding.about == ABOUT)
}

/// Returns the number of places of each page, if it is larger than the number of items of each; `None` if the ids don't
/// show it.
fn places(pages: &[PageIds]) -> Option<u32> {
    let most = most(pages);
    let sizes = fitting(pages);
    // Full pages have as many places as items.
    if pages.len() < ENOUGH || sizes.contains(&most) {
        return None;
    }
    let fronts = &pages[..pages.len() - 1];
    let is_usual = |size: &u32| doubt::is_round(u64::from(*size));
    let usual = sizes.iter().copied().find(is_usual);
    // Pages before others differ only if rows are dropped. If they don't differ, gaps between ids may explain them, but
    // gaps make no unusual size out of a usual one.
    match fronts.iter().any(|page| page.ids.len() != pages[0].ids.len()) {
        true => usual.or_else(|| sizes.first().copied()),
        false => usual.filter(|_| !is_usual(&most)),
    }
}

fn most(pages: &[PageIds]) -> u32 {
    pages.iter().filter_map(|page| u32::try_from(page.ids.len()).ok()).max().unwrap_or(0)
}

/// Returns the sizes, up to twice the number of items of the largest page, with which all ids are within their pages.
fn fitting(pages: &[PageIds]) -> Vec<u32> {
    let (Some(first), Some(next)) = (pages[0].ids.first(), pages.get(1)) else { return Vec::new() };
    let is_descending = next.ids.first() < Some(first);
    let distance = |id: &i128| if is_descending { first - id } else { id - first };
    // Each id may be a multiple of the same step.
    let all = pages.iter().flat_map(|page| &page.ids);
    let step = all.fold(0, |step, id| common_divisor(step, distance(id))).max(1);
    let most = most(pages);
    let fits = |size: &u32| {
        // The ids of all pages, moved to the first page, fit into one page.
        let size = i128::from(*size);
        let moved = |page: &PageIds, id: &i128| distance(id) / step - i128::from(page.before) * size;
        let moved = pages.iter().flat_map(|page| page.ids.iter().map(|id| moved(page, id)));
        let places: BTreeSet<i128> = moved.collect();
        places.first().zip(places.last()).is_some_and(|(first, last)| last - first < size)
    };
    (most..=most.saturating_mul(2)).filter(fits).collect()
}

/// Returns the greatest common divisor.
fn common_divisor(left: i128, right: i128) -> i128 {
    if right == 0 { left.abs() } else { common_divisor(right, left % right) }
}
