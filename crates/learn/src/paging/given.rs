//! Numbers in the given URL whose names are unusual. Each is tried as a size and as a place: one that pages is a hint,
//! and any other is a filter. A page or an offset that was taken for a filter would cut off the beginning of the list.

use std::rc::Rc;

use crate::{
    findings::Learnt,
    order::upstream_name,
    paging::doubt,
    prober::Base,
    prober::answer::SeenAnswer,
    prober::looks_like_paging,
    prober::session::{ProbeHalt, ProbeSlot, Session, Setting},
    shape::ListShape,
    shape::names::{AFTERS, is_bound, plain},
};

/// The largest number of parameters that are tried.
const MOST: usize = 4;

/// The largest number of items of the small pages with which places are tried.
const SMALL: usize = 5;

/// Moves the numbers of the URL that page from the filters to the hints, and requests the first answer without them.
/// Test: `numbers_of_the_url_are_hints_under_any_name`.
pub(crate) async fn find(session: &mut Session, learnt: &mut Learnt, base: &mut Base) -> Result<(), ProbeHalt> {
    // A recording answers no other numbers, and the numbers of a body are all tried by the steps themselves.
    if session.target.body.is_some() || !session.target.recorded.is_empty() {
        return Ok(());
    }
    let is_unusual = |name: &str| !looks_like_paging(name) && session.documented().parameter(name).is_none();
    // Where ids count the items, a bound of the ids has the effect of an offset. It is a filter all the same, and
    // `token::find` tries it if nothing else pages. Tests: `a_bound_of_the_ids_stays_a_filter`,
    // `a_bound_of_the_ids_pages_if_nothing_else_does`.
    let fields = learnt.shape.fields(learnt.shape.elements(&base.seen).unwrap_or_default());
    let is_filter =
        |name: &str| AFTERS.contains(&name) || fields.iter().any(|field| is_bound(name, &upstream_name(field)));
    let numbers = session.target.fixed.iter().filter(|(name, _)| is_unusual(name) && !is_filter(name));
    let numbers: Vec<(String, u64)> =
        numbers.filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?))).take(MOST).collect();
    let mut size = None;
    for (name, value) in &numbers {
        if size.is_none() && is_size(session, learnt, base, name, *value).await? {
            size = Some(name.clone());
        }
    }
    let mut paging: Vec<String> = size.iter().cloned().collect();
    for (name, value) in numbers.iter().filter(|(name, _)| Some(name) != size.as_ref()) {
        let place = Number { name, value: *value };
        let is_place = match &size {
            Some(size) => place.leads_on_with(session, learnt, base, size).await?,
            None => place.leads_on(session, learnt, base).await?,
        };
        if is_place {
            paging.push(name.clone());
        }
    }
    let others: Vec<&(String, u64)> = numbers.iter().filter(|(name, _)| !paging.contains(name)).collect();
    doubt(session, learnt, base, &others).await?;
    if paging.is_empty() {
        return Ok(());
    }
    begin_again(session, learnt, base, &paging).await
}

