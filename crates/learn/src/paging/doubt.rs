//! The reasons for which an answer may be a part of its list, although no parameter that was tried leads to another
//! part. A list is only called whole without such a reason, because a part that is served as the whole list loses the
//! rest in silence.

use serde_json::Value;

use crate::{
    findings::Learnt,
    paging::token,
    prober::Base,
    prober::answer::SeenAnswer,
    prober::session::{ProbeHalt, Session},
    shape::names::{LAST, MORE, OFFSET_ECHOES, PAGE_COUNTS, PAGE_ECHOES, SIZES, TOTALS, last_step, plain},
    shape::{Fact, ListShape},
};

/// The largest number of reasons that a finding names.
const NAMED: usize = 3;

/// Parts of the names of headers that may be about paging. All other headers, such as `X-RateLimit-Limit`, are ignored.
const HEADERS: [&str; 9] =
    ["next", "more", "total", "page", "cursor", "continuation", "contentrange", "count", "offset"];

/// Members that are true in every answer.
const ALWAYS_TRUE: [&str; 6] = ["success", "successful", "ok", "issuccess", "succeeded", "valid"];

/// Parts of the names of numbers that count no items.
const NO_COUNTS: [&str; 18] = [
    "time", "date", "stamp", "took", "elapsed", "duration", "version", "status", "code", "year", "expires", "ttl",
    "revision", "created", "modified", "build", "port", "seed",
];

/// A number from here on is a time in seconds rather than a count, unless its name is that of a total.
const LARGEST_COUNT: u64 = 1_000_000_000;

/// Numbers of items that are usual pages of a grid, in addition to the numbers of [`is_round`].
const GRIDS: [u64; 9] = [12, 15, 24, 36, 48, 60, 72, 96, 120];

/// A list with fewer items than this is only called whole if nothing in its answer belongs to paging: its answers have
/// room for further items, and would not say so yet.
const FEW: u64 = 10;

/// Returns why the first answer may be a part of the list; empty if nothing speaks against the whole list. Test:
/// `an_answer_that_may_be_a_part_is_not_called_the_whole_list`.
pub(super) fn doubts(session: &Session, learnt: &Learnt, base: &Base) -> Vec<String> {
    let count = u64::try_from(base.ids.len()).unwrap_or(u64::MAX);
    let facts = learnt.shape.facts(&base.seen);
    let mut found = Vec::new();
    if base.seen.status == 206 {
        found.push("its status is 206, which is a part of something".to_owned());
    }
    if let Some(range) = base.seen.header("content-range").filter(|range| !range.contains('/') || range.contains("/*"))
    {
        found.push(format!("its Content-Range is {range}"));
    }
    let is_all = says_all(&facts, count);
    found.extend(facts.iter().filter_map(|fact| doubt(fact, count, is_all)));
    if found.is_empty() && count < FEW {
        found.extend(
            facts
                .iter()
                .find(|fact| belongs_to_paging(fact))
                .map(|fact| format!("{} tells of pages, and {} can't show them", fact.place, items(count))),
        );
    }
    if is_round(count) {
        found.push(format!("it has {count} items, a usual size of a page"));
    }
    found.extend(session.unclear.iter().chain(&learnt.unclear).cloned());
    found
}

