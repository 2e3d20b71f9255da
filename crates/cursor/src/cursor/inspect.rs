//! The inspection of cursors by operators, for commands of `cursorgate`. It shows the form, the key and, if the tag is
//! valid, the content. The context and the age aren't checked, because both depend on a route.

use std::fmt::{self, Display, Formatter};

use super::{
    codec::{Claims, PayloadHead},
    frame::{self, CursorForm, Frame},
    keyring::KeyRing,
};
use crate::pagination::{
    fetch::Token,
    key::KeyValue,
    mark::Mark,
    position::{Anchor, Hint, Item, Marks, Pivot, PlaceInPage, Position, TokenPlace, WalkFacts},
};

/// The result of an inspection. Its `Display` output is for a terminal: a line per fact, with strings escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The length of the text in bytes.
    pub length: usize,
    /// The result of parsing and verification.
    pub finding: Finding,
}

/// The findings about the text of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The text isn't a cursor: it isn't base64url, is too short, or has an unknown version or an invalid key id.
    Foreign,
    /// The text has the frame of a cursor, but its tag isn't verified. Only the form and the key id were read, and both
    /// may be forged.
    Unverified {
        /// The form, as the version claims.
        form: CursorForm,
        /// The id of the key with which the cursor was made, as the cursor claims.
        key: u32,
        /// The reason why the tag isn't verified.
        reason: Unverified,
    },
    /// The tag is valid, but the payload can't be decoded, for example because another version of cursorgate made the
    /// cursor.
    Unreadable {
        /// The form of the cursor.
        form: CursorForm,
        /// The id of the key that made the cursor.
        key: u32,
    },
    /// The tag is valid, and the content was decoded. Only routes check the age and the context.
    Verified {
        /// The form of the cursor.
        form: CursorForm,
        /// The id of the key that made the cursor.
        key: u32,
        /// The keyed fingerprint of the context, which is equal for all cursors of the same list under the same key.
        context: u64,
        /// The start of the time bucket in which the cursor was made, in seconds since 1970; `None` without a lifetime.
        issued: Option<u64>,
        /// The position or item that the cursor names.
        says: Box<Claims>,
    },
}

/// The reason why the tag of a cursor isn't verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// No keys were given to the inspection.
    NoKeys,
    /// The ring has no key with the cursor's key id.
    UnknownKey,
    /// The tag is wrong.
    BadTag,
}

/// Inspects the text of a cursor. The payload is decoded only if `keys` can verify the tag.
#[must_use]
pub fn inspect(keys: Option<&KeyRing>, text: &str) -> Inspection {
    let bytes = frame::decode(text);
    let finding = bytes.as_deref().and_then(Frame::parse).map_or(Finding::Foreign, |frame| look(keys, &frame));
    Inspection { length: text.len(), finding }
}

fn look(keys: Option<&KeyRing>, frame: &Frame<'_>) -> Finding {
    let form = frame.form;
    let unverified = |reason| Finding::Unverified { form, key: frame.key, reason };
    let Some(keys) = keys else {
        return unverified(Unverified::NoKeys);
    };
    let Some(key) = keys.find(frame.key) else {
        return unverified(Unverified::UnknownKey);
    };
    // An unverified payload may be forged, so it isn't shown. Test: `the_content_of_an_unverified_cursor_is_not_shown`.
    let Some(verified) = frame.verify(key) else {
        return unverified(Unverified::BadTag);
    };
    // A valid tag doesn't guarantee a payload that can be decoded, so a payload of another format is reported as
    // unreadable. Test: `an_unreadable_payload_with_a_valid_tag_is_reported`.
    let Some(head) = PayloadHead::read(&verified.payload) else {
        return Finding::Unreadable { form, key: key.id };
    };
    let issued = head.bucket;
    let Some(says) = head.open() else {
        return Finding::Unreadable { form, key: key.id };
    };
    Finding::Verified { form, key: key.id, context: verified.fingerprint.number(), issued, says: Box::new(says) }
}

