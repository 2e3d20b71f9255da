//! The frame of a cursor: which version, which key, the context, and the tag around all of it.
//!
//! ```text
//! cursor = base64url(version key fingerprint payload tag)        RFC 4648, section 5, without padding
//! ```
//!
//! The version is one byte, so that other forms can follow; the key's id is a varint. The tag is HMAC-SHA-256 over
//! everything before it, cut to 128 bits. The algorithm follows from the version: nothing in a cursor chooses it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    codec::{Reader, write_varint},
    context::Fingerprint,
    keyring::{Key, TAG},
};

/// The version of signed cursors.
pub(super) const SIGNED: u8 = 1;

/// The cursor would be longer than the route accepts. It is not minted, as it would be refused when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor would have {length} characters, and {longest} are allowed")]
pub struct TooLong {
    /// The characters that it would have.
    pub length: usize,
    /// The characters that are allowed.
    pub longest: usize,
}

/// Signs a payload and frames it.
pub(super) fn mint(
    key: &Key,
    fingerprint: &Fingerprint,
    longest: usize,
    write_payload: impl FnOnce(&mut Vec<u8>),
) -> Result<String, TooLong> {
    let mut bytes = Vec::with_capacity(128);
    bytes.push(SIGNED);
    write_varint(&mut bytes, u64::from(key.id));
    fingerprint.write(&mut bytes);
    write_payload(&mut bytes);
    let length = ((bytes.len() + TAG) * 4).div_ceil(3);
    if length > longest {
        return Err(TooLong { length, longest });
    }
    let tag = key.sign(&bytes);
    bytes.extend_from_slice(&tag);
    Ok(BASE64_URL_SAFE_NO_PAD.encode(&bytes))
}

/// The bytes of a cursor's text: strict base64url, so that one cursor has one text. Padding, blanks, characters of
/// other alphabets and bits that say nothing are refused.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// A framed cursor, not verified.
pub(super) struct Token<'a> {
    /// The id of the key that is said to have signed it.
    pub(super) key: u32,
    signed: &'a [u8],
    tag: &'a [u8; TAG],
    fingerprint: &'a [u8; Fingerprint::SIZE],
    payload: &'a [u8],
}

/// What a verified cursor holds.
pub(super) struct Verified<'a> {
    /// The context that it was made in.
    pub(super) fingerprint: Fingerprint,
    /// What it says, for [`Head::read`](super::codec::Head::read).
    pub(super) payload: &'a [u8],
}

impl<'a> Token<'a> {
    /// Finds the parts of a frame; `None` where it is none, or one of another version.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (signed, tag) = bytes.split_last_chunk()?;
        let mut rest = Reader(signed);
        if rest.byte()? != SIGNED {
            return None;
        }
        let key = u32::try_from(rest.varint()?).ok()?;
        let (fingerprint, payload) = rest.0.split_first_chunk()?;
        Some(Self { key, signed, tag, fingerprint, payload })
    }

    /// Checks the tag, in constant time. There is no other way to what the cursor holds.
    pub(super) fn verify(&self, key: &Key) -> Option<Verified<'a>> {
        key.verify(self.signed, self.tag)
            .then(|| Verified { fingerprint: Fingerprint::from_bytes(self.fingerprint), payload: self.payload })
    }
}
