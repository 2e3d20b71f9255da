//! A scenario of any family, and the result of its walk.

use std::{
    cell::{Cell, RefCell},
    panic,
    sync::Once,
};

use cursorgate_core::pagination::rules::Rule;

use crate::{anchored, cached, ends, keyed, misdeclared, shrink::shrink, text::words, token};

/// A family of lists. Each family has its own model upstream, scenarios and promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Family {
    /// Lists whose order is declared.
    Keyed,
    /// Lists that are paged by token.
    Token,
    /// Lists without a declared order.
    Anchored,
    /// Lists whose true order differs from the declared one.
    Misdeclared,
    /// Lists whose pages a cache keeps.
    Cached,
    /// Lists whose end is hard to tell.
    Ends,
}

impl Family {
    pub(crate) const ALL: [Self; 6] =
        [Self::Keyed, Self::Token, Self::Anchored, Self::Misdeclared, Self::Cached, Self::Ends];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Token => "token",
            Self::Anchored => "anchored",
            Self::Misdeclared => "misdeclared",
            Self::Cached => "cached",
            Self::Ends => "ends",
        }
    }
}

/// A scenario: everything that decides a walk, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Case {
    Keyed(Box<keyed::scenario::Scenario>),
    Token(Box<token::Scenario>),
    Anchored(Box<anchored::Scenario>),
    Misdeclared(Box<misdeclared::Scenario>),
    Cached(Box<cached::Scenario>),
    Ends(Box<ends::Scenario>),
}

words!(Case {
    Keyed(scenario) = "keyed",
    Token(scenario) = "token",
    Anchored(scenario) = "anchored",
    Misdeclared(scenario) = "misdeclared",
    Cached(scenario) = "cached",
    Ends(scenario) = "ends",
});

/// The result of a walk of any family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) violation: Option<Broken>,
    /// The cause of the first refusal, or in the family `token` the first cause by name; `None` if nothing was refused.
    /// In the families `keyed` and `anchored`, the cause is followed by whether the refusal was needed.
    pub(crate) refusal: Option<String>,
    pub(crate) story: Vec<String>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) promise: String,
    pub(crate) what: String,
}

impl Broken {
    /// Parses a text of the form `promise: what`.
    fn of(said: &str) -> Self {
        let (promise, what) = said.split_once(": ").unwrap_or((said, ""));
        Self { promise: promise.to_owned(), what: what.to_owned() }
    }
}

impl From<keyed::promises::Violation> for Broken {
    fn from(violation: keyed::promises::Violation) -> Self {
        Self { promise: violation.promise.to_owned(), what: violation.what }
    }
}

impl Case {
    pub(crate) fn from_seed(family: Family, seed: u64) -> Self {
        match family {
            Family::Keyed => Self::Keyed(Box::new(keyed::scenario::Scenario::from_seed(seed))),
            Family::Token => Self::Token(Box::new(token::Scenario::from_seed(seed))),
            Family::Anchored => Self::Anchored(Box::new(anchored::Scenario::from_seed(seed))),
            Family::Misdeclared => Self::Misdeclared(Box::new(misdeclared::Scenario::from_seed(seed))),
            Family::Cached => Self::Cached(Box::new(cached::Scenario::from_seed(seed))),
            Family::Ends => Self::Ends(Box::new(ends::Scenario::from_seed(seed))),
        }
    }

    /// Returns a scenario in which a core without this rule can break a promise.
    pub(crate) fn with_rule(seed: u64, rule: Rule) -> Self {
        match rule {
            Rule::MarksAreChained => Self::from_seed(Family::Anchored, seed),
            Rule::LoopsBeginAnew => Self::from_seed(Family::Token, seed),
            _ => Self::Keyed(Box::new(keyed::scenario::Scenario::with_rule(seed, rule))),
        }
    }

    /// Returns a scenario in which this lie can break a promise.
    pub(crate) fn with_lie(seed: u64, lie: keyed::broken::Lie) -> Self {
        Self::Keyed(Box::new(keyed::scenario::Scenario::with_lie(seed, lie)))
    }

    /// Returns a scenario with this fault of the cache.
    pub(crate) fn with_fault(seed: u64, fault: cached::Fault) -> Self {
        Self::Cached(Box::new(cached::Scenario::with_fault(seed, fault)))
    }

    /// Walks as the scenario says. If `telling` is true, the result contains the story. A panic of the core is a
    /// violation.
    pub(crate) fn walk(&self, telling: bool) -> Ended {
        quietly(|| panic::catch_unwind(|| self.walked(telling))).unwrap_or_else(|_| Ended {
            violation: Some(Broken { promise: "panic".to_owned(), what: newest_panic() }),
            ..Ended::default()
        })
    }

