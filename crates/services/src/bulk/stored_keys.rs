//! Keys in the store of exports, which all processes that share it know, also after a restart.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    detached::ALONE,
    idempotency::{KeptResult, KeyClaim, KeyName, KeyState, KnownKey, full, limits, repeated},
    owners::Owner,
};
use crate::{
    exports::{JobStoreFault, KeyEnd, KeyStore, NewKey, StoredKey, store_failed},
    id::new_id,
};
use cursorgate_config::settings::IdempotencySettings;
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{outcome::failure::Failure, runtime::clock};

/// The beginning of the names of keys.
const NAME: &str = "bulk";

/// The pause between two attempts to store a result.
const PAUSE: Duration = Duration::from_secs(2);

/// The store of keys, and the keys of cursors by which names are made and results sealed.
pub(super) struct StoredKeys<'s> {
    pub(super) store: &'s Arc<dyn KeyStore>,
    pub(super) keys: &'s Arc<KeyRing>,
    pub(super) settings: IdempotencySettings,
}

/// The key of a request that is running.
#[derive(Debug)]
pub(super) enum ClaimedKey {
    InMemory(KeyClaim),
    Stored(StoredClaim),
}

/// The key of a request that is running. If it is dropped before `finish`, the store says after a while that the request
/// has run and has no result.
pub(super) struct StoredClaim {
    store: Arc<dyn KeyStore>,
    keys: Arc<KeyRing>,
    settings: IdempotencySettings,
    name: String,
    claim: String,
}

impl std::fmt::Debug for StoredClaim {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoredClaim").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl ClaimedKey {
    /// Ends the claim, and keeps the result for repetitions of the request. Returns the result if the store couldn't
    /// take it.
    pub(super) async fn finish(self, result: KeptResult) -> Option<UnstoredResult> {
        match self {
            Self::InMemory(claim) => {
                claim.finish(result);
                None
            }
            Self::Stored(claim) => claim.finish(result).await,
        }
    }
}

impl StoredKeys<'_> {
    /// Claims a key for a request whose body has this hash.
    ///
    /// # Errors
    ///
    /// Returns 503 `store_unavailable` if the store doesn't say whether the key is known.
    pub(super) async fn claim(
        &self,
        key: KeyName,
        owner: Owner,
        body: [u8; 32],
    ) -> Result<KnownKey<StoredClaim>, Failure> {
        let (keys, number) = (self.keys, self.keys.signing_number());
        let named = |number: u32, kind: &str, name: &[u8; 32]| keys.stored_name(number, NAME, kind, name);
        // A key that was stored before a change of the signing key has its name under the earlier one.
        let numbers = std::iter::once(number).chain(keys.numbers());
        let names: Vec<String> = numbers.filter_map(|number| named(number, "key", &key)).collect();
        let parts = names.first().cloned().zip(named(number, "client", &owner.client)).zip(new_id());
        let Some(((name, client), claim)) = parts else { return Ok(KnownKey::Refused(full())) };
        let most = limits(self.settings);
        let new = NewKey {
            names,
            claim: claim.clone(),
            body: body.to_vec(),
            client,
            network: owner.network.and_then(|network| named(number, "network", &network)),
            ttl: self.settings.ttl,
            per_client: most.client,
            per_network: most.network,
            most: most.all,
        };
        Ok(match self.store.claim_key(&new).await.map_err(store_failed)? {
            StoredKey::New => KnownKey::New(StoredClaim {
                store: Arc::clone(self.store),
                keys: Arc::clone(keys),
                settings: self.settings,
                name,
                claim,
            }),
            StoredKey::Full => KnownKey::Refused(full()),
            StoredKey::Known(known) => {
                let result = known.result.and_then(|sealed| keys.open_stored(&known.name, &sealed));
                let state = match result {
                    Some(result) => KeyState::Done(Bytes::from(result)),
                    None if known.is_running => KeyState::UnderWay,
                    None => KeyState::Lost,
                };
                repeated(known.body == body, &state)
            }
        })
    }
}

impl StoredClaim {
    /// Ends the claim, and stores the result for repetitions of the request at all processes.
    async fn finish(self, result: KeptResult) -> Option<UnstoredResult> {
        let Self { store, keys, settings, name, claim } = self;
        let kept = Some(result.body).filter(|body| body.len() <= settings.size);
        let sealed = kept.and_then(|body| keys.seal_stored(keys.signing_number(), &name, &body));
        let end = KeyEnd { name, claim, result: sealed, ttl: settings.ttl, size: settings.size };
        let unstored = UnstoredResult { store, end, may_have_changed: result.may_have_changed };
        if unstored.try_store().await.is_ok() { None } else { Some(unstored) }
    }
}

/// A result that its store couldn't take.
pub(super) struct UnstoredResult {
    store: Arc<dyn KeyStore>,
    end: KeyEnd,
    may_have_changed: bool,
}

impl UnstoredResult {
    async fn try_store(&self) -> Result<(), JobStoreFault> {
        let KeyEnd { name, claim, .. } = &self.end;
        match self.may_have_changed {
            true => self.store.end_key(&self.end).await,
            false => self.store.drop_key(name, claim).await,
        }
    }

    /// Stores the result once the store is back. Until then, a repetition of the request is told that it is running.
    /// Test: `the_result_of_a_request_waits_for_a_database_that_is_away`.
    pub(super) async fn store(self) {
        // The bound: after this time, a repetition is told that the result is lost.
        let until = clock::instant() + ALONE;
        loop {
            tokio::time::sleep(PAUSE).await;
            let Err(fault) = self.try_store().await else { return };
            if clock::instant() > until {
                tracing::warn!(%fault, "the result of a request with an Idempotency-Key is lost");
                return;
            }
        }
    }
}
