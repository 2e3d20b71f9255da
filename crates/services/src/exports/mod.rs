//! Exports: whole lists as files. Jobs write the files, and continue even if their process ends.
//!
//! A job reads the first page of a list, and then follows the links to the next pages (`page`). It uses inner requests
//! (`services::inner`) with the headers of the client that began it, so the limits, the proofs and the principal of the
//! list apply. The items of each page are written into the result in its `format` (`items`), and stored together with
//! the place of the next page (`run`, `store`). Even if the process crashes, any process that shares the store
//! continues the job from there (`keeper`).
//!
//! A job of a queue is not an export, but a request to an upstream whose work is followed (`queues`, `call`). It has the
//! same store, keeper and states.
//!
//! `credentials` seals the client of a job with its headers. `request` reads requests, `client_jobs` and
//! `result` answer those for jobs and their results, `work` ends the work of a process on a job, and `job` contains a
//! job's data and its document.

mod call;
mod client_jobs;
mod credentials;
mod format;
mod items;
mod job;
mod keeper;
mod page;
mod queues;
mod report;
mod request;
mod result;
mod run;
mod store;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use tokio::sync::Notify;

pub(super) use self::{
    client_jobs::store_failed,
    job::is_id,
    keeper::ExportKeeper,
    queues::Queues,
    report::ExportReport,
    store::{JobStoreFault, KeyEnd, KeyStore, NewKey, StoredKey},
};
use self::{
    client_jobs::{
        BODY_DEPTH, BODY_SIZE, ClientJobs, EXPORT_WORDS, FAILED, JobOrder, JobQueue, authorize, names, network_of,
    },
    credentials::{NAME, sealed},
    job::{ExportedList, JobDefinition},
    page::{PageFault, PageReader},
    request::{ExportOrder, ExportResource, ExportTarget},
    store::{DirectoryStore, ExportStore, PostgresJobs, QueueLimits},
};
use super::{
    caller::{Caller, ClientRules},
    idempotency_key,
    inner::InnerGateway,
    webhooks::Events,
};
use cursorgate_config::settings::{CountedBy, ExportSettings, ServiceStoreSettings};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    server::dispatch::unless_gone,
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        identity::IdentityCall,
        service::{PageCause, Service, ServiceAnswer},
    },
    shared::clients::{LimitedClient, limit_store::LimitStore, route_limits::LimitedRequest},
};
use cursorgate_translate::downstream::{Code, CorsPolicy, LinkBase, Problem};

pub(super) struct Exports {
    inner: Arc<InnerGateway>,
    queue: JobQueue,
}

/// A request for exports, with its client and the resource that it names.
struct ExportCall<'c> {
    snapshot: &'c Arc<Snapshot>,
    settings: &'c ExportSettings,
    keys: &'c KeyRing,
    target: ExportTarget,
    caller: Caller,
    /// The client's exports of the list.
    jobs: ClientJobs<'c>,
    /// The names under which limits count the client, in the order of its own; empty if these are its own.
    counted: Vec<String>,
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
        let call = identify(self, session, client, snapshot, asked).await?;
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
            (ExportResource::Collection, _) => call.jobs.listed(session.req_header().uri.query()).await.map(Some),
            (ExportResource::Job(id), Method::DELETE) => call.jobs.delete(id).await.map(Some),
            (ExportResource::Job(id), _) => Ok(Some(call.jobs.shown(200, &call.jobs.find(id).await?))),
            (ExportResource::Result(id), _) => call.jobs.result(id, session.req_header()).await.map(Some),
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
            ServiceStoreSettings::Directory(directory) => {
                let opened = DirectoryStore::open(directory);
                Arc::new(opened.map_err(|fault| format!("services.exports: {}: {fault}", directory.display()))?)
            }
            ServiceStoreSettings::Postgres(settings) => {
                let opened = PostgresJobs::open(inner, settings);
                Arc::new(opened.map_err(|error| format!("services.exports.postgres: {error}"))?)
            }
        };
        let queued: Arc<Notify> = Arc::default();
        let keeper =
            ExportKeeper { inner: Arc::clone(inner), store: Arc::clone(&store), queued: Arc::clone(&queued), events };
        let report = ExportReport { inner: Arc::clone(inner), store: Arc::clone(&store), queued: Arc::clone(&queued) };
        Ok((Self { inner: Arc::clone(inner), queue: JobQueue { store, queued } }, keeper, report))
    }

    /// Returns the service of queues, whose jobs are in the same store.
    pub(super) fn queues(&self) -> Queues {
        Queues { inner: Arc::clone(&self.inner), queue: self.queue.clone() }
    }

    /// Returns the store, for the keys of bulk requests.
    pub(super) fn keys(&self) -> Arc<dyn KeyStore> {
        Arc::<dyn ExportStore>::clone(&self.queue.store)
    }

    /// Begins a job, after the list has answered a request for a page of one item. If the list refuses the client or
    /// the parameters, the client gets the list's own refusal and no job.
    async fn begin(
        &self,
        call: &ExportCall<'_>,
        order: ExportOrder,
        key: Option<&str>,
    ) -> Result<ServiceAnswer, Failure> {
        let ExportCall { snapshot, settings, keys, target, caller, jobs, .. } = call;
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
            exports_url: jobs.base.clone(),
            query,
            format: order.format,
            compression: order.compression,
            priority: order.priority,
            columns: order.columns,
            formulas: order.formulas,
            network: network_of(caller, keys),
            key: key.map(|key| jobs.list.key_name(key)),
            counted: call.counted.first().cloned(),
            call: None,
        };
        if let Some(known) = jobs.with_key(&definition).await? {
            return Ok(known);
        }
        self.probe(call, &definition, &private).await?;
        check_credentials(call, &private)?;
        let limits = QueueLimits { per_client: settings.per_client, queue: settings.queue };
        let order = JobOrder { definition, keys, caller, private: &private, limits };
        self.queue.add(jobs, &call.counted, order).await
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
        let reader = PageReader { gateway, snapshot, caller, definition, private, timeout, cause, is_cautious: false };
        match reader.probe().await {
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
        let job = call.jobs.failed(id).await?;
        let (_, private) = request::read_query(&target.route, &caller.headers, target.list.query.as_deref())?;
        self.probe(call, &job.definition, &private).await?;
        let Some(credentials) = sealed(keys, &job.id, caller, &private) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no key".to_owned()));
        };
        let resumed = self.queue.resume(&job.id, Some(credentials)).await?;
        Ok(call.jobs.shown(202, &resumed.unwrap_or(job)))
    }
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
}

/// Determines the list, the resource and the client of a request.
///
/// # Errors
///
/// Returns 401 or 403 `credentials_refused` if the upstream refuses the client's credentials, and 502
/// `upstream_unavailable` if the upstream doesn't say who the client is.
async fn identify<'c>(
    service: &'c Exports,
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
    let counted = match &settings.key {
        CountedBy::Principal => Vec::new(),
        key => names(keys, "counted", &caller.counted_by(key, name)),
    };
    let list = ExportedList { normal_path: target.list.normal_path.clone(), host: target.list.host.clone() };
    let (owners, keep) = (names(keys, "owner", &name), settings.keep.as_secs());
    let (store, counts) = (&service.queue.store, service.inner.gateway().vitals.exports());
    let jobs = ClientJobs { store, counts, owners, list, base, keep, words: &EXPORT_WORDS };
    Ok(ExportCall { snapshot, settings, keys, target, caller, jobs, counted })
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
