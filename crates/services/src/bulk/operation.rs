//! The run of one operation of a bulk request: its inner request and its answer. The body of the answer is kept if
//! there is room.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use tokio::sync::watch;

use super::{answer_headers::kept_headers, request::Operation};
use crate::{
    caller::Caller,
    inner::{InnerRequest, Unanswered},
};
use cursorgate_gateway::{
    Gateway,
    net::memory::MemoryShare,
    runtime::{clock, futures::caught},
};
use cursorgate_translate::downstream::{Code, Problem, Response};

/// The values that all operations of one bulk request need to run.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) gateway: Arc<Gateway>,
    pub(super) caller: Arc<Caller>,
    pub(super) timeout: Duration,
    pub(super) problems: Arc<ProblemForm>,
    /// The number of bytes that the answers to all operations together may still occupy.
    pub(super) room: Arc<AtomicUsize>,
    /// The memory of the bodies and the headers, counted in `server.memory`.
    pub(super) held: Arc<MemoryShare>,
    /// Closed once the client has gone, unless the request has an `Idempotency-Key`.
    pub(super) wanted: watch::Receiver<()>,
}

/// The values that are the same in the problems of all operations.
pub(super) struct ProblemForm {
    /// The beginning of the URLs in problems' `type`; `None` if the configuration doesn't set one.
    pub(super) types: Option<String>,
    pub(super) request_id: String,
}

/// The answer to an operation: the answer to its inner request, or a problem of the gateway.
#[derive(Debug)]
pub(super) struct OperationAnswer {
    pub(super) status: u16,
    /// The headers that the result shows.
    pub(super) headers: HeaderMap,
    /// The body of the answer; `None` if there was no room for it.
    pub(super) body: Option<Vec<u8>>,
    pub(super) took: Duration,
    /// The bytes that the headers and the body occupy of the memory for answers.
    pub(super) size: usize,
}

impl OperationAnswer {
    /// Returns whether the operation counts as failed, which means a status of 400 or more.
    pub(super) fn has_failed(&self) -> bool {
        self.status >= 400
    }

    /// Returns whether the operation was refused, which means a status from 400 to 499: it changed nothing.
    pub(super) fn is_refused(&self) -> bool {
        (400..500).contains(&self.status)
    }

    fn of_problem(code: Code, detail: &str, form: &ProblemForm) -> Self {
        let response = Response::of_problem(&Problem::new(code, detail), form.types.as_deref(), &form.request_id, None);
        Self {
            status: response.status,
            headers: response.headers,
            body: Some(response.body.into_parts().concat()),
            took: Duration::ZERO,
            size: 0,
        }
    }
}

impl Surroundings {
    /// Runs an operation until it ends, reaches the time limit, or is given up because the client has gone.
    pub(super) async fn run(mut self, operation: &Operation) -> OperationAnswer {
        let began = clock::instant();
        // A panic fails only this operation.
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
        let mut kept = Some(Vec::new());
        let keep = |part: &[u8]| {
            let Some(bytes) = &mut kept else { return };
            let takes = |room: usize| room.checked_sub(part.len());
            let fits = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_ok();
            if fits && held.reserve(bytes, part.len(), usize::MAX).is_ok() {
                bytes.extend_from_slice(part);
            } else {
                // The rest of the body is read and dropped so that the operation can end. The bytes that the body has
                // occupied become free for other operations. Test: `answers_are_kept_up_to_a_size`.
                room.fetch_add(bytes.len(), Ordering::Relaxed);
                held.give(bytes.capacity());
                kept = None;
            }
        };
        let request = InnerRequest { head, body: operation.body.clone() };
        match request.send(gateway, caller, *timeout, wanted, keep).await {
            Ok((status, headers)) => {
                let (headers, size) = kept_headers(&headers);
                let takes = |room: usize| room.checked_sub(size);
                let fits = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_ok();
                let (headers, size) =
                    if fits && held.take(size).is_ok() { (headers, size) } else { (HeaderMap::new(), 0) };
                let size = size + kept.as_ref().map_or(0, Vec::len);
                OperationAnswer { status, headers, body: kept, took: Duration::ZERO, size }
            }
            Err(Unanswered::GivenUp) => {
                let detail = format!("the operation took longer than {timeout:?}: it may have been carried out");
                of_problem(Code::OperationTimeout, &detail)
            }
            Err(Unanswered::BrokenOff) => {
                let detail = "the answer broke off: the operation may have been carried out";
                of_problem(Code::UpstreamTruncated, detail)
            }
        }
    }
}
