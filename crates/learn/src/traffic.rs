//! Checks of a configured list with the requests of its legacy clients and their answers. They find the same faults as
//! [`live`](super::live) does with its own requests, as far as the requests of clients show these faults.
//!
//! A single answer shows missing items, ids, facts and keys. Several answers of a list show parameters without effect,
//! and how pages are counted. To compare answers, hashes of ids are kept, but no values.

use std::{
    collections::{BTreeSet, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher as _},
    time::Duration,
};

use http::HeaderMap;
use serde_json::Value;

use super::{
    live::sorted::found_order,
    prober::answer::{SeenAnswer, step_into},
    query_of,
    shape::{
        ListShape,
        names::{OFFSETS, PAGES, SIZES, plain},
    },
};
use cursorgate_core::pagination::{answer::Answer, order::Ties, paging::Family};
use cursorgate_translate::upstream::{CompiledOrder, Dialect};

/// The largest number of answers of a list that are remembered. The oldest one makes room for a new one.
const MOST: usize = 64;

/// The number of ids of an answer that are remembered individually.
const SAMPLE: usize = 16;

/// The largest body that is parsed to suggest a key, in bytes. A parsed body takes about ten times as much memory.
const LARGEST: usize = 1 << 20;

/// The smallest number of equal items that is reported as a tie run.
const TIES: usize = 20;

/// The kinds of faults that are found in a request with its answer, or in several answers together.
pub const TRAFFIC_FAULTS: [&str; 12] = [
    BODY_BY_GET,
    "first_page",
    MARKED_BY_NAME,
    "past_end",
    "place_parameter",
    "redirect",
    "repeated_page",
    "same_items",
    "size_parameter",
    "ties",
    "total",
    UPSTREAM_STATUS,
];

/// The kind of a failure that isn't a fault of the configuration: the upstream failed, or the client lacks credentials
/// or sends too many requests.
pub const UPSTREAM_STATUS: &str = "upstream_status";

/// The kind of a GET request with a body.
pub const BODY_BY_GET: &str = "body_by_get";

/// The kind of a request that only a name in `new_clients.by` marks as a new client's.
pub const MARKED_BY_NAME: &str = "marked_by_name";

/// Parameters with their decoded names and their values.
type Pairs<V> = Vec<(String, V)>;

/// A difference between a list and its configuration, seen in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficFault {
    /// The kind: one of [`TRAFFIC_FAULTS`], or a verdict on the answer.
    pub kind: &'static str,
    /// The evidence, without values of items and filters.
    pub detail: String,
    /// The key of the configuration to change, with a suggestion.
    pub key: String,
}

/// A request of a legacy client.
#[derive(Clone, Copy, Debug)]
pub struct TrafficRequest<'a> {
    /// The dialect of the list.
    pub dialect: &'a Dialect,
    /// The order in which the answer should be.
    pub sorted: &'a CompiledOrder,
    /// True if the client's request chooses the sort; false for the route's own order.
    pub chosen: bool,
    /// The hash of the path, the order and the principal: only answers with the same hash are compared.
    pub view: u64,
    /// The dialect's paging parameters, decoded.
    pub pairs: &'a [(String, String)],
    /// The other parameters, as in the query string of the request.
    pub others: &'a str,
    /// The requested number of items; `None` if neither the request nor the dialect specifies it.
    pub size: Option<u32>,
}

/// An answer of the upstream.
#[derive(Clone, Copy, Debug)]
pub struct TrafficResponse<'a> {
    /// The HTTP status code.
    pub status: u16,
    /// The headers of the response.
    pub headers: &'a HeaderMap,
    /// The body, decoded.
    pub body: &'a [u8],
}

/// The last answers of a list, reduced to hashes and numbers.
#[derive(Debug, Default)]
pub struct ListTraffic {
    seen: VecDeque<SeenPage>,
}

