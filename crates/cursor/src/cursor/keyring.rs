//! The keys of cursors: one key signs new cursors, and all keys verify cursors.
//!
//! Configured keys aren't used directly. HKDF-SHA-256 (RFC 5869) derives a subkey for each purpose: signing, sealing,
//! fingerprints of contexts, marks of items, counts of clients, names and values in a shared store, and the identity of
//! the key. A leaked subkey reveals nothing about the others. The HMAC states of the subkeys are computed once, when
//! the ring is made.

use aes::Aes256;
use aes_siv::siv::Aes256Siv;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{
    context_part::ContextPart,
    sealed::{self, Sealer},
};
use crate::pagination::mark::{Mark, Marker};

/// The smallest allowed length of a key, in bytes. [`KeyRing::new`] refuses shorter keys.
pub const SHORTEST_KEY: usize = 32;

/// The size of a tag, in bytes: a truncated HMAC, or the whole tag of AES-SIV.
pub(super) const TAG: usize = 16;

/// The salt of the key derivation, which separates these subkeys from other uses of the same secret.
const SALT: &[u8] = b"cursorgate cursor";

/// The keys that sign and verify cursors. They are never printed.
pub struct KeyRing {
    keys: Vec<RingKey>,
    signing: usize,
}

/// The reason why a ring can't be made from the given keys. Messages name keys only by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// A key is shorter than [`SHORTEST_KEY`].
    #[error("cursor key {id} has {length} bytes, {SHORTEST_KEY} are needed")]
    Short {
        /// The id of the key.
        id: u32,
        /// The length of the key in bytes.
        length: usize,
    },
    /// Two keys have the same id.
    #[error("two cursor keys have the id {id}")]
    DuplicateId {
        /// The id of both keys.
        id: u32,
    },
    /// Two ids have the same key. Removing one of these ids would revoke nothing.
    #[error("cursor keys {first} and {second} are the same key")]
    DuplicateKey {
        /// The first id with the key.
        first: u32,
        /// The second id with the same key.
        second: u32,
    },
    /// The ring has no key with the id of the signing key.
    #[error("the signing key {id} is not among the cursor keys")]
    NoSigningKey {
        /// The id of the missing signing key.
        id: u32,
    },
}

impl KeyRing {
    /// Creates a ring of keys with their ids. The key with the id `signing` signs new cursors; cursors of all keys can
    /// be opened.
    ///
    /// # Errors
    ///
    /// [`KeyRingError`] for a key shorter than [`SHORTEST_KEY`], a duplicate id or key, or a missing signing key.
    pub fn new(signing: u32, keys: &[(u32, &[u8])]) -> Result<Self, KeyRingError> {
        for (index, &(id, key)) in keys.iter().enumerate() {
            if key.len() < SHORTEST_KEY {
                return Err(KeyRingError::Short { id, length: key.len() });
            }
            for &(earlier, other) in &keys[..index] {
                if earlier == id {
                    return Err(KeyRingError::DuplicateId { id });
                }
                if other == key {
                    return Err(KeyRingError::DuplicateKey { first: earlier, second: id });
                }
            }
        }
        let Some(position) = keys.iter().position(|&(id, _)| id == signing) else {
            return Err(KeyRingError::NoSigningKey { id: signing });
        };
        Ok(Self { keys: keys.iter().map(|&(id, key)| RingKey::derive(id, key)).collect(), signing: position })
    }

    /// Returns the marker of the key with this id; `None` if the ring doesn't have the key. Marks can be recognised
    /// only with the key that made them.
    #[must_use]
    pub fn marker(&self, id: u32) -> Option<Marker> {
        self.find(id).map(|key| key.marker.clone())
    }

    /// Returns the marker of the signing key, for new cursors.
    #[must_use]
    pub fn signing_marker(&self) -> Marker {
        self.signing().marker.clone()
    }

