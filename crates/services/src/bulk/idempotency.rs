//! Keys with which a client can repeat a request without running its operations twice: the `Idempotency-Key` of
//! draft-ietf-httpapi-idempotency-key-header.
//!
//! With `[services.exports]`, keys are in its store (`stored_keys`). Otherwise they are in the memory of the process, and
//! their number, the bytes of their results and their lifetime are bounded. No key of a request that may have changed
//! something is forgotten before its lifetime ends, because a repetition would then run the operations again. So when the
//! number of keys reaches its bound, a request with a new key is refused. When the results exceed their bound, the oldest
//! results are dropped, but their keys stay.
//!
//! A request that changed nothing, because it only read or each of its operations was refused, doesn't count for these
//! bounds, and its key makes room for a new one. So clients with credentials that no upstream accepts use up no keys,
//! whatever the number of their addresses.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use http::HeaderValue;

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
pub(super) type KeyName = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct IdempotencyKeys {
    table: Mutex<KeyTable>,
}

#[derive(Debug, Default)]
struct KeyTable {
    entries: HashMap<KeyName, KeyEntry>,
    /// The names of all entries by their places, the oldest first.
    by_age: BTreeMap<u64, KeyName>,
    /// The places of the entries whose requests have changed nothing.
    idle: BTreeSet<u64>,
    /// The place of the next entry.
    next: u64,
    /// The number of keys of each client, without those in `idle`.
    owners: OwnerCounts,
    /// The sum of the sizes of all results, in bytes.
    bytes: usize,
}

#[derive(Debug)]
struct KeyEntry {
    /// The SHA-256 of the request's body.
    body: [u8; 32],
    owner: Owner,
    /// The place in [`KeyTable::by_age`].
    place: u64,
    state: KeyState,
    since: Instant,
}

#[derive(Debug)]
pub(super) enum KeyState {
    UnderWay,
    Done(Bytes),
    /// The operations have run at least in part, and their results weren't kept.
    Lost,
}

/// The state of a key when a request arrives with it. `C` is the claim of a new one.
#[derive(Debug)]
pub(super) enum KnownKey<C> {
    /// The request is the first with this key.
    New(C),
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
    result: Option<KeptResult>,
}

/// The result of a request with a key.
#[derive(Debug)]
pub(super) struct KeptResult {
    pub(super) body: Bytes,
    /// Whether the request may have changed something.
    pub(super) may_have_changed: bool,
}

impl<C> KnownKey<C> {
    /// Changes the type of the claim.
    pub(super) fn map<D>(self, change: impl FnOnce(C) -> D) -> KnownKey<D> {
        match self {
            Self::New(claim) => KnownKey::New(change(claim)),
            Self::Done(result) => KnownKey::Done(result),
            Self::Refused(problem) => KnownKey::Refused(problem),
        }
    }
}

impl IdempotencyKeys {
    /// Claims a key for a request whose body has this hash. If the key is known and its request has ended, returns the kept
    /// result. Returns a refusal if the request can't run.
    pub(super) fn claim(
        self: &Arc<Self>,
        name: KeyName,
        owner: Owner,
        body: [u8; 32],
        settings: IdempotencySettings,
        now: Instant,
    ) -> KnownKey<KeyClaim> {
        let mut table = self.table();
        table.forget(settings, now);
        if let Some(entry) = table.entries.get(&name) {
            return repeated(entry.body == body, &entry.state);
        }
        // No other key is forgotten to make room for a new key: if its request were repeated, the operations would run
        // again. Tests: `idempotency_keys_are_bounded_and_never_dropped_early`,
        // `invented_clients_use_up_no_idempotency_keys`.
        if table.entries.len() >= settings.entries {
            table.forget_idle();
        }
        if !table.owners.add(owner, limits(settings)) {
            return KnownKey::Refused(full());
        }
        let place = table.place(name);
        table.entries.insert(name, KeyEntry { body, owner, place, state: KeyState::UnderWay, since: now });
        KnownKey::New(KeyClaim { keys: Arc::clone(self), name, settings, result: None })
    }

