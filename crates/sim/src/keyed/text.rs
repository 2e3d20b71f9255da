//! The text form of scenarios of lists whose order is declared. Its words never change: files in `regressions/` contain
//! them.

use std::sync::Arc;

use cursorgate_core::pagination::{filter::Filters, paging::Family};

use super::{
    broken::Lie,
    client::{Client, Style},
    row::{RowPlan, Shape, Spoilt, TieOrder},
    scenario::{Regime, Scenario},
    traits::{Beyond, Ceiling, Counts, Cuts, Echoes, Filtering, Lag, More, Outage, Past, Reads, Says, Sticky, Traits},
    values::{Column, Look},
    world::Mutation,
};
use crate::text::{record, words};

words!(Regime { InReach = "in-reach", Wild = "wild", Unsaid = "unsaid" });
words!(Look {
    Whole = "whole",
    Decimal = "decimal",
    Huge = "huge",
    Exponent = "exponent",
    WholeInString = "whole-in-string",
    Text = "text",
    LongText = "long-text",
    Datetime = "datetime",
    Boolean = "boolean",
    Uuid = "uuid",
    Rank = "rank",
    Opaque = "opaque",
});
words!(TieOrder { ById = "by-id", Fixed = "fixed", Shuffled = "shuffled" });
words!(Spoilt { Missing = "missing", Object = "object", OtherType = "other-type", Null = "null" });
words!(Counts { Before = "before", Together = "together", After = "after", Cached(queries) = "cached" });
words!(Says { Nothing = "nothing", Exactly = "exactly", AtLeast = "at-least" });
words!(More { Nothing = "nothing", Slice = "slice", Count = "count" });
words!(Past { Empty = "empty", Status = "status", Repeat = "repeat" });
words!(Echoes { Nothing = "nothing", Used = "used", Asked = "asked", Nonsense = "nonsense" });
words!(Beyond { Status = "status", Truncates = "truncates" });
words!(Outage { Never = "never", Often(one_in) = "often", While(from, queries) = "while" });
words!(Cuts { Never = "never", Bytes(most) = "bytes", Half(one_in) = "half" });
words!(Lag { Never = "never", AnyState = "any-state", Replica(states) = "replica" });
words!(Sticky { Nothing = "nothing", More(count) = "more", Pinned(count) = "pinned", OnTop(count) = "on-top" });
words!(Reads { AsTold = "as-told", Coarsely = "coarsely", Shifted = "shifted" });
words!(Lie {
    ShortIsEnd = "short-is-end",
    CountIsEnd = "count-is-end",
    StatusIsEnd = "status-is-end",
    TiesAreOrdered = "ties-are-ordered",
    CapShrinks = "cap-shrinks",
    HidesRows = "hides-rows",
    BoundIsTotal = "bound-is-total",
    FiltersCompareText = "filters-compare-text",
});
words!(Style {
    Forward { looks_back } = "forward",
    Backward = "backward",
    ThereAndBack { turn } = "there-and-back",
    Worker { share } = "worker",
    Wander { choices } = "wander",
});
words!(Mutation {
    Insert(row) = "insert",
    Delete(choice) = "delete",
    Rekey(choice, row) = "rekey",
    Edit(choice) = "edit",
    Restore(choice) = "restore",
    MoveAnchor(by) = "move-anchor",
    Flood { like, count, spread } = "flood",
    Purge { from, count } = "purge",
    Twin(choice, row) = "twin",
});

record!(RowPlan, Self { id: 0, keys: [None; 2], parts: [0; 2], spoilt: None }, { id, keys, parts, spoilt });
record!(Column, Self::plain(Look::Whole, 100), {
    look, inferred, descending, nulls, width, grain, unit, said,
});
record!(Shape, Self::by_ids(), { strong, id, ties, declared, varied });
record!(Ceiling, Self { at: 0, declared: false, beyond: Beyond::Status }, { at, declared, beyond });
record!(
    Filtering,
    Self {
        reads: Reads::AsTold,
        filters: Arc::new(Filters { columns: Vec::new(), either: false, both: false, sorts_by_id: false }),
        ignored: false,
    },
    { reads, filters, ignored }
);
record!(Traits, Self::plain(Family::Offset, 100), {
    family, sizes, caps, cap_lasts, other_caps, filtered_cap, cuts, sticky, off, counts, total, more, past, repeats,
    end, echoes, ceiling, outage, lag, reorders, surplus, hidden, hidden_unsaid, flips, filtering, has_items,
    mistakes_items, salt, lie,
});
record!(Client, Self::plain(20), {
    style, limits, budget, search_budget, unproven, verify, short_pages, totals, forgets, replicas, crowded, seeks,
    loses_hints,
});
record!(Scenario, Self::plain(), { regime, shape, rows, traits, client, plan });
