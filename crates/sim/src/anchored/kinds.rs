//! The kinds of lists without a declared order that walks must meet.

use cursorgate_core::pagination::paging::{EndEvidence, Family, Sizes};

use super::{
    scenario::{Scenario, Style},
    upstream::{Past, Says},
    world::{Change, Look},
};
use crate::world_kinds::WorldKind;

/// All kinds, each with its floor: the least number of walks in a thousand that must meet it.
pub(super) const KINDS: &[WorldKind<Scenario>] = &[
    WorldKind::new("by offset", 465, |walk| walk.traits.family == Family::Offset),
    WorldKind::new("by page", 234, |walk| walk.traits.family == Family::Page),
    WorldKind::new("pages of a fixed size", 26, |walk| matches!(walk.traits.sizes, Sizes::Fixed(_))),
    WorldKind::new("one of several sizes", 27, |walk| matches!(walk.traits.sizes, Sizes::Listed(_))),
    WorldKind::new("a silent cap", 81, |walk| walk.traits.sizes == Sizes::Free { least: 1, most: None }),
    WorldKind::new("no total", 164, |walk| walk.traits.says == Says::Nothing),
    WorldKind::new("a total of another moment", 163, |walk| walk.traits.says == Says::RacedTotal),
    WorldKind::new("a flag tells the end", 139, |walk| walk.traits.end == EndEvidence::Flag),
    WorldKind::new("short answers end the list", 112, |walk| walk.traits.end == EndEvidence::ShortPage),
    WorldKind::new("short answers prove nothing", 447, |walk| walk.traits.end == EndEvidence::Unvouched),
    WorldKind::new("a status past the end", 118, |walk| walk.traits.past == Past::Status),
    WorldKind::new("the last page comes again", 36, |walk| walk.traits.past == Past::Repeat),
    WorldKind::new("the first page comes again", 30, |walk| walk.traits.past == Past::First),
    WorldKind::new("answers state the slice", 142, |walk| walk.traits.echoes),
    WorldKind::new("rows hidden after the limit", 55, |walk| walk.traits.hides > 0),
    WorldKind::new("no answer shows a page with its neighbours", 299, |walk| walk.traits.tight),
    WorldKind::new("answers of an earlier state", 21, |walk| walk.traits.lags),
    WorldKind::new("ids in another spelling", 137, |walk| walk.look == Look::Text),
    WorldKind::new("no ids", 139, |walk| walk.look == Look::Bare),
    WorldKind::new("some rows without ids", 140, |walk| walk.look == Look::Mixed),
    WorldKind::new("100 rows or more", 59, |walk| walk.rows >= 100),
    WorldKind::new("at rest", 86, Scenario::is_still),
    WorldKind::new("changes while a page is read", 310, |walk| walk.turns.iter().any(|turn| !turn.during.is_empty())),
    WorldKind::new("the anchor moves", 139, |walk| walk.turns.iter().any(|turn| turn.moves_anchor.is_some())),
    WorldKind::new("all rows are replaced", 78, |walk| {
        walk.turns.iter().flat_map(|turn| &turn.before).any(|change| matches!(change, Change::Replace(_)))
    }),
    WorldKind::new("other clients read too", 210, |walk| walk.turns.iter().any(|turn| turn.other.is_some())),
    WorldKind::new("another process serves each page", 140, |walk| walk.forgets),
    WorldKind::new("backward", 140, |walk| walk.style == Style::Backward),
    WorldKind::new("reads and deletes", 67, |walk| matches!(walk.style, Style::Worker(_))),
    WorldKind::new("wanders", 211, |walk| walk.style == Style::Wander),
];
