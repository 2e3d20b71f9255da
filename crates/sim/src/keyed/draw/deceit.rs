//! Upstreams for which a lie, or a core without a rule, can break a promise.

use cursorgate_core::pagination::{
    paging::{EndEvidence, Family, Sizes},
    rules::Rule,
};

use super::Draft;
use crate::{
    dice::Dice,
    keyed::{
        broken::Lie,
        traits::{Counts, Echoes, More, Outage, Past, Says, Traits},
    },
};

pub(super) fn deceive(dice: &mut Dice, traits: &mut Traits, draft: &Draft) {
    let limit = draft.limit;
    let any = Sizes::Free { least: 1, most: Some(traits.caps[0].max(limit + 12)) };
    if let Some(lie) = draft.lie() {
        tell(lie, traits, any, limit);
    } else if let Some(rule) = draft.rule() {
        need(rule, dice, traits, any, limit);
    }
}

/// Sets the properties that make a declaration a lie.
fn tell(lie: Lie, traits: &mut Traits, any: Sizes, limit: u32) {
    match lie {
        Lie::ShortIsEnd => {
            traits.caps = vec![limit.max(2)];
            traits.sizes = Sizes::Free { least: 1, most: None };
            traits.end = EndEvidence::ShortPage;
        }
        Lie::CountIsEnd => {
            traits.more = More::Count;
            traits.end = EndEvidence::Flag;
            traits.counts = Counts::Before;
        }
        Lie::StatusIsEnd => {
            traits.outage = Outage::Often(4);
            traits.end = EndEvidence::Flag;
            traits.more = More::Slice;
        }
        Lie::CapShrinks => {
            traits.caps = vec![limit + 4];
            traits.sizes = Sizes::Free { least: 1, most: None };
            // With these values no field of an answer shows the smaller cap to the core.
            (traits.end, traits.more, traits.echoes) = (EndEvidence::Unvouched, More::Nothing, Echoes::Nothing);
        }
        // A silent cap would be another lie (`ShortIsEnd`), so the true cap is the declared one.
        Lie::HidesRows => {
            traits.sizes = any;
            traits.caps = vec![traits.declared_cap().unwrap_or(limit + 12)];
            traits.end = EndEvidence::ShortPage;
        }
        Lie::BoundIsTotal => traits.total = Says::AtLeast,
        Lie::FiltersCompareText => {
            traits.sizes = any;
            traits.caps = vec![traits.declared_cap().unwrap_or(limit + 12)];
        }
        // This lie is about the declared order (`shape::draw`), not about the upstream.
        Lie::TiesAreOrdered => {}
    }
}

/// Sets the properties that let a core without this rule break a promise.
fn need(rule: Rule, dice: &mut Dice, traits: &mut Traits, any: Sizes, limit: u32) {
    let roomy = traits.caps[0].max(limit + 12);
    match rule {
        Rule::CountsOnlyAim => {
            // A count that is made together with the slice is correct, and a core that believes it breaks no promise.
            // So the count is made before or after the slice.
            traits.counts = dice.pick(&[Counts::Before, Counts::After]);
            traits.total = Says::Exactly;
            traits.end = EndEvidence::Unvouched;
            traits.more = dice.pick(&[More::Nothing, More::Count]);
        }
        Rule::StatusesOnlyAim => {
            traits.outage = Outage::Often(4);
            traits.past = Past::Status;
        }
        Rule::ShortProvesNothing => {
            traits.caps = vec![limit.max(2) + dice.below(4)];
            traits.sizes = Sizes::Free { least: 1, most: None };
            (traits.end, traits.echoes) = (EndEvidence::Unvouched, Echoes::Nothing);
            traits.total = dice.pick(&[Says::Nothing, Says::Exactly]);
        }
        Rule::SeamsAreProven => {
            traits.family = dice.pick(&[Family::Offset, Family::Offset, Family::Page]);
            // If one answer held a page with its neighbours, there would be no seam, so the cap is small.
            traits.caps = vec![dice.pick(&[limit.max(2), (limit / 2).max(3)])];
            traits.sizes = Sizes::Free { least: 1, most: Some(traits.caps[0]) };
        }
        Rule::KeysDecide | Rule::RunsAreClosed | Rule::PivotsAreKnownAgain | Rule::FiltersAreProven => {
            traits.sizes = any;
            traits.caps = vec![traits.declared_cap().unwrap_or(roomy)];
        }
        // These rules are needed in other families (`Case::with_rule`).
        Rule::MarksAreChained | Rule::LoopsBeginAnew => {}
    }
    if rule == Rule::PivotsAreKnownAgain {
        traits.has_items = true;
    }
}