/// Writes a number of items.
pub(super) fn items(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

/// Returns whether a fact is one of a list with pages, whatever its value is: a total, a flag, or a place for a token.
/// Test: `a_list_of_few_items_is_whole_only_if_no_name_asks_for_fewer`.
fn belongs_to_paging(fact: &Fact) -> bool {
    let step = last_step(&fact.place);
    if fact.place.starts_with("header:") && !HEADERS.iter().any(|part| step.contains(part)) {
        return false;
    }
    let known: [&[&str]; 5] = [&TOTALS, &MORE, &LAST, &PAGE_COUNTS, &PAGE_ECHOES];
    known.iter().any(|names| names.contains(&step.as_str())) || is_size(&step) || token::names_a_next(&step)
}

/// Returns how parameters changed the items of the answer, in words; `None` if all answers to requests with further
/// parameters have the same items. Test: `a_parameter_that_changes_the_items_is_evidence_against_a_whole_list`.
pub(crate) async fn effect(session: &Session, learnt: &Learnt, base: &Base) -> Result<Option<String>, ProbeHalt> {
    let sorted = |seen: &SeenAnswer| {
        let mut ids = learnt.shape.identities(seen).unwrap_or_default();
        ids.sort();
        ids
    };
    let first = sorted(&base.seen);
    let mut others = session.with_further_parameters();
    others.retain(|(_, seen)| seen.is_success() && sorted(seen) != first);
    if others.is_empty() {
        return Ok(None);
    }
    // The items of a list that changes meanwhile differ without a parameter, too: an answer with all items that stayed,
    // and with no others than those that left or came, shows no effect. Items without ids may change in each answer, so
    // only their number counts then.
    let again = sorted(&*session.ask_again(&[]).await?);
    let changes = again != first;
    let is_explained = |ids: &[String]| match learnt.shape.id.is_some() {
        true => {
            let stayed = first.iter().filter(|id| again.contains(id));
            let is_known = |id: &String| first.contains(id) || again.contains(id);
            let mut stayed = stayed.peekable();
            stayed.peek().is_some() && stayed.all(|id| ids.contains(id)) && ids.iter().all(is_known)
        }
        false => ids.len() == first.len() || ids.len() == again.len(),
    };
    others.retain(|(_, seen)| !changes || !is_explained(&sorted(seen)));
    // The request with the fewest parameters tells most.
    let told = others.into_iter().min_by_key(|(pairs, _)| pairs.len());
    Ok(told.map(|(pairs, seen)| {
        let mut named: Vec<String> = pairs.iter().take(NAMED).map(|(name, value)| format!("{name}={value}")).collect();
        named.extend((pairs.len() > NAMED).then(|| "others".to_owned()));
        let named = named.join(" and ");
        let written = |count: usize| items(u64::try_from(count).unwrap_or(u64::MAX));
        // Test: `answers_that_have_another_shape_with_a_page_are_learnt_from_the_url_of_a_page`.
        let other = ListShape::find(&seen).filter(|_| learnt.shape.elements(&seen).is_none());
        match (other, learnt.shape.count(&seen)) {
            (Some(other), _) => {
                let place = if other.items.is_empty() { "the top" } else { &other.items };
                let count = written(other.count(&seen));
                format!("with {named} the answer has another shape, with {count} at {place}")
            }
            (None, count) if count == first.len() => format!("with {named} it has other items"),
            (None, count) => format!("with {named} it has {}", written(count)),
        }
    }))
}

/// Returns the first reasons as one text.
pub(super) fn named(doubts: &[String]) -> String {
    let mut text = doubts.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if doubts.len() > NAMED {
        text.push_str("; and more");
    }
    text
}

/// Returns whether a number of items is a usual size of a page: it has one digit that isn't zero, such as 20 or 500, is
/// a multiple of 25 or a power of two, or fills the rows of a grid.
pub(super) fn is_round(count: u64) -> bool {
    let mut digits = count;
    while digits >= 10 && digits.is_multiple_of(10) {
        digits /= 10;
    }
    count >= 10 && (digits < 10 || count.is_multiple_of(25) || count.is_power_of_two() || GRIDS.contains(&count))
}

/// Returns whether a fact says that the answer is the whole list: a single page, room for more items than came, or a
/// total that is no usual size of a page. It explains an echo of the page or the offset, and nothing else.
fn says_all(facts: &[Fact], count: u64) -> bool {
    facts.iter().any(|fact| {
        let step = last_step(&fact.place);
        match counted(&fact.value) {
            Some(1) => PAGE_COUNTS.contains(&step.as_str()),
            Some(number) if is_size(&step) => number > count,
            Some(number) => number == count && TOTALS.contains(&step.as_str()) && !is_round(count),
            None => false,
        }
    })
}

/// Returns why a fact speaks against the whole list of `count` items; `None` if it doesn't.
fn doubt(fact: &Fact, count: u64, is_all: bool) -> Option<String> {
    let (place, step) = (&fact.place, last_step(&fact.place));
    if place.starts_with("link:") {
        return Some(format!("it has a link to the {} page", place.trim_start_matches("link:")));
    }
    if place.starts_with("header:") && !HEADERS.iter().any(|part| step.contains(part)) {
        return None;
    }
    let is_last = LAST.contains(&step.as_str());
    if let Some(truth) = truth(&fact.value).or_else(|| truth_by_name(&step, &fact.value)) {
        let is_doubt = if truth { !is_last && !ALWAYS_TRUE.contains(&step.as_str()) } else { is_last };
        return is_doubt.then(|| format!("{place} is {truth}"));
    }
    if names_a_way_on(fact) {
        return (!fact.value.is_null() && fact.value.as_str() != Some("")).then(|| format!("it has {place}"));
    }
    let number = counted(&fact.value)?;
    counts_more(&step, place, number, count, is_all).then(|| format!("{place} is {number}"))
}

/// Returns whether a fact is a token or a link to the next page by its name or by that of an object around it.
pub(crate) fn names_a_way_on(fact: &Fact) -> bool {
    fact.place.split(['/', ':']).skip(1).any(|step| token::names_a_next(&plain(step))) || token::is_next(fact)
}

/// Returns whether a fact counts the items that an answer leaves to later ones, and there are some. The rest of a quota
/// has such a name, too.
pub(crate) fn counts_a_rest(fact: &Fact) -> bool {
    let step = last_step(&fact.place);
    let is_quota = ["rate", "limit", "quota"].iter().any(|part| plain(&fact.place).contains(part));
    (step.contains("remaining") || step == "left") && !is_quota && counted(&fact.value).is_some_and(|rest| rest > 0)
}

/// Returns whether a number at a place says that the list has more than `count` items, or that it has pages.
fn counts_more(step: &str, place: &str, number: u64, count: u64, is_all: bool) -> bool {
    let is_page = step.contains("page");
    let is_count = ["total", "count", "last", "max", "num"].iter().any(|part| step.contains(part));
    if PAGE_COUNTS.contains(&step) || is_page && is_count && step != "pagenumber" && step != "pagenum" {
        return number > 1;
    }
    if TOTALS.contains(&step) {
        return number > count;
    }
    // A size with room for more items than came shows the end of the list, and a size that came shows none.
    if is_size(step) {
        return number == count;
    }
    let echoes = PAGE_ECHOES.contains(&step) && step != "number" || step == "xpage" || OFFSET_ECHOES.contains(&step);
    if echoes || step == "number" && plain(place).contains("page") {
        return !is_all;
    }
    let is_other = NO_COUNTS.iter().any(|part| step.contains(part)) || step.ends_with("id");
    number > count && number < LARGEST_COUNT && !is_other
}

pub(crate) fn is_size(step: &str) -> bool {
    !TOTALS.contains(&step) && SIZES.iter().any(|known| plain(known) == step)
}

/// Returns the value of a flag, which may be written as a string; `None` for other values.
fn truth(value: &Value) -> Option<bool> {
    let text = value.as_str().map(str::to_ascii_lowercase);
    value.as_bool().or(match text.as_deref() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    })
}

