//! The rules that the guarantees rest on, by name, so that the simulator can switch one off and check that it notices.
//!
//! The switch is compiled in by the core's own tests and by the feature `rules`, which only the package
//! `cursorgate-sim` turns on. In every other build each rule holds, and no switch exists.

/// A rule of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A total, a last page, a `next` computed from a count never end a list.
    CountsOnlyAim,
    /// A past-the-end status never ends a list.
    StatusesOnlyAim,
    /// A short answer ends a list only against a size that was seen to be honoured.
    ShortProvesNothing,
    /// With a declared order only keys decide, never the presence of the anchor's id.
    KeysDecide,
    /// Ties that the upstream does not order are used as whole runs.
    RunsAreClosed,
    /// Every further answer of a page is proven against the last item taken.
    SeamsAreProven,
    /// A filter is widened to what is stored more finely than it is shown, and trusted only where it shows its anchor.
    FiltersAreProven,
    /// Values of a pivot count only if they are those that were served.
    PivotsAreKnownAgain,
    /// Without a declared order the longest chain of marks decides, not the nearest mark.
    MarksAreChained,
    /// The detection of a circle of tokens begins anew when the direction changes.
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

    /// A mark in every binary whose core has the switch, used or not: `tests/end_to_end` checks that the shipped binary
    /// does not have it, and the simulator's tests that theirs does.
    #[used]
    static MARK: [u8; 46] = *b"cursorgate-core: its rules can be switched off";

    thread_local! {
        static OFF: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Runs `work` with a rule switched off on this thread.
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

/// Returns whether a rule is in force: always.
#[cfg(not(any(test, feature = "rules")))]
#[must_use]
pub(super) const fn holds(_rule: Rule) -> bool {
    true
}