    /// Returns whether the key with this id signs new cursors.
    #[must_use]
    pub fn signs_with(&self, id: u32) -> bool {
        self.signing().id == id
    }

    /// Returns a keyed hash of the bytes by which a client is known. With this hash, clients can be counted without
    /// storing their secrets.
    #[must_use]
    pub fn client_mark(&self, known_by: &[u8]) -> u64 {
        let digest = self.signing().client.clone().chain_update(known_by).finalize().into_bytes();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first)
    }

    pub(super) fn all(&self) -> &[RingKey] {
        &self.keys
    }

    pub(super) fn signing(&self) -> &RingKey {
        &self.keys[self.signing]
    }

    /// Returns the key with this id; `None` if the ring doesn't have it. The id may come from a client: it is only
    /// compared, never used as an index.
    pub(super) fn find(&self, id: u32) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<u32> = self.keys.iter().map(|key| key.id).collect();
        formatter
            .debug_struct("KeyRing")
            .field("signing", &self.signing().id)
            .field("ids", &ids)
            .finish_non_exhaustive()
    }
}

/// A check at compile time that the states of ciphers and MACs are wiped when they are dropped. The crates implement
/// `ZeroizeOnDrop` only with a feature, which a change to the manifest could remove.
const _: () = {
    const fn wiped<T: ZeroizeOnDrop>() {}
    // HMAC and HKDF (which uses HMAC) keep their states as states of SHA-256.
    wiped::<Sha256>();
    // The states of AES-SIV are the key and the round keys of its two halves.
    wiped::<Aes256Siv>();
    wiped::<Aes256>();
};

/// The subkeys of one configured key.
pub(super) struct RingKey {
    /// The id of the key, which its cursors contain.
    pub(super) id: u32,
    /// A derived value that distinguishes the key from another key with the same id, for example after a reload has
    /// replaced the key.
    pub(super) identity: [u8; 16],
    /// The key that seals and opens payloads of cursors.
    pub(super) sealer: Sealer,
    /// The key that seals and opens values in a shared store.
    pub(super) store: Sealer,
    /// The HMAC state that hashes the names of values in a shared store.
    names: Hmac<Sha256>,
    sign: Hmac<Sha256>,
    fingerprint: Hmac<Sha256>,
    client: Hmac<Sha256>,
    /// The fingerprints of an empty part, indexed by label. They are computed once, because many parts of contexts are
    /// empty.
    empty: [[u8; 32]; LABELS],
    marker: Marker,
    /// The number of tags that were checked with this key.
    #[cfg(test)]
    pub(super) verified: std::sync::atomic::AtomicUsize,
}

/// The number of labels with a precomputed fingerprint of the empty part: one label for each part of a context.
const LABELS: usize = ContextPart::ALL.len();

impl RingKey {
    fn derive(id: u32, key: &[u8]) -> Self {
        let source = Hkdf::<Sha256>::new(Some(SALT), key);
        let fingerprint = keyed(&subkey(&source, b"fingerprint"));
        let empty = std::array::from_fn(|label| {
            fingerprint.clone().chain_update([u8::try_from(label).unwrap_or(u8::MAX)]).finalize().into_bytes().into()
        });
        let mut identity = [0; 16];
        identity.copy_from_slice(&subkey::<32>(&source, b"identity")[..16]);
        Self {
            id,
            identity,
            sealer: Sealer::new(subkey::<{ sealed::KEY }>(&source, b"seal")),
            store: Sealer::new(subkey::<{ sealed::KEY }>(&source, b"store seal")),
            names: keyed(&subkey(&source, b"store name")),
            sign: keyed(&subkey(&source, b"sign")),
            fingerprint,
            empty,
            client: keyed(&subkey(&source, b"client")),
            marker: marker(keyed(&subkey(&source, b"mark"))),
            #[cfg(test)]
            verified: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Returns the tag of `bytes`, which is their HMAC, truncated to [`TAG`] bytes.
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&self.sign.clone().chain_update(bytes).finalize().into_bytes()[..TAG]);
        tag
    }

