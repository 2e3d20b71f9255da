//! The largest number of items in an answer, the length of the list and its end, and the rows by which its order is found.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use serde_json::Value;

use crate::learn::{
    findings::{Certainty, Learnt, PastEnd, PlaceForm},
    paging::token,
    prober::Base,
    prober::answer::{SeenAnswer, telling_member, whole},
    prober::session::{ProbeHalt, Session, Setting},
    shape::Fact,
    shape::names::{LAST, MORE, PAGE_COUNTS, TOTALS, last_step},
};

/// The largest number of items that is asked for at once, and the largest answer that is expected from it, in bytes.
const LARGEST: usize = 1_000;
const LARGEST_ANSWER: usize = 2 << 20;

/// Sizes that are tried after a larger one was refused or lowered to the default.
const SMALLER: [u32; 4] = [500, 200, 100, 50];

/// The first offset at which the time of a deep answer is compared with that of the first one, and the factor of the next.
const DEPTH: u64 = 500;
const DEEPER: u64 = 4;

/// A deep answer is slow if it takes this many times as long as the first one, and this much longer.
const SLOWER: u32 = 3;
const NOTABLE: Duration = Duration::from_millis(100);

/// The pages that are followed where each leads to the next.
const FOLLOWED: usize = 3;

/// Rows of the list: from its beginning, then from further places, in their order.
#[derive(Debug, Default)]
pub(in crate::learn) struct Sample {
    pub(in crate::learn) rows: Vec<Value>,
    /// The rows are all of the list.
    pub(in crate::learn) is_whole: bool,
    /// The rows that follow the first one without a gap.
    pub(in crate::learn) first_stretch: usize,
    known: BTreeSet<String>,
}

impl Sample {
    /// Makes a sample of rows that follow one another.
    pub(in crate::learn) fn of(rows: Vec<Value>) -> Self {
        Self { first_stretch: rows.len(), rows, ..Self::default() }
    }

    /// Adds the rows of an answer that are not there yet.
    fn add(&mut self, learnt: &Learnt, seen: &SeenAnswer) {
        let identities = learnt.shape.identities(seen).unwrap_or_default();
        for (row, identity) in learnt.shape.elements(seen).unwrap_or_default().iter().zip(identities) {
            if self.known.insert(identity) || learnt.shape.id.is_none() {
                self.rows.push(row.clone());
            }
        }
    }
}

/// Finds the cap, the facts of answers and the end, and returns the rows that were seen.
pub(in crate::learn) async fn look(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<Sample, ProbeHalt> {
    let widest = widest(session, learnt, base).await?;
    let mut sample = Sample::default();
    sample.add(learnt, &widest.seen);
    if sample.rows.len() < base.ids.len() {
        sample = Sample::default();
        sample.add(learnt, &base.seen);
    }
    sample.first_stretch = sample.rows.len();
    let paged = match &learnt.place {
        // Some upstreams tell a total only where a page is asked for.
        Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }) => {
            let few = learnt.size.as_ref().and_then(|form| form.choices.first().copied());
            let seen = at(session, learnt, 0, few.unwrap_or_else(|| page_size(learnt).min(5))).await?;
            if seen.is_recorded() { seen } else { Rc::clone(&base.seen) }
        }
        _ => Rc::clone(&base.seen),
    };
    let total = find_total(learnt, &paged, base, &widest);
    find_flags(learnt, base);
    match learnt.place.clone() {
        Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }) => {
            numbered(session, learnt, base, &widest, total, &mut sample).await?;
        }
        Some(PlaceForm::Whole) => sample.is_whole = true,
        Some(form) => follow(session, learnt, &form, &widest, &mut sample).await?,
        None => {}
    }
    check_ids(learnt, &sample);
    Ok(sample)
}

/// The widest answer, and the size that it was asked for.
struct Widest {
    seen: Rc<SeenAnswer>,
    asked: Option<u32>,
    count: usize,
}

