//! The operations of requests, and of the board, on values in the store.
//!
//! A name is a keyed hash, and a value is sealed for its name (`cursor::stored`) together with its time of expiry. So
//! the operator of the store can't read a value or move it to another name. A store that keeps values for too long, or
//! returns older values, can't extend their time.

pub mod pages;
mod rate;
mod turns;

use std::{sync::Arc, time::Duration};

use redis::Value;

use super::{
    counts::{Answered, StoreCounts, Written},
    link::StoreLink,
};
use crate::{
    runtime::clock,
    tls::{self, Credentials},
};
use cursorgate_config::{Diagnostics, settings::StoreSettings};
use cursorgate_cursor::cursor::KeyRing;

/// The largest size of a value before it is sealed, in bytes. Larger values aren't stored.
pub const VALUE: usize = 1 << 20;

/// The length of the time of expiry before each sealed value, in bytes.
const UNTIL: usize = 8;

/// The largest number of bytes that sealing adds to a value.
const SEAL: usize = 64;

/// The kind of a value. Values of different kinds have different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredKind {
    /// The keys and the hint of an item (`shared::pivots`).
    Pivot,
    /// A page, or the request headers by which pages differ (`shared::pages::form`).
    Page,
    /// The version of a watched list that the process with the turn has read.
    Watch,
}

impl StoredKind {
    /// Returns the word for the kind in names, with the version of the form of its values: a new form needs a new word.
    const fn word(self) -> &'static str {
        match self {
            Self::Pivot => "pivot1",
            Self::Page => "page1",
            Self::Watch => "watch1",
        }
    }
}

/// A value from the store that was sealed for its name and hasn't expired.
#[derive(Debug)]
pub struct StoredValue {
    pub bytes: Vec<u8>,
    /// The time until the value expires.
    pub left: Duration,
}

/// The shared store, with the keys of a snapshot.
#[derive(Debug)]
pub struct SharedStore {
    pub link: Arc<StoreLink>,
    /// The keys by which names are made and values sealed. They are the keys of cursors.
    pub(super) keys: Arc<KeyRing>,
    /// The beginning of all names.
    pub(super) prefix: String,
}

impl SharedStore {
    /// Compiles the settings. Keeps the link of the previous snapshot if it connects to the same servers in the same
    /// way. Returns `None` if the credentials have faults, which are added to `diagnostics`, or if there are no keys,
    /// which has already been reported.
    pub fn compile(
        settings: &StoreSettings,
        keys: Option<&Arc<KeyRing>>,
        previous: Option<&Self>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let credentials = match &settings.tls {
            Some(tls) => {
                for address in settings.addresses.iter().filter(|_| tls.server_name.is_none()) {
                    let host = address.value.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
                    if host.parse::<std::net::IpAddr>().is_ok() {
                        let help = "add tls.server_name: the name that the certificate of this address has";
                        diagnostics.error(address.at, "an address has no name to compare with its certificate", help);
                    }
                }
                Some(tls::upstream(tls, clock::unix_seconds(), diagnostics)?)
            }
            None => None,
        };
        let kept = previous.map(|previous| &previous.link).filter(|link| link.settings.connects_like(settings));
        let counts = previous.map(|previous| Arc::clone(&previous.link.counts)).unwrap_or_default();
        let link = kept.map_or_else(|| StoreLink::new(settings.clone(), credentials, counts), Arc::clone);
        Some(Self { link, keys: Arc::clone(keys?), prefix: settings.prefix.clone() })
    }

    /// Returns the certificates and keys from the files of `tls`, for their renewal.
    pub fn credentials(&self) -> Option<&dyn Credentials> {
        self.link.tls.as_deref().map(|tls| -> &dyn Credentials { tls })
    }

    /// Returns the counts of questions and writes.
    pub fn counts(&self) -> &StoreCounts {
        &self.link.counts
    }

