//! Metrics: a set of counters for each route, updated by relaxed additions without a lock.
//!
//! Label values are closed sets: names of routes come from the configuration, all others from the tables below.
//! Counters outlive a reload as long as a route of the name exists.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::downstream::Code;

/// The verdicts on an observed answer: servable, or the first cause against it.
pub(crate) const VERDICTS: [&str; 12] = [
    SERVABLE,
    "status",
    "encoding",
    "too_large",
    "shape",
    "facts",
    "ids",
    "kinds",
    "order",
    "size",
    "parameters",
    "failed",
];

/// The reasons that an answer is not observed.
pub(crate) const REASONS: [&str; 6] = ["request", "sort", "unchanged", "sample", "busy", "cut"];

/// The verdict that the list could be served from its answer.
pub(crate) const SERVABLE: &str = "servable";

/// Outcomes without the code of a problem.
const PLAIN_OUTCOMES: [&str; 9] = [
    "page",
    "not_modified",
    "passed",
    "forwarded",
    "redirected",
    "preflight",
    "client_gone",
    "client_stalled",
    "panicked",
];

/// All outcomes.
const OUTCOMES: [&str; PLAIN_OUTCOMES.len() + Code::ALL.len()] = {
    let mut words = [""; PLAIN_OUTCOMES.len() + Code::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = match index.checked_sub(PLAIN_OUTCOMES.len()) {
            Some(code) => Code::ALL[code].as_str(),
            None => PLAIN_OUTCOMES[index],
        };
        index += 1;
    }
    words
};

