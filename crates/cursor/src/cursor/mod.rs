//! Cursors: positions as tokens that are opaque to clients, signed, and bound to their list.
//!
//! There are two kinds. A *page cursor* is a position with its hint. It is a function of the request and of the
//! upstream's answers, and expires if the route says so. An *item cursor* is an item alone, with the same characters as
//! long as the item's keys stay the same, because clients compare cursors when they splice pages.
//!
//! Text from outside becomes a position only in [`open`], and of a cursor that is not verified only the form and the
//! key id are read. A signature hides nothing: every holder of a signed cursor can read the keys of its item. Routes
//! can seal their cursors, which encrypts them; cursors with a token of the upstream are always sealed.
//!
//! `frame` is the outermost layer, with signatures and seals; `codec` encodes the payload, `sealed` encrypts it,
//! `context` binds it to a list, `expiry` has its age, `keyring` the keys; `inspect` shows a cursor to an operator. `stored` names and
//! seals values that processes share, by the same keys.
//! Times are arguments and nothing is random: equal arguments make equal cursors.

mod codec;
mod context;
mod expiry;
mod frame;
mod inspect;
mod keyring;
mod sealed;
mod stored;

#[cfg(test)]
mod tests;

pub use codec::Claims;
pub use context::{ContextPart, ContextParts, CursorContext};
pub use expiry::Expiry;
pub use frame::{CursorForm, TooLong};
pub use inspect::{Finding, Inspection, Unverified, inspect};
pub use keyring::{KeyRing, KeyRingError, SHORTEST_KEY};

use crate::pagination::{
    key::KeyRef,
    mark::Mark,
    position::{Item, Target},
    window::Offset,
};
use codec::PayloadHead;
use expiry::Age;
use frame::{Frame, Mint};

/// An opened cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The id of its key, whose [`KeyRing::marker`] made the marks in it.
    pub key: u32,
    /// The content.
    pub claims: Claims,
}

/// The reasons that a cursor can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The cursor is unknown or incomplete, or was made in the future. The reason is not disclosed.
    #[error("the cursor is not valid")]
    Invalid,
    /// The cursor is too old, or was made when the route's cursors had no age.
    #[error("the cursor has expired")]
    Expired,
    /// The cursor belongs to another list.
    #[error("the cursor belongs to another list")]
    Mismatch {
        /// The parts that differ, in the order of [`ContextPart::ALL`]. A difference goes unnoticed in 1 of 256 cases,
        /// so this may be empty.
        differs: Vec<ContextPart>,
    },
}

/// Makes a page cursor. It is sealed if the route says so or if it contains a token of the upstream. The same target,
/// context and time bucket make the same characters.
///
/// Of [`Position::At`](crate::pagination::position::Position::At) it carries the offset and the walk's first total,
/// which become the hint of the opened cursor.
///
/// # Errors
///
/// Returns an error if the cursor is longer than `longest` characters: it would be refused when it comes back.
pub fn seal(
    keys: &KeyRing,
    context: &CursorContext,
    target: &Target,
    expiry: Option<Expiry>,
    longest: usize,
    sealed: bool,
) -> Result<String, TooLong> {
    let key = keys.signing();
    let fingerprint = context.fingerprint(key);
    let bucket = expiry.map(|expiry| expiry.bucket(fingerprint.number()));
    let form = form(sealed || codec::is_secret(&target.position));
    frame::mint(key, form, &fingerprint, longest, |out| codec::write_page(out, target, bucket))
}

/// Makes an item cursor, sealed if the route says so: the item without direction, hint or time.
///
/// # Errors
///
/// Returns an error if the cursor is longer than `longest` characters: it would be refused when it comes back.
pub fn seal_item(
    keys: &KeyRing,
    context: &CursorContext,
    item: &Item,
    longest: usize,
    sealed: bool,
) -> Result<String, TooLong> {
    let key = keys.signing();
    let fingerprint = context.fingerprint(key);
    frame::mint(key, form(sealed), &fingerprint, longest, |out| codec::write_item(out, item))
}

/// Makes the item cursors of a page into the caller's buffer, like [`seal_item`], with the common parts computed once.
pub struct ItemMint<'a>(Mint<'a>);

