//! The sort keys of the model. Each key has an ordinal, a number that is shown as JSON in the look of the key's column.
//!
//! Ordinals decide the order, so the model doesn't compare values. Its own comparison could share a fault with the
//! core's. Each look keeps the order of the ordinals under the comparison that its [`Kind`] promises. One ordinal has
//! many spellings, which are all equal. `stored` has the values that filters compare with.

use std::fmt::Write as _;

use cursorgate_core::pagination::{
    key::{KeyValue, TEXT_KEPT},
    order::{Direction, Grain, Kind, Nulls, SortKey},
};

use crate::{
    dice::mix,
    keyed::calendar::{DAY, civil},
};

/// The form in which a column shows its ordinals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Integers from -3 on.
    Whole,
    /// Quarters around zero: `25.0`, `25.00`, `2.5e1`, `-0.25`; hundredths if the column has a unit.
    Decimal,
    /// Integers that a double can't hold.
    Huge,
    /// Numbers that overflow a double: `1e400`.
    Exponent,
    WholeInString,
    Text,
    /// Texts that are longer than the part that a key keeps. Texts of one ordinal agree in that part, and differ after
    /// it by the hidden part.
    LongText,
    Datetime,
    Boolean,
    Uuid,
    Rank,
    /// Values whose order can't be seen in them. Equal values may be spelt differently, like `Smith` and `smith` in an
    /// upstream that sorts without regard to case.
    Opaque,
}

/// A column of keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) look: Look,
    /// True if the order doesn't declare the kind of the key, so the core infers it.
    pub(crate) inferred: bool,
    pub(crate) descending: bool,
    pub(crate) nulls: Nulls,
    /// The number of ordinals, which run from 0 to `width - 1`.
    pub(crate) width: u32,
    /// The number of stored values that look the same; 1 if the upstream sorts no more finely than it shows.
    pub(crate) grain: u32,
    /// The precision of shown values, if it is one step between neighbouring ordinals; `None` if the look decides.
    pub(crate) unit: Option<Grain>,
    /// True if the route declares the precision `unit`.
    pub(crate) said: bool,
}

const LETTERS: [char; 8] = ['"', '/', '\\', 'a', 'é', '日', 'ﬁ', '🦀'];
pub(crate) const RANKS: [&str; 6] = ["new", "open", "held", "äußerst", "closed", "archived"];
/// The factor, modulo 2^32, that turns an ordinal into its opaque value. `UNSCRAMBLE` is its inverse.
const SCRAMBLE: u32 = 0x9e37_79b1;
const UNSCRAMBLE: u32 = 0x0e8b_2f51;
/// The instant of ordinal 0, in seconds of Unix time: the day before a leap day.
pub(crate) const EPOCH: i64 = 21_242 * DAY;
/// The distance of neighbouring instants in seconds, in columns without a unit.
pub(crate) const QUARTER_DAY: i64 = DAY / 4;

impl Column {
    pub(crate) fn plain(look: Look, width: u32) -> Self {
        let (inferred, descending, grain, unit, said) = (false, false, 1, None, false);
        Self { look, inferred, descending, nulls: Nulls::None, width, grain, unit, said }
    }

    pub(crate) fn sort_key(&self, name: &str) -> SortKey {
        let kind = match self.look {
            _ if self.inferred => Kind::Inferred,
            Look::Whole | Look::Decimal | Look::Huge | Look::Exponent => Kind::Number,
            // JSON:API requires ids to be strings. Compared by bytes, "10" would come before "9".
            Look::WholeInString => Kind::NumberInString,
            Look::Text | Look::LongText => Kind::Text,
            Look::Datetime => Kind::Datetime,
            Look::Boolean => Kind::Boolean,
            Look::Uuid => Kind::Uuid,
            Look::Rank => Kind::Rank(RANKS.map(String::from).to_vec()),
            Look::Opaque => Kind::Opaque,
        };
        let direction = if self.descending { Direction::Descending } else { Direction::Ascending };
        let grain = self.unit.filter(|_| self.said);
        SortKey { name: name.to_owned(), direction, kind, nulls: self.nulls, grain }
    }

    /// Returns the largest number of ordinals of a look.
    pub(crate) fn most(look: Look) -> u32 {
        match look {
            Look::Boolean => 2,
            Look::Rank => RANKS.len() as u32,
            _ => 100_000,
        }
    }

