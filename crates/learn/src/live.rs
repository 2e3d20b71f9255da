//! Checks a configured list against its live upstream with a few requests, written in the same way as requests for
//! pages. Each fault names the key to change. If a parameter has no effect, the steps of learning search for a
//! parameter that has one.

mod ends;
pub(super) mod sorted;
mod tokens;
mod undeclared;
mod whole;

pub use undeclared::undeclared_rest;

use std::rc::Rc;

use serde_json::Value;

use crate::{
    findings::{Learnt, PlaceForm},
    paging::place,
    paging::size,
    prober::answer::{SeenAnswer, step_into},
    prober::port::Mailbox,
    prober::session::{ProbeHalt, Session},
    prober::{Base, ProbeLimits, ProbeTarget, Prober, ProberStep},
    shape::ListShape,
};
use cursorgate_config::{
    diagnostic::{Located, Location},
    settings::ListSettings,
};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    fetch::{Fetch, Listing, TokenFetch},
    paging::Family,
    window::{Offset, PageNumber, PageSize, Slice},
};
use cursorgate_translate::upstream::{CompiledOrder, Dialect, EndWitnesses, ReadingError};

/// The size at which the first page is requested. A second, larger size then shows whether the size parameter has an
/// effect.
const FEW: u32 = 5;
const MORE_THAN_FEW: u32 = 7;

/// The size of the largest page that is requested if the dialect declares no maximum.
const WIDE: u32 = 200;

/// A list of a configuration, to be compared with the answers of its upstream.
#[derive(Debug)]
pub struct ConfiguredList {
    /// The settings of the list.
    pub settings: ListSettings,
    /// The dialect, compiled for the list.
    pub dialect: Dialect,
    /// The path at the upstream.
    pub path: String,
    /// The location of the route's name in the configuration. Faults that concern no single key are reported there.
    pub at: Location,
}

/// A difference between the list and its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFault {
    /// The location in the configuration.
    pub at: Location,
    /// The difference, in words.
    pub message: String,
    /// The remedy, usually the key to change with its new value.
    pub help: String,
}

/// The result of the review of a list.
#[derive(Clone, Debug, Default)]
pub struct LiveReport {
    /// The differences, in the order in which the checks found them.
    pub faults: Vec<LiveFault>,
    /// The number of requests that were sent.
    pub requests: usize,
    /// The reason why the review ended early, for example because all allowed requests were sent; `None` otherwise. An
    /// unreachable upstream is a fault instead.
    pub ended: Option<String>,
}

/// Begins the review of a list. Returns its first request, or the report if there is nothing to send.
#[must_use]
pub fn begin(list: ConfiguredList, target: ProbeTarget, limits: ProbeLimits) -> ProberStep<LiveReport> {
    Prober::of(|mailbox| review(mailbox, list, target, limits))
}

async fn review(mailbox: Mailbox, list: ConfiguredList, target: ProbeTarget, limits: ProbeLimits) -> LiveReport {
    let session = Session::new(mailbox, target, limits);
    let mut review = Review { session, list, faults: Vec::new(), unread: None };
    let halt = review.steps().await.err();
    let Review { session, list, mut faults, .. } = review;
    let ended = match halt {
        Some(ProbeHalt::Unreachable(fault)) => {
            let message = format!("the upstream gives no answer: {fault}");
            faults.push(LiveFault {
                at: list.at,
                message,
                help: "are `peers` and `tls` of the upstream right?".to_owned(),
            });
            None
        }
        Some(halt) => Some(halt.to_string()),
        None => None,
    };
    LiveReport { faults, requests: session.sent(), ended }
}

struct Review {
    session: Session,
    list: ConfiguredList,
    faults: Vec<LiveFault>,
    /// The first answer that the dialect can't read.
    unread: Option<Rc<SeenAnswer>>,
}

/// An answer as received (`seen`), and as the dialect reads it (`read`). `ids` are the identities of its items, which
/// are found even if the dialect can't read the answer. `said` are its facts about the end of the list.
struct ReadPage {
    seen: Rc<SeenAnswer>,
    read: Result<Answer, ReadingError>,
    ids: Vec<String>,
    said: EndWitnesses,
}

impl ReadPage {
    fn answer(&self) -> Option<&Answer> {
        self.read.as_ref().ok().filter(|answer| answer.standing == Standing::Listed)
    }
}