/// The facts of an answer that are remembered.
#[derive(Clone, Copy, Debug)]
struct SeenPage {
    /// The hash of the list: of its view and filters.
    list: u64,
    /// The page or offset in the request; `None` if the request has none.
    place: Option<u64>,
    /// The page or offset, counted from 0; negative for a page before the dialect's first page.
    number: i64,
    /// A parameter that is not the dialect's but has the usual name of a page or an offset: the hash of its name, and
    /// its value. `None` if the request has no such parameter, or has the dialect's.
    other_place: Option<(u64, u64)>,
    size: Option<u32>,
    items: usize,
    /// The hash of all ids together.
    ids: u64,
    /// The hashes of the first ids. The remaining entries are 0 if there are fewer ids.
    sample: [u64; SAMPLE],
    total: Option<u64>,
    says_end: bool,
}

impl SeenPage {
    /// Returns whether both answers have items, and the first [`SAMPLE`] items of each have no id in common. Two
    /// answers to the same request usually have ids in common, even if the list changes in between. Test:
    /// `changes_of_a_list_are_not_reported_as_faults`.
    fn differs(&self, other: &Self) -> bool {
        let is_common = |id: &u64| *id != 0 && other.sample.contains(id);
        self.items > 0 && other.items > 0 && !self.sample.iter().any(is_common)
    }
}

fn fingerprint(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn is_named(name: &str, usual: &[&str]) -> bool {
    usual.iter().any(|known| plain(known) == plain(name))
}

fn fault(kind: &'static str, detail: String, key: impl Into<String>) -> TrafficFault {
    TrafficFault { kind, detail, key: key.into() }
}

impl TrafficRequest<'_> {
    /// Returns the page or offset of the request; `None` if the request has none.
    fn place(&self) -> Option<u64> {
        let name = self.dialect.place_name()?;
        self.pairs.iter().find(|(known, _)| *known == name)?.1.parse().ok()
    }

    fn number(&self) -> i64 {
        let first = if self.is_paged() { self.dialect.first_page() } else { 0 };
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.place().map_or(0, |place| whole(place) - whole(first))
    }

    fn is_paged(&self) -> bool {
        self.dialect.counts_pages()
    }

    /// Returns the offset at which the answer should begin according to the configuration; `None` if the size is
    /// unknown, or if the page precedes the first one.
    fn begins(&self) -> Option<u64> {
        let number = u64::try_from(self.number()).ok()?;
        if self.is_paged() { number.checked_mul(u64::from(self.size?)) } else { Some(number) }
    }

    /// Returns the other parameters: filters, and numbers with the usual name of a page, an offset or a size.
    fn others(&self) -> (Pairs<String>, Pairs<u64>) {
        let (mut filters, mut paging) = (Vec::new(), Vec::new());
        for (name, value) in query_of(&format!("?{}", self.others)) {
            // A usual name with another value is a filter: `from=2026-01-01`.
            let is_usual = is_named(&name, &SIZES) || is_named(&name, &PAGES) || is_named(&name, &OFFSETS);
            match value.parse() {
                Ok(number) if is_usual => paging.push((name, number)),
                _ => filters.push((name, value)),
            }
        }
        (filters, paging)
    }

    fn query(&self) -> String {
        format!("request.query of the dialect {:?}", self.dialect.name())
    }
}

