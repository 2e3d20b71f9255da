//! Requests of services through the gateway.
//!
//! An inner request is a whole request of HTTP/1.1 over a pipe in memory in place of a socket, with the address, the
//! certificate and the headers of the client that the service works for (`caller`). So it meets the checks, limits,
//! logs and traces that a request of that client meets.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use pingora::{
    apps::HttpServerApp as _,
    http::RequestHeader,
    protocols::http::{ServerSession, v1::client::HttpSession},
    proxy::{HttpProxy, http_proxy},
    server::configuration::ServerConf,
};
use tokio::{
    io::DuplexStream,
    sync::{OnceCell, watch},
    task::JoinError,
};

use super::{caller::Caller, pipe::PipeStream};
use crate::{
    downstream::Code,
    gateway::{
        Gateway, outcome::failure::Failure, server::dispatch::unless_gone, session::service::Service,
        shared::explanations::Explanations,
    },
};

/// The gateway as Pingora runs it for inner requests.
pub(super) type InnerProxy = HttpProxy<Gateway>;

/// The bytes of an answer that the pipe holds. The size of the request's body is added, so that the body fits into the
/// pipe even if the gateway answers before it has read it: the sender reads the answer only after the body is written.
const PIPE: usize = 64 << 10;

/// The time in which a request that was given up may still end by itself.
const LEAVING: Duration = Duration::from_secs(1);

/// The most informational responses (status 1xx) before the final one.
const MOST_INFORMATIONAL: usize = 16;

/// The gateway of inner requests. Routes answer these, and none or one of the services.
pub(super) struct InnerGateway {
    gateway: Gateway,
    /// Made for the first request: Pingora reads the authorities of the system for it.
    proxy: OnceCell<Arc<InnerProxy>>,
}

impl InnerGateway {
    /// Creates the gateway from one that has no services yet, so that a request of a service never leads to a service.
    pub(super) fn new(gateway: &Gateway) -> Self {
        Self { gateway: Gateway { is_inner: true, ..gateway.clone() }, proxy: OnceCell::new() }
    }

    /// Creates a gateway with one service, which also answers inner requests.
    pub(super) fn with(gateway: &Gateway, service: Arc<dyn Service>) -> Self {
        let gateway = Gateway { is_inner: true, services: vec![service], ..gateway.clone() };
        Self { gateway, proxy: OnceCell::new() }
    }

    /// Creates a gateway that explains inner requests with a permit of `explanations`, where the service finds them.
    pub(super) fn explaining(gateway: &Gateway, explanations: Arc<Explanations>) -> Self {
        let gateway = Gateway { is_inner: true, explanations: Some(explanations), ..gateway.clone() };
        Self { gateway, proxy: OnceCell::new() }
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Returns the proxy of inner requests, made for the first one.
    ///
    /// # Errors
    ///
    /// Returns the failure of the gateway where it can't be made.
    pub(super) async fn proxy(&self) -> Result<Arc<InnerProxy>, Failure> {
        let make = || async {
            let gateway = self.gateway.clone();
            // The files of authorities are read on another thread, because requests wait on this one.
            tokio::task::spawn_blocking(|| Arc::new(http_proxy(&Arc::new(ServerConf::default()), gateway))).await
        };
        self.proxy.get_or_try_init(make).await.cloned().map_err(|error| failed(&error))
    }

    /// Runs the work of a request in a task. Returns `None` if the client has gone: then the sender of the receiver
    /// that `work` got is dropped, and the work ends by itself. A process that drains waits for the work.
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
        let in_flight = self.gateway.vitals.enter();
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

/// Returns the failure of a request whose task has panicked.
pub(super) fn failed(error: &JoinError) -> Failure {
    Failure::logged(Code::Internal, "the gateway failed: report the request id", error.to_string())
}

/// A request through the gateway.
#[derive(Debug)]
pub(super) struct InnerRequest {
    pub(super) head: RequestHeader,
    pub(super) body: Bytes,
}

/// The reason that an inner request has no whole answer. The upstream may have carried it out all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The request took too long, or is not wanted any more.
    GivenUp,
    /// The answer ended early, or was malformed.
    BrokenOff,
}

impl InnerRequest {
    /// Sends the request, and calls `keep` with each part of the answer's body. Returns the status and the headers of
    /// the answer after its last byte. The request is given up after `time`, or once the sender of `wanted` is dropped.
    ///
    /// # Errors
    ///
    /// Returns the reason that there is no whole answer.
    pub(super) async fn send(
        self,
        proxy: &Arc<InnerProxy>,
        caller: &Caller,
        (time, wanted): (Duration, &mut watch::Receiver<()>),
        keep: impl FnMut(&[u8]),
    ) -> Result<(u16, HeaderMap), Unanswered> {
        let Self { head, body } = self;
        let (near, far) = tokio::io::duplex(PIPE.saturating_add(body.len()));
        let session = ServerSession::new_http1(Box::new(PipeStream::new(far, caller)));
        let (_never, shutdown) = watch::channel(false);
        // Boxed, because the future is large.
        let mut serving = Box::pin(async { drop(proxy.process_new_http(session, &shutdown).await) });
        let exchanged = tokio::select! {
            biased;
            // The server's side is awaited too, so that the request has its line in the log before its result is used.
            exchanged = tokio::time::timeout(time, async {
                tokio::join!(exchange(near, head, body, keep), serving.as_mut()).0
            }) => exchanged.ok(),
            _ = wanted.changed() => None,
        };
        match exchanged {
            Some(exchanged) => exchanged.map_err(|_| Unanswered::BrokenOff),
            None => {
                // The client's end of the pipe is closed by now. The server notices, and ends its request to the
                // upstream. Test: `a_client_that_leaves_ends_its_operations`.
                let _ = tokio::time::timeout(LEAVING, serving).await;
                Err(Unanswered::GivenUp)
            }
        }
    }
}

/// Sends a request and reads its answer.
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
    // A server that answers before the end of the body closes the pipe: the write fails, and the answer is there to be
    // read.
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
