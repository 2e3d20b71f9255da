//! The session of a prober with one list: writes requests, counts them, remembers their answers, and obeys
//! `Retry-After`.

use std::{cell::RefCell, rc::Rc, time::Duration};

use http::{HeaderName, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{
    openapi::DocumentedList,
    paging::token::query_of,
    prober::answer::{SeenAnswer, step},
    prober::port::{Mailbox, ProbeFault, ProbeOutcome, ProbeRequest},
    prober::{ProbeLimits, ProbeTarget, looks_like_paging},
};
use cursorgate_translate::upstream::UpstreamRequest;

/// The largest number of times that a request is sent again after the upstream asks to wait. The session then ends.
const PATIENCE: usize = 2;

/// The longest wait that is accepted, in seconds. A longer one ends the session.
const LONGEST_WAIT: u64 = 60;

/// The wait after a 429 without `Retry-After`, in seconds.
const USUAL_WAIT: u64 = 5;

/// The largest number of requests without a recorded answer. Another one ends the session.
const MOST_NOT_RECORDED: usize = 1_000;

/// The characters of a query that are encoded. Brackets, `$`, `,`, `:` and `*` stay as they are, which keeps them
/// readable in the server's log.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b',')
    .remove(b':')
    .remove(b'[')
    .remove(b']')
    .remove(b'*');

/// A place in requests for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeSlot {
    /// A parameter of the query.
    Query(String),
    /// A member of the body, as a JSON Pointer.
    Body(String),
    /// A header.
    Header(HeaderName),
}

impl ProbeSlot {
    /// Returns the name of the parameter or header, or the pointer to the member.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Query(name) | Self::Body(name) => name,
            Self::Header(name) => name.as_str(),
        }
    }
}

/// A slot and its value in one request.
pub(crate) type Setting = (ProbeSlot, String);

/// The reason why a prober can't send another request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProbeHalt {
    /// The allowed number of requests was sent, or too many requests have no recorded answer.
    Budget,
    /// The upstream asks for a longer wait than [`LONGEST_WAIT`], or asks to wait more often than [`PATIENCE`] allows.
    Throttled(String),
    /// The upstream does not answer.
    Unreachable(String),
}

impl std::fmt::Display for ProbeHalt {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Budget => out.write_str("the requests were spent: --requests allows more"),
            Self::Throttled(said) => write!(out, "the upstream asks to come back later: {said}"),
            Self::Unreachable(fault) => write!(out, "the upstream gives no answer: {fault}"),
        }
    }
}

/// The parameters of a request beside those of every request, by their names.
pub(crate) type FurtherParameters = Vec<(String, String)>;

pub(crate) struct Session {
    mailbox: Mailbox,
    pub(crate) target: ProbeTarget,
    pub(crate) limits: ProbeLimits,
    /// The requests so far with their answers or substitutes. They are at most [`ProbeLimits::requests`] requests that
    /// were sent, and [`MOST_NOT_RECORDED`] that were not recorded.
    known: RefCell<Vec<(ProbeRequest, Rc<SeenAnswer>)>>,
    sent: RefCell<usize>,
    not_recorded: RefCell<usize>,
    /// Reasons in the given URL for which the first answer may be a part of the list.
    pub(crate) unclear: Vec<String>,
    /// The largest offset that was requested.
    pub(crate) deepest: RefCell<u64>,
}

impl Session {
    pub(crate) fn new(mailbox: Mailbox, target: ProbeTarget, limits: ProbeLimits) -> Self {
        Self {
            mailbox,
            target,
            limits,
            known: RefCell::default(),
            sent: RefCell::default(),
            not_recorded: RefCell::default(),
            unclear: Vec::new(),
            deepest: RefCell::default(),
        }
    }

    /// Returns the number of requests that were sent.
    pub(crate) fn sent(&self) -> usize {
        *self.sent.borrow()
    }

    /// Returns the number of requests that were not recorded.
    pub(crate) fn not_recorded(&self) -> usize {
        *self.not_recorded.borrow()
    }

    /// Returns whether a test holds for an answer so far.
    pub(crate) fn find_answer<T>(&self, test: impl Fn(&SeenAnswer) -> Option<T>) -> Option<T> {
        self.known.borrow().iter().find_map(|(_, seen)| test(seen))
    }

    /// Returns all answers to requests for the list so far.
    pub(crate) fn lists(&self) -> Vec<Rc<SeenAnswer>> {
        let known = self.known.borrow();
        known.iter().filter(|(request, _)| request.path == self.target.path).map(|(_, seen)| Rc::clone(seen)).collect()
    }

