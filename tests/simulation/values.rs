//! The sort keys of the model: a key is a number on a line (its ordinal), shown as JSON in the look of its column.
//!
//! The line decides the order, so the model needs no comparison of its own. Each look keeps the line's order under the
//! comparison that its [`Kind`] promises, and one ordinal has many spellings, all of them equal.

use std::fmt::Write as _;

use cursorgate::pagination::{
    key::{KeyValue, TEXT_KEPT},
    order::{Direction, Kind, Nulls, SortKey},
};

use crate::dice::mix;

/// How the ordinals of a column are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Whole,
    /// Quarters around zero: `25.0`, `25.00`, `2.5e1`, `-0.25`.
    Decimal,
    /// Integers that a double can't hold.
    Huge,
    /// Numbers that overflow a double: `1e400`.
    Exponent,
    WholeInString,
    Text,
    /// Texts that agree in all the bytes that a key keeps wherever their shown ordinal is the same.
    LongText,
    Datetime,
    Boolean,
    Uuid,
    Rank,
}

/// One column of keys.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) look: Look,
    /// The kind is left to the core.
    pub(crate) inferred: bool,
    pub(crate) descending: bool,
    pub(crate) nulls: Nulls,
    /// Ordinals are below this.
    pub(crate) width: u32,
    /// How many stored values look the same: the upstream sorts more finely than it shows. 1: it does not.
    pub(crate) grain: u32,
}

/// A key as it stands in a body, and as an anchor carries it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) raw: String,
    pub(crate) value: KeyValue,
}

const LETTERS: [char; 8] = ['"', '/', '\\', 'a', 'é', '日', 'ﬁ', '🦀'];
const RANKS: [&str; 6] = ["new", "open", "held", "äußerst", "closed", "archived"];

impl Column {
    pub(crate) fn plain(look: Look, width: u32) -> Self {
        Self { look, inferred: false, descending: false, nulls: Nulls::None, width, grain: 1 }
    }

    pub(crate) fn sort_key(&self, name: &str) -> SortKey {
        let kind = match self.look {
            _ if self.inferred => Kind::Inferred,
            Look::Whole | Look::Decimal | Look::Huge | Look::Exponent => Kind::Number,
            Look::WholeInString => Kind::NumberInString,
            Look::Text | Look::LongText => Kind::Text,
            Look::Datetime => Kind::Datetime,
            Look::Boolean => Kind::Boolean,
            Look::Uuid => Kind::Uuid,
            Look::Rank => Kind::Rank(RANKS.map(String::from).to_vec()),
        };
        let direction = if self.descending { Direction::Descending } else { Direction::Ascending };
        SortKey { name: name.to_owned(), direction, kind, nulls: self.nulls }
    }

    /// How many ordinals this look can show.
    pub(crate) fn most(look: Look) -> u32 {
        match look {
            Look::Boolean => 2,
            Look::Rank => RANKS.len() as u32,
            _ => 100_000,
        }
    }

    /// Whether the kind can be left to the core: it infers the same order from the values.
    pub(crate) fn can_be_inferred(look: Look) -> bool {
        !matches!(look, Look::WholeInString | Look::Datetime | Look::Uuid | Look::Rank)
    }

    /// Where an ordinal (none for null) stands in the direction of the order.
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

    /// Shows an ordinal. `part` is what the grain hides; `spelling` chooses among equal spellings, 0 the plainest.
    pub(crate) fn show(&self, ordinal: Option<i64>, part: u32, spelling: u64) -> Shown {
        let Some(ordinal) = ordinal else {
            return Shown { raw: "null".into(), value: KeyValue::Null };
        };
        match self.look {
            Look::Boolean => Shown { raw: (ordinal == 1).to_string(), value: KeyValue::Boolean(ordinal == 1) },
            Look::Whole => number(quarters((ordinal - 3) * 4, if spelling.is_multiple_of(4) { spelling } else { 0 })),
            Look::Decimal => number(quarters(ordinal - 9, spelling)),
            Look::Huge => {
                number((9_007_199_254_740_990 + ordinal).to_string() + ["", ".0", "e0"][spelling as usize % 3])
            }
            Look::Exponent => number(match spelling % 3 {
                0 => format!("1e{}", 400 + ordinal),
                1 => format!("10.0E+{}", 399 + ordinal),
                _ => format!("0.01e{}", 402 + ordinal),
            }),
            Look::WholeInString => text(&(ordinal - 3).to_string(), spelling),
            Look::Text => text(letters(ordinal, false).as_str(), spelling),
            Look::LongText => {
                let mut long = letters(ordinal, true);
                while long.len() < TEXT_KEPT {
                    long.push('é');
                }
                let _ = write!(long, "{part:03}");
                text(&long, spelling)
            }
            Look::Datetime => text(&datetime(ordinal, spelling), 0),
            Look::Uuid => {
                let uuid = format!("{:08x}-ab{:02x}-4cde-8f01-{:012x}", ordinal >> 8, ordinal & 255, ordinal);
                text(&if spelling % 3 == 1 { uuid.to_uppercase() } else { uuid }, 0)
            }
            Look::Rank => text(RANKS[ordinal as usize], spelling),
        }
    }
}

