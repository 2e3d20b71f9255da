//! An endpoint: its data in the store, its secrets, and the document that its client reads.
//!
//! The URL and the secrets of an endpoint that a client has registered are sealed with the keys of cursors, because
//! both may be credentials of the receiver. The hash that names the client is sealed with them, so that after a change
//! of keys the owner's name under the new key can be computed without a request of the client.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::signature::SigningSecrets;
use crate::{
    config::{
        outgoing::EndpointUrl,
        settings::{EndpointPace, EventType, WebhookSettings},
    },
    cursor::KeyRing,
    gateway::runtime::clock,
};

/// The name of the service in logs and metrics, and of its kind of value under the keys of cursors.
pub(super) const NAME: &str = "webhooks";

/// The prefix of the ids of the operator's endpoints. Ids of clients' endpoints have only hexadecimal digits.
const OF_OPERATOR: &str = "config:";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EndpointState {
    /// The endpoint has not answered a challenge yet, and gets no events.
    Unverified,
    Active,
    /// The client has disabled the endpoint, or the endpoint has answered with 410.
    Disabled,
}

impl EndpointState {
    /// Returns the word of the state, as clients and the store have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Returns the state with this word.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Unverified, Self::Active, Self::Disabled].into_iter().find(|state| state.word() == word)
    }
}

/// An endpoint as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) id: String,
    /// The name of its client, a hash under a key of cursors; `None` for one of the operator.
    pub(super) owner: Option<String>,
    pub(super) state: EndpointState,
    /// True if the endpoint has answered a challenge at its present URL.
    pub(super) is_verified: bool,
    /// True if the endpoint has answered with 410.
    pub(super) is_gone: bool,
    /// The words of the types of events that it gets.
    pub(super) events: Vec<String>,
    /// In seconds since 1970.
    pub(super) created: u64,
    /// The sealed parts of a client's endpoint; empty for one of the operator.
    pub(super) sealed: Vec<u8>,
}

/// The parts of a client's endpoint that are sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SealedParts {
    /// The hash that names the client, in base64.
    client: String,
    pub(super) url: String,
    pub(super) secrets: SigningSecrets,
}

impl SealedParts {
    pub(super) fn new(client: [u8; 32], url: String, secrets: SigningSecrets) -> Self {
        Self { client: STANDARD.encode(client), url, secrets }
    }

    /// Seals the parts by the key that signs cursors.
    pub(super) fn seal(&self, keys: &KeyRing, id: &str) -> Option<Vec<u8>> {
        // The plain text has the secrets, which would stay in freed memory.
        let bytes = Zeroizing::new(serde_json::to_vec(self).ok()?);
        keys.seal_stored(keys.signing_number(), &seal_name(id), &bytes)
    }

    /// Opens the parts. Returns `None` if their key is gone, or if they are those of another endpoint.
    pub(super) fn open(keys: &KeyRing, id: &str, sealed: &[u8]) -> Option<Self> {
        let bytes = Zeroizing::new(keys.open_stored(&seal_name(id), sealed)?);
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns the name of the client under the key that signs cursors.
    pub(super) fn owner(&self, keys: &KeyRing) -> Option<String> {
        keys.stored_name(keys.signing_number(), NAME, "owner", &STANDARD.decode(&self.client).ok()?)
    }
}

fn seal_name(id: &str) -> String {
    // The id keeps the parts of an endpoint from opening as those of another one.
    // Test: `an_endpoint_follows_a_change_of_keys`.
    format!("{NAME}:1:endpoint:{id}")
}

/// Returns the names of a client under each key of cursors, that under the signing key first.
pub(super) fn owners(keys: &KeyRing, client: &[u8; 32]) -> Vec<String> {
    names(keys, "owner", client)
}

/// Returns the names of a stored value under each key of cursors, that under the signing key first.
pub(super) fn names(keys: &KeyRing, kind: &str, bytes: &[u8]) -> Vec<String> {
    // Rows that were stored under an earlier key stay the client's. Test: `an_endpoint_follows_a_change_of_keys`.
    let numbers = std::iter::once(keys.signing_number()).chain(keys.numbers());
    numbers.filter_map(|number| keys.stored_name(number, NAME, kind, bytes)).collect()
}

/// The receiver of a delivery: its URL, the keys that sign, and its rate limits.
pub(super) struct Receiver {
    pub(super) url: EndpointUrl,
    pub(super) keys: Vec<Zeroizing<Vec<u8>>>,
    pub(super) pace: EndpointPace,
}

/// Returns the id of an endpoint of the operator.
pub(super) fn id_of_operators(name: &str) -> String {
    format!("{OF_OPERATOR}{name}")
}

impl Endpoint {
    /// Returns the receiver. Returns `None` for an endpoint of the operator that the configuration does not have, and
    /// for one of a client if the key that sealed it is gone.
    pub(super) fn receiver(&self, settings: &WebhookSettings, keys: &KeyRing) -> Option<Receiver> {
        // The operator's URL and secrets are those of the configuration in force, and are not stored.
        if let Some(name) = self.id.strip_prefix(OF_OPERATOR) {
            let found = settings.endpoints.iter().find(|endpoint| endpoint.name == name)?;
            let keys = found.secrets.iter().map(|secret| Zeroizing::new(secret.reveal().to_vec())).collect();
            return Some(Receiver { url: found.url.clone(), keys, pace: found.pace });
        }
        let parts = SealedParts::open(keys, &self.id, &self.sealed)?;
        let url = EndpointUrl::parse(&parts.url).ok()?;
        Some(Receiver { url, keys: parts.secrets.keys(clock::unix_seconds()), pace: settings.pace })
    }

    /// Returns the word for the reason that the endpoint is disabled; `None` if it is not.
    pub(super) fn disabled_by(&self) -> Option<&'static str> {
        match (self.state, self.is_gone) {
            (EndpointState::Disabled, true) => Some("gone"),
            (EndpointState::Disabled, false) => Some("client"),
            _ => None,
        }
    }

    /// Returns the document, without a secret. `parts` are the opened ones of a client's endpoint.
    pub(super) fn document<'a>(&'a self, parts: Option<&'a SealedParts>) -> EndpointDocument<'a> {
        EndpointDocument {
            id: &self.id,
            url: parts.map(|parts| parts.url.as_str()),
            events: &self.events,
            state: self.state,
            disabled_by: self.disabled_by(),
            created_at: clock::rfc3339(self.created),
            secret: None,
        }
    }
}

/// The JSON of an endpoint.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointDocument<'a> {
    id: &'a str,
    /// `None` if the key that sealed it is gone.
    url: Option<&'a str>,
    events: &'a [String],
    state: EndpointState,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_by: Option<&'static str>,
    created_at: String,
    /// The new secret, only in the answer to the request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

/// Returns the words of types of events.
pub(super) fn words(events: &[EventType]) -> Vec<String> {
    events.iter().map(|event| event.word().to_owned()).collect()
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
        let parts = SealedParts::new(client, url, SigningSecrets::new().unwrap());
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
