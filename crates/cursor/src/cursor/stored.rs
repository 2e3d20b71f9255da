//! Values in a shared store: their names are keyed hashes, and the values are sealed.
//!
//! ```text
//! name  = prefix ":" version ":" kind ":" base64url(hash)
//! value = key tag ciphertext        the key's id, 4 bytes, little-endian; AES-SIV binds the value to the name
//! ```
//!
//! Without the key, a name reveals nothing about its value. A value is bound to its whole name, including the version,
//! so it can't be opened under another name. A value contains the id of its key, so every process with that key can
//! open it, even if another key signs there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    keyring::{KeyRing, TAG},
    sealed,
};

/// The version of the format of names and sealed values. Processes with different versions don't find each other's
/// values.
const VERSION: u8 = 1;

/// The size of the keyed hash in a name, in bytes.
const HASH: usize = 24;

/// The size of the key's id at the beginning of a sealed value, in bytes.
const NUMBER: usize = 4;

impl KeyRing {
    /// Returns the number (the id) of the key that signs new cursors.
    #[must_use]
    pub fn signing_number(&self) -> u32 {
        self.signing().id
    }

    /// Returns the numbers of all keys of the ring.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.all().iter().map(|key| key.id)
    }

    /// Returns the name of a value under the key with this number: `PREFIX:VERSION:KIND:HASH`. The hash is of `kind`
    /// and `value`. Returns `None` if the ring doesn't have the key.
    #[must_use]
    pub fn stored_name(&self, number: u32, prefix: &str, kind: &str, value: &[u8]) -> Option<String> {
        let digest = self.find(number)?.name_hash(&[kind.as_bytes(), value]);
        Some(format!("{prefix}:{VERSION}:{kind}:{}", URL_SAFE_NO_PAD.encode(&digest[..HASH])))
    }

    /// Returns the index, below `places`, of a value in a table that processes share. The index depends on the key with
    /// this number. Returns `None` if the ring doesn't have the key.
    #[must_use]
    pub fn stored_place(&self, number: u32, kind: &str, value: &[u8], places: u16) -> Option<u16> {
        let digest = self.find(number)?.name_hash(&[kind.as_bytes(), value]);
        // Only the last 8 bytes of the hash decide, because a name shows the first 24 bytes.
        let hash = u64::from_le_bytes(*digest.last_chunk()?);
        u16::try_from(hash % u64::from(places.max(1))).ok()
    }

    /// Seals a value for its name under the key with this number. Returns `None` if the ring doesn't have the key.
    #[must_use]
    pub fn seal_stored(&self, number: u32, name: &str, value: &[u8]) -> Option<Vec<u8>> {
        let key = self.find(number)?;
        let mut sealed = Vec::with_capacity(NUMBER + TAG + value.len() + TAG);
        sealed.extend_from_slice(&number.to_le_bytes());
        sealed.extend_from_slice(&[0; TAG]);
        let start = sealed.len();
        sealed.extend_from_slice(value);
        // The padding gives values of similar lengths the same length. Test:
        // `stored_names_and_values_reveal_no_content`.
        sealed::pad(&mut sealed, start);
        let tag = key.store.cipher().seal(name.as_bytes(), &mut sealed[start..]);
        sealed[NUMBER..start].copy_from_slice(&tag);
        Some(sealed)
    }

    /// Opens a sealed value. Returns `None` if the ring doesn't have the value's key, or if the value wasn't sealed for
    /// this name.
    #[must_use]
    pub fn open_stored(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (number, rest) = sealed.split_first_chunk::<NUMBER>()?;
        let (tag, payload) = rest.split_first_chunk::<TAG>()?;
        self.find(u32::from_le_bytes(*number))?.store.open(name.as_bytes(), payload, tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(signing: u32, keys: &[(u32, u8)]) -> KeyRing {
        let keys: Vec<(u32, [u8; 32])> = keys.iter().map(|(number, byte)| (*number, [*byte; 32])).collect();
        let keys: Vec<(u32, &[u8])> = keys.iter().map(|(number, key)| (*number, &key[..])).collect();
        KeyRing::new(signing, &keys).unwrap()
    }

    /// Row: A24
    #[test]
    fn a_stored_value_opens_only_under_its_own_name() {
        let ring = ring(1, &[(1, 1)]);
        let name = |kind, value: &[u8]| ring.stored_name(1, "shop", kind, value).unwrap();
        let (one, other) = (name("pivot", b"one"), name("pivot", b"other"));
        let sealed = ring.seal_stored(1, &one, b"a value").unwrap();
        assert_eq!(ring.open_stored(&one, &sealed).as_deref(), Some(&b"a value"[..]));
        assert_eq!(ring.open_stored(&other, &sealed), None, "another value's name");
        for name in [one.replacen(":1:", ":2:", 1), one.replacen("pivot", "page", 1), one.replacen("shop", "test", 1)] {
            assert_eq!(ring.open_stored(&name, &sealed), None, "{name}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ring.open_stored(&one, &changed), None, "byte {at}");
            assert_eq!(ring.open_stored(&one, &sealed[..at]), None, "{at} bytes of it");
        }
    }

    #[test]
    fn every_process_with_the_key_opens_a_value() {
        let (before, during, after) = (ring(1, &[(1, 1)]), ring(2, &[(1, 1), (2, 2)]), ring(2, &[(2, 2)]));
        let name = before.stored_name(1, "p", "pivot", b"x").unwrap();
        assert_eq!(during.stored_name(1, "p", "pivot", b"x").as_ref(), Some(&name));
        assert_ne!(during.stored_name(2, "p", "pivot", b"x").as_ref(), Some(&name));
        let sealed = before.seal_stored(1, &name, b"7").unwrap();
        assert_eq!(during.open_stored(&name, &sealed).as_deref(), Some(&b"7"[..]));
        assert_eq!(after.open_stored(&name, &sealed), None, "the key is gone");
        assert_eq!((after.stored_name(1, "p", "pivot", b"x"), after.seal_stored(1, &name, b"7")), (None, None));
        assert_eq!(ring(1, &[(1, 9)]).open_stored(&name, &sealed), None, "another key with its number");
    }

    #[test]
    fn places_are_spread_and_follow_from_the_key() {
        let (one, other) = (ring(1, &[(1, 1)]), ring(1, &[(1, 9)]));
        let places = |ring: &KeyRing| -> Vec<u16> {
            (0..1_000_u16).filter_map(|value| ring.stored_place(1, "purge", &value.to_le_bytes(), 8_192)).collect()
        };
        let own = places(&one);
        assert_eq!((own.len(), &own), (1_000, &places(&one)));
        assert_ne!(own, places(&other));
        let distinct: std::collections::BTreeSet<&u16> = own.iter().collect();
        assert!(distinct.len() > 900 && own.iter().all(|place| *place < 8_192), "{}", distinct.len());
        assert_eq!(one.stored_place(2, "purge", b"", 8_192), None, "the key is unknown");
    }

    /// Row: A24
    #[test]
    fn stored_names_and_values_reveal_no_content() {
        let ring = ring(1, &[(1, 1)]);
        let name = ring.stored_name(1, "p", "pivot", b"Bearer canary").unwrap();
        let sealed = ring.seal_stored(1, &name, b"canary").unwrap();
        assert!(!name.contains("canary") && !sealed.windows(6).any(|part| part == b"canary"));
        assert_ne!(ring.stored_name(1, "p", "ab", b"c"), ring.stored_name(1, "p", "a", b"bc"));
        let lengths: Vec<usize> =
            (0..16).map(|length| ring.seal_stored(1, &name, &vec![0; length]).unwrap().len()).collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    }
}