/// Returns the value of a flag that is written as a number or as another word; `None` for other values. Only a name can
/// tell such a flag from a count. Test: `numbers_are_flags_too`.
pub(crate) fn truth_by_name(step: &str, value: &Value) -> Option<bool> {
    let says_more = MORE.contains(&step) || step.contains("more");
    // The last page may be a number, too.
    let says_last = LAST.contains(&step) && !PAGE_COUNTS.contains(&step) && step != "last";
    let text = value.as_str().map(str::to_ascii_lowercase);
    match (crate::prober::answer::whole(value), text.as_deref()) {
        _ if !says_more && !says_last => None,
        (Some(0), _) | (_, Some("no" | "n" | "off")) => Some(false),
        (Some(1), _) | (_, Some("yes" | "y" | "on")) => Some(true),
        // The number of further items.
        (Some(_), _) => says_more.then_some(true),
        _ => None,
    }
}

/// Returns a value as a count: a whole number, which may be a string in which separators group its digits by three, as
/// in `2,570`. Returns `None` for other values.
pub(super) fn counted(value: &Value) -> Option<u64> {
    if let Some(number) = crate::prober::answer::whole(value) {
        return Some(number);
    }
    let text = value.as_str()?.trim();
    let groups: Vec<&str> = text.split([',', '.', ' ', '\'', '_', '\u{a0}', '\u{202f}', '\u{2019}']).collect();
    let is_digits = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let (first, rest) = groups.split_first()?;
    let is_grouped = groups.iter().all(is_digits) && first.len() <= 3 && rest.iter().all(|group| group.len() == 3);
    is_grouped.then(|| groups.concat().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_read_with_separators_and_other_texts_are_not() {
        for (value, number) in [
            (json!(7), Some(7)),
            (json!("2,570"), Some(2570)),
            (json!("2\u{202f}570\u{202f}000"), Some(2_570_000)),
            (json!("1.0"), None),
            (json!("2024-01-02"), None),
            (json!(""), None),
        ] {
            assert_eq!(counted(&value), number, "{value}");
        }
    }

    #[test]
    fn usual_sizes_of_pages_are_round() {
        for count in [10, 15, 20, 24, 25, 32, 50, 75, 100, 128, 200, 250, 500, 1000, 1024, 2000, 2500] {
            assert!(is_round(count), "{count}");
        }
        for count in [1, 5, 9, 11, 37, 99, 101, 237, 240, 243, 1003] {
            assert!(!is_round(count), "{count}");
        }
    }
}