impl ListTraffic {
    /// Checks an answer with a list and returns its faults. Remembers the answer, unless its items lack distinct ids or
    /// the dialect pages by tokens.
    pub fn review(&mut self, asked: &TrafficRequest<'_>, answer: &Answer) -> Vec<TrafficFault> {
        let (filters, paging) = asked.others();
        let mut faults: Vec<TrafficFault> = size_parameter(asked, &paging, answer.items().len()).into_iter().collect();
        faults.extend(ties(asked, answer));
        let ids: Vec<&[u8]> = (0..answer.items().len()).map(|item| answer.id(item)).collect();
        let are_told_apart = ids.iter().collect::<BTreeSet<_>>().len() == ids.len() && !ids.contains(&&b""[..]);
        // Items without distinct ids can't be compared between answers, and a token does not show where a page begins.
        if !are_told_apart || asked.dialect.paging().family == Family::Token {
            return faults;
        }
        // Another parameter matters only if the request lacks the dialect's own.
        let other = asked.place().is_none().then(|| paging.iter().find(|(name, _)| !is_named(name, &SIZES))).flatten();
        let items = ids.len();
        let page = SeenPage {
            list: fingerprint((asked.view, &filters)),
            place: asked.place(),
            number: asked.number(),
            other_place: other.map(|(name, value)| (fingerprint(name), *value)),
            size: asked.size,
            items,
            sample: std::array::from_fn(|item| ids.get(item).map_or(0, fingerprint)),
            ids: fingerprint(&ids),
            total: answer.total.filter(|total| total.exact).map(|total| total.value),
            says_end: answer.more == Some(false),
        };
        faults.extend(other.and_then(|(name, _)| self.place_parameter(asked, &page, name)));
        let repeats = self.same_items(asked, &page);
        // A wrong number of the first page also repeats items or seems a wrong total: only one fault is reported.
        faults.extend(repeats.or_else(|| self.earlier_first(asked, &page)).or_else(|| total(asked, &page)));
        // The oldest answer is dropped to bound the memory. Test:
        // `a_list_as_configured_has_no_fault_and_its_memory_is_bounded`.
        if self.seen.len() == MOST {
            self.seen.pop_front();
        }
        self.seen.push_back(page);
        faults
    }

