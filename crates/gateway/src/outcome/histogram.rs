//! Histograms with fixed bounds. Relaxed atomic additions update them without a lock.
//!
//! The histograms have Prometheus' classic form, which every Prometheus server reads. The bounds of times range from 1
//! ms, for answers from memory, to 30 s, the longest default timeout.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The bounds of times: in microseconds, and as text in seconds.
pub const TIMES: &BucketBounds = &[
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];

/// The bounds for the number of upstream requests for a page.
pub const PAGE_REQUESTS: &BucketBounds =
    &[(1, "1"), (2, "2"), (3, "3"), (4, "4"), (6, "6"), (8, "8"), (12, "12"), (20, "20"), (40, "40")];

/// The bounds of [`TIMES`] that a histogram of a route has by default. Each bucket is a series for each route and class
/// of statuses.
pub const FEW_TIMES: &[&str] = &["0.01", "0.05", "0.25", "1", "2.5", "10"];

/// The bounds of [`PAGE_REQUESTS`] that a histogram of a route has by default.
pub const FEW_PAGE_REQUESTS: &[&str] = &["1", "2", "4", "12"];

/// The largest value of each bucket except the last one, as a number and as text, in ascending order.
pub type BucketBounds = [(u64, &'static str)];

/// The number of values in each bucket, and the sum of all values.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static BucketBounds,
    /// The number of values in each bucket. A bucket's values are above the previous bound, and at most its own bound.
    /// The last bucket has the values above all bounds.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The counts of a histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    /// The text of each bound, with the number of values up to this bound.
    pub up_to: Vec<(&'static str, u64)>,
    /// The number of all values.
    pub count: u64,
    /// The sum of all values, in the unit of the bounds.
    pub sum: u64,
}

impl HistogramCounts {
    /// Returns the histogram with only these of its bounds. It is exact, because a bucket has all values up to its bound.
    #[must_use]
    pub fn only(mut self, bounds: &[&str]) -> Self {
        self.up_to.retain(|(bound, _)| bounds.contains(bound));
        self
    }

    /// Adds the counts of a histogram with the same bounds.
    pub fn add(&mut self, other: &Self) {
        if self.up_to.is_empty() {
            self.up_to.clone_from(&other.up_to);
        } else {
            for (sum, more) in self.up_to.iter_mut().zip(&other.up_to) {
                sum.1 += more.1;
            }
        }
        (self.count, self.sum) = (self.count + other.count, self.sum + other.sum);
    }
}

impl Histogram {
    /// Creates an empty histogram.
    pub fn new(bounds: &'static BucketBounds) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Counts a value in the unit of the bounds.
    pub fn add(&self, value: u64) {
        // A value that equals a bound belongs to that bound's bucket, like `le` in Prometheus. Test:
        // `a_value_is_in_the_bucket_whose_bound_it_does_not_exceed`.
        let at = self.bounds.partition_point(|(bound, _)| *bound < value);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, in a histogram whose bounds are in microseconds.
    pub fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns the number of values in each bucket, without the values of lower buckets.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// Returns the sum of the values, in the unit of the bounds.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// Returns the counts at this moment. `count` is computed from the buckets, so it agrees with `up_to` even while
    /// other threads add values.
    pub fn counts(&self) -> HistogramCounts {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(self.bounds.len());
        for (bucket, (_, text)) in self.buckets.iter().zip(self.bounds) {
            count += bucket.load(Ordering::Relaxed);
            up_to.push((*text, count));
        }
        count += self.buckets.last().map_or(0, |rest| rest.load(Ordering::Relaxed));
        HistogramCounts { up_to, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// Returns the estimated value that a `share` of the values doesn't exceed, in the unit of the bounds; `None` without
/// values. The estimate assumes an even spread of the values within a bucket, like `histogram_quantile` in Prometheus.
/// For values beyond the last bound, the result is the last bound.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an estimate between two bounds, which are positive and small"
)]
pub fn quantile(bounds: &BucketBounds, buckets: &[u64], share: f64) -> Option<u64> {
    let rank = share * buckets.iter().sum::<u64>() as f64;
    let (mut below, mut lower) = (0, 0);
    for (count, (bound, _)) in buckets.iter().zip(bounds) {
        // Without the first condition, an empty bucket would reach a rank of 0, and the division by its count would
        // fail.
        if *count > 0 && (below + count) as f64 >= rank {
            let part = (rank - below as f64) / *count as f64;
            return Some(lower + ((bound - lower) as f64 * part) as u64);
        }
        (below, lower) = (below + count, *bound);
    }
    buckets.iter().any(|count| *count > 0).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(TIMES);
        for micros in [0, 999, 1_000, 1_001, 30_000_000, 30_000_001] {
            histogram.add_time(Duration::from_micros(micros));
        }
        let HistogramCounts { up_to, count, sum } = histogram.counts();
        let at = |bound| up_to.iter().find(|(text, _)| *text == bound).unwrap().1;
        assert_eq!((at("0.001"), at("0.0025"), at("10"), at("30"), count), (3, 4, 4, 5, 6));
        assert_eq!(sum, 60_000_000 + 3_001);
        assert!(TIMES.is_sorted() && PAGE_REQUESTS.is_sorted());
        for (micros, text) in TIMES {
            let seconds: f64 = text.parse().unwrap();
            assert_eq!(Duration::from_secs_f64(seconds), Duration::from_micros(*micros));
        }
    }

    #[test]
    fn quantiles_are_estimated_within_a_bucket() {
        let bounds: &BucketBounds = &[(10, "10"), (20, "20"), (40, "40")];
        for (buckets, share, expected) in [
            ([0, 0, 0, 0], 0.5, None),
            ([4, 0, 0, 0], 0.5, Some(5)),
            ([2, 2, 0, 0], 0.5, Some(10)),
            ([2, 2, 0, 0], 0.75, Some(15)),
            ([0, 0, 10, 0], 0.99, Some(39)),
            ([9, 0, 0, 1], 0.5, Some(5)),
            ([9, 0, 0, 1], 0.99, Some(40)),
            ([0, 0, 0, 3], 0.1, Some(40)),
        ] {
            assert_eq!(quantile(bounds, &buckets, share), expected, "{buckets:?} {share}");
        }
    }
}
