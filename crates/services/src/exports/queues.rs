//! The service of queues: a client begins a job by a POST to the path of a queue, and asks for it by its id.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use sha2::{Digest as _, Sha256};

use super::{
    client_jobs::{
        BODY_DEPTH, BODY_SIZE, CALL_WORDS, ClientJobs, FAILED, JobOrder, JobQueue, authorize, names, network_of,
    },
    credentials::sealed,
    format::{Compression, ExportFormat, Formulas},
    job::{ExportedList, JobCall, JobDefinition, Priority, is_id},
    store::QueueLimits,
};
use crate::{
    caller::{Caller, ClientRules},
    idempotency_key,
    inner::InnerGateway,
    page::hex,
};
use cursorgate_config::settings::{JobQueueSettings, JobSettings};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    request::target,
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        identity::IdentityCall,
        service::{Service, ServiceAnswer, intended_method},
    },
};
use cursorgate_translate::downstream::{Code, CorsPolicy, LinkBase, Problem};

pub(crate) struct Queues {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) queue: JobQueue,
}

/// The resource that the path of a request names.
enum JobResource<'p> {
    /// All jobs of the client.
    All,
    /// A queue, by its name.
    Queue(&'p str),
    Job(&'p str),
    Result(&'p str),
    Resumption(&'p str),
}

impl<'p> JobResource<'p> {
    /// Reads the path after that of the service; `None` if there is no such resource, or not with this method.
    fn read(rest: &'p str, method: &Method) -> Option<Self> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let Some(rest) = rest.strip_prefix('/') else { return (rest.is_empty() && reads).then_some(Self::All) };
        match rest.split_once('/') {
            None if *method == Method::POST => Some(Self::Queue(rest)),
            None if is_id(rest) && (reads || *method == Method::DELETE) => Some(Self::Job(rest)),
            Some((id, "result")) if is_id(id) && reads => Some(Self::Result(id)),
            Some((id, "resume")) if is_id(id) && *method == Method::POST => Some(Self::Resumption(id)),
            _ => None,
        }
    }
}

/// A request for jobs, with its client.
struct QueueCall<'c> {
    settings: &'c JobSettings,
    keys: &'c KeyRing,
    caller: Caller,
    jobs: ClientJobs<'c>,
}

#[async_trait]
impl Service for Queues {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        let Some(jobs) = &snapshot.services.jobs else { return false };
        rest(head, &jobs.path).is_some()
    }

    fn policy(&self, snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        snapshot.service_policies.of_routes.clone()
    }

    fn name(&self) -> &'static str {
        "jobs"
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        // This doesn't happen: `takes` accepts a request only if this snapshot has the settings.
        let Some(settings) = &snapshot.services.jobs else { return Ok(None) };
        let path = rest(session.req_header(), &settings.path).unwrap_or_default();
        let method = intended_method(session.req_header()).unwrap_or_default();
        let Some(resource) = JobResource::read(&path, &method) else {
            let detail = "the path is not one of jobs, or not with this method";
            return Err(Box::new(Problem::new(Code::RouteNotFound, detail)).into());
        };
        let asked = IdentityCall { gateway: self.inner.gateway(), snapshot, outcome };
        let call = self.identify(session, client, snapshot, settings, asked).await?;
        match resource {
            JobResource::All => call.jobs.listed(session.req_header().uri.query()).await,
            JobResource::Queue(name) => self.begin(session, call, name, held).await,
            JobResource::Job(id) if method == Method::DELETE => call.jobs.delete(id).await,
            JobResource::Job(id) => Ok(call.jobs.shown(200, &call.jobs.find(id).await?)),
            JobResource::Result(id) => call.jobs.result(id, session.req_header()).await,
            JobResource::Resumption(id) => self.resume(session, call, id, held).await,
        }
        .map(Some)
    }
}

