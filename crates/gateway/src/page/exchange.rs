//! The loop that connects the core, which decides on fetches, with the upstream, which answers. The loop ends when the
//! core serves the page or refuses it.

mod transcript;
mod validated;
pub mod watched;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use pingora::http::RequestHeader;

use transcript::DebugCheck;
use validated::Validation;
use watched::PageRecord;

use super::{
    context::PageContext,
    cursors::{NumberedMarker, RequestCursors, ResolvedCursor},
};
use crate::{
    net::{
        error::FetchError,
        fetch::{AskedPeer, Bounds, Fetcher},
        memory::MemoryShare,
        peers::{
            retry::Flaw,
            visit::{NoPage, Visit},
        },
    },
    outcome::{
        access_log::Outcome,
        evidence::RefusalEvidence,
        failure::{Failure, cause, doubted_text},
        trace::{Phase, TRACEPARENT},
        upstream_call::{CallKind, CallTarget, UpstreamCall},
    },
    request::identity::REQUEST_ID,
    runtime::{clock, futures::join_all},
    shared::{
        clients::LimitedClient,
        pivots::{ItemResource, KnownItem},
        single_flight::LookUpResult,
    },
};
use cursorgate_config::settings::WhenEndUnproven;
use cursorgate_core::{
    json::JsonError,
    pagination::{
        answer::{Answer, Standing},
        fetch::Fetch,
        key::KeyValue,
        mark::Mark,
        page::Page,
        paging::UpstreamProfile,
        position::Position,
        refusal::Refusal,
        resolver::{Budget, Limit, PageRequest, Step, resolve},
    },
};
use cursorgate_translate::{
    downstream::{Code, Problem, RequestFilters, Response},
    upstream::Unaskable,
    upstream::request::headers::{self, request_headers},
    upstream::{ReadingError, UpstreamRequest},
};

/// The parts of a request that the fetches of its page need.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    pub context: &'a PageContext<'a>,
    pub cursors: &'a RequestCursors<'a>,
    pub fetcher: &'a Fetcher,
    /// The visit of this page's requests: the chosen peer, and the retries.
    pub visit: &'a Visit<'a>,
    /// The request's share of memory. The sizes of answers are added to it.
    pub held: &'a MemoryShare,
    /// The record of the peer that was used last.
    pub asked: &'a AskedPeer,
    /// The phase of the trace to which the upstream requests belong.
    pub phase: &'a Phase<'a>,
    /// The key of the client's cursor; `None` without a cursor, or if new cursors have the same key.
    pub made_by: Option<&'a NumberedMarker>,
    /// The learnt limits of the upstream, when the request began.
    pub profile: UpstreamProfile,
    /// The record of the page; `None` if the page isn't explained.
    pub record: Option<&'a PageRecord>,
}

pub enum PageDecision {
    /// The page, and the headers of its answers.
    Serve(Box<Page>, AnswerHeaders),
    Refuse(Refusal),
}

/// The headers of the answers from which a page was made.
#[derive(Debug, Default)]
pub struct AnswerHeaders {
    /// The headers of the answers that list items.
    pub listed: Vec<HeaderMap>,
    /// The headers of answers with single items and counts. They restrict caching, but aren't passed on.
    pub beside: Vec<HeaderMap>,
    /// The number of answers in `listed` that the upstream validated with a 304.
    pub validated: usize,
}

