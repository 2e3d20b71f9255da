//! The text form of types of the core. Its words never change, because files in `regressions/` contain them.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::{Comparisons, Filters},
    order::{Grain, Nulls, Ties},
    paging::{EndEvidence, Family, Sizes},
    resolver::{ShortPages, Totals, Verify, WhenUnproven},
    rules::Rule,
};

use super::{Page, Text, Words, record, words};

words!(Family { Offset = "offset", Page = "page", Token = "token" });
words!(Sizes { Free { least, most } = "free", Listed(sizes) = "listed", Fixed(size) = "fixed" });
words!(EndEvidence { Unvouched = "unvouched", Flag = "flag", ShortPage = "short-page", Token = "token" });
words!(Nulls {
    Unsaid = "unsaid",
    None = "none",
    Smallest = "smallest",
    Largest = "largest",
    First = "first",
    Last = "last",
});
words!(Grain { Day = "day", Digits(digits) = "digits" });
words!(Ties { Unordered = "unordered", Ordered = "ordered" });
words!(Verify { Always = "always", WhenCheap = "when-cheap", Never = "never" });
words!(WhenUnproven { Refuse = "refuse", Flag = "flag" });
words!(ShortPages { Refuse = "refuse", Serve = "serve" });
words!(Totals { Upstream = "upstream", Omit = "omit", Count = "count", FirstPage = "first-page" });
words!(Rule {
    CountsOnlyAim = "counts-only-aim",
    StatusesOnlyAim = "statuses-only-aim",
    ShortProvesNothing = "short-proves-nothing",
    KeysDecide = "keys-decide",
    RunsAreClosed = "runs-are-closed",
    SeamsAreProven = "seams-are-proven",
    FiltersAreProven = "filters-are-proven",
    PivotsAreKnownAgain = "pivots-are-known-again",
    MarksAreChained = "marks-are-chained",
    LoopsBeginAnew = "loops-begin-anew",
});
record!(Comparisons, Self::default(), { less, less_or_equal, greater, greater_or_equal, equal, nulls });
record!(Filters, Self { columns: Vec::new(), either: false, both: false, sorts_by_id: false }, {
    columns, either, both, sorts_by_id,
});

impl Text for Arc<Filters> {
    fn write(&self, page: &mut Page) {
        (**self).write(page);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        Filters::read(words).map(Self::new)
    }
}