    /// Returns whether the kind can be left to the core, which then infers the same order from the values.
    pub(crate) fn can_be_inferred(look: Look) -> bool {
        !matches!(look, Look::WholeInString | Look::Uuid | Look::Rank | Look::Opaque)
    }

    /// Returns whether the column may contain nulls. It may only if the order declares the place of nulls.
    pub(crate) fn has_nulls(&self) -> bool {
        !matches!(self.nulls, Nulls::None | Nulls::Unsaid)
    }

    /// Returns the rank of an ordinal (`None` for null) in the direction of the order.
    pub(crate) fn rank(&self, ordinal: Option<i64>) -> i64 {
        let first = match (ordinal, self.nulls) {
            (Some(ordinal), _) => return if self.descending { -ordinal } else { ordinal },
            (None, Nulls::First) => true,
            (None, Nulls::Smallest) => !self.descending,
            (None, Nulls::Largest) => self.descending,
            (None, Nulls::Last | Nulls::None | Nulls::Unsaid) => false,
        };
        if first { i64::MIN } else { i64::MAX }
    }

    /// Writes an ordinal as JSON. `part` is the part that the grain hides; `spelling` chooses among equal spellings, of
    /// which 0 is the plainest.
    pub(crate) fn write(&self, ordinal: Option<i64>, part: u32, spelling: u64, out: &mut String) {
        let Some(ordinal) = ordinal else {
            out.push_str("null");
            return;
        };
        match self.look {
            Look::WholeInString
            | Look::Text
            | Look::LongText
            | Look::Datetime
            | Look::Uuid
            | Look::Rank
            | Look::Opaque => {
                let escapes = if matches!(self.look, Look::Datetime | Look::Uuid) { 0 } else { spelling };
                quote(&self.text(ordinal, part, spelling), escapes, out);
            }
            _ => self.bare(ordinal, spelling, out),
        }
    }

    /// Returns the key as an anchor contains it: texts are cut after [`TEXT_KEPT`] bytes, unless the key is the id
    /// (`whole`).
    pub(crate) fn value(&self, ordinal: Option<i64>, part: u32, spelling: u64, whole: bool) -> KeyValue {
        let Some(ordinal) = ordinal else {
            return KeyValue::Null;
        };
        match self.look {
            Look::Boolean => KeyValue::Boolean(ordinal == 1),
            Look::Whole | Look::Decimal | Look::Huge | Look::Exponent => {
                let mut digits = String::new();
                self.bare(ordinal, spelling, &mut digits);
                KeyValue::Number(digits)
            }
            _ => {
                let mut text = self.text(ordinal, part, spelling).into_bytes();
                if !whole && matches!(self.look, Look::Text | Look::LongText) {
                    text.truncate(TEXT_KEPT);
                }
                KeyValue::Text(text)
            }
        }
    }

