//! Lists from whose answers the upstream drops items after it has applied the limit, for example those that a client
//! may not see. Their answers have fewer items than requested, although more follow.

use std::rc::Rc;

use crate::{
    findings::{Certainty, Learnt, PlaceForm, SizeForm},
    paging::ends::{self, Sample},
    paging::fixed,
    prober::{
        Base,
        answer::SeenAnswer,
        session::{ProbeHalt, Session, Setting},
    },
};

/// The number of times as many items that are requested to see whether a name is the size.
const MORE: usize = 3;

/// Tries one name as the size of a list that drops items: a larger number must give more items, and a smaller one fewer
/// of the same items. Adds the finding and returns `true` if so. Test:
/// `items_dropped_after_the_limit_are_no_smaller_size`.
pub(super) async fn confirm(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    with: &[Setting],
    name: &str,
) -> Result<bool, ProbeHalt> {
    let slot = session.slot(name);
    let sized = |size: usize| [with, &[(slot.clone(), size.to_string())]].concat();
    let (more, fewer) = (base.ids.len() * MORE, base.ids.len() / 2);
    let ids = |seen: &SeenAnswer| learnt.shape.identities(seen).unwrap_or_default();
    let larger = ids(&*session.ask(&sized(more)).await?);
    // The items that are visible at the beginning of the list are in the larger answer, too.
    let holds = base.ids.iter().filter(|id| larger.contains(id)).count() * 10 >= base.ids.len() * 9;
    // Items come in addition, such as pinned ones. Test: `pinned_items_on_the_first_page_are_no_page_of_the_list`.
    if larger.len() > more && holds && learnt.surplus.is_none() {
        let given = larger.len();
        learnt.surplus = Some(format!("{name}={more} gave {given} items, more items than were asked for"));
    }
    if larger.len() <= base.ids.len() || larger.len() > more || !holds || fewer == 0 {
        return Ok(false);
    }
    // All rows at the beginning of the list may be dropped, and a still larger number then gives still more items.
    let (mut few, mut smaller) = (fewer, ids(&*session.ask(&sized(fewer)).await?));
    if smaller.is_empty() {
        let still = base.ids.len() * (MORE - 1);
        (few, smaller) = (still, ids(&*session.ask(&sized(still)).await?));
        if smaller.len() >= larger.len() {
            return Ok(false);
        }
    }
    let is_part = smaller.iter().filter(|id| larger.contains(id)).count() * 10 >= smaller.len() * 9;
    if smaller.is_empty() || smaller.len() > few || !is_part {
        return Ok(false);
    }
    learnt.size = Some(SizeForm { slot, max: None, choices: Vec::new() });
    let (given, many, unasked) = (smaller.len(), larger.len(), base.ids.len());
    let evidence = format!("{name}={few} gave {given} items, {name}={more} gave {many}, and no {name} gave {unasked}");
    learnt.note(Certainty::Shown, "size parameter", name, evidence);
    Ok(true)
}

