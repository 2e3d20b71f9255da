//! The cap: the largest number of items in an answer, found by a request for more items than most caps allow.

use std::rc::Rc;

use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    paging::dropped,
    paging::ends,
    prober::Base,
    prober::answer::{SeenAnswer, whole},
    prober::session::{ProbeHalt, Session, Setting},
    shape::names::TOTALS,
};

/// The largest number of items that is requested at once.
const LARGEST: usize = 1_000;

/// The largest answer that is requested, in bytes, as estimated from the size of the items in the first answer. Of
/// larger items, fewer are requested, but at least 20.
const LARGEST_ANSWER: usize = 2 << 20;

/// The sizes that are tried after a larger one was refused or lowered to the default.
const SMALLER: [u32; 4] = [500, 200, 100, 50];

/// Usual caps. An answer with another number of items may lack rows that the upstream leaves out.
const USUAL: [u32; 9] = [10, 20, 25, 50, 100, 200, 250, 500, 1_000];

/// The number of usual caps that are tried for a list that leaves out rows.
const TRIED: usize = 3;

/// The largest answer, the size with which it was requested (`None` without a size), and the number of its items.
pub(super) struct Widest {
    pub(super) seen: Rc<SeenAnswer>,
    pub(super) asked: Option<u32>,
    pub(super) count: usize,
    /// True if the answer has fewer items than requested, and nothing shows that the list has more.
    pub(super) is_all: bool,
    /// The answer to a request for as many items as this one has, if it has fewer: the upstream leaves out rows.
    pub(super) unfilled: Option<Rc<SeenAnswer>>,
}