impl Review {
    fn fault(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(LiveFault { at, message: message.into(), help: help.into() });
    }

    /// Returns the location of a key in the configuration, or of the dialect's name if the key is not written.
    fn place_of<T>(&self, key: Option<&Located<T>>) -> Location {
        key.map_or(self.list.settings.dialect.at, |key| key.at)
    }

    fn shape(&self) -> ListShape {
        let response = &self.list.settings.dialect.response;
        let collection = |text: &str| text.replace("{collection}", &self.list.settings.collection);
        let own = self.list.settings.id.as_ref().or(response.id.as_ref());
        ListShape {
            items: collection(&response.items.value),
            item: response.item.as_ref().map_or_else(String::new, |item| item.value.clone()),
            id: own.map(|id| id.value.clone()).or_else(|| Some("/id".to_owned())),
        }
    }

    async fn steps(&mut self) -> Result<(), ProbeHalt> {
        let few = self.size(FEW);
        let first = self.page(0, few).await?;
        if !self.reads(&first).await? {
            return Ok(());
        }
        self.check_items(&first);
        // Without ids and keys, the later checks would report other keys as wrong, so they are left out. Test:
        // `mistakes_in_valid_configurations_are_reported_with_the_key_to_change`.
        if !self.faults.is_empty() {
            return Ok(());
        }
        self.check_facts(&first);
        self.check_whole(&first).await?;
        let sized = self.check_size(&first, few).await?;
        // If the upstream ignores the size, pages begin at unexpected items, and a correct place parameter would be
        // reported, so places are not checked.
        if sized {
            self.check_places(&first, few).await?;
        }
        // If pages are wrong, correct settings of the cap, the order and the end of the list would seem wrong, so they
        // are not checked.
        if !self.faults.iter().any(|fault| fault.help.contains("request.")) {
            let wide = self.check_cap().await?;
            self.check_order(&wide);
            self.check_single(&first).await?;
            self.check_sorts().await?;
            self.check_filter(&wide).await?;
            self.check_ends(&first).await?;
        }
        // Where an array has gaps, services in PHP write an object, so any of the answers may have one.
        if let Some(unread) = self.unread.take() {
            self.report_object(&unread);
        }
        Ok(())
    }

    /// Returns the size to request instead of `wanted`: the largest allowed size up to `wanted`, or else the smallest
    /// allowed size. Without a size parameter, returns the default size of the dialect.
    fn size(&self, wanted: u32) -> u32 {
        let size = &self.list.settings.dialect.size;
        if self.list.dialect.size_name().is_none() {
            return size.default.as_ref().map_or(wanted, |size| size.value);
        }
        if let Some(choice) = size.choices.iter().copied().filter(|choice| *choice <= wanted).max() {
            return choice;
        }
        let least = size.choices.first().copied().or_else(|| size.min.as_ref().map(|min| min.value)).unwrap_or(1);
        wanted.max(least).min(size.max.as_ref().map_or(u32::MAX, |max| max.value).max(least))
    }

    fn fetch(&self, number: u64, size: u32) -> Fetch {
        let size = PageSize(size);
        match self.list.dialect.paging().family {
            Family::Page => Fetch::Slice(Slice::Page { number: PageNumber(number), size }, Listing::default()),
            Family::Offset => {
                let from = Offset(number * u64::from(size.0));
                Fetch::Slice(Slice::Offset { from, size }, Listing::default())
            }
            Family::Token => Fetch::Token(TokenFetch { token: None, backward: false, size }),
        }
    }

    /// Requests a page of the list in its declared order. `number` is counted from 0.
    async fn page(&mut self, number: u64, size: u32) -> Result<ReadPage, ProbeHalt> {
        let fetch = self.fetch(number, size);
        let sorted = Rc::new(std::sync::Arc::clone(self.list.dialect.default_sorted()));
        self.ask(&sorted, &fetch).await
    }

    /// Requests items from an offset on, of a list that is read by offsets.
    async fn slice(&mut self, from: u64, size: u32) -> Result<ReadPage, ProbeHalt> {
        let slice = Slice::Offset { from: Offset(from), size: PageSize(size) };
        let sorted = std::sync::Arc::clone(self.list.dialect.default_sorted());
        self.ask(&sorted, &Fetch::Slice(slice, Listing::default())).await
    }

