//! Lists whose next page is requested with a value from the previous answer: a token, the URL of the next page, or the
//! id of the last item.

use http::HeaderName;
use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    order::upstream_name,
    paging::doubt,
    paging::size,
    prober::Base,
    prober::answer::{SeenAnswer, step, whole},
    prober::session::{ProbeHalt, ProbeSlot, Session, Setting},
    shape::Fact,
    shape::names::{self, AFTERS, NEXTS, TOKENS, last_step, likely_first, plain},
};

/// The largest length of a token in bytes. A longer text is not tried as a token.
const LONGEST: usize = 4096;

/// The largest number of names that are tried one by one, for upstreams that refuse unknown parameters.
const SINGLES: usize = 5;

/// Finds the value that leads to the next page, unless a parameter of a page or an offset is known.
pub(crate) async fn find(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    if learnt.place.is_some() {
        return Ok(());
    }
    if by_facts(session, learnt, base, |_| true).await? {
        return Ok(());
    }
    let sized = sized(learnt, base);
    let first = session.ask(&sized).await?;
    let ids = learnt.shape.identities(&first).unwrap_or_default();
    let facts = learnt.shape.facts(&first);
    if let Some(form) = by_members(session, learnt, &sized, &ids, &first, &facts).await? {
        note(learnt, &form);
        learnt.place = Some(form);
        return Ok(());
    }
    if by_id(session, learnt, &sized, &ids).await? {
        return Ok(());
    }
    note_none(session, learnt, base).await
}

/// Replaces the value that leads on by one that is missing on the last page, if there is one: only that shows the end.
/// Returns whether there is one. Test: `a_value_that_leads_on_and_goes_away_is_preferred_to_one_that_stays`.
pub(super) async fn find_ending(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    last: &SeenAnswer,
) -> Result<bool, ProbeHalt> {
    let is_there =
        |fact: &Fact| last.at(&fact.place).and_then(|value| text_of(&value)).is_some_and(|text| !text.is_empty());
    by_facts(session, learnt, base, |fact| !is_there(fact)).await
}

