//! The length and the end of the list, and the sample of its rows from which the order is found.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    paging::{
        cap::{self, Widest},
        dropped, evidence, facts, fixed, token,
    },
    prober::Base,
    prober::answer::SeenAnswer,
    prober::session::{ProbeHalt, Session, Setting},
};

/// The first offset at which the time of a deep answer is compared with the time of the first answer.
const DEPTH: u64 = 500;

/// The factor between one deep offset and the next.
const DEEPER: u64 = 4;

/// A deep answer is slow if it takes longer than this many times the time of the first one, plus [`NOTABLE`].
const SLOWER: u32 = 3;

/// The time that a deep answer may take in addition, so small differences between fast answers don't count.
const NOTABLE: Duration = Duration::from_millis(100);

/// The number of equal parts into which a list is divided. Rows are sampled where two parts meet.
const PARTS: u64 = 3;

/// The distances from an empty page at which items are looked for, in pages.
const FARTHER: [u64; 3] = [1, 2, 4];

/// The distance of the second look past the end, in rows: longer than usual runs of rows that are left out.
const FARTHER_ROWS: u64 = 200;

/// The largest number of next pages that are read of a list in which each page leads to the next one.
const FOLLOWED: usize = 3;

/// Rows of the list, in its order: rows from its beginning without a gap, then rows from deeper places.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) rows: Vec<Value>,
    /// True if the rows are the whole list.
    pub(crate) is_whole: bool,
    /// The number of rows from the beginning without a gap.
    pub(crate) first_stretch: usize,
    known: BTreeSet<String>,
    /// For each row, the offset of the answer that it came from.
    places: Vec<u64>,
    /// The answers to requests for a number of items: their offsets and this number.
    pub(super) sized: Vec<(u64, u32, Rc<SeenAnswer>)>,
    /// True if two different items of an answer have the same id.
    has_twins: bool,
    /// The last page with items, if a list was read to its end in which each page leads to the next one.
    pub(super) last: Option<Rc<SeenAnswer>>,
    /// The answers that the list was examined with, and the offset at which each begins.
    pub(super) answers: Vec<(u64, Rc<SeenAnswer>)>,
}

impl Sample {
    /// Creates a sample of rows without a gap.
    pub(crate) fn of(rows: Vec<Value>) -> Self {
        Self { first_stretch: rows.len(), places: vec![0; rows.len()], rows, ..Self::default() }
    }

    /// Adds the new rows of the answer at offset `from`, after the rows of answers that begin no later.
    fn add(&mut self, learnt: &Learnt, seen: &Rc<SeenAnswer>, from: u64) {
        self.answers.push((from, Rc::clone(seen)));
        // An item that moves or changes while the list is read may come twice, so only one answer shows two items.
        let mut known = BTreeMap::new();
        for row in learnt.shape.elements(seen).unwrap_or_default() {
            let before = known.insert(learnt.shape.identity(row), row);
            self.has_twins |= before.is_some_and(|before| before != row);
        }
        let identities = learnt.shape.identities(seen).unwrap_or_default();
        let elements = learnt.shape.elements(seen).unwrap_or_default().iter().zip(identities);
        // Answers overlap if items were added between them. Without ids, equal rows may be different items, so all rows
        // are kept.
        let new = elements.filter(|(_, identity)| self.known.insert(identity.clone()) || learnt.shape.id.is_none());
        let new: Vec<Value> = new.map(|(row, _)| row.clone()).collect();
        let at = self.places.partition_point(|place| *place <= from);
        self.places.splice(at..at, std::iter::repeat_n(from, new.len()));
        self.rows.splice(at..at, new);
    }

    /// Returns the number of different items that were seen.
    pub(super) fn distinct(&self) -> usize {
        self.known.len()
    }

    /// Returns the answers with items after them: a later or longer answer has mostly other items.
    pub(super) fn fronts(&self, learnt: &Learnt) -> Vec<Rc<SeenAnswer>> {
        let ids = |seen: &SeenAnswer| learnt.shape.identities(seen).unwrap_or_default();
        let all: Vec<(u64, Vec<String>)> = self.answers.iter().map(|(from, seen)| (*from, ids(seen))).collect();
        let is_after = |(from, own): &(u64, Vec<String>), (at, other): &(u64, Vec<String>)| {
            let new = other.iter().filter(|id| !own.contains(id)).count();
            // A list that repeats its last page, or that changes meanwhile, has few other items.
            at > from && new * 2 > other.len()
                || at == from && own.len() < other.len() && new + own.len() >= other.len()
        };
        let is_front = |own: &(u64, Vec<String>)| !own.1.is_empty() && all.iter().any(|other| is_after(own, other));
        let fronts = all.iter().zip(&self.answers).filter(|(own, _)| is_front(own));
        fronts.map(|(_, (_, seen))| Rc::clone(seen)).collect()
    }
}

