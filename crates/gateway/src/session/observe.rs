//! Observation of routes (`action = "observe"`): answers of the upstream pass to legacy clients unchanged. Afterwards
//! the gateway reads them as if it served pages. The verdicts are counted. The counts show operators the obstacles
//! before a route serves pages.
//!
//! Observation delays no request: parts of the body are copied while they pass, up to the route's
//! `budgets.answer_size`, and read after the request on a blocking thread, one answer at a time in the whole process.
//! If [`MOST_KEPT`] answers wait, more answers aren't read.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use http::{HeaderMap, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    identity::KnownClient,
    lifecycle::process::InFlight,
    net::{
        error::FetchError,
        fetch,
        memory::{Memory, MemoryShare},
    },
    outcome::{access_log::Outcome, metrics::SERVABLE},
    request::target::RequestTarget,
    routes::{list::List, observed::ObservedList, route::Route, table::RouteMatch},
    runtime::{clock, futures::seam},
};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    observed::{AnswerFault, judge},
    order::Ties,
};
use cursorgate_learn::traffic::{
    BODY_BY_GET, ListTraffic, MARKED_BY_NAME, TrafficFault, TrafficRequest, TrafficResponse,
};
use cursorgate_translate::{
    downstream::{LegacyQuery, LegacySort},
    upstream::CompiledOrder,
    upstream::ObservedRequest,
    upstream::ReadingError,
    upstream::Unsortable,
};

/// The largest number of answers that are kept at a time in the whole process, from their heads until they have been
/// read. Further answers aren't read.
const MOST_KEPT: usize = 16;

/// The limits of observations in a process.
#[derive(Clone, Debug)]
pub struct Readers {
    /// A permit for each answer that is kept, from its head until it has been read.
    kept: Arc<Semaphore>,
    /// The one permit to read an answer.
    reading: Arc<Semaphore>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { kept: Arc::new(Semaphore::new(MOST_KEPT)), reading: Arc::new(Semaphore::new(1)) }
    }
}

/// An answer that passes to the client and is to be read afterwards.
#[derive(Debug)]
pub struct Observation {
    route: Arc<Route>,
    query: LegacyQuery,
    /// The path of the request to the upstream.
    path: String,
    /// A hash of the principal's headers.
    principal: u64,
    status: u16,
    headers: HeaderMap,
    /// The bytes of the body so far; empty once the body is given up.
    body: Vec<u8>,
    /// The longest body that is kept, in bytes.
    most: usize,
    /// The reason that the body isn't kept; `None` while the body is kept.
    given_up: Option<GivenUp>,
    held: MemoryShare,
    _kept: OwnedSemaphorePermit,
}

/// The reason that a body isn't kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    /// The body is longer than `budgets.answer_size`.
    TooLarge,
    /// No memory was left.
    NoRoom,
}

