//! The run of a bulk request: its operations begin in their order, and at most `at_once` run at a time.

use std::sync::{Arc, atomic::AtomicUsize};

use bytes::Bytes;
use tokio::{sync::watch, task::JoinSet};

use super::{
    detached::ALONE,
    operation::{OperationAnswer, ProblemForm, Surroundings},
    report::{self, BulkCounts},
    request::BulkPlan,
};
use crate::caller::Caller;
use cursorgate_config::settings::BulkSettings;
use cursorgate_gateway::{Gateway, Snapshot, net::memory::MemoryShare, runtime::clock};

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
    /// Runs the operations, and returns their results as the body of the answer.
    pub(super) async fn run(self) -> FinishedBulk {
        let Self { gateway, plan, caller, snapshot, settings, request_id, held, wanted, present } = self;
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
        let answers = operate(&plan, &surroundings, (settings.at_once, present)).await;
        let counts = BulkCounts::of(&plan, &answers);
        let may_have_changed = plan.operations.iter().zip(&answers).any(|(operation, answer)| {
            answer.as_ref().is_some_and(|answer| !operation.method.is_safe() && !answer.is_refused())
        });
        let took = clock::instant().saturating_duration_since(began);
        let body = report::write(&plan, answers, &counts, took).into();
        FinishedBulk { body, may_have_changed, summary: counts.to_string(), held }
    }
}

/// Runs the operations until all have ended, and returns their answers in the order of the operations. No more
/// operations begin once the client has gone or, with `stop_on_error`, once an operation has failed. After a failure,
/// the operations that are running continue to their end. An operation that didn't begin has `None`.
///
/// Once `present` is closed, the client has gone, and one operation runs at a time. After [`ALONE`], no more operations
/// begin.
async fn operate(
    plan: &Arc<BulkPlan>,
    surroundings: &Surroundings,
    (at_once, present): (usize, watch::Receiver<()>),
) -> Vec<Option<OperationAnswer>> {
    let mut answers: Vec<Option<OperationAnswer>> = plan.operations.iter().map(|_| None).collect();
    let mut under_way = JoinSet::new();
    let mut waiting = 0..plan.operations.len();
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
            && let Some(place) = waiting.next()
        {
            let (plan, surroundings) = (Arc::clone(plan), surroundings.clone());
            under_way.spawn(async move { (place, surroundings.run(&plan.operations[place]).await) });
        }
        let Some(ended) = under_way.join_next().await else { return answers };
        // This error doesn't occur: panics are caught in the operation, and tasks aren't aborted.
        let Ok((place, answer)) = ended else { continue };
        // An error means that the sender was dropped because the client has gone.
        // Test: `a_client_that_leaves_ends_its_operations`.
        let is_wanted = surroundings.wanted.has_changed().is_ok();
        if !is_wanted || (plan.stop_on_error && answer.has_failed()) {
            waiting.start = waiting.end;
        }
        // The answers are in the order of the operations, whichever operation ends first.
        // Test: `five_operations_run_at_a_time`.
        answers[place] = Some(answer);
    }
}
