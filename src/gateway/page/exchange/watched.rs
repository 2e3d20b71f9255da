//! The record of a page, for explanations: the request as it was read, the requests to the upstream and, if they are
//! sent, an outline of each answer. A page that is not explained has no record.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Exchange, FetchedAnswer, ResolvedCursor,
    transcript::{CheckerVerdict, Transcript},
};
use crate::{
    config::settings::KnownBy,
    cursor::{Inspection, KeyRing, inspect},
    downstream::{RequestKind, RequestedPosition, request::query, response::level_word},
    gateway::{
        outcome::failure::Failure,
        page::context::PageContext,
        runtime::{clock, futures::join_all},
    },
    pagination::{
        answer::{Answer, Standing},
        fetch::{Fetch, Listing},
        mark::Mark,
        page::Page,
        resolver::{PageRequest, Step, resolve},
        window::Slice,
    },
    upstream::net::memory::MemoryShare,
};

/// The maximum length of an id that is shown, in characters.
const LONGEST: usize = 80;

/// The most requests of a page that are recorded.
const MOST_FETCHES: usize = 100;

/// The usual names of parameters with credentials (RFC 6750 section 2.3, and vendors' API keys). Values of these are
/// not shown.
const CREDENTIALS: [&str; 14] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "client_secret",
    "key",
    "password",
    "secret",
    "sig",
    "signature",
    "subscription-key",
    "token",
];

/// A request to an upstream, as it would be sent.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFetch {
    /// The part of the list that it asks for.
    pub(crate) purpose: String,
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    /// The headers of the dialect.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

/// A request that was sent, with its answer.
#[derive(Clone, Debug)]
pub(crate) struct WatchedFetch {
    pub(crate) planned: PlannedFetch,
    /// The number of the step that it belongs to, from 1. The requests of one step run concurrently.
    pub(crate) step: usize,
    pub(crate) elapsed: Duration,
    /// The outline of the answer, or the reason why there is none.
    pub(crate) answer: Result<AnswerOutline, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct AnswerOutline {
    /// The status of the response; 0 without one.
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    pub(crate) standing: &'static str,
    pub(crate) items: usize,
    /// The ids of the first and the last item, raw.
    pub(crate) edges: Option<(String, String)>,
    pub(crate) total: Option<u64>,
    /// True if the answer says that more items follow, false if it says that none do.
    pub(crate) more: Option<bool>,
}

/// A page whose requests were sent.
#[derive(Debug)]
pub(crate) struct WatchedPage {
    pub(crate) fetches: Vec<WatchedFetch>,
    /// The page, or the reason that there is none.
    pub(crate) page: Result<PageOutline, String>,
}

/// A request for a page, read: all that is known of the page before the upstream is asked.
#[derive(Clone, Debug)]
pub(crate) struct OpenedPage {
    pub(crate) envelope: String,
    pub(crate) content_type: String,
    pub(crate) limit: u32,
    /// The mode by which pages of this order are found.
    pub(crate) mode: &'static str,
    /// The query by which the upstream is asked to sort; empty if it is not.
    pub(crate) sort: String,
    /// The filters that are forwarded.
    pub(crate) filters: String,
    /// The place that the client asks for.
    pub(crate) place: String,
    pub(crate) cursor: Option<Inspection>,
    /// The peers of the upstream.
    pub(crate) peers: Vec<String>,
    /// The names of headers that the configuration adds.
    pub(crate) added: Vec<String>,
}

impl OpenedPage {
    /// Describes a request for a page. Cursors are verified by `keys`.
    pub(crate) fn of(context: &PageContext<'_>, keys: Option<&KeyRing>) -> Self {
        let convention = context.chosen.convention;
        let upstream = &context.route.upstream;
        let token = context.request.cursor();
        Self {
            envelope: convention.name.clone(),
            content_type: convention.envelope.content_type().to_str().unwrap_or_default().to_owned(),
            limit: context.request.limit,
            mode: context.sorted.mode.word(),
            sort: context.sorted.query.clone(),
            filters: shown_query(context, &context.request.filters.forwarded),
            place: place(context),
            cursor: token.map(|token| inspect(keys, token)),
            peers: upstream.peers.names().iter().map(|name| name.text().to_owned()).collect(),
            added: upstream.headers.iter().map(|(name, _)| name.to_string()).collect(),
        }
    }
}

/// Describes the place that a request asks for.
fn place(context: &PageContext<'_>) -> String {
    if let Some(page) = &context.legacy_page {
        return format!("offset {}, as an old client asks for it", page.offset);
    }
    let unmarked = if context.request.kind == RequestKind::Unmarked { ", without any parameter of a page" } else { "" };
    match &context.request.place {
        RequestedPosition::First => format!("the first page{unmarked}"),
        RequestedPosition::Last => "the last page".to_owned(),
        RequestedPosition::Cursor(_) => "the place of the cursor".to_owned(),
        RequestedPosition::After(_) => "after the item of the cursor".to_owned(),
        RequestedPosition::Before(_) => "before the item of the cursor".to_owned(),
        RequestedPosition::AfterId(id) => format!("after the item with the id {id:?}"),
        RequestedPosition::BeforeId(id) => format!("before the item with the id {id:?}"),
    }
}

/// Returns a query with `…` for values that may be credentials: of private parameters, of the parameter in
/// `legacy.client`, and of usual names. Example: `page=2&token=…`.
fn shown_query(context: &PageContext<'_>, query: &str) -> String {
    let own = match context.list.legacy.client.as_ref().map(|client| &client.known_by) {
        Some(KnownBy::Parameter(name)) => Some(name.as_bytes()),
        _ => None,
    };
    let parameters = &context.chosen.convention.parameters;
    let shown = query::pairs(query).map(|pair| {
        // The name is decoded, because `%6Bey` is a spelling of `key`.
        let name = pair.name();
        let is_usual = CREDENTIALS.iter().any(|usual| name.eq_ignore_ascii_case(usual.as_bytes()));
        let is_hidden = is_usual || parameters.is_private(&name) || own == Some(&*name);
        if is_hidden { format!("{}=…", pair.raw_name) } else { pair.raw.to_owned() }
    });
    shown.collect::<Vec<_>>().join("&")
}

/// The record of a page while it is made: its requests, its answers, and the verdict on it.
#[derive(Debug, Default)]
pub(crate) struct PageRecord(Mutex<RecordedPage>);

/// The parts of a record.
#[derive(Debug, Default)]
pub(crate) struct RecordedPage {
    /// The request; none if it was refused before it was read, or if it asks for no page.
    pub(crate) opened: Option<OpenedPage>,
    pub(crate) fetches: Vec<WatchedFetch>,
    /// The number of requests that are not recorded, because they exceed [`MOST_FETCHES`].
    pub(crate) more: usize,
    pub(crate) page: Option<PageOutline>,
    /// The transcript for the checker; none if there is no memory for it.
    transcript: Option<Transcript>,
    steps: usize,
}

impl PageRecord {
    /// Records the request.
    pub(crate) fn open(&self, opened: OpenedPage) {
        self.lock().opened = Some(opened);
    }

