//! Observation of routes: answers of the upstream pass to legacy clients as they are, and are then read as the gateway
//! would read them to serve a page. The verdicts are counted, so that operators know the obstacles before they let a
//! route serve.
//!
//! Observation delays no request: chunks are copied while they pass, up to the route's `budgets.answer_size`, and read
//! after the request by a blocking thread, one answer at a time in the whole process. If too many answers wait, further
//! ones are skipped.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use http::{HeaderMap, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    downstream::{LegacyQuery, LegacySort},
    gateway::{
        lifecycle::process::InFlight,
        outcome::{access_log::Outcome, metrics::SERVABLE},
        request::target::RequestTarget,
        routes::{list::List, observed::ObservedList, route::Route, table::RouteMatch},
        runtime::{clock, futures::seam},
    },
    learn::traffic::{ListTraffic, TrafficFault, TrafficRequest, TrafficResponse},
    pagination::{
        answer::{Answer, Standing},
        observed::{AnswerFault, judge},
        order::Ties,
    },
    upstream::{
        CompiledOrder, ObservedRequest, ReadingError, Unsortable,
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
#[derive(Clone, Debug)]
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
    /// A fingerprint of the principal.
    principal: u64,
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

/// A verdict against an answer, and details about places and fields, without values.
type AnswerVerdict = (&'static str, String);

/// The result of an observation.
struct ObservationResult {
    /// The verdict, and its details.
    verdict: (&'static str, Option<String>),
    /// The differences from the configuration.
    faults: Vec<TrafficFault>,
}

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
        principal: principal(&asked.headers, &observed.list),
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

/// Returns a fingerprint of the headers that decide whose view of the list an answer is.
fn principal(headers: &HeaderMap, list: &List) -> u64 {
    let mut hasher = DefaultHasher::new();
    for name in &list.protected {
        headers.get_all(name).iter().for_each(|value| value.as_bytes().hash(&mut hasher));
        hasher.write_u8(0);
    }
    hasher.finish()
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
        let failed = || ("failed", Some("the gateway failed to read it".to_owned()));
        let ObservationResult { verdict: (verdict, detail), faults } =
            read.unwrap_or_else(|_| ObservationResult { verdict: failed(), faults: Vec::new() });
        faults.iter().for_each(|fault| tell(&route, &outcome.request_id, fault));
        outcome.counted.observed = Some(verdict);
        outcome.detail = outcome.detail.take().or(detail);
        drop((outcome, in_flight));
    });
}

/// Counts a fault, and logs the first one of its kind.
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

    /// Judges the answer, and adds what differs from the configuration.
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
                let key = if known { String::new() } else { ListTraffic::key(asked, (cause, detail), response) };
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

    /// Returns the request as it is held against the configuration.
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

    fn decoded(&self, list: &List, body: Vec<u8>) -> Result<Vec<u8>, AnswerVerdict> {
        match fetch::decode(&self.headers, &body, list.budgets.answer_size, &self.held) {
            Ok(decoded) => Ok(decoded.unwrap_or(body)),
            Err(FetchError::TooLarge(detail)) => Err(("too_large", detail)),
            Err(FetchError::Overloaded(full)) => Err(("failed", full.to_string())),
            Err(error) => Err(("encoding", error.to_string())),
        }
    }

    /// Judges the answer by itself; `review` gets it if it is a list.
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
            // The copy is dropped with the answer; one answer is read at a time.
            self.held.take(body.len()).map_err(|full| ("failed", full.to_string()))?;
            let depth = list.budgets.answer_depth;
            let answer = list.dialect.read(sorted, &request.ask, *status, headers, body.to_vec(), depth);
            answer.map_err(|error| cause(&error, *status))
        };
        let request = match observed(&query.pairs) {
            Ok(request) => request,
            Err(fault) => {
                // A page before the first one of the dialect still shows how pages are counted.
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
            return Err(("facts", format!("nothing stands where {key} says")));
        }
        let mut order = sorted.order.as_ref().clone();
        if asked.chosen {
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

/// Classifies an answer that is no list. A success that the dialect declares a failure is no list either.
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
