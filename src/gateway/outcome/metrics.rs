//! What is counted: one set of counters for each route, each a relaxed addition, none behind a lock.
//!
//! The label values are closed sets: route names come from the configuration, everything else from the tables below. What
//! is counted outlives a reload, as long as there is a route of that name.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::downstream::Code;

/// What an observation comes to: the list could have been served from the answer, or the first cause against it.
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

/// Why an answer is not looked at.
pub(crate) const REASONS: [&str; 6] = ["request", "sort", "unchanged", "sample", "busy", "cut"];

/// The verdict that a list could have been served from its answer.
pub(crate) const SERVABLE: &str = "servable";

/// How requests end that no problem's code says.
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

/// How requests end: the codes of problems, and what has none.
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

/// Something that is counted, as Prometheus has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricFamily {
    /// Its name without what its type appends.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// The label beside the route's, and its values; none where there is one number for a route.
    pub label: Option<(&'static str, &'static [&'static str])>,
}

impl MetricFamily {
    fn width(&self) -> usize {
        self.label.map_or(1, |(_, values)| values.len())
    }
}

/// All that is counted, in the order in which it is shown.
pub(crate) const FAMILIES: [MetricFamily; 14] = [
    MetricFamily {
        name: "cursorgate_requests",
        help: "Requests, by what became of them: page, forwarded, or the code of the problem.",
        label: Some(("outcome", &OUTCOMES)),
    },
    MetricFamily {
        name: "cursorgate_pages",
        help: "Pages served, by how sure they were.",
        label: Some(("level", &["exact", "checked", "anchored", "positional"])),
    },
    MetricFamily {
        name: "cursorgate_pages_unproven",
        help: "Pages served without a proof of their place, by what kept them from it.",
        label: Some(("reason", &["position", "order", "tie-run", "pivot", "seam"])),
    },
    MetricFamily {
        name: "cursorgate_pages_lowered",
        help: "Pages of a list with a declared order that were read by marks, by why the order was of no use with its answers.",
        label: Some((
            "cause",
            &["unsorted_no_object", "unsorted_no_id", "unsorted_no_key", "unsorted_kind", "unsorted_text"],
        )),
    },
    MetricFamily {
        name: "cursorgate_futile_filters",
        help: "Pages whose range filter showed neither the item of the cursor nor its ties, so that the whole list was asked; \
               after three in a row the filter is given up, and spared for 32 pages.",
        label: Some(("outcome", &["in_vain", "given_up", "spared"])),
    },
    MetricFamily {
        name: "cursorgate_refusals",
        help: "Pages refused after the upstream was asked, by cause.",
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
        help: "Pages that were found elsewhere than where their cursor believed them to be.",
        label: None,
    },
    MetricFamily {
        name: "cursorgate_drift_items",
        help: "How far those pages were from there, in items, summed up without sign.",
        label: None,
    },
    MetricFamily {
        name: "cursorgate_stragglers",
        help: "Marked items that were out of their order, and outvoted by the others.",
        label: None,
    },
    MetricFamily { name: "cursorgate_upstream_requests", help: "Requests to the upstream.", label: None },
    MetricFamily {
        name: "cursorgate_pivots",
        help: "Keys wanted for the item that a cursor names: found in the cache, looked up at the upstream, or had from \
               another request's look-up.",
        label: Some(("source", &["cache", "upstream", "shared"])),
    },
    MetricFamily {
        name: "cursorgate_observed",
        help: "Answers read on routes that observe, by verdict: servable, or the first cause against it.",
        label: Some(("verdict", &VERDICTS)),
    },
    MetricFamily {
        name: "cursorgate_unobserved",
        help: "Answers not read on routes that observe, by reason.",
        label: Some(("reason", &REASONS)),
    },
    MetricFamily {
        name: "cursorgate_list_requests",
        help: "Requests for lists, by how they page: by the gateway's cursors, by the upstream's parameters, or by neither.",
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

/// The outcome of a request, as far as it is counted. Each word is a value of the label of its family.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// How the request ended.
    pub word: &'static str,
    /// The level of its page.
    pub level: Option<&'static str>,
    /// Why the page was served without a proof.
    pub unproven: Option<&'static str>,
    /// Why the declared order was of no use.
    pub lowered: Option<&'static str>,
    /// How the page fared with a filter that did not help.
    pub futile_filter: Option<&'static str>,
    /// Why the upstream's answers made no page.
    pub refusal: Option<&'static str>,
    /// The distance in items from the estimated position of the page to its position.
    pub drift: Option<i64>,
    /// Marked items that were out of order.
    pub stragglers: u32,
    /// Requests to the upstream.
    pub upstream_requests: u32,
    /// The source of the keys of a pivot.
    pub pivot: Option<&'static str>,
    /// The verdict on an answer that was observed.
    pub observed: Option<&'static str>,
    /// Why an answer was not observed.
    pub unobserved: Option<&'static str>,
    /// How the request pages.
    pub paging: Option<&'static str>,
}

/// What is counted of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    route: String,
    /// The values of one family behind those of the one before it.
    counters: Box<[AtomicU64]>,
}

impl RouteMetrics {
    /// Nothing counted yet of a route; the empty name stands for requests that no route covers.
    #[must_use]
    pub fn new(route: &str) -> Arc<Self> {
        let count = FAMILIES.iter().map(MetricFamily::width).sum();
        let counters = (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { route: route.to_owned(), counters })
    }

    /// The route's name.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The counts of a family, by its place in [`FAMILIES`]: each with the value of its label, which is empty where there
    /// is none.
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

    /// How many requests for the list paged in each way.
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

/// Where the counters of a family begin.
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