/// Sets `hidden` if an answer with items after it, or with a larger total, has fewer items than were requested, and than
/// others have. Counts the answers that were full otherwise. Tests: `items_dropped_after_the_limit_are_no_smaller_size`,
/// `rows_left_out_behind_the_cap_do_not_hide_it`.
pub(super) async fn settle(session: &Session, learnt: &mut Learnt, sample: &Sample) -> Result<(), ProbeHalt> {
    let fronts = sample.fronts(learnt);
    let most = sample.answers.iter().map(|(_, seen)| learnt.shape.count(seen)).max().unwrap_or(0);
    let (mut short, mut full) = (Vec::new(), 0);
    for (from, size, seen) in &sample.sized {
        let (count, size) = (learnt.shape.count(seen), usize::try_from(*size).unwrap_or(usize::MAX));
        // Pages of a fixed size show their size only by their ids, or if no item of one is dropped. Test:
        // `rows_left_out_of_pages_of_a_fixed_size_do_not_hide_it`.
        let fixed = usize::try_from(learnt.default_size).ok().filter(|_| learnt.size.is_none());
        let size = fixed.map_or(size, |fixed| fixed.max(most));
        let is_front = match count {
            0 => sample.answers.iter().any(|(at, later)| at > from && learnt.shape.count(later) > 0),
            _ => fronts.iter().any(|front| Rc::ptr_eq(front, seen)),
        };
        // A total that counts more items than come counts those that are left out, too.
        let total = learnt.places.total.as_ref().and_then(|place| seen.number(place));
        let is_counted = total.is_some_and(|total| total > from.saturating_add(count as u64));
        // A page that comes again elsewhere is not at its place, so nothing is known about the rows there.
        let comes_again = || {
            let ids = learnt.shape.identities(seen);
            let is_same = |other: &SeenAnswer| learnt.shape.identities(other) == ids;
            sample.answers.iter().any(|(at, other)| at != from && is_same(other))
        };
        let has_more = is_front || is_counted && count > 0 && !comes_again();
        match count {
            _ if !has_more => {}
            _ if count == size => full += 1,
            // The answers with the most items may be capped, so only a smaller one lacks items.
            _ if count < size && (count < most || fixed.is_some()) => short.push((*from, size, count)),
            _ => {}
        }
    }
    // If the requests are spent, dropped rows are as likely as they were, and `check --live` looks for cut answers, too.
    let cut = settle_cut(session, learnt, &short, sample).await;
    if cut == Ok(true) {
        return Ok(());
    }
    let Some((from, size, count)) = short.first() else {
        learnt.full_answers = full;
        fixed::note_unusual(learnt);
        return cut.map(|_| ());
    };
    learnt.hidden = true;
    let evidence =
        format!("{count} of {size} requested items came at item {from}, and more items follow or are counted");
    learnt.note(Certainty::Shown, "dropped items", "some, after the limit", evidence);
    fixed::note_largest(learnt, most);
    cut.map(|_| ())
}

/// The largest number of short answers that are examined.
const EXAMINED: usize = 3;

/// The number of equal parts of the list, where one more answer is requested after answers were found to be cut.
const PARTS: u64 = 5;

/// The number of requests that are left for later steps.
const SPARED: usize = 12;

/// Lowers the largest size, and returns `true`, if one of the short answers was cut: by a limit of its bytes, or by a cap
/// that falls. `short` are their offsets, the requested sizes and their numbers of items. A page of at most as many items
/// as the smallest of them comes in full. Tests: `a_cap_that_falls_is_no_list_with_dropped_rows`,
/// `answers_that_are_cut_by_bytes_are_no_list_with_dropped_rows`.
async fn settle_cut(
    session: &Session,
    learnt: &mut Learnt,
    short: &[(u64, usize, usize)],
    sample: &Sample,
) -> Result<bool, ProbeHalt> {
    // Nothing may be known after the last answer, because it was taken for the last page, so it is examined, too.
    let all = sample.sized.iter().map(|(from, size, seen)| (*from, *size, seen));
    let is_few = |size: u32, seen: &SeenAnswer| {
        u32::try_from(learnt.shape.count(seen)).is_ok_and(|count| count > 0 && count < size)
    };
    let few: Vec<(u64, u32, &Rc<SeenAnswer>)> = all.filter(|(_, size, seen)| is_few(*size, seen)).collect();
    let is_short = |from: u64| short.iter().any(|(own, ..)| *own == from);
    let last = few.iter().filter(|(from, ..)| !is_short(*from)).max_by_key(|(from, ..)| *from);
    let known = few.iter().filter(|(from, ..)| is_short(*from)).take(EXAMINED);
    let mut cut: Vec<(u64, u32, usize)> = Vec::new();
    for (from, size, seen) in known.chain(last).copied() {
        let is_earlier = |id: &String| {
            let earlier = sample.answers.iter().filter(|(at, _)| *at < from);
            earlier.filter_map(|(_, seen)| learnt.shape.identities(seen)).any(|ids| ids.contains(id))
        };
        if is_cut(session, learnt, &RequestedWindow { from, size, seen }, is_earlier).await? {
            cut.push((from, size, learnt.shape.count(seen)));
        }
    }
    let Some((from, size, count)) = cut.first().copied() else { return Ok(false) };
    let mut most =
        short.iter().map(|(.., count)| *count).chain(cut.iter().map(|(.., count)| *count)).min().unwrap_or(count);
    let end = sample.sized.iter().map(|(from, ..)| *from).max().unwrap_or(0);
    for part in (1..PARTS).filter(|_| session.left() > SPARED) {
        let asked = u32::try_from(most.max(1)).unwrap_or(1);
        let place = end * part / PARTS / u64::from(asked) * u64::from(asked);
        let given = learnt.shape.count(&*ends::at(session, learnt, place, asked).await?);
        most = if given > 0 { most.min(given) } else { most };
    }
    let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
    if let Some(form) = &mut learnt.size {
        form.max = Some(form.max.map_or(most, |max| max.min(most)));
    }
    let evidence = format!(
        "answers get shorter further down, as by a limit of their bytes: {count} of {size} requested items came at item \
         {from}, and the next ones by themselves; a smaller size is safe, too"
    );
    learnt.withdraw("largest size");
    learnt.note(Certainty::Shown, "largest size", most.to_string(), evidence);
    Ok(true)
}