    async fn ask(&mut self, sorted: &CompiledOrder, fetch: &Fetch) -> Result<ReadPage, ProbeHalt> {
        let Ok(ask) = self.list.dialect.ask(sorted, fetch, "", &self.list.path) else {
            let read = Err(ReadingError::Malformed("it can't be asked for".to_owned()));
            let seen = Rc::new(SeenAnswer::not_recorded());
            return Ok(ReadPage { seen, read, ids: Vec::new(), said: EndWitnesses::default() });
        };
        let seen = self.session.ask_as(&ask).await?;
        let depth = self.list.settings.budgets.answer_depth;
        let read = self.list.dialect.read(sorted, &ask, seen.status, &seen.headers, seen.body.clone(), depth);
        if matches!(read, Err(ReadingError::Malformed(_))) {
            self.unread.get_or_insert_with(|| Rc::clone(&seen));
        }
        let ids = self.shape().identities(&seen).unwrap_or_default();
        let said = |answer: &Answer| self.list.dialect.witnesses(&ask, &seen.headers, answer);
        let said = read.as_ref().map(said).unwrap_or_default();
        Ok(ReadPage { seen, read, ids, said })
    }

    /// Returns whether the first answer can be read as a list. If not, reports the fault, if it is known.
    async fn reads(&mut self, first: &ReadPage) -> Result<bool, ProbeHalt> {
        let error = match &first.read {
            Ok(answer) if answer.standing == Standing::Listed => return Ok(true),
            Ok(_) => return self.begins_later(first).await,
            Err(error) => error.clone(),
        };
        let (at, route) = (self.list.settings.dialect.at, self.list.at);
        match error {
            ReadingError::Redirected { status, location } => {
                let to = location.unwrap_or_default();
                let help = format!("set upstream_path = {to:?}");
                self.fault(route, format!("the upstream redirects with {status} to {to}"), help);
            }
            ReadingError::Failed { status: status @ (401 | 403), .. } => {
                let help = "check --live --header 'Authorization: …' sends credentials";
                self.fault(route, format!("the upstream answers {status}"), help);
            }
            // Upstreams refuse a sort by a missing field in the same way as an unknown parameter. If the sort is the
            // cause, it is reported as such, and no other fault is added. Test:
            // `mistakes_in_valid_configurations_are_reported_with_the_key_to_change`.
            ReadingError::Failed { status, .. } if self.is_refused_for_its_sort(status).await? => {}
            ReadingError::Failed { status, .. } => {
                let by_post = self.session.target.body.is_some();
                let help = match status {
                    404 => "are `path` and `upstream_path` right?",
                    421 => "under which name does it answer? Write it as `host_header` of the upstream",
                    _ if by_post => "does it take this body? --body '{…}' gives its other members",
                    _ => "does it take these parameters?",
                };
                let path = &self.list.path;
                let message = format!("the upstream answers {status} to the first page of {path}");
                self.fault(route, message, help);
            }
            ReadingError::Malformed(said) if first.seen.status == 206 => self.report_part(&first.seen, said),
            ReadingError::Malformed(said) => {
                let place = self.list.settings.dialect.response.items.at;
                let shape = self.shape();
                match ListShape::find(&first.seen).filter(|found| found.items != shape.items) {
                    Some(found) => {
                        let help = format!("response.items = {:?}", found.items);
                        self.fault(place, format!("{said}; there is one at {:?}", found.items), help);
                    }
                    None if self.report_object(&first.seen) => {}
                    None => self.fault(at, said, "is the path that of a list, and is `response.items` right?"),
                }
            }
            other => self.fault(at, other.to_string(), "does the upstream work?"),
        }
        Ok(false)
    }

    /// Reports a part of the list, with 206, that the dialect can't place in the list.
    fn report_part(&mut self, seen: &SeenAnswer, said: String) {
        let settings = &self.list.settings.dialect;
        let at = settings.response.total.as_ref().map_or(settings.at, |own| own.at);
        let leads_on = seen.headers.keys().find(|name| name.as_str().starts_with("next-"));
        let help = match (seen.header("content-range"), leads_on) {
            (Some(range), _) if range.ends_with("/*") => {
                format!("write response.offset = \"content-range:start\" for its Content-Range, {range}")
            }
            (Some(range), _) => {
                format!("write response.total = \"content-range:total\" for its Content-Range, {range}")
            }
            (None, Some(name)) => {
                format!(
                    "its header {name} leads to the next part: write response.next_token = \"header:{name}\", and the token in request.headers"
                )
            }
            (None, None) => {
                "it has no Content-Range: which member or header leads to the next part? response.next_token \
                             or next_url names it"
                    .to_owned()
            }
        };
        self.fault(at, said, help);
    }

