//! Exports: whole lists as files. Jobs write the files, and continue even if their process ends.
//!
//! A job reads the first page of a list, and then follows the links to the next pages (`page`). It uses inner requests
//! (`services::inner`) with the headers of the client that began it, so the limits, the proofs and the principal of the
//! list apply. The items of each page are written into the result in its `format` (`items`), and stored together with
//! the place of the next page (`run`, `store`). Even if the process crashes, any process that shares the store
//! continues the job from there (`keeper`).
//!
//! `credentials` seals the client of a job with its headers. `request` reads requests, `result` answers the requests
//! for a result, and `job` contains a job's data and its document.

mod credentials;
mod format;
mod items;
mod job;
mod keeper;
mod page;
mod report;
mod request;
mod result;
mod run;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use serde::Serialize;
use tokio::sync::Notify;

use self::{
    credentials::{NAME, sealed},
    job::{ExportJob, ExportedList, JobDefinition, JobProgress, JobState},
    page::{PageFault, PageReader},
    request::{ExportOrder, ExportResource, ExportTarget},
    result::ResultAnswer,
    store::{Added, ClientNames, DirectoryStore, ExportStore, JobStoreFault, PostgresJobs, QueueLimits},
};
pub(super) use self::{
    job::is_id,
    keeper::ExportKeeper,
    report::ExportReport,
    store::{KeyEnd, KeyStore, NewKey, StoredKey},
};
use super::{
    caller::{Caller, ClientRules},
    database::store_unavailable,
    id::new_id,
    idempotency_key,
    inner::InnerGateway,
    webhooks::Events,
};
use cursorgate_config::settings::{CountedBy, ExportSettings, ExportStoreSettings};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    Snapshot,
    identity::answers::IdentityAnswer,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    runtime::clock,
    server::dispatch::unless_gone,
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        identity::IdentityCall,
        service::{PageCause, Service, ServiceAnswer, StreamedResponse},
    },
    shared::clients::{LimitedClient, limit_store::LimitStore, route_limits::LimitedRequest},
};
use cursorgate_translate::downstream::{Code, CorsPolicy, LinkBase, Problem, Response};

/// The largest size of the body of a request that begins a job, in bytes. A larger body is refused.
const BODY_SIZE: usize = 256 << 10;
/// The largest nesting depth of a request body's JSON. A deeper body is refused.
const BODY_DEPTH: u16 = 8;

/// The `Retry-After` of unfinished jobs, in seconds.
const ASK_AGAIN: &str = "2";

pub(super) struct Exports {
    inner: Arc<InnerGateway>,
    store: Arc<dyn ExportStore>,
    /// Wakes the keeper of this process when a job has been queued.
    queued: Arc<Notify>,
}

/// A request for exports, with its client and the resource that it names.
struct ExportCall<'c> {
    snapshot: &'c Arc<Snapshot>,
    settings: &'c ExportSettings,
    keys: &'c KeyRing,
    target: ExportTarget,
    caller: Caller,
    /// The names of the client under each cursor key. The name under the signing key is the first.
    owners: Vec<String>,
    /// The names under which limits count the client, in the same order; empty if these are the `owners`.
    counted: Vec<String>,
    /// The URL of the list's exports, such as `https://api.example.com/users/exports`.
    base: String,
}

/// The JSON document with a client's exports of a list.
#[derive(Serialize)]
struct ExportList<'a> {
    exports: Vec<job::JobDocument<'a>>,
}

