//! Answers requests of clients for their endpoints and deliveries.
//!
//! Before each POST and PATCH, such as a registration of an endpoint, the service requests the route `authorize` with
//! the client's own headers. If that request is refused, the client's request is refused too. So clients without valid
//! credentials can't fill the store or make the gateway send requests. The headers of `principal` identify a client,
//! and a client sees only its own endpoints.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use super::{
    document::{DeliveryDocument, passed, types},
    emitted::{self, EmittedEvent},
    endpoint::{DisabledBy, Endpoint, EndpointState, NAME, SealedParts, owners},
    event::{Event, VERIFICATION, payload},
    events::{Events, by},
    request::{self, CheckedChange, CheckedRegistration, EndpointChange, RecoveryOrder, Registration, WebhookResource},
    send::{AttemptRecord, Message, Sender},
    signature::SigningSecrets,
    store::{
        Delivery, EndpointLimits, Registered, RegisteringClient, Revival, Revived, TurnKind, WebhookStore,
        WebhookTables,
    },
};
use crate::{
    caller::Caller,
    database::{DatabaseFault, store_unavailable},
    document::json_response,
    id::new_id,
    inner::{InnerGateway, InnerRequest},
};
use cursorgate_config::{
    outgoing::EndpointUrl,
    settings::{CountedBy, EmitRequestSettings, EndpointPace, QuotaSettings, WebhookClientSettings, WebhookSettings},
};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    request::target,
    runtime::clock,
    server::dispatch::unless_gone,
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        identity::IdentityCall,
        service::{Service, ServiceAnswer, intended_method, is_for},
    },
    shared::clients::{ClientHash, rate_limit::RateLimit},
};
use cursorgate_translate::downstream::{Code, CorsPolicy, Problem, Response};

/// The limits of a request's body: its size in bytes, its nesting, and the time in which it must arrive.
const BODY: BodyLimits = BodyLimits { size: 64 << 10, depth: 8, time: Duration::from_secs(30) };

/// The time limit of the request to the route `authorize`.
const AUTHORIZATION: Duration = Duration::from_secs(30);

/// The largest number of bytes of a refusal's body that are passed on from the route `authorize` to the client. The
/// rest is cut off.
const LARGEST_REFUSAL: usize = 64 << 10;

/// The rate limit for verifications of an endpoint, and for its tests. It is low because a client could otherwise make the
/// gateway send many requests to a host that doesn't want them.
const VERIFICATIONS: EndpointPace = EndpointPace { at_once: 1, per_second: 1 };

/// The rate limit for verifications of all endpoints of one host together, for the same reason.
const VERIFICATIONS_OF_HOST: QuotaSettings = QuotaSettings { requests: 10, per: Duration::from_secs(10), burst: 10 };

const INACTIVE: &str = "the endpoint is not active: verify or enable it first";
const PAUSED: &str = "the operator has paused this endpoint: ask the operator to activate it";

const FAILED: &str = "the gateway failed: report the request id";

pub(crate) struct Webhooks {
    inner: Arc<InnerGateway>,
    store: WebhookStore,
    /// Wakes the keeper of this process when a delivery has been queued again.
    raised: Arc<Notify>,
    events: Events,
    /// The verifications of each host by this process.
    of_hosts: RateLimit,
    /// The hash function of hosts. Its key is random, so clients can't choose hosts with the same hash.
    hosts: RandomState,
}

/// A request for endpoints or deliveries, with its client and the resource that it names.
struct WebhookCall<'c> {
    snapshot: &'c Arc<Snapshot>,
    settings: &'c WebhookSettings,
    clients: &'c WebhookClientSettings,
    keys: &'c KeyRing,
    resource: WebhookResource,
    method: Method,
    query: Option<String>,
    caller: Caller,
    /// The hash of the headers that identify the client.
    client: [u8; 32],
    /// The names of the client under each cursor key. The name under the signing key is the first.
    owners: Vec<String>,
    /// The hash of the client as services behind the gateway name it, in a registration; `None` if they can't.
    subject: Option<[u8; 32]>,
}