/// Finds the cap, the facts in answers and the end of the list. Returns a sample of its rows.
pub(crate) async fn look(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<Sample, ProbeHalt> {
    let widest = cap::widest(session, learnt, base).await?;
    let mut sample = Sample::default();
    sample.add(learnt, &widest.seen, 0);
    if sample.rows.len() < base.ids.len() {
        sample = Sample::default();
        sample.add(learnt, &base.seen, 0);
    }
    sample.first_stretch = sample.rows.len();
    if let Some(own) = &widest.unfilled {
        let size = u32::try_from(widest.count).unwrap_or(u32::MAX);
        sample.sized.push((0, size, Rc::clone(own)));
        sample.answers.push((0, Rc::clone(own)));
    }
    let paged = match &learnt.place {
        // Some upstreams return a total only for requests with a page, so such a request is sent.
        Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }) => {
            let few = learnt.size.as_ref().and_then(|form| form.choices.first().copied());
            let seen = at(session, learnt, 0, few.unwrap_or_else(|| page_size(learnt).min(5))).await?;
            if seen.is_recorded() { seen } else { Rc::clone(&base.seen) }
        }
        // The few items with which the next page was found are the shortest answer with items after it.
        Some(
            PlaceForm::Token { .. } | PlaceForm::After { .. } | PlaceForm::Link { .. } | PlaceForm::Members { .. },
        ) => session.ask(&token::sized(learnt, base)).await?,
        _ => Rc::clone(&base.seen),
    };
    sample.answers.extend([(0, Rc::clone(&paged)), (0, Rc::clone(&base.seen))]);
    if learnt.size.is_none() && matches!(learnt.place, Some(PlaceForm::Page { .. })) {
        sample.sized.push((0, learnt.default_size, Rc::clone(&base.seen)));
    }
    let totals = facts::find_totals(learnt, &paged, base, &widest);
    let total = totals.first().map(|(_, value)| *value);
    let total = total.or_else(|| widest.is_all.then(|| u64::try_from(widest.count.max(base.ids.len())).ok()).flatten());
    facts::find_flags(learnt, base);
    let end = match learnt.place.clone() {
        Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }) => {
            numbered(session, learnt, base, &widest, total, &mut sample).await
        }
        Some(PlaceForm::Whole) => {
            sample.is_whole = true;
            Ok(())
        }
        Some(form) => follow(session, learnt, base, &form, &widest, &mut sample).await,
        None => Ok(()),
    };
    // The facts are also compared with the answers if the requests are spent.
    evidence::settle_totals(learnt, &totals, &sample);
    evidence::settle_flags(learnt, &sample);
    let settled = dropped::settle(session, learnt, &sample).await;
    end?;
    settled?;
    if learnt.hidden {
        cap::settle(session, learnt, &widest).await?;
        dropped::settle_total(session, learnt, &sample).await?;
    }
    check_ids(learnt, &sample);
    Ok(sample)
}

/// Examines the end of a list that is read by page or by offset, and samples rows from its middle.
async fn numbered(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    widest: &Widest,
    total: Option<u64>,
    sample: &mut Sample,
) -> Result<(), ProbeHalt> {
    fixed::find(session, learnt, base).await?;
    let mut total = total.or(recorded_pages(session, learnt, sample).await?);
    // If items follow the last page, the number that said so was wrong, and the end is searched without it.
    while let Searched::Contradicted = search(session, learnt, base, widest, total, sample).await? {
        total = None;
    }
    Ok(())
}

/// The result of a look at the end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Searched {
    Done,
    /// A page after the one that the total calls the last has other items.
    Contradicted,
}

