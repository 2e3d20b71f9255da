//! The run of a bulk request: its operations begin in their order, and at most `at_once` run at a time.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    detached::ALONE,
    form::BulkForm,
    operation::{OperationAnswer, ProblemForm, Surroundings},
    report::BulkReport,
    request::{BulkPlan, Operation},
};
use crate::caller::Caller;
use cursorgate_config::settings::BulkSettings;
use cursorgate_gateway::{Gateway, Snapshot, net::memory::MemoryShare, runtime::clock, session::service::BodySource};

/// The largest number of answers that wait to be sent after that of a slower operation. No more operations begin then.
const MOST_READY: usize = 64;

/// A bulk request that has been checked, with everything that it needs to run.
pub(super) struct BulkRun {
    pub(super) gateway: Arc<Gateway>,
    pub(super) plan: BulkPlan,
    pub(super) caller: Caller,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) settings: BulkSettings,
    pub(super) request_id: String,
    /// The memory of the answers, counted in `server.memory`.
    pub(super) held: MemoryShare,
    /// Closed once the client has gone, unless the request has an `Idempotency-Key`.
    pub(super) wanted: watch::Receiver<()>,
    /// Closed once the client has gone.
    pub(super) present: watch::Receiver<()>,
    pub(super) form: BulkForm,
    /// Where the results are sent as soon as they are known; `None` to send all of them at the end.
    pub(super) lines: Option<mpsc::Sender<Bytes>>,
}

/// The results of operations, in the order of the operations.
struct BulkResults {
    report: BulkReport,
    /// Where results are sent as soon as they are known; `None` to keep them for the end.
    lines: Option<mpsc::Sender<Bytes>>,
}

impl BulkResults {
    /// Adds a result. If it is sent, waits for the client, and frees the memory of the answer.
    async fn add(&mut self, operation: &Operation, answer: OperationAnswer, surroundings: &Surroundings) {
        let size = answer.size;
        self.report.add(operation, Some(answer));
        // A client that reads slowly lets the operations wait, so only few answers are in memory.
        // Test: `results_on_lines_are_sent_as_operations_end`.
        if let Some(lines) = &self.lines
            && lines.send(self.report.take()).await.is_ok()
        {
            surroundings.room.fetch_add(size, Ordering::Relaxed);
            surroundings.held.give(size);
        }
    }
}

/// The body of an answer whose results are sent as soon as they are known. The operations end when it is dropped.
pub(super) struct SentLines {
    pub(super) lines: mpsc::Receiver<Bytes>,
    pub(super) _wants: [watch::Sender<()>; 2],
}

#[async_trait]
impl BodySource for SentLines {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        Ok(self.lines.recv().await)
    }
}

#[derive(Debug)]
pub(super) struct FinishedBulk {
    /// The body of the answer, with all results as JSON.
    pub(super) body: Bytes,
    /// Whether an operation may have changed something.
    pub(super) may_have_changed: bool,
    /// The counts for the log, such as `operations: 3 succeeded, 1 failed, 0 skipped`.
    pub(super) summary: String,
    /// The memory of the answers, which the caller releases once the body is finished.
    pub(super) held: Arc<MemoryShare>,
}

impl BulkRun {
    /// Runs the operations, and returns their results as the body of the answer, or the end of them if the others were
    /// sent.
    pub(super) async fn run(self) -> FinishedBulk {
        let Self { gateway, plan, caller, snapshot, settings, request_id, held, wanted, present, form, lines } = self;
        let began = clock::instant();
        let held = Arc::new(held);
        let surroundings = Surroundings {
            gateway,
            caller: Arc::new(caller),
            timeout: settings.timeout,
            problems: Arc::new(ProblemForm { types: snapshot.server.problem_types.clone(), request_id }),
            room: Arc::new(AtomicUsize::new(settings.answer_size)),
            held: Arc::clone(&held),
            wanted,
        };
        let plan = Arc::new(plan);
        let mut results = BulkResults { report: BulkReport::begin(form), lines };
        operate(&plan, &surroundings, settings.at_once, present, &mut results).await;
        let BulkResults { mut report, lines } = results;
        report.end(clock::instant().saturating_duration_since(began));
        let (summary, may_have_changed, body) = (report.to_string(), report.may_have_changed, report.take());
        if let Some(lines) = &lines {
            // An error means that the client has gone.
            let _ = lines.send(body.clone()).await;
        }
        FinishedBulk { body, may_have_changed, summary, held }
    }
}

/// Runs the operations until all have ended, and adds their results to the report in the order of the operations. No
/// more operations begin once the client has gone or, with `stop_on_error`, once an operation has failed. After a
/// failure, the operations that are running continue to their end. The others are skipped.
///
/// Once `present` is closed, the client has gone, and one operation runs at a time. After [`ALONE`], no more operations
/// begin.
async fn operate(
    plan: &Arc<BulkPlan>,
    surroundings: &Surroundings,
    at_once: usize,
    present: watch::Receiver<()>,
    results: &mut BulkResults,
) {
    // The answers that come after that of an operation that is still running.
    let mut ready = BTreeMap::new();
    let mut under_way = JoinSet::new();
    let (mut waiting, mut next) = (0..plan.operations.len(), 0);
    let mut alone_since = None;
    // Each iteration begins operations until `at_once` are running, and then waits until an operation ends.
    loop {
        let mut most = at_once;
        if present.has_changed().is_err() {
            // A client that has gone holds no connection, so its requests must not displace those of others.
            // Test: `requests_without_their_clients_are_bounded`.
            most = 1;
            let now = clock::instant();
            if now.saturating_duration_since(*alone_since.get_or_insert(now)) > ALONE {
                waiting.start = waiting.end;
            }
        }
        while under_way.len() < most
            && (results.lines.is_none() || ready.len() < MOST_READY)
            && let Some(place) = waiting.next()
        {
            let (plan, surroundings) = (Arc::clone(plan), surroundings.clone());
            under_way.spawn(async move { (place, surroundings.run(&plan.operations[place]).await) });
        }
        let Some(ended) = under_way.join_next().await else { break };
        // This error doesn't occur: panics are caught in the operation, and tasks aren't aborted.
        let Ok((place, answer)) = ended else { continue };
        // An error means that the sender was dropped because the client has gone.
        // Test: `a_client_that_leaves_ends_its_operations`.
        let is_wanted = surroundings.wanted.has_changed().is_ok();
        if !is_wanted || (plan.stop_on_error && answer.has_failed()) {
            waiting.start = waiting.end;
        }
        // The results are in the order of the operations, whichever operation ends first.
        // Test: `five_operations_run_at_a_time`.
        ready.insert(place, answer);
        while let Some(answer) = ready.remove(&next) {
            results.add(&plan.operations[next], answer, surroundings).await;
            next += 1;
        }
    }
    for place in next..plan.operations.len() {
        results.report.add(&plan.operations[place], ready.remove(&place));
    }
}
