//! An endpoint: its stored data, its secrets, and the document that its client reads.
//!
//! The URL and the secrets of an endpoint that a client has registered are sealed with the cursor keys, because they
//! can be credentials of the receiver. The hash that names the client is sealed together with them. After a change of
//! keys, the gateway can then compute the owner's name under the new key without a request of the client.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::signature::SigningSecrets;
use cursorgate_config::{
    outgoing::EndpointUrl,
    settings::{EndpointFilter, EndpointPace, WebhookSettings},
};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::runtime::clock;

/// The service's name in logs and metrics. The names under which the service seals values with the cursor keys begin
/// with it.
pub(super) const NAME: &str = "webhooks";

/// The kinds of names of clients.
const OWNER: &str = "owner";
const SUBJECT: &str = "subject";

/// The prefix of the ids of the operator's endpoints. It can't occur in the ids of clients' endpoints, which consist of
/// hexadecimal digits.
const OF_OPERATOR: &str = "config:";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EndpointState {
    /// The endpoint hasn't answered a challenge at its current URL yet, so it gets no events.
    Unverified,
    Active,
    /// The endpoint gets no events, for the reason in [`DisabledBy`].
    Disabled,
}

/// The reason that an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisabledBy {
    Client,
    /// The endpoint has answered a delivery with 410.
    Gone,
    /// No attempt has succeeded for `disable_after`.
    Failures,
    /// An operator has paused the endpoint. Its client can't enable it.
    Operator,
}

impl DisabledBy {
    /// Returns the word for the reason in documents and in the store.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gone => "gone",
            Self::Failures => "failures",
            Self::Operator => "operator",
        }
    }

    /// Returns the reason with this word; `None` if the word is unknown.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Client, Self::Gone, Self::Failures, Self::Operator].into_iter().find(|reason| reason.word() == word)
    }
}

impl EndpointState {
    /// Returns the word for the state in documents and in the store.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Returns the state with this word; `None` if the word is unknown.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Unverified, Self::Active, Self::Disabled].into_iter().find(|state| state.word() == word)
    }
}

/// The data of an endpoint in the store.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) id: String,
    /// The name of the endpoint's client, which is a hash under a cursor key; `None` for an endpoint of the operator.
    pub(super) owner: Option<String>,
    /// The client as services behind the gateway name it, as a hash under a cursor key; `None` if they can't.
    pub(super) subject: Option<String>,
    pub(super) state: EndpointState,
    /// True if the endpoint has answered a challenge at its current URL.
    pub(super) is_verified: bool,
    /// The reason that the endpoint is disabled; `None` if it isn't.
    pub(super) disabled_by: Option<DisabledBy>,
    /// The time at which it was disabled, in seconds since 1970; `None` if it isn't, or if the time is unknown.
    pub(super) disabled_at: Option<u64>,
    /// The types of events that the endpoint gets, such as `export.completed`.
    pub(super) events: Vec<String>,
    /// The conditions that events must also meet.
    pub(super) filter: EndpointFilter,
    /// The time of the registration, in seconds since 1970.
    pub(super) created: u64,
    /// The sealed parts of a client's endpoint; empty for an endpoint of the operator.
    pub(super) sealed: Vec<u8>,
}

/// The parts of a client's endpoint that are sealed in the store, because they can be credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SealedParts {
    /// The hash that names the client, in base64.
    client: String,
    /// The hash of the client as services behind the gateway name it, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    pub(super) url: String,
    pub(super) secrets: SigningSecrets,
}

impl SealedParts {
    pub(super) fn new(client: [u8; 32], subject: Option<[u8; 32]>, url: String, secrets: SigningSecrets) -> Self {
        Self { client: STANDARD.encode(client), subject: subject.map(|subject| STANDARD.encode(subject)), url, secrets }
    }

    /// Seals the parts of the endpoint `id` by the key that signs cursors. Returns `None` if sealing fails.
    pub(super) fn seal(&self, keys: &KeyRing, id: &str) -> Option<Vec<u8>> {
        // The plain text contains the secrets, so it is overwritten before its memory is freed.
        let bytes = Zeroizing::new(serde_json::to_vec(self).ok()?);
        keys.seal_stored(keys.signing_number(), &seal_name(id), &bytes)
    }