/// Returns whether a number is the size: another one gives as many of the same items.
async fn is_size(session: &Session, learnt: &Learnt, base: &Base, name: &str, value: u64) -> Result<bool, ProbeHalt> {
    let count = u64::try_from(base.ids.len()).unwrap_or(u64::MAX);
    let less = if count > 2 { count - 1 } else { value.max(count).saturating_mul(2) };
    // An upstream may allow only certain sizes, so a number that came as asked is doubled, too.
    let more = (count == value && count > 2).then(|| value.saturating_mul(2));
    for tried in std::iter::once(less).chain(more) {
        let seen = session.ask(&[query(name, tried)]).await?;
        let ids = learnt.shape.identities(&seen).unwrap_or_default();
        let known = ids.iter().filter(|id| base.ids.contains(id)).count();
        if u64::try_from(ids.len()) == Ok(tried) && known * 2 >= ids.len().min(base.ids.len()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn query(name: &str, value: u64) -> Setting {
    (ProbeSlot::Query(name.to_owned()), value.to_string())
}

/// A number that may choose the place of a page.
struct Number<'n> {
    name: &'n str,
    value: u64,
}

impl Number<'_> {
    /// Returns whether another number begins at another item of the same list, with small pages by a known size.
    async fn leads_on_with(
        &self,
        session: &Session,
        learnt: &Learnt,
        base: &Base,
        size: &str,
    ) -> Result<bool, ProbeHalt> {
        let half = (base.ids.len() / 2).clamp(1, SMALL);
        let sized = |count: usize| query(size, u64::try_from(count).unwrap_or(1));
        let seen = session.ask(&[sized(half * 2)]).await?;
        let reference = learnt.shape.identities(&seen).unwrap_or_default();
        // The page after the second one begins where the second one does, in pages of half the size, so the page after
        // that tells.
        let mut index = Some(0);
        for more in [1, 2] {
            let next = session.ask(&[sized(half), query(self.name, self.value.saturating_add(more))]).await?;
            index = begins(learnt, &next, &reference);
            if index != Some(0) {
                break;
            }
        }
        if let Some(index) = index {
            return Ok(index > 0);
        }
        // Two pages of half the size are one page, so the page with twice the number begins within the reference,
        // whether pages are counted from 0 or from 1.
        let twice = session.ask(&[sized(half), query(self.name, self.value.saturating_mul(2))]).await?;
        Ok(begins(learnt, &twice, &reference).is_some())
    }

    /// Returns whether the next number leads to other items of the list, without a size. The answer without the number
    /// must be the one to 0 or 1: a filter by 0 or 1 would not give it.
    async fn leads_on(&self, session: &mut Session, learnt: &Learnt, base: &Base) -> Result<bool, ProbeHalt> {
        let count = u64::try_from(base.ids.len()).unwrap_or(1);
        // Some offsets only count in steps of a page, so a whole page is skipped if one item is not.
        for more in [1, count] {
            let seen = session.ask(&[query(self.name, self.value.saturating_add(more))]).await?;
            match begins(learnt, &seen, &base.ids) {
                Some(0) => continue,
                Some(_) => return Ok(true),
                None if learnt.shape.count(&seen) == 0 => return Ok(false),
                None => {}
            }
            let without = without(session, learnt, &[self.name]).await?;
            for first in [1, 0] {
                let seen = session.ask(&[query(self.name, first)]).await?;
                let ids = learnt.shape.identities(&seen).unwrap_or_default();
                if !ids.is_empty() && ids == without && (ids == base.ids || begins(learnt, &seen, &base.ids).is_none())
                {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        Ok(false)
    }
}

/// Returns the first page of a list that has another shape with the paging parameters of the URL, which then stay in
/// every request; otherwise `seen`, the answer without them. `given` are all parameters of the URL. Test:
/// `answers_that_have_another_shape_with_a_page_are_learnt_from_the_url_of_a_page`.
pub(crate) async fn in_paged_shape(
    session: &mut Session,
    given: &[(String, String)],
    seen: Rc<SeenAnswer>,
) -> Result<Rc<SeenAnswer>, ProbeHalt> {
    let fixed = session.target.fixed.clone();
    if fixed.len() == given.len() || !session.target.recorded.is_empty() {
        return Ok(seen);
    }
    let place = |seen: &SeenAnswer| ListShape::find(seen).filter(|_| seen.is_success()).map(|shape| shape.items);
    session.target.fixed = given.to_vec();
    let own = place(&*session.ask(&[]).await?).filter(|own| place(&seen).as_ref() != Some(own));
    // The place becomes that of the first page.
    let begun = |first: &str| -> Vec<(String, String)> {
        let is_place = |name: &str| looks_like_paging(name) && !doubt::is_size(&plain(name));
        let numbers = given.iter().filter(|(name, value)| !is_place(name) || value.parse::<u64>().is_ok());
        let begin = |(name, value): &(String, String)| match is_place(name) {
            true => (name.clone(), first.to_owned()),
            false => (name.clone(), value.clone()),
        };
        numbers.map(begin).collect()
    };
    let mut found = Vec::new();
    for first in ["0", "1"].into_iter().filter(|_| own.is_some()) {
        session.target.fixed = begun(first);
        let answer = session.ask(&[]).await?;
        if place(&answer) == own {
            found.push((first, answer));
        }
    }
    // Where pages are counted from 1, page 0 often is page 1.
    let items = |seen: &SeenAnswer| own.as_ref().and_then(|place| seen.at(place));
    let is_same = matches!(&found[..], [(_, zero), (_, one)] if items(zero) == items(one));
    let Some((first, answer)) = found.into_iter().nth(usize::from(is_same)) else {
        session.target.fixed = fixed;
        return Ok(seen);
    };
    session.target.fixed = begun(first);
    Ok(answer)
}

/// Returns the index in the reference at which an answer begins; `None` if its first item isn't there.
fn begins(learnt: &Learnt, seen: &SeenAnswer, reference: &[String]) -> Option<usize> {
    let ids = learnt.shape.identities(seen)?;
    reference.iter().position(|id| Some(id) == ids.first())
}

/// Returns the items of the answer to a request without these parameters; empty if there are none.
async fn without(session: &mut Session, learnt: &Learnt, names: &[&str]) -> Result<Vec<String>, ProbeHalt> {
    let all = session.target.fixed.clone();
    session.target.fixed.retain(|(name, _)| !names.contains(&name.as_str()));
    let seen = session.ask(&[]).await;
    session.target.fixed = all;
    Ok(learnt.shape.identities(&*seen?).unwrap_or_default())
}

/// Adds a doubt for numbers that were not found to page, and still may: the answer without them lacks items, or the
/// answer has as many items as a number says.
async fn doubt(
    session: &mut Session,
    learnt: &Learnt,
    base: &Base,
    others: &[&(String, u64)],
) -> Result<(), ProbeHalt> {
    if others.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
    let without = without(session, learnt, &names).await?;
    let given: Vec<String> = others.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let given = given.join(" and ");
    // A filter only leaves items out, so the whole list has all items of the answer.
    if base.ids.iter().any(|id| !without.contains(id)) {
        session.unclear.push(format!("without {given} it has other items"));
    }
    if others.iter().any(|(_, value)| usize::try_from(*value) == Ok(base.ids.len())) {
        session.unclear.push(format!("with {given} it has {} items", base.ids.len()));
    }
    Ok(())
}

/// Requests the first answer again, without the numbers that page.
async fn begin_again(
    session: &mut Session,
    learnt: &mut Learnt,
    base: &mut Base,
    paging: &[String],
) -> Result<(), ProbeHalt> {
    let is_paging = |name: &String| paging.contains(name);
    base.hints.extend(session.target.fixed.iter().filter(|(name, _)| is_paging(name)).cloned());
    learnt.fixed.retain(|(name, _)| !is_paging(name));
    let given = session.target.fixed.clone();
    // An upstream that needs a number gets the first one, which is 0 or 1.
    for first in [None, Some("0"), Some("1")] {
        session.target.fixed = given.clone();
        match first {
            None => session.target.fixed.retain(|(name, _)| !is_paging(name)),
            Some(first) => {
                let size = |value: &str| value.parse() == Ok(base.ids.len());
                let places = session.target.fixed.iter_mut().filter(|(name, value)| is_paging(name) && !size(value));
                places.for_each(|(_, value)| first.clone_into(value));
            }
        }
        let seen = session.ask(&[]).await?;
        let Some(shape) = ListShape::find(&seen).filter(|_| seen.is_success()) else { continue };
        learnt.shape = shape;
        base.ids = learnt.shape.identities(&seen).unwrap_or_default();
        learnt.default_size = u32::try_from(base.ids.len()).unwrap_or(u32::MAX);
        base.seen = seen;
        return Ok(());
    }
    session.target.fixed = given;
    Ok(())
}