    /// Reports an object in place of the array of items, and returns `true`, if the dialect doesn't say how to read one.
    fn report_object(&mut self, seen: &SeenAnswer) -> bool {
        let response = &self.list.settings.dialect.response;
        let shape = self.shape();
        let Some(word) = shape.object_word(seen).filter(|_| response.items_object.is_none()) else { return false };
        let what = if word == "single" { "an item itself" } else { "an object with numbers as names" };
        let (at, count) = (response.items.at, shape.count(seen));
        let message = format!("an answer with {count} items has {what} at {:?}, in place of an array", shape.items);
        self.fault(at, message, format!("response.items_object = {word:?}"));
        true
    }

    /// Requests an answer with one item: services that convert XML write no array around a single item.
    async fn check_single(&mut self, first: &ReadPage) -> Result<(), ProbeHalt> {
        let one = self.size(1);
        if one == 1 && first.ids.len() > 1 && self.list.settings.dialect.response.items_object.is_none() {
            self.page(0, one).await?;
        }
        Ok(())
    }

    /// Returns whether the upstream refuses the first page only because of the sort in the declared order. If so,
    /// reports the faults of the items, such as a field of the order that they lack. If they have no fault, reports
    /// that the upstream refuses the order.
    async fn is_refused_for_its_sort(&mut self, status: u16) -> Result<bool, ProbeHalt> {
        // A request without sort parameters was refused for another reason.
        if self.list.dialect.default_sorted().asked == 0 {
            return Ok(false);
        }
        let settings = self.settings_of(self.list.dialect.first_page(), self.size(FEW));
        let seen = self.session.ask(&settings).await?;
        let read = Err(ReadingError::Malformed(String::new()));
        let ids = self.shape().identities(&seen).unwrap_or_default();
        if ids.is_empty() {
            return Ok(false);
        }
        self.check_items(&ReadPage { seen, read, ids, said: EndWitnesses::default() });
        if self.faults.is_empty() {
            let at = self.list.settings.sortable.first().map_or(self.list.at, |field| field.at);
            let message = format!("the upstream answers {status} to the declared order, and not without it");
            self.fault(at, message, "leave the fields that it does not sort by out of `sortable`");
        }
        Ok(true)
    }

    /// Reports a wrong number of the first page, if the configured first page is past the end and the next one has items;
    /// otherwise the first page's status. Returns `false`: the first answer has no items to check.
    async fn begins_later(&mut self, past_end: &ReadPage) -> Result<bool, ProbeHalt> {
        let first = self.list.dialect.first_page();
        let size = self.size(FEW);
        if self.list.dialect.paging().family == Family::Page && !self.page(1, size).await?.ids.is_empty() {
            let at = self.list.settings.dialect.at;
            let message = format!("page {first} has no items, and page {} has the beginning of the list", first + 1);
            self.fault(at, message, format!("request.first_page = {}", first + 1));
        } else if past_end.seen.status >= 400 {
            // Each client would get this status for the beginning of the list.
            let (at, status) = (self.list.settings.dialect.at, past_end.seen.status);
            let message =
                format!("the upstream answers {status} to the first page, which `past_end` takes for the end");
            self.fault(at, message, "is the place of the first page right: request.first_page or first_item?");
        }
        Ok(false)
    }