    /// Ends the record, and returns its parts.
    pub(crate) fn end(self) -> RecordedPage {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the transcript of the page, with the request to the core.
    pub(super) fn begin(&self, request: &PageRequest) {
        self.lock().transcript = Some(Transcript::new(request));
    }

    /// Records the requests of a step. Their answers are kept for the checker as long as there is memory.
    fn fetched<'f>(
        &self,
        all: impl Iterator<Item = (PlannedFetch, &'f (Result<FetchedAnswer, Failure>, Duration))>,
        held: &MemoryShare,
    ) {
        let mut recorded = self.lock();
        recorded.steps += 1;
        let step = recorded.steps;
        for (planned, (fetched, elapsed)) in all {
            // Without memory the page is served without a verdict: an explanation fails no page.
            if fetched.as_ref().is_ok_and(|fetched| held.take(fetched.answer.body().len()).is_err()) {
                recorded.transcript = None;
            }
            if recorded.fetches.len() == MOST_FETCHES {
                recorded.more += 1;
                continue;
            }
            let answer = fetched.as_ref().map(outline).map_err(words);
            recorded.fetches.push(WatchedFetch { planned, step, elapsed: *elapsed, answer });
        }
    }

    fn answered<'f>(&self, all: impl Iterator<Item = (&'f Fetch, &'f (Result<FetchedAnswer, Failure>, Duration))>) {
        if let Some(transcript) = &mut self.lock().transcript {
            transcript.add(all.filter_map(|(fetch, (fetched, _))| Some((fetch, &fetched.as_ref().ok()?.answer))));
        }
    }

    /// Records the page, and the checker's verdict on it.
    pub(super) async fn served(&self, page: &Page) {
        // The lock is free while the checker works.
        let transcript = self.lock().transcript.take();
        let verdict = match transcript {
            Some(transcript) => transcript.check(page).await,
            None => None,
        };
        self.lock().page = Some(PageOutline {
            items: page.items.len(),
            level: level_word(page.level()),
            is_proven: page.unproven.is_none(),
            has_next: page.next.is_some(),
            has_previous: page.previous.is_some(),
            total: page.total.map(|total| total.value),
            verdict,
        });
    }

    fn lock(&self) -> MutexGuard<'_, RecordedPage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordedPage {
    /// Returns the requests and the outline of the page; `refused` is the reason if there is no page.
    pub(crate) fn watched(self, refused: Option<String>) -> WatchedPage {
        let none = || refused.unwrap_or_else(|| "the client left before there was a page".to_owned());
        WatchedPage { fetches: self.fetches, page: self.page.ok_or_else(none) }
    }
}

#[derive(Debug)]
pub(crate) struct PageOutline {
    pub(crate) items: usize,
    pub(crate) level: &'static str,
    pub(crate) is_proven: bool,
    pub(crate) has_next: bool,
    pub(crate) has_previous: bool,
    pub(crate) total: Option<u64>,
    /// The argument of the independent checker for the page, or the claim that does not follow; none if there was no
    /// memory for it, or if its thread failed.
    pub(crate) verdict: Option<CheckerVerdict>,
}

impl Exchange<'_> {
    /// Returns the requests with which the page begins, or the reason why there are none. Nothing is sent.
    pub(crate) fn plan(self, placed: ResolvedCursor, limit: u32) -> Result<Vec<PlannedFetch>, String> {
        match resolve(self.page_request(placed, limit)) {
            Step::Fetch(fetches, _) => Ok(fetches.iter().map(|fetch| self.planned(fetch)).collect()),
            Step::Refuse(refusal) => Err(words(&Failure::refusal(refusal, |_| None))),
            Step::Serve(_) => Ok(Vec::new()),
        }
    }

