//! Bulk requests: many operations in one request. One answer contains the results in the order of the operations.
//!
//! An operation runs as a separate request through the gateway (`services::inner`). So the same checks, limits, logs
//! and traces apply to it as to a request that a client sends alone. All operations are read and checked before the
//! first one runs (`request`).
//!
//! With an `Idempotency-Key` the operations run in a task that outlives the client's connection, and their results are
//! kept for a repetition (`idempotency`). Without a key the operations end when the client leaves.

mod answer_headers;
mod detached;
mod idempotency;
mod operation;
mod owners;
mod report;
mod request;
mod run;

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use tokio::sync::watch;

use self::{
    detached::DetachedRuns,
    idempotency::{IdempotencyKeys, KeptResult, KnownKey},
    owners::Owner,
    request::BulkPlan,
    run::{BulkRun, FinishedBulk},
};
use crate::{
    caller::{Caller, ClientRules},
    idempotency_key,
    inner::{InnerGateway, failed},
};
use cursorgate_config::settings::BulkSettings;
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    runtime::clock,
    server::dispatch::unless_gone,
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        identity::IdentityCall,
        service::{Service, ServiceAnswer, intended_method, is_for},
    },
};
use cursorgate_translate::downstream::{Code, CorsPolicy, Problem, Response};

/// The largest nesting depth of a bulk request's JSON. A deeper body is refused.
const DEPTH: u16 = 64;

pub(super) struct Bulk {
    inner: Arc<InnerGateway>,
    keys: Arc<IdempotencyKeys>,
    detached: Arc<DetachedRuns>,
    /// The other services, whose paths no operation may have; empty until the process has opened them.
    others: OnceLock<Vec<Arc<dyn Service>>>,
}

#[async_trait]
impl Service for Bulk {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        let Some(settings) = &snapshot.services.bulk else { return false };
        is_for(head, &settings.path) && intended_method(head) == Some(Method::POST)
    }

    fn policy(&self, snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        snapshot.service_policies.of_routes.clone()
    }

    fn name(&self) -> &'static str {
        "bulk"
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
        let Some(settings) = &snapshot.services.bulk else { return Ok(None) };
        let body = self.serve(session, (client, snapshot, settings), (held, outcome)).await?;
        Ok(body.map(|body| ServiceAnswer::Whole(response(body))))
    }
}

impl Bulk {
    pub(super) fn new(inner: Arc<InnerGateway>) -> Self {
        Self { inner, keys: Arc::default(), detached: Arc::default(), others: OnceLock::new() }
    }

    /// Sets the other services. Only the first call has an effect.
    pub(super) fn stand_beside(&self, others: Vec<Arc<dyn Service>>) {
        let _ = self.others.set(others);
    }

    /// Checks that no operation is for a service. Services answer no inner requests, so such an operation would reach
    /// a route, and perhaps the path of the same name at an upstream.
    ///
    /// # Errors
    ///
    /// Returns 400 `operation_invalid`, with the place of the first operation for a service.
    fn refuse_services(&self, plan: &BulkPlan, caller: &Caller, snapshot: &Snapshot) -> Result<(), Box<Problem>> {
        let others = self.others.get().map_or(&[][..], Vec::as_slice);
        for (place, operation) in plan.operations.iter().enumerate() {
            let Ok(head) = operation.head(&caller.headers) else { continue };
            // Test: `an_operation_for_a_service_is_refused`.
            if self.takes(snapshot, &head) || others.iter().any(|other| other.takes(snapshot, &head)) {
                let detail = "the path is one of a service, which bulk requests don't reach: send it by itself";
                return Err(request::fault(Code::OperationInvalid, place, "/path", detail));
            }
        }
        Ok(())
    }

