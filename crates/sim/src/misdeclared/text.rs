//! The text form of scenarios of misdeclared lists. Its words never change, because files in `regressions/` contain
//! them.

use cursorgate_core::pagination::paging::Family;

use super::scenario::{Beside, Change, Row, Said, Scenario, Tied, Traits, Truth};
use crate::text::{record, words};

words!(Truth {
    Caseless = "caseless",
    Language = "language",
    Ranks = "ranks",
    NullsElsewhere = "nulls-elsewhere",
    Instants = "instants",
    Mixed = "mixed",
});
words!(Said { Nothing = "nothing", Text = "text", Opaque = "opaque" });
words!(Tied { ById = "by-id", Shuffled = "shuffled" });
words!(Change { Insert(row) = "insert", Delete(choice) = "delete" });

record!(Row, Self { class: 0, id: 0, key: String::new() }, { class, id, key });
record!(Beside, Self { last: false, forward: false }, { last, forward });
record!(Traits, plain(), { truth, said, tied, family, cap, totals, flips });
record!(
    Scenario,
    Self { traits: plain(), rows: Vec::new(), plan: Vec::new(), limit: 20, backward: false, turns: Vec::new() },
    { traits, rows, plan, limit, backward, turns }
);

fn plain() -> Traits {
    Traits {
        truth: Truth::Caseless,
        said: Said::Nothing,
        tied: Tied::ById,
        family: Family::Offset,
        cap: 100,
        totals: false,
        flips: false,
    }
}