impl<'a> ItemMint<'a> {
    /// Creates a mint with the arguments of [`seal_item`].
    #[must_use]
    pub fn new(keys: &'a KeyRing, context: &CursorContext, longest: usize, sealed: bool) -> Self {
        let key = keys.signing();
        Self(Mint::new(key, form(sealed), &context.fingerprint(key), longest))
    }

    /// Appends the cursor of an item. Returns false and appends nothing if it would be too long.
    pub fn push(&mut self, item: &Item, out: &mut Vec<u8>) -> bool {
        self.0.push(out, |payload| codec::write_item(payload, item)).is_ok()
    }

    /// Appends the cursor of an item with keys: `count` strong ones, followed by its id. Returns false and appends
    /// nothing if one of them can't be read or the cursor would be too long.
    pub fn push_keyed<'k>(
        &mut self,
        count: usize,
        values: impl Iterator<Item = Option<KeyRef<'k>>>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let mut readable = false;
        let made = self.0.push(out, |payload| readable = codec::write_keyed(payload, count, values));
        if !readable {
            out.truncate(start);
        }
        readable && made.is_ok()
    }

    /// Appends the cursor of an item with marks: its own, those of its neighbours, and its estimated offset. Returns
    /// false and appends nothing if it would be too long.
    pub fn push_marked(&mut self, item: Mark, around: (&[Mark], &[Mark]), offset: Offset, out: &mut Vec<u8>) -> bool {
        self.0.push(out, |payload| codec::write_marked(payload, item, around, offset)).is_ok()
    }
}

/// Opens a client's cursor at `now` (seconds since 1970) on a route whose cursors live for `ttl` seconds and are
/// `sealed` or signed. A cursor of the form that the route would not make is invalid.
///
/// The checks are, in order: length, alphabet, version, key, tag, context, form, age, payload. If the route has a
/// lifetime, a page cursor without an age has expired; if it has none, ages are ignored. Item cursors have no age.
///
/// # Errors
///
/// Returns [`CursorError::Invalid`] for all cursors without a valid tag, and the other errors only for cursors with
/// one.
pub fn open(
    keys: &KeyRing,
    context: &CursorContext,
    text: &str,
    now: u64,
    ttl: Option<u64>,
    longest: usize,
    sealed: bool,
) -> Result<Opened, CursorError> {
    if text.len() > longest {
        return Err(CursorError::Invalid);
    }
    let bytes = frame::decode(text).ok_or(CursorError::Invalid)?;
    let frame = Frame::parse(&bytes).ok_or(CursorError::Invalid)?;
    // A tag is computed even for an unknown key id, so that the time of a refusal does not reveal which ids exist.
    let key = keys.find(frame.key);
    let verified = frame.verify(key.unwrap_or_else(|| keys.signing()));
    let (Some(key), Some(verified)) = (key, verified) else { return Err(CursorError::Invalid) };

    let here = context.fingerprint(key);
    if verified.fingerprint != here {
        return Err(CursorError::Mismatch { differs: verified.fingerprint.differs(&here) });
    }
    let head = PayloadHead::read(&verified.payload).ok_or(CursorError::Invalid)?;
    if frame.form != form(sealed || head.is_secret()) {
        return Err(CursorError::Invalid);
    }
    if let Some(ttl) = ttl
        && !head.is_item()
    {
        match head.bucket.map_or(Age::Expired, |begin| expiry::age(begin, now, ttl)) {
            Age::Live => {}
            Age::Expired => return Err(CursorError::Expired),
            Age::Future => return Err(CursorError::Invalid),
        }
    }
    let claims = head.open().ok_or(CursorError::Invalid)?;
    Ok(Opened { key: key.id, claims })
}

/// Signs any bytes as a cursor, for the fuzzer, which would otherwise not get past the tag.
#[cfg(fuzzing)]
pub fn sign_anything(keys: &KeyRing, context: &CursorContext, payload: &[u8]) -> Option<String> {
    let key = keys.signing();
    let fingerprint = context.fingerprint(key);
    frame::mint(key, CursorForm::Signed, &fingerprint, usize::MAX, |out| out.extend_from_slice(payload)).ok()
}

fn form(sealed: bool) -> CursorForm {
    if sealed { CursorForm::Sealed } else { CursorForm::Signed }
}