/// A Prometheus metric family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricFamily {
    /// The name without the suffix of its type.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The second label and its values; none if the family has one counter per route.
    pub label: Option<(&'static str, &'static [&'static str])>,
}

impl MetricFamily {
    fn width(&self) -> usize {
        self.label.map_or(1, |(_, values)| values.len())
    }
}

/// All metric families, in the order of their output.
pub(crate) const FAMILIES: [MetricFamily; 14] = [
    MetricFamily {
        name: "cursorgate_requests",
        help: "Requests by outcome: page, forwarded, or the code of the problem.",
        label: Some(("outcome", &OUTCOMES)),
    },
    MetricFamily {
        name: "cursorgate_pages",
        help: "Pages served, by level.",
        label: Some(("level", &["exact", "checked", "anchored", "positional"])),
    },
    MetricFamily {
        name: "cursorgate_pages_unproven",
        help: "Pages served without a proof of their position, by reason.",
        label: Some(("reason", &["position", "order", "tie-run", "pivot", "seam"])),
    },
    MetricFamily {
        name: "cursorgate_pages_lowered",
        help: "Pages of a list with a declared order that were read by marks, by the reason that the order could not be used.",
        label: Some((
            "cause",
            &["unsorted_no_object", "unsorted_no_id", "unsorted_no_key", "unsorted_kind", "unsorted_text"],
        )),
    },
    MetricFamily {
        name: "cursorgate_futile_filters",
        help: "Pages whose range filter returned neither the item of the cursor nor its ties, so that the list was read without \
               it; after three in a row the filter is not sent for 32 pages.",
        label: Some(("outcome", &["in_vain", "given_up", "spared"])),
    },
    MetricFamily {
        name: "cursorgate_refusals",
        help: "Pages refused after requests to the upstream, by cause.",
        label: Some((
            "cause",
            &[
                "position_lost",
                "tie_run",
                "too_deep",
                "budget_exceeded",
                "unsorted_no_object",
                "unsorted_no_id",
                "unsorted_no_key",
                "unsorted_null",
                "unsorted_kind",
                "unsorted_digits",
                "unsorted_text",
                "unsorted_order",
                "unsorted_ties",
                "unsorted_twice",
                "stuck",
                "pivot_gone",
                "token_gone",
                "unsupported",
                "no_list",
            ],
        )),
    },
    MetricFamily {
        name: "cursorgate_drifted_pages",
        help: "Pages found at another offset than their cursor estimated.",
        label: None,
    },
    MetricFamily {
        name: "cursorgate_drift_items",
        help: "Sum of the distances in items, without sign, between the estimated and the actual offsets of those pages.",
        label: None,
    },
    MetricFamily {
        name: "cursorgate_stragglers",
        help: "Cursor marks found out of order and ignored in favour of the majority.",
        label: None,
    },
    MetricFamily { name: "cursorgate_upstream_requests", help: "Requests to the upstream.", label: None },
    MetricFamily {
        name: "cursorgate_pivots",
        help: "Look-ups of the sort keys of a cursor's item: found in the cache, looked up at the upstream, or shared with \
               another request.",
        label: Some(("source", &["cache", "upstream", "shared"])),
    },
    MetricFamily {
        name: "cursorgate_observed",
        help: "Answers observed, by verdict: servable, or the first cause against it.",
        label: Some(("verdict", &VERDICTS)),
    },
    MetricFamily {
        name: "cursorgate_unobserved",
        help: "Answers not observed on routes that observe, by reason.",
        label: Some(("reason", &REASONS)),
    },
    MetricFamily {
        name: "cursorgate_list_requests",
        help: "Requests for lists by their paging: by cursors, by the upstream's parameters, or by neither.",
        label: Some(("paging", &["cursor", "legacy", "unmarked"])),
    },
];

const REQUESTS: usize = 0;
const PAGES: usize = 1;
const UNPROVEN: usize = 2;
const LOWERED: usize = 3;
const FUTILE_FILTERS: usize = 4;
const REFUSALS: usize = 5;
const DRIFTED: usize = 6;
const DRIFT: usize = 7;
const STRAGGLERS: usize = 8;
const UPSTREAM_REQUESTS: usize = 9;
const PIVOTS: usize = 10;
const OBSERVED: usize = 11;
const UNOBSERVED: usize = 12;
const PAGING: usize = 13;

/// The outcome of a request as metrics count it. Each word is a label value of its family.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// The outcome.
    pub word: &'static str,
    pub level: Option<&'static str>,
    /// The reason that the page is not proven.
    pub unproven: Option<&'static str>,
    /// The reason that the declared order was not used.
    pub lowered: Option<&'static str>,
    /// The use of a filter that did not help.
    pub futile_filter: Option<&'static str>,
    /// The reason that the answers made no page.
    pub refusal: Option<&'static str>,
    /// The distance in items between the estimated and the actual position of the page.
    pub drift: Option<i64>,
    /// The number of marks out of order.
    pub stragglers: u32,
    pub upstream_requests: u32,
    /// The source of the pivot's keys.
    pub pivot: Option<&'static str>,
    /// The verdict on the observed answer.
    pub observed: Option<&'static str>,
    /// The reason that the answer was not observed.
    pub unobserved: Option<&'static str>,
    /// The paging of the request: `cursor`, `legacy` or `unmarked`.
    pub paging: Option<&'static str>,
}

/// The counters of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    route: String,
    /// The values of all families, one family after the other.
    counters: Box<[AtomicU64]>,
    told: ToldOnce,
}

