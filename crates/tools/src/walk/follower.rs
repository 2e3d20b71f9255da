//! Walks by links and cursors: of answers in the gateway's built-in envelopes, and of all answers with `Link` headers.

use std::fmt::Write as _;

use http::HeaderMap;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use super::{
    ending::{self, EndReview, grouped},
    envelope::SeenEnvelope,
    page::{WalkPlace, WalkedPage, refusal},
};
use cursorgate_core::{
    json::{ItemsObject, Limits, Pointer, Shape, Span, scalar, scan_page},
    pagination::answer::{Answer, Total},
};
use cursorgate_learn::{ListShape, ProbeAnswer, ProbeRequest, after_scheme};

/// The header that marks the gateway's answers with pages.
const LEVEL: &str = "cursorgate-level";

/// The header with which the gateway marks an end that the upstream contradicts.
const END: &str = "cursorgate-end";

/// A walk by links and cursors. Only the path and the query of a link are used, so credentials are never sent to
/// another host.
#[derive(Debug)]
pub struct Follower {
    /// The path and the query of the first page.
    first: String,
    /// The place of the id in an item.
    id: Pointer,
    /// The places of items and links in answers; `None` before the first answer.
    places: Option<SeenEnvelope>,
    /// True if an answer has led to a next page. An answer without a link is then the last one.
    has_led: bool,
    /// The number of items so far.
    items: u64,
    /// The total of the newest answer that has one.
    total: Option<u64>,
    /// True if an answer marks its end as unproven.
    is_doubted: bool,
}

/// The facts of an answer about the next page.
struct Onward {
    link: Option<String>,
    cursor: Option<String>,
    end_cursor: Option<String>,
    more: Option<bool>,
}

impl Follower {
    /// Starts a walk at a path with its query. `id` is the place of the id in an item.
    #[must_use]
    pub fn new(first: String, id: Pointer) -> Self {
        Self { first, id, places: None, has_led: false, items: 0, total: None, is_doubted: false }
    }

    pub(super) fn start(&self) -> WalkPlace {
        WalkPlace::Target(self.first.clone())
    }

    /// Compares what the pages said about the end with the number of their items. `changes` is the number of items that
    /// came or left meanwhile, and `rows` a total that counts rows, too.
    pub(super) fn end_review(&self, changes: u64, rows: Option<u64>) -> EndReview {
        let (items, mut review) = (self.items, EndReview::default());
        let read = ending::items(items);
        let total = self.total.filter(|total| Some(*total) != rows);
        if let Some(total) = total.filter(|total| *total > items.saturating_add(changes)) {
            review.doubts.push(format!("the total of the pages is {}, and they had {read}", grouped(total)));
        }
        if self.is_doubted {
            review.doubts.push(format!("the last page, after {read}, has Cursorgate-End: unproven"));
        }
        review
    }

    pub(super) fn keeps_items(&self) -> bool {
        self.places.as_ref().is_none_or(|places| !places.takes_apart)
    }