    /// Returns the kind of the fault for a verdict on an answer: the verdict, or for some statuses a more specific one.
    #[must_use]
    pub fn kind(verdict: &'static str, status: u16) -> &'static str {
        match (verdict, status) {
            ("status", 300..=399) => "redirect",
            ("status", 401 | 403 | 407 | 429 | 500..) => UPSTREAM_STATUS,
            _ => verdict,
        }
    }

    /// Returns the key to change, with a suggestion, for a verdict on an answer. `detail` is the verdict in words.
    #[must_use]
    pub fn key(asked: &TrafficRequest<'_>, verdict: &str, detail: &str, response: TrafficResponse<'_>) -> String {
        let body = Some(response.body).filter(|body| body.len() <= LARGEST);
        let json = body.and_then(|body| serde_json::from_slice(body).ok());
        let (headers, elapsed) = (response.headers.clone(), Duration::ZERO);
        let (body, indexed) = (Vec::new(), Vec::new());
        let seen = SeenAnswer { status: response.status, headers, json, indexed, body, elapsed };
        key(asked, verdict, detail, &seen)
    }

    /// Returns the fault of an error that the upstream sends for a page after the end of the list; `None` for other
    /// errors.
    #[must_use]
    pub fn past_end(&self, asked: &TrafficRequest<'_>, verdict: &str, status: u16) -> Option<TrafficFault> {
        let list = fingerprint((asked.view, &asked.others().0));
        let (number, begins) = (asked.number(), asked.begins());
        let is_before = |page: &&SeenPage| {
            let by_total = page.total.zip(begins).is_some_and(|(total, begins)| total <= begins);
            let is_last = page.says_end || page.size.is_some_and(|size| page.items < size as usize);
            page.list == list && page.number < number && (by_total || is_last)
        };
        // Other statuses, such as 401, 429 and 5xx, are not caused by the place of the page, so they are not reported.
        let is_end = verdict == "status" && matches!(status, 400 | 404 | 410 | 416 | 422);
        self.seen.iter().find(is_before).filter(|_| is_end && number > 0).map(|_| {
            let detail = format!("after the end of the list the upstream answers {status}");
            fault("past_end", detail, format!("response.past_end = [{{ status = {status} }}]"))
        })
    }

    /// Returns a fault if a parameter that the dialect doesn't have decides which items are returned.
    fn place_parameter(&self, asked: &TrafficRequest<'_>, page: &SeenPage, name: &str) -> Option<TrafficFault> {
        let (own, value) = page.other_place?;
        let has_effect = |other: &&SeenPage| {
            let is_other = other.other_place.is_some_and(|(known, number)| known == own && number != value);
            other.list == page.list && is_other && other.differs(page)
        };
        self.seen.iter().find(has_effect)?;
        let (kind, size) = if is_named(name, &PAGES) { ("page", "page") } else { ("offset", "offset") };
        let detail = match asked.dialect.place_name() {
            Some(wrong) => format!("requests say by {name:?} which {kind} they want, and none says {wrong:?}"),
            None => format!("requests say by {name:?} which {kind} they want"),
        };
        let wrong = asked.dialect.place_name().unwrap_or_default();
        Some(fault("place_parameter", detail, format!("{}: write \"{name}={{{size}}}\" for {wrong:?}", asked.query())))
    }

    /// Returns a fault if answers to different places have the same items: the first page has another number, the last
    /// page is repeated after the end, or the parameter has no effect.
    fn same_items(&self, asked: &TrafficRequest<'_>, page: &SeenPage) -> Option<TrafficFault> {
        let paging = asked.dialect.paging();
        let is_same = |other: &&SeenPage| {
            let is_alike = other.list == page.list && other.size == page.size && other.other_place == page.other_place;
            is_alike && other.ids == page.ids && other.number != page.number && other.number.min(page.number) >= 0
        };
        // A single item may have moved between the pages, so two are needed. Test:
        // `changes_of_a_list_are_not_reported_as_faults`.
        let other = self.seen.iter().rev().filter(|_| page.items > 1).find(is_same)?;
        let (low, high) = if other.number < page.number { (other, page) } else { (page, other) };
        let places = |page: &SeenPage| page.place.map_or_else(|| "no number".to_owned(), |place| place.to_string());
        let (one, two) = (places(low), places(high));
        let all = low.total.is_some_and(|total| total <= low.items as u64);
        // Many upstreams that count pages from 1 answer page 0 with page 1.
        if asked.is_paged() && asked.dialect.first_page() == 0 && (low.number, high.number) == (0, 1) {
            let detail = format!("pages {one} and {two} gave the same items");
            // The upstream may repeat the only page of a list after its end, so nothing is reported then.
            return (!all).then(|| fault("first_page", detail, "request.first_page = 1"));
        }
        let reaches = low.size.map(|size| low.number.saturating_mul(i64::from(size)).saturating_add(i64::from(size)));
        let begins = if asked.is_paged() { reaches } else { Some(high.number) };
        let by_total =
            low.total.zip(begins).is_some_and(|(total, end)| i64::try_from(total).is_ok_and(|total| total <= end));
        // An earlier page with other items shows that the parameter works. The upstream therefore repeats its last
        // page. Test: `repeated_first_and_repeated_last_pages_are_distinguished`.
        let has_effect = self.seen.iter().any(|other| {
            other.list == page.list
                && (0..low.number).contains(&other.number)
                && other.ids != page.ids
                && other.items > 0
        });
        if by_total || low.says_end || has_effect {
            let detail =
                format!("after the end of the list the last page comes again: {one} and {two} gave the same items");
            return (!paging.repeats_last_page)
                .then(|| fault("repeated_page", detail, "response.repeats_last_page = true"));
        }
        let name = asked.dialect.place_name().unwrap_or_default();
        let counts = if asked.is_paged() { "" } else { ", and does the upstream count items and not pages" };
        let detail = format!("{name} {one} and {name} {two} gave the same items");
        Some(fault("same_items", detail, format!("{}: is {name:?} the name of the parameter{counts}?", asked.query())))
    }

    /// Returns a fault if page 0 has other items than page 1, and the dialect counts pages from 1.
    fn earlier_first(&self, asked: &TrafficRequest<'_>, page: &SeenPage) -> Option<TrafficFault> {
        let is_pair = |other: &&SeenPage| {
            let numbers =
                (other.place.zip(page.place)).is_some_and(|(one, two)| one.min(two) == 0 && one.max(two) == 1);
            other.list == page.list && other.size == page.size && numbers && other.differs(page)
        };
        let counts_from_1 = asked.is_paged() && asked.dialect.first_page() == 1;
        self.seen.iter().filter(|_| counts_from_1).find(is_pair)?;
        Some(fault("first_page", "pages 0 and 1 have different items".to_owned(), "request.first_page = 0"))
    }
}

/// Returns a fault if a parameter that the dialect doesn't have has the usual name of a size, and its value is the
/// number of items. A request with the dialect's size parameter has no fault.
fn size_parameter(asked: &TrafficRequest<'_>, paging: &[(String, u64)], items: usize) -> Option<TrafficFault> {
    let own = asked.dialect.size_name();
    if own.as_ref().is_some_and(|own| asked.pairs.iter().any(|(name, _)| name == own)) {
        return None;
    }
    // A filter may leave a single item with each size, so at least two are needed.
    let is_size = |(name, value): &&(String, u64)| is_named(name, &SIZES) && items > 1 && *value == items as u64;
    let (name, _) = paging.iter().find(is_size)?;
    let detail = format!("requests say by {name:?} how many items they want, and get as many");
    let query = asked.query();
    Some(fault(
        "size_parameter",
        detail,
        match own {
            Some(wrong) => format!("{query}: write {name:?} for {wrong:?}"),
            None => format!("{query}: add \"{name}={{size}}\""),
        },
    ))
}

/// Returns a fault if an answer at or after the total has items.
fn total(asked: &TrafficRequest<'_>, page: &SeenPage) -> Option<TrafficFault> {
    let (total, size, begins) = (page.total?, u64::from(page.size?), asked.begins()?);
    // A total may be outdated by a few items, so an answer is only checked if it begins at or after the total. Test:
    // `changes_of_a_list_are_not_reported_as_faults`.
    if page.items == 0 || page.number == 0 || begins < total {
        return None;
    }
    let detail = format!("an answer from offset {begins} has {} items, and a total of {total}", page.items);
    // The size is not 0, which `Dialect::observed` refuses.
    let last = if total == 0 { 0 } else { (total - 1) % size + 1 };
    let pages = total.div_ceil(size);
    let (is_last, is_paged) = (page.items as u64 == last && total > size, asked.is_paged());
    let number = u64::try_from(page.number).unwrap_or_default();
    if is_last && is_paged && asked.dialect.first_page() == 0 && number == pages {
        return Some(fault("first_page", format!("{detail}: it is the last page"), "request.first_page = 1"));
    }
    if is_last {
        let detail = format!("{detail}: after the end of the list the last page comes again");
        let is_known = asked.dialect.paging().repeats_last_page;
        return (!is_known).then(|| fault("repeated_page", detail, "response.repeats_last_page = true"));
    }
    Some(fault("total", detail, "response.total: does it count the items of the page?"))
}

/// Returns a fault if all items of an answer have equal strong keys: at least [`TIES`] items, of a list whose ties the
/// upstream does not order, in an answer that does not end the list.
fn ties(asked: &TrafficRequest<'_>, answer: &Answer) -> Option<TrafficFault> {
    let (order, items) = (&asked.sorted.order, answer.items().len());
    let strong = order.strong().len();
    if strong == 0 || order.ties() != Ties::Unordered || items < TIES || answer.more == Some(false) {
        return None;
    }
    let keys = |item: usize| {
        let row = answer.row(item)?.get(..strong)?;
        Some(row.iter().map(|span| span.of(answer.body())).collect::<Vec<_>>())
    };
    let first = keys(0).filter(|keys| keys.iter().all(|key| !key.is_empty()))?;
    if !(1..items).all(|item| keys(item).is_some_and(|keys| keys == first)) {
        return None;
    }
    let names: Vec<&str> = order.strong().iter().map(|key| key.name.as_str()).collect();
    let names = names.join(", ");
    let detail =
        format!("all {items} items of an answer have the same {names}, and the upstream orders them in no way");
    Some(fault(
        "ties",
        detail,
        format!("take {names} out of `sortable`, or add a key to `order`: clients get 422 tie_run"),
    ))
}

/// Returns the key to change, with a suggestion, for a verdict on an answer.
fn key(asked: &TrafficRequest<'_>, verdict: &str, detail: &str, seen: &SeenAnswer) -> String {
    let found = ListShape::find(seen);
    match verdict {
        "shape" => match found {
            Some(found) => format!("response.items = {:?}", found.items),
            None => "response.items of the dialect, or upstream_path of the route".to_owned(),
        },
        "facts" => facts(detail, found, seen),
        "ids" => match found.and_then(|found| found.id) {
            Some(id) => format!("response.id = {id:?}"),
            None => "response.id of the dialect: which member tells items apart?".to_owned(),
        },
        "kinds" => kinds(asked, found, seen),
        "order" if asked.chosen => {
            "sortable of the route, sort.max_keys of the dialect, and fields: does the upstream sort as it is asked?"
                .to_owned()
        }
        "order" => {
            let rows = found.as_ref().and_then(|found| found.elements(seen)).unwrap_or_default().to_vec();
            found.map_or_else(|| "order of the route".to_owned(), |found| found_order(found, rows))
        }
        "size" => size(asked, found, seen),
        "status" => status(asked, seen),
        "parameters" => format!("request.first_page, or {}", asked.query()),
        "too_large" => "budgets.answer_size, or budgets.answer_depth".to_owned(),
        "encoding" => "the upstream's Content-Encoding".to_owned(),
        _ => "the log has the rest".to_owned(),
    }
}

/// Suggests the place of a fact that is missing at the dialect's place. `said` is the verdict in words.
fn facts(said: &str, found: Option<ListShape>, seen: &SeenAnswer) -> String {
    let is_total = said.contains("response.total");
    let place = found.and_then(|found| found.fact(seen, is_total));
    match place {
        Some(place) if is_total => format!("response.total = {place:?}"),
        Some(place) => format!("there is a flag at {place:?}"),
        None => "the key of the dialect that is named: remove it, or write where the fact is".to_owned(),
    }
}

/// Suggests a field with a similar name for a key that no item has.
fn kinds(asked: &TrafficRequest<'_>, found: Option<ListShape>, seen: &SeenAnswer) -> String {
    let usual = || "order of the route, and type and nulls in its fields".to_owned();
    let Some(found) = found else { return usual() };
    let rows = found.elements(seen).unwrap_or_default();
    let fields = found.fields(rows);
    let lacks = |name: &str| !rows.iter().any(|row| step_into(row, &format!("{}/{name}", found.item)).is_some());
    let missing = asked.sorted.order.strong().iter().map(|key| key.name.as_str()).find(|name| lacks(name));
    match missing.and_then(|name| Some((name, ListShape::nearest(name, &fields)?))) {
        Some((name, near)) => format!("order of the route: did you mean {near:?} for {name:?}?"),
        None => usual(),
    }
}

fn size(asked: &TrafficRequest<'_>, found: Option<ListShape>, seen: &SeenAnswer) -> String {
    let items = found.and_then(|found| found.elements(seen).map(<[Value]>::len)).unwrap_or_default();
    match (asked.dialect.size_name(), asked.size) {
        (Some(name), Some(size)) if items > size as usize => {
            format!("{}: does the upstream take {name:?}?", asked.query())
        }
        (Some(_), _) => format!("size.max = {items}, or size.default"),
        (None, _) => format!("size.default = {items}"),
    }
}

fn status(asked: &TrafficRequest<'_>, seen: &SeenAnswer) -> String {
    match seen.status {
        300..=399 => match seen.header("location") {
            Some(to) => format!("upstream_path of the route: the upstream redirects to {:?}", without_query(to)),
            None => "upstream_path of the route".to_owned(),
        },
        401 | 403 | 407 => "none: this client does not have the credentials".to_owned(),
        429 => "none: this client asks too often".to_owned(),
        404 => "path and upstream_path of the route, or response.past_end if it is the end of a list".to_owned(),
        400..=499 if asked.chosen => {
            "`sortable` of the route: does the upstream sort by this field? Or [sort] of the dialect".to_owned()
        }
        400..=499 => "request.query of the dialect: does the upstream take these parameters?".to_owned(),
        _ => "none: the upstream's log says more".to_owned(),
    }
}

/// Returns a URL without its query, which may contain values of clients.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::list_of;
    use cursorgate_config::diagnostic::Diagnostics;
    use cursorgate_core::{json::Span, pagination::answer::Total};

