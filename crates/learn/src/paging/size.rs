//! The size parameter, found by its effect. Several names are sent in one request, each with a different value. The
//! number of items in the answer then shows which name the upstream reads.

use crate::{
    findings::{Certainty, Learnt, SizeForm},
    paging::doubt,
    paging::dropped,
    paging::token,
    prober::Base,
    prober::answer::{step_into, whole},
    prober::session::{ProbeHalt, Session, Setting},
    shape::names::{self, AFTERS, OFFSETS, PAGES, SIZES, TOTALS, likely_first, plain},
};

/// The largest number of names that are tried in one request.
const BATCH: usize = 8;

/// The largest number of names that are tried one by one, for upstreams that refuse unknown parameters.
const SINGLES: usize = 6;

/// Usual sizes, for upstreams that allow only certain sizes.
const USUAL_CHOICES: [u32; 5] = [10, 25, 50, 100, 20];

/// The number of sizes without effect after which the search for allowed sizes ends.
const MISSES: usize = 2;

/// Finds the size parameter. `with` are parameters of every request, such as the first page: some upstreams ignore the
/// size without a page.
pub(crate) async fn find(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    with: &[Setting],
) -> Result<(), ProbeHalt> {
    let likely = likely(learnt, base, session);
    let candidates = candidates(session, &likely);
    let (mut batch_failed, mut affected) = (false, Vec::new());
    let values = values(base.ids.len());
    for group in &candidates {
        match together(session, learnt, base, with, group).await? {
            Together::Found => return Ok(()),
            Together::Refused => batch_failed = true,
            Together::Affected(names) => affected.extend(names),
            Together::Nothing => {}
        }
    }
    for name in affected.iter().take(BATCH) {
        if dropped::confirm(session, learnt, base, with, name).await? {
            return Ok(());
        }
    }
    // Other items may come in addition, such as pinned ones. A list with a size is no whole list. Test:
    // `a_size_with_an_unclear_effect_is_a_doubt`.
    if learnt.unclear.is_empty() && !affected.is_empty() {
        learnt.unclear.push(format!("with {} it has another number of items", affected.join(", ")));
    }
    // Some upstreams refuse unknown parameters, so names are tried one by one. Test:
    // `an_upstream_that_refuses_unknown_parameters_is_learnt`.
    if batch_failed {
        for name in candidates.iter().flatten().take(SINGLES) {
            let Some(value) = values.first() else { break };
            if confirm(session, learnt, base, with, name, *value).await? {
                return Ok(());
            }
        }
    }
    // An upstream that allows only certain sizes may honour none of the values in a batch, so the likeliest name is
    // tried with usual sizes. Test: `a_closed_set_of_page_sizes_is_learnt`.
    for name in likely.iter().take(1) {
        if choices(session, learnt, base, with, name).await? || given(session, learnt, base, name) {
            return Ok(());
        }
    }
    // Without `with`, the search is repeated later with a page, so no failure is reported yet.
    if with.is_empty() {
        return Ok(());
    }
    let tried = candidates.iter().flatten().count();
    learnt.note(
        Certainty::Open,
        "size parameter",
        "none",
        format!("{} items came whichever of {tried} names asked for another number", base.ids.len()),
    );
    Ok(())
}

/// The effect of names that are tried together.
enum Together {
    /// A name is the size parameter. The finding was added.
    Found,
    /// The answer has no items: the upstream refuses some names, or filters by them.
    Refused,
    /// Answers have another number of items, but not the requested one. The names are those of the first such request.
    Affected(Vec<String>),
    Nothing,
}

/// Tries the names of a group, several in a request.
async fn together(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    with: &[Setting],
    group: &[String],
) -> Result<Together, ProbeHalt> {
    let values = values(base.ids.len());
    let mut affected: Option<Vec<String>> = None;
    for names in group.chunks(BATCH.min(values.len()).max(1)) {
        let tried: Vec<(&String, u32)> = names.iter().zip(values.iter().copied()).collect();
        let mut settings = with.to_vec();
        settings.extend(tried.iter().map(|(name, value)| (session.slot(name), value.to_string())));
        let seen = session.ask(&settings).await?;
        let count = learnt.shape.count(&seen);
        if count == 0 {
            return Ok(Together::Refused);
        }
        // An answer with as many items as without a size shows no effect.
        let read = tried.iter().find(|(_, value)| usize::try_from(*value) == Ok(count) && count != base.ids.len());
        if let Some((name, value)) = read
            && confirm(session, learnt, base, with, name, *value).await?
        {
            return Ok(Together::Found);
        }
        if count != base.ids.len() {
            affected.get_or_insert_with(|| names.to_vec());
        }
    }
    Ok(affected.map_or(Together::Nothing, Together::Affected))
}

/// The smallest number of items of which every name asks for fewer, each in a request with others.
const ENOUGH: usize = 4;

