//! The comparison of facts with all answers that the list was examined with: a total or a flag that an answer
//! contradicts is not written.

use std::collections::BTreeSet;

use crate::{
    findings::{Certainty, Learnt},
    paging::ends::Sample,
    prober::answer::SeenAnswer,
};

/// The smallest offset at which a total that shrinks with the offset is told from a list that changes.
const NOTABLE: u64 = 10;

/// The number of answers that a reason names.
const NAMED: usize = 3;

/// Sets the place of the total: the first of the candidates that no answer contradicts.
pub(super) fn settle_totals(learnt: &mut Learnt, candidates: &[(String, u64)], sample: &Sample) {
    let mut refuted = Vec::new();
    for (place, value) in candidates {
        if let Some(reason) = contradiction(learnt, place, sample) {
            refuted.push(format!("{place} is not: {reason}"));
            continue;
        }
        let seen: Vec<(usize, &SeenAnswer)> = answers(learnt, sample).map(|(_, count, seen)| (count, seen)).collect();
        let counts: BTreeSet<usize> =
            seen.iter().filter(|(_, seen)| seen.number(place) == Some(*value)).map(|(count, _)| *count).collect();
        let certainty = if counts.len() > 1 { Certainty::Shown } else { Certainty::Likely };
        let named: Vec<String> = [counts.first(), counts.last().filter(|_| counts.len() > 1)]
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        let mut evidence = format!("{value} in answers with {} items", named.join(" and with "));
        refuted.iter().for_each(|reason| evidence.push_str(&format!("; {reason}")));
        learnt.note(certainty, "total", place.clone(), evidence);
        learnt.places.total = Some(place.clone());
        return;
    }
    let evidence = match refuted.is_empty() {
        true => "no number in the answers is as large as the list and the same in answers of two sizes".to_owned(),
        false => refuted.join("; "),
    };
    learnt.note(Certainty::Open, "total", "none", evidence);
}

/// Returns the offset, the number of items and the answer, for each answer with items.
fn answers<'s>(learnt: &'s Learnt, sample: &'s Sample) -> impl Iterator<Item = (u64, usize, &'s SeenAnswer)> {
    let all = sample.answers.iter().map(|(from, seen)| (*from, learnt.shape.count(seen), &**seen));
    all.filter(|(_, count, _)| *count > 0)
}

/// Returns why the number at a place can't be the total; `None` if no answer contradicts it. Tests:
/// `a_total_that_shrinks_with_the_offset_is_no_total`, `a_total_that_counts_the_page_does_not_hide_the_cap`.
fn contradiction(learnt: &Learnt, place: &str, sample: &Sample) -> Option<String> {
    let values: Vec<(u64, u64, u64)> = answers(learnt, sample)
        .filter_map(|(from, count, seen)| Some((from, u64::try_from(count).ok()?, seen.number(place)?)))
        .collect();
    let counts: BTreeSet<u64> = values.iter().map(|(_, count, _)| *count).collect();
    if counts.len() > 1 && values.iter().all(|(_, count, value)| count == value) {
        let named: Vec<String> = counts.iter().take(NAMED).map(ToString::to_string).collect();
        return Some(format!("it is the number of items of each answer: {}", named.join(", ")));
    }
    let first = values.iter().filter(|(from, ..)| *from == 0).map(|(.., value)| *value).max()?;
    // A list that loses items meanwhile has a slightly smaller total.
    let shrinks = |(from, _, value): &&(u64, u64, u64)| *from >= NOTABLE && first.saturating_sub(*value) >= *from / 2;
    if let Some((from, _, value)) = values.iter().find(shrinks) {
        return Some(format!("it is {first} at the beginning and {value} at item {from}"));
    }
    let most = values.iter().map(|(.., value)| *value).max()?;
    let seen = u64::try_from(sample.distinct()).ok()?;
    (learnt.shape.id.is_some() && seen > most + most / 8 + 2)
        .then(|| format!("it is {most}, and {seen} different items came"))
}

/// Removes flags and next links that claim the end in an answer with items after it. Adds a finding for each flag that
/// no last page confirmed. Test: `a_flag_that_is_false_with_items_after_it_is_no_flag`.
pub(super) fn settle_flags(learnt: &mut Learnt, sample: &Sample) {
    let fronts = sample.fronts(learnt);
    let truth = |seen: &SeenAnswer, place: &str| seen.at(place).and_then(|value| value.as_bool());
    for (about, when_last) in [("flag of more", false), ("flag of the end", true)] {
        let is_more = !when_last;
        let own = if is_more { learnt.places.has_more.clone() } else { learnt.places.is_last.clone() };
        let Some(own) = own else { continue };
        let wrong = fronts.iter().filter(|seen| truth(seen, &own) == Some(when_last)).count();
        let at_end = sample.last.as_ref().and_then(|seen| truth(seen, &own));
        let is_noted = learnt.findings.iter().any(|finding| finding.about == about);
        if wrong > 0 || at_end == Some(!when_last) {
            let evidence = match wrong {
                0 => format!("it is {} on the last page", !when_last),
                _ => format!("it is {when_last} in {wrong} of {} answers with items after them", fronts.len()),
            };
            learnt.withdraw(about);
            learnt.note(Certainty::Open, about, format!("not {own}"), evidence);
            *(if is_more { &mut learnt.places.has_more } else { &mut learnt.places.is_last }) = None;
        } else if !is_noted {
            let right = fronts.iter().filter(|seen| truth(seen, &own) == Some(!when_last)).count();
            let before = format!("{} in {right} answers with items after them", !when_last);
            let (certainty, evidence) = match at_end {
                Some(_) if right > 0 => (Certainty::Shown, format!("{before}, and {when_last} on the last page")),
                Some(_) => (Certainty::Likely, format!("{when_last} on the last page, and no other was seen")),
                None => (Certainty::Likely, format!("{before}; the last page was not seen")),
            };
            learnt.note(certainty, about, own, evidence);
        }
    }
    if let Some(own) = learnt.places.next_url.clone()
        && fronts.iter().any(|seen| seen.at(&own).is_none_or(|value| value.as_str().is_none_or(str::is_empty)))
    {
        learnt.withdraw("next link");
        learnt.note(
            Certainty::Open,
            "next link",
            format!("not {own}"),
            "it is missing in an answer with items after it",
        );
        (learnt.places.next_url, learnt.places.prev_url) = (None, None);
    }
}
