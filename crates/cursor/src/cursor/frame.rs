//! The frame of a cursor: form, key id, context fingerprint, and the tag over all of it.
//!
//! ```text
//! cursor = base64url(version key fingerprint payload tag)        RFC 4648, section 5, without padding
//! ```
//!
//! The version is one byte, so that other forms can follow; the key id is a varint. The version alone determines the
//! algorithm: no other part of a cursor can choose one. The tag of a signed cursor (version 1) is HMAC-SHA-256 of
//! everything before it, truncated to 128 bits. The payload of a sealed cursor (version 2) is encrypted, and its tag is
//! that of AES-SIV over the payload and everything before it.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    codec::{ByteReader, write_varint},
    context::Fingerprint,
    keyring::{RingKey, TAG},
    sealed::{self, Cipher},
};

/// The protection of a cursor's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorForm {
    /// Signed with HMAC-SHA-256: every holder can read the payload.
    Signed,
    /// Encrypted and authenticated with AES-SIV: only holders of the key can read the payload.
    Sealed,
}

impl CursorForm {
    /// Returns the first byte of cursors of this form.
    const fn version(self) -> u8 {
        match self {
            Self::Signed => 1,
            Self::Sealed => 2,
        }
    }

    fn of_version(version: u8) -> Option<Self> {
        [Self::Signed, Self::Sealed].into_iter().find(|form| form.version() == version)
    }
}

/// The cursor would be longer than the route accepts. It is not made, because it would be refused when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor would have {length} characters, and {longest} are allowed")]
pub struct TooLong {
    /// The length that the cursor would have, in characters.
    pub length: usize,
    /// The maximum length in characters.
    pub longest: usize,
}

/// Returns the cursor of one payload. [`Mint`] makes several more cheaply.
pub(super) fn mint(
    key: &RingKey,
    form: CursorForm,
    fingerprint: &Fingerprint,
    longest: usize,
    write_payload: impl FnOnce(&mut Vec<u8>),
) -> Result<String, TooLong> {
    let mut text = Vec::new();
    Mint::new(key, form, fingerprint, longest).push(&mut text, write_payload)?;
    #[expect(clippy::expect_used, reason = "base64 is ASCII")]
    Ok(String::from_utf8(text).expect("base64 is ASCII"))
}

/// Makes cursors of one form in one context. The common beginning is made once, and no memory is allocated per cursor.
pub(super) struct Mint<'a> {
    key: &'a RingKey,
    /// The cipher, if the cursors are sealed.
    cipher: Option<Cipher>,
    longest: usize,
    /// The common beginning (version, key id and fingerprint), followed by the rest of the last cursor.
    bytes: Vec<u8>,
    /// The length of the common beginning in bytes.
    head: usize,
}

impl<'a> Mint<'a> {
    pub(super) fn new(key: &'a RingKey, form: CursorForm, fingerprint: &Fingerprint, longest: usize) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(form.version());
        write_varint(&mut bytes, u64::from(key.id));
        fingerprint.write(&mut bytes);
        let head = bytes.len();
        let cipher = (form == CursorForm::Sealed).then(|| key.sealer.cipher());
        Self { key, cipher, longest, bytes, head }
    }

    /// Appends the cursor with a payload to `text`; appends nothing if it would be longer than `longest` characters.
    pub(super) fn push(&mut self, text: &mut Vec<u8>, write_payload: impl FnOnce(&mut Vec<u8>)) -> Result<(), TooLong> {
        let Self { key, cipher, longest, bytes, head } = self;
        bytes.truncate(*head);
        write_payload(bytes);
        if cipher.is_some() {
            // The padding hides the lengths of keys. Test: `the_length_of_a_sealed_cursor_reveals_little`.
            sealed::pad(bytes, *head);
        }
        // The length is known before the tag is computed, so that a cursor that is too long costs no cryptography.
        let length = ((bytes.len() + TAG) * 4).div_ceil(3);
        if length > *longest {
            return Err(TooLong { length, longest: *longest });
        }
        let tag = match cipher {
            None => key.sign(bytes),
            Some(cipher) => {
                let (head, payload) = bytes.split_at_mut(*head);
                cipher.seal(head, payload)
            }
        };
        bytes.extend_from_slice(&tag);
        let start = text.len();
        text.resize(start + length, 0);
        #[expect(clippy::expect_used, reason = "the room is exactly as much as the length of the bytes takes")]
        BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut text[start..]).expect("there is room");
        Ok(())
    }
}

/// Decodes the text of a cursor as strict base64url, so that one cursor has one text. Padding, blanks, characters of
/// other alphabets and unused bits are refused.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    // HTTP caches and logs rely on one spelling. Test: `a_cursor_has_one_spelling`.
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// A framed cursor, not verified.
pub(super) struct Frame<'a> {
    /// The id of the key that the cursor claims to be made with.
    pub(super) key: u32,
    /// The form that its version claims.
    pub(super) form: CursorForm,
    /// All bytes before the tag.
    body: &'a [u8],
    tag: &'a [u8; TAG],
    fingerprint: &'a [u8; Fingerprint::SIZE],
    payload: &'a [u8],
}

/// The content of a cursor whose tag is valid.
pub(super) struct Verified<'a> {
    /// The fingerprint of the context for which it was made.
    pub(super) fingerprint: Fingerprint,
    /// The payload, decrypted, for [`PayloadHead::read`](super::codec::PayloadHead::read).
    pub(super) payload: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// Splits the bytes of a frame; returns `None` if they are too few or of an unknown version.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (body, tag) = bytes.split_last_chunk()?;
        let mut rest = ByteReader(body);
        let form = CursorForm::of_version(rest.byte()?)?;
        // A key id with another encoding would give one cursor a second text. Test:
        // `only_known_versions_and_a_minimal_key_id_are_read`.
        let key = rest.number()?;
        let (fingerprint, payload) = rest.0.split_first_chunk()?;
        Some(Self { key, form, body, tag, fingerprint, payload })
    }

    /// Checks the tag in constant time, and decrypts the payload of a sealed cursor. The content of a frame is
    /// accessible in no other way.
    pub(super) fn verify(&self, key: &RingKey) -> Option<Verified<'a>> {
        #[cfg(test)]
        key.verified.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The version is under the tag in both forms, so that one can't be turned into the other.
        // Test: `a_form_is_not_changed_by_its_version`.
        let payload = match self.form {
            CursorForm::Signed if key.verify(self.body, self.tag) => Cow::Borrowed(self.payload),
            CursorForm::Signed => return None,
            CursorForm::Sealed => {
                let head = &self.body[..self.body.len() - self.payload.len()];
                Cow::Owned(key.sealer.open(head, self.payload, self.tag)?)
            }
        };
        Some(Verified { fingerprint: Fingerprint::from_bytes(self.fingerprint), payload })
    }
}