/// The reason that the look-up of an item has no answer.
enum NotLookedUp {
    Failed(Failure),
    /// The keys of the item are already known, and the string names their source. With `cache`, another request has
    /// cached the keys since this one began. With `store`, they come from the shared store.
    Known(Arc<KnownItem>, &'static str),
}

impl<F: Into<Failure>> From<F> for NotLookedUp {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

struct FetchedAnswer {
    answer: Answer,
    /// The status of the upstream's response; `None` if no response arrived, and for an item that was looked up.
    status: Option<u16>,
    headers: HeaderMap,
    /// The number of upstream requests: 0 if another request's look-up was shared, or if no request was needed.
    requests: u32,
    /// `true` if the upstream validated the stored answer with a 304.
    is_validated: bool,
    /// The source of the answer, as a metric label: `upstream`, `cache`, `store` or `shared`.
    source: &'static str,
    /// A fault that doesn't prevent the page from being served; `None` if there is none.
    fault: Option<String>,
}

impl FetchedAnswer {
    /// Creates the answer to a request, from its status and its headers.
    fn asked(answer: Answer, status: u16, headers: HeaderMap, is_validated: bool) -> Self {
        Self { answer, status: Some(status), headers, requests: 1, source: "upstream", is_validated, fault: None }
    }

    /// Creates an answer for which no request was needed.
    fn unasked(standing: Standing) -> Self {
        let answer = Answer::without_items(standing);
        Self {
            answer,
            status: None,
            headers: HeaderMap::new(),
            requests: 0,
            source: "upstream",
            is_validated: false,
            fault: None,
        }
    }
}

/// A request of a fetch, as it is sent.
struct SentRequest<'r> {
    ask: &'r UpstreamRequest,
    request: &'r RequestHeader,
    body: &'r [u8],
    validation: Option<&'r Validation<'r>>,
}

/// A complete answer, as the dialect reads it.
struct ReadAnswer {
    read: Result<Answer, ReadingError>,
    status: u16,
    headers: HeaderMap,
    is_validated: bool,
    /// The memory that the body took.
    size: usize,
}

/// The progress of a page's fetches.
#[derive(Default)]
struct FetchProgress {
    /// `true` if the client's cursor comes from an earlier page of this list, which the upstream answered for the same
    /// filters.
    is_continued: bool,
    headers: AnswerHeaders,
    evidence: RefusalEvidence,
    /// The first response that shows that the list ends before the requested items; `None` without such a response.
    past_end: Option<Box<Response>>,
}

/// Returns whether a fetch only shows whether more items follow.
fn is_probe(fetch: &Fetch) -> bool {
    matches!(fetch, Fetch::Slice(_, listing) if listing.is_probe)
}

/// Returns whether a status refuses a place of the list, and not the client or all requests.
fn tells_nothing(status: u16) -> bool {
    matches!(status, 204 | 400 | 404 | 410 | 413 | 414 | 416 | 422 | 500 | 501)
}

/// Returns whether a status that tells nothing about the client says that nothing is at a place, even if the dialect
/// doesn't declare it.
fn has_nothing_there(status: u16) -> bool {
    matches!(status, 204 | 404 | 410 | 416)
}

/// Returns what an operator is told about an answer that can't be read: its status and its media type.
fn seen(status: u16, headers: &HeaderMap) -> String {
    let written = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = written.and_then(|value| value.split(';').next()).unwrap_or("no Content-Type");
    format!("status {status}, {:.40}", media_type.trim())
}

/// Returns what an operator is told about answers that make no page: the cause, and the evidence for it.
fn no_page(cause: &str, evidence: &str) -> String {
    format!("its answers make none ({cause}): {evidence}")
}

/// Returns whether an answer isn't one of the list: not even a refusal or a failure that the service itself would send.
fn is_strange(error: &ReadingError, status: u16) -> bool {
    match error {
        ReadingError::Malformed(_) | ReadingError::Redirected { .. } => true,
        ReadingError::Unavailable(_) => (200..300).contains(&status),
        ReadingError::Failed { .. } | ReadingError::TooDeep(_) | ReadingError::TooManyItems(_) => false,
    }
}

impl Exchange<'_> {
    /// Finds the page at the position of the request. If the answers of one peer make no page, those of another one may.
    ///
    /// # Errors
    ///
    /// Returns the failure of the first fetch, in the core's order, that has no answer. Returns `budget_exceeded` when
    /// the time is over, and `upstream_malformed` if the upstream ignores sizes or returns no list. If an answer shows
    /// that even the start of the list is past its end, the client gets this answer.
    pub async fn resolve(
        self,
        mut placed: ResolvedCursor,
        limit: u32,
        outcome: &mut Outcome,
    ) -> Result<PageDecision, Failure> {
        let held = self.held.bytes();
        loop {
            let resolved = self.resolve_once(placed, limit, outcome).await;
            let now = clock::instant();
            let deadline = now + self.left(now).unwrap_or_default();
            let Some(pause) = self.visit.again(now, deadline) else {
                // The answers that a refusal is made from are no failure of their peer.
                let refused = usize::from(outcome.counted.refusal.is_some());
                if refused == 1 || resolved.is_err() {
                    outcome.tried = self.visit.failed_peers() + refused;
                }
                return resolved;
            };
            // One peer may have smaller pages, another order or older data than the others. Nothing of its answers is
            // kept, because those of two peers together prove nothing. Test:
            // `a_page_that_one_peer_can_not_give_is_made_by_another`.
            drop(resolved);
            self.held.give(self.held.bytes().saturating_sub(held));
            (outcome.counted.refusal, outcome.detail) = (None, None);
            tokio::time::sleep(pause).await;
            placed = self.cursors.start(self.context)?.cursor;
        }
    }

