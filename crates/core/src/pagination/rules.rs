//! The rules on which the guarantees rest, by name. The simulator switches off a rule and checks that it notices the
//! fault.
//!
//! The switch exists only in the core's own tests and with the feature `rules`, which only the package `cursorgate-sim`
//! enables. In every other build all rules are in force.

/// A rule of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A total, the link to the last page, or a `next` that is computed from a count never ends a list by itself.
    CountsOnlyAim,
    /// An upstream's past-the-end status never ends a list.
    StatusesOnlyAim,
    /// A short answer ends a list only if it is shorter than an honoured size, or if the dialect vouches for short
    /// answers.
    ShortProvesNothing,
    /// In a declared order, only keys decide the place, never the presence of the anchor's id.
    KeysDecide,
    /// Ties that the upstream doesn't order are used only as whole runs.
    RunsAreClosed,
    /// Every later answer of a page is proven against the last item taken.
    SeamsAreProven,
    /// The bound of a filter is widened if values are stored more finely than they are shown, and a filter is trusted
    /// only if its answer shows the anchor.
    FiltersAreProven,
    /// The keys of a pivot are used only if they are the keys with which it was served.
    PivotsAreKnownAgain,
    /// Without a declared order, the longest chain of marks decides the place, not the nearest mark.
    MarksAreChained,
    /// The detection of a circle of tokens is reset when the direction changes.
    LoopsBeginAnew,
}

impl Rule {
    /// All rules, in the order of their definition.
    pub const ALL: [Self; 10] = [
        Self::CountsOnlyAim,
        Self::StatusesOnlyAim,
        Self::ShortProvesNothing,
        Self::KeysDecide,
        Self::RunsAreClosed,
        Self::SeamsAreProven,
        Self::FiltersAreProven,
        Self::PivotsAreKnownAgain,
        Self::MarksAreChained,
        Self::LoopsBeginAnew,
    ];
}

#[cfg(any(test, feature = "rules"))]
mod switch {
    use std::cell::Cell;

    use super::Rule;

    /// A string that is in every binary whose core has the switch. `tests/end_to_end` checks that the shipped binary
    /// doesn't contain it; the simulator's tests check that their binary does.
    #[used]
    static MARK: [u8; 46] = *b"cursorgate-core: its rules can be switched off";

    thread_local! {
        static OFF: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Runs `work` with a rule switched off on this thread, and then switches all rules on again.
    pub fn without<T>(rule: Rule, work: impl FnOnce() -> T) -> T {
        OFF.set(Some(rule));
        let result = work();
        OFF.set(None);
        result
    }

    pub(super) fn holds(rule: Rule) -> bool {
        OFF.get() != Some(rule)
    }
}

#[cfg(any(test, feature = "rules"))]
pub use switch::without;

/// Returns whether a rule is in force.
#[cfg(any(test, feature = "rules"))]
#[must_use]
pub(super) fn holds(rule: Rule) -> bool {
    switch::holds(rule)
}

/// Returns `true`: without the switch, every rule is in force.
#[cfg(not(any(test, feature = "rules")))]
#[must_use]
pub(super) const fn holds(_rule: Rule) -> bool {
    true
}