impl Shown {
    /// As a strong key of an anchor: texts cut where comparisons stop looking.
    pub(crate) fn kept(&self) -> KeyValue {
        match &self.value {
            KeyValue::Text(bytes) if bytes.len() > TEXT_KEPT => KeyValue::Text(bytes[..TEXT_KEPT].to_vec()),
            value => value.clone(),
        }
    }
}

fn number(raw: String) -> Shown {
    Shown { value: KeyValue::Number(raw.clone()), raw }
}

fn text(decoded: &str, spelling: u64) -> Shown {
    let mut raw = String::from('"');
    for (place, letter) in decoded.chars().enumerate() {
        let escape = if spelling == 0 { 0 } else { mix(spelling, place as u64) % 3 };
        match (escape, letter) {
            (1, _) => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| raw += &format!("\\u{unit:04x}")),
            (_, '"' | '\\') => raw.extend(['\\', letter]),
            (2, '/') => raw.push_str("\\/"),
            _ => raw.push(letter),
        }
    }
    raw.push('"');
    Shown { raw, value: KeyValue::Text(decoded.as_bytes().to_vec()) }
}

/// A number of quarters as a JSON number.
fn quarters(count: i64, spelling: u64) -> String {
    let (sign, whole, rest) = (if count < 0 { "-" } else { "" }, count.abs() / 4, count.abs() % 4 * 25);
    match (spelling % 5, rest) {
        (1, _) => format!("{sign}{whole}.{rest:02}000"),
        (2, _) => format!("{sign}{}e-2", whole * 100 + rest),
        (3, _) if whole < 100 => format!("{sign}0.0{:04}E+3", whole * 100 + rest),
        (4, 0) if whole == 0 => "-0.0".into(),
        (_, 0) => format!("{sign}{whole}"),
        (_, 50) => format!("{sign}{whole}.5"),
        _ => format!("{sign}{whole}.{rest:02}"),
    }
}

/// Words that sort by their bytes as their ordinals do. Where they are not padded, letters of the lowest rank at the end
/// are dropped: the empty text and prefixes of other texts are among them.
fn letters(ordinal: i64, padded: bool) -> String {
    let word: String = (0..6).rev().map(|digit| LETTERS[(ordinal >> (3 * digit)) as usize & 7]).collect();
    if padded { word } else { word.trim_end_matches(LETTERS[0]).to_owned() }
}

/// An instant every six hours, from shortly before a leap day on.
fn datetime(ordinal: i64, spelling: u64) -> String {
    let base = 21_242 * 86_400; // 2028-02-28
    let instant = base + ordinal * 21_600;
    let fraction = ["", ".0", ".000", ".000000"][spelling as usize / 8 % 4];
    match spelling % 8 {
        1 => format!("{}{fraction}+00:00", civil(instant, 'T')),
        2 => format!("{}{fraction}+02:00", civil(instant + 7_200, 'T')),
        3 => format!("{}{fraction}-09:30", civil(instant - 34_200, 'T')),
        4 => format!("{}{fraction}z", civil(instant, 't')),
        5 if instant % 86_400 == 0 => civil(instant, 'T')[..10].to_owned(),
        _ => format!("{}{fraction}Z", civil(instant, 'T')),
    }
}

/// The civil date and time of a Unix time (days from civil, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(instant: i64, separator: char) -> String {
    let (days, seconds) = (instant.div_euclid(86_400), instant.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}")
}