    /// Finds the page at a position from answers of one peer, as long as that doesn't fail.
    async fn resolve_once(
        self,
        placed: ResolvedCursor,
        limit: u32,
        outcome: &mut Outcome,
    ) -> Result<PageDecision, Failure> {
        outcome.counted.pivot = placed.pivot.is_some().then_some("cache");
        let request = self.page_request(placed, limit);
        let mark = pivot_mark(&request);
        let mut progress =
            FetchProgress { is_continued: is_continued(&request.target().position), ..FetchProgress::default() };
        if let Some(record) = self.record {
            record.begin(&request);
        }
        let mut check = DebugCheck::begin(&request);
        let mut step = resolve(request);
        loop {
            match step {
                Step::Fetch(fetches, pending) => {
                    let before = clock::instant();
                    let all = match self.record {
                        None => self.fetch_all(&fetches, mark).await,
                        Some(record) => Box::pin(self.fetch_recorded(&fetches, mark, record)).await,
                    };
                    let waited = clock::instant().saturating_duration_since(before);
                    outcome.waited(&self.context.route.upstream.name, self.asked.address(), waited);
                    let answers = self.answers(&fetches, all, &mut progress, outcome);
                    let answers = answers.map_err(|failure| progress.evidence.add_to(failure))?;
                    check.add(&fetches, &answers);
                    step = pending.resume(answers);
                }
                Step::Serve(page) => {
                    if let Some(record) = self.record {
                        Box::pin(record.served(&page)).await;
                    }
                    check.served(&page).await;
                    match page.doubted_end.filter(|_| self.context.list.unproven_end == WhenEndUnproven::Refuse) {
                        Some(doubt) => {
                            self.visit.no_page(NoPage::Differs(no_page("end_unproven", &doubted_text(doubt))));
                        }
                        None => {
                            for suspect in self.visit.served() {
                                outcome.tell_peer(suspect.peer.address, &suspect.said);
                            }
                        }
                    }
                    return Ok(PageDecision::Serve(page, progress.headers));
                }
                Step::Refuse(refusal) => {
                    outcome.counted.refusal = Some(cause(&refusal));
                    self.explain(&refusal, &progress.evidence, outcome)?;
                    return match refusal {
                        // The upstream answered "past the end" for the very start of the list. Its own answer explains
                        // this better than a problem would, so the client gets that answer.
                        Refusal::NoList => Err(progress
                            .past_end
                            .map_or_else(|| Failure::refusal(Refusal::NoList, |_| None), Failure::Passed)),
                        refusal => Ok(PageDecision::Refuse(refusal)),
                    };
                }
            }
        }
    }

