//! Figures for operators, computed from the counts of a route or an upstream at one moment, or from their increases in
//! a span of time.

use std::time::Duration;

use super::families::{
    CLASSES, DRIFT, DRIFTED, FAMILIES, MetricFamily, OBSERVED, PAGES, PAGING, RATE_LIMITED, REFUSALS, REQUESTS,
};
use crate::gateway::outcome::histogram::{Histogram, PAGE_REQUESTS, TIMES, quantile};

/// The figures of a route, from the counts of `RouteMetrics` in their order: all families, the times of requests by
/// class, and the requests for pages with their sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteFigures<'c>(pub(super) &'c [u64]);

/// The figures of an upstream, from the counts of `UpstreamMetrics`: the times of requests by class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpstreamFigures<'c>(pub(super) &'c [u64]);

/// The number of buckets of a histogram of times.
const BUCKETS: usize = TIMES.len() + 1;

impl<'c> RouteFigures<'c> {
    /// Reads all counts of a route.
    pub(crate) fn of(counts: &'c [u64]) -> Self {
        Self(counts)
    }

    /// Returns the counts of a family, each with the values of its labels.
    pub(crate) fn counts(self, family: usize) -> impl Iterator<Item = (Vec<&'static str>, u64)> + use<'c> {
        let (start, shape) = (start(family), &FAMILIES[family]);
        let counts = self.0.get(start..start + shape.width()).unwrap_or_default();
        counts.iter().enumerate().map(|(index, count)| (shape.values(index), *count))
    }

    /// Returns the counts of a family with one label that are not 0.
    fn words(self, family: usize) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.counts(family).filter(|(_, count)| *count > 0).map(|(values, count)| (values[0], count))
    }

    /// Returns the requests by outcome and class of the status, without pairs that did not occur.
    pub(crate) fn requests(self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<'c> {
        self.counts(REQUESTS).filter(|(_, count)| *count > 0).map(|(values, count)| (values[0], values[1], count))
    }

    /// Returns the pages by level.
    pub(crate) fn levels(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(PAGES)
    }

    /// Returns the pages that were refused after requests to the upstream, by cause.
    pub(crate) fn refusals(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(REFUSALS)
    }

    /// Returns the observed answers by verdict.
    pub(crate) fn verdicts(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(OBSERVED)
    }

    /// Returns the requests that a rate limit or a brownout refused, by the limit.
    pub(crate) fn rate_limited(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.words(RATE_LIMITED)
    }

    /// Returns the requests for lists by their paging, with kinds of which there were none.
    pub(crate) fn paging(self) -> impl Iterator<Item = (&'static str, u64)> + use<'c> {
        self.counts(PAGING).map(|(values, count)| (values[0], count))
    }

    /// Returns the number of pages that were found at another offset, and the sum of the distances in items.
    pub(crate) fn drift(self) -> (u64, u64) {
        let count = |family| self.counts(family).map(|(_, count)| count).sum();
        (count(DRIFTED), count(DRIFT))
    }

    /// Returns the number of pages, and of the upstream requests for them.
    pub(crate) fn page_requests(self) -> (u64, u64) {
        let from = start(FAMILIES.len()) + CLASSES.len() * BUCKETS;
        let counts = self.0.get(from..).unwrap_or_default();
        let (buckets, sum) = counts.split_at(counts.len().min(PAGE_REQUESTS.len() + 1));
        (buckets.iter().sum(), sum.first().copied().unwrap_or(0))
    }

    /// Returns the time within which this share of the requests ended; `None` without requests.
    pub(crate) fn quantile(self, share: f64) -> Option<Duration> {
        let from = start(FAMILIES.len());
        time_quantile(self.0.get(from..from + CLASSES.len() * BUCKETS)?, share)
    }
}

impl UpstreamFigures<'_> {
    /// Returns the number of requests of each class.
    pub(crate) fn requests(self) -> impl Iterator<Item = (&'static str, u64)> {
        let sums = self.0.chunks(BUCKETS).map(|buckets| buckets.iter().sum());
        CLASSES.into_iter().zip(sums).filter(|(_, count)| *count > 0)
    }

    /// Returns the time within which this share of the requests ended; `None` without requests.
    pub(crate) fn quantile(self, share: f64) -> Option<Duration> {
        time_quantile(self.0, share)
    }
}

/// Returns a quantile of the times of all classes. `buckets` has the histogram of each class, one after the other.
fn time_quantile(buckets: &[u64], share: f64) -> Option<Duration> {
    let sums: Vec<u64> = (0..BUCKETS).map(|at| buckets.iter().skip(at).step_by(BUCKETS).sum()).collect();
    quantile(TIMES, &sums, share).map(Duration::from_micros)
}

/// Returns the counts of the histograms of times, one after the other.
pub(super) fn buckets(histograms: &[Histogram]) -> impl Iterator<Item = u64> {
    histograms.iter().flat_map(Histogram::buckets)
}

/// Returns the index of a family's first count.
pub(super) fn start(family: usize) -> usize {
    FAMILIES[..family.min(FAMILIES.len())].iter().map(MetricFamily::width).sum()
}
