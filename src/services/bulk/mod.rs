//! Bulk requests: many operations in one request. One answer contains the results in the order of the operations.
//!
//! An operation runs as a separate request through the gateway (`services::inner`). So the same checks, limits, logs
//! and traces apply to it as to a request that a client sends alone. All operations are read and checked before the
//! first one runs (`request`).
//!
//! With an `Idempotency-Key` the operations run in a task that outlives the client's connection, and their results are
//! kept for a repetition (`idempotency`). Without a key the operations end when the client leaves.

mod idempotency;
mod operation;
mod report;
mod request;
mod run;

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use tokio::sync::watch;

use self::{
    idempotency::{IdempotencyKeys, KnownKey},
    run::{BulkRun, FinishedBulk},
};
use crate::{
    config::settings::BulkSettings,
    downstream::Response,
    gateway::{
        Snapshot,
        outcome::{access_log::Outcome, failure::Failure},
        runtime::clock,
        server::dispatch::unless_gone,
        session::{
            body::{self, BodyLimits},
            client_request::Client,
            service::{Service, ServiceAnswer, is_for},
        },
    },
    services::{
        caller::Caller,
        inner::{InnerGateway, failed},
    },
    upstream::net::memory::MemoryShare,
};

/// The largest nesting depth of a bulk request's JSON. A deeper body is refused.
const DEPTH: u16 = 64;

pub(super) struct Bulk {
    inner: Arc<InnerGateway>,
    keys: Arc<IdempotencyKeys>,
}

#[async_trait]
impl Service for Bulk {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        let Some(settings) = &snapshot.services.bulk else { return false };
        is_for(head, &settings.path) && head.method == Method::POST
    }

    fn name(&self) -> &'static str {
        "bulk"
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        _client: &Client,
        snapshot: &Arc<Snapshot>,
        (held, outcome): (&MemoryShare, &mut Outcome),
    ) -> Result<Option<ServiceAnswer>, Failure> {
        // This doesn't happen: `takes` accepts a request only if this snapshot has the settings.
        let Some(settings) = &snapshot.services.bulk else { return Ok(None) };
        let body = self.serve(session, (snapshot, settings), (held, outcome)).await?;
        Ok(body.map(|body| ServiceAnswer::Whole(response(body))))
    }
}

impl Bulk {
    pub(super) fn new(inner: Arc<InnerGateway>) -> Self {
        Self { inner, keys: Arc::default() }
    }

    /// Runs a bulk request. Returns the body with all results; `None` if the client has gone.
    ///
    /// # Errors
    ///
    /// Returns the failure of a request that was refused before any operation ran, or of a task that panicked.
    async fn serve(
        &self,
        session: &mut ServerSession,
        (snapshot, settings): (&Arc<Snapshot>, &BulkSettings),
        (held, outcome): (&MemoryShare, &mut Outcome),
    ) -> Result<Option<Bytes>, Failure> {
        let key = idempotency::read(&session.req_header().headers)?;
        let caller = Caller::of(session, outcome.client);
        let limits = BodyLimits { size: settings.size, depth: DEPTH, time: settings.timeout };
        let body = Bytes::from(body::read(session, limits, held).await?.into_bytes());
        // If one operation is invalid, no operation of the request runs. Test: `a_malformed_request_runs_no_operation`.
        let plan = request::read(&body, &caller.headers, (snapshot, settings))?;
        let gateway = self.inner.proxy().await?;
        // The key is claimed after the check, so a request that is refused as a whole doesn't use up its key.
        // Test: `a_key_belongs_to_one_request_of_one_client`.
        let claim = match key {
            None => None,
            Some(key) => {
                let name = caller.name_of(&key);
                match self.keys.claim(name, &body, settings.idempotency, clock::instant()) {
                    KnownKey::New(claim) => Some(claim),
                    KnownKey::Done(result) => return Ok(Some(result)),
                    KnownKey::Refused(problem) => return Err(problem.into()),
                }
            }
        };
        let (goes_on, wanted) = watch::channel(());
        // The operations are given up when the sender is dropped. With a key the task owns the sender, so it always
        // runs to its end. A client whose connection broke can then repeat the request and get the results.
        let (kept, own) = if claim.is_some() { (None, Some(goes_on)) } else { (Some(goes_on), None) };
        let run = BulkRun {
            gateway,
            plan,
            caller,
            snapshot: Arc::clone(snapshot),
            settings: settings.clone(),
            request_id: outcome.request_id.clone(),
            held: snapshot.memory.share(),
            wanted,
        };
        let in_flight = self.inner.gateway().vitals.enter();
        let mut running = tokio::spawn(async move {
            let finished = run.run().await;
            if let Some(claim) = claim {
                claim.finish(finished.body.clone());
            }
            drop((own, in_flight));
            finished
        });
        let Some(finished) = unless_gone(session, Pin::new(&mut running)).await else { return Ok(None) };
        drop(kept);
        let FinishedBulk { body, summary, held: of_run } = finished.map_err(|error| failed(&error))?;
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