    /// Returns the answers to requests for the list with further parameters, which decide which items come: these
    /// parameters, decoded, and the answer. Requests without a filter of the list are left out.
    pub(crate) fn with_further_parameters(&self) -> Vec<(FurtherParameters, Rc<SeenAnswer>)> {
        let fixed = &self.target.fixed;
        let further = |request: &ProbeRequest| {
            let is_list = request.path == self.target.path && request.without.is_none();
            let is_own_host = request.headers.iter().all(|(name, _)| *name != http::header::HOST);
            let mut pairs = query_of(&format!("?{}", request.query));
            let is_filter = |(name, _): &&(String, String)| !looks_like_paging(name);
            let has_filters = fixed.iter().filter(is_filter).all(|own| pairs.contains(own));
            pairs.retain(|own| !fixed.contains(own));
            // A page or a size in every request is a parameter of paging all the same.
            pairs.extend(request.headers.iter().map(|(name, value)| (name.to_string(), value.clone())));
            let own_body = self.target.body.as_ref().map(ToString::to_string);
            let body = request.body.as_ref().filter(|body| own_body.as_ref().is_some_and(|own| own != *body));
            pairs.extend(body.map(|body| ("the body".to_owned(), body.clone())));
            (is_list && is_own_host && has_filters && !pairs.is_empty()).then_some(pairs)
        };
        let known = self.known.borrow();
        known.iter().filter_map(|(request, seen)| Some((further(request)?, Rc::clone(seen)))).collect()
    }

    /// Returns the distinct numbers that a parameter has in recorded requests, in ascending order.
    pub(crate) fn recorded_numbers(&self, name: &str) -> Vec<u64> {
        let pairs = self.target.recorded.iter().flatten().filter(|(own, _)| own == name);
        let numbers: std::collections::BTreeSet<u64> = pairs.filter_map(|(_, value)| value.parse().ok()).collect();
        numbers.into_iter().collect()
    }

    /// Returns the description of the list in a document; an empty one without a document.
    pub(crate) fn documented(&self) -> &DocumentedList {
        static NOTHING: DocumentedList = DocumentedList::nothing();
        self.target.documented.as_deref().unwrap_or(&NOTHING)
    }

