//! The jobs that a client sees: the exports of a list, or the jobs of all queues. Both are asked for, cancelled and
//! downloaded in the same way, and added to the same store.

use std::sync::Arc;

use http::{HeaderValue, header, request};
use tokio::sync::Notify;

use super::{
    credentials::{NAME, sealed},
    job::{ExportJob, ExportedList, JobDefinition, JobProgress, JobState},
    result::{self, ResultAnswer},
    store::{Added, ClientNames, ExportStore, JobStoreFault, MOST_LISTED, QueueLimits},
};
use crate::{caller::Caller, database::store_unavailable, document::json_response, id::new_id};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    identity::answers::IdentityAnswer,
    outcome::{failure::Failure, metrics::exports::ExportCounts},
    runtime::clock,
    session::service::{ServiceAnswer, StreamedResponse},
};
use cursorgate_translate::downstream::{Code, Problem, Response};

/// The largest size of the body of a request that begins a job, in bytes. A larger body is refused.
pub(super) const BODY_SIZE: usize = 256 << 10;
/// The largest nesting depth of a request body's JSON. A deeper body is refused.
pub(super) const BODY_DEPTH: u16 = 8;

/// The `Retry-After` of unfinished jobs, in seconds.
const ASK_AGAIN: &str = "2";

/// The jobs of a client, which a request asks for.
pub(super) struct ClientJobs<'j> {
    pub(super) store: &'j Arc<dyn ExportStore>,
    pub(super) counts: &'j ExportCounts,
    /// The names of the client under each cursor key. The name under the signing key is the first.
    pub(super) owners: Vec<String>,
    /// The list whose exports these are; for the jobs of queues, the path of their service.
    pub(super) list: ExportedList,
    /// The URL below which the jobs are, such as `https://api.example.com/users/exports`.
    pub(super) base: String,
    /// The time for which finished jobs are kept, in seconds.
    pub(super) keep: u64,
    pub(super) words: &'static JobWords,
}

/// The words for jobs in the problems and documents of a service.
pub(super) struct JobWords {
    /// Such as `export`.
    pub(super) one: &'static str,
    /// The member with the list of jobs.
    pub(super) all: &'static str,
    pub(super) not_found: Code,
    pub(super) not_failed: Code,
    pub(super) without_result: Code,
    pub(super) limit: Code,
}

pub(super) const EXPORT_WORDS: JobWords = JobWords {
    one: "export",
    all: "exports",
    not_found: Code::ExportNotFound,
    not_failed: Code::ExportNotFailed,
    without_result: Code::ExportWithoutResult,
    limit: Code::ExportLimit,
};

pub(super) const CALL_WORDS: JobWords = JobWords {
    one: "job",
    all: "jobs",
    not_found: Code::JobNotFound,
    not_failed: Code::JobNotFailed,
    without_result: Code::JobWithoutResult,
    limit: Code::JobLimit,
};

