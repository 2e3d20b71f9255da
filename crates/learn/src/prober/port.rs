//! The interface between the prober and the caller that sends its requests, one at a time. A procedure is an `async`
//! function that awaits only its mailbox, so it needs no executor.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderMap, HeaderName, Method};

/// A request that only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRequest {
    /// GET, or POST if the user of the command states that it only reads.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, encoded; empty without one.
    pub query: String,
    /// The body of a POST; `None` for a GET.
    pub body: Option<String>,
    /// A header of the target that the caller leaves out of this request; `None` to send all headers.
    pub without: Option<HeaderName>,
    /// Headers of this request in addition to the headers of the target.
    pub headers: Vec<(HeaderName, String)>,
    /// The time to wait before the request is sent.
    pub pause: Duration,
}

impl ProbeRequest {
    /// Returns a GET request without a pause and without additional headers.
    #[must_use]
    pub fn get(path: String, query: String) -> Self {
        let (method, headers, pause) = (Method::GET, Vec::new(), Duration::ZERO);
        Self { method, path, query, body: None, without: None, headers, pause }
    }
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct ProbeAnswer {
    /// The HTTP status code.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// The time from the request to the last byte.
    pub elapsed: Duration,
}

/// The reason why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeFault {
    /// The upstream does not answer, for this reason.
    Unreachable(String),
    /// The recording has no answer to the request.
    NotRecorded,
}

/// An answer, or the reason why there is none.
pub type ProbeOutcome = Result<ProbeAnswer, ProbeFault>;

#[derive(Debug, Default)]
enum ProbeMail {
    #[default]
    Empty,
    Question(ProbeRequest),
    Answer(ProbeOutcome),
}

/// A handle to the mailbox that a procedure shares with its caller. The mailbox holds one request or one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox(Rc<RefCell<ProbeMail>>);

impl Mailbox {
    /// Posts a request and waits for its answer.
    pub(crate) async fn ask(&self, request: ProbeRequest) -> ProbeOutcome {
        self.0.replace(ProbeMail::Question(request));
        poll_fn(|_| match self.0.take() {
            ProbeMail::Answer(outcome) => Poll::Ready(outcome),
            // The first poll finds the request, which `Suspended::poll` takes from the mailbox afterwards, so the
            // request is put back.
            waiting => {
                self.0.replace(waiting);
                Poll::Pending
            }
        })
        .await
    }
}

/// A procedure that waits for an answer.
pub(crate) struct Suspended<T> {
    procedure: Pin<Box<dyn Future<Output = T>>>,
    mailbox: Mailbox,
}

/// The next request of a procedure, or its result.
pub(crate) enum Polled<T> {
    Ask(ProbeRequest, Suspended<T>),
    Done(T),
}

impl<T> Suspended<T> {
    /// Runs a procedure until its first request or its end.
    pub(crate) fn begin<F: Future<Output = T> + 'static>(procedure: impl FnOnce(Mailbox) -> F) -> Polled<T> {
        let mailbox = Mailbox::default();
        Self { procedure: Box::pin(procedure(mailbox.clone())), mailbox }.poll()
    }

    /// Continues with the answer to the last request.
    pub(crate) fn resume(self, outcome: ProbeOutcome) -> Polled<T> {
        self.mailbox.0.replace(ProbeMail::Answer(outcome));
        self.poll()
    }

    #[expect(clippy::unreachable, reason = "a procedure awaits only its mailbox")]
    fn poll(mut self) -> Polled<T> {
        match self.procedure.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Polled::Done(result),
            Poll::Pending => match self.mailbox.0.take() {
                ProbeMail::Question(request) => Polled::Ask(request, self),
                ProbeMail::Empty | ProbeMail::Answer(_) => unreachable!("a procedure that waits has asked"),
            },
        }
    }
}
