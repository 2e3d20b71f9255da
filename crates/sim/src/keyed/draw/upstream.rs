//! Draws the behaviour of upstreams.

use cursorgate_core::pagination::{
    paging::{EndEvidence, Family, Sizes},
    rules::Rule,
};

use super::{Draft, deceit, filters};
use crate::{
    dice::Dice,
    keyed::{
        row::Shape,
        traits::{Beyond, Ceiling, Counts, Echoes, Lag, More, Outage, Past, Says, Traits},
    },
};

pub(super) fn draw(dice: &mut Dice, draft: &Draft, shape: &Shape) -> Traits {
    let &Draft { wild, limit, .. } = draft;
    let family = dice.pick(&[Family::Offset, Family::Page]);
    let tight = dice.chance(20);
    let cap = match (tight, family) {
        (true, Family::Offset) => dice.pick(&[limit.max(2), limit + 1, limit + 2, limit + 3]),
        (true, _) => dice.pick(&[limit.max(2), limit + 2, 2 * limit]),
        (false, Family::Offset) => limit + dice.pick(&[12, 30, 100]),
        (false, _) => 3 * limit + dice.pick(&[12, 30, 100]),
    }
    .max(2);
    // True if the dialect declares a wrong cap or no cap.
    let silent = dice.chance(20);
    let mut traits = Traits {
        sizes: Sizes::Free {
            least: dice.pick(&[1, 1, 1, 1, 2, 5]).min(cap),
            most: if silent { dice.pick(&[None, Some(cap + 1), Some(cap * 2), Some(cap + 50)]) } else { Some(cap) },
        },
        // Django REST framework counts before its slice, Spring Data after it: a change may lie between the two.
        counts: dice.pick(&[Counts::Before, Counts::Together, Counts::After]),
        total: dice.pick(&[Says::Nothing, Says::Exactly, Says::Exactly, Says::Exactly, Says::AtLeast]),
        more: dice.pick(&[More::Nothing, More::Nothing, More::Slice, More::Count]),
        // json-server 1 repeats its last page past the end.
        past: dice.pick(&[Past::Empty, Past::Empty, Past::Status, Past::Repeat]),
        echoes: dice.pick(&[Echoes::Nothing, Echoes::Nothing, Echoes::Used, Echoes::Asked]),
        reorders: dice.chance(50),
        flips: dice.chance(40),
        has_items: dice.chance(90),
        salt: dice.roll(),
        lie: draft.lie(),
        ..Traits::plain(family, cap)
    };
    traits.repeats = traits.past == Past::Repeat;
    say_sizes(dice, draft, &mut traits, silent);
    if draft.keyed {
        traits.filtering = Some(filters::draw(dice, draft, shape));
    }
    if draft.is_free() && dice.chance(6) {
        change_caps(dice, &mut traits);
    }
    if draft.is_free() && dice.chance(5) {
        hide_rows(dice, &mut traits);
    }
    if wild {
        run_wild(dice, &mut traits);
    }
    if traits.hidden > 0 && traits.past == Past::Repeat && matches!(traits.counts, Counts::Cached(_)) {
        // With hidden rows, no answer distinguishes a stale count from a last page that is repeated.
        traits.counts = Counts::Together;
    }
    deceit::deceive(dice, &mut traits, draft);
    if let Some(unsaid) = draft.unsaid {
        unsaid.happens(dice, &mut traits, limit);
    }
    traits
}

/// Draws the declared sizes, and the declared evidence of an end.
fn say_sizes(dice: &mut Dice, draft: &Draft, traits: &mut Traits, silent: bool) {
    let cap = traits.caps[0];
    if !silent && dice.chance(20) {
        let mut sizes: Vec<u32> = (1..=4).map(|part| (cap * part / 4).max(1)).collect();
        sizes.dedup();
        traits.sizes = Sizes::Listed(sizes);
    } else if !silent && draft.is_free() && dice.chance(12) {
        let size = if dice.chance(50) { draft.limit.max(2) } else { cap };
        traits.sizes = Sizes::Fixed(size);
        traits.caps = vec![size];
    }
    if traits.more == More::Slice && dice.chance(70) {
        traits.end = EndEvidence::Flag;
    } else if !silent && dice.chance(40) {
        traits.end = EndEvidence::ShortPage;
    }
}