/// Examines the last page and the page after it. `total` is the length that a fact or an answer states.
async fn search(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    widest: &Widest,
    stated: Option<u64>,
    sample: &mut Sample,
) -> Result<Searched, ProbeHalt> {
    let depth = deep_enough(session, learnt, base, stated, sample).await?;
    if stated.is_some() && depth.end.is_some() {
        return Ok(Searched::Contradicted);
    }
    // An answer that may be the whole list shows that its own number of items can be requested, and no larger one.
    let known = u32::try_from(widest.count).unwrap_or(u32::MAX).max(1);
    let size = if widest.is_all { page_size(learnt).min(known) } else { page_size(learnt) };
    // If the end is too deep to be requested, it is not examined. Test:
    // `deep_pages_are_not_probed_if_answers_get_slower_with_depth`.
    let Some(total) = stated.or(depth.end).filter(|total| *total <= depth.reached) else {
        note_no_end(session, learnt, &depth.why);
        return Ok(Searched::Done);
    };
    sample.is_whole = u64::try_from(sample.rows.len()).is_ok_and(|rows| rows >= total);
    let last = total.saturating_sub(1) / u64::from(size) * u64::from(size);
    let seen = at(session, learnt, last, size).await?;
    if !seen.is_recorded() {
        note_no_end(session, learnt, "the last page is not recorded");
        return Ok(Searched::Done);
    }
    sample.sized.push((last, size, Rc::clone(&seen)));
    if let Some(total) = stated.filter(|_| learnt.shape.count(&seen) == 0 && !sample.is_whole) {
        // A total without the rows that are left out ends too early.
        for pages in FARTHER {
            let from = last + pages * u64::from(size);
            let later = at(session, learnt, from, size).await?;
            if learnt.shape.count(&later) > 0 {
                sample.add(learnt, &later, from);
                return Ok(Searched::Contradicted);
            }
        }
        let known = u64::try_from(sample.rows.len()).unwrap_or(0);
        let depth = search_end(session, learnt, known.min(last), last).await?;
        let depth = bounded(session, learnt, depth.end.unwrap_or(known), last, &seen, total).await?;
        note_no_end(session, learnt, &depth.why);
        return Ok(Searched::Done);
    }
    if !sample.is_whole {
        sample.add(learnt, &seen, last);
        middle(session, learnt, last, sample).await?;
    }
    let past = past_end(session, learnt, last + u64::from(size), size).await?;
    let ids = learnt.shape.identities(&past).unwrap_or_default();
    let new = ids.iter().filter(|id| !sample.known.contains(*id)).count();
    if session.target.recorded.is_empty() && new * 2 > ids.len() {
        sample.add(learnt, &past, last + u64::from(size));
        sample.is_whole = false;
        if stated.is_some() {
            return Ok(Searched::Contradicted);
        }
        let evidence = "items follow a page that is short: its end was not found";
        learnt.note(Certainty::Open, "end of the list", "further items", evidence);
        // Rows that are left out make pages short, so only a look farther on shows the answer past the end. Test:
        // `the_answer_past_the_end_of_a_list_with_short_pages_is_learnt`.
        let farther = farther(last + 2 * u64::from(size), size);
        if farther <= session.limits.depth {
            let later = at(session, learnt, farther, size).await?;
            if (400..500).contains(&later.status) {
                facts::note_refused_end(learnt, &later, "asked for a page far behind the last item that was seen");
            }
        }
        return Ok(Searched::Done);
    }
    // If the list fits into one page, no answer shows the flag of a page before the last one, so `has_others` is
    // false.
    facts::confirm_flags(learnt, base, &seen, last > 0);
    // An answer with the beginning of the list is neither its last items nor its last page, although the answer before
    // may be the beginning too. Test: `a_list_that_begins_again_has_no_bound`.
    let starts = learnt.shape.identities(&widest.seen).unwrap_or_default();
    if last > 0 && past.is_success() && !ids.is_empty() && starts.first() == ids.first() {
        let evidence = "the page after the last begins with the first item: pages then rest only on the total";
        learnt.note(Certainty::Open, "past the end", "the first page again", evidence);
        return Ok(Searched::Done);
    }
    if let Some(offset) = bounded_offset(session, learnt, (last + u64::from(size), size), &ids).await? {
        learnt.max_offset = Some(offset);
        let evidence = format!("offsets above {offset} gave the items from there on, whatever size was asked for");
        learnt.note(Certainty::Shown, "depth", format!("no offset above {offset}"), evidence);
        return Ok(Searched::Done);
    }
    let is_full = learnt.shape.count(&seen) as u64 == u64::from(size) && last + u64::from(size) == total;
    if stated.is_none() && is_full && ids.is_empty() && note_bound(session, learnt, total, &past).await? {
        return Ok(Searched::Done);
    }
    if past.is_recorded() {
        let expected = stated.map(|total| total.saturating_sub(last));
        facts::note_past_end(learnt, &seen, &past, expected);
    }
    Ok(Searched::Done)
}

