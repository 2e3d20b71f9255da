//! Keys with which a client can repeat a request without running its operations twice: the `Idempotency-Key` of
//! draft-ietf-httpapi-idempotency-key-header.
//!
//! The keys are in the memory of the process, and their number, the bytes of their results and their lifetime are
//! bounded. No key is forgotten before its lifetime ends, because a repetition would then run the operations again. So
//! when the number of keys reaches its bound, a request with a new key is refused. When the results exceed their bound,
//! the oldest results are dropped, but their keys stay.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::owners::{Owner, OwnerCounts, OwnerLimits};
use cursorgate_config::settings::IdempotencySettings;
use cursorgate_translate::downstream::{Code, Problem};

/// The part of all keys that one client may use: a tenth.
const CLIENT_PART: usize = 10;
/// The part of all keys that the clients of one address may use together: the half.
const NETWORK_PART: usize = 2;
/// The number of keys that every client may use, however few there are in all.
const SMALLEST_SHARE: usize = 10;

/// The hash of a key and the client that sent it.
type KeyName = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct IdempotencyKeys {
    table: Mutex<KeyTable>,
}

#[derive(Debug, Default)]
struct KeyTable {
    entries: HashMap<KeyName, KeyEntry>,
    /// The names of all entries, the oldest first.
    by_age: VecDeque<KeyName>,
    /// The number of keys of each client.
    owners: OwnerCounts,
    /// The sum of the sizes of all results, in bytes.
    bytes: usize,
}

#[derive(Debug)]
struct KeyEntry {
    /// The SHA-256 of the request's body.
    body: [u8; 32],
    owner: Owner,
    state: KeyState,
    since: Instant,
}

#[derive(Debug)]
enum KeyState {
    UnderWay,
    Done(Bytes),
    /// The operations have run at least in part, and their results weren't kept.
    Lost,
}

/// The state of a key when a request arrives with it.
#[derive(Debug)]
pub(super) enum KnownKey {
    /// The request is the first with this key.
    New(KeyClaim),
    /// The same request has run, with this result.
    Done(Bytes),
    /// The request can't run. Either the key was used with another body, is in use or has lost its result, or there are
    /// too many keys.
    Refused(Box<Problem>),
}

/// The key of a request that is running. If the claim is dropped before `finish`, for example by a panic, the key stays
/// without a result, because some operations might have run.
#[derive(Debug)]
pub(super) struct KeyClaim {
    keys: Arc<IdempotencyKeys>,
    name: KeyName,
    settings: IdempotencySettings,
    result: Option<Bytes>,
}

impl IdempotencyKeys {
    /// Claims a key for a request with this body. If the key is known and its request has ended, returns the kept
    /// result. Returns a refusal if the request can't run.
    pub(super) fn claim(
        self: &Arc<Self>,
        (name, owner): (KeyName, Owner),
        body: &[u8],
        settings: IdempotencySettings,
        now: Instant,
    ) -> KnownKey {
        let body: [u8; 32] = Sha256::digest(body).into();
        let mut table = self.table();
        table.forget(settings, now);
        if let Some(entry) = table.entries.get(&name) {
            return entry.repeated(body);
        }
        // No key is forgotten to make room for a new key: if its request were repeated, the operations would run again.
        // Test: `idempotency_keys_are_bounded_and_never_dropped_early`.
        // One client leaves the other keys to the others. Test: `one_client_does_not_use_up_all_keys`.
        let share = |part: usize| (settings.entries / part).max(SMALLEST_SHARE);
        let limits = OwnerLimits { client: share(CLIENT_PART), network: share(NETWORK_PART), all: settings.entries };
        if !table.owners.add(owner, limits) {
            let detail = "the gateway knows as many idempotency keys of this client, or of all, as it may: send the \
                          request without one, or later";
            return KnownKey::Refused(Box::new(Problem::new(Code::Overloaded, detail)));
        }
        table.entries.insert(name, KeyEntry { body, owner, state: KeyState::UnderWay, since: now });
        table.by_age.push_back(name);
        KnownKey::New(KeyClaim { keys: Arc::clone(self), name, settings, result: None })
    }

    fn table(&self) -> MutexGuard<'_, KeyTable> {
        // No code panics while it holds the lock, so the table is consistent even if the lock is poisoned.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyEntry {
    fn repeated(&self, body: [u8; 32]) -> KnownKey {
        let refused = |code, detail: &str| KnownKey::Refused(Box::new(Problem::new(code, detail)));
        match &self.state {
            _ if self.body != body => {
                let detail = "this Idempotency-Key was sent with another body: take a new key for a new request";
                refused(Code::IdempotencyKeyReused, detail)
            }
            KeyState::UnderWay => {
                let detail = "the request with this Idempotency-Key is still running: ask again in a moment";
                let mut problem = Problem::new(Code::IdempotencyKeyInUse, detail);
                problem.retry_after = Some(HeaderValue::from_static("1"));
                KnownKey::Refused(Box::new(problem))
            }
            KeyState::Done(result) => KnownKey::Done(result.clone()),
            KeyState::Lost => {
                let detail = "the request with this Idempotency-Key has run, wholly or in part, and its results are not \
                              kept: look at what it has changed before you send it with a new key";
                refused(Code::IdempotencyResultLost, detail)
            }
        }
    }
}

