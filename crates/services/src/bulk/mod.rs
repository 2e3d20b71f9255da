//! Bulk requests: many operations in one request. One answer contains the results in the order of the operations, as a
//! JSON object, or as lines that are sent as soon as they are known.
//!
//! An operation runs as a separate request through the gateway (`services::inner`). So the same checks, limits, logs
//! and traces apply to it as to a request that a client sends alone. All operations are read and checked before the
//! first one runs (`request`).
//!
//! With an `Idempotency-Key` the operations run in a task that outlives the client's connection, and their results are
//! kept for a repetition (`idempotency`). Without a key the operations end when the client leaves.

mod answer_headers;
mod detached;
mod form;
mod idempotency;
mod operation;
mod owners;
mod report;
mod request;
mod run;
mod stored_keys;

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};

use self::{
    detached::DetachedRuns,
    form::BulkForm,
    idempotency::{IdempotencyKeys, KeptResult, KnownKey},
    owners::Owner,
    request::{BulkPlan, DEPTH},
    run::{BulkRun, FinishedBulk, SentLines},
    stored_keys::{ClaimedKey, StoredKeys},
};
use crate::{
    caller::{Caller, ClientRules},
    exports::KeyStore,
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
        service::{Service, ServiceAnswer, StreamedResponse, intended_method, is_for},
    },
};
use cursorgate_translate::downstream::{Code, CorsPolicy, Problem, Response};

pub(super) struct Bulk {
    inner: Arc<InnerGateway>,
    keys: Arc<IdempotencyKeys>,
    /// The store of exports, which has the keys if there is one.
    store: Option<Arc<dyn KeyStore>>,
    detached: Arc<DetachedRuns>,
    /// The other services, whose paths no operation may have.
    others: Vec<Arc<dyn Service>>,
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
        self.serve(session, client, snapshot, settings, held, outcome).await
    }
}

impl Bulk {
    /// Creates the service. `store` is the one of exports, and `others` are the other services.
    pub(super) fn new(
        inner: Arc<InnerGateway>,
        store: Option<Arc<dyn KeyStore>>,
        others: Vec<Arc<dyn Service>>,
    ) -> Self {
        Self { inner, keys: Arc::default(), store, detached: Arc::default(), others }
    }

    /// Checks that no operation is for a service. Services answer no inner requests, so such an operation would reach
    /// a route, and perhaps the path of the same name at an upstream.
    ///
    /// # Errors
    ///
    /// Returns 400 `operation_invalid`, with the place of the first operation for a service.
    fn refuse_services(&self, plan: &BulkPlan, caller: &Caller, snapshot: &Snapshot) -> Result<(), Box<Problem>> {
        for (place, operation) in plan.operations.iter().enumerate() {
            let Ok(head) = operation.head(&caller.headers) else { continue };
            // Test: `an_operation_for_a_service_is_refused`.
            if self.takes(snapshot, &head) || self.others.iter().any(|other| other.takes(snapshot, &head)) {
                let detail = "the path is one of a service, which bulk requests don't reach: send it by itself";
                return Err(request::fault(Code::OperationInvalid, place, "/path", detail));
            }
        }
        Ok(())
    }

