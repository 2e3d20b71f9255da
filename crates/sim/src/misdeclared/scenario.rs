//! A scenario of a misdeclared list: a walk as plain data, drawn from a seed.

use cursorgate_core::pagination::{
    order::{Direction, Kind, Nulls, Order, SortKey, Ties},
    paging::Family,
};

use crate::dice::{Dice, mix};

/// The order by which the upstream really sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    /// Without regard to case, as MySQL and SQL Server do by default.
    Caseless,
    /// By a language: case, accents, and characters that aren't letters don't count.
    Language,
    /// By ranks of words that the order does not declare.
    Ranks,
    /// Nulls come first, although the order declares that they come last.
    NullsElsewhere,
    /// Date-times with and without fractions, in several zones, by their instants.
    Instants,
    /// Date-times and other texts in one column, by their bytes.
    Mixed,
}

/// The declared type of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    Nothing,
    Text,
    Opaque,
}

/// The order of rows with equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tied {
    ById,
    Shuffled,
}

/// The true and the declared order of a list, and the behaviour of its upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    pub(crate) truth: Truth,
    pub(crate) said: Said,
    pub(crate) tied: Tied,
    pub(crate) family: Family,
    pub(crate) cap: u32,
    pub(crate) totals: bool,
    pub(crate) flips: bool,
}

/// A row: its class (the upstream treats rows of one class as equal, and sorts classes by number), its id, and its key
/// as JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) class: i64,
    pub(crate) id: u64,
    pub(crate) key: String,
}

/// A change of the list. A number, taken modulo the number of rows, chooses a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Insert(Row),
    Delete(u32),
}

/// The item of a page beside which a client continues by the item's cursor, and the direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Beside {
    /// True for the page's last item, false for its first.
    pub(crate) last: bool,
    pub(crate) forward: bool,
}

/// Everything that decides a walk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) traits: Traits,
    pub(crate) rows: Vec<Row>,
    /// The change before each answer; `None` for no change.
    pub(crate) plan: Vec<Option<Change>>,
    pub(crate) limit: u32,
    pub(crate) backward: bool,
    /// The item beside which the client continues after each page; `None` if the client follows the page's link. The
    /// walk has at most one page for each turn.
    pub(crate) turns: Vec<Option<Beside>>,
}

/// The largest number of pages of a walk.
pub(crate) const PAGES: u32 = 60;
/// The number of answers before which the list may change.
const TICKS: u32 = 200;
pub(crate) const TRUTHS: [Truth; 6] =
    [Truth::Caseless, Truth::Language, Truth::Ranks, Truth::NullsElsewhere, Truth::Instants, Truth::Mixed];
pub(crate) const SAID: [Said; 3] = [Said::Nothing, Said::Text, Said::Opaque];
pub(crate) const RANKS: [&str; 5] = ["low", "medium", "high", "urgent", "blocking"];

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let traits = Traits::draw(dice);
        let changes = dice.pick(&[0, 0, 5, 40]);
        let count = dice.pick(&[0, 1, 3, 20, 60, 150]);
        let mut rows = Rows { traits: &traits, came: 0 };
        let first = (0..count).map(|_| rows.draw(dice)).collect();
        let mut change = |dice: &mut Dice| match dice.chance(50) {
            true => Change::Insert(rows.draw(dice)),
            false => Change::Delete(dice.roll() as u32),
        };
        let mut tick = || dice.chance(changes).then(|| change(dice));
        let plan = if changes == 0 { Vec::new() } else { (0..TICKS).map(|_| tick()).collect() };
        let mut turn = || dice.chance(10).then(|| Beside { last: dice.chance(50), forward: dice.chance(50) });
        let turns = (0..PAGES).map(|_| turn()).collect();
        let (limit, backward) = (dice.pick(&[1, 2, 7, 20]), dice.chance(30));
        Self { rows: first, plan, limit, backward, turns, traits }
    }

    /// Returns whether the list does not change.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.plan.iter().all(Option::is_none)
    }

    /// Returns whether each page must be right at any level: the list does not change, and ties keep their order.
    pub(crate) fn is_still(&self) -> bool {
        self.is_at_rest() && self.traits.tied == Tied::ById
    }
}

/// A source of new rows.
struct Rows<'a> {
    traits: &'a Traits,
    came: u64,
}