/// Returns the settings for a request that emits an event; `None` for any other request.
fn emitting<'s>(
    snapshot: &'s Snapshot,
    head: &RequestHeader,
) -> Option<(&'s WebhookSettings, &'s EmitRequestSettings)> {
    let settings = snapshot.services.webhooks.as_ref()?;
    let emit = settings.emit.as_ref()?.requests.as_ref()?;
    (is_for(head, &emit.path) && intended_method(head) == Some(Method::POST)).then_some((settings, emit))
}

/// Returns whether a request has the token for events.
fn has_token(head: &RequestHeader, emit: &EmitRequestSettings) -> bool {
    let sent = head.headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // Digests are compared, because the position at which two digests differ reveals nothing about the token.
    sent.is_some_and(|sent| Sha256::digest(sent) == Sha256::digest(emit.token.reveal()))
}

#[async_trait]
impl Service for Webhooks {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        if emitting(snapshot, head).is_some() {
            return true;
        }
        let Some(clients) = snapshot.services.webhooks.as_ref().and_then(|webhooks| webhooks.clients.as_ref()) else {
            return false;
        };
        let rest = head.raw_path().strip_prefix(clients.path.as_bytes());
        // A path whose first segment is longer, such as `/webhooksx`, belongs to a route.
        // Test: `registrations_are_checked_and_bounded`.
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?')))
    }

    fn policy(&self, snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        snapshot.service_policies.of_lists.clone()
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
        if let Some((settings, emit)) = emitting(snapshot, session.req_header()) {
            let emitted = self.emit(session, snapshot, settings, emit, held).await?;
            return Ok(Some(ServiceAnswer::Whole(emitted)));
        }
        let call =
            identify(session, client, snapshot, IdentityCall { gateway: self.inner.gateway(), snapshot, outcome })
                .await?;
        let is_post = call.method == Method::POST;
        let reads_post = matches!(call.resource, WebhookResource::Endpoints | WebhookResource::Recovery(_));
        let needs_body = reads_post && is_post || call.method == Method::PATCH;
        let body = match needs_body {
            true => body::read(session, BODY, held).await?.into_bytes(),
            false => Vec::new(),
        };
        let mut work = Box::pin(async {
            // Reads and removals aren't checked: a client that has lost its rights can still read and remove its
            // endpoints. Test: `a_client_without_rights_registers_no_endpoint`.
            if (is_post || needs_body)
                && let Some(refusal) = self.refusal(&call).await?
            {
                return Ok(refusal);
            }
            self.serve(&call, &body).await
        });
        let answered = unless_gone(session, work.as_mut()).await.transpose()?;
        Ok(answered.map(ServiceAnswer::Whole))
    }
}

impl Webhooks {
    pub(super) fn new(events: Events) -> Self {
        let Events { inner, store, raised, .. } = events.clone();
        let of_hosts = RateLimit::new(VERIFICATIONS_OF_HOST, clock::instant());
        Self { inner, store, raised, events, of_hosts, hosts: RandomState::new() }
    }

