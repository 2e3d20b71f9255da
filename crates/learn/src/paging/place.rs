//! The parameter of a page number or an offset, found by its effect. With the value 2, the first item of the answer is
//! looked up in a longer answer: its index shows whether the parameter counts pages or items, from 0 or from 1.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    paging::token,
    prober::Base,
    prober::answer::{SeenAnswer, whole},
    prober::session::{ProbeHalt, ProbeSlot, Session, Setting},
    shape::names::{self, AFTERS, OFFSET_ECHOES, OFFSETS, PAGE_ECHOES, PAGES, SIZES, likely_first, plain},
};

/// The value with which parameters are tried: the smallest one that distinguishes pages from 0, pages from 1, and
/// offsets.
const TRIED: u64 = 2;

/// The largest number of names that are tried one by one, for upstreams that refuse unknown parameters.
const SINGLES: usize = 4;

/// The smallest number of items in the reference. With fewer items, the answer to the value 2 could begin at the same
/// item for different meanings.
const REFERENCE: usize = 7;

/// The beginning of an answer, compared with the reference: an answer from the beginning of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// The answer begins at the item with this index.
    At(usize),
    /// The answer begins at an item that is not in the reference.
    Beyond,
    /// The upstream refuses the request, or returns no items.
    Nowhere,
    /// The request is not recorded.
    Unknown,
}

impl Begins {
    fn is_effect(self) -> bool {
        matches!(self, Self::At(1..) | Self::Beyond)
    }
}

/// The meaning of a parameter's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Items are counted; the first item has this number.
    Offset(u64),
    /// Pages are counted; the first page has this number.
    Page(u64),
}

impl Meaning {
    const ALL: [Self; 4] = [Self::Page(1), Self::Offset(0), Self::Page(0), Self::Offset(1)];

    /// Returns whether the answer to `value` begins at the item with the index `item`.
    fn is_at(self, value: u64, size: usize, item: usize) -> bool {
        let (Self::Offset(first) | Self::Page(first)) = self;
        value >= first && self.begins(value, size) == item
    }

    /// Returns the index of the item at which the answer to `value` begins, with `size` items a page.
    fn begins(self, value: u64, size: usize) -> usize {
        let (passed, each) = match self {
            Self::Offset(first) => (value - first, 1),
            Self::Page(first) => (value - first, size),
        };
        usize::try_from(passed).unwrap_or(usize::MAX).saturating_mul(each)
    }
}

/// The size of the reference if equal items come in another order with each request.
const WIDE: u32 = 150;

/// An answer from the beginning of the list, with which other answers are compared.
struct Reference {
    ids: Vec<String>,
    /// The size of the answers that are compared.
    size: usize,
    /// The parameters that request this size.
    sized: Vec<Setting>,
    /// True if two answers to the same request have their items in the same order.
    is_steady: bool,
    /// True if only offsets that are multiples of the size are tried.
    is_whole: bool,
}

