//! Cursors: positions as texts that are opaque to clients, signed or sealed, and bound to their list.
//!
//! There are two kinds of cursors. A *page cursor* contains a position with its hint. It depends only on the request
//! and the upstream's answers, except that if the route has a lifetime for cursors, it also depends on the time bucket
//! and expires. An *item cursor* contains only an item. In a list with a declared order, its characters stay the same
//! as long as the item's keys do, because clients compare cursors when they splice pages.
//!
//! Only [`open`] turns a client's text into a position. Before the tag of a cursor is verified, only the form and the
//! key id are read. A signature hides nothing: every holder of a signed cursor can read the keys of its item. A route
//! can seal its cursors, which encrypts them. Cursors with a place in an upstream page are always sealed, because they
//! may contain a token of the upstream.
//!
//! `frame` is the outermost layer, with the tags. `codec` encodes the payload, and `sealed` encrypts it. `context`
//! binds a cursor to a list, `expiry` limits its age, and `keyring` contains the keys. `inspect` shows a cursor to an
//! operator. `stored` uses the same keys to name and seal the values that processes share.
//!
//! Times are arguments, and no random numbers are drawn, so equal arguments make equal cursors.

mod codec;
mod context;
mod context_part;
mod expiry;
mod frame;
mod inspect;
mod keyring;
mod sealed;
mod stored;

#[cfg(test)]
mod tests;

pub use codec::Claims;
pub use context::{ContextParts, CursorContext};
pub use context_part::ContextPart;
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
use keyring::TAG;

/// An opened cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The id of the key that made the cursor. [`KeyRing::marker`] of this id made the marks in the claims.
    pub key: u32,
    /// The position or item that the cursor names.
    pub claims: Claims,
}

/// The reason why a cursor can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The cursor is malformed, too long, made with an unknown key, without a valid tag, not in the route's form, or
    /// from the future. The exact reason isn't disclosed.
    #[error("the cursor is not valid")]
    Invalid,
    /// The cursor is too old, or was made before the route had a lifetime for cursors.
    #[error("the cursor has expired")]
    Expired,
    /// The cursor belongs to another list.
    #[error("the cursor belongs to another list")]
    Mismatch {
        /// The parts that differ, in the order of [`ContextPart::ALL`]. The difference of a part goes unnoticed in 1 of
        /// 256 cases, so the list may be incomplete or empty.
        differs: Vec<ContextPart>,
    },
}

/// The reason why a cursor is refused, for operators. Clients don't get it, because it would help to forge cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The text isn't a cursor, or its payload can't be read.
    Malformed,
    /// The ring has no key with the cursor's key id.
    KeyUnknown,
    /// The tag is wrong: the cursor was modified, or another key has the same id elsewhere.
    Signature,
    /// The cursor is from the future: the clocks of two processes differ.
    Future,
    /// The cursor is too old.
    Expired,
    /// The cursor has no time although the route's cursors have a lifetime: it is from before that setting, or from a
    /// process without it.
    Undated,
    /// The cursor is signed, but the route's cursors are sealed, or the reverse.
    Mode,
    /// The cursor belongs to another list.
    Context,
}

impl RefusalReason {
    /// All words, in the order of the variants.
    pub const WORDS: [&'static str; 8] =
        ["malformed", "key_unknown", "signature", "future", "expired", "undated", "mode", "context"];

    /// Returns the word for the reason in metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// A cursor that can't be used: the error that its client gets, and the reason for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCursor {
    /// The error that the client gets.
    pub error: CursorError,
    /// The reason that the operator gets.
    pub reason: RefusalReason,
    /// The key id that the cursor names, unverified; `None` if the text isn't a cursor.
    pub key: Option<u32>,
}

/// Makes a page cursor. The cursor is sealed if `sealed` is true or if its position is a place in an upstream page, and
/// otherwise signed. The same target, context and time bucket make the same characters.
///
/// A cursor doesn't contain all fields of a hint. The mark `ahead` is kept only for a place in an upstream page. For
/// [`Position::At`](crate::pagination::position::Position::At), only the offset itself, the walk's first total, its
/// honoured size and its facts are kept.
///
/// # Errors
///
/// [`TooLong`] if the cursor is longer than `longest` characters, because the route would refuse such a cursor.
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
    // The buckets of different lists begin at different times. Otherwise all lists would change their cursors at once.
    // Test: `buckets_of_different_lists_tick_at_different_times`.
    let bucket = expiry.map(|expiry| expiry.bucket(fingerprint.number()));
    let form = form(sealed || codec::is_secret(&target.position));
    frame::mint(key, form, &fingerprint, longest, |out| codec::write_page(out, target, bucket))
}

/// Makes an item cursor, which contains no direction, hint or time. The cursor is sealed if `sealed` is true, and
/// otherwise signed.
///
/// # Errors
///
/// [`TooLong`] if the cursor is longer than `longest` characters, because the route would refuse such a cursor.
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