    /// Reports a wrong place of the items, ids that are missing or equal, and fields of the order that no item has.
    fn check_items(&mut self, first: &ReadPage) {
        let shape = self.shape();
        let elements = shape.elements(&first.seen).unwrap_or_default().to_vec();
        if elements.is_empty() {
            if let Some(found) = ListShape::find(&first.seen).filter(|found| found.items != shape.items) {
                let at = self.list.settings.dialect.response.items.at;
                let message = format!("no items are at {:?}, and a list is at {:?}", shape.items, found.items);
                self.fault(at, message, format!("response.items = {:?}", found.items));
            }
            return;
        }
        let fields = shape.fields(&elements);
        let shown: Vec<&str> = fields.iter().map(|field| field.trim_start_matches('/')).take(12).collect();
        let shown = shown.join(", ");
        let id = shape.id.clone().unwrap_or_default();
        let ids: Vec<Option<&Value>> = elements.iter().map(|element| step_into(element, &id)).collect();
        let lacks = ids.iter().any(|id| id.is_none_or(|id| !id.is_string() && !id.is_number()));
        let at = self.place_of(self.list.settings.id.as_ref().or(self.list.settings.dialect.response.id.as_ref()));
        let found = ListShape::find(&first.seen).and_then(|found| found.id);
        let suggestion =
            found.map_or_else(|| "which member tells items apart?".to_owned(), |id| format!("response.id = {id:?}"));
        // Without a declared order, cursors name items by marks, so no ids are needed. Ids that only some items have
        // are a fault in any case.
        if lacks && (self.list.settings.declared || !ids.iter().all(Option::is_none)) {
            self.fault(at, format!("items have no id at {id:?}; their members are {shown}"), suggestion);
        } else if ids.iter().filter(|own| **own == ids[0]).count() > 1 {
            self.fault(at, format!("several items have the same id at {id:?}"), suggestion);
        }
        for term in self.list.settings.order.clone() {
            let name = term.value.field.as_str();
            let own = self.list.settings.fields.iter().find(|field| field.name == name);
            let place = own.and_then(|field| field.at.as_ref());
            let pointer = place.map_or_else(|| format!("/{name}"), |place| place.value.clone());
            let at = place.map_or(term.at, |place| place.at);
            let is_there = |element: &Value| step_into(element, &format!("{}{pointer}", shape.item)).is_some();
            if !elements.iter().any(is_there) {
                let help = ListShape::nearest(name, &fields).map_or_else(
                    || "write a field that items have in `order`".to_owned(),
                    |near| format!("did you mean {near:?}? fields.{name}.at says another place"),
                );
                self.fault(at, format!("no item has {pointer}; their members are {shown}"), help);
            }
        }
    }

    /// Reports a total or a flag that the dialect declares and that the answer lacks.
    fn check_facts(&mut self, first: &ReadPage) {
        let Some(answer) = first.answer() else { return };
        let Some(untold) = self.list.dialect.untold(answer) else { return };
        let is_total = untold == "response.total";
        let fits = self.shape().fact(&first.seen, is_total);
        let response = &self.list.settings.dialect.response;
        let own =
            if is_total { response.total.as_ref() } else { response.has_more.as_ref().or(response.is_last.as_ref()) };
        let (at, place) = (self.place_of(own), own.map_or("", |own| own.value.as_str()).to_owned());
        let help = match fits {
            Some(place) if is_total => format!("response.total = {place:?}"),
            Some(place) => format!("there is a flag at {place:?}"),
            None => format!("remove {untold}, or write where it is"),
        };
        self.fault(at, format!("there is no such value at {place:?}, the place that {untold} names"), help);
    }

    /// Reports a size parameter without effect. Returns `false` if it reports one. Otherwise returns `true`, even if
    /// the dialect has no size parameter.
    async fn check_size(&mut self, first: &ReadPage, few: u32) -> Result<bool, ProbeHalt> {
        let Some(name) = self.list.dialect.size_name() else { return Ok(true) };
        let count = u32::try_from(first.ids.len()).unwrap_or(u32::MAX);
        // An ignored size can only be noticed if an answer has more items than requested, so a shorter answer passes.
        if count <= few {
            return Ok(true);
        }
        let other = self.size(MORE_THAN_FEW);
        let second = self.page(0, other).await?;
        let again = u32::try_from(second.ids.len()).unwrap_or(u32::MAX);
        if again <= other {
            return Ok(true);
        }
        // A size that has an effect is read, and the answers have items in addition: posts that are pinned, for example.
        if again != count {
            let at = self.list.settings.dialect.request.query.at;
            let message = format!("asked for {few} and for {other} items, the upstream gave {count} and {again}");
            let help = format!(
                "it reads {name}, and adds items to its pages, such as pinned ones, which are not at their places in the \
                 list: is there a parameter for request.query that leaves them out?"
            );
            self.fault(at, message, help);
            return Ok(false);
        }
        let mut learnt = self.learnt(first);
        size::find(&self.session, &mut learnt, &self.base(first).await?, &[]).await?;
        // Some upstreams raise small sizes to a minimum. The size parameter then has an effect only for larger sizes,
        // so it isn't reported.
        if learnt.size.as_ref().is_some_and(|form| form.slot.name() == name) {
            return Ok(true);
        }
        let message = format!(
            "asked for {few} and for {other} items, the upstream gave {count} and {again}: it does not take {name}"
        );
        let help = match &learnt.size {
            Some(form) => format!("in request.query write {:?} for {name:?}", form.slot.name()),
            None => format!("leave {{size}} out of request.query, and write size.default = {count}"),
        };
        let at = self.list.settings.dialect.request.query.at;
        self.fault(at, message, help);
        Ok(false)
    }

