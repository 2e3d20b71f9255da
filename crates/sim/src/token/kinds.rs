//! The kinds of lists by token that walks must meet.

use cursorgate_core::pagination::paging::Sizes;

use super::{
    scenario::{Scenario, Style},
    upstream::{Counts, Ends, Place},
    world::Shape,
};
use crate::world_kinds::WorldKind;

/// All kinds, each with its floor: the least number of walks in a thousand that must meet it.
pub(super) const KINDS: &[WorldKind<Scenario>] = &[
    WorldKind::new("sorted by ids", 115, |walk| walk.shape == Shape::Ids),
    WorldKind::new("sorted by a key", 232, |walk| walk.shape == Shape::Ordered),
    WorldKind::new("ties in an order that is not shown", 119, |walk| walk.shape == Shape::Loose),
    WorldKind::new("no declared order", 117, |walk| walk.shape == Shape::Undeclared),
    WorldKind::new("no ids", 115, |walk| walk.shape == Shape::Anonymous),
    WorldKind::new("tokens are offsets", 235, |walk| walk.traits.place == Place::Offset),
    WorldKind::new("tokens are keys", 252, |walk| walk.traits.place == Place::Keys),
    WorldKind::new("tokens of a snapshot", 114, |walk| walk.traits.place == Place::Snapshot),
    WorldKind::new("tokens are items", 97, |walk| walk.traits.place == Place::Item),
    WorldKind::new("any size", 350, |walk| matches!(walk.traits.sizes, Sizes::Free { .. })),
    WorldKind::new("one of several sizes", 174, |walk| matches!(walk.traits.sizes, Sizes::Listed(_))),
    WorldKind::new("a fixed size", 175, |walk| matches!(walk.traits.sizes, Sizes::Fixed(_))),
    WorldKind::new("the size is ignored", 17, |walk| walk.traits.ignores_size.is_some()),
    WorldKind::new("no token at the end", 175, |walk| walk.traits.ends == Ends::Exact),
    WorldKind::new("a full last page leads to nothing", 150, |walk| walk.traits.ends == Ends::Promise),
    WorldKind::new("a flag tells the end", 197, |walk| walk.traits.ends == Ends::Flag),
    WorldKind::new("an empty page tells the end", 176, |walk| walk.traits.ends == Ends::Empty),
    WorldKind::new("tokens that lead back", 415, |walk| walk.traits.backward),
    WorldKind::new("tokens for one use", 59, |walk| walk.traits.single_use),
    WorldKind::new("tokens that expire", 54, |walk| walk.traits.lasts.is_some()),
    WorldKind::new("items hidden after the limit", 68, |walk| walk.traits.hidden > 0),
    WorldKind::new("tokens that go round in a circle", 8, |walk| walk.traits.circle.is_some()),
    WorldKind::new("a total", 349, |walk| walk.traits.total),
    WorldKind::new("a gap of dropped items", 60, |walk| walk.traits.gap > 0),
    WorldKind::new("a flag beside tokens", 100, |walk| walk.traits.flag.is_some()),
    WorldKind::new("tokens that are always there", 20, |walk| walk.traits.always),
    WorldKind::new("a token that is missing once", 30, |walk| walk.traits.missing.is_some()),
    WorldKind::new("an answer that is empty once", 40, |walk| walk.traits.blank.is_some()),
    WorldKind::new("a total that is wrong", 70, |walk| {
        walk.traits.total && matches!(walk.traits.counts, Counts::TooHigh | Counts::TooLow | Counts::Million)
    }),
    WorldKind::new("at rest", 350, |walk| !walk.is_changing()),
    WorldKind::new("items move", 43, Scenario::has_moves),
    WorldKind::new("there and back", 140, |walk| walk.style == Style::ThereAndBack),
    WorldKind::new("reads and deletes", 140, |walk| walk.style == Style::Worker),
    WorldKind::new("wanders", 142, Scenario::wanders),
    WorldKind::new("several limits", 232, |walk| walk.limits.len() > 1),
];