/// A maker of the item cursors of a page. It makes the same cursors as [`seal_item`], but computes their common parts
/// only once, and appends the cursors to the caller's buffer.
pub struct ItemMint<'a>(Mint<'a>);

impl<'a> ItemMint<'a> {
    /// Computes the common parts. The arguments are the same as for [`seal_item`].
    #[must_use]
    pub fn new(keys: &'a KeyRing, context: &CursorContext, longest: usize, sealed: bool) -> Self {
        let key = keys.signing();
        Self(Mint::new(key, form(sealed), &context.fingerprint(key), longest))
    }

    /// Appends the cursor of an item to `out`. Returns `false` and appends nothing if the cursor would be too long.
    pub fn push(&mut self, item: &Item, out: &mut Vec<u8>) -> bool {
        self.0.push(out, |payload| codec::write_item(payload, item)).is_ok()
    }

    /// Appends the cursor of an item with keys to `out`. `values` are `count` strong keys, then the id. Returns `false`
    /// and appends nothing if a value is `None`, or if the cursor would be too long.
    pub fn push_keyed<'k>(
        &mut self,
        count: usize,
        values: impl Iterator<Item = Option<KeyRef<'k>>>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let mut readable = false;
        let made = self.0.push(out, |payload| readable = codec::write_keyed(payload, count, values));
        // `push` has made a cursor of the values before the first `None`. That cursor is removed.
        if !readable {
            out.truncate(start);
        }
        readable && made.is_ok()
    }

    /// Appends the cursor of an item with marks to `out`. `before` and `after` are the marks of the items around it,
    /// and `offset` is its estimated offset. Returns `false` and appends nothing if the cursor would be too long.
    pub fn push_marked(
        &mut self,
        item: Mark,
        before: &[Mark],
        after: &[Mark],
        offset: Offset,
        out: &mut Vec<u8>,
    ) -> bool {
        self.0.push(out, |payload| codec::write_marked(payload, item, before, after, offset)).is_ok()
    }
}

/// The cursors that a route accepts. While a setting is rolled out, a route accepts more than it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedCursors {
    /// The lifetime of page cursors in seconds; `None` if ages are ignored.
    pub ttl: Option<u64>,
    /// The largest number of characters.
    pub longest: usize,
    /// `true` if signed cursors are accepted. Places in an upstream page are accepted only sealed.
    pub signed: bool,
    /// `true` if sealed cursors are accepted.
    pub sealed: bool,
    /// `true` if page cursors without a time are accepted although there is a lifetime.
    pub undated: bool,
}

impl AcceptedCursors {
    /// Returns the cursors that a route itself makes.
    #[must_use]
    pub const fn made(ttl: Option<u64>, longest: usize, sealed: bool) -> Self {
        Self { ttl, longest, signed: !sealed, sealed, undated: false }
    }
}

/// Opens a client's cursor at `now` (seconds since 1970). The route's cursors have a lifetime of `ttl` seconds, and are
/// sealed if `sealed` is true. A cursor in a form that the route wouldn't make is invalid.
///
/// The checks are, in this order: length, alphabet, version, key, tag, context, form, age, payload. If the route has a
/// lifetime, a page cursor without a time bucket has expired. If `ttl` is `None`, ages are ignored. Item cursors have
/// no age.
///
/// # Errors
///
/// [`CursorError::Invalid`] for every cursor without a valid tag. The other errors occur only for cursors with a valid
/// tag.
pub fn open(
    keys: &KeyRing,
    context: &CursorContext,
    text: &str,
    now: u64,
    ttl: Option<u64>,
    longest: usize,
    sealed: bool,
) -> Result<Opened, CursorError> {
    let accepted = AcceptedCursors::made(ttl, longest, sealed);
    open_or_tell(keys, context, text, now, accepted).map_err(|refused| refused.error)
}

