//! Findings about a route: differences from its configuration that requests have shown. There is at most one finding of
//! each kind, with the configuration key to change.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cursorgate_learn::traffic::UPSTREAM_STATUS;

/// The kind of a page that one peer could not give, and another one gave.
pub const OTHER_PEER: &str = "other_peer";

/// The kind of a list whose pages are smaller than requests ask for.
pub const SMALL_PAGES: &str = "small_pages";

/// The largest number of characters of a detail or a key. Longer text is truncated.
const LONGEST: usize = 500;

/// The kinds that no change of a route or dialect corrects, for example load and failures of the upstream.
const OF_THE_MOMENT: [&str; 8] = [
    "failed",
    "internal",
    OTHER_PEER,
    "overloaded",
    "upstream_timeout",
    "upstream_truncated",
    "upstream_unavailable",
    UPSTREAM_STATUS,
];

/// The findings about one route since its configuration was loaded. Kinds come from closed sets of words, so there are
/// only a few.
#[derive(Debug, Default)]
pub struct RouteFindings(Mutex<Vec<RouteFinding>>);

/// The first finding of a kind, and the number of times that the kind was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFinding {
    pub kind: &'static str,
    /// The evidence, without values of items and filters; `None` if there is none.
    pub detail: Option<String>,
    /// The configuration key to change.
    pub key: String,
    pub count: u64,
    /// The time of the first finding of this kind, in seconds since 1970.
    pub first_seen: u64,
    /// The time of the last finding of this kind, in seconds since 1970.
    pub last_seen: u64,
}

impl RouteFindings {
    /// Counts a finding of a kind at `now`, in seconds since 1970. Returns whether this is the first finding of the
    /// kind.
    pub fn note(&self, kind: &'static str, detail: Option<&str>, key: &str, now: u64) -> bool {
        let mut all = self.lock();
        if let Some(known) = all.iter_mut().find(|known| known.kind == kind) {
            known.count += 1;
            known.last_seen = now;
            return false;
        }
        let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let (detail, key) = (detail.map(cut), cut(key));
        all.push(RouteFinding { kind, detail, key, count: 1, first_seen: now, last_seen: now });
        true
    }

    /// Returns whether there is a finding of this kind.
    pub fn knows(&self, kind: &str) -> bool {
        self.lock().iter().any(|known| known.kind == kind)
    }

    /// Returns the findings that a change of the configuration can correct, most frequent first.
    pub fn all(&self) -> Vec<RouteFinding> {
        let mut all = self.lock().clone();
        all.retain(|finding| !OF_THE_MOMENT.contains(&finding.kind));
        all.sort_by_key(|finding| (std::cmp::Reverse(finding.count), finding.kind));
        all
    }

    /// Removes all findings, because another configuration comes into force.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RouteFinding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_reported_once_and_counted_until_it_expires() {
        let findings = RouteFindings::default();
        let long = "x".repeat(10_000);
        assert!(findings.note("size", Some(&long), "size.max = 50", 1));
        assert!(!findings.note("size", Some("another"), "another", 3));
        assert!(findings.note("order", None, "order", 2));
        assert!(findings.note("overloaded", None, "server.memory", 2));
        let all = findings.all();
        let told: Vec<_> = all.iter().map(|one| (one.kind, one.count, one.first_seen, one.last_seen)).collect();
        assert_eq!(told, [("size", 2, 1, 3), ("order", 1, 2, 2)], "load is not a fault of a configuration");
        assert_eq!((all[0].key.as_str(), all[0].detail.as_ref().map(String::len)), ("size.max = 50", Some(LONGEST)));
        findings.forget();
        assert!(findings.all().is_empty() && findings.note("size", None, "", 4));
    }
}
