//! Metrics: a set of counters and histograms for each route and each upstream, updated by relaxed additions without a lock.
//!
//! Label values are closed sets: names of routes come from the configuration, all others from the tables below.
//! Counters outlive a reload as long as a route or upstream of the name exists.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::histogram::{Histogram, HistogramCounts, REQUESTS as PAGE_REQUESTS, TIMES};
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

/// The classes of statuses; `none` is that of requests without a whole answer.
pub(crate) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", NO_ANSWER];

/// The class of requests without an answer: the client or the upstream went away before.
const NO_ANSWER: &str = "none";

/// Returns the class of a status; 0 is none.
pub(crate) fn class(status: u16) -> usize {
    match status {
        100..600 => usize::from(status / 100) - 1,
        _ => CLASSES.len() - 1,
    }
}

/// The content codings of responses that the gateway compresses.
pub(crate) const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// A family of counters for each route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricFamily {
    /// The name.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The labels beside `route`, each with its values.
    pub labels: &'static [(&'static str, &'static [&'static str])],
}

impl MetricFamily {
    fn width(&self) -> usize {
        self.labels.iter().map(|(_, values)| values.len()).product()
    }

    /// Returns the values of the labels of a counter, by its index in the family.
    pub(crate) fn values(&self, index: usize) -> Vec<&'static str> {
        let mut rest = index;
        let mut values: Vec<&str> = Vec::with_capacity(self.labels.len());
        for (_, known) in self.labels.iter().rev() {
            values.push(known[rest % known.len()]);
            rest /= known.len();
        }
        values.reverse();
        values
    }

    /// Returns the index of a counter by the values of its labels.
    fn index(&self, values: &[&str]) -> Option<usize> {
        self.labels.iter().zip(values).try_fold(0, |index, ((_, known), value)| {
            let at = known.iter().position(|known| known == value);
            debug_assert!(at.is_some(), "{value} is no value of {}", self.name);
            Some(index * known.len() + at?)
        })
    }
}

/// All metric families, in the order of their output.
pub(crate) const FAMILIES: [MetricFamily; 17] = [
    MetricFamily {
        name: "cursorgate_requests_total",
        help: "Requests by outcome (page, forwarded, or the code of the problem) and class of the status.",
        labels: &[("outcome", &OUTCOMES), ("status", &CLASSES)],
    },
    MetricFamily {
        name: "cursorgate_pages_total",
        help: "Pages served, by level.",
        labels: &[("level", &["exact", "checked", "anchored", "positional"])],
    },
    MetricFamily {
        name: "cursorgate_pages_unproven_total",
        help: "Pages served without a proof of their position, by reason.",
        labels: &[("reason", &["position", "order", "tie-run", "pivot", "seam"])],
    },
    MetricFamily {
        name: "cursorgate_pages_lowered_total",
        help: "Pages of a list with a declared order that were read by marks, by the reason that the order could not be used.",
        labels: &[(
            "cause",
            &["unsorted_no_object", "unsorted_no_id", "unsorted_no_key", "unsorted_kind", "unsorted_text"],
        )],
    },
    MetricFamily {
        name: "cursorgate_futile_filters_total",
        help: "Pages whose range filter returned neither the item of the cursor nor its ties, so that the list was read without \
               it; after three in a row the filter is not sent for 32 pages.",
        labels: &[("outcome", &["in_vain", "given_up", "spared"])],
    },
    MetricFamily {
        name: "cursorgate_refusals_total",
        help: "Pages refused after requests to the upstream, by cause.",
        labels: &[(
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
        )],
    },
    MetricFamily {
        name: "cursorgate_drifted_pages_total",
        help: "Pages found at another offset than their cursor estimated.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_drift_items_total",
        help: "Sum of the distances in items, without sign, between the estimated and the actual offsets of those pages.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_stragglers_total",
        help: "Cursor marks found out of order and ignored in favour of the majority.",
        labels: &[],
    },
    MetricFamily { name: "cursorgate_upstream_requests_total", help: "Requests to the upstream.", labels: &[] },
    MetricFamily {
        name: "cursorgate_pivots_total",
        help: "Look-ups of the sort keys of a cursor's item: found in the cache, looked up at the upstream, or shared with \
               another request.",
        labels: &[("source", &["cache", "upstream", "shared"])],
    },
    MetricFamily {
        name: "cursorgate_observed_total",
        help: "Answers observed, by verdict: servable, or the first cause against it.",
        labels: &[("verdict", &VERDICTS)],
    },
    MetricFamily {
        name: "cursorgate_unobserved_total",
        help: "Answers not observed on routes that observe, by reason.",
        labels: &[("reason", &REASONS)],
    },
    MetricFamily {
        name: "cursorgate_list_requests_total",
        help: "Requests for lists by their paging: by cursors, by the upstream's parameters, or by neither.",
        labels: &[("paging", &["cursor", "legacy", "unmarked"])],
    },
    MetricFamily {
        name: "cursorgate_response_body_bytes_total",
        help: "Bytes of response bodies as they were sent.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_compression_input_bytes_total",
        help: "Bytes of the gateway's own responses before compression, by coding.",
        labels: &[("coding", &CODINGS)],
    },
    MetricFamily {
        name: "cursorgate_compression_output_bytes_total",
        help: "Bytes of the same responses after compression.",
        labels: &[("coding", &CODINGS)],
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
const BODY_BYTES: usize = 14;
const COMPRESSION_INPUT: usize = 15;
const COMPRESSION_OUTPUT: usize = 16;

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
    /// The coding in which the gateway compressed the response, and its bytes before and after that.
    pub compressed: Option<(&'static str, usize, usize)>,
}

/// The response to a request as metrics count it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CountedResponse {
    /// The status; 0 if none was sent.
    pub status: u16,
    /// The bytes of the body that were sent.
    pub bytes: usize,
    /// The time from the first byte of the request's head to the end of the response.
    pub took: Duration,
}

/// The counters of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    route: String,
    /// The values of all families, one family after the other.
    counters: Box<[AtomicU64]>,
    /// The times of requests, by class of the status.
    durations: [Histogram; CLASSES.len()],
    /// The requests to the upstream for a page.
    page_requests: Histogram,
    told: ToldOnce,
}