/// Finds a value among some facts of the first answer that leads to the next page. Adds the finding and returns `true`
/// if there is one.
async fn by_facts(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    is_candidate: impl Fn(&Fact) -> bool,
) -> Result<bool, ProbeHalt> {
    let sized = sized(learnt, base);
    let first = session.ask(&sized).await?;
    let ids = learnt.shape.identities(&first).unwrap_or_default();
    let facts = learnt.shape.facts(&first);
    let mut candidates: Vec<(&Fact, String)> = facts
        .iter()
        .filter(|fact| is_next(fact) && is_candidate(fact))
        .filter_map(|fact| Some((fact, text_of(&fact.value)?)))
        .collect();
    // The last page may be too far away to be seen. A URL, or a value that is called the next one, is seldom on it, and
    // a token such as `after` may be on every page. Test:
    // `a_value_that_leads_on_and_goes_away_is_preferred_to_one_that_stays`.
    candidates.sort_by_key(|(fact, text)| (!is_url(text), !last_step(&fact.place).contains("next")));
    for (fact, text) in candidates {
        let pairs = query_of(&text);
        let found = if let Some(form) = by_header(session, learnt, &sized, &ids, fact, &text).await? {
            Some(form)
        } else if is_url(&text) {
            by_url(session, learnt, &sized, &ids, fact, &pairs).await?
        } else {
            by_token(session, learnt, &sized, &ids, fact, &text).await?
        };
        if let Some(mut form) = found {
            add_previous(&mut form, &facts, session, &sized, &text).await?;
            learnt.withdraw("next page");
            note(learnt, &form);
            learnt.place = Some(form);
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_url(text: &str) -> bool {
    text.contains('?') || text.starts_with("http")
}

/// Returns the parameters that request a few items.
pub(super) fn sized(learnt: &Learnt, base: &Base) -> Vec<Setting> {
    let few = (base.ids.len() / 3).clamp(1, 5);
    let of_choice = |choices: &[u32]| choices.first().map(ToString::to_string);
    let size = learnt.size.as_ref().map(|form| {
        let few = of_choice(&form.choices).unwrap_or_else(|| few.to_string());
        (form.slot.clone(), few)
    });
    size.into_iter().collect()
}

/// Returns whether a place is the link to the next page, with or without a parameter.
fn names_next_link(place: &str) -> bool {
    place.split(';').next() == Some("link:next")
}

pub(crate) fn is_next(fact: &Fact) -> bool {
    if names_next_link(&fact.place) {
        return true;
    }
    // Links to the page itself or to the previous page aren't next links.
    if fact.place.starts_with("link:") || fact.place.contains("[rel=prev") || fact.place.contains("[rel=self") {
        return false;
    }
    let step = last_step(&fact.place);
    let is_text = text_of(&fact.value).is_some_and(|text| !text.is_empty() && text.len() <= LONGEST);
    if request_header(&fact.place).is_some() {
        return is_text;
    }
    // Custom headers often begin with `X-`, so the prefix is removed. Test: `tokens_in_a_response_header_are_learnt`.
    let bare = step.strip_prefix('x').filter(|_| fact.place.starts_with("header:")).unwrap_or(&step);
    is_text && NEXTS.contains(&bare)
}

/// Returns whether a member's name, in the form of [`plain`], is that of a value that leads to the next page, as in
/// `"nextCursor": { "lastId": 7 }`, `"afterKey": …` or `"LastEvaluatedKey": { … }`.
pub(super) fn names_a_next(name: &str) -> bool {
    let begins = ["next", "after", "lastevaluated"];
    begins.iter().any(|word| name.starts_with(word)) || name.ends_with("cursor") || name.contains("continuation")
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Finds the parameter of a next URL that leads to the next page by itself. If there is none, tries all parameters of
/// the URL together. Returns `None` if these don't lead on either.
async fn by_url(
    session: &Session,
    learnt: &Learnt,
    sized: &[Setting],
    ids: &[String],
    fact: &Fact,
    pairs: &[(String, String)],
) -> Result<Option<PlaceForm>, ProbeHalt> {
    // A next URL repeats the parameters of the request, which don't lead to the next page, so they are left out. Test:
    // `tokens_in_a_next_url_are_learnt`.
    let is_sent = |name: &str, value: &str| {
        let own = session.target.fixed.iter().any(|(known, old)| known == name && old == value);
        own || sized.iter().any(|(slot, old)| slot.name() == name && old == value)
    };
    let new: Vec<&(String, String)> = pairs.iter().filter(|(name, value)| !is_sent(name, value)).collect();
    let size = learnt.size.as_ref().map(|form| form.slot.name());
    for (name, value) in new.iter().filter(|(name, _)| Some(name.as_str()) != size) {
        let slot = session.slot(name);
        if leads_on(session, learnt, sized, ids, &[(slot.clone(), value.clone())]).await? {
            let (place, parameter) = (fact.place.clone(), Some(name.clone()));
            return Ok(Some(PlaceForm::Token { slot, place, parameter, previous: None }));
        }
    }
    if new.len() > 1 {
        let all: Vec<Setting> = new.iter().map(|(name, value)| (session.slot(name), value.clone())).collect();
        if leads_on(session, learnt, sized, ids, &all).await? {
            return Ok(Some(PlaceForm::Link { place: fact.place.clone(), previous: None }));
        }
    }
    Ok(None)
}

/// Returns the request header for a response header with a name such as `Next-Range`.
fn request_header(place: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(place.strip_prefix("header:Next-")?.as_bytes()).ok()
}

/// Finds out whether `Range` takes the value of `Next-Range`, or another header the value of another one so named.
async fn by_header(
    session: &Session,
    learnt: &Learnt,
    sized: &[Setting],
    ids: &[String],
    fact: &Fact,
    text: &str,
) -> Result<Option<PlaceForm>, ProbeHalt> {
    let Some(name) = request_header(&fact.place) else { return Ok(None) };
    let slot = ProbeSlot::Header(name);
    if !leads_on(session, learnt, sized, ids, &[(slot.clone(), text.to_owned())]).await? {
        return Ok(None);
    }
    Ok(Some(PlaceForm::Token { slot, place: fact.place.clone(), parameter: None, previous: None }))
}

/// Finds the parameter that takes a token: likely and usual names together, then smaller groups of them (bisection).
/// Returns `None` if no name leads to the next page.
async fn by_token(
    session: &Session,
    learnt: &Learnt,
    sized: &[Setting],
    ids: &[String],
    fact: &Fact,
    token: &str,
) -> Result<Option<PlaceForm>, ProbeHalt> {
    let member = fact.place.rsplit(['/', ':']).next().unwrap_or_default();
    let bare = member.strip_prefix("next").unwrap_or(member).trim_start_matches(['_', '-']);
    let mut lowered = bare.chars();
    let bare = lowered.next().map(|first| first.to_lowercase().to_string() + lowered.as_str()).unwrap_or_default();
    let kept = bare.strip_suffix("_cursor").or_else(|| bare.strip_suffix("_token")).unwrap_or(&bare).to_owned();
    // `nextPageToken` is sent as `pageToken`, and `next_page_token` as `page_token`. Test:
    // `tokens_in_the_body_of_answers_are_learnt`.
    let likely: Vec<String> = [bare, member.to_owned(), kept].into_iter().filter(|name| !name.is_empty()).collect();
    let mut places = session.target.body.as_ref().map(text_places).unwrap_or_default();
    // In a body, the token is often beside the size, as in `"payload": { "page_size": 10 }`. Test:
    // `a_token_beside_the_size_of_a_body_is_learnt`.
    let size = learnt.size.as_ref().filter(|_| session.target.body.is_some()).map(|form| form.slot.name());
    let parent = size.and_then(|place| place.rsplit_once('/')).map(|(parent, _)| parent).unwrap_or_default();
    if !parent.is_empty() {
        places.extend(likely.iter().map(|name| format!("{parent}/{name}")));
    }
    let recorded = session.target.recorded.iter().flatten().filter(|(_, value)| value == token);
    let recorded: Vec<String> = recorded.map(|(name, _)| name.clone()).collect();
    let documented: Vec<String> = session.documented().texts_named(&TOKENS).collect();
    let names = likely_first(&[recorded, documented, places, likely].concat(), &TOKENS);
    let settings = |names: &[String]| -> Vec<Setting> {
        names.iter().map(|name| (session.slot(name), token.to_owned())).collect()
    };
    let mut left: Vec<String> = names;
    if !leads_on(session, learnt, sized, ids, &settings(&left)).await? {
        left.truncate(SINGLES);
        for name in left {
            if leads_on(session, learnt, sized, ids, &settings(std::slice::from_ref(&name))).await? {
                let (slot, place) = (session.slot(&name), fact.place.clone());
                return Ok(Some(PlaceForm::Token { slot, place, parameter: None, previous: None }));
            }
        }
        return Ok(None);
    }
    // Each iteration removes at least one name. The likeliest names come first, so they are split off in a small group.
    while left.len() > 1 {
        let others = left.split_off(if left.len() > 4 { 2 } else { left.len() / 2 });
        if !leads_on(session, learnt, sized, ids, &settings(&left)).await? {
            left = others;
        }
    }
    let slot = left.first().map(|name| session.slot(name));
    Ok(slot.map(|slot| PlaceForm::Token { slot, place: fact.place.clone(), parameter: None, previous: None }))
}

/// Finds the parameter that takes a member of an object for the next page, as in `"nextCursor": { "lastId": 7 }`, or
/// all members of such an object together. The parameters have the names of the members, or longer ones. Returns `None`
/// if they don't lead on.
async fn by_members(
    session: &Session,
    learnt: &Learnt,
    sized: &[Setting],
    ids: &[String],
    first: &SeenAnswer,
    facts: &[Fact],
) -> Result<Option<PlaceForm>, ProbeHalt> {
    let member = |fact: &Fact| {
        let (outer, name) = fact.place.strip_prefix('/')?.rsplit_once('/')?;
        let is_next = names_a_next(&plain(outer.rsplit('/').next().unwrap_or(outer)));
        let text = text_of(&fact.value).filter(|text| !text.is_empty() && text.len() <= LONGEST);
        Some((session.slot(name), text.filter(|_| is_next)?, fact.place.clone()))
    };
    let members: Vec<(ProbeSlot, String, String)> = facts.iter().filter_map(member).take(SINGLES).collect();
    for (slot, text, place) in &members {
        if leads_on(session, learnt, sized, ids, &[(slot.clone(), text.clone())]).await? {
            let (slot, place) = (slot.clone(), place.clone());
            return Ok(Some(PlaceForm::Token { slot, place, parameter: None, previous: None }));
        }
    }
    // A query has no unique form for nulls and for values within values, and a body takes no further members. Test:
    // `members_that_lead_on_only_together_are_sent_together`.
    let outers: Vec<&str> = members.iter().filter_map(|(.., place)| Some(place.rsplit_once('/')?.0)).collect();
    for place in outers.iter().enumerate().filter(|(at, outer)| !outers[..*at].contains(outer)).map(|(_, outer)| *outer)
    {
        let Some(all) = members_at(first, place).filter(|_| session.target.body.is_none()) else { continue };
        if all.len() > 1 && leads_on(session, learnt, sized, ids, &settings_of(session, &all, &[])).await? {
            return Ok(Some(PlaceForm::Members { place: place.to_owned(), names: Vec::new() }));
        }
        // All names are tried at once, and one by one only if some of them lead on.
        let guesses = renamed(&all);
        let every: Vec<Setting> = guesses.iter().flat_map(|names| settings_of(session, &all, names)).collect();
        if !leads_on(session, learnt, sized, ids, &every).await? {
            continue;
        }
        for names in guesses {
            if leads_on(session, learnt, sized, ids, &settings_of(session, &all, &names)).await? {
                return Ok(Some(PlaceForm::Members { place: place.to_owned(), names }));
            }
        }
    }
    Ok(None)
}

/// Returns other names for the parameters of members: with each of some usual words before them, as `lastId` and
/// `last_id` for `id`.
fn renamed(members: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    let with = |word: &str, is_snake: bool| {
        let name = |name: &str| match (is_snake, name.split_at_checked(1)) {
            (false, Some((first, rest))) => format!("{word}{}{rest}", first.to_uppercase()),
            _ => format!("{word}_{name}"),
        };
        members.iter().map(|(member, _)| (member.clone(), name(member))).collect()
    };
    ["last", "after", "cursor", "next"].iter().flat_map(|word| [with(word, false), with(word, true)]).collect()
}

/// Returns the members of the object at a place of an answer, as texts; `None` if it is no object, or if a member has
/// no form in a query.
pub(super) fn members_at(seen: &SeenAnswer, place: &str) -> Option<Vec<(String, String)>> {
    let Value::Object(members) = seen.at(place)? else { return None };
    let text = |value: Value| match value {
        Value::Bool(flag) => Some(flag.to_string()),
        other => text_of(&other),
    };
    members.into_iter().map(|(name, value)| Some((name, text(value)?))).collect()
}

/// Returns the parameters for members. `names` has the members whose parameters have other names.
pub(super) fn settings_of(session: &Session, members: &[(String, String)], names: &[(String, String)]) -> Vec<Setting> {
    let named = |member: &String| {
        names.iter().find(|(own, _)| own == member).map_or_else(|| member.clone(), |(_, name)| name.clone())
    };
    members.iter().map(|(member, text)| (session.slot(&named(member)), text.clone())).collect()
}

/// Finds the parameter that takes the id of the last item. If there is one, adds the finding and returns `true`.
async fn by_id(session: &Session, learnt: &mut Learnt, sized: &[Setting], ids: &[String]) -> Result<bool, ProbeHalt> {
    let (Some(last), Some(id)) = (ids.last(), &learnt.shape.id) else { return Ok(false) };
    let (last, id) = (last.trim_matches('"').to_owned(), upstream_name(id));
    let documented = session.documented().texts_named(&AFTERS);
    let given = session.target.fixed.iter().map(|(name, _)| name.clone()).filter(|name| names::is_bound(name, &id));
    for name in likely_first(&documented.chain(given).collect::<Vec<_>>(), &AFTERS) {
        let setting = (session.slot(&name), last.clone());
        let seen = session.ask(&[sized, &[setting]].concat()).await?;
        let found = learnt.shape.identities(&seen).unwrap_or_default();
        let is_inclusive = found.len() > 1 && found.first() == ids.last();
        let new = &found[usize::from(is_inclusive)..];
        if new.is_empty() || new.iter().any(|id| ids.contains(id)) {
            continue;
        }
        let which = if is_inclusive { "that item and then " } else { "" };
        let evidence =
            format!("{name}=(the id of the last item) gave {which}items that the answer before did not have");
        let found =
            if is_inclusive { format!("{name}, an id whose item comes again") } else { format!("{name}, an id") };
        learnt.note(Certainty::Shown, "next page", found, evidence);
        // The URL is that of another page. Test: `a_bound_of_the_ids_pages_if_nothing_else_does`.
        learnt.fixed.retain(|(own, _)| *own != name);
        learnt.place = Some(PlaceForm::After { slot: session.slot(&name), is_inclusive });
        return Ok(true);
    }
    Ok(false)
}

/// Returns whether the answer to these parameters has items, none of which is in the first answer.
async fn leads_on(
    session: &Session,
    learnt: &Learnt,
    sized: &[Setting],
    ids: &[String],
    more: &[Setting],
) -> Result<bool, ProbeHalt> {
    let seen = session.ask(&[sized, more].concat()).await?;
    let found = learnt.shape.identities(&seen).unwrap_or_default();
    Ok(!found.is_empty() && found.iter().all(|id| !ids.contains(id)))
}

/// Finds the place of the previous page's link or token in the second answer. The place has the same name as for the
/// next page, with `prev` or `previous` instead of `next`.
async fn add_previous(
    form: &mut PlaceForm,
    facts: &[Fact],
    session: &Session,
    sized: &[Setting],
    token: &str,
) -> Result<(), ProbeHalt> {
    let (place, previous, settings) = match form {
        PlaceForm::Token { slot, place, parameter, previous } => {
            let value = match parameter {
                Some(name) => query_of(token).into_iter().find(|(own, _)| own == name).map(|(_, value)| value),
                None => Some(token.to_owned()),
            };
            (place, previous, vec![(slot.clone(), value.unwrap_or_default())])
        }
        PlaceForm::Link { place, previous } => {
            let own = query_of(token).into_iter().map(|(name, value)| (ProbeSlot::Query(name), value)).collect();
            (place, previous, own)
        }
        _ => return Ok(()),
    };
    let opposite = [("next", "prev"), ("next", "previous"), ("Next", "Prev"), ("Next", "Previous")];
    let names: Vec<String> =
        opposite.iter().map(|(from, to)| place.replace(from, to)).filter(|name| name != place).collect();
    let second = session.ask(&[sized, &settings].concat()).await?;
    let is_there =
        |name: &&String| second.at(name).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    // The first page has no previous page, so a value at that place in the first answer is another fact.
    let is_new = |name: &&String| !facts.iter().any(|fact| fact.place == **name && !fact.value.is_null());
    let found = names.iter().find(|name| is_there(name) && is_new(name)).cloned();
    let leads_back = match (&found, &*previous) {
        (Some(name), None) => {
            Some((name.clone(), second.at(name).and_then(|value| text_of(&value)).unwrap_or_default()))
        }
        _ => None,
    };
    if let Some((name, _)) = leads_back.filter(|(_, text)| !text.is_empty()) {
        // A dialect sends the tokens of both directions in the same parameter, so only the place is recorded.
        *previous = Some(name);
    }
    Ok(())
}

fn note(learnt: &mut Learnt, form: &PlaceForm) {
    let (found, evidence) = match form {
        PlaceForm::Token { slot, place, parameter: None, .. } => {
            (format!("{} takes the token at {place}", slot.name()), "the answer to it has other items".to_owned())
        }
        PlaceForm::Token { slot, place, .. } => (
            format!("{} takes what the URL at {place} has under this name", slot.name()),
            "the answer to it has other items".to_owned(),
        ),
        PlaceForm::Link { place, .. } => (
            format!("the URL at {place}"),
            "its parameters together gave other items, and none of them alone".to_owned(),
        ),
        PlaceForm::Members { place, names } => {
            let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
            let named = if names.is_empty() { String::new() } else { format!(", as {}", names.join(" and ")) };
            let evidence = "sent together as parameters they gave other items, and none of them alone";
            (format!("all members of {place}{named}"), evidence.to_owned())
        }
        _ => return,
    };
    learnt.note(Certainty::Shown, "next page", found, evidence);
}

/// Adds the finding that no parameter leads to other items. The list is whole only if nothing says otherwise.
async fn note_none(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    let count = base.ids.len();
    let mut doubts = doubt::doubts(session, learnt, base);
    if doubts.is_empty() && !base.hints.is_empty() {
        let hints: Vec<Setting> = base.hints.iter().map(|(name, value)| (session.slot(name), value.clone())).collect();
        let seen = session.ask(&hints).await?;
        let ids = learnt.shape.identities(&seen).unwrap_or_default();
        // An item that only the parameters of the URL show is missing in the answer without them.
        if ids.iter().any(|id| !base.ids.contains(id)) {
            doubts.push("with the paging parameters of the URL it has other items".to_owned());
        }
    }
    let effect = doubt::effect(session, learnt, base).await?;
    // Of few items no name may have asked for less than all. A single item is always all.
    if session.target.recorded.is_empty() {
        let is_doubtful = !doubts.is_empty() || effect.is_some() || learnt.size.is_some();
        doubts.extend(size::too_few(session, learnt, base, is_doubtful).await?);
    }
    // If requests were not recorded, the list may still have pages, so the finding stays open. Test:
    // `one_page_shows_no_way_to_the_next`.
    if !doubts.is_empty() || effect.is_some() || learnt.size.is_some() || session.not_recorded() > 0 {
        let mut evidence = match effect {
            Some(effect) => format!("{effect}, and nothing that was tried shows where the next page begins"),
            None => "no parameter that was tried changed where the answer begins".to_owned(),
        };
        if !doubts.is_empty() {
            evidence.push_str("; the answer may be a part of the list: ");
            evidence.push_str(&doubt::named(&doubts));
        }
        learnt.note(Certainty::Open, "next page", "none found", evidence);
        return Ok(());
    }
    let evidence =
        format!("no parameter changed its {count} items, and no fact in the answer says that there are more");
    learnt.note(Certainty::Likely, "next page", "none: every answer is the whole list", evidence);
    learnt.place = Some(PlaceForm::Whole);
    Ok(())
}

/// Returns the part of an absolute URL after `://`; `None` for a relative URL.
#[must_use]
pub fn after_scheme(url: &str) -> Option<&str> {
    // A relative URL may contain another URL in its query, so the text before `://` must be a scheme. Test:
    // `a_relative_link_may_have_a_url_in_its_query`.
    url.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?', '#'])).map(|(_, rest)| rest)
}

/// Returns the first 64 parameters of a URL's query, decoded.
#[must_use]
pub fn query_of(url: &str) -> Vec<(String, String)> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let query = query.split('#').next().unwrap_or_default();
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    };
    query.split('&').filter(|pair| !pair.is_empty()).take(64).map(pair).collect()
}

/// Returns the places of whole numbers in a body, as JSON Pointers.
pub(crate) fn number_places(body: &Value) -> Vec<String> {
    places(body, &|value| whole(value).is_some())
}

/// Returns the places of strings and nulls in a body that have the usual name of a token.
fn text_places(body: &Value) -> Vec<String> {
    let named = |place: &String| TOKENS.iter().any(|name| plain(name) == last_step(place));
    places(body, &|value| value.is_string() || value.is_null()).into_iter().filter(named).collect()
}

fn places(body: &Value, wanted: &dyn Fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![(String::new(), body)];
    while let Some((at, value)) = waiting.pop() {
        match value {
            Value::Object(members) => {
                waiting.extend(members.iter().map(|(name, member)| (format!("{at}{}", step(name)), member)));
            }
            value if wanted(value) => found.push(at),
            _ => {}
        }
    }
    found.sort();
    found
}
