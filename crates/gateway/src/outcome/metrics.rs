//! Metrics: a set of counters and histograms for each route and each upstream. Relaxed atomic additions update them
//! without a lock.
//!
//! Label values are closed sets. The names of routes and upstreams come from the configuration, all other values from
//! the tables in `families`. Counters and their history survive a reload as long as the configuration has a route or
//! upstream with the same name.

pub mod exports;
mod families;
mod figures;
mod findings;
mod history;
pub mod service_store;
pub mod webhooks;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::histogram::{Histogram, HistogramCounts, PAGE_REQUESTS, TIMES};
use crate::runtime::clock;
use cursorgate_core::pagination::page::DoubtedEnd;
use families::{
    BACKGROUND, BODY_BYTES, CACHE, COMPRESSION_INPUT, COMPRESSION_OUTPUT, CURSORS_REFUSED, DRIFT, DRIFTED,
    ENDS_UNPROVEN, FUTILE_FILTERS, LOWERED, OBSERVED, PAGES, PAGING, PIVOTS, RATE_LIMITED, REFUSALS, REQUESTS, STORED,
    STRAGGLERS, UNIDENTIFIED, UNOBSERVED, UNPROVEN, UPSTREAM_REQUESTS, VALIDATED, class,
};
pub use families::{CLASSES, FAMILIES, SERVABLE, STRAY_CURSOR, is_refusal};
pub use figures::{RouteFigures, UpstreamFigures};
use figures::{buckets, start};
pub use findings::{OTHER_PEER, RouteFinding, RouteFindings, SMALL_PAGES};
use history::History;
pub use history::{Increases, STEP};

/// The outcome of a request, in the form that metrics count. Each word is a label value of its metric family.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// The outcome: `page`, `forwarded`, the code of a problem, or another word of `Outcome::word`.
    pub word: &'static str,
    pub level: Option<&'static str>,
    /// The reason that the page isn't proven; `None` for a proven page, or without a page.
    pub unproven: Option<&'static str>,
    /// The end of the list that the upstream contradicts; `None` if it doesn't, or if the page isn't the last one.
    pub doubted_end: Option<DoubtedEnd>,
    /// The reason that the declared order couldn't be used; `None` if the order was used, or if no order is declared.
    pub lowered: Option<&'static str>,
    /// The use of a range filter that didn't help; `None` if the filter helped, or if there was no filter.
    pub futile_filter: Option<&'static str>,
    /// The reason that the answers didn't make a page; `None` if they did, or if there were no answers.
    pub refusal: Option<&'static str>,
    /// The distance in items between the estimated and the actual position of the page; `None` if the positions are
    /// equal, or if there was no estimate.
    pub drift: Option<i64>,
    /// The number of cursor marks that were found out of order.
    pub stragglers: u32,
    pub upstream_requests: u32,
    /// The number of stored answers that the upstream validated with a 304.
    pub validated: u32,
    /// The way in which the page cache was used; `None` if the request didn't concern the cache.
    pub cache: Option<&'static str>,
    /// `true` if the page was stored in the page cache.
    pub stored: bool,
    /// The source of the pivot's sort keys; `None` if there was no pivot.
    pub pivot: Option<&'static str>,
    /// The verdict on the observed answer; `None` if no answer was observed.
    pub observed: Option<&'static str>,
    /// The reason that the answer wasn't observed; `None` if it was observed, or if the route doesn't observe.
    pub unobserved: Option<&'static str>,
    /// The rate limit that refused the request; `None` if no limit refused it.
    pub limit: Option<&'static str>,
    /// The reason that the client's cursor was refused; `None` if it wasn't.
    pub cursor: Option<&'static str>,
    /// The header because of which the page isn't kept, as it might identify the client; `None` if there is none.
    pub unidentified: Option<&'static str>,
    /// The paging of the request: `cursor`, `legacy` or `unmarked`; `None` if the request wasn't for a list.
    pub paging: Option<&'static str>,
    /// The coding in which the gateway compressed the response, and the number of bytes before and after compression;
    /// `None` if the response wasn't compressed.
    pub compressed: Option<(&'static str, usize, usize)>,
}

