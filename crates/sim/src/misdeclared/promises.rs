//! The promises of each page, by the order in which the upstream really sorts.

use cursorgate_core::pagination::page::{Level, Page};

use super::{
    scenario::{Row, Tied},
    upstream::Upstream,
};

/// The true place at which a page begins.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    Start,
    End,
    After(Row),
    Before(Row),
}

/// Returns the fault of a page; `None` if it has no fault. No page may contain an id twice (G2). On a page that must be
/// right, the rows are in order (G3) and on the right side of the place, and no row that stayed is missing between the
/// place and the page's far end (G1).
pub(crate) fn fault(upstream: &Upstream<'_>, page: &Page, rows: &[Row], bound: &Bound) -> Option<String> {
    let by_id = upstream.scenario.traits.tied == Tied::ById;
    let place = |row: &Row| (row.class, if by_id { row.id } else { 0 });
    let mut ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Some("an id twice".into());
    }
    // An `exact` page must be right. So must any page of a list at rest with ordered ties, and a `checked` page with
    // ordered ties whose answers all showed one state, because no two changes can have cancelled out.
    let one_state = upstream.shown.windows(2).all(|pair| pair[0] == pair[1]);
    if page.level() != Level::Exact
        && !(upstream.scenario.is_still() || (by_id && one_state && page.level() == Level::Checked))
    {
        return None;
    }
    let sorted =
        |pair: &[Row]| if by_id { place(&pair[0]) < place(&pair[1]) } else { place(&pair[0]) <= place(&pair[1]) };
    if !rows.windows(2).all(sorted) {
        return Some("out of order".into());
    }
    let forward = matches!(bound, Bound::Start | Bound::After(_));
    let ahead = if forward { &page.next } else { &page.previous };
    let (mut low, mut high) = (None, None);
    match bound {
        Bound::After(row) => low = Some(place(row)),
        Bound::Before(row) => high = Some(place(row)),
        Bound::Start | Bound::End => {}
    }
    match (forward, rows.first(), rows.last(), ahead) {
        (_, _, _, None) => {}
        (true, _, Some(last), Some(_)) => high = Some(place(last)),
        (false, Some(first), _, Some(_)) => low = Some(place(first)),
        _ => return Some("nothing, and more is promised".into()),
    }
    let beyond = |row: &Row| {
        // Among ties in any order, no row is before or after another, so rows of the anchor's own run may be on the
        // page or not.
        let (at, strict) = (place(row), by_id);
        let after = low.is_none_or(|low| if strict && forward { at > low } else { at >= low });
        let before = high.is_none_or(|high| if strict && !forward { at < high } else { at <= high });
        !(after && before)
    };
    if let Some(row) = rows.iter().find(|row| beyond(row)) {
        return Some(format!("{row:?} is not between {low:?} and {high:?}"));
    }
    let first = upstream.shown.first()?;
    let between = |row: &&Row| {
        let at = place(row);
        let inside =
            if by_id && forward { high.is_none_or(|high| at <= high) } else { high.is_none_or(|high| at < high) };
        let inside_low =
            if by_id && !forward { low.is_none_or(|low| at >= low) } else { low.is_none_or(|low| at > low) };
        inside && inside_low
    };
    let stayed = |row: &&Row| upstream.shown.iter().all(|state| state.contains(row));
    let missed = first.iter().filter(between).filter(stayed).find(|row| !rows.contains(row));
    missed.map(|row| format!("{row:?} is left out, of {low:?} to {high:?}"))
}