/// The metrics of one upstream. The next snapshot's upstream of the same name shares them.
#[derive(Debug)]
pub struct UpstreamMetrics {
    durations: [Histogram; CLASSES.len()],
}

impl UpstreamMetrics {
    /// Creates empty metrics.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { durations: durations() })
    }

    /// Counts a request to the upstream that has ended; `status` is that of its answer.
    pub(crate) fn count(&self, status: Option<u16>, took: Duration) {
        self.durations[class(status.unwrap_or(0))].add_time(took);
    }

    /// Returns the times of requests by class of the status, of those classes that occurred.
    pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, HistogramCounts)> {
        occurred(&self.durations)
    }
}

fn durations() -> [Histogram; CLASSES.len()] {
    std::array::from_fn(|_| Histogram::new(TIMES))
}

fn occurred(durations: &[Histogram; CLASSES.len()]) -> impl Iterator<Item = (&'static str, HistogramCounts)> {
    let counts = CLASSES.into_iter().zip(durations).map(|(class, histogram)| (class, histogram.counts()));
    counts.filter(|(_, counts)| counts.count > 0)
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
        Arc::new(Self {
            route: route.to_owned(),
            counters,
            durations: durations(),
            page_requests: Histogram::new(PAGE_REQUESTS),
            told: ToldOnce::default(),
        })
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

    /// Returns the counts of a family, by its index in [`FAMILIES`], each with the values of its labels.
    pub fn counts(&self, family: usize) -> impl Iterator<Item = (Vec<&'static str>, u64)> {
        let shape = &FAMILIES[family];
        let start = start(family);
        let counters = self.counters[start..start + shape.width()].iter().enumerate();
        counters.map(|(index, counter)| (shape.values(index), counter.load(Ordering::Relaxed)))
    }

    /// Returns the times of requests by class of the status, of those classes that occurred.
    pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, HistogramCounts)> {
        occurred(&self.durations)
    }

    /// Returns the numbers of requests to the upstream for a page.
    pub(crate) fn page_requests(&self) -> HistogramCounts {
        self.page_requests.counts()
    }

    /// Counts a request that has ended.
    pub(crate) fn count(&self, outcome: &Counted, response: CountedResponse) {
        self.add_labelled(REQUESTS, &[outcome.word, CLASSES[class(response.status)]], 1);
        self.durations[class(response.status)].add_time(response.took);
        self.add(BODY_BYTES, 0, whole(response.bytes));
        if let Some((coding, input, output)) = outcome.compressed {
            self.add_labelled(COMPRESSION_INPUT, &[coding], whole(input));
            self.add_labelled(COMPRESSION_OUTPUT, &[coding], whole(output));
        }
        if outcome.level.is_some() {
            self.page_requests.add(outcome.upstream_requests.into());
        }
        for (family, word) in [
            (PAGES, outcome.level),
            (UNPROVEN, outcome.unproven),
            (LOWERED, outcome.lowered),
            (FUTILE_FILTERS, outcome.futile_filter),
            (REFUSALS, outcome.refusal),
            (PIVOTS, outcome.pivot),
            (OBSERVED, outcome.observed),
            (UNOBSERVED, outcome.unobserved),
            (PAGING, outcome.paging),
        ] {
            if let Some(word) = word {
                self.add_labelled(family, &[word], 1);
            }
        }
        if let Some(drift) = outcome.drift {
            self.add(DRIFTED, 0, 1);
            self.add(DRIFT, 0, drift.unsigned_abs());
        }
        self.add(STRAGGLERS, 0, outcome.stragglers.into());
        self.add(UPSTREAM_REQUESTS, 0, outcome.upstream_requests.into());
    }

    /// Returns the number of requests by their paging.
    pub fn paging(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts(PAGING).map(|(values, count)| (values[0], count))
    }

    fn add_labelled(&self, family: usize, values: &[&str], count: u64) {
        if let Some(index) = FAMILIES[family].index(values) {
            self.add(family, index, count);
        }
    }

    fn add(&self, family: usize, index: usize, count: u64) {
        if count > 0 {
            self.counters[start(family) + index].fetch_add(count, Ordering::Relaxed);
        }
    }
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns the index of a family's first counter.
fn start(family: usize) -> usize {
    FAMILIES[..family.min(FAMILIES.len())].iter().map(MetricFamily::width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(metrics: &RouteMetrics) -> Vec<(&'static str, String, u64)> {
        let families = FAMILIES.iter().enumerate();
        let all = families.flat_map(|(index, family)| {
            metrics.counts(index).map(move |(values, count)| (family.name, values.join(" "), count))
        });
        all.filter(|(.., count)| *count > 0).collect()
    }

    /// Row: A37
    #[test]
    fn each_request_is_counted_where_it_belongs() {
        let metrics = RouteMetrics::new("users");
        let response = |status, bytes| CountedResponse { status, bytes, took: Duration::from_millis(3) };
        let page = Counted {
            word: "page",
            level: Some("checked"),
            drift: Some(-7),
            upstream_requests: 3,
            pivot: Some("shared"),
            stragglers: 2,
            compressed: Some(("br", 900, 100)),
            ..Counted::default()
        };
        metrics.count(&page, response(200, 100));
        let lost = Counted { word: "position_lost", refusal: Some("position_lost"), ..Counted::default() };
        metrics.count(&lost, response(409, 50));
        metrics.count(&Counted { word: "forwarded", ..Counted::default() }, response(503, 7));
        metrics.count(&Counted { word: "client_gone", ..Counted::default() }, response(0, 0));
        let expected = [
            ("cursorgate_requests_total", "page 2xx", 1),
            ("cursorgate_requests_total", "forwarded 5xx", 1),
            ("cursorgate_requests_total", "client_gone none", 1),
            ("cursorgate_requests_total", "position_lost 4xx", 1),
            ("cursorgate_pages_total", "checked", 1),
            ("cursorgate_refusals_total", "position_lost", 1),
            ("cursorgate_drifted_pages_total", "", 1),
            ("cursorgate_drift_items_total", "", 7),
            ("cursorgate_stragglers_total", "", 2),
            ("cursorgate_upstream_requests_total", "", 3),
            ("cursorgate_pivots_total", "shared", 1),
            ("cursorgate_response_body_bytes_total", "", 157),
            ("cursorgate_compression_input_bytes_total", "br", 900),
            ("cursorgate_compression_output_bytes_total", "br", 100),
        ];
        assert_eq!(counted(&metrics), expected.map(|(name, values, count)| (name, values.to_owned(), count)));
        let times: Vec<_> = metrics.durations().map(|(class, counts)| (class, counts.count, counts.sum)).collect();
        assert_eq!(times, [("2xx", 1, 3_000), ("4xx", 1, 3_000), ("5xx", 1, 3_000), ("none", 1, 3_000)]);
        assert_eq!((metrics.page_requests().count, metrics.page_requests().sum), (1, 3));
    }

    /// Row: A37
    #[test]
    fn no_word_is_told_twice() {
        for family in FAMILIES {
            for (_, values) in family.labels {
                for (index, value) in values.iter().enumerate() {
                    assert!(!value.is_empty() && !values[..index].contains(value), "{} {value}", family.name);
                }
            }
        }
    }
}
