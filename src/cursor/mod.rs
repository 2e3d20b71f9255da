//! A position as a token: opaque to clients, signed, and bound to the list that it came from.
//!
//! There are two kinds. A *page cursor* is a position with what helps to aim at it; it is a function of the request
//! and the upstream's answers, and expires where its route says so. An *item cursor* is an item and nothing else: the
//! same characters for as long as the item's keys are, because clients splice pages by comparing them.
//!
//! Text that comes from outside becomes a position in [`open`] and nowhere else, and nothing of a cursor is decoded
//! beyond its form and its key's id before it is verified. A signature hides nothing: whoever holds a signed cursor can
//! read the keys of the item in it. On routes that seal their cursors, they are encrypted instead; and so is on any
//! route what an upstream handed out to continue its list by.
//!
//! `frame` is the outermost layer, with what signs or seals; `codec` writes and reads what is inside, `sealed` encrypts
//! it, `context` says what a cursor is bound to, `expiry` how old it is, `keyring` with which keys all of this is done;
//! `inspect` shows a cursor to an operator. Time is an argument, and nothing here is random: equal arguments make equal
//! cursors.

mod codec;
mod context;
mod expiry;
mod frame;
mod inspect;
mod keyring;
mod sealed;

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

/// A cursor, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The id of the key that it was made with, and so that of [`KeyRing::marker`] which made the marks in it.
    pub key: u32,
    /// What it says.
    pub claims: Claims,
}

/// Why a cursor can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is not one of ours, or not whole; or it was made in the future. Nothing says which.
    #[error("the cursor is not valid")]
    Invalid,
    /// It is ours, and too old, or of a time when its route's cursors had no age.
    #[error("the cursor has expired")]
    Expired,
    /// It is ours, of another list.
    #[error("the cursor belongs to another list")]
    Mismatch {
        /// What is not the same, in the sequence of [`ContextPart::ALL`]. One difference in 256 can't be named, so this may
        /// be empty.
        differs: Vec<ContextPart>,
    },
}

/// Makes a page cursor: sealed where the route says so, and wherever the upstream's token is in it. The same target,
/// context and bucket of time make the same characters.
///
/// Of [`Position::At`](crate::pagination::position::Position::At) only the offset and the walk's first total are
/// carried: opened again, the hint is those and nothing else.
///
/// # Errors
///
/// The cursor would be longer than `longest` characters, and so be refused when it comes back.
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

/// Makes an item cursor, sealed where the route says so: the item, without direction, hint or time.
///
/// # Errors
///
/// The cursor would be longer than `longest` characters, and so be refused when it comes back.
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

/// Makes the item cursors of a page, one after the other, each into the caller's buffer: [`seal_item`] without what is the
/// same for all of them.
pub struct ItemMint<'a>(Mint<'a>);

impl<'a> ItemMint<'a> {
    /// Makes none yet; the arguments are those of [`seal_item`].
    #[must_use]
    pub fn new(keys: &'a KeyRing, context: &CursorContext, longest: usize, sealed: bool) -> Self {
        let key = keys.signing();
        Self(Mint::new(key, form(sealed), &context.fingerprint(key), longest))
    }

    /// Appends the cursor of an item. False, and nothing appended, where it would be too long.
    pub fn push(&mut self, item: &Item, out: &mut Vec<u8>) -> bool {
        self.0.push(out, |payload| codec::write_item(payload, item)).is_ok()
    }

    /// Appends the cursor of an item that is known by its keys: `count` strong ones, and its id behind them. False, and
    /// nothing appended, where one of them can't be read, or the cursor would be too long.
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

    /// Appends the cursor of an item that is known by its mark and those before and after it, and believed to stand at an
    /// offset. False, and nothing appended, where it would be too long.
    pub fn push_marked(&mut self, item: Mark, around: (&[Mark], &[Mark]), offset: Offset, out: &mut Vec<u8>) -> bool {
        self.0.push(out, |payload| codec::write_marked(payload, item, around, offset)).is_ok()
    }
}

/// Opens a cursor that a client sent, at `now` (seconds since 1970), on a route whose cursors live for `ttl` seconds and
/// are `sealed` or signed: cursors of the form that is not the route's, and would not be made there, are not valid.
///
/// Its length is looked at first, then its alphabet, version and key; then its tag, its context, its form, its age, and
/// last what it says. A page cursor without an age has expired where the route has a ttl; an age counts for nothing
/// where the route has none. Item cursors have no age.
///
/// # Errors
///
/// [`CursorError::Invalid`] for whatever has no good tag; the others only for what has one.
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
    // A tag is computed also where no key has that id: how long the refusal takes does not tell which ids there are.
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

/// A signed cursor that says whatever these bytes say: for the fuzzer, which else would never get beyond the tag.
#[cfg(fuzzing)]
pub fn sign_anything(keys: &KeyRing, context: &CursorContext, payload: &[u8]) -> Option<String> {
    let key = keys.signing();
    let fingerprint = context.fingerprint(key);
    frame::mint(key, CursorForm::Signed, &fingerprint, usize::MAX, |out| out.extend_from_slice(payload)).ok()
}

fn form(sealed: bool) -> CursorForm {
    if sealed { CursorForm::Sealed } else { CursorForm::Signed }
}