#[async_trait]
impl Service for Exports {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        snapshot.services.exports.is_some() && ExportTarget::read(snapshot, head).is_some()
    }

    fn policy(&self, snapshot: &Snapshot, head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        ExportTarget::read(snapshot, head)?.route.cors.clone()
    }

    fn name(&self) -> &'static str {
        NAME
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        let method = session.req_header().method.clone();
        let asked = IdentityCall { gateway: self.inner.gateway(), snapshot, outcome };
        let call = identify(session, client, snapshot, asked).await?;
        // A request that begins a job asks for a page of the list, which counts as one. Test:
        // `requests_for_exports_have_the_limits_of_their_list`.
        if (&call.target.resource, &method) != (&ExportResource::Collection, &Method::POST) {
            call.charge(session, client, outcome).await?;
        }
        match (&call.target.resource, method) {
            (ExportResource::Collection, Method::POST) => {
                let limits = BodyLimits { size: BODY_SIZE, depth: BODY_DEPTH, time: call.settings.page_timeout };
                let key = idempotency_key::read(&session.req_header().headers)?;
                let order = ExportOrder::read(body::read(session, limits, held).await?.bytes())?;
                let begun = std::pin::pin!(self.begin(&call, order, key.as_deref()));
                unless_gone(session, begun).await.transpose()
            }
            (ExportResource::Resumption(id), _) => {
                let resumed = std::pin::pin!(self.resume(&call, id));
                unless_gone(session, resumed).await.transpose()
            }
            (ExportResource::Collection, _) => {
                let jobs = self.store.of_client(&call.owners, &call.list()).await.map_err(store_failed)?;
                let keep = call.settings.keep.as_secs();
                let exports = jobs.iter().map(|job| job.document(&call.base, keep)).collect();
                Ok(Some(json(200, &ExportList { exports })))
            }
            (ExportResource::Job(id), Method::DELETE) => self.delete(&call, id).await.map(Some),
            (ExportResource::Job(id), _) => Ok(Some(call.shown(200, &self.find(&call, id).await?))),
            (ExportResource::Result(id), _) => {
                let job = self.find(&call, id).await?;
                // The end of an unfinished result might still be cut off (`JobLease::restore`), so the result is sent
                // only when its job is completed.
                if job.state != JobState::Completed {
                    return Err(without_result(&job).into());
                }
                let (head, stretches) = match result::answer(&job, session.req_header())? {
                    ResultAnswer::Without(response) => return Ok(Some(ServiceAnswer::Whole(response))),
                    ResultAnswer::Part(head, (first, count)) => (head, job.progress.stretches(first, count)),
                };
                let body = self.store.read(&job.id, stretches).await.map_err(store_failed)?;
                Ok(Some(ServiceAnswer::Streamed(Box::new(StreamedResponse { head, body }))))
            }
        }
    }
}

impl Exports {
    /// Opens the exports, their keeper and their report. If there are `events`, the keeper raises an event for each job that
    /// completes or fails.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store as a message.
    pub(super) fn open(
        inner: &Arc<InnerGateway>,
        settings: &ExportSettings,
        events: Option<Events>,
    ) -> Result<(Self, ExportKeeper, ExportReport), String> {
        let store: Arc<dyn ExportStore> = match &settings.store {
            ExportStoreSettings::Directory(directory) => {
                let opened = DirectoryStore::open(directory);
                Arc::new(opened.map_err(|fault| format!("services.exports: {}: {fault}", directory.display()))?)
            }
            ExportStoreSettings::Postgres(settings) => {
                let opened = PostgresJobs::open(inner, settings);
                Arc::new(opened.map_err(|error| format!("services.exports.postgres: {error}"))?)
            }
        };
        let queued: Arc<Notify> = Arc::default();
        let keeper =
            ExportKeeper { inner: Arc::clone(inner), store: Arc::clone(&store), queued: Arc::clone(&queued), events };
        let report = ExportReport { store: Arc::clone(&store), queued: Arc::clone(&queued) };
        Ok((Self { inner: Arc::clone(inner), store, queued }, keeper, report))
    }

    /// Returns the store, for the keys of bulk requests.
    pub(super) fn keys(&self) -> Arc<dyn KeyStore> {
        Arc::<dyn ExportStore>::clone(&self.store)
    }