/// Returns why a list is too short to be called whole; `None` if all names together asked for one item, and all items
/// came. With fewer than [`ENOUGH`] items, the names of a batch have too few different numbers. `is_doubtful` is
/// true if anything else speaks against the whole list. Test: `a_list_of_few_items_is_whole_only_if_no_name_asks_for_fewer`.
pub(super) async fn too_few(
    session: &Session,
    learnt: &Learnt,
    base: &Base,
    is_doubtful: bool,
) -> Result<Option<String>, ProbeHalt> {
    let count = base.ids.len();
    if count >= ENOUGH {
        return Ok(None);
    }
    let all = doubt::items(u64::try_from(count).unwrap_or(u64::MAX));
    let said = format!("the list has {all}, too few to see how it pages: give the URL of a longer one");
    // A single item comes whatever number is asked for.
    if count < 2 || is_doubtful {
        return Ok(Some(said));
    }
    let candidates = candidates(session, &likely(learnt, base, session));
    for names in candidates.iter().flat_map(|group| group.chunks(BATCH)) {
        let settings: Vec<Setting> = names.iter().map(|name| (session.slot(name), "1".to_owned())).collect();
        let seen = session.ask(&settings).await?;
        if learnt.shape.count(&seen) != count {
            return Ok(Some(said));
        }
    }
    Ok(None)
}

/// Tries one name alone. If the answer has the requested number of items, adds the finding and returns `true`.
async fn confirm(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    with: &[Setting],
    name: &str,
    value: u32,
) -> Result<bool, ProbeHalt> {
    // The number of items may have matched the batch's value by chance, so another value is sent.
    let own = if value > 2 { value - 1 } else { value };
    let own = if usize::try_from(own) == Ok(base.ids.len()) { value } else { own };
    let slot = session.slot(name);
    let mut settings = with.to_vec();
    settings.push((slot.clone(), own.to_string()));
    let seen = session.ask(&settings).await?;
    let count = learnt.shape.elements(&seen).map_or(0, <[_]>::len);
    if u32::try_from(count) != Ok(own) || count == base.ids.len() {
        return Ok(false);
    }
    // A filter may also lead to the requested number of items, but most of these items are not in the first answer. The
    // order of items is not compared, because equal items may come in any order.
    let ids = learnt.shape.identities(&seen).unwrap_or_default();
    let known = ids.iter().filter(|id| base.ids.contains(id)).count();
    if known * 2 < ids.len().min(base.ids.len()) {
        return Ok(false);
    }
    learnt.size = Some(SizeForm { slot, max: None, choices: Vec::new() });
    let evidence = format!("{name}={own} gave {own} items, and no {name} gave {}", base.ids.len());
    learnt.note(Certainty::Shown, "size parameter", name, evidence);
    Ok(true)
}

/// Tries a parameter that may allow only certain sizes, such as 10, 25 and 50. If it honours at least one, adds the
/// finding and returns `true`.
async fn choices(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    with: &[Setting],
    name: &str,
) -> Result<bool, ProbeHalt> {
    let recorded = session.recorded_numbers(name).into_iter().filter_map(|number| u32::try_from(number).ok());
    let documented = session.documented().parameter(name).map(|own| own.choices.as_slice()).unwrap_or_default();
    let documented = documented.iter().filter_map(|choice| choice.parse().ok());
    let mut tried: Vec<u32> = recorded.chain(documented).filter(|size| *size > 0).take(BATCH).collect();
    if tried.is_empty() {
        tried.extend(USUAL_CHOICES);
    }
    tried.retain(|choice| usize::try_from(*choice) != Ok(base.ids.len()));
    let mut honoured = Vec::new();
    for (at, choice) in tried.into_iter().enumerate() {
        if honoured.is_empty() && at == MISSES {
            break;
        }
        let mut settings = with.to_vec();
        settings.push((session.slot(name), choice.to_string()));
        let seen = session.ask(&settings).await?;
        let count = learnt.shape.elements(&seen).map_or(0, <[_]>::len);
        if u32::try_from(count) == Ok(choice) {
            honoured.push(choice);
        }
    }
    if honoured.is_empty() {
        return Ok(false);
    }
    // The default size is one of the allowed sizes, so it is added to them. Test:
    // `a_closed_set_of_page_sizes_is_learnt`.
    honoured.extend(u32::try_from(base.ids.len()));
    honoured.sort_unstable();
    let evidence = format!("{name} gave these numbers of items and no other that was tried");
    learnt.note(Certainty::Shown, "size parameter", format!("{name}, one of {honoured:?}"), evidence);
    learnt.size = Some(SizeForm { slot: session.slot(name), max: honoured.last().copied(), choices: honoured });
    Ok(true)
}

