//! Faults that a walk must not have, and recorded bounds for those that can't be avoided.

use crate::ends::{
    judge::{Claim, Ended},
    scenario::Cell,
    walk::Outcome,
};

/// A fault of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// A row between delivered items was not delivered.
    Skipped,
    /// An item came twice, or after a later one.
    Repeated,
    /// In a list at rest, a page claims an end, unmarked, that an answer of this page contradicts, and the list goes
    /// on.
    EndAgainstAnswers,
    /// Any other unmarked end of a list that goes on: no answer of its page contradicts it, or the list changed.
    UnknownEnd,
    /// The walk from the end back to the start skips or repeats an item, or stops before the start.
    WayBack,
    Refused,
    Endless,
    /// The end is right and marked as contradicted.
    MarkedRightEnd,
}

impl Wrong {
    pub(crate) const ALL: [Self; 8] = [
        Self::Skipped,
        Self::Repeated,
        Self::EndAgainstAnswers,
        Self::UnknownEnd,
        Self::WayBack,
        Self::Refused,
        Self::Endless,
        Self::MarkedRightEnd,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Repeated => "repeated",
            Self::EndAgainstAnswers => "end against answers",
            Self::UnknownEnd => "unknown end",
            Self::WayBack => "way back",
            Self::Refused => "refused",
            Self::Endless => "endless",
            Self::MarkedRightEnd => "marked right end",
        }
    }

    /// Returns whether this fault loses or repeats items without saying so.
    fn is_silent(self) -> bool {
        !matches!(self, Self::Refused | Self::Endless | Self::MarkedRightEnd)
    }

    /// Returns the faults of a walk: at most one of the walk forward, and one of the walk back.
    pub(crate) fn of(outcome: &Outcome) -> Vec<Self> {
        let forward = match outcome.forward {
            Ended::Right(Claim::Marked) => Some(Self::MarkedRightEnd),
            Ended::Right(_) | Ended::FalseEnd(Claim::Marked) => None,
            Ended::FalseEnd(_) if outcome.at_rest && outcome.against.is_any() => Some(Self::EndAgainstAnswers),
            Ended::FalseEnd(_) => Some(Self::UnknownEnd),
            Ended::Skipped => Some(Self::Skipped),
            Ended::Repeated => Some(Self::Repeated),
            Ended::Refused(_) => Some(Self::Refused),
            Ended::Endless => Some(Self::Endless),
        };
        let back = match outcome.back {
            None | Some(Ended::Right(_)) => None,
            Some(Ended::Skipped | Ended::Repeated | Ended::FalseEnd(_)) => Some(Self::WayBack),
            Some(Ended::Refused(_)) => Some(Self::Refused),
            Some(Ended::Endless) => Some(Self::Endless),
        };
        forward.into_iter().chain(back).collect()
    }

    /// Returns the fault of a walk that loses or repeats items without saying so; `None` if there is no such fault.
    pub(crate) fn silent(outcome: &Outcome) -> Option<Self> {
        Self::of(outcome).into_iter().find(|wrong| wrong.is_silent())
    }
}

/// The recorded bound of a fault in some cells.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) wrong: Wrong,
    /// The words that the names of the cells have (`Cell::name`), without those of an earlier row for this fault.
    pub(crate) words: &'static str,
    /// The largest number of walks of a thousand. With 0, each such walk breaks a promise.
    pub(crate) most: f64,
}

const fn bound(wrong: Wrong, words: &'static str, most: f64) -> Bound {
    Bound { wrong, words, most }
}

impl Bound {
    /// Returns the index of the bound for a fault in a cell.
    pub(crate) fn index(wrong: Wrong, cell: &Cell) -> usize {
        let name = cell.name();
        let has = |word: &str| name.split(' ').any(|own| own == word);
        let is_meant = |bound: &Self| {
            bound.wrong == wrong && bound.words.split_whitespace().all(|words| words.split('|').any(has))
        };
        BOUNDS.iter().position(is_meant).unwrap_or_else(|| panic!("no bound for {wrong:?} in {name}"))
    }

    /// Returns whether a walk of this cell with this fault breaks a promise.
    pub(crate) fn is_broken(wrong: Wrong, cell: &Cell) -> bool {
        wrong.is_silent() && BOUNDS[Self::index(wrong, cell)].most == 0.0
    }
}

