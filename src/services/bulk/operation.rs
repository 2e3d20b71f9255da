//! An operation: a request through the gateway, over a pipe in memory.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use pingora::{
    apps::HttpServerApp as _,
    http::RequestHeader,
    protocols::http::{ServerSession, v1::client::HttpSession},
};
use tokio::{io::DuplexStream, sync::watch};

use super::{OperationsGateway, caller::Caller, pipe::OperationStream, request::Operation};
use crate::{
    downstream::{Code, Problem, Response},
    gateway::runtime::{clock, futures::caught},
    upstream::net::memory::MemoryShare,
};

/// The bytes of an answer that wait in the pipe. A body is added, so that its sender never waits for the reader of an
/// answer that came early.
const PIPE: usize = 64 << 10;

/// The time in which an operation that was given up ends by itself, after its client has left.
const LEAVING: Duration = Duration::from_secs(1);

/// The most informational answers before the answer.
const MOST_INFORMATIONAL: usize = 16;

/// The surroundings of the operations of one request.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) gateway: Arc<OperationsGateway>,
    pub(super) caller: Arc<Caller>,
    pub(super) timeout: Duration,
    pub(super) problems: Arc<ProblemForm>,
    /// The bytes of bodies that may still be kept.
    pub(super) room: Arc<AtomicUsize>,
    pub(super) held: Arc<MemoryShare>,
    /// Closed once the results are not wanted any more.
    pub(super) wanted: watch::Receiver<()>,
}

/// The members of problems that are the same for all operations.
pub(super) struct ProblemForm {
    pub(super) types: Option<String>,
    pub(super) request_id: String,
}

/// The answer to an operation.
#[derive(Debug)]
pub(super) struct OperationAnswer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The body; none where it was too large to be kept.
    pub(super) body: Option<Vec<u8>>,
    pub(super) took: Duration,
}

impl OperationAnswer {
    /// Returns whether the operation counts as failed.
    pub(super) fn has_failed(&self) -> bool {
        self.status >= 400
    }

    fn of_problem(code: Code, detail: &str, form: &ProblemForm) -> Self {
        let response = Response::of_problem(&Problem::new(code, detail), form.types.as_deref(), &form.request_id, None);
        Self {
            status: response.status,
            headers: response.headers,
            body: Some(response.body.into_parts().concat()),
            took: Duration::ZERO,
        }
    }
}

impl Surroundings {
    /// Runs an operation to its end, up to the time limit, or until the result is not wanted any more.
    pub(super) async fn run(mut self, operation: &Operation) -> OperationAnswer {
        let began = clock::instant();
        let ran = caught(pin!(self.attempt(operation))).await;
        let mut answer = ran.unwrap_or_else(|_| {
            OperationAnswer::of_problem(Code::Internal, "the gateway failed: report the request id", &self.problems)
        });
        answer.took = clock::instant().saturating_duration_since(began);
        answer
    }

    async fn attempt(&mut self, operation: &Operation) -> OperationAnswer {
        let Self { gateway, caller, timeout, problems, room, held, wanted } = self;
        let of_problem = |code, detail: &str| OperationAnswer::of_problem(code, detail, problems);
        let Ok(head) = operation.head(&caller.headers) else {
            return of_problem(Code::Internal, "the operation can't be sent");
        };
        let (near, far) = tokio::io::duplex(PIPE.saturating_add(operation.body.len()));
        let session = ServerSession::new_http1(Box::new(OperationStream::new(far, caller)));
        let (_never, shutdown) = watch::channel(false);
        // The future is large.
        let mut serving = Box::pin(async { drop(gateway.process_new_http(session, &shutdown).await) });
        let exchanged = tokio::select! {
            biased;
            // The request has its line in the log before its result is there.
            exchanged = tokio::time::timeout(*timeout, async {
                tokio::join!(exchange(near, head, operation.body.clone(), (room, held)), serving.as_mut()).0
            }) => exchanged.ok(),
            _ = wanted.changed() => None,
        };
        let Some(exchanged) = exchanged else {
            // The client's end is closed. The server notices, and ends its request to the upstream.
            let _ = tokio::time::timeout(LEAVING, serving).await;
            let detail = format!("the operation took longer than {timeout:?}: it may have been carried out");
            return of_problem(Code::OperationTimeout, &detail);
        };
        exchanged.unwrap_or_else(|_| {
            let detail = "the answer broke off: the operation may have been carried out";
            of_problem(Code::UpstreamTruncated, detail)
        })
    }
}

/// Sends a request and reads its answer.
async fn exchange(
    near: DuplexStream,
    head: RequestHeader,
    body: Bytes,
    (room, held): (&AtomicUsize, &MemoryShare),
) -> pingora::Result<OperationAnswer> {
    let mut client = HttpSession::new(Box::new(near));
    let sent = async {
        client.write_request_header(Box::new(head)).await?;
        if !body.is_empty() {
            client.write_body(&body).await?;
        }
        client.finish_body().await
    };
    // An answer that comes before the end of the body closes the pipe, and is read all the same.
    let _ = sent.await;
    for _ in 0..MOST_INFORMATIONAL {
        client.read_response().await?;
        if client.get_status().is_some_and(|status| !status.is_informational()) {
            break;
        }
    }
    let (status, headers) = match client.resp_header() {
        Some(head) => (head.status.as_u16(), head.headers.clone()),
        None => return Err(pingora::Error::new(pingora::ErrorType::InvalidHTTPHeader)),
    };
    let mut kept = Some(Vec::new());
    while let Some(part) = client.read_body_ref().await? {
        let Some(bytes) = &mut kept else { continue };
        let takes = |room: usize| room.checked_sub(part.len());
        let fits = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_ok();
        if fits && held.reserve(bytes, part.len(), usize::MAX).is_ok() {
            bytes.extend_from_slice(part);
        } else {
            // The rest is read, so that the operation comes to its end.
            room.fetch_add(bytes.len(), Ordering::Relaxed);
            held.give(bytes.capacity());
            kept = None;
        }
    }
    Ok(OperationAnswer { status, headers, body: kept, took: Duration::ZERO })
}