    pub(super) fn request(&self, place: &WalkPlace) -> Result<ProbeRequest, String> {
        let WalkPlace::Target(target) = place else {
            return Err("the walk was begun by a dialect: go on with the same options".to_owned());
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Ok(ProbeRequest::get(path.to_owned(), query.to_owned()))
    }

    pub(super) fn read(&mut self, place: &WalkPlace, answer: ProbeAnswer) -> Result<WalkedPage, String> {
        let ProbeAnswer { status, headers, body, .. } = answer;
        if !matches!(status, 200 | 203 | 206) {
            return Err(refusal(status, &body));
        }
        let WalkPlace::Target(target) = place else { return Err("the place is not a link".to_owned()) };
        if self.places.is_none() {
            match recognised(&body) {
                Ok(places) => self.places = Some(places),
                // An empty list in an unknown envelope does not show the place of the items, but its headers show that
                // it has ended.
                Err(_) if says_its_place(&headers) && cursorgate_link::find_target(&headers, "next").is_none() => {
                    return Ok(WalkedPage { answer: Answer::listed(body, Vec::new(), Vec::new()), next: None });
                }
                Err(why) => return Err(why),
            }
        }
        self.has_led |= *target != self.first;
        let Some(places) = &self.places else { return Err("the answer holds no list".to_owned()) };
        let cursor = places.cursor.as_ref().map(|(place, _)| place);
        let end_cursor = places.end_cursor.as_ref().map(|(place, _)| place);
        let wanted = [places.link.as_ref(), cursor, end_cursor, places.more.as_ref(), places.total.as_ref()];
        let shape = Shape {
            items: places.items.clone(),
            item: places.item.clone(),
            columns: vec![places.item.then(&self.id)],
            facts: wanted.into_iter().flatten().cloned().collect(),
            object: ItemsObject::Refused,
        };
        let found = scan_page(&body, &shape, Limits::default()).map_err(|error| error.to_string())?;
        let items = found.items.ok_or_else(|| format!("the answer has no array at {:?}", places.items.to_string()))?;
        let mut facts = found.facts.iter().map(|span| span.of(&body));
        // Facts must be taken in the order of `wanted`.
        let mut fact = |place: Option<&Pointer>| place.and_then(|_| facts.next()).unwrap_or_default();
        let text = |raw: &[u8]| scalar::text(raw).and_then(|text| String::from_utf8(text.into_owned()).ok());
        let onward = Onward {
            link: text(fact(places.link.as_ref())),
            cursor: text(fact(cursor)),
            end_cursor: text(fact(end_cursor)),
            more: scalar::boolean(fact(places.more.as_ref())),
        };
        let total = scalar::unsigned(fact(places.total.as_ref())).or_else(|| counted(&headers));
        self.total = total.or(self.total);
        self.items += items.len() as u64;
        self.is_doubted |= headers.contains_key(END);
        let last = found.columns.last().map(|span| span.of(&body)).and_then(plain);
        let says = onward.more.is_some() || onward.link.is_some() || has_null(&body, places.link.as_ref());
        let next = next(&onward, places, &headers, last).map(|next| self.resolve(target, &next));
        // An answer that does not show the end may be the first of many pages. Test:
        // `a_walk_ends_only_if_the_answer_declares_the_end`.
        if next.is_none() && !(onward.more != Some(true) && (says || self.has_led || says_its_place(&headers))) {
            return Err(open_end(&headers));
        }
        let mut answer = Answer::listed(body, items, found.columns);
        answer.total = total.map(|value| Total { value, exact: true });
        Ok(WalkedPage { answer, next: next.map(WalkPlace::Target) })
    }

    /// Returns the path and the query of the next page. A link is resolved against the target of this page, and its
    /// host is dropped. A parameter replaces the parameter with the same name in the query of the first page.
    fn resolve(&self, target: &str, next: &NextPage) -> String {
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        match next {
            NextPage::Link(link) => {
                let link = link.split('#').next().unwrap_or_default();
                // The host of a link is dropped, since credentials must not be sent to another host. The path and the
                // query are kept. Test: `a_walk_continues_by_links_and_cursors`.
                let absolute = after_scheme(link).or_else(|| link.strip_prefix("//"));
                match absolute {
                    Some(rest) => rest.find(['/', '?']).map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned()),
                    None if link.starts_with('/') => link.to_owned(),
                    None if link.starts_with('?') => path(target) + link,
                    None => {
                        let path = path(target);
                        format!("{}/{link}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
                    }
                }
            }
            NextPage::Parameter(name, value) => with_parameter(&self.first, name, value),
        }
    }
}

/// A link to the next page, or the parameter that leads to it.
enum NextPage {
    Link(String),
    Parameter(String, String),
}

/// Returns the link or the parameter of the next page; `None` if the answer leads to no other page. A link is
/// preferred to a cursor, because a route may have renamed the envelope's parameters.
fn next(onward: &Onward, places: &SeenEnvelope, headers: &HeaderMap, last: Option<String>) -> Option<NextPage> {
    if onward.more == Some(false) {
        return None;
    }
    let mut links = onward.link.clone().into_iter().chain(cursorgate_link::find_target(headers, "next"));
    // Some upstreams write an empty link if no page follows, so empty links are skipped. Test:
    // `an_empty_link_ends_a_walk_as_it_ends_a_list_that_is_learnt`.
    let link = links.find(|link| !link.is_empty()).map(NextPage::Link);
    let by = |place: &Option<(Pointer, String)>, value: &Option<String>| {
        let (_, parameter) = place.as_ref()?;
        Some(NextPage::Parameter(parameter.clone(), value.clone().filter(|value| !value.is_empty())?))
    };
    let by_item = || {
        let more = onward.more == Some(true);
        by(&places.end_cursor, &onward.end_cursor)
            .or_else(|| Some(NextPage::Parameter(places.after_id.clone()?, last?)))
            // The last page also has these values, so the flag decides.
            .filter(|_| more)
    };
    link.or_else(|| by(&places.cursor, &onward.cursor)).or_else(by_item)
}

/// Returns the places in the first answer of a walk: the places of its built-in envelope, otherwise the places of the
/// list that is found in the answer. Returns the reason if the answer isn't JSON or has no list.
fn recognised(body: &[u8]) -> Result<SeenEnvelope, String> {
    let document: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    if let Some((_, known)) = SeenEnvelope::find(&document) {
        return Ok(known);
    }
    let shape = ListShape::find_in(&document).ok_or_else(|| "the answer holds no list".to_owned())?;
    let place = |text: &str| Pointer::parse(text).map_err(|error| error.to_string());
    Ok(SeenEnvelope { items: place(&shape.items)?, item: place(&shape.item)?, ..SeenEnvelope::default() })
}

/// Returns whether the headers of an answer show its place in a list. Without a link to the next page, such an answer
/// is the last one.
fn says_its_place(headers: &HeaderMap) -> bool {
    let leads = |relation: &str| cursorgate_link::find_target(headers, relation).is_some();
    headers.contains_key(LEVEL) || ["first", "prev", "last"].iter().any(|relation| leads(relation))
}

/// Returns the error for an answer that does not show the end: it may be the first page of a list that pages by
/// parameters.
fn open_end(headers: &HeaderMap) -> String {
    if cursorgate_link::find_target(headers, "successor-version").is_some() {
        return "the gateway passed the request on as an old client's, because it has no mark: begin with ?cursor=start"
            .to_owned();
    }
    "the answer does not say where the next page is, or that there is none: a list of cursorgate with old clients begins \
     with ?cursor=start, and --dialect NAME says how another list is paged"
        .to_owned()
}

/// Returns whether the value at the place of a link is null, which shows that no page follows.
fn has_null(body: &[u8], place: Option<&Pointer>) -> bool {
    place.and_then(|place| place.find(body)).is_some_and(|span: Span| span.of(body) == b"null")
}

/// Returns the count in `X-Total-Count`; `None` if the header is missing or isn't a number.
fn counted(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-total-count")?.to_str().ok()?.trim().parse().ok()
}

/// Returns an id as the text of a parameter; `None` if it is empty or not UTF-8.
fn plain(raw: &[u8]) -> Option<String> {
    let text = scalar::text(raw).map_or_else(|| raw.to_vec(), std::borrow::Cow::into_owned);
    String::from_utf8(text).ok().filter(|text| !text.is_empty())
}

/// Returns a target with this value of the parameter in its query. Other values of the parameter are removed.
fn with_parameter(target: &str, name: &str, value: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_other = |pair: &&str| {
        let own = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && percent_decode_str(&own.replace('+', " ")).decode_utf8_lossy() != name
    };
    let mut written = format!("{path}?");
    for pair in query.split('&').filter(is_other) {
        let _ = write!(written, "{pair}&");
    }
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    written + &encoded(name) + "=" + &encoded(value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn follower(first: &str) -> Follower {
        Follower::new(first.to_owned(), Pointer::parse("/id").unwrap())
    }

    fn answer(body: &str, headers: &[(&'static str, &str)]) -> ProbeAnswer {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let headers = headers.collect();
        ProbeAnswer { status: 200, headers, body: body.as_bytes().to_vec(), elapsed: Duration::ZERO }
    }

    /// Returns the target of the next page, or the reason if the answer can't be read.
    fn next(first: &str, body: &str, headers: &[(&'static str, &str)]) -> Result<Option<String>, String> {
        let mut follower = follower(first);
        let place = follower.start();
        follower.read(&place, answer(body, headers)).map(|page| {
            page.next.map(|next| match next {
                WalkPlace::Target(target) => target,
                other => panic!("{other:?}"),
            })
        })
    }

    #[test]
    fn a_walk_continues_by_links_and_cursors() {
        let led = |first: &str, body: &str, headers: &[(&'static str, &str)]| next(first, body, headers).unwrap();
        let drf = r#"{"count":3,"next":"http://other.example/a?cursor=x&n=1","previous":null,"results":[{"id":1}]}"#;
        assert_eq!(led("/a", drf, &[]).as_deref(), Some("/a?cursor=x&n=1"));
        let aip = r#"{"users":[{"id":1}],"nextPageToken":"t/1"}"#;
        assert_eq!(led("/a?pageSize=2&pageToken=s", aip, &[]).as_deref(), Some("/a?pageSize=2&pageToken=t%2F1"));
        let stripe = r#"{"object":"list","url":"/a","has_more":true,"data":[{"id":"c 1"},{"id":"c 2"}]}"#;
        assert_eq!(led("/a", stripe, &[]).as_deref(), Some("/a?starting%5Fafter=c%202"));
        assert_eq!(led("/a", &stripe.replace("true", "false"), &[]), None);
        let link = [("link", "<?page=2>; rel=\"next\"")];
        assert_eq!(led("/a/b", r#"{"rows":[{"id":1}],"page":1}"#, &link).as_deref(), Some("/a/b?page=2"));
    }

    #[test]
    fn a_relative_link_may_have_a_url_in_its_query() {
        for (link, target) in [
            ("/users?site=http://x.example/&limit=2&cursor=t", "/users?site=http://x.example/&limit=2&cursor=t"),
            ("?site=http://x.example/&cursor=t", "/a/b?site=http://x.example/&cursor=t"),
            ("c?site=http://x.example/&cursor=t", "/a/c?site=http://x.example/&cursor=t"),
            ("https://y.example/users?site=http://x.example/", "/users?site=http://x.example/"),
        ] {
            let body = format!(r#"{{"count":3,"next":"{link}","previous":null,"results":[{{"id":1}}]}}"#);
            assert_eq!(next("/a/b", &body, &[]).unwrap().as_deref(), Some(target), "{link}");
        }
    }

    #[test]
    fn an_empty_link_ends_a_walk_as_it_ends_a_list_that_is_learnt() {
        let end = r#"{"count":1,"next":"","previous":"","results":[{"id":1}]}"#;
        assert_eq!(next("/a/b", end, &[]), Ok(None));
        let link = [("link", "</a/b?page=2>; rel=\"next\"")];
        assert_eq!(next("/a/b", end, &link).unwrap().as_deref(), Some("/a/b?page=2"), "a header leads on");
    }

    #[test]
    fn a_walk_ends_only_if_the_answer_declares_the_end() {
        let said = |body: &str, headers: &[(&'static str, &str)]| next("/a", body, headers);
        assert_eq!(said(r#"{"count":1,"next":null,"previous":null,"results":[{"id":1}]}"#, &[]), Ok(None));
        assert_eq!(said("[{\"id\":1}]", &[("link", "</a>; rel=\"first\"")]), Ok(None));
        let old = [("link", "</a?limit=5>; rel=\"successor-version\"")];
        assert!(said("[{\"id\":1}]", &old).unwrap_err().contains("old client"));
        assert_eq!(said(r#"{"rows":[],"page":1}"#, &[("link", "</a>; rel=\"first\"")]), Ok(None));
        assert!(said(r#"{"rows":[],"page":1}"#, &[]).is_err());
        // The first pages of lists that page by parameters look like this, so these answers don't show the end.
        for body in ["[{\"id\":1}]", r#"{"users":[{"id":1}]}"#, r#"{"users":[{"id":1}],"page":1,"pages":7}"#] {
            assert!(said(body, &[]).unwrap_err().contains("--dialect"), "{body}");
        }
        let stuck = r#"{"object":"list","url":"/a","has_more":true,"data":[]}"#;
        assert!(said(stuck, &[]).is_err());
    }
}