/// Returns the offset of a page that is [`FARTHER_ROWS`] behind another one.
fn farther(after: u64, size: u32) -> u64 {
    after + FARTHER_ROWS.max(u64::from(size)) / u64::from(size) * u64::from(size)
}

/// Requests the page after the last one, at offset `after`. Rows that are left out at the end of the list make pages
/// without an item there, so a page farther on is requested too, and returned if it is refused. Test:
/// `the_answer_past_rows_that_are_left_out_at_the_end_is_learnt`.
async fn past_end(session: &Session, learnt: &Learnt, after: u64, size: u32) -> Result<Rc<SeenAnswer>, ProbeHalt> {
    let past = at(session, learnt, after, size).await?;
    let farther = farther(after, size);
    let is_empty = past.is_success() && learnt.shape.elements(&past).is_some_and(<[_]>::is_empty);
    if !is_empty || farther > session.limits.depth || !session.target.recorded.is_empty() {
        return Ok(past);
    }
    let later = at(session, learnt, farther, size).await?;
    Ok(if (400..500).contains(&later.status) { later } else { past })
}

/// Returns the largest offset that the upstream takes, if it lowers larger ones without a word: then a smaller answer
/// after the end has the first of the items that a larger one has, and a last page that comes again has the last ones.
/// `after` is the offset and the size of an answer after the end, and `again` are its items. The offset is found by
/// bisection. Tests: `an_offset_that_is_capped_is_not_the_last_page_again`, `a_repeated_last_page_is_no_bound`.
async fn bounded_offset(
    session: &Session,
    learnt: &Learnt,
    after: (u64, u32),
    again: &[String],
) -> Result<Option<u64>, ProbeHalt> {
    let (mut high, size) = after;
    let smaller = size / 2;
    let can_ask = matches!(&learnt.place, Some(PlaceForm::Offset { first: 0, .. })) && !learnt.is_aligned;
    let is_free = learnt.size.as_ref().is_some_and(|form| form.choices.is_empty());
    if !can_ask || !is_free || smaller == 0 || again.len() <= smaller as usize || !session.target.recorded.is_empty() {
        return Ok(None);
    }
    let begins = |seen: &SeenAnswer| {
        let ids = learnt.shape.identities(seen).unwrap_or_default();
        !ids.is_empty() && again.starts_with(&ids)
    };
    if !begins(&*at(session, learnt, high, smaller).await?) {
        return Ok(None);
    }
    // A total without the rows that are left out ends too early, and the items after it come at their own offsets only.
    // Test: `items_after_a_total_that_is_too_low_are_no_bound`.
    let farther = at(session, learnt, high + FARTHER_ROWS, size).await?;
    if learnt.shape.identities(&farther).is_none_or(|ids| ids != again) {
        return Ok(None);
    }
    let mut low = 0;
    // Each iteration halves the interval, so the loop ends.
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if begins(&*at(session, learnt, middle, smaller).await?) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(Some(high))
}

/// Samples rows from the middle. If a list is sorted by a key with few values, ids are sorted within each value. The
/// beginning and the end of the list could then look sorted by id. Test:
/// `a_sort_by_few_values_is_not_taken_for_one_by_ids`.
async fn middle(session: &Session, learnt: &Learnt, last: u64, sample: &mut Sample) -> Result<(), ProbeHalt> {
    let size = page_size(learnt);
    for part in 1..PARTS {
        let from = last * part / PARTS / u64::from(size) * u64::from(size);
        if usize::try_from(from).is_ok_and(|from| from >= sample.first_stretch) {
            let seen = at(session, learnt, from, size).await?;
            sample.sized.push((from, size, Rc::clone(&seen)));
            sample.add(learnt, &seen, from);
        }
    }
    Ok(())
}

fn note_no_end(session: &Session, learnt: &mut Learnt, why: &str) {
    learnt.places.next_url = None;
    let evidence = format!("{why}; no request went deeper than item {}", session.deepest.borrow());
    learnt.note(Certainty::Open, "end of the list", "not looked at", evidence);
}

