//! The handle by which services raise events, and the choice of the endpoints that get an event.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, Semaphore};

use super::{
    endpoint::{DisabledBy, id_of_operators, names, owners},
    event::{Audience, Event},
    store::{OperatorsEndpoint, Raised, SeenVersion, Subscribers, WebhookStore, WebhookTables},
};
use crate::{
    caller::{Caller, ClientRules},
    database::DatabaseFault,
    id::new_id,
    inner::InnerGateway,
    page::hex,
};
use cursorgate_config::settings::{EventType, WebhookClientSettings, WebhookSettings};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    Snapshot,
    outcome::metrics::webhooks::{DeliveryEnd, WebhookCounts},
    runtime::clock,
};

/// The kind of name under which a watched page is stored. The name is a hash under a cursor key.
pub(super) const WINDOW: &str = "window";

/// A handle by which services raise events. Clones raise events in the same store.
#[derive(Clone)]
pub(crate) struct Events {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: WebhookStore,
    /// Wakes the keeper of this process when an event has queued a delivery.
    pub(super) raised: Arc<Notify>,
    /// The places of answers whose events wait for the store.
    pub(super) waiting: Arc<Semaphore>,
}

/// A version of a list's page that a watch or a live page has read.
#[derive(Clone, Debug)]
pub(crate) struct SeenList {
    /// A hash of everything that determines the page, including its client.
    pub(crate) key: [u8; 32],
    /// The version of the page's items, which is a hash.
    pub(crate) version: String,
    /// The version that the same watch or live page read before; `None` for its first version.
    pub(crate) before: Option<String>,
    /// The cause of the event if the version has changed; `None` for a new one.
    pub(crate) cause: Option<String>,
    /// True if another process raises the event for the operator's endpoints.
    pub(crate) is_for_clients: bool,
    pub(crate) data: ChangedList,
}

/// The data of `collection.changed`. The data doesn't contain items: receivers request the list themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangedList {
    /// The name of the list's route.
    pub(crate) route: String,
    /// The path of the list, such as `/users`.
    pub(crate) path: String,
    /// The filters and the sort, without private parameters.
    pub(crate) query: String,
    /// The name of the watch in the configuration; `None` for a live page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<String>,
    /// The `ETag` of the page; `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

impl Events {
    /// Raises an event, which stores a delivery for each of its endpoints. An endpoint that already has a delivery of
    /// this event doesn't get a second delivery.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. No delivery is stored then.
    pub(crate) async fn raise(&self, event: Event) -> Result<(), DatabaseFault> {
        let snapshot = self.inner.gateway().live.pin();
        let Some(settings) = &snapshot.services.webhooks else { return Ok(()) };
        let (subscribers, queue) = (subscribers(settings), settings.queue);
        let raise =
            move |tables: &mut WebhookTables<'_>| tables.raise(&event, &subscribers, queue, tables.now() / 1_000);
        self.count(self.store.call(raise).await?);
        Ok(())
    }

    /// Raises `collection.changed` for the endpoints of the clients `callers` and of the operator, if the version of a
    /// page has changed. The version is compared with the last version that any process with the same store has seen.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. The version isn't stored then, so the next call finds the change.
    pub(crate) async fn list_seen(&self, callers: &[Arc<Caller>], list: SeenList) -> Result<(), DatabaseFault> {
        let snapshot = self.inner.gateway().live.pin();
        let (Some(settings), Some(keys)) = (&snapshot.services.webhooks, snapshot.keys.as_deref()) else {
            return Ok(());
        };
        let mut subscribers = subscribers(settings);
        if list.is_for_clients {
            subscribers.operators.clear();
        }
        // The cause is random, because a list that returns to an earlier version has changed again, which is another
        // event. Test: `a_change_of_a_list_is_for_its_client_and_the_operator`.
        let (kind, cause) = (EventType::CollectionChanged, list.cause.clone().or_else(new_id));
        let names = names(keys, WINDOW, &list.key);
        let (false, Some(cause), Some(name)) = (subscribers.are_none(kind.word()), cause, names.first().cloned())
        else {
            return Ok(());
        };
        let audience = Audience::Client(owners_of(&snapshot, settings, keys, callers));
        let event = Event::new(kind, &cause, clock::unix_seconds(), audience, &list.data).about(name);
        let queue = settings.queue;
        let seen = move |tables: &mut WebhookTables<'_>| {
            let now = tables.now() / 1_000;
            // If no endpoint would get the event, neither the version nor the event is stored.
            if !tables.has_receiver(&event, &subscribers, now)? {
                return Ok(Raised::default());
            }
            let version = SeenVersion { names: &names, version: &list.version, before: list.before.as_deref() };
            if !tables.see(&version, now)? {
                return Ok(Raised::default());
            }
            tables.raise(&event, &subscribers, queue, now)
        };
        self.count(self.store.call(seen).await?);
        Ok(())
    }

    fn count(&self, raised: Raised) {
        count(self.inner.gateway().vitals.webhooks(), raised);
        if raised.queued > 0 {
            self.raised.notify_one();
        }
    }
}

