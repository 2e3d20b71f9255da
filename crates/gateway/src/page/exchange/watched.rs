//! The record of a page, for explanations: the parsed request, the upstream requests, and an outline of each answer if
//! the requests are sent. A page that isn't explained has no record.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Exchange, FetchedAnswer, ResolvedCursor,
    transcript::{CheckerVerdict, Transcript},
};
use crate::{
    net::memory::MemoryShare,
    outcome::failure::{Failure, doubted_text},
    page::context::PageContext,
    runtime::{clock, futures::join_all},
};
use cursorgate_config::settings::KnownBy;
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    fetch::{Fetch, Listing},
    mark::Mark,
    page::Page,
    resolver::{PageRequest, Step, resolve},
    window::Slice,
};
use cursorgate_cursor::cursor::{Inspection, KeyRing, inspect};
use cursorgate_translate::downstream::{RequestKind, RequestedPosition, request::query, response::level_word};

/// The largest number of characters of a displayed id. A longer id is truncated.
const LONGEST: usize = 80;

/// The largest number of a page's upstream requests that are recorded. The remaining requests are only counted.
const MOST_FETCHES: usize = 100;

/// The usual names of parameters with credentials (RFC 6750 section 2.3, and API keys of vendors). The values of these
/// parameters aren't displayed.
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