    /// Begins a job, after the list has answered a request for a page of one item. If the list refuses the client or
    /// the parameters, the client gets the list's own refusal and no job.
    async fn begin(
        &self,
        call: &ExportCall<'_>,
        order: ExportOrder,
        key: Option<&str>,
    ) -> Result<ServiceAnswer, Failure> {
        let ExportCall { snapshot, settings, keys, target, caller, owners, .. } = call;
        let (query, private) = request::read_query(&target.route, &caller.headers, target.list.query.as_deref())?;
        // The subject of a certificate isn't stored (`Caller::to_bytes`), so a later process couldn't send it to the
        // upstream. The export is refused if the upstream needs the subject.
        let has_certificate = caller.tls.as_ref().is_some_and(|tls| !tls.cert_digest.is_empty());
        if has_certificate && snapshot.server.client_subject.is_some() {
            let detail =
                "the upstream knows this client by its certificate, which an export does not have after a restart";
            return Err(Box::new(Problem::new(Code::ExportUnsupported, detail)).into());
        }
        let definition = JobDefinition {
            path: target.list.path.clone(),
            normal_path: target.list.normal_path.clone(),
            host: target.list.host.clone(),
            // The URL is stored, because at the job's end there is no request from which the event could take the URL.
            // Test: `an_event_links_to_the_export_at_the_public_url`.
            exports_url: call.base.clone(),
            query,
            format: order.format,
            compression: order.compression,
            priority: order.priority,
            columns: order.columns,
            formulas: order.formulas,
            network: network_of(caller, keys),
            key: key.map(|key| call.list().key_name(key)),
            counted: call.counted.first().cloned(),
        };
        if let Some(known) = self.with_key(call, &definition).await? {
            return Ok(known);
        }
        self.probe(call, &definition, &private).await?;
        check_credentials(call, &private)?;
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
        let Some(credentials) = sealed(keys, &job.id, caller, &private) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no key".to_owned()));
        };
        let limits = QueueLimits { per_client: settings.per_client, queue: settings.queue };
        let names = ClientNames { owners, counted: if call.counted.is_empty() { owners } else { &call.counted } };
        let added = self.store.add(job.clone(), names, credentials, limits).await.map_err(store_failed)?;
        if added == Added::Known
            && let Some(known) = self.with_key(call, &job.definition).await?
        {
            return Ok(known);
        }
        if let Some(problem) = refusal(added, settings.per_client) {
            return Err(Box::new(problem).into());
        }
        self.queued.notify_one();
        Ok(call.shown(202, &job))
    }

    /// Returns the answer to a repeated request: the job that the client began with the same `Idempotency-Key`; `None`
    /// if there is no such job.
    ///
    /// # Errors
    ///
    /// Returns 422 `idempotency_key_reused` if the client began another export with the key.
    async fn with_key(
        &self,
        call: &ExportCall<'_>,
        definition: &JobDefinition,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        let Some(key) = &definition.key else { return Ok(None) };
        let Some(job) = self.store.with_key(key, &call.owners).await.map_err(store_failed)? else { return Ok(None) };
        if !job.definition.is_same_request(definition) {
            let detail = "the key belongs to another export of this list: write a new key for a new export";
            return Err(Box::new(Problem::new(Code::IdempotencyKeyReused, detail)).into());
        }
        Ok(Some(call.shown(202, &job)))
    }

    /// Requests a page of one item. A job is queued only after its client has received a page of the list, so a client
    /// that the list refuses can't fill the queue. Test: `a_list_that_refuses_a_client_begins_no_export`.
    ///
    /// # Errors
    ///
    /// Returns the refusal of the list, and 502 `upstream_unavailable` without an answer.
    async fn probe(&self, call: &ExportCall<'_>, definition: &JobDefinition, private: &str) -> Result<(), Failure> {
        let ExportCall { snapshot, settings, caller, .. } = call;
        let (gateway, timeout) = (self.inner.gateway(), settings.page_timeout);
        let cause = PageCause::Request;
        match (PageReader { gateway, snapshot, caller, definition, private, timeout, cause }).probe().await {
            Ok((answer, _)) if answer.status == 200 => Ok(()),
            Ok((answer, _)) => Err(Failure::Passed(Box::new(answer.passed()))),
            Err(PageFault::Again(fault, _) | PageFault::Limited(fault, _) | PageFault::Final(fault)) => {
                let said = "the list could not be requested: try again in a moment";
                Err(Failure::logged(Code::UpstreamUnavailable, said, fault.code))
            }
        }
    }

    /// Continues a failed job after the pages that are in its result, with the credentials of this request. The number
    /// of failed jobs is bounded by `keep_jobs`, so resumed jobs don't count for the limits of the queue.
    async fn resume(&self, call: &ExportCall<'_>, id: &str) -> Result<ServiceAnswer, Failure> {
        let ExportCall { keys, caller, target, .. } = call;
        let job = self.find(call, id).await?;
        if job.state != JobState::Failed {
            let detail = "only a failed export can be resumed: its status says what it does";
            return Err(Box::new(Problem::new(Code::ExportNotFailed, detail)).into());
        }
        let (_, private) = request::read_query(&target.route, &caller.headers, target.list.query.as_deref())?;
        self.probe(call, &job.definition, &private).await?;
        let Some(credentials) = sealed(keys, &job.id, caller, &private) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no key".to_owned()));
        };
        let resumed = self.store.resume(&job.id, Some(credentials)).await.map_err(store_failed)?;
        self.queued.notify_one();
        Ok(call.shown(202, &resumed.unwrap_or(job)))
    }

    /// Cancels an unfinished job, or removes a finished job together with its result.
    async fn delete(&self, call: &ExportCall<'_>, id: &str) -> Result<ServiceAnswer, Failure> {
        let job = self.find(call, id).await?;
        if job.state.is_finished() {
            self.store.remove(&job.id).await.map_err(store_failed)?;
            return Ok(ServiceAnswer::Whole(Response::new(204, Vec::new())));
        }
        self.store.cancel(&job.id).await.map_err(store_failed)?;
        // The job is read again, because it might have ended before it was cancelled.
        Ok(call.shown(200, &self.find(call, &job.id).await?))
    }

    /// Returns the client's job with this id.
    ///
    /// # Errors
    ///
    /// Returns 404 `export_not_found` if the list has no job with this id, or if another client began the job.
    async fn find(&self, call: &ExportCall<'_>, id: &str) -> Result<ExportJob, Failure> {
        let found = self.store.find(id, &call.owners).await.map_err(store_failed)?;
        found.filter(|job| call.list().is_of(job)).ok_or_else(|| {
            let detail = "there is no such export of this client: it may have been removed";
            Box::new(Problem::new(Code::ExportNotFound, detail)).into()
        })
    }
}