/// Adds the rows of the recorded pages after the first one. Returns the length of the list if one of these pages is
/// the last one, otherwise `None`.
async fn recorded_pages(session: &Session, learnt: &Learnt, sample: &mut Sample) -> Result<Option<u64>, ProbeHalt> {
    let size = page_size(learnt);
    // A live list has no recorded requests, so the loop has no iterations.
    for page in 1..=session.target.recorded.len() {
        let from = u64::try_from(page).unwrap_or(u64::MAX).saturating_mul(u64::from(size));
        let seen = at(session, learnt, from, size).await?;
        if !seen.is_recorded() {
            break;
        }
        let rows = u64::try_from(learnt.shape.count(&seen)).unwrap_or(u64::MAX);
        sample.add(learnt, &seen, from);
        sample.first_stretch = sample.rows.len();
        if rows < u64::from(size) {
            return Ok(Some(from + rows));
        }
    }
    Ok(None)
}

/// The result of requests at increasing offsets: the depth to which the list may be read.
struct Depth {
    /// The largest offset that may be requested; 0 if requests at deep offsets should end.
    reached: u64,
    /// The length of the list, if a search found its end; otherwise `None`. It refutes a total that was given.
    end: Option<u64>,
    /// The reason why no larger offset may be requested; empty if there is none.
    why: String,
}

/// Returns the first offset of the search for the end: `known` rows or [`DEPTH`], whichever is larger, rounded down to
/// a multiple of the size. The result is at least one page, since the next offsets are multiples of it.
fn first_deep(known: u64, size: u32) -> u64 {
    let size = u64::from(size);
    (known.max(DEPTH) / size).max(1) * size
}

/// Requests pages at increasing offsets, as long as answers don't get slower, and samples their rows. Test:
/// `deep_pages_are_not_probed_if_answers_get_slower_with_depth`.
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
    // The very first answer may include the time for a connection, so the faster of two answers is taken.
    let first = at(session, learnt, 0, size).await?;
    let mut from = first_deep(u64::try_from(sample.rows.len()).unwrap_or(0), size);
    let usual = first.elapsed.min(base.seen.elapsed);
    let mut before = Vec::new();
    // `--depth` is the largest offset. Test: `a_long_list_is_not_read_deeper_than_allowed`.
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
        let rows = learnt.shape.count(&seen);
        let ids = learnt.shape.identities(&seen).unwrap_or_default();
        let known = u64::try_from(sample.rows.len()).unwrap_or(0);
        if rows == 0 {
            let depth = search_end(session, learnt, known.min(from), from).await?;
            let Some(total) = total else { return Ok(depth) };
            let shown = depth.end.unwrap_or_else(|| known.min(from));
            return bounded(session, learnt, shown, from, &seen, total).await;
        }
        // Some upstreams answer requests after the end with the last page, so no page is empty. If it has fewer items than
        // were requested, no bound of the offset made it come again, and a larger total is wrong. Tests:
        // `a_repeated_last_page_is_learnt_without_a_total`, `a_last_page_that_comes_again_refutes_a_total`.
        let is_short = rows < usize::try_from(size).unwrap_or(1);
        if ids == before && (total.is_none() || is_short) {
            sample.add(learnt, &seen, from);
            return search_repeated(session, learnt, from, &ids).await;
        }
        before = ids;
        sample.sized.push((from, size, Rc::clone(&seen)));
        sample.add(learnt, &seen, from);
        if is_short && total.is_none() {
            let end = from + u64::try_from(rows).unwrap_or(0);
            return Ok(Depth { reached: end, end: Some(end), why: String::new() });
        }
        // Pages begin at multiples of the size, so the offset is rounded down to one.
        from = from.saturating_mul(DEEPER) / u64::from(size) * u64::from(size);
    }
    if total.is_none_or(|total| total > most) {
        let long = total.map_or_else(|| "the list goes on".to_owned(), |total| format!("the list has {total} items"));
        return Ok(Depth { reached: 0, end: None, why: format!("{long}, and --depth allows {most}") });
    }
    Ok(Depth { reached: most, end: None, why: String::new() })
}