/// Opens a client's cursor like [`open`], if it is among the accepted ones, and returns the reason of a refusal for the
/// operator.
///
/// # Errors
///
/// Returns the error of [`open`] with its reason.
pub fn open_or_tell(
    keys: &KeyRing,
    context: &CursorContext,
    text: &str,
    now: u64,
    accepted: AcceptedCursors,
) -> Result<Opened, RefusedCursor> {
    let refused = |error, reason, key| RefusedCursor { error, reason, key };
    let malformed = || refused(CursorError::Invalid, RefusalReason::Malformed, None);
    // The length is checked before the text is decoded, so a long text costs no memory.
    if text.len() > accepted.longest {
        return Err(malformed());
    }
    let bytes = frame::decode(text).ok_or_else(malformed)?;
    let frame = Frame::parse(&bytes).ok_or_else(malformed)?;
    let invalid = |reason| refused(CursorError::Invalid, reason, Some(frame.key));
    // A tag is computed even for an unknown key id. Otherwise the time of a refusal would reveal which ids exist. Test:
    // `a_tag_is_computed_for_unknown_keys_too`.
    let key = keys.find(frame.key);
    let verified = frame.verify(key.unwrap_or_else(|| keys.signing()));
    let (key, verified) = match (key, verified) {
        (Some(key), Some(verified)) => (key, verified),
        (Some(_), None) => return Err(invalid(RefusalReason::Signature)),
        (None, _) => return Err(invalid(RefusalReason::KeyUnknown)),
    };

    // The context is checked before form and age. A client that uses a cursor for another list should get exactly that
    // error. Tests: `the_part_of_the_context_that_differs_is_named`, `page_cursors_expire_and_item_cursors_do_not`.
    let here = context.fingerprint(key);
    if verified.fingerprint != here {
        let error = CursorError::Mismatch { differs: verified.fingerprint.differs(&here) };
        return Err(refused(error, RefusalReason::Context, Some(frame.key)));
    }
    // A valid tag doesn't guarantee a valid payload: the key may have leaked. Test:
    // `hostile_payloads_with_a_good_tag_do_no_harm`.
    let head = PayloadHead::read(&verified.payload).ok_or_else(|| invalid(RefusalReason::Malformed))?;
    // An expired cursor of the other form is invalid, not expired. Test:
    // `an_expired_cursor_of_the_other_form_is_invalid`.
    let is_accepted = match frame.form {
        CursorForm::Signed => accepted.signed && !head.is_secret(),
        CursorForm::Sealed => accepted.sealed || head.is_secret(),
    };
    if !is_accepted {
        return Err(invalid(RefusalReason::Mode));
    }
    if let Some(ttl) = accepted.ttl
        && !head.is_item()
    {
        let expired = |reason| refused(CursorError::Expired, reason, Some(frame.key));
        match head.bucket.map(|begin| expiry::age(begin, now, ttl)) {
            Some(Age::Live) => {}
            // A cursor without a time bucket was made without a lifetime, so its age is unknown.
            None if accepted.undated => {}
            None => return Err(expired(RefusalReason::Undated)),
            Some(Age::Expired) => return Err(expired(RefusalReason::Expired)),
            Some(Age::Future) => return Err(invalid(RefusalReason::Future)),
        }
    }
    let claims = head.open().ok_or_else(|| invalid(RefusalReason::Malformed))?;
    Ok(Opened { key: key.id, claims })
}

/// Returns whether a text is a cursor of this gateway: it begins with the mark of cursors, however damaged the rest is,
/// or it has a valid tag. A text of the latter kind is a cursor from before the mark was introduced.
#[must_use]
pub fn is_ours(keys: &KeyRing, text: &str, longest: usize) -> bool {
    text.starts_with(frame::MARK) || is_made_with(keys, text.as_bytes(), longest)
}

/// Returns whether a text has the mark and the frame of a cursor, with any key, or is a cursor that was made with one of
/// these keys before the mark was introduced. A text that is longer than `longest` characters is none.
#[must_use]
pub fn is_framed(keys: &KeyRing, text: &[u8], longest: usize) -> bool {
    let is_marked = text.first().is_some_and(|first| char::from(*first) == frame::MARK);
    if !is_marked {
        return is_made_with(keys, text, longest);
    }
    let text = std::str::from_utf8(text).ok().filter(|text| (SHORTEST..=longest).contains(&text.len()));
    text.and_then(frame::decode).is_some_and(|bytes| Frame::parse(&bytes).is_some())
}

/// The smallest number of characters in a cursor, which has at least a version, a key id, a fingerprint and a tag.
const SHORTEST: usize = (2 + TAG) * 4 / 3;

/// Returns whether a text is a cursor that was made with one of these keys, for any list. A text that is longer than
/// `longest` characters isn't one.
#[must_use]
pub fn is_made_with(keys: &KeyRing, text: &[u8], longest: usize) -> bool {
    // Most texts are shorter, and cost nothing.
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| (SHORTEST..=longest).contains(&text.len())) else {
        return false;
    };
    let Some(bytes) = frame::decode(text) else { return false };
    let Some(frame) = Frame::parse(&bytes) else { return false };
    // The tag is computed for an unknown key too, as by `open_or_tell`.
    let key = keys.find(frame.key);
    frame.verify(key.unwrap_or_else(|| keys.signing())).is_some() && key.is_some()
}

/// Signs arbitrary bytes as a cursor's payload. The fuzzer needs valid tags to reach the code after their check.
#[cfg(fuzzing)]
pub fn sign_anything(keys: &KeyRing, context: &CursorContext, payload: &[u8]) -> Option<String> {
    let key = keys.signing();
    let fingerprint = context.fingerprint(key);
    frame::mint(key, CursorForm::Signed, &fingerprint, usize::MAX, |out| out.extend_from_slice(payload)).ok()
}

fn form(sealed: bool) -> CursorForm {
    if sealed { CursorForm::Sealed } else { CursorForm::Signed }
}