    /// Runs the fetches of a step, and records each with its answer.
    pub(super) async fn fetch_recorded(
        self,
        fetches: &[Fetch],
        mark: Option<Mark>,
        record: &PageRecord,
    ) -> Vec<Result<FetchedAnswer, Failure>> {
        let timed = fetches.iter().map(|fetch| async move {
            let before = clock::instant();
            let fetched = self.fetch(fetch, mark).await;
            (fetched, clock::instant().saturating_duration_since(before))
        });
        let all = join_all(timed).await;
        let planned = fetches.iter().map(|fetch| self.planned(fetch));
        record.fetched(planned.zip(&all), self.held);
        record.answered(fetches.iter().zip(&all));
        all.into_iter().map(|(fetched, _)| fetched).collect()
    }

    fn planned(self, fetch: &Fetch) -> PlannedFetch {
        let context = self.context;
        let path = context.route.target(&context.asked.target.path, &context.asked.parameters, "");
        let filters = &context.request.filters;
        let purpose = purpose(fetch, context.list.dialect.first_page());
        let unsent = |why: String| PlannedFetch {
            purpose: format!("{purpose}; not sent: {why}"),
            method: String::new(),
            target: String::new(),
            headers: Vec::new(),
            body: None,
        };
        let ask = match context.list.dialect.ask(&context.sorted, fetch, &filters.forwarded, &path) {
            Ok(ask) => ask,
            Err(error) => return unsent(error.to_string()),
        };
        let body = ask.body(filters.body.as_deref()).ok().flatten();
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let question = if ask.query.is_empty() { "" } else { "?" };
        PlannedFetch {
            method: ask.method.to_string(),
            target: format!("{}{question}{}", ask.path, shown_query(context, &ask.query)),
            // Only the headers of the dialect are shown: the client's own may be credentials.
            headers: ask.headers.iter().map(header).collect(),
            body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
            purpose,
        }
    }
}

/// Describes the part of the list that a fetch asks for. Pages are counted from `first_page`.
fn purpose(fetch: &Fetch, first_page: u64) -> String {
    match fetch {
        Fetch::Slice(slice, Listing { filter, flipped, .. }) => {
            let size = slice.size().0;
            let from = slice.begins().0;
            let place = match (slice, filter) {
                (_, Some(_)) => format!("{size} of the items that pass the filter, from offset {from} of these"),
                (Slice::Offset { .. }, None) => format!("{size} items from offset {from}"),
                (Slice::Page { number, .. }, None) => {
                    let number = number.0.saturating_add(first_page);
                    format!("page {number} of {size} items, from offset {from}")
                }
            };
            if *flipped { format!("{place}, of the reversed list") } else { place }
        }
        Fetch::Token(token) => {
            let place = if token.token.is_some() { "items by the upstream's token" } else { "the first items" };
            format!("{place}, {} of them", token.size.0)
        }
        Fetch::Item(_) => "the cursor's item, for its keys".to_owned(),
        Fetch::Count => "the number of items".to_owned(),
    }
}

fn outline(fetched: &FetchedAnswer) -> AnswerOutline {
    let FetchedAnswer { answer, status, .. } = fetched;
    let standing = match answer.standing {
        Standing::Listed => "a list",
        Standing::PastEnd => "past the end",
        Standing::Gone => "gone",
        Standing::Unaskable => "not asked: a key can't be written as a filter",
        Standing::Known(_) => "not asked: the keys are remembered",
    };
    AnswerOutline {
        status: status.unwrap_or(0),
        bytes: answer.body().len(),
        standing,
        items: answer.items().len(),
        edges: edges(answer),
        total: answer.total.map(|total| total.value),
        more: answer.more,
    }
}

fn edges(answer: &Answer) -> Option<(String, String)> {
    let id = |at: usize| String::from_utf8_lossy(answer.id(at)).chars().take(LONGEST).collect();
    let last = answer.items().len().checked_sub(1)?;
    Some((id(0), id(last)))
}

/// Returns the status, the code and the text of a failure, or the status of an upstream's refusal.
pub(crate) fn words(failure: &Failure) -> String {
    match failure {
        Failure::Refused { problem, detail } => {
            let more = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} {}: {}{more}", problem.status, problem.code.as_str(), problem.detail)
        }
        Failure::Passed(response) => format!("the upstream refused: {}", response.status),
    }
}