/// The kinds of refusals that the log has told of a route.
#[derive(Debug, Default)]
pub(crate) struct ToldOnce(Mutex<Vec<&'static str>>);

impl ToldOnce {
    /// Returns whether a kind is told for the first time. Kinds are words of closed sets, so that there are few.
    pub(crate) fn is_first(&self, kind: &'static str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !told.contains(&kind);
        if is_first {
            told.push(kind);
        }
        is_first
    }

    /// Forgets what was told, because another configuration is in force.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl RouteMetrics {
    /// Creates the counters of a route. The empty name stands for requests without a route.
    #[must_use]
    pub fn new(route: &str) -> Arc<Self> {
        let count = FAMILIES.iter().map(MetricFamily::width).sum();
        let counters = (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { route: route.to_owned(), counters, told: ToldOnce::default() })
    }

    /// Returns the name of the route.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Returns the kinds of refusals that the log has told.
    pub(crate) fn told(&self) -> &ToldOnce {
        &self.told
    }

    /// Returns the counts of a family, by its index in [`FAMILIES`], each with its label value, which is empty for
    /// families without a label.
    pub fn counts(&self, family: usize) -> impl Iterator<Item = (&'static str, u64)> {
        let shape = FAMILIES.get(family);
        let values = shape.and_then(|family| family.label).map_or(&[""][..], |(_, values)| values);
        let start = start(family);
        let counters = self.counters.get(start..start + values.len()).unwrap_or_default();
        values.iter().zip(counters).map(|(value, counter)| (*value, counter.load(Ordering::Relaxed)))
    }

    /// Counts a request that has ended.
    pub(crate) fn count(&self, outcome: &Counted) {
        self.add_labelled(REQUESTS, outcome.word, 1);
        for (family, word) in [
            (PAGES, outcome.level),
            (UNPROVEN, outcome.unproven),
            (LOWERED, outcome.lowered),
            (FUTILE_FILTERS, outcome.futile_filter),
            (REFUSALS, outcome.refusal),
            (OBSERVED, outcome.observed),
            (UNOBSERVED, outcome.unobserved),
        ] {
            if let Some(word) = word {
                self.add_labelled(family, word, 1);
            }
        }
        if let Some(drift) = outcome.drift {
            self.add(DRIFTED, 0, 1);
            self.add(DRIFT, 0, drift.unsigned_abs());
        }
        self.add(STRAGGLERS, 0, outcome.stragglers.into());
        self.add(UPSTREAM_REQUESTS, 0, outcome.upstream_requests.into());
        for (family, word) in [(PIVOTS, outcome.pivot), (PAGING, outcome.paging)] {
            if let Some(word) = word {
                self.add_labelled(family, word, 1);
            }
        }
    }

    /// Returns the number of requests by their paging.
    pub fn paging(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts(PAGING)
    }

    fn add_labelled(&self, family: usize, value: &str, count: u64) {
        let Some((_, values)) = FAMILIES[family].label else { return };
        let known = values.iter().position(|known| *known == value);
        debug_assert!(known.is_some(), "{value} is no value of {}", FAMILIES[family].name);
        if let Some(index) = known {
            self.add(family, index, count);
        }
    }

    fn add(&self, family: usize, index: usize, count: u64) {
        if count > 0 {
            self.counters[start(family) + index].fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// Returns the index of a family's first counter.
fn start(family: usize) -> usize {
    FAMILIES[..family.min(FAMILIES.len())].iter().map(MetricFamily::width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(metrics: &RouteMetrics) -> Vec<(&'static str, &'static str, u64)> {
        let families = FAMILIES.iter().enumerate();
        let all = families
            .flat_map(|(index, family)| metrics.counts(index).map(move |(value, count)| (family.name, value, count)));
        all.filter(|(.., count)| *count > 0).collect()
    }

    /// Row: A37
    #[test]
    fn each_request_is_counted_where_it_belongs() {
        let metrics = RouteMetrics::new("users");
        metrics.count(&Counted {
            word: "page",
            level: Some("checked"),
            drift: Some(-7),
            upstream_requests: 3,
            pivot: Some("shared"),
            stragglers: 2,
            ..Counted::default()
        });
        metrics.count(&Counted { word: "position_lost", refusal: Some("position_lost"), ..Counted::default() });
        metrics.count(&Counted { word: "forwarded", ..Counted::default() });
        assert_eq!(
            counted(&metrics),
            [
                ("cursorgate_requests", "page", 1),
                ("cursorgate_requests", "forwarded", 1),
                ("cursorgate_requests", "position_lost", 1),
                ("cursorgate_pages", "checked", 1),
                ("cursorgate_refusals", "position_lost", 1),
                ("cursorgate_drifted_pages", "", 1),
                ("cursorgate_drift_items", "", 7),
                ("cursorgate_stragglers", "", 2),
                ("cursorgate_upstream_requests", "", 3),
                ("cursorgate_pivots", "shared", 1),
            ]
        );
    }

    /// Row: A37
    #[test]
    fn no_word_is_told_twice() {
        for family in FAMILIES {
            let Some((_, values)) = family.label else { continue };
            for (index, value) in values.iter().enumerate() {
                assert!(!value.is_empty() && !values[..index].contains(value), "{} {value}", family.name);
            }
        }
    }
}
