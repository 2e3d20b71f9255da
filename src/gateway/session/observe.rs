//! Observation of routes: answers of the upstream pass to legacy clients as they are, and are then read as the gateway
//! would read them to serve a page. The verdicts are counted, so that operators know the obstacles before they let a
//! route serve.
//!
//! Observation delays no request: chunks are copied while they pass, up to the route's `budgets.answer_size`, and read
//! after the request by a blocking thread, one answer at a time in the whole process. If too many answers wait, further
//! ones are skipped.

use std::sync::Arc;

use http::{HeaderMap, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    downstream::{LegacyQuery, LegacySort},
    gateway::{
        lifecycle::process::InFlight,
        outcome::{access_log::Outcome, metrics::SERVABLE},
        request::target::RequestTarget,
        routes::{list::List, route::Route, table::RouteMatch},
        runtime::futures::seam,
    },
    pagination::{
        observed::{AnswerFault, judge},
        order::Ties,
    },
    upstream::{
        CompiledOrder, ReadingError, Unsortable,
        net::{
            error::FetchError,
            fetch,
            memory::{Memory, MemoryShare},
        },
    },
};

/// Maximum number of answers that wait to be read, in the whole process.
const MOST_KEPT: usize = 16;

/// The limits of observations in a process.
#[derive(Debug)]
pub(crate) struct Readers {
    kept: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { kept: Arc::new(Semaphore::new(MOST_KEPT)), reading: Arc::new(Semaphore::new(1)) }
    }
}

/// An answer on its way to the client that is to be observed.
#[derive(Debug)]
pub(crate) struct Observation {
    route: Arc<Route>,
    query: LegacyQuery,
    path: String,
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The longest body that is kept.
    most: usize,
    /// The reason that the body is not kept.
    given_up: Option<GivenUp>,
    held: MemoryShare,
    _kept: OwnedSemaphorePermit,
}

/// The reasons that a body is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    TooLarge,
    NoRoom,
}

/// A verdict, and details about places and fields, without values.
type ObservationVerdict = (&'static str, Option<String>);

/// Begins an observation at the head of an answer, if the answer is to be read.
pub(crate) fn begin(
    readers: &Readers,
    asked: &RequestHeader,
    answer: &ResponseHeader,
    (found, target): (&RouteMatch, &RequestTarget),
    (memory, outcome): (&Arc<Memory>, &mut Outcome),
) -> Option<Box<Observation>> {
    seam(&outcome.path, "observe");
    let observed = found.route.observed.as_ref().filter(|_| asked.method == Method::GET)?;
    // With `Range`, parameters alone don't determine the part that is asked for.
    let query = observed.list.conventions.own().parameters.legacy_query(target.query.as_deref());
    let query = query.filter(|_| !asked.headers.contains_key(header::RANGE));
    let kept = match query {
        None => Err("request"),
        Some(query) if query.sort == LegacySort::Unread => Err("sort"),
        Some(_) if answer.status == 304 => Err("unchanged"),
        Some(_) if !observed.has_turn() => Err("sample"),
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
        path: found.route.target(&target.path, &found.parameters, ""),
        route: Arc::clone(&found.route),
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

/// Reads the answer after its request has ended. The line in the access log is written after that.
pub(crate) fn end(
    observation: Box<Observation>,
    readers: &Readers,
    in_flight: InFlight,
    outcome: &mut Outcome,
    is_whole: bool,
) {
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
        let (verdict, detail) = read.unwrap_or_else(|_| ("failed", Some("the gateway failed to read it".to_owned())));
        if verdict != SERVABLE && route.observed.as_ref().is_some_and(|observed| observed.is_first(verdict)) {
            tracing::warn!(
                route = route.name,
                cause = verdict,
                request_id = outcome.request_id,
                detail,
                "this answer could not have been served; further ones are in the access log and the metrics"
            );
        }
        outcome.counted.observed = Some(verdict);
        outcome.detail = outcome.detail.take().or(detail);
        drop((outcome, in_flight));
    });
}

impl Observation {
    /// Keeps a part of the body, as long as all of it fits into the limits.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
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

    fn give_up(&mut self, why: GivenUp) {
        (self.given_up, self.body) = (Some(why), Vec::new());
        self.held.keep(0);
    }

    fn read(self) -> ObservationVerdict {
        seam(&self.path, "read");
        match self.judged() {
            Ok(()) => (SERVABLE, None),
            Err((cause, detail)) => (cause, Some(detail)),
        }
    }

    fn judged(mut self) -> Result<(), (&'static str, String)> {
        let body = std::mem::take(&mut self.body);
        let Some(observed) = &self.route.observed else { return Ok(()) };
        let (list, most) = (&observed.list, self.most);
        if self.given_up == Some(GivenUp::TooLarge) {
            return Err(("too_large", format!("the answer has more than {most} bytes: budgets.answer_size")));
        }
        let sorted = self.sorted(list)?;
        let chosen = matches!(self.query.sort, LegacySort::Chosen(..));
        let Self { query, path, status, headers, .. } = &self;
        let request = list.dialect.observed(&sorted, chosen, &query.pairs, &query.filters, path);
        let request = request.map_err(|fault| ("parameters", fault.to_string()))?;
        let decoded = match fetch::decode(headers, &body, most, &self.held) {
            Ok(decoded) => decoded,
            Err(FetchError::TooLarge(detail)) => return Err(("too_large", detail)),
            Err(FetchError::Overloaded(full)) => return Err(("failed", full.to_string())),
            Err(error) => return Err(("encoding", error.to_string())),
        };
        let (status, body) = (*status, decoded.unwrap_or(body));
        let depth = list.budgets.answer_depth;
        let answer = list.dialect.read(&sorted, &request.ask, status, headers, body, depth);
        let answer = answer.map_err(|error| cause(&error, status))?;
        if let Some(key) = list.dialect.untold(&answer) {
            return Err(("facts", format!("nothing stands where {key} says")));
        }
        let mut order = sorted.order.as_ref().clone();
        if chosen {
            // A legacy client sorts without the id as the last key, which the gateway would add.
            order = order.with_ties(Ties::Unordered);
        }
        judge(answer, request.asked, &order, list.dialect.paging()).map_err(|doubt| match doubt {
            AnswerFault::Ids(detail) => ("ids", detail),
            AnswerFault::Kinds(detail) => ("kinds", detail),
            AnswerFault::Order(detail) => ("order", detail),
            AnswerFault::Size(detail) => ("size", detail),
        })
    }

    /// Returns the order that the answer is checked against: the order of the request, or the declared one.
    fn sorted(&self, list: &List) -> Result<Arc<CompiledOrder>, (&'static str, String)> {
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

/// Classifies an answer that is no list. A success that the dialect declares a failure is no list either.
fn cause(error: &ReadingError, status: u16) -> (&'static str, String) {
    let cause = match error {
        ReadingError::TooDeep(_) | ReadingError::TooManyItems(_) => "too_large",
        ReadingError::Malformed(_) => "shape",
        ReadingError::Failed { .. } | ReadingError::Redirected { .. } => "status",
        ReadingError::Unavailable(_) if (200..300).contains(&status) => "shape",
        ReadingError::Unavailable(_) => "status",
    };
    (cause, error.to_string())
}
