//! The keys of cursors: one signs, all verify.
//!
//! No configured key is used as it is. HKDF-SHA-256 (RFC 5869) derives a subkey for each purpose (signing, sealing,
//! fingerprints of contexts, marks of items), so that what one of them gives away says nothing of the others, and their
//! HMAC states are computed once, when the ring is made.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    context::ContextPart,
    sealed::{self, Sealer},
};
use crate::pagination::mark::{Mark, Marker};

/// The fewest bytes of a key.
pub const SHORTEST_KEY: usize = 32;

/// How many bytes a cursor's tag has: so many of the HMAC, or the whole of AES-SIV's.
pub(super) const TAG: usize = 16;

/// What separates these subkeys from whatever else might be derived from the same secret.
const SALT: &[u8] = b"cursorgate cursor";

/// The keys that cursors are signed and verified with. Nothing prints them.
pub struct KeyRing {
    keys: Vec<RingKey>,
    signing: usize,
}

/// Why keys make no ring. Keys are named by their ids, never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// A key is shorter than [`SHORTEST_KEY`].
    #[error("cursor key {id} has {length} bytes, {SHORTEST_KEY} are needed")]
    Short {
        /// The key's id.
        id: u32,
        /// Its length in bytes.
        length: usize,
    },
    /// Two keys have one id.
    #[error("two cursor keys have the id {id}")]
    DuplicateId {
        /// The id.
        id: u32,
    },
    /// Two ids have one key: removing one of them would end nothing.
    #[error("cursor keys {first} and {second} are the same key")]
    DuplicateKey {
        /// The id that comes first.
        first: u32,
        /// The other id.
        second: u32,
    },
    /// There is no key with the id that is to sign.
    #[error("the signing key {id} is not among the cursor keys")]
    NoSigningKey {
        /// The id.
        id: u32,
    },
}

impl KeyRing {
    /// A ring of these keys, of which the one with the id `signing` signs.
    ///
    /// # Errors
    ///
    /// A key shorter than [`SHORTEST_KEY`], an id or a key that comes twice, or no key with the id `signing`.
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

    /// What makes marks with the key of this id: those that its cursors carry can be known again with no other.
    #[must_use]
    pub fn marker(&self, id: u32) -> Option<Marker> {
        self.find(id).map(|key| key.marker.clone())
    }

    /// What makes marks for new cursors: that of the key that signs.
    #[must_use]
    pub fn signing_marker(&self) -> Marker {
        self.signing().marker.clone()
    }

    /// Whether new cursors are made with the key of this id.
    #[must_use]
    pub fn signs_with(&self, id: u32) -> bool {
        self.signing().id == id
    }

    /// A keyed hash of what a client is known by, for whoever counts clients and may not keep their secrets.
    #[must_use]
    pub fn client_mark(&self, known_by: &[u8]) -> u64 {
        let digest = self.signing().client.clone().chain_update(known_by).finalize().into_bytes();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first)
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> &RingKey {
        &self.keys[self.signing]
    }

    /// The key with this id. The ring is small and closed: nothing but a comparison is ever done with an id that a
    /// cursor brings.
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

/// One key, as its subkeys.
pub(super) struct RingKey {
    /// Its id, which its cursors carry.
    pub(super) id: u32,
    /// Tells this key from another one with the same id, as after a reload that replaced it.
    pub(super) identity: [u8; 16],
    /// Seals and opens payloads.
    pub(super) sealer: Sealer,
    sign: Hmac<Sha256>,
    fingerprint: Hmac<Sha256>,
    client: Hmac<Sha256>,
    /// The fingerprints of nothing, by their labels: most parts of most contexts are empty.
    empty: [[u8; 32]; LABELS],
    marker: Marker,
}

/// How many labels have their fingerprint of nothing at hand.
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
            sign: keyed(&subkey(&source, b"sign")),
            fingerprint,
            empty,
            client: keyed(&subkey(&source, b"client")),
            marker: marker(keyed(&subkey(&source, b"mark"))),
        }
    }

    /// The tag of these bytes.
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&self.sign.clone().chain_update(bytes).finalize().into_bytes()[..TAG]);
        tag
    }

    /// Whether this is the tag of these bytes, compared in constant time.
    pub(super) fn verify(&self, bytes: &[u8], tag: &[u8; TAG]) -> bool {
        self.sign.clone().chain_update(bytes).verify_truncated_left(tag).is_ok()
    }

    /// The keyed fingerprint of a label and some bytes.
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

/// Marks are the first bits of an HMAC.
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
    fn keys_that_make_no_ring_are_named() {
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
    fn nothing_of_a_key_is_printed() {
        let ring = KeyRing::new(2, &[(1, b"0123456789abcdef0123456789abcdef"), (2, &[7; SHORTEST_KEY])]).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing { signing: 2, ids: [1, 2], .. }");
    }
}