    /// Raises the event of a service's request. A repetition with the same `id` is the same event.
    ///
    /// # Errors
    ///
    /// Returns 401 `credentials_refused` without the token, and 400 `body_invalid` for an unknown type and for data that
    /// don't match its schema.
    async fn emit(
        &self,
        session: &mut ServerSession,
        snapshot: &Snapshot,
        settings: &WebhookSettings,
        emit: &EmitRequestSettings,
        held: &MemoryShare,
    ) -> Result<Response, Failure> {
        if !has_token(session.req_header(), emit) {
            let detail = "send Authorization: Bearer with the token of services.webhooks.emit";
            return Err(Box::new(Problem::new(Code::CredentialsRefused, detail)).into());
        }
        let limits = BodyLimits { depth: emitted::DEPTH, ..BODY };
        let body = body::read(session, limits, held).await?.into_bytes();
        let emitted: EmittedEvent = request::read(&body, r#"{"type":"order.paid","id":"42","data":{}}"#)?;
        let event = emitted.checked(snapshot, settings).map_err(|fault| {
            self.inner.gateway().vitals.webhooks().emit(false, 1);
            Box::new(Problem::new(Code::BodyInvalid, fault.detail).with_parameter(fault.place))
        })?;
        let accepted = json_response(202, &json!({ "id": event.id() }));
        self.events.raise(event).await.map_err(|fault| failed(&fault))?;
        self.inner.gateway().vitals.webhooks().emit(true, 1);
        Ok(accepted)
    }

    async fn serve(&self, call: &WebhookCall<'_>, body: &[u8]) -> Result<Response, Failure> {
        match &call.resource {
            WebhookResource::Events => Ok(types(call.settings, call.clients)),
            WebhookResource::Endpoints if call.method == Method::POST => self.register(call, body).await,
            WebhookResource::Endpoints => self.list(call).await,
            WebhookResource::Endpoint(id) if call.method == Method::PATCH => self.change(call, id, body).await,
            WebhookResource::Endpoint(id) if call.method == Method::DELETE => {
                let Endpoint { id, .. } = self.find(call, id).await?;
                self.call(move |tables| tables.remove(&id)).await?;
                Ok(Response::new(204, Vec::new()))
            }
            WebhookResource::Endpoint(id) => Ok(call.shown(200, &self.find(call, id).await?, false)),
            WebhookResource::Rotation(id) => self.rotate(call, id).await,
            WebhookResource::Verification(id) => self.verify(call, id).await,
            WebhookResource::Trial(id) => self.try_out(call, id).await,
            WebhookResource::Recovery(id) => self.recover(call, id, body).await,
            WebhookResource::Deliveries(id) => self.deliveries(call, id).await,
            WebhookResource::Delivery(id, delivery) => self.delivery(call, id, delivery).await,
            WebhookResource::Redelivery(id, delivery) => self.redeliver(call, id, delivery).await,
        }
    }

    /// Requests the route `authorize` with the client's headers. Returns `None` if the answer's status is 2xx, and
    /// otherwise the answer as a refusal for the client.
    async fn refusal(&self, call: &WebhookCall<'_>) -> Result<Option<Response>, Failure> {
        let mut head = RequestHeader::build(Method::GET, call.clients.authorize.value.as_bytes(), None)
            .map_err(|error| Failure::logged(Code::Internal, FAILED, error.to_string()))?;
        for (name, value) in &call.caller.headers {
            // Appending fails only for an invalid header, or if the map is full. These headers are valid and come from
            // an accepted request, so neither happens.
            let _ = head.append_header(name.clone(), value.clone());
        }
        let mut body = Vec::new();
        // The refusal doesn't count in `server.memory`, so its size must be bounded here.
        let keep = |part: &[u8]| body.extend_from_slice(&part[..part.len().min(LARGEST_REFUSAL - body.len())]);
        let (_goes_on, mut wanted) = watch::channel(());
        let request = InnerRequest { head, body: Bytes::new() };
        let asked = request.send(self.inner.gateway(), &call.caller, AUTHORIZATION, &mut wanted, keep).await;
        // If the rights can't be checked, the request is refused.
        let Ok((status, headers)) = asked else {
            let said = "your rights could not be checked: try again in a moment";
            return Err(Failure::logged(
                Code::UpstreamUnavailable,
                said,
                "services.webhooks.clients.authorize".to_owned(),
            ));
        };
        Ok((!(200..300).contains(&status)).then(|| passed(status, &headers, body)))
    }

    async fn register(&self, call: &WebhookCall<'_>, body: &[u8]) -> Result<Response, Failure> {
        // An address is shared by all clients behind a proxy, so it owns no endpoint. Test:
        // `registrations_are_checked_and_bounded`.
        let clients = by(call.snapshot, call.clients);
        if !clients.are_all_equal() && !call.caller.has_credentials(clients) {
            let detail = "the request has no credentials by which its endpoints could be found again: send them";
            return Err(Box::new(Problem::new(Code::RequestInvalid, detail)).into());
        }
        let registration: Registration = request::read(body, r#"{"url":"https://…","events":["export.completed"]}"#)?;
        let CheckedRegistration { url, events, filter } = registration.checked(call.settings, call.clients)?;
        let (Some(id), Some(secrets), Some(owner)) = (new_id(), SigningSecrets::new(), call.owners.first()) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no random bytes, or no key".to_owned()));
        };
        let parts = SealedParts::new(call.client, call.subject, url, secrets);
        let endpoint = Endpoint {
            owner: Some(owner.clone()),
            subject: parts.subject(call.keys),
            state: EndpointState::Unverified,
            is_verified: false,
            disabled_by: None,
            disabled_at: None,
            events,
            filter,
            created: clock::unix_seconds(),
            sealed: sealed(call.keys, &parts, &id)?,
            id,
        };
        let limits = EndpointLimits { per_client: call.clients.per_client, all: call.clients.endpoints };
        let (number, added, client) = (call.keys.signing_number(), endpoint.clone(), call.counted());
        match self.call(move |tables| tables.register(&added, &client, limits, number)).await? {
            Registered::Added => Ok(call.shown(201, &endpoint, true)),
            Registered::ClientIsFull => {
                let detail = format!("there are {} endpoints of this client: remove one", call.clients.per_client);
                Err(Box::new(Problem::new(Code::WebhookLimit, detail)).into())
            }
            Registered::AllAreFull => {
                let detail = "the gateway has as many endpoints as it may: try again later";
                Err(Box::new(Problem::new(Code::Overloaded, detail)).into())
            }
        }
    }

    async fn list(&self, call: &WebhookCall<'_>) -> Result<Response, Failure> {
        let owners = call.owners.clone();
        let endpoints = self.read(move |tables| tables.of_client(&owners)).await?;
        let open = |endpoint: &Endpoint| SealedParts::open(call.keys, &endpoint.id, &endpoint.sealed);
        let opened: Vec<Option<SealedParts>> = endpoints.iter().map(open).collect();
        let documents: Vec<_> =
            endpoints.iter().zip(&opened).map(|(endpoint, parts)| endpoint.document(parts.as_ref())).collect();
        Ok(json_response(200, &json!({ "endpoints": documents })))
    }

    /// Changes an endpoint. An endpoint with a new URL must be verified again.
    async fn change(&self, call: &WebhookCall<'_>, id: &str, body: &[u8]) -> Result<Response, Failure> {
        let change: EndpointChange = request::read(body, r#"{"url":"https://…","events":["…"],"enabled":true}"#)?;
        let CheckedChange { url, events, filter, enabled } = change.checked(call.settings, call.clients)?;
        let changed = self.update(call, id, move |endpoint, keys| {
            if let Some(events) = events {
                endpoint.events = events;
            }
            if let Some(filter) = filter {
                endpoint.filter = filter;
            }
            if let Some(url) = url {
                let mut parts = opened(keys, endpoint)?;
                if parts.url != url {
                    parts.url = url;
                    endpoint.sealed = sealed(keys, &parts, &endpoint.id)?;
                    // The host of the new URL hasn't agreed to deliveries yet, so the endpoint must be verified again.
                    // Test: `an_endpoint_is_active_once_it_has_answered_its_challenge`.
                    endpoint.is_verified = false;
                    if !endpoint.is_paused() {
                        (endpoint.state, endpoint.disabled_by) = (EndpointState::Unverified, None);
                    }
                }
            }
            let (state, disabled_by) = match (enabled, endpoint.is_verified) {
                (None, _) => return Ok(()),
                (Some(false), _) if endpoint.is_paused() => return Ok(()),
                (Some(true), _) if endpoint.is_paused() => return Err(unverified(PAUSED)),
                (Some(false), _) => (EndpointState::Disabled, Some(DisabledBy::Client)),
                (Some(true), true) => (EndpointState::Active, None),
                // An endpoint with a new URL becomes active only by a verification.
                // Test: `an_endpoint_is_active_once_it_has_answered_its_challenge`.
                (Some(true), false) => (EndpointState::Unverified, None),
            };
            (endpoint.state, endpoint.disabled_by) = (state, disabled_by);
            Ok(())
        });
        Ok(call.shown(200, &changed.await?, false))
    }

    /// Creates a new secret for an endpoint. During the configured `overlap`, deliveries are also signed with the
    /// previous secret.
    async fn rotate(&self, call: &WebhookCall<'_>, id: &str) -> Result<Response, Failure> {
        let overlap = call.settings.overlap.as_secs();
        let changed = self.update(call, id, move |endpoint, keys| {
            let mut parts = opened(keys, endpoint)?;
            if parts.secrets.rotate(clock::unix_seconds(), overlap).is_none() {
                return Err(Failure::logged(Code::Internal, FAILED, "no random bytes".to_owned()));
            }
            endpoint.sealed = sealed(keys, &parts, &endpoint.id)?;
            Ok(())
        });
        Ok(call.shown(200, &changed.await?, true))
    }

    /// Sends a challenge to an endpoint, and activates the endpoint if its answer repeats the challenge.
    async fn verify(&self, call: &WebhookCall<'_>, id: &str) -> Result<Response, Failure> {
        let endpoint = self.find(call, id).await?;
        let Some(receiver) = endpoint.receiver(call.settings, call.keys) else { return Err(unreadable(&endpoint)) };
        let turn_of = endpoint.id.clone();
        let take = move |tables: &mut WebhookTables<'_>| {
            tables.take_turns(&turn_of, TurnKind::Verification, VERIFICATIONS, 1, tables.now())
        };
        if self.call(take).await? == 0 {
            let mut problem = Problem::new(Code::RateLimited, "an endpoint is verified once in a second: wait");
            problem.retry_after = Some(HeaderValue::from_static("1"));
            return Err(Box::new(problem).into());
        }
        // A client can register many endpoints of one host. Test: `a_host_is_not_flooded_with_challenges`.
        let host = ClientHash(self.hosts.hash_one(receiver.url.host.to_string()));
        let turn = self.of_hosts.check(host, 1, clock::instant());
        if !turn.allowed {
            let mut problem =
                Problem::new(Code::RateLimited, "too many endpoints of this host are being verified: wait");
            problem.retry_after = Some(HeaderValue::from(turn.retry_after.as_secs() + 1));
            return Err(Box::new(problem).into());
        }
        let (Some(message), Some(challenge)) = (new_id(), new_id()) else {
            return Err(Failure::logged(Code::Internal, FAILED, "no random bytes".to_owned()));
        };
        // The challenge can't be guessed, so only a host that reads the request can repeat it.
        // Test: `an_endpoint_is_active_once_it_has_answered_its_challenge`.
        let payload = payload(VERIFICATION, clock::unix_seconds(), &json!({ "challenge": challenge }));
        let connections = &self.inner.gateway().fetcher.connections;
        let sender = Sender { snapshot: call.snapshot, settings: call.settings, connections };
        let message = format!("evt_{message}");
        let sent = sender.send(&receiver, Message { id: &message, payload: &payload }).await;
        self.inner.gateway().vitals.webhooks().attempt(sent.end);
        if let Some(detail) = sent.unverified(&challenge) {
            return Err(unverified(&detail));
        }
        let answered = receiver.url;
        let changed = self.update(call, id, move |endpoint, keys| {
            // If the URL has changed in the meantime, the host that has answered the challenge is the host of the
            // earlier URL. So the endpoint isn't activated.
            if EndpointUrl::parse(&opened(keys, endpoint)?.url).as_ref() != Ok(&answered) {
                return Err(unverified("the URL was changed while it was verified: verify it again"));
            }
            if endpoint.is_paused() {
                return Err(unverified(PAUSED));
            }
            (endpoint.is_verified, endpoint.disabled_by, endpoint.state) = (true, None, EndpointState::Active);
            Ok(())
        });
        Ok(call.shown(200, &changed.await?, false))
    }

    /// Sends an event of the type `webhook.test` to an endpoint, which is delivered as any other event.
    async fn try_out(&self, call: &WebhookCall<'_>, id: &str) -> Result<Response, Failure> {
        let endpoint = self.find(call, id).await?;
        if endpoint.state != EndpointState::Active {
            return Err(unverified(INACTIVE));
        }
        let Some(cause) = new_id() else {
            return Err(Failure::logged(Code::Internal, FAILED, "no random bytes".to_owned()));
        };
        let (queue, to) = (call.settings.queue, endpoint.id.clone());
        let event = Event::trial(&cause, clock::unix_seconds());
        let queued = self.call(move |tables| {
            // A client must not fill the queue, in which the events of others wait too.
            let now = tables.now();
            let turns = tables.take_turns(&to, TurnKind::Trial, VERIFICATIONS, 1, now)?;
            if turns == 0 { Ok(None) } else { tables.raise_for(&to, &event, queue, now / 1_000).map(Some) }
        });
        let Some(delivery) = queued.await? else {
            let mut problem = Problem::new(Code::RateLimited, "an endpoint is tested once in a second: wait");
            problem.retry_after = Some(HeaderValue::from_static("1"));
            return Err(Box::new(problem).into());
        };
        self.raised.notify_one();
        let (delivery, attempts) = self.find_delivery(call, &endpoint.id, &delivery).await?;
        Ok(json_response(202, &DeliveryDocument::of(&delivery, Some(attempts))))
    }

    /// Queues the dead letters of a range of time again.
    async fn recover(&self, call: &WebhookCall<'_>, id: &str, body: &[u8]) -> Result<Response, Failure> {
        let order: RecoveryOrder = request::read(body, r#"{"since":"2026-11-23T15:00:00Z"}"#)?;
        let range = order.checked()?;
        let revival = Revival::Endpoint(self.find(call, id).await?.id, range);
        match self.call(move |tables| tables.revive(&revival, tables.now())).await? {
            Revived::Queued(number) => {
                self.raised.notify_one();
                Ok(json_response(202, &json!({ "redelivered": number })))
            }
            Revived::Inactive => Err(unverified(INACTIVE)),
            Revived::Unknown => Err(not_found()),
        }
    }

    async fn deliveries(&self, call: &WebhookCall<'_>, id: &str) -> Result<Response, Failure> {
        let (state, before) = request::read_query(call.query.as_deref())?;
        let Endpoint { id, .. } = self.find(call, id).await?;
        // Older deliveries are found by the place of the delivery `before`. If that delivery has been removed, an empty
        // list would look like the end, so the request is refused.
        // Test: `a_dead_letter_is_delivered_again_under_its_id`.
        if let Some(before) = &before {
            self.find_delivery(call, &id, before).await?;
        }
        let found = self.read(move |tables| tables.deliveries(&id, state, before.as_deref())).await?;
        let documents: Vec<_> = found.iter().map(|delivery| DeliveryDocument::of(delivery, None)).collect();
        Ok(json_response(200, &json!({ "deliveries": documents })))
    }

    async fn delivery(&self, call: &WebhookCall<'_>, id: &str, delivery: &str) -> Result<Response, Failure> {
        let (delivery, attempts) = self.find_delivery(call, id, delivery).await?;
        Ok(json_response(200, &DeliveryDocument::of(&delivery, Some(attempts))))
    }

    /// Queues a finished delivery again. A delivery that is waiting doesn't change.
    async fn redeliver(&self, call: &WebhookCall<'_>, id: &str, delivery: &str) -> Result<Response, Failure> {
        let endpoint = self.find(call, id).await?;
        if endpoint.state != EndpointState::Active {
            return Err(unverified(INACTIVE));
        }
        let (found, _) = self.find_delivery(call, id, delivery).await?;
        self.call(move |tables| tables.redeliver(&found.id, tables.now())).await?;
        self.raised.notify_one();
        let (delivery, attempts) = self.find_delivery(call, id, delivery).await?;
        Ok(json_response(202, &DeliveryDocument::of(&delivery, Some(attempts))))
    }

    /// Returns the client's endpoint with this id.
    ///
    /// # Errors
    ///
    /// Returns 404 `webhook_not_found` if there is no endpoint with this id, or if it belongs to another client.
    async fn find(&self, call: &WebhookCall<'_>, id: &str) -> Result<Endpoint, Failure> {
        let (id, owners) = (id.to_owned(), call.owners.clone());
        self.read(move |tables| tables.find(&id, &owners)).await?.ok_or_else(not_found)
    }

    /// Reads, changes and stores an endpoint of the client in one transaction. Returns the changed endpoint.
    async fn update(
        &self,
        call: &WebhookCall<'_>,
        id: &str,
        change: impl FnOnce(&mut Endpoint, &KeyRing) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Endpoint, Failure> {
        let (snapshot, id, owners) = (Arc::clone(call.snapshot), id.to_owned(), call.owners.clone());
        let updated = self.call(move |tables| {
            // The endpoint is read in the transaction that changes it, so two simultaneous changes can't undo each
            // other.
            let found = tables.find(&id, &owners)?.zip(snapshot.keys.as_deref());
            let Some((mut endpoint, keys)) = found else { return Ok(Err(not_found())) };
            if let Err(failure) = change(&mut endpoint, keys) {
                return Ok(Err(failure));
            }
            let is_disabled = endpoint.state == EndpointState::Disabled;
            endpoint.disabled_at = is_disabled.then(|| endpoint.disabled_at.unwrap_or_else(|| tables.now() / 1_000));
            tables.change(&endpoint, keys.signing_number())?;
            Ok(Ok(endpoint))
        });
        updated.await?
    }

    /// Returns a delivery to the client's endpoint `id`, and the attempts at the delivery.
    async fn find_delivery(
        &self,
        call: &WebhookCall<'_>,
        id: &str,
        delivery: &str,
    ) -> Result<(Delivery, Vec<AttemptRecord>), Failure> {
        // A delivery is found only through an endpoint of the client, so a client can't read another client's
        // deliveries. Test: `an_endpoint_belongs_to_its_client`.
        let Endpoint { id, .. } = self.find(call, id).await?;
        let delivery = delivery.to_owned();
        let found = self.read(move |tables| {
            let attempts = tables.attempts(&delivery)?;
            Ok(tables.delivery(&id, &delivery)?.map(|found| (found, attempts)))
        });
        found.await?.ok_or_else(|| {
            let detail = "there is no such delivery of this endpoint: it may have been removed";
            Box::new(Problem::new(Code::WebhookNotFound, detail)).into()
        })
    }

    async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut WebhookTables<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, Failure> {
        let called = self.store.call(function).await;
        called.map_err(|fault| failed(&fault))
    }

    async fn read<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut WebhookTables<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, Failure> {
        let read = self.store.read(function).await;
        read.map_err(|fault| failed(&fault))
    }
}

/// Returns the failure of a request for a fault of the store.
fn failed(fault: &DatabaseFault) -> Failure {
    match fault.may_pass() {
        true => store_unavailable("webhooks", fault.to_string()),
        false => Failure::logged(Code::Internal, FAILED, fault.to_string()),
    }
}

impl WebhookCall<'_> {
    /// Returns the client as limits count it.
    fn counted(&self) -> RegisteringClient {
        let names = match &self.clients.key {
            CountedBy::Principal => self.owners.clone(),
            key => owners(self.keys, &self.caller.counted_by(key, self.client)),
        };
        let network = self.caller.network().and_then(|network| owners(self.keys, &network).into_iter().next());
        RegisteringClient { names, network }
    }

    /// Returns the document of an endpoint as an answer. With `is_new`, the document contains the newest secret.
    fn shown(&self, status: u16, endpoint: &Endpoint, is_new: bool) -> Response {
        let parts = SealedParts::open(self.keys, &endpoint.id, &endpoint.sealed);
        let mut document = endpoint.document(parts.as_ref());
        document.secret = parts.as_ref().filter(|_| is_new).and_then(|parts| parts.secrets.newest());
        let mut response = json_response(status, &document);
        let location = format!("{}/{}", self.clients.path, endpoint.id);
        if let (201, Ok(location)) = (status, HeaderValue::from_str(&location)) {
            response.headers.insert(header::LOCATION, location);
        }
        response
    }
}

/// Returns the client of a request, and the resource that the request names.
async fn identify<'c>(
    session: &ServerSession,
    client: &Client,
    snapshot: &'c Arc<Snapshot>,
    call: IdentityCall<'_>,
) -> Result<WebhookCall<'c>, Failure> {
    let nothing = || Box::new(Problem::new(Code::RouteNotFound, "no route covers this path, or not with this method"));
    let parts = snapshot.services.webhooks.as_ref().zip(snapshot.keys.as_deref());
    let parts = parts.and_then(|(settings, keys)| Some((settings, settings.clients.as_ref()?, keys)));
    // `takes` doesn't accept a request without settings for clients, so this isn't expected.
    let Some((settings, clients, keys)) = parts else { return Err(nothing().into()) };
    let head = session.req_header();
    let target = target::read(head)?;
    let rest = target.path.strip_prefix(&clients.path).unwrap_or_default();
    let resource = WebhookResource::read(rest, &head.method).ok_or_else(nothing)?;
    let mut caller = Caller::of(session, call.outcome.client);
    if let Some(Ok(host)) = target.authority.as_deref().map(HeaderValue::from_str) {
        caller.headers.insert(header::HOST, host);
    }
    let rules = snapshot.service_identities.webhooks.as_ref();
    let said = caller.identify(&[rules], target.query.as_deref(), client, call).await;
    // Only a registration needs it, and a token is verified once more for it.
    let registers = matches!(resource, WebhookResource::Endpoints) && head.method == Method::POST;
    let rules = rules.filter(|_| registers);
    let subject = rules.and_then(|rules| caller.subject(rules, client, snapshot, said.as_deref()));
    let client = caller.owner_at(by(snapshot, clients), "");
    let (method, query, owners) = (head.method.clone(), target.query, owners(keys, &client));
    Ok(WebhookCall { snapshot, settings, clients, keys, resource, method, query, caller, client, owners, subject })
}

fn sealed(keys: &KeyRing, parts: &SealedParts, id: &str) -> Result<Vec<u8>, Failure> {
    parts.seal(keys, id).ok_or_else(|| Failure::logged(Code::Internal, FAILED, "no key".to_owned()))
}

fn opened(keys: &KeyRing, endpoint: &Endpoint) -> Result<SealedParts, Failure> {
    SealedParts::open(keys, &endpoint.id, &endpoint.sealed).ok_or_else(|| unreadable(endpoint))
}

fn unreadable(endpoint: &Endpoint) -> Failure {
    let said = "the secret of this endpoint can no longer be read: remove it, and register another one";
    Failure::logged(Code::Internal, said, format!("the key that sealed the webhook endpoint {} is gone", endpoint.id))
}

fn not_found() -> Failure {
    let detail = "there is no such endpoint of this client: it may have been removed";
    Box::new(Problem::new(Code::WebhookNotFound, detail)).into()
}

fn unverified(detail: &str) -> Failure {
    Box::new(Problem::new(Code::WebhookUnverified, detail)).into()
}