    /// Runs a bulk request. Returns the answer with all results; `None` if the client has gone.
    ///
    /// # Errors
    ///
    /// Returns the failure of a request that was refused before any operation ran, or of a task that panicked.
    async fn serve(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        settings: &BulkSettings,
        held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        let headers = &session.req_header().headers;
        let (written, form) = (BulkForm::of(headers, header::CONTENT_TYPE), BulkForm::of(headers, header::ACCEPT));
        let key = idempotency_key::read(headers)?;
        let mut caller = Caller::of(session, outcome.client);
        let query = session.req_header().uri.query().map(str::to_owned);
        let rules = snapshot.service_identities.bulk.as_ref();
        let call = IdentityCall { gateway: self.inner.gateway(), snapshot, outcome };
        caller.identify(&[rules], query.as_deref(), client, call).await;
        let clients =
            ClientRules { principal: &[], rules: rules.map(|rules| &**rules), impersonal: &settings.impersonal };
        let limits = BodyLimits { size: settings.size, depth: DEPTH, time: settings.timeout };
        let body = Bytes::from(match written {
            BulkForm::Json => body::read(session, limits, held).await?.into_bytes(),
            BulkForm::Lines => body::receive_checked(session, None, limits, held).await?,
        });
        // If one operation is invalid, no operation of the request runs. Test: `a_malformed_request_runs_no_operation`.
        let plan = request::read(&body, written, &caller.headers, snapshot, settings)?;
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
                // A request for another form of the results isn't a repetition.
                let hash = Sha256::new().chain_update(form.content_type()).chain_update(&body).finalize().into();
                let known = match self.store.as_ref().zip(snapshot.keys.as_ref()) {
                    Some((store, keys)) => {
                        let stored = StoredKeys { store, keys, settings: settings.idempotency };
                        stored.claim(name, owner, hash).await?.map(ClaimedKey::Stored)
                    }
                    None => {
                        let known = self.keys.claim(name, owner, hash, settings.idempotency, clock::instant());
                        known.map(ClaimedKey::InMemory)
                    }
                };
                match known {
                    KnownKey::New(claim) => Some(claim),
                    KnownKey::Done(result) => return Ok(Some(whole(result, form))),
                    KnownKey::Refused(problem) => return Err(problem.into()),
                }
            }
        };
        let (goes_on, wanted) = watch::channel(());
        // The operations are given up when the sender is dropped. With a key the task owns the sender, so it always
        // runs to its end. A client whose connection broke can then repeat the request and get the results.
        let (stays, present) = watch::channel(());
        // The results of a request with a key are kept for its repetition, so they are sent as a whole.
        let streams = form == BulkForm::Lines && claim.is_none();
        let (to_client, lines) = mpsc::channel(1);
        let (mut kept, own) = if claim.is_some() { (None, Some(goes_on)) } else { (Some(goes_on), None) };
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
            form,
            lines: streams.then_some(to_client),
        };
        let in_flight = self.inner.gateway().vitals.enter();
        let mut running = tokio::spawn(async move {
            let finished = run.run().await;
            if let Some(claim) = claim {
                let (body, may_have_changed) = (finished.body.clone(), finished.may_have_changed);
                // The client doesn't wait for a store that is away.
                if let Some(unstored) = claim.finish(KeptResult { body, may_have_changed }).await {
                    tokio::spawn(async move {
                        unstored.store().await;
                        drop((own, place, in_flight));
                    });
                    return finished;
                }
            }
            drop((own, place, in_flight));
            finished
        });
        if streams && let Some(kept) = kept.take() {
            outcome.detail = Some("the results are sent as lines".to_owned());
            let body = Box::new(SentLines { lines, _wants: [kept, stays] });
            return Ok(Some(ServiceAnswer::Streamed(Box::new(StreamedResponse { head: head(form), body }))));
        }
        let Some(finished) = unless_gone(session, Pin::new(&mut running)).await else { return Ok(None) };
        drop((kept, stays));
        let FinishedBulk { body, summary, held: of_run, .. } = finished.map_err(|error| failed(&error))?;
        outcome.detail = Some(summary);
        drop(of_run);
        // The operations have run, so their results are sent even if `server.memory` is used up in the meantime.
        let _ = held.take(body.len());
        Ok(Some(whole(body, form)))
    }
}

/// Returns the head of an answer, without a length.
fn head(form: BulkForm) -> Response {
    let mut response = Response::new(200, Vec::new());
    response.headers.remove(header::CONTENT_LENGTH);
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn whole(body: Bytes, form: BulkForm) -> ServiceAnswer {
    let mut response = head(form);
    response.headers.insert(header::CONTENT_LENGTH, body.len().into());
    response.body = body.into();
    ServiceAnswer::Whole(response)
}