/// Finds the last page of a list that repeats it after the end, by bisection between the beginning and the page at
/// offset `from`, whose items are `again`. The last page is the first one with these items.
async fn search_repeated(session: &Session, learnt: &Learnt, from: u64, again: &[String]) -> Result<Depth, ProbeHalt> {
    let size = u64::from(page_size(learnt));
    let (mut low, mut high) = (0, from / size);
    // Each iteration halves the interval, so the loop ends.
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        let seen = at(session, learnt, middle * size, page_size(learnt)).await?;
        match learnt.shape.identities(&seen) {
            Some(ids) if ids == again => high = middle,
            Some(_) => low = middle,
            None => return Ok(Depth { reached: 0, end: None, why: "its end was not found".to_owned() }),
        }
    }
    let end = high * size + u64::try_from(again.len()).unwrap_or(0);
    Ok(Depth { reached: end, end: Some(end), why: String::new() })
}

/// Adds the finding that the upstream shows no item at an offset before the end that the total states. `shown` is the
/// number of items up to the last one that it shows. Tests: `a_bound_of_the_depth_is_learnt`,
/// `a_list_of_which_only_the_beginning_is_shown_is_told`.
async fn bounded(
    session: &Session,
    learnt: &mut Learnt,
    shown: u64,
    from: u64,
    seen: &SeenAnswer,
    total: u64,
) -> Result<Depth, ProbeHalt> {
    let why = format!(
        "the total is {total}, and {} came for the page that begins after item {from}",
        match seen.status {
            status @ 400.. => status.to_string(),
            _ => "no item".to_owned(),
        }
    );
    let is_full = shown.is_multiple_of(page_size(learnt).into());
    let is_refused = (400..500).contains(&seen.status);
    let bound = if is_full && shown > 0 { bound(session, learnt, shown).await? } else { None };
    match bound {
        Some(DepthBound::Offset(offset)) => note_offset(learnt, offset, &why),
        // The last answer with items is short, as the last page is: the total is too high. Test:
        // `a_status_past_the_end_is_no_bound_beside_a_total_that_is_too_high`.
        None if is_refused && !is_full => facts::note_refused_end(learnt, seen, &why),
        bound if is_refused || bound.is_some() => {
            learnt.max_depth = Some(shown).filter(|shown| *shown > 0);
            learnt.note(Certainty::Shown, "depth", format!("{shown} items"), why.clone());
        }
        _ => {
            let advice = format!(
                "{why}: the list ends after {shown} items, or only its beginning is shown; then write \
                 request.max_depth = {shown}"
            );
            learnt.note(Certainty::Open, "depth", format!("{shown} items were shown"), advice);
        }
    }
    Ok(Depth { reached: 0, end: None, why })
}

/// A bound of the places that the upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DepthBound {
    /// The largest offset.
    Offset(u64),
    /// The largest sum of offset and size.
    Depth(u64),
}

/// The number of requests that the search for a bound may need.
const BISECTED: usize = 16;

/// Returns the bound of the places, if a full page ends at `end`, and no page after it has items: then the list may end
/// there, or places behind may be refused. A window of another size that begins before `end` and reaches behind it
/// decides: at the end of a list it has the rest of the items. Tests: `a_bound_of_the_place_is_no_end`,
/// `a_list_that_ends_with_a_full_page_has_an_end`.
async fn bound(session: &Session, learnt: &Learnt, end: u64) -> Result<Option<DepthBound>, ProbeHalt> {
    let size = page_size(learnt);
    let Some(other) = (2..size).rev().find(|other| !end.is_multiple_of(u64::from(*other))) else { return Ok(None) };
    if !asks_for_any_size(session, learnt) {
        return Ok(None);
    }
    let from = end / u64::from(other) * u64::from(other);
    let seen = at(session, learnt, from, other).await?;
    let (count, rest) = (learnt.shape.count(&seen) as u64, end - from);
    if (1..=rest).contains(&count) {
        return Ok(None);
    }
    // A smaller window that ends at the same item tells a bound of the sum from one of the offset.
    if count == 0 && learnt.shape.count(&*at(session, learnt, end - 1, 1).await?) > 0 {
        return Ok(Some(DepthBound::Depth(end)));
    }
    let (mut low, mut high) = if count > 0 { (from, end) } else { (end.saturating_sub(size.into()), from) };
    // Each iteration halves the interval, so the loop ends.
    while high - low > 1 && session.left() > BISECTED {
        let middle = u64::midpoint(low, high);
        if learnt.shape.count(&*at(session, learnt, middle, 1).await?) > 0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(DepthBound::Offset(low)))
}

