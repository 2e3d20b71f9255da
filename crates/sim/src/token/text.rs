//! The text form of scenarios of lists by token. Its words never change, because files in `regressions/` contain them.

use cursorgate_core::pagination::{paging::Sizes, resolver::ShortPages};

use super::{
    scenario::{Click, Scenario, Style},
    upstream::{Counts, Ends, Flag, Place, Traits},
    world::{Birth, Change, Shape},
};
use crate::text::{record, words};

words!(Shape {
    Ids = "ids",
    Ordered = "ordered",
    Loose = "loose",
    Undeclared = "undeclared",
    Anonymous = "anonymous",
});
words!(Place { Offset = "offset", Keys = "keys", Snapshot = "snapshot", Item = "item" });
words!(Ends { Exact = "exact", Promise = "promise", Flag = "flag", Empty = "empty" });
words!(Counts {
    Answer = "answer",
    Items = "items",
    Rows = "rows",
    TooHigh = "too-high",
    TooLow = "too-low",
    Million = "million",
});
words!(Flag { Right = "right", True = "true", False = "false" });
words!(Click { Next = "next", Previous = "previous", Earlier(choice) = "earlier" });
words!(Style {
    Forward = "forward",
    ThereAndBack = "there-and-back",
    Worker = "worker",
    Wander(clicks) = "wander",
});
words!(Change { Insert(birth) = "insert", Delete(choice) = "delete", Move(choice, key) = "move" });

record!(Birth, Self { number: 0, at_head: false, hidden: false }, { number, at_head, hidden });
record!(Traits, plain(), {
    place, sizes, ignores_size, ends, backward, previous_always, single_use, fresh, lasts, hidden, circle, total,
    counts, flag, vouched, always, missing, blank, gap,
});
record!(
    Scenario,
    Self {
        shape: Shape::Ids,
        descending: false,
        rows: Vec::new(),
        plan: Vec::new(),
        traits: plain(),
        style: Style::Forward,
        limits: vec![20],
        short_pages: ShortPages::Refuse,
    },
    { shape, descending, rows, plan, traits, style, limits, short_pages }
);

fn plain() -> Traits {
    Traits {
        place: Place::Keys,
        sizes: Sizes::Free { least: 1, most: None },
        ignores_size: None,
        ends: Ends::Exact,
        backward: false,
        previous_always: false,
        single_use: false,
        fresh: false,
        lasts: None,
        hidden: 0,
        circle: None,
        total: false,
        counts: Counts::Answer,
        flag: None,
        vouched: false,
        always: false,
        missing: None,
        blank: None,
        gap: 0,
    }
}