    /// Returns the configured list in the form that the steps of learning need.
    fn learnt(&self, first: &ReadPage) -> Learnt {
        Learnt::new(self.shape(), first.ids.len())
    }

    /// Returns the answer with which the steps of learning compare others: the answer to a request without parameters,
    /// or the first page if that answer has no items.
    async fn base(&self, first: &ReadPage) -> Result<Base, ProbeHalt> {
        let bare = self.session.ask(&[]).await?;
        let ids = self.shape().identities(&bare).filter(|ids| !ids.is_empty());
        Ok(match ids {
            Some(ids) => Base { seen: bare, ids, hints: Vec::new() },
            None => Base { seen: Rc::clone(&first.seen), ids: first.ids.clone(), hints: Vec::new() },
        })
    }

    /// Reports a page or offset parameter that has no effect, or another effect than the configured one.
    async fn check_places(&mut self, first: &ReadPage, few: u32) -> Result<(), ProbeHalt> {
        let (family, count) = (self.list.dialect.paging().family, usize::try_from(few).unwrap_or(1));
        let Some(name) = self.list.dialect.place_name().filter(|_| family != Family::Token) else { return Ok(()) };
        // A list that fits into one page has no second page to compare, so the check ends.
        if first.ids.len() < count {
            return Ok(());
        }
        let second = self.page(1, few).await?;
        let first_page = self.list.dialect.first_page();
        let ids = &second.ids;
        if *ids == first.ids {
            // Many upstreams answer a page number before the first one with the first page, so a third page is
            // compared. Test: `mistakes_in_valid_configurations_are_reported_with_the_key_to_change`.
            let third = self.page(2, few).await?;
            if self.list.dialect.counts_pages() && third.ids != first.ids && !third.ids.is_empty() {
                let at = self.list.settings.dialect.at;
                let message = format!("page {first_page} and page {} gave the same items", first_page + 1);
                self.fault(at, message, format!("request.first_page = {}", first_page + 1));
                return Ok(());
            }
            let message = format!("two different values of {name} gave the same items");
            return self.suggest_place(first, &name, message).await;
        }
        // A larger page shows where the second page should begin.
        let wide = self.page(0, self.size(3 * few)).await?;
        // If the list changes between the answers, they can't be compared, so no fault is reported.
        let is_steady = wide.ids.starts_with(&first.ids);
        if is_steady && ids.first().is_some_and(|id| wide.ids.contains(id)) && wide.ids.get(count) != ids.first() {
            let place = wide.ids.iter().position(|id| Some(id) == ids.first()).unwrap_or_default();
            let message =
                format!("the second page of {few} items begins with item {} and not with item {}", place + 1, few + 1);
            return self.suggest_place(first, &name, message).await;
        }
        if is_steady && family == Family::Offset && self.list.dialect.size_name().is_some() {
            self.check_offset(&wide, few).await?;
        }
        // If the upstream counts from a smaller number than the dialect, the beginning of the list is never requested, so
        // the number before the first one is requested here. Test:
        // `mistakes_in_valid_configurations_are_reported_with_the_key_to_change`.
        let (noun, key, number) = match self.list.dialect.counts_pages() {
            true => ("page", "first_page", first_page),
            false => ("offset", "first_item", self.list.settings.dialect.request.first_item),
        };
        if let Some(smaller) = number.checked_sub(1) {
            let before = self.session.ask(&self.settings_of(smaller, few)).await?;
            let before = self.shape().identities(&before).unwrap_or_default();
            let bare = self.base(first).await?;
            let begins = before.first().is_some_and(|id| bare.ids.first() == Some(id));
            if begins && bare.ids.first() != first.ids.first() && bare.ids.contains(&first.ids[0]) {
                let at = self.list.settings.dialect.at;
                let message =
                    format!("{noun} {smaller} has the beginning of the list, and {noun} {number} begins after it");
                self.fault(at, message, format!("request.{key} = {smaller}"));
            }
        }
        Ok(())
    }

