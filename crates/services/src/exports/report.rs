//! The report of exports at the admin listener: the newest jobs of all clients. Operators can cancel and resume jobs
//! there.
//!
//! Every client of the admin listener can read the report. So it doesn't contain queries or results.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{
    job::{ExportJob, JobState, is_id},
    store::{ExportStore, JobStoreFault, MOST_LISTED},
};
use crate::inner::InnerGateway;
use cursorgate_gateway::{
    runtime::clock,
    session::service::{ReportRefusal, ServiceReport},
};

const JOBS: &str = "/exports";
const CANCELLATION: &str = "/exports/cancel";
const RESUMPTION: &str = "/exports/resume";

/// The number of characters of a client's name in the report. They tell clients apart.
const NAME_LENGTH: usize = 12;

const UNREADABLE: ReportRefusal = (StatusCode::BAD_REQUEST, "send {\"export\": \"ID\"} with an id of /exports\n");
const UNKNOWN: ReportRefusal = (StatusCode::NOT_FOUND, "there is no such export: /exports has the newest ones\n");
const MISSPELT: ReportRefusal = (StatusCode::BAD_REQUEST, "the parameter is before=ID, of an export\n");
const NOT_FAILED: ReportRefusal = (StatusCode::CONFLICT, "only a failed export can be resumed\n");
const FINISHED: ReportRefusal = (StatusCode::CONFLICT, "the export has ended: there is nothing to cancel\n");
const UNAVAILABLE: ReportRefusal =
    (StatusCode::SERVICE_UNAVAILABLE, "the store of exports is not available: the log says why\n");

pub(crate) struct ExportReport {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: Arc<dyn ExportStore>,
    /// Wakes the keeper of this process when a job has been resumed.
    pub(super) queued: Arc<Notify>,
}

#[derive(Serialize)]
struct ReportedExports<'j> {
    exports: Vec<ReportedExport<'j>>,
    /// The path of older exports; `None` if these are the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct ReportedExport<'j> {
    id: &'j str,
    /// The beginning of the stored name of the client.
    client: &'j str,
    state: &'static str,
    /// The queue of the job; `None` for an export.
    queue: Option<&'j str>,
    path: &'j str,
    host: Option<&'j str>,
    items: u64,
    total: Option<u64>,
    bytes: u64,
    attempts: u32,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// The code of the fault of the last failed attempt; `None` without one.
    error: Option<&'j str>,
    /// The status of the page's answer in that attempt; `None` without an answer.
    status: Option<u16>,
}

/// The body of a request that changes an export.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportName {
    export: String,
}

#[async_trait]
impl ServiceReport for ExportReport {
    fn reads(&self) -> &'static [&'static str] {
        &[JOBS]
    }

    fn changes(&self) -> &'static [&'static str] {
        &[CANCELLATION, RESUMPTION]
    }

    async fn read(&self, _path: &str, query: Option<&str>) -> Result<String, ReportRefusal> {
        let before = match query.filter(|query| !query.is_empty()) {
            None => None,
            // If a misspelt parameter were ignored, the answer would be the newest exports again.
            Some(query) => Some(query.strip_prefix("before=").filter(|id| is_id(id)).ok_or(MISSPELT)?),
        };
        if let Some(before) = before {
            self.store.by_id(before).await.map_err(|fault| failed(&fault))?.ok_or(UNKNOWN)?;
        }
        let jobs = self.store.newest(before).await.map_err(|fault| failed(&fault))?;
        let next = jobs.last().filter(|_| jobs.len() == MOST_LISTED).map(|last| format!("{JOBS}?before={}", last.id));
        Ok(written(&ReportedExports { exports: jobs.iter().map(entry).collect(), next }))
    }

    async fn change(&self, path: &str, body: &[u8]) -> Result<String, ReportRefusal> {
        let ExportName { export } = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
        let found = async || self.store.by_id(&export).await.map_err(|fault| failed(&fault))?.ok_or(UNKNOWN);
        let job = found().await?;
        if path == CANCELLATION {
            if job.state.is_finished() {
                return Err(FINISHED);
            }
            if self.store.cancel(&export).await.map_err(|fault| failed(&fault))? {
                let counts = self.inner.gateway().vitals.exports();
                counts.end(job.definition.call.is_some(), JobState::Cancelled.word());
            }
            tracing::info!(service = "exports", export, "an operator cancelled an export");
            return Ok(written(&entry(&found().await?)));
        }
        if job.state != JobState::Failed {
            return Err(NOT_FAILED);
        }
        // The job has the credentials of its client, sealed, until it is removed.
        let resumed = self.store.resume(&export, None).await.map_err(|fault| failed(&fault))?.ok_or(UNKNOWN)?;
        tracing::info!(service = "exports", export, "an operator resumed an export");
        self.queued.notify_one();
        Ok(written(&entry(&resumed)))
    }
}

fn entry(job: &ExportJob) -> ReportedExport<'_> {
    let (progress, definition) = (&job.progress, &job.definition);
    // The stored name begins with words that all clients have in common. Test: `an_operator_sees_and_changes_services`.
    let client = job.owner.rsplit(':').next().unwrap_or_default();
    ReportedExport {
        id: &job.id,
        client: client.get(..NAME_LENGTH).unwrap_or(client),
        state: job.shown_state(),
        queue: definition.call.as_ref().map(|call| call.queue.as_str()),
        path: if definition.call.is_some() { &definition.path } else { &definition.normal_path },
        host: definition.host.as_deref(),
        items: progress.items,
        total: progress.total_after.or(progress.total_before),
        bytes: progress.bytes,
        attempts: progress.attempts,
        created_at: clock::rfc3339(job.created),
        started_at: progress.started.map(clock::rfc3339),
        finished_at: job.finished.map(clock::rfc3339),
        error: job.fault.as_ref().map(|fault| fault.code.as_str()),
        status: job.fault.as_ref().and_then(|fault| fault.status),
    }
}

/// Returns the refusal for a fault of the store, which is logged.
fn failed(fault: &JobStoreFault) -> ReportRefusal {
    tracing::error!(%fault, "the exports can't be read or changed for a report");
    UNAVAILABLE
}

fn written(document: &impl Serialize) -> String {
    // Serializing strings and numbers as JSON never fails.
    serde_json::to_string(document).unwrap_or_default()
}