/// Requests up to [`LARGEST`] items, and fewer after a refusal. Returns the largest answer, and adds a finding on the
/// cap.
pub(super) async fn widest(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<Widest, ProbeHalt> {
    let default =
        || Widest { seen: Rc::clone(&base.seen), asked: None, count: base.ids.len(), is_all: false, unfilled: None };
    let Some(form) = learnt.size.clone() else { return Ok(default()) };
    if let Some(most) = form.choices.last() {
        let seen = session.ask(&[(form.slot, most.to_string())]).await?;
        if !seen.is_recorded() {
            return Ok(default());
        }
        let count = learnt.shape.count(&seen);
        let is_all = count < usize::try_from(*most).unwrap_or(0) && !has_more_than(learnt, base, count);
        return Ok(Widest { seen, asked: Some(*most), count, is_all, unfilled: None });
    }
    let of_item = (base.seen.body.len() / base.ids.len().max(1)).max(1);
    let largest = u32::try_from((LARGEST_ANSWER / of_item).clamp(20, LARGEST)).unwrap_or(1_000);
    let mut said = Vec::new();
    let smaller = SMALLER.into_iter().filter(|size| *size < largest);
    let mut sizes: Vec<u32> = std::iter::once(largest).chain(smaller).collect();
    sizes.reverse();
    let name = form.slot.name().to_owned();
    let maximum = session.documented().parameter(&name).and_then(|own| u32::try_from(own.maximum?).ok());
    let mut documented = maximum.filter(|maximum| (1..largest).contains(maximum));
    // There is at most one request for each size, and for each number that the document or a refusal names.
    while let Some(size) = sizes.pop() {
        let first = first_of(learnt);
        let settings: Vec<Setting> = std::iter::once((form.slot.clone(), size.to_string())).chain(first).collect();
        let seen = session.ask(&settings).await?;
        if !seen.is_recorded() {
            continue;
        }
        let count = learnt.shape.count(&seen);
        let asked = usize::try_from(size).unwrap_or(usize::MAX);
        if count == 0
            || count == base.ids.len() && count < asked && has_more_than(learnt, base, count) && said.is_empty()
        {
            said.push(if count == 0 {
                format!("{} to {size}", seen.status)
            } else {
                format!("{count} items to {size}")
            });
            // A refusal often contains the largest allowed size, so a suitable number in it is tried next. Test:
            // `an_upstream_that_refuses_unknown_parameters_is_learnt`.
            if let Some(named) = documented.take().or_else(|| number_in(&seen, base.ids.len(), size)) {
                sizes.push(named);
            } else if count > 0 && sizes.len() > 2 {
                // The answer has as many items as one without a size: either the upstream falls back to its default, or
                // the default is its cap. One smaller size, and this count as a size, decide.
                sizes.drain(..sizes.len() - 1);
                sizes.insert(0, u32::try_from(count).unwrap_or(size));
            }
            continue;
        }
        let has_more =
            count < asked && (has_more_than(learnt, base, count) || goes_on(session, learnt, &seen, count).await?);
        let unfilled = if has_more { unfilled(session, learnt, count).await? } else { None };
        let is_all = count < asked && !has_more;
        let widest = Widest { seen, asked: Some(size), count, is_all, unfilled };
        note_cap(learnt, &name, size, &widest, &said);
        return Ok(widest);
    }
    if said.is_empty() {
        return Ok(default());
    }
    // If every size that was tried is refused, the cap may be as small as the default. The first answer has fewer items
    // than the default if rows are left out of it. Tests: `a_cap_that_is_the_default_is_learnt`,
    // `a_refused_size_is_larger_than_the_cap_of_a_list_that_leaves_out_rows`.
    let default_size = u32::try_from(base.ids.len()).unwrap_or(u32::MAX);
    let usual = USUAL.into_iter().rev().filter(|usual| (default_size + 1..SMALLER[SMALLER.len() - 1]).contains(usual));
    for size in usual.chain([default_size]) {
        let settings: Vec<Setting> =
            std::iter::once((form.slot.clone(), size.to_string())).chain(first_of(learnt)).collect();
        let seen = session.ask(&settings).await?;
        let count = learnt.shape.count(&seen);
        if count < base.ids.len() {
            continue;
        }
        let widest = Widest { seen, asked: Some(size), count, is_all: false, unfilled: None };
        note_refused(learnt, &name, size, &said);
        // An answer that is cut lacks no rows of its window.
        if count < usize::try_from(size).unwrap_or(usize::MAX)
            && has_more_than(learnt, base, count)
            && !dropped::is_cut(
                session,
                learnt,
                &dropped::RequestedWindow { from: 0, size, seen: &widest.seen },
                |_| false,
            )
            .await?
        {
            learnt.hidden = true;
            let evidence = format!("{count} of {size} requested items came at item 0, and more items are counted");
            learnt.note(Certainty::Shown, "dropped items", "some, after the limit", evidence);
        }
        return Ok(widest);
    }
    Ok(default())
}

/// Adds the finding that a size is answered, and the larger ones in `said` are not.
fn note_refused(learnt: &mut Learnt, name: &str, size: u32, said: &[String]) {
    if let Some(form) = &mut learnt.size {
        form.max = Some(size);
    }
    let evidence = format!("{name}={size} is answered; larger sizes are not ({})", said.join(", "));
    learnt.note(Certainty::Shown, "largest size", size.to_string(), evidence);
}

/// Returns whether items follow an answer: whether the page after it, of as many items as the answer has, has mostly
/// other items, or a page after the next usual cap or far behind, since rows between may be left out. A total that counts
/// the items of the page would otherwise make a capped answer the whole list. Tests:
/// `a_total_that_counts_the_page_does_not_hide_the_cap`, `rows_left_out_behind_the_cap_do_not_hide_it`.
async fn goes_on(session: &Session, learnt: &Learnt, seen: &SeenAnswer, count: usize) -> Result<bool, ProbeHalt> {
    if !matches!(learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. })) {
        return Ok(false);
    }
    let size = u32::try_from(count).unwrap_or(u32::MAX);
    let known = learnt.shape.identities(seen).unwrap_or_default();
    let usual = USUAL.into_iter().find(|usual| *usual > size).map(|usual| [(usual, 1), (usual, 4)]);
    for (size, pages) in std::iter::once((size, 1)).chain(usual.into_iter().flatten()) {
        let after = ends::at(session, learnt, u64::from(size) * pages, size).await?;
        let ids = learnt.shape.identities(&after).unwrap_or_default();
        // A list that repeats its last page, or whose items move between answers, gives known items.
        if ids.iter().filter(|id| !known.contains(id)).count() * 2 > ids.len() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Requests as many items as the largest answer has, from the same place. Returns the answer if it has fewer: a cap gives
/// as many items as are asked for up to it.
async fn unfilled(session: &Session, learnt: &Learnt, count: usize) -> Result<Option<Rc<SeenAnswer>>, ProbeHalt> {
    let size = u32::try_from(count).unwrap_or(u32::MAX);
    if USUAL.contains(&size) {
        return Ok(None);
    }
    let own = ends::at(session, learnt, 0, size).await?;
    let given = learnt.shape.count(&own);
    Ok((given > 0 && given < count).then_some(own))
}

/// Replaces the finding on the cap, because items follow an answer that was taken for the whole list. Test:
/// `a_cap_beside_a_total_of_the_page_is_learnt_of_a_list_by_its_last_item`.
pub(super) fn note_followed(learnt: &mut Learnt, widest: &Widest) {
    note_cap_again(learnt, widest, false);
}

/// Replaces the finding on the cap, because nothing follows an answer that was taken for a part. Test:
/// `a_first_answer_that_lacks_rows_does_not_set_the_cap_of_a_list_by_token`.
pub(super) fn note_whole(learnt: &mut Learnt, widest: &Widest) {
    let Some(form) = &learnt.size else { return };
    let is_filled = widest.asked.is_some_and(|asked| u32::try_from(widest.count).is_ok_and(|count| count >= asked));
    if !widest.is_all && !is_filled && form.choices.is_empty() {
        note_cap_again(learnt, widest, true);
    }
}

fn note_cap_again(learnt: &mut Learnt, widest: &Widest, is_all: bool) {
    let (Some(form), Some(asked)) = (&learnt.size, widest.asked) else { return };
    let name = form.slot.name().to_owned();
    learnt.withdraw("largest size");
    let widest = Widest { is_all, seen: Rc::clone(&widest.seen), unfilled: None, ..*widest };
    note_cap(learnt, &name, asked, &widest, &[]);
}

/// Raises the cap to the number of items of a later answer to a request for as many: the first answer lacks rows. Test:
/// `a_first_answer_that_lacks_rows_does_not_set_the_cap_of_a_list_by_token`.
pub(super) fn raise(learnt: &mut Learnt, widest: &Widest, count: usize) {
    let (Some(form), Some(asked)) = (&mut learnt.size, widest.asked) else { return };
    let Some(count) = u32::try_from(count).ok().filter(|count| form.max.is_some_and(|max| max < *count)) else {
        return;
    };
    form.max = Some(count.min(asked));
    let evidence =
        format!("{}={asked} gave {} items at the beginning, and {count} after them", form.slot.name(), widest.count);
    learnt.withdraw("largest size");
    learnt.note(Certainty::Shown, "largest size", count.to_string(), evidence);
}

/// Returns the number of items of the largest answer, if it is unusual as a cap and less than was asked for.
pub(super) fn doubtful(widest: &Widest) -> Option<u32> {
    let count = u32::try_from(widest.count).ok()?;
    let is_less = widest.asked.is_some_and(|asked| count < asked);
    Some(count).filter(|count| is_less && *count > 0 && !USUAL.contains(count))
}

/// Finds the cap of a list that leaves out rows, which is larger than the number of items of the largest answer: the next
/// usual cap with the same items, if none before it is missing. Test: `rows_left_out_behind_the_cap_do_not_hide_it`.
pub(super) async fn settle(session: &Session, learnt: &mut Learnt, widest: &Widest) -> Result<(), ProbeHalt> {
    let (Some(form), Some(asked)) = (&learnt.size, widest.asked) else { return Ok(()) };
    let (name, count) = (form.slot.name().to_owned(), u32::try_from(widest.count).unwrap_or(asked));
    // A size that is answered where larger ones are refused is the cap already.
    let is_settled = form.max == Some(asked);
    if !form.choices.is_empty() || widest.is_all || count >= asked || USUAL.contains(&count) || is_settled {
        return Ok(());
    }
    let known = learnt.shape.identities(&widest.seen).unwrap_or_default();
    for usual in USUAL.into_iter().filter(|usual| (count..asked).contains(usual)).take(TRIED) {
        let seen = ends::at(session, learnt, 0, usual).await?;
        if learnt.shape.identities(&seen).unwrap_or_default() != known {
            continue;
        }
        // The last fifth is a page by itself.
        let fifth = usual / 5;
        let seen = ends::at(session, learnt, u64::from(usual - fifth), fifth).await?;
        if learnt.shape.identities(&seen).unwrap_or_default().iter().all(|id| known.contains(id)) {
            let evidence = format!("{name}={asked} and {name}={usual} gave the same {count} items");
            learnt.withdraw("largest size");
            learnt.note(Certainty::Likely, "largest size", usual.to_string(), evidence);
            learnt.size.iter_mut().for_each(|form| form.max = Some(usual));
        }
        break;
    }
    Ok(())
}

fn note_cap(learnt: &mut Learnt, name: &str, size: u32, widest: &Widest, said: &[String]) {
    let count = widest.count;
    let refusals = if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) };
    let count_size = u32::try_from(count).unwrap_or(size);
    let (certainty, max, found, evidence) = if count_size >= size && said.is_empty() {
        let evidence = format!("{name}={size} gave all of them; more was not asked for");
        (Certainty::Likely, size, format!("at least {size}"), evidence)
    } else if count_size >= size {
        (
            Certainty::Shown,
            size,
            size.to_string(),
            format!("{name}={size} gave all of them; larger sizes did not{refusals}"),
        )
    } else if !widest.is_all {
        let evidence = format!("{name}={size} gave {count} items in silence{refusals}");
        (Certainty::Shown, count_size, count.to_string(), evidence)
    } else {
        let evidence = format!("{name}={size} gave {count} items, which may be all there are{refusals}");
        (Certainty::Likely, size, format!("none seen up to {count}"), evidence)
    };
    if let Some(form) = &mut learnt.size {
        form.max = Some(max);
    }
    learnt.note(certainty, "largest size", found, evidence);
}