    const LIST: &str = "[routes.items]\nold_clients = \"none\"\npath = \"/items\"\nupstream = \"service\"\ndialect = \"own\"\norder = [\"id\"]\n\
                        [dialects.own]\nrequest = { query = \"page={page}&size={size}\", first_page = 1 }\n\
                        response = { items = \"\", total = \"/total\" }\n";

    /// Returns an answer with these ids, and a total.
    fn answer(ids: impl IntoIterator<Item = u64>, total: Option<u64>) -> Answer {
        let (mut body, mut spans) = (Vec::new(), Vec::new());
        for id in ids {
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice(id.to_string().as_bytes());
            spans.push(Span { start, end: u32::try_from(body.len()).unwrap() });
            body.push(b' ');
        }
        let mut answer = Answer::listed(body, spans.clone(), spans);
        answer.total = total.map(|value| Total { value, exact: true });
        answer
    }

    /// Reviews answers to requests for pages of ten items. Returns the kinds of the faults, and the number of answers
    /// that are remembered.
    fn kinds(exchanges: impl IntoIterator<Item = (u64, Answer)>) -> (Vec<&'static str>, usize) {
        let (settings, _) = list_of(LIST);
        let dialect = Dialect::compile(&settings, &mut Diagnostics::default()).unwrap();
        let sorted = std::sync::Arc::clone(dialect.default_sorted());
        let (mut traffic, mut kinds) = (ListTraffic::default(), Vec::new());
        for (page, answer) in exchanges {
            let pairs = [("page".to_owned(), page.to_string()), ("size".to_owned(), "10".to_owned())];
            let (chosen, view, others, size) = (false, 0, "q=1", Some(10));
            let asked =
                TrafficRequest { dialect: &dialect, sorted: &sorted, chosen, view, pairs: &pairs, others, size };
            kinds.extend(traffic.review(&asked, &answer).into_iter().map(|fault| fault.kind));
        }
        (kinds, traffic.seen.len())
    }