    /// Returns whether `tag` is the tag of `bytes`, and compares in constant time.
    pub(super) fn verify(&self, bytes: &[u8], tag: &[u8; TAG]) -> bool {
        self.sign.clone().chain_update(bytes).verify_truncated_left(tag).is_ok()
    }

    /// Returns the keyed hash of a name in a shared store; `parts` are the parts of the name.
    pub(super) fn name_hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.names.clone();
        // The length precedes each part, so (`ab`, `c`) and (`a`, `bc`) have different names. Test:
        // `stored_names_and_values_reveal_no_content`.
        for part in parts {
            state.update(&(part.len() as u64).to_le_bytes());
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }

    /// Returns the keyed fingerprint of a label, such as the index of a context part, and `bytes`.
    pub(super) fn fingerprint(&self, label: u8, bytes: &[u8]) -> [u8; 32] {
        if let (true, Some(known)) = (bytes.is_empty(), self.empty.get(usize::from(label))) {
            return *known;
        }
        self.fingerprint.clone().chain_update([label]).chain_update(bytes).finalize().into_bytes().into()
    }
}

fn subkey<const LENGTH: usize>(source: &Hkdf<Sha256>, purpose: &[u8]) -> Zeroizing<[u8; LENGTH]> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8,160 bytes")]
    source.expand(purpose, bytes.as_mut_slice()).expect("a subkey is within HKDF's length");
    bytes
}

/// Makes the marker of a key. A mark is an HMAC, truncated to [`Mark::BITS`] bits.
fn marker(state: Hmac<Sha256>) -> Marker {
    Marker::new(move |bytes| {
        let digest = state.clone().chain_update(bytes).finalize().into_bytes();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Mark::of(u64::from_le_bytes(first))
    })
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::KeyRing;
    use super::KeyRingError;
    use super::SHORTEST_KEY;

    #[test]
    fn an_invalid_key_ring_names_the_keys_at_fault() {
        let long = |byte| vec![byte; SHORTEST_KEY];
        let (first, second, short) = (long(1), long(2), vec![3; SHORTEST_KEY - 1]);
        let cases = [
            (1, &[] as &[(u32, &[u8])], KeyRingError::NoSigningKey { id: 1 }),
            (3, &[(1, &first), (2, &second)], KeyRingError::NoSigningKey { id: 3 }),
            (1, &[(1, &first), (7, &short)], KeyRingError::Short { id: 7, length: 31 }),
            (1, &[(1, &[])], KeyRingError::Short { id: 1, length: 0 }),
            (1, &[(1, &first), (1, &second)], KeyRingError::DuplicateId { id: 1 }),
            (1, &[(1, &first), (2, &second), (9, &first)], KeyRingError::DuplicateKey { first: 1, second: 9 }),
        ];
        for (signing, keys, expected) in cases {
            assert_eq!(KeyRing::new(signing, keys).err(), Some(expected), "{keys:?}");
        }
        assert!(KeyRing::new(u32::MAX, &[(0, &first), (u32::MAX, &second)]).is_ok());
    }

    /// Row: A06
    #[test]
    fn each_purpose_has_its_own_subkey() {
        let ring = KeyRing::new(1, &[(1, &[7; SHORTEST_KEY])]).unwrap();
        let key = ring.signing();
        let tag = key.sign(&[0, 1, 2]);
        assert!(key.verify(&[0, 1, 2], &tag));
        assert_ne!(key.fingerprint(0, &[1, 2])[..16], tag);
        assert_ne!(key.fingerprint(0, &[]), key.fingerprint(1, &[]));
    }

    /// Row: A35
    #[test]
    fn the_debug_output_hides_the_cursor_keys() {
        let ring = KeyRing::new(2, &[(1, b"0123456789abcdef0123456789abcdef"), (2, &[7; SHORTEST_KEY])]).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing { signing: 2, ids: [1, 2], .. }");
    }
}