/// An answer that has fewer items than its window has places.
pub(super) struct RequestedWindow<'s> {
    pub(super) from: u64,
    pub(super) size: u32,
    pub(super) seen: &'s SeenAnswer,
}

/// Returns whether a short answer was cut: whether the places after its items, within the same window, have items that
/// it lacks. An answer from which rows are dropped has all items of its window. Items that `is_earlier` knows come from a
/// list that begins again after its end.
pub(super) async fn is_cut(
    session: &Session,
    learnt: &Learnt,
    window: &RequestedWindow<'_>,
    is_earlier: impl Fn(&String) -> bool,
) -> Result<bool, ProbeHalt> {
    let is_free = learnt.size.as_ref().is_some_and(|form| form.choices.is_empty());
    let own = learnt.shape.identities(window.seen).unwrap_or_default();
    let count = u32::try_from(own.len()).unwrap_or(u32::MAX);
    let place = window.from + u64::from(count);
    let by_offset = matches!(learnt.place, Some(PlaceForm::Offset { .. })) && !learnt.is_aligned;
    let is_numbered = by_offset || matches!(learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }));
    let rest = window.size.checked_sub(count).filter(|rest| *rest > 0 && count > 0);
    let Some(rest) = rest.filter(|_| is_free && is_numbered && session.target.recorded.is_empty()) else {
        return Ok(false);
    };
    // A last page that comes again for places after it has no more items than this one, if no more are asked for.
    let rest = rest.min(count);
    let rest = if by_offset { rest } else { page_within(place, rest) };
    let next = learnt.shape.identities(&*ends::at(session, learnt, place, rest).await?).unwrap_or_default();
    // A list that loses an item meanwhile has one new item at the end of the window.
    Ok(next.iter().filter(|id| !own.contains(id) && !is_earlier(id)).count() * 2 > next.len())
}

/// Returns the largest size, up to a limit, of a page that begins at a place.
pub(crate) fn page_within(place: u64, limit: u32) -> u32 {
    (1..=limit).rev().find(|size| place.is_multiple_of(u64::from(*size))).unwrap_or(1)
}

/// Notes that the total counts the dropped items too, if the last row that it counts is an item and no answer has an
/// item after it: the items are then fewer than the total. Without this word, the last page of such a list can't be told
/// from one whose end wasn't reached. Test: `a_total_that_counts_dropped_items_is_told`.
pub(super) async fn settle_total(session: &Session, learnt: &mut Learnt, sample: &Sample) -> Result<(), ProbeHalt> {
    let Some(place) = learnt.places.total.clone() else { return Ok(()) };
    let is_numbered = matches!(learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }));
    let can_ask_for_one = learnt.size.as_ref().is_some_and(|form| form.choices.is_empty());
    let total = sample.answers.iter().rev().find_map(|(_, seen)| seen.number(&place));
    let Some(total) = total.filter(|total| (1..=session.limits.depth).contains(total)) else { return Ok(()) };
    let goes_on = sample.answers.iter().any(|(from, seen)| *from >= total && learnt.shape.count(seen) > 0);
    if !is_numbered || !can_ask_for_one || goes_on || !session.target.recorded.is_empty() {
        return Ok(());
    }
    let last = ends::at(session, learnt, total - 1, 1).await?;
    let after = ends::at(session, learnt, total, 1).await?;
    if learnt.shape.count(&last) == 1 && last.number(&place) == Some(total) && learnt.shape.count(&after) == 0 {
        learnt.counts_rows = true;
        let evidence =
            format!("the last of {total} rows is an item, no item is after it, and some before it are dropped");
        learnt.note(Certainty::Shown, "things that the total counts", "rows, dropped items included", evidence);
    }
    Ok(())
}