/// Adds a finding and returns `true` if every request has a fixed value for the size parameter, and answers have that
/// many items. The finding is only likely, since no other value was honoured.
fn given(session: &Session, learnt: &mut Learnt, base: &Base, name: &str) -> bool {
    let size = session.fixed_number(name).and_then(|size| u32::try_from(size).ok());
    let Some(size) = size.filter(|size| *size > 0 && usize::try_from(*size) == Ok(base.ids.len())) else {
        return false;
    };
    let evidence = format!("{name}={size} gave {size} items, and no answer to another number shows that it is read");
    learnt.note(Certainty::Likely, "size parameter", format!("{name}, only {size}"), evidence);
    learnt.size = Some(SizeForm { slot: session.slot(name), max: Some(size), choices: vec![size] });
    true
}

/// Returns distinct sizes, one for each name of a batch. The sizes are below the default number of items (`unasked`),
/// the largest first, because some upstreams have a minimum. If the default is less than 4, larger sizes follow.
///
/// Items that come in addition, such as pinned ones, may make an answer to a slightly smaller size as long as the one
/// without a size, so the next smaller sizes are left out where there are enough. Test:
/// `a_further_item_on_every_page_is_no_page_of_the_list`.
fn values(unasked: usize) -> Vec<u32> {
    let unasked = u32::try_from(unasked).unwrap_or(u32::MAX);
    let enough = u32::try_from(BATCH).unwrap_or(u32::MAX).saturating_add(2);
    let start = (unasked - unasked / 4).max(enough.min(unasked)).min(200);
    let below = (2..start).rev().take(BATCH);
    let above = (1..=4).map(|more| unasked.saturating_add(more));
    if unasked >= 4 { below.collect() } else { (1..unasked).rev().chain(above).collect() }
}

/// Returns likely names of the size parameter: from the URL, the body, the document, recorded requests, links in the
/// first answer, and facts of that answer that look like its size.
fn likely(learnt: &Learnt, base: &Base, session: &Session) -> Vec<String> {
    let is_size = |name: &str| SIZES.iter().any(|known| plain(known) == plain(name));
    let mut likely: Vec<String> = base.hinted(&SIZES).collect();
    let is_count = |value: u64| usize::try_from(value) == Ok(base.ids.len());
    if let Some(body) = &session.target.body {
        let mut places = token::number_places(body);
        // A number of the body that is the number of items may be the size under any name.
        let number = |place: &String| step_into(body, place).and_then(whole);
        places.retain(|place| is_size(&names::last_step(place)) || number(place).is_some_and(is_count));
        places.sort_by_key(|place| !is_size(&names::last_step(place)));
        likely.extend(places);
    }
    likely.extend(session.documented().numbers_named(&SIZES));
    let recorded = session.target.recorded.iter().flatten().map(|(name, _)| name);
    likely.extend(recorded.filter(|name| is_size(name)).cloned());
    let facts = learnt.shape.facts(&base.seen);
    // The parameters of links may have any name, as in `"self": "/items?_getpages=20"`.
    let links = facts.iter().filter_map(|fact| fact.value.as_str()).flat_map(token::query_of);
    let is_new = |name: &String| session.fixed_number(name).is_none();
    let of_links = links.filter(|(name, value)| value.parse().is_ok_and(is_count) && is_new(name));
    likely.extend(of_links.map(|(name, _)| name));
    let mut echoes = Vec::new();
    for fact in &facts {
        let Some(value) = whole(&fact.value) else { continue };
        let step = fact.place.rsplit(['/', ':']).next().unwrap_or_default();
        let own = plain(step);
        let is_total = TOTALS.contains(&own.as_str()) || own == "max";
        if is_size(step) && !is_total && usize::try_from(value).is_ok_and(|value| value >= base.ids.len()) {
            likely.extend(SIZES.iter().filter(|name| plain(name) == own).map(|name| (*name).to_owned()));
            likely.extend(names::echoed(&fact.place));
        } else if is_count(value) && !is_total && !fact.place.starts_with("header:") {
            echoes.extend(names::echoed(&fact.place));
        }
    }
    // An answer that echoes its size may do so under any name, as in `"hitsPerPage": 20`.
    likely.extend(echoes.into_iter().take(BATCH));
    likely_first(&likely, &[])
}

/// Returns the names to try, in groups that are not mixed in a request. The names of the document form separate groups,
/// because the upstream may refuse a request that also has unknown names. For a body, only the first [`BATCH`] usual
/// names are tried.
fn candidates(session: &Session, likely: &[String]) -> Vec<Vec<String>> {
    let document = session.documented();
    let usual: &[&str] = if session.target.body.is_some() { &SIZES[..BATCH] } else { &SIZES };
    let described: Vec<String> = document.numbers_named(&SIZES).collect();
    let others: Vec<String> = document.other_numbers(&[&SIZES, &PAGES, &OFFSETS, &AFTERS]).take(BATCH).collect();
    let known = |name: &String| described.contains(name) || others.contains(name);
    let rest = likely_first(likely, usual).into_iter().filter(|name| !known(name)).collect();
    [described.clone(), rest, others].into_iter().filter(|group: &Vec<String>| !group.is_empty()).collect()
}