    /// Opens the parts of the endpoint `id`. Returns `None` if the key that sealed them has been removed, or if they
    /// belong to another endpoint.
    pub(super) fn open(keys: &KeyRing, id: &str, sealed: &[u8]) -> Option<Self> {
        let bytes = Zeroizing::new(keys.open_stored(&seal_name(id), sealed)?);
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns the name of the client under the key that signs cursors; `None` if it can't be computed.
    pub(super) fn owner(&self, keys: &KeyRing) -> Option<String> {
        keys.stored_name(keys.signing_number(), NAME, OWNER, &STANDARD.decode(&self.client).ok()?)
    }

    /// Returns the client as services name it, under the key that signs cursors; `None` if they can't name it.
    pub(super) fn subject(&self, keys: &KeyRing) -> Option<String> {
        keys.stored_name(keys.signing_number(), NAME, SUBJECT, &STANDARD.decode(self.subject.as_ref()?).ok()?)
    }
}

fn seal_name(id: &str) -> String {
    // With the id in the name, the parts of one endpoint can't be opened for another endpoint.
    // Test: `an_endpoint_follows_a_change_of_keys`.
    format!("{NAME}:1:endpoint:{id}")
}

/// Returns the names of a client under each cursor key. The name under the signing key is the first.
pub(super) fn owners(keys: &KeyRing, client: &[u8; 32]) -> Vec<String> {
    names(keys, OWNER, client)
}

/// Returns the names of a client as services behind the gateway name it, under each cursor key. The name under the
/// signing key is the first.
pub(super) fn subjects(keys: &KeyRing, subject: &[u8; 32]) -> Vec<String> {
    names(keys, SUBJECT, subject)
}

/// Returns the names of a stored value under each cursor key. The name under the signing key is the first.
pub(super) fn names(keys: &KeyRing, kind: &str, bytes: &[u8]) -> Vec<String> {
    // With the names under earlier keys, rows that were stored before a change of keys are still found.
    // Test: `an_endpoint_follows_a_change_of_keys`.
    let numbers = std::iter::once(keys.signing_number()).chain(keys.numbers());
    numbers.filter_map(|number| keys.stored_name(number, NAME, kind, bytes)).collect()
}

/// The receiver of a delivery: its URL, the keys that sign deliveries to it, and its rate limit.
pub(super) struct Receiver {
    pub(super) url: EndpointUrl,
    pub(super) keys: Vec<Zeroizing<Vec<u8>>>,
    pub(super) pace: EndpointPace,
}

/// Returns the id of the operator's endpoint with this name in the configuration.
pub(super) fn id_of_operators(name: &str) -> String {
    format!("{OF_OPERATOR}{name}")
}

impl Endpoint {
    /// Returns the receiver of deliveries to the endpoint. Returns `None` for an operator's endpoint that isn't in the
    /// configuration, and for a client's endpoint if the key that sealed its parts has been removed.
    pub(super) fn receiver(&self, settings: &WebhookSettings, keys: &KeyRing) -> Option<Receiver> {
        // The URL and the secrets of an operator's endpoint aren't stored. They come from the current configuration.
        if let Some(name) = self.id.strip_prefix(OF_OPERATOR) {
            let found = settings.endpoints.iter().find(|endpoint| endpoint.name == name)?;
            let keys = found.secrets.iter().map(|secret| Zeroizing::new(secret.reveal().to_vec())).collect();
            return Some(Receiver { url: found.url.clone(), keys, pace: found.pace });
        }
        let parts = SealedParts::open(keys, &self.id, &self.sealed)?;
        let url = EndpointUrl::parse(&parts.url).ok()?;
        Some(Receiver { url, keys: parts.secrets.keys(clock::unix_seconds()), pace: settings.pace })
    }

    /// Returns whether an operator has paused the endpoint.
    pub(super) fn is_paused(&self) -> bool {
        self.disabled_by == Some(DisabledBy::Operator)
    }

    /// Returns the document of a client's endpoint, without a secret. `parts` are the opened parts; `None` if they
    /// can't be opened.
    pub(super) fn document<'a>(&'a self, parts: Option<&'a SealedParts>) -> EndpointDocument<'a> {
        EndpointDocument {
            id: &self.id,
            url: parts.map(|parts| parts.url.as_str()),
            events: &self.events,
            filter: (!self.filter.is_empty()).then_some(&self.filter),
            state: self.state,
            disabled_by: self.disabled_by.map(DisabledBy::word),
            disabled_at: self.disabled_at.map(clock::rfc3339),
            created_at: clock::rfc3339(self.created),
            secret: None,
        }
    }
}

/// The JSON document of an endpoint.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointDocument<'a> {
    id: &'a str,
    /// The URL; `None` if the key that sealed it has been removed.
    url: Option<&'a str>,
    events: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a EndpointFilter>,
    state: EndpointState,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<String>,
    created_at: String,
    /// The newest secret; `None` except in the answer to the request that created this secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_follows_a_change_of_keys() {
        let ring = |signing, keys: &[(u32, u8)]| {
            let keys: Vec<(u32, [u8; 32])> = keys.iter().map(|(number, byte)| (*number, [*byte; 32])).collect();
            let keys: Vec<(u32, &[u8])> = keys.iter().map(|(number, key)| (*number, &key[..])).collect();
            KeyRing::new(signing, &keys).unwrap()
        };
        let (before, both, after) = (ring(1, &[(1, 1)]), ring(2, &[(1, 1), (2, 2)]), ring(2, &[(2, 2)]));
        let (client, url) = ([7; 32], "https://a.example/canary".to_owned());
        let parts = SealedParts::new(client, None, url, SigningSecrets::new().unwrap());
        let sealed = parts.seal(&before, "a").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"canary"));
        assert!(
            SealedParts::open(&before, "b", &sealed).is_none() && SealedParts::open(&after, "a", &sealed).is_none()
        );
        let opened = SealedParts::open(&both, "a", &sealed).unwrap();
        let sealed = opened.seal(&both, "a").unwrap();
        let opened = SealedParts::open(&after, "a", &sealed).unwrap();
        assert_eq!((&opened.url, opened.secrets.newest()), (&parts.url, parts.secrets.newest()));
        assert_eq!(opened.owner(&after), owners(&after, &client).into_iter().next());
        assert!(owners(&both, &client).contains(&parts.owner(&before).unwrap()));
    }
}