    /// Runs a bulk request. Returns the body with all results; `None` if the client has gone.
    ///
    /// # Errors
    ///
    /// Returns the failure of a request that was refused before any operation ran, or of a task that panicked.
    async fn serve(
        &self,
        session: &mut ServerSession,
        (client, snapshot, settings): (&Client, &Arc<Snapshot>, &BulkSettings),
        (held, outcome): (&MemoryShare, &mut Outcome),
    ) -> Result<Option<Bytes>, Failure> {
        let key = idempotency_key::read(&session.req_header().headers)?;
        let mut caller = Caller::of(session, outcome.client);
        let query = session.req_header().uri.query().map(str::to_owned);
        let rules = snapshot.service_identities.bulk.as_ref();
        let call = IdentityCall { gateway: self.inner.gateway(), snapshot, outcome };
        caller.identify(&[rules], query.as_deref(), client, call).await;
        let clients =
            ClientRules { principal: &[], rules: rules.map(|rules| &**rules), impersonal: &settings.impersonal };
        let limits = BodyLimits { size: settings.size, depth: DEPTH, time: settings.timeout };
        let body = Bytes::from(body::read(session, limits, held).await?.into_bytes());
        // If one operation is invalid, no operation of the request runs. Test: `a_malformed_request_runs_no_operation`.
        let plan = request::read(&body, &caller.headers, (snapshot, settings))?;
        self.refuse_services(&plan, &caller, snapshot)?;
        let gateway = Arc::clone(self.inner.gateway());
        let of_run = snapshot.memory.share();
        of_run.take(plan.size() + if key.is_some() { body.len() } else { 0 })?;
        let owner =
            Owner { client: caller.counted_by(&settings.key, caller.name_of("", clients)), network: caller.network() };
        // The place is taken before the key is claimed, so a request that is refused can be repeated with its key.
        // Test: `requests_without_their_clients_are_bounded`.
        let place = key.as_ref().map(|_| self.detached.enter(owner)).transpose()?;
        // The key is claimed after the check, so a request that is refused as a whole doesn't use up its key.
        // Test: `a_key_belongs_to_one_request_of_one_client`.
        let claim = match key {
            None => None,
            Some(key) => {
                let name = caller.name_of(&key, clients);
                match self.keys.claim((name, owner), &body, settings.idempotency, clock::instant()) {
                    KnownKey::New(claim) => Some(claim),
                    KnownKey::Done(result) => return Ok(Some(result)),
                    KnownKey::Refused(problem) => return Err(problem.into()),
                }
            }
        };
        let (goes_on, wanted) = watch::channel(());
        // The operations are given up when the sender is dropped. With a key the task owns the sender, so it always
        // runs to its end. A client whose connection broke can then repeat the request and get the results.
        let (stays, present) = watch::channel(());
        let (kept, own) = if claim.is_some() { (None, Some(goes_on)) } else { (Some(goes_on), None) };
        let run = BulkRun {
            gateway,
            plan,
            caller,
            snapshot: Arc::clone(snapshot),
            settings: settings.clone(),
            request_id: outcome.request_id.clone(),
            held: of_run,
            wanted,
            present,
        };
        let in_flight = self.inner.gateway().vitals.enter();
        let mut running = tokio::spawn(async move {
            let finished = run.run().await;
            if let Some(claim) = claim {
                let (body, may_have_changed) = (finished.body.clone(), finished.may_have_changed);
                claim.finish(KeptResult { body, may_have_changed });
            }
            drop((own, place, in_flight));
            finished
        });
        let Some(finished) = unless_gone(session, Pin::new(&mut running)).await else { return Ok(None) };
        drop((kept, stays));
        let FinishedBulk { body, summary, held: of_run, .. } = finished.map_err(|error| failed(&error))?;
        outcome.detail = Some(summary);
        drop(of_run);
        // The operations have run, so their results are sent even if `server.memory` is used up in the meantime.
        let _ = held.take(body.len());
        Ok(Some(body))
    }
}

fn response(body: Bytes) -> Response {
    let mut response = Response::new(200, Vec::new());
    response.headers.insert(header::CONTENT_LENGTH, body.len().into());
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.body = body.into();
    response
}
