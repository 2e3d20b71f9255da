//! Behaviour of upstreams that no dialect declares and no field of an answer states.

use cursorgate_core::pagination::paging::{EndEvidence, Sizes};

use crate::{
    dice::Dice,
    keyed::traits::{Cuts, Lag, Reads, Says, Sticky, Traits},
};

/// A behaviour that the dialect does not declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// The cap falls or rises, for some answers or for good.
    CapChanges,
    /// Other principals have other caps.
    CapByPrincipal,
    /// A filtered list has another cap than the whole list.
    CapByFilter,
    /// An answer ends as soon as its items reach a number of bytes.
    CutByBytes,
    /// Some answers have only half of their items, as if a query ran out of time.
    CutByTime,
    /// A replica that lags answers every other request.
    Replica,
    /// Counts are always too high, or always too low, by the same number.
    CountOff,
    /// The upstream reads values in filters more coarsely, or in another time zone.
    FilterRead(Reads),
    /// Rows are left out after the limit, and the dialect declares no hidden rows.
    HiddenUnderACap,
    /// The first page has more rows than other pages.
    MoreAtFirst,
    /// The first page has pinned rows at its top.
    PinnedAtFirst,
    /// Every answer begins with the first rows of the list, in addition.
    PinnedOnTop,
    /// The resource of an item returns another item.
    OtherItem,
}

impl Unsaid {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        dice.pick(&[
            Self::CapChanges,
            Self::CapChanges,
            Self::CapByPrincipal,
            Self::CapByFilter,
            Self::CutByBytes,
            Self::CutByTime,
            Self::Replica,
            Self::Replica,
            Self::CountOff,
            Self::CountOff,
            Self::FilterRead(Reads::Coarsely),
            Self::FilterRead(Reads::Shifted),
            Self::HiddenUnderACap,
            Self::MoreAtFirst,
            Self::PinnedAtFirst,
            Self::PinnedOnTop,
            Self::OtherItem,
        ])
    }

    /// Returns whether the behaviour needs range filters.
    pub(super) fn is_of_filters(self) -> bool {
        matches!(self, Self::CapByFilter | Self::FilterRead(_))
    }

    pub(super) fn happens(self, dice: &mut Dice, traits: &mut Traits, limit: u32) {
        let cap = traits.caps[0];
        let fewer = dice.pick(&[(cap / 2).max(2), (limit / 2).max(2), 2, 3, limit.max(2)]);
        // If short answers are declared to end lists, every size must be honoured. This behaviour would make that a
        // lie.
        if traits.end == EndEvidence::ShortPage && !matches!(self, Self::Replica | Self::CountOff) {
            traits.end = EndEvidence::Unvouched;
        }
        match self {
            Self::CapChanges => {
                free(traits, dice, cap);
                traits.caps =
                    dice.pick(&[vec![cap, fewer], vec![cap, fewer, cap], vec![fewer, cap], vec![cap, fewer, cap, 2]]);
                traits.cap_lasts = 1 + u64::from(dice.below(12));
            }
            Self::CapByPrincipal => {
                free(traits, dice, cap);
                traits.other_caps = dice.pick(&[vec![fewer], vec![2 * cap], vec![fewer, 4 * cap]]);
            }
            Self::CapByFilter => {
                free(traits, dice, cap);
                traits.filtered_cap = Some(fewer);
            }
            Self::CutByBytes => traits.cuts = Cuts::Bytes(dice.pick(&[150, 400, 1_000, 2_000])),
            Self::CutByTime => traits.cuts = Cuts::Half(dice.pick(&[2, 4, 10])),
            Self::Replica => traits.lag = Lag::Replica(1 + dice.below(3)),
            Self::CountOff => {
                traits.total = dice.pick(&[Says::Exactly, Says::Exactly, Says::Exactly, Says::AtLeast]);
                traits.off = dice.pick(&[1, 3, 20, -1, -3, -20]);
            }
            Self::FilterRead(reads) => {
                if let Some(filtering) = &mut traits.filtering {
                    filtering.reads = reads;
                }
            }
            Self::HiddenUnderACap => {
                if dice.chance(70) {
                    free(traits, dice, cap);
                }
                // An edge of an answer among hidden rows looks like a last page that is repeated. Regression:
                // `an-edge-among-hidden-rows`.
                (traits.hidden, traits.hidden_unsaid) = (dice.pick(&[2, 3, 5, 10]), true);
            }
            // A larger first page shifts later pages by number, and can make counts agree by chance. Regression:
            // `a-first-page-with-more-than-others`.
            Self::MoreAtFirst => traits.sticky = Sticky::More(1 + dice.below(5)),
            // Two answers then show the same rows in two different orders. Regression:
            // `two-sequences-of-an-opaque-order`.
            Self::PinnedAtFirst => traits.sticky = Sticky::Pinned(1 + dice.below(3)),
            Self::PinnedOnTop => traits.sticky = Sticky::OnTop(1 + dice.below(3)),
            Self::OtherItem => traits.mistakes_items = true,
        }
    }
}

/// Declares that any size can be requested, up to the cap, up to twice the cap, or without a bound.
fn free(traits: &mut Traits, dice: &mut Dice, cap: u32) {
    traits.sizes = Sizes::Free { least: 1, most: dice.pick(&[None, Some(cap), Some(cap * 2)]) };
}
