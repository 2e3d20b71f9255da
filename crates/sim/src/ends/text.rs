//! The text form of scenarios of lists that end. Its words never change, because files in `regressions/` contain them.

use super::{
    facts::{Facts, Flag, Past, Total},
    scenario::{Change, Cuts, Declared, Mode, Place, Scenario},
};
use crate::text::{record, words};

words!(Mode { Offset = "offset", Page = "page", Fixed = "fixed", Keyset = "keyset", Exclusive = "exclusive" });
words!(Declared { Nothing = "nothing", Hidden = "hidden", Complete = "complete" });
words!(Total {
    Visible = "visible",
    Rows = "rows",
    High = "high",
    Huge = "huge",
    Low = "low",
    Page = "page",
    RowsOrZero = "rows-or-zero",
    VisibleOrZero = "visible-or-zero",
    List = "list",
});
words!(Flag { Right = "right", Rows = "rows", Always = "always", Never = "never", Full = "full" });
words!(Past { Empty = "empty", Status = "status", Undeclared = "undeclared", Repeat = "repeat", DeclaredRepeat = "declared-repeat", First = "first" });
words!(Cuts { Never = "never", Rows { from, to, most } = "rows", Bytes(most) = "bytes" });
words!(Place { Head = "head", Middle(number) = "middle", Tail = "tail" });
words!(Change { Insert(place) = "insert", Delete(place) = "delete" });

record!(Facts, Facts::BARE, { total, flag, past });
record!(
    Scenario,
    Self {
        mode: Mode::Offset,
        declared: Declared::Nothing,
        facts: Facts::BARE,
        rows: Vec::new(),
        window: None,
        lapse: None,
        cuts: Cuts::Never,
        plan: Vec::new(),
        limit: 20,
    },
    { mode, declared, facts, rows, window, lapse, cuts, plan, limit }
);
