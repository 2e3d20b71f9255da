//! The signatures of deliveries
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): HMAC-SHA256 over the
//! id, the time and the body, in base64, with one signature for each secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The prefix of a secret in the form that receivers get.
const PREFIX: &str = "whsec_";

/// The length of a new secret, in bytes.
const LENGTH: usize = 32;

/// The largest number of secrets of an endpoint. When there would be more, the oldest secret is removed.
const MOST_SECRETS: usize = 4;

/// The secrets of an endpoint that a client has registered, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SigningSecrets(Vec<SigningSecret>);

#[derive(Clone, Serialize, Deserialize)]
struct SigningSecret {
    /// The secret in base64.
    key: String,
    /// The time until which this secret still signs together with a newer secret, in seconds since 1970; `None` for the
    /// newest secret.
    until: Option<u64>,
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningSecret").finish_non_exhaustive()
    }
}

impl SigningSecrets {
    /// Creates the secrets of a new endpoint, with one random secret. Returns `None` if the system has no random bytes.
    pub(super) fn new() -> Option<Self> {
        Some(Self(vec![SigningSecret { key: new_key()?, until: None }]))
    }

    /// Adds a new secret. The previous secret also signs for another `overlap` seconds, in which receivers can switch
    /// to the new one. Secrets whose time is over are removed. `now` is in seconds since 1970. Returns `None`, and
    /// changes nothing, if the system has no random bytes.
    pub(super) fn rotate(&mut self, now: u64, overlap: u64) -> Option<()> {
        let key = new_key()?;
        let end = now.saturating_add(overlap);
        self.0.retain(|secret| secret.until.is_none_or(|until| until > now));
        for secret in &mut self.0 {
            // Another rotation doesn't postpone the end of an older secret.
            // Test: `a_replaced_secret_signs_for_the_overlap`.
            secret.until = secret.until.or(Some(end));
        }
        self.0.insert(0, SigningSecret { key, until: None });
        self.0.truncate(MOST_SECRETS);
        Some(())
    }

    /// Returns the newest secret in the form that receivers get, such as `whsec_MfKQ…`.
    pub(super) fn newest(&self) -> Option<String> {
        self.0.first().map(|secret| format!("{PREFIX}{}", secret.key))
    }

    /// Returns the keys that sign at the time `now`, in seconds since 1970, the newest first.
    pub(super) fn keys(&self, now: u64) -> Vec<Zeroizing<Vec<u8>>> {
        let signing = self.0.iter().filter(|secret| secret.until.is_none_or(|until| until > now));
        signing.filter_map(|secret| STANDARD.decode(&secret.key).ok().map(Zeroizing::new)).collect()
    }
}

fn new_key() -> Option<String> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut *bytes).ok()?;
    Some(STANDARD.encode(*bytes))
}

/// Returns the value of `webhook-signature`: a signature by each key, separated by spaces. `timestamp` is in seconds
/// since 1970.
pub(super) fn sign<K: AsRef<[u8]>>(keys: &[K], id: &str, timestamp: u64, body: &str) -> String {
    let signatures = keys.iter().filter_map(|key| {
        // HMAC accepts keys of any length, so this never fails.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_ref()).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature equals the one in the example of the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_replaced_secret_signs_for_the_overlap() {
        let mut secrets = SigningSecrets::new().unwrap();
        let first = secrets.newest().unwrap();
        assert_eq!(STANDARD.decode(first.strip_prefix(PREFIX).unwrap()).unwrap().len(), LENGTH);
        secrets.rotate(100, 50).unwrap();
        assert_ne!(secrets.newest().unwrap(), first);
        assert_eq!((secrets.keys(149).len(), secrets.keys(150).len()), (2, 1));
        secrets.rotate(120, 50).unwrap();
        assert_eq!((secrets.keys(149).len(), secrets.keys(150).len(), secrets.keys(170).len()), (3, 2, 1));
        for _ in 0..9 {
            secrets.rotate(120, 50).unwrap();
        }
        assert_eq!(secrets.keys(120).len(), MOST_SECRETS);
        let printed = format!("{secrets:?}");
        assert!(!printed.contains("key"), "{printed}");
    }
}
