//! Neighbouring slices, one of which is read again after the others.
//!
//! They count only if that slice is the same the second time, so that no item moved across the seams in between. A page
//! that rests on them is `checked` at most.

use super::{evidence::Evidence, ledger::Ledger};
use crate::pagination::{order::Order, window::Slice};

/// The reason for which slices can't be joined.
#[derive(Debug)]
pub(in crate::pagination) enum Unjoined {
    /// The slice that was read twice differs the second time.
    Changed(Box<Evidence>),
    /// The slices don't fit together.
    Apart,
}

impl Evidence {
    /// Joins neighbouring slices that were read after `first`, and before `again`, which is the same slice. `between`:
    /// `None` where one of them can't be compared.
    ///
    /// # Errors
    ///
    /// [`Unjoined`] where they prove nothing together.
    pub(in crate::pagination) fn joined(
        first: &Self,
        between: Option<Vec<Self>>,
        again: Self,
        order: &Order,
        ledger: &Ledger,
    ) -> Result<Self, Unjoined> {
        if !first.same_items(&again) {
            return Err(Unjoined::Changed(Box::new(again)));
        }
        between.and_then(|between| join_all(between, again, order, ledger)).ok_or(Unjoined::Apart)
    }
}

fn join_all(mut parts: Vec<Evidence>, again: Evidence, order: &Order, ledger: &Ledger) -> Option<Evidence> {
    parts.insert(0, again);
    parts.sort_by_key(|part| part.slice.begins());
    if let Some(end) = parts.iter().position(|part| part.end.ends)
        && parts[end + 1..].iter().all(Evidence::is_empty)
    {
        // After the end no item was to be expected, at whatever place it was asked for.
        parts.truncate(end + 1);
    }
    let totals = parts.iter().filter_map(|part| part.answer.total).filter(|total| total.exact);
    if totals.clone().zip(totals.skip(1)).any(|(one, other)| one.value != other.value) {
        // The list changed between the answers, or they come from replicas of which one lags: two equal readings of one
        // slice prove nothing about the items in between.
        return None;
    }
    let mut steps = Vec::with_capacity(parts.len());
    for pair in parts.windows(2) {
        let [earlier, later] = pair else { continue };
        // Only of pages of one size does an equal page show that there is no other. Of one place it shows nothing: an
        // answer that names a false beginning leads back to itself.
        let elsewhere = earlier.slice.begins() < later.slice.begins();
        let same_size = earlier.slice.size() == later.slice.size();
        let comes_again = ledger.repeats() && elsewhere && same_size && earlier.comes_again(order, later);
        if !comes_again && !are_neighbours(earlier, later, ledger) {
            return None;
        }
        steps.push(comes_again);
    }
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    let join = |joined, (part, comes_again)| Evidence::join(joined, part, order, comes_again, ledger.recounted()).ok();
    parts.zip(steps).try_fold(first, join)
}

/// Returns whether no item is between two slices.
///
/// Under a silent cap only pages of one size are neighbours; but an answer that was cut by a limit of bytes or time
/// leaves a gap before the next page. So the earlier one has all that was asked for, or as many as the later one, or
/// names the size that it used.
fn are_neighbours(earlier: &Evidence, later: &Evidence, ledger: &Ledger) -> bool {
    let filled = |part: &Evidence| part.len() == part.slice.size().0 as usize;
    let is_whole = |part: &Evidence| {
        let said = part.answer.size.is_some_and(|size| size as usize == part.len());
        part.hides || said || filled(part) || part.end.ends
    };
    let in_place = filled(later) || (later.slice.size().0 <= ledger.honoured().size() && !later.end.capped);
    let adjoining = match later.slice {
        Slice::Offset { from, .. } => from.0 == earlier.reaches(),
        Slice::Page { .. } if earlier.slice.size() == later.slice.size() => {
            // An empty page has no item to be neighbour to: two readings show that a list ends there.
            is_whole(earlier) || earlier.len() == later.len() || later.is_empty()
        }
        Slice::Page { .. } => filled(earlier) && in_place,
    };
    let elsewhere = later.answer.offset.is_some_and(|said| said != later.slice.begins().0);
    adjoining && !elsewhere
}
