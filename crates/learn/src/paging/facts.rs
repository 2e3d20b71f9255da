//! Facts in addition to the items: the total, the flags that more items follow or that the list ends, the next link,
//! and the answer after the end.

use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, PastEnd},
    paging::cap::Widest,
    prober::Base,
    prober::answer::{SeenAnswer, telling_member, whole},
    shape::names::{LAST, MORE, PAGE_COUNTS, TOTALS, is_total, last_step},
};

/// Finds numbers that may be the total, the likeliest first: they are the same in answers of two sizes and not smaller
/// than the number of their items, and have a usual name, or are exactly the number of items in an answer with the
/// whole list. Each has its place and its value. `evidence::settle_totals` chooses one that no other answer contradicts.
pub(super) fn find_totals(learnt: &Learnt, paged: &SeenAnswer, base: &Base, widest: &Widest) -> Vec<(String, u64)> {
    let Ok(seen_most) = u64::try_from(widest.count.max(base.ids.len())) else { return Vec::new() };
    let paged_count = learnt.shape.count(paged);
    let mut found: Vec<(usize, String, u64)> = Vec::new();
    for fact in learnt.shape.facts(paged) {
        let (Some(value), Some(later)) = (whole(&fact.value), widest.seen.number(&fact.place)) else { continue };
        let is_steady = value == later && value >= seen_most;
        let step = last_step(&fact.place);
        let rank = TOTALS.iter().position(|name| *name == step).or_else(|| is_total(&step).then_some(TOTALS.len()));
        // A number that is equal to the number of items in both answers may be the number of items in the page, so it
        // counts as the total only if it has a usual name.
        let is_exact = widest.is_all && value == seen_most && Some(value) != u64::try_from(paged_count).ok();
        match rank {
            Some(rank) if is_steady => found.push((rank, fact.place, value)),
            None if is_steady && is_exact => found.push((TOTALS.len() + 1, fact.place, value)),
            _ => {}
        }
    }
    found.sort_by_key(|(rank, ..)| *rank);
    found.into_iter().map(|(_, place, value)| (place, value)).collect()
}

/// Sets the places of flags, page counts and links in the first answer, found by their names. `confirm_flags` removes
/// the flags and links that the last page does not confirm.
pub(super) fn find_flags(learnt: &mut Learnt, base: &Base) {
    for fact in learnt.shape.facts(&base.seen) {
        let places = &mut learnt.places;
        let text = fact.value.as_str().filter(|text| !text.is_empty());
        let step = last_step(&fact.place);
        if MORE.contains(&step.as_str()) && fact.value.is_boolean() {
            places.has_more.get_or_insert(fact.place);
        } else if LAST.contains(&step.as_str()) && fact.value.is_boolean() {
            places.is_last.get_or_insert(fact.place);
        } else if PAGE_COUNTS.contains(&step.as_str()) && whole(&fact.value).is_some_and(|pages| pages > 0) {
            places.last_page.get_or_insert(fact.place);
        } else if matches!(step.as_str(), "next" | "nexturl" | "nextpageurl" | "odatanextlink" | "nextlink")
            && is_url(text)
        {
            places.next_url.get_or_insert(fact.place);
        }
    }
}

/// Returns whether a page has clearly more items than expected. A list that grows meanwhile has a few more.
fn exceeds(count: usize, expected: Option<u64>) -> bool {
    expected
        .and_then(|expected| usize::try_from(expected).ok())
        .is_some_and(|expected| count > expected + expected / 8 + 2)
}

fn is_url(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.starts_with("http") || text.starts_with('/') || text.starts_with('?'))
}

