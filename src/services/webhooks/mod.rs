//! Webhooks: events that the gateway sends to endpoints by POST, signed as Standard Webhooks says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! A service raises an event ([`Events`]). In one transaction it becomes a delivery for each endpoint that it is for
//! (`store`). The `keeper` attempts deliveries until one succeeds or the last one has failed; `send` makes an attempt. Whatever
//! ends the process, the next one goes on, in any process that has the directory. Endpoints are the operator's, by the
//! configuration, or a client's, by requests (`request`, `api`); `endpoint` has their data, `event` the types of events,
//! `signature` the secrets.

mod api;
mod document;
mod endpoint;
mod event;
mod keeper;
mod request;
mod send;
mod signature;
mod store;

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

pub(super) use self::{
    api::Webhooks,
    event::{Audience, Event},
    keeper::WebhookKeeper,
};
use self::{
    endpoint::{id_of_operators, owners, words},
    store::{OperatorsEndpoint, Subscribers, WebhookStore},
};
use super::{caller::Caller, database::DatabaseFault, inner::InnerGateway};
use crate::{
    config::settings::{EventType, WebhookSettings},
    gateway::{Snapshot, runtime::clock},
};

/// The name of the service in logs and metrics, and of its kind of value under the keys of cursors.
const NAME: &str = "webhooks";

/// The way by which other services raise events.
#[derive(Clone)]
pub(super) struct Events {
    inner: Arc<InnerGateway>,
    store: WebhookStore,
    raised: Arc<Notify>,
}

/// Opens the webhooks of a directory.
///
/// # Errors
///
/// Returns the fault of the directory as a text.
pub(super) fn open(
    inner: &Arc<InnerGateway>,
    settings: &WebhookSettings,
) -> Result<(Webhooks, WebhookKeeper, Events), String> {
    let store = WebhookStore::open(&settings.directory)
        .map_err(|fault| format!("services.webhooks: {}: {fault}", settings.directory.display()))?;
    let raised: Arc<Notify> = Arc::default();
    let events = Events { inner: Arc::clone(inner), store: store.clone(), raised: Arc::clone(&raised) };
    let keeper = WebhookKeeper { inner: Arc::clone(inner), store: store.clone(), raised: Arc::clone(&raised) };
    Ok((Webhooks::new(Arc::clone(inner), store, raised), keeper, events))
}

/// A change of a list, as a client sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct CollectionChange<'a> {
    /// The name of the route.
    pub(super) route: &'a str,
    /// The path of the list.
    pub(super) path: &'a str,
    /// The filters and the sort, without private parameters.
    pub(super) query: &'a str,
}

impl Events {
    /// Raises an event: when this returns, the deliveries of its endpoints are stored. An event with the same id that was
    /// raised before is not raised again.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. Nothing is stored then.
    pub(super) async fn raise(&self, event: Event) -> Result<(), DatabaseFault> {
        let snapshot = self.inner.gateway().live.pin();
        let Some(settings) = &snapshot.services.webhooks else { return Ok(()) };
        let (subscribers, queue) = (subscribers(settings), settings.queue);
        let raise = move |tables: &mut store::WebhookTables<'_>| {
            tables.raise(&event, &subscribers, queue, clock::unix_seconds())
        };
        let raised = self.store.call(raise).await?;
        self.inner.gateway().vitals.webhooks().finish(false, raised.dead);
        if raised.queued > 0 {
            self.raised.notify_one();
        }
        Ok(())
    }

    /// Raises `collection.changed` for the endpoints of the client whose list has changed, and for the operator's.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store.
    #[cfg_attr(not(test), expect(dead_code, reason = "no service watches lists yet"))]
    pub(super) async fn collection_changed(
        &self,
        caller: &Caller,
        change: CollectionChange<'_>,
    ) -> Result<(), DatabaseFault> {
        let snapshot = self.inner.gateway().live.pin();
        let (Some(audience), Some(cause)) = (audience(&snapshot, Some(caller)), new_id()) else { return Ok(()) };
        self.raise(Event::new(EventType::CollectionChanged, &cause, clock::unix_seconds(), audience, &change)).await
    }
}