    fn table(&self) -> MutexGuard<'_, KeyTable> {
        // No code panics while it holds the lock, so the table is consistent even if the lock is poisoned.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the numbers of keys that there may be. One client leaves the other keys to the others. Test:
/// `one_client_does_not_use_up_all_keys`.
pub(super) fn limits(settings: IdempotencySettings) -> OwnerLimits {
    let share = |part: usize| (settings.entries / part).max(SMALLEST_SHARE);
    OwnerLimits { client: share(CLIENT_PART), network: share(NETWORK_PART), all: settings.entries }
}

/// Returns the problem of a request with a new key if there are as many keys as there may be.
pub(super) fn full() -> Box<Problem> {
    let detail = "the gateway knows as many idempotency keys of this client, or of all, as it may: send the request \
                  without one, or later";
    Box::new(Problem::new(Code::Overloaded, detail))
}

/// Returns the answer to a request whose key is known.
pub(super) fn repeated<C>(has_same_body: bool, state: &KeyState) -> KnownKey<C> {
    let refused = |code, detail: &str| KnownKey::Refused(Box::new(Problem::new(code, detail)));
    match state {
        _ if !has_same_body => {
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

impl KeyTable {
    /// Returns a new place, which is the last one, for an entry.
    fn place(&mut self, name: KeyName) -> u64 {
        self.next += 1;
        self.by_age.insert(self.next, name);
        self.next
    }

    /// Forgets the keys whose lifetime has ended. A key whose request is still running gets a new lifetime.
    fn forget(&mut self, settings: IdempotencySettings, now: Instant) {
        while let Some((&place, &name)) = self.by_age.first_key_value() {
            let Some(entry) = self.entries.get_mut(&name) else { return };
            if now.saturating_duration_since(entry.since) < settings.ttl {
                return;
            }
            // A request can run longer than the lifetime of its key. A repetition must still find the key then, so the
            // key gets a new lifetime. Test: `an_idempotency_key_expires_unless_its_request_is_running`.
            if matches!(entry.state, KeyState::UnderWay) {
                entry.since = now;
                self.by_age.remove(&place);
                let place = self.place(name);
                self.entries.entry(name).and_modify(|entry| entry.place = place);
            } else {
                self.remove(place);
            }
        }
    }

    /// Forgets the oldest key whose request has changed nothing.
    fn forget_idle(&mut self) {
        if let Some(&place) = self.idle.first() {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: u64) {
        let is_idle = self.idle.remove(&place);
        let Some(entry) = self.by_age.remove(&place).and_then(|name| self.entries.remove(&name)) else { return };
        if !is_idle {
            self.owners.remove(entry.owner);
        }
        if let KeyState::Done(result) = entry.state {
            self.bytes -= result.len();
        }
    }

    /// Ends a claim, and keeps `result` if there is one. Drops the oldest results until the new one fits. A result that
    /// is larger than the bound for all results isn't kept.
    fn end(&mut self, name: &KeyName, result: Option<KeptResult>, settings: IdempotencySettings) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        if result.as_ref().is_some_and(|result| !result.may_have_changed) {
            self.owners.remove(entry.owner);
            self.idle.insert(entry.place);
        }
        let Some(result) = result.map(|result| result.body).filter(|result| result.len() <= settings.size) else {
            entry.state = KeyState::Lost;
            return;
        };
        self.bytes += result.len();
        entry.state = KeyState::Done(result);
        for older in self.by_age.values() {
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
    pub(super) fn finish(mut self, result: KeptResult) {
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

    fn written(body: &'static str) -> KeptResult {
        KeptResult { body: body.into(), may_have_changed: true }
    }

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
                matches!(keys.claim(name, owner, [0; 32], settings, now), KnownKey::New(_))
            };
            clients.map(|client| (0..20).filter(|&key| claim(key, client)).count()).sum::<usize>()
        };
        assert_eq!(taken(0..1, 200), 10, "a tenth for one client");
        assert_eq!(taken(1..50, 200), 40, "half for one address, whatever names its client has");
        assert_eq!(taken(50..52, 201), 20, "the others are served");
    }

    fn claim(keys: &Arc<IdempotencyKeys>, name: u8, now: Instant) -> Result<KeyClaim, String> {
        match keys.claim([name; 32], owner(name), [0; 32], SETTINGS, now) {
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
        claim(&keys, 2, at(1)).unwrap().finish(written("result"));
        assert_eq!(claim(&keys, 2, at(60)).unwrap_err(), "result");
        assert_eq!(claim(&keys, 3, at(60)).unwrap_err(), "overloaded");
        claim(&keys, 3, at(61)).unwrap().finish(written("third"));
        assert_eq!(claim(&keys, 1, at(100)).unwrap_err(), "idempotency_key_in_use");
        drop(running);
        assert_eq!(claim(&keys, 1, at(101)).unwrap_err(), "idempotency_result_lost", "it did not come to its end");
        drop(claim(&keys, 4, at(200)).unwrap());
        let table = keys.table();
        assert_eq!((table.entries.len(), table.by_age.len(), table.bytes), (1, 1, 0));
    }

    #[test]
    fn keys_of_requests_that_changed_nothing_make_room() {
        let (keys, now) = (Arc::<IdempotencyKeys>::default(), clock::instant());
        let read =
            |name| claim(&keys, name, now).unwrap().finish(KeptResult { body: "".into(), may_have_changed: false });
        read(1);
        read(2);
        assert_eq!(claim(&keys, 1, now).unwrap_err(), "", "it is kept while there is room");
        claim(&keys, 3, now).unwrap().finish(written("3"));
        let running = claim(&keys, 4, now).unwrap();
        assert_eq!(claim(&keys, 5, now).unwrap_err(), "overloaded", "these two may have changed something");
        running.finish(KeptResult { body: "4".into(), may_have_changed: false });
        read(1);
        assert_eq!(claim(&keys, 3, now).unwrap_err(), "3");
        let table = keys.table();
        assert_eq!((table.entries.len(), table.by_age.len(), table.idle.len(), table.bytes), (2, 2, 1, 1));
    }

    #[test]
    fn the_oldest_results_make_room() {
        let (keys, now) = (Arc::new(IdempotencyKeys::default()), clock::instant());
        claim(&keys, 1, now).unwrap().finish(written("123456"));
        claim(&keys, 2, now).unwrap().finish(written("12345"));
        assert_eq!(keys.table().bytes, 5);
        assert_eq!(claim(&keys, 1, now).unwrap_err(), "idempotency_result_lost");
        assert_eq!(claim(&keys, 2, now).unwrap_err(), "12345");
    }
}