/// Keeps the flags and the next link that show on the last page that no page follows, and removes the others.
/// `has_others` is true if there are pages before the last one; otherwise flags that aren't confirmed stay.
pub(super) fn confirm_flags(learnt: &mut Learnt, base: &Base, last: &SeenAnswer, has_others: bool) {
    let shown = if has_others { Certainty::Shown } else { Certainty::Likely };
    let flag = |seen: &SeenAnswer, place: &str| seen.at(place).and_then(|value| value.as_bool());
    let mut notes: Vec<(Certainty, &'static str, String, String)> = Vec::new();
    for (place, about, when_last) in
        [(&mut learnt.places.has_more, "flag of more", false), (&mut learnt.places.is_last, "flag of the end", true)]
    {
        let Some(own) = place.clone() else { continue };
        let (first, end) = (flag(&base.seen, &own), flag(last, &own));
        // A flag that is the same on every page does not show the end.
        if end == Some(when_last) && (!has_others || first == Some(!when_last) || base.ids.is_empty()) {
            notes.push((shown, about, own, format!("{when_last} on the last page")));
        } else if has_others {
            let said = |truth: Option<bool>| truth.map_or_else(|| "missing".to_owned(), |truth| truth.to_string());
            let evidence = format!("it is {} on the first page and {} on the last", said(first), said(end));
            notes.push((Certainty::Open, about, format!("not {own}"), evidence));
            *place = None;
        }
    }
    if let Some(own) = learnt.places.next_url.clone() {
        // On the last page, upstreams omit the link, or write null or an empty string.
        let ends = last.at(&own).is_none_or(|value| value.as_str().is_none_or(str::is_empty));
        if ends {
            let previous = ["prev", "previous", "Prev", "Previous"]
                .into_iter()
                .map(|word| own.replace("next", word).replace("Next", word).replace("=next]", &format!("={word}]")));
            let is_there = |place: &String| *place != own && is_url(last.at(place).as_ref().and_then(Value::as_str));
            learnt.places.prev_url = previous.into_iter().find(is_there);
            notes.push((shown, "next link", own, "a URL on the first page, none on the last".to_owned()));
        } else {
            // If the last page has a link too, the link doesn't show the end of the list.
            learnt.places.next_url = None;
        }
    }
    for (certainty, about, found, evidence) in notes {
        learnt.note(certainty, about, found, evidence);
    }
}

/// Adds a finding on the answer to a request for the page after the last one. `expected` is the number of items that
/// the last page has by the total; `None` without a total.
pub(super) fn note_past_end(learnt: &mut Learnt, last: &SeenAnswer, past: &SeenAnswer, expected: Option<u64>) {
    let ids = |seen: &SeenAnswer| learnt.shape.identities(seen).unwrap_or_default();
    let (of_last, of_past) = (ids(last), ids(past));
    let about = "past the end";
    if past.is_success() && learnt.shape.elements(past).is_none() {
        learnt.places.items_optional = true;
        learnt.note(
            Certainty::Shown,
            about,
            format!("{}, without the array", past.status),
            "asked for the page after the last",
        );
    } else if past.is_success() && of_past.is_empty() {
        learnt.note(Certainty::Shown, about, "an empty list", "asked for the page after the last");
    } else if past.is_success() && of_past == of_last && exceeds(of_last.len(), expected) {
        // The answers begin no later than some page, so a page that comes again is not the last one. Test:
        // `a_page_number_that_is_capped_is_not_the_last_page_again`.
        let evidence = "the page after the last has its items, which are more than the total leaves for it: the \
                        service begins no page after some item, and the items behind that can't be requested";
        learnt.note(Certainty::Open, about, "the same page at two places", evidence);
    } else if past.is_success() && of_past == of_last {
        // Some upstreams answer a page number after the end with the last page, which is noted. Test:
        // `a_last_page_repeated_past_the_end_is_learnt`.
        learnt.repeats_last_page = true;
        learnt.note(Certainty::Shown, about, "the last page again", "the page after the last has the same items");
    } else if past.is_success() {
        learnt.note(
            Certainty::Open,
            about,
            "further items",
            "the list grew while it was looked at, or its total is wrong",
        );
    } else {
        note_refused_end(learnt, past, "asked for the page after the last");
    }
}

/// Adds the finding that requests past the end are refused.
pub(super) fn note_refused_end(learnt: &mut Learnt, past: &SeenAnswer, evidence: &str) {
    let member = telling_member(past);
    let said = member.as_ref().map_or_else(String::new, |(place, text)| format!(" with {text:?} at {place}"));
    learnt.note(Certainty::Shown, "past the end", format!("{}{said}", past.status), evidence);
    learnt.past_end.push(PastEnd { status: past.status, member });
}