/// Returns the endpoints that an event of a client is for: without the client those of the operator alone. `None` if there
/// are no webhooks.
pub(super) fn audience(snapshot: &Snapshot, caller: Option<&Caller>) -> Option<Audience> {
    let settings = snapshot.services.webhooks.as_ref()?;
    let keys = snapshot.keys.as_deref()?;
    let of_client = settings.clients.as_ref().zip(caller);
    let names = of_client.map(|(clients, caller)| owners(keys, &caller.name_at(&clients.principal)));
    Some(Audience::Client(names.unwrap_or_default()))
}

/// Returns who may get events by the configuration in force.
fn subscribers(settings: &WebhookSettings) -> Subscribers {
    let operators = settings.endpoints.iter().map(|endpoint| {
        let url = format!("{}{}", endpoint.url.authority(), endpoint.url.target);
        let mark: String = Sha256::digest(url).iter().map(|byte| format!("{byte:02x}")).collect();
        OperatorsEndpoint { id: id_of_operators(&endpoint.name), mark, events: words(&endpoint.events) }
    });
    let of_clients = settings.clients.as_ref().map(|clients| words(&clients.events));
    Subscribers { operators: operators.collect(), of_clients: of_clients.unwrap_or_default() }
}

/// Returns the id of a new endpoint or delivery; `None` if the system has no random bytes.
fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::*;
    use crate::{
        config::{Environment, load_text},
        gateway::{Gateway, Live, RequestIds, lifecycle::process::Vitals},
    };

    /// An environment in which each variable is a secret.
    struct Secrets;

    impl Environment for Secrets {
        fn variable(&self, _: &str) -> Option<String> {
            Some("nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE".to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    #[tokio::test]
    async fn a_change_of_a_list_is_for_its_client_and_the_operator() {
        let directory = std::env::temp_dir().join(format!("cursorgate-webhooks-{}-change", std::process::id()));
        let text = format!(
            "version = 1\nlisteners.public = {{ address = \"127.0.0.1:0\" }}\n\
             cursor = {{ signing_key = 1, keys = {{ 1 = \"env:KEY\" }} }}\nupstreams.people = {{ peers = [\"127.0.0.1:1\"] }}\n\
             routes.rest = {{ path = \"/{{*rest}}\", upstream = \"people\", action = \"forward\" }}\n\
             [services.webhooks]\ndirectory = {directory:?}\n\
             [services.webhooks.endpoints.audit]\nurl = \"https://a.example/\"\nevents = [\"collection.changed\"]\n\
             secret = \"env:SECRET\"\n[services.webhooks.clients]\nauthorize = \"/users\"\n"
        );
        let (settings, mut diagnostics) = load_text("a.toml", &text, &Secrets);
        let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
        let webhooks = snapshot.services.webhooks.clone().unwrap();
        let gateway = Gateway::new(Arc::new(Live::new(snapshot)), Vitals::default(), RequestIds::new().unwrap());
        let (_, keeper, events) = open(&Arc::new(InnerGateway::new(&gateway)), &webhooks).unwrap();
        let caller = Caller::of_bytes(br#"{"address":null,"client":null,"tls":null,"headers":[]}"#).unwrap();
        let change = CollectionChange { route: "users", path: "/users", query: "sort=name" };
        events.collection_changed(&caller, change).await.unwrap();
        events.collection_changed(&caller, change).await.unwrap();
        let queued = keeper.store.call(|tables| tables.deliveries("config:audit", None, None)).await.unwrap();
        assert_eq!(queued.len(), 2, "each change is one event");
        let payload: serde_json::Value = serde_json::from_str(&queued[0].payload).unwrap();
        let data = serde_json::json!({ "route": "users", "path": "/users", "query": "sort=name" });
        assert_eq!((&payload["type"], &payload["data"]), (&"collection.changed".into(), &data));
        let named = audience(&gateway.live.pin(), Some(&caller)).unwrap();
        assert!(matches!(named, Audience::Client(names) if !names.is_empty()));
        // It is below the directory of temporary files.
        let _ = std::fs::remove_dir_all(directory);
    }
}