impl KeyTable {
    /// Forgets the keys whose lifetime has ended. A key whose request is still running gets a new lifetime. A call
    /// checks the keys that it forgets or renews and at most one more key.
    fn forget(&mut self, settings: IdempotencySettings, now: Instant) {
        for _ in 0..self.by_age.len() {
            let Some(name) = self.by_age.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            if now.saturating_duration_since(entry.since) < settings.ttl {
                return self.by_age.push_front(name);
            }
            // A request can run longer than the lifetime of its key. A repetition must still find the key then, so the
            // key gets a new lifetime. Test: `an_idempotency_key_expires_unless_its_request_is_running`.
            if matches!(entry.state, KeyState::UnderWay) {
                entry.since = now;
                self.by_age.push_back(name);
            } else if let Some(forgotten) = self.entries.remove(&name) {
                self.owners.remove(forgotten.owner);
                if let KeyState::Done(result) = forgotten.state {
                    self.bytes -= result.len();
                }
            }
        }
    }

    /// Ends a claim, and keeps `result` if there is one. Drops the oldest results until the new one fits. A result that
    /// is larger than the bound for all results isn't kept.
    fn end(&mut self, name: &KeyName, result: Option<Bytes>, settings: IdempotencySettings) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(result) = result.filter(|result| result.len() <= settings.size) else {
            entry.state = KeyState::Lost;
            return;
        };
        self.bytes += result.len();
        entry.state = KeyState::Done(result);
        for older in &self.by_age {
            if self.bytes <= settings.size {
                break;
            }
            // The new result stays, even if its key is the oldest. Test: `the_oldest_results_make_room`.
            let Some(entry) = self.entries.get_mut(older).filter(|_| older != name) else { continue };
            if let KeyState::Done(result) = &entry.state {
                self.bytes -= result.len();
                entry.state = KeyState::Lost;
            }
        }
    }
}

impl KeyClaim {
    /// Ends the claim, and keeps the result for repetitions of the request.
    pub(super) fn finish(mut self, result: Bytes) {
        self.result = Some(result);
    }
}

impl Drop for KeyClaim {
    fn drop(&mut self) {
        self.keys.table().end(&self.name, self.result.take(), self.settings);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use cursorgate_gateway::runtime::clock;

    const SETTINGS: IdempotencySettings = IdempotencySettings { ttl: Duration::from_secs(60), entries: 2, size: 10 };

    /// Returns a client that has only the key with this name.
    fn owner(name: u8) -> Owner {
        Owner { client: [name; 32], network: None }
    }

    #[test]
    fn one_client_does_not_use_up_all_keys() {
        let settings = IdempotencySettings { entries: 100, ..SETTINGS };
        let (keys, now) = (Arc::<IdempotencyKeys>::default(), clock::instant());
        let taken = |clients: std::ops::Range<u8>, network: u8| {
            let claim = |key: u8, client: u8| {
                let owner = Owner { client: [client; 32], network: Some([network; 32]) };
                let name = [key, client, network].repeat(11)[..32].try_into().unwrap();
                matches!(keys.claim((name, owner), b"{}", settings, now), KnownKey::New(_))
            };
            clients.map(|client| (0..20).filter(|&key| claim(key, client)).count()).sum::<usize>()
        };
        assert_eq!(taken(0..1, 200), 10, "a tenth for one client");
        assert_eq!(taken(1..50, 200), 40, "half for one address, whatever names its client has");
        assert_eq!(taken(50..52, 201), 20, "the others are served");
    }

    fn claim(keys: &Arc<IdempotencyKeys>, name: u8, now: Instant) -> Result<KeyClaim, String> {
        match keys.claim(([name; 32], owner(name)), b"{}", SETTINGS, now) {
            KnownKey::New(claim) => Ok(claim),
            KnownKey::Done(result) => Err(String::from_utf8_lossy(&result).into_owned()),
            KnownKey::Refused(problem) => Err(problem.code.as_str().to_owned()),
        }
    }

    #[test]
    fn an_idempotency_key_expires_unless_its_request_is_running() {
        let (keys, start) = (Arc::new(IdempotencyKeys::default()), clock::instant());
        let at = |seconds| start + Duration::from_secs(seconds);
        let running = claim(&keys, 1, at(0)).unwrap();
        claim(&keys, 2, at(1)).unwrap().finish("result".into());
        assert_eq!(claim(&keys, 2, at(60)).unwrap_err(), "result");
        assert_eq!(claim(&keys, 3, at(60)).unwrap_err(), "overloaded");
        claim(&keys, 3, at(61)).unwrap().finish("third".into());
        assert_eq!(claim(&keys, 1, at(100)).unwrap_err(), "idempotency_key_in_use");
        drop(running);
        assert_eq!(claim(&keys, 1, at(101)).unwrap_err(), "idempotency_result_lost", "it did not come to its end");
        drop(claim(&keys, 4, at(200)).unwrap());
        let table = keys.table();
        assert_eq!((table.entries.len(), table.by_age.len(), table.bytes), (1, 1, 0));
    }

    #[test]
    fn the_oldest_results_make_room() {
        let (keys, now) = (Arc::new(IdempotencyKeys::default()), clock::instant());
        claim(&keys, 1, now).unwrap().finish("123456".into());
        claim(&keys, 2, now).unwrap().finish("12345".into());
        assert_eq!(keys.table().bytes, 5);
        assert_eq!(claim(&keys, 1, now).unwrap_err(), "idempotency_result_lost");
        assert_eq!(claim(&keys, 2, now).unwrap_err(), "12345");
    }
}