/// The bounds. Of the rows of one fault, the first whose words a cell has counts. A word such as `runs|short` stands
/// for any of several words.
///
/// The figures have some room above what is measured.
#[rustfmt::skip]
pub(crate) const BOUNDS: &[Bound] = &[
    // A known fault of the core: a gap that is much longer than the answers beside it may hide that one of them was cut to a
    // single row.
    bound(Wrong::Skipped, "windows bytes changing", 3.0),
    bound(Wrong::Skipped, "windows bytes", 2.0),
    // A change between two answers may put a row that was shown already at the place of one that was cut off.
    bound(Wrong::Skipped, "falls|rises|bytes changing", 6.0),
    bound(Wrong::Skipped, "falls|rises|bytes|keyset|exclusive", 0.0),
    bound(Wrong::Skipped, "changing", 1.0),
    // A gap over which an answer lapses may be joined although it has items: 1 of 2,280 walks.
    bound(Wrong::Skipped, "lapse", 2.0),
    bound(Wrong::Skipped, "", 0.0),
    bound(Wrong::Repeated, "falls|rises|bytes|keyset|exclusive", 0.0),
    bound(Wrong::Repeated, "changing", 0.0),
    bound(Wrong::Repeated, "", 0.0),
    // Few looks after an end don't cross a gap that is much longer than answers that are cut.
    bound(Wrong::EndAgainstAnswers, "bytes", 2.0),
    bound(Wrong::EndAgainstAnswers, "windows ftrue", 8.0),
    bound(Wrong::EndAgainstAnswers, "falls|rises|bytes|keyset|exclusive", 0.0),
    // Changes may refute what an answer says, so a list that changes counts below.
    bound(Wrong::EndAgainstAnswers, "changing", 0.0),
    // A flag that is true everywhere says nothing, and few looks after an end don't cross a long gap.
    bound(Wrong::EndAgainstAnswers, "long ftrue|Tvis+ftrue", 200.0),
    bound(Wrong::EndAgainstAnswers, "runs|short|10%|30% ftrue|Tvis+ftrue", 10.0),
    bound(Wrong::EndAgainstAnswers, "long", 25.0),
    bound(Wrong::EndAgainstAnswers, "runs", 0.0),
    bound(Wrong::EndAgainstAnswers, "short", 0.0),
    bound(Wrong::EndAgainstAnswers, "30%", 0.0),
    bound(Wrong::EndAgainstAnswers, "10%", 0.0),
    bound(Wrong::EndAgainstAnswers, "window", 200.0),
    bound(Wrong::EndAgainstAnswers, "lapse", 4.0),
    bound(Wrong::EndAgainstAnswers, "none", 0.0),
    // Nothing can be known: a cut answer looks like the last one, and what is said is the same everywhere, or agrees.
    bound(Wrong::UnknownEnd, "falls|rises|bytes bare|Tpage|ffalse|ffull changing", 40.0),
    bound(Wrong::UnknownEnd, "falls|rises|bytes bare|Tpage|ffalse|ffull", 25.0),
    bound(Wrong::UnknownEnd, "falls|rises|bytes Tlow", 35.0),
    bound(Wrong::UnknownEnd, "falls|rises|bytes changing", 10.0),
    bound(Wrong::UnknownEnd, "bytes", 1.0),
    bound(Wrong::UnknownEnd, "windows bare|Tpage|ffalse|ffull|Tlow", 6.0),
    bound(Wrong::UnknownEnd, "windows changing", 6.0),
    bound(Wrong::UnknownEnd, "falls|rises|bytes|keyset|exclusive", 0.0),
    bound(Wrong::UnknownEnd, "window changing", 400.0),
    bound(Wrong::UnknownEnd, "long hidden changing", 40.0),
    bound(Wrong::UnknownEnd, "long changing", 100.0),
    bound(Wrong::UnknownEnd, "runs changing", 14.0),
    bound(Wrong::UnknownEnd, "short changing", 10.0),
    bound(Wrong::UnknownEnd, "10%|30% changing", 5.0),
    bound(Wrong::UnknownEnd, "lapse changing", 10.0),
    bound(Wrong::UnknownEnd, "none changing", 0.0),
    // Nothing can be known: the answers say nothing, or the same everywhere.
    bound(Wrong::UnknownEnd, "window bare|404|404-unsaid|rep|rep-said|first|Tpage|ffalse|ffull", 730.0),
    bound(Wrong::UnknownEnd, "long hidden bare|404|404-unsaid|rep|rep-said|first|Tpage|ffalse|ffull", 60.0),
    bound(Wrong::UnknownEnd, "long bare|404|404-unsaid|rep|rep-said|first|Tpage|ffalse|ffull", 235.0),
    bound(Wrong::UnknownEnd, "runs|short bare|404|404-unsaid|rep|rep-said|first|Tpage|ffalse|ffull", 15.0),
    bound(Wrong::UnknownEnd, "10%|30% bare|404|404-unsaid|rep|rep-said|first|Tpage|ffalse|ffull", 5.0),
    // A total that is too low agrees with an end that comes too early.
    bound(Wrong::UnknownEnd, "long|runs|short|10%|30% Tlow", 60.0),
    bound(Wrong::UnknownEnd, "window", 35.0),
    bound(Wrong::UnknownEnd, "long", 0.0),
    bound(Wrong::UnknownEnd, "runs|short", 0.0),
    bound(Wrong::UnknownEnd, "10%|30%", 0.0),
    bound(Wrong::UnknownEnd, "lapse", 5.0),
    bound(Wrong::UnknownEnd, "none", 1.0),
    bound(Wrong::WayBack, "windows bytes", 10.0),
    bound(Wrong::WayBack, "falls|rises|bytes changing", 6.0),
    bound(Wrong::WayBack, "falls|rises|bytes Tlow", 6.0),
    bound(Wrong::WayBack, "windows Tlow", 40.0),
    bound(Wrong::WayBack, "windows bare|Tpage|ffalse|ffull", 6.0),
    bound(Wrong::WayBack, "windows changing", 6.0),
    bound(Wrong::WayBack, "falls|rises|bytes|keyset|exclusive", 0.0),
    bound(Wrong::WayBack, "changing", 6.0),
    bound(Wrong::WayBack, "window", 0.0),
    bound(Wrong::WayBack, "long", 8.0),
    bound(Wrong::WayBack, "runs", 8.0),
    bound(Wrong::WayBack, "short", 8.0),
    bound(Wrong::WayBack, "30%", 8.0),
    bound(Wrong::WayBack, "10%", 5.0),
    bound(Wrong::WayBack, "lapse", 1.0),
    bound(Wrong::WayBack, "none", 0.0),
    // Pages of many small answers need more requests than the budget allows. By number, the rows that a cut answer lacks
    // look like left-out ones.
    bound(Wrong::Refused, "bytes", 380.0),
    bound(Wrong::Refused, "falls", 190.0),
    bound(Wrong::Refused, "rises", 115.0),
    bound(Wrong::Refused, "keyset|exclusive", 25.0),
    bound(Wrong::Refused, "changing", 55.0),
    bound(Wrong::Refused, "window", 30.0),
    bound(Wrong::Refused, "long", 60.0),
    bound(Wrong::Refused, "runs", 20.0),
    bound(Wrong::Refused, "short", 15.0),
    bound(Wrong::Refused, "30%", 25.0),
    bound(Wrong::Refused, "10%", 10.0),
    bound(Wrong::Refused, "lapse", 20.0),
    bound(Wrong::Refused, "none", 25.0),
    bound(Wrong::Endless, "", 0.0),
    bound(Wrong::MarkedRightEnd, "falls|rises|bytes|keyset|exclusive Thigh", 980.0),
    // Pages by filters know no count of the items passed, so a total of the whole list is too high for each of them.
    bound(Wrong::MarkedRightEnd, "keyset|exclusive Tlist", 900.0),
    bound(Wrong::MarkedRightEnd, "keyset|exclusive windows Trows", 400.0),
    bound(Wrong::MarkedRightEnd, "falls|rises|bytes|keyset|exclusive", 30.0),
    bound(Wrong::MarkedRightEnd, "", 160.0),
];