    #[test]
    fn a_list_as_configured_has_no_fault_and_its_memory_is_bounded() {
        let pages = (1..1_000).map(|page| (page, answer(page * 10..page * 10 + 10, Some(20_000))));
        assert_eq!(kinds(pages), (Vec::new(), MOST));
    }

    #[test]
    fn changes_of_a_list_are_not_reported_as_faults() {
        let grows = [
            (1, answer(10..20, Some(30))),
            // Page 2 begins with the last item of page 1, since a new item was added to the list.
            (2, answer(19..29, Some(31))),
            // Page 0 is answered with page 1, whose first item is new.
            (0, answer(9..19, Some(31))),
            // Two pages after the end.
            (8, answer([], Some(31))),
            (9, answer([], Some(31))),
            // The total is outdated.
            (4, answer(39..45, Some(31))),
        ];
        assert_eq!(kinds(grows).0, [""; 0]);
        let ends_with_one = [(7, answer([5], None)), (8, answer([5], None))];
        assert_eq!(kinds(ends_with_one).0, [""; 0], "one item may have moved");
    }

    #[test]
    fn repeated_first_and_repeated_last_pages_are_distinguished() {
        assert_eq!(kinds([(0, answer(0..10, None)), (1, answer(10..20, None))]).0, ["first_page"]);
        assert_eq!(kinds([(1, answer(0..10, None)), (2, answer(0..10, None))]).0, ["same_items"]);
        let known = [(1, answer(0..10, None)), (2, answer(10..14, None)), (3, answer(10..14, None))];
        assert_eq!(kinds(known).0, ["repeated_page"]);
        assert_eq!(kinds([(9, answer(10..14, Some(14)))]).0, ["repeated_page"]);
        assert_eq!(kinds([(2, answer(10..20, Some(10)))]).0, ["total"]);
    }

    #[test]
    fn all_kinds_are_documented() {
        let page = include_str!("../../../docs/learn.md");
        for kind in TRAFFIC_FAULTS {
            let is_there = page.contains(&format!("| `{kind}` |")) || kind == UPSTREAM_STATUS && page.contains(kind);
            assert!(is_there, "docs/learn.md has no {kind}");
        }
    }
}
