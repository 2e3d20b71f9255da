//! A page for people: the requests that it begins with, and, where these are sent, what each answer shows.

use std::time::Duration;

use super::{Exchange, FetchedAnswer, ResolvedCursor};
use crate::{
    downstream::response::level_word,
    gateway::{outcome::failure::Failure, runtime::clock},
    pagination::{
        answer::{Answer, Standing},
        checker::{self, Argument, ClaimFault, Transcript},
        fetch::{Fetch, Listing},
        page::Page,
        resolver::{Step, resolve},
        window::Slice,
    },
};

/// The longest text of an upstream that is shown.
const LONGEST: usize = 80;

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
    /// The step of the page that it belongs to: the core asks, looks, and asks again.
    pub(crate) step: usize,
    pub(crate) elapsed: Duration,
    /// The outline of the answer, or the reason why there is none.
    pub(crate) answer: Result<AnswerOutline, String>,
}

/// The outline of an answer.
#[derive(Clone, Debug)]
pub(crate) struct AnswerOutline {
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    pub(crate) standing: &'static str,
    pub(crate) items: usize,
    /// The ids of the first and the last item, raw.
    pub(crate) edges: Option<(String, String)>,
    pub(crate) total: Option<u64>,
    /// The answer says whether more items follow.
    pub(crate) more: Option<bool>,
}

/// A page whose requests were sent.
#[derive(Debug)]
pub(crate) struct WatchedPage {
    pub(crate) fetches: Vec<WatchedFetch>,
    pub(crate) page: Result<PageOutline, String>,
}

/// The outline of a page.
#[derive(Debug)]
pub(crate) struct PageOutline {
    pub(crate) items: usize,
    pub(crate) level: &'static str,
    pub(crate) is_proven: bool,
    pub(crate) has_next: bool,
    pub(crate) has_previous: bool,
    pub(crate) total: Option<u64>,
    /// The argument of the independent checker for the page, or the claim that it does not follow.
    pub(crate) verdict: Result<Argument, ClaimFault>,
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

    /// Reads the page, one request after another.
    pub(crate) async fn watch(self, placed: ResolvedCursor, limit: u32) -> WatchedPage {
        let request = self.page_request(placed, limit);
        let mark = super::pivot_mark(&request);
        let mut transcript = Transcript::new(request.clone());
        let (mut fetches, mut step_number) = (Vec::new(), 0);
        let mut step = resolve(request);
        // The core's budget bounds the steps.
        let page = loop {
            match step {
                Step::Fetch(asked, pending) => {
                    step_number += 1;
                    let mut answers = Vec::with_capacity(asked.len());
                    for fetch in &asked {
                        let (planned, before) = (self.planned(fetch), clock::instant());
                        let fetched = Box::pin(self.fetch(fetch, mark)).await;
                        let elapsed = clock::instant().saturating_duration_since(before);
                        let answer = fetched.as_ref().map(outline).map_err(words);
                        fetches.push(WatchedFetch { planned, step: step_number, elapsed, answer });
                        match fetched {
                            Ok(fetched) => answers.push(fetched.answer),
                            Err(failure) => return WatchedPage { fetches, page: Err(words(&failure)) },
                        }
                    }
                    transcript.record(&asked, &answers);
                    step = pending.resume(answers);
                }
                Step::Serve(page) => break Ok(page_outline(&page, &transcript)),
                Step::Refuse(refusal) => break Err(words(&Failure::refusal(refusal, |_| None))),
            }
        };
        WatchedPage { fetches, page }
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
            target: format!("{}{question}{}", ask.path, ask.query),
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
        status: *status,
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

fn page_outline(page: &Page, transcript: &Transcript) -> PageOutline {
    PageOutline {
        items: page.items.len(),
        level: level_word(page.level()),
        is_proven: page.unproven.is_none(),
        has_next: page.next.is_some(),
        has_previous: page.previous.is_some(),
        total: page.total.map(|total| total.value),
        verdict: checker::check(transcript, page),
    }
}

/// Returns the code of a failure and its words.
pub(crate) fn words(failure: &Failure) -> String {
    match failure {
        Failure::Refused { problem, detail } => {
            let more = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} {}: {}{more}", problem.status, problem.code.as_str(), problem.detail)
        }
        Failure::Passed(response) => format!("the upstream refused: {}", response.status),
    }
}