impl ClientJobs<'_> {
    /// Returns the client's job with this id.
    ///
    /// # Errors
    ///
    /// Returns 404 if there is no job with this id, or if another client began it.
    pub(super) async fn find(&self, id: &str) -> Result<ExportJob, Failure> {
        let found = self.store.find(id, &self.owners).await.map_err(store_failed)?;
        found.filter(|job| self.list.is_of(job)).ok_or_else(|| {
            let detail = format!(
                "there is no such {} of this client under this host and port: it may have been removed",
                self.words.one
            );
            Box::new(Problem::new(self.words.not_found, detail)).into()
        })
    }

    /// Returns the newest jobs, or with the parameter `before` those that are older than a job.
    ///
    /// # Errors
    ///
    /// Returns 404 if there is no such job any more: the list would seem to end there.
    pub(super) async fn listed(&self, query: Option<&str>) -> Result<ServiceAnswer, Failure> {
        let pairs = query.unwrap_or_default().split('&');
        let before = pairs.filter_map(|pair| pair.strip_prefix("before=")).next_back();
        if let Some(before) = before {
            self.find(before).await?;
        }
        let jobs = self.store.of_client(&self.owners, &self.list, before).await.map_err(store_failed)?;
        let documents: Vec<_> = jobs.iter().map(|job| self.document(job)).collect();
        let mut document = serde_json::json!({ self.words.all: documents });
        if let Some(last) = jobs.last().filter(|_| jobs.len() == MOST_LISTED) {
            document["next"] = format!("{}?before={}", self.base, last.id).into();
        }
        Ok(ServiceAnswer::Whole(json_response(200, &document)))
    }

    /// Cancels an unfinished job, or removes a finished job together with its result.
    pub(super) async fn delete(&self, id: &str) -> Result<ServiceAnswer, Failure> {
        let job = self.find(id).await?;
        if job.state.is_finished() {
            self.store.remove(&job.id).await.map_err(store_failed)?;
            return Ok(ServiceAnswer::Whole(Response::new(204, Vec::new())));
        }
        if self.store.cancel(&job.id).await.map_err(store_failed)? {
            self.counts.end(job.definition.call.is_some(), JobState::Cancelled.word());
        }
        // The job is read again, because it might have ended before it was cancelled.
        Ok(self.shown(200, &self.find(&job.id).await?))
    }

    /// Returns the failed job with this id, which can be resumed.
    ///
    /// # Errors
    ///
    /// Returns 409 for a job in another state.
    pub(super) async fn failed(&self, id: &str) -> Result<ExportJob, Failure> {
        let job = self.find(id).await?;
        if job.state == JobState::Failed {
            return Ok(job);
        }
        let detail = format!("only a failed {} can be resumed: its status says what it does", self.words.one);
        Err(Box::new(Problem::new(self.words.not_failed, detail)).into())
    }

    /// Returns the answer to a request for the result of a job.
    pub(super) async fn result(&self, id: &str, request: &request::Parts) -> Result<ServiceAnswer, Failure> {
        let job = self.find(id).await?;
        // The end of an unfinished result might still be cut off (`JobLease::restore`), so the result is sent only when
        // its job is completed.
        if job.state != JobState::Completed {
            return Err(self.without_result(&job).into());
        }
        let (head, stretches) = match result::answer(&job, request)? {
            ResultAnswer::Without(response) => return Ok(ServiceAnswer::Whole(response)),
            ResultAnswer::Part(head, (first, count)) => (head, job.progress.stretches(first, count)),
        };
        let body = self.store.read(&job.id, stretches).await.map_err(store_failed)?;
        Ok(ServiceAnswer::Streamed(Box::new(StreamedResponse { head, body })))
    }

    /// Returns the answer to a repeated request: the job that the client began with the same `Idempotency-Key`; `None`
    /// if there is no such job.
    ///
    /// # Errors
    ///
    /// Returns 422 `idempotency_key_reused` if the client began another job with the key.
    pub(super) async fn with_key(&self, definition: &JobDefinition) -> Result<Option<ServiceAnswer>, Failure> {
        let Some(key) = &definition.key else { return Ok(None) };
        let Some(job) = self.store.with_key(key, &self.owners).await.map_err(store_failed)? else { return Ok(None) };
        if !job.definition.is_same_request(definition) {
            let detail = format!("the key belongs to another {0}: write a new key for a new {0}", self.words.one);
            return Err(Box::new(Problem::new(Code::IdempotencyKeyReused, detail)).into());
        }
        Ok(Some(self.shown(202, &job)))
    }

    /// Returns the document of a job as an answer. The answer has `Retry-After` while the job is unfinished, and
    /// `Location` if `status` is 202.
    pub(super) fn shown(&self, status: u16, job: &ExportJob) -> ServiceAnswer {
        let mut response = json_response(status, &self.document(job));
        if !job.state.is_finished() {
            response.headers.insert(header::RETRY_AFTER, HeaderValue::from_static(ASK_AGAIN));
        }
        let location = format!("{}/{}", self.base, job.id);
        if let (202, Ok(location)) = (status, HeaderValue::from_str(&location)) {
            response.headers.insert(header::LOCATION, location);
        }
        ServiceAnswer::Whole(response)
    }

    fn document(&self, job: &ExportJob) -> serde_json::Value {
        let document = match &job.definition.call {
            None => serde_json::to_value(job.document(&self.base, self.keep)),
            Some(call) => serde_json::to_value(job.call_document(call, &self.base, self.keep)),
        };
        // Serializing strings, numbers and booleans never fails.
        document.unwrap_or_default()
    }

    fn without_result(&self, job: &ExportJob) -> Box<Problem> {
        let one = self.words.one;
        let detail = match job.state {
            JobState::Failed => format!("the {one} has failed: its status says why"),
            JobState::Cancelled => format!("the {one} was cancelled"),
            _ => format!("the {one} is not finished: ask for its status"),
        };
        let mut problem = Problem::new(self.words.without_result, detail);
        if !job.state.is_finished() {
            problem.retry_after = Some(HeaderValue::from_static(ASK_AGAIN));
        }
        Box::new(problem)
    }
}

/// The store of jobs, and the keeper of this process.
#[derive(Clone)]
pub(super) struct JobQueue {
    pub(super) store: Arc<dyn ExportStore>,
    /// Wakes the keeper of this process when a job has been queued.
    pub(super) queued: Arc<Notify>,
}

/// A job to add, with what is sealed of it.
pub(super) struct JobOrder<'o> {
    pub(super) definition: JobDefinition,
    pub(super) keys: &'o KeyRing,
    pub(super) caller: &'o Caller,
    /// The private parameters of an export, or the body of the request of a job of a queue.
    pub(super) private: &'o str,
    pub(super) limits: QueueLimits,
}

