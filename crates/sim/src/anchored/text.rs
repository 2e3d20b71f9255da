//! The text form of scenarios of lists without a declared order. Its words never change, because files in
//! `regressions/` contain them.

use cursorgate_core::pagination::paging::{EndEvidence, Family, Sizes};

use super::{
    scenario::{Click, Scenario, Style, Turn},
    upstream::{Past, Says, Traits},
    world::{Change, Look},
};
use crate::text::{record, words};

words!(Look { Number = "number", Text = "text", Bare = "bare", Mixed = "mixed" });
words!(Says { Nothing = "nothing", Total = "total", RacedTotal = "raced-total" });
words!(Past { Empty = "empty", Status = "status", Repeat = "repeat", First = "first" });
words!(Style { Forward = "forward", Backward = "backward", Wander = "wander", Worker(percent) = "worker" });
words!(Click {
    Next = "next",
    Previous = "previous",
    AfterLast = "after-last",
    BeforeFirst = "before-first",
    Earlier(choice) = "earlier",
});
words!(Change {
    Head(count) = "head",
    Tail(count) = "tail",
    Amid(place, count) = "amid",
    Delete(place, count) = "delete",
    Move(place, far) = "move",
    Jump(from, to) = "jump",
    MoveNear(before, far) = "move-near",
    Edit(place) = "edit",
    Replace(count) = "replace",
});

record!(Turn, Self::CALM, { before, during, other, moves_anchor, click });
record!(Traits, plain(), { family, sizes, cap, says, end, past, echoes, hides, tight, lags });
record!(
    Scenario,
    Self {
        rows: 0,
        look: Look::Number,
        traits: plain(),
        limits: vec![20],
        style: Style::Forward,
        turns: Vec::new(),
        search_items: 100,
        search_budget: 40,
        forgets: false,
        salt: 0,
    },
    { rows, look, traits, limits, style, turns, search_items, search_budget, forgets, salt }
);

fn plain() -> Traits {
    Traits {
        family: Family::Offset,
        sizes: Sizes::Free { least: 1, most: Some(100) },
        cap: 100,
        says: Says::Nothing,
        end: EndEvidence::Unvouched,
        past: Past::Empty,
        echoes: false,
        hides: 0,
        tight: false,
        lags: false,
    }
}
