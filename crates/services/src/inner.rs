//! Requests of services through the gateway.
//!
//! An inner request is a whole HTTP/1.1 request over a pipe in memory instead of a socket. It has the address, the
//! certificate and the headers of the client that the service works for (`caller`). So the checks, limits, logs and
//! traces of that client's requests apply to it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use pingora::{
    http::RequestHeader,
    protocols::http::{ServerSession, v1::client::HttpSession},
};
use tokio::{io::DuplexStream, sync::watch, task::JoinError};

use super::{caller::Caller, pipe::PipeStream};
use cursorgate_gateway::{
    Gateway,
    outcome::failure::Failure,
    server::{application::Application as _, dispatch::unless_gone},
    session::service::Service,
    shared::explanations::Explanations,
};
use cursorgate_translate::downstream::Code;

/// The capacity of the pipe in bytes, to which the size of the request's body is added. The body must fit into the pipe
/// even if the gateway answers without reading it, because the sender reads the answer only after it has written the
/// body.
const PIPE: usize = 64 << 10;

/// The longest time to wait until a request that was given up has ended by itself. After that, the request is dropped.
const LEAVING: Duration = Duration::from_secs(1);

/// The largest number of informational responses (status 1xx) that are read before the final response. If there are
/// this many, the last of them is returned as the answer.
const MOST_INFORMATIONAL: usize = 16;

/// The gateway of inner requests. Routes and at most one service answer these requests.
pub(super) struct InnerGateway(Arc<Gateway>);

impl InnerGateway {
    /// Creates the gateway from a gateway that has no services yet, so an inner request never reaches a service.
    pub(super) fn new(gateway: &Gateway) -> Self {
        Self(Arc::new(Gateway { is_inner: true, ..gateway.clone() }))
    }

    /// Creates a gateway with one service, which also answers inner requests.
    pub(super) fn with(gateway: &Gateway, service: Arc<dyn Service>) -> Self {
        Self(Arc::new(Gateway { is_inner: true, services: vec![service], ..gateway.clone() }))
    }

    /// Creates a gateway that explains inner requests which have a permit of `explanations`. The service finds the
    /// explanations in `explanations`.
    pub(super) fn explaining(gateway: &Gateway, explanations: Arc<Explanations>) -> Self {
        Self(Arc::new(Gateway { is_inner: true, explanations: Some(explanations), ..gateway.clone() }))
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.0
    }

    /// Runs the work of a request in a task, and returns its result. Returns `None` if the client has gone: the sender
    /// for the receiver that `work` got is then dropped, which tells the work to end. A process that drains waits for
    /// the work.
    ///
    /// # Errors
    ///
    /// Returns the failure of the gateway if the work panics.
    pub(super) async fn run<W>(
        &self,
        session: &mut ServerSession,
        work: impl FnOnce(watch::Receiver<()>) -> W,
    ) -> Result<Option<W::Output>, Failure>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        let (kept, wanted) = watch::channel(());
        let in_flight = self.0.vitals.enter();
        let work = work(wanted);
        let mut running = tokio::spawn(async move {
            let finished = work.await;
            drop(in_flight);
            finished
        });
        let Some(finished) = unless_gone(session, Pin::new(&mut running)).await else { return Ok(None) };
        drop(kept);
        finished.map(Some).map_err(|error| failed(&error))
    }
}

/// Returns the failure of a request whose task has panicked or was cancelled.
pub(super) fn failed(error: &JoinError) -> Failure {
    Failure::logged(Code::Internal, "the gateway failed: report the request id", error.to_string())
}

/// A request that a service sends through the gateway.
#[derive(Debug)]
pub(super) struct InnerRequest {
    pub(super) head: RequestHeader,
    pub(super) body: Bytes,
}

/// The reason that an inner request has no whole answer. The upstream might have carried out the request nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The request took too long, or its client has gone.
    GivenUp,
    /// The answer ended early, or was malformed.
    BrokenOff,
}