/// Lets rows be dropped from answers after the limit has been applied, so answers may be short in the middle of the
/// list.
fn hide_rows(dice: &mut Dice, traits: &mut Traits) {
    traits.hidden = dice.pick(&[2, 3, 5]);
    if let Sizes::Free { most, .. } = &mut traits.sizes {
        *most = Some(traits.caps[0]);
    }
    traits.caps.truncate(1);
    (traits.end, traits.more) = (EndEvidence::Unvouched, More::Nothing);
    traits.surplus = 0;
}

/// Lets the cap shrink or grow during the walk. Answers must then show their size, or whether more items follow.
/// Otherwise no core could distinguish an answer that a smaller cap cut from the end of the list.
fn change_caps(dice: &mut Dice, traits: &mut Traits) {
    if matches!(traits.sizes, Sizes::Fixed(_) | Sizes::Listed(_)) {
        return;
    }
    let cap = traits.caps[0];
    traits.caps = match dice.below(3) {
        0 => vec![cap, (cap / 2).max(2)],
        1 => vec![(cap / 2).max(2), cap],
        _ => vec![cap, (cap / 2).max(2), cap * 2, (cap / 3).max(2)],
    };
    traits.cap_lasts = 1 + u64::from(dice.below(8));
    if let Sizes::Free { least, .. } = &mut traits.sizes {
        *least = 1;
    }
    if dice.chance(50) {
        (traits.more, traits.end) = (More::Slice, EndEvidence::Flag);
    } else {
        traits.end = EndEvidence::Unvouched;
        traits.echoes = Echoes::Used;
    }
}

/// Adds behaviour of the regime `Wild`: lags, false statuses, ceilings, nonsense and stale counts.
fn run_wild(dice: &mut Dice, traits: &mut Traits) {
    traits.lag = if dice.chance(20) { Lag::AnyState } else { Lag::Never };
    // An API that is being deployed answers 404 for a while. A core that took the status for the end would lose the
    // rest.
    traits.outage = match dice.below(20) {
        0..=2 => Outage::Often(5 + dice.below(20)),
        3 => Outage::While(u64::from(dice.below(20)), 1 + u64::from(dice.below(8))),
        _ => Outage::Never,
    };
    if dice.chance(15) {
        // Zendesk answers 400 beyond 10,000 rows, GitHub's search 422 beyond 1,000: neither is the end of a list.
        let at = u64::from(dice.below(80)) + 5;
        let truncates = traits.total == Says::Exactly && dice.chance(40);
        let beyond = if truncates { Beyond::Truncates } else { Beyond::Status };
        traits.ceiling = Some(Ceiling { at, declared: dice.chance(50), beyond });
        if truncates {
            // Only the total distinguishes a truncated list from a list that ends there.
            traits.end = EndEvidence::Unvouched;
            traits.counts = Counts::Together;
        }
    }
    if dice.chance(6) {
        traits.echoes = Echoes::Nonsense;
    }
    if dice.chance(6) && traits.hidden == 0 {
        traits.surplus = 1 + dice.below(5);
    }
    if traits.past == Past::Repeat && dice.chance(30) {
        traits.repeats = false;
    }
    let truncates = traits.ceiling.is_some_and(|ceiling| ceiling.beyond == Beyond::Truncates);
    if dice.chance(8) && !truncates {
        traits.counts = Counts::Cached(2 + dice.below(10));
    }
}

/// Returns whether a rule decides which answers end a list.
pub(super) fn is_about_ends(rule: Rule) -> bool {
    matches!(rule, Rule::CountsOnlyAim | Rule::StatusesOnlyAim | Rule::ShortProvesNothing)
}