const FAILED: &str = "the gateway failed: report the request id";

/// Returns the failure of a request for a fault of the store. A fault of PostgreSQL, of a disk or of a directory might
/// be temporary, so the failure is 503 `store_unavailable` with `Retry-After`. For any other fault the failure is 500.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the fault by value")]
pub(super) fn store_failed(fault: JobStoreFault) -> Failure {
    if let JobStoreFault::Directory(known) = &fault
        && !known.may_pass()
    {
        return Failure::logged(Code::Internal, FAILED, fault.to_string());
    }
    // Only exports fail, because pages of lists don't need the store. Test: `jobs_wait_for_a_database_that_is_away`.
    store_unavailable("exports", fault.to_string())
}

impl ExportCall<'_> {
    /// Counts the request in a limit of its own, with the numbers of the list's rate limit. A client that asks for the
    /// state of its export doesn't slow the export down.
    ///
    /// # Errors
    ///
    /// Returns the refusal if the client has used up the limit.
    async fn charge(&self, session: &ServerSession, client: &Client, outcome: &mut Outcome) -> Result<(), Failure> {
        let route = &self.target.route;
        let Some(limits) = &route.limits else { return Ok(()) };
        let client = LimitedClient {
            headers: &session.req_header().headers,
            address: client.own,
            known: self.caller.known(route.identity.as_deref()),
        };
        let store = self.snapshot.store.clone();
        let apart = format!("{} {NAME}", route.name);
        let shared = store.map(|store| -> (Arc<dyn LimitStore>, &str) { (store, &apart) });
        let limited = LimitedRequest::begin(limits, client, shared).apart();
        outcome.limited.insert(Box::new(limited)).admit().await.map_err(|refusal| {
            outcome.counted.limit = Some(refusal.policy.word());
            refusal.into()
        })
    }

    /// Returns the list whose exports this request names.
    fn list(&self) -> ExportedList {
        let list = &self.target.list;
        ExportedList { normal_path: list.normal_path.clone(), host: list.host.clone() }
    }

    /// Returns the document of a job as an answer. The answer has `Retry-After` while the job is unfinished, and
    /// `Location` if `status` is 202.
    fn shown(&self, status: u16, job: &ExportJob) -> ServiceAnswer {
        let mut answer = json(status, &job.document(&self.base, self.settings.keep.as_secs()));
        if let ServiceAnswer::Whole(response) = &mut answer {
            if !job.state.is_finished() {
                response.headers.insert(header::RETRY_AFTER, HeaderValue::from_static(ASK_AGAIN));
            }
            let location = format!("{}/{}", self.base, job.id);
            if let (202, Ok(location)) = (status, HeaderValue::from_str(&location)) {
                response.headers.insert(header::LOCATION, location);
            }
        }
        answer
    }
}