impl Display for Inspection {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        line(out, "length", format_args!("{} characters", self.length))?;
        match &self.finding {
            Finding::Foreign => line(out, "form", "not a cursor of this version of cursorgate"),
            Finding::Unverified { form, key, reason } => {
                line(out, "form", form)?;
                line(out, "key", key)?;
                line(out, form.tag(), reason)
            }
            Finding::Unreadable { form, key } => {
                line(out, "form", form)?;
                line(out, "key", key)?;
                line(out, form.tag(), "good, but the content can't be read: another version made the cursor")
            }
            Finding::Verified { form, key, context, issued, says } => {
                let kind = match **says {
                    Claims::Page(_) => "page cursor",
                    Claims::Item(_) => "item cursor",
                };
                line(out, "form", format_args!("{form} {kind}"))?;
                line(out, "key", key)?;
                line(out, form.tag(), "good")?;
                line(out, "context", format_args!("{context:016x}"))?;
                if let Some(begin) = issued {
                    line(out, "issued", format_args!("in the bucket that began at {}", ShownTime(*begin)))?;
                }
                write_claims(out, says)
            }
        }
    }
}

impl CursorForm {
    /// Returns the word for the tag of a cursor in this form.
    const fn tag(self) -> &'static str {
        match self {
            Self::Signed => "signature",
            Self::Sealed => "seal",
        }
    }
}

impl Display for CursorForm {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Signed => "signed",
            Self::Sealed => "sealed",
        })
    }
}

impl Display for Unverified {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoKeys => "not verified, because no keys are available; the content is not shown",
            Self::UnknownKey => "not verified, because this key is not available; the content is not shown",
            Self::BadTag => "BAD: the cursor was changed, cut, or made with other keys; the content is not shown",
        })
    }
}

fn write_claims(out: &mut Formatter<'_>, says: &Claims) -> fmt::Result {
    match says {
        Claims::Item(Item::Keyed(anchor)) => write_anchor(out, anchor),
        Claims::Item(Item::Marked(marked)) => {
            line(out, "item", ShownMarks(&[marked.item]))?;
            write_marks(out, &marked.around)?;
            line(out, "hint", format_args!("offset {}", marked.offset.0))
        }
        Claims::Page(target) => {
            write_position(out, &target.position)?;
            write_hint(out, &target.position, &target.hint)
        }
    }
}

fn write_position(out: &mut Formatter<'_>, position: &Position) -> fmt::Result {
    match position {
        Position::Start => line(out, "position", "start"),
        Position::End => line(out, "position", "end"),
        Position::At(offset) => line(out, "position", format_args!("at offset {}", offset.0)),
        Position::After(anchor) => line(out, "position", "after").and_then(|()| write_anchor(out, anchor)),
        Position::Before(anchor) => line(out, "position", "before").and_then(|()| write_anchor(out, anchor)),
        Position::AfterPivot(pivot) => write_pivot(out, "after", pivot),
        Position::BeforePivot(pivot) => write_pivot(out, "before", pivot),
        Position::AfterMarks(marks) => {
            line(out, "position", "among marks, reading forward").and_then(|()| write_marks(out, marks))
        }
        Position::BeforeMarks(marks) => {
            line(out, "position", "among marks, reading backward").and_then(|()| write_marks(out, marks))
        }
        Position::Token(place) => write_token_place(out, place),
    }
}

fn write_pivot(out: &mut Formatter<'_>, side: &str, pivot: &Pivot) -> fmt::Result {
    line(out, "position", format_args!("{side} the item with this id, whose keys are looked up"))?;
    line(out, "id", ShownValue(&pivot.id))?;
    match pivot.fingerprint {
        Some(mark) => line(out, "keys", format_args!("those with the fingerprint {}", ShownMarks(&[mark]))),
        None => line(out, "keys", "whatever they are now"),
    }
}

/// Writes a place in an upstream page, but not the upstream's token: the token may contain credentials, and operators
/// may pass the output on.
fn write_token_place(out: &mut Formatter<'_>, place: &TokenPlace) -> fmt::Result {
    let way = |backward| if backward { "backward" } else { "forward" };
    line(out, "position", format_args!("in a page of the upstream, reading {}", way(place.backward)))?;
    match &place.token {
        Some(Token(text)) => {
            let (length, way) = (text.len(), way(place.token_backward));
            line(out, "token", format_args!("{length} bytes, not shown, which lead {way}"))?;
        }
        None => line(out, "token", "none: the first page")?,
    }
    match &place.within {
        PlaceInPage::Whole => line(out, "within", "the whole page")?,
        PlaceInPage::Keys(anchor) => {
            line(out, "within", "beyond this item")?;
            write_anchor(out, anchor)?;
        }
        PlaceInPage::Marks(marks) => {
            line(out, "within", "among marks")?;
            write_marks(out, marks)?;
        }
    }
    let circle = place.circle;
    line(out, "circle", format_args!("power {}, steps {}, hash {:x}", circle.power, circle.steps, circle.hash))
}