/// Counts the deliveries of an event that have ended at once.
pub(super) fn count(counts: &WebhookCounts, raised: Raised) {
    counts.finish(DeliveryEnd::Dead, raised.dead);
    counts.finish(DeliveryEnd::Kept, raised.kept);
}

/// An endpoint that is disabled by something else than a request of its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct DisabledEndpoint<'e> {
    pub(super) id: &'e str,
    pub(super) by: DisabledBy,
    /// The host of its URL; `None` if the URL can't be read.
    pub(super) host: Option<&'e str>,
    /// The time since which no attempt has succeeded, in seconds since 1970; `None` for another reason than failures.
    pub(super) failing_since: Option<u64>,
}

/// The data of `endpoint.disabled`. It has no URL, which can be a credential, because operators' endpoints get it too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DisabledData<'e> {
    endpoint: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'e str>,
    disabled_by: &'static str,
    disabled_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
}

impl DisabledEndpoint<'_> {
    /// Disables the endpoint, and raises `endpoint.disabled` for the endpoints of its client and of the operator; for
    /// itself it is kept. Returns the deliveries of this event; `None` if the endpoint wasn't active.
    pub(super) fn disable(
        &self,
        tables: &mut WebhookTables<'_>,
        settings: &WebhookSettings,
    ) -> Result<Option<Raised>, DatabaseFault> {
        let now = tables.now() / 1_000;
        let Some(endpoint) = tables.endpoint(self.id)? else { return Ok(None) };
        if !tables.disable(self.id, self.by, now)? {
            return Ok(None);
        }
        let data = DisabledData {
            endpoint: self.id,
            host: self.host,
            disabled_by: self.by.word(),
            disabled_at: clock::rfc3339(now),
            failing_since: self.failing_since.map(clock::rfc3339),
        };
        let cause = format!("{}\n{}\n{now}", self.id, self.by.word());
        let audience = Audience::Client(endpoint.owner.into_iter().collect());
        let event = Event::new(EventType::EndpointDisabled, &cause, now, audience, &data);
        tables.raise(&event, &subscribers(settings), settings.queue, now).map(Some)
    }
}

/// Returns the audience of an event that concerns a client: the endpoints of the client and of the operator. Without a
/// `caller`, the audience has only the operator's endpoints. Returns `None` if there are no webhooks.
pub(crate) fn audience(snapshot: &Snapshot, caller: Option<&Caller>) -> Option<Audience> {
    let settings = snapshot.services.webhooks.as_ref()?;
    let keys = snapshot.keys.as_deref()?;
    let of_client = settings.clients.as_ref().zip(caller);
    let names = of_client.map(|(clients, caller)| owners(keys, &caller.owner_at(by(snapshot, clients), "")));
    Some(Audience::Client(names.unwrap_or_default()))
}

/// Returns how the clients that own endpoints are identified.
pub(super) fn by<'r>(snapshot: &'r Snapshot, clients: &'r WebhookClientSettings) -> ClientRules<'r> {
    let rules = snapshot.service_identities.webhooks.as_deref();
    ClientRules { principal: &clients.principal, rules, impersonal: &clients.impersonal }
}

/// Returns the names of clients as owners of endpoints, under each cursor key.
fn owners_of(snapshot: &Snapshot, settings: &WebhookSettings, keys: &KeyRing, callers: &[Arc<Caller>]) -> Vec<String> {
    let Some(clients) = &settings.clients else { return Vec::new() };
    // A set removes duplicates, because the subscribers of a page are mostly several connections of one client.
    let names: BTreeSet<[u8; 32]> = callers.iter().map(|caller| caller.owner_at(by(snapshot, clients), "")).collect();
    names.iter().flat_map(|name| owners(keys, name)).collect()
}

/// Returns the operator's endpoints and the types of events to which clients can subscribe, from the configuration.
pub(super) fn subscribers(settings: &WebhookSettings) -> Subscribers {
    let operators = settings.endpoints.iter().map(|endpoint| {
        let url = format!("{}{}", endpoint.url.authority(), endpoint.url.target);
        let mark = hex(&Sha256::digest(url));
        let (events, filter) = (endpoint.events.clone(), endpoint.filter.clone());
        OperatorsEndpoint { id: id_of_operators(&endpoint.name), mark, events, filter }
    });
    let of_clients = settings.clients.as_ref().map(|clients| clients.events.clone());
    Subscribers {
        operators: operators.collect(),
        of_clients: of_clients.unwrap_or_default(),
        most_waiting: settings.endpoint_queue,
    }
}