impl Rows<'_> {
    fn draw(&mut self, dice: &mut Dice) -> Row {
        // Ids are unique, and in another order than the rows come.
        self.came += 1;
        self.traits.row(dice, mix(self.came, 1) % 90_000 * 1_000 + self.came)
    }
}

impl Traits {
    fn draw(dice: &mut Dice) -> Self {
        let truth = dice.pick(&TRUTHS);
        Self {
            truth,
            said: if truth == Truth::Instants { Said::Nothing } else { dice.pick(&SAID) },
            tied: dice.pick(&[Tied::ById, Tied::ById, Tied::Shuffled]),
            family: dice.pick(&[Family::Offset, Family::Page]),
            cap: dice.pick(&[12, 40, 100, 200]),
            totals: dice.chance(60),
            flips: dice.chance(30),
        }
    }

    /// Draws a row with one of the spellings of its class.
    fn row(&self, dice: &mut Dice, id: u64) -> Row {
        let (class, key) = match self.truth {
            Truth::Caseless | Truth::Language => {
                let class = dice.below(60);
                (class, format!("\"{}\"", spelt(dice, &word(class), self.truth)))
            }
            Truth::Ranks => {
                let class = dice.below(RANKS.len() as u32);
                (class, format!("\"{}\"", RANKS[class as usize]))
            }
            Truth::NullsElsewhere if dice.chance(20) => return Row { class: -1, id, key: "null".into() },
            Truth::NullsElsewhere => {
                let class = dice.below(40);
                (class, format!("\"{}\"", word(class)))
            }
            Truth::Instants => {
                let class = dice.below(400);
                (class, instant(dice, class))
            }
            Truth::Mixed => {
                let class = dice.below(40);
                let key = if class < 10 {
                    format!("\"2026-01-{:02}T10:00:00Z\"", class + 1)
                } else {
                    format!("\"{}\"", word(class))
                };
                (class, key)
            }
        };
        Row { class: class.into(), id, key }
    }

    pub(crate) fn order(&self) -> Order {
        let key = |name: &str, kind, nulls| SortKey {
            name: name.into(),
            direction: Direction::Ascending,
            kind,
            nulls,
            grain: None,
        };
        let kind = match self.said {
            Said::Nothing => Kind::Inferred,
            Said::Text => Kind::Text,
            Said::Opaque => Kind::Opaque,
        };
        let nulls = if self.truth == Truth::NullsElsewhere { Nulls::Last } else { Nulls::None };
        let ties = if self.tied == Tied::ById { Ties::Ordered } else { Ties::Unordered };
        Order::declared(vec![key("name", kind, nulls)], key("id", Kind::Inferred, Nulls::None), ties)
    }
}

/// Returns the word of a class. Words sort by their bytes as their classes do.
fn word(class: u32) -> String {
    let letter = |place: u32| char::from(b'a' + (place % 26) as u8);
    [letter(class / 4), 'e', letter(7 * (class % 4)), 'r'].iter().collect()
}

/// Returns a word in one of the spellings that the upstream treats as equal.
fn spelt(dice: &mut Dice, word: &str, truth: Truth) -> String {
    let mut out = String::new();
    for letter in word.chars() {
        match (letter, truth) {
            ('e', Truth::Language) => out.push(dice.pick(&['e', 'é', 'E', 'ê'])),
            _ if dice.chance(25) => out.extend(letter.to_uppercase()),
            _ => out.push(letter),
        }
    }
    if truth == Truth::Language && dice.chance(15) {
        out.push('-');
    }
    out
}

/// Returns the instant of a class, a tenth of a second before that of the next class. The zone and the trailing zeros
/// are drawn.
fn instant(dice: &mut Dice, class: u32) -> String {
    let (seconds, tenth) = (class / 10, class % 10);
    let fraction = match (tenth, dice.below(3)) {
        (0, 0) => String::new(),
        (0, 1) => ".000".to_owned(),
        (_, 2) => format!(".{tenth}00000"),
        _ => format!(".{tenth}"),
    };
    let (hour, zone) = dice.pick(&[(10, "Z"), (12, "+02:00"), (10, "+00:00"), (5, "-05:00")]);
    format!("\"2026-01-15T{hour:02}:00:{seconds:02}{fraction}{zone}\"")
}
