//! Cursors: positions as tokens that are opaque to clients, signed, and bound to their list.
//!
//! There are two kinds. A *page cursor* is a position with its hint. It is a function of the request and of the
//! upstream's answers, and expires on routes with a lifetime for cursors. An *item cursor* is an item alone. It has the
//! same characters as long as the item's keys stay the same, because clients compare cursors when they splice pages.
//!
//! Text from outside becomes a position only in [`open`], and of a cursor that is not verified only the form and the
//! key id are read. A signature hides nothing: every holder of a signed cursor can read the keys of its item. Routes
//! can seal their cursors, which encrypts them; cursors with a token of the upstream are always sealed.
//!
//! `frame` is the outermost layer, with the tags; `codec` encodes the payload and `sealed` encrypts it; `context`
//! binds a cursor to a list, `expiry` limits its age, and `keyring` has the keys. `inspect` shows a cursor to an
//! operator. `stored` names and seals the values that processes share, by the same keys.
//!
//! Times are arguments and no random number is drawn: equal arguments make equal cursors.

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
    /// The id of the key that made the cursor. Its [`KeyRing::marker`] made the marks in the claims.
    pub key: u32,
    /// The position or item that the cursor names.
    pub claims: Claims,
}

/// The reasons that a cursor can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The cursor is malformed, too long, of an unknown key, without a valid tag, of the other form than the route's,
    /// or from the future. Which of these is not disclosed.
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

/// Makes a page cursor. It is sealed if `sealed` is set or if it contains a token of the upstream, else it is signed.
/// The same target, context and time bucket make the same characters.
///
/// Not all of a hint is carried: see `codec`. Of [`Position::At`](crate::pagination::position::Position::At), the
/// opened cursor's hint has the offset itself, the walk's first total and its honoured size.
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
    // The buckets of each list begin at a time of their own, so that not all lists change their cursors at once.
    // Test: `buckets_of_different_lists_tick_at_different_times`.
    let bucket = expiry.map(|expiry| expiry.bucket(fingerprint.number()));
    let form = form(sealed || codec::is_secret(&target.position));
    frame::mint(key, form, &fingerprint, longest, |out| codec::write_page(out, target, bucket))
}

/// Makes an item cursor, sealed if `sealed` is set, else signed: the item without direction, hint or time.
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
    /// Computes the common parts. The arguments are those of [`seal_item`].
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
        // `push` has made a cursor of the values before the unreadable one, which is removed.
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
    // The length is checked before anything is decoded, so that a long text costs no memory.
    if text.len() > longest {
        return Err(CursorError::Invalid);
    }
    let bytes = frame::decode(text).ok_or(CursorError::Invalid)?;
    let frame = Frame::parse(&bytes).ok_or(CursorError::Invalid)?;
    // A tag is computed even for an unknown key id, so that the time of a refusal does not reveal which ids exist.
    // Test: `a_tag_is_computed_for_unknown_keys_too`.
    let key = keys.find(frame.key);
    let verified = frame.verify(key.unwrap_or_else(|| keys.signing()));
    let (Some(key), Some(verified)) = (key, verified) else { return Err(CursorError::Invalid) };

    // The context comes before form and age, so that a client that moved a cursor to another list learns that.
    // Tests: `the_part_of_the_context_that_differs_is_named`, `page_cursors_expire_and_item_cursors_do_not`.
    let here = context.fingerprint(key);
    if verified.fingerprint != here {
        return Err(CursorError::Mismatch { differs: verified.fingerprint.differs(&here) });
    }
    // A valid tag does not vouch for the payload: the key may have leaked. Test:
    // `hostile_payloads_with_a_good_tag_do_no_harm`.
    let head = PayloadHead::read(&verified.payload).ok_or(CursorError::Invalid)?;
    // An expired cursor of the other form is invalid, not expired. Test: `the_form_comes_before_the_age`.
    if frame.form != form(sealed || head.is_secret()) {
        return Err(CursorError::Invalid);
    }
    if let Some(ttl) = ttl
        && !head.is_item()
    {
        // A cursor without an age was made before the route had a lifetime: its age is unknown.
        match head.bucket.map_or(Age::Expired, |begin| expiry::age(begin, now, ttl)) {
            Age::Live => {}
            Age::Expired => return Err(CursorError::Expired),
            Age::Future => return Err(CursorError::Invalid),
        }
    }
    let claims = head.open().ok_or(CursorError::Invalid)?;
    Ok(Opened { key: key.id, claims })
}

/// Signs arbitrary bytes as a cursor's payload, so that the fuzzer gets past the tag.
#[cfg(fuzzing)]
pub fn sign_anything(keys: &KeyRing, context: &CursorContext, payload: &[u8]) -> Option<String> {
    let key = keys.signing();
    let fingerprint = context.fingerprint(key);
    frame::mint(key, CursorForm::Signed, &fingerprint, usize::MAX, |out| out.extend_from_slice(payload)).ok()
}

fn form(sealed: bool) -> CursorForm {
    if sealed { CursorForm::Sealed } else { CursorForm::Signed }
}
