//! Webhooks: events that the gateway sends to endpoints by POST, signed as in the Standard Webhooks specification
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! A service raises an event (`events`). One transaction stores a delivery for each endpoint that gets the event
//! (`store`). The `keeper` attempts each delivery until an attempt succeeds or the last attempt has failed; `send`
//! makes one attempt. Even if the process crashes, any process that shares the store continues. An endpoint belongs
//! to the operator, who configures it, or to a client, which registers it by a request (`request`, `api`, `document`).
//! `emitted` reads the events of services behind the gateway.
//! `endpoint` contains the data of endpoints, `filter` their conditions for events, `event` the types of events, and `signature` the secrets. `watch` reads
//! the lists that the configuration watches, and `report` is for operators.

mod api;
mod document;
mod emitted;
mod endpoint;
mod event;
mod events;
mod keeper;
mod report;
mod request;
mod send;
mod signature;
mod store;
mod watch;

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

use self::store::WebhookStore;
pub(super) use self::{
    api::Webhooks,
    event::Event,
    events::{ChangedList, Events, SeenList, audience},
    keeper::WebhookKeeper,
    report::WebhookReport,
    watch::WatchKeeper,
};
use super::inner::InnerGateway;
use cursorgate_config::settings::{ServiceStoreSettings, WebhookSettings};

/// The parts of the webhooks of a process.
pub(super) struct OpenWebhooks {
    pub(super) service: Webhooks,
    pub(super) deliveries: WebhookKeeper,
    pub(super) watches: WatchKeeper,
    pub(super) report: WebhookReport,
    /// The handle with which other services raise events.
    pub(super) events: Events,
}

/// Opens the webhooks with the configured store.
///
/// # Errors
///
/// Returns the fault of the store as a message.
pub(super) fn open(inner: &Arc<InnerGateway>, settings: &WebhookSettings) -> Result<OpenWebhooks, String> {
    let store = match &settings.store {
        ServiceStoreSettings::Directory(directory) => {
            let opened = WebhookStore::open(directory);
            opened.map_err(|fault| format!("services.webhooks: {}: {fault}", directory.display()))?
        }
        ServiceStoreSettings::Postgres(settings) => {
            let opened = WebhookStore::connect(inner, settings);
            opened.map_err(|error| format!("services.webhooks.postgres: {error}"))?
        }
    };
    let raised: Arc<Notify> = Arc::default();
    let waiting = Arc::new(Semaphore::new(emitted::MOST_WAITING));
    let events = Events { inner: Arc::clone(inner), store: store.clone(), raised: Arc::clone(&raised), waiting };
    Ok(OpenWebhooks {
        deliveries: WebhookKeeper { inner: Arc::clone(inner), store: store.clone(), raised: Arc::clone(&raised) },
        watches: WatchKeeper { inner: Arc::clone(inner), store: store.clone(), events: events.clone() },
        report: WebhookReport { inner: Arc::clone(inner), store, raised },
        service: Webhooks::new(events.clone()),
        events,
    })
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path, time::Duration};

    use super::{store::NextStep, *};
    use crate::caller::Caller;
    use cursorgate_config::{Environment, load_text};
    use cursorgate_gateway::{
        Gateway, Live, RequestIds, Snapshot, lifecycle::process::Vitals, outcome::metrics::webhooks::AttemptEnd,
    };

    /// An environment in which every variable has the same secret as its value.
    struct Secrets;

    impl Environment for Secrets {
        fn variable(&self, _: &str) -> Option<String> {
            Some("nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE".to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Receivers that are down from the evening to the morning, or for a day, still get their events.
    #[test]
    fn attempts_cover_at_least_a_day_by_default() {
        let text = "version = 1\nlisteners.public = { address = \"127.0.0.1:0\" }\n\
            cursor = { signing_key = 1, keys = { 1 = \"env:KEY\" } }\nupstreams.people = { peers = [\"127.0.0.1:1\"] }\n\
            routes.rest = { path = \"/{*rest}\", upstream = \"people\", action = \"forward\" }\n\
            [services.webhooks]\ndirectory = \"/d\"\n";
        let settings = load_text("a.toml", text, &Secrets).0.unwrap().services.webhooks.clone().unwrap();
        let record =
            r#"{"at":"","durationMs":1,"request":{"method":"POST","headers":[]},"response":null,"error":"late"}"#;
        let record = serde_json::from_str(record).unwrap();
        let sent =
            send::SentAttempt { end: AttemptEnd::Late, record, retry_after: None, body: Vec::new(), cause: None };
        let pauses = (1..settings.attempts).map(|attempts| match keeper::next(&settings, attempts, &sent) {
            NextStep::Again(pause) => pause,
            step => panic!("{attempts}: {step:?}"),
        });
        let hours = pauses.sum::<Duration>().as_secs() / 3_600;
        assert!((27..=56).contains(&hours), "{hours} hours");
        assert_eq!(keeper::next(&settings, settings.attempts, &sent), NextStep::Dead);
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
        let opened = open(&Arc::new(InnerGateway::new(&gateway)), &webhooks).unwrap();
        let caller = Arc::new(Caller::of_headers(http::HeaderMap::new()));
        let [route, path, query] = ["users", "/users", "sort=name"].map(str::to_owned);
        let data = ChangedList { route, path, query, watch: None, etag: Some("\"a\"".to_owned()) };
        let seen = async |version: &str, before: Option<&str>| {
            let before = before.map(str::to_owned);
            let seen = SeenList {
                key: [7; 32],
                version: version.to_owned(),
                before,
                cause: None,
                is_for_clients: false,
                data: data.clone(),
            };
            opened.events.list_seen(&[Arc::clone(&caller)], seen).await.unwrap();
            let queued = opened.deliveries.store.call(|tables| tables.deliveries("config:audit", None, None));
            queued
                .await
                .unwrap()
                .iter()
                .map(|delivery| (delivery.id.clone(), delivery.event.clone()))
                .collect::<Vec<_>>()
        };
        assert!(seen("a", None).await.is_empty(), "the first version is not a change");
        assert!(seen("a", Some("x")).await.is_empty(), "another process has reported it");
        let first = seen("b", None).await;
        assert_eq!((first.len(), seen("b", Some("a")).await), (1, first.clone()));
        let second = seen("a", Some("b")).await;
        assert_eq!((second.len(), &second[0].0), (1, &first[0].0), "a delivery that waits takes the newest event");
        assert_ne!(second[0].1, first[0].1);
        let queued =
            opened.deliveries.store.call(|tables| tables.deliveries("config:audit", None, None)).await.unwrap();
        let payload: serde_json::Value = serde_json::from_str(&queued[0].payload).unwrap();
        let data = serde_json::json!({ "route": "users", "path": "/users", "query": "sort=name", "etag": "\"a\"" });
        assert_eq!((&payload["type"], &payload["data"]), (&"collection.changed".into(), &data));
        let named = audience(&gateway.live.pin(), Some(&caller)).unwrap();
        assert!(matches!(named, event::Audience::Client(names) if !names.is_empty()));
        // If this fails, the directory stays among the temporary files, which does no harm.
        let _ = std::fs::remove_dir_all(directory);
    }
}