/// Adds a finding and returns `true` if a full page ends at `end`, and `past`, the refusal or the empty answer behind it,
/// comes from a bound of the places, or may come from one: a full page shows no end.
async fn note_bound(session: &Session, learnt: &mut Learnt, end: u64, past: &SeenAnswer) -> Result<bool, ProbeHalt> {
    if !past.is_recorded() {
        return Ok(false);
    }
    let said = if past.is_success() { "no items".to_owned() } else { past.status.to_string() };
    let why = format!("a full page ends with item {end}, and {said} came for the next page");
    // Without another size, nothing tells a refused place from the end, but its usual statuses.
    let is_unclear = !asks_for_any_size(session, learnt)
        && session.target.recorded.is_empty()
        && !past.is_success()
        && !matches!(past.status, 204 | 404 | 410 | 416);
    match bound(session, learnt, end).await? {
        Some(DepthBound::Offset(offset)) => note_offset(learnt, offset, &why),
        Some(DepthBound::Depth(depth)) => {
            learnt.max_depth = Some(depth);
            learnt.note(Certainty::Shown, "depth", format!("{depth} items"), why);
        }
        None if is_unclear => {
            let advice = format!("{why}: write response.past_end if it ends there, and else request.max_depth");
            learnt.note(Certainty::Open, "past the end", past.status.to_string(), advice);
        }
        None => return Ok(false),
    }
    Ok(true)
}

/// Returns whether a list by number takes any size, and whether requests for it are answered.
fn asks_for_any_size(session: &Session, learnt: &Learnt) -> bool {
    let is_free = learnt.size.as_ref().is_some_and(|form| form.choices.is_empty());
    is_free && session.target.recorded.is_empty()
}

/// Adds the finding that the upstream answers no offset above the given one.
fn note_offset(learnt: &mut Learnt, offset: u64, why: &str) {
    learnt.max_offset = Some(offset);
    let evidence = format!("{why}; items behind it came at offset {offset}, and at none above");
    learnt.note(Certainty::Shown, "depth", format!("no offset above {offset}"), evidence);
}

