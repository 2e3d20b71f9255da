//! The way by which services raise events.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{
    endpoint::{id_of_operators, names, owners, words},
    event::{Audience, Event},
    store::{OperatorsEndpoint, Raised, SeenVersion, Subscribers, WebhookStore, WebhookTables},
};
use crate::{
    config::settings::{EventType, WebhookSettings},
    cursor::KeyRing,
    gateway::{Snapshot, runtime::clock},
    services::{caller::Caller, database::DatabaseFault, id::new_id, inner::InnerGateway, page::hex},
};

/// The kind of the name of a watched page under the keys of cursors.
pub(super) const WINDOW: &str = "window";

/// The way by which other services raise events.
#[derive(Clone)]
pub(in crate::services) struct Events {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: WebhookStore,
    /// Notified when an event has queued a delivery.
    pub(super) raised: Arc<Notify>,
}

/// A page of a list as it was seen.
#[derive(Clone, Debug)]
pub(in crate::services) struct SeenList {
    /// The hash of all that the page follows from, the client among it.
    pub(in crate::services) key: [u8; 32],
    pub(in crate::services) version: String,
    /// The version that whoever saw the page saw before; none at first.
    pub(in crate::services) before: Option<String>,
    pub(in crate::services) data: ChangedList,
}

/// The data of `collection.changed`, which has nothing of the items.
#[derive(Clone, Debug, Serialize)]
pub(in crate::services) struct ChangedList {
    /// The name of the route.
    pub(in crate::services) route: String,
    /// The path of the list.
    pub(in crate::services) path: String,
    /// The filters and the sort, without private parameters.
    pub(in crate::services) query: String,
    /// The name of the watch in the configuration; none for a live page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::services) watch: Option<String>,
    /// The validator of the page that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::services) etag: Option<String>,
}

impl Events {
    /// Raises an event: when this returns, the deliveries of its endpoints are stored. An event with the same id that was
    /// raised before is not raised again.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. Nothing is stored then.
    pub(in crate::services) async fn raise(&self, event: Event) -> Result<(), DatabaseFault> {
        let snapshot = self.inner.gateway().live.pin();
        let Some(settings) = &snapshot.services.webhooks else { return Ok(()) };
        let (subscribers, queue) = (subscribers(settings), settings.queue);
        let raise =
            move |tables: &mut WebhookTables<'_>| tables.raise(&event, &subscribers, queue, clock::unix_seconds());
        self.count(self.store.call(raise).await?);
        Ok(())
    }

    /// Raises `collection.changed` if a page is another one than when it was last seen, by any process that has the
    /// directory: for the endpoints of the clients that see it, and for the operator's.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. Nothing is stored then, so that the next call finds the change.
    pub(in crate::services) async fn list_seen(
        &self,
        callers: &[Arc<Caller>],
        list: SeenList,
    ) -> Result<(), DatabaseFault> {
        let snapshot = self.inner.gateway().live.pin();
        let (Some(settings), Some(keys)) = (&snapshot.services.webhooks, snapshot.keys.as_deref()) else {
            return Ok(());
        };
        let subscribers = subscribers(settings);
        let (kind, cause) = (EventType::CollectionChanged, new_id());
        let names = names(keys, WINDOW, &list.key);
        let (false, Some(cause), Some(name)) = (subscribers.are_none(kind.word()), cause, names.first().cloned())
        else {
            return Ok(());
        };
        let audience = Audience::Client(owners_of(settings, keys, callers));
        let (now, queue) = (clock::unix_seconds(), settings.queue);
        let event = Event::new(kind, &cause, now, audience, &list.data).about(name);
        let seen = move |tables: &mut WebhookTables<'_>| {
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
        self.inner.gateway().vitals.webhooks().finish(false, raised.dead);
        if raised.queued > 0 {
            self.raised.notify_one();
        }
    }
}

/// Returns the endpoints that an event of a client is for: without the client those of the operator alone. `None` if there
/// are no webhooks.
pub(in crate::services) fn audience(snapshot: &Snapshot, caller: Option<&Caller>) -> Option<Audience> {
    let settings = snapshot.services.webhooks.as_ref()?;
    let keys = snapshot.keys.as_deref()?;
    let of_client = settings.clients.as_ref().zip(caller);
    let names = of_client.map(|(clients, caller)| owners(keys, &caller.name_at(&clients.principal)));
    Some(Audience::Client(names.unwrap_or_default()))
}

/// Returns the names of clients as owners of endpoints.
fn owners_of(settings: &WebhookSettings, keys: &KeyRing, callers: &[Arc<Caller>]) -> Vec<String> {
    let Some(clients) = &settings.clients else { return Vec::new() };
    // Those who share a page are mostly one client.
    let names: BTreeSet<[u8; 32]> = callers.iter().map(|caller| caller.name_at(&clients.principal)).collect();
    names.iter().flat_map(|name| owners(keys, name)).collect()
}

/// Returns who may get events by the configuration in force.
pub(super) fn subscribers(settings: &WebhookSettings) -> Subscribers {
    let operators = settings.endpoints.iter().map(|endpoint| {
        let url = format!("{}{}", endpoint.url.authority(), endpoint.url.target);
        let mark = hex(&Sha256::digest(url));
        OperatorsEndpoint { id: id_of_operators(&endpoint.name), mark, events: words(&endpoint.events) }
    });
    let of_clients = settings.clients.as_ref().map(|clients| words(&clients.events));
    Subscribers { operators: operators.collect(), of_clients: of_clients.unwrap_or_default() }
}