    /// Returns the number that a parameter has in the target's fixed parameters; `None` if it has none. A setting can
    /// replace it in a request.
    pub(crate) fn fixed_number(&self, name: &str) -> Option<u64> {
        self.target.fixed.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.parse().ok())
    }

    /// Returns the number of requests that may still be sent.
    pub(crate) fn left(&self) -> usize {
        self.limits.requests.saturating_sub(self.sent())
    }

    /// Returns the place of a parameter in requests: in the body for POST, in the query otherwise. For POST, a name
    /// that begins with a slash is a JSON Pointer.
    pub(crate) fn slot(&self, name: &str) -> ProbeSlot {
        match (&self.target.body, name.starts_with('/')) {
            (Some(_), true) => ProbeSlot::Body(name.to_owned()),
            (Some(_), false) => ProbeSlot::Body(step(name)),
            (None, _) => ProbeSlot::Query(name.to_owned()),
        }
    }

    /// Requests the list with these parameters. A repeated request is answered from memory.
    pub(crate) async fn ask(&self, settings: &[Setting]) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let request = self.request(&self.target.path, settings);
        self.send(request).await
    }

    /// Sends a request for the list again, to compare two answers to the same request.
    pub(crate) async fn ask_again(&self, settings: &[Setting]) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let request = self.request(&self.target.path, settings);
        self.send_anew(request).await
    }

    /// Requests the list without one of the target's headers.
    pub(crate) async fn ask_without(
        &self,
        header: &HeaderName,
        settings: &[Setting],
    ) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let request = ProbeRequest { without: Some(header.clone()), ..self.request(&self.target.path, settings) };
        self.send(request).await
    }

    /// Requests the list with another `Host`.
    pub(crate) async fn ask_at_host(&self, host: &str) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let headers = vec![(http::header::HOST, host.to_owned())];
        self.send(ProbeRequest { headers, ..self.request(&self.target.path, &[]) }).await
    }

    /// Requests another path, without parameters.
    pub(crate) async fn ask_path(&self, path: &str) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let mut request = self.request(path, &[]);
        // A single item is read by GET, even if the list is read by POST. Test: `searches_by_post_are_learnt`.
        (request.query, request.body, request.method) = (String::new(), None, Method::GET);
        self.send(request).await
    }

    /// Sends a request that a dialect wrote.
    pub(crate) async fn ask_as(&self, ask: &UpstreamRequest) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let own = self.target.body.as_ref().map(|body| body.to_string().into_bytes());
        let body = ask.body(own.as_deref()).ok().flatten();
        let header =
            |(name, value): &(HeaderName, http::HeaderValue)| Some((name.clone(), value.to_str().ok()?.to_owned()));
        let request = ProbeRequest {
            method: ask.method.clone(),
            path: ask.path.clone(),
            query: ask.query.clone(),
            body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
            without: None,
            headers: ask.headers.iter().filter_map(header).collect(),
            pause: if self.sent() == 0 { Duration::ZERO } else { self.limits.delay },
        };
        self.send(request).await
    }

    fn request(&self, path: &str, settings: &[Setting]) -> ProbeRequest {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        // A parameter must not be sent twice, since the upstream could read either value, so a setting replaces a
        // fixed parameter.
        let overridden = |name: &str| settings.iter().any(|(slot, _)| *slot == ProbeSlot::Query(name.to_owned()));
        for (name, value) in self.target.fixed.iter().filter(|(name, _)| !overridden(name)) {
            pairs.push((name, value));
        }
        let (mut body, mut headers) = (self.target.body.clone(), Vec::new());
        for (slot, value) in settings {
            match (slot, &mut body) {
                (ProbeSlot::Query(name), _) => pairs.push((name, value)),
                (ProbeSlot::Header(name), _) => headers.push((name.clone(), value.clone())),
                (ProbeSlot::Body(pointer), Some(body)) => set(body, pointer, value),
                (ProbeSlot::Body(_), None) => {}
            }
        }
        ProbeRequest {
            method: if body.is_some() { Method::POST } else { Method::GET },
            path: path.to_owned(),
            query: encoded(&pairs),
            body: body.map(|body| body.to_string()),
            without: None,
            headers,
            pause: if self.sent() == 0 { Duration::ZERO } else { self.limits.delay },
        }
    }

    async fn send(&self, request: ProbeRequest) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        // Requests that differ only in their pauses are the same, so they share an answer.
        let is_same = |known: &ProbeRequest| ProbeRequest { pause: request.pause, ..known.clone() } == request;
        let known = self.known.borrow().iter().find(|(known, _)| is_same(known)).map(|(_, seen)| Rc::clone(seen));
        match known {
            Some(seen) => Ok(seen),
            None => self.send_anew(request).await,
        }
    }

    async fn send_anew(&self, mut request: ProbeRequest) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        for attempt in 0..=PATIENCE {
            if self.left() == 0 {
                return Err(ProbeHalt::Budget);
            }
            // A repetition of a request counts as another request.
            *self.sent.borrow_mut() += 1;
            let seen = match self.mailbox.ask(request.clone()).await {
                ProbeOutcome::Ok(answer) => Rc::new(SeenAnswer::read(answer)),
                ProbeOutcome::Err(ProbeFault::NotRecorded) => return self.miss(request),
                ProbeOutcome::Err(ProbeFault::Unreachable(fault)) => return Err(ProbeHalt::Unreachable(fault)),
            };
            // An upstream that asks to wait doesn't refuse the parameters, so the request is sent again. Test:
            // `an_upstream_that_asks_to_wait_is_obeyed`.
            let Some(wait) = asked_to_wait(&seen) else {
                self.known.borrow_mut().push((request, Rc::clone(&seen)));
                return Ok(seen);
            };
            if wait > LONGEST_WAIT || attempt == PATIENCE {
                return Err(ProbeHalt::Throttled(format!("{} with Retry-After {wait} s", seen.status)));
            }
            request.pause = Duration::from_secs(wait).max(self.limits.delay);
        }
        Err(ProbeHalt::Budget)
    }

    /// Counts a request as not recorded instead of sent, and returns the substitute for its answer. Ends the session
    /// if there are more than [`MOST_NOT_RECORDED`].
    fn miss(&self, request: ProbeRequest) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        *self.sent.borrow_mut() -= 1;
        *self.not_recorded.borrow_mut() += 1;
        if self.not_recorded() > MOST_NOT_RECORDED {
            return Err(ProbeHalt::Budget);
        }
        let seen = Rc::new(SeenAnswer::not_recorded());
        self.known.borrow_mut().push((request, Rc::clone(&seen)));
        Ok(seen)
    }
}

/// Returns the wait in seconds that an answer asks for; `None` unless the answer is a 429, or a 503 with `Retry-After`.
fn asked_to_wait(seen: &SeenAnswer) -> Option<u64> {
    let said = seen.header("retry-after").and_then(|text| text.trim().parse().ok());
    match StatusCode::from_u16(seen.status) {
        Ok(StatusCode::TOO_MANY_REQUESTS) => Some(said.unwrap_or(USUAL_WAIT)),
        Ok(StatusCode::SERVICE_UNAVAILABLE) => said,
        _ => None,
    }
}

/// Returns the query string with these parameters, percent-encoded.
pub(crate) fn encoded(pairs: &[(&str, &str)]) -> String {
    let part = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    pairs.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect::<Vec<_>>().join("&")
}

/// Sets the member at a pointer in a body, as a number if the text is a whole number. Adds missing members on the way.
fn set(body: &mut Value, pointer: &str, text: &str) {
    let value = text.parse::<u64>().map_or_else(|_| Value::String(text.to_owned()), Value::from);
    let mut at = body;
    for name in pointer.split('/').skip(1) {
        // The document may describe members that the given body lacks, so they are added.
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(members) = at else { return };
        at = members.entry(name.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null);
    }
    *at = value;
}