impl Queues {
    /// Determines the client of a request.
    ///
    /// # Errors
    ///
    /// Returns 400 `request_invalid` for a request without credentials: clients behind a proxy share its address.
    async fn identify<'c>(
        &'c self,
        session: &ServerSession,
        client: &Client,
        snapshot: &'c Arc<Snapshot>,
        settings: &'c JobSettings,
        asked: IdentityCall<'_>,
    ) -> Result<QueueCall<'c>, Failure> {
        let (Some(keys), Some(exports)) = (snapshot.keys.as_deref(), &snapshot.services.exports) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no key, or no store".to_owned()));
        };
        let mut caller = Caller::of(session, asked.outcome.client);
        let target = target::read(session.req_header())?;
        if let Some(Ok(host)) = target.authority.as_deref().map(HeaderValue::from_str) {
            caller.headers.insert(header::HOST, host);
        }
        let address = client.service_address(&target, &session.req_header().headers, snapshot);
        let base = LinkBase::new(&address, &settings.path).url("");
        let identities = &snapshot.service_identities;
        let rules = [identities.jobs.as_ref(), identities.webhooks.as_ref()];
        let said = caller.identify(&rules, target.query.as_deref(), client, asked).await;
        if identities.jobs.as_ref().is_some_and(|rules| rules.need_answer()) {
            authorize(said.as_deref())?;
        }
        let rules = identities.jobs.as_deref();
        let clients = ClientRules { principal: &[], rules, impersonal: &settings.impersonal };
        if !caller.has_credentials(clients) {
            let detail = "the request has no credentials by which the job could be found again";
            return Err(Box::new(Problem::new(Code::RequestInvalid, detail)).into());
        }
        let jobs = ClientJobs {
            store: &self.queue.store,
            counts: self.inner.gateway().vitals.exports(),
            owners: names(keys, "owner", &caller.owner_at(clients, "")),
            list: ExportedList { normal_path: settings.path.clone(), host: None },
            base,
            keep: exports.keep.as_secs(),
            words: &CALL_WORDS,
        };
        Ok(QueueCall { settings, keys, caller, jobs })
    }

    /// Begins a job of the queue with this name. The body becomes that of the request to the upstream.
    async fn begin(
        &self,
        session: &mut ServerSession,
        call: QueueCall<'_>,
        name: &str,
        held: &MemoryShare,
    ) -> Result<ServiceAnswer, Failure> {
        let QueueCall { settings, keys, caller, jobs } = &call;
        let Some(queue) = settings.queues.iter().find(|queue| queue.name == name) else {
            let detail = format!("there is no queue {name:?}");
            return Err(Box::new(Problem::new(Code::JobNotFound, detail)).into());
        };
        let key = idempotency_key::read(&session.req_header().headers)?;
        let body = body_of(session, queue, held).await?;
        let call = JobCall { queue: queue.name.clone(), digest: hex(&Sha256::digest(&body)) };
        let definition = JobDefinition {
            path: queue.path.value.clone(),
            normal_path: jobs.list.normal_path.clone(),
            host: None,
            exports_url: jobs.base.clone(),
            query: String::new(),
            format: ExportFormat::default(),
            compression: Compression::default(),
            priority: Priority::default(),
            columns: None,
            formulas: Formulas::default(),
            network: network_of(caller, keys),
            key: key.map(|key| jobs.list.key_name(&key)),
            counted: None,
            call: Some(call),
        };
        if let Some(known) = jobs.with_key(&definition).await? {
            return Ok(known);
        }
        let limits = QueueLimits { per_client: queue.per_client, queue: queue.unfinished };
        self.queue.add(jobs, &[], JobOrder { definition, keys, caller, private: &body, limits }).await
    }

    /// Continues a failed job with the credentials of this request: asks for the status again, if the work has begun, or
    /// sends the request again. The body is the same as that of the request that began the job.
    async fn resume(
        &self,
        session: &mut ServerSession,
        call: QueueCall<'_>,
        id: &str,
        held: &MemoryShare,
    ) -> Result<ServiceAnswer, Failure> {
        let QueueCall { settings, keys, caller, jobs } = &call;
        let job = jobs.failed(id).await?;
        let known = job.definition.call.as_ref();
        let queue = known.and_then(|call| settings.queues.iter().find(|queue| queue.name == call.queue));
        let Some((known, queue)) = known.zip(queue) else {
            let detail = "the queue of the job is no longer there";
            return Err(Box::new(Problem::new(Code::JobNotFound, detail)).into());
        };
        let body = body_of(session, queue, held).await?;
        if hex(&Sha256::digest(&body)) != known.digest {
            let detail = "send the body with which the job was begun: its credentials are replaced, and not its work";
            return Err(Box::new(Problem::new(Code::BodyInvalid, detail)).into());
        }
        let Some(credentials) = sealed(keys, &job.id, caller, &body) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no key".to_owned()));
        };
        let resumed = self.queue.resume(&job.id, Some(credentials)).await?;
        Ok(jobs.shown(202, &resumed.unwrap_or(job)))
    }
}

async fn body_of(session: &mut ServerSession, queue: &JobQueueSettings, held: &MemoryShare) -> Result<String, Failure> {
    let limits = BodyLimits { size: BODY_SIZE, depth: BODY_DEPTH, time: queue.request_timeout };
    let body = body::read(session, limits, held).await?.into_bytes();
    // A body that was accepted is JSON, and so UTF-8.
    Ok(String::from_utf8(body.to_vec()).unwrap_or_default())
}

/// Returns the path of a request after that of the service; `None` if it is another one.
fn rest(head: &RequestHeader, path: &str) -> Option<String> {
    let asked = head.raw_path().split(|byte| *byte == b'?').next()?;
    let rest = std::str::from_utf8(asked).ok()?.strip_prefix(path)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
}