impl InnerRequest {
    /// Sends the request, and calls `keep` with each part of the answer's body as the part arrives. After the last
    /// byte, returns the status and the headers of the answer. The request is given up after `time`, or once the sender
    /// of `wanted` is dropped.
    ///
    /// # Errors
    ///
    /// Returns the reason that there is no whole answer.
    pub(super) async fn send(
        self,
        gateway: &Arc<Gateway>,
        caller: &Caller,
        time: Duration,
        wanted: &mut watch::Receiver<()>,
        keep: impl FnMut(&[u8]),
    ) -> Result<(u16, HeaderMap), Unanswered> {
        let Self { head, body } = self;
        let (near, far) = tokio::io::duplex(PIPE.saturating_add(body.len()));
        let session = Box::new(ServerSession::new_http1(Box::new(PipeStream::new(far, caller))));
        let (_never, shutdown) = watch::channel(false);
        // The future is boxed, because it is large.
        let serving = Box::pin(async { drop(gateway.serve(session, &shutdown).await) });
        let exchanged = until_answered(exchange(near, head, body, keep), serving, time, wanted).await;
        exchanged.ok_or(Unanswered::GivenUp)?.map_err(|_| Unanswered::BrokenOff)
    }
}

/// Waits for both ends of a request, and returns what the client's end returns. Returns `None` if that takes too long,
/// or if the sender of `wanted` is dropped; the server's end then has some time to end, too.
async fn until_answered<T>(
    exchange: impl Future<Output = T>,
    serving: impl Future<Output = ()> + Unpin,
    time: Duration,
    wanted: &mut watch::Receiver<()>,
) -> Option<T> {
    // The server's end may be over while the client's end isn't. It must not be polled again then. Test:
    // `a_request_is_given_up_after_its_server_has_ended`.
    let mut serving = Some(serving);
    let exchanged = tokio::select! {
        biased;
        // The server's side is awaited as well: a request gets its line in the log before its result is used.
        exchanged = tokio::time::timeout(time, async { tokio::join!(exchange, ended(&mut serving)).0 }) => exchanged.ok(),
        _ = wanted.changed() => None,
    };
    if exchanged.is_none() {
        // The client's end of the pipe is closed by now. The server notices this, and ends its request to the upstream.
        // Test: `a_client_that_leaves_ends_its_operations`.
        let _ = tokio::time::timeout(LEAVING, ended(&mut serving)).await;
    }
    exchanged
}

/// Waits for the end of a future, which is dropped then; returns at once if that has happened before.
async fn ended(future: &mut Option<impl Future<Output = ()> + Unpin>) {
    poll_fn(|context| match future {
        None => Poll::Ready(()),
        Some(running) => Pin::new(running).poll(context).map(|()| *future = None),
    })
    .await;
}

/// Sends a request over the client's end of the pipe. Calls `keep` with each part of the answer's body, and returns the
/// status and the headers.
async fn exchange(
    near: DuplexStream,
    head: RequestHeader,
    body: Bytes,
    mut keep: impl FnMut(&[u8]),
) -> pingora::Result<(u16, HeaderMap)> {
    let mut client = HttpSession::new(Box::new(near));
    let sent = async {
        client.write_request_header(Box::new(head)).await?;
        if !body.is_empty() {
            client.write_body(&body).await?;
        }
        client.finish_body().await
    };
    // A server that answers before the end of the body closes the pipe. The write then fails, but the answer can still
    // be read.
    let _ = sent.await;
    for _ in 0..MOST_INFORMATIONAL {
        client.read_response().await?;
        if client.get_status().is_some_and(|status| !status.is_informational()) {
            break;
        }
    }
    let answer = match client.resp_header() {
        Some(head) => (head.status.as_u16(), head.headers.clone()),
        None => return Err(pingora::Error::new(pingora::ErrorType::InvalidHTTPHeader)),
    };
    while let Some(part) = client.read_body_ref().await? {
        keep(part);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_is_given_up_after_its_server_has_ended() {
        let second = Duration::from_secs(1);
        let (goes_on, mut wanted) = watch::channel(());
        let serving = Box::pin(async {});
        assert_eq!(until_answered(ready(7), serving, second, &mut wanted).await, Some(7));
        let serving = Box::pin(async {});
        assert_eq!(until_answered(pending::<()>(), serving, second, &mut wanted).await, None, "it takes too long");
        let serving = Box::pin(async {});
        let mut waiting = Box::pin(until_answered(pending::<()>(), serving, 60 * second, &mut wanted));
        assert!(tokio::time::timeout(second, &mut waiting).await.is_err());
        drop(goes_on);
        assert_eq!(waiting.await, None, "the client has gone");
    }
}