/// A request to an upstream, as the gateway would send it.
#[derive(Clone, Debug)]
pub struct PlannedFetch {
    /// The part of the list that is requested, in words, and the reason if the request can't be sent.
    pub purpose: String,
    pub method: String,
    /// The path and the query, with `…` in place of credentials; empty if the request can't be sent.
    pub target: String,
    /// The headers that the dialect adds.
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// A request that was sent, with an outline of its answer.
#[derive(Clone, Debug)]
pub struct WatchedFetch {
    pub planned: PlannedFetch,
    /// The number of the step to which the request belongs, from 1. The requests of one step run concurrently.
    pub step: usize,
    pub elapsed: Duration,
    /// The outline of the answer, or the reason that there is no answer.
    pub answer: Result<AnswerOutline, String>,
}

#[derive(Clone, Debug)]
pub struct AnswerOutline {
    /// The status of the response; 0 if there was no response, and for an item that was looked up.
    pub status: u16,
    pub bytes: usize,
    pub standing: &'static str,
    pub items: usize,
    /// The ids of the first and the last item, without changes except for their length; `None` if there are no items.
    pub edges: Option<(String, String)>,
    pub total: Option<u64>,
    /// `Some(true)` if the answer shows that more items follow, `Some(false)` if it shows that no items follow, and
    /// `None` if it shows neither.
    pub more: Option<bool>,
}

/// A page whose upstream requests were sent.
#[derive(Debug)]
pub struct WatchedPage {
    pub fetches: Vec<WatchedFetch>,
    /// The outline of the page, or the reason that there is no page.
    pub page: Result<PageOutline, String>,
}

/// A parsed request for a page, with the facts about the page that are known before the first upstream request.
#[derive(Clone, Debug)]
pub struct OpenedPage {
    pub envelope: String,
    pub content_type: String,
    pub limit: u32,
    /// The mode in which pages with this order are found.
    pub mode: &'static str,
    /// The query that asks the upstream for the order; empty if no query is needed.
    pub sort: String,
    /// The filters that pass to the upstream, as a query with `…` in place of credentials.
    pub filters: String,
    /// The position that the client requests, in words.
    pub place: String,
    pub cursor: Option<Inspection>,
    /// The names of the upstream's peers.
    pub peers: Vec<String>,
    /// The names of the headers that the configuration adds.
    pub added: Vec<String>,
}

impl OpenedPage {
    /// Describes a request for a page. `keys` verify the client's cursor.
    pub fn of(context: &PageContext<'_>, keys: Option<&KeyRing>) -> Self {
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

/// Describes the position that a request names, in words.
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

/// Returns a query with `…` in place of values that may be credentials. These are the values of private parameters, of
/// the parameter in `legacy.client`, and of parameters with usual names for credentials. Example: `page=2&token=…`.
fn shown_query(context: &PageContext<'_>, query: &str) -> String {
    let own = match context.list.legacy.client.as_ref().map(|client| &client.known_by) {
        Some(KnownBy::Parameter(name)) => Some(name.as_bytes()),
        _ => None,
    };
    let parameters = &context.chosen.convention.parameters;
    let shown = query::pairs(query).map(|pair| {
        // The decoded name is compared, because `%6Bey` is another spelling of `key`.
        let name = pair.name();
        let is_usual = CREDENTIALS.iter().any(|usual| name.eq_ignore_ascii_case(usual.as_bytes()));
        let is_hidden = is_usual || parameters.is_private(&name) || own == Some(&*name);
        if is_hidden { format!("{}=…", pair.raw_name) } else { pair.raw.to_owned() }
    });
    shown.collect::<Vec<_>>().join("&")
}

/// The record of a page while it is made: its requests, its answers, and the checker's verdict.
#[derive(Debug, Default)]
pub struct PageRecord(Mutex<RecordedPage>);

/// The contents of a record.
#[derive(Debug, Default)]
pub struct RecordedPage {
    /// The request; `None` if the request was refused before it was parsed, or if it doesn't ask for a page.
    pub opened: Option<OpenedPage>,
    pub fetches: Vec<WatchedFetch>,
    /// The number of requests beyond [`MOST_FETCHES`], which aren't recorded.
    pub more: usize,
    pub page: Option<PageOutline>,
    /// The transcript for the checker; `None` before the first fetch, if there isn't enough memory, and once the page
    /// is checked.
    transcript: Option<Transcript>,
    steps: usize,
}

impl PageRecord {
    /// Records the parsed request.
    pub fn open(&self, opened: OpenedPage) {
        self.lock().opened = Some(opened);
    }

    /// Ends the recording, and returns the record's contents.
    pub fn end(self) -> RecordedPage {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the transcript of the page with the request to the core.
    pub(super) fn begin(&self, request: &PageRequest) {
        self.lock().transcript = Some(Transcript::new(request));
    }

    /// Records the requests of a step. Takes memory for their answers; if there isn't enough, the transcript is
    /// dropped.
    fn fetched<'f>(
        &self,
        all: impl Iterator<Item = (PlannedFetch, &'f (Result<FetchedAnswer, Failure>, Duration))>,
        held: &MemoryShare,
    ) {
        let mut recorded = self.lock();
        recorded.steps += 1;
        let step = recorded.steps;
        for (planned, (fetched, elapsed)) in all {
            // Without enough memory, the page is served without a verdict, because an explanation must not make a page
            // fail.
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

    /// Records the page and the checker's verdict on it.
    pub(super) async fn served(&self, page: &Page) {
        // The lock isn't held while the checker works.
        let transcript = self.lock().transcript.take();
        let verdict = match transcript {
            Some(transcript) => transcript.check(page).await,
            None => None,
        };
        self.lock().page = Some(PageOutline {
            items: page.items.len(),
            level: level_word(page.level()),
            is_proven: page.unproven.is_none(),
            doubted_end: page.doubted_end.map(doubted_text),
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
    /// Returns the requests and the outline of the page. If there is no page, `refused` is the reason.
    pub fn watched(self, refused: Option<String>) -> WatchedPage {
        let none = || refused.unwrap_or_else(|| "the client left before there was a page".to_owned());
        WatchedPage { fetches: self.fetches, page: self.page.ok_or_else(none) }
    }
}

#[derive(Debug)]
pub struct PageOutline {
    pub items: usize,
    pub level: &'static str,
    pub is_proven: bool,
    /// The reason that the end of the list isn't proven; `None` if it is proven, and for pages that end no list.
    pub doubted_end: Option<String>,
    pub has_next: bool,
    pub has_previous: bool,
    pub total: Option<u64>,
    /// The checker's argument for the page, or the claim that doesn't follow from the answers; `None` if there wasn't
    /// enough memory, or if the checker's thread failed.
    pub verdict: Option<CheckerVerdict>,
}

impl Exchange<'_> {
    /// Returns the requests with which the page would begin, or the reason that there are none. No request is sent.
    pub fn plan(self, placed: ResolvedCursor, limit: u32) -> Result<Vec<PlannedFetch>, String> {
        match resolve(self.page_request(placed, limit)) {
            Step::Fetch(fetches, _) => Ok(fetches.iter().map(|fetch| self.planned(fetch)).collect()),
            Step::Refuse(refusal) => Err(words(&Failure::refusal(refusal, |_| None))),
            Step::Serve(_) => Ok(Vec::new()),
        }
    }

    /// Runs the fetches of a step, and records each fetch with its answer.
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
            // Only the dialect's headers are shown, because the client's own headers may be credentials.
            headers: ask.headers.iter().map(header).collect(),
            body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
            purpose,
        }
    }
}

/// Describes the part of the list that a fetch requests, in words. `first_page` is the number of the first page.
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
        Standing::Refused => "refused, and not needed",
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
pub fn words(failure: &Failure) -> String {
    match failure {
        Failure::Refused { problem, detail } => {
            let more = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} {}: {}{more}", problem.status, problem.code.as_str(), problem.detail)
        }
        Failure::Passed(response) => format!("the upstream refused: {}", response.status),
    }
}