    /// Records the reason that the answers made no page.
    ///
    /// # Errors
    ///
    /// Returns `upstream_malformed` in place of `budget_exceeded` if the upstream ignores the requested sizes. A larger
    /// budget or another attempt wouldn't help then.
    fn explain(self, refusal: &Refusal, evidence: &RefusalEvidence, outcome: &mut Outcome) -> Result<(), Failure> {
        let PageContext { list, sorted, .. } = self.context;
        match refusal {
            // No answer decides this.
            Refusal::Unsupported => {}
            Refusal::TokenGone => self.visit.no_page(NoPage::UnknownToken),
            _ => self.visit.no_page(NoPage::Differs(no_page(cause(refusal), &evidence.of_peer(refusal)))),
        }
        let detail = evidence.explain(refusal, &list.dialect, &sorted.order);
        outcome.detail = detail.or_else(|| outcome.detail.take());
        if *refusal == Refusal::BudgetExceeded && evidence.shows_ignored_size() {
            let said = "the upstream ignores the requested page size";
            return Err(Problem::new(Code::UpstreamMalformed, said).into());
        }
        Ok(())
    }

    /// Returns the answers of one step, in the order of its fetches. Records their counts, headers and evidence.
    fn answers(
        self,
        fetches: &[Fetch],
        all: Vec<Result<FetchedAnswer, Failure>>,
        progress: &mut FetchProgress,
        outcome: &mut Outcome,
    ) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::with_capacity(fetches.len());
        for (fetch, fetched) in fetches.iter().zip(all) {
            // A failed request is counted as one request.
            outcome.counted.upstream_requests += fetched.as_ref().map_or(1, |fetched| fetched.requests);
            let was_given = progress.is_continued || !progress.headers.listed.is_empty();
            let FetchedAnswer { answer, status, headers, source, is_validated, fault, .. } =
                fetched.map_err(|failure| {
                    // The upstream has already answered for another part of this list. Its refusal therefore concerns
                    // the gateway's paging, not the client's request. Test:
                    // `a_refusal_of_the_gateways_own_paging_has_a_link_to_start_again`.
                    let was_passed = matches!(failure, Failure::Passed(_));
                    let failure = if was_given { failure.of_own_paging(fetch) } else { failure };
                    let failure = progress.evidence.at_end(fetch, failure);
                    if let (true, Failure::Refused { problem, detail }) = (was_passed, &failure) {
                        let detail = detail.as_deref().unwrap_or_default();
                        self.visit.no_page(NoPage::Differs(no_page(problem.code.as_str(), detail)));
                    }
                    failure
                })?;
            if let Fetch::Item(_) = fetch {
                outcome.counted.pivot = Some(source);
            }
            // No request was sent, or the upstream refused a probe, so there are no headers and no evidence.
            if matches!(answer.standing, Standing::Known(_) | Standing::Unaskable | Standing::Refused) {
                answers.push(answer);
                continue;
            }
            outcome.detail = fault.or_else(|| outcome.detail.take());
            let is_listed = matches!(fetch, Fetch::Slice(..) | Fetch::Token(_));
            progress.evidence.note(fetch, &answer);
            if is_listed && let Some(key) = self.context.list.dialect.untold(&answer) {
                outcome.tell_missing(key);
            }
            // An end that is known without a request has no response that a refusal could pass on.
            if is_listed
                && answer.standing == Standing::PastEnd
                && let Some(status) = status.filter(|_| progress.past_end.is_none())
            {
                let (body, protected) = (answer.body().to_vec(), &self.context.list.protected);
                progress.past_end = Some(Box::new(Response::upstream_refusal(status, &headers, body, protected)));
            }
            answers.push(answer);
            progress.headers.validated += usize::from(is_validated);
            outcome.counted.validated += u32::from(is_validated);
            // The headers of items and counts aren't passed on, but they restrict caching. Test:
            // `only_cache_headers_of_a_looked_up_item_apply_to_the_page`.
            let kept = if is_listed { &mut progress.headers.listed } else { &mut progress.headers.beside };
            kept.push(headers);
        }
        Ok(answers)
    }

    /// Builds the request to the core: `limit` items at the position of `placed`.
    fn page_request(self, placed: ResolvedCursor, limit: u32) -> PageRequest {
        let ResolvedCursor { target, pivot } = placed;
        let PageContext { list, sorted, request, .. } = self.context;
        let RequestFilters { forwarded, body, .. } = &request.filters;
        let (order, paging) = (Arc::clone(&sorted.order), Arc::clone(list.dialect.paging()));
        let limit = Limit::at_least_one(limit);
        PageRequest::new(target, limit, order, paging, self.cursors.marker().clone())
            .flips(sorted.flips)
            .filters(list.dialect.filters_for(sorted, forwarded))
            .counts(list.counts)
            .tells_total(list.tells_total)
            // A filter may select fields and leave out the sort keys. Test:
            // `fields_that_leave_out_the_keys_lower_the_level`.
            .may_project(!forwarded.is_empty() || body.as_deref().is_some_and(|body| body != b"{}"))
            .pivot(pivot)
            .target_marker(self.made_by.map(|key| key.marker.clone()))
            .profile(self.profile)
            .budget(Budget::new(list.budgets.upstream_requests, list.budgets.search_requests))
            .search_items(list.budgets.search_items)
            .verify(list.verify)
            .unproven(list.unproven)
            .short_pages(list.short_pages)
            .totals(self.context.chosen.convention.total)
    }

    /// Runs fetches concurrently. The usual single fetch avoids the cost of a join.
    async fn fetch_all(self, fetches: &[Fetch], mark: Option<Mark>) -> Vec<Result<FetchedAnswer, Failure>> {
        match fetches {
            [one] => vec![self.fetch(one, mark).await],
            several => join_all(several.iter().map(|fetch| self.fetch(fetch, mark))).await,
        }
    }

    /// Runs one fetch. `mark` is the mark of the pivot's keys, if these are unknown.
    async fn fetch(self, fetch: &Fetch, mark: Option<Mark>) -> Result<FetchedAnswer, Failure> {
        match fetch {
            Fetch::Slice(..) | Fetch::Token(_) => self.ask(fetch).await,
            Fetch::Item(id) => match self.cursors.scope() {
                // The scope includes the principal, so requests with other credentials don't share a look-up. Test:
                // `pivots_of_one_principal_are_never_used_for_another`.
                Some(scope) => self.look_up(fetch, id, mark, scope.key(id, None)).await,
                None => self.ask(fetch).await,
            },
            // A page without a total is more useful than no page, so a failed count is only written to the log. Test:
            // `a_failing_count_fails_no_page`.
            Fetch::Count => Ok(self.ask(fetch).await.unwrap_or_else(|no_answer| {
                let fault = Some(format!("no count: {}", no_answer.summary()));
                FetchedAnswer { requests: 1, fault, ..FetchedAnswer::unasked(Standing::Listed) }
            })),
        }
    }

    /// Looks up an item by its id: in the cache, in the shared store, and then at the upstream with the client's
    /// credentials. Without a `mark`, only the upstream is asked for the item. Concurrent look-ups of the same item
    /// with the same credentials share one request.
    async fn look_up(
        self,
        fetch: &Fetch,
        id: &KeyValue,
        mark: Option<Mark>,
        key: u128,
    ) -> Result<FetchedAnswer, Failure> {
        // The future is boxed because it contains the state of `ask` a second time, and is seldom needed.
        let look = Box::pin(async {
            // Another look-up may have ended since this request found that the keys are missing, so the cache is
            // searched again, and then the store.
            if let Some(mark) = mark {
                if let Some(known) = self.cursors.known(id, mark) {
                    return Err(NotLookedUp::Known(known, "cache"));
                }
                if let Some(known) = self.cursors.stored(id, mark, self.made_by).await {
                    return Err(NotLookedUp::Known(known, "store"));
                }
            }
            let FetchedAnswer { answer, headers, .. } = self.ask(fetch).await?;
            // The item is cached before the result is shared. A request that is too late to share the result then finds
            // the item in the cache.
            self.cursors.remember_item(id, &answer, self.made_by);
            Ok::<_, NotLookedUp>(ItemResource { answer, headers })
        });
        // If the client of the first request leaves, a waiting request takes over the look-up. Test:
        // `a_waiting_request_takes_over_the_look_up_of_a_client_that_leaves`.
        let (found, requests, source) = match tokio::time::timeout(
            self.left(clock::instant())?,
            self.context.snapshot.pivots.look_ups.join(key, look),
        )
        .await
        {
            Ok(Ok(LookUpResult::Asked(found))) => (found, 1, "upstream"),
            Ok(Ok(LookUpResult::Shared(found))) => (found, 0, "shared"),
            Ok(Err(NotLookedUp::Known(known, source))) => {
                return Ok(FetchedAnswer { source, ..FetchedAnswer::unasked(Standing::Known(known.keys.clone())) });
            }
            Ok(Err(NotLookedUp::Failed(failure))) => return Err(failure),
            Err(_) => return Err(out_of_time()),
        };
        let ItemResource { answer, headers } = &*found;
        if requests == 0 {
            // The other request's answer is copied for this request, which takes memory for the copy.
            self.held.take(answer.body().len()).map_err(FetchError::from)?;
        }
        let answer = answer.clone();
        Ok(FetchedAnswer {
            answer,
            status: None,
            headers: headers.clone(),
            requests,
            source,
            is_validated: false,
            fault: None,
        })
    }

    /// Returns the client, as the queue for the upstream tells clients apart.
    fn client(&self) -> LimitedClient<'_> {
        let asked = self.context.asked;
        let (headers, known) = asked.client_parts();
        LimitedClient { headers, address: asked.client.own, known }
    }

    /// Returns the time that the request has left at `now`; `budget_exceeded` if there is none.
    fn left(self, now: Instant) -> Result<Duration, Failure> {
        let spent = now - self.context.asked.began;
        self.context.list.budgets.time.checked_sub(spent).filter(|left| !left.is_zero()).ok_or_else(out_of_time)
    }

    async fn ask(self, fetch: &Fetch) -> Result<FetchedAnswer, Failure> {
        let now = clock::instant();
        let left = self.left(now)?;
        let path = self.context.route.target(&self.context.asked.target.path, &self.context.asked.parameters, "");
        let ask = match self.context.list.dialect.ask(
            &self.context.sorted,
            fetch,
            &self.context.request.filters.forwarded,
            &path,
        ) {
            Ok(ask) => ask,
            Err(Unaskable::Gone) => return Ok(FetchedAnswer::unasked(Standing::Gone)),
            Err(Unaskable::Beyond) => return Ok(FetchedAnswer::unasked(Standing::PastEnd)),
            Err(Unaskable::Filter) => return Ok(FetchedAnswer::unasked(Standing::Unaskable)),
        };
        let body = ask.body(self.context.request.filters.body.as_deref()).map_err(|error| unwritable(&error))?;
        let body = body.or_else(|| self.body_by_get());
        let mut request = self.request(&ask, body.as_deref())?;
        let validation = self.validation(fetch, &ask, body.as_deref(), &mut request);
        // The slot is freed with the future, also if the client leaves. Test: `clients_that_leave_free_their_slots`.
        let _slot = self.context.route.upstream.slots.take(self.client(), left).await?;
        // The wait for a slot has used up part of the time, so the rest is computed again.
        let left = self.left(clock::instant())?;
        let peer = AskedPeer::default();
        let mut call = UpstreamCall::begin(self.call_target(fetch, &ask, &path), &peer, self.phase.call());
        if let Some(traceparent) = call.traceparent() {
            request.insert_header(TRACEPARENT, traceparent).map_err(|error| unsendable(&error))?;
        }
        let body = body.unwrap_or_default();
        let sent = SentRequest { ask: &ask, request: &request, body: &body, validation: validation.as_ref() };
        let (mut now, mut left) = (now, left);
        let ReadAnswer { read, status, headers, is_validated, .. } = loop {
            let answer = self.attempt(&sent, &peer, &mut call, now, left).await?;
            let Some(pause) = self.again(fetch, &answer, &peer, now + left) else { break answer };
            self.held.give(answer.size);
            tokio::time::sleep(pause).await;
            now = clock::instant();
            left = self.left(now)?;
        };
        match read {
            Ok(answer) => Ok(FetchedAnswer::asked(answer, status, headers, is_validated)),
            Err(error) => {
                call.fault = Some(error.to_string());
                // The page doesn't need the answer to a probe, whose place may be deeper than the upstream answers.
                // Test: `a_list_whose_upstream_refuses_places_past_its_end_is_read`.
                if is_probe(fetch) && tells_nothing(status) {
                    let standing = if has_nothing_there(status) { Standing::PastEnd } else { Standing::Refused };
                    let refused = Answer::without_items(standing);
                    return Ok(FetchedAnswer::asked(refused, status, headers, is_validated));
                }
                Err(Failure::reading(error, status, &headers, &self.context.list.protected))
            }
        }
    }

    /// Sends a request at `now`, with at most `left` for the whole answer, and reads the answer by the dialect.
    async fn attempt(
        self,
        sent: &SentRequest<'_>,
        peer: &AskedPeer,
        call: &mut UpstreamCall<'_>,
        now: Instant,
        left: Duration,
    ) -> Result<ReadAnswer, Failure> {
        let PageContext { asked, route, list, sorted, .. } = self.context;
        let timeouts = route.upstream.timeouts;
        let (whole, answer_size, held) = (timeouts.whole.min(left), list.budgets.answer_size, self.held);
        let bounds = Bounds { timeouts, whole, answer_size, held, now, unix_seconds: asked.now, asked: peer };
        let fetched = self.fetcher.fetch(self.visit, sent.request, sent.body, bounds).await;
        self.asked.note(peer.peer());
        let fetched = fetched.inspect_err(|error| call.fault = Some(error.to_string()))?;
        (call.status, call.bytes) = (Some(fetched.status.as_u16()), fetched.body.len());
        route.upstream.compare_clock(&fetched.headers, asked.now, peer.address());
        let (fetched, is_validated) = match sent.validation {
            Some(validation) => validation.take(fetched, self.held)?,
            None => (fetched, false),
        };
        let (status, mut headers, size) = (fetched.status.as_u16(), fetched.headers, fetched.body.capacity());
        // An upstream may ask clients to wait for years, so `Retry-After` is bounded. Test:
        // `retry_after_has_a_bound_on_every_kind_of_route`.
        headers::bound_retry_after(&mut headers, asked.now);
        let read = list.dialect.read(sorted, sent.ask, status, &headers, fetched.body, list.budgets.answer_depth);
        Ok(ReadAnswer { read, status, headers, is_validated, size })
    }

    /// Records whether an answer could be read. Returns the pause before another peer is asked; `None` if this answer
    /// counts. A half-started process or another program at the address of one peer answers nothing like the other
    /// peers. Test: `a_peer_that_answers_something_else_is_skipped`.
    fn again(self, fetch: &Fetch, answer: &ReadAnswer, peer: &AskedPeer, deadline: Instant) -> Option<Duration> {
        let (status, peer) = (answer.status, peer.peer()?);
        match &answer.read {
            Err(error) if is_strange(error, status) && !(is_probe(fetch) && tells_nothing(status)) => {
                let now = clock::instant();
                self.visit.suspect(&peer, format!("its answer can't be read: {}", seen(status, &answer.headers)));
                self.visit.retry(Flaw::Unreadable, now, deadline)
            }
            _ => {
                self.visit.uses(&peer);
                None
            }
        }
    }

    /// Returns the description of a fetch for the log. The path is the list's, without the id of an item.
    fn call_target<'c>(&'c self, fetch: &Fetch, ask: &'c UpstreamRequest, path: &'c str) -> CallTarget<'c> {
        let id = self.context.asked.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        CallTarget {
            request_id: id.unwrap_or_default(),
            upstream: &self.context.route.upstream.name,
            metrics: &self.context.route.upstream.metrics,
            kind: match fetch {
                Fetch::Slice(..) => CallKind::Slice,
                Fetch::Token(_) => CallKind::Token,
                Fetch::Item(_) => CallKind::Item,
                Fetch::Count => CallKind::Count,
            },
            method: &ask.method,
            path,
            query: &ask.query,
        }
    }

    /// Returns the client's body of a GET request, without the gateway's parameters: the upstream filters by it. `None`
    /// for a list that is read by POST, whose dialect writes the body.
    fn body_by_get(self) -> Option<Vec<u8>> {
        let by_post = self.context.route.methods.take(&http::Method::POST);
        if by_post { None } else { self.context.request.filters.body.clone() }
    }

    /// Builds the request of a fetch, with headers from the client, the dialect and the operator.
    fn request(self, ask: &UpstreamRequest, body: Option<&[u8]>) -> Result<RequestHeader, Failure> {
        let asked = self.context.asked;
        let origin = asked.client.origin(&asked.target);
        let upstream = &self.context.route.upstream;
        let added = &upstream.headers;
        let host = upstream.host_for(asked.target.authority.as_deref());
        let protected = &self.context.list.protected;
        let mut headers =
            request_headers(host, &upstream.codings, &asked.headers, origin, protected, &ask.headers, added)?;
        if let Some(body) = body {
            // The dialect has written its parameters into the body, so the length that the client sent is no longer
            // correct.
            headers.insert(CONTENT_LENGTH, body.len().into());
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let with_query;
        let target = match ask.query.as_str() {
            "" => ask.path.as_str(),
            query => {
                with_query = [ask.path.as_str(), "?", query].concat();
                with_query.as_str()
            }
        };
        let request = RequestHeader::build_no_case(ask.method.clone(), target.as_bytes(), Some(0));
        let mut parts = Parts::from(request.map_err(|error| unsendable(&error))?);
        parts.headers = headers;
        Ok(RequestHeader::from(parts))
    }
}