/// The response to a request, in the form that metrics count.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountedResponse {
    /// The status; 0 if no status was sent.
    pub status: u16,
    /// The number of bytes of the body that were sent.
    pub bytes: usize,
    /// The time from the first byte of the request's head to the end of the response.
    pub took: Duration,
}

/// The counters, histograms, history and findings of one route. The next snapshot's route of the same name shares them.
#[derive(Debug)]
pub struct RouteMetrics {
    route: String,
    /// The counters of all families, one family after the other.
    counters: Box<[AtomicU64]>,
    /// The times of requests, by status class.
    durations: [Histogram; CLASSES.len()],
    /// The number of upstream requests for each page.
    page_requests: Histogram,
    history: History,
    findings: RouteFindings,
}

/// The metrics of one upstream. The next snapshot's upstream of the same name shares these metrics.
#[derive(Debug)]
pub struct UpstreamMetrics {
    durations: [Histogram; CLASSES.len()],
    history: History,
}

impl UpstreamMetrics {
    /// Creates metrics without any counts.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let durations = durations();
        let history = History::new(buckets(&durations).collect(), clock::instant());
        Arc::new(Self { durations, history })
    }

    /// Ends a step of the history at `now`.
    pub fn step(&self, now: Instant) {
        self.history.step(buckets(&self.durations).collect(), now);
    }

    /// Returns the increases of the counts from at most `steps` history steps ago until `now`.
    pub fn recent(&self, steps: usize, now: Instant) -> Increases {
        self.history.since(steps, &buckets(&self.durations).collect::<Vec<_>>(), now)
    }

    /// Computes a figure for each step of the history, and returns the figures, latest last.
    pub fn series<T>(&self, mut figure: impl FnMut(UpstreamFigures<'_>, Duration) -> T) -> Vec<T> {
        self.history.series(|step| figure(UpstreamFigures(&step.counts), step.took))
    }

    /// Counts an upstream request that has ended. `status` is the answer's status; `None` without a complete answer.
    pub fn count(&self, status: Option<u16>, took: Duration) {
        self.durations[class(status.unwrap_or(0))].add_time(took);
    }

    /// Returns the times of requests by status class, without classes that haven't occurred.
    pub fn durations(&self) -> impl Iterator<Item = (&'static str, HistogramCounts)> {
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

impl RouteMetrics {
    /// Creates the counters of a route. The empty name is for requests without a route.
    #[must_use]
    pub fn new(route: &str) -> Arc<Self> {
        let count = start(FAMILIES.len());
        let counters = (0..count).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>();
        let (durations, page_requests) = (durations(), Histogram::new(PAGE_REQUESTS));
        let history = History::new(totals(&counters, &durations, &page_requests), clock::instant());
        Arc::new(Self {
            route: route.to_owned(),
            counters,
            durations,
            page_requests,
            history,
            findings: RouteFindings::default(),
        })
    }

    /// Returns the name of the route; empty for requests without a route.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Returns the differences from the configuration that requests have shown.
    pub fn findings(&self) -> &RouteFindings {
        &self.findings
    }

    /// Returns the counts of a family, each with its label values. `family` is an index in [`FAMILIES`].
    pub fn counts(&self, family: usize) -> impl Iterator<Item = (Vec<&'static str>, u64)> {
        let shape = &FAMILIES[family];
        let start = start(family);
        let counters = self.counters[start..start + shape.width()].iter().enumerate();
        counters.map(|(index, counter)| (shape.values(index), counter.load(Ordering::Relaxed)))
    }

    /// Returns all counts, in the order that [`RouteFigures`] expects.
    pub fn totals(&self) -> Vec<u64> {
        totals(&self.counters, &self.durations, &self.page_requests)
    }

    /// Ends a step of the history at `now`.
    pub fn step(&self, now: Instant) {
        self.history.step(self.totals(), now);
    }

    /// Returns the increases of the counts from at most `steps` history steps ago until `now`.
    pub fn recent(&self, steps: usize, now: Instant) -> Increases {
        self.history.since(steps, &self.totals(), now)
    }

    /// Computes a figure for each step of the history, and returns the figures, latest last.
    pub fn series<T>(&self, mut figure: impl FnMut(RouteFigures<'_>, Duration) -> T) -> Vec<T> {
        self.history.series(|step| figure(RouteFigures(&step.counts), step.took))
    }

    /// Returns the times of requests by status class, without classes that haven't occurred.
    pub fn durations(&self) -> impl Iterator<Item = (&'static str, HistogramCounts)> {
        occurred(&self.durations)
    }

    /// Returns the histogram of the number of upstream requests for a page.
    pub fn page_requests(&self) -> HistogramCounts {
        self.page_requests.counts()
    }

    /// Counts a request that has ended, by its outcome and its response.
    pub fn count(&self, outcome: &Counted, response: CountedResponse) {
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
            (RATE_LIMITED, outcome.limit),
            (CACHE, outcome.cache),
            (CURSORS_REFUSED, outcome.cursor),
            (UNIDENTIFIED, outcome.unidentified),
        ] {
            if let Some(word) = word {
                self.add_labelled(family, &[word], 1);
            }
        }
        if let Some(drift) = outcome.drift {
            self.add(DRIFTED, 0, 1);
            self.add(DRIFT, 0, drift.unsigned_abs());
        }
        self.add(ENDS_UNPROVEN, 0, outcome.doubted_end.is_some().into());
        self.add(STRAGGLERS, 0, outcome.stragglers.into());
        self.add(UPSTREAM_REQUESTS, 0, outcome.upstream_requests.into());
        self.add(STORED, 0, outcome.stored.into());
        self.add(VALIDATED, 0, outcome.validated.into());
    }

    /// Counts a page that was made in the background, or whose making was dropped before it began. `work` and `ended`
    /// are label values of `cursorgate_background_pages_total`.
    pub fn count_background(&self, work: &'static str, ended: &'static str, counted: &Counted) {
        self.add_labelled(BACKGROUND, &[work, ended], 1);
        self.add(UPSTREAM_REQUESTS, 0, counted.upstream_requests.into());
        self.add(STORED, 0, counted.stored.into());
        self.add(VALIDATED, 0, counted.validated.into());
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

/// Returns all counts of a route, in the order that [`RouteFigures`] expects.
fn totals(counters: &[AtomicU64], durations: &[Histogram], page_requests: &Histogram) -> Vec<u64> {
    let counters = counters.iter().map(|counter| counter.load(Ordering::Relaxed));
    counters.chain(buckets(durations)).chain(page_requests.buckets()).chain([page_requests.sum()]).collect()
}

impl Increases {
    /// Interprets the increases as those of a route.
    pub fn of_route(&self) -> RouteFigures<'_> {
        RouteFigures(&self.counts)
    }

    /// Interprets the increases as those of an upstream.
    pub fn of_upstream(&self) -> UpstreamFigures<'_> {
        UpstreamFigures(&self.counts)
    }
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
        metrics.count(&lost, response(503, 50));
        metrics.count(&Counted { word: "forwarded", ..Counted::default() }, response(503, 7));
        metrics.count(&Counted { word: "client_gone", ..Counted::default() }, response(0, 0));
        let expected = [
            ("cursorgate_requests_total", "page 2xx", 1),
            ("cursorgate_requests_total", "forwarded 5xx", 1),
            ("cursorgate_requests_total", "client_gone none", 1),
            ("cursorgate_requests_total", "position_lost 5xx", 1),
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
        assert_eq!(times, [("2xx", 1, 3_000), ("5xx", 2, 6_000), ("none", 1, 3_000)]);
        assert_eq!((metrics.page_requests().count, metrics.page_requests().sum), (1, 3));
    }

    /// Row: A37
    #[test]
    fn no_label_has_an_empty_value_or_one_twice() {
        for family in FAMILIES {
            for (_, values) in family.labels {
                for (index, value) in values.iter().enumerate() {
                    assert!(!value.is_empty() && !values[..index].contains(value), "{} {value}", family.name);
                }
            }
        }
    }
}