/// A verdict against an answer, such as `order`, and details about places and fields. The details don't contain values
/// of items, because they are written to the log. Test:
/// `every_cause_is_logged_once_with_an_example_without_values`.
type AnswerVerdict = (&'static str, String);

struct ObservationResult {
    /// The verdict, and its details if it is against the answer. The verdict is [`SERVABLE`] or the word of an
    /// [`AnswerVerdict`].
    verdict: (&'static str, Option<String>),
    /// The differences between the answer and the configuration.
    faults: Vec<TrafficFault>,
}

/// Begins an observation at the head of an answer. Returns `None` if the answer isn't to be read. For a GET request on
/// a route that observes, the reason is then counted, such as `sample` if only every n-th answer is read.
pub fn begin(
    readers: &Readers,
    asked: &RequestHeader,
    answer: &ResponseHeader,
    found: &RouteMatch,
    target: &RequestTarget,
    memory: &Arc<Memory>,
    outcome: &mut Outcome,
) -> Option<Box<Observation>> {
    seam(&outcome.path, "observe");
    let observed = found.route.observed.as_ref().filter(|_| asked.method == Method::GET)?;
    // With a `Range` header, the parameters aren't enough to determine the requested part of the list, so the answer
    // isn't read.
    let query = observed.list.conventions.own().parameters.legacy_query(target.query.as_deref());
    let query = query.filter(|_| !asked.headers.contains_key(header::RANGE));
    let has_body = has_body(&asked.headers);
    if has_body {
        let detail =
            "a GET request has a body: it passes, and in a request for a page its members are filters".to_owned();
        let key = "nothing, if the members are filters; a list whose pages are asked for in the body is read by POST";
        tell(&found.route, &outcome.request_id, &TrafficFault { kind: BODY_BY_GET, detail, key: key.to_owned() });
    }
    let kept = match query {
        None => Err("request"),
        // The filters in the body aren't known here, so answers to different bodies can't be compared.
        Some(_) if has_body => Err("body"),
        Some(query) if query.sort == LegacySort::Unread => Err("sort"),
        Some(_) if answer.status == 304 => Err("unchanged"),
        Some(_) if !observed.has_turn() => Err("sample"),
        // Observation must not delay a request, so it doesn't wait for a permit. Test:
        // `observed_answers_beyond_the_bound_are_passed_on_unread`.
        Some(query) => Arc::clone(&readers.kept).try_acquire_owned().map_err(|_| "busy").map(|kept| (query, kept)),
    };
    let (query, kept) = match kept {
        Ok(kept) => kept,
        Err(reason) => {
            outcome.counted.unobserved = Some(reason);
            return None;
        }
    };
    let most = observed.list.budgets.answer_size;
    Some(Box::new(Observation {
        path: found.route.passed_target(&target.path, &found.parameters, ""),
        route: Arc::clone(&found.route),
        principal: principal(&asked.headers, outcome.known.as_deref(), &observed.list),
        query,
        status: answer.status.as_u16(),
        headers: answer.headers.clone(),
        body: Vec::new(),
        most,
        given_up: None,
        held: memory.share(),
        _kept: kept,
    }))
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

/// Returns a hash of the client, who decides which items are in an answer.
fn principal(headers: &HeaderMap, known: Option<&KnownClient>, list: &List) -> u64 {
    let mut hasher = DefaultHasher::new();
    list.viewer(headers, known).hash_into(&mut hasher);
    hasher.finish()
}

/// Reads the answer in a task of its own, after its request has ended, and then writes the line in the access log with
/// the verdict. An answer that broke off, or for which no memory was left, isn't read.
pub fn end(
    observation: Box<Observation>,
    readers: &Readers,
    in_flight: InFlight,
    outcome: &mut Outcome,
    is_whole: bool,
) {
    // A part of an answer doesn't show whether the gateway could serve the list, so it isn't read. Test:
    // `observed_answers_are_streamed_to_the_client`.
    if !is_whole {
        outcome.counted.unobserved = Some("cut");
        return;
    }
    if observation.given_up == Some(GivenUp::NoRoom) {
        outcome.counted.unobserved = Some("busy");
        return;
    }
    let mut outcome = outcome.leave();
    let reading = Arc::clone(&readers.reading);
    // `in_flight` is moved into the task: a stopping process waits for the verdict.
    tokio::spawn(async move {
        let _turn = reading.acquire().await;
        let route = Arc::clone(&observation.route);
        let read = tokio::task::spawn_blocking(move || observation.read()).await;
        let failed = || ("failed", Some("the gateway failed to read it".to_owned()));
        // A panic on the blocking thread fails only this observation. Test: `a_panic_fails_one_request`.
        let ObservationResult { verdict: (verdict, detail), faults } =
            read.unwrap_or_else(|_| ObservationResult { verdict: failed(), faults: Vec::new() });
        faults.iter().for_each(|fault| tell(&route, &outcome.request_id, fault));
        outcome.counted.observed = Some(verdict);
        outcome.detail = outcome.detail.take().or(detail);
        drop((outcome, in_flight));
    });
}

/// Reports that a request would be a new client's only because of the name of a parameter.
pub fn note_name(route: &Route, name: &str, request_id: &str) {
    let detail = format!("clients send `{name}` already: these requests pass now, and would get pages");
    let key = "new_clients.by: leave this name out, unless only new clients send it";
    tell(route, request_id, &TrafficFault { kind: MARKED_BY_NAME, detail, key: key.to_owned() });
}

/// Counts a fault, and logs it if it is the first of its kind on the route.
fn tell(route: &Route, request_id: &str, TrafficFault { kind, detail, key }: &TrafficFault) {
    if route.metrics.findings().note(kind, Some(detail), key, clock::unix_seconds()) {
        tracing::warn!(
            route = route.name,
            cause = kind,
            request_id,
            detail,
            hint = key,
            "an answer does not look as the configuration says; /migration counts further ones"
        );
    }
}

impl Observation {
    /// Keeps a part of the body. If the body exceeds a limit, drops all of it.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.given_up.is_some() {
            return;
        }
        if bytes.len() > self.most - self.body.len() {
            self.give_up(GivenUp::TooLarge);
        } else if self.held.reserve(&mut self.body, bytes.len(), self.most).is_err() {
            self.give_up(GivenUp::NoRoom);
        } else {
            self.body.extend_from_slice(bytes);
        }
    }

    /// Drops the body and frees its memory. The answer itself still passes to the client.
    fn give_up(&mut self, why: GivenUp) {
        (self.given_up, self.body) = (Some(why), Vec::new());
        self.held.keep(0);
    }

    /// Reads the answer and judges it. Runs on a blocking thread.
    fn read(mut self) -> ObservationResult {
        seam(&self.path, "read");
        let (route, body) = (Arc::clone(&self.route), std::mem::take(&mut self.body));
        let Some(observed) = &route.observed else {
            return ObservationResult { verdict: (SERVABLE, None), faults: Vec::new() };
        };
        let mut faults = Vec::new();
        let verdict = match self.judged(observed, body, &mut faults) {
            Ok(()) => (SERVABLE, None),
            Err((cause, detail)) => (cause, Some(detail)),
        };
        ObservationResult { verdict, faults }
    }

    /// Judges the answer, and adds its differences from the configuration to `faults`.
    ///
    /// # Errors
    ///
    /// Returns the verdict against an answer that could not be served.
    fn judged(
        &self,
        observed: &ObservedList,
        body: Vec<u8>,
        faults: &mut Vec<TrafficFault>,
    ) -> Result<(), AnswerVerdict> {
        let (list, order) = (&observed.list, self.sorted(&observed.list));
        let sorted = order.as_deref().unwrap_or_else(|_| list.dialect.default_sorted());
        let mut asked = self.asked(list, sorted);
        let read = order.clone().and_then(|sorted| {
            if self.given_up == Some(GivenUp::TooLarge) {
                let most = self.most;
                return Err(("too_large", format!("the answer has more than {most} bytes: budgets.answer_size")));
            }
            Ok((sorted, self.decoded(list, body)?))
        });
        let explained = |asked: &TrafficRequest<'_>, body: &[u8], (cause, detail): &AnswerVerdict| {
            let traffic = observed.traffic();
            let kind = ListTraffic::kind(cause, self.status);
            let known = self.route.metrics.findings().knows(kind);
            traffic.past_end(asked, cause, self.status).unwrap_or_else(|| {
                let response = TrafficResponse { status: self.status, headers: &self.headers, body };
                // Only the first fault of a kind is logged with its key, so the keys of later faults aren't looked for.
                let key = if known { String::new() } else { ListTraffic::key(asked, cause, detail, response) };
                TrafficFault { kind, detail: detail.clone(), key }
            })
        };
        let (sorted, body) = match read {
            Ok(read) => read,
            Err(verdict) => {
                faults.push(explained(&asked, b"", &verdict));
                return Err(verdict);
            }
        };
        let judged = self.judge(list, &sorted, &mut asked, &body, |asked, answer| {
            faults.extend(observed.traffic().review(asked, answer));
        });
        judged.inspect_err(|verdict| faults.push(explained(&asked, &body, verdict)))
    }

    /// Returns the request in the form that is compared with the configuration.
    fn asked<'a>(&'a self, list: &'a List, sorted: &'a CompiledOrder) -> TrafficRequest<'a> {
        let mut hasher = DefaultHasher::new();
        (&self.path, self.principal, format!("{:?}", self.query.sort)).hash(&mut hasher);
        TrafficRequest {
            dialect: &list.dialect,
            sorted,
            chosen: matches!(self.query.sort, LegacySort::Chosen(..)),
            view: hasher.finish(),
            pairs: &self.query.pairs,
            others: &self.query.filters,
            size: None,
        }
    }

    /// Decodes the body by its content coding.
    fn decoded(&self, list: &List, body: Vec<u8>) -> Result<Vec<u8>, AnswerVerdict> {
        // Only the copy is decoded. The client gets the answer in its original coding. Test:
        // `encoded_answers_pass_as_they_are_and_are_decoded_for_reading_alone`.
        match fetch::decode(&self.headers, &body, list.budgets.answer_size, &self.held) {
            Ok(decoded) => Ok(decoded.unwrap_or(body)),
            Err(FetchError::TooLarge(detail)) => Err(("too_large", detail)),
            Err(FetchError::Overloaded(full)) => Err(("failed", full.to_string())),
            Err(error) => Err(("encoding", error.to_string())),
        }
    }

    /// Judges the answer by itself, and calls `review` with the answer if it is a list, even if the request has an
    /// invalid page number.
    ///
    /// # Errors
    ///
    /// Returns the verdict against an answer that could not be served.
    fn judge(
        &self,
        list: &List,
        sorted: &CompiledOrder,
        asked: &mut TrafficRequest<'_>,
        body: &[u8],
        mut review: impl FnMut(&TrafficRequest<'_>, &Answer),
    ) -> Result<(), AnswerVerdict> {
        let Self { query, path, status, headers, .. } = self;
        let observed =
            |pairs: &[(String, String)]| list.dialect.observed(sorted, asked.chosen, pairs, &query.filters, path);
        let read = |request: &ObservedRequest| {
            // `to_vec` makes a copy, which needs memory until the answer is dropped. Only one answer is read at a time.
            self.held.take(body.len()).map_err(|full| ("failed", full.to_string()))?;
            let depth = list.budgets.answer_depth;
            let answer = list.dialect.read(sorted, &request.ask, *status, headers, body.to_vec(), depth);
            answer.map_err(|error| cause(&error, *status))
        };
        let request = match observed(&query.pairs) {
            Ok(request) => request,
            Err(fault) => {
                // A page number below the dialect's first one still shows how the upstream counts pages, so the answer
                // is reviewed without that parameter.
                let place = list.dialect.place_name();
                let rest: Vec<_> =
                    query.pairs.iter().filter(|(name, _)| Some(name) != place.as_ref()).cloned().collect();
                if let Some((request, answer)) =
                    observed(&rest).ok().and_then(|request| read(&request).ok().map(|answer| (request, answer)))
                {
                    asked.size = request.asked.size.map(|size| size.0);
                    review(asked, &answer);
                }
                return Err(("parameters", fault.to_string()));
            }
        };
        asked.size = request.asked.size.map(|size| size.0);
        let answer = read(&request)?;
        if answer.standing == Standing::Listed {
            review(asked, &answer);
        }
        if let Some(key) = list.dialect.untold(&answer) {
            return Err(("facts", format!("there is nothing at the place that {key} names")));
        }
        let mut order = sorted.order.as_ref().clone();
        if asked.chosen {
            // A legacy client doesn't sort by the id, which the gateway would add as the last key. So ties may be in
            // any order. Test: `observed_answers_are_checked_against_the_requested_order`.
            order = order.with_ties(Ties::Unordered);
        }
        judge(answer, request.asked, &order, list.dialect.paging()).map_err(|doubt| match doubt {
            AnswerFault::Ids(detail) => ("ids", detail),
            AnswerFault::Kinds(detail) => ("kinds", detail),
            AnswerFault::Order(detail) => ("order", detail),
            AnswerFault::Size(detail) => ("size", detail),
        })
    }

    /// Returns the order that the answer is checked against: the order that the request chooses, or else the declared
    /// order.
    ///
    /// # Errors
    ///
    /// Returns the verdict against an order that the gateway could not request from the upstream.
    fn sorted(&self, list: &List) -> Result<Arc<CompiledOrder>, AnswerVerdict> {
        let LegacySort::Chosen(terms, id_direction) = &self.query.sort else {
            return Ok(Arc::clone(list.dialect.default_sorted()));
        };
        match list.dialect.sorted(terms, *id_direction) {
            Ok(sorted) => Ok(Arc::new(sorted)),
            Err(Unsortable::Opaque(_)) => {
                Err(("kinds", "the request sorts by a field that can only be the last one of a sort".to_owned()))
            }
            Err(Unsortable::TooManyKeys(_)) => {
                Err(("order", "the request sorts by more fields than the upstream can be asked for".to_owned()))
            }
            Err(Unsortable::OneOrder | Unsortable::Unplaced(_)) => {
                Err(("order", "the request sorts in a way that the upstream can't be asked for".to_owned()))
            }
        }
    }
}

/// Classifies an answer that isn't a list. An answer with a status 2xx that the dialect declares a failure counts as
/// `shape`, and not as `status`.
fn cause(error: &ReadingError, status: u16) -> AnswerVerdict {
    let cause = match error {
        ReadingError::TooDeep(_) | ReadingError::TooManyItems(_) => "too_large",
        ReadingError::Malformed(_) => "shape",
        ReadingError::Failed { .. } | ReadingError::Redirected { .. } => "status",
        ReadingError::Unavailable(_) if (200..300).contains(&status) => "shape",
        ReadingError::Unavailable(_) => "status",
    };
    (cause, error.to_string())
}
