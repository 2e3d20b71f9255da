//! The cap: the largest number of items in an answer, found by a request for more items than most caps allow.

use std::rc::Rc;

use crate::learn::{
    findings::{Certainty, Learnt, PlaceForm},
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

/// The largest answer, the size with which it was requested (`None` without a size), and the number of its items.
pub(super) struct Widest {
    pub(super) seen: Rc<SeenAnswer>,
    pub(super) asked: Option<u32>,
    pub(super) count: usize,
}

/// Requests up to [`LARGEST`] items, and fewer after a refusal. Returns the largest answer, and adds a finding on the
/// cap.
pub(super) async fn widest(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<Widest, ProbeHalt> {
    let default = || Widest { seen: Rc::clone(&base.seen), asked: None, count: base.ids.len() };
    let Some(form) = learnt.size.clone() else { return Ok(default()) };
    if let Some(most) = form.choices.last() {
        let seen = session.ask(&[(form.slot, most.to_string())]).await?;
        if !seen.is_recorded() {
            return Ok(default());
        }
        let count = learnt.shape.count(&seen);
        return Ok(Widest { seen, asked: Some(*most), count });
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
        note_cap(learnt, base, &name, size, count, &said);
        return Ok(Widest { seen, asked: Some(size), count });
    }
    Ok(default())
}

fn note_cap(learnt: &mut Learnt, base: &Base, name: &str, size: u32, count: usize, said: &[String]) {
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
    } else if has_more_than(learnt, base, count) {
        let evidence = format!("{name}={size} gave {count} items in silence, and there are more{refusals}");
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
