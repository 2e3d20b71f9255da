//! The encryption of sealed cursors: AES-SIV (RFC 5297, `AEAD_AES_SIV_CMAC_512`).
//!
//! AES-SIV needs no nonce: the tag is a keyed function of the payload and the bytes before it in the cursor, and the
//! tag serves as the nonce of the encryption. Equal payloads in the same context have equal bytes, as intended. Sealed
//! cursors reveal nothing about their payloads but this equality and their length. The payload is padded to whole
//! blocks, so the length reveals little.

use aes_siv::{
    KeyInit, Tag,
    siv::{Aes256Siv, IV_SIZE},
};
use zeroize::Zeroizing;

/// The size of the key, in bytes: one half authenticates, and the other half encrypts.
pub(super) const KEY: usize = 64;

/// The size of a block, in bytes. The length of a padded payload is a multiple of it.
const BLOCK: usize = 16;
/// The first byte of the padding. The other bytes are 0 (ISO/IEC 9797-1, padding method 2).
const PADDING: u8 = 0x80;

/// Pads the bytes from `start` on to whole blocks, with 1 to 16 bytes.
pub(super) fn pad(bytes: &mut Vec<u8>, start: usize) {
    bytes.push(PADDING);
    let length = (bytes.len() - start).next_multiple_of(BLOCK);
    bytes.resize(start + length, 0);
}

/// Removes the padding. Returns `None` if [`pad`] wouldn't append exactly this padding.
fn unpad(mut padded: Vec<u8>) -> Option<Vec<u8>> {
    let end = padded.iter().rposition(|&byte| byte != 0)?;
    // An additional block of padding would give the payload a second encoding. Test: `other_padding_is_refused`.
    if padded[end] != PADDING || padded.len() != (end + 1).next_multiple_of(BLOCK) {
        return None;
    }
    padded.truncate(end);
    Some(padded)
}

/// A key that encrypts and decrypts payloads. Its bytes are wiped when it is dropped.
pub(super) struct Sealer(Zeroizing<[u8; KEY]>);

impl Sealer {
    pub(super) fn new(key: Zeroizing<[u8; KEY]>) -> Self {
        Self(key)
    }

    /// Returns a cipher, whose round keys are then computed and can be used for several payloads.
    pub(super) fn cipher(&self) -> Cipher {
        Cipher(Aes256Siv::new((&*self.0).into()))
    }

    /// Decrypts a payload and removes its padding. Returns `None` if [`Cipher::seal`] didn't make the tag for this
    /// payload and head. The tag is compared in constant time.
    pub(super) fn open(&self, head: &[u8], payload: &[u8], tag: &[u8; IV_SIZE]) -> Option<Vec<u8>> {
        let mut payload = payload.to_vec();
        self.cipher().0.decrypt_inout_detached([head], payload.as_mut_slice().into(), &Tag::from(*tag)).ok()?;
        unpad(payload)
    }
}

/// A cipher with computed round keys.
pub(super) struct Cipher(Aes256Siv);

impl Cipher {
    /// Encrypts a padded payload in place. Returns the tag of the head and the payload.
    pub(super) fn seal(&mut self, head: &[u8], payload: &mut [u8]) -> [u8; IV_SIZE] {
        #[expect(clippy::expect_used, reason = "AES-SIV refuses more than 126 heads, and nothing else")]
        let tag = self.0.encrypt_inout_detached([head], payload.into()).expect("there is one head");
        tag.into()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::KEY;
    use super::Sealer;
    use super::pad;
    use super::unpad;

    #[test]
    fn padding_fills_the_last_block_and_comes_off_again() {
        for start in [0, 7, 16] {
            for length in 0..50 {
                let mut bytes = vec![0xaa; start];
                // A payload may itself end with zeros or with the first byte of the padding.
                bytes.extend((0..length).map(|index| if index % 3 == 0 { 0x80 } else { 0 }));
                let payload = bytes[start..].to_vec();
                pad(&mut bytes, start);
                let added = bytes.len() - start - length;
                assert!((1..=16).contains(&added) && (bytes.len() - start).is_multiple_of(16), "{start} {length}");
                assert_eq!(unpad(bytes[start..].to_vec()), Some(payload), "{start} {length}");
            }
        }
    }

    #[test]
    fn other_padding_is_refused() {
        let with = |bytes: &[u8], length| {
            let mut padded = bytes.to_vec();
            padded.resize(length, 0);
            unpad(padded)
        };
        assert_eq!(with(&[7, 0x80], 16), Some(vec![7]));
        assert_eq!(with(&[7, 0x80], 32), None, "a block of nothing but padding");
        assert_eq!(with(&[7, 0x80], 15), None, "no whole block");
        assert_eq!(with(&[7, 0x81], 16), None, "another byte");
        assert_eq!(with(&[], 16), None, "nothing but zeros");
        assert_eq!(with(&[], 0), None, "nothing at all");
    }

    #[test]
    fn a_sealed_cursor_does_not_open_with_another_head() {
        let sealer = Sealer::new(Zeroizing::new([7; KEY]));
        let mut payload = Vec::from(*b"payload");
        pad(&mut payload, 0);
        let tag = sealer.cipher().seal(b"head", &mut payload);
        assert_eq!(sealer.open(b"head", &payload, &tag).as_deref(), Some(&b"payload"[..]));
        for head in [&b"heaD"[..], b"hea", b"", b"head\0"] {
            assert_eq!(sealer.open(head, &payload, &tag), None, "{head:?}");
        }
        assert_eq!(Sealer::new(Zeroizing::new([8; KEY])).open(b"head", &payload, &tag), None);
    }
}
