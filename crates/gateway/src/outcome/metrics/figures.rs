//! Figures for operators. They are computed from the counts of a route or an upstream at one moment, or from the
//! increases of these counts in a period.

use std::time::Duration;

use super::families::{
    CLASSES, DRIFT, DRIFTED, FAMILIES, MetricFamily, OBSERVED, PAGES, PAGING, RATE_LIMITED, REFUSALS, REQUESTS,
};
use crate::outcome::histogram::{Histogram, PAGE_REQUESTS, TIMES, quantile};

/// The figures of a route. The counts have the order of `RouteMetrics::totals`: all families, the times of requests by
/// status class, and the upstream requests for pages with their sum.
#[derive(Clone, Copy, Debug)]
pub struct RouteFigures<'c>(pub(super) &'c [u64]);

/// The figures of an upstream. The counts are those of `UpstreamMetrics`: the times of requests by status class.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamFigures<'c>(pub(super) &'c [u64]);

/// The number of buckets in a histogram of times.
const BUCKETS: usize = TIMES.len() + 1;

impl<'c> RouteFigures<'c> {
    /// Wraps the counts of a route, which are in the order of `RouteMetrics::totals`.
    pub fn of(counts: &'c [u64]) -> Self {
        Self(counts)
    }

    /// Returns the counts of a family, each with its label values.
    pub fn counts(self, family: usize) -> impl Iterator<Item = (Vec<&'static str>, u64)> + use<'c> {
        let (start, shape) = (start(family), &FAMILIES[family]);
        let counts = self.0.get(start..start + shape.width()).unwrap_or_default();
        counts.iter().enumerate().map(|(index, count)| (shape.values(index), *count))
    }

    /// Returns the non-zero counts of a family with one label, each with its label value.
    fn words(self, family: usize) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.counts(family).filter(|(_, count)| *count > 0).map(|(values, count)| (values[0], count))
    }

    /// Returns the non-zero numbers of requests, by outcome and status class.
    pub fn requests(self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<'c> {
        self.counts(REQUESTS).filter(|(_, count)| *count > 0).map(|(values, count)| (values[0], values[1], count))
    }

    /// Returns the non-zero numbers of pages, by level.
    pub fn levels(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(PAGES)
    }

    /// Returns the non-zero numbers of pages that were refused after upstream requests, by cause.
    pub fn refusals(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(REFUSALS)
    }

    /// Returns the non-zero numbers of observed answers, by verdict.
    pub fn verdicts(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(OBSERVED)
    }

    /// Returns the non-zero numbers of requests that a rate limit or a brownout refused, by limit.
    pub fn rate_limited(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(RATE_LIMITED)
    }

    /// Returns the numbers of list requests by paging, including zeros.
    pub fn paging(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.counts(PAGING).map(|(values, count)| (values[0], count))
    }

    /// Returns the number of pages that were found at another offset than estimated, and the sum of the distances in
    /// items.
    pub fn drift(self) -> (u64, u64) {
        let count = |family| self.counts(family).map(|(_, count)| count).sum();
        (count(DRIFTED), count(DRIFT))
    }

    /// Returns the number of pages, and the number of upstream requests for all of them.
    pub fn page_requests(self) -> (u64, u64) {
        let from = start(FAMILIES.len()) + CLASSES.len() * BUCKETS;
        let counts = self.0.get(from..).unwrap_or_default();
        let (buckets, sum) = counts.split_at(counts.len().min(PAGE_REQUESTS.len() + 1));
        (buckets.iter().sum(), sum.first().copied().unwrap_or(0))
    }

    /// Returns the time within which a `share` of the requests ended; `None` without requests.
    pub fn quantile(self, share: f64) -> Option<Duration> {
        let from = start(FAMILIES.len());
        time_quantile(self.0.get(from..from + CLASSES.len() * BUCKETS)?, share)
    }
}

impl UpstreamFigures<'_> {
    /// Returns the non-zero numbers of requests, by status class.
    pub fn requests(self) -> impl Iterator<Item = (&'static str, u64)> {
        let sums = self.0.chunks(BUCKETS).map(|buckets| buckets.iter().sum());
        CLASSES.into_iter().zip(sums).filter(|(_, count)| *count > 0)
    }

    /// Returns the time within which a `share` of the requests ended; `None` without requests.
    pub fn quantile(self, share: f64) -> Option<Duration> {
        time_quantile(self.0, share)
    }
}

/// Returns a quantile of the times of all status classes together; `None` without requests. `buckets` has the histogram
/// of each class, one after the other.
fn time_quantile(buckets: &[u64], share: f64) -> Option<Duration> {
    let sums: Vec<u64> = (0..BUCKETS).map(|at| buckets.iter().skip(at).step_by(BUCKETS).sum()).collect();
    quantile(TIMES, &sums, share).map(Duration::from_micros)
}

/// Returns the bucket counts of several histograms, one histogram after the other.
pub(super) fn buckets(histograms: &[Histogram]) -> impl Iterator<Item = u64> {
    histograms.iter().flat_map(Histogram::buckets)
}

/// Returns the index of a family's first count; for the number of families, the index after all of their counts.
pub(super) fn start(family: usize) -> usize {
    FAMILIES[..family.min(FAMILIES.len())].iter().map(MetricFamily::width).sum()
}