impl Reference {
    async fn of(session: &Session, learnt: &Learnt, base: &Base) -> Result<Self, ProbeHalt> {
        // Without a size parameter, answers are compared with the first one. Test: `pages_of_a_fixed_size_are_learnt`.
        let Some(form) = &learnt.size else {
            let (ids, size) = (base.ids.clone(), base.ids.len());
            return Ok(Self { ids, size, sized: Vec::new(), is_steady: true, is_whole: false });
        };
        // If only certain sizes are allowed, others are ignored or refused. Test:
        // `a_closed_set_of_page_sizes_is_learnt`.
        if let Some(least) = form.choices.first() {
            let sized = vec![(form.slot.clone(), least.to_string())];
            let size = usize::try_from(*least).unwrap_or(1);
            return Ok(Self { ids: base.ids.clone(), size, sized, is_steady: true, is_whole: false });
        }
        let mut ids = base.ids.clone();
        if ids.len() < REFERENCE {
            let seen = session.ask(&[(form.slot.clone(), "20".to_owned())]).await?;
            let more = learnt.shape.identities(&seen).unwrap_or_default();
            if more.len() > ids.len() {
                ids = more;
            }
        }
        // The size is so small that the third page, which has the number 2 if pages are counted from 0, still begins
        // within the reference.
        let size = (ids.len().saturating_sub(1) / 2).clamp(1, 5);
        let sized = vec![(form.slot.clone(), size.to_string())];
        let first = learnt.shape.identities(&*session.ask(&sized).await?).unwrap_or_default();
        if ids.starts_with(&first) || first.len() != size {
            // A first page of fewer items, with more behind it, is cut by a cap, or rows are left out: the next page
            // begins after these items. Test: `pages_that_leave_out_rows_are_no_offsets`.
            let is_cut = !first.is_empty() && first.len() < size && ids.len() > first.len() && ids.starts_with(&first);
            let size = if is_cut { first.len() } else { size };
            return Ok(Self { ids, size, sized, is_steady: true, is_whole: false });
        }
        // Items that are equal for the upstream come in any order. A larger reference is then used, in which most of an
        // answer's items show its place. Test: `equal_times_in_a_different_order_in_each_answer_are_learnt`.
        let seen = session.ask(&[(form.slot.clone(), WIDE.to_string())]).await?;
        let ids = learnt.shape.identities(&seen).unwrap_or_default();
        let size = (ids.len() / 3).max(1);
        Ok(Self { ids, size, sized: vec![(form.slot.clone(), size.to_string())], is_steady: false, is_whole: false })
    }

    /// Returns the value with which a name is tried. For a recording, this is the smallest recorded number from
    /// [`TRIED`] on. For an offset without a steady order, it is the size of a page, since a smaller offset would not
    /// be noticed, and so it is if offsets may have to be multiples of the size. Otherwise it is [`TRIED`].
    fn tried(&self, session: &Session, name: &str) -> u64 {
        if let Some(recorded) = session.recorded_numbers(name).into_iter().find(|number| *number >= TRIED) {
            return recorded;
        }
        let is_offset = OFFSETS.iter().any(|known| plain(known) == plain(name));
        let is_whole = self.is_whole || !self.is_steady;
        if is_offset && is_whole { u64::try_from(self.size).unwrap_or(TRIED) } else { TRIED }
    }

    fn begins(&self, learnt: &Learnt, seen: &Rc<SeenAnswer>, value: u64) -> Begins {
        if !seen.is_recorded() {
            return Begins::Unknown;
        }
        let found = learnt.shape.identities(seen).filter(|ids| !ids.is_empty());
        let Some(found) = found else { return Begins::Nowhere };
        let places = Meaning::ALL.map(|meaning| meaning.begins(value, self.size));
        let place = self.ids.iter().position(|id| *id == found[0]).filter(|_| self.is_steady);
        if let Some(place) = place.filter(|place| *place == 0 || places.contains(place)) {
            // All common items are compared: an answer in another order does not show an effect of the parameter.
            let is_slice = self.ids[place..].iter().zip(&found).all(|(expected, found)| expected == found);
            return if is_slice { Begins::At(place) } else { Begins::At(0) };
        }
        // Items that are added or removed between answers shift the answers, so the place with the largest overlap is
        // taken. Test: `a_list_that_grows_with_each_request_has_its_pages`.
        let overlap =
            |place: usize| self.ids.iter().skip(place).take(self.size).filter(|id| found.contains(id)).count();
        // Of equal overlaps the first one is taken, which means that the parameter has no effect.
        let mut best = (overlap(0), 0);
        for place in places {
            best = if overlap(place) > best.0 { (overlap(place), place) } else { best };
        }
        if best.0 * 2 > found.len() { Begins::At(best.1) } else { Begins::Beyond }
    }