    fn walked(&self, telling: bool) -> Ended {
        match self {
            Self::Keyed(scenario) => {
                let outcome = keyed::walk::walk(scenario, telling);
                let violation = outcome.violation.map(Broken::from);
                let refusal = outcome
                    .refusal
                    .map(|refusal| format!("{}, needed: {:?}", keyed::tally::cause(&refusal), outcome.need));
                Ended { violation, refusal, story: outcome.story }
            }
            Self::Token(scenario) => {
                let outcome = token::walk(scenario, telling);
                let mut story = outcome.story;
                if telling {
                    story.insert(0, format!("{scenario:?}"));
                }
                let refused = outcome.refused.keys().next().map(|cause| (*cause).to_owned());
                Ended { violation: outcome.violation.as_deref().map(Broken::of), refusal: refused, story }
            }
            Self::Anchored(scenario) => {
                let outcome = anchored::walk(scenario, telling);
                let refusal = outcome
                    .refusal
                    .map(|refusal| format!("{}, needed: {}", keyed::tally::cause(&refusal), !outcome.unneeded));
                Ended { violation: outcome.violation.as_deref().map(Broken::of), refusal, story: outcome.story }
            }
            Self::Misdeclared(scenario) => {
                let outcome = misdeclared::walk(scenario);
                let mut story = outcome.story;
                story.insert(0, format!("{:?}", scenario.traits));
                let refusal = outcome.refusal.as_ref().map(|refusal| keyed::tally::cause(refusal).to_owned());
                Ended { violation: outcome.violation.as_deref().map(Broken::of), refusal, story }
            }
            Self::Cached(scenario) => {
                let outcome = cached::walk(scenario, telling);
                let mut story = outcome.story;
                if telling {
                    story.insert(0, format!("{:?}, {:?}", scenario.settings, scenario.walkers));
                }
                let violation = outcome.violation.map(Broken::from);
                Ended { violation, refusal: outcome.refused.first().map(|cause| (*cause).to_owned()), story }
            }
            Self::Ends(scenario) => {
                let outcome = ends::walk(scenario, telling);
                // Also of a fault that a run only counts (`ends::bounds`), so it can be replayed and shrunk.
                let violation = ends::silent_fault(&outcome).map(|fault| Broken::of(&fault));
                Ended { violation, refusal: outcome.refusal().map(str::to_owned), story: outcome.story }
            }
        }
    }

    /// Returns the smallest variant of this scenario found for which `same` returns `true`.
    pub(crate) fn shrunk(&self, same: impl Fn(&Self) -> bool) -> Self {
        shrink(self, Self::smaller, same)
    }

    fn smaller(&self) -> Vec<Self> {
        fn boxed<S>(all: Vec<S>, case: impl Fn(Box<S>) -> Case) -> Vec<Case> {
            all.into_iter().map(|scenario| case(Box::new(scenario))).collect()
        }
        match self {
            Self::Keyed(scenario) => boxed(keyed::shrink::smaller(scenario), Self::Keyed),
            Self::Token(scenario) => boxed(token::smaller(scenario), Self::Token),
            Self::Anchored(scenario) => boxed(anchored::smaller(scenario), Self::Anchored),
            Self::Misdeclared(scenario) => boxed(misdeclared::smaller(scenario), Self::Misdeclared),
            Self::Cached(scenario) => boxed(cached::smaller(scenario), Self::Cached),
            Self::Ends(scenario) => boxed(ends::smaller(scenario), Self::Ends),
        }
    }

    /// Returns the smallest scenario found that breaks the same promise and is refused for the same cause.
    pub(crate) fn shrunk_to_its_end(&self) -> Self {
        let end = |case: &Self| {
            let Ended { violation, refusal, .. } = case.walk(false);
            (violation.map(|violation| violation.promise), refusal)
        };
        let whole = end(self);
        // A walk that neither fails nor is refused would be shrunk to an empty list.
        if whole == (None, None) { self.clone() } else { self.shrunk(|case| end(case) == whole) }
    }
}

thread_local! {
    static WALKING: Cell<bool> = const { Cell::new(false) };
    /// The message and the place of the newest panic of this thread.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Returns the message and the place of the newest panic of a walk of this thread, and forgets it.
pub(crate) fn newest_panic() -> String {
    PANIC.take()
}

/// Runs `work` without printing this thread's panics: panics of the core are caught, and reported with their walk.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static ONCE: Once = Once::new();
    // The hook is global, so it is set only once. A flag of each thread tells the hook whether the thread is walking.
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WALKING.get() {
                PANIC.set(info.to_string());
            } else {
                usual(info);
            }
        }));
    });
    let before = WALKING.replace(true);
    let result = work();
    WALKING.set(before);
    result
}