/// Writes the fields of a hint that are set. The offset of `Position::At` is left out, because it is the position
/// itself.
fn write_hint(out: &mut Formatter<'_>, position: &Position, hint: &Hint) -> fmt::Result {
    let mut says = Vec::new();
    if !matches!(position, Position::At(_)) {
        says.push(format!("offset {}{}", hint.offset.0, if hint.from_end { " from the end" } else { "" }));
        says.push(format!("run {}", hint.run));
    }
    if hint.within != 0 {
        says.push(format!("within {}", hint.within));
    }
    if let Some(total) = hint.total {
        says.push(format!("total {total}"));
    }
    if let Some(first) = hint.first_total {
        says.push(format!("first total {}{}", if first.exact { "" } else { "at least " }, first.value));
    }
    if let Some(ahead) = hint.ahead {
        says.push(format!("ahead {:010x}", ahead.number()));
    }
    if hint.honoured != 0 {
        says.push(format!("honoured size {}", hint.honoured));
    }
    says.extend(walk(&hint.walk));
    if says.is_empty() { Ok(()) } else { line(out, "hint", says.join(", ")) }
}

/// Returns the facts of a walk that are set.
fn walk(facts: &WalkFacts) -> Vec<String> {
    let WalkFacts { passed, grown, most, reach, empty, .. } = *facts;
    let number = |word: &str, number: u64| (number > 0).then(|| format!("{word} {number}"));
    let said = |is_set: bool, word: &str| is_set.then(|| word.to_owned());
    let parts = [
        passed.map(|passed| format!("passed {passed}")),
        number("grown by", grown),
        number("most", u64::from(most)),
        number("reach", reach),
        number("empty answers", u64::from(empty)),
        said(facts.more_said, "more was said"),
        said(facts.more_said_when_short, "more was said beside a short answer"),
        said(facts.counts_beyond_answer, "totals count more than their answer"),
        said(facts.rows_left_out, "rows are left out"),
        facts.first.map(|first| format!("first item {:010x}", first.number())),
    ];
    parts.into_iter().flatten().collect()
}

fn write_anchor(out: &mut Formatter<'_>, anchor: &Anchor) -> fmt::Result {
    for key in &anchor.keys {
        line(out, "key value", ShownValue(key))?;
    }
    line(out, "id", ShownValue(&anchor.id))
}

fn write_marks(out: &mut Formatter<'_>, marks: &Marks) -> fmt::Result {
    line(out, "marks", format_args!("{} | {}", ShownMarks(&marks.before), ShownMarks(&marks.after)))
}

fn line(out: &mut Formatter<'_>, word: &str, says: impl Display) -> fmt::Result {
    writeln!(out, "{word:<10} {says}")
}

/// The display of a key's value. Characters that a terminal would interpret are escaped.
struct ShownValue<'a>(&'a KeyValue);

impl Display for ShownValue<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            KeyValue::Null => out.write_str("null"),
            KeyValue::Boolean(value) => value.fmt(out),
            KeyValue::Number(spelling) => spelling.escape_debug().fmt(out),
            KeyValue::Text(text) => write!(out, "{:?}", String::from_utf8_lossy(text)),
        }
    }
}

struct ShownMarks<'a>(&'a [Mark]);

impl Display for ShownMarks<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("none");
        }
        for (index, mark) in self.0.iter().enumerate() {
            write!(out, "{}{:010x}", if index == 0 { "" } else { " " }, mark.number())?;
        }
        Ok(())
    }
}

/// Seconds since 1970, displayed as a date-time of RFC 3339 up to the year 9999, and as a number after that year.
struct ShownTime(u64);

impl Display for ShownTime {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        const YEAR_10000: u64 = 253_402_300_800;
        if self.0 >= YEAR_10000 {
            return write!(out, "{} seconds since 1970", self.0);
        }
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Days are counted from 0000-03-01. A leap day is then the last day of its year, and of periods of four years
        // (1,461 days), a century (36,524 days) and four centuries (146,097 days).
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // From March on, five months in a row have 153 days: 31, 30, 31, 30 and 31.
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year_of_era + next;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests;