    /// Returns whether the recorded numbers can come from a client that reads one page after the other and sends no
    /// number for the first page. Example: the numbers 2, 3, 4 fit pages from 1, and not pages from 0.
    fn goes_on_from_the_first(&self, meaning: Meaning, numbers: &[u64]) -> bool {
        let size = u64::try_from(self.size).unwrap_or(1).max(1);
        match meaning {
            Meaning::Offset(first) => {
                numbers.iter().all(|number| number.checked_sub(first).is_none_or(|offset| offset.is_multiple_of(size)))
            }
            Meaning::Page(first) => numbers.first().is_none_or(|least| *least == first + 1),
        }
    }

    /// Returns whether a meaning explains the beginning of the answer to a value.
    fn explains(&self, meaning: Meaning, value: u64, begins: Begins) -> bool {
        let place = meaning.begins(value, self.size);
        match begins {
            Begins::At(found) => place == found,
            Begins::Beyond => place >= self.ids.len(),
            // The page may be after the end, for which upstreams refuse the request or return no items.
            Begins::Nowhere => place >= self.ids.len() && value > 1,
            // A request that is not recorded excludes no meaning.
            Begins::Unknown => true,
        }
    }
}

/// Finds the parameter of a page or an offset. Tries likely names first, then all usual names together.
pub(crate) async fn find(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    let mut reference = Reference::of(session, learnt, base).await?;
    let likely = likely(session, learnt, base);
    for name in likely.iter().take(SINGLES) {
        if attempt(session, learnt, base, &reference, name).await? {
            return Ok(());
        }
    }
    // Servers with nested parameters, such as Rack applications, refuse `page=2` together with `page[number]=2`, so
    // names with and without brackets are tried in separate requests.
    let is_bracketed = |name: &&str| name.contains('[');
    let kept = |names: &[&'static str]| -> Vec<String> {
        let new = names.iter().filter(|name| !is_bracketed(name) && !likely.iter().any(|own| own == *name));
        new.map(|name| (*name).to_owned()).collect()
    };
    // A page and an offset in one request contradict each other, so they are tried in different requests.
    let batches: &[&[&'static str]] = if session.target.body.is_some() { &[] } else { &[&PAGES, &OFFSETS] };
    for names in batches {
        if let Some(name) = among(session, learnt, &reference, &kept(names)).await?
            && attempt(session, learnt, base, &reference, &name).await?
        {
            return Ok(());
        }
    }
    let family =
        learnt.size.as_ref().and_then(|form| form.slot.name().split_once('[')).map(|(family, _)| family.to_owned());
    if let Some(family) = family {
        let own = PAGES.iter().chain(&OFFSETS).filter(|name| name.starts_with(&format!("{family}[")));
        for name in own {
            if attempt(session, learnt, base, &reference, name).await? {
                return Ok(());
            }
        }
    }
    let can_be_whole = learnt.size.is_some() && reference.is_steady && reference.size as u64 > TRIED;
    if !can_be_whole || session.target.body.is_some() || !session.target.recorded.is_empty() {
        return Ok(());
    }
    // Some upstreams lower an offset to a multiple of the size, or refuse it. Test: `aligned_offsets_are_learnt`.
    reference.is_whole = true;
    let is_offset = |name: &&String| OFFSETS.iter().any(|known| plain(known) == plain(name));
    let own: Vec<String> = likely.iter().filter(is_offset).cloned().collect();
    let names = [own.clone(), kept(&OFFSETS)].concat();
    if let Some(name) = among(session, learnt, &reference, &names).await?
        && attempt(session, learnt, base, &reference, &name).await?
        && let Some(PlaceForm::Offset { slot, first: 0 }) = &learnt.place
    {
        let evidence = format!("{}={TRIED} did not begin with the item {}", slot.name(), TRIED + 1);
        learnt.is_aligned = true;
        learnt.note(Certainty::Shown, "offsets", "multiples of the size only", evidence);
    }
    Ok(())
}

/// Returns the name among several that has an effect; `None` if none has. All are tried in one request, then smaller
/// groups (bisection).
async fn among(
    session: &Session,
    learnt: &Learnt,
    reference: &Reference,
    names: &[String],
) -> Result<Option<String>, ProbeHalt> {
    match together(session, learnt, reference, names).await? {
        Begins::Nowhere => return single(session, learnt, reference, names).await,
        begins if !begins.is_effect() => return Ok(None),
        _ => {}
    }
    // Each iteration removes at least one name. The most usual names come first, so they are split off in a small
    // group.
    let mut names = names.to_vec();
    while names.len() > 1 {
        let others = names.split_off(if names.len() > 4 { 2 } else { names.len() / 2 });
        if !together(session, learnt, reference, &names).await?.is_effect() {
            names = others;
        }
    }
    Ok(names.pop())
}

async fn together(
    session: &Session,
    learnt: &Learnt,
    reference: &Reference,
    names: &[String],
) -> Result<Begins, ProbeHalt> {
    let mut settings = reference.sized.clone();
    let value = names.first().map_or(TRIED, |name| reference.tried(session, name));
    settings.extend(names.iter().map(|name| (session.slot(name), value.to_string())));
    Ok(reference.begins(learnt, &session.ask(&settings).await?, value))
}

/// Tries up to [`SINGLES`] names one by one, for upstreams that refuse unknown parameters. Returns the first name with
/// an effect; `None` if none has.
async fn single(
    session: &Session,
    learnt: &Learnt,
    reference: &Reference,
    names: &[String],
) -> Result<Option<String>, ProbeHalt> {
    for name in names.iter().take(SINGLES) {
        if together(session, learnt, reference, std::slice::from_ref(name)).await?.is_effect() {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// Tries one name. If its effect has a single meaning, adds the finding and returns `true`.
async fn attempt(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    reference: &Reference,
    name: &str,
) -> Result<bool, ProbeHalt> {
    let slot = session.slot(name);
    let ask = |value: u64| {
        let mut settings = reference.sized.clone();
        settings.push((slot.clone(), value.to_string()));
        settings
    };
    let tried = reference.tried(session, name);
    let begins = reference.begins(learnt, &session.ask(&ask(tried)).await?, tried);
    // A request that is not recorded shows neither an effect nor the lack of one.
    if begins == Begins::Unknown {
        return Ok(false);
    }
    let mut meanings: Vec<Meaning> = Meaning::ALL.to_vec();
    meanings.retain(|meaning| reference.explains(*meaning, tried, begins));
    // With small pages several meanings lead to the same item, and a short list may end before page 2. In both cases,
    // the value 1 decides.
    if meanings.len() > 1 || begins == Begins::Nowhere {
        let begins = reference.begins(learnt, &session.ask(&ask(1)).await?, 1);
        meanings.retain(|meaning| reference.explains(*meaning, 1, begins));
    }
    // If every request has a fixed number for this parameter, the reference was requested with that number, which
    // therefore means the beginning of the list. Test:
    // `the_number_of_the_first_page_is_not_learnt_without_the_first_page`.
    let first = session.fixed_number(name);
    meanings.retain(|meaning| first.is_none_or(|first| meaning.is_at(first, reference.size, 0)));
    let mut certainty = Certainty::Shown;
    if meanings.len() > 1 {
        let next = next_number(learnt, base, name);
        meanings.retain(|meaning| next.is_none_or(|next| meaning.is_at(next, reference.size, reference.size)));
    }
    if meanings.len() > 1 && !session.target.recorded.is_empty() {
        // Recorded pages all have one size, which can't distinguish a page from an offset. The name of the parameter
        // decides.
        let is_offset = OFFSETS.iter().any(|known| plain(known) == plain(name));
        meanings.retain(|meaning| matches!(meaning, Meaning::Offset(_)) == is_offset);
        if meanings.len() > 1 {
            // A client may request the first page without a number. Test: `the_first_page_needs_no_number`.
            meanings.retain(|meaning| reference.goes_on_from_the_first(*meaning, &session.recorded_numbers(name)));
        }
        certainty = Certainty::Likely;
    }
    if let [Meaning::Offset(first)] = meanings[..] {
        let seen = session.ask(&ask(first)).await?;
        // An offset has a first number; if it is refused, the numbers are ids. Test: `an_id_is_no_offset`.
        if seen.is_recorded() && learnt.shape.count(&seen) == 0 {
            return Ok(false);
        }
        // If rows are left out after the limit, an offset from 0 passes fewer items than its number says, as an offset
        // from 1 does; only an offset from 1 gives the first item for 1. Test:
        // `offsets_over_rows_that_are_left_out_count_from_0`.
        if first == 1 && reference.begins(learnt, &seen, 1).is_effect() {
            let name = slot.name().to_owned();
            let evidence = format!("{name}=1 passes the first item, and {name}=2 no further one: rows are left out");
            learnt.note(Certainty::Likely, "offset parameter", format!("{name}, counted from 0"), evidence);
            learnt.place = Some(PlaceForm::Offset { slot, first: 0 });
            return Ok(true);
        }
    }
    let form = match meanings.as_slice() {
        [Meaning::Offset(first)] => PlaceForm::Offset { slot, first: *first },
        [Meaning::Page(first)] => PlaceForm::Page { slot, first: *first },
        [] => return Ok(false),
        several => return page_or_offset(session, learnt, reference, slot, several).await,
    };
    note(learnt, base, reference, form, tried, certainty);
    Ok(true)
}

/// Distinguishes a page from an offset by a request for two items, if the pages that were compared have one item each.
/// Returns whether that was possible. Test: `a_list_of_few_items_is_whole_only_if_no_name_asks_for_fewer`.
async fn page_or_offset(
    session: &Session,
    learnt: &mut Learnt,
    reference: &Reference,
    slot: ProbeSlot,
    meanings: &[Meaning],
) -> Result<bool, ProbeHalt> {
    let Some(form) = &learnt.size else { return Ok(false) };
    // The number 1 tells the meanings apart that count from 0, and the number 2 those that count from 1.
    for value in [1, 2] {
        let settings = [(form.slot.clone(), "2".to_owned()), (slot.clone(), value.to_string())];
        let seen = session.ask(&settings).await?;
        let found = learnt.shape.identities(&seen).and_then(|ids| ids.first().cloned());
        let Some(place) = found.and_then(|id| reference.ids.iter().position(|known| *known == id)) else { continue };
        let fitting: Vec<&Meaning> = meanings.iter().filter(|meaning| meaning.is_at(value, 2, place)).collect();
        let [meaning] = fitting[..] else { continue };
        let name = slot.name().to_owned();
        let evidence = format!("{name}={value} with 2 items a page began with item {}", place + 1);
        let (about, found, form) = match *meaning {
            Meaning::Offset(first) => {
                ("offset parameter", format!("{name}, counted from {first}"), PlaceForm::Offset { slot, first })
            }
            Meaning::Page(first) => {
                ("page parameter", format!("{name}, the first page is {first}"), PlaceForm::Page { slot, first })
            }
        };
        learnt.note(Certainty::Shown, about, found, evidence);
        learnt.place = Some(form);
        return Ok(true);
    }
    Ok(false)
}

/// Returns the number that a parameter has in the next link of the first answer; `None` if the link has none.
fn next_number(learnt: &Learnt, base: &Base, name: &str) -> Option<u64> {
    let facts = learnt.shape.facts(&base.seen);
    let next = facts.iter().filter(|fact| token::is_next(fact)).filter_map(|fact| fact.value.as_str());
    let mut pairs = next.flat_map(token::query_of);
    pairs.find(|(own, _)| own == name).and_then(|(_, value)| value.parse().ok())
}

fn note(learnt: &mut Learnt, base: &Base, reference: &Reference, form: PlaceForm, tried: u64, certainty: Certainty) {
    let size = reference.size;
    match &form {
        PlaceForm::Offset { slot, first } => {
            let name = slot.name().to_owned();
            let from = if *first == 0 { "0" } else { "1" };
            let item = tried.saturating_sub(*first);
            let evidence = if usize::try_from(item).is_ok_and(|item| item < reference.ids.len()) {
                format!("{name}={tried} began with item {} of the first answer", item + 1)
            } else {
                format!("{name}={tried} gave items that the first answer does not have")
            };
            learnt.note(certainty, "offset parameter", format!("{name}, counted from {from}"), evidence);
        }
        PlaceForm::Page { slot, first } => {
            let name = slot.name().to_owned();
            let begins = usize::try_from(tried.saturating_sub(*first)).unwrap_or(1).saturating_mul(size);
            let evidence = if begins < base.ids.len() {
                format!("{name}={tried} with {size} items a page began with item {} of the first answer", begins + 1)
            } else if certainty == Certainty::Shown {
                format!("{name}={first} is the first answer, and the next number gives other items")
            } else {
                format!("{name}={tried} gave items that the first answer does not have")
            };
            learnt.note(certainty, "page parameter", format!("{name}, the first page is {first}"), evidence);
        }
        _ => {}
    }
    learnt.place = Some(form);
}

/// Returns likely names of the parameter: from the URL, the document, the body, recorded requests, links in the first
/// answer, and facts of that answer that look like the number of its page or its offset.
fn likely(session: &Session, learnt: &Learnt, base: &Base) -> Vec<String> {
    let known = |name: &str| PAGES.iter().chain(&OFFSETS).any(|known| plain(known) == plain(name));
    let usual: Vec<&str> = PAGES.iter().chain(&OFFSETS).copied().collect();
    let is_size = |name: &String| learnt.size.as_ref().is_some_and(|form| form.slot.name() == name);
    let mut likely: Vec<String> = base.hinted(&usual).filter(|name| !is_size(name)).collect();
    let document = session.documented();
    likely.extend(document.numbers_named(&PAGES).chain(document.numbers_named(&OFFSETS)).filter(|name| !is_size(name)));
    if let Some(body) = &session.target.body {
        // The given body has few numbers, so all of them are tried, the ones with usual names first.
        let mut places = token::number_places(body);
        places.retain(|place| learnt.size.as_ref().is_none_or(|form| form.slot.name() != place));
        places.sort_by_key(|place| !known(&names::last_step(place)));
        likely.extend(places);
    }
    likely.extend(session.target.recorded.iter().flatten().map(|(name, _)| name.clone()).filter(|name| known(name)));
    let facts = learnt.shape.facts(&base.seen);
    for fact in &facts {
        let pairs = fact.value.as_str().map(token::query_of).unwrap_or_default();
        let numbers = pairs.into_iter().filter(|(name, value)| value.parse::<u64>().is_ok() && !is_size(name));
        // The parameters of the next link may have any name, unless every request has them.
        let is_new = |name: &String| token::is_next(fact) && session.fixed_number(name).is_none();
        likely.extend(numbers.map(|(name, _)| name).filter(|name| known(name) || is_new(name)));
    }
    let others = document.other_numbers(&[&SIZES, &AFTERS]).filter(|name| !is_size(name));
    likely.extend(others.take(SINGLES));
    for fact in &facts {
        let step = fact.place.rsplit(['/', ':']).next().unwrap_or_default();
        let own = plain(step);
        let echoes = matches!(whole(&fact.value), Some(0 | 1)) && !matches!(fact.value, Value::Bool(_));
        let is_echo = PAGE_ECHOES.contains(&own.as_str()) || OFFSET_ECHOES.contains(&own.as_str());
        if echoes && is_echo {
            let usual = PAGES.iter().chain(&OFFSETS).filter(|name| plain(name) == own);
            likely.extend(usual.map(|name| (*name).to_owned()));
            match own.as_str() {
                "number" => likely.push("page".to_owned()),
                _ => likely.extend(names::echoed(&fact.place)),
            }
        }
    }
    likely_first(&likely, &[])
}