/// Returns whether the list probably has more than `count` items. The total in the first answer decides. Without a
/// total, the list has more if `count` is a multiple of ten, which is probably a cap.
pub(super) fn has_more_than(learnt: &Learnt, base: &Base, count: usize) -> bool {
    let facts = learnt.shape.facts(&base.seen);
    let total = facts.iter().filter(|fact| fact.is_named(&TOTALS)).filter_map(|fact| whole(&fact.value)).max();
    // A number that is smaller than the number of items can't be the total, so it is ignored.
    match total.and_then(|total| usize::try_from(total).ok()).filter(|total| *total >= base.ids.len().max(1)) {
        Some(total) => total > count,
        // A round number is more likely a cap than the length of the list.
        None => count.is_multiple_of(10),
    }
}

/// Returns the largest number in the body of a refusal that may be the cap: from `least` to less than `below`. Returns
/// `None` if there is no such number.
fn number_in(seen: &SeenAnswer, least: usize, below: u32) -> Option<u32> {
    let text = seen.json.as_ref()?.to_string();
    let numbers = text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse::<u32>().ok());
    let least = u32::try_from(least).unwrap_or(u32::MAX);
    // The status, which bodies of errors often repeat, is left out.
    numbers.filter(|number| (least..below).contains(number) && *number != u32::from(seen.status)).max()
}

/// Returns the setting for the first page; `None` if the list isn't read by page. Some upstreams ignore the size in
/// requests without a page.
fn first_of(learnt: &Learnt) -> Option<Setting> {
    match &learnt.place {
        Some(PlaceForm::Page { slot, first }) => Some((slot.clone(), first.to_string())),
        _ => None,
    }
}