    /// Writes a number or a boolean.
    fn bare(&self, ordinal: i64, spelling: u64, out: &mut String) {
        let _ = match (self.look, spelling % 3) {
            (Look::Boolean, _) => write!(out, "{}", ordinal == 1),
            (Look::Decimal, _) if self.unit.is_some() => {
                let (sign, hundredths) = (if ordinal < 9 { "-" } else { "" }, (ordinal - 9).abs());
                write!(out, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
            }
            (Look::Decimal, _) => quarters(ordinal - 9, spelling, out),
            (Look::Huge, form) => {
                write!(out, "{}{}", 9_007_199_254_740_990 + ordinal, ["", ".0", "e0"][form as usize])
            }
            (Look::Exponent, 0) => write!(out, "1e{}", 400 + ordinal),
            (Look::Exponent, 1) => write!(out, "10.0E+{}", 399 + ordinal),
            (Look::Exponent, _) => write!(out, "0.01e{}", 402 + ordinal),
            _ => quarters((ordinal - 3) * 4, if spelling.is_multiple_of(4) { spelling } else { 0 }, out),
        };
    }

    /// Returns the text of a value that is shown as a string, without quotes and escapes.
    fn text(&self, ordinal: i64, part: u32, spelling: u64) -> String {
        match self.look {
            Look::Text => letters(ordinal, false),
            Look::LongText => long_text(ordinal, part),
            Look::Datetime => self.datetime(ordinal, spelling),
            Look::Uuid => {
                let uuid = uuid(ordinal);
                // UUIDs are case-insensitive on input (RFC 4122 section 3).
                if spelling % 3 == 1 { uuid.to_uppercase() } else { uuid }
            }
            Look::Rank => RANKS[ordinal as usize].to_owned(),
            Look::Opaque => {
                format!("{:08x}{}", (ordinal as u32).wrapping_mul(SCRAMBLE), ["", "", "'", "''"][spelling as usize % 4])
            }
            _ => (ordinal - 3).to_string(),
        }
    }

    fn datetime(&self, ordinal: i64, spelling: u64) -> String {
        let (seconds, digits, nanoseconds) = match self.unit {
            Some(Grain::Day) => return civil(EPOCH + ordinal * DAY, 'T')[..10].to_owned(),
            Some(Grain::Digits(digits)) => {
                let most = 10_i64.pow(u32::from(digits));
                let fraction = ordinal.rem_euclid(most) * (1_000_000_000 / most);
                (EPOCH + ordinal.div_euclid(most), digits as usize, fraction)
            }
            None => (EPOCH + ordinal * QUARTER_DAY, [0, 1, 3, 6][spelling as usize / 8 % 4], 0),
        };
        let fraction = match digits {
            0 => String::new(),
            _ => format!(".{}", &format!("{nanoseconds:09}")[..digits]),
        };
        match spelling % 8 {
            1 => format!("{}{fraction}+00:00", civil(seconds, 'T')),
            2 => format!("{}{fraction}+02:00", civil(seconds + 7_200, 'T')),
            3 => format!("{}{fraction}-09:30", civil(seconds - 34_200, 'T')),
            4 => format!("{}{fraction}z", civil(seconds, 't')),
            // A core that infers the kind doesn't take a bare date for a date-time.
            5 if self.unit.is_none() && !self.inferred && seconds % DAY == 0 => civil(seconds, 'T')[..10].to_owned(),
            _ => format!("{}{fraction}Z", civil(seconds, 'T')),
        }
    }
}

/// Returns the ordinal of an opaque value.
pub(crate) fn unscrambled(shown: u32) -> u32 {
    shown.wrapping_mul(UNSCRAMBLE)
}

pub(crate) fn uuid(ordinal: i64) -> String {
    format!("{:08x}-ab{:02x}-4cde-8f01-{:012x}", ordinal >> 8, ordinal & 255, ordinal)
}

/// Returns a text of which at least the first [`TEXT_KEPT`] bytes follow from the ordinal, and the rest from the hidden
/// part.
pub(crate) fn long_text(ordinal: i64, part: u32) -> String {
    let mut long = letters(ordinal, true);
    while long.len() < TEXT_KEPT {
        long.push('é');
    }
    let _ = write!(long, "{part:03}");
    long
}

fn quote(decoded: &str, spelling: u64, out: &mut String) {
    out.push('"');
    if spelling == 0 && !decoded.contains(['"', '\\']) {
        out.push_str(decoded);
        out.push('"');
        return;
    }
    for (place, letter) in decoded.chars().enumerate() {
        let escape = if spelling == 0 { 0 } else { mix(spelling, place as u64) % 3 };
        match (escape, letter) {
            (1, _) => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}");
            }),
            (_, '"' | '\\') => out.extend(['\\', letter]),
            (2, '/') => out.push_str("\\/"),
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// Writes a number of quarters as a JSON number.
fn quarters(count: i64, spelling: u64, out: &mut String) -> std::fmt::Result {
    let (sign, whole, rest) = (if count < 0 { "-" } else { "" }, count.abs() / 4, count.abs() % 4 * 25);
    match (spelling % 5, rest) {
        (1, _) => write!(out, "{sign}{whole}.{rest:02}000"),
        (2, _) => write!(out, "{sign}{}e-2", whole * 100 + rest),
        (3, _) if whole < 100 => write!(out, "{sign}0.0{:04}E+3", whole * 100 + rest),
        // Negative zero equals zero, though its text and its sign are others.
        (4, 0) if whole == 0 => write!(out, "-0.0"),
        (_, 0) => write!(out, "{sign}{whole}"),
        (_, 50) => write!(out, "{sign}{whole}.5"),
        _ => write!(out, "{sign}{whole}.{rest:02}"),
    }
}

/// Returns a word of up to six letters; words sort by their bytes as their ordinals do. Unless `padded`, trailing
/// letters of the lowest rank are dropped, so the empty text and prefixes of other texts occur.
pub(crate) fn letters(ordinal: i64, padded: bool) -> String {
    let word: String = (0..6).rev().map(|digit| LETTERS[(ordinal >> (3 * digit)) as usize & 7]).collect();
    if padded { word } else { word.trim_end_matches(LETTERS[0]).to_owned() }
}
