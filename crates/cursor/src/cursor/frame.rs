//! The frame of a cursor: the version, the key id, the context fingerprint and the payload, with a tag over all of
//! them.
//!
//! ```text
//! cursor = "~" base64url(version key fingerprint payload tag)        RFC 4648, section 5, without padding
//! ```
//!
//! No base64 has the character `~`, so a cursor of this gateway is told apart from the tokens of other services even if
//! it is damaged. Cursors without it are from before the character was introduced, and stay valid.
//!
//! The version is one byte, and the key id is a varint. Only the version determines the algorithm; no other part of a
//! cursor can choose one. The tag of a signed cursor (version 1) is the HMAC-SHA-256 of all bytes before the tag,
//! truncated to 128 bits. The payload of a sealed cursor (version 2) is encrypted, and the tag is the AES-SIV tag of
//! the payload and all bytes before it.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    codec::{ByteReader, write_varint},
    context::Fingerprint,
    keyring::{RingKey, TAG},
    sealed::{self, Cipher},
};

/// The first character of a cursor. No alphabet of base64 has it, and links don't escape it.
pub(super) const MARK: char = '~';

/// The protection of a cursor's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorForm {
    /// Signed with HMAC-SHA-256: every holder of the cursor can read the payload.
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

/// The error that a cursor would be longer than the route accepts. Such a cursor isn't made, because the route would
/// refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor would have {length} characters, and {longest} are allowed")]
pub struct TooLong {
    /// The length that the cursor would have, in characters.
    pub length: usize,
    /// The largest length that is allowed, in characters.
    pub longest: usize,
}

/// Makes a single cursor. [`Mint`] is cheaper for several cursors.
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

/// A maker of cursors of the same form in the same context. It makes their common beginning once, and allocates no
/// memory per cursor.
pub(super) struct Mint<'a> {
    key: &'a RingKey,
    /// The cipher of sealed cursors; `None` for signed cursors.
    cipher: Option<Cipher>,
    longest: usize,
    /// The common beginning (version, key id and fingerprint), followed by the rest of the last cursor.
    bytes: Vec<u8>,
    /// The length of the common beginning, in bytes.
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

    /// Appends a cursor to `text`, with the payload that `write_payload` appends. Returns an error and appends nothing
    /// if the cursor would be longer than `longest` characters.
    pub(super) fn push(&mut self, text: &mut Vec<u8>, write_payload: impl FnOnce(&mut Vec<u8>)) -> Result<(), TooLong> {
        let Self { key, cipher, longest, bytes, head } = self;
        bytes.truncate(*head);
        write_payload(bytes);
        if cipher.is_some() {
            // The padding hides the lengths of keys. Test: `the_length_of_a_sealed_cursor_reveals_little`.
            sealed::pad(bytes, *head);
        }
        // The length is known before the tag is computed, so a cursor that is too long costs no cryptography.
        let encoded = ((bytes.len() + TAG) * 4).div_ceil(3);
        let length = MARK.len_utf8() + encoded;
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
        text.reserve(length);
        text.push(MARK as u8);
        let start = text.len();
        text.resize(start + encoded, 0);
        #[expect(clippy::expect_used, reason = "the room is exactly as much as the length of the bytes takes")]
        BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut text[start..]).expect("there is room");
        Ok(())
    }
}

/// Decodes the text of a cursor as strict base64url, with or without its mark. Returns `None` for padding, blanks,
/// characters of other alphabets, and unused bits that aren't 0, so each cursor is made with exactly one text.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    // HTTP caches and logs rely on a single spelling. Test: `a_cursor_has_one_spelling`.
    BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(MARK).unwrap_or(text)).ok()
}

/// The parts of a cursor whose tag isn't verified yet.
pub(super) struct Frame<'a> {
    /// The id of the key with which the cursor was made, as the cursor claims.
    pub(super) key: u32,
    /// The form, as the version claims.
    pub(super) form: CursorForm,
    /// All bytes before the tag.
    body: &'a [u8],
    tag: &'a [u8; TAG],
    fingerprint: &'a [u8; Fingerprint::SIZE],
    payload: &'a [u8],
}

/// The content of a cursor whose tag is valid.
pub(super) struct Verified<'a> {
    /// The fingerprint of the context for which the cursor was made.
    pub(super) fingerprint: Fingerprint,
    /// The decrypted payload, which [`PayloadHead::read`](super::codec::PayloadHead::read) decodes.
    pub(super) payload: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// Splits the bytes of a cursor into the parts of its frame. Returns `None` if there are too few bytes, the version
    /// is unknown, or the key id isn't a minimal varint of 32 bits.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (body, tag) = bytes.split_last_chunk()?;
        let mut rest = ByteReader(body);
        let form = CursorForm::of_version(rest.byte()?)?;
        // Another encoding of the key id would give the cursor a second text. Test:
        // `only_known_versions_and_a_minimal_key_id_are_read`.
        let key = rest.number()?;
        let (fingerprint, payload) = rest.0.split_first_chunk()?;
        Some(Self { key, form, body, tag, fingerprint, payload })
    }

    /// Checks the tag in constant time, and decrypts the payload of a sealed cursor. Returns `None` if the tag is
    /// wrong. The content of a frame isn't accessible in any other way.
    pub(super) fn verify(&self, key: &RingKey) -> Option<Verified<'a>> {
        #[cfg(test)]
        key.verified.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // In both forms the tag covers the version, so a cursor can't be turned into the other form. Test:
        // `a_form_is_not_changed_by_its_version`.
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