/// Determines the list, the resource and the client of a request.
///
/// # Errors
///
/// Returns 401 or 403 `credentials_refused` if the upstream refuses the client's credentials, and 502
/// `upstream_unavailable` if the upstream doesn't say who the client is.
async fn identify<'c>(
    session: &ServerSession,
    client: &Client,
    snapshot: &'c Arc<Snapshot>,
    call: IdentityCall<'_>,
) -> Result<ExportCall<'c>, Failure> {
    let target = ExportTarget::read(snapshot, session.req_header());
    let parts = target.zip(snapshot.services.exports.as_ref()).zip(snapshot.keys.as_deref());
    let Some(((target, settings), keys)) = parts else {
        // `takes` doesn't accept a request without a target and settings, so this isn't expected.
        return Err(Box::new(Problem::new(Code::RouteNotFound, "no route covers this path")).into());
    };
    let headers = &session.req_header().headers;
    let address = client.public_address(&target.list, headers, &target.route, snapshot);
    let base = LinkBase::new(&address, &format!("{}/exports", target.list.path)).url("");
    let mut caller = Caller::of(session, call.outcome.client);
    // An absolute target overrides `Host` (RFC 9112 section 3.2.2). Inner requests have a relative target, so they need
    // the host in `Host`.
    if let Some(Ok(host)) = target.list.authority.as_deref().map(HeaderValue::from_str) {
        caller.headers.insert(header::HOST, host);
    }
    // A key in the query is a credential like one in a header, so a request without the key of a job doesn't find it.
    // Test: `an_export_with_a_key_in_its_query_is_that_of_the_key`.
    let private = request::private_name(&target.route, &caller.headers, target.list.query.as_deref());
    let rules = [target.route.identity.as_ref(), snapshot.service_identities.webhooks.as_ref()];
    let query = target.list.query.as_deref();
    let said = caller.identify(&rules, query, client, call).await;
    // A list asks its upstream for each page, but the file of a job is there without it.
    // Test: `revoked_credentials_open_no_export`.
    if target.route.identity.as_ref().is_some_and(|rules| rules.need_answer()) {
        authorize(said.as_deref())?;
    }
    let name = caller.owner_at(ClientRules::of_route(&target.route), &private);
    // A job that was begun before a change of keys has its client's name under the earlier key, so the names under all
    // keys are used.
    let numbers: Vec<u32> = std::iter::once(keys.signing_number()).chain(keys.numbers()).collect();
    let names = |kind: &str, name: &[u8; 32]| -> Vec<String> {
        numbers.iter().filter_map(|number| keys.stored_name(*number, NAME, kind, name)).collect()
    };
    let owners = names("owner", &name);
    let counted = match &settings.key {
        CountedBy::Principal => Vec::new(),
        key => names("counted", &caller.counted_by(key, name)),
    };
    Ok(ExportCall { snapshot, settings, keys, target, caller, owners, counted, base })
}

/// Checks that the upstream hasn't refused the client's credentials, by its answer about who the client is.
fn authorize(said: Option<&IdentityAnswer>) -> Result<(), Failure> {
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
fn network_of(caller: &Caller, keys: &KeyRing) -> Option<String> {
    keys.stored_name(keys.signing_number(), NAME, "network", &caller.network()?)
}

/// Checks that the client of a job can be told apart from all others, if the list isn't the same for all clients. The
/// file of one client must not be found by all others at its address.
///
/// # Errors
///
/// Returns 422 `export_unsupported`.
fn check_credentials(call: &ExportCall<'_>, private: &str) -> Result<(), Box<Problem>> {
    let clients = ClientRules::of_route(&call.target.route);
    // Test: `an_export_without_credentials_is_refused`.
    if clients.are_all_equal() || !private.is_empty() || call.caller.has_credentials(clients) {
        return Ok(());
    }
    let detail = "the request has no credentials by which the export could be found again: send those of the list, or \
                  let the route say that all clients see the same list (principal = [])";
    Err(Box::new(Problem::new(Code::ExportUnsupported, detail)))
}

/// Returns the problem if a job wasn't added; `None` if it was queued.
fn refusal(added: Added, per_client: usize) -> Option<Problem> {
    match added {
        Added::Queued => None,
        // The job was removed in between, so a repetition of the request begins another one.
        Added::Known => Some(Problem::new(Code::StoreUnavailable, "the export is being removed: try again")),
        Added::ClientIsFull => {
            let detail = format!("{per_client} exports are unfinished: wait for one, or cancel one");
            Some(Problem::new(Code::ExportLimit, detail))
        }
        Added::QueueIsFull => {
            let detail = "the gateway has as many unfinished exports as it may: try again later";
            Some(Problem::new(Code::Overloaded, detail))
        }
    }
}

fn without_result(job: &ExportJob) -> Box<Problem> {
    let detail = match job.state {
        JobState::Failed => "the export has failed: its status says why",
        JobState::Cancelled => "the export was cancelled",
        _ => "the export is not finished: ask for its status",
    };
    let mut problem = Problem::new(Code::ExportWithoutResult, detail);
    if !job.state.is_finished() {
        problem.retry_after = Some(HeaderValue::from_static(ASK_AGAIN));
    }
    Box::new(problem)
}

fn json(status: u16, document: &impl Serialize) -> ServiceAnswer {
    // Serializing strings, numbers and booleans as JSON never fails.
    let body = serde_json::to_vec(document).unwrap_or_default();
    let mut response = Response::new(status, Vec::new());
    response.headers.insert(header::CONTENT_LENGTH, body.len().into());
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.body = body.into();
    ServiceAnswer::Whole(response)
}
