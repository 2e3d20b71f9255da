//! A cursor as an operator may see it, with the keys at hand.

use std::fmt::{self, Display, Formatter};

use super::{
    codec::{Head, Opened},
    keyring::KeyRing,
    token::{self, Token},
};
use crate::pagination::{
    key::KeyValue,
    position::{Anchor, Position},
};

/// What there is to see of a cursor. Displayed as lines for a terminal, each a word and what it says; texts in them
/// are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// How many characters it has.
    pub length: usize,
    /// What it is.
    pub finding: Finding,
}

/// What a cursor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No cursor: not base64url, too short, or of a version that is not known here.
    Foreign,
    /// It has the frame of a cursor; its signature is not verified. Nothing of it but the key's id was read, and that
    /// may be a lie.
    Unverified {
        /// The id of the key that is said to have signed it.
        key: u32,
        /// Why it is not verified.
        reason: Unverified,
    },
    /// Its signature is good, and what it says can't be read: another version of cursorgate made it.
    Unreadable {
        /// The id of the key that signed it.
        key: u32,
    },
    /// Its signature is good. Whether it has expired, or fits a request, is for the route to say.
    Verified {
        /// The id of the key that signed it.
        key: u32,
        /// The keyed fingerprint of what it is bound to: equal for cursors of one list with one key.
        context: u64,
        /// When the bucket of time began that it was made in, in seconds since 1970.
        issued: Option<u64>,
        /// What it says.
        says: Opened,
    },
}

/// Why a cursor is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No keys are at hand.
    NoKeys,
    /// The key is not among those at hand.
    UnknownKey,
    /// The signature is not that of the key.
    BadSignature,
}

/// Looks at a cursor. Without keys, or without a good signature, nothing of what it says is decoded.
#[must_use]
pub fn inspect(keys: Option<&KeyRing>, text: &str) -> Inspection {
    let bytes = token::decode(text);
    let finding = bytes.as_deref().and_then(Token::parse).map_or(Finding::Foreign, |token| look(keys, &token));
    Inspection { length: text.len(), finding }
}

fn look(keys: Option<&KeyRing>, token: &Token<'_>) -> Finding {
    let unverified = |reason| Finding::Unverified { key: token.key, reason };
    let Some(keys) = keys else {
        return unverified(Unverified::NoKeys);
    };
    let Some(key) = keys.find(token.key) else {
        return unverified(Unverified::UnknownKey);
    };
    let Some(verified) = token.verify(key) else {
        return unverified(Unverified::BadSignature);
    };
    let Some(head) = Head::read(verified.payload) else {
        return Finding::Unreadable { key: key.id };
    };
    let issued = head.bucket;
    let Some(says) = head.open() else {
        return Finding::Unreadable { key: key.id };
    };
    Finding::Verified { key: key.id, context: verified.fingerprint.number(), issued, says }
}

impl Display for Inspection {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        line(formatter, "length", format_args!("{} characters", self.length))?;
        match &self.finding {
            Finding::Foreign => line(formatter, "form", "no cursor of this version of cursorgate"),
            Finding::Unverified { key, reason } => {
                line(formatter, "form", "signed")?;
                line(formatter, "key", key)?;
                line(formatter, "signature", reason)
            }
            Finding::Unreadable { key } => {
                line(formatter, "form", "signed")?;
                line(formatter, "key", key)?;
                line(formatter, "signature", "good, but what it says can't be read: another version made it")
            }
            Finding::Verified { key, context, issued, says } => {
                let form = match says {
                    Opened::Page(_) => "signed page cursor",
                    Opened::Item(_) => "signed item cursor",
                };
                line(formatter, "form", form)?;
                line(formatter, "key", key)?;
                line(formatter, "signature", "good")?;
                line(formatter, "context", format_args!("{context:016x}"))?;
                if let Some(begin) = issued {
                    line(formatter, "issued", format_args!("in the bucket that began at {}", Instant(*begin)))?;
                }
                write_opened(formatter, says)
            }
        }
    }
}

impl Display for Unverified {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoKeys => "not verified, as no keys are at hand; what it says is not shown",
            Self::UnknownKey => "not verified, as this key is not at hand; what it says is not shown",
            Self::BadSignature => "BAD: it was changed, cut, or signed with other keys; what it says is not shown",
        })
    }
}

fn write_opened(formatter: &mut Formatter<'_>, says: &Opened) -> fmt::Result {
    let target = match says {
        Opened::Item(anchor) => return write_anchor(formatter, anchor),
        Opened::Page(target) => target,
    };
    match &target.position {
        Position::Start => line(formatter, "position", "start")?,
        Position::End => line(formatter, "position", "end")?,
        Position::After(anchor) => {
            line(formatter, "position", "after")?;
            write_anchor(formatter, anchor)?;
        }
        Position::Before(anchor) => {
            line(formatter, "position", "before")?;
            write_anchor(formatter, anchor)?;
        }
        Position::At(offset) => return line(formatter, "position", format_args!("at offset {}", offset.0)),
    }
    let hint = target.hint;
    match hint.total {
        Some(total) => {
            line(formatter, "hint", format_args!("offset {}, run {}, total {total}", hint.offset.0, hint.run))
        }
        None => line(formatter, "hint", format_args!("offset {}, run {}", hint.offset.0, hint.run)),
    }
}

fn write_anchor(formatter: &mut Formatter<'_>, anchor: &Anchor) -> fmt::Result {
    for key in &anchor.keys {
        line(formatter, "key value", Value(key))?;
    }
    line(formatter, "id", Value(&anchor.id))
}

fn line(formatter: &mut Formatter<'_>, word: &str, says: impl Display) -> fmt::Result {
    writeln!(formatter, "{word:<10} {says}")
}

/// A key's value, with nothing in it that a terminal would obey.
struct Value<'a>(&'a KeyValue);

impl Display for Value<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            KeyValue::Null => formatter.write_str("null"),
            KeyValue::Boolean(value) => value.fmt(formatter),
            KeyValue::Number(spelling) => spelling.escape_debug().fmt(formatter),
            KeyValue::Text(text) => write!(formatter, "{:?}", String::from_utf8_lossy(text)),
        }
    }
}

/// Seconds since 1970, written as RFC 3339 says where the year has four digits.
struct Instant(u64);

impl Display for Instant {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        const YEAR_10000: u64 = 253_402_300_800;
        if self.0 >= YEAR_10000 {
            return write!(formatter, "{} seconds since 1970", self.0);
        }
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Days are counted from 0000-03-01, so that the day of a leap year comes last in its year, its four years
        // (1,461 days), its century (36,524) and its four centuries (146,097).
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months from March on have 31 and 30 days by turns, 153 in five.
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year_of_era + next;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests;