/// Returns the mark of the pivot's keys; `None` if the keys are known, or if the position has no pivot or the pivot no
/// mark.
fn pivot_mark(request: &PageRequest) -> Option<Mark> {
    match &request.target().position {
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) if request.known_pivot().is_none() => {
            pivot.fingerprint
        }
        _ => None,
    }
}

/// Returns whether a position comes from an earlier page.
fn is_continued(position: &Position) -> bool {
    match position {
        Position::Start | Position::End | Position::At(_) => false,
        // A client can name an id itself, without an earlier page. Test: `clients_name_items_by_their_ids`.
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => pivot.fingerprint.is_some(),
        Position::After(_)
        | Position::Before(_)
        | Position::AfterMarks(_)
        | Position::BeforeMarks(_)
        | Position::Token(_) => true,
    }
}

fn out_of_time() -> Failure {
    Problem::new(Code::BudgetExceeded, "the page was not found within the time allowed").into()
}

/// Returns the failure for a client's body that isn't an object. Such bodies are refused earlier, so this is a fault of
/// the gateway.
fn unwritable(error: &JsonError) -> Failure {
    Failure::logged(Code::Internal, "the request can't be forwarded to the upstream", error.to_string())
}

/// Returns the failure for a request whose path, query or headers can't be written.
fn unsendable(error: &pingora::BError) -> Failure {
    let said = "the request can't be forwarded to the upstream";
    Failure::logged(Code::RequestInvalid, said, error.etype().as_str().to_owned())
}