    /// Reports offsets that the upstream lowers to multiples of the size, or refuses. `wide` shows the beginning of the
    /// list.
    async fn check_offset(&mut self, wide: &ReadPage, few: u32) -> Result<(), ProbeHalt> {
        let from = few + few.div_ceil(2);
        if from.is_multiple_of(few) || wide.ids.len() <= from as usize {
            return Ok(());
        }
        let page = self.slice(from.into(), few).await?;
        let asked = format!("asked for {few} items from offset {from} on, which is no multiple of {few}, the upstream");
        let message = match (&page.read, page.ids.first()) {
            (Err(ReadingError::Failed { status, .. }), _) => format!("{asked} answers {status}"),
            (Ok(_), Some(first)) if wide.ids.get(few as usize) == Some(first) => format!("{asked} begins at {few}"),
            _ => return Ok(()),
        };
        let at = self.list.settings.dialect.request.query.at;
        self.fault(at, message, "request.aligned = true");
        Ok(())
    }

    /// Returns the parameters that request a page. `page` is the number as the upstream counts pages.
    fn settings_of(&self, page: u64, size: u32) -> Vec<crate::prober::session::Setting> {
        let place = self.list.dialect.place_name().map(|name| (self.session.slot(&name), page.to_string()));
        let size = self.list.dialect.size_name().map(|name| (self.session.slot(&name), size.to_string()));
        place.into_iter().chain(size).collect()
    }

    async fn suggest_place(&mut self, first: &ReadPage, name: &str, message: String) -> Result<(), ProbeHalt> {
        let (base, mut learnt) = (self.base(first).await?, self.learnt(first));
        size::find(&self.session, &mut learnt, &base, &[]).await?;
        place::find(&self.session, &mut learnt, &base).await?;
        let help = match &learnt.place {
            // The name is right, and the upstream counts items from another number.
            Some(PlaceForm::Offset { slot, first })
                if slot.name() == name && *first != self.list.settings.dialect.request.first_item =>
            {
                format!("request.first_item = {first}")
            }
            Some(PlaceForm::Page { slot, first }) => {
                format!(
                    "in request.query write \"{}={{page}}\" for {name:?}, with request.first_page = {first}",
                    slot.name()
                )
            }
            Some(PlaceForm::Offset { slot, first }) => {
                let from = if *first == 0 { String::new() } else { format!(", with request.first_item = {first}") };
                format!("in request.query write \"{}={{offset}}\" for {name:?}{from}", slot.name())
            }
            _ => format!("is {name:?} in request.query the parameter that says where a page begins?"),
        };
        // The dialect already has what was found. Then the answers are not slices of one list.
        let help = if self.has_place(learnt.place.as_ref()) {
            format!(
                "{name:?} is right, and pages overlap or leave items out: does the upstream repeat items for rows that it \
                 joins, or move items between answers? If it drops items after the limit, write response.hidden = true"
            )
        } else {
            help
        };
        let at = self.list.settings.dialect.request.query.at;
        self.fault(at, message, help);
        Ok(())
    }

    /// Returns whether the dialect requests pages in the way that was found.
    fn has_place(&self, found: Option<&PlaceForm>) -> bool {
        let named = self.list.dialect.place_name();
        let is_named = |slot: &crate::prober::session::ProbeSlot| named.as_deref() == Some(slot.name());
        let request = &self.list.settings.dialect.request;
        match found {
            Some(PlaceForm::Page { slot, first }) => {
                self.list.dialect.counts_pages() && is_named(slot) && *first == self.list.dialect.first_page()
            }
            Some(PlaceForm::Offset { slot, first }) => {
                !self.list.dialect.counts_pages() && is_named(slot) && *first == request.first_item
            }
            _ => false,
        }
    }