impl JobQueue {
    /// Adds a job of a client, and returns its document. `counted` are the names under which limits count the client;
    /// empty if these are its own.
    pub(super) async fn add(
        &self,
        jobs: &ClientJobs<'_>,
        counted: &[String],
        order: JobOrder<'_>,
    ) -> Result<ServiceAnswer, Failure> {
        let JobOrder { definition, keys, caller, private, limits } = order;
        let owners = &jobs.owners;
        let (Some(id), Some(owner)) = (new_id(), owners.first()) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no random bytes, or no key".to_owned()));
        };
        let job = ExportJob {
            owner: owner.clone(),
            state: JobState::Queued,
            claim: 0,
            created: clock::unix_seconds(),
            finished: None,
            progress: JobProgress::begin(&definition),
            definition,
            fault: None,
            id,
        };
        let Some(credentials) = sealed(keys, &job.id, caller, private) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no key".to_owned()));
        };
        let names = ClientNames { owners, counted: if counted.is_empty() { owners } else { counted } };
        let added = self.store.add(job.clone(), names, credentials, limits).await.map_err(store_failed)?;
        if added == Added::Known
            && let Some(known) = jobs.with_key(&job.definition).await?
        {
            return Ok(known);
        }
        if let Some(problem) = refusal(added, limits.per_client, jobs.words) {
            return Err(Box::new(problem).into());
        }
        self.queued.notify_one();
        Ok(jobs.shown(202, &job))
    }

    /// Queues a failed job again, with other sealed credentials if there are any.
    pub(super) async fn resume(&self, id: &str, credentials: Option<Vec<u8>>) -> Result<Option<ExportJob>, Failure> {
        let resumed = self.store.resume(id, credentials).await.map_err(store_failed)?;
        self.queued.notify_one();
        Ok(resumed)
    }
}

/// Returns the stored names of a client, the one under the signing key first. A job that was begun before a change of
/// keys has its client's name under the earlier key, so the names under all keys are used.
pub(super) fn names(keys: &KeyRing, kind: &str, name: &[u8; 32]) -> Vec<String> {
    let numbers = std::iter::once(keys.signing_number()).chain(keys.numbers());
    numbers.filter_map(|number| keys.stored_name(number, NAME, kind, name)).collect()
}

/// Checks that the upstream hasn't refused the client's credentials, by its answer about who the client is.
pub(super) fn authorize(said: Option<&IdentityAnswer>) -> Result<(), Failure> {
    match said {
        None | Some(IdentityAnswer::Said(_)) => Ok(()),
        Some(IdentityAnswer::Refused(status, challenge)) => {
            let detail = "the upstream does not accept the credentials of the request";
            let mut problem = Problem::new(Code::CredentialsRefused, detail);
            (problem.status, problem.challenge) = (*status, challenge.clone());
            Err(Box::new(problem).into())
        }
        Some(IdentityAnswer::Unknown | IdentityAnswer::Unanswered) => {
            let said = "the upstream does not say whose credentials these are: try again in a moment";
            Err(Failure::logged(Code::UpstreamUnavailable, said, "server.identity_answer".to_owned()))
        }
    }
}

/// Returns the stored name of a client's address; `None` if the address is unknown.
pub(super) fn network_of(caller: &Caller, keys: &KeyRing) -> Option<String> {
    keys.stored_name(keys.signing_number(), NAME, "network", &caller.network()?)
}

/// Returns the problem if a job wasn't added; `None` if it was queued.
fn refusal(added: Added, per_client: usize, words: &JobWords) -> Option<Problem> {
    let JobWords { one, all, .. } = words;
    match added {
        Added::Queued => None,
        // The job was removed in between, so a repetition of the request begins another one.
        Added::Known => Some(Problem::new(Code::StoreUnavailable, format!("the {one} is being removed: try again"))),
        Added::ClientIsFull => {
            let detail = format!("{per_client} {all} are unfinished: wait for one, or cancel one");
            Some(Problem::new(words.limit, detail))
        }
        Added::QueueIsFull => {
            let detail = format!("the gateway has as many unfinished {all} as it may: try again later");
            Some(Problem::new(Code::Overloaded, detail))
        }
    }
}

pub(super) const FAILED: &str = "the gateway failed: report the request id";

/// Returns the failure of a request for a fault of the store. A fault of PostgreSQL, of a disk or of a directory might
/// be temporary, so the failure is 503 `store_unavailable` with `Retry-After`. For any other fault the failure is 500.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the fault by value")]
pub(in super::super) fn store_failed(fault: JobStoreFault) -> Failure {
    if let JobStoreFault::Directory(known) = &fault
        && !known.may_pass()
    {
        return Failure::logged(Code::Internal, FAILED, fault.to_string());
    }
    // Only exports fail, because pages of lists don't need the store. Test: `jobs_wait_for_a_database_that_is_away`.
    store_unavailable("exports", fault.to_string())
}