    /// Returns the value of a kind for the bytes `of`, whose name is made by the key with the number `key`. Returns
    /// `None` if the store doesn't return the value within the time limit, or if the value has expired by `now`, in
    /// seconds since 1970.
    pub async fn get(&self, kind: StoredKind, key: u32, of: &[u8], now: u64) -> Option<StoredValue> {
        self.get_within(self.link.settings.timeout, kind, key, of, now).await
    }

    /// Does the same as [`Self::get`] with the time limit `patience`.
    async fn get_within(
        &self,
        patience: Duration,
        kind: StoredKind,
        key: u32,
        of: &[u8],
        now: u64,
    ) -> Option<StoredValue> {
        // The state is checked first, so no hash is computed while the store is down.
        if !self.link.is_up() {
            self.counts().answer(Answered::Down, Duration::ZERO);
            return None;
        }
        let name = self.keys.stored_name(key, &self.prefix, kind.word(), of)?;
        let mut command = redis::cmd("GET");
        command.arg(&name);
        let began = clock::instant();
        let reply = self.link.ask_within(patience, &name, command, VALUE + SEAL).await;
        let (answered, value) = match reply {
            Ok(Value::Nil) => (Answered::Miss, None),
            Ok(Value::BulkString(sealed)) => match self.open(&name, &sealed, now) {
                Ok(Some(value)) => (Answered::Hit, Some(value)),
                Ok(None) => (Answered::Miss, None),
                // A value that was not sealed for this name is a miss. Test:
                // `a_foreign_value_in_the_store_counts_as_a_miss`.
                Err(Forged) => (Answered::Forged, None),
            },
            // No valid reply to a `GET` has another type, so this reply counts as a refusal. Test:
            // `an_invalid_reply_of_the_store_counts_as_a_miss`.
            Ok(_) => (Answered::Refused, None),
            Err(fault) => (fault.into(), None),
        };
        self.counts().answer(answered, clock::instant().saturating_duration_since(began));
        value
    }

    /// Stores a value of a kind for the bytes `of`, for the time `ttl` from `now` on. Its name is made by the key with
    /// the number `key`. No request waits for the write, and it may be lost. Values of more than [`VALUE`] bytes are
    /// not stored.
    pub fn put(&self, kind: StoredKind, key: u32, of: &[u8], value: &[u8], ttl: Duration, now: u64) {
        if !self.link.is_up() {
            self.counts().write(Written::Dropped);
            return;
        }
        let Some(name) = self.keys.stored_name(key, &self.prefix, kind.word(), of) else { return };
        if value.len() > VALUE {
            return;
        }
        let until = now.saturating_add(ttl.as_secs());
        let Some(sealed) = self.seal(key, &name, value, until) else { return };
        let mut command = redis::cmd("SET");
        // The server refuses a time of 0, so the time is at least one second.
        command.arg(&name).arg(&sealed).arg("EX").arg(ttl.as_secs().max(1));
        self.link.tell(&name, command, sealed.len());
    }

    /// Seals a value for a name, together with `until`, its time of expiry in seconds since 1970.
    pub(super) fn seal(&self, key: u32, name: &str, value: &[u8], until: u64) -> Option<Vec<u8>> {
        let plain = [&until.to_le_bytes(), value].concat();
        self.keys.seal_stored(key, name, &plain)
    }

    /// Opens a value that was sealed for this name; returns `None` if the value has expired by `now`, in seconds since
    /// 1970.
    pub(super) fn open(&self, name: &str, sealed: &[u8], now: u64) -> Result<Option<StoredValue>, Forged> {
        let mut plain = self.keys.open_stored(name, sealed).ok_or(Forged)?;
        let until = plain.first_chunk::<UNTIL>().map(|until| u64::from_le_bytes(*until)).ok_or(Forged)?;
        let Some(left) = until.checked_sub(now).filter(|left| *left > 0) else { return Ok(None) };
        plain.drain(..UNTIL);
        Ok(Some(StoredValue { bytes: plain, left: Duration::from_secs(left) }))
    }
}

/// A value that was not sealed for its name by a key of the ring.
pub(super) struct Forged;