    /// Requests a large page. Reports a size that is refused, or that is lowered below the declared maximum without an
    /// error. Returns the page, or a smaller one if the size is refused.
    async fn check_cap(&mut self) -> Result<ReadPage, ProbeHalt> {
        let declared = self.list.settings.dialect.size.max.as_ref().map(|max| max.value);
        let asked = self.size(declared.unwrap_or(WIDE).min(1_000));
        let wide = self.page(0, asked).await?;
        let at = self.place_of(self.list.settings.dialect.size.max.as_ref());
        if let Err(ReadingError::Failed { status, .. }) = &wide.read {
            let message = format!("the upstream answers {status} where it is asked for {asked} items");
            self.fault(at, message, "lower size.max");
            // The later checks need a page, so a smaller one is requested.
            let few = self.size(20);
            return self.page(0, few).await;
        }
        let count = u32::try_from(wide.ids.len()).unwrap_or(u32::MAX);
        let answer = wide.answer();
        let counted = answer.and_then(|answer| answer.total);
        let total = counted.is_some_and(|total| total.value > u64::from(count));
        // A flag that is always true says nothing against a total of all items. Test:
        // `a_flag_that_is_always_true_makes_no_cap`.
        let is_whole = counted.is_some_and(|total| total.exact && total.value == u64::from(count));
        let says_more = answer.is_some_and(|answer| answer.more == Some(true) && !is_whole || answer.next.is_some());
        let is_judged = count > 0
            && count < asked
            && self.list.dialect.size_name().is_some()
            && !self.list.settings.dialect.response.hidden;
        if is_judged && (total || says_more || self.goes_on_after(&wide, asked).await?) {
            let mut message = format!("asked for {asked} items, the upstream gave {count}, and there are more");
            match self.page_fill(count).await? {
                PageFill::Part => {
                    message.push_str(", and pages of this size aren't full either: it leaves out rows after the limit");
                    self.fault(at, message, "response.hidden = true");
                }
                PageFill::Nothing => {
                    message.push_str(", but no item is on the page after them");
                    let help = format!(
                        "request.max_depth = {count} if the upstream shows no more; response.hidden = true if items follow"
                    );
                    self.fault(at, message, help);
                }
                // An undeclared cap isn't a fault, because the route learns the cap from answers.
                PageFill::Full if declared.is_some() => self.fault(at, message, format!("size.max = {count}")),
                PageFill::Full => {}
            }
        }
        Ok(wide)
    }

    /// Returns whether the page after a first page of this size has other items. Where no answer says that the list goes
    /// on, only its items do.
    async fn goes_on_after(&mut self, first: &ReadPage, size: u32) -> Result<bool, ProbeHalt> {
        if self.list.dialect.paging().family == Family::Token {
            return Ok(false);
        }
        let next = self.page(1, size).await?;
        Ok(next.ids.first().is_some_and(|id| !first.ids.contains(id)))
    }

    /// Returns how full the first two pages of this size are. A cap gives as many items as are asked for up to it; an
    /// upstream that leaves out rows after the limit gives fewer, and one that shows only the first items of its list
    /// gives none after them.
    async fn page_fill(&mut self, count: u32) -> Result<PageFill, ProbeHalt> {
        let size = self.size(count);
        let is_full = |page: &ReadPage| page.ids.len() >= size as usize;
        let first = self.page(0, size).await?;
        let Some(answer) = first.answer() else { return Ok(PageFill::Full) };
        if !is_full(&first) {
            return Ok(PageFill::Part);
        }
        let says_more = |page: &ReadPage| {
            let answer = page.answer();
            answer.is_some_and(|answer| {
                let counted = answer.total.is_some_and(|total| total.value > 2 * u64::from(size));
                counted || answer.more == Some(true) || answer.next.is_some()
            })
        };
        let second = match (self.list.dialect.paging().family, answer.next.clone()) {
            (Family::Token, None) => return Ok(PageFill::Full),
            (Family::Token, token) => {
                let sorted = std::sync::Arc::clone(self.list.dialect.default_sorted());
                let fetch = TokenFetch { token, backward: false, size: PageSize(size) };
                self.ask(&sorted, &Fetch::Token(fetch)).await?
            }
            (Family::Page | Family::Offset, _) => self.page(1, size).await?,
        };
        let more = !is_full(&second) && says_more(&second);
        Ok(match second.ids.len() {
            _ if !more => PageFill::Full,
            0 => PageFill::Nothing,
            _ => PageFill::Part,
        })
    }
}

/// The fill of pages that are as large as an answer that was lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageFill {
    Full,
    /// A page has fewer items than requested, although more follow.
    Part,
    /// The second page has no item, although more follow.
    Nothing,
}

#[cfg(test)]
mod tests;