/// Asks for as many items as is polite, and notes the cap.
async fn widest(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<Widest, ProbeHalt> {
    let default = || Widest { seen: Rc::clone(&base.seen), asked: None, count: base.ids.len() };
    let Some(form) = learnt.size.clone() else { return Ok(default()) };
    if let Some(most) = form.choices.last() {
        let seen = session.ask(&[(form.slot, most.to_string())]).await?;
        if !seen.is_recorded() {
            return Ok(default());
        }
        let count = count(learnt, &seen);
        return Ok(Widest { seen, asked: Some(*most), count });
    }
    let of_item = (base.seen.body.len() / base.ids.len().max(1)).max(1);
    let largest = u32::try_from((LARGEST_ANSWER / of_item).clamp(20, LARGEST)).unwrap_or(1_000);
    let mut said = Vec::new();
    let smaller = SMALLER.into_iter().filter(|size| *size < largest);
    let mut sizes: Vec<u32> = std::iter::once(largest).chain(smaller).collect();
    sizes.reverse();
    let name = form.slot.name().to_owned();
    // At most one request for each size, and one for a number that a refusal names.
    while let Some(size) = sizes.pop() {
        let first = first_of(learnt);
        let settings: Vec<Setting> = std::iter::once((form.slot.clone(), size.to_string())).chain(first).collect();
        let seen = session.ask(&settings).await?;
        if !seen.is_recorded() {
            continue;
        }
        let count = count(learnt, &seen);
        let asked = usize::try_from(size).unwrap_or(usize::MAX);
        if count == 0
            || count == base.ids.len() && count < asked && has_more_than(learnt, base, count) && said.is_empty()
        {
            said.push(if count == 0 {
                format!("{} to {size}", seen.status)
            } else {
                format!("{count} items to {size}")
            });
            if let Some(named) = number_in(&seen, base.ids.len(), size) {
                sizes.push(named);
            } else if count > 0 && sizes.len() > 2 {
                // An upstream that lowers what is too large gives its largest size; one that falls back gives the default.
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

/// Returns whether facts of the first answer say that the list has more than this number of items.
fn has_more_than(learnt: &Learnt, base: &Base, count: usize) -> bool {
    let facts = learnt.shape.facts(&base.seen);
    let total = facts.iter().filter(|fact| is_named(fact, &TOTALS)).filter_map(|fact| whole(&fact.value)).max();
    match total.and_then(|total| usize::try_from(total).ok()).filter(|total| *total >= base.ids.len().max(1)) {
        Some(total) => total > count,
        // Without a total, a round number is a cap rather than the length of the list.
        None => count.is_multiple_of(10),
    }
}

fn is_named(fact: &Fact, names: &[&str]) -> bool {
    names.contains(&last_step(&fact.place).as_str())
}

fn count(learnt: &Learnt, seen: &SeenAnswer) -> usize {
    learnt.shape.elements(seen).map_or(0, <[_]>::len)
}

/// Returns a number in a refusal that may be the largest size.
fn number_in(seen: &SeenAnswer, least: usize, below: u32) -> Option<u32> {
    let text = seen.json.as_ref()?.to_string();
    let numbers = text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse::<u32>().ok());
    let least = u32::try_from(least).unwrap_or(u32::MAX);
    numbers.filter(|number| (least..below).contains(number) && *number != u32::from(seen.status)).max()
}

/// Returns the settings of the first page, without which some lists read no size.
fn first_of(learnt: &Learnt) -> Option<Setting> {
    match &learnt.place {
        Some(PlaceForm::Page { slot, first }) => Some((slot.clone(), first.to_string())),
        _ => None,
    }
}

/// Finds the total: a number with a usual name that does not follow the size of the answer, or one that is exactly the
/// number of all items.
fn find_total(learnt: &mut Learnt, paged: &SeenAnswer, base: &Base, widest: &Widest) -> Option<u64> {
    let seen_most = u64::try_from(widest.count.max(base.ids.len())).ok()?;
    let asked = widest.asked.map(u64::from);
    let is_all = asked.is_some_and(|asked| seen_most < asked) && !has_more_than(learnt, base, widest.count);
    let paged_count = count(learnt, paged);
    let facts = learnt.shape.facts(paged);
    let mut found: Vec<(usize, Fact, u64)> = Vec::new();
    for fact in facts {
        let (Some(value), Some(later)) = (whole(&fact.value), widest.seen.number(&fact.place)) else { continue };
        let is_steady = value == later && value >= seen_most;
        let rank = TOTALS.iter().position(|name| *name == last_step(&fact.place));
        let is_exact = is_all && value == seen_most && Some(value) != u64::try_from(paged_count).ok();
        match rank {
            Some(rank) if is_steady => found.push((rank, fact, value)),
            None if is_steady && is_exact => found.push((TOTALS.len(), fact, value)),
            _ => {}
        }
    }
    found.sort_by_key(|(rank, ..)| *rank);
    let Some((_, fact, value)) = found.into_iter().next() else {
        let evidence = "no number in the answers is as large as the list and the same in answers of two sizes";
        learnt.note(Certainty::Open, "total", "none", evidence);
        return is_all.then_some(seen_most);
    };
    let certainty = if widest.count == paged_count { Certainty::Likely } else { Certainty::Shown };
    let evidence = format!("{value} in answers with {paged_count} and with {} items", widest.count);
    learnt.note(certainty, "total", fact.place.clone(), evidence);
    learnt.places.total = Some(fact.place);
    Some(value)
}

/// Notes the facts of the first answer about further items. Those of the last page confirm them, or take them back.
fn find_flags(learnt: &mut Learnt, base: &Base) {
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

fn is_url(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.starts_with("http") || text.starts_with('/') || text.starts_with('?'))
}

/// Looks at the end of a list whose pages have numbers, and at rows from its middle.
async fn numbered(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    widest: &Widest,
    total: Option<u64>,
    sample: &mut Sample,
) -> Result<(), ProbeHalt> {
    let total = total.or(recorded_pages(session, learnt, sample).await?);
    let depth = deep_enough(session, learnt, base, total, sample).await?;
    let size = page_size(learnt);
    let Some(total) = total.or(depth.end).filter(|total| *total <= depth.reached) else {
        note_no_end(session, learnt, &depth.why);
        return Ok(());
    };
    sample.is_whole = u64::try_from(sample.rows.len()).is_ok_and(|rows| rows >= total);
    let last = total.saturating_sub(1) / u64::from(size) * u64::from(size);
    let seen = at(session, learnt, last, size).await?;
    if !seen.is_recorded() {
        note_no_end(session, learnt, "the last page is not recorded");
        return Ok(());
    }
    if !sample.is_whole {
        sample.add(learnt, &seen);
    }
    // A list that fits into one page shows no page that others follow.
    confirm_flags(learnt, base, &seen, last > 0);
    let past = at(session, learnt, last + u64::from(size), size).await?;
    if past.is_recorded() {
        note_past_end(learnt, &seen, &past, widest);
    }
    Ok(())
}

fn note_no_end(session: &Session, learnt: &mut Learnt, why: &str) {
    learnt.places.next_url = None;
    let evidence = format!("{why}; no request went deeper than item {}", session.deepest.borrow());
    learnt.note(Certainty::Open, "end of the list", "not looked at", evidence);
}

/// Takes the rows of the recorded pages that follow the first, and returns the length of the list if a page ends it.
async fn recorded_pages(session: &Session, learnt: &Learnt, sample: &mut Sample) -> Result<Option<u64>, ProbeHalt> {
    let size = page_size(learnt);
    // A page of a live list comes from no recorded request.
    for page in 1..=session.target.recorded.len() {
        let from = u64::try_from(page).unwrap_or(u64::MAX).saturating_mul(u64::from(size));
        let seen = at(session, learnt, from, size).await?;
        if !seen.is_recorded() {
            break;
        }
        let rows = u64::try_from(count(learnt, &seen)).unwrap_or(u64::MAX);
        sample.add(learnt, &seen);
        sample.first_stretch = sample.rows.len();
        if rows < u64::from(size) {
            return Ok(Some(from + rows));
        }
    }
    Ok(None)
}

/// The depth that was reached.
struct Depth {
    /// The deepest offset that may be asked for.
    reached: u64,
    /// The length of the list, where an answer ended.
    end: Option<u64>,
    /// The reason why no deeper one may.
    why: String,
}

/// Goes deeper step by step as long as answers take no longer, and takes rows from there.
async fn deep_enough(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    total: Option<u64>,
    sample: &mut Sample,
) -> Result<Depth, ProbeHalt> {
    let size = page_size(learnt);
    let most = session.limits.depth;
    let end = total.unwrap_or(u64::MAX);
    if end <= DEPTH {
        return Ok(Depth { reached: end, end: None, why: String::new() });
    }
    // A first answer may have opened the connection, so the time of the second one counts.
    let first = at(session, learnt, 0, size).await?;
    let mut from = u64::try_from(sample.rows.len()).unwrap_or(0).max(DEPTH) / u64::from(size) * u64::from(size);
    let usual = first.elapsed.min(base.seen.elapsed);
    while from < end && from <= most {
        let seen = at(session, learnt, from, size).await?;
        if !seen.is_recorded() {
            let why = format!("the page that begins after item {from} is not recorded");
            return Ok(Depth { reached: 0, end: None, why });
        }
        if seen.elapsed > usual * SLOWER + NOTABLE {
            let (deep, first) = (seen.elapsed.as_millis(), usual.as_millis());
            let why = format!("answers get slower with depth: {deep} ms at item {from}, {first} ms at the first");
            learnt.note(Certainty::Shown, "depth", "slower", why.clone());
            return Ok(Depth { reached: 0, end: None, why });
        }
        let rows = count(learnt, &seen);
        if rows == 0 {
            let known = u64::try_from(sample.rows.len()).unwrap_or(0);
            return search_end(session, learnt, known.min(from), from).await;
        }
        sample.add(learnt, &seen);
        if rows < usize::try_from(size).unwrap_or(1) && total.is_none() {
            let end = from + u64::try_from(rows).unwrap_or(0);
            return Ok(Depth { reached: end, end: Some(end), why: String::new() });
        }
        from = from.saturating_mul(DEEPER) / u64::from(size) * u64::from(size);
    }
    if total.is_none_or(|total| total > most) {
        let long = total.map_or_else(|| "the list goes on".to_owned(), |total| format!("the list has {total} items"));
        return Ok(Depth { reached: 0, end: None, why: format!("{long}, and --depth allows {most}") });
    }
    Ok(Depth { reached: most, end: None, why: String::new() })
}

/// Halves the way between a place that has items and one that has none.
async fn search_end(session: &Session, learnt: &Learnt, has: u64, has_none: u64) -> Result<Depth, ProbeHalt> {
    let size = page_size(learnt);
    let (mut low, mut high) = (has / u64::from(size), has_none / u64::from(size));
    for _ in 0..12 {
        let middle = u64::midpoint(low, high);
        let seen = at(session, learnt, middle * u64::from(size), size).await?;
        if !seen.is_recorded() {
            break;
        }
        let rows = count(learnt, &seen);
        let rows = u64::try_from(rows).unwrap_or(0);
        let is_last = rows < u64::from(size) || middle + 1 >= high;
        if rows > 0 && is_last {
            let end = middle * u64::from(size) + rows;
            return Ok(Depth { reached: end, end: Some(end), why: String::new() });
        }
        if rows == 0 {
            high = middle;
        } else {
            low = middle;
        }
        if high <= low {
            break;
        }
    }
    Ok(Depth { reached: 0, end: None, why: "its end was not found".to_owned() })
}

/// Returns the size of the pages by which the list is looked at.
fn page_size(learnt: &Learnt) -> u32 {
    let Some(form) = &learnt.size else { return learnt.default_size.max(1) };
    match form.choices.last() {
        Some(most) => *most,
        None => form.max.unwrap_or(100).clamp(1, 100),
    }
}

/// Asks for the page that begins at an offset, which is a multiple of the size.
pub(in crate::learn) async fn at(
    session: &Session,
    learnt: &Learnt,
    from: u64,
    size: u32,
) -> Result<Rc<SeenAnswer>, ProbeHalt> {
    let mut settings: Vec<Setting> = learnt.size.iter().map(|form| (form.slot.clone(), size.to_string())).collect();
    match &learnt.place {
        Some(PlaceForm::Page { slot, first }) => {
            settings.push((slot.clone(), (first + from / u64::from(size.max(1))).to_string()));
        }
        Some(PlaceForm::Offset { slot, first }) => settings.push((slot.clone(), (first + from).to_string())),
        _ => {}
    }
    let deepest = (*session.deepest.borrow()).max(from);
    session.deepest.replace(deepest);
    session.ask(&settings).await
}

/// Keeps those facts that say on the last page that nothing follows.
fn confirm_flags(learnt: &mut Learnt, base: &Base, last: &SeenAnswer, has_others: bool) {
    let shown = if has_others { Certainty::Shown } else { Certainty::Likely };
    let flag = |seen: &SeenAnswer, place: &str| seen.at(place).and_then(|value| value.as_bool());
    let mut notes: Vec<(Certainty, &'static str, String, String)> = Vec::new();
    for (place, about, when_last) in
        [(&mut learnt.places.has_more, "flag of more", false), (&mut learnt.places.is_last, "flag of the end", true)]
    {
        let Some(own) = place.clone() else { continue };
        let (first, end) = (flag(&base.seen, &own), flag(last, &own));
        if end == Some(when_last) && (!has_others || first == Some(!when_last) || base.ids.is_empty()) {
            notes.push((shown, about, own, format!("{when_last} on the last page")));
        } else if has_others {
            *place = None;
        }
    }
    if let Some(own) = learnt.places.next_url.clone() {
        let ends = last.at(&own).is_none_or(|value| value.as_str().is_none_or(str::is_empty));
        if ends {
            let previous = ["prev", "previous", "Prev", "Previous"]
                .into_iter()
                .map(|word| own.replace("next", word).replace("Next", word).replace("=next]", &format!("={word}]")));
            let is_there = |place: &String| *place != own && is_url(last.at(place).as_ref().and_then(Value::as_str));
            learnt.places.prev_url = previous.into_iter().find(is_there);
            notes.push((shown, "next link", own, "a URL on the first page, none on the last".to_owned()));
        } else {
            learnt.places.next_url = None;
        }
    }
    for (certainty, about, found, evidence) in notes {
        learnt.note(certainty, about, found, evidence);
    }
}

/// Notes the answer after the end.
fn note_past_end(learnt: &mut Learnt, last: &SeenAnswer, past: &SeenAnswer, widest: &Widest) {
    let ids = |seen: &SeenAnswer| learnt.shape.identities(seen).unwrap_or_default();
    let (of_last, of_past, of_first) = (ids(last), ids(past), ids(&widest.seen));
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
    } else if past.is_success() && of_past == of_last {
        learnt.repeats_last_page = true;
        learnt.note(Certainty::Shown, about, "the last page again", "the page after the last has the same items");
    } else if past.is_success() && of_first.starts_with(&of_past[..1]) {
        let evidence = "the page after the last begins with the first item: pages then rest on the total alone";
        learnt.note(Certainty::Open, about, "the first page again", evidence);
    } else if past.is_success() {
        learnt.note(
            Certainty::Open,
            about,
            "further items",
            "the list grew while it was looked at, or its total is wrong",
        );
    } else {
        let member = telling_member(past);
        let said = member.as_ref().map_or_else(String::new, |(place, text)| format!(" with {text:?} at {place}"));
        let found = format!("{}{said}", past.status);
        learnt.note(Certainty::Shown, about, found, "asked for the page after the last");
        learnt.past_end.push(PastEnd { status: past.status, member });
    }
}

/// Follows a list whose pages lead to one another.
async fn follow(
    session: &Session,
    learnt: &mut Learnt,
    form: &PlaceForm,
    widest: &Widest,
    sample: &mut Sample,
) -> Result<(), ProbeHalt> {
    let mut seen = Rc::clone(&widest.seen);
    for _ in 0..FOLLOWED {
        let Some(next) = next_settings(learnt, form, &seen, session) else {
            sample.is_whole = true;
            let evidence = format!("the page that ends with item {} leads nowhere", sample.rows.len());
            learnt.note(Certainty::Shown, "end of the list", "no next page", evidence);
            return Ok(());
        };
        let size = learnt.size.as_ref().map(|form| (form.slot.clone(), widest.asked.unwrap_or(100).to_string()));
        // A URL has the size in it.
        let size = size.filter(|(slot, _)| next.iter().all(|(own, _)| own != slot));
        let settings: Vec<Setting> = size.into_iter().chain(next).collect();
        seen = session.ask(&settings).await?;
        if !seen.is_recorded() {
            return Ok(());
        }
        if count(learnt, &seen) == 0 {
            sample.is_whole = true;
            return Ok(());
        }
        sample.add(learnt, &seen);
        sample.first_stretch = sample.rows.len();
    }
    Ok(())
}

/// Returns the settings of the page after an answer.
fn next_settings(learnt: &Learnt, form: &PlaceForm, seen: &SeenAnswer, session: &Session) -> Option<Vec<Setting>> {
    let text = |place: &str| match seen.at(place)? {
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match form {
        PlaceForm::Token { slot, place, parameter: None, .. } => Some(vec![(slot.clone(), text(place)?)]),
        PlaceForm::Token { slot, place, parameter: Some(name), .. } => {
            let pairs = token::query_of(&text(place)?);
            let (_, value) = pairs.into_iter().find(|(own, _)| own == name)?;
            Some(vec![(slot.clone(), value)])
        }
        PlaceForm::Link { place, .. } => {
            let pairs = token::query_of(&text(place)?);
            Some(pairs.into_iter().map(|(name, value)| (session.slot(&name), value)).collect())
        }
        PlaceForm::After { slot } => {
            let says_end = learnt.places.has_more.as_ref().and_then(|place| seen.at(place)) == Some(Value::Bool(false));
            let ids = learnt.shape.identities(seen)?;
            let last = ids.last().filter(|_| !says_end)?;
            Some(vec![(slot.clone(), last.trim_matches('"').to_owned())])
        }
        _ => None,
    }
}

/// Takes the id back if two items share it.
fn check_ids(learnt: &mut Learnt, sample: &Sample) {
    let Some(id) = learnt.shape.id.clone() else { return };
    let mut known = std::collections::BTreeMap::new();
    for row in &sample.rows {
        let own = crate::learn::prober::answer::step_into(row, &id).map(Value::to_string);
        // An item that moved while the list was read comes twice as it is.
        if let Some(before) = known.insert(own, row)
            && before != row
        {
            learnt.shape.id = None;
            let evidence = format!("two different items have the same value at {id}");
            learnt.note(Certainty::Open, "id", "none", evidence);
            return;
        }
    }
}