/// Finds the end of a list by bisection between an offset with items and one without, in at most 12 requests.
async fn search_end(session: &Session, learnt: &Learnt, has: u64, has_none: u64) -> Result<Depth, ProbeHalt> {
    if has == has_none {
        return Ok(Depth { reached: has, end: Some(has), why: String::new() });
    }
    let size = page_size(learnt);
    // The page of the last known item has items.
    let (mut low, mut high) = (has.saturating_sub(1) / u64::from(size), has_none / u64::from(size));
    for _ in 0..12 {
        let middle = u64::midpoint(low, high);
        let seen = at(session, learnt, middle * u64::from(size), size).await?;
        if !seen.is_recorded() {
            break;
        }
        let rows = learnt.shape.count(&seen);
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

/// Returns the size of the pages with which the list is examined: at most 100; the largest allowed size if only
/// certain sizes are allowed; or the default size without a size parameter.
fn page_size(learnt: &Learnt) -> u32 {
    let Some(form) = &learnt.size else { return learnt.default_size.max(1) };
    match form.choices.last() {
        Some(most) => *most,
        None => form.max.unwrap_or(100).clamp(1, 100),
    }
}

/// Requests the page at an offset. For a list by page, the offset must be a multiple of the size.
pub(crate) async fn at(session: &Session, learnt: &Learnt, from: u64, size: u32) -> Result<Rc<SeenAnswer>, ProbeHalt> {
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

/// Reads up to [`FOLLOWED`] more pages of a list in which each page leads to the next one, and adds their rows.
async fn follow(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    form: &PlaceForm,
    widest: &Widest,
    sample: &mut Sample,
) -> Result<(), ProbeHalt> {
    let mut seen = Rc::clone(&widest.seen);
    for followed in 0..FOLLOWED {
        let Some(next) = next_settings(learnt, form, &seen, session) else {
            if followed == 0 {
                cap::note_whole(learnt, widest);
            }
            sample.is_whole = true;
            sample.last = Some(seen);
            let evidence = format!("the page that ends with item {} leads nowhere", sample.rows.len());
            learnt.note(Certainty::Shown, "end of the list", "no next page", evidence);
            return Ok(());
        };
        let size = learnt.size.as_ref().map(|form| (form.slot.clone(), widest.asked.unwrap_or(100).to_string()));
        // The parameters of a next URL may contain the size already. It is then not added again.
        let size = size.filter(|(slot, _)| next.iter().all(|(own, _)| own != slot));
        let settings: Vec<Setting> = size.clone().into_iter().chain(next.clone()).collect();
        let before = seen;
        seen = session.ask(&settings).await?;
        if !seen.is_recorded() {
            return Ok(());
        }
        // Without a flag, only an empty page shows the end. The rows are then the whole list. Test:
        // `the_id_of_the_last_item_without_a_flag_ends_with_an_empty_page`.
        let is_inclusive = matches!(form, PlaceForm::After { is_inclusive: true, .. });
        let ids = learnt.shape.identities(&seen).unwrap_or_default();
        let is_known = is_inclusive && ids.iter().all(|id| sample.known.contains(id));
        if ids.is_empty() || is_known {
            sample.is_whole = seen.is_success();
            sample.last = Some(before).filter(|_| seen.is_success());
            // The value that leads on is on the last page, too.
            let is_value = matches!(form, PlaceForm::Token { .. } | PlaceForm::Link { .. });
            if let Some(last) = sample.last.as_ref().filter(|_| is_value)
                && !token::find_ending(session, learnt, base, last).await?
                && next_settings(learnt, form, &seen, session) == Some(next)
            {
                // Rows that are left out may be such a page, and only whoever knows the upstream can rule them out.
                let evidence = "its last pages are marked as unproven; if no page before the end is empty, write \
                                end = \"empty-page\"";
                learnt.note(Certainty::Open, "end of the list", "an empty page that leads to itself", evidence);
            }
            return Ok(());
        }
        // If the number of items in the first answer is the cap, it gives here what a larger size gives. Otherwise the
        // first answer lacks rows. Test: `rows_left_out_after_the_first_items_of_a_list_by_its_last_item_are_no_cap`.
        if followed == 0 && widest.is_all {
            cap::note_followed(learnt, widest);
        }
        if let (0, Some((slot, _)), Some(count)) = (followed, size, cap::doubtful(widest)) {
            let settings: Vec<Setting> = std::iter::once((slot, count.to_string())).chain(next).collect();
            let capped = session.ask(&settings).await?;
            if capped.is_success() && learnt.shape.count(&capped) < learnt.shape.count(&seen) {
                learnt.hidden = true;
                let evidence = format!(
                    "the first answer has {count} items, and for {count} items after them came {}, for more {}",
                    learnt.shape.count(&capped),
                    learnt.shape.count(&seen)
                );
                learnt.note(Certainty::Shown, "dropped items", "some, after the limit", evidence);
            }
        }
        cap::raise(learnt, widest, learnt.shape.count(&seen));
        let from = u64::try_from(sample.rows.len()).unwrap_or(u64::MAX);
        sample.add(learnt, &seen, from);
        sample.first_stretch = sample.rows.len();
    }
    Ok(())
}

/// Returns the parameters of the page after an answer; `None` if the answer leads to no other page.
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
        PlaceForm::Members { place, names } => {
            Some(token::settings_of(session, &token::members_at(seen, place)?, names))
        }
        PlaceForm::After { slot, .. } => {
            // A flag that says that no item follows is not believed, since this request shows whether it is right.
            let ids = learnt.shape.identities(seen)?;
            let last = ids.last()?;
            // The identity of an item is JSON, so quotes are removed.
            Some(vec![(slot.clone(), last.trim_matches('"').to_owned())])
        }
        _ => None,
    }
}

/// Removes the id from the learnt shape if two different items have the same id. Test:
/// `a_list_whose_ids_repeat_gets_no_order`.
fn check_ids(learnt: &mut Learnt, sample: &Sample) {
    if let Some(id) = learnt.shape.id.clone().filter(|_| sample.has_twins) {
        learnt.shape.id = None;
        learnt.withdraw("id");
        let evidence = format!("two different items of an answer have the same value at {id}");
        learnt.note(Certainty::Open, "id", "none", evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_probes_the_depth_never_begins_at_offset_0() {
        for (known, size, from) in
            [(0, 10, 500), (999, 10, 990), (20, 1_000, 1_000), (999, 1_000, 1_000), (2_500, 1_000, 2_000), (3, 7, 497)]
        {
            assert_eq!(first_deep(known, size), from, "{known} known, pages of {size}");
        }
    }
}
